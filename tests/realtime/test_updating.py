"""Keys, title, lock, tags and picture of a conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.realtime.helpers import client_of, run, shared_room, take
from tests.realtime.pictures import png
from webex.emulator.accounts import ADMIN_ID, ALICE_ID, BOB_ID
from webex.emulator.cloud import Cloud
from webex.emulator.state import Membership
from webex.errors import ApiError, ConfigurationError, FileError, NotFoundError
from webex.ids import to_hydra_id, to_uuid

BOB, ADMIN = to_hydra_id("PEOPLE", BOB_ID), to_hydra_id("PEOPLE", ADMIN_ID)


def verbs(cloud: Cloud) -> list[str]:
    """What clients did, in order."""
    return [request.body["verb"] for request in cloud.requests.find(method="POST", path="/conversation/*/activities")]


def membership(cloud: Cloud, room: str, person: str = ALICE_ID) -> Membership:
    return cloud.state.memberships[f"{person}:{to_uuid(room)}"]


# Keys


def test_a_rotated_key_is_used_and_old_messages_stay_readable(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                await alice.conversations.post(room, "under the first key")
                first = webex_cloud.state.rooms[to_uuid(room)].key_uri
                second = await alice.conversations.rotate_key(room)
                assert second == webex_cloud.state.rooms[to_uuid(room)].key_uri != first
                await bob.conversations.post(room, "under the second key")
                await alice.conversations.post(room, "and this")
                found = await take(events, 3)
                assert [event.data.text for event in found] == [
                    "under the first key",
                    "under the second key",
                    "and this",
                ]
                assert [event.decryption_error for event in found] == [None] * 3
            assert verbs(webex_cloud).count("updateKey") == 1

    run(main())


def test_successive_key_rotations_both_succeed(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            await alice.conversations.post(room, "one")
            await bob.conversations.post(room, "two")
            keys = [await each.conversations.rotate_key(room) for each in (alice, bob, alice)]
            assert len(set(keys)) == 3
            await bob.conversations.post(room, "three")
            assert webex_cloud.state.rooms[to_uuid(room)].key_uri == keys[-1]

    run(main())


def test_a_rotation_conflict_is_retried(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            body = {"message": "rotated already", "errorCode": 1409004}
            webex_cloud.faults.add("/conversation/*/activities", status=409, body=json.dumps(body), count=1)
            key = await alice.conversations.rotate_key(room)
            assert webex_cloud.state.rooms[to_uuid(room)].key_uri == key
            webex_cloud.faults.add("/conversation/*/activities", status=403, count=1)
            with pytest.raises(ApiError):
                await alice.conversations.rotate_key(room)

    run(main())


# Title, lock, tags


def test_a_title_is_encrypted_and_changed(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            webex_cloud.requests.clear()
            await alice.conversations.update(room, title="Another title")
            assert (await alice.rooms.get(room)).title == "Another title"
            (request,) = webex_cloud.requests.find(method="POST", path="/conversation/*/activities")
            assert "Another title" not in json.dumps(request.body)

    run(main())


def test_own_flags_are_set_and_cleared(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            update = alice.conversations.update
            await update(room, favorite=True, muted=True, hidden=True, add_tags=["IGNORED"])
            assert sorted(await alice.conversations.tags(room)) == ["FAVORITE", "HIDDEN", "IGNORED", "MUTED"]
            assert await bob.conversations.tags(room) == []
            await update(room, favorite=False, muted=False, hidden=False, remove_tags=["IGNORED"])
            assert await alice.conversations.tags(room) == []
            assert verbs(webex_cloud) == [
                *("favorite", "mute", "hide", "tag"),
                *("unfavorite", "unmute", "unhide", "untag"),
            ]

    run(main())


def test_notifications_are_on_off_or_default(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            update = alice.conversations.update
            await update(room, mention_notifications=True, message_notifications=False)
            assert membership(webex_cloud, room).tags == ["MENTION_NOTIFICATIONS_ON", "MESSAGE_NOTIFICATIONS_OFF"]
            await update(room, mention_notifications=False, message_notifications="default")
            assert membership(webex_cloud, room).tags == ["MENTION_NOTIFICATIONS_OFF"]

    run(main())


def test_moderators_lock_a_room_and_restrict_posting(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            await alice.conversations.update(room, locked=True, announcements_only=True)
            found = await alice.rooms.get(room)
            assert (found.is_locked, found.is_announcement_only) == (True, True)
            with pytest.raises(ApiError):
                await bob.conversations.update(room, title="Mine", favorite=True)
            assert await bob.conversations.tags(room) == ["LOCKED", "ANNOUNCEMENT"]  # nothing after what was refused
            await alice.conversations.update(room, locked=False, announcements_only=False)
            found = await alice.rooms.get(room)
            assert (found.is_locked, bool(found.is_announcement_only)) == (False, False)

    run(main())


BAD: dict[str, dict[str, Any]] = {
    "nothing": {},
    "an empty title": {"title": " "},
    "a flag that is no flag": {"favorite": "yes"},
    "notifications that are none": {"mention_notifications": "off"},
    "a tag added and removed": {"add_tags": ["A"], "remove_tags": ["A"]},
    "a tag that is no text": {"add_tags": [7]},
}


@pytest.mark.parametrize("case", BAD)
def test_invalid_updates_are_refused_before_sending(webex_cloud: Cloud, case: str) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            with pytest.raises(ConfigurationError):
                await alice.conversations.update(room, **BAD[case])
            assert verbs(webex_cloud) == []

    run(main())


# Picture


def test_a_picture_is_assigned_replaced_and_removed(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            for data in (png(3, 3), png(4, 4)):
                await alice.conversations.set_picture(room, data, name="face.png")
                with webex_cloud.lock:
                    picture = webex_cloud.state.rooms[to_uuid(room)].avatar
                    assert picture is not None
                    assert webex_cloud.state.files[picture].data == data
            (first, _) = webex_cloud.requests.find(method="POST", path="/files/*/upload_sessions")
            assert first.body["role"] == "spaceAvatar"
            await alice.conversations.remove_picture(room)
            assert webex_cloud.state.rooms[to_uuid(room)].avatar is None
            assert verbs(webex_cloud) == ["assign", "assign", "unassign"]

    run(main())


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [(b"x" * (1024 * 1024 + 1), "a.png", FileError), (b"x", "a.txt", ConfigurationError)],
    ids=["too large", "no picture"],
)
def test_an_invalid_room_picture_is_refused(webex_cloud: Cloud, data: bytes, name: str, kind: type[Exception]) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            with pytest.raises(kind):
                await alice.conversations.set_picture(room, data, name=name)
            assert verbs(webex_cloud) == []

    run(main())


# Creating


def test_a_conversation_is_created_with_message_tags_and_flag(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await alice.conversations.create(
                [BOB, ADMIN], "With all", text="Welcome", html="<b>Welcome</b>", tags=["WELCOME"], favorite=True
            )
            (message,) = await bob.messages.list(room_id=room).to_list()
            assert (message.text, message.html) == ("Welcome", "<b>Welcome</b>")
            assert sorted(await alice.conversations.tags(room)) == ["FAVORITE", "WELCOME"]
            assert await bob.conversations.tags(room) == ["WELCOME"]
            (request,) = webex_cloud.requests.find(method="POST", path="/conversation/api/v1/conversations")
            assert "Welcome" not in json.dumps(request.body)

    run(main())


@pytest.mark.parametrize("race", [False, True], ids=["there", "made meanwhile"])
def test_a_direct_room_that_is_there_gets_the_tags_and_the_flag_too(webex_cloud: Cloud, race: bool) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await alice.conversations.create([BOB])
            if race:
                webex_cloud.faults.add("/conversation/api/v1/conversations/user/*", status=404, count=1)
            again = await alice.conversations.create(BOB, text="hello", tags="PROJECT", favorite=True)
            assert again == room
            assert sorted(await alice.conversations.tags(room)) == ["FAVORITE", "ONE_ON_ONE", "PROJECT"]
            assert "FAVORITE" not in await bob.conversations.tags(room)
            assert [message.text for message in await bob.messages.list(room_id=room).to_list()] == ["hello"]

    run(main())


def test_the_first_message_of_an_existing_direct_room_is_posted(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            rooms = [await alice.conversations.create([BOB], text=text) for text in ("one", "two")]
            assert rooms[0] == rooms[1]
            found = await alice.messages.list(room_id=rooms[0]).to_list()
            assert sorted(str(message.text) for message in found) == ["one", "two"]
            with pytest.raises(NotFoundError):
                await alice.conversations.create([to_hydra_id("PEOPLE", BOB_ID[:-4] + "0000")], "A stranger")

    run(main())
