"""The two kinds of I/O, blocking and event loop, behind one protocol; and the trick that makes one logic serve both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webex.runtime.clock import SystemClock
from webex.runtime.driving import drive, drive_iter

if TYPE_CHECKING:
    from webex.runtime.blocking import BlockingRuntime
    from webex.runtime.event_loop import EventLoopRuntime
    from webex.runtime.protocol import Clock, Runtime, Style, Transport, WireRequest, WireResponse

__all__ = [
    "BlockingRuntime",
    "Clock",
    "EventLoopRuntime",
    "Runtime",
    "Style",
    "SystemClock",
    "Transport",
    "WireRequest",
    "WireResponse",
    "drive",
    "drive_iter",
]


def __getattr__(name: str) -> Any:
    if name == "BlockingRuntime":
        from webex.runtime.blocking import BlockingRuntime

        return BlockingRuntime
    if name == "EventLoopRuntime":
        from webex.runtime.event_loop import EventLoopRuntime

        return EventLoopRuntime
    if name in __all__:
        from webex.runtime import protocol

        return getattr(protocol, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
