"""Signing in, transport, storage, files: everything that is no answer of a service."""

from __future__ import annotations

from dataclasses import dataclass, field

from webex.errors.api import RequestInfo
from webex.errors.base import WebexError


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
    """No answer came: the connection failed, was cut, or spoke something else than HTTP.

    `request` is what was asked of which host; `timeout` the seconds that the call was allowed, where they ran out.
    """

    def __init__(self, message: str, *, request: RequestInfo | None = None) -> None:
        self.request = request
        self.timeout: float | None = None
        super().__init__(message)

    def __str__(self) -> str:
        text = str(self.args[0]) if self.args else type(self).__name__
        if self.timeout is not None:
            text += f" [timeout {self.timeout:g} s]"
        if self.request is not None:
            text += f" [{self.request.method} {self.request.url}]"
        return text


class ConnectError(TransportError):
    """No connection was made, so the request was certainly not processed."""


class DeadlineError(TransportError, TimeoutError):
    """The time for the call ran out."""


class ConnectDeadlineError(ConnectError, DeadlineError):
    """The time for the call ran out before a connection was free or made: certainly nothing was sent."""


class ResponseTooLargeError(TransportError):
    """An answer was larger than its limit, so reading ended: its body once decompressed, or its head."""


class RedirectError(TransportError):
    """Too many redirects, or one to a place that may not be followed."""


class DecodeError(WebexError):
    """An answer came that can't be read; `path` names the place in it where known.

    `request` says what was asked of which host, `status` and `content_type` what came, `tracking_id` the id to quote to
    support. Of the answer's text, which may hold a secret, nothing is shown.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        request: RequestInfo | None = None,
        status: int | None = None,
        content_type: str | None = None,
        tracking_id: str | None = None,
    ) -> None:
        self.path = path
        self.request = request
        self.status = status
        self.content_type = content_type
        self.tracking_id: str | None = tracking_id or (request.tracking_id if request is not None else None)
        super().__init__(message)

    def __str__(self) -> str:
        text = str(self.args[0]) if self.args else type(self).__name__
        came = [str(part) for part in (self.status, self.content_type) if part]
        if came:
            text += f" [{', '.join(came)}]"
        if self.request is not None:
            text += f" [{self.request.method} {self.request.url}]"
        if self.tracking_id:
            text += f" [tracking id {self.tracking_id}]"
        return text


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
