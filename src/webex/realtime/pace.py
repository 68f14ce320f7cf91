"""Spread the connections of many users over time: a process that lost all of them at once does not make all at once."""

from __future__ import annotations

import asyncio

__all__ = ["Pace", "Turns"]


class Pace:
    """At most so many starts per second, whatever their number; decisions only."""

    __slots__ = ("_between", "_next")

    def __init__(self, per_second: float) -> None:
        self._between = 1.0 / per_second
        self._next = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until the next start may be; 0.0: it is now, and counts."""
        if now < self._next:
            return self._next - now
        self._next = max(self._next, now - self._between) + self._between
        return 0.0


class Turns:
    """Wait for a turn, one after the other; a waiter that is cancelled takes no one's time."""

    __slots__ = ("_lock", "_pace")

    def __init__(self, per_second: float) -> None:
        self._pace, self._lock = Pace(per_second), asyncio.Lock()

    async def next(self) -> None:
        """Return when it is this caller's turn."""
        loop = asyncio.get_running_loop()
        async with self._lock:
            now = loop.time()
            while pause := self._pace.wait(now):
                await asyncio.sleep(pause)
                now = max(now + pause, loop.time())
