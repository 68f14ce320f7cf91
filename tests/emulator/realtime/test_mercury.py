"""The Mercury socket: who may open it, what comes first, and that nothing is lost."""

from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import InvalidStatus

from tests.emulator.helpers import fetch
from tests.emulator.realtime.helpers import call, connected, new_room, number_of, opened, push, register
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN, BOB_ID, BOB_TOKEN


@pytest.mark.parametrize("prefix", ["Bearer ", "bearer ", ""])
def test_the_state_frame_comes_first(webex_cloud: Cloud, prefix: str) -> None:
    device = register(webex_cloud)
    push(webex_cloud)

    async def main() -> None:
        async with opened(device["webSocketUrl"]) as client:
            await client.send("this is no JSON")
            await client.send({"id": "early", "type": "ping"})
            await client.authorize(ALICE_TOKEN, prefix)
            state = await client.receive()
            assert state["data"]["eventType"] == "mercury.buffer_state"
            assert state["data"]["bufferState"]["conversation"] == "UNKNOWN"
            assert state["id"]
            assert state["sequenceNumber"] == 1
            assert number_of(await client.receive()) == 1

    asyncio.run(main())


def test_every_frame_is_numbered_pongs_included(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            frames = [client.state, await client.ping()]
            push(webex_cloud)
            frames += [await client.receive(), await client.ping()]
            assert [frame["sequenceNumber"] for frame in frames] == [1, 2, 3, 4]
            assert [frame.get("type") for frame in frames] == [None, "pong", None, "pong"]
            assert frames[1]["id"].startswith("ping ")
            assert frames[1]["data"] == {}
            assert {"id", "data", "timestamp", "trackingId", "wsWriteTimestamp"} <= frames[2].keys()
            assert webex_cloud.mercury.connections("alice") == 1
            assert webex_cloud.mercury.connections("bob") == 0

    asyncio.run(main())


def test_malformed_frames_are_ignored(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            for frame in (
                "{",
                "[]",
                "null",
                {"type": "ack"},
                {"type": "ack", "messageId": "unknown"},
                {"type": "ping"},
            ):
                await client.send(frame)
            await client.socket.send(b'{"id": "binary", "type": "ping"}')
            assert (await client.receive())["id"] == "binary"

    asyncio.run(main())


def test_events_carry_headers_beside_their_data(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            push(webex_cloud, headers={"data.activity.published": "later"})
            assert (await client.receive())["headers"] == {"data.activity.published": "later"}

    asyncio.run(main())


def test_event_urls_without_a_request_have_the_cloud_host(webex_cloud: Cloud) -> None:
    other, own = register(webex_cloud), register(webex_cloud, BOB_TOKEN)
    body = {"roomId": new_room(webex_cloud, "bob@example.com"), "text": "Hello"}

    async def main() -> None:
        async with connected(other), connected(own, BOB_TOKEN) as bob:
            with webex_cloud.lock:
                for device in webex_cloud.state.devices.values():
                    device.base = "" if device.person_id == BOB_ID else "https://other.example.com"
            await asyncio.to_thread(fetch, f"{webex_cloud.url}/v1/messages", json_body=body, token=ALICE_TOKEN)
            while (activity := (await bob.receive())["data"]["activity"])["verb"] != "post":
                pass
            assert activity["url"].startswith(webex_cloud.url)

    asyncio.run(main())


def test_events_go_to_every_device_of_the_people_named(webex_cloud: Cloud) -> None:
    devices = [register(webex_cloud), register(webex_cloud), register(webex_cloud, BOB_TOKEN)]

    async def main() -> None:
        async with connected(devices[0]) as one, connected(devices[1]) as two, connected(devices[2], BOB_TOKEN) as bob:
            data = {"eventType": "status.start_typing"}
            with webex_cloud.lock:
                webex_cloud.mercury.push([ALICE_ID, ALICE_ID], data)
                webex_cloud.mercury.push([ALICE_ID, BOB_ID, "nobody"], data)
            assert [(await client.receive())["sequenceNumber"] for client in (one, one, two, two, bob)] == [
                2,
                3,
                2,
                3,
                2,
            ]

    asyncio.run(main())


@pytest.mark.parametrize(("token", "code"), [("wrong", 4401), ("", 4401), (BOB_TOKEN, 4403)])
def test_a_wrong_token_is_refused(webex_cloud: Cloud, token: str, code: int) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with opened(device["webSocketUrl"]) as client:
            await client.authorize(token)
            assert (await client.closed())[0] == code

    asyncio.run(main())


def test_an_expired_token_is_refused(webex_cloud: Cloud) -> None:
    token = webex_cloud.token_for("alice", lifetime=60)
    device = register(webex_cloud, token)
    webex_cloud.clock.advance(61)

    async def main() -> None:
        async with opened(device["webSocketUrl"]) as client:
            await client.authorize(token)
            assert (await client.closed())[0] == 4401

    asyncio.run(main())


@pytest.mark.webex_cloud(mercury_auth_timeout=0.05)
def test_unauthorized_socket_is_closed_after_the_timeout(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with opened(device["webSocketUrl"]) as client:
            reason = "Authentication did not happen within the timeout window of 50 seconds."
            assert await client.closed() == (1008, reason)

    asyncio.run(main())


def test_an_unknown_registration_is_4404_or_a_plain_404(webex_cloud: Cloud) -> None:
    device = register(webex_cloud, ttl=60)
    webex_cloud.clock.advance(61)

    async def main() -> None:
        async with opened(device["webSocketUrl"]) as client:
            assert (await client.closed())[0] == 4404
        with pytest.raises(InvalidStatus) as refused:
            async with opened(device["webSocketUrl"], ""):
                pass
        assert refused.value.response.status_code == 404
        async with opened(webex_cloud.url.replace("http", "ws", 1) + "/elsewhere") as client:
            assert (await client.closed())[0] == 4404

    asyncio.run(main())


def test_a_foreign_host_name_is_refused(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)
    port = webex_cloud.url.rpartition(":")[2]
    url = device["webSocketUrl"].replace("127.0.0.1", "evil.example")

    async def main() -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with opened(url, host="127.0.0.1", port=int(port)):
                pass
        assert refused.value.response.status_code == 421

    asyncio.run(main())


def test_a_token_on_the_upgrade_must_be_good(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        good = {"authorization": f"Bearer {ALICE_TOKEN}"}
        async with opened(device["webSocketUrl"], additional_headers=good) as client:
            await client.authorize(ALICE_TOKEN)
            assert (await client.receive())["sequenceNumber"] == 1
        async with opened(device["webSocketUrl"], additional_headers={"authorization": "Bearer wrong"}) as client:
            assert (await client.closed())[0] == 4401

    asyncio.run(main())


def test_unacknowledged_events_are_resent_with_the_same_id(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            for number in (1, 2, 3):
                push(webex_cloud, number)
            frames = [await client.receive() for _ in range(3)]
            await client.acknowledge(frames[1])
            await client.ping()
        push(webex_cloud, 4)
        push(webex_cloud, 5, keep=False)
        async with connected(device) as client:
            assert client.state["data"]["bufferState"]["conversation"] == "IN_SYNC"
            again = [await client.receive() for _ in range(3)]
            assert [number_of(frame) for frame in again] == [1, 3, 4]
            assert [frame["id"] for frame in again[:2]] == [frames[0]["id"], frames[2]["id"]]
            assert [frame["sequenceNumber"] for frame in again] == [2, 3, 4]
            for frame in again:
                await client.acknowledge(frame)
            assert (await client.ping())["type"] == "pong"
        assert webex_cloud.mercury.unacknowledged("alice") == 0

    asyncio.run(main())


def test_events_beyond_the_window_are_lost_and_reported_by_the_state(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            await client.ping()
        webex_cloud.mercury.wait(0)
        push(webex_cloud, 1)
        webex_cloud.clock.advance(901)
        async with connected(device) as client:
            assert client.state["data"]["bufferState"]["conversation"] == "UNKNOWN"
            assert (await client.ping())["type"] == "pong"

    asyncio.run(main())


@pytest.mark.webex_cloud(redelivery_limit=2)
def test_the_event_buffer_is_bounded(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device):
            pass
        webex_cloud.mercury.wait(0)
        for number in (1, 2, 3):
            push(webex_cloud, number)
        async with connected(device) as client:
            assert client.state["data"]["bufferState"]["conversation"] == "UNKNOWN"
            assert [number_of(await client.receive()) for _ in range(2)] == [2, 3]

    asyncio.run(main())


def test_a_second_socket_replaces_the_first(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as first, connected(device) as second:
            assert await first.closed() == (4000, "Replaced")
            push(webex_cloud)
            assert number_of(await second.receive()) == 1

    asyncio.run(main())


def test_a_second_socket_may_coexist_with_the_first(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as first, connected(device, query="multipleConnections=true") as second:
            push(webex_cloud)
            assert (await first.receive())["id"] == (await second.receive())["id"]
            assert webex_cloud.mercury.connections() == 2

    asyncio.run(main())


def test_a_draining_socket_stays_until_the_next_is_open(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as old:
            assert webex_cloud.mercury.shutdown("alice") == 1
            assert webex_cloud.mercury.shutdown("alice") == 0
            assert (await old.receive())["type"] == "shutdown"
            push(webex_cloud, 1)
            frame = await old.receive()
            await old.acknowledge(frame)
            await old.ping()
            async with connected(device) as new:
                push(webex_cloud, 2)
                assert number_of(await new.receive()) == 2
                assert (await old.closed())[0] == 4001

    asyncio.run(main())


def test_a_draining_socket_closes_even_if_several_are_allowed(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        query = "multipleConnections=true"
        async with connected(device, query=query) as old:
            webex_cloud.mercury.shutdown()
            async with connected(device, query=query), connected(device, query=query):
                assert (await old.closed())[0] == 4001
                assert webex_cloud.mercury.connections() == 2

    asyncio.run(main())


async def taken(cloud: Cloud) -> None:
    """Wait until the writer of the only socket has taken one of two events."""
    (socket,) = cloud.mercury._sockets
    async with asyncio.timeout(10):
        while len(socket.outbox) != 1:
            await asyncio.sleep(0.001)


def test_unwritten_events_of_a_replaced_socket_go_to_the_next(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as old:
            webex_cloud.mercury.faults.delay = 60
            push(webex_cloud, 1, keep=False)
            push(webex_cloud, 2, keep=False)
            await taken(webex_cloud)
            webex_cloud.mercury.faults.delay = 0
            async with connected(device) as new:
                assert number_of(await new.receive()) == 2
            assert number_of(await old.receive()) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "Idle"), (1001, ""), (1006, ""), (1011, ""), (1012, ""), (4401, "no"), (4404, "")]
)
def test_sockets_can_be_closed_with_any_code(webex_cloud: Cloud, code: int, reason: str) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            assert webex_cloud.mercury.drop("bob") == 0
            assert webex_cloud.mercury.drop("alice@example.com", code, reason) == 1
            assert webex_cloud.mercury.connections() == 0
            assert await client.closed() == (code, reason)

    asyncio.run(main())


def test_a_socket_can_be_closed_without_a_code(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            webex_cloud.mercury.drop(code=1005)
            assert (await client.closed())[0] == 1005

    asyncio.run(main())


@pytest.mark.parametrize("code", [0, 999, 1004, 1015, 2999, 5000])
def test_a_code_that_cannot_be_sent_is_an_error(webex_cloud: Cloud, code: int) -> None:
    with pytest.raises(ValueError, match=str(code)):
        webex_cloud.mercury.drop(code=code)


def test_a_removed_device_closes_its_sockets(webex_cloud: Cloud) -> None:
    devices = [register(webex_cloud) for _ in range(3)]

    async def main() -> None:
        async with connected(devices[0]) as one, connected(devices[1]) as two, connected(devices[2]) as three:
            await call(devices[0]["url"], "DELETE", token=ALICE_TOKEN)
            assert (await one.closed())[0] == 4404
            assert webex_cloud.mercury.expire_devices("alice") == 2
            assert (await two.closed())[0] == 4404
            assert (await three.closed())[0] == 4404
        assert fetch(devices[1]["url"], "PUT", json_body={}, token=ALICE_TOKEN).status == 404

    asyncio.run(main())


def test_a_reset_cloud_has_no_sockets(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            webex_cloud.reset()
            assert (await client.closed())[0] == 4404
        assert webex_cloud.mercury.connections() == 0

    asyncio.run(main())


def test_expired_tokens_are_found_on_demand(webex_cloud: Cloud) -> None:
    token = webex_cloud.token_for("alice", lifetime=60)
    device, other = register(webex_cloud), register(webex_cloud, BOB_TOKEN, ttl=30)

    async def main() -> None:
        async with connected(device, token) as client, connected(other, BOB_TOKEN) as bob:
            assert webex_cloud.mercury.check() == 0
            webex_cloud.clock.advance(61)
            push(webex_cloud)
            assert number_of(await client.receive()) == 1
            assert webex_cloud.mercury.check() == 2
            assert (await client.closed())[0] == 4401
            assert (await bob.closed())[0] == 4404

    asyncio.run(main())


def test_events_can_be_held_back(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)

    async def main() -> None:
        async with connected(device) as client:
            webex_cloud.mercury.pause()
            push(webex_cloud, 1)
            push(webex_cloud, 2)
            assert (await client.ping())["type"] == "pong"
            webex_cloud.mercury.resume()
            assert [number_of(await client.receive()) for _ in range(2)] == [1, 2]

    asyncio.run(main())


def test_the_cloud_stops_with_sockets_open() -> None:
    from webex.emulator import Emulator

    emulator = Emulator()
    cloud = emulator.start()
    device = register(cloud)

    async def main() -> None:
        async with connected(device) as client, opened(device["webSocketUrl"]) as waiting:
            await asyncio.to_thread(emulator.stop)
            assert (await client.closed())[0] in (1006, 1012)
            assert (await waiting.closed())[0] in (1006, 1012)

    asyncio.run(main())
    assert cloud.mercury.connections() == 0


def test_one_event_reaches_many_sockets(webex_cloud: Cloud) -> None:
    webex_cloud.set(max_devices=200)

    async def main() -> None:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(listen())
            await asyncio.to_thread(webex_cloud.mercury.wait, 100, "alice", 30.0)
            for number in range(5):
                push(webex_cloud, number)

    async def listen() -> None:
        device = await asyncio.to_thread(register, webex_cloud)
        async with connected(device) as client:
            assert [number_of(await client.receive()) for _ in range(5)] == list(range(5))

    asyncio.run(main())
