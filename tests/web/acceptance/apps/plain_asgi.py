"""A plain ASGI app."""

from __future__ import annotations

import json
from typing import Any

import shared

from webex.errors import NotSignedInError
from webex.web.asgi import WebexAuth, WebexMiddleware, asgi_request

auth = WebexAuth(shared.async_integration(), session_secret=shared.SECRETS, **shared.OPTIONS)


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    path, state = scope["path"].removeprefix(scope["root_path"]), scope["state"]
    status, answer = 200, b""
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async for piece in shared.async_pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
        return
    if path == "/":
        answer = b'"public"'
    elif path == "/who" and scope["method"] == "POST" and not auth.is_same_origin(asgi_request(scope)):
        status, answer = 403, b"no page of this app"
    elif path == "/who":
        answer = json.dumps(state["webex_session"].email if state["webex_session"] else None).encode()
    elif path == "/me" or path.startswith("/rooms/"):
        if state["webex"] is None:
            raise NotSignedInError("No user is signed in.")
        answer = json.dumps((await state["webex"].people.me()).emails[0]).encode()
    else:
        status, answer = 404, b"no such page"
    length = (b"content-length", str(len(answer)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer})


application = shared.mounted_asgi(WebexMiddleware(app, auth))
