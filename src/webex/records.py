"""Everything that is stored of one user: found and removed, in every namespace.

| namespace | key | what |
| --- | --- | --- |
| `credentials` | client id, user key | tokens, or the marker of a refusal |
| `sessions` | client id, hash of the id | browser sessions, and a list of them for each user |
| `realtime` | client id, user key, … | devices, and what was handled of their events |
| `webhooks` | client id, user key, receiver | the webhooks that the app keeps for them |
| `webhooks-owners` | client id, person's UUID | their user key, where it is not the UUID |
| `keys` | client id, person's UUID, … | content keys |
| `app/…` | client id, user key, … | the app's own state, which only `erase` removes |
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from webex.api import webhook_records as webhooks
from webex.auth import sessions, store
from webex.encryption import stored_keys as content_keys
from webex.errors import DecryptionError
from webex.ids import checked_key, is_uuid
from webex.realtime import records as realtime
from webex.storage.access import StorageAccess, path

if TYPE_CHECKING:
    from webex.auth.sessions import Sessions
    from webex.auth.sign_out import SignOut
    from webex.auth.store import CredentialStore, Record
    from webex.config import Config
    from webex.runtime.protocol import Runtime
    from webex.storage import StorageSet

_logger = logging.getLogger("webex.storage")

APP: Final = "app/"  # how the names of an app's own namespaces begin


class StoredKey(NamedTuple):
    """One value that is stored of a user: its namespace and its key there."""

    namespace: str
    key: str


class StoredValue(NamedTuple):
    """One value that is stored of a user, with its namespace and its key there; None for one that can't be read."""

    namespace: str
    key: str
    value: Any


_SECRETS: Final = frozenset({"access_token", "refresh_token", "id_token", "k", "verifier", "code_verifier", "nonce"})
_HIDDEN: Final = "(secret)"


