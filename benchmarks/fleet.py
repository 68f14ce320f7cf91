"""A fleet whose workers are killed, stopped and cut off while people write: every event reaches the broker.

    python -m benchmarks.fleet                       60 people, 3 workers, SQLite and a file
    python -m benchmarks.fleet --people 400 --workers 4 --seconds 120 --storage redis://… --broker nats://…
    python -m benchmarks.fleet --rolling             a rolling restart in place of the kills

Counts are exact everywhere: what is missing, what is out of order in its room, what came twice under another id.
Lateness is the time from a message's sending to its confirmation by the broker, as the workers note it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fleet_processes import Gate, Worker
from benchmarks.fleet_worker import APP, storage_of
from webex import AsyncIntegration, AsyncWebex
from webex.emulator import Emulator
from webex.emulator.accounts import ALICE_TOKEN
from webex.fleet import decode, event_id, nats_events, rabbit_events, redis_events
from webex.fleet.membership import read_members

IN_A_ROOM = 3
PATIENCE = 90.0  # seconds until the last event


@dataclass
class Outcome:
    """What was seen."""

    people: int = 0
    workers: int = 0
    sent: int = 0
    expected: int = 0
    received: int = 0
    repeats: int = 0
    missing: list[str] = field(default_factory=list)
    other_ids: list[str] = field(default_factory=list)  # repetitions under another id
    disordered: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    lateness: list[float] = field(default_factory=list)
    takeovers: list[float] = field(default_factory=list)
    settled: float = 0.0  # seconds until all people were connected at the start
    people_per_worker: list[int] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)  # of each worker, at the end
    cpu: float = 0.0  # seconds of all workers, from the first message on; without meaning where some were killed
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost or disordered, and repetitions can be told."""
        return not (self.missing or self.other_ids or self.disordered)

    def late(self, part: float) -> float:
        """Return the lateness that so large a part of the events did not exceed."""
        ordered = sorted(self.lateness)
        return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else 0.0

    def __str__(self) -> str:
        takeovers = ", ".join(f"{each:.1f}" for each in self.takeovers)
        return (
            f"{self.people} people, {self.workers} workers, {self.sent} messages, {dict(self.faults)}: "
            f"{self.received} of {self.expected} events, missing {len(self.missing)}, out of order "
            f"{len(self.disordered)}, repeats {self.repeats} (under another id {len(self.other_ids)}); "
            f"lateness p50 {self.late(0.5):.2f} p99 {self.late(0.99):.2f} worst {self.late(1.0):.2f} s; "
            f"take-overs {takeovers or '-'} s; settled in {self.settled:.1f} s; people per worker "
            f"{self.people_per_worker}, MB each {[round(each) for each in self.megabytes]}, CPU {self.cpu:.1f} s "
            f"in {self.seconds:.0f} s"
        )


