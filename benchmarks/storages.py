"""Measures each storage that is at hand: get, put, swap, lease, and a listener's takeover, in both styles.

A takeover reads the record of one listener: its head and 512 slots, of which half hold something. Servers on their
standard ports are used where they answer, with names of the run's own, which are removed in the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.services import SERVICES, Service
from tools.environments import ROOT, EnvironmentUnavailableError, make
from webex.runtime import BlockingRuntime, EventLoopRuntime, drive
from webex.storage import EncryptedStorage, MemoryStorage, PostgresStorage, RedisStorage, SQLiteStorage, StorageAccess

PATH = Path(__file__).resolve().parent / "STORAGES.md"
SLOTS = 512
TAKEOVER_AIM = 0.020  # seconds
NAMESPACE = "benchmark"
STEPS = ("get", "put", "swap", "lease", "takeover")

Measured = dict[str, tuple[float, float]]  # of each step the median and the 99th percentile, in seconds


@dataclass(frozen=True)
class Contestant:
    """A storage, and how it is made and removed."""

    label: str
    opened: Callable[[], Any]  # a context manager that gives the storage
    service: Service | None = None


@contextmanager
def _sqlite() -> Iterator[SQLiteStorage]:
    with tempfile.TemporaryDirectory() as folder, SQLiteStorage(Path(folder) / "webex.db") as storage:
        yield storage


@contextmanager
def _redis() -> Iterator[RedisStorage]:
    import redis

    host, port = SERVICES["redis"].address
    prefix = f"webex-benchmark-{secrets.token_hex(6)}"
    with RedisStorage(f"redis://{host}:{port}/0", prefix=prefix) as storage:
        yield storage
    with redis.Redis(host=host, port=port) as client:
        for name in client.scan_iter(match=f"{prefix}:*", count=1000):
            client.delete(name)


@contextmanager
def _postgres() -> Iterator[PostgresStorage]:
    import psycopg

    host, port = SERVICES["postgres"].address
    url, schema = f"postgresql://postgres@{host}:{port}/test", f"webex_benchmark_{secrets.token_hex(6)}"
    with PostgresStorage(url, schema=schema) as storage:
        yield storage
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("DROP SCHEMA {} CASCADE").format(psycopg.sql.Identifier(schema)))


@contextmanager
def _memory() -> Iterator[MemoryStorage]:
    yield MemoryStorage()


@contextmanager
def _encrypted(inner: Callable[[], Any]) -> Iterator[EncryptedStorage]:
    with inner() as storage:
        yield EncryptedStorage(storage, keys=[EncryptedStorage.generate_key()])


CONTESTANTS = [
    Contestant("MemoryStorage", _memory),
    Contestant("SQLiteStorage", _sqlite),
    Contestant("EncryptedStorage(SQLiteStorage)", lambda: _encrypted(_sqlite)),
    Contestant("RedisStorage", _redis, SERVICES["redis"]),
    Contestant("PostgresStorage", _postgres, SERVICES["postgres"]),
    Contestant("EncryptedStorage(RedisStorage)", lambda: _encrypted(_redis), SERVICES["redis"]),
]


async def _timed(count: int, step: Callable[[int], Awaitable[object]]) -> tuple[float, float]:
    times = []
    for number in range(count):
        began = time.perf_counter()
        await step(number)
        times.append(time.perf_counter() - began)
    times.sort()
    return statistics.median(times), times[min(len(times) - 1, round(len(times) * 0.99))]


async def measure(access: StorageAccess, count: int) -> Measured:
    """Time each step `count` times, and the takeover a tenth as often."""
    record = {
        "access_token": "x" * 700,
        "refresh_token": "y" * 700,
        "expires_at": 1_800_000_000.5,
        "scopes": ["a"] * 20,
    }

    def person(number: int) -> str:
        return f"client/person{number % 500}"

    async def swap(number: int) -> None:
        _, version = await access.get_versioned(NAMESPACE, person(number))
        assert await access.put_if_version(NAMESPACE, person(number), record, version) is not None

    async def lease(number: int) -> None:
        held = await access.try_lease(NAMESPACE, person(number), 30.0)
        assert held is not None
        await held.release()

    names = [f"client/person/device/{number}" for number in range(SLOTS)]
    for name in names[::2]:
        await access.put(NAMESPACE, name, ["activity", name, 1_800_000_000_000], durable=False)

    async def takeover(_: int) -> None:
        assert len(await access.get_many(NAMESPACE, ["client/person/device/head", *names])) == SLOTS // 2

    for number in range(500):
        await access.put(NAMESPACE, person(number), record, durable=False)
    return {
        "put": await _timed(count, lambda number: access.put(NAMESPACE, person(number), record)),
        "get": await _timed(count, lambda number: access.get(NAMESPACE, person(number))),
        "swap": await _timed(count, swap),
        "lease": await _timed(count, lease),
        "takeover": await _timed(max(count // 10, 5), takeover),
    }


def _measure_in(style: str, storage: Any, count: int) -> Measured:
    if style == "blocking":
        return drive(measure(StorageAccess(storage, BlockingRuntime()), count))

    async def main() -> Measured:
        runtime = EventLoopRuntime()
        try:
            return await measure(StorageAccess(storage, runtime), count)
        finally:
            await runtime.aclose()
            if hasattr(storage, "aclose"):
                await storage.aclose()

    return asyncio.run(main())


@dataclass(frozen=True)
class Sizes:
    """How many sign-ins, people of the mixed calls, calls, and people of the smallest and the largest storage."""

    sign_ins: int = 1000
    people: int = 10_000
    calls: int = 5000
    smallest: int = 1000
    largest: int = 100_000
    steps: int = 1000  # of each kind in the first table


SMALL = Sizes(50, 300, 200, 50, 500, 100)


def people_of(sizes: Sizes) -> str:
    """Measure storages with many people, beside slack_sdk's stores, and return the table."""
    from benchmarks import storage_people

    runs: list[tuple[str, list[str]]] = [
        (label, [sys.executable, "-m", "benchmarks.storage_people", label]) for label in storage_people.labels()
    ]
    try:
        python = str(make("slack-sdk"))
        slack = {"FileInstallationStore": "file", "SQLAlchemyInstallationStore (SQLite)": "sqlite"}
        if SERVICES["postgres"].is_there():
            host, port = SERVICES["postgres"].address
            slack["SQLAlchemyInstallationStore (PostgreSQL)"] = f"postgresql+psycopg://postgres@{host}:{port}/test"
        runs += [(f"slack_sdk {name}", [python, str(storage_people.PROGRAM), named]) for name, named in slack.items()]
    except EnvironmentUnavailableError as error:
        print(f"Without slack_sdk: {error}", file=sys.stderr)
    rows = []
    for label, command in runs:
        print(f"{label}, many people", file=sys.stderr, flush=True)

        def measured(sign_ins: int, people: int, calls: int, command: list[str] = command) -> dict[str, float]:
            arguments = [*command, str(sign_ins), str(people), str(calls)]
            ended = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
            if ended.returncode:
                raise RuntimeError(f"{arguments} failed: {ended.stderr[-2000:]}")
            found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
            return found

        mixed = measured(sizes.sign_ins, sizes.people, sizes.calls)
        small = measured(1, sizes.smallest, sizes.calls)
        large = measured(1, sizes.largest, sizes.calls)
        rows.append(
            (
                label,
                f"{mixed['sign_ins']:,.0f}",
                f"{mixed['calls']:,.0f}",
                f"{mixed['p50'] * 1e6:,.0f} / {mixed['p99'] * 1e6:,.0f}",
                f"{mixed['memory']:,.0f}",
                f"{large['p50'] / small['p50']:.2f}",
            )
        )
    head = ("storage", "sign-ins/s", "calls/s", "µs a call, median / p99", "bytes a person", "growth")
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, tuple("---" for _ in head), *rows)]
    return (
        "## Many people\n\n"
        f"Blocking style, one process. {sizes.sign_ins:,} sign-ins (a pending login is kept, used once, and the tokens "
        f"are saved); then {sizes.calls:,} calls of {sizes.people:,} people who are signed in: each reads one person's "
        "record, each tenth takes the lease and swaps new tokens in. slack_sdk's stores have no lease and no swap: "
        "they save; and their columns hold 200 characters, so their tokens have 190 where ours have 700. Bytes a "
        "person: by how many bytes the resident memory of the process grew from the first sign-in to the last call, by "
        "people; what a server or a file holds is not in it. Growth: the median of a call with "
        f"{sizes.largest:,} people by that with {sizes.smallest:,}; flat is 1.\n\n" + "\n".join(lines) + "\n"
    )


