"""Who is sent next when a client limits its own calls: interactive before batch, users in turn.

Pure: it does no I/O, does not wait, and gets the time (monotonic) from its caller. Two token buckets, one for all
calls and one for each owner of a token; waiting calls are queued by priority and owner. Of the waiting calls one is the
*leader*: it alone waits for the moment when the next call may go, so that a thousand waiting calls cost one timer.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from webex.runtime.protocol import Signal

__all__ = ["PRIORITIES", "Priority", "Turn", "Turns"]

Priority = Literal["interactive", "batch"]
PRIORITIES: Final[tuple[Priority, ...]] = ("interactive", "batch")

BATCH_SHARE: Final = 10  # of so many calls one is a batch call where both kinds wait, so that batch work goes on
_RESERVE: Final = 0.5  # the part of a burst that batch calls leave to interactive ones
_MOST_OWNERS: Final = 10_000  # buckets of users that are kept
_FULL: Final = 1.0 - 1e-9  # a whole call, but for rounding


class Bucket:
    """A token bucket: `rate` calls a second, at most `burst` at once."""

    __slots__ = ("at", "burst", "level", "rate")

    def __init__(self, rate: float, now: float) -> None:
        self.rate: float = rate
        self.burst: float = max(rate, 1.0)
        self.level: float = self.burst
        self.at: float = now

    def refill(self, now: float) -> None:
        """Add what has come since the last time."""
        if now > self.at:
            self.level = min(self.burst, self.level + (now - self.at) * self.rate)
            self.at = now

    def missing(self, level: float) -> float:
        """Return the seconds until there is so much; 0.0 when there is."""
        return 0.0 if self.level >= level * _FULL else (level - self.level) / self.rate


class Turn:
    """A waiting call. `signal` wakes it: it was `granted`, or has to lead."""

    __slots__ = ("granted", "owner", "priority", "signal")

    def __init__(self, owner: Hashable, priority: Priority, signal: Signal) -> None:
        self.owner: Hashable = owner
        self.priority: Priority = priority
        self.signal: Signal = signal
        self.granted: bool = False


class Turns:
    """The waiting calls of one client, and its two limits in calls a second; None: no limit."""

    def __init__(self, rate: float | None, owner_rate: float | None) -> None:
        self._rate, self._owner_rate = rate, owner_rate
        self._bucket: Bucket | None = None
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()
        self._waiting: dict[Priority, OrderedDict[Hashable, deque[Turn]]] = {
            "interactive": OrderedDict(),
            "batch": OrderedDict(),
        }
        self._leader: Turn | None = None
        self._now = 0.0
        self._since_batch = 0  # interactive calls granted since a batch call was, while one waited

    def __len__(self) -> int:
        return sum(len(queue) for owners in self._waiting.values() for queue in owners.values())

    def at_once(self, owner: Hashable, priority: Priority, now: float) -> bool:
        """Take a turn if no call has to wait: the way of a client below its limits."""
        if len(self):
            return False
        self._now = now
        if self._wait_of(owner, priority) > 0:
            return False
        self._take(owner)
        return True

    def join(self, turn: Turn) -> None:
        """Wait in line."""
        self._waiting[turn.priority].setdefault(turn.owner, deque()).append(turn)
        self._leader = turn  # it may go earlier than the one that led, which would wake too late

    def leave(self, turn: Turn) -> None:
        """Stop waiting: the call was cancelled, or its time ran out. A turn that was granted is not given back."""
        queue = self._waiting[turn.priority].get(turn.owner)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[turn.priority][turn.owner]
        if self._leader is turn:
            self._leader = None
            self._appoint()

    def step(self, turn: Turn, now: float) -> float | None:
        """Grant what can be granted now; return how long this call waits: None for until it is woken.

        0.0 when it is granted.
        """
        self._now = now
        while (following := self._next()) is not None and self._wait_of(following.owner, following.priority) <= 0:
            self._grant(following)
        if turn.granted:
            return 0.0
        return self._until_next() if self._leader is turn else None

    def _grant(self, turn: Turn) -> None:
        owners = self._waiting[turn.priority]
        owners[turn.owner].popleft()
        if owners[turn.owner]:
            owners.move_to_end(turn.owner)
        else:
            del owners[turn.owner]
        self._take(turn.owner)
        if turn.priority == "batch":
            self._since_batch = 0
        elif self._waiting["batch"]:
            self._since_batch += 1
        turn.granted = True
        turn.signal.set()
        if self._leader is turn:
            self._leader = None
            self._appoint()

    def _appoint(self) -> None:
        for owners in self._waiting.values():
            for queue in owners.values():
                self._leader = queue[0]
                self._leader.signal.set()
                return

    def _next(self) -> Turn | None:
        """Return the call that goes first: of those whose user may be sent now, else the one that waits least."""
        best: Turn | None = None
        least = 0.0
        for priority in self._order():
            for owner, queue in self._waiting[priority].items():
                wait = self._wait_of(owner, priority)
                if wait <= 0:
                    return queue[0]
                if best is None or wait < least:
                    best, least = queue[0], wait
                if self._owner_rate is None:
                    break  # all users of this priority wait equally long
            if best is not None and self._owner_rate is None:
                break
        return best

    def _order(self) -> tuple[Priority, Priority]:
        if self._since_batch >= BATCH_SHARE - 1 and self._waiting["batch"]:
            return ("batch", "interactive")
        return ("interactive", "batch")

    def _wait_of(self, owner: Hashable, priority: Priority) -> float:
        """Return the seconds until the buckets have a call of this kind, as if no other waited."""
        wait = 0.0
        if self._rate is not None:
            if self._bucket is None:
                self._bucket = Bucket(self._rate, self._now)
            self._bucket.refill(self._now)
            reserve = 0.0
            if priority == "batch" and self._since_batch < BATCH_SHARE - 1:
                reserve = (self._bucket.burst - 1.0) * _RESERVE
            wait = self._bucket.missing(1.0 + reserve)
        bucket = self._buckets.get(owner)
        if bucket is None:
            return wait
        bucket.refill(self._now)
        return max(wait, bucket.missing(1.0))

    def _until_next(self) -> float:
        following = self._next()
        return 0.0 if following is None else self._wait_of(following.owner, following.priority)

    def _take(self, owner: Hashable) -> None:
        if self._bucket is not None:
            self._bucket.level -= 1.0
        if self._owner_rate is None:
            return
        bucket = self._buckets.get(owner)
        if bucket is None:
            bucket = self._buckets[owner] = Bucket(self._owner_rate, self._now)
            self._forget_full()
        self._buckets.move_to_end(owner)
        bucket.level -= 1.0

    def _forget_full(self) -> None:
        """Keep the buckets few: one that is full again is as good as none. The oldest were used longest ago."""
        while len(self._buckets) > 1:
            oldest = self._buckets[next(iter(self._buckets))]
            oldest.refill(self._now)
            if oldest.level < oldest.burst and len(self._buckets) <= _MOST_OWNERS:
                return
            self._buckets.popitem(last=False)
