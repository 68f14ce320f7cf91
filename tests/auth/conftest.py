"""A cloud, a database with one signed-in user, and workers that act for this user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from webex import Integration
from webex.emulator import Cloud
from webex.storage import SQLiteStorage

ROOT = Path(__file__).resolve().parents[2]

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "webex.db")


def sign_in(integration: Integration, cloud: Cloud, who: str = "alice") -> str:
    """Sign somebody in; the key."""
    login = integration.begin_login()
    return integration.finish_login(cloud.sign_in(login.url, as_=who), browser=login.browser).user.key


@pytest.fixture
def expired(cloud: Cloud, database: str) -> str:
    """The key of a user whose access token has run out."""
    with Integration(storage=SQLiteStorage(database)) as integration:
        key = sign_in(integration, cloud)
    cloud.clock.advance(14 * 86400 + 60)
    cloud.requests.clear()
    return key


@pytest.fixture
def start(database: str, expired: str) -> Iterator[Start]:
    """Start a worker process; whatever still runs at the end is ended.

    Only of a worker that is stopped in its refresh does the lease have to run out, so only that one's is short.
    """
    started: list[subprocess.Popen[str]] = []

    def begin(style: str = "async", calls: int = 1, lease: float = 60.0) -> subprocess.Popen[str]:
        arguments = [database, expired, style, str(calls), str(lease)]
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "tests.auth.worker", *arguments],
            cwd=ROOT,
            env={**os.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def outcome(process: subprocess.Popen[str]) -> Any:
    """What a worker said of its calls."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out)
