"""What the key service can be made to do wrong, beside what is late, lost or out of order."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tests.emulator.helpers import fetch
from tests.emulator.realtime.helpers import KMSClient, connected, key_client, register
from webex.emulator import Cloud, EmulatorClient, EmulatorError
from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN
from webex.encryption import jose
from webex.ids import base64url_decode


def details(cloud: Cloud) -> dict[str, object]:
    answer: dict[str, object] = fetch(f"{cloud.url}/encryption/api/v1/kms/{ALICE_ID}", token=ALICE_TOKEN).json()
    return answer


def test_a_response_can_be_truncated(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            webex_cloud.kms.set_faults(cut=1)
            with pytest.raises(jose.BadTokenError):
                await alice.ask("update", "/ping")
            assert (await alice.ask("update", "/ping"))["status"] == 200

    asyncio.run(main())


def test_a_signed_response_can_lack_its_signature(webex_cloud: Cloud) -> None:
    async def main() -> None:
        device = await asyncio.to_thread(register, webex_cloud)
        async with connected(device) as client:
            kms = KMSClient(webex_cloud, client, device)
            webex_cloud.kms.set_faults(unsigned=1)
            with pytest.raises(jose.BadTokenError):
                await kms.agree()
            assert (await kms.agree())["status"] == 201

    asyncio.run(main())


def test_the_unsigned_response_is_marked_and_otherwise_valid(webex_cloud: Cloud) -> None:
    webex_cloud.kms.set_faults(unsigned=1)
    with webex_cloud.lock:
        token, answer = webex_cloud.kms.relay(ALICE_ID, "garbage")
    assert jose.header_of(token)["alg"] == "none"
    _, payload, signature = token.split(".")
    assert (json.loads(base64url_decode(payload)), signature) == (answer, "")


def test_the_static_key_can_be_wrong_in_detectable_ways(webex_cloud: Cloud) -> None:
    right = json.loads(str(details(webex_cloud)["rsaPublicKey"]))
    number = x509.load_der_x509_certificate(b64decode(right["x5c"][0])).public_key()
    assert isinstance(number, RSAPublicKey)

    def shown(how: str) -> dict[str, str]:
        webex_cloud.kms.set_faults(static_key=how)
        key: dict[str, str] = json.loads(str(details(webex_cloud)["rsaPublicKey"]))
        return key

    assert shown("no_chain") == {name: value for name, value in right.items() if name != "x5c"}
    assert shown("wrong_host") == {**right, "kid": "kms://kms-elsewhere.wbx2.com"}
    wrong = shown("wrong_modulus")
    assert int.from_bytes(base64url_decode(wrong["n"]), "big") != number.public_numbers().n
    assert {**wrong, "n": right["n"]} == right
    assert shown("") == right
    with pytest.raises(ValueError, match="static_key"):
        webex_cloud.kms.set_faults(static_key="upside down")


def test_the_static_key_can_be_an_object_instead_of_text(webex_cloud: Cloud) -> None:
    right = json.loads(str(details(webex_cloud)["rsaPublicKey"]))
    webex_cloud.kms.set_faults(static_key="object")
    assert details(webex_cloud)["rsaPublicKey"] == right


def test_one_response_can_be_set_for_every_key(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            first, second = (await alice.ask("create", "/keys", count=2))["keys"]
            own = {"status": 405, "errorCode": 405005}
            webex_cloud.kms.set_faults(by_key={"*": {"status": 404, "errorCode": 30005}, second["uri"]: own})
            assert (await alice.ask("retrieve", first["uri"]))["status"] == 404
            assert (await alice.ask("retrieve", second["uri"]))["errorCode"] == 405005
            # Other requests go well.
            made = await alice.ask("create", "/resources", keyUris=[first["uri"]])
            assert (await alice.ask("retrieve", f"{made['resource']['uri']}/keys"))["status"] == 200

    asyncio.run(main())


def test_a_moved_key_is_returned_at_its_new_uri(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            old, new = (await alice.ask("create", "/keys", count=2))["keys"]
            moved = {"status": 301, "errorCode": 301002, "redirectUri": new["uri"]}
            webex_cloud.kms.set_faults(by_key={old["uri"]: moved})
            answer = await alice.ask("retrieve", old["uri"])
            assert (await alice.ask("retrieve", answer["redirectUri"]))["key"]["jwk"] == new["jwk"]

    asyncio.run(main())


def test_the_room_key_is_named_but_never_returned(webex_cloud: Cloud) -> None:
    remote = EmulatorClient(webex_cloud.url)
    room_id = fetch(webex_cloud.url + "/v1/rooms", json_body={"title": "A room"}, token=ALICE_TOKEN).json()["id"]
    uri = webex_cloud.kms.key_uri(room_id)
    assert uri.startswith("kms://kms.emulator.wbx2.com/keys/")
    assert remote.kms.key_uri(room_id) == uri
    for wrong in ("nonsense", ALICE_ID):
        with pytest.raises(EmulatorError, match="no room"):
            remote.kms.key_uri(wrong)

    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            assert (await alice.ask("retrieve", uri))["status"] == 200
            remote.kms.set_faults(by_key={remote.kms.key_uri(room_id): {"status": 403}})
            assert (await alice.ask("retrieve", uri))["status"] == 403

    asyncio.run(main())


def test_keys_are_never_in_clear_on_a_socket_or_in_an_answer(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            await alice.post(alice.encrypt(method="create", uri="/keys", count=1))
            frame = await alice.client.socket.recv()
            (token,) = json.loads(frame)["data"]["encryption"]["kmsMessages"]
            assert alice.decrypt(token)["keys"][0]["jwk"]["k"] not in str(frame)

    asyncio.run(main())
