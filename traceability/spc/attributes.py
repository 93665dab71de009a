"""Control charts for counts: refused units, defects, and what happens between two rare ones.

p, np, c and u charts in one function, with limits at so many sigmas, at exact binomial or Poisson quantiles, or
widened by Laney where subgroups differ more than chance; g and t charts for what is too rare to be counted by
subgroup; and the charts of subgroups from the record.

Sources: D. C. Montgomery, Introduction to Statistical Quality Control, 8th ed., chapter 7; D. B. Laney,
Improved Control Charts for Attributes, Quality Engineering 14 (2002) 531-537; G. W. Snedecor and W. G. Cochran,
Statistical Methods, 8th ed., section 11.7 (test of dispersion); J. C. Benneyan, Health Care Management Science
4 (2001) 305-318 (g chart); L. S. Nelson, J. Quality Technology 26 (1994) 239-243 (t chart).
`docs/statistics.md` says which conventions were chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil, exp, log, sqrt
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.stats import binom, chi2, geom, norm, poisson, weibull_min

from traceability.errors import TooFewSubgroups
from traceability.spc.charts import (
    ControlChart,
    Exclusion,
    Limits,
    individuals_chart,
    make_chart,
    stage_labels,
    stage_rows,
)
from traceability.spc.checks import counts, enough, numbers, positive, relative_logs, share, within
from traceability.spc.rules import BEYOND_LIMITS, DEFAULT, NELSONS_READING, Reading, Rule, Signal

Floats = NDArray[np.float64]
CountKind = Literal["p", "np", "c", "u"]
CountLimits = Literal["sigmas", "exact", "laney", "laney_if_needed"]
"""Limits at so many sigmas; at binomial or Poisson quantiles; widened by Laney's sigma_z; or widened only where
the test of dispersion and sigma_z both call for it."""

STATISTICS: Final[Mapping[CountKind, str]] = {"p": "share", "np": "number", "c": "count", "u": "rate"}
"""What is plotted."""

# Mean moving range of two standard normal values: 2/sqrt(pi).
D2_OF_2 = 2 / np.sqrt(np.pi)

# Below this a chart may still be looked at, but its limits are provisional (AIAG SPC, 2nd ed., chapter II).
ESTABLISHED_FROM = 20

LEAST_SUBGROUPS = 2

# Of a c chart all subgroups have the same area of opportunity; AIAG (SPC, 2nd ed., chapter III) lets sizes be within a
# quarter of their mean, for which the median stands here, as an hour in progress would pull the mean.
MOST_OFF_MEDIAN = 0.25

# The level at which spread beyond chance counts as shown.
OVERDISPERSION_LEVEL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispersion:
    """Test of the counts against chance alone: chi-square with `degrees` degrees of freedom."""

    statistic: float
    degrees: int
    p_value: float

    @property
    def ratio(self) -> float:
        """Observed variance over that of chance; 1 is chance."""
        return self.statistic / self.degrees


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttributeChart:
    """z        each point in its own standard deviations of chance alone
    sigma_z     spread of neighbours over that of chance (Laney), whether used or not; NaN for one point
    """

    chart: ControlChart
    z: Floats
    sigma_z: float
    dispersion: Dispersion | None


def attribute_chart(
    kind: CountKind,
    count: ArrayLike,
    opportunity: ArrayLike | None = None,
    *,
    centre: float | None = None,
    sigma_z: float | None = None,
    limits: CountLimits = "sigmas",
    sigmas: float = 3,
    stages: Sequence[str] | None = None,
    excluded: Sequence[Exclusion] = (),
    rules: Sequence[Rule] = DEFAULT,
    reading: Reading = NELSONS_READING,
) -> AttributeChart:
    """p (share refused), np (number refused), c (defects) or u (defects per area) chart, shape (n,).

    opportunity  units looked at (p, np: whole, at least the count), or area, length or units (u); c takes none
    centre       frozen share or rate per unit of opportunity; None: from these data, without those `excluded`
    sigma_z      frozen with it, for Laney's limits
    stages       one label per point; limits and patterns start anew where it changes

    A lower limit is never below 0, an upper one of a share never above 1. Exact limits are the quantiles that a
    process in control stays within on either side as often as a normal value within `sigmas`.

    Raises ValuesMissing, ValueNotFinite, CountImpossible, TooFewValues below two without a kept centre.
    """
    is_share = kind in ("p", "np")
    found, area = counts(
        count, opportunity, method=f"{kind}_chart", needed=1 if centre is not None else 2, whole=is_share
    )
    if is_share and opportunity is None:
        numbers((), method=f"{kind}_chart")
    labels = stage_labels(stages, found.size, method=f"{kind}_chart")
    parts = stage_rows(labels, found.size)
    middle = np.empty(found.size)
    widening = np.ones(found.size)
    left_out = {one.index for one in excluded}
    laney = limits == "laney"
    for part in parts:
        used = np.array([place for place in part if place not in left_out], np.intp)
        if centre is None:
            enough(used.size, method=f"{kind}_chart", needed=2)
            middle[part] = found[used].sum() / area[used].sum()
        else:
            middle[part] = share(centre, parameter="centre", ends=True) if is_share else centre
        if sigma_z is not None:
            widening[part] = sigma_z
        elif limits in ("laney", "laney_if_needed") and used.size > 1:
            spread = _neighbours(_z(found[used], area[used], float(middle[part[0]]), is_share))
            test = _dispersion(found[used], area[used], is_share)
            wanted = laney or (spread > 1 and test.p_value < OVERDISPERSION_LEVEL)
            widening[part] = spread if wanted else 1.0
    scale = area if kind in ("np", "c") else np.ones_like(area)
    variance = middle * (1 - middle) if is_share else middle
    sigma = scale * np.sqrt(variance / area) * widening
    lower = upper = None
    if limits == "exact":
        tail = float(norm.sf(sigmas))
        chance = binom(area, middle) if is_share else poisson(middle * area)
        lower, upper = (chance.ppf(p) / area * scale for p in (tail, 1 - tail))
    z = np.concatenate([_z(found[part], area[part], float(middle[part[0]]), is_share) for part in parts])
    widened = bool(np.any(widening != 1)) or laney
    chart = make_chart(
        statistic=STATISTICS[kind],
        value=found / area * scale,
        centre=middle * scale,
        sigma=sigma,
        sigmas=sigmas,
        floor=0,
        ceiling=1 if kind == "p" else np.inf,
        lower=lower,
        upper=upper,
        method=f"laney_{kind}" if widened else kind,
        conventions=(f"limits:{'exact' if limits == 'exact' else 'sigmas'}", f"sigmas:{sigmas:g}"),
        stage=labels,
        excluded=tuple(excluded),
        rules=rules,
        reading=reading,
    )
    enough_points = found.size > 1
    return AttributeChart(
        chart=chart,
        z=z,
        sigma_z=_neighbours(z) if enough_points else float("nan"),
        dispersion=_dispersion(found, area, is_share) if enough_points else None,
    )


def count_dispersion(
    count: ArrayLike, opportunity: ArrayLike | None = None, *, kind: CountKind = "p"
) -> Dispersion:
    """Do counts vary more than chance lets them? Sum of squared z; p and np: binomial, c and u: Poisson."""
    is_share = kind in ("p", "np")
    found, area = counts(count, opportunity, method="dispersion", needed=2, whole=is_share)
    return _dispersion(found, area, is_share)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScreeningRound:
    """One round of leaving out what is beyond the limits: 0-based points left out so far, and the limits then."""

    centre: float
    lower: Floats
    upper: Floats
    removed: tuple[int, ...]


def screen_iteratively(
    kind: CountKind,
    count: ArrayLike,
    opportunity: ArrayLike | None = None,
    *,
    sigmas: float = 3,
    person: str,
    reason: str,
    rounds: int = 20,
) -> tuple[tuple[ScreeningRound, ...], AttributeChart]:
    """Analysis phase: leave out points beyond the limits and estimate again, until none is left.

    Never silent: every round is returned, and the points stay on the last chart as excluded by `person` for
    `reason`, both required.
    """
    for name, text in (("person", person), ("reason", reason)):
        within(len(text), parameter=name, allowed=">= 1 character", is_allowed=bool(text.strip()))
    excluded: tuple[Exclusion, ...] = ()
    done: list[ScreeningRound] = []
    while True:
        result = attribute_chart(
            kind, count, opportunity, sigmas=sigmas, excluded=excluded, rules=(BEYOND_LIMITS,)
        )
        chart = result.chart
        kept = next(index for index in range(chart.value.size) if index not in {e.index for e in excluded})
        done.append(
            ScreeningRound(
                centre=float(chart.centre[kept]),
                lower=chart.lower,
                upper=chart.upper,
                removed=tuple(e.index for e in excluded),
            )
        )
        fresh = [index for index in chart.beyond if index not in {e.index for e in excluded}]
        if not fresh or len(done) > rounds or chart.value.size - len(excluded) - len(fresh) < 2:
            return tuple(done), result
        excluded += tuple(Exclusion(index=index, person=person, reason=reason) for index in fresh)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RareEventChart:
    """share          estimated chance of the event per unit (g chart)
    probability_limits  exact quantiles at the same tails as `sigmas`, whichever limits the chart shows
    zeros_to_signal   Benneyan's rule where the lower limit is 0: so many zeros in a row are a signal
    zero_runs         0-based points that complete such a row
    """

    chart: ControlChart
    share: float
    probability_limits: tuple[float, float]
    zeros_to_signal: int
    zero_runs: tuple[int, ...]


def g_chart(
    between: ArrayLike,
    *,
    limits: Literal["sigmas", "probability"] = "sigmas",
    sigmas: float = 3,
    share: float | None = None,
    excluded: Sequence[Exclusion] = (),
    rules: Sequence[Rule] = (BEYOND_LIMITS,),
) -> RareEventChart:
    """Units between two rare events, 0, 1, 2, …: geometric from 0, mean (1 - p)/p, variance mean (mean + 1).

    share  frozen chance of the event per unit; None: from these data, without those `excluded`
    """
    x, _ = counts(between, method="g_chart", needed=1 if share is not None else 2)
    used = np.delete(x, [one.index for one in excluded])
    if share is None:
        enough(used.size, method="g_chart", needed=2)
    mean = float(used.mean()) if share is None else (1 - share) / share
    chance = 1 / (1 + mean)
    tail = float(norm.sf(sigmas))
    # Events one straight after the other leave nothing between: no quantile to look for.
    low, high = (float(geom.ppf(p, chance, loc=-1)) if chance < 1 else 0.0 for p in (tail, 1 - tail))
    spread = sqrt(mean * (mean + 1))
    is_exact = limits == "probability"
    chart = make_chart(
        statistic="units_between",
        value=x,
        centre=mean,
        sigma=spread,
        sigmas=sigmas,
        floor=0,
        lower=low if is_exact else None,
        upper=high if is_exact else None,
        method="g",
        conventions=(f"limits:{limits}", "support:0"),
        excluded=tuple(excluded),
        rules=rules,
    )
    in_a_row = max(ceil(log(tail) / log(chance)), 1) if chance < 1 else 1
    zero = np.concatenate(([0], np.cumsum(x == 0)))
    runs = [
        last for last in range(in_a_row - 1, x.size) if zero[last + 1] - zero[last + 1 - in_a_row] == in_a_row
    ]
    return RareEventChart(
        chart=chart,
        share=chance,
        probability_limits=(low, high),
        zeros_to_signal=in_a_row,
        zero_runs=tuple(runs),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeChart:
    """Times between events. `transformed` is what is plotted; shape and scale of the Weibull fit, NaN for Nelson's."""

    chart: ControlChart
    transformed: Floats
    shape: float
    scale: float


