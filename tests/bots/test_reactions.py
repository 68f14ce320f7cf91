"""Reactions reach the bot that has a handler of them, by the socket."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.realtime.helpers import client_of, run, shared_room, until
from webex.bots import Bot, Context, allow
from webex.emulator import Cloud
from webex.emulator.accounts import BOT_TOKEN
from webex.storage import MemoryStorage


def test_reaction_to_a_bot_message_reaches_its_handler(webex_cloud: Cloud) -> None:
    async def main() -> None:
        bot = Bot(
            BOT_TOKEN, storage=MemoryStorage(), settings={"emulator_url": webex_cloud.url}, allow=allow.everyone()
        )
        seen: list[Any] = []

        @bot.event("reactions", "created")
        async def reacted(ctx: Context) -> None:
            seen.append((ctx.person.email, ctx.happening.data.name, ctx.room_id))

        async with client_of(webex_cloud) as alice:
            listening = asyncio.create_task(bot.listen())
            await until(lambda: bot.health.is_connected)
            try:
                room = await shared_room(alice, str((await bot.client.people.me()).emails[0]))
                said = await bot.client.messages.create(room_id=room, text="one")
                await alice.messages.react(said, "heart")
                await until(lambda: seen)
                assert seen == [("alice@example.com", "heart", room)]
            finally:
                await bot.stop()
                await listening
                await bot.aclose()

    run(main())
