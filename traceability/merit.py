"""What figures of merit are counted from: first passes, defects, scrap and rework, shipments, and cases handled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select

from inspection.types import Verdict
from traceability import rollups, tables
from traceability.cases import Act
from traceability.database import plain_rows
from traceability.samples import Shifts, Window, windows_of
from traceability.spc.yields import Target
from traceability.steps import SHIPPED
from traceability.store import TraceStore, of, of_production

TARGETS: Final = "target"
"""How the names begin under which targets are kept in the book of decisions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCount:
    """One lane of one station: units seen there for the first time by verdict, and all defects found there.

    judged  inspections in which somebody or something judged, repeats among them: what defects are counted on
    """

    station: str
    lane: str
    first_passes: Counter[Verdict]
    judged: int
    defects: int
    simulated: int

    @property
    def units(self) -> int:
        """Units that came in. One that could not be inspected came in too, and is no first-pass good one."""
        return self.first_passes.total()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """hours   from opening to closing of the cases that were closed in the time
    still_open of all cases, how many are not closed at its end
    opened     in the time; closed_of_opened of those, by its end
    """

    hours: tuple[float, ...]
    still_open: int
    opened: int
    closed_of_opened: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """`scrapped` and `reworked` units by what was decided about their holds in the time; `shipped_inspected` of the
    `shipped` ones."""

    steps: tuple[StepCount, ...]
    scrapped: int
    reworked: int
    shipped: int
    shipped_inspected: int
    handled: Handled
    targets: tuple[Target, ...]


def counted(
    store: TraceStore,
    *,
    since: datetime,
    until: datetime,
    station: str | None = None,
    lane: str | None = None,
    shift: time | None = None,
    shifts: Shifts | None = None,
) -> Counted:
    """Everything from `since` up to, not including, `until`; of one shift of the day where one is named."""
    windows = windows_of(since, until, shift=shift, shifts=shifts)
    decided = _decided(store, windows, station=station, lane=lane)
    shipped, inspected = _shipped(store, windows, station=station, lane=lane)
    return Counted(
        steps=_steps(store, windows, station=station, lane=lane),
        scrapped=decided.get("scrap", 0),
        reworked=decided.get("rework", 0),
        shipped=shipped,
        shipped_inspected=inspected,
        handled=_handled(store, windows),
        targets=targets(store),
    )


def targets(store: TraceStore) -> tuple[Target, ...]:
    """Those that hold, of every figure: a newer decision about the same place overrules an older one."""
    entry = tables.chart_entry.c
    rows = select(entry.chart, entry.value).where(entry.chart.like(f"{TARGETS}/%")).order_by(entry.id)
    with store.reading() as connection:
        newest = {row.chart: row.value for row in connection.execute(rows)}
    found = []
    for name, value in sorted(newest.items()):
        _, figure, *place = name.split("/")
        station, lane, shift = (None if part == "*" else part for part in place)
        if value is not None:
            found.append(
                Target(figure=figure, value=float(value["target"]), station=station, line=lane, shift=shift)
            )
    return tuple(found)


def _within(column: ColumnElement[datetime], windows: tuple[Window, ...]) -> ColumnElement[bool]:
    return or_(false(), *(and_(column >= one.since, column < one.until) for one in windows))


def _steps(
    store: TraceStore, windows: tuple[Window, ...], *, station: str | None, lane: str | None
) -> tuple[StepCount, ...]:
    head, code, rollup = tables.inspection.c, tables.identifier.c, tables.rollup_defects.c
    before, before_code = tables.inspection.alias("before"), tables.identifier.alias("before_code")
    # What was refused under one of its codes may come again under another.
    is_again = exists().where(
        before_code.c.unit_id == code.unit_id,
        # One within the other and not joined: SQLite would begin with all that the station ever inspected.
        exists()
        .where(
            before.c.identifier_id == before_code.c.id,
            before.c.started_at < head.started_at,
            before.c.station == head.station,
            before.c.lane == head.lane,
            rollups.produced(before),
        )
        .correlate_except(before),
    )
    seen = (
        select(head.station, head.lane, head.verdict, is_again, head.simulated, func.count())
        .join(tables.identifier, code.id == head.identifier_id)
        .where(
            *of_production(tables.inspection, station=station, lane=lane, simulated=None),
            rollups.produced(),
            _within(head.finished_at, windows),
        )
        .group_by(head.station, head.lane, head.verdict, is_again, head.simulated)
    )
    # By quarters of an hour: a window that begins within one has the defects of all of it.
    found = (
        select(rollup.station, rollup.lane, func.sum(rollup.defects))
        .where(
            *of_production(tables.rollup_defects, station=station, lane=lane, simulated=None),
            rollup.verdict != Verdict.NOT_INSPECTED,
            or_(
                false(),
                *(
                    and_(rollup.quarter >= rollups.quarter_of(one.since), rollup.quarter < one.until)
                    for one in windows
                ),
            ),
        )
        .group_by(rollup.station, rollup.lane)
    )
    first: dict[tuple[str, str], Counter[Verdict]] = {}
    judged: Counter[tuple[str, str]] = Counter()
    simulated: Counter[tuple[str, str]] = Counter()
    with store.reading() as connection:
        for at, on, verdict, is_repeat, made_up, units in plain_rows(connection, seen):
            place = (at, on)
            first.setdefault(place, Counter())
            if not is_repeat:
                first[place][verdict] += int(units)
            if verdict != Verdict.NOT_INSPECTED:
                judged[place] += int(units)
            if made_up:
                simulated[place] += int(units)
        defects = {(at, on): int(number) for at, on, number in plain_rows(connection, found)}
    return tuple(
        StepCount(
            station=place[0],
            lane=place[1],
            first_passes=verdicts,
            judged=judged[place],
            defects=defects.get(place, 0),
            simulated=simulated[place],
        )
        for place, verdicts in sorted(first.items())
    )


