"""Hardened cookies and HMAC-signed values."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from webex.errors import ConfigurationError
from webex.ids import base64url_encode

MIN_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Cookie:
    """One `Set-Cookie`; always `HttpOnly` and `SameSite=Lax`. `max_age` is in seconds, 0 takes the cookie away."""

    name: str
    value: str = field(repr=False)
    path: str
    secure: bool
    max_age: int

    @property
    def header(self) -> str:
        """The value of the `Set-Cookie` header (RFC 6265 §4.1)."""
        secure = "; Secure" if self.secure else ""
        return f"{self.name}={self.value}; Max-Age={self.max_age}; Path={self.path}; HttpOnly; SameSite=Lax{secure}"


@dataclass(frozen=True, slots=True)
class CookieNames:
    """How this app's cookies are called and where they are sent.

    `__Host-` at the root and `__Secure-` below a path (RFC 6265bis §4.1.3): a neighbouring subdomain can't plant a
    cookie of the first kind, and no plain http page one of either. Without `secure` (plain http on a loopback host)
    browsers would refuse both names.
    """

    path: str
    secure: bool

    def name(self, base: str) -> str:
        """Return the full name of a cookie."""
        if not self.secure:
            return base
        return ("__Host-" if self.path == "/" else "__Secure-") + base

    def make(self, base: str, value: str, max_age: float) -> Cookie:
        """Make a cookie for so many seconds."""
        return Cookie(self.name(base), value, self.path, self.secure, int(max_age))

    def owns(self, name: str) -> bool:
        """Whether a full name has the prefix of this app's cookies."""
        return name.startswith(self.name(""))

    def gone(self, base: str) -> Cookie:
        """Return the header that removes a cookie."""
        return self.make(base, "", 0)

    def gone_by_name(self, name: str) -> Cookie:
        """Return the header that removes the cookie of a full name."""
        return Cookie(name, "", self.path, self.secure, 0)


class Signer:
    """Signs values with the first secret and accepts those of all, so that a secret can be replaced.

    A secret is text or bytes, at least 32 bytes of it; `ConfigurationError` otherwise. Values hold no dot.
    """

    def __init__(self, secrets: str | bytes | Sequence[str | bytes]) -> None:
        given: list[str | bytes] = [secrets] if isinstance(secrets, str | bytes) else _listed(secrets)
        self._secrets = [secret.encode() if isinstance(secret, str) else secret for secret in given]
        if not self._secrets:
            raise ConfigurationError("session_secret is empty. " + _HOW)
        for secret in self._secrets:
            if len(secret) < MIN_SECRET_BYTES:
                raise ConfigurationError(
                    f"session_secret has {len(secret)} bytes; it needs at least {MIN_SECRET_BYTES}. " + _HOW
                )

    def sign(self, value: str, purpose: str) -> str:
        """Sign a value, and return both."""
        return f"{value}.{_signature(self._secrets[0], value, purpose)}"

    def open(self, signed: str | None, purpose: str) -> str | None:
        """Return the value, if one of the secrets signed it for this purpose."""
        value, dot, signature = (signed or "").rpartition(".")
        if not dot or not signature.isascii():
            return None
        fits = [hmac.compare_digest(_signature(secret, value, purpose), signature) for secret in self._secrets]
        return value if any(fits) else None

    def __repr__(self) -> str:
        return f"Signer({len(self._secrets)} secrets)"


def _listed(secrets: object) -> list[str | bytes]:
    if isinstance(secrets, Sequence) and all(isinstance(one, str | bytes) for one in secrets):
        return list(secrets)
    given = "None: is the variable set that it comes from?" if secrets is None else f"{type(secrets).__name__}."
    raise ConfigurationError(f"session_secret must be text or bytes, or a list of them, and is {given} {_HOW}")


_HOW: Final = 'Make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'


def _signature(secret: bytes, value: str, purpose: str) -> str:
    message = f"{purpose}\0{value}".encode("utf-8", "surrogatepass")
    return base64url_encode(hmac.digest(secret, message, hashlib.sha256))
