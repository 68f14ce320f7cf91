"""Dialogs whose time ran out end by themselves: once over all workers, restarts and failures, and not when answered."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from webex.bots import Bot, Context, Dialog, Form, Retry, time_outs
from webex.bots.time_outs import TimeOuts
from webex.errors import StorageError
from webex.storage import MemoryStorage, SQLiteStorage
from webex.testing.bots import BotTest, Door


class Order(Form):
    number: int


def bot_with(ended: list[Any] | None = None, *, fails: list[BaseException] | None = None, **options: Any) -> Bot:
    """Return a bot with a dialog that waits for five minutes."""
    bot = Bot(**options)

    @bot.dialog
    class Ask(Dialog, timeout=timedelta(minutes=5)):
        said: str = ""

        async def start(self, ctx: Context) -> None:
            await ctx.ask("What?", then=self.what)

        async def what(self, ctx: Context, text: str) -> None:
            self.said = text
            await ctx.ask(Order, then=self.ordered)

        async def ordered(self, ctx: Context, form: Order) -> str:
            return f"{self.said}: {form.number}"

        async def on_timeout(self, ctx: Context) -> str:
            if ended is not None:
                ended.append((ctx.person.email, ctx.room_type, ctx.redelivered))
            if fails:
                error = fails.pop(0)
                if isinstance(error, asyncio.CancelledError):
                    task = asyncio.current_task()
                    assert task is not None
                    task.cancel()  # as a stop does when the time of grace is over
                    await asyncio.sleep(60)
                raise error
            return f"Too late for {self.said or 'anything'}, {ctx.person.display_name}."

    @bot.command("begin")
    async def begin(ctx: Context) -> Dialog:
        return Ask()

    return bot


@pytest.mark.parametrize("door", ["test", "socket", "webhook", "fleet"])
def test_person_is_told_that_the_time_of_a_dialog_ran_out(door: Door) -> None:
    ended: list[Any] = []
    with BotTest(bot_with(ended), door=door) as t:
        ops = t.room("Ops", t.alice, t.bob)
        t.alice.says("begin")
        t.bob.says("begin", room=ops)
        t.bob.says("tea", room=ops)
        t.advance(minutes=4)
        t.bot.silent()
        t.advance(minutes=2)
        assert sorted(t.bot.texts) == ["Too late for anything, Alice Example.", "Too late for tea, Bob Example."]
        assert {message.room_id for message in t.last.messages} >= {ops}
        assert sorted(ended) == [("alice@example.com", "direct", False), ("bob@example.com", "group", False)]
        t.advance(minutes=2)
        t.bot.silent()
        t.alice.says("pizza")
        t.bot.replied(match="I don't know")


def test_form_of_a_dialog_that_ran_out_is_over() -> None:
    with BotTest(bot_with()) as t:
        t.alice.says("begin")
        card = t.alice.says("tea").card
        t.advance(minutes=6)
        t.bot.replied("Too late for tea, Alice Example.")
        t.alice.fills(card, number=1)
        t.bot.replied("That form is over.")


def test_answer_in_time_keeps_a_dialog_going() -> None:
    with BotTest(bot_with()) as t:
        t.alice.says("begin")
        t.advance(minutes=4)
        card = t.alice.says("tea").card
        t.advance(minutes=4)
        t.bot.silent()
        t.alice.fills(card, number=1)
        t.bot.replied("tea: 1")
        t.advance(minutes=9)
        t.bot.silent()


def test_dialog_ends_in_the_thread_of_its_question() -> None:
    with BotTest(bot_with()) as t:
        ops = t.room("Ops", t.alice)
        first = t.alice.says("help", room=ops).messages[0]
        t.alice.says("begin", room=ops, thread=first)
        t.advance(minutes=6)
        assert [message.parent_id for message in t.last.messages] == [first.id]


def test_dialog_that_ran_out_while_the_bot_was_down_ends_after_the_restart() -> None:
    with BotTest(bot_with()) as t:
        t.alice.says("begin")
        t.cloud.clock.advance(600)
        t.restart()
        t.advance()
        t.bot.replied("Too late for anything, Alice Example.")


def test_step_that_is_delivered_again_after_the_end_does_not_run_again() -> None:
    with BotTest(bot_with()) as t:
        t.alice.says("begin")
        begun = list(t.asynchronous._delivered)
        t.advance(minutes=6)
        t.asynchronous._delivered = begun
        t.redeliver()
        t.bot.silent()


@pytest.mark.parametrize("shared", ["memory", "sqlite"])
def test_of_several_workers_one_ends_a_dialog(shared: str, tmp_path: Path) -> None:
    ended: list[Any] = []
    storage = MemoryStorage() if shared == "memory" else SQLiteStorage(tmp_path / "bot.db")
    with BotTest(bot_with(ended), storage=storage) as t:
        t.alice.says("begin")
        t.bob.says("begin")
        t.cloud.clock.advance(600)
        others = [bot_with(ended) for _ in range(4)]
        for other in others:
            other.use(t.client_of(t.asynchronous._bot_token, storage))
            other.now = t.cloud.now

        async def look() -> int:
            return sum(await asyncio.gather(*(bot.end_overdue_dialogs() for bot in (t.asynchronous._bot, *others))))

        count: list[int] = []

        async def act() -> None:
            count.append(await look())

        t.does(act())
        assert count == [2]
        assert len(ended) == len(t.bot.texts) == 2


def test_answer_that_comes_while_a_worker_looks_ends_the_dialog_once() -> None:
    ended: list[Any] = []
    with BotTest(bot_with(ended)) as t:
        t.alice.says("begin")
        t.cloud.clock.advance(600)
        t.alice.says("late")
        t.bot.replied("Too late for anything, Alice Example.")
        t.advance()
        t.bot.silent()
        assert len(ended) == 1


def test_end_that_was_killed_runs_again_and_says_so() -> None:
    ended: list[Any] = []
    with BotTest(bot_with(ended, fails=[asyncio.CancelledError()])) as t:
        t.alice.says("begin")
        t.advance(minutes=6)
        t.bot.silent()
        t.restart()
        t.advance()
        t.bot.replied("Too late for anything, Alice Example.")
        assert [redelivered for _, _, redelivered in ended] == [False, True]
        t.advance(minutes=6)
        t.bot.silent()


@pytest.mark.parametrize("by", ["time", "answer"])
def test_end_that_failed_for_a_while_is_tried_again(by: str) -> None:
    ended: list[Any] = []
    with BotTest(bot_with(ended, fails=[Retry(0)])) as t:
        t.alice.says("begin")
        if by == "time":
            t.advance(minutes=6)
            t.bot.silent()
            t.advance()
        else:
            t.cloud.clock.advance(600)
            t.alice.says("late")
        t.bot.replied("Too late for anything, Alice Example.")
        assert [redelivered for _, _, redelivered in ended] == [False, True]


def test_end_that_fails_for_good_is_told_once() -> None:
    ended: list[Any] = []
    with BotTest(bot_with(ended, fails=[ValueError("broken on purpose")])) as t:
        t.alice.says("begin")
        t.advance(minutes=6)
        t.bot.replied("Something went wrong here. It was logged.")
        t.advance(minutes=6)
        t.bot.silent()
        assert len(ended) == 1


def test_end_may_begin_another_dialog() -> None:
    bot = Bot()

    @bot.dialog
    class Again(Dialog, timeout=timedelta(minutes=5)):
        async def start(self, ctx: Context) -> None:
            await ctx.ask("What?", then=self.what)

        async def what(self, ctx: Context, text: str) -> str:
            return f"{text}."

        async def on_timeout(self, ctx: Context) -> Dialog:
            return Again()

    @bot.command("begin")
    async def begin(ctx: Context) -> Dialog:
        return Again()

    with BotTest(bot) as t:
        t.alice.says("begin")
        for _ in range(2):
            t.advance(minutes=6)
            t.bot.replied("What?")
        t.alice.says("pizza")
        t.bot.replied("pizza.")


def test_end_may_be_a_plain_function() -> None:
    bot = Bot()

    @bot.dialog
    class Plain(Dialog, timeout=timedelta(minutes=5)):
        async def start(self, ctx: Context) -> None:
            await ctx.ask("What?", then=self.what)

        async def what(self, ctx: Context, text: str) -> str:
            return f"{text}."

        def on_timeout(self, ctx: Any) -> Any:
            ctx.reply("Over.")

    @bot.command("begin")
    async def begin(ctx: Context) -> Dialog:
        return Plain()

    with BotTest(bot) as t:
        t.alice.says("begin")
        t.advance(minutes=6)
        t.bot.replied("Over.")


def test_dialog_of_another_version_is_left_to_that() -> None:
    bot = bot_with()
    with BotTest(bot) as t:
        t.alice.says("begin")
        known, bot.dialogs._known["Ask"].__dialog__ = bot.dialogs._known["Ask"], (2, timedelta(minutes=5))
        t.advance(minutes=6)
        t.bot.silent()
        known.__dialog__ = (1, timedelta(minutes=5))
        t.advance()
        t.bot.replied("Too late for anything, Alice Example.")


def test_bot_that_is_no_longer_in_the_room_ends_a_dialog_in_silence() -> None:
    with BotTest(bot_with()) as t:
        ops = t.room("Ops", t.alice)
        t.alice.says("begin", room=ops)
        t.does(t.alice.client.rooms.delete(ops))
        t.advance(minutes=6)
        t.bot.silent()
        assert [record["done"] for record in _records(t)] == [True]


def _records(t: BotTest) -> list[dict[str, Any]]:
    async def read() -> list[dict[str, Any]]:
        return [value async for _, _, value in t.asynchronous._bot.storage.of_every_user("bot-dialogs")]

    return t.run(read())


def test_of_workers_that_look_again_and_again_one_looks_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    bot = bot_with()
    looked: list[TimeOuts] = []
    monkeypatch.setattr(time_outs, "EVERY", 3600.0)

    async def end_overdue(self: TimeOuts) -> int:
        looked.append(self)
        often.set()
        return 0

    monkeypatch.setattr(TimeOuts, "end_overdue", end_overdue)

    async def look() -> None:
        workers = [asyncio.ensure_future(TimeOuts(bot, bot._consumer).run()) for _ in range(4)]
        await asyncio.wait_for(often.wait(), 20)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    often = asyncio.Event()
    with BotTest(bot) as t:
        t.run(look())
    assert len(looked) == 1


def test_failure_does_not_end_the_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    bot, looked, often = bot_with(), [], asyncio.Event()
    monkeypatch.setattr(time_outs, "EVERY", 0.01)

    async def end_overdue(self: TimeOuts) -> int:
        looked.append(self)
        if len(looked) == 3:
            often.set()
        raise StorageError("for a moment")

    monkeypatch.setattr(TimeOuts, "end_overdue", end_overdue)

    async def look() -> None:
        worker = asyncio.ensure_future(TimeOuts(bot, bot._consumer).run())
        await asyncio.wait_for(often.wait(), 20)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

    with BotTest(bot) as t:
        t.run(look())
    assert len(looked) >= 3


@pytest.mark.parametrize("door", ["socket", "webhook", "fleet"])
def test_bot_that_receives_ends_dialogs_by_itself(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_outs, "EVERY", 0.05)
    with BotTest(bot_with(), door=door) as t:
        t.alice.says("begin")
        t.cloud.clock.advance(600)

        async def told() -> None:
            while not any("Too late" in str(message.markdown) for message in t.asynchronous._sent()):
                await asyncio.sleep(0.01)

        t.run(asyncio.wait_for(told(), 20))
