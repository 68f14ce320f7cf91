"""What is handled again: which failures, what is remembered between the tries, and what is done once."""

from __future__ import annotations

from typing import Any

import pytest

from webex.bots import Bot, Button, Card, Context, Form, Retry, from_data
from webex.bots import bot as bot_module
from webex.cards import TextBlock
from webex.errors import TransportError
from webex.errors.api import ApiError, api_error_class
from webex.models import Message
from webex.testing.bots import BotTest, Door


def refusal(status: int) -> ApiError:
    return api_error_class(status)("refused", status=status)


@pytest.mark.parametrize("status", [408, 423, 429, 500, 503])
def test_what_the_cloud_refuses_for_a_while_is_tried_again(status: int) -> None:
    bot, tries = Bot(), []

    @bot.command("act")
    async def act(ctx: Context) -> str:
        tries.append(ctx.redelivered)
        if len(tries) < 3:
            raise refusal(status)
        return "done"

    with BotTest(bot) as t:
        t.alice.says("act")
        t.bot.replied("done")
    assert tries == [False, True, True]


@pytest.mark.parametrize("status", [400, 403, 404])
def test_what_the_cloud_refuses_for_good_is_not_tried_again(status: int) -> None:
    bot, tries = Bot(), []

    @bot.command("act")
    async def act(ctx: Context) -> None:
        tries.append(status)
        raise refusal(status)

    with BotTest(bot) as t:
        t.alice.says("act")
        t.bot.replied("Something went wrong here. It was logged.")
    assert tries == [status]


def test_sender_whose_profile_may_not_be_read_is_known_by_id() -> None:
    bot, senders = Bot(), []

    @bot.message()
    async def act(ctx: Context) -> None:
        senders.append((ctx.person.id, ctx.person.email))
        await ctx.reply("Hello.")

    with BotTest(bot) as t:
        message = t.alice.says("hello").messages[0]
        t.cloud.faults.add(f"/v1/people/{t.alice.id}", status=403)
        asked = Message(id="x", room_id=message.room_id, person_id=t.alice.id, text="hello")
        outcome = t.run(
            t.asynchronous._bot.handle(from_data("messages", "created", asked, client=t.asynchronous._bot.client))
        )
        assert outcome == "handled"
        assert senders[1:] == [(t.alice.id, None)]


def test_tries_of_events_that_never_come_again_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot_module, "_MOST_TRIED", 3)
    bot = Bot()

    @bot.message()
    async def act(ctx: Context) -> None:
        raise Retry(0)

    with BotTest(bot) as t:
        room = t.alice.says("first").messages[0].room_id
        assert not bot._tries  # given up after three
        for number in range(10):
            said = Message(id=f"m{number}", room_id=room, person_id=t.alice.id, text="x", room_type="direct")
            assert t.run(bot.handle(from_data("messages", "created", said, client=bot.client))) == "retry"
        assert len(bot._tries) == 3


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
def test_body_that_raises_retry_gives_its_mark_back(plain: bool) -> None:
    bot, bodies = Bot(), []

    @bot.command("async")
    async def act(ctx: Context) -> str:
        async with ctx.once("x") as first:
            if first:
                bodies.append(1)
                if len(bodies) < 2:
                    raise Retry(0)
        return f"done, {first}"

    @bot.command("plain")
    def act_plain(ctx: Any) -> str:
        with ctx.once("x") as first:
            if first:
                bodies.append(1)
                if len(bodies) < 2:
                    raise Retry(0)
        return f"done, {first}"

    with BotTest(bot) as t:
        t.alice.says("plain" if plain else "async")
        t.bot.replied("done, True")
        t.redeliver()
        t.bot.replied("done, False")
    assert bodies == [1, 1]


def test_body_that_fails_otherwise_keeps_its_mark() -> None:
    bot, bodies = Bot(), []

    @bot.command("act")
    async def act(ctx: Context) -> str:
        async with ctx.once("x") as first:
            if first:
                bodies.append(1)
                raise TransportError("it may have been carried out")
        return "done before"

    with BotTest(bot) as t:
        t.alice.says("act")
        t.bot.replied("done before")
    assert bodies == [1]


@pytest.mark.parametrize("door", ["test", "socket", "webhook"])
def test_button_that_is_pressed_once_is_tried_again_when_it_failed(door: Door) -> None:
    bot, tries = Bot(), []

    @bot.button
    async def approve(ctx: Context) -> str:
        tries.append(ctx.redelivered)
        if len(tries) < 2:
            raise Retry(0)
        return "approved"

    @bot.command("ask")
    async def ask(ctx: Context) -> Card:
        return Card(TextBlock("?"), actions=[Button("Yes", approve, once=True)])

    with BotTest(bot, door=door) as t:
        card = t.alice.says("ask").card
        t.alice.presses("Yes", card)
        t.bot.replied("approved")
        t.alice.presses("Yes", card)
        t.bot.replied("That was done already.")
    assert tries == [False, True]


class Order(Form):
    number: int


def test_submission_whose_card_was_replaced_is_handled_again() -> None:
    bot, tries = Bot(), []

    @bot.form(Order)
    async def ordered(ctx: Context, form: Order) -> str:
        tries.append(form.number)
        await ctx.replace(Card(TextBlock(f"Working on {form.number}")))
        if len(tries) < 2:
            raise Retry(0)
        return f"ordered {form.number}"

    @bot.command("order")
    async def order(ctx: Context) -> type[Form]:
        return Order

    with BotTest(bot) as t:
        card = t.alice.says("order").card
        t.alice.fills(card, number=7)
        t.bot.replied("ordered 7")
        assert tries == [7, 7]
        cards = [each for each in t.asynchronous._sent() if each.attachments]
        assert len(cards) == 1  # the one that the second try sent, in place of that of the first
        t.alice.submits(cards[0], {"_w": "x"})
        t.bot.replied("That can't be used here any more.")


def test_event_without_an_actor_is_its_authors() -> None:
    bot = Bot()

    @bot.command("who")
    async def who(ctx: Context) -> str:
        return f"{ctx.person.email}"

    with BotTest(bot) as t:
        said = t.alice.says("nothing").messages[0]

        async def handle() -> Any:
            message = await t.alice.client.messages.create(to_person_id=t.bot_id, text="who")
            ids = Message(id=message.id)
            happening = from_data("messages", "created", ids, client=bot.client, is_whole=False)
            return await bot.handle(happening)

        assert t.run(handle()) == "handled"
        assert "alice@example.com" in [each.text for each in t.asynchronous._sent()]
        assert said.room_id is not None