class Run:
    """People, workers and a broker, for one run."""

    def __init__(self, *, people: int, workers: int, storage: str | None, broker: str | None, seed: int, lease: float):
        self.chance = random.Random(seed)  # repeatable on purpose
        self.outcome = Outcome(people=people, workers=workers)
        self.name = f"webex-fleet-{secrets.token_hex(5)}"
        self._people_wanted, self.lease = people, lease
        self._storage_wanted, self._broker_wanted = storage, broker
        self._workers_wanted = workers
        self.workers: list[Worker] = []
        self.sent: dict[tuple[str, str], float] = {}  # user, text → when
        self.rooms: list[tuple[str, list[str]]] = []
        self._number = 0
        self._used_before = 0.0

    async def play(self, faults: Callable[[Run, float], Any], seconds: float, per_second: float) -> Outcome:
        """Start everything, write for so long while `faults` does its work, and judge what the broker has."""
        with tempfile.TemporaryDirectory() as folder, Emulator() as cloud:
            self.folder, self.cloud = Path(folder), cloud
            self.storage = self._storage_wanted or str(self.folder / "fleet.db")
            self.broker = self._broker_wanted or str(self.folder / "events")
            store = storage_of(self.storage, self.name)
            async with (
                AsyncIntegration(**APP, emulator_url=cloud.url, storage=store) as self.integration,
                AsyncWebex(ALICE_TOKEN, emulator_url=cloud.url) as self.alice,
            ):
                try:
                    await self._populate()
                    began = time.monotonic()
                    self._start_workers()
                    await self.until_connected(self._workers_wanted)
                    self.outcome.settled = time.monotonic() - began
                    self._used_before = self._cpu()
                    async with asyncio.TaskGroup() as together:
                        disturbing = together.create_task(faults(self, seconds))
                        together.create_task(self._write(seconds, per_second, disturbing))
                    received = await self._collect()
                    self._measure()
                    self._judge(received)
                    self.outcome.seconds = time.monotonic() - began
                except BaseException:
                    self._show_errors()
                    raise
                finally:
                    for worker in self.workers:
                        worker.close()
                    await remove(self.storage, self.broker, self.name)
        return self.outcome

    async def _populate(self) -> None:
        people = []
        for number in range(self._people_wanted):
            person = self.cloud.add_person(f"user{number}@example.com")
            await self.integration.adopt(person.id, self.cloud.token_for(person.email))
            people.append(person.id)
        for start in range(0, len(people), IN_A_ROOM):
            members = people[start : start + IN_A_ROOM]
            room = await self.alice.rooms.create(title="A room of the run")
            for each in members:
                await self.alice.memberships.create(room_id=room.id, person_id=each)
            self.rooms.append((room.id, members))

    def _start_workers(self) -> None:
        options = {
            "lease": self.lease,
            "poll": 0.2,
            "look_for_users": 1.0,
            "connects_per_second": 200.0,
            "grace": 10.0,
        }
        how = {
            "url": self.cloud.url,
            "storage": self.storage,
            "broker": self.broker,
            "name": self.name,
            "options": options,
        }
        port = 0
        for number in range(self._workers_wanted):
            self.workers.append(Worker(number, how, self.folder, port))
            port = self.workers[0].cloud_gate.port
        for worker in self.workers:
            worker.start()

    async def until_connected(self, workers: int | None = None, *, without: str = "") -> None:
        """Return when the workers, `without` one, say that they listen for everybody."""
        async with asyncio.timeout(PATIENCE):
            while True:
                members, _ = await read_members(self.integration.storage, "fleet")
                seen = [each for each in members if each.worker != without and not each.leaving]
                count = sum(int(each.details["users"]) - int(each.details["connecting"]) for each in seen)
                if count == self._people_wanted and workers in (None, len(seen)):
                    self.outcome.people_per_worker = [int(each.details["users"]) for each in seen]
                    return
                await asyncio.sleep(0.1)

    async def _write(self, seconds: float, per_second: float, disturbing: asyncio.Future[Any]) -> None:
        """Write at a rate of events per second for all people together, until the last fault is over."""
        end = time.monotonic() + seconds
        between = IN_A_ROOM / per_second
        following = time.monotonic()
        while time.monotonic() < end or not disturbing.done():
            room, members = self.chance.choice(self.rooms)
            text = str(self._number)
            self._number += 1
            now = time.time()
            await self.alice.messages.create(room_id=room, text=text)
            self.sent.update({(each, text): now for each in members})
            following += between
            await asyncio.sleep(max(following - time.monotonic(), 0.0))
        self.outcome.sent = self._number

    async def _collect(self) -> list[tuple[str, str, str, str]]:
        """Take events out of the broker until all have come, or none comes any more: user, room, text, id."""
        received: list[tuple[str, str, str, str]] = []
        missing = set(self.sent)
        give_up = time.monotonic() + PATIENCE

        def note(event: Any) -> None:
            user, text = str(event.user_key), str(event.raw.get("text"))
            if event.resource == "messages" and (user, text) in self.sent:
                received.append((user, str(event.raw["roomId"]), text, event_id(event)))
                missing.discard((user, text))

        if self.broker.startswith("/"):
            while missing and time.monotonic() < give_up:
                received.clear()
                missing.update(self.sent)
                for line in (await asyncio.to_thread(Path(self.broker).read_bytes)).splitlines():
                    note(decode(line))
                await asyncio.sleep(0.2)
            return received
        events: Any
        if self.broker.startswith("nats"):
            events = nats_events(self.broker, stream=self.name, durable="judge")
        elif self.broker.startswith("redis"):
            events = redis_events(self.broker, f"{self.name}:events", ack_wait=600)
        else:
            events = rabbit_events(self.broker, queue=self.name)
        async with events:
            with contextlib.suppress(TimeoutError):
                while missing:
                    async with asyncio.timeout(give_up - time.monotonic()):
                        note(await anext(events))
            with contextlib.suppress(TimeoutError):  # repetitions that came after the last missing one
                while True:
                    async with asyncio.timeout(1.0):
                        note(await anext(events))
        return received

    def _cpu(self) -> float:
        used = 0.0
        for worker in self.workers:
            with contextlib.suppress(OSError, StopIteration):
                used += worker.used()[1]
        return used

    def _measure(self) -> None:
        for worker in self.workers:
            with contextlib.suppress(OSError, StopIteration):
                self.outcome.megabytes.append(worker.used()[0])
        self.outcome.cpu = max(self._cpu() - self._used_before, 0.0)
        first: dict[tuple[str, str], float] = {}
        for path in self.folder.glob("log-*"):
            for line in path.read_text().splitlines():
                with contextlib.suppress(ValueError):  # a line that a kill has cut
                    user, text, at = json.loads(line)
                    first[user, text] = min(at, first.get((user, text), at))
        self.outcome.lateness = [first[each] - sent for each, sent in self.sent.items() if each in first]

    def _judge(self, received: list[tuple[str, str, str, str]]) -> None:
        outcome = self.outcome
        ids: dict[tuple[str, str], set[str]] = defaultdict(set)
        latest: dict[tuple[str, str], int] = {}
        for user, room, text, number in received:
            if (user, text) not in ids and int(text) < latest.get((user, room), -1):
                outcome.disordered.append(f"{user} {text}")
            ids[user, text].add(number)
            latest[user, room] = max(int(text), latest.get((user, room), -1))
        outcome.expected, outcome.received = len(self.sent), len(ids)
        outcome.repeats = len(received) - len(ids)
        outcome.missing = [f"{user} {text}" for user, text in self.sent if (user, text) not in ids]
        outcome.other_ids = [f"{user} {text}" for (user, text), numbers in ids.items() if len(numbers) > 1]

    def _show_errors(self) -> None:
        for path in sorted(self.folder.glob("errors-*")):
            if text := path.read_text().strip():
                print(path.name, text[-2000:], file=sys.stderr)

    # Faults

    async def kill(self) -> None:
        """Kill a worker, and start another one when its shards were taken over."""
        worker = self.chance.choice(self.workers)
        name = worker.name
        worker.kill()
        began = time.monotonic()
        await self.until_connected(without=name)
        self.outcome.takeovers.append(time.monotonic() - began)
        worker.start()
        self.outcome.faults["kill"] += 1

    async def stop_and_continue(self) -> None:
        """Stop a worker for longer than its lease, and let it go on."""
        worker = self.chance.choice(self.workers)
        worker.send(signal.SIGSTOP)
        await asyncio.sleep(self.lease * 1.6)
        worker.send(signal.SIGCONT)
        self.outcome.faults["stop"] += 1

    async def cut_storage(self) -> None:
        """Cut a worker off from the storage for longer than its lease."""
        gate = self.chance.choice(self.workers).storage_gate
        if gate is not None:
            await self._cut(gate)
            self.outcome.faults["storage cut"] += 1

    async def cut_cloud(self) -> None:
        """Cut a worker off from the cloud for as long; it goes on to hold its leases."""
        await self._cut(self.chance.choice(self.workers).cloud_gate)
        self.outcome.faults["cloud cut"] += 1

    async def _cut(self, gate: Gate) -> None:
        gate.cut()
        await asyncio.sleep(self.lease * 1.6)
        gate.restore()

    async def close_sockets(self) -> None:
        """Close the sockets of all people at once, as a region that restarts does."""
        for number in range(self._people_wanted):
            self.cloud.mercury.drop(f"user{number}@example.com")
        self.outcome.faults["sockets closed"] += 1


