"""Carry a request to the cloud and back through the layers, outermost first.

hooks and deadline → retry → redirects → authorization → rate limit → transport → error or answer.

No layer reaches around another.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from webex.config.shapes import items_of
from webex.config.values import split_url
from webex.errors import ConfigurationError, DeadlineError, RequestInfo, TransportError
from webex.http import codec
from webex.http.authorization import authorized
from webex.http.exchange import Body, Exchange
from webex.http.failures import failure
from webex.http.hooks import Call, Outcome
from webex.http.limits import RateLimits
from webex.http.multipart import counted, multipart_body
from webex.http.options import LimitsOf, seconds
from webex.http.redirects import following
from webex.http.retry import retrying
from webex.http.tracking import Tracking
from webex.http.types import Request, Response
from webex.runtime.protocol import WireRequest
from webex.telemetry import RequestFinished, RequestGivenUp, RequestStarted, Telemetry, installed_hooks

if TYPE_CHECKING:
    from webex.config import Config
    from webex.http.types import HostPolicy, TokenSource
    from webex.runtime.protocol import Runtime, WireResponse

_HOOKS: Final = ("on_request", "on_response", "on_attempt", "on_retry", "on_event")
_LARGEST_ERROR: Final = 64 * 1024
_LONGEST_TRANSFER: Final = 3600.0  # seconds for a file, as long as it keeps coming
_SLOWEST_UPLOAD: Final = 64 * 1024  # bytes a second


class StreamedResponse:
    """An answer whose body is read piece by piece; close it in a `finally`, or use `async with`."""

    def __init__(self, wire: WireResponse, request: RequestInfo, named: Callable[[TransportError], object]) -> None:
        self._wire = wire
        self._named = named
        self.status: int = wire.status
        self.headers: Mapping[str, str] = wire.headers
        self.request = request

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes; `TransportError` when it is cut off."""
        try:
            async for chunk in self._wire.chunks():
                yield chunk
        except TransportError as error:
            self._named(error)
            raise

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.chunks()

    async def read(self) -> bytes:
        """All of the body that is left; the connection is free afterwards."""
        try:
            return b"".join([chunk async for chunk in self.chunks()])
        finally:
            await self.close()

    async def close(self) -> None:
        """Let go of the connection, however much was read."""
        await self._wire.close()

    async def __aenter__(self) -> StreamedResponse:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _whereabouts(exchange: Exchange) -> tuple[str, str | None, str | None]:
    """Return the host, the operation's path template and the user's key, for telemetry."""
    user_key = None if exchange.tokens is None else exchange.tokens.key
    return urlsplit(exchange.url).netloc.rpartition("@")[2], exchange.request.template, user_key


def _checked_hooks(hooks: Any) -> list[Any]:
    found = items_of("hooks", hooks, "hooks")
    for hook in found:
        if not any(hasattr(hook, name) for name in _HOOKS):
            raise ConfigurationError(f"hooks: {type(hook).__name__} has none of the methods {', '.join(_HOOKS)}.")
    return found


