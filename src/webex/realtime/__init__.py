"""Hearing what happens: device registration, the Mercury socket, events, catch-up, fan-out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.realtime.background import BlockingListening
    from webex.realtime.conversations import Conversations
    from webex.realtime.event import Event, Gap, Typing
    from webex.realtime.health import Health
    from webex.realtime.hub import RealtimeHub
    from webex.realtime.listening import Listening
    from webex.realtime.options import ListenOptions

__all__ = [
    "BlockingListening",
    "Conversations",
    "Event",
    "Gap",
    "Health",
    "ListenOptions",
    "Listening",
    "RealtimeHub",
    "Typing",
]

_HOMES = {
    "BlockingListening": "background",
    "Conversations": "conversations",
    "Event": "event",
    "Gap": "event",
    "Health": "health",
    "ListenOptions": "options",
    "Listening": "listening",
    "RealtimeHub": "hub",
    "Typing": "event",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
