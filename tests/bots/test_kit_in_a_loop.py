"""A bot under test in the event loop of an `async def` test."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from webex.bots import Bot, Button, Card, Context, Dialog, Form, Prefilled
from webex.cards import TextBlock
from webex.errors import ConfigurationError
from webex.testing.bots import AsyncBotTest, BotTest, Door


class Wish(Form, title="Wish"):
    """A form with one field."""

    number: int


def bot_of(shared: asyncio.Queue[str] | None = None) -> Bot:
    bot = Bot()

    @bot.command("ping")
    async def ping(ctx: Context) -> str:
        return "pong"

    @bot.command("wait")
    async def wait(ctx: Context) -> str:
        assert shared is not None
        return await shared.get()

    @bot.command("plain")
    def plain(ctx: Context) -> str:
        return "from a thread"

    @bot.command("wish")
    async def wish(ctx: Context) -> Prefilled:
        return Wish.new()

    @bot.form(Wish)
    async def wished(ctx: Context, form: Wish) -> str:
        return f"{form.number} it is"

    @bot.command("ask")
    async def ask(ctx: Context) -> Card:
        return Card(TextBlock("Well?"), actions=[Button("Yes", yes, n=1)])

    @bot.button
    async def yes(ctx: Context, n: int) -> str:
        return f"yes {n}"

    @bot.dialog
    class Talk(Dialog, timeout=timedelta(hours=1)):
        async def start(self, ctx: Context) -> None:
            await ctx.ask("What?", then=self.said)

        async def said(self, ctx: Context, text: str) -> str:
            return f"You said {text}"

        async def on_timeout(self, ctx: Context) -> str:
            return "Too late"

    @bot.command("talk")
    async def talk(ctx: Context) -> Dialog:
        return Talk()

    return bot


@pytest.mark.parametrize("door", ["test", "socket", "webhook", "fleet"])
def test_script_is_awaited_by_every_door(door: Door) -> None:
    async def main() -> None:
        async with AsyncBotTest(bot_of(), door=door) as t:
            await t.alice.says("ping")
            t.bot.replied("pong")
            ops = await t.room("Ops", t.alice, t.bob)
            assert (await t.bob.says("plain", room=ops)).texts == ["from a thread"]
            card = (await t.alice.says("wish")).card
            await t.alice.fills(card, number="many")
            t.bot.replied_card(error="number")
            await t.alice.fills(t.last_card(), number=3)
            t.bot.replied("3 it is")
            await t.alice.says("ask")
            await t.alice.presses("Yes")
            t.bot.replied("yes 1")
            await t.alice.says("talk")
            await t.restart()
            assert (await t.alice.says("hello")).texts == ["You said hello"]
            await t.alice.says("talk")
            assert (await t.advance(hours=2)).texts == ["Too late"]
            await t.say(ops, "unasked")
            t.bot.replied("unasked")

    asyncio.run(main())


def test_handlers_use_what_the_test_has_opened_in_its_loop() -> None:
    async def main() -> None:
        shared: asyncio.Queue[str] = asyncio.Queue()
        async with AsyncBotTest(bot_of(shared)) as t:
            asked = asyncio.ensure_future(t.alice.says("wait"))
            await asyncio.sleep(0)
            await shared.put("given by the test")
            assert (await asked).texts == ["given by the test"]

    asyncio.run(main())


def test_acts_side_by_side_have_the_answers_to_each() -> None:
    async def main() -> None:
        async with AsyncBotTest(bot_of()) as t:
            found = await asyncio.gather(t.alice.says("ping"), t.bob.says("plain"), t.alice.says("ping"))
            assert [each.texts for each in found] == [["pong"], ["from a thread"], ["pong"]]

    asyncio.run(main())


def test_it_ends_what_it_began() -> None:
    async def main() -> None:
        others = asyncio.all_tasks()
        async with AsyncBotTest(bot_of()) as t:
            await t.alice.says("ping")
            await t.redeliver()
        await t.aclose()
        assert asyncio.all_tasks() == others

    asyncio.run(main())


def test_plain_form_in_a_running_loop_says_what_to_use() -> None:
    async def main() -> Any:
        with pytest.raises(ConfigurationError, match="async with AsyncBotTest"):
            BotTest(bot_of())

    asyncio.run(main())


def test_bot_that_does_not_run_is_told() -> None:
    async def main() -> None:
        t = AsyncBotTest(bot_of())
        with pytest.raises(ConfigurationError, match="does not run: async with AsyncBotTest"):
            await t.alice.says("ping")
        await t.aclose()

    asyncio.run(main())


def test_bot_that_fails_to_start_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise OSError("no socket")

    async def main() -> None:
        bot = bot_of()
        monkeypatch.setattr(bot, "listen", fail)
        t = AsyncBotTest(bot, door="socket")
        with pytest.raises(OSError, match="no socket"):
            await t.start()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", int(t.cloud.url.rpartition(":")[2]))

    asyncio.run(main())
