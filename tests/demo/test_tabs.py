"""Signing in with Chromium as people do it: two tabs at once, Back, reload."""

from __future__ import annotations

from typing import Any

import pytest

from tests.demo.test_browser import browser, demo  # noqa: F401 -- fixtures
from tests.demo.test_phones import press

pytestmark = pytest.mark.browser


def where(driver: Any) -> str:
    return str(driver.find_element("css selector", "aside footer").text)


def test_two_tabs_back_and_reload_all_reach_the_app(demo: str, browser: Any) -> None:  # noqa: F811 -- fixtures
    first = browser.current_window_handle
    browser.get(f"{demo}/auth/login?return_to=/rooms?tab=1")
    browser.switch_to.new_window("tab")
    second = browser.current_window_handle
    browser.get(f"{demo}/auth/login?return_to=/rooms?tab=2")
    for tab, number in ((first, 1), (second, 2)):
        browser.switch_to.window(tab)
        press(browser, "Alice")
        press(browser, "Accept")
        assert "alice@example.com" in where(browser)
        assert browser.current_url == f"{demo}/rooms?tab={number}"
    for tab in (first, second):
        browser.switch_to.window(tab)
        browser.refresh()
        assert "alice@example.com" in where(browser)
    # Back past the consent page, which came by POST and is not kept, to the list of people.
    browser.back()
    browser.back()
    press(browser, "Alice")
    press(browser, "Accept")
    assert "alice@example.com" in where(browser)
    assert browser.current_url == f"{demo}/rooms?tab=2"
