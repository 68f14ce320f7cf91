"""What the server behind a storage reports of itself, for its operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["ServerFacts"]


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The clock of a storage's server, and the settings on which it depends what a crash leaves of a write.

    `settings` are by the server's own names (`appendonly`, `synchronous_commit`); empty when it does not permit to read
    them.
    """

    kind: Literal["redis", "postgresql", "mysql", "sqlite"]
    time: float  # seconds since the epoch, when the server answered
    settings: Mapping[str, str] = field(default_factory=dict)
