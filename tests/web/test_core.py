"""The core of the sign-in with plain requests: every answer, header and cookie, without a server in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.web.conftest import SECRET
from webex import Integration
from webex.emulator import Cloud
from webex.errors import (
    ConfigurationError,
    LoginError,
    MissingKeyError,
    NotSignedInError,
    ReauthorizationRequiredError,
    StorageError,
    WebexError,
)
from webex.storage import MemoryStorage
from webex.web import WebRequest, WebResponse
from webex.web.blocking import BlockingSignIn
from webex.web.core import is_refusal
from webex.web.pages import explain

SETTINGS: dict[str, Any] = {
    "client_id": "app",
    "client_secret": "s" * 40,
    "redirect_uri": "https://app.example.com/team/auth/callback",
    "scope": "openid",
}
HTML = {"accept": "text/html", "sec-fetch-mode": "navigate"}


@pytest.fixture
def integration() -> Iterator[Integration]:
    with Integration(storage=MemoryStorage(), **SETTINGS) as made:
        yield made


@pytest.fixture
def site(integration: Integration) -> BlockingSignIn:
    return BlockingSignIn(integration, session_secret=SECRET)


def get(path: str = "/team/auth/login", query: str = "", **more: Any) -> WebRequest:
    return WebRequest(
        **{
            "method": "GET",
            "scheme": "https",
            "host": "app.example.com",
            "path": path,
            "query": query,
            "headers": HTML,
            **more,
        }
    )


def post(path: str, headers: dict[str, str], **more: Any) -> WebRequest:
    return get(path, method="POST", headers=headers, **more)


def jar_of(*answers: WebResponse, **cookies: str) -> dict[str, str]:
    """The cookies that a browser holds after these answers."""
    for answer in answers:
        for cookie in answer.cookies:
            if cookie.max_age:
                cookies[cookie.name] = cookie.value
            else:
                cookies.pop(cookie.name, None)
    return cookies


# Going to Webex


def test_login_redirects_to_webex_with_a_login_cookie(site: BlockingSignIn) -> None:
    answer = site.login(get(query="return_to=/inbox"))
    assert answer.status == 303
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert "state" in parse_qs(urlsplit(answer.headers["location"]).query)
    (cookie,) = answer.cookies
    assert cookie.name.startswith("__Secure-")
    assert cookie.name.endswith("_webex_login")
    assert (cookie.path, cookie.secure, cookie.max_age) == ("/team", True, 600)
    assert cookie.value.partition(".")[0] not in answer.headers["location"]


def test_second_login_of_one_browser_keeps_its_secret(site: BlockingSignIn) -> None:
    first = site.login(get())
    jar = jar_of(first)
    second = site.login(get(cookies=jar))
    assert jar_of(second) == jar
    forged = {name: value.rpartition(".")[0] + ".AAAA" for name, value in jar.items()}
    assert jar_of(site.login(get(cookies=forged))) != jar


def test_surplus_login_cookies_are_deleted(site: BlockingSignIn) -> None:
    jar: dict[str, str] = {"other": "1", "webex_login": "not of this app"}
    for _ in range(6):
        jar |= jar_of(site.login(get()))
    answer = site.login(get(cookies=jar, headers={**HTML, "cookie": "; ".join(f"{k}={v}" for k, v in jar.items())}))
    gone = [cookie.name for cookie in answer.cookies if cookie.max_age == 0]
    ours = [name for name in jar if name.startswith("__Secure-")]
    assert gone == ours[4:]
    assert all(cookie.value == "" for cookie in answer.cookies if cookie.max_age == 0)


@pytest.mark.parametrize(
    ("host", "moved"),
    [
        ("localhost:8000", True),
        ("127.0.0.1:8000", False),
        ("app.example.com", False),
        ("[::1]:8000", True),
        ("[x", False),
    ],
)
def test_other_loopback_name_is_redirected_once(host: str, moved: bool) -> None:
    settings = {**SETTINGS, "redirect_uri": "http://127.0.0.1:8000/auth/callback"}
    with Integration(storage=MemoryStorage(), **settings) as integration:
        site = BlockingSignIn(integration, session_secret=SECRET)
        answer = site.login(get("/auth/login", "return_to=/a", host=host, scheme="http"))
        if not moved:
            assert "state=" in answer.headers["location"]
            return
        assert answer.headers["location"] == "http://127.0.0.1:8000/auth/login?return_to=/a"
        (cookie,) = answer.cookies
        assert (cookie.name, cookie.value, cookie.max_age) == ("webex_moved", "1", 5)
        again = site.login(get("/auth/login", "return_to=/a", host=host, scheme="http", cookies={"webex_moved": "1"}))
        assert "state=" in again.headers["location"]


def test_login_of_an_incomplete_app_is_an_error_page() -> None:
    with Integration(storage=MemoryStorage(), **{**SETTINGS, "client_secret": None}) as integration:
        answer = BlockingSignIn(integration, session_secret=SECRET).login(get())
    assert answer.status == 500
    assert b"This app is not set up completely" in answer.body
    assert b"client_secret" not in answer.body  # not on the developer's own machine
    assert b'href="/team/auth/login"' in answer.body


# Coming back


@pytest.fixture
def local(webex_cloud: Cloud) -> Iterator[BlockingSignIn]:
    with Integration(
        storage=MemoryStorage(),
        emulator_url=webex_cloud.url,
        client_id=webex_cloud.env["WEBEX_CLIENT_ID"],
        client_secret=webex_cloud.env["WEBEX_CLIENT_SECRET"],
        redirect_uri="http://127.0.0.1:8000/auth/callback",
        scope="openid spark:all",
        credential_max_age=0,
    ) as integration:
        yield BlockingSignIn(integration, session_secret=SECRET)


def at_home(path: str, query: str = "", jar: dict[str, str] | None = None, **more: Any) -> WebRequest:
    return get(path, query, host="127.0.0.1:8000", scheme="http", cookies=dict(jar or {}), **more)


def came_back(
    cloud: Cloud, site: BlockingSignIn, jar: dict[str, str], return_to: str = "/inbox", **more: Any
) -> WebRequest:
    """The redirect after the person has consented; `jar` gets the login cookie."""
    begun = site.login(at_home("/auth/login", f"return_to={return_to}", jar))
    jar |= jar_of(begun)
    redirected = cloud.sign_in(begun.headers["location"], as_="alice")
    return at_home("/auth/callback", urlsplit(redirected).query, jar, **more)


def test_person_is_signed_in_and_out(webex_cloud: Cloud, local: BlockingSignIn) -> None:
    jar: dict[str, str] = {}
    request = came_back(webex_cloud, local, jar)
    answer = local.callback(request)
    assert (answer.status, answer.headers["location"]) == (303, "/inbox")
    (cookie,) = answer.cookies
    assert (cookie.name, cookie.max_age, cookie.path, cookie.secure) == ("webex_session", 14 * 86400, "/", False)
    jar |= jar_of(answer)
    session = local.session(at_home("/", jar=jar))
    assert session is not None
    assert local.client(session).people.me().display_name == session.display_name
    again = local.callback(request)  # a reload, with the session: on to the app
    assert again.status == 400
    reloaded = local.callback(at_home("/auth/callback", request.query, jar))
    assert (reloaded.status, reloaded.headers["location"]) == (303, "/inbox")
    left = local.logout(at_home("/auth/logout", jar=jar, method="POST", headers={"origin": "http://127.0.0.1:8000"}))
    assert (left.status, left.headers["location"]) == (303, "/auth/logout?signed_out=1&return_to=%2Finbox")
    assert jar_of(left, **jar) == {}
    assert local.session(at_home("/", jar=jar)) is None  # also in a copy of the cookie
    assert not local.sign_in.integration.is_signed_in(session.user_key)
    assert local.callback(at_home("/auth/callback", request.query, jar)).status == 400


def test_new_sign_in_ends_the_previous_session_of_the_browser(webex_cloud: Cloud, local: BlockingSignIn) -> None:
    jar: dict[str, str] = {}
    first = jar_of(local.callback(came_back(webex_cloud, local, jar)))
    second = jar_of(local.callback(came_back(webex_cloud, local, {**jar, **first})))
    assert first != second
    assert local.session(at_home("/", jar=first)) is None
    assert local.session(at_home("/", jar=second)) is not None


@pytest.mark.parametrize(
    "more",
    [
        {"method": "HEAD"},
        {"headers": {**HTML, "sec-purpose": "prefetch;prerender"}},
        {"headers": {**HTML, "purpose": "Prefetch"}},
        {"headers": {**HTML, "x-purpose": "preview"}},
        {"headers": {**HTML, "x-moz": "prefetch"}},
    ],
    ids=["HEAD", "sec-purpose", "purpose", "x-purpose", "x-moz"],
)
def test_speculative_request_does_not_use_the_code(
    webex_cloud: Cloud, local: BlockingSignIn, more: dict[str, Any]
) -> None:
    jar: dict[str, str] = {}
    request = came_back(webex_cloud, local, jar)
    looked = local.callback(at_home("/auth/callback", request.query, jar, **more))
    assert (looked.status, looked.headers["retry-after"], looked.headers["cache-control"]) == (503, "1", "no-store")
    assert local.callback(request).status == 303


def test_failed_callback_links_to_a_new_login_for_the_same_page(
    webex_cloud: Cloud, local: BlockingSignIn, caplog: pytest.LogCaptureFixture
) -> None:
    jar: dict[str, str] = {}
    request = came_back(webex_cloud, local, jar, return_to="/inbox?a=1")
    state = parse_qs(request.query)["state"][0]
    denied = local.callback(at_home("/auth/callback", f"error=access_denied&state={state}", jar))
    assert denied.status == 403
    assert b"You did not allow it" in denied.body
    assert b'href="/auth/login?return_to=%2Finbox%3Fa%3D1"' in denied.body
    stranger = local.callback(at_home("/auth/callback", request.query))
    assert stranger.status == 400
    assert b"begun in another browser" in stranger.body
    assert b'href="/auth/login">' in stranger.body
    assert b"look at" in stranger.body  # on the developer's own machine
    assert [each.levelname for each in caplog.records if each.name == "webex.web"] == ["INFO", "WARNING"]


# Signing out


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "https://app.example.com"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "https://evil.example.com"}, False),
        ({"sec-fetch-site": "same-site", "origin": "https://app.example.com"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "https://app.example.com"}, True),
        ({"origin": "http://app.example.com"}, False),
        ({"origin": "null"}, False),
        ({"origin": "https://app.example.com.evil.example"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_only_a_page_of_this_app_may_sign_out(site: BlockingSignIn, headers: dict[str, str], same: bool) -> None:
    request = post("/team/auth/logout", {**HTML, **headers})
    assert site.is_same_origin(request) is same
    answer = site.logout(request)
    if same:
        assert (answer.status, answer.headers["location"]) == (303, "/team/auth/logout?signed_out=1")
        assert [cookie.header for cookie in answer.cookies] == [
            "__Secure-webex_session=; Max-Age=0; Path=/team; HttpOnly; SameSite=Lax; Secure"
        ]
    else:
        assert answer.status == 403
        assert b"Sign out from a page of this app" in answer.body
        assert answer.cookies == ()


def test_link_to_the_logout_route_shows_a_button(site: BlockingSignIn) -> None:
    answer = site.logout(get("/team/auth/logout"))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["referrer-policy"] == "same-origin"
    policy = answer.headers["content-security-policy"]
    assert "form-action" not in policy
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy.endswith("base-uri 'none'; frame-ancestors 'none'")
    assert b'<form method="post" action="/team/auth/logout"><button>Sign out</button></form>' in answer.body
    assert b'href="/team/">Back to the app</a>' in answer.body


def test_app_chooses_the_page_after_a_sign_out(integration: Integration) -> None:
    site = BlockingSignIn(integration, session_secret=SECRET, after_sign_out="/bye")
    answer = site.logout(post("/team/auth/logout", {"sec-fetch-site": "same-origin"}))
    assert answer.headers["location"] == "/team/bye"


def test_user_who_is_signed_in_is_not_told_otherwise(webex_cloud: Cloud, local: BlockingSignIn) -> None:
    jar: dict[str, str] = {}
    jar |= jar_of(local.callback(came_back(webex_cloud, local, jar)))
    page = local.logout(at_home("/auth/logout", "signed_out=1", jar))
    assert (page.status, b"You are signed out" in page.body) == (405, False)


# Who is not signed in

NOT, AGAIN, FULL = NotSignedInError("no"), ReauthorizationRequiredError("again", reason="refused"), StorageError("full")


@pytest.mark.parametrize(
    ("request_", "error", "status", "where"),
    [
        pytest.param(
            get("/team/a", "b=1"), NOT, 303, "/team/auth/login?return_to=%2Fteam%2Fteam%2Fa%3Fb%3D1", id="a page"
        ),
        pytest.param(get("/a", method="HEAD"), NOT, 303, "/team/auth/login?return_to=%2Fteam%2Fa", id="its head"),
        pytest.param(get("/a", method="POST"), NOT, 401, None, id="a form"),
        pytest.param(get("/a", headers={"accept": "application/json"}), NOT, 401, None, id="a script"),
        pytest.param(get("/a", headers={**HTML, "sec-fetch-mode": "cors"}), AGAIN, 401, None, id="a fetch"),
        pytest.param(get("/a"), FULL, 503, None, id="a storage that fails"),
        pytest.param(get("/a", headers={}), FULL, 503, None, id="a storage that fails, for a script"),
    ],
)
def test_request_without_a_user_is_answered_as_html_or_json(
    site: BlockingSignIn, request_: WebRequest, error: Any, status: int, where: str | None
) -> None:
    answer = site.refused(error, request_)
    assert answer.status == status
    assert answer.headers.get("location") == where
    assert answer.headers["cache-control"] == "no-store"
    if request_.wants_html or where:
        return
    assert answer.headers["content-type"] == "application/json"
    body = json.loads(answer.body)
    if error is FULL:
        assert body["error"] == "storage_unavailable"
        assert answer.headers["retry-after"] == "5"
    else:
        assert body["error"] == ("reauthorization_required" if error is AGAIN else "not_signed_in")
        assert body["login"] == "/team/auth/login"
        assert body["message"] == explain(error).text
        assert answer.headers["www-authenticate"] == 'Webex login="/team/auth/login"'


@pytest.mark.parametrize(
    ("request_", "again"),
    [
        (get("/a", "b=1"), "/team/a?b=1"),
        (get("/a", method="HEAD"), "/team/a"),
        (get("/a", method="POST"), "/team/"),
        (get("//evil.example"), "/team//evil.example"),
    ],
    ids=["a page", "its head", "a form", "another host"],
)
def test_page_of_a_failing_storage_offers_a_retry(site: BlockingSignIn, request_: WebRequest, again: str) -> None:
    answer = site.refused(FULL, request_)
    assert answer.headers["retry-after"] == "5"
    assert f'href="{again}">Try again</a>'.encode() in answer.body
    assert b"StorageError" not in answer.body


def test_refusals_are_missing_user_or_storage_errors() -> None:
    assert all(is_refusal(error) for error in (NOT, AGAIN, FULL))
    assert not any(
        is_refusal(error) for error in (MissingKeyError("k"), ValueError("x"), LoginError("x", reason="state"))
    )


# How it is set up


def test_routes_are_those_of_the_prefix(integration: Integration) -> None:
    site = BlockingSignIn(integration, session_secret=SECRET)
    core = site.sign_in
    assert (core.login_url, core.logout_url) == ("/team/auth/login", "/team/auth/logout")
    for path in ("/auth/login", "/auth/login/", "/auth/logout", "/auth/callback/"):
        assert site.route(path) is not None
    for path in ("/auth", "/auth/login//", "/auth/logi", "/", "/login"):
        assert site.route(path) is None
    moved = BlockingSignIn(
        integration, session_secret=SECRET, prefix="/account/", callback_path="/team/auth/callback"
    ).sign_in
    assert (moved.login_path, moved.callback_path, moved.login_url) == (
        "/account/login",
        "/team/auth/callback",
        "/account/login",
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"prefix": "auth"}, "prefix must be a path such as /auth, not 'auth'"),
        ({"prefix": "/a//b"}, "prefix must be a path"),
        ({"callback_path": "/a?b"}, "callback_path must be a path"),
        ({"callback_path": "/{a}"}, "callback_path must be a path"),
        ({"callback_path": "/elsewhere"}, "but the callback is served at '/elsewhere'"),
        ({"after_sign_out": 5}, "after_sign_out must be a path"),
        ({"own_session": True}, "own_session=True needs on_success"),
        ({"trusted_proxies": "10.0.0.0/8"}, "must be a list of addresses or networks, not the text"),
        ({"trusted_proxies": ["10.0.0.1/8"]}, "trusted_proxies: .* such as 10.0.0.0/8"),
        ({"integration": "text"}, "BlockingSignIn needs an Integration, not str"),
        ({"on_success": "app.hook"}, "on_success must be a function, not str"),
        ({"session_max_age": "1d"}, "session_max_age must be a number of seconds above 0, not '1d'"),
    ],
    ids=str,
)
def test_wrong_option_is_named(integration: Integration, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        BlockingSignIn(**{"integration": integration, "session_secret": SECRET, **options})


def test_integration_may_be_given_later(integration: Integration) -> None:
    made: list[Integration] = []
    site = BlockingSignIn(lambda: made[0] if made else None, session_secret=SECRET)
    with pytest.raises(ConfigurationError, match=r"There is no Integration yet. Give it to the sign-in, or set its"):
        site.sign_in.place  # noqa: B018  # reading it is the point
    shown = site.login(get()).body
    assert b"not set up completely" in shown
    assert b'href="/auth/login"' in shown
    made.append(integration)
    assert site.sign_in.integration is integration
    assert site.sign_in.login_url == "/team/auth/login"
    other = BlockingSignIn(session_secret=SECRET)
    other.sign_in.integration = integration
    assert other.sign_in.place.origin == "https://app.example.com"


@pytest.mark.parametrize(
    "answer", [None, "/next", "https://evil.example/", WebResponse(418)], ids=["none", "path", "elsewhere", "whole"]
)
def test_failure_hook_chooses_the_response(integration: Integration, answer: Any) -> None:
    seen: list[Any] = []

    def failed(error: WebexError, request: Any) -> Any:
        seen.append((type(error), request))
        return answer

    site = BlockingSignIn(integration, session_secret=SECRET, on_failure=failed)
    request = get("/team/auth/callback", "state=x&code=y", native="the framework's")
    shown = site.callback(request)
    assert seen == [(LoginError, "the framework's")]
    expected = {None: (400, None), "/next": (303, "/team/next"), "https://evil.example/": (303, "/team/")}
    status, location = (418, None) if isinstance(answer, WebResponse) else expected[answer]
    assert (shown.status, shown.headers.get("location")) == (status, location)


@pytest.mark.parametrize(
    ("target", "inside"),
    [
        ("/inbox", "/team/inbox"),
        ("/team/inbox", "/team/inbox"),
        ("/team", "/team"),
        ("/teams", "/team/teams"),
        ("/", "/team/"),
        ("", "/team/"),
        ("https://evil.example", "/team/"),
        ("//evil.example", "/team/"),
        ("/a/../../x", "/team/"),
        ("/team/auth/login", "/team/"),
        ("/auth/logout?x", "/team/"),
        ("/auth/callback/", "/team/"),
        ("/auth/login2", "/team/auth/login2"),
    ],
)
def test_redirect_targets_stay_in_the_app(site: BlockingSignIn, target: str, inside: str) -> None:
    assert site.sign_in.safe_return_to(target) == inside


def test_why_the_storage_fails_is_in_the_log(site: BlockingSignIn, caplog: pytest.LogCaptureFixture) -> None:
    site.refused(StorageError("the values were moved to another storage"), get("/a", headers=HTML))
    assert "StorageError: the values were moved to another storage" in caplog.text
    assert caplog.records[-1].levelname == "WARNING"


@pytest.mark.parametrize(("host", "times"), [("127.0.0.1:8001", 1), ("127.0.0.1:8000", 0), ("127.0.0.1", 0)])
def test_port_without_the_callback_is_in_the_log(caplog: pytest.LogCaptureFixture, host: str, times: int) -> None:
    with Integration(**{**SETTINGS, "redirect_uri": "http://127.0.0.1:8000/auth/callback"}) as integration:
        site = BlockingSignIn(integration, session_secret=SECRET)
        assert {site.login(get("/auth/login", host=host)).status for _ in range(2)} == {303}
    assert caplog.text.count("a sign-in was opened on port 8001") == times
