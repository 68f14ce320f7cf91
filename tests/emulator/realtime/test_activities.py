"""What an activity looks like on the wire, whatever made it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.emulator.helpers import fetch
from tests.emulator.realtime.helpers import Talker, key_client, new_room, talker
from webex import Webex
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN, BOB_ID, BOB_TOKEN
from webex.ids import to_hydra_id

BOB = "bob@example.com"


def rest(cloud: Cloud, path: str, method: str = "GET", body: Any = None, token: str = ALICE_TOKEN) -> Any:
    answer = fetch(f"{cloud.url}/v1{path}", method, json_body=body, token=token)
    assert answer.status < 300, answer.text
    return answer.json() if answer.body else None


def message_of(room_id: str, **more: Any) -> dict[str, Any]:
    return {"roomId": to_hydra_id("ROOM", room_id), **more}


async def history(someone: Talker) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await someone.get("/activities")).json()["items"]
    return items


def test_html_without_a_text_is_refused(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            html = alice.cipher.encrypt(b"<b>html</b>")
            assert (await alice.submit("post", {"objectType": "comment", "content": html})).status == 400
            assert not webex_cloud.state.messages
            assert (await alice.post("html", content={"content": html})).status == 200

    asyncio.run(main())


def test_unencrypted_content_or_a_missing_key_url_is_refused(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            plain = {"objectType": "comment", "displayName": "in the clear"}
            assert (await alice.submit("post", plain)).status == 400
            assert (await alice.submit("post", plain, encryptionKeyUrl=None)).status == 400

    asyncio.run(main())


def test_activity_with_a_part_of_another_type_is_refused(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            for verb in ("post", "add", "leave", "delete", "acknowledge", "updateKey", "share"):
                for name in ("object", "target", "parent", "actor"):
                    assert (await alice.submit(verb, **{"content": {}, name: ["x"]})).status == 400, (verb, name)

    asyncio.run(main())


def test_only_content_is_encrypted(webex_cloud: Cloud, tmp_path: Path) -> None:
    room_id = new_room(webex_cloud, BOB)
    note = tmp_path / "note.txt"
    note.write_bytes(b"the file")

    async def main() -> None:
        async with talker(webex_cloud, room_id, BOB_TOKEN) as bob:
            person = to_hydra_id("PEOPLE", BOB_ID)
            text = message_of(room_id, markdown=f"<@personId:{person}> hello, <@all>")
            await asyncio.to_thread(rest, webex_cloud, "/messages", "POST", text)
            content = (await bob.activity())["object"]
            assert b"hello" in bob.cipher.decrypt(content["displayName"])
            assert b"hello" in bob.cipher.decrypt(content["content"])
            assert content["mentions"]["items"] == [{"objectType": "person", "id": BOB_ID}]
            assert content["groupMentions"]["items"] == [{"objectType": "groupMention", "groupType": "all"}]
            await asyncio.to_thread(share, webex_cloud, room_id, note)
            shared = await bob.activity()
            (file,) = shared["object"]["files"]["items"]
            assert (file["mimeType"], file["fileSize"]) == ("text/plain", 8)
            assert bob.cipher.decrypt(file["displayName"]) == b"note.txt"
            assert shared["actor"]["id"] == ALICE_ID
            assert shared["target"]["id"] == room_id

    asyncio.run(main())


def share(cloud: Cloud, room_id: str, path: Path) -> None:
    with Webex(ALICE_TOKEN, emulator_url=cloud.url) as alice:
        alice.messages.create(room_id=to_hydra_id("ROOM", room_id), files=[path])


def test_a_deleted_message_becomes_a_tombstone(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            kept = (await alice.post("kept")).json()["id"]
            first = (await alice.post("first")).json()["id"]
            edit = (await alice.post("edited", parent={"id": first, "type": "edit"})).json()["id"]
            assert (await alice.submit("delete", {"objectType": "activity", "id": first})).status == 200
            verbs = {item["id"]: item["verb"] for item in await history(alice)}
            assert (verbs[kept], verbs[first], verbs[edit]) == ("post", "tombstone", "tombstone")
            for item in await history(alice):
                if item["verb"] == "tombstone":
                    assert "displayName" not in item["object"]
            (deleted,) = [item for item in await history(alice) if item["verb"] == "delete"]
            assert deleted["object"]["id"] == first

    asyncio.run(main())


def test_an_edit_and_a_reply_are_posts_that_name_their_parent(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            first = (await alice.post("first")).json()["id"]
            public = to_hydra_id("MESSAGE", first)
            await alice.activity()
            for path, method, body in (
                (f"/messages/{public}", "PUT", message_of(room_id, text="changed")),
                ("/messages", "POST", message_of(room_id, text="an answer", parentId=public)),
            ):
                await asyncio.to_thread(rest, webex_cloud, path, method, body)
            edit, reply = await alice.activity(), await alice.activity()
            assert (edit["verb"], edit["parent"]) == ("post", {"id": first, "type": "edit"})
            assert (reply["verb"], reply["parent"]) == ("post", {"id": first, "type": "reply"})
            assert edit["id"] != first
            await alice.post("changed again", parent={"id": first, "type": "edit"})
            assert rest(webex_cloud, f"/messages/{public}")["text"] == "changed again"

    asyncio.run(main())


def test_every_conversation_in_an_activity_has_its_lists(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as kms:
            room_id = await asyncio.to_thread(new_room, webex_cloud, BOB)
            alice = Talker(kms, room_id)
            public = to_hydra_id("ROOM", room_id)
            await asyncio.to_thread(
                rest, webex_cloud, f"/rooms/{public}", "PUT", {"title": "Renamed", "isLocked": True}
            )
            sent = await asyncio.to_thread(rest, webex_cloud, "/messages", "POST", message_of(room_id, text="text"))
            await asyncio.to_thread(rest, webex_cloud, f"/messages/{sent['id']}", "DELETE")
            member = to_hydra_id("MEMBERSHIP", f"{BOB_ID}:{room_id}")
            await asyncio.to_thread(rest, webex_cloud, f"/memberships/{member}", "DELETE")
            heard = [await alice.activity() for _ in range(6)]
            assert [each["verb"] for each in heard] == ["create", "add", "lock", "post", "delete", "leave"]
            whole = (await alice.get("?includeParticipants=true&activitiesLimit=2")).json()
            assert len(whole["activities"]["items"]) == 2
            assert [each["id"] for each in whole["participants"]["items"]] == [ALICE_ID]
            found = [
                place
                for each in [*heard, *await history(alice)]
                for place in (each.get("object") or {}, each.get("target") or {})
                if place.get("objectType") == "conversation"
            ]
            assert len(found) >= 2 * 6
            for place in found:
                assert isinstance(place["activities"]["items"], list)
                assert isinstance(place["participants"]["items"], list)
            created = heard[0]["object"]["participants"]["items"]
            assert [each["entryUUID"] for each in created] == [ALICE_ID]
            assert "target" not in heard[0]

    asyncio.run(main())


def test_read_receipts_are_sent_to_all_members(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud, BOB)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice, talker(webex_cloud, room_id, BOB_TOKEN) as bob:
            first = (await alice.post("first")).json()["id"]
            assert (await bob.submit("acknowledge", {"objectType": "activity", "id": first})).status == 200
            await alice.activity()
            read = await alice.activity()
            assert (read["verb"], read["actor"]["id"], read["object"]["id"]) == ("acknowledge", BOB_ID, first)
            assert read["actor"]["roomProperties"]["lastSeenActivityUUID"] == first

    asyncio.run(main())


def test_hiding_a_direct_conversation_affects_only_the_caller(webex_cloud: Cloud) -> None:
    sent = rest(webex_cloud, "/messages", "POST", {"toPersonEmail": BOB, "text": "text"})
    mine = rest(webex_cloud, f"/memberships?roomId={sent['roomId']}&personEmail={BOB}")["items"][0]["id"]

    async def main() -> None:
        async with key_client(webex_cloud) as alice, key_client(webex_cloud, BOB_TOKEN) as bob:
            body = {"isModerator": False, "isRoomHidden": True}
            await asyncio.to_thread(rest, webex_cloud, f"/memberships/{mine}", "PUT", body, BOB_TOKEN)
            hidden = await Talker(bob, "unused").activity()
            assert (hidden["verb"], hidden["actor"]["id"]) == ("hide", BOB_ID)
            assert to_hydra_id("ROOM", hidden["object"]["id"]) == sent["roomId"]
            assert "ONE_ON_ONE" in hidden["object"]["tags"]
            assert "target" not in hidden
            assert (await alice.client.ping())["type"] == "pong"

    asyncio.run(main())


def test_kms_authorization_follows_membership(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice, key_client(webex_cloud, BOB_TOKEN) as bob:
            resource = (await alice.get()).json()["kmsResourceObjectUrl"]
            person = {"objectType": "person", "id": BOB_ID}
            assert (await bob.ask("retrieve", alice.key_url))["status"] == 403
            grant = alice.kms.encrypt(method="create", uri="/authorizations", resourceUri=resource, userIds=[BOB_ID])
            added = (await alice.submit("add", person, kmsMessage=grant)).json()
            answer = alice.kms.decrypt(added["kmsMessage"])
            assert (answer["status"], answer["authorizations"][0]["authId"]) == (201, BOB_ID)
            assert (await bob.ask("retrieve", alice.key_url))["status"] == 200
            withdrawal = alice.kms.encrypt(method="delete", uri=f"{resource}/authorizations?authId={BOB_ID}")
            left = (await alice.submit("leave", person, kmsMessage=withdrawal)).json()
            assert alice.kms.decrypt(left["kmsMessage"])["status"] == 200
            assert (await bob.ask("retrieve", alice.key_url))["status"] == 403

    asyncio.run(main())
