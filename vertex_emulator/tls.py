"""A certificate authority of the emulator's own, and a certificate for this machine signed by it.

The high-level SDK always speaks TLS. It accepts the emulator once the authority is among its roots, for which gRPC and
``requests`` each have a variable; no line of the program under test changes.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES = ("localhost", "*.localhost")
_LIFETIME = datetime.timedelta(days=365)
_SPARE = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """Where the files are."""

    authority: Path
    """What callers must trust: ``GRPC_DEFAULT_SSL_ROOTS_FILE_PATH`` for gRPC, ``REQUESTS_CA_BUNDLE`` for REST."""
    certificate: Path
    key: Path

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Return what a gRPC server needs to serve with it."""
        return grpc.ssl_server_credentials([(self.key.read_bytes(), self.certificate.read_bytes())])

    def ssl_context(self) -> ssl.SSLContext:
        """Return what an HTTP server needs to serve with it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_certificate(folder: Path) -> Certificate:
    """Return the certificate kept in a folder; made anew when it is missing or about to expire."""
    made = Certificate(folder / "ca.pem", folder / "localhost.pem", folder / "localhost.key")
    if not _is_usable(made):
        folder.mkdir(parents=True, exist_ok=True)
        _make(made)
    return made


def _is_usable(made: Certificate) -> bool:
    if not all(path.exists() for path in (made.authority, made.certificate, made.key)):
        return False
    try:
        present = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    except ValueError:
        return False
    return present.not_valid_after_utc > datetime.datetime.now(datetime.UTC) + _SPARE


def _make(made: Certificate) -> None:
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vertex_emulator local authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES[0])])
    authority = (
        _builder(issuer, issuer, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    names = [x509.DNSName(name) for name in NAMES]
    certificate = (
        _builder(subject, issuer, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made.key.touch(mode=0o600)
    made.key.write_bytes(private)
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SPARE)
        .not_valid_after(now + _LIFETIME)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
