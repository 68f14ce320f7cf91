"""Notifications of `RedisStorage` and `PostgresStorage`: where there are none, and connections that are silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import psycopg
import pytest
import redis
import redis.asyncio
from psycopg_pool import AsyncConnectionPool

from tests.support.loops import until
from tests.support.postgres_server import PgBouncer
from tests.support.services import RedisServer, need
from webex.runtime.event_loop import EventLoopRuntime
from webex.storage import EncryptedStorage, NoNotificationsError, PostgresStorage, RedisStorage, StorageAccess, scoped
from webex.storage.postgres_errors import Place
from webex.storage.postgres_notifications import Listener
from webex.storage.redis_notifications import subscribed

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def bouncer() -> Iterator[str]:
    with PgBouncer(need("postgres")) as pooler:
        yield pooler.url("test")


@asynccontextmanager
async def accessed(storage: Any) -> AsyncIterator[StorageAccess]:
    """Use a storage in event-loop style."""
    runtime = EventLoopRuntime()
    try:
        yield StorageAccess(storage, runtime)
    finally:
        await runtime.aclose()
        if hasattr(storage, "aclose"):
            await storage.aclose()


async def heard(access: StorageAccess, *keys: str) -> list[str | None]:
    """Listen, have these keys told, and return as many."""
    async with asyncio.timeout(60), aclosing(access.notifications("n")) as told:
        assert await anext(told) is None
        for key in keys:
            await access.notify("n", key)
        return [await anext(told) for _ in keys]


async def refused(storage: Any) -> str:
    async with accessed(storage) as access:
        await access.notify("n", "key")
        with pytest.raises(NoNotificationsError) as caught:
            await heard(access, "key")
        return str(caught.value)


def test_storage_behind_a_pooler_listens_at_the_direct_address_only(
    bouncer: str, postgres_url: str, schema: str
) -> None:
    async def main() -> None:
        told = await refused(PostgresStorage(bouncer, schema=schema))
        assert "through a pooler" in told
        assert "direct=" in told
        async with accessed(PostgresStorage(bouncer, schema=schema, direct=postgres_url)) as access:
            assert await heard(access, "one", "two") == ["one", "two"]

    asyncio.run(main())


def test_storage_over_a_pool_of_the_app_listens_at_the_direct_address_only(postgres_url: str, schema: str) -> None:
    async def main() -> None:
        async with AsyncConnectionPool(postgres_url, min_size=1) as pool:
            assert "a pool of the app" in await refused(PostgresStorage(pool, schema=schema))
            async with accessed(PostgresStorage(pool, schema=schema, direct=postgres_url)) as access:
                assert await heard(access, "one") == ["one"]

    asyncio.run(main())


def test_blocking_client_tells_and_does_not_listen(redis_url: str, prefix: str) -> None:
    async def main() -> None:
        with redis.Redis.from_url(redis_url) as client:
            assert "in this style" in await refused(RedisStorage(client, prefix=prefix))
            async with (
                accessed(RedisStorage(redis_url, prefix=prefix)) as access,
                aclosing(access.notifications("n")) as told,
            ):
                assert await anext(told) is None
                RedisStorage(client, prefix=prefix).bind("n").notify("key")  # type: ignore[attr-defined]  # optional
                assert await anext(told) == "key"

    asyncio.run(main())


def test_wrapped_storages_tell_their_own_keys(redis_url: str, prefix: str) -> None:
    async def main() -> None:
        inner = RedisStorage(redis_url, prefix=prefix)
        encrypted = EncryptedStorage(inner, keys=[EncryptedStorage.generate_key()])
        async with (
            accessed(scoped(encrypted, "client", "a/b")) as mine,
            accessed(scoped(encrypted, "client", "other")) as other,
            asyncio.timeout(60),
            aclosing(mine.notifications("n")) as told,
        ):
            assert await anext(told) is None
            await other.notify("n", "theirs")
            await mine.notify("n", "ours")
            assert await anext(told) == "ours"

    asyncio.run(main())


@pytest.mark.parametrize("protocol", [2, 3])
def test_quiet_subscription_is_tried_and_goes_on(redis_url: str, prefix: str, protocol: int) -> None:
    async def main() -> None:
        async with redis.asyncio.Redis.from_url(f"{redis_url}?protocol={protocol}") as client:
            async with asyncio.timeout(60), aclosing(subscribed(client, prefix, 30.0, quiet=0.01)) as told:
                assert await anext(told) is None
                following = asyncio.ensure_future(anext(told))
                await asyncio.wait({following}, timeout=0.2)  # several pings
                await client.publish(prefix, "text")
                assert await following == b"text"

    asyncio.run(main())


def test_server_that_no_longer_answers_is_noticed() -> None:
    async def main() -> None:
        with RedisServer() as server:
            async with redis.asyncio.Redis.from_url(server.url) as client, asyncio.timeout(60):
                async with aclosing(subscribed(client, "channel", 0.1, quiet=0.01)) as told:
                    assert await anext(told) is None
                    with server.stopped(), pytest.raises(TimeoutError):
                        await anext(told)

    asyncio.run(main())


def test_quiet_listening_is_tried_and_goes_on(postgres_url: str, schema: str) -> None:
    async def main() -> None:
        listener = Listener(postgres_url, Place({}), direct=False)
        async with PostgresStorage(postgres_url, schema=schema) as storage, asyncio.timeout(60):
            async with accessed(storage) as access, aclosing(listener.listen("webex_test", quiet=0.01)) as told:
                assert await anext(told) is None
                following = asyncio.ensure_future(anext(told))
                await asyncio.wait({following}, timeout=0.2)  # several statements
                await access.get_or_none("n", "key")
                database: Any = storage
                await database._async.run("SELECT pg_notify('webex_test', 'text')")
                assert await following == "text"

    asyncio.run(main())


@pytest.mark.parametrize("what", ["call", "listening"])
def test_cancelled_connecting_leaves_no_connection(postgres_url: str, schema: str, what: str) -> None:
    async def main() -> None:
        held: list[BaseException] = []  # and with them whatever their frames hold
        async with PostgresStorage(f"{postgres_url}?application_name={schema}", schema=schema) as storage:
            binding: Any = storage.bind_async("n")
            await binding.put("key", 1)
            for step in range(30):
                await storage.aclose()  # so that the next call connects
                listening = binding.notifications()
                work = asyncio.ensure_future(binding.get("key") if what == "call" else anext(listening))
                for _ in range(step):
                    await asyncio.sleep(0.0003)
                work.cancel()
                try:
                    await work
                except asyncio.CancelledError as error:
                    held.append(error)
                await listening.aclose()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
            await until(lambda: connection.execute(count, (schema,)).fetchone() == (0,))
        assert held

    asyncio.run(main())
