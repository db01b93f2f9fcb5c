"""`geysers nips`: network and IT services of an operator, at its own controller (NCP)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.calls import Server, ask
from controller.cli.errors import new_app
from controller.cli.options import (
    DEFAULT_NCP,
    DEFAULT_STATE_DIR,
    DeadlineOption,
    NcpTarget,
    Output,
    OutputOption,
    RequestIdOption,
    StateDir,
    VioOption,
    caller_credentials,
    fresh_request_id,
    resource_name,
)
from controller.cli.output import Shown, band, band_with_center, decibel, emit, moment, pairs_table, table
from controller.domain.errors import InvalidRequest
from controller.domain.identity import Role
from controller.domain.nips import MachineDemand, Nips, NipsDemand, NipsObjective

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.api.operator_client import NipsClient

nips_app = new_app("Network and IT services of an operator, at its own controller (NCP).")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Short id, or the full resource name.")]
COLLECTION = "nips"
REFUSALS_SHOWN = 8


@nips_app.command("create")
def create(
    nips_id: Annotated[str, typer.Option("--id", help="Short id of the new service.")],
    vio: VioOption,
    source: Annotated[str, typer.Option(metavar="NODE", help="Virtual node at the fixed end.")],
    bit_rate_gbps: Annotated[float, typer.Option(help="Bit rate in Gb/s.")],
    vlan: Annotated[int, typer.Option(help="Client VLAN at both ends, 1 to 4094.")],
    destination: Annotated[str, typer.Option(metavar="NODE", help="Virtual node at the other end.")] = "",
    vcpu: Annotated[int | None, typer.Option(help="A machine at the other end: its virtual CPUs.")] = None,
    memory_gib: Annotated[int | None, typer.Option(help="Its memory in GiB.")] = None,
    volume_gib: Annotated[int | None, typer.Option(help="Its volume in GiB.")] = None,
    site: Annotated[
        list[str] | None, typer.Option(metavar="SITE", help="IT site it may stand at; may be repeated. Any if absent.")
    ] = None,
    objective: Annotated[
        NipsObjective, typer.Option(metavar="NAME", help=f"What is minimised: {', '.join(NipsObjective.__members__)}.")
    ] = NipsObjective.NET_IT_POWER,
    min_margin_db: Annotated[float, typer.Option(help="GSNR margin demanded over the mode's threshold.")] = 0.0,
    validate_only: Annotated[bool, typer.Option("--validate-only", help="Compute only; book nothing.")] = False,
    request_id: RequestIdOption = None,
    deadline_s: DeadlineOption = 120.0,
    ncp: NcpTarget = DEFAULT_NCP,
    output: OutputOption = Output.TABLE,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Set up a lightpath, with a machine at its other end if asked for, and wait until it is in service."""
    demand = NipsDemand(
        name=f"vios/{vio}/{COLLECTION}/{nips_id}",
        source_node_id=source,
        bit_rate_gbps=bit_rate_gbps,
        destination_node_id=destination,
        machine=_machine(vcpu, memory_gib, volume_gib, site),
        objective=objective,
        min_margin_db=min_margin_db,
        vlan_id=vlan,
    )
    request = request_id or fresh_request_id()

    async def create_and_measure(client: NipsClient) -> Nips:
        made = await client.create(demand, request, validate_only=validate_only, deadline_s=deadline_s)
        return made if validate_only else await client.get(demand.name)

    made = ask(
        ncp_server(ncp, vio),
        nips_connector(state_dir, vio),
        create_and_measure,
        doing=f"setting up {nips_id}",
        if_in_doubt=f"look with `geysers nips get {nips_id} --vio {vio}`, or wait for the same request with the same "
        f"command and --request-id {request}",
    )
    _emit(made, output, "Computed only; nothing is booked" if validate_only else f"Service {nips_id}")


