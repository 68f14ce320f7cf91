"""Bots of a fleet: the worker that holds a bot's shard answers for it; and bots that are fed from other consumers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.realtime.helpers import client_of, run, until
from tests.realtime.test_hub import APP
from webex import AsyncIntegration
from webex.bots import Bot, Context, Retry, allow
from webex.emulator.accounts import BOT_TOKEN
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError
from webex.fleet import Fleet, decode, encode
from webex.storage import MemoryStorage, SQLiteStorage

QUICK: dict[str, Any] = {"lease": 60.0, "poll": 0.05, "look_for_users": 0.2, "first_pause": 0.05, "shards": 4}


def saying(token: str, key: str, said: list[str], wait: Callable[[Context], Any] | None = None) -> Bot:
    """Return a bot that says by which worker, and whether again, it was asked."""
    bot = Bot(token, key=key, allow=allow.everyone(), secret="signs the buttons of a test", first_pause=0.05)

    @bot.command("say")
    async def say(ctx: Context, number: int) -> str:
        if wait is not None:
            await wait(ctx)
        said.append(f"{key} {number}{' again' if ctx.redelivered else ''}")
        return said[-1]

    return bot


@asynccontextmanager
async def worker(cloud: Cloud, path: Path, *bots: Bot, **options: Any) -> AsyncIterator[Fleet]:
    async with AsyncIntegration(**APP, emulator_url=cloud.url, storage=SQLiteStorage(path)) as integration:
        fleet = Fleet(integration, bots=bots, **QUICK | options)
        try:
            await fleet.start()
            yield fleet
        finally:
            await fleet.stop()


async def answers(alice: Any, email: str) -> list[str]:
    found = [message async for message in alice.messages.list_direct(person_email=email)]
    return sorted(message.text for message in found if message.person_email == email)


def test_worker_that_ends_hands_its_bots_over(webex_cloud: Cloud, tmp_path: Path) -> None:
    helper = webex_cloud.add_person("helper@webex.bot", kind="bot")
    tokens = {"bot": BOT_TOKEN, "helper": webex_cloud.token_for("helper@webex.bot")}
    emails = {"bot": "bot@example.com", "helper": helper.email}
    hung, never = asyncio.Event(), asyncio.Event()

    async def hang(ctx: Context) -> None:
        if ctx.text == "say 2" and not hung.is_set():
            hung.set()
            await never.wait()

    async def main() -> None:
        said: list[str] = []

        def bots() -> list[Bot]:
            return [saying(token, key, said, hang if key == "bot" else None) for key, token in tokens.items()]

        def handled(bots: list[Bot]) -> int:
            return sum(bot.health.handled for bot in bots)

        ours, theirs = bots(), bots()
        async with client_of(webex_cloud) as alice:
            async with worker(webex_cloud, tmp_path / "s.db", *ours, grace=0.1) as first:
                person = webex_cloud.add_person("user@example.com")
                await first.integration.adopt(person.id, webex_cloud.token_for("user@example.com"))
                await until(lambda: sorted(first.users) == ["bot", "helper"] and not first.health.connecting)
                for email in emails.values():
                    await alice.messages.create(to_person_email=email, text="say 1")
                await until(lambda: handled(ours) == 2)
                await alice.messages.create(to_person_email=emails["bot"], text="say 2")
                await hung.wait()
            await alice.messages.create(to_person_email=emails["helper"], text="say 2")  # while none listens
            async with worker(webex_cloud, tmp_path / "s.db", *theirs) as second:
                await until(lambda: handled(theirs) == 2)
                assert person.id not in second.users  # no one takes the events of people
            assert await answers(alice, emails["bot"]) == ["bot 1", "bot 2 again"]
            assert await answers(alice, emails["helper"]) == ["helper 1", "helper 2"]

    run(main())


def test_handler_that_asks_for_it_is_called_again(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        said: list[str] = []

        async def later(ctx: Context) -> None:
            if not ctx.redelivered:
                raise Retry(0.01)

        bot, other = saying(BOT_TOKEN, "bot", said, later), saying("revoked meanwhile", "other", [])
        async with client_of(webex_cloud) as alice, worker(webex_cloud, tmp_path / "s.db", bot, other) as fleet:
            await until(lambda: fleet.users == ["bot"] and not fleet.health.connecting)
            await until(lambda: fleet.health.refused == 1)  # which stops no other one
            await alice.messages.create(to_person_email="bot@example.com", text="say 1")
            await until(lambda: said)
            assert said == ["bot 1 again"]

    run(main())


def test_slow_bot_leaves_the_others_of_its_worker_their_turn(webex_cloud: Cloud, tmp_path: Path) -> None:
    webex_cloud.add_person("helper@webex.bot", kind="bot")

    async def main() -> None:
        said: list[str] = []
        released = asyncio.Event()

        async def wait(ctx: Context) -> None:
            await released.wait()

        slow = saying(BOT_TOKEN, "bot", said, wait)
        quick = saying(webex_cloud.token_for("helper@webex.bot"), "helper", said)
        async with (
            client_of(webex_cloud) as alice,
            worker(webex_cloud, tmp_path / "s.db", slow, quick, max_in_hand=3) as fleet,
        ):
            await until(lambda: len(fleet.users) == 2 and not fleet.health.connecting)
            for number in range(6):
                await alice.messages.create(to_person_email="bot@example.com", text=f"say {number}")
            await until(lambda: fleet.health.in_hand == 3)
            await alice.messages.create(to_person_email="helper@webex.bot", text="say 6")
            await until(lambda: quick.health.handled)
            assert said == ["helper 6"]
            released.set()
            await until(lambda: slow.health.handled == 6)

    run(main())


def test_mistakes_are_told_at_the_start(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncIntegration(**APP, emulator_url=webex_cloud.url, storage=SQLiteStorage(tmp_path / "s")) as app:
            one, other = (saying(BOT_TOKEN, "bot", []) for _ in range(2))
            with pytest.raises(ConfigurationError, match="Two bots"):
                Fleet(app, bots=[one, other])
            with pytest.raises(ConfigurationError, match="mode='all'"):
                Fleet(app, bots=[one], mode="all")
            with pytest.raises(ConfigurationError, match="needs rooms, memberships"):
                await Fleet(app, bots=[one], resources=["messages", "attachmentActions"]).start()
            elsewhere = Bot(BOT_TOKEN, storage=MemoryStorage())
            with pytest.raises(ConfigurationError, match="storage of its own"):
                await Fleet(app, bots=[elsewhere]).start()
            with pytest.raises(ConfigurationError, match="manual"):
                await one.consume(app.user("one").listen())

    run(main())


def test_events_of_another_consumer_are_acknowledged_when_they_are_handled(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        said: list[str] = []
        taken: list[Any] = []
        released = asyncio.Event()

        async def wait(ctx: Context) -> None:
            if ctx.text == "say 1":
                await released.wait()
            if ctx.text == "say 3" and not ctx.redelivered:
                raise Retry(0.01)

        async def noted(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
            async for event in events:
                taken.append(event)
                yield event

        bot = saying(BOT_TOKEN, "bot", said, wait)
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            bot.use(client_of(webex_cloud, "bot@example.com", storage=SQLiteStorage(tmp_path / "s.db")))
            async with bot.client.listen(ack="manual") as events, bob.messages.listen(ack="manual") as of_bob:
                consuming = asyncio.create_task(bot.consume(noted(events)))
                for number in (1, 3):
                    await alice.messages.create(to_person_email="bot@example.com", text=f"say {number}")
                await bob.messages.create(to_person_email="bot@example.com", text="say 2")
                await until(lambda: said == ["bot 2"])  # another room does not wait
                first = next(event for event in taken if event.resource == "messages")
                assert first.receipt is not None  # its handler has not returned
                released.set()
                await until(lambda: sorted(said) == ["bot 1", "bot 2", "bot 3 again"])
                await until(lambda: not any(event.receipt for event in taken))
                assert await bot.handle(await anext(of_bob)) == "ignored"  # of his own message, which he received
                assert await bot.handle(decode(encode(first))) == "handled"  # as a subscriber of any broker does
                assert said[-1] == "bot 1"
                await bot.stop()
                await consuming
            await bot.client.aclose()

    run(main())
