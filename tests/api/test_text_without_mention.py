"""What was said to a bot, without the mention of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from webex import AsyncWebex, Webex
from webex.emulator.accounts import ALICE_ID, BOT_ID, BOT_TOKEN
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError
from webex.ids import to_hydra_id
from webex.models import Message, Person
from webex.models.base import from_data

BOT, ALICE = to_hydra_id("PEOPLE", BOT_ID), to_hydra_id("PEOPLE", ALICE_ID)


def mention(who: str, label: str = "Example Bot", tag: str = "spark-mention", quote: str = '"') -> str:
    return f"<{tag} data-object-type={quote}person{quote} data-object-id={quote}{who}{quote}>{label}</{tag}>"


def message(text: str | None, html: str | None = None, **more: Any) -> Message:
    return from_data(Message, {"text": text, "html": html, **more})


@pytest.mark.parametrize(
    ("text", "html", "said"),
    [
        pytest.param("Example Bot deploy it", f"{mention(BOT)} deploy it", "deploy it", id="at-the-beginning"),
        pytest.param("Example Bot deploy", f"{mention(BOT_ID)} deploy", "deploy", id="by-uuid"),
        pytest.param("Example Bot go", mention(BOT, tag="webex-mention", quote="'") + " go", "go", id="other-spelling"),
        pytest.param("Example Bot: go", f"{mention(BOT)}: go", "go", id="colon"),
        pytest.param("Example Bot, go", f"{mention(BOT)}, go", "go", id="comma"),
        pytest.param("please Example Bot go", f"please {mention(BOT)} go", "please go", id="in-the-middle"),
        pytest.param("go Example Bot", f"go {mention(BOT)}", "go", id="at-the-end"),
        pytest.param("R&D Bot go", f"{mention(BOT, 'R&amp;D Bot')} go", "go", id="escaped"),
        pytest.param("Bot Bot go", f"{mention(BOT, 'Bot')} {mention(BOT, 'Bot')} go", "go", id="twice"),
        pytest.param("Bot go Bot", f"<p>{mention(BOT, 'Bot')} go Bot</p>", "go Bot", id="written-after"),
        pytest.param("Bot, say Bot go", f"Bot, say {mention(BOT, 'Bot')} go", "Bot, say go", id="written-before"),
        pytest.param("Al and Example Bot", f"{mention(ALICE, 'Al')} and {mention(BOT)}", "Al and", id="others-stay"),
        pytest.param("Alice go", f"{mention(ALICE, 'Alice')} go", "Alice go", id="another-is-mentioned"),
        pytest.param("a text", f"{mention(BOT)} go", "a text", id="the-text-lacks-it"),
        pytest.param("Example Bot\ngo\nnow", f"{mention(BOT)}<br>go<br>now", "go\nnow", id="lines-stay"),
        pytest.param("Example Bot", mention(BOT), "", id="nothing-was-said"),
        pytest.param(None, f"{mention(BOT)} go", "", id="no-text"),
        pytest.param(" Example Bot go ", None, "Example Bot go", id="no-html-no-mention"),
        pytest.param("<spark-mention go", "<spark-mention data-type='x' go", "<spark-mention go", id="broken"),
    ],
)  # fmt: skip
def test_only_mentions_of_the_bot_are_removed(text: str | None, html: str | None, said: str) -> None:
    assert message(text, html).text_without_mention(BOT) == said
    assert message(text, html).text_without_mention(from_data(Person, {"id": BOT})) == said
    assert message(text, html).text_without_mention(BOT_ID) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("Example Bot go", "go", id="display-name"),
        pytest.param("example bot: go", "go", id="letter-case"),
        pytest.param("Botty go", "go", id="nick-name"),
        pytest.param("Example Bottle go", "Example Bottle go", id="a-longer-word"),
        pytest.param("go Example Bot", "go Example Bot", id="not-at-the-beginning"),
    ],
)
def test_leading_name_is_removed_from_text_without_html(text: str, said: str) -> None:
    bot = from_data(Person, {"id": BOT, "displayName": "Example Bot", "nickName": "Botty"})
    assert message(text, mentionedPeople=[BOT]).text_without_mention(bot) == said
    assert message(text, mentionedPeople=[ALICE]).text_without_mention(bot) == text


@pytest.mark.parametrize("wrong", [None, 7, "", ["x"]], ids=["none", "number", "empty", "list"])
def test_invalid_bot_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="person or id"):
        message("text").text_without_mention(wrong)


def test_a_bot_reads_a_message_without_its_mention(webex_cloud: Cloud) -> None:
    with (
        Webex(webex_cloud.token_for("alice"), emulator_url=webex_cloud.url) as alice,
        Webex(BOT_TOKEN, emulator_url=webex_cloud.url) as bot,
    ):
        me, room = bot.people.me(), alice.rooms.create(title="A room")
        alice.memberships.create(room_id=str(room.id), person_id=str(me.id))
        sent = alice.messages.create(room_id=str(room.id), markdown=f"<@personId:{me.id}|Bot> deploy **it**")
        got = bot.messages.get(str(sent.id))
        assert (got.text, got.text_without_mention(me)) == ("Bot deploy it", "deploy it")


def test_realtime_messages_read_like_fetched_ones(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with (
            AsyncWebex(webex_cloud.token_for("alice"), emulator_url=webex_cloud.url) as alice,
            AsyncWebex(BOT_TOKEN, emulator_url=webex_cloud.url) as bot,
        ):
            room = await alice.rooms.create(title="A room")
            await alice.memberships.create(room_id=str(room.id), person_id=BOT)
            async with bot.messages.listen() as events:
                await alice.conversations.post(str(room.id), "Bot, status", html=f"{mention(BOT, 'Bot')}, status")
                event = await anext(events)
            assert event.data.text_without_mention(BOT) == "status"

    asyncio.run(asyncio.wait_for(main(), 60))
