"""What all workers of a fleet tell of themselves, read from the storage."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from webex.fleet.membership import read_members

if TYPE_CHECKING:
    from webex.app_storage import AsyncAppStorage

__all__ = ["FleetStatus", "WorkerStatus", "read_status"]


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What one worker told last, `told` seconds ago. `lag` (seconds) and `last_event` (seconds ago) may be None."""

    worker: str
    host: str
    pid: int
    told: float
    leaving: bool
    shards: tuple[int, ...]
    users: int
    connecting: int
    refused: int
    in_hand: int
    delivered: int
    failed: int
    redelivered: int
    gaps: int
    lag: float | None
    last_event: float | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """The workers of a fleet, and the shards that none of them holds."""

    name: str
    generation: int
    shards: int
    free: tuple[int, ...]
    workers: tuple[WorkerStatus, ...]

    @property
    def is_whole(self) -> bool:
        """Whether every shard is held."""
        return bool(self.workers) and not self.free

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


async def read_status(storage: AsyncAppStorage, name: str = "fleet") -> FleetStatus:
    """Return what the workers of a fleet have told last; `storage` is that of the integration."""
    members, generation = await read_members(storage, name)
    number, shards = generation or (0, 0)
    now = time.time()
    workers = []
    held: set[int] = set()
    for member in members:
        told, counts = member.details, member.details.get("counts") or {}
        last = counts.get("last_event")
        if member.generation == number:
            held |= member.shards
        workers.append(
            WorkerStatus(
                worker=member.worker,
                host=str(told.get("host", "-")),
                pid=int(told.get("pid", 0)),
                told=max(now - float(told.get("told", now)), 0.0),
                leaving=member.leaving,
                shards=tuple(sorted(member.shards)),
                last_event=None if last is None else max(now - float(last), 0.0),
                lag=counts.get("lag"),
                last_error=counts.get("last_error"),
                **{each: int(told.get(each, 0)) for each in ("users", "connecting", "refused", "in_hand")},
                **{each: int(counts.get(each, 0)) for each in ("delivered", "failed", "redelivered", "gaps")},
            )
        )
    free = tuple(shard for shard in range(shards) if shard not in held)
    return FleetStatus(name, number, shards, free, tuple(workers))
