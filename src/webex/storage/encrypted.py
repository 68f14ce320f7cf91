"""A storage whose values are sealed: who reads the database learns which keys there are, and nothing of their values.

A sealed value is text, `webex1.<key id>.<base64url of nonce, ciphertext and tag>`: AES-256-GCM with a random nonce of
96 bits (NIST SP 800-38D §8.2.2: at most 2^32 values under one key). Namespace and key are authenticated with it, so a
value that was moved elsewhere does not open. What is sealed is the JSON `[value, expiry or null]`, the expiry in
seconds since the epoch, so that a value can be sealed anew for the time that it has left.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from webex.errors import ConfigurationError, DecryptionError, MissingKeyError
from webex.runtime import drive
from webex.storage.adapt import as_storage, is_asynchronous
from webex.storage.codec import check_duration, check_text, decode, encode
from webex.storage.faces import face, pages_of, settle
from webex.storage.protocol import Binding, Json, Lease, MaybeAwaitable, PlainBinding, Versioned

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["EncryptedStorage"]

_FORMAT = "webex1"
_KEY_SIZE = 32
_NONCE_SIZE = 12
_PAGE = 500
_HOW_TO_MAKE_ONE = "make one with EncryptedStorage.generate_key() and keep it where your other secrets are"


class EncryptedStorage:
    """Seals the values of another storage; everything else (expiry, versions, leases, listing) passes through.

    `storage` is anything that `as_storage` takes. Each of `keys` is 32 random bytes, or their base64 text
    (`generate_key()` makes one); a passphrase is refused with `ConfigurationError`. The first key seals, all of them
    open: to rotate, put the new key first, call `reseal`, and drop the old key when it is done.

    A value that was changed, moved to another key or namespace, never sealed, or sealed by a key that is not in the
    list raises `DecryptionError`.
    """

    def __init__(self, storage: object, keys: Sequence[bytes | str]) -> None:
        if isinstance(keys, bytes | str) or not isinstance(keys, Sequence):
            raise ConfigurationError("EncryptedStorage takes a list of keys, the one that seals first: keys=[key]")
        if not keys:
            raise ConfigurationError(f"EncryptedStorage needs at least one key: {_HOW_TO_MAKE_ONE}")
        self.inner = as_storage(storage)
        self._ring = _KeyRing([_key(given, position) for position, given in enumerate(keys, 1)])
        self.capabilities = self.inner.capabilities
        self.asynchronous = is_asynchronous(self.inner)
        for name in ("busy_timeout", "close"):
            if hasattr(self.inner, name):
                setattr(self, name, getattr(self.inner, name))
        if hasattr(self.inner, "bind_nonwaiting"):
            self.bind_nonwaiting = self._bind_nonwaiting

    @staticmethod
    def generate_key() -> str:
        """A new random key as base64 text, fit for an environment variable or a secret store."""
        return base64.b64encode(os.urandom(_KEY_SIZE)).decode()

    def bind(self, namespace: str) -> Binding:
        """The namespace, sealed; its methods are of the style of the storage inside."""
        return self._seal(self.inner.bind(namespace), namespace)

    def reseal(self, *namespaces: str) -> MaybeAwaitable[int]:
        """Seal with the first key whatever another key of the list has sealed; how many values that were.

        Safe while others use the storage, and to call again. Around an asynchronous storage the result has to be
        awaited. Needs the capabilities `scan` and `compare_and_swap`, else `ConfigurationError`.
        """
        missing = [name for name in ("scan", "compare_and_swap") if not getattr(self.capabilities, name)]
        if missing:
            raise ConfigurationError(
                f"values can't be sealed anew in {self.inner!r}: it has no {' and no '.join(missing)}"
            )
        work = self._reseal(namespaces)
        return work if self.asynchronous else drive(work)

    def __repr__(self) -> str:
        return f"EncryptedStorage({self.inner!r}, {len(self._ring)} keys)"

    async def _reseal(self, namespaces: Sequence[str]) -> int:
        count = 0
        for namespace in namespaces:
            core = _SealedCore(self.inner.bind(namespace), namespace, self._ring)
            async for page in core.keys(page_size=_PAGE):
                for key in page:
                    count += await core.reseal(key)
        return count

    def _bind_nonwaiting(self, namespace: str) -> Binding:
        return self._seal(self.inner.bind_nonwaiting(namespace), namespace)  # type: ignore[attr-defined]  # optional

    def _seal(self, binding: Binding | PlainBinding, namespace: str) -> Binding:
        check_text(namespace, "namespace")
        return face(
            _SealedCore(binding, namespace, self._ring),
            asynchronous=self.asynchronous,
            nonblocking_methods=frozenset(getattr(binding, "nonblocking_methods", ())),
        )


class _KeyRing:
    """The keys, of which only ids are ever shown."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._ciphers: dict[str, AESGCM] = {}
        for key in keys:
            self._ciphers.setdefault(_key_id(key), AESGCM(key))
        self.first = _key_id(keys[0])

    def __len__(self) -> int:
        return len(self._ciphers)

    def seal(self, data: bytes, bound_to: bytes) -> str:
        nonce = os.urandom(_NONCE_SIZE)
        sealed = nonce + self._ciphers[self.first].encrypt(nonce, data, bound_to)
        return f"{_FORMAT}.{self.first}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, text: Json, bound_to: bytes, place: str) -> tuple[bytes, str]:
        """The data, and the id of the key that sealed it."""
        from cryptography.exceptions import InvalidTag

        parts = text.split(".") if isinstance(text, str) else []
        if len(parts) != 3 or parts[0] != _FORMAT:
            raise DecryptionError(
                f"{place} holds a value that EncryptedStorage did not seal: it was written without encryption, or by "
                f"another program. It is not read"
            )
        cipher = self._ciphers.get(parts[1])
        if cipher is None:
            raise DecryptionError(
                f"{place} was sealed by the key with the id {parts[1]!r}, which is not among the keys given "
                f"({', '.join(self._ciphers)}): put that key back at the end of keys=[…] and call reseal()"
            )
        try:
            sealed = base64.b64decode(parts[2], altchars=b"-_", validate=True)
            return cipher.decrypt(sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:], bound_to), parts[1]
        except (InvalidTag, ValueError):
            raise DecryptionError(
                f"{place} can't be opened: the value was changed, or moved there from another key or namespace"
            ) from None


