"""Factors of control charts and gauge studies, exact for any n: integrals, not tables.

Printed tables carry three digits, so that programs which use them differ from each other by 3e-5 of a sigma.
The definitions are those of Montgomery, Introduction to Statistical Quality Control, 8th ed., appendix VI, and
ASTM E2587; d2* is that of AIAG MSA, 4th ed., appendix C (A. J. Duncan, Quality Control and Industrial
Statistics, 1955). All are for independent values from a standard normal distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, lgamma, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr
from scipy.stats import norm

from traceability.spc.checks import within

# The trapezium rule converges faster than any power of its step for functions that die out at both ends:
# halving this step changes no result by more than 1e-13.
_X = np.arange(-11, 11, 0.02)
_STEP = 0.02
# Ranges of normal values beyond this have no weight: even of a million values the range stays below 13.
_LARGEST_RANGE = 16.0


def d2(n: int) -> float:
    """Mean range of n values."""
    return _range_moments(_size(n))[0]


def d3(n: int) -> float:
    """Standard deviation of the range of n values."""
    return _range_moments(_size(n))[1]


def d2_star(m: int, g: int = 1) -> float:
    """d2* for the mean of g ranges of m values: the root of the mean square, sqrt(d2² + d3²/g)."""
    within(g, parameter="g", allowed=">= 1", is_allowed=g >= 1)
    return sqrt(d2(m) ** 2 + d3(m) ** 2 / g)


def c4(n: float) -> float:
    """Mean standard deviation of n values. For pooled spreads n is the degrees of freedom + 1."""
    within(n, parameter="n", allowed=">= 2", is_allowed=n > 1)
    return sqrt(2 / (n - 1)) * exp(lgamma(n / 2) - lgamma((n - 1) / 2))


def c5(n: float) -> float:
    """Standard deviation of the standard deviation of n values: sqrt(1 - c4²)."""
    return sqrt(1 - c4(n) ** 2)


def d4(n: int) -> float:
    """Median range of n values (Wheeler). 0.9539 for moving ranges of two."""
    return range_quantile(0.5, n)


def range_cdf(w: float, n: int) -> float:
    """Probability that the range of n values is at most w."""
    if w <= 0:
        return 0.0
    inside = np.log(np.maximum(ndtr(_X + w) - ndtr(_X), 1e-300))
    return min(float(n * np.sum(norm.pdf(_X) * np.exp((n - 1) * inside)) * _STEP), 1.0)


def range_quantile(probability: float, n: int) -> float:
    """The range that n values stay at or below with this probability: W of exact limits for R charts."""
    within(probability, parameter="probability", allowed="0 < … < 1", is_allowed=0 < probability < 1)
    return float(brentq(lambda w: range_cdf(w, _size(n)) - probability, 1e-12, _LARGEST_RANGE, xtol=1e-13))


@lru_cache(maxsize=256)
def sd_of_median(n: int) -> float:
    """Standard deviation of the median of n values; of an even n, of the mean of the middle two."""
    _size(n)
    below, above = log_ndtr(_X), log_ndtr(-_X)
    if n % 2:
        k = (n - 1) // 2
        weight = lgamma(n + 1) - 2 * lgamma(k + 1)
        density = np.exp(weight + k * (below + above)) * norm.pdf(_X)
        return float(np.sqrt(np.sum(_X**2 * density) * _STEP))
    k = n // 2 - 1
    # The joint density of the middle two at x and x + gap.
    gap, gap_weight = _gauss(0, 9, 120)
    x = _X[:, None]
    log_weight = lgamma(n + 1) - 2 * lgamma(k + 1)
    density = np.exp(
        log_weight + k * (log_ndtr(x) + log_ndtr(-(x + gap))) + norm.logpdf(x) + norm.logpdf(x + gap)
    )
    return float(np.sqrt(np.sum((x + gap / 2) ** 2 * density * gap_weight) * _STEP))


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """The factors of Shewhart charts for subgroups of n, by the names the tables give them.

    a, a2, a3       half width of a mean's limits, in sigma, in R̄ and in s̄
    a2_median       the same for a median, in R̄ (Ã2)
    b3 .. b6        limits of s, in s̄ and in sigma
    d_1 .. d_4      limits of R: D1, D2 in sigma; D3, D4 in R̄
    e2, e3          half width of single values, in R̄ (or mean moving range) and in s̄
    """

    n: int
    d2: float
    d3: float
    c4: float
    a: float
    a2: float
    a3: float
    a2_median: float
    b3: float
    b4: float
    b5: float
    b6: float
    d_1: float
    d_2: float
    d_3: float
    d_4: float
    e2: float
    e3: float


def factors(n: int, *, sigmas: float = 3) -> Factors:
    """All factors of subgroups of n for limits so many sigmas off the centre; lower ones never below 0."""
    mean, spread, unbias, root = d2(n), d3(n), c4(n), sqrt(n)
    off = sigmas * c5(n)
    return Factors(
        n=n,
        d2=mean,
        d3=spread,
        c4=unbias,
        a=sigmas / root,
        a2=sigmas / (mean * root),
        a3=sigmas / (unbias * root),
        a2_median=sigmas * sd_of_median(n) / mean,
        b3=max(1 - off / unbias, 0),
        b4=1 + off / unbias,
        b5=max(unbias - off, 0),
        b6=unbias + off,
        d_1=max(mean - sigmas * spread, 0),
        d_2=mean + sigmas * spread,
        d_3=max(1 - sigmas * spread / mean, 0),
        d_4=1 + sigmas * spread / mean,
        e2=sigmas / mean,
        e3=sigmas / unbias,
    )


@lru_cache(maxsize=256)
def _range_moments(n: int) -> tuple[float, float]:
    """Mean and standard deviation of the range of n values."""
    mean = float(np.sum(-np.expm1(n * log_ndtr(_X)) - np.exp(n * log_ndtr(-_X))) * _STEP)
    w, weight = _gauss(0, _LARGEST_RANGE, 200)
    beyond = np.array([1 - range_cdf(float(each), n) for each in w])
    square = float(np.sum(2 * w * beyond * weight))
    return mean, sqrt(square - mean**2)


def _gauss(low: float, high: float, nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    at, weight = np.polynomial.legendre.leggauss(nodes)
    return (high - low) / 2 * at + (high + low) / 2, (high - low) / 2 * weight


def _size(n: int) -> int:
    within(n, parameter="n", allowed=">= 2", is_allowed=n >= 2 and n == int(n))
    return int(n)
