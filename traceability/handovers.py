"""Shifts handed over: what stood when one ended, in a sheet that never changes, and who of the next took it over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from traceability import people, tables
from traceability.accounts import Person, note
from traceability.errors import HandoverOwn, HandoverTaken, HandoverUnknown
from traceability.store import TraceStore
from traceability.verifier import canonical

MOST: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """`by` is a name, or a commitment where the name was erased."""

    at: datetime
    by: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """`sheet`: what stood at that moment, as plain JSON values. `taken`: None until somebody took the shift over."""

    id: UUID
    station: str
    at: datetime
    by: str
    text: str
    sheet: Mapping[str, Any]
    taken: Taken | None


class Handovers:
    """The handovers of a plant, over the same database as its records.

    Every method raises DatabaseUnreachable; those that write also DatabaseReadOnly and DiskFull.
    """

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    def hand_over(
        self, *, station: str, text: str, sheet: Mapping[str, Any], by: Person, at: datetime
    ) -> Handover:
        """End a shift; the sheet's SHA-256 (of its canonical JSON, RFC 8785) goes to the audit, and with it to the
        ledger."""
        id = uuid7()
        with self._store.writing() as connection:
            row = {
                "id": id,
                "station": station,
                "at": at,
                "by": people.commit(connection, by.name),
                "text": text,
                "sheet": dict(sheet),
            }
            connection.execute(insert(tables.shift_handover), row)
            note(
                connection,
                at=at,
                by=by,
                action="shift.handed_over",
                subject=f"handover:{id}",
                after={"text": text, "sheet_sha256": sha256(canonical(dict(sheet))).hexdigest()},
            )
            return _of(connection, id)

    def take_over(self, id: UUID, *, text: str, by: Person, at: datetime) -> Handover:
        """Say that the next shift knows. Raises HandoverUnknown, HandoverTaken, and HandoverOwn for who handed it over:
        nobody but another person can know that they were told."""
        with self._store.writing() as connection:
            found = _of(connection, id)
            if found.taken is not None:
                raise _taken(found.taken.by)
            if found.by == by.name:
                raise HandoverOwn(
                    "Who handed a shift over does not take it over.",
                    action="Let somebody of the next shift sign in.",
                    by=by.name,
                )
            row = {"handover_id": id, "at": at, "by": people.commit(connection, by.name), "text": text}
            try:
                connection.execute(insert(tables.shift_taken), row)
            except IntegrityError as error:
                # Two who pressed at the same moment: it is the first one's.
                raise _taken("?") from error
            note(
                connection,
                at=at,
                by=by,
                action="shift.taken_over",
                subject=f"handover:{id}",
                after={"text": text},
            )
            return _of(connection, id)

    def of(self, id: UUID) -> Handover:
        """Raises HandoverUnknown."""
        with self._store.reading() as connection:
            return _of(connection, id)

    def all(
        self, *, station: str | None = None, limit: int = MOST, before: UUID | None = None
    ) -> tuple[Handover, ...]:
        """The newest first. `before` goes on where an earlier answer ended."""
        head = tables.shift_handover.c
        wanted = select(head.id).order_by(head.id.desc()).limit(limit)
        if station is not None:
            wanted = wanted.where(head.station == station)
        if before is not None:
            wanted = wanted.where(head.id < before)
        with self._store.reading() as connection:
            ids: list[UUID] = list(connection.execute(wanted).scalars())
            return tuple(_all(connection, ids))


def _taken(by: str) -> HandoverTaken:
    return HandoverTaken(f"{by} took the shift over already.", action="Look at the list.", by=by)


def _of(connection: Connection, id: UUID) -> Handover:
    found = _all(connection, [id])
    if not found:
        raise HandoverUnknown(
            f"No shift was handed over as {id}.", action="Choose one from the list.", handover=str(id)
        )
    return found[0]


def _all(connection: Connection, ids: list[UUID]) -> list[Handover]:
    """The newest first; those that are not there are left out."""
    head, taken = tables.shift_handover.c, tables.shift_taken.c
    rows = connection.execute(
        select(
            tables.shift_handover,
            taken.at.label("taken_at"),
            taken.by.label("taken_by"),
            taken.text.label("taken_text"),
        )
        .outerjoin(tables.shift_taken, taken.handover_id == head.id)
        .where(head.id.in_(ids))
        .order_by(head.id.desc())
    ).all()
    committed = {row.by for row in rows} | {row.taken_by for row in rows if row.taken_by is not None}
    names = people.names(connection, committed)
    return [
        Handover(
            id=row.id,
            station=row.station,
            at=row.at,
            by=names.get(row.by, row.by),
            text=row.text,
            sheet=row.sheet,
            taken=None
            if row.taken_at is None
            else Taken(at=row.taken_at, by=names.get(row.taken_by, row.taken_by), text=row.taken_text),
        )
        for row in rows
    ]
