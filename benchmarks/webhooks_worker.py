"""One worker of `benchmarks.webhooks`: `python -m benchmarks.webhooks_worker DESCRIPTOR DATABASE LOG SEED`.

It serves the listening socket that it inherited, and writes what its handler does to the log: one line when it begins
and one when it ends, each with one system call, so that a kill leaves whole lines.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sys
from typing import Any

import uvicorn

from webex import AsyncWebex
from webex.storage import SQLiteStorage
from webex.webhooks import WebhookReceiver

SECRET = "the secret of the long run"
LEASE = 2.0
CONCURRENCY = 4


def main(descriptor: int, database: str, log: str, seed: int) -> None:
    """Serve until the process is killed."""
    pause = random.Random(seed)
    written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    hooks = WebhookReceiver(
        AsyncWebex("a token"),
        secret=["a newer secret", SECRET],
        storage=SQLiteStorage(database),
        lease=LEASE,
        concurrency=CONCURRENCY,
    )

    @hooks.on("messages", "created")
    async def handle(event: Any) -> None:
        name = f"{event.raw['id']} {int(event.redelivered)} {os.getpid()} {int('forged' in event.raw)}"
        os.write(written, f"begin {name}\n".encode())
        await asyncio.sleep(pause.random() * 0.02)
        os.write(written, f"end {name}\n".encode())

    listening = socket.socket(fileno=descriptor)
    config = uvicorn.Config(hooks.asgi, log_config=None, access_log=False)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
