"""Measurement systems of values: is the gauge good enough for what it measures?

For a vision dimension "operator" is a station, a camera, a reload or a lamp: whatever the same part is measured
under. Sources: AIAG, Measurement Systems Analysis, 4th ed. (2010); ISO 22514-7:2012 with ISO 11095 (linearity);
R. K. Burdick, C. M. Borror and D. C. Montgomery, J. Quality Technology 35 (2003) 342-354 (intervals by modified
large samples); JCGM 106:2012 (risks).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad
from scipy.stats import chi2, f, norm, t

from traceability.errors import StudyIncomplete
from traceability.spc import constants
from traceability.spc.charts import ChartPair, subgroup_chart
from traceability.spc.checks import enough, numbers, positive, spec_limits, varying, within

Floats = NDArray[np.float64]
Interval = tuple[float, float]

COMPONENTS = ("GRR", "EV", "AV", "operator", "interaction", "PV", "TV")
"""Gauge R&R, equipment (repeatability), appraiser (reproducibility: operator and interaction), parts, total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnovaRow:
    """One line of a table of variance; F and p are None for the residual."""

    degrees: int
    squares: float
    f: float | None = None
    p: float | None = None

    @property
    def mean_square(self) -> float:
        return self.squares / self.degrees


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Variances by COMPONENTS, and what the handbooks make of them.

    study    so many standard deviations are the study variation: 6, or 5.15 in older books
    ndc      whole distinct categories that the gauge can tell; `ndc_raw` before rounding down, at least 1
    """

    variance: Mapping[str, float]
    is_pooled: bool
    study: float
    tolerance: float | None

    @property
    def sd(self) -> dict[str, float]:
        return {name: sqrt(value) for name, value in self.variance.items()}

    @property
    def percent_contribution(self) -> dict[str, float]:
        return {name: 100 * value / self.variance["TV"] for name, value in self.variance.items()}

    @property
    def percent_study(self) -> dict[str, float]:
        return {name: 100 * value / self.sd["TV"] for name, value in self.sd.items()}

    @property
    def percent_tolerance(self) -> dict[str, float] | None:
        if self.tolerance is None:
            return None
        return {name: 100 * self.study * value / self.tolerance for name, value in self.sd.items()}

    @property
    def ndc_raw(self) -> float:
        return sqrt(2) * self.sd["PV"] / self.sd["GRR"] if self.variance["GRR"] > 0 else float("inf")

    @property
    def ndc(self) -> int:
        return max(floor(self.ndc_raw), 1) if np.isfinite(self.ndc_raw) else 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeStudy:
    """Crossed or nested study by ANOVA.

    anova        by source: operator, part (or batch_in_operator), interaction, repeatability
    against_repeatability  F of the main effects against repeatability, as AIAG table III-B 7 prints it
    result       with the interaction pooled or not, as the rule decided; `other` the opposite decision
    intervals    of the variances by modified large samples, at `confidence`
    """

    anova: Mapping[str, AnovaRow]
    against_repeatability: Mapping[str, float]
    total_squares: float
    result: Components
    other: Components | None
    intervals: Mapping[str, Interval]
    confidence: float


def crossed_study(
    part: Sequence[Hashable],
    operator: Sequence[Hashable],
    values: ArrayLike,
    *,
    tolerance: float | None = None,
    study: float = 6,
    pool_above: float = 0.25,
    confidence: float = 0.95,
) -> GaugeStudy:
    """Each operator measures each part equally often: gauge R&R, random effects.

    pool_above  the interaction is pooled with repeatability when its p exceeds this: 0.25 AIAG, 0.05 Minitab

    Raises StudyIncomplete where a cell is missing or of another size, NoVariation where no two trials differ.
    """
    y = _cells(part, operator, values, method="grr_crossed")
    p, o, r = y.shape
    grand = y.mean()
    ss_part = o * r * float(np.sum((y.mean(axis=(1, 2)) - grand) ** 2))
    ss_operator = p * r * float(np.sum((y.mean(axis=(0, 2)) - grand) ** 2))
    ss_error = float(np.sum((y - y.mean(axis=2, keepdims=True)) ** 2))
    total = float(np.sum((y - grand) ** 2))
    ss_cross = max(total - ss_part - ss_operator - ss_error, 0.0)
    df_part, df_operator, df_cross, df_error = p - 1, o - 1, (p - 1) * (o - 1), p * o * (r - 1)
    has_cross = df_cross > 0 and df_error > 0
    ms_error = ss_error / df_error
    varying(y - y[:, :, :1], method="grr_crossed")
    ms_cross = ss_cross / df_cross if has_cross else ms_error
    below = (ms_cross, df_cross) if has_cross and ms_cross > 0 else (ms_error, df_error)
    cross = _tested(df_cross, ss_cross, ms_error, df_error) if has_cross else None
    anova = {
        "operator": _tested(df_operator, ss_operator, *below) if df_operator else None,
        "part": _tested(df_part, ss_part, *below),
        "interaction": cross,
        "repeatability": AnovaRow(degrees=df_error, squares=ss_error),
    }
    rows = {name: row for name, row in anova.items() if row is not None}

    def components(is_pooled: bool) -> Components:
        error = (ss_error + ss_cross) / (df_error + df_cross) if is_pooled else ms_error
        base = error if is_pooled else ms_cross
        ms_operator = ss_operator / df_operator if df_operator else base
        operator_variance = max((ms_operator - base) / (p * r), 0.0)
        interaction = 0.0 if is_pooled else max((ms_cross - error) / r, 0.0)
        return _components(
            error,
            operator_variance,
            interaction,
            max((ss_part / df_part - base) / (o * r), 0.0),
            is_pooled,
            study,
            tolerance,
        )

    is_pooled = cross is None or cross.p is None or cross.p > pool_above
    return GaugeStudy(
        anova=rows,
        against_repeatability={
            name: rows[name].mean_square / ms_error for name in ("operator", "part") if name in rows
        },
        total_squares=total,
        result=components(is_pooled),
        other=components(not is_pooled) if cross is not None else None,
        intervals=_modified_large_sample(rows, p, o, r, is_pooled, confidence),
        confidence=confidence,
    )


def nested_study(
    operator: Sequence[Hashable],
    batch: Sequence[Hashable],
    values: ArrayLike,
    *,
    tolerance: float | None = None,
    study: float = 6,
) -> GaugeStudy:
    """Destructive tests: each batch is measured by one operator only; batch names may repeat between operators.

    Raises StudyIncomplete where operators have batches, or batches results, in different numbers.
    """
    x = numbers(values, method="grr_nested", needed=4, must_vary=True)
    if not x.size == len(operator) == len(batch):
        raise _incomplete("grr_nested", "part / operator", min(len(operator), len(batch)), x.size)
    names = [(str(o), (str(o), str(b))) for o, b in zip(operator, batch, strict=True)]
    operators = list(dict.fromkeys(o for o, _ in names))
    grouped: list[list[Floats]] = []
    for each in operators:
        own = list(dict.fromkeys(b for o, b in names if o == each))
        grouped.append([x[[name == b for _, name in names]] for b in own])
    sizes = {len(results) for batches in grouped for results in batches}
    needed = max(sizes)
    for each, batches in zip(operators, grouped, strict=True):
        if len(batches) != len(grouped[0]):
            raise _incomplete("grr_nested", each, len(batches), len(grouped[0]))
        for place, results in enumerate(batches):
            if results.size != needed or needed < 2:
                raise _incomplete("grr_nested", f"{each} / {place + 1}", results.size, max(needed, 2))
    y = np.array(grouped)
    o, b, r = y.shape
    enough(o, method="grr_nested", needed=2)
    ss_operator = b * r * float(np.sum((y.mean(axis=(1, 2)) - y.mean()) ** 2))
    ss_batch = r * float(np.sum((y.mean(axis=2) - y.mean(axis=(1, 2))[:, None]) ** 2))
    ss_error = float(np.sum((y - y.mean(axis=2, keepdims=True)) ** 2))
    df_operator, df_batch, df_error = o - 1, o * (b - 1), o * b * (r - 1)
    ms_batch, ms_error = ss_batch / df_batch, ss_error / df_error
    varying(y - y[:, :, :1], method="grr_nested")
    anova = {
        "operator": _tested(df_operator, ss_operator, ms_batch, df_batch),
        "batch_in_operator": _tested(df_batch, ss_batch, ms_error, df_error),
        "repeatability": AnovaRow(degrees=df_error, squares=ss_error),
    }
    operator_variance = max((ss_operator / df_operator - ms_batch) / (b * r), 0.0)
    result = _components(
        ms_error, operator_variance, 0.0, max((ms_batch - ms_error) / r, 0.0), False, study, tolerance
    )
    return GaugeStudy(
        anova=anova,
        against_repeatability={"operator": ss_operator / df_operator / ms_error},
        total_squares=ss_operator + ss_batch + ss_error,
        result=result,
        other=None,
        intervals={},
        confidence=0.95,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeStudy:
    """AIAG's average and range method: standard deviations, shares of the total in percent, ndc."""

    mean_range: float
    operator_difference: float
    part_range: float
    sd: Mapping[str, float]
    percent: Mapping[str, float]
    percent_tolerance: Mapping[str, float] | None
    ndc_raw: float
    ndc: int
    upper_range_limit: float


