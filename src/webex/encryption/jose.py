"""Read and write JOSE: content (`dir`, A256GCM), the KMS channel (RSA-OAEP, PS256, ECDH), ID tokens (RS256).

Content goes through `Cipher`, which calls AES-GCM directly: it is the one hot path. Everything else is rare, and is
left to joserfc, loaded on first use. No error's text holds any of the content.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from os import urandom
from typing import TYPE_CHECKING, Any, Final

from webex.ids import base64url_decode, base64url_encode

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_LONGEST: Final = 64 * 1024
_LONGEST_HEAD: Final = 8 * 1024
_LONGEST_CONTENT: Final = 16 * 1024 * 1024
CONTENT_HEADER: Final = "eyJlbmMiOiJBMjU2R0NNIiwiYWxnIjoiZGlyIn0"  # {"enc":"A256GCM","alg":"dir"}
KEY_BYTES: Final = 32
_IV_BYTES: Final = 12
_TAG_BYTES: Final = 16
_IV_CHARS: Final = 16  # of base64url without padding
_TAG_CHARS: Final = 22


class BadTokenError(Exception):
    """A JWT, JWS or JWE that can't be read, or is not genuine; the text holds none of it."""


class UnknownKeyError(BadTokenError):
    """It is signed with a key that is not in the set."""


class Cipher:
    """Encrypt and decrypt compact JWEs (`dir`, A256GCM) with one symmetric key of 256 bits."""

    __slots__ = ("_gcm_decrypt", "_gcm_encrypt", "_key", "kid")

    def __init__(self, key: bytes, kid: str | None = None) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if len(key) != KEY_BYTES:
            raise BadTokenError(f"A content key has {KEY_BYTES} bytes, not {len(key)}.")
        gcm = AESGCM(key)
        self._gcm_decrypt, self._gcm_encrypt = gcm.decrypt, gcm.encrypt
        self._key = key
        self.kid: str | None = kid  # its name in the JWK that it came in

    def __repr__(self) -> str:
        return "<Cipher>"

    def jwk(self, kid: str) -> dict[str, str]:
        """Return the key as a JWK, in the clear; `kid` names one that came without a name."""
        return {"k": base64url_encode(self._key), "kid": self.kid or kid, "kty": "oct"}

    def decrypt(self, token: str) -> bytes:
        """Decrypt a compact JWE; `BadTokenError` when it is cut short, changed, or under another key.

        Any order of the header is read, a `kid` is ignored, `A256KW` and `zip: DEF` are understood.
        """
        from cryptography.exceptions import InvalidTag

        if not isinstance(token, str) or len(token) > _LONGEST_CONTENT:
            raise BadTokenError("It is no compact JWE.")
        if token.count(".") != 4:
            raise BadTokenError("It is no compact JWE: that has five parts.")
        head, wrapped_key, iv, encrypted, tag = token.split(".")
        if len(head) > _LONGEST_HEAD:
            raise BadTokenError(f"The header of the JWE has {len(head):,} characters.")
        if head != CONTENT_HEADER and not _is_plain_dir(head):
            return self._decrypt_otherwise(token)
        if wrapped_key or len(iv) != _IV_CHARS or len(tag) != _TAG_CHARS:
            raise BadTokenError("A part of the JWE has the wrong length.")
        try:
            # Nonce and tag have a known length, and so the text between them: one call decodes the first two.
            start = base64url_decode(iv + encrypted)
            return self._gcm_decrypt(start[:_IV_BYTES], start[_IV_BYTES:] + base64url_decode(tag), head.encode("ascii"))
        except InvalidTag:
            raise BadTokenError("The JWE was changed, or encrypted under another key.") from None
        except ValueError:
            raise BadTokenError("A part of the JWE is no base64url.") from None

    def encrypt(self, data: bytes, *, kid: str | None = None, iv: bytes | None = None) -> str:
        """Return a compact JWE of these bytes, under a fresh random nonce; `iv` only for test vectors."""
        head = CONTENT_HEADER if kid is None else _kid_head(kid)
        nonce = iv if iv is not None else urandom(_IV_BYTES)
        encrypted = self._gcm_encrypt(nonce, data, head.encode("ascii"))
        return (
            f"{head}..{base64url_encode(nonce)}."
            f"{base64url_encode(encrypted[:-_TAG_BYTES])}.{base64url_encode(encrypted[-_TAG_BYTES:])}"
        )

    def _decrypt_otherwise(self, token: str) -> bytes:
        from joserfc.jwk import OctKey

        return _decrypt_jwe(token, OctKey.import_key(self._key), ["dir", "A256KW", "A256GCM", "DEF"])


def encrypt_for_rsa(data: bytes, public_jwk: Mapping[str, Any]) -> str:
    """Return a compact JWE (`RSA-OAEP`, A256GCM) that only the holder of this RSA key can decrypt."""
    from joserfc import jwe
    from joserfc.jwk import RSAKey

    header = {"enc": "A256GCM", "alg": "RSA-OAEP", "kid": public_jwk["kid"]}
    with _typed("The RSA key can't be used"):
        key = RSAKey.import_key({name: public_jwk[name] for name in ("kty", "n", "e")})
        return jwe.encrypt_compact(header, data, key, algorithms=["RSA-OAEP", "A256GCM"])


def decrypt_with_rsa(token: str, private_jwk: Mapping[str, Any]) -> bytes:
    """Decrypt what `encrypt_for_rsa` made."""
    from joserfc.jwk import RSAKey

    with _typed("The RSA key can't be used"):
        key = RSAKey.import_key({name: value for name, value in private_jwk.items() if name not in ("kid", "x5c")})
    return _decrypt_jwe(token, key, ["RSA-OAEP", "A256GCM"])


