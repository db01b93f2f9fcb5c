"""`geysers pip offers` and `pip reservations`: what a provider shows a broker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.calls import Server, ask
from controller.cli.options import (
    DEFAULT_PIP,
    DEFAULT_STATE_DIR,
    Output,
    OutputOption,
    PipTarget,
    StateDir,
    caller_credentials,
)
from controller.cli.output import band, emit, moment, pairs_table, table
from controller.domain.identity import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.api.provider_client import GrpcProvider

BrokerOption = Annotated[str, typer.Option("--as", metavar="NAME", help="Name of the broker (VIP) that asks.")]


def offers(
    pip: PipTarget = DEFAULT_PIP,
    broker: BrokerOption = "broker",
    output: OutputOption = Output.TABLE,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """List what a provider offers now: nodes, links with the bands that are held, IT sites."""
    from controller.api.documents import catalogue_document

    document = catalogue_document(ask(_pip(pip), _connector(state_dir, broker), lambda client: client.list_offers()))
    nodes = [
        (
            _short(node["name"]),
            node["location"]["clli"],
            len(node["degrees"]),
            len(node["transponders"]),
            sum(1 for entry in node["transponders"] if entry["available"]),
            f"{node['power_w']:.0f}",
        )
        for node in document["nodes"]
    ]
    links = [
        (
            f"{link['source_node']} → {link['destination_node']}",
            "\n".join(band(held) for held in link["held_bands"]) or "none",
            f"{link['qot']['length_km']:.0f}",
            f"{link['power_w']:.0f}",
            "yes" if link["inter_domain"] else "",
        )
        for link in document["links"]
    ]
    sites = [
        (
            _short(site["name"]),
            site["location"]["clli"],
            site["vcpu_count"],
            site["memory_gib"],
            site["storage_gib"],
            f"{site['pue']:g}",
            f"{site['carbon_g_per_kwh']:g}",
        )
        for site in document["it_sites"]
    ]
    emit(
        document,
        output,
        [
            table("Nodes", ("id", "place", "degrees", "transponders", "free", "W"), nodes),
            table("Links, one direction each", ("ends", "held bands", "km", "W", "to another PIP"), links),
            table(
                "IT sites: what is left",
                ("id", "place", "vCPU", "memory GiB", "storage GiB", "PUE", "gCO2/kWh"),
                sites,
            ),
        ],
    )


def reservations(
    pip: PipTarget = DEFAULT_PIP,
    broker: BrokerOption = "broker",
    gri: Annotated[str, typer.Option(help="Only of this Global Reservation Identifier.")] = "",
    output: OutputOption = Output.TABLE,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """List what a provider holds for a broker."""
    from controller.api.documents import reservations_document

    document = reservations_document(
        ask(_pip(pip), _connector(state_dir, broker), lambda client: client.list_reservations(gri))
    )
    found = document["reservations"]
    emit(
        document,
        output,
        [pairs_table(f"Reservation {_short(entry['name'])}", _facts(entry)) for entry in found]
        or [table(f"Reservations of {broker}", (), ())],
    )


def _facts(reservation: dict[str, Any]) -> dict[str, Any]:
    facts = {"reservation id (GRI)": reservation["gri"], "state": reservation["state"]}
    if reservation["hold_expire_time"] is not None and reservation["state"] == "HELD":
        facts["lapses at (UTC)"] = moment(reservation["hold_expire_time"])
    nodes = [
        f"{_short(part['node'])}: {', '.join(part['degree_ports']) or 'no degree'}, {_transponders(part)}"
        for part in reservation["node_parts"]
    ]
    links = [f"{_short(part['link'])}: {band(part['band'])}" for part in reservation["link_parts"]]
    sites = [
        f"{_short(part['it_site'])}: {part['vcpu_count']} vCPU, memory {part['memory_gib']} GiB, "
        f"storage {part['storage_gib']} GiB"
        for part in reservation["it_parts"]
    ]
    for title, lines in (("nodes", nodes), ("links", links), ("IT sites", sites)):
        if lines:
            facts[title] = "\n".join(lines)
    return facts


def _transponders(part: dict[str, Any]) -> str:
    ports = [f"{entry['device']} {entry['network_port']}" for entry in part["transponders"]]
    return ", ".join(ports) or "no transponder"


def _pip(target: str) -> Server:
    return Server("PIP", target, "--pip", "geysers pip serve")


def _connector(state_dir: Path, broker: str) -> Callable[[str], GrpcProvider]:
    from controller.api.provider_client import GrpcProvider

    own = caller_credentials(state_dir, Role.VIP, broker)
    return lambda target: GrpcProvider("pip", target, own, server=Role.PIP)


def _short(name: str) -> str:
    return name.rpartition("/")[2]
