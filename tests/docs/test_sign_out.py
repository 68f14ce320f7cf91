"""Signing out of the quick starts of the documentation: every one ends on a page, and leads back to the app."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import urllib3

from tests.docs.blocks import named
from tests.docs.test_frameworks_page import serving, variables
from tests.support.ports import free_port
from tests.web.acceptance.sites import APPS
from webex.demo.browser import Browser
from webex.emulator import Cloud

UVICORN = ("-m", "uvicorn", "app:app", "--lifespan", "off", "--no-access-log", "--port")
QUICK_STARTS = {  # the block → the command, and the page that needs a user
    "fastapi-app": (UVICORN, "/"),
    "deployment-app": (UVICORN, "/rooms"),
    "own-session": (UVICORN, "/rooms"),
    "litestar-app": (UVICORN, "/rooms"),
    "quart-app": (UVICORN, "/rooms"),
    "flask-app": (("-m", "flask", "--app", "app", "run", "--port"), "/rooms"),
    "flask-own-users": (("-m", "flask", "--app", "app", "run", "--port"), "/rooms"),
    "aiohttp-app": ((str(APPS / "serve_aiohttp.py"), "app"), "/rooms"),
    "plain-wsgi": ((str(APPS / "serve_wsgiref.py"), "app"), "/inbox"),
    "lambda-app": ((str(APPS / "serve_lambda.py"), "app"), "/rooms"),
    "django-views": (("manage.py", "runserver", "--noreload"), "/rooms"),
}
ALIASES = {"aiohttp-app": "\napplication = app\n", "lambda-app": "\napplication = handler\n"}
EVENTS = {"lambda-app": ("payload-2.0",)}


@pytest.fixture(autouse=True)
def _quiet_browsers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="urllib3")  # stands for a browser here; its debug log holds whole URLs


@pytest.mark.parametrize("name", QUICK_STARTS)
def test_quick_start_s_sign_out_ends_on_a_page(name: str, webex_cloud: Cloud, tmp_path: Path) -> None:
    command, path = QUICK_STARTS[name]
    port = free_port()
    env = variables(webex_cloud, port)
    write(name, tmp_path, env)
    ran = [sys.executable, *command, str(port), *EVENTS.get(name, ())]
    with urllib3.PoolManager() as http, serving(ran, port, tmp_path, env | {"PYTHONPATH": here(env)}) as url:
        browser = Browser("alice", http)
        login = browser.get(url + path, follow=False, headers={"accept": "text/html"})
        assert login.status == 303
        at_webex = browser.get(urljoin(url, login.headers["location"]), follow=False).headers["location"]
        assert browser.get(webex_cloud.sign_in(at_webex, as_="alice")).url == url + path
        if name == "own-session":
            page = browser.post(f"{url}/sign-out")
        else:
            page = browser.press(browser.get(f"{url}/auth/logout"), "Sign out")
        assert (page.status, "You are signed out" in page.text) == (200, True)
        assert browser.get(url + path, follow=False, headers={"accept": "text/html"}).status == 303
        if name == "own-session":  # where its users sign in is the app's own matter
            return
        again = re.search(r'<a href="([^"]+)">Sign in again</a>', page.text)
        assert again is not None
        at_webex = browser.get(urljoin(url, unescape(again[1])), follow=False).headers["location"]
        page = browser.get(webex_cloud.sign_in(at_webex, as_="alice"))
        assert (page.status, urlsplit(page.url).path) == (200, path)


def here(env: dict[str, str]) -> str:
    return f".:{env['PYTHONPATH']}"


def write(name: str, folder: Path, env: dict[str, str]) -> None:
    if name == "django-views":
        write_django(folder, env)
        return
    before = [named("flask-existing-app").code] if name == "flask-own-users" else []
    code = "".join([*before, named(name).code, ALIASES.get(name, "")])
    if name == "lambda-app":  # a file stands for the database that processes share
        code = code.replace("RedisStorage", "SQLiteStorage").replace("redis://localhost", "webex.db")
    (folder / "app.py").write_text(code)


def write_django(folder: Path, env: dict[str, str]) -> None:
    for command in (("-m", "django", "startproject", "site1", "."), ("manage.py", "startapp", "accounts")):
        subprocess.run([sys.executable, *command], cwd=folder, env=env, capture_output=True, check=True)
    with (folder / "site1" / "settings.py").open("a") as settings:
        settings.write(named("django-settings").code)
    (folder / "accounts" / "views.py").write_text(named("django-views").code)
    urls = "from accounts.views import rooms\nfrom django.urls import path\n\nurlpatterns = [path('rooms', rooms)]\n"
    (folder / "site1" / "urls.py").write_text(urls)
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "-v0"], cwd=folder, env=env, capture_output=True, check=True
    )
