"""Choose the event that is handled next: in the order of arrival, and those of one room one after the other."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class RoomQueues(Generic[T]):
    """A queue for each room, of which one item at a time is being handled; items without a room wait for none."""

    def __init__(self) -> None:
        self._ready: deque[tuple[str | None, T]] = deque()
        self._waiting: dict[str, deque[T]] = {}  # behind one of their room that is ready or being handled

    def __len__(self) -> int:
        return len(self._ready) + sum(map(len, self._waiting.values()))

    def put(self, room_id: str | None, item: T) -> None:
        """Queue an item."""
        if room_id is None:
            self._ready.append((None, item))
        elif room_id in self._waiting:
            self._waiting[room_id].append(item)
        else:
            self._waiting[room_id] = deque()
            self._ready.append((room_id, item))

    def take(self) -> tuple[str | None, T] | None:
        """Take the next item that may be handled; None when there is none. Its room waits until `free`."""
        return self._ready.popleft() if self._ready else None

    def free(self, room_id: str | None) -> None:
        """Make the next item of a room ready: the one that was taken is done, or postponed."""
        if room_id is None:
            return
        waiting = self._waiting[room_id]
        if waiting:
            self._ready.append((room_id, waiting.popleft()))
        else:
            del self._waiting[room_id]

    def clear(self) -> None:
        """Forget all that waits; rooms of items that are being handled stay."""
        self._ready.clear()
        for waiting in self._waiting.values():
            waiting.clear()
