"""Where time comes from."""

from __future__ import annotations

import time


class SystemClock:
    """The clock of this machine."""

    __slots__ = ()

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
