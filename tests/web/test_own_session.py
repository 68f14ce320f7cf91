"""The recipe of docs/signing-in.md: the app's own session and user table, with SQLAlchemy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.docs.blocks import named
from tests.support.ports import free_port
from tests.web.conftest import SECRET, Server
from webex.demo.browser import Browser
from webex.emulator import Cloud


class Recipe:
    def __init__(self, cloud: Cloud, url: str, names: dict[str, Any]) -> None:
        self.cloud, self.url, self.names = cloud, url, names

    def sign_in(self, browser: Browser, who: str, **options: Any) -> Any:
        login = browser.get(f"{self.url}/auth/login?return_to=/rooms?a=1", follow=False)
        return browser.get(self.cloud.sign_in(login.headers["location"], as_=who, **options))

    def users(self) -> list[tuple[str, str]]:
        from sqlalchemy import select

        user = self.names["User"]
        with self.names["Session"](self.names["database"]) as rows:
            return sorted((row.email, row.name) for row in rows.scalars(select(user)))


@pytest.fixture
def recipe(webex_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recipe]:
    monkeypatch.chdir(tmp_path)
    port = free_port()
    variables = {**webex_cloud.env, "WEBEX_REDIRECT_URI": f"http://127.0.0.1:{port}/auth/callback"}
    for name, value in (variables | {"SESSION_SECRET": SECRET}).items():
        monkeypatch.setenv(name, value)
    block = named("own-session")
    names: dict[str, Any] = {"__name__": "own_session"}
    exec(compile(block.code, block.id, "exec", dont_inherit=True), names)
    server = Server(names["app"], port)
    yield Recipe(webex_cloud, f"http://127.0.0.1:{port}", names)
    server.stop()
    names["database"].dispose()


def test_users_are_rows_and_sessions_are_the_app_s_own(recipe: Recipe) -> None:
    with urllib3.PoolManager() as http:
        alice, again, bob = (Browser(name, http) for name in ("alice", "again", "bob"))
        for browser, who in ((alice, "alice"), (again, "alice"), (bob, "bob")):
            page = recipe.sign_in(browser, who)
            assert page.url == f"{recipe.url}/rooms?a=1"
            assert json.loads(page.body)["user"] == f"{who}@example.com"
        assert [email for email, name in recipe.users()] == ["alice@example.com", "bob@example.com"]
        assert all(name for _, name in recipe.users())
        assert alice.cookie("webex_session") is None
        assert alice.cookie("session") != again.cookie("session")

        assert alice.post(f"{recipe.url}/sign-out", headers={"origin": "https://evil.example"}).status == 403
        copied = dict(alice.cookies)
        page = alice.post(f"{recipe.url}/sign-out")
        assert (page.status, "You are signed out" in page.text) == (200, True)
        alice.cookies.update(copied)
        for browser in (alice, Browser("nobody", http)):
            page = browser.get(f"{recipe.url}/rooms", follow=False)
            assert (page.status, page.headers["location"]) == (303, "/auth/login?return_to=%2Frooms")
        assert bob.get(f"{recipe.url}/rooms").status == 200


def test_reload_and_refused_consent_return_to_their_page(recipe: Recipe) -> None:
    with urllib3.PoolManager() as http:
        browser = Browser("one", http)
        assert recipe.sign_in(browser, "alice", deny=True).status == 403
        login = browser.get(f"{recipe.url}/auth/login", follow=False).headers["location"]
        back = recipe.cloud.sign_in(login)
        browser.get(back, follow=False)
        page = browser.get(back, follow=False)
        assert (page.status, page.headers["location"]) == (303, "/rooms")
