"""What a socket of a user reports: connections, closes, catch-ups and gaps."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, TypeVar

import pytest

from tests.realtime.helpers import QUICK, client_of, run, say, shared_room, take, texts, until
from webex import AsyncIntegration, AsyncWebex
from webex.emulator import Cloud
from webex.emulator.accounts import BOB_ID, CLIENT_ID, CLIENT_SECRET, REDIRECT_URIS
from webex.errors import ConnectionReplacedError, RealtimeError
from webex.http import Hooks
from webex.storage import MemoryStorage
from webex.telemetry import (
    CatchUpFinished,
    CatchUpStarted,
    Connected,
    ConnectionEnded,
    Disconnected,
    GapReported,
    TelemetryEvent,
)

DEVICE = "webex-python-sdk"

E = TypeVar("E", bound=TelemetryEvent)
_KINDS = (Connected, ConnectionEnded, Disconnected, CatchUpStarted, CatchUpFinished, GapReported)


class Recorder(Hooks):
    def __init__(self) -> None:
        self.events: list[TelemetryEvent] = []

    def on_event(self, event: TelemetryEvent) -> None:
        if isinstance(event, _KINDS):
            self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        return [each for each in self.events if isinstance(each, kind)]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def bob_of(cloud: Cloud, recorder: Recorder, **more: Any) -> AsyncWebex:
    return client_of(cloud, "bob", hooks=[recorder], **more)


def test_first_connection_is_reported_once(webex_cloud: Cloud, recorder: Recorder) -> None:
    async def main() -> None:
        async with bob_of(webex_cloud, recorder) as bob, bob.messages.listen(**QUICK):
            pass

    run(main())
    assert recorder.events == [Connected(BOB_ID, again=False, device=DEVICE), ConnectionEnded(BOB_ID, DEVICE)]


def test_user_is_named_by_integration_key_or_uuid(webex_cloud: Cloud, recorder: Recorder) -> None:
    app = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_uri": REDIRECT_URIS[0]}

    async def main() -> None:
        async with bob_of(webex_cloud, recorder, storage=MemoryStorage()) as bob, bob.messages.listen(**QUICK):
            pass
        async with AsyncIntegration(**app, emulator_url=webex_cloud.url, hooks=[recorder]) as integration:
            await integration.adopt("key-of-the-app", webex_cloud.token_for("bob"))
            async with integration.user("key-of-the-app").messages.listen(**QUICK):
                pass

    run(main())
    assert [each.user for each in recorder.of(Connected)] == [BOB_ID, "key-of-the-app"]


def test_dropped_socket_is_reported_with_its_code_and_the_wait(webex_cloud: Cloud, recorder: Recorder) -> None:
    async def main() -> None:
        async with bob_of(webex_cloud, recorder) as bob, bob.messages.listen(**QUICK):
            webex_cloud.mercury.drop("bob", 1011)
            await until(lambda: len(recorder.of(Connected)) == 2)

    run(main())
    assert recorder.of(Connected)[1] == Connected(BOB_ID, again=True, device=DEVICE)
    (closed,) = recorder.of(Disconnected)
    assert (closed.user, closed.code, closed.action) == (BOB_ID, 1011, "reconnect")
    assert 0 <= closed.wait <= QUICK["first_pause"]


def test_refused_upgrades_are_reported_with_their_status(webex_cloud: Cloud, recorder: Recorder) -> None:
    webex_cloud.mercury.set_faults(refuse_upgrade=404, refuse_count=2)

    async def main() -> None:
        async with bob_of(webex_cloud, recorder) as bob, bob.messages.listen(**QUICK):
            pass

    run(main())
    assert [(each.code, each.reason) for each in recorder.of(Disconnected)] == [(4404, "Not Found")] * 2
    assert {each.action for each in recorder.of(Disconnected)} == {"refresh the device, then reconnect"}
    assert recorder.events[-2:] == [
        Connected(BOB_ID, again=False, device=DEVICE),
        ConnectionEnded(BOB_ID, DEVICE),
    ]


def test_final_close_is_reported_as_a_stop(webex_cloud: Cloud, recorder: Recorder) -> None:
    webex_cloud.mercury.set_faults(refuse_upgrade=403, refuse_count=1)

    async def main() -> None:
        async with bob_of(webex_cloud, recorder) as bob:
            with pytest.raises(RealtimeError):
                await bob.messages.listen(**QUICK)

    run(main())
    (closed,) = recorder.of(Disconnected)
    assert closed.action == "stop: this account may not listen"
    assert closed.wait == 0


def test_replaced_socket_is_reported_as_a_stop(webex_cloud: Cloud, recorder: Recorder) -> None:
    async def main() -> None:
        async with bob_of(webex_cloud, recorder) as bob, bob.messages.listen(**QUICK) as events:
            webex_cloud.mercury.drop("bob", 4000)
            with pytest.raises(ConnectionReplacedError):
                await anext(events)

    run(main())
    (closed,) = recorder.of(Disconnected)
    assert closed.code == 4000
    assert str(closed).endswith("stop: another socket has taken the registration")


def test_failing_service_is_reported_by_error_name(webex_cloud: Cloud, recorder: Recorder) -> None:
    async def main() -> None:
        webex_cloud.faults.add("/wdm/api/v1/devices", status=503, count=1)
        async with bob_of(webex_cloud, recorder, max_retries=0) as bob, bob.messages.listen(**QUICK):
            pass

    run(main())
    (closed,) = recorder.of(Disconnected)
    assert (closed.code, closed.reason) == (None, "ServiceUnavailableError")


def test_catch_up_is_reported_with_the_number_of_events(webex_cloud: Cloud, recorder: Recorder) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, bob_of(webex_cloud, recorder) as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await say(alice, room, "before")
                await take(events)
                webex_cloud.mercury.set_faults(refuse_upgrade=503, refuse_count=1_000)
                webex_cloud.mercury.drop("bob")
                await until(lambda: recorder.of(Disconnected))
                await say(alice, room, "one", "two")
                webex_cloud.mercury.expire_devices("bob")
                webex_cloud.mercury.set_faults(refuse_upgrade=0)
                assert texts(await take(events, 2)) == ["one", "two"]

    run(main())
    (started,) = recorder.of(CatchUpStarted)
    (finished,) = recorder.of(CatchUpFinished)
    assert started.user == finished.user == BOB_ID
    assert started.since.endswith("Z")
    assert finished.events == 2
    assert recorder.of(GapReported) == []


def test_gap_is_reported_as_a_warning_once(
    webex_cloud: Cloud, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "webex.realtime")

    async def main() -> None:
        async with client_of(webex_cloud) as alice, bob_of(webex_cloud, recorder) as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(max_queue=2, overflow="drop_oldest", **QUICK) as events:
                async with bob.rooms.listen(**QUICK):
                    await say(alice, room, *"abcd")
                    await until(lambda: events._dropped == 2)
                    assert (await anext(events)).event == "gap"

    run(main())
    assert recorder.of(GapReported) == [GapReported(BOB_ID, "2 events were dropped: their consumer was too slow")]
    lines = [record.getMessage() for record in caplog.records if getattr(record, "webex", None) is not None]
    assert lines == [f"socket of {BOB_ID}: events may be missing (2 events were dropped: their consumer was too slow)"]


def test_log_holds_no_token_and_no_address(webex_cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "webex.realtime")
    token = webex_cloud.token_for("bob")

    async def main() -> None:
        async with client_of(webex_cloud) as alice, AsyncWebex(token, emulator_url=webex_cloud.url) as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                webex_cloud.mercury.drop("bob")
                await say(alice, room, "words")
                await take(events)
                await asyncio.sleep(0)

    run(main())
    assert "reconnected" in caplog.text
    assert token not in caplog.text
    assert "bob@example.com" not in caplog.text
    assert "words" not in caplog.text
