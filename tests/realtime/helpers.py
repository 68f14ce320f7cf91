"""People who listen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar
from uuid import uuid4

from tests.support.loops import run, until  # noqa: F401  # for the tests that take all of it from here
from webex import AsyncWebex
from webex.emulator.accounts import ALICE_ID, BOB_ID
from webex.emulator.cloud import Cloud
from webex.ids import to_uuid
from webex.realtime.event import Event
from webex.realtime.subscription import Subscription

T = TypeVar("T")
QUICK = {"first_pause": 0.05}


def client_of(cloud: Cloud, who: str = "alice", **more: Any) -> AsyncWebex:
    """Somebody's client."""
    return AsyncWebex(cloud.token_for(who), emulator_url=cloud.url, **more)


async def shared_room(alice: AsyncWebex, *emails: str) -> str:
    """A room of Alice's with others in it; gives its id."""
    room = await alice.rooms.create(title="A room")
    for email in emails or ("bob@example.com",):
        await alice.memberships.create(room_id=str(room.id), person_email=email)
    return str(room.id)


async def take(events: Subscription[Any], count: int = 1) -> list[Event[Any]]:
    """So many events, each handled."""
    return [await anext(events) for _ in range(count)]


def texts(events: Iterable[Event[Any]]) -> list[str]:
    """What was said; `again` marks what was handed out before."""
    return [f"{event.data.text}{' again' if event.redelivered else ''}" for event in events]


async def say(alice: AsyncWebex, room_id: str, *words: str) -> None:
    """Messages of Alice's, one after the other."""
    for text in words:
        await alice.messages.create(room_id=room_id, text=text)


class Shelf:
    """A storage that outlives clients, as a file outlives processes. `trouble(call, key)` comes before each call."""

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}
        self.trouble: Callable[[str, str], Awaitable[None]] = self._none

    async def _none(self, call: str, key: str) -> None:
        pass

    async def get(self, key: str) -> Any:
        await self.trouble("get", key)
        return self.entries[key]

    async def put(self, key: str, value: Any) -> None:
        await self.trouble("put", key)
        self.entries[key] = value

    async def delete(self, key: str) -> None:
        self.entries.pop(key, None)

    async def keys(self) -> list[str]:
        return list(self.entries)

    async def clear(self) -> None:
        self.entries.clear()


def activity(cloud: Cloud, room_id: str, verb: str = "post", **more: Any) -> dict[str, Any]:
    """An activity of Alice's, in the clear, that the cloud knows nothing of."""
    return {
        "id": str(uuid4()),
        "objectType": "activity",
        "verb": verb,
        "published": cloud.iso(cloud.now()),
        "actor": {"objectType": "person", "id": ALICE_ID, "entryUUID": ALICE_ID, "entryEmail": "alice@example.com"},
        "object": {"objectType": "comment", "displayName": "in the clear"},
        "target": {"objectType": "conversation", "id": to_uuid(room_id), "tags": []},
        **more,
    }


def tell(cloud: Cloud, data: dict[str, Any], **more: Any) -> None:
    """Send an event to Bob's devices."""
    with cloud.lock:
        cloud.mercury.push([BOB_ID], data, **more)
