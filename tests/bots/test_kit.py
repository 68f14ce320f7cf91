"""What a bot under test is given in process, and what it can rely on while time passes."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Literal

import pytest

from webex import AsyncIntegration
from webex.bots import Bot, Button, Card, Context, allow, from_data
from webex.bots.breaker import MOST
from webex.cards import TextBlock
from webex.emulator.accounts import ALICE_ID
from webex.errors import ConfigurationError
from webex.ids import membership_id, public_id
from webex.models import Message
from webex.models.base import from_data as model_of
from webex.realtime.event import Actor
from webex.testing.bots import BotTest, Door

Next = Callable[[Context], Awaitable[Any]]


def test_rooms_and_reactions_reach_a_bot() -> None:
    bot, titles = Bot(), []

    @bot.event("rooms", "updated")
    async def renamed(ctx: Context) -> str:
        titles.append(ctx.happening.data.title)
        return f"now {titles[-1]}"

    @bot.event("reactions", "created")
    async def reacted(ctx: Context) -> str:
        return f"{ctx.person.display_name} gave {ctx.happening.data.name}"

    @bot.event("reactions", "deleted")
    async def taken_back(ctx: Context) -> str:
        return "a pity"

    with BotTest(bot) as t:
        ops, other = t.room("Ops", t.alice, t.bob), t.room("Other")
        for title in ("Dev", "QA"):
            t.does(t.alice.client.rooms.update(ops, title=title))
            t.bot.replied(f"now {title}")
        said = t.say(ops, "hello").messages[0]
        t.bob.reacts(said, "heart")
        assert t.bot.replied("Bob Example gave heart").room_id == ops
        t.bob.unreacts(said, "heart")
        t.bot.replied("a pity")
        t.does(t.alice.client.memberships.delete(membership_id(t.bot_id, other)))
        t.does(t.alice.client.rooms.update(other, title="Without it"))
        t.bot.silent()
    assert titles == ["Dev", "QA"]


@pytest.mark.parametrize("threads", ["keep", "always", "never"])
def test_answers_to_cards_and_reactions_are_in_the_thread(threads: Literal["keep", "always", "never"]) -> None:
    bot = Bot(threads=threads)

    @bot.button
    async def press(ctx: Context) -> str:
        return "pressed"

    @bot.button
    async def change(ctx: Context) -> None:
        await ctx.replace(card())

    @bot.event("attachmentActions", "created")
    async def plain(ctx: Context) -> str:
        return "of plain data"

    @bot.event("reactions", "created")
    async def reacted(ctx: Context) -> str:
        return "thanks"

    @bot.command("card")
    async def ask(ctx: Context) -> Card:
        return card()

    def card() -> Card:
        return Card(TextBlock("Well?"), actions=[Button("Yes", press), Button("Change", change)])

    with BotTest(bot) as t:
        ops = t.room("Ops")
        alone = t.say(ops, card()).card  # in no thread
        begins = {"keep": None, "always": alone.id, "never": None}[threads]
        assert t.alice.presses("Yes", alone).messages[0].parent_id == begins
        assert t.alice.reacts(alone).messages[0].parent_id == begins
        assert t.alice.submits(alone, {"a": "plain input"}).messages[0].parent_id == begins
        replaced = t.alice.presses("Change", alone).card
        assert replaced.parent_id is None  # it stands where the other one stood

        asked = t.alice.says("hello", room=ops).said
        assert asked is not None
        within = t.alice.says("card", room=ops, thread=asked).card
        there = None if threads == "never" else asked.id
        assert within.parent_id == there
        for exchange in (t.alice.presses("Yes", within), t.alice.reacts(within), t.alice.submits(within, {"a": "b"})):
            assert exchange.messages[0].parent_id == (there or begins)
        assert t.alice.presses("Change", within).card.parent_id == there


def test_list_of_members_is_read_again_when_it_has_changed() -> None:
    bot = Bot(allow=allow.everybody_in_room("example.com"))

    @bot.command("invite")
    async def invite(ctx: Context, who: str) -> str:
        await ctx.client.memberships.create(room_id=ctx.room_id, person_email=who)
        return "invited"

    with BotTest(bot) as t:
        t.cloud.add_person("eve@example.org")
        ops = t.room("Ops", t.alice, t.bob)
        t.alice.says("invite eve@example.org", room=ops)
        t.bot.replied("invited")
        t.alice.says("invite eve@example.org", room=ops)  # the bot knows what it did itself
        t.bot.replied("You may not use me for that.")


def test_what_middlewares_find_is_there_for_handlers_of_the_same_event() -> None:
    bot, found = Bot(), []

    @bot.middleware
    async def account(ctx: Context, call_next: Next) -> Any:
        found.append(dict(ctx.data))
        ctx.data["account"] = f"account of {ctx.person.display_name}"
        return await call_next(ctx)

    @bot.command("mine")
    async def mine(ctx: Context) -> str:
        return str(ctx.data["account"])

    @bot.command("waiting")
    def waiting(ctx: Any) -> str:
        return str(ctx.data["account"])

    with BotTest(bot) as t:
        t.alice.says("mine")
        t.bot.replied("account of Alice Example")
        t.bob.says("waiting")
        t.bot.replied("account of Bob Example")
    assert found == [{}, {}]


def test_silence_of_a_loop_ends_with_the_clock_of_the_test() -> None:
    bot = Bot()

    @bot.command("ping")
    async def ping(ctx: Context) -> list[str]:
        return ["pong"] * (MOST + 1)

    with BotTest(bot) as t:
        t.alice.says("ping")
        t.alice.says("ping")
        t.bot.silent()
        t.advance(minutes=2)
        t.alice.says("ping")
        t.bot.replied("pong")


@pytest.mark.parametrize("door", ["test", "fleet"])
@pytest.mark.parametrize("resume", [True, False])
def test_person_signs_in_and_the_bot_acts_as_they(door: Door, resume: bool) -> None:
    integration = AsyncIntegration(client_id="C", client_secret="s", redirect_uri="https://example.com/callback")
    bot = Bot(integration=integration, allow=allow.everyone(), sign_in_url="https://example.com/login", resume=resume)

    @bot.command("mine")
    async def mine(ctx: Context) -> str:
        return f"you are {(await ctx.user_client.people.me()).display_name}"

    with BotTest(bot, door=door) as t:
        t.alice.says("mine")
        t.bot.replied_card(title="Please sign in")
        t.bob.signs_in()  # not whom the card is for
        t.bot.silent()
        t.alice.signs_in()
        if resume:
            t.bot.replied("you are Alice Example")
        else:
            t.bot.silent()
        t.restart()
        t.alice.says("mine")
        t.bot.replied("you are Alice Example")
        t.bob.says("mine")
        t.bot.replied("you are Bob Example")
    assert bot.integration is integration
    with BotTest(Bot(allow=allow.everyone())) as t, pytest.raises(ConfigurationError, match="no integration"):
        t.alice.signs_in()


def test_cooldown_of_a_command_holds_for_one_person_and_ends() -> None:
    bot, deployed = Bot(), []

    @bot.command("deploy", cooldown=timedelta(minutes=5))
    async def deploy(ctx: Context, service: str) -> str:
        deployed.append(service)
        return f"deploying {service}"

    with BotTest(bot) as t:
        t.alice.says("deploy")  # what does not fit does not count
        t.alice.says("deploy web")
        t.bot.replied("deploying web")
        t.redeliver()  # as after a kill
        t.bot.replied("deploying web")
        t.advance(minutes=2)
        t.alice.says("deploy api")
        t.bot.replied(match=r"Please wait 1\d\d s before you use \*\*deploy\*\* again")
        t.bob.says("deploy db")
        t.bot.replied("deploying db")
        t.advance(minutes=4)
        t.alice.says("deploy api")
        t.bot.replied("deploying api")
    with pytest.raises(ConfigurationError, match="cooldown"):
        bot.command("again", cooldown=timedelta(seconds=-1))(deploy)


def test_handled_messages_leave_nothing_in_memory() -> None:
    bot, alice = Bot(), Actor(public_id("PEOPLE", ALICE_ID), "alice@example.com", "Alice Example")
    numbers: list[int] = []

    @bot.command("count")
    async def count(ctx: Context, number: int) -> None:
        numbers[:] = [number]

    def blocks(t: BotTest, first: int, last: int) -> int:
        """Handle messages of these numbers in 50 rooms; return how many blocks of memory are in use then."""

        async def handle() -> None:
            for start in range(first, last, 100):
                happenings = [
                    from_data("messages", "created", message(number), client=bot.client, actor=alice)
                    for number in range(start, start + 100)
                ]
                assert set(await asyncio.gather(*map(bot.handle, happenings))) == {"handled"}

        t.does(handle())
        gc.collect()
        return sys.getallocatedblocks()

    def message(number: int) -> Message:
        ids = {"id": f"message {number}", "roomId": f"room {number % 50}", "roomType": "direct", "personId": alice.id}
        return model_of(Message, {**ids, "text": f"count {number}"})

    with BotTest(bot) as t:
        bot.observers.clear()  # those of the test, which remember every key
        before = blocks(t, 0, 500)
        assert blocks(t, 500, 2000) - before < 750  # one for each message would be 1,500
    assert numbers[0] >= 1900
