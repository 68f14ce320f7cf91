"""What a worker had received when it was killed is handled by another one."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.conftest import SECRET, posted
from webex import AsyncWebex, Webex
from webex.errors import StorageError
from webex.runtime import drive, drive_iter
from webex.storage import MemoryStorage, SQLiteStorage
from webex.webhooks import ReceivedEvent, WebhookReceiver
from webex.webhooks.upkeep import rhythm

WORKER = Path(__file__).with_name("killed_worker.py")
ROOT = WORKER.parents[2]


def test_events_of_a_killed_worker_are_taken_over_and_marked(tmp_path: Path) -> None:
    database = tmp_path / "inbox.db"
    deliveries = [posted(id=f"M{number}") for number in range(4)]
    with subprocess.Popen(
        [sys.executable, str(WORKER), str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        lines = []
        for body, headers in deliveries:
            worker.stdin.write(json.dumps([body.decode(), headers]) + "\n")
            worker.stdin.flush()
        while len(lines) < 5:
            lines.append(worker.stdout.readline().split())
        worker.kill()
    assert sorted(line[0] for line in lines) == ["answered"] * 4 + ["begun"]
    in_hand = next(line[1] for line in lines if line[0] == "begun")

    storage = SQLiteStorage(database)
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, lease=1.0)
    seen: dict[str, bool] = {}
    done = threading.Event()

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        assert event.raw["id"] not in seen
        seen[event.raw["id"]] = event.redelivered
        if len(seen) == 4:
            done.set()

    with hooks:
        assert done.wait(60)
        hooks.drain()
        assert [hooks.receive(*delivery).text for delivery in deliveries] == ["A repetition."] * 4
    storage.close()
    assert seen == {f"M{number}": f"M{number}" == in_hand for number in range(4)}
    assert hooks.health.redelivered == 1


def test_queued_events_of_a_stopped_worker_are_taken_over(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "inbox.db")
    first = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, concurrency=1)
    begun, go_on = threading.Event(), threading.Event()

    @first.on("messages")
    def slow(event: ReceivedEvent[Any, Webex]) -> None:
        begun.set()
        assert go_on.wait(60)

    with first:
        first.receive(*posted(id="M1"))
        assert begun.wait(60)
        first.receive(*posted(id="M2"))
        closing = threading.Thread(target=first.close)
        closing.start()
        go_on.set()
        closing.join(60)
    second = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage)
    seen: list[tuple[str, bool]] = []
    done = threading.Event()

    @second.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        seen.append((event.raw["id"], event.redelivered))
        done.set()

    with second:
        assert done.wait(60)
    storage.close()
    assert seen == [("M2", False)]


def test_a_process_local_storage_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=MemoryStorage())
    assert "lost when the process ends" in caplog.text


def test_events_beyond_the_memory_limit_are_handled_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webex.webhooks.receiver.MAX_WAITING", 2)
    storage = SQLiteStorage(tmp_path / "inbox.db")
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, concurrency=1, lease=1.0)
    seen: list[tuple[str, bool]] = []
    go_on, done = threading.Event(), threading.Event()

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        assert go_on.wait(60)
        seen.append((event.raw["id"], event.redelivered))
        if len(seen) == 12:
            done.set()

    with hooks:
        assert {hooks.receive(*posted(id=f"M{number}")).status for number in range(12)} == {200}
        assert hooks.health.waiting <= 2
        go_on.set()
        assert done.wait(60)
    storage.close()
    assert sorted(seen) == sorted((f"M{number}", False) for number in range(12))


def test_a_write_with_an_unknown_outcome_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = SQLiteStorage(tmp_path / "inbox.db")
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, lease=1.0)
    seen: list[str] = []
    done = threading.Event()

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        seen.append(event.raw["id"])
        done.set()

    access = hooks._core.access
    put = access.put_if_version

    async def answer_lost(*arguments: Any, **options: Any) -> str | None:
        written = await put(*arguments, **options)
        if arguments[0] == "webhooks-inbox" and not answers:
            raise StorageError("The connection was cut after the write.")
        return written

    delivery, answers = posted(id="M1"), list[int]()
    with hooks:
        monkeypatch.setattr(access, "put_if_version", answer_lost)
        answers.append(hooks.receive(*delivery).status)
        answers.append(hooks.receive(*delivery).status)  # the repetition finds what was written
        assert done.wait(60)
        hooks.drain()
    storage.close()
    assert answers == [503, 200]
    assert seen == ["M1"]


def test_a_large_inbox_is_taken_over_in_pages_and_only_as_far_as_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webex.webhooks.inbox.BATCH", 10)
    storage = SQLiteStorage(tmp_path / "inbox.db")
    ended, here = (WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage)._core for _ in range(2))
    for number in range(45):
        assert drive(ended.inbox.store(f"M{number}", f"body {number}", float(number))) is not None
    drive(ended.inbox.leave())
    read: list[int] = []
    get_many = here.access.get_many

    async def counted(namespace: str, keys: Any) -> Any:
        read.append(len(keys))
        return await get_many(namespace, keys)

    monkeypatch.setattr(here.access, "get_many", counted)
    taken: list[str] = []

    def room() -> int:
        return 25 - len(taken)

    for entries in drive_iter(here.inbox.take_over(room)):
        assert [entry.received for entry in entries] == sorted(entry.received for entry in entries)
        taken += [entry.body for entry in entries]
    assert (len(taken), len(set(taken))) == (25, 25)
    assert read == [10, 10, 10]
    assert list(drive_iter(here.inbox.take_over(lambda: 0))) == []
    for entries in drive_iter(here.inbox.take_over(lambda: 1000)):
        taken += [entry.body for entry in entries]
    storage.close()
    assert len(set(taken)) == 45


@pytest.mark.parametrize(("lease", "every"), [(1.0, 1 / 3), (60.0, 20.0), (3600.0, 20.0)])
def test_how_long_a_lease_lasts_does_not_delay_what_is_looked_at_again_and_again(lease: float, every: float) -> None:
    assert rhythm(lease) == pytest.approx(every)


def test_an_entry_of_a_later_version_is_skipped(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "inbox.db")
    inbox = storage.bind("webhooks-inbox")
    first = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, concurrency=1)
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    @first.on("messages")
    def slow(event: ReceivedEvent[Any, Webex]) -> None:
        begun.set()
        assert go_on.wait(60)

    with first:
        first.receive(*posted(id="M1"))
        assert begun.wait(60)
        for name in ("M2", "M3"):
            first.receive(*posted(id=name))
        closing = threading.Thread(target=first.close)
        closing.start()
        go_on.set()
        closing.join(60)
    waiting = {json.loads(inbox.get(key)["body"])["data"]["id"]: key for page in inbox.keys("") for key in page}
    later = {**inbox.get(waiting["M2"]), "format": 99}
    inbox.put(waiting["M2"], later)
    second = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage)
    seen: list[str] = []

    @second.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        seen.append(event.raw["id"])
        done.set()

    with second:
        assert done.wait(60)
        second.drain()
    assert (seen, inbox.get(waiting["M2"])) == (["M3"], later)
    storage.close()
