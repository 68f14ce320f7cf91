"""A worker process whose disk is full when it saves refreshed tokens. Run as `python -m tests.auth.unsaved_worker`.

Arguments: database, user key, style, and the path of a file: once that is there, the disk has room. Prints "unsaved"
when the tokens were refreshed and not saved, "saved" when they were.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from tests.auth.scripted import FailingStorage
from tests.auth.worker import SETTINGS
from webex import AsyncIntegration, Integration
from webex.storage import SQLiteStorage


class FullAfterMark(FailingStorage):
    """Takes the first compare-and-swap, which marks the refresh, and none after it until there is room."""

    def __init__(self, database: str, room: Path) -> None:
        super().__init__(SQLiteStorage(database))
        self.room = room

    def bind(self, namespace: str) -> Any:
        binding = super().bind(namespace)
        if namespace == "credentials":
            swap = binding.put_if_version

            def put_if_version(*args: Any, **options: Any) -> Any:
                written = swap(*args, **options)
                self.full = not self.room.exists()
                return written

            binding.put_if_version = put_if_version
        return binding


def say(text: str) -> None:
    print(text, flush=True)


def blocking(storage: FullAfterMark, key: str) -> None:
    with Integration(storage=storage, **{**SETTINGS, "lease_ttl": 60.0}) as integration:
        integration.user(key).people.me()
        say("unsaved")
        while integration._app.tokens._unsaved._pending:
            storage.full = not storage.room.exists()
            integration.user(key).people.me()
            time.sleep(0.02)
        say("saved")


async def event_loop(storage: FullAfterMark, key: str) -> None:
    async with AsyncIntegration(storage=storage, **{**SETTINGS, "lease_ttl": 60.0}) as integration:
        await integration.user(key).people.me()
        say("unsaved")
        while integration._app.tokens._unsaved._pending:  # no call is made: it saves by itself
            storage.full = not storage.room.exists()
            await asyncio.sleep(0.02)
        say("saved")


if __name__ == "__main__":
    database, key, style, room = sys.argv[1:]
    made = FullAfterMark(database, Path(room))
    if style == "blocking":
        blocking(made, key)
    else:
        asyncio.run(event_loop(made, key))
