"""What the logic may ask of the world. Everything is `async def`; in blocking style nothing ever suspends.

The two runtimes implement `Runtime`, the two transports implement `Transport`. No other package touches asyncio,
threads or sockets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Final, Literal, Protocol, TypeVar

import msgspec

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


MAX_HEAD_SIZE: Final = 64 * 1024
"""The largest head of an answer, in bytes: the sum of its header lines. A larger one is `ResponseTooLargeError`."""

MAX_HEADERS: Final = 100
"""The largest number of header lines of an answer; more are `ResponseTooLargeError`."""


class WireRequest(msgspec.Struct):
    """One request as it goes on the wire; the URL is absolute, header names are as given.

    All times are seconds. They are kept whatever arrives in between: bytes that drip in prolong nothing.
    """

    method: str
    url: str
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] | None = None
    content_length: int | None = None  # of a streamed body, when known
    timeout: float | None = None  # for the whole exchange, reading the body included; if streamed, until its headers
    connect_timeout: float | None = None  # until a connection stands; None: the transport's own
    stream: bool = False  # True: the answer's body is read by the caller, chunk by chunk
    idle_timeout: float | None = None  # between two pieces of a streamed answer; None: the transport's own
    stream_timeout: float | None = None  # for the whole of a streamed exchange, body included; None: no such limit
    max_size: int | None = None  # bytes of the answer's body, counted decompressed while reading; None: no limit
    max_error_size: int | None = None  # of an answer with status 400 or more that is not streamed: the rest is cut off

    def __repr__(self) -> str:
        return f"WireRequest({self.method} {self.url.partition('?')[0]})"  # never the token, nor the body


class WireResponse(Protocol):
    """One answer.

    Header names are lower case; a repeated header is joined with `, `. Values are text: UTF-8 if the octets are, else
    Latin-1 (RFC 9110 §5.5).
    """

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """Read the whole body; the connection is free afterwards."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body piece by piece; call `close` in a `finally`."""
        ...

    async def close(self) -> None:
        """Let go of the connection, however much was read. Safe to call twice."""
        ...


class Transport(Protocol):
    """Sends one request and nothing by itself.

    It follows no redirect, repeats nothing, keeps no cookies, adds no credentials and reads no environment.
    Raises `webex.errors.ConnectError` only when certainly nothing was sent (`ConnectDeadlineError` when the reason is
    that the time ran out), `DeadlineError` when the time ran out later, `ResponseTooLargeError` for an answer above a
    limit, `TransportError` for everything else that is not an answer. A cancelled send raises the caller's own
    cancellation and leaves no connection behind.
    """

    async def send(self, request: WireRequest) -> WireResponse:
        """One request, one answer."""
        ...

    async def aclose(self) -> None:
        """Close what is open. Safe to call twice."""
        ...


class Signal(Protocol):
    """Wakes the one caller that waits for it. Setting it before it is waited for is not lost."""

    def set(self) -> None:
        """Wake the caller that waits now or next; from any thread and any loop."""
        ...

    async def wait(self, timeout: float | None) -> None:
        """Return when it was set, or after `timeout` seconds; it is not set afterwards."""
        ...


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

    async def prepare(self) -> None:
        """Import what calls need, off the event loop; `send` does it too, if it was not done."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def lock(self) -> AbstractAsyncContextManager[Any]:
        """Make a lock for use with `async with`; not re-entrant."""
        ...

    def mutex(self) -> AbstractContextManager[Any]:
        """Make a lock for a few lines that do not wait, held by one thread of all; use with `with`."""
        ...

    def signal(self) -> Signal:
        """Make what one caller waits for and others set."""
        ...

    async def single_flight(
        self,
        key: Hashable,
        work: Callable[[], Coroutine[Any, Any, T]],
        *,
        timeout: float | None = None,
        abandon: bool = False,
    ) -> T:
        """Run `work` once for all callers that ask with the same key at the same time; all get its result or error.

        The work is owned by the runtime: a cancelled caller does not cancel it, `aclose` waits for it. With `abandon`
        it belongs to its first caller: when that one is cancelled, another one runs it anew. In blocking style the
        first thread runs it inline and other threads wait. A caller that has waited for `timeout` seconds gets
        `DeadlineError`. When the work is interrupted (Ctrl-C, `SystemExit`, cancellation), callers that were not
        interrupted themselves run it anew.
        """
        ...

    async def later(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run `work` when the flight that this is called in is over, at once outside of one.

        In event-loop style it is a task of its own, which `aclose` cancels when it does not end by itself; in blocking
        style the thread that ran the flight runs it after the waiters were released. An exception in it is logged.
        """
        ...

    async def begin(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Begin `work` without waiting for it; joined by `single_flight` with the same key. Its errors are dropped.

        In blocking style it runs inline, unless another thread is at it.
        """
        ...

    async def background(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Begin `work` beside the callers, once at a time for each key; it ends by itself when its owner is closed.

        In event-loop style it is what `begin` does; in blocking style it runs in a thread of its own, and is run once
        more when it was asked for meanwhile: it may have been about to end. `aclose` waits for it. Its errors are
        logged.
        """
        ...

    async def run_blocking(self, function: Callable[..., T], /, *args: Any) -> T:
        """Call a function that blocks: inline in blocking style, in a worker thread in event-loop style."""
        ...

    async def call(self, function: Callable[..., T | Awaitable[T]], /, *args: Any) -> T:
        """Call a function of the app, plain or asynchronous as the style allows; awaits what it returns."""
        ...

    async def aclose(self) -> None:
        """Wait for owned work, then close the transport. Safe to call twice."""
        ...
