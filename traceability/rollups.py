"""Counts kept beside the records, in quarters of an hour, so that a chart need not read what it counts.

A quarter of an hour, since every time zone is off UTC by whole quarters, and shifts begin on one. The sums grow in the
transaction that adds the inspections: what is on record is counted, once, and nothing else is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Table

from inspection.types import Inspection
from traceability import tables
from traceability.database import insert_adding

QUARTER = timedelta(minutes=15)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Key = tuple[object, ...]


def quarter_of(moment: datetime) -> datetime:
    """The quarter of an hour that `moment`, aware, falls into: its beginning, in UTC."""
    return moment.astimezone(UTC) - (moment - _EPOCH) % QUARTER


def add(connection: Connection, inspections: Iterable[Inspection]) -> None:
    """Count inspections that were added in this transaction."""
    units: dict[_Key, Counter[str]] = {}
    defects: dict[_Key, Counter[str]] = {}
    for one in inspections:
        of_one = (quarter_of(one.finished_at), one.station, one.lane, one.simulated)
        counted = units.setdefault((*of_one, one.verdict), Counter())
        counted.update(
            units=1,
            triggers=one.triggers,
            frames_inspected=one.frames_inspected,
            frames_failed=one.frames_failed,
            frames_lost=one.frames_lost,
            unaccounted=abs(one.unaccounted),
        )
        for kind, number in Counter(defect.kind for defect in one.defects).items():
            defects.setdefault((*of_one, kind), Counter()).update(defects=number, units=1)
    _add_to(connection, tables.rollup_units, ("quarter", "station", "lane", "simulated", "verdict"), units)
    _add_to(connection, tables.rollup_defects, ("quarter", "station", "lane", "simulated", "kind"), defects)


def whole_quarters(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """The quarters of an hour that lie wholly between two moments, as their bounds; equal where there is none."""
    first = quarter_of(since)
    if first < since:
        first += QUARTER
    last = quarter_of(until)
    return (first, last) if first < last else (since, since)


def _add_to(
    connection: Connection, table: Table, key: Sequence[str], counted: Mapping[_Key, Counter[str]]
) -> None:
    rows = [dict(zip(key, at, strict=True)) | counts for at, counts in counted.items()]
    if rows:
        # In one order for all: two writers that wait for each other's sums would wait for ever.
        rows.sort(key=lambda row: [str(row[name]) for name in key])
        connection.execute(insert_adding(connection, table, *key), rows)
