"""`geysers topology`: the traffic engineering database of an operator's controller."""

from __future__ import annotations

from controller.cli.calls import ask
from controller.cli.errors import new_app
from controller.cli.nips import ncp_server, nips_connector
from controller.cli.options import DEFAULT_NCP, DEFAULT_STATE_DIR, NcpTarget, Output, OutputOption, StateDir, VioOption
from controller.cli.output import band, emit, table

topology_app = new_app("The operator's view of its own virtual infrastructure.")


@topology_app.callback()
def topology() -> None:
    """The operator's view of its own virtual infrastructure."""


@topology_app.command("show")
def show(
    vio: VioOption,
    ncp: NcpTarget = DEFAULT_NCP,
    output: OutputOption = Output.TABLE,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Show nodes, links with the slots in use, what is left of the IT sites, and what had to be left out."""
    from controller.api.documents import topology_document

    document = topology_document(
        ask(ncp_server(ncp, vio), nips_connector(state_dir, vio), lambda client: client.topology())
    )
    nodes = [(node["node_id"], node["transponder_count"], node["used_transponder_count"]) for node in document["nodes"]]
    links = [
        (
            link["name"],
            f"{link['source_node_id']} → {link['destination_node_id']}",
            band(link["band"]),
            "\n".join(band(slot) for slot in link["used_slots"]) or "none",
            f"{link['length_km']:.0f}",
        )
        for link in document["links"]
    ]
    sites = [
        (site["it_site_id"], site["node_id"], site["vcpu_count"], site["memory_gib"], site["storage_gib"])
        for site in document["it_sites"]
    ]
    problems = [(problem["subject"], problem["message"]) for problem in document["problems"]]
    tables = [
        table(f"Nodes (generation {document['generation']})", ("id", "transponders", "in use"), nodes),
        table("Links, one direction each", ("name", "ends", "band", "slots in use", "km"), links),
        table("IT sites: what is left", ("id", "node", "vCPU", "memory GiB", "storage GiB"), sites),
    ]
    if problems:
        tables.append(table("Left out", ("what", "why"), problems))
    emit(document, output, tables)
