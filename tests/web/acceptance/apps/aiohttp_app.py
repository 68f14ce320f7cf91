"""An aiohttp app; its routes are there with and without the prefix."""

from __future__ import annotations

import shared
from aiohttp import web

from webex.errors import NotSignedInError
from webex.web.aiohttp import WEBEX, WEBEX_SESSION, WebexAuth, web_request

auth = WebexAuth(shared.async_integration(), session_secret=shared.SECRETS, **shared.OPTIONS)


async def public(request: web.Request) -> web.Response:
    return web.json_response("public")


async def who(request: web.Request) -> web.Response:
    if request.method == "POST" and not auth.is_same_origin(web_request(request)):
        return web.Response(text="no page of this app", status=403)
    session = request[WEBEX_SESSION]
    return web.json_response(session.email if session else None)


async def me(request: web.Request) -> web.Response:
    if request[WEBEX] is None:
        raise NotSignedInError("No user is signed in.")
    return web.json_response((await request[WEBEX].people.me()).emails[0])


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    async for piece in shared.async_pieces():
        await response.write(piece)
    await response.write_eof()
    return response


application = web.Application()
for base in {"", shared.PREFIX}:
    application.router.add_get(f"{base}/", public)
    application.router.add_route("*", f"{base}/who", who)
    application.router.add_get(f"{base}/me", me)
    application.router.add_get(f"{base}/rooms/{{rest:.*}}", me)
    application.router.add_get(f"{base}/stream", stream)
auth.install(application, root_path=shared.PREFIX)