class Pipeline:
    """Sends requests for one configuration. Holds no token: each call brings the source of its own."""

    def __init__(self, runtime: Runtime, config: Config, hosts: HostPolicy, *, hooks: Sequence[Any] = ()) -> None:
        self.runtime = runtime
        self.config = config
        self.hosts = hosts
        every: tuple[Any, ...] = (*_checked_hooks(hooks), *installed_hooks())
        self._hooks = tuple(hook for hook in every if hasattr(hook, "on_request") or hasattr(hook, "on_response"))
        self._tracking = Tracking(config)
        self.limits: RateLimits = RateLimits(
            runtime, rate=config.calls_per_second, owner_rate=config.user_calls_per_second
        )
        self.telemetry: Telemetry = Telemetry(every)
        self._headers = {"accept": "application/json", **self._tracking.headers}
        self._limits_of = LimitsOf(config)
        self._files_take_longer = config.origin("timeout") == "default"
        self.on_answer: Callable[[Mapping[str, str]], None] | None = None  # sees the headers of every answer

    async def send(self, request: Request, tokens: TokenSource | None = None) -> Response:
        """Send a request and return the answer, read to its end; `ApiError` for a status of 400 or more."""
        exchange, wire = await self._exchange(request, tokens)
        try:
            content = await wire.read()
        except TransportError as error:
            self._named(error, exchange)
            raise
        if wire.status >= 400:
            raise failure(wire.status, wire.headers, content[:_LARGEST_ERROR], exchange.info, self.runtime.clock.time())
        return Response(wire.status, wire.headers, content, exchange.info, exchange.attempts)

    async def stream(self, request: Request, tokens: TokenSource | None = None) -> StreamedResponse:
        """Send a request; return the answer with its body still to be read; `ApiError` for a status of 400 or more."""
        request.stream = True
        exchange, wire = await self._exchange(request, tokens)
        if wire.status >= 400:
            try:
                content = b""
                async for chunk in wire.chunks():
                    content += chunk
                    if len(content) > _LARGEST_ERROR:
                        break
            finally:
                await wire.close()
            raise failure(wire.status, wire.headers, content, exchange.info, self.runtime.clock.time())
        return StreamedResponse(wire, exchange.info, partial(self._named, exchange=exchange))

    async def _exchange(self, request: Request, tokens: TokenSource | None) -> tuple[Exchange, WireResponse]:
        exchange = await self._begin(request, tokens)
        if self._hooks or self.telemetry.wants(RequestFinished):
            return exchange, await self._observed(exchange)
        try:
            wire = await retrying(exchange, self.runtime, self._followed)
        except TransportError as error:
            self._tell_finished(exchange, None, self._named(error, exchange))
            raise
        if exchange.attempts > 1 and wire.status >= 400:
            self._tell_finished(exchange, wire.status, None)
        return exchange, wire

    async def _observed(self, exchange: Exchange) -> WireResponse:
        """Send with hooks called and the call's beginning and end told."""
        call = Call(exchange.info, exchange.headers)
        for hook in self._hooks:
            if hasattr(hook, "on_request"):
                await self.runtime.call(hook.on_request, call)
        if self.telemetry.wants(RequestStarted):
            tracking_id = exchange.info.tracking_id
            self.telemetry.tell(RequestStarted(exchange.method, exchange.path, tracking_id, *_whereabouts(exchange)))
        began = self.runtime.clock.monotonic()
        wire: WireResponse | None = None
        caught: BaseException | None = None
        try:
            wire = await retrying(exchange, self.runtime, self._followed)
        except TransportError as error:
            caught = self._named(error, exchange)
            raise
        except BaseException as error:
            caught = error
            raise
        else:
            return wire
        finally:
            status, headers = (wire.status, wire.headers) if wire is not None else (None, {})
            self._tell_finished(exchange, status, caught)
            elapsed = self.runtime.clock.monotonic() - began
            outcome = Outcome(exchange.info, status, headers, exchange.attempts, elapsed, caught)
            for hook in self._hooks:
                if hasattr(hook, "on_response"):
                    await self.runtime.call(hook.on_response, outcome)

    def _tell_finished(self, exchange: Exchange, status: int | None, error: BaseException | None) -> None:
        failed = isinstance(error, TransportError) or (exchange.attempts > 1 and (status or 0) >= 400)
        kind = RequestGivenUp if failed else RequestFinished
        if self.telemetry.wants(kind):
            took = exchange.now() - (exchange.give_up - exchange.timeout)
            name = None if error is None else type(error).__name__
            tracking_id = exchange.info.tracking_id
            self.telemetry.tell(
                kind(
                    exchange.method,
                    exchange.path,
                    tracking_id,
                    status,
                    name,
                    exchange.attempts,
                    took,
                    *_whereabouts(exchange),
                )
            )

    async def _begin(self, request: Request, tokens: TokenSource | None) -> Exchange:
        url = codec.well_formed(request.url, "url")
        if not codec.is_absolute(url):
            if "://" in url or url.startswith("//"):
                raise ConfigurationError(f"{url!r} is neither a path nor an http(s) URL.")
            url = codec.join_url(await self.hosts.url_of(request.service), url)
        elif split_url(url) is None:
            raise ConfigurationError(f"{codec.without_secrets(url)!r} is no URL: its host or port can't be read.")
        if request.params:
            url = codec.add_query(url, codec.encode_query(request.params))
        headers = self._headers.copy()
        body, content_type = self._body(request)
        if content_type is not None:
            headers["content-type"] = content_type
        if request.headers:
            for name, value in request.headers.items():
                headers[name.lower()] = value
        tracking_id = headers.get("trackingid")
        if tracking_id is None:
            headers["trackingid"] = tracking_id = self._tracking.next_id()
        method, timeout, now = request.method.upper(), self.timeout_of(request, body), self.runtime.clock.monotonic
        return Exchange(
            request,
            method,
            url,
            headers,
            body,
            tokens,
            RequestInfo(method, codec.without_secrets(url), tracking_id),
            now() + timeout,
            self.config.max_retries if request.max_retries is None else request.max_retries,
            now,
            timeout,
            self._limits_of(request),
            self.telemetry,
        )

    def timeout_of(self, request: Request, body: Body | None = None) -> float:
        """Seconds for the whole call. Unless a time-out was set, files get longer than what is small."""
        if request.timeout is not None:
            return seconds("timeout", request.timeout)
        timeout = self.config.timeout
        if self._files_take_longer and (request.stream or body is not None):
            if request.stream or (body is not None and body.opener is not None and body.length is None):
                return _LONGEST_TRANSFER
            if body is not None and body.length is not None:
                return timeout + body.length / _SLOWEST_UPLOAD
        return timeout

    def _body(self, request: Request) -> tuple[Body, str | None]:
        if request.json is not None:
            return Body(codec.encode_json(request.json)), "application/json"
        if request.form is not None:
            return Body(codec.encode_form(request.form)), "application/x-www-form-urlencoded"
        if request.multipart is not None:
            return multipart_body(request.multipart, request.on_progress)
        content = request.content
        if content is None or isinstance(content, bytes):
            return Body(content), request.content_type
        pieces = content if request.on_progress is None else counted(content, None, request.on_progress)
        return Body(opener=lambda: pieces, rewindable=False), request.content_type

    # Each gives the coroutine of the next layer; another `async def` in between would only cost time.

    def _followed(self, exchange: Exchange) -> Awaitable[WireResponse]:
        return following(exchange, self.hosts, self.config.max_redirects, self._authorized)

    def _authorized(self, exchange: Exchange) -> Awaitable[WireResponse]:
        return authorized(exchange, self.hosts, self._limited)

    def _limited(self, exchange: Exchange, authorization: str | None) -> Awaitable[WireResponse]:
        return self.limits.limited(exchange, authorization, self._transmit)

    async def _transmit(self, exchange: Exchange, authorization: str | None) -> WireResponse:
        headers = exchange.headers
        if authorization is not None:
            headers = {**headers, "authorization": authorization}
        left, limits, stream = exchange.time_left(), exchange.limits, exchange.request.stream
        try:
            wire = await self.runtime.send(
                WireRequest(
                    exchange.method,
                    exchange.url,
                    headers,
                    exchange.body.open(),
                    content_length=exchange.body.length,
                    timeout=min(left, limits.idle_timeout) if stream else left,
                    connect_timeout=self.config.connect_timeout,
                    stream=stream,
                    idle_timeout=limits.idle_timeout,
                    stream_timeout=left if stream else None,
                    max_size=limits.max_size,
                    max_error_size=_LARGEST_ERROR,
                )
            )
        except TransportError as error:
            self._named(error, exchange)
            raise
        if self.on_answer is not None:
            self.on_answer(wire.headers)
        return wire

    @staticmethod
    def _named(error: TransportError, exchange: Exchange) -> TransportError:
        """Say in the error what was asked of which host (after a redirect, another one), and within what time."""
        if error.request is None:
            info = exchange.info
            error.request = RequestInfo(exchange.method, codec.without_secrets(exchange.url), info.tracking_id)
        if error.timeout is None and isinstance(error, DeadlineError):
            over = exchange.remaining() <= 0 or not exchange.request.stream
            error.timeout = exchange.timeout if over else exchange.limits.idle_timeout
        return error
