"""The os-ken side of the agent: dialling passive switches and handing their messages to the event loop.

os-ken's native hub has four traps, each closed here: an exception in a handler ends the application's loop without
a word (`guarded`); a lost connection leaves its sender blocked for ever (`DialledDatapath`); a parser error ends the
dialling (`dial`); and a listening socket opens unasked (`DiallingHandler` opens none).
"""

import functools
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

from os_ken.base.app_manager import AppManager, OSKenApp
from os_ken.controller import ofp_event
from os_ken.controller.controller import Datapath
from os_ken.controller.handler import CONFIG_DISPATCHER, DEAD_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.controller.ofp_handler import OFPHandler
from os_ken.lib import hub
from os_ken.ofproto import ofproto_v1_4

log = logging.getLogger(__name__)

RECONNECT_S = 0.5
ECHO_INTERVAL_S = 5.0
Sink = Callable[[str, Any, Any], None]
Connect = Callable[[str, int], socket.socket | None]


def guarded(handler: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Keep a failing handler from ending the application's event loop."""

    @functools.wraps(handler)
    def safe(self: Any, event: Any) -> None:
        try:
            handler(self, event)
        except Exception:
            log.exception("handler %s failed", handler.__name__)

    return safe


class DialledDatapath(Datapath):  # type: ignore[misc]
    """A connection that ends all its threads when the switch goes."""

    def __init__(self, connection: Any, address: Any) -> None:
        self._gone = threading.Event()
        super().__init__(connection, address)

    def _recv_loop(self) -> None:
        try:
            super()._recv_loop()
        finally:
            self._gone.set()
            self.set_state(DEAD_DISPATCHER)
            queue = self.send_q
            # The sender waits on its queue and nothing else would wake it; sending on the closed socket ends it.
            if queue is not None and self._send_q_sem.acquire(blocking=False):
                queue.put((b"", True))

    def _echo_request_loop(self) -> None:
        while not self._gone.wait(ECHO_INTERVAL_S):
            if len(self.unreplied_echo_requests) > 2:
                self.close()
                return
            echo = self.ofproto_parser.OFPEchoRequest(self)
            self.unreplied_echo_requests.append(self.set_xid(echo))
            self.send_msg(echo)


class DiallingHandler(OFPHandler):  # type: ignore[misc]
    """os-ken's handshake, without its listening socket."""

    def start(self) -> None:
        OSKenApp.start(self)


class SteeringApp(OSKenApp):  # type: ignore[misc]
    """Passes what switches say to `sink`, which is called in os-ken's threads."""

    OFP_VERSIONS = (ofproto_v1_4.OFP_VERSION,)
    sink: Sink

    @set_ev_cls(ofp_event.EventOFPStateChange, [MAIN_DISPATCHER, DEAD_DISPATCHER])  # type: ignore[untyped-decorator]
    @guarded
    def on_state(self, event: Any) -> None:
        if event.state == DEAD_DISPATCHER:
            self.sink("dead", event.datapath, None)
            return
        parser = event.datapath.ofproto_parser
        event.datapath.send_msg(parser.OFPDescStatsRequest(event.datapath, 0))

    @set_ev_cls(ofp_event.EventOFPPortDescStatsReply, [CONFIG_DISPATCHER, MAIN_DISPATCHER])  # type: ignore[untyped-decorator]
    @guarded
    def on_ports(self, event: Any) -> None:
        self.sink("ports", event.msg.datapath, event.msg)

    @set_ev_cls(ofp_event.EventOFPDescStatsReply, MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    @guarded
    def on_description(self, event: Any) -> None:
        self.sink("description", event.msg.datapath, event.msg)

    @set_ev_cls(ofp_event.EventOFPFlowStatsReply, MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    @guarded
    def on_flows(self, event: Any) -> None:
        self.sink("flows", event.msg.datapath, event.msg)

    @set_ev_cls(ofp_event.EventOFPBarrierReply, MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    @guarded
    def on_barrier(self, event: Any) -> None:
        self.sink("barrier", event.msg.datapath, event.msg)

    @set_ev_cls(ofp_event.EventOFPErrorMsg, MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    @guarded
    def on_error(self, event: Any) -> None:
        self.sink("error", event.msg.datapath, event.msg)


def dial(host: str, port: int, connect: Connect) -> None:
    """Keep a connection to one passive switch, for the life of the process (in a thread of its own)."""
    pause = threading.Event()
    while True:
        connection = connect(host, port)
        if connection is not None:
            try:
                DialledDatapath(connection, (host, port)).serve()
            except Exception:
                log.exception("switch %s:%d sent what cannot be read; connecting again", host, port)
        pause.wait(RECONNECT_S)


def start(addresses: list[tuple[str, int]], sink: Sink, connect: Connect) -> None:
    """Run the applications and dial all switches. It cannot be undone: the process ends by `os._exit`."""
    manager = AppManager.get_instance()
    handler = manager.instantiate(DiallingHandler)
    SteeringApp.sink = staticmethod(sink)
    application = manager.instantiate(SteeringApp)
    handler.start()
    application.start()
    for host, port in addresses:
        hub.spawn(dial, host, port, connect)
