"""What is particular to `RedisStorage`: clients of the app, the index, restarts, replicas, one trip for many keys."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from tests.support.services import RedisServer
from webex.errors import ConfigurationError, StorageError
from webex.runtime import EventLoopRuntime
from webex.storage import MissingKeyError, RedisStorage, StorageAccess

pytestmark = pytest.mark.services


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of this test's own."""
    with RedisServer() as started:
        yield started


@pytest.fixture
def durable_server() -> Iterator[RedisServer]:
    """A server that has each write on disk before it answers."""
    with RedisServer("appendonly yes", "appendfsync always") as started:
        yield started


def names_of(url: str, prefix: str) -> list[str]:
    with redis.Redis.from_url(url) as client:
        return sorted(name.decode() for name in client.scan_iter(match=f"{prefix}:*", count=1000))


def test_given_clients_stay_open(redis_url: str, prefix: str) -> None:
    async def main() -> None:
        async with redis.asyncio.Redis.from_url(redis_url) as asynchronous:
            with redis.Redis.from_url(redis_url) as blocking:
                before = blocking.client_id(), await asynchronous.client_id()
                async with RedisStorage(blocking, asynchronous, prefix=prefix) as storage:
                    await storage.bind_async("n").put("key", 1)
                    assert storage.bind("n").get("key") == 1
                assert (blocking.client_id(), await asynchronous.client_id()) == before
                assert await storage.bind_async("n").get("key") == 1

    asyncio.run(main())


def test_asynchronous_client_is_refused_in_blocking_style(redis_url: str, prefix: str) -> None:
    storage = RedisStorage(redis.asyncio.Redis.from_url(redis_url), prefix=prefix)
    assert storage.asynchronous
    with pytest.raises(ConfigurationError, match="the first is blocking"):
        RedisStorage(redis.asyncio.Redis.from_url(redis_url), redis.asyncio.Redis.from_url(redis_url))


def test_closed_storage_reopens(redis_url: str, prefix: str) -> None:
    with RedisStorage(redis_url, prefix=prefix) as storage:
        storage.bind("n").put("key", 1)
    assert storage.bind("n").get("key") == 1
    storage.close()
    storage.close()

    async def main() -> None:
        await storage.bind_async("n").put("key", 2)
        await storage.aclose()
        assert await storage.bind_async("n").get("key") == 2
        await storage.aclose()

    for _ in range(2):
        asyncio.run(main())


def test_another_number_of_buckets_is_refused(redis_url: str, prefix: str) -> None:
    RedisStorage(redis_url, prefix=prefix).bind("n").put("key", 1)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="'1 256'"):
            RedisStorage(redis_url, prefix=prefix, buckets=16).bind("n").get("key")
    RedisStorage(redis_url, prefix=f"{prefix}:other", buckets=16).bind("n").put("key", 1)


