"""Every vector in both directions: what the published libraries made opens here, what is made here is as theirs."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.encryption.vectors import load
from webex.encryption import jose
from webex.encryption.content import decrypt_activity, encrypt_activity, key_url_of, key_urls_of, reaction_hmac
from webex.encryption.jose import BadTokenError, Cipher
from webex.encryption.kms_identity import check_static_key, read_static_key
from webex.encryption.scr import SCR
from webex.errors import DecryptionError, KMSIdentityError
from webex.ids import base64url_decode, base64url_encode
from webex.services import Catalog
from webex.services.catalog import email_hash

TEXT, FILES, AGREED = load("jwe-text"), load("scr-file"), load("ecdh-hkdf")
STATIC, ECDHE, MESSAGES = load("kms-static-key"), load("kms-ecdhe"), load("kms-messages")
ACTIVITIES, HOSTMAP = load("activities"), load("u2c-hostmap")


def cipher_of(vectors: Any) -> Cipher:
    return Cipher(base64url_decode(vectors["jwk"]["k"]))


# Text


@pytest.mark.parametrize("case", TEXT["cases"], ids=lambda case: case["name"])
def test_text(case: Any) -> None:
    cipher = cipher_of(TEXT)
    made = cipher.encrypt(case["plaintext"].encode(), iv=base64url_decode(case["iv"]))
    assert made == case["node_jose_fixed_iv"]
    for name, token in case.items():
        if name not in ("name", "plaintext", "iv", "note"):
            assert cipher.decrypt(token).decode() == case["plaintext"], name
    assert cipher.decrypt(cipher.encrypt(case["plaintext"].encode())).decode() == case["plaintext"]
    assert cipher.encrypt(b"x") != cipher.encrypt(b"x")


def test_text_of_other_shapes() -> None:
    cipher = cipher_of(TEXT)
    assert cipher.decrypt(TEXT["empty_plaintext"]["token"]) == b""
    for name in ("key_with_kid_referenced", "foreign_kid"):
        assert cipher.decrypt(TEXT[name]["token"]).decode() == TEXT[name]["plaintext"]


@pytest.mark.parametrize("case", TEXT["must_fail"]["tampered"], ids=lambda case: case["changed"])
def test_changed_text_is_refused(case: Any) -> None:
    with pytest.raises(BadTokenError):
        cipher_of(TEXT).decrypt(case["jwe"])


def test_text_under_another_key_is_refused() -> None:
    wrong = TEXT["must_fail"]["wrong_key"]
    with pytest.raises(BadTokenError):
        Cipher(base64url_decode(wrong["k"])).decrypt(wrong["token"])


# Files


async def _pieces(data: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def _joined(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


def _cases() -> list[Any]:
    return [*FILES["node_scr"], FILES["node_scr_fresh"], FILES["python_made"]]


@pytest.mark.parametrize("case", _cases(), ids=lambda case: case.get("name", case["scr"]["loc"]))
def test_files(case: Any) -> None:
    clear, encrypted = b64decode(case["file_base64"]), b64decode(case["cdata_base64"])
    scr = SCR.from_jwe(case["scr_jwe"], cipher_of(FILES))
    assert scr.to_dict() == case["scr"]
    assert asyncio.run(_joined(scr.decrypt(_pieces(encrypted)))) == clear
    again = SCR.from_dict(case["scr"])
    again.tag = None
    assert asyncio.run(_joined(again.encrypt(_pieces(clear)))) == encrypted
    assert base64url_encode(again.tag or b"") == case["scr"]["tag"]
    assert SCR.from_jwe(again.to_jwe(cipher_of(FILES)), cipher_of(FILES)).to_dict() == case["scr"]
    assert list(scr.to_dict()) == FILES["member_order"]


def test_a_changed_file_is_refused() -> None:
    case = FILES["node_scr"][0]
    encrypted = b64decode(case["cdata_base64"])
    for damaged in (encrypted[:-1], encrypted + b"x", bytes([encrypted[0] ^ 1]) + encrypted[1:], b""):
        with pytest.raises(DecryptionError):
            asyncio.run(_joined(SCR.from_dict(case["scr"]).decrypt(_pieces(damaged))))


@pytest.mark.parametrize("name", ["enc", "key", "iv", "aad", "loc", "tag"])
def test_an_incomplete_scr_is_refused(name: str) -> None:
    scr = dict(FILES["node_scr"][0]["scr"])
    for broken in (
        {k: v for k, v in scr.items() if k != name},
        {**scr, name: "AA"} if name not in ("aad", "loc") else {},
    ):
        with pytest.raises(DecryptionError):
            SCR.from_dict(broken)


# The key service


@pytest.mark.parametrize("pair", AGREED["pairs"], ids=lambda pair: pair["name"])
def test_agreement(pair: Any) -> None:
    for own, other in (("client_jwk", "server_jwk"), ("server_jwk", "client_jwk")):
        secret = jose.agree(_private(pair[own]), {k: v for k, v in pair[other].items() if k != "d"})
        assert base64url_encode(secret) == pair["derived_key"]
    assert jose.agreement_jwk(_private(pair["client_jwk"])) == {k: v for k, v in pair["client_jwk"].items() if k != "d"}


def _private(jwk: Any) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.derive_private_key(int.from_bytes(base64url_decode(jwk["d"]), "big"), ec.SECP256R1())


@pytest.mark.parametrize("case", STATIC["cases"], ids=lambda case: case["name"])
def test_static_keys(case: Any) -> None:
    roots = [b64decode(root) for root in case["caroots"] or ()]
    if case["result"]["valid"]:
        check_static_key(case["jwk"], roots)
    else:
        with pytest.raises(KMSIdentityError):
            check_static_key(case["jwk"], roots)


def test_negotiation() -> None:
    private = STATIC["rsa_private_jwk"]
    for name in ("request", "request_python"):
        assert msgspec.json.decode(jose.decrypt_with_rsa(ECDHE[name]["wrapped"], private)) == ECDHE[name]["body"]
    public = read_static_key(ECDHE["kms_details_http_body"]["rsaPublicKey"])
    assert public == ECDHE["static_public_key"]
    encrypted = jose.encrypt_for_rsa(b"{}", public)
    assert jose.header_of(encrypted) == ECDHE["request"]["protected_header"]
    assert jose.decrypt_with_rsa(encrypted, private) == b"{}"
    for name, token in ECDHE["response"].items():
        if isinstance(token, str):
            assert msgspec.json.decode(jose.verify(token, public)) == ECDHE["response"]["body"], name
    for alg in ("PS256", "RS256"):
        signed = jose.sign(b"{}", {**private, "kid": public["kid"]}, alg=alg)
        assert jose.verify(signed, public) == b"{}"
    with pytest.raises(BadTokenError):
        jose.verify(ECDHE["must_fail"]["tampered_response"], public)
    unsigned = base64url_encode(msgspec.json.encode({"alg": "none", "kid": public["kid"]}))
    with pytest.raises(BadTokenError):
        jose.verify(f"{unsigned}.{base64url_encode('{}')}.", public)


@pytest.mark.parametrize("message", MESSAGES["messages"], ids=lambda message: message["name"])
def test_messages_of_the_channel(message: Any) -> None:
    cipher = cipher_of(MESSAGES["ephemeral_key"])
    assert msgspec.json.decode(cipher.decrypt(message["request_wrapped"])) == message["request_body"]
    assert msgspec.json.decode(cipher.decrypt(message["response_wrapped"])) == message["response_body"]
    assert jose.header_of(message["request_wrapped"]) == message["request_header"]
    made = cipher.encrypt(b"{}", kid=MESSAGES["ephemeral_key"]["uri"])
    assert jose.header_of(made) == message["request_header"]


def test_errors_of_the_channel() -> None:
    cipher = cipher_of(MESSAGES["ephemeral_key"])
    for error in MESSAGES["errors"]:
        assert msgspec.json.decode(cipher.decrypt(error["wrapped"])) == error["body"]
    expired = MESSAGES["error_jws_expired_ephemeral_key"]
    assert msgspec.json.decode(jose.verify(expired["jws"], ECDHE["static_public_key"])) == expired["body"]


# Activities


def _opened(wire: Any, cipher: Cipher) -> tuple[Any, DecryptionError | None]:
    activity = msgspec.json.decode(msgspec.json.encode(wire))
    error = decrypt_activity(activity, dict.fromkeys(key_urls_of(activity), cipher))
    return activity, error


_ENCRYPTED = [row for row in ACTIVITIES["rows"] if key_url_of(row["wire"]) is not None and row.get("decrypted")]
# Where the JS SDK encrypts no cards, opens no inputs, or leaves a new title closed.
_OTHERWISE = {
    "update_title",
    "post_with_cards_outbound",
    "cardAction",
    "inbound with one bad field",
    "inbound message with a card",
    "POST conversations body",
}


@pytest.mark.parametrize(
    "row", [row for row in _ENCRYPTED if row["name"] not in _OTHERWISE], ids=lambda row: row["name"]
)
def test_activities_are_decrypted(row: Any) -> None:
    activity, error = _opened(row["wire"], cipher_of(ACTIVITIES))
    assert error is None
    wanted = row["decrypted"]
    for name in ("displayName", "content", "inputs"):
        assert activity["object"].get(name) == wanted["object"].get(name)
    files = (activity["object"].get("files") or {}).get("items") or []
    for ours, theirs in zip(files, (wanted["object"].get("files") or {}).get("items") or [], strict=True):
        assert ours["displayName"] == theirs["displayName"]
        assert ours["scr"].to_dict() == theirs["scr"]
        assert ours["image"]["scr"].to_dict() == theirs["image"]["scr"]


@pytest.mark.parametrize("row", [row for row in ACTIVITIES["rows"] if "plain" in row], ids=lambda row: row["name"])
def test_activities_are_encrypted_in_the_required_fields(row: Any) -> None:
    cipher = cipher_of(ACTIVITIES)
    encrypted = encrypt_activity(row["plain"], cipher, ACTIVITIES["key_uri"])
    if row["name"] in _OTHERWISE:
        return
    for name, value in row["wire"]["object"].items():
        if isinstance(value, str) and value.count(".") == 4:
            assert cipher.decrypt(encrypted["object"][name]) == cipher.decrypt(value)
        elif name not in ("files", "cards"):
            assert encrypted["object"][name] == value
    assert encrypted.get("encryptionKeyUrl") == row["wire"].get("encryptionKeyUrl")


def test_a_card_and_its_submission_are_decoded() -> None:
    cipher = cipher_of(ACTIVITIES)
    rows = {row["name"]: row for row in ACTIVITIES["rows"]}
    activity, error = _opened(rows["inbound message with a card"]["wire"], cipher)
    assert error is None
    assert activity["object"]["cards"][0]["type"] == "AdaptiveCard"
    activity, error = _opened(rows["cardAction"]["wire"], cipher)
    assert error is None
    assert activity["object"]["inputs"] == rows["cardAction"]["plain"]["object"]["inputs"]


def test_one_bad_field_is_removed_and_reported() -> None:
    row = next(row for row in ACTIVITIES["rows"] if row["name"] == "inbound with one bad field")
    activity, error = _opened(row["wire"], cipher_of(ACTIVITIES))
    assert isinstance(error, DecryptionError)
    for name, value in row["decrypted"]["object"].items():
        if value == "This message cannot be decrypted":
            assert name not in activity["object"]
        else:
            assert activity["object"][name] == value


def test_reactions() -> None:
    vector = load("reaction-hmac")
    assert reaction_hmac(vector["parent_id"], vector["displayName"], vector["jwk"]) == vector["hmac"]


# The catalog


def test_catalog() -> None:
    catalog = Catalog.from_hostmap(HOSTMAP["catalog_response"])
    for service, url in HOSTMAP["priority_url"].items():
        assert catalog.url_of(service) == url.rstrip("/")
    for url, cluster in HOSTMAP["cluster_id_of_url"].items():
        wanted = "us" if cluster is None or "us-east-2_a" in cluster else cluster.rpartition(":")[0]
        assert catalog.cluster_of(url) == wanted
    catalog.mark_failed(catalog.url_of("wdm"))
    assert catalog.url_of("wdm") == HOSTMAP["default_url"]["wdm"]
    catalog.mark_failed(catalog.url_of("wdm"))
    assert catalog.url_of("wdm") == HOSTMAP["priority_url"]["wdm"]


def test_email_hash() -> None:
    assert email_hash("ALICE@example.com") == email_hash("alice@example.com")
    assert len(email_hash("alice@example.com")) == 64
