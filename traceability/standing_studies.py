"""Studies that the service makes by itself: of golden parts, as soon as enough new runs of them are on record.

Somebody orders such a study once, with a reason; order and end are entries in the book of decisions (`chart_book.py`).
Who shows golden parts every shift then has a study of each so many runs, and nobody has to think of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from inspection.errors import InspectionError
from inspection.identity import IdentifierCode
from traceability import gauge_studies, people, tables
from traceability.accounts import Person
from traceability.chart_book import Entry, chart_name, enter
from traceability.errors import StandingStudyUnknown
from traceability.gauge_studies import Study
from traceability.golden_parts import (
    FromRecord,
    GoldenValue,
    check_parts,
    golden_readings,
    golden_values,
)
from traceability.identifiers import parse
from traceability.samples import Shifts
from traceability.spc.checks import within
from traceability.store import TraceStore

STANDING: Final = "standing"
"""How the names begin under which orders are kept."""

LOOKS_BACK: Final = timedelta(days=30)
"""Runs from before are of a gauge that may have become another."""

LEAST_RUNS: Final = 4
MOST_RUNS: Final = gauge_studies.MOST_READINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingStudy:
    """An order to make a study whenever `runs` new values of the golden `parts` are on record.

    name  of what it is: an order of the same name takes its place
    lane  None: of all lanes of the station
    """

    id: UUID
    name: str
    kind: FromRecord
    characteristic: str
    parts: tuple[IdentifierCode, ...]
    station: str
    lane: str | None
    reference: float | None
    tolerance: float | None
    runs: int
    why: str
    at: datetime
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`values` on record since its last study, and of them what keeps a study from being made: None where none does,
    or where there are not enough yet."""

    values: tuple[GoldenValue, ...]
    refused: InspectionError | None


def order(
    store: TraceStore,
    *,
    kind: FromRecord,
    characteristic: str,
    parts: Sequence[IdentifierCode],
    station: str,
    lane: str | None,
    reference: float | None,
    tolerance: float | None,
    runs: int,
    why: str,
    by: Person,
    at: datetime,
) -> StandingStudy:
    """From now on. Raises ParameterOutOfRange for parts, or a number of runs, of which no study can be made; where a
    reference or a tolerance is missing that this kind needs; and without a reason."""
    check_parts(kind, parts)
    within(
        runs,
        parameter="runs",
        allowed=f"{LEAST_RUNS}..{MOST_RUNS}",
        is_allowed=LEAST_RUNS <= runs <= MOST_RUNS,
    )
    for name, value, kinds in (
        ("reference", reference, ("type_one", "bias")),
        ("tolerance", tolerance, ("type_one",)),
    ):
        within(0, parameter=name, allowed="given", is_allowed=value is not None or kind not in kinds)
    id = enter(
        store,
        chart_name(STANDING, station, lane, kind, characteristic),
        Entry.ORDERED,
        reason=why,
        value={
            "kind": kind,
            "characteristic": characteristic,
            "parts": [str(part) for part in parts],
            "station": station,
            "lane": lane,
            "reference": reference,
            "tolerance": tolerance,
            "runs": runs,
        },
        by=by,
        at=at,
    )
    return standing_as(store, id)


def end(store: TraceStore, id: UUID, *, why: str, by: Person, at: datetime) -> None:
    """Its studies stay. Raises StandingStudyUnknown for an order that does not stand, ParameterOutOfRange without a
    reason."""
    enter(store, standing_as(store, id).name, Entry.ENDED, reason=why, by=by, at=at)


def standing_as(store: TraceStore, id: UUID) -> StandingStudy:
    """Raises StandingStudyUnknown for an order that does not stand, or not any more."""
    for one in standing(store):
        if one.id == id:
            return one
    raise StandingStudyUnknown(
        f"No standing study is {id}.",
        action="Open the page of studies again: another may stand by now.",
        id=str(id),
    )


def standing(store: TraceStore, *, station: str | None = None) -> tuple[StandingStudy, ...]:
    """The orders that stand, in the order in which they were given."""
    entry = tables.chart_entry
    rows = (
        select(entry).where(entry.c.kind.in_((Entry.ORDERED.value, Entry.ENDED.value))).order_by(entry.c.id)
    )
    with store.reading() as connection:
        found = connection.execute(rows).all()
        names = people.names(connection, [row.by for row in found])
    newest = {row.chart: row for row in found}
    return tuple(
        _order(row, person=names.get(row.by, row.by[:12]))
        for row in newest.values()
        if row.kind == Entry.ORDERED.value and station in (None, row.value["station"])
    )


def _order(row: Any, *, person: str) -> StandingStudy:
    said = row.value
    return StandingStudy(
        id=row.id,
        name=row.chart,
        kind=said["kind"],
        characteristic=said["characteristic"],
        parts=tuple(parse(code) for code in said["parts"]),
        station=said["station"],
        lane=said["lane"],
        reference=said["reference"],
        tolerance=said["tolerance"],
        runs=said["runs"],
        why=row.reason,
        at=row.at,
        person=person,
    )


def progress(
    store: TraceStore, standing: StandingStudy, *, at: datetime, shifts: Shifts | None = None
) -> Progress:
    """How far it is to its next study."""
    values = _new_values(store, standing, at=at)
    if len(values) < standing.runs:
        return Progress(values=values, refused=None)
    try:
        gauge_studies.check(standing.kind, _readings(standing, values, shifts))
    except InspectionError as error:
        return Progress(values=values, refused=error)
    return Progress(values=values, refused=None)


def make_if_due(
    store: TraceStore, standing: StandingStudy, *, at: datetime, shifts: Shifts | None = None
) -> Study | None:
    """The study that is due, kept as the system's own; None where there are not enough new runs yet.

    Raises SpcError where nothing follows from them, as where a lane has not seen a part twice: it stays due.
    """
    values = _new_values(store, standing, at=at)
    if len(values) < standing.runs:
        return None
    return gauge_studies.record(
        store,
        kind=standing.kind,
        characteristic=standing.characteristic,
        model="",
        readings=_readings(standing, values, shifts),
        at=at,
        by=None,
        simulated=any(one.simulated for one in values),
    )


def _new_values(store: TraceStore, standing: StandingStudy, *, at: datetime) -> tuple[GoldenValue, ...]:
    """Since the last study that it made, and since camera, lamp or lens changed, but none older than LOOKS_BACK."""
    since = at - LOOKS_BACK
    for study in gauge_studies.studies(
        store, characteristic=standing.characteristic, kinds=(standing.kind,), since=since, limit=None
    ):
        if study.readings.get(STANDING) == standing.name:
            since = max(since, study.made_at)
            break
    return golden_values(
        store,
        standing.characteristic,
        standing.parts,
        since=since,
        station=standing.station,
        lane=standing.lane,
    )


def _readings(
    standing: StandingStudy, values: Sequence[GoldenValue], shifts: Shifts | None
) -> dict[str, Any]:
    known = {"reference": standing.reference, "tolerance": standing.tolerance, STANDING: standing.name}
    found = golden_readings(standing.kind, standing.parts, values, shifts=shifts)
    return found | {name: value for name, value in known.items() if value is not None}
