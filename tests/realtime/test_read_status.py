"""What is unread, who has read how far, and telling the others how far one has read; in both styles."""

from __future__ import annotations

from typing import Any

import pytest

from tests.realtime.helpers import QUICK, client_of, run, say, shared_room, take
from webex import Webex
from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN, BOB_ID, BOB_TOKEN
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError, DecodeError, KMSError, NotFoundError
from webex.ids import membership_id, public_id, to_uuid

# Rooms


def test_room_is_unread_until_its_last_message_is_read(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            before = await bob.rooms.read_status(room)
            assert (before.id, before.type, before.title) == (room, "group", "A room")
            assert before.last_seen is None
            first = await alice.messages.create(room_id=room, text="one")
            webex_cloud.clock.advance(1)  # what is read is told by a time in milliseconds
            second = await alice.messages.create(room_id=room, text="two")
            status = await bob.rooms.read_status(room)
            assert (status.is_unread, status.last_activity) == (True, second.created)
            await bob.messages.mark_read(first)
            status = await bob.rooms.read_status(room)
            assert (status.is_unread, status.last_seen) == (True, first.created)
            await bob.messages.mark_read(second)
            status = await bob.rooms.read_status(room)
            assert (status.is_unread, status.last_seen) == (False, second.created)
            webex_cloud.clock.advance(1)
            await say(alice, room, "three")
            assert (await bob.rooms.read_status(room)).is_unread
            assert not (await alice.rooms.read_status(room)).is_unread  # who wrote it has seen it

    run(main())


def test_rooms_are_ordered_by_latest_activity(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            first, second = await shared_room(alice), await shared_room(alice)
            await say(alice, second, "one")
            webex_cloud.clock.advance(1)
            await alice.messages.create(to_person_email="bob@example.com", text="between us")
            webex_cloud.clock.advance(1)
            await say(alice, first, "two")
            rooms = await bob.rooms.with_read_status()
            assert [(room.type, room.title, room.is_unread) for room in rooms] == [
                ("group", "A room", True),
                ("direct", "Alice Example", True),
                ("group", "A room", True),
            ]
            assert [room.id for room in rooms if room.type == "group"] == [first, second]
            assert [room.id for room in await bob.rooms.with_read_status(max_recent=2)] == [rooms[0].id, rooms[1].id]

    run(main())


def test_recent_rooms_have_activity_within_fourteen_days(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            await say(alice, await shared_room(alice), "one")
            await alice.rooms.with_read_status(max_recent=7)
            await alice.rooms.with_read_status()
        recent, all_of_them = (
            request.query for request in webex_cloud.requests.find(path="/conversation/api/v1/conversations")
        )
        assert recent["conversationsLimit"] == "7"
        assert abs(webex_cloud.now() - int(recent["sinceDate"]) / 1000 - 14 * 86_400) < 60
        assert (all_of_them["conversationsLimit"], "sinceDate" in all_of_them) == ("1000", False)
        for query in (recent, all_of_them):
            assert (query["activitiesLimit"], query["computeTitleIfEmpty"], query["isActive"]) == ("0", "true", "true")

    run(main())


def test_hidden_rooms_are_marked_only_for_the_caller(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            sent = await alice.messages.create(to_person_email="bob@example.com", text="between us")
            room = str(sent.room_id)
            await alice.memberships.update(
                membership_id(ALICE_ID, to_uuid(room)), is_moderator=False, is_room_hidden=True
            )
            assert (await alice.rooms.read_status(room)).is_hidden
            assert not (await bob.rooms.read_status(room)).is_hidden
            hidden = {each.person_email: each.is_room_hidden for each in await alice.memberships.read_status(room)}
            assert hidden == {"alice@example.com": True, "bob@example.com": None}

    run(main())


def test_a_room_that_several_clusters_list_is_there_once(webex_cloud: Cloud) -> None:
    one, two, three = (webex_cloud.new_uuid() for _ in range(3))
    base = webex_cloud.url
    first, second, third = (f"/conversation/api/v1/{path}" for path in ("conversations", "threads", "mentions"))
    others = {first: ([one], [second, third]), second: ([one, two], [third]), third: ([three], [second])}
    for path, (rooms, more) in others.items():
        listed = {"items": [{"id": each, "tags": []} for each in rooms]}
        webex_cloud.faults.add(path, body={**listed, "additionalUrls": [f"{base}{each}" for each in more]})

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            found = [to_uuid(each.id) for each in await alice.rooms.with_read_status()]
            assert sorted(found) == sorted([one, two, three])
            assert len(webex_cloud.requests.find(path=third)) == 1

    run(main())


@pytest.mark.parametrize("wrong", [0, -1, 101, True, "5", 1.5], ids=["0", "negative", "101", "bool", "text", "float"])
def test_max_recent_is_one_to_a_hundred(webex_cloud: Cloud, wrong: Any) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            with pytest.raises(ConfigurationError, match="1 to 100"):
                await alice.rooms.with_read_status(max_recent=wrong)
            assert webex_cloud.requests.find(path="/conversation/*") == []

    run(main())


def test_title_with_a_refused_key_is_none_and_others_are_readable(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            closed, readable = await shared_room(alice), await shared_room(alice)
            key = webex_cloud.state.rooms[to_uuid(closed)].key_uri
            assert key is not None
            webex_cloud.kms.set_faults(by_key={key: {"status": 403, "reason": "no"}})
            titles = {room.id: room.title for room in await bob.rooms.with_read_status()}
            assert titles == {closed: None, readable: "A room"}

    run(main())


def test_unreachable_kms_is_an_error_instead_of_a_missing_title(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            connection = await bob.conversations._service.connected()

            async def unreachable(url: str) -> None:
                raise KMSError("The key service did not answer.")

            monkeypatch.setattr(connection.keys, "get", unreachable)
            with pytest.raises(KMSError):
                await bob.rooms.read_status(room)

    run(main())


@pytest.mark.parametrize("body", ["[]", "{}", '{"items": 7}', '{"id": 7}'], ids=["list", "empty", "items", "id"])
def test_malformed_conversation_is_a_decode_error(webex_cloud: Cloud, body: str) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            webex_cloud.faults.add("/conversation/*", body=body)
            for call in (alice.rooms.read_status, alice.memberships.read_status):
                with pytest.raises(DecodeError):
                    await call(room)
            if body != '{"id": 7}':
                with pytest.raises(DecodeError):
                    await alice.rooms.with_read_status()

    run(main())


def test_room_of_others_is_not_found(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = str((await alice.rooms.create(title="Mine")).id)
            for call in (bob.rooms.read_status, bob.memberships.read_status):
                with pytest.raises(NotFoundError):
                    await call(room)
            with pytest.raises(ConfigurationError, match="no UUID"):
                await bob.rooms.read_status("a room")

    run(main())


# Members, and what one has read oneself


def test_members_have_their_last_read_message(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            before = {each.person_email: each for each in await alice.memberships.read_status(room)}
            assert before["alice@example.com"].last_seen_id == sent.id
            assert before["alice@example.com"].last_seen_date == sent.created
            assert (before["bob@example.com"].last_seen_id, before["bob@example.com"].last_seen_date) == (None, None)
            await bob.messages.mark_read(sent)
            after = {each.person_email: each for each in await alice.memberships.read_status(room)}
            bobs = after["bob@example.com"]
            assert (bobs.last_seen_id, bobs.last_seen_date) == (sent.id, sent.created)
            assert (bobs.id, bobs.room_id) == (membership_id(BOB_ID, to_uuid(room)), room)
            assert (bobs.person_id, bobs.room_type) == (public_id("PEOPLE", BOB_ID), "group")
            assert (bobs.person_display_name, bobs.is_moderator) == ("Bob Example", False)

    run(main())


@pytest.mark.parametrize("given", ["message", "id"])
def test_mark_read_returns_the_membership_and_notifies_others(webex_cloud: Cloud, given: str) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            async with alice.memberships.listen(**QUICK) as events:
                own = await bob.messages.mark_read(sent if given == "message" else str(sent.id))
                (event,) = await take(events)
            assert (own.last_seen_id, own.person_id, own.room_id) == (sent.id, public_id("PEOPLE", BOB_ID), room)
            assert (own.id, own.is_room_hidden) == (membership_id(BOB_ID, to_uuid(room)), False)
            assert (event.resource, event.event) == ("memberships", "seen")
            assert (event.data.last_seen_id, event.data.person_id) == (sent.id, own.person_id)
            assert event.actor is not None
            assert (event.actor.id, event.actor.email, event.actor.kind) == (own.person_id, "bob@example.com", "person")

    run(main())


def test_each_read_receipt_has_its_own_key(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            first = await alice.messages.create(room_id=room, text="one")
            second = await alice.messages.create(room_id=room, text="two")
            async with alice.memberships.listen(**QUICK) as events:
                for message in (first, second):
                    await bob.messages.mark_read(message)
                keys = [event.key for event in await take(events, 2)]
            member = membership_id(BOB_ID, to_uuid(room))
            assert keys == [f"memberships:seen:{member}:{message.id}" for message in (first, second)]

    run(main())


def test_unmarkable_message_explains_why(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            mine = await alice.messages.create(room_id=(await alice.rooms.create(title="Mine")).id, text="mine")
            for message in (mine, str(mine.id)):
                with pytest.raises(NotFoundError):
                    await bob.messages.mark_read(message)
            for wrong in (None, "", 7, "no id"):
                with pytest.raises(ConfigurationError):
                    await bob.messages.mark_read(wrong)  # type: ignore[arg-type]  # that is what is tried

    run(main())


# Blocking code


def test_blocking_code_reads_and_marks(webex_cloud: Cloud) -> None:
    with (
        Webex(ALICE_TOKEN, emulator_url=webex_cloud.url) as alice,
        Webex(BOB_TOKEN, emulator_url=webex_cloud.url) as bob,
    ):
        room = str(alice.rooms.create(title="A room").id)
        alice.memberships.create(room_id=room, person_email="bob@example.com")
        sent = alice.messages.create(room_id=room, text="one")
        assert [(each.title, each.is_unread) for each in bob.rooms.with_read_status()] == [("A room", True)]
        assert bob.messages.mark_read(sent).last_seen_id == sent.id
        assert not bob.rooms.read_status(room).is_unread
        seen = {each.person_id: each.last_seen_id for each in alice.memberships.read_status(room)}
        assert seen == {public_id("PEOPLE", ALICE_ID): sent.id, public_id("PEOPLE", BOB_ID): sent.id}
        with pytest.raises(ConfigurationError, match="1 to 100"):
            bob.rooms.with_read_status(max_recent=0)
