"""g and t charts of rare events on record: units, or hours, between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

import numpy as np

from services.api.charts import exclusions
from traceability.chart_book import Book
from traceability.rare_events import RareEvent
from traceability.spc.attributes import g_chart, t_chart
from traceability.spc.charts import ControlChart, Exclusion, make_chart, stage_rows
from traceability.spc.checks import enough
from traceability.spc.rules import BEYOND_LIMITS, Signal

RareChart = Literal["g", "t"]

POWER: Final = 1 / 3.6
"""Nelson's: times between events of a steady process, raised to it, are nearly normal."""

ZEROS_IN_A_ROW: Final = "zeros_in_a_row"

LEAST: Final = 2


def plotted(events: Sequence[RareEvent], chart: RareChart) -> tuple[RareEvent, ...]:
    """Those that are points: of times, two that ended at once are one event."""
    return tuple(one for one in events if chart == "g" or one.hours > 0)


def rare_chart(events: Sequence[RareEvent], *, chart: RareChart, by_stage: bool, book: Book) -> ControlChart:
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
