"""What was handed over to be recorded beside what the records say, so that a record that is missing shows.

What was handed over stands in the sums of `rollups.py`: they grow in the transaction that adds the records, and nothing
else touches them. `docs/accounting.md` says who compares what with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from traceability import tables


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


def books(connection: Connection, *, station: str, since: datetime, until: datetime) -> dict[str, Books]:
    """By lane, of all whose unit finished from `since` up to, not including, `until`; both at quarters of an hour.

    The connection sees everything as of one moment: a unit is in both or in neither.
    """
    book, head = tables.rollup_units.c, tables.inspection.c
    given: Select[Any] = (
        select(book.lane, *(func.sum(book[name]) for name in _NAMES))
        # What a demo made up is no business of the book.
        .where(
            book.station == station,
            book.quarter >= since,
            book.quarter < until,
            book.simulated.is_(False),
        )
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
