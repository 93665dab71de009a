"""Rational subgroups and counts for the charts, counted by the database where the data is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice, pairwise
from typing import Literal
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Table,
    and_,
    case,
    column,
    func,
    or_,
    select,
    true,
    values,
)

from inspection.identity import IdentifierCode
from inspection.types import Verdict
from traceability import rollups, tables
from traceability.database import plain_rows
from traceability.errors import SubgroupUnknown, TooManySubgroups
from traceability.spc.attributes import CountSample
from traceability.spc.yields import pareto as pareto_of
from traceability.store import TraceStore, of

By = Literal["hour", "shift"]

# Three months of hours. A chart with more points cannot be read, and SQLite takes 32 766 values at most.
MOST_SUBGROUPS = 2500

_KEY_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifts:
    """When the shifts of a plant begin.

    starts     local times of day, ascending; each shift lasts until the next begins
    time_zone  of those times; None: that of the computer, with its summer time
    """

    starts: tuple[time, ...] = (time(6), time(14), time(22))
    time_zone: tzinfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `since` up to, not including, `until`; both aware UTC."""

    since: datetime
    until: datetime

    @property
    def key(self) -> str:
        return f"{self.since:{_KEY_TIME}}-{self.until:{_KEY_TIME}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSeen:
    """One inspection of a subgroup, without its details. `picture` is the digest of its first, or None."""

    id: UUID
    unit: IdentifierCode
    station: str
    lane: str
    finished_at: datetime
    verdict: Verdict
    defects: int
    picture: str | None
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KindCount:
    """One bar of a Pareto of defect kinds. Shares are of all defects, 0..1; `units` had any of it."""

    kind: str
    defects: int
    units: int
    share: float
    cumulative_share: float


def rejected_samples(
    store: TraceStore,
    *,
    by: By,
    since: datetime,
    until: datetime | None = None,
    station: str | None = None,
    lane: str | None = None,
    simulated: bool | None = None,
    shifts: Shifts | None = None,
) -> tuple[CountSample, ...]:
    """Refused units per hour or shift, oldest first; subgroups in which nothing was finished are left out.

    since  the subgroup it falls into is counted whole
    until  None: up to now, the subgroup in progress included

    Raises TooManySubgroups.
    """
    plan = shifts or Shifts()
    end = until or datetime.now(UTC)
    every = _hours(since, end, plan) if by == "hour" else _shifts(since, end, plan)
    windows = list(islice(every, MOST_SUBGROUPS + 1))
    if len(windows) > MOST_SUBGROUPS:
        raise TooManySubgroups(
            f"That is more than {MOST_SUBGROUPS} subgroups, the most one chart can show.",
            action="Choose a shorter time or longer subgroups.",
            allowed=MOST_SUBGROUPS,
        )
    if not windows:
        return ()
    with store.reading() as connection:
        counted = _counted(connection, windows, end, station=station, lane=lane, simulated=simulated)
    return tuple(
        _sample(windows[number], by, plan, units, simulated=made_up)
        for number, (units, made_up) in sorted(counted.items())
    )


_Units = tuple[Counter[Verdict], int]
"""Units per verdict, and how many of them are simulated."""


def _counted(
    connection: Connection,
    windows: Sequence[Window],
    end: datetime,
    *,
    station: str | None,
    lane: str | None,
    simulated: bool | None,
) -> dict[int, _Units]:
    """Units of each window, by its number, finished before `end`; windows in which nothing was finished are left out.

    Whole quarters of an hour come from their sums; the rest, mostly nothing, from the records themselves.
    """
    summed, rest = [], []
    for number, window in enumerate(windows):
        until = min(window.until, end)
        first, last = rollups.whole_quarters(window.since, until)
        summed.append((number, first, last))
        rest += [(number, since, to) for since, to in ((window.since, first), (last, until)) if since < to]
    rollup, head = tables.rollup_units.c, tables.inspection.c

    def wanted(table: Table) -> list[ColumnElement[bool]]:
        return of(table, station=station, lane=lane, simulated=simulated)

    found: dict[int, _Units] = {}
    for bounds, table, at, how_many in (
        (summed, tables.rollup_units, rollup.quarter, func.sum(rollup.units)),
        (rest, tables.inspection, head.finished_at, func.count()),
    ):
        if not bounds:
            continue
        # As a common table expression, the only place where SQLite lets VALUES name its columns.
        spans = (
            values(
                column("number", Integer), column("since", tables.UtcTime), column("until", tables.UtcTime)
            )
            .data(bounds)
            .cte("spans")
        )
        rows = (
            select(spans.c.number, table.c.verdict, table.c.simulated, how_many)
            .select_from(spans)
            .join(table, and_(at >= spans.c.since, at < spans.c.until))
            .where(*wanted(table))
            .group_by(spans.c.number, table.c.verdict, table.c.simulated)
        )
        for number, verdict, made_up, units in plain_rows(connection, rows):
            so_far, of_those = found.get(number, (Counter(), 0))
            so_far[verdict] += int(units)
            found[number] = (so_far, of_those + (int(units) if made_up else 0))
    return found


