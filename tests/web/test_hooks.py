"""Hooks work with the framework's own request and response."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse

from tests.web.conftest import SECRET, Site
from webex import AsyncIntegration, Integration
from webex.errors import ConfigurationError, NotSignedInError
from webex.web import BlockingSignIn, SignIn, WebResponse
from webex.web.fastapi import WebexAuth


def finish(site: Site, **options: Any) -> Any:
    browser = site.browser()
    return browser, browser.get(site.cloud.sign_in(site.begin(browser), **options), follow=False)


def test_hooks_get_the_framework_s_request_and_return_its_response(make_site: Callable[..., Site]) -> None:
    seen: list[Any] = []

    def welcome(signed_in: Any, request: Request) -> RedirectResponse:
        seen.append((isinstance(request, Request), request.url.path, request.app.title))
        response = RedirectResponse("/日本", 302)
        response.set_cookie("theme", "dark")
        return response

    site = make_site(on_success=welcome)
    browser, page = finish(site)
    assert (page.status, page.headers["location"]) == (302, "/%E6%97%A5%E6%9C%AC")
    assert seen == [(True, "/auth/callback", "FastAPI")]
    assert browser.cookie("theme") == "dark"
    assert site.me(browser).status == 200


def test_failure_hook_returns_the_framework_s_response(make_site: Callable[..., Site]) -> None:
    async def failed(error: Any, request: Request) -> JSONResponse:
        return JSONResponse({"problem": type(error).__name__, "at": request.url.path}, 422)

    _, page = finish(make_site(on_failure=failed), deny=True)
    assert page.status == 422
    assert page.text == '{"problem":"AccessDeniedError","at":"/auth/callback"}'


def test_failure_hook_may_name_a_path(make_site: Callable[..., Site]) -> None:
    _, page = finish(make_site(on_failure=lambda *_: "/maybe"), deny=True)
    assert (page.status, page.headers["location"]) == (303, "/maybe")


@pytest.mark.parametrize("hook", ["on_success", "on_failure"])
def test_hooks_may_raise_the_framework_s_exception(make_site: Callable[..., Site], hook: str) -> None:
    def refuse(*_: Any) -> None:
        raise HTTPException(451, "not here")

    browser, page = finish(make_site(**{hook: refuse}), deny=hook == "on_failure")
    assert (page.status, page.text) == (451, '{"detail":"not here"}')
    assert browser.cookie("webex_session") is None


def test_raising_hook_begins_no_session(make_site: Callable[..., Site]) -> None:
    def refuse(*_: Any) -> None:
        raise NotSignedInError("not on the list")

    browser, page = finish(make_site(on_success=refuse))
    assert page.status == 401
    assert browser.cookie("webex_session") is None


def test_hook_that_returns_something_else_is_a_configuration_error(make_site: Callable[..., Site]) -> None:
    _, page = finish(make_site(on_success=lambda *_: {"a": 1}))
    assert page.status == 500
    assert "a hook returned dict" in page.text.lower()


def test_app_with_its_own_session_gets_no_session_cookie(make_site: Callable[..., Site]) -> None:
    def welcome(signed_in: Any, request: Request) -> PlainTextResponse:
        response = PlainTextResponse("hello")
        response.set_cookie("own", signed_in.user.email)
        return response

    site = make_site(on_success=welcome, own_session=True)
    browser, _ = finish(site)
    assert browser.cookie("own")
    assert browser.cookie("webex_session") is None
    with pytest.raises(ConfigurationError, match="on_success"):
        WebexAuth(site.integration, session_secret=SECRET, own_session=True)


async def asynchronous(*_: Any) -> None:
    return None


class Callable_:
    async def __call__(self, *_: Any) -> None:
        return None


@pytest.mark.parametrize("hook", [asynchronous, functools.partial(asynchronous, 1), Callable_(), Callable_().__call__])
@pytest.mark.parametrize("name", ["on_success", "on_failure"])
@pytest.mark.parametrize("kind", [SignIn, BlockingSignIn])
def test_asynchronous_hook_over_a_blocking_integration_is_refused(kind: Any, name: str, hook: Any) -> None:
    blocking = Integration(
        client_id="C1", client_secret="s" * 40, redirect_uri="http://127.0.0.1/auth/callback", scope="openid"
    )
    with pytest.raises(ConfigurationError, match=f"{name} is asynchronous"):
        kind(blocking, session_secret=SECRET, **{name: hook})
    kind(blocking, session_secret=SECRET, **{name: lambda *_: WebResponse(204)})
    late = SignIn(session_secret=SECRET, **{name: hook})
    late.integration = blocking
    with pytest.raises(ConfigurationError, match=f"{name} is asynchronous"):
        _ = late.place


def test_styles_are_checked_at_construction() -> None:
    settings: Any = {"client_id": "C1", "client_secret": "s" * 40, "redirect_uri": "http://127.0.0.1/auth/callback"}
    with pytest.raises(ConfigurationError, match="AsyncIntegration"):
        WebexAuth(Integration(**settings), session_secret=SECRET)
    with pytest.raises(ConfigurationError, match="needs an Integration"):
        BlockingSignIn(AsyncIntegration(**settings), session_secret=SECRET)
    with pytest.raises(ConfigurationError, match="not int"):
        SignIn(7, session_secret=SECRET)  # type: ignore[arg-type]  # wrong on purpose
