"""The sign-in as plain ASGI middleware, which the adapters of ASGI frameworks build on.

auth = WebexAuth(integration, session_secret=os.environ["SESSION_SECRET"])
app = WebexMiddleware(app, auth)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import quote_from_bytes, unquote

from webex.auth.urls import percent_encode
from webex.errors import StorageError
from webex.integration import AsyncIntegration
from webex.web.core import REFUSALS, SignIn, is_refusal
from webex.web.messages import AS_SENT, NO_METHOD, ROUTE_METHODS, WebRequest, WebResponse

if TYPE_CHECKING:
    from webex.client import AsyncWebex
    from webex.web.sessions import WebSession

__all__ = ["WebexAuth", "WebexMiddleware", "asgi_request", "send_response"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]  # frameworks have types of their own for the three


class WebexAuth(SignIn):
    """The sign-in of one app, with the arguments of `webex.web.SignIn` and an `AsyncIntegration`.

    Hooks get the `WebRequest`, whose `native` is the scope, and may return a `WebResponse`.
    """

    styles: ClassVar[tuple[type, ...]] = (AsyncIntegration,)

    def client(self, session: WebSession) -> AsyncWebex:
        """Return the view of a session's person."""
        return cast("AsyncWebex", super().client(session))


class WebexMiddleware:
    """Serves the three routes, finds the signed-in user of every other request, and answers for handlers without one.

    `scope["state"]` gets `webex` (the user's client, or None), `webex_session` (who that is) and `webex_auth`. An app
    that raises `NotSignedInError` or `ReauthorizationRequiredError` (as any call may) before it has begun its response
    sends a person to the sign-in and a script a 401; while the storage fails the answer is 503.
    """

    serves_routes: ClassVar[bool] = True

    def __init__(self, app: ASGIApp, auth: SignIn) -> None:
        self._app = app
        self._auth = auth

    def request_of(self, scope: Scope) -> WebRequest:
        """Return the request as a `WebRequest`; an adapter adds its framework's own."""
        return asgi_request(scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = self.request_of(scope)
        if self.serves_routes and scope["type"] == "http" and (serve := self._auth.route(path_in_app(request))):
            await send_response(await serve(request) if request.method in ROUTE_METHODS else NO_METHOD, send, request)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            session = await self._auth.session(request)
            state = scope.setdefault("state", {})
            state["webex_auth"] = self._auth
            state["webex_session"] = session
            state["webex"] = self._auth.client(session) if session is not None else None
            await self._app(scope, receive, watched)
        except REFUSALS as error:
            if begun or not is_refusal(error):
                raise
            if scope["type"] == "http":
                await send_response(await self._auth.refused(error, request), send, request)
            elif isinstance(error, StorageError):
                await send({"type": "websocket.close", "code": 1013, "reason": "Try again later."})
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": "Sign in first."})


def path_in_app(request: WebRequest) -> str:
    """Return the decoded path below the app's root, which routes are compared with."""
    return unquote(request.address_in_app.partition("?")[0])


def asgi_request(scope: Mapping[str, Any], *, native: Any = None) -> WebRequest:
    """Return an ASGI request as a `WebRequest`; `native` is what hooks get instead of it."""
    raw = scope.get("raw_path")
    # The path as the browser sent it: `scope["path"]` is decoded, and no longer tells %2F from a slash.
    path = quote_from_bytes(raw, safe=AS_SENT) if raw else percent_encode(scope["path"].replace("%", "%25"))
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in scope["headers"]:
        name, value = name_bytes.decode("latin-1").lower(), value_bytes.decode("latin-1")
        separator = "; " if name == "cookie" else ", "  # HTTP/2 may bring a cookie header in pieces
        headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    client, query = scope.get("client"), scope.get("query_string", b"")
    if isinstance(query, str):  # as Django's AsyncClient has it
        query = query.encode()
    return WebRequest(
        method=scope.get("method", "GET"),
        scheme="https" if scope.get("scheme") in ("https", "wss") else "http",
        host=headers.get("host", ""),
        path=path,
        query=quote_from_bytes(query, safe=AS_SENT),
        headers=headers,
        client=client[0] if client else "",
        root_path=scope.get("root_path", ""),
        native=native,
    )


async def send_response(answer: WebResponse, send: Send, request: WebRequest) -> None:
    """Send a `WebResponse`; for a HEAD without its body."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if "location" in headers:
        headers["location"] = percent_encode(headers["location"])
    headers["content-length"] = str(len(answer.body))
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    raw += [(b"set-cookie", cookie.header.encode("latin-1")) for cookie in answer.cookies]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else answer.body})
