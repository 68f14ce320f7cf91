"""Store which events one connection has handled, so that a restart loses none and repeats few.

The checkpoint is a ring of numbered slots in the bounded storage. Each event takes one slot when it is handed to its
handler; the slot names the event, when it was published, and which earlier ones were still in hand. So one write an
event says both "this one is in hand" and "all the others are done". With a storage in memory nothing would survive the
process, and it is written once, at the end.

With `fenced`, processes may take over from each other while one of them is stopped and does not know it. Each that
loads the checkpoint claims it with the next number (`by`), and writes by compare-and-swap: a process that finds the
number of a later one may write nothing more. Slots that an earlier process wrote after it was replaced do not count.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from webex.errors import ConnectionReplacedError, MissingKeyError
from webex.realtime.records import NAMESPACE, WINDOW
from webex.storage.formats import check_format, with_format
from webex.storage.paths import path

if TYPE_CHECKING:
    from webex.storage.access import StorageAccess

_logger = logging.getLogger("webex.realtime")

_MOST_FAILED: Final = 256
_REMEMBERED: Final = 4096  # and within a process


class Checkpoint:
    """Keep the state of one user's events. Times are the cloud's ISO 8601 texts, which sort as text."""

    def __init__(self, storage: StorageAccess, *, durable: bool, window: int = WINDOW, fenced: bool = False) -> None:
        self._storage = storage
        self._fenced = fenced
        self._by = 0  # the number of the process that writes; 0: none has claimed the checkpoint
        self._first = 0  # the first slot of that process
        self._is_replaced = False
        self._versions: dict[str, str | None] = {}  # of the head and of the latest slot
        self._owner: tuple[str, ...] | None = None
        self.durable = durable
        self._window = window
        self._next = 0
        self._latest: tuple[str, str] | None = None  # the activity of the latest slot, and when it was published
        self._handled: OrderedDict[str, None] = OrderedDict()
        self._in_hand: dict[str, str] = {}  # activity id → published: handed out, and not done
        self._received: dict[str, str] = {}  # the same of all that came, in that order
        self._failed: dict[str, None] = {}  # handed out, and left unhandled
        self._writing = asyncio.Lock()
        self._closed = False
        self._unstored = False  # something has changed that the storage does not tell
        self._watermark = ""
        self.floor: str = ""  # when listening first began: nothing older is delivered

    @property
    def watermark(self) -> str:
        """The moment up to which every event was handled; empty when none ever was."""
        open_ones = [*self._in_hand.values(), *islice(self._received.values(), 1)]
        return min([self._watermark, *open_ones]) if open_ones else self._watermark

    async def load(self, owner: tuple[str, ...], formerly: tuple[str, ...] | None = None) -> None:
        """Read what an earlier process wrote for this person and device name; once.

        `formerly` is where an earlier version wrote it; what is found there stays there.
        """
        if self._closed or self._owner in (owner, formerly or owner):
            return
        self._versions.clear()
        head = await self._storage.get_or_none(NAMESPACE, path(*owner, "head"))
        if head is None and formerly is not None and formerly != owner:
            head = await self._storage.get_or_none(NAMESPACE, path(*formerly, "head"))
            owner = formerly if head is not None else owner
        check_format(head, "The checkpoints of a listener")
        if self._fenced:
            head = await self._claim(owner)
        slots = await self._read_slots(owner) if isinstance(head, dict) else []
        if slots:
            self._first = _number(slots[-1][1], "first")
            self._by = max(self._by, _number(slots[-1][1], "by"))
        if self._fenced:
            self._first = slots[-1][0] + 1 if slots else 0
        elif isinstance(head, dict):
            self._by = max(self._by, _number(head, "by"))
        if isinstance(head, dict):
            self._watermark = str(head.get("at") or "")
            self.floor = str(head.get("floor") or "")
        for number, slot in slots:
            self._next = number + 1
            self._handled[slot["id"]] = None
            self._watermark = max(self._watermark, slot["at"])
        if slots:
            last = slots[-1][1]
            self._latest = (last["id"], last["at"])
            in_hand = last.get("hand")
            self._in_hand = {str(key): str(at) for key, at in in_hand.items()} if isinstance(in_hand, dict) else {}
            self._failed = dict.fromkeys(self._in_hand)
            for activity_id in self._in_hand:
                self._handled.pop(activity_id, None)
            if isinstance(last.get("from"), str) and last["from"]:
                self._watermark = min(self._watermark, last["from"])
        self._owner = owner  # only now: a storage that failed is asked again

    async def _read_slots(self, owner: tuple[str, ...]) -> list[tuple[int, dict[str, Any]]]:
        names = [path(*owner, f"slot-{index}") for index in range(self._window)]
        found = await self._storage.get_many(NAMESPACE, names)
        slots = []
        for slot in found.values():
            check_format(slot, "The checkpoints of a listener")
            kinds = {"n": int, "id": str, "at": str}
            if isinstance(slot, dict) and all(isinstance(slot.get(name), kind) for name, kind in kinds.items()):
                slots.append((slot["n"], slot))
        if not slots:
            return []
        latest = max(slots, key=lambda pair: (_number(pair[1], "by"), pair[0]))[1]
        by, first = _number(latest, "by"), _number(latest, "first")
        # What an earlier process wrote beyond the first slot of a later one, it wrote after it had been replaced.
        counted = [(number, slot) for number, slot in slots if _number(slot, "by") == by or number < first]
        return sorted(counted, key=lambda pair: pair[0])

    async def _claim(self, owner: tuple[str, ...]) -> dict[str, Any] | None:
        """Take the checkpoint over, with a number above that of every process before; return its head, if any."""
        key = path(*owner, "head")
        while True:
            head, version = await self._read_versioned(key)
            check_format(head, "The checkpoints of a listener")
            known = head if isinstance(head, dict) else {"at": "", "floor": ""}
            claimed = {**known, "by": _number(known, "by") + 1}
            written = await self._storage.put_if_version(NAMESPACE, key, with_format(claimed), version, durable=False)
            if written is not None:
                self._by, self._versions["head"] = claimed["by"], written
                return claimed if version is not None else None

    async def _read_versioned(self, key: str) -> tuple[Any, str | None]:
        try:
            value, version = await self._storage.get_versioned(NAMESPACE, key)
        except MissingKeyError:
            return None, None
        return value, version

    async def close(self) -> None:
        """Write nothing any more; return when nothing is being written."""
        self._closed = True
        async with self._writing:
            self._owner = None

    async def rewrite(self) -> None:
        """Write the head again: another process may have removed it."""
        if self.durable and self._watermark:
            async with self._writing:
                await self._write_head()

    async def start(self, moment: str) -> None:
        """Begin at this moment, where nothing was stored."""
        self._watermark = max(self._watermark, moment)
        self.floor = self.floor or moment
        if self.durable:
            await self._write_head()

    def is_handled(self, activity_id: str) -> bool:
        """Return whether an activity was handled, so that it is a repeat."""
        return activity_id in self._handled

    def was_delivered(self, activity_id: str) -> bool:
        """Return whether an activity was delivered before and never handled, so that it is a redelivery."""
        return activity_id in self._in_hand

    def mark_received(self, activity_id: str, published: str) -> None:
        """Hold the watermark at `published` until this activity is handled."""
        self._unstored = True
        self._received[activity_id] = published or self._watermark  # without a time: the latest that is known

    def mark_failed(self, activity_id: str) -> None:
        """Note that an activity was not handled and has to come again; beyond 256 of them the oldest is given up."""
        if activity_id not in self._in_hand:
            return  # never delivered
        self._unstored = True
        self._failed[activity_id] = None
        if len(self._failed) > _MOST_FAILED:
            _logger.error("an event that no handler could handle is given up; %d others wait", _MOST_FAILED)
            self.mark_handled(next(iter(self._failed)), "")

    async def mark_delivered(self, activity_id: str, published: str) -> None:
        """Note, and store, that an activity is given to its handler."""
        self._unstored = True
        self._in_hand[activity_id] = published or self._watermark
        if self.durable:
            await self._write(activity_id, published)

    def mark_delivered_in_memory(self, activity_id: str, published: str) -> None:
        """Note the same without storing it, for a checkpoint that is not durable."""
        self._in_hand[activity_id] = published or self._watermark

    def mark_handled(self, activity_id: str, published: str) -> None:
        """Note that an activity was handled, or that no subscription wanted it."""
        self._unstored = True
        self._in_hand.pop(activity_id, None)
        self._received.pop(activity_id, None)
        self._failed.pop(activity_id, None)
        self._handled[activity_id] = None
        if len(self._handled) > _REMEMBERED:
            self._handled.popitem(last=False)
        self._watermark = max(self._watermark, published)

    async def save(self) -> None:
        """Write what is in hand now into the latest slot: it takes no place of an earlier event."""
        async with self._writing:
            if self.durable and self._latest is not None:
                await self._put_slot(self._next - 1, *self._latest)

    async def flush(self) -> None:
        """Write the present state, at the end of a connection; nothing where the storage has it already."""
        if not (self._unstored if self.durable else self._watermark):
            return
        recent = list(self._handled)[-1 if self.durable else -self._window :]
        for activity_id in recent:
            await self._write(activity_id, self._watermark)
        await self._write_head()

    async def _write_head(self) -> None:
        claim = {"by": self._by} if self._by else {}
        await self._put("head", {"at": self.watermark, "floor": self.floor, **claim}, None)

    async def _write(self, activity_id: str, published: str) -> None:
        async with self._writing:  # one after the other: a crash must not leave a hole in the ring
            if self._next == 0:
                await self._write_head()
            await self._put_slot(self._next, activity_id, published)
            self._latest = (activity_id, published)
            self._next += 1

    async def _put_slot(self, number: int, activity_id: str, published: str) -> None:
        first = next(iter(self._received.values()), "")
        slot = {"n": number, "id": activity_id, "at": published, "hand": dict(self._in_hand), "from": first}
        if self._by:
            slot |= {"by": self._by, "first": self._first}
        unstored, self._unstored = self._unstored, False  # what changes while it is written is not in it
        try:
            await self._put(f"slot-{number % self._window}", slot, number)
        except BaseException:
            self._unstored = unstored
            raise
        self._unstored = self._unstored or self._watermark > published

    async def _put(self, name: str, value: dict[str, Any], number: int | None) -> None:
        if self._owner is None or self._closed:
            return
        key = path(*self._owner, name)
        if not self._fenced:
            await self._storage.put(NAMESPACE, key, with_format(value), durable=False)
            return
        if self._is_replaced:
            raise _replaced()
        known = name in self._versions or (number is not None and number < self._window)
        version = self._versions.get(name)
        while True:
            if not known:
                found, version = await self._read_versioned(key)
                if isinstance(found, dict) and _number(found, "by") > self._by:
                    self._is_replaced = True
                    raise _replaced()
            written = await self._storage.put_if_version(NAMESPACE, key, with_format(value), version, durable=False)
            if written is not None:
                break
            known = False
        self._versions = {"head": self._versions.get("head")} if number is not None else self._versions
        self._versions[name] = written


def _number(record: dict[str, Any], name: str) -> int:
    number = record.get(name, 0)
    return number if isinstance(number, int) else 0


def _replaced() -> ConnectionReplacedError:
    return ConnectionReplacedError("Another process has taken over this listener: nothing more is stored here.")
