"""One refresh among processes that share a Redis, in both styles at once; and what a failover may lose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.auth.conftest import sign_in
from tests.support.ports import free_port
from tests.support.services import RedisServer
from webex import Integration
from webex.emulator import Cloud
from webex.errors import MissingKeyError, StorageError
from webex.storage import RedisStorage

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[3]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def cloud(cloud: Cloud) -> Cloud:
    cloud.set(rotation="strict")
    return cloud


@pytest.fixture
def start() -> Iterator[Start]:
    """Start worker processes that wait for a line; what still runs at the end is ended."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.storage.services.refresh_worker", *arguments],
            cwd=ROOT,
            env={**os.environ},
            stdin=subprocess.PIPE,
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


def test_six_processes_with_25_calls_each_refresh_once(cloud: Cloud, start: Start, redis_url: str, prefix: str) -> None:
    described = json.dumps(["RedisStorage", [redis_url], {"prefix": prefix}])
    with RedisStorage(redis_url, prefix=prefix) as storage, Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)
    cloud.clock.advance(14 * 86400 + 60)
    cloud.requests.clear()
    workers = [start(described, key, ("blocking", "async")[number % 2], "25") for number in range(6)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    outcomes = [json.loads(worker.communicate(timeout=90)[0]) for worker in workers]
    assert outcomes == [["ok"] * 25] * 6
    assert cloud.requests.count(grant_type="refresh_token") == 1


class Replicated:
    """A primary, a replica of it, and a Sentinel that watches both."""

    def __init__(self) -> None:
        self.primary = RedisServer()
        self.replica = RedisServer(f"replicaof 127.0.0.1 {self.primary.port}")
        self.sentinel = RedisServer(
            f"sentinel monitor webex 127.0.0.1 {self.primary.port} 1",
            "sentinel down-after-milliseconds webex 300",
            "sentinel failover-timeout webex 2000",
            port=free_port(),
            sentinel=True,
        )
        self.url = f"sentinel://127.0.0.1:{self.sentinel.port}/webex/0"

    def start(self) -> None:
        self.primary.start()
        self.replica.start()
        self.until(lambda: self._info(self.replica)["master_link_status"] == "up")
        self.sentinel.start()
        with redis.Redis(port=self.sentinel.port) as client:
            self.until(lambda: len(client.sentinel_slaves("webex")) == 1)

    def fail_over(self) -> None:
        """Kill the primary, and wait until the replica has taken its place."""
        self.primary.stop(kill=True)
        self.until(lambda: self._info(self.replica)["role"] == "master")

    def until(self, holds: Callable[[], object]) -> None:
        give_up = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < give_up, "it did not come to that"
            time.sleep(0.02)

    def _info(self, server: RedisServer) -> dict[str, object]:
        with redis.Redis(port=server.port) as client:
            found: dict[str, object] = client.info("replication")
            return found


@pytest.fixture
def replicated() -> Iterator[Replicated]:
    servers = Replicated()
    try:
        servers.start()
        yield servers
    finally:
        for server in (servers.sentinel, servers.replica, servers.primary):
            server.__exit__()


def test_failover_keeps_replicated_writes_and_refuses_older_tokens(cloud: Cloud, replicated: Replicated) -> None:
    storage = RedisStorage(replicated.url, wait_replicas=1, wait_timeout=5, timeout=2)
    with Integration(storage=storage, credential_max_age=0) as integration:
        key = sign_in(integration, cloud)
        cloud.clock.advance(14 * 86400 + 60)
        integration.user(key).people.me()  # refreshes; the old refresh token is worth nothing now
        before = storage.bind("credentials").get_versioned(f"{integration.config.client_id}/{key}")
        replicated.fail_over()
        names = _patiently(lambda: list(storage.bind("credentials").keys("")))
        assert names == [[f"{integration.config.client_id}/{key}"]]
        after = storage.bind("credentials").get_versioned(f"{integration.config.client_id}/{key}")
        assert after == before
        integration.user(key).people.me()
        cloud.clock.advance(14 * 86400 + 60)
        cloud.requests.clear()
    storage = RedisStorage(replicated.url, timeout=2)  # the replica is alone now, and nothing can confirm a write
    with Integration(storage=storage, credential_max_age=0) as integration:
        integration.user(key).people.me()
        assert cloud.requests.count(grant_type="refresh_token") == 1


def test_version_lost_in_a_failover_is_never_reused(replicated: Replicated) -> None:
    storage = RedisStorage(replicated.url, timeout=2)
    binding = storage.bind("credentials")
    kept = binding.put_if_version("client/person", "first", None)
    assert kept is not None
    replicated.until(lambda: redis.Redis(port=replicated.replica.port).exists(_value_key(storage)))
    with redis.Redis(port=replicated.replica.port) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", free_port())  # cut off: what follows never reaches it
    lost = binding.put_if_version("client/person", "second", kept)
    assert lost is not None
    lease = binding.try_lease("client/person", 60)
    assert lease is not None
    replicated.primary.stop(kill=True)
    with redis.Redis(port=replicated.replica.port) as client:
        client.execute_command("REPLICAOF", "NO", "ONE")
    with RedisStorage(replicated.replica.url) as after:
        successor = after.bind("credentials")
        assert successor.get("client/person") == "first"  # acknowledged, and lost
        assert successor.put_if_version("client/person", "third", lost) is None
        written = successor.put_if_version("client/person", "third", kept)
        assert written not in (None, kept, lost)
        second = successor.try_lease("client/person", 60)
        assert second is not None
        assert second.token != lease.token
    storage.close()


def _value_key(storage: RedisStorage) -> str:
    return storage._layout.key("v", storage._layout.bucket("client/person"), "credentials", "client/person")


def _patiently(call: Callable[[], list[list[str]]]) -> list[list[str]]:
    give_up = time.monotonic() + 30
    while True:
        try:
            return call()
        except (StorageError, MissingKeyError):
            assert time.monotonic() < give_up
            time.sleep(0.05)
