"""What a process can do against its specification.

Fields are neutral, because standards give the same number different names: AIAG 2005 and Minitab call the index
from sigma within subgroups Cp, Cpk and the one from the overall sigma Pp, Ppk; ISO 22514-2 and the AIAG & VDA
manual of 2026 use the overall spread for both, call it C only where stability is proven and P otherwise, and the
one from sigma within Cw, Cwk. `named` gives the names of a preset, and every report prints which.

Sources: AIAG SPC, 2nd ed. (2005); ISO 22514-2; S. Kotz and N. L. Johnson, Process Capability Indices (1993);
A. F. Bissell, Applied Statistics 39 (1990) 331-340 (interval of Cpk); R. A. Boyles, J. Quality Technology 23
(1991) 17-26 (Cpm); W. G. Howe, J. American Statistical Association 64 (1969) 610-620 (tolerance intervals).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import copysign, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import beta, chi2, nct, norm

from traceability.errors import GaugeNotProven, NotStable
from traceability.spc.charts import Estimator, SingleEstimator, sigma_of_singles, sigma_within
from traceability.spc.checks import numbers, positive, share, spec_limits, subgroups, within
from traceability.spc.distributions import Distribution, Normality, normality

Floats = NDArray[np.float64]
Interval = tuple[float, float]
Naming = Literal["aiag_2005", "iso22514", "aiag_vda_2026", "machine"]

PER_MILLION = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """Limits of the drawing, at least one; natural limits are physical bounds, such as 0 of a roundness."""

    lower: float | None = None
    upper: float | None = None
    target: float | None = None
    natural_lower: float | None = None
    natural_upper: float | None = None

    def __post_init__(self) -> None:
        spec_limits(self.lower, self.upper)


@dataclass(frozen=True, slots=True, kw_only=True)
class Indices:
    """Of one spread, within or overall; None where the side has no limit.

    spread      limits over spread (Cp, Pp); one-sided with a natural limit: Cp*
    lower, upper, nearest   from the centre to each limit, and the smaller (Cpk, Ppk)
    off_centre  k: distance of the mean from the middle, in half tolerances; None without both limits
    intervals   two-sided, at the report's confidence
    """

    spread: float | None
    lower: float | None
    upper: float | None
    nearest: float
    off_centre: float | None
    spread_interval: Interval | None = None
    nearest_interval: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PerMillion:
    """Parts per million beyond the limits."""

    below: float
    above: float

    @property
    def total(self) -> float:
        return self.below + self.above


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """A capability study. `within` from sigma inside subgroups, `overall` from the standard deviation of all.

    z_bench     the z beyond which the expected share lies, overall
    normality   None for fewer than 8 values
    resolution  how many different values occur: below ten, the gauge is too coarse for the process
    """

    specification: Specification
    n: int
    mean: float
    sigma_within: float | None
    sigma_overall: float
    estimator: str
    within: Indices | None
    overall: Indices
    taguchi: float | None
    taguchi_interval: Interval | None
    expected_within: PerMillion | None
    expected_overall: PerMillion
    observed: PerMillion
    z_bench: float
    normality: Normality | None
    resolution: int
    confidence: float


def capability(
    values: ArrayLike | Sequence[ArrayLike],
    specification: Specification,
    *,
    is_subgrouped: bool,
    estimator: Estimator = "pooled_c4",
    single_estimator: SingleEstimator = "mean_moving_range",
    varying_sizes: bool = False,
    confidence: float = 0.95,
    taguchi_from: Literal["overall", "within"] = "overall",
    taguchi_degrees: Literal["boyles", "qcc"] = "boyles",
) -> Capability:
    """The normal capability study of subgroups, or of single values in their order.

    taguchi_from     which sigma Cpm is from: overall (Minitab), or within (qcc)
    taguchi_degrees  degrees of freedom of its interval: n (1 + a²)² / (1 + 2a²) of Boyles, or without the square
                     as the R package qcc has it; a is the distance to the target in sigmas within

    Raises what the values cannot bear: ValuesMissing, TooFewValues, ValueNotFinite, NoVariation,
    SubgroupSizesDiffer; and SpecLimitsInvalid.
    """
    share(confidence, parameter="confidence")
    if is_subgrouped:
        groups = subgroups(values, method="capability", varying_sizes=varying_sizes)  # type: ignore[arg-type]
        x = np.concatenate(groups)
        inside, method = sigma_within(groups, estimator), str(estimator)
    else:
        x = numbers(values, method="capability", needed=2, must_vary=True)  # type: ignore[arg-type]
        inside, method = sigma_of_singles(x, single_estimator), str(single_estimator)
    mean, overall = float(x.mean()), float(x.std(ddof=1))
    lower, upper = specification.lower, specification.upper
    expected = expected_per_million(mean, overall, specification)
    share_beyond = expected.total / PER_MILLION
    cpm, cpm_interval = _taguchi(
        x.size,
        mean,
        inside if taguchi_from == "within" else overall,
        specification,
        confidence,
        power=2 if taguchi_degrees == "boyles" else 1,
    )
    return Capability(
        specification=specification,
        n=x.size,
        mean=mean,
        sigma_within=inside,
        sigma_overall=overall,
        estimator=method,
        within=indices(mean, inside, specification, n=x.size, confidence=confidence),
        overall=indices(mean, overall, specification, n=x.size, confidence=confidence),
        taguchi=cpm,
        taguchi_interval=cpm_interval,
        expected_within=expected_per_million(mean, inside, specification),
        expected_overall=expected,
        observed=PerMillion(
            below=0.0 if lower is None else PER_MILLION * float(np.mean(x < lower)),
            above=0.0 if upper is None else PER_MILLION * float(np.mean(x > upper)),
        ),
        z_bench=float(norm.isf(share_beyond)) if share_beyond > 0 else float("inf"),
        normality=normality(x) if x.size >= 8 else None,
        resolution=int(np.unique(x).size),
        confidence=confidence,
    )


def indices(
    mean: float, sigma: float, specification: Specification, *, n: int | None = None, confidence: float = 0.95
) -> Indices:
    """Indices from mean and sigma, with intervals where the number of values behind them is given.

    Interval of the spread index: chi-square with n - 1 degrees of freedom, whichever estimator sigma is from;
    of the nearest: Bissell's normal approximation.
    """
    positive(sigma, parameter="sigma")
    lower, upper = specification.lower, specification.upper
    to_lower = None if lower is None else (mean - lower) / (3 * sigma)
    to_upper = None if upper is None else (upper - mean) / (3 * sigma)
    nearest = min(one for one in (to_lower, to_upper) if one is not None)
    low = lower if lower is not None else specification.natural_lower
    high = upper if upper is not None else specification.natural_upper
    spread = None if low is None or high is None else (high - low) / (6 * sigma)
    both = lower is not None and upper is not None
    off = (
        abs(mean - (lower + upper) / 2) / ((upper - lower) / 2)
        if lower is not None and upper is not None
        else None
    )
    return Indices(
        spread=spread,
        lower=to_lower,
        upper=to_upper,
        nearest=nearest,
        off_centre=off if both else None,
        spread_interval=None
        if spread is None or n is None
        else spread_interval(spread, n - 1, confidence=confidence),
        nearest_interval=None if n is None else nearest_interval(nearest, n, confidence=confidence),
    )


def spread_interval(index: float, degrees: float, *, confidence: float = 0.95) -> Interval:
    """Interval of Cp or Pp: chi-square. For sigma from ranges give the effective degrees of freedom."""
    tail = (1 - share(confidence, parameter="confidence")) / 2
    return (
        index * sqrt(float(chi2.ppf(tail, degrees)) / degrees),
        index * sqrt(float(chi2.isf(tail, degrees)) / degrees),
    )


def nearest_interval(index: float, n: int, *, confidence: float = 0.95) -> Interval:
    """Interval of Cpk or Ppk (Bissell): index ± z sqrt(1/(9n) + index²/(2(n-1)))."""
    off = float(norm.isf((1 - share(confidence, parameter="confidence")) / 2)) * sqrt(
        1 / (9 * n) + index**2 / (2 * (n - 1))
    )
    return index - off, index + off


def bootstrap_interval(
    values: ArrayLike,
    specification: Specification,
    *,
    confidence: float = 0.95,
    samples: int = 2000,
    seed: int = 1,
) -> Interval:
    """Percentile bootstrap of Ppk, for values that are not normal; from a seed, so that it is the same each time."""
    x = numbers(values, method="bootstrap", needed=8, must_vary=True)
    drawn = np.random.default_rng(seed).choice(x, (samples, x.size))
    mean, sigma = drawn.mean(axis=1), drawn.std(axis=1, ddof=1)
    sides = []
    if specification.lower is not None:
        sides.append((mean - specification.lower) / (3 * sigma))
    if specification.upper is not None:
        sides.append((specification.upper - mean) / (3 * sigma))
    low, high = np.quantile(np.min(sides, axis=0), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def expected_per_million(mean: float, sigma: float, specification: Specification) -> PerMillion:
    """What a normal process leaves beyond its limits, per million."""
    positive(sigma, parameter="sigma")
    lower, upper = specification.lower, specification.upper
    return PerMillion(
        below=0.0 if lower is None else PER_MILLION * float(norm.cdf((lower - mean) / sigma)),
        above=0.0 if upper is None else PER_MILLION * float(norm.sf((upper - mean) / sigma)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileCapability:
    """Percentile method of ISO 22514-2 (general geometric): the range X0.135 % .. X99.865 % stands for six sigmas.

    z_method  the nearest index of the tail-fraction method: z of the share beyond, over 3
    """

    distribution: Distribution
    low: float
    median: float
    high: float
    indices: Indices
    expected: PerMillion
    z_method: float


def quantile_capability(distribution: Distribution, specification: Specification) -> QuantileCapability:
    """Capability of a process that follows any distribution."""
    low, median, high = (distribution.quantile(float(norm.cdf(z))) for z in (-3, 0, 3))
    lower, upper = specification.lower, specification.upper
    to_lower = None if lower is None else (median - lower) / (median - low)
    to_upper = None if upper is None else (upper - median) / (high - median)
    bottom = lower if lower is not None else specification.natural_lower
    top = upper if upper is not None else specification.natural_upper
    below = 0.0 if lower is None else distribution.below(lower)
    above = 0.0 if upper is None else distribution.above(upper)
    z_sides = [
        -float(norm.ppf(tail)) / 3 for limit, tail in ((lower, below), (upper, above)) if limit is not None
    ]
    return QuantileCapability(
        distribution=distribution,
        low=low,
        median=median,
        high=high,
        indices=Indices(
            spread=None if bottom is None or top is None else (top - bottom) / (high - low),
            lower=to_lower,
            upper=to_upper,
            nearest=min(one for one in (to_lower, to_upper) if one is not None),
            off_centre=None,
        ),
        expected=PerMillion(below=below * PER_MILLION, above=above * PER_MILLION),
        z_method=min(z_sides),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Indices under the names of a standard; `warning` a key of what must be printed beside them, or None."""

    preset: Naming
    values: Mapping[str, float]
    warning: Literal["not_stable"] | None


