"""Every adapter of the package, and foreign ones of each accepted shape, pass the suite."""

from __future__ import annotations

import functools
import unittest
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.storage.helpers import AsyncDictAdapter, AsyncMemory, DictAdapter, DirectAdapter, MovableClock
from webex.storage import Capabilities, EncryptedStorage, MemoryStorage, SQLiteStorage, as_storage, conformance, scoped
from webex.storage.conformance import StorageConformance

FULL = Capabilities(ttl=True, scan=True, compare_and_swap=True, lease=True)
SHARED = replace(FULL, durable=True, shared=True)
PLAIN = Capabilities()
KEYS = [EncryptedStorage.generate_key(), EncryptedStorage.generate_key()]


def asked_for(claims: Capabilities) -> Callable[[type[Any]], type[Any]]:
    """Leaves out the tests of what the class's storage does not claim, so that no skip has to be looked at twice."""

    def leave_out(suite: type[Any]) -> type[Any]:
        for one in conformance.BEHAVIOURS:
            if not all(getattr(claims, name) for name in one.needs):
                setattr(suite, f"test_{one.name}", None)
        return suite

    return leave_out


class WithClock(StorageConformance):
    @pytest.fixture(autouse=True)
    def _clock(self, tmp_path: Path) -> Iterator[None]:
        self.clock = MovableClock()
        self.path = tmp_path / "webex.db"
        return

    def advance(self, seconds: float) -> None:  # type: ignore[override]  # a method in place of the attribute
        self.clock.advance(seconds)

    def sqlite(self) -> SQLiteStorage:
        return SQLiteStorage(self.path, clock=self.clock)


@asked_for(FULL)
class TestMemoryStorage(WithClock):
    def make_storage(self) -> object:
        return MemoryStorage(clock=self.clock)


@asked_for(SHARED)
class TestSQLiteStorage(WithClock):
    def make_storage(self) -> object:
        return self.sqlite()

    @property
    def open_again(self) -> Callable[[], object]:  # type: ignore[override]  # made for each test
        return functools.partial(SQLiteStorage, self.path)


@asked_for(FULL)
class TestEncryptedMemory(WithClock):
    def make_storage(self) -> object:
        return EncryptedStorage(MemoryStorage(clock=self.clock), keys=KEYS)


@asked_for(SHARED)
class TestEncryptedSQLite(WithClock):
    def make_storage(self) -> object:
        return EncryptedStorage(self.sqlite(), keys=KEYS)

    @property
    def open_again(self) -> Callable[[], object]:  # type: ignore[override]  # made for each test
        return functools.partial(EncryptedStorage, SQLiteStorage(self.path), KEYS)


@asked_for(FULL)
class TestEncryptedAsyncAdapter(WithClock):
    def make_storage(self) -> object:
        return EncryptedStorage(AsyncMemory(self.clock), keys=KEYS)


@asked_for(FULL)
class TestScopeOfSQLite(WithClock):
    def make_storage(self) -> object:
        storage = self.sqlite()
        for namespace in ("namespace", "namespace2", "other"):
            storage.bind(namespace).put("other/key", "not of this scope")
            storage.bind(namespace).try_lease("other/work", 600)
        return scoped(storage, "client", "a/b")


@asked_for(FULL)
class TestScopeOfAsyncAdapter(WithClock):
    def make_storage(self) -> object:
        return scoped(AsyncMemory(self.clock), "client")


@asked_for(FULL)
class TestAsyncAdapter(WithClock):
    def make_storage(self) -> object:
        return AsyncMemory(self.clock)


@asked_for(FULL)
class TestAdapterMadeInTheEventLoop(WithClock):
    style = "async"

    async def make_storage(self) -> object:
        return AsyncMemory(self.clock)


@asked_for(PLAIN)
class TestPlainDictAdapter(StorageConformance):
    def make_storage(self) -> object:
        return as_storage(DictAdapter())


@asked_for(PLAIN)
class TestPlainAsyncDictAdapterAsInNode(StorageConformance):
    def make_storage(self) -> object:
        return AsyncDictAdapter()


@asked_for(PLAIN)
class TestDirectAdapter(StorageConformance):
    def make_storage(self) -> object:
        return DirectAdapter()


@asked_for(PLAIN)
class TestEncryptedDictAdapter(StorageConformance):
    def make_storage(self) -> object:
        return EncryptedStorage(DictAdapter(), keys=KEYS)


def test_run_lists_nothing_for_a_storage_that_conforms() -> None:
    clock = MovableClock()
    assert conformance.run(lambda: MemoryStorage(clock=clock), advance=clock.advance) == []
    conformance.verify(lambda: MemoryStorage(clock=clock), advance=clock.advance)


def test_without_a_clock_to_move_the_suite_waits() -> None:
    for case in conformance.cases(MemoryStorage, tick=0.01):
        if case.behaviour.name in ("expires", "expires_leases"):
            case()


def test_what_an_adapter_does_not_claim_is_skipped_and_not_run() -> None:
    case = next(case for case in conformance.cases(DictAdapter) if "lease" in case.behaviour.needs)
    with pytest.raises(unittest.SkipTest, match="does not claim lease"):
        case()


def test_what_needs_a_second_look_is_skipped_without_open_again(tmp_path: Path) -> None:
    cases = conformance.cases(lambda: SQLiteStorage(tmp_path / "webex.db"))
    case = next(case for case in cases if "durable" in case.behaviour.needs)
    with pytest.raises(unittest.SkipTest, match="open_again"):
        case()


def test_every_behaviour_has_a_name_of_its_own_and_says_what_it_asks_for() -> None:
    names = [one.name for one in conformance.BEHAVIOURS]
    assert len(names) == len(set(names)) > 40
    assert all(len(one.text) > 20 for one in conformance.BEHAVIOURS)


def test_made_storages_are_closed(tmp_path: Path) -> None:
    closed: list[str] = []

    class Closing(MemoryStorage):
        def close(self) -> None:
            closed.append("closed")

    next(iter(conformance.cases(Closing, style="blocking")))()
    assert closed == ["closed"]


def make_any() -> Any:
    return MemoryStorage()


@pytest.mark.parametrize("case", conformance.cases(make_any)[:3], ids=str)
def test_cases_can_be_parametrized(case: conformance.Case) -> None:
    case()
