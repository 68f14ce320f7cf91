"""The state of one user's connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(slots=True)
class Health:
    """The state of one user's connection. Times are aware and local clock; None: never."""

    user_key: str | None
    connected_since: datetime | None = None
    heard_at: float | None = None  # seconds since the epoch, of the last event
    connections: int = 0
    gaps_found: int = 0
    gaps_filled: int = 0
    repeats_dropped: int = 0
    undecryptable: int = 0
    latency: float | None = None  # seconds, of the last ping

    @property
    def last_event(self) -> datetime | None:
        """When the last event came."""
        return None if self.heard_at is None else datetime.fromtimestamp(self.heard_at, UTC)

    @property
    def connected(self) -> bool:
        """Whether events flow at this moment."""
        return self.connected_since is not None

    def took(self, seconds: float) -> None:
        """Note how long a ping and its pong took."""
        self.latency = seconds
