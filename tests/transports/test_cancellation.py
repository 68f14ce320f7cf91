"""A caller's own cancellation comes out of every transport, and no connection stays."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import pytest

from tests.support.limits import growing
from tests.transports.conftest import EVENT_LOOP_ONLY, Cell, Serve, got
from tests.transports.hostile import OK, Peer, in_the_body, say
from webex.errors import DeadlineError
from webex.runtime import WireRequest

pytestmark = EVENT_LOOP_ONLY


def waiting(peer: Peer) -> None:
    peer.request()
    peer.until_closed()


def halfway(peer: Peer) -> None:
    peer.request()
    peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
    peer.until_closed()


HANDLERS = pytest.mark.parametrize("handler", [waiting, halfway])


def request_to(server: Any, timeout: float) -> WireRequest:
    return WireRequest("GET", server.url, timeout=timeout)


def run_with_limits(cell: Cell, scenario: Callable[[Any, float], Awaitable[None]]) -> None:
    """Run a scenario with a time-out for its calls, which are to be cancelled before.

    pyreqwest keeps the connection of a cancelled call until the call's own time-out, so that is short, and longer if
    a stalled machine let it run out.
    """
    if cell.transport != "pyreqwest":
        cell.run(partial(scenario, timeout=20.0))
        return
    for timeout in growing(1.0):
        began = time.monotonic()
        try:
            cell.run(partial(scenario, timeout=timeout))
            break
        except (AssertionError, DeadlineError, ExceptionGroup):
            if time.monotonic() - began < timeout:
                raise


@HANDLERS
def test_asyncio_timeout(cell: Cell, serve: Serve, handler: Any) -> None:
    server = serve(handler)

    async def scenario(runtime: Any, timeout: float) -> None:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.2):
                await got(runtime, request_to(server, timeout))
        assert type(caught.value) is TimeoutError
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run_with_limits(cell, scenario)
    server.wait_until_closed()


@HANDLERS
def test_a_cancelled_task(cell: Cell, serve: Serve, handler: Any) -> None:
    server = serve(handler)

    async def scenario(runtime: Any, timeout: float) -> None:
        came = len(server.seen)
        task = asyncio.create_task(got(runtime, request_to(server, timeout)))
        await asyncio.to_thread(server.wait_for, came + 1)
        task.cancel("mine")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert caught.value.args == ("mine",)
        await asyncio.to_thread(server.wait_until_closed)  # while the client is still open

    run_with_limits(cell, scenario)


@HANDLERS
def test_a_task_group_ends_its_calls(cell: Cell, serve: Serve, handler: Any) -> None:
    server = serve(handler)

    async def scenario(runtime: Any, timeout: float) -> None:
        came = len(server.seen)

        async def failing() -> None:
            await asyncio.to_thread(server.wait_for, came + 3)
            raise LookupError("mine")

        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(got(runtime, request_to(server, timeout)))
                group.create_task(failing())
        assert caught.group_contains(LookupError)
        assert len(caught.value.exceptions) == 1

    run_with_limits(cell, scenario)
    server.wait_until_closed()


@HANDLERS
def test_anyio_scopes(cell: Cell, serve: Serve, handler: Any) -> None:
    server = serve(handler)

    async def scenario(runtime: Any, timeout: float) -> None:
        with anyio.move_on_after(0.2) as scope:
            await got(runtime, request_to(server, timeout))
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError) as caught:
            with anyio.fail_after(0.2):
                await got(runtime, request_to(server, timeout))
        assert type(caught.value) is TimeoutError
        came = len(server.seen)  # a slow machine may have cancelled before a request came
        async with anyio.create_task_group() as group:
            group.start_soon(got, runtime, request_to(server, timeout))
            await asyncio.to_thread(server.wait_for, came + 1)
            group.cancel_scope.cancel()
        assert (await got(runtime, WireRequest("GET", fine.url, timeout=10.0))).body == b"ok"

    fine = serve(say(OK))
    run_with_limits(cell, scenario)
    server.wait_until_closed()


def test_a_stream_that_is_cancelled(cell: Cell, serve: Serve) -> None:
    server = serve(halfway)

    async def scenario(runtime: Any) -> None:
        async def reading() -> None:
            answer = await runtime.send(WireRequest("GET", server.url, timeout=10.0, stream=True))
            try:
                async for _ in answer.chunks():
                    pass
            finally:
                await answer.close()

        with anyio.move_on_after(0.3) as scope:
            await reading()
        assert scope.cancelled_caught
        await asyncio.to_thread(server.wait_until_closed)

    cell.run(scenario)


def test_our_deadline_within_a_longer_one(cell: Cell, serve: Serve) -> None:
    server = serve(in_the_body)

    async def scenario(runtime: Any) -> None:
        async with asyncio.timeout(10):
            with anyio.fail_after(10):
                with pytest.raises(DeadlineError):
                    await got(runtime, WireRequest("GET", server.url, timeout=0.2))
                await asyncio.sleep(0)

    cell.run(scenario)


def test_ctrl_c(cell: Cell, serve: Serve) -> None:
    server = serve(waiting)
    assert threading.current_thread() is threading.main_thread()  # signals come there

    def interrupting() -> None:
        server.wait_for(1)
        os.kill(os.getpid(), signal.SIGINT)

    async def scenario(runtime: Any) -> None:
        await got(runtime, request_to(server, 5.0 if cell.transport == "pyreqwest" else 20.0))

    # Who runs the tests in the background may have them ignore the signal.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=interrupting, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            cell.run(scenario)
    finally:
        signal.signal(signal.SIGINT, former)
    server.wait_until_closed()
