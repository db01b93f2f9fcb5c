"""Certificates and identities."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from controller.domain.errors import NotAuthenticated
from controller.domain.identity import Identity, Role
from controller.security.grpc_tls import peer_identity
from controller.security.pki import DevelopmentCa


def test_certificate_carries_one_identity_and_keys_are_private(tmp_path: Path) -> None:
    who = Identity("demo", Role.PIP, "north")
    credentials = DevelopmentCa(tmp_path).issue(who)
    certificate = x509.load_pem_x509_certificate(credentials.certificate_file.read_bytes())
    authority = x509.load_pem_x509_certificate(credentials.ca_certificate_file.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [who.uri]
    certificate.verify_directly_issued_by(authority)
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    for secret in (credentials.private_key_file, credentials.ssh_private_key_file, tmp_path / "ca.key"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert credentials.ssh_public_key.startswith("ssh-ed25519 ")


def test_second_issue_returns_the_same(tmp_path: Path) -> None:
    who = Identity("demo", Role.VIO, "alpha")
    first = DevelopmentCa(tmp_path).issue(who).certificate_file.read_bytes()
    assert DevelopmentCa(tmp_path).issue(who).certificate_file.read_bytes() == first


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "http://demo/vio/alpha",
        "geysers://demo/king/alpha",
        "geysers://demo/vio/",
        "geysers://demo/vio/a/b",
        "geysers://demo/vio/a?x=1",
        "geysers://DEMO/vio/../a",
    ],
)
def test_odd_uris_are_no_identity(uri: str) -> None:
    with pytest.raises(NotAuthenticated):
        Identity.parse(uri)


def test_two_uris_are_no_identity() -> None:
    with pytest.raises(NotAuthenticated, match="exactly one"):
        peer_identity({"x509_subject_alternative_name": [b"geysers://demo/vio/alpha", b"geysers://demo/vio/beta"]})


def test_parties_that_start_at_once_on_an_empty_directory_share_one_authority(tmp_path: Path) -> None:
    def start(name: str) -> bytes:
        credentials = DevelopmentCa(tmp_path / "pki").issue(Identity("demo", Role.PIP, name))
        return credentials.ca_certificate_file.read_bytes() + credentials.certificate_file.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(start, ["north"] * 8))
    assert len(set(found)) == 1
    authority = x509.load_pem_x509_certificate((tmp_path / "pki" / "ca.crt").read_bytes())
    certificate = x509.load_pem_x509_certificate((tmp_path / "pki" / "pip-north" / "tls.crt").read_bytes())
    certificate.verify_directly_issued_by(authority)
