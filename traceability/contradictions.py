"""What came a second time under the id of a record and said something else: kept and flagged, and it counts no more."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection, select

from traceability import tables
from traceability.database import insert_new
from traceability.merkle import Entry
from traceability.rows import Row, portions
from traceability.statements import Plain, statement
from traceability.verifier import canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """A statement under the id of a record that says something else."""

    kind: str
    record: UUID
    said: Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """A clash as it was kept. `id` is made of what it says, so that saying it again keeps nothing more."""

    id: UUID
    kind: str
    record: UUID
    said: Plain
    received_at: datetime


def keep_contradictions(connection: Connection, clashes: Iterable[Clash]) -> list[Entry]:
    """Keep them, and give those that are new to the ledger's entries."""
    rows: dict[UUID, Row] = {}
    for one in clashes:
        digest = hashlib.sha256(canonical([one.kind, str(one.record), one.said])).digest()
        rows[UUID(bytes=digest[:16])] = {
            "record_kind": one.kind,
            "record_id": one.record,
            "said": one.said,
            "received_at": datetime.now(UTC),
        }
    if not rows:
        return []
    new = insert_new(connection, tables.contradiction, "id").returning(tables.contradiction.c.id)
    given = [{"id": id_, **row} for id_, row in rows.items()]
    added: Sequence[UUID] = connection.execute(new, given).scalars().all()
    kept = contradictions_from(connection, added)
    return [Entry(kind="contradiction", id=one.id, statement=statement(one)) for one in kept]


def contradictions_from(connection: Connection, ids: Sequence[UUID]) -> list[Contradiction]:
    table = tables.contradiction
    return [
        Contradiction(
            id=row["id"],
            kind=row["record_kind"],
            record=row["record_id"],
            said=row["said"],
            received_at=row["received_at"],
        )
        for some in portions(ids)
        for row in connection.execute(
            select(table).where(table.c.id.in_(some)).order_by(table.c.id)
        ).mappings()
    ]


def contradictions_of(connection: Connection, records: Collection[UUID]) -> tuple[Contradiction, ...]:
    """What came a second time under the ids of these records and said something else, in the order it came."""
    table = tables.contradiction.c
    ids: list[UUID] = []
    for some in portions(sorted(records)):
        ids += connection.execute(select(table.id).where(table.record_id.in_(some))).scalars()
    return tuple(sorted(contradictions_from(connection, ids), key=lambda one: (one.received_at, one.id)))
