"""Repeatable unary calls (AIP-155): the first answer of a mutating call, kept under (caller, request_id).

The row is written in the transaction of the effect, so a repeat after any crash finds either both or neither.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, LargeBinary, MetaData, String, Table, insert, select

from controller.domain.errors import InvalidRequest
from controller.domain.identity import Identity


def replies_table(metadata: MetaData) -> Table:
    """The table that a process with repeatable unary calls adds to its schema."""
    return Table(
        "replies",
        metadata,
        Column("owner", String, primary_key=True),
        Column("request_id", String, primary_key=True),
        Column("body_sha256", String, nullable=False),
        Column("response", LargeBinary, nullable=False),
    )


class Replies:
    """First answers; both methods run inside the caller's transaction."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, connection: Connection, owner: Identity, request_id: str, digest: str) -> bytes | None:
        """The first answer of this request, if the call is a repeat."""
        query = select(self._table).where(self._table.c.owner == owner.uri, self._table.c.request_id == request_id)
        row = connection.execute(query).mappings().first()
        if row is None:
            return None
        if row["body_sha256"] != digest:
            raise InvalidRequest(
                f"request_id {request_id} was used for a different request: send a fresh UUID4", field="request_id"
            )
        return bytes(row["response"])

    def add(self, connection: Connection, owner: Identity, request_id: str, digest: str, response: bytes) -> None:
        """Keep an answer."""
        row = {"owner": owner.uri, "request_id": request_id, "body_sha256": digest, "response": response}
        connection.execute(insert(self._table).values(**row))
