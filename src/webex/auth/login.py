"""The sign-in of a browser: authorization code grant with state, PKCE (S256) and nonce.

The pending login rests in the storage for ten minutes, under the hash of its state, and is taken by an atomic delete.
The browser holds only a random secret; its hash is in the record, so that a login begun by one browser can't be
finished by another.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from webex.auth.idtoken import IdTokens
from webex.auth.scopes import split
from webex.auth.sources import StaticToken
from webex.auth.tokens import TokenSet, fingerprint
from webex.auth.urls import encode
from webex.errors import ConfigurationError, LoginError, oauth_error_class
from webex.http.types import Request
from webex.ids import base64url_encode, person_uuid
from webex.storage.access import path

if TYPE_CHECKING:
    from webex.auth.endpoint import TokenEndpoint
    from webex.config import Config
    from webex.http.pipeline import Pipeline
    from webex.storage.access import StorageAccess

NAMESPACE: Final = "logins"
LIFETIME: Final = 600.0
_RESERVED: Final = frozenset(
    {"client_id", "redirect_uri", "response_type", "state", "scope", "nonce", "code_challenge", "code_challenge_method"}
)


@dataclass(frozen=True, slots=True)
class Login:
    """A sign-in that has begun. Send the browser to `url`; keep `browser` in its cookie for `expires_in` seconds."""

    url: str = field(repr=False)
    browser: str = field(repr=False)
    expires_in: float = LIFETIME


@dataclass(frozen=True, slots=True)
class User:
    """Who signed in. `key` finds the person again: the app's own, else the person's UUID."""

    key: str
    id: str | None = None
    display_name: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that was finished; the tokens are stored."""

    user: User
    return_to: str
    granted_scopes: frozenset[str]
    tokens: TokenSet = field(repr=False)


