"""One script, the same answers by socket, webhook, fleet and in process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bots.scenario import make_bot
from webex.ids import membership_id
from webex.testing.bots import BotTest, Door


@pytest.fixture(params=["test", "socket", "webhook", "fleet"])
def t(request: pytest.FixtureRequest) -> Iterator[BotTest]:
    door: Door = request.param
    with BotTest(make_bot(), door=door) as test:
        yield test


def test_script_of_a_bot(t: BotTest) -> None:
    ops = t.room("Ops", t.alice, t.bob)
    t.bot.replied(match="thanks for adding me, Alice")

    t.alice.says("deploy web", room=ops)
    t.bot.replied("Deploying **web** latest")
    t.alice.says("SHIP api 1.2 —force")
    t.bot.replied("Deploying **api** 1.2 by force")
    t.alice.says("deploy db", room=ops)
    t.bot.replied(match=r'service: "db" does not fit. It is one of web, api.\n\nUsage: `deploy <web\|api>')
    t.alice.says("deploy status")
    t.bot.replied("nothing")
    t.alice.says("add 1 2 x")
    t.bot.replied(match='numbers: "x" does not fit. It is a whole number.')
    t.alice.says("add 1 2 39")
    t.bot.replied("42")
    t.alice.says(f"greet <@personId:{t.bob.id}> good  morning", room=ops)
    t.bot.replied(match="good morning, Bob")
    t.alice.says(f"deploy {t.mention} api", room=ops, mention=False)
    t.bot.replied("Deploying **api** latest")
    said = t.alice.says("deploy status", room=ops).said
    assert said is not None
    t.alice.edits(said, f"{t.mention} deploy web")
    t.bot.replied("edited to deploy web")
    t.alice.says("deploy status", room=ops, thread=said)
    assert t.bot.replied("nothing").parent_id == said.id
    t.alice.says("attach b.txt", room=ops, files=("a.txt", b"of Alice"))
    assert len(t.bot.replied("1 files").files or ()) == 1
    t.alice.says("ticket 7")
    t.bot.replied("ticket 7")
    t.alice.says("deplyo web")
    t.bot.replied(match="Did you mean \\*\\*deploy\\*\\*")
    t.alice.says("help")
    t.bot.replied(match="- \\*\\*deploy\\*\\*: Deploys a service.")
    assert "secret" not in t.bot.texts[0]
    t.alice.says("closed")
    t.bot.replied("That is closed.")

    card = t.alice.says("release", room=ops).card
    t.alice.fills(card, service="web", version="x", replicas=12)
    t.bot.replied_card(error="version")
    card = t.bot.replied_card(error="replicas")
    t.alice.fills(card, version="1.2", replicas=3, notify=True)
    t.bot.replied("web 1.2 × 3, notify: True")

    card = t.alice.says("approve", room=ops).card
    t.alice.presses("Yes", card)
    t.bot.replied("approved 7")
    t.alice.presses("Once", card)
    t.bot.replied("approved 8")
    t.bob.presses("Once", card)
    t.bot.replied("That was done already.")
    t.bob.presses("Mine", card)
    t.bot.replied("That can't be used here any more.")
    t.alice.presses("Mine", card)
    t.bot.replied("approved 9")

    t.alice.says("hello", room=ops)
    t.bot.replied("What is your name?")
    t.bob.says("count", room=ops)
    t.bot.replied("1")
    t.restart()
    t.alice.says("Alice", room=ops)
    t.bot.replied("How old are you?")
    t.alice.says("old", room=ops)
    t.bot.replied(match="does not fit. It is a whole number.")
    card = t.alice.says("42", room=ops).card
    t.alice.fills(card, team="blue")
    t.bot.replied("Welcome Alice, 42, of blue")
    t.alice.fills(card, team="red")
    t.bot.replied("That form is over.")

    t.alice.says("hello")
    t.alice.says("cancel")
    t.bot.replied("Cancelled.")
    t.alice.says("hello")
    t.advance(days=3)
    t.bot.replied(match="too long")  # by itself
    t.alice.says("Alice")
    t.bot.replied(match="I don't know")
    t.alice.presses("Soon", t.alice.says("approve", room=ops).card)
    t.bot.replied("approved 10")

    t.does(t.alice.client.memberships.delete(membership_id(t.bot_id, ops)))
    t.bot.replied("Alice Example has removed me")
