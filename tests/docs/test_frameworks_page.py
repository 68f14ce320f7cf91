"""The recipes of docs/frameworks.md in apps that have users of their own, and its table."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.docs.blocks import ROOT, named
from tests.support.ports import free_port
from tests.web.acceptance import table
from tests.web.conftest import SECRET
from webex.demo.browser import Browser
from webex.emulator import Cloud


@pytest.fixture(autouse=True)
def _quiet_browsers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="urllib3")  # stands for a browser here; its debug log holds whole URLs


def test_table_matches_the_acceptance_suite() -> None:
    assert table.problems() == [], "python -m tests.web.acceptance.table writes it"


def variables(cloud: Cloud, port: int) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("WEBEX_", "FLASK_"))}
    path = os.pathsep.join(part for part in (str(ROOT / "src"), os.environ.get("PYTHONPATH", "")) if part)
    settings = {"WEBEX_REDIRECT_URI": f"http://127.0.0.1:{port}/auth/callback", "SESSION_SECRET": SECRET}
    return {**inherited, **cloud.env, **settings, "PYTHONPATH": path}


@contextmanager
def serving(command: list[str], port: int, folder: Path, env: dict[str, str]) -> Iterator[str]:
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, (folder / "server.log").read_text()[-2000:]
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline, "the app does not serve"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def visit(cloud: Cloud, browser: Browser, url: str, path: str, who: str) -> Any:
    """Open a page that needs a user, sign in, and read what it says."""
    login = browser.get(url + path, follow=False)
    assert login.status == 303
    at_webex = browser.get(url + login.headers["location"], follow=False).headers["location"]
    page = browser.get(cloud.sign_in(at_webex, as_=who))
    assert (page.url, page.status) == (url + path, 200)
    return json.loads(page.body)


@pytest.mark.parametrize(
    "names", [["flask-own-users"], ["django-settings", "django-own-users-settings", "django-connect"]]
)
def test_recipes_are_short(names: list[str]) -> None:
    lines = [line for name in names for line in named(name).code.splitlines() if line.strip()]
    assert len(lines) <= 20


def test_existing_flask_app_with_its_own_users(webex_cloud: Cloud, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "app.py").write_text(named("flask-existing-app").code + named("flask-own-users").code)
    command = [sys.executable, "-m", "flask", "--app", "app", "run", "--port", str(port)]
    with urllib3.PoolManager() as http, serving(command, port, tmp_path, variables(webex_cloud, port)) as url:
        alice, bob = Browser("alice", http), Browser("bob", http)
        users = {who.name: visit(webex_cloud, who, url, "/rooms", who.name)["user"] for who in (alice, bob)}
        assert len(set(users.values())) == 2
        assert json.loads(alice.get(f"{url}/").body) == {"user": users["alice"]}
        assert alice.post(f"{url}/auth/logout", follow=False).status == 303
        assert json.loads(alice.get(f"{url}/").body) == {"user": None}
        assert visit(webex_cloud, alice, url, "/rooms", "alice")["user"] == users["alice"]
        assert json.loads(bob.get(f"{url}/rooms").body)["user"] == users["bob"]


MEMBER = """
from flask import redirect

integration = Integration.from_env(storage=SQLiteStorage("webex.db"))
WebexAuth(app, integration, session="framework", on_success=log_in_or_connect)


@app.post("/password")
def password():
    with database() as users:
        users.execute("INSERT OR IGNORE INTO users (id, email) VALUES (77, 'carol@example.com')")
    session["user_id"] = 77
    return redirect("/", 303)
"""


def test_existing_flask_user_connects_an_account(webex_cloud: Cloud, tmp_path: Path) -> None:
    port = free_port()
    own = named("flask-own-users").code.partition("WebexAuth(app, ")
    rooms = own[2][own[2].index("@app.get") :]
    code = named("flask-existing-app").code + own[0] + named("flask-connect").code + MEMBER + rooms
    (tmp_path / "app.py").write_text(code)
    command = [sys.executable, "-m", "flask", "--app", "app", "run", "--port", str(port)]
    with urllib3.PoolManager() as http, serving(command, port, tmp_path, variables(webex_cloud, port)) as url:
        carol, other, stranger = (Browser(name, http) for name in ("carol", "other", "stranger"))
        carol.post(f"{url}/password")
        assert carol.post(f"{url}/connect-webex", headers={"origin": "https://evil.example"}).status == 403
        login = carol.post(f"{url}/connect-webex", headers={"origin": url}, follow=False)
        at_webex = carol.get(url + login.headers["location"], follow=False).headers["location"]
        page = carol.get(webex_cloud.sign_in(at_webex, as_="alice"))
        assert json.loads(page.body)["user"] == 77
        assert visit(webex_cloud, other, url, "/rooms", "alice")["user"] == 77
        stranger.post(f"{url}/password")
        assert visit(webex_cloud, stranger, url, "/rooms", "bob")["user"] != 77, "bob sits at carol's computer"


USER_VIEW = """

def user(request):
    return JsonResponse({"user": request.user.email if request.user.is_authenticated else None})
"""
URLS = """
from accounts.views import me, rooms, user

urlpatterns += [path("rooms", rooms), path("me", me), path("user", user)]
"""


def test_existing_django_project_with_its_own_users(webex_cloud: Cloud, tmp_path: Path) -> None:
    port = free_port()
    env = variables(webex_cloud, port)

    def run(*command: str) -> None:
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]

    run("-m", "django", "startproject", "site1", ".")
    run("manage.py", "startapp", "accounts")
    with (tmp_path / "site1" / "settings.py").open("a") as settings:
        settings.write(named("django-settings").code + named("django-own-users-settings").code)
    (tmp_path / "accounts" / "views.py").write_text(named("django-views").code + USER_VIEW)
    (tmp_path / "site1" / "urls.py").write_text(named("django-connect").code + URLS)
    run("manage.py", "check", "--fail-level", "WARNING")
    run("manage.py", "migrate", "-v0")
    command = [sys.executable, "manage.py", "runserver", "--noreload", str(port)]
    with urllib3.PoolManager() as http, serving(command, port, tmp_path, env) as url:
        alice, bob = Browser("alice", http), Browser("bob", http)
        assert "rooms" in visit(webex_cloud, alice, url, "/rooms", "alice")
        assert visit(webex_cloud, bob, url, "/me", "bob") == {"name": "Bob Example"}
        for browser in (alice, bob):
            assert json.loads(browser.get(f"{url}/user").body) == {"user": f"{browser.name}@example.com"}
        assert alice.post(f"{url}/auth/logout", follow=False).status == 303
        assert json.loads(alice.get(f"{url}/user").body) == {"user": None}
        assert json.loads(bob.get(f"{url}/user").body) == {"user": "bob@example.com"}