class LoginFlow:
    """Begins and finishes sign-ins; storing the tokens is the caller's."""

    def __init__(self, pipeline: Pipeline, endpoint: TokenEndpoint, access: StorageAccess, config: Config) -> None:
        self._pipeline = pipeline
        self._endpoint = endpoint
        self._access = access
        self._config = config
        self.id_tokens = IdTokens(endpoint, config)

    async def begin_login(
        self,
        *,
        browser: str | None = None,
        return_to: str = "/",
        scope: str | Sequence[str] | None = None,
        user_key: str | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Login:
        """Store a pending login and give the URL to send the browser to."""
        config = self._config
        config.require("client_secret")
        scopes = split(scope) if scope is not None else split(config.scope)
        if not scopes:
            config.require("scope")
        if user_key is None and not {"openid", "spark:people_read", "spark:all"} & set(scopes):
            raise ConfigurationError(
                "Nothing would tell who signed in: add the scope openid or spark:people_read, or give user_key=."
            )
        if reserved := _RESERVED & set(options or {}):
            raise ConfigurationError(f"{', '.join(sorted(reserved))} is set by the SDK and can't be given here.")
        state, verifier, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        browser = browser if browser and len(browser) >= 32 else secrets.token_urlsafe(32)
        record = {
            "browser": fingerprint(browser),
            "verifier": verifier,
            "nonce": nonce,
            "return_to": safe_return_to(return_to),
            "redirect_uri": config.require("redirect_uri"),
            "scope": " ".join(scopes),
            "user_key": user_key,
            "begun": self._pipeline.runtime.clock.time(),
        }
        await self._access.put(NAMESPACE, self._path(state), record, expires_in=LIFETIME)
        parameters: list[tuple[str, Any]] = [
            ("client_id", config.require("client_id")),
            ("response_type", "code"),
            ("redirect_uri", record["redirect_uri"]),
            ("scope", record["scope"]),
            ("state", state),
            ("code_challenge", base64url_encode(hashlib.sha256(verifier.encode()).digest())),
            ("code_challenge_method", "S256"),
        ]
        if "openid" in scopes:
            parameters.append(("nonce", nonce))
        parameters += list((options or {}).items())
        return Login(f"{config.authorize_url}?{encode(parameters)}", browser)

    async def finish_login(self, params: Any, *, browser: str | None, user_key: str | None = None) -> SignedIn:
        """Take the pending login, exchange the code, and find out who it is."""
        query = read_params(params)
        state = query.get("state")
        if not state:
            raise LoginError("The redirect brought no state: this sign-in was not begun here.", reason="state")
        pending = await self._access.take(NAMESPACE, self._path(state))
        if not isinstance(pending, Mapping):
            raise LoginError(
                "This sign-in is not known here: it was begun elsewhere, used already, or took longer than ten "
                "minutes. Begin again.",
                reason="state",
            )
        if self._pipeline.runtime.clock.time() - float(pending.get("begun") or 0) > LIFETIME:
            raise LoginError("This sign-in took longer than ten minutes. Begin again.", reason="expired")
        if not browser or not hmac.compare_digest(str(fingerprint(browser)), str(pending["browser"])):
            raise LoginError(
                "This sign-in was begun in another browser, or this browser did not keep its cookie. Begin again here.",
                reason="browser",
            )
        if "error" in query:
            raise oauth_error_class(query["error"])(
                query["error"], query.get("error_description"), query.get("error_uri")
            )
        if not query.get("code"):
            raise LoginError("The redirect brought neither a code nor an error.", reason="code")
        tokens = await self._endpoint.exchange_code(
            query["code"], code_verifier=pending["verifier"], redirect_uri=pending["redirect_uri"]
        )
        key = user_key or pending.get("user_key")
        user = await self.identify(tokens, key=key, nonce=pending["nonce"])
        granted = frozenset(split(tokens.scope or pending["scope"]))
        return SignedIn(user, pending["return_to"], granted, tokens)

    async def identify(self, tokens: TokenSet, *, key: str | None, nonce: str | None) -> User:
        """Who the tokens belong to: by the ID token, else by `people/me`, under the app's own key if it has one."""
        if tokens.id_token is not None:
            claims = await self.id_tokens.verify(tokens.id_token, nonce=nonce)
            person = person_uuid(claims["sub"])
            name, email = claims.get("name"), claims.get("email")
            return User(
                key or person,
                person,
                name if isinstance(name, str) else None,
                email if isinstance(email, str) else None,
            )
        if key is not None:
            return User(key)
        response = await self._pipeline.send(Request("GET", "/people/me"), StaticToken(tokens.access_token))
        me = response.json()
        if not isinstance(me, Mapping) or not isinstance(me.get("id"), str):
            raise LoginError("people/me did not say who signed in.", reason="identity")
        emails = me.get("emails")
        name = me.get("displayName")
        return User(
            person_uuid(me["id"]),
            person_uuid(me["id"]),
            name if isinstance(name, str) else None,
            str(emails[0]) if isinstance(emails, list) and emails else None,
        )

    def _path(self, state: str) -> str:
        return path(self._config.client_id or "-", str(fingerprint(state)))


def read_params(params: Any) -> dict[str, str]:
    """The query of a redirect, from a mapping, pairs, query text or a whole URL; a parameter given twice is refused."""
    if isinstance(params, str):
        text = urlsplit(params).query if "?" in params else params
        pairs: Iterable[tuple[str, str]] = parse_qsl(text, keep_blank_values=True)
    elif hasattr(params, "multi_items"):
        pairs = params.multi_items()
    elif isinstance(params, Mapping):
        pairs = [
            (str(name), item)
            for name, value in params.items()
            for item in (value if isinstance(value, list | tuple) else [value])
        ]
    else:
        raise ConfigurationError("Give the query of the redirect: a mapping, query text, or the whole URL.")
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in ("state", "code", "error"):
            if name in found:
                raise LoginError(f"The redirect brought {name} more than once.", reason="state")
            if not isinstance(value, str):
                raise LoginError(f"The redirect's {name} is no text.", reason="state")
        if isinstance(value, str):
            found.setdefault(name, value)
    return found


def safe_return_to(return_to: str | None) -> str:
    """A path of this origin; `/` for anything that a browser could read as another place."""
    if not return_to or not isinstance(return_to, str) or len(return_to) > 2000:
        return "/"
    seen = return_to
    for _ in range(4):
        if not _is_local(seen):
            return "/"
        seen, before = unquote(seen), seen
        if seen == before:
            return return_to
    return "/"


def _is_local(text: str) -> bool:
    if not text.startswith("/") or text.startswith(("//", "/\\")) or "\\" in text:
        return False
    if any(ord(character) < 33 or ord(character) == 127 for character in text):
        return text.isprintable() and not any(ord(character) < 32 for character in text)
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc
