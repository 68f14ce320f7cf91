"""The sign-in for Starlette apps: three routes, and `request.state.webex`.

auth = WebexAuth(integration, session_secret=os.environ["SESSION_SECRET"])
app = Starlette(routes=[...])
auth.install(app)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from webex.errors import NotSignedInError, ReauthorizationRequiredError
from webex.web.core import SignIn
from webex.web.messages import WebRequest, WebResponse

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from webex.client import AsyncWebex
    from webex.web.sessions import WebSession

__all__ = ["WebexAuth", "WebexMiddleware", "web_request", "web_response"]


class WebexAuth(SignIn):
    """The sign-in of one app, with the arguments of `webex.web.SignIn`.

    After `auth.install(app)` a request's `state.webex` is the client of whoever is signed in, or None, and
    `state.webex_session` says who that is. A handler that raises `NotSignedInError` or `ReauthorizationRequiredError`
    (as any call may) sends a person to the sign-in and a script a 401.
    """

    @property
    def routes(self) -> list[BaseRoute]:
        """Login, callback and logout."""
        return [
            Route(self.login_path, self._login, methods=["GET"], name="webex_login", include_in_schema=False),
            Route(self.callback_path, self._callback, methods=["GET"], name="webex_callback", include_in_schema=False),
            Route(self.logout_path, self._logout, methods=["POST"], name="webex_logout", include_in_schema=False),
        ]

    def install(self, app: Starlette) -> None:
        """Add the routes and the middleware, before the app's first request."""
        app.router.routes[:0] = self.routes
        app.add_middleware(WebexMiddleware, auth=self)

    async def _login(self, request: Request) -> Response:
        return web_response(await self.login(web_request(request)))

    async def _callback(self, request: Request) -> Response:
        return web_response(await self.callback(web_request(request)))

    async def _logout(self, request: Request) -> Response:
        return web_response(await self.logout(web_request(request)))


class WebexMiddleware:
    """Finds out who a request is from, and answers for handlers that needed somebody and found nobody."""

    def __init__(self, app: ASGIApp, auth: WebexAuth) -> None:
        self._app = app
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = web_request(HTTPConnection(scope))
        session = await self._auth.session(request) if request.cookies else None
        state = scope.setdefault("state", {})
        state["webex_auth"] = self._auth
        state["webex_session"] = session
        state["webex"] = self._auth.client(session) if session is not None else None
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except (NotSignedInError, ReauthorizationRequiredError) as error:
            if begun:
                raise
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": "Sign in first."})
                return
            await web_response(await self._auth.refused(error, request))(scope, receive, send)


def client_of(connection: HTTPConnection) -> AsyncWebex | None:
    """The client of whoever is signed in."""
    found: AsyncWebex | None = _state(connection)["webex"]
    return found


def session_of(connection: HTTPConnection) -> WebSession | None:
    """Who is signed in."""
    found: WebSession | None = _state(connection)["webex_session"]
    return found


def _state(connection: HTTPConnection) -> dict[str, Any]:
    state: dict[str, Any] = connection.scope.get("state", {})
    if "webex_auth" not in state:
        raise RuntimeError("auth.install(app) was not called for this app, so nobody can be signed in.")
    return state


def web_request(connection: HTTPConnection) -> WebRequest:
    """A Starlette request as the core sees it."""
    scope = connection.scope
    raw = scope.get("raw_path")
    # The path as the browser sent it: `scope["path"]` is decoded, and no longer tells %2F from a slash.
    path = raw.decode("latin-1") if raw else scope["path"]
    return WebRequest(
        method=scope.get("method", "GET"),
        scheme="https" if scope["scheme"] in ("https", "wss") else "http",
        host=connection.headers.get("host", ""),
        path=path,
        query=scope.get("query_string", b"").decode("latin-1"),
        headers={name.lower(): value for name, value in connection.headers.items()},
        cookies=connection.cookies,
        client=connection.client.host if connection.client is not None else "",
    )


def web_response(answer: WebResponse) -> Response:
    """The core's answer as one of Starlette."""
    response = Response(answer.body, answer.status, dict(answer.headers))
    for cookie in answer.cookies:
        response.raw_headers.append((b"set-cookie", cookie.header.encode("latin-1")))
    return response
