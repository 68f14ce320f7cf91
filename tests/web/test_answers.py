"""What the pages of a failed sign-in say, and what is read of a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.conftest import SECRET
from webex import Integration
from webex.errors import (
    AccessDeniedError,
    ConfigurationError,
    ConnectError,
    IdTokenError,
    InvalidClientError,
    InvalidGrantError,
    InvalidScopeError,
    LoginError,
    NotFoundError,
    NotSignedInError,
    OAuthError,
    ReauthorizationRequiredError,
    StorageError,
    UnauthorizedClientError,
    WebexError,
)
from webex.storage import MemoryStorage
from webex.web import WebRequest
from webex.web.blocking import BlockingSignIn
from webex.web.messages import redirect
from webex.web.pages import Problem, explain, page

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


NOT, AGAIN, FULL = NotSignedInError("no"), ReauthorizationRequiredError("again", reason="refused"), StorageError("full")

# What pages say

ERRORS: dict[str, tuple[WebexError, int, str, str | None]] = {
    "denied": (AccessDeniedError("access_denied"), 403, "You did not allow it", None),
    "id token": (IdTokenError("bad"), 502, "Webex's answer could not be trusted", "environment, and the clock"),
    "expired": (LoginError("x", reason="expired"), 400, "This sign-in took too long", None),
    "state": (LoginError("x", reason="state"), 400, "This sign-in is not known here", None),
    "used": (LoginError("x", reason="used"), 400, "This sign-in was used already", None),
    "code": (LoginError("x", reason="code"), 400, "The sign-in could not be finished", None),
    "browser": (LoginError("x", reason="browser"), 400, "This sign-in was begun in another browser", "redirect_uri"),
    "client": (
        InvalidClientError("invalid_client"),
        500,
        "Webex does not know this app",
        "client_id and client_secret",
    ),
    "app": (UnauthorizedClientError("unauthorized_client"), 500, "Webex does not know this app", "client_id and"),
    "grant": (InvalidGrantError("invalid_grant"), 400, "Webex did not accept this sign-in", "redirect_uri"),
    "scope": (InvalidScopeError("invalid_scope"), 500, "The app asks for more than it is registered for", "scope"),
    "oauth": (OAuthError("server_error"), 502, "Webex refused this sign-in", None),
    "not signed in": (NOT, 401, "You are not signed in", None),
    "again": (AGAIN, 401, "Please sign in again", None),
    "configuration": (ConfigurationError("set x"), 500, "This app is not set up completely", "set x"),
    "storage": (FULL, 503, "This app can't reach its storage", "storage: StorageError"),
    "transport": (ConnectError("x"), 502, "Webex can't be reached", "WEBEX_EMULATOR_URL"),
    "api": (NotFoundError("x", status=404), 502, "Webex refused a call", None),
    "other": (WebexError("x"), 500, "The sign-in failed", None),
}


@pytest.mark.parametrize(("error", "status", "title", "setting"), ERRORS.values(), ids=ERRORS)
def test_each_error_has_its_page(error: WebexError, status: int, title: str, setting: str | None) -> None:
    problem = explain(error)
    assert (problem.status, problem.title) == (status, title)
    assert problem.text
    assert (problem.setting or "").startswith(setting or "")
    assert (problem.setting is None) is (setting is None)


def test_page_has_no_scripts_and_is_not_cached(site: BlockingSignIn) -> None:
    answer = site.callback(get("/team/auth/callback", "state=x&code=y"))
    assert answer.headers == {
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-store",
        "content-security-policy": answer.headers["content-security-policy"],
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    assert "form-action 'self'; frame-ancestors 'none'" in answer.headers["content-security-policy"]
    text = answer.body.decode()
    assert text.startswith('<!doctype html><html lang="en"><head><meta charset="utf-8">')
    assert "<title>This sign-in is not known here</title>" in text
    assert "<h1>This sign-in is not known here</h1>" in text
    assert '<a href="/team/auth/login">Sign in with Webex</a>' in text
    assert "<script" not in text


# Requests


@pytest.mark.parametrize(
    ("headers", "wants"),
    [
        (HTML, True),
        ({"accept": "text/html,*/*"}, True),
        ({"accept": "*/*"}, False),
        ({}, False),
        ({"accept": "text/html", "sec-fetch-mode": "cors"}, False),
    ],
    ids=str,
)
def test_browsers_are_distinguished_from_scripts(headers: dict[str, str], wants: bool) -> None:
    assert get(headers=headers).wants_html is wants


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [
        ("/a/b", "", "/a/b"),
        ("/team/a", "/team", "/a"),
        ("/a", "/team", "/a"),
        ("/team", "/team", "/"),
        ("/t%65am/a", "/team/", "/a"),
        ("/team2/a", "/team", "/team2/a"),
        ("/x/y/a", "/x/y", "/a"),
        ("", "", "/"),
    ],
)
def test_path_below_the_root(path: str, root: str, below: str) -> None:
    assert get(path, root_path=root).address_in_app == below
    assert get(path, "q=1", root_path=root).address_in_app == f"{below}?q=1"
    assert get(path, "q=1").address == f"{path}?q=1"
    assert get(path).address == path


def test_all_cookies_of_one_name_are_read() -> None:
    request = get(cookies={"a": "1"}, headers={"cookie": "a=2; b=3; a=1;a = 4 ; a; =5; a="})
    assert request.cookie_values("a") == ["1", "2", "4", ""]
    assert request.cookie_values("b") == ["3"]
    assert request.cookie_values("c") == []
    assert get(host="App.Example.com").origin == "https://app.example.com"


def test_redirect_is_encoded_and_not_cached() -> None:
    answer = redirect("/é b")
    assert (answer.status, answer.cookies, answer.body) == (303, (), b"")
    assert answer.headers == {
        "location": "/%C3%A9%20b",
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
    }


def test_page_shows_a_lone_surrogate_as_a_question_mark() -> None:
    answer = page(Problem(400, "title", "half \ud800"), link="/a?b&c", link_text="<on>")
    assert b"<p>half ?</p>" in answer.body
    assert b'<a href="/a?b&amp;c">&lt;on&gt;</a>' in answer.body
    assert "retry-after" not in answer.headers
    assert page(Problem(503, "title", "text"), link="/", link_text="on").headers["retry-after"] == "5"
