"""`geysers vi`: an operator orders virtual infrastructures from the broker, looks at them and gives them back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.calls import Server, ask
from controller.cli.errors import new_app
from controller.cli.options import (
    DEFAULT_STATE_DIR,
    DEFAULT_VIP,
    DeadlineOption,
    Output,
    OutputOption,
    RequestIdOption,
    StateDir,
    VioOption,
    VipTarget,
    caller_credentials,
    fresh_request_id,
    read_text,
    resource_name,
)
from controller.cli.output import Shown, band, emit, moment, pairs_table, table
from controller.domain.identity import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.api.operator_client import InfrastructureClient

vi_app = new_app("Virtual infrastructures of an operator, at the broker (VIP).")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Short id, or the full resource name.")]
COLLECTION = "virtualInfrastructures"


@vi_app.command("create")
def create(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The VI as JSON (see docs/examples); - reads stdin.")],
    vi_id: Annotated[str, typer.Option("--id", help="Short id of the new VI.")],
    vio: VioOption,
    vip: VipTarget = DEFAULT_VIP,
    validate_only: Annotated[bool, typer.Option("--validate-only", help="Check it all; hold nothing.")] = False,
    request_id: RequestIdOption = None,
    deadline_s: DeadlineOption = 120.0,
    output: OutputOption = Output.TABLE,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Order a VI and wait until it is in operation."""
    from controller.api.documents import infrastructure_document, infrastructure_from_document

    wanted = infrastructure_from_document(read_text(file), "standard input" if str(file) == "-" else str(file))
    if not wanted.ssh_public_key:
        wanted = replace(wanted, ssh_public_key=caller_credentials(state_dir, Role.VIO, vio).ssh_public_key)
    request = request_id or fresh_request_id()
    made = ask(
        _vip(vip),
        _connector(state_dir, vio),
        lambda client: client.create(vi_id, wanted, request, validate_only=validate_only, deadline_s=deadline_s),
        doing=f"ordering {vi_id}",
        if_in_doubt=f"look with `geysers vi get {vi_id} --vio {vio}`, or wait for the same order with the same "
        f"command and --request-id {request}",
    )
    document = infrastructure_document(made)
    if validate_only:
        _emit_checked(document, output)
    else:
        emit(document, output, _tables(document))


@vi_app.command("get")
def get(
    name: NameArgument,
    vio: VioOption,
    vip: VipTarget = DEFAULT_VIP,
    output: OutputOption = Output.TABLE,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Show one VI: its nodes with their NETCONF addresses, its links and its IT sites."""
    from controller.api.documents import infrastructure_document

    full_name = resource_name(name, vio, COLLECTION)
    found = ask(_vip(vip), _connector(state_dir, vio), lambda client: client.get(full_name))
    document = infrastructure_document(found)
    emit(document, output, _tables(document))


@vi_app.command("list")
def list_all(
    vio: VioOption,
    vip: VipTarget = DEFAULT_VIP,
    output: OutputOption = Output.TABLE,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """List all VIs of the operator, the ended ones too."""
    from controller.api.documents import infrastructure_document

    found = ask(_vip(vip), _connector(state_dir, vio), lambda client: client.list())
    documents = [infrastructure_document(entry) for entry in found]
    rows = [
        (
            _short(entry["name"]),
            entry["state"],
            len(entry["nodes"]),
            len(entry["links"]),
            len(entry["it_sites"]),
            moment(entry["create_time"]),
        )
        for entry in documents
    ]
    columns = ("id", "state", "nodes", "links", "IT sites", "ordered (UTC)")
    emit({"virtual_infrastructures": documents}, output, [table(f"Virtual infrastructures of {vio}", columns, rows)])


@vi_app.command("delete")
def delete(
    name: NameArgument,
    vio: VioOption,
    vip: VipTarget = DEFAULT_VIP,
    request_id: RequestIdOption = None,
    deadline_s: DeadlineOption = 120.0,
    output: OutputOption = Output.TABLE,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Decommission a VI and wait until all its parts are back at their providers."""
    from controller.api.documents import infrastructure_document

    full_name = resource_name(name, vio, COLLECTION)
    request = request_id or fresh_request_id()
    ended = ask(
        _vip(vip),
        _connector(state_dir, vio),
        lambda client: client.delete(full_name, request, deadline_s=deadline_s),
        doing=f"decommissioning {_short(full_name)}",
        if_in_doubt=f"look with `geysers vi get {_short(full_name)} --vio {vio}`; asking again does no harm",
    )
    document = infrastructure_document(ended)
    emit(document, output, [pairs_table(f"Virtual infrastructure {_short(full_name)}", _facts(document))])


def _vip(target: str) -> Server:
    return Server("VIP", target, "--vip", "geysers vip serve")


def _connector(state_dir: Path, vio: str) -> Callable[[str], InfrastructureClient]:
    from controller.api.operator_client import InfrastructureClient

    own = caller_credentials(state_dir, Role.VIO, vio)
    return lambda target: InfrastructureClient(target, own)


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _emit_checked(document: dict[str, Any], output: Output) -> None:
    facts = {
        "name": document["name"],
        "nodes": len(document["nodes"]),
        "links": len(document["links"]),
        "IT sites": len(document["it_sites"]),
        "verdict": "can be had as things are now; nothing is held",
    }
    emit(document, output, [pairs_table("Checked only", facts)])


def _facts(document: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": document["name"],
        "state": document["state"],
        "reservation id (GRI)": document["gri"],
        "ordered (UTC)": moment(document["create_time"]),
    }


def _tables(document: dict[str, Any]) -> list[Shown]:
    """A VI at 80 columns."""
    nodes = [
        (
            node["node_id"],
            node["clli"],
            _address(node["roadm"]),
            _address(node["transponder"]),
            node["transponder_count"],
            max((mode["bit_rate_gbps"] for mode in node["modes"]), default=None),
        )
        for node in document["nodes"]
    ]
    links = [
        (
            link["link_id"],
            f"{link['a_node_id']} – {link['z_node_id']}",
            band(link["band"]),
            _length_km(link),
            f"{link['power_w']:.0f}",
        )
        for link in document["links"]
    ]
    sites = [
        (
            site["it_site_id"],
            site["clli"],
            site["node_id"],
            site["vcpu_count"],
            site["memory_gib"],
            site["storage_gib"],
        )
        for site in document["it_sites"]
    ]
    made = [
        pairs_table(f"Virtual infrastructure {_short(document['name'])}", _facts(document)),
        table("Nodes", ("id", "place", "ROADM", "transponders at", "count", "Gb/s up to"), nodes),
        table("Links", ("id", "ends", "band", "km", "W"), links),
    ]
    if sites:
        made.append(table("IT sites", ("id", "place", "node", "vCPU", "memory GiB", "storage GiB"), sites))
    return made


def _address(endpoint: dict[str, Any] | None) -> str:
    return "" if endpoint is None else f"{endpoint['host']}:{endpoint['port']}"


def _length_km(link: dict[str, Any]) -> str:
    return "" if link["a_to_z_qot"] is None else f"{link['a_to_z_qot']['length_km']:.0f}"
