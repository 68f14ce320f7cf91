"""Who is answered: rules, other bots, loops, and what is said to those who may not."""

from __future__ import annotations

from typing import Any

import pytest

from webex.bots import Bot, Button, Card, Context, Form, Router, allow
from webex.bots.allow import Rule
from webex.cards import TextBlock
from webex.testing.bots import BotTest


class Small(Form):
    text: str


def bot_of(rule: Rule | None, **options: Any) -> Bot:
    bot = Bot(allow=rule, **options)

    @bot.command("ping")
    async def ping(ctx: Context) -> str:
        return "pong"

    @bot.command("form")
    async def form(ctx: Context) -> type[Form]:
        return Small

    @bot.form(Small)
    async def filled(ctx: Context, form: Small) -> str:
        return form.text

    @bot.button
    async def press(ctx: Context) -> str:
        return "pressed"

    @bot.command("card")
    async def card(ctx: Context) -> Card:
        return Card(TextBlock("x"), actions=[Button("Press", press)])

    return bot


@pytest.mark.parametrize(
    ("rule", "alice", "bob"),
    [
        (allow.everyone(), True, True),
        (allow.domain("example.com"), True, True),
        (allow.domain("example.org"), False, False),
        (allow.people("alice@example.com"), True, False),
        (~allow.people("ALICE@example.com"), False, True),
        (allow.domain("example.com") & ~allow.people("bob@example.com"), True, False),
        (allow.domain("example.org") | allow.people("bob@example.com"), False, True),
    ],
    ids=str,
)
def test_rules(rule: Rule, alice: bool, bob: bool) -> None:
    with BotTest(bot_of(rule)) as t:
        for speaker, may in ((t.alice, alice), (t.bob, bob)):
            assert speaker.says("ping").texts == (["pong"] if may else ["You may not use me for that."])
            if not may:
                speaker.says("ping")
                t.bot.silent()  # told once a minute


def test_rules_hold_for_forms_and_buttons_too() -> None:
    with BotTest(bot_of(allow.people("alice@example.com"))) as t:
        ops = t.room("Ops", t.alice, t.bob)
        form, card = t.alice.says("form", room=ops).card, t.alice.says("card", room=ops).card
        t.bob.fills(form, text="mine")
        assert "mine" not in t.bot.texts
        t.bob.presses("Press", card)
        assert "pressed" not in t.bot.texts
        t.alice.fills(form, text="mine")
        t.bot.replied("mine")
        t.alice.presses("Press", card)
        t.bot.replied("pressed")


def test_rules_of_rooms_and_members() -> None:
    bot = bot_of(None)
    with BotTest(bot) as t:
        ops, dev = t.room("Ops", t.alice), t.room("Dev", t.alice, t.bob)
        bot.allow = allow.rooms(ops)
        t.alice.says("ping", room=ops)
        t.bot.replied("pong")
        t.alice.says("ping", room=dev)
        t.bot.replied("You may not use me for that.")
        bot.allow = allow.members_of(ops)
        t.bob.says("ping", room=dev)
        assert "pong" not in t.bot.texts
        t.does(t.alice.client.memberships.create(room_id=ops, person_id=t.bob.id))
        t.bob.says("ping", room=dev)  # the list is asked for again when memberships change
        t.bot.replied("pong")
        bot.allow = allow.everybody_in_room("example.com")
        t.bob.says("ping", room=dev)
        t.bot.replied("pong")
        bot.allow = allow.everybody_in_room("example.org")
        t.advance(minutes=2)
        t.bob.says("ping", room=dev)
        assert "pong" not in t.bot.texts


def test_commands_and_routers_can_have_rules() -> None:
    bot, admin = Bot(), Router(allow=allow.people("alice@example.com"))

    @admin.command("wipe")
    async def wipe(ctx: Context) -> str:
        return "wiped"

    @bot.command("night", when=lambda ctx: False)
    async def night(ctx: Context) -> str:
        return "night"

    @bot.message("night")
    async def day(ctx: Context) -> str:
        return "day"

    bot.include(admin)
    with BotTest(bot) as t:
        t.alice.says("wipe")
        t.bot.replied("wiped")
        t.bob.says("wipe")
        t.bot.replied("You may not use me for that.")
        assert "wipe" not in t.bob.says("help").texts[0]
        assert "wipe" in t.alice.says("help").texts[0]
        t.alice.says("night")  # `when` goes on to the next handler
        t.bot.replied("day")


def test_other_bots_are_ignored_unless_wanted() -> None:
    for wanted in (False, True):
        with BotTest(bot_of(None, bots=wanted)) as t:
            person = t.cloud.state.people[t.bob.uuid]
            person.kind = "bot"
            assert t.bob.says("ping").texts == (["pong"] if wanted else [])


def test_loops_are_broken(caplog: pytest.LogCaptureFixture) -> None:
    with BotTest(bot_of(None)) as t:
        said = [t.alice.says("ping").texts for _ in range(25)]
        assert said.count(["pong"]) in (20, 21)
        assert said[-1] == []
        assert t.bob.says("ping").texts == ["pong"]
    assert "silence for a minute" in caplog.text


def test_messages_that_are_not_for_the_bot_get_no_help() -> None:
    with BotTest(bot_of(None)) as t:
        ops = t.room("Ops", t.alice)
        t.alice.says("something", room=ops, mention=False)
        t.bot.silent()
        t.alice.says("something", room=ops)
        t.bot.replied(match="I don't know")


def test_unknown_may_be_ignored_or_handled() -> None:
    with BotTest(bot_of(None, unknown="ignore")) as t:
        t.alice.says("something")
        t.bot.silent()

    async def echo(ctx: Context) -> str:
        return ctx.text

    with BotTest(bot_of(None, unknown=echo)) as t:
        t.alice.says("something")
        t.bot.replied("something")
