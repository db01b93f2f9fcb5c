"""What all our processes share: they start, say where they are, run until told to stop, and close cleanly."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import structlog


class Process(Protocol):
    """One party's process."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    @property
    def ready(self) -> Mapping[str, Any]:
        """Where it listens, for the ready file; known once started."""
        ...


async def run_until_stopped(process: Process, ready_file: Path | None, *, exit_with_stdin: bool = False) -> None:
    """Run until SIGINT or SIGTERM, or until standard input closes when that is asked for.

    ready_file : gets `process.ready` as JSON once all is up; removed first, so that it is never stale.
    """
    if ready_file is not None:
        await asyncio.to_thread(ready_file.unlink, missing_ok=True)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if exit_with_stdin:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    try:
        starting = asyncio.ensure_future(process.start())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        await starting
        if ready_file is not None:
            await asyncio.to_thread(_write_whole, ready_file, json.dumps(process.ready, indent=1))
        await stopping
    finally:
        await process.close()


def configure_logs(level: str) -> None:
    """Structured logs on standard error, one JSON object a line; standard output stays free for results."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def _write_whole(file: Path, text: str) -> None:
    """Write `file` so that a reader sees all of it or nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".new")
    temporary.write_text(text)
    temporary.replace(file)
