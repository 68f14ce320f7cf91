"""The keys of an `EncryptedStorage`: their own bytes, or data keys that a key service wraps.

A value that a key of 32 bytes encrypted is the text `webex1.<key id>.<base64url of nonce, ciphertext and tag>`. One
that a key service keeps encrypts with data keys, which it makes and wraps: `webex2.<key id>.<wrapped data key>.<…>`, so
that each record can be decrypted with the key service alone. AES-256-GCM with a random nonce of 96 bits (NIST SP
800-38D §8.2.2: at most 2^32 values under one key).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from typing import Final

from webex.errors import ConfigurationError, DecryptionError
from webex.storage.key_service import KEY_SIZE, EnvelopeKey, cipher_of
from webex.storage.protocol import Json

__all__ = ["KeyRing", "is_encrypted", "ring_of"]

_OWN, _WRAPPED = "webex1", "webex2"
_NONCE_SIZE = 12
_HOW_TO_MAKE_ONE: Final = "make one with EncryptedStorage.generate_key() and keep it where your other secrets are"


class _OwnKey:
    """A key whose bytes are known."""

    def __init__(self, key: bytes) -> None:
        self.key_id = hashlib.sha256(b"webex storage key id\0" + key).hexdigest()[:12]
        self.cipher = cipher_of(key)


class KeyRing:
    """The keys, of which only ids are ever shown. The first one encrypts, all of them decrypt."""

    def __init__(self, keys: Sequence[_OwnKey | EnvelopeKey]) -> None:
        self._keys: dict[str, _OwnKey | EnvelopeKey] = {}
        for key in keys:
            self._keys.setdefault(key.key_id, key)
        self.first: str = keys[0].key_id

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def waits(self) -> bool:
        """Whether encrypting and decrypting may have to wait for a key service."""
        return any(isinstance(key, EnvelopeKey) for key in self._keys.values())

    async def encrypt(self, data: bytes, bound_to: bytes, *, asynchronous: bool) -> str:
        """Encrypt the data with the first key."""
        key = self._keys[self.first]
        nonce = os.urandom(_NONCE_SIZE)
        if isinstance(key, _OwnKey):
            return f"{_OWN}.{self.first}.{_text(nonce + key.cipher.encrypt(nonce, data, _bound(_OWN, bound_to)))}"
        cipher, wrapped = await key.current(asynchronous=asynchronous)
        encrypted = nonce + cipher.encrypt(nonce, data, _bound(_WRAPPED, bound_to))
        return f"{_WRAPPED}.{self.first}.{_text(wrapped)}.{_text(encrypted)}"

    async def decrypt(self, text: Json, bound_to: bytes, place: str, *, asynchronous: bool) -> tuple[bytes, str]:
        """Return the data, and the id of the key that encrypted it."""
        from cryptography.exceptions import InvalidTag

        key_id = self.encrypted_by(text, place)
        form, _, *parts = text.split(".")
        key = self._keys.get(key_id)
        if key is None or isinstance(key, _OwnKey) != (form == _OWN):
            raise DecryptionError(
                f"{place} was encrypted by the key with the id {key_id!r}, which is not among the keys given "
                f"({', '.join(self._keys)}): put that key back at the end of keys=[…] and call reencrypt()"
            )
        try:
            *wrapped, encrypted = [base64.b64decode(part, altchars=b"-_", validate=True) for part in parts]
            if isinstance(key, _OwnKey):
                cipher = key.cipher
            else:
                cipher = await key.cipher(wrapped[0], asynchronous=asynchronous)
            return cipher.decrypt(encrypted[:_NONCE_SIZE], encrypted[_NONCE_SIZE:], _bound(form, bound_to)), key_id
        except (InvalidTag, ValueError):
            raise DecryptionError(
                f"{place} can't be decrypted: the value was changed, or moved there from another key or namespace"
            ) from None

    def encrypted_by(self, text: Json, place: str) -> str:
        """Return the id of the key that encrypted a value, without decrypting it."""
        if not is_encrypted(text):
            raise DecryptionError(
                f"{place} holds a value that EncryptedStorage did not encrypt: it was written without encryption, or "
                "by another program. It is not read"
            )
        return str(text).split(".")[1]


def is_encrypted(value: Json) -> bool:
    """Return whether a stored value has the form of one that `EncryptedStorage` wrote."""
    parts = value.split(".") if isinstance(value, str) else []
    return bool(parts) and (parts[0], len(parts)) in ((_OWN, 3), (_WRAPPED, 4))


def ring_of(keys: object) -> KeyRing:
    """Return the ring of what the user gave; `ConfigurationError` when that is no list of keys."""
    if isinstance(keys, bytes | str) or not isinstance(keys, Sequence):
        raise ConfigurationError("EncryptedStorage takes a list of keys, the one that encrypts first: keys=[key]")
    if not keys:
        raise ConfigurationError(f"EncryptedStorage needs at least one key: {_HOW_TO_MAKE_ONE}")
    return KeyRing(
        [
            given if isinstance(given, EnvelopeKey) else _OwnKey(_bytes_of(given, position))
            for position, given in enumerate(keys, 1)
        ]
    )


def _bound(form: str, bound_to: bytes) -> bytes:
    return form.encode() + b"\0" + bound_to


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _bytes_of(given: bytes | str, position: int) -> bytes:
    which = f"key {position} of EncryptedStorage"
    if isinstance(given, str):
        try:
            key = base64.b64decode(_padded(given.strip()), validate=True)
        except (ValueError, binascii.Error):
            key = b""
    elif isinstance(given, bytes | bytearray):
        key = bytes(given)
    else:
        raise ConfigurationError(
            f"{which} is {type(given).__name__}, not bytes, base64 text or an EnvelopeKey: {_HOW_TO_MAKE_ONE}"
        )
    if len(key) != KEY_SIZE:
        raise ConfigurationError(
            f"{which} is not {KEY_SIZE} bytes, nor the base64 text of {KEY_SIZE}: {_HOW_TO_MAKE_ONE}"
        )
    if all(0x20 <= byte < 0x7F for byte in key) or len(set(key)) < 8:
        raise ConfigurationError(f"{which} is a passphrase or a pattern, not random bytes: {_HOW_TO_MAKE_ONE}")
    return key


def _padded(text: str) -> str:
    return text.replace("-", "+").replace("_", "/").rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
