"""Send end-to-end encrypted: `client.conversations`, over the conversation service (conversations §1)."""

from __future__ import annotations

from webex.realtime.conversations.client import Conversations
from webex.realtime.conversations.sharing import OutgoingFile

__all__ = ["Conversations", "OutgoingFile"]
