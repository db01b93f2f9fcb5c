"""A connection that comes while its endpoint closes is cut: it does not outlive the device, whatever the moment."""

import asyncio
import gc
import socket

import pytest


@pytest.mark.parametrize("turns", range(6))
async def test_connection_at_the_moment_of_closing_is_cut(served, turns) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_connection((served.address.host, served.address.port)) as client:
        client.setblocking(False)
        for _ in range(turns):
            await asyncio.sleep(0)
        await served.server.close()
        async with asyncio.timeout(5):
            try:
                while await loop.sock_recv(client, 4096):
                    pass
            except ConnectionResetError:
                pass
    # A transport that nobody closed would say so now.
    gc.collect()
