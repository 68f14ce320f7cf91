"""What one person's connection asks of the storage and of Webex, for the simulation of a large fleet.

`tests/fleet/test_start_load.py` measures each of these numbers with a counting storage and the emulator's request log,
and fails when one of them is no longer true.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Final


@dataclass(frozen=True)
class Load:
    """Trips to the storage, and requests to each service."""

    storage: int = 0
    token: int = 0
    wdm: int = 0
    people: int = 0  # GET /people/me
    kms: int = 0
    u2c: int = 0

    @cached_property
    def asked(self) -> tuple[tuple[str, int], ...]:
        """The services that are asked at all, and how often."""
        return tuple((name, count) for name, count in asdict(self).items() if count)

    def __add__(self, other: Load) -> Load:
        return Load(**{name: count + getattr(other, name) for name, count in asdict(self).items()})


def times(load: Load, count: int) -> Load:
    """Return the load of so many."""
    return Load(**{name: each * count for name, each in asdict(load).items()})


FIRST_START: Final = Load(storage=8, wdm=1, people=1)  # of a person without a stored device
TAKE_OVER: Final = Load(storage=7, wdm=1, people=1)  # the device and the checkpoint of an earlier worker are stored
RECONNECT: Final = Load(storage=1)  # in the same process: the sign-in is read again
RENEWED_DEVICE: Final = Load(storage=1, wdm=1)  # more, when the cloud closed with 4404
RENEWED_TOKEN: Final = Load(storage=7, token=1)  # more at the most, when the token has expired or was refused
FIRST_EVENT: Final = Load(storage=2, kms=3)  # more, at the first event: the process knows no key of this person
CATALOG: Final = Load(u2c=1)  # more, at the first person of an organization in a process
LEAVING: Final = Load()  # of a person whose events are all handled
WATCHED_TOGETHER: Final = 50  # sign-ins that are read in one trip, by each worker
WATCHED_EVERY: Final = 4.0  # seconds: 0.8 of `credential_max_age`
