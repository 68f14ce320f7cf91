"""The sign-in for Starlette apps: three routes, and `request.state.webex`.

auth = WebexAuth(integration, session_secret=os.environ["SESSION_SECRET"])
app = Starlette(routes=[...])
auth.install(app)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from webex.auth.urls import percent_encode
from webex.errors import ConfigurationError
from webex.extras import needed_by
from webex.web import asgi
from webex.web.carrier import RequestSession
from webex.web.messages import WebRequest, WebResponse

with needed_by("webex.web.starlette"):
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute, Route

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp

    from webex.client import AsyncWebex
    from webex.web.core import SignIn
    from webex.web.sessions import WebSession

__all__ = ["WebexAuth", "WebexMiddleware", "web_request", "web_response"]


class WebexAuth(asgi.WebexAuth):
    """The sign-in of one app, with the arguments of `webex.web.SignIn` and an `AsyncIntegration`.

    After `auth.install(app)` a request's `state.webex` is the signed-in user's client, or None, and
    `state.webex_session` says who that is. A handler that raises `NotSignedInError` or `ReauthorizationRequiredError`
    (as any call may) sends a person to the sign-in and a script a 401. Hooks get the `Request` and may return a
    `Response` of Starlette.
    """

    native_responses: ClassVar[tuple[type, ...]] = (Response,)

    def __init__(
        self, integration: Any = None, *, session: Literal["webex", "framework"] = "webex", **options: Any
    ) -> None:
        if session not in ("webex", "framework"):
            raise ConfigurationError(f"session must be 'webex' or 'framework', not {session!r}.")
        super().__init__(integration, session_carrier=RequestSession() if session == "framework" else None, **options)

    @property
    def routes(self) -> list[BaseRoute]:
        """Login, callback and logout, with and without a slash at the end."""
        served = (
            (self.login_path, self._login, "webex_login"),
            (self.callback_path, self._callback, "webex_callback"),
            (self.logout_path, self._logout, "webex_logout"),
        )
        methods = ["GET", "POST"]
        exact = [
            Route(path, serve, methods=methods, name=name, include_in_schema=False) for path, serve, name in served
        ]
        # Starlette would redirect from the slash by the Host header, which a proxy may have changed.
        slashed = [
            Route(f"{path}/", serve, methods=methods, include_in_schema=False)
            for path, serve, _ in served
            if not path.endswith("/")
        ]
        return [*exact, *slashed]

    def install(self, app: Starlette) -> None:
        """Add the routes and the middleware, before the app's first request."""
        app.router.routes[:0] = self.routes
        app.add_middleware(WebexMiddleware, auth=self)

    async def _login(self, request: Request) -> Response:
        return web_response(await self.login(web_request(request, native=HookRequest(request.scope, request.receive))))

    async def _callback(self, request: Request) -> Response:
        return web_response(
            await self.callback(web_request(request, native=HookRequest(request.scope, request.receive)))
        )

    async def _logout(self, request: Request) -> Response:
        return web_response(await self.logout(web_request(request, native=HookRequest(request.scope, request.receive))))


class WebexMiddleware(asgi.WebexMiddleware):
    """Finds the signed-in user of a request, and answers for handlers that needed one and had none."""

    serves_routes: ClassVar[bool] = False  # they are the router's

    def __init__(self, app: ASGIApp, auth: SignIn) -> None:
        super().__init__(app, auth)

    def request_of(self, scope: asgi.Scope) -> WebRequest:
        """Return the request as a `WebRequest`, with Starlette's own."""
        connection = HTTPConnection(scope)
        return web_request(connection, native=connection)


def client_of(connection: HTTPConnection) -> AsyncWebex | None:
    """Return the signed-in user's client."""
    found: AsyncWebex | None = _state(connection)["webex"]
    return found


def session_of(connection: HTTPConnection) -> WebSession | None:
    """Who is signed in."""
    found: WebSession | None = _state(connection)["webex_session"]
    return found


def _state(connection: HTTPConnection) -> dict[str, Any]:
    state: dict[str, Any] = connection.scope.get("state", {})
    if "webex_auth" not in state:
        raise RuntimeError("auth.install(app) was not called for this app, so no user can be signed in.")
    return state


class HookRequest(Request):
    """The request that hooks get: Starlette's own, with the `path` that version 0.1.0 gave them."""

    @property
    def path(self) -> str:
        """The path as it arrived; `request.url.path` says the same."""
        return self.url.path


def web_request(connection: HTTPConnection, *, native: Any = None) -> WebRequest:
    """Return a Starlette request as a `WebRequest`."""
    return asgi.asgi_request(connection.scope, native=native)


def web_response(answer: WebResponse) -> Response:
    """Convert a `WebResponse` to Starlette's; a response that a hook made itself gets the cookies."""
    if answer.native is not None:
        response: Response = answer.native
    else:
        headers = {
            name: percent_encode(value) if name.lower() == "location" else value
            for name, value in answer.headers.items()
        }
        response = Response(answer.body, answer.status, headers)
    for cookie in answer.cookies:
        response.raw_headers.append((b"set-cookie", cookie.header.encode("latin-1")))
    return response