def _met(station: str | None, lane: str | None) -> ColumnElement[bool]:
    """Was the unit of a row of `identifier` inspected there, under any of its codes?"""
    head, code, seen_as = tables.inspection.c, tables.identifier.c, tables.identifier.alias("seen_as")
    return exists().where(
        seen_as.c.unit_id == code.unit_id,
        exists()
        .where(
            head.identifier_id == seen_as.c.id,
            *of(tables.inspection, station=station, lane=lane, simulated=None),
        )
        .correlate_except(tables.inspection),
    )


def _decided(
    store: TraceStore, windows: tuple[Window, ...], *, station: str | None, lane: str | None
) -> dict[str, int]:
    held, released, code = tables.hold.c, tables.hold_release.c, tables.identifier.c
    rows = (
        select(released.decision, func.count(func.distinct(held.unit_id)))
        .select_from(tables.hold_release)
        .join(tables.hold, held.id == released.hold_id)
        .join(tables.identifier, code.id == held.identifier_id)
        .where(_within(released.released_at, windows), _met(station, lane))
        .group_by(released.decision)
    )
    with store.reading() as connection:
        return {decision: int(units) for decision, units in plain_rows(connection, rows)}


def _shipped(
    store: TraceStore, windows: tuple[Window, ...], *, station: str | None, lane: str | None
) -> tuple[int, int]:
    step, member, code = tables.process_step.c, tables.step_unit.c, tables.identifier.c
    gone = (
        select(code.id, code.unit_id)
        .select_from(tables.process_step)
        .join(tables.step_unit, member.step_id == step.id)
        .join(tables.identifier, code.id == member.identifier_id)
        .where(step.kind == SHIPPED, _within(step.finished_at, windows))
    )
    units = select(func.count(func.distinct(gone.subquery().c.unit_id)))
    looked_at = gone.where(_met(station, lane)).subquery()
    inspected = select(func.count(func.distinct(looked_at.c.unit_id)))
    with store.reading() as connection:
        return int(connection.execute(units).scalar_one()), int(connection.execute(inspected).scalar_one())


def _handled(store: TraceStore, windows: tuple[Window, ...]) -> Handled:
    act = tables.case_act.c
    turns = (Act.OPENED.value, Act.REOPENED.value, Act.CLOSED.value)
    rows = select(act.case_id, act.act, act.at).where(act.act.in_(turns)).order_by(act.case_id, act.id)
    hours: list[float] = []
    begun: dict[UUID, datetime] = {}
    opened: set[UUID] = set()
    closed: set[UUID] = set()
    # A shift that was not worked in that time has no window.
    end = max((one.until for one in windows), default=datetime.min.replace(tzinfo=UTC))

    def is_in(at: datetime) -> bool:
        return any(one.since <= at < one.until for one in windows)

    with store.reading() as connection:
        for case, what, at in plain_rows(connection, rows):
            if at >= end:
                continue
            if what != Act.CLOSED.value:
                begun[case] = at
                closed.discard(case)
                if is_in(at):
                    opened.add(case)
            elif case in begun:
                since = begun.pop(case)
                closed.add(case)
                if is_in(at):
                    hours.append((at - since).total_seconds() / 3600)
    return Handled(
        hours=tuple(hours),
        still_open=len(begun),
        opened=len(opened),
        closed_of_opened=len(opened & closed),
    )
