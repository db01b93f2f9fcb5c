"""The emulator as a process: it serves until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

from emulator.app import Emulator, EmulatorSettings, write_atomically


async def serve(settings: EmulatorSettings, ready_file: Path | None) -> None:
    """Run until SIGINT or SIGTERM; raises InvalidNetworkError before anything listens.

    ready_file : gets the address of everything as JSON once all listen; removed first, so that it is never stale.
    """
    if ready_file is not None:
        await asyncio.to_thread(ready_file.unlink, missing_ok=True)
    emulator = Emulator(settings)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await emulator.start()
    try:
        if ready_file is not None:
            write_atomically(ready_file, json.dumps(emulator.ready, indent=1))
        await stop.wait()
    finally:
        await emulator.close()