class _SealedCore:
    """One namespace, sealed."""

    def __init__(self, inner: Any, namespace: str, ring: _KeyRing) -> None:
        self._inner = inner
        self._namespace = namespace
        self._ring = ring

    async def get(self, key: str) -> Json:
        try:
            sealed = await settle(self._inner.get(key))
        except KeyError:
            raise MissingKeyError(key, self._namespace) from None
        return self._open(key, sealed)[0]

    async def put(self, key: str, value: Json, *, expires_in: float | None = None) -> None:
        await settle(self._inner.put(key, self._seal(key, value, expires_in), **_expiring(expires_in)))

    async def delete(self, key: str) -> None:
        await settle(self._inner.delete(key))

    async def clear(self) -> None:
        await settle(self._inner.clear())

    async def keys(self, prefix: str = "", *, page_size: int = 1000) -> AsyncIterator[list[str]]:
        async for page in pages_of(self._inner, prefix, page_size):
            yield page

    async def get_versioned(self, key: str) -> Versioned:
        try:
            sealed, version = await settle(self._inner.get_versioned(key))
        except KeyError:
            raise MissingKeyError(key, self._namespace) from None
        return Versioned(self._open(key, sealed)[0], version)

    async def put_if_version(
        self, key: str, value: Json, version: str | None, *, expires_in: float | None = None
    ) -> str | None:
        sealed = self._seal(key, value, expires_in)
        written: str | None = await settle(self._inner.put_if_version(key, sealed, version, **_expiring(expires_in)))
        return written

    async def delete_if_version(self, key: str, version: str) -> bool:
        return bool(await settle(self._inner.delete_if_version(key, version)))

    async def try_lease(self, name: str, ttl: float) -> Lease | None:
        lease: Lease | None = await settle(self._inner.try_lease(name, ttl))
        return lease

    async def lease_remaining(self, name: str) -> float:
        return float(await settle(self._inner.lease_remaining(name)))

    async def reseal(self, key: str) -> bool:
        """Seal one value with the first key; False when it already is, or is gone."""
        while True:
            try:
                sealed, version = await settle(self._inner.get_versioned(key))
            except KeyError:
                return False
            value, expires_at, key_id = self._open(key, sealed)
            if key_id == self._ring.first:
                return False
            expires_in = None if expires_at is None else expires_at - time.time()
            if expires_in is not None and expires_in <= 0:
                return False
            fresh = self._seal(key, value, expires_in)
            if await settle(self._inner.put_if_version(key, fresh, version, **_expiring(expires_in))) is not None:
                return True

    def _seal(self, key: str, value: Json, expires_in: float | None) -> str:
        check_text(key, "key")
        check_duration(expires_in, "expires_in")
        expires_at = None if expires_in is None else time.time() + expires_in
        return self._ring.seal(encode([value, expires_at]), self._bound_to(key))

    def _open(self, key: str, sealed: Json) -> tuple[Json, float | None, str]:
        place = f"the value under {key!r} in {self._namespace!r}"
        data, key_id = self._ring.open(sealed, self._bound_to(key), place)
        value, expires_at = decode(data)
        return value, expires_at, key_id

    def _bound_to(self, key: str) -> bytes:
        # The length keeps ("ab", "c") and ("a", "bc") apart.
        namespace = self._namespace.encode()
        return b"%s\0%d\0%s%s" % (_FORMAT.encode(), len(namespace), namespace, key.encode())


def _expiring(expires_in: float | None) -> dict[str, float]:
    return {} if expires_in is None else {"expires_in": expires_in}


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"webex storage key id\0" + key).hexdigest()[:12]


def _key(given: bytes | str, position: int) -> bytes:
    which = f"key {position} of EncryptedStorage"
    if isinstance(given, str):
        try:
            key = base64.b64decode(_padded(given.strip()), validate=True)
        except (ValueError, binascii.Error):
            key = b""
    elif isinstance(given, bytes | bytearray):
        key = bytes(given)
    else:
        raise ConfigurationError(f"{which} is {type(given).__name__}, not bytes or base64 text: {_HOW_TO_MAKE_ONE}")
    if len(key) != _KEY_SIZE:
        raise ConfigurationError(
            f"{which} is not {_KEY_SIZE} bytes, nor the base64 text of {_KEY_SIZE}: {_HOW_TO_MAKE_ONE}"
        )
    if all(0x20 <= byte < 0x7F for byte in key) or len(set(key)) < 8:
        raise ConfigurationError(f"{which} is a passphrase or a pattern, not random bytes: {_HOW_TO_MAKE_ONE}")
    return key


def _padded(text: str) -> str:
    return text.replace("-", "+").replace("_", "/").rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
