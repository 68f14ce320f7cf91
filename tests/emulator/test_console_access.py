"""The console's doors over plain requests: the way in, who is kept out, and what its pages may do."""

from __future__ import annotations

import json
import threading
from urllib.parse import quote, urlsplit

import pytest

from tests.emulator.console_browser import SCRIPT, SEED, Browser
from tests.emulator.helpers import fetch
from webex.emulator import Cloud, Emulator, EmulatorClient, inprocess
from webex.emulator.accounts import ALICE_TOKEN


@pytest.fixture
def browser(webex_cloud: Cloud) -> Browser:
    webex_cloud.load_seed(SEED)
    return Browser(webex_cloud)


# The way in


def test_key_opens_the_console_and_is_removed_from_the_url(browser: Browser) -> None:
    assert browser.opened.status == 303
    assert browser.opened.headers["location"] == "/"
    cookie = browser.opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Domain" not in cookie
    page = browser.get("/")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "Webex emulator" in page.text


def test_key_works_once(webex_cloud: Cloud) -> None:
    url = webex_cloud.console_url
    assert webex_cloud.console_url == url
    assert fetch(url).status == 303
    stolen = fetch(url)
    assert stolen.status == 403
    assert "set-cookie" not in stolen.headers
    assert "locked" in stolen.text
    another = webex_cloud.console_url
    assert another != url
    assert fetch(another).status == 303


def test_second_use_of_a_key_leaves_the_first_session_open(webex_cloud: Cloud) -> None:
    url = webex_cloud.console_url
    browser = Browser(webex_cloud, url)
    fetch(url)
    assert browser.view("overview")
    again = fetch(url, headers={"cookie": browser.cookie})
    assert (again.status, again.headers["location"]) == (303, "/")


@pytest.mark.parametrize("headers", [{"sec-purpose": "prefetch"}, {"purpose": "prefetch"}])
def test_prefetch_does_not_use_the_key_up(webex_cloud: Cloud, headers: dict[str, str]) -> None:
    url = webex_cloud.console_url
    assert fetch(url, headers=headers).status == 403
    assert fetch(url, "HEAD").status == 403
    assert fetch(url).status == 303


@pytest.mark.parametrize("key", ["", "x", "é", "\x00", "A" * 5000])
def test_wrong_keys_are_refused(webex_cloud: Cloud, key: str) -> None:
    url = webex_cloud.console_url
    answer = fetch(f"{webex_cloud.url}/?key={quote(key)}")
    assert answer.status == 403
    assert fetch(url).status == 303


def test_two_threads_with_one_key_get_one_session(webex_cloud: Cloud) -> None:
    url = webex_cloud.console_url
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(fetch(url).status)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [303, 403, 403, 403]


def test_console_url_is_available_locally_and_remotely() -> None:
    emulator = Emulator()
    with emulator as cloud:
        assert emulator.console_url == cloud.console_url == EmulatorClient(cloud.url).console_url
        assert emulator.console_url.startswith(f"{cloud.url}/?key=")


def test_cookie_of_one_emulator_opens_no_other(browser: Browser) -> None:
    with Emulator() as other:
        answer = fetch(other.url + "/_console/api/people", headers={"cookie": browser.cookie})
        assert answer.status == 401
        value = browser.cookie.partition("=")[2]
        name = Browser(other).cookie.partition("=")[0]
        assert name != browser.cookie.partition("=")[0]
        assert fetch(other.url + "/_console/api/people", headers={"cookie": f"{name}={value}"}).status == 401


def test_logging_out_ends_the_session(browser: Browser) -> None:
    browser.act("leave")
    assert browser.get("/_console/api/people").status == 401
    assert browser.get("/").status == 403


# Who is kept out

GUARDED = ["api/overview", "api/people", "events", "file?id=x", "html?id=x", "snapshot?id=1", "api/nothing", "nothing"]


