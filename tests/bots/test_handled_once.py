"""What a queue delivers more than once is handled once, over all workers; what was killed midway is handled again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from webex.bots import Bot, Context, Happening, Retry, from_data, repeats
from webex.errors import StorageError
from webex.models import Membership, Message, Room
from webex.storage import MemoryStorage, SQLiteStorage
from webex.testing.bots import BotTest


class Handled:
    """What the bots of a test have handled, and what their handlers do."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bool]] = []
        self.raises: list[BaseException] = []
        self.gate: asyncio.Event | None = None

    def bot(self) -> Bot:
        bot = Bot(unknown="ignore")

        @bot.message()
        async def act(ctx: Context) -> str:
            self.seen.append((ctx.text, ctx.redelivered))
            if self.gate is not None:
                await self.gate.wait()
            if self.raises:
                raise self.raises.pop(0)
            return "done"

        for resource, event in (("memberships", "created"), ("rooms", "updated")):

            @bot.event(resource, event)
            async def note(ctx: Context) -> None:
                self.seen.append((ctx.happening.resource, ctx.redelivered))

        return bot


@pytest.fixture
def handled() -> Handled:
    return Handled()


@pytest.fixture
def t(handled: Handled) -> Iterator[BotTest]:
    with BotTest(handled.bot()) as test:
        yield test


def happening(t: BotTest, bot: Bot | None = None, **fields: Any) -> Happening:
    known: dict[str, Any] = {"id": "m", "room_type": "direct", "person_id": t.alice.id, "text": "act"}
    said = Message(**(known | fields))
    return from_data("messages", "created", said, client=(bot or t.asynchronous._bot).client)


def test_repetition_is_ignored_when_asked_for(handled: Handled, t: BotTest) -> None:
    room = t.alice.says("hello").messages[0].room_id
    handled.seen.clear()
    outcomes = [t.run(t.asynchronous._bot.handle(happening(t, room_id=room), once=True)) for _ in range(3)]
    assert outcomes == ["handled", "ignored", "ignored"]
    assert t.run(t.asynchronous._bot.handle(happening(t, room_id=room))) == "handled"
    assert t.run(t.asynchronous._bot.handle(happening(t, id="n", room_id=room), once=True)) == "handled"
    assert len(handled.seen) == 3


@pytest.mark.parametrize("shared", ["memory", "sqlite"])
def test_one_of_several_workers_handles_an_event(shared: str, handled: Handled, tmp_path: Path) -> None:
    storage: Any = MemoryStorage() if shared == "memory" else SQLiteStorage(tmp_path / "bot.db")
    with BotTest(handled.bot(), storage=storage) as t:
        room = t.alice.says("hello").messages[0].room_id
        handled.seen.clear()
        workers = [t.asynchronous._bot]
        for _ in range(3):
            worker = handled.bot()
            worker.use(t.client_of(t.asynchronous._bot_token, storage))
            workers.append(worker)

        async def deliver() -> list[str]:
            handled.gate = asyncio.Event()
            begun = [
                asyncio.ensure_future(bot.handle(happening(t, bot, room_id=room), once=True))
                for bot in (*workers, *workers)
            ]
            while not handled.seen:
                await asyncio.sleep(0.01)
            handled.gate.set()
            return list(await asyncio.gather(*begun))

        outcomes = t.run(asyncio.wait_for(deliver(), 60))
        assert sorted(outcomes) == ["handled", *["ignored"] * 7]
        assert handled.seen == [("act", False)]


def test_event_that_was_killed_midway_is_handled_again(handled: Handled, t: BotTest) -> None:
    room = t.alice.says("hello").messages[0].room_id
    handled.seen.clear()

    async def killed() -> None:
        handled.gate = asyncio.Event()
        worker = asyncio.ensure_future(t.asynchronous._bot.handle(happening(t, room_id=room), once=True))
        while not handled.seen:
            await asyncio.sleep(0.01)
        worker.cancel()
        await asyncio.wait({worker})
        assert worker.cancelled()
        handled.gate = None

    t.run(asyncio.wait_for(killed(), 60))
    assert t.run(t.asynchronous._bot.handle(happening(t, room_id=room), once=True)) == "handled"
    assert t.run(t.asynchronous._bot.handle(happening(t, room_id=room), once=True)) == "ignored"
    assert handled.seen == [("act", False), ("act", True)]


