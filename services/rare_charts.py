"""Charts of rare events on record: units, or hours, between two of them (g, t), and the CUSUM of what each unit brings
(Bernoulli, Poisson)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import expm1
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.api.charts import exclusions
from traceability.chart_book import Book
from traceability.rare_events import RareEvent
from traceability.spc.attributes import g_chart, t_chart
from traceability.spc.charts import ControlChart, Exclusion, make_chart, stage_rows
from traceability.spc.checks import enough
from traceability.spc.rules import BEYOND_LIMITS, Signal
from traceability.spc.run_length import EventDesign, bernoulli_design, poisson_design
from traceability.spc.time_weighted import rare_event_cusum

RareChart = Literal["g", "t", "bernoulli_cusum", "poisson_cusum"]

EventCusumChart = Literal["bernoulli_cusum", "poisson_cusum"]

POWER: Final = 1 / 3.6
"""Nelson's: times between events of a steady process, raised to it, are nearly normal."""

ZEROS_IN_A_ROW: Final = "zeros_in_a_row"

DECISION_INTERVAL: Final = "decision_interval"

LEAST: Final = 2

TWICE: Final = 2.0
"""A CUSUM of rare events is made to find this many times the rate in control, where nobody says another."""

EVENTS_TO_FALSE_ALARM: Final = 370.4
"""In control one false alarm in so many units with events, as three-sigma limits give one in so many points."""


