"""A Litestar app."""

from __future__ import annotations

import json
import os
from typing import Any

import shared
from litestar import Litestar, Request, get, post, route
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.response import Response, Stream

from webex.web.litestar import CurrentWebex, OptionalWebex, WebexAuth, WebexPlugin, same_origin

SESSION = os.environ.get("APP_SESSION", "webex")
auth = WebexAuth(
    shared.async_integration(),
    session_secret=shared.SECRETS,
    session=SESSION,  # type: ignore[arg-type]  # one of two
    **shared.OPTIONS,
)


def answer(value: Any) -> Response[str]:
    return Response(json.dumps(value), status_code=200, media_type="application/json")


@get("/")
async def public() -> Response[str]:
    return answer("public")


@get("/who")
async def who(request: Request[Any, Any, Any]) -> Response[str]:
    session = request.state.webex_session
    return answer(session.email if session else None)


@post("/who", guards=[same_origin])
async def change(webex_client: CurrentWebex) -> Response[str]:
    return answer((await webex_client.people.me()).emails[0])


@route(["/me", "/rooms/{rest:path}"], http_method=["GET", "HEAD"])
async def me(webex_client: CurrentWebex) -> Response[str]:
    return answer((await webex_client.people.me()).emails[0])


@get("/stream")
async def stream(optional_webex: OptionalWebex) -> Stream:
    return Stream(shared.async_pieces)


# The secret has 16, 24 or 32 bytes.
sessions = CookieBackendConfig(secret=b"sixteen bytes or", secure=False)
app = Litestar(
    [public, who, change, me, stream],
    plugins=[WebexPlugin(auth)],
    middleware=[sessions.middleware] if SESSION == "framework" else [],
    openapi_config=None,
)
application = shared.mounted_asgi(app)