def test_event_that_asks_for_a_repetition_gets_it(handled: Handled, t: BotTest) -> None:
    room = t.alice.says("hello").messages[0].room_id
    handled.raises = [Retry(0)]
    outcomes = [t.run(t.asynchronous._bot.handle(happening(t, room_id=room), once=True)) for _ in range(3)]
    assert outcomes == ["retry", "handled", "ignored"]


def test_event_comes_again_while_the_storage_is_away(
    handled: Handled, t: BotTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = t.alice.says("hello").messages[0].room_id
    handled.seen.clear()

    class Away:
        def __init__(self, *_: Any) -> None: ...
        async def __aenter__(self) -> bool:
            raise StorageError("for a moment")

        async def __aexit__(self, *_: object) -> None: ...

    with monkeypatch.context() as patched:
        patched.setattr(repeats, "leased", Away)
        assert t.run(t.asynchronous._bot.handle(happening(t, room_id=room), once=True)) == "retry"
    assert not handled.seen
    assert t.run(t.asynchronous._bot.handle(happening(t, room_id=room), once=True)) == "handled"


def test_person_who_comes_back_into_a_room_is_no_repetition(handled: Handled, t: BotTest) -> None:
    def added(created: str) -> Happening:
        member = Membership.from_dict({"id": "x", "roomId": "r", "personId": t.bob.id, "created": created})
        return from_data("memberships", "created", member, client=t.asynchronous._bot.client, actor=t.alice.id)

    outcomes = [
        t.run(t.asynchronous._bot.handle(added(day), once=True))
        for day in ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z")
    ]
    assert outcomes == ["handled", "ignored", "handled"]


def test_event_that_nothing_tells_from_the_next_is_handled_each_time(handled: Handled, t: BotTest) -> None:
    renamed = from_data(
        "rooms", "updated", Room(id="r", title="x"), client=t.asynchronous._bot.client, actor=t.alice.id
    )
    assert [t.run(t.asynchronous._bot.handle(renamed, once=True)) for _ in range(2)] == ["handled", "handled"]


def test_events_of_a_broker_are_handled_once(handled: Handled, t: BotTest) -> None:
    acknowledged: list[str] = []

    class Delivered:
        """An event as a broker's consumer gives it."""

        def __init__(self, number: int, room: str) -> None:
            self.resource, self.event, self.key = "messages", "created", f"messages:created:{number}"
            self.data = happening(t, id=str(number), room_id=room).data
            self.actor, self.files, self.redelivered, self.decryption_error = None, [], False, None
            self.created_by = t.bot_id

        def ack(self) -> None:
            acknowledged.append(self.key)

        def nack(self, after: float) -> None:
            raise AssertionError(self.key)

    room = t.alice.says("hello").messages[0].room_id
    handled.seen.clear()

    async def events() -> AsyncIterator[Any]:
        for number in (1, 2, 1, 2, 1):
            yield Delivered(number, str(room))

    async def consume() -> None:
        await asyncio.wait_for(t.asynchronous._bot.consume(events(), once=True), 60)

    t.run(consume())
    assert len(handled.seen) == 2
    assert len(acknowledged) == 5


def test_account_that_received_an_event_is_told(t: BotTest) -> None:
    found: list[Any] = []
    t.asynchronous._bot.observers.append(lambda each, _: found.append(each.received_by))
    room = t.alice.says("hello").messages[0].room_id
    t.run(t.asynchronous._bot.handle(happening(t, room_id=room)))
    assert set(found) == {t.bot_id}
