"""Calls to a running system: who is asked, what to start when nobody answers, how to look when in doubt."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from rich.console import Console

from controller.domain.errors import DeviceInDoubt, DeviceUnreachable, InvalidRequest

# gRPC's own log would come between our one line and the person who reads it; to be set before gRPC is loaded.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


class _Client(Protocol):
    async def check_serving(self) -> None: ...

    async def close(self) -> None: ...


ClientT = TypeVar("ClientT", bound=_Client)
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Server:
    """Who is asked, where, and what a person can do when it is not there."""

    title: str
    target: str
    option: str
    start_command: str

    def check_target(self) -> str:
        """host:port, or InvalidRequest."""
        host, colon, port = self.target.rpartition(":")
        if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise InvalidRequest(
                f"{self.option} {self.target!r}: write HOST:PORT, e.g. 127.0.0.1:50051",
                field=self.option,
                value=self.target,
            )
        return self.target


def ask(
    server: Server,
    connect: Callable[[str], ClientT],
    question: Callable[[ClientT], Awaitable[ResultT]],
    *,
    doing: str = "",
    if_in_doubt: str = "ask again",
) -> ResultT:
    """Put one question to `server`.

    doing       : shown to a person who waits
    if_in_doubt : how to see what became of it, for a question that changes something

    Raises: what the server answers; DeviceUnreachable, saying what to start, when nobody is there.
    """
    target = server.check_target()
    asked = False

    async def asking() -> ResultT:
        nonlocal asked
        client = connect(target)
        try:
            await _check_serving(client, server)
            asked = True
            return await question(client)
        finally:
            await client.close()

    try:
        with Console(stderr=True).status(doing or f"asking the {server.title} at {target}"):
            return asyncio.run(_interruptible(asking()))
    except (DeviceInDoubt, DeviceUnreachable) as error:
        if asked:
            error.message += f"; {if_in_doubt}"
        raise
    except KeyboardInterrupt:
        if asked and doing:
            sys.stderr.write(f"interrupted, but the {server.title} goes on: {if_in_doubt}\n")
        raise


async def _interruptible(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Await `work`; Ctrl-C ends it as KeyboardInterrupt.

    The signal goes through the event loop: the system may hand it to one of gRPC's threads, and then nothing but the
    loop's own wake-up would end the wait before its deadline.
    """
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _check_serving(client: _Client, server: Server) -> None:
    try:
        await client.check_serving()
    except DeviceUnreachable as error:
        if "handshake" in error.message.lower():
            raise DeviceUnreachable(
                f"the {server.title} at {server.target} has a certificate of another authority: give the state "
                "directory that it was started with (--state-dir, GEYSERS_STATE_DIR)"
            ) from error
        raise DeviceUnreachable(
            f"no {server.title} answers at {server.target} ({_reason(error.message)}): start it with "
            f"`{server.start_command}`, or say where it is with {server.option}"
        ) from error


def _reason(text: str) -> str:
    """The end of gRPC's chain of reasons, which is the one that a person understands."""
    return text.rpartition(": ")[2].strip() or text
