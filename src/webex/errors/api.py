"""What the cloud answers with an error status, by status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from webex.errors.base import WebexError, one_line


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
        self.errors: list[str] = list(errors)
        self.tracking_id = tracking_id
        self.retry_after = retry_after
        self.body = body
        self.headers: Mapping[str, str] = dict(headers or {})  # plain, so that it can be pickled
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
        return one_line(text)


class BadRequestError(ApiError):
    """400, and every 4xx that has no class of its own."""

    status_class: ClassVar[int | None] = 400


class AuthenticationError(BadRequestError):
    """401: the token is missing, wrong or expired, and it could not be replaced."""

    status_class: ClassVar[int | None] = 401


class PermissionDeniedError(BadRequestError):
    """403: the person, or the scopes of the token, do not allow it."""

    status_class: ClassVar[int | None] = 403


class NotFoundError(BadRequestError):
    """404: it does not exist, or this person may not see it."""

    status_class: ClassVar[int | None] = 404


class MethodNotAllowedError(BadRequestError):
    """405: this resource does not take this method."""

    status_class: ClassVar[int | None] = 405


class RequestTimeoutError(BadRequestError):
    """408: the service waited too long for the request."""

    status_class: ClassVar[int | None] = 408


class ConflictError(BadRequestError):
    """409: it contradicts what is there, such as a second membership of the same person."""

    status_class: ClassVar[int | None] = 409


class GoneError(BadRequestError):
    """410: it is no longer there; of a file: malware was found in it."""

    status_class: ClassVar[int | None] = 410


class PreconditionFailedError(BadRequestError):
    """412: a condition of the request does not hold."""

    status_class: ClassVar[int | None] = 412


class PayloadTooLargeError(BadRequestError):
    """413: the body or file is larger than the service takes."""

    status_class: ClassVar[int | None] = 413


class UnsupportedMediaTypeError(BadRequestError):
    """415: the service does not take this kind of content."""

    status_class: ClassVar[int | None] = 415


class LockedError(BadRequestError):
    """423: of a file: it is still being scanned; `retry_after` says when to ask again."""

    status_class: ClassVar[int | None] = 423


class PreconditionRequiredError(BadRequestError):
    """428: of a file: it can't be scanned; ask with `allow="unscannable"` to have it all the same."""

    status_class: ClassVar[int | None] = 428


class RateLimitError(BadRequestError):
    """429: too many requests; `retry_after` says how long to wait."""

    status_class: ClassVar[int | None] = 429


class UnavailableForLegalReasonsError(BadRequestError):
    """451: the service may not answer from this place."""

    status_class: ClassVar[int | None] = 451


class ServerError(ApiError):
    """500, and every 5xx that has no class of its own."""

    status_class: ClassVar[int | None] = 500


class BadGatewayError(ServerError):
    """502: a proxy got no valid answer from the service."""

    status_class: ClassVar[int | None] = 502


class ServiceUnavailableError(ServerError):
    """503: the service is overloaded or under maintenance."""

    status_class: ClassVar[int | None] = 503


class GatewayTimeoutError(ServerError):
    """504: a proxy got no answer from the service in time."""

    status_class: ClassVar[int | None] = 504


def _subclasses(base: type[ApiError]) -> dict[int, type[ApiError]]:
    found = {base.status_class: base} if base.status_class else {}
    for sub in base.__subclasses__():
        found.update(_subclasses(sub))
    return found


_BY_STATUS = _subclasses(ApiError)


def api_error_class(status: int) -> type[ApiError]:
    """Return the class for an HTTP status: its own, else the one of its hundred, else `ApiError`."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 400 <= status < 500:
        return BadRequestError
    if 500 <= status < 600:
        return ServerError
    return ApiError
