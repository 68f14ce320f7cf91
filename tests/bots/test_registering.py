"""Mistakes that are found while the app is imported name the file and line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from webex.bots import Bot, Context, Rest, Router
from webex.errors import ConfigurationError


def twice(bot: Bot) -> None:
    @bot.command("a")
    async def first(ctx: Context) -> None: ...

    @bot.command("b", aliases=["A"])
    async def second(ctx: Context) -> None: ...


def no_context(bot: Bot) -> None:
    @bot.command("a")
    async def handler() -> None: ...


def unknown_type(bot: Bot) -> None:
    @bot.command("a")
    async def handler(ctx: Context, items: dict[str, int]) -> None: ...


def keywords(bot: Bot) -> None:
    @bot.command("a")
    async def handler(ctx: Context, **options: str) -> None: ...


def after_rest(bot: Bot) -> None:
    @bot.command("a")
    async def handler(ctx: Context, text: Rest, more: str) -> None: ...


def no_group(bot: Bot) -> None:
    @bot.message("x (?P<number>1)")
    async def handler(ctx: Context, count: int) -> None: ...


def no_form(bot: Bot) -> None:
    @bot.event("rooms", "updated")
    async def handler(ctx: Context, more: str) -> None: ...


def plain_middleware(bot: Bot) -> None:
    @bot.middleware
    def handler(ctx: Context, call_next: Any) -> None: ...


def twice_by_router(bot: Bot) -> None:
    router = Router()

    @bot.command("a")
    async def first(ctx: Context) -> None: ...

    @router.command("a")
    async def second(ctx: Context) -> None: ...

    bot.include(router)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (twice, "two handlers of the command 'a'"),
        (no_context, "takes the context as its first parameter"),
        (unknown_type, "no word can become"),
        (keywords, "name each option"),
        (after_rest, "nothing can follow it"),
        (no_group, r"no group \(\?P<count>"),
        (no_form, "the context and nothing else"),
        (plain_middleware, "a middleware is async def"),
        (twice_by_router, "two handlers of the command 'a'"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_mistake_names_its_place(mistake: Callable[[Bot], None], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        mistake(Bot())
    assert "test_registering.py:" in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [{"threads": "sometimes"}, {"max_concurrent": 0}, {"integration": object()}],
    ids=["threads", "max_concurrent", "integration"],
)
def test_wrong_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Bot(**options)


def test_missing_bot_token_error_says_where_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WEBEX_BOT_TOKEN", "WEBEX_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="WEBEX_BOT_TOKEN"):
        _ = Bot().client


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("emulator_url", r"settings=\{'emulator_url': …\}"),
        ("per_rooms", "'per_room'"),
        ("ping_intervals", "'ping_interval'"),
    ],
)
def test_option_in_the_wrong_place_is_refused_when_the_bot_is_made(name: str, told: str) -> None:
    options: dict[str, Any] = {name: 1}
    with pytest.raises(ConfigurationError, match=told):
        Bot("token", **options)
