"""The codec against os-ken's own serialiser and parser, octet for octet; handlers survive their exceptions."""

import os
import struct
import subprocess
import sys
from types import SimpleNamespace

import pytest
from os_ken.ofproto import ofproto_v1_4 as of14
from os_ken.ofproto import ofproto_v1_4_parser as parser14

from emulator.openflow import codec
from emulator.openflow.codec import Action, Match, OpenFlowError, SwitchPort

DATAPATH = SimpleNamespace(ofproto=of14, ofproto_parser=parser14)
ACTIONS = (Action("push_vlan", 0x8100), Action("set_vlan", 0x112D), Action("output", 100))


def theirs():
    return [
        parser14.OFPActionPushVlan(0x8100),
        parser14.OFPActionSetField(vlan_vid=0x112D),
        parser14.OFPActionOutput(100, 0xFFFF),
    ]


@pytest.mark.parametrize("fields", [{}, {"in_port": 7}, {"vlan_vid": 0x112D}, {"in_port": 7, "vlan_vid": 0}])
def test_a_match_is_theirs_octet_for_octet(fields):
    raw = bytearray()
    parser14.OFPMatch(**fields).serialize(raw, 0)
    assert codec.pack_match(Match(**fields)) == bytes(raw)
    assert codec.parse_match(bytes(raw), 0) == (Match(**fields), len(raw))


def test_their_flow_mod_is_read():
    instruction = parser14.OFPInstructionActions(of14.OFPIT_APPLY_ACTIONS, theirs())
    mod = parser14.OFPFlowMod(
        DATAPATH, cookie=9, priority=1000, match=parser14.OFPMatch(in_port=2, vlan_vid=0), instructions=[instruction]
    )
    mod.set_xid(1)
    mod.serialize()
    ours = codec.parse_flow_mod(bytes(mod.buf[8:]))
    assert (ours.cookie, ours.priority, ours.match, ours.actions) == (9, 1000, Match(2, 0), ACTIONS)
    assert codec.pack_instructions(ACTIONS) == bytes(mod.buf[-len(codec.pack_instructions(ACTIONS)) :])


def test_they_read_our_flow_statistics_and_ports():
    flow = codec.FlowRecord(9, 1000, Match(2, 0), ACTIONS, packets=3, octets=192)
    stats = parser14.OFPFlowStats.parser(codec.pack_flow_stats(flow, 1_500_000_000), 0)
    assert (stats.cookie, stats.priority, stats.packet_count, stats.duration_nsec) == (9, 1000, 3, 500_000_000)
    assert (stats.match["in_port"], stats.match["vlan_vid"]) == (2, 0)
    port = parser14.OFPPort.parser(codec.pack_port(SwitchPort(1, "XPDR1-CLIENT1", b"\2\0\0\0\0\1")), 0)
    assert (port.port_no, port.name.rstrip(b"\0"), port.properties[0].curr_speed) == (1, b"XPDR1-CLIENT1", 100_000_000)


@pytest.mark.parametrize(
    "raw", [b"", b"\0\1", struct.pack("!HH", 1, 99), struct.pack("!HHHBBI", 1, 12, 0x8000, 20, 4, 1)]
)
def test_broken_matches_are_refused(raw):
    with pytest.raises(OpenFlowError):
        codec.parse_match(raw, 0)


HANDLER_PROBE = """
import os, queue
from os_ken.base.app_manager import AppManager, OSKenApp
from os_ken.controller.event import EventBase
from os_ken.controller.handler import set_ev_cls
from controller.openflow.osken_app import guarded
class Event(EventBase):
    def __init__(self, number): self.number = number
seen = queue.Queue()
class App(OSKenApp):
    @set_ev_cls(Event)
    @guarded
    def handle(self, event):
        seen.put(event.number)
        if event.number == 1: raise ValueError("deliberate")
app = AppManager.get_instance().instantiate(App)
app.start()
for number in range(4): app.send_event(app.name, Event(number))
print([seen.get(timeout=5) for _ in range(4)], flush=True)
os._exit(0)
"""


def test_a_failing_handler_does_not_end_the_loop():
    done = subprocess.run(
        [sys.executable, "-c", HANDLER_PROBE],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "OSKEN_HUB_TYPE": "native", "PYTHONPATH": os.getcwd()},
    )
    assert done.stdout.strip() == "[0, 1, 2, 3]"
    assert "deliberate" in done.stderr
