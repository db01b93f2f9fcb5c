"""Steerings at edge switches: the row first, then the switch, and back in the other order."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection

from controller.domain.errors import (
    AlreadyExists,
    DeviceRejected,
    DeviceUnreachable,
    GeysersError,
    InvalidRequest,
    NotFound,
)
from controller.domain.identity import Identity
from controller.domain.it import Steering
from controller.pip.demands import Demands, SteeringRow, node_part
from controller.pip.drivers.edge_switch import EdgeSwitchDriver
from controller.pip.ledger import Ledger
from controller.pip.records import HeldReservation
from controller.pip.turns import Turns
from controller.ports.store import Store

log = structlog.get_logger()


class SteeringWork:
    """All edge switches of the provider; one call at a time for each switch."""

    def __init__(self, store: Store, ledger: Ledger, demands: Demands, edge: EdgeSwitchDriver | None) -> None:
        self._store = store
        self._ledger = ledger
        self._demands = demands
        self._driver = edge
        self._turns = Turns()

    async def put(self, owner: Identity, name: str, part_id: str, steering: Steering) -> None:
        """Steer a VLAN into a transponder; a repeat changes nothing.

        What the switch refuses is forgotten once the switch is seen to have nothing of it; a steering that was there
        before stays.
        """
        held = await self._store.run(lambda connection: self._ledger.find_active(connection, owner, name))
        clli = held.cllis[node_part(held, part_id).node.rpartition("/")[2]]

        def want(connection: Connection) -> bool:
            active = self._ledger.find_active(connection, owner, name)
            return self._demands.want_steering(connection, active, part_id, steering)

        async with self._turns.of(clli):
            is_new = await self._store.run(want)
            row = SteeringRow(held.reservation_id, clli, steering, removing=True)
            try:
                await self._edge.put(held.reservation_id, clli, steering)
            except (NotFound, InvalidRequest):
                # Refused before anything was sent to the switch.
                if is_new:
                    await self._forget(row)
                raise
            except (AlreadyExists, DeviceRejected):
                if is_new:
                    await self._take_back(held, part_id, row)
                raise

    async def delete(self, owner: Identity, name: str, part_id: str, steering_id: str) -> None:
        """Take a steering away; what is gone already is success."""
        held = await self._store.run(lambda connection: self._ledger.find_active(connection, owner, name))
        row = await self._store.run(
            lambda connection: self._demands.unwant_steering(connection, held, part_id, steering_id)
        )
        if row is not None:
            async with self._turns.of(row.clli):
                await self._remove(row)

    async def list(self, owner: Identity, name: str, part_id: str) -> tuple[Steering, ...]:
        """Steerings of a node part that the switch carries now."""

        def work(connection: Connection) -> tuple[SteeringRow, ...]:
            held = self._ledger.find_active(connection, owner, name)
            node_part(held, part_id)
            return self._demands.steerings(connection, held.reservation_id, part_id)

        rows = [row for row in await self._store.run(work) if not row.removing]
        if not rows:
            return ()
        steerings = [row.steering for row in rows]
        return await self._edge.present(rows[0].reservation_id, rows[0].clli, steerings)

    async def clear(self, reservation_id: str) -> None:
        """Take away all steerings of a reservation that is being released."""
        for row in await self._store.run(lambda connection: self._demands.steerings(connection, reservation_id)):
            async with self._turns.of(row.clli):
                await self._remove(row)

    async def settle(self) -> None:
        """Bring all switches to what the store says; the first error is raised after all were tried."""
        failed: list[GeysersError] = []
        for clli in sorted({row.clli for row in await self._store.run(self._demands.steerings)}):
            async with self._turns.of(clli):
                try:
                    await self._settle_at(clli)
                except GeysersError as error:
                    failed.append(error)
        if failed:
            raise failed[0]

    async def _settle_at(self, clli: str) -> None:
        # Read again under the lock: what was deleted in the meantime must not come back.
        rows = [row for row in await self._store.run(self._demands.steerings) if row.clli == clli]
        failed: list[GeysersError] = []
        for row in rows:
            try:
                await self._settle_row(row)
            except GeysersError as error:
                # One tenant's steering must not keep the others' from being restored.
                log.warning("not as wanted yet", clli=clli, steering=row.steering.steering_id, error=error.message)
                failed.append(error)
        if failed:
            raise failed[0]

    async def _settle_row(self, row: SteeringRow) -> None:
        if row.removing:
            await self._remove(row)
        elif not await self._edge.present(row.reservation_id, row.clli, [row.steering]):
            await self._edge.put(row.reservation_id, row.clli, row.steering)
            log.warning("steering restored", clli=row.clli, steering=row.steering.steering_id)

    async def _take_back(self, held: HeldReservation, part_id: str, row: SteeringRow) -> None:
        """Forget a steering that was refused, once nothing of it is at the switch; upkeep goes on when that fails."""
        await self._store.run(
            lambda connection: self._demands.unwant_steering(connection, held, part_id, row.steering.steering_id)
        )
        try:
            await self._remove(row)
        except GeysersError as error:
            log.warning("refused steering to be removed", clli=row.clli, error=error.message)

    async def _remove(self, row: SteeringRow) -> None:
        await self._edge.delete(row.reservation_id, row.clli, row.steering.steering_id)
        await self._forget(row)

    async def _forget(self, row: SteeringRow) -> None:
        await self._store.run(
            lambda connection: self._demands.forget_steering(connection, row.reservation_id, row.steering.steering_id)
        )

    @property
    def _edge(self) -> EdgeSwitchDriver:
        if self._driver is None:
            raise DeviceUnreachable("this provider has no edge switches: give their addresses")
        return self._driver
