"""One worker's part in the fleet: tell that it lives, hold shards by leases, take and give them as the plan says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from webex.errors import StorageError
from webex.fleet.gathered import GatheredWarnings
from webex.fleet.news import NAMESPACE, NewsBoard
from webex.fleet.shards import Member, give_next, make_plan
from webex.realtime.tasks import Tasks
from webex.storage.boot_clock import boot_time

if TYPE_CHECKING:
    from webex.app_storage import AsyncAppStorage, Held

__all__ = ["Membership", "look_pauses", "read_members"]

_logger = logging.getLogger("webex.fleet")

_AT_ONCE: Final = 16  # leases that are asked for or renewed at the same time
_LOOKS_PER_LEASE: Final = 10
_AGAIN: Final = 0.5  # seconds until the next look, when the storage failed while leases were asked for
_WORKERS_PER_SECOND: Final = 100.0  # looks of all workers together, so that a large fleet does not look all the time


@dataclass(slots=True)
class _Holding:
    lease: Held
    until: float  # by the clock of this machine: the lease may have ended
    giving: bool = False


class Membership:
    """Hold a part of the shards.

    `taken(shard)` begins to listen for a shard, `lost(shard)` stops at once, `drain(shard)` stops when what is in hand
    is finished, `is_idle(shard)` tells that none of its users is connected. `details()` is what the worker tells of
    itself beside its shards. `lease` is in seconds.
    """

    def __init__(
        self,
        storage: AsyncAppStorage,
        board: NewsBoard,
        *,
        fleet: str,
        worker: str,
        shards: int,
        lease: float,
        taken: Callable[[int], None],
        lost: Callable[[int], None],
        drain: Callable[[int], Awaitable[None]],
        is_idle: Callable[[int], bool],
        resharded: Callable[[int], Awaitable[None]],
        details: Callable[[], dict[str, Any]],
    ) -> None:
        self._storage, self._board = storage, board
        self._fleet, self._ttl = fleet, lease
        self.worker: str = worker
        self.shards: int = shards
        self._taken, self._lost, self._drain, self._resharded = taken, lost, drain, resharded
        self._is_idle = is_idle
        self._details = details
        self._held: dict[int, _Holding] = {}
        self.generation: int = 0
        self.others: list[Member] = []
        self.rest: float = 0.0  # seconds until the next look at the soonest, whatever is new
        self.renewed_at: float | None = None  # when the storage last answered, by `boot_time`
        self._expected, self._expected_until = 0, 0.0  # workers that come back after the storage was away
        self._leaving = False
        self._untold, self._telling = False, asyncio.Lock()
        self._warnings = GatheredWarnings(_logger, "shards")
        self._tasks = Tasks()
        self._giving: set[asyncio.Task[None]] = set()

    # What is held

    def holds(self, shard: int) -> bool:
        """Return whether the lease of a shard is certain to be held at this moment."""
        holding = self._held.get(shard)
        return holding is not None and boot_time() < holding.until

    @property
    def held(self) -> frozenset[int]:
        """The shards that this worker holds."""
        return frozenset(self._held)

    @property
    def leaving(self) -> bool:
        """Whether this worker takes no more shards."""
        return self._leaving

    async def begin(self) -> None:
        """Join the fleet; settle the number of shards."""
        await self._settle_generation()
        await self._tell_of_me()
        await self._board.tell([("changed", self.worker)])
        self._tasks.start(self._keep())
        members, _ = await read_members(self._storage, self._fleet)
        if len(members) < 2:  # others may start at the same time: they would have to be given half of it at once
            await asyncio.sleep(min(self._ttl / _LOOKS_PER_LEASE, 1.0))

    async def leave(self) -> None:
        """Give all shards back, each when what it has in hand is finished, and leave the fleet."""
        self._leaving = True
        with suppress(StorageError):
            await self._tell_of_me()
            await self._board.tell([("changed", self.worker)])
        for shard in tuple(self._held):
            self._give(shard)
        while self._giving:
            await asyncio.wait(set(self._giving))
        await self.close()

    async def close(self) -> None:
        """End the tasks; leases that are still held stay held until they run out."""
        await self._tasks.close()
        self._warnings.write()

    async def release(self) -> None:
        """Release the leases that are still held, after all listening was ended without draining."""
        held, self._held = self._held, {}
        for holding in held.values():
            with suppress(StorageError):
                await holding.lease.release()
        with suppress(StorageError):
            await self._storage.delete(NAMESPACE, self._member_key)
            if held:
                await self._board.tell([("changed", self.worker)])

    # Balancing

    async def look(self) -> float:
        """Look at the fleet, take and give; return the seconds until the next look at the latest."""
        members, generation = await read_members(self._storage, self._fleet)
        self.others = [each for each in members if each.worker != self.worker]
        if generation is not None and generation[0] > self.generation:
            await self._change_generation(*generation)
        pause, self.rest = look_pauses(self._ttl, len(members))
        if any(each.generation < self.generation for each in self.others):
            return min(pause, 0.5)  # they hold shards of the earlier number
        keeps = frozenset(shard for shard, holding in self._held.items() if not holding.giving)
        expected = self._expected if boot_time() < self._expected_until else 0
        plan = make_plan(Member(self.worker, keeps, self._leaving), self.others, self.shards, expected=expected)
        for shard in give_next(plan, len(self._giving), self._is_idle):
            self._give(shard)
        taken, failed = await self._take(plan.take)
        if taken:
            await self._tell_of_me()
        return min(pause, max(self.rest, _AGAIN)) if failed else pause

    async def _take(self, shards: Iterable[int]) -> tuple[int, int]:
        """Ask for the leases of these shards; return how many were got, and for how many the storage failed."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def ask(shard: int) -> bool:
            async with gate:
                asked_at = boot_time()
                lease = await self._storage.hold(NAMESPACE, self._lease_name(shard), self._ttl)
            if lease is None:
                return False
            if self._leaving:
                await lease.release()
                return False
            self._held[shard] = _Holding(lease, asked_at + self._ttl)
            self._taken(shard)
            return True

        results = await asyncio.gather(*(ask(shard) for shard in shards), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, StorageError):
                raise result
        return sum(result is True for result in results), sum(isinstance(result, StorageError) for result in results)

    def _give(self, shard: int) -> None:
        holding = self._held.get(shard)
        if holding is None or holding.giving:
            return
        holding.giving = True
        task = self._tasks.start(self._give_back(shard, holding))
        self._giving.add(task)
        task.add_done_callback(self._giving.discard)

    async def _give_back(self, shard: int, holding: _Holding) -> None:
        await self._drain(shard)
        if self._held.get(shard) is not holding:
            return
        del self._held[shard]
        try:
            await holding.lease.release()
            await self._tell_changed()
        except StorageError as error:
            self._warnings.add(f"a shard could not be given back ({type(error).__name__}): its lease runs out")

    # Leases

    async def _keep(self) -> None:
        """Renew the leases and this worker's record, every third of the lease's time."""
        failing = False
        while True:
            await asyncio.sleep(self._ttl / (12 if failing else 3))
            failing = not await self.renew()
            if failing and boot_time() >= self._expected_until - self._ttl / 2:
                self._expected = max(len(self.others) + 1, self._expected)
                self._expected_until = boot_time() + self._ttl

    async def renew(self) -> bool:
        """Renew all once; a shard whose lease is lost is stopped at once. False when the storage failed."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(shard: int, holding: _Holding) -> bool:
            async with gate:
                asked_at = boot_time()
                try:
                    async with asyncio.timeout(max(holding.until - asked_at, 0.01)):
                        renewed = await holding.lease.renew(self._ttl)
                except (StorageError, TimeoutError):
                    if boot_time() < holding.until - self._ttl / 6:
                        return False
                    renewed = False
            if self._held.get(shard) is not holding:
                return True
            if renewed and boot_time() < holding.until:
                holding.until = asked_at + self._ttl
                return True
            self._warnings.add("the lease of a shard has lapsed: this worker no longer listens for it")
            del self._held[shard]
            self._lost(shard)
            if renewed:  # too late: what was in hand was left meanwhile, so that the shard begins anew
                with suppress(StorageError):
                    await holding.lease.release()
            return True

        well = all(await asyncio.gather(*(one(*each) for each in tuple(self._held.items()))))
        try:
            await self._tell_of_me()
        except StorageError:
            return False
        if well:
            self.renewed_at = boot_time()
        return well

    # Records

    @property
    def _member_key(self) -> str:
        return f"{self._fleet}/worker/{self.worker}"

    def _lease_name(self, shard: int) -> str:
        return f"{self._fleet}/{self.generation}/{shard}"

    async def _tell_of_me(self) -> None:
        record = {
            **self._details(),
            "shards": sorted(self._held),
            "leaving": self._leaving,
            "generation": self.generation,
        }
        await self._storage.put(NAMESPACE, self._member_key, record, expires_in=self._ttl)

    async def _tell_changed(self) -> None:
        """Tell the others that something was given back; several at the same time tell it once."""
        self._untold = True
        async with self._telling:
            if self._untold:
                self._untold = False
                await self._tell_of_me()
                await self._board.tell([("changed", self.worker)])

    async def _settle_generation(self) -> None:
        """Agree on the number of shards: a worker that starts with another one begins a new generation."""
        wanted = self.shards

        def change(record: Any) -> Any:
            if isinstance(record, dict) and record.get("shards") == wanted:
                return record
            before = int(record["generation"]) if isinstance(record, dict) else 0
            return {"generation": before + 1, "shards": wanted}

        record = await self._storage.update(NAMESPACE, f"{self._fleet}/generation", change)
        self.generation = int(record["generation"])

    async def _change_generation(self, generation: int, shards: int) -> None:
        """Give everything back and begin anew with another number of shards."""
        _logger.info("the fleet has %d shards from now on", shards)
        for shard in tuple(self._held):
            self._give(shard)
        while self._giving:
            await asyncio.wait(set(self._giving))
        self.generation, self.shards = generation, shards
        await self._resharded(shards)
        await self._tell_of_me()
        await self._board.tell([("changed", self.worker)])


def look_pauses(lease: float, workers: int) -> tuple[float, float]:
    """Return the seconds until a worker's next look: when nothing is new, and at the soonest.

    In a large fleet both grow, so that all workers together look no more than 100 times a second.
    """
    soonest = workers / _WORKERS_PER_SECOND
    return max(lease / _LOOKS_PER_LEASE, soonest), soonest


async def read_members(storage: AsyncAppStorage, fleet: str) -> tuple[list[Member], tuple[int, int] | None]:
    """Return the live workers of a fleet, and its generation with the number of shards."""
    prefix, about = f"{fleet}/worker/", f"{fleet}/generation"
    keys = [key async for key in storage.keys(NAMESPACE) if key.startswith(prefix)]
    found = await storage.get_many(NAMESPACE, [*keys, about])
    generation = found.pop(about, None)
    members = [
        Member(
            key.removeprefix(prefix),
            frozenset(record["shards"]),
            bool(record["leaving"]),
            int(record["generation"]),
            record,
        )
        for key, record in sorted(found.items())
        if isinstance(record, dict)
    ]
    number = (int(generation["generation"]), int(generation["shards"])) if isinstance(generation, dict) else None
    return members, number
