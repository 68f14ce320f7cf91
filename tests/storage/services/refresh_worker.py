"""A worker process of an app: makes calls for one user at once, and says how each went.

Run as `python -m tests.storage.services.refresh_worker STORAGE KEY STYLE CALLS`; STORAGE is JSON: the name of a class
of `webex.storage`, its positional arguments, and its settings. The environment names the emulator. It says "ready",
waits for a line, and prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from typing import Any

import webex.storage
from webex import AsyncIntegration, Integration

SETTINGS: dict[str, Any] = {"lease_ttl": 10.0, "refresh_deadline": 8.0, "credential_max_age": 0}


def storage_of(text: str) -> Any:
    """Make the storage that is described."""
    name, arguments, settings = json.loads(text)
    return getattr(webex.storage, name)(*arguments, **settings)


def blocking(storage: Any, key: str, calls: int) -> list[str]:
    outcomes: list[str] = []
    with Integration(storage=storage, **SETTINGS) as integration:

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


async def event_loop(storage: Any, key: str, calls: int) -> list[str]:
    async with AsyncIntegration(storage=storage, **SETTINGS) as integration:

        async def call() -> str:
            try:
                await integration.user(key).people.me()
            except Exception as error:
                return f"{type(error).__name__}:{getattr(error, 'reason', error)}"
            return "ok"

        outcomes = list(await asyncio.gather(*[call() for _ in range(calls)]))
    close = getattr(storage, "aclose", None)
    if close is not None:
        await close()
    return outcomes


if __name__ == "__main__":
    described, user_key, style, count = sys.argv[1:]
    made = storage_of(described)
    print("ready", flush=True)
    sys.stdin.readline()
    if style == "blocking":
        print(json.dumps(blocking(made, user_key, int(count))))
    else:
        print(json.dumps(asyncio.run(event_loop(made, user_key, int(count)))))
