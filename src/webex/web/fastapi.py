"""The sign-in for FastAPI apps: typed dependencies over `webex.web.starlette`.

auth = WebexAuth(integration, session_secret=os.environ["SESSION_SECRET"])
app = FastAPI()
auth.install(app)

@app.get("/")
async def index(client: CurrentWebex):
    return await client.people.me()
"""

from __future__ import annotations

from typing import Annotated, Any

from webex.client import AsyncWebex
from webex.errors import NotSignedInError
from webex.extras import needed_by
from webex.web.sessions import WebSession
from webex.web.starlette import WebexAuth as StarletteWebexAuth
from webex.web.starlette import WebexMiddleware, client_of, session_of, web_request

with needed_by("webex.web.fastapi"):
    from fastapi import APIRouter, Depends, HTTPException
    from starlette.requests import HTTPConnection, Request

__all__ = ["CurrentSession", "CurrentWebex", "OptionalWebex", "SameOrigin", "WebexAuth", "WebexMiddleware"]


class WebexAuth(StarletteWebexAuth):
    """The sign-in of one app, with the arguments of `webex.web.SignIn`.

    `auth.install(app)` does all; or `app.include_router(auth.router)` and `app.add_middleware(WebexMiddleware,
    auth=auth)` one by one.
    """

    @property
    def router(self) -> APIRouter:
        """Login, callback and logout, for `app.include_router`."""
        return APIRouter(routes=self.routes)


def optional_client(connection: HTTPConnection) -> AsyncWebex | None:
    """Return the client of the signed-in user, or None."""
    return client_of(connection)


def current_client(connection: HTTPConnection) -> AsyncWebex:
    """Return the client of the signed-in user; without one, a browser goes to the sign-in and a script gets a 401."""
    client = client_of(connection)
    if client is None:
        raise NotSignedInError("No user is signed in.")
    return client


def current_session(connection: HTTPConnection) -> WebSession:
    """Who is signed in, as `current_client`."""
    session = session_of(connection)
    if session is None:
        raise NotSignedInError("No user is signed in.")
    return session


def same_origin(request: Request) -> None:
    """403 unless a page of this app made the request; for handlers that change something."""
    auth: WebexAuth = request.state.webex_auth
    if not auth.is_same_origin(web_request(request)):
        raise HTTPException(403, "This request did not come from a page of this app.")


CurrentWebex = Annotated[AsyncWebex, Depends(current_client)]
OptionalWebex = Annotated[AsyncWebex | None, Depends(optional_client)]
CurrentSession = Annotated[WebSession, Depends(current_session)]
SameOrigin: Any = Depends(same_origin)
