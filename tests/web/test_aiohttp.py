"""The aiohttp adapter: what is its own, beside what the acceptance suite asks of every adapter."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientSession, web
from aiohttp.test_utils import TestServer, make_mocked_request
from multidict import CIMultiDict

from tests.web.conftest import SECRET
from webex import AsyncIntegration
from webex.errors import MissingKeyError, NotSignedInError
from webex.web import starlette as for_starlette
from webex.web.aiohttp import WebexAuth, web_request, web_response
from webex.web.messages import redirect

SETTINGS: dict[str, Any] = {
    "client_id": "C1",
    "client_secret": "s" * 40,
    "redirect_uri": "https://app.example.com/team/auth/callback",
    "scope": "openid",
}


async def refuse(request: web.Request) -> web.Response:
    raise NotSignedInError("x")


async def fail(request: web.Request) -> web.Response:
    raise MissingKeyError("of the app")


async def refuse_late(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-length": "9"})
    await response.prepare(request)
    await response.write(b"begun")
    raise NotSignedInError("x")


async def ask(*paths: str, method: str = "GET") -> list[tuple[int, str]]:
    """Ask a subapp below `/team` for pages."""
    async with AsyncIntegration(**SETTINGS) as integration:
        team, app = web.Application(), web.Application()
        for path, handler in (("/refuse", refuse), ("/fail", fail), ("/late", refuse_late)):
            team.router.add_get(path, handler)
        team.router.add_route("*", "/{rest:.*}", refuse)
        WebexAuth(integration, session_secret=SECRET).install(team, root_path="/team")
        app.add_subapp("/team", team)
        found = []
        async with TestServer(app) as server, ClientSession() as http:
            for path in paths:
                url = server.make_url(path)
                async with http.request(
                    method, url, allow_redirects=False, headers={"accept": "text/html"}
                ) as response:
                    found.append((response.status, response.headers.get("location", "")))
        return found


def test_subapp_remembers_the_page_below_its_prefix() -> None:
    [(status, location)] = asyncio.run(ask("/team/refuse?a=1"))
    assert (status, location) == (303, "/team/auth/login?return_to=%2Fteam%2Frefuse%3Fa%3D1")


def test_routes_are_served_below_the_prefix() -> None:
    login, logout = asyncio.run(ask("/team/auth/login", "/team/auth/logout/"))
    assert (login[0], logout[0]) == (303, 405)
    assert asyncio.run(ask("/team/auth/login", method="DELETE"))[0][0] == 405


def test_errors_of_the_app_are_unchanged() -> None:
    assert asyncio.run(ask("/team/fail")) == [(500, "")]


def test_a_started_response_is_not_replaced() -> None:
    with pytest.raises(ClientPayloadError, match="payload"):  # the server broke off

        async def run() -> None:
            async with AsyncIntegration(**SETTINGS) as integration:
                app = web.Application()
                app.router.add_get("/late", refuse_late)
                WebexAuth(integration, session_secret=SECRET).install(app)
                async with (
                    TestServer(app) as server,
                    ClientSession() as http,
                    http.get(server.make_url("/late")) as got,
                ):
                    assert got.status == 200
                    await got.read()

        asyncio.run(run())


def test_page_of_a_failed_sign_in_is_complete() -> None:
    async def run() -> str:
        async with AsyncIntegration(**SETTINGS) as integration:
            app = web.Application()
            WebexAuth(integration, session_secret=SECRET).install(app, root_path="/team")
            async with TestServer(app) as server, ClientSession() as http:
                url = server.make_url("/auth/callback?state=x&code=y")
                async with http.get(url, headers={"accept": "text/html"}) as response:
                    assert response.status == 400
                    return await response.text()

    assert "This sign-in is not known here" in asyncio.run(run())


def test_request_is_read_as_it_was_sent() -> None:
    several = CIMultiDict([("Cookie", "a=1"), ("Cookie", "b=2"), ("Accept", "text/html"), ("Accept", "*/*")])
    request = web_request(make_mocked_request("GET", "/rooms/a%2Fb?q=%20", headers=several))
    assert (request.path, request.query) == ("/rooms/a%2Fb", "q=%20")
    assert request.headers == {"cookie": "a=1; b=2", "accept": "text/html, */*"}
    through_a_proxy = web_request(make_mocked_request("GET", "http://app.example.com/rooms?q=1"))
    assert (through_a_proxy.path, through_a_proxy.query) == ("/rooms", "q=1")
    assert web_request(make_mocked_request("GET", "/caf\udce9")).path == "/caf%E9"


@pytest.mark.parametrize("convert", [web_response, for_starlette.web_response], ids=["aiohttp", "starlette"])
def test_location_is_sent_in_ascii(convert: Any) -> None:
    assert convert(redirect("/räume/1")).headers["location"] == "/r%C3%A4ume/1"
