"""Hop 5 of 8: a virtual node as its operator drives it (from controller.ncp.signalling, to controller.licl.sync).

A virtual node is one or two OpenROADM devices: a ROADM, and a shelf of transponders. Each is a NETCONF endpoint with
datastores of its own. What a commit asks of physical devices is written in the transaction that writes `running`
(`VirtualStorage`), so that the two can never disagree: a failed commit, a confirmed commit that times out and a restart
each put the old wish back together with the old configuration. A tenant's pending confirmed commit therefore holds no
device.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import structlog
from lxml import etree
from sqlalchemy import Connection, Table, and_, select, update
from sqlalchemy.sql.elements import ColumnElement

from controller.domain.errors import (
    DeviceInDoubt,
    DeviceUnreachable,
    GeysersError,
    ResourceExhausted,
    WrongState,
)
from controller.domain.media import Reception, SliceConfiguration
from controller.domain.reservation import SliceReading
from controller.domain.spectrum import FrequencySlot
from controller.licl.isolation import Isolation
from controller.licl.mapping import DeviceShare, NodeMapping
from controller.licl.schema import LiclTables
from controller.licl.sync import SliceSync
from controller.licl.veil import veil
from controller.netconf.device import RpcError, SessionInfo, StoredDatastores
from controller.netconf.yang_engine import YangEngine
from controller.openroadm.configuration import read_configuration
from controller.openroadm.device_state import with_roadm_state, with_shelf_state
from controller.openroadm.facts import DeviceFacts, parse_device
from controller.openroadm.namespaces import device_root, tag, text
from controller.ports.store import Store

log = structlog.get_logger()
Readings = Mapping[DeviceShare, SliceReading | None]


class Face(Protocol):
    """One of the two devices of a virtual node: how it looks, and what it asks of which physical device."""

    @property
    def device_id(self) -> str: ...

    @property
    def shares(self) -> tuple[DeviceShare, ...]: ...

    @property
    def bands(self) -> tuple[FrequencySlot, ...]: ...

    def startup(self) -> etree._Element: ...

    def with_state(self, running: etree._Element, readings: Readings) -> etree._Element: ...

    def wishes(self, virtual: SliceConfiguration) -> dict[DeviceShare, SliceConfiguration]: ...


class RoadmFace:
    """The virtual ROADM."""

    def __init__(self, mapping: NodeMapping) -> None:
        self._mapping = mapping
        self._description = mapping.roadm_description()
        self.device_id = mapping.roadm_id
        self.shares: tuple[DeviceShare, ...] = (mapping.roadm_share,)
        self.bands = mapping.bands

    def startup(self) -> etree._Element:
        return self._description.configuration()

    def with_state(self, running: etree._Element, readings: Readings) -> etree._Element:
        return with_roadm_state(running, self._description, _power_w(readings))

    def wishes(self, virtual: SliceConfiguration) -> dict[DeviceShare, SliceConfiguration]:
        return {self.shares[0]: self._mapping.physical_cross_connects(virtual)}


class ShelfFace:
    """The virtual shelf of transponders; they may stand on several physical shelves."""

    def __init__(self, mapping: NodeMapping) -> None:
        self._mapping = mapping
        self._description = mapping.shelf_description()
        self.device_id = mapping.shelf_id
        self.shares = mapping.shelf_shares
        self.bands = mapping.bands

    def startup(self) -> etree._Element:
        return self._description.configuration()

    def with_state(self, running: etree._Element, readings: Readings) -> etree._Element:
        receptions: dict[str, Reception] = {}
        for share, reading in readings.items():
            if reading is not None:
                receptions |= self._mapping.virtual_receptions(share.device, reading.receptions)
        return with_shelf_state(running, self._description, _power_w(readings), receptions)

    def wishes(self, virtual: SliceConfiguration) -> dict[DeviceShare, SliceConfiguration]:
        by_device = self._mapping.physical_line_settings(virtual)
        return {share: by_device[share.device] for share in self.shares}


class VirtualDevice:
    """A virtual ROADM or shelf behind a NETCONF endpoint."""

    def __init__(self, face: Face, engine: YangEngine, sync: SliceSync) -> None:
        self.name = face.device_id
        self.engine = engine
        self._face = face
        self._sync = sync
        self.facts: DeviceFacts = parse_device(face.with_state(face.startup(), {}))
        self._isolation = Isolation(self.facts, face.bands)

    @property
    def shares(self) -> tuple[DeviceShare, ...]:
        """What it has in physical devices."""
        return self._face.shares

    def startup(self) -> etree._Element:
        """What it holds when it is new."""
        return self._face.startup()

    async def operational(self, running: etree._Element) -> etree._Element:
        """Configuration and state; what a PIP cannot tell now is left out."""
        readings = await asyncio.gather(*(self._sync.reading(share) for share in self.shares))
        return self._face.with_state(running, dict(zip(self.shares, readings, strict=True)))

    async def check(self, before: etree._Element, after: etree._Element, session: SessionInfo) -> None:
        self._isolation.check(before, after)

    async def apply(self, before: etree._Element, after: etree._Element) -> None:
        """Have the physical devices follow; what they are to carry was stored together with `after`."""
        if device_root(before) is None:
            # The endpoint opens: it must answer even while a PIP is away, and the loop does the rest.
            self._sync.written(self.shares, now=True)
            return
        if self.wishes(before) == self.wishes(after):
            return
        try:
            await self._sync.push(self.shares)
        except GeysersError as error:
            raise _rpc_error(error, self.name) from error

    async def rpc(self, operation: etree._Element, session: SessionInfo) -> Sequence[etree._Element] | None:
        # get-connection-port-trail would need the running configuration, which an RPC is not given.
        return None

    def wishes(self, running: etree._Element) -> dict[DeviceShare, SliceConfiguration]:
        """What a checked configuration asks of each physical device."""
        return self._face.wishes(_in_service(running, read_configuration(running, self.facts)))


class VirtualStorage:
    """Datastores of one virtual device in the VIP's store, in step with what its physical devices are to carry.

    The host key tells the device from one of the same name that came before it or comes after it.
    """

    def __init__(
        self,
        store: Store,
        tables: LiclTables,
        infrastructure: str,
        device: VirtualDevice,
        sync: SliceSync,
        host_private_key: str,
    ) -> None:
        self._store = store
        self._table: Table = tables.virtual_devices
        self._infrastructure = infrastructure
        self._device = device
        self._sync = sync
        self._host_private_key = host_private_key

    async def load(self) -> StoredDatastores | None:
        columns = self._table.c
        query = select(columns.running, columns.rollback, columns.persist_id).where(self._own())
        row = await self._store.run(lambda connection: connection.execute(query).first())
        if row is None or row.running is None:
            return None
        return StoredDatastores(row.running, row.rollback, row.persist_id)

    async def save(self, stored: StoredDatastores) -> None:
        """Write datastores and wishes, or neither: WrongState once the device was withdrawn."""
        wishes = self._device.wishes(etree.fromstring(stored.running))

        def work(connection: Connection) -> None:
            written = connection.execute(
                update(self._table)
                .where(self._own())
                .values(running=stored.running, rollback=stored.rollback, persist_id=stored.persist_id)
            )
            if written.rowcount != 1:
                # A commit may outlast the withdrawal. Its wishes would be of a reservation that is given back.
                raise WrongState(
                    f"{self._device.name} is no longer served: its virtual infrastructure was taken down",
                    device=self._device.name,
                )
            for share, desired in wishes.items():
                self._sync.write(connection, share, desired)

        await self._store.run(work)
        self._sync.written(tuple(wishes))

    def _own(self) -> ColumnElement[bool]:
        columns = self._table.c
        return and_(
            columns.infrastructure == self._infrastructure,
            columns.device_id == self._device.name,
            columns.host_private_key == self._host_private_key,
        )


def _in_service(running: etree._Element, virtual: SliceConfiguration) -> SliceConfiguration:
    """Without the channels that the tenant took out of service: those are not lit."""
    root = device_root(running)
    dark = {
        text(entry, "name")
        for entry in (() if root is None else root.findall(tag("interface")))
        if text(entry, "administrative-state") != "inService"
    }
    lit = (
        setting
        for setting in virtual.line_settings
        if f"{setting.network_port}-{setting.slot.openroadm_name}" not in dark
    )
    return replace(virtual, line_settings=frozenset(lit))


def _power_w(readings: Readings) -> float | None:
    """Power of all shares together; None when one is not known."""
    if not readings or any(reading is None for reading in readings.values()):
        return None
    return sum(reading.power_w for reading in readings.values() if reading is not None)


def _rpc_error(error: GeysersError, name: str) -> RpcError:
    """The rpc-error of a refusal from below; it names nothing physical."""
    seen = veil(error, f"{name} keeps its old configuration")
    tag_of = "resource-denied" if isinstance(error, ResourceExhausted) else "operation-failed"
    app_tag = "in-doubt" if isinstance(error, DeviceInDoubt) else None
    if isinstance(error, DeviceUnreachable):
        app_tag = "unreachable"
    return RpcError(tag_of, seen.message, path="/org-openroadm-device", app_tag=app_tag)
