"""The resources that can be listened to, by their public names."""

from __future__ import annotations

from typing import Final

WEBHOOK_RESOURCES: Final = ("messages", "rooms", "memberships", "attachmentActions")  # these have webhooks, too
RESOURCES: Final = (*WEBHOOK_RESOURCES, "reactions")
