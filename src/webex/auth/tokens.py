"""The tokens of one person, and every shape in which somebody may hand one over (core-behaviour §1.7, §2.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from webex.auth.scopes import sort_scope
from webex.errors import ConfigurationError, DecodeError

__all__ = ["TokenSet", "fingerprint", "normalise_token"]

State = Literal["fresh", "stale", "expired"]


def fingerprint(secret: str | None) -> str | None:
    """What stands for a secret where it must not be written itself."""
    return None if secret is None else hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class TokenSet:
    """An access token and what belongs to it. Moments are seconds since the epoch; None: unknown or never."""

    access_token: str = field(repr=False)
    token_type: str = "Bearer"
    issued_at: float | None = None
    expires_at: float | None = None
    refresh_token: str | None = field(default=None, repr=False)
    refresh_expires_at: float | None = None
    scope: str = ""
    id_token: str | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_response(cls, body: Any, now: float) -> TokenSet:
        """The tokens of a token endpoint's answer (RFC 6749 §5.1); `DecodeError` when there is none in it."""
        if not isinstance(body, Mapping) or not isinstance(body.get("access_token"), str) or not body["access_token"]:
            raise DecodeError("The token endpoint's answer holds no access_token.", path="access_token")
        lifetime = _seconds(body.get("expires_in"))
        refresh_lifetime = _seconds(body.get("refresh_token_expires_in"))
        refresh_token = body.get("refresh_token")
        id_token = body.get("id_token")
        return cls(
            access_token=body["access_token"],
            token_type=str(body.get("token_type") or "Bearer"),
            issued_at=now,
            expires_at=None if lifetime is None else now + lifetime,
            refresh_token=refresh_token if isinstance(refresh_token, str) and refresh_token else None,
            refresh_expires_at=None if refresh_lifetime is None else now + refresh_lifetime,
            scope=sort_scope(body["scope"]) if isinstance(body.get("scope"), str) else "",
            id_token=id_token if isinstance(id_token, str) and id_token else None,
        )

    def after(self, old: TokenSet) -> TokenSet:
        """These tokens as the successors of `old`: what the answer did not name stays as it was."""
        keeps = self.refresh_token is None
        return TokenSet(
            access_token=self.access_token,
            token_type=self.token_type,
            issued_at=self.issued_at,
            expires_at=self.expires_at,
            refresh_token=old.refresh_token if keeps else self.refresh_token,
            refresh_expires_at=self.refresh_expires_at or (old.refresh_expires_at if keeps else None),
            scope=self.scope or old.scope,
        )

    def state(self, now: float) -> State:
        """Fresh; stale (still valid, but a tenth of its life is left, at most a day); or expired.

        Correct for any lifetime: a token without a known issue time is stale in its last minute.
        """
        if self.expires_at is None:
            return "fresh"
        left = self.expires_at - now
        if left <= 0:
            return "expired"
        lifetime = self.expires_at - self.issued_at if self.issued_at is not None else 600.0
        return "stale" if left <= min(max(lifetime, 0.0) * 0.1, 86_400.0) else "fresh"

    def to_json(self) -> dict[str, Any]:
        """Plain data for the storage, in the names of the Node SDK's record where it has them."""
        data = {
            "access_token": self.access_token,
            "token_type": self.token_type,
            "issued_at": self.issued_at,
            "expires_at": self.expires_at,
            "refresh_token": self.refresh_token,
            "refresh_token_expires_at": self.refresh_expires_at,
            "scope": self.scope,
        }
        return {name: value for name, value in data.items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TokenSet:
        """The tokens of a stored record."""
        return cls(
            access_token=str(data["access_token"]),
            token_type=str(data.get("token_type") or "Bearer"),
            issued_at=data.get("issued_at"),
            expires_at=data.get("expires_at"),
            refresh_token=data.get("refresh_token"),
            refresh_expires_at=data.get("refresh_token_expires_at"),
            scope=str(data.get("scope") or ""),
        )


def _seconds(value: Any) -> float | None:
    """A lifetime; nothing for what is none (0 counts as unknown, as in the Node SDK)."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if 0 < seconds < 1e11 else None


def normalise_token(given: Any, now: float) -> TokenSet | None:
    """The token in whatever was handed over: text, a mapping, or one of the nested shapes of core-behaviour §1.7.

    None when there is none in it. A `refresh_token` without an access token gives a set that is expired from the start.
    Raises `ConfigurationError` for a shape that is none of these; its text holds no token.
    """
    found = _find(given)
    if found is None:
        return None
    text, fields = found
    if text is not None:
        kind, token = _split_bearer(text)
        fields = {**fields, "access_token": token}
        fields.setdefault("token_type", kind)
    elif not isinstance(fields.get("refresh_token"), str):
        return None
    expires_at = _moment(fields, "expires", "expires_at")
    tokens = TokenSet.from_response({"access_token": "-", **fields}, now)
    if expires_at is None:
        expires_at = tokens.expires_at if text is not None else now
    return TokenSet(
        access_token=tokens.access_token if text is not None else "",
        token_type=tokens.token_type,
        issued_at=_number(fields.get("issued_at")) or now,
        expires_at=expires_at,
        refresh_token=tokens.refresh_token,
        refresh_expires_at=_moment(fields, "refresh_token_expires", "refresh_token_expires_at")
        or tokens.refresh_expires_at,
        scope=tokens.scope,
    )


def _find(given: Any) -> tuple[str | None, dict[str, Any]] | None:
    """The text of the token, and the fields beside it; the places in the order of precedence of the Node SDK."""
    if given is None:
        return None
    if isinstance(given, TokenSet):
        return given.access_token or None, given.to_json()
    if isinstance(given, str):
        if not given.strip():
            raise ConfigurationError("The token is empty text.")
        return given, {}
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"A token is text or a mapping with access_token, not {type(given).__name__}.")
    if "access_token" in given:
        token = given["access_token"]
        if token is not None and not isinstance(token, str):
            raise ConfigurationError(f"access_token must be text, not {type(token).__name__}.")
        if token:
            return token, {str(name): value for name, value in given.items() if name != "access_token"}
    for name in ("supertoken", "authorization", "credentials"):
        if given.get(name) is not None:
            found = _find(given[name])
            if found is not None:
                return found
    if isinstance(given.get("refresh_token"), str):
        return None, dict(given)
    return None


def _split_bearer(text: str) -> tuple[str, str]:
    words = text.split()
    if len(words) == 1:
        word = words[0]
        return ("Bearer", word[6:]) if word.startswith("Bearer") and len(word) > 6 else ("Bearer", word)
    if len(words) == 2:
        return words[0], words[1]
    raise ConfigurationError("The token has spaces in it; it is one word, or 'Bearer' and one word.")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _moment(fields: Mapping[str, Any], *names: str) -> float | None:
    """A moment in seconds; the Node SDK's are milliseconds since the epoch."""
    for name in names:
        value = _number(fields.get(name))
        if value:
            return value / 1000 if value > 1e11 else value
    return None
