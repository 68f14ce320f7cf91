"""Listening: events, acknowledgement, callbacks, slow consumers, gaps."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, client_of, run, shared_room, take, until
from webex import AsyncWebex, Webex
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError, ConnectionReplacedError, RealtimeError, SlowConsumerError
from webex.storage import SQLiteStorage

CARD = {"type": "AdaptiveCard", "version": "1.3", "body": []}


def test_a_message_is_delivered_decrypted_updated_and_deleted(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                sent = await alice.messages.create(room_id=room, markdown="**Hello**")
                await alice.messages.update(str(sent.id), room_id=room, text="Goodbye")
                await alice.messages.delete(str(sent.id))
                created, updated, deleted = await take(events, 3)
        assert (created.resource, created.event) == ("messages", "created")
        assert (created.data.id, created.data.text) == (sent.id, "Hello")
        assert created.data.html == sent.html
        assert created.actor_id == sent.person_id
        assert (updated.event, updated.data.id, updated.data.text) == ("updated", sent.id, "Goodbye")
        assert (deleted.event, deleted.data.id, deleted.data.text) == ("deleted", sent.id, None)

    run(main())


def test_rooms_memberships_and_card_actions_are_delivered(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            async with alice.listen() as events:
                room = await shared_room(alice)
                await alice.rooms.update(room, title="Another")
                sent = await alice.messages.create(room_id=room, text="card", card=CARD)
                await bob.request(
                    "POST",
                    "/attachment/actions",
                    json={"type": "submit", "messageId": sent.id, "inputs": {"name": "Bob"}},
                )
                heard = await take(events, 6)
        names = [f"{event.resource}:{event.event}" for event in heard]
        assert names == [
            "rooms:created",
            "memberships:created",
            "memberships:created",
            "rooms:updated",
            "messages:created",
            "attachmentActions:created",
        ]
        assert heard[0].data.title == "A room"
        assert heard[3].data.title == "Another"
        assert heard[4].data.attachments[0].content == CARD
        assert heard[5].data.inputs == {"name": "Bob"}
        assert heard[5].data.message_id == sent.id

    run(main())


def test_a_bot_receives_only_its_mentions_in_a_group(webex_cloud: Cloud) -> None:
    bot = next(person for person in webex_cloud.state.people.values() if person.kind == "bot")

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, bot.email) as hears:
            room = await shared_room(alice, bot.email)
            async with hears.messages.listen() as events:
                await alice.messages.create(room_id=room, text="not for you")
                await alice.messages.create(room_id=room, markdown=f"<@personEmail:{bot.email}> for you")
                await alice.messages.create(to_person_email=bot.email, text="between us")
                heard = await take(events, 2)
        assert [event.data.room_type for event in heard] == ["group", "direct"]
        assert "for you" in heard[0].data.text

    run(main())


def test_the_event_of_a_broken_loop_is_redelivered(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await alice.messages.create(room_id=room, text="one")
                await alice.messages.create(room_id=room, text="two")
                first = await anext(events)
                assert (first.data.text, first.redelivered) == ("one", False)
            async with bob.messages.listen() as events:
                again, second = await take(events, 2)
            assert (again.data.text, again.redelivered) == ("one", True)
            assert (second.data.text, second.redelivered) == ("two", False)

    run(main())


def test_a_manually_acknowledged_event_is_not_redelivered(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await alice.messages.create(room_id=room, text="one")
                (await anext(events)).ack()
            await alice.messages.create(room_id=room, text="two")
            async with bob.messages.listen() as events:
                (event,) = await take(events)
            assert event.data.text == "two"

    run(main())


def test_a_failing_callback_does_not_affect_the_others(webex_cloud: Cloud) -> None:
    async def main() -> None:
        heard: list[str] = []
        once: list[str] = []
        third = asyncio.Event()

        async def handle(event: Any) -> None:
            heard.append(event.data.text)
            if event.data.text == "two":
                raise ValueError("a handler's own fault")
            if event.data.text == "three":
                third.set()

        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            listening = await bob.messages.listen()
            listening.on("created", handle).once("created", lambda event: once.append(event.data.text))
            for text in ("one", "two", "three"):
                await alice.messages.create(room_id=room, text=text)
            await third.wait()
            await listening.stop_listening()
            assert webex_cloud.mercury.connections("bob") == 0
        assert heard == ["one", "two", "three"]
        assert once == ["one"]

    run(main())


def test_overflow_wait_loses_no_event(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(max_queue=2, **QUICK) as events:
                for number in range(12):
                    await alice.messages.create(room_id=room, text=str(number))
                await until(lambda: events.is_full)
                heard = await take(events, 12)
            assert [event.data.text for event in heard] == [str(number) for number in range(12)]

    run(main())


def test_overflow_drop_oldest_keeps_the_latest_events(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(max_queue=3, overflow="drop_oldest") as events, alice.listen() as own:
                for number in range(8):
                    await alice.messages.create(room_id=room, text=str(number))
                await take(own, 8)
                await until(lambda: events.health.gaps_found == 5)
                gap = await anext(events)
                heard = await take(events, 3)
            assert (gap.resource, gap.event) == ("gap", "gap")
            assert [event.data.text for event in heard] == ["5", "6", "7"]

    run(main())


def test_overflow_raise_gives_an_error(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(max_queue=1, overflow="raise") as events, alice.listen() as own:
                for number in range(4):
                    await alice.messages.create(room_id=room, text=str(number))
                await take(own, 4)
                await until(lambda: events._failure)
                await anext(events)
                with pytest.raises(SlowConsumerError):
                    await anext(events)

    run(main())


@pytest.mark.parametrize("wrong", [{"overflow": "explode"}, {"max_queue": 0}, {"device_name": ""}])
def test_wrong_options_are_refused(webex_cloud: Cloud, wrong: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            with pytest.raises(ConfigurationError):
                await alice.messages.listen(**wrong)

    run(main())


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 1013, 4401, 4404, 4999])
def test_any_other_close_reconnects(webex_cloud: Cloud, code: int) -> None:
    def fresh_token() -> str:
        return webex_cloud.token_for("bob")

    async def main() -> None:
        bob = AsyncWebex(refresh_callback=fresh_token, emulator_url=webex_cloud.url)
        async with client_of(webex_cloud) as alice, bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await alice.messages.create(room_id=room, text="before")
                assert (await anext(events)).data.text == "before"
                webex_cloud.mercury.drop("bob", code)
                await alice.messages.create(room_id=room, text="after")
                assert (await anext(events)).data.text == "after"

    run(main())


@pytest.mark.parametrize(
    ("code", "error"), [(4000, ConnectionReplacedError), (4400, RealtimeError), (4403, RealtimeError)]
)
def test_permanent_close_codes_end_listening(webex_cloud: Cloud, code: int, error: type[Exception]) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            async with bob.messages.listen(**QUICK) as events:
                webex_cloud.mercury.drop("bob", code)
                with pytest.raises(error):
                    await anext(events)

    run(main())


def test_a_shutdown_request_loses_no_event(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                for number in range(10):
                    if number == 4:
                        webex_cloud.mercury.shutdown("bob")
                    await alice.messages.create(room_id=room, text=str(number))
                heard = await take(events, 10)
                assert [event.data.text for event in heard] == [str(number) for number in range(10)]

    run(main())


def test_a_stored_device_is_reused_and_missed_events_are_delivered(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
                async with bob.messages.listen(**QUICK) as events:
                    await alice.messages.create(room_id=room, text="one")
                    await take(events)
            await alice.messages.create(room_id=room, text="two")
            webex_cloud.mercury.expire_devices("bob")
            await alice.messages.create(room_id=room, text="three")
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
                async with bob.messages.listen(**QUICK) as events:
                    heard = await take(events, 3)
            # "one" was in hand when the first process went: it was never asked past.
            assert [(event.data.text, event.redelivered) for event in heard] == [
                ("one", True),
                ("two", False),
                ("three", False),
            ]

    run(main())


def test_rest_fills_a_gap_without_the_conversation_service(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await alice.messages.create(room_id=room, text="one")
                (await anext(events)).ack()
                webex_cloud.faults.add("/conversation/*", status=404)
                with webex_cloud.lock:
                    webex_cloud.mercury.drop("bob")
                    webex_cloud.mercury.expire_devices("bob")
                await alice.messages.create(room_id=room, text="two")
                heard = await take(events, 2)
        assert {event.event for event in heard} == {"created", "gap"}
        assert next(event.data.text for event in heard if event.event == "created") == "two"

    run(main())


def test_blocking_code_can_listen(webex_cloud: Cloud) -> None:
    with (
        Webex(webex_cloud.token_for("alice"), emulator_url=webex_cloud.url) as alice,
        Webex(webex_cloud.token_for("bob"), emulator_url=webex_cloud.url) as bob,
    ):
        room = str(alice.rooms.create(title="A room").id)
        alice.memberships.create(room_id=room, person_email="bob@example.com")
        with bob.messages.listen() as events:
            alice.messages.create(room_id=room, text="one")
            assert events.get(timeout=20).data.text == "one"
            alice.messages.create(room_id=room, text="two")
            for event in events:
                assert event.data.text == "two"
                break
            with pytest.raises(TimeoutError):
                events.get(timeout=0.05)


def test_typing_events_are_delivered_and_presence_is_active(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.listen(("typing",)) as events:
                await alice.conversations.typing(room)
                await alice.conversations.typing(room, stopped=True)
                started, stopped = await take(events, 2)
                me = await bob.people.me()
                assert (await alice.presence.get(str(me.id))).status == "active"
        assert (started.resource, started.event, stopped.event) == ("typing", "started", "stopped")
        assert started.data.room_id == room

    run(main())


def test_a_subscription_started_while_another_stops_receives_events(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            first = await bob.messages.listen(**QUICK)
            going, second = await asyncio.gather(first.stop_listening(), bob.messages.listen(**QUICK).start())
            assert going is None
            await alice.messages.create(room_id=room, text="heard")
            assert (await anext(second)).data.text == "heard"
            await second.stop_listening()

    run(main())
