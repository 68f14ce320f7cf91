"""What every transport makes of an answer: framing, compression, streams, sizes, headers."""

from __future__ import annotations

import gzip
import zlib
from contextlib import suppress
from typing import Any

import pytest

from tests.support.limits import growing
from tests.transports.conftest import Cell, Serve, got
from tests.transports.hostile import (
    OK,
    Peer,
    answered,
    dripping_body,
    dripping_chunks,
    dripping_trailers,
    in_the_body,
    say,
)
from webex.errors import (
    ConnectError,
    DeadlineError,
    ResponseTooLargeError,
    TransportError,
)
from webex.runtime import WireRequest
from webex.runtime.protocol import MAX_HEAD_SIZE, MAX_HEADERS

# Interim answers, framing


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_interim_responses_are_skipped(cell: Cell, serve: Serve, interim: bytes) -> None:
    server = serve(say(b"HTTP/1.1 " + interim + b"\r\nlink: </a>\r\n\r\n" + OK))

    async def scenario(runtime: Any) -> None:
        for _ in range(2):
            answer = await got(runtime, WireRequest("GET", server.url, timeout=10.0))
            assert (answer.status, answer.body) == (200, b"ok")

    cell.run(scenario)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "raw",
    [
        answered(body=b"content"),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\ncon\r\n4;e=1\r\ntent\r\n0\r\nx: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\ncontent",
        b"HTTP/1.0 200 OK\r\n\r\ncontent",
        answered(b"content-encoding: gzip", body=gzip.compress(b"content")),
        answered(b"content-encoding: gzip", body=gzip.compress(b"con") + gzip.compress(b"tent")),
        answered(b"content-encoding: deflate", body=zlib.compress(b"content")),
        answered(b"content-encoding: deflate", body=zlib.compress(b"content", wbits=-15)),
        answered(b"content-encoding: deflate, GZIP", body=gzip.compress(zlib.compress(b"content"))),
        answered(b"content-encoding: identity", body=b"content"),
    ],
    ids=["length", "chunks", "close", "old", "gzip", "two members", "zlib", "raw deflate", "two codings", "identity"],
)
def test_each_framing_and_coding(cell: Cell, serve: Serve, raw: bytes, stream: bool) -> None:
    assert cell.get(serve(say(raw, keep=False)).url, stream=stream).body == b"content"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n20\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nhalf",
        answered(b"content-encoding: gzip", body=b"no gzip"),
        answered(b"content-encoding: gzip", body=gzip.compress(b"content" * 50)[:-12]),
        answered(b"content-encoding: gzip" + b", gzip" * 50, body=gzip.compress(b"x")),
    ],
    ids=["length", "chunks", "no chunk", "no gzip", "half a gzip", "too many codings"],
)
def test_a_broken_body_is_a_typed_error(cell: Cell, serve: Serve, raw: bytes, stream: bool) -> None:
    with pytest.raises(TransportError) as caught:
        cell.get(serve(say(raw, keep=False)).url, stream=stream)
    assert not isinstance(caught.value, ConnectError | DeadlineError)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_responses_without_a_body(cell: Cell, serve: Serve, status: bytes) -> None:
    server = serve(say(b"HTTP/1.1 " + status + b"\r\ncontent-encoding: gzip\r\n\r\n"))
    assert cell.get(server.url).body == b""


def test_head_has_no_body(cell: Cell, serve: Serve) -> None:
    server = serve(say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"))
    answer = cell.get(server.url, method="HEAD")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "1000", b"")


# Streams


def test_a_stalled_stream_ends_at_the_idle_timeout(cell: Cell, serve: Serve) -> None:
    async def scenario(runtime: Any) -> None:
        answer = await runtime.send(WireRequest("GET", server.url, timeout=10.0, idle_timeout=0.3, stream=True))
        chunks = answer.chunks()
        try:
            assert await anext(chunks) == b"half"
            with pytest.raises(DeadlineError):
                await anext(chunks)
        finally:
            await answer.close()

    server = serve(in_the_body)
    cell.run(scenario)


def test_a_slow_stream_is_not_ended_by_the_header_timeout(cell: Cell, serve: Serve) -> None:
    for limit in growing(0.5):

        def handler(peer: Peer, pause: float = limit / 25) -> None:
            peer.request()
            peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n")
            peer.drip(b"x" * 40, pause)

        server = serve(handler)
        with suppress(DeadlineError):  # the machine stalled for longer than the limit
            assert cell.get(server.url, stream=True, timeout=limit, idle_timeout=limit).body == b"x" * 40
            break


@pytest.mark.parametrize("handler", [dripping_body, dripping_chunks, dripping_trailers])
def test_a_dripping_stream_ends_at_its_total_timeout(cell: Cell, serve: Serve, handler: Any) -> None:
    server = serve(handler)
    with pytest.raises(DeadlineError):
        cell.get(server.url, stream=True, timeout=5.0, idle_timeout=5.0, stream_timeout=0.4)


