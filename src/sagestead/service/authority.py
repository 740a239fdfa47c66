"""The data folder's own certificate authority, and the server certificate that it signs.

Rule: what is still good is kept, so that clients which trust the authority go on doing so; a file is replaced
whole or not at all; keys lie in files that only their owner can read, and in no other place.

    tls/authority.pem   key and certificate of the authority, made once
    tls/ca.pem          its certificate alone: what clients are given to trust
    tls/server.pem      key and certificate of the server, made anew a month before they end

The profile (X.509 version 3, RFC 5280; P-256 keys) passes the strict checks of OpenSSL and of Go and Rust.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sagestead.settings import Folder

AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=90)
RENEWAL = timedelta(days=30)
CLOCKS_DIFFER = timedelta(hours=1)

_ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")

Names = frozenset[x509.GeneralName]


class UnusableFile(Exception):  # noqa: N818 - it says what is wrong, in one sentence for the terminal
    """A file of the authority is not what was written there; the text is one sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def pem(self) -> bytes:
        """Return both as the text of a file."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return key + certificate_pem(self.certificate)

    def __repr__(self) -> str:
        return f"Identity({self.certificate.subject.rfc4514_string()})"


def prepare(folder: Folder, host: str, now: datetime) -> None:
    """Make what is missing or about to end: authority, bundle and server certificate.

    Args:
        folder: the data folder; the caller holds its lock.
        host: the address that the server listens on; its certificate names it.
        now: an aware time.

    Raises:
        UnusableFile: a file is damaged.
        OSError: a file cannot be read or written.
    """
    folder.tls.mkdir(mode=0o700, exist_ok=True)
    authority = _read(folder.authority)
    if authority is None or not outlives(authority.certificate, now, SERVER_LIFE + RENEWAL):
        authority = make_authority(socket.gethostname(), now)
        _write(folder.authority, authority.pem(), 0o600)
    bundle = certificate_pem(authority.certificate)
    if not folder.bundle.is_file() or folder.bundle.read_bytes() != bundle:
        _write(folder.bundle, bundle, 0o644)
    names = server_names(host, socket.gethostname())
    server = _read(folder.certificate)
    if server is None or not still_serves(server.certificate, authority.certificate, names, now):
        _write(folder.certificate, make_server(authority, names, now).pem(), 0o600)


def server_names(host: str, machine: str) -> Names:
    """Return what the server may be called: this machine's names, the loopback addresses, `host`."""
    names: set[x509.GeneralName] = {
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    }
    for name in {host, machine} - _ANY_ADDRESS:
        try:
            names.add(x509.IPAddress(ipaddress.ip_address(name.partition("%")[0])))
        except ValueError:
            if _DNS_NAME.fullmatch(name.lower()):
                names.add(x509.DNSName(name.lower()))
    return frozenset(names)


def outlives(certificate: x509.Certificate, now: datetime, span: timedelta) -> bool:
    """True when a certificate is valid now and for `span` from now on."""
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - span


def still_serves(
    certificate: x509.Certificate, authority: x509.Certificate, names: Names, now: datetime
) -> bool:
    """True when the server can go on with a certificate: from this authority, not about to end, all names."""
    try:
        certificate.verify_directly_issued_by(authority)
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return names <= frozenset(named) and outlives(certificate, now, RENEWAL)


def make_authority(machine: str, now: datetime) -> Identity:
    """Make an authority that signs server certificates and no other authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Sagestead on {machine}"[:64])
    uses = _key_usage(signs_certificates=True)
    certificate = (
        _builder(name, name, key, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(uses, critical=True)
        .sign(key, hashes.SHA256())
    )
    return Identity(key, certificate)


def make_server(authority: Identity, names: Names, now: datetime) -> Identity:
    """Make a key and a certificate for a server with these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    ordered = sorted(names, key=lambda name: (type(name).__name__, str(name.value)))
    certificate = (
        _builder(_name("Sagestead"), authority.certificate.subject, key, now, SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(ordered), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Identity(key, certificate)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _read(file: Path) -> Identity | None:
    """Return what a file holds; None when there is none."""
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return None
    damaged = f"{file} is damaged; remove it, and 'sagestead up --tls' makes a new one."
    try:
        key = serialization.load_pem_private_key(text, password=None)
        certificate = x509.load_pem_x509_certificate(text)
    except (ValueError, TypeError) as error:
        raise UnusableFile(damaged) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise UnusableFile(damaged)
    return Identity(key, certificate)


def _write(file: Path, text: bytes, mode: int) -> None:
    """Replace a file whole; it never exists with a wider mode."""
    temporary = file.with_name(file.name + ".new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(file)
