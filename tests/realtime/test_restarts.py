"""A listener starts again over what an earlier one stored: nothing is lost, and nothing is anybody else's."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.realtime.helpers import QUICK, Shelf, client_of, run, say, shared_room, take, texts, until
from webex import AsyncIntegration
from webex.emulator.cloud import Cloud
from webex.errors import StorageError
from webex.realtime import dispatcher
from webex.realtime.mercury.device import DEFAULT_NAME
from webex.storage import EncryptedStorage

APP = {"client_id": "any", "client_secret": "any", "redirect_uri": "http://127.0.0.1/"}

# What the checkpoint says


def slots_of(shelf: Shelf) -> dict[str, dict[str, object]]:
    """The slots of all checkpoints, by key."""
    return {key: value for key, value in shelf.entries.items() if "/slot-" in key}


@pytest.mark.parametrize("failing", ["/head", "/slot-0", "/slot-1"])
def test_a_failed_checkpoint_read_loses_nothing_on_retry(webex_cloud: Cloud, failing: str) -> None:
    shelf = Shelf()
    failures: list[str] = []

    async def trouble(call: str, key: str) -> None:
        if call == "get" and key.endswith(failing) and not failures:
            failures.append(key)
            raise StorageError("out of order for a moment")

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            async with client_of(webex_cloud, "bob", storage=shelf) as bob, bob.messages.listen(**QUICK) as events:
                await say(alice, room, "one", "two", "three")
                await take(events, 2)
            webex_cloud.mercury.expire_devices("bob")
            shelf.trouble = trouble
            async with client_of(webex_cloud, "bob", storage=shelf) as bob, bob.messages.listen(**QUICK) as events:
                assert texts(await take(events, 2)) == ["two again", "three"]
        assert failures

    run(main())


@pytest.mark.parametrize("odd", ["text", ["list"], {"n": "x"}, {"n": 0, "id": None, "at": 1}, {"n": 1, "id": "x"}, {}])
def test_unreadable_checkpoint_records_are_skipped(webex_cloud: Cloud, odd: object) -> None:
    shelf = Shelf()

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            async with client_of(webex_cloud, "bob", storage=shelf) as bob, bob.messages.listen(**QUICK) as events:
                await say(alice, room, "one", "two", "three")
                await take(events, 2)
            for key in list(slots_of(shelf))[:1]:
                shelf.entries[key] = odd
            shelf.entries[next(key for key in shelf.entries if key.endswith("/head"))]["floor"] = None
            async with client_of(webex_cloud, "bob", storage=shelf) as bob, bob.messages.listen(**QUICK) as events:
                assert texts(await take(events, 2)) == ["two again", "three"]

    run(main())


def test_concurrent_subscriptions_leave_no_gap_in_the_checkpoint(webex_cloud: Cloud) -> None:
    shelf = Shelf()
    writing = 0

    async def slowly(call: str, key: str) -> None:
        nonlocal writing
        if call == "put" and "/slot-" in key:
            writing += 1
            await asyncio.sleep(0.02)
            writing -= 1

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            async with client_of(webex_cloud, "bob", storage=shelf) as bob:
                async with bob.messages.listen(**QUICK) as messages, bob.rooms.listen() as rooms:
                    await say(alice, room, "one", "two")
                    await alice.rooms.update(room, title="Renamed")
                    await until(lambda: len(messages._queue) == 2 and rooms._queue)
                    shelf.trouble = slowly
                    await asyncio.gather(anext(messages), anext(rooms))
                    found = sorted(slots_of(shelf).items())
                    assert [slot["n"] for _, slot in found] == [0, 1]
                    assert [key.rpartition("-")[2] for key, _ in found] == ["0", "1"]
                    assert len(found[1][1]["hand"]) == 2  # type: ignore[arg-type]  # a list
            async with client_of(webex_cloud, "bob", storage=shelf) as bob:
                async with bob.messages.listen(**QUICK) as messages, bob.rooms.listen() as rooms:
                    assert texts(await take(messages, 2)) == ["one again", "two"]
                    (renamed,) = await take(rooms)
                    assert renamed.redelivered

    run(main())


# What comes when


def test_unhandled_event_comes_from_history_after_retention(webex_cloud: Cloud) -> None:
    shelf = Shelf()

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            async with client_of(webex_cloud, "bob", storage=shelf) as bob, bob.messages.listen(**QUICK) as events:
                await say(alice, room, "one")
                await anext(events)
                webex_cloud.clock.advance(16 * 60)
                await say(alice, room, "two")  # and the cloud lets go of the one before it
                await until(lambda: events._queue)
            async with client_of(webex_cloud, "bob", storage=shelf) as bob, bob.messages.listen(**QUICK) as events:
                assert texts(await take(events, 2)) == ["one again", "two"]

    run(main())


def test_events_of_a_second_subscription_wait_for_it(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "_GRACE", 30.0)
    shelf = Shelf()

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            async with client_of(webex_cloud, "bob", storage=shelf) as bob:
                async with bob.messages.listen(**QUICK) as messages, bob.rooms.listen():
                    await say(alice, room, "one")
                    (await anext(messages)).ack()
            await alice.rooms.update(room, title="Renamed")
            await say(alice, room, "two")
            async with client_of(webex_cloud, "bob", storage=shelf) as bob:
                async with bob.messages.listen(**QUICK) as messages:
                    assert texts(await take(messages)) == ["two"]  # and the new name came before it
                    async with bob.rooms.listen() as rooms:
                        assert [event.data.title for event in await take(rooms)] == ["Renamed"]
                    await say(alice, room, "three")
                    assert texts(await take(messages)) == ["three"]

    run(main())


@pytest.mark.parametrize("ahead", [300, -300])
def test_a_wrong_clock_loses_no_event(webex_cloud: Cloud, ahead: int) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            await say(alice, room, "before anybody listened")
            bob._app.realtime.manager().now = lambda: time.time() + ahead
            async with bob.messages.listen(**QUICK) as events:
                for text in ("one", "two"):
                    with webex_cloud.lock:
                        webex_cloud.mercury.drop("bob")
                        webex_cloud.mercury.expire_devices("bob")
                    await say(alice, room, text)
                    assert texts(await take(events)) == [text]

    run(main())


# Whose it is


def test_two_people_of_one_app_share_no_checkpoint(webex_cloud: Cloud) -> None:
    webex_cloud.add_person("carol@example.com")
    shelf = Shelf()

    async def main() -> None:
        integration = AsyncIntegration(**APP, storage=shelf, emulator_url=webex_cloud.url)
        async with client_of(webex_cloud) as alice, integration:
            room = await shared_room(alice, "bob@example.com", "carol@example.com")
            bob, carol = (integration.client_for(webex_cloud.token_for(who)) for who in ("bob", "carol"))
            async with bob.messages.listen(**QUICK) as events:
                await say(alice, room, "one", "two")
                await anext(events)
                async with carol.messages.listen(**QUICK) as others:
                    assert events._connection.devices.current is not others._connection.devices.current
                    await say(alice, room, "three")
                    assert texts(await take(others)) == ["three"]
                assert texts(await take(events, 2)) == ["two", "three"]
        assert shelf.entries == {}

    run(main())


def test_a_checkpoint_of_another_person_is_not_used(webex_cloud: Cloud) -> None:
    webex_cloud.add_person("carol@example.com")
    shelf = Shelf()

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice, "bob@example.com", "carol@example.com")
            async with client_of(webex_cloud, "bob", storage=shelf) as bob, bob.messages.listen(**QUICK) as events:
                await say(alice, room, "one", "two")
                await anext(events)
            async with client_of(webex_cloud, "carol", storage=shelf) as carol:
                async with carol.messages.listen(**QUICK) as events:
                    await say(alice, room, "three")
                    assert texts(await take(events)) == ["three"]  # what came before is not hers to catch up with
            async with client_of(webex_cloud, "bob", storage=shelf) as bob, bob.messages.listen(**QUICK) as events:
                assert texts(await take(events, 3)) == ["one again", "two", "three"]

    run(main())


@pytest.mark.parametrize("managed", [True, False])
def test_keys_are_stored_encrypted_and_only_in_managed_storage(webex_cloud: Cloud, managed: bool) -> None:
    shelf = Shelf()

    async def main() -> None:
        storage = EncryptedStorage(shelf, keys=[EncryptedStorage.generate_key()])
        integration = AsyncIntegration(**APP, storage=storage, emulator_url=webex_cloud.url)
        async with client_of(webex_cloud) as alice, integration:
            room = await shared_room(alice)
            token = webex_cloud.token_for("bob")
            if managed:
                await integration.adopt("bob", token)
            bob = integration.user("bob") if managed else integration.client_for(token)
            async with bob.messages.listen(**QUICK) as events:
                await say(alice, room, "one")
                await anext(events)
        assert any(key.startswith("keys") for key in shelf.entries) is managed
        assert any(DEFAULT_NAME in key for key in shelf.entries) is managed

    run(main())
