"""`MigratingStorage`: the suite in each phase, races between workers of different phases, and who is left behind."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.storage.helpers import AsyncMemory, DictAdapter, FakeRuntime, MovableClock
from tests.storage.migrations import NAMESPACE, Stores, away
from webex.errors import ConfigurationError, MissingKeyError, StorageError
from webex.runtime import BlockingRuntime, drive
from webex.storage import (
    EncryptedStorage,
    MemoryStorage,
    MigratingStorage,
    MigrationReport,
    SQLiteStorage,
    StorageAccess,
    conformance,
)
from webex.storage.formats import NewerRecordError, check_format
from webex.storage.reserved import MOVED, NOTES, MovedError, is_moved, moved_value
from webex.storage.sqlite import SQLiteBinding

PHASES = ["before", "moving", "moved"]


@pytest.mark.filterwarnings("ignore::webex.storage.conformance.ConformanceWarning")
@pytest.mark.parametrize("style", ["blocking", "async"])
@pytest.mark.parametrize("phase", PHASES)
def test_suite_passes_in_each_phase(phase: str, style: str) -> None:
    clock = MovableClock()

    def make() -> object:
        old: Any = MemoryStorage(clock=clock)
        if phase != "before":
            old.bind(NOTES).put(MOVED, moved_value("the new one", phase=phase))
        if style == "async":
            return MigratingStorage(_Both(old), _Both(MemoryStorage(clock=clock)))
        return MigratingStorage(old, MemoryStorage(clock=clock))

    conformance.verify(make, advance=clock.advance, many=300)


class _Both(AsyncMemory):
    """A storage of asynchronous methods that tells what a migration asks for."""

    def __init__(self, inner: MemoryStorage) -> None:
        self.inner = self._memory = inner
        self.capabilities = inner.capabilities.__class__(
            ttl=True, scan=True, compare_and_swap=True, lease=True, bulk=True
        )
        self.asynchronous = True

    async def namespaces(self) -> list[str]:
        return self.inner.namespaces()

    def bind(self, namespace: str) -> Any:
        return _AsyncBinding(self.inner.bind(namespace))


class _AsyncBinding:
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        async def call(*args: Any, **options: Any) -> Any:
            await asyncio.sleep(0)
            found = method(*args, **options)
            return _AsyncLease(found) if name == "try_lease" and found is not None else found

        return call

    async def keys(self, prefix: str = "", *, page_size: int = 1000) -> Any:
        for page in self._inner.keys(prefix, page_size=page_size):
            yield page


class _AsyncLease:
    def __init__(self, inner: Any) -> None:
        self.inner, self.name, self.token = inner, inner.name, inner.token

    async def renew(self, ttl: float) -> bool:
        return bool(self.inner.renew(ttl))

    async def release(self) -> None:
        self.inner.release()


def test_writes_go_to_both_before_the_flip(stores: Stores) -> None:
    binding = stores.worker().bind(NAMESPACE)
    binding.put("a", 1, expires_in=600)
    version = binding.put_if_version("b", 1, None)
    assert version is not None
    assert binding.put_if_version("b", 2, version) is not None
    binding.put("c", 1)
    binding.delete("c")
    for storage in (stores.old, stores.new):
        assert storage.bind(NAMESPACE).get_many(["a", "b", "c"]) == {"a": 1, "b": 2}
        assert 590 < (storage.bind(NAMESPACE).time_left("a") or 0) <= 600
    assert stores.old.bind(NAMESPACE).lease_remaining("work") == 0
    assert binding.try_lease("work", 60) is not None
    assert stores.old.bind(NAMESPACE).lease_remaining("work") > 0
    assert stores.new.bind(NAMESPACE).lease_remaining("work") == 0


def test_dry_run_counts_and_copy_copies(stores: Stores) -> None:
    for number in range(1200):
        stores.old.bind(NAMESPACE).put(f"key{number:04}", number, durable=False)
    stores.old.bind("sessions").put("session", 1, expires_in=600)
    stores.new.bind("sessions").put("other", 1)
    worker = stores.worker()
    told: list[MigrationReport] = []
    counts = ((NAMESPACE, 1200), ("sessions", 1))
    assert worker.copy(dry_run=True, progress=told.append) == (1201, 1201, 0, 1, counts)
    assert [report.keys for report in told] == [500, 1000, 1200, 1201]
    assert stores.new.namespaces() == ["sessions"]
    assert worker.copy() == (1201, 1201, 0, 1, counts)
    assert worker.copy() == (1201, 0, 1201, 1, counts)
    assert 590 < (stores.new.bind("sessions").time_left("session") or 0) <= 600
    assert worker.phase() is None


def test_flip_makes_the_new_storage_primary(stores: Stores) -> None:
    worker, other = stores.worker(), stores.worker()
    worker.bind(NAMESPACE).put("key", 1)
    stores.old.bind(NAMESPACE).put("written before", 2)
    version = other.bind(NAMESPACE).get_versioned("key").version
    assert worker.flip(wait=0).copied == 2
    assert worker.phase() == "moved"
    assert other.bind(NAMESPACE).put_if_version("key", 3, version) is None  # what it read is not true any more
    assert other.bind(NAMESPACE).get("key") == 1
    assert stores.new.bind(NAMESPACE).get_many(["key", "written before"]) == {"key": 1, "written before": 2}
    assert is_moved(stores.old.bind(NAMESPACE).get("key"))
    assert worker.flip(wait=0).copied == 0
    with pytest.raises(StorageError, match="flipped already"):
        worker.copy()
    lease = worker.bind(NAMESPACE).try_lease("work", 60)
    assert lease is not None
    for storage in (stores.old, stores.new):
        assert storage.bind(NAMESPACE).try_lease("work", 60) is None
    assert lease.renew(60)
    lease.release()
    assert worker.namespaces() == [NAMESPACE]


def test_interrupted_flip_is_resumed(stores: Stores) -> None:
    class InterruptedByTest(Exception):
        pass

    def interrupt(report: MigrationReport) -> None:
        raise InterruptedByTest

    for number in range(700):
        stores.old.bind(NAMESPACE).put(f"key{number:04}", number, durable=False)
    with pytest.raises(InterruptedByTest):
        stores.worker().flip(wait=0, progress=interrupt)
    worker = stores.worker()
    assert worker.phase() == "moving"
    binding = worker.bind(NAMESPACE)
    assert [binding.get("key0000"), binding.get("key0699")] == [0, 699]
    binding.put("key0001", "moved")
    binding.put("key0698", "not yet moved")
    binding.put("new", "here")
    pages = list(binding.keys())
    assert sum(map(len, pages)) == 701
    assert worker.flip(wait=0).copied == 200
    assert stores.new.bind(NAMESPACE).get_many(["key0001", "key0698", "new"]) == {
        "key0001": "moved",
        "key0698": "not yet moved",
        "new": "here",
    }


def stale(stores: Stores) -> MigratingStorage:
    """A worker that was paused before the flip, and acts on what it knew then."""
    worker = stores.worker()

    async def phase(**_: Any) -> None:
        return None

    worker.known_phase = phase  # type: ignore[method-assign]  # that is the pause
    return worker


def test_paused_worker_neither_overwrites_nor_diverges(stores: Stores) -> None:
    stores.old.bind(NAMESPACE).put("key", 1)
    paused = stale(stores).bind(NAMESPACE)
    version = paused.get_versioned("key").version
    stores.worker().flip(wait=0)
    fresh = stores.worker().bind(NAMESPACE)
    fresh.put("key", 2)
    assert paused.put_if_version("key", 3, version) is None
    assert paused.delete_if_version("key", version) is False
    assert paused.get("key") == 2
    assert fresh.put_if_version("used state", True, None) is not None
    assert paused.put_if_version("used state", True, None) is None
    paused.put("key", 4)
    assert fresh.get("key") == 4
    assert fresh.delete_if_version("key", fresh.get_versioned("key").version)
    with pytest.raises(MissingKeyError):
        paused.get("key")


def test_late_write_of_an_outdated_worker_is_moved(stores: Stores) -> None:
    worker = stores.worker()
    told: list[MigrationReport] = []

    def write(report: MigrationReport) -> None:
        told.append(report)
        if len(told) == 1:
            stores.old.bind(NAMESPACE).put("late", 1)

    stores.old.bind(NAMESPACE).put("key", 1)
    assert worker.flip(wait=0, progress=write).copied == 2
    assert stores.new.bind(NAMESPACE).get("late") == 1


def test_outdated_worker_gets_an_error(stores: Stores) -> None:
    runtime = BlockingRuntime()
    access = StorageAccess(stores.old, runtime)
    drive(access.put(NAMESPACE, "key", 1))
    version = drive(access.get_versioned(NAMESPACE, "key")).version
    stores.worker().flip(wait=0)
    for call in (
        lambda: access.get(NAMESPACE, "key"),
        lambda: access.get_versioned(NAMESPACE, "key"),
        lambda: access.get_many(NAMESPACE, ["key"]),
    ):
        with pytest.raises(MovedError, match=r"were moved to SQLiteStorage\(.*new.db.*MigratingStorage\(old, new\)"):
            drive(call())  # type: ignore[arg-type]  # each is a coroutine
    assert drive(access.put_if_version(NAMESPACE, "key", 2, version)) is None
    again = StorageAccess(stores.old, runtime)
    for write in (
        lambda: again.put(NAMESPACE, "new", 1),
        lambda: again.put_if_version(NAMESPACE, "new", 1, None),
        lambda: again.delete(NAMESPACE, "key"),
        lambda: again.delete_if_version(NAMESPACE, "key", version),
        lambda: again.clear(NAMESPACE),
        lambda: _listed(again),
    ):
        with pytest.raises(MovedError):
            drive(write())  # type: ignore[arg-type]  # each is a coroutine
    assert is_moved(stores.old.bind(NAMESPACE).get("key"))
    assert stores.new.bind(NAMESPACE).get("key") == 1
    with pytest.raises(NewerRecordError):  # what versions say that know nothing of moved values
        check_format(stores.old.bind(NAMESPACE).get("key"), "The credentials")


async def _listed(access: StorageAccess) -> list[str]:
    return [key async for key in access.keys(NAMESPACE)]


def test_migration_note_is_reread_after_seconds(stores: Stores) -> None:
    clock = MovableClock()
    access: Any = StorageAccess(stores.old, FakeRuntime("blocking", clock))  # type: ignore[arg-type]  # enough of one
    drive(access.put(NAMESPACE, "key", 1))
    stores.enter("moved")
    drive(access.put(NAMESPACE, "key", 2))
    clock.advance(5.1)
    with pytest.raises(MovedError):
        drive(access.put(NAMESPACE, "key", 3))


def test_leased_value_is_moved_after_its_release(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    binding = stores.old.bind(NAMESPACE)
    binding.put("key", "before the refresh")
    version = binding.get_versioned("key").version
    lease = binding.try_lease("key", 30)
    assert lease is not None
    refused = threading.Event()
    try_lease = SQLiteBinding.try_lease

    def watched(self: SQLiteBinding, name: str, ttl: float) -> Any:
        found = try_lease(self, name, ttl)
        if name == "key" and found is None:
            refused.set()
        return found

    monkeypatch.setattr(SQLiteBinding, "try_lease", watched)
    thread = threading.Thread(target=lambda: stores.worker().flip(wait=0))
    thread.start()
    assert refused.wait(60)
    assert binding.put_if_version("key", "after it", version) is not None
    lease.release()
    thread.join()
    assert stores.new.bind(NAMESPACE).get("key") == "after it"


def test_failing_new_storage_fails_no_write(stores: Stores, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with away(tmp_path) as broken:
        binding = MigratingStorage(stores.old, broken).bind(NAMESPACE)
        binding.put("key", 1)
        binding.put("key", 2)
        assert binding.get("key") == 2
        assert caplog.text.count("could not be copied") == 1


def test_concurrent_writers_leave_both_storages_equal(stores: Stores) -> None:
    def write(number: int) -> None:
        binding = stores.worker().bind(NAMESPACE)
        for step in range(20):
            binding.put(f"key{step % 3}", [number, step])
            if step % 7 == 0:
                binding.delete(f"key{step % 3}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [f"key{number}" for number in range(3)]
    assert stores.old.bind(NAMESPACE).get_many(names) == stores.new.bind(NAMESPACE).get_many(names)


def test_counter_loses_no_step_during_a_flip(stores: Stores) -> None:
    stores.old.bind(NAMESPACE).put("counter", 0)

    def count() -> None:
        binding = stores.worker().bind(NAMESPACE)
        done = 0
        while done < 40:
            value, version = binding.get_versioned("counter")
            done += binding.put_if_version("counter", value + 1, version) is not None

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    stores.worker().flip(wait=0)
    for thread in threads:
        thread.join()
    assert stores.new.bind(NAMESPACE).get("counter") == 120


@pytest.mark.parametrize("encrypts", [False, True], ids=["plain", "encrypted"])
def test_storage_is_not_moved_to_itself(tmp_path: Path, encrypts: bool) -> None:
    with SQLiteStorage(tmp_path / "one.db") as old, SQLiteStorage(tmp_path / "." / "one.db") as same:
        old.bind(NAMESPACE).put("key", "value")
        new = EncryptedStorage(same, keys=[EncryptedStorage.generate_key()]) if encrypts else same
        storage = MigratingStorage(old, new)
        with pytest.raises(ConfigurationError, match="both are the same storage"):
            storage.flip(wait=0)
        assert storage.phase() is None
        assert old.bind(NAMESPACE).get("key") == "value"
        assert old.namespaces() == [NAMESPACE]


def test_unsupported_storages_are_refused(stores: Stores) -> None:
    with pytest.raises(ConfigurationError, match="has no ttl, no scan, no compare_and_swap, no lease"):
        MigratingStorage(DictAdapter(), stores.new)
    with pytest.raises(ConfigurationError, match="of the same style"):
        MigratingStorage(_Both(MemoryStorage()), stores.new)
    with pytest.raises(ConfigurationError, match="around each of the two"):
        EncryptedStorage(stores.worker(), keys=[EncryptedStorage.generate_key()])


@pytest.mark.parametrize("wait", [-1, float("nan"), float("inf"), True, "6"])
def test_wait_of_a_flip_is_a_number_of_seconds(stores: Stores, wait: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"wait of flip\(\)"):
        stores.worker().flip(wait=wait)
    assert stores.worker().phase() is None


def test_encrypted_storages_are_moved(stores: Stores) -> None:
    key = EncryptedStorage.generate_key()
    old, new = EncryptedStorage(stores.old, keys=[key]), EncryptedStorage(stores.new, keys=[key])
    old.bind(NAMESPACE).put("key", "token")
    MigratingStorage(old, new).flip(wait=0)
    assert new.bind(NAMESPACE).get("key") == "token"
    with pytest.raises(MovedError):
        drive(StorageAccess(old, BlockingRuntime()).get(NAMESPACE, "key"))
