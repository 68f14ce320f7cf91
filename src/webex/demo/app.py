"""The demo's web app: sign in, see your rooms, make one, write, send a file, sign out.

It is written as an app of yours would be: `integration` and `auth` above, one short handler a page below.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

from fastapi import FastAPI, File, Form, Request, Response, UploadFile
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.exceptions import HTTPException

from webex.demo.faces import clock_time, colour, initials, size
from webex.demo.live import room_events
from webex.errors import ApiError, ConfigurationError, FileError, TransportError
from webex.integration import AsyncIntegration
from webex.storage import SQLiteStorage
from webex.web.fastapi import CurrentSession, CurrentWebex, OptionalWebex, SameOrigin, WebexAuth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from webex.client import AsyncWebex

HERE: Final = Path(__file__).parent
# The demo's cookies open nothing but an emulator; an app of yours has a secret of its own.
DEMO_SECRET: Final = "the demo's secret, which everybody knows"
_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


def create_app(database: str | Path, **settings: Any) -> FastAPI:
    """Create the app, with its users in an SQLite file; `settings` are those of `AsyncIntegration`."""
    settings.setdefault("scope", "openid email profile spark:all spark:kms")
    integration = AsyncIntegration.from_env(storage=SQLiteStorage(database), **settings)
    auth = WebexAuth(integration, session_secret=DEMO_SECRET, after_sign_out="/")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with integration:
            yield

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    auth.install(app)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    add_pages(app)
    return app


def add_pages(app: FastAPI) -> None:
    """Add the pages to the app."""
    templates = Jinja2Templates(HERE / "templates")
    templates.env.filters.update(colour=colour, initials=initials, clock_time=clock_time, size=size)

    def show(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        values.setdefault("me", request.state.webex_session)
        return templates.TemplateResponse(request, name, values, status_code=status, headers=_HEADERS)

    @app.get("/")
    async def index(request: Request, client: OptionalWebex) -> Response:
        if client is None:
            return show(request, "welcome.html")
        rooms = await newest_rooms(client)
        if rooms:
            return RedirectResponse(f"/rooms/{quote(rooms[0].id or '')}", 303)
        return show(request, "room.html", rooms=[], room=None, messages=[], members=[])

    @app.get("/rooms")
    async def list_rooms(request: Request, client: CurrentWebex) -> Response:
        return show(request, "room.html", rooms=await newest_rooms(client), room=None, messages=[], members=[])

    @app.get("/rooms/{room_id}")
    async def room(request: Request, room_id: str, client: CurrentWebex) -> Response:
        rooms = await newest_rooms(client)
        room = await client.rooms.get(room_id)
        members = [member async for member in client.memberships.list(room_id=room_id, limit=50)]
        messages = [message async for message in client.messages.list(room_id=room_id, limit=50)]
        names = {member.person_email: member.person_display_name for member in members}
        files = {url: await client.files.info(url) for message in messages for url in message.files or []}
        return show(
            request,
            "room.html",
            rooms=rooms,
            room=room,
            messages=messages[::-1],
            members=members,
            names=names,
            files=files,
        )

    @app.get("/rooms/{room_id}/events")
    async def events(room_id: str, client: CurrentWebex) -> Response:
        await client.rooms.get(room_id)  # who is not in it is told so before the stream begins
        return StreamingResponse(room_events(client, room_id), media_type="text/event-stream", headers=_HEADERS)

    @app.post("/rooms", dependencies=[SameOrigin])
    async def create_room(client: CurrentWebex, title: Annotated[str, Form(max_length=200)]) -> Response:
        made = await client.rooms.create(title=title.strip() or "My First Room!")
        return RedirectResponse(f"/rooms/{quote(made.id or '')}", 303)

    @app.post("/rooms/{room_id}/messages", dependencies=[SameOrigin])
    async def post(
        room_id: str,
        client: CurrentWebex,
        text: Annotated[str, Form()] = "",
        file: Annotated[UploadFile | None, File()] = None,
    ) -> Response:
        has_file = file is not None and bool(file.filename)
        if text.strip() or has_file:
            await client.messages.create(
                room_id=room_id,
                markdown=text.strip() or None,
                files=(file.filename, file.file) if file is not None and has_file else None,
            )
        return RedirectResponse(f"/rooms/{quote(room_id)}", 303)

    @app.post("/rooms/{room_id}/people", dependencies=[SameOrigin])
    async def invite(room_id: str, client: CurrentWebex, email: Annotated[str, Form()]) -> Response:
        await client.memberships.create(room_id=room_id, person_email=email.strip())
        return RedirectResponse(f"/rooms/{quote(room_id)}", 303)

    @app.get("/messages/{message_id}/files/{number}")
    async def download(message_id: str, number: int, client: CurrentWebex) -> Response:
        message = await client.messages.get(message_id)
        url = (message.files or [])[number] if 0 <= number < len(message.files or []) else None
        if url is None:
            return Response("There is no such file.", 404)
        info, content = await client.files.info(url), await client.files.download(url)
        assert isinstance(content, bytes)
        # What users upload is handed on as a file and never shown as a page of this app.
        return Response(
            content,
            media_type="application/octet-stream",
            headers={**_HEADERS, "content-disposition": f"attachment; filename*=utf-8''{quote(info.name, safe='')}"},
        )

    @app.get("/me")
    async def me(client: CurrentWebex, session: CurrentSession) -> dict[str, Any]:
        person = await client.people.me()
        return {"name": person.display_name, "emails": person.emails, "user_key": session.user_key}

    def failed(request: Request, error: Exception) -> Response:
        status, title = 500, "Something went wrong"
        if isinstance(error, ApiError):
            status, title = error.status, "Webex refused this"
        elif isinstance(error, TransportError):
            status, title = 502, "Webex can't be reached"
        elif isinstance(error, ConfigurationError | FileError):
            status, title = 400, "This can't be sent"
        return show(request, "problem.html", status, title=title, text=str(error))

    async def not_served(request: Request, error: Exception) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            if isinstance(error, RequestValidationError):
                return await request_validation_exception_handler(request, error)
            assert isinstance(error, HTTPException)
            return await http_exception_handler(request, error)
        status = error.status_code if isinstance(error, HTTPException) else 422
        title = {404: "There is no such page", 405: "There is no such page"}.get(status, "This can't be done")
        text = "The address may be mistyped." if status in (404, 405) else "The form was not filled in as expected."
        if status == 403 and isinstance(error, HTTPException):
            text = str(error.detail)
        return show(request, "problem.html", status, title=title, text=text)

    for kind in (ApiError, TransportError, ConfigurationError, FileError):
        app.add_exception_handler(kind, failed)
    app.add_exception_handler(HTTPException, not_served)
    app.add_exception_handler(RequestValidationError, not_served)


async def newest_rooms(client: AsyncWebex) -> list[Any]:
    """Return the rooms of the signed-in user, the one with the latest activity first."""
    return [room async for room in client.rooms.list(sort_by="lastactivity", limit=50)]


__all__ = ["DEMO_SECRET", "create_app"]
