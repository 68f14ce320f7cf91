"""Writes that need not reach the disk: on the event loop's own thread, and a worker copies the log back."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.threads import running_threads
from webex.runtime import EventLoopRuntime
from webex.storage import EncryptedStorage, SQLiteStorage, StorageAccess, sqlite_connections
from webex.storage.protocol import BusyError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "webex.db"


class Recorder(EventLoopRuntime):
    """Counts what goes to worker threads."""

    def __init__(self) -> None:
        super().__init__()
        self.threaded: list[str] = []

    async def run_blocking(self, function: Any, /, *args: Any) -> Any:
        self.threaded.append(getattr(function, "__name__", "partial"))
        return await super().run_blocking(function, *args)


@pytest.mark.parametrize("encrypted", [False, True])
def test_checkpoints_are_written_inline_and_credentials_in_a_thread(
    path: Path, encrypted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_connections, "_SLOW", 600.0)  # no commit counts as slow

    async def run() -> list[str]:
        runtime = Recorder()
        with SQLiteStorage(path) as storage:
            access = StorageAccess(
                EncryptedStorage(storage, keys=[EncryptedStorage.generate_key()]) if encrypted else storage, runtime
            )
            await access.put("realtime", "head", 1, durable=False)
            version = await access.put_if_version(
                "realtime", "head", 2, (await access.get_versioned("realtime", "head")).version, durable=False
            )
            assert version is not None
            await access.delete("realtime", "head", durable=False)
            assert runtime.threaded == []
            await access.put("credentials", "key", 1)
            return runtime.threaded

    assert len(asyncio.run(run())) == 1


def test_quick_write_never_waits_for_another_thread(path: Path) -> None:
    with SQLiteStorage(path) as storage:
        quick = storage.bind_nonwaiting("realtime")
        quick.put("key", 1, durable=False)
        with storage.connections._writing, pytest.raises(BusyError):
            quick.put("key", 2, durable=False)
        quick.put("key", 3, durable=False)
        assert quick.get("key") == 3


def test_locked_file_delays_a_quick_write_and_loses_nothing(path: Path) -> None:
    async def run() -> Any:
        with SQLiteStorage(path) as storage:
            access = StorageAccess(storage, EventLoopRuntime())
            await access.put("realtime", "key", 1, durable=False)
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            write = asyncio.create_task(access.put("realtime", "key", 2, durable=False))
            await asyncio.sleep(0)  # the write met the lock
            assert not write.done()
            other.execute("COMMIT")
            other.close()
            await write
            return await access.get("realtime", "key")

    assert asyncio.run(run()) == 2


def test_slow_disk_sends_writes_to_a_thread_for_a_while(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_connections, "_SLOW", -1.0)  # every commit counts as slow

    async def run() -> list[str]:
        runtime = Recorder()
        with SQLiteStorage(path) as storage:
            access = StorageAccess(storage, runtime)
            await access.put("realtime", "key", 1, durable=False)
            await access.put("realtime", "key", 2, durable=False)
            assert await access.get("realtime", "key") == 2
            return runtime.threaded

    assert len(asyncio.run(run())) == 1


def test_wal_checkpoint_runs_in_a_worker_thread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_connections, "_CHECKPOINT_WRITES", 10)
    seen: list[str] = []
    original = sqlite_connections.Connections._checkpoint

    def recorded(self: sqlite_connections.Connections) -> None:
        seen.append(threading.current_thread().name)
        original(self)

    monkeypatch.setattr(sqlite_connections.Connections, "_checkpoint", recorded)
    before = running_threads("webex-sqlite-checkpoint")
    storage = SQLiteStorage(path)
    quick = storage.bind_nonwaiting("realtime")
    for number in range(25):
        quick.put("key", number, durable=False)
    storage.close()
    assert seen
    assert set(seen) == {"webex-sqlite-checkpoint"}
    assert quick.get("key") == 24
    storage.close()
    assert not running_threads("webex-sqlite-checkpoint") - before


def test_wal_stays_small_under_many_quick_writes(path: Path) -> None:
    with SQLiteStorage(path) as storage:
        quick = storage.bind_nonwaiting("realtime")
        for number in range(6000):
            quick.put(f"slot-{number % 8}", "x" * 1000, durable=False)
        worker = storage.connections._checkpointing
        assert worker is not None
        worker.join()
        assert path.with_name("webex.db-wal").stat().st_size < 30_000_000
