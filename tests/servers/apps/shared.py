"""What every server of the tests loads before it forks: clients that have already made calls in the parent.

It runs in the servers' own environment. `USER_KEY` names a person whose tokens rest in the SQLite file `DATABASE`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

from webex import AsyncIntegration, AsyncWebex, Integration, Webex
from webex.storage import SQLiteStorage

logging.basicConfig(format="%(process)d %(name)s %(message)s")
PARENT = os.getpid()
USER_KEY, DATABASE = os.environ["USER_KEY"], os.environ["DATABASE"]

client = Webex()
integration = Integration.from_env(storage=SQLiteStorage(DATABASE))
async_client = AsyncWebex()
async_integration = AsyncIntegration.from_env(storage=SQLiteStorage(DATABASE))


def blocking_calls() -> dict[str, Any]:
    """One call with a token of its own, one for the person in the storage."""
    mine, theirs = client.people.me(), integration.user(USER_KEY).people.me()
    return {"names": [mine.display_name, theirs.display_name], "process": os.getpid(), "parent": PARENT}


async def event_loop_calls() -> dict[str, Any]:
    """The same in event-loop style."""
    mine, theirs = await async_client.people.me(), await async_integration.user(USER_KEY).people.me()
    return {"names": [mine.display_name, theirs.display_name], "process": os.getpid(), "parent": PARENT}


blocking_calls()
asyncio.run(event_loop_calls())
