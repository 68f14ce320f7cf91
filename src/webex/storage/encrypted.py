"""A storage whose values are encrypted: the database shows which keys there are, and nothing of their values.

An encrypted value is text that names its key (`encryption_keys.py`). Namespace and key are authenticated with it, so a
value that was moved elsewhere can't be decrypted. The plaintext is the JSON `[value, expiry or null]`, the expiry in
seconds since the epoch, so that a value can be encrypted anew for the time that it has left.
"""

from __future__ import annotations

import base64
import os
import time
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, NamedTuple

from webex.errors import ConfigurationError, MissingKeyError
from webex.runtime import drive
from webex.storage.adapt import as_storage, is_asynchronous
from webex.storage.codec import check_duration, check_text, decode, encode
from webex.storage.encryption_keys import KeyRing, is_encrypted, ring_of
from webex.storage.key_service import KEY_SIZE, EnvelopeKey
from webex.storage.protocol import Binding, Capabilities, Json, Lease, MaybeAwaitable, PlainBinding, Storage, Versioned
from webex.storage.reserved import NOTES
from webex.storage.wrappers import in_style, pages_of, settle

__all__ = ["EncryptedStorage", "EnvelopeKey", "ReencryptProgress"]

_PAGE = 500


class ReencryptProgress(NamedTuple):
    """How far `reencrypt` came: the namespace that it is in, values seen and encrypted anew there and before."""

    namespace: str
    seen: int
    reencrypted: int


