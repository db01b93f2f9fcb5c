"""What a steering is, and the two flows it becomes.

LAN, VLAN v ──pop (unless tagged)──▶ client port          client port ──push v (unless tagged)──▶ LAN, VLAN v
"""

import hashlib
from dataclasses import dataclass
from typing import Any

PRIORITY = 1000
LAN_PORT_NAME = "LAN"
VLAN_PRESENT = 0x1000
TPID = 0x8100


@dataclass(frozen=True)
class Steering:
    """A LAN's VLAN joined to a transponder's client port; `tagged` keeps the tag on the lightpath."""

    cookie: int
    client_port: str
    vlan_id: int
    tagged: bool = False


def steering_cookie(steering_id: str) -> int:
    """Flow cookie of a steering: the same in every process; never 0, never all ones (reserved by OpenFlow)."""
    value = int.from_bytes(hashlib.sha256(steering_id.encode()).digest()[:8], "big")
    return value % ((1 << 64) - 2) + 1


def matches(steering: Steering, client: int, lan: int) -> list[dict[str, int]]:
    """Match fields of the flow from the LAN and of the flow to it."""
    tag = VLAN_PRESENT | steering.vlan_id
    return [{"in_port": lan, "vlan_vid": tag}, {"in_port": client, "vlan_vid": tag if steering.tagged else 0}]


def flow_mods(datapath: Any, steering: Steering, client: int, lan: int) -> list[Any]:
    """FLOW_MODs that add both flows; CHECK_OVERLAP refuses what somebody else steers."""
    parser, protocol = datapath.ofproto_parser, datapath.ofproto
    inward, outward = [parser.OFPActionOutput(client)], [parser.OFPActionOutput(lan)]
    if not steering.tagged:
        inward.insert(0, parser.OFPActionPopVlan())
        tag = parser.OFPActionSetField(vlan_vid=VLAN_PRESENT | steering.vlan_id)
        outward = [parser.OFPActionPushVlan(TPID), tag, *outward]
    mods = []
    for fields, actions in zip(matches(steering, client, lan), (inward, outward), strict=True):
        apply = parser.OFPInstructionActions(protocol.OFPIT_APPLY_ACTIONS, actions)
        mods.append(parser.OFPFlowMod(
            datapath, cookie=steering.cookie, table_id=0, command=protocol.OFPFC_ADD, priority=PRIORITY,
            buffer_id=protocol.OFP_NO_BUFFER, out_port=protocol.OFPP_ANY, out_group=protocol.OFPG_ANY,
            flags=protocol.OFPFF_CHECK_OVERLAP, match=parser.OFPMatch(**fields), instructions=[apply],
        ))  # fmt: skip
    return mods


def delete_mod(datapath: Any, cookie: int) -> Any:
    """FLOW_MOD that deletes all flows of one steering."""
    parser, protocol = datapath.ofproto_parser, datapath.ofproto
    return parser.OFPFlowMod(
        datapath, cookie=cookie, cookie_mask=(1 << 64) - 1, table_id=protocol.OFPTT_ALL,
        command=protocol.OFPFC_DELETE, buffer_id=protocol.OFP_NO_BUFFER, out_port=protocol.OFPP_ANY,
        out_group=protocol.OFPG_ANY, match=parser.OFPMatch(), instructions=[],
    )  # fmt: skip


def read_back(flows: list[Any], names: dict[int, str]) -> list[Steering]:
    """Steerings whose two flows are both in the switch; half a steering is none."""
    lan = next((number for number, name in names.items() if name == LAN_PORT_NAME), None)
    inward: dict[int, tuple[int, int, bool]] = {}
    outward: dict[int, tuple[int, int, bool]] = {}
    for flow in flows:
        actions = [action for instruction in flow.instructions for action in instruction.actions]
        kinds = [type(action).__name__ for action in actions]
        target = next((action.port for action in actions if hasattr(action, "max_len")), None)
        port, tag = flow.match.get("in_port"), flow.match.get("vlan_vid", 0)
        if port == lan and target in names:
            inward[flow.cookie] = (target, tag & 0xFFF, "OFPActionPopVlan" not in kinds)
        elif target == lan and port in names:
            tagged = "OFPActionPushVlan" not in kinds
            values = [action.value for action in actions if hasattr(action, "key")]
            outward[flow.cookie] = (port, (tag if tagged or not values else values[0]) & 0xFFF, tagged)
    whole = [cookie for cookie in inward if outward.get(cookie) == inward[cookie]]
    return [Steering(c, names[inward[c][0]], inward[c][1], inward[c][2]) for c in sorted(whole)]
