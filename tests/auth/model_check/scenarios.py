"""What is explored: a part in seconds with every run of the tests, all of it in minutes with `scripts/bench --long`."""

from __future__ import annotations

from itertools import product
from typing import Final

from tests.auth.model_check.world import Rotation, Scenario

ROTATIONS: Final[tuple[Rotation, ...]] = ("off", "grace", "strict")

# Two workers and one incident in each rotation, three workers where that is quick.
SHORT: Final = (
    *(Scenario(rotation, 2, crashes=1) for rotation in ROTATIONS),
    Scenario("strict", 2, ticks=1),
    Scenario("off", 2, faults=1),
    Scenario("strict", 2, faults=1),
    Scenario("strict", 2, pauses=1),
    Scenario("grace", 2, anew=True),
    Scenario("strict", 2, stale=True),
    Scenario("strict", 3),
)

# Three workers and one incident, two workers and two, in each rotation; two calls in each of two processes.
LONG: Final = (
    *(Scenario(rotation, 3, **{name: 1}) for rotation, name in product(ROTATIONS, ("ticks", "crashes", "faults"))),
    *(Scenario(rotation, 3, pauses=1) for rotation in ROTATIONS),
    *(Scenario(rotation, 3, stale=True) for rotation in ROTATIONS),
    *(Scenario(rotation, 3, anew=True) for rotation in ROTATIONS),
    *(Scenario(rotation, 2, **{name: 2}) for rotation, name in product(ROTATIONS, ("crashes", "pauses", "faults"))),
    *(Scenario(rotation, 2, crashes=1, pauses=1) for rotation in ROTATIONS),
    *(Scenario(rotation, 2, pauses=1, faults=1) for rotation in ROTATIONS),
    *(Scenario(rotation, 2, anew=True, pauses=1) for rotation in ROTATIONS),
    *(Scenario(rotation, 2, calls=2) for rotation in ROTATIONS),
)
