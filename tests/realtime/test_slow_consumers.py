"""Who takes events slowly, or fails at them, loses none and hears them in order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, Shelf, client_of, run, say, shared_room, take, tell, texts, until
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError, SlowConsumerError, StorageError
from webex.realtime import dispatcher, subscription
from webex.realtime.mercury.socket import MercurySocket

# In order


@pytest.fixture
def slow_close(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sockets that are closed to hear again take a moment for it; counts them."""
    close, closed = MercurySocket.close, []

    async def slowly(socket: MercurySocket, code: int = 1000, reason: str = "Done") -> None:
        if reason == "Idle":
            closed.append(1)
            await asyncio.sleep(0.05)
        await close(socket, code, reason)

    monkeypatch.setattr(MercurySocket, "close", slowly)
    return closed


@pytest.mark.parametrize("slowly", [True, False])
def test_a_slow_consumer_gets_events_in_order_with_a_slow_close(
    webex_cloud: Cloud, slow_close: list[int], slowly: bool
) -> None:
    numbers = [str(number) for number in range(40)]

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(max_queue=5, **QUICK) as events:
                await say(alice, room, "first")
                await take(events)
                posting = asyncio.ensure_future(say(alice, room, *numbers))
                heard: list[str] = []
                while len(heard) < len(numbers):
                    if slowly and len(heard) < 15:
                        await until(lambda: events._connection.dispatcher._skipped or posting.done())
                    heard += texts(await take(events))
                await posting
        assert heard == numbers
        assert not slowly or slow_close

    run(main())


def test_unhandled_events_precede_new_ones(webex_cloud: Cloud, slow_close: list[int]) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as stays:
                async with bob.messages.listen() as goes:
                    await say(alice, room, "one", "two")
                    await until(lambda: len(goes._queue) == 2)
                    for event in await take(stays, 2):
                        event.ack()
                async with bob.messages.listen() as comes:
                    await say(alice, room, "three")
                    assert [event.data.text for event in await take(comes, 3)] == ["one", "two", "three"]
                    assert texts(await take(stays)) == ["three"]
        assert slow_close

    run(main())


def test_slow_consumer_catches_up_from_history_after_retention(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_CLOUD_KEEPS", 0.0)

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(max_queue=2, **QUICK) as events:
                await say(alice, room, "first")
                (await anext(events)).ack()
                await say(alice, room, *"012345")
                await until(lambda: events._connection.dispatcher._skipped)
                webex_cloud.clock.advance(16 * 60)
                await say(alice, room, "6")  # and the cloud lets go of all before it
                await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 1)
                assert texts(await take(events, 7)) == list("0123456")
                assert events.health.gaps_filled == 1

    run(main())


# What does not fit


def test_overflow_error_follows_queued_events_without_loss(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(max_queue=2, overflow="raise", **QUICK) as events:
                await say(alice, room, *"0123")
                await until(lambda: events._failure)
                assert texts(await take(events)) == ["0"]
                await say(alice, room, "4")  # there is room again
                tell(webex_cloud, {"eventType": "nobody.knows"})
                await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 5)
                assert texts(await take(events)) == ["1"]
                with pytest.raises(SlowConsumerError):
                    await anext(events)
                with pytest.raises(SlowConsumerError):
                    await anext(events)
            async with bob.messages.listen(**QUICK) as events:
                heard = [event.data.text for event in await take(events, 3)]
            assert heard == ["2", "3", "4"]

    run(main())


def test_two_tasks_cannot_iterate_one_subscription(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                first = asyncio.ensure_future(take(events))
                await until(lambda: events._waiter)
                with pytest.raises(ConfigurationError):
                    await anext(events)
                await say(alice, room, "one")
                assert texts(await first) == ["one"]

    run(main())


# Acknowledging by hand


def test_an_event_is_acknowledged_after_all_subscriptions_handle_it(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as stays:
                async with bob.messages.listen() as goes:
                    await say(alice, room, "one")
                    event = await anext(goes)
                    event.ack()
                    event.ack()
                    tell(webex_cloud, {"eventType": "nobody.knows"})
                    await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 1)
                (await anext(stays)).ack()
                await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 0)
                webex_cloud.mercury.drop("bob")
                await say(alice, room, "two")
                assert texts(await take(stays)) == ["two"]

    run(main())


def test_an_acknowledged_event_is_not_redelivered_after_a_break(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.rooms.listen(**QUICK):  # keeps the socket
                async with bob.messages.listen() as events:
                    await say(alice, room, "one", "two")
                    async for event in events:
                        event.ack()
                        break
                async with bob.messages.listen() as events:
                    assert texts(await take(events)) == ["two"]

    run(main())


# Handlers that fail


async def heard_by(events: Any, fails: Any) -> list[str]:
    """What the handler was called with; `fails(text)` may raise."""
    heard: list[str] = []

    async def handle(event: Any) -> None:
        heard.append(event.data.text)
        await fails(event.data.text)

    events.on("created", handle)
    return heard


def test_a_failed_event_is_redelivered_after_retention(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "_CLOUD_KEEPS", 0.0)

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            events = await bob.messages.listen(**QUICK)

            async def fails(text: str) -> None:
                if heard == ["one"]:
                    raise ValueError("a handler's own fault")

            heard = await heard_by(events, fails)
            await say(alice, room, "one")
            await until(lambda: heard == ["one"])
            webex_cloud.clock.advance(16 * 60)
            await say(alice, room, "two")
            await until(lambda: heard == ["one", "two"])
            await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 0)
            webex_cloud.mercury.drop("bob")
            await until(lambda: heard == ["one", "two", "one"])

    run(main())


def test_a_temporary_storage_failure_does_not_end_callbacks(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "_HAND_AGAIN", 0.01)
    shelf, failures = Shelf(), [StorageError("out of order"), OSError("no space"), RuntimeError("whatever")]

    async def trouble(call: str, key: str) -> None:
        if call == "put" and "/slot-" in key and failures:
            raise failures.pop()

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob", storage=shelf) as bob:
            room = await shared_room(alice)
            events = await bob.messages.listen(**QUICK)

            async def fails(text: str) -> None:
                pass

            heard = await heard_by(events, fails)
            shelf.trouble = trouble
            await say(alice, room, "one", "two", "three")
            await until(lambda: heard == ["one", "two", "three"])
            assert not failures
            assert len([key for key in shelf.entries if "/slot-" in key]) == 3  # each was written down all the same
            await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 0)

    run(main())


def test_a_handler_with_a_cancelled_wait_does_not_end_the_others(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            events = await bob.messages.listen(**QUICK)

            async def fails(text: str) -> None:
                if text == "one":
                    waiting = asyncio.get_running_loop().create_future()
                    waiting.cancel()
                    await waiting

            heard = await heard_by(events, fails)
            await say(alice, room, "one", "two")
            await until(lambda: heard == ["one", "two"])
            await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 1)

    run(main())


def test_a_permanently_failing_handler_uses_bounded_memory(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("webex.realtime.checkpoint._MOST_FAILED", 3)
    numbers = [str(number) for number in range(10)]

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            events = await bob.messages.listen(**QUICK)

            async def fails(text: str) -> None:
                raise ValueError("a handler's own fault")

            heard = await heard_by(events, fails)
            await say(alice, room, *numbers)
            await until(lambda: len(heard) >= 10)
            await until(lambda: events._queue or events._waiter)
            checkpoint = events._connection.checkpoint
            assert len(checkpoint._in_hand) == len(checkpoint._failed) == len(checkpoint._received) == 3

    run(main())
    assert "given up" in caplog.text
