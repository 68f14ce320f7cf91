"""What happens when handlers fail: bugs are told once, transient failures are tried again, answers may be raised."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from webex.bots import Bot, Context, Dialog, Retry, Router, Say
from webex.errors import StorageError, TransportError
from webex.testing.bots import BotTest


def bot_that(act: Callable[[Context], Any]) -> Bot:
    bot = Bot()

    @bot.command("act")
    async def handler(ctx: Context) -> Any:
        result = act(ctx)
        return await result if isinstance(result, Awaitable) else result

    return bot


def test_handler_exception_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    bot = bot_that(lambda ctx: 1 // 0)
    with BotTest(bot) as t:
        t.alice.says("act")
        t.bot.replied("Something went wrong here. It was logged.")
    assert "ZeroDivisionError" in caplog.text
    assert bot.health.failed == 1
    assert bot.health.last_error == "ZeroDivisionError"


def test_error_handlers_of_routers_answer_first() -> None:
    bot, router = Bot(), Router()

    @router.command("inner")
    async def inner(ctx: Context) -> None:
        raise KeyError("x")

    @bot.command("outer")
    async def outer(ctx: Context) -> None:
        raise KeyError("y")

    @router.error
    async def of_router(ctx: Context, error: Exception) -> str:
        return "the router's"

    @bot.error
    def of_bot(ctx: Any, error: Exception) -> str:
        return f"the bot's {type(error).__name__}"

    bot.include(router)
    with BotTest(bot) as t:
        t.alice.says("inner")
        t.bot.replied("the router's")
        t.alice.says("outer")
        t.bot.replied("the bot's KeyError")


def test_error_handler_may_raise_its_answer() -> None:
    bot = bot_that(lambda ctx: 1 // 0)

    @bot.error
    async def told(ctx: Context, error: Exception) -> None:
        raise Say("that was a division")

    with BotTest(bot) as t:
        t.alice.says("act")
        t.bot.replied("that was a division")


def test_error_handler_gets_dialog_and_network_errors() -> None:
    bot = bot_that(lambda ctx: Broken())

    @bot.dialog
    class Broken(Dialog):
        async def start(self, ctx: Context) -> None:
            raise KeyError("x")

    @bot.command("net")
    async def net(ctx: Context) -> None:
        raise TransportError("broken")

    @bot.error
    async def told(ctx: Context, error: Exception) -> str:
        return type(error).__name__

    with BotTest(bot) as t:
        t.alice.says("act")
        t.bot.replied("KeyError")
        t.alice.says("net")
        t.bot.replied("TransportError")


@pytest.mark.parametrize(
    "error",
    [TransportError("broken"), StorageError("broken"), Retry(after=0.0)],
    ids=["transport", "storage", "retry"],
)
def test_transient_failures_are_tried_three_times(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[bool] = []

    def act(ctx: Context) -> str:
        seen.append(ctx.redelivered)
        if len(seen) < 3:
            raise error
        return "done"

    with BotTest(bot_that(act)) as t:
        t.alice.says("act")
        t.bot.replied("done")
    assert seen == [False, True, True]


@pytest.mark.parametrize("error", [TransportError("broken"), Retry(0.0)], ids=["transport", "retry"])
def test_permanent_failure_is_answered_after_three_attempts(error: Exception) -> None:
    tries: list[int] = []

    def act(ctx: Context) -> None:
        tries.append(1)
        raise error

    with BotTest(bot_that(act)) as t:
        t.alice.says("act")
        t.bot.replied("Something went wrong here. It was logged.")
    assert len(tries) == 3


def test_temporary_outage_is_retried() -> None:
    runs: list[bool] = []

    def act(ctx: Context) -> str:
        if not runs:
            t.cloud.faults.add("/v1/messages", status=502, count=1)
        runs.append(ctx.redelivered)
        return "pong"

    with BotTest(bot_that(act)) as t:
        t.alice.says("act")
        t.bot.replied("pong")
    assert runs[-1] == (len(runs) > 1)


def test_answers_may_be_raised_returned_or_several() -> None:
    def act(ctx: Context) -> Any:
        if ctx.person.email == "bob@example.com":
            raise Say("not you")
        return ["one", "two"]

    with BotTest(bot_that(act)) as t:
        assert t.alice.says("act").texts == ["one", "two"]
        assert t.bob.says("act").texts == ["not you"]


def test_middlewares_run_around_handlers_outermost_first() -> None:
    order: list[str] = []
    bot, router = Bot(), Router()

    @router.command("act")
    async def act(ctx: Context) -> str:
        order.append("handler")
        return "done"

    @router.middleware
    async def inner(ctx: Context, call_next: Callable[[Context], Awaitable[Any]]) -> Any:
        order.append("router")
        return await call_next(ctx)

    @bot.middleware
    async def outer(ctx: Context, call_next: Callable[[Context], Awaitable[Any]]) -> Any:
        order.append("bot")
        return f"{await call_next(ctx)}, seen"

    bot.include(router)
    with BotTest(bot) as t:
        t.alice.says("act")
        t.bot.replied("done, seen")
    assert order == ["bot", "router", "handler"]


def test_plain_handlers_run_in_threads_with_a_context_that_waits() -> None:
    import threading

    threads: list[int] = []
    bot = Bot()

    @bot.command("plain")
    def plain(ctx: Any, *words: str) -> str:
        threads.append(threading.get_ident())
        ctx.reply("one moment")
        ctx.state.person.put("last", list(words))
        with ctx.once("x") as first:
            assert first
        time.sleep(0)
        return " ".join(ctx.state.person.get("last"))

    with BotTest(bot) as t:
        assert t.alice.says("plain a b").texts == ["one moment", "a b"]
    assert threads != [threading.get_ident()]


def test_long_answers_are_sent_in_parts() -> None:
    with BotTest(bot_that(lambda ctx: "word " * 4000)) as t:
        assert len(t.alice.says("act").messages) >= 3


def test_answer_of_an_unknown_type_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with BotTest(bot_that(lambda ctx: object())) as t:
        t.alice.says("act")
        t.bot.replied("Something went wrong here. It was logged.")
    assert "answers are text, a Card" in caplog.text


def test_missing_settings_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with BotTest(Bot(), door="socket"):
        pass
    assert "no storage" in caplog.text
    assert "everyone" in caplog.text
