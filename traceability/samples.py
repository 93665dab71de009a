"""Rational subgroups and counts for the charts, counted by the database where the data is."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice, pairwise
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    Table,
    and_,
    case,
    column,
    func,
    select,
    true,
    values,
)

from inspection.identity import IdentifierCode
from inspection.types import Verdict
from traceability import rollups, tables
from traceability.changes import changes, stage_after
from traceability.database import plain_rows
from traceability.errors import SubgroupUnknown, TooManySubgroups
from traceability.rows import among
from traceability.spc.attributes import CountSample
from traceability.spc.yields import pareto as pareto_of
from traceability.store import TraceStore, of_production

By = Literal["hour", "shift"]

Weigh = Literal["count", "area", "cost"]
"""What the bars of a Pareto are as long as."""

Counting = Literal["units", "defects"]
"""What a chart counts: units that were refused, or that have a kind of defect; or the defects themselves."""

# Three months of hours. A chart with more points cannot be read, and SQLite takes 32 766 values at most.
MOST_SUBGROUPS = 2500

_Units = tuple[Counter[Verdict], int]
"""Units per verdict, and how many of them are simulated."""

MOST_LOOKED_AT = 100_000
"""Among so many of the newest units the values of a measurement are looked for."""

PORTION = 500

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
    """One bar of a Pareto of defect kinds. Shares are of the whole `weight`, 0..1: of all defects, or of what they are
    weighed by; `units` had any of it."""

    kind: str
    defects: int
    units: int
    weight: float
    share: float
    cumulative_share: float


def count_samples(
    store: TraceStore,
    *,
    by: By,
    since: datetime,
    until: datetime | None = None,
    station: str | None = None,
    lane: str | None = None,
    simulated: bool | None = None,
    shifts: Shifts | None = None,
    stratum: Stratum | None = None,
    counting: Counting = "units",
) -> tuple[CountSample, ...]:
    """Refused units per hour or shift, or the defects of all that were judged, oldest first; subgroups in which nothing
    was finished are left out.

    since    the subgroup it falls into is counted whole
    until    the last subgroup is counted up to it; None: up to now, the subgroup in progress included
    stratum  None: all units

    Samples have a stage where one lane is asked for, or one stage. Raises TooManySubgroups.
    """
    plan = shifts or Shifts()
    now = until or datetime.now(UTC)
    chosen = stratum or Stratum()
    windows = _at_most(_hours(since, now, plan) if by == "hour" else _shifts(since, now, plan))
    if chosen.shift is not None:
        windows = [window for window in windows if _shift_start(window.since, plan) == chosen.shift]
    if not windows:
        return ()
    # Up to now is all that is on record: the subgroup in progress is in the sums too, as a whole.
    end = until or windows[-1].until
    wanted = _Wanted(station=station, lane=lane, simulated=simulated)
    is_of_refused = chosen.kind is None and counting == "units"
    happened = () if lane is None else changes(store, station=station, lane=lane)
    with store.reading() as connection:
        # Of several lanes the one with most units would set the stage of all.
        has_stages = lane is not None or chosen.stage is not None
        stages = _stages(connection, windows, end, wanted) if has_stages else {}
        if chosen.stage is None:
            counted = _counted(connection, windows, end, wanted)
        else:
            counted = {
                number: units
                for number, of_stage in stages.items()
                if (units := of_stage.get(chosen.stage)) is not None
            }
        found = None
        if not (chosen.camera is None and (chosen.stage is None or is_of_refused)):
            found = _from_records(connection, windows, end, chosen, wanted, counting)
        elif not is_of_refused:
            found = _in_sums(connection, windows, end, chosen.kind, wanted, counting)
    return tuple(
        _sample(
            windows[number],
            by,
            plan,
            units,
            simulated=made_up,
            stage=stage_after(
                _main_stage(stages.get(number, {})) if chosen.stage is None else chosen.stage,
                windows[number].since,
                happened,
                lane=lane,
            ),
            count=None if found is None else found[number],
        )
        for number, (units, made_up) in sorted(counted.items())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """A part of the units, to look at alone; None stands for any.

    stage  what they were judged under, as `rollups.stage_of` says it
    shift  local start of the shift they were finished in
    kind   counted are the judged units that had a defect of this kind, whatever their verdict, instead of refused ones
    camera counted are those that had a defect seen by this camera
    """

    stage: str | None = None
    shift: time | None = None
    kind: str | None = None
    camera: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    station: str | None
    lane: str | None
    simulated: bool | None

    def of(self, table: Table) -> list[ColumnElement[bool]]:
        return of_production(table, station=self.station, lane=self.lane, simulated=self.simulated)


def stages_seen(
    store: TraceStore, *, since: datetime, station: str | None = None, lane: str | None = None
) -> tuple[str, ...]:
    """All that units finished from `since` on were judged under."""
    rollup = tables.rollup_stages.c
    rows = (
        select(rollup.stage)
        .where(
            *of_production(tables.rollup_stages, station=station, lane=lane, simulated=None),
            rollup.quarter >= rollups.quarter_of(since),
        )
        .distinct()
        .order_by(rollup.stage)
    )
    with store.reading() as connection:
        return tuple(connection.execute(rows).scalars())


def kinds_seen(
    store: TraceStore, *, since: datetime, station: str | None = None, lane: str | None = None
) -> tuple[str, ...]:
    """All kinds of defects found in units finished from `since` on."""
    rollup = tables.rollup_defects.c
    rows = (
        select(rollup.kind)
        .where(
            *of_production(tables.rollup_defects, station=station, lane=lane, simulated=None),
            rollup.quarter >= rollups.quarter_of(since),
        )
        .distinct()
        .order_by(rollup.kind)
    )
    with store.reading() as connection:
        return tuple(connection.execute(rows).scalars())


def cameras_seen(
    store: TraceStore, *, since: datetime, station: str | None = None, lane: str | None = None
) -> tuple[str, ...]:
    """All cameras that saw a defect on units finished from `since` on."""
    head, defect = tables.inspection.c, tables.defect.c
    rows = (
        select(defect.camera)
        .join(tables.inspection, head.id == defect.inspection_id)
        .where(
            *of_production(tables.inspection, station=station, lane=lane, simulated=None),
            head.finished_at >= since,
        )
        .distinct()
        .order_by(defect.camera)
    )
    with store.reading() as connection:
        return tuple(connection.execute(rows).scalars())


def _main_stage(of_stage: Mapping[str, _Units]) -> str:
    """What most of the units were judged under; of equals the first by name."""
    return min(of_stage, key=lambda stage: (-sum(of_stage[stage][0].values()), stage), default="")


def _spans(bounds: Sequence[tuple[int, datetime, datetime]]) -> CTE:
    # As a common table expression, the only place where SQLite lets VALUES name its columns.
    return (
        values(column("number", Integer), column("since", tables.UtcTime), column("until", tables.UtcTime))
        .data(list(bounds))
        .cte("spans")
    )


def _sums(
    connection: Connection,
    table: Table,
    bounds: Sequence[tuple[int, datetime, datetime]],
    wanted: _Wanted,
    *,
    by: Sequence[str],
    of_columns: Sequence[str],
    kind: str | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Sums of a rollup's quarters, each with the number of the bounds it lies in: number, `by`, sums.

    bounds  ascending, apart from one another
    kind    of a rollup of defects; None: all kinds

    Sorted into the bounds here: joined by the database, month-long charts took a second on either engine, which had
    rather go through all of a lane for each of them.
    """
    if not bounds:
        return
    quarter = table.c.quarter
    columns = [table.c[name] for name in by]
    # What lies in one window the database adds up by itself: three months of quarters need not come here.
    apart = [quarter] if len(bounds) > 1 else []
    rows = (
        select(*apart, *columns, *(func.sum(table.c[name]) for name in of_columns))
        .where(
            quarter >= bounds[0][1],
            quarter < bounds[-1][2],
            *wanted.of(table),
            table.c.kind == kind if kind is not None else true(),
        )
        .group_by(*apart, *columns)
    )
    if not apart:
        for row in plain_rows(connection, rows):
            yield bounds[0][0], *row
        return
    begins = [since for _, since, _ in bounds]
    for at, *found in plain_rows(connection, rows):
        number, _, until = bounds[bisect_right(begins, at) - 1]
        if at < until:
            yield number, *found


