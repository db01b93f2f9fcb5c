"""Raw bytes against our server: a proper rpc-error or a closed session, never a hang, never another session hurt."""

import asyncio

import asyncssh
import pytest

HELLO = (
    '<hello xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><capabilities>'
    "<capability>urn:ietf:params:netconf:base:1.{}</capability></capabilities></hello>]]>]]>"
)
RPC = '<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1" a:x="7" xmlns:a="urn:a">{}</rpc>'
NS = "urn:geysers:yang:test-box"
BOMB = '<!DOCTYPE r [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + RPC.format("<get>&b;</get>")


class Raw:
    def __init__(self, process: asyncssh.SSHClientProcess) -> None:
        self.process = process

    async def exchange(self, data: bytes, end: bytes) -> bytes:
        self.process.stdin.write(data)
        async with asyncio.timeout(5):
            return await self.process.stdout.readuntil(end)

    async def closed(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.process.stdout.read()


@pytest.fixture
async def raw(served):
    known = served.address
    async with asyncssh.connect(
        known.host,
        known.port,
        username="alice",
        client_keys=[str(known.private_key_file)],
        known_hosts=asyncssh.import_known_hosts(f"[127.0.0.1]:{known.port} {known.host_public_key}"),
        config=None,
    ) as connection:
        yield Raw(await connection.create_process(subsystem="netconf", encoding=None))


@pytest.fixture
async def other(served):
    session = served.session()
    await session.connect()
    yield session
    await session.close()


def edit_of(inner: str) -> bytes:
    box = f'<box xmlns="{NS}">{inner}</box>'
    return chunk(RPC.format(f"<edit-config><target><candidate/></target><config>{box}</config></edit-config>"))


def chunk(text: str) -> bytes:
    data = text.encode()
    return b"\n#%d\n%b\n##\n" % (len(data), data)


async def begin(raw: Raw, version: int = 1) -> None:
    greeting = await raw.exchange(HELLO.format(version).encode(), b"]]>]]>")
    assert b"session-id" in greeting


async def test_base_1_0_with_two_messages_in_one_write(raw) -> None:
    await begin(raw, 0)
    message = (RPC.format("<discard-changes/>") + "]]>]]>").encode()
    first = await raw.exchange(message + message, b"]]>]]>")
    assert b"<ok/>" in first
    assert b'a:x="7"' in first or b':x="7"' in first
    assert b"<ok/>" in await raw.exchange(b"", b"]]>]]>")


async def test_chunks_cut_anywhere(raw) -> None:
    await begin(raw)
    text = RPC.format("<discard-changes/>")
    data = b"".join(b"\n#1\n" + bytes([byte]) for byte in text.encode()) + b"\n##\n"
    assert b"<ok/>" in await raw.exchange(data, b"\n##\n")


@pytest.mark.parametrize(
    "lie", [b"\n#0\nx", b"\n#99999999999\n", b"\n#-1\n", b"garbage", b"\n##\n", b"\n#4294967295\nx", b"\n#12"]
)
async def test_chunk_lies_end_the_session_and_spare_others(raw, served, lie) -> None:
    other = served.session()
    await other.connect()
    await begin(raw)
    raw.process.stdin.write(lie)
    raw.process.stdin.write_eof()
    await raw.closed()
    assert (await other.get_config()).tag
    await other.close()


@pytest.mark.parametrize("message", ["<rpc", BOMB, "\x00", "<a>" * 5000])
async def test_malformed_messages_are_answered_and_the_session_ends(raw, message) -> None:
    await begin(raw)
    raw.process.stdin.write(chunk(message))
    assert b"malformed-message" in await raw.closed()


@pytest.mark.parametrize(
    ("message", "tag"),
    [
        (RPC.format("<discard-changes/>").replace('message-id="1"', ""), b"missing-attribute"),
        (RPC.format(""), b"missing-element"),
        (RPC.format("<make-coffee/>"), b"unknown-element"),
        (RPC.format('<x xmlns="urn:nobody"/>'), b"unknown-namespace"),
        (RPC.format("<get-config/>"), b"missing-element"),
        (RPC.format("<get-config><source><startup/></source></get-config>"), b"operation-not-supported"),
        (RPC.format('<get><filter type="xpath" select="/"/></get>'), b"bad-attribute"),
        (RPC.format("<kill-session><session-id>99</session-id></kill-session>"), b"invalid-value"),
        (RPC.format("<kill-session><session-id>²</session-id></kill-session>"), b"invalid-value"),
        (RPC.format("<commit><confirm-timeout>never</confirm-timeout></commit>"), b"invalid-value"),
        (RPC.format("<commit><confirm-timeout>²</confirm-timeout></commit>"), b"invalid-value"),
        (RPC.format(f"<commit><confirm-timeout>{'1' * 5000}</confirm-timeout></commit>"), b"invalid-value"),
        (RPC.format("<cancel-commit/>"), b"operation-failed"),
        (RPC.format("<unlock><target><running/></target></unlock>"), b"operation-failed"),
    ],
)
async def test_wrong_requests_get_the_rfc_tag_and_the_session_lives(raw, message, tag) -> None:
    await begin(raw)
    assert tag in await raw.exchange(chunk(message), b"\n##\n")
    assert b"<ok/>" in await raw.exchange(chunk(RPC.format("<discard-changes/>")), b"\n##\n")


@pytest.mark.parametrize(
    "first",
    [
        b"<rpc/>]]>]]>",
        HELLO.format(7).encode(),
        HELLO.format(1).replace("</hello>", "<session-id>4</session-id></hello>").encode(),
        b"]]>]]>",
    ],
)
async def test_bad_hello_ends_the_session(raw, first) -> None:
    raw.process.stdin.write(first)
    assert b"rpc-reply" not in await raw.closed()


async def test_other_subsystems_are_refused(raw, served) -> None:
    known = served.address
    async with asyncssh.connect(
        known.host,
        known.port,
        username="alice",
        client_keys=[str(known.private_key_file)],
        known_hosts=None,
        config=None,
    ) as connection:
        result = await connection.run("id")
        assert result.exit_status != 0
        assert not result.stdout


@pytest.mark.timeout(90)
async def test_the_largest_edit_keeps_no_other_session_waiting(raw, other) -> None:
    await begin(raw)
    raw.process.stdin.write(edit_of("".join(f"<slot><number>{i}</number></slot>" for i in range(25_000))))
    answer = asyncio.ensure_future(raw.process.stdout.readuntil(b"\n##\n"))
    answered_meanwhile = 0
    while not answer.done():
        await other.get_config()
        answered_meanwhile += not answer.done()
    assert b"<ok/>" in answer.result()
    assert answered_meanwhile >= 3


async def test_a_message_beyond_the_limit_ends_the_session(raw, served, other) -> None:
    await begin(raw)
    raw.process.stdin.write(b"\n#%d\n" % (served.endpoint.limits.message_bytes + 1))
    await raw.closed()
    assert (await other.get_config()).tag


@pytest.mark.timeout(90)
async def test_a_configuration_cannot_grow_beyond_the_limit(raw, served) -> None:
    await begin(raw)
    word = "a" * (served.endpoint.limits.message_bytes - 1000)
    answers = [await raw.exchange(edit_of(f"<tag>{n}{word}</tag>"), b"\n##\n") for n in range(3)]
    assert b"<ok/>" in answers[0]
    assert b"too-big" in answers[2]
    assert b"<ok/>" in await raw.exchange(chunk(RPC.format("<discard-changes/>")), b"\n##\n")
