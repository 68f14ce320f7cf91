"""A call is carried out at most once when its outcome is uncertain, and everything ends at the call's own deadline."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.limits import growing
from tests.transports.hostile import Peer, Server, answered, say
from webex import AsyncWebex, Webex
from webex.errors import ConnectError, DeadlineError, ResponseTooLargeError, TransportError

Serve = Callable[[Callable[[Peer], Any]], Server]
CREATED = answered(b"content-type: application/json", body=b'{"id": "M"}')


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: list[Server] = []

    def start(handler: Callable[[Peer], Any]) -> Server:
        made.append(Server(handler, None))
        return made[-1]

    yield start
    for server in made:
        server.close()


@pytest.fixture(params=["blocking", "async"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Make one call in one style."""

    def calling(server: Server, method: str, path: str, **options: Any) -> Any:
        settings = {"emulator_url": server.url.rstrip("/"), **options.pop("client", {})}
        if request.param == "blocking":
            with Webex("t", **settings) as webex:
                return webex.request(method, path, **options)

        async def main() -> Any:
            async with AsyncWebex("t", **settings) as webex:
                return await webex.request(method, path, **options)

        return asyncio.run(main())

    return calling


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set when the call is over: what the server says then is late, however slow the machine is."""
    made = threading.Event()
    yield made
    made.set()


def test_a_slow_response_within_the_deadline_is_awaited(call: Callable[..., Any], serve: Serve) -> None:
    """Ten times the idle time-out: it is for streams, and no limit of a call."""

    def slow(peer: Peer) -> None:
        while peer.request():
            time.sleep(0.7)
            peer.say(CREATED)

    server = serve(slow)
    assert call(server, "POST", "/messages", json={}, timeout=20, client={"idle_timeout": 0.07}).json() == {"id": "M"}
    assert len(server.seen) == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_late_response_is_not_retried(
    call: Callable[..., Any], serve: Serve, method: str, over: threading.Event
) -> None:
    def late(peer: Peer) -> None:
        while peer.request():
            over.wait(60)
            peer.say(CREATED)

    for limit in growing(0.3):
        over.clear()
        server = serve(late)
        with pytest.raises(DeadlineError):
            call(server, method, "/messages", timeout=limit)
        over.set()
        server.wait_until_closed()
        if server.seen:
            break
    assert len(server.seen) == 1


def test_a_slow_upload_is_sent_once(call: Callable[..., Any], serve: Serve, over: threading.Event) -> None:
    def slow_reader(peer: Peer) -> None:
        for _ in range(8):
            time.sleep(0.1)
            peer._read()
        over.wait(60)
        peer.request()
        peer.say(CREATED)

    for limit in growing(0.5):
        over.clear()
        server = serve(slow_reader)
        with pytest.raises(DeadlineError):
            call(server, "POST", "/messages", content=b"x" * 20_000_000, timeout=limit)
        over.set()
        if server.connections:
            break
    assert server.connections == 1


def test_attempts_share_one_deadline(call: Callable[..., Any], serve: Serve) -> None:
    def cutting(peer: Peer) -> None:
        peer.request()
        peer.cut()

    for limit in growing(1.0):
        server = serve(cutting)
        with pytest.raises(TransportError):
            call(server, "GET", "/rooms", timeout=limit, client={"max_retries": 1000})
        if len(server.seen) > 1:
            break
    assert len(server.seen) < 20


def test_an_oversized_response_is_not_retried(call: Callable[..., Any], serve: Serve) -> None:
    server = serve(say(answered(b"content-type: application/json", body=b" " * 5000)))
    with pytest.raises(ResponseTooLargeError):
        call(server, "GET", "/rooms", client={"max_response_size": 1000})
    assert len(server.seen) == 1


def test_connect_error_is_retried_even_for_a_post(call: Callable[..., Any], serve: Serve) -> None:
    server = serve(say(CREATED))
    server.close()
    with pytest.raises(ConnectError):
        call(server, "POST", "/messages", json={}, client={"max_retries": 1})


MEMORY = """
import asyncio, resource, sys
from webex import AsyncWebex, Webex
from webex.errors import WebexError
url, style = sys.argv[1:]
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
def blocking():
    with Webex("t", emulator_url=url, max_retries=0) as webex:
        for path in ("/warm", "/endless", "/error", "/bomb"):
            yield webex, path
def run_blocking():
    before = 0
    for webex, path in blocking():
        try:
            webex.request("GET", path, timeout=30)
        except WebexError as error:
            print(path, type(error).__name__, error.args[0][:40], file=sys.stderr)
        before = before or peak()
    return peak() - before
async def run_async():
    before = 0
    async with AsyncWebex("t", emulator_url=url, max_retries=0) as webex:
        for path in ("/warm", "/endless", "/error", "/bomb"):
            try:
                await webex.request("GET", path, timeout=30)
            except WebexError as error:
                print(path, type(error).__name__, error.args[0][:40], file=sys.stderr)
            before = before or peak()
    return peak() - before
print(run_blocking() if style == "blocking" else asyncio.run(run_async()))
"""


@pytest.mark.parametrize("style", ["blocking", "async"])
def test_hostile_bodies_stay_within_the_memory_limit(serve: Serve, style: str) -> None:
    import zlib

    maker = zlib.compressobj(9, wbits=31)
    million = b"\0" * 1_000_000
    bomb = b"".join(maker.compress(million) for _ in range(500)) + maker.flush()

    def handler(peer: Peer) -> None:
        while asked := peer.request():
            if b"/warm" in asked:
                peer.say(CREATED)
            elif b"/bomb" in asked:
                peer.say(answered(b"content-encoding: gzip", body=bomb))
            else:
                status = b"500 Oops" if b"/error" in asked else b"200 OK"
                peer.say(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\n\r\n")
                peer.forever(b"x" * 65536)
                return

    server = serve(handler)
    command = [sys.executable, "-c", MEMORY, server.url.rstrip("/"), style]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("ResponseTooLargeError") == 2, ended.stderr
    assert ended.stderr.count("ServerError") == 1, ended.stderr
    assert int(ended.stdout) < 50
