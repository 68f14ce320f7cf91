"""One sign-out ends the sessions of a person in all browsers, and nobody else's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.web.conftest import Site
from webex import Integration
from webex.storage import SQLiteStorage


def who(site: Site, browser: Any) -> str | None:
    found: str | None = json.loads(browser.get(f"{site.url}/maybe", follow=False).body)["who"]
    return found


@pytest.mark.parametrize("how", ["logout route", "integration", "another process", "everywhere", "erase"])
def test_all_browsers_of_one_person_are_signed_out(site: Site, how: str) -> None:
    one, two, other = site.browser("one"), site.browser("two"), site.browser("other")
    site.sign_in(one)
    site.sign_in(two)
    site.sign_in(other, "bob")
    key = who(site, one)
    assert key is not None
    assert who(site, two) == key
    if how == "logout route":
        one.post(f"{site.url}/auth/logout", follow=False)
    elif how == "integration":
        asyncio.run(site.integration.sign_out(key))
    else:
        with Integration(
            storage=SQLiteStorage(site.database),
            client_id=site.integration.config.client_id,
            client_secret=site.integration.config.client_secret,
            emulator_url=site.cloud.url,
        ) as elsewhere:
            if how == "everywhere":
                assert elsewhere.sign_out_everywhere(key) == 2
                assert elsewhere.is_signed_in(key)
            elif how == "erase":
                assert elsewhere.erase(key) == []
            else:
                assert elsewhere.sign_out(key)
    assert who(site, one) is None
    assert who(site, two) is None
    assert who(site, other) is not None
    assert site.me(other).status == 200
    site.sign_in(two)
    assert who(site, two) == key


def test_sign_out_everywhere_ends_a_session_without_its_list(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    browser = site.browser()
    site.sign_in(browser)
    key = who(site, browser)
    assert key is not None
    sessions = SQLiteStorage(site.database).bind("sessions")
    for name in [name for page in sessions.keys("") for name in page]:
        if "sessions" in sessions.get(name):
            sessions.delete(name)
    assert asyncio.run(site.integration.sign_out_everywhere(key)) == 1
    assert who(site, browser) is None