def units_of_subgroup(
    store: TraceStore,
    key: str,
    *,
    station: str | None = None,
    lane: str | None = None,
    simulated: bool | None = None,
    limit: int = 500,
) -> tuple[UnitSeen, ...]:
    """The inspections of one subgroup, what was withheld most first, then the newest.

    Raises SubgroupUnknown for a key that no CountSample carries.
    """
    window = window_of(key)
    head = tables.inspection.c
    defects = select(func.count()).where(tables.defect.c.inspection_id == head.id).scalar_subquery()
    picture = (
        select(tables.picture.c.sha256)
        .where(tables.picture.c.inspection_id == head.id, tables.picture.c.position == 0)
        .scalar_subquery()
    )
    severity = case(*((head.verdict == verdict, int(verdict)) for verdict in Verdict))
    rows = (
        select(
            head.id,
            head.read_as,
            tables.identifier.c.scheme,
            tables.identifier.c.canon,
            head.station,
            head.lane,
            head.finished_at,
            head.verdict,
            defects.label("defects"),
            picture.label("picture"),
            head.simulated,
        )
        .join(tables.identifier, tables.identifier.c.id == head.identifier_id)
        .where(
            *of(tables.inspection, station=station, lane=lane, simulated=simulated),
            head.finished_at >= window.since,
            head.finished_at < window.until,
        )
        .order_by(severity.desc(), head.finished_at.desc(), head.id.desc())
        .limit(limit)
    )
    with store.reading() as connection:
        return tuple(
            UnitSeen(
                id=row.id,
                unit=IdentifierCode(scheme=row.scheme, raw=row.read_as, canon=row.canon),
                station=row.station,
                lane=row.lane,
                finished_at=row.finished_at,
                verdict=row.verdict,
                defects=row.defects,
                picture=row.picture,
                simulated=row.simulated,
            )
            for row in connection.execute(rows)
        )


