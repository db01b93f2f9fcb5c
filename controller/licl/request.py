"""What makes a VI request well formed, before anybody is asked for offers.

Every refusal names the field as the caller wrote it, its value, and how to mend it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import asyncssh

from controller.domain.errors import InvalidRequest
from controller.domain.infrastructure import VirtualInfrastructure

ROOT = "virtual_infrastructure"
# Ids become part ids at the PIPs and parts of device names, which are short everywhere.
_ID = re.compile(r"[A-Za-z]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?")
_NAME = re.compile(r"vios/([^/]+)/virtualInfrastructures/([^/]+)")
_KEY_KINDS = ("ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-")


def split_name(name: str) -> tuple[str, str]:
    """(VIO, VI id) of a resource name vios/{vio}/virtualInfrastructures/{vi}."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise _invalid("name", name, "write vios/{vio}/virtualInfrastructures/{virtual_infrastructure}")
    vio, vi_id = found.groups()
    _check_id("name", vi_id)
    return vio, vi_id


def validate(wanted: VirtualInfrastructure) -> None:
    """Refuse, with InvalidRequest, a VI that contradicts itself."""
    split_name(wanted.name)
    _check_nodes(wanted)
    _check_links(wanted)
    _check_it_sites(wanted)
    _check_key(wanted.ssh_public_key)


def _check_nodes(wanted: VirtualInfrastructure) -> None:
    if not wanted.nodes:
        raise _invalid("nodes", [], "ask for at least one virtual node")
    _check_ids("nodes", "node_id", [node.node_id for node in wanted.nodes])
    for index, node in enumerate(wanted.nodes):
        if not node.clli:
            raise _invalid(f"nodes[{index}].clli", node.clli, "name the place (CLLI) where the node must stand")
        if node.transponder_count < 0:
            raise _invalid(f"nodes[{index}].transponder_count", node.transponder_count, "give 0 or more")


def _check_links(wanted: VirtualInfrastructure) -> None:
    known = {node.node_id for node in wanted.nodes}
    _check_ids("links", "link_id", [link.link_id for link in wanted.links])
    for index, link in enumerate(wanted.links):
        for field, node_id in (("a_node_id", link.a_node_id), ("z_node_id", link.z_node_id)):
            if node_id not in known:
                raise _invalid(f"links[{index}].{field}", node_id, f"name one of the nodes: {_listed(known)}")
        if link.a_node_id == link.z_node_id:
            raise _invalid(f"links[{index}].z_node_id", link.z_node_id, "a link joins two different nodes")


def _check_it_sites(wanted: VirtualInfrastructure) -> None:
    place = {node.node_id: node.clli for node in wanted.nodes}
    _check_ids("it_sites", "it_site_id", [site.it_site_id for site in wanted.it_sites])
    for index, site in enumerate(wanted.it_sites):
        where = f"it_sites[{index}]"
        if site.node_id not in place:
            raise _invalid(f"{where}.node_id", site.node_id, f"name one of the nodes: {_listed(place)}")
        if site.clli != place[site.node_id]:
            mend = f"node {site.node_id!r} stands at {place[site.node_id]!r}, and a site is attached where it stands"
            raise _invalid(f"{where}.clli", site.clli, mend)
        for field, least in (("vcpu_count", 1), ("memory_gib", 1), ("storage_gib", 0)):
            value = getattr(site, field)
            if value < least:
                raise _invalid(f"{where}.{field}", value, f"ask for {least} or more")


def _check_key(text: str) -> None:
    field = "ssh_public_key"
    shown = text[:40]
    mend = "paste the one line of an OpenSSH public key, e.g. of id_ed25519.pub"
    if not text.startswith(_KEY_KINDS) or len(text.strip().splitlines()) != 1:
        raise _invalid(field, shown, mend)
    try:
        asyncssh.import_public_key(text)
    except (asyncssh.KeyImportError, ValueError) as error:
        raise _invalid(field, shown, mend) from error


def _check_ids(holder: str, field: str, ids: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for index, value in enumerate(ids):
        path = f"{holder}[{index}].{field}"
        _check_id(path, value)
        if value in seen:
            raise _invalid(path, value, f"{holder}[{seen[value]}] has it already: give each its own")
        seen[value] = index


def _check_id(path: str, value: str) -> None:
    if not _ID.fullmatch(value):
        raise _invalid(path, value, "use 1 to 32 letters, digits and hyphens; begin with a letter, end with no hyphen")


def _listed(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids))


def _invalid(path: str, value: object, mend: str) -> InvalidRequest:
    field = f"{ROOT}.{path}"
    return InvalidRequest(f"{field}={value!r}: {mend}", field=field, value=value)
