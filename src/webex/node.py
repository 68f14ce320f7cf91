"""The calls of the Node SDK's `credentials` and `authorization`, under their names in snake_case.

They are views of a client, like the client itself: `client.credentials.build_login_url(client_type="confidential")`,
`client.authorization.request_authorization_code_grant(code=…)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from webex.runtime import drive

if TYPE_CHECKING:
    from webex.client import AsyncWebex, Webex

__all__ = ["AsyncAuthorization", "AsyncCredentials", "Authorization", "Credentials"]


class _Credentials:
    __slots__ = ("_client",)

    _client: AsyncWebex | Webex

    @property
    def can_authorize(self) -> bool:
        """Whether there is a token, or a way to get one; known after `ready()`."""
        return self._client.can_authorize

    @property
    def can_refresh(self) -> bool:
        """Whether the token can be refreshed; known after `ready()`."""
        return self._client.can_refresh

    def build_login_url(
        self, options: Mapping[str, Any] | None = None, /, *, state: Mapping[str, Any] | None = None, **more: Any
    ) -> str:
        """The URL of the consent page: pure, no I/O, no PKCE; the state is the caller's (core-behaviour §2.15).

        `client_type="confidential"` asks for a code, which is what a server wants. `state` is a mapping, sent as
        base64url of its JSON.
        """
        if state is not None:
            more["state"] = state
        return self._client._app.build_login_url(**{**(options or {}), **more})

    def build_logout_url(self, options: Mapping[str, Any] | None = None, /, **more: Any) -> str:
        """The URL that ends the person's session at Webex and goes on to `goto` (core-behaviour §2.15)."""
        return self._client._app.build_logout_url(**{**(options or {}), **more})


class AsyncCredentials(_Credentials):
    """`client.credentials` of an `AsyncWebex`."""

    __slots__ = ()

    def __init__(self, client: AsyncWebex) -> None:
        self._client = client

    async def get_user_token(self, scope: str | Sequence[str] | None = None) -> str:
        """The access token; with `scope`, one that is reduced to these scopes (core-behaviour §2.4)."""
        return await self._client._app.user_token(self._client._tokens, scope)

    async def get_org_id(self) -> str:
        """The UUID of the organization, read out of the token (core-behaviour §2.14)."""
        return await self._client._app.org_id(self._client._tokens)

    async def refresh(self) -> None:
        """Refresh the token now."""
        await self._client._app.refresh(self._client._tokens)

    async def invalidate(self) -> None:
        """Forget the token here, without revoking it (core-behaviour §2.10)."""
        await self._client._app.forget(self._client._tokens)


class Credentials(_Credentials):
    """`client.credentials` of a `Webex`."""

    __slots__ = ()

    def __init__(self, client: Webex) -> None:
        self._client = client

    def get_user_token(self, scope: str | Sequence[str] | None = None) -> str:
        """The access token; with `scope`, one that is reduced to these scopes (core-behaviour §2.4)."""
        return drive(self._client._app.user_token(self._client._tokens, scope))

    def get_org_id(self) -> str:
        """The UUID of the organization, read out of the token (core-behaviour §2.14)."""
        return drive(self._client._app.org_id(self._client._tokens))

    def refresh(self) -> None:
        """Refresh the token now."""
        drive(self._client._app.refresh(self._client._tokens))

    def invalidate(self) -> None:
        """Forget the token here, without revoking it (core-behaviour §2.10)."""
        drive(self._client._app.forget(self._client._tokens))


class AsyncAuthorization:
    """`client.authorization` of an `AsyncWebex`."""

    __slots__ = ("_client",)

    def __init__(self, client: AsyncWebex) -> None:
        self._client = client

    async def request_authorization_code_grant(
        self,
        params: Any = None,
        /,
        *,
        code: str | None = None,
        code_verifier: str | None = None,
    ) -> None:
        """Exchange the code that the redirect brought for a token, and keep it (core-behaviour §3).

        `params` is the query of the redirect (mapping, query text or URL), or give `code`. Raises `AccessDeniedError`
        and the other `OAuthError`s, `ConfigurationError` when there is no code. The state is the caller's to check.
        """
        await self._client._app.code_grant(self._client._tokens, params, code, code_verifier)


class Authorization:
    """`client.authorization` of a `Webex`."""

    __slots__ = ("_client",)

    def __init__(self, client: Webex) -> None:
        self._client = client

    def request_authorization_code_grant(
        self,
        params: Any = None,
        /,
        *,
        code: str | None = None,
        code_verifier: str | None = None,
    ) -> None:
        """Exchange the code that the redirect brought for a token; see `AsyncAuthorization`."""
        drive(self._client._app.code_grant(self._client._tokens, params, code, code_verifier))
