"""An app with a sign-in on a real socket, an emulated cloud, and browsers."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import urllib3
import uvicorn
from fastapi import FastAPI, Request

from tests.support.ports import free_port
from webex import AsyncIntegration
from webex.demo.browser import Browser, Page
from webex.emulator import Cloud
from webex.storage import SQLiteStorage
from webex.web.fastapi import CurrentWebex, OptionalWebex, SameOrigin, WebexAuth

SECRET = "a secret of at least thirty-two bytes"


class Server:
    """Any ASGI app on a port, in a thread."""

    def __init__(self, app: Any, port: int) -> None:
        self._server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False, proxy_headers=False)
        )
        self._up = threading.Event()
        startup = self._server.startup

        async def started(*args: Any, **kwargs: Any) -> None:
            await startup(*args, **kwargs)
            self._up.set()

        self._server.startup = started  # type: ignore[method-assign]  # to know when without polling
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()), daemon=True)
        self._thread.start()
        assert self._up.wait(60), "the app did not start"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=60)


@dataclass
class Site:
    """An app, where it is, and what it needs to be made again."""

    cloud: Cloud
    url: str
    http: urllib3.PoolManager
    database: Path
    integration: AsyncIntegration
    auth: WebexAuth
    seen: list[Any] = field(default_factory=list)

    def browser(self, name: str = "one") -> Browser:
        return Browser(name, self.http)

    def begin(self, browser: Browser, return_to: str = "/me", **headers: str) -> str:
        """Open the login route; gives the URL of Webex that it leads to."""
        page = browser.get(f"{self.url}/auth/login?return_to={return_to}", follow=False, headers=headers)
        assert page.status == 303, page.text
        return page.headers["location"]

    def sign_in(self, browser: Browser, who: str = "alice", return_to: str = "/me") -> Page:
        """All of it: the page that the person ends up with."""
        return browser.get(self.cloud.sign_in(self.begin(browser, return_to), as_=who))

    def me(self, browser: Browser, **headers: str) -> Page:
        return browser.get(f"{self.url}/me", follow=False, headers={"accept": "application/json", **headers})


def pages(app: FastAPI) -> None:
    @app.get("/me")
    async def me(client: CurrentWebex) -> dict[str, Any]:
        return {"emails": (await client.people.me()).emails}

    @app.get("/maybe")
    async def maybe(client: OptionalWebex) -> dict[str, Any]:
        return {"who": client.user_key if client is not None else None}

    @app.get("/state")
    async def state(request: Request) -> dict[str, Any]:
        return {"who": request.state.webex.user_key if request.state.webex else None}

    @app.post("/change", dependencies=[SameOrigin])
    async def change(client: CurrentWebex) -> dict[str, Any]:
        return {"changed": client.user_key}


@pytest.fixture(autouse=True)
def _quiet_browsers(caplog: pytest.LogCaptureFixture) -> None:
    # What stands for a browser here is urllib3, whose debug log holds whole URLs; a browser's address bar does too.
    caplog.set_level(logging.INFO, logger="urllib3")
    caplog.set_level(logging.WARNING, logger="uvicorn.access")  # whole URLs again


@pytest.fixture
def make_site(webex_cloud: Cloud, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    servers: list[Server] = []
    http = urllib3.PoolManager(maxsize=20)

    def make(port: int | None = None, *, session_secret: Any = SECRET, **options: Any) -> Site:
        port = port or free_port()
        integration = AsyncIntegration(
            storage=SQLiteStorage(tmp_path / "app.db"),
            emulator_url=webex_cloud.url,
            client_id=webex_cloud.env["WEBEX_CLIENT_ID"],
            client_secret=options.pop("client_secret", webex_cloud.env["WEBEX_CLIENT_SECRET"]),
            redirect_uri=options.pop("redirect_uri", f"http://127.0.0.1:{port}/auth/callback"),
            scope="openid email profile spark:all spark:kms",
            credential_max_age=0,
        )
        auth = WebexAuth(integration, session_secret=session_secret, **options)
        app = FastAPI()
        auth.install(app)
        pages(app)
        site = Site(webex_cloud, f"http://127.0.0.1:{port}", http, tmp_path / "app.db", integration, auth)
        servers.append(Server(app, port))
        return site

    yield make
    for server in servers:
        server.stop()
    http.clear()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()
