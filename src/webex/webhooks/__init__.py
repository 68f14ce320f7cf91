"""Webhooks: prove that a request comes from Webex, read what happened, and handle each event once.

    hooks = WebhookReceiver(integration, secret=os.environ["WEBEX_WEBHOOK_SECRET"])

    @hooks.on("messages", "created")
    async def answer(event):
        message = await event.fetch()  # as the webhook's owner

    app.add_route("/hooks/webex", hooks.asgi, methods=["POST"])

`verify` proves one signature and gives the event, for an app that does the rest itself. A signature has no time in it,
and Webex repeats what was not answered: remember `event.key` where doing something twice matters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webex.errors import SignatureError
from webex.webhooks.events import (
    AttachmentActionEvent,
    Call,
    CallEvent,
    ContactCenterEvent,
    Meeting,
    MeetingEvent,
    MembershipEvent,
    MessageEvent,
    Recording,
    RecordingEvent,
    RoomEvent,
    ServiceApp,
    ServiceAppEvent,
    WebhookEvent,
    read_event,
)
from webex.webhooks.signatures import SIGNATURES, verify

if TYPE_CHECKING:
    from webex.webhooks.catching_up import CaughtUp
    from webex.webhooks.core import ReceiverHealth, Reply
    from webex.webhooks.handlers import Retry
    from webex.webhooks.received import ReceivedEvent
    from webex.webhooks.receiver import WebhookReceiver

# Loaded when they are asked for: `verify` alone needs no client.
_LAZY_EXPORTS: Final = {
    "CaughtUp": "catching_up",
    "ReceivedEvent": "received",
    "ReceiverHealth": "core",
    "Reply": "core",
    "Retry": "handlers",
    "WebhookReceiver": "receiver",
}

__all__ = [
    "SIGNATURES",
    "AttachmentActionEvent",
    "Call",
    "CallEvent",
    "CaughtUp",
    "ContactCenterEvent",
    "Meeting",
    "MeetingEvent",
    "MembershipEvent",
    "MessageEvent",
    "ReceivedEvent",
    "ReceiverHealth",
    "Recording",
    "RecordingEvent",
    "Reply",
    "Retry",
    "RoomEvent",
    "ServiceApp",
    "ServiceAppEvent",
    "SignatureError",
    "WebhookEvent",
    "WebhookReceiver",
    "read_event",
    "verify",
]


def __getattr__(name: str) -> Any:
    home = _LAZY_EXPORTS.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
