"""Misbehaviour on demand, in this process and over the control API."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.emulator.realtime.helpers import (
    KMSClient,
    connected,
    key_client,
    number_of,
    opened,
    push,
    register,
)
from webex.emulator import Cloud, EmulatorClient, EmulatorError
from webex.emulator.accounts import ALICE_TOKEN
from webex.encryption import jose


async def numbers_of(cloud: Cloud, count: int, expected: int | None = None, **faults: Any) -> list[int]:
    """Which events come, when `count` of them are sent under faults."""
    device = await asyncio.to_thread(register, cloud)
    async with connected(device) as client:
        cloud.mercury.set_faults(**faults)
        for number in range(count):
            push(cloud, number)
        return [number_of(await client.receive()) for _ in range(expected or count)]


def test_events_can_be_duplicated(webex_cloud: Cloud) -> None:
    assert asyncio.run(numbers_of(webex_cloud, 3, 6, duplicate=1)) == [0, 0, 1, 1, 2, 2]


def test_events_can_be_reordered(webex_cloud: Cloud) -> None:
    assert asyncio.run(numbers_of(webex_cloud, 4, reorder=1)) == [1, 0, 3, 2]


def test_a_single_event_is_delivered_despite_reordering(webex_cloud: Cloud) -> None:
    assert asyncio.run(numbers_of(webex_cloud, 1, reorder=1)) == [0]


def test_delayed_events_arrive(webex_cloud: Cloud) -> None:
    assert asyncio.run(numbers_of(webex_cloud, 2, delay=0.01)) == [0, 1]


def test_a_seeded_cloud_repeats_its_faults() -> None:
    from webex.emulator import Emulator

    def once() -> list[int]:
        with Emulator(random_seed=7) as cloud:
            return asyncio.run(numbers_of(cloud, 20, duplicate=0.3))

    first = once()
    assert first == once()
    assert len(set(first)) < 20


def test_a_connection_can_break_after_an_event_and_nothing_is_lost(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            webex_cloud.mercury.faults.drop_after = 1
            push(webex_cloud, 1)
            push(webex_cloud, 2)
            assert number_of(await client.receive()) == 1
            assert (await client.closed())[0] == 1006
        webex_cloud.mercury.faults.drop_after = 0
        async with connected(device) as client:
            assert [number_of(await client.receive()) for _ in range(2)] == [1, 2]

    asyncio.run(main())


def test_numbers_and_ids_can_be_missing(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            webex_cloud.mercury.set_faults(pong_without_number=1, number_gap=1, frame_without_id=True)
            assert "sequenceNumber" not in await client.ping()
            push(webex_cloud)
            frame = await client.receive()
            assert "id" not in frame
            assert frame["sequenceNumber"] == client.state["sequenceNumber"] + 2

    asyncio.run(main())


def test_the_state_frame_can_be_delayed_and_is_still_first(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)
    webex_cloud.mercury.faults.state_delay = 0.02

    async def main() -> None:
        async with opened(device["webSocketUrl"]) as client:
            await client.authorize(ALICE_TOKEN)
            push(webex_cloud)
            assert (await client.receive())["data"]["eventType"] == "mercury.buffer_state"
            assert number_of(await client.receive()) == 1

    asyncio.run(main())


def test_upgrades_can_be_refused(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)
    webex_cloud.mercury.set_faults(refuse_upgrade=503, refuse_count=1)
    webex_cloud.faults.add("/v1/apps/*", status=429, retry_after="7", count=1)

    async def main() -> None:
        for status in (503, 429):
            with pytest.raises(InvalidStatus) as refused:
                async with opened(device["webSocketUrl"]):
                    pass
            assert refused.value.response.status_code == status
        async with connected(device):
            pass

    asyncio.run(main())


def test_a_wrong_fault_is_an_error(webex_cloud: Cloud) -> None:
    with pytest.raises(ValueError, match="colour"):
        webex_cloud.mercury.set_faults(colour="red")
    with pytest.raises(ValueError, match="delay"):
        webex_cloud.kms.set_faults(delay="long")


def test_a_reset_ends_all_faults(webex_cloud: Cloud) -> None:
    webex_cloud.mercury.set_faults(duplicate=1)
    webex_cloud.kms.set_faults(drop=3, by_key={"kms://x/keys/1": {"status": 403}})
    webex_cloud.reset()
    assert webex_cloud.mercury.faults.duplicate == 0
    assert (webex_cloud.kms.faults.drop, webex_cloud.kms.faults.by_key) == (0, {})


# The key service


def test_responses_can_be_lost(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            webex_cloud.kms.faults.drop = 2
            await alice.post(alice.encrypt(method="update", uri="/ping", requestId="1"))
            ids = [alice.encrypt(method="update", uri="/ping", requestId=number) for number in ("2", "3")]
            await alice.post(*ids)
            assert [alice.decrypt(token)["requestId"] for token in await alice.answers()] == ["3"]

    asyncio.run(main())


def test_responses_can_be_reordered_delayed_and_repeated(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:

            async def ping(*ids: str) -> None:
                await alice.post(*[alice.encrypt(method="update", uri="/ping", requestId=number) for number in ids])

            async def ids() -> list[str]:
                return [alice.decrypt(token)["requestId"] for token in await alice.answers()]

            webex_cloud.kms.faults.reorder = 2
            await ping("1", "2")
            assert await ids() == ["2", "1"]
            await ping("3")
            await ping("4")
            assert [await ids(), await ids()] == [["4"], ["3"]]
            webex_cloud.kms.faults.replay = 1
            await ping("5")
            assert [await ids(), await ids()] == [["5"], ["5"]]
            webex_cloud.kms.faults.delay = 0.02
            await ping("6")
            assert await ids() == ["6"]

    asyncio.run(main())


def test_a_signature_can_be_wrong(webex_cloud: Cloud) -> None:
    async def main() -> None:
        device = await asyncio.to_thread(register, webex_cloud)
        async with connected(device) as client:
            kms = KMSClient(webex_cloud, client, device)
            webex_cloud.kms.faults.wrong_signature = 1
            with pytest.raises(jose.BadTokenError):
                await kms.agree()
            assert (await kms.agree())["status"] == 201

    asyncio.run(main())


@pytest.mark.parametrize(
    "wanted",
    [
        {"status": 403, "reason": "no"},
        {"status": 405, "errorCode": 405005},
        {"status": 301, "errorCode": 301002, "redirectUri": "kms://kms.emulator.wbx2.com/keys/other"},
    ],
)
def test_a_response_can_be_set_for_one_key(webex_cloud: Cloud, wanted: dict[str, Any]) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            keys = (await alice.ask("create", "/keys", count=2))["keys"]
            webex_cloud.kms.set_faults(by_key={keys[0]["uri"]: wanted})
            answer = await alice.ask("retrieve", keys[0]["uri"])
            assert answer.pop("requestId")
            assert answer == wanted
            assert (await alice.ask("retrieve", keys[1]["uri"]))["status"] == 200

    asyncio.run(main())


# Over the control API


def test_every_fault_can_be_set_remotely(webex_cloud: Cloud) -> None:
    remote = EmulatorClient(webex_cloud.url)
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            await asyncio.to_thread(remote.mercury.wait, 1, "alice")
            assert await asyncio.to_thread(remote.mercury.connections) == 1
            await asyncio.to_thread(remote.mercury.pause)
            await asyncio.to_thread(remote.mercury.push, ["alice"], {"eventType": "a.b"}, headers={"data.c": 1})
            await asyncio.to_thread(remote.mercury.resume)
            frame = await client.receive()
            assert (frame["data"], frame["headers"]) == ({"eventType": "a.b"}, {"data.c": 1})
            assert await asyncio.to_thread(remote.mercury.unacknowledged) == 1
            assert await asyncio.to_thread(remote.mercury.check) == 0
            assert await asyncio.to_thread(remote.mercury.shutdown, "alice") == 1
            assert (await client.receive())["type"] == "shutdown"
            assert await asyncio.to_thread(remote.mercury.drop, "alice", 4000, "Replaced") == 1
            assert await client.closed() == (4000, "Replaced")

    asyncio.run(main())
    assert remote.mercury.expire_devices("alice") == 1
    assert remote.mercury.set_faults(duplicate=0.5)["duplicate"] == 0.5
    assert webex_cloud.mercury.faults.duplicate == 0.5
    assert remote.kms.set_faults(drop=2)["drop"] == 2
    assert remote.kms.expire() == 0
    assert remote.kms.root_pem == webex_cloud.kms.root_pem


def test_a_wrong_remote_command_is_explained(webex_cloud: Cloud) -> None:
    remote = EmulatorClient(webex_cloud.url)
    for wrong in (
        lambda: remote.mercury.drop("carol"),
        lambda: remote.mercury.drop(code=12),
        lambda: remote.mercury.set_faults(colour=1),
        lambda: remote.kms.set_faults(drop="many"),
        lambda: remote.mercury.wait(1, timeout=0.01),
    ):
        with pytest.raises(EmulatorError):
            wrong()


def test_keys_are_not_in_the_request_log(webex_cloud: Cloud) -> None:
    async def main() -> str:
        async with key_client(webex_cloud) as alice:
            key = (await alice.ask("create", "/keys", count=1))["keys"][0]
            return str(key["jwk"]["k"])

    secret = asyncio.run(main())
    remote = EmulatorClient(webex_cloud.url)
    assert secret not in json.dumps(remote.command("requests"))
