"""`mode="inline"`: the lease of an event lasts as long as its handler, and its repetitions end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.threads import running_threads
from tests.webhooks.conftest import SECRET, posted, tasks_of
from webex import AsyncWebex, Webex
from webex.storage import SQLiteStorage
from webex.storage.access import AccessLease
from webex.webhooks import ReceivedEvent, Retry, WebhookReceiver


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SQLiteStorage]:
    store = SQLiteStorage(tmp_path / "inbox.db")
    yield store
    store.close()


@pytest.fixture
def renewals(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released at every renewal that succeeded; the time of leases goes on by a third of a second before each."""
    renewed, moment = threading.Semaphore(0), [1000.0]
    renew = AccessLease.renew

    async def counted(lease: AccessLease, ttl: float) -> bool:
        moment[0] += 1 / 3  # a lease does not run out because the machine stalls
        held = await renew(lease, ttl)
        if held:
            renewed.release()
        return held

    storage.lease_clock = lambda: moment[0]

    monkeypatch.setattr(AccessLease, "renew", counted)
    return renewed


def test_the_lease_of_an_event_is_renewed_while_its_handler_runs(
    storage: SQLiteStorage, renewals: threading.Semaphore
) -> None:
    before = running_threads("webex-webhooks-lease")
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, mode="inline", lease=1.0)
    other = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, mode="inline", lease=1.0)
    other.on("messages")(lambda event: None)
    delivery = posted()
    repeated: list[int] = []

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        for _ in range(4):  # at a third of the lease each: more than one lease in all
            assert renewals.acquire(timeout=60)
        repeated.append(other.receive(*delivery).status)

    assert hooks.receive(*delivery).status == 200
    assert repeated == [503]
    assert not running_threads("webex-webhooks-lease") - before


def test_the_lease_of_an_event_is_renewed_in_event_loop_style(
    storage: SQLiteStorage, renewals: threading.Semaphore
) -> None:
    async def main() -> list[int]:
        hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage, mode="inline", lease=1.0)
        other = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage, mode="inline", lease=1.0)
        other.on("messages")(lambda event: None)
        delivery = posted()
        repeated: list[int] = []

        @hooks.on("messages")
        async def handle(event: ReceivedEvent[Any, AsyncWebex]) -> None:
            for _ in range(4):
                assert await asyncio.to_thread(renewals.acquire, timeout=20)
            repeated.append((await other.receive(*delivery)).status)

        assert (await hooks.receive(*delivery)).status == 200
        assert not tasks_of("renewing")
        return repeated

    assert asyncio.run(main()) == [503]


def test_a_handler_that_raises_retry_at_every_delivery_is_called_three_times_in_all(storage: SQLiteStorage) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, mode="inline")
    calls: list[bool] = []
    failed: list[str] = []

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        calls.append(event.redelivered)
        raise Retry(after=60)

    @hooks.on_error
    def tell(event: ReceivedEvent[Any, Webex], error: BaseException) -> None:
        failed.append(type(error).__name__)

    delivery = posted()
    assert [hooks.receive(*delivery).status for _ in range(4)] == [503, 503, 200, 200]
    assert calls == [False, False, False]
    assert failed == ["Retry"]


def test_a_handler_that_asks_again_at_once_does_not_hold_the_request_for_ever(storage: SQLiteStorage) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, mode="inline")
    calls: list[int] = []

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        calls.append(1)
        event.nack()

    reply = hooks.receive(*posted())
    assert (reply.status, reply.headers) == (503, {"retry-after": "1"})
    assert len(calls) == 3
