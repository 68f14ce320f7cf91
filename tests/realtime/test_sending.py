"""What leaves this machine when something is sent end-to-end encrypted, as the emulator was asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.realtime.helpers import activity, client_of, run, shared_room, take, tell, texts, until
from tests.realtime.wiretap import tapped
from webex.emulator.accounts import ADMIN_ID, ALICE_ID, BOB_ID
from webex.emulator.cloud import Cloud
from webex.emulator.realtime.kms_identity import identity
from webex.emulator.request_log import LoggedRequest
from webex.encryption import jose
from webex.encryption.jose import Cipher
from webex.errors import ConfigurationError
from webex.ids import base64url_decode, to_hydra_id, to_uuid

BOB, ADMIN = to_hydra_id("PEOPLE", BOB_ID), to_hydra_id("PEOPLE", ADMIN_ID)


def sent(cloud: Cloud, path: str = "/conversation/api/v1/conversations/*") -> list[LoggedRequest]:
    return cloud.requests.find(method="POST", path=path)


def cipher_of(cloud: Cloud, room_id: str) -> Cipher:
    with cloud.lock:
        return cloud.kms.cipher(cloud.kms.room_key(cloud.state.rooms[to_uuid(room_id)]).uri)


def kms_request(cloud: Cloud, token: str) -> Any:
    """What an encrypted request to the key service says."""
    agreed = cloud.state.agreed_keys[jose.header_of(token)["kid"]]
    return json.loads(Cipher(agreed.secret).decrypt(token))


# Messages


def test_only_text_and_html_are_encrypted(webex_cloud: Cloud) -> None:
    html = f'<spark-mention data-object-type="person" data-object-id="{BOB_ID}">Bob</spark-mention> <b>hello</b>'

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            await alice.conversations.post(room, "Bob hello", html=html)
            (request,) = sent(webex_cloud)
            assert request.path.endswith(f"/conversations/{to_uuid(room)}/activities")
            assert request.query == {"personRefresh": "true"}
            body, cipher = request.body, cipher_of(webex_cloud, room)
            content = body["object"]
            assert cipher.decrypt(content["displayName"]).decode() == "Bob hello"
            assert cipher.decrypt(content["content"]).decode() == html
            for token in (content["displayName"], content["content"]):
                parts = token.split(".")
                assert (len(parts), parts[1]) == (5, "")
                assert jose.header_of(token) == {"alg": "dir", "enc": "A256GCM"}
            assert content["mentions"] == {"items": [{"objectType": "person", "id": BOB_ID}]}
            assert body["encryptionKeyUrl"] == webex_cloud.state.rooms[to_uuid(room)].key_uri
            assert body["target"]["id"] == to_uuid(room)
            assert (body["verb"], body["actor"]["id"]) == ("post", ALICE_ID)
            assert "hello" not in json.dumps(body)

    run(main())


@pytest.mark.parametrize("name", ["spark-mention", "webex-mention"])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_mention_by_public_id_reaches_the_person(webex_cloud: Cloud, name: str, quote: str) -> None:
    html = f'<{name} data-object-type="person" data-object-id={quote}{to_hydra_id("PEOPLE", BOB_ID)}{quote}>B</{name}>'
    html += f'<{name} data-object-type="groupMention" data-group-type="all">All</{name}>'

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            await alice.conversations.post(room, "Bob", html=html)
            content = sent(webex_cloud)[0].body["object"]
            assert content["mentions"] == {"items": [{"objectType": "person", "id": BOB_ID}]}
            assert content["groupMentions"] == {"items": [{"objectType": "groupMention", "groupType": "all"}]}
            stored = cipher_of(webex_cloud, room).decrypt(content["content"]).decode()
            assert f"data-object-id={quote}{BOB_ID}{quote}" in stored
            (message,) = await alice.messages.list(room_id=room).to_list()
            assert message.mentioned_people == [to_hydra_id("PEOPLE", BOB_ID)]
            assert message.mentioned_groups == ["all"]

    run(main())


def test_html_without_text_gets_a_text(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            await alice.conversations.post(room, html="<p>salt &amp; <b>pepper</b></p>")
            content, cipher = sent(webex_cloud)[0].body["object"], cipher_of(webex_cloud, room)
            assert cipher.decrypt(content["displayName"]).decode() == "salt & pepper"
            assert cipher.decrypt(content["content"]).decode() == "<p>salt &amp; <b>pepper</b></p>"

    run(main())


WRONG = [{"text": 7}, {"html": ["a"]}, {"text": "a", "card": "{}"}, {"card": 7}]


@pytest.mark.parametrize("nothing", [{}, {"text": ""}, {"html": "<br>"}, *WRONG])
def test_nothing_is_sent_without_text(webex_cloud: Cloud, nothing: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            with pytest.raises(ConfigurationError):
                await alice.conversations.post(room, **nothing)
            assert sent(webex_cloud) == []

    run(main())


def test_replies_and_edits_are_posts_with_a_parent(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            first = await alice.conversations.post(room, "first")
            reply = await alice.conversations.post(room, "second", parent_id=first)
            await alice.conversations.edit(room, first, "changed")
            bodies = [request.body for request in sent(webex_cloud)]
            assert {body["verb"] for body in bodies} == {"post"}
            parents = [None, {"id": to_uuid(first), "type": "reply"}, {"id": to_uuid(first), "type": "edit"}]
            assert [body.get("parent") for body in bodies] == parents
            assert (await alice.messages.get(first)).text == "changed"
            assert (await alice.messages.get(reply)).parent_id == first

    run(main())


def test_the_senders_copy_has_its_client_temp_id(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            for text in ("one", "two"):
                await alice.conversations.post(room, text)
            await wire.until(lambda: len(wire.line.of("conversation.activity")) == 2)
            copies = [frame["data"]["activity"] for frame in wire.line.of("conversation.activity")]
            chosen = [request.body["clientTempId"] for request in sent(webex_cloud)]
            assert [copy["clientTempId"] for copy in copies] == chosen
            assert len({UUID(each) for each in chosen}) == 2

    run(main())


# Files


def test_a_file_is_sent_as_ciphertext_with_its_tag_in_the_scr(webex_cloud: Cloud) -> None:
    data = b"0123456789" * 777

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            await alice.conversations.share(room, data, "a caption", name="numbers.txt")
        (upload,) = webex_cloud.requests.find(method="PUT", path="/files/api/v1/uploads/*")
        assert upload.body_size == len(data)
        assert "authorization" not in upload.headers
        (request,) = sent(webex_cloud)
        assert request.path.endswith(f"/conversations/{to_uuid(room)}/content")
        assert request.query["personRefresh"] == "true"
        assert request.body["verb"] == "share"
        (item,) = request.body["object"]["files"]["items"]
        cipher = cipher_of(webex_cloud, room)
        assert (item["objectType"], item["mimeType"], item["fileSize"]) == ("file", "text/plain", len(data))
        assert cipher.decrypt(item["displayName"]) == b"numbers.txt"
        assert cipher.decrypt(request.body["object"]["displayName"]) == b"a caption"
        scr = json.loads(cipher.decrypt(item["scr"]))
        assert list(scr) == ["enc", "key", "iv", "aad", "loc", "tag"]
        assert len(base64url_decode(scr["tag"])) == 16
        assert scr["loc"] == item["url"]

    run(main())


@pytest.mark.parametrize(
    "fault",
    [
        {"drop": True},
        {"body": '{"endpoints": {"another": "address"}}'},
        {"body": '{"endpoints": ["no mapping"]}'},
        None,
        {"status": 404},
        {"status": 503},
        {"not_json": True},
        {"body": '{"endpoints": {}}'},
        {"body": "[]"},
    ],
    ids=str,
)
def test_a_download_prefers_a_signed_url(webex_cloud: Cloud, tmp_path: Path, fault: dict[str, Any] | None) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                await alice.conversations.share(room, b"the file", name="a.txt")
                (event,) = await take(events)
                if fault is not None:
                    webex_cloud.faults.add("*/v1/download/endpoints", **fault)
                webex_cloud.requests.clear()
                path = await bob.conversations.download(event.files[0], tmp_path / "a.txt")
                asking, getting = webex_cloud.requests.find(path="/*")
        assert path.read_bytes() == b"the file"
        assert (asking.method, asking.path.endswith("/v1/download/endpoints")) == ("POST", True)
        assert asking.body == {"endpoints": [event.files[0]["scr"].loc]}
        assert event.files[0]["scr"].loc == webex_cloud.url + getting.path

    run(main())


# Members


def test_kms_authorization_follows_membership(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            await alice.conversations.post(room, "text")
            resource = webex_cloud.state.rooms[to_uuid(room)].resource_uri
            webex_cloud.requests.clear()
            await alice.conversations.add(room, ADMIN)
            await alice.conversations.leave(room, BOB)
            come, go = sent(webex_cloud)
            assert come.query == go.query == {"personRefresh": "true"}
            assert (come.body["verb"], come.body["object"]["id"]) == ("add", ADMIN_ID)
            assert (go.body["verb"], go.body["object"]["id"]) == ("leave", BOB_ID)
            asked = kms_request(webex_cloud, come.body["kmsMessage"])
            assert (asked["method"], asked["uri"]) == ("create", "/authorizations")
            assert (asked["resourceUri"], asked["userIds"]) == (resource, [ADMIN_ID])
            asked = kms_request(webex_cloud, go.body["kmsMessage"])
            assert (asked["method"], asked["uri"]) == ("delete", f"{resource}/authorizations?authId={BOB_ID}")

    run(main())


def test_a_direct_conversation_is_created_once(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            first = await alice.conversations.create([BOB])
            assert await alice.conversations.create([BOB]) == first
            (request,) = sent(webex_cloud, "/conversation/api/v1/conversations")
            assert request.body["tags"] == ["ONE_ON_ONE"]
            asked = kms_request(webex_cloud, request.body["kmsMessage"])
            assert (asked["method"], asked["uri"]) == ("create", "/resources")
            assert asked["userIds"] == [ALICE_ID, BOB_ID]
            assert asked["keyUris"] == [request.body["defaultActivityEncryptionKeyUrl"]]
            assert (await alice.rooms.get(first)).type == "direct"
            group = await alice.conversations.create([BOB], title="With a title")
            assert group != first
            assert (await alice.rooms.get(group)).title == "With a title"
            assert "With a title" not in json.dumps(sent(webex_cloud, "/conversation/api/v1/conversations")[-1].body)

    run(main())


# The key service


def test_kms_requests_carry_user_and_device(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            await alice.conversations.post(room, "text")
            device = (await alice.conversations._service.connected()).devices.current
        assert device is not None
        (details,) = webex_cloud.requests.find(method="GET", path="/encryption/api/v1/kms/*")
        assert details.path == f"/encryption/api/v1/kms/{ALICE_ID}"
        posts = sent(webex_cloud, "/encryption/api/v1/kms/messages")
        assert {post.status for post in posts} == {202}
        assert {post.body["destination"] for post in posts} == {webex_cloud.kms.cluster}
        first, *later = [message for post in posts for message in post.body["kmsMessages"]]
        static = webex_cloud.kms.cluster
        assert jose.header_of(first) == {"alg": "RSA-OAEP", "enc": "A256GCM", "kid": static}
        agreement = json.loads(identity().decrypt(first))
        assert (agreement["method"], agreement["uri"]) == ("create", f"{static}/ecdhe")
        (agreed,) = webex_cloud.state.agreed_keys.values()
        assert later
        for token in later:
            assert jose.header_of(token) == {"alg": "dir", "enc": "A256GCM", "kid": agreed.uri}
        for body in (agreement, *(kms_request(webex_cloud, token) for token in later)):
            credential = body["client"]["credential"]
            assert body["client"]["clientId"] == device.url
            assert credential["userId"] == ALICE_ID
            assert webex_cloud.state.tokens.get(credential["bearer"]) is not None

    run(main())


def test_each_key_agreement_uses_a_new_key(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            for text in ("one", "two", "three"):
                await alice.conversations.post(room, text)
                (await alice.conversations._service.connected()).keys.drop(
                    webex_cloud.state.rooms[to_uuid(room)].key_uri or ""
                )
                webex_cloud.kms.expire()
            await until(lambda: len(webex_cloud.state.messages) == 3)
        tokens = [token for post in sent(webex_cloud, "*/kms/messages") for token in post.body["kmsMessages"]]
        agreements = [
            json.loads(identity().decrypt(token)) for token in tokens if jose.header_of(token)["alg"] == "RSA-OAEP"
        ]
        assert len(agreements) == 3
        assert len({body["jwk"]["x"] for body in agreements}) == 3

    run(main())


def test_a_conversation_without_a_key_gets_one_before_it_is_written_to(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            path = f"/conversation/api/v1/conversations/{to_uuid(room)}"
            members = [{"id": each, "entryUUID": each} for each in (ALICE_ID, BOB_ID)]
            bare = {"id": to_uuid(room), "participants": {"items": members}}
            webex_cloud.faults.add(path, method="GET", body=bare)
            async with bob.messages.listen() as events:
                await alice.conversations.post(room, "hello")
                assert texts(await take(events)) == ["hello"]
            key, message = (each.body for each in webex_cloud.requests.find(method="POST", path=f"{path}/activities"))
            assert (key["verb"], message["verb"]) == ("updateKey", "post")
            assert message["encryptionKeyUrl"] == key["object"]["defaultActivityEncryptionKeyUrl"]
            assert "hello" not in str(message)

    run(main())


def test_a_message_without_a_key_is_read_as_it_is(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                tell(webex_cloud, {"eventType": "conversation.activity", "activity": activity(webex_cloud, room)})
                (event,) = await take(events)
                assert (event.data.text, event.decryption_error) == ("in the clear", None)

    run(main())
