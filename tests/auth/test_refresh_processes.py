"""One refresh among processes, whatever happens to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.auth.conftest import ROOT, Start, outcome
from webex import Integration, ReauthorizationRequiredError
from webex.storage import SQLiteStorage

if TYPE_CHECKING:
    from webex.emulator import Cloud

REFRESH = {"grant_type": "refresh_token"}
SHORT = 4.0  # seconds that the lease of a worker lasts which is stopped in its refresh


def wait_for_refresh_request(cloud: Cloud, count: int = 1) -> None:
    """Until the cloud has seen a refresh arrive, or has begun to process one."""
    give_up = time.monotonic() + 60
    while sum(fault["hits"] for fault in cloud.faults.as_list()) < count:
        assert time.monotonic() < give_up, "no refresh came"
        time.sleep(0.01)


def wait_for_new_tokens(cloud: Cloud) -> None:
    """Until the cloud has issued what a refresh asked for; it may hold its answer back."""
    give_up = time.monotonic() + 60
    while not any(token.family and token.expires > cloud.now() for token in list(cloud.state.tokens.values())):
        assert time.monotonic() < give_up, "no tokens were issued"
        time.sleep(0.01)


@pytest.mark.parametrize("style", ["blocking", "async"])
def test_eight_processes_with_25_calls_each_refresh_once(cloud: Cloud, start: Start, style: str) -> None:
    workers = [start(style, 25) for _ in range(8)]
    assert [outcome(worker) for worker in workers] == [["ok"] * 25] * 8
    assert cloud.requests.count(**REFRESH) == 1


@pytest.mark.parametrize("rotation", ["off", "grace"])
@pytest.mark.parametrize("moment", ["before the cloud acts", "between answer and save"])
def test_a_worker_killed_during_a_refresh_does_not_affect_others(
    cloud: Cloud, start: Start, rotation: str, moment: str
) -> None:
    cloud.set(rotation=rotation)
    acts = moment.startswith("between")
    cloud.faults.add("*", grant_type="refresh_token", count=1, latency=60.0, after_processing=acts)
    victim = start("async", 1, lease=SHORT)
    wait_for_new_tokens(cloud) if acts else wait_for_refresh_request(cloud)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    others = [start(style, 5) for style in ("async", "blocking")]
    assert [outcome(worker) for worker in others] == [["ok"] * 5] * 2


def test_kill_before_save_with_strict_rotation_requires_a_new_login(
    cloud: Cloud, start: Start, database: str, expired: str
) -> None:
    cloud.set(rotation="strict")
    cloud.faults.add("*", grant_type="refresh_token", count=1, latency=60.0, after_processing=True)
    victim = start("async", 1, lease=SHORT)
    wait_for_new_tokens(cloud)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert outcome(start("async", 5)) == ["ReauthorizationRequiredError:outcome_unknown"] * 5
    with (
        Integration(storage=SQLiteStorage(database)) as integration,
        pytest.raises(ReauthorizationRequiredError, match="sign in again") as caught,
    ):
        integration.user(expired).people.me()
    assert caught.value.reason == "outcome_unknown"


def test_kill_before_processing_with_strict_rotation_has_no_effect(cloud: Cloud, start: Start) -> None:
    cloud.set(rotation="strict")
    cloud.faults.add("*", grant_type="refresh_token", count=1, latency=30.0)
    victim = start("async", 1, lease=SHORT)
    wait_for_refresh_request(cloud)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert outcome(start("async", 5)) == ["ok"] * 5


def test_a_lease_holder_that_is_paused_overwrites_nothing(
    cloud: Cloud, start: Start, database: str, expired: str
) -> None:
    cloud.faults.add("*", grant_type="refresh_token", count=1, latency=1.0, after_processing=True)
    paused = start("async", 1, lease=SHORT)
    wait_for_refresh_request(cloud)
    os.kill(paused.pid, signal.SIGSTOP)
    try:
        assert outcome(start("async", 3)) == ["ok"] * 3  # after the lease has run out
        with Integration(storage=SQLiteStorage(database)) as integration:
            newest = integration.user(expired).get_user_token()
    finally:
        os.kill(paused.pid, signal.SIGCONT)
    assert outcome(paused) == ["ok"]
    with Integration(storage=SQLiteStorage(database)) as integration:
        assert integration.user(expired).get_user_token() == newest


@pytest.mark.parametrize("rotation", ["off", "strict"])
@pytest.mark.parametrize("style", ["blocking", "async"])
def test_lease_holder_paused_past_its_deadline_saves_the_response(
    cloud: Cloud, start: Start, style: str, rotation: str
) -> None:
    cloud.set(rotation=rotation)
    cloud.faults.add("*", grant_type="refresh_token", count=1, latency=0.5, after_processing=True)
    paused = start(style, 3, lease=SHORT)
    wait_for_refresh_request(cloud)
    os.kill(paused.pid, signal.SIGSTOP)
    try:
        time.sleep(SHORT + 1.0)  # the answer arrives, the deadline and the lease go by
    finally:
        os.kill(paused.pid, signal.SIGCONT)
    assert outcome(paused) == ["ok"] * 3
    assert outcome(start("blocking", 2)) == ["ok"] * 2
    assert cloud.requests.count(grant_type="refresh_token") == 1


@pytest.mark.parametrize("style", ["blocking", "async"])
def test_process_with_a_full_disk_saves_before_another_refreshes(
    cloud: Cloud, start: Start, database: str, expired: str, style: str, tmp_path: Path
) -> None:
    cloud.set(rotation="strict")  # a second refresh with the old token would end every token
    room = tmp_path / "room"
    arguments = [sys.executable, "-m", "tests.auth.unsaved_worker", database, expired, style, str(room)]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as full:
        try:
            assert full.stdout is not None
            assert full.stdout.readline() == "unsaved\n"
            other = start("async", 3)
            room.touch()
            assert full.stdout.readline() == "saved\n"
            assert full.wait(60) == 0
        finally:
            full.kill()
    assert outcome(other) == ["ok"] * 3
    assert cloud.requests.count(grant_type="refresh_token") == 1
