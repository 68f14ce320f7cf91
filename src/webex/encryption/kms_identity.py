"""Verify that a static key belongs to the key service that it names, before anything is encrypted for it.

The key must be RSA, its `kid` a `kms:` URI whose host the first certificate names, and that certificate must hold this
very key (kms §3). With trust roots, the chain must end in one of them; without, the name alone is
checked, as every published client does: TLS to the encryption service is then what vouches for it.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from webex.errors import KMSIdentityError
from webex.ids import base64url_decode

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def read_static_key(value: Any) -> dict[str, Any]:
    """Return the static key of `GET kms/{userId}`: a JWK, its text, or a key set; else `KMSIdentityError`."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise KMSIdentityError("The key of the key service can't be read.") from None
    if isinstance(value, Mapping) and isinstance(value.get("keys"), list) and value["keys"]:
        value = value["keys"][0]
    if not isinstance(value, Mapping):
        raise KMSIdentityError("The key of the key service can't be read.")
    return dict(value)


def check_static_key(jwk: Mapping[str, Any], roots: Sequence[bytes] = ()) -> None:
    """Raise `KMSIdentityError` unless the key proves to be its host's; `roots` are certificates (DER or PEM)."""
    try:
        _check(jwk, roots)
    except _unreadable():
        raise KMSIdentityError("A certificate of the key service can't be read.") from None


def _check(jwk: Mapping[str, Any], roots: Sequence[bytes]) -> None:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    host = _host_of(jwk)
    chain = _chain(jwk)
    leaf = chain[0]
    if host not in _names(leaf):
        raise KMSIdentityError("The first certificate of the key service does not name the host of its key.")
    public = leaf.public_key()
    if not isinstance(public, RSAPublicKey):
        raise KMSIdentityError("The certificate of the key service holds no RSA key.")
    numbers = public.public_numbers()
    if numbers.n != _number(jwk, "n"):
        raise KMSIdentityError("The certificate of the key service holds another key (the modulus differs).")
    if numbers.e != _number(jwk, "e"):
        raise KMSIdentityError("The certificate of the key service holds another key (the exponent differs).")
    if public.key_size < 2048:
        raise KMSIdentityError("The RSA key of the key service is shorter than 2,048 bits.")
    if roots:
        _check_chain(chain, [load_certificate(root) for root in roots])


def load_certificate(data: bytes) -> Certificate:
    """Load a certificate in DER or PEM; `KMSIdentityError` when it is none."""
    from cryptography import x509

    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except _unreadable():
        raise KMSIdentityError("A certificate can't be read.") from None


def _unreadable() -> tuple[type[Exception], ...]:
    """Turn what a malformed certificate raises into one error; parts are parsed only when they are read."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    missing = (x509.InvalidVersion, x509.DuplicateExtension, x509.ExtensionNotFound, x509.UnsupportedGeneralNameType)
    return (*missing, UnsupportedAlgorithm, InvalidSignature, ValueError, TypeError)


def _host_of(jwk: Mapping[str, Any]) -> str:
    if jwk.get("kty") != "RSA":
        raise KMSIdentityError("The key of the key service is no RSA key.")
    kid = jwk.get("kid")
    if not isinstance(kid, str):
        raise KMSIdentityError("The key of the key service has no kid.")
    try:
        parts = urlsplit(kid)
        host = parts.hostname
    except ValueError:
        raise KMSIdentityError("The kid of the key service's key is no URI.") from None
    if parts.scheme != "kms" or not host:
        raise KMSIdentityError("The kid of the key service's key is no kms: URI.")
    return host


def _chain(jwk: Mapping[str, Any]) -> list[Certificate]:
    listed = jwk.get("x5c")
    if not isinstance(listed, list) or not listed:
        raise KMSIdentityError("The key of the key service comes without a certificate.")
    chain = []
    for text in listed[:10]:
        try:
            chain.append(load_certificate(b64decode(text, validate=True)))
        except (ValueError, TypeError):
            raise KMSIdentityError("A certificate of the key service can't be read.") from None
    return chain


def _names(certificate: Certificate) -> set[str]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = {name.lower() for name in found.get_values_for_type(x509.DNSName)}
    except (x509.ExtensionNotFound, ValueError):
        names = set()
    for attribute in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME):
        if isinstance(attribute.value, str):
            names.add(attribute.value.lower())
    return names


def _number(jwk: Mapping[str, Any], name: str) -> int:
    try:
        return int.from_bytes(base64url_decode(jwk[name]), "big")
    except (KeyError, ValueError, TypeError, AttributeError):
        raise KMSIdentityError(f"The key of the key service has no readable {name}.") from None


def _check_chain(chain: list[Certificate], roots: list[Certificate]) -> None:
    """Follow the signatures from the first certificate to one of the roots; each must be valid today."""
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    current, rest = chain[0], chain[1:]
    for _ in range(len(chain) + 1):
        if not current.not_valid_before_utc <= now <= current.not_valid_after_utc:
            raise KMSIdentityError("A certificate of the key service is not valid today.")
        if current in roots or any(_signed(current, root) for root in roots):
            return
        above = next((other for other in rest if _signed(current, other) and _may_sign(other)), None)
        if above is None:
            break
        rest = [other for other in rest if other is not above]
        current = above
    raise KMSIdentityError("The certificates of the key service do not lead to a trusted root.")


def _signed(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except _unreadable():
        return False
    return True


def _may_sign(certificate: Certificate) -> bool:
    from cryptography import x509

    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except _unreadable():
        return False
