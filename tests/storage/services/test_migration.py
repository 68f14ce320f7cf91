"""An app of several processes moves from Redis to PostgreSQL while requests go on, and one worker is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.auth.conftest import sign_in
from tests.storage.services.migration_worker import storages
from webex import Integration
from webex.emulator import Cloud
from webex.storage import MigratingStorage

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def cloud(cloud: Cloud) -> Cloud:
    cloud.set(rotation="strict")  # a second refresh with one refresh token would end every token
    return cloud


class Worker:
    """A worker process, which makes calls all the time until it is told to stop."""

    def __init__(self, described: str, key: str, style: str, kind: str) -> None:
        arguments = [sys.executable, "-m", "tests.storage.services.migration_worker", described, key, style, kind]
        self.process = subprocess.Popen(
            arguments, cwd=ROOT, env={**os.environ}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.outcomes: list[str] = []
        self.answered = threading.Condition()
        self.stopped = False
        self.thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        while not self.stopped:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline().strip()
            with self.answered:
                self.outcomes.append(line)
                self.answered.notify_all()
            if not line:
                return

    def wait_for(self, count: int) -> None:
        """Return when that many more calls have ended."""
        with self.answered:
            goal = len(self.outcomes) + count
            assert self.answered.wait_for(lambda: len(self.outcomes) >= goal or "" in self.outcomes[-1:], 120)

    def __enter__(self) -> Worker:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped = True
        self.thread.join(120)
        self.process.communicate(timeout=60)


def test_app_migrates_from_redis_to_postgresql_while_running(
    cloud: Cloud, redis_url: str, prefix: str, postgres_url: str, schema: str
) -> None:
    described = json.dumps([redis_url, prefix, postgres_url, schema])
    old, new = storages(described)
    with Integration(storage=old) as integration:
        key, other = sign_in(integration, cloud), sign_in(integration, cloud, "bob")
    cloud.clock.advance(14 * 86400 + 60)  # access tokens have run out: the first call refreshes
    cloud.requests.clear()
    with contextlib.ExitStack() as stack:
        stack.callback(old.close)
        stack.callback(new.close)
        workers = [stack.enter_context(Worker(described, key, style, "both")) for style in ("blocking", "async")]
        left_behind = stack.enter_context(Worker(described, key, "blocking", "old"))
        for worker in (*workers, left_behind):
            worker.wait_for(5)
        migrating = MigratingStorage(old, new)
        assert (report := migrating.copy(dry_run=True)).keys >= report.copied >= 1  # what was written before both
        migrating.copy()
        assert (migrating.copy()).copied == 0
        cloud.clock.advance(14 * 86400 + 60)  # the next refresh falls into the flip
        migrating.flip()
        assert migrating.phase() == "moved"
        for worker in (*workers, left_behind):
            worker.wait_for(5)
        cloud.clock.advance(14 * 86400 + 60)  # and one comes after it
        for worker in workers:
            worker.wait_for(5)
    assert set(workers[0].outcomes) == set(workers[1].outcomes) == {"ok"}
    assert left_behind.outcomes[0] == "ok"
    assert left_behind.outcomes[-1].startswith("MovedError: the values of RedisStorage(")
    assert "MigratingStorage(old, new)" in left_behind.outcomes[-1]
    assert {each.partition(":")[0] for each in left_behind.outcomes} == {"ok", "MovedError"}
    assert cloud.requests.count(grant_type="refresh_token") == 3
    check_new_alone(cloud, described, key, other)


def check_new_alone(cloud: Cloud, described: str, *keys: str) -> None:
    """Every user is signed in with the new storage alone."""
    _, new = storages(described)
    with new, Integration(storage=new, credential_max_age=0) as integration:
        emails: list[Any] = [integration.user(key).people.me().emails[0] for key in keys]
    assert emails == ["alice@example.com", "bob@example.com"]
