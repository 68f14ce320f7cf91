"""Dialogs: stored state machines that go on after restarts, at other workers, and tell when they can't."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from webex.bots import Bot, Context, Dialog, Form
from webex.bots.leader import leased
from webex.errors import ConfigurationError, StorageError
from webex.storage import MemoryStorage
from webex.testing.bots import BotTest


class Ask(Dialog, version=1):
    said: str = ""
    crash: ClassVar[bool] = False

    async def start(self, ctx: Context) -> None:
        await ctx.ask("What?", then=self.what)

    async def what(self, ctx: Context, text: str) -> None:
        self.said = text
        if Ask.crash:
            raise KeyboardInterrupt  # stands for a kill: nothing is written after it
        await ctx.ask(f"{text}?", then=self.sure)

    async def sure(self, ctx: Context, yes: bool) -> str:
        return f"{self.said}: {yes}"


class Newer(Ask, version=2):
    pass


def bot_with(dialog: type[Dialog]) -> Bot:
    bot = Bot()
    dialog.__name__ = "Ask"
    bot.dialog(dialog)

    @bot.command("begin")
    async def begin(ctx: Context) -> Dialog:
        return dialog()

    return bot


def test_dialog_continues_on_another_worker() -> None:
    storage = MemoryStorage()
    with BotTest(bot_with(Ask), storage=storage) as t:
        t.alice.says("begin")
        t.alice.says("pizza")
        t.bot.replied("pizza?")
        t.restart()
        t.alice.says("perhaps")
        t.bot.replied(match='"perhaps" does not fit. It is yes or no.')
        t.alice.says("yes")
        t.bot.replied("pizza: True")
        t.alice.says("yes")
        t.bot.replied(match="I don't know")


def test_saved_step_does_not_run_twice() -> None:
    with BotTest(bot_with(Ask)) as t:
        t.alice.says("begin")
        t.redeliver()
        t.bot.silent()
        t.alice.says("pizza")
        t.redeliver()
        t.bot.silent()
        t.alice.says("yes")
        t.redeliver()  # the end is remembered too
        t.bot.silent()


def test_killed_step_runs_again_after_a_restart() -> None:
    with BotTest(bot_with(Ask)) as t:
        t.alice.says("begin")
        Ask.crash = True
        try:
            with pytest.raises(KeyboardInterrupt):
                t.alice.says("pizza")
        finally:
            Ask.crash = False
        t.restart()
        t.redeliver()
        t.bot.replied("pizza?")
        t.alice.says("no")
        t.bot.replied("pizza: False")


@pytest.mark.parametrize("change", ["version", "gone", "step"])
def test_changed_bot_ends_old_dialogs_with_an_explanation(change: str) -> None:
    bot = bot_with(Ask)
    with BotTest(bot) as t:
        t.alice.says("begin")
        if change == "version":
            bot.dialogs._known["Ask"] = Newer
        elif change == "gone":
            bot.dialogs._known = {"Other": Newer}
        else:

            class Without(Dialog, version=1):
                async def start(self, ctx: Context) -> None: ...

            bot.dialogs._known["Ask"] = Without
        t.alice.says("pizza")
        t.bot.replied("I was updated meanwhile; please start again.")
        t.alice.says("pizza")
        t.bot.replied(match="I don't know")


def test_dialogs_of_people_and_rooms_are_separate() -> None:
    with BotTest(bot_with(Ask)) as t:
        ops = t.room("Ops", t.alice, t.bob)
        t.alice.says("begin", room=ops)
        t.alice.says("begin")
        t.bob.says("pizza", room=ops)
        t.bot.replied(match="I don't know")
        t.alice.says("pizza", room=ops)
        t.bot.replied("pizza?")
        t.alice.says("soup")
        t.bot.replied("soup?")


def test_dialog_in_a_thread_waits_in_that_thread() -> None:
    with BotTest(bot_with(Ask)) as t:
        ops = t.room("Ops", t.alice)
        first = t.alice.says("help", room=ops).messages[0]
        t.alice.says("begin", room=ops, thread=first)
        assert t.last.messages[0].parent_id == first.id
        t.alice.says("pizza", room=ops)
        t.bot.replied(match="I don't know")
        t.alice.says("pizza", room=ops, thread=first)
        t.bot.replied("pizza?")


@pytest.mark.parametrize("threads", ["always", "never"])
def test_dialog_waits_where_its_question_was_sent(threads: Any) -> None:
    bot = Bot(threads=threads)
    bot.dialog(Ask)

    @bot.command("begin")
    async def begin(ctx: Context) -> Dialog:
        return Ask()

    with BotTest(bot) as t:
        ops = t.room("Ops", t.alice)
        first = t.alice.says("help", room=ops).messages[0]
        asked = t.alice.says("begin", room=ops, thread=first if threads == "never" else None).messages[0]
        assert (asked.parent_id is None) == (threads == "never")
        t.redeliver()
        t.bot.silent()
        t.alice.says("pizza", room=ops, thread=asked.parent_id)
        t.bot.replied("pizza?")
        t.alice.says("yes", room=ops, thread=asked.parent_id)
        t.bot.replied("pizza: True")


def test_dialog_that_asks_in_private_waits_in_the_direct_room() -> None:
    bot = Bot()

    @bot.dialog
    class Secret(Dialog):
        async def start(self, ctx: Context) -> None:
            await ctx.ask(Wanted, then=self.told, private=True)

        async def told(self, ctx: Context, form: Wanted) -> None:
            await ctx.ask("sure?", then=self.sure)

        async def sure(self, ctx: Context, yes: bool) -> str:
            return f"sure: {yes}"

    @bot.command("begin")
    async def begin(ctx: Context) -> Dialog:
        return Secret()

    with BotTest(bot) as t:
        ops = t.room("Ops", t.alice)
        card = t.alice.says("begin", room=ops).card
        t.alice.says("hello", room=ops)
        t.bot.replied(match="I don't know")
        t.alice.fills(card, text="x")
        t.bot.replied("sure?")
        t.alice.says("yes")
        t.bot.replied("sure: True")


def test_lease_of_a_step_is_renewed_while_it_runs() -> None:
    class Lease:
        renewed, released = 0, False

        async def renew(self, ttl: float) -> bool:
            self.renewed += 1
            again.set()
            if self.renewed == 1:
                raise StorageError("for a moment")
            return True

        async def release(self) -> None:
            self.released = True

    class Storage:
        async def hold(self, namespace: str, name: str, ttl: float) -> Any:
            return lease

    async def main() -> None:
        nonlocal again
        again = asyncio.Event()
        storage: Any = Storage()
        async with leased(storage, "namespace", "name", 0.03) as held:
            assert held
            for _ in range(3):
                again.clear()
                await again.wait()
        assert lease.released

    lease, again = Lease(), asyncio.Event()
    asyncio.run(asyncio.wait_for(main(), 60))


def test_time_out_and_cancel() -> None:
    class Short(Dialog, timeout=timedelta(minutes=5)):
        async def start(self, ctx: Context) -> None:
            await ctx.ask("?", then=self.end, timeout=timedelta(minutes=1))

        async def end(self, ctx: Context, text: str) -> str:
            return text

    with BotTest(bot_with(Short)) as t:
        t.alice.says("begin")
        t.cloud.clock.advance(120)  # before the bot has looked for what is overdue
        t.alice.says("late")
        t.bot.replied("That took too long; please start again.")
        t.alice.says("begin")
        t.alice.says("Cancel")
        t.bot.replied("Cancelled.")
        t.alice.says("begin")
        t.alice.says("in time")
        t.bot.replied("in time")


def test_dialog_may_begin_another() -> None:
    bot = bot_with(Ask)

    @bot.dialog
    class First(Dialog):
        async def start(self, ctx: Context) -> None:
            await ctx.ask("first?", then=self.next)

        async def next(self, ctx: Context, text: str) -> Dialog:
            return Ask()

    @bot.command("first")
    async def first(ctx: Context) -> Dialog:
        return First()

    with BotTest(bot) as t:
        t.alice.says("first")
        t.alice.says("x")
        t.bot.replied("What?")
        t.alice.says("pizza")
        t.bot.replied("pizza?")


class Wanted(Form):
    text: str


def test_mistakes_in_dialogs_are_explained() -> None:
    bot = Bot()
    with pytest.raises(ConfigurationError, match="needs a start"):

        @bot.dialog
        class NoStart(Dialog):
            pass

    problems: list[str] = []

    @bot.dialog
    class Wrong(Dialog):
        async def start(self, ctx: Context) -> None:
            for then, what in ((self.text, Wanted), (print, "x")):
                step: Any = then
                try:
                    await ctx.ask(what, then=step)
                except ConfigurationError as error:
                    problems.append(str(error))

        async def text(self, ctx: Context, text: str) -> None: ...

    @bot.command("wrong")
    async def wrong(ctx: Context) -> Dialog:
        return Wrong()

    @bot.command("outside")
    async def outside(ctx: Context) -> None:
        try:
            await ctx.ask("x", then=print)
        except ConfigurationError as error:
            problems.append(str(error))

    with BotTest(bot) as t:
        t.alice.says("wrong")
        t.alice.says("outside")
    assert "takes no Wanted" in problems[0]
    assert "takes a method of Wrong" in problems[1]
    assert "steps of a dialog" in problems[2]
