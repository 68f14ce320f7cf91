"""A worker process of an app: makes calls for one user at once, and says how each went.

Run as `python -m tests.storage.services.refresh_worker STORAGE KEY STYLE CALLS`; STORAGE is JSON: the name of a class
of `webex.storage`, its positional arguments, and its settings. The environment names the emulator. It says "ready",
waits for a line, and prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import webex.storage
from tests.auth import worker

SETTINGS: dict[str, Any] = {"lease_ttl": 30.0, "refresh_deadline": 25.0, "credential_max_age": 0}


def storage_of(text: str) -> Any:
    """Make the storage that is described."""
    name, arguments, settings = json.loads(text)
    return getattr(webex.storage, name)(*arguments, **settings)


async def event_loop(storage: Any, key: str, calls: int) -> list[str]:
    outcomes = await worker.event_loop(storage, key, calls, SETTINGS)
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
        print(json.dumps(worker.blocking(made, user_key, int(count), SETTINGS)))
    else:
        print(json.dumps(asyncio.run(event_loop(made, user_key, int(count)))))