def t_chart(
    times: ArrayLike,
    *,
    method: Literal["nelson", "weibull", "exponential"] = "nelson",
    power: float = 1 / 3.6,
    sigmas: float = 3,
    excluded: Sequence[Exclusion] = (),
    rules: Sequence[Rule] = (BEYOND_LIMITS,),
) -> TimeChart:
    """Times between rare events: Nelson's power of them on an individuals chart, or Weibull quantiles.

    excluded  points that the limits are estimated without

    Raises ParameterOutOfRange for a time that is not above 0.
    """
    x = numbers(times, method="t_chart", needed=2, must_vary=True)
    positive(float(x.min()), parameter="time")
    if method == "nelson":
        transformed: Floats = x**power
        pair = individuals_chart(transformed, sigmas=sigmas, excluded=excluded, rules=rules)
        single = pair.location
        chart = make_chart(
            statistic="time_transformed",
            value=transformed,
            centre=single.centre,
            sigma=single.sigma,
            sigmas=sigmas,
            floor=0,
            method="t_nelson",
            conventions=(f"power:{power:g}",),
            excluded=tuple(excluded),
            rules=rules,
        )
        return TimeChart(chart=chart, transformed=transformed, shape=float("nan"), scale=float("nan"))
    used = np.delete(x, [one.index for one in excluded])
    shape, scale = weibull_parameters(used) if method == "weibull" else (1.0, float(used.mean()))
    fitted = weibull_min(shape, scale=scale)
    tail = float(norm.sf(sigmas))
    chart = make_chart(
        statistic="time",
        value=x,
        centre=float(fitted.median()),
        sigma=float(fitted.std()),
        sigmas=sigmas,
        floor=0,
        lower=float(fitted.ppf(tail)),
        upper=float(fitted.isf(tail)),
        method=f"t_{method}",
        conventions=("limits:probability", "centre:median"),
        excluded=tuple(excluded),
        rules=rules,
    )
    return TimeChart(chart=chart, transformed=x, shape=shape, scale=scale)


