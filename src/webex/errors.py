"""Every error that the SDK raises, in one tree.

WebexError
├── ConfigurationError                 a setting is missing, wrong or contradicts another
├── ApiError                           the cloud answered a request with an error status
│   ├── BadRequestError                400, and 4xx without a class of their own
│   │   ├── AuthenticationError        401
│   │   ├── PermissionDeniedError      403
│   │   ├── NotFoundError              404
│   │   ├── MethodNotAllowedError      405
│   │   ├── RequestTimeoutError        408
│   │   ├── ConflictError              409
│   │   ├── GoneError                  410; a file that was found infected
│   │   ├── PreconditionFailedError    412
│   │   ├── PayloadTooLargeError       413
│   │   ├── UnsupportedMediaTypeError  415
│   │   ├── LockedError                423; a file that is still being scanned
│   │   ├── PreconditionRequiredError  428; a file that cannot be scanned
│   │   ├── RateLimitError             429
│   │   └── UnavailableForLegalReasonsError  451
│   └── ServerError                    500, and 5xx without a class of their own
│       ├── BadGatewayError            502
│       ├── ServiceUnavailableError    503
│       └── GatewayTimeoutError        504
├── OAuthError                         an authorization or token endpoint said no
│   ├── InvalidRequestError, InvalidClientError, InvalidGrantError, UnauthorizedClientError,
│   │   UnsupportedGrantTypeError, InvalidScopeError                                  RFC 6749 §5.2
│   ├── AccessDeniedError, UnsupportedResponseTypeError, OAuthServerError,
│   │   TemporarilyUnavailableError                                                   RFC 6749 §4.1.2.1
│   └── AuthorizationPendingError, SlowDownError, DeviceCodeExpiredError              RFC 8628 §3.5
├── LoginError                         a sign-in could not be finished: its state is forged, used, expired or foreign
│   └── IdTokenError                   the ID token does not prove who signed in
├── NotSignedInError                   no token is stored for this user
├── ReauthorizationRequiredError       the stored token can no longer be refreshed; the user has to sign in again
├── TransportError                     no answer came
│   ├── ConnectError                   no connection was made: the request was certainly not processed
│   ├── DeadlineError                  the time for the call ran out (also a TimeoutError)
│   └── RedirectError                  too many redirects, or one that may not be followed
├── DecodeError                        an answer came that cannot be read
├── FileError                          a file can't be sent or saved (too large, unreadable, not rewindable)
├── StorageError                       the storage failed
│   └── MissingKeyError                the key is not there (also a KeyError)
├── SignatureError                     a webhook's signature does not match its body
└── DecryptionError                    an encrypted value can't be opened

No message, attribute or repr holds a token, code, key, secret or cookie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

__all__ = [
    "AccessDeniedError",
    "ApiError",
    "AuthenticationError",
    "AuthorizationPendingError",
    "BadGatewayError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "DeadlineError",
    "DecodeError",
    "DecryptionError",
    "DeviceCodeExpiredError",
    "FileError",
    "GatewayTimeoutError",
    "GoneError",
    "IdTokenError",
    "InvalidClientError",
    "InvalidGrantError",
    "InvalidRequestError",
    "InvalidScopeError",
    "LockedError",
    "LoginError",
    "MethodNotAllowedError",
    "MissingKeyError",
    "NotFoundError",
    "NotSignedInError",
    "OAuthError",
    "OAuthServerError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "PreconditionRequiredError",
    "RateLimitError",
    "ReauthorizationRequiredError",
    "RedirectError",
    "RequestInfo",
    "RequestTimeoutError",
    "ServerError",
    "ServiceUnavailableError",
    "SignatureError",
    "SlowDownError",
    "StorageError",
    "TemporarilyUnavailableError",
    "TransportError",
    "UnauthorizedClientError",
    "UnavailableForLegalReasonsError",
    "UnsupportedGrantTypeError",
    "UnsupportedMediaTypeError",
    "UnsupportedResponseTypeError",
    "WebexError",
    "api_error_class",
    "oauth_error_class",
]


class WebexError(Exception):
    """Whatever the SDK raises on purpose."""


class ConfigurationError(WebexError):
    """A setting is missing, wrong or contradicts another; says which, where it was looked for and how to set it."""


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What was asked, without anything secret: no token, no body, and a URL without its user info."""

    method: str
    url: str
    tracking_id: str | None = None


