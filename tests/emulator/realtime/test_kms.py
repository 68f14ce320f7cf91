"""The key service: an agreed channel, keys, and who may have them."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from typing import Any

import pytest
from cryptography import x509

from tests.emulator.helpers import fetch
from tests.emulator.realtime.helpers import KMSClient, connected, key_client, register
from webex.emulator import Cloud
from webex.emulator.accounts import (
    ADMIN_ID,
    ALICE_ID,
    ALICE_TOKEN,
    BOB_ID,
    BOB_TOKEN,
    COMPLIANCE_TOKEN,
)
from webex.encryption import jose
from webex.ids import base64url_decode, to_uuid

CLUSTER = "kms://kms.emulator.wbx2.com"


def test_the_kms_key_has_a_certificate_chain(webex_cloud: Cloud) -> None:
    answer = fetch(f"{webex_cloud.url}/encryption/api/v1/kms/{ALICE_ID}", token=ALICE_TOKEN).json()
    assert answer["kmsCluster"] == CLUSTER
    static = json.loads(answer["rsaPublicKey"])
    assert static.keys() == {"kty", "kid", "n", "e", "x5c"}
    assert static["kid"] == CLUSTER
    leaf, root = (x509.load_der_x509_certificate(b64decode(text)) for text in static["x5c"])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["kms.emulator.wbx2.com"]
    leaf.verify_directly_issued_by(root)
    assert root == x509.load_pem_x509_certificate(webex_cloud.kms.root_pem)
    assert fetch(f"{webex_cloud.url}/encryption/api/v1/kms/{ALICE_ID}").status == 401
    assert fetch(f"{webex_cloud.url}/encryption/api/v1/kms/nobody", token=ALICE_TOKEN).status == 404


@pytest.mark.parametrize("signature", ["PS256", "RS256"])
def test_a_key_agreement_is_signed_with_the_static_key(webex_cloud: Cloud, signature: str) -> None:
    webex_cloud.set(kms_signature=signature)

    async def main() -> None:
        device = await asyncio.to_thread(register, webex_cloud)
        async with connected(device) as client:
            kms = KMSClient(webex_cloud, client, device)
            answer = await kms.agree()
            assert answer["status"] == 201
            assert answer["key"]["uri"].startswith(f"{CLUSTER}/ecdhe/")
            assert answer["key"]["userId"] == ALICE_ID
            assert answer["key"]["expirationDate"] > answer["key"]["createDate"]
            assert (await kms.ask("update", "/ping"))["status"] == 200

    asyncio.run(main())


def test_the_signature_has_the_algorithm_and_the_kid(webex_cloud: Cloud) -> None:
    for algorithm in ("PS256", "RS256"):
        webex_cloud.set(kms_signature=algorithm)
        with webex_cloud.lock:
            token, _ = webex_cloud.kms.relay(ALICE_ID, "garbage")
        assert jose.header_of(token) == {"alg": algorithm, "kid": CLUSTER}


def test_keys_are_created_bound_and_given_only_to_members(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice, key_client(webex_cloud, BOB_TOKEN) as bob:
            made = await alice.ask("create", "/keys", count=2)
            assert made["status"] == 201
            first, second = made["keys"]
            assert len(base64url_decode(first["jwk"]["k"])) == 32
            assert first["jwk"]["kty"] == "oct"
            assert "resourceUri" not in first
            # Unbound: its maker's alone.
            assert (await alice.ask("retrieve", first["uri"]))["key"]["jwk"] == first["jwk"]
            refused = await bob.ask("retrieve", first["uri"])
            assert (refused["status"], "key" in refused) == (403, False)
            assert refused["reason"]

            resource = await alice.ask("create", "/resources", userIds=[], keyUris=[first["uri"]])
            assert resource["status"] == 201
            uri = resource["resource"]["uri"]
            assert resource["resource"]["keyUris"] == [first["uri"]]
            assert len(resource["resource"]["authorizationUris"]) == 1
            assert (await bob.ask("retrieve", first["uri"]))["status"] == 403

            bound = await alice.ask("update", second["uri"], resourceUri=uri)
            assert (bound["status"], bound["key"]["resourceUri"]) == (200, uri)
            assert bound["key"]["bindDate"]
            assert (await alice.ask("update", second["uri"], resourceUri=uri))["status"] == 409

            added = await alice.ask("create", "/authorizations", resourceUri=uri, userIds=[BOB_ID])
            assert added["status"] == 201
            assert [entry["authId"] for entry in added["authorizations"]] == [BOB_ID]
            assert (await bob.ask("retrieve", second["uri"]))["key"]["jwk"] == second["jwk"]
            keys = await bob.ask("retrieve", f"{uri}/keys")
            assert {key["uri"] for key in keys["keys"]} == {first["uri"], second["uri"]}
            assert len((await bob.ask("retrieve", f"{uri}/keys", count=1))["keys"]) == 1
            listed = await bob.ask("retrieve", f"{uri}/authorizations")
            assert {entry["authId"] for entry in listed["authorizations"]} == {ALICE_ID, BOB_ID}

            removed = await alice.ask("delete", f"{uri}/authorizations?authId={BOB_ID}")
            assert (removed["status"], removed["authorizations"][0]["authId"]) == (200, BOB_ID)
            assert (await bob.ask("retrieve", second["uri"]))["status"] == 403
            assert (await bob.ask("retrieve", f"{uri}/authorizations"))["status"] == 403
            assert (await bob.ask("create", "/authorizations", resourceUri=uri, userIds=[BOB_ID]))["status"] == 403

    asyncio.run(main())


def test_a_resource_may_authorize_the_members_of_another(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice, key_client(webex_cloud, BOB_TOKEN) as bob:
            keys = (await alice.ask("create", "/keys", count=2))["keys"]
            team = await alice.ask("create", "/resources", userIds=[BOB_ID], keyUris=[keys[0]["uri"]])
            room = await alice.ask("create", "/resources", authIds=[team["resource"]["uri"]], keyUris=[keys[1]["uri"]])
            # In a circle too, it ends.
            team_uri, room_uri = team["resource"]["uri"], room["resource"]["uri"]
            listed = (await alice.ask("retrieve", f"{room_uri}/authorizations"))["authorizations"]
            assert [(entry["authId"], entry["resourceUri"]) for entry in listed] == [
                (ALICE_ID, room_uri),
                (ALICE_ID, team_uri),
                (BOB_ID, team_uri),
            ]
            await alice.ask("create", "/authorizations", resourceUri=team_uri, userIds=[room_uri])
            assert (await bob.ask("retrieve", keys[1]["uri"]))["status"] == 200
            await alice.ask("delete", f"{team_uri}/authorizations?authId={BOB_ID}")
            assert (await bob.ask("retrieve", keys[1]["uri"]))["status"] == 403

    asyncio.run(main())


@pytest.mark.parametrize(
    ("method", "uri", "fields", "status"),
    [
        ("retrieve", "/keys/unknown", {}, 404),
        ("retrieve", "kms://elsewhere.example.com/keys/1", {}, 404),
        ("dance", "/keys", {}, 405),
        ("retrieve", "", {}, 405),
        ("create", "/keys", {"count": 0}, 400),
        ("create", "/keys", {"count": "two"}, 400),
        ("create", "/resources", {"keyUris": []}, 400),
        ("create", "/resources", {"keyUris": "kms://x/keys/1"}, 400),
        ("create", "/resources", {"keyUris": ["/keys/unknown"]}, 404),
        ("create", "/authorizations", {"userIds": [BOB_ID]}, 400),
        ("create", "/authorizations", {"resourceUri": "/resources/unknown", "userIds": [BOB_ID]}, 404),
    ],
)
def test_refused_request_has_a_reason(
    webex_cloud: Cloud, method: str, uri: str, fields: dict[str, Any], status: int
) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            answer = await alice.ask(method, uri, **fields)
            assert answer["status"] == status
            assert answer["reason"]
            assert answer["requestId"]

    asyncio.run(main())


def test_requests_of_one_post_are_answered_in_one_event_and_in_order(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            encrypted = [alice.encrypt(method="update", uri="/ping", requestId=str(number)) for number in range(5)]
            await alice.post(*encrypted)
            answers = [alice.decrypt(token) for token in await alice.answers()]
            assert [answer["requestId"] for answer in answers] == ["0", "1", "2", "3", "4"]

    asyncio.run(main())


def test_kms_responses_are_not_buffered(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            encrypted = alice.encrypt(method="update", uri="/ping")
            device = alice.device
            kms = alice
        await asyncio.to_thread(webex_cloud.mercury.wait, 0)
        await kms.post(encrypted)
        async with connected(device) as client:
            assert (await client.ping())["type"] == "pong"

    asyncio.run(main())


def test_an_expired_channel_is_refused_with_a_signature(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            webex_cloud.clock.advance(3601)
            await alice.post(alice.encrypt(method="update", uri="/ping", requestId="late"))
            (token,) = await alice.answers()
            refused = json.loads(jose.verify(token, alice.static))
            assert (refused["status"], refused["requestId"]) == (403, "late")
            assert refused["reason"]
            await alice.agree()
            assert (await alice.ask("update", "/ping"))["status"] == 200
            # Forgotten altogether: not even the request's id can be read.
            assert webex_cloud.kms.expire() == 2
            await alice.post(alice.encrypt(method="update", uri="/ping"))
            (token,) = await alice.answers()
            assert json.loads(jose.verify(token, alice.static))["status"] == 403

    asyncio.run(main())


def test_a_channel_can_be_ended_by_its_client(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            assert (await alice.ask("delete", alice.uri))["status"] == 204
            await alice.post(alice.encrypt(method="update", uri="/ping"))
            (token,) = await alice.answers()
            assert json.loads(jose.verify(token, alice.static))["status"] == 403

    asyncio.run(main())


def test_a_channel_is_for_its_own_person(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice, key_client(webex_cloud, BOB_TOKEN) as bob:
            await bob.post(alice.encrypt(method="update", uri="/ping"))
            (token,) = await bob.answers()
            assert json.loads(jose.verify(token, bob.static))["status"] == 403

    asyncio.run(main())


@pytest.mark.parametrize(
    ("scopes", "lifetime", "status"),
    [
        (["spark:kms"], None, 200),
        (["spark:all", "spark:kms"], None, 200),
        (["spark:all"], None, 403),
        (["spark:messages_read", "spark:rooms_read"], None, 403),
        (["spark:kms"], -1, 401),
    ],
)
def test_the_bearer_of_a_request_must_allow_it(
    webex_cloud: Cloud, scopes: list[str], lifetime: float | None, status: int
) -> None:
    bearer = webex_cloud.token_for("alice", scopes, lifetime=lifetime)

    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            client = {"clientId": alice.device["url"], "credential": {"userId": ALICE_ID, "bearer": bearer}}
            assert (await alice.ask("update", "/ping", client=client))["status"] == status
            if status != 200:
                assert (await alice.agree(client=client))["status"] == status

    asyncio.run(main())


@pytest.mark.parametrize(
    "credential",
    [
        {"userId": BOB_ID, "bearer": ALICE_TOKEN},
        {"userId": BOB_ID, "bearer": BOB_TOKEN},
        {"userId": BOB_ID, "onBehalfOf": BOB_ID, "bearer": ALICE_TOKEN},
    ],
)
def test_impersonation_is_refused(webex_cloud: Cloud, credential: dict[str, str]) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            client = {"clientId": alice.device["url"], "credential": credential}
            assert (await alice.ask("update", "/ping", client=client))["status"] == 403

    asyncio.run(main())


def test_a_compliance_officer_may_ask_on_behalf_of_others(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice, key_client(webex_cloud, COMPLIANCE_TOKEN) as officer:
            key = (await alice.ask("create", "/keys", count=1))["keys"][0]
            credential = {"userId": ALICE_ID, "onBehalfOf": ALICE_ID, "bearer": COMPLIANCE_TOKEN}
            client = {"clientId": officer.device["url"], "credential": credential}
            assert (await officer.ask("retrieve", key["uri"]))["status"] == 403
            assert (await officer.ask("retrieve", key["uri"], client=client))["key"]["jwk"] == key["jwk"]

    asyncio.run(main())


@pytest.mark.parametrize("jwk", [None, {}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": "RSA"}])
def test_an_invalid_public_key_is_refused(webex_cloud: Cloud, jwk: Any) -> None:
    async def main() -> None:
        device = await asyncio.to_thread(register, webex_cloud)
        async with connected(device) as client:
            answer = await KMSClient(webex_cloud, client, device).agree(jwk=jwk)
            assert answer["status"] == 400

    asyncio.run(main())


@pytest.mark.parametrize("body", [{}, {"kmsMessages": []}, {"kmsMessages": "text"}, {"kmsMessages": [1]}])
def test_a_post_without_requests_is_refused(webex_cloud: Cloud, body: dict[str, Any]) -> None:
    url = webex_cloud.url + "/encryption/api/v1/kms/messages"
    assert fetch(url, json_body=body, token=ALICE_TOKEN).status == 400
    assert fetch(url, json_body={"kmsMessages": ["a.b.c"]}).status == 401


def test_keys_are_in_a_snapshot_and_in_no_repr(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            key = (await alice.ask("create", "/keys", count=1))["keys"][0]
            snapshot = webex_cloud.snapshot()
            webex_cloud.restore(snapshot)
            assert (await alice.ask("retrieve", key["uri"]))["key"]["jwk"] == key["jwk"]
            secret = base64url_decode(key["jwk"]["k"])
            shown = f"{webex_cloud.state!r} {webex_cloud.state.content_keys} {webex_cloud.state.agreed_keys}"
            assert repr(secret) not in shown
            assert key["jwk"]["k"] not in shown

    asyncio.run(main())


# What the Conversation service uses


def room_of(cloud: Cloud, *members: str) -> Any:
    room_id = fetch(cloud.url + "/v1/rooms", json_body={"title": "Lunch"}, token=ALICE_TOKEN).json()["id"]
    for member in members:
        body = {"roomId": room_id, "personEmail": member}
        assert fetch(cloud.url + "/v1/memberships", json_body=body, token=ALICE_TOKEN).status == 200
    return cloud.state.rooms[to_uuid(room_id)]


def test_a_room_has_one_key_for_its_members(webex_cloud: Cloud) -> None:
    room = room_of(webex_cloud, "bob@example.com")
    kms = webex_cloud.kms
    with webex_cloud.lock:
        key = kms.room_key(room)
        assert kms.room_key(room) == key
        assert (room.key_uri, room.resource_uri) == (key.uri, key.resource_uri)
        assert kms.may_read(ALICE_ID, key.uri)
        assert kms.may_read(BOB_ID, key.uri)
        assert not kms.may_read(ADMIN_ID, key.uri)
        assert not kms.may_read(ALICE_ID, f"{CLUSTER}/keys/unknown")
        kms.authorize(key.resource_uri, ADMIN_ID)
        kms.deauthorize(key.resource_uri, BOB_ID)
        assert kms.may_read(ADMIN_ID, key.uri)
        assert not kms.may_read(BOB_ID, key.uri)
        assert jose.Cipher(key.secret).decrypt(kms.cipher(key.uri).encrypt(b"Hello")) == b"Hello"
        assert kms.cipher(key.uri) is kms.cipher(key.uri)
        with pytest.raises(LookupError):
            kms.cipher(f"{CLUSTER}/keys/unknown")
        assert repr(key.secret) not in repr(key)


def test_a_member_of_a_room_gets_its_key(webex_cloud: Cloud) -> None:
    room = room_of(webex_cloud)
    with webex_cloud.lock:
        key = webex_cloud.kms.room_key(room)

    async def main() -> None:
        async with key_client(webex_cloud) as alice, key_client(webex_cloud, BOB_TOKEN) as bob:
            answer = await alice.ask("retrieve", key.uri)
            assert base64url_decode(answer["key"]["jwk"]["k"]) == key.secret
            assert (await bob.ask("retrieve", key.uri))["status"] == 403

    asyncio.run(main())


def test_a_request_can_be_relayed_by_another_service(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            key = (await alice.ask("create", "/keys", count=1))["keys"][0]
            encrypted = alice.encrypt(method="create", uri="/resources", userIds=[BOB_ID], keyUris=[key["uri"]])
            with webex_cloud.lock:
                answer, plain = webex_cloud.kms.relay(ALICE_ID, encrypted)
                assert webex_cloud.kms.may_read(BOB_ID, key["uri"])
                stranger, refused = webex_cloud.kms.relay(BOB_ID, encrypted)
            assert alice.decrypt(answer) == plain
            assert plain["status"] == 201
            assert plain["resource"]["keyUris"] == [key["uri"]]
            assert refused["status"] == 403
            assert json.loads(jose.verify(stranger, alice.static)) == refused

    asyncio.run(main())