def average_and_range_study(
    part: Sequence[Hashable],
    operator: Sequence[Hashable],
    values: ArrayLike,
    *,
    k1: float | None = None,
    k2: float | None = None,
    k3: float | None = None,
    tolerance: float | None = None,
    study: float = 6,
) -> RangeStudy:
    """Gauge R&R from mean ranges. K factors are exact unless given as printed (0.5908, 0.5231, 0.3146 …).

    ndc is 1.41 PV/GRR, as the form prints it. Raises StudyIncomplete.
    """
    y = _cells(part, operator, values, method="grr_xbar_r")
    p, o, r = y.shape
    enough(r, method="grr_xbar_r", needed=2)
    mean_range = float(np.ptp(y, axis=2).mean())
    positive(mean_range, parameter="mean range")
    difference = float(np.ptp(y.mean(axis=(0, 2))))
    part_range = float(np.ptp(y.mean(axis=(1, 2))))
    first = k1 if k1 is not None else 1 / constants.d2(r)
    second = k2 if k2 is not None else (1 / constants.d2_star(o) if o > 1 else 0.0)
    third = k3 if k3 is not None else 1 / constants.d2_star(p)
    ev = mean_range * first
    av = sqrt(max((difference * second) ** 2 - ev**2 / (p * r), 0.0))
    grr = sqrt(ev**2 + av**2)
    pv = part_range * third
    sd = {"EV": ev, "AV": av, "GRR": grr, "PV": pv, "TV": sqrt(grr**2 + pv**2)}
    raw = 1.41 * pv / grr
    return RangeStudy(
        mean_range=mean_range,
        operator_difference=difference,
        part_range=part_range,
        sd=sd,
        percent={name: 100 * value / sd["TV"] for name, value in sd.items()},
        percent_tolerance=None
        if tolerance is None
        else {name: 100 * study * value / tolerance for name, value in sd.items()},
        ndc_raw=raw,
        ndc=max(floor(raw), 1),
        upper_range_limit=constants.factors(r).d_4 * mean_range,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortStudy:
    """AIAG's range method: two operators, one result per part and operator."""

    mean_range: float
    grr: float
    percent_process: float | None


def range_method(first: ArrayLike, second: ArrayLike, *, process_sd: float | None = None) -> ShortStudy:
    """Quick check of a gauge: GRR = mean range / d2*(2, parts)."""
    a, b = (numbers(of, method="grr_range", needed=2) for of in (first, second))
    if a.size != b.size:
        raise _incomplete("grr_range", "2", b.size, a.size)
    mean_range = float(np.abs(a - b).mean())
    grr = mean_range / constants.d2_star(2, a.size)
    return ShortStudy(
        mean_range=mean_range, grr=grr, percent_process=None if process_sd is None else 100 * grr / process_sd
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeOneStudy:
    """One part of known value, measured often: Cg, Cgk and whether the bias is real."""

    n: int
    mean: float
    bias: float
    sd: float
    cg: float
    cgk: float
    percent_repeatability: float
    percent_with_bias: float
    t: float
    p: float
    bias_interval: Interval


def type_one_study(
    readings: ArrayLike,
    *,
    reference: float,
    tolerance: float,
    percent_of_tolerance: float = 20,
    study: float = 6,
    confidence: float = 0.95,
) -> TypeOneStudy:
    """Cg = (K/100 T) / (L s), Cgk = (K/200 T - |bias|) / (L/2 s), with K percent and L sigmas."""
    x = numbers(readings, method="type1", needed=2, must_vary=True)
    positive(tolerance, parameter="tolerance")
    allowed = percent_of_tolerance / 100 * tolerance
    bias = bias_study(x, reference=reference, confidence=confidence)
    cg = allowed / (study * bias.sd)
    cgk = (allowed / 2 - abs(bias.bias)) / (study / 2 * bias.sd)
    return TypeOneStudy(
        n=x.size,
        mean=bias.mean,
        bias=bias.bias,
        sd=bias.sd,
        cg=cg,
        cgk=cgk,
        percent_repeatability=percent_of_tolerance / cg,
        percent_with_bias=percent_of_tolerance / cgk if cgk > 0 else float("inf"),
        t=abs(bias.t) if bias.bias >= 0 else bias.t,
        p=bias.p,
        bias_interval=bias.interval,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasStudy:
    """Bias against a reference value. `is_acceptable`: zero lies within the interval."""

    n: int
    mean: float
    bias: float
    sd: float
    standard_error: float
    t: float
    degrees: float
    p: float
    interval: Interval

    @property
    def is_acceptable(self) -> bool:
        return self.interval[0] <= 0 <= self.interval[1]


def bias_study(
    readings: ArrayLike,
    *,
    reference: float,
    confidence: float = 0.95,
    subgroup_size: int | None = None,
) -> BiasStudy:
    """One-sample t test of the bias; with `subgroup_size` sigma is R̄/d2* of consecutive subgroups (AIAG).

    AIAG's interval by the range takes R̄/d2* times d2/d2*: a little narrower than the one its t test would give. The
    factor is what the figures of AIAG's example need, as they are cited; the manual itself was not at hand.
    """
    x = numbers(readings, method="bias", needed=2, must_vary=True)
    sd, degrees, narrowing = float(x.std(ddof=1)), float(x.size - 1), 1.0
    if subgroup_size is not None:
        groups = x[: x.size // subgroup_size * subgroup_size].reshape(-1, subgroup_size)
        d2 = constants.d2(subgroup_size)
        star = constants.d2_star(subgroup_size, len(groups))
        sd, narrowing = float(np.ptp(groups, axis=1).mean()) / star, d2 / star
        # Duncan's equivalent degrees of freedom of a mean range.
        degrees = len(groups) * d2**2 / (2 * constants.d3(subgroup_size) ** 2) + 0.25
    bias = float(x.mean()) - reference
    error = sd / sqrt(x.size)
    half = float(t.ppf((1 + confidence) / 2, degrees)) * error * narrowing
    statistic = bias / error
    return BiasStudy(
        n=x.size,
        mean=float(x.mean()),
        bias=bias,
        sd=sd,
        standard_error=error,
        t=statistic,
        degrees=degrees,
        p=float(2 * t.sf(abs(statistic), degrees)),
        interval=(bias - half, bias + half),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearityStudy:
    """Bias over the range: regression of bias on the reference value (AIAG).

    linearity  |slope| x process variation, and percent of it; both None without a process variation
    """

    slope: float
    intercept: float
    r_squared: float
    sd: float
    t_slope: float
    t_intercept: float
    p_slope: float
    p_intercept: float
    mean_bias: tuple[float, ...]
    p_bias: tuple[float, ...]
    overall_bias: float
    linearity: float | None
    percent_linearity: float | None
    is_acceptable: bool


def linearity_study(
    reference: ArrayLike,
    readings: Sequence[ArrayLike],
    *,
    process_variation: float | None = None,
    alpha: float = 0.05,
) -> LinearityStudy:
    """Acceptable where neither slope nor intercept differs from 0 at alpha."""
    x, y, groups = _pairs(reference, readings, method="linearity")
    bias = y - x
    fitted = _line(x, bias)
    mean_bias = [
        float(np.mean(group)) - float(ref)
        for ref, group in zip(numbers(reference, method="linearity"), groups, strict=True)
    ]
    p_bias = [
        float(2 * t.sf(abs(mean) / (group.std(ddof=1) / sqrt(group.size)), group.size - 1))
        if group.size > 1 and np.ptp(group) > 0
        else float("nan")
        for mean, group in zip(mean_bias, groups, strict=True)
    ]
    return LinearityStudy(
        slope=fitted.slope,
        intercept=fitted.intercept,
        r_squared=fitted.r_squared,
        sd=fitted.sd,
        t_slope=fitted.t_slope,
        t_intercept=fitted.t_intercept,
        p_slope=float(2 * t.sf(abs(fitted.t_slope), x.size - 2)),
        p_intercept=float(2 * t.sf(abs(fitted.t_intercept), x.size - 2)),
        mean_bias=tuple(mean_bias),
        p_bias=tuple(p_bias),
        overall_bias=float(bias.mean()),
        linearity=None if process_variation is None else abs(fitted.slope) * process_variation,
        percent_linearity=None if process_variation is None else 100 * abs(fitted.slope),
        is_acceptable=max(abs(fitted.t_slope), abs(fitted.t_intercept))
        <= float(t.ppf(1 - alpha / 2, x.size - 2)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LackOfFit:
    """Straight calibration line with its test (ISO 22514-7 annex A, ISO 11095).

    u_linearity, u_repeatability  standard uncertainties sqrt(MS_lin), sqrt(MS_evr)
    """

    intercept: float
    slope: float
    squares_residual: float
    squares_repeatability: float
    squares_linearity: float
    degrees_linearity: int
    degrees_repeatability: int
    f: float
    f_critical: float
    p: float
    u_linearity: float
    u_repeatability: float

    @property
    def is_lacking(self) -> bool:
        return self.f > self.f_critical


def lack_of_fit(reference: ArrayLike, readings: Sequence[ArrayLike], *, alpha: float = 0.05) -> LackOfFit:
    """Readings regressed on reference values; is what is left more than repeatability?"""
    x, y, groups = _pairs(reference, readings, method="lack_of_fit")
    fitted = _line(x, y)
    residual = float(np.sum((y - fitted.intercept - fitted.slope * x) ** 2))
    pure = float(sum(np.sum((group - group.mean()) ** 2) for group in groups))
    df_lin, df_pure = len(groups) - 2, x.size - len(groups)
    enough(min(df_lin, df_pure), method="lack_of_fit", needed=1)
    ms_lin, ms_pure = max(residual - pure, 0.0) / df_lin, pure / df_pure
    positive(ms_pure, parameter="repeatability variance")
    ratio = ms_lin / ms_pure
    return LackOfFit(
        intercept=fitted.intercept,
        slope=fitted.slope,
        squares_residual=residual,
        squares_repeatability=pure,
        squares_linearity=residual - pure,
        degrees_linearity=df_lin,
        degrees_repeatability=df_pure,
        f=ratio,
        f_critical=float(f.isf(alpha, df_lin, df_pure)),
        p=float(f.sf(ratio, df_lin, df_pure)),
        u_linearity=sqrt(ms_lin),
        u_repeatability=sqrt(ms_pure),
    )


def stability_study(
    subgroup_values: Sequence[ArrayLike], *, reference: float | None = None
) -> tuple[ChartPair, float | None]:
    """A master part measured over time: X̄-R chart, and the bias of its grand mean against the reference."""
    pair = subgroup_chart(subgroup_values)
    return pair, None if reference is None else pair.limits.centre - reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertainty:
    """ISO 22514-7 / VDA 5: combined standard uncertainty of system or process, its share Q of the tolerance in
    percent, its capability index, and the smallest tolerance it is good for."""

    u: float
    expanded: float
    q_percent: float
    index: float
    smallest_tolerance: float


def measurement_uncertainty(
    components: Mapping[str, float],
    *,
    tolerance: float,
    q_max_percent: float = 15,
    k: float = 2,
    index_factor: float = 0.3,
) -> Uncertainty:
    """Root of the sum of squares of standard uncertainties (u_CAL, u_EVR, u_BI, u_LIN … ; u_MP adds u_AV, u_IA …).

    Q = 2 U / T with U = k u; index = factor T / (6 u): 0.3 for the system (C_MS), 0.4 for the process (C_MP).
    Of resolution and repeatability only the larger counts: give that one.
    """
    positive(tolerance, parameter="tolerance")
    u = sqrt(sum(value**2 for value in components.values()))
    positive(u, parameter="u")
    return Uncertainty(
        u=u,
        expanded=k * u,
        q_percent=100 * 2 * k * u / tolerance,
        index=index_factor * tolerance / (6 * u),
        smallest_tolerance=2 * k * u / (q_max_percent / 100),
    )


def real_capability(observed: float, *, percent_grr: float) -> float:
    """What the index would be without the gauge: observed / sqrt(1 - GRR²), GRR as a share of total variation."""
    ratio = percent_grr / 100
    within(ratio, parameter="percent_grr", allowed="0..100", is_allowed=0 <= ratio < 1)
    return observed / sqrt(1 - ratio**2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Risks:
    """Shares of all parts: bad and accepted (consumer), good and refused (producer)."""

    consumer: float
    producer: float


def conformity_risks(
    *,
    process_mean: float,
    process_sd: float,
    u: float,
    lower: float | None,
    upper: float | None,
    guard_band: float = 0,
) -> Risks:
    """Global risks of a normal process and a normal measurement error (JCGM 106, 9.5).

    guard_band  acceptance limits lie so far inside the specification limits; below 0: outside
    """
    spec_limits(lower, upper)
    positive(process_sd, parameter="process_sd")
    positive(u, parameter="u")
    low = -np.inf if lower is None else lower
    high = np.inf if upper is None else upper
    accept_low, accept_high = low + guard_band, high - guard_band

    def density(value: float) -> float:
        return float(norm.pdf(value, process_mean, process_sd))

    def accepted(value: float) -> float:
        return float(norm.cdf((accept_high - value) / u) - norm.cdf((accept_low - value) / u))

    far = 10 * process_sd
    ends = (process_mean - far, process_mean + far)

    def integral(of: Callable[[float], float], a: float, b: float) -> float:
        if a >= b:
            return 0.0
        # Split where the acceptance changes fast, so that the quadrature sees it.
        corners = sorted(
            {
                a,
                b,
                *(
                    min(max(c + d, a), b)
                    for c in (accept_low, accept_high)
                    if np.isfinite(c)
                    for d in (-6 * u, 0, 6 * u)
                ),
            }
        )
        return sum(
            float(quad(of, left, right, epsabs=1e-13, epsrel=1e-11, limit=200)[0])
            for left, right in pairwise(corners)
        )

    bad = [(ends[0], min(low, ends[1])), (max(high, ends[0]), ends[1])]
    consumer = sum(
        integral(lambda v: density(v) * accepted(v), a, b)
        for a, b in bad
        if np.isfinite(a) and np.isfinite(b)
    )
    good = (max(low, ends[0]), min(high, ends[1]))
    producer = integral(lambda v: density(v) * (1 - accepted(v)), *good)
    return Risks(consumer=consumer, producer=producer)


def conformity_probability(measured: float, *, u: float, lower: float | None, upper: float | None) -> float:
    """Chance that a part measured so is within its limits (JCGM 106, 7.2)."""
    spec_limits(lower, upper)
    positive(u, parameter="u")
    below = 0.0 if lower is None else float(norm.cdf((lower - measured) / u))
    above = 0.0 if upper is None else float(norm.sf((upper - measured) / u))
    return 1 - below - above


def _components(
    error: float,
    operator: float,
    interaction: float,
    part: float,
    is_pooled: bool,
    study: float,
    tolerance: float | None,
) -> Components:
    appraiser = operator + interaction
    variance = dict(
        zip(
            COMPONENTS,
            (error + appraiser, error, appraiser, operator, interaction, part, error + appraiser + part),
            strict=True,
        )
    )
    return Components(variance=variance, is_pooled=is_pooled, study=study, tolerance=tolerance)


def _tested(degrees: int, squares: float, below: float, degrees_below: int) -> AnovaRow:
    ratio = squares / degrees / below
    return AnovaRow(degrees=degrees, squares=squares, f=ratio, p=float(f.sf(ratio, degrees, degrees_below)))


def _modified_large_sample(
    rows: Mapping[str, AnovaRow], p: int, o: int, r: int, is_pooled: bool, confidence: float
) -> dict[str, Interval]:
    """Intervals of sums and differences of mean squares; each contains its own estimate, or 0 where that was cut.

    A difference c1 S1 - c2 S2 (appraiser, part) and a sum with positive weights (GRR).
    """
    if "operator" not in rows:
        return {}
    error, cross = rows["repeatability"], rows.get("interaction")
    if is_pooled and cross is not None:
        error = AnovaRow(degrees=error.degrees + cross.degrees, squares=error.squares + cross.squares)
        cross = None
    base = cross or error
    tail = (1 - confidence) / 2

    def g_h(row: AnovaRow) -> tuple[float, float]:
        g = 1 - 1 / (float(chi2.isf(tail, row.degrees)) / row.degrees)
        h = 1 / (float(chi2.ppf(tail, row.degrees)) / row.degrees) - 1
        return g, h

    def difference(first: AnovaRow, second: AnovaRow, scale: float) -> Interval:
        (g1, h1), (g2, h2) = g_h(first), g_h(second)
        a, b = first.mean_square, second.mean_square
        f_low = float(f.isf(tail, first.degrees, second.degrees))
        f_high = float(f.ppf(tail, first.degrees, second.degrees))
        g12 = ((f_low - 1) ** 2 - g1**2 * f_low**2 - h2**2) / f_low
        h12 = ((1 - f_high) ** 2 - h1**2 * f_high**2 - g2**2) / f_high
        low = a - b - sqrt(max(g1**2 * a**2 + h2**2 * b**2 + g12 * a * b, 0.0))
        high = a - b + sqrt(max(h1**2 * a**2 + g2**2 * b**2 + h12 * a * b, 0.0))
        return max(low * scale, 0.0), max(high * scale, 0.0)

    def total(weights: Sequence[tuple[float, AnovaRow]]) -> Interval:
        value = sum(weight * row.mean_square for weight, row in weights)
        low = sqrt(sum((g_h(row)[0] * weight * row.mean_square) ** 2 for weight, row in weights))
        high = sqrt(sum((g_h(row)[1] * weight * row.mean_square) ** 2 for weight, row in weights))
        return max(value - low, 0.0), value + high

    weights = [(1 / (p * r), rows["operator"])]
    if cross is not None:
        weights += [((p - 1) / (p * r), cross), ((r - 1) / r, error)]
    else:
        weights += [((p * r - 1) / (p * r), error)]
    return {
        "EV": total([(1.0, error)]),
        "operator": difference(rows["operator"], base, 1 / (p * r)),
        "PV": difference(rows["part"], base, 1 / (o * r)),
        "GRR": total(weights),
    }


def _cells(
    part: Sequence[Hashable], operator: Sequence[Hashable], values: ArrayLike, *, method: str
) -> Floats:
    """Values by part, operator and trial, shape (p, o, r). Raises StudyIncomplete."""
    x = numbers(values, method=method, needed=4)
    if not len(part) == len(operator) == x.size:
        raise _incomplete(method, "part / operator", min(len(part), len(operator)), x.size)
    varying(x, method=method)
    parts, operators = list(dict.fromkeys(part)), list(dict.fromkeys(operator))
    enough(len(parts), method=method, needed=2)
    cells: dict[tuple[Hashable, Hashable], list[float]] = {(p, o): [] for p in parts for o in operators}
    for p, o, value in zip(part, operator, x, strict=True):
        cells[p, o].append(float(value))
    needed = max(len(trials) for trials in cells.values())
    for (p, o), trials in cells.items():
        if len(trials) != needed or needed < 2:
            raise _incomplete(method, f"{p} / {o}", len(trials), max(needed, 2))
    return np.array([[cells[p, o] for o in operators] for p in parts])


def _incomplete(method: str, cell: str, found: int, needed: int) -> StudyIncomplete:
    return StudyIncomplete(
        f"{method}: {cell} has {found} results where {needed} are needed.",
        action="Repeat the missing measurements.",
        method=method,
        cell=cell,
        found=found,
        needed=needed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    slope: float
    intercept: float
    r_squared: float
    sd: float
    t_slope: float
    t_intercept: float


def _line(x: Floats, y: Floats) -> _Line:
    enough(np.unique(x).size, method="regression", needed=2)
    enough(x.size, method="regression", needed=3)
    off = x - x.mean()
    square = float(off @ off)
    slope = float(off @ y) / square
    intercept = float(y.mean()) - slope * float(x.mean())
    residual = float(np.sum((y - intercept - slope * x) ** 2))
    sd = sqrt(residual / (x.size - 2))
    error = max(sd, 1e-300)
    return _Line(
        slope=slope,
        intercept=intercept,
        r_squared=1 - residual / max(float(np.sum((y - y.mean()) ** 2)), 1e-300),
        sd=sd,
        t_slope=slope / (error / sqrt(square)),
        t_intercept=intercept / (error * sqrt(1 / x.size + float(x.mean()) ** 2 / square)),
    )


def _pairs(
    reference: ArrayLike, readings: Sequence[ArrayLike], *, method: str
) -> tuple[Floats, Floats, list[Floats]]:
    refs = numbers(reference, method=method, needed=2)
    if len(readings) != refs.size:
        raise _incomplete(method, "reference", len(readings), refs.size)
    groups = [numbers(group, method=method) for group in readings]
    x = np.concatenate([np.full(group.size, ref) for ref, group in zip(refs, groups, strict=True)])
    return x, np.concatenate(groups), groups
