"""The bots in `examples/` do what they say."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples import assistant
from webex import AsyncIntegration
from webex.bots import Bot, Context
from webex.testing.bots import BotTest


@pytest.fixture
def under_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    tests: list[BotTest] = []

    def begin(bot: Bot) -> BotTest:
        tests.append(BotTest(bot))
        return tests[-1]

    yield begin
    for each in tests:
        each.close()


def bot_of(name: str) -> Bot:
    module = importlib.reload(importlib.import_module(f"examples.{name}"))
    bot: Bot = module.bot
    return bot


def test_approvals(under_test: Any) -> None:
    t: BotTest = under_test(bot_of("approvals"))
    t.alice.says("request 120 bob@example.com")
    t.bot.replied("Request 1 is with bob@example.com.")
    card = t.last_card()
    t.bob.presses("Approve", card)
    assert sorted(t.bot.texts) == ["Request 1 (120 €) was approved by Bob Example.", "Request 1 is approved."]
    t.bob.presses("Approve", card)
    t.bot.replied("That was done already.")

    t.alice.says("request 99 bob@example.com")
    form = t.bob.presses("Refuse").card
    t.restart()
    t.bob.fills(form, reason="no")
    again = t.bot.replied_card(error="reason")
    t.bob.fills(again, reason="Too much.")
    assert "Request 2 (99 €) was refused: Too much." in t.bot.texts


def test_request_that_could_not_be_sent_is_sent_when_it_is_tried_again(under_test: Any) -> None:
    bot, faults = bot_of("approvals"), []

    @bot.middleware
    async def fails_once(ctx: Context, call_next: Any) -> Any:
        if not faults:
            faults.append(t.cloud.faults.add("/v1/messages", method="POST", status=429, retry_after="0", count=5))
        return await call_next(ctx)

    t: BotTest = under_test(bot)
    t.alice.says("request 120 bob@example.com")
    assert "Request 2 is with bob@example.com." in t.bot.texts
    assert faults[0].hits == 5  # the client itself repeats four times
    assert len([each for each in t.asynchronous._sent() if each.attachments]) == 1


def test_support_queue(under_test: Any) -> None:
    t: BotTest = under_test(bot_of("support_queue"))
    t.alice.says("how do I print?")
    t.bot.replied("There is no team yet.")
    team = t.room("Support", t.bob)
    t.bob.says("here", room=team)
    answers = t.alice.says("how do I print?")
    question = next(each for each in answers.messages if each.room_id == team)
    t.restart()
    t.bob.says("press the button", room=team, thread=question)
    assert sorted(t.bot.texts) == ["Sent.", "press the button"]
    t.bob.says("close", room=team, thread=question)
    assert "Closed." in t.bot.texts
    t.bob.says("and more", room=team, thread=question)
    t.bot.silent()


def test_assistant_remembers_its_thread_and_answers_there(under_test: Any) -> None:
    lengths: list[int] = []

    async def model(conversation: list[dict[str, str]], tools: Any) -> str:
        lengths.append(len(conversation))
        return f"{len(conversation)} turns"

    t: BotTest = under_test(assistant.make_bot(model))
    ops = t.room("Ops", t.alice)
    first = t.alice.says("hello", room=ops).messages[0]
    assert first.parent_id is not None
    t.restart()
    t.alice.says("and now?", room=ops, thread=first.parent_id)
    assert t.last.messages[0].parent_id == first.parent_id
    t.alice.says("another thread", room=ops)
    assert lengths == [1, 3, 1]


def test_assistant_acts_as_the_person(under_test: Any, webex_env: Any) -> None:
    async def model(conversation: list[dict[str, str]], tools: Any) -> str:
        return ", ".join(sorted(await tools["my_rooms"]()))

    integration = AsyncIntegration.from_env(scope="spark:all")
    bot = assistant.make_bot(model, token="", integration=integration, sign_in_url="https://example.com/login")
    t: BotTest = under_test(bot)
    t.alice.says("which rooms?")
    t.bot.replied_card(title="Please sign in")
    t.alice.signs_in()
    t.alice.says("which rooms?")
    t.bot.replied("Example Bot")
