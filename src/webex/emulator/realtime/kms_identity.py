"""Who the key service is: an RSA key, and a certificate for it from an authority of its own. One a process.

Making an RSA key takes a moment, so it is made when it is first needed.
"""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from webex.emulator.tls import authority_certificate
from webex.ids import base64url_decode, base64url_encode

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
    from cryptography.x509 import Certificate

    from webex.emulator.realtime.faults import StaticKey

HOST: Final = "kms.emulator.wbx2.com"
CLUSTER: Final = f"kms://{HOST}"
_YEARS: Final = timedelta(days=3650)
_lock = threading.Lock()
_made: list[Identity] = []


@dataclass(frozen=True, slots=True)
class Identity:
    """The static key in both halves, and the root that vouches for it."""

    public_jwk: dict[str, Any]  # with the chain in `x5c`
    root_pem: bytes = field(repr=False)
    key: RSAPrivateKey = field(repr=False)

    # Written out here: a JOSE library would check the whole RSA key at each use, and that takes 30 ms.

    def decrypt(self, token: str) -> bytes:
        """Decrypt a compact JWE (`RSA-OAEP`, A256GCM) for this key; `BadTokenError` when it is none."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        from webex.encryption.jose import BadTokenError, header_of

        header = header_of(token)
        if (header.get("alg"), header.get("enc")) != ("RSA-OAEP", "A256GCM") or token.count(".") != 4:
            raise BadTokenError("It is not encrypted with RSA-OAEP and A256GCM.")
        head, *parts = token.split(".")
        try:
            wrapped, iv, encrypted, tag = (base64url_decode(part) for part in parts)
            sha1 = hashes.SHA1()  # noqa: S303 - RFC 7518 §4.3: that is what RSA-OAEP means
            oaep = padding.OAEP(padding.MGF1(sha1), sha1, None)
            return AESGCM(self.key.decrypt(wrapped, oaep)).decrypt(iv, encrypted + tag, head.encode())
        except (ValueError, InvalidTag):
            raise BadTokenError("It can't be opened with the static key.") from None

    def sign(self, data: bytes, algorithm: str) -> str:
        """Sign as a compact JWS: `PS256` or `RS256`."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        sha256 = hashes.SHA256()
        pss = padding.PSS(padding.MGF1(sha256), sha256.digest_size)
        head = json.dumps({"alg": algorithm, "kid": CLUSTER}, separators=(",", ":"))
        text = f"{base64url_encode(head)}.{base64url_encode(data)}"
        scheme = pss if algorithm == "PS256" else padding.PKCS1v15()
        return f"{text}.{base64url_encode(self.key.sign(text.encode(), scheme, sha256))}"


def identity() -> Identity:
    """Return the identity of this process; the first call takes a moment."""
    with _lock:
        if not _made:
            _made.append(_make())
        return _made[0]


def static_key(right: dict[str, Any], how: StaticKey) -> dict[str, Any]:
    """Return the static key, as it is or so that a client has to refuse it."""
    if how == "no_chain":
        return {name: value for name, value in right.items() if name != "x5c"}
    if how == "wrong_host":
        return {**right, "kid": "kms://kms-elsewhere.wbx2.com"}
    if how == "wrong_modulus":
        number = int.from_bytes(base64url_decode(right["n"]), "big")
        return {**right, "n": _number(number ^ 0b100)}
    return right


def is_made() -> bool:
    """Whether `identity` gives it at once."""
    return bool(_made)


def _make() -> Identity:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding

    root_key = ec.generate_private_key(ec.SECP256R1())
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    root = authority_certificate(root_key, "Webex emulator KMS authority")
    leaf = _leaf(key.public_key(), root, root_key)
    numbers = key.public_key().public_numbers()
    public = {"kty": "RSA", "kid": CLUSTER, "n": _number(numbers.n), "e": _number(numbers.e)}
    chain = [b64encode(certificate.public_bytes(Encoding.DER)).decode() for certificate in (leaf, root)]
    return Identity({**public, "x5c": chain}, root.public_bytes(Encoding.PEM), key)


def _leaf(public: RSAPublicKey, root: Certificate, root_key: EllipticCurvePrivateKey) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]))
        .issuer_name(root.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _YEARS)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(root_key, hashes.SHA256())
    )


def _number(value: int) -> str:
    return base64url_encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))
