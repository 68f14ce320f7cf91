"""Every run of a scenario, within its bounds: depth first, and no state is gone on from twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.auth.model_check.scheduler import Task, Worker
from tests.auth.model_check.world import DEADLINE, LEASE, Scenario, ViolationError, World

_LONGEST = 600  # steps of one run; more means that it does not end


@dataclass(slots=True)
class Found:
    """What the exploration came to."""

    scenario: Scenario
    states: int = 0
    runs: int = 0
    ended: int = 0
    complete: bool = False
    seconds: float = 0.0
    violation: str | None = None
    trace: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = f"{self.scenario}: {self.states} states, {self.runs} runs, {self.ended} ends, {self.seconds:.1f} s"
        if self.violation is not None:
            text += f"\n{self.violation}\n" + "\n".join(f"  {line}" for line in self.trace)
        return text if self.complete or self.violation else text + " (not complete)"


@dataclass(frozen=True, slots=True)
class _Choice:
    label: str
    worker: Worker | None = None
    task: Task | None = None
    outcome: str = ""
    jump: float = 0.0
    tick: bool = False
    crash: bool = False


def explore(scenario: Scenario, *, seconds: float = 900.0) -> Found:
    """Explore a scenario; stops at the first broken promise, or after so many seconds."""
    found = Found(scenario)
    began = time.perf_counter()
    seen: set[object] = set()
    path: list[int] = []  # the choice made at each fork of the present run
    widths: list[int] = []
    while True:
        found.runs += 1
        try:
            _run(scenario, path, widths, seen, found)
        except ViolationError as violation:
            found.violation = str(violation)
            break
        while path and path[-1] + 1 >= widths[-1]:
            path.pop()
            widths.pop()
        if not path:
            found.complete = True
            break
        path[-1] += 1
        if time.perf_counter() - began > seconds:
            break
    found.states = len(seen)
    found.seconds = time.perf_counter() - began
    return found


def _run(scenario: Scenario, path: list[int], widths: list[int], seen: set[object], found: Found) -> None:
    world = World(scenario)
    scheduler = world.scheduler
    found.trace = []
    depth = 0
    try:
        for _ in range(_LONGEST):
            scheduler.run_local()
            choices = list(_choices(world))
            if not choices:
                if scheduler.advance_to_next():
                    continue
                if any(worker.running for worker in scheduler.workers):
                    raise ViolationError("a worker waits for something that never comes")
                found.ended += 1
                world.check_end()
                return
            if len(choices) > 1:
                if depth == len(path):
                    key = world.key()
                    if key in seen:
                        return
                    seen.add(key)
                    path.append(0)
                    widths.append(len(choices))
                choice = choices[path[depth]]
                depth += 1
            else:
                choice = choices[0]
            found.trace.append(f"{world.clock.now:5.2f}  {choice.label}")
            _make(world, choice)
        raise ViolationError(f"a run did not end within {_LONGEST} steps")
    finally:
        scheduler.close()


def _choices(world: World) -> Iterator[_Choice]:
    budget = world.budget
    steps = world.scheduler.enabled()
    for worker, task, outcome in steps:
        assert task.point is not None
        label = f"{worker.name} {task.name}: {task.point.label}{f' ({outcome})' if outcome else ''}"
        yield _Choice(label, worker, task, outcome)
    if budget.crashes > 0:
        for worker in world.scheduler.workers:
            if worker.moved and worker.running:  # later is the same as now: nothing of it happens in between
                yield _Choice(f"{worker.name} is killed", worker, crash=True)
    if budget.ticks > 0 and steps and world.scheduler.next_moment() is not None:
        yield _Choice("a sleeping worker wakes", tick=True)
    if budget.pauses > 0 and steps and (end := world.storage.lease_end()) is not None:
        yield _Choice("all are paused until the lease has expired", jump=end - world.clock.now)
        if DEADLINE < end - world.clock.now <= LEASE:
            yield _Choice("all are paused until the deadline of the refresh", jump=DEADLINE)


def _make(world: World, choice: _Choice) -> None:
    budget = world.budget
    if choice.crash:
        assert choice.worker is not None
        budget.spend("crashes")
        if world.in_flight:
            world.excuse.add("killed between the cloud's answer and the save")
        world.scheduler.crash(choice.worker)
        choice.worker.moved = False
    elif choice.tick:
        budget.spend("ticks")
        world.scheduler.advance_to_next()
    elif choice.jump:
        budget.spend("pauses")
        world.excuse.add("paused")
        world.clock.now += choice.jump
        for worker in world.scheduler.workers:
            worker.moved = False
    else:
        assert choice.worker is not None
        assert choice.task is not None
        if choice.outcome in ("fails", "answer lost", "no connection", "server error"):
            budget.spend("faults")
        if choice.outcome == "answer lost":
            world.excuse.add("an answer was lost")
        world.scheduler.step(choice.worker, choice.task, choice.outcome)