@pytest.mark.parametrize("path", GUARDED)
def test_without_a_session_nothing_is_shown(webex_cloud: Cloud, path: str) -> None:
    for headers in ({}, {"cookie": "webex_console_1=x"}, {"x-webex-emulator": "1"}, {"authorization": ALICE_TOKEN}):
        answer = fetch(f"{webex_cloud.url}/_console/{path}", headers=headers)
        assert answer.status == 401
        assert ALICE_TOKEN not in answer.text
    page = fetch(webex_cloud.url + "/")
    assert page.status == 403
    assert ALICE_TOKEN not in page.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80"])
@pytest.mark.parametrize("path", ["/", "/?key=KEY", "/_console/api/people", "/_console/static/app.js"])
def test_rebound_host_is_refused(browser: Browser, host: str, path: str) -> None:
    url = browser.cloud.console_url
    answer = browser.get(path.replace("KEY", url.partition("key=")[2]), host=host)
    assert answer.status == 421
    assert fetch(url).status == 303  # the key was not used up


OTHERS = [
    "http://evil.example",
    "null",
    "http://127.0.0.1",
    "http://127.0.0.1:1",
    "http://localhost:PORT",
    "https://127.0.0.1:PORT",
    "http://127.0.0.1:PORT.evil.example",
    "http://127.0.0.1:PORT/",
    "",
]


@pytest.mark.parametrize("origin", OTHERS)
def test_page_of_another_origin_cannot_write(browser: Browser, origin: str) -> None:
    port = str(urlsplit(browser.cloud.url).port)
    answer = browser.post("add_person", {"email": "carol@example.com"}, origin=origin.replace("PORT", port))
    assert answer.status == 403
    assert len(browser.view("people")) == 5
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", [each for each in OTHERS if each])
def test_page_of_another_origin_cannot_read(browser: Browser, origin: str) -> None:
    assert browser.get("/_console/api/people", origin=origin).status == 403
    assert browser.get("/_console/events", origin=origin).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_sites_other_than_its_own_are_refused(browser: Browser, site: str) -> None:
    assert browser.get("/_console/api/people", sec_fetch_site=site).status == 403
    assert browser.post("reset", {}, sec_fetch_site=site).status == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_forms_change_nothing(browser: Browser, kind: str) -> None:
    assert browser.post("reset", {}, content_type=kind).status == 415
    assert browser.post("reset", [1]).status == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/_console/api/reset", "/_console/static/app.js", "/_console/events"])
def test_other_methods_are_refused(browser: Browser, method: str, path: str) -> None:
    headers = {"cookie": browser.cookie, "origin": browser.cloud.url}
    assert fetch(browser.cloud.url + path, method, headers=headers).status == 405
    assert fetch(browser.cloud.url + path, method, headers={"cookie": browser.cookie}).status == 403


def test_control_api_stays_closed_to_the_console_page(browser: Browser) -> None:
    for headers in (
        {"x-webex-emulator": "1", "origin": browser.cloud.url},
        {"x-webex-emulator": "1", "sec-fetch-site": "same-origin"},
        {"cookie": browser.cookie},
    ):
        assert fetch(browser.cloud.url + "/_emulator/env", headers=headers).status == 403


# What pages may do


@pytest.mark.parametrize("path", ["/", "/_console/api/people", "/_console/static/app.js", "/_console/nothing"])
def test_every_answer_has_the_security_headers(browser: Browser, path: str) -> None:
    headers = browser.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_page_loads_only_its_own_files_and_no_inline_code(browser: Browser) -> None:
    for page in (browser.get("/").text, fetch(browser.cloud.url + "/").text):
        assert "http:" not in page
        assert "https:" not in page
        assert "<style" not in page
        assert "style=" not in page
        assert page.count("<script") == page.count('<script type="module" src="/_console/static/')
    for name in (
        "app.js",
        "cards.js",
        "ui.js",
        "pages.js",
        "rooms.js",
        "traffic.js",
        "console.css",
        "message.css",
        "mark.svg",
    ):
        answer = fetch(f"{browser.cloud.url}/_console/static/{name}")
        assert answer.status == 200
        for sink in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "srcdoc", "eval("):
            assert sink not in answer.text
    for name in ("nothing.js", "console.html", "../service.py", "%2e%2e/service.py", "..%2fservice.py", ""):
        assert fetch(f"{browser.cloud.url}/_console/static/{name}").status == 404


