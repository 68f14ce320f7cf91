"""The middleware: serves the three routes, and gives every other request its user, looked up when it is asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpResponse, HttpResponseBase
from django.utils.functional import SimpleLazyObject

from webex.auth.urls import percent_encode
from webex.web.asgi import asgi_request
from webex.web.core import is_refusal
from webex.web.current import NotSignedIn
from webex.web.django import conf
from webex.web.messages import NO_METHOD, ROUTE_METHODS, WebRequest, WebResponse
from webex.web.wsgi import wsgi_request

if TYPE_CHECKING:
    from webex.web.sessions import WebSession


class WebexMiddleware:
    """Gives requests `webex`, `webex_session` and `awebex()`, and answers for views that need a user.

    `request.webex` is the client of the signed-in user in blocking style, and `await request.awebex()` that in
    event-loop style; both are false while no user is signed in. `request.webex_session` says who it is (or is None,
    which `request.webex_session == None` tells). With `WEBEX_SESSION = "framework"` it stands after Django's
    `SessionMiddleware`.
    """

    sync_capable: ClassVar[bool] = True
    async_capable: ClassVar[bool] = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response
        self._asynchronous = iscoroutinefunction(get_response)
        if self._asynchronous:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """Serve one request."""
        if self._asynchronous:
            return self._serve(request)
        if serve := conf.auth().route(request.path_info):
            return web_response(serve(web_request(request)) if request.method in ROUTE_METHODS else NO_METHOD)
        _attach(request)
        return self._get_response(request)

    async def _serve(self, request: Any) -> Any:
        if serve := conf.async_auth().route(request.path_info):
            return web_response(await serve(web_request(request)) if request.method in ROUTE_METHODS else NO_METHOD)
        _attach(request)
        return await self._get_response(request)

    def process_exception(self, request: Any, exception: Exception) -> HttpResponseBase | None:
        """Answer for a view without a user, and while the storage fails."""
        if not is_refusal(exception):
            return None
        return web_response(conf.auth().refused(exception, web_request(request)))  # type: ignore[arg-type]  # as checked


def _attach(request: Any) -> None:
    @functools.cache
    def session() -> WebSession | None:
        return conf.auth().session(web_request(request))

    def client() -> Any:
        found = session()
        return NotSignedIn() if found is None else conf.auth().client(found)

    request.webex_session = SimpleLazyObject(session)
    request.webex = SimpleLazyObject(client)
    request.awebex = functools.partial(_async_client, request)


async def _async_client(request: Any) -> Any:
    if not hasattr(request, "webex_view"):
        session = await conf.async_auth().session(web_request(request))
        request.webex_view = NotSignedIn() if session is None else conf.async_auth().client(session)
    return request.webex_view


def web_request(request: Any) -> WebRequest:
    """Return a Django request as a `WebRequest`, from the scope or the environ that it was made of."""
    if hasattr(request, "scope"):
        return asgi_request(request.scope, native=request)
    # Django puts decoded text into the environ, where WSGI has bytes.
    decoded = {name: request.environ[name].encode().decode("latin-1") for name in ("PATH_INFO", "SCRIPT_NAME")}
    return wsgi_request({**request.environ, **decoded}, native=request)


def web_response(answer: WebResponse) -> HttpResponseBase:
    """Return a `WebResponse` as one of Django; a response that a hook made itself gets the cookies."""
    if answer.native is not None:
        response: Any = answer.native
    else:
        response = HttpResponse(answer.body, status=answer.status)
        for name, value in answer.headers.items():
            response[name] = percent_encode(value) if name.lower() == "location" else value
    for cookie in answer.cookies:
        response.set_cookie(
            cookie.name,
            cookie.value,
            max_age=cookie.max_age,
            path=cookie.path,
            secure=cookie.secure,
            httponly=True,
            samesite="Lax",
        )
    return response