_Bounds = list[tuple[int, datetime, datetime]]
"""Numbers of windows, each with the moments between which something of it is counted."""


def _parted(windows: Sequence[Window], end: datetime) -> tuple[_Bounds, _Bounds]:
    """What of each window before `end` is in sums of whole quarters of an hour, and what only in the records, which is
    mostly nothing."""
    summed, rest = [], []
    for number, window in enumerate(windows):
        until = min(window.until, end)
        first, last = rollups.whole_quarters(window.since, until)
        summed.append((number, first, last))
        rest += [(number, since, to) for since, to in ((window.since, first), (last, until)) if since < to]
    return summed, rest


def _stages(
    connection: Connection, windows: Sequence[Window], end: datetime, wanted: _Wanted
) -> dict[int, dict[str, _Units]]:
    found: dict[int, dict[str, _Units]] = {}

    def count(number: int, stage: str, verdict: Verdict, made_up: bool, units: int) -> None:
        so_far, of_those = found.setdefault(number, {}).get(stage, (Counter(), 0))
        so_far[verdict] += int(units)
        found[number][stage] = (so_far, of_those + (int(units) if made_up else 0))

    summed, rest = _parted(windows, end)
    by = ("stage", "verdict", "simulated")
    for row in _sums(connection, tables.rollup_stages, summed, wanted, by=by, of_columns=("units",)):
        count(*row)
    if rest:
        spans, head = _spans(rest), tables.inspection.c
        rows = (
            select(
                spans.c.number,
                head.id,
                head.recipe_name,
                head.recipe_revision,
                head.verdict,
                head.simulated,
            )
            .select_from(spans)
            .join(tables.inspection, _in_span(spans))
            .where(*wanted.of(tables.inspection))
        )
        seen = connection.execute(rows).all()
        models = models_of(connection, [row.id for row in seen])
        for row in seen:
            stage = rollups.stage_of(row.recipe_name, row.recipe_revision, models.get(row.id, []))
            count(row.number, stage, row.verdict, row.simulated, 1)
    return found


