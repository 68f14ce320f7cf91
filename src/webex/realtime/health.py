"""How one user's listening stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class Health:
    """How one user's listening stands. Times are aware and local clock; None: never."""

    user_key: str | None
    connected_since: datetime | None = None
    last_event: datetime | None = None
    connections: int = 0
    gaps_found: int = 0
    gaps_filled: int = 0
    repeats_dropped: int = 0
    undecryptable: int = 0
    latency: float | None = None  # seconds, of the last ping

    @property
    def connected(self) -> bool:
        """Whether events flow at this moment."""
        return self.connected_since is not None
