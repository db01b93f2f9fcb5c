"""Steering of client VLANs at the edge switches, over OpenFlow 1.4.

    controller ── client.py ──socket pair, line JSON──▶ agent.py (own process) ── osken_app.py ──OpenFlow──▶ switches

os-ken runs in its own process: it is one controller per process, its threads cannot be stopped, and a fault in it
must never reach the event loop of the controller.
"""
