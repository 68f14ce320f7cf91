"""Where the token of a call comes from: each implements `webex.http.TokenSource`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from webex.auth.tokens import TokenSet, normalise_token
from webex.errors import ConfigurationError, NotSignedInError, ReauthorizationRequiredError

if TYPE_CHECKING:
    from webex.auth.manager import TokenManager
    from webex.runtime.protocol import Runtime


class UserTokens:
    """The stored token of one user."""

    __slots__ = ("_manager", "key")

    def __init__(self, manager: TokenManager, key: str) -> None:
        self._manager = manager
        self.key = key

    async def access_token(self) -> str:
        """A valid token; refreshes first if it has to."""
        return await self._manager.access_token(self.key)

    async def replace(self, rejected: str) -> str | None:
        """A token that differs from the rejected one."""
        return await self._manager.replace(self.key, rejected)


class StaticToken:
    """One token that nobody refreshes: a bot's, or a personal one."""

    __slots__ = ("_token",)

    def __init__(self, token: str) -> None:
        self._token = token

    async def access_token(self) -> str:
        """The token."""
        return self._token

    async def replace(self, rejected: str) -> str | None:
        """There is no other."""
        return None

    def __repr__(self) -> str:
        return "StaticToken(…)"


class NoToken:
    """Nothing was given: each call says how to give it."""

    __slots__ = ()

    async def access_token(self) -> str:
        """Raises `NotSignedInError`."""
        raise NotSignedInError(
            "There is no token: pass one, set WEBEX_ACCESS_TOKEN, or give a storage in which somebody is signed in."
        )

    async def replace(self, rejected: str) -> str | None:
        """There is no other."""
        return None


class FetchedToken:
    """A token that a function gives: one that someone else owns, or a grant without a person. Kept while fresh."""

    def __init__(
        self,
        runtime: Runtime,
        now: Callable[[], float],
        fetch: Callable[[], Any | Awaitable[Any]],
        first: TokenSet | None = None,
    ) -> None:
        self._runtime = runtime
        self._now = now
        self._fetch = fetch
        self._tokens = first

    async def access_token(self) -> str:
        """The token; a new one when it has expired, or is about to."""
        tokens = self._tokens
        if tokens is None or not tokens.access_token or tokens.state(self._now()) != "fresh":
            tokens = await self._runtime.single_flight(("fetch", id(self)), self._fetched)
        return tokens.access_token

    async def replace(self, rejected: str) -> str | None:
        """A token that differs, if the function has one."""
        tokens = self._tokens
        if tokens is None or tokens.access_token == rejected:
            tokens = await self._runtime.single_flight(("fetch", id(self)), self._fetched)
        return None if tokens.access_token == rejected else tokens.access_token

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
