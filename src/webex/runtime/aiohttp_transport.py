"""HTTP in event-loop style, over aiohttp. Follows nothing, repeats nothing, keeps no cookies.

The time limits are kept here, by `Limit`: aiohttp's own start anew with each piece or are rounded up.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from aiohttp import http_exceptions
from yarl import URL

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
from webex.runtime.protocol import MAX_HEAD_SIZE, MAX_HEADERS
from webex.runtime.sockets import reset_on_close

if TYPE_CHECKING:
    from webex.runtime.protocol import WireRequest, WireResponse
    from webex.runtime.transports import TransportOptions

_LARGE = 512 * 1024  # a body in memory above this goes out in pieces, so that it does not hold up the loop
_SKIPPED = ("User-Agent", "Content-Type", "Accept")


class _Request(aiohttp.ClientRequest):
    """Remembers the connection that it went out on."""

    transport: asyncio.Transport | None = None
    socket: Any = None

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        self.transport = conn.transport
        if self.transport is not None:
            self.socket = self.transport.get_extra_info("socket")
        return await super().send(conn)

    def abort(self) -> None:
        """End the connection that aiohttp closed: to close alone waits until the other side has read what is unsent."""
        transport, self.transport = self.transport, None
        if transport is not None and transport.is_closing():
            reset_on_close(self.socket)
            transport.abort()


class AiohttpTransport:
    """Serves one event loop of one process; make it on a running loop.

    A session that the app hands in lends its connections and nothing else: cookies, headers, redirects and time-outs
    are as they are without it, and closing it is up to the app.
    """

    def __init__(
        self, options: TransportOptions, *, context: ssl.SSLContext, session: aiohttp.ClientSession | None = None
    ) -> None:
        self._options = options
        self._lent = session
        self._times: dict[float | None, aiohttp.ClientTimeout] = {}
        self._tls: Any = context if session is None or options.ca_bundle is not None else True
        connector: aiohttp.BaseConnector | None
        if session is None:
            connector = aiohttp.TCPConnector(
                ssl=context,
                limit=options.pool_size,
                resolver=aiohttp.ThreadedResolver(),
            )
        else:
            connector = _usable(session)
        self._session = aiohttp.ClientSession(
            connector=connector,
            connector_owner=session is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=_SKIPPED,
            request_class=_Request,
            trace_configs=None if session is None else session.trace_configs,
        )
        self._session._retry_connection = False  # noqa: SLF001  # it would repeat a GET whose kept connection was closed meanwhile

    async def send(self, request: WireRequest) -> WireResponse:
        if self._lent is not None and self._lent.closed:
            raise ConfigurationError("The aiohttp session that was handed in is closed.")
        headers = sent_headers(request)
        requests: list[aiohttp.ClientRequest] = []
        broken: list[BaseException] = []

        def noting(made: aiohttp.ClientRequest, handler: Any) -> Any:
            requests.append(made)
            return handler(made)

        connect = request.connect_timeout or self._options.connect_timeout
        times = self._times.get(connect)
        if times is None:
            times = self._times[connect] = aiohttp.ClientTimeout(total=None, sock_connect=connect)
        response: aiohttp.ClientResponse | None = None
        now = asyncio.get_running_loop().time()
        due = None if request.stream_timeout is None else now + request.stream_timeout
        try:
            async with Limit(None if request.timeout is None else now + request.timeout):
                response = await self._session._request(  # noqa: SLF001  # request() has no way to await it without a context
                    request.method,
                    URL(request.url, encoded=request.url.isascii()),
                    data=_payload(request, headers, broken),
                    headers=headers,
                    allow_redirects=False,
                    proxy=self._options.proxy_of(request.url),
                    timeout=times,
                    ssl=self._tls,
                    max_line_size=MAX_HEAD_SIZE,
                    max_field_size=MAX_HEAD_SIZE,
                    max_headers=MAX_HEADERS,
                    middlewares=(noting,),
                )
                status = response.status
                found = joined(_text(response.headers), host_of(request.url))
                reader = BodyReader(status, found, request)
                if not request.stream:
                    return WholeAnswer(status, found, await _whole(response, reader))
        except BaseException as error:
            if response is not None:
                response.close()
            for made in requests:
                cast(_Request, made).abort()
            if not isinstance(error, Exception) or isinstance(error, WebexError):
                raise
            if broken and isinstance(broken[0], Exception):
                raise broken[0] from None
            sent = bool(requests) and requests[0].response is not None
            raise _error(error, host_of(request.url), sent=sent) from None
        return _Stream(response, status, found, reader, request, due, self._options, cast(_Request, requests[0]))

    async def aclose(self) -> None:
        await self._session.close()


def _usable(session: aiohttp.ClientSession) -> aiohttp.BaseConnector:
    connector = session.connector
    if session.closed or connector is None:
        raise ConfigurationError("The aiohttp session that was handed in is closed.")
    if connector._loop is not asyncio.get_running_loop():  # noqa: SLF001  # nothing public tells its loop
        raise ConfigurationError(
            "The aiohttp session that was handed in belongs to another event loop. Make it, and the client that takes "
            "it, on the loop that uses them."
        )
    return connector


def _payload(request: WireRequest, headers: dict[str, str], broken: list[BaseException]) -> Any:
    body = request.body
    if body is None or (isinstance(body, bytes) and len(body) <= _LARGE):
        return body
    if isinstance(body, bytes):
        headers["content-length"] = str(len(body))
        return _sliced(body)
    return measured(body, request.content_length, broken)


async def _sliced(body: bytes) -> AsyncIterator[bytes]:
    view = memoryview(body)
    for start in range(0, len(view), _LARGE):
        yield bytes(view[start : start + _LARGE])


def _text(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        if not value.isascii():
            octets = value.encode("utf-8", "surrogateescape")
            try:
                value = octets.decode("utf-8")
            except UnicodeDecodeError:
                value = octets.decode("latin-1")
        yield name, value


async def _whole(response: aiohttp.ClientResponse, reader: BodyReader) -> bytes:
    if reader.takes_at_once(response.content_length):
        return await response.read()
    content = response.content
    while data := await content.readany():
        if not reader.keep(data):
            response.close()
            return reader.content()
    reader.end()
    response.release()
    return reader.content()


class _Stream:
    __slots__ = ("_due", "_host", "_idle", "_reader", "_response", "_sent", "headers", "status")

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        status: int,
        headers: Mapping[str, str],
        reader: BodyReader,
        request: WireRequest,
        due: float | None,
        options: TransportOptions,
        sent: _Request,
    ) -> None:
        self._response = response
        self._sent = sent
        self._reader = reader
        self._host = host_of(request.url)
        self._idle = request.idle_timeout or options.idle_timeout
        self._due = due
        self.status = status
        self.headers = headers

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            while data := await self._piece():
                for piece in self._reader.pieces(data):
                    yield piece
            self._reader.end()
            self._response.release()
        except BaseException:
            await self.close()
            raise

    async def _piece(self) -> bytes:
        now = asyncio.get_running_loop().time()
        until, total = now + self._idle, False
        if self._due is not None and self._due < until:
            until, total = self._due, True
        try:
            async with Limit(until):
                return await self._response.content.readany()
        except TimeoutError:
            raise (out_of_time(self._host, sent=True) if total else idle_too_long(self._host, self._idle)) from None
        except (aiohttp.ClientError, OSError, http_exceptions.HttpProcessingError) as error:
            raise _error(error, self._host, sent=True) from None

    async def close(self) -> None:
        has_connection = self._response.connection is not None
        self._response.close()
        if has_connection:  # otherwise another exchange may have it by now
            self._sent.abort()


def _error(error: Exception, host: str, *, sent: bool) -> Exception:
    """Ours for theirs; its text names no URL and no header."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return cannot_connect(host, "none stood within its time-out")
    if isinstance(error, TimeoutError):
        return out_of_time(host, sent=sent)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return cannot_connect(host, "its certificate was not accepted")
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return cannot_connect(host, "TLS failed")
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return cannot_connect(host, "the proxy could not be reached")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return cannot_connect(host, f"the proxy answered {error.status}")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return cannot_connect(host, "its name is not known")
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error
        return cannot_connect(host, (os.strerror(reason.errno) if reason.errno else "") or type(reason).__name__)
    if isinstance(error, aiohttp.InvalidURL | UnicodeError) or (isinstance(error, ValueError) and not sent):
        return ConfigurationError("The request can't be sent: its URL or one of its headers is not valid.")
    if isinstance(error, aiohttp.ClientResponseError):
        if _is_oversize(error):
            return head_too_large(host)
        return TransportError(f"The answer of {host} is not HTTP.")
    if not sent and isinstance(error, OSError):
        return cannot_connect(host, "it broke before anything was sent")
    return TransportError(f"The exchange with {host} failed: {type(error).__name__}.")


def _is_oversize(error: BaseException | None) -> bool:
    """Whether a head was too large, which aiohttp says in the cause of a cause."""
    while error is not None:
        if isinstance(error, http_exceptions.LineTooLong) or "Too many headers" in str(getattr(error, "message", "")):
            return True
        error = error.__cause__
    return False
