"""A process that listens until it is killed: prints each message when it has it in hand, and handles it slowly.

With `manual` it takes one after the other and acknowledges none but those whose text begins with `ack`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from webex import AsyncWebex
from webex.storage import SQLiteStorage


async def main(url: str, token: str, path: str, slow: str, ack: Any = "auto") -> None:
    client = AsyncWebex(token, emulator_url=url, storage=SQLiteStorage(path))
    async with client, client.messages.listen(first_pause=0.05, ack=ack) as events:
        print("listening", flush=True)
        async for event in events:
            print(f"{event.data.text} {'again' if event.redelivered else 'first'}", flush=True)
            if ack == "manual" and event.data.text.startswith("ack"):
                event.ack()
            if event.data.text == slow:
                await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:6]))
