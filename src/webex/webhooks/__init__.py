"""Webhooks: prove that a request comes from Webex, and read what happened.

    @app.post("/hooks/webex")
    async def hook(request: Request) -> Response:
        try:
            event = verify(await request.body(), request.headers, secret=os.environ["WEBHOOK_SECRET"])
        except SignatureError:
            return Response(status_code=401)
        match event:
            case MessageEvent(event="created", data=message):
                ...  # ids only: fetch the text with client.messages.get(message.id)
        return Response(status_code=204)

A signature has no time in it: whoever saw a request can send it again, and Webex itself repeats what was not answered.
Remember `event.data.id` with `event.event` where doing something twice matters.
"""

from __future__ import annotations

from webex.errors import SignatureError
from webex.webhooks.events import (
    AttachmentActionEvent,
    MembershipEvent,
    MessageEvent,
    RoomEvent,
    WebhookEvent,
    read_event,
)
from webex.webhooks.signatures import SIGNATURES, verify

__all__ = [
    "SIGNATURES",
    "AttachmentActionEvent",
    "MembershipEvent",
    "MessageEvent",
    "RoomEvent",
    "SignatureError",
    "WebhookEvent",
    "read_event",
    "verify",
]
