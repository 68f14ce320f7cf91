"""A request's way to the cloud and back, composed of the layers, outermost first:

hooks and deadline → retry → rate limit → redirects → authorization → transport → error or answer.

No layer reaches around another.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from webex.errors import ConfigurationError, RequestInfo, TransportError
from webex.http import codec
from webex.http.authorization import authorized
from webex.http.exchange import Body, Exchange
from webex.http.failures import failure
from webex.http.hooks import Call, Outcome
from webex.http.limits import RateLimits
from webex.http.multipart import counted, multipart_body
from webex.http.redirects import following
from webex.http.retry import retrying
from webex.http.tracking import Tracking
from webex.http.types import Request, Response
from webex.runtime.protocol import WireRequest

if TYPE_CHECKING:
    from webex.config import Config
    from webex.http.types import HostPolicy, TokenSource
    from webex.runtime.protocol import Runtime, WireResponse

_LARGEST_ERROR = 64 * 1024


class StreamedResponse:
    """An answer whose body is read piece by piece; close it in a `finally`, or use `async with`."""

    def __init__(self, wire: WireResponse, request: RequestInfo) -> None:
        self._wire = wire
        self.status = wire.status
        self.headers: Mapping[str, str] = wire.headers
        self.request = request

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes; `TransportError` when it is cut off."""
        return self._wire.chunks()

    async def close(self) -> None:
        """Let go of the connection, however much was read."""
        await self._wire.close()

    async def __aenter__(self) -> StreamedResponse:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class Pipeline:
    """Sends requests for one configuration. Holds no token: each call brings the source of its own."""

    def __init__(self, runtime: Runtime, config: Config, hosts: HostPolicy, *, hooks: Sequence[Any] = ()) -> None:
        self.runtime = runtime
        self.config = config
        self.hosts = hosts
        self._hooks = tuple(hooks)
        self._tracking = Tracking(config)
        self._limits = RateLimits(runtime)
        self.on_answer: Callable[[Mapping[str, str]], None] | None = None  # sees the headers of every answer

    async def send(self, request: Request, tokens: TokenSource | None = None) -> Response:
        """The answer, read to its end; an `ApiError` for a status of 400 or more."""
        exchange, wire = await self._exchange(request, tokens)
        content = await wire.read()
        if wire.status >= 400:
            raise failure(wire.status, wire.headers, content[:_LARGEST_ERROR], exchange.info)
        return Response(wire.status, wire.headers, content, exchange.info, exchange.attempts)

    async def stream(self, request: Request, tokens: TokenSource | None = None) -> StreamedResponse:
        """The answer with its body still to be read; an `ApiError` for a status of 400 or more."""
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
            raise failure(wire.status, wire.headers, content, exchange.info)
        return StreamedResponse(wire, exchange.info)

    async def _exchange(self, request: Request, tokens: TokenSource | None) -> tuple[Exchange, WireResponse]:
        exchange = await self._begin(request, tokens)
        if not self._hooks:
            try:
                return exchange, await retrying(exchange, self.runtime, self._limited)
            except TransportError as error:
                error.request = exchange.info
                raise
        call = Call(exchange.info, exchange.headers)
        for hook in self._hooks:
            await self.runtime.call(hook.on_request, call)
        began = self.runtime.clock.monotonic()
        wire: WireResponse | None = None
        caught: BaseException | None = None
        try:
            wire = await retrying(exchange, self.runtime, self._limited)
        except TransportError as error:
            error.request = exchange.info
            caught = error
            raise
        except BaseException as error:
            caught = error
            raise
        else:
            return exchange, wire
        finally:
            status, headers = (wire.status, wire.headers) if wire is not None else (None, {})
            elapsed = self.runtime.clock.monotonic() - began
            outcome = Outcome(exchange.info, status, headers, exchange.attempts, elapsed, caught)
            for hook in self._hooks:
                await self.runtime.call(hook.on_response, outcome)

    async def _begin(self, request: Request, tokens: TokenSource | None) -> Exchange:
        url = request.url
        if not codec.is_absolute(url):
            if "://" in url or url.startswith("//"):
                raise ConfigurationError(f"{url!r} is neither a path nor an http(s) URL.")
            url = codec.join_url(await self.hosts.url_of(request.service), url)
        url = codec.add_query(url, codec.encode_query(request.params))
        headers = {"accept": "application/json", **self._tracking.headers}
        body, content_type = self._body(request)
        if content_type is not None:
            headers["content-type"] = content_type
        for name, value in (request.headers or {}).items():
            headers[name.lower()] = value
        tracking_id = headers.setdefault("trackingid", self._tracking.next_id())
        timeout = self.config.timeout if request.timeout is None else request.timeout
        return Exchange(
            request=request,
            method=request.method.upper(),
            url=url,
            headers=headers,
            body=body,
            tokens=tokens,
            info=RequestInfo(request.method.upper(), codec.without_secrets(url), tracking_id),
            give_up=self.runtime.clock.monotonic() + timeout,
            max_retries=self.config.max_retries if request.max_retries is None else request.max_retries,
            now=self.runtime.clock.monotonic,
        )

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

    async def _limited(self, exchange: Exchange) -> WireResponse:
        return await self._limits.limited(exchange, self._followed)

    async def _followed(self, exchange: Exchange) -> WireResponse:
        return await following(exchange, self.hosts, self.config.max_redirects, self._authorized)

    async def _authorized(self, exchange: Exchange) -> WireResponse:
        return await authorized(exchange, self.hosts, self._transmit)

    async def _transmit(self, exchange: Exchange, authorization: str | None) -> WireResponse:
        headers = exchange.headers
        if authorization is not None:
            headers = {**headers, "authorization": authorization}
        wire = await self.runtime.send(
            WireRequest(
                exchange.method,
                exchange.url,
                headers,
                exchange.body.open(),
                content_length=exchange.body.length,
                timeout=exchange.time_left(),
                connect_timeout=self.config.connect_timeout,
                stream=exchange.request.stream,
            )
        )
        if self.on_answer is not None:
            self.on_answer(wire.headers)
        return wire