def test_a_stream_abandoned_early_closes_its_connection(cell: Cell, serve: Serve) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 1000)
        peer.until_closed()

    server = serve(handler)

    async def scenario(runtime: Any) -> None:
        answer = await runtime.send(WireRequest("GET", server.url, timeout=10.0, stream=True))
        assert await anext(answer.chunks())
        await answer.close()
        await answer.close()
        await runtime.run_blocking(server.closed.acquire, True, 10)

    cell.run(scenario)
    server.wait_until_closed()


# Sizes


def endless(peer: Peer, status: bytes = b"200 OK") -> None:
    peer.request()
    peer.say(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\n\r\n")
    peer.forever(b"x" * 65536)


def long_announced(peer: Peer) -> None:
    peer.request()
    peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\n")
    peer.forever(b"x" * 65536)


BOMB = gzip.compress(b"\0" * 30_000_000)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "handler",
    [endless, long_announced, say(answered(b"content-encoding: gzip", body=BOMB), keep=False)],
    ids=["endless", "announced", "bomb"],
)
def test_a_body_above_its_limit_is_not_read(cell: Cell, serve: Serve, handler: Any, stream: bool) -> None:
    server = serve(handler)
    with pytest.raises(ResponseTooLargeError, match="100,000"):
        cell.get(server.url, max_size=100_000, stream=stream)
    server.over.set()
    server.wait_until_closed()


def test_a_body_of_exactly_its_limit_is_read(cell: Cell, serve: Serve) -> None:
    for body in (answered(body=b"x" * 1000), answered(b"content-encoding: gzip", body=gzip.compress(b"x" * 1000))):
        server = serve(say(body))
        assert len(cell.get(server.url, max_size=1000).body) == 1000
        with pytest.raises(ResponseTooLargeError):
            cell.get(server.url, max_size=999)


def test_an_endless_body_of_an_error_is_cut(cell: Cell, serve: Serve) -> None:
    server = serve(lambda peer: endless(peer, b"500 Oops"))
    answer = cell.get(server.url, max_size=100, max_error_size=5000)
    assert (answer.status, answer.body) == (500, b"x" * 5000)


def test_nested_compression_stays_within_the_limit(cell: Cell, serve: Serve) -> None:
    body = gzip.compress(gzip.compress(b"\0" * 30_000_000))
    server = serve(say(answered(b"content-encoding: gzip, gzip", body=body), keep=False))
    with pytest.raises(ResponseTooLargeError):
        cell.get(server.url, max_size=1_000_000)


# Headers


def test_header_octets_are_utf8_else_latin1(cell: Cell, serve: Serve) -> None:
    server = serve(say(answered("x-utf: résumé".encode(), "x-latin: café".encode("latin-1"), b"x-plain: yes")))
    headers = cell.get(server.url).headers
    assert headers["x-plain"] == "yes"
    if cell.transport == "pyreqwest":  # which gives no such octets
        assert "x-utf" not in headers
    else:
        assert (headers["x-utf"], headers["x-latin"]) == ("résumé", "café")


def test_header_octets_are_sent_as_utf8(cell: Cell, serve: Serve) -> None:
    server = serve(say(OK))
    cell.get(server.url, headers={"x-name": "résumé"})
    assert "résumé".encode() in server.seen[0]


@pytest.mark.parametrize(
    "headers",
    [
        [b"x-long: " + b"x" * (MAX_HEAD_SIZE + 1)],
        [b"x-%d: " % number + b"x" * 2000 for number in range(40)],
        [b"x-%d: 1" % number for number in range(MAX_HEADERS + 20)],
        [b"x-same: 1"] * (MAX_HEADERS + 20),
    ],
    ids=["one long", "long together", "many", "many of one name"],
)
def test_a_head_above_the_limit_is_a_typed_error(cell: Cell, serve: Serve, headers: list[bytes]) -> None:
    server = serve(say(answered(*headers), keep=False))
    with pytest.raises(ResponseTooLargeError, match="headers"):
        cell.get(server.url)


def test_an_endless_head_is_a_typed_error(cell: Cell, serve: Serve) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\n")
        peer.forever(b"x-header: " + b"x" * 1000 + b"\r\n")

    with pytest.raises(ResponseTooLargeError):
        cell.get(serve(handler).url)


def test_a_large_head_within_the_limit_is_read(cell: Cell, serve: Serve) -> None:
    server = serve(say(answered(b"x-long: " + b"x" * 40_000, *(b"x-%d: 1" % number for number in range(50)))))
    headers = cell.get(server.url).headers
    assert len(headers["x-long"]) == 40_000
    assert headers["x-49"] == "1"
