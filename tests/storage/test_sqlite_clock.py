"""Leases in an SQLite file follow the start of the machine, whatever its wall clock says."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.storage.helpers import MovableClock
from webex.storage import SQLiteStorage
from webex.storage.boot_clock import boot_id, boot_time


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "webex.db"


class WallClock:
    """A clock that is set, as an administrator or a time service does; leases must not follow it."""

    def __init__(self) -> None:
        self.step = 0.0

    def time(self) -> float:
        return time.time() + self.step


@pytest.mark.parametrize("step", [3600.0, -3600.0, 86_400.0 * 400, -86_400.0 * 400])
def test_clock_step_neither_ends_nor_extends_a_lease(path: Path, step: float) -> None:
    clock = WallClock()
    binding = SQLiteStorage(path, clock=clock).bind("credentials")
    other = SQLiteStorage(path).bind("credentials")  # of a process that sees another time
    lease = binding.try_lease("work", 30)
    assert lease is not None
    clock.step = step
    for of in (binding, other):
        assert 0 < of.lease_remaining("work") <= 30
        assert of.try_lease("work", 30) is None
    assert lease.renew(0.05)
    while binding.lease_remaining("work") > 0:
        time.sleep(0.01)
    assert other.try_lease("work", 30)
    assert not lease.renew(30)


def test_wall_clock_step_does_not_affect_leases(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binding = SQLiteStorage(path).bind("credentials")
    assert binding.try_lease("work", 30)
    real = time.time
    for step in (3600.0, -3600.0):
        monkeypatch.setattr(time, "time", lambda step=step: real() + step)
        assert 0 < binding.lease_remaining("work") <= 30
        assert binding.try_lease("work", 30) is None


@pytest.mark.parametrize("uptime", [5.0, 1010.0, 500_000.0], ids=["shorter", "about as long", "longer"])
def test_lease_of_an_earlier_boot_is_free(path: Path, uptime: float, monkeypatch: pytest.MonkeyPatch) -> None:
    before = SQLiteStorage(path)
    monkeypatch.setattr(before, "lease_clock", lambda: 1000.0)
    lease = before.bind("credentials").try_lease("work", 30)
    assert lease is not None
    after = SQLiteStorage(path)
    monkeypatch.setattr(after, "boot", "another boot")
    monkeypatch.setattr(after, "lease_clock", lambda: uptime)
    binding = after.bind("credentials")
    assert binding.lease_remaining("work") == 0.0
    assert binding.try_lease("work", 30)
    assert not lease.renew(30)


def test_lease_of_an_earlier_boot_is_free_without_a_boot_id(path: Path) -> None:
    clock = MovableClock()
    binding = SQLiteStorage(path, clock=clock).bind("credentials")
    assert binding.try_lease("work", 30)
    clock.advance(-3600)
    assert binding.lease_remaining("work") == 0.0
    assert binding.try_lease("work", 30)


def test_file_of_0_1_0_gets_leases_bound_to_the_boot(path: Path) -> None:
    with SQLiteStorage(path) as storage:
        storage.bind("credentials").put("key", "value")
    old = sqlite3.connect(path)
    old.executescript(
        "DROP TABLE webex_leases; CREATE TABLE webex_leases (namespace TEXT NOT NULL, name TEXT NOT NULL, "
        "token TEXT NOT NULL, ttl REAL NOT NULL, expires_at REAL NOT NULL, PRIMARY KEY (namespace, name)) "
        "WITHOUT ROWID; INSERT INTO webex_leases VALUES ('credentials', 'work', '1', 30, 4000000000)"
    )
    old.close()
    binding = SQLiteStorage(path).bind("credentials")
    assert binding.get("key") == "value"
    assert binding.lease_remaining("work") == 0.0
    lease = binding.try_lease("work", 30)
    assert lease is not None
    assert SQLiteStorage(path).bind("credentials").try_lease("work", 30) is None
    assert lease.renew(30)


def test_boot_clock_is_the_same_in_every_process() -> None:
    code = "from webex.storage.boot_clock import *; print(boot_time(), boot_id())"
    before = boot_time()
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    moment, name = ran.stdout.split()
    assert before <= float(moment) <= boot_time()
    assert name == boot_id()
