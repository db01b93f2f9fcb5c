"""TLS towards a switch for os-ken, whose threads may not share one TLS socket.

os-ken reads and writes a connection from two threads, which an OpenSSL connection does not survive. So the event loop
holds the TLS connection and hands os-ken one end of a socket pair, which never leaves this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any

CONNECT_TIMEOUT_S = 3.0
READ_BYTES = 65536


class _QuietSocket(socket.socket):
    """One end of a socket pair that takes TCP options, which os-ken sets on every connection, without effect."""

    def setsockopt(self, level: int, *options: Any) -> None:
        if level != socket.IPPROTO_TCP:
            super().setsockopt(level, *options)


class Tunnels:
    """The TLS connections of one agent; `open` is called from os-ken's dialling threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext | None) -> None:
        self._loop = loop
        self._context = context
        self._pumps: set[asyncio.Task[None]] = set()

    def open(self, host: str, port: int) -> socket.socket | None:
        """Connect to a switch; a plain socket for os-ken, or None when nobody answers there."""
        future = asyncio.run_coroutine_threadsafe(self._open(host, port), self._loop)
        try:
            return future.result(2 * CONNECT_TIMEOUT_S)
        except (OSError, TimeoutError):
            return None

    async def _open(self, host: str, port: int) -> socket.socket:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=self._context)
            inner, other = socket.socketpair()
            outer = _QuietSocket(fileno=other.detach())
            near_reader, near_writer = await asyncio.open_connection(sock=inner)
        pump = self._loop.create_task(_join((reader, writer), (near_reader, near_writer)), name=f"tunnel {host}:{port}")
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        return outer


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(far: Ends, near: Ends) -> None:
    """Carry bytes both ways until either side ends, then end both."""
    try:
        ways = (_carry(far[0], near[1]), _carry(near[0], far[1]))
        tasks = [asyncio.ensure_future(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for _, writer in (far, near):
            writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await reader.read(READ_BYTES):
            writer.write(data)
            await writer.drain()
