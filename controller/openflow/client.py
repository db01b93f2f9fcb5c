"""The controller's side of the OpenFlow agent: it starts the process, keeps it alive, and speaks to it."""

import asyncio
import contextlib
import itertools
import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from controller.domain import errors
from controller.domain.errors import DeviceInDoubt, DeviceUnreachable, GeysersError
from controller.openflow.steering import Steering
from controller.ports.clock import Clock
from controller.security.pki import Credentials

log = structlog.get_logger()
LEAST_PAUSE_S, MOST_PAUSE_S = 0.2, 30.0
ANSWER_MARGIN_S = 1.0
STOP_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class EdgeSwitch:
    """A connected edge switch; `ports` maps OpenFlow port names to numbers."""

    dpid: int
    clli: str
    ports: dict[str, int]


class OpenFlowAgent:
    """One agent process under supervision. Use `start` and `close`, or `async with`."""

    def __init__(
        self,
        switches: Sequence[tuple[str, int]],
        clock: Clock,
        *,
        credentials: Credentials | None = None,
        deadline_s: float = 10.0,
    ) -> None:
        """`credentials` for mutual TLS with the switches; None, for tests, is plain TCP."""
        self._switches = tuple(switches)
        self._clock = clock
        self._credentials = credentials
        self._deadline_s = deadline_s
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._ready = asyncio.Event()
        self._served = False
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the agent that serves now."""
        return self._process.pid if self._process and self._ready.is_set() else None

    async def __aenter__(self) -> "OpenFlowAgent":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Begin supervision; commands wait until the agent is up."""
        self._supervisor = asyncio.get_running_loop().create_task(self._supervise(), name="openflow-agent")

    async def close(self) -> None:
        """Stop the agent and reap it."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
            self._supervisor = None

    async def list_switches(self) -> list[EdgeSwitch]:
        return [EdgeSwitch(**found) for found in await self._command("list_switches", {}, changes=False)]

    async def put_steering(
        self, steering_id: str, clli: str, client_port: str, vlan_id: int, *, tagged: bool = False
    ) -> Steering:
        """Join VLAN `vlan_id` of the LAN at `clli` to `client_port`; the same id again changes nothing."""
        arguments = {
            "id": steering_id, "clli": clli, "client_port": client_port, "vlan_id": vlan_id, "tagged": tagged,
        }  # fmt: skip
        return Steering(**await self._command("put_steering", arguments, changes=True))

    async def delete_steering(self, steering_id: str, clli: str) -> None:
        """Remove a steering; one that is not there is removed already."""
        await self._command("delete_steering", {"id": steering_id, "clli": clli}, changes=True)

    async def list_steering(self, clli: str) -> list[Steering]:
        """Steerings as the switch has them now."""
        found = await self._command("list_steering", {"clli": clli}, changes=False)
        return [Steering(**values) for values in found]

    async def count_flows(self, clli: str) -> int:
        """How many flows the switch has now, whoever made them; each steering is two."""
        return int(await self._command("count_flows", {"clli": clli}, changes=False))

    async def _command(self, command: str, arguments: dict[str, Any], *, changes: bool) -> Any:
        number = next(self._numbers)
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._ready.wait()
        except TimeoutError as error:
            raise DeviceUnreachable("the OpenFlow agent does not start: see its log") from error
        writer = self._writer
        if writer is None:
            raise DeviceUnreachable("the OpenFlow agent has just ended: try again")
        request = {"id": number, "command": command, "arguments": arguments, "deadline_s": self._deadline_s}
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            async with asyncio.timeout(self._deadline_s + ANSWER_MARGIN_S):
                reply = await answer
        except (TimeoutError, ConnectionError) as error:
            kind = DeviceInDoubt if changes else DeviceUnreachable
            raise kind(f"{command}: the OpenFlow agent gave no answer: read the switch back") from error
        finally:
            self._waiting.pop(number, None)
        if reply["ok"]:
            return reply["result"]
        kind_of_error = getattr(errors, reply["error"], GeysersError)
        if kind_of_error is DeviceInDoubt and not changes:
            # Reading changes nothing, so there is nothing to be in doubt about.
            kind_of_error = DeviceUnreachable
        raise kind_of_error(reply["message"], **{k: v for k, v in arguments.items() if k != "id"})

    async def _supervise(self) -> None:
        pause_s = LEAST_PAUSE_S
        while True:
            self._served = False
            try:
                status = await self._run_once()
                log.warning("the OpenFlow agent ended", status=status)
            except (OSError, ValueError) as error:
                log.warning("the OpenFlow agent ended", error=str(error))
            pause_s = LEAST_PAUSE_S if self._served else min(2 * pause_s, MOST_PAUSE_S)
            await self._clock.sleep_s(pause_s)

    async def _run_once(self) -> int | None:
        """One life of the agent; its exit status."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = await self._spawn(theirs)
            theirs.close()
            self._process = process
            try:
                if process.stdout is not None and await process.stdout.readline() == b"ready\n":
                    await self._talk(ours)
            finally:
                self._ready.clear()
                self._writer = None
                for answer in self._waiting.values():
                    if not answer.done():
                        answer.set_exception(ConnectionError("the agent ended"))
                # The end of our socket is what ends the agent, also when we are killed.
                ours.close()
                await self._end(process)
        return process.returncode

    async def _spawn(self, theirs: socket.socket) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "controller.openflow.agent", "--descriptor", str(theirs.fileno())]
        for host, port in self._switches:
            command += ["--switch", f"{host}:{port}"]
        if self._credentials is not None:
            command += ["--tls-ca", str(self._credentials.ca_certificate_file)]
            command += ["--tls-certificate", str(self._credentials.certificate_file)]
            command += ["--tls-key", str(self._credentials.private_key_file)]
        search_path = os.pathsep.join(entry for entry in sys.path if entry)
        environment = {**os.environ, "OSKEN_HUB_TYPE": "native", "PYTHONPATH": search_path}
        return await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, env=environment,
            pass_fds=[theirs.fileno()],
        )  # fmt: skip

    async def _talk(self, ours: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=1 << 22)
        self._writer = writer
        self._served = True
        self._ready.set()
        try:
            while line := await reader.readline():
                reply = json.loads(line)
                answer = self._waiting.get(reply["id"])
                if answer is not None and not answer.done():
                    answer.set_result(reply)
        finally:
            # Not close: nobody reads what an agent that hangs has not taken yet.
            writer.transport.abort()

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
