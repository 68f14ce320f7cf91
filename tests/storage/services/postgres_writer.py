"""A worker that raises a number in PostgreSQL by compare-and-swap, whatever happens to the server.

Run as `python -m tests.storage.services.postgres_writer`, with a URL, a key, a style and the number to reach. Prints a
line for every swap that was acknowledged, and what failed otherwise than with `StorageError`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from webex.errors import MissingKeyError, StorageError
from webex.storage import PostgresStorage


def told(number: int) -> None:
    print(number, flush=True)


def blocking(storage: PostgresStorage, key: str, goal: int) -> None:
    binding: Any = storage.bind("credentials")
    number, version = 0, None
    while number < goal:
        try:
            version = binding.put_if_version(key, number + 1, version)
            if version is not None:
                number += 1
                told(number)
                continue
            number, version = binding.get_versioned(key)  # it lost to itself: a swap whose answer did not come
        except MissingKeyError:
            number, version = 0, None
        except StorageError:
            time.sleep(0.01)
            try:
                number, version = binding.get_versioned(key)
            except (MissingKeyError, StorageError):
                continue


async def event_loop(storage: PostgresStorage, key: str, goal: int) -> None:
    binding: Any = storage.bind_async("credentials")
    number, version = 0, None
    while number < goal:
        try:
            version = await binding.put_if_version(key, number + 1, version)
            if version is not None:
                number += 1
                told(number)
                continue
            number, version = await binding.get_versioned(key)
        except MissingKeyError:
            number, version = 0, None
        except StorageError:
            await asyncio.sleep(0.01)
            try:
                number, version = await binding.get_versioned(key)
            except (MissingKeyError, StorageError):
                continue
    await storage.aclose()


if __name__ == "__main__":
    url, key, style, goal = sys.argv[1:]
    with PostgresStorage(url) as storage:
        if style == "blocking":
            blocking(storage, key, int(goal))
        else:
            asyncio.run(event_loop(storage, key, int(goal)))
