"""What one listener has handled, so that a restart loses nothing and repeats as little as can be.

The journal is a ring of numbered slots in the bounded storage. Each event takes one slot when it is handed to its
handler; the slot names the event, when it was published, and which earlier ones were still in hand. So one write an
event says both "this one is in hand" and "all the others are done". With a storage in memory nothing would survive the
process, and it is written once, at the end.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from webex.storage.paths import path

if TYPE_CHECKING:
    from webex.storage.access import StorageAccess

NAMESPACE: Final = "realtime"
WINDOW: Final = 512  # events whose repeats are recognised after a restart
_REMEMBERED: Final = 4096  # and within a process


class Journal:
    """The events of one listener. Times are the cloud's ISO 8601 texts, which sort as they are."""

    def __init__(self, storage: StorageAccess, owner: tuple[str, ...], *, durable: bool, window: int = WINDOW) -> None:
        self._storage, self._owner = storage, owner
        self.durable = durable
        self._window = window
        self._next = 0
        self._done: OrderedDict[str, None] = OrderedDict()
        self._in_hand: dict[str, str] = {}  # activity id → published
        self._watermark = ""
        self.floor = ""  # when listening first began: what is older was never to be heard
        self._loaded = False

    @property
    def watermark(self) -> str:
        """Up to when everything was handled; empty when nothing ever was."""
        return min([self._watermark, *self._in_hand.values()]) if self._in_hand else self._watermark

    async def load(self) -> None:
        """Read what an earlier process wrote; once."""
        if self._loaded:
            return
        self._loaded = True
        slots: list[tuple[int, dict[str, Any]]] = []
        head = await self._get("head")
        if not isinstance(head, dict):
            return
        for index in range(self._window):
            slot = await self._get(f"slot-{index}")
            if isinstance(slot, dict) and isinstance(slot.get("n"), int):
                slots.append((slot["n"], slot))
            elif slot is None:
                break
        if isinstance(head.get("at"), str):
            self._watermark = head["at"]
        self.floor = str(head.get("floor") or "")
        slots.sort(key=lambda pair: pair[0])
        for number, slot in slots:
            self._next = max(self._next, number + 1)
            self._done[str(slot["id"])] = None
            self._watermark = max(self._watermark, str(slot["at"]))
        if slots:
            self._in_hand = {str(key): str(at) for key, at in dict(slots[-1][1].get("hand") or {}).items()}
            for activity_id in self._in_hand:
                self._done.pop(activity_id, None)

    def start(self, moment: str) -> None:
        """Where a listener begins that has no past."""
        self._watermark = max(self._watermark, moment)
        self.floor = self.floor or moment

    def is_done(self, activity_id: str) -> bool:
        """Whether it was handled to the end: a repeat."""
        return activity_id in self._done

    def was_in_hand(self, activity_id: str) -> bool:
        """Whether it was handed out before and never finished: a redelivery."""
        return activity_id in self._in_hand

    async def hand(self, activity_id: str, published: str) -> None:
        """It is given to its handler now."""
        self._in_hand[activity_id] = published
        if self.durable:
            await self._write(activity_id, published)

    def hand_in_memory(self, activity_id: str, published: str) -> None:
        """The same, for a journal that is not durable."""
        self._in_hand[activity_id] = published

    def done(self, activity_id: str, published: str) -> None:
        """It was handled to its end, or nobody wanted it."""
        self._in_hand.pop(activity_id, None)
        self._done[activity_id] = None
        if len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)
        self._watermark = max(self._watermark, published)

    def seen(self, activity_id: str) -> None:
        """Recognise a repeat of it, though there was nothing to handle."""
        self._done[activity_id] = None

    async def flush(self) -> None:
        """Write how things stand: at the end of a listener."""
        if not self.durable and not self._watermark:
            return
        recent = list(self._done)[-1 if self.durable else -self._window :]
        for activity_id in recent:
            await self._write(activity_id, self._watermark)
        await self._put("head", {"at": self.watermark, "floor": self.floor})

    async def _write(self, activity_id: str, published: str) -> None:
        if self._next == 0:
            await self._put("head", {"at": self.watermark, "floor": self.floor})
        slot = {"n": self._next, "id": activity_id, "at": published, "hand": dict(self._in_hand)}
        await self._put(f"slot-{self._next % self._window}", slot)
        self._next += 1

    async def _get(self, name: str) -> Any:
        return await self._storage.get_or_none(NAMESPACE, path(*self._owner, name))

    async def _put(self, name: str, value: dict[str, Any]) -> None:
        await self._storage.put(NAMESPACE, path(*self._owner, name), value)
