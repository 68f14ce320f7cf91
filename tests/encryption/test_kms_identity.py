"""The chain of a key service: which certificates vouch for its key, and which do not."""

from __future__ import annotations

import functools
import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from webex.encryption.kms_identity import check_static_key, load_certificate, read_static_key
from webex.errors import KMSIdentityError
from webex.ids import base64url_encode

HOST = "kms.example.com"
DAY = timedelta(days=1)


@functools.cache
def key(name: str) -> Any:
    """One private key for each name; making RSA keys is slow."""
    if name.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=1024 if name == "short" else 2048)


def certificate(
    name: str,
    by: str,
    *,
    ca: bool | None = True,
    days: tuple[int, int] = (-1, 1),
    host: str | None = None,
    own: str | None = None,
) -> x509.Certificate:
    """`own` names the key, else `name` does; `days` from now are the validity; `ca=None` leaves the flag out."""

    def called(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(called(name))
        .issuer_name(called(by))
        .public_key(key(own or name).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * DAY)
        .not_valid_after(now + days[1] * DAY)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if host is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return builder.sign(key(by), hashes.SHA256())


def jwk(*chain: x509.Certificate, own: str = "leaf", **changes: Any) -> dict[str, Any]:
    numbers = key(own).public_key().public_numbers()
    made = {
        "kty": "RSA",
        "kid": f"kms://{HOST}/keys/1",
        "n": base64url_encode(numbers.n.to_bytes(256, "big").lstrip(b"\0")),
        "e": base64url_encode(numbers.e.to_bytes(3, "big")),
        "x5c": [b64encode(each.public_bytes(Encoding.DER)).decode() for each in chain],
    }
    return {name: value for name, value in {**made, **changes}.items() if value is not None}


def der(each: x509.Certificate) -> bytes:
    return each.public_bytes(Encoding.DER)


ROOT = certificate("root", "root")
MIDDLE = certificate("middle", "root")
LOWER = certificate("lower", "middle")
LEAF = functools.partial(certificate, "leaf", ca=False, host=HOST)

ACCEPTED: dict[str, Callable[[], list[x509.Certificate]]] = {
    "signed by the root": lambda: [LEAF("root")],
    "through one authority": lambda: [LEAF("middle"), MIDDLE],
    "through two": lambda: [LEAF("lower"), LOWER, MIDDLE],
    "in another order": lambda: [LEAF("lower"), MIDDLE, LOWER],
    "with the root": lambda: [LEAF("middle"), MIDDLE, ROOT],
    "with one that is not needed": lambda: [LEAF("root"), certificate("other", "other")],
}
REFUSED: dict[str, tuple[Callable[[], list[x509.Certificate]], str]] = {
    "an authority without the flag": (lambda: [LEAF("middle"), certificate("middle", "root", ca=None)], "do not lead"),
    "no authority": (lambda: [LEAF("middle"), certificate("middle", "root", ca=False)], "do not lead"),
    "another root": (lambda: [LEAF("other"), certificate("other", "other")], "do not lead"),
    "a missing authority": (lambda: [LEAF("lower"), LOWER], "do not lead"),
    "an authority of the same name": (
        lambda: [LEAF("middle"), certificate("middle", "root", own="false middle")],
        "do not lead",
    ),
    "a circle": (lambda: [LEAF("one"), certificate("one", "two"), certificate("two", "one")], "do not lead"),
    "ended": (lambda: [LEAF("root", days=(-2, -1))], "not valid today"),
    "not begun": (lambda: [LEAF("root", days=(1, 2))], "not valid today"),
    "an authority that ended": (
        lambda: [LEAF("middle"), certificate("middle", "root", days=(-2, -1))],
        "not valid today",
    ),
}


@pytest.mark.parametrize("chain", ACCEPTED.values(), ids=ACCEPTED)
def test_chain_to_a_root_is_accepted(chain: Callable[[], list[x509.Certificate]]) -> None:
    for roots in ([der(ROOT)], [der(certificate("other", "other")), ROOT.public_bytes(Encoding.PEM)]):
        check_static_key(jwk(*chain()), roots)


@pytest.mark.parametrize(("chain", "text"), REFUSED.values(), ids=REFUSED)
def test_other_chain_is_refused_where_roots_are_given(chain: Callable[[], list[x509.Certificate]], text: str) -> None:
    made = jwk(*chain())
    with pytest.raises(KMSIdentityError, match=text):
        check_static_key(made, [der(ROOT)])
    check_static_key(made)  # without roots, TLS to the encryption service vouches for it


def test_certificate_that_is_a_given_root_is_trusted() -> None:
    leaf = LEAF("other")
    check_static_key(jwk(leaf), [der(leaf)])


KEYS: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "no RSA": (lambda: jwk(LEAF("root"), kty="EC"), "is no RSA key"),
    "no kid": (lambda: jwk(LEAF("root"), kid=None), "has no kid"),
    "a kid that is no URI": (lambda: jwk(LEAF("root"), kid="kms://[x"), "is no URI"),
    "a kid of https": (lambda: jwk(LEAF("root"), kid=f"https://{HOST}/keys/1"), "no kms: URI"),
    "a kid without a host": (lambda: jwk(LEAF("root"), kid="kms:///keys/1"), "no kms: URI"),
    "another host": (lambda: jwk(LEAF("root"), kid="kms://other.example.com/keys/1"), "does not name the host"),
    "a host above": (lambda: jwk(LEAF("root"), kid="kms://example.com/keys/1"), "does not name the host"),
    "no certificate": (lambda: jwk(x5c=None), "without a certificate"),
    "an empty chain": (jwk, "without a certificate"),
    "a chain that is text": (lambda: jwk(x5c="MII"), "without a certificate"),
    "no base64": (lambda: jwk(x5c=["%"]), "can't be read"),
    "no certificate within": (lambda: jwk(x5c=["AAAA"]), "can't be read"),
    "another kind of key": (lambda: jwk(LEAF("root", own="ec leaf")), "holds no RSA key"),
    "another modulus": (lambda: jwk(LEAF("root", own="other leaf")), "the modulus differs"),
    "another exponent": (lambda: jwk(LEAF("root"), e="Aw"), "the exponent differs"),
    "no modulus": (lambda: jwk(LEAF("root"), n=None), "no readable n"),
    "an exponent that is a number": (lambda: jwk(LEAF("root"), e=3), "no readable e"),
    "a short key": (lambda: jwk(LEAF("root", own="short"), own="short"), "shorter than 2,048 bits"),
}


