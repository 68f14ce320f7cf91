"""Which handler takes an event, what runs around it, and what the help tells."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from webex.bots import Bot, Context, Dialog, Router, allow
from webex.errors import ConfigurationError
from webex.ids import to_hydra_id, to_uuid
from webex.testing.bots import BotTest

Next = Callable[[Context], Awaitable[Any]]


def test_handler_of_created_messages_takes_what_nothing_else_takes() -> None:
    bot, seen = Bot(), []

    @bot.command("ping")
    async def ping(ctx: Context) -> str:
        return "pong"

    @bot.event("messages", "created")
    async def created(ctx: Context) -> None:
        seen.append(ctx.text)

    with BotTest(bot) as t:
        t.alice.says("ping")
        t.bot.replied("pong")
        t.alice.says("something")
        t.bot.silent()
    assert seen == ["something"]


@pytest.mark.parametrize(("resource", "event"), [("messages", "create"), ("attachmentActions", "updated")])
def test_event_that_never_happens_is_refused(resource: str, event: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no event '{event}' of {resource}"):
        Bot().event(resource, event)


@pytest.mark.parametrize("typed", ["<@all>", "1 <@all>", "--<@all>", "[a](https://example.com)", "`" * 5000])
def test_answer_to_wrong_usage_repeats_no_markup(typed: str) -> None:
    bot = Bot()

    @bot.command("count")
    async def count(ctx: Context, number: int, *, loud: bool = False) -> str:
        return str(number)

    with BotTest(bot) as t:
        t.does(t.alice.client.messages.create(to_person_id=t.bot_id, text=f"count {typed}"))
        message = t.bot.replied(match="Usage: `count")
    assert message.mentioned_groups is None
    assert "<a" not in (message.html or "")
    assert "<spark-mention" not in (message.html or "")
    assert len(message.markdown or "") < 300


def test_steps_and_unknown_run_within_the_middlewares_of_their_router() -> None:
    bot, router, order = Bot(), Router(), []

    @bot.middleware
    async def outer(ctx: Context, call_next: Next) -> Any:
        order.append(f"bot {ctx.text}")
        return await call_next(ctx)

    @router.middleware
    async def inner(ctx: Context, call_next: Next) -> Any:
        order.append("router")
        result = await call_next(ctx)
        order.append("end")
        return f"{result}!" if result else None

    @router.dialog
    class Talk(Dialog):
        async def start(self, ctx: Context) -> None:
            order.append("start")
            await ctx.ask("name?", then=self.named)

        async def named(self, ctx: Context, name: str) -> str:
            order.append("named")
            return f"hello {name}"

    @router.command("talk")
    async def talk(ctx: Context) -> Dialog:
        return Talk()

    async def unknown(ctx: Context) -> str:
        order.append("unknown")
        return "what?"

    bot.unknown = unknown
    bot.include(router)
    with BotTest(bot) as t:
        t.alice.says("talk")
        assert order == ["bot talk", "router", "start", "end"]
        order.clear()
        t.alice.says("Alice")
        t.bot.replied("hello Alice!")
        assert order == ["bot Alice", "router", "named", "end"]
        t.alice.says("talk")
        order.clear()
        t.alice.says("cancel")
        t.bot.replied("Cancelled.!")
        assert order == ["bot cancel", "router", "end"]
        order.clear()
        t.alice.says("and now")
        t.bot.replied("what?")
        assert order == ["bot and now", "unknown"]


def test_step_of_a_router_is_for_those_whom_the_router_allows() -> None:
    bot, router = Bot(), Router()

    @router.dialog
    class Talk(Dialog):
        async def start(self, ctx: Context) -> None:
            await ctx.ask("name?", then=self.named)

        async def named(self, ctx: Context, name: str) -> str:
            return f"hello {name}"

    @router.command("talk")
    async def talk(ctx: Context) -> Dialog:
        return Talk()

    @router.error
    async def told(ctx: Context, error: Exception) -> str:
        return f"the router's {type(error).__name__}"

    bot.include(router)
    with BotTest(bot) as t:
        t.alice.says("talk")
        router.allow = allow.people("bob@example.com")
        t.alice.says("Alice")
        t.bot.replied("You may not use me for that.")
        router.allow = None
        t.alice.says("Alice")
        t.bot.replied("hello Alice")


def test_step_that_begins_another_dialog_leaves_that_one_waiting() -> None:
    bot = Bot()

    @bot.dialog
    class First(Dialog):
        async def start(self, ctx: Context) -> None:
            await ctx.ask("first?", then=self.go)

        async def go(self, ctx: Context, text: str) -> None:
            await ctx.begin(Second())

    @bot.dialog
    class Second(Dialog):
        async def start(self, ctx: Context) -> None:
            await ctx.ask("second?", then=self.end)

        async def end(self, ctx: Context, text: str) -> str:
            return f"end {text}"

    @bot.command("go")
    async def go(ctx: Context) -> Dialog:
        return First()

    with BotTest(bot) as t:
        t.alice.says("go")
        t.alice.says("x")
        t.bot.replied("second?")
        t.alice.says("y")
        t.bot.replied("end y")


def test_help_does_not_tell_of_hidden_commands_and_those_that_a_person_may_not_use() -> None:
    bot = Bot()

    @bot.command("secret", hidden=True)
    async def secret(ctx: Context) -> str:
        """Tells a secret."""
        return "it"

    @bot.command("deploy", allow=allow.people("bob@example.com"))
    async def deploy(ctx: Context) -> str:
        """Deploys."""
        return "deployed"

    with BotTest(bot) as t:
        for asked in ("help secret", "help deploy", "deplyo", "secrte"):
            text = t.alice.says(asked).texts[0]
            assert "Tells a secret" not in text
            assert "eploy" not in text
        assert "Deploys." in t.bob.says("help deploy").texts[0]
        assert "**deploy**" in t.bob.says("deplyo").texts[0]


@pytest.mark.parametrize("spelling", ["uuid", "public", "cluster"])
def test_rules_take_ids_in_every_spelling(spelling: str) -> None:
    bot = Bot()

    @bot.command("ping")
    async def ping(ctx: Context) -> str:
        return "pong"

    with BotTest(bot) as t:
        ops = t.room("Ops", t.alice)
        uuid = to_uuid(ops)
        other = to_hydra_id("ROOM", uuid, cluster="urn:TEAM:eu-central-1_k")
        bot.allow = allow.rooms({"uuid": uuid, "public": ops, "cluster": other}[spelling])
        t.alice.says("ping", room=ops)
        t.bot.replied("pong")
        org = t.cloud.state.people[t.alice.uuid].org_id
        bot.allow = allow.org(org if spelling == "uuid" else to_hydra_id("ORGANIZATION", org))
        t.alice.says("ping")
        t.bot.replied("pong")
        bot.allow = allow.org("another")
        t.alice.says("ping")
        t.bot.replied("You may not use me for that.")
