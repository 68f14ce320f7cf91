"""Fetch content keys from the key service and keep each for the user that it was given to.

One `KeyRing` a process bounds how many keys are kept, the least recently used go first. An entry belongs to the pair of
user and key URL: a user that the key service refused a key does not decrypt with it because another user has it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from webex.encryption.channel import secret_of, shared
from webex.encryption.content import reaction_hmac
from webex.encryption.jose import Cipher
from webex.encryption.stored_keys import NAMESPACE, key_path, old_key_path
from webex.errors import DecryptionError, KMSError
from webex.storage.formats import check_format, with_format

if TYPE_CHECKING:
    from webex.encryption.channel import KMSChannel
    from webex.storage.access import StorageAccess


class KeyRing:
    """Hold the keys of a process, at most `size` of them."""

    __slots__ = ("_keys", "size")

    def __init__(self, size: int = 20_000) -> None:
        self._keys: OrderedDict[tuple[str, str], Cipher] = OrderedDict()
        self.size: int = size

    def find(self, user: str, url: str) -> Cipher | None:
        """Return the key, if this user has it."""
        key = (user, url)
        cipher = self._keys.get(key)
        if cipher is not None:
            self._keys.move_to_end(key)
        return cipher

    def keep(self, user: str, url: str, cipher: Cipher) -> None:
        """Keep the key for this user."""
        self._keys[(user, url)] = cipher
        while len(self._keys) > self.size:
            self._keys.popitem(last=False)

    def drop(self, user: str, url: str) -> None:
        """Forget the key."""
        self._keys.pop((user, url), None)

    def drop_user(self, user: str) -> None:
        """Forget all keys of this user."""
        for key in [key for key in self._keys if key[0] == user]:
            self._keys.pop(key, None)

    def __len__(self) -> int:
        return len(self._keys)


class UserKeys:
    """Fetch and keep one user's keys. `storage`, where given, encrypts: keys are never stored in the clear.

    `user` is the person's UUID: it has to be set before a key is asked for.
    """

    def __init__(
        self,
        user: str,
        channel: KMSChannel,
        ring: KeyRing,
        storage: StorageAccess | None = None,
        *,
        client_id: str = "",
    ) -> None:
        self.user = user
        self._client_id = client_id
        self._channel, self._ring, self._storage = channel, ring, storage
        self._fetching: dict[str, asyncio.Task[Cipher]] = {}

    def cached(self, url: str) -> Cipher | None:
        """Return the key, if it is in memory."""
        return self._ring.find(self.user, url)

    async def get(self, url: str) -> Cipher:
        """Return the key; concurrent callers share one request. `KMSError` when the key service refuses."""
        cipher = self.cached(url)
        if cipher is not None:
            return cipher
        if not isinstance(url, str) or not url.startswith("kms://"):
            raise DecryptionError("What was encrypted names no key that can be asked for.")
        task = self._fetching.get(url)
        if task is None:
            task = self._fetching[url] = asyncio.ensure_future(self._fetch(url))
            task.add_done_callback(lambda done: self._on_done(url, done))
        return await shared(task, "The connection was closed before the key came.")

    async def reaction_hmac(self, url: str, message_id: str, name: str) -> str:
        """Return the proof of a reaction to a message that is encrypted with this key; raises as `get` does."""
        cipher = await self.get(url)
        return reaction_hmac(message_id, name, cipher.jwk(url.rpartition("/")[2]))

    async def create(self) -> tuple[str, Cipher]:
        """Create a key that is bound to nothing yet; return its URL and cipher."""
        answer = await self._channel.request({"method": "create", "uri": "/keys", "count": 1})
        keys = answer.get("keys")
        if not isinstance(keys, list) or not keys or not isinstance(keys[0], dict):
            raise KMSError("The key service made no key.")
        url = keys[0].get("uri")
        if not isinstance(url, str):
            raise KMSError("The key service made a key without a name.")
        cipher = Cipher(secret_of(keys[0]), kid=_kid_of(keys[0]))
        self._ring.keep(self.user, url, cipher)
        return url, cipher

    def drop(self, url: str) -> None:
        """Forget a key, which was revoked."""
        self._ring.drop(self.user, url)

    def forget(self) -> None:
        """Forget this user's keys in memory, and store none from now on."""
        self._storage = None
        self._ring.drop_user(self.user)

    async def close(self) -> None:
        """End the requests under way."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, url: str) -> Cipher:
        if self._storage is not None:
            stored = await self._storage.get_or_none(NAMESPACE, key_path(self._client_id, self.user, url))
            if stored is None and self._client_id:
                stored = await self._storage.get_or_none(NAMESPACE, old_key_path(self.user, url))
            check_format(stored, "The data of a content key")
            with suppress(KMSError):  # what can't be read is asked for anew
                cipher = Cipher(secret_of(stored), kid=_kid_of(stored))
                self._ring.keep(self.user, url, cipher)
                return cipher
        key = await self._retrieve(url)
        cipher = Cipher(secret_of(key), kid=_kid_of(key))
        self._ring.keep(self.user, url, cipher)
        if self._storage is not None:
            kid = {} if cipher.kid is None else {"kid": cipher.kid}
            stored = with_format({"jwk": {"kty": "oct", "k": key["jwk"]["k"], **kid}})
            await self._storage.put(NAMESPACE, key_path(self._client_id, self.user, url), stored, durable=False)
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

    def _on_done(self, url: str, task: asyncio.Task[Cipher]) -> None:
        self._fetching.pop(url, None)
        if not task.cancelled():
            task.exception()


def _kid_of(key: Any) -> str | None:
    """Return the name that a key has in its JWK; keys that were stored by earlier versions lack it."""
    kid = key["jwk"].get("kid")
    return kid if isinstance(kid, str) else None
