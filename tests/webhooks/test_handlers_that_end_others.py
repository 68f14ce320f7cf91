"""A handler that calls `sys.exit()`, or whose own work is cancelled, ends neither its worker nor the event."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.conftest import SECRET, posted
from webex import AsyncWebex, Webex
from webex.storage import SQLiteStorage
from webex.webhooks import ReceivedEvent, WebhookReceiver, handlers


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SQLiteStorage]:
    store = SQLiteStorage(tmp_path / "inbox.db")
    yield store
    store.close()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "_FIRST_PAUSE", 0.0)


class Unexpected(BaseException):
    """One that `except Exception` lets through."""


def interrupted(kind: str) -> None:
    if kind == "exit":
        sys.exit(3)
    if kind == "cancelled":
        raise asyncio.CancelledError
    raise Unexpected


@pytest.mark.parametrize(("kind", "times"), [("exit", 3), ("cancelled", 3), ("other", 1)])
def test_a_thread_survives_a_handler_that_raises_system_exit(storage: SQLiteStorage, kind: str, times: int) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, concurrency=1)
    calls: list[str] = []
    failed: list[str] = []

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        calls.append(event.raw["id"])
        if event.raw["id"] == "M1":
            interrupted(kind)

    @hooks.on_error
    def tell(event: ReceivedEvent[Any, Webex], error: BaseException) -> None:
        failed.append(event.raw["id"])
        interrupted(kind)

    with hooks:
        hooks.receive(*posted(id="M1"))
        hooks.drain()
        hooks.receive(*posted(id="M2"))
        hooks.drain()
    assert calls == ["M1"] * times + ["M2"]
    assert failed == ["M1"]
    assert hooks.health.handled == 2


@pytest.mark.parametrize("plain", [False, True], ids=["async-def", "plain"])
@pytest.mark.parametrize(("kind", "times"), [("exit", 3), ("cancelled", 3), ("other", 1)])
def test_an_event_loop_survives_a_handler_that_raises_system_exit(
    storage: SQLiteStorage, kind: str, times: int, plain: bool
) -> None:
    calls: list[str] = []
    failed: list[str] = []

    async def main() -> int:
        hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)

        def act(event: ReceivedEvent[Any, AsyncWebex]) -> None:
            calls.append(event.raw["id"])
            if event.raw["id"] == "M1":
                interrupted(kind)

        async def handle(event: ReceivedEvent[Any, AsyncWebex]) -> None:
            act(event)

        hooks.on("messages")(act if plain else handle)

        @hooks.on_error
        def tell(event: ReceivedEvent[Any, AsyncWebex], error: BaseException) -> None:
            failed.append(event.raw["id"])
            interrupted(kind)

        async with hooks:
            for name in ("M1", "M2"):
                assert (await hooks.receive(*posted(id=name))).status == 200
                await hooks.drain()
        return hooks.health.handled

    assert asyncio.run(main()) == 2
    assert calls == ["M1"] * times + ["M2"]
    assert failed == ["M1"]


def test_a_cancelled_inner_task_is_a_handler_failure(
    storage: SQLiteStorage,
) -> None:
    calls: list[str] = []

    async def main() -> None:
        hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)

        @hooks.on("messages")
        async def handle(event: ReceivedEvent[Any, AsyncWebex]) -> None:
            calls.append(event.raw["id"])
            inner = asyncio.ensure_future(asyncio.sleep(60))
            if len(calls) == 1:
                inner.cancel()
                await inner
            inner.cancel()

        async with hooks:
            await hooks.receive(*posted(id="M1"))
            await hooks.drain()

    asyncio.run(main())
    assert calls == ["M1", "M1"]


def test_closing_cancels_a_handler_and_keeps_the_event(storage: SQLiteStorage) -> None:
    calls: list[tuple[str, bool]] = []

    async def main() -> None:
        first = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
        begun = asyncio.Event()

        @first.on("messages")
        async def handle(event: ReceivedEvent[Any, AsyncWebex]) -> None:
            calls.append((event.raw["id"], event.redelivered))
            begun.set()
            await asyncio.Event().wait()

        await first.receive(*posted(id="M1"))
        await begun.wait()
        await first.aclose(grace=0)
        second = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
        done = asyncio.Event()

        @second.on("messages")
        async def again(event: ReceivedEvent[Any, AsyncWebex]) -> None:
            calls.append((event.raw["id"], event.redelivered))
            done.set()

        async with second:
            await done.wait()
            await second.drain()

    asyncio.run(main())
    assert calls == [("M1", False), ("M1", True)]


def test_sys_exit_ends_a_blocking_program_and_redelivers_the_event(
    storage: SQLiteStorage,
) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, mode="inline")
    calls: list[bool] = []

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        calls.append(event.redelivered)
        if len(calls) == 1:
            sys.exit(0)

    delivery = posted()
    with pytest.raises(SystemExit):
        hooks.receive(*delivery)
    assert hooks.receive(*delivery).status == 200
    assert calls == [False, True]
