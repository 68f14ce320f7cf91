"""Files as secure content: the ciphertext of a stored file, and a stored file out of ciphertext."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from webex.emulator.wire import Problem
from webex.ids import base64url_decode, base64url_encode

if TYPE_CHECKING:
    from webex.emulator.state import StoredFile


def encryption_of(file: StoredFile) -> dict[str, str]:
    """Return how this file is encrypted: key, nonce, authenticated text and tag; decided on first use."""
    if not file.encryption:
        file.encryption = {
            "key": base64url_encode(os.urandom(32)),
            "iv": base64url_encode(os.urandom(12)),
            "aad": "2026-01-01T00:00:00.000Z",
        }
        file.encryption["tag"] = base64url_encode(_encrypted(file)[-16:])
    return file.encryption


def ciphertext(file: StoredFile) -> bytes:
    """Return the bytes that the file service serves: as long as the file."""
    encryption_of(file)
    return _encrypted(file)[:-16]


def plaintext(data: bytes, scr: dict[str, Any]) -> bytes:
    """Decrypt a file with its SCR; 400 when they do not fit."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        key, iv, tag = (base64url_decode(scr[name]) for name in ("key", "iv", "tag"))
        return AESGCM(key).decrypt(iv, data + tag, str(scr["aad"]).encode())
    except (InvalidTag, KeyError, ValueError, TypeError, AttributeError):
        raise Problem(400, "The file and its SCR do not fit.") from None


def _encrypted(file: StoredFile) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    scr = file.encryption
    key, iv = base64url_decode(scr["key"]), base64url_decode(scr["iv"])
    return AESGCM(key).encrypt(iv, file.data, scr["aad"].encode())