def test_clock_of_this_process_does_not_affect_expiry(
    redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = RedisStorage(redis_url, prefix=prefix)
    ahead = RedisStorage(redis_url, prefix=prefix)
    storage.bind("n").put("key", 1, expires_in=60)
    lease = storage.bind("n").try_lease("work", 60)
    assert lease is not None
    real = time.time
    for shift in (3600, -3600):
        monkeypatch.setattr(time, "time", lambda shift=shift: real() + shift)
        assert ahead.bind("n").get("key") == 1
        assert ahead.bind("n").try_lease("work", 60) is None
        assert 0 < ahead.bind("n").lease_remaining("work") <= 60
        ahead.bind("n").put("short", 1, expires_in=0.001)
        time.sleep(0.01)
        with pytest.raises(MissingKeyError):
            ahead.bind("n").get("short")


def test_namespaces_lists_non_empty_namespaces(redis_url: str, prefix: str) -> None:
    storage = RedisStorage(redis_url, prefix=prefix)
    for name in ("plain", "app/a:b", "100%", "日本"):
        storage.bind(name).put("key", 1)
    storage.bind("gone").put("key", 1)
    storage.bind("gone").delete("key")
    storage.bind("only leases").try_lease("work", 60)
    wanted = sorted(("plain", "app/a:b", "100%", "日本"))
    assert storage.namespaces() == wanted

    async def main() -> None:
        assert await StorageAccess(storage, EventLoopRuntime()).namespaces() == wanted
        await storage.aclose()

    asyncio.run(main())
    for name in wanted:
        storage.bind(name).clear()
    assert storage.namespaces() == []


def test_expired_values_are_removed_from_the_index(redis_url: str, prefix: str) -> None:
    storage = RedisStorage(redis_url, prefix=prefix, buckets=1)
    for number in range(150):
        storage.bind("logins").put(f"client/{number}", number, expires_in=0.001)
    time.sleep(1.2)  # the index lags by a second
    for number in range(2):
        storage.bind("logins").put(f"client/new{number}", number, expires_in=60)
    with redis.Redis.from_url(redis_url) as client:
        assert client.zcard(f"{prefix}:{{b0}}:i:logins") == 2
        assert client.zcard(f"{prefix}:{{b0}}:x:logins") == 2


def test_clearing_removes_every_key(redis_url: str, prefix: str) -> None:
    storage = RedisStorage(redis_url, prefix=prefix)
    for number in range(700):
        storage.bind("n").put(f"client/person/{number}", number, expires_in=None if number % 2 else 60)
    storage.bind("n").clear()
    assert names_of(redis_url, prefix) == [f"{prefix}:layout"]


def test_repair_rebuilds_the_index(redis_url: str, prefix: str) -> None:
    storage = RedisStorage(redis_url, prefix=prefix)
    binding = storage.bind("app/n:1")
    for number in range(20):
        binding.put(f"client/{number}", number, expires_in=60 if number % 2 else None)
    with redis.Redis.from_url(redis_url) as client:
        evicted = [name for name in names_of(redis_url, prefix) if ":v:" in name][:3]
        client.delete(*evicted)
        lost = [name for name in names_of(redis_url, prefix) if ":i:" in name and f"{evicted[0][:-2]}" not in name]
        client.delete(*lost[:5])
    values = [name.rpartition(":")[2] for name in names_of(redis_url, prefix) if ":v:" in name]

    def listed() -> list[str]:
        return sorted(key for page in binding.keys() for key in page)  # noqa: SIM118

    assert listed() != sorted(values)
    assert storage.repair() > 0
    assert listed() == sorted(values)
    assert storage.repair() == 0

    async def main() -> int:
        changed = await storage.arepair()
        await storage.aclose()
        return changed

    assert asyncio.run(main()) == 0


@pytest.mark.parametrize("forgets", ["nothing", "scripts"])
def test_restart_is_a_typed_error_and_then_works(durable_server: RedisServer, forgets: str) -> None:
    async def main() -> None:
        storage = RedisStorage(durable_server.url, durable=True, timeout=2)
        binding, blocking = storage.bind_async("n"), storage.bind("n")
        await asyncio.gather(*(binding.put(f"key{number}", number) for number in range(20)))
        if forgets == "scripts":
            with redis.Redis(port=durable_server.port) as client:
                client.script_flush()
        else:
            durable_server.stop(kill=True)
            with pytest.raises(StorageError, match="can't be reached"):
                await binding.put("key", 1)
            with pytest.raises(StorageError, match="can't be reached"):
                blocking.put("key", 1)
            durable_server.start()
        found = await asyncio.gather(*(binding.get(f"key{number}") for number in range(20)))
        assert found == list(range(20))
        await binding.put("key", 2)
        assert blocking.get("key") == 2
        assert [page async for page in binding.keys("key1")]
        await storage.aclose()

    asyncio.run(main())


def test_restart_under_load_loses_no_acknowledged_write(durable_server: RedisServer) -> None:
    storage = RedisStorage(durable_server.url, durable=True, timeout=5)
    storage.bind("n").put("counter", 0)
    over = threading.Event()
    acknowledged, uncertain, other = [0] * 4, [0] * 4, []

    def count(number: int) -> None:
        binding = storage.bind("n")
        while not over.is_set():
            try:
                value, version = binding.get_versioned("counter")
            except StorageError:
                continue
            try:
                acknowledged[number] += binding.put_if_version("counter", value + 1, version) is not None
            except StorageError:
                uncertain[number] += 1
            except Exception as error:
                other.append(error)

    threads = [threading.Thread(target=count, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        before = sum(acknowledged)
        durable_server.stop(kill=True)
        durable_server.start()
        give_up = time.monotonic() + 30
        while sum(acknowledged) < before + 20:
            assert time.monotonic() < give_up, "it did not go on"
            time.sleep(0.01)
    over.set()
    for thread in threads:
        thread.join()
    assert other == []
    assert sum(acknowledged) <= storage.bind("n").get("counter") <= sum(acknowledged) + sum(uncertain)
    storage.close()


def test_errors_show_neither_value_nor_password(server: RedisServer) -> None:
    secret = "value-that-must-not-be-shown"
    with redis.Redis(port=server.port) as client:
        client.execute_command(
            "ACL", "SETUSER", "limited", "on", ">limited-password", "~*", "+get", "+set", "-@scripting"
        )
        client.config_set("requirepass", "server-password")
    for url in (
        f"redis://limited:limited-password@127.0.0.1:{server.port}/0",
        f"redis://limited:wrong-password@127.0.0.1:{server.port}/0",
        f"redis://127.0.0.1:{server.port}/0",
    ):
        with RedisStorage(url) as storage, pytest.raises(StorageError) as caught:
            storage.bind("n").put("key", secret)
        chain: BaseException | None = caught.value
        assert f"127.0.0.1:{server.port}" in str(chain)
        while chain is not None:
            assert not any(word in f"{chain!s} {chain!r}" for word in (secret, "limited-p", "wrong-p", "server-p"))
            chain = chain.__cause__


def test_full_server_is_reported(server: RedisServer) -> None:
    storage = RedisStorage(server.url)
    storage.bind("n").put("key", 1)
    with redis.Redis(port=server.port) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
    with pytest.raises(StorageError, match=r"memory|OOM"):
        storage.bind("n").put("large", "x" * 1_000_000)
    assert storage.bind("n").get("key") == 1
    storage.close()


def test_replicas_confirm_durable_writes() -> None:
    with RedisServer() as primary, RedisServer(f"replicaof 127.0.0.1 {primary.port}") as replica:
        with redis.Redis(port=replica.port) as client:
            give_up = time.monotonic() + 30
            while client.info("replication")["master_link_status"] != "up":
                assert time.monotonic() < give_up
                time.sleep(0.02)
        storage = RedisStorage(primary.url, wait_replicas=1, wait_timeout=5)
        binding = storage.bind("n")
        binding.put("key", 1)
        version = binding.get_versioned("key").version
        assert binding.put_if_version("key", 2, "0" * 16) is None
        assert binding.put_if_version("key", 2, version) is not None
        with redis.Redis(port=replica.port) as client:
            assert any(name.endswith(b"key") for name in client.scan_iter())
        with RedisStorage(replica.url) as wrong, pytest.raises(StorageError, match="replica that can't be written"):
            wrong.bind("n").put("key", 3)
        replica.stop(kill=True)
        strict = RedisStorage(primary.url, wait_replicas=1, wait_timeout=0.05)
        with pytest.raises(StorageError, match="only 0 of 1 replicas"):
            strict.bind("n").put("key", 3)
        strict.bind("n").put("relaxed", 3, durable=False)
        assert strict.bind("n").get("key") == 3
        strict.close()
        storage.close()


def test_checkpoint_is_read_in_one_round_trip(redis_url: str, prefix: str) -> None:
    async def main() -> list[Any]:
        sent: list[Any] = []
        client = redis.asyncio.Redis.from_url(redis_url)
        storage = RedisStorage(client, prefix=prefix)
        binding = storage.bind("realtime")
        keys = [f"client/person/device/{number}" for number in range(512)]
        await asyncio.gather(*(binding.put(key, {"slot": key}, durable=False) for key in keys[::2]))
        execute = client.execute_command

        async def counted(*command: Any, **options: Any) -> Any:
            sent.append(command[0])
            return await execute(*command, **options)

        client.execute_command = counted  # type: ignore[method-assign]  # counts the trips
        access = StorageAccess(storage, EventLoopRuntime())
        found = await access.get_many("realtime", keys)
        assert found == {key: {"slot": key} for key in keys[::2]}
        await client.aclose()
        return sent

    assert asyncio.run(main()) == ["MGET"]


def test_pool_is_waited_for(redis_url: str, prefix: str) -> None:
    async def main() -> None:
        storage = RedisStorage(redis_url, prefix=prefix, max_connections=2)
        binding = storage.bind_async("n")
        await asyncio.gather(*(binding.put(f"key{number}", number) for number in range(100)))
        assert len(await binding.get_many([f"key{number}" for number in range(100)])) == 100
        await storage.aclose()

    asyncio.run(main())


def test_retried_writes_with_a_lost_response_succeed(redis_url: str, prefix: str) -> None:
    # A client of the app may repeat a command whose answer was lost: it finds its own version, or token.
    client = redis.Redis.from_url(redis_url)
    storage = RedisStorage(client, prefix=prefix)
    execute = client.execute_command

    def twice(*command: Any, **options: Any) -> Any:
        execute(*command, **options)
        return execute(*command, **options)

    binding = storage.bind("n")
    binding.put("key", 1)
    client.execute_command = twice  # type: ignore[method-assign]  # repeats all
    version = binding.put_if_version("new", 1, None)
    assert version is not None
    assert binding.put_if_version("new", 2, version) is not None
    lease = binding.try_lease("work", 60)
    assert lease is not None
    assert lease.renew(60)
    assert binding.try_lease("work", 60) is None
