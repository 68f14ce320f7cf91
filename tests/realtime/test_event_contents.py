"""What events hold, from what happens in the emulator to what a consumer is given."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.realtime.helpers import QUICK, activity, client_of, run, shared_room, take, tell
from webex.emulator.accounts import ALICE_ID, BOB_ID
from webex.emulator.cloud import Cloud
from webex.ids import parse_id, to_hydra_id, to_uuid

BOB = to_hydra_id("PEOPLE", BOB_ID)
CARD = {"type": "AdaptiveCard", "version": "1.3", "body": []}


def names(events: list[Any]) -> list[str]:
    return [f"{event.resource}:{event.event}" for event in events]


async def rest(client: Any, path: str) -> dict[str, Any]:
    """The body of a call of the REST API."""
    body: dict[str, Any] = (await client.request("GET", path)).json()
    return body


# Messages


def test_a_new_message_event_equals_the_rest_message(webex_cloud: Cloud, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("text")

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            first = await alice.messages.create(room_id=room, text="first")
            async with bob.messages.listen() as events:
                await alice.messages.create(room_id=room, markdown=f"<@personId:{BOB}> **bold**", parent_id=first.id)
                await alice.messages.create(room_id=room, text="a card", card=CARD)
                await alice.messages.create(to_person_email="bob@example.com", text="between us")
                await alice.messages.create(room_id=room, text="a file", files=[note])
                for event in await take(events, 4):
                    said = await rest(bob, f"/messages/{event.data.id}")
                    said.pop("markdown", None)  # the sender's own source: it does not travel with the activity
                    said.pop("isVoiceClip", None)  # REST alone says it
                    assert {name: event.raw.get(name) for name in said} == said

    run(main())


def test_a_deleted_message_event_has_five_fields(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="text")
            async with bob.messages.listen() as events:
                await alice.messages.delete(str(sent.id))
                (event,) = await take(events)
            assert event.to_dict()["data"] == {
                "id": sent.id,
                "personId": sent.person_id,
                "personEmail": "alice@example.com",
                "roomId": room,
                "roomType": "group",
            }

    run(main())


def test_a_message_deleted_while_offline_is_a_deleted_event(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                with webex_cloud.lock:
                    webex_cloud.mercury.expire_devices("bob")
                    webex_cloud.mercury.set_faults(refuse_upgrade=503)
                sent = await alice.messages.create(room_id=room, text="never to be read")
                await alice.messages.delete(str(sent.id))
                await alice.messages.create(room_id=room, text="the last")
                webex_cloud.mercury.set_faults(refuse_upgrade=0)
                deleted, last = await take(events, 2)
            assert names([deleted, last]) == ["messages:deleted", "messages:created"]
            assert (deleted.data.id, deleted.data.text) == (sent.id, None)
            assert last.data.text == "the last"

    run(main())


def test_own_messages_are_delivered_too(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            async with alice.messages.listen() as events:
                await alice.messages.create(room_id=room, text="over REST")
                await alice.conversations.post(room, "encrypted here")
                heard = await take(events, 2)
            assert [event.data.text for event in heard] == ["over REST", "encrypted here"]
            assert {event.actor_id for event in heard} == {heard[0].created_by}

    run(main())


# Rooms and memberships


def test_a_new_room_and_each_member_give_one_event(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob, bob.listen() as events:
            room = await alice.conversations.create([BOB], title="A room")
            heard = await take(events, 3)
            assert names(heard) == ["rooms:created", "memberships:created", "memberships:created"]
            assert {event.data.person_id for event in heard[1:]} == {heard[0].actor_id, BOB}
            assert heard[0].data.id == room
            assert {event.data.room_id for event in heard[1:]} == {room}
            for event in heard[1:]:
                assert parse_id(str(event.data.id)).id == f"{to_uuid(str(event.data.person_id))}:{to_uuid(room)}"

    run(main())


def test_a_read_receipt_event_has_the_last_seen_message(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="text")
            async with alice.memberships.listen() as events:
                await bob.conversations.acknowledge(room, str(sent.id))
                (event,) = await take(events)
            assert names([event]) == ["memberships:seen"]
            assert event.raw["lastSeenId"] == sent.id
            assert "isModerator" not in event.raw
            assert (event.data.person_id, event.data.room_id) == (BOB, room)

    run(main())


def test_a_hidden_conversation_is_a_membership_update(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            sent = await alice.messages.create(to_person_email="bob@example.com", text="text")
            mine = [each async for each in bob.memberships.list(room_id=str(sent.room_id)) if each.person_id == BOB]
            async with bob.memberships.listen() as events:
                await bob.memberships.update(str(mine[0].id), is_moderator=False, is_room_hidden=True)
                (event,) = await take(events)
            assert names([event]) == ["memberships:updated"]
            assert (event.raw["isRoomHidden"], event.raw["roomType"]) == (True, "direct")
            assert (event.data.id, event.data.room_id) == (mine[0].id, sent.room_id)

    run(main())


def test_a_reaction_is_neither_a_membership_nor_a_message(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            reaction = {"objectType": "reaction2", "id": BOB_ID, "displayName": "celebrate", "hmac": "00"}
            parent = {"id": "d3c1b8e0-93e5-11ef-8a4b-9c2f3e4d5c6b", "type": "reaction"}
            async with bob.listen(["messages", "memberships"]) as events:
                reacted = activity(webex_cloud, room, "add", object=reaction, parent=parent)
                tell(webex_cloud, {"eventType": "conversation.activity", "activity": reacted})
                await alice.messages.create(room_id=room, text="the first to hear")
                (event,) = await take(events)
            assert names([event]) == ["messages:created"]
            assert event.data.text == "the first to hear"

    run(main())


def test_a_card_action_names_the_message_of_its_card(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="a card", card=CARD)
            async with alice.attachment_actions.listen() as events:
                await bob.request(
                    "POST", "/attachment/actions", json={"type": "submit", "messageId": sent.id, "inputs": {}}
                )
                (event,) = await take(events)
            assert names([event]) == ["attachmentActions:created"]
            assert event.raw["messageId"] == sent.id
            said = await rest(alice, f"/attachment/actions/{event.data.id}")
            assert (said["messageId"], said["personId"]) == (sent.id, BOB)

    run(main())


# The envelope


def test_the_event_envelope_has_the_start_time_of_listening(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            me = await bob.people.me()
            before = datetime.now(UTC)
            async with bob.messages.listen() as events:
                after = datetime.now(UTC)
                await alice.messages.create(room_id=room, text="one")
                await alice.messages.create(room_id=room, text="two")
                heard = await take(events, 2)
            envelopes = [event.to_dict() for event in heard]
            assert {envelope.pop("data")["text"] for envelope in envelopes} == {"one", "two"}
            assert envelopes[0] == envelopes[1]
            assert before <= heard[0].created <= after
            created = envelopes[0].pop("created")
            assert datetime.fromisoformat(created) == heard[0].created.replace(
                microsecond=heard[0].created.microsecond // 1000 * 1000
            )
            assert envelopes[0] == {
                "createdBy": BOB,
                "orgId": me.org_id,
                "resource": "messages",
                "ownedBy": "creator",
                "status": "active",
                "event": "created",
                "actorId": to_hydra_id("PEOPLE", ALICE_ID),
            }

    run(main())


def test_removal_while_offline_is_reported_as_a_gap(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            (mine,) = [each async for each in alice.memberships.list(room_id=room, person_email="bob@example.com")]
            async with bob.listen(**QUICK) as events:
                with webex_cloud.lock:
                    webex_cloud.mercury.expire_devices("bob")
                    webex_cloud.mercury.set_faults(refuse_upgrade=503)
                await alice.memberships.delete(str(mine.id))
                webex_cloud.mercury.set_faults(refuse_upgrade=0)
                (gap,) = await take(events)
            assert names([gap]) == ["gap:gap"]
            assert gap.data.since is not None

    run(main())
