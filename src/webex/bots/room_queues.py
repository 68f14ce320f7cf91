"""Handlers of different rooms run side by side, those of one room in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from webex.ids import comparable_id


class RoomQueues:
    """At most `most` handlers at once, and `per_room` of one room, in the order in which they came."""

    def __init__(self, most: int, per_room: int) -> None:
        self._free = asyncio.Semaphore(most)
        self._per_room = per_room
        self._rooms: dict[str, _Queue] = {}
        self.running: int = 0

    @property
    def waiting_rooms(self) -> int:
        """The number of rooms in which something waits for a handler that runs."""
        return sum(1 for queue in self._rooms.values() if queue.users > self._per_room)

    @asynccontextmanager
    async def turn(self, room_id: str | None) -> AsyncIterator[None]:
        """Wait for this room's turn, and then for a free place."""
        name = comparable_id(room_id) if room_id else ""
        queue = self._rooms.get(name)
        if queue is None:
            queue = self._rooms[name] = _Queue(asyncio.Semaphore(self._per_room))
        queue.users += 1
        try:
            async with queue.gate, self._free:
                self.running += 1
                try:
                    yield
                finally:
                    self.running -= 1
        finally:
            queue.users -= 1
            if not queue.users:
                self._rooms.pop(name, None)


class _Queue:
    __slots__ = ("gate", "users")

    def __init__(self, gate: asyncio.Semaphore) -> None:
        self.gate = gate
        self.users = 0
