"""People sign in to apps of Authlib and django-allauth, with Webex as the identity provider."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from joserfc.jwk import RSAKey

from tests.support.ports import free_port
from tests.support.secret_scan import note
from tests.support.tiers import environment
from tests.web.conftest import SECRET
from webex.demo.browser import Browser
from webex.emulator import Cloud

pytestmark = pytest.mark.thirdparty
ROOT = Path(__file__).resolve().parents[3]
APPS = Path(__file__).parent / "apps"
CLAIMS = ["aud", "auth_time", "email", "email_verified", "exp", "iat", "iss", "jti", "name", "nonce", "sub"]


@pytest.fixture(autouse=True)
def _quiet_browsers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="urllib3")  # stands for a browser here; its debug log holds whole URLs


@contextmanager
def running(cloud: Cloud, app: str, folder: Path, callback: str, **variables: str) -> Iterator[tuple[str, Browser]]:
    """An app on a port, and a browser."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    registered = cloud.state.integrations[cloud.env["WEBEX_CLIENT_ID"]].redirect_uris
    registered += [f"{url}{path}" for path in (callback, "/bad_issuer/callback", "/bad_keys/callback")]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("WEBEX_", "CISCOSPARK_"))}
    env = {
        **inherited,
        **cloud.env,
        "WEBEX_SCOPE": "openid email profile spark:all",
        "WEBEX_REDIRECT_URI": f"{url}{callback}",
        "SESSION_SECRET": SECRET,
        "APP_FOLDER": str(folder),
        "PYTHONPATH": os.pathsep.join([str(APPS), str(ROOT / "src")]),
        **variables,
    }
    log = folder / "app.log"
    with log.open("w") as file:
        command = [str(environment("providers")), str(APPS / f"{app}.py"), str(port)]
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=file, stderr=file, start_new_session=True)
    http = urllib3.PoolManager()
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text()[-3000:]
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline, "the app does not serve"
            time.sleep(0.05)
        yield url, Browser("one", http)
    finally:
        http.clear()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        note(log.read_text(errors="replace"))


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """A URL that always gives this."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/keys"
        finally:
            server.shutdown()


def begin(browser: Browser, url: str) -> str:
    """Open the login; the URL of Webex that it leads to, which asks for a code with PKCE."""
    location = browser.get(url, follow=False).headers["location"]
    asked = parse_qs(urlsplit(location).query)
    assert (asked["code_challenge_method"], len(asked["code_challenge"][0])) == (["S256"], 43)
    assert "openid" in asked["scope"][0].split()
    return location


def test_authlib_signs_a_person_in_and_the_integration_takes_the_tokens(webex_cloud: Cloud, tmp_path: Path) -> None:
    with running(webex_cloud, "authlib_flask", tmp_path, "/webex/callback") as (url, browser):
        page = browser.get(webex_cloud.sign_in(begin(browser, f"{url}/webex/login"), as_="alice"))
        told = json.loads(page.body)
        assert told["email"] == "alice@example.com"
        assert set(told["claims"]) >= set(CLAIMS)
        assert json.loads(browser.get(f"{url}/me").body) == "alice@example.com"
        back = webex_cloud.sign_in(begin(browser, f"{url}/webex/login"))
        browser.cookies.clear()  # as another browser that is given the link
        assert browser.get(back).status == 403


def test_authlib_refuses_an_id_token_of_another_issuer(webex_cloud: Cloud, tmp_path: Path) -> None:
    with running(webex_cloud, "authlib_flask", tmp_path, "/webex/callback") as (url, browser):
        page = browser.get(webex_cloud.sign_in(begin(browser, f"{url}/bad_issuer/login"), as_="alice"))
        assert (page.status, json.loads(page.body)) == (403, {"refused": "InvalidClaimError"})


def test_authlib_refuses_an_id_token_that_another_key_signed(webex_cloud: Cloud, tmp_path: Path) -> None:
    other = RSAKey.generate_key(2048).as_dict(private=False)
    keys = b'{"keys": [%s]}' % json.dumps({**other, "alg": "RS256", "use": "sig"}).encode()
    with (
        answering(keys) as where,
        running(webex_cloud, "authlib_flask", tmp_path, "/webex/callback", OTHER_KEYS=where) as (url, browser),
    ):
        page = browser.get(webex_cloud.sign_in(begin(browser, f"{url}/bad_keys/login"), as_="alice"))
        assert (page.status, "Error" in json.loads(page.body)["refused"]) == (403, True)


def test_authlib_signs_a_person_in_within_an_event_loop(webex_cloud: Cloud, tmp_path: Path) -> None:
    with running(webex_cloud, "authlib_starlette", tmp_path, "/webex/callback") as (url, browser):
        page = browser.get(webex_cloud.sign_in(begin(browser, f"{url}/webex/login"), as_="bob"))
        assert json.loads(page.body)["email"] == "bob@example.com"


def test_allauth_signs_a_person_in(webex_cloud: Cloud, tmp_path: Path) -> None:
    with running(webex_cloud, "allauth_site", tmp_path, "/accounts/webex/login/callback/") as (url, browser):
        page = browser.get(webex_cloud.sign_in(begin(browser, f"{url}/accounts/webex/login/"), as_="alice"))
        assert page.url == f"{url}/who"
        told = json.loads(page.body)
        person = next(each for each in webex_cloud.state.people.values() if each.email == "alice@example.com")
        assert told == {
            "user": "alice@example.com",
            "uid": person.id,
            "name": "Alice Example",
            "is_verified": True,
            "shown": "alice@example.com",
            "me": "alice@example.com",
        }


def test_allauth_refuses_an_id_token_of_another_issuer(webex_cloud: Cloud, tmp_path: Path) -> None:
    callback, issuer = "/accounts/webex/login/callback/", "https://idbroker.webex.com/idb"
    with running(webex_cloud, "allauth_site", tmp_path, callback, ONLY_ISSUER=issuer) as (url, browser):
        page = browser.get(webex_cloud.sign_in(begin(browser, f"{url}/accounts/webex/login/"), as_="alice"))
        assert "Third-Party Login Failure" in page.text
        assert json.loads(browser.get(f"{url}/who").body) == {"user": None}
