"""HTTP in blocking style, over urllib3's connections. Follows nothing, repeats nothing, keeps no cookies.

urllib3's pool manager repeats, follows and can't say whether anything was sent; so its connections are kept here, for
each origin as many as `pool_size` says. Each is used by one thread at a time, and made again after a `fork()`.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import SplitResult, unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection, ProxyConfig
from urllib3.util import Url, make_headers, parse_url
from urllib3.util.proxy import connection_requires_http_tunnel
from urllib3.util.wait import wait_for_read

from webex.errors import ConfigurationError, TransportError, WebexError
from webex.runtime.answers import (
    CHUNK,
    BodyReader,
    WholeAnswer,
    cannot_connect,
    head_too_large,
    header_text,
    idle_too_long,
    joined,
    measured,
    out_of_time,
    sent_headers,
)
from webex.runtime.driving import drive_iter
from webex.runtime.protocol import MAX_HEAD_SIZE
from webex.runtime.sockets import TimedSocket, TimedTLSSocket, reset_on_close

if TYPE_CHECKING:
    import ssl

    from webex.runtime.protocol import WireRequest, WireResponse
    from webex.runtime.transports import TransportOptions

_FAILURES = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)
_KEPT_FOR = 30.0  # seconds that an unused connection is worth trying
_SWEEP = 64  # origins at which those without a connection are forgotten


class _Head:
    """Reads the lines of a head, which may not end in the middle nor be too large."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.size = 0

    def readline(self, limit: int) -> bytes:
        line: bytes = self._file.readline(limit)
        self.size += len(line)
        if self.size > MAX_HEAD_SIZE:
            raise http.client.LineTooLong("head")
        if not line:
            raise http.client.RemoteDisconnected("The connection was closed in the head.")
        return line

    def close(self) -> None:  # by the library, when the first line is no status line
        self._file.close()


class _Response(http.client.HTTPResponse):
    """Passes over every interim answer, not only over 100, and takes no head that was cut off for a whole one."""

    def begin(self) -> None:
        file = self.fp
        self.fp: Any = _Head(file)
        try:
            super().begin()
        finally:
            self.fp = file

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            self.fp.size = 0
            version, status, reason = super()._read_status()  # type: ignore[misc]  # not in the stubs
            if not 100 < status < 200 or status == 101:
                return version, status, reason
            http.client._read_headers(self.fp)  # type: ignore[attr-defined]  # noqa: SLF001  # not in the stubs


class _Timed:
    """A connection that stands within one time-out, whatever number of addresses its host has."""

    due: float | None = None  # for the whole exchange
    stand_by: float | None = None  # for the connection to stand
    unused_since = 0.0

    def _new_conn(self) -> socket.socket:
        host, port = self._dns_host, self.port  # type: ignore[attr-defined]  # of urllib3's connections
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        failure: OSError | None = None
        for number, (family, kind, protocol, _, address) in enumerate(found):
            left = self._left()
            sock = TimedSocket(family, kind, protocol)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(None if left is None else left / (len(found) - number))
                sock.connect(address)
                sock.due = self.stand_by
                sock.settimeout(self._left())
            except OSError as error:
                failure = error
                sock.close()
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise failure if failure is not None else OSError("The host has no address.")

    def _left(self) -> float | None:
        if self.stand_by is None:
            return None
        left = self.stand_by - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def time(self, due: float | None) -> None:
        """Let every further operation end by then."""
        self.due = due
        sock: Any = self.sock  # type: ignore[attr-defined]  # of urllib3's connections
        while sock is not None:
            if isinstance(sock, TimedSocket | TimedTLSSocket):
                sock.due, sock.spared = due, False
                if due is None:
                    sock.settimeout(None)
            sock = getattr(sock, "socket", None)  # TLS within a proxy's TLS

    def is_usable(self) -> bool:
        """Whether the other side has said nothing, as it has when it closed the connection."""
        sock = self.sock  # type: ignore[attr-defined]  # of urllib3's connections
        return (
            sock is not None
            and time.monotonic() - self.unused_since < _KEPT_FOR
            and not wait_for_read(sock, timeout=0.0)
        )


