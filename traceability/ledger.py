"""What was handed over to be recorded, counted apart from the records, so that a record that is missing shows.

Each quarter of an hour and each lane has one line in the book: it is written in the transaction that adds the records,
and only added to. `docs/accounting.md` says who compares it with what.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.dialects import postgresql, sqlite

from inspection.types import Inspection
from traceability import tables

QUARTER: Final = timedelta(minutes=15)
"""Shifts begin at one, in every time zone there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """How many units, and how many of their exposures became what."""

    units: int = 0
    triggers: int = 0
    frames_inspected: int = 0
    frames_failed: int = 0
    frames_lost: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(**{name: getattr(self, name) + getattr(other, name) for name in _NAMES})

    def differs_by(self, other: Sums) -> int:
        """The largest difference of one of the counts. 0: they are the same."""
        pairs: Iterable[tuple[int, int]] = zip(astuple(self), astuple(other), strict=True)
        return max(abs(mine - theirs) for mine, theirs in pairs)


_NAMES: Final = tuple(field.name for field in fields(Sums))


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Of one lane: what was handed over, and what the records say now. They are the same, or a record was lost,
    removed or altered after it was committed."""

    handed_over: Sums
    recorded: Sums

    @property
    def gap(self) -> int:
        return self.handed_over.differs_by(self.recorded)


def quarter_of(at: datetime) -> datetime:
    """The beginning of its quarter of an hour."""
    return at.replace(minute=at.minute - at.minute % 15, second=0, microsecond=0)


def enter(connection: Connection, inspections: Iterable[Inspection]) -> None:
    """Add inspections to the book, in the transaction that records them. Those that a demo made up are no business."""
    lines: dict[tuple[str, str, datetime], Sums] = defaultdict(Sums)
    for one in inspections:
        if not one.simulated:
            lines[one.station, one.lane, quarter_of(one.finished_at)] += Sums(
                units=1,
                triggers=one.triggers,
                frames_inspected=one.frames_inspected,
                frames_failed=one.frames_failed,
                frames_lost=one.frames_lost,
            )
    # In one order for all: two writers that wait for each other's lines would wait for ever.
    for (station, lane, quarter), sums in sorted(lines.items(), key=lambda line: line[0]):
        book = tables.handed_over
        row = {"station": station, "lane": lane, "quarter": quarter}
        row |= {name: getattr(sums, name) for name in _NAMES}
        insert: postgresql.Insert | sqlite.Insert = (
            postgresql.insert(book) if connection.dialect.name == "postgresql" else sqlite.insert(book)
        )
        connection.execute(
            insert.values(row).on_conflict_do_update(
                index_elements=["station", "lane", "quarter"],
                set_={name: book.c[name] + insert.excluded[name] for name in _NAMES},
            )
        )


def books(connection: Connection, *, station: str, since: datetime, until: datetime) -> dict[str, Books]:
    """By lane, of all whose unit finished from `since` up to, not including, `until`; both at quarters of an hour.

    The connection sees everything as of one moment: a unit is in both or in neither.
    """
    book, head = tables.handed_over.c, tables.inspection.c
    given: Select[Any] = (
        select(book.lane, *(func.sum(book[name]) for name in _NAMES))
        .where(book.station == station, book.quarter >= since, book.quarter < until)
        .group_by(book.lane)
    )
    counted = (func.sum(head[name]) for name in _NAMES if name != "units")
    found: Select[Any] = (
        select(head.lane, func.count(), *counted)
        .where(
            head.station == station,
            head.finished_at >= since,
            head.finished_at < until,
            head.simulated.is_(False),
        )
        .group_by(head.lane)
    )
    handed_over, recorded = _by_lane(connection, given), _by_lane(connection, found)
    return {
        lane: Books(handed_over=handed_over.get(lane, Sums()), recorded=recorded.get(lane, Sums()))
        for lane in sorted(handed_over.keys() | recorded.keys())
    }


def _by_lane(connection: Connection, rows: Select[Any]) -> dict[str, Sums]:
    return {
        str(row[0]): Sums(**{name: int(value) for name, value in zip(_NAMES, row[1:], strict=True)})
        for row in connection.execute(rows)
    }
