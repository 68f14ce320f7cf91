"""A request on its way to the cloud, its answer, and the two protocols that other rooms implement for this one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from webex.errors import RequestInfo

Scalar = str | int | float | bool
Params = Mapping[str, Scalar | Sequence[Scalar] | None]


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
    timeout: float | None = None  # seconds for all attempts together; None: the configured one
    max_retries: int | None = None  # None: the configured one
    idempotent: bool | None = None  # None: decided by the method
    stream: bool = False  # True: the caller reads the body
    on_progress: Callable[[int, int | None], Any] | None = None  # bytes sent so far, of how many


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

    def open(self) -> AsyncIterator[bytes]: ...


@dataclass(slots=True)
class Response:
    """An answer with a status below 400; anything else was raised as `ApiError`. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    request: RequestInfo
    attempts: int = 1

    def json(self) -> Any:
        """The body as plain data; `DecodeError` when it is no JSON, None when it is empty."""
        from webex.http.codec import decode_json

        return decode_json(self.content, self.request) if self.content else None

    @property
    def tracking_id(self) -> str | None:
        """The id to quote to support: the service's own, else the one that was sent."""
        return self.headers.get("trackingid") or self.request.tracking_id


class TokenSource(Protocol):
    """Gives out the token of one person (or bot, or app). Implemented by `auth`."""

    async def access_token(self) -> str:
        """A token that is valid as far as this process knows; refreshes first if it has to."""
        ...

    async def replace(self, rejected: str) -> str | None:
        """The cloud answered 401 to `rejected`: re-read the storage, give a token that differs, else refresh.

        None: there is nothing better, and the 401 stands.
        """
        ...


class HostPolicy(Protocol):
    """Knows the services. Implemented by `services`."""

    async def url_of(self, service: str) -> str:
        """The base URL of a service, without a trailing slash; `ConfigurationError` for one nobody knows."""
        ...

    def may_receive_token(self, url: str) -> bool:
        """Whether a token may go to this URL: whole domain labels, https, or http to loopback."""
        ...
