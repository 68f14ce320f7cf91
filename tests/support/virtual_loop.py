"""An event loop whose time passes only while it waits."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["VirtualLoop"]


class VirtualLoop(asyncio.SelectorEventLoop):
    """Waits by setting its clock forward."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = 1000.3
        self.waits = 0
        selector: Any = self._selector  # type: ignore[attr-defined]  # the loop's own
        select = selector.select

        def forward(timeout: float | None = None) -> Any:
            if timeout:
                self.moment += timeout
                self.waits += 1
            return select(0)

        selector.select = forward

    def time(self) -> float:
        return self.moment
