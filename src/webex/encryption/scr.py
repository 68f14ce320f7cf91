"""Encrypt files under a key of their own, and their description (secure content reference, SCR) for the conversation.

The uploaded bytes are the AES-256-GCM ciphertext alone, as long as the file; nonce, key, tag and address stand in the
SCR (kms §8). Files go through piece by piece in both directions.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from webex.encryption.jose import BadTokenError, Cipher
from webex.errors import DecryptionError, EncryptionError
from webex.ids import base64url_decode, base64url_encode

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, AEADEncryptionContext


class SCR:
    """Describe how one file is encrypted. `loc` and `tag` are known after the upload."""

    __slots__ = ("_iv", "_key", "aad", "loc", "tag")

    def __init__(self, key: bytes, iv: bytes, aad: str, loc: str | None = None, tag: bytes | None = None) -> None:
        self._key, self._iv = key, iv
        self.aad: str = aad
        self.loc: str | None = loc
        self.tag = tag

    @classmethod
    def new(cls) -> SCR:
        """Make one for a new file, with a fresh key and nonce."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return cls(os.urandom(32), os.urandom(12), moment)

    @classmethod
    def from_jwe(cls, token: str, cipher: Cipher) -> SCR:
        """Decrypt the JWE in an activity; `DecryptionError` when it is not for this key, or is no SCR."""
        try:
            return cls.from_dict(msgspec.json.decode(cipher.decrypt(token)))
        except (BadTokenError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise DecryptionError("The description of an encrypted file can't be opened.") from None

    @classmethod
    def from_dict(cls, data: Any) -> SCR:
        """Read the plain form; `DecryptionError` when a part is missing or has the wrong length."""
        try:
            key, iv, tag = (base64url_decode(data[name]) for name in ("key", "iv", "tag"))
            aad, loc = data["aad"], data["loc"]
            aad.encode()  # half a character can't be authenticated
            fits = data["enc"] == "A256GCM" and (len(key), len(iv), len(tag)) == (32, 12, 16)
            if fits and isinstance(loc, str):
                return cls(key, iv, aad, loc, tag)
        except (KeyError, ValueError, TypeError, AttributeError):
            pass
        raise DecryptionError("The description of an encrypted file is not complete.")

    def to_dict(self) -> dict[str, str]:
        """Return the plain form, in the order of the wire; `EncryptionError` before the upload."""
        if self.loc is None or self.tag is None:
            raise EncryptionError("The file has to be uploaded before its description is encrypted.")
        return {
            "enc": "A256GCM",
            "key": base64url_encode(self._key),
            "iv": base64url_encode(self._iv),
            "aad": self.aad,
            "loc": self.loc,
            "tag": base64url_encode(self.tag),
        }

    def to_jwe(self, cipher: Cipher) -> str:
        """Return the JWE for an activity."""
        return cipher.encrypt(msgspec.json.encode(self.to_dict()))

    async def encrypt(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Encrypt a file piece by piece; sets `tag` at its end."""
        context: AEADEncryptionContext = self._aes(None).encryptor()
        context.authenticate_additional_data(self.aad.encode())
        async for piece in pieces:
            yield context.update(piece)
        context.finalize()
        self.tag = context.tag

    async def decrypt(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Decrypt a file piece by piece; `DecryptionError` at its end when a byte was changed, lost or added.

        What came before the end is not authenticated yet: keep it aside until the iteration has ended.
        """
        if self.tag is None:
            raise DecryptionError("The description of an encrypted file has no tag.")
        from cryptography.exceptions import InvalidTag

        context: AEADDecryptionContext = self._aes(self.tag).decryptor()
        context.authenticate_additional_data(self.aad.encode())
        size = 0
        async for piece in pieces:
            size += len(piece)
            yield context.update(piece)
        if not size:
            raise DecryptionError("An encrypted file came empty.")
        try:
            context.finalize()
        except InvalidTag:
            raise DecryptionError("An encrypted file was changed on its way.") from None

    def _aes(self, tag: bytes | None) -> Any:
        from cryptography.hazmat.primitives.ciphers import Cipher as Algorithm
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
        from cryptography.hazmat.primitives.ciphers.modes import GCM

        return Algorithm(AES(self._key), GCM(self._iv, tag))

    def __repr__(self) -> str:
        return f"SCR(loc={self.loc!r})"
