"""The sign-in for aiohttp's server: a middleware, and `request[WEBEX]`.

auth = WebexAuth(integration, session_secret=os.environ["SESSION_SECRET"])
app = web.Application()
auth.install(app)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import quote

from aiohttp import web

from webex.auth.urls import percent_encode
from webex.web import asgi
from webex.web.core import REFUSALS, is_refusal
from webex.web.messages import AS_SENT, NO_METHOD, ROUTE_METHODS, WebRequest, WebResponse

if TYPE_CHECKING:
    from webex.client import AsyncWebex
    from webex.web.sessions import WebSession

__all__ = ["WEBEX", "WEBEX_SESSION", "WebexAuth", "web_request", "web_response"]

WEBEX: Final[web.RequestKey[AsyncWebex | None]] = web.RequestKey("webex")
WEBEX_SESSION: Final[web.RequestKey[WebSession | None]] = web.RequestKey("webex_session")
_BEGUN: Final[web.RequestKey[bool]] = web.RequestKey("webex_response_begun")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebexAuth(asgi.WebexAuth):
    """The sign-in of one app, with the arguments of `webex.web.SignIn` and an `AsyncIntegration`.

    After `auth.install(app)` a request has `request[WEBEX]`, the signed-in user's client or None, and
    `request[WEBEX_SESSION]`. A handler that raises `NotSignedInError` or `ReauthorizationRequiredError` (as any call
    may) sends a person to the sign-in and a script a 401. Hooks get aiohttp's request and may return its responses.
    """

    native_responses: ClassVar[tuple[type, ...]] = (web.StreamResponse,)
    _root_path = ""

    def install(self, app: web.Application, *, root_path: str = "") -> None:
        """Add the middleware, before the app starts; `root_path` is where the app is mounted as a subapp."""
        self._root_path = root_path

        @web.middleware
        async def serve(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._serve(request, handler)

        app.middlewares.append(serve)
        app.on_response_prepare.append(_mark_begun)

    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        seen = replace(web_request(request), root_path=self._root_path)
        if serve := self.route(asgi.path_in_app(seen)):
            return web_response(await serve(seen) if request.method in ROUTE_METHODS else NO_METHOD)
        try:
            session = await self.session(seen)
            request[WEBEX_SESSION] = session
            request[WEBEX] = self.client(session) if session is not None else None
            return await handler(request)
        except REFUSALS as error:
            if request.get(_BEGUN, False) or not is_refusal(error):
                raise
            return web_response(await self.refused(error, seen))


async def _mark_begun(request: web.Request, response: web.StreamResponse) -> None:
    request[_BEGUN] = True


def web_request(request: web.Request) -> WebRequest:
    """Return an aiohttp request as a `WebRequest`."""
    sent, _, query = request.raw_path.partition("?")
    if not sent.startswith("/"):  # a proxy's request has the whole URL
        sent, query = request.rel_url.raw_path, request.rel_url.raw_query_string
    headers: dict[str, str] = {}
    for key, value in request.headers.items():
        name = key.lower()
        headers[name] = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}" if name in headers else value
    return WebRequest(
        method=request.method,
        scheme=request.scheme,
        host=request.host,
        path=_as_sent(sent),
        query=_as_sent(query),
        headers=headers,
        client=request.remote or "",
        native=request,
    )


def web_response(answer: WebResponse) -> web.StreamResponse:
    """Return a `WebResponse` as one of aiohttp; a response that a hook made itself gets the cookies."""
    response: web.StreamResponse
    if answer.native is not None:
        response = answer.native
    else:
        headers = {
            name: percent_encode(value) if name.lower() == "location" else value
            for name, value in answer.headers.items()
        }
        response = web.Response(body=answer.body, status=answer.status, headers=headers)
    for cookie in answer.cookies:
        response.headers.add("Set-Cookie", cookie.header)
    return response


def _as_sent(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe=AS_SENT)
