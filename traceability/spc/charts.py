"""Control charts for measured values, and what every chart of ours has in common.

Shewhart charts of subgroups (X̄-R, X̄-S, pooled, median), of single values (I-MR), of short runs (deviation
from nominal, Z-MR), of values that depend on the ones before (residuals of AR(1)), and pre-control.

Two phases. *Analysis*: limits come from the data shown, stage by stage. *Control*: limits were frozen before,
with a version, an author and a reason, and later data are judged against them. Points may be excluded from the
limits only with a person and a reason; they stay on the chart.

Sources: D. C. Montgomery, Introduction to Statistical Quality Control, 8th ed., chapters 6 and 10; ISO 7870-2;
L. S. Nelson, Monitoring Reduction in Variation with a Range Chart, J. Quality Technology 22 (1990) for moving
ranges. Which estimator of sigma was used is part of every chart, because programs differ in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import sqrt
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import chi2, norm

from traceability.spc import constants
from traceability.spc.checks import (
    enough,
    numbers,
    positive,
    rounding,
    spec_limits,
    subgroups,
    varying,
    within,
)
from traceability.spc.rules import BEYOND_LIMITS, DEFAULT, NELSONS_READING, Reading, Rule, Signal, signals

Floats = NDArray[np.float64]

Estimator = Literal[
    "rbar_d2",
    "rbar_d2_weighted",
    "sbar_c4",
    "sbar_c4_weighted",
    "pooled",
    "pooled_c4",
    "mean_variance",
    "median_range",
]
"""Where the sigma within subgroups comes from.

rbar_d2           mean of R_i / d2(n_i)
rbar_d2_weighted  the same, weighted by precision (d2/d3)²: of least variance where sizes differ
sbar_c4           mean of s_i / c4(n_i)
sbar_c4_weighted  the same, weighted by c4²/(1 - c4²)
pooled            sqrt(sum (n_i - 1) s_i² / sum (n_i - 1))
pooled_c4         the same over c4(sum (n_i - 1) + 1), so that it is unbiased; Minitab's default
mean_variance     sqrt of the mean of s_i²
median_range      median of R_i over the median range of n normal values
"""

SingleEstimator = Literal["mean_moving_range", "median_moving_range", "sd", "sd_c4", "mssd"]
"""Sigma of single values: mean moving range / d2, its median / d4, standard deviation, that / c4(n), or the
root of half the mean square successive difference."""

LimitRule = Literal["sigmas", "probability"]
"""Limits so many sigmas off, or at the quantiles that normal data exceed as rarely (exact chi-square and range)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a chart was set up with, kept for judging later points.

    centre, sigma  of single values; sigma within subgroups
    version        counts up with every change; author, reason and time of the change are part of it
    method         the estimator of sigma
    subgroups      from how many it was estimated
    """

    centre: float
    sigma: float
    method: str
    subgroups: int
    version: int = 1
    author: str = ""
    reason: str = ""
    frozen_at: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON and for keeping; `Limits.of` reads it back."""
        at = None if self.frozen_at is None else self.frozen_at.isoformat()
        names = ("centre", "sigma", "method", "subgroups", "version", "author", "reason")
        return {name: getattr(self, name) for name in names} | {"frozen_at": at}

    @staticmethod
    def of(kept: Mapping[str, Any]) -> Limits:
        at = kept.get("frozen_at")
        return Limits(**{**kept, "frozen_at": None if at is None else datetime.fromisoformat(at)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """A point left out of the limits. It stays on the chart."""

    index: int
    person: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ControlChart:
    """One chart, ready to be drawn. Arrays have shape (n,), one entry per point.

    statistic     what is plotted: mean, median, individual, range, standard_deviation, moving_range, share,
                  count, rate, ewma, t_squared, …
    value         NaN where there is no point, and such a point never signals
    sigma         of the plotted value
    lower, upper  NaN where there is no such limit
    method        how sigma was estimated; `conventions` names the other choices that were made
    stage         label per point; limits and patterns start anew where it changes
    frozen        the limits that came from outside, or None where they come from these data
    excluded      points that the limits were estimated without
    """

    statistic: str
    value: Floats
    centre: Floats
    sigma: Floats
    lower: Floats
    upper: Floats
    method: str
    conventions: tuple[str, ...]
    rules: tuple[str, ...]
    signals: tuple[Signal, ...]
    stage: tuple[str, ...] = ()
    frozen: Limits | None = None
    excluded: tuple[Exclusion, ...] = ()

    @property
    def beyond(self) -> tuple[int, ...]:
        """0-based, the points beyond their own limits; a point on its limit is not."""
        slack = rounding(self.sigma, self.value, self.centre)
        with np.errstate(invalid="ignore"):
            out = (self.value > self.upper + slack) | (self.value < self.lower - slack)
        return tuple(int(index) for index in np.flatnonzero(out))

    def as_dict(self) -> dict[str, Any]:
        """For JSON: all that is drawn, nothing left to compute. Missing numbers are null; texts are keys."""
        return {
            "statistic": self.statistic,
            "method": self.method,
            "conventions": list(self.conventions),
            "points": [
                {
                    "value": _number(self.value[index]),
                    "centre": _number(self.centre[index]),
                    "sigma": _number(self.sigma[index]),
                    "lower": _number(self.lower[index]),
                    "upper": _number(self.upper[index]),
                    "stage": self.stage[index] if self.stage else None,
                }
                for index in range(self.value.size)
            ],
            "rules": [{"rule": rule, "text_key": f"spc.rule.{rule}"} for rule in self.rules],
            "signals": [
                {
                    "rule": signal.rule,
                    "text_key": f"spc.rule.{signal.rule}",
                    "index": signal.index,
                    "members": list(signal.members),
                    "side": signal.side,
                }
                for signal in self.signals
            ],
            "frozen": None if self.frozen is None else self.frozen.as_dict(),
            "excluded": [
                {"index": one.index, "person": one.person, "reason": one.reason} for one in self.excluded
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartPair:
    """Location above, spread below; the spread is looked at first. `limits` can be frozen for later data.

    limits_stage  the stage they were estimated in; empty where there are no stages, or where they came from outside
    """

    location: ControlChart
    spread: ControlChart | None
    limits: Limits
    limits_stage: str


class _Common(TypedDict):
    """What both charts of a pair say."""

    method: str
    conventions: tuple[str, ...]
    stage: tuple[str, ...]
    frozen: Limits | None
    excluded: tuple[Exclusion, ...]
    reading: Reading


def make_chart(
    *,
    statistic: str,
    value: ArrayLike,
    centre: ArrayLike,
    sigma: ArrayLike,
    method: str,
    sigmas: float = 3,
    floor: float = -np.inf,
    ceiling: float = np.inf,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    rules: Sequence[Rule] = DEFAULT,
    reading: Reading = NELSONS_READING,
    conventions: tuple[str, ...] = (),
    stage: tuple[str, ...] = (),
    frozen: Limits | None = None,
    excluded: tuple[Exclusion, ...] = (),
) -> ControlChart:
    """A chart from its points. Limits are `sigmas` off the centre unless given, and kept within floor and ceiling.

    Zones of the rules are thirds of the way to the limits on each point's own side, so that rules fit limits
    that are not symmetric.
    """
    positive(sigmas, parameter="sigmas")
    points = np.asarray(value, np.float64)
    middle, spread = (np.broadcast_to(np.asarray(of, np.float64), points.shape) for of in (centre, sigma))
    below = (
        middle - sigmas * spread
        if lower is None
        else np.broadcast_to(np.asarray(lower, np.float64), points.shape)
    )
    above = (
        middle + sigmas * spread
        if upper is None
        else np.broadcast_to(np.asarray(upper, np.float64), points.shape)
    )
    chart = ControlChart(
        statistic=statistic,
        value=points,
        centre=np.array(middle),
        sigma=np.array(spread),
        lower=np.maximum(below, floor),
        upper=np.minimum(above, ceiling),
        method=method,
        conventions=conventions,
        rules=tuple(rule.name for rule in rules),
        signals=(),
        stage=stage,
        frozen=frozen,
        excluded=excluded,
    )
    z, slack = standardised(points, middle, below, above)
    out = set(chart.beyond)
    found = signals(
        z,
        [rule for rule in rules if rule != BEYOND_LIMITS],
        reading=reading,
        stages=stage or None,
        slack=slack,
    )
    if BEYOND_LIMITS in rules:
        found += tuple(
            Signal(
                rule=BEYOND_LIMITS.name,
                index=index,
                members=(index,),
                side="above" if z[index] > 0 else "below",
            )
            for index in out
        )
    order = {name: place for place, name in enumerate(chart.rules)}
    return replace(
        chart, signals=tuple(sorted(found, key=lambda one: (one.index, order[one.rule], one.members)))
    )


def standardised(value: Floats, centre: Floats, lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Each point's distance from its centre in thirds of the way to the limit on its side, inf where that is 0, and
    how far rounding may have moved it, in the same unit."""
    with np.errstate(divide="ignore", invalid="ignore"):
        off = value - centre
        reach = np.where(off > 0, upper - centre, centre - lower) / 3
        reach = np.where(np.isfinite(reach), reach, np.abs(upper - lower) / 6)
        slack = rounding(reach, value, centre)
        z: Floats = np.where((off == 0) | (np.abs(off) <= slack), 0.0, off / reach)
        # A chart without width has no borders but its centre line.
        in_reaches: Floats = np.where(reach > 0, slack / reach, 0.0)
    return z, in_reaches


def freeze(
    limits: Limits, *, author: str, reason: str, at: datetime, previous: Limits | None = None
) -> Limits:
    """The limits as the next version. Author and reason are required: limits change only with both."""
    for name, text in (("author", author), ("reason", reason)):
        within(len(text.strip()), parameter=name, allowed=">= 1 character", is_allowed=bool(text.strip()))
    return Limits(
        centre=limits.centre,
        sigma=limits.sigma,
        method=limits.method,
        subgroups=limits.subgroups,
        version=1 if previous is None else previous.version + 1,
        author=author,
        reason=reason,
        frozen_at=at,
    )


def stages_by_event(
    at: Sequence[datetime], events: Sequence[tuple[datetime, str]], *, first: str = ""
) -> tuple[str, ...]:
    """The stage of each point: the name of the last event before it or with it. Events need not be in order.

    Recipe, model, camera, lamp and lens changes are events: each makes a stage by itself.
    """
    in_order = sorted(events, key=lambda event: event[0])
    return tuple(next((name for when, name in reversed(in_order) if when <= moment), first) for moment in at)


def sigma_within(groups: Sequence[Floats], estimator: Estimator) -> float:
    """Sigma within subgroups; sizes may differ. The choices are at `Estimator`."""
    sizes = np.array([group.size for group in groups])
    degrees = sizes - 1
    if estimator in ("rbar_d2", "rbar_d2_weighted", "median_range"):
        ranges = np.array([np.ptp(group) for group in groups])
        if estimator == "median_range":
            return float(np.median(ranges / _each(constants.d4, sizes)))
        mean = _each(constants.d2, sizes)
        weight = (
            (mean / _each(constants.d3, sizes)) ** 2 if estimator.endswith("weighted") else np.ones_like(mean)
        )
        return float(np.average(ranges / mean, weights=weight))
    variances = np.array([np.var(group, ddof=1) for group in groups])
    if estimator in ("sbar_c4", "sbar_c4_weighted"):
        mean = _each(constants.c4, sizes)
        weight = mean**2 / (1 - mean**2) if estimator.endswith("weighted") else np.ones_like(mean)
        return float(np.average(np.sqrt(variances) / mean, weights=weight))
    if estimator == "mean_variance":
        return sqrt(float(variances.mean()))
    pooled = sqrt(float(np.sum(degrees * variances) / np.sum(degrees)))
    return pooled / constants.c4(int(degrees.sum()) + 1) if estimator == "pooled_c4" else pooled


def sigma_of_singles(values: Floats, estimator: SingleEstimator, *, span: int = 2) -> float:
    """Sigma of single values in their order; the choices are at `SingleEstimator`."""
    if estimator in ("mean_moving_range", "median_moving_range"):
        ranges = moving_ranges(values, span=span)
        if estimator == "mean_moving_range":
            return float(ranges.mean()) / constants.d2(span)
        return float(np.median(ranges)) / constants.d4(span)
    if estimator == "mssd":
        return sqrt(float(np.mean(np.diff(values) ** 2)) / 2)
    spread = float(np.std(values, ddof=1))
    return spread / constants.c4(values.size) if estimator == "sd_c4" else spread


def moving_ranges(values: Floats, *, span: int = 2) -> Floats:
    """Ranges of so many neighbours, shape (n - span + 1,)."""
    windows = np.lib.stride_tricks.sliding_window_view(values, span)
    ranges: Floats = windows.max(axis=1) - windows.min(axis=1)
    return ranges


def subgroup_chart(
    values: Sequence[ArrayLike],
    *,
    location: Literal["mean", "median"] = "mean",
    spread: Literal["range", "standard_deviation"] = "range",
    estimator: Estimator | None = None,
    sigmas: float = 3,
    limit_rule: LimitRule = "sigmas",
    varying_sizes: bool = False,
    limits: Limits | None = None,
    stages: Sequence[str] | None = None,
    excluded: Sequence[Exclusion] = (),
    rules: Sequence[Rule] = DEFAULT,
    reading: Reading = NELSONS_READING,
) -> ChartPair:
    """X̄-R, X̄-S or median chart of rational subgroups, each of shape (n_i,).

    estimator      of sigma; by default R̄/d2 beside a range chart and s̄/c4 beside a chart of s
    varying_sizes  subgroups differ in size: limits in steps, centre weighted by size
    limits         frozen ones: phase of control. None: from these data, stage by stage
    stages         one label per subgroup; consecutive equal labels are one stage. A stage that is still too short
                   for limits of its own is shown without

    Raises ValuesMissing, TooFewValues, ValueNotFinite, NoVariation, SubgroupSizesDiffer, and ParameterOutOfRange for a
    sigma of 0.
    """
    method = {"range": "xbar_r", "standard_deviation": "xbar_s"}[spread] if location == "mean" else "median"
    checked = subgroups(
        values,
        method=method,
        needed=1 if limits is not None else 2,
        varying_sizes=varying_sizes and location == "mean",
        # Against given limits nothing is estimated: a subgroup without spread is judged like any other.
        must_vary=limits is None,
    )
    chosen: Estimator = estimator or ("rbar_d2" if spread == "range" else "sbar_c4")
    sizes = np.array([group.size for group in checked])
    labels = stage_labels(stages, len(checked), method=method)
    left_out = {one.index for one in excluded}
    centre, sigma = np.empty(len(checked)), np.empty(len(checked))
    established: Limits | None = limits
    established_in = ""
    for part in stage_rows(labels, len(checked)):
        if limits is None:
            used = [checked[index] for index in part if index not in left_out]
            if labels and not _can_establish(used, least=2):
                centre[part] = sigma[part] = np.nan
                continue
            subgroups(used, method=method, needed=2, varying_sizes=varying_sizes)
            own_sigma = sigma_within(used, chosen)
            if labels and own_sigma == 0:
                centre[part] = sigma[part] = np.nan
                continue
            established = Limits(
                centre=_centre(used, location),
                sigma=positive(own_sigma, parameter="sigma"),
                method=chosen,
                subgroups=len(used),
            )
            established_in = labels[part[0]] if labels else ""
        assert established is not None
        centre[part], sigma[part] = established.centre, established.sigma
    if established is None:
        enough(0, method=method, needed=2)
    assert established is not None
    unit = _each(constants.sd_of_median, sizes) if location == "median" else 1 / np.sqrt(sizes)
    common: _Common = {
        "method": established.method,
        "conventions": (
            f"limits:{limit_rule}",
            f"sigmas:{sigmas:g}",
            f"sizes:{'vary' if varying_sizes else 'equal'}",
        ),
        "stage": labels,
        "frozen": limits,
        "excluded": tuple(excluded),
        "reading": reading,
    }
    middle = np.median if location == "median" else np.mean
    return ChartPair(
        location=make_chart(
            statistic=location,
            value=[float(middle(group)) for group in checked],
            centre=centre,
            sigma=sigma * unit,
            sigmas=sigmas,
            rules=rules,
            **common,
        ),
        spread=_spread_chart(checked, sizes, sigma, spread, sigmas, limit_rule, rules, common),
        limits=established,
        limits_stage=established_in,
    )


def _why_none(values: Floats, *, method: str, needed: int) -> None:
    """No stage has limits: because nothing varies, or because all are too short. Raises NoVariation, TooFewValues."""
    enough(values.size, method=method, needed=needed)
    varying(values, method=method)
    enough(0, method=method, needed=needed)


def individuals_chart(
    values: ArrayLike,
    *,
    estimator: SingleEstimator = "mean_moving_range",
    span: int = 2,
    sigmas: float = 3,
    limits: Limits | None = None,
    stages: Sequence[str] | None = None,
    excluded: Sequence[Exclusion] = (),
    rules: Sequence[Rule] = DEFAULT,
    reading: Reading = NELSONS_READING,
) -> ChartPair:
    """I-MR chart of single values in their order. Moving ranges never span a change of stage.

    A stage that is still too short for limits of its own, or does not vary, is shown without. A median of ranges is 0
    where most neighbours are equal, and limits of no width would call every other value a signal.
    The first span - 1 points of each stage have no moving range: NaN on the spread chart.

    Raises ValuesMissing, TooFewValues, ValueNotFinite, NoVariation, and ParameterOutOfRange for a sigma of 0.
    """
    within(span, parameter="span", allowed=">= 2", is_allowed=span >= 2)
    x = numbers(values, method="i_mr", needed=1 if limits is not None else span)
    labels = stage_labels(stages, x.size, method="i_mr")
    left_out = {one.index for one in excluded}
    centre, sigma, ranges = np.empty(x.size), np.empty(x.size), np.full(x.size, np.nan)
    established, established_in = limits, ""
    for part in stage_rows(labels, x.size):
        if part.size >= span:
            ranges[part[span - 1 :]] = moving_ranges(x[part], span=span)
        if limits is None:
            kept = x[[i for i in part if i not in left_out]]
            if labels and not _can_establish([kept], least=1, least_size=span):
                centre[part] = sigma[part] = np.nan
                continue
            used = numbers(kept, method="i_mr", needed=span, must_vary=True)
            own_sigma = sigma_of_singles(used, estimator, span=span)
            if labels and own_sigma == 0:
                centre[part] = sigma[part] = np.nan
                continue
            established = Limits(
                centre=float(used.mean()),
                sigma=positive(own_sigma, parameter="sigma"),
                method=estimator,
                subgroups=used.size,
            )
            established_in = labels[part[0]] if labels else ""
        assert established is not None
        centre[part], sigma[part] = established.centre, established.sigma
    if established is None:
        _why_none(x, method="i_mr", needed=span)
    assert established is not None
    common: _Common = {
        "method": established.method,
        "conventions": (f"span:{span}", f"sigmas:{sigmas:g}"),
        "stage": labels,
        "frozen": limits,
        "excluded": tuple(excluded),
        "reading": reading,
    }
    return ChartPair(
        location=make_chart(
            statistic="individual", value=x, centre=centre, sigma=sigma, sigmas=sigmas, rules=rules, **common
        ),
        spread=make_chart(
            statistic="moving_range",
            value=ranges,
            centre=sigma * constants.d2(span),
            sigma=sigma * constants.d3(span),
            sigmas=sigmas,
            floor=0,
            rules=[rule for rule in rules if rule == BEYOND_LIMITS],
            **common,
        ),
        limits=established,
        limits_stage=established_in,
    )


def deviations(values: ArrayLike, parts: Sequence[str], nominal: Mapping[str, float]) -> Floats:
    """Short runs of several part numbers on one chart: each value less its part's nominal (DNOM).

    Raises ParameterOutOfRange where a part has no nominal.
    """
    x = numbers(values, method="dnom")
    within(len(parts), parameter="parts", allowed=f"{x.size} labels", is_allowed=len(parts) == x.size)
    for part in dict.fromkeys(parts):
        within(len(nominal), parameter=f"nominal[{part}]", allowed="a number", is_allowed=part in nominal)
    shifted: Floats = x - np.array([nominal[part] for part in parts])
    return shifted


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortRun:
    """Z-MR chart: each value in the standard deviations of its own part number."""

    chart: ChartPair
    mean: Mapping[str, float]
    sigma: Mapping[str, float]


def z_mr_chart(
    values: ArrayLike,
    parts: Sequence[str],
    *,
    by: Literal["runs", "parts", "constant", "relative"] = "parts",
    sigma: Mapping[str, float] | None = None,
    mean: Mapping[str, float] | None = None,
    rules: Sequence[Rule] = DEFAULT,
) -> ShortRun:
    """Short runs in standardised form: limits at +-3, moving ranges against d2(2) and D4.

    by  where sigma comes from: the moving ranges within each run, pooled over the runs of a part ("parts"),
        over all parts ("constant"), over all of the logarithms ("relative": spread grows with size), or each
        run's own ("runs")
    """
    x = numbers(values, method="z_mr", needed=2, must_vary=True)
    within(len(parts), parameter="parts", allowed=f"{x.size} labels", is_allowed=len(parts) == x.size)
    labels = np.array(parts)
    runs = stage_rows(tuple(parts), x.size)
    scale = np.log(x) if by == "relative" else x
    of_run = [moving_ranges(scale[run]) if run.size > 1 else np.empty(0) for run in runs]
    spread = np.empty(x.size)
    for run, own in zip(runs, of_run, strict=True):
        if sigma is not None:
            spread[run] = sigma[parts[int(run[0])]]
            continue
        same = [r for place, r in zip(runs, of_run, strict=True) if labels[place[0]] == labels[run[0]]]
        ranges = {"runs": [own], "parts": same, "constant": of_run, "relative": of_run}[by]
        pooled = numbers(np.concatenate(ranges), method="z_mr")
        spread[run] = pooled.mean() / constants.d2(2)
    names = dict.fromkeys(parts)
    centre = {name: float(x[labels == name].mean()) if mean is None else mean[name] for name in names}
    middle = np.array([centre[part] for part in parts])
    if sigma is None and by == "relative":
        spread = spread * np.abs(middle)
    varying = float(np.min(spread))
    positive(varying, parameter="sigma")
    pair = individuals_chart(
        (x - middle) / spread,
        limits=Limits(centre=0, sigma=1, method=f"z_mr_{by}", subgroups=x.size),
        rules=rules,
    )
    return ShortRun(
        chart=pair,
        mean=centre,
        sigma={name: float(spread[labels == name][0]) for name in names},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Autocorrelation:
    """Lag-1 autocorrelation against its band on independent data, +-1.96/sqrt(n)."""

    lag_1: float
    band: float
    acf: tuple[float, ...]

    @property
    def is_shown(self) -> bool:
        return abs(self.lag_1) > self.band


def autocorrelation(values: ArrayLike, *, lags: int = 10, confidence: float = 0.95) -> Autocorrelation:
    """Do neighbours resemble each other? Then limits from moving ranges are far too narrow."""
    x = numbers(values, method="autocorrelation", needed=3, must_vary=True)
    off = x - x.mean()
    total = float(off @ off)
    acf = tuple(float(off[lag:] @ off[: x.size - lag]) / total for lag in range(1, min(lags, x.size - 1) + 1))
    return Autocorrelation(lag_1=acf[0], band=float(norm.isf((1 - confidence) / 2)) / sqrt(x.size), acf=acf)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Residuals:
    """AR(1) fitted by exact maximum likelihood, its one-step residuals, and their chart beside the raw one.

    residual  innovations; the first is scaled to the variance of the others, as a Kalman filter does
    """

    phi: float
    mean: float
    innovation_variance: float
    residual: Floats
    raw_chart: ChartPair
    residual_chart: ChartPair
    autocorrelation: Autocorrelation


def residual_chart(
    values: ArrayLike, *, sigmas: float = 3, rules: Sequence[Rule] = (BEYOND_LIMITS,)
) -> Residuals:
    """For values of which each depends on the one before: chart what is new in each (Montgomery 10.4)."""
    x = numbers(values, method="ar1", needed=4, must_vary=True)

    def fitted(phi: float) -> tuple[float, Floats, float]:
        weight = 1 - phi**2
        mean = (weight * x[0] + (1 - phi) * np.sum(x[1:] - phi * x[:-1])) / (
            weight + (x.size - 1) * (1 - phi) ** 2
        )
        off = x - mean
        residual = np.concatenate(([off[0] * sqrt(weight)], off[1:] - phi * off[:-1]))
        return float(mean), residual, float(residual @ residual) / x.size

    def cost(phi: float) -> float:
        return float(x.size * np.log(fitted(phi)[2]) - np.log1p(-(phi**2)))

    phi = float(minimize_scalar(cost, bounds=(-0.9999, 0.9999), method="bounded", options={"xatol": 1e-10}).x)
    mean, residual, variance = fitted(phi)
    return Residuals(
        phi=phi,
        mean=mean,
        innovation_variance=variance,
        residual=residual,
        raw_chart=individuals_chart(x, sigmas=sigmas, rules=rules),
        residual_chart=individuals_chart(residual, sigmas=sigmas, rules=rules),
        autocorrelation=autocorrelation(x),
    )


def batch_means(values: ArrayLike, *, size: int) -> Floats:
    """Means of consecutive batches, which depend less on each other than single values; a rest is left out."""
    x = numbers(values, method="batch_means", needed=size)
    within(size, parameter="size", allowed=">= 1", is_allowed=size >= 1)
    whole = x.size // size * size
    means: Floats = x[:whole].reshape(-1, size).mean(axis=1)
    return means


Zone = Literal["green", "yellow_low", "yellow_high", "red_low", "red_high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreControl:
    """zones per value; `lines` half-way between the middle and the limits; `qualified_at` the 0-based value that
    completes five greens in a row, None before; `decisions` after it: 0-based value and what to do."""

    lines: tuple[float, float]
    zones: tuple[Zone, ...]
    qualified_at: int | None
    decisions: tuple[tuple[int, Literal["adjust", "stop_variation", "stop_red"]], ...]


def pre_control(values: ArrayLike, *, lower: float, upper: float, greens: int = 5) -> PreControl:
    """Classical pre-control (Shainin): set-up on five greens in a row, then pairs of consecutive values.

    Two yellow on one side: adjust. Two yellow on opposite sides: stop, too much variation. Red: stop.
    """
    spec_limits(lower, upper)
    x = numbers(values, method="pre_control")
    quarter = (upper - lower) / 4
    lines = (lower + quarter, upper - quarter)
    zones = tuple(_zone(float(value), lower, upper, lines) for value in x)
    decisions: list[tuple[int, Literal["adjust", "stop_variation", "stop_red"]]] = []
    row, qualified, first = 0, None, None
    for index, zone in enumerate(zones):
        if qualified is None:
            row = row + 1 if zone == "green" else 0
            qualified = index if row >= greens else None
        elif zone.startswith("red"):
            decisions.append((index, "stop_red"))
            first = None
        elif first is None:
            first = zone
        else:
            if "green" not in (first, zone):
                decisions.append((index, "adjust" if first == zone else "stop_variation"))
            first = None
    return PreControl(lines=lines, zones=zones, qualified_at=qualified, decisions=tuple(decisions))


def acceptance_limits(
    *, lower: float, upper: float, sigma: float, n: int, share: float, alpha: float = 0.05
) -> tuple[float, float]:
    """Acceptance chart: limits of a mean of n between which a process with at most this share beyond either
    specification limit is accepted with risk alpha of refusing it (Montgomery 10.2)."""
    spec_limits(lower, upper)
    positive(sigma, parameter="sigma")
    inward = float(norm.isf(share)) - float(norm.isf(alpha)) / sqrt(n)
    return lower + inward * sigma, upper - inward * sigma


def _spread_chart(
    groups: list[Floats],
    sizes: NDArray[np.int_],
    sigma: Floats,
    spread: Literal["range", "standard_deviation"],
    sigmas: float,
    limit_rule: LimitRule,
    rules: Sequence[Rule],
    common: _Common,
) -> ControlChart:
    is_range = spread == "range"
    value = [float(np.ptp(group) if is_range else np.std(group, ddof=1)) for group in groups]
    mean, off = (constants.d2, constants.d3) if is_range else (constants.c4, constants.c5)
    lower = upper = None
    if limit_rule == "probability":
        # The same chance of a false alarm on either side as limits at so many sigmas of a normal value.
        tail = float(norm.sf(sigmas))
        lower, upper = (
            sigma
            * np.array(
                [
                    constants.range_quantile(p, int(n))
                    if is_range
                    else sqrt(float(chi2.ppf(p, n - 1)) / (n - 1))
                    for n in sizes
                ]
            )
            for p in (tail, 1 - tail)
        )
    return make_chart(
        statistic=spread,
        value=value,
        centre=sigma * _each(mean, sizes),
        sigma=sigma * _each(off, sizes),
        sigmas=sigmas,
        floor=0,
        lower=lower,
        upper=upper,
        # Spreads are not normal: of the rules only the limits are meant for them.
        rules=[rule for rule in rules if rule == BEYOND_LIMITS],
        **common,
    )


def _zone(value: float, lower: float, upper: float, lines: tuple[float, float]) -> Zone:
    if value < lower:
        return "red_low"
    if value > upper:
        return "red_high"
    if value < lines[0]:
        return "yellow_low"
    return "yellow_high" if value > lines[1] else "green"


def _centre(groups: Sequence[Floats], location: Literal["mean", "median"]) -> float:
    if location == "median":
        return float(np.mean([np.median(group) for group in groups]))
    return float(np.concatenate(groups).mean())


def stage_labels(stages: Sequence[str] | None, points: int, *, method: str) -> tuple[str, ...]:
    """One label per point, or none. Raises ParameterOutOfRange where their number differs."""
    if stages is None:
        return ()
    within(
        len(stages),
        parameter=f"{method} stages",
        allowed=f"{points} labels",
        is_allowed=len(stages) == points,
    )
    return tuple(stages)


def stage_rows(labels: tuple[str, ...], points: int) -> list[NDArray[np.intp]]:
    """The places of each row of equal labels; all of them where there are no labels."""
    changes = [place for place in range(1, len(labels)) if labels[place] != labels[place - 1]]
    return np.split(np.arange(points), changes)


def _can_establish(groups: Sequence[Floats], *, least: int, least_size: int = 2) -> bool:
    """Is there enough in a stage to set limits from?"""
    return len(groups) >= least and any(group.size >= least_size and np.ptp(group) > 0 for group in groups)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _each(constant: Callable[[int], float], sizes: NDArray[np.int_]) -> Floats:
    known = {int(n): constant(int(n)) for n in np.unique(sizes)}
    return np.array([known[int(n)] for n in sizes])
