"""A Starlette app whose people sign in with Authlib: `python authlib_starlette.py PORT`."""

from __future__ import annotations

import os
import sys
from typing import Any

import uvicorn
from authlib.integrations.starlette_client import OAuth
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from webex.web.authlib import register

oauth = OAuth()
register(oauth)


async def login(request: Request) -> Any:
    return await oauth.webex.authorize_redirect(request, os.environ["WEBEX_REDIRECT_URI"])


async def callback(request: Request) -> Any:
    token = await oauth.webex.authorize_access_token(request)
    return JSONResponse({"claims": sorted(token["userinfo"]), "email": token["userinfo"]["email"]})


app = Starlette(
    routes=[Route("/webex/login", login), Route("/webex/callback", callback)],
    middleware=[Middleware(SessionMiddleware, secret_key=os.environ["SESSION_SECRET"])],
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
