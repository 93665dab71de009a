"""What people decided about charts: points left out of the limits, comments, and limits that were frozen.

Entries are only ever added, each with person, time and reason; the newest about a point, or about a chart's limits,
holds. A chart is named by what it is of, not by the time it shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, insert, select
from uuid_utils.compat import uuid7

from traceability import people, tables
from traceability.accounts import Person, note
from traceability.spc.checks import within
from traceability.store import TraceStore

LONGEST_TEXT = 1000


class Entry(StrEnum):
    """`excluded` and `included` are about a point, `frozen` and `released` about limits, `comment` about either;
    `target` is about a figure of merit (`merit.py`), `changed` about a lane's camera, lamp or lens (`changes.py`),
    `drawn` and `looked_at` are about an audit of passed parts (`audits.py`), `ordered` and `ended` about studies that
    the service makes by itself (`standing_studies.py`)."""

    EXCLUDED = "excluded"
    INCLUDED = "included"
    COMMENT = "comment"
    FROZEN = "frozen"
    RELEASED = "released"
    TARGET = "target"
    CHANGED = "changed"
    DRAWN = "drawn"
    LOOKED_AT = "looked_at"
    ORDERED = "ordered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartEntry:
    """`point` is its key; `person` the name, or the commitment to one that was erased; `value` the frozen limits."""

    id: UUID
    kind: Entry
    point: str | None
    reason: str
    value: Mapping[str, Any] | None
    at: datetime
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What holds of a chart now. `excluded` by the point's key; `version` counts the frozen limits up to now."""

    excluded: Mapping[str, ChartEntry]
    comments: tuple[ChartEntry, ...]
    frozen: ChartEntry | None
    version: int


def chart_name(kind: str, *parts: str | None) -> str:
    """Under which entries of a chart are kept, such as `individuals/width/demo/strip`; a part that is any is `*`."""
    return "/".join([kind, *("*" if part is None else part for part in parts)])


def book_of(store: TraceStore, chart: str) -> Book:
    with store.reading() as connection:
        entries = _entries(connection, chart)
    excluded: dict[str, ChartEntry] = {}
    comments: list[ChartEntry] = []
    frozen: ChartEntry | None = None
    version = 0
    for one in entries:
        if one.kind is Entry.EXCLUDED and one.point is not None:
            excluded[one.point] = one
        elif one.kind is Entry.INCLUDED and one.point is not None:
            excluded.pop(one.point, None)
        elif one.kind is Entry.COMMENT:
            comments.append(one)
        elif one.kind is Entry.FROZEN:
            frozen, version = one, version + 1
        elif one.kind is Entry.RELEASED:
            frozen = None
    return Book(excluded=excluded, comments=tuple(comments), frozen=frozen, version=version)


def enter(
    store: TraceStore,
    chart: str,
    kind: Entry,
    *,
    reason: str,
    by: Person,
    at: datetime,
    point: str | None = None,
    value: Mapping[str, Any] | None = None,
) -> UUID:
    """Keep one decision, and say so in the audit. Raises ParameterOutOfRange without a reason."""
    text = reason.strip()
    within(
        len(text),
        parameter="reason",
        allowed=f"1..{LONGEST_TEXT} characters",
        is_allowed=0 < len(text) <= LONGEST_TEXT,
    )
    id = uuid7()
    with store.writing() as connection:
        row = {
            "id": id,
            "chart": chart,
            "kind": kind.value,
            "point": point,
            "reason": text,
            "value": None if value is None else dict(value),
            "at": at,
            "by": people.commit(connection, by.name),
        }
        before = _told_before(connection, chart, kind, point)
        connection.execute(insert(tables.chart_entry), row)
        note(
            connection,
            at=at,
            by=by,
            action=f"chart.{kind.value}",
            subject=f"chart:{chart}",
            before=before,
            after={name: value for name, value in (("point", point), ("limits", row["value"])) if value}
            or {"entry": kind.value},
            reason=text,
        )
    return id


_ABOUT_ONE: Final = (
    {Entry.EXCLUDED, Entry.INCLUDED},
    {Entry.FROZEN, Entry.RELEASED},
    {Entry.TARGET},
    {Entry.ORDERED, Entry.ENDED},
)
"""Entries of one of these sets are about the same thing: the newest holds."""


def _told_before(
    connection: Connection, chart: str, kind: Entry, point: str | None
) -> Mapping[str, Any] | None:
    """What held before, for the audit; None where nobody had said anything, or what was said stands beside."""
    kinds = next((one for one in _ABOUT_ONE if kind in one), None)
    if kinds is None:
        return None
    of = tables.chart_entry.c
    rows = (
        select(of.kind, of.value)
        .where(
            of.chart == chart, of.kind.in_([one.value for one in kinds]), of.point.is_not_distinct_from(point)
        )
        .order_by(of.id.desc())
        .limit(1)
    )
    found = connection.execute(rows).first()
    if found is None:
        return None
    return {"entry": found.kind} | ({} if found.value is None else {"limits": found.value})


def _entries(connection: Connection, chart: str) -> list[ChartEntry]:
    entry = tables.chart_entry
    found = connection.execute(select(entry).where(entry.c.chart == chart).order_by(entry.c.id)).all()
    names = people.names(connection, [row.by for row in found])
    return [
        ChartEntry(
            id=row.id,
            kind=Entry(row.kind),
            point=row.point,
            reason=row.reason,
            value=row.value,
            at=row.at,
            person=names.get(row.by, row.by[:12]),
        )
        for row in found
    ]
