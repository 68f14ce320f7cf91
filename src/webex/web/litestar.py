"""The sign-in for Litestar apps: a plugin with three routes, and dependencies by name.

auth = WebexAuth(integration, session_secret=os.environ["SESSION_SECRET"])

@get("/")
async def index(webex_client: CurrentWebex) -> str:
    return (await webex_client.people.me()).display_name

app = Litestar([index], plugins=[WebexPlugin(auth)])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from webex.client import AsyncWebex
from webex.errors import ConfigurationError
from webex.extras import needed_by
from webex.runtime import drive
from webex.web import asgi
from webex.web.carrier import RequestSession
from webex.web.core import REFUSALS, is_refusal
from webex.web.current import not_signed_in
from webex.web.messages import NO_METHOD, ROUTE_METHODS, WebRequest, WebResponse
from webex.web.sessions import WebSession

with needed_by("webex.web.litestar"):
    import litestar
    from litestar.connection import ASGIConnection, Request
    from litestar.datastructures import Cookie
    from litestar.di import NamedDependency, Provide
    from litestar.exceptions import PermissionDeniedException, WebSocketException
    from litestar.exceptions.responses import create_exception_response
    from litestar.middleware import DefineMiddleware
    from litestar.plugins import InitPlugin
    from litestar.response import Response
    from litestar.types import Receive, Scope, Send

if TYPE_CHECKING:
    from litestar.config.app import AppConfig
    from litestar.handlers import BaseRouteHandler

__all__ = ["CurrentSession", "CurrentWebex", "OptionalWebex", "WebexAuth", "WebexPlugin", "same_origin"]


class LitestarSession(RequestSession):
    """Keeps the session's id in `request.session`; a sign-out clears all of it, in Litestar's own way."""

    async def drop(self, request: WebRequest) -> None:
        """Forget the id, and what else the app kept for the user."""
        request.native.clear_session()


class WebexAuth(asgi.WebexAuth):
    """The sign-in of one app, with the arguments of `webex.web.SignIn` and an `AsyncIntegration`.

    Hooks get Litestar's `Request`, and may return a `Response`. With `session="framework"` the session's id rests in
    Litestar's session, whose middleware the app has.
    """

    native_responses: ClassVar[tuple[type, ...]] = (Response,)

    def __init__(
        self, integration: Any = None, *, session: Literal["webex", "framework"] = "webex", **options: Any
    ) -> None:
        if session not in ("webex", "framework"):
            raise ConfigurationError(f"session must be 'webex' or 'framework', not {session!r}.")
        super().__init__(integration, session_carrier=LitestarSession() if session == "framework" else None, **options)


class WebexPlugin(InitPlugin):
    """Adds the routes, the middleware and the dependencies of a sign-in to an app.

    A handler that takes `webex_client: CurrentWebex` or `webex_session: CurrentSession` needs a user: without one a
    person goes to the sign-in and a script gets a 401, as after any call that raises `ReauthorizationRequiredError`.
    `optional_webex: OptionalWebex` is the client or None. `request.state` has `webex`, `webex_session` and
    `webex_auth`.
    """

    def __init__(self, auth: WebexAuth) -> None:
        self._auth = auth

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Extend the app's configuration."""
        auth = self._auth
        paths = [auth.login_path, auth.callback_path, auth.logout_path]
        app_config.route_handlers.append(litestar.asgi(paths, copy_scope=False)(_served_by(auth)))
        # The last one runs after that of Litestar's session.
        app_config.middleware.append(DefineMiddleware(cast("Any", _Middleware), auth=auth))
        provided = (("webex_client", _client), ("webex_session", _session), ("optional_webex", _optional))
        for name, provide in provided:
            app_config.dependencies.setdefault(name, Provide(provide, sync_to_thread=False))
        for error in REFUSALS:
            app_config.exception_handlers = {error: _answer_with(auth), **app_config.exception_handlers}
        return app_config


def same_origin(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse with 403 unless a page of this app made the request; a guard for handlers that change something."""
    if not _state(connection.scope)["webex_auth"].is_same_origin(_web_request(connection)):
        raise PermissionDeniedException("This request did not come from a page of this app.")


class _Middleware(asgi.WebexMiddleware):
    serves_routes: ClassVar[bool] = False  # Litestar routes first

    def request_of(self, scope: asgi.Scope) -> WebRequest:
        return _web_request(ASGIConnection(cast("Any", scope)))


def _served_by(auth: WebexAuth) -> Any:
    async def webex_sign_in(scope: Scope, receive: Receive, send: Send) -> None:
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        seen = _web_request(request)
        route = auth.route(asgi.path_in_app(seen))
        answer = await route(seen) if route is not None and seen.method in ROUTE_METHODS else NO_METHOD
        await _response(answer).to_asgi_response(None, request)(scope, receive, send)

    return webex_sign_in


def _answer_with(auth: WebexAuth) -> Any:
    def refused(request: Request[Any, Any, Any], error: Any) -> Response[Any]:
        if not is_refusal(error):
            return create_exception_response(request, error)
        return _response(drive(auth.refused(error, _web_request(request))))

    return refused


def _optional(scope: Scope) -> AsyncWebex | None:
    found: AsyncWebex | None = _state(scope)["webex"]
    return found


def _client(scope: Scope) -> AsyncWebex:
    return cast("AsyncWebex", _needed(_optional(scope), scope))


def _session(scope: Scope) -> WebSession:
    return cast("WebSession", _needed(_state(scope)["webex_session"], scope))


def _needed(found: Any, scope: Any) -> Any:
    if found is None and scope["type"] == "websocket":
        raise WebSocketException(detail="Sign in first.", code=1008)
    if found is None:
        raise not_signed_in()
    return found


def _state(scope: Any) -> dict[str, Any]:
    state: dict[str, Any] = scope["state"]
    return state


def _web_request(connection: ASGIConnection[Any, Any, Any, Any]) -> WebRequest:
    scope: Any = connection.scope
    return asgi.asgi_request(scope, native=connection)


def _response(answer: WebResponse) -> Response[Any]:
    if answer.native is not None:
        response: Response[Any] = answer.native
    else:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        kind = headers.pop("content-type", "text/plain")
        response = Response(answer.body, status_code=answer.status, headers=headers, media_type=kind)
    for each in answer.cookies:
        response.cookies.append(
            Cookie(each.name, each.path, each.value, each.max_age, secure=each.secure, httponly=True, samesite="lax")
        )
    return response


# By its name a parameter finds what the plugin provides, and by these it has its type.
CurrentWebex = NamedDependency[AsyncWebex]
OptionalWebex = NamedDependency[AsyncWebex | None]
CurrentSession = NamedDependency[WebSession]
