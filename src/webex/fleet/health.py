"""How a worker of a fleet does, for people and for what restarts processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from webex.fleet.delivery import Counts

__all__ = ["FleetHealth"]


@dataclass(frozen=True, slots=True)
class FleetHealth:
    """How one worker does. `ready`: it takes shards and its leases are renewed; `live`: it need not be restarted."""

    worker: str
    live: bool
    ready: bool
    draining: bool
    shards: int
    users: int
    connecting: int
    refused: int
    in_hand: int
    counts: Counts

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)
