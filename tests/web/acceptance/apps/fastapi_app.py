"""A FastAPI app."""

from __future__ import annotations

import os
from typing import Any

import shared
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from webex.web.fastapi import CurrentWebex, SameOrigin, WebexAuth

app = FastAPI()
auth = WebexAuth(
    shared.async_integration(),
    session_secret=shared.SECRETS,
    session=os.environ.get("APP_SESSION", "webex"),  # type: ignore[arg-type]  # one of two
    **shared.OPTIONS,
)
auth.install(app)
if os.environ.get("APP_SESSION") == "framework":
    from starlette.middleware.sessions import SessionMiddleware

    app.add_middleware(SessionMiddleware, secret_key="a secret that is not rotated, 32 bytes")


@app.get("/")
async def public() -> Any:
    return "public"


@app.get("/who")
async def who(request: Request) -> Any:
    session = request.state.webex_session
    return session.email if session else None


@app.post("/who", dependencies=[SameOrigin])
async def change(client: CurrentWebex) -> Any:
    return (await client.people.me()).emails[0]


@app.api_route("/me", methods=["GET", "HEAD"])
@app.get("/rooms/{rest:path}")
async def me(client: CurrentWebex) -> Any:
    return (await client.people.me()).emails[0]


@app.get("/stream")
async def stream() -> Any:
    return StreamingResponse(shared.async_pieces())


application = shared.mounted_asgi(app)
