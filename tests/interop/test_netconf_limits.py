"""Clients that take more than their share: connections, silence, and replies that they do not read."""

import asyncio
from collections.abc import Callable

import asyncssh
import pytest
from lxml import etree

from controller.netconf.server import Limits

HELLO = (
    b'<hello xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><capabilities>'
    b"<capability>urn:ietf:params:netconf:base:1.1</capability></capabilities></hello>]]>]]>"
)
CONNECTIONS = 6
SUBSCRIBE = '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'


@pytest.fixture
def limits() -> Limits:
    return Limits(connections=CONNECTIONS, message_bytes=64 * 1024)


def rpc(inner: str) -> bytes:
    data = f'<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1">{inner}</rpc>'.encode()
    return b"\n#%d\n%b\n##\n" % (len(data), data)


def connect(served):
    known = served.address
    return asyncssh.connect(
        known.host,
        known.port,
        username="alice",
        client_keys=[str(known.private_key_file)],
        known_hosts=None,
        config=None,
        agent_path=None,
    )


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the server brings about."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the server gives no event for it
            await asyncio.sleep(0.01)


async def begin(connection: asyncssh.SSHClientConnection) -> asyncssh.SSHClientProcess:
    """A session whose client takes 4 kB at a time."""
    process = await connection.create_process(subsystem="netconf", encoding=None, window=4096, max_pktsize=4096)
    process.stdin.write(HELLO)
    await process.stdout.readuntil(b"]]>]]>")
    return process


async def ask(process: asyncssh.SSHClientProcess, inner: str) -> bytes:
    process.stdin.write(rpc(inner))
    async with asyncio.timeout(20):
        return await process.stdout.readuntil(b"\n##\n")


async def fall_silent(process: asyncssh.SSHClientProcess, session) -> None:
    """Ask for much and read nothing, until the server cannot send any more."""
    process.stdin.write(rpc("<get/>") * 200)
    await until(lambda: session._stream.unsent_bytes > 65_536)


async def test_one_connection_too_many_is_cut_and_the_others_live(served) -> None:
    connections = [await connect(served) for _ in range(CONNECTIONS)]
    with pytest.raises((asyncssh.Error, ConnectionError)):
        await connect(served)
    assert b"ok/>" in await ask(await begin(connections[-1]), "<discard-changes/>")
    connections[0].close()
    await until(lambda: served.endpoint.connections < CONNECTIONS)
    late = await connect(served)
    assert b"ok/>" in await ask(await begin(late), "<discard-changes/>")
    for connection in (*connections, late):
        connection.abort()


class TestPatience:
    """With short time-outs."""

    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(hello_timeout_s=0.3, write_timeout_s=0.5, message_bytes=64 * 1024)

    async def test_a_connection_without_a_session_is_closed(self, served) -> None:
        idle, busy = await connect(served), await connect(served)
        session = await begin(busy)
        async with asyncio.timeout(20):
            await idle.wait_closed()
        assert b"ok/>" in await ask(session, "<discard-changes/>")
        assert b"ok/>" in await ask(session, "<close-session/>")
        async with asyncio.timeout(20):
            await busy.wait_closed()
        assert served.endpoint.connections == 0

    async def test_a_client_that_reads_nothing_loses_its_session(self, served) -> None:
        async with connect(served) as connection:
            process = await begin(connection)
            await ask(process, "<lock><target><running/></target></lock>")
            await fall_silent(process, served.endpoint.find(1))
            await until(lambda: served.endpoint.find(1) is None)
        other = served.session()
        await other.connect()
        await other.lock("running")
        await other.close()


async def test_a_killed_session_gives_its_locks_back_whether_it_reads_or_not(served) -> None:
    async with connect(served) as silent, connect(served) as other:
        process = await begin(silent)
        await ask(process, "<lock><target><running/></target></lock>")
        await fall_silent(process, served.endpoint.find(1))
        killer = await begin(other)
        assert b"ok/>" in await ask(killer, "<kill-session><session-id>1</session-id></kill-session>")
        await until(lambda: served.endpoint.find(1) is None)
        assert b"ok/>" in await ask(killer, "<lock><target><running/></target></lock>")
        silent.abort()


async def test_a_subscriber_that_reads_nothing_holds_no_event_up(served) -> None:
    event = etree.fromstring(f"<alarm>{'a' * 2000}</alarm>")
    async with connect(served) as silent, connect(served) as other:
        process, reader = await begin(silent), await begin(other)
        for subscriber in (process, reader):
            assert b"ok/>" in await ask(subscriber, SUBSCRIBE)
        for _ in range(100):
            async with asyncio.timeout(20):
                await served.endpoint.notify(event)
                assert b"<alarm" in await reader.stdout.readuntil(b"\n##\n")
        await until(lambda: served.endpoint.find(1) is None)
        silent.abort()


async def test_closing_waits_for_a_commit_under_way(served) -> None:
    started, may_go_on, ended = asyncio.Event(), asyncio.Event(), []

    async def slow(before: etree._Element, after: etree._Element) -> None:
        started.set()
        await may_go_on.wait()
        ended.append("commit")

    served.box.apply = slow
    async with connect(served) as connection:
        process = await begin(connection)
        process.stdin.write(rpc("<commit/>"))
        await started.wait()
        closing = asyncio.ensure_future(served.server.remove_endpoint(served.endpoint))
        closing.add_done_callback(lambda _: ended.append("closed"))
        await connection.wait_closed()
        assert not closing.done()
        may_go_on.set()
        await closing
    assert ended == ["commit", "closed"]


async def test_a_client_that_reads_nothing_cannot_hold_up_the_end(served) -> None:
    async with connect(served) as connection:
        process = await begin(connection)
        await fall_silent(process, served.endpoint.find(1))
        async with asyncio.timeout(20):
            await served.server.remove_endpoint(served.endpoint)
