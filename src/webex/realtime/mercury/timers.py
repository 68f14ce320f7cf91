"""One timer wheel for all sockets of an event loop: a thousand timers cost one scheduled call per tick."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Final

_TICK: Final = 0.5  # seconds

_logger = logging.getLogger("webex.realtime")


class Timer:
    """A scheduled call, which `cancel` revokes."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Revoke the call. Safe to call twice, and after the call."""
        self.call = None


class TimerWheel:
    """Call functions after about so many seconds, never earlier. Belongs to one event loop."""

    def __init__(self, tick: float = _TICK) -> None:
        self._tick = tick
        self._slots: dict[int, list[Timer]] = {}
        self._handle: asyncio.TimerHandle | None = None

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call in `seconds`, rounded up to the next tick."""
        loop = asyncio.get_running_loop()
        slot = math.ceil((loop.time() + seconds) / self._tick)
        timer = Timer(call)
        self._slots.setdefault(slot, []).append(timer)
        if self._handle is None:
            self._schedule(loop)
        elif slot * self._tick < self._handle.when():
            self._handle.cancel()
            self._schedule(loop)
        return timer

    def close(self) -> None:
        """Revoke every call."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._slots.clear()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = loop.call_at(min(self._slots) * self._tick, self._turn, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = None
        now = math.floor(loop.time() / self._tick + 1e-6)
        for slot in sorted(slot for slot in self._slots if slot <= now):
            for timer in self._slots.pop(slot):
                call, timer.call = timer.call, None
                if call is None:
                    continue
                try:
                    call()
                except Exception:
                    _logger.exception("a timer failed")
        if self._slots and self._handle is None:
            self._schedule(loop)
