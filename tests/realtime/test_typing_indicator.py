"""The typing indicator: shown while a block runs, and ended whatever ends the block."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.realtime.helpers import client_of, run, shared_room, until
from webex import Webex
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError, NotFoundError, TransportError
from webex.ids import to_hydra_id

TYPING = "/conversation/api/v1/conversations/*/status/typing"


def signs(cloud: Cloud) -> list[str]:
    """What was shown, in order."""
    return [str(request.body["eventType"]).removeprefix("status.") for request in cloud.requests.find(path=TYPING)]


def test_a_block_sends_typing_start_and_stop(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.listen("typing") as events:
                async with alice.conversations.typing(room):
                    event = await events.wait_for("typing", "started", timeout=20)
                    assert (event.data.room_id, event.data.person_email) == (room, "alice@example.com")
                    assert signs(webex_cloud) == ["start_typing"]
                await events.wait_for("typing", "stopped", timeout=20)
            assert signs(webex_cloud) == ["start_typing", "stop_typing"]

    run(main())


def test_an_error_stops_typing_and_propagates(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            with pytest.raises(ZeroDivisionError):
                async with alice.conversations.typing(room):
                    raise ZeroDivisionError
            assert signs(webex_cloud) == ["start_typing", "stop_typing"]

    run(main())


def test_a_cancellation_stops_typing_and_propagates(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            entered = asyncio.Event()

            async def work() -> None:
                async with alice.conversations.typing(room):
                    entered.set()
                    await asyncio.Event().wait()

            task = asyncio.ensure_future(work())
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert signs(webex_cloud) == ["start_typing", "stop_typing"]

    run(main())


def test_a_second_cancellation_still_sends_the_stop(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            entered, leaving = asyncio.Event(), asyncio.Event()

            async def work() -> None:
                async with alice.conversations.typing(room):
                    entered.set()
                    try:
                        await asyncio.Event().wait()
                    finally:
                        leaving.set()

            task = asyncio.ensure_future(work())
            await entered.wait()
            task.cancel()
            await leaving.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: signs(webex_cloud) == ["start_typing", "stop_typing"])

    run(main())


def test_a_failed_stop_is_logged_and_hides_no_error(webex_cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            with pytest.raises(ZeroDivisionError):
                async with alice.conversations.typing(room):
                    webex_cloud.faults.add(TYPING, status=403)
                    raise ZeroDivisionError

    with caplog.at_level(logging.WARNING, logger="webex.realtime"):
        run(main())
    assert "typing has stopped could not be shown: PermissionDeniedError" in caplog.text


def test_a_connection_that_is_lost_within_the_block_hides_nothing(
    webex_cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            with pytest.raises(ZeroDivisionError):
                async with alice.conversations.typing(room):
                    manager = alice._app.realtime.manager()
                    (connection,) = manager.listeners()
                    manager.config = manager.config.replace(timeout=0.5)  # only of what cannot succeed
                    webex_cloud.mercury.set_faults(refuse_upgrade=503)
                    webex_cloud.mercury.drop("alice", code=4400)
                    await until(lambda: not connection.is_running)
                    raise ZeroDivisionError

    with caplog.at_level(logging.WARNING, logger="webex.realtime"):
        run(main())
    assert "typing has stopped could not be shown: " in caplog.text


def test_a_sign_without_an_answer_is_taken_back(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            webex_cloud.faults.add(TYPING, drop=True, after_processing=True, count=1)
            with pytest.raises(TransportError):
                async with alice.conversations.typing(room):
                    raise AssertionError("it was entered")
            await until(lambda: signs(webex_cloud) == ["start_typing", "stop_typing"])

    run(main())


def test_a_missing_room_raises_on_entering(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            with pytest.raises(NotFoundError):
                async with alice.conversations.typing(to_hydra_id("ROOM", webex_cloud.new_uuid())):
                    raise AssertionError("it was entered")

    run(main())


def test_awaiting_sends_one_typing_event(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            await alice.conversations.typing(room)
            await asyncio.create_task(alice.conversations.typing(room, stopped=True))
            await asyncio.gather(alice.conversations.typing(room))
            assert signs(webex_cloud) == ["start_typing", "stop_typing", "start_typing"]
            with pytest.raises(ConfigurationError, match="stopped="):
                async with alice.conversations.typing(room, stopped=True):
                    raise AssertionError("it was entered")

    run(main())


def test_blocking_code_has_the_block_and_single_events(webex_cloud: Cloud) -> None:
    with Webex(webex_cloud.token_for("alice"), emulator_url=webex_cloud.url) as alice:
        room = str(alice.rooms.create(title="A room").id)
        with pytest.raises(ZeroDivisionError), alice.conversations.typing(room):
            assert signs(webex_cloud) == ["start_typing"]
            raise ZeroDivisionError
        assert signs(webex_cloud) == ["start_typing", "stop_typing"]
        alice.conversations.typing(room)
        alice.conversations.typing(room, stopped=True)
        assert signs(webex_cloud)[2:] == ["start_typing", "stop_typing"]
        with pytest.raises(ConfigurationError, match="stopped="), alice.conversations.typing(room, stopped=True):
            raise AssertionError("it was entered")
        with alice.conversations.typing(room):
            webex_cloud.faults.add(TYPING, status=403)
