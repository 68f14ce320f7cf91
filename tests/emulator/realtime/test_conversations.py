"""The conversation service: one store with REST, seen through a door where everything is encrypted."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.emulator.helpers import fetch
from tests.emulator.realtime.helpers import Talker, call, key_client, new_room, talker
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN, BOB_ID, BOB_TOKEN, BOT_ID, BOT_TOKEN
from webex.ids import base64url_encode, to_hydra_id, to_uuid

BOB = "bob@example.com"


def rest(cloud: Cloud, path: str, method: str = "GET", token: str = ALICE_TOKEN, body: Any = None) -> Any:
    answer = fetch(f"{cloud.url}/v1{path}", method, json_body=body, token=token)
    assert answer.status < 300, answer.text
    return answer.json() if answer.body else None


def write(cloud: Cloud, room_id: str, text: str, token: str = ALICE_TOKEN, **more: Any) -> str:
    body = {"roomId": to_hydra_id("ROOM", room_id), "markdown": text, **more}
    return str(rest(cloud, "/messages", "POST", token, body)["id"])


def test_encrypted_posts_and_rest_messages_are_the_same(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            posted = (await alice.post("by the one door", clientTempId="mine")).json()
            assert posted["clientTempId"] == "mine"
            assert "by the one door" not in json.dumps(posted)
            message = await asyncio.to_thread(rest, webex_cloud, f"/messages/{to_hydra_id('MESSAGE', posted['id'])}")
            assert message["text"] == "by the one door"
            assert (await alice.activity())["clientTempId"] == "mine"
            await asyncio.to_thread(write, webex_cloud, room_id, "by the other")
            activity = await alice.activity()
            assert alice.cipher.decrypt(activity["object"]["displayName"]) == b"by the other"
            items = (await alice.get("/activities")).json()["items"]
            assert [item["id"] for item in items if item["verb"] == "post"] == [posted["id"], activity["id"]]

    asyncio.run(main())


def test_the_room_key_is_never_in_a_response(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud)
    with webex_cloud.lock:
        secret = base64url_encode(webex_cloud.kms.room_key(webex_cloud.state.rooms[room_id]).secret)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            await alice.post("hello")
            for path in ("", "/activities", "?activitiesLimit=5&includeParticipants=true"):
                assert secret not in (await alice.get(path)).text

    asyncio.run(main())


def test_a_conversation_has_the_requested_number_of_activities(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud)
    for text in ("one", "two"):
        write(webex_cloud, room_id, text)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            assert (await alice.get()).json()["activities"]["items"] == []
            (last,) = (await alice.get("?activitiesLimit=1")).json()["activities"]["items"]
            assert alice.cipher.decrypt(last["object"]["displayName"]) == b"two"

    asyncio.run(main())


def test_a_bot_sees_only_its_mentions_over_every_api(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud, "bot@example.com")
    public = to_hydra_id("PEOPLE", BOT_ID)
    parent = write(webex_cloud, room_id, "to nobody")

    async def main() -> None:
        async with talker(webex_cloud, room_id, BOT_TOKEN) as bot:
            await asyncio.to_thread(write, webex_cloud, room_id, "still to nobody", parentId=parent)
            await asyncio.to_thread(write, webex_cloud, room_id, f"<@personId:{public}> hear this")
            heard = await bot.activity()
            assert b"hear this" in bot.cipher.decrypt(heard["object"]["displayName"])
            items = (await bot.get("/activities")).json()["items"]
            assert [item["id"] for item in items if item["verb"] == "post"] == [heard["id"]]
            named = (await call(f"{webex_cloud.url}/conversation/api/v1/mentions", token=BOT_TOKEN)).json()["items"]
            assert [item["id"] for item in named] == [heard["id"]]
            unheard = (await bot.get(f"/activities/{to_uuid(parent)}")).status
            assert unheard == 404

    asyncio.run(main())


def test_replies_edits_and_reactions_are_listed_by_parent(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            first = (await alice.post("first")).json()["id"]
            await alice.post("not answered")
            reply = (await alice.post("a reply", parent={"id": first, "type": "reply"})).json()["id"]
            edit = (await alice.post("edited", parent={"id": first, "type": "edit"})).json()["id"]
            liked = {"objectType": "reaction2", "displayName": alice.cipher.encrypt(b"celebrate")}
            reaction = (await alice.submit("add", liked, parent={"id": first, "type": "reaction"})).json()["id"]
            assert (await alice.get("/parents")).json() == {"reply": [first], "edit": [first], "reaction": [first]}
            assert (await alice.get("/parents?activityType=edit")).json() == {"edit": [first]}
            for query, ids in (("", [reply, edit, reaction]), ("?activityType=reply", [reply])):
                found = (await alice.get(f"/parents/{first}{query}")).json()["items"]
                assert [item["id"] for item in found] == ids
            threads = (await call(f"{webex_cloud.url}/conversation/api/v1/threads", token=ALICE_TOKEN)).json()["items"]
            assert [thread["parentActivityId"] for thread in threads] == [first]
            assert [item["id"] for item in threads[0]["childActivities"]] == [reply]

    asyncio.run(main())


def test_a_reaction_is_removed_only_by_its_author(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud, BOB)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice, talker(webex_cloud, room_id, BOB_TOKEN) as bob:
            first = (await alice.post("first")).json()["id"]
            liked = {"objectType": "reaction2", "displayName": alice.cipher.encrypt(b"heart")}
            reaction = (await alice.submit("add", liked, parent={"id": first, "type": "reaction"})).json()["id"]
            target = {"objectType": "activity", "id": reaction}
            assert (await bob.submit("delete", target)).status == 403
            assert (await alice.submit("delete", target)).status == 200
            assert (await alice.get(f"/activities/{reaction}")).json()["verb"] == "tombstone"
            assert (await alice.get(f"/activities/{first}")).json()["verb"] == "post"

    asyncio.run(main())


def test_room_rules_apply_to_conversation_activities(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud, BOB, isLocked=True)
    announcement = {"objectType": "spaceProperty", "tags": ["ANNOUNCEMENT"]}

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice, talker(webex_cloud, room_id, BOB_TOKEN) as bob:
            assert (await bob.submit("set", announcement)).status == 403
            assert (await alice.submit("set", {"objectType": "spaceProperty", "tags": ["OTHER"]})).status == 400
            assert (await alice.submit("set", announcement)).status == 200
            assert (await bob.activity())["verb"] == "set"
            assert (await bob.post("may I?")).status == 403
            files = {"items": [{"scr": "none"}]}
            share = {"objectType": "content", "files": files}
            assert (await bob.submit("share", share, "/content")).status == 403
            assert (await alice.post("I may")).status == 200
            assert (await alice.submit("unset", announcement)).status == 200
            assert (await bob.post("now I may")).status == 200

    asyncio.run(main())


def test_a_kms_refusal_is_encrypted_for_its_client(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            wrong = alice.kms.encrypt(
                method="create", uri="/authorizations", resourceUri="/resources/no", userIds=[BOB_ID]
            )
            person = {"objectType": "person", "id": BOB_ID}
            answer = await alice.submit("add", person, kmsMessage=wrong)
            assert answer.status == 404
            body = answer.json()
            assert body["errorCode"] == 1900000
            for encrypted in (body["message"], body["errors"][0]["description"]):
                assert alice.kms.cipher is not None
                assert b"no such resource" in alice.kms.cipher.decrypt(encrypted)
            made = await call(
                f"{webex_cloud.url}/conversation/api/v1/conversations",
                "POST",
                json_body={"activities": {"items": []}, "kmsMessage": wrong},
                token=ALICE_TOKEN,
            )
            assert (made.status, made.json()["errorCode"]) == (404, 1900000)

    asyncio.run(main())


async def bound(alice: Talker, *, resource_uri: str | None) -> dict[str, Any]:
    """A new key: bound to a resource, or to one of its own."""
    key: dict[str, Any] = (await alice.kms.ask("create", "/keys", count=1))["keys"][0]
    if resource_uri is not None:
        await alice.kms.ask("update", key["uri"], resourceUri=resource_uri)
        return key
    made = await alice.kms.ask("create", "/resources", userIds=[BOB_ID], keyUris=[key["uri"]])
    return {**key, "resourceUri": made["resource"]["uri"]}


def test_key_rotation_needs_a_bound_key_and_keeps_the_resource(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud, BOB)
    room = webex_cloud.state.rooms[room_id]

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice, talker(webex_cloud, room_id, BOB_TOKEN) as bob:
            webex_cloud.conversations.set_faults(rotate=1)
            assert (await alice.post("too early")).json()["errorCode"] == 1400087
            unbound = (await alice.kms.ask("create", "/keys", count=1))["keys"][0]["uri"]
            key = await bound(alice, resource_uri=None)
            for url, status in ((unbound, 400), (key["uri"], 200)):
                content = {"objectType": "conversation", "defaultActivityEncryptionKeyUrl": url}
                assert (await alice.submit("updateKey", content)).status == status
            assert (room.key_uri, room.resource_uri) == (key["uri"], key["resourceUri"])
            assert await alice.learn_key() == key["uri"]
            assert (await alice.post("under the new key")).status == 200
            # Whoever leaves is no longer let in by the new resource.
            await bob.learn_key()
            await asyncio.to_thread(
                rest, webex_cloud, f"/memberships/{to_hydra_id('MEMBERSHIP', f'{BOB_ID}:{room_id}')}", "DELETE"
            )
            assert (await bob.kms.ask("retrieve", key["uri"]))["status"] == 403

    asyncio.run(main())


@pytest.mark.parametrize("tags", [["ONE_ON_ONE"], []])
def test_only_the_tag_makes_a_conversation_direct(webex_cloud: Cloud, tags: list[str]) -> None:
    body = {"participants": {"items": [{"id": BOB_ID}]}, "tags": tags}
    url = f"{webex_cloud.url}/conversation/api/v1/conversations"
    made = fetch(url, json_body=body, token=ALICE_TOKEN)
    assert made.status == 201
    assert made.json()["tags"] == tags
    assert fetch(url, json_body=body, token=ALICE_TOKEN).status == (409 if tags else 201)


def test_typing_is_sent_to_the_other_members_and_not_stored(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud, BOB)

    async def main() -> None:
        async with key_client(webex_cloud, BOB_TOKEN) as bob, key_client(webex_cloud) as alice:
            for kind in ("status.start_typing", "status.stop_typing"):
                url = f"{webex_cloud.url}/conversation/api/v1/conversations/{room_id}/status/typing"
                body = {"conversationId": room_id, "eventType": kind}
                assert (await call(url, "POST", json_body=body, token=ALICE_TOKEN)).status == 204
                data = (await bob.client.receive())["data"]
                assert (data["eventType"], data["actor"]["id"], data["conversationId"]) == (kind, ALICE_ID, room_id)
            assert webex_cloud.mercury.unacknowledged() == 0
            assert (await alice.client.ping())["type"] == "pong"

    asyncio.run(main())


def test_hiding_a_group_room_affects_only_the_caller(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud, BOB)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice, talker(webex_cloud, room_id, BOB_TOKEN) as bob:
            conversation = {"objectType": "conversation", "id": room_id}
            assert (await alice.submit("favorite", conversation)).json()["verb"] == "favorite"
            assert (await alice.submit("hide", conversation)).json()["verb"] == "hide"
            assert (await bob.kms.client.ping())["type"] == "pong"

    asyncio.run(main())


def test_a_left_conversation_is_listed_but_not_readable(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud, BOB)
    base = f"{webex_cloud.url}/conversation/api/v1/conversations"
    assert fetch(f"{base}/left", token=BOB_TOKEN).json() == {"items": []}
    bobs = next(
        each["id"]
        for each in rest(webex_cloud, f"/memberships?roomId={to_hydra_id('ROOM', room_id)}")["items"]
        if each["personEmail"] == BOB
    )
    rest(webex_cloud, f"/memberships/{bobs}", "DELETE")
    (left,) = fetch(f"{base}/left", token=BOB_TOKEN).json()["items"]
    assert left["id"] == room_id
    assert left["lastReadableActivityDate"] <= webex_cloud.iso(webex_cloud.now())
    assert fetch(f"{base}/left?sinceDate={int(webex_cloud.now() * 1000) + 1000}", token=BOB_TOKEN).json()["items"] == []
    assert fetch(f"{base}/{room_id}/activities", token=BOB_TOKEN).status == 404
