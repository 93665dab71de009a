"""One shape for every control chart: what page, print, table and program draw from, with nothing left to compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from math import isfinite
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from services.text import say
from traceability.chart_book import Book, ChartEntry
from traceability.errors import SpcError
from traceability.spc.attributes import Dispersion
from traceability.spc.charts import ControlChart, Exclusion
from traceability.spc.rules import NELSON, PRESETS, Side

ChartKind = Literal[
    "p",
    "np",
    "u",
    "c",
    "g",
    "t",
    "bernoulli_cusum",
    "poisson_cusum",
    "corrected_p",
    "individuals",
    "moving_range",
    "mean",
    "median",
    "range",
    "standard_deviation",
    "ewma",
    "cusum_above",
    "cusum_below",
    "residual",
    "z",
    "deviation",
    "t_squared",
    "mewma",
    "pre_control",
]

Preset = Literal[
    "aiag_2005",
    "aiag_vda",
    "aiag_vda_analysis",
    "gb4091",
    "iso7870_2",
    "juran",
    "minitab",
    "nelson",
    "nelson_1_2",
    "western_electric",
]

Stages = Literal["by_change", "none"]
"""Do limits start anew where recipe or model changes?"""


class ExclusionAnswer(BaseModel):
    person: str
    reason: str
    at: datetime


class PointAnswer(BaseModel):
    """One subgroup, or one unit. `value` is None where there is nothing to show, as the first moving range of a stage.

    `lower`, `upper`  the limits at this point; `zones` the lines one and two sigmas off the centre, lowest first;
                      of pre-control its two lines, half-way to the limits
    `simulated`       how many of its units come from a demo's history
    `count`, `opportunity`, `review`, `not_inspected`  of subgroups of counts: units refused, judged, waiting for a
                      person, and those nobody could judge, which are no part of `opportunity`
    `excluded`        who left it out of the limits, and why
    `shares`          of T²: how much of it is gone when this measurement is left out, by title, the most first
    """

    key: str
    label: str
    at: datetime
    value: float | None
    centre: float | None
    lower: float | None
    upper: float | None
    zones: list[float] | None
    stage: str
    simulated: int
    url: str
    count: int | None = None
    opportunity: int | None = None
    review: int | None = None
    not_inspected: int | None = None
    excluded: ExclusionAnswer | None = None
    shares: dict[str, float] | None = None


class SignalAnswer(BaseModel):
    """`index` is that of the point which completes the pattern, `members` are all points that make it."""

    rule: str
    number: int
    text: str
    index: int
    key: str
    members: list[int]
    side: Side


class BaselineAnswer(BaseModel):
    """Of a chart of counts. `is_provisional`: estimated from fewer subgroups than limits should be."""

    centre: float
    sigma_z: float
    subgroups: int
    is_frozen: bool
    is_provisional: bool


class DispersionAnswer(BaseModel):
    """Chi-square test of the counts against chance alone."""

    statistic: float
    degrees: int
    p_value: float

    @staticmethod
    def of(found: Dispersion | None) -> DispersionAnswer | None:
        if found is None:
            return None
        return DispersionAnswer(statistic=found.statistic, degrees=found.degrees, p_value=found.p_value)


class EventCusumAnswer(BaseModel):
    """How a CUSUM of rare events is set up, of the newest stage. Rates are events per unit.

    `is_estimated`  nobody gave the rate in control: it is that of the points shown
    `to_find`       what it finds soonest: near the rate asked for, or twice that in control
    `h`             a sum that reaches it is a signal
    `units_in_control`, `units_to_find`  mean number of units until it signals: by chance, and at the rate to find
    `text`          all of it, in the reader's language
    """

    in_control: float
    is_estimated: bool
    to_find: float
    h: float
    units_in_control: float
    units_to_find: float
    text: str


class RuleAnswer(BaseModel):
    rule: str
    number: int
    text: str


class FrozenAnswer(BaseModel):
    """Limits that were kept; points of another `stage` than theirs have limits of their own.

    `stage`  empty where they were frozen without stages: they hold for all points
    """

    version: int
    person: str
    reason: str
    at: datetime
    stage: str


class CommentAnswer(BaseModel):
    point: str | None
    text: str
    person: str
    at: datetime


class ChartAnswer(BaseModel):
    """A chart ready to be drawn.

    `name`     under which exclusions, comments and frozen limits are kept
    `unit`     of the values; empty for a share, 0..1
    `size`     units behind each point of a chart of measured values; counts say their own at each point
    `stages`   in order, each once; empty where limits do not start anew
    """

    chart: ChartKind
    name: str
    title: str
    unit: str
    statistic: str
    method: str
    method_text: str
    since: datetime
    points: list[PointAnswer]
    rules: list[RuleAnswer]
    signals: list[SignalAnswer]
    stages: list[str]
    size: int = 1
    by: Literal["hour", "shift"] | None = None
    baseline: BaselineAnswer | None = None
    dispersion: DispersionAnswer | None = None
    cusum: EventCusumAnswer | None = None
    frozen: FrozenAnswer | None = None
    comments: list[CommentAnswer] = []

    @property
    def simulated(self) -> int:
        return sum(point.simulated for point in self.points)

    @property
    def units(self) -> int:
        """Of a chart of counts: all units in it. Of measured values: those behind its points."""
        return sum(
            self.size if point.opportunity is None else point.opportunity + (point.not_inspected or 0)
            for point in self.points
        )

    @property
    def stretches(self) -> int:
        """How often limits begin: a stage that comes back begins anew, as it is drawn."""
        if not self.stages:
            return 0
        return 1 + sum(before.stage != after.stage for before, after in pairwise(self.points))

    @property
    def excluded(self) -> list[PointAnswer]:
        return [point for point in self.points if point.excluded is not None]


def exclusions(book: Book, keys: Sequence[str]) -> tuple[Exclusion, ...]:
    """What was left out among the points of these keys."""
    return tuple(
        Exclusion(index=index, person=book.excluded[key].person, reason=book.excluded[key].reason)
        for index, key in enumerate(keys)
        if key in book.excluded
    )


LEAST_OF_LIMITS = 1e-9
"""Of the greater limit: a centre below is 0, and its digits those of the arithmetic."""

OWN_RULES = {
    "zeros_in_a_row": 2,
    "decision_interval": 1,
    "stop_red": 1,
    "stop_variation": 2,
    "adjust": 3,
}
"""Of charts with rules of their own, which no preset of handbooks has: g, after its limits, CUSUM of rare events, and
pre-control."""


def numbered(preset: str) -> dict[str, int]:
    """A rule's number is its place in its handbook; of Nelson's, which the trade calls by them, his own. A chart's own
    rules have theirs."""
    rules = NELSON if preset == "nelson_1_2" else PRESETS[preset]
    return OWN_RULES | {rule.name: place for place, rule in enumerate(rules, start=1)}


def points_of(chart: ControlChart, book: Book) -> Callable[..., PointAnswer]:
    """What gives the point at an index, and is given what the chart itself does not know: key, label, at, stage,
    simulated, url, counts."""
    # All at once, and handed on as Python's own numbers: point by point it took as long as all the rest of a chart of
    # thousands.
    value, lower, upper = (_numbers(line) for line in (chart.value, chart.lower, chart.upper))
    centre, zones = _numbers(_centre(chart)), _zones(chart)

    def point(index: int, **given: Any) -> PointAnswer:
        left_out = book.excluded.get(given["key"])
        return PointAnswer(
            value=value[index],
            centre=centre[index],
            lower=lower[index],
            upper=upper[index],
            zones=zones[index],
            excluded=None
            if left_out is None
            else ExclusionAnswer(person=left_out.person, reason=left_out.reason, at=left_out.at),
            **given,
        )

    return point


def _numbers(line: NDArray[np.float64]) -> list[float | None]:
    return [each if isfinite(each) else None for each in line.tolist()]


def _centre(chart: ControlChart) -> NDArray[np.float64]:
    """A mean of deviations is 0 but for the last digits of a floating-point number."""
    widest = np.fmax(np.abs(chart.upper), np.abs(chart.lower))
    return np.where(np.abs(chart.centre) < LEAST_OF_LIMITS * widest, 0.0, chart.centre)


def signals_of(
    chart: ControlChart, points: Sequence[PointAnswer], preset: str, language: str
) -> list[SignalAnswer]:
    """What a point signals that was left out is known already: it is not said again."""
    number = numbered(preset)
    return [
        SignalAnswer(
            rule=signal.rule,
            number=number[signal.rule],
            text=say(f"spc.rule.{signal.rule}", language),
            index=signal.index,
            key=points[signal.index].key,
            members=list(signal.members),
            side=signal.side,
        )
        for signal in chart.signals
        if points[signal.index].excluded is None
    ]


def rules_of(chart: ControlChart, preset: str, language: str) -> list[RuleAnswer]:
    number = numbered(preset)
    return [
        RuleAnswer(rule=rule, number=number[rule], text=say(f"spc.rule.{rule}", language))
        for rule in chart.rules
    ]


def frozen_of(book: Book) -> FrozenAnswer | None:
    kept = book.frozen
    if kept is None or kept.value is None:
        return None
    return FrozenAnswer(
        version=book.version,
        person=kept.person,
        reason=kept.reason,
        at=kept.at,
        stage=str(kept.value.get("stage", "")),
    )


def comments_of(book: Book) -> list[CommentAnswer]:
    return [
        CommentAnswer(point=one.point, text=one.reason, person=one.person, at=one.at) for one in book.comments
    ]


class StageWithoutLimits(SpcError):
    """Limits to be frozen of a stage that is too short to have any. Facts: stage."""

    code = "SPC-STAGE-WITHOUT-LIMITS"


def stage_to_freeze(chart: ControlChart, limits_stage: str) -> str:
    """The stage in progress, in which limits are frozen; empty where no stages are drawn.

    limits_stage  where the chart's limits come from: those of an older stage must not judge this one

    Raises StageWithoutLimits.
    """
    stage = chart.stage[-1] if chart.stage else ""
    if stage == limits_stage:
        return stage
    raise StageWithoutLimits(
        f"The stage in progress, {stage}, has no limits of its own yet.",
        action="Wait until more was inspected in it, then freeze; or freeze the limits of the chart without stages.",
        stage=stage,
    )


def held_by(own: ControlChart, entry: ChartEntry | None) -> NDArray[np.bool_]:
    """Of each point: do the frozen limits of this entry hold for it? Those of a stage hold for that stage, those frozen
    without stages for all; a chart drawn without stages is judged by either."""
    if entry is None or entry.value is None:
        return np.zeros(own.value.size, np.bool_)
    stage = entry.value.get("stage", "")
    if not stage or not own.stage:
        return np.ones(own.value.size, np.bool_)
    return np.array([one == stage for one in own.stage], np.bool_)


def with_frozen(
    own: ControlChart, kept: Callable[[Mapping[str, Any]], ControlChart], entry: ChartEntry | None
) -> ControlChart:
    """The chart with its frozen limits at the points they hold for; the others keep their own.

    kept  draws the same points, in the same stages, against the limits that an entry holds
    """
    here = held_by(own, entry)
    if entry is None or entry.value is None or not here.any():
        return own
    judged = kept(entry.value)
    if here.all():
        return judged
    signals = [one for one in judged.signals if here[one.index]] + [
        one for one in own.signals if not here[one.index]
    ]
    lines = {name: getattr(own, name).copy() for name in ("centre", "sigma", "lower", "upper")}
    for name, line in lines.items():
        line[here] = getattr(judged, name)[here]
    return replace(
        own,
        **lines,
        frozen=judged.frozen,
        signals=tuple(sorted(signals, key=lambda one: (one.index, one.rule))),
    )


def _zones(chart: ControlChart) -> list[list[float] | None]:
    """Of each point; None where it has no limits."""
    has_any = np.isfinite(chart.centre) & np.isfinite(chart.sigma)
    centre, sigma = (np.where(has_any, line, np.nan)[:, None] for line in (chart.centre, chart.sigma))
    lines = centre + np.array([-2.0, -1.0, 1.0, 2.0]) * sigma
    # A limit that was cut, as at 0, cuts the zones below it too.
    lower = np.where(np.isfinite(chart.lower), chart.lower, -np.inf)
    lines = np.fmin(np.fmax(lines, lower[:, None]), chart.upper[:, None])
    return [line if has else None for line, has in zip(lines.tolist(), has_any.tolist(), strict=True)]
