"""Hand events to the publisher or the handlers, in the order of each room, and acknowledge what was taken."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from webex.fleet.gathered import GatheredWarnings
from webex.http.timing import Backoff
from webex.realtime.tasks import Tasks

if TYPE_CHECKING:
    from webex.realtime.event import Event

__all__ = ["Counts", "Delivery"]

_logger = logging.getLogger("webex.fleet")

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 5.0
_REFUSED_AFTER: Final = 10  # attempts that failed, each after others had succeeded: it is this event, not the broker
_OTHERS: Final = 20  # events that succeeded meanwhile, at least


@dataclass(slots=True)
class Counts:
    """What a worker has done since it started. `lag` is of the latest event, in seconds, by two machines' clocks."""

    delivered: int = 0
    failed: int = 0
    redelivered: int = 0
    gaps: int = 0
    lag: float | None = None
    last_event: float | None = None  # seconds since the epoch
    last_error: str | None = None


@dataclass(slots=True)
class _Lane:
    events: deque[Event[Any]] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None


class Delivery:
    """Deliver events by `deliver(event)`, one after the other in each room of a user, rooms side by side.

    `may(user)` tells, before each attempt, whether this worker still listens for the user. An event whose delivery
    fails is tried again until it succeeds; with `tries`, after so many attempts it is put back and the room goes on. So
    is, without `tries`, an event that is refused again and again while others are taken.
    """

    def __init__(
        self,
        deliver: Callable[[Event[Any]], Awaitable[None]],
        may: Callable[[str], bool],
        *,
        tries: int | None = None,
        put_back_for: float = 30.0,
    ) -> None:
        self._deliver_once, self._may, self._tries, self._put_back_for = deliver, may, tries, put_back_for
        self.counts: Counts = Counts()
        self._lanes: dict[str, dict[str, _Lane]] = {}  # user → room → what waits
        self._paused: set[str] = set()
        self._quiet: dict[str, asyncio.Event] = {}
        self._warnings = GatheredWarnings(_logger, "attempts")
        self._tasks = Tasks()

    @property
    def in_hand(self) -> int:
        """How many events are being delivered, or wait for their turn."""
        return sum(len(lane.events) + 1 for lanes in self._lanes.values() for lane in lanes.values())

    def take(self, event: Event[Any]) -> None:
        """Take an event; leave it unacknowledged if this worker stops listening for its user."""
        user = event.user_key or ""
        if user in self._paused or not self._may(user):
            return
        lane = self._lanes.setdefault(user, {}).setdefault(room_of(event), _Lane())
        lane.events.append(event)
        if lane.task is None:
            lane.task = self._tasks.start(self._run(user, room_of(event), lane))

    async def drain(self, users: Iterable[str]) -> None:
        """Begin nothing more for these users; return when what is being delivered has ended."""
        waiting = []
        for user in users:
            self._paused.add(user)
            if user in self._lanes:
                waiting.append(self._quiet.setdefault(user, asyncio.Event()).wait())
        await asyncio.gather(*waiting)

    def resume(self, user: str) -> None:
        """Deliver for this user again."""
        self._paused.discard(user)

    def drop(self, user: str) -> None:
        """Stop at once; what is being delivered may or may not have arrived."""
        self._paused.add(user)
        for lane in self._lanes.pop(user, {}).values():
            if lane.task is not None:
                lane.task.cancel()
        self._tell_quiet(user)

    async def close(self) -> None:
        """Stop everything at once."""
        await self._tasks.close()
        self._warnings.write()

    async def _run(self, user: str, room: str, lane: _Lane) -> None:
        try:
            while lane.events and user not in self._paused and self._may(user):
                await self._deliver(user, lane.events.popleft())
        finally:
            lanes = self._lanes.get(user, {})
            if lanes.get(room) is lane:
                del lanes[room]
                if not lanes:
                    del self._lanes[user]
                    self._tell_quiet(user)

    def _tell_quiet(self, user: str) -> None:
        quiet = self._quiet.pop(user, None)
        if quiet is not None:
            quiet.set()

    async def _deliver(self, user: str, event: Event[Any]) -> None:
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        tries = refusals = 0
        before = since = self.counts.delivered
        while user not in self._paused and self._may(user):
            try:
                await self._deliver_once(event)
            except Exception as error:  # whatever a broker or a handler raises
                tries += 1
                self.counts.failed += 1
                self.counts.last_error = type(error).__name__
                what = f"{event.resource}:{event.event}"
                self._warnings.add(f"{what} could not be delivered: {type(error).__name__}")
                delivered = self.counts.delivered
                refusals += delivered > since  # else the broker may be away, for this event as for all
                since = delivered
                refused = refusals >= _REFUSED_AFTER and delivered - before >= _OTHERS
                if refused if self._tries is None else tries >= self._tries:
                    _logger.error("an event was put back after %d attempts; its room goes on", tries)
                    event.nack(self._put_back_for)
                    return
                await asyncio.sleep(backoff.next())
                continue
            event.ack()
            self._count(event)
            return

    def _count(self, event: Event[Any]) -> None:
        counts, now = self.counts, time.time()
        counts.delivered += 1
        counts.redelivered += event.redelivered
        counts.gaps += event.resource == "gap"
        counts.last_event = now
        published = event.published
        if published is not None:
            counts.lag = max(now - published.timestamp(), 0.0)


def room_of(event: Event[Any]) -> str:
    """Return the id of the room that an event belongs to; empty for one that belongs to none."""
    raw = event.raw
    room = raw.get("id") if event.resource == "rooms" else raw.get("roomId")
    return room if isinstance(room, str) else ""
