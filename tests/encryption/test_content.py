"""Which fields of which activity are encrypted, under which key, and what stays when one cannot be decrypted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest

from webex.encryption.content import decrypt_activity, encrypt_activity, key_url_of, key_urls_of, reaction_hmac
from webex.encryption.jose import Cipher
from webex.encryption.scr import SCR
from webex.errors import DecryptionError, EncryptionError

URL, OWN, OTHER = "kms://kms.example.com/keys/1", "kms://kms.example.com/keys/2", "kms://kms.example.com/keys/3"
ONE, TWO = Cipher(b"1" * 32), Cipher(b"2" * 32)


def encrypted(text: str, cipher: Cipher = ONE) -> str:
    return cipher.encrypt(text.encode())


def scr(tag: bytes = b"t" * 16) -> SCR:
    return SCR(b"k" * 32, b"i" * 12, "2024-01-01T00:00:00.000Z", "https://files.example.com/1", tag)


@pytest.mark.parametrize(
    ("activity", "url"),
    [
        ({"encryptionKeyUrl": URL, "object": {"encryptionKeyUrl": OWN}}, URL),
        ({"object": {"encryptionKeyUrl": URL}, "target": {"encryptionKeyUrl": OWN}}, URL),
        ({"target": {"encryptionKeyUrl": URL}}, URL),
        ({"encryptionKeyUrl": "", "object": {"encryptionKeyUrl": 5}, "target": {"encryptionKeyUrl": URL}}, URL),
        ({"encryptionKeyUrl": 5, "object": "text", "target": None}, None),
        ({}, None),
    ],
    ids=["activity", "object", "target", "past wrong ones", "wrong ones", "none"],
)
def test_key_of_an_activity(activity: dict[str, Any], url: str | None) -> None:
    assert key_url_of(activity) == url
    assert key_urls_of(activity) == ([] if url is None else [url])


def test_keys_of_files_are_requested_once() -> None:
    items: list[Any] = [{"encryptionKeyUrl": each} for each in (OWN, URL, OWN, "", 5, OTHER)]
    files = {"items": [*items, "text", {}]}
    assert key_urls_of({"encryptionKeyUrl": URL, "object": {"files": files}}) == [URL, OWN, OTHER]
    assert key_urls_of({"object": {"files": {"items": "text"}}}) == []


TEXTS = {
    "comment": ("displayName", "content"),
    "content": ("displayName", "content"),
    "file": ("displayName", "content"),
    "conversation": ("displayName", "content", "previous", "previousValue"),
    "reaction2": ("displayName",),
    "reaction2Summary": ("displayName",),
    "event": ("displayName",),
    "meetingContainer": ("displayName",),
    "submit": (),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_of_each_kind_are_decrypted(kind: str) -> None:
    fields = ("displayName", "content", "previous", "previousValue", "summary")
    activity = {"encryptionKeyUrl": URL, "object": {"objectType": kind, **{name: encrypted(name) for name in fields}}}
    before = deepcopy(activity)
    assert decrypt_activity(activity, {URL: ONE}) is None
    for name in fields:
        expected = name if name in TEXTS[kind] else before["object"][name]  # type: ignore[index]  # a dict
        assert activity["object"][name] == expected  # type: ignore[index]  # a dict


@pytest.mark.parametrize("kind", ["person", None, 5])
def test_fields_of_unknown_objects_are_decrypted_if_encrypted(kind: Any) -> None:
    activity: dict[str, Any] = {
        "encryptionKeyUrl": URL,
        "object": {"objectType": kind, "displayName": "Alice", "content": encrypted("text")},
    }
    assert decrypt_activity(activity, {URL: ONE}) is None
    assert activity["object"] == {"objectType": kind, "displayName": "Alice", "content": "text"}


def test_stale_title_of_the_room_is_removed() -> None:
    def opened(title: Any) -> Any:
        activity = {
            "encryptionKeyUrl": URL,
            "object": {"objectType": "comment"},
            "target": {"displayName": title, "id": "x"},
        }
        assert decrypt_activity(activity, {URL: ONE}) is None
        return activity["target"]

    assert opened(encrypted("title", TWO)) == {"id": "x"}
    for plain in ("title", "eyJ", "a.b.c.d.e", 5):
        assert opened(plain) == {"displayName": plain, "id": "x"}


def test_activity_without_a_key_or_an_object_is_unchanged() -> None:
    for activity in ({"object": {"displayName": encrypted("x")}}, {"encryptionKeyUrl": URL, "object": "text"}):
        before = deepcopy(activity)
        assert decrypt_activity(activity, {URL: ONE}) is None
        assert activity == before


def content_activity() -> dict[str, Any]:
    return {
        "encryptionKeyUrl": URL,
        "object": {
            "objectType": "content",
            "displayName": encrypted("text"),
            "files": {
                "items": [
                    {"displayName": encrypted("one"), "content": encrypted("c"), "scr": scr().to_jwe(ONE)},
                    {
                        "displayName": encrypted("two", TWO),
                        "encryptionKeyUrl": OWN,
                        "scr": scr().to_jwe(TWO),
                        "image": {"scr": scr(b"u" * 16).to_jwe(TWO)},
                    },
                    {"displayName": "", "encryptionKeyUrl": ""},
                ]
            },
            "links": {
                "items": [{"displayName": encrypted("link"), "sslr": encrypted("s")}, {"url": "https://x.example.com"}]
            },
        },
    }


def test_files_are_decrypted_with_their_own_keys() -> None:
    activity = content_activity()
    assert decrypt_activity(activity, {URL: ONE, OWN: TWO}) is None
    one, two, three = activity["object"]["files"]["items"]
    assert (one["displayName"], one["content"], two["displayName"]) == ("one", "c", "two")
    assert one["scr"].to_dict() == two["scr"].to_dict() == scr().to_dict()
    assert two["image"]["scr"].tag == b"u" * 16
    assert three == {"displayName": "", "encryptionKeyUrl": ""}
    assert activity["object"]["links"]["items"] == [
        {"displayName": "link", "sslr": "s"},
        {"url": "https://x.example.com"},
    ]


def test_fields_without_a_key_are_removed_and_the_rest_decrypted() -> None:
    refused = DecryptionError("refused")
    for missing in ({URL: ONE, OWN: refused}, {URL: ONE}):
        activity = content_activity()
        error = decrypt_activity(activity, missing)
        assert error is refused if OWN in missing else "not at hand" in str(error)
        one, two, _ = activity["object"]["files"]["items"]
        assert (activity["object"]["displayName"], one["displayName"]) == ("text", "one")
        assert two == {"encryptionKeyUrl": OWN, "image": {}}
    nothing = content_activity()
    error = decrypt_activity(nothing, {URL: refused, OWN: DecryptionError("later")})
    assert error is refused  # the first one
    assert "displayName" not in nothing["object"]


@pytest.mark.parametrize(
    ("damaged", "text"),
    [("no token", "A part of the message can't be opened"), (encrypted("x", TWO), "can't be opened")],
    ids=["no token", "another key"],
)
def test_damaged_text_is_removed_and_reported(damaged: str, text: str) -> None:
    activity = {
        "encryptionKeyUrl": URL,
        "object": {"objectType": "comment", "displayName": damaged, "content": encrypted("c")},
    }
    error = decrypt_activity(activity, {URL: ONE})
    assert text in str(error)
    assert activity["object"] == {"objectType": "comment", "content": "c"}


def test_cards_and_inputs_are_json() -> None:
    card = {"type": "AdaptiveCard", "body": ["é"]}
    activity: dict[str, Any] = {
        "encryptionKeyUrl": URL,
        "object": {
            "objectType": "comment",
            "cards": [encrypted(json.dumps(card)), encrypted("{"), encrypted("x", TWO)],
        },
    }
    error = decrypt_activity(activity, {URL: ONE})
    assert activity["object"]["cards"] == [card]
    assert "holds no JSON" in str(error)
    odd: dict[str, Any] = {"encryptionKeyUrl": URL, "object": {"objectType": "comment", "cards": "text"}}
    assert decrypt_activity(odd, {URL: ONE}) is None
    assert odd["object"]["cards"] == []
    for text, inputs in (('{"a": 1}', {"a": 1}), ("[1]", None), ("{", None)):
        submit: dict[str, Any] = {
            "encryptionKeyUrl": URL,
            "object": {"objectType": "submit", "inputs": encrypted(text)},
        }
        decrypt_activity(submit, {URL: ONE})
        assert submit["object"].get("inputs") == inputs


@pytest.mark.parametrize("verb", ["post", "share", "update", "assign", "cardAction", "add", "create", "leave"])
def test_activity_has_a_key_url_where_the_verb_requires_it(verb: str) -> None:
    activity = {"verb": verb, "object": {"objectType": "comment", "displayName": "text"}}
    before = deepcopy(activity)
    made = encrypt_activity(activity, ONE, URL)
    assert activity == before  # a copy
    assert made.get("encryptionKeyUrl") == (None if verb in ("create", "leave") else URL)
    assert ONE.decrypt(made["object"]["displayName"]) == b"text"


def test_title_activity_has_the_key_url_in_its_object() -> None:
    titled = {"verb": "update", "object": {"objectType": "conversation", "displayName": "title", "previous": "p"}}
    made = encrypt_activity(titled, ONE, URL)["object"]
    assert (made["encryptionKeyUrl"], made["previous"]) == (URL, "p")
    assert ONE.decrypt(made["displayName"]) == b"title"
    untitled = {"verb": "update", "object": {"objectType": "conversation", "tags": []}}
    assert "encryptionKeyUrl" not in encrypt_activity(untitled, ONE, URL)["object"]


@pytest.mark.parametrize("content", ["text", {}, {"objectType": "person", "displayName": "Alice"}], ids=str)
def test_other_object_is_sent_unchanged(content: Any) -> None:
    activity = {"verb": "post", "object": content}
    assert encrypt_activity(activity, ONE, URL) is activity


def test_encrypted_activity_round_trips() -> None:
    described = {"displayName": "a.txt", "scr": scr(), "image": {"scr": scr().to_dict(), "width": 5}}
    activity = {
        "verb": "share",
        "object": {
            "objectType": "content",
            "displayName": "text",
            "content": 5,
            "files": {"items": [described, {"url": "https://x.example.com"}], "more": 1},
        },
    }
    made = encrypt_activity(activity, ONE, URL)
    items = made["object"]["files"]["items"]
    assert [item["objectType"] for item in items] == ["file", "file"]
    assert all(isinstance(text, str) for text in (items[0]["scr"], items[0]["image"]["scr"], items[0]["displayName"]))
    assert (items[0]["image"]["width"], made["object"]["files"]["more"]) == (5, 1)
    assert decrypt_activity(made, {URL: ONE}) is None
    assert (made["object"]["displayName"], made["object"]["content"]) == ("text", "5")
    assert made["object"]["files"]["items"][0]["scr"].to_dict() == scr().to_dict()
    submit = {"verb": "cardAction", "object": {"objectType": "submit", "inputs": {}, "displayName": "plain"}}
    answer = encrypt_activity(submit, ONE, URL)
    assert answer["object"]["displayName"] == "plain"
    assert decrypt_activity(answer, {URL: ONE}) is None
    assert answer["object"]["inputs"] == {}
    card = {"verb": "post", "object": {"objectType": "comment", "cards": [{"a": 1}], "inputs": {"b": 2}}}
    with_card = encrypt_activity(card, ONE, URL)
    assert with_card["object"]["inputs"] == {"b": 2}
    assert decrypt_activity(with_card, {URL: ONE}) is None
    assert with_card["object"]["cards"] == [{"a": 1}]


def test_proof_of_a_reaction_is_keyed_by_the_message() -> None:
    import hashlib
    import hmac

    jwk = {"kty": "oct", "kid": URL, "k": "AAAA", "alg": "ignored"}
    text = f'{{"k":"AAAA","kid":"{URL}","kty":"oct"}}'
    expected = hmac.new(b"message", f"{text}messagethumbsup".encode(), hashlib.sha256).hexdigest()
    assert reaction_hmac("message", "thumbsup", jwk) == expected


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def joined(parts: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in parts])


def test_file_is_encrypted_with_its_own_key() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from webex.ids import base64url_decode

    made = SCR.new()
    with pytest.raises(EncryptionError, match="has to be uploaded"):
        made.to_dict()
    content = asyncio.run(joined(made.encrypt(pieces(b"a" * 1000, b"", b"b"))))
    assert len(content) == 1001
    with pytest.raises(EncryptionError):
        made.to_dict()
    made.loc = "https://files.example.com/1"
    plain = made.to_dict()
    assert list(plain) == ["enc", "key", "iv", "aad", "loc", "tag"]
    key, nonce, tag = (base64url_decode(plain[name]) for name in ("key", "iv", "tag"))
    assert (len(key), len(nonce), len(tag)) == (32, 12, 16)
    assert AESGCM(key).decrypt(nonce, content + tag, plain["aad"].encode()) == b"a" * 1000 + b"b"
    assert plain["aad"].endswith("Z")
    assert len({SCR.new()._key for _ in range(5)}) == 5
    again = SCR.from_dict(plain)
    assert asyncio.run(joined(again.decrypt(pieces(content[:7], content[7:])))) == b"a" * 1000 + b"b"


def test_file_of_one_byte_is_complete_and_an_empty_one_is_not() -> None:
    made = SCR.new()
    content = asyncio.run(joined(made.encrypt(pieces(b"x"))))
    assert asyncio.run(joined(made.decrypt(pieces(content)))) == b"x"
    for came in ((), (b"",)):
        with pytest.raises(DecryptionError, match="came empty"):
            asyncio.run(joined(made.decrypt(pieces(*came))))
    with pytest.raises(DecryptionError, match="was changed on its way"):
        asyncio.run(joined(made.decrypt(pieces(b"y"))))
    with pytest.raises(DecryptionError, match="has no tag"):
        asyncio.run(joined(SCR.new().decrypt(pieces(b"x"))))


@pytest.mark.parametrize(
    "token", ["no token", encrypted("{"), encrypted("[]"), encrypted("{}"), scr().to_jwe(TWO)], ids=range(5)
)
def test_description_of_a_file_that_cannot_be_read_is_refused(token: str) -> None:
    with pytest.raises(DecryptionError, match="description of an encrypted file"):
        SCR.from_jwe(token, ONE)
