"""TLS for what the emulator serves beside NETCONF: data centres over HTTPS, edge switches over mutual TLS."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of the emulator's identity and of the authority that its clients must come from."""

    certificate_file: Path
    private_key_file: Path
    ca_certificate_file: Path

    def mutual_context(self) -> ssl.SSLContext:
        """Server side that demands a client certificate of the same authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate_file, self.private_key_file)
        context.load_verify_locations(self.ca_certificate_file)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


def is_provider(connection: Any, provider: str) -> bool:
    """True when the peer's verified certificate names the PIP `provider` in its SAN URI, geysers://DOMAIN/pip/NAME."""
    if connection is None:
        return False
    certificate = connection.getpeercert() or {}
    uris = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    return [urlsplit(uri).path for uri in uris] == [f"/pip/{provider}"]
