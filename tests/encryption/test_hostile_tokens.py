"""Encrypted values that were made to hurt: each is refused with a typed error, and quickly."""

from __future__ import annotations

import json
import os
import tracemalloc
import zlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from webex.encryption.content import decrypt_activity, encrypt_activity
from webex.encryption.jose import BadTokenError, Cipher
from webex.errors import ConfigurationError, DecryptionError
from webex.ids import base64url_encode

KEY = bytes(range(32))
URL = "kms://kms.example.com/keys/1"


def encrypted(plain: bytes, **header: Any) -> str:
    """A token under `KEY` whose header and content are the test's."""
    head = base64url_encode(json.dumps({"alg": "dir", "enc": "A256GCM", **header}).encode())
    iv = os.urandom(12)
    data = AESGCM(KEY).encrypt(iv, plain, head.encode())
    return f"{head}..{base64url_encode(iv)}.{base64url_encode(data[:-16])}.{base64url_encode(data[-16:])}"


def deflated(plain: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(plain) + packer.flush()


HOSTILE: dict[str, str] = {
    "no deflate": encrypted(b"\xff\xff this is no deflate \xff", zip="DEF"),
    "deflate that grows a thousandfold": encrypted(deflated(b"x" * 50_000_000), zip="DEF"),
    "unknown compression": encrypted(b"text", zip="BZ2"),
    "compression that is a number": encrypted(b"text", zip=7),
    "critical header": encrypted(b"text", crit=["exp"], exp=1),
    "header of 5 MB": encrypted(b"text", kid="k" * 5_000_000),
    "header of 5 MB of nothing": "A" * 5_000_000 + "....",
    "300,000 empty parts": "." * 300_000,
    "empty": "....",
    "header that is a list": base64url_encode(b"[]") + "..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA",
    "header without end": base64url_encode(b"[" * 3000) + "..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA",
    "wrong algorithm": encrypted(b"text", alg="none"),
    "PBES2 with a billion rounds": encrypted(b"text", alg="PBES2-HS256+A128KW", p2c=10**9, p2s="AAAA"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_token_is_refused(what: str) -> None:
    with pytest.raises(BadTokenError):
        Cipher(KEY).decrypt(HOSTILE[what])


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_field_does_not_affect_the_others(what: str) -> None:
    fine = Cipher(KEY).encrypt(b"fine")
    activity = {
        "encryptionKeyUrl": URL,
        "object": {"objectType": "comment", "displayName": HOSTILE[what], "content": fine},
    }
    failure = decrypt_activity(activity, {URL: Cipher(KEY)})
    assert isinstance(failure, DecryptionError)
    assert "displayName" not in activity["object"]
    assert activity["object"]["content"] == "fine"  # type: ignore[index]  # a mapping


def test_compressed_token_is_still_decrypted() -> None:
    assert Cipher(KEY).decrypt(encrypted(deflated(b"packed"), zip="DEF")) == b"packed"


def test_large_headers_are_not_cached() -> None:
    cipher = Cipher(KEY)
    tracemalloc.start()
    try:
        for number in range(20):
            with pytest.raises(BadTokenError):
                cipher.decrypt(f"{number}{'A' * 1_000_000}....")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


@pytest.mark.parametrize(
    "content", [{"displayName": "half \ud83d"}, {"cards": [{"text": "\ud83d"}]}], ids=["text", "card"]
)
def test_lone_surrogate_is_refused_before_encryption(content: dict[str, Any]) -> None:
    activity = {"verb": "post", "object": {"objectType": "comment", **content}}
    with pytest.raises(ConfigurationError, match="lone surrogate"):
        encrypt_activity(activity, Cipher(KEY), URL)


def test_surrogate_pair_is_joined_before_encryption() -> None:
    activity = {"verb": "post", "object": {"objectType": "comment", "displayName": "\ud83d\ude00"}}
    opened = encrypt_activity(activity, Cipher(KEY), URL)
    assert decrypt_activity(opened, {URL: Cipher(KEY)}) is None
    assert opened["object"]["displayName"] == "\U0001f600"
