"""Hop 6 of 8: brings physical devices to what the virtual ones hold (from controller.licl.virtual_node, to a PIP).

Level-triggered. One durable row for each share of a device says what is wanted, as which generation, and up to which
generation the PIP confirmed. Whoever changes a row does so in the transaction that changes the virtual device's
datastore (`write`); then `push` sends it while the tenant waits, and the loop sends again whatever is not confirmed:
after a failure, after a revert, after a restart. Generations only grow, so a late message can undo nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, and_, delete, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from controller.domain.errors import DeviceInDoubt, DeviceUnreachable, GeysersError, StaleGeneration
from controller.domain.media import SliceConfiguration
from controller.domain.reservation import SliceReading
from controller.licl.mapping import DeviceShare
from controller.licl.records import dump, load
from controller.licl.schema import LiclTables
from controller.licl.turns import Turns
from controller.ports.clock import Clock, wait_for
from controller.ports.provider import Provider
from controller.ports.store import Store

log = structlog.get_logger()
TRIES_PER_PROVIDER = 8
"""Shares that the loop brings into step at one provider at once; one that hangs leaves room for the others."""
_GENERATION_DIGITS = 18  # of a signed 64-bit number


@dataclass(frozen=True, slots=True)
class SyncTimes:
    """How long to wait for what."""

    apply_s: float = 30.0
    """A PIP edits, checks and confirms a device within this."""
    reading_s: float = 4.0
    """A <get> on a virtual node waits this long for the PIP's readings."""
    first_retry_s: float = 0.5
    longest_retry_s: float = 30.0


@dataclass(frozen=True, slots=True)
class _Row:
    generation: int
    desired: SliceConfiguration
    applied_generation: int


