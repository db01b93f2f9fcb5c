"""`geysers demo`: the whole system on this machine, and the story that shows it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from controller.app.process import configure_logs
from controller.cli.options import DEFAULT_STATE_DIR, LogLevel, Output, OutputOption, StateDir
from controller.cli.output import emit
from controller.domain.errors import GeysersError, WrongState
from controller.ports.clock import SystemClock
from controller.ports.rng import SystemRng

if TYPE_CHECKING:
    from controller.demo.story import StepReport, Story

SHORT_CHARACTERS = 24


def demo(
    once: Annotated[bool, typer.Option("--once", help="Tell the story and stop.")] = False,
    output: OutputOption = Output.TABLE,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    log_level: LogLevel = "error",
) -> None:
    """Start everything on this machine and tell the story: from hardware to a lightpath with a machine at its end."""
    configure_logs(log_level)
    with _alone(state_dir):
        status = asyncio.run(_demo(state_dir / "demo", once=once, output=output))
    raise typer.Exit(status)


@contextlib.contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    """Refuse a second demo in one directory: it would take the first one's stores from under it."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise WrongState(
                f"another demo runs in {state_dir}: stop it, or choose another directory with --state-dir"
            ) from error
        yield


async def _demo(state_dir: Path, *, once: bool, output: Output) -> int:
    from controller.demo.stack import Stack
    from controller.demo.story import Story

    # Each demo begins with new hardware; this directory is the demo's own.
    await asyncio.to_thread(shutil.rmtree, state_dir, ignore_errors=True)
    clock = SystemClock()
    stack = Stack(state_dir, standard_ports=True, clock=clock)
    story = Story(stack, clock, SystemRng())
    console = Console(stderr=output is Output.JSON)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    telling = asyncio.ensure_future(_tell(story, console))
    stopping = asyncio.ensure_future(stop.wait())
    began_s = clock.tick_s()
    failure: GeysersError | None = None
    try:
        await asyncio.wait((telling, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not telling.done():
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            return 130
        try:
            await telling
        except GeysersError as error:
            failure = error
        document = story.document(clock.tick_s() - began_s)
        if failure is not None:
            document["failure"] = failure.message
        _show(document, story, output, console)
        if not once and failure is None:
            console.print(f"Everything runs; state and logs are in {state_dir}. Ctrl-C stops all.")
            await stopping
    finally:
        await stack.close()
    return 0 if document["ok"] else 1


async def _tell(story: Story, console: Console) -> None:
    titles = [title for title, _ in story.steps]
    with console.status(f"1/{len(titles)} {titles[0]}") as status:

        def told(report: StepReport) -> None:
            console.print(f"[green]✓[/green] {report.step}. {report.title} [dim]({report.seconds:.1f} s)[/dim]")
            if report.step < len(titles):
                status.update(f"{report.step + 1}/{len(titles)} {titles[report.step]}")

        await story.tell(told)


def _show(document: dict[str, Any], story: Story, output: Output, console: Console) -> None:
    if output is Output.JSON:
        emit(document, output)
        return
    shown = Table(show_header=False, pad_edge=False)
    shown.add_column(ratio=1, overflow="fold")
    shown.add_column(ratio=2, overflow="fold")
    for report in story.reports:
        shown.add_section()
        shown.add_row(f"[bold]{report.step}. {report.title}[/bold]")
        for name, value in report.facts.items():
            shown.add_row(name.replace("_", " "), _plain(value))
    console.print(shown)
    console.print(
        f"story {document['seconds']} s, peak memory of all processes {document['peak_memory_mb']} MB, "
        f"audit: {len(document['audit'])} violations"
    )
    if "failure" in document:
        console.print(f"[red]error:[/red] {document['failure']}")


def _plain(value: Any) -> str:
    """A value of a step's facts as text."""
    if isinstance(value, dict):
        return "\n".join(f"{key.replace('_', ' ')}: {_plain(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        entries = [_plain(entry) for entry in value]
        return ("\n" if any(len(entry) > SHORT_CHARACTERS for entry in entries) else ", ").join(entries)
    return str(value)
