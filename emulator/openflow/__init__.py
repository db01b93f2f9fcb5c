"""Hop 8 of 8, client side: the edge switch that carries a LAN's VLAN to a transponder's client port.

switch.py  sessions over TCP, roles, errors      table.py  flow table, durable before a barrier is answered
codec.py   frames, matches, actions, ports of OpenFlow 1.4 (ONF TS-020)
"""

from emulator.openflow.switch import EdgeSwitchHandle, start_edge_switch

__all__ = ["EdgeSwitchHandle", "start_edge_switch"]
