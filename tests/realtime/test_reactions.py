"""Reactions: given, taken back, listed and told of, end-to-end encrypted; in both styles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, client_of, run, say, shared_room, take, tell
from webex import AsyncWebex, Webex
from webex.emulator.accounts import ADMIN_ID, ALICE_ID, ALICE_TOKEN, BOB_ID, BOB_TOKEN, BOT_TOKEN
from webex.emulator.cloud import Cloud
from webex.emulator.conversation.render import activity_json
from webex.encryption.content import reaction_hmac
from webex.errors import ConfigurationError, EncryptionError, NotFoundError
from webex.ids import public_id, to_uuid
from webex.realtime import Reaction
from webex.realtime.event import Event
from webex.storage import EncryptedStorage, SQLiteStorage

ALICE, BOB = public_id("PEOPLE", ALICE_ID), public_id("PEOPLE", BOB_ID)


def told(events: list[Event[Any]]) -> list[str]:
    """What was told, in short; `again` marks what was handed out before."""
    return [
        f"{event.resource}:{event.event} {event.data.name or '-'}{' again' if event.redelivered else ''}"
        for event in events
    ]


def proof_of(cloud: Cloud, key_url: str, message_id: str, name: str) -> str:
    """The proof as the vector makes it, with the key that the cloud has."""
    with cloud.lock:
        secret = cloud.kms.cipher(key_url).jwk("")["k"]
    return reaction_hmac(to_uuid(message_id), name, {"k": secret, "kid": key_url.rpartition("/")[2], "kty": "oct"})


# Giving and taking back


def test_reaction_is_encrypted_and_signed_with_the_message_key(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice, "bob@example.com", "admin@example.com")
            sent = await alice.messages.create(room_id=room, text="one")
            first = webex_cloud.state.rooms[to_uuid(room)].key_uri
            await alice.conversations.leave(room, public_id("PEOPLE", ADMIN_ID))
            webex_cloud.requests.clear()
            made = await bob.messages.react(sent, "celebrate")
            body = webex_cloud.requests.find(method="POST", path="*/activities")[-1].body
            second = webex_cloud.state.rooms[to_uuid(room)].key_uri
            assert first is not None and second is not None and first != second  # noqa: PT018  # for the type checker
            assert (body["verb"], body["encryptionKeyUrl"]) == ("add", second)
            assert body["parent"] == {"id": to_uuid(str(sent.id)), "type": "reaction"}
            assert body["object"].keys() == {"objectType", "displayName", "hmac"}
            assert webex_cloud.kms.cipher(second).decrypt(body["object"]["displayName"]) == b"celebrate"
            assert body["object"]["hmac"] == proof_of(webex_cloud, first, str(sent.id), "celebrate")
            assert "celebrate" not in json.dumps(body)
            assert (made.name, made.message_id, made.room_id, made.person_id) == ("celebrate", sent.id, room, BOB)
            assert (made.person_email, made.room_type) == ("bob@example.com", "group")
            assert made.created is not None

    run(main())


def test_hmac_is_the_same_with_a_stored_key(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            proofs, key = [], EncryptedStorage.generate_key()
            for _ in range(2):
                storage = EncryptedStorage(SQLiteStorage(tmp_path / "s.db"), [key])
                async with client_of(webex_cloud, "bob", storage=storage) as bob:
                    await bob.messages.react(sent, "heart")
                proofs.append(webex_cloud.requests.find(method="POST", path="*/activities")[-1].body["object"]["hmac"])
        url = webex_cloud.state.rooms[to_uuid(room)].key_uri
        assert proofs == [proof_of(webex_cloud, str(url), str(sent.id), "heart")] * 2

    run(main())


def test_reactions_of_a_message_have_person_and_name(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            other = await alice.messages.create(room_id=room, text="another")
            assert await alice.messages.reactions(sent) == []
            given = [
                await bob.messages.react(sent, "heart"),
                await alice.messages.react(str(sent.id), "heart"),
                await alice.messages.react(sent, "sad"),
            ]
            await alice.messages.react(other, "haha")
            for message in (sent, str(sent.id)):
                found = await bob.messages.reactions(message)
                assert [(each.name, each.person_id) for each in found] == [
                    ("heart", BOB),
                    ("heart", ALICE),
                    ("sad", ALICE),
                ]
                assert [each.id for each in found] == [each.id for each in given]
            assert await alice.messages.unreact(sent, "heart")
            assert not await alice.messages.unreact(sent, "heart")
            assert await alice.messages.unreact(sent, given[2])
            assert [each.id for each in await bob.messages.reactions(sent)] == [given[0].id]

    run(main())


def test_a_reaction_that_is_gone_already_is_not_taken_back_again(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            given = await alice.messages.react(sent, "heart")
            assert await alice.messages.unreact(sent, given)
            assert not await alice.messages.unreact(sent, given)
            await alice.messages.react(sent, "heart")
            # Another client takes it back after it was listed.
            path = "/conversation/api/v1/conversations/*/activities"
            webex_cloud.faults.add(path, method="POST", status=404, count=1)
            assert not await alice.messages.unreact(sent, "heart")

    run(main())


def test_more_reactions_than_a_page_holds_are_all_listed(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            names = [f"r{number}" for number in range(130)]
            with webex_cloud.lock:
                for name in names:
                    webex_cloud.conversations.record(
                        "add",
                        webex_cloud.state.rooms[to_uuid(room)],
                        BOB_ID,
                        {"objectType": "reaction2", "displayName": name},
                        parent={"id": to_uuid(str(sent.id)), "type": "reaction"},
                        encrypted=True,
                    )
            assert sorted(each.name or "" for each in await alice.messages.reactions(sent)) == sorted(names)

    run(main())


def test_refused_reaction_explains_why(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            mine = await alice.messages.create(room_id=(await alice.rooms.create(title="Mine")).id, text="mine")
            with pytest.raises(NotFoundError):
                await bob.messages.react(mine, "heart")
            with pytest.raises(NotFoundError):
                await bob.messages.reactions(mine)
            for wrong in ("", None, 7):
                with pytest.raises(ConfigurationError):
                    await bob.messages.react(sent, wrong)  # type: ignore[arg-type]  # that is what is tried
                with pytest.raises(ConfigurationError):
                    await bob.messages.unreact(sent, wrong)  # type: ignore[arg-type]  # that is what is tried
            with pytest.raises(ConfigurationError):
                await bob.messages.react(None, "heart")  # type: ignore[arg-type]  # that is what is tried
            theirs = await alice.messages.react(sent, "heart")
            assert not await bob.messages.unreact(sent, "heart")
            assert [each.id for each in await alice.messages.reactions(sent)] == [theirs.id]

    run(main())


def test_nothing_is_sent_without_the_message_key(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            webex_cloud.kms.set_faults(by_key={"*": {"status": 403, "reason": "no"}})
            with pytest.raises(EncryptionError, match="Nothing was sent"):
                await bob.messages.react(sent, "heart")
            assert webex_cloud.requests.find(method="POST", path="*/activities") == []

    run(main())


def test_undecryptable_reaction_name_is_none(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            await alice.messages.react(sent, "heart")
            webex_cloud.kms.set_faults(by_key={"*": {"status": 403, "reason": "no"}})
            (found,) = await bob.messages.reactions(sent)
            assert (found.name, found.person_id) == (None, ALICE)

    run(main())


# Events


@pytest.mark.parametrize("resources", [["reactions"], None], ids=["by-name", "with-everything"])
def test_reactions_are_delivered_as_events(webex_cloud: Cloud, resources: list[str] | None) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            async with alice.listen(*([resources] if resources else []), **QUICK) as events:
                made = await bob.messages.react(sent, "celebrate")
                await bob.messages.unreact(sent, "celebrate")
                created, deleted = await take(events, 2)
            assert told([created, deleted]) == ["reactions:created celebrate", "reactions:deleted -"]
            assert created.data == made
            assert isinstance(created.data, Reaction)
            assert created.decryption_error is None
            assert (deleted.data.id, deleted.data.message_id, deleted.data.room_id) == (made.id, sent.id, room)
            assert (created.key, deleted.key) == (f"reactions:created:{made.id}", f"reactions:deleted:{made.id}")
            for event in (created, deleted):
                assert event.actor is not None
                assert (event.actor.id, event.actor.email, event.actor.kind) == (BOB, "bob@example.com", "person")
                assert (event.to_dict()["resource"], event.to_dict()["data"]["id"]) == ("reactions", made.id)

    run(main())


def test_reaction_gives_no_event_of_other_resources(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            async with alice.listen(["messages", "memberships", "rooms"], **QUICK) as events:
                await bob.messages.react(sent, "heart")
                await bob.messages.unreact(sent, "heart")
                await say(bob, room, "last")
                (event,) = await take(events)
            assert (event.event, event.data.text) == ("created", "last")

    run(main())


def test_bot_receives_reactions_and_may_react(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, AsyncWebex(BOT_TOKEN, emulator_url=webex_cloud.url) as bot:
            room = await shared_room(alice, "bot@example.com")
            sent = await bot.messages.create(room_id=room, text="react to me")
            async with bot.listen(["reactions"], **QUICK) as events:
                await alice.messages.react(sent, "thumbsup")
                await bot.messages.react(sent, "smiley")
                theirs, own = await take(events, 2)
            assert told([theirs, own]) == ["reactions:created thumbsup", "reactions:created smiley"]
            assert own.actor is not None
            assert own.actor.kind == "bot"

    run(main())


def test_missed_reactions_are_delivered_once_in_order(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
                async with bob.listen(["reactions"], **QUICK) as events:
                    await alice.messages.react(sent, "heart")
                    (await anext(events)).ack()
                    await alice.messages.react(sent, "sad")
                    await anext(events)  # in hand when it stops
            webex_cloud.mercury.expire_devices("bob")  # what waits at the cloud is gone: only the history has it
            await alice.messages.unreact(sent, "heart")
            await alice.messages.react(sent, "haha")
            await alice.messages.unreact(sent, "haha")
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
                async with bob.listen(["reactions"], **QUICK) as events:
                    heard = told(await take(events, 3))
                    await alice.messages.react(sent, "confused")
                    heard += told(await take(events))
            assert heard == [
                "reactions:created sad again",
                "reactions:deleted -",
                "reactions:deleted -",
                "reactions:created confused",
            ]

    run(main())


def test_deleted_message_with_edits_is_one_event_after_a_gap(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
                async with bob.messages.listen(**QUICK) as events:
                    await say(alice, room, "before")
                    (await anext(events)).ack()
            webex_cloud.mercury.expire_devices("bob")
            sent = await alice.conversations.post(room, "one")
            await alice.conversations.edit(room, sent, "two")
            await alice.conversations.delete(room, sent)
            await say(alice, room, "after")
            async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
                async with bob.messages.listen(**QUICK) as events:
                    heard = await take(events, 2)
            assert [(event.event, event.data.id == sent) for event in heard] == [("deleted", True), ("created", False)]

    run(main())


def test_late_activities_of_a_deleted_message_are_dropped(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.listen(["messages", "reactions"], **QUICK) as events:
                await say(alice, room, "before")
                (await anext(events)).ack()
                webex_cloud.mercury.set_faults(lost=1.0, only="conversation.")
                sent = await alice.messages.create(room_id=room, text="one")
                with webex_cloud.lock:
                    late = activity_json(webex_cloud, webex_cloud.state.activities[to_uuid(sent.id)], webex_cloud.url)
                await alice.messages.delete(sent.id)
                webex_cloud.mercury.set_faults(lost=0.0)
                await say(alice, room, "after")  # its number tells that frames are missing: they are listed
                heard = await take(events, 2)
                assert [(event.event, event.data.text) for event in heard] == [("deleted", None), ("created", "after")]
                tell(webex_cloud, {"eventType": "conversation.activity", "activity": late})
                await say(alice, room, "last")
                assert [event.data.text for event in await take(events)] == ["last"]

    run(main())


def test_lost_frames_are_recovered_by_listing(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            async with bob.listen(["reactions"], **QUICK) as events:
                await alice.messages.react(sent, "heart")
                (await anext(events)).ack()
                webex_cloud.mercury.set_faults(lost=1.0, only="conversation.")
                for name in ("sad", "haha"):
                    await alice.messages.react(sent, name)
                webex_cloud.mercury.set_faults(lost=0.0)
                await alice.messages.react(sent, "smiley")
                names = ["sad", "haha", "smiley"]
                assert told(await take(events, 3)) == [f"reactions:created {name}" for name in names]
                assert events.health.gaps_found

    run(main())


# Blocking code


def test_blocking_code_reacts_and_receives_reactions(webex_cloud: Cloud) -> None:
    with (
        Webex(ALICE_TOKEN, emulator_url=webex_cloud.url) as alice,
        Webex(BOB_TOKEN, emulator_url=webex_cloud.url) as bob,
    ):
        room = str(alice.rooms.create(title="A room").id)
        alice.memberships.create(room_id=room, person_email="bob@example.com")
        sent = alice.messages.create(room_id=room, text="one")
        with alice.listen("reactions") as events:
            made = bob.messages.react(sent, "heart")
            assert events.get(timeout=20).data == made
            assert alice.messages.reactions(str(sent.id)) == [made]
            assert bob.messages.unreact(sent, made)
            assert events.get(timeout=20).event == "deleted"
        assert not bob.messages.unreact(sent, "heart")