def _in_sums(
    connection: Connection,
    windows: Sequence[Window],
    end: datetime,
    kind: str | None,
    wanted: _Wanted,
    counting: Counting,
) -> Counter[int]:
    """Judged units with a kind of defect, or the defects on them; of all kinds only defects can be told."""
    found: Counter[int] = Counter()
    summed, rest = _parted(windows, end)
    for number, verdict, counted in _sums(
        connection,
        tables.rollup_defects,
        summed,
        wanted,
        by=("verdict",),
        of_columns=(counting,),
        kind=kind,
    ):
        if verdict != Verdict.NOT_INSPECTED:
            found[number] += int(counted)
    if rest:
        spans, head, defect = _spans(rest), tables.inspection.c, tables.defect.c
        rows = (
            select(spans.c.number, func.count(head.id.distinct()) if counting == "units" else func.count())
            .select_from(spans)
            .join(tables.inspection, _in_span(spans))
            .join(tables.defect, defect.inspection_id == head.id)
            .where(
                *wanted.of(tables.inspection),
                head.verdict != Verdict.NOT_INSPECTED,
                defect.kind == kind if kind is not None else true(),
            )
            .group_by(spans.c.number)
        )
        for number, in_rest in plain_rows(connection, rows):
            found[number] += int(in_rest)
    return found