class _Plain(_Timed, HTTPConnection):
    response_class = _Response


class _TLS(_Timed, HTTPSConnection):
    response_class = _Response

    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> ssl.SSLSocket:
        wrapped = super()._connect_tls_proxy(hostname, sock)
        if isinstance(wrapped, TimedTLSSocket):
            wrapped.due = self.stand_by
        return wrapped


_Connection = _Plain | _TLS


class _Origin:
    """The connections to one origin."""

    def __init__(self, size: int, proxy: str | None) -> None:
        self.proxy: Url | None = None if proxy is None else parse_url(proxy)
        self.proxy_headers: dict[str, str] = {}
        if self.proxy is not None and self.proxy.auth:
            self.proxy_headers = make_headers(proxy_basic_auth=unquote(self.proxy.auth))
        self.free: deque[_Connection] = deque()
        self.slots = threading.Semaphore(size)


class Urllib3Transport:
    """Serves the threads (or greenlets) of one process."""

    def __init__(self, options: TransportOptions, *, context: ssl.SSLContext) -> None:
        context.sslsocket_class = TimedTLSSocket
        self._options = options
        self._context = context
        self._origins: dict[tuple[str, str], _Origin] = {}
        self._guard = threading.Lock()
        self.is_closed: bool = False
        weakref.finalize(self, _close_all, self._origins)

    async def send(self, request: WireRequest) -> WireResponse:
        began = time.monotonic()
        headers = sent_headers(request)
        parts = urlsplit(request.url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not host or parts.scheme not in ("http", "https"):
            raise ConfigurationError("The request can't be sent: its URL is not valid.")
        due = None if request.timeout is None else began + request.timeout
        origin = self._origins.get((parts.scheme, parts.netloc)) or self._origin(request.url, parts)
        # gevent's and the standard library's semaphore alike take no time-out of None without blocking=True
        if not origin.slots.acquire(timeout=None if due is None else max(due - time.monotonic(), 0.0)):
            raise out_of_time(host, sent=False)
        lease = _Lease(self, origin)
        try:
            lease.connection = connection = self._connected(origin, parts.scheme, host, port, request, due)
            response = self._exchanged(origin, connection, request, headers, parts, host)
            found = joined(_text(response), host)
            reader = BodyReader(response.status, found, request)
            if request.stream:
                streamed = None if request.stream_timeout is None else began + request.stream_timeout
                idle = request.idle_timeout or self._options.idle_timeout
                return _Stream(lease, response, found, reader, host, idle, streamed)
            body = _whole(response, reader, host)
        except BaseException:
            if lease.connection is not None:
                reset_on_close(lease.connection.sock)
            lease.end(keep=False)
            raise
        lease.end(keep=reader is not None and response.closed)
        return WholeAnswer(response.status, found, body)

    async def aclose(self) -> None:
        self.is_closed = True
        with self._guard:
            _close_all(self._origins)

    def abandon(self) -> None:
        """In a forked child: let go of the parent's connections, without a word to the other side."""
        for origin in self._origins.values():
            for connection in tuple(origin.free):
                with contextlib.suppress(Exception):
                    os.close(cast(Any, connection.sock).detach())

    def _origin(self, url: str, parts: SplitResult) -> _Origin:
        made = _Origin(self._options.pool_size, self._options.proxy_of(url))
        with self._guard:
            if len(self._origins) >= _SWEEP:
                for key, known in list(self._origins.items()):
                    if known.slots._value == self._options.pool_size and not known.free:  # noqa: SLF001  # nothing public tells it
                        del self._origins[key]
            return self._origins.setdefault((parts.scheme, parts.netloc), made)

    def _connected(
        self, origin: _Origin, scheme: str, host: str, port: int | None, request: WireRequest, due: float | None
    ) -> _Connection:
        while origin.free:
            try:
                connection = origin.free.pop()
            except IndexError:
                break
            if connection.is_usable():
                connection.time(due)
                return connection
            connection.close()
        connection = self._made(origin, scheme, host, port)
        stand_by = time.monotonic() + (request.connect_timeout or self._options.connect_timeout)
        connection.stand_by = stand_by if due is None else min(stand_by, due)
        try:
            connection.connect()
            connection.time(due)
        except _FAILURES as error:
            connection.close()
            raise _not_connected(error, host, late=due is not None and time.monotonic() >= due) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _made(self, origin: _Origin, scheme: str, host: str, port: int | None) -> _Connection:
        proxy = origin.proxy
        port = port or (443 if scheme == "https" else 80)
        if proxy is None:
            if scheme == "https":
                return _TLS(host, port, ssl_context=self._context)
            return _Plain(host, port)
        config = ProxyConfig(self._context, False, None, None)
        settings: dict[str, Any] = {"proxy": proxy, "proxy_config": config}
        proxy_port = proxy.port or (443 if proxy.scheme == "https" else 80)
        if not connection_requires_http_tunnel(proxy, config, scheme):
            if proxy.scheme == "https":
                return _TLS(proxy.host or "", proxy_port, ssl_context=self._context, **settings)
            return _Plain(proxy.host or "", proxy_port, **settings)
        connection = _TLS(proxy.host or "", proxy_port, ssl_context=self._context, **settings)
        connection.set_tunnel(
            host, port, headers=origin.proxy_headers, scheme="https" if proxy.scheme == "https" else "http"
        )
        return connection

    def _exchanged(
        self,
        origin: _Origin,
        connection: _Connection,
        request: WireRequest,
        headers: dict[str, str],
        parts: SplitResult,
        host: str,
    ) -> urllib3.BaseHTTPResponse:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if origin.proxy is not None and parts.scheme == "http":
            headers = {**headers, **origin.proxy_headers, "host": parts.netloc.rpartition("@")[2]}
            target = f"http://{headers['host']}{target}"
        elif not target.isascii():
            target = parse_url(request.url).request_uri
        body: Any = request.body
        broken: list[BaseException] = []
        chunked, pieces = False, None
        if body is not None and not isinstance(body, bytes):
            body = pieces = drive_iter(measured(body, request.content_length, broken))
            chunked = request.content_length is None
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # an early answer can still be read
                connection.request(
                    request.method,
                    target,
                    body=body,
                    headers={name: _octets(value) for name, value in headers.items()},
                    chunked=chunked,
                    preload_content=False,
                    decode_content=False,
                )
            return connection.getresponse()
        except _FAILURES as error:
            if broken or isinstance(error, WebexError):
                raise
            raise _broken(error, host) from None
        finally:
            if pieces is not None and (chunked or broken):
                cast(Any, pieces).close()


def _close_all(origins: dict[tuple[str, str], _Origin]) -> None:
    for origin in list(origins.values()):
        while origin.free:
            with contextlib.suppress(IndexError, OSError):
                origin.free.pop().close()
    origins.clear()


class _Lease:
    """A connection in use, and the slot that it takes."""

    __slots__ = ("_origin", "_transport", "connection")

    def __init__(self, transport: Urllib3Transport, origin: _Origin) -> None:
        self._transport = transport
        self._origin: _Origin | None = origin
        self.connection: _Connection | None = None

    def end(self, *, keep: bool) -> None:
        """Give the slot back, and the connection too if it can serve again. Safe to call twice."""
        origin, self._origin = self._origin, None
        if origin is None:
            return
        connection = self.connection
        try:
            if connection is not None:
                if keep and connection.sock is not None and not self._transport.is_closed:
                    connection.unused_since = time.monotonic()
                    origin.free.append(connection)
                else:
                    connection.close()
        finally:
            origin.slots.release()


class _Stream:
    __slots__ = ("_due", "_host", "_idle", "_lease", "_reader", "_response", "headers", "status")

    def __init__(
        self,
        lease: _Lease,
        response: urllib3.BaseHTTPResponse,
        headers: Mapping[str, str],
        reader: BodyReader,
        host: str,
        idle: float,
        due: float | None,
    ) -> None:
        self._lease = lease
        self._response = response
        self._reader = reader
        self._host = host
        self._idle = idle
        self._due = due
        self.status = response.status
        self.headers = headers

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            while data := self._piece():
                for piece in self._reader.pieces(data):
                    yield piece
            self._reader.end()
        except BaseException:
            await self.close()
            raise
        self._lease.end(keep=self._response.closed)

    def _piece(self) -> bytes:
        until = time.monotonic() + self._idle
        total = self._due is not None and self._due < until
        connection = self._lease.connection
        assert connection is not None
        if connection.sock is not None:
            connection.time(self._due if total else until)
        else:  # the answer ends with the connection, and holds the socket alone
            _time(self._response, self._due if total else until)
        try:
            return self._response.read1(CHUNK, decode_content=False)
        except _FAILURES as error:
            if _is_late(error):
                raise (out_of_time(self._host, sent=True) if total else idle_too_long(self._host, self._idle)) from None
            raise _broken(error, self._host) from None

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            self._response.close()
        self._lease.end(keep=False)


def _time(response: Any, due: float | None) -> None:
    with contextlib.suppress(AttributeError):
        sock = response._fp.fp.raw._sock  # noqa: SLF001  # nothing public leads to the socket
        if isinstance(sock, TimedSocket | TimedTLSSocket):
            sock.due = due


def _whole(response: urllib3.BaseHTTPResponse, reader: BodyReader, host: str) -> bytes:
    try:
        if reader.takes_at_once(getattr(response, "length_remaining", None)):
            return response.read(decode_content=False)
        while data := response.read1(CHUNK, decode_content=False):
            if not reader.keep(data):
                response.close()
                break
        else:
            reader.end()
        return reader.content()
    except BaseException as error:
        response.close()
        if isinstance(error, _FAILURES) and not isinstance(error, WebexError):
            raise _broken(error, host) from None
        raise


def _text(response: urllib3.BaseHTTPResponse) -> Iterator[tuple[str, str]]:
    for name, value in response.headers.iteritems():
        yield name, (value if value.isascii() and "\n" not in value else header_text(value))


def _octets(value: str) -> Any:
    return value if value.isascii() else value.encode("utf-8")


def _is_late(error: BaseException) -> bool:
    return isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError)