def sign(data: bytes, private_jwk: Mapping[str, Any], *, alg: str = "PS256") -> str:
    """Return a compact JWS made with the RSA key, whose `kid` goes into the header."""
    from joserfc import jws
    from joserfc.jwk import RSAKey

    with _typed("The RSA key can't be used"):
        key = RSAKey.import_key({name: value for name, value in private_jwk.items() if name not in ("kid", "x5c")})
        return jws.serialize_compact({"alg": alg, "kid": private_jwk["kid"]}, data, key, algorithms=[alg])


def verify(token: str, public_jwk: Mapping[str, Any]) -> bytes:
    """Return the payload of a compact JWS (PS256 or RS256) whose `kid` and signature are this RSA key's."""
    from joserfc import jws
    from joserfc.jwk import RSAKey

    if not isinstance(token, str) or len(token) > _LONGEST or token.count(".") != 2:
        raise BadTokenError("It is no compact JWS.")
    with _typed("Its signature could not be verified"):
        key = RSAKey.import_key({name: public_jwk[name] for name in ("kty", "n", "e")})
        signed = jws.deserialize_compact(token, key, algorithms=["PS256", "RS256"])
        if signed.headers().get("kid") != public_jwk["kid"]:
            raise UnknownKeyError("It is signed with another key.")
        return bytes(signed.payload)


def new_agreement_key() -> EllipticCurvePrivateKey:
    """Make a P-256 key for one key agreement; never use it twice."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def agreement_jwk(key: EllipticCurvePrivateKey) -> dict[str, str]:
    """Return its public half."""
    numbers = key.public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": base64url_encode(numbers.x.to_bytes(32, "big")),
        "y": base64url_encode(numbers.y.to_bytes(32, "big")),
    }


def agree(key: EllipticCurvePrivateKey, peer: Mapping[str, Any]) -> bytes:
    """Return the shared key of 256 bits: ECDH on P-256, then HKDF-SHA-256 without salt and info; zeros are kept."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    with _typed("The other side's public key can't be used"):
        if peer.get("kty") != "EC" or peer.get("crv") != "P-256":
            raise BadTokenError("The other side's key is not on the curve P-256.")
        x, y = (int.from_bytes(base64url_decode(peer[name]), "big") for name in ("x", "y"))
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        secret = key.exchange(ec.ECDH(), public)
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=b"").derive(secret)


def header_of(token: str) -> dict[str, Any]:
    """Return the protected header of a compact JWS or JWE: a claim of the sender, not proven."""
    if not isinstance(token, str) or token.count(".") not in (2, 4):
        raise BadTokenError("It is no compact JWS or JWE.")
    with _typed("Its header can't be read"):
        header = json.loads(base64url_decode(token.partition(".")[0]))
    if not isinstance(header, dict):
        raise BadTokenError("Its header is no object.")
    return header


def verify_rs256(token: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims of a JWT with an RS256 signature of a key of the JWKS; no other algorithm (RFC 8725 §3.1).

    The claims are not validated here. Raises `UnknownKeyError` when no key has its `kid`, `BadTokenError` otherwise.
    """
    from joserfc import jws, jwt
    from joserfc.jwk import KeySet

    if len(token) > _LONGEST or token.count(".") != 2:
        raise BadTokenError("It is no compact JWS.")
    with _typed("Its signature could not be verified"):
        header = jws.extract_compact(token.encode()).headers()
        if header.get("alg") != "RS256":
            raise BadTokenError("It is not signed with RS256.")
        usable = [
            key
            for key in keys.get("keys", [])
            if isinstance(key, dict) and key.get("kty") == "RSA" and key.get("use", "sig") == "sig"
        ]
        if "kid" in header and all(key.get("kid") != header["kid"] for key in usable):
            raise UnknownKeyError("It is signed with a key that the key set does not have.")
        key_set = KeySet.import_key_set({"keys": [{k: v for k, v in key.items() if k != "alg"} for key in usable]})
        return dict(jwt.decode(token, key_set, algorithms=["RS256"]).claims)


@lru_cache(maxsize=64)
def _is_plain_dir(head: str) -> bool:
    """Return whether a header says `dir` and A256GCM and nothing that would change how the content is read."""
    try:
        header = json.loads(base64url_decode(head))
    except (ValueError, RecursionError):
        raise BadTokenError("The header of the JWE can't be read.") from None
    if not isinstance(header, dict):
        raise BadTokenError("The header of the JWE is no object.")
    if "crit" in header:
        raise BadTokenError("The header of the JWE asks for something unknown.")
    return header.get("alg") == "dir" and header.get("enc") == "A256GCM" and "zip" not in header


@lru_cache(maxsize=256)
def _kid_head(kid: str) -> str:
    return base64url_encode(json.dumps({"enc": "A256GCM", "alg": "dir", "kid": kid}, separators=(",", ":")).encode())


def _decrypt_jwe(token: str, key: Any, algorithms: list[str]) -> bytes:
    from joserfc import jwe

    with _typed("The JWE could not be opened"):
        plain = jwe.decrypt_compact(token, key, algorithms=algorithms).plaintext
    if plain is None:
        raise BadTokenError("The JWE is empty.")
    return plain


class _typed:  # reads as a statement: with _typed("…")
    """Turn whatever the libraries raise over bad input into `BadTokenError`, whose text holds none of it."""

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, BadTokenError):
            return
        raise BadTokenError(f"{self._what} ({type(error).__name__}).") from None