async def every_fault(run: Run, seconds: float) -> None:
    """Three kills, a stop past the lease, all sockets closed, and a cut from the storage and one from the cloud."""
    faults = (run.kill, run.stop_and_continue, run.close_sockets, run.cut_storage, run.kill, run.cut_cloud, run.kill)
    take = 9.5 * run.lease  # seconds, of all of them
    for fault in faults:
        await asyncio.sleep(max((seconds - take) / len(faults), 0.5))
        await fault()


async def no_fault(run: Run, seconds: float) -> None:
    """Disturb nothing."""


async def rolling_restart(run: Run, seconds: float) -> None:
    """Restart each worker, one after the other, as a deployment does: the new one first."""
    for worker in run.workers:
        await asyncio.sleep(seconds / 12)
        old = worker.process
        worker.start()
        new = worker.process
        await run.until_connected(len(run.workers) + 1)
        worker.process = old
        await asyncio.to_thread(worker.stop)
        worker.process = new
        await run.until_connected(len(run.workers))
        run.outcome.faults["restart"] += 1


async def remove(storage: str, broker: str, name: str) -> None:
    """Remove what a run has left on servers."""
    if storage.startswith("postgres"):
        import psycopg
        import psycopg.sql

        async with await psycopg.AsyncConnection.connect(storage, autocommit=True) as connection:
            schema = psycopg.sql.Identifier(name.replace("-", "_"))
            await connection.execute(psycopg.sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))
    for address in {each for each in (storage, broker) if each.startswith("redis")}:
        import redis.asyncio

        async with redis.asyncio.Redis.from_url(address) as client:
            async for key in client.scan_iter(match=f"{name}:*", count=1000):
                await client.delete(key)
    if broker.startswith("nats"):
        import nats
        from nats.js.errors import NotFoundError

        connected = await nats.connect(broker)
        with contextlib.suppress(NotFoundError):
            await connected.jetstream().delete_stream(name)
        await connected.close()
    if broker.startswith("amqp"):
        import aio_pika

        async with await aio_pika.connect(broker) as connection_:
            channel = await connection_.channel()
            await channel.queue_delete(name)
            await channel.exchange_delete(name)


