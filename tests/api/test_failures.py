"""What errors say: the host, the time-out, and what came instead of an answer."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from tests.api.conftest import Said, Script
from tests.support.ports import free_port
from webex import Webex
from webex.errors import ConnectError, DeadlineError, DecodeError, TransportError

PAGE = b"<!doctype html><html><body>Sign in to the hotel's network, token=hidden</body></html>"
HTML = {"content-type": "text/html; charset=utf-8", "trackingid": "PROXY_1"}


def test_connect_error_names_the_host() -> None:
    port = free_port()
    with Webex("a-token", emulator_url=f"http://127.0.0.1:{port}", max_retries=0) as client:
        with pytest.raises(ConnectError, match=rf"\[GET http://127\.0\.0\.1:{port}/v1/people/me\]") as caught:
            client.people.me()
    assert caught.value.request is not None
    assert urlsplit(caught.value.request.url).port == port


def test_connect_error_after_a_redirect_names_the_other_host(script: Script, client: Webex) -> None:
    port = free_port()
    script.answer = lambda asked: Said(302, headers={"location": f"http://127.0.0.1:{port}/elsewhere"})

    with pytest.raises(ConnectError, match=rf"127\.0\.0\.1:{port}/elsewhere"):
        client.people.me()


def test_cut_answer_names_the_host(script: Script, client: Webex) -> None:
    script.answer = lambda asked: Said(200, {"id": "x" * 5000}, cut_after=100)

    with pytest.raises(TransportError, match=r"\[POST http://127\.0\.0\.1:\d+/v1/messages\]"):
        client.messages.create(room_id="r", text="hello")


def test_deadline_error_names_the_exceeded_timeout(script: Script) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Webex("a-token", emulator_url=url, max_retries=0, timeout=0.2, transport="urllib3") as client:
            with pytest.raises(DeadlineError, match=r"0\.2 s.*\[GET http://127") as caught:
                client.people.me()
            assert caught.value.timeout == 0.2
            with pytest.raises(DeadlineError, match=r"0\.1 s"):
                client.request("GET", "/people/me", timeout=0.1)


@pytest.mark.parametrize("call", ["model", "list", "request", "raw", "create"])
def test_html_page_of_a_proxy_is_a_decode_error(script: Script, client: Webex, call: str) -> None:
    script.answer = lambda asked: Said(200, PAGE, HTML)
    calls = {
        "model": client.people.me,
        "list": client.rooms.list().to_list,
        "request": lambda: client.request("GET", "/people/me").json(),
        "raw": lambda: client.with_raw_response(client.rooms.get, "r"),
        "create": lambda: client.messages.create(room_id="r", text="hello"),
    }

    with pytest.raises(DecodeError) as caught:
        calls[call]()

    error, text = caught.value, str(caught.value)
    assert (error.status, error.content_type, error.tracking_id) == (200, HTML["content-type"], "PROXY_1")
    assert "127.0.0.1" in text
    assert "200, text/html" in text
    assert "PROXY_1" in text
    assert "HTML" in text
    assert "hidden" not in text


@pytest.mark.parametrize("body", [b"", b"   ", b"[1, 2", b'{"id": "\xff"}', b"[]", b"1", b'"text"'])
def test_unreadable_response_names_its_origin(script: Script, client: Webex, body: bytes) -> None:
    script.answer = lambda asked: Said(200, body, {"trackingid": "T_1"})

    with pytest.raises(DecodeError, match=r"\[200, application/json\] \[GET http://127.*T_1"):
        client.people.me()
