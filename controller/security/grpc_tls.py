"""Mutual TLS for gRPC: server and client credentials, and the caller's identity from its certificate.

Identity comes only from the SAN URI of the verified client certificate, never from metadata or a request body.
"""

from collections.abc import Iterable, Mapping, Sequence

import grpc

from controller.domain.errors import NotAuthenticated
from controller.domain.identity import Identity, Role, any_server_name, role_server_name
from controller.security.pki import Credentials

SERVER_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.so_reuseport", 0),
)
KEEPALIVE_OPTIONS: Sequence[tuple[str, int]] = (("grpc.keepalive_time_ms", 30_000),)


def server_credentials(credentials: Credentials) -> grpc.ServerCredentials:
    """TLS that demands a client certificate of the same authority."""
    return grpc.ssl_server_credentials(
        [(credentials.private_key_file.read_bytes(), credentials.certificate_file.read_bytes())],
        root_certificates=credentials.ca_certificate_file.read_bytes(),
        require_client_auth=True,
    )


def secure_channel(target: str, credentials: Credentials, server: Identity | Role | None = None) -> grpc.aio.Channel:
    """Channel to `target` (host:port) that presents our certificate and verifies the server's.

    server : who must answer there, a party or any party of a role; None takes any party of the authority. An address
    proves nothing: another party of the same authority could listen at it.
    """
    domain = credentials.identity.domain
    if isinstance(server, Identity):
        server_name = server.server_name
    else:
        server_name = any_server_name(domain) if server is None else role_server_name(domain, server)
    return grpc.aio.secure_channel(
        target,
        grpc.ssl_channel_credentials(
            root_certificates=credentials.ca_certificate_file.read_bytes(),
            private_key=credentials.private_key_file.read_bytes(),
            certificate_chain=credentials.certificate_file.read_bytes(),
        ),
        options=(*KEEPALIVE_OPTIONS, ("grpc.ssl_target_name_override", server_name)),
    )


def peer_identity(auth_context: Mapping[str, Iterable[bytes]]) -> Identity:
    """Identity of the calling party, from its verified certificate."""
    names = [name.decode(errors="replace") for name in auth_context.get("x509_subject_alternative_name", ())]
    uris = [name for name in names if "://" in name]
    if len(uris) != 1:
        raise NotAuthenticated(f"the client certificate must carry exactly one SAN URI, it carries {len(uris)}")
    return Identity.parse(uris[0])
