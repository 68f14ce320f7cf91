"""Users who are left and joined again by one worker, while what closes their connections takes its time."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.fleet.test_fleet import QUICK, Log, site_of
from tests.realtime.helpers import run, until
from tests.realtime.test_hub import APP
from tests.support.services import need
from webex import AsyncIntegration
from webex.emulator.cloud import Cloud
from webex.fleet import Fleet
from webex.fleet.connections import Connections
from webex.realtime.checkpoint import Checkpoint
from webex.realtime.subscription import Subscription
from webex.realtime.user_connection import UserConnection
from webex.storage import RedisStorage


@pytest.mark.parametrize("how", ["leave", "drain"])
def test_user_who_is_left_and_joined_again_at_once_is_listened_for(
    webex_cloud: Cloud, tmp_path: Path, how: str
) -> None:
    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 1) as site, site.worker("a") as fleet:
            user, connections = site.people[0], fleet._connections
            assert connections is not None
            leaving = []
            for pause in (0.0, 0.002, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1):
                work = connections.leave(user) if how == "leave" else connections.drain([user])
                leaving.append(asyncio.ensure_future(work))
                await asyncio.sleep(0)
                connections.join(user)
                await asyncio.sleep(pause)
            await asyncio.gather(*leaving)
            connections.join(user)
            await fleet.wait_until_connected()
            assert fleet.users == [user]
            await site.write("hello")
            await site.published(1)
            assert webex_cloud.mercury.connections() == 1

    run(main())


def test_leaving_that_hangs_does_not_hold_up_the_joining(
    webex_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webex.fleet.connections._LEAVING_PATIENCE", 0.05)
    flush = Checkpoint.flush

    async def main() -> None:
        answers = asyncio.Event()

        async def hang(checkpoint: Checkpoint) -> None:
            await answers.wait()
            await flush(checkpoint)

        async with site_of(webex_cloud, tmp_path, 1) as site, site.worker("a") as fleet:
            user, connections = site.people[0], fleet._connections
            assert connections is not None
            await fleet.wait_until_connected()
            await site.write("before")
            await site.published(1)
            monkeypatch.setattr(Checkpoint, "flush", hang)
            leaving = asyncio.ensure_future(connections.leave(user))
            await until(lambda: fleet.users == [])
            connections.join(user)
            await site.write("after")
            await site.published(2)
            assert site.log.texts() == ["before", "after"]
            answers.set()
            await leaving
            await site.write("later")
            await site.published(3)
            assert fleet.users == [user]
            assert webex_cloud.mercury.connections() == 1

    run(main())


def test_user_who_is_left_before_the_first_connection_is_open_is_not_among_the_users(
    webex_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages posted before the first connection are not delivered, so `users` must not list the user earlier."""
    ensure, detach = UserConnection.ensure, UserConnection.detach

    async def main() -> None:
        begun, closes = asyncio.Event(), asyncio.Event()

        async def hang(connection: UserConnection) -> None:
            begun.set()
            await asyncio.Event().wait()

        async def detach_late(connection: UserConnection, subscription: Subscription[Any]) -> None:
            await closes.wait()
            await detach(connection, subscription)

        async with site_of(webex_cloud, tmp_path, 1) as site:
            monkeypatch.setattr(UserConnection, "ensure", hang)
            monkeypatch.setattr(UserConnection, "detach", detach_late)
            async with site.worker("a") as fleet:
                user, connections = site.people[0], fleet._connections
                assert connections is not None
                await begun.wait()
                leaving = asyncio.ensure_future(connections.leave(user))
                await until(lambda: not fleet.health.connecting)
                assert fleet.users == []
                assert fleet.health.users == 0
                monkeypatch.setattr(UserConnection, "ensure", ensure)
                connections.join(user)
                closes.set()
                await leaving
                await until(lambda: fleet.users == [user])
                await site.write("hello")
                await site.published(1)

    run(main())


