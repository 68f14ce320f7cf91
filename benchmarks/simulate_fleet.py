"""A large fleet in virtual time: what the storage and the cloud see each second when much happens at once.

    python -m benchmarks.simulate_fleet                        1,000,000 people, 500 workers, 1,024 shards
    python -m benchmarks.simulate_fleet --write                puts the table into docs/sizing.md

What a person's connection asks of each service is in `benchmarks/start_load.py`, and measured by a test. The worst is
assumed: at a cold start all tokens have run out and no device is stored, and each person's first event comes with the
start, so that a worker that does not know the person's keys asks the key service.

The decisions are the real ones: `make_plan`, `give_next` and `shard_of` of `webex.fleet.shards`, `look_pauses` of
`webex.fleet.membership`, and the `Pace` of `webex.realtime.pace` at which connections are made, the first time and
again. A shard that is given away is listened for by no worker from the moment its giving begins, and free when the
connections of its people are closed. The storage and the cloud are counters. What is not simulated: the time that other
calls take, and the traffic of events but for that first one.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
from collections import Counter, defaultdict, deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from benchmarks import start_load
from benchmarks.start_load import Load
from webex.fleet.membership import look_pauses
from webex.fleet.shards import Member, give_next, make_plan, shard_of
from webex.realtime.pace import Pace

POLL: Final = 0.5  # seconds, the default of `Fleet(poll=…)`
CLOSING: Final = 0.1  # seconds until a shard that is given away is free, and as many for each of its people as below
CLOSING_EACH: Final = 0.001  # twice what one worker of a fleet took for it, with 200 people on Redis
PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "sizing.md"
BEGIN, END = "<!-- simulation: begin -->", "<!-- simulation: end -->"


@dataclass
class Seen:
    """Counts by second."""

    load: dict[str, Counter[int]] = field(default_factory=lambda: {each: Counter() for each in asdict(Load())})
    connects: Counter[int] = field(default_factory=Counter)
    moved: int = 0
    given_at_once: int = 0  # shards with connections, the most that one worker was giving away at a moment

    def add(self, second: int, load: Load, times: int = 1) -> None:
        """Count what was asked in a second."""
        for name, count in load.asked:
            self.load[name][second] += count * times


@dataclass
class Result:
    """What one scenario shows."""

    scenario: str
    peak: Load  # of each service, in its own worst second
    storage_quiet: float
    connects_peak: int
    whole_after: float | None  # seconds from the event until everybody was listened for again
    moved: int
    given_at_once: int


@dataclass
class _Worker:
    name: str
    pace: Pace
    waiting: deque[tuple[int, Load]] = field(default_factory=deque)  # shard and load of each who is to be connected
    organizations: set[int] = field(default_factory=set)  # whose catalog it knows
    is_connecting: bool = False
    shards: set[int] = field(default_factory=set)
    giving: set[int] = field(default_factory=set)  # of these
    told_change: float = -1.0  # when it last told the others that it has given something
    until: float = 0.0  # of its leases
    alive: bool = True
    next_look: float = 0.0
    soonest: float = 0.0
    seen_news: int = -1
    others: int = 0
    expected: int = 0
    expected_until: float = 0.0
    generation: int = 0  # of this process, so that what was planned for a dead one is dropped


class Simulation:
    """Workers over a storage that counts, second by second."""

    def __init__(
        self,
        *,
        people: int,
        workers: int,
        shards: int,
        lease: float,
        per_second: float,
        seed: int,
        organizations: int = 1,
    ) -> None:
        self.chance = random.Random(seed)  # repeatable on purpose
        self.lease, self.shards_count, self.per_second = lease, shards, per_second
        self.people = [0] * shards
        for number in range(people):
            self.people[shard_of(f"person-{number}", shards)] += 1
        self.total, self.organizations = people, organizations
        self.first_start = start_load.FIRST_START + start_load.RENEWED_TOKEN + start_load.FIRST_EVENT
        self.take_over = start_load.TAKE_OVER + start_load.FIRST_EVENT
        self.start_load = self.first_start
        self.now = 0.0
        self.seen = Seen()
        self.news = 0
        self.storage_away_until = 0.0
        self.workers = [_Worker(f"worker-{number}", Pace(per_second)) for number in range(workers)]
        self.told: dict[str, tuple[float, frozenset[int]]] = {}  # name → (until, shards), as others read it
        self.leases: dict[int, tuple[str, float]] = {}  # shard → (holder, until)
        self.connected: dict[int, int] = defaultdict(int)  # shard → people whose connection is open
        self._events: list[tuple[float, int, str, _Worker, int, int]] = []
        self._order = 0
        self._view: tuple[float, list[Member]] = (-1.0, [])

    # Time

    def _at(self, when: float, what: str, worker: _Worker, argument: int = 0) -> None:
        self._order += 1
        heapq.heappush(self._events, (when, self._order, what, worker, worker.generation, argument))

    def run_until(self, end: float) -> None:
        """Carry out what happens until a moment."""
        while self._events and self._events[0][0] <= end:
            self.now, _, what, worker, generation, argument = heapq.heappop(self._events)
            if worker.alive and worker.generation == generation:
                getattr(self, f"_{what}")(worker, argument)
        self.now = end

    @property
    def second(self) -> int:
        """The second to count in; ten steps of 0.1 are a little less than 1.0, and belong to the next one."""
        return int(self.now + 1e-6)

    @property
    def everyone(self) -> bool:
        """Whether everybody is listened for."""
        return sum(self.connected.values()) >= self.total

    def until_whole(self, most: float, *, at_least: float = 0.0) -> float | None:
        """Go on until everybody is listened for, and for `at_least` so many seconds.

        Return after how many seconds everybody was, for good; None for longer than `most`.
        """
        began = self.now
        whole: float | None = None
        while self.now - began < most:
            self.run_until(self.now + 1.0)
            whole = None if not self.everyone else self.now - began if whole is None else whole
            if whole is not None and self.now - began >= at_least:
                return whole
        return None

    # What happens

    def start(self, worker: _Worker, within: float) -> None:
        """Start a worker at a moment within so many seconds."""
        self._at(self.now + self.chance.uniform(0, within), "begin", worker)

    def kill(self, worker: _Worker) -> None:
        """Kill a worker: its leases and its record run out."""
        for shard in worker.shards:
            self.connected[shard] = 0
        worker.alive, worker.shards, worker.giving, worker.is_connecting = False, set(), set(), False
        worker.waiting.clear()
        worker.organizations.clear()

    def close_sockets(self, more: Load) -> None:
        """Close all sockets: each user's connection comes back when it is its turn, and asks for so much more then."""
        for worker in self.workers:
            for shard in worker.shards - worker.giving:
                self._queue(worker, shard, self.connected[shard], start_load.RECONNECT + more)
                self.connected[shard] = 0

    def _queue(self, worker: _Worker, shard: int, people: int, load: Load) -> None:
        worker.waiting.extend([(shard, load)] * people)
        if not worker.is_connecting:
            worker.is_connecting = True
            self._at(self.now, "connect", worker)

    def _trip(self, count: int = 1) -> bool:
        if self.now < self.storage_away_until:
            return False
        self.seen.load["storage"][self.second] += count
        return True

    def _watch(self, worker: _Worker, _: int) -> None:
        """Read whether the people are still signed in, many at a time."""
        people = sum(self.connected[shard] for shard in worker.shards)
        if people:
            parts = -(-people // start_load.WATCHED_TOGETHER) / start_load.WATCHED_EVERY
            self._trip(int(parts) + (self.chance.random() < parts % 1))
        self._at(self.now + 1.0, "watch", worker)

    def _begin(self, worker: _Worker, _: int) -> None:
        self._trip(self.total // 1000 + 1)  # the listing of the users, in pages
        self._beat(worker, 0)
        self._watch(worker, 0)
        self._trip(3)
        self.news += 1
        alone = len(self.told) < 2
        self._at(self.now + (min(self.lease / 10, 1.0) if alone else 0.0), "poll", worker)

    def _beat(self, worker: _Worker, _: int) -> None:
        """Renew the leases, tell of itself; stop when the leases have run out."""
        if self._trip(len(worker.shards) + 1):
            for shard in tuple(worker.shards):
                holder, until = self.leases.get(shard, ("", 0.0))
                if holder == worker.name and until > self.now:
                    self.leases[shard] = (holder, self.now + self.lease)
                else:
                    self._lose(worker, shard)
            worker.until = self.now + self.lease
            self.told[worker.name] = (self.now + self.lease, frozenset(worker.shards))
            self._at(self.now + self.lease / 3, "beat", worker)
            return
        worker.expected, worker.expected_until = max(worker.others + 1, worker.expected), self.now + self.lease
        if self.now >= worker.until:
            for shard in tuple(worker.shards):
                self._lose(worker, shard)
        self._at(self.now + self.lease / 12, "beat", worker)

    def _poll(self, worker: _Worker, _: int) -> None:
        """Read what is new, and look when there is something, or enough time has passed."""
        self._at(self.now + POLL * self.chance.uniform(0.98, 1.02), "poll", worker)
        if not self._trip():
            return
        changed = worker.seen_news != self.news
        if self.now >= worker.next_look or (changed and self.now >= worker.soonest):
            worker.seen_news = self.news
            self._look(worker)

    def _look(self, worker: _Worker) -> None:
        if not self._trip(2):
            return
        members = self._members()
        pause, rest = look_pauses(self.lease, len(members))
        worker.next_look, worker.soonest = self.now + pause, self.now + rest
        others = [each for each in members if each.worker != worker.name]
        worker.others = len(others)
        expected = worker.expected if self.now < worker.expected_until else 0
        keeps = Member(worker.name, frozenset(worker.shards - worker.giving))
        plan = make_plan(keeps, others, self.shards_count, expected=expected)
        giving = give_next(plan, len(worker.giving), lambda shard: not self.connected[shard])
        connected = sum(self.connected[shard] > 0 for shard in giving)
        self.seen.given_at_once = max(self.seen.given_at_once, connected and connected + len(worker.giving))
        for shard in giving:
            worker.giving.add(shard)
            self._at(self.now + CLOSING + CLOSING_EACH * self.connected[shard], "given", worker, shard)
            self.seen.add(self.second, start_load.LEAVING, self.connected[shard])
            self.connected[shard] = 0
        took = False
        for shard in plan.take:
            self._trip()
            holder = self.leases.get(shard)
            if holder is not None and holder[1] > self.now:
                continue
            self.leases[shard] = (worker.name, self.now + self.lease)
            worker.shards.add(shard)
            worker.until = max(worker.until, self.now + self.lease)
            self.seen.moved += 1
            took = True
            self._queue(worker, shard, self.people[shard], self.start_load)
        if took:
            self.told[worker.name] = (self.now + self.lease, frozenset(worker.shards))
            self._trip()

    def _given(self, worker: _Worker, shard: int) -> None:
        """Release the lease of a shard that was given away, and tell the others."""
        if shard not in worker.giving:  # its lease was lost meanwhile
            return
        self._lose(worker, shard)
        if not self._trip():
            return  # the lease runs out
        self.leases.pop(shard, None)
        self.told[worker.name] = (self.now + self.lease, frozenset(worker.shards))
        if worker.told_change != self.now:  # those that end together are told of once
            worker.told_change = self.now
            self._trip(3)  # what it tells of itself, and the news: read and written
            self.news += 1

    def _connect(self, worker: _Worker, _: int) -> None:
        while worker.waiting and worker.waiting[0][0] not in worker.shards - worker.giving:
            worker.waiting.popleft()
        if not worker.waiting:
            worker.is_connecting = False
            return
        pause = worker.pace.wait(self.now)
        if not pause:
            shard, load = worker.waiting.popleft()
            if self.connected[shard] < self.people[shard]:
                self.connected[shard] += 1
                self.seen.connects[self.second] += 1
                self.seen.add(self.second, load)
                organization = self.chance.randrange(self.organizations)
                if load is self.start_load and organization not in worker.organizations:
                    worker.organizations.add(organization)
                    self.seen.add(self.second, start_load.CATALOG)
        self._at(self.now + pause, "connect", worker)

    def _lose(self, worker: _Worker, shard: int) -> None:
        worker.shards.discard(shard)
        worker.giving.discard(shard)
        self.connected[shard] = 0

    def _members(self) -> list[Member]:
        # All workers that look within a tenth of a second see the same: the view is made once for them.
        if self.now - self._view[0] > 0.1:
            members = [Member(name, shards) for name, (until, shards) in self.told.items() if until > self.now]
            self._view = (self.now, members)
        return self._view[1]


def simulate(
    *,
    people: int = 1_000_000,
    workers: int = 500,
    shards: int = 1024,
    lease: float = 15.0,
    per_second: float = 10.0,
    seed: int = 1,
    organizations: int = 1000,
) -> list[Result]:
    """Play the scenarios, one after the other, and return what each shows."""
    made = Simulation(
        people=people,
        workers=workers,
        shards=shards,
        lease=lease,
        per_second=per_second,
        seed=seed,
        organizations=organizations,
    )
    results: list[Result] = []
    patience = 600.0 + 4 * people / workers / per_second

    def note(scenario: str, whole: float | None, before: Seen) -> None:
        made.run_until(made.now + 3 * lease)
        seen = made.seen
        quiet = [seen.load["storage"][second] for second in range(int(made.now - 2 * lease), int(made.now))]
        results.append(
            Result(
                scenario,
                Load(**{name: max(counts.values(), default=0) for name, counts in seen.load.items()}),
                sum(quiet) / max(len(quiet), 1),
                max(seen.connects.values(), default=0),
                whole,
                seen.moved,
                seen.given_at_once,
            )
        )
        made.seen = before

    for worker in made.workers:
        made.start(worker, 60.0)
    note("all workers start within a minute", made.until_whole(patience), Seen())
    made.start_load = made.take_over
    dead = made.workers[: max(workers // 10, 1)]
    for worker in dead:
        made.kill(worker)
    note("a tenth of the workers dies at once", made.until_whole(patience), Seen())
    for worker in dead:
        worker.alive, worker.generation, worker.pace = True, worker.generation + 1, Pace(per_second)
        made.start(worker, 10.0)
    note("these workers come back", made.until_whole(patience, at_least=3 * lease), Seen())
    made.storage_away_until = made.now + 60.0
    made.run_until(made.now + 60.0)
    note("the storage is away for a minute", made.until_whole(patience), Seen())
    for why, more in (
        ("the cloud closes all sockets", Load()),
        ("the same, and all devices are to be refreshed", start_load.RENEWED_DEVICE),
        ("the same, and all tokens are refused", start_load.RENEWED_TOKEN),
    ):
        made.close_sockets(more)
        note(why, made.until_whole(patience), Seen())
    return results


def bounds(*, people: int, workers: int, shards: int, lease: float, per_second: float) -> Load:
    """Return what no second of a scenario may exceed, whatever happens: the starts are spread.

    For each service, the most that one start asks, times the starts that all workers may make in a second. For the
    storage there is more: each worker polls, looks and renews, watches sign-ins, and lists the users when it starts.
    """
    starts = int(workers * (per_second + 1))
    costs = [
        start_load.FIRST_START + start_load.RENEWED_TOKEN + start_load.FIRST_EVENT,
        start_load.TAKE_OVER + start_load.FIRST_EVENT,
        start_load.RECONNECT + start_load.RENEWED_DEVICE,
        start_load.RECONNECT + start_load.RENEWED_TOKEN,
    ]
    most = Load(**{name: starts * max(getattr(cost, name) for cost in costs) for name in asdict(Load())})
    watching = people / start_load.WATCHED_TOGETHER / start_load.WATCHED_EVERY + 2 * workers
    listing = (workers / 60 + 3 * (workers / 60) ** 0.5 + 2) * (people // 1000 + 1)  # of those that begin in one second
    deciding = workers * 20 + shards * 4
    return most + start_load.times(start_load.CATALOG, starts) + Load(storage=int(watching + listing + deciding))


def table(results: list[Result], most: Load) -> str:
    """Return a table for people, with the bounds as its last line."""
    lines = [
        "| what happens | all are listened for after | connects/s | storage trips/s | the same, quiet | token/s "
        "| U2C/s | WDM/s | people/s | KMS/s | shards moved | connected shards given at once by one worker, most |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]

    def cells(load: Load) -> str:
        return " | ".join(f"{each:,}" for each in (load.token, load.u2c, load.wdm, load.people, load.kms))

    for each in results:
        after = "never" if each.whole_after is None else f"{each.whole_after:.0f} s"
        lines.append(
            f"| {each.scenario} | {after} | {each.connects_peak:,} | {each.peak.storage:,} | "
            f"{each.storage_quiet:,.0f} | {cells(each.peak)} | {each.moved:,} | {each.given_at_once} |"
        )
    lines.append(f"| **bound** | | | {most.storage:,} | | {cells(most)} | | |")
    return "\n".join(lines)


def exceeded(results: list[Result], most: Load) -> list[str]:
    """Return which service saw more than its bound, and when."""
    return [
        f"{each.scenario}: {name} {count:,} of {getattr(most, name):,}"
        for each in results
        for name, count in asdict(each.peak).items()
        if count > getattr(most, name)
    ]


def main(arguments: list[str] | None = None) -> int:
    """Simulate what is asked for; 1 when a user was not listened for in the end, or a bound is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate_fleet")
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--shards", type=int, default=1024)
    parser.add_argument("--lease", type=float, default=15.0)
    parser.add_argument("--per-second", type=float, default=10.0, help="connects of one worker")
    parser.add_argument("--organizations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put the table into docs/sizing.md")
    options = parser.parse_args(arguments)
    results = simulate(
        people=options.people,
        workers=options.workers,
        shards=options.shards,
        lease=options.lease,
        per_second=options.per_second,
        seed=options.seed,
        organizations=options.organizations,
    )
    most = bounds(
        people=options.people,
        workers=options.workers,
        shards=options.shards,
        lease=options.lease,
        per_second=options.per_second,
    )
    made, too_many = table(results, most), exceeded(results, most)
    print(made, *too_many, sep="\n")
    if options.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.partition(END)[2]}")
    return int(bool(too_many) or any(each.whole_after is None for each in results))


if __name__ == "__main__":
    sys.exit(main())
