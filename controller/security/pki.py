"""Development PKI: one certificate authority per domain, one certificate per party.

Made on first run; keys stay in files with mode 0600. A certificate carries its identity as the only SAN URI, and DNS
names made of it by which clients verify who serves (RFC 5280 §4.2.1.6).
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncssh
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.domain.errors import InvalidRequest
from controller.domain.identity import Identity, Role, any_server_name, role_server_name
from controller.ports.clock import Clock, SystemClock

CA_VALIDITY = timedelta(days=3650)
LEAF_VALIDITY = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files with which one party proves who it is."""

    identity: Identity
    ca_certificate_file: Path
    certificate_file: Path
    private_key_file: Path
    ssh_private_key_file: Path

    @property
    def ssh_public_key(self) -> str:
        """OpenSSH text of the party's public key."""
        return self.ssh_private_key_file.with_suffix(".pub").read_text().strip()


def write_private(path: Path, content: bytes) -> None:
    """Write a file so that no other user can read it at any moment, and a crash leaves no half of it."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class DevelopmentCa:
    """A certificate authority in a directory, for one administrative domain on one machine."""

    def __init__(self, directory: Path, domain: str = "demo", clock: Clock | None = None) -> None:
        self._directory = directory
        self._domain = domain
        self._clock = clock or SystemClock()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._certificate_file = directory / "ca.crt"
        self._key_file = directory / "ca.key"
        with self._alone():
            if not self._certificate_file.exists():
                self._make_ca()

    def identity(self, role: Role, name: str) -> Identity:
        """A party of this authority's domain."""
        return Identity(self._domain, role, name)

    def issue(self, identity: Identity) -> Credentials:
        """Return the credentials of `identity`, making key, certificate and SSH key when absent."""
        if identity.domain != self._domain:
            raise InvalidRequest(f"this authority serves domain {self._domain!r}, not {identity.domain!r}")
        folder = self._directory / f"{identity.role}-{identity.name}"
        folder.mkdir(exist_ok=True, mode=0o700)
        credentials = Credentials(
            identity=identity,
            ca_certificate_file=self._certificate_file,
            certificate_file=folder / "tls.crt",
            private_key_file=folder / "tls.key",
            ssh_private_key_file=folder / "id_ed25519",
        )
        with self._alone():
            if not credentials.certificate_file.exists():
                self._issue_certificate(credentials)
            if not credentials.ssh_private_key_file.with_suffix(".pub").exists():
                make_ssh_key(credentials.ssh_private_key_file, comment=identity.uri)
        return credentials

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time: several parties start at once on a directory that is still empty."""
        with (self._directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make_ca(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"GEYSERS development CA ({self._domain})")])
        now = self._clock.now()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + CA_VALIDITY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(ca=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_private(self._key_file, _key_pem(key))
        write_private(self._certificate_file, certificate.public_bytes(serialization.Encoding.PEM))

    def _issue_certificate(self, credentials: Credentials) -> None:
        authority = x509.load_pem_x509_certificate(self._certificate_file.read_bytes())
        authority_key = serialization.load_pem_private_key(self._key_file.read_bytes(), password=None)
        if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
            raise InvalidRequest(f"{self._key_file} holds no elliptic-curve key: remove the directory and start again")
        key = ec.generate_private_key(ec.SECP256R1())
        now = self._clock.now()
        identity = credentials.identity
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(identity.uri),
            x509.DNSName(identity.server_name),
            x509.DNSName(role_server_name(identity.domain, identity.role)),
            x509.DNSName(any_server_name(identity.domain)),
        ]
        if identity.role is Role.EMULATOR:
            # Clients of data centres and edge switches know them by address alone, so nobody else may carry it.
            names += [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, credentials.identity.name)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + LEAF_VALIDITY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        write_private(credentials.private_key_file, _key_pem(key))
        write_private(credentials.certificate_file, certificate.public_bytes(serialization.Encoding.PEM))


def make_ssh_key(private_key_file: Path, comment: str) -> None:
    """Make an Ed25519 key pair: the private half in `private_key_file`, the public half beside it as .pub."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment=comment)
    write_private(private_key_file, key.export_private_key())
    write_private(private_key_file.with_suffix(".pub"), key.export_public_key())


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
