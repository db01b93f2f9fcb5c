"""The flow table of an edge switch: OpenFlow semantics, an atomic file, and forwarding by it."""

import dataclasses
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from emulator.openflow.codec import (
    ALL_TABLES,
    BAD_COMMAND,
    BAD_OUT_PORT,
    BAD_TABLE,
    BAD_TIMEOUT,
    NO_PORT,
    OVERLAP,
    TABLE_FULL,
    VLAN_PRESENT,
    Action,
    FlowCommand,
    FlowMod,
    FlowRecord,
    Match,
    refuse,
)

MAX_FLOWS = 4096
CHECK_OVERLAP = 1 << 1
RESET_COUNTS = 1 << 2
Key = tuple[int, Match]


class FlowTable:
    """Table 0, the only one; each change is on disk before `apply` returns."""

    def __init__(self, path: Path, ports: Iterable[int]) -> None:
        self._path = path
        self._ports = frozenset(ports)
        self._flows: dict[Key, FlowRecord] = {}
        self._born_ns: dict[Key, int] = {}
        if path.exists():
            for entry in json.loads(path.read_text())["flows"]:
                actions = tuple(Action(**action) for action in entry.pop("actions"))
                flow = FlowRecord(match=Match(**entry.pop("match")), actions=actions, **entry)
                self._flows[flow.priority, flow.match] = flow
                self._born_ns[flow.priority, flow.match] = time.monotonic_ns()

    def __len__(self) -> int:
        return len(self._flows)

    def age_ns(self, flow: FlowRecord) -> int:
        """Nanoseconds since the flow was added, or since the switch started."""
        key = (flow.priority, flow.match)
        return time.monotonic_ns() - self._born_ns.get(key, time.monotonic_ns())

    def select(self, match: Match, out_port: int = NO_PORT, cookie: int = 0, cookie_mask: int = 0) -> list[FlowRecord]:
        """Flows that a non-strict command or a statistics request means, highest priority first."""
        chosen = [flow for flow in self._flows.values() if match.covers(flow.match)]
        chosen = [flow for flow in chosen if (flow.cookie ^ cookie) & cookie_mask == 0 and _sends_to(flow, out_port)]
        return sorted(chosen, key=lambda flow: (-flow.priority, flow.match.in_port or 0, flow.match.vlan_vid or 0))

    def apply(self, mod: FlowMod) -> list[FlowRecord]:
        """Carry out a FLOW_MOD; the flows that it deleted."""
        deleting = mod.command in (FlowCommand.DELETE, FlowCommand.DELETE_STRICT)
        if mod.table_id != 0 and not (deleting and mod.table_id == ALL_TABLES):
            raise refuse(BAD_TABLE, "table 0 is the only one")
        flows = dict(self._flows)
        removed: list[FlowRecord] = []
        if deleting:
            removed = self._chosen(mod, strict=mod.command == FlowCommand.DELETE_STRICT)
            for flow in removed:
                del flows[flow.priority, flow.match]
        elif mod.command in (FlowCommand.MODIFY, FlowCommand.MODIFY_STRICT):
            self._check_actions(mod)
            for flow in self._chosen(mod, strict=mod.command == FlowCommand.MODIFY_STRICT):
                flows[flow.priority, flow.match] = dataclasses.replace(flow, actions=mod.actions)
        elif mod.command == FlowCommand.ADD:
            self._add(mod, flows)
        else:
            raise refuse(BAD_COMMAND, "unknown flow command")
        self._save(flows)
        self._flows = flows
        if mod.command == FlowCommand.ADD:
            self._born_ns[mod.priority, mod.match] = time.monotonic_ns()
        return removed

    def _chosen(self, mod: FlowMod, *, strict: bool) -> list[FlowRecord]:
        out_port = mod.out_port if mod.command in (FlowCommand.DELETE, FlowCommand.DELETE_STRICT) else NO_PORT
        chosen = self.select(mod.match, out_port, mod.cookie, mod.cookie_mask)
        if strict:
            return [flow for flow in chosen if (flow.priority, flow.match) == (mod.priority, mod.match)]
        return chosen

    def _check_actions(self, mod: FlowMod) -> None:
        if mod.match.in_port is not None and mod.match.in_port not in self._ports:
            raise refuse((4, 7), f"there is no port {mod.match.in_port}")
        for action in mod.actions:
            if action.kind == "output" and action.value not in self._ports:
                raise refuse(BAD_OUT_PORT, f"there is no port {action.value}")

    def _add(self, mod: FlowMod, flows: dict[Key, FlowRecord]) -> None:
        self._check_actions(mod)
        if mod.idle_timeout_s or mod.hard_timeout_s:
            raise refuse(BAD_TIMEOUT, "flows here do not age")
        peers = [flow for flow in flows.values() if flow.priority == mod.priority]
        if mod.flags & CHECK_OVERLAP and any(flow.match.overlaps(mod.match) for flow in peers):
            raise refuse(OVERLAP, "a flow of the same priority overlaps")
        key = (mod.priority, mod.match)
        if key not in flows and len(flows) >= MAX_FLOWS:
            raise refuse(TABLE_FULL, f"the table holds {MAX_FLOWS} flows")
        old = flows.get(key)
        packets, octets = (old.packets, old.octets) if old and not mod.flags & RESET_COUNTS else (0, 0)
        flows[key] = FlowRecord(
            mod.cookie, mod.priority, mod.match, mod.actions, mod.flags, mod.importance, packets, octets
        )

    def _save(self, flows: dict[Key, FlowRecord]) -> None:
        partial = self._path.with_suffix(".partial")
        with partial.open("w") as file:
            json.dump({"flows": [dataclasses.asdict(flow) for flow in flows.values()]}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def forward(self, in_port: int, vlan_id: int | None, length: int = 64) -> list[tuple[int, int | None]]:
        """Where a frame goes: (port, VLAN id or None for untagged). Counts it in its flow."""
        tag = None if vlan_id is None else VLAN_PRESENT | vlan_id
        frame_match = Match(in_port, tag or 0)
        hits = [flow for flow in self._flows.values() if flow.match.covers(frame_match)]
        if not hits:
            return []
        flow = max(hits, key=lambda hit: hit.priority)
        key = (flow.priority, flow.match)
        self._flows[key] = dataclasses.replace(flow, packets=flow.packets + 1, octets=flow.octets + length)
        tags = [] if vlan_id is None else [vlan_id]
        sent: list[tuple[int, int | None]] = []
        for action in flow.actions:
            if action.kind == "output":
                sent.append((action.value, tags[-1] if tags else None))
            elif action.kind == "push_vlan":
                tags.append(tags[-1] if tags else 0)
            elif action.kind == "pop_vlan":
                tags = tags[:-1]
            elif tags:
                tags[-1] = action.value & 0xFFF
        return sent


def _sends_to(flow: FlowRecord, out_port: int) -> bool:
    return out_port == NO_PORT or Action("output", out_port) in flow.actions
