"""A call's way: what is repeated, where a token goes, when a call gives up. In both styles, over both transports."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.support.forks import in_child, needs_fork
from tests.support.ports import free_port
from webex import AsyncWebex, Webex
from webex.errors import (
    ApiError,
    AuthenticationError,
    ConnectError,
    DeadlineError,
    RateLimitError,
    RedirectError,
    ServerError,
    TransportError,
    WebexError,
)
from webex.http import Call, Hooks, Outcome

Answer = tuple[int, dict[str, str], bytes]


class Server:
    """Answers as a test says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: list[Answer | Callable[[Any], None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.seen.append((self.command, self.path, headers, self.rfile.read(length)))
                answer = outer.answers.pop(0) if outer.answers else (200, {}, b'{"ok": true}')
                if callable(answer):
                    answer(self)
                    return
                status, extra, body = answer
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **extra}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


Requester = Callable[..., Any]


@pytest.fixture(params=["blocking-pyreqwest", "blocking-urllib3", "async-pyreqwest", "async-aiohttp"])
def request_(request: pytest.FixtureRequest, server: Server, monkeypatch: pytest.MonkeyPatch) -> Requester:
    """Call the server with one token, in one style over one transport."""
    for name in list(os.environ):
        if name.startswith("WEBEX_"):
            monkeypatch.delenv(name)
    style, transport = request.param.split("-")

    def call(method: str, url: str, *, hooks: Any = (), client: dict[str, Any] | None = None, **options: Any) -> Any:
        settings: dict[str, Any] = {"emulator_url": server.url, "transport": transport, **(client or {})}
        if style == "blocking":
            with Webex("the-token", hooks=hooks, **settings) as made:
                return made.request(method, url, **options)

        async def main() -> Any:
            async with AsyncWebex("the-token", hooks=hooks, **settings) as made:
                return await made.request(method, url, **options)

        return asyncio.run(main())

    return call


def test_a_call_brings_token_tracking_id_and_names(request_: Requester, server: Server) -> None:
    answer = request_("GET", "/rooms", params={"max": 3, "ids": ["a", "b c"], "x": None, "yes": True})
    assert answer.json() == {"ok": True}
    (method, path, headers, _) = server.seen[0]
    assert (method, path) == ("GET", "/v1/rooms?max=3&ids=a%2Cb%20c&yes=true")
    assert headers["authorization"] == "Bearer the-token"
    assert headers["trackingid"].startswith("webex-python-sdk_")
    assert answer.tracking_id == headers["trackingid"]
    assert "webex-python-sdk/" in headers["user-agent"]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_get_is_retried_with_the_same_tracking_id(request_: Requester, server: Server, status: int) -> None:
    server.answers = [(status, {"retry-after": "0"}, b""), (status, {"retry-after": "0"}, b"")]
    assert request_("GET", "/rooms").attempts == 3
    assert len({headers["trackingid"] for _, _, headers, _ in server.seen}) == 1


@pytest.mark.parametrize(("status", "calls"), [(503, 1), (500, 1), (429, 2), (423, 2)])
def test_a_post_is_retried_only_if_not_processed(request_: Requester, server: Server, status: int, calls: int) -> None:
    server.answers = [(status, {"retry-after": "0"}, b'{"message": "no"}')]
    if calls == 1:
        with pytest.raises(ServerError, match="no"):
            request_("POST", "/messages", json={"a": 1})
    else:
        request_("POST", "/messages", json={"a": 1})
        assert server.seen[0][3] == server.seen[1][3] == b'{"a":1}'
    assert len(server.seen) == calls


def test_a_post_is_not_retried_after_a_broken_connection(request_: Requester, server: Server) -> None:
    def cut(handler: Any) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)

    server.answers = [(200, {}, b"{}"), cut]
    request_("GET", "/rooms")
    with pytest.raises(TransportError) as caught:
        server.answers = [cut]
        request_("POST", "/messages", json={"a": 1})
    assert not isinstance(caught.value, ConnectError)
    assert sum(method == "POST" for method, *_ in server.seen) == 1


def test_a_malformed_retry_after_is_ignored(request_: Requester, server: Server) -> None:
    server.answers = [(429, {"retry-after": "rand(30),add(30)"}, b"")]
    assert request_("GET", "/rooms").status == 200


def test_a_wait_beyond_the_deadline_is_not_begun(request_: Requester, server: Server) -> None:
    server.answers = [(429, {"retry-after": "100"}, b'{"message": "slow down", "trackingId": "T1"}')]
    waits: list[Any] = []

    class Waits(Hooks):
        def on_retry(self, retry: Any) -> None:
            waits.append(retry)

    with pytest.raises(RateLimitError) as caught:
        request_("GET", "/rooms", timeout=50, hooks=[Waits()])
    assert waits == []
    assert caught.value.retry_after == 100
    assert caught.value.tracking_id == "T1"


def test_a_dripping_answer_ends_at_the_deadline(request_: Requester, server: Server) -> None:
    def drip(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000")
        handler.end_headers()
        for _ in range(100):
            try:
                handler.wfile.write(b"x")
                handler.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)

    server.answers = [drip]
    with pytest.raises(DeadlineError):
        request_("GET", "/rooms", timeout=0.5)


