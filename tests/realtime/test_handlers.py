"""Callbacks of events and of the connection: added, removed, and called by name."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, client_of, run, say, shared_room, tell, until
from webex import Webex
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError
from webex.telemetry import Connected


class Counter:
    """An object whose bound method is a handler."""

    def __init__(self) -> None:
        self.count = 0

    def handle(self, event: Any) -> None:
        self.count += 1


def test_a_handler_that_is_removed_by_another_one_is_not_called_any_more(webex_cloud: Cloud) -> None:
    called: list[str] = []

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:

                def first(event: Any) -> None:
                    called.append("first")
                    events.off("created", second)

                def second(event: Any) -> None:
                    called.append("second")

                events.on("created", first)
                events.once("created", second)
                events.on("*", lambda event: called.append(event.data.text))
                await say(alice, room, "one", "two")
                await until(lambda: "two" in called)
            assert called == ["first", "one", "first", "two"]

    run(main())


def test_a_handler_of_the_connection_may_remove_the_others(webex_cloud: Cloud) -> None:
    called: list[str] = []

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            events = bob.messages.listen(**QUICK)  # type: ignore[arg-type]  # options

            def first(notice: Connected) -> None:
                called.append("first")
                events.off("connected")
                events.on("connected", lambda notice: called.append("third"))

            events.on("connected", first)
            events.once("connected", lambda notice: called.append("second"))
            async with events:
                await until(lambda: called)
                webex_cloud.mercury.drop("bob", code=1011)
                await until(lambda: "third" in called)
            assert called == ["first", "third"]

    run(main())


def test_a_bound_method_is_removed(webex_cloud: Cloud) -> None:
    counter, called = Counter(), list[str]()

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                events.on("created", counter.handle).off("created", counter.handle)
                events.on("created", lambda event: called.append(event.data.text))
                await say(alice, room, "one")
                await until(lambda: called)
            assert counter.count == 0

    run(main())


def test_event_types_of_other_services_need_no_dot(webex_cloud: Cloud) -> None:
    called: list[Any] = []

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob, bob.listen("*") as events:
            events.on("featureToggle_update", called.append)
            tell(webex_cloud, {"eventType": "featureToggle_update", "action": "modified"})
            await until(lambda: called)
            assert called[0].data["action"] == "modified"

    run(main())


def test_blocking_code_removes_handlers_before_and_while_it_starts(webex_cloud: Cloud) -> None:
    called: list[str] = []
    counter = Counter()
    with Webex(webex_cloud.token_for("bob"), emulator_url=webex_cloud.url) as bob:
        events = bob.messages.listen()
        events.on("connected", counter.handle)
        events.off("connected", counter.handle)

        def first(notice: Connected) -> None:  # called before start() returns
            called.append("first")
            events.off("connected")

        events.on("connected", first)
        events.on("connected", lambda notice: called.append("second"))
        with pytest.raises(ConfigurationError, match="a function"):
            events.on("connected", "print")  # type: ignore[arg-type]  # that is the mistake
        with events:
            pass
        assert (called, counter.count) == (["first"], 0)


def test_a_subscription_that_is_stopped_while_it_starts_leaves_no_socket(webex_cloud: Cloud) -> None:
    with Webex(webex_cloud.token_for("bob"), emulator_url=webex_cloud.url) as bob:
        events = bob.messages.listen()
        stopped = threading.Event()

        def stop(notice: Connected) -> None:
            events.stop_listening()
            stopped.set()

        events.on("connected", stop)
        with pytest.raises(ConfigurationError, match="was stopped"):
            events.start()
        assert stopped.is_set()
        assert webex_cloud.mercury.connections("bob") == 0
