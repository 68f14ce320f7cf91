"""The key of something that happened, the same for an event of the socket and for a webhook."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def event_key(resource: str | None, event: str | None, data: Mapping[str, Any]) -> str:
    """Return `resource:event:id`, and for an update `resource:event:id:updated` where `data` says when.

    For a read receipt (`memberships:seen`) the last part is the id of what was read.

    `data` has the names of the wire. Two deliveries of one event have the same key, whichever way each came, so an app
    can keep the keys of what it has handled. Updates of rooms and memberships carry no time of the update: those of
    one room or membership share their key.
    """
    key = f"{resource}:{event}:{data.get('id') or ''}"
    if event == "seen" and (seen := data.get("lastSeenId")):
        return f"{key}:{seen}"
    updated = data.get("updated")
    return f"{key}:{_moment(updated)}" if event == "updated" and updated else key


def _moment(value: Any) -> str:
    """Write a moment as the cloud does: UTC, with milliseconds."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return str(moment.astimezone(UTC).isoformat(timespec="milliseconds")).replace("+00:00", "Z")
    except (AttributeError, ValueError, OverflowError):
        return str(value)
