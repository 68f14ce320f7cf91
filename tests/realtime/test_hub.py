"""Many users in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.realtime.helpers import QUICK, client_of, run, until
from webex import AsyncIntegration, AsyncWebex, Integration, RealtimeHub
from webex.emulator import accounts
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError, ConnectionReplacedError, NotSignedInError, RealtimeError, SlowConsumerError
from webex.realtime.user_connection import UserConnection

APP = {
    "client_id": accounts.CLIENT_ID,
    "client_secret": accounts.CLIENT_SECRET,
    "redirect_uri": accounts.REDIRECT_URIS[0],
}


def test_one_stream_has_the_events_of_all_users_with_health(webex_cloud: Cloud) -> None:
    async def main() -> None:
        people = [webex_cloud.add_person(f"user{number}@example.com") for number in range(12)]
        integration = AsyncIntegration(**APP, emulator_url=webex_cloud.url)
        async with client_of(webex_cloud) as alice, integration, RealtimeHub(integration, **QUICK) as hub:
            for person in people:
                await integration.adopt(person.id, webex_cloud.token_for(person.email))
            failed = await hub.add_all([*(person.id for person in people), "nobody"])
            assert list(failed) == ["nobody"]
            assert isinstance(failed["nobody"], NotSignedInError)
            assert len(hub.users) == webex_cloud.mercury.connections() == 12
            for person in people:
                await alice.messages.create(to_person_email=person.email, text=f"for {person.id}")
            heard: dict[str, str] = {}
            async for event in hub.events():
                if event.resource == "messages":
                    heard[str(event.user_key)] = event.data.text
                if len(heard) == 12:
                    break
            assert heard == {person.id: f"for {person.id}" for person in people}
            health = hub.health(people[0].id)
            assert health is not None
            assert health.connected
            assert health.last_event is not None
            await until(lambda: health.latency is not None)
            await hub.remove(people[0].id)
            assert hub.health(people[0].id) is None
            assert webex_cloud.mercury.connections() == 11
        assert webex_cloud.mercury.connections() == 0

    run(main())


def test_hub_requires_an_async_integration(webex_cloud: Cloud) -> None:
    with Integration(**APP, emulator_url=webex_cloud.url) as integration, pytest.raises(ConfigurationError):
        RealtimeHub(integration)


@asynccontextmanager
async def hub_of(cloud: Cloud, *emails: str, **options: object) -> AsyncIterator[tuple[RealtimeHub, AsyncWebex]]:
    """A hub that hears the messages of new people, and Alice, who writes to them."""
    integration = AsyncIntegration(**APP, emulator_url=cloud.url)
    async with client_of(cloud) as alice, integration:
        async with RealtimeHub(integration, ("messages",), **{**QUICK, **options}) as hub:  # type: ignore[arg-type]  # of any kind
            for email in emails:
                person = cloud.add_person(email)
                await integration.adopt(person.id, cloud.token_for(email))
                await hub.add(person.id)
            yield hub, alice


async def write(alice: AsyncWebex, email: str, *words: str) -> None:
    for text in words:
        await alice.messages.create(to_person_email=email, text=text)


async def first_of(hub: RealtimeHub) -> str:
    """The text of the next event, whose loop is broken off."""
    async for event in hub.events():
        return str(event.data.text)
    raise AssertionError("the hub was closed")


async def next_of(hub: RealtimeHub, count: int) -> list[str]:
    """The texts of the next events, all of them handled."""
    heard: list[str] = []
    async for event in hub.events():
        heard.append(event.data.text)
        event.ack()
        if len(heard) == count:
            break
    return heard


def test_interrupted_iteration_redelivers_the_event_without_blocking(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with hub_of(webex_cloud, "one@example.com", "two@example.com") as (hub, alice):
            await write(alice, "one@example.com", "a", "b", "c")
            for _ in range(3):
                assert await first_of(hub) == "a"
            heard: list[str] = []
            async for event in hub.events():
                heard.append(event.data.text)
                if event.data.text == "c":
                    await write(alice, "two@example.com", "for another")
                if event.data.text == "for another":
                    break
            assert heard == ["a", "b", "c", "for another"]

    run(main())


def test_a_consumer_ends_when_the_hub_is_closed(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with hub_of(webex_cloud, "one@example.com") as (hub, alice):
            heard: list[str] = []

            async def consume() -> None:
                async for event in hub.events():
                    heard.append(event.data.text)

            consuming = asyncio.ensure_future(consume())
            await write(alice, "one@example.com", "a")
            await until(lambda: heard == ["a"])
            await hub.aclose()
            await consuming
            assert [event async for event in hub.events()] == []
            with pytest.raises(ConfigurationError):
                await hub.add("another")

    run(main())


def test_a_user_may_be_removed_while_their_event_is_being_handled(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with hub_of(webex_cloud, "one@example.com", "two@example.com") as (hub, alice):
            one, two = hub.users
            await write(alice, "one@example.com", "a", "b")
            heard: list[str] = []
            async for event in hub.events():
                heard.append(event.data.text)
                if len(heard) == 1:
                    await hub.remove(one)
                    assert hub.users == [two]
                    await write(alice, "two@example.com", "c")
                elif event.data.text == "c":
                    await hub.add(one)
                elif len(heard) == 4:
                    break
            assert heard == ["a", "c", "a", "b"]

    run(main())


def test_queued_events_are_dropped_with_their_user(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with hub_of(webex_cloud, "one@example.com", "two@example.com") as (hub, alice):
            await write(alice, "one@example.com", "a")
            await until(lambda: hub._ready)
            await hub.remove(hub.users[0])
            await write(alice, "two@example.com", "b")
            assert await next_of(hub, 1) == ["b"]

    run(main())


@pytest.mark.parametrize(
    ("code", "error"), [(4000, ConnectionReplacedError), (4403, RealtimeError), (None, SlowConsumerError)]
)
def test_failure_of_a_user_is_reported(webex_cloud: Cloud, code: int | None, error: type[Exception]) -> None:
    async def main() -> None:
        options = {"max_queue": 1, "overflow": "raise"}
        async with hub_of(webex_cloud, "one@example.com", "two@example.com", **options) as (hub, alice):
            one, two = hub.users
            told: dict[str, BaseException] = {}
            hub.on_failure = told.__setitem__
            assert hub.failure(one) is None
            if code is not None:
                webex_cloud.mercury.drop("one@example.com", code)
            else:
                await write(alice, "one@example.com", "a")
                await until(lambda: hub._ready)
                await write(alice, "one@example.com", "b", "c")
                await until(lambda: hub._listening[one]._failure)
                assert await next_of(hub, 2) == ["a", "b"]
            await until(lambda: told)
            assert list(told) == [one]
            assert hub.failure(one) is told[one]
            assert type(told[one]) is error
            assert (hub.users, hub.health(one), hub.failure(two)) == ([two], None, None)
            await write(alice, "two@example.com", "still heard")
            assert await next_of(hub, 1) == ["still heard"]
            await hub.add(one)
            assert hub.failure(one) is None
            if code is not None:
                await write(alice, "one@example.com", "heard again")
                assert await next_of(hub, 1) == ["heard again"]

    run(main())


def test_adding_that_was_given_up_takes_nothing_from_a_later_one(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with hub_of(webex_cloud) as (hub, alice):
            person = webex_cloud.add_person("one@example.com")
            await hub._integration.adopt(person.id, webex_cloud.token_for("one@example.com"))
            first = asyncio.ensure_future(hub.add(person.id))
            await until(lambda: person.id in hub.users)
            first.cancel()
            removing = asyncio.ensure_future(hub.remove(person.id))
            await asyncio.sleep(0)
            await hub.add(person.id)
            await asyncio.gather(removing, first, return_exceptions=True)
            assert hub.users == [person.id]
            await write(alice, "one@example.com", "hello")
            assert await next_of(hub, 1) == ["hello"]
            assert webex_cloud.mercury.connections() == 1

    run(main())


@pytest.mark.parametrize("how", ["remove", "close"])
def test_user_who_is_removed_while_waiting_to_connect_is_not_connected(webex_cloud: Cloud, how: str) -> None:
    async def main() -> None:
        async with hub_of(webex_cloud, starting=1) as (hub, _):
            people = [webex_cloud.add_person(f"{name}@example.com") for name in ("one", "two")]
            for person in people:
                await hub._integration.adopt(person.id, webex_cloud.token_for(person.email))
            async with hub._gate:  # another user is being connected
                waiting = asyncio.ensure_future(hub.add(people[0].id))
                await until(lambda: people[0].id in hub._listening)
                assert hub.users == []
                await (hub.remove(people[0].id) if how == "remove" else hub.aclose())
            await waiting
            assert webex_cloud.mercury.opened_count == 0
            assert hub.users == []

    run(main())


def test_user_who_is_removed_while_connecting_does_not_stay_connected(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure = UserConnection.ensure

    async def main() -> None:
        begun, goes_on = asyncio.Event(), asyncio.Event()

        async def ensure_late(connection: UserConnection) -> None:
            begun.set()
            await goes_on.wait()
            await ensure(connection)

        async with hub_of(webex_cloud) as (hub, _):
            person = webex_cloud.add_person("one@example.com")
            await hub._integration.adopt(person.id, webex_cloud.token_for(person.email))
            monkeypatch.setattr(UserConnection, "ensure", ensure_late)
            adding = asyncio.ensure_future(hub.add(person.id))
            await begun.wait()
            await hub.remove(person.id)
            goes_on.set()
            await asyncio.wait({adding})
            await until(lambda: webex_cloud.mercury.connections() == 0)
            assert hub.users == []

    run(main())
