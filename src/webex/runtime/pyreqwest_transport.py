"""HTTP over pyreqwest, in both styles, by explicit choice only. Follows nothing, retries nothing, keeps no cookies.

Three things it can't do: read a header with octets outside ASCII (it is left out), live through a `fork()`, and end the
connection of a call that was cancelled before its time-out. A blocking stream's time until its headers is at most its
idle time-out, and the other way round.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
import time
import types
from collections.abc import AsyncIterator, Awaitable, Generator, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from pyreqwest import exceptions
from pyreqwest.client import ClientBuilder, SyncClientBuilder
from pyreqwest.proxy import ProxyBuilder

from webex.errors import ConfigurationError, TransportError, WebexError
from webex.runtime.answers import (
    BodyReader,
    WholeAnswer,
    cannot_connect,
    head_too_large,
    host_of,
    idle_too_long,
    joined,
    measured,
    out_of_time,
    sent_headers,
)
from webex.runtime.deadlines import Limit
from webex.runtime.driving import drive_iter

if TYPE_CHECKING:
    from webex.runtime.protocol import WireRequest, WireResponse
    from webex.runtime.transports import TransportOptions

B = TypeVar("B", SyncClientBuilder, ClientBuilder)
T = TypeVar("T")

_MOST_CLIENTS = 50

# The library's threads may still be handing an answer over when the interpreter ends, which then aborts the process.
atexit.register(time.sleep, 0.05)

_warming = threading.Lock()
_warmed: set[int] = set()  # processes


def warm_up() -> None:
    """Start the library's machinery on one thread: two threads that make its very first call together crash it.

    The call goes to port 0 of this machine, which nothing can listen on.
    """
    with _warming:
        if os.getpid() in _warmed:
            return
        client = SyncClientBuilder().no_proxy().build()
        with contextlib.suppress(exceptions.PyreqwestError):
            client.request("GET", "http://127.0.0.1:0/").build().send()
        client.close()
        _warmed.add(os.getpid())


class _Clients:
    """One client for each proxy and pair of time-outs, which the library knows only by client."""

    def __init__(self, kind: Any, options: TransportOptions) -> None:
        self._kind = kind
        self._options = options
        self._certificates = [] if options.ca_bundle is None else _certificates(options.ca_bundle)
        self._made: dict[tuple[str | None, float, float | None], Any] = {}

    def of(self, request: WireRequest) -> Any:
        options = self._options
        idle: float | None = None
        if request.stream:
            idle = request.idle_timeout or options.idle_timeout
            if request.timeout is not None and self._kind is SyncClientBuilder:
                idle = min(idle, request.timeout)
        connect = request.connect_timeout or options.connect_timeout
        key = (options.proxy_of(request.url), connect, None if idle is None else round(idle, 2))
        client = self._made.get(key)
        if client is None:
            if len(self._made) >= _MOST_CLIENTS:
                self._made.pop(next(iter(self._made)))
            client = self._made[key] = self._build(*key)
        return client

    def _build(self, proxy: str | None, connect: float, idle: float | None) -> Any:
        builder = (
            self._kind()
            .follow_redirects(False)
            .error_for_status(False)
            .default_cookie_store(False)
            .referer(False)
            .http1_only()
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .connect_timeout(timedelta(seconds=connect))
            .max_connections(self._options.pool_size)
            .pool_max_idle_per_host(self._options.pool_size)
        )
        if idle is not None:
            builder = builder.read_timeout(timedelta(seconds=idle))
        try:
            builder = builder.no_proxy() if proxy is None else builder.proxy(ProxyBuilder.all(proxy))
            for certificate in self._certificates:
                builder = builder.add_root_certificate_pem(certificate)
            return builder.build()
        except (ValueError, exceptions.BuilderError):
            raise ConfigurationError("proxy must be a URL, and ca_bundle a PEM file with certificates.") from None

    def all(self) -> list[Any]:
        made, self._made = self._made, {}
        return list(made.values())


def _certificates(path: str) -> list[bytes]:
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        raise ConfigurationError(f"ca_bundle {path!r} can't be read: {error.strerror}.") from error
    end = b"-----END CERTIFICATE-----"
    found = [part + end for part in text.split(end) if b"-----BEGIN CERTIFICATE-----" in part]
    if not found:
        raise ConfigurationError(f"ca_bundle {path!r} holds no PEM certificate.")
    return found


def _error(error: Exception, request: WireRequest, *, late: bool, streaming: bool = False) -> Exception:
    """Ours for theirs; its text names no URL and no header."""
    host = host_of(request.url)
    details = getattr(error, "details", None) or {}
    causes = [str(cause["message"]) for cause in details.get("causes") or []]
    # The library's ConnectError also stands for a connection that broke after the request was sent.
    if any("(Connect)" in cause for cause in causes):
        return out_of_time(host, sent=False) if late else cannot_connect(host, causes[-1])
    if isinstance(error, exceptions.PoolTimeoutError):
        return out_of_time(host, sent=False)
    if isinstance(error, TimeoutError):
        if streaming and request.stream_timeout is None:
            return idle_too_long(host, request.idle_timeout or 0)
        return out_of_time(host, sent=True)
    if any("header" in cause and ("too large" in cause or "overflow" in cause) for cause in causes):
        return head_too_large(host)
    if any("message head is too large" in cause for cause in causes):
        return head_too_large(host)
    return TransportError(f"The exchange with {host} failed: {causes[-1] if causes else type(error).__name__}.")


def _text(headers: Any) -> Iterator[tuple[str, str]]:
    for name in dict.fromkeys(headers):
        try:
            for value in headers.getall(name):
                yield name, value
        except ValueError:
            continue  # octets outside ASCII, which the library does not give


def _built(client: Any, request: WireRequest, headers: dict[str, str], body: Any) -> Any:
    builder = client.request(request.method, request.url).headers(headers)
    total = request.stream_timeout if request.stream else request.timeout
    if total is not None:
        builder = builder.timeout(timedelta(seconds=total))
    if isinstance(body, bytes):
        builder = builder.body_bytes(body)
    elif body is not None:
        builder = builder.body_stream(body)
    return builder.streamed_read_buffer_limit(0).build_streamed()


def _invalid(error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"The request can't be sent: its URL or one of its headers is not valid ({type(error).__name__})."
    )


class PyreqwestTransport:
    """Blocking style."""

    def __init__(self, options: TransportOptions) -> None:
        self._clients = _Clients(SyncClientBuilder, options)

    async def send(self, request: WireRequest) -> WireResponse:
        began = time.monotonic()
        broken: list[BaseException] = []
        body: Any = request.body
        if body is not None and not isinstance(body, bytes):
            body = drive_iter(measured(body, request.content_length, broken))
        try:
            streamed = _built(self._clients.of(request), request, sent_headers(request), body)
        except (ValueError, exceptions.BuilderError) as error:
            raise _invalid(error) from None
        entered = False
        try:
            response = streamed.__enter__()
            entered = True
            headers = joined(_text(response.headers), host_of(request.url))
            reader = BodyReader(response.status, headers, request)
            if request.stream:
                return _BlockingStream(streamed, response, headers, reader, request)
            while (chunk := response.body_reader.read_chunk()) is not None:
                if not reader.keep(bytes(chunk)):
                    break
            else:
                reader.end()
        except exceptions.PyreqwestError as error:
            if broken and isinstance(broken[0], Exception):
                raise broken[0] from None
            late = request.timeout is not None and time.monotonic() - began >= request.timeout
            raise _error(error, request, late=late) from None
        finally:
            if entered and not request.stream:
                streamed.__exit__(None, None, None)
        return WholeAnswer(response.status, headers, reader.content())

    async def aclose(self) -> None:
        for client in self._clients.all():
            client.close()


class _BlockingStream:
    __slots__ = ("_reader", "_request", "_response", "_streamed", "headers", "status")

    def __init__(
        self, streamed: Any, response: Any, headers: Mapping[str, str], reader: BodyReader, request: WireRequest
    ) -> None:
        self._streamed = streamed
        self._response = response
        self._reader = reader
        self._request = request
        self.status: int = response.status
        self.headers = headers

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            while (chunk := self._response.body_reader.read_chunk()) is not None:
                for piece in self._reader.pieces(bytes(chunk)):
                    yield piece
            self._reader.end()
        except exceptions.PyreqwestError as error:
            raise _error(error, self._request, late=False, streaming=True) from None

    async def close(self) -> None:
        streamed, self._streamed = self._streamed, None
        if streamed is not None:
            streamed.__exit__(None, None, None)


@types.coroutine
def _own_cancellation(awaitable: Awaitable[T]) -> Generator[Any, Any, T]:
    """Await something that replaces a cancellation by one of its own, and raise the caller's instead."""
    inner: Any = awaitable.__await__()
    try:
        waiting = inner.send(None)
        while True:
            try:
                sent = yield waiting
            except asyncio.CancelledError as cancelled:
                with contextlib.suppress(asyncio.CancelledError, StopIteration):
                    waiting = inner.throw(cancelled)
                    continue
                raise
            waiting = inner.send(sent)
    except StopIteration as stop:
        result: T = stop.value
        return result


