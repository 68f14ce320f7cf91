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

FULL = Capabilities(ttl=True, scan=True, compare_and_swap=True, lease=True, bulk=True)
SHARED = replace(FULL, durable=True, shared=True, relaxed=True)
PLAIN = Capabilities()
KEYS = [EncryptedStorage.generate_key(), EncryptedStorage.generate_key()]


def asked_for(claims: Capabilities, *, event_loop: bool = False) -> Callable[[type[Any]], type[Any]]:
    """Leaves out the tests of what the class's storage does not claim, so that no skip has to be looked at twice."""

    def leave_out(suite: type[Any]) -> type[Any]:
        for one in conformance.BEHAVIOURS:
            if (
                one.cut
                or one.server_clock
                or (one.event_loop and not event_loop)
                or not all(getattr(claims, name) for name in one.needs)
            ):
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


@asked_for(FULL, event_loop=True)
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


@asked_for(FULL, event_loop=True)
class TestScopeOfAsyncAdapter(WithClock):
    def make_storage(self) -> object:
        return scoped(AsyncMemory(self.clock), "client")


@asked_for(FULL, event_loop=True)
class TestAsyncAdapter(WithClock):
    def make_storage(self) -> object:
        return AsyncMemory(self.clock)


@asked_for(FULL, event_loop=True)
class TestAdapterMadeInTheEventLoop(WithClock):
    style = "async"

    async def make_storage(self) -> object:
        return AsyncMemory(self.clock)


@asked_for(PLAIN)
class TestPlainDictAdapter(StorageConformance):
    def make_storage(self) -> object:
        return as_storage(DictAdapter())


@asked_for(PLAIN, event_loop=True)
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


def test_run_lists_no_failure_for_a_conforming_storage() -> None:
    clock = MovableClock()
    with pytest.warns(conformance.ConformanceWarning, match="does not claim durable"):
        report = conformance.run(lambda: MemoryStorage(clock=clock), advance=clock.advance)
    assert report == []
    assert ("survives_a_cut", "cut was not given") in report.skipped
    assert {"lasts", "survives_cancellation", "serves_several_loops"} < {one.name for one in report.skipped}
    with pytest.warns(conformance.ConformanceWarning):
        assert conformance.verify(lambda: MemoryStorage(clock=clock), advance=clock.advance).skipped == report.skipped


def test_suite_waits_without_a_movable_clock() -> None:
    for case in conformance.cases(MemoryStorage, tick=0.01):
        if case.behaviour.name in ("expires", "expires_leases"):
            case()


def test_unclaimed_capabilities_are_skipped() -> None:
    case = next(case for case in conformance.cases(DictAdapter) if "lease" in case.behaviour.needs)
    with pytest.raises(unittest.SkipTest, match="does not claim lease"):
        case()


def test_reopening_behaviours_are_skipped_without_open_again(tmp_path: Path) -> None:
    cases = conformance.cases(lambda: SQLiteStorage(tmp_path / "webex.db"))
    case = next(case for case in cases if "durable" in case.behaviour.needs)
    with pytest.raises(unittest.SkipTest, match="open_again"):
        case()


def test_every_behaviour_has_a_unique_name_and_a_description() -> None:
    names = [one.name for one in conformance.BEHAVIOURS]
    assert len(names) == len(set(names)) > 40
    assert all(len(one.text) > 20 for one in conformance.BEHAVIOURS)


def test_created_storages_are_closed(tmp_path: Path) -> None:
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
