"""The face that the rest of the SDK uses: both styles, every adapter, and what is emulated for plain ones."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.storage.helpers import AsyncDictAdapter, AsyncMemory, BothStyles, DictAdapter, FakeRuntime, MovableClock
from webex.errors import ConfigurationError, MissingKeyError, StorageError
from webex.runtime import EventLoopRuntime, drive
from webex.runtime.protocol import Runtime
from webex.storage import (
    Capabilities,
    EncryptedStorage,
    MemoryStorage,
    SQLiteStorage,
    StorageAccess,
    as_storage,
    scoped,
)


def runtime(style: str = "blocking", clock: MovableClock | None = None) -> Any:
    return FakeRuntime(style, clock)


KINDS: dict[str, Any] = {
    "memory": lambda path: MemoryStorage(),
    "sqlite": SQLiteStorage,
    "encrypted sqlite": lambda path: EncryptedStorage(SQLiteStorage(path), [EncryptedStorage.generate_key()]),
    "dict": lambda path: DictAdapter(),
    "encrypted dict": lambda path: EncryptedStorage(DictAdapter(), [EncryptedStorage.generate_key()]),
    "async memory": lambda path: AsyncMemory(),
    "async dict": lambda path: AsyncDictAdapter(),
}


def encrypted(inner: Any) -> EncryptedStorage:
    return EncryptedStorage(inner, [EncryptedStorage.generate_key()])


async def story(access: StorageAccess) -> None:
    """Every method once, with the result that it has for every adapter."""
    await access.put("credentials", "a", {"n": 1})
    assert await access.get("credentials", "a") == {"n": 1}
    assert await access.get_or_none("credentials", "b") is None
    with pytest.raises(MissingKeyError) as caught:
        await access.get("credentials", "b")
    assert (caught.value.key, caught.value.namespace) == ("b", "credentials")
    with pytest.raises(MissingKeyError):
        await access.get_versioned("credentials", "b")

    value, version = await access.get_versioned("credentials", "a")
    assert value == {"n": 1}
    newer = await access.put_if_version("credentials", "a", {"n": 2}, version)
    assert newer == (await access.get_versioned("credentials", "a")).version
    assert await access.put_if_version("credentials", "a", {"n": 3}, version) is None
    assert await access.put_if_version("credentials", "a", {"n": 3}, None) is None
    assert await access.put_if_version("credentials", "new", 0, None) is not None
    assert await access.delete_if_version("credentials", "a", version) is False
    assert await access.delete_if_version("credentials", "a", newer) is True
    assert await access.delete_if_version("credentials", "a", newer) is False

    await access.put("logins", "state", {"nonce": "x"}, expires_in=600)
    assert await access.take("logins", "state") == {"nonce": "x"}
    assert await access.take("logins", "state") is None

    lease = await access.try_lease("credentials", "work", 600)
    assert lease is not None
    assert lease.name == "work"
    assert await access.try_lease("credentials", "work", 600) is None
    assert 500 < await access.lease_remaining("credentials", "work") <= 600
    assert await lease.renew(1200) is True
    assert await access.lease_remaining("credentials", "work") > 1100
    await lease.release()
    assert await access.lease_remaining("credentials", "work") == 0.0
    assert await lease.renew(600) is False

    await access.delete("credentials", "never there")
    await access.put("sessions", "s", 1)
    await access.clear("credentials")
    assert await access.get_or_none("credentials", "new") is None
    assert await access.get("sessions", "s") == 1
    if access.capabilities.scan:
        for number in range(3):
            await access.put("keys", f"k/{number}", number)
        assert [key async for key in access.keys("keys", "k/")] == ["k/0", "k/1", "k/2"]
    else:
        with pytest.raises(StorageError, match="can't list its keys"):
            [key async for key in access.keys("keys")]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("async")])
def test_blocking_calls_need_no_event_loop(kind: str, tmp_path: Path) -> None:
    drive(story(StorageAccess(KINDS[kind](tmp_path / "webex.db"), runtime())))


@pytest.mark.parametrize("kind", KINDS)
def test_every_adapter_behaves_the_same_in_event_loop_style(kind: str, tmp_path: Path) -> None:
    asyncio.run(story(StorageAccess(KINDS[kind](tmp_path / "webex.db"), runtime("async"))))


@pytest.mark.parametrize("kind", ["async memory", "async dict"])
def test_a_blocking_client_refuses_an_asynchronous_adapter(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="use AsyncIntegration"):
        StorageAccess(KINDS[kind](tmp_path), runtime())
    with pytest.raises(ConfigurationError):
        StorageAccess(EncryptedStorage(KINDS[kind](tmp_path), [EncryptedStorage.generate_key()]), runtime())


def test_sqlite_reads_on_the_loop_thread_and_writes_in_workers(tmp_path: Path) -> None:
    async def main() -> None:
        work = runtime("async")
        access = StorageAccess(SQLiteStorage(tmp_path / "webex.db"), work)
        await access.put("credentials", "key", 1)
        assert await access.get("credentials", "key") == 1
        await access.get_versioned("credentials", "key")
        await access.lease_remaining("credentials", "key")
        assert [key async for key in access.keys("credentials")] == ["key"]
        assert work.in_threads == ["put"]

    asyncio.run(main())


def test_memory_storage_is_called_on_the_loop_thread() -> None:
    async def main() -> None:
        work = runtime("async")
        await story(StorageAccess(MemoryStorage(), work))
        assert work.in_threads == []

    asyncio.run(main())


def test_an_undeclared_plain_adapter_runs_in_a_worker_thread() -> None:
    seen: list[int] = []

    class Binding:
        def get(self, key: str) -> Any:
            seen.append(threading.get_ident())
            raise KeyError(key)

        put = delete = clear = get

    class Adapter:
        def bind(self, namespace: str) -> Binding:
            return Binding()

    async def main() -> None:
        assert await StorageAccess(Adapter(), runtime("async")).get_or_none("credentials", "key") is None
        assert seen != [threading.get_ident()]

    asyncio.run(main())


@pytest.mark.parametrize("style", ["blocking", "async"])
def test_a_busy_database_is_waited_for_through_the_runtime(style: str, tmp_path: Path) -> None:
    path = tmp_path / "webex.db"
    clock = MovableClock()
    SQLiteStorage(path).bind("credentials").put("key", 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    work = runtime(style, clock)
    access = StorageAccess(SQLiteStorage(path, busy_timeout=0.5), work)

    async def main() -> None:
        with pytest.raises(StorageError, match=r"did not get its turn within 0\.5 s"):
            await access.put("credentials", "key", 2)
        assert 0.4 < sum(work.slept) <= 0.5
        assert len(set(work.slept)) > 5  # jittered
        assert await access.get("credentials", "key") == 1
        other.execute("COMMIT")
        await access.put("credentials", "key", 3)
        assert await access.get("credentials", "key") == 3

    if style == "blocking":
        drive(main())
    else:
        asyncio.run(main())
    other.close()


def test_adapter_exceptions_become_storage_errors_without_text() -> None:
    class Binding:
        def get(self, key: str) -> Any:
            raise OSError("could not store 'very secret token'")

        put = delete = clear = get

    class Adapter:
        def bind(self, namespace: str) -> Binding:
            return Binding()

    access = StorageAccess(Adapter(), runtime())
    with pytest.raises(StorageError, match="failed with OSError") as caught:
        drive(access.get("credentials", "key"))
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(StorageError):
        drive(access.clear("credentials"))


def test_a_plain_method_returning_an_awaitable_is_named() -> None:
    class Binding:
        def get(self, key: str) -> Any:
            async def later() -> int:
                return 1

            return later()

        put = delete = clear = get

    class Adapter:
        capabilities = Capabilities()

        def bind(self, namespace: str) -> Binding:
            return Binding()

    with pytest.raises(StorageError, match="something to await"):
        drive(StorageAccess(Adapter(), runtime()).get("credentials", "key"))
    assert asyncio.run(StorageAccess(Adapter(), runtime("async")).get("credentials", "key")) == 1


@pytest.mark.parametrize("kind", ["dict", "encrypted dict"])
def test_expiry_is_emulated_where_the_adapter_has_none(kind: str, tmp_path: Path) -> None:
    clock = MovableClock()
    access = StorageAccess(KINDS[kind](tmp_path), runtime(clock=clock))
    drive(access.put("logins", "key", {"a": 1}, expires_in=600))
    assert drive(access.get("logins", "key")) == {"a": 1}
    clock.advance(601)
    assert drive(access.get_or_none("logins", "key")) is None
    assert drive(access.put_if_version("logins", "key", 2, None)) is not None


def test_a_value_resembling_an_emulated_expiry_round_trips() -> None:
    access = StorageAccess(DictAdapter(), runtime())
    drive(access.put("logins", "key", 1, expires_in=600))
    looks_alike = access.storage.bind("logins").get("key")
    looks_alike["webex:expires_at"] = 1
    drive(access.put("logins", "other", looks_alike))
    assert drive(access.get("logins", "other")) == looks_alike


def test_a_value_without_expiry_is_stored_as_it_is() -> None:
    adapter = DictAdapter()
    drive(StorageAccess(adapter, runtime()).put("credentials", "key", {"access_token": "x"}))
    assert adapter.bind("credentials").data == {"key": {"access_token": "x"}}


@pytest.mark.parametrize("kind", ["dict", "async dict", "sqlite", "memory"])
def test_one_of_many_concurrent_swaps_or_leases_wins(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        access = StorageAccess(KINDS[kind](tmp_path / "webex.db"), runtime("async"))
        await access.put("credentials", "key", 0)
        version = (await access.get_versioned("credentials", "key")).version
        swaps = [access.put_if_version("credentials", "key", number + 1, version) for number in range(10)]
        assert sum(won is not None for won in await asyncio.gather(*swaps)) == 1
        taken = await asyncio.gather(*(access.take("credentials", "key") for _ in range(10)))
        assert sum(value is not None for value in taken) == 1
        leases = await asyncio.gather(*(access.try_lease("credentials", "work", 60) for _ in range(10)))
        assert sum(lease is not None for lease in leases) == 1

    asyncio.run(main())


def test_two_clients_of_one_plain_adapter_share_its_emulated_leases() -> None:
    adapter = DictAdapter()
    one, two = StorageAccess(adapter, runtime()), StorageAccess(adapter, runtime())
    assert drive(one.try_lease("credentials", "work", 60)) is not None
    assert drive(two.try_lease("credentials", "work", 60)) is None


def test_an_adapter_with_four_plain_calls_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    class Fresh(DictAdapter):
        pass

    with caplog.at_level(logging.WARNING, logger="webex.storage"):
        for _ in range(3):
            StorageAccess(Fresh(), runtime())
        StorageAccess(EncryptedStorage(Fresh(), [EncryptedStorage.generate_key()]), runtime())
        StorageAccess(MemoryStorage(), runtime())
    assert len(caplog.records) == 1
    assert "Fresh has no compare-and-swap and no leases" in caplog.text


def test_a_lease_granted_to_a_cancelled_caller_is_released() -> None:
    granting, may_grant = threading.Event(), threading.Event()
    memory = MemoryStorage()

    class Slow:
        capabilities = Capabilities(ttl=True, scan=True, compare_and_swap=True, lease=True)

        def bind(self, namespace: str) -> Any:
            binding = memory.bind(namespace)
            take = binding.try_lease

            def slowly(name: str, ttl: float) -> Any:
                granting.set()
                assert may_grant.wait(60)
                return take(name, ttl)

            binding.try_lease = slowly  # type: ignore[method-assign]  # that is the point
            return binding

    async def main() -> None:
        real: Runtime = EventLoopRuntime()
        access = StorageAccess(Slow(), real)
        asker = asyncio.create_task(access.try_lease("credentials", "work", 600))
        await asyncio.to_thread(granting.wait, 10)
        asker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asker
        may_grant.set()
        await real.aclose()  # waits for what the runtime owns
        assert memory.bind("credentials").lease_remaining("work") == 0.0

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["memory", "sqlite", "dict"])
@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": b"x"}, float("nan"), 2**70, "\ud800", {"a": {1}}])
def test_a_value_that_is_not_plain_json_is_refused(kind: str, value: Any, tmp_path: Path) -> None:
    access = StorageAccess(KINDS[kind](tmp_path / "webex.db"), runtime())
    with pytest.raises(StorageError):
        drive(access.put("credentials", "key", value))
    assert drive(access.get_or_none("credentials", "key")) is None


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "60", True])
def test_a_duration_is_a_number_of_seconds_above_zero(seconds: Any) -> None:
    access = StorageAccess(MemoryStorage(), runtime())
    with pytest.raises(StorageError):
        drive(access.put("credentials", "key", 1, expires_in=seconds))
    with pytest.raises(StorageError):
        drive(access.try_lease("credentials", "work", seconds))


@pytest.mark.parametrize("bad", [None, 7, "\ud800", b"x"])
def test_a_key_that_is_not_text_is_refused(bad: Any, tmp_path: Path) -> None:
    for kind in ("memory", "sqlite"):
        with pytest.raises(StorageError):
            drive(StorageAccess(KINDS[kind](tmp_path / "webex.db"), runtime()).put("credentials", bad, 1))
    with pytest.raises(StorageError, match="namespace"):
        drive(StorageAccess(MemoryStorage(), runtime()).put("", "key", 1))


@pytest.mark.parametrize("wrap", [lambda inner: inner, lambda inner: scoped(inner, "one"), encrypted])
def test_adapter_with_both_bindings_needs_no_threads(wrap: Callable[[Any], Any]) -> None:
    adapter = BothStyles()
    storage = wrap(adapter)
    blocking = StorageAccess(storage, FakeRuntime("blocking"))
    drive(blocking.put("space", "key", {"n": 1}))
    looped = FakeRuntime("async")

    async def run() -> Any:
        access = StorageAccess(storage, looped)
        found = await access.get_many("space", ["key", "missing"])
        lease = await access.try_lease("space", "work", 5)
        assert lease is not None
        assert drive(blocking.try_lease("space", "work", 5)) is None
        await lease.release()
        return found

    assert asyncio.run(run()) == {"key": {"n": 1}}
    assert looped.in_threads == []
    assert set(adapter.bound) == {"plain", "async"}


def test_asynchronous_adapter_releases_a_cancelled_callers_lease() -> None:
    gate: asyncio.Event

    class Slow(AsyncMemory):
        def bind(self, namespace: str) -> Any:
            binding = super().bind(namespace)
            take = binding.try_lease

            async def slowly(name: str, ttl: float) -> Any:
                lease = await take(name, ttl)
                await gate.wait()  # the server granted it, the answer is on its way
                return lease

            binding.try_lease = slowly  # type: ignore[method-assign]  # a slow network
            return binding

    async def run() -> float:
        nonlocal gate
        gate = asyncio.Event()
        runtime = EventLoopRuntime()
        access = StorageAccess(Slow(), runtime)
        asking = asyncio.create_task(access.try_lease("space", "work", 600))
        while not await access.lease_remaining("space", "work"):
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        gate.set()
        await runtime.aclose()
        return await access.lease_remaining("space", "work")

    assert asyncio.run(run()) == 0.0


def test_adapter_keeps_its_optional_parts_when_it_is_adapted() -> None:
    class Adapter(AsyncMemory):
        busy_timeout = 3.0

        def bind_async(self, namespace: str) -> Any:
            return super().bind(namespace)

        async def aclose(self) -> None: ...

    adapted = as_storage(Adapter())
    assert adapted.busy_timeout == 3.0  # type: ignore[attr-defined]  # optional
    assert callable(adapted.bind_async)  # type: ignore[attr-defined]  # optional
    assert callable(adapted.aclose)  # type: ignore[attr-defined]  # optional


def test_complete_adapter_is_used_unchanged() -> None:
    adapter = BothStyles()
    assert as_storage(adapter) is adapter
    assert as_storage(AsyncMemory()) is not adapter


def test_get_many_works_with_an_adapter_that_reads_one_key_at_a_time() -> None:
    access = StorageAccess(DictAdapter(), FakeRuntime("blocking"))
    drive(access.put("space", "a", 1))
    drive(access.put("space", "b", 2, expires_in=60))
    assert drive(access.get_many("space", ["a", "b", "c"])) == {"a": 1, "b": 2}
