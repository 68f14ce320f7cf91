"""What somebody else may try, and what it gets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest

from tests.web.conftest import SECRET, Site
from webex.storage import SQLiteStorage
from webex.web import WebRequest
from webex.web.messages import behind_proxies, networks


def state_of(login: str) -> str:
    return dict(part.split("=", 1) for part in login.split("?")[1].split("&"))["state"]


def session_of(browser: object) -> str | None:
    return browser.cookie("webex_session")  # type: ignore[attr-defined,no-any-return]  # a Browser


# The state


def test_a_forged_state_is_refused(site: Site) -> None:
    browser = site.browser()
    site.begin(browser)
    page = browser.get(f"{site.url}/auth/callback?code=abc&state={'x' * 43}")
    assert page.status == 400
    assert session_of(browser) is None


@pytest.mark.parametrize("query", ["", "code=abc", "state=", "code=abc&state=a&state=b", "state=%FF%00", "%ff=%ff"])
def test_a_callback_without_a_proper_state_is_refused(site: Site, query: str) -> None:
    browser = site.browser()
    site.begin(browser)
    assert browser.get(f"{site.url}/auth/callback?{query}").status == 400
    assert session_of(browser) is None


def test_a_replayed_callback_is_refused(site: Site) -> None:
    browser = site.browser()
    login = site.begin(browser)
    jar = dict(browser.cookies)
    back = site.cloud.sign_in(login)
    assert browser.get(back).status == 200
    thief = site.browser("thief")
    thief.cookies.update(jar)
    assert thief.get(back).status == 400
    assert session_of(thief) is None


def test_an_expired_state_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser))
    monkeypatch.setattr("webex.auth.login.LIFETIME", 0.0)
    page = browser.get(back)
    assert "too long" in page.text
    assert page.status == 400
    assert session_of(browser) is None


def test_a_login_of_another_browser_cannot_be_finished(site: Site) -> None:
    attacker, victim = site.browser("attacker"), site.browser("victim")
    back = site.cloud.sign_in(site.begin(attacker), as_="bob")
    page = victim.get(back)
    assert page.status == 400
    assert "another browser" in page.text
    assert session_of(victim) is None
    site.begin(victim)  # a login of their own does not help
    assert victim.get(site.cloud.sign_in(site.begin(attacker), as_="bob")).status == 400


def test_a_code_of_one_login_is_refused_in_another(site: Site) -> None:
    attacker, victim = site.browser("attacker"), site.browser("victim")
    stolen = site.cloud.sign_in(site.begin(victim), as_="alice")
    code = dict(part.split("=", 1) for part in stolen.split("?")[1].split("&"))["code"]
    own = state_of(site.begin(attacker))
    page = attacker.get(f"{site.url}/auth/callback?{urlencode({'state': own})}&code={code}")
    assert page.status == 400
    assert session_of(attacker) is None


# The session


def test_a_session_is_new_at_each_sign_in(site: Site) -> None:
    browser = site.browser()
    site.sign_in(browser, "bob")
    planted = session_of(browser)
    before = dict(browser.cookies)
    site.sign_in(browser, "alice")
    assert session_of(browser) != planted
    attacker = site.browser("attacker")
    attacker.cookies.update(before)
    assert site.me(attacker).status == 401


@pytest.mark.parametrize("value", ["known", "known.known", "", "a" * 5000, "../..", "é", "%00.%00"])
def test_a_forged_session_id_is_refused_and_never_adopted(site: Site, value: str) -> None:
    browser = site.browser()
    browser.cookies["127.0.0.1", "webex_session"] = quote(value, safe="./%")
    assert site.me(browser).status == 401
    site.sign_in(browser)
    assert not (session_of(browser) or "").startswith("known")


def test_a_login_cookie_is_refused_as_a_session_cookie(site: Site) -> None:
    browser = site.browser()
    site.begin(browser)
    login = browser.cookie("webex_login")
    browser.cookies["127.0.0.1", "webex_session"] = login or ""
    assert site.me(browser).status == 401


def test_a_copied_cookie_is_invalid_after_sign_out(site: Site) -> None:
    browser, thief = site.browser(), site.browser("thief")
    site.sign_in(browser)
    thief.cookies.update(browser.cookies)
    assert site.me(thief).status == 200
    browser.post(f"{site.url}/auth/logout", follow=False)
    assert site.me(thief).status == 401
    site.sign_in(browser)  # nor does it come back to life
    assert site.me(thief).status == 401


def test_stored_session_keys_are_not_valid_cookies(site: Site) -> None:
    browser = site.browser()
    site.sign_in(browser)
    session_id = (session_of(browser) or "").split(".")[0].encode()
    assert session_id
    for part in site.database.parent.glob("app.db*"):
        assert session_id not in part.read_bytes()
    keys = next(iter(SQLiteStorage(site.database).bind("sessions").keys()))
    thief = site.browser("thief")
    thief.cookies["127.0.0.1", "webex_session"] = keys[0].split("/")[-1]
    assert site.me(thief).status == 401


# Where to go afterwards


@pytest.mark.parametrize(
    "spelling",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "/%2Fevil.example/",
        "/%5Cevil.example/",
        "/\t/evil.example/",
        "/%09/evil.example/",
        "\n//evil.example/",
        "javascript:alert(1)",
        "data:text/html,evil",
        "http:evil.example",
        "https:/\\evil.example",
        "evil.example",
        " //evil.example/",
        "/%252F%252Fevil.example",
        "/\r\nLocation: //evil.example/",
        "////evil.example/..",
        "@evil.example",
        "/。evil.example/\x00",
    ],
)
def test_return_to_never_leaves_the_app(site: Site, spelling: str) -> None:
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser, quote(spelling, safe="")))
    location = browser.get(back, follow=False).headers["location"]
    assert location == "/", location


@pytest.mark.parametrize("own", ["/auth/login", "/auth/login?return_to=/auth/login", "/auth/callback?code=1"])
def test_return_to_never_loops(site: Site, own: str) -> None:
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser, quote(own, safe="")))
    assert browser.get(back, follow=False).headers["location"] == "/"


# Where the app is

FORGED = {
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "https",
    "x-forwarded-for": "10.0.0.1",
    "x-forwarded-prefix": "/evil",
    "x-forwarded-port": "444",
    "forwarded": "host=evil.example;proto=https",
}


def test_forged_forwarding_headers_are_ignored(site: Site) -> None:
    browser = site.browser()
    login = site.begin(browser, "/me", **FORGED)
    assert "evil" not in login
    assert quote(f"{site.url}/auth/callback", safe="") in login
    page = browser.get(site.cloud.sign_in(login), headers=FORGED)
    assert page.url == f"{site.url}/me"
    assert site.me(browser, **FORGED).status == 200


def test_a_forged_host_is_ignored(site: Site) -> None:
    login = site.begin(site.browser(), "/me", host="evil.example")
    assert "evil" not in login


def test_a_trusted_proxy_does_not_change_the_callback(make_site: Callable[..., Site]) -> None:
    site = make_site(trusted_proxies=["127.0.0.1"])
    login = site.begin(site.browser(), "/me", **FORGED)
    assert quote(f"{site.url}/auth/callback", safe="") in login


def test_only_trusted_proxies_are_honoured() -> None:
    request = WebRequest("GET", "http", "app", "/", headers={**FORGED, "x-forwarded-for": "6.6.6.6, 1.2.3.4, 10.0.0.2"})
    seen: list[str] = []
    for address, trusted in (("9.9.9.9", ["10.0.0.0/8"]), ("10.0.0.9", []), ("10.0.0.9", ["10.0.0.0/8"])):
        told = WebRequest(request.method, request.scheme, request.host, "/", headers=request.headers, client=address)
        found = behind_proxies(told, networks(trusted))
        seen.append(f"{found.origin} {found.client}")
    assert seen == ["http://app 9.9.9.9", "http://app 10.0.0.9", "https://evil.example 1.2.3.4"]


# Signing out


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {},
        {"origin": "http://127.0.0.1"},
        {"origin": "https://evil.example", "x-forwarded-host": "evil.example", "host": "evil.example"},
    ],
)
def test_another_site_cannot_sign_a_user_out(site: Site, headers: dict[str, str]) -> None:
    browser = site.browser()
    site.sign_in(browser)
    answer = browser._go("POST", f"{site.url}/auth/logout", {}, headers, follow=False)
    assert answer.status == 403
    assert site.me(browser).status == 200


def test_a_link_cannot_sign_a_user_out(site: Site) -> None:
    browser = site.browser()
    site.sign_in(browser)
    assert browser.get(f"{site.url}/auth/logout").status == 405
    assert site.me(browser).status == 200


def test_handlers_can_ask_for_the_same_origin(site: Site) -> None:
    browser = site.browser()
    site.sign_in(browser)
    assert browser.post(f"{site.url}/change").status == 200
    theirs = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert browser.post(f"{site.url}/change", headers=theirs).status == 403


# What is seen


def test_cookies_are_httponly_and_samesite(site: Site) -> None:
    browser = site.browser()
    login = browser.get(f"{site.url}/auth/login", follow=False)
    page = browser.get(site.cloud.sign_in(login.headers["location"]), follow=False)
    for answer in (login, page):
        assert "HttpOnly; SameSite=Lax" in answer.headers["set-cookie"]
        assert answer.headers["cache-control"] == "no-store"


def test_nothing_secret_is_on_a_page_or_in_a_repr(site: Site) -> None:
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser))
    code = dict(part.split("=", 1) for part in back.split("?")[1].split("&"))["code"]
    stranger = site.browser("stranger")
    page = stranger.get(back)
    assert code not in page.text
    request = WebRequest("GET", "http", "app", "/", query=f"code={code}", cookies={"a": code}, headers={"cookie": code})
    assert code not in repr(request)
    assert SECRET not in repr(site.auth._signer)
    assert json.loads(site.me(stranger).body)["error"] == "not_signed_in"
