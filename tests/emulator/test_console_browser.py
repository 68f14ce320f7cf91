"""The console in Chromium, on a screen and on a phone. The pictures of the docs are taken here."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.demo.conftest import _quiet_browsers  # noqa: F401 -- a fixture: addresses hold keys
from tests.demo.test_browser import chromium
from tests.emulator.helpers import fetch
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN, BOB_TOKEN, CLIENT_ID
from webex.ids import public_id

pytestmark = pytest.mark.browser
PICTURES = Path(__file__).parents[2] / "docs" / "images"
BREAK = "parent.document.title = 'broken'"
SCRIPT = f'<p>Plain</p><script>{BREAK}</script><img src=x onerror="{BREAK}">'
SEED = {
    "rooms": [
        {
            "title": "Project Launch",
            "by": "alice",
            "members": ["bob", "bot"],
            "messages": [
                {"by": "alice", "markdown": "Hi **Bob**, is the *plan* ready? We need\n\n- the venue\n- the cake"},
                {"by": "bob", "markdown": "The venue is booked: `room 7`, from noon."},
            ],
        },
        {"title": "Support", "by": "bob", "members": ["alice"], "messages": [{"by": "bob", "text": "Who is on call?"}]},
    ]
}


@pytest.fixture
def cloud(webex_cloud: Cloud) -> Cloud:
    webex_cloud.load_seed(SEED)
    return webex_cloud


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    yield from chromium(tmp_path / "profile")


@pytest.fixture
def target() -> Iterator[str]:
    """A webhook's target on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"received": true}')

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>Signed in</h1>")

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def wait(browser: Any, condition: Callable[[Any], Any]) -> Any:
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.wait import WebDriverWait

    # The page may be drawn anew between two looks.
    return WebDriverWait(browser, 20, ignored_exceptions=[WebDriverException]).until(condition)


def page(browser: Any, name: str) -> None:
    browser.find_element("id", f"nav-{name}").click()
    wait(browser, lambda b: b.find_elements("css selector", f"main[data-page={name}]"))


def press(browser: Any, text: str, within: str = "main") -> None:
    xpath = f"//{within}//button[contains(., '{text}')]"
    wait(browser, lambda b: b.find_element("xpath", xpath).click() or True)


def shows(browser: Any, text: str) -> None:
    wait(browser, lambda b: text in b.find_element("tag name", "main").text)


def test_developer_uses_every_console_view(cloud: Cloud, browser: Any, target: str, tmp_path: Path) -> None:
    url = cloud.console_url
    browser.get(url)
    wait(browser, lambda b: b.find_element("id", "live").text == "live")
    assert browser.current_url == f"{cloud.url}/"

    # A redirect URI is added, and a person signs in with it.
    page(browser, "apps")
    field = browser.find_element("css selector", "form input[name=uri]")
    field.send_keys(f"{target}/signed-in")
    press(browser, "Add redirect URI")
    shows(browser, f"{target}/signed-in")
    query = {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": f"{target}/signed-in",
        "scope": "openid spark:all",
        "state": "s",
    }
    console = browser.current_window_handle
    browser.switch_to.new_window("tab")
    browser.get(f"{cloud.url}/v1/authorize?{urlencode(query)}")
    wait(browser, lambda b: b.find_element("xpath", "//button[contains(., 'Alice')]").click() or True)
    wait(browser, lambda b: b.find_element("xpath", "//button[contains(., 'Accept')]").click() or True)
    wait(browser, lambda b: b.current_url.startswith(f"{target}/signed-in"))
    browser.close()
    browser.switch_to.window(console)
    shows(browser, "1 consent")

    # A message is posted; its delivery is seen, opened and repeated.
    hook = {
        "name": "Launch bot",
        "targetUrl": f"{target}/hook",
        "resource": "messages",
        "event": "created",
        "secret": "s",
    }
    assert fetch(cloud.url + "/v1/webhooks", json_body=hook, token=ALICE_TOKEN).status == 200
    page(browser, "rooms")
    wait(browser, lambda b: b.find_element("partial link text", "Project Launch").click() or True)
    shows(browser, "Post as")
    wait(browser, lambda b: b.find_element("name", "markdown").send_keys("The **cake** is ordered.") or True)
    press(browser, "Post")
    wait(browser, lambda b: len(b.find_elements("css selector", "article.act iframe")) == 3)
    browser.switch_to.frame(browser.find_elements("css selector", "article.act iframe")[-1])
    wait(browser, lambda b: b.find_element("tag name", "strong").text == "cake")
    browser.switch_to.default_content()
    page(browser, "webhooks")
    shows(browser, "Launch bot")
    wait(browser, lambda b: len(b.find_elements("css selector", ".tries > details")) == 1)
    browser.find_element("css selector", ".tries summary time").click()
    shows(browser, "Signature")
    shows(browser, '{"received": true}')
    press(browser, "Redeliver")
    wait(browser, lambda b: len(b.find_elements("css selector", ".tries > details")) == 2)
    shows(browser, "redelivered")

    # The clock is moved, and a fault is switched on and off.
    page(browser, "clock")
    before = cloud.now()
    press(browser, "+ 14 days")
    shows(browser, "14 days ahead of real time")
    assert cloud.now() - before >= 14 * 86400
    press(browser, "Back to real time")
    page(browser, "faults")
    browser.find_element("name", "status").send_keys("503")
    press(browser, "Switch on")
    shows(browser, "status 503")
    assert fetch(cloud.url + "/v1/rooms", token=BOB_TOKEN).status == 503
    shows(browser, "1 time so far")
    press(browser, "Switch off")
    shows(browser, "No request fails on purpose.")
    assert fetch(cloud.url + "/v1/rooms", token=BOB_TOKEN).status == 200
    page(browser, "requests")
    shows(browser, "/v1/rooms")
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []

    picture(browser, tmp_path, 1280, 800)
    picture(browser, tmp_path, 390, 844)


