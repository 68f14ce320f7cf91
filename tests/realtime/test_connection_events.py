"""What a subscription tells of its connection, what other services send, and one certain event."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, Shelf, activity, client_of, run, say, shared_room, take, tell, texts, until
from webex import Webex
from webex.emulator.accounts import ALICE_ID
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError, RealtimeError, SlowConsumerError, StorageError
from webex.ids import to_uuid
from webex.realtime import RealtimeMessageEvent
from webex.realtime.event import Occurrence
from webex.realtime.kinds import make_event
from webex.telemetry import CatchUpFinished, Connected, Disconnected

# The connection


def test_connection_callbacks_run_while_events_are_iterated(webex_cloud: Cloud) -> None:
    told: list[Any] = []

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            events = bob.messages.listen(**QUICK)  # type: ignore[arg-type]  # options
            events.on("connected", told.append)

            async def disconnected(notice: Disconnected) -> None:
                await asyncio.sleep(0)
                told.append(notice)

            events.on("disconnected", disconnected)
            events.on("caught_up", told.append)
            async with events:
                await say(alice, room, "one")
                assert texts(await take(events)) == ["one"]
                webex_cloud.mercury.drop("bob", code=1011)
                await until(lambda: len(told) == 3)
                webex_cloud.mercury.set_faults(number_gap=1)
                await say(alice, room, "two")
                assert texts(await take(events)) == ["two"]
                await until(lambda: isinstance(told[-1], CatchUpFinished))
            assert [type(each) for each in told] == [Connected, Disconnected, Connected, CatchUpFinished]
            assert [each.again for each in told if isinstance(each, Connected)] == [False, True]
            assert (told[1].code, told[1].action) == (1011, "reconnect")

    run(main())


def test_a_removed_or_failing_callback_does_not_stop_the_others(webex_cloud: Cloud) -> None:
    told: list[str] = []

    def broken(notice: Connected) -> None:
        told.append("broken")
        raise ZeroDivisionError

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            events = bob.messages.listen(**QUICK)  # type: ignore[arg-type]  # options
            removed = events.on("connected", lambda notice: told.append("removed")).off("connected")
            assert removed is events
            events.on("connected", broken)
            events.once("connected", lambda notice: told.append("once"))
            events.on("connected", lambda notice: told.append("each"))
            async with events:
                webex_cloud.mercury.drop("bob", code=1011)
                await until(lambda: told.count("each") == 2)
            assert told == ["broken", "once", "each", "broken", "each"]
            with pytest.raises(ConfigurationError, match="caught_up"):
                events.on("reconnected", broken)

    run(main())


def test_blocking_callbacks_get_connection_events_from_the_first(webex_cloud: Cloud) -> None:
    told: list[Any] = []
    with Webex(webex_cloud.token_for("bob"), emulator_url=webex_cloud.url) as bob:
        events = bob.messages.listen(**QUICK)  # type: ignore[arg-type]  # options
        events.on("connected", told.append).on("disconnected", told.append)
        assert webex_cloud.mercury.connections("bob") == 0
        with events:
            webex_cloud.mercury.drop("bob", code=1011)
            asyncio.run(until(lambda: len(told) == 3))
    assert [type(each) for each in told] == [Connected, Disconnected, Connected]


# Other services


def test_unknown_frames_and_activities_are_delivered_raw(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.listen("*") as events:
                tell(webex_cloud, {"eventType": "locus.difference", "locus": {"sequence": 7}})
                await alice.conversations.post(room, "a message")  # has a resource of its own
                await alice.conversations.rotate_key(room)
                await bob.conversations.update(room, favorite=True)
                found = await take(events, 3)
            frame, key, favorite = found
            assert (frame.resource, frame.event, frame.data["locus"]) == ("*", "locus.difference", {"sequence": 7})
            assert [each.event for each in (key, favorite)] == ["conversation.activity"] * 2
            assert [each.data["verb"] for each in (key, favorite)] == ["updateKey", "favorite"]
            assert key.actor is not None
            assert key.actor.email == "alice@example.com"

    run(main())


def test_an_unhandled_unknown_activity_is_redelivered(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            events = await bob.listen("*", ack="manual")
            other = await bob.messages.listen()
            await bob.conversations.update(room, muted=True)
            assert [event.data["verb"] for event in await take(events)] == ["mute"]
            await events.stop_listening()
            async with bob.listen("*") as again:
                assert [(event.data["verb"], event.redelivered) for event in await take(again)] == [("mute", True)]
            await other.stop_listening()

    run(main())


def test_what_has_a_name_of_its_own_is_told_by_that_name_only(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob, bob.listen(["typing", "presence", "*"]) as events:
            alice = {"id": ALICE_ID, "emailAddress": "alice@example.com"}
            typing = {"eventType": "status.start_typing", "actor": alice, "conversationId": webex_cloud.new_uuid()}
            tell(webex_cloud, typing)
            tell(webex_cloud, {"eventType": "apheleia.subscription_update", "subject": ALICE_ID, "status": "dnd"})
            tell(webex_cloud, {"eventType": "status.start_typing"})  # which says neither who nor where
            found = await take(events, 3)
            assert [(each.resource, each.event) for each in found] == [
                ("typing", "started"),
                ("presence", "updated"),
                ("*", "status.start_typing"),
            ]

    run(main())


def test_callbacks_accept_event_types_of_other_services(webex_cloud: Cloud) -> None:
    told: list[Any] = []

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            events = await bob.listen("*")
            events.on("locus.difference", told.append)
            tell(webex_cloud, {"eventType": "locus.sync"})
            tell(webex_cloud, {"eventType": "locus.difference"})
            await until(lambda: told)
            assert [event.event for event in told] == ["locus.difference"]
            await events.stop_listening()
            messages = await bob.messages.listen()
            with pytest.raises(ConfigurationError, match="locus"):
                messages.on("locus.difference", told.append)
            await messages.stop_listening()

    run(main())


# One certain event


def test_wait_for_finds_events_received_before_the_wait(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.listen(["messages", "memberships"]) as events:
                await say(alice, room, "one", "two", "three")
                await until(lambda: len(events._queue) == 3)
                event = await events.wait_for("messages", "created", lambda each: each.data.text == "two", timeout=20)
                assert isinstance(event, RealtimeMessageEvent)
                assert event.data.text == "two"
                assert texts(await take(events, 2)) == ["one", "three"]  # the others, in their order
                waiting = asyncio.ensure_future(events.wait_for("messages", timeout=20))
                await asyncio.sleep(0)
                await say(alice, room, "four")
                assert texts([await waiting]) == ["four"]

    run(main())


def test_concurrent_waits_each_get_their_event(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.listen() as events:

                def wait(text: str) -> Any:
                    return events.wait_for("messages", "created", lambda each: each.data.text == text, timeout=20)

                waiting = asyncio.gather(*(wait(text) for text in ("one", "two", "three")))
                await say(alice, room, "three", "two", "one")
                assert texts(await waiting) == ["one", "two", "three"]

    run(main())


def test_a_timed_out_wait_takes_no_event(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.listen() as events:
                with pytest.raises(TimeoutError, match="messages:deleted"):
                    await events.wait_for("messages", "deleted", timeout=0.01)
                waiting = asyncio.ensure_future(events.wait_for("messages"))
                await asyncio.sleep(0)
                waiting.cancel()
                await say(alice, room, "one")
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                with pytest.raises(ZeroDivisionError):
                    await events.wait_for("messages", predicate=lambda each: 1 / 0)
                assert texts(await take(events)) == ["one"]
                assert not events._waiters

    run(main())


def test_a_wait_cancelled_at_arrival_loses_no_event(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.listen() as events:
                waiting = asyncio.ensure_future(events.wait_for("messages"))
                await asyncio.sleep(0)
                offer = events.offer

                def offered(event: Any, delivery: Any) -> None:
                    offer(event, delivery)  # which wakes the waiting task …
                    waiting.cancel()  # … that is cancelled before it runs

                events.offer = offered  # type: ignore[method-assign]  # the point of the test
                await say(alice, room, "one")
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                assert texts(await take(events)) == ["one"]

    run(main())


def test_a_waited_event_is_handled_at_the_next_call(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            other = await bob.rooms.listen()  # keeps the connection
            async with bob.messages.listen() as events:
                await say(alice, room, "one", "two", "three")
                (outer,) = await take(events)
                await events.wait_for("messages")
                await events.wait_for("messages")
                assert outer.receipt is not None  # the iteration's own is still in hand
            async with bob.messages.listen() as events:
                assert texts(await take(events, 2)) == ["one again", "three again"]
            await other.stop_listening()

    run(main())


def test_wait_for_respects_max_in_hand(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(ack="manual", max_in_hand=1) as events:
                await say(alice, room, "one", "two")
                first = await events.wait_for("messages", timeout=20)
                with pytest.raises(TimeoutError):
                    await events.wait_for("messages", timeout=0.01)
                first.ack()
                assert texts([await events.wait_for("messages", timeout=20)]) == ["two"]

    run(main())


def test_a_loop_goes_on_while_an_event_of_wait_for_is_in_hand(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob, bob.listen("*") as events:
            dispatcher = events._connection.dispatcher
            looping = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            # wait_for is called after the event has come, and before the loop runs again.
            dispatcher.announce(make_event(Occurrence("*", "the.first", "", {}), dispatcher.audience, {}))
            first = await events.wait_for("*", "the.first", timeout=20)
            await asyncio.sleep(0)
            tell(webex_cloud, {"eventType": "the.second"})
            assert (first.event, (await looping).event) == ("the.first", "the.second")

    run(main(), 20)


@pytest.mark.parametrize("cancelled", [False, True], ids=["failed", "cancelled"])
def test_an_event_that_wait_for_could_not_write_down_is_that_of_the_loop(webex_cloud: Cloud, cancelled: bool) -> None:
    shelf = Shelf()

    async def main() -> None:
        writing, gate = asyncio.Event(), asyncio.Event()

        async def trouble(call: str, key: str) -> None:
            if call == "put" and "slot-" in key and not gate.is_set():
                writing.set()
                await gate.wait()
                raise OSError("the disk is full")

        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob", storage=shelf) as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                await say(alice, room, "one")
                await until(lambda: len(events._queue) == 1)
                shelf.trouble = trouble
                waiting = asyncio.ensure_future(events.wait_for("messages", timeout=20))
                await writing.wait()
                looping = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0)
                if cancelled:
                    waiting.cancel()
                    await asyncio.sleep(0)
                gate.set()
                with pytest.raises(asyncio.CancelledError if cancelled else StorageError):
                    await waiting
                assert texts([await looping]) == ["one"]

    run(main(), 20)


def test_a_wait_that_cannot_succeed_is_refused(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(max_queue=2) as events:
                with pytest.raises(ConfigurationError, match="messages, not to 'rooms'"):
                    await events.wait_for("rooms")
                await say(alice, room, "one", "two", "three")
                with pytest.raises(SlowConsumerError, match="2 other events"):
                    await events.wait_for("messages", "deleted", timeout=20)
                assert texts(await take(events, 3)) == ["one", "two", "three"]
                waiting = asyncio.ensure_future(events.wait_for("messages", "deleted"))
                await asyncio.sleep(0)
                await events.stop_listening()
                with pytest.raises(RealtimeError, match="stopped"):
                    await waiting
            events = await bob.messages.listen()
            events.on("created", print)
            with pytest.raises(ConfigurationError, match="callbacks"):
                await events.wait_for("messages")
            await events.stop_listening()

    run(main())


def test_blocking_code_waits_for_one_event(webex_cloud: Cloud) -> None:
    with (
        Webex(webex_cloud.token_for("alice"), emulator_url=webex_cloud.url) as alice,
        Webex(webex_cloud.token_for("bob"), emulator_url=webex_cloud.url) as bob,
    ):
        room = str(alice.rooms.create(title="A room").id)
        alice.memberships.create(room_id=room, person_email="bob@example.com")
        with bob.listen() as events:
            for text in ("one", "two"):
                alice.messages.create(room_id=room, text=text)
            found = events.wait_for("messages", "created", lambda event: event.data.text == "two", timeout=20)
            assert found.data.text == "two"
            assert texts([events.get(timeout=20)]) == ["one"]
            with pytest.raises(TimeoutError, match="messages:deleted"):
                events.wait_for("messages", "deleted", timeout=0.01)
            assert to_uuid(str(found.data.room_id)) == to_uuid(room)


def test_in_blocking_code_threads_wait_and_iterate_at_once(webex_cloud: Cloud) -> None:
    with Webex(webex_cloud.token_for("bob"), emulator_url=webex_cloud.url) as bob, bob.listen("*") as events:
        with ThreadPoolExecutor(1) as threads:
            iterating = threads.submit(events.get, 20)
            with pytest.raises(TimeoutError, match=r"the\.last"):
                events.wait_for("*", "the.last", timeout=0.01)
            events.on("disconnected", print)
            assert not iterating.done()
            tell(webex_cloud, {"eventType": "the.first"})
            assert iterating.result(20).event == "the.first"


def test_a_malformed_activity_is_not_delivered_as_a_raw_event(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.listen("*") as events:
                broken = {
                    "eventType": "conversation.activity",
                    "activity": activity(webex_cloud, room, "post", object={}),
                }
                tell(webex_cloud, {"eventType": "conversation.activity", "activity": {"no": "id"}})
                tell(webex_cloud, {"eventType": 7})
                tell(webex_cloud, broken)
                tell(webex_cloud, {"eventType": "the.last"})
                assert (await events.wait_for("*", "the.last", timeout=20)).data["eventType"] == "the.last"

    run(main())