def _in_span(spans: CTE) -> ColumnElement[bool]:
    head = tables.inspection.c
    return and_(head.finished_at >= spans.c.since, head.finished_at < spans.c.until)


def _defects_within(bounds: _Bounds, wanted: Select[Any]) -> Select[Any]:
    """What is wanted of defects and their units, of units finished within any of the bounds."""
    head, of_unit = tables.inspection.c, tables.defect.c.inspection_id == tables.inspection.c.id
    if len(bounds) == 1:
        ((_, since, until),) = bounds
        # What lies ahead is no bound: between two, SQLite goes through all units instead of the few that have defects.
        is_past = head.finished_at < until if until <= datetime.now(UTC) else true()
        return wanted.join_from(tables.defect, tables.inspection, of_unit).where(
            head.finished_at >= since, is_past
        )
    spans = _spans(bounds)
    joined = wanted.select_from(spans).join(tables.inspection, _in_span(spans))
    return joined.join(tables.defect, of_unit)


def _from_records(
    connection: Connection,
    windows: Sequence[Window],
    end: datetime,
    chosen: Stratum,
    wanted: _Wanted,
    counting: Counting,
) -> Counter[int]:
    """Judged units with a defect of a kind, of a camera, under a stage, or these defects: from the records, as no sum
    tells them apart.

    Those without a defect are not read, and they are nearly all.
    """
    found: Counter[int] = Counter()
    is_judged = tables.inspection.c.verdict != Verdict.NOT_INSPECTED
    for number, row in _with_defects(connection, windows, end, chosen, wanted, is_judged):
        found[number] += 1 if counting == "units" else row.defects
    return found


def _with_defects(
    connection: Connection,
    windows: Sequence[Window],
    end: datetime,
    chosen: Stratum,
    wanted: _Wanted,
    *conditions: ColumnElement[bool],
    by: Sequence[ColumnElement[Any]] = (),
    sums: Sequence[ColumnElement[Any]] = (),
) -> Iterator[tuple[int, Row[Any]]]:
    """Units with a defect that is asked for, each with the number of its window, how many `defects` those are, and
    `sums` over them; apart for each of `by`."""
    if not windows:
        return
    head, defect = tables.inspection.c, tables.defect.c
    one = (head.id, head.finished_at, head.recipe_name, head.recipe_revision, *by)
    rows = (
        select(*one, func.count().label("defects"), *sums)
        .join(tables.defect, defect.inspection_id == head.id)
        .where(
            *wanted.of(tables.inspection),
            *conditions,
            head.finished_at >= windows[0].since,
            head.finished_at < min(windows[-1].until, end),
            defect.kind == chosen.kind if chosen.kind is not None else true(),
            defect.camera == chosen.camera if chosen.camera is not None else true(),
        )
        .group_by(*one)
    )
    seen = connection.execute(rows).all()
    models: dict[UUID, list[tuple[str, str]]] = {}
    if chosen.stage is not None:
        models = models_of(connection, [row.id for row in seen])
    begins = [window.since for window in windows]
    for row in seen:
        number = bisect_right(begins, row.finished_at) - 1
        stage = rollups.stage_of(row.recipe_name, row.recipe_revision, models.get(row.id, []))
        if row.finished_at < windows[number].until and chosen.stage in (None, stage):
            yield number, row


def models_of(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, list[tuple[str, str]]]:
    """Name and version of the models behind each inspection, in their order."""
    model = tables.inspection_model.c
    models: dict[UUID, list[tuple[str, str]]] = {}
    for start in range(0, len(ids), PORTION):
        named = (
            select(model.inspection_id, model.name, model.version)
            .where(among(connection, model.inspection_id, ids[start : start + PORTION]))
            .order_by(model.inspection_id, model.position)
        )
        for row in connection.execute(named):
            models.setdefault(row.inspection_id, []).append((row.name, row.version))
    return models


