"""Starting, stopping and starting again, in any order and from several sides at once; in both styles."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.threads import running_threads
from tests.webhooks.conftest import SECRET, posted, tasks_of
from webex import AsyncWebex, Webex
from webex.errors import ConfigurationError
from webex.runtime import EventLoopRuntime
from webex.storage import MemoryStorage, SQLiteStorage
from webex.storage.access import AccessLease, StorageAccess
from webex.webhooks import ReceivedEvent, Retry, WebhookReceiver
from webex.webhooks.inbox import INBOX, Inbox
from webex.webhooks.repeats import Seen


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SQLiteStorage]:
    store = SQLiteStorage(tmp_path / "inbox.db")
    yield store
    store.close()


steps = st.lists(st.sampled_from(["start", "close", "deliver", "drain"]), max_size=8)


@settings(max_examples=30, deadline=None)
@given(steps)
def test_any_order_of_calls_in_blocking_style(order: list[str]) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=MemoryStorage(), concurrency=2)
    seen: list[str] = []
    hooks.on("messages")(lambda event: seen.append(event.raw["id"]))
    closed, taken = False, []
    for number, step in enumerate(order):
        if step == "start":
            hooks.start()
            closed = False
        elif step == "close":
            hooks.close()
            closed = True
        elif step == "drain":
            hooks.drain()
        else:
            status = hooks.receive(*posted(id=str(number))).status
            assert status == (503 if closed else 200)
            if status == 200:
                taken.append(str(number))
    hooks.start()
    hooks.drain()
    hooks.close()
    assert len(seen) == len(set(seen))
    assert set(seen) <= set(taken)  # the rest is in the inbox


@settings(max_examples=30, deadline=None)
@given(steps)
def test_any_order_of_calls_in_event_loop_style(order: list[str]) -> None:
    async def main() -> None:
        hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=MemoryStorage())
        seen: list[str] = []
        hooks.on("messages")(_collecting(seen))
        closed = False
        for number, step in enumerate(order):
            if step == "start":
                await hooks.start()
                closed = False
            elif step == "close":
                await hooks.aclose()
                closed = True
            elif step == "drain":
                await hooks.drain()
            else:
                assert (await hooks.receive(*posted(id=str(number)))).status == (503 if closed else 200)
        await hooks.aclose()
        assert len(seen) == len(set(seen))
        assert not tasks_of("LoopWorkers")

    asyncio.run(main())


def _collecting(seen: list[str]) -> Any:
    async def handle(event: ReceivedEvent[Any, AsyncWebex]) -> None:
        seen.append(event.raw["id"])

    return handle


@pytest.mark.parametrize("mode", ["inbox", "inline", "lossy"])
def test_a_receiver_that_is_started_after_its_close_takes_deliveries_again(storage: SQLiteStorage, mode: Any) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, mode=mode)
    seen: list[str] = []
    hooks.on("messages")(lambda event: seen.append(event.raw["id"]))
    delivery = posted(id="M1")
    with hooks:
        pass
    refused = hooks.receive(*delivery)
    assert (refused.status, "retry-after" in refused.headers) == (503, True)
    hooks.start()
    assert hooks.receive(*delivery).status == 200
    hooks.drain()
    hooks.close()
    assert seen == ["M1"]


def test_a_closed_receiver_does_not_catch_up(storage: SQLiteStorage) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage)
    hooks.close()
    with pytest.raises(ConfigurationError, match="closed"):
        hooks.catch_up(since=60)


def test_a_retry_that_waits_ends_with_the_receiver_and_comes_with_the_next_one(storage: SQLiteStorage) -> None:
    async def main() -> list[str]:
        calls: list[str] = []
        first = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
        asked = asyncio.Event()

        @first.on("messages")
        async def later(event: ReceivedEvent[Any, AsyncWebex]) -> None:
            calls.append("first")
            asked.set()
            raise Retry(after=3600)

        await first.receive(*posted(id="M1"))
        await asked.wait()
        draining = asyncio.ensure_future(first.drain())
        await first.aclose()
        await draining
        assert (first.health.waiting, first.health.in_hand) == (0, 0)
        second = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
        done = asyncio.Event()

        @second.on("messages")
        async def now(event: ReceivedEvent[Any, AsyncWebex]) -> None:
            calls.append("second")
            done.set()

        async with second:
            await done.wait()
        return calls

    assert asyncio.run(main()) == ["first", "second"]


def test_lease_that_is_being_renewed_at_a_stop_is_given_back(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = AccessLease.renew
    renewing, may_renew = asyncio.Event(), asyncio.Event()

    async def slowly(self: AccessLease, ttl: float) -> bool:
        renewing.set()
        await may_renew.wait()
        return await real(self, ttl)

    monkeypatch.setattr(AccessLease, "renew", slowly)

    async def main() -> float:
        runtime = EventLoopRuntime()
        access = StorageAccess(storage, runtime)
        inbox = Inbox(access, runtime, "root/", Seen(access, "seen/"), lease=60)
        await inbox.join()
        upkeep = asyncio.ensure_future(inbox.join())
        await renewing.wait()
        upkeep.cancel()
        leaving = asyncio.ensure_future(inbox.leave())
        await asyncio.wait([leaving], timeout=0.2)  # time enough for one that does not wait
        may_renew.set()
        await leaving
        await runtime.aclose()
        return await access.lease_remaining(INBOX, f"root/worker/{inbox.worker}")

    assert asyncio.run(main()) == 0


def test_a_drain_ends_with_a_close_in_blocking_style(storage: SQLiteStorage) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage)
    asked = threading.Event()

    @hooks.on("messages")
    def later(event: ReceivedEvent[Any, Webex]) -> None:
        asked.set()
        raise Retry(after=3600)

    hooks.receive(*posted())
    assert asked.wait(60)
    draining = threading.Thread(target=hooks.drain, daemon=True)
    draining.start()
    hooks.close()
    draining.join(60)
    assert not draining.is_alive()


def test_several_that_close_wait_for_the_same_end(storage: SQLiteStorage) -> None:
    async def main() -> list[bool]:
        hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
        begun, go_on, ended = asyncio.Event(), asyncio.Event(), list[bool]()

        @hooks.on("messages")
        async def handle(event: ReceivedEvent[Any, AsyncWebex]) -> None:
            begun.set()
            await go_on.wait()
            ended.append(True)

        await hooks.receive(*posted())
        await begun.wait()
        closing = [asyncio.ensure_future(hooks.aclose()) for _ in range(3)]
        await asyncio.sleep(0)
        starting = asyncio.ensure_future(hooks.start())
        go_on.set()
        await asyncio.gather(*closing)
        first = list(ended)
        await starting
        await hooks.aclose()
        return first

    assert asyncio.run(main()) == [True]


def test_a_handler_may_close_its_receiver(storage: SQLiteStorage) -> None:
    async def main() -> None:
        hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
        done = asyncio.Event()

        @hooks.on("messages")
        async def handle(event: ReceivedEvent[Any, AsyncWebex]) -> None:
            await hooks.aclose()
            done.set()

        await hooks.receive(*posted())
        await asyncio.wait_for(done.wait(), 20)

    asyncio.run(main())


def test_a_plain_handler_that_is_not_through_keeps_its_event(storage: SQLiteStorage) -> None:
    go_on = threading.Event()

    async def main() -> tuple[bool, bool]:
        hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
        begun, loop = asyncio.Event(), asyncio.get_running_loop()

        @hooks.on("messages")
        def handle(event: ReceivedEvent[Any, Any]) -> None:
            loop.call_soon_threadsafe(begun.set)
            assert go_on.wait(60)

        await hooks.receive(*posted())
        await begun.wait()
        inbox = hooks._core.inbox
        await hooks.aclose(grace=0)
        name = inbox._lease_name(inbox.worker)
        held = await hooks._core.access.lease_remaining("webhooks-inbox", name) > 0
        await hooks.start()
        inbox = hooks._core.inbox
        await inbox.join()
        closing = asyncio.ensure_future(hooks.aclose())
        await asyncio.wait([closing], timeout=0.2)  # time enough for one that does not wait for the function
        go_on.set()
        await closing
        return held, await hooks._core.access.lease_remaining("webhooks-inbox", inbox._lease_name(inbox.worker)) > 0

    assert asyncio.run(main()) == (True, False)


def test_one_receiver_in_two_running_event_loops_is_refused(storage: SQLiteStorage) -> None:
    hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
    up, end = threading.Event(), threading.Event()

    async def elsewhere() -> None:
        async with hooks:
            up.set()
            await asyncio.to_thread(end.wait, 20)

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()), daemon=True)
    thread.start()
    assert up.wait(60)
    with pytest.raises(ConfigurationError, match="another event loop"):
        asyncio.run(hooks.start())
    end.set()
    thread.join(60)

    async def here() -> int:
        async with hooks:
            return (await hooks.receive(*posted("rooms"))).status

    assert asyncio.run(here()) == 200


def test_a_receiver_is_closed_from_another_event_loop(storage: SQLiteStorage) -> None:
    hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(hooks.start(), loop).result(20)
    asyncio.run(hooks.aclose())
    remaining = asyncio.run_coroutine_threadsafe(_remaining(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    loop.close()
    assert not remaining


async def _remaining() -> list[str]:
    return tasks_of("LoopWorkers")


@pytest.mark.parametrize("how", ["close", "aclose"])
def test_a_closed_receiver_leaves_no_thread_and_no_call_at_exit(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    registered: set[Any] = set()
    monkeypatch.setattr(atexit, "register", lambda function, *args: registered.add(function))
    monkeypatch.setattr(atexit, "unregister", registered.discard)
    before = running_threads("webex-webhooks")
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, concurrency=2)
    hooks.start()
    assert len(running_threads("webex-webhooks") - before) == 4
    assert len(registered) == 1
    hooks.close() if how == "close" else asyncio.run(hooks.aclose())
    hooks.close()
    assert not registered
    assert not running_threads("webex-webhooks") - before


@pytest.mark.parametrize("grace", [-1, float("nan"), True, "5"])
def test_a_grace_that_is_no_time_is_told(storage: SQLiteStorage, grace: Any) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage)
    with pytest.raises(ConfigurationError, match="grace is"):
        hooks.close(grace)
    with pytest.raises(ConfigurationError, match="grace is"):
        asyncio.run(hooks.aclose(grace))


def test_threads_that_start_close_and_deliver_at_once_lose_nothing(storage: SQLiteStorage) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, concurrency=2)
    seen: list[str] = []
    handled = threading.Semaphore(0)

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        seen.append(event.raw["id"])
        handled.release()

    taken: list[str] = []
    failures: list[BaseException] = []

    def deliver(who: int) -> None:
        try:
            for number in range(15):
                name = f"{who}-{number}"
                if hooks.receive(*posted(id=name)).status == 200:
                    taken.append(name)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=deliver, args=(who,), daemon=True) for who in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        hooks.start()
        hooks.close()
    hooks.start()
    for thread in threads:
        thread.join(60)
    assert all(handled.acquire(timeout=60) for _ in taken)
    hooks.close()
    assert not failures
    assert sorted(seen) == sorted(taken)
