"""The tokens of one person, and every shape in which one may be given (oauth §2, §3)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from webex.auth.numbers import LARGEST, moment, seconds
from webex.auth.scopes import sort_scope
from webex.errors import ConfigurationError, DecodeError

__all__ = ["TokenSet", "fingerprint", "normalise_token"]

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NO_TOKEN: Final = re.compile(r"[^\x21-\x7e]")
_WRONG: Final = "a line break, a space or another character in it that no token has"

State = Literal["fresh", "stale", "expired"]


def fingerprint(secret: str | None) -> str | None:
    """Return what stands for a secret where it must not be written itself."""
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
        """Read the tokens of a token endpoint's answer (RFC 6749 §5.1); `DecodeError` when there is none in it."""
        if not isinstance(body, Mapping) or not isinstance(body.get("access_token"), str) or not body["access_token"]:
            raise DecodeError("The token endpoint's answer holds no access_token.", path="access_token")
        lifetime = _lifetime(body, "expires_in")
        refresh_lifetime = _lifetime(body, "refresh_token_expires_in")
        refresh_token = body.get("refresh_token")
        for name in ("access_token", "refresh_token"):
            if isinstance(body.get(name), str) and _NO_TOKEN.search(body[name]):
                raise DecodeError(f"The token endpoint's {name} has {_WRONG}.", path=name)
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
        """Return these tokens as the successors of `old`: what the answer did not name stays as it was."""
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
        """Read the tokens of a stored record; `ValueError` or `TypeError` when they can't be used."""
        refresh_token = data.get("refresh_token")
        for token in (data["access_token"], refresh_token or ""):
            if _NO_TOKEN.search(token):
                raise ValueError(f"a stored token has {_WRONG}")
        return cls(
            access_token=data["access_token"],
            token_type=str(data.get("token_type") or "Bearer"),
            issued_at=moment(data.get("issued_at")),
            expires_at=moment(data.get("expires_at")),
            refresh_token=refresh_token,
            refresh_expires_at=moment(data.get("refresh_token_expires_at")),
            scope=str(data.get("scope") or ""),
        )


def _lifetime(body: Mapping[str, Any], name: str) -> float | None:
    try:
        return seconds(body.get(name))
    except ValueError as error:
        raise DecodeError(f"The token endpoint's {name} is {error}.", path=name) from None


def normalise_token(given: Any, now: float) -> TokenSet | None:
    """Read a token from text, a mapping, or one of the nested shapes of oauth §2.

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
    try:
        tokens = TokenSet.from_response({"access_token": "-", **fields}, now)
    except DecodeError as error:
        raise ConfigurationError(str(error).replace("The token endpoint's", "The token's")) from None
    if expires_at is None:
        expires_at = tokens.expires_at if text is not None else now
    return TokenSet(
        access_token=tokens.access_token if text is not None else "",
        token_type=tokens.token_type,
        issued_at=_moment(fields, "issued_at") or now,
        expires_at=expires_at,
        refresh_token=tokens.refresh_token,
        refresh_expires_at=_moment(fields, "refresh_token_expires", "refresh_token_expires_at")
        or tokens.refresh_expires_at,
        scope=tokens.scope,
    )


def _find(given: Any) -> tuple[str | None, dict[str, Any]] | None:
    """Return the token's text and the fields beside it; places are tried in the Node SDK's order of precedence."""
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
    if _CONTROL.search(text):
        raise ConfigurationError(
            "The token has a line break or another control character in it. Strip what was read from a file."
        )
    words = text.split()
    if len(words) == 1:
        word = words[0]
        return ("Bearer", word[6:]) if word.startswith("Bearer") and len(word) > 6 else ("Bearer", word)
    if len(words) == 2:
        return words[0], words[1]
    raise ConfigurationError("The token has spaces in it; it is one word, or 'Bearer' and one word.")


def _moment(fields: Mapping[str, Any], *names: str) -> float | None:
    """Convert a moment to seconds; the Node SDK's are milliseconds since the epoch."""
    for name in names:
        try:
            value = moment(fields.get(name))
        except ValueError as error:
            raise ConfigurationError(f"The token's {name} is {error}.") from None
        if value:
            return value / 1000 if value > LARGEST else value
    return None