def run(
    *,
    people: int = 60,
    workers: int = 3,
    seconds: float = 30.0,
    per_second: float = 30.0,
    storage: str | None = None,
    broker: str | None = None,
    faults: Callable[[Run, float], Any] = every_fault,
    lease: float = 3.0,
    seed: int = 1,
) -> Outcome:
    """Play one run; without addresses with SQLite and a file in a folder of its own."""
    played = Run(people=people, workers=workers, storage=storage, broker=broker, seed=seed, lease=lease)
    return asyncio.run(played.play(faults, seconds, per_second))


def long_run() -> int:
    """Play 60 people on 3 workers with each storage and broker, a rolling restart, and 400 people for two minutes."""
    from tests.support.services import SERVICES

    there = {name for name, service in SERVICES.items() if service.is_there()}
    redis_url, postgres = "redis://127.0.0.1:6379/0", "postgresql://postgres@127.0.0.1:5432/test"
    nats_url, rabbit = "nats://127.0.0.1:4222", "amqp://guest:guest@127.0.0.1:5672/"
    clean = True
    plays: list[tuple[set[str], dict[str, Any]]] = [
        (set(), {}),
        (set(), {"faults": rolling_restart, "lease": 15.0}),
        (set(), {"faults": no_fault, "per_second": 1.0}),
        (set(), {"faults": no_fault, "per_second": 10.0}),
        (set(), {"faults": no_fault, "per_second": 100.0}),
        ({"redis", "nats"}, {"storage": redis_url, "broker": nats_url}),
        ({"redis"}, {"storage": redis_url, "broker": redis_url}),
        ({"redis", "rabbitmq"}, {"storage": redis_url, "broker": rabbit}),
        ({"postgres", "nats"}, {"storage": postgres, "broker": nats_url}),
        ({"postgres", "redis"}, {"storage": postgres, "broker": redis_url}),
        ({"postgres", "rabbitmq"}, {"storage": postgres, "broker": rabbit}),
        (
            {"redis", "nats"},
            {"storage": redis_url, "broker": nats_url, "people": 400, "workers": 4, "seconds": 120.0, "lease": 5.0},
        ),
    ]
    for needed, options in plays:
        if not needed <= there:
            print("left out:", ", ".join(sorted(needed - there)))
            continue
        outcome = run(**options)
        print(" with ".join(sorted(needed)) or "SQLite and a file", "-", outcome, flush=True)
        clean = clean and outcome.is_clean
    return int(not clean)


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; 1 when something was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet")
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--per-second", type=float, default=30.0, help="events of all people together")
    parser.add_argument("--storage", help="redis://… or postgresql://…; default: SQLite")
    parser.add_argument("--broker", help="nats://…, redis://… or amqp://…; default: a file")
    parser.add_argument("--lease", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rolling", action="store_true", help="a rolling restart in place of the faults")
    parser.add_argument("--quiet", action="store_true", help="no faults: people per worker, memory and CPU")
    parser.add_argument("--long", action="store_true", help="all storages and brokers of this machine, then 400 people")
    options = parser.parse_args(arguments)
    if options.long:
        return long_run()
    outcome = run(
        people=options.people,
        workers=options.workers,
        seconds=options.seconds,
        per_second=options.per_second,
        storage=options.storage,
        broker=options.broker,
        faults=rolling_restart if options.rolling else no_fault if options.quiet else every_fault,
        lease=options.lease,
        seed=options.seed,
    )
    print(outcome)
    return 0 if outcome.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