def _counted(
    connection: Connection, windows: Sequence[Window], end: datetime, wanted: _Wanted
) -> dict[int, _Units]:
    """Units of each window finished before `end`, by its number; windows in which nothing was finished are left out."""
    summed, rest = _parted(windows, end)
    found: dict[int, _Units] = {}

    def count(number: int, verdict: Verdict, made_up: bool, units: int) -> None:
        so_far, of_those = found.get(number, (Counter(), 0))
        so_far[verdict] += int(units)
        found[number] = (so_far, of_those + (int(units) if made_up else 0))

    by = ("verdict", "simulated")
    for row in _sums(connection, tables.rollup_units, summed, wanted, by=by, of_columns=("units",)):
        count(*row)
    if rest:
        spans, head = _spans(rest), tables.inspection.c
        rows = (
            select(spans.c.number, head.verdict, head.simulated, func.count())
            .select_from(spans)
            .join(tables.inspection, _in_span(spans))
            .where(*wanted.of(tables.inspection))
            .group_by(spans.c.number, head.verdict, head.simulated)
        )
        for row in plain_rows(connection, rows):
            count(*row)
    return found


def judged_between(
    connection: Connection,
    moments: Sequence[datetime],
    *,
    station: str | None = None,
    lane: str | None = None,
) -> list[int]:
    """How many judged units were finished from each of the moments, ascending, up to, not including, the next."""
    windows = [Window(since=since, until=until) for since, until in pairwise(moments)]
    if not windows:
        return []
    wanted = _Wanted(station=station, lane=lane, simulated=None)
    counted = _counted(connection, windows, moments[-1], wanted)
    return [_judged(counted[number][0]) if number in counted else 0 for number in range(len(windows))]


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
    return _units_seen(
        store,
        *of_production(tables.inspection, station=station, lane=lane, simulated=simulated),
        head.finished_at >= window.since,
        head.finished_at < window.until,
        limit=limit,
    )


def units_named(store: TraceStore, ids: Sequence[UUID]) -> tuple[UnitSeen, ...]:
    """The inspections of these ids that are on record, what was withheld most first, then the newest."""
    return _units_seen(store, tables.inspection.c.id.in_(ids), limit=len(ids))


def _units_seen(store: TraceStore, *wanted: ColumnElement[bool], limit: int) -> tuple[UnitSeen, ...]:
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
        .where(*wanted)
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
    weigh: Weigh = "count",
    costs: Mapping[str, float] | None = None,
    stratum: Stratum | None = None,
) -> tuple[KindCount, ...]:
    """All defects found in units finished in the window, by kind, the heaviest first; none of units that were shown
    to a lane in setup or because they are known to be bad.

    weigh    count: the defects; area: their mm², where known; cost: the defects times `costs` of their kind, 0 for
             others
    stratum  only those of its kind, seen by its camera, on units of its stage and shift; None: all

    Raises TooManySubgroups where a shift is asked for in too long a time.
    """
    chosen = stratum or Stratum()
    # Up to now is all that is on record, what a clock that is ahead has recorded too.
    end = until or datetime.now(UTC) + timedelta(days=1)
    windows = windows_of(since, end, shift=chosen.shift)
    wanted = _Wanted(station=station, lane=lane, simulated=simulated)
    found = _OfKinds()
    with store.reading() as connection:
        if chosen.stage is None:
            _kinds(connection, windows, end, chosen, wanted, found, with_areas=weigh == "area")
        else:
            _kinds_of_stage(connection, windows, end, chosen, wanted, found)
    if weigh == "area":
        weights = dict(found.areas_mm2)
    elif weigh == "cost":
        weights = {kind: number * (costs or {}).get(kind, 0.0) for kind, number in found.defects.items()}
    else:
        weights = {kind: float(number) for kind, number in found.defects.items()}
    return tuple(
        KindCount(
            kind=bar.name,
            defects=found.defects[bar.name],
            units=found.units[bar.name],
            weight=bar.weight,
            share=bar.share,
            cumulative_share=bar.cumulative_share,
        )
        for bar in pareto_of(weights)
    )


