"""What real browsers do: several tabs, reload, Back, prefetching, odd cookies."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.web.conftest import SECRET, Site
from webex.demo.browser import Browser
from webex.web.cookies import Signer
from webex.web.core import LOGIN_COOKIE

SPECULATIVE = [
    {"sec-purpose": "prefetch"},
    {"sec-purpose": "prefetch;prerender"},
    {"sec-purpose": "prefetch;anonymous-client-ip"},
    {"purpose": "prefetch"},
    {"Purpose": "Prefetch"},
    {"x-moz": "prefetch"},
    {"x-purpose": "preview"},
]


def signed_in(site: Site, browser: Browser) -> bool:
    return site.me(browser).status == 200


def test_two_tabs_both_sign_in(site: Site) -> None:
    browser = site.browser()
    first = site.cloud.sign_in(site.begin(browser, "/me?tab=1"))
    second = site.cloud.sign_in(site.begin(browser, "/me?tab=2"))
    assert browser.get(second).url == f"{site.url}/me?tab=2"
    assert browser.get(first).url == f"{site.url}/me?tab=1"
    assert signed_in(site, browser)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_concurrent_tabs_both_sign_in(site: Site, order: tuple[int, int]) -> None:
    # Neither request has the other's cookie; the browser then keeps both.
    tabs = [site.browser("first"), site.browser("second")]
    backs = [site.cloud.sign_in(site.begin(tab, f"/me?tab={number}")) for number, tab in enumerate(tabs)]
    browser = site.browser()
    for tab in tabs:
        browser.cookies.update(tab.cookies)
    assert len(browser.cookies) == 2
    for number in order:
        assert browser.get(backs[number]).url == f"{site.url}/me?tab={number}"
    assert signed_in(site, browser)


def test_many_tabs_leave_few_cookies(site: Site) -> None:
    browser = site.browser()
    for _ in range(12):
        site.begin(browser)
    assert len(browser.cookies) == 1
    for number in range(12):
        alone = site.browser(str(number))
        site.begin(alone)
        browser.cookies.update(alone.cookies)
    assert len(browser.cookies) == 13
    assert site.cloud.sign_in(site.begin(browser))
    assert len(browser.cookies) <= 5
    assert site.sign_in(browser).status == 200


def test_reload_of_the_callback_redirects_to_the_same_page(site: Site) -> None:
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser, "/me?tab=1"))
    browser.get(back)
    session = browser.cookie("webex_session")
    again = browser.get(back)
    assert (again.url, again.status) == (f"{site.url}/me?tab=1", 200)
    assert browser.cookie("webex_session") == session


def test_back_to_the_consent_page_redirects_to_the_page(site: Site) -> None:
    browser = site.browser()
    login = site.begin(browser)
    browser.get(site.cloud.sign_in(login))
    assert browser.get(site.cloud.sign_in(login)).url == f"{site.url}/me"
    assert signed_in(site, browser)


@pytest.mark.parametrize("query", ["", "code=abc", "state=x&code=y", "code=a&code=b&state=c", "state=%FF%00"])
def test_signed_in_browser_at_a_bare_callback_reaches_the_app(site: Site, query: str) -> None:
    browser = site.browser()
    site.sign_in(browser)
    page = browser.get(f"{site.url}/auth/callback?{query}", follow=False)
    assert (page.status, page.headers["location"]) == (303, "/")
    assert signed_in(site, browser)


def test_foreign_login_does_not_replace_a_session(site: Site) -> None:
    browser, attacker = site.browser(), site.browser("attacker")
    site.sign_in(browser, "alice")
    injected = site.cloud.sign_in(site.begin(attacker, "/maybe"), as_="bob")
    assert browser.get(injected, follow=False).headers["location"] == "/"
    assert b"alice@example.com" in site.me(browser).body


def test_session_without_tokens_does_not_loop(site: Site) -> None:
    browser = site.browser()
    site.sign_in(browser)
    site.cloud.revoke_consent("alice")
    assert site.me(browser).status == 401
    assert browser.get(f"{site.url}/auth/callback?code=a&state=b", follow=False).status == 400


@pytest.mark.parametrize("headers", SPECULATIVE, ids=str)
def test_prefetch_does_not_use_the_code(site: Site, headers: dict[str, str]) -> None:
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser))
    early = browser.get(back, follow=False, headers=headers)
    assert early.status == 503
    assert early.headers["cache-control"] == "no-store"
    assert browser.get(back).url == f"{site.url}/me"
    late = browser.get(back, follow=False, headers=headers)
    assert (late.status, late.headers["location"]) == (303, "/me")


def test_head_does_not_use_the_code(site: Site) -> None:
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser))
    assert browser._go("HEAD", back, None, {}, follow=False).status == 503
    assert browser.get(back).url == f"{site.url}/me"


def test_prefetch_of_the_login_has_no_effect(site: Site) -> None:
    browser = site.browser()
    browser.get(f"{site.url}/auth/login", follow=False, headers={"sec-purpose": "prefetch"})
    browser._go("HEAD", f"{site.url}/auth/login", None, {}, follow=False)
    assert site.sign_in(browser).status == 200


def test_post_to_the_callback_finishes_like_a_get(site: Site) -> None:
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser))
    assert browser.post(back).url == f"{site.url}/me"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused_and_do_not_use_the_code(site: Site, method: str) -> None:
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser))
    assert browser._go(method, back, None, {}, follow=False).status == 405
    assert browser.get(back).url == f"{site.url}/me"


def test_slash_at_the_end_is_the_same_route(site: Site) -> None:
    browser = site.browser()
    login = browser.get(f"{site.url}/auth/login/?return_to=/me", follow=False).headers["location"]
    back = site.cloud.sign_in(login).replace("/auth/callback?", "/auth/callback/?")
    assert browser.get(back).url == f"{site.url}/me"


def test_used_state_without_a_session_is_a_page(site: Site) -> None:
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser))
    browser.get(back)
    del browser.cookies["127.0.0.1", "webex_session"]
    page = browser.get(back)
    assert (page.status, "used already" in page.text) == (400, True)
    assert 'href="/auth/login?return_to=%2Fme"' in page.text
    assert site.sign_in(browser).status == 200


def test_logout_by_get_is_a_page_with_the_button(site: Site) -> None:
    browser = site.browser()
    site.sign_in(browser)
    page = browser.get(f"{site.url}/auth/logout")
    assert page.status == 405
    assert page.headers["allow"] == "POST"
    assert "form-action" not in page.headers["content-security-policy"]  # it would stop a redirect on to Webex
    assert page.headers["referrer-policy"] == "same-origin"
    assert signed_in(site, browser)
    browser.press(page, "Sign out")
    assert not signed_in(site, browser)


# Cookies


def test_session_cookie_of_another_app_on_the_host_is_skipped(site: Site) -> None:
    browser = site.browser()
    site.sign_in(browser)
    ours = browser.cookie("webex_session")
    theirs = Signer("another app's secret of thirty-two bytes").sign("x" * 43, "webex_session")
    for pair in ((ours, theirs), (theirs, ours), ("", ours), (f'"{theirs}"', ours)):
        header = "; ".join(f"webex_session={value}" for value in pair)
        answer = site.me(site.browser("raw"), cookie=header)
        assert answer.status == 200, pair


@pytest.mark.parametrize("junk", ["\xff\xfe=\xff", "=", ";;;", "a", "webex_session", "webex_login=\xe9.\xe9", "é=é"])
def test_malformed_cookies_are_ignored(site: Site, junk: str) -> None:
    browser = site.browser()
    site.sign_in(browser)
    ours = browser.cookie("webex_session")
    assert site.me(site.browser("raw"), cookie=f"{junk}; webex_session={ours}").status == 200
    page = site.browser("new").get(f"{site.url}/auth/login", follow=False, headers={"cookie": junk})
    assert page.status == 303


def test_login_cookie_of_another_secret_is_replaced(make_site: Callable[..., Site]) -> None:
    first = make_site(session_secret="o" * 40)
    browser = first.browser()
    first.begin(browser)
    second = make_site(session_secret="n" * 40)
    assert second.sign_in(browser).status == 200


def test_many_logins_do_not_lock_others_out(site: Site) -> None:
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser))
    flood = site.browser("flood")
    for number in range(300):
        flood.cookies.clear()
        site.begin(flood, quote(f"/{'x' * 1000}{number}"))
    assert browser.get(back).url == f"{site.url}/me"
    assert site.sign_in(site.browser("late"), "bob").status == 200


def test_duplicate_parameters_take_the_first_return_to(site: Site) -> None:
    browser = site.browser()
    assert site.sign_in(browser, return_to="/me?a=1&return_to=https://evil.example/").url == f"{site.url}/me?a=1"


def test_purpose_is_part_of_a_signature() -> None:
    signed = Signer(SECRET).sign("value", LOGIN_COOKIE)
    assert Signer(SECRET).open(signed, "webex_session") is None