class ApiError(WebexError):
    """The cloud answered a request with an error status.

    `status` is the HTTP status, `errors` the descriptions that the service gave, `tracking_id` the id to quote to
    support, `retry_after` the seconds that the service asked to wait (None when it named none), `body` the decoded
    answer, `headers` the answer's headers with lower-case names.
    """

    status_class: ClassVar[int | None] = None

    def __init__(
        self,
        message: str,
        *,
        status: int,
        request: RequestInfo | None = None,
        errors: Sequence[str] = (),
        tracking_id: str | None = None,
        retry_after: float | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message
        self.status = status
        self.request = request
        self.errors = list(errors)
        self.tracking_id = tracking_id
        self.retry_after = retry_after
        self.body = body
        self.headers: Mapping[str, str] = headers or {}
        super().__init__(message)

    def __str__(self) -> str:
        text = f"{self.status}: {self.message}"
        extra = [error for error in self.errors if error and error not in self.message]
        if extra:
            text += f" ({'; '.join(extra)})"
        if self.request is not None:
            text += f" [{self.request.method} {self.request.url}]"
        if self.retry_after is not None:
            text += f" [retry after {self.retry_after:g} s]"
        if self.tracking_id:
            text += f" [tracking id {self.tracking_id}]"
        return text


class BadRequestError(ApiError):
    """400, and every 4xx that has no class of its own."""

    status_class = 400


class AuthenticationError(BadRequestError):
    """401: the token is missing, wrong or expired, and it could not be replaced."""

    status_class = 401


class PermissionDeniedError(BadRequestError):
    """403: the person, or the scopes of the token, do not allow it."""

    status_class = 403


class NotFoundError(BadRequestError):
    """404: it does not exist, or this person may not see it."""

    status_class = 404


class MethodNotAllowedError(BadRequestError):
    status_class = 405


class RequestTimeoutError(BadRequestError):
    status_class = 408


class ConflictError(BadRequestError):
    status_class = 409


class GoneError(BadRequestError):
    """410: it is no longer there; of a file: malware was found in it."""

    status_class = 410


class PreconditionFailedError(BadRequestError):
    status_class = 412


class PayloadTooLargeError(BadRequestError):
    status_class = 413


class UnsupportedMediaTypeError(BadRequestError):
    status_class = 415


class LockedError(BadRequestError):
    """423: of a file: it is still being scanned; `retry_after` says when to ask again."""

    status_class = 423


class PreconditionRequiredError(BadRequestError):
    """428: of a file: it can't be scanned; ask with `allow="unscannable"` to have it all the same."""

    status_class = 428


class RateLimitError(BadRequestError):
    """429: too many requests; `retry_after` says how long to wait."""

    status_class = 429


class UnavailableForLegalReasonsError(BadRequestError):
    status_class = 451


class ServerError(ApiError):
    """500, and every 5xx that has no class of its own."""

    status_class = 500


class BadGatewayError(ServerError):
    status_class = 502


class ServiceUnavailableError(ServerError):
    status_class = 503


class GatewayTimeoutError(ServerError):
    status_class = 504


def _subclasses(base: type[ApiError]) -> dict[int, type[ApiError]]:
    found = {base.status_class: base} if base.status_class else {}
    for sub in base.__subclasses__():
        found.update(_subclasses(sub))
    return found


_BY_STATUS = _subclasses(ApiError)


def api_error_class(status: int) -> type[ApiError]:
    """The class for an HTTP status: its own, else the one of its hundred, else `ApiError`."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 400 <= status < 500:
        return BadRequestError
    if 500 <= status < 600:
        return ServerError
    return ApiError


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
        return text


class InvalidRequestError(OAuthError):
    code = "invalid_request"


class InvalidClientError(OAuthError):
    """The client id or client secret is wrong."""

    code = "invalid_client"


class InvalidGrantError(OAuthError):
    """The code or refresh token is wrong, used, expired, or was issued to another client or redirect URI."""

    code = "invalid_grant"


class UnauthorizedClientError(OAuthError):
    code = "unauthorized_client"


class UnsupportedGrantTypeError(OAuthError):
    code = "unsupported_grant_type"


class InvalidScopeError(OAuthError):
    code = "invalid_scope"


class AccessDeniedError(OAuthError):
    """The person, or the person's organisation, did not consent."""

    code = "access_denied"


class UnsupportedResponseTypeError(OAuthError):
    code = "unsupported_response_type"


class OAuthServerError(OAuthError):
    code = "server_error"


class TemporarilyUnavailableError(OAuthError):
    code = "temporarily_unavailable"


class AuthorizationPendingError(OAuthError):
    """Device grant: the person has not decided yet; ask again after the interval."""

    code = "authorization_pending"


class SlowDownError(OAuthError):
    """Device grant: ask five seconds less often."""

    code = "slow_down"


class DeviceCodeExpiredError(OAuthError):
    """Device grant: the code ran out before the person decided."""

    code = "expired_token"


_BY_CODE: dict[str, type[OAuthError]] = {sub.code: sub for sub in OAuthError.__subclasses__() if sub.code is not None}


def oauth_error_class(code: str) -> type[OAuthError]:
    """The class for an OAuth error code; `OAuthError` for one that no RFC names."""
    return _BY_CODE.get(code, OAuthError)


class LoginError(WebexError):
    """A sign-in could not be finished; `reason` is a short stable word, such as `state` or `expired`."""

    def __init__(self, message: str, *, reason: str) -> None:
        self.reason = reason
        super().__init__(message)


class IdTokenError(LoginError):
    """The ID token does not prove who signed in."""

    def __init__(self, message: str, *, reason: str = "id_token") -> None:
        super().__init__(message, reason=reason)


class NotSignedInError(WebexError):
    """No token is stored for this user (never signed in, or signed out)."""

    def __init__(self, message: str, *, user_key: str | None = None) -> None:
        self.user_key = user_key
        super().__init__(message)


class ReauthorizationRequiredError(WebexError):
    """The user's token can no longer be refreshed: send the user through the sign-in again.

    `reason` is a short stable word: `refused` (the cloud refused the refresh token), `outcome_unknown` (an earlier
    refresh may have been carried out and its answer was lost), `no_refresh_token`, `revoked`.
    """

    def __init__(self, message: str, *, reason: str, user_key: str | None = None) -> None:
        self.reason = reason
        self.user_key = user_key
        super().__init__(message)


class TransportError(WebexError):
    """No answer came: the connection failed, was cut, or spoke something else than HTTP."""

    def __init__(self, message: str, *, request: RequestInfo | None = None) -> None:
        self.request = request
        super().__init__(message)


class ConnectError(TransportError):
    """No connection was made, so the request was certainly not processed."""


class DeadlineError(TransportError, TimeoutError):
    """The time for the call ran out."""


class RedirectError(TransportError):
    """Too many redirects, or one to a place that may not be followed."""


class DecodeError(WebexError):
    """An answer came that can't be read; `path` names the place in it where known."""

    def __init__(self, message: str, *, path: str | None = None, request: RequestInfo | None = None) -> None:
        self.path = path
        self.request = request
        super().__init__(message)


class FileError(WebexError):
    """A file can't be sent or saved: too large, unreadable, or a stream that can't be sent a second time."""


class StorageError(WebexError):
    """The storage failed; the cause is chained."""


@dataclass(eq=False)
class MissingKeyError(StorageError, KeyError):
    """The key is not there."""

    key: str
    namespace: str = field(default="")

    def __str__(self) -> str:
        return f"no value is stored under {self.key!r}" + (f" in {self.namespace!r}" if self.namespace else "")


class SignatureError(WebexError):
    """A webhook's signature is missing or does not match its raw body."""


class DecryptionError(WebexError):
    """An encrypted value can't be opened: wrong key, or the value was damaged or moved."""