def run(*, quick: bool, sizes: Sizes | None = None) -> int:
    """Measure all that is at hand, and write the table unless `quick`."""
    sizes = sizes or (Sizes(20, 100, 100, 50, 200, 50) if quick else Sizes())
    rows: list[tuple[str, ...]] = []
    missed, missing = [], []
    for contestant in CONTESTANTS:
        if contestant.service is not None and not contestant.service.is_there():
            missing.append(f"{contestant.label}: {contestant.service.how}")
            continue
        for style in ("blocking", "event loop"):
            print(f"{contestant.label}, {style}", file=sys.stderr, flush=True)
            with ExitStack() as stack:
                storage = stack.enter_context(contestant.opened())
                found = _measure_in(style, storage, sizes.steps)
            rows.append((contestant.label, style, *(_cell(found[step]) for step in STEPS)))
            if found["takeover"][0] > TAKEOVER_AIM:
                missed.append(f"{contestant.label}, {style}")
    text = _text(rows, missed, missing, sizes.steps) + "\n" + people_of(sizes)
    if not quick:
        PATH.write_text(text)
        print(f"Written to {PATH}", file=sys.stderr)
    print(text)
    return 0


def _cell(times: tuple[float, float]) -> str:
    median, late = times
    return f"{median * 1e6:,.0f} / {late * 1e6:,.0f}"


def _text(rows: list[tuple[str, ...]], missed: list[str], missing: list[str], steps: int) -> str:
    head = ("storage", "style", *STEPS)
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in (head, tuple("---" for _ in head), *rows))
    aim = f"A takeover within {TAKEOVER_AIM * 1e3:.0f} ms: " + (
        f"**missed** by {'; '.join(missed)}" if missed else "met"
    )
    lines = [
        "# Storages",
        "",
        f"On {os.cpu_count()} cores with a load of {os.getloadavg()[0]:.0f} at the end: on a busy machine only large "
        "differences between the rows say something.",
        "",
        f"Made by `scripts/bench storages`. Microseconds of {steps:,} calls one after another: median / 99th "
        "percentile. A swap is a read and a compare-and-swap, a lease is taken and released, "
        f"a takeover reads {SLOTS + 1} keys.",
        "",
        table,
        "",
        aim + ".",
        *(f"\nLeft out, because no server answers: {line}." for line in missing),
    ]
    return "\n".join(lines) + "\n"
