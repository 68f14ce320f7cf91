"""HTTP over pyreqwest, in both styles. Follows nothing, retries nothing, keeps no cookies."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from pyreqwest import exceptions
from pyreqwest.client import ClientBuilder, SyncClientBuilder
from pyreqwest.proxy import ProxyBuilder

from webex.errors import ConfigurationError, ConnectError, DeadlineError, TransportError
from webex.runtime.driving import drive_iter

if TYPE_CHECKING:
    from webex.runtime.protocol import WireRequest, WireResponse
    from webex.runtime.transports import TransportOptions

B = TypeVar("B", SyncClientBuilder, ClientBuilder)

_CHUNK = 64 * 1024


def _configured(builder: B, options: TransportOptions) -> B:
    builder = (
        builder.follow_redirects(False)
        .error_for_status(False)
        .default_cookie_store(False)
        .referer(False)
        .connect_timeout(timedelta(seconds=options.connect_timeout))
        .read_timeout(timedelta(seconds=options.idle_timeout))
        .pool_max_idle_per_host(options.pool_size)
    )
    try:
        if options.proxy is not None:
            builder = builder.proxy(ProxyBuilder.all(options.proxy))
        if options.ca_bundle is not None:
            for certificate in _certificates(options.ca_bundle):
                builder = builder.add_root_certificate_pem(certificate)
    except OSError as error:
        raise ConfigurationError(f"ca_bundle {options.ca_bundle!r} can't be read: {error.strerror}.") from error
    except (ValueError, exceptions.BuilderError):
        raise ConfigurationError("proxy must be a URL, and ca_bundle a PEM file with certificates.") from None
    return builder


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


def _certificates(path: str) -> list[bytes]:
    with open(path, "rb") as file:
        text = file.read()
    end = b"-----END CERTIFICATE-----"
    found = [part + end for part in text.split(end) if b"-----BEGIN CERTIFICATE-----" in part]
    if not found:
        raise ConfigurationError(f"ca_bundle {path!r} holds no PEM certificate.")
    return found


def _error(error: Exception) -> TransportError:
    """The house's error for the library's; its text is the innermost cause, which names no URL and no header."""
    details = getattr(error, "details", None) or {}
    causes = details.get("causes") or []
    text = str(causes[-1]["message"]) if len(causes) > 1 else type(error).__name__
    # The library's ConnectError also stands for a connection that broke after the request was sent.
    if isinstance(error, exceptions.ConnectTimeoutError) or any("(Connect)" in cause["message"] for cause in causes):
        return ConnectError(f"No connection could be made: {text}.")
    if isinstance(error, TimeoutError):
        return DeadlineError("No complete answer came within the time-out.")
    return TransportError(f"The exchange failed: {text}.")


class _Whole:
    """An answer that was read to its end."""

    __slots__ = ("_body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self._body = body

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), _CHUNK):
            yield self._body[start : start + _CHUNK]

    async def close(self) -> None:
        return


def _headers(raw: Any) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _prepare(client: Any, request: WireRequest) -> Any:
    headers = dict(request.headers)
    if request.body is not None and not isinstance(request.body, bytes) and request.content_length is not None:
        headers["content-length"] = str(request.content_length)
    try:
        builder = client.request(request.method, request.url).headers(headers)
    except (ValueError, exceptions.PyreqwestError):
        raise TransportError("The request can't be sent: its URL or one of its headers is not valid.") from None
    if request.timeout is not None and not request.stream:
        builder = builder.timeout(timedelta(seconds=max(request.timeout, 0.001)))
    return builder


class PyreqwestTransport:
    """Blocking style."""

    def __init__(self, options: TransportOptions) -> None:
        warm_up()
        self._client = _configured(SyncClientBuilder(), options).build()

    async def send(self, request: WireRequest) -> WireResponse:
        builder = _prepare(self._client, request)
        if isinstance(request.body, bytes):
            builder = builder.body_bytes(request.body)
        elif request.body is not None:
            builder = builder.body_stream(drive_iter(request.body))
        try:
            if request.stream:
                streamed = builder.build_streamed()
                return _BlockingStream(streamed, streamed.__enter__())
            response = builder.build().send()
            return _Whole(response.status, _headers(response.headers), bytes(response.bytes()))
        except exceptions.PyreqwestError as error:
            raise _error(error) from None

    async def aclose(self) -> None:
        self._client.close()


class _BlockingStream:
    __slots__ = ("_response", "_streamed", "headers", "status")

    def __init__(self, streamed: Any, response: Any) -> None:
        self._streamed = streamed
        self._response = response
        self.status: int = response.status
        self.headers: Mapping[str, str] = _headers(response.headers)

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        reader = self._response.body_reader
        try:
            while (chunk := reader.read_chunk()) is not None:
                yield bytes(chunk)
        except exceptions.PyreqwestError as error:
            raise _error(error) from None

    async def close(self) -> None:
        streamed, self._streamed = self._streamed, None
        if streamed is not None:
            streamed.__exit__(None, None, None)


class AsyncPyreqwestTransport:
    """Event-loop style."""

    def __init__(self, options: TransportOptions) -> None:
        self._client = _configured(ClientBuilder(), options).build()

    async def send(self, request: WireRequest) -> WireResponse:
        builder = _prepare(self._client, request)
        if isinstance(request.body, bytes):
            builder = builder.body_bytes(request.body)
        elif request.body is not None:
            builder = builder.body_stream(request.body)
        try:
            if request.stream:
                streamed = builder.build_streamed()
                async with asyncio.timeout(request.timeout):
                    return _AsyncStream(streamed, await streamed.__aenter__())
            response = await builder.build().send()
            return _Whole(response.status, _headers(response.headers), bytes(await response.bytes()))
        except exceptions.PyreqwestError as error:
            raise _error(error) from None
        except TimeoutError:
            raise DeadlineError("No answer came within the time-out.") from None

    async def aclose(self) -> None:
        await self._client.close()


class _AsyncStream:
    __slots__ = ("_response", "_streamed", "headers", "status")

    def __init__(self, streamed: Any, response: Any) -> None:
        self._streamed = streamed
        self._response = response
        self.status: int = response.status
        self.headers: Mapping[str, str] = _headers(response.headers)

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        reader = self._response.body_reader
        try:
            while (chunk := await reader.read_chunk()) is not None:
                yield bytes(chunk)
        except exceptions.PyreqwestError as error:
            raise _error(error) from None

    async def close(self) -> None:
        streamed, self._streamed = self._streamed, None
        if streamed is not None:
            await streamed.__aexit__(None, None, None)
