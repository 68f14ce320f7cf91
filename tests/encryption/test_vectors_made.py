"""What is made here: as the published libraries made it where the nonce is recorded, else read by others."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc import jwe
from joserfc.jwk import OctKey, RSAKey

from tests.encryption.fake_kms import FakeKMS, agreement_key
from tests.encryption.vectors import load
from webex.encryption import jose
from webex.encryption.content import decrypt_activity, encrypt_activity, key_urls_of
from webex.encryption.jose import Cipher
from webex.encryption.scr import SCR
from webex.ids import base64url_decode, base64url_encode

TEXT, FILES, AGREED = load("jwe-text"), load("scr-file"), load("ecdh-hkdf")
STATIC, ECDHE, MESSAGES, ACTIVITIES = (
    load(name) for name in ("kms-static-key", "kms-ecdhe", "kms-messages", "activities")
)
ROWS = {row["name"]: row for row in ACTIVITIES["rows"]}


def cipher_of(vectors: Any) -> Cipher:
    return Cipher(base64url_decode(vectors["jwk"]["k"]))


def nonce_of(token: str) -> bytes:
    return base64url_decode(token.split(".")[2])


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def opened_by_hand(token: str, key: bytes) -> bytes:
    """The clear bytes of a JWE, with AES-GCM alone."""
    head, _, iv, encrypted, tag = token.split(".")
    return AESGCM(key).decrypt(base64url_decode(iv), base64url_decode(encrypted) + base64url_decode(tag), head.encode())


def opened_by_joserfc(token: str, key: bytes) -> bytes | None:
    return jwe.decrypt_compact(token, OctKey.import_key(key), algorithms=["dir", "A256GCM"]).plaintext


# Text and files


@pytest.mark.parametrize("case", TEXT["cases"], ids=lambda case: case["name"])
def test_encrypted_text_is_decrypted_by_other_libraries(case: Any) -> None:
    key = base64url_decode(TEXT["jwk"]["k"])
    token = Cipher(key).encrypt(case["plaintext"].encode())
    assert token.split(".")[0] == TEXT["protected_header_b64"]
    assert opened_by_hand(token, key) == opened_by_joserfc(token, key) == case["plaintext"].encode()


@pytest.mark.parametrize("name", ["node_jose_fixed_iv", "node_jose_random_iv"])
@pytest.mark.parametrize("case", TEXT["cases"], ids=lambda case: case["name"])
def test_text_is_encrypted_as_by_node(case: Any, name: str) -> None:
    token = case[name]
    assert cipher_of(TEXT).encrypt(case["plaintext"].encode(), iv=nonce_of(token)) == token


def test_empty_text_is_encrypted_as_by_node() -> None:
    empty = TEXT["empty_plaintext"]
    assert cipher_of(TEXT).encrypt(b"", iv=base64url_decode(empty["iv"])) == empty["token"]


@pytest.mark.parametrize("case", [*FILES["node_scr"], FILES["node_scr_fresh"], FILES["python_made"]], ids=range(5))
def test_an_scr_is_encrypted_as_recorded(case: Any) -> None:
    token = case["scr_jwe"]
    cipher = cipher_of(FILES)
    scr = compact(SCR.from_jwe(token, cipher).to_dict())
    assert cipher.encrypt(scr, iv=nonce_of(token)) == token
    key = base64url_decode(FILES["jwk"]["k"])
    assert json.loads(opened_by_hand(SCR.from_dict(case["scr"]).to_jwe(cipher), key)) == case["scr"]


def test_a_new_file_is_decrypted_by_other_libraries() -> None:
    clear = b64decode(FILES["python_made"]["file_base64"]) * 9

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(clear), 100):
            yield clear[start : start + 100]

    async def encrypted(scr: SCR) -> bytes:
        return b"".join([piece async for piece in scr.encrypt(pieces())])

    scr = SCR.new()
    data = asyncio.run(encrypted(scr))
    scr.loc = "https://files.example.com/new"
    token = scr.to_jwe(cipher_of(FILES))
    shown = json.loads(opened_by_joserfc(token, base64url_decode(FILES["jwk"]["k"])) or b"")
    key, iv, tag = (base64url_decode(shown[name]) for name in ("key", "iv", "tag"))
    assert (len(data), len(tag)) == (len(clear), 16)
    assert AESGCM(key).decrypt(iv, data + tag, shown["aad"].encode()) == clear


# The key service


@pytest.mark.parametrize("pair", AGREED["pairs"], ids=lambda pair: pair["name"])
def test_the_agreed_key_equals_that_of_node_kms(pair: Any) -> None:
    secret = base64url_encode(jose.agree(agreement_key(pair["client_jwk"]), pair["server_jwk"]))
    assert secret == pair["node_kms_ephemeral_key"]["jwk"]["k"]
    assert secret != pair.get("derived_key_if_leading_zero_wrongly_stripped")
    shown = jose.agreement_jwk(agreement_key(pair["client_jwk"]))
    assert (len(shown["x"]), len(shown["y"])) == (43, 43)


def test_a_negotiation_is_decrypted_by_other_libraries() -> None:
    private = STATIC["rsa_private_jwk"]
    body = compact(ECDHE["request"]["body"])
    token = jose.encrypt_for_rsa(body, ECDHE["static_public_key"])
    assert jose.header_of(token) == ECDHE["request"]["protected_header"]
    key = RSAKey.import_key(private).private_key
    assert isinstance(key, rsa.RSAPrivateKey)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    content_key = key.decrypt(base64url_decode(token.split(".")[1]), oaep)
    assert opened_by_hand(token, content_key) == body


def test_a_response_is_signed_as_by_node_and_verified_elsewhere() -> None:
    private = {**STATIC["rsa_private_jwk"], "kid": ECDHE["static_public_key"]["kid"]}
    body = compact(ECDHE["response"]["body"])
    assert jose.sign(body, private, alg="RS256") == ECDHE["response"]["RS256_node_jose"]
    token = jose.sign(body, private, alg="PS256")
    head, payload, signature = token.split(".")
    assert [head, payload] == ECDHE["response"]["PS256_node_jose"].split(".")[:2]
    key = RSAKey.import_key(ECDHE["static_public_key"]).public_key
    assert isinstance(key, rsa.RSAPublicKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
    key.verify(base64url_decode(signature), f"{head}.{payload}".encode(), pss, hashes.SHA256())


@pytest.mark.parametrize("message", MESSAGES["messages"], ids=lambda message: message["name"])
def test_channel_requests_are_encrypted_as_by_node(message: Any) -> None:
    cipher, key = cipher_of(MESSAGES["ephemeral_key"]), base64url_decode(MESSAGES["ephemeral_key"]["jwk"]["k"])
    token, uri = message["request_wrapped"], MESSAGES["ephemeral_key"]["uri"]
    assert cipher.encrypt(compact(message["request_body"]), kid=uri, iv=nonce_of(token)) == token
    answer = cipher.encrypt(compact(message["response_body"]), kid=uri, iv=base64url_decode(message["response_iv"]))
    assert json.loads(opened_by_joserfc(answer, key) or b"") == message["response_body"]
    assert nonce_of(message["response_wrapped"]) == nonce_of(answer)


def test_the_examples_have_channel_messages_of_both_directions() -> None:
    cipher = cipher_of(MESSAGES["ephemeral_key"])
    http, event = MESSAGES["http"], MESSAGES["mercury_event_example"]
    known = [message["request_wrapped"] for message in MESSAGES["messages"]]
    assert http["body_example"].keys() == {"destination", "kmsMessages"}
    assert {*http["body_example"]["kmsMessages"]} <= {*known}
    assert event["data"]["eventType"] == "encryption.kms_message"

    async def main() -> None:
        kms = FakeKMS()
        kms.channel._remember(MESSAGES["ephemeral_key"]["uri"], cipher, kms.moment + 3600)
        kms.channel.receive(event["data"]["encryption"]["kmsMessages"])
        # They were opened, and nobody waits for them.
        assert kms.channel.unmatched == len(event["data"]["encryption"]["kmsMessages"])

    asyncio.run(main())


# Activities


class Recorded(Cipher):
    """Encrypts with the nonce of the recorded token of the same text."""

    def __init__(self, key: bytes, wire: Any) -> None:
        super().__init__(key)
        self._nonces = {self.decrypt(token): nonce_of(token) for token in _tokens(wire)}

    def encrypt(self, data: bytes, *, kid: str | None = None, iv: bytes | None = None) -> str:
        return super().encrypt(data, kid=kid, iv=self._nonces[data])


def _tokens(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [token for item in value.values() for token in _tokens(item)]
    if isinstance(value, list):
        return [token for item in value for token in _tokens(item)]
    return [value] if isinstance(value, str) and value.startswith("eyJ") and value.count(".") == 4 else []


# Ours encrypts cards, which the JS SDK leaves open; the other is the body of a new conversation.
_OTHERWISE = {"post_with_cards_outbound", "POST conversations body"}


@pytest.mark.parametrize(
    "row",
    [row for row in ACTIVITIES["rows"] if "plain" in row and row["name"] not in _OTHERWISE],
    ids=lambda r: r["name"],
)
def test_activities_are_encrypted_as_by_the_js_sdk(row: Any) -> None:
    cipher = Recorded(base64url_decode(ACTIVITIES["jwk"]["k"]), row["wire"])
    made = encrypt_activity(row["plain"], cipher, ACTIVITIES["key_uri"])
    # The key service's part is filled in elsewhere.
    assert {**made, "kmsMessage": None} == {**row["wire"], "kmsMessage": None}


def test_a_card_is_encrypted_as_a_whole() -> None:
    key = base64url_decode(ACTIVITIES["jwk"]["k"])
    plain = ROWS["post_with_cards_outbound"]["plain"]
    card = json.loads(plain["object"]["cards"][0])
    encrypted = encrypt_activity(
        {**plain, "object": {**plain["object"], "cards": [card]}}, Cipher(key), ACTIVITIES["key_uri"]
    )
    assert [json.loads(opened_by_joserfc(token, key) or b"") for token in encrypted["object"]["cards"]] == [card]


def test_a_title_is_encrypted_as_by_the_js_sdk() -> None:
    row = ROWS["POST conversations body"]
    title = row["wire"]["displayName"]
    assert cipher_of(ACTIVITIES).encrypt(row["plain"]["displayName"].encode(), iv=nonce_of(title)) == title


def test_an_activity_without_a_key_is_unchanged() -> None:
    wire = json.loads(json.dumps(ROWS["inbound without encryptionKeyUrl"]["wire"]))
    assert decrypt_activity(wire, dict.fromkeys(key_urls_of(wire), cipher_of(ACTIVITIES))) is None
    assert wire == ROWS["inbound without encryptionKeyUrl"]["decrypted"]


def test_a_new_title_is_decrypted() -> None:
    row = ROWS["update_title"]
    wire = json.loads(json.dumps(row["wire"]))
    assert decrypt_activity(wire, dict.fromkeys(key_urls_of(wire), cipher_of(ACTIVITIES))) is None
    assert wire["object"]["displayName"] == row["plain"]["object"]["displayName"]
