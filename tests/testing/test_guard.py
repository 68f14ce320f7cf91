"""The guard sees Python's sockets and the SDK's transports."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from webex.emulator import Cloud
from webex.runtime.protocol import WireRequest
from webex.testing import NetworkLeftError, stay_on_loopback


def test_a_swallowed_error_fails_at_the_end_of_the_block() -> None:
    with (
        pytest.raises(NetworkLeftError, match=r"look up example\.com"),
        stay_on_loopback(),
        contextlib.suppress(OSError),
    ):
        socket.getaddrinfo("example.com", 80)


@pytest.mark.parametrize("host", ["192.0.2.1", "::ffff:192.0.2.1", "10.0.0.1", "127.0.0.1.example.com"])
def test_other_machines_are_unreachable(host: str) -> None:
    with pytest.raises(NetworkLeftError), stay_on_loopback():
        socket.create_connection((host, 80), timeout=1)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9"])
def test_this_machine_is_reachable(host: str) -> None:
    with stay_on_loopback() as guard, socket.create_server(("", 0)) as server:
        socket.create_connection((host, server.getsockname()[1])).close()
    assert guard.attempts == []


def test_unix_sockets_are_reachable(tmp_path: Path) -> None:
    with stay_on_loopback(), socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))


def test_event_loops_are_watched_too() -> None:
    async def leave() -> None:
        await asyncio.open_connection("192.0.2.1", 80)

    with pytest.raises(NetworkLeftError), stay_on_loopback():
        asyncio.run(leave())


@pytest.mark.parametrize("transport", ["pyreqwest", "urllib3"])
def test_the_sdks_transports_are_watched(transport: str, webex_cloud: Cloud) -> None:
    from webex.runtime import BlockingRuntime, drive

    async def ask(url: str) -> int:
        runtime = BlockingRuntime(transport=transport)
        try:
            return (await runtime.send(WireRequest("GET", url, timeout=5.0))).status
        finally:
            await runtime.aclose()

    with stay_on_loopback():
        assert drive(ask(f"{webex_cloud.url}/v1/userinfo")) == 401
    with pytest.raises(NetworkLeftError, match="webexapis"), stay_on_loopback():
        drive(ask("https://webexapis.com/v1/userinfo"))
