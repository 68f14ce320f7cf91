"""HTTP over urllib3, for where pyreqwest can't be: pure Python, survives a `fork()`.

urllib3's read time-out starts anew with every piece that arrives, so the total deadline is kept here, between the
pieces. In event-loop style the exchange runs in a worker thread; when its caller is cancelled the connection is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import urllib3

from webex.errors import ConfigurationError, ConnectError, DeadlineError, TransportError
from webex.runtime.driving import drive_iter

if TYPE_CHECKING:
    from webex.runtime.protocol import WireRequest, WireResponse
    from webex.runtime.transports import TransportOptions

_CHUNK = 64 * 1024


def _pool(options: TransportOptions) -> urllib3.PoolManager:
    settings: dict[str, Any] = {"num_pools": 20, "maxsize": options.pool_size, "block": False, "retries": False}
    context = ssl.create_default_context()
    if options.ca_bundle is not None:
        try:
            context.load_verify_locations(options.ca_bundle)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"ca_bundle {options.ca_bundle!r} can't be read as PEM certificates: {type(error).__name__}."
            ) from error
    settings["ssl_context"] = context
    if options.proxy is not None:
        return urllib3.ProxyManager(options.proxy, **settings)
    return urllib3.PoolManager(**settings)


def _error(error: BaseException) -> TransportError:
    if isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.NameResolutionError):
        return ConnectError("No connection could be made.")
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return ConnectError("No connection could be made within its time-out.")
    if isinstance(error, urllib3.exceptions.SSLError):
        return ConnectError("No connection could be made: the certificate was not accepted or TLS failed.")
    if isinstance(error, urllib3.exceptions.ProxyError):
        return ConnectError("No connection could be made through the proxy.")
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return DeadlineError("No complete answer came within the time-out.")
    return TransportError(f"The exchange failed: {type(error).__name__}.")


class _Answer:
    """An answer being read, on whatever thread asks."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, give_up: float | None) -> None:
        self.raw = raw
        self.status = raw.status
        headers: dict[str, str] = {}
        for name, value in raw.headers.iteritems():
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self.headers: Mapping[str, str] = headers
        self.give_up = give_up

    def piece(self) -> bytes:
        """The next piece, empty at the end."""
        if self.give_up is not None and time.monotonic() > self.give_up:
            self.close()
            raise DeadlineError("No complete answer came within the time-out.")
        try:
            while not (data := self.raw.read1(_CHUNK, decode_content=True)):
                if self.raw.closed or self.raw._fp is None or self._at_end():  # type: ignore[attr-defined]  # private
                    self.raw.release_conn()
                    return b""
            return data
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            self.close()
            raise _error(error) from None

    def _at_end(self) -> bool:
        fp = getattr(self.raw, "_fp", None)
        return fp is None or getattr(fp, "isclosed", lambda: True)()

    def whole(self) -> bytes:
        pieces = []
        while data := self.piece():
            pieces.append(data)
        return b"".join(pieces)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.raw.close()


class _Exchange:
    """Sends requests on the thread that asks."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._manager = _pool(options)

    def send(self, request: WireRequest, body: bytes | Iterator[bytes] | None) -> _Answer:
        headers = dict(request.headers)
        headers.setdefault("accept-encoding", "gzip, deflate")
        if body is not None and not isinstance(body, bytes) and request.content_length is not None:
            headers["content-length"] = str(request.content_length)
        give_up = None if request.timeout is None else time.monotonic() + request.timeout
        connect = request.connect_timeout or self._options.connect_timeout
        read = self._options.idle_timeout if request.timeout is None else request.timeout
        try:
            raw = self._manager.urlopen(
                request.method,
                request.url,
                body=body,
                headers=headers,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=min(connect, read), read=read),
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _error(error) from None
        except ValueError:
            raise TransportError("The request can't be sent: its URL or one of its headers is not valid.") from None
        return _Answer(raw, None if request.stream else give_up)

    def close(self) -> None:
        self._manager.clear()


class _Whole:
    __slots__ = ("_body", "headers", "status")

    def __init__(self, answer: _Answer, body: bytes) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._body = body

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def close(self) -> None:
        return


class Urllib3Transport:
    """Blocking style."""

    def __init__(self, options: TransportOptions) -> None:
        self._exchange = _Exchange(options)

    async def send(self, request: WireRequest) -> WireResponse:
        body = request.body
        answer = self._exchange.send(request, body if body is None or isinstance(body, bytes) else drive_iter(body))
        return _Stream(answer) if request.stream else _Whole(answer, answer.whole())

    async def aclose(self) -> None:
        self._exchange.close()


class _Stream:
    """Blocking style: read on the caller's thread."""

    def __init__(self, answer: _Answer) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers = answer.headers

    async def read(self) -> bytes:
        return self._answer.whole()

    async def chunks(self) -> AsyncIterator[bytes]:
        while data := self._answer.piece():
            yield data

    async def close(self) -> None:
        self._answer.close()


class AsyncUrllib3Transport:
    """Event-loop style, through worker threads."""

    def __init__(self, options: TransportOptions) -> None:
        self._exchange = _Exchange(options)

    async def send(self, request: WireRequest) -> WireResponse:
        body = request.body
        given = body if body is None or isinstance(body, bytes) else _pull(body, asyncio.get_running_loop())
        abandoned = False

        def work() -> tuple[_Answer, bytes | None]:
            answer = self._exchange.send(request, given)
            if abandoned:
                answer.close()
            return answer, (None if request.stream else answer.whole())

        try:
            answer, content = await asyncio.to_thread(work)
        except asyncio.CancelledError:
            abandoned = True
            raise
        return _ThreadedStream(answer) if content is None else _Whole(answer, content)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._exchange.close)


class _ThreadedStream:
    """Event-loop style: each piece is read in a worker thread."""

    def __init__(self, answer: _Answer) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers = answer.headers

    async def read(self) -> bytes:
        return await asyncio.to_thread(self._answer.whole)

    async def chunks(self) -> AsyncIterator[bytes]:
        while data := await asyncio.to_thread(self._answer.piece):
            yield data

    async def close(self) -> None:
        await asyncio.to_thread(self._answer.close)


def _pull(body: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
    """Give a worker thread the pieces of a body that the event loop makes."""

    async def following() -> bytes | None:
        return await anext(body, None)

    while (piece := asyncio.run_coroutine_threadsafe(following(), loop).result()) is not None:
        yield piece
