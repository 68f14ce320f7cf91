"""Time and size of a whole call, against servers that never end: each test ends because a limit ends it."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from webex import AsyncWebex, Webex
from webex.errors import ApiError, DeadlineError, ResponseTooLargeError, ServerError

CELLS = ["blocking-urllib3", "async-aiohttp"]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


class Endless:
    """A server that writes what `pieces` gives, without end, after it has read a request's head."""

    def __init__(self) -> None:
        self.pieces: Callable[[], Iterator[bytes]] = lambda: iter(())
        self.pause = 0.0
        self.requests = 0
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            data = b""
            while b"\r\n\r\n" not in data:
                if not (piece := client.recv(65536)):
                    return
                data += piece
            self.requests += 1
            for piece in self.pieces():
                client.sendall(piece)
                if self._ended.wait(self.pause):
                    return
            self._ended.wait()


@pytest.fixture
def server() -> Iterator[Endless]:
    made = Endless()
    yield made
    made.close()


@pytest.fixture(params=CELLS)
def use(request: pytest.FixtureRequest, server: Endless) -> Callable[..., Any]:
    """Use a client of one style over one transport."""
    style, transport = request.param.split("-")

    def run(work: Callable[[Any], Any], **settings: Any) -> Any:
        settings = {"emulator_url": server.url, "transport": transport, **settings}
        if style == "blocking":
            with Webex("token", **settings) as client:
                return work(client)

        async def main() -> Any:
            async with AsyncWebex("token", **settings) as client:
                return await work(client)

        return asyncio.run(main())

    return run


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_dripping_download_ends_at_the_call_timeout(use: Callable[..., Any], server: Endless) -> None:
    server.pieces, server.pause = lambda: itertools.chain([CHUNKED], itertools.repeat(chunk(b"x"))), 0.02
    with pytest.raises(DeadlineError, match=r"0\.5 s"):
        use(lambda client: client.files.download("/contents/x", timeout=0.5))
    assert server.requests <= 1


def test_timeout_setting_applies_to_downloads(use: Callable[..., Any], server: Endless) -> None:
    server.pieces, server.pause = lambda: itertools.chain([CHUNKED], itertools.repeat(chunk(b"x"))), 0.02
    with pytest.raises(DeadlineError, match=r"0\.5 s"):
        use(lambda client: client.files.download("/contents/x"), timeout=0.5)
    assert server.requests <= 1


def test_silent_download_ends_at_the_idle_timeout(use: Callable[..., Any], server: Endless) -> None:
    server.pieces = lambda: iter([CHUNKED, chunk(b"x")])
    with pytest.raises(DeadlineError, match=r"0\.2 s"):
        use(lambda client: client.files.download("/contents/x", idle_timeout=0.2))
    server.pieces = lambda: iter([])
    with pytest.raises(DeadlineError, match=r"0\.2 s"):
        use(lambda client: client.files.download("/contents/x"), idle_timeout=0.2)
    assert server.requests == 2


def test_dripping_response_ends_at_the_call_timeout(use: Callable[..., Any], server: Endless) -> None:
    server.pieces, server.pause = lambda: itertools.chain([CHUNKED], itertools.repeat(chunk(b" "))), 0.02
    with pytest.raises(DeadlineError, match=r"0\.5 s"):
        use(lambda client: client.rooms.get("x", timeout=0.5))
    server.pieces = lambda: itertools.chain([HEAD, b"x-long: "], itertools.repeat(b"x"))
    with pytest.raises(DeadlineError, match=r"0\.5 s"):
        use(lambda client: client.with_options(timeout=0.5).rooms.get("x"))
    assert server.requests <= 2


def test_endless_response_ends_at_the_size_limit(use: Callable[..., Any], server: Endless) -> None:
    server.pieces = lambda: itertools.chain([CHUNKED], itertools.repeat(chunk(b" " * 65536)))
    with pytest.raises(ResponseTooLargeError):
        use(lambda client: client.rooms.get("x"))
    with pytest.raises(ResponseTooLargeError):
        use(lambda client: client.request("GET", "/x", max_response_size=100_000))
    with pytest.raises(ResponseTooLargeError):
        use(lambda client: client.files.download("/contents/x", max_size=100_000))
    assert server.requests == 3


def test_decompressed_size_is_limited(use: Callable[..., Any], server: Endless) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    head = HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)
    server.pieces = lambda: iter([head, bomb])
    with pytest.raises(ResponseTooLargeError):
        use(lambda client: client.rooms.get("x"))
    assert server.requests == 1


def test_endless_error_is_read_to_its_limit(use: Callable[..., Any], server: Endless) -> None:
    head = CHUNKED.replace(b"200 OK", b"500 Oops")
    server.pieces = lambda: itertools.chain([head], itertools.repeat(chunk(b"x" * 65536)))
    for work in (lambda client: client.rooms.get("x"), lambda client: client.files.download("/contents/x")):
        with pytest.raises(ServerError) as caught:
            use(work, max_retries=0)
        assert isinstance(caught.value, ApiError)
        assert len(str(caught.value.body)) <= 65536


def test_unread_upload_ends_at_the_call_timeout(use: Callable[..., Any], server: Endless) -> None:
    data = b"x" * 30_000_000
    with pytest.raises(DeadlineError, match=r"0\.5 s"):
        use(lambda client: client.messages.create(room_id="x", files=("x.bin", data), timeout=0.5))
    assert server.requests <= 1


def test_endless_redirects_end(use: Callable[..., Any], server: Endless) -> None:
    moved = b"HTTP/1.1 302 Found\r\nlocation: /v1/rooms/x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    server.pieces, server.pause = lambda: iter([b"HTTP/1.1 100 Continue\r\n\r\n"] * 5 + [moved]), 0.02
    with pytest.raises(DeadlineError, match=r"0\.5 s"):
        use(lambda client: client.rooms.get("x", timeout=0.5), max_redirects=10_000)
