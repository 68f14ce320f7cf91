"""What waits for a listener is there when it comes: after a send, a stop, a break, a redelivery, beside others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, client_of, run, say, shared_room, take, tell, texts, until
from webex.emulator.cloud import Cloud
from webex.realtime import dispatcher
from webex.storage import SQLiteStorage

# Sending


def test_sending_before_listening_again_loses_no_event(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
                async with bob.messages.listen(**QUICK) as events:
                    await say(alice, room, "one", "two")
                    await anext(events)
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
                await bob.conversations.post(room, "I am back")
                async with bob.messages.listen(**QUICK) as events:
                    assert texts(await take(events, 3)) == ["one again", "two", "I am back"]

    run(main())


def test_a_sending_process_does_not_replace_a_listening_socket(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            client_of(webex_cloud) as alice,
            client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob,
            client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as sender,
        ):
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await sender.conversations.post(room, "from elsewhere")
                await say(alice, room, "two")
                assert texts(await take(events, 2)) == ["from elsewhere", "two"]
                assert events.health.connections == 1

    run(main())


def test_events_between_two_listens_are_delivered(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await bob.conversations.post(room, "one")
                (await anext(events)).ack()
            await say(alice, room, "two")
            tell(webex_cloud, {"eventType": "nobody.knows"})  # acknowledged as soon as it is read
            await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 1)
            async with bob.messages.listen(**QUICK) as events:
                await say(alice, room, "three")
                assert texts(await take(events, 2)) == ["two", "three"]

    run(main())


# Stopping


def test_events_held_during_a_catch_up_are_delivered_after_a_stop(
    webex_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_GRACE", 0.0)

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
                async with bob.messages.listen(**QUICK) as events:
                    await say(alice, room, "one")
                    (await anext(events)).ack()
                for text in ("two", "three"):
                    webex_cloud.mercury.lose("bob")
                    fault = webex_cloud.faults.add("/conversation/*", status=503)
                    async with bob.messages.listen(**QUICK) as events:
                        await say(alice, room, text)
                        await until(lambda events=events: events._connection.dispatcher._held)
                    webex_cloud.faults.remove(fault)
                    if text == "two":
                        async with bob.messages.listen(**QUICK) as events:
                            (two,) = await take(events)
                            assert texts([two]) == ["two"]
                            two.ack()
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
                async with bob.messages.listen(**QUICK) as events:
                    assert texts(await take(events)) == ["three"]

    run(main())


def test_unwanted_events_do_not_hide_queued_ones(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "_GRACE", 0.0)

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await say(alice, room, "one", "two")
                (await anext(events)).ack()
                webex_cloud.clock.advance(120)
                await alice.rooms.update(room, title="Renamed")
                await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 1)
            webex_cloud.mercury.expire_devices("bob")
            async with bob.messages.listen(**QUICK) as events:
                assert texts(await take(events)) == ["two"]

    run(main())


# Coming twice


def test_a_repeated_frame_awaiting_a_key_is_acknowledged_when_handled(
    webex_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(webex_cloud.mercury, "push_later", lambda delay, *answer: held.append(answer))

    def answer() -> None:
        with webex_cloud.lock:
            webex_cloud.kms.set_faults(delay=0)
            for person_id, data in held:
                webex_cloud.mercury.push([person_id], data, keep=False)

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            webex_cloud.kms.set_faults(delay=1)  # until `answer` is called
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
                async with bob.messages.listen(**QUICK) as events:
                    lanes = events._connection.dispatcher._room_queues
                    await say(alice, room, "one")
                    await until(lambda: lanes)
                    webex_cloud.mercury.drop("bob")
                    await until(lambda: sum(map(len, lanes.values())) == 2)
                    await say(alice, room, "two")
                    answer()
                    assert texts(await take(events)) == ["one"]
                    await until(lambda: events._queue)  # "two" came: the repetition was taken before it
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
                async with bob.messages.listen(**QUICK) as events:
                    assert texts(await take(events, 2)) == ["one again", "two"]

    run(main())


# Others that listen


@pytest.mark.parametrize("reconnects", [False, True])
def test_unhandled_events_go_to_the_next_loop_on_a_shared_socket(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, reconnects: bool
) -> None:
    monkeypatch.setattr(dispatcher, "_GRACE", 0.0)

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.rooms.listen(**QUICK) as other:
                async with bob.messages.listen() as events:
                    await say(alice, room, "one", "two", "three")
                    await until(lambda: len(events._queue) == 3)
                    await anext(events)
                if reconnects:
                    webex_cloud.mercury.drop("bob")
                    await until(lambda: webex_cloud.mercury.opened_count == 2)
                    tell(webex_cloud, {"eventType": "nobody.knows"})
                    await until(lambda: webex_cloud.mercury.unacknowledged("bob") <= 3)
                async with bob.messages.listen() as events:
                    assert texts(await take(events, 3)) == ["one again", "two", "three"]
                assert other.health.connected

    run(main())


@pytest.mark.parametrize("grace", [60.0, 0.0])
@pytest.mark.parametrize("reconnects", [0, 1, 2])
def test_events_handled_by_one_subscription_are_not_redelivered_to_it(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, grace: float, reconnects: int
) -> None:
    monkeypatch.setattr(dispatcher, "_GRACE", grace)

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as stays:
                async with bob.messages.listen() as goes:
                    await say(alice, room, "one", "two")
                    for event in await take(stays, 2):
                        event.ack()
                    await until(lambda: len(goes._queue) == 2)
                    await anext(goes)
                for number in range(reconnects):
                    webex_cloud.mercury.drop("bob")
                    await until(lambda number=number: webex_cloud.mercury.opened_count == number + 2)
                    await say(alice, room, f"between {number}")
                    assert texts(await take(stays)) == [f"between {number}"]
                async with bob.messages.listen() as comes:
                    assert [event.data.text for event in await take(comes, 2)] == ["one", "two"]
                    await say(alice, room, "later")
                    assert texts(await take(stays)) == ["later"]

    run(main())


def test_an_event_in_progress_elsewhere_is_delivered_to_the_next(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as stays:
                async with bob.messages.listen() as goes:
                    await say(alice, room, "one")
                    await until(lambda: goes._queue)
                    in_hand = await anext(stays)
                async with bob.messages.listen() as comes:
                    in_hand.ack()
                    assert [event.data.text for event in await take(comes)] == ["one"]
                    await say(alice, room, "two")
                    assert texts(await take(stays)) == texts(await take(comes)) == ["two"]

    run(main())


def test_stopping_a_full_subscription_does_not_block_others(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as hears:
                await say(alice, room, "warm")
                await take(hears)
                full = await bob.messages.listen(max_queue=2)
                await say(alice, room, *"012345")
                assert texts(await take(hears, 2)) == ["0", "1"]
                await until(lambda: full._connection.dispatcher._skipped)
                await full.stop_listening()
                assert texts(await take(hears, 4)) == ["2", "3", "4", "5"]
                await say(alice, room, "later")
                assert texts(await take(hears)) == ["later"]

    run(main())
