"""Where the pages of a sign-out lead: back to the page before it, and to no other place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.web.conftest import SECRET
from tests.web.test_core import SETTINGS, get, post
from webex import Integration
from webex.storage import MemoryStorage
from webex.web.blocking import BlockingSignIn


@pytest.fixture
def site() -> Iterator[BlockingSignIn]:
    with Integration(storage=MemoryStorage(), **SETTINGS) as integration:
        yield BlockingSignIn(integration, session_secret=SECRET)


def test_page_after_a_sign_out_leads_back_to_the_page_before(site: BlockingSignIn) -> None:
    headers = {"sec-fetch-site": "same-origin", "referer": "https://app.example.com/team/inbox?a=1"}
    shown = site.logout(get("/team/auth/logout", headers=headers))
    assert b'action="/team/auth/logout?return_to=%2Fteam%2Finbox%3Fa%3D1"' in shown.body
    assert b'href="/team/inbox?a=1">Back to the app</a>' in shown.body
    location = site.logout(post("/team/auth/logout", headers)).headers["location"]
    assert location == "/team/auth/logout?signed_out=1&return_to=%2Fteam%2Finbox%3Fa%3D1"
    path, _, query = location.partition("?")
    page = site.logout(replace(get(path), query=query))
    assert (page.status, page.headers["cache-control"]) == (200, "no-store")
    assert b"You are signed out" in page.body
    assert b'href="/team/auth/login?return_to=%2Fteam%2Finbox%3Fa%3D1">Sign in again</a>' in page.body


@pytest.mark.parametrize(
    ("query", "referer"),
    [
        ("return_to=https%3A%2F%2Fevil.example%2F", ""),
        ("return_to=%2F%2Fevil.example", "https://app.example.com/team/inbox"),
        ("", "https://evil.example/team/inbox"),
        ("", "https://app.example.com.evil.example/team/inbox"),
        ("", "https://app.example.com//evil.example/"),
        ("", "https://app.example.com/team/auth/logout"),
        ("", "https://[app.example.com/team/inbox"),
        ("", "about:blank"),
    ],
)
def test_page_after_a_sign_out_leads_to_no_other_place(site: BlockingSignIn, query: str, referer: str) -> None:
    asked = replace(post("/team/auth/logout", {"sec-fetch-site": "same-origin", "referer": referer}), query=query)
    assert site.logout(asked).headers["location"] == "/team/auth/logout?signed_out=1"
    shown = replace(get("/team/auth/logout", headers={"referer": referer}), query=f"signed_out=1&{query}")
    assert b'href="/team/auth/login">Sign in again</a>' in site.logout(shown).body