class UserRecords:
    """What one app stores of its users: in `bounded`, and content keys in the unbounded one of `storage`."""

    def __init__(
        self,
        bounded: StorageAccess,
        storage: StorageSet,
        runtime: Runtime,
        credentials: CredentialStore,
        browser_sessions: Sessions,
        config: Config,
    ) -> None:
        self._bounded, self._storage, self._runtime = bounded, storage, runtime
        self._credentials, self._sessions = credentials, browser_sessions
        self._client = config.client_id or ""
        self._warned = False

    @property
    def _unbounded(self) -> StorageAccess:
        if self._storage.unbounded is self._storage.bounded:
            return self._bounded
        return StorageAccess(self._storage.unbounded, self._runtime)

    async def person_ids(self, key: str, record: Record | None = None) -> list[str]:
        """Return the UUIDs by which records of this user may be found, besides the user key."""
        found = [key] if is_uuid(key) else []
        record = record or await self._credentials.load_readable(key)
        named = record.person.get("id") if record is not None else None
        found += [named] if isinstance(named, str) else []
        found += await realtime.person_ids(self._bounded, self._client, key)
        return list(dict.fromkeys(found))

    async def end_sessions(self, key: str) -> None:
        """End all browser sessions of a user."""
        await self._sessions.end_all(key)

    async def device_urls(self, key: str) -> list[str]:
        """Return the URLs of the user's stored devices."""
        stored = await realtime.stored_devices(self._bounded, self._client, key)
        return [url for device in stored if isinstance(url := device.get("url"), str)]

    async def webhook_ids(self, key: str) -> list[str]:
        """Return the ids of the user's webhooks that the app keeps; without a storage that lists its keys, of none."""
        return await webhooks.ids(self._bounded, self._client, key)

    async def remove(self, key: str, record: Record | None = None, *, erase: bool = False) -> None:
        """Remove all records but the credentials; with `erase` also the app's own state, and what has to be searched.

        A storage that can't list its keys keeps content keys and what was stored under an unusual device name; that
        is logged.
        """
        await self._sessions.end_all(key, search=erase)
        ids = [each for each in await self.person_ids(key, record) if await self._is_theirs(key, each)]
        await realtime.remove(self._bounded, self._client, key, ids)
        await content_keys.remove(self._unbounded, self._client, ids)
        await webhooks.remove(self._bounded, self._client, key, ids)
        if erase:
            for access, namespace in await self._app_namespaces():
                async for found in _of(access, namespace, self._client, key):
                    await access.delete(namespace, found)
        for access in (self._bounded, self._unbounded):
            if not access.capabilities.scan:
                self._warn(access)

    async def find(self, key: str, person_ids: Iterable[str] = ()) -> list[StoredKey]:
        """Return what is stored of a user; needs storages that can list their keys, else `StorageError`."""
        found: list[StoredKey] = []
        if await _holds(self._bounded, store.NAMESPACE, self._credentials.path(key)):
            found.append(StoredKey(store.NAMESPACE, self._credentials.path(key)))
        found += [StoredKey(sessions.NAMESPACE, name) for name in await self._sessions.find_all(key)]
        ids = list(dict.fromkeys([*await self.person_ids(key), *person_ids]))
        ids = [each for each in ids if await self._is_theirs(key, each)]
        found += [StoredKey(realtime.NAMESPACE, n) async for n in realtime.find(self._bounded, self._client, key, ids)]
        found += [
            StoredKey(content_keys.NAMESPACE, n) async for n in content_keys.find(self._unbounded, self._client, ids)
        ]
        found += [StoredKey(*each) for each in await webhooks.find(self._bounded, self._client, key, ids)]
        for access, namespace in await self._app_namespaces():
            found += [StoredKey(namespace, name) async for name in _of(access, namespace, self._client, key)]
        return found

    async def values(self, key: str, *, secrets: bool) -> list[StoredValue]:
        """Return all that is stored of a user, as `find` finds it; without `secrets` their places say so."""
        found: list[StoredValue] = []
        for namespace, name in await self.find(key):
            value = await _readable(self._bounded, namespace, name)
            if value is None and self._unbounded.storage is not self._bounded.storage:
                value = await _readable(self._unbounded, namespace, name)
            found.append(StoredValue(namespace, name, value if secrets else _without_secrets(value)))
        return found

    async def _is_theirs(self, key: str, person_id: str) -> bool:
        """Whether records under a person's UUID may go: not when that person is also signed in under the UUID."""
        if person_id == key:
            return True
        return not await _holds(self._bounded, store.NAMESPACE, self._credentials.path(person_id))

    async def _app_namespaces(self) -> list[tuple[StorageAccess, str]]:
        accesses = [self._bounded]
        if self._unbounded.storage is not self._bounded.storage:
            accesses.append(self._unbounded)
        found: list[tuple[StorageAccess, str]] = []
        for access in accesses:
            names = await access.namespaces() if access.capabilities.scan else None
            found += [(access, name) for name in names or () if name.startswith(APP)]
        return found

    def _warn(self, access: StorageAccess) -> None:
        if not self._warned:
            self._warned = True
            _logger.warning(
                "%r can't list its keys: of a user who signs out, content keys and records of unusual device names "
                "stay in it. Add keys(prefix) to the adapter.",
                access.storage,
            )


async def _of(access: StorageAccess, namespace: str, client: str, key: str) -> AsyncIterator[str]:
    """Keys of an app's namespace that belong to a user: `path(client_id, user_key)` and all below it."""
    exact = path(client, key)
    if await _holds(access, namespace, exact):
        yield exact
    async for found in access.keys(namespace, path(client, key, "")):
        yield found


async def _holds(access: StorageAccess, namespace: str, key: str) -> bool:
    """Whether there is a value, readable or not."""
    try:
        return await access.get_or_none(namespace, key) is not None
    except DecryptionError:
        return True


async def _readable(access: StorageAccess, namespace: str, key: str) -> Any:
    try:
        return await access.get_or_none(namespace, key)
    except DecryptionError:
        return None


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _HIDDEN if name in _SECRETS and each else _without_secrets(each) for name, each in value.items()}
    return [_without_secrets(each) for each in value] if isinstance(value, list) else value


async def erase(records: UserRecords, sign_out: SignOut, key: str) -> list[StoredKey]:
    """Sign a user out and remove all that is stored of them; return what is left."""
    key = checked_key(key)
    ids = await records.person_ids(key)
    await sign_out.sign_out(key, erase=True)
    return await records.find(key, ids)


async def stored(records: UserRecords, key: str) -> list[StoredKey]:
    """Return what is stored of a user."""
    return await records.find(checked_key(key))


async def export(records: UserRecords, key: str, *, secrets: bool) -> list[StoredValue]:
    """Return what is stored of a user, with its values."""
    return await records.values(checked_key(key), secrets=secrets)
