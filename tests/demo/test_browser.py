"""The demo in a real browser: sign in, post, upload, sign out. The README's picture is taken here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port
from tests.support.tiers import left_out, program

pytestmark = pytest.mark.browser
PICTURE = Path(__file__).parent.parent.parent / "docs" / "images" / "demo.png"


@pytest.fixture
def demo() -> Iterator[str]:
    """`webex demo` as somebody would start it."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "webex.cli", "demo", "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TZ": "UTC"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "stop" in line:
            break
    else:
        pytest.fail("the demo ended at once")
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    process.stdout.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    yield from chromium(tmp_path / "profile")


@pytest.fixture
def second_browser(tmp_path: Path) -> Iterator[Any]:
    yield from chromium(tmp_path / "second-profile")


def chromium(profile: Path) -> Iterator[Any]:
    """A browser of its own, with no window."""
    try:
        from selenium import webdriver
    except ModuleNotFoundError:
        left_out("selenium is not installed in this environment")
        raise
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium", "chromium-browser")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--window-size=1280,800",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(program("chromedriver")))
    driver.implicitly_wait(10)
    # The window has borders; the page is to be exactly this large.
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False},
    )
    yield driver
    driver.quit()


def until(driver: Any, done: Callable[[Any], Any]) -> None:
    """Wait for something; a look-up or an action that a page load cuts short is tried again."""
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(driver, 20, ignored_exceptions=[WebDriverException]).until(done)


def click(driver: Any, text: str) -> None:
    """Press the button or follow the link with this text."""
    where = f"//button[contains(., '{text}')] | //a[contains(., '{text}')]"
    until(driver, lambda page: page.find_element("xpath", where).click() is None)


def enter(driver: Any, name: str, text: str) -> None:
    """Type into the field of this name."""
    until(driver, lambda page: page.find_element("name", name).send_keys(text) is None)


def headed(driver: Any, title: str) -> None:
    """Wait for the page with this heading."""
    until(driver, lambda page: page.find_element("css selector", "main h1").text == title)


def test_user_signs_in_posts_uploads_and_signs_out(demo: str, browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.support.expected_conditions import staleness_of
    from selenium.webdriver.support.wait import WebDriverWait

    def press(text: str) -> None:
        click(browser, text)

    def write(text: str, file: Path | None = None) -> None:
        browser.find_element("name", "text").send_keys(text)
        if file is not None:
            browser.find_element("name", "file").send_keys(str(file))
        form = browser.find_element("class name", "write")
        press("Send")
        WebDriverWait(browser, 10).until(staleness_of(form))

    browser.get(demo)
    press("Sign in with Webex")
    press("Alice")
    press("Accept")
    until(browser, lambda page: "alice@example.com" in page.find_element("css selector", "aside footer").text)

    press("Project Launch")
    headed(browser, "Project Launch")
    write("The cake is ordered, with two colours of icing.")
    assert "with two colours of icing" in browser.find_element("class name", "messages").text
    plan = tmp_path / "launch-plan.pdf"
    plan.write_bytes(b"%PDF-1.4\n" + b"plan " * 50_000)
    write("And here is the plan. See you all at the launch!", plan)
    assert "launch-plan.pdf" in browser.find_element("class name", "messages").text
    if PICTURE.parent.is_dir() and os.environ.get("WEBEX_TAKE_PICTURE"):
        browser.save_screenshot(str(PICTURE))
    shot = tmp_path / "demo.png"
    assert browser.save_screenshot(str(shot))
    assert shot.stat().st_size > 20_000

    enter(browser, "title", "My First Room!")
    press("+")
    headed(browser, "My First Room!")
    assert browser.find_element("class name", "empty").text == "Nobody has written anything yet."
    assert browser.find_element("css selector", "main h1").text == "My First Room!"

    press("Sign out")
    until(browser, lambda page: page.find_element("partial link text", "Sign in with Webex"))
    assert browser.get_cookies() == []
    browser.get(f"{demo}/me")
    assert "/v1/authorize" in browser.current_url


def test_two_people_see_each_others_messages_live(demo: str, browser: Any, second_browser: Any) -> None:
    def shown(driver: Any, text: str) -> None:
        until(driver, lambda page: text in page.find_element("class name", "messages").text)

    for driver, name in ((browser, "Alice"), (second_browser, "Bob")):
        driver.get(demo)
        click(driver, "Sign in with Webex")
        click(driver, name)
        click(driver, "Accept")
        until(driver, lambda page: page.find_element("css selector", "aside footer"))
    enter(browser, "title", "Live")
    click(browser, "+")
    headed(browser, "Live")
    enter(browser, "email", "bob@example.com")
    click(browser, "Invite")
    until(browser, lambda page: page.find_element("name", "email").get_attribute("value") == "")  # the page came again
    second_browser.get(browser.current_url)
    for driver in (browser, second_browser):
        until(driver, lambda page: page.find_elements("css selector", ".messages[data-live]"))
    # Nothing reloads the page of whoever reads.
    for writer, reader, text in (
        (browser, second_browser, "Do you see <b>this</b>, Bob?"),
        (second_browser, browser, "I do, Alice."),
    ):
        reader.execute_script("window.notReloaded = true")
        enter(writer, "text", text)
        click(writer, "Send")
        shown(reader, text)
        assert reader.execute_script("return window.notReloaded") is True
