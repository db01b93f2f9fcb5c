"""The `geysers` command."""

from __future__ import annotations

from controller.cli.demo import demo
from controller.cli.errors import guarded, new_app
from controller.cli.nips import nips_app
from controller.cli.pce import pce_app
from controller.cli.pip import offers, reservations
from controller.cli.serve import emulator_app, ncp_app, pip_app, vip_app
from controller.cli.topology import topology_app
from controller.cli.vi import vi_app

app = new_app("Control plane for optical networks and the data centres they join.")
pip_app.command()(offers)
pip_app.command()(reservations)
for name, group in (
    ("vi", vi_app),
    ("nips", nips_app),
    ("topology", topology_app),
    ("pce", pce_app),
    ("emulator", emulator_app),
    ("pip", pip_app),
    ("vip", vip_app),
    ("ncp", ncp_app),
):
    app.add_typer(group, name=name)
app.command()(demo)


@app.callback()
def main() -> None:
    """Control plane for optical networks and the data centres they join."""


def run() -> None:
    """Entry point."""
    guarded(lambda: app(prog_name="geysers"))