def test_connection_that_failed_and_closes_late_takes_nothing_from_the_one_that_followed(
    webex_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was stopped finds its socket replaced and its lease lapsed, and takes the shard again."""
    stop, on_failure = Subscription.stop_listening, Connections._on_failure

    async def main() -> None:
        closing, closes, began, published = (asyncio.Event() for _ in range(4))
        late: list[asyncio.Task[None] | None] = []
        told: list[str] = []

        async def stop_late(subscription: Subscription[Any]) -> None:
            late.append(asyncio.current_task())
            closing.set()
            await closes.wait()
            await stop(subscription)

        async def hold(text: str) -> None:
            if text == "in hand":
                began.set()
                await published.wait()

        def note(connections: Connections, user: str, error: BaseException) -> None:
            told.append(user)
            on_failure(connections, user, error)

        async with site_of(webex_cloud, tmp_path, 1) as site, site.worker("a") as fleet:
            user, connections = site.people[0], fleet._connections
            assert connections is not None
            await fleet.wait_until_connected()
            monkeypatch.setattr(Subscription, "stop_listening", stop_late)
            webex_cloud.mercury.drop(site.emails[user], 4000, "replaced")
            await closing.wait()
            monkeypatch.setattr(Subscription, "stop_listening", stop)
            monkeypatch.setattr(fleet._hub, "on_failure", lambda user, error: note(connections, user, error))
            await connections.leave(user)
            connections.join(user)
            await fleet.wait_until_connected()
            site.log.before = hold
            await site.write("in hand")
            await began.wait()
            closes.set()
            assert late[0] is not None
            await asyncio.wait({late[0]})
            await fleet.wait_until_connected()
            published.set()
            await site.write("later")
            await site.published(2)
            assert site.log.texts() == ["in hand", "later"]
            assert told == []

    run(main())


def test_leaving_that_hangs_does_not_hold_up_other_news(
    webex_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave, hanging = Connections._leave, asyncio.Event()

    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 1) as site, site.worker("a") as fleet:
            first = site.people[0]

            async def hang(connections: Connections, user: str, joining: asyncio.Task[None] | None) -> None:
                if user == first:
                    hanging.set()
                    await asyncio.Event().wait()
                await leave(connections, user, joining)

            monkeypatch.setattr(Connections, "_leave", hang)
            await fleet.wait_until_connected()
            async with site.integration() as other:
                await other.sign_out(first)
            await hanging.wait()
            await site.sign_in(1)
            await until(lambda: site.people[1] in fleet.users and not fleet.health.connecting)

    run(main())


@pytest.mark.services
def test_users_who_are_left_while_redis_answers_are_left(webex_cloud: Cloud) -> None:
    """Where a command ends at the moment of its cancellation, what was cancelled must not go on."""
    host, port = need("redis").address
    url, name = f"redis://{host}:{port}/0", f"webex-test-{secrets.token_hex(6)}"

    async def main() -> None:
        storage = RedisStorage(url, prefix=name)
        async with AsyncIntegration(**APP, emulator_url=webex_cloud.url, storage=storage) as integration:
            for number in range(30):
                person = webex_cloud.add_person(f"user{number}@example.com")
                await integration.adopt(person.id, webex_cloud.token_for(person.email))
            async with Fleet(integration, publisher=Log().of("a"), **{**QUICK, "lease": 60.0}) as fleet:
                await fleet.wait_until_connected()
                connections, users = fleet._connections, fleet.users
                assert connections is not None
                leaving = []
                for pause in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3):
                    leaving += [asyncio.ensure_future(connections.leave(user)) for user in users]
                    await asyncio.sleep(0)
                    for user in users:
                        connections.join(user)
                    await asyncio.sleep(pause)
                await asyncio.gather(*leaving)
                for user in users:
                    connections.join(user)
                await fleet.wait_until_connected()
                assert sorted(fleet.users) == sorted(users)

    try:
        run(main())
    finally:
        with redis.Redis.from_url(url) as client:
            for key in client.scan_iter(match=f"{name}:*", count=1000):
                client.delete(key)
