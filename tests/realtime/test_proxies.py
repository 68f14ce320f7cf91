"""The socket goes through the proxy that REST calls go through; on loopback it goes directly."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.recording_proxy import RecordingProxy
from webex import AsyncWebex
from webex.emulator import Cloud, Emulator
from webex.testing.guard import stay_on_loopback

HOST = "emulator.example.com"


def port(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Emulator(tls=True, hosts=(HOST,)) as running:
        yield running


@pytest.fixture
def proxy(cloud: Cloud) -> Iterator[RecordingProxy]:
    assert cloud.tls_url is not None
    with RecordingProxy(port(cloud.url), port(cloud.tls_url)) as running, stay_on_loopback(HOST):
        yield running


@pytest.mark.parametrize("user", ["", "ann:pass-word"])
def test_listening_goes_through_the_proxy(cloud: Cloud, proxy: RecordingProxy, user: str) -> None:
    def client(name: str) -> AsyncWebex:
        return AsyncWebex(
            cloud.token_for(name),
            emulator_url=f"https://{HOST}",
            emulator_hosts=[HOST],
            ca_bundle=str(cloud.ca_file),
            proxy=proxy.url(user),
        )

    async def main() -> None:
        async with client("alice") as alice, client("bob") as bob:
            room = await alice.rooms.create(title="listening")
            await alice.memberships.create(room_id=room.id, person_email="bob@example.com")
            async with bob.messages.listen() as heard:
                await alice.messages.create(room_id=room.id, text="through the tunnel")
                async for event in heard:
                    assert event.data.text == "through the tunnel"
                    break

    asyncio.run(main())
    assert set(proxy.tunnels) == {f"{HOST}:443"}
    assert all(("proxy-authorization" in asked.headers) == bool(user) for asked in proxy.asked)
    assert {asked.method for asked in proxy.asked} == {"CONNECT"}


def test_listening_on_loopback_goes_directly(cloud: Cloud, proxy: RecordingProxy) -> None:
    async def main() -> None:
        async with (
            AsyncWebex(cloud.token_for("bob"), emulator_url=cloud.url, proxy=proxy.url()) as bob,
            bob.messages.listen() as heard,
        ):
            assert heard is not None

    asyncio.run(main())
    assert not proxy.asked
