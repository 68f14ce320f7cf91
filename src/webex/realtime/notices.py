"""Tell a subscription's callbacks of its connection: connected, disconnected, caught up."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Literal, TypeAlias

from webex.realtime.handlers import Handlers
from webex.realtime.tasks import Tasks
from webex.telemetry import CatchUpFinished, Connected, Disconnected

Notice: TypeAlias = Connected | Disconnected | CatchUpFinished
NoticeName: TypeAlias = Literal["connected", "disconnected", "caught_up"]
NAMES: Final[dict[type[Notice], NoticeName]] = {
    Connected: "connected",
    Disconnected: "disconnected",
    CatchUpFinished: "caught_up",
}


class Notices:
    """The callbacks of one subscription. They run one after the other, in the order of what happened."""

    def __init__(self) -> None:
        self.handlers: Handlers = Handlers()
        self._waiting: deque[Notice] = deque()
        self._running: asyncio.Task[None] | None = None
        self._tasks = Tasks()

    def tell(self, notice: Notice) -> None:
        """Call what is registered for this notice, soon."""
        if not self.handlers.has(NAMES[type(notice)]):
            return
        self._waiting.append(notice)
        if self._running is None or self._running.done():
            self._running = self._tasks.start(self._run())

    async def close(self) -> None:
        """Call nothing more; a callback that runs is cancelled, unless it is the caller."""
        self.handlers.clear()
        await self._tasks.close()

    async def _run(self) -> None:
        while self._waiting:
            notice = self._waiting.popleft()
            name = NAMES[type(notice)]
            await self.handlers.call(name, notice, name)