@dataclass(frozen=True, slots=True)
class _OfKinds:
    """By kind: defects, units that have any, and mm² of their pixels, or of their boxes where those are not known."""

    defects: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)
    areas_mm2: dict[str, float] = field(default_factory=dict)

    def add(self, kind: str, defects: int, units: int, area_mm2: float | None = None) -> None:
        self.defects[kind] += int(defects)
        self.units[kind] += int(units)
        self.areas_mm2[kind] = self.areas_mm2.get(kind, 0.0) + float(area_mm2 or 0.0)


def _area_mm2() -> ColumnElement[float]:
    defect = tables.defect.c
    box_mm2 = (defect.x2_mm - defect.x1_mm) * (defect.y2_mm - defect.y1_mm)
    return func.sum(func.coalesce(defect.mask_area_mm2, box_mm2))


def _kinds(
    connection: Connection,
    windows: Sequence[Window],
    end: datetime,
    chosen: Stratum,
    wanted: _Wanted,
    found: _OfKinds,
    *,
    with_areas: bool,
) -> None:
    """Of units of whatever stage. The database adds up, from the sums where those know what is asked for."""
    summed, rest = _parted(windows, end)
    if with_areas or chosen.camera is not None:
        summed, rest = [], [(n, one.since, min(one.until, end)) for n, one in enumerate(windows)]
    for _, *counted in _sums(
        connection,
        tables.rollup_defects,
        summed,
        wanted,
        by=("kind",),
        of_columns=("defects", "units"),
        kind=chosen.kind,
    ):
        found.add(*counted)
    if rest:
        head, defect = tables.inspection.c, tables.defect.c
        of_kind = select(defect.kind, func.count(), func.count(head.id.distinct()), _area_mm2())
        rows = (
            _defects_within(rest, of_kind)
            .where(
                *wanted.of(tables.inspection),
                rollups.produced(),
                defect.kind == chosen.kind if chosen.kind is not None else true(),
                defect.camera == chosen.camera if chosen.camera is not None else true(),
            )
            .group_by(defect.kind)
        )
        for row in plain_rows(connection, rows):
            found.add(*row)


def _kinds_of_stage(
    connection: Connection,
    windows: Sequence[Window],
    end: datetime,
    chosen: Stratum,
    wanted: _Wanted,
    found: _OfKinds,
) -> None:
    by, sums = (tables.defect.c.kind,), (_area_mm2().label("area_mm2"),)
    for _, row in _with_defects(
        connection, windows, end, chosen, wanted, rollups.produced(), by=by, sums=sums
    ):
        found.add(row.kind, row.defects, 1, row.area_mm2)


