"""The sign-in of a browser: authorization code grant with state, PKCE (S256) and nonce.

The pending login travels inside the state, encrypted (`pending.py`), is valid for ten minutes, and can be used once.
The browser holds only a random secret; its hash is in the state, so that a login begun by one browser can't be
finished by another.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from webex.auth.idtoken import IdTokens
from webex.auth.pending import PendingLogins
from webex.auth.profile import Profile, Profiles, of_claims
from webex.auth.scopes import split
from webex.auth.tokens import TokenSet, fingerprint
from webex.auth.urls import encode, percent_encode, refuse_misspelled
from webex.errors import ConfigurationError, LoginError, oauth_error_class
from webex.ids import base64url_encode, checked_key
from webex.storage.formats import check_format, with_format

if TYPE_CHECKING:
    from webex.auth.endpoint import TokenEndpoint
    from webex.config import Config
    from webex.http.pipeline import Pipeline
    from webex.storage.access import StorageAccess

LIFETIME: Final = 600.0
_LONGEST_RETURN_TO: Final = 1500  # the redirect to Webex then fits into 4 KiB, which proxies allow a response head
_RESERVED: Final = frozenset(
    {"client_id", "redirect_uri", "response_type", "state", "scope", "nonce", "code_challenge", "code_challenge_method"}
)


@dataclass(frozen=True, slots=True)
class Login:
    """A sign-in that has begun. Send the browser to `url`; keep `browser` in its cookie for `expires_in` seconds.

    Leave the cookie there when a sign-in is finished: another tab of the same browser may still need it.
    """

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

    def __init__(
        self,
        pipeline: Pipeline,
        endpoint: TokenEndpoint,
        access: StorageAccess,
        config: Config,
        revoke: Callable[[TokenSet], Awaitable[None]],
    ) -> None:
        self._pipeline = pipeline
        self._revoke = revoke
        self._endpoint = endpoint
        self._config = config
        self._pending = PendingLogins(access, config)
        self._profiles = Profiles(pipeline, endpoint, config)
        self.id_tokens: IdTokens = IdTokens(endpoint, config)

    async def begin_login(
        self,
        *,
        browser: str | None = None,
        return_to: str = "/",
        scope: str | Sequence[str] | None = None,
        user_key: str | None = None,
        person: str | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Login:
        """Give the URL to send the browser to, with the pending login in its state.

        With `person`, a UUID, no other person can finish the sign-in, and it is stored under `user_key` only.
        """
        config = self._config
        user_key = own_key(user_key)
        config.require("client_secret")
        scopes = split(scope) if scope is not None else split(config.scope)
        if not scopes:
            config.require("scope")
        if any("," in one for one in scopes):
            raise ConfigurationError(f"Scopes are separated by spaces, not commas: {' '.join(scopes)!r}.")
        if (user_key is None or person is not None) and not {"openid", "spark:people_read", "spark:all"} & set(scopes):
            raise ConfigurationError(
                "Nothing would tell who signed in: add the scope openid or spark:people_read"
                + (", or give user_key=." if person is None else ".")
            )
        if reserved := _RESERVED & set(options or {}):
            raise ConfigurationError(f"{', '.join(sorted(reserved))} is set by the SDK and can't be given here.")
        refuse_misspelled(options or {})
        browser = browser if browser and browser.isascii() and len(browser) >= 32 else secrets.token_urlsafe(32)
        redirect_uri = config.require("redirect_uri")
        login = {
            "browser": fingerprint(browser),
            "begun": self._pipeline.runtime.clock.time(),
            "return_to": safe_return_to(return_to),
            "redirect_uri": redirect_uri,
            "scope": None if scope is None else " ".join(scopes),
            "user_key": user_key,
            "person": person,
        }
        state = await self._pending.write(
            with_format({name: value for name, value in login.items() if value is not None})
        )
        verifier = self._pending.derive("verifier", state, browser)
        parameters: list[tuple[str, Any]] = [
            ("client_id", config.require("client_id")),
            ("response_type", "code"),
            ("redirect_uri", redirect_uri),
            ("scope", " ".join(scopes)),
            ("state", state),
            ("code_challenge", base64url_encode(hashlib.sha256(verifier.encode()).digest())),
            ("code_challenge_method", "S256"),
        ]
        if "openid" in scopes:
            parameters.append(("nonce", self._pending.derive("nonce", state, browser)))
        parameters += list((options or {}).items())
        return Login(f"{config.authorize_url}?{encode(parameters)}", browser)

    async def finish_login(
        self, params: Any, *, browser: str | Sequence[str] | None, user_key: str | None = None
    ) -> SignedIn:
        """Use up the pending login, exchange the code, and find out who signed in.

        `browser` may be several secrets: those of all login cookies that the browser sent.
        """
        user_key = own_key(user_key)
        query = read_params(params)
        state = query.get("state")
        if not state:
            raise LoginError("The redirect brought no state: this sign-in was not begun here.", reason="state")
        pending, secret = await self._find(state, browser)
        if not -LIFETIME <= self._age(pending) <= LIFETIME:
            raise LoginError("This sign-in took longer than ten minutes. Begin again.", reason="expired")
        if secret is None:
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
        # The mark outlives every state that it could be asked about, also where two clocks differ.
        if not await self._pending.mark_used(state, 3 * LIFETIME):
            raise LoginError("This sign-in was used already. Begin again.", reason="used")
        tokens = await self._endpoint.exchange_code(
            query["code"],
            code_verifier=pending.get("verifier") or self._pending.derive("verifier", state, secret),
            redirect_uri=pending["redirect_uri"],
        )
        nonce = pending.get("nonce") or self._pending.derive("nonce", state, secret)
        granted = frozenset(split(tokens.scope or pending.get("scope") or self._config.scope))
        async with self.revoked_when_refused(tokens):
            user = await self.identify(tokens, key=user_key or pending.get("user_key"), nonce=nonce, granted=granted)
            _check_person(user, pending)
        return SignedIn(user, pending["return_to"], granted, tokens)

    @asynccontextmanager
    async def revoked_when_refused(self, tokens: TokenSet) -> AsyncIterator[None]:
        """Revoke the tokens of a sign-in that an exception in the block refuses: they are stored nowhere."""
        try:
            yield
        except Exception:
            await self._revoke(tokens)
            raise

    async def owner_of(self, tokens: TokenSet) -> str | None:
        """Return the UUID of the owner of an access token; None when Webex does not name one."""
        return await self._profiles.owner_of(tokens)

    async def return_to_of(self, params: Any, *, browser: str | Sequence[str] | None) -> str | None:
        """Tell where a sign-in of this browser wanted to go, used or not; None for any other."""
        try:
            state = read_params(params).get("state")
            pending, secret = await self._find(state, browser) if state else ({}, None)
        except LoginError:
            return None
        return pending["return_to"] if secret is not None else None

    async def _find(self, state: str, browser: str | Sequence[str] | None) -> tuple[Mapping[str, Any], str | None]:
        """Return the pending login of a state, and the one of the browser's secrets that it was begun with."""
        pending = await self._pending.read(state)
        if pending is None:
            pending = await self._pending.take_stored(state)
        check_format(pending, "The data of a sign-in")
        if not isinstance(pending, Mapping):
            raise LoginError("This sign-in is not known here: it was begun elsewhere. Begin again.", reason="state")
        begun_by = str(pending["browser"])
        for secret in [browser] if isinstance(browser, str) else browser or ():
            if secret and secret.isascii() and hmac.compare_digest(str(fingerprint(secret)), begun_by):
                return pending, secret
        return pending, None

    def _age(self, pending: Mapping[str, Any]) -> float:
        return self._pipeline.runtime.clock.time() - float(pending.get("begun") or 0)

    async def identify(
        self, tokens: TokenSet, *, key: str | None, nonce: str | None, granted: Collection[str] = ()
    ) -> User:
        """Find out who the tokens belong to: by the ID token, else `people/me`, under the app's own key if it has one.

        What these leave open of name and address is asked for where the granted scopes allow it.
        """
        found: Profile | None = None
        if tokens.id_token is not None:
            found = of_claims(await self.id_tokens.verify(tokens.id_token, nonce=nonce))
        elif key is None:
            found = await self._profiles.from_people(tokens)
            if found is None:
                raise LoginError("people/me did not say who signed in.", reason="identity")
        profile = await self._profiles.complete(found, tokens, granted or split(tokens.scope))
        user_key = key or profile.id
        assert user_key is not None
        return User(user_key, profile.id, profile.display_name, profile.email)


