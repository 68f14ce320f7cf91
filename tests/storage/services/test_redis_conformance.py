"""`RedisStorage` passes the suite in both styles, over each kind of client."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from tests.storage.services.conftest import cut, remove
from tests.support.ports import free_port
from tests.support.services import RedisServer
from webex.storage import EncryptedStorage, RedisStorage, conformance, scoped
from webex.storage.conformance import StorageConformance

pytestmark = pytest.mark.services

KEYS = [EncryptedStorage.generate_key()]


class OnRedis(StorageConformance):
    server_clock = True

    @pytest.fixture(autouse=True)
    def _place(self, redis_url: str, prefix: str) -> None:
        self.url, self.prefix = f"{redis_url}?client_name={prefix}", prefix

    def cut(self) -> None:  # type: ignore[override]  # a method in place of the attribute
        cut(self.url, self.prefix)

    def storage(self) -> RedisStorage:
        return RedisStorage(self.url, prefix=self.prefix, durable=True)

    @property
    def open_again(self) -> Callable[[], object]:  # type: ignore[override]  # made for each test
        return functools.partial(RedisStorage, self.url, prefix=self.prefix, durable=True)


class TestBlocking(OnRedis):
    style = "blocking"

    def make_storage(self) -> object:
        return self.storage()


class TestEventLoop(OnRedis):
    style = "async"

    def make_storage(self) -> object:
        return self.storage()


class TestEncrypted(OnRedis):
    style = "async"

    def make_storage(self) -> object:
        return EncryptedStorage(self.storage(), keys=KEYS)

    @property
    def open_again(self) -> Callable[[], object]:  # type: ignore[override]  # made for each test
        return functools.partial(EncryptedStorage, self.storage(), KEYS)


@pytest.mark.parametrize("style", ["blocking", "async"])
def test_scope_of_redis_conforms(redis_url: str, prefix: str, style: Any) -> None:
    def make() -> object:
        remove(redis_url, prefix)
        storage = RedisStorage(redis_url, prefix=prefix)
        storage.bind("namespace").put("other/key", "not of this scope")
        return scoped(storage, "client", "a/b")

    conformance.verify(make, style=style)


@pytest.mark.parametrize("decodes", [False, True])
@pytest.mark.parametrize("kind", ["blocking", "async", "pool", "async pool", "one bucket"])
def test_given_clients_conform(redis_url: str, prefix: str, kind: str, decodes: bool) -> None:
    def make() -> object:
        remove(redis_url, prefix)
        if kind == "blocking":
            return RedisStorage(redis.Redis.from_url(redis_url, decode_responses=decodes), prefix=prefix)
        if kind == "async":
            return RedisStorage(redis.asyncio.Redis.from_url(redis_url, decode_responses=decodes), prefix=prefix)
        if kind == "pool":
            pool: Any = redis.ConnectionPool.from_url(redis_url, decode_responses=decodes)
            return RedisStorage(pool, prefix=prefix)
        if kind == "async pool":
            pool = redis.asyncio.ConnectionPool.from_url(redis_url, decode_responses=decodes)
            return RedisStorage(pool, prefix=prefix)
        return RedisStorage(f"{redis_url}?protocol={3 if decodes else 2}", prefix=prefix, buckets=1)

    conformance.verify(make)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisServer]:
    """A cluster of one server: it refuses keys of two slots in one step as a large one does."""
    with RedisServer("cluster-enabled yes", f"cluster-port {free_port()}") as server:
        with redis.Redis(port=server.port) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
                time.sleep(0.05)
        yield server


@pytest.mark.parametrize("style", ["blocking", "async"])
def test_cluster_conforms(cluster: RedisServer, style: Any) -> None:
    def make() -> object:
        with redis.Redis(port=cluster.port) as client:
            client.flushall()
        if style == "blocking":
            return RedisStorage(redis.RedisCluster(host="127.0.0.1", port=cluster.port))
        return RedisStorage(redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster.port))

    conformance.verify(make, style=style)


@pytest.fixture(scope="module")
def sentinel() -> Iterator[tuple[RedisServer, RedisServer]]:
    """A primary with a replica, and the sentinel that watches them."""
    with RedisServer() as primary, RedisServer(f"replicaof 127.0.0.1 {primary.port}"):
        with redis.Redis(port=primary.port) as client:
            while client.info("replication").get("slave0", {}).get("state") != "online":
                time.sleep(0.05)
        watched = f"sentinel monitor webex 127.0.0.1 {primary.port} 1"
        with RedisServer(watched, "sentinel down-after-milliseconds webex 60000", sentinel=True) as watcher:
            yield primary, watcher


@pytest.mark.parametrize("style", ["blocking", "async"])
def test_sentinel_conforms(sentinel: tuple[RedisServer, RedisServer], style: Any) -> None:
    primary, watcher = sentinel

    def make() -> object:
        with redis.Redis(port=primary.port) as client:
            client.flushall()
        return RedisStorage(f"sentinel://127.0.0.1:{watcher.port}/webex/0", wait_replicas=1, wait_timeout=30)

    conformance.verify(make, style=style, server_clock=True)
