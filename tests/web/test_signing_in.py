"""A browser signs in, is known, and signs out."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.support.ports import free_port
from tests.web.conftest import SECRET, Server, Site, pages
from webex import AsyncIntegration, Integration
from webex.errors import AccessDeniedError, ConfigurationError, WebexError
from webex.web import WebRequest, WebResponse
from webex.web.fastapi import WebexAuth, WebexMiddleware
from webex.web.starlette import WebexAuth as StarletteWebexAuth


def test_a_person_signs_in_and_reaches_the_requested_page(site: Site) -> None:
    browser = site.browser()
    page = site.sign_in(browser, "alice", "/me?tab=1")
    assert page.url == f"{site.url}/me?tab=1"
    assert json.loads(page.body) == {"emails": ["alice@example.com"]}


def test_two_browsers_have_separate_sessions(site: Site) -> None:
    alice, bob = site.browser("alice"), site.browser("bob")
    site.sign_in(alice, "alice")
    site.sign_in(bob, "bob")
    assert json.loads(site.me(alice).body)["emails"] == ["alice@example.com"]
    assert json.loads(site.me(bob).body)["emails"] == ["bob@example.com"]


def test_a_signed_out_user_signs_in_and_returns_to_the_page(site: Site) -> None:
    browser = site.browser()
    page = browser.get(f"{site.url}/me?a=1&b=%2F", follow=False, headers={"accept": "text/html"})
    assert page.status == 303
    assert page.headers["location"] == f"/auth/login?return_to={quote('/me?a=1&b=%2F', safe='')}"
    login = browser.get(site.url + page.headers["location"], follow=False).headers["location"]
    assert browser.get(site.cloud.sign_in(login)).url == f"{site.url}/me?a=1&b=%2F"


def test_a_script_that_is_not_signed_in_gets_a_401(site: Site) -> None:
    answer = site.me(site.browser())
    assert answer.status == 401
    assert json.loads(answer.body)["error"] == "not_signed_in"
    assert json.loads(answer.body)["login"] == "/auth/login"
    assert answer.headers["www-authenticate"]


def test_a_page_may_be_optional_about_the_user(site: Site) -> None:
    browser = site.browser()
    assert json.loads(browser.get(f"{site.url}/maybe").body) == {"who": None}
    assert json.loads(browser.get(f"{site.url}/state").body) == {"who": None}
    site.sign_in(browser)
    who = json.loads(browser.get(f"{site.url}/maybe").body)["who"]
    assert who is not None
    assert json.loads(browser.get(f"{site.url}/state").body) == {"who": who}


def test_withdrawn_consent_redirects_to_the_sign_in(site: Site) -> None:
    browser = site.browser()
    site.sign_in(browser)
    site.cloud.revoke_consent("alice")
    answer = site.me(browser)
    assert answer.status == 401
    assert json.loads(answer.body)["error"] == "reauthorization_required"
    page = browser.get(f"{site.url}/me", follow=False)
    assert page.status == 303
    assert page.headers["location"].startswith("/auth/login?return_to=")
    assert site.sign_in(browser).status == 200


def test_signing_out_deletes_session_and_tokens(site: Site) -> None:
    browser = site.browser()
    site.sign_in(browser)
    page = browser.post(f"{site.url}/auth/logout", follow=False)
    assert (page.status, page.headers["location"]) == (303, "/auth/logout?signed_out=1&return_to=%2Fme")
    assert not browser.cookies
    assert site.me(browser).status == 401
    assert not site.cloud.state.refresh_tokens


def test_without_revoking_only_this_browser_is_signed_out(make_site: Callable[..., Site]) -> None:
    site = make_site(revoke_on_sign_out=False)
    one, other = site.browser("one"), site.browser("other")
    site.sign_in(one)
    site.sign_in(other)
    one.post(f"{site.url}/auth/logout", follow=False)
    assert site.me(one).status == 401
    assert site.me(other).status == 200


def test_localhost_is_redirected_to_the_host_of_the_cookie(site: Site) -> None:
    browser = site.browser()
    page = browser.get(site.url.replace("127.0.0.1", "localhost") + "/auth/login?return_to=/me", follow=False)
    assert page.headers["location"] == f"{site.url}/auth/login?return_to=/me"


def test_sessions_outlive_the_process(make_site: Callable[..., Site]) -> None:
    first = make_site()
    browser = first.browser()
    first.sign_in(browser)
    second = make_site()
    assert second.me(browser).status == 200


def test_a_secret_can_be_rotated_without_signing_users_out(make_site: Callable[..., Site]) -> None:
    old, new = "o" * 40, "n" * 40
    first = make_site(session_secret=old)
    browser = first.browser()
    first.sign_in(browser)
    assert make_site(session_secret=[new, old]).me(browser).status == 200
    assert make_site(session_secret=[new]).me(browser).status == 401


def test_a_session_ends_when_its_time_is_over(make_site: Callable[..., Site]) -> None:
    site = make_site(session_max_age=0.001)
    browser = site.browser()
    site.sign_in(browser)
    assert site.me(browser).status == 401


# Hooks


def test_a_success_hook_may_choose_the_target(make_site: Callable[..., Site]) -> None:
    seen = []

    async def welcome(signed_in: object, request: WebRequest) -> str:
        seen.append((signed_in.user.email, request.path))  # type: ignore[attr-defined]  # told by the annotation of the hook
        return "/maybe"

    site = make_site(on_success=welcome)
    assert site.sign_in(site.browser()).url == f"{site.url}/maybe"
    assert seen == [("alice@example.com", "/auth/callback")]


def test_a_success_hook_cannot_redirect_to_another_origin(make_site: Callable[..., Site]) -> None:
    site = make_site(on_success=lambda *_: "https://evil.example/")
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser))
    assert browser.get(back, follow=False).headers["location"] == "/"


def test_a_failure_hook_may_answer(make_site: Callable[..., Site]) -> None:
    seen: list[WebexError] = []

    def failed(error: WebexError, request: WebRequest) -> WebResponse:
        seen.append(error)
        return WebResponse(418, {"content-type": "text/plain"}, (), b"short and stout")

    site = make_site(on_failure=failed)
    browser = site.browser()
    page = browser.get(site.cloud.sign_in(site.begin(browser), deny=True))
    assert (page.status, page.text) == (418, "short and stout")
    assert isinstance(seen[0], AccessDeniedError)


# Pages that tell what went wrong


def test_a_refused_consent_is_explained(site: Site) -> None:
    browser = site.browser()
    page = browser.get(site.cloud.sign_in(site.begin(browser), deny=True))
    assert page.status == 403
    assert "You did not allow it" in page.text
    assert 'href="/auth/login?return_to=%2Fme"' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"


def test_a_wrong_client_secret_names_the_setting_and_shows_no_secret(make_site: Callable[..., Site]) -> None:
    site = make_site(client_secret="not-the-right-secret-of-this-app")
    browser = site.browser()
    page = browser.get(site.cloud.sign_in(site.begin(browser)))
    assert page.status == 500
    assert "WEBEX_CLIENT_SECRET" in page.text
    assert "not-the-right-secret" not in page.text


def test_a_page_escapes_request_parameters(site: Site) -> None:
    browser = site.browser()
    login = site.begin(browser)
    state = dict(part.split("=", 1) for part in login.split("?")[1].split("&"))["state"]
    page = browser.get(
        f"{site.url}/auth/callback?state={state}&error=x&error_description={quote('<script>alert(1)</script>')}"
    )
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text


def test_an_unreachable_cloud_is_explained(site: Site) -> None:
    browser = site.browser()
    back = site.cloud.sign_in(site.begin(browser))
    site.cloud.faults.add("/v1/access_token", drop=True)
    page = browser.get(back)
    assert page.status == 502
    assert "WEBEX_EMULATOR_URL" in page.text


# Set-up


@pytest.mark.parametrize("secret", ["", "short", b"x" * 31, [], ["x" * 40, "short"]])
def test_a_short_session_secret_is_refused(secret: object) -> None:
    with pytest.raises(ConfigurationError, match="session_secret"):
        WebexAuth(None, session_secret=secret)  # type: ignore[arg-type]  # wrong on purpose


def test_there_is_no_default_secret() -> None:
    with pytest.raises(TypeError):
        WebexAuth(None)  # type: ignore[call-arg]  # wrong on purpose


def integration(redirect_uri: str) -> AsyncIntegration:
    return AsyncIntegration(client_id="C1", client_secret="s" * 40, redirect_uri=redirect_uri, scope="openid")


@pytest.mark.parametrize(
    ("redirect_uri", "name", "path"),
    [
        ("https://app.example.com/auth/callback", "__Host-webex_session", "/"),
        ("https://example.com/app/auth/callback", "__Secure-webex_session", "/app"),
        ("http://127.0.0.1:8000/auth/callback", "webex_session", "/"),
    ],
)
def test_cookies_are_named_for_where_the_app_is(redirect_uri: str, name: str, path: str) -> None:
    place = WebexAuth(integration(redirect_uri), session_secret=SECRET).place
    cookie = place.jar.make("webex_session", "v", 60)
    assert (cookie.name, cookie.path, cookie.secure) == (name, path, redirect_uri.startswith("https"))
    assert "; HttpOnly; SameSite=Lax" in cookie.header
    assert cookie.header.endswith("; Secure") == cookie.secure


def test_plain_http_is_for_this_machine_only() -> None:
    # Settings may refuse it first; either way nobody gets an app whose cookies travel in the clear.
    with pytest.raises(ConfigurationError, match=r"redirect_uri|http"):
        WebexAuth(integration("http://app.example.com/auth/callback"), session_secret=SECRET)


def test_a_mismatching_redirect_uri_names_both_fixes() -> None:
    with pytest.raises(ConfigurationError, match="callback_path='/oauth/redirect'"):
        WebexAuth(integration("https://app.example.com/oauth/redirect"), session_secret=SECRET)
    WebexAuth(
        integration("https://app.example.com/oauth/redirect"), session_secret=SECRET, callback_path="/oauth/redirect"
    )


def test_a_blocking_integration_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="AsyncIntegration"):
        WebexAuth(Integration(client_id="C1"), session_secret=SECRET)  # type: ignore[arg-type]  # wrong on purpose


def test_an_integration_may_come_with_the_lifespan(site: Site) -> None:
    port = free_port()
    auth = WebexAuth(session_secret=SECRET)
    app = FastAPI(
        on_startup=[
            lambda: setattr(
                auth,
                "integration",
                AsyncIntegration(config=site.integration.config, redirect_uri=f"http://127.0.0.1:{port}/auth/callback"),
            )
        ]
    )
    app.include_router(auth.router)
    app.add_middleware(WebexMiddleware, auth=auth)
    pages(app)
    server = Server(app, port)
    try:
        late = Site(site.cloud, f"http://127.0.0.1:{port}", site.http, site.database, auth.integration, auth)
        assert late.sign_in(late.browser()).status == 200
    finally:
        server.stop()


def test_a_starlette_app_has_the_client_in_its_state(site: Site) -> None:
    port = free_port()
    made = AsyncIntegration(config=site.integration.config, redirect_uri=f"http://127.0.0.1:{port}/auth/callback")

    async def me(request: Request) -> JSONResponse:
        person = await request.state.webex.people.me()
        return JSONResponse({"name": person.display_name, "session": request.state.webex_session.display_name})

    app = Starlette(routes=[Route("/me", me)])
    auth = StarletteWebexAuth(made, session_secret=SECRET)
    auth.install(app)
    server = Server(app, port)
    try:
        other = Site(site.cloud, f"http://127.0.0.1:{port}", site.http, site.database, made, auth)  # type: ignore[arg-type]  # only its routes are used
        assert b"Alice" in other.sign_in(other.browser()).body
    finally:
        server.stop()
