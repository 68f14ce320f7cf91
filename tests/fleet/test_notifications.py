"""Workers whose looks are hours apart, over storages that tell of changes: what is told is seen at once."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import redis

from tests.realtime.helpers import run, until
from tests.realtime.test_hub import APP
from tests.storage.services.conftest import cut, cut_postgres, drop_schema, remove
from tests.support.services import need
from webex import AsyncIntegration, Integration
from webex.emulator.cloud import Cloud
from webex.fleet import Fleet
from webex.storage import PostgresStorage, RedisStorage

pytestmark = pytest.mark.services

SLOW: dict[str, Any] = {"poll": 7200.0, "look_for_users": 7200.0, "lease": 7200.0, "shards": 4, "first_pause": 0.05}


@dataclass
class Server:
    """A storage under a name of the test's own; connections that are made under a label can be counted and cut."""

    storage: Callable[[str], Any]
    connections: Callable[[str], int]
    cut: Callable[[str], None]


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    host, port = need(request.param).address
    name = f"webex_test_{secrets.token_hex(6)}"
    if request.param == "redis":
        url = f"redis://{host}:{port}/0"
        with redis.Redis.from_url(url) as client:
            yield Server(
                lambda label: RedisStorage(f"{url}?client_name={name}-{label}", prefix=name),
                lambda label: sum(one["name"] == f"{name}-{label}" for one in client.client_list()),
                lambda label: cut(url, f"{name}-{label}"),
            )
        remove(url, name)
        return
    url = f"postgresql://postgres@{host}:{port}/test"
    with psycopg.connect(url, autocommit=True) as connection:
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"

        def connections(label: str) -> int:
            row = connection.execute(count, (f"{name}-{label}",)).fetchone()
            assert row is not None
            return int(row[0])

        yield Server(
            lambda label: PostgresStorage(f"{url}?application_name={name}-{label}", schema=name),
            connections,
            lambda label: cut_postgres(url, "application_name = %s", f"{name}-{label}"),
        )
    drop_schema(url, name)


class Nowhere:
    """Confirms what it gets."""

    async def publish(self, event: Any) -> None:
        """Take an event."""


@asynccontextmanager
async def integration_of(cloud: Cloud, server: Server, label: str) -> AsyncIterator[AsyncIntegration]:
    async with server.storage(label) as storage:
        async with AsyncIntegration(**APP, emulator_url=cloud.url, storage=storage) as integration:
            yield integration


@asynccontextmanager
async def worker(cloud: Cloud, server: Server, name: str) -> AsyncIterator[Fleet]:
    async with integration_of(cloud, server, name) as integration:
        async with Fleet(integration, worker=name, publisher=Nowhere(), **SLOW) as fleet:
            yield fleet


def test_what_is_told_is_not_waited_for(webex_cloud: Cloud, server: Server) -> None:
    async def sign_in(web_app: AsyncIntegration, email: str) -> str:
        person = webex_cloud.add_person(email)
        await web_app.adopt(person.id, webex_cloud.token_for(email))
        return person.id

    async def main() -> None:
        before = asyncio.all_tasks()
        async with integration_of(webex_cloud, server, "web") as web_app:
            async with worker(webex_cloud, server, "a") as first, worker(webex_cloud, server, "b") as second:
                await until(lambda: len(first.shards) == len(second.shards) == 2)
                users = {await sign_in(web_app, f"user{number}@example.com") for number in range(4)}
                await until(lambda: {*first.users, *second.users} == users)
                await second.stop()
                await until(lambda: set(first.users) == users)
                server.cut("a")
                users.add(await sign_in(web_app, "late@example.com"))
                await until(lambda: set(first.users) == users)
                gone = users.pop()
                await web_app.sign_out(gone)
                await until(lambda: set(first.users) == users)
        for label in ("a", "b", "web"):
            await until(lambda label=label: server.connections(label) == 0)
        await until(lambda: asyncio.all_tasks() <= before)

    run(main())


def test_sign_in_in_blocking_style_is_told(webex_cloud: Cloud, server: Server) -> None:
    def sign_in() -> str:
        with (
            server.storage("web") as storage,
            Integration(**APP, emulator_url=webex_cloud.url, storage=storage) as web_app,
        ):
            person = webex_cloud.add_person("blocking@example.com")
            web_app.adopt(person.id, webex_cloud.token_for("blocking@example.com"))
            return person.id

    async def main() -> None:
        async with worker(webex_cloud, server, "a") as fleet:
            user = await asyncio.to_thread(sign_in)
            await until(lambda: fleet.users == [user])

    run(main())
