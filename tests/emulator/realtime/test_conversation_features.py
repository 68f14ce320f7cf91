"""Read status, tags, paging, previews, reactions and more of the conversation service, over plain requests."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.emulator.helpers import Answer, fetch
from tests.emulator.realtime.helpers import key_client, new_room
from webex.emulator import Cloud
from webex.emulator.accounts import ADMIN_ID, ALICE_ID, ALICE_TOKEN, BOB_ID, BOB_TOKEN
from webex.encryption.jose import Cipher
from webex.ids import base64url_decode, base64url_encode

BOB = "bob@example.com"


class Door:
    """The conversation service as one person uses it, for one room."""

    def __init__(self, cloud: Cloud, room_id: str, token: str = ALICE_TOKEN) -> None:
        self.cloud, self.room_id, self.token = cloud, room_id, token
        self.base = f"{cloud.url}/conversation/api/v1"

    @property
    def room(self) -> str:
        return f"{self.base}/conversations/{self.room_id}"

    def fetch(self, url: str, method: str = "GET", body: Any = None) -> Answer:
        return fetch(url, method, json_body=body, token=self.token)

    def get(self, query: str = "") -> dict[str, Any]:
        answer = self.fetch(f"{self.room}{query}")
        assert answer.status == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def key(self) -> tuple[str, Cipher]:
        with self.cloud.lock:
            uri = self.cloud.kms.room_key(self.cloud.state.rooms[self.room_id]).uri
            return uri, self.cloud.kms.cipher(uri)

    def submit(self, verb: str, content: dict[str, Any], path: str = "/activities", **more: Any) -> Answer:
        return self.fetch(f"{self.room}{path}", "POST", {"verb": verb, "object": content, **more})

    def post(self, text: str, **more: Any) -> dict[str, Any]:
        uri, cipher = self.key()
        content = {"objectType": "comment", "displayName": cipher.encrypt(text.encode())}
        answer = self.submit("post", content, encryptionKeyUrl=uri, **more)
        assert answer.status == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def own(self, verb: str, *tags: str) -> None:
        content = {"objectType": "conversation", "id": self.room_id, **({"tags": list(tags)} if tags else {})}
        assert self.submit(verb, content).status == 200

    def upload(self, data: bytes) -> dict[str, str]:
        """Upload encrypted bytes: their SCR."""
        space = self.fetch(f"{self.room}/space", "PUT").json()["spaceUrl"]
        session = self.fetch(f"{space}/upload_sessions", "POST", {"fileSize": len(data)}).json()
        key, iv, aad = os.urandom(32), os.urandom(12), "2026-01-01T00:00:00.000Z"
        encrypted = AESGCM(key).encrypt(iv, data, aad.encode())
        fetch(session["uploadUrl"], "PUT", data=encrypted[:-16])
        done = {"fileSize": len(data), "fileHash": "0" * 64}
        loc = self.fetch(session["finishUploadUrl"], "POST", done).json()["downloadUrl"]
        secret, vector, tag = (base64url_encode(each) for each in (key, iv, encrypted[-16:]))
        return {"enc": "A256GCM", "key": secret, "iv": vector, "aad": aad, "loc": loc, "tag": tag}

    def share(self, item: dict[str, Any], verb: str = "share", path: str = "/content") -> Answer:
        uri, _ = self.key()
        content = {"objectType": "content", "contentCategory": "images", "files": {"items": [item]}}
        return self.submit(verb, content, path, encryptionKeyUrl=uri)

    def item(self, name: str = "a.png", data: bytes = b"a picture", preview: bytes | None = None) -> dict[str, Any]:
        _, cipher = self.key()
        item: dict[str, Any] = {
            "objectType": "file",
            "displayName": cipher.encrypt(name.encode()),
            "fileSize": len(data),
            "mimeType": "image/png",
            "scr": cipher.encrypt(json.dumps(self.upload(data)).encode()),
        }
        if preview is not None:
            scr = self.upload(preview)
            encrypted = cipher.encrypt(json.dumps(scr).encode())
            item["image"] = {"objectType": "image", "scr": encrypted, "url": scr["loc"], "width": 64, "height": 48}
        return item

    def download(self, item: dict[str, Any]) -> bytes:
        """Open an item's SCR, fetch its bytes, and decrypt them."""
        _, cipher = self.key()
        scr = json.loads(cipher.decrypt(item["scr"]))
        data = self.fetch(scr["loc"])
        assert data.status == 200
        key, iv, tag = (base64url_decode(scr[name]) for name in ("key", "iv", "tag"))
        return AESGCM(key).decrypt(iv, data.body + tag, scr["aad"].encode())


