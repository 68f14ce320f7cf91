"""The suite finds adapters that break only under a crowd, a cancellation, a fork, a second loop or a cut."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.storage.helpers import AsyncMemory
from tests.support.forks import needs_fork
from webex.errors import StorageError
from webex.storage import MemoryStorage, SQLiteStorage, conformance


def case_of(behaviour: str, make: Any, **options: Any) -> conformance.Case:
    (case,) = [case for case in conformance.cases(make, **options) if case.behaviour.name == behaviour]
    return case


def broken(behaviour: str, make: Any, **options: Any) -> str:
    """What the suite says of a storage that breaks this behaviour."""
    with pytest.raises((AssertionError, KeyError, RuntimeError, StorageError)) as caught:
        case_of(behaviour, make, **options)()
    return str(caught.value)


class Changed:
    """A memory storage one of whose methods a test replaces."""

    capabilities = MemoryStorage.capabilities

    def __init__(self, **methods: Any) -> None:
        self._memory = MemoryStorage()
        self._methods = methods

    def bind(self, namespace: str) -> Any:
        inner = self._memory.bind(namespace)
        changed: Any = type("Binding", (), {})()
        for name in ("get", "put", "delete", "clear", "keys", "get_many", "get_versioned", "put_if_version",
                     "delete_if_version", "try_lease", "lease_remaining"):  # fmt: skip
            setattr(changed, name, getattr(inner, name))
        for name, method in self._methods.items():

            def call(*args: Any, method: Any = method, **options: Any) -> Any:
                return method(inner, *args, **options)

            setattr(changed, name, call)
        return changed


def test_names_beyond_the_first_plane_are_tried() -> None:
    def put(inner: Any, key: str, value: Any, expires_in: float | None = None) -> None:
        inner.put("".join(letter if letter < "\U00010000" else "?" for letter in key), value)

    assert "finds nothing" in broken("keeps_names_of_every_plane", lambda: Changed(put=put))


def test_prefixes_that_are_compared_by_utf_16_are_found() -> None:
    def keys(inner: Any, prefix: str = "", page_size: int = 1000) -> Any:
        found = [key for page in inner.keys("") for key in page]
        start = prefix.encode("utf-16-be")[:10]
        yield [key for key in found if key.encode("utf-16-be").startswith(start)]

    assert "keys(" in broken("keeps_names_of_every_plane", lambda: Changed(keys=keys))


def test_listing_that_ends_early_is_found() -> None:
    def keys(inner: Any, prefix: str = "", page_size: int = 1000) -> Any:
        yield next(iter(inner.keys(prefix, page_size=1000)), [])

    assert "1000 keys of 2000" in broken("lists_and_clears_many", lambda: Changed(keys=keys))


def test_swap_that_cuts_large_values_is_found() -> None:
    def put_if_version(inner: Any, key: str, value: Any, version: Any, expires_in: float | None = None) -> Any:
        return inner.put_if_version(key, str(value)[:65536], version)

    assert "where" in broken("swaps_large_values", lambda: Changed(put_if_version=put_if_version))


def test_pool_that_refuses_concurrent_calls_is_found() -> None:
    free = threading.Semaphore(8)

    def put(inner: Any, key: str, value: Any, expires_in: float | None = None) -> None:
        if not free.acquire(blocking=False):
            raise StorageError("no connection is free")
        threading.Event().wait(0.02)
        inner.put(key, value)
        free.release()

    assert "no connection is free" in broken("serves_a_crowd", lambda: Changed(put=put))


class SharedAnswers(AsyncMemory):
    """Answers arrive in the order of the questions; a cancelled caller does not take its own."""

    def bind(self, namespace: str) -> Any:
        binding = super().bind(namespace)
        waiting: list[Any] = []
        inner_get = binding.get

        async def get(key: str) -> Any:
            waiting.append(await inner_get(key))
            await asyncio.sleep(0)
            return waiting.pop(0)

        binding.get = get  # type: ignore[method-assign]  # that is the point
        return binding


def test_answer_of_a_cancelled_call_is_not_given_to_the_next() -> None:
    assert broken("survives_cancellation", SharedAnswers)
    case_of("survives_cancellation", AsyncMemory)()


def test_lease_leaked_by_a_cancelled_caller_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from webex.storage.access import StorageAccess

    async def careless(self: Any, namespace: str, name: str, ttl: float) -> Any:
        return await self._call("try_lease", namespace, name, ttl)

    class Slow(AsyncMemory):
        def bind(self, namespace: str) -> Any:
            binding = super().bind(namespace)
            ask = binding.try_lease

            async def try_lease(name: str, ttl: float) -> Any:
                lease = await ask(name, ttl)
                await asyncio.sleep(0.001)
                return lease

            binding.try_lease = try_lease  # type: ignore[method-assign]  # that is the point
            return binding

    case_of("gives_back_leases_of_cancelled_callers", Slow)()
    monkeypatch.setattr(StorageAccess, "_unless_cancelled", careless)
    assert "stays held" in broken("gives_back_leases_of_cancelled_callers", Slow)


class OneLoop(AsyncMemory):
    """Claims to serve several loops and keeps a lock of the first."""

    capabilities = replace(AsyncMemory.capabilities, loops=True)

    def __init__(self) -> None:
        super().__init__()
        self._loop: asyncio.AbstractEventLoop | None = None

    def bind(self, namespace: str) -> Any:
        running = asyncio.get_running_loop()
        self._loop = self._loop or running
        if self._loop is not running:
            raise RuntimeError("attached to a different loop")
        return super().bind(namespace)


class AnyLoop(AsyncMemory):
    capabilities = replace(AsyncMemory.capabilities, loops=True)


def test_adapter_of_one_loop_is_found() -> None:
    case_of("serves_several_loops", AnyLoop)()
    assert "RuntimeError" in broken("serves_several_loops", OneLoop, style="async")


@needs_fork
def test_adapter_that_the_child_cannot_use_is_found(tmp_path: Path) -> None:
    class OfOneProcess(SQLiteStorage):
        def __init__(self) -> None:
            super().__init__(tmp_path / "webex.db")
            self._pid = os.getpid()

        def bind(self, namespace: str) -> Any:
            if os.getpid() != self._pid:
                raise StorageError("of another process")
            return super().bind(namespace)

    case_of("survives_forks", lambda: SQLiteStorage(tmp_path / "other.db"))()
    assert "forked child" in broken("survives_forks", OfOneProcess)


@pytest.mark.parametrize("behaviour", ["survives_a_cut", "survives_a_cut_in_mid_call"])
@pytest.mark.parametrize("recovers", [True, False])
def test_cut_with_a_wrong_or_lasting_error_is_found(behaviour: str, recovers: bool) -> None:
    cut = threading.Event()

    def get(inner: Any, key: str) -> Any:
        if cut.is_set():
            if recovers:
                cut.clear()
            raise ConnectionError if recovers else StorageError("cut")
        return inner.get(key)

    assert broken(behaviour, lambda: Changed(get=get), cut=cut.set)


@pytest.mark.parametrize("behaviour", ["survives_a_cut", "survives_a_cut_in_mid_call"])
def test_cut_that_fails_one_call_is_fine(behaviour: str) -> None:
    cut = threading.Event()

    def get(inner: Any, key: str) -> Any:
        if cut.is_set():
            cut.clear()
            raise StorageError("cut")
        return inner.get(key)

    case_of(behaviour, lambda: Changed(get=get), cut=cut.set)()
