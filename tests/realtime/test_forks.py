"""A subscription that is used in a forked child, or in another event loop, says so at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, client_of, run
from tests.realtime.test_sign_out import integration_of, sign_in
from tests.support.forks import in_child, needs_fork
from webex import (
    RealtimeHub,
    Webex,
)
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError
from webex.storage import MemoryStorage

# Forked children


@needs_fork
@pytest.mark.parametrize("use", ["get", "next", "on", "start", "post"])
def test_a_forked_child_cannot_use_the_parents_subscription(webex_cloud: Cloud, use: str) -> None:
    with (
        Webex(webex_cloud.token_for("bob"), emulator_url=webex_cloud.url) as bob,
        Webex(webex_cloud.token_for("alice"), emulator_url=webex_cloud.url) as alice,
        bob.messages.listen(**QUICK) as events,
    ):
        conversations = bob.conversations
        calls: dict[str, Callable[[], Any]] = {
            "get": lambda: events.get(timeout=5),
            "next": lambda: next(iter(events)),
            "on": lambda: events.on("created", print),
            "start": events.start,
            "post": lambda: conversations.post("room", "text"),
        }

        def work() -> None:
            with pytest.raises(ConfigurationError, match="forked child"):
                calls[use]()
            events.stop_listening()

        assert in_child(work) == 0
        alice.messages.create(to_person_email="bob@example.com", text="the parent hears on")
        assert events.get(timeout=20).data.text == "the parent hears on"


@needs_fork
def test_a_forked_child_of_an_event_loop_is_refused(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob, bob.messages.listen(**QUICK) as events:

            def work() -> None:
                with pytest.raises((ConfigurationError, RuntimeError)):
                    events.__anext__().send(None)
                events.stop_listening().close()

            assert in_child(work) == 0

    run(main())


def test_another_event_loop_is_refused(webex_cloud: Cloud) -> None:
    events: list[Any] = []

    async def begin() -> None:
        events.append(await client_of(webex_cloud, "bob").messages.listen(**QUICK))

    async def use() -> None:
        with pytest.raises(ConfigurationError, match="event loop"):
            await anext(events[0])
        await events[0].stop_listening()

    run(begin())
    run(use())


@needs_fork
def test_a_forked_child_cannot_use_the_parents_hub(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with integration_of(webex_cloud, MemoryStorage()) as integration:
            bob = await sign_in(integration, webex_cloud)
            async with RealtimeHub(integration, ("messages",), **QUICK) as hub:  # type: ignore[arg-type]  # of any kind
                await hub.add(bob)

                def work() -> None:
                    with pytest.raises(ConfigurationError):
                        asyncio.new_event_loop().run_until_complete(anext(hub.events()))

                assert in_child(work) == 0

    run(main())
