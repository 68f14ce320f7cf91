"""What the cloud answers with: `Room`, `Message`, `Person`, …; each module loads on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.models.base import Model
    from webex.models.generated.messaging import (
        AttachmentAction,
        ECMFolder,
        Event,
        Membership,
        Message,
        Person,
        Room,
        RoomTab,
        Team,
        TeamMembership,
        Webhook,
    )

_MESSAGING = "webex.models.generated.messaging"
_LAZY_EXPORTS = {
    "AttachmentAction": _MESSAGING,
    "ECMFolder": _MESSAGING,
    "Event": _MESSAGING,
    "Membership": _MESSAGING,
    "Message": _MESSAGING,
    "Model": "webex.models.base",
    "Person": _MESSAGING,
    "Room": _MESSAGING,
    "RoomTab": _MESSAGING,
    "Team": _MESSAGING,
    "TeamMembership": _MESSAGING,
    "Webhook": _MESSAGING,
}

__all__ = [
    "AttachmentAction",
    "ECMFolder",
    "Event",
    "Membership",
    "Message",
    "Model",
    "Person",
    "Room",
    "RoomTab",
    "Team",
    "TeamMembership",
    "Webhook",
]


def __getattr__(name: str) -> Any:
    home = _LAZY_EXPORTS.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
