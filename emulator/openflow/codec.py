"""OpenFlow 1.4 on the wire (ONF TS-020): what an edge switch reads and writes. Section numbers are of TS-020."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

VERSION = 0x05
HEADER = struct.Struct("!BBHI")
NO_PORT = 0xFFFFFFFF
ALL_TABLES = 0xFF
VLAN_PRESENT = 0x1000


class MessageType(IntEnum):
    """§7.1: types of messages."""

    HELLO = 0
    ERROR = 1
    ECHO_REQUEST = 2
    ECHO_REPLY = 3
    FEATURES_REQUEST = 5
    FEATURES_REPLY = 6
    GET_CONFIG_REQUEST = 7
    GET_CONFIG_REPLY = 8
    SET_CONFIG = 9
    FLOW_REMOVED = 11
    PORT_STATUS = 12
    FLOW_MOD = 14
    MULTIPART_REQUEST = 18
    MULTIPART_REPLY = 19
    BARRIER_REQUEST = 20
    BARRIER_REPLY = 21
    ROLE_REQUEST = 24
    ROLE_REPLY = 25


class Multipart(IntEnum):
    """§7.3.5: kinds of multipart messages that are served."""

    DESC = 0
    FLOW = 1
    TABLE = 3
    PORT_DESC = 13


class FlowCommand(IntEnum):
    """§7.3.4.1: what a FLOW_MOD does."""

    ADD = 0
    MODIFY = 1
    MODIFY_STRICT = 2
    DELETE = 3
    DELETE_STRICT = 4


class OpenFlowError(Exception):
    """A message that is refused with OFPT_ERROR (§7.5.4): type and code."""

    def __init__(self, error_type: int, code: int, reason: str) -> None:
        super().__init__(reason)
        self.error_type = error_type
        self.code = code


HELLO_INCOMPATIBLE = (0, 0)
BAD_VERSION, BAD_TYPE, BAD_MULTIPART, BAD_LENGTH, IS_SLAVE = (1, 0), (1, 1), (1, 2), (1, 6), (1, 10)
BAD_ACTION_TYPE, BAD_ACTION_LENGTH, BAD_OUT_PORT, BAD_ACTION_ARGUMENT = (2, 0), (2, 1), (2, 4), (2, 5)
BAD_SET_TYPE = (2, 13)
UNKNOWN_INSTRUCTION, UNSUPPORTED_INSTRUCTION, BAD_INSTRUCTION_LENGTH = (3, 0), (3, 1), (3, 7)
BAD_MATCH_TYPE, BAD_MATCH_LENGTH, BAD_MATCH_FIELD, BAD_MATCH_VALUE, BAD_MATCH_MASK = (
    (4, 0), (4, 1), (4, 6), (4, 7), (4, 8),
)  # fmt: skip
DUPLICATE_FIELD = (4, 10)
TABLE_FULL, BAD_TABLE, OVERLAP, BAD_TIMEOUT, BAD_COMMAND = (5, 1), (5, 2), (5, 3), (5, 5), (5, 6)
ROLE_STALE, BAD_ROLE = (11, 0), (11, 2)


def refuse(error: tuple[int, int], reason: str) -> OpenFlowError:
    """Make the error of this (type, code)."""
    return OpenFlowError(error[0], error[1], reason)


@dataclass(frozen=True, order=True)
class Match:
    """in_port and vlan_vid (with OFPVID_PRESENT; 0 = untagged); None is a wildcard."""

    in_port: int | None = None
    vlan_vid: int | None = None

    def covers(self, other: "Match") -> bool:
        """Whether `other` is equal or more specific (§6.4, non-strict commands)."""
        return self.in_port in (None, other.in_port) and self.vlan_vid in (None, other.vlan_vid)

    def overlaps(self, other: "Match") -> bool:
        """Whether a packet can match both."""
        ports = None in (self.in_port, other.in_port) or self.in_port == other.in_port
        return ports and (None in (self.vlan_vid, other.vlan_vid) or self.vlan_vid == other.vlan_vid)


@dataclass(frozen=True)
class Action:
    """One action: `output` (port), `push_vlan` (ethertype), `pop_vlan`, `set_vlan` (vlan_vid with OFPVID_PRESENT)."""

    kind: str
    value: int = 0


@dataclass(frozen=True)
class FlowMod:
    """A parsed FLOW_MOD."""

    cookie: int
    cookie_mask: int
    table_id: int
    command: int
    idle_timeout_s: int
    hard_timeout_s: int
    priority: int
    out_port: int
    flags: int
    importance: int
    match: Match
    actions: tuple[Action, ...]


@dataclass(frozen=True)
class SwitchPort:
    """A port of the switch."""

    number: int
    name: str
    mac: bytes
    live: bool = True


@dataclass(frozen=True)
class FlowRecord:
    """A flow as OFPMP_FLOW reports it."""

    cookie: int
    priority: int
    match: Match
    actions: tuple[Action, ...]
    flags: int = 0
    importance: int = 0
    packets: int = field(default=0, compare=False)
    octets: int = field(default=0, compare=False)


def frame(message_type: int, xid: int, body: bytes = b"") -> bytes:
    """Put the header before `body`."""
    return HEADER.pack(VERSION, message_type, HEADER.size + len(body), xid) + body


def _unpack(layout: str, raw: bytes, offset: int = 0) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, raw, offset)
    except struct.error as error:
        raise refuse(BAD_LENGTH, "message is too short") from error


def _pad8(raw: bytes) -> bytes:
    return raw + b"\0" * (-len(raw) % 8)


def pack_match(match: Match) -> bytes:
    """§7.2.3: OXM fields in ascending order, padded to 8 octets."""
    fields = b""
    if match.in_port is not None:
        fields += struct.pack("!HBBI", 0x8000, 0 << 1, 4, match.in_port)
    if match.vlan_vid is not None:
        fields += struct.pack("!HBBH", 0x8000, 6 << 1, 2, match.vlan_vid)
    return _pad8(struct.pack("!HH", 1, 4 + len(fields)) + fields)


def parse_match(raw: bytes, offset: int) -> tuple[Match, int]:
    """Read a match; also the offset behind its padding."""
    kind, length = _unpack("!HH", raw, offset)
    if kind != 1:
        raise refuse(BAD_MATCH_TYPE, "only OXM matches are known")
    end = offset + length
    if length < 4 or end > len(raw):
        raise refuse(BAD_MATCH_LENGTH, "match length")
    found: dict[str, int] = {}
    position = offset + 4
    while position < end:
        oxm_class, code, size = _unpack("!HBB", raw[:end], position)
        value = raw[position + 4 : position + 4 + size]
        known = {0: ("in_port", 4), 6: ("vlan_vid", 2)}.get(code >> 1)
        if oxm_class != 0x8000 or known is None:
            raise refuse(BAD_MATCH_FIELD, "only in_port and vlan_vid can be matched")
        if code & 1:
            raise refuse(BAD_MATCH_MASK, "masks are not supported")
        if size != known[1] or len(value) != size or position + 4 + size > end:
            raise refuse(BAD_MATCH_LENGTH, f"{known[0]} length")
        if known[0] in found:
            raise refuse(DUPLICATE_FIELD, f"{known[0]} is given twice")
        found[known[0]] = int.from_bytes(value, "big")
        position += 4 + size
    vlan = found.get("vlan_vid")
    if vlan is not None and vlan != 0 and not VLAN_PRESENT < vlan < VLAN_PRESENT | 0xFFF:
        raise refuse(BAD_MATCH_VALUE, "vlan_vid is 0 (untagged) or OFPVID_PRESENT | 1..4094")
    return Match(found.get("in_port"), vlan), offset + (length + 7) // 8 * 8


def pack_actions(actions: Iterable[Action]) -> bytes:
    """§7.2.5: the actions in their order."""
    packed = b""
    for action in actions:
        if action.kind == "output":
            packed += struct.pack("!HHIH6x", 0, 16, action.value, 0xFFFF)
        elif action.kind == "push_vlan":
            packed += struct.pack("!HHH2x", 17, 8, action.value)
        elif action.kind == "pop_vlan":
            packed += struct.pack("!HH4x", 18, 8)
        else:
            packed += struct.pack("!HHHBBH6x", 25, 16, 0x8000, 6 << 1, 2, action.value)
    return packed


def _parse_action(kind: int, body: bytes) -> Action:
    if kind == 0:
        return Action("output", _unpack("!I", body)[0])
    if kind == 17:
        (ethertype,) = _unpack("!H", body)
        if ethertype not in (0x8100, 0x88A8):
            raise refuse(BAD_ACTION_ARGUMENT, "push_vlan takes 0x8100 or 0x88a8")
        return Action("push_vlan", ethertype)
    if kind == 18:
        return Action("pop_vlan")
    if kind == 25:
        oxm_class, code, size = _unpack("!HBB", body)
        if (oxm_class, code, size) != (0x8000, 6 << 1, 2):
            raise refuse(BAD_SET_TYPE, "only vlan_vid can be set")
        (vlan,) = _unpack("!H", body, 4)
        if not VLAN_PRESENT < vlan < VLAN_PRESENT | 0xFFF:
            raise refuse(BAD_ACTION_ARGUMENT, "vlan_vid is OFPVID_PRESENT | 1..4094")
        return Action("set_vlan", vlan)
    raise refuse(BAD_ACTION_TYPE, "only output, push_vlan, pop_vlan and set_field are known")


def parse_instructions(raw: bytes) -> tuple[Action, ...]:
    """§7.2.4: APPLY_ACTIONS only; the table has no successor."""
    actions: list[Action] = []
    offset = 0
    while offset < len(raw):
        kind, length = _unpack("!HH", raw, offset)
        if length < 8 or length % 8 or offset + length > len(raw):
            raise refuse(BAD_INSTRUCTION_LENGTH, "instruction length")
        if kind != 4:
            error = UNSUPPORTED_INSTRUCTION if kind in (1, 2, 3, 5, 6) else UNKNOWN_INSTRUCTION
            raise refuse(error, "only APPLY_ACTIONS is supported")
        position, end = offset + 8, offset + length
        while position < end:
            action, size = _unpack("!HH", raw[:end], position)
            if size < 8 or size % 8 or position + size > end:
                raise refuse(BAD_ACTION_LENGTH, "action length")
            actions.append(_parse_action(action, raw[position + 4 : position + size]))
            position += size
        offset = end
    return tuple(actions)


def pack_instructions(actions: Sequence[Action]) -> bytes:
    """One APPLY_ACTIONS, or nothing for a flow that drops."""
    packed = pack_actions(actions)
    return struct.pack("!HH4x", 4, 8 + len(packed)) + packed if actions else b""


def parse_flow_mod(body: bytes) -> FlowMod:
    """§7.3.4.1."""
    cookie, mask, table, command, idle, hard, priority, _, out_port, _, flags, importance = _unpack(
        "!QQBBHHHIIIHH", body
    )
    match, offset = parse_match(body, 40)
    actions = parse_instructions(body[offset:])
    return FlowMod(cookie, mask, table, command, idle, hard, priority, out_port, flags, importance, match, actions)


def pack_port(port: SwitchPort) -> bytes:
    """§7.2.1: a copper-agnostic 100 Gb/s port with its Ethernet property."""
    speed_kbps = 100_000_000
    ethernet = struct.pack("!HH4xIIIIII", 0, 32, 0, 0, 0, 0, speed_kbps, speed_kbps)
    state = 4 if port.live else 1
    return struct.pack("!IH2x6s2x16sII", port.number, 40 + 32, port.mac, port.name.encode(), 0, state) + ethernet


def pack_flow_stats(flow: FlowRecord, age_ns: int) -> bytes:
    """§7.3.5.2: one entry of an OFPMP_FLOW reply."""
    rest = pack_match(flow.match) + pack_instructions(flow.actions)
    return struct.pack(
        "!HBxIIHHHHH2xQQQ", 48 + len(rest), 0, age_ns // 10**9, age_ns % 10**9, flow.priority, 0, 0, flow.flags,
        flow.importance, flow.cookie, flow.packets, flow.octets,
    ) + rest  # fmt: skip


def pack_hello(xid: int) -> bytes:
    """§7.5.1: with the version bitmap that names 1.4 alone."""
    return frame(MessageType.HELLO, xid, struct.pack("!HHI", 1, 8, 1 << VERSION))


def hello_agrees(version: int, body: bytes) -> bool:
    """Whether the peer's HELLO leaves 1.4 as the version of the connection (§6.3.1)."""
    offset = 0
    while offset + 4 <= len(body):
        kind, length = struct.unpack_from("!HH", body, offset)
        if length < 4:
            break
        if kind == 1 and offset + 8 <= len(body):
            (bitmap,) = struct.unpack_from("!I", body, offset + 4)
            return bool(bitmap & 1 << VERSION)
        offset += (length + 7) // 8 * 8
    return version >= VERSION


def pack_error(xid: int, error: OpenFlowError, request: bytes) -> bytes:
    """§7.5.4: with the first 64 octets of what was refused."""
    return frame(MessageType.ERROR, xid, struct.pack("!HH", error.error_type, error.code) + request[:64])


def pack_flow_removed(flow: FlowRecord, age_ns: int) -> bytes:
    """§7.4.3, reason OFPRR_DELETE."""
    body = struct.pack(
        "!QHBBIIHHQQ", flow.cookie, flow.priority, 2, 0, age_ns // 10**9, age_ns % 10**9, 0, 0, flow.packets,
        flow.octets,
    )  # fmt: skip
    return frame(MessageType.FLOW_REMOVED, 0, body + pack_match(flow.match))