class EncryptedStorage:
    """Encrypts the values of another storage; everything else (expiry, versions, leases, listing) passes through.

    `storage` is anything that `as_storage` takes. Each of `keys` is 32 random bytes, or their base64 text
    (`generate_key()` makes one), or an `EnvelopeKey` that a key service keeps; a passphrase is refused with
    `ConfigurationError`. The first key encrypts, all of them decrypt: to rotate, put the new key first, call
    `reencrypt`, and drop the old key when it is done.

    A value that was changed, moved to another key or namespace, never encrypted, or encrypted by a key that is not in
    the list raises `DecryptionError`.
    """

    def __init__(self, storage: object, keys: Sequence[bytes | str | EnvelopeKey]) -> None:
        self._ring = ring_of(keys)
        self.inner: Storage = as_storage(storage)
        if getattr(self.inner, "hides_notes", False):
            raise ConfigurationError(
                "put an EncryptedStorage around each of the two storages of a MigratingStorage, not around itself"
            )
        self.capabilities: Capabilities = self.inner.capabilities
        if self._ring.waits:
            self.capabilities = replace(self.capabilities, nonblocking=False)
        self.asynchronous: bool = is_asynchronous(self.inner)
        for name in ("busy_timeout", "close", "aclose", "namespaces", "namespaces_async"):
            if hasattr(self.inner, name):
                setattr(self, name, getattr(self.inner, name))
        if hasattr(self.inner, "bind_nonwaiting"):
            self.bind_nonwaiting: Callable[[str], Binding] = self._bind_nonwaiting
        if hasattr(self.inner, "bind_async"):
            self.bind_async: Callable[[str], Binding] = self._bind_async

    @staticmethod
    def generate_key() -> str:
        """Generate a random key as base64 text, fit for an environment variable or a secret store."""
        return base64.b64encode(os.urandom(KEY_SIZE)).decode()

    def bind(self, namespace: str) -> Binding:
        """Return the namespace, encrypted; its methods are of the style of the storage inside."""
        return self._encrypted(self.inner.bind(namespace), namespace)

    def reencrypt(
        self, *namespaces: str, progress: Callable[[ReencryptProgress], object] | None = None
    ) -> MaybeAwaitable[int]:
        """Encrypt with the first key what another key of the list has encrypted; return how many values that were.

        All namespaces, or those that are named. `progress` is called after each page of keys. Safe while others use
        the storage, and to call again, also after an interruption: values that have the first key already are only
        read. Around an asynchronous storage the result has to be awaited; over one of both styles
        `reencrypt_async` does the same in an event loop. Needs the capabilities `scan` and `compare_and_swap`, and
        `namespaces()` when none is named, else `ConfigurationError`.
        """
        work = self._reencrypt(namespaces, progress, asynchronous=self.asynchronous)
        return work if self.asynchronous else drive(work)

    async def reencrypt_async(
        self, *namespaces: str, progress: Callable[[ReencryptProgress], object] | None = None
    ) -> int:
        """Encrypt with the first key what another key of the list has encrypted; see `reencrypt`."""
        return await self._reencrypt(namespaces, progress, asynchronous=True)

    def reseal(
        self, *namespaces: str, progress: Callable[[ReencryptProgress], object] | None = None
    ) -> MaybeAwaitable[int]:
        """Do what `reencrypt` does. Deprecated: the former name of it, which goes with 0.3."""
        warnings.warn("EncryptedStorage.reseal is now reencrypt; the old name goes with 0.3.", DeprecationWarning, 2)
        return self.reencrypt(*namespaces, progress=progress)

    def __repr__(self) -> str:
        return f"EncryptedStorage({self.inner!r}, {len(self._ring)} keys)"

    async def _reencrypt(
        self, named: Sequence[str], progress: Callable[[ReencryptProgress], object] | None, *, asynchronous: bool
    ) -> int:
        missing = [name for name in ("scan", "compare_and_swap") if not getattr(self.capabilities, name)]
        if missing:
            raise ConfigurationError(
                f"values can't be encrypted anew in {self.inner!r}: it has no {' and no '.join(missing)}"
            )
        both = getattr(self.inner, "bind_async", None) if asynchronous else None
        bind: Callable[[str], Any] = both or self.inner.bind
        seen = count = 0
        for namespace in named or await self._every_namespace(asynchronous=asynchronous):
            binding = _EncryptedAsyncBinding(bind(namespace), namespace, self._ring, asynchronous=asynchronous)
            async for page in binding.keys(page_size=_PAGE):
                for key in await binding.outdated(page) if self.capabilities.bulk else page:
                    count += await binding.reencrypt(key)
                seen += len(page)
                if progress is not None:
                    progress(ReencryptProgress(namespace, seen, count))
        return count

    async def _every_namespace(self, *, asynchronous: bool) -> list[str]:
        both = getattr(self.inner, "namespaces_async", None) if asynchronous else None
        found: Callable[[], Any] | None = both or getattr(self.inner, "namespaces", None)
        if found is None:
            raise ConfigurationError(
                f"{self.inner!r} can't tell its namespaces: name them, reencrypt('credentials', …)"
            )
        names: list[str] = await settle(found())
        return names

    def _bind_nonwaiting(self, namespace: str) -> Binding:
        return self._encrypted(self.inner.bind_nonwaiting(namespace), namespace)  # type: ignore[attr-defined]  # optional

    def _bind_async(self, namespace: str) -> Binding:
        return self._encrypted(self.inner.bind_async(namespace), namespace, asynchronous=True)  # type: ignore[attr-defined]  # optional

    def _encrypted(
        self, binding: Binding | PlainBinding, namespace: str, *, asynchronous: bool | None = None
    ) -> Binding:
        check_text(namespace, "namespace")
        awaited = self.asynchronous if asynchronous is None else asynchronous
        return in_style(
            _EncryptedAsyncBinding(binding, namespace, self._ring, asynchronous=awaited),
            asynchronous=awaited,
            wrapped=None if self._ring.waits else binding,  # a call that may wait is made in a thread
        )


