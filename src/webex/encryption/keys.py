"""Content keys: fetched from the key service, kept for the user they were given to, and for nobody else.

One `KeyRing` a process bounds how many keys are kept, the least recently used go first. An entry belongs to the pair of
user and key URL: who was not given a key by the key service does not read with it because somebody else was.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from webex.encryption.channel import secret_of, shared
from webex.encryption.jose import Cipher
from webex.errors import DecryptionError, KMSError
from webex.ids import base64url_encode

if TYPE_CHECKING:
    from webex.encryption.channel import KMSChannel
    from webex.storage.access import StorageAccess

_NAMESPACE: Final = "keys"


class KeyRing:
    """The keys of a process, at most `size` of them."""

    __slots__ = ("_keys", "size")

    def __init__(self, size: int = 20_000) -> None:
        self._keys: OrderedDict[tuple[str, str], Cipher] = OrderedDict()
        self.size = size

    def find(self, user: str, url: str) -> Cipher | None:
        """The key, if this user has it."""
        key = (user, url)
        cipher = self._keys.get(key)
        if cipher is not None:
            self._keys.move_to_end(key)
        return cipher

    def keep(self, user: str, url: str, cipher: Cipher) -> None:
        """Keep it for this user."""
        self._keys[(user, url)] = cipher
        while len(self._keys) > self.size:
            self._keys.popitem(last=False)

    def drop(self, user: str, url: str) -> None:
        """Keep it no longer."""
        self._keys.pop((user, url), None)

    def __len__(self) -> int:
        return len(self._keys)


class UserKeys:
    """One user's keys. `storage`, where given, is one that encrypts: keys never rest in the clear.

    `user` is the person's UUID: it has to be set before a key is asked for.
    """

    def __init__(self, user: str, channel: KMSChannel, ring: KeyRing, storage: StorageAccess | None = None) -> None:
        self.user = user
        self._channel, self._ring, self._storage = channel, ring, storage
        self._fetching: dict[str, asyncio.Task[Cipher]] = {}

    def cached(self, url: str) -> Cipher | None:
        """The key, if it is at hand."""
        return self._ring.find(self.user, url)

    async def get(self, url: str) -> Cipher:
        """The key; callers at the same time share one request. `KMSError` when the key service refuses."""
        cipher = self.cached(url)
        if cipher is not None:
            return cipher
        if not isinstance(url, str) or not url.startswith("kms://"):
            raise DecryptionError("What was encrypted names no key that can be asked for.")
        task = self._fetching.get(url)
        if task is None:
            task = self._fetching[url] = asyncio.ensure_future(self._fetch(url))
            task.add_done_callback(lambda done: self._landed(url, done))
        return await shared(task, "The connection was closed before the key came.")

    async def create(self) -> tuple[str, Cipher]:
        """A new key, bound to nothing yet: its URL and itself."""
        answer = await self._channel.request({"method": "create", "uri": "/keys", "count": 1})
        keys = answer.get("keys")
        if not isinstance(keys, list) or not keys or not isinstance(keys[0], dict):
            raise KMSError("The key service made no key.")
        url = keys[0].get("uri")
        if not isinstance(url, str):
            raise KMSError("The key service made a key without a name.")
        cipher = Cipher(secret_of(keys[0]))
        self._ring.keep(self.user, url, cipher)
        return url, cipher

    async def bind(self, url: str, resource_url: str) -> None:
        """Let everybody who is authorised on a resource fetch this key."""
        await self._channel.request({"method": "update", "uri": url, "resourceUri": resource_url})

    async def create_resource(self, user_ids: Sequence[str], key_urls: Sequence[str]) -> str:
        """A new resource with these keys, for these users: its URL."""
        payload = {"method": "create", "uri": "/resources", "userIds": list(user_ids), "keyUris": list(key_urls)}
        answer = await self._channel.request(payload)
        resource = answer.get("resource")
        url = resource.get("uri") if isinstance(resource, dict) else None
        if not isinstance(url, str):
            raise KMSError("The key service made no resource.")
        return url

    async def authorize(self, resource_url: str, user_ids: Sequence[str]) -> None:
        """Let further users fetch the keys of a resource."""
        await self._channel.request(
            {"method": "create", "uri": "/authorizations", "resourceUri": resource_url, "userIds": list(user_ids)}
        )

    async def revoke(self, resource_url: str, user_id: str) -> None:
        """Let a user fetch the keys of a resource no longer."""
        await self._channel.request({"method": "delete", "uri": f"{resource_url}/authorizations?authId={user_id}"})

    def drop(self, url: str) -> None:
        """Keep a key no longer (it was revoked)."""
        self._ring.drop(self.user, url)

    async def close(self) -> None:
        """End the requests under way."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, url: str) -> Cipher:
        if self._storage is not None:
            stored = await self._storage.get_or_none(_NAMESPACE, self._name(url))
            with suppress(KMSError):  # what can't be read is asked for anew
                cipher = Cipher(secret_of(stored))
                self._ring.keep(self.user, url, cipher)
                return cipher
        key = await self._retrieve(url)
        cipher = Cipher(secret_of(key))
        self._ring.keep(self.user, url, cipher)
        if self._storage is not None:
            await self._storage.put(_NAMESPACE, self._name(url), {"jwk": {"kty": "oct", "k": key["jwk"]["k"]}})
        return cipher

    async def _retrieve(self, url: str) -> Any:
        answer = await self._channel.request({"method": "retrieve", "uri": url})
        moved = answer.get("redirectUri")
        if answer.get("errorCode") == 301002 and isinstance(moved, str):
            answer = await self._channel.request({"method": "retrieve", "uri": moved})
        key = answer.get("key")
        if not isinstance(key, dict):
            raise KMSError("The key service gave out no key.")
        return key

    def _name(self, url: str) -> str:
        return f"{self.user}/{base64url_encode(url)}"

    def _landed(self, url: str, task: asyncio.Task[Cipher]) -> None:
        self._fetching.pop(url, None)
        if not task.cancelled():
            task.exception()
