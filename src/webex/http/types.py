"""A request on its way to the cloud, its answer, and the two protocols that other rooms implement for this one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict

from webex.errors import DecodeError, RequestInfo
from webex.http.turns import Priority

if TYPE_CHECKING:
    from webex.telemetry import RefreshReason

Scalar = str | int | float | bool
Params = Mapping[str, Scalar | Sequence[Scalar] | None]


class CallOptions(TypedDict, total=False):
    """What `client.with_options` may change for its calls. Times are seconds, sizes bytes."""

    timeout: float  # for all attempts of a call together
    max_retries: int
    idle_timeout: float  # until a streamed answer begins, and between two pieces of it
    max_response_size: int  # of an answer that is not streamed, decompressed
    max_download_size: int
    priority: Priority  # who goes first where the client limits its own calls (`calls_per_second`); "interactive"


class RequestOptions(CallOptions, total=False):
    """What `client.request` and `client.request_pages` take. At most one of `json`, `form` and `content`."""

    params: Params | None  # of the query; lists are joined by commas, None is left out
    json: Any
    form: Mapping[str, str]
    content: bytes | AsyncIterator[bytes]
    content_type: str  # of `content`
    headers: Mapping[str, str]
    service: str  # whose URL `url` is below: a service of `service_urls`, or of the organization's catalog
    auth: Literal["token", "none"]  # whether the token goes along, where the host may have it
    idempotent: bool  # whether it may be repeated when it may have been carried out; by default, by the method
    on_progress: Callable[[int, int | None], Any]  # called with the bytes sent so far, and in all where known


@dataclass(slots=True)
class Request:
    """One call, before any layer has seen it.

    `url` is absolute, or a path below `service` (`"/rooms"` below `hydra` is `https://webexapis.com/v1/rooms`).
    At most one of `json`, `form`, `multipart`, `content` is given.
    """

    method: str
    url: str
    service: str = "hydra"
    params: Params | None = None
    headers: Mapping[str, str] | None = None
    json: Any = None
    form: Mapping[str, str] | None = field(default=None, repr=False)
    multipart: Sequence[Part] | None = None
    content: bytes | AsyncIterator[bytes] | None = field(default=None, repr=False)
    content_type: str | None = None
    auth: Literal["token", "none"] | tuple[str, str] = field(default="token", repr=False)  # a pair: HTTP Basic
    timeout: float | None = None  # seconds for all attempts together; None: the configured one, as for the next four
    max_retries: int | None = None
    idle_timeout: float | None = None  # seconds until a streamed answer begins, and between two pieces of it
    max_response_size: int | None = None  # bytes of an answer that is not streamed, decompressed
    max_download_size: int | None = None  # bytes of a streamed answer
    priority: Priority | None = None
    idempotent: bool | None = None  # None: decided by the method
    stream: bool = False  # True: the caller reads the body
    on_progress: Callable[[int, int | None], Any] | None = None  # bytes sent so far, of how many
    template: str | None = None  # the path with the names of its parameters, for telemetry: `/rooms/{roomId}`


@dataclass(slots=True)
class Part:
    """One part of a multipart body. `data` is text, bytes, or a `Source` that can be opened again for a retry."""

    name: str
    data: str | bytes | Source = field(repr=False)
    filename: str | None = None
    content_type: str | None = None


class Source(Protocol):
    """Bytes to upload, in pieces."""

    size: int | None  # None: unknown
    rewindable: bool  # False: it can be opened only once

    def open(self) -> AsyncIterator[bytes]:
        """Yield the bytes from the start."""
        ...


@dataclass(slots=True)
class Response:
    """An answer with a status below 400; anything else was raised as `ApiError`. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    request: RequestInfo
    attempts: int = 1

    def json(self) -> Any:
        """Decode the body as plain data; `DecodeError` when it is no JSON, None when it is empty."""
        from webex.http.codec import decode_json

        if not self.content:
            return None
        try:
            return decode_json(self.content, self.request)
        except DecodeError as error:
            raise self.unreadable(str(error.args[0])) from None

    def unreadable(self, message: str, *, path: str | None = None) -> DecodeError:
        """Make the error for an answer that can't be read: it names host, status, content type and tracking id."""
        return DecodeError(
            message,
            path=path,
            request=self.request,
            status=self.status,
            content_type=self.headers.get("content-type"),
            tracking_id=self.tracking_id,
        )

    @property
    def tracking_id(self) -> str | None:
        """The id to quote to support: the service's own, else the one that was sent."""
        return self.headers.get("trackingid") or self.request.tracking_id


class TokenSource(Protocol):
    """Gives out the token of one person (or bot, or app). Implemented by `auth`.

    `deadline` is that of the call, on the monotonic clock: `DeadlineError` when no token came by then.
    """

    @property
    def owner(self) -> Hashable:
        """Whose token it is: equal for every source of the same user, bot or app of a client, and no secret."""
        ...

    @property
    def key(self) -> str | None:
        """The user's key in the storage; None for a token that is not stored."""
        ...

    @property
    def can_authorize(self) -> bool:
        """Whether there is a token, or a way to get one, as far as known without I/O."""
        ...

    @property
    def can_refresh(self) -> bool:
        """Whether a rejected token can be replaced, as far as known without I/O."""
        ...

    async def access_token(self, *, deadline: float | None = None) -> str:
        """Return a token that is valid as far as this process knows; refresh first if it has to."""
        ...

    async def replace(
        self, rejected: str, *, deadline: float | None = None, reason: RefreshReason | None = None
    ) -> str | None:
        """Replace a token that the cloud answered 401 to: read the storage, return a token that differs, else refresh.

        None: there is nothing better, and the 401 stands.
        """
        ...


class HostPolicy(Protocol):
    """Knows the services. Implemented by `services`."""

    async def url_of(self, service: str) -> str:
        """Return the base URL of a service, without a trailing slash; `ConfigurationError` for an unknown one."""
        ...

    def may_receive_token(self, url: str) -> bool:
        """Whether a token may go to this URL: whole domain labels, https, or http to loopback."""
        ...
