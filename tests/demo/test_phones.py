"""Every page fits a phone: nothing is wider than the screen, and the demo shows the list or a room."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.demo.test_browser import chromium, demo  # noqa: F401 -- a fixture
from webex.emulator import Cloud

pytestmark = pytest.mark.browser
LONG = "a-person-with-a-very-long-name-that-no-line-of-a-phone-can-hold"


@pytest.fixture(params=[320, 414])
def phone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    for driver in chromium(tmp_path / "profile"):
        metrics = {"width": request.param, "height": 700, "deviceScaleFactor": 1, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.width = request.param
        yield driver


@pytest.fixture
def fits(phone: Any, tmp_path: Path) -> Callable[[str], None]:
    """Fails when the page can be scrolled sideways or something sticks out."""
    folder = Path(os.environ.get("WEBEX_TAKE_PHONE_PICTURES", tmp_path))

    def check(name: str) -> None:
        assert phone.save_screenshot(str(folder / f"{name}-{phone.width}.png"))
        widest = phone.execute_script(
            """
            const visible = [...document.body.querySelectorAll('*')].filter((item) => item.getClientRects().length);
            return Math.max(document.documentElement.scrollWidth,
                ...visible.map((item) => Math.ceil(item.getBoundingClientRect().right)));
            """
        )
        assert widest <= phone.width, f"{name} is {widest} px wide on a screen of {phone.width}"

    return check


def press(phone: Any, text: str) -> None:
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.wait import WebDriverWait

    where = f"//button[contains(., '{text}')] | //a[contains(., '{text}')]"
    # A look-up that a page load cuts short fails with no class of its own.
    waiting = WebDriverWait(phone, 20, ignored_exceptions=[WebDriverException])
    waiting.until(lambda page: page.find_element("xpath", where)).click()


def test_pages_of_the_demo_fit(demo: str, phone: Any, fits: Callable[[str], None]) -> None:  # noqa: F811 -- a fixture
    phone.get(demo)
    fits("welcome")
    phone.get(f"{demo}/auth/callback?code=a&state=b")
    fits("failed")
    phone.get(f"{demo}/auth/logout")
    fits("sign-out")
    phone.get(f"{demo}/nothing/here")
    assert "There is no such page" in phone.find_element("css selector", "h1").text
    fits("not-found")
    phone.get(f"{demo}/auth/login")
    fits("picker")
    press(phone, "Alice")
    fits("consent")
    press(phone, "Accept")

    assert phone.find_element("css selector", ".write").is_displayed()
    assert not phone.find_element("css selector", "aside").is_displayed()
    fits("room")
    phone.find_element("css selector", ".back").click()
    assert phone.find_element("css selector", "aside nav").is_displayed()
    assert not phone.find_element("css selector", "main").is_displayed()
    fits("list")
    phone.find_element("name", "title").send_keys(LONG * 2)
    press(phone, "+")
    assert phone.find_element("css selector", ".write").is_displayed()
    phone.find_element("name", "text").send_keys(LONG * 3)
    press(phone, "Send")
    fits("long-room")
    phone.get(f"{demo}/rooms/nothing")
    fits("no-such-room")
    phone.get(f"{demo}/auth/logout")
    press(phone, "Sign out")
    assert phone.find_element("partial link text", "Sign in with Webex")


def test_pages_of_the_emulator_fit_long_names(webex_cloud: Cloud, phone: Any, fits: Callable[[str], None]) -> None:
    person = webex_cloud.state.people[next(iter(webex_cloud.state.people))]
    person.display_name, person.email = LONG.title(), f"{LONG}@example.com"
    app = webex_cloud.state.integrations[webex_cloud.env["WEBEX_CLIENT_ID"]]
    app.name = LONG
    query = {
        "client_id": app.client_id,
        "redirect_uri": webex_cloud.env["WEBEX_REDIRECT_URI"],
        "response_type": "code",
        "scope": " ".join(app.scopes),
    }
    address = f"{webex_cloud.url}/v1/authorize?{urlencode(query)}"
    phone.get(address)
    fits("picker-long")
    press(phone, LONG.title())
    fits("consent-long")
    phone.get(f"{webex_cloud.url}/v1/authorize?client_id={'x' * 90}")
    fits("message")
