"""What is stored of a user's webhooks: which the app keeps for them, and whose events they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from webex.storage.access import StorageAccess, path, split_path
from webex.storage.formats import check_format, with_format

NAMESPACE: Final = "webhooks"  # client id, user key, name of the receiver[, org]
OWNERS: Final = "webhooks-owners"  # client id, person's UUID
BOTS: Final = "webhooks-bots"  # client id, name of the receiver
_OWNED: Final[dict[str, tuple[str, ...]]] = {"creator": (), "org": ("org",)}  # how the keys of records end


def place_of(client: str, key: str, name: str, owned_by: str = "creator") -> str:
    """Return the key of a record; webhooks of the organization have one beside those of the user."""
    return path(client, key, name, *_OWNED[owned_by])


async def save(access: StorageAccess, client: str, key: str, name: str, record: dict[str, Any]) -> None:
    """Note the webhooks of a user, and under which key events of theirs find them."""
    place = place_of(client, key, name, record["owned_by"])
    if await access.get_or_none(NAMESPACE, place) != with_format(record):
        await access.put(NAMESPACE, place, with_format(record))
    person = record.get("person")
    if person and person != key:
        await access.put(OWNERS, path(client, str(person)), with_format({"key": key}))


async def owner(access: StorageAccess, client: str, person: str) -> str:
    """Return the user key of a person: the one that was noted, else the UUID."""
    found = await access.get_or_none(OWNERS, path(client, person))
    check_format(found, "The keys of webhooks' owners")
    key = found.get("key") if isinstance(found, dict) else None
    return key if isinstance(key, str) else person


async def kept(access: StorageAccess, client: str, name: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Yield user keys, and what is kept for them by the receiver of this name."""
    if not access.capabilities.scan:
        return
    # Listed first: what is done with one record may take long, and write others.
    for place in [place async for place in access.keys(NAMESPACE, path(client, ""))]:
        parts = split_path(place)
        if len(parts) < 3 or parts[2] != name:
            continue
        record = await access.get_or_none(NAMESPACE, place)
        check_format(record, "The webhooks of a user")
        if isinstance(record, dict):
            yield parts[1], record


async def kept_for(access: StorageAccess, client: str, key: str, name: str) -> list[dict[str, Any]]:
    """Return what is kept for one user by the receiver of this name, their organization's webhooks last."""
    found: list[dict[str, Any]] = []
    for owned_by in _OWNED:
        record = await access.get_or_none(NAMESPACE, place_of(client, key, name, owned_by))
        check_format(record, "The webhooks of a user")
        found += [record] if isinstance(record, dict) else []
    return found


async def save_bot(access: StorageAccess, client: str, name: str, wanted: list[str], owned_by: str) -> None:
    """Note what the client that a receiver has as its source wants; nothing wanted removes the note."""
    place = path(client or "-", name, *_OWNED[owned_by])
    if wanted:
        await access.put(BOTS, place, with_format({"wanted": wanted, "owned_by": owned_by}))
    else:
        await access.delete(BOTS, place)


async def kept_for_bot(access: StorageAccess, client: str, name: str) -> list[dict[str, Any]]:
    """Return what was noted for the client that a receiver has as its source."""
    found: list[dict[str, Any]] = []
    for suffix in _OWNED.values():
        record = await access.get_or_none(BOTS, path(client or "-", name, *suffix))
        check_format(record, "The webhooks of a bot")
        found += [record] if isinstance(record, dict) else []
    return found


async def ids(access: StorageAccess, client: str, key: str) -> list[str]:
    """Return the ids of a user's webhooks."""
    found: list[str] = []
    async for place in _of(access, client, key):
        record = await access.get_or_none(NAMESPACE, place)
        listed = record.get("ids") if isinstance(record, dict) else None
        found += [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    return found


async def remove(access: StorageAccess, client: str, key: str, persons: Iterable[str]) -> None:
    """Remove what is stored of a user."""
    for namespace, place in await find(access, client, key, persons):
        await access.delete(namespace, place)


async def find(access: StorageAccess, client: str, key: str, persons: Iterable[str]) -> list[tuple[str, str]]:
    """Return the namespaces and keys of what is stored of a user."""
    found = [(NAMESPACE, place) async for place in _of(access, client, key)]
    for person in dict.fromkeys(persons):
        if await owner(access, client, person) == key != person:
            found.append((OWNERS, path(client, person)))
    return found


async def _of(access: StorageAccess, client: str, key: str) -> AsyncIterator[str]:
    if access.capabilities.scan:
        async for place in access.keys(NAMESPACE, path(client, key, "")):
            yield place