def test_a_cut_off_body_is_a_typed_error(request_: Requester, server: Server) -> None:
    def cut(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"half')
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)

    server.answers = [cut] * 3
    with pytest.raises(WebexError):
        request_("GET", "/rooms", client={"max_retries": 1})


def test_a_closed_port_is_a_connect_error(request_: Requester) -> None:
    with pytest.raises(ConnectError):
        request_("GET", "/rooms", client={"emulator_url": f"http://127.0.0.1:{free_port()}", "max_retries": 0})


@pytest.mark.parametrize("header", ["location", "cisco-location"])
def test_a_redirect_to_another_host_carries_no_token(
    request_: Requester, server: Server, elsewhere: Server, header: str
) -> None:
    server.answers = [(302, {header: f"{elsewhere.url}/v1/rooms"}, b"")]
    request_("GET", "/rooms")
    assert "authorization" in server.seen[0][2]
    assert "authorization" not in elsewhere.seen[0][2]


def test_a_redirect_within_the_cloud_keeps_the_token(request_: Requester, server: Server) -> None:
    server.answers = [(307, {"location": "/v1/other"}, b"")]
    request_("POST", "/rooms", json={"a": 1})
    assert [(method, path) for method, path, _, _ in server.seen] == [("POST", "/v1/rooms"), ("POST", "/v1/other")]
    assert server.seen[1][2]["authorization"] == "Bearer the-token"
    assert server.seen[1][3] == b'{"a":1}'


def test_a_post_is_not_redirected_to_another_host(request_: Requester, server: Server, elsewhere: Server) -> None:
    server.answers = [(307, {"location": f"{elsewhere.url}/v1/rooms"}, b"")]
    with pytest.raises(RedirectError):
        request_("POST", "/rooms", json={"secret": 1})
    assert elsewhere.seen == []


def test_endless_redirects_are_limited(request_: Requester, server: Server) -> None:
    server.answers = [(302, {"location": "/v1/rooms"}, b"")] * 20
    with pytest.raises(RedirectError, match="3 redirects"):
        request_("GET", "/rooms", client={"max_redirects": 3})
    assert len(server.seen) == 4


def test_another_host_gets_no_token(request_: Requester, elsewhere: Server) -> None:
    request_("GET", f"{elsewhere.url}/anything")
    assert "authorization" not in elsewhere.seen[0][2]


def test_a_repeated_401_is_an_authentication_error(request_: Requester, server: Server) -> None:
    server.answers = [(401, {}, b'{"message": "who are you", "errors": [{"description": "d1"}]}')]
    with pytest.raises(AuthenticationError, match="who are you") as caught:
        request_("GET", "/rooms")
    assert caught.value.errors == ["d1"]
    assert "the-token" not in f"{caught.value!r} {caught.value} {caught.value.request} {vars(caught.value)}"
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "body", [b"", b"<html>gateway</html>", b"\xff\xfe", b"[1]", b'{"message": {"deep": 1}}', b"nope"]
)
def test_error_bodies_of_any_kind_become_errors(request_: Requester, server: Server, body: bytes) -> None:
    server.answers = [(404, {}, body)]
    with pytest.raises(ApiError) as caught:
        request_("GET", "/rooms")
    assert caught.value.status == 404
    assert str(caught.value)


def test_hooks_receive_calls_without_the_token(request_: Requester, server: Server) -> None:
    heard: list[Any] = []

    class Listening(Hooks):
        def on_request(self, call: Call) -> None:
            call.headers["x-mine"] = "1"
            heard.append(call)

        def on_response(self, outcome: Outcome) -> None:
            heard.append(outcome)

    server.answers = [(503, {"retry-after": "0"}, b"")]
    request_("GET", "/rooms", hooks=[Listening()])
    assert server.seen[0][2]["x-mine"] == "1"
    assert (heard[1].status, heard[1].attempts) == (200, 2)
    assert "the-token" not in repr(heard)


def test_a_second_event_loop_can_use_the_client(server: Server) -> None:
    client = AsyncWebex("t", emulator_url=server.url)

    async def once() -> int:
        return (await client.request("GET", "/rooms")).status

    assert [asyncio.run(once()) for _ in range(3)] == [200, 200, 200]


@needs_fork
def test_a_forked_child_can_use_the_client(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    client = Webex("t", emulator_url=server.url)
    assert client.request("GET", "/rooms").status == 200
    assert in_child(lambda: client.request("GET", "/rooms").status == 200) == 0
    assert client.request("GET", "/rooms").status == 200
    client.close()


def test_a_cancelled_call_leaves_the_client_usable(server: Server) -> None:
    cancelled = threading.Event()

    def slow(handler: Any) -> None:
        cancelled.wait(60)

    async def main() -> int:
        async with AsyncWebex("t", emulator_url=server.url) as client:
            server.answers = [slow]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.request("GET", "/rooms"), 0.1)
            cancelled.set()
            return (await client.request("GET", "/rooms")).status

    assert asyncio.run(main()) == 200
