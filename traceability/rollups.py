"""Counts kept beside the records, in quarters of an hour, so that a chart need not read what it counts.

A quarter of an hour, since every time zone is off UTC by whole quarters, and shifts begin on one. The sums grow in the
transaction that adds the inspections: what is on record is counted, once, and nothing else is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, FromClause, Table, or_

from inspection.tally import IN_CHALLENGE, IN_SETUP
from inspection.types import Inspection, Verdict
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
    stages: dict[_Key, Counter[str]] = {}
    measured: dict[_Key, dict[str, float]] = {}
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
        stage = stage_of(one.recipe.name, one.recipe.revision, [(m.name, m.version) for m in one.models])
        stages.setdefault((*of_one, one.verdict, stage), Counter()).update(units=1)
        # What a unit that was not inspected measured proves nothing.
        for value in one.measurements if one.verdict != Verdict.NOT_INSPECTED else ():
            sums = measured.setdefault((*of_one, value.name, value.unit), {"values": 0, "total": 0.0})
            sums["values"] += 1
            sums["total"] += value.value
        found = Counter(defect.kind for defect in one.defects) if was_produced(one) else Counter[str]()
        for kind, number in found.items():
            defects.setdefault((*of_one, one.verdict, kind), Counter()).update(defects=number, units=1)
    _add_to(connection, tables.rollup_units, ("quarter", "station", "lane", "simulated", "verdict"), units)
    _add_to(
        connection,
        tables.rollup_defects,
        ("quarter", "station", "lane", "simulated", "verdict", "kind"),
        defects,
    )
    _add_to(
        connection,
        tables.rollup_stages,
        ("quarter", "station", "lane", "simulated", "verdict", "stage"),
        stages,
    )
    _add_to(
        connection,
        tables.rollup_measurements,
        ("quarter", "station", "lane", "simulated", "name", "unit"),
        measured,
    )


NOT_PRODUCED = (IN_SETUP, IN_CHALLENGE)
"""A unit that was withheld for one of these, and of which no frame was judged, was shown to the lane while somebody
worked on it, or because it is known to be bad: its defects are none of production."""


def was_produced(one: Inspection) -> bool:
    """Whether the defects of an inspection are those of production; in SQL `produced`."""
    return (
        one.verdict != Verdict.NOT_INSPECTED
        or one.frames_inspected > 0
        or not any(failure in one.failures for failure in NOT_PRODUCED)
    )


def produced(head: FromClause = tables.inspection) -> ColumnElement[bool]:
    """The condition on inspections that `was_produced` is on one; `head` their table, or an alias of it."""
    shown = [head.c.failures[failure].as_integer().is_not(None) for failure in NOT_PRODUCED]
    return or_(head.c.verdict != Verdict.NOT_INSPECTED, head.c.frames_inspected > 0, ~or_(*shown))


def stage_of(recipe: str, revision: int, models: Iterable[tuple[str, str]]) -> str:
    """What units were judged under, in words: recipe with revision, models with version. A change begins a stage."""
    return ", ".join([f"{recipe} {revision}", *(f"{name} {version}" for name, version in models)])


def whole_quarters(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """The quarters of an hour that lie wholly between two moments, as their bounds; equal where there is none."""
    first = quarter_of(since)
    if first < since:
        first += QUARTER
    last = quarter_of(until)
    return (first, last) if first < last else (since, since)


def _add_to(
    connection: Connection, table: Table, key: Sequence[str], counted: Mapping[_Key, Mapping[str, float]]
) -> None:
    rows = [dict(zip(key, at, strict=True)) | dict(counts) for at, counts in counted.items()]
    if rows:
        # In one order for all: two writers that wait for each other's sums would wait for ever.
        rows.sort(key=lambda row: [str(row[name]) for name in key])
        connection.execute(insert_adding(connection, table, *key), rows)
