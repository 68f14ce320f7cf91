"""Whatever is done to a SQLite storage, it behaves as a dictionary with versions does."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.storage.helpers import MovableClock
from webex.errors import MissingKeyError
from webex.storage import SQLiteStorage

keys = st.sampled_from(["", "a", "a/b", "a%", "a_", "A", "é", "\U0001f512", "nul\0", "nul"])
namespaces = st.sampled_from(["credentials", "logins", "a", "a/b"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
durations = st.none() | st.integers(1, 5)


class SQLiteAgainstDict(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.clock = MovableClock()
        self.storage = SQLiteStorage(self.directory / "webex.db", clock=self.clock)
        self.model: dict[tuple[str, str], tuple[Any, float]] = {}
        self.versions: dict[tuple[str, str], str] = {}
        self.old_versions: set[str] = set()

    def teardown(self) -> None:
        self.storage.close()
        shutil.rmtree(self.directory)

    def alive(self) -> dict[tuple[str, str], Any]:
        return {place: value for place, (value, ends) in self.model.items() if ends > self.clock.now}

    def note(self, place: tuple[str, str], value: Any, expires_in: float | None) -> None:
        self.model[place] = (value, float("inf") if expires_in is None else self.clock.now + expires_in)
        version = self.storage.bind(place[0]).get_versioned(place[1]).version
        assert version not in self.old_versions
        self.old_versions.add(version)
        self.versions[place] = version

    @rule(namespace=namespaces, key=keys, value=values, expires_in=durations)
    def put(self, namespace: str, key: str, value: Any, expires_in: float | None) -> None:
        self.storage.bind(namespace).put(key, value, expires_in=expires_in)
        self.note((namespace, key), value, expires_in)

    @rule(namespace=namespaces, key=keys, value=values, expires_in=durations, right=st.booleans())
    def swap(self, namespace: str, key: str, value: Any, expires_in: float | None, right: bool) -> None:
        place = namespace, key
        present = self.versions[place] if place in self.alive() else None
        wanted = present if right else ("another" if present is None else None)
        written = self.storage.bind(namespace).put_if_version(key, value, wanted, expires_in=expires_in)
        assert (written is not None) == right
        if right:
            self.note(place, value, expires_in)

    @rule(namespace=namespaces, key=keys)
    def delete(self, namespace: str, key: str) -> None:
        self.storage.bind(namespace).delete(key)
        self.model.pop((namespace, key), None)

    @rule(namespace=namespaces, key=keys)
    def take(self, namespace: str, key: str) -> None:
        place = namespace, key
        won = self.storage.bind(namespace).delete_if_version(key, self.versions.get(place, "none"))
        assert won == (place in self.alive())
        self.model.pop(place, None)

    @rule(namespace=namespaces)
    def clear(self, namespace: str) -> None:
        self.storage.bind(namespace).clear()
        self.model = {place: kept for place, kept in self.model.items() if place[0] != namespace}

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def restart(self) -> None:
        self.storage.close()
        self.storage = SQLiteStorage(self.directory / "webex.db", clock=self.clock)

    @rule(namespace=namespaces, prefix=keys, page_size=st.integers(1, 4))
    def list_keys(self, namespace: str, prefix: str, page_size: int) -> None:
        found = [key for page in self.storage.bind(namespace).keys(prefix, page_size=page_size) for key in page]
        assert found == sorted(key for space, key in self.alive() if space == namespace and key.startswith(prefix))

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        alive = self.alive()
        for (namespace, key), (value, _) in self.model.items():
            binding = self.storage.bind(namespace)
            if (namespace, key) in alive:
                assert binding.get(key) == value
            else:
                with pytest.raises(MissingKeyError):
                    binding.get(key)


SQLiteAgainstDict.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestSQLiteAgainstDict = SQLiteAgainstDict.TestCase
