"""What the Litestar plugin adds: dependencies, guards, hooks, web sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3
from litestar import Litestar, Request, WebSocket, get, post, websocket
from litestar.di import Provide
from litestar.params import FromPath
from litestar.response import Redirect, Response
from litestar.testing import TestClient

from tests.support.ports import free_port
from tests.web.conftest import SECRET, Server
from webex import AsyncIntegration, SignedIn
from webex.demo.browser import Browser
from webex.emulator import Cloud
from webex.errors import ConfigurationError, MissingKeyError, StorageError
from webex.web.litestar import CurrentSession, CurrentWebex, OptionalWebex, WebexAuth, WebexPlugin, same_origin


@get("/needs")
async def needs(webex_client: CurrentWebex, webex_session: CurrentSession) -> dict[str, Any]:
    return {"client": (await webex_client.people.me()).emails[0], "session": webex_session.email}


@get("/maybe")
async def maybe(optional_webex: OptionalWebex) -> dict[str, Any]:
    return {"signed_in": optional_webex is not None}


@post("/change", guards=[same_origin])
async def change() -> None:
    return None


@get("/fails/{how:str}")
async def fails(how: FromPath[str]) -> None:
    raise StorageError("the disk is gone") if how == "storage" else MissingKeyError("k")


@websocket("/socket")
async def socket(socket: WebSocket[Any, Any, Any], webex_client: CurrentWebex) -> None:
    await socket.accept()
    await socket.send_json((await webex_client.people.me()).emails[0])
    await socket.close()


Made = tuple[str, Browser, Litestar]


@pytest.fixture
def make(webex_cloud: Cloud) -> Iterator[Callable[..., Made]]:
    servers: list[Server] = []
    http = urllib3.PoolManager()

    def made(**options: Any) -> Made:
        port = free_port()
        integration = AsyncIntegration(
            emulator_url=webex_cloud.url,
            client_id=webex_cloud.env["WEBEX_CLIENT_ID"],
            client_secret=webex_cloud.env["WEBEX_CLIENT_SECRET"],
            redirect_uri=f"http://127.0.0.1:{port}/auth/callback",
            scope="openid email profile spark:all spark:kms",
        )
        auth = WebexAuth(integration, session_secret=SECRET, **options)
        app = Litestar([needs, maybe, change, fails, socket], plugins=[WebexPlugin(auth)], openapi_config=None)
        servers.append(Server(app, port))
        return f"http://127.0.0.1:{port}", Browser("one", http), app

    yield made
    for server in servers:
        server.stop()
    http.clear()


def sign_in(cloud: Cloud, url: str, browser: Browser, return_to: str = "/needs") -> Any:
    at_webex = browser.get(f"{url}/auth/login?return_to={return_to}", follow=False).headers["location"]
    return browser.get(cloud.sign_in(at_webex, as_="alice"))


def test_handlers_get_who_is_signed_in_by_name(webex_cloud: Cloud, make: Callable[..., Made]) -> None:
    url, browser, _ = make()
    assert browser.get(f"{url}/maybe").text == '{"signed_in":false}'
    assert browser.get(f"{url}/needs", follow=False, headers={"accept": "*/*"}).status == 401
    page = sign_in(webex_cloud, url, browser)
    assert page.text == '{"client":"alice@example.com","session":"alice@example.com"}'
    assert browser.get(f"{url}/maybe").text == '{"signed_in":true}'


def test_guard_refuses_other_sites(make: Callable[..., Made]) -> None:
    url, browser, _ = make()
    assert browser.post(f"{url}/change", headers={"origin": "https://evil.example"}).status == 403
    assert browser.post(f"{url}/change", headers={"origin": url}).status == 201


def test_storage_that_fails_is_a_503_and_a_missing_key_the_app_s_own_error(make: Callable[..., Made]) -> None:
    url, browser, _ = make()
    page = browser.get(f"{url}/fails/storage")
    assert (page.status, "disk" in page.text, "Nothing was lost" in page.text) == (503, False, True)
    assert browser.get(f"{url}/fails/key").status == 500


def test_hook_gets_litestar_s_request_and_answers_with_its_response(
    webex_cloud: Cloud, make: Callable[..., Made]
) -> None:
    seen: list[Any] = []

    def welcome(signed_in: SignedIn, request: Request[Any, Any, Any]) -> Response[Any]:
        seen.append(request.url.path)
        response = Redirect("/maybe")
        response.set_cookie("own", "1")
        return response

    url, browser, _ = make(on_success=welcome)
    page = sign_in(webex_cloud, url, browser)
    assert (page.url, page.text) == (f"{url}/maybe", '{"signed_in":true}')
    assert (seen, browser.cookie("own")) == (["/auth/callback"], "1")


def test_socket_without_a_user_is_closed(webex_cloud: Cloud, make: Callable[..., Made]) -> None:
    from litestar.exceptions import WebSocketDisconnect

    _, _, app = make()
    with (
        TestClient(app) as client,
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect("/socket") as connection,
    ):
        connection.receive_json()
    assert (refused.value.code, refused.value.detail) == (1008, "Sign in first.")


def test_unknown_choice_of_session_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'webex' or 'framework'"):
        WebexAuth(session="other", session_secret=SECRET)  # type: ignore[arg-type]  # that is the point


def test_dependencies_of_the_app_come_first(make: Callable[..., Made]) -> None:
    auth = WebexAuth(session_secret=SECRET)
    own = Provide(lambda: None, sync_to_thread=False)
    app = Litestar([], plugins=[WebexPlugin(auth)], dependencies={"webex_client": own})
    assert app.dependencies["webex_client"] is own
