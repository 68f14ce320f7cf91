"""Where the token of a call comes from: each implements `webex.http.TokenSource`."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any

from webex.auth.tokens import TokenSet, normalise_token
from webex.errors import ConfigurationError, NotSignedInError, ReauthorizationRequiredError

if TYPE_CHECKING:
    from webex.auth.manager import TokenManager
    from webex.runtime.protocol import Runtime
    from webex.telemetry import RefreshReason


_numbers = itertools.count(1)


class UserTokens:
    """The stored token of one user. `given` is a token that is stored before the first use."""

    __slots__ = ("_given", "_manager", "_signed_in", "key")

    def __init__(self, manager: TokenManager, key: str, given: TokenSet | None = None) -> None:
        self._manager = manager
        self._given = given
        self._signed_in = False  # as last read
        self.key: str = key

    @property
    def owner(self) -> Hashable:
        """The user."""
        return ("user", self.key)

    @property
    def can_authorize(self) -> bool:
        """Whether there was a token when the storage was last read by `read_stored`, or one was given."""
        return self._given is not None or self._signed_in

    @property
    def can_refresh(self) -> bool:
        """Whether that token can be refreshed."""
        return self._manager.can_refresh and self.can_authorize

    async def access_token(self, *, deadline: float | None = None) -> str:
        """Return a valid token; refreshes first if it has to."""
        if self._given is not None:
            await self.store_given()
        return await self._manager.access_token(self.key, deadline=deadline)

    async def replace(
        self, rejected: str, *, deadline: float | None = None, reason: RefreshReason | None = None
    ) -> str | None:
        """Return a token that differs from the rejected one."""
        return await self._manager.replace(self.key, rejected, deadline=deadline, reason=reason)

    async def login_id(self) -> str:
        """Return which sign-in is stored, read now; raise when the user is signed out or has to sign in again."""
        return await self._manager.login_id(self.key)

    async def store_given(self) -> None:
        """Store the token that was given, once; it wins over a stored one."""
        given = self._given
        if given is None:
            return
        stored = await self._manager.record(self.key)
        if stored is None or stored.tokens.access_token != given.access_token:
            keeps = stored is not None and given.refresh_token and given.refresh_token == stored.tokens.refresh_token
            if not (keeps and not given.access_token):
                await self._manager.save_login(self.key, given)
        self._given = None

    async def read_stored(self) -> None:
        """Read whether the user is signed in, for `can_authorize`."""
        await self.store_given()
        self._signed_in = await self._manager.is_signed_in(self.key)

    def settle(self, *, signed_in: bool) -> None:
        """Take note of a sign-in or a sign-out; a token that was given counts no more."""
        self._given, self._signed_in = None, signed_in


class StaticToken:
    """One token that is not refreshed: a bot's, or a personal one."""

    __slots__ = ("_token", "owner")

    key: None = None
    can_authorize = True
    can_refresh = False

    def __init__(self, token: str) -> None:
        self._token = token
        self.owner: Hashable = ("token", hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()[:16])

    async def access_token(self, *, deadline: float | None = None) -> str:
        """Return the token."""
        return self._token

    async def replace(
        self, rejected: str, *, deadline: float | None = None, reason: RefreshReason | None = None
    ) -> str | None:
        """There is no other."""
        return None

    def __repr__(self) -> str:
        return "StaticToken(…)"


class NoToken:
    """Nothing was given: each call says how to give it."""

    __slots__ = ("_why",)

    key: None = None
    can_authorize = False
    can_refresh = False

    def __init__(self, why: str | None = None) -> None:
        self._why = why

    @property
    def owner(self) -> Hashable:
        """There is none."""
        return None

    async def access_token(self, *, deadline: float | None = None) -> str:
        """Raise `NotSignedInError`."""
        raise NotSignedInError(
            self._why
            or "There is no token: pass one, set WEBEX_ACCESS_TOKEN, or give a storage in which a user is signed in."
        )

    async def replace(
        self, rejected: str, *, deadline: float | None = None, reason: RefreshReason | None = None
    ) -> str | None:
        """There is no other."""
        return None


class FetchedToken:
    """A token that a function gives: one that someone else owns, or a grant without a person. Kept while fresh."""

    key: None = None
    can_authorize = True
    can_refresh = True

    def __init__(
        self,
        runtime: Runtime,
        now: Callable[[], float],
        fetch: Callable[[], Any | Awaitable[Any]],
        first: TokenSet | None = None,
        *,
        owner: Hashable = None,
    ) -> None:
        self.owner: Hashable = owner if owner is not None else ("source", next(_numbers))
        self._runtime = runtime
        self._now = now
        self._fetch = fetch
        self._tokens = first

    async def access_token(self, *, deadline: float | None = None) -> str:
        """Return the token; fetch a new one when it has expired, or is about to."""
        tokens = self._tokens
        if tokens is None or not tokens.access_token or tokens.state(self._now()) != "fresh":
            tokens = await self._fetch_once(deadline)
        return tokens.access_token

    async def replace(
        self, rejected: str, *, deadline: float | None = None, reason: RefreshReason | None = None
    ) -> str | None:
        """Return a token that differs, if the function has one."""
        tokens = self._tokens
        if tokens is None or tokens.access_token == rejected:
            tokens = await self._fetch_once(deadline)
        return None if tokens.access_token == rejected else tokens.access_token

    async def _fetch_once(self, deadline: float | None) -> TokenSet:
        left = None if deadline is None else max(deadline - self._runtime.clock.monotonic(), 0.0)
        return await self._runtime.single_flight(("fetch", id(self)), self._fetched, timeout=left)

    async def _fetched(self) -> TokenSet:
        given = await self._runtime.call(self._fetch)
        tokens = normalise_token(given, self._now())
        if tokens is None or not tokens.access_token:
            raise ConfigurationError(
                "The refresh callback gave no token; it gives text, or a mapping with access_token."
            )
        if tokens.state(self._now()) == "expired":
            raise ReauthorizationRequiredError("The refresh callback gave a token that has expired.", reason="revoked")
        self._tokens = tokens
        return tokens