def named(
    preset: Naming,
    *,
    is_stable: bool,
    nearest_within: float | None,
    nearest_overall: float,
    spread_within: float | None = None,
    spread_overall: float | None = None,
) -> Named:
    """The same numbers by the names of a standard.

    aiag_2005                Cp, Cpk from sigma within, Pp, Ppk overall; a warning where stability is not shown
    iso22514, aiag_vda_2026  overall: Cp, Cpk where stable, else Pp, Ppk; within: Cw, Cwk, an aid not to be reported
    machine                  Pm, Pmk of a machine study
    """
    within_names, overall_names = {
        "aiag_2005": (("Cp", "Cpk"), ("Pp", "Ppk")),
        "machine": (("Cw", "Cwk"), ("Pm", "Pmk")),
    }.get(preset, (("Cw", "Cwk"), ("Cp", "Cpk") if is_stable else ("Pp", "Ppk")))
    pairs = (
        (within_names, (spread_within, nearest_within)),
        (overall_names, (spread_overall, nearest_overall)),
    )
    values = {
        name: value
        for names, numbers_of in pairs
        for name, value in zip(names, numbers_of, strict=True)
        if value is not None
    }
    warning: Literal["not_stable"] | None = "not_stable" if preset == "aiag_2005" and not is_stable else None
    return Named(preset=preset, values=values, warning=warning)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Why a capability report may be printed: what was proven, or the reasons given for doing without."""

    is_stable: bool
    is_gauge_proven: bool
    reasons: tuple[str, ...]


def release(
    *,
    index: str,
    characteristic: str,
    signals: int | None,
    is_gauge_proven: bool,
    reason_unstable: str = "",
    reason_no_gauge: str = "",
) -> Release:
    """The two gates before a report: no C index from an unstable process, and none without a valid gauge study.

    signals  of the chart of the same values; None where no chart was looked at

    Either is overridden by a reason, which is printed. Raises NotStable and GaugeNotProven.
    """
    is_stable = signals == 0
    if index.startswith("C") and not is_stable and not reason_unstable.strip():
        raise NotStable(
            f"{index} says what a stable process can do, and stability is not shown ({signals} signals).",
            action="Remove the causes of the signals, report performance instead, or give a reason.",
            index=index,
            signals="?" if signals is None else str(signals),
        )
    if not is_gauge_proven and not reason_no_gauge.strip():
        raise GaugeNotProven(
            f"There is no valid gauge study for {characteristic}.",
            action="Run a gauge R&R study first, or give a reason.",
            characteristic=characteristic,
        )
    reasons = tuple(text.strip() for text in (reason_unstable, reason_no_gauge) if text.strip())
    return Release(is_stable=is_stable, is_gauge_proven=is_gauge_proven, reasons=reasons)


def target_for(wanted: float, n: int, *, confidence: float = 0.95) -> float:
    """The Ppk that n values must show so that the true one is at least `wanted` with one-sided confidence.

    What is solved for the index is index - z √(1 / 9n + index² / 2(n-1)) = wanted (Bissell 1990), a quadratic. Of too
    few values, for the confidence, no index is enough: raises ParameterOutOfRange.
    """
    z = float(norm.isf(1 - share(confidence, parameter="confidence")))
    least = max(5, int(1 + z**2 / 2) + 1)
    within(n, parameter="n", allowed=f">= {least}", is_allowed=n >= least)
    left = 1 - z**2 / (2 * (n - 1))
    apart = wanted**2 - left * (wanted**2 - z**2 / (9 * n))
    return (wanted + copysign(sqrt(apart), z)) / left


ToleranceMethod = Literal["exact", "howe"]


def tolerance_factor(
    n: int, *, coverage: float, confidence: float, sides: Literal[1, 2] = 2, method: ToleranceMethod = "exact"
) -> float:
    """k of mean ± k s (or on one side) that holds `coverage` of a normal process with this confidence.

    One-sided: non-central t, exact. Two-sided: exact by integration, or Howe's approximation (ISO 16269-6).
    """
    share(coverage, parameter="coverage")
    share(confidence, parameter="confidence")
    within(n, parameter="n", allowed=">= 2", is_allowed=n >= 2)
    if sides == 1:
        return float(nct.ppf(confidence, n - 1, norm.ppf(coverage) * sqrt(n))) / sqrt(n)
    howe = float(norm.ppf((1 + coverage) / 2)) * sqrt(
        (n - 1) * (1 + 1 / n) / float(chi2.ppf(1 - confidence, n - 1))
    )
    if method == "howe":
        return howe

    def reached(k: float) -> float:
        def inner(z: float) -> float:
            # The half width around a mean z/sqrt(n) off the centre that still holds the coverage.
            offset = z / sqrt(n)
            radius = brentq(
                lambda r: norm.cdf(offset + r) - norm.cdf(offset - r) - coverage, 1e-9, 40 + offset
            )
            return float(chi2.sf((n - 1) * radius**2 / k**2, n - 1) * norm.pdf(z))

        return 2 * float(quad(inner, 0, 8, epsabs=1e-11, epsrel=1e-10, limit=200)[0])

    return float(brentq(lambda k: reached(k) - confidence, howe * 0.7, howe * 1.5, xtol=1e-10))


def tolerance_interval(
    values: ArrayLike, *, coverage: float, confidence: float, method: ToleranceMethod = "exact"
) -> Interval:
    """Two-sided tolerance interval of a normal process."""
    x = numbers(values, method="tolerance_interval", needed=2, must_vary=True)
    off = tolerance_factor(x.size, coverage=coverage, confidence=confidence, method=method) * float(
        x.std(ddof=1)
    )
    return float(x.mean()) - off, float(x.mean()) + off


def coverage_confidence(n: int, coverage: float, *, left_out: int = 2) -> float:
    """Confidence that smallest to largest of n values of any distribution hold this coverage (Wilks)."""
    share(coverage, parameter="coverage")
    within(left_out, parameter="left_out", allowed=f"1..{n}", is_allowed=1 <= left_out <= n)
    return float(beta.sf(coverage, n - left_out + 1, left_out))


def values_for_coverage(coverage: float, confidence: float, *, left_out: int = 2) -> int:
    """The least n for which the confidence of `coverage_confidence` is reached."""
    share(confidence, parameter="confidence")
    n = left_out
    while coverage_confidence(n, coverage, left_out=left_out) < confidence:
        n += max(n // 50, 1)
    while n > left_out and coverage_confidence(n - 1, coverage, left_out=left_out) >= confidence:
        n -= 1
    return n


def _taguchi(
    n: int, mean: float, sigma: float, specification: Specification, confidence: float, *, power: int
) -> tuple[float | None, Interval | None]:
    """Cpm and its interval: chi-square."""
    lower, upper, target = specification.lower, specification.upper, specification.target
    if lower is None or upper is None or target is None:
        return None, None
    off = ((mean - target) / sigma) ** 2
    index = (upper - lower) / (6 * sigma * sqrt(1 + off))
    degrees = n * (1 + off) ** power / (1 + 2 * off)
    return index, spread_interval(index, degrees, confidence=confidence)
