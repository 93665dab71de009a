"""Rational subgroups of measured values, and several measurements of the same unit side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, takewhile

from sqlalchemy import Connection, and_, or_, select

from inspection.types import Verdict
from traceability import rollups, tables
from traceability.changes import Change, changes, stage_after
from traceability.samples import PORTION, MeasuredValue, Shifts, measured_values, models_of, shift_at
from traceability.spc.checks import within
from traceability.store import TraceStore, of_production

SMALLEST, LARGEST = 2, 25
"""Values in a subgroup. Above ten the range wastes most of what the values say; s does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroups:
    """`groups` in their order, each of the size asked for; `left_over` values filled no whole subgroup."""

    groups: tuple[tuple[MeasuredValue, ...], ...]
    left_over: int


def subgroups_of(values: Sequence[MeasuredValue], *, size: int, shifts: Shifts | None = None) -> Subgroups:
    """Consecutive values, so many at a time, within one shift and one stage; counting starts anew in each.

    The groups of a shift that was seen whole are therefore the same whenever they are asked for. Raises
    ParameterOutOfRange.
    """
    within(
        size,
        parameter="size",
        allowed=f"{SMALLEST}..{LARGEST}",
        is_allowed=SMALLEST <= size <= LARGEST,
    )
    plan = shifts or Shifts()
    groups: list[tuple[MeasuredValue, ...]] = []
    for _, some in groupby(values, key=lambda one: (shift_at(one.at, plan).since, one.stage)):
        together = list(some)
        whole = len(together) // size * size
        groups += [tuple(together[start : start + size]) for start in range(0, whole, size)]
    return Subgroups(groups=tuple(groups), left_over=len(values) - size * len(groups))


def from_whole_subgroup(
    store: TraceStore,
    values: Sequence[MeasuredValue],
    name: str,
    *,
    size: int,
    station: str | None = None,
    lane: str | None = None,
) -> tuple[MeasuredValue, ...]:
    """The newest values of a measurement, from the first on that begins a subgroup of its shift.

    So many values are taken and no more, which cuts a shift anywhere. Counted from the cut, its subgroups would be
    others with every new unit, and what people decided about one of them be lost.
    """
    if not values:
        return ()
    first = values[0]
    shift = shift_at(first.at, Shifts())
    happened = changes(store, station=station, lane=lane)
    with store.reading() as connection:
        in_all = _in_a_row_up_to(
            connection, first, name, since=shift.since, station=station, lane=lane, happened=happened
        )
    before = in_all - sum(1 for _ in takewhile(lambda one: one.id == first.id, values))
    together = sum(
        1 for _ in takewhile(lambda one: one.at < shift.until and one.stage == first.stage, values)
    )
    return tuple(values[min(-before % size, together) :])


def _in_a_row_up_to(
    connection: Connection,
    last: MeasuredValue,
    name: str,
    *,
    since: datetime,
    station: str | None,
    lane: str | None,
    happened: Sequence[Change],
) -> int:
    """How many values of the same stage were measured one after the other up to those of this unit, with them."""
    head, measured = tables.inspection.c, tables.measurement.c
    rows = (
        select(head.id, head.finished_at, head.lane, head.recipe_name, head.recipe_revision)
        .join(tables.measurement, measured.inspection_id == head.id)
        .where(
            *of_production(tables.inspection, station=station, lane=lane, simulated=None),
            measured.name == name,
            head.verdict != Verdict.NOT_INSPECTED,
            head.finished_at >= since,
            or_(head.finished_at < last.at, and_(head.finished_at == last.at, head.id <= last.id)),
        )
        .order_by(head.finished_at.desc(), head.id.desc())
    )
    found = 0
    with connection.execute(rows, execution_options={"yield_per": PORTION}) as newest_first:
        for some in newest_first.partitions():
            models = models_of(connection, [row.id for row in some])
            for row in some:
                stage = rollups.stage_of(row.recipe_name, row.recipe_revision, models.get(row.id, []))
                if stage_after(stage, row.finished_at, happened, lane=row.lane) != last.stage:
                    return found
                found += 1
    return found


def measured_together(
    store: TraceStore,
    names: Sequence[str],
    *,
    since: datetime,
    station: str | None = None,
    lane: str | None = None,
) -> tuple[tuple[MeasuredValue, ...], ...]:
    """Units of which all of these were measured, oldest first: a value each, in the order of the names."""
    by_name = [
        {one.id: one for one in measured_values(store, name, since=since, station=station, lane=lane)}
        for name in names
    ]
    first, *rest = by_name
    return tuple(
        (value, *(other[id] for other in rest))
        for id, value in first.items()
        if all(id in other for other in rest)
    )