def refused_for(
    store: TraceStore, *, since: datetime, station: str, lane: str, most: int
) -> tuple[tuple[str, int], ...]:
    """Kinds of defects on units that were refused since then, with how many units, the most frequent first; nothing
    that is simulated.

    Those without a defect, and those that were accepted or shown in setup, are not read.
    """
    head, defect = tables.inspection.c, tables.defect.c
    units = func.count(func.distinct(defect.inspection_id))
    rows = (
        select(defect.kind, units)
        .join(tables.inspection, head.id == defect.inspection_id)
        .where(
            *of_production(tables.inspection, station=station, lane=lane, simulated=False),
            head.verdict == Verdict.REJECT,
            head.finished_at >= since,
        )
        .group_by(defect.kind)
        .order_by(units.desc(), defect.kind)
        .limit(most)
    )
    with store.reading() as connection:
        return tuple((kind, int(number)) for kind, number in plain_rows(connection, rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredValue:
    """One measured value of one unit, as individuals charts take it.

    stage  recipe with revision, models with version, and the newest change of camera, lamp or lens: where it changes,
           limits start anew by themselves
    """

    id: UUID
    at: datetime
    lane: str
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
    most: int = MOST_SUBGROUPS,
) -> tuple[MeasuredValue, ...]:
    """The newest values of a measurement in units finished in the window, oldest first, at most so many.

    Of a unit that was not inspected none is taken: what it measured proves nothing.
    """
    head, measured = tables.inspection.c, tables.measurement.c
    heads = (
        select(
            head.id,
            head.finished_at,
            head.recipe_name,
            head.recipe_revision,
            head.simulated,
            head.lane,
        )
        .where(
            *of_production(tables.inspection, station=station, lane=lane, simulated=simulated),
            head.verdict != Verdict.NOT_INSPECTED,
            head.finished_at >= since,
            head.finished_at < until if until is not None else true(),
        )
        .order_by(head.finished_at.desc(), head.id.desc())
        .limit(MOST_LOOKED_AT)
    )
    happened = changes(store, station=station, lane=lane)
    newest_first: list[tuple[Row[Any], float, str]] = []
    with store.reading() as connection:
        # In portions by their keys: neither engine then sorts a million values for the newest few.
        looked_at = connection.execute(heads, execution_options={"yield_per": PORTION})
        for some in looked_at.partitions():
            rows = (
                select(measured.inspection_id, measured.value, measured.unit)
                .where(
                    among(connection, measured.inspection_id, [row.id for row in some]), measured.name == name
                )
                .order_by(measured.inspection_id, measured.position.desc())
            )
            values_of: dict[UUID, list[tuple[float, str]]] = {}
            for row in connection.execute(rows):
                values_of.setdefault(row.inspection_id, []).append((row.value, row.unit))
            newest_first += [(row, *value) for row in some for value in values_of.get(row.id, ())]
            if len(newest_first) >= most:
                break
        looked_at.close()
        found = newest_first[:most][::-1]
        models = models_of(connection, [row.id for row, *_ in found])
    return tuple(
        MeasuredValue(
            id=row.id,
            at=row.finished_at,
            lane=row.lane,
            value=value,
            unit=unit,
            stage=stage_after(
                rollups.stage_of(row.recipe_name, row.recipe_revision, models.get(row.id, [])),
                row.finished_at,
                happened,
                lane=row.lane,
            ),
            simulated=row.simulated,
        )
        for row, value, unit in found
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
    """All that was measured in units finished in the window and inspected, by name; counted by quarters of an hour."""
    rollup = tables.rollup_measurements.c
    rows = (
        select(rollup.name, func.max(rollup.unit).label("unit"), func.sum(rollup["values"]).label("values"))
        .where(
            *of_production(tables.rollup_measurements, station=station, lane=lane, simulated=None),
            rollup.quarter >= rollups.quarter_of(since),
            rollup.quarter < until if until is not None else true(),
        )
        .group_by(rollup.name)
        .order_by(rollup.name)
    )
    with store.reading() as connection:
        return tuple(
            MeasurementSeen(name=name, unit=unit, values=int(values))
            for name, unit, values in plain_rows(connection, rows)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredMean:
    """The mean of a measurement over the units finished in one hour and inspected."""

    window: Window
    mean: float
    values: int


def hourly_means(
    store: TraceStore,
    *,
    since: datetime,
    until: datetime | None = None,
    station: str | None = None,
    lane: str | None = None,
    shifts: Shifts | None = None,
) -> dict[str, tuple[MeasuredMean, ...]]:
    """Of every measurement, by name; hours without a value are left out, and the last is taken up to `until`. Raises
    TooManySubgroups."""
    windows = _at_most(_hours(since, until or datetime.now(UTC), shifts or Shifts()))
    if not windows:
        return {}
    wanted = _Wanted(station=station, lane=lane, simulated=None)
    summed, rest = _parted(windows, until or windows[-1].until)
    sums: dict[tuple[str, int], tuple[float, int]] = {}

    def add(number: int, name: str, total: float, values: int) -> None:
        so_far, of_those = sums.get((name, number), (0.0, 0))
        sums[name, number] = (so_far + float(total), of_those + int(values))

    with store.reading() as connection:
        for row in _sums(
            connection,
            tables.rollup_measurements,
            summed,
            wanted,
            by=("name",),
            of_columns=("total", "values"),
        ):
            add(*row)
        if rest:
            spans, head, measured = _spans(rest), tables.inspection.c, tables.measurement.c
            rows = (
                select(spans.c.number, measured.name, func.sum(measured.value), func.count())
                .select_from(spans)
                .join(tables.inspection, _in_span(spans))
                .join(tables.measurement, measured.inspection_id == head.id)
                .where(*wanted.of(tables.inspection), head.verdict != Verdict.NOT_INSPECTED)
                .group_by(spans.c.number, measured.name)
            )
            for row in plain_rows(connection, rows):
                add(*row)
    found: dict[str, list[MeasuredMean]] = {}
    for (name, number), (total, of_values) in sorted(sums.items()):
        found.setdefault(name, []).append(
            MeasuredMean(window=windows[number], mean=total / of_values, values=of_values)
        )
    return {name: tuple(means) for name, means in found.items()}


def windows_of(
    since: datetime, until: datetime, *, shift: time | None = None, shifts: Shifts | None = None
) -> tuple[Window, ...]:
    """The time from one moment to another as one window, or as those of one shift of its days, cut at both ends."""
    if shift is None:
        return (Window(since=since, until=until),)
    plan = shifts or Shifts()
    return tuple(
        Window(since=max(one.since, since), until=min(one.until, until))
        for one in _at_most(_shifts(since, until, plan))
        if _shift_start(one.since, plan) == shift
    )


def _at_most(every: Iterator[Window]) -> list[Window]:
    windows = list(islice(every, MOST_SUBGROUPS + 1))
    if len(windows) > MOST_SUBGROUPS:
        raise TooManySubgroups(
            f"That is more than {MOST_SUBGROUPS} subgroups, the most one chart can show.",
            action="Choose a shorter time or longer subgroups.",
            allowed=MOST_SUBGROUPS,
        )
    return windows


def window_of(key: str) -> Window:
    """The window a subgroup's key names. Raises SubgroupUnknown."""
    try:
        if not re.fullmatch(r"\d{8}T\d{6}Z-\d{8}T\d{6}Z", key, re.ASCII):
            raise ValueError(key)
        since, until = (datetime.strptime(moment, _KEY_TIME).replace(tzinfo=UTC) for moment in key.split("-"))
        if since >= until:
            raise ValueError(key)
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
    window: Window,
    by: By,
    plan: Shifts,
    units: Mapping[Verdict, int],
    *,
    simulated: int,
    stage: str,
    count: int | None,
) -> CountSample:
    begins = window.since.astimezone(plan.time_zone)
    ends = window.until.astimezone(plan.time_zone)
    return CountSample(
        key=window.key,
        label=f"{begins:%Y-%m-%d %H:%M}" + (f"–{ends:%H:%M}" if by == "shift" else ""),
        at=window.since,
        count=units[Verdict.REJECT] if count is None else count,
        opportunity=_judged(units),
        review=units[Verdict.REVIEW],
        not_inspected=units[Verdict.NOT_INSPECTED],
        simulated=simulated,
        stage=stage,
    )


def _judged(units: Mapping[Verdict, int]) -> int:
    return units[Verdict.ACCEPT] + units[Verdict.REVIEW] + units[Verdict.REJECT]


def _shift_start(moment: datetime, plan: Shifts) -> time:
    """Local start of the shift that a moment falls into."""
    clock = moment.astimezone(plan.time_zone).time()
    return max((start for start in plan.starts if start <= clock), default=plan.starts[-1])


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