def plotted(events: Sequence[RareEvent]) -> tuple[RareEvent, ...]:
    """Those that are points of a t chart: two that ended at once are one event."""
    return tuple(one for one in events if one.hours > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Events per unit. None: in control as the points shown have it; to find, twice that."""

    in_control: float | None = None
    to_find: float | None = None


def event_cusum(
    events: Sequence[RareEvent], *, chart: EventCusumChart, by_stage: bool, book: Book, rates: Rates
) -> tuple[ControlChart, EventDesign]:
    """The sum just after each unit with events, begun at 0 with each stage, and how the newest stage's is set up. A
    stage too short to have a rate of its own is shown without.

    Raises TooFewValues, NotRare, ParameterOutOfRange.
    """
    least = LEAST if rates.in_control is None else 1
    enough(len(events), method=chart, needed=least)
    labels = tuple(one.stage for one in events) if by_stage else ()
    left_out = exclusions(book, [str(one.id) for one in events])
    value, upper = np.full(len(events), np.nan), np.full(len(events), np.nan)
    signals: list[Signal] = []
    design: EventDesign | None = None
    for number, rows in enumerate(stage_rows(labels, len(events))):
        kept, good = _kept(events, rows, {one.index for one in left_out})
        if labels and kept.size < least:
            continue
        count = np.array([events[row].count for row in kept], np.float64)
        # What lies before the first event of a stage that follows another began in the one before.
        begins = 1 if number else 0
        design = _design(chart, count[begins:], good[begins:], rates)
        found = rare_event_cusum(good, count, steps=design.steps, h=design.h)
        value[kept], upper[rows] = found.value, design.h
        signals += [
            Signal(
                rule=DECISION_INTERVAL,
                index=int(kept[last]),
                members=tuple(int(row) for row in kept[found.since[last] : last + 1]),
                side="above",
            )
            for last in found.signals
        ]
    if design is None:
        enough(0, method=chart, needed=least)
        raise AssertionError("of no stage there is a rate")
    drawn = make_chart(
        statistic=chart,
        value=value,
        centre=0.0,
        sigma=0.0,
        lower=np.full(len(events), np.nan),
        upper=upper,
        method=chart,
        stage=labels,
        excluded=left_out,
        rules=(),
    )
    return replace(drawn, rules=(DECISION_INTERVAL,), signals=tuple(signals)), design


def _kept(
    events: Sequence[RareEvent], rows: np.ndarray, left_out: set[int]
) -> tuple[NDArray[np.intp], np.ndarray]:
    """The rows that are not left out, and the units without an event before each: those before one that was left out
    are among those before the next."""
    kept, good, before = [], [], 0
    for row in rows:
        before += events[row].between
        if int(row) not in left_out:
            kept.append(int(row))
            good.append(before)
            before = 0
    return np.array(kept, np.intp), np.array(good, np.float64)


def _design(chart: EventCusumChart, count: np.ndarray, good: np.ndarray, rates: Rates) -> EventDesign:
    """Rates that nobody gives are those of these units."""
    rate = rates.in_control
    if rate is None:
        enough(count.size, method=chart, needed=1)
        rate = float(count.sum() / (good.sum() + count.size))
    wanted = TWICE * rate if rates.to_find is None else rates.to_find
    with_events = rate if chart == "bernoulli_cusum" else -expm1(-rate)
    arl0 = EVENTS_TO_FALSE_ALARM / with_events if with_events > 0 else np.inf
    if chart == "bernoulli_cusum":
        return bernoulli_design(p0=rate, p1=wanted, arl0=arl0)
    return poisson_design(rate0=rate, rate1=wanted, arl0=arl0)


def rare_chart(
    events: Sequence[RareEvent], *, chart: Literal["g", "t"], by_stage: bool, book: Book
) -> ControlChart:
    """Limits by stage where that is asked; a stage too short for limits of its own is shown without. So is the first
    event of a stage that follows another: what lies before it began in the stage before.

    Raises TooFewValues, NoVariation.
    """
    enough(len(events), method=f"{chart}_chart", needed=LEAST)
    x = np.array([one.between if chart == "g" else one.hours for one in events], np.float64)
    labels = tuple(one.stage for one in events) if by_stage else ()
    left_out = exclusions(book, [str(one.id) for one in events])
    lines = np.full((3, x.size), np.nan)
    sigma = np.zeros(x.size)
    zeros: list[Signal] = []
    for number, whole in enumerate(stage_rows(labels, x.size)):
        rows = whole[1:] if number else whole
        place = {int(row): index for index, row in enumerate(rows)}
        kept = [row for row in rows if row not in {one.index for one in left_out}]
        if labels and (len(kept) < LEAST or np.ptp(x[kept]) == 0):
            continue
        here = [replace(one, index=place[one.index]) for one in left_out if one.index in place]
        if chart == "g":
            found = g_chart(x[rows], excluded=here)
            lines[:, rows] = found.chart.centre, found.chart.lower, found.chart.upper
            sigma[rows] = found.chart.sigma
            zeros += [_zeros(rows[last], found.zeros_to_signal) for last in found.zero_runs]
        else:
            lines[:, rows] = _times(x[rows], here)
    drawn = make_chart(
        statistic="units_between" if chart == "g" else "time",
        value=x,
        centre=lines[0],
        lower=lines[1],
        upper=lines[2],
        sigma=sigma,
        method="g" if chart == "g" else "t_nelson",
        stage=labels,
        excluded=left_out,
        rules=(BEYOND_LIMITS,),
    )
    if chart == "t":
        return drawn
    signals = sorted((*drawn.signals, *zeros), key=lambda one: (one.index, one.rule))
    return replace(drawn, rules=(*drawn.rules, ZEROS_IN_A_ROW), signals=tuple(signals))


def _zeros(last: int, in_a_row: int) -> Signal:
    """Events one after the other: where 0 is no signal by itself, so many of them are (Benneyan)."""
    members = tuple(range(int(last) - in_a_row + 1, int(last) + 1))
    return Signal(rule=ZEROS_IN_A_ROW, index=int(last), members=members, side="below")


def _times(hours: np.ndarray, left_out: Sequence[Exclusion]) -> list[np.ndarray]:
    """Centre and limits of Nelson's chart, taken back from his power to hours."""
    found = t_chart(hours, power=POWER, excluded=left_out).chart
    return [line ** (1 / POWER) for line in (found.centre, found.lower, found.upper)]
