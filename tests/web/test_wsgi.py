"""A person signs in to a plain WSGI app: no framework, no event loop, a thread for each request."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
import urllib3

from tests.support.ports import free_port
from tests.web.conftest import SECRET
from webex import Integration
from webex.demo.browser import Browser
from webex.emulator import Cloud
from webex.errors import NotSignedInError
from webex.storage import SQLiteStorage
from webex.web import BlockingSignIn, SignIn, WebRequest, WebResponse


class App:
    """The whole app: the three routes, and one page that needs a user."""

    def __init__(self, auth: BlockingSignIn) -> None:
        self.auth = auth

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = WebRequest(
            method=environ["REQUEST_METHOD"],
            scheme=environ["wsgi.url_scheme"],
            host=environ["HTTP_HOST"],
            path=quote(environ["PATH_INFO"].encode("latin-1")),
            query=environ["QUERY_STRING"],
            headers={name[5:].lower().replace("_", "-"): environ[name] for name in environ if name.startswith("HTTP_")},
            client=environ["REMOTE_ADDR"],
            root_path=environ["SCRIPT_NAME"],
            native=environ,
        )
        serve = {name: getattr(self.auth, name) for name in ("login", "callback", "logout")}
        answer = serve.get(request.path.removeprefix("/auth/"), self.page)(request)
        headers = [*answer.headers.items(), *(("set-cookie", cookie.header) for cookie in answer.cookies)]
        start_response(f"{answer.status} -", headers)
        return [answer.body]

    def page(self, request: WebRequest) -> WebResponse:
        session = self.auth.session(request)
        if session is None:
            return self.auth.refused(NotSignedInError("sign in first"), request)
        return WebResponse(200, body=(self.auth.client(session).people.me().emails or [""])[0].encode())


class ThreadingServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def url(webex_cloud: Cloud, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    integration = Integration(
        storage=SQLiteStorage(tmp_path / "app.db"),
        emulator_url=webex_cloud.url,
        client_id=webex_cloud.env["WEBEX_CLIENT_ID"],
        client_secret=webex_cloud.env["WEBEX_CLIENT_SECRET"],
        redirect_uri=f"http://127.0.0.1:{port}/auth/callback",
        scope=webex_cloud.env["WEBEX_SCOPE"],
    )
    app = App(BlockingSignIn(integration, session_secret=SECRET))
    server = make_server("127.0.0.1", port, app, server_class=ThreadingServer, handler_class=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.shutdown()
    server.server_close()
    integration.close()


def test_person_signs_in_to_a_plain_wsgi_app_and_out_again(url: str, webex_cloud: Cloud) -> None:
    with urllib3.PoolManager() as http:
        browser, other = Browser("one", http), Browser("two", http)
        for person, name in ((browser, "alice"), (other, "bob")):
            login = person.get(f"{url}/inbox?a=1", follow=False).headers["location"]
            webex = person.get(url + login, follow=False).headers["location"]
            page = person.get(webex_cloud.sign_in(webex, as_=name))
            assert (page.url, page.text) == (f"{url}/inbox?a=1", f"{name}@example.com")
        page = browser.post(f"{url}/auth/logout")
        assert (page.status, "You are signed out" in page.text) == (200, True)
        assert browser.get(f"{url}/inbox", follow=False).status == 303
        assert other.get(f"{url}/inbox").text == "bob@example.com"


def test_core_runs_over_a_blocking_integration_when_it_is_driven(webex_cloud: Cloud) -> None:
    from webex.runtime import drive

    integration = Integration(
        emulator_url=webex_cloud.url,
        client_id="C1",
        client_secret="s" * 40,
        scope="openid",
        redirect_uri="http://127.0.0.1/auth/callback",
    )
    auth = SignIn(integration, session_secret=SECRET)
    answer = drive(auth.login(WebRequest("GET", "http", "127.0.0.1", "/auth/login")))
    assert "/authorize?" in answer.headers["location"]
