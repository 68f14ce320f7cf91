"""What goes over the Mercury socket, frame by frame, between the client and the emulator."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.realtime.helpers import QUICK, activity, client_of, run, shared_room, take, tell
from tests.realtime.wiretap import Frame, tapped
from webex.emulator.cloud import Cloud
from webex.realtime.mercury.timers import Timer, TimerWheel
from webex.storage import SQLiteStorage

STATE = "mercury.buffer_state"


def is_kind(frame: Frame, kind: str) -> bool:
    return kind in (frame.get("type"), frame.get("data", {}).get("eventType"))


def before(kind: str, *others: Any) -> Callable[[Frame], list[Any]]:
    """Say something more before each frame of a kind."""
    return lambda frame: [*others, frame] if is_kind(frame, kind) else [frame]


def without(kind: str) -> Callable[[Frame], list[Any]]:
    """Say no frame of a kind."""
    return lambda frame: [] if is_kind(frame, kind) else [frame]


# From the upgrade to being ready


@pytest.mark.parametrize("given", ["", "?shard=7&empty="])
def test_the_socket_url_adds_client_features_and_keeps_its_query(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud, "bob") as bob:
            wire.query = given
            async with bob.messages.listen():
                understood = {"outboundWireFormat": "text", "bufferStates": "true", "aliasHttpStatus": "true"}
                assert wire.line.query.items() >= understood.items()
                assert wire.line.query.get("shard") == ("7" if given else None)
                assert ("empty=" in wire.line.path) == bool(given)

    run(main())


@pytest.mark.parametrize("ephemeral", [True, False])
def test_only_a_short_lived_device_has_many_connections(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ephemeral: bool
) -> None:
    async def main() -> None:
        storage = SQLiteStorage(tmp_path / "s.db")
        async with tapped(monkeypatch) as wire, client_of(webex_cloud, "bob", storage=storage) as bob:
            async with bob.messages.listen(ephemeral=ephemeral):
                assert wire.line.query.get("multipleConnections") == ("true" if ephemeral else None)

    run(main())


def test_the_first_frame_shows_the_token(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud, "bob") as bob, bob.messages.listen():
            first = wire.line.sent[0]
            assert first["type"] == "authorization"
            assert UUID(first["id"])
            kind, _, value = first["data"]["token"].partition(" ")
            assert kind == "Bearer"
            assert webex_cloud.state.tokens.get(value) is not None

    run(main())


@pytest.mark.parametrize("kind", [STATE, "mercury.registration_status"])
def test_listening_starts_with_the_state_frame(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud, "bob") as bob:
            wire.rewrite = without(STATE)
            listening = bob.messages.listen()
            starting = asyncio.ensure_future(listening.start())
            await wire.until(lambda: wire.lines and wire.line.sent)
            await wire.line.say({"id": "early", "data": {"eventType": "mercury.something"}})
            done, _ = await asyncio.wait({starting}, timeout=0.3)
            assert not done
            await wire.line.say({"id": "state", "data": {"eventType": kind, "bufferState": {}}})
            await starting
            await wire.until(lambda: {"early", "state"} <= {*wire.line.acknowledged})
            await listening.stop_listening()

    run(main())


def test_frames_before_the_state_frame_are_delivered(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            data = {"eventType": "conversation.activity", "activity": activity(webex_cloud, room)}
            wire.rewrite = before(STATE, {"id": "early", "data": data, "sequenceNumber": 0})
            async with bob.messages.listen() as events:
                (event,) = await take(events)
                assert event.data.text == "in the clear"
                assert "early" not in wire.line.acknowledged
                event.ack()
                await wire.until(lambda: "early" in wire.line.acknowledged)
            assert len(wire.lines) == 1

    run(main())


# Pings


def test_a_ping_follows_the_state_frame_at_once(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud, "bob") as bob:
            async with bob.messages.listen(ping_interval=3600):
                await wire.until(lambda: wire.line.pings)
                (state,) = wire.line.of(STATE)
                assert [frame["type"] for frame in wire.line.sent[:3]] == ["authorization", "ack", "ping"]
                assert wire.line.acknowledged[0] == state["id"]

    run(main())


def test_each_ping_has_a_unique_id_repeated_by_its_pong(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud, "bob") as bob:
            async with bob.messages.listen(ping_interval=0.01):
                await wire.until(lambda: len(wire.line.of("pong")) == 3)
                assert len({UUID(ping) for ping in wire.line.pings}) == len(wire.line.pings) >= 3
                assert [pong["id"] for pong in wire.line.of("pong")] == wire.line.pings[:3]
            assert len(wire.lines) == 1

    run(main())


def test_a_pong_has_14_seconds_and_the_next_ping_follows_15_later(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    due: list[tuple[float, Callable[[], None]]] = []
    after = TimerWheel.after

    def noted(wheel: TimerWheel, seconds: float, call: Callable[[], None]) -> Timer:
        if seconds in (14.0, 15.0):
            due.append((seconds, call))
        return after(wheel, seconds, call)

    monkeypatch.setattr(TimerWheel, "after", noted)

    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud, "bob") as bob, bob.messages.listen():
            await wire.until(lambda: wire.line.of("pong") and wire.line.of("pong")[0]["id"] in wire.line.acknowledged)
            assert [seconds for seconds, _ in due] == [14.0, 15.0]
            assert len(wire.line.pings) == 1
            due[1][1]()  # as if 15 seconds had passed
            await wire.until(lambda: len(wire.line.pings) == 2)

    run(main())


@pytest.mark.parametrize(
    ("rewrite", "limit", "reason"),
    [
        (without("pong"), 0.3, "Pong not received"),
        (lambda frame: [{**frame, "id": "another"} if is_kind(frame, "pong") else frame], 60.0, "Pong mismatch"),
    ],
)
def test_a_missing_or_wrong_pong_reconnects(
    webex_cloud: Cloud,
    monkeypatch: pytest.MonkeyPatch,
    rewrite: Callable[[Frame], list[Any]],
    limit: float,
    reason: str,
) -> None:
    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            wire.rewrite = rewrite
            async with bob.messages.listen(pong_timeout=limit, **QUICK) as events:
                await wire.until(lambda: "close 1" in wire.log)
                assert wire.lines[0].closed == (1000, reason)
                wire.rewrite = lambda frame: [frame]
                await alice.messages.create(room_id=room, text="still there")
                (event,) = await take(events)
                assert event.data.text == "still there"

    run(main())


# Acknowledgements


def test_each_frame_is_acknowledged_only_by_its_id(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                await alice.messages.create(room_id=room, text="one")
                (event,) = await take(events)
                event.ack()
                line = wire.line
                await wire.until(lambda: len(line.acknowledged) == len(line.heard) >= 5)
                kinds = {frame.get("type") or frame["data"]["eventType"] for frame in line.heard}
                assert kinds == {STATE, "pong", "conversation.activity", "encryption.kms_message"}
                assert sorted(line.acknowledged) == sorted(frame["id"] for frame in line.heard)
                acks = [frame for frame in line.sent if frame["type"] == "ack"]
                assert all(frame.keys() == {"messageId", "type"} for frame in acks)
                assert event.activity_id not in line.acknowledged
                assert event.data.id not in line.acknowledged

    run(main())


def test_a_frame_that_is_not_a_json_object_is_ignored(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                await wire.until(lambda: len(wire.line.acknowledged) == 2)
                for nonsense in ("{", '{"id": "half', "[]", "null", '"text"'):
                    await wire.line.say(nonsense)
                await alice.messages.create(room_id=room, text="after it")
                (event,) = await take(events)
                event.ack()
                assert event.data.text == "after it"
                known = {frame["id"] for frame in wire.line.heard if isinstance(frame, dict)}
                await wire.until(lambda: known <= {*wire.line.acknowledged})
                assert {*wire.line.acknowledged} == known
            assert len(wire.lines) == 1

    run(main())


def test_a_frame_without_id_is_delivered(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                webex_cloud.mercury.set_faults(frame_without_id=1)
                await alice.messages.create(room_id=room, text="one")
                await alice.messages.create(room_id=room, text="two")
                heard = await take(events, 2)
                assert [event.data.text for event in heard] == ["one", "two"]
                assert events.health.connections == 1

    run(main())


def test_events_of_unknown_types_are_acknowledged_and_ignored(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.listen() as events:
                for data in ({"eventType": "user.app_item"}, {"eventType": "never.heard_of", "activity": 5}, {}):
                    tell(webex_cloud, data)
                await wire.until(lambda: len(wire.line.acknowledged) == len(wire.line.heard) == 2 + 3)
                await alice.messages.create(room_id=room, text="the first to hear")
                (event,) = await take(events)
                assert event.data.text == "the first to hear"

    run(main())


# Numbers


def test_a_sequence_gap_is_logged_once_with_its_bounds(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="webex.realtime")

    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud, "bob") as bob, bob.messages.listen() as events:
            await wire.until(lambda: wire.line.of("pong"))
            last = wire.line.of("pong")[0]["sequenceNumber"]
            for number in (last + 3, last + 4):
                await wire.line.say({"id": f"n{number}", "data": {"eventType": "a.b"}, "sequenceNumber": number})
            await wire.until(lambda: f"n{last + 4}" in wire.line.acknowledged)
            assert events.health.gaps_found == 1
            told = [record.args for record in caplog.records if "are missing" in record.msg]
            assert told == [(last + 1, last + 2)]

    run(main())


def test_a_frame_without_a_number_does_not_affect_the_sequence(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        webex_cloud.mercury.set_faults(pong_without_number=1)
        async with tapped(monkeypatch) as wire, client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                await wire.until(lambda: wire.line.of("pong"))
                assert "sequenceNumber" not in wire.line.of("pong")[0]
                for odd in ({}, {"sequenceNumber": None}, {"sequenceNumber": "9"}, {"sequenceNumber": True}):
                    await wire.line.say({"id": "odd", "data": {"eventType": "a.b"}, **odd})
                await alice.messages.create(room_id=room, text="one")
                (event,) = await take(events)
                assert event.data.text == "one"
                assert events.health.gaps_found == 0
                # The count goes on: the next gap is still found.
                webex_cloud.mercury.set_faults(number_gap=1)
                await alice.messages.create(room_id=room, text="two")
                await take(events)
                assert events.health.gaps_found == 1

    run(main())


# What stands beside the data


@pytest.mark.parametrize("within", [True, False])
def test_headers_are_applied_to_the_body_before_delivery(webex_cloud: Cloud, within: bool) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            data: dict[str, Any] = {"eventType": "conversation.activity", "activity": activity(webex_cloud, room)}
            changes = {"activity.object.displayName": "changed", "activity.target.nothing.there": 1, "route": "x"}
            headers = {f"data.{path}": value for path, value in changes.items()}
            async with bob.messages.listen() as events:
                if within:
                    tell(webex_cloud, {**data, "headers": changes})
                else:
                    tell(webex_cloud, data, headers=headers)
                (event,) = await take(events)
                assert event.data.text == "changed"

    run(main())
