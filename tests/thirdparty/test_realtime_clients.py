"""npm `webex` 3.12.0, unchanged, and ours hear each other through the emulator, encrypted."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from webex import AsyncWebex
from webex.emulator import Cloud, accounts
from webex.ids import to_hydra_id, to_uuid

Ask = Callable[..., dict[str, Any]]
CARD = {"type": "AdaptiveCard", "version": "1.3", "body": [{"type": "Input.Text", "id": "name"}]}
ALL = {
    "messages": ["created", "deleted"],
    "rooms": ["created", "updated"],
    "memberships": ["created", "deleted"],
    "attachmentActions": ["created"],
}

pytestmark = [pytest.mark.thirdparty, pytest.mark.node]


@pytest.fixture
def node(cloud: Cloud, start: Callable[[str], Ask]) -> Ask:
    """npm webex, signed in as Bob."""
    ask = start("node")
    ask("with_token", token=cloud.token_for("bob"))
    return ask


def ours(cloud: Cloud) -> AsyncWebex:
    return AsyncWebex(accounts.ALICE_TOKEN, emulator_url=cloud.url)


async def asked(ask: Ask, do: str, **parameters: Any) -> dict[str, Any]:
    return await asyncio.wait_for(asyncio.to_thread(lambda: ask(do, **parameters)), 60)


async def a_room(alice: AsyncWebex) -> str:
    room = str((await alice.rooms.create(title="Both")).id)
    await alice.memberships.create(room_id=room, person_email="bob@example.com")
    return room


def test_node_receives_our_messages(cloud: Cloud, node: Ask, tmp_path: Path) -> None:
    async def main() -> None:
        async with ours(cloud) as alice:
            room = await a_room(alice)
            await asked(node, "listen", names={"messages": ["created", "deleted"]})
            sent = await alice.conversations.post(room, "encrypted by ours", html="<b>encrypted by ours</b>")
            (event,) = (await asked(node, "heard", count=1))["events"]
            assert (event["resource"], event["event"], event["data"]["id"]) == ("messages", "created", sent)
            assert event["data"]["text"] == "encrypted by ours"
            clear = await asked(node, "clear_text", verb="post")  # what Node itself has decrypted
            assert (clear["displayName"], clear["content"]) == ("encrypted by ours", "<b>encrypted by ours</b>")
            await alice.messages.create(room_id=room, markdown="by **REST**")
            assert (await asked(node, "heard", count=1))["events"][0]["data"]["text"] == "by REST"
            assert (await asked(node, "clear_text", verb="post"))["displayName"] == "by REST"
            data = bytes(range(256)) * 40
            await alice.conversations.share(room, data, "a file", name="a.bin")
            await asked(node, "heard", count=1)
            got = await asked(node, "conversation_download")
            assert (got["name"], base64.b64decode(got["base64"])) == ("a.bin", data)
            await alice.conversations.delete(room, sent)
            (event,) = (await asked(node, "heard", count=1))["events"]
            assert (event["event"], event["data"]["id"]) == ("deleted", sent)

    asyncio.run(main())


def test_ours_receives_messages_of_node(cloud: Cloud, node: Ask, tmp_path: Path) -> None:
    async def main() -> None:
        async with ours(cloud) as alice:
            room = await a_room(alice)
            await asked(node, "listen", names={"messages": ["created"]})
            async with alice.messages.listen() as events:
                made = await asked(node, "conversation_post", id=to_uuid(room), text="encrypted by Node")
                event = await anext(events)
                assert event.decryption_error is None
                assert event.data.text == "encrypted by Node"
                assert event.data.id == to_hydra_id("MESSAGE", made["id"])
                assert (await alice.messages.get(str(event.data.id))).text == "encrypted by Node"
                await asked(node, "send", roomId=room, markdown="by **REST**")
                assert (await anext(events)).data.text == "by REST"
                data = bytes(range(256)) * 40
                await asked(
                    node, "conversation_share", id=to_uuid(room), base64=base64.b64encode(data).decode(), name="n.bin"
                )
                event = await anext(events)
                assert event.decryption_error is None
                path = await alice.conversations.download(event.files[0], tmp_path / "n.bin")
                assert path.read_bytes() == data

    asyncio.run(main())


def test_rooms_memberships_and_card_actions_both_ways(cloud: Cloud, node: Ask) -> None:
    async def main() -> None:
        async with ours(cloud) as alice:
            await asked(node, "listen", names={name: events for name, events in ALL.items() if name != "messages"})
            async with alice.listen(("rooms", "memberships", "attachmentActions")) as events:
                room = await a_room(alice)
                await alice.rooms.update(room, title="Renamed")
                card = await alice.messages.create(room_id=room, text="card", card=CARD)
                submit = {"type": "submit", "messageId": card.id, "inputs": {"name": "Bob"}}
                async with AsyncWebex(cloud.token_for("bob"), emulator_url=cloud.url) as bob:
                    assert (await bob.request("POST", "/attachment/actions", json=submit)).status == 200
                heard = [await anext(events) for _ in range(5)]
                assert [f"{event.resource}:{event.event}" for event in heard] == [
                    "rooms:created",
                    "memberships:created",
                    "memberships:created",
                    "rooms:updated",
                    "attachmentActions:created",
                ]
                # What has to be decrypted comes later there: the order is not that of the cloud.
                heard_there = (await asked(node, "heard", count=3))["events"]
                theirs = {f"{event['resource']}:{event['event']}": event["data"] for event in heard_there}
                assert theirs.keys() == {"memberships:created", "rooms:updated", "attachmentActions:created"}
                assert theirs["memberships:created"]["personEmail"] == "bob@example.com"
                assert theirs["rooms:updated"]["id"] == room
                made = await asked(node, "create_room", title="Of Node")
                event = None
                await asked(node, "add", roomId=made["id"], personEmail="alice@example.com")
                event = await anext(events)
                assert (event.resource, event.event, event.data.room_id) == ("memberships", "created", made["id"])

    asyncio.run(main())
