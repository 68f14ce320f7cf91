"""Handle signals for a while, and give them back to those who handled them before."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final

__all__ = ["STOP", "handled", "handled_by_loop"]

STOP: Final = ("SIGINT", "SIGTERM")
_UNAVAILABLE: Final = (NotImplementedError, AttributeError, ValueError, RuntimeError)  # Windows; another thread
_LOOPS: Final = ("asyncio", "uvloop")


@contextmanager
def handled(handler: Callable[[int, FrameType | None], Any], names: Iterable[str] = STOP) -> Iterator[None]:
    """Handle these signals until the block ends; in another thread than the main one, do nothing."""
    before: dict[int, Any] = {}
    try:
        for name in names:
            with suppress(*_UNAVAILABLE):
                number = getattr(signal, name)
                before[number] = signal.signal(number, handler)
        yield
    finally:
        _restore(before)


@contextmanager
def handled_by_loop(callback: Callable[[], Any], names: Iterable[str] = STOP) -> Iterator[None]:
    """Call `callback` in the running event loop when one of these signals comes, until the block ends.

    In another thread than the main one, and where the loop can't handle signals, nothing is done.
    """
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}
    try:
        for name in names:
            with suppress(*_UNAVAILABLE):
                number = getattr(signal, name)
                handler = signal.getsignal(number)
                loop.add_signal_handler(number, callback)
                before[number] = handler
        yield
    finally:
        for number in before:
            loop.remove_signal_handler(number)
        _restore(before)


def _restore(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        # One that a loop has set does nothing without that loop's table, which no longer has it.
        of_loop = str(getattr(handler, "__module__", "")).partition(".")[0] in _LOOPS
        if handler is not None and not of_loop:
            signal.signal(number, handler)
