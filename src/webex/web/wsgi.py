"""The sign-in as plain WSGI middleware, which the adapters of WSGI frameworks build on.

auth = WebexAuth(integration, session_secret=os.environ["SESSION_SECRET"])
app = WebexMiddleware(app, auth)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable
from http.client import responses
from typing import Any
from urllib.parse import quote, unquote

from webex.auth.urls import percent_encode
from webex.web.blocking import BlockingSignIn
from webex.web.core import REFUSALS, is_refusal
from webex.web.messages import AS_SENT, NO_METHOD, ROUTE_METHODS, WebRequest, WebResponse

__all__ = ["WebexAuth", "WebexMiddleware", "respond", "wsgi_request"]

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

WebexAuth = BlockingSignIn


class WebexMiddleware:
    """Serves the three routes, finds the signed-in user of every other request, and answers for handlers without one.

    The environ gets `webex` (the user's client, or None), `webex.session` (who that is), `webex.auth`, and
    `webex.request`, the `WebRequest` as the server gave it: some frameworks change `PATH_INFO` in place. An app that
    raises `NotSignedInError` or `ReauthorizationRequiredError` (as any call may) before it has sent something sends a
    person to the sign-in and a script a 401; while the storage fails the answer is 503. What the app returns is
    handed on as it is, and stays lazy.
    """

    def __init__(self, app: WSGIApp, auth: BlockingSignIn) -> None:
        self._app = app
        self._auth = auth

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        request = wsgi_request(environ)
        if serve := self._auth.route(path_in_app(environ)):
            return respond(serve(request) if request.method in ROUTE_METHODS else NO_METHOD, request, start_response)
        begun = False

        def started(*arguments: Any) -> Any:
            nonlocal begun
            begun = True
            return start_response(*arguments)

        try:
            session = self._auth.session(request)
            environ["webex.auth"] = self._auth
            environ["webex.request"] = request
            environ["webex.session"] = session
            environ["webex"] = self._auth.client(session) if session is not None else None
            body = self._app(environ, started)
        except REFUSALS as error:
            return self._refused(error, request, start_response)
        # An app that is a generator has not run yet.
        return body if begun else self._lazily(body, request, start_response)

    def _lazily(
        self, body: Iterable[bytes], request: WebRequest, start_response: StartResponse
    ) -> Generator[bytes, None, None]:
        try:
            try:
                yield from body
            except REFUSALS as error:
                yield from self._refused(error, request, start_response)
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()

    def _refused(self, error: Any, request: WebRequest, start_response: StartResponse) -> Iterable[bytes]:
        if not is_refusal(error):
            raise error
        # With the error's information the server raises it again when headers are out already.
        return respond(self._auth.refused(error, request), request, start_response, sys.exc_info())


def path_in_app(environ: Environ) -> str:
    """Return the decoded path below the app's root, which routes are compared with."""
    return _bytes(environ.get("PATH_INFO", "")).decode("utf-8", "replace")


def wsgi_request(environ: Environ, *, native: Any = None) -> WebRequest:
    """Return a WSGI request as a `WebRequest`; `native` is what hooks get instead of it."""
    headers = {name[5:].lower().replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
    host = headers.get("host") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return WebRequest(
        method=environ["REQUEST_METHOD"],
        scheme=environ.get("wsgi.url_scheme", "http"),
        host=host,
        path=_path_as_sent(environ),
        query=quote(_bytes(environ.get("QUERY_STRING", "")), safe=AS_SENT),
        headers=headers,
        client=environ.get("REMOTE_ADDR") or "",
        root_path=_bytes(environ.get("SCRIPT_NAME", "")).decode("utf-8", "replace"),
        native=native,
    )


def respond(
    answer: WebResponse, request: WebRequest, start_response: StartResponse, exc_info: Any = None
) -> list[bytes]:
    """Start a `WebResponse` and return its body, which is empty for a HEAD."""
    headers = [
        (name, percent_encode(value) if name.lower() == "location" else value) for name, value in answer.headers.items()
    ]
    headers.append(("content-length", str(len(answer.body))))
    headers += [("set-cookie", cookie.header) for cookie in answer.cookies]
    status = f"{answer.status} {responses.get(answer.status, 'Unknown')}"
    start_response(status, headers, *(() if exc_info is None else (exc_info,)))
    return [] if request.method == "HEAD" else [answer.body]


def _path_as_sent(environ: Environ) -> str:
    """Return the encoded path, from the server's own variable where there is one that means this path.

    WSGI's `PATH_INFO` is decoded and no longer tells %2F from a slash. `RAW_URI` is gunicorn's and Werkzeug's,
    `REQUEST_URI` that of uWSGI, mod_wsgi and waitress; middleware may have changed the path since.
    """
    root, below = (_bytes(environ.get(name, "")) for name in ("SCRIPT_NAME", "PATH_INFO"))
    for name in ("RAW_URI", "REQUEST_URI"):
        raw = environ.get(name) or ""
        if not raw.startswith("/"):
            raw = "/" + raw.partition("://")[2].partition("/")[2]  # a proxy's request has the whole URL
        path = quote(_bytes(raw.partition("?")[0].partition("#")[0]), safe=AS_SENT)
        if unquote(path, "latin-1").encode("latin-1") in (root + below, below):
            return path
    return quote(root + below)


def _bytes(text: str) -> bytes:
    """Return the bytes of a string of the environ, which holds them as Latin-1."""
    return text.encode("latin-1", "replace")