@pytest.fixture
def alice(webex_cloud: Cloud) -> Door:
    return Door(webex_cloud, new_room(webex_cloud, BOB))


@pytest.fixture
def bob(alice: Door) -> Door:
    return Door(alice.cloud, alice.room_id, BOB_TOKEN)


def participants(door: Door) -> dict[str, dict[str, Any]]:
    items = door.get("?participantAckFilter=all")["participants"]["items"]
    return {each["id"]: each for each in items}


# Read status


def test_unopened_room_has_no_read_status(alice: Door) -> None:
    found = participants(alice)
    assert "lastSeenActivityDate" in found[ALICE_ID]["roomProperties"]  # who made it has seen it
    assert "lastSeenActivityDate" not in found[BOB_ID]["roomProperties"]
    assert "lastSeenActivityUUID" not in found[BOB_ID]["roomProperties"]


def test_author_has_seen_their_own_message(alice: Door, bob: Door) -> None:
    before = alice.get()
    alice.cloud.clock.advance(1)
    posted = bob.post("hello")
    seen = participants(alice)[BOB_ID]
    assert seen["roomProperties"]["lastSeenActivityUUID"] == posted["id"]
    assert seen["lastSeenActivityDate"] == seen["roomProperties"]["lastSeenActivityDate"] == posted["published"]
    after = alice.get()
    assert after["lastSeenActivityDate"] == before["lastSeenActivityDate"]
    assert after["lastReadableActivityDate"] > before["lastReadableActivityDate"]


def test_acknowledged_activity_is_seen_and_its_receipt_is_not_listed(alice: Door, bob: Door) -> None:
    posted = alice.post("hello")
    receipt = bob.submit("acknowledge", {"objectType": "activity", "id": posted["id"]}).json()
    assert receipt["object"]["url"] == posted["url"]
    assert bob.get()["lastSeenActivityUUID"] == posted["id"]
    assert bob.get("?activitiesLimit=1")["activities"]["items"][0]["id"] == posted["id"]
    assert bob.fetch(f"{bob.room}/activities").json()["items"][-1]["id"] == posted["id"]


def test_read_status_never_decreases(alice: Door, bob: Door) -> None:
    first = alice.post("first")
    alice.cloud.clock.advance(1)
    second = alice.post("second")
    for posted in (second, first):
        bob.submit("acknowledge", {"objectType": "activity", "id": posted["id"]})
    assert bob.get()["lastSeenActivityUUID"] == second["id"]
    assert bob.submit("acknowledge", {"objectType": "activity", "id": "nothing"}).status == 404


# New conversations


