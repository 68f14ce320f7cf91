"""A worker process of an app: makes calls for one user, and says how each went. Run as `python -m tests.auth.worker`.

Arguments: database (the path of an SQLite file, or a storage as `pickled` gives it), user key, style (`blocking` or
`async`), how many calls at once, and optionally how long a lease lasts. The environment names the emulator. Prints one
line of JSON.
"""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
import sys
import threading
from typing import Any

from webex import AsyncIntegration, Integration
from webex.storage import SQLiteStorage

SETTINGS: dict[str, Any] = {"lease_ttl": 30.0, "refresh_deadline": 25.0, "credential_max_age": 0}


def pickled(storage: object) -> str:
    """A storage as an argument of this program."""
    return "pickle:" + base64.b64encode(pickle.dumps(storage)).decode()


def opened(database: str) -> Any:
    if database.startswith("pickle:"):
        return pickle.loads(base64.b64decode(database.removeprefix("pickle:")))
    return SQLiteStorage(database)


def blocking(storage: Any, key: str, calls: int, settings: dict[str, Any]) -> list[str]:
    outcomes: list[str] = []
    with Integration(storage=storage, **settings) as integration:

        def call() -> None:
            try:
                integration.user(key).people.me()
                outcomes.append("ok")
            except Exception as error:
                outcomes.append(f"{type(error).__name__}:{getattr(error, 'reason', error)}")

        threads = [threading.Thread(target=call) for _ in range(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return outcomes


async def event_loop(storage: Any, key: str, calls: int, settings: dict[str, Any]) -> list[str]:
    async with AsyncIntegration(storage=storage, **settings) as integration:

        async def call() -> str:
            try:
                await integration.user(key).people.me()
            except Exception as error:
                return f"{type(error).__name__}:{getattr(error, 'reason', error)}"
            return "ok"

        return list(await asyncio.gather(*[call() for _ in range(calls)]))


if __name__ == "__main__":
    database, key, style, calls, *lease = sys.argv[1:]
    if lease:
        SETTINGS.update(lease_ttl=float(lease[0]), refresh_deadline=float(lease[0]) - 1.0)
    if style == "blocking":
        print(json.dumps(blocking(opened(database), key, int(calls), SETTINGS)))
    else:
        print(json.dumps(asyncio.run(event_loop(opened(database), key, int(calls), SETTINGS))))
