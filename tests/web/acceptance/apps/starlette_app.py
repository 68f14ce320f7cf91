"""A Starlette app."""

from __future__ import annotations

import shared
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from webex.errors import NotSignedInError
from webex.web.starlette import WebexAuth, web_request

auth = WebexAuth(shared.async_integration(), session_secret=shared.SECRETS, **shared.OPTIONS)


async def public(request: Request) -> Response:
    return JSONResponse("public")


async def who(request: Request) -> Response:
    if request.method == "POST" and not auth.is_same_origin(web_request(request)):
        return PlainTextResponse("no page of this app", 403)
    session = request.state.webex_session
    return JSONResponse(session.email if session else None)


async def me(request: Request) -> Response:
    if request.state.webex is None:
        raise NotSignedInError("No user is signed in.")
    return JSONResponse((await request.state.webex.people.me()).emails[0])


async def stream(request: Request) -> Response:
    return StreamingResponse(shared.async_pieces())


app = Starlette(
    routes=[
        Route("/", public),
        Route("/who", who, methods=["GET", "POST"]),
        Route("/me", me),
        Route("/rooms/{rest:path}", me),
        Route("/stream", stream),
    ]
)
auth.install(app)
application = shared.mounted_asgi(app)