def _not_connected(error: Exception, host: str, *, late: bool) -> Exception:
    """Return the error of an attempt to connect: nothing was sent."""
    import ssl

    if isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
        return out_of_time(host, sent=False) if late else cannot_connect(host, "none stood within its time-out")
    if isinstance(error, ssl.SSLCertVerificationError):
        return cannot_connect(host, "its certificate was not accepted")
    if isinstance(error, ssl.SSLError | urllib3.exceptions.SSLError):
        return cannot_connect(host, "TLS failed")
    if isinstance(error, socket.gaierror):
        return cannot_connect(host, "its name is not known")
    if isinstance(error, UnicodeError):
        return ConfigurationError("The request can't be sent: its URL is not valid.")
    text = str(error)
    if isinstance(error, OSError) and text.startswith("Tunnel connection failed: "):
        return cannot_connect(host, f"the proxy answered {text.removeprefix('Tunnel connection failed: ')[:3]}")
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__
    return cannot_connect(host, reason)


def _broken(error: Exception, host: str) -> Exception:
    """Return the error of an exchange on a connection that stood: something may have been sent."""
    if _is_late(error):
        return out_of_time(host, sent=True)
    cause = error.args[1] if isinstance(error, urllib3.exceptions.ProtocolError) and len(error.args) > 1 else error
    if isinstance(cause, http.client.LineTooLong) or "headers" in str(cause):
        return head_too_large(host)
    if isinstance(error, http.client.InvalidURL | UnicodeError):
        return ConfigurationError("The request can't be sent: its URL or one of its headers is not valid.")
    return TransportError(f"The exchange with {host} failed: {type(cause).__name__}.")
