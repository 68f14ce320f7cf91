"""Which worker listens for which users: decisions only, without I/O and without a clock.

Users are hashed onto a fixed number of *shards*. A shard is held by one worker, by a lease in the storage, so that the
number of leases does not grow with the number of users. Each worker sees the same list of workers and of what each
holds, and decides by itself what to take and what to give: it keeps what it has (sticky), and no worker holds more than
its share. `make_plan` and `give_next` are what the workers run, and what `benchmarks/simulate_fleet.py` runs in virtual
time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = [
    "GIVEN_AT_ONCE",
    "IDLE_GIVEN_AT_ONCE",
    "MOST_SHARDS",
    "Member",
    "Plan",
    "give_next",
    "make_plan",
    "shard_of",
    "share_of",
]

MOST_SHARDS: Final = 1024
GIVEN_AT_ONCE: Final = 4
IDLE_GIVEN_AT_ONCE: Final = 64


def shard_of(user_key: str, shards: int) -> int:
    """Return the shard of a user: the same in every process and version."""
    digest = hashlib.blake2b(user_key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards


@dataclass(frozen=True, slots=True)
class Member:
    """What a worker tells of itself: the shards that it holds, and whether it is about to leave."""

    worker: str
    shards: frozenset[int] = frozenset()
    leaving: bool = False
    generation: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one worker does next: shards to ask leases for, in this order, and shards to give back."""

    take: tuple[int, ...] = ()
    give: tuple[int, ...] = ()


def share_of(shards: int, workers: int) -> tuple[int, int]:
    """Return the least and the most shards that a worker holds when all is settled."""
    if workers < 1:
        return 0, 0
    return shards // workers, -(-shards // workers)


def make_plan(me: Member, others: Collection[Member], shards: int, *, expected: int = 0) -> Plan:
    """Return what worker `me` takes and gives, as all see the fleet now; `others` are the other live workers.

    `expected` is how many workers there are at least, although not all tell of themselves: after the storage was away,
    all of them come back at once, and each would take everything.

    A worker that is about to leave takes nothing, and its shards are taken once it has given them back. A worker takes
    free shards up to the least share; up to the most only when no other worker is below the least. It gives what is
    above the most, and one shard more where others would stay below the least.
    """
    staying = [each for each in others if not each.leaving]
    if me.leaving:
        return Plan(give=tuple(sorted(me.shards)))
    least, most = share_of(shards, max(len(staying) + 1, expected))
    held = len(me.shards)
    taken = me.shards.union(*(each.shards for each in others))
    free = [shard for shard in range(shards) if shard not in taken]
    needed = sum(max(least - len(each.shards), 0) for each in staying)
    if held > most:
        return Plan(give=_by_rank(me.worker, me.shards)[most - held :])
    if free:
        wanted = (most if needed == 0 else least) - held
        return Plan(take=_by_rank(me.worker, free)[: max(wanted, 0)])
    leaving = sum(len(each.shards) for each in others if each.leaving)
    if needed > leaving and held > least:
        givers = sorted(each.worker for each in (*staying, me) if len(each.shards) > least)
        if givers.index(me.worker) < needed - leaving:
            return Plan(give=_by_rank(me.worker, me.shards)[-1:])
    return Plan()


def give_next(plan: Plan, under_way: int, is_idle: Callable[[int], bool]) -> tuple[int, ...]:
    """Return the shards to begin to give now, while `under_way` others are being given.

    A few at a time, so that those who take them are soon connected again; what is given brings the next look. Shards
    of which no user is connected yet (`is_idle`), as when a fleet starts, need not wait for that.
    """
    idle = [shard for shard in plan.give if is_idle(shard)]
    others = [shard for shard in plan.give if shard not in idle]
    return (
        *idle[: max(IDLE_GIVEN_AT_ONCE - under_way, 0)],
        *others[: max(GIVEN_AT_ONCE - under_way, 0)],
    )


def _by_rank(worker: str, shards: Collection[int]) -> tuple[int, ...]:
    """Return shards in an order of the worker's own, so that workers who look at once ask for different ones."""

    def rank(shard: int) -> bytes:
        return hashlib.blake2b(f"{worker}/{shard}".encode(), digest_size=8).digest()

    return tuple(sorted(shards, key=rank))