def picture(browser: Any, folder: Path, width: int, height: int) -> None:
    """Take the rooms' picture: for the docs when WEBEX_TAKE_PICTURE is set."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "UTC"})
    page(browser, "rooms")
    if width < 500:
        wait(browser, lambda b: b.find_element("partial link text", "Project Launch").click() or True)
    wait(browser, lambda b: len(b.find_elements("css selector", "article.act iframe")) == 3)
    wait(browser, lambda b: b.execute_script("return !document.querySelector('.toast')"))
    wanted = PICTURES if os.environ.get("WEBEX_TAKE_PICTURE") else folder
    shot = wanted / f"console-{width}.png"
    browser.execute_script("window.scrollTo(0, 0)")
    assert browser.save_screenshot(str(shot))
    assert shot.stat().st_size > 15_000


def test_script_in_a_message_a_title_and_a_name_does_not_run(cloud: Cloud, browser: Any) -> None:
    room = next(iter(cloud.state.rooms.values()))
    room.title = SCRIPT
    cloud.state.people[ALICE_ID].display_name = SCRIPT
    message = next(iter(cloud.state.messages.values()))
    message.html, message.text = SCRIPT, SCRIPT
    browser.get(cloud.console_url)
    for name in ("people", "files", "requests", "webhooks", "sockets", "keys", "rooms"):
        page(browser, name)
    browser.get(f"{cloud.url}/#/rooms/{message.room_id}")
    browser.refresh()
    wait(browser, lambda b: len(b.find_elements("css selector", "article.act iframe")) == 2)
    frame = browser.find_element("css selector", "article.act iframe")
    assert frame.get_attribute("sandbox") == "allow-same-origin"
    browser.switch_to.frame(frame)
    wait(browser, lambda b: b.find_element("tag name", "p").text == "Plain")
    browser.switch_to.default_content()
    assert "<script>" in browser.find_element("css selector", ".card h2").text
    assert browser.title == "Rooms · Webex emulator"
    assert browser.execute_script("return document.querySelectorAll('main script').length") == 0


def test_links_in_a_message_frame_do_not_navigate(cloud: Cloud, browser: Any, target: str) -> None:
    message = next(iter(cloud.state.messages.values()))
    message.html = f'<meta http-equiv="refresh" content="0;url={target}/left"><a href="{target}/left">leave</a>'
    browser.get(cloud.console_url)
    browser.get(f"{cloud.url}/#/rooms/{message.room_id}")
    browser.refresh()
    wait(browser, lambda b: len(b.find_elements("css selector", "article.act iframe")) == 2)
    browser.switch_to.frame(browser.find_element("css selector", "article.act iframe"))
    wait(browser, lambda b: b.find_element("tag name", "a").click() or True)
    told: list[str] = []

    def refused(_: Any) -> bool:
        told.extend(entry["message"] for entry in browser.get_log("browser"))
        return any("frame-src" in text and target in text for text in told)

    wait(browser, refused)


def test_page_of_another_origin_has_no_access(cloud: Cloud, browser: Any, target: str) -> None:
    browser.get(cloud.console_url)
    wait(browser, lambda b: b.find_element("id", "live").text == "live")
    browser.get(f"{target}/evil")  # the same site, another port: the browser sends the cookie along
    for path, options in (
        ("/_console/api/add_person", {"method": "POST", "body": '{"email": "eve@example.com"}'}),
        ("/_console/api/reset", {"method": "POST", "mode": "no-cors", "body": "{}"}),
        ("/_console/api/people", {}),
        ("/_emulator/env", {"headers": {"x-webex-emulator": "1"}}),
    ):
        script = """
            const [url, options, done] = arguments;
            fetch(url, {credentials: 'include', ...options})
                .then(async (answer) => done(`${answer.type} ${answer.status} ${await answer.text()}`))
                .catch(() => done('refused'));
        """
        told = browser.execute_async_script(script, cloud.url + path, options)
        assert told in ("refused", "opaque 0 "), told
    assert len(cloud.state.people) == 5


@pytest.mark.parametrize("width", [320, 390])
def test_every_page_fits_a_phone(cloud: Cloud, browser: Any, target: str, width: int) -> None:
    name = "a-name-that-no-line-of-a-phone-can-hold-" * 3
    cloud.state.people[ALICE_ID].display_name = name
    next(iter(cloud.state.rooms.values())).title = name
    hook = {"name": name, "targetUrl": f"{target}/{name}", "resource": "messages", "event": "created", "secret": "s"}
    fetch(cloud.url + "/v1/webhooks", json_body=hook, token=ALICE_TOKEN)
    room = next(iter(cloud.state.rooms))
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(cloud.console_url)
    for each in [link.get_attribute("id")[4:] for link in browser.find_elements("css selector", "#nav a")]:
        page(browser, each)
        if each == "rooms":
            browser.get(f"{cloud.url}/#/rooms/{room}")
            wait(browser, lambda b: b.find_elements("css selector", "article.act"))
        widest = browser.execute_script(
            """
            const visible = [...document.querySelectorAll('main *')].filter((item) => item.getClientRects().length
                && !item.closest('pre'));
            return Math.max(document.documentElement.scrollWidth,
                ...visible.map((item) => Math.ceil(item.getBoundingClientRect().right)));
            """
        )
        assert widest <= width, f"{each} is {widest} px wide on a screen of {width}"


def test_card_is_drawn_filled_in_and_submitted(cloud: Cloud, browser: Any) -> None:
    room = next(iter(cloud.state.rooms.values()))
    hostile = {
        "type": "TextBlock",
        "text": SCRIPT + f" [leave](javascript:{BREAK}) **bold** [docs](https://example.com/)",
    }
    content = {
        "type": "AdaptiveCard",
        "version": "1.3",
        "body": [
            hostile,
            {"type": "Image", "url": "https://example.com/tracking.png", "altText": "A picture"},
            {"type": "FactSet", "facts": [{"title": "Room", "value": "7"}]},
            {"type": "Input.Text", "id": "why", "label": "Why?", "isRequired": True, "errorMessage": "Say why."},
            {"type": "Input.Number", "id": "count", "value": 2},
            {"type": "Input.Toggle", "id": "loud", "title": "Loud", "valueOn": "yes", "valueOff": "no"},
            {
                "type": "Input.ChoiceSet",
                "id": "cakes",
                "isMultiSelect": True,
                "value": "a",
                "choices": [{"title": "Apple", "value": "a"}, {"title": "Berry", "value": "b"}],
            },
            {"type": "TextBlock", "id": "more", "text": "More of it", "isVisible": False},
        ],
        "actions": [
            {"type": "Action.Submit", "title": "Order", "data": {"n": 7}},
            {"type": "Action.ToggleVisibility", "title": "More", "targetElements": ["more"]},
            {
                "type": "Action.ShowCard",
                "title": "Refuse",
                "card": {
                    "type": "AdaptiveCard",
                    "body": [{"type": "Input.Text", "id": "reason", "isRequired": True}],
                    "actions": [{"type": "Action.Submit", "title": "No"}],
                },
            },
            {"type": "Action.OpenUrl", "title": "Leave", "url": f"javascript:{BREAK}"},
        ],
    }
    body = {
        "roomId": public_id("ROOM", room.id),
        "text": "A card",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": content}],
    }
    assert fetch(cloud.url + "/v1/messages", json_body=body, token=ALICE_TOKEN).status == 200
    browser.get(cloud.console_url)
    browser.get(f"{cloud.url}/#/rooms/{room.id}")
    browser.refresh()
    shows(browser, "Why?")
    shows(browser, "A picture")
    shows(browser, "<script>")
    drawn = browser.find_element("css selector", ".adaptive")
    assert [link.get_attribute("href") for link in drawn.find_elements("tag name", "a")] == ["https://example.com/"]
    assert drawn.find_elements("css selector", "img, script") == []
    assert "More of it" not in drawn.text
    press(browser, "More")
    shows(browser, "More of it")

    press(browser, "Order")  # a required input is empty
    assert drawn.find_element("css selector", "[data-input=why]").get_property("validationMessage") == "Say why."
    assert not cloud.state.attachment_actions
    drawn.find_element("css selector", "[data-input=why]").send_keys("Because")
    drawn.find_elements("css selector", "[type=checkbox]")[0].click()
    drawn.find_elements("css selector", "[type=checkbox]")[2].click()
    press(browser, "Order")
    wait(browser, lambda b: cloud.state.attachment_actions)
    (action,) = cloud.state.attachment_actions.values()
    assert action.inputs == {"n": 7, "why": "Because", "count": "2", "loud": "yes", "cakes": "a,b"}
    assert cloud.state.people[action.person_id].email == "bob@example.com"  # its author can't submit it
    assert browser.title == "Rooms · Webex emulator"
    blocked = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert blocked == []
