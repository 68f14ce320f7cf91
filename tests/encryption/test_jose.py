"""What is no token, in which words, and which spelling of a key is agreed on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from webex.encryption import jose
from webex.encryption.jose import BadTokenError, Cipher
from webex.ids import base64url_decode, base64url_encode

KEY = Cipher(bytes(range(32)))


def head_of(length: int) -> str:
    """A header of `dir` and A256GCM with so many characters."""
    empty = json.dumps({"enc": "A256GCM", "alg": "dir", "x": ""})
    made = base64url_encode(json.dumps({"enc": "A256GCM", "alg": "dir", "x": "y" * (length * 3 // 4 - len(empty))}))
    assert len(made) == length
    return made


def encrypted_under(head: str) -> str:
    """A token with another header, genuine."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = bytes(12)
    content = AESGCM(bytes(range(32))).encrypt(nonce, b"text", head.encode())
    return f"{head}..{base64url_encode(nonce)}.{base64url_encode(content[:-16])}.{base64url_encode(content[-16:])}"


def test_header_is_read_up_to_its_limit() -> None:
    assert KEY.decrypt(encrypted_under(head_of(8 * 1024))) == b"text"
    longer = head_of(8 * 1024 + 4)
    with pytest.raises(BadTokenError, match=r"The header of the JWE has 8,196 characters"):
        KEY.decrypt(encrypted_under(longer))


def changed(place: int, text: str) -> str:
    parts = KEY.encrypt(b"text").split(".")
    parts[place] = text
    return ".".join(parts)


@pytest.mark.parametrize(
    ("token", "text"),
    [
        pytest.param(5, "is no compact JWE", id="number"),
        pytest.param(b"a.b.c.d.e", "is no compact JWE", id="bytes"),
        pytest.param("x" * (16 * 1024 * 1024 + 1), "is no compact JWE", id="endless"),
        pytest.param("a.b.c.d", "has five parts", id="four parts"),
        pytest.param("a.b.c.d.e.f", "has five parts", id="six parts"),
        pytest.param(changed(0, "%%%%"), "header of the JWE can't be read", id="no header"),
        pytest.param(changed(0, base64url_encode("[]")), "header of the JWE is no object", id="a list"),
        pytest.param(changed(0, base64url_encode('{"crit":["x"]}')), "asks for something unknown", id="critical"),
        pytest.param(changed(1, "AAAA"), "has the wrong length", id="a wrapped key"),
        pytest.param(changed(2, "AAAA"), "has the wrong length", id="a short nonce"),
        pytest.param(changed(4, "AAAA"), "has the wrong length", id="a short tag"),
        pytest.param(changed(3, "%"), "is no base64url", id="no content"),
        pytest.param(changed(3, "AAAA"), "was changed, or encrypted under another key", id="other content"),
        pytest.param(Cipher(bytes(32)).encrypt(b"x"), "encrypted under another key", id="another key"),
    ],
)
def test_token_of_another_key_or_format_is_refused(token: Any, text: str) -> None:
    with pytest.raises(BadTokenError, match=text):
        KEY.decrypt(token)


def test_content_is_encrypted_with_a_fresh_nonce() -> None:
    tokens = {KEY.encrypt(b"text") for _ in range(5)}
    assert len(tokens) == 5
    assert {KEY.decrypt(token) for token in tokens} == {b"text"}
    assert KEY.decrypt(KEY.encrypt(b"")) == b""
    named = KEY.encrypt(b"text", kid="kms://h/1")
    assert jose.header_of(named) == {"enc": "A256GCM", "alg": "dir", "kid": "kms://h/1"}
    assert KEY.decrypt(named) == b"text"
    for wrong in (31, 33):
        with pytest.raises(BadTokenError, match=f"has 32 bytes, not {wrong}"):
            Cipher(bytes(wrong))


def test_both_sides_agree_and_coordinates_have_32_bytes() -> None:
    for _ in range(300):  # one in 128 has a coordinate that begins with a zero
        ours, theirs = jose.new_agreement_key(), jose.new_agreement_key()
        public = jose.agreement_jwk(theirs)
        assert len(base64url_decode(public["x"])) == len(base64url_decode(public["y"])) == 32
        if public["x"].startswith("AA") or public["y"].startswith("AA"):
            break
    assert jose.agree(ours, public) == jose.agree(theirs, jose.agreement_jwk(ours))
    assert len(jose.agree(ours, public)) == 32


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"kty": "RSA"}, "not on the curve P-256"),
        ({"crv": "P-384"}, "not on the curve P-256"),
        ({"x": "AAAA"}, "public key can't be used"),
        ({"y": 5}, "public key can't be used"),
        ({"x": None}, "public key can't be used"),
    ],
    ids=str,
)
def test_key_of_another_curve_is_refused(change: dict[str, Any], text: str) -> None:
    public: dict[str, Any] = {**jose.agreement_jwk(jose.new_agreement_key()), **change}
    with pytest.raises(BadTokenError, match=text):
        jose.agree(jose.new_agreement_key(), {name: value for name, value in public.items() if value is not None})


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (5, "no compact JWS or JWE"),
        ("a.b", "no compact JWS or JWE"),
        ("%.b.c", "header can't be read"),
        ("W10.b.c", "is no object"),
    ],
)
def test_header_of_an_invalid_token_is_refused(token: Any, text: str) -> None:
    with pytest.raises(BadTokenError, match=text):
        jose.header_of(token)


@pytest.mark.parametrize("token", [5, "a.b", "a.b.c.d.e", "x" * 70_000], ids=["number", "two", "five", "endless"])
def test_signature_of_an_invalid_token_is_refused(token: Any) -> None:
    with pytest.raises(BadTokenError, match="is no compact JWS"):
        jose.verify(token, {})
    if isinstance(token, str):
        with pytest.raises(BadTokenError, match="is no compact JWS"):
            jose.verify_rs256(token, {})
