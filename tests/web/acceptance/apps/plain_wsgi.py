"""A plain WSGI app."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import shared

from webex.errors import NotSignedInError
from webex.web.wsgi import WebexAuth, WebexMiddleware, wsgi_request

auth = WebexAuth(shared.integration(), session_secret=shared.SECRETS, **shared.OPTIONS)


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path, client = environ["PATH_INFO"], environ["webex"]
    if path == "/stream":
        start_response("200 OK", [("content-type", "text/plain")])
        return shared.pieces()
    if path == "/who" and environ["REQUEST_METHOD"] == "POST" and not auth.is_same_origin(wsgi_request(environ)):
        start_response("403 Forbidden", [("content-type", "text/plain")])
        return [b"no page of this app"]
    if path == "/":
        answer: Any = "public"
    elif path == "/who":
        answer = environ["webex.session"].email if environ["webex.session"] else None
    elif path == "/me" or path.startswith("/rooms/"):
        if client is None:
            raise NotSignedInError("No user is signed in.")
        answer = client.people.me().emails[0]
    else:
        start_response("404 Not Found", [("content-type", "text/plain")])
        return [b"no such page"]
    start_response("200 OK", [("content-type", "application/json")])
    return [json.dumps(answer).encode()]


application = shared.mounted_wsgi(WebexMiddleware(app, auth))
