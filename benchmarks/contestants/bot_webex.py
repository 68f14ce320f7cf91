"""A bot of ours that repeats the last word of `echo …`. BASE, BOT and CA say where the emulator is; STORAGE: a file."""

from __future__ import annotations

import asyncio
import json
import os

from webex.bots import Bot, Context, Rest
from webex.storage import MemoryStorage, SQLiteStorage

bot = Bot(
    os.environ["BOT"],
    storage=SQLiteStorage(os.environ["STORAGE"]) if "STORAGE" in os.environ else MemoryStorage(),
    settings={"emulator_url": os.environ["BASE"], "ca_bundle": os.environ["CA"]},
    lease=0,
)


@bot.command("echo")
async def echo(ctx: Context, text: Rest) -> str:
    """Repeats what you say."""
    return text.rsplit(maxsplit=1)[-1]


async def main() -> None:
    """Listen, and say so."""
    listening = asyncio.ensure_future(bot.listen())
    while not bot.health.is_connected:
        if listening.done():
            await listening
        await asyncio.sleep(0.01)
    print(json.dumps({"ready": True}), flush=True)
    await listening


asyncio.run(main())