def weibull_parameters(values: ArrayLike) -> tuple[float, float]:
    """Shape and scale of greatest likelihood; values above 0, of any spread: a width that varies by 1e-5 of itself
    has a shape of about 1.28e5.

    The shape is sought in units of the spread of the logarithms, in which it is about pi/sqrt(6) for any Weibull.
    """
    x = numbers(values, method="weibull", needed=2, must_vary=True)
    positive(float(x.min()), parameter="value")
    logs = relative_logs(x)
    logs -= logs.mean()
    spread = float(np.sqrt(np.mean(logs**2)))
    level = logs / spread
    level -= level.mean()
    top = float(level.max())

    def slope(shape: float) -> float:
        weight = np.exp(shape * (level - top))
        return float(np.sum(weight * level) / np.sum(weight)) - 1 / shape

    # No weighted mean exceeds the largest level, so that the root is at or above its inverse.
    low = high = 0.5 / top
    while slope(high) <= 0:
        high *= 2
    shape = float(brentq(slope, low, high, xtol=1e-13))
    mean_power = float(np.mean(np.exp(shape * (level - top))))
    return shape / spread, float(x.max()) * exp(log(mean_power) * spread / shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountSample:
    """One rational subgroup from the record: how many of how many.

    key            names the subgroup in addresses; `samples.window_of` reads it back
    label          for people: local time
    at             start of the subgroup, aware UTC
    count          units refused; or defects found on the units that were judged
    opportunity    units that were judged: accepted, to be reviewed or refused
    review         of those, how many wait for a person
    not_inspected  units nobody could judge, beside the opportunity: they could not have been refused, and
                   counting them would make a blind camera look like good quality
    simulated      units of any verdict that come from a demo's made-up history
    stage          what most of its units were judged under; limits start anew where it changes
    """

    key: str
    label: str
    at: datetime
    count: int
    opportunity: int
    review: int = 0
    not_inspected: int = 0
    simulated: int = 0
    stage: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Limits to be kept: what a chart was set up with, for judging later subgroups.

    centre     p, np: share refused, 0..1; u: defects per unit; c: defects per subgroup
    sigma_z    spread over that of chance alone; 1 for a plain chart
    subgroups  from how many it was estimated
    """

    centre: float
    sigma_z: float
    subgroups: int
    kind: CountKind = "p"

    @property
    def method(self) -> str:
        return self.kind if self.sigma_z == 1 else f"laney_{self.kind}"

    @property
    def is_provisional(self) -> bool:
        return self.subgroups < ESTABLISHED_FROM


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CountChart:
    """The p, np, u or c chart of samples from the record, ready to be drawn.

    chart       NaN where no unit was judged, and such a point never signals; of a c chart also where the number of
                units is far from that of the other subgroups
    baseline    that of the newest stage which has one
    baseline_stage  the stage it was estimated in; empty where it is of all samples together, or came from outside
    is_frozen   the limits came from outside, not from these samples
    dispersion  of these samples about their own mean; None where fewer than two were judged
    """

    samples: tuple[CountSample, ...]
    chart: ControlChart
    baseline: Baseline
    baseline_stage: str
    is_frozen: bool
    dispersion: Dispersion | None

    @property
    def centre(self) -> float:
        return self.baseline.centre

    @property
    def value(self) -> Floats:
        return self.chart.value

    @property
    def lower(self) -> Floats:
        return self.chart.lower

    @property
    def upper(self) -> Floats:
        return self.chart.upper

    @property
    def rules(self) -> tuple[str, ...]:
        return self.chart.rules

    @property
    def signals(self) -> tuple[Signal, ...]:
        return self.chart.signals

    def as_dict(self) -> dict[str, object]:
        """For JSON: what programs draw from, without computing anything. Texts are keys of `services/texts`."""
        return {
            "chart": self.baseline.kind,
            "method": self.baseline.method,
            "method_key": f"spc.method.{self.baseline.method}",
            "baseline": {
                "centre": self.centre,
                "sigma_z": self.baseline.sigma_z,
                "subgroups": self.baseline.subgroups,
                "is_frozen": self.is_frozen,
                "is_provisional": self.baseline.is_provisional,
            },
            "dispersion": self.dispersion
            and {
                "statistic": self.dispersion.statistic,
                "degrees": self.dispersion.degrees,
                "p_value": self.dispersion.p_value,
            },
            "points": [
                {
                    "key": sample.key,
                    "label": sample.label,
                    "at": sample.at.isoformat(),
                    "count": sample.count,
                    "opportunity": sample.opportunity,
                    "review": sample.review,
                    "not_inspected": sample.not_inspected,
                    "simulated": sample.simulated,
                    "value": _number(self.value[index]),
                    "lower": _number(self.lower[index]),
                    "upper": _number(self.upper[index]),
                }
                for index, sample in enumerate(self.samples)
            ],
            "rules": [{"rule": rule, "text_key": f"spc.rule.{rule}"} for rule in self.rules],
            "signals": [
                {
                    "rule": signal.rule,
                    "text_key": f"spc.rule.{signal.rule}",
                    "index": signal.index,
                    "key": self.samples[signal.index].key,
                    "members": list(signal.members),
                    "side": signal.side,
                }
                for signal in self.signals
            ],
        }


def count_chart(
    samples: Sequence[CountSample],
    *,
    kind: CountKind = "p",
    baseline: Baseline | None = None,
    frozen: Limits | None = None,
    by_stage: bool = False,
    excluded: Sequence[Exclusion] = (),
    rules: Sequence[Rule] = DEFAULT,
) -> CountChart:
    """The chart of `samples`, against kept limits or against limits of their own: p and np of refused units, u (per
    unit) and c (per subgroup) of defects.

    Limits of their own are Laney's where the samples show more spread than chance (see `estimate`).

    frozen    the kept limits with their version, author and reason, for the chart to say
    by_stage  limits and patterns start anew where the samples' stage changes; a stage too short for limits of its
              own is shown without
    excluded  points left out of the limits; they stay on the chart

    A c chart takes each subgroup for one area of opportunity: those with more than a quarter more or fewer units than
    the median are points without a value.

    Raises TooFewSubgroups where there are fewer than two judged samples to estimate from.
    """
    count, units = _arrays(samples)
    area = _areas(units, kind)
    judged = area > 0
    labels = tuple(sample.stage for sample in samples) if by_stage else ()
    left_out = {one.index for one in excluded}
    centre, sigma_z = np.full(len(samples), np.nan), np.ones(len(samples))
    found: Baseline | None = baseline
    found_in = ""
    for part in stage_rows(labels, len(samples)):
        kept = [index for index in part if index not in left_out]
        limits = baseline
        if limits is None:
            if by_stage and np.count_nonzero(judged[kept]) < LEAST_SUBGROUPS:
                continue
            limits = found = _estimate(count[kept], area[kept], kind)
            found_in = labels[part[0]] if labels else ""
        centre[part], sigma_z[part] = limits.centre, limits.sigma_z
    if found is None:
        kept = [index for index in range(len(samples)) if index not in left_out]
        found = _estimate(count[kept], area[kept], kind)
        centre[:], sigma_z[:] = found.centre, found.sigma_z
    of = np.where(judged, area, np.nan)
    scale = of if kind == "np" else np.where(judged, 1.0, np.nan)
    variance = centre * (1 - centre) if kind in ("p", "np") else centre
    chart = make_chart(
        statistic=STATISTICS[kind],
        value=count / of * scale,
        centre=centre * scale,
        sigma=sigma_z * np.sqrt(variance / of) * scale,
        floor=0,
        ceiling=1 if kind == "p" else np.inf,
        method=f"laney_{kind}" if np.any(sigma_z != 1) else kind,
        conventions=("limits:sigmas", "sigmas:3"),
        stage=labels,
        frozen=frozen,
        excluded=tuple(excluded),
        rules=rules,
    )
    return CountChart(
        samples=tuple(samples),
        chart=chart,
        baseline=found,
        baseline_stage=found_in,
        is_frozen=baseline is not None,
        dispersion=_dispersion(count[judged], area[judged], kind in ("p", "np"))
        if judged.sum() >= LEAST_SUBGROUPS
        else None,
    )


def _areas(units: Floats, kind: CountKind) -> Floats:
    """Of each subgroup what its count is out of; 0 where it can be no point of such a chart."""
    if kind != "c":
        return units
    judged = units[units > 0]
    usual = float(np.median(judged)) if judged.size else 0.0
    alike = (units > 0) & (np.abs(units - usual) <= MOST_OFF_MEDIAN * usual)
    return alike.astype(np.float64)


def estimate(samples: Sequence[CountSample], *, is_widened: bool | None = None) -> Baseline:
    """Centre and spread of the shares of these samples, to set up a p chart with.

    is_widened  None: Laney's p' where the test of dispersion finds more spread than chance at the 5 % level and
                neighbours differ more than chance too; the plain p chart otherwise. With the 10^4 units an hour
                of full inspection, the plain chart's limits are so narrow that most points fall outside.

    A shift of level alone is no reason for wider limits: it is what the chart is to find. That is why
    Laney's sigma_z is taken from neighbours, and why it must exceed 1.

    Raises TooFewSubgroups below two judged samples.
    """
    return _estimate(*_arrays(samples), "p", is_widened=is_widened)


def _estimate(count: Floats, area: Floats, kind: CountKind, *, is_widened: bool | None = None) -> Baseline:
    judged = area > 0
    count, area = count[judged], area[judged]
    if len(count) < LEAST_SUBGROUPS:
        raise TooFewSubgroups(
            f"A control chart needs at least 2 subgroups with inspected units; there are {len(count)}.",
            action="Choose a longer time or shorter subgroups, or wait until more was inspected.",
            found=len(count),
            needed=2,
        )
    is_share = kind in ("p", "np")
    centre = float(count.sum() / area.sum())
    sigma_z = _neighbours(_z(count, area, centre, is_share))
    if is_widened is None:
        is_widened = sigma_z > 1 and _dispersion(count, area, is_share).p_value < OVERDISPERSION_LEVEL
    return Baseline(centre=centre, sigma_z=sigma_z if is_widened else 1.0, subgroups=len(count), kind=kind)


def dispersion(samples: Sequence[CountSample]) -> Dispersion:
    """Do the counts vary more than chance lets them? Sum of squared z over the judged samples.

    All equal to 0, or to their opportunity, leaves nothing to vary: statistic 0, p-value 1.
    """
    count, opportunity = _arrays(samples)
    judged = opportunity > 0
    return _dispersion(count[judged], opportunity[judged], True)


def _dispersion(count: Floats, opportunity: Floats, is_share: bool) -> Dispersion:
    centre = float(count.sum() / opportunity.sum())
    degrees = len(count) - 1
    statistic = float(np.sum(_z(count, opportunity, centre, is_share) ** 2))
    return Dispersion(statistic=statistic, degrees=degrees, p_value=float(chi2.sf(statistic, degrees)))


def _neighbours(z: Floats) -> float:
    """Spread of the standardised shares or rates, from the mean moving range of neighbours."""
    return float(np.mean(np.abs(np.diff(z))) / D2_OF_2)


def _z(count: Floats, opportunity: Floats, centre: float, is_share: bool) -> Floats:
    variance = centre * (1 - centre) if is_share else centre
    off: Floats = count / opportunity - centre
    if variance == 0:
        return np.where(off == 0, 0.0, np.copysign(np.inf, off))
    return off / np.sqrt(variance / opportunity)


def _arrays(samples: Sequence[CountSample]) -> tuple[Floats, Floats]:
    return (
        np.array([sample.count for sample in samples], np.float64),
        np.array([sample.opportunity for sample in samples], np.float64),
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
