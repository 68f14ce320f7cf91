"""What every transport keeps to, against servers that mean no good: nothing by itself, outcome, time."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from tests.support.limits import growing
from tests.support.ports import free_port
from tests.transports.conftest import TLS_ONLY, Cell, Serve, got
from tests.transports.hostile import (
    OK,
    Peer,
    answered,
    before_the_head,
    dripping_body,
    dripping_chunks,
    dripping_head,
    dripping_trailers,
    endless_interim_answers,
    in_the_body,
    in_the_head,
    say,
)
from webex.errors import (
    ConfigurationError,
    ConnectDeadlineError,
    ConnectError,
    DeadlineError,
    FileError,
    TransportError,
)
from webex.runtime import WireRequest

# Nothing by itself


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"303 See", b"307 Temporary", b"308 Permanent"])
def test_no_redirect_is_followed(cell: Cell, serve: Serve, status: bytes) -> None:
    server = serve(say(answered(b"location: /elsewhere", status=status)))
    answer = cell.get(server.url)
    assert (answer.status, answer.headers["location"]) == (int(status[:3]), "/elsewhere")
    assert len(server.seen) == 1


def test_cookies_are_not_kept(cell: Cell, serve: Serve) -> None:
    server = serve(say(answered(b"set-cookie: person=alice; Path=/", b"set-cookie: second=2")))

    async def scenario(runtime: Any) -> None:
        for _ in range(3):
            answer = await got(runtime, WireRequest("GET", server.url, timeout=10.0))
            assert answer.headers["set-cookie"] == "person=alice; Path=/, second=2"

    cell.run(scenario)
    assert len(server.seen) == 3
    assert not any(b"cookie" in request.lower() for request in server.seen)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_a_dropped_kept_alive_connection_is_not_retried(cell: Cell, serve: Serve, method: str) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.say(OK)
        peer.request()
        peer.cut()

    server = serve(handler)

    async def scenario(runtime: Any) -> None:
        await got(runtime, WireRequest("GET", server.url, timeout=10.0))
        with pytest.raises(TransportError) as caught:
            await got(
                runtime, WireRequest(method, server.url, body=b"x" if method in "PUTPOST" else None, timeout=10.0)
            )
        assert not isinstance(caught.value, ConnectError | DeadlineError)

    cell.run(scenario)
    assert (len(server.seen), server.connections) == (2, 1)


def test_a_connection_closed_while_idle_is_not_used(cell: Cell, serve: Serve) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.say(OK)
        peer.cut()

    server = serve(handler)

    async def scenario(runtime: Any) -> list[int]:
        statuses = []
        for _ in range(3):
            answer = await got(runtime, WireRequest("POST", server.url, body=b"{}", timeout=10.0))
            statuses.append(answer.status)
            server.wait_until_closed()
            await runtime.sleep(0.05)  # the end of the connection comes to the client too
        return statuses

    assert cell.run(scenario) == [200, 200, 200]


def test_a_kept_alive_connection_is_reused(cell: Cell, serve: Serve) -> None:
    server = serve(say(OK))

    async def scenario(runtime: Any) -> None:
        for _ in range(5):
            assert (await got(runtime, WireRequest("GET", server.url, timeout=10.0))).body == b"ok"

    cell.run(scenario)
    assert server.connections == 1


def test_environment_variables_are_not_read(
    cell: Cell, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, dead)
        monkeypatch.setenv(name.lower(), dead)
    (tmp_path / "netrc").write_text("machine localhost login someone password netrc-password\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    server = serve(say(OK))
    assert cell.get(server.url).status == 200
    assert b"authorization" not in server.seen[0].lower()
    assert not (tmp_path / "keys").exists()


def test_only_given_headers_are_sent(cell: Cell, serve: Serve) -> None:
    server = serve(say(OK))
    cell.get(f"{server.url}a%2Cb?q=%20%2B&r=a%7Eb", headers={"user-agent": "mine", "x-one": "1"})
    line, *headers = server.seen[0].decode().split("\r\n\r\n")[0].split("\r\n")
    assert line == "GET /a%2Cb?q=%20%2B&r=a%7Eb HTTP/1.1"
    names = {header.partition(":")[0].lower() for header in headers}
    assert names <= {"host", "user-agent", "x-one", "accept-encoding", "accept", "connection"}


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("a b", {}),
        ("a\r\nx-injected: 1", {}),
        ("", {"x-one": "1\r\nx-injected: 1"}),
        ("", {"x-one": "1\nx-injected: 1"}),
        ("", {"x-one": "nul\0"}),
    ],
)
def test_an_ambiguous_request_is_not_sent(cell: Cell, serve: Serve, url: str, headers: dict[str, str]) -> None:
    server = serve(say(OK))
    with pytest.raises(ConfigurationError):
        cell.get(server.url + url, headers=headers)
    assert server.seen == []


# Outcome


def test_a_closed_port_is_a_connect_error(cell: Cell) -> None:
    port = free_port()
    with pytest.raises(ConnectError, match="localhost") as caught:
        cell.get(f"{'https' if cell.tls else 'http'}://localhost:{port}/secret-path", method="POST")
    assert "secret-path" not in str(caught.value)


def test_an_unknown_host_name_is_a_connect_error(cell: Cell) -> None:
    """Or that leads to this machine, where nothing listens."""
    port = free_port()
    with pytest.raises(ConnectError):
        cell.get(f"{'https' if cell.tls else 'http'}://nowhere.localhost:{port}/")


@TLS_ONLY
def test_an_untrusted_certificate_is_a_connect_error(cell: Cell, serve: Serve) -> None:
    server = serve(say(OK))
    with pytest.raises(ConnectError):
        cell.get(server.url.replace("localhost", "127.0.0.1"), method="POST")
    assert server.seen == []


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 200 OK\r\ncontent-le", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"]
)
def test_a_connection_that_breaks_after_the_request_is_uncertain(cell: Cell, serve: Serve, reply: bytes) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.say(reply)
        peer.cut()

    server = serve(handler)
    with pytest.raises(TransportError) as caught:
        cell.get(server.url, method="POST", body=b"{}")
    assert not isinstance(caught.value, ConnectError | DeadlineError)
    assert len(server.seen) == 1


def test_garbage_instead_of_tls_records_is_uncertain(cell: Cell, serve: Serve) -> None:
    """A late TLS failure is no failed connection."""

    def handler(peer: Peer) -> None:
        peer.request()
        if cell.tls:
            with socket.socket(fileno=peer._sock.detach()) as raw:
                raw.sendall(b"\x17\x03\x03\x00\x20" + b"rubbish!" * 4)
                peer._server.over.wait(0.2)
        else:
            peer.say(b"rubbish\r\n\r\n")

    server = serve(handler)
    with pytest.raises(TransportError) as caught:
        cell.get(server.url, method="POST", body=b"{}", timeout=5.0)
    assert not isinstance(caught.value, ConnectError)


SLOW = [
    before_the_head,
    in_the_head,
    in_the_body,
    dripping_head,
    endless_interim_answers,
    dripping_body,
    dripping_chunks,
    dripping_trailers,
]


def test_the_deadline_covers_the_whole_request(cell: Cell, serve: Serve) -> None:
    async def one(runtime: Any, handler: Any) -> None:
        for limit in growing(1.0):
            server = serve(handler)
            with pytest.raises(DeadlineError) as caught:
                await got(runtime, WireRequest("POST", server.url, body=b"{}", timeout=limit))
            server.over.set()
            server.wait_until_closed()
            if server.seen:
                break
        assert not isinstance(caught.value, ConnectError)
        assert len(server.seen) == 1

    cell.at_once({handler.__name__: partial(one, handler=handler) for handler in SLOW})


def test_a_late_answer_on_a_warm_connection(cell: Cell, serve: Serve) -> None:
    def warmed(handler: Any, peer: Peer) -> None:
        if not peer.is_first():  # pyreqwest may take a new connection for the second request
            handler(peer)
            return
        peer.request()
        peer.say(OK)
        handler(peer)

    late = (before_the_head, in_the_head, in_the_body)

    async def one(runtime: Any, handler: Any) -> None:
        for limit in growing(0.5):
            server = serve(partial(warmed, handler))
            await got(runtime, WireRequest("GET", server.url, timeout=10.0))
            with pytest.raises(DeadlineError) as caught:
                await got(runtime, WireRequest("POST", server.url, body=b"{}", timeout=limit))
            if len(server.seen) > 1:
                break
        assert not isinstance(caught.value, ConnectError)
        assert len(server.seen) == 2
        assert server.connections == 1 or cell.transport == "pyreqwest"

    cell.at_once({handler.__name__: partial(one, handler=handler) for handler in late})


def test_an_upload_that_is_not_read_ends_at_the_deadline(cell: Cell, serve: Serve) -> None:
    server = serve(lambda peer: peer.silent())
    with pytest.raises(DeadlineError) as caught:
        cell.get(server.url, method="POST", body=b"x" * 30_000_000, timeout=0.5)
    assert not isinstance(caught.value, ConnectError)


@TLS_ONLY
def test_a_handshake_that_does_not_end_is_certain(cell: Cell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://localhost:{mute.getsockname()[1]}/"
        with pytest.raises(ConnectError) as caught:
            cell.get(url, method="POST", body=b"{}", connect_timeout=0.2, timeout=10.0)
        assert not isinstance(caught.value, DeadlineError)
        # pyreqwest does not say in which phase the time ran out
        with pytest.raises(DeadlineError if cell.transport == "pyreqwest" else ConnectDeadlineError):
            cell.get(url, method="POST", body=b"{}", connect_timeout=10.0, timeout=0.2)


# Bodies of requests


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


@pytest.mark.parametrize("length", [None, 9])
def test_a_body_in_chunks(cell: Cell, serve: Serve, length: int | None) -> None:
    def handler(peer: Peer) -> None:
        data = b""
        while not data.endswith((b"last", b"0\r\n\r\n")):
            data += peer._read()
        server.seen.append(data)
        peer.say(OK)

    server = serve(handler)
    cell.get(server.url, method="POST", body=pieces(b"first", b"", b"last"), content_length=length)
    head, _, body = server.seen[0].partition(b"\r\n\r\n")
    if length is None:
        assert b"chunked" in head.lower()
        assert b"first" in body
        assert b"last" in body
    else:
        assert b"content-length: 9" in head.lower()
        assert body == b"firstlast"


@pytest.mark.parametrize("given", [(b"short",), (b"much", b"too long")])
def test_a_body_of_another_size_than_announced(cell: Cell, serve: Serve, given: tuple[bytes, ...]) -> None:
    server = serve(lambda peer: (peer.request(), peer.silent()))
    with pytest.raises(FileError, match="9 bytes was announced"):
        cell.get(server.url, method="POST", body=pieces(*given), content_length=9)


def test_an_error_of_a_body_is_raised_unchanged(cell: Cell, serve: Serve) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"first"
        raise FileError("The file is gone.")

    server = serve(lambda peer: (peer.request(), peer.silent()))
    with pytest.raises(FileError, match="gone"):
        cell.get(server.url, method="POST", body=failing())


def test_an_early_answer_to_an_upload_is_read(cell: Cell, serve: Serve) -> None:
    def handler(peer: Peer) -> None:
        peer._read()
        peer.say(answered(b"connection: close", body=b"too large", status=b"413 Payload Too Large"))
        peer.until_closed()

    answer = cell.get(serve(handler).url, method="POST", body=b"x" * 2_000_000)
    assert (answer.status, answer.body) == (413, b"too large")
