"""A worker of an app that moves from Redis to PostgreSQL: makes a call for one user at each line that it reads.

Run as `python -m tests.storage.services.migration_worker STORAGES KEY STYLE KIND`. STORAGES is JSON: the URL of Redis,
the prefix there, the URL of PostgreSQL, the schema there. STYLE is `blocking` or `async`, KIND `both` or `old`. It
prints "ok" or the error of each call.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from webex import AsyncIntegration, Integration
from webex.storage import MigratingStorage, PostgresStorage, RedisStorage

SETTINGS: dict[str, Any] = {"lease_ttl": 30.0, "refresh_deadline": 25.0, "credential_max_age": 0}


def storages(described: str) -> tuple[RedisStorage, PostgresStorage]:
    """The old storage and the new one."""
    redis_url, prefix, postgres_url, schema = json.loads(described)
    return RedisStorage(redis_url, prefix=prefix), PostgresStorage(postgres_url, schema=schema)


def told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def blocking(storage: Any, key: str) -> None:
    with Integration(storage=storage, **SETTINGS) as integration:
        for _ in sys.stdin:
            try:
                integration.user(key).people.me()
                print("ok", flush=True)
            except Exception as error:
                print(told(error), flush=True)


async def event_loop(storage: Any, key: str) -> None:
    async with AsyncIntegration(storage=storage, **SETTINGS) as integration:
        while await asyncio.to_thread(sys.stdin.readline):
            try:
                await asyncio.gather(*(integration.user(key).people.me() for _ in range(3)))
                print("ok", flush=True)
            except Exception as error:
                print(told(error), flush=True)


if __name__ == "__main__":
    old, new = storages(sys.argv[1])
    user_key, style, kind = sys.argv[2:]
    chosen: Any = old if kind == "old" else MigratingStorage(old, new)
    if style == "blocking":
        blocking(chosen, user_key)
        for one in (old, new):
            one.close()
    else:
        asyncio.run(event_loop(chosen, user_key))