@pytest.mark.parametrize(("made", "text"), KEYS.values(), ids=KEYS)
def test_key_that_does_not_prove_its_host_is_refused(made: Callable[[], dict[str, Any]], text: str) -> None:
    with pytest.raises(KMSIdentityError, match=text):
        check_static_key(made())


@pytest.mark.parametrize(
    "leaf",
    [
        pytest.param(lambda: certificate("leaf", "root", host="KMS.Example.com"), id="alternative name, any case"),
        pytest.param(lambda: certificate("KMS.example.com", "root", own="leaf"), id="common name"),
    ],
)
def test_either_name_of_the_certificate_counts(leaf: Callable[[], x509.Certificate]) -> None:
    check_static_key(jwk(leaf()))


def test_static_key_is_read_in_each_of_its_forms() -> None:
    made = {"kty": "RSA", "kid": "kms://h/1"}
    for form in (made, json.dumps(made), {"keys": [made, {"kty": "EC"}]}, json.dumps({"keys": [made]})):
        assert read_static_key(form) == made
    assert read_static_key({"keys": []}) == {"keys": []}


@pytest.mark.parametrize("value", ["{", "[" * 100_000, "[]", "null", 5, None, {"keys": ["text"]}], ids=range(7))
def test_invalid_static_key_is_refused(value: Any) -> None:
    with pytest.raises(KMSIdentityError, match="can't be read"):
        read_static_key(value)


@pytest.mark.parametrize("data", [b"", b"text", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"])
def test_invalid_root_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(KMSIdentityError, match="can't be read"):
        load_certificate(data)
