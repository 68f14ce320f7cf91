"""The bots of the page about bots answer as it says, and its test passes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import named
from tests.support.inner_pytest import run_pytest
from webex.testing.bots import BotTest


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Any]:
    tests: list[BotTest] = []

    def begin(block: str) -> BotTest:
        found = named(block)
        names: dict[str, Any] = {"__name__": block.replace("-", "_")}
        module = type(sys)(names["__name__"])
        module.__dict__.update(names)
        sys.modules[names["__name__"]] = module
        exec(compile(found.code, found.id, "exec", dont_inherit=True), module.__dict__)
        tests.append(BotTest(module.__dict__["bot"]))
        return tests[-1]

    yield begin
    for each in tests:
        each.close()
        sys.modules.pop("bots_page", None)


def test_documented_test_of_an_event_loop_passes() -> None:
    found = named("bots-testing-async")
    names: dict[str, Any] = {"__name__": "bots_testing_async"}
    exec(compile(found.code, found.id, "exec", dont_inherit=True), names)
    asyncio.run(names["test_ping"]())


def test_first_bot_answers(play: Any) -> None:
    t: BotTest = play("bots-first")
    t.alice.says("ping")
    t.bot.replied("pong")


def test_commands_accept_the_documented_arguments(play: Any) -> None:
    t: BotTest = play("bots-commands")
    t.alice.says("ship api 1.2")
    t.bot.replied("Deploying **api** 1.2")
    t.alice.says("deploy db")
    t.bot.replied(match="It is one of web, api")
    t.alice.says("tell bob@example.com see you   at noon")
    t.bot.replied("I told bob@example.com.")
    assert "see you at noon" in t.bot.texts or "see you   at noon" in t.bot.texts
    t.alice.says("help deploy")
    t.bot.replied(match="Deploys a service.\n\nUsage: `deploy")


def test_documented_form_works(play: Any) -> None:
    t: BotTest = play("bots-forms")
    card = t.alice.says("release").card
    t.alice.fills(card, service="web", version="one")
    card = t.bot.replied_card(title="Like 1.2")
    t.alice.fills(card, version="1.3")
    t.bot.replied("Releasing web 1.3 on 2 machines.")


def test_documented_button_works(play: Any) -> None:
    t: BotTest = play("bots-buttons")
    t.alice.says("order 7")
    t.alice.presses("Approve")
    t.bot.replied(match="Order 7 is approved by Alice")


def test_documented_dialog_works(play: Any) -> None:
    t: BotTest = play("bots-dialogs")
    t.alice.says("hello")
    t.alice.says("Alice")
    card = t.alice.says("42").card
    t.alice.fills(card, team="red")
    t.bot.replied("Welcome, Alice.")


def test_the_test_of_the_page_passes(tmp_path: Path) -> None:
    (tmp_path / "test_bot.py").write_text(named("bots-testing").code)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("WEBEX_", "PYTEST_"))}
    done = run_pytest(tmp_path, "-q", str(tmp_path), variables=variables)
    assert "1 passed" in done.stdout, done.stdout[-3000:]
