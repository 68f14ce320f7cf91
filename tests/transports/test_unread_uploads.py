"""An upload that the server stops reading: its connection ends with the call, not when all of it has been read.

Not so with pyreqwest, whose connections are out of reach: there the operating system keeps what it has taken.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.limits import growing
from tests.transports.conftest import CELLS, Cell, Serve
from tests.transports.hostile import Peer
from webex.errors import DeadlineError
from webex.runtime import WireRequest

SIZE = 30_000_000  # more than buffers hold
MATRIX = [
    pytest.param((name, tls), id=f"{name}-{'tls' if tls else 'plain'}") for name in CELLS for tls in (False, True)
]
PATIENCE = 30.0


async def one_piece() -> AsyncIterator[bytes]:
    yield b"x" * SIZE


@pytest.mark.parametrize("cell", MATRIX, indirect=True)
@pytest.mark.parametrize("streams", [False, True])
def test_connection_of_an_unread_upload_ends_at_the_deadline(cell: Cell, serve: Serve, streams: bool) -> None:
    reached = threading.Event()

    def handler(peer: Peer) -> None:
        peer.until_data()
        reached.set()
        peer.until_reset()

    server = serve(handler)

    async def scenario(runtime: Any, timeout: float) -> None:
        body = one_piece() if streams and cell.style == "async" else b"x" * SIZE
        with pytest.raises(DeadlineError):
            await runtime.send(WireRequest("POST", server.url, body=body, content_length=SIZE, timeout=timeout))
        if reached.is_set():
            assert await runtime.run_blocking(server.closed.acquire, True, PATIENCE), "the connection stayed open"

    for timeout in growing(0.5):
        cell.run(lambda runtime, timeout=timeout: scenario(runtime, timeout))
        if reached.is_set():
            break


@pytest.mark.parametrize("cell", [each for each in MATRIX if "async" in str(each.id)], indirect=True)
def test_connection_of_an_unread_upload_ends_with_its_cancellation(cell: Cell, serve: Serve) -> None:
    reached = threading.Event()

    def handler(peer: Peer) -> None:
        peer.until_data()
        reached.set()
        peer.until_reset()

    server = serve(handler)

    async def scenario(runtime: Any) -> None:
        request = WireRequest("POST", server.url, body=one_piece(), content_length=SIZE, timeout=120.0)
        sending = asyncio.ensure_future(runtime.send(request))
        assert await runtime.run_blocking(reached.wait, 60.0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert await runtime.run_blocking(server.closed.acquire, True, PATIENCE), "the connection stayed open"

    cell.run(scenario)
