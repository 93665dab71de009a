"""Rational subgroups of measured values, and several measurements of the same unit side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from traceability.samples import MeasuredValue, Shifts, measured_values, shift_at
from traceability.spc.checks import within
from traceability.store import TraceStore

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
