"""Which deliveries are repetitions of one event, and for how long that is remembered.

A signature has no time in it and Webex repeats what was not answered, so an event is recognised by its key. Where a key
does not tell one event from the next (a membership keeps its id when a person comes back, a room that is renamed twice
tells no time), the data is compared too; where that can't tell either, every delivery counts.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from webex.models.base import Model
from webex.storage.formats import with_format
from webex.webhooks.events import ContactCenterEvent, WebhookEvent

if TYPE_CHECKING:
    from webex.storage import StorageAccess

SEEN: Final = "webhooks-seen"  # the namespace of marks
DAY: Final = 86_400.0
# What tells the moment of an event that its id does not tell.
_MOMENTS: Final = ("eventTimestamp", "updated", "joinedTime", "leftTime")


def plain_data(event: WebhookEvent) -> dict[str, Any]:
    """Return the data of an event in the names of the wire; empty where it is no object."""
    data = event.data.to_dict() if isinstance(event.data, Model) else event.data
    return data if isinstance(data, dict) else {}


def repeat_key(event: WebhookEvent) -> str | None:
    """Return what the deliveries of one event, and no others, have in common; None where that can't be known."""
    if isinstance(event, ContactCenterEvent):
        return event.key if event.id else None
    return repeat_key_of(event.resource, event.event, event.key, plain_data(event))


def repeat_key_of(resource: str | None, event: str | None, key: str, data: dict[str, Any]) -> str | None:
    """Return the same for an event with this key and data, in the names of the wire."""
    if data.get("id"):
        if event == "updated" and data.get("updated"):
            return key
        if event in ("created", "deleted"):
            # A person who comes back into a room has the same membership, with another `created`.
            return key if resource != "memberships" else f"{key}:{data.get('created')}"
    return f"{key}:{_digest(data)}" if any(data.get(name) for name in _MOMENTS) else None


def _digest(data: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode("utf-8", "surrogatepass")).hexdigest()


class Seen:
    """Marks of what was handled, shared by all workers that use the storage; each is kept for `kept` seconds.

    `first(key)` is true for one caller of all, once in that time: `Seen(client.storage…)` serves an app of its own,
    too. Keys are stored as hashes.
    """

    def __init__(self, access: StorageAccess, root: str, kept: float = DAY) -> None:
        self._access, self._root, self._kept = access, root, kept

    def path(self, key: str) -> str:
        """Return where the mark of a key is."""
        return self._root + hashed(key)

    async def first(self, key: str) -> bool:
        """Set the mark; whether it was not set before."""
        mark = with_format({})
        return (
            await self._access.put_if_version(SEEN, self.path(key), mark, None, expires_in=self._kept, durable=False)
            is not None
        )

    async def remove(self, key: str) -> None:
        """Remove the mark."""
        await self._access.delete(SEEN, self.path(key), durable=False)

    async def add(self, key_path: str) -> None:
        """Set a mark by its path."""
        await self._access.put(SEEN, key_path, with_format({}), expires_in=self._kept, durable=False)

    async def has(self, key_path: str) -> bool:
        """Whether the mark at a path is set."""
        return await self._access.get_or_none(SEEN, key_path) is not None


def hashed(key: str) -> str:
    """Return a key as a short text of fixed length, from which the person can't be found."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40]
