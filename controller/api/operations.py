"""Long-running operations (AIP-151) and repeatable calls (AIP-155) as rows of the process's own store.

A mutating call writes its operation row, keyed by (caller, request_id), in the same transaction as the state it
starts from; a repeat of the call finds the row and returns the first operation.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    insert,
    select,
    update,
)

from controller.api.status import to_status
from controller.domain.errors import GeysersError, InvalidRequest, NotFound
from controller.domain.identity import Identity
from controller.ports.store import Store


def operations_table(metadata: MetaData) -> Table:
    """The table that each process with long-running operations adds to its schema."""
    return Table(
        "operations",
        metadata,
        Column("name", String, primary_key=True),
        # Two parties may choose the same request_id; each sees only its own operation.
        Column("owner", String, primary_key=True),
        Column("request_id", String, nullable=False),
        Column("body_sha256", String, nullable=False),
        Column("target", String, nullable=False),
        Column("metadata", LargeBinary, nullable=False),
        Column("done", Boolean, nullable=False, default=False),
        Column("result", LargeBinary),
        Column("error", LargeBinary),
        Column("create_time", DateTime, nullable=False),
        UniqueConstraint("owner", "request_id"),
    )


def check_request_id(request_id: str) -> str:
    """Canonical UUID4 text of `request_id`."""
    try:
        parsed = uuid.UUID(request_id)
    except ValueError:
        parsed = None
    if parsed is None or parsed.version != 4:
        raise InvalidRequest(
            f"request_id {request_id!r} is no UUID4: send a fresh one per intention", field="request_id"
        )
    return str(parsed)


def body_sha256(request: Message) -> str:
    """Digest of a request, to tell a repeat from a different request under the same request_id."""
    return hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()


class Operations:
    """Rows of one process's operations; methods taking a connection run inside the caller's transaction."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find_repeat(
        self, connection: Connection, owner: Identity, request_id: str, digest: str
    ) -> operations_pb2.Operation | None:
        """The first operation of this request, if the call is a repeat."""
        query = select(self._table).where(self._table.c.owner == owner.uri, self._table.c.request_id == request_id)
        row = connection.execute(query).mappings().first()
        if row is None:
            return None
        if row["body_sha256"] != digest:
            raise InvalidRequest(
                f"request_id {request_id} was used for a different request: send a fresh UUID4", field="request_id"
            )
        return _to_operation(row)

    def add(
        self,
        connection: Connection,
        *,
        owner: Identity,
        request_id: str,
        digest: str,
        target: str,
        metadata: Message,
        now: datetime,
    ) -> operations_pb2.Operation:
        """Write a new, unfinished operation about `target` (a resource name)."""
        row = {
            "name": f"operations/{request_id}",
            "owner": owner.uri,
            "request_id": request_id,
            "body_sha256": digest,
            "target": target,
            "metadata": _pack(metadata).SerializeToString(),
            "done": False,
            "result": None,
            "error": None,
            "create_time": now.astimezone(UTC).replace(tzinfo=None),
        }
        connection.execute(insert(self._table).values(**row))
        return _to_operation(row)

    def progress(self, connection: Connection, target: str, metadata: Message) -> None:
        """Replace the metadata of the unfinished operations about `target`."""
        connection.execute(
            update(self._table)
            .where(self._table.c.target == target, self._table.c.done.is_(False))
            .values(metadata=_pack(metadata).SerializeToString())
        )

    def finish(self, connection: Connection, target: str, outcome: Message | GeysersError) -> None:
        """End the unfinished operations about `target` with a response or an error."""
        values: dict[str, Any] = {"done": True}
        if isinstance(outcome, GeysersError):
            values["error"] = to_status(outcome).SerializeToString()
        else:
            values["result"] = _pack(outcome).SerializeToString()
        connection.execute(
            update(self._table).where(self._table.c.target == target, self._table.c.done.is_(False)).values(**values)
        )

    def open_targets(self, connection: Connection) -> tuple[str, ...]:
        """What unfinished operations are about; a process that starts wakes each.

        A target may have come to its end long ago: a crash between asking again and telling leaves only this row.
        """
        query = select(self._table.c.target).where(self._table.c.done.is_(False)).distinct()
        return tuple(connection.scalars(query.order_by(self._table.c.target)))

    async def get(self, store: Store, owner: Identity, name: str) -> operations_pb2.Operation:
        """One operation of the caller's; another's looks like none."""
        query = select(self._table).where(self._table.c.name == name, self._table.c.owner == owner.uri)
        row = await store.run(lambda connection: connection.execute(query).mappings().first())
        if row is None:
            raise NotFound(f"operation {name!r} not found", name=name)
        return _to_operation(row)


async def admit(
    store: Store, work: Callable[[Connection], operations_pb2.Operation], wake: Callable[[], None]
) -> operations_pb2.Operation:
    """Run `work` in a transaction, then `wake`, even for a caller that hangs up in between.

    A transaction cannot be called back, so neither may the wake-up be that carries on with what it wrote.
    """

    async def run_and_wake() -> operations_pb2.Operation:
        operation = await store.run(work)
        wake()
        return operation

    return await asyncio.shield(run_and_wake())


def finished(request_id: str, result: Message) -> operations_pb2.Operation:
    """An operation that did nothing but check, and is done (validate_only, AIP-163); it is kept nowhere."""
    return operations_pb2.Operation(name=f"operations/{request_id}", done=True, response=_pack(result))


class OperationsServicer(operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]
    """google.longrunning.Operations: GetOperation, the call that clients poll."""

    def __init__(self, operations: Operations, store: Store, caller: Any) -> None:
        self._operations = operations
        self._store = store
        self._caller = caller

    async def GetOperation(  # noqa: N802 - the name of the RPC
        self, request: operations_pb2.GetOperationRequest, _context: Any
    ) -> operations_pb2.Operation:
        return await self._operations.get(self._store, self._caller(), request.name)


def _pack(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _to_operation(row: Any) -> operations_pb2.Operation:
    operation = operations_pb2.Operation(
        name=row["name"], metadata=any_pb2.Any.FromString(row["metadata"]), done=bool(row["done"])
    )
    if row["error"] is not None:
        operation.error.CopyFrom(status_pb2.Status.FromString(row["error"]))
    elif row["result"] is not None:
        operation.response.CopyFrom(any_pb2.Any.FromString(row["result"]))
    return operation