def test_message_with_a_script_is_shown_sandboxed(browser: Browser) -> None:
    room = browser.view("rooms")[0]
    message = fetch(
        browser.cloud.url + "/v1/messages",
        json_body={"roomId": room["public_id"], "markdown": SCRIPT},
        token=ALICE_TOKEN,
    )
    assert message.status == 200
    answer = browser.get(f"/_console/api/room?id={room['id']}")
    assert answer.headers["content-type"] == "application/json"
    last = answer.json()["activities"][-1]["message"]
    browser.cloud.state.messages[last["id"]].html = SCRIPT  # a client may have put it there, encrypted
    frame = browser.get(f"/_console/html?id={last['id']}")
    assert SCRIPT in frame.text
    policy = frame.headers["content-security-policy"]
    assert "sandbox allow-same-origin" in policy
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("picture.png", "image/png", "image/png"),
        ("picture.svg", "image/svg+xml", "application/octet-stream"),
        ("page.html", "text/html", "application/octet-stream"),
    ],
)
def test_files_are_saved_and_only_pictures_shown(browser: Browser, name: str, kind: str, shown: str) -> None:
    room = browser.view("rooms")[0]
    body = (
        f'--x\r\ncontent-disposition: form-data; name="roomId"\r\n\r\n{room["public_id"]}\r\n'
        f'--x\r\ncontent-disposition: form-data; name="files"; filename="{name}"\r\ncontent-type: {kind}\r\n\r\n'
        f"{SCRIPT}\r\n--x--\r\n"
    )
    posted = fetch(
        browser.cloud.url + "/v1/messages",
        "POST",
        data=body.encode(),
        token=ALICE_TOKEN,
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert posted.status == 200, posted.text
    file = browser.view("files")[0]
    assert (file["name"], file["by"]) == (name, "Alice Example")
    saved = browser.get(f"/_console/file?id={file['id']}")
    assert saved.text == SCRIPT
    assert saved.headers["content-disposition"].startswith("attachment")
    shown_as = browser.get(f"/_console/file?show=1&id={file['id']}").headers
    assert shown_as["content-type"] == shown
    assert "sandbox" in shown_as["content-security-policy"]
    assert browser.get("/_console/file?id=nothing").status == 404


def test_neither_key_nor_session_is_readable_by_scripts_or_logs(browser: Browser) -> None:
    key = browser.cloud.console_url.partition("key=")[2]
    value = browser.cookie.partition("=")[2]
    fetch(f"{browser.cloud.url}/v1/people/me", token=ALICE_TOKEN, headers={"cookie": browser.cookie})
    logged = json.dumps([entry.as_dict() for entry in browser.cloud.requests])
    for secret in (key, value):
        assert secret not in logged
        assert secret not in repr(browser.cloud.console.access)
        assert secret.encode() not in browser.cloud.snapshot()


def test_with_tls_the_cookie_is_guarded_by_its_prefix(webex_cloud: Cloud) -> None:
    key = webex_cloud.console_url.partition("?")[2]
    answer = inprocess.call(webex_cloud, "GET", f"/?{key}", base="https://localhost:8443")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-webex_console_")
    assert cookie.endswith("; Secure")
    headers = {"cookie": cookie.partition(";")[0], "host": "localhost:8443"}
    assert inprocess.call(webex_cloud, "GET", "/", base="https://localhost:8443", headers=headers).status == 200
    assert inprocess.call(webex_cloud, "GET", "/", base="http://localhost:8443", headers=headers).status == 403
