"""A scheduler for coroutines that stop at named points, over a clock that moves only when it is told to.

A *point* is one `await` at which a worker may be overtaken, delayed or killed: a call of the storage, a request that is
on its way to the cloud, an answer that is on its way back. Everything between two points of a worker is one step. What
a worker does depends only on what it was given at its points, so that a list of choices repeats a run exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

T = TypeVar("T")

Style = Literal["async"]


@dataclass(eq=False, slots=True)
class Point:
    """Where a coroutine stopped. `outcomes` are what may happen there; `local` ones are seen by no other worker."""

    label: str
    outcomes: Callable[[], tuple[str, ...]] = lambda: ("",)
    ready: Callable[[], bool] = lambda: True
    wakes_at: float | None = None
    local: bool = False

    def __await__(self) -> Generator[Point, str, str]:
        return (yield self)


class VirtualClock:
    """The clock of the storage, of the cloud and of every worker."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        """Return seconds since the epoch."""
        return 1000.0 + self.now

    def monotonic(self) -> float:
        """Return seconds since the start."""
        return self.now


@dataclass(eq=False, slots=True)
class Task:
    """One coroutine of a worker."""

    name: str
    coroutine: Coroutine[Any, Any, Any]
    point: Point | None = None
    done: bool = False
    result: Any = None
    error: BaseException | None = None


@dataclass(eq=False, slots=True)
class Worker:
    """One process of the app: its tasks die together. `history` is all that it has been given so far."""

    name: str
    tasks: list[Task] = field(default_factory=list)
    history: int = 0
    crashed: bool = False
    moved: bool = False  # it made the latest step

    @property
    def running(self) -> list[Task]:
        """Return the tasks that have not ended."""
        return [] if self.crashed else [task for task in self.tasks if not task.done]

    def key(self) -> Hashable:
        """Return what distinguishes its state from any other."""
        return (self.crashed, 0 if self.crashed else self.history)


class Scheduler:
    """The workers of one run."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.workers: list[Worker] = []
        self.current: Worker | None = None

    def worker(self, name: str) -> Worker:
        """Add a worker."""
        worker = Worker(name)
        self.workers.append(worker)
        return worker

    def spawn(self, worker: Worker, name: str, coroutine: Coroutine[Any, Any, Any]) -> Task:
        """Add a task to a worker; it begins when it is stepped for the first time."""
        task = Task(name, coroutine, Point("begins", local=True))
        worker.tasks.append(task)
        return task

    def step(self, worker: Worker, task: Task, outcome: str) -> None:
        """Let a task go on until its next point."""
        for each in self.workers:
            each.moved = each is worker
        self.current = worker
        place = worker.tasks.index(task)
        worker.history = hash((worker.history, place, outcome, self.clock.now))
        try:
            begins = task.point is not None and task.point.label == "begins"
            task.point = task.coroutine.send(None if begins else outcome)
        except StopIteration as stop:
            task.done, task.result, task.point = True, stop.value, None
        except Exception as error:
            task.done, task.error, task.point = True, error, None
        finally:
            self.current = None

    def observe(self, seen: object) -> None:
        """Add what the stepping worker was given to its history."""
        if self.current is not None:
            self.current.history = hash((self.current.history, repr(seen)))

    def crash(self, worker: Worker) -> None:
        """Kill a worker: nothing of it runs any more, and no `finally` of it."""
        worker.crashed = True
        for task in worker.tasks:
            _abandon(task)

    def run_local(self) -> None:
        """Make the steps that no other worker can see; their order changes nothing."""
        progress = True
        while progress:
            progress = False
            for worker in self.workers:
                for task in worker.running:
                    if task.point is not None and task.point.local and task.point.ready():
                        moved = [each.moved for each in self.workers]
                        self.step(worker, task, "")
                        for each, value in zip(self.workers, moved, strict=True):
                            each.moved = value or each is worker
                        progress = True

    def enabled(self) -> list[tuple[Worker, Task, str]]:
        """Return the steps that are possible now."""
        return [
            (worker, task, outcome)
            for worker in self.workers
            for task in worker.running
            if task.point is not None and not task.point.local and task.point.ready()
            for outcome in task.point.outcomes()
        ]

    def next_moment(self) -> float | None:
        """Return the earliest moment that a sleeping task waits for."""
        moments = [
            task.point.wakes_at
            for worker in self.workers
            for task in worker.running
            if task.point is not None and task.point.wakes_at is not None and task.point.wakes_at > self.clock.now
        ]
        return min(moments, default=None)

    def advance_to_next(self) -> bool:
        """Move the clock to the earliest moment that a sleeping task waits for; False when none sleeps."""
        moment = self.next_moment()
        if moment is not None:
            self.clock.now = moment
        return moment is not None

    def close(self) -> None:
        """Leave nothing behind of coroutines that did not end."""
        for worker in self.workers:
            for task in worker.tasks:
                _abandon(task)


class _Abandoned(BaseException):
    """What ends a coroutine that no longer runs; what its `finally` awaits is never given to it."""


def _abandon(task: Task) -> None:
    if task.done:
        return
    task.done, task.point = True, None
    for _ in range(50):  # each `finally` with an await in it takes one more
        try:
            task.coroutine.throw(_Abandoned)
        except (_Abandoned, StopIteration):
            break
        except Exception:  # what a handler of the abandoned code made of it
            continue
    with suppress(RuntimeError):
        task.coroutine.close()
