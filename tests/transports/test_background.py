"""Work beside the callers: once at a time, nothing that is asked for is lost, and errors are logged."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from webex.runtime import BlockingRuntime, EventLoopRuntime, drive


@pytest.mark.parametrize("style", ["blocking", "async"])
def test_error_of_work_in_the_background_is_logged(style: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main(runtime: Any) -> None:
        async def work() -> None:
            raise ValueError("a secret may be in it")

        await runtime.background("key", work)
        await runtime.aclose()

    with caplog.at_level(logging.ERROR, "webex.runtime"):
        if style == "blocking":
            drive(main(BlockingRuntime()))
        else:
            asyncio.run(main(EventLoopRuntime()))
    assert [record.getMessage() for record in caplog.records] == ["work in the background failed with ValueError"]


def in_thread(call: Callable[[], Awaitable[Any]], errors: list[BaseException]) -> threading.Thread:
    def run() -> None:
        try:
            drive(call())  # type: ignore[arg-type]  # a coroutine
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_closing_waits_for_a_thread_that_is_being_started(monkeypatch: pytest.MonkeyPatch) -> None:
    starting, go_on = threading.Event(), threading.Event()
    start = threading.Thread.start

    def slow(self: threading.Thread) -> None:
        if self.name == "webex:background":
            starting.set()
            assert go_on.wait(60)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", slow)
    runtime, errors, done = BlockingRuntime(), list[BaseException](), list[int]()

    async def work() -> None:
        done.append(1)

    begins = in_thread(lambda: runtime.background("key", work), errors)
    assert starting.wait(60)
    closes = in_thread(runtime.aclose, errors)
    closes.join(0.2)  # it would fail at once
    go_on.set()
    begins.join()
    closes.join()
    assert not errors
    assert done == [1]


def test_work_that_is_asked_for_while_it_ends_is_done() -> None:
    runtime, errors, done = BlockingRuntime(), list[BaseException](), list[str]()

    async def second() -> None:
        done.append("second")

    async def first() -> None:
        done.append("first")
        in_thread(lambda: runtime.background("key", second), errors).join()

    drive(runtime.background("key", first))
    drive(runtime.aclose())
    assert (done, errors) == (["first", "second"], [])


def test_crowd_of_threads_begins_one() -> None:
    runtime, errors, callers = BlockingRuntime(), list[BaseException](), 20
    together, all_asked = threading.Barrier(callers), threading.Event()
    at_work: set[int] = set()
    most: list[int] = []

    async def work() -> None:
        at_work.add(threading.get_ident())
        assert all_asked.wait(60)
        most.append(len(at_work))

    async def ask() -> None:
        together.wait(60)
        await runtime.background("key", work)

    threads = [in_thread(ask, errors) for _ in range(callers)]
    for thread in threads:
        thread.join()
    all_asked.set()
    drive(runtime.aclose())
    assert most == [1, 1]  # once more, for those who asked while it was at work
    assert not errors


def test_thread_that_can_not_be_had_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runtime, done = BlockingRuntime(), list[int]()

    async def work() -> None:
        done.append(1)

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        drive(runtime.background("key", work))
    assert "was not begun: can't start new thread" in caplog.text
    drive(runtime.background("key", work))
    drive(runtime.aclose())
    assert done == [1]
