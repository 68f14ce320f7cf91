"""Find and remove the content keys of a person in the storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Final

from webex.ids import base64url_encode
from webex.storage.paths import path

if TYPE_CHECKING:
    from webex.storage.access import StorageAccess

NAMESPACE: Final = "keys"


def key_path(client_id: str, person_id: str, url: str) -> str:
    """Return the storage key of the content key with this URL."""
    if not client_id:
        return old_key_path(person_id, url)
    return path(client_id, person_id, base64url_encode(url))


def old_key_path(person_id: str, url: str) -> str:
    """Return the same of earlier versions, whose apps shared the keys of a person."""
    return f"{person_id}/{base64url_encode(url)}"


async def find(storage: StorageAccess, client_id: str, person_ids: Iterable[str]) -> AsyncIterator[str]:
    """Yield the storage keys of all content keys of these people."""
    for person_id in person_ids:
        for prefix in dict.fromkeys((path(client_id, person_id, ""), path(person_id, ""))):
            if prefix.startswith("/"):
                continue
            async for key in storage.keys(NAMESPACE, prefix):
                yield key


async def remove(storage: StorageAccess, client_id: str, person_ids: Iterable[str]) -> None:
    """Remove all content keys of these people, where the storage can list its keys."""
    if storage.capabilities.scan:
        async for key in find(storage, client_id, person_ids):
            await storage.delete(NAMESPACE, key, durable=False)
