"""A Quart app inside the plain ASGI middleware."""

from __future__ import annotations

import json
from typing import Any

import shared
from quart import Quart, request

from webex.errors import NotSignedInError, ReauthorizationRequiredError, StorageError
from webex.web.asgi import WebexAuth, WebexMiddleware, asgi_request

auth = WebexAuth(shared.async_integration(), session_secret=shared.SECRETS, **shared.OPTIONS)
app = Quart(__name__)


def answer(value: Any) -> Any:
    return json.dumps(value), 200, {"content-type": "application/json"}


@app.errorhandler(NotSignedInError)
@app.errorhandler(ReauthorizationRequiredError)
@app.errorhandler(StorageError)
async def refused(error: Any) -> Any:
    answer = await auth.refused(error, asgi_request(request.scope))
    return answer.body, answer.status, dict(answer.headers)


@app.get("/")
async def public() -> Any:
    return answer("public")


@app.get("/who")
async def who() -> Any:
    session = request.scope["state"]["webex_session"]
    return answer(session.email if session else None)


@app.post("/who")
async def change() -> Any:
    if not auth.is_same_origin(asgi_request(request.scope)):
        return "no page of this app", 403
    return await me()


@app.get("/me")
@app.get("/rooms/<path:rest>")
async def me(rest: str = "") -> Any:
    client = request.scope["state"]["webex"]
    if client is None:
        raise NotSignedInError("No user is signed in.")
    return answer((await client.people.me()).emails[0])


@app.get("/stream")
async def stream() -> Any:
    return shared.async_pieces()


application = shared.mounted_asgi(WebexMiddleware(app, auth))