class AsyncPyreqwestTransport:
    """Event-loop style."""

    def __init__(self, options: TransportOptions) -> None:
        self._clients = _Clients(ClientBuilder, options)
        self._options = options

    async def send(self, request: WireRequest) -> WireResponse:
        broken: list[BaseException] = []
        body: Any = request.body
        if body is not None and not isinstance(body, bytes):
            body = measured(body, request.content_length, broken)
        now = asyncio.get_running_loop().time()
        try:
            streamed = _built(self._clients.of(request), request, sent_headers(request), body)
        except (ValueError, exceptions.BuilderError) as error:
            raise _invalid(error) from None
        entered = done = False
        try:
            async with Limit(None if request.timeout is None else now + request.timeout):
                response = await _own_cancellation(streamed.__aenter__())
                entered = True
                headers = joined(_text(response.headers), host_of(request.url))
                reader = BodyReader(response.status, headers, request)
                if not request.stream:
                    while (chunk := await _own_cancellation(response.body_reader.read_chunk())) is not None:
                        if not reader.keep(bytes(chunk)):
                            break
                    else:
                        reader.end()
            done = True
        except (exceptions.PyreqwestError, TimeoutError) as error:
            if isinstance(error, WebexError):
                raise
            if broken and isinstance(broken[0], Exception):
                raise broken[0] from None
            late = request.timeout is not None and asyncio.get_running_loop().time() - now >= request.timeout
            raise _error(error, request, late=late) from None
        finally:
            if entered and not (done and request.stream):
                await streamed.__aexit__(None, None, None)
        if request.stream:
            return _AsyncStream(streamed, response, headers, reader, request, self._options)
        return WholeAnswer(response.status, headers, reader.content())

    async def aclose(self) -> None:
        for client in self._clients.all():
            await client.close()


class _AsyncStream:
    __slots__ = ("_idle", "_reader", "_request", "_response", "_streamed", "headers", "status")

    def __init__(
        self,
        streamed: Any,
        response: Any,
        headers: Mapping[str, str],
        reader: BodyReader,
        request: WireRequest,
        options: TransportOptions,
    ) -> None:
        self._streamed = streamed
        self._response = response
        self._reader = reader
        self._request = request
        self._idle = request.idle_timeout or options.idle_timeout
        self.status: int = response.status
        self.headers = headers

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        try:
            while True:
                async with Limit(loop.time() + self._idle):
                    chunk = await _own_cancellation(self._response.body_reader.read_chunk())
                if chunk is None:
                    break
                for piece in self._reader.pieces(bytes(chunk)):
                    yield piece
            self._reader.end()
        except (exceptions.PyreqwestError, TimeoutError) as error:
            if isinstance(error, WebexError):
                raise
            raise _error(error, self._request, late=False, streaming=True) from None

    async def close(self) -> None:
        streamed, self._streamed = self._streamed, None
        if streamed is not None:
            await streamed.__aexit__(None, None, None)
