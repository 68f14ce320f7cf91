"""One refresh among processes over PostgreSQL, and a server that crashes under load."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.auth.conftest import Start, outcome, sign_in
from tests.auth.worker import pickled
from tests.support.postgres_server import PostgresServer
from webex import Integration
from webex.emulator import Cloud
from webex.errors import StorageError
from webex.storage import PostgresStorage

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as made:
        yield made


def expire(cloud: Cloud, storage: PostgresStorage) -> str:
    """Sign a user in whose access token then runs out; the key."""
    with storage, Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)
    cloud.clock.advance(14 * 86400 + 60)
    cloud.requests.clear()
    return key


@pytest.fixture
def processes() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def starter(processes: contextlib.ExitStack, storage: PostgresStorage, key: str) -> Start:
    def begin(style: str, calls: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.auth.worker", pickled(storage), key, style, str(calls)],
            cwd=ROOT,
            env={**os.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.callback(process.communicate)
        processes.callback(process.kill)
        return process

    return begin


def test_six_processes_of_both_styles_refresh_once(
    cloud: Cloud, postgres_url: str, schema: str, processes: contextlib.ExitStack
) -> None:
    storage = PostgresStorage(postgres_url, schema=schema)
    start = starter(processes, storage, expire(cloud, storage))
    workers = [start(style, 25) for style in ("blocking", "async") * 3]
    assert [outcome(worker) for worker in workers] == [["ok"] * 25] * 6
    assert cloud.requests.count(grant_type="refresh_token") == 1


PATIENT = """
import asyncio, json, sys
from tests.auth.worker import SETTINGS, opened
from webex import AsyncIntegration

async def main():
    async with AsyncIntegration(storage=opened(sys.argv[1]), **SETTINGS) as integration:
        async def call():
            try:
                await integration.user(sys.argv[2]).people.me()
            except Exception as error:
                return type(error).__name__
            return "ok"
        while True:
            print(json.dumps(await asyncio.gather(*[call() for _ in range(5)])), flush=True)
            if await asyncio.to_thread(sys.stdin.readline) == "":
                return

asyncio.run(main())
"""


def test_crash_of_the_server_during_the_refresh_loses_no_token(
    cloud: Cloud, server: PostgresServer, processes: contextlib.ExitStack
) -> None:
    cloud.set(rotation="strict")  # a second refresh with the old token would end every token
    storage = PostgresStorage(server.url)
    key = expire(cloud, storage)
    cloud.faults.add("*", grant_type="refresh_token", count=1, latency=1.0, after_processing=True)
    workers = []
    for _ in range(2):
        arguments = [sys.executable, "-c", PATIENT, pickled(storage), key]
        worker = subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.callback(worker.wait)
        processes.callback(worker.kill)
        workers.append(worker)
    while not any(fault["hits"] for fault in cloud.faults.as_list()):
        threading.Event().wait(0.01)
    server.stop("immediate")  # the answer of the cloud finds no storage
    server.start()
    for worker in workers:  # the one that waits for the other's refresh may meet the server while it is away
        assert worker.stdout is not None
        assert set(json.loads(worker.stdout.readline())) <= {"ok", "StorageError"}
    for worker in workers:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write("again\n")
        worker.stdin.flush()
        assert json.loads(worker.stdout.readline()) == ["ok"] * 5
    for worker in workers:
        worker.communicate(timeout=60)
    assert outcome(starter(processes, storage, key)("blocking", 3)) == ["ok"] * 3
    assert cloud.requests.count(grant_type="refresh_token") == 1


def test_acknowledged_writes_survive_crashes_in_order(server: PostgresServer) -> None:
    goal = 600
    writers = []
    acknowledged: queue.SimpleQueue[str] = queue.SimpleQueue()
    latest: dict[str, int] = {}

    def follow(key: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            latest[key] = int(line)
            acknowledged.put(key)

    with contextlib.ExitStack() as stack:
        for number, style in enumerate(("blocking", "async")):
            program = [sys.executable, "-m", "tests.storage.services.postgres_writer"]
            arguments = [server.url, f"key{number}", style, str(goal)]
            process = subprocess.Popen([*program, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
            stack.callback(process.wait)
            stack.callback(process.kill)
            thread = threading.Thread(target=follow, args=(f"key{number}", process))
            thread.start()
            writers.append((process, thread))
        for _ in range(3):
            for _ in range(100):
                acknowledged.get(timeout=60)
            before = dict(latest)
            server.stop("immediate")
            server.start()
            with PostgresStorage(server.url) as storage:
                for key, number in before.items():
                    assert storage.bind("credentials").get(key) >= number
        for process, thread in writers:
            assert process.wait(timeout=120) == 0
            thread.join()
    with PostgresStorage(server.url) as storage:
        assert storage.bind("credentials").get_many(["key0", "key1"]) == {"key0": goal, "key1": goal}


def test_stopped_server_is_reported_and_reconnected(server: PostgresServer) -> None:
    with PostgresStorage(server.url) as storage:
        binding = storage.bind("credentials")
        binding.put("key", 1)
        server.stop()
        for _ in range(3):
            with pytest.raises(StorageError, match="no connection could be made"):
                binding.get("key")
        server.start()
        assert binding.get("key") == 1
