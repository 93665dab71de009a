"""Every kind of record that the ledger holds, read back from its tables: what `verify` compares with the leaves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Table, select

from traceability import tables
from traceability.contradictions import contradictions_from
from traceability.corrections import correction_from
from traceability.genealogy.rows import form_from, forms_query, links_query, links_selected
from traceability.merkle import Entry, OnRecord
from traceability.rows import inspections_query, inspections_selected, portions
from traceability.statements import statement

Read = Callable[[Connection, Sequence[UUID]], Sequence[Any]]


def _inspections(connection: Connection, ids: Sequence[UUID]) -> Sequence[Any]:
    return inspections_selected(connection, inspections_query().where(tables.inspection.c.id.in_(ids)))


def _forms(connection: Connection, ids: Sequence[UUID]) -> Sequence[Any]:
    rows = connection.execute(forms_query().where(tables.unit_form.c.id.in_(ids)))
    return [form_from(row) for row in rows.mappings()]


def _links(connection: Connection, ids: Sequence[UUID]) -> Sequence[Any]:
    return links_selected(connection, links_query().where(tables.link.c.id.in_(ids)))


def _corrections(connection: Connection, ids: Sequence[UUID]) -> Sequence[Any]:
    rows = connection.execute(select(tables.correction).where(tables.correction.c.id.in_(ids)))
    return [correction_from(row) for row in rows.mappings()]


def _of(module: str, name: str) -> Read:
    """A reader of a module that writes through the store, which enters what it keeps by this table: loaded late."""

    def read_(connection: Connection, ids: Sequence[UUID]) -> Sequence[Any]:
        found: Sequence[Any] = getattr(import_module(f"traceability.{module}"), name)(connection, ids)
        return found

    return read_


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """An entry of the audit as it is kept: `by` is a commitment to a name."""

    id: UUID
    at: datetime
    by: str | None
    role: str | None
    action: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    reason: str | None


def _audits(connection: Connection, ids: Sequence[UUID]) -> Sequence[Any]:
    rows = connection.execute(select(tables.audit).where(tables.audit.c.id.in_(ids)))
    return [Audited(**row) for row in rows.mappings()]


KINDS: dict[str, tuple[Table, Read]] = {
    "inspection": (tables.inspection, _inspections),
    "unit_form": (tables.unit_form, _forms),
    "link": (tables.link, _links),
    "correction": (tables.correction, _corrections),
    "contradiction": (tables.contradiction, contradictions_from),
    "process_step": (tables.process_step, _of("steps", "steps_from")),
    "gauge_series": (tables.gauge_series, _of("steps", "gauges_from")),
    "hold": (tables.hold, _of("holds", "holds_from")),
    "hold_release": (tables.hold_release, _of("holds", "releases_from")),
    "containment": (tables.containment, _of("holds", "containments_from")),
    "audit": (tables.audit, _audits),
    "pruning": (tables.pruning, _of("retention", "prunings_from")),
    "review": (tables.review, _of("reviews", "decided_from")),
    "code_event": (tables.code_event, _of("codes", "noted_from")),
    "epcis_event": (tables.epcis_event, _of("epcis.repository", "taken_from")),
}
"""Per kind its table, whose `id` is the record's, and how its records are read."""

_READ_AT_ONCE = 1000


def entry(kind: str, record: Any) -> Entry:
    return Entry(kind=kind, id=record.id, statement=statement(record))


def read(connection: Connection, kind: str, ids: Sequence[UUID]) -> dict[UUID, Any]:
    """Records by their ids; those that are not there are left out."""
    _, reader = KINDS[kind]
    return {one.id: one for some in portions(ids) for one in reader(connection, some)}


def _entries(connection: Connection, kinds: Collection[str]) -> Iterator[Entry]:
    """All records of these kinds, kind by kind in the order of ids, which is about that of time."""
    for kind in kinds:
        table, _ = KINDS[kind]
        ids: list[UUID] = list(connection.execute(select(table.c.id).order_by(table.c.id)).scalars())
        for start in range(0, len(ids), _READ_AT_ONCE):
            some = ids[start : start + _READ_AT_ONCE]
            records = read(connection, kind, some)
            yield from (entry(kind, records[id_]) for id_ in some)


ON_RECORD: Final = OnRecord(kinds=tuple(KINDS), entries=_entries)
