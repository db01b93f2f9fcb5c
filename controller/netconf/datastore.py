"""Running and candidate of one endpoint, their locks, and the confirmed commit (RFC 6241 §5.1, §7.5, §8.3, §8.4).

One owner: every change goes through `Datastores`, one at a time. A commit is written to storage before the device
carries it out; a device that refuses gets its old configuration back. What takes time in proportion to what a client
sends (editing, validating) is worked out in another thread, so that nobody else waits for it.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import structlog
from lxml import etree

from controller.netconf.device import DatastoreStorage, NetconfDevice, RpcError, SessionInfo, StoredDatastores
from controller.netconf.edit import apply_edit
from controller.netconf.instances import elements
from controller.netconf.yang_engine import YangViolation
from controller.ports.clock import Clock

log = structlog.get_logger()
DEFAULT_CONFIRM_TIMEOUT_S = 600
RETRY_MIN_S, RETRY_MAX_S = 0.25, 30.0
"""Between tries to store what must be stored."""
DEFAULT_CONFIGURATION_BYTES = 2 * 1024 * 1024
_Result = TypeVar("_Result")


@dataclass(slots=True)
class _Pending:
    """A confirmed commit that waits for its confirmation."""

    rollback: etree._Element
    session_id: int
    persist_id: str | None
    timer: asyncio.Task[None] | None = None


class Datastores:
    """The datastores of one endpoint."""

    def __init__(
        self,
        device: NetconfDevice,
        storage: DatastoreStorage,
        clock: Clock,
        worker: Executor | None = None,
        configuration_bytes: int = DEFAULT_CONFIGURATION_BYTES,
    ) -> None:
        """Edit and validate on threads of `worker`; no datastore grows beyond `configuration_bytes` of XML."""
        self._device = device
        self._storage = storage
        self._clock = clock
        self._worker = worker
        self._configuration_bytes = configuration_bytes
        self._turn = asyncio.Lock()
        self._closed = False
        self._running = etree.Element("data")
        self._candidate: etree._Element | None = None
        self._locks: dict[str, int] = {}
        self._pending: _Pending | None = None
        self._restoring: asyncio.Task[None] | None = None

    async def open(self, initial_running: etree._Element) -> None:
        """Load what storage holds, or begin with `initial_running`; an unconfirmed commit is reverted."""
        stored = await self._storage.load()
        if stored is None:
            await self._save(initial_running, None)
        elif stored.rollback is not None:
            # RFC 6241 §8.4.1: a device that restarts before the confirmation restores the configuration before it.
            await self._save(etree.fromstring(stored.rollback), None)
        else:
            self._running = etree.fromstring(stored.running)
        await self._device.apply(etree.Element("data"), self._running)

    @property
    def running(self) -> etree._Element:
        """The running configuration; not to be changed in place."""
        return self._running

    def source(self, name: str) -> etree._Element:
        """The datastore called `name`."""
        if name == "candidate":
            return self._running if self._candidate is None else self._candidate
        return self._running

    async def off_loop(self, work: Callable[[], _Result]) -> _Result:
        """What `work` makes on another thread. Only bytes may cross: lxml's name tables belong to threads."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    async def edit(
        self, session: SessionInfo, target: str, config: Sequence[etree._Element], default_operation: str
    ) -> None:
        """<edit-config>; on running the change takes effect at once, validated."""
        async with self._owned():
            self._deny_locked(target, session)
            changed = await self._edited(self.source(target), config, default_operation)
            if target == "candidate":
                self._candidate = changed
            else:
                await self._check(changed, session)
                await self._switch_to(changed, self._pending)

    async def replace(self, session: SessionInfo, target: str, content: etree._Element) -> None:
        """<copy-config> onto `target`."""
        async with self._owned():
            self._deny_locked(target, session)
            changed = copy.deepcopy(content)
            if target == "candidate":
                self._candidate = changed
            else:
                await self._check(changed, session)
                await self._switch_to(changed, self._pending)

    async def validate(self, session: SessionInfo, content: etree._Element) -> None:
        """<validate> a whole configuration."""
        await self._check(content, session)

    async def commit(
        self,
        session: SessionInfo,
        *,
        confirmed: bool,
        timeout_s: int = DEFAULT_CONFIRM_TIMEOUT_S,
        persist: str | None = None,
        persist_id: str | None = None,
    ) -> None:
        """<commit>, confirmed or confirming."""
        async with self._owned():
            self._deny_locked("running", session)
            self._deny_locked("candidate", session)
            self._deny_foreign_pending(session, persist_id)
            before = self._running
            after = before if self._candidate is None else self._candidate
            await self._check(after, session)
            if confirmed:
                rollback = before if self._pending is None else self._pending.rollback
                pending = _Pending(rollback, session.session_id, persist)
                await self._switch_to(after, pending)
                self._watch(pending, timeout_s)
            else:
                await self._switch_to(after, None)
                self._forget_pending()
            self._candidate = None

    async def cancel_commit(self, session: SessionInfo, persist_id: str | None) -> None:
        """<cancel-commit>: revert now."""
        async with self._owned():
            if self._pending is None:
                raise RpcError("operation-failed", "no confirmed commit is pending: nothing to cancel")
            self._deny_foreign_pending(session, persist_id)
            await self._revert()

    async def discard(self, session: SessionInfo) -> None:
        """<discard-changes>."""
        async with self._owned():
            self._deny_locked("candidate", session)
            self._candidate = None

    async def lock(self, session: SessionInfo, target: str) -> None:
        """<lock>."""
        async with self._owned():
            holder = self._locks.get(target)
            if holder is not None:
                raise _lock_denied(target, holder)
            if target == "candidate" and self._candidate is not None:
                raise _lock_denied(target, 0, "the candidate holds uncommitted changes: discard or commit them first")
            if target == "running" and self._pending is not None and self._pending.session_id != session.session_id:
                raise _lock_denied(target, self._pending.session_id, "a confirmed commit is pending")
            self._locks[target] = session.session_id

    async def unlock(self, session: SessionInfo, target: str) -> None:
        """<unlock>."""
        async with self._owned():
            if self._locks.get(target) != session.session_id:
                raise RpcError("operation-failed", f"{target} is not locked by this session", error_type="protocol")
            self._release(target)

    async def session_closed(self, session_id: int) -> None:
        """Give back what a session held: locks, and its confirmed commit unless it was made persistent."""
        async with self._turn:
            if self._closed:
                return
            for target in [target for target, holder in self._locks.items() if holder == session_id]:
                self._release(target)
            if self._pending and self._pending.session_id == session_id and self._pending.persist_id is None:
                # RFC 6241 §8.4.1: a lost session reverts a confirmed commit unless <persist> was given.
                try:
                    await self._revert()
                except Exception:
                    log.exception("revert not stored yet", device=self._device.name)
                    self._watch(self._pending, RETRY_MIN_S)

    async def override_running(self, content: etree._Element) -> None:
        """Replace running from the device's own side (a factory reset, a change by the layer below)."""
        async with self._owned():
            await self._save(content, self._pending)

    async def close(self) -> None:
        """Wait for the change under way, and take no other; a pending commit is reverted by the next `open`."""
        async with self._turn:
            self._closed = True
            if self._pending is not None and self._pending.timer is not None:
                self._pending.timer.cancel()
            if self._restoring is not None:
                self._restoring.cancel()

    @asynccontextmanager
    async def _owned(self) -> AsyncIterator[None]:
        """The turn of one change."""
        async with self._turn:
            if self._closed:
                raise RpcError("operation-failed", f"{self._device.name} is not served any more")
            yield

    def _release(self, target: str) -> None:
        del self._locks[target]
        if target == "candidate":
            # RFC 6241 §8.3.5.2: releasing the lock discards uncommitted changes.
            self._candidate = None

    async def _edited(
        self, source: etree._Element, config: Sequence[etree._Element], default_operation: str
    ) -> etree._Element:
        engine, before, edits = self._device.engine, etree.tostring(source), _whole(config)

        def work() -> bytes:
            found = list(elements(etree.fromstring(edits)))
            return etree.tostring(apply_edit(engine, etree.fromstring(before), found, default_operation))

        changed = await self.off_loop(work)
        if len(changed) > self._configuration_bytes:
            raise RpcError(
                "too-big",
                f"the edit makes a configuration of {len(changed)} bytes, the device takes "
                f"{self._configuration_bytes}: remove what is not used",
            )
        return etree.fromstring(changed)

    async def _check(self, content: etree._Element, session: SessionInfo) -> None:
        engine, whole = self._device.engine, etree.tostring(content)
        try:
            await self.off_loop(lambda: engine.validate_config(etree.fromstring(whole)))
        except YangViolation as violation:
            raise RpcError(
                _tag_of(violation),
                violation.message,
                path=violation.path,
                app_tag=violation.app_tag,
            ) from violation
        await self._device.check(self._running, content, session)

    async def _switch_to(self, after: etree._Element, pending: _Pending | None) -> None:
        """State before effect: storage first, then the device; a refusal puts the old state back."""
        before = self._running
        await self._save(after, pending)
        try:
            await self._device.apply(before, after)
        except BaseException:
            self._running = before
            await self._restore()
            raise

    async def _save(self, running: etree._Element, pending: _Pending | None) -> None:
        """Make `running` the running configuration, with what a restart reverts to while `pending` waits.

        Nothing has changed when storage fails.
        """
        stored = StoredDatastores(
            running=etree.tostring(running),
            rollback=None if pending is None else etree.tostring(pending.rollback),
            persist_id=None if pending is None else pending.persist_id,
        )
        await self._storage.save(stored)
        self._running = running
        if self._restoring is not None and self._restoring is not asyncio.current_task():
            self._restoring.cancel()
        self._restoring = None

    async def _restore(self) -> None:
        """Store what holds here once more, after a commit that was stored and not carried out."""
        try:
            await self._save(self._running, self._pending)
        except Exception:
            log.exception("old configuration not stored yet", device=self._device.name)
            if self._restoring is None:
                self._restoring = asyncio.get_running_loop().create_task(self._restore_later())

    async def _restore_later(self) -> None:
        wait_s = RETRY_MIN_S
        while True:
            await self._clock.sleep_s(wait_s)
            wait_s = min(2 * wait_s, RETRY_MAX_S)
            async with self._turn:
                try:
                    await self._save(self._running, self._pending)
                except Exception:
                    log.exception("old configuration not stored yet", device=self._device.name)
                else:
                    return

    def _watch(self, pending: _Pending, timeout_s: float) -> None:
        """Wait for the confirmation of `pending`, which takes the place of an earlier one."""
        self._forget_pending()
        pending.timer = asyncio.get_running_loop().create_task(self._revert_after(timeout_s))
        self._pending = pending

    async def _revert_after(self, timeout_s: float) -> None:
        await self._clock.sleep_s(timeout_s)
        wait_s = RETRY_MIN_S
        while True:
            async with self._turn:
                if self._pending is None or self._pending.timer is not asyncio.current_task():
                    return
                try:
                    await self._revert()
                except Exception:
                    log.exception("revert not stored yet", device=self._device.name)
                else:
                    return
            await self._clock.sleep_s(wait_s)
            wait_s = min(2 * wait_s, RETRY_MAX_S)

    async def _revert(self) -> None:
        """Go back to before the pending commit; it stays pending when storage fails."""
        if self._pending is None:
            return
        before, rollback = self._running, self._pending.rollback
        await self._save(rollback, None)
        self._forget_pending()
        try:
            await self._device.apply(before, rollback)
        except Exception:
            # The datastore is right again; the device side is level-triggered and brings the rest after it.
            log.exception("revert not carried out yet", device=self._device.name)

    def _forget_pending(self) -> None:
        timer = None if self._pending is None else self._pending.timer
        if timer is not None and timer is not asyncio.current_task():
            timer.cancel()
        self._pending = None

    def _deny_locked(self, target: str, session: SessionInfo) -> None:
        holder = self._locks.get(target)
        if holder is not None and holder != session.session_id:
            raise RpcError("in-use", f"{target} is locked by session {holder}", error_type="protocol")

    def _deny_foreign_pending(self, session: SessionInfo, persist_id: str | None) -> None:
        pending = self._pending
        if pending is None:
            if persist_id is not None:
                raise RpcError("invalid-value", f"persist-id {persist_id!r} names no pending confirmed commit")
        elif pending.persist_id is not None:
            if persist_id != pending.persist_id:
                raise RpcError("invalid-value", "the pending confirmed commit has another persist-id")
        elif pending.session_id != session.session_id:
            raise RpcError("in-use", "another session's confirmed commit is pending", error_type="protocol")


def _tag_of(violation: YangViolation) -> str:
    """RFC 7950 §8.3.1 for a value that is not of its type, §15 for broken constraints."""
    if violation.app_tag == "instance-required":
        return "data-missing"
    return "invalid-value" if violation.is_value else "operation-failed"


def _whole(config: Sequence[etree._Element]) -> bytes:
    """The elements of an edit under one root, with the prefixes that hold at them, each said once."""
    parent = config[0].getparent() if config else None
    if parent is not None and list(elements(parent)) == list(config):
        return etree.tostring(parent, with_tail=False)
    return b"<config>" + b"".join(etree.tostring(element, with_tail=False) for element in config) + b"</config>"


def _lock_denied(target: str, holder: int, why: str | None = None) -> RpcError:
    return RpcError(
        "lock-denied",
        why or f"{target} is locked by session {holder}",
        error_type="protocol",
        info=[("session-id", str(holder))],
    )
