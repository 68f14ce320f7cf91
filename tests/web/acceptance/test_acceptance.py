"""What every adapter does in every server that it is used in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit

import pytest

from tests.web.acceptance.sites import FIRST_SECRET, PROXIED, SECOND_SECRET, Proxy, Site, running
from webex.demo.browser import Browser
from webex.emulator import Cloud, Emulator

OFFLINE = [
    ("plain_asgi", "uvicorn"),
    ("starlette_app", "uvicorn"),
    ("fastapi_app", "uvicorn"),
    ("fastapi_session", "uvicorn"),
    ("litestar_app", "uvicorn"),
    ("litestar_session", "uvicorn"),
    ("quart_app", "uvicorn"),
    ("aiohttp_app", "aiohttp"),
    ("plain_wsgi", "wsgiref"),
    ("flask_app", "wsgiref"),
    ("flask_session", "wsgiref"),
    ("django_site", "wsgiref"),
    ("django_session", "wsgiref"),
    ("django_asgi", "uvicorn"),
    ("django_asgi_session", "uvicorn"),
    *(("lambda_app", kind) for kind in ("payload-1.0", "payload-2.0", "alb", "alb-single")),
]
ASGI_APPS = ("plain_asgi", "starlette_app", "fastapi_app", "litestar_app", "quart_app", "django_asgi")
WSGI_APPS = ("plain_wsgi", "flask_app", "django_site")
WITH_SERVERS = [
    *((app, "hypercorn") for app in ASGI_APPS),
    *((app, server) for app in WSGI_APPS for server in ("gunicorn-sync", "gunicorn-gevent", "waitress")),
    ("django_site", "runserver"),
    *((app, "gunicorn-uvicorn") for app in ("fastapi_app", "django_asgi")),
]
PAIRS = [
    *(pytest.param(pair, id="-".join(pair)) for pair in OFFLINE),
    *(pytest.param(pair, id="-".join(pair), marks=pytest.mark.servers) for pair in WITH_SERVERS),
]
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module", params=PAIRS)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param  # type: ignore[no-any-return]  # one of PAIRS


@pytest.fixture(scope="module")
def site(pair: tuple[str, str], cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(cloud, *pair, tmp_path_factory.mktemp("site")) as site:
        yield site


def test_person_signs_in_and_out(site: Site) -> None:
    browser = site.browser()
    assert json.loads(browser.get(f"{site.url}/").body) == "public"
    assert json.loads(browser.get(f"{site.url}/who").body) is None
    page = site.sign_in(browser)
    assert (page.url, page.status, json.loads(page.body)) == (f"{site.url}/me", 200, "alice@example.com")
    assert json.loads(browser.get(f"{site.url}/who").body) == "alice@example.com"
    out = browser.get(f"{site.url}/auth/logout")
    assert (out.status, "Sign out?" in out.text) == (405, True)
    out = browser.press(out, "Sign out")
    assert (out.url.partition("?")[0], out.status) == (f"{site.url}/auth/logout", 200)
    assert 'href="/auth/login?return_to=%2Fme">Sign in again' in out.text
    assert [name for _, name in browser.cookies if "webex" in name] == [], "several cookies are taken away at once"
    assert site.me(browser).status == 401


def test_two_people_at_once(site: Site) -> None:
    alice, bob = site.browser("alice"), site.browser("bob")
    at_webex = {person: site.begin(person) for person in (alice, bob)}
    for person in (bob, alice):
        page = person.get(site.cloud.sign_in(at_webex[person], as_=person.name))
        assert json.loads(page.body) == f"{person.name}@example.com"


def test_two_tabs_begin_before_either_ends(site: Site) -> None:
    browser = site.browser()
    tabs = [site.begin(browser, f"/rooms/{number}") for number in (1, 2)]
    for number, tab in enumerate(tabs, 1):
        page = browser.get(site.cloud.sign_in(tab))
        assert (page.url, page.status) == (f"{site.url}/rooms/{number}", 200)
    assert len({name for _, name in browser.cookies if name.endswith("webex_login")}) >= 1


@pytest.mark.parametrize("wanted", ["/rooms/a%2Fb", "/rooms/%E6%97%A5%E6%9C%AC%20x?q=%2F&r=%C3%BC", "/rooms/a;b@c:d"])
def test_requested_page_is_shown_after_the_sign_in(site: Site, wanted: str) -> None:
    browser = site.browser()
    login = browser.get(site.url + wanted, follow=False, headers=HTML)
    assert login.status == 303
    at_webex = browser.get(site.url + login.headers["location"], follow=False).headers["location"]
    page = browser.get(site.cloud.sign_in(at_webex))
    if not site.server.keeps_slash:
        path, mark, query = wanted.partition("?")
        wanted = path.replace("%2F", "/") + mark + query
    assert page.status == 200
    assert unescaped(page.url) == unescaped(site.url + wanted)


def unescaped(url: str) -> str:
    """A URL with those characters as they are that mean the same with and without percent-encoding in a path."""
    for character in ";@:":
        url = url.replace(quote(character, safe=""), character)
    return url


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "/auth/logout"])
def test_return_to_another_origin_is_ignored(site: Site, wanted: str) -> None:
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser, quote(wanted, safe="")))
    assert browser.get(back, follow=False).headers["location"] == "/"


def test_refused_consent_and_forged_state_are_explained(site: Site) -> None:
    browser = site.browser()
    page = browser.get(site.cloud.sign_in(site.begin(browser), deny=True))
    assert (page.status, "You did not allow it" in page.text) == (403, True)
    assert page.headers["cache-control"] == "no-store"
    page = browser.get(f"{site.url}/auth/callback?code=x&state=forged")
    assert (page.status, browser.cookie("webex_session")) == (400, None)
    back = site.cloud.sign_in(site.begin(browser))
    assert site.browser("thief").get(back).status == 400


def test_head_does_not_use_the_code_and_reload_reaches_the_app(site: Site) -> None:
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser))
    early = browser._send("HEAD", back, None, {})
    assert (early.status, early.body) == (503, b"")
    assert browser.get(back).url == f"{site.url}/me"
    assert browser.get(back).url == f"{site.url}/me"
    head = site.browser()._send("HEAD", f"{site.url}/me", None, HTML)
    assert (head.status, head.body) == (303, b"")


def test_script_without_a_user_gets_a_401_with_the_login(site: Site) -> None:
    page = site.me(site.browser())
    assert page.status == 401
    assert json.loads(page.body) == {
        "error": "not_signed_in",
        "message": "Sign in with Webex to go on.",
        "login": "/auth/login",
    }


def test_cross_site_sign_out_is_refused(site: Site) -> None:
    browser = site.browser()
    site.sign_in(browser)
    for headers in (
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
        {"origin": site.url, "sec-fetch-site": "same-site"},
    ):
        assert browser.post(f"{site.url}/auth/logout", headers=headers).status == 403
        assert browser.post(f"{site.url}/who", headers=headers).status == 403
    assert browser.get(f"{site.url}/auth/logout").status == 405
    assert site.me(browser).status == 200


def test_copied_cookie_is_invalid_after_the_sign_out(site: Site) -> None:
    browser, thief = site.browser(), site.browser("thief")
    site.sign_in(browser)
    thief.cookies.update(browser.cookies)
    assert site.me(thief).status == 200
    assert browser.post(f"{site.url}/auth/logout", follow=False).status == 303
    assert site.me(thief).status == 401


def test_session_id_is_new_with_every_sign_in(site: Site) -> None:
    browser = site.browser()
    seen = set()
    for _ in range(2):
        site.sign_in(browser)
        seen.add(browser.cookie("session") or browser.cookie("sessionid"))
    assert len(seen) == 2
    assert None not in seen


def test_storage_outage_loses_nothing(site: Site) -> None:
    browser, other = site.browser(), site.browser("other")
    site.sign_in(browser)
    back = site.cloud.sign_in(site.begin(other), as_="bob")
    with site.without_storage():
        page = browser.get(f"{site.url}/me")
        assert (page.status, page.headers["retry-after"]) == (503, "5")
        assert "Nothing was lost" in page.text
        assert 'href="/me"' in page.text
        page = site.me(browser)
        assert (page.status, json.loads(page.body)["error"]) == (503, "storage_unavailable")
        assert other.get(back).status == 503
        assert site.browser().get(f"{site.url}/").status == 200
    assert json.loads(site.me(browser).body) == "alice@example.com"
    assert json.loads(other.get(back).body) == "bob@example.com"


def test_stream_arrives_incrementally(site: Site) -> None:
    if not site.server.streams:  # an answer of a function is one piece
        return
    (site.folder / "continue").unlink(missing_ok=True)
    answer = site.http.request("GET", f"{site.url}/stream", preload_content=False, retries=False, timeout=30)
    assert answer.read(6) == b"first\n"
    (site.folder / "continue").touch()
    assert answer.read() == b"last\n"
    answer.release_conn()


def test_twenty_people_make_two_hundred_requests_at_once(site: Site) -> None:
    people = [f"person{number}@example.com" for number in range(20)]
    for email in people:
        if not any(known.email == email for known in site.cloud.state.people.values()):
            site.cloud.add_person(email)
    browsers = {email: site.browser(email) for email in people}
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda email: site.sign_in(browsers[email], email), people))
        answers = list(pool.map(lambda email: (email, site.me(browsers[email])), people * 10))
    assert len(answers) == 200
    for email, page in answers:
        assert (page.status, json.loads(page.body)) == (200, email)


def test_tls_proxy_prefix_and_rotated_secret(pair: tuple[str, str], site: Site) -> None:
    """Another process of the app, over the same storage: below a prefix, behind TLS, with a new secret."""
    before = site.browser()
    site.sign_in(before)
    redirect_uri = f"{PROXIED}/team/auth/callback"
    registered = site.cloud.state.integrations[site.cloud.env["WEBEX_CLIENT_ID"]].redirect_uris
    if redirect_uri not in registered:
        registered.append(redirect_uri)
    variables = {
        "WEBEX_REDIRECT_URI": redirect_uri,
        "APP_PREFIX": "/team",
        "SESSION_SECRETS": f"{SECOND_SECRET},{FIRST_SECRET}",
    }
    with running(site.cloud, *pair, site.folder, **variables) as other:
        port = urlsplit(other.url).port or 0
        for strips in ("", "/team"):  # the server is told of the prefix; or it is not, and the proxy takes it away
            visit_below_prefix(site, Proxy(other.http, port, strips=strips), before)


def visit_below_prefix(site: Site, proxy: Proxy, before: Browser) -> None:
    browser = Browser("one", proxy)  # type: ignore[arg-type]  # it has the one method that is used
    wanted = f"{PROXIED}/team/rooms/a%20b?x=1"
    login = browser.get(wanted, follow=False, headers={**HTML, "x-forwarded-host": "evil.example"})
    assert login.headers["location"] == "/team/auth/login?return_to=%2Fteam%2Frooms%2Fa%2520b%3Fx%3D1"
    at_webex = browser.get(PROXIED + login.headers["location"], follow=False)
    assert at_webex.headers["set-cookie"].startswith("__Secure-")
    assert all(part in at_webex.headers["set-cookie"] for part in ("; Path=/team", "; Secure", "; HttpOnly"))
    page = browser.get(site.cloud.sign_in(at_webex.headers["location"], as_="bob"))
    assert (page.url, page.status) == (wanted, 200)

    kept = Browser("kept", proxy)  # type: ignore[arg-type]  # as above
    kept.cookies = {
        ("app.example.com", f"__Secure-{name}" if name == "webex_session" else name): value
        for (_, name), value in before.cookies.items()
    }
    assert json.loads(kept.get(f"{PROXIED}/team/me").body) == "alice@example.com"

    out = browser.post(f"{PROXIED}/team/auth/logout", headers={"referer": f"{PROXIED}/team/me"})
    assert (out.status, out.url) == (200, f"{PROXIED}/team/auth/logout?signed_out=1&return_to=%2Fteam%2Fme")
    assert 'href="/team/auth/login?return_to=%2Fteam%2Fme">Sign in again' in out.text
    assert browser.get(f"{PROXIED}/team/me", follow=False, headers=HTML).status == 303
