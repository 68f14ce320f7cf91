"""The calls of the Node SDK's `credentials` and `authorization`, under their names in snake_case.

They are views of a client, like the client itself: `client.credentials.build_login_url(client_type="confidential")`,
`client.authorization.request_authorization_code_grant(code=…)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from webex.auth.urls import build_login_url, build_logout_url
from webex.config.arguments import check_arguments
from webex.runtime import drive

if TYPE_CHECKING:
    from webex.auth import TokenSet
    from webex.auth.credentials import UserCredentials

__all__ = ["AsyncAuthorization", "AsyncCredentials", "Authorization", "Credentials", "Supertoken"]


class _Names:
    """Errors for names in camelCase that tell ours."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            from webex.config.arguments import refuse_attribute

            refuse_attribute(self, name)


class _Credentials(_Names):
    __slots__ = ("_credentials",)

    _credentials: UserCredentials

    @property
    def can_authorize(self) -> bool:
        """Whether there is a token, or a way to get one; known after `ready()`."""
        return self._credentials.can_authorize

    @property
    def can_refresh(self) -> bool:
        """Whether the token can be refreshed; known after `ready()`."""
        return self._credentials.can_refresh

    def build_login_url(self, options: Mapping[str, Any] | None = None, /, **more: Any) -> str:
        """Build the URL of the consent page: pure, no I/O, no PKCE; the state is the caller's (oauth §6).

        `client_type="confidential"` (or none) asks for a code. `state` is a mapping, sent as base64url of its JSON.
        Names may be in camelCase. `client_type="public"`, the implicit grant of the Node SDK, is a
        `ConfigurationError`.
        """
        return build_login_url(self._credentials.config, options, **more)

    def build_logout_url(self, options: Mapping[str, Any] | None = None, /, **more: Any) -> str:
        """Build the URL that ends the person's session at Webex and goes on to `goto` (oauth §6)."""
        return build_logout_url(self._credentials.config, options, **more)


@dataclass(frozen=True, slots=True)
class Supertoken:
    """An access token with its expiry, and without the refresh token, which never leaves the server.

    `expires_at` is in seconds since the epoch, `expires_in` in seconds from when it was asked for; None: not known.
    """

    access_token: str = field(repr=False)
    token_type: str = "Bearer"
    expires_at: float | None = None
    expires_in: int | None = None
    scope: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data as the Node and browser SDK take it: `expires` is in milliseconds since the epoch."""
        data = {
            "access_token": self.access_token,
            "token_type": self.token_type,
            "expires_in": self.expires_in,
            "expires": None if self.expires_at is None else round(self.expires_at * 1000),
            "scope": self.scope or None,
        }
        return {name: value for name, value in data.items() if value is not None}


@check_arguments
class AsyncCredentials(_Credentials):
    """`client.credentials` of an `AsyncWebex`."""

    __slots__ = ()

    def __init__(self, credentials: UserCredentials) -> None:
        self._credentials = credentials

    async def get_user_token(self, scope: str | Sequence[str] | None = None) -> str:
        """Return the access token; with `scope`, one that is reduced to these scopes (oauth §8)."""
        return await self._credentials.user_token(scope)

    async def supertoken(self) -> Supertoken:
        """Return the access token with its expiry, refreshed if it has to be: what a browser widget is started with."""
        return _supertoken(await self._credentials.token_set(), self._credentials.now())

    async def adopt_node_record(self, record: Any) -> None:
        """Keep the token that the Node SDK stored for this client's person; needs `storage=` or a registered app."""
        await self._credentials.adopt_node_record(record)

    async def get_org_id(self) -> str:
        """Read the UUID of the organization from the token (oauth §9)."""
        return await self._credentials.org_id()

    async def refresh(self) -> None:
        """Refresh the token now."""
        await self._credentials.refresh()

    async def invalidate(self) -> None:
        """Forget the token here, without revoking it (oauth §7)."""
        await self._credentials.forget()


@check_arguments
class Credentials(_Credentials):
    """`client.credentials` of a `Webex`."""

    __slots__ = ()

    def __init__(self, credentials: UserCredentials) -> None:
        self._credentials = credentials

    def get_user_token(self, scope: str | Sequence[str] | None = None) -> str:
        """Return the access token; with `scope`, one that is reduced to these scopes (oauth §8)."""
        return drive(self._credentials.user_token(scope))

    def supertoken(self) -> Supertoken:
        """Return the access token with its expiry; see `AsyncCredentials.supertoken`."""
        return _supertoken(drive(self._credentials.token_set()), self._credentials.now())

    def adopt_node_record(self, record: Any) -> None:
        """Keep the token that the Node SDK stored for this client's person; see `AsyncCredentials`."""
        drive(self._credentials.adopt_node_record(record))

    def get_org_id(self) -> str:
        """Read the UUID of the organization from the token (oauth §9)."""
        return drive(self._credentials.org_id())

    def refresh(self) -> None:
        """Refresh the token now."""
        drive(self._credentials.refresh())

    def invalidate(self) -> None:
        """Forget the token here, without revoking it (oauth §7)."""
        drive(self._credentials.forget())


@check_arguments
class AsyncAuthorization(_Names):
    """`client.authorization` of an `AsyncWebex`."""

    __slots__ = ("_credentials",)

    def __init__(self, credentials: UserCredentials) -> None:
        self._credentials = credentials

    async def request_authorization_code_grant(
        self,
        params: Any = None,
        /,
        *,
        code: str | None = None,
        code_verifier: str | None = None,
    ) -> None:
        """Exchange the code that the redirect brought for a token, and keep it (oauth §4.1).

        `params` is the query of the redirect (mapping, query text or URL), or give `code`. Raises `AccessDeniedError`
        and the other `OAuthError`s, `ConfigurationError` when there is no code. The state is the caller's to check.
        """
        await self._credentials.grant(params, code, code_verifier)


@check_arguments
class Authorization(_Names):
    """`client.authorization` of a `Webex`."""

    __slots__ = ("_credentials",)

    def __init__(self, credentials: UserCredentials) -> None:
        self._credentials = credentials

    def request_authorization_code_grant(
        self,
        params: Any = None,
        /,
        *,
        code: str | None = None,
        code_verifier: str | None = None,
    ) -> None:
        """Exchange the code that the redirect brought for a token; see `AsyncAuthorization`."""
        drive(self._credentials.grant(params, code, code_verifier))


def _supertoken(tokens: TokenSet, now: float) -> Supertoken:
    left = None if tokens.expires_at is None else max(int(tokens.expires_at - now), 0)
    return Supertoken(tokens.access_token, tokens.token_type, tokens.expires_at, left, tokens.scope)
