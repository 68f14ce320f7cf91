"""npm `webex` 3.12.0, unchanged, and ours read, react and read back in one room, each seeing what the other did."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.tiers import environment, program
from tests.thirdparty.clients import Client
from webex import AsyncWebex
from webex.emulator import Cloud, accounts
from webex.ids import public_id, to_uuid
from webex.models import Model

pytestmark = [pytest.mark.thirdparty, pytest.mark.node]
SCRIPT = Path(__file__).parent / "node" / "reading.js"
ALICE, BOB = (public_id("PEOPLE", each) for each in (accounts.ALICE_ID, accounts.BOB_ID))
NEVER = "1970-01-01T00:00:00.000Z"


@pytest.fixture
def node(cloud: Cloud) -> Iterator[Client]:
    """npm webex, signed in as Bob and listening."""
    variables = {"BASE": cloud.url, "WEBEX_NODE_MODULES": str(environment("node-webex") / "node_modules")}
    client = Client([program("node"), str(SCRIPT)], variables)
    client("with_token", token=accounts.BOB_TOKEN)
    yield client
    client.close()


async def asked(node: Client, do: str, **parameters: Any) -> Any:
    return await asyncio.wait_for(asyncio.to_thread(lambda: node(do, **parameters)), 60)


def of(cloud: Cloud, token: str = accounts.ALICE_TOKEN) -> AsyncWebex:
    return AsyncWebex(token, emulator_url=cloud.url)


async def a_room(alice: AsyncWebex) -> str:
    room = str((await alice.rooms.create(title="Both")).id)
    await alice.memberships.create(room_id=room, person_email="bob@example.com")
    return room


def shared(ours: Model, theirs: dict[str, Any]) -> dict[str, Any]:
    """The fields of theirs that ours has too, as ours has them."""
    data = ours.to_dict()
    return {name: data[name] for name in theirs if name in data}


def test_both_read_the_same_status(cloud: Cloud, node: Client) -> None:
    async def main() -> None:
        async with of(cloud) as alice, of(cloud, accounts.BOB_TOKEN) as bob:
            for title in ("One", "Two"):
                room = await a_room(alice)
                await alice.rooms.update(room, title=title)
                await alice.messages.create(room_id=room, text="hello")
            await alice.messages.create(to_person_email="bob@example.com", text="between us")
            await bob.messages.mark_read((await bob.messages.list(room_id=room).to_list())[0])
            for most in (None, 2):
                ours = await bob.rooms.with_read_status(max_recent=most)
                theirs = (await asked(node, "rooms", maxRecent=most or 0))["items"]
                assert len(ours) == (most or 3)
                assert [
                    {
                        "id": each["id"],
                        "type": each["type"],
                        "lastActivity": each["lastActivityDate"],
                        "lastSeen": each["lastSeenActivityDate"],
                    }
                    for each in theirs
                ] == [
                    {
                        "lastSeen": NEVER,
                        **{name: each.to_dict()[name] for name in ("id", "type", "lastActivity")},
                        **{name: value for name, value in each.to_dict().items() if name == "lastSeen"},
                    }
                    for each in ours
                ]
                unread = [each["lastActivityDate"] > each["lastSeenActivityDate"] for each in theirs]
                assert [each.is_unread for each in ours] == unread
                titles = [each.get("title") for each in theirs]  # of a computed title the package says nothing
                assert [each.title if each.type == "group" else None for each in ours] == titles
            status, one = await bob.rooms.read_status(room), await asked(node, "room", roomId=room)
            assert (one["title"], one["lastSeenActivityDate"]) == ("Two", status.to_dict()["lastSeen"])
            assert (status.title, status.is_unread) == ("Two", False)
            ours_of, theirs_of = await bob.memberships.read_status(room), await asked(node, "members", roomId=room)
            assert len(ours_of) == 2
            for own, other in zip(ours_of, theirs_of["items"], strict=True):
                assert shared(own, other) == {name: value for name, value in other.items() if name != "isMonitor"}

    asyncio.run(main())


def test_each_receives_the_read_receipts_of_the_other(cloud: Cloud, node: Client) -> None:
    async def main() -> None:
        async with of(cloud) as alice:
            room = await a_room(alice)
            sent = await alice.messages.create(room_id=room, text="hello")
            async with alice.memberships.listen() as events:
                theirs = await asked(node, "read", id=sent.id, roomId=room)
                event = await anext(events)
                assert (event.event, event.data.person_id, event.data.last_seen_id) == ("seen", BOB, sent.id)
                assert shared(event.data, theirs) == {
                    name: value for name, value in theirs.items() if name != "isMonitor"
                }
                assert (await asked(node, "seen"))["data"]["lastSeenId"] == sent.id  # its own
                answer = (await asked(node, "post", room=to_uuid(room), text="an answer"))["id"]
                own = await alice.messages.mark_read(public_id("MESSAGE", answer))
            heard = await asked(node, "seen")
            assert (heard["data"]["personId"], heard["data"]["lastSeenId"]) == (ALICE, own.last_seen_id)
            assert shared(own, heard["data"]) == heard["data"]

    asyncio.run(main())


def test_node_reads_our_reactions(cloud: Cloud, node: Client) -> None:
    async def main() -> None:
        async with of(cloud) as alice:
            room = await a_room(alice)
            message = (await asked(node, "post", room=to_uuid(room), text="react to me"))["id"]
            made = await alice.messages.react(public_id("MESSAGE", message), "celebrate")
            heard = await asked(node, "reaction", verb="add")
            assert (public_id("REACTION", heard["id"]), heard["name"]) == (made.id, "celebrate")
            proof = await asked(node, "proof", room=to_uuid(room), message=message, name="celebrate")
            assert heard["hmac"] == proof["hmac"]
            summary = await asked(node, "summary", room=to_uuid(room), message=message)
            assert summary == {"reactionSummary": [["celebrate", 1]]}
            await asked(node, "react", room=to_uuid(room), message=message, name="celebrate")
            summary = await asked(node, "summary", room=to_uuid(room), message=message)
            assert summary == {"reactionSummary": [["celebrate", 2]], "reactionSelfSummary": [["celebrate", 1]]}
            assert await alice.messages.unreact(public_id("MESSAGE", message), "celebrate")
            assert (await asked(node, "reaction", verb="delete"))["object"] == to_uuid(made.id)
            summary = await asked(node, "summary", room=to_uuid(room), message=message)
            assert summary == {"reactionSummary": [["celebrate", 1]], "reactionSelfSummary": [["celebrate", 1]]}

    asyncio.run(main())


def test_ours_receives_reactions_of_node(cloud: Cloud, node: Client) -> None:
    async def main() -> None:
        async with of(cloud) as alice:
            room = await a_room(alice)
            sent = await alice.messages.create(room_id=room, text="react to me")
            async with alice.listen(["reactions"]) as events:
                parameters = {"room": to_uuid(room), "message": to_uuid(str(sent.id))}
                made = (await asked(node, "react", name="heart", **parameters))["id"]
                event = await anext(events)
                assert (event.event, event.data.name, event.data.person_id) == ("created", "heart", BOB)
                assert (event.data.id, event.data.message_id) == (public_id("REACTION", made), sent.id)
                assert event.decryption_error is None
                assert [each.name for each in await alice.messages.reactions(sent)] == ["heart"]
                await alice.messages.react(sent, "heart")
                await anext(events)
                proofs = {
                    request.body["object"]["hmac"]
                    for request in cloud.requests.find(method="POST", path="*/activities")
                    if request.body["verb"] == "add"
                }
                assert len(proofs) == 1  # theirs and ours
                gone = await asked(node, "unreact", room=to_uuid(room), reaction=made)
                assert gone["verb"] == "tombstone"
                event = await anext(events)
                assert (event.event, event.data.id, event.data.person_id) == (
                    "deleted",
                    public_id("REACTION", made),
                    BOB,
                )
                assert [each.person_id for each in await alice.messages.reactions(sent)] == [ALICE]

    asyncio.run(main())


def test_both_read_the_same_history(cloud: Cloud, node: Client) -> None:
    async def main() -> None:
        async with of(cloud) as alice:
            room = await a_room(alice)
            first = (await asked(node, "post", room=to_uuid(room), text="of Node"))["id"]
            await alice.conversations.post(room, "an answer of ours", parent_id=public_id("MESSAGE", first))
            await asked(node, "post", room=to_uuid(room), text="an answer of Node", parentActivityId=first)
            mention = f'<spark-mention data-object-type="person" data-object-id="{accounts.BOB_ID}">Bob</spark-mention>'
            await alice.conversations.post(room, "Bob hello", html=f"{mention} hello")
            theirs = (await asked(node, "activities", room=to_uuid(room)))["texts"]
            ours = [
                event.data.text
                async for event in alice.conversations.history(room, order="oldest", page_size=2)
                if event.resource == "messages"
            ]
            assert ours == theirs == ["of Node", "an answer of ours", "an answer of Node", "Bob hello"]
            ((parent, answers),) = (await asked(node, "threads"))["threads"]
            (thread,) = await alice.conversations.threads().to_list()
            assert (to_uuid(thread.message_id), [each.data.text for each in thread.replies]) == (parent, answers)
            assert answers == ["an answer of ours", "an answer of Node"]
            async with of(cloud, accounts.BOB_TOKEN) as bob:
                mentions = [event.data.text async for event in bob.conversations.mentions()]
            assert (await asked(node, "mentions"))["texts"] == mentions == ["Bob hello"]

    asyncio.run(main())