def _check_person(user: User, pending: Mapping[str, Any]) -> None:
    """Refuse to add scopes for another person or user than those whose sign-in was begun."""
    person, key = pending.get("person"), pending.get("user_key")
    if person is None:
        return
    if user.id is None:
        raise LoginError(
            "Webex did not tell who signed in, so no scopes were added, and the tokens are as before. Begin again.",
            reason="identity",
        )
    if user.id != person:
        raise LoginError(
            "Another person has signed in than the one whose scopes were to grow: sign out at Webex first.",
            reason="person",
        )
    if user.key != key:
        raise LoginError(
            f"The sign-in for more scopes was begun for the user {key!r}, not for {user.key!r}: leave user_key= out.",
            reason="user",
        )


def own_key(user_key: str | None) -> str | None:
    """Check the key that the app gives a user, in the form in which it is stored; None stays None."""
    return None if user_key is None else checked_key(user_key, "user_key")


def read_params(params: Any) -> dict[str, str]:
    """Read a redirect's query from a mapping, pairs, query text or a URL; a parameter given twice is refused."""
    if isinstance(params, bytes):
        params = params.decode("latin-1")  # ASGI's query_string
    if isinstance(params, str):
        before, mark, after = params.partition("?")
        # A URL has no `=` before its query; a query alone may have a `?` in a value.
        is_url = bool(mark) and ("=" not in before or before.startswith(("http://", "https://", "/")))
        text = after.partition("#")[0] if is_url else params
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
    """Return a path of this origin, percent-encoded; `/` for anything that a browser could read as another place."""
    if not isinstance(return_to, str) or not return_to.startswith("/") or len(return_to) > _LONGEST_RETURN_TO:
        return "/"
    if "\\" in return_to or any(ord(mark) < 32 or ord(mark) == 127 or _is_surrogate(mark) for mark in return_to):
        return "/"
    encoded = percent_encode(return_to)
    if len(encoded) > _LONGEST_RETURN_TO:
        return "/"
    # A server on the way may decode the path, also more than once.
    seen = re.split(r"[?#]", encoded, maxsplit=1)[0]
    for _ in range(4):
        if not _is_local(seen):
            return "/"
        seen, before = unquote(seen), seen
        if seen == before:
            return encoded
    return "/"


def _is_surrogate(mark: str) -> bool:
    return "\ud800" <= mark <= "\udfff"


def _is_local(path: str) -> bool:
    if not path.startswith("/") or path.startswith("//") or "\\" in path:
        return False
    if any(ord(mark) < 32 or ord(mark) == 127 for mark in path):
        return False
    try:
        parts = urlsplit(path)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc
