"""Control charts of measured values, of every kind a page offers: which points, which limits, which signals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from services.api.charts import Preset, exclusions, with_frozen
from traceability.chart_book import Book
from traceability.samples import MeasuredValue
from traceability.spc.charts import (
    ChartPair,
    ControlChart,
    Limits,
    PreControl,
    deviations,
    individuals_chart,
    make_chart,
    pre_control,
    residual_chart,
    stage_rows,
    subgroup_chart,
    z_mr_chart,
)
from traceability.spc.checks import enough, numbers, varying, within
from traceability.spc.multivariate import mewma_chart, t2_individuals
from traceability.spc.rules import BEYOND_LIMITS, PRESETS, Signal
from traceability.spc.run_length import cusum_h, ewma_sigmas, mewma_h
from traceability.spc.time_weighted import cusum_chart, ewma_chart
from traceability.subgroups import subgroups_of

Floats = NDArray[np.float64]

MeasuredChart = Literal[
    "individuals",
    "mean_range",
    "mean_deviation",
    "median",
    "ewma",
    "cusum",
    "residuals",
    "short_runs",
    "dnom",
    "t_squared",
    "mewma",
    "pre_control",
]

CHARTS: Final[tuple[MeasuredChart, ...]] = get_args(MeasuredChart)

OF_SUBGROUPS: Final[
    Mapping[str, tuple[Literal["mean", "median"], Literal["range", "standard_deviation"]]]
] = {
    "mean_range": ("mean", "range"),
    "mean_deviation": ("mean", "standard_deviation"),
    "median": ("median", "range"),
}

OF_SEVERAL: Final = ("t_squared", "mewma")
"""Charts of several measurements of the same units."""

WITH_KEPT_LIMITS: Final = ("individuals", *OF_SUBGROUPS, "ewma", "cusum")
"""Of the others there is nothing to freeze: their limits are those of a model fitted to the values shown."""

WEIGHT: Final = 0.2
REFERENCE: Final = 0.5
ARL0: Final = 370.4
"""EWMA and MEWMA with lambda 0.2 and CUSUM with k 0.5 are for shifts of about one sigma (Montgomery, chapter 9); limits
are set for as few false alarms as three-sigma limits give."""

LEAST_FOR_RESIDUALS: Final = 8

LEAST_SUBGROUPS: Final = 2

PRE_CONTROL_RULES: Final = ("stop_red", "stop_variation", "adjust")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Made:
    """A chart, or two over the same points.

    points    the values behind each point
    limits    of the newest stage that has any, to be frozen; None where there is nothing to freeze
    limits_stage  that stage; empty where there are no stages
    shares    of T²: by measurement, what its part of each point is; empty otherwise
    zones     of pre-control
    """

    points: tuple[tuple[MeasuredValue, ...], ...]
    location: ControlChart
    spread: ControlChart | None
    limits: Limits | None
    limits_stage: str = ""
    left_over: int = 0
    shares: tuple[Floats, ...] = ()
    zones: PreControl | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOnRecord:
    """What a chart takes that stands in no record: specification limits (pre-control), and the nominal values of
    recipes with their revision (DNOM); a recipe without one has the mean of its units."""

    lower: float | None = None
    upper: float | None = None
    nominals: Mapping[str, float] = field(default_factory=dict)


def key_of(point: Sequence[MeasuredValue]) -> str:
    """A point is known by its first value."""
    return str(point[0].id)


def made(
    values: Sequence[MeasuredValue],
    *,
    chart: MeasuredChart,
    size: int,
    preset: Preset,
    by_stage: bool,
    book: Book,
    given: NotOnRecord,
) -> Made:
    """Any chart of one measurement. Raises SpcError where nothing can be drawn."""
    if chart in OF_SUBGROUPS:
        grouped = subgroups_of(values, size=size)
        return _of_subgroups(
            grouped.groups, grouped.left_over, chart=chart, preset=preset, by_stage=by_stage, book=book
        )
    points = tuple((one,) for one in values)
    x = np.array([one.value for one in values])
    stages = [one.stage for one in values] if by_stage else None
    if chart == "short_runs":
        pair = z_mr_chart(x, _parts(values), rules=PRESETS[preset]).chart
        return Made(points=points, location=pair.location, spread=pair.spread, limits=None)
    if chart == "residuals":
        return _residuals(points, x, stages, preset)
    if chart == "pre_control":
        return _pre_control(points, x, given)
    left_out = exclusions(book, [key_of(point) for point in points])
    rules = PRESETS[preset]
    if chart == "dnom":
        parts = _parts(values)
        nominal = _means(x, parts, {one.index for one in left_out}) | dict(given.nominals)
        pair = individuals_chart(deviations(x, parts, nominal), excluded=left_out, rules=rules)
        location = replace(pair.location, statistic="deviation")
        return Made(points=points, location=location, spread=pair.spread, limits=None)
    pair = individuals_chart(x, stages=stages, excluded=left_out, rules=rules)

    def against(held: Limits) -> ChartPair:
        return individuals_chart(x, stages=stages, limits=held, excluded=left_out, rules=rules)

    base = _with_kept(pair, against, book)
    if chart == "ewma":
        location, spread = _ewma(base.location), None
    elif chart == "cusum":
        location, spread = _cusum(base.location)
    else:
        location, spread = base.location, base.spread
    return Made(
        points=points, location=location, spread=spread, limits=pair.limits, limits_stage=pair.limits_stage
    )


def made_together(
    units: Sequence[tuple[MeasuredValue, ...]],
    *,
    chart: Literal["t_squared", "mewma"],
    by_stage: bool,
    book: Book,
) -> Made:
    """T² or MEWMA of several measurements of the same units, stage by stage; a stage too short is shown without."""
    numbers([unit[0].value for unit in units], method=chart)
    variables = len(units[0])
    within(variables, parameter="beside", allowed=">= 1 other measurement", is_allowed=variables >= 2)
    points = tuple((unit[0],) for unit in units)
    x = np.array([[one.value for one in unit] for unit in units])
    stages = tuple(unit[0].stage for unit in units) if by_stage else ()
    left_out = {one.index for one in exclusions(book, [key_of(point) for point in points])}
    value, upper = np.full(len(x), np.nan), np.full(len(x), np.nan)
    shares = np.full(x.shape, np.nan)
    for rows in stage_rows(stages, len(x)):
        kept = [row for row in rows if row not in left_out]
        if stages and len(kept) < variables + 3:
            continue
        known = t2_individuals(x[kept])
        if chart == "mewma":
            limit = _limit_of_mewma(variables)
            mean, covariance = known.established.mean, known.established.covariance
            # As of EWMA: what was left out of the limits is left out of what the chart remembers.
            drawn = mewma_chart(x[kept], weight=WEIGHT, mean=mean, covariance=covariance, h=limit)
            value[kept], upper[rows] = drawn.value, limit
            continue
        all_of_them = t2_individuals(x[rows], established=known.established)
        value[rows], upper[rows] = all_of_them.value, known.upper
        shares[rows] = all_of_them.contribution
    if np.all(np.isnan(upper)):
        enough(len(x), method=chart, needed=variables + 3)
        varying(x[:, 0], method=chart)
        enough(0, method=chart, needed=variables + 3)
    location = _one_sided(chart, value, upper, method=chart, stage=stages)
    is_shared = tuple(shares.T) if chart == "t_squared" else ()
    return Made(points=points, location=location, spread=None, limits=None, shares=is_shared)


def _parts(values: Sequence[MeasuredValue]) -> list[str]:
    """A part number is what the units were made by: its recipe, the first of what they were judged under."""
    return [one.stage.split(", ")[0] for one in values]


def _means(x: Floats, parts: Sequence[str], left_out: set[int]) -> dict[str, float]:
    """Of each part the mean of its values that were not left out; a part of which all were has none."""
    of_part: dict[str, list[float]] = {}
    for index, (value, part) in enumerate(zip(x, parts, strict=True)):
        if index not in left_out:
            of_part.setdefault(part, []).append(float(value))
    return {part: float(np.mean(some)) for part, some in of_part.items()}


def _pre_control(points: tuple[tuple[MeasuredValue, ...], ...], x: Floats, given: NotOnRecord) -> Made:
    """Values against their specification: no control limits, and a rule of its own."""
    lower, upper = (np.nan if limit is None else limit for limit in (given.lower, given.upper))
    within(
        0,
        parameter="lower, upper",
        allowed="both specification limits",
        is_allowed=given.lower is not None and given.upper is not None,
    )
    found = pre_control(x, lower=lower, upper=upper)
    drawn = make_chart(
        statistic="individual",
        value=x,
        centre=(lower + upper) / 2,
        sigma=0.0,
        lower=np.full(x.size, lower),
        upper=np.full(x.size, upper),
        method="pre_control",
        rules=(),
    )
    signals = tuple(
        Signal(
            rule=what,
            index=index,
            members=(index,),
            side="above" if x[index] > drawn.centre[index] else "below",
        )
        for index, what in found.decisions
    )
    location = replace(drawn, rules=PRE_CONTROL_RULES, signals=signals)
    return Made(points=points, location=location, spread=None, limits=None, zones=found)


def _of_subgroups(
    groups: tuple[tuple[MeasuredValue, ...], ...],
    left_over: int,
    *,
    chart: str,
    preset: Preset,
    by_stage: bool,
    book: Book,
) -> Made:
    location, spread = OF_SUBGROUPS[chart]
    enough(len(groups), method=f"{location}_{spread}", needed=LEAST_SUBGROUPS)
    given = [[one.value for one in group] for group in groups]
    stages = [group[0].stage for group in groups] if by_stage else None
    left_out = exclusions(book, [key_of(group) for group in groups])
    rules = PRESETS[preset]
    pair = subgroup_chart(
        given, location=location, spread=spread, stages=stages, excluded=left_out, rules=rules
    )

    def against(held: Limits) -> ChartPair:
        return subgroup_chart(
            given,
            location=location,
            spread=spread,
            stages=stages,
            limits=held,
            excluded=left_out,
            rules=rules,
        )

    kept = _with_kept(pair, against, book)
    return Made(
        points=groups,
        location=kept.location,
        spread=kept.spread,
        limits=kept.limits,
        limits_stage=kept.limits_stage,
        left_over=left_over,
    )


def _with_kept(pair: ChartPair, against: Callable[[Limits], ChartPair], book: Book) -> ChartPair:
    """Both charts, judged by the frozen limits where those hold."""

    def held(kept: Mapping[str, Any]) -> Limits:
        return Limits.of({name: value for name, value in kept.items() if name != "stage"})

    def spread_against(kept: Mapping[str, Any]) -> ControlChart:
        return _spread_of(against(held(kept)))

    return ChartPair(
        location=with_frozen(pair.location, lambda kept: against(held(kept)).location, book.frozen),
        spread=with_frozen(_spread_of(pair), spread_against, book.frozen),
        limits=pair.limits,
        limits_stage=pair.limits_stage,
    )


def _spread_of(pair: ChartPair) -> ControlChart:
    assert pair.spread is not None
    return pair.spread


def _ewma(base: ControlChart) -> ControlChart:
    value, sigma = np.full(base.value.size, np.nan), np.full(base.value.size, np.nan)
    for rows, target, spread in _established(base):
        one = ewma_chart(
            base.value[rows], weight=WEIGHT, target=target, sigma=spread, sigmas=_sigmas_of_ewma()
        )
        value[rows], sigma[rows] = one.value, one.sigma
    return make_chart(
        statistic="ewma",
        value=value,
        centre=base.centre,
        sigma=sigma,
        sigmas=_sigmas_of_ewma(),
        method="ewma",
        rules=(BEYOND_LIMITS,),
        stage=base.stage,
        frozen=base.frozen,
        excluded=base.excluded,
    )


def _cusum(base: ControlChart) -> tuple[ControlChart, ControlChart]:
    """The sums above and below the target, in sigmas."""
    sums = {side: np.full(base.value.size, np.nan) for side in ("above", "below")}
    for rows, target, spread in _established(base):
        one = cusum_chart(base.value[rows], target=target, sigma=spread, k=REFERENCE, h=_interval_of_cusum())
        sums["above"][rows], sums["below"][rows] = one.above, one.below
    above, below = (
        _one_sided(
            f"cusum_{side}",
            value,
            np.full(value.size, _interval_of_cusum()),
            method="cusum",
            stage=base.stage,
            frozen=base.frozen,
        )
        for side, value in sums.items()
    )
    return above, below


def _established(base: ControlChart) -> list[tuple[NDArray[np.intp], float, float]]:
    """Of each stage that has limits: its points that were not left out, its centre and its sigma."""
    left_out = {one.index for one in base.excluded}
    found = []
    for rows in stage_rows(base.stage, base.value.size):
        kept = np.array([row for row in rows if row not in left_out], np.intp)
        if kept.size and np.isfinite(base.sigma[kept[0]]) and base.sigma[kept[0]] > 0:
            found.append((kept, float(base.centre[kept[0]]), float(base.sigma[kept[0]])))
    return found


def _residuals(
    points: tuple[tuple[MeasuredValue, ...], ...], x: Floats, stages: Sequence[str] | None, preset: Preset
) -> Made:
    labels = tuple(stages or ())
    parts = ("location", "spread")
    lines = {part: np.full((3, x.size), np.nan) for part in parts}
    for rows in stage_rows(labels, x.size):
        if labels and (rows.size < LEAST_FOR_RESIDUALS or np.ptp(x[rows]) == 0):
            continue
        pair = residual_chart(x[rows]).residual_chart
        for part, chart in zip(parts, (pair.location, _spread_of(pair)), strict=True):
            lines[part][:, rows] = chart.value, chart.centre, chart.sigma
    if np.all(np.isnan(lines["location"])):
        enough(x.size, method="residuals", needed=LEAST_FOR_RESIDUALS)
        varying(x, method="residuals")
        enough(0, method="residuals", needed=LEAST_FOR_RESIDUALS)
    location, spread = (
        make_chart(
            statistic=statistic,
            value=lines[part][0],
            centre=lines[part][1],
            sigma=lines[part][2],
            floor=floor,
            method="ar1",
            rules=rules,
            stage=labels,
        )
        for part, statistic, floor, rules in (
            ("location", "residual", -np.inf, PRESETS[preset]),
            ("spread", "moving_range", 0.0, (BEYOND_LIMITS,)),
        )
    )
    return Made(points=points, location=location, spread=spread, limits=None)


def _one_sided(
    statistic: str,
    value: Floats,
    upper: Floats,
    *,
    method: str,
    stage: tuple[str, ...],
    frozen: Limits | None = None,
) -> ControlChart:
    """A sum or a distance: from 0 up, with one limit and no zones between."""
    return make_chart(
        statistic=statistic,
        value=value,
        centre=0.0,
        sigma=0.0,
        lower=np.full(value.size, np.nan),
        upper=upper,
        method=method,
        rules=(BEYOND_LIMITS,),
        stage=stage,
        frozen=frozen,
    )


@cache
def _sigmas_of_ewma() -> float:
    return ewma_sigmas(weight=WEIGHT, arl0=ARL0)


@cache
def _limit_of_mewma(variables: int) -> float:
    return mewma_h(weight=WEIGHT, variables=variables, arl0=ARL0)


@cache
def _interval_of_cusum() -> float:
    return cusum_h(k=REFERENCE, arl0=ARL0)
