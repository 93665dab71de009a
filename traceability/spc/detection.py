"""Probability of detection: how large must a defect be to be found? And attribute gauges by the size of the part.

The effectiveness table of an attribute study hides size; the POD curve is the right study for a camera. a90/95,
the size found with 90 % chance with 95 % confidence, depends on the method of its bound by some percent, so that
every one carries its name. Repeated looks at one defect are not independent: give each defect once.

Sources: MIL-HDBK-1823A (2009); AIAG MSA, 4th ed., chapter III-C (signal detection, analytic method); A. P. Berens,
NDE Reliability Data Analysis, Metals Handbook 17 (1989) (â against a).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import expit, log_expit, log_ndtr
from scipy.stats import beta, chi2, norm, t

from traceability.errors import FitImpossible
from traceability.spc.checks import counts, enough, numbers, positive, share, within

Floats = NDArray[np.float64]
Link = Literal["logit", "probit"]
Bound = Literal["likelihood_ratio", "wald_band", "delta"]
"""How a90/95 is bounded: likelihood ratio (MIL-HDBK-1823A's choice), where the Wald band of the curve crosses
90 %, or the delta method on (log) size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCurve:
    """Hit/miss POD: link(POD) = intercept + slope · size, size perhaps as its logarithm.

    covariance   of intercept and slope, ((vi, c), (c, vs))
    mu, sigma    location and scale of the curve, in the scale of the fit
    a90_95       by the method of its bound; None where a bound does not exist
    """

    n: int
    hits: int
    link: Link
    is_log: bool
    intercept: float
    slope: float
    covariance: tuple[tuple[float, float], tuple[float, float]]
    deviance: float
    log_likelihood: float
    a50: float
    a90: float
    a90_95: dict[Bound, float | None]

    @property
    def mu(self) -> float:
        return -self.intercept / self.slope

    @property
    def sigma(self) -> float:
        return 1 / self.slope

    @property
    def aic(self) -> float:
        return self.deviance + 4

    def pod(self, size: ArrayLike) -> Floats:
        """Chance of being found, at each size."""
        a = np.asarray(size, np.float64)
        linear = self.intercept + self.slope * (np.log(a) if self.is_log else a)
        found: Floats = np.asarray(expit(linear) if self.link == "logit" else norm.cdf(linear), np.float64)
        return found


def hit_miss(
    size: ArrayLike,
    hit: ArrayLike,
    *,
    link: Link = "logit",
    is_log: bool = True,
    confidence: float = 0.95,
    detected: float = 0.9,
) -> PodCurve:
    """Fit by greatest likelihood of hits (1) and misses (0) against size.

    Raises FitImpossible where hits and misses are separated by size (no slope is best), where all are hits or
    misses, or where larger defects are found less often.
    """
    a = numbers(size, method="pod_hit_miss", needed=6, must_vary=True)
    y, _ = counts(hit, np.ones_like(a), method="pod_hit_miss")
    within(y.size, parameter="hit", allowed=f"{a.size} values", is_allowed=y.size == a.size)
    if is_log:
        positive(float(a.min()), parameter="size")
    x = np.log(a) if is_log else a
    if y.min() == y.max() or x[y == 1].min() >= x[y == 0].max() or x[y == 1].max() <= x[y == 0].min():
        raise FitImpossible(
            "pod_hit_miss cannot be fitted: hits and misses do not overlap in size.",
            action="Add defects of sizes that are found sometimes.",
            method="pod_hit_miss",
            reason="no overlap",
        )
    shift, scale = float(x.mean()), float(x.std())
    coefficients, information = _glm((x - shift) / scale, y, link)
    # Back from the standardised scale.
    back = np.array([[1, -shift / scale], [0, 1 / scale]])
    intercept, slope = (float(each) for each in back @ coefficients)
    covariance = back @ np.linalg.inv(information) @ back.T
    if slope <= 0:
        raise FitImpossible(
            "pod_hit_miss cannot be fitted: larger defects are found less often.",
            action="Check whether sizes and hits belong together.",
            method="pod_hit_miss",
            reason="slope <= 0",
        )
    best = _log_likelihood(x, y, intercept, slope, link)
    z90 = float(log(detected / (1 - detected))) if link == "logit" else float(norm.ppf(detected))
    one_sided = float(norm.ppf(confidence))
    at90 = (z90 - intercept) / slope

    def unlog(value: float | None) -> float | None:
        return None if value is None else exp(value) if is_log else value

    gradient = np.array([-1 / slope, -at90 / slope])
    delta = at90 + one_sided * sqrt(float(gradient @ covariance @ gradient))
    return PodCurve(
        n=a.size,
        hits=int(y.sum()),
        link=link,
        is_log=is_log,
        intercept=intercept,
        slope=slope,
        covariance=(
            (float(covariance[0, 0]), float(covariance[0, 1])),
            (float(covariance[1, 0]), float(covariance[1, 1])),
        ),
        deviance=-2 * best,
        log_likelihood=best,
        a50=float(np.exp(-intercept / slope) if is_log else -intercept / slope),
        a90=float(np.exp(at90) if is_log else at90),
        a90_95={
            "likelihood_ratio": unlog(_likelihood_bound(x, y, link, z90, at90, best, confidence)),
            "wald_band": unlog(_band_bound(intercept, slope, covariance, z90, one_sided)),
            "delta": unlog(delta),
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalPod:
    """â against a: a signal that grows with size, judged by a threshold.

    intercept, slope, tau  of (transformed) signal on (transformed) size; tau the spread about the line
    mu, sigma              of the POD curve, in the scale of the size
    covariance             of mu and sigma; a90_95 by the delta method on them
    """

    n: int
    intercept: float
    slope: float
    tau: float
    tau_likelihood: float
    r_squared: float
    mu: float
    sigma: float
    covariance: tuple[tuple[float, float], tuple[float, float]]
    a50: float
    a90: float
    a90_95: float


def signal_against_size(
    size: ArrayLike,
    signal: ArrayLike,
    *,
    threshold: float,
    is_log_size: bool = True,
    is_log_signal: bool = True,
    noise_below: float | None = None,
    saturated_above: float | None = None,
    confidence: float = 0.95,
    detected: float = 0.9,
) -> SignalPod:
    """Regression of signal on size, with signals at or below the noise, or at or above saturation, censored.

    threshold  signals above it are detections. Signal, threshold and censoring limits are in the signal's unit
    tau        is unbiased (n - 2) without censoring, of greatest likelihood with it
    """
    a = numbers(size, method="pod_signal", needed=5, must_vary=True)
    s = numbers(signal, method="pod_signal", needed=5, must_vary=True)
    within(s.size, parameter="signal", allowed=f"{a.size} values", is_allowed=s.size == a.size)
    if is_log_size:
        positive(float(a.min()), parameter="size")
    low, high = (
        None if limit is None else (log(limit) if is_log_signal else limit)
        for limit in (noise_below, saturated_above)
    )
    raw_low = -np.inf if noise_below is None else noise_below
    raw_high = np.inf if saturated_above is None else saturated_above
    is_low, is_high = s <= raw_low, s >= raw_high
    if is_log_signal:
        positive(float(s[~is_low].min()), parameter="signal")
        positive(threshold, parameter="threshold")
    x = np.log(a) if is_log_size else a
    y = np.log(np.where(is_low & (s <= 0), raw_low if raw_low > 0 else 1.0, s)) if is_log_signal else s
    cut = log(threshold) if is_log_signal else threshold
    seen = ~(is_low | is_high)
    enough(int(seen.sum()), method="pod_signal", needed=4)
    design = np.column_stack([np.ones(x.size), x])
    start, *_ = np.linalg.lstsq(design[seen], y[seen], rcond=None)
    residual = y[seen] - design[seen] @ start
    tau0 = sqrt(float(residual @ residual) / int(seen.sum()))
    positive(tau0, parameter="tau")

    def cost(parameters: Floats) -> float:
        mean = design @ parameters[:2]
        tau = exp(parameters[2])
        total = float(np.sum(norm.logpdf(y[seen], mean[seen], tau)))
        if low is not None:
            total += float(np.sum(log_ndtr((low - mean[is_low]) / tau)))
        if high is not None:
            total += float(np.sum(log_ndtr((mean[is_high] - high) / tau)))
        return -total

    if seen.all():
        parameters = np.array([*start, log(tau0)])
    else:
        found = minimize(
            cost,
            np.array([*start, log(tau0)]),
            method="Nelder-Mead",
            options={"xatol": 1e-11, "fatol": 1e-12, "maxiter": 20_000, "maxfev": 20_000},
        )
        parameters = found.x
    intercept, slope, tau_ml = float(parameters[0]), float(parameters[1]), exp(float(parameters[2]))
    if slope <= 0:
        raise FitImpossible(
            "pod_signal cannot be fitted: the signal does not grow with size.",
            action="Check whether sizes and signals belong together.",
            method="pod_signal",
            reason="slope <= 0",
        )
    tau = sqrt(float(residual @ residual) / (x.size - 2)) if seen.all() else tau_ml
    information = _hessian(cost, np.array([intercept, slope, log(tau)]))
    full = np.linalg.inv(information)
    mu, sigma = (cut - intercept) / slope, tau / slope
    jacobian = np.array([[-1 / slope, -mu / slope, 0], [0, -sigma / slope, sigma]])
    covariance = jacobian @ full @ jacobian.T
    z = float(norm.ppf(detected))
    at90 = mu + z * sigma
    spread = sqrt(float(covariance[0, 0] + 2 * z * covariance[0, 1] + z**2 * covariance[1, 1]))
    bound = at90 + float(norm.ppf(confidence)) * spread

    def unlog(value: float) -> float:
        return exp(value) if is_log_size else value

    variance = float(np.sum((y[seen] - y[seen].mean()) ** 2))
    return SignalPod(
        n=x.size,
        intercept=intercept,
        slope=slope,
        tau=tau,
        tau_likelihood=tau_ml,
        r_squared=1 - float(np.sum((y[seen] - (design @ parameters[:2])[seen]) ** 2)) / variance,
        mu=mu,
        sigma=sigma,
        covariance=(
            (float(covariance[0, 0]), float(covariance[0, 1])),
            (float(covariance[1, 0]), float(covariance[1, 1])),
        ),
        a50=unlog(mu),
        a90=unlog(at90),
        a90_95=unlog(bound),
    )


def demonstrated(hits: int, n: int, *, confidence: float = 0.95) -> float:
    """Lower bound of the POD at one size from so many hits in n defects (Clopper-Pearson, one-sided): 29 of 29."""
    within(n, parameter="n", allowed=">= 1", is_allowed=n >= 1)
    within(hits, parameter="hits", allowed=f"0..{n}", is_allowed=0 <= hits <= n)
    tail = 1 - share(confidence, parameter="confidence")
    return 0.0 if hits == 0 else float(beta.ppf(tail, hits, n - hits + 1))


def defects_needed(*, misses: int, pod: float = 0.9, confidence: float = 0.95) -> int:
    """The least number of defects of one size with which so many misses still demonstrate the POD."""
    share(pod, parameter="pod")
    n = misses + 1
    while demonstrated(n - misses, n, confidence=confidence) < pod:
        n += 1
    return n


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalDetection:
    """Attribute gauge by the size of the part (AIAG): the width of the grey zones is the gauge's 6 sigma spread.

    width_lower, width_upper  grey zone at each specification limit; None where the parts show none
    """

    width_lower: float | None
    width_upper: float | None
    width: float
    grr: float
    percent_tolerance: float | None


def signal_detection(
    reference: ArrayLike,
    all_accept: ArrayLike,
    all_reject: ArrayLike,
    *,
    lower: float | None = None,
    upper: float | None = None,
    tolerance: float | None = None,
) -> SignalDetection:
    """From measured parts, which of them all trials accepted, and which all refused; between lies the grey zone.

    At each limit the zone runs from the last part that all refuse to the first that all accept.
    """
    x = numbers(reference, method="signal_detection", needed=3, must_vary=True)
    accepted = np.asarray(all_accept, bool)
    refused = np.asarray(all_reject, bool)
    enough(int(accepted.sum()), method="signal_detection", needed=1)
    enough(int(refused.sum()), method="signal_detection", needed=1)
    middle = float(x[accepted].mean())
    widths: list[float | None] = []
    for is_lower in (True, False):
        side = refused & ((x < middle) if is_lower else (x > middle))
        if not side.any():
            widths.append(None)
            continue
        edge = float(x[side].max() if is_lower else x[side].min())
        inner = x[accepted & ((x > edge) if is_lower else (x < edge))]
        widths.append(abs(float(inner.min() if is_lower else inner.max()) - edge))
    found = [width for width in widths if width is not None]
    mean = float(np.mean(found))
    span = (
        tolerance
        if tolerance is not None
        else (upper - lower if lower is not None and upper is not None else None)
    )
    return SignalDetection(
        width_lower=widths[0],
        width_upper=widths[1],
        width=mean,
        grr=mean / 6,
        percent_tolerance=None if span is None else 100 * mean / span,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrimination:
    """Signal detection theory: how far apart good and bad look (d′), and where the line is drawn (criterion)."""

    hit_rate: float
    false_alarm_rate: float
    d_prime: float
    criterion: float
    beta: float
    area: float


def discrimination(
    *, hits: int, misses: int, false_alarms: int, correct_rejections: int, is_corrected: bool = False
) -> Discrimination:
    """From the four counts; `is_corrected` adds 0.5 to each (log-linear), which counts of 0 call for."""
    add = 0.5 if is_corrected or min(hits, misses, false_alarms, correct_rejections) == 0 else 0.0
    enough(min(hits + misses, false_alarms + correct_rejections), method="discrimination", needed=1)
    hit = (hits + add) / (hits + misses + 2 * add)
    false = (false_alarms + add) / (false_alarms + correct_rejections + 2 * add)
    zh, zf = float(norm.ppf(hit)), float(norm.ppf(false))
    return Discrimination(
        hit_rate=hit,
        false_alarm_rate=false,
        d_prime=zh - zf,
        criterion=-(zh + zf) / 2,
        beta=exp((zf**2 - zh**2) / 2),
        area=float(norm.cdf((zh - zf) / sqrt(2))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyticStudy:
    """AIAG's analytic method: gauge performance curve by regression of probits on the reference value.

    bias          specification limit + intercept / slope
    unadjusted    distance between acceptance of 0.5 % and 99.5 %; repeatability: the same over 1.08
    """

    probability: tuple[float, ...]
    intercept: float
    slope: float
    r_squared: float
    bias: float
    unadjusted: float
    repeatability: float
    t: float
    degrees: int
    p: float


def analytic_study(
    reference: ArrayLike,
    accepted: ArrayLike,
    *,
    trials: int = 20,
    limit: float,
    side: Literal["lower", "upper"] = "lower",
) -> AnalyticStudy:
    """Eight or more parts around one limit, each tried so often; `accepted` counts acceptances.

    Probabilities are (a + 0.5)/m below a half, (a - 0.5)/m above, 0.5 at a half; of parts never or always
    accepted only the nearest to the zone counts.
    """
    x = numbers(reference, method="analytic", needed=4, must_vary=True)
    a, _ = counts(accepted, float(trials), method="analytic")
    within(a.size, parameter="accepted", allowed=f"{x.size} values", is_allowed=a.size == x.size)
    share_of = a / trials
    p = np.where(share_of < 0.5, (a + 0.5) / trials, np.where(share_of > 0.5, (a - 0.5) / trials, 0.5))
    order = np.argsort(x)
    rising = share_of[order][-1] >= share_of[order][0]
    never, always = x[share_of == 0], x[share_of == 1]
    used = (share_of > 0) & (share_of < 1)
    if never.size:
        used |= x == (never.max() if rising else never.min())
    if always.size:
        used |= x == (always.min() if rising else always.max())
    enough(int(used.sum()), method="analytic", needed=3)
    z = norm.ppf(p[used])
    slope, intercept = (float(each) for each in np.polyfit(x[used], z, 1))
    unadjusted = abs(2 * float(norm.ppf(0.995)) / slope)
    repeatability = unadjusted / 1.08
    bias = (limit + intercept / slope) if side == "lower" else -(limit + intercept / slope)
    # AIAG's factor for 20 trials; it grows with their root.
    statistic = 31.3 * sqrt(trials / 20) * abs(bias) / repeatability
    residual = z - (intercept + slope * x[used])
    return AnalyticStudy(
        probability=tuple(float(each) for each in p),
        intercept=intercept,
        slope=slope,
        r_squared=1 - float(residual @ residual) / float(np.sum((z - z.mean()) ** 2)),
        bias=bias,
        unadjusted=unadjusted,
        repeatability=repeatability,
        t=statistic,
        degrees=trials - 1,
        p=float(2 * t.sf(statistic, trials - 1)),
    )


def _glm(x: Floats, y: Floats, link: Link) -> tuple[Floats, Floats]:
    """Coefficients and expected information of a binary regression, by iteratively reweighted least squares."""
    design = np.column_stack([np.ones(x.size), x])
    coefficients = np.zeros(2)
    for _ in range(100):
        eta = design @ coefficients
        if link == "logit":
            mean = expit(eta)
            slope = mean * (1 - mean)
        else:
            mean, slope = norm.cdf(eta), norm.pdf(eta)
        variance = np.maximum(mean * (1 - mean), 1e-12)
        weight = np.maximum(slope**2 / variance, 1e-12)
        working = eta + (y - mean) / np.maximum(slope, 1e-12)
        information = design.T @ (design * weight[:, None])
        new = np.linalg.solve(information, design.T @ (weight * working))
        if float(np.max(np.abs(new - coefficients))) < 1e-12:
            return new, information
        coefficients = new
    return coefficients, information


def _log_likelihood(x: Floats, y: Floats, intercept: float, slope: float, link: Link) -> float:
    eta = intercept + slope * x
    yes, no = (log_expit(eta), log_expit(-eta)) if link == "logit" else (log_ndtr(eta), log_ndtr(-eta))
    return float(np.sum(np.where(y == 1, yes, no)))


def _likelihood_bound(
    x: Floats, y: Floats, link: Link, z90: float, at90: float, best: float, confidence: float
) -> float | None:
    """The largest size at which 90 % is still believable: one-sided, chi-square of 2 confidence - 1."""
    drop = float(chi2.ppf(2 * confidence - 1, 1))

    def profile(at: float) -> float:
        # The curve is held to 90 % at this size; the slope is free.
        def cost(log_slope: float) -> float:
            slope = exp(log_slope)
            return -_log_likelihood(x, y, z90 - slope * at, slope, link)

        return _least(cost, -6, 12)

    def off(at: float) -> float:
        return 2 * (profile(at) + best) - drop

    step = float(np.ptp(x)) / 20
    high = at90
    for _ in range(200):
        high += step
        if off(high) > 0:
            return float(brentq(off, at90, high, xtol=1e-10))
    return None


def _least(cost: Callable[[float], float], low: float, high: float) -> float:
    """The least value of a cost with one valley: a coarse look, then a fine one."""
    grid = np.linspace(low, high, 61)
    place = int(np.argmin([cost(float(each)) for each in grid]))
    bounds = (float(grid[max(place - 1, 0)]), float(grid[min(place + 1, 60)]))
    return float(minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 1e-10}).fun)


def _band_bound(
    intercept: float, slope: float, covariance: Floats, z90: float, one_sided: float
) -> float | None:
    """Where the lower Wald band of the curve crosses 90 %: the larger root of a quadratic."""
    a = slope**2 - one_sided**2 * float(covariance[1, 1])
    b = 2 * (slope * (intercept - z90) - one_sided**2 * float(covariance[0, 1]))
    c = (intercept - z90) ** 2 - one_sided**2 * float(covariance[0, 0])
    inside = b**2 - 4 * a * c
    return (-b + sqrt(inside)) / (2 * a) if a > 0 and inside >= 0 else None


def _hessian(cost: Callable[[Floats], float], at: Floats) -> Floats:
    step = 1e-4 * np.maximum(np.abs(at), 1e-2)
    size = len(at)
    second = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            total = 0.0
            for si in (-1, 1):
                for sj in (-1, 1):
                    moved = at.copy()
                    moved[i] += si * step[i]
                    moved[j] += sj * step[j]
                    total += si * sj * cost(moved)
            second[i, j] = total / (4 * step[i] * step[j])
    return second
