"""Buttons: what is signed holds in its room, card, time and for its person, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bots.scenario import make_bot
from webex.bots import Bot, Button, Card, Context, Form
from webex.bots.buttons import InvalidButtonError, Pressed, Signer
from webex.cards import TextBlock
from webex.errors import ConfigurationError
from webex.ids import base64url_decode, base64url_encode, public_id
from webex.testing.bots import BotTest

SIGNER = Signer([b"a secret of sixteen bytes or more"])
ROOM = public_id("ROOM", "00000000-0000-4000-8000-00000000000a")
PERSON = public_id("PEOPLE", "00000000-0000-4000-8000-00000000000b")
REFUSED = "That can't be used here any more."


@pytest.fixture
def t() -> Iterator[BotTest]:
    with BotTest(make_bot()) as test:
        yield test


def read(text: str, **changed: Any) -> Pressed:
    return SIGNER.read(text, **({"person": PERSON, "room_id": ROOM, "now": 1000.0} | changed))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(position=st.integers(min_value=0), bit=st.integers(0, 7))
def test_any_flipped_bit_is_refused(position: int, bit: int) -> None:
    text = SIGNER.sign(Pressed("button", "app:approve", {"n": 7}, 0, "", "00000000-0000-4000-8000-00000000000a"))
    data = bytearray(base64url_decode(text))
    data[position % len(data)] ^= 1 << bit
    with pytest.raises(InvalidButtonError):
        read(base64url_encode(bytes(data)))
    assert read(text).arguments == {"n": 7}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(text=st.text() | st.binary().map(base64url_encode))
def test_no_text_raises_anything_else(text: str) -> None:
    with pytest.raises(InvalidButtonError):
        read(text)


def test_secrets_can_be_replaced() -> None:
    old, new = b"the old secret, long enough", b"the new secret, long enough"
    text = Signer([old]).sign(Pressed("button", "x"))
    assert Signer([new, old]).read(text, person=PERSON, room_id=ROOM, now=0.0).name == "x"
    with pytest.raises(InvalidButtonError):
        Signer([new]).read(text, person=PERSON, room_id=ROOM, now=0.0)


def test_large_arguments_and_short_secrets_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="Keep them in your database"):
        Button("x", "app:x", text="x" * 2000)
    with pytest.raises(ConfigurationError, match="only= takes the id"):
        Button("x", "app:x", only="alice@example.com")
    with pytest.raises(ConfigurationError, match="16 bytes"):
        _ = Bot("token", secret="short").signer


def test_button_copied_into_another_room_person_or_card_is_refused(t: BotTest) -> None:
    ops, dev = t.room("Ops", t.alice, t.bob), t.room("Dev", t.alice, t.bob)
    card = t.alice.says("approve", room=ops).card
    other = t.alice.says("approve", room=dev).card
    same_room = t.alice.says("approve", room=ops).card
    content: Any = card.attachments[0].to_dict()["content"] if card.attachments else {}
    for action in content["actions"]:
        for copied in (other, same_room):
            t.alice.submits(copied, action["data"])
            t.bot.replied(REFUSED)
    mine = next(action for action in content["actions"] if action["title"] == "Mine")
    t.bob.submits(card, mine["data"])
    t.bot.replied(REFUSED)
    t.alice.submits(card, mine["data"])
    t.bot.replied("approved 9")


def test_button_in_a_card_of_another_sender_is_refused(t: BotTest) -> None:
    ops = t.room("Ops", t.alice, t.bob)
    card = t.alice.says("approve", room=ops).card
    content: Any = card.attachments[0].to_dict()["content"] if card.attachments else {}

    async def copy() -> Any:
        return await t.alice.client.messages.create(room_id=ops, text="mine", card=content)

    copied = t.run(t.asynchronous._act(copy()))
    yes = next(action for action in content["actions"] if action["title"] == "Yes")
    assert t.bob.submits(copied, yes["data"]).texts in ([], [REFUSED])
    assert "approved 7" not in t.bot.texts


def test_hidden_form_values_are_valid_in_their_card_only(t: BotTest) -> None:
    ops = t.room("Ops", t.alice)
    first = t.alice.says("release", room=ops).card
    second = t.alice.says("approve", room=ops).card
    hidden: Any = first.attachments[0].to_dict()["content"]["actions"][0]["data"] if first.attachments else {}
    t.alice.submits(second, {**hidden, "service": "web", "version": "1.2"})
    t.bot.replied(REFUSED)
    t.alice.submits(first, {"_w": "forged", "service": "web", "version": "1.2"})
    t.bot.replied(REFUSED)
    t.alice.submits(first, {"service": "web", "version": "1.2"})
    t.bot.silent()


def test_expired_button_is_refused(t: BotTest) -> None:
    card = t.alice.says("approve").card
    t.advance(hours=2)
    t.alice.presses("Soon", card)
    t.bot.replied(REFUSED)
    t.alice.presses("Yes", card)
    t.bot.replied("approved 7")


def test_single_use_button_is_completed_after_a_kill(t: BotTest) -> None:
    t.alice.says("approve")
    t.alice.presses("Once")
    t.bot.replied("approved 8")
    t.redeliver()  # as after a kill between the answer and the acknowledgement
    t.bot.replied("approved 8")
    t.alice.presses("Once", t.last_card())
    t.bot.replied("That was done already.")


def test_button_of_a_changed_function_is_refused() -> None:
    def bot_of(version: int) -> Bot:
        bot = Bot(secret="a secret of sixteen bytes or more")
        name = f"{__name__}:approve"

        async def approve(ctx: Context, n: int) -> str:
            return f"approved {n}"

        async def other(ctx: Context, amount: int) -> str:
            return f"other {amount}"

        function: Any = approve if version == 1 else other
        function.__qualname__ = "approve" if version < 3 else "gone"
        bot.button(function)

        @bot.command("ask")
        async def ask(ctx: Context) -> Card:
            return Card(TextBlock("?"), actions=[Button("Yes", name, n=7)])

        return bot

    bot = bot_of(1)
    with BotTest(bot) as t:
        card = t.alice.says("ask").card
        t.alice.presses("Yes", card)
        t.bot.replied("approved 7")
        for version in (2, 3):
            bot.handlers = bot_of(version).handlers
            t.alice.presses("Yes", card)
            t.bot.replied("That button belongs to an older version of me.")


def test_card_with_buttons_is_sent_by_the_bot_only() -> None:
    card = Card(TextBlock("x"), actions=[Button("Yes", "app:yes")])
    with pytest.raises(ConfigurationError, match="signed by the bot"):
        card.to_dict()


class Inputs(Form):
    text: str


@pytest.mark.parametrize("what", [Inputs, Inputs.new(text="x")], ids=["class", "prefilled"])
def test_form_without_a_handler_is_answered_with_an_explanation(what: Any) -> None:
    bot = Bot()

    @bot.command("ask")
    async def ask(ctx: Context) -> Any:
        return what

    with BotTest(bot) as t:
        t.alice.fills(t.alice.says("ask").card, text="y")
        t.bot.replied("I no longer have that form.")
