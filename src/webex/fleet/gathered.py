"""Write one line for many warnings of a kind: a storage or a broker that is away fails for every shard and user."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Final

__all__ = ["GatheredWarnings"]

_WITHIN: Final = 1.0  # seconds


class GatheredWarnings:
    """Gather warnings of the same text for a second, and write each once with its number: "… (64 users)"."""

    def __init__(self, logger: logging.Logger, what: str) -> None:
        self._logger, self._what = logger, what
        self._counts: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, text: str) -> None:
        """Add a warning; it is written within a second."""
        self._counts[text] += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WITHIN, self.write)

    def write(self) -> None:
        """Write what was gathered now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counts, self._counts = self._counts, Counter()
        for text, count in counts.items():
            self._logger.warning("%s%s", text, f" ({count} {self._what})" if count > 1 else "")
