"""A certificate authority of the emulator's own, and a certificate for the names of the real cloud.

The keys never leave this machine; trusting the authority means trusting all who can read its key file, which is written
for its owner alone.
"""

from __future__ import annotations

import ipaddress
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from webex.emulator.hosts import CERTIFICATE_NAMES

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, GeneralName

_CA_FILE: Final = "webex-emulator-ca.pem"
_KEY_FILE: Final = "webex-emulator-ca.key"
_YEARS: Final = timedelta(days=3650)
_CERTIFICATE: Final = timedelta(days=397)  # longer ones are refused by some clients


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; `file` is what clients are told to trust."""

    file: Path
    certificate: Certificate
    key: EllipticCurvePrivateKey

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> Authority:
        """Open the authority whose files are in a directory; make it there when there is none yet."""
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        certificate_file, key_file = folder / _CA_FILE, folder / _KEY_FILE
        if certificate_file.exists() and key_file.exists():
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
            key = load_pem_private_key(key_file.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError(f"{key_file} is not a key that the emulator wrote.")
            if certificate.not_valid_after_utc > datetime.now(UTC) + _CERTIFICATE:
                return cls(certificate_file, certificate, key)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = authority_certificate(key, "Webex emulator local authority")
        _write_secret(key_file, _key_pem(key))
        certificate_file.write_bytes(_pem(certificate))
        return cls(certificate_file, certificate, key)

    def context(self, names: Iterable[str] = ()) -> ssl.SSLContext:
        """Make a server's TLS context for the cloud's names, loopback, and further names."""
        import ssl

        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(key, [*CERTIFICATE_NAMES, *names])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The ssl module reads keys from files only.
        descriptor, path = tempfile.mkstemp(suffix=".pem")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_key_pem(key) + _pem(certificate) + _pem(self.certificate))
            context.load_cert_chain(path)
        finally:
            with suppress(OSError):
                Path(path).unlink()
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _sign(self, key: EllipticCurvePrivateKey, names: list[str]) -> Certificate:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        now = datetime.now(UTC)
        alternatives = [_general_name(name) for name in dict.fromkeys([*names, "127.0.0.1", "::1"])]
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Webex emulator")]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + _CERTIFICATE)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )


def authority_certificate(key: EllipticCurvePrivateKey, name: str) -> Certificate:
    """Make a self-signed CA certificate of this key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _general_name(name: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_secret(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
