"""What authorization and token endpoints refuse with, by their code."""

from __future__ import annotations

from typing import ClassVar

from webex.errors.base import WebexError, one_line


class OAuthError(WebexError):
    """An authorization or token endpoint refused; `error`, `description` and `uri` are the fields of RFC 6749 §5.2."""

    code: ClassVar[str | None] = None

    def __init__(
        self,
        error: str,
        description: str | None = None,
        uri: str | None = None,
        *,
        status: int | None = None,
        tracking_id: str | None = None,
    ) -> None:
        self.error = error
        self.description = description
        self.uri = uri
        self.status = status
        self.tracking_id = tracking_id
        super().__init__(error)

    def __str__(self) -> str:
        text = f"{self.error}: {self.description}" if self.description else self.error
        if self.uri:
            text += f" (see {self.uri})"
        if self.tracking_id:
            text += f" [tracking id {self.tracking_id}]"
        return one_line(text)


class InvalidRequestError(OAuthError):
    """A parameter of the request is missing, repeated or malformed."""

    code: ClassVar[str | None] = "invalid_request"


class InvalidClientError(OAuthError):
    """The client id or client secret is wrong."""

    code: ClassVar[str | None] = "invalid_client"


class InvalidGrantError(OAuthError):
    """The code or refresh token is wrong, used, expired, or was issued to another client or redirect URI."""

    code: ClassVar[str | None] = "invalid_grant"


class UnauthorizedClientError(OAuthError):
    """The app may not use this grant."""

    code: ClassVar[str | None] = "unauthorized_client"


class UnsupportedGrantTypeError(OAuthError):
    """The token endpoint does not know this grant."""

    code: ClassVar[str | None] = "unsupported_grant_type"


class InvalidScopeError(OAuthError):
    """A scope is unknown, malformed, or more than the app is registered for."""

    code: ClassVar[str | None] = "invalid_scope"


class AccessDeniedError(OAuthError):
    """The person, or the person's organisation, did not consent."""

    code: ClassVar[str | None] = "access_denied"


class UnsupportedResponseTypeError(OAuthError):
    """The authorization endpoint does not know this response type."""

    code: ClassVar[str | None] = "unsupported_response_type"


class OAuthServerError(OAuthError):
    """The authorization server failed (`server_error`)."""

    code: ClassVar[str | None] = "server_error"


class TemporarilyUnavailableError(OAuthError):
    """The authorization server is overloaded or under maintenance."""

    code: ClassVar[str | None] = "temporarily_unavailable"


class AuthorizationPendingError(OAuthError):
    """Device grant: the person has not decided yet; ask again after the interval."""

    code: ClassVar[str | None] = "authorization_pending"


class SlowDownError(OAuthError):
    """Device grant: ask five seconds less often."""

    code: ClassVar[str | None] = "slow_down"


class DeviceCodeExpiredError(OAuthError):
    """Device grant: the code ran out before the person decided."""

    code: ClassVar[str | None] = "expired_token"


_BY_CODE: dict[str, type[OAuthError]] = {sub.code: sub for sub in OAuthError.__subclasses__() if sub.code is not None}


def oauth_error_class(code: str) -> type[OAuthError]:
    """Return the class for an OAuth error code; `OAuthError` for one that no RFC names."""
    return _BY_CODE.get(code, OAuthError)
