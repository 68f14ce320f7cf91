"""Where the records of listening are in the storage, and how they are removed.

Keys begin with the client id and the user key. The checkpoint of an app's own user key names the person's UUID too,
because another person may sign in under the same key. Earlier versions kept it under the UUID alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from webex.errors import DecryptionError
from webex.ids import is_uuid
from webex.storage.paths import path, split_path

if TYPE_CHECKING:
    from webex.storage.access import StorageAccess

NAMESPACE: Final = "realtime"
DEFAULT_NAME: Final = "webex-python-sdk"  # of a device
WINDOW: Final = 512  # events whose repeats are recognised after a restart


def device_path(client: str, user_key: str, device_name: str) -> str:
    """Return the storage key of a device's registration."""
    return path(client, user_key, device_name, "device")


def checkpoint_owner(client: str, user_key: str, person_id: str, device_name: str) -> tuple[str, ...]:
    """Return the first parts of a checkpoint's storage keys."""
    return (client, user_key, device_name) if user_key == person_id else (client, user_key, person_id, device_name)


async def find(storage: StorageAccess, client: str, user_key: str, person_ids: Iterable[str]) -> AsyncIterator[str]:
    """Yield the storage keys of all that listening has stored of a user."""
    for owner in dict.fromkeys((user_key, *person_ids)):
        async for key in storage.keys(NAMESPACE, path(client, owner, "")):
            yield key


async def stored_devices(storage: StorageAccess, client: str, user_key: str) -> list[dict[str, Any]]:
    """Return the records of a user's registered devices, as WDM answered them."""
    if storage.capabilities.scan:
        prefix = path(client, user_key, "")
        keys = [key async for key in storage.keys(NAMESPACE, prefix) if split_path(key)[2:][1:] == ("device",)]
    else:
        keys = [device_path(client, user_key, DEFAULT_NAME)]
    found = []
    for key in keys:
        with suppress(DecryptionError):  # a device that can't be read can't be deleted at Webex
            found.append(await storage.get_or_none(NAMESPACE, key))
    return [each["record"] for each in found if isinstance(each, dict) and isinstance(each.get("record"), dict)]


async def person_ids(storage: StorageAccess, client: str, user_key: str) -> list[str]:
    """Return the UUIDs of the people that devices and checkpoints under a user key belong to."""
    found = [str(record.get("userId") or "").lower() for record in await stored_devices(storage, client, user_key)]
    if storage.capabilities.scan:
        async for key in storage.keys(NAMESPACE, path(client, user_key, "")):
            found += [part for part in split_path(key)[2:3] if is_uuid(part)]
    return [each for each in dict.fromkeys(found) if is_uuid(each)]


async def remove(storage: StorageAccess, client: str, user_key: str, person_ids: Iterable[str]) -> None:
    """Remove all that listening has stored of a user; without a listing of keys, that of the default device name."""
    ids = tuple(person_ids)
    if storage.capabilities.scan:
        async for key in find(storage, client, user_key, ids):
            await storage.delete(NAMESPACE, key, durable=False)
        return
    await storage.delete(NAMESPACE, device_path(client, user_key, DEFAULT_NAME), durable=False)
    owners = {checkpoint_owner(client, user_key, each, DEFAULT_NAME) for each in (user_key, *ids)}
    for owner in {*owners, *((client, each, DEFAULT_NAME) for each in ids)}:
        await remove_checkpoint(storage, owner)


async def remove_checkpoint(storage: StorageAccess, owner: tuple[str, ...]) -> None:
    """Remove one checkpoint, slot by slot."""
    if not await _exists(storage, path(*owner, "head")):
        return
    await storage.delete(NAMESPACE, path(*owner, "head"), durable=False)
    for index in range(WINDOW):
        key = path(*owner, f"slot-{index}")
        if not await _exists(storage, key):
            return
        await storage.delete(NAMESPACE, key, durable=False)


async def _exists(storage: StorageAccess, key: str) -> bool:
    try:
        return await storage.get_or_none(NAMESPACE, key) is not None
    except DecryptionError:
        return True