def pareto(
    store: TraceStore,
    *,
    since: datetime,
    until: datetime | None = None,
    station: str | None = None,
    lane: str | None = None,
    simulated: bool | None = None,
) -> tuple[KindCount, ...]:
    """All defects found in units finished in the window, by kind, the most frequent first."""
    end = until or datetime.now(UTC)
    first, last = rollups.whole_quarters(since, end)
    rollup, head, defect = tables.rollup_defects.c, tables.inspection.c, tables.defect.c

    def wanted(table: Table) -> list[ColumnElement[bool]]:
        return of(table, station=station, lane=lane, simulated=simulated)

    summed = (
        select(rollup.kind, func.sum(rollup.defects), func.sum(rollup.units))
        .where(*wanted(tables.rollup_defects), rollup.quarter >= first, rollup.quarter < last)
        .group_by(rollup.kind)
    )
    beside = or_(
        and_(head.finished_at >= since, head.finished_at < first),
        and_(head.finished_at >= last, head.finished_at < end if until is not None else true()),
    )
    rest = (
        select(defect.kind, func.count(), func.count(func.distinct(defect.inspection_id)))
        .select_from(tables.inspection)
        .join(tables.defect, defect.inspection_id == head.id)
        .where(*wanted(tables.inspection), beside)
        .group_by(defect.kind)
    )
    defects: Counter[str] = Counter()
    units: Counter[str] = Counter()
    with store.reading() as connection:
        for rows in (summed, rest):
            for kind, of_kind, with_it in plain_rows(connection, rows):
                defects[kind] += int(of_kind)
                units[kind] += int(with_it)
    return tuple(
        KindCount(
            kind=bar.name,
            defects=defects[bar.name],
            units=units[bar.name],
            share=bar.share,
            cumulative_share=bar.cumulative_share,
        )
        for bar in pareto_of(defects)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredValue:
    """One measured value of one unit, as individuals charts take it.

    stage  recipe with revision, and models with version: where it changes, limits start anew by themselves
    """

    id: UUID
    at: datetime
    value: float
    unit: str
    stage: str
    simulated: bool


def measured_values(
    store: TraceStore,
    name: str,
    *,
    since: datetime,
    until: datetime | None = None,
    station: str | None = None,
    lane: str | None = None,
    simulated: bool | None = None,
) -> tuple[MeasuredValue, ...]:
    """The newest MOST_SUBGROUPS values of a measurement in units finished in the window, oldest first.

    Of a unit that was not inspected none is taken: what it measured proves nothing.
    """
    head, measured, model = tables.inspection.c, tables.measurement.c, tables.inspection_model.c
    rows = (
        select(
            head.id,
            head.finished_at,
            measured.value,
            measured.unit,
            head.recipe_name,
            head.recipe_revision,
            head.simulated,
        )
        .select_from(tables.inspection)
        .join(tables.measurement, measured.inspection_id == head.id)
        .where(
            *of(tables.inspection, station=station, lane=lane, simulated=simulated),
            measured.name == name,
            head.verdict != Verdict.NOT_INSPECTED,
            head.finished_at >= since,
            head.finished_at < until if until is not None else true(),
        )
        .order_by(head.finished_at.desc(), head.id.desc(), measured.position)
        .limit(MOST_SUBGROUPS)
    )
    with store.reading() as connection:
        found = connection.execute(rows).all()[::-1]
        models: dict[UUID, list[str]] = {}
        for start in range(0, len(found), 500):
            named = (
                select(model.inspection_id, model.name, model.version)
                .where(model.inspection_id.in_([row.id for row in found[start : start + 500]]))
                .order_by(model.inspection_id, model.position)
            )
            for row in connection.execute(named):
                models.setdefault(row.inspection_id, []).append(f"{row.name} {row.version}")
    return tuple(
        MeasuredValue(
            id=row.id,
            at=row.finished_at,
            value=row.value,
            unit=row.unit,
            stage=", ".join([f"{row.recipe_name} {row.recipe_revision}", *models.get(row.id, [])]),
            simulated=row.simulated,
        )
        for row in found
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementSeen:
    """What was measured in a window: its name, its unit of measurement, in how many units."""

    name: str
    unit: str
    values: int


def measurements_seen(
    store: TraceStore,
    *,
    since: datetime,
    until: datetime | None = None,
    station: str | None = None,
    lane: str | None = None,
) -> tuple[MeasurementSeen, ...]:
    """All that was measured in units finished in the window and inspected, by name."""
    head, measured = tables.inspection.c, tables.measurement.c
    rows = (
        select(measured.name, func.max(measured.unit).label("unit"), func.count().label("values"))
        .select_from(tables.inspection)
        .join(tables.measurement, measured.inspection_id == head.id)
        .where(
            *of(tables.inspection, station=station, lane=lane, simulated=None),
            head.verdict != Verdict.NOT_INSPECTED,
            head.finished_at >= since,
            head.finished_at < until if until is not None else true(),
        )
        .group_by(measured.name)
        .order_by(measured.name)
    )
    with store.reading() as connection:
        return tuple(
            MeasurementSeen(name=name, unit=unit, values=int(values))
            for name, unit, values in plain_rows(connection, rows)
        )


def window_of(key: str) -> Window:
    """The window a subgroup's key names. Raises SubgroupUnknown."""
    try:
        if not re.fullmatch(r"\d{8}T\d{6}Z-\d{8}T\d{6}Z", key, re.ASCII):
            raise ValueError(key)
        since, until = (datetime.strptime(moment, _KEY_TIME).replace(tzinfo=UTC) for moment in key.split("-"))
    except ValueError as error:
        raise SubgroupUnknown(
            f"{key!r} names no subgroup.",
            action="Open the chart again and choose the point there.",
            key=key,
        ) from error
    return Window(since=since, until=until)


def shift_at(moment: datetime, plan: Shifts | None = None) -> Window:
    """The shift that `moment`, aware, falls into."""
    return next(_shifts(moment, moment + timedelta(microseconds=1), plan or Shifts()))


def _sample(
    window: Window, by: By, plan: Shifts, units: Mapping[Verdict, int], *, simulated: int
) -> CountSample:
    begins = window.since.astimezone(plan.time_zone)
    ends = window.until.astimezone(plan.time_zone)
    return CountSample(
        key=window.key,
        label=f"{begins:%Y-%m-%d %H:%M}" + (f"–{ends:%H:%M}" if by == "shift" else ""),
        at=window.since,
        count=units[Verdict.REJECT],
        opportunity=units[Verdict.ACCEPT] + units[Verdict.REVIEW] + units[Verdict.REJECT],
        review=units[Verdict.REVIEW],
        not_inspected=units[Verdict.NOT_INSPECTED],
        simulated=simulated,
    )


def _hours(since: datetime, end: datetime, plan: Shifts) -> Iterator[Window]:
    # On the local clock, whose full hours are not those of UTC everywhere; but in steps of real hours.
    local = since.astimezone(plan.time_zone)
    start = since.astimezone(UTC) - timedelta(
        minutes=local.minute, seconds=local.second, microseconds=local.microsecond
    )
    while start < end:
        yield Window(since=start, until=start + timedelta(hours=1))
        start += timedelta(hours=1)


def _shifts(since: datetime, end: datetime, plan: Shifts) -> Iterator[Window]:
    # From the day before: the shift at hand may have begun yesterday.
    day = since.astimezone(plan.time_zone).date() - timedelta(days=1)
    for start, stop in pairwise(_shift_starts(day, plan)):
        if start >= end:
            return
        if stop > since:
            yield Window(since=start, until=stop)


def _shift_starts(day: date, plan: Shifts) -> Iterator[datetime]:
    while True:
        for start in plan.starts:
            local = datetime.combine(day, start, plan.time_zone)
            yield local.astimezone(UTC)
        day += timedelta(days=1)
