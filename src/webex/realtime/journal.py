"""What one listener has handled, so that a restart loses nothing and repeats as little as can be.

The journal is a ring of numbered slots in the bounded storage. Each event takes one slot when it is handed to its
handler; the slot names the event, when it was published, and which earlier ones were still in hand. So one write an
event says both "this one is in hand" and "all the others are done". With a storage in memory nothing would survive the
process, and it is written once, at the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from webex.storage.paths import path

if TYPE_CHECKING:
    from webex.storage.access import StorageAccess

_logger = logging.getLogger("webex.realtime")

NAMESPACE: Final = "realtime"
WINDOW: Final = 512  # events whose repeats are recognised after a restart
_MOST_FAILED: Final = 256
_REMEMBERED: Final = 4096  # and within a process


class Journal:
    """The events of one listener. Times are the cloud's ISO 8601 texts, which sort as they are."""

    def __init__(self, storage: StorageAccess, *, durable: bool, window: int = WINDOW) -> None:
        self._storage = storage
        self._owner: tuple[str, ...] | None = None
        self.durable = durable
        self._window = window
        self._next = 0
        self._done: OrderedDict[str, None] = OrderedDict()
        self._in_hand: dict[str, str] = {}  # activity id → published: handed out, and not done
        self._arrived: dict[str, str] = {}  # the same of all that came, in that order
        self._failed: dict[str, None] = {}  # handed out, and left unhandled
        self._writing = asyncio.Lock()
        self._watermark = ""
        self.floor = ""  # when listening first began: what is older was never to be heard

    @property
    def watermark(self) -> str:
        """Up to when everything was handled; empty when nothing ever was."""
        open_ones = [*self._in_hand.values(), *islice(self._arrived.values(), 1)]
        return min([self._watermark, *open_ones]) if open_ones else self._watermark

    async def load(self, owner: tuple[str, ...]) -> None:
        """Read what an earlier process wrote for this person and device name; once."""
        if self._owner == owner:
            return
        head = await self._storage.get_or_none(NAMESPACE, path(*owner, "head"))
        slots = await self._read_slots(owner) if isinstance(head, dict) else []
        if isinstance(head, dict):
            self._watermark = str(head.get("at") or "")
            self.floor = str(head.get("floor") or "")
        for number, slot in slots:
            self._next = number + 1
            self._done[slot["id"]] = None
            self._watermark = max(self._watermark, slot["at"])
        if slots:
            last = slots[-1][1]
            in_hand = last.get("hand")
            self._in_hand = {str(key): str(at) for key, at in in_hand.items()} if isinstance(in_hand, dict) else {}
            self._failed = dict.fromkeys(self._in_hand)
            for activity_id in self._in_hand:
                self._done.pop(activity_id, None)
            if isinstance(last.get("from"), str) and last["from"]:
                self._watermark = min(self._watermark, last["from"])
        self._owner = owner  # only now: a storage that failed is asked again

    async def _read_slots(self, owner: tuple[str, ...]) -> list[tuple[int, dict[str, Any]]]:
        slots = []
        for index in range(self._window):
            slot = await self._storage.get_or_none(NAMESPACE, path(*owner, f"slot-{index}"))
            if slot is None:
                break
            kinds = {"n": int, "id": str, "at": str}
            if isinstance(slot, dict) and all(isinstance(slot.get(name), kind) for name, kind in kinds.items()):
                slots.append((slot["n"], slot))
        return sorted(slots, key=lambda pair: pair[0])

    async def start(self, moment: str) -> None:
        """Where a listener begins that has no past."""
        self._watermark = max(self._watermark, moment)
        self.floor = self.floor or moment
        if self.durable:
            await self._write_head()

    def is_done(self, activity_id: str) -> bool:
        """Whether it was handled to the end: a repeat."""
        return activity_id in self._done

    def was_in_hand(self, activity_id: str) -> bool:
        """Whether it was handed out before and never finished: a redelivery."""
        return activity_id in self._in_hand

    def arrived(self, activity_id: str, published: str) -> None:
        """It is on its way: nothing counts as handled that is later, until it is."""
        self._arrived[activity_id] = published or self._watermark  # nobody knows when: now, as far as we know

    def left(self, activity_id: str) -> None:
        """It was not handled, and has to come again; of those that fail again and again, the oldest are given up."""
        if activity_id not in self._in_hand:
            return  # nobody has tried yet
        self._failed[activity_id] = None
        if len(self._failed) > _MOST_FAILED:
            _logger.error("an event that no handler could handle is given up; %d others wait", _MOST_FAILED)
            self.done(next(iter(self._failed)), "")

    async def hand(self, activity_id: str, published: str) -> None:
        """It is given to its handler now."""
        self._in_hand[activity_id] = published or self._watermark
        if self.durable:
            await self._write(activity_id, published)

    def hand_in_memory(self, activity_id: str, published: str) -> None:
        """The same, for a journal that is not durable."""
        self._in_hand[activity_id] = published or self._watermark

    def done(self, activity_id: str, published: str) -> None:
        """It was handled to its end, or nobody wanted it."""
        self._in_hand.pop(activity_id, None)
        self._arrived.pop(activity_id, None)
        self._failed.pop(activity_id, None)
        self._done[activity_id] = None
        if len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)
        self._watermark = max(self._watermark, published)

    async def flush(self) -> None:
        """Write how things stand: at the end of a listener."""
        if not self.durable and not self._watermark:
            return
        recent = list(self._done)[-1 if self.durable else -self._window :]
        for activity_id in recent:
            await self._write(activity_id, self._watermark)
        await self._write_head()

    async def _write_head(self) -> None:
        await self._put("head", {"at": self.watermark, "floor": self.floor})

    async def _write(self, activity_id: str, published: str) -> None:
        async with self._writing:  # one after the other: a crash must not leave a hole in the ring
            if self._next == 0:
                await self._write_head()
            first = next(iter(self._arrived.values()), "")
            slot = {"n": self._next, "id": activity_id, "at": published, "hand": dict(self._in_hand), "from": first}
            await self._put(f"slot-{self._next % self._window}", slot)
            self._next += 1

    async def _put(self, name: str, value: dict[str, Any]) -> None:
        if self._owner is not None:
            await self._storage.put(NAMESPACE, path(*self._owner, name), value)
