"""Where the app is: behind a prefix, beyond ASCII, under several names of one machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from fastapi import FastAPI
from starlette.requests import HTTPConnection

from tests.support.ports import free_port
from tests.web.conftest import SECRET, Server, Site, pages
from webex import AsyncIntegration
from webex.errors import ConfigurationError, NotSignedInError
from webex.web import SignIn, WebRequest
from webex.web.fastapi import WebexAuth
from webex.web.messages import behind_proxies, networks
from webex.web.starlette import web_request

HTML = {"accept": "text/html"}


def sign_in_at(redirect_uri: str, **options: Any) -> SignIn:
    integration = AsyncIntegration(
        client_id="C1", client_secret="s" * 40, redirect_uri=redirect_uri, scope="openid", emulator_url=None
    )
    return SignIn(integration, session_secret=SECRET, **options)


# Beyond ASCII


@pytest.mark.parametrize(
    ("wanted", "location"),
    [
        ("/日本", "/%E6%97%A5%E6%9C%AC"),
        ("/me?who=ü&x=a b", "/me?who=%C3%BC&x=a%20b"),
        ("/%E6%97%A5?q=%2F", "/%E6%97%A5?q=%2F"),
        ("/\ud800", "/"),
        ("/a\r\nset-cookie: x=1", "/"),
        ("/" + "é" * 900, "/"),
        ("/" + "a" * 5000, "/"),
    ],
)
def test_return_to_beyond_ascii_is_percent_encoded(site: Site, wanted: str, location: str) -> None:
    browser = site.browser()
    given = quote(wanted.encode("utf-8", "surrogatepass"), safe="")
    back = site.cloud.sign_in(site.begin(browser, given))
    page = browser.get(back, follow=False)
    assert (page.status, page.headers["location"]) == (303, "/" if "\ud800" in wanted else location) or (
        # A lone surrogate is no UTF-8: what arrives is the replacement character.
        page.headers["location"] == "/%EF%BF%BD%EF%BF%BD%EF%BF%BD"
    )
    assert browser.cookie("webex_session")


@pytest.mark.parametrize(
    ("target", "location"),
    [("/日本", "/%E6%97%A5%E6%9C%AC"), ("/\ud800", "/"), ("//evil.example/日", "/"), ("/ü#ä", "/%C3%BC#%C3%A4")],
)
def test_targets_of_hooks_are_percent_encoded(make_site: Callable[..., Site], target: str, location: str) -> None:
    site = make_site(on_success=lambda *_: target)
    browser = site.browser()
    page = browser.get(site.cloud.sign_in(site.begin(browser)), follow=False)
    assert (page.status, page.headers["location"]) == (303, location)


@pytest.mark.parametrize(
    ("path", "query", "returns_to"),
    [
        (b"/%E6%97%A5", b"", "/%E6%97%A5"),
        (b"/\xe6\x97\xa5", b"q=\xc3\xbc", "/%E6%97%A5?q=%C3%BC"),
        (b"/a b\xff", b"x=\n", "/a%20b%FF?x=%0A"),
        (b"//evil.example/x", b"", "//evil.example/x"),
        (None, b"", "/%E6%97%A5%25"),
    ],
)
def test_address_in_raw_bytes_is_remembered_encoded(path: bytes | None, query: bytes, returns_to: str) -> None:
    scope = {"type": "http", "method": "GET", "scheme": "https", "headers": [(b"accept", b"text/html")]}
    scope |= {"path": "/日%", "raw_path": path, "query_string": query, "root_path": "", "client": None}
    auth = sign_in_at("https://app.example.com/auth/callback")
    answer = asyncio.run(auth.refused(NotSignedInError("x"), web_request(HTTPConnection(scope))))
    assert answer.headers["location"] == f"/auth/login?return_to={quote(returns_to, safe='')}"


def test_sign_out_may_redirect_beyond_ascii(make_site: Callable[..., Site]) -> None:
    site = make_site(after_sign_out="/tschüß")
    browser = site.browser()
    site.sign_in(browser)
    page = browser.post(f"{site.url}/auth/logout", follow=False)
    assert page.headers["location"] == "/tsch%C3%BC%C3%9F"


# Below a prefix


@pytest.mark.parametrize("mount", ["/team", "/a/b", "/équipe"])
@pytest.mark.parametrize(
    ("root_path", "stripped"),
    [("", True), ("as mounted", True), ("as mounted", False), ("with a slash", True), ("with a slash", False)],
)
def test_refused_page_is_remembered_below_the_prefix(mount: str, root_path: str, stripped: bool) -> None:
    root = {"": "", "as mounted": mount, "with a slash": mount + "/"}[root_path]
    encoded = quote(mount)
    auth = sign_in_at(f"https://app.example.com{encoded}/auth/callback")
    path = "/rooms/%E6%97%A5" if stripped else f"{encoded.lower() if 'quipe' in mount else encoded}/rooms/%E6%97%A5"
    request = WebRequest("GET", "http", "app", path, "a=1", headers=HTML, root_path=root)
    location = asyncio.run(auth.refused(NotSignedInError("x"), request)).headers["location"]
    assert location == f"{encoded}/auth/login?return_to={quote(f'{encoded}/rooms/%E6%97%A5?a=1', safe='')}"


@pytest.mark.parametrize(
    ("target", "inside"),
    [
        ("/rooms", "/team/rooms"),
        ("/team/rooms", "/team/rooms"),
        ("/team", "/team"),
        ("/teams", "/team/teams"),
        ("/", "/team/"),
        ("//evil.example", "/team/"),
        ("/\\evil.example", "/team/"),
        ("/team//evil.example", "/team//evil.example"),
        ("/team/../admin", "/team/"),
        ("/team/%2e%2E/admin", "/team/"),
        ("/./auth/login", "/team/"),
        ("/auth/login", "/team/"),
        ("/team/auth/logout?x=1", "/team/"),
        ("/auth/callback/", "/team/"),
        ("/rooms?next=//evil", "/team/rooms?next=//evil"),
        ("https://app.example.com/team/rooms", "/team/"),
        ("/日", "/team/%E6%97%A5"),
    ],
)
def test_return_to_stays_below_the_prefix(target: str, inside: str) -> None:
    assert sign_in_at("https://app.example.com/team/auth/callback").safe_return_to(target) == inside


class Behind:
    """A server that takes the prefix away, as `location /team/ { proxy_pass …/; }` does, and may say so."""

    def __init__(self, app: Any, prefix: str, root_path: str, keep: bool) -> None:
        self._app, self._prefix, self._root_path, self._keep = app, prefix, root_path, keep

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            assert scope["path"].startswith(self._prefix + "/"), scope["path"]
            scope = {**scope, "root_path": self._root_path}
            if not self._keep:
                scope["path"] = scope["path"].removeprefix(self._prefix)
                scope["raw_path"] = scope["raw_path"].removeprefix(self._prefix.encode())
        await self._app(scope, receive, send)


@pytest.fixture(params=["stripped", "stripped, with root_path", "whole, with root_path", "FastAPI's root_path"])
def prefixed(request: pytest.FixtureRequest, site: Site) -> Iterator[Site]:
    port = free_port()
    made = AsyncIntegration(config=site.integration.config, redirect_uri=f"http://127.0.0.1:{port}/team/auth/callback")
    auth = WebexAuth(made, session_secret=SECRET)
    app = FastAPI()
    app.root_path = "/team" if request.param.startswith("FastAPI") else ""
    auth.install(app)
    pages(app)
    site.cloud.state.integrations[site.integration.config.client_id or ""].redirect_uris.append(
        f"http://127.0.0.1:{port}/team/auth/callback"
    )
    root_path = "/team" if "with root_path" in request.param else ""
    server = Server(Behind(app, "/team", root_path, request.param.startswith("whole")), port)
    yield Site(site.cloud, f"http://127.0.0.1:{port}/team", site.http, site.database, made, auth)
    server.stop()


def test_app_below_a_prefix_signs_in_and_returns(prefixed: Site) -> None:
    browser = prefixed.browser()
    page = browser.get(f"{prefixed.url}/me?a=1", follow=False)
    assert page.headers["location"] == f"/team/auth/login?return_to={quote('/team/me?a=1', safe='')}"
    origin = prefixed.url.removesuffix("/team")
    login = browser.get(origin + page.headers["location"], follow=False).headers["location"]
    landed = browser.get(prefixed.cloud.sign_in(login))
    assert landed.url == f"{prefixed.url}/me?a=1"
    assert json.loads(landed.body)["emails"] == ["alice@example.com"]
    assert prefixed.sign_in(prefixed.browser("two"), "bob", "/me").url == f"{prefixed.url}/me"
    page = browser.post(f"{prefixed.url}/auth/logout")
    assert (page.status, urlsplit(page.url).path) == (200, "/team/auth/logout")
    assert 'href="/team/auth/login?return_to=%2Fteam%2Fme%3Fa%3D1"' in page.text


# One machine, several names


def at_login(host: str, redirect_uri: str, **headers: str) -> Any:
    auth = sign_in_at(redirect_uri)
    request = WebRequest("GET", "http", host, "/auth/login", "return_to=/x", headers=headers)
    return asyncio.run(auth.login(request))


@pytest.mark.parametrize(
    ("host", "redirect_uri"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/auth/callback"),  # nginx with `Host $host`
        ("127.0.0.1:8000", "http://127.0.0.1:8080/auth/callback"),  # the upstream's own name
        ("LOCALHOST:8080", "http://localhost:8080/auth/callback"),
        ("[::1]", "http://[::1]:8080/auth/callback"),
        ("app", "http://127.0.0.1:8080/auth/callback"),
        ("evil.example", "http://127.0.0.1:8080/auth/callback"),
        ("127.0.0.1", "https://app.example.com/auth/callback"),
        ("[::1", "http://127.0.0.1:8080/auth/callback"),
        ("", "http://127.0.0.1:8080/auth/callback"),
        ("a b:c:d", "http://127.0.0.1:8080/auth/callback"),
        ("127.0.0.1:99999999", "http://127.0.0.1:8080/auth/callback"),
    ],
)
def test_same_or_foreign_host_redirects_straight_to_webex(host: str, redirect_uri: str) -> None:
    assert "/authorize?" in at_login(host, redirect_uri).headers["location"]


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "[::1]:8000", "LocalHost"])
def test_another_loopback_name_is_redirected_once(host: str) -> None:
    redirect_uri = "http://127.0.0.1:8080/auth/callback"
    answer = at_login(host, redirect_uri)
    assert answer.headers["location"] == "http://127.0.0.1:8080/auth/login?return_to=/x"
    # Behind a proxy that names its upstream so, the browser comes back with the cookie and the same Host header.
    [cookie] = answer.cookies
    again = at_login(host, redirect_uri, cookie=f"{cookie.name}={cookie.value}")
    assert "/authorize?" in again.headers["location"]


@pytest.mark.parametrize(
    ("redirect_uri", "origin"),
    [
        ("https://APP.Example.com/auth/callback", "https://app.example.com"),
        ("https://app.example.com:443/auth/callback", "https://app.example.com"),
        ("https://app.example.com:8443/auth/callback", "https://app.example.com:8443"),
        ("http://[::1]:8000/auth/callback", "http://[::1]:8000"),
        ("http://127.0.0.1:80/auth/callback", "http://127.0.0.1"),
        ("https://bücher.example.com/auth/callback", "https://xn--bcher-kva.example.com"),
    ],
)
def test_origin_is_formatted_like_in_browsers(redirect_uri: str, origin: str) -> None:
    auth = sign_in_at(redirect_uri)
    assert auth.place.origin == origin
    assert auth.is_same_origin(WebRequest("POST", "https", "x", "/", headers={"origin": origin}))


@pytest.mark.parametrize("uri", ["http://app.example.com/auth/callback", "https://app.example.com/elsewhere"])
def test_mismatching_redirect_uri_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError):
        sign_in_at(uri)


def test_hints_for_developers_are_shown_on_loopback_only(caplog: pytest.LogCaptureFixture) -> None:
    shown = []
    for uri in ("http://127.0.0.1:8080/auth/callback", "https://app.example.com/auth/callback"):
        auth = sign_in_at(uri)
        request = WebRequest("POST", "http", "127.0.0.1", "/auth/logout", client="127.0.0.1")
        shown.append(b"WEBEX_REDIRECT_URI" in asyncio.run(auth.logout(request)).body)
    assert shown == [True, False]


@pytest.mark.parametrize(
    ("forwarded_for", "connected", "client"),
    [
        ("1.2.3.4:5678", "10.0.0.1", "1.2.3.4"),
        ("[2001:db8::1]:5678", "10.0.0.1", "2001:db8::1"),
        ("2001:db8::1", "10.0.0.1", "2001:db8::1"),
        ("1.2.3.4", "::ffff:10.0.0.1", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4, 10.0.0.7", "10.0.0.1", "1.2.3.4"),
        ("6.6.6.6", "9.9.9.9", "9.9.9.9"),
        (" , ,", "10.0.0.1", "10.0.0.1"),
        ("unknown, _hidden", "10.0.0.1", "_hidden"),
    ],
)
def test_client_is_the_last_untrusted_address(forwarded_for: str, connected: str, client: str) -> None:
    request = WebRequest("GET", "http", "app", "/", headers={"x-forwarded-for": forwarded_for}, client=connected)
    assert behind_proxies(request, networks(["10.0.0.0/8"])).client == client
