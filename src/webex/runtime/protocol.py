"""What the logic may ask of the world. Everything is `async def`; in blocking style nothing ever suspends.

The two runtimes implement `Runtime`, the two transports implement `Transport`. No other room touches asyncio, threads
or sockets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

T = TypeVar("T")

Style = Literal["blocking", "async"]


class Clock(Protocol):
    """Where time comes from; tests inject their own."""

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; for deadlines."""
        ...


@dataclass(slots=True)
class WireRequest:
    """One request as it goes on the wire; the URL is absolute, header names are as given."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] | None = field(default=None, repr=False)
    content_length: int | None = None  # of a streamed body, when known
    timeout: float | None = None  # seconds for the whole exchange; for a streamed answer until its headers
    connect_timeout: float | None = None  # seconds until a connection stands
    stream: bool = False  # True: the answer's body is read by the caller, chunk by chunk


class WireResponse(Protocol):
    """One answer. Header names are lower case; a repeated header is joined with `, `."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """The whole body; the connection is free afterwards."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece; call `close` in a `finally`."""
        ...

    async def close(self) -> None:
        """Let go of the connection, however much was read. Safe to call twice."""
        ...


class Transport(Protocol):
    """Sends one request, follows no redirect, retries nothing, adds no credentials.

    Raises `webex.errors.ConnectError` when no connection was made, `DeadlineError` when the time ran out,
    `TransportError` for everything else that is not an answer. A cancelled send leaves no connection behind.
    """

    async def send(self, request: WireRequest) -> WireResponse: ...

    async def aclose(self) -> None: ...


class Runtime(Protocol):
    """One style of I/O. Nothing is opened before the first use; what is open belongs to one process and one loop."""

    clock: Clock

    @property
    def style(self) -> Style:
        """Which of the two it is."""
        ...

    async def send(self, request: WireRequest) -> WireResponse:
        """Through the transport that belongs to this process and event loop."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def lock(self) -> AbstractAsyncContextManager[Any]:
        """A new lock for use with `async with`; not re-entrant."""
        ...

    async def single_flight(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `work` once for all who ask with the same key at the same time; all get its result or its error.

        The work is owned by the runtime: a cancelled caller does not cancel it, `aclose` waits for it. In blocking
        style the first thread runs it inline and other threads wait.
        """
        ...

    async def begin(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Begin `work` without waiting for it; joined by `single_flight` with the same key. Its errors are dropped.

        In blocking style it runs inline, unless another thread is at it.
        """
        ...

    async def run_blocking(self, function: Callable[..., T], /, *args: Any) -> T:
        """Call a function that blocks: inline in blocking style, in a worker thread in event-loop style."""
        ...

    async def call(self, function: Callable[..., T | Awaitable[T]], /, *args: Any) -> T:
        """Call somebody else's function, plain or asynchronous as the style allows; awaits what it returns."""
        ...

    async def aclose(self) -> None:
        """Wait for owned work, then close the transport. Safe to call twice."""
        ...
