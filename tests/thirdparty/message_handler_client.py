"""`webex-message-handler` as its guide uses it; prints a line of JSON for each message that it hears.

With TIMED=N it prints the first one, and then how long the next N took.

Nothing of the package is changed. Its hosts are fixed, so this process resolves every name to the emulator.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from webex_message_handler import WebexMessageHandler, WebexMessageHandlerConfig


class EmulatorResolver(AbstractResolver):
    """Every name is the emulator's TLS port."""

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[Any]:
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": int(os.environ["EMULATOR_TLS_PORT"]),
                "family": socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self) -> None:
        return None


async def main() -> None:
    connector = aiohttp.TCPConnector(resolver=EmulatorResolver())
    handler = WebexMessageHandler(WebexMessageHandlerConfig(token=os.environ["TOKEN"], connector=connector))

    timed = int(os.environ.get("TIMED", "0"))
    heard = 0
    began = used = 0.0

    @handler.on("message:created")
    async def on_message(message: Any) -> None:
        nonlocal heard, began, used
        heard += 1
        if not timed or heard == 1:
            print(json.dumps({"text": message.text, "html": message.html, "email": message.person_email}), flush=True)
        elif heard == 2:
            began, used = time.perf_counter(), time.process_time()
        elif heard == timed + 1:
            took = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used, "events": timed - 1}
            print(json.dumps(took), flush=True)

    await handler.connect()
    print(json.dumps({"connected": True}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await handler.disconnect()
    await connector.close()


asyncio.run(main())
