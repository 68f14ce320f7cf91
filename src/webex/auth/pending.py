"""Pending logins that are stored nowhere: the `state` carries them, encrypted, through the browser.

Opening the login route costs an app no storage, so a flood of it can fill nothing and displace no other login. The
state is AES-256-GCM over the login's data under a random key that the first login of an app puts into the storage,
combined with the client secret. PKCE verifier and nonce are derived from the state and the secret in the browser's
cookie, so neither is in a URL. At the callback a record that only one caller can create marks the state as used.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from webex.errors import ConfigurationError
from webex.ids import base64url_decode, base64url_encode
from webex.storage.formats import check_format, with_format
from webex.storage.paths import path

if TYPE_CHECKING:
    from webex.config import Config
    from webex.storage.access import StorageAccess

NAMESPACE: Final = "logins"
_NONCE_SIZE: Final = 12
_KEY_SIZE: Final = 32
_LONGEST: Final = 8000


class PendingLogins:
    """Encrypts and opens the states of one app, and marks them as used."""

    def __init__(self, access: StorageAccess, config: Config) -> None:
        self._access = access
        self._config = config
        self._client = config.client_id or "-"
        self._key: bytes | None = None

    async def write(self, login: Mapping[str, Any]) -> str:
        """Return the state that carries this login; `ConfigurationError` when it is too long for a URL."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        from webex.http.codec import encode_json

        # Always the stored key: one that was deleted meanwhile would be refused by every other process.
        key = await self._load_key() or await self._make_key()
        nonce = secrets.token_bytes(_NONCE_SIZE)
        sealed = AESGCM(self._derive(key)).encrypt(nonce, encode_json(login), self._bound_to)
        state = base64url_encode(nonce + sealed)
        if len(state) > _LONGEST:
            raise ConfigurationError(
                f"The state of this sign-in would have {len(state):,} characters, and no URL takes that many: user_key "
                f"({len(login.get('user_key') or ''):,} characters) or scope is too long."
            )
        return state

    async def read(self, state: str) -> dict[str, Any] | None:
        """Return the login of a state, or None when it was not made by this app."""
        content = _decode(state)
        if content is None:
            return None
        key = self._key or await self._load_key()
        opened = self._open(content, key)
        if opened is None and self._key is not None and (key := await self._load_key()) is not None:
            opened = self._open(content, key)
        return opened

    async def mark_used(self, state: str, lifetime: float) -> bool:
        """Mark a state as used; of several callers exactly one gets True."""
        written = await self._access.put_if_version(
            NAMESPACE, path(self._client, "used", _hash(state)), True, None, expires_in=lifetime
        )
        return written is not None

    async def take_stored(self, state: str) -> Any:
        """Take a pending login that version 0.1.0 stored."""
        return await self._access.take(NAMESPACE, path(self._client, _hash(state)))

    @staticmethod
    def derive(purpose: str, state: str, browser: str) -> str:
        """Return the PKCE verifier or the nonce that belongs to a state in one browser."""
        message = f"{purpose}\0{state}".encode()
        return base64url_encode(hmac.digest(browser.encode("utf-8", "surrogatepass"), message, hashlib.sha256))

    async def _load_key(self) -> bytes | None:
        stored = await self._access.get_or_none(NAMESPACE, path(self._client, "key"))
        check_format(stored, "The key of an app's sign-ins")
        text = stored.get("key") if isinstance(stored, Mapping) else stored
        key = _decode(text) if isinstance(text, str) else None
        self._key = key if key is not None and len(key) == _KEY_SIZE else None
        return self._key

    async def _make_key(self) -> bytes:
        name, key = path(self._client, "key"), secrets.token_bytes(_KEY_SIZE)
        record = with_format({"key": base64url_encode(key)})
        if await self._access.put_if_version(NAMESPACE, name, record, None) is None:
            if (theirs := await self._load_key()) is not None:
                return theirs
            await self._access.put(NAMESPACE, name, record)  # what lay there was no key
        self._key = key
        return key

    def _derive(self, key: bytes) -> bytes:
        return hmac.digest(key, b"webex login\0" + self._config.require("client_secret").encode(), hashlib.sha256)

    @property
    def _bound_to(self) -> bytes:
        return f"webex login\0{self._client}".encode()

    def _open(self, content: bytes, key: bytes | None) -> dict[str, Any] | None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        from webex.http.codec import decode_json

        if key is None or len(content) <= _NONCE_SIZE:
            return None
        nonce, encrypted = content[:_NONCE_SIZE], content[_NONCE_SIZE:]
        try:
            opened = decode_json(AESGCM(self._derive(key)).decrypt(nonce, encrypted, self._bound_to))
        except InvalidTag:
            return None
        return opened if isinstance(opened, dict) else None


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()


def _decode(text: str) -> bytes | None:
    if len(text) > _LONGEST:
        return None
    try:
        content = base64url_decode(text)
    except ValueError:
        return None
    # Only the spelling that was given out: otherwise one state would have several, each to be used once.
    return content if base64url_encode(content) == text else None
