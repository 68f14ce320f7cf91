"""People who listen."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from webex import AsyncWebex
from webex.emulator.cloud import Cloud
from webex.realtime.events import Event
from webex.realtime.listening import Listening

T = TypeVar("T")
QUICK = {"first_pause": 0.05}


def run(work: Coroutine[Any, Any, T], seconds: float = 60.0) -> T:
    """Run a test's coroutine, with an end to a wait that never ends."""
    return asyncio.run(asyncio.wait_for(work, seconds))


def client_of(cloud: Cloud, who: str = "alice", **more: Any) -> AsyncWebex:
    """Somebody's client."""
    return AsyncWebex(cloud.token_for(who), emulator_url=cloud.url, **more)


async def shared_room(alice: AsyncWebex, *emails: str) -> str:
    """A room of Alice's with others in it; gives its id."""
    room = await alice.rooms.create(title="A room")
    for email in emails or ("bob@example.com",):
        await alice.memberships.create(room_id=str(room.id), person_email=email)
    return str(room.id)


async def take(events: Listening[Any], count: int = 1) -> list[Event[Any]]:
    """So many events, each handled."""
    return [await anext(events) for _ in range(count)]
