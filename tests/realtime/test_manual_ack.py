"""Events that the program acknowledges itself: `ack="manual"`, `max_in_hand`, `event.ack()`, `event.nack()`."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, client_of, run, say, shared_room, take, texts, until
from tests.realtime.test_blocking import people
from tests.realtime.test_hub import APP, first_of, hub_of, write
from webex import AsyncIntegration, RealtimeHub
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError, NotSignedInError
from webex.storage import SQLiteStorage

MANUAL: dict[str, Any] = {**QUICK, "ack": "manual"}


# In hand at a stop


def test_two_unacknowledged_events_are_redelivered_after_a_stop(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**MANUAL) as events:
                await say(alice, room, "one", "two", "three")
                assert texts(await take(events, 2)) == ["one", "two"]
            async with bob.messages.listen(**MANUAL) as events:
                assert texts(await take(events, 3)) == ["one again", "two again", "three"]

    run(main())


def test_only_acknowledged_events_are_not_redelivered(webex_cloud: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(path)) as bob:
                room = await shared_room(alice)
                async with bob.messages.listen(**MANUAL) as events:
                    await say(alice, room, *"abcd")
                    in_hand = await take(events, 4)
                    in_hand[1].ack()
                    in_hand[3].ack()
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(path)) as bob:
                async with bob.messages.listen(**MANUAL) as events:
                    await say(alice, room, "e")
                    assert texts(await take(events, 3)) == ["a again", "c again", "e"]

    run(main())


def test_automatic_acknowledgement_leaves_one_unacknowledged(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await say(alice, room, "one", "two")
                await take(events, 2)
            async with bob.messages.listen(**QUICK) as events:
                assert texts(await take(events)) == ["two again"]

    run(main())


def test_acknowledged_events_are_acknowledged_to_the_cloud(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**MANUAL) as events:
                await say(alice, room, "one", "two")
                one, two = await take(events, 2)
                await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 2)
                two.ack()
                two.ack()
                two.nack()
                await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 1)
                one.ack()
                await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 0)

    run(main())


def test_acknowledgement_is_stored_without_a_further_event(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
                room = await shared_room(alice)
                async with bob.messages.listen(**MANUAL) as events:
                    await say(alice, room, "one", "two")
                    one, two = await take(events, 2)
                    stored = SQLiteStorage(tmp_path / "s.db").bind("realtime")

                    def slots() -> list[dict[str, Any]]:
                        return [stored.get(key) for page in stored.keys() for key in page if "slot-" in key]  # noqa: SIM118  # pages

                    def in_hand() -> list[str]:
                        return list(max(slots(), key=lambda slot: int(slot["n"]))["hand"])

                    assert in_hand() == [one.activity_id, two.activity_id]
                    one.ack()
                    await until(lambda: in_hand() == [two.activity_id])
                    assert len(slots()) == 2  # and it took no place of another event
                    two.ack()
                    await until(lambda: in_hand() == [])

    run(main())


# How many


@pytest.mark.parametrize("how", ["ack", "nack"])
def test_no_more_than_max_in_hand_are_delivered(webex_cloud: Cloud, how: str) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**MANUAL, max_in_hand=2) as events:
                await say(alice, room, *"abc")
                first, _ = await take(events, 2)
                await until(lambda: len(events._queue) == 1)
                third = asyncio.ensure_future(anext(events))
                await asyncio.wait({third}, timeout=0.05)
                assert not third.done()
                getattr(first, how)()
                assert texts([await third]) == ["c" if how == "ack" else "a again"]

    run(main())


def test_stopping_ends_iteration_at_max_in_hand(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**MANUAL, max_in_hand=1) as events:
                await say(alice, room, "one", "two")
                await take(events)
                waiting = asyncio.ensure_future(anext(events))
                await asyncio.wait({waiting}, timeout=0.05)
                await events.stop_listening()
                with pytest.raises(StopAsyncIteration):
                    await waiting

    run(main())


def test_notices_do_not_count_as_in_hand(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.listen(["typing", "messages"], **MANUAL, max_in_hand=1) as events:
                await bob.conversations.typing(room)
                await alice.conversations.typing(room)
                await alice.conversations.typing(room, stopped=True)
                assert [(await anext(events)).event for _ in range(2)] == ["started", "stopped"]

    run(main())


# Once more


def test_nack_redelivers_before_later_events(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**MANUAL) as events:
                await say(alice, room, *"abc")
                first, second = await take(events, 2)
                first.nack()
                second.nack()
                again = await take(events, 3)
                assert texts(again) == ["a again", "b again", "c"]
                assert again[0].activity_id == first.activity_id
                assert again[0].key == first.key
                assert not first.redelivered
                first.ack()  # of what was given back: nothing
                assert webex_cloud.mercury.unacknowledged("bob") == 3
                for event in again:
                    event.ack()
                await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 0)

    run(main())


@pytest.mark.parametrize("ack", ["auto", "manual"])
def test_nack_postpones_without_delaying_later_events(webex_cloud: Cloud, ack: str) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**{**MANUAL, "ack": ack}) as events:
                await say(alice, room, "one", "two")
                (await anext(events)).nack(after=0.2)
                assert texts(await take(events)) == ["two"]
                assert texts(await take(events)) == ["one again"]

    run(main())


def test_postponed_event_is_redelivered_after_a_stop(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**MANUAL) as events:
                await say(alice, room, "one", "two")
                one, _two = await take(events, 2)
                one.nack(after=3600)
            async with bob.messages.listen(**MANUAL) as events:
                assert texts(await take(events, 2)) == ["one again", "two again"]

    run(main())


def test_postponed_events_count_as_waiting(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**MANUAL, max_queue=2) as events:
                await say(alice, room, *"ab")
                for event in await take(events, 2):
                    event.nack(after=0.3)
                await say(alice, room, *"cd")
                assert sorted(texts(await take(events, 4))) == ["a again", "b again", "c", "d"]

    run(main())


@pytest.mark.parametrize("after", [-1, float("nan"), float("inf"), 90_000, "1", None, True])
def test_nack_refuses_an_invalid_delay(webex_cloud: Cloud, after: Any) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**MANUAL) as events:
                await say(alice, room, "one")
                event = await anext(events)
                with pytest.raises(ConfigurationError):
                    event.nack(after=after)
                event.nack()
                assert texts(await take(events)) == ["one again"]

    run(main())


def test_nack_does_not_affect_another_subscription(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**MANUAL) as first, bob.messages.listen(**MANUAL) as second:
                await say(alice, room, "one", "two")
                for event in await take(second, 2):
                    event.ack()
                (await anext(first)).nack()
                assert texts(await take(first, 2)) == ["one again", "two"]
                assert second._queue == second._returned

    run(main())


# With callbacks


def test_callback_does_not_acknowledge_automatically(webex_cloud: Cloud) -> None:
    held: list[Any] = []

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            events = await bob.messages.listen(**MANUAL)
            events.on("created", held.append)
            await say(alice, room, "one", "two")
            await until(lambda: len(held) == 2)
            held[1].ack()
            await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 1)
            await events.stop_listening()
            async with bob.messages.listen(**MANUAL) as later:
                assert texts(await take(later)) == ["one again"]

    run(main())


def test_callback_may_request_a_retry(webex_cloud: Cloud) -> None:
    calls: list[tuple[str, bool]] = []

    async def handle(event: Any) -> None:
        calls.append((event.data.text, event.redelivered))
        if event.redelivered:
            event.ack()
        else:
            event.nack(after=0.01)
            raise RuntimeError("the first time always fails")

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            events = await bob.messages.listen(**MANUAL)
            events.on("created", handle)
            await say(alice, room, "one")
            await until(lambda: len(calls) == 2)
            await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 0)
            await events.stop_listening()

    run(main())
    assert calls == [("one", False), ("one", True)]


# Options


@pytest.mark.parametrize(
    "options",
    [
        {"ack": "later"},
        {"ack": True},
        {"max_in_hand": 5},
        {"ack": "auto", "max_in_hand": 5},
        {"ack": "manual", "max_in_hand": 0},
        {"ack": "manual", "max_in_hand": -1},
        {"ack": "manual", "max_in_hand": 1.5},
        {"ack": "manual", "max_in_hand": True},
    ],
)
def test_invalid_options_are_refused(webex_cloud: Cloud, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            with pytest.raises(ConfigurationError):
                bob.messages.listen(**options)

    run(main())


# Threads and blocking code


def test_other_threads_may_acknowledge(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**MANUAL) as events:
                await say(alice, room, *"abcdef")
                in_hand = await take(events, 6)
                await asyncio.gather(*(asyncio.to_thread(event.ack) for event in in_hand[1:]))
                await asyncio.to_thread(in_hand[0].nack)
                assert texts(await take(events)) == ["a again"]
                await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 1)

    run(main())


def test_blocking_code_acknowledges_manually(webex_cloud: Cloud) -> None:
    with people(webex_cloud) as (alice, bob, room):
        with bob.messages.listen(**MANUAL) as events:
            for text in ("one", "two", "three", "four"):
                alice.messages.create(room_id=room, text=text)
            one, two, three, four = (events.get(20) for _ in range(4))
            two.ack()
            three.nack()
            again = events.get(20)
            assert (again.data.text, again.redelivered) == ("three", True)
            thread = threading.Thread(target=again.ack)
            thread.start()
            thread.join()
            assert not one.redelivered
            assert not four.redelivered
        with bob.messages.listen(**MANUAL) as events:
            assert texts([events.get(20), events.get(20)]) == ["one again", "four again"]
        two.ack()
        one.nack()  # its subscription has ended: nothing happens


# Many users


def test_hub_delivers_no_more_than_max_in_hand(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with hub_of(webex_cloud, "x@example.com", "y@example.com", ack="manual", max_in_hand=3) as (hub, alice):
            await write(alice, "x@example.com", "x1", "x2")
            await write(alice, "y@example.com", "y1", "y2")
            stream = hub.events()
            in_hand = [await anext(stream) for _ in range(3)]
            fourth = asyncio.ensure_future(anext(stream))
            await asyncio.wait({fourth}, timeout=0.1)
            assert not fourth.done()
            in_hand[1].ack()
            event = await fourth
            assert {each.data.text for each in (*in_hand, event)} == {"x1", "x2", "y1", "y2"}
            assert not event.redelivered
            in_hand[0].nack()
            again = await anext(stream)
            assert (again.data.text, again.redelivered) == (in_hand[0].data.text, True)

    run(main())


def test_hub_redelivers_unacknowledged_events(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with hub_of(webex_cloud, "x@example.com", ack="manual") as (hub, alice):
            (user,) = hub.users
            await write(alice, "x@example.com", "one", "two", "three")
            stream = hub.events()
            one, two, three = [await anext(stream) for _ in range(3)]
            two.ack()
            await hub.remove(user)
            assert not hub._held
            three.ack()  # too late
            await hub.add(user)
            assert texts([await anext(stream), await anext(stream)]) == ["one again", "three again"]
            assert one.user_key == user

    run(main())


def test_hub_with_automatic_acknowledgement_delivers_one_at_a_time(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with hub_of(webex_cloud, "x@example.com") as (hub, alice):
            await write(alice, "x@example.com", "one", "two")
            assert await first_of(hub) == "one"

    run(main())


def test_sign_out_releases_the_in_hand_slots_of_the_hub(webex_cloud: Cloud) -> None:
    async def main() -> None:
        integration = AsyncIntegration(**APP, emulator_url=webex_cloud.url)
        options: dict[str, Any] = {**MANUAL, "max_in_hand": 1}
        async with client_of(webex_cloud) as alice, integration:
            async with RealtimeHub(integration, ("messages",), **options) as hub:
                for email in ("x@example.com", "y@example.com"):
                    person = webex_cloud.add_person(email)
                    await integration.adopt(person.id, webex_cloud.token_for(email))
                    await hub.add(person.id)
                first, _second = hub.users
                await write(alice, "x@example.com", "for x")
                stream = hub.events()
                assert (await anext(stream)).data.text == "for x"
                await write(alice, "y@example.com", "for y")
                waiting = asyncio.ensure_future(anext(stream))
                await integration.sign_out(first)
                assert (await waiting).data.text == "for y"
                await until(lambda: hub.failure(first) is not None)
                assert isinstance(hub.failure(first), NotSignedInError)

    run(main())
