"""What sockets can be made to do wrong: each fault strikes, and nothing else does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.emulator.realtime.helpers import PATIENCE, connected, number_of, opened, push, register
from webex.emulator import Cloud, EmulatorClient, EmulatorError
from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN


def say(cloud: Cloud, kind: str, **data: Any) -> None:
    with cloud.lock:
        cloud.mercury.push([ALICE_ID], {"eventType": kind, **data})


async def acknowledged(cloud: Cloud) -> None:
    """Wait until nothing waits for an acknowledgement any more."""
    async with asyncio.timeout(PATIENCE):
        while cloud.mercury.unacknowledged():
            await asyncio.sleep(0)


def test_faults_apply_only_to_the_named_events(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            webex_cloud.mercury.set_faults(duplicate=1, only="status.")
            say(webex_cloud, "conversation.activity")
            say(webex_cloud, "status.start_typing")
            say(webex_cloud, "encryption.kms_message")
            kinds = [(await client.receive())["data"]["eventType"] for _ in range(4)]
            assert kinds == [
                "conversation.activity",
                "status.start_typing",
                "status.start_typing",
                "encryption.kms_message",
            ]

    asyncio.run(main())


def test_a_lost_event_leaves_a_gap_in_the_sequence(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            webex_cloud.mercury.set_faults(lost=1)
            push(webex_cloud, 1)
            # A pong is written after what was put before the ping.
            assert (await client.ping())["sequenceNumber"] == client.state["sequenceNumber"] + 2
            webex_cloud.mercury.set_faults(lost=0)
            push(webex_cloud, 2)
            assert number_of(await client.receive()) == 2
        async with connected(device) as client:
            assert number_of(await client.receive()) == 2

    asyncio.run(main())


def test_an_event_can_lack_its_sequence_number(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            webex_cloud.mercury.set_faults(frame_without_number=1)
            push(webex_cloud)
            assert "sequenceNumber" not in await client.receive()
            assert (await client.ping())["sequenceNumber"] == client.state["sequenceNumber"] + 1

    asyncio.run(main())


def test_a_frame_can_be_invalid_json(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            webex_cloud.mercury.set_faults(wrong_json=1)
            push(webex_cloud, 1)
            broken = await asyncio.wait_for(client.socket.recv(), PATIENCE)
            with pytest.raises(ValueError, match="Unterminated"):
                json.loads(broken)
            assert number_of(await client.receive()) == 1

    asyncio.run(main())


def test_a_frame_can_be_binary(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            webex_cloud.mercury.set_faults(binary=1)
            push(webex_cloud, 1)
            frame = await asyncio.wait_for(client.socket.recv(), PATIENCE)
            assert isinstance(frame, bytes)
            assert number_of(json.loads(frame)) == 1

    asyncio.run(main())


def test_every_event_can_have_headers(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            webex_cloud.mercury.set_faults(headers={"data.activity.verb": "post", "data.b": 1})
            push(webex_cloud)
            push(webex_cloud, headers={"data.a": 2})
            assert (await client.receive())["headers"] == {"data.activity.verb": "post", "data.b": 1}
            assert (await client.receive())["headers"] == {"data.activity.verb": "post", "data.a": 2, "data.b": 1}
            assert "headers" not in await client.ping()

    asyncio.run(main())


def test_a_lost_acknowledgement_resends_the_event(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            webex_cloud.mercury.set_faults(ack_lost=1)
            push(webex_cloud, 1)
            await client.acknowledge(await client.receive())
            await client.ping()
            assert webex_cloud.mercury.unacknowledged("alice") == 1
        async with connected(device) as client:
            assert number_of(await client.receive()) == 1

    asyncio.run(main())


def test_a_pong_can_get_lost_or_have_another_id(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            webex_cloud.mercury.set_faults(pong_wrong_id=1)
            await client.send({"id": "first", "type": "ping"})
            pong = await client.receive()
            assert pong["type"] == "pong"
            assert pong["id"] != "first"
            webex_cloud.mercury.set_faults(pong_wrong_id=0, pong_lost=1)
            push(webex_cloud)
            event = await client.receive()
            await client.send({"id": "second", "type": "ping"})
            await client.acknowledge(event)
            await acknowledged(webex_cloud)  # and so the ping before it was taken
            webex_cloud.mercury.set_faults(pong_lost=0)
            pong = await client.ping()
            assert pong["id"] != "second"
            assert pong["sequenceNumber"] == event["sequenceNumber"] + 1

    asyncio.run(main())


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1008, 1011, 4000, 4001, 4400, 4401, 4403, 4404])
def test_a_socket_can_be_closed_instead_of_its_state_frame(webex_cloud: Cloud, code: int) -> None:
    device = register(webex_cloud)
    webex_cloud.mercury.set_faults(close_before_state=code, close_reason="not you", close_count=1)

    async def main() -> None:
        async with opened(device["webSocketUrl"]) as client:
            await client.authorize(ALICE_TOKEN)
            assert await client.closed() == (code, "" if code in (1005, 1006) else "not you")
        assert webex_cloud.mercury.opened_count == 0
        async with connected(device):
            assert webex_cloud.mercury.faults.close_count == 0

    asyncio.run(main())


def test_a_code_that_no_server_can_send_is_an_error(webex_cloud: Cloud) -> None:
    with pytest.raises(ValueError, match="1015"):
        webex_cloud.mercury.set_faults(close_before_state=1015)
    with pytest.raises(EmulatorError, match="1015"):
        EmulatorClient(webex_cloud.url).mercury.set_faults(close_before_state=1015)


def test_the_state_frame_can_follow_the_buffered_events(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)
    push(webex_cloud, 1)
    push(webex_cloud, 2)
    webex_cloud.mercury.set_faults(state_last=1)

    async def main() -> None:
        async with opened(device["webSocketUrl"]) as client:
            await client.authorize(ALICE_TOKEN)
            assert [number_of(await client.receive()) for _ in range(2)] == [1, 2]
            state = await client.receive()
            assert state["data"]["eventType"] == "mercury.buffer_state"
            assert state["sequenceNumber"] == 3

    asyncio.run(main())


def test_lost_buffered_events_are_reported_by_the_next_state(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            push(webex_cloud, 1)
            await client.receive()
        assert webex_cloud.mercury.lose("bob") == 0
        assert EmulatorClient(webex_cloud.url).mercury.lose("alice") == 1
        async with connected(device) as client:
            assert client.state["data"]["bufferState"]["conversation"] == "UNKNOWN"
            assert (await client.ping())["type"] == "pong"
        async with connected(device) as client:
            assert client.state["data"]["bufferState"]["conversation"] == "IN_SYNC"

    asyncio.run(main())


def test_registration_status_replaces_the_buffer_state(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with opened(device["webSocketUrl"], "mercuryRegistrationStatus=true") as client:
            await client.authorize(ALICE_TOKEN)
            data = (await client.receive())["data"]
            assert data["eventType"] == "mercury.registration_status"
            assert data["localClusterServiceUrls"] == {
                "mercuryApiServiceClusterUrl": f"{webex_cloud.url}/v1",
                "mercuryConnectionServiceClusterUrl": f"{webex_cloud.url}/v1",
            }

    asyncio.run(main())


def test_every_fault_is_set_remotely_by_the_same_name(webex_cloud: Cloud) -> None:
    remote = EmulatorClient(webex_cloud.url)
    wanted = {"lost": 0.5, "only": "status.", "headers": {"data.x": 1}, "close_before_state": 4401, "pong_lost": 1.0}
    assert remote.mercury.set_faults(**wanted).items() >= wanted.items()
    assert webex_cloud.mercury.faults.headers == {"data.x": 1}
    webex_cloud.reset()
    assert webex_cloud.mercury.faults == type(webex_cloud.mercury.faults)()