@nips_app.command("get")
def get(
    name: NameArgument,
    vio: VioOption,
    ncp: NcpTarget = DEFAULT_NCP,
    output: OutputOption = Output.TABLE,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Show one service, with the GSNR that its receivers report now."""
    full_name = resource_name(name, vio, COLLECTION)
    found = ask(ncp_server(ncp, vio), nips_connector(state_dir, vio), lambda client: client.get(full_name))
    _emit(found, output, f"Service {full_name.rpartition('/')[2]}")


@nips_app.command("list")
def list_all(
    vio: VioOption,
    ncp: NcpTarget = DEFAULT_NCP,
    output: OutputOption = Output.TABLE,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """List all services of the operator, the ended ones too."""
    from controller.api.documents import nips_document

    found = ask(ncp_server(ncp, vio), nips_connector(state_dir, vio), lambda client: client.list())
    documents = [nips_document(entry) for entry in found]
    rows = [
        (
            entry["name"].rpartition("/")[2],
            entry["state"],
            " → ".join(entry["path"]) or entry["source_node_id"],
            band(entry["frequency_slot"]),
            f"{entry['bit_rate_gbps']:g}",
            entry["it_site_id"],
            moment(entry["create_time"]),
        )
        for entry in documents
    ]
    columns = ("id", "state", "path", "slot", "Gb/s", "IT site", "asked (UTC)")
    emit({"nips": documents}, output, [table(f"Services of {vio}", columns, rows)])


@nips_app.command("delete")
def delete(
    name: NameArgument,
    vio: VioOption,
    request_id: RequestIdOption = None,
    deadline_s: DeadlineOption = 120.0,
    ncp: NcpTarget = DEFAULT_NCP,
    output: OutputOption = Output.TABLE,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Release a service and wait until it is off every device."""
    full_name = resource_name(name, vio, COLLECTION)
    nips_id = full_name.rpartition("/")[2]
    request = request_id or fresh_request_id()
    ended = ask(
        ncp_server(ncp, vio),
        nips_connector(state_dir, vio),
        lambda client: client.delete(full_name, request, deadline_s=deadline_s),
        doing=f"releasing {nips_id}",
        if_in_doubt=f"look with `geysers nips get {nips_id} --vio {vio}`; asking again does no harm",
    )
    _emit(ended, output, f"Service {nips_id}")


def ncp_server(target: str, vio: str) -> Server:
    """The operator's controller as a person may start it."""
    return Server("NCP", target, "--ncp", f"geysers ncp serve --vio {vio} --vi VI")


def nips_connector(state_dir: Path, vio: str) -> Callable[[str], NipsClient]:
    """Makes clients with the operator's credentials."""
    from controller.api.operator_client import NipsClient

    own = caller_credentials(state_dir, Role.VIO, vio)
    return lambda target: NipsClient(target, own)


def _machine(
    vcpu: int | None, memory_gib: int | None, volume_gib: int | None, sites: list[str] | None
) -> MachineDemand | None:
    if vcpu is None and memory_gib is None:
        if volume_gib is None and not sites:
            return None
        raise InvalidRequest(
            "--volume-gib and --site are about a machine: add --vcpu and --memory-gib, or leave them out", field="vcpu"
        )
    for option, value, least in (("--vcpu", vcpu, 1), ("--memory-gib", memory_gib, 1), ("--volume-gib", volume_gib, 0)):
        if value is None and least:
            raise InvalidRequest(f"{option} is missing: a machine needs --vcpu and --memory-gib", field=option)
        if value is not None and not least <= value < 2**31:
            raise InvalidRequest(f"{option} {value}: ask for {least} or more", field=option, value=value)
    return MachineDemand(vcpu or 0, memory_gib or 0, volume_gib or 0, tuple(sites or ()))


def _emit(nips: Nips, output: Output, title: str) -> None:
    from controller.api.documents import nips_document

    document = nips_document(nips)
    emit(document, output, _tables(document, title))


def _tables(document: dict[str, Any], title: str) -> list[Shown]:
    """A service at 80 columns."""
    facts: dict[str, Any] = {
        "name": document["name"],
        "state": document["state"],
        "asked": _asked(document),
        "asked at (UTC)": moment(document["create_time"]),
    }
    if document["failure"]:
        facts["failure"] = document["failure"]
    if document["frequency_slot"] is not None:
        facts |= {
            "path": " → ".join(document["path"]),
            "frequency slot": band_with_center(document["frequency_slot"]),
            "mode": document["mode_id"],
            "GSNR 0.1 nm computed": decibel(document["gsnr_0p1nm_db"]),
            "… all spectrum lit": decibel(document["worst_case_gsnr_0p1nm_db"]),
            "margin, all lit": decibel(document["margin_db"]),
            "power added": f"{document['power_w']:.1f} W",
            "latency": f"{document['latency_ms']:.2f} ms",
        }
    if document["measured_gsnr_0p1nm_db"] is not None:
        facts["GSNR measured now"] = decibel(document["measured_gsnr_0p1nm_db"])
    if document["it_site_id"]:
        facts["IT site"] = document["it_site_id"]
    server = document["server"]
    if server is not None:
        facts["server"] = f"{server['state']} {server['instance_uuid']}"
        facts["volume"] = server["volume_uuid"]
    made = [pairs_table(title, facts)]
    refusals = document["refusals"]
    if refusals:
        rows = [(entry["constraint"], _shortfall(entry), entry["message"]) for entry in refusals[:REFUSALS_SHOWN]]
        more = len(refusals) - len(rows)
        heading = "Weighed and refused" + (f" ({more} more with -o json)" if more else "")
        made.append(table(heading, ("constraint", "missing", "why"), rows))
    return made


def _asked(document: dict[str, Any]) -> str:
    text = f"{document['bit_rate_gbps']:g} Gb/s from {document['source_node_id']}"
    if document["destination_node_id"]:
        text += f" to {document['destination_node_id']}"
    text += f", VLAN {document['vlan_id']}"
    machine = document["it_demand"]
    if machine is not None:
        sites = " or ".join(machine["candidate_it_site_ids"]) or "any site"
        text += f", {machine['vcpu_count']} vCPU, {machine['memory_gib']} GiB, volume {machine['volume_gib']} GiB"
        text += f" at {sites}"
    return f"{text}, least {document['objective']}"


def _shortfall(refusal: dict[str, Any]) -> str:
    return f"{refusal['shortfall']:.3g} {refusal['unit']}"
