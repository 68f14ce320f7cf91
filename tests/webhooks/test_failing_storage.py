"""A storage that is down while an event is handled costs time, and no event."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.conftest import SECRET, posted
from tests.webhooks.test_receiver import APP
from webex import Integration, Webex
from webex.emulator.accounts import BOB_ID
from webex.errors import StorageError
from webex.storage import MemoryStorage, SQLiteStorage
from webex.webhooks import ReceivedEvent, WebhookReceiver, core


class OwnersDown(MemoryStorage):
    """One that can't tell whose event it is while `fails` is above zero; it counts down with every question."""

    fails = 0

    def bind(self, namespace: str) -> Any:
        binding, outer = super().bind(namespace), self

        class Binding:
            def __getattr__(self, name: str) -> Any:
                return getattr(binding, name)

            def get(self, key: str) -> Any:
                if namespace == "webhooks-owners" and outer.fails:
                    outer.fails -= 1
                    raise StorageError("The network is down.")
                return binding.get(key)

        return Binding()


def test_inline_it_is_answered_with_503_and_the_repetition_is_the_first_run() -> None:
    storage = OwnersDown()
    hooks = WebhookReceiver(Integration(storage=storage, **APP), secret=SECRET, mode="inline")
    seen: list[tuple[str | None, bool]] = []
    hooks.on("messages")(lambda event: seen.append((event.user_key, event.redelivered)))
    delivery = posted(id="M1", owner=BOB_ID)
    storage.fails = 20
    statuses = [hooks.receive(*delivery).status for _ in range(20)]
    assert set(statuses) == {503}
    assert hooks.receive(*delivery).status == 200
    assert seen == [(BOB_ID, False)]


def test_behind_the_answer_it_is_waited_for_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "_LONGEST_PAUSE", 0.0)
    storage = OwnersDown()
    hooks = WebhookReceiver(Integration(storage=storage, **APP), secret=SECRET)
    seen: list[tuple[str | None, bool]] = []
    hooks.on("messages")(lambda event: seen.append((event.user_key, event.redelivered)))
    with hooks:
        storage.fails = 20
        assert hooks.receive(*posted(id="M1", owner=BOB_ID)).status == 200
        hooks.drain()
    assert seen == [(BOB_ID, False)]
    assert (hooks.health.given_up, hooks.health.redelivered) == (0, 0)


def test_what_can_not_be_handled_at_all_is_given_up_and_leaves_the_inbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "_SOON", 0.0)
    storage = SQLiteStorage(tmp_path / "inbox.db")
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage)
    hooks.on("messages")(lambda event: None)

    async def broken(event: Any, *, redelivered: bool = False) -> Any:
        raise RuntimeError("a mistake of the receiver")

    monkeypatch.setattr(hooks._core, "work", broken)
    with hooks:
        hooks.receive(*posted(id="M1"))
        hooks.drain()
    left = [key for page in storage.bind("webhooks-inbox").keys("") for key in page]
    storage.close()
    assert hooks.health.given_up == 1
    assert left == []


def test_a_lossy_event_that_comes_at_a_stop_is_not_taken_for_a_repetition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = SQLiteStorage(tmp_path / "inbox.db")
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, mode="lossy")
    seen: list[str] = []
    hooks.on("messages")(lambda event: seen.append(event.raw["id"]))
    delivery = posted(id="M1")
    first = hooks._core.seen.first
    stopped = threading.Event()

    async def stop_meanwhile(key: str) -> bool:
        new = await first(key)
        if not stopped.is_set():
            stopped.set()
            hooks.close()
        return new

    monkeypatch.setattr(hooks._core.seen, "first", stop_meanwhile)
    assert hooks.receive(*delivery).status == 503
    hooks.start()
    assert hooks.receive(*delivery).status == 200
    hooks.drain()
    hooks.close()
    storage.close()
    assert seen == ["M1"]


def test_an_event_that_comes_at_a_stop_stays_in_the_inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = SQLiteStorage(tmp_path / "inbox.db")
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, lease=1.0)
    done = threading.Event()

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        done.set()

    hooks.start()
    inbox = hooks._core.inbox
    store = inbox.store

    async def stop_meanwhile(*arguments: Any) -> Any:
        entry = await store(*arguments)
        hooks.close()
        return entry

    monkeypatch.setattr(inbox, "store", stop_meanwhile)
    assert hooks.receive(*posted(id="M1")).status == 200
    assert not done.is_set()
    hooks.start()
    assert done.wait(60)
    hooks.close()
    storage.close()