def test_new_conversation_keeps_its_first_message_and_tags(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as kms:
            key = (await kms.ask("create", "/keys", count=1))["keys"][0]
            cipher = Cipher(base64url_decode(key["jwk"]["k"]))
            words = {
                name: cipher.encrypt(text) for name, text in (("displayName", b"**hi**"), ("content", b"<b>hi</b>"))
            }
            add = {"verb": "add", "object": {"objectType": "person", "id": BOB_ID}}
            post = {"verb": "post", "object": {"objectType": "comment", **words}, "encryptionKeyUrl": key["uri"]}
            body = {
                "tags": ["WELCOME"],
                "defaultActivityEncryptionKeyUrl": key["uri"],
                "kmsMessage": kms.encrypt(method="create", uri="/resources", userIds=[BOB_ID], keyUris=[key["uri"]]),
                "activities": {"items": [{"verb": "create"}, add, post, {"verb": "favorite"}]},
            }
            url = f"{webex_cloud.url}/conversation/api/v1/conversations"
            made = await asyncio.to_thread(fetch, url, json_body=body, token=ALICE_TOKEN)
            assert made.status == 201, made.text
            conversation = made.json()
            assert conversation["tags"] == ["FAVORITE", "WELCOME"]
            assert [each["verb"] for each in conversation["activities"]["items"]] == ["create", "post"]
            said = conversation["activities"]["items"][1]["object"]
            assert (cipher.decrypt(said["displayName"]), cipher.decrypt(said["content"])) == (b"**hi**", b"<b>hi</b>")
            bob = Door(webex_cloud, conversation["id"], BOB_TOKEN)
            assert (await asyncio.to_thread(bob.get))["tags"] == ["WELCOME"]

    asyncio.run(main())


def test_unknown_participant_is_skipped_only_on_request(webex_cloud: Cloud) -> None:
    body = {"participants": {"items": [{"id": BOB_ID}, {"id": "00000000-0000-4000-8000-000000000001"}]}}
    url = f"{webex_cloud.url}/conversation/api/v1/conversations"
    assert fetch(url, json_body=body, token=ALICE_TOKEN).status == 404
    for wish in ("allowPartialCreation", "forceCreate"):
        made = fetch(f"{url}?{wish}=true", json_body=body, token=ALICE_TOKEN)
        assert len(made.json()["participants"]["items"]) == 2


# Lists


def test_limit_of_zero_returns_nothing(alice: Door) -> None:
    for text in ("one", "two"):
        alice.post(text)
    assert alice.fetch(f"{alice.room}/activities?limit=0").json()["items"] == []
    assert len(alice.fetch(f"{alice.room}/activities?limit=1").json()["items"]) == 1
    assert alice.get("?activitiesLimit=0")["activities"]["items"] == []
    for limit in (0, -100):
        assert alice.fetch(f"{alice.base}/conversations?conversationsLimit={limit}").json()["items"] == []


@pytest.mark.parametrize("path", ["activities", "mentions"])
def test_activities_limit_of_zero_does_not_empty_a_list_of_activities(alice: Door, bob: Door, path: str) -> None:
    uri, cipher = bob.key()
    for text in (b"one", b"two"):
        mentions = {"items": [{"objectType": "person", "id": ALICE_ID}]}
        content = {"objectType": "comment", "displayName": cipher.encrypt(text), "mentions": mentions}
        assert bob.submit("post", content, encryptionKeyUrl=uri).status == 200
    where = f"{alice.room}/activities" if path == "activities" else f"{alice.base}/mentions"
    assert len(alice.fetch(f"{where}?activitiesLimit=0&participantsLimit=0").json()["items"]) >= 2
    assert len(alice.fetch(f"{where}?activitiesLimit=1").json()["items"]) == 1


def test_history_around_a_moment(alice: Door) -> None:
    alice.cloud.clock.freeze()
    ids = []
    for number in range(9):
        alice.cloud.clock.advance(10)
        ids.append(alice.post(str(number))["id"])
    middle = int((alice.cloud.now() - 40) * 1000)  # when the fifth was written
    items = alice.fetch(f"{alice.room}/activities?midDate={middle}&limit=4").json()["items"]
    assert [each["id"] for each in items] == ids[3:7]
    late = int(alice.cloud.now() * 1000)
    items = alice.fetch(f"{alice.room}/activities?midDate={late}&limit=4").json()["items"]
    assert [each["id"] for each in items] == ids[5:]


def walked(door: Door, url: str) -> list[Any]:
    pages = []
    while url:
        answer = door.fetch(url)
        pages.append(answer.json()["items"])
        link = answer.headers.get("link", "")
        assert not link or link.endswith('>; rel="next"')
        url = link[1:].partition(">")[0]
        assert len(pages) < 20
    return pages


def test_history_is_paged_in_both_directions(alice: Door) -> None:
    alice.cloud.clock.freeze()  # all at one moment
    for number in range(5):
        alice.post(str(number))
    every = [each["id"] for each in alice.fetch(f"{alice.room}/activities").json()["items"]]
    back = walked(alice, f"{alice.room}/activities?limit=3")
    assert [each["id"] for page in reversed(back) for each in page] == every
    forth = walked(alice, f"{alice.room}/activities?limit=3&sinceDate=0")
    assert [each["id"] for page in forth for each in page] == every
    assert [len(page) for page in forth] == [3, 3, 1]


def test_conversations_are_paged_on_request(webex_cloud: Cloud) -> None:
    rooms = [new_room(webex_cloud) for _ in range(3)]
    door = Door(webex_cloud, rooms[0])
    pages = walked(door, f"{door.base}/conversations?conversationsLimit=2&paginate=true")
    assert sorted(each["id"] for page in pages for each in page) == sorted(rooms)
    assert "link" not in door.fetch(f"{door.base}/conversations?conversationsLimit=2").headers


def test_thread_has_its_conversation(alice: Door) -> None:
    first = alice.post("first")
    alice.post("answer", parent={"id": first["id"], "type": "reply"})
    (thread,) = alice.fetch(f"{alice.base}/threads").json()["items"]
    assert (thread["conversationId"], thread["parentActivityId"]) == (alice.room_id, first["id"])
    assert thread["actorId"] == ALICE_ID  # without it the JS SDK decrypts no thread
    assert alice.fetch(f"{alice.base}/threads?limit=0").json()["items"] == []


# Keys


def test_key_rotation_conflicts_with_a_newer_key(alice: Door, bob: Door) -> None:
    cloud = alice.cloud

    def change(door: Door, person_id: str, old: str | None) -> Answer:
        with cloud.lock:
            key = cloud.kms._vault.new_key(person_id)
            cloud.kms._vault.new_resource(person_id, [ALICE_ID, BOB_ID], [key])
        content = {"objectType": "conversation", "defaultActivityEncryptionKeyUrl": key.uri}
        target = {"objectType": "conversation", **({"defaultActivityEncryptionKeyUrl": old} if old else {})}
        return door.submit("updateKey", content, target=target)

    first, _ = alice.key()
    assert change(alice, ALICE_ID, first).status == 200
    late = change(bob, BOB_ID, first)
    assert (late.status, late.json()["errorCode"]) == (409, 1409004)
    assert change(bob, BOB_ID, None).json()["errorCode"] == 1409004
    known = bob.get()["defaultActivityEncryptionKeyUrl"]
    assert known != first
    assert change(bob, BOB_ID, known).status == 200
    alice.get()
    assert change(alice, ALICE_ID, None).status == 200


def test_refused_activity_leaves_the_kms_unchanged(alice: Door, bob: Door) -> None:
    cloud = alice.cloud
    alice.own("lock")
    resource = alice.get()["kmsResourceObjectUrl"]

    async def main() -> None:
        async with key_client(cloud, BOB_TOKEN) as kms:
            add = kms.encrypt(method="create", uri="/authorizations", resourceUri=resource, userIds=[ADMIN_ID])
            person = {"objectType": "person", "id": ADMIN_ID}
            refused = await asyncio.to_thread(bob.submit, "add", person, kmsMessage=add)
            assert refused.status == 403
            leave = kms.encrypt(method="delete", uri=f"{resource}/authorizations?authId={ALICE_ID}")
            person = {"objectType": "person", "id": ALICE_ID}
            refused = await asyncio.to_thread(bob.submit, "leave", person, kmsMessage=leave)
            assert refused.status == 403

    asyncio.run(main())
    with cloud.lock:
        key = cloud.state.rooms[alice.room_id].key_uri or ""
        assert cloud.kms.may_read(ALICE_ID, key)
        assert not cloud.kms.may_read(ADMIN_ID, key)


def test_refusal_of_the_key_service_is_encrypted_json(alice: Door) -> None:
    async def main() -> None:
        async with key_client(alice.cloud) as kms:
            encrypted = kms.encrypt(
                method="create", uri="/authorizations", resourceUri="kms://nowhere/resources/x", userIds=["x"]
            )
            person = {"objectType": "person", "id": ADMIN_ID}
            refused = (await asyncio.to_thread(alice.submit, "add", person, kmsMessage=encrypted)).json()
            assert refused["errorCode"] == 1900000
            for text in (refused["message"], refused["errors"][0]["description"]):
                told = kms.decrypt(text)
                assert told["status"] >= 400
                assert {"requestId", "reason"} <= told.keys()

    asyncio.run(main())


# Tags, reactions, pictures


@pytest.mark.parametrize(("verb", "tag"), [("favorite", "FAVORITE"), ("mute", "MUTED"), ("hide", "HIDDEN")])
def test_personal_tag_is_shown_to_its_owner_alone(alice: Door, bob: Door, verb: str, tag: str) -> None:
    alice.own(verb)
    assert tag in alice.get()["tags"]
    assert tag not in bob.get()["tags"]
    (listed,) = alice.fetch(f"{alice.base}/conversations").json()["items"]
    assert tag in listed["tags"]
    alice.own(f"un{verb}")
    assert tag not in alice.get()["tags"]


@pytest.mark.parametrize("kind", ["MENTION", "MESSAGE"])
def test_notifications_are_on_or_off(alice: Door, kind: str) -> None:
    for given, gone in (("ON", "OFF"), ("OFF", "ON")):
        alice.own("tag", f"{kind}_NOTIFICATIONS_{given}")
        tags = alice.get()["tags"]
        assert f"{kind}_NOTIFICATIONS_{given}" in tags
        assert f"{kind}_NOTIFICATIONS_{gone}" not in tags
    alice.own("tag", "IGNORED")
    alice.own("untag", f"{kind}_NOTIFICATIONS_OFF", f"{kind}_NOTIFICATIONS_ON")
    assert alice.get()["tags"] == ["IGNORED"]


def test_reactions_are_summarized_and_leave_a_tombstone(alice: Door, bob: Door) -> None:
    posted = alice.post("react to me")
    uri, cipher = alice.key()

    def react(door: Door, name: str) -> str:
        content = {"objectType": "reaction2", "displayName": cipher.encrypt(name.encode())}
        parent = {"id": posted["id"], "type": "reaction"}
        return str(door.submit("add", content, encryptionKeyUrl=uri, parent=parent).json()["id"])

    def summary(door: Door, kind: str) -> dict[str, int]:
        items = door.fetch(f"{door.room}/parents/{posted['id']}?activityType={kind}").json()["items"]
        reactions = items[0]["object"]["reactions"] if items else []
        return {cipher.decrypt(each["displayName"]).decode(): each["count"] for each in reactions}

    assert summary(alice, "reactionSummary") == {}
    assert "children" not in alice.fetch(posted["url"]).json()
    mine = react(alice, "heart")
    react(bob, "heart")
    react(bob, "smiley")
    assert summary(alice, "reactionSummary") == {"heart": 2, "smiley": 1}
    assert summary(alice, "reactionSelfSummary") == {"heart": 1}
    shown = alice.fetch(posted["url"]).json()["children"]
    children = {each["type"]: each["activity"]["object"]["objectType"] for each in shown}
    assert children == {"reactionSummary": "reaction2Summary", "reactionSelfSummary": "reaction2SelfSummary"}
    deleted = alice.submit("delete", {"objectType": "activity", "id": mine}).json()
    assert (deleted["object"]["verb"], deleted["object"]["parent"]["type"]) == ("tombstone", "reaction")
    assert summary(alice, "reactionSummary") == {"heart": 1, "smiley": 1}


@pytest.mark.parametrize("parent", [None, {}, {"id": "nothing"}, {"type": "reaction"}])
def test_reaction_to_an_unknown_message_is_refused(alice: Door, parent: Any) -> None:
    uri, cipher = alice.key()
    content = {"objectType": "reaction2", "displayName": cipher.encrypt(b"heart")}
    assert alice.submit("add", content, encryptionKeyUrl=uri, parent=parent).status == 404
    for path in ("/activities", "/parents"):
        assert alice.fetch(f"{alice.room}{path}").status == 200


@pytest.mark.parametrize("mentions", ["x", {"items": "x"}, {"items": ["x", {}, {"id": ""}, {"id": 3}]}])
def test_malformed_mentions_do_not_break_a_list(alice: Door, mentions: Any) -> None:
    uri, cipher = alice.key()
    content = {"objectType": "comment", "displayName": cipher.encrypt(b"hello"), "mentions": mentions}
    assert alice.submit("post", content, encryptionKeyUrl=uri).status == 200
    assert alice.fetch(f"{alice.cloud.url}/v1/messages?roomId={alice.room_id}").status == 200


def test_shared_picture_has_a_preview(alice: Door, bob: Door) -> None:
    shared = alice.share(alice.item(data=b"a picture", preview=b"a small one")).json()
    assert shared["object"]["contentCategory"] == "images"
    (item,) = bob.fetch(f"{bob.base}/activities/{shared['id']}").json()["object"]["files"]["items"]
    assert (item["image"]["width"], item["image"]["height"]) == (64, 48)
    assert bob.download(item["image"]) == b"a small one"
    assert bob.download(item) == b"a picture"


@pytest.mark.parametrize("kind", ["image/png\r\nx: y", "nothing", "a/\x00", "image/\u2028"])
def test_content_type_invalid_as_a_header_is_refused(alice: Door, kind: str) -> None:
    assert alice.share({**alice.item(), "mimeType": kind}).status == 400


@pytest.mark.parametrize("path", ["/activities", "/content"])
def test_picture_of_a_room(alice: Door, bob: Door, path: str) -> None:
    assert alice.share(alice.item(data=b"a face"), verb="assign", path=path).json()["verb"] == "assign"
    shown = bob.get()
    (item,) = shown["avatar"]["files"]["items"]
    assert shown["avatar"]["objectType"] == "content"
    assert shown["avatarEncryptionKeyUrl"] == bob.key()[0]
    assert bob.download(item) == b"a face"
    alice.submit("unassign", {"objectType": "content"})
    assert not {"avatar", "avatarEncryptionKeyUrl"} & bob.get().keys()


# Users, features, presence


def test_token_is_validated(webex_cloud: Cloud) -> None:
    url = f"{webex_cloud.url}/conversation/api/v1/users/validateAuthToken"
    assert fetch(url, json_body={"token": BOB_TOKEN}, token=ALICE_TOKEN).json()["id"] == BOB_ID
    assert fetch(url, "POST", token=ALICE_TOKEN).json()["id"] == ALICE_ID
    assert fetch(url, json_body={"token": "no token"}, token=ALICE_TOKEN).status == 401


def test_several_features_are_set_at_once(webex_cloud: Cloud) -> None:
    url = f"{webex_cloud.url}/feature/api/v1/features/users/{ALICE_ID}/toggles"
    toggles = [{"key": "a", "val": True, "type": "USER"}, {"key": "b", "val": "5", "type": "DEV"}]
    answer = fetch(url, json_body=toggles, token=ALICE_TOKEN)
    assert [(each["key"], each["type"]) for each in answer.json()["featureToggles"]] == [
        ("a", "USER"),
        ("b", "DEVELOPER"),
    ]
    device = fetch(f"{webex_cloud.url}/wdm/api/v1/devices", json_body={"name": "x"}, token=ALICE_TOKEN).json()
    assert [each["val"] for each in device["features"]["user"]] == ["true"]
    assert [each["val"] for each in device["features"]["developer"]] == ["5"]
    wrong = [{"key": "c", "val": True}, {"val": True}]
    assert fetch(url, json_body=wrong, token=ALICE_TOKEN).status == 400
    assert "c" not in webex_cloud.state.features[ALICE_ID]["user"]
    assert fetch(url, json_body=toggles, token=BOB_TOKEN).status == 403


def test_status_has_its_label(webex_cloud: Cloud) -> None:
    body = {"subject": ALICE_ID, "eventType": "dnd", "label": "Writing", "ttl": 60}
    url = f"{webex_cloud.url}/apheleia/api/v1"
    assert fetch(f"{url}/events", json_body=body, token=ALICE_TOKEN).json()["label"] == "Writing"
    found = fetch(f"{url}/compositions?userId={ALICE_ID}", token=BOB_TOKEN)
    assert (found.json()["status"], found.json()["label"]) == ("dnd", "Writing")
    webex_cloud.clock.advance(61)
    assert "label" not in fetch(f"{url}/compositions?userId={ALICE_ID}", token=BOB_TOKEN).json()


def test_mercury_in_the_catalog_is_a_socket_url(webex_cloud: Cloud) -> None:
    links = fetch(f"{webex_cloud.url}/u2c/api/v1/catalog?format=hostmap", token=ALICE_TOKEN).json()["serviceLinks"]
    assert links["mercuryConnection"].startswith("ws://")


def test_snapshot_keeps_all_conversation_features(alice: Door) -> None:
    alice.own("favorite")
    alice.share(alice.item(preview=b"a small one"))
    alice.cloud.restore(alice.cloud.snapshot())
    assert "FAVORITE" in alice.get()["tags"]
    (item,) = alice.get("?activitiesLimit=1")["activities"]["items"][0]["object"]["files"]["items"]
    assert alice.download(item["image"]) == b"a small one"