class SliceSync:
    """Desired state of all shares of one VIP, and the loop that carries it out."""

    def __init__(
        self,
        store: Store,
        tables: LiclTables,
        providers: Mapping[str, Provider],
        clock: Clock,
        times: SyncTimes | None = None,
    ) -> None:
        self._store = store
        self._table = tables.slices
        self._providers = providers
        self._clock = clock
        self._times = times or SyncTimes()
        self._turns: Turns[DeviceShare] = Turns()
        self._trying: set[DeviceShare] = set()
        self._failures: dict[DeviceShare, int] = {}
        self._due_tick_s: dict[DeviceShare, float] = {}
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to carry out what is not known to be applied."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop().create_task(self._run(), name="slice-sync")

    async def stop(self) -> None:
        """Stop; what is not applied yet waits in the store."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)

    def write(self, connection: Connection, share: DeviceShare, desired: SliceConfiguration) -> None:
        """Make `desired` the wanted state of a share, in the caller's transaction; equal to before is no change."""
        row = self._read(connection, share)
        text = dump(desired)
        if row is None:
            values = {"provider": share.provider, "reservation": share.reservation, "device": share.device}
            # A PIP begins with an empty share, so an empty wish needs no message.
            generation = 0 if desired == SliceConfiguration() else 1
            connection.execute(
                insert(self._table).values(**values, generation=generation, desired=text, applied_generation=0)
            )
        elif row.desired != desired:
            connection.execute(
                update(self._table).where(self._is(share)).values(generation=row.generation + 1, desired=text)
            )

    def remove(self, connection: Connection, reservations: Sequence[str]) -> None:
        """Forget the shares of reservations that are being given back."""
        connection.execute(delete(self._table).where(self._table.c.reservation.in_(reservations)))

    def written(self, shares: Sequence[DeviceShare], *, now: bool = False) -> None:
        """Tell the loop that rows may have changed; it leaves `push` the first try unless `now`."""
        due = self._clock.tick_s() + (0.0 if now else self._times.first_retry_s)
        for share in shares:
            self._due_tick_s[share] = due
        self._wake.set()

    async def push(self, shares: Sequence[DeviceShare]) -> None:
        """Carry out what is wanted of `shares` now, in the order of their names; raises what a provider answered."""
        for share in sorted(shares):
            try:
                await self._settle(share)
            finally:
                # While this had the turn, the loop left the share alone; it may be for the loop to go on now.
                self._wake.set()

    async def reading(self, share: DeviceShare) -> SliceReading | None:
        """What the device carries now; None when the provider does not say so in time."""
        try:
            async with asyncio.timeout(self._times.reading_s):
                return await self._provider(share).get_slice(share.reservation, share.device)
        except (GeysersError, TimeoutError) as error:
            log.info("no reading", share=share, error=str(error))
            return None

    async def pending(self) -> tuple[DeviceShare, ...]:
        """Shares that are not known to carry what is wanted."""
        return await self._store.run(self._pending)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tries:
            while True:
                try:
                    await self._round(tries)
                except Exception:
                    # Without this loop nothing would ever converge again, so it outlives whatever went wrong.
                    log.exception("synchronisation round failed")
                    await self._clock.sleep_s(self._times.longest_retry_s)

    async def _round(self, tries: asyncio.TaskGroup) -> None:
        """Begin a try for what is due, then wait until something else is, or a try ends, or a row changes.

        Tries run side by side and the round waits for none, so that what hangs holds up nothing else. Each provider has
        a few at a time, in the order in which they came due.
        """
        self._wake.clear()
        waiting = await self.pending()
        for share in set(self._due_tick_s) - set(waiting):
            self._forget(share)
        now = self._clock.tick_s()
        idle = [share for share in waiting if share not in self._trying and share not in self._turns]
        for share in sorted(idle, key=self._due):
            if self._due(share) <= now and self._tries_at(share.provider) < TRIES_PER_PROVIDER:
                self._trying.add(share)
                tries.create_task(self._try(share), name=f"slice {share.device}")
        # What is due and found no room is seen to when a try ends.
        next_tick_s = min((self._due(share) for share in idle if self._due(share) > now), default=None)
        await wait_for(self._clock, self._wake, None if next_tick_s is None else next_tick_s - now)

    async def _try(self, share: DeviceShare) -> None:
        try:
            await self._settle(share)
        except GeysersError as error:
            log.warning("share not in step yet", share=share, kind=type(error).__name__, error=error.message)
        except Exception:
            # The loop must outlive a bug in one provider's adapter; the row stays and is tried again.
            self._back_off(share)
            log.exception("bug while synchronising", share=share)
        finally:
            self._trying.discard(share)
            self._wake.set()

    def _due(self, share: DeviceShare) -> float:
        return self._due_tick_s.get(share, 0.0)

    def _tries_at(self, provider: str) -> int:
        return sum(share.provider == provider for share in self._trying)

    async def _settle(self, share: DeviceShare) -> None:
        """Send the wanted state unless the PIP confirmed it already."""
        async with self._turns.at(share):
            row = await self._store.run(lambda connection: self._read(connection, share))
            if row is None or row.applied_generation >= row.generation:
                self._forget(share)
                return
            try:
                await self._apply(share, row)
            except StaleGeneration as error:
                # The PIP has seen a younger generation than our store remembers (a restored backup): go above it.
                above = max(row.generation, _generation_seen(error)) + 1
                await self._store.run(lambda connection: self._raise_generation(connection, share, row, above))
                self._back_off(share)
                raise
            except GeysersError:
                self._back_off(share)
                raise
            await self._store.run(lambda connection: self._confirm(connection, share, row))
            self._forget(share)

    async def _apply(self, share: DeviceShare, row: _Row) -> None:
        try:
            async with asyncio.timeout(self._times.apply_s):
                await self._provider(share).apply_slice(share.reservation, share.device, row.generation, row.desired)
        except TimeoutError as error:
            raise DeviceInDoubt(f"{share.provider} did not answer within {self._times.apply_s:g} s") from error

    def _provider(self, share: DeviceShare) -> Provider:
        try:
            return self._providers[share.provider]
        except KeyError:
            raise DeviceUnreachable(f"provider {share.provider!r} is not configured: add it") from None

    def _back_off(self, share: DeviceShare) -> None:
        failures = self._failures.get(share, 0) + 1
        self._failures[share] = failures
        wait_s = min(self._times.first_retry_s * 2 ** min(failures - 1, 16), self._times.longest_retry_s)
        self._due_tick_s[share] = self._clock.tick_s() + wait_s
        self._wake.set()

    def _forget(self, share: DeviceShare) -> None:
        self._due_tick_s.pop(share, None)
        self._failures.pop(share, None)

    def _is(self, share: DeviceShare) -> ColumnElement[bool]:
        columns = self._table.c
        return and_(
            columns.provider == share.provider,
            columns.reservation == share.reservation,
            columns.device == share.device,
        )

    def _read(self, connection: Connection, share: DeviceShare) -> _Row | None:
        found = connection.execute(select(self._table).where(self._is(share))).mappings().first()
        if found is None:
            return None
        return _Row(found["generation"], load(SliceConfiguration, found["desired"]), found["applied_generation"])

    def _pending(self, connection: Connection) -> tuple[DeviceShare, ...]:
        columns = self._table.c
        query = (
            select(columns.provider, columns.reservation, columns.device)
            .where(columns.applied_generation < columns.generation)
            .order_by(columns.provider, columns.reservation, columns.device)
        )
        return tuple(DeviceShare(*row) for row in connection.execute(query))

    def _confirm(self, connection: Connection, share: DeviceShare, row: _Row) -> None:
        connection.execute(update(self._table).where(self._is(share)).values(applied_generation=row.generation))

    def _raise_generation(self, connection: Connection, share: DeviceShare, row: _Row, generation: int) -> None:
        connection.execute(
            update(self._table)
            .where(self._is(share), self._table.c.generation == row.generation)
            .values(generation=generation)
        )


def _generation_seen(error: StaleGeneration) -> int:
    """The generation that a PIP says it has; 0 when it says nothing usable."""
    told = str(error.fields.get("generation", ""))
    return int(told) if told.isascii() and told.isdecimal() and len(told) <= _GENERATION_DIGITS else 0
