"""A bot behind webhooks: which it needs, and how its receiver registers and keeps them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from tests.support.ports import free_port
from webex import AsyncWebex
from webex.bots import Bot, Context, Dialog, Form, Router, allow
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_TOKEN, BOT_ID, BOT_TOKEN
from webex.errors import ConfigurationError
from webex.ids import public_id
from webex.storage import MemoryStorage
from webex.webhooks import WebhookReceiver

SECRET = "the secret of these webhooks"
MESSAGES = "messages:created"
SUBMISSIONS = "attachmentActions:created"
MEMBERS = ("memberships:created", "memberships:deleted")
PATIENCE = 60.0


async def handler(ctx: Context) -> None:
    """Do nothing."""


async def second(ctx: Context, what: Any) -> None:
    """Do nothing."""


class Wish(Form):
    """A form with one field."""

    text: str


class Talk(Dialog):
    """A dialog that asks nothing."""

    async def start(self, ctx: Context) -> None:
        return None


@pytest.mark.parametrize(
    ("register", "needed"),
    [
        (lambda bot: None, (MESSAGES,)),
        (lambda bot: bot.command("ping")(handler), (MESSAGES,)),
        (lambda bot: bot.button(handler), (SUBMISSIONS, MESSAGES)),
        (lambda bot: bot.form(Wish)(second), (SUBMISSIONS, MESSAGES)),
        (lambda bot: bot.dialog(Talk), (SUBMISSIONS, MESSAGES)),
        (lambda bot: bot.joined(handler), (MEMBERS[0], MESSAGES)),
        (lambda bot: bot.left(handler), (MEMBERS[1], MESSAGES)),
        (lambda bot: bot.event("rooms", "updated")(handler), (MESSAGES, "rooms:updated")),
        (lambda bot: bot.event("messages", "deleted")(handler), (MESSAGES, "messages:deleted")),
        (lambda bot: bot.event("reactions", "created")(handler), (MESSAGES,)),
        (lambda bot: bot.event("memberships", "seen")(handler), (MESSAGES,)),
        (lambda bot: bot.command("ping", allow=allow.domain("example.com"))(handler), (MESSAGES,)),
        (lambda bot: bot.command("ping", allow=~allow.everybody_in_room("example.com"))(handler), (*MEMBERS, MESSAGES)),
        (lambda bot: bot.include(with_rule(lambda router: router.message()(handler))), (*MEMBERS, MESSAGES)),
        (lambda bot: bot.include(with_rule(lambda router: router.dialog(Talk))), (SUBMISSIONS, *MEMBERS, MESSAGES)),
    ],
)
def test_handlers_say_which_webhooks_they_need(register: Callable[[Bot], Any], needed: tuple[str, ...]) -> None:
    bot = Bot("a token")
    register(bot)
    assert bot.webhook_events == needed


def with_rule(register: Callable[[Router], Any]) -> Router:
    router = Router(allow=allow.everyone() & allow.members_of(public_id("ROOM", BOT_ID)))
    register(router)
    return router


@pytest.mark.parametrize("url", ["bot.example.com/hooks", "ftp://bot.example.com", "", "https://[bot"])
def test_what_is_no_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="it is the http or https URL that Webex posts to"):
        Bot("a-token").webhooks(url, secret=SECRET)


def bot_of(cloud: Cloud, storage: Any = None, **options: Any) -> Bot:
    bot = Bot(BOT_TOKEN, settings={"emulator_url": cloud.url}, storage=storage or MemoryStorage(), **options)

    @bot.command("ping")
    async def ping(ctx: Context) -> str:
        return "pong"

    return bot


@asynccontextmanager
async def served(bot: Bot, url: str) -> AsyncIterator[WebhookReceiver[AsyncWebex]]:
    hooks = bot.webhooks(url, secret=SECRET)
    port = int(url.rpartition(":")[2])
    server = uvicorn.Server(uvicorn.Config(hooks.asgi, port=port, log_config=None, access_log=False))
    serving = asyncio.ensure_future(server.serve())
    try:
        yield hooks
    finally:
        server.should_exit = True
        await serving
        await bot.aclose()


def registered(cloud: Cloud) -> list[tuple[str, str, str]]:
    with cloud.lock:
        found = [
            (f"{each.resource}:{each.event}", each.target_url, each.status) for each in cloud.state.webhooks.values()
        ]
    return sorted(found)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def answers(cloud: Cloud) -> list[str | None]:
    with cloud.lock:
        return [each.text for each in cloud.state.messages.values() if each.person_id == BOT_ID]


def test_receiver_registers_the_webhooks_and_keeps_them(webex_cloud: Cloud) -> None:
    async def main() -> None:
        url = f"http://127.0.0.1:{free_port()}"
        wanted = [(MESSAGES, url, "active")]
        async with (
            served(bot_of(webex_cloud), url) as hooks,
            AsyncWebex(ALICE_TOKEN, emulator_url=webex_cloud.url) as alice,
        ):
            await until(lambda: registered(webex_cloud) == wanted)
            await alice.messages.create(to_person_id=public_id("PEOPLE", BOT_ID), text="ping")
            await until(lambda: answers(webex_cloud) == ["pong"])
            with webex_cloud.lock:
                next(iter(webex_cloud.state.webhooks.values())).status = "inactive"
            await hooks.check()
            assert registered(webex_cloud) == wanted


def test_next_version_of_a_bot_registers_what_its_handlers_need(webex_cloud: Cloud) -> None:
    async def main() -> None:
        url, storage = f"http://127.0.0.1:{free_port()}", MemoryStorage()
        first, following = bot_of(webex_cloud, storage), bot_of(webex_cloud, storage)
        first.joined(handler)
        following.button(handler)
        async with served(first, url):
            await until(lambda: [each[0] for each in registered(webex_cloud)] == [MEMBERS[0], MESSAGES])
        async with served(following, url):
            await until(lambda: [each[0] for each in registered(webex_cloud)] == [SUBMISSIONS, MESSAGES])


def test_failing_registration_is_tried_again(
    webex_cloud: Cloud, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        monkeypatch.setattr("webex.bots.webhooks.Backoff", lambda *_: Once())
        bot = bot_of(webex_cloud)
        bot.event("reactions", "created")(handler)
        url = f"http://127.0.0.1:{free_port()}"
        webex_cloud.faults.add("/v1/webhooks", status=403, count=1)
        with caplog.at_level(logging.WARNING, "webex.bots"):
            async with served(bot, url):
                await until(lambda: registered(webex_cloud) == [(MESSAGES, url, "active")])
        assert "the webhooks of the bot could not be registered (PermissionDeniedError: " in caplog.text
        assert "there are no webhooks for reactions:created" in caplog.text

    asyncio.run(main())


class Once:
    """A pause that is over at once."""

    def next(self) -> float:
        return 0.0


def test_secrets_are_those_of_the_bot_in_each_process(webex_cloud: Cloud) -> None:
    async def main() -> None:
        bots = [
            bot_of(webex_cloud),
            bot_of(webex_cloud),
            bot_of(webex_cloud, secret=["a secret of its own", "an older one of its own"]),
        ]
        first, same, own = [await each.webhook_secrets() for each in bots]
        assert first == same
        assert len(own) == 2
        assert BOT_TOKEN not in first
        assert len({*first, *own}) == 3
        for each in bots:
            await each.aclose()

    asyncio.run(main())