class _EncryptedAsyncBinding:
    """One namespace, encrypted."""

    def __init__(self, inner: Any, namespace: str, ring: KeyRing, *, asynchronous: bool) -> None:
        self._inner = inner
        self._namespace = namespace
        self._ring = ring
        self._asynchronous = asynchronous

    async def get(self, key: str) -> Json:
        try:
            encrypted = await settle(self._inner.get(key))
        except KeyError:
            raise MissingKeyError(key, self._namespace) from None
        return (await self._decrypt(key, encrypted))[0]

    async def time_left(self, key: str) -> float | None:
        left: float | None = await settle(self._inner.time_left(key))
        return left

    async def get_many(self, keys: Sequence[str]) -> dict[str, Json]:
        found = await settle(self._inner.get_many(keys))
        return {key: (await self._decrypt(key, encrypted))[0] for key, encrypted in found.items()}

    async def put(self, key: str, value: Json, *, expires_in: float | None = None, **options: Any) -> None:
        encrypted = await self._encrypt(key, value, expires_in)
        await settle(self._inner.put(key, encrypted, **_expiring(expires_in), **options))

    async def delete(self, key: str, **options: Any) -> None:
        await settle(self._inner.delete(key, **options))

    async def clear(self) -> None:
        await settle(self._inner.clear())

    async def keys(self, prefix: str = "", *, page_size: int = 1000) -> AsyncIterator[list[str]]:
        async for page in pages_of(self._inner, prefix, page_size):
            yield page

    async def get_versioned(self, key: str) -> Versioned:
        try:
            encrypted, version = await settle(self._inner.get_versioned(key))
        except KeyError:
            raise MissingKeyError(key, self._namespace) from None
        return Versioned((await self._decrypt(key, encrypted))[0], version)

    async def put_if_version(
        self, key: str, value: Json, version: str | None, *, expires_in: float | None = None, **options: Any
    ) -> str | None:
        encrypted = await self._encrypt(key, value, expires_in)
        options = {**_expiring(expires_in), **options}
        written: str | None = await settle(self._inner.put_if_version(key, encrypted, version, **options))
        return written

    async def delete_if_version(self, key: str, version: str, **options: Any) -> bool:
        return bool(await settle(self._inner.delete_if_version(key, version, **options)))

    async def try_lease(self, name: str, ttl: float) -> Lease | None:
        lease: Lease | None = await settle(self._inner.try_lease(name, ttl))
        return lease

    async def lease_remaining(self, name: str) -> float:
        return float(await settle(self._inner.lease_remaining(name)))

    async def notify(self, key: str) -> None:
        await settle(self._inner.notify(key))

    async def notifications(self) -> AsyncGenerator[str | None, None]:
        async with aclosing(self._inner.notifications()) as told:
            async for key in told:
                yield key

    async def outdated(self, keys: Sequence[str]) -> list[str]:
        """Return the keys whose values another key than the first one has encrypted, in one trip."""
        found: dict[str, Json] = await settle(self._inner.get_many(keys))
        return [key for key, encrypted in found.items() if self._is_outdated(key, encrypted)]

    def _is_outdated(self, key: str, encrypted: Json) -> bool:
        if self._namespace == NOTES and not is_encrypted(encrypted):
            return False  # a note of the storage inside
        return self._ring.encrypted_by(encrypted, self._place(key)) != self._ring.first

    async def reencrypt(self, key: str) -> bool:
        """Encrypt one value with the first key; False when it already is, or is gone."""
        while True:
            try:
                encrypted, version = await settle(self._inner.get_versioned(key))
            except KeyError:
                return False
            if not self._is_outdated(key, encrypted):
                return False
            value, expires_at = await self._decrypt(key, encrypted)
            expires_in = None if expires_at is None else expires_at - time.time()
            if expires_in is not None and expires_in <= 0:
                return False
            fresh = await self._encrypt(key, value, expires_in)
            if await settle(self._inner.put_if_version(key, fresh, version, **_expiring(expires_in))) is not None:
                return True

    async def _encrypt(self, key: str, value: Json, expires_in: float | None) -> str:
        check_text(key, "key")
        check_duration(expires_in, "expires_in")
        expires_at = None if expires_in is None else time.time() + expires_in
        data = encode([value, expires_at])
        return await self._ring.encrypt(data, self._bound_to(key), asynchronous=self._asynchronous)

    async def _decrypt(self, key: str, encrypted: Json) -> tuple[Json, float | None]:
        bound_to, place = self._bound_to(key), self._place(key)
        data, _ = await self._ring.decrypt(encrypted, bound_to, place, asynchronous=self._asynchronous)
        value, expires_at = decode(data)
        return value, expires_at

    def _place(self, key: str) -> str:
        return f"the value under {key!r} in {self._namespace!r}"

    def _bound_to(self, key: str) -> bytes:
        # The length keeps ("ab", "c") and ("a", "bc") apart.
        namespace = self._namespace.encode()
        return b"%d\0%s%s" % (len(namespace), namespace, key.encode())


def _expiring(expires_in: float | None) -> dict[str, float]:
    return {} if expires_in is None else {"expires_in": expires_in}
