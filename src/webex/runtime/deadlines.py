"""A time limit in event-loop style that does not punish a process for having been stopped.

After a pause (a suspended machine, a stopped container) the answer may lie in the socket while its time is over. A
limit that finds itself that late gives a moment to read what is there, once.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from webex.runtime.answers import GRACE, LATE


class Limit:
    """`async with Limit(when)`: `TimeoutError` at that time of the loop's clock, cleanly under `asyncio` and anyio."""

    __slots__ = ("_handle", "_timeout", "_when")

    def __init__(self, when: float | None) -> None:
        self._when = when
        self._timeout = asyncio.timeout(None)
        self._handle: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        if self._when is not None:
            self._handle = asyncio.get_running_loop().call_at(self._when, self._over, self._when)

    def _over(self, when: float) -> None:
        now = asyncio.get_running_loop().time()
        self._timeout.reschedule(now + GRACE if now - when > LATE else now)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.cancel()
        await self._timeout.__aexit__(kind, error, trace)
