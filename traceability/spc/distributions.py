"""Which distribution measured values follow: tests of normality, fits of greatest likelihood, transformations.

Sources: M. A. Stephens in D'Agostino and Stephens, Goodness-of-Fit Techniques (1986), table 4.9 (Anderson-Darling
and Cramér-von Mises, mean and sigma estimated); G. E. Dallal and L. Wilkinson, The American Statistician 40
(1986) 294-296 (Lilliefors); G. E. P. Box and D. R. Cox (1964); N. L. Johnson (1949); J. F. Slifker and
S. S. Shapiro, Technometrics 22 (1980) 239-246 with the search over z of Y. Chou, A. M. Polansky and
R. L. Mason, J. Quality Technology 30 (1998) 133-141.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log, pi, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import digamma, gammaln
from scipy.stats import norm

from traceability.errors import FitImpossible
from traceability.spc.attributes import weibull_parameters
from traceability.spc.checks import numbers, positive, relative_logs, share

Floats = NDArray[np.float64]

LARGE_SHAPE = 50.0
"""Of a gamma distribution, from which on asymptotic series are exact to the machine's last digits."""

Family = Literal[
    "normal",
    "lognormal",
    "weibull",
    "gamma",
    "exponential",
    "folded_normal",
    "johnson_su",
    "johnson_sb",
    "johnson_sl",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Normality:
    """Tests of the hypothesis that values are normal; a small p speaks against it.

    anderson_darling  A², p by Stephens from A* = A² (1 + 0.75/n + 2.25/n²)
    lilliefors        largest distance from the fitted normal, p by Dallal and Wilkinson
    skewness, excess_kurtosis  of moments
    """

    anderson_darling: float
    anderson_darling_p: float
    shapiro_wilk: float
    shapiro_wilk_p: float
    lilliefors: float
    lilliefors_p: float
    cramer_von_mises: float
    cramer_von_mises_p: float
    skewness: float
    excess_kurtosis: float


def normality(values: ArrayLike) -> Normality:
    """All tests at once; 8 values at least, because below that none of them can find anything."""
    x = np.sort(numbers(values, method="normality", needed=8, must_vary=True))
    n = x.size
    z = (x - x.mean()) / x.std(ddof=1)
    below = norm.cdf(z)
    rank = np.arange(1, n + 1)
    a2 = float(-n - np.mean((2 * rank - 1) * (norm.logcdf(z) + norm.logsf(z[::-1]))))
    w2 = float(1 / (12 * n) + np.sum((below - (2 * rank - 1) / (2 * n)) ** 2))
    d = float(max(np.max(rank / n - below), np.max(below - (rank - 1) / n)))
    shapiro = stats.shapiro(x)
    return Normality(
        anderson_darling=a2,
        anderson_darling_p=_anderson_darling_p(a2 * (1 + 0.75 / n + 2.25 / n**2)),
        shapiro_wilk=float(shapiro.statistic),
        shapiro_wilk_p=float(shapiro.pvalue),
        lilliefors=d,
        lilliefors_p=_lilliefors_p(d, n),
        cramer_von_mises=w2,
        cramer_von_mises_p=_cramer_von_mises_p(w2 * (1 + 0.5 / n)),
        skewness=float(stats.skew(x)),
        excess_kurtosis=float(stats.kurtosis(x)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A fitted or given distribution.

    parameters  by name, in the field's words: mean, sigma, shape, scale, location, gamma, delta, xi, lambda
    """

    family: Family
    parameters: dict[str, float]

    def quantile(self, probability: float) -> float:
        return float(self._frozen().ppf(probability))

    def below(self, value: float) -> float:
        """Share of values below this one."""
        return float(self._frozen().cdf(value))

    def above(self, value: float) -> float:
        return float(self._frozen().sf(value))

    def log_likelihood(self, values: Floats) -> float:
        if self.family == "gamma":
            return _gamma_log_likelihood(values, **self.parameters)
        return float(np.sum(self._frozen().logpdf(values)))

    @property
    def mean(self) -> float:
        return float(self._frozen().mean())

    @property
    def sd(self) -> float:
        return float(self._frozen().std())

    def _frozen(self) -> stats.rv_frozen:
        p = self.parameters
        match self.family:
            case "normal":
                return norm(p["mean"], p["sigma"])
            case "lognormal":
                return stats.lognorm(p["sigma"], loc=p.get("threshold", 0), scale=exp(p["mean"]))
            case "weibull":
                return stats.weibull_min(p["shape"], loc=p.get("threshold", 0), scale=p["scale"])
            case "gamma":
                return stats.gamma(p["shape"], scale=p["scale"])
            case "exponential":
                return stats.expon(scale=p["scale"])
            case "folded_normal":
                return stats.foldnorm(p["mean"] / p["sigma"], scale=p["sigma"])
            case "johnson_su":
                return stats.johnsonsu(p["gamma"], p["delta"], loc=p["xi"], scale=p["lambda"])
            case "johnson_sb":
                return stats.johnsonsb(p["gamma"], p["delta"], loc=p["xi"], scale=p["lambda"])
            case _:
                # z = gamma + delta ln((x - xi)/lambda): a lognormal with a threshold.
                return stats.lognorm(
                    1 / p["delta"], loc=p["xi"], scale=p.get("lambda", 1.0) * exp(-p["gamma"] / p["delta"])
                )


def fit(values: ArrayLike, family: Family) -> Distribution:
    """The distribution of greatest likelihood; normal with the unbiased variance. Johnson by percentiles.

    Raises FitImpossible where the family is of positive values and a value is not.
    """
    x = numbers(values, method=f"fit_{family}", needed=3, must_vary=True)
    if family in ("lognormal", "weibull", "gamma", "exponential") and x.min() <= 0:
        raise FitImpossible(
            f"fit_{family} cannot be fitted: the value {x.min():g} is not above 0.",
            action="Choose a distribution that allows it, or shift by a physical threshold.",
            method=f"fit_{family}",
            reason=f"{x.min():g} <= 0",
        )
    match family:
        case "normal":
            parameters = {"mean": float(x.mean()), "sigma": float(x.std(ddof=1))}
        case "lognormal":
            # The logarithms of a tight dimension differ in their last digits only: not to be subtracted.
            parameters = {"mean": float(np.log(x).mean()), "sigma": float(relative_logs(x).std(ddof=0))}
        case "weibull":
            shape, scale = weibull_parameters(x)
            parameters = {"shape": shape, "scale": scale}
        case "gamma":
            parameters = _gamma_parameters(x)
        case "exponential":
            parameters = {"scale": float(x.mean())}
        case "folded_normal":
            parameters = _folded_parameters(np.abs(x))
        case _:
            return johnson(x, family=family)
    return Distribution(family=family, parameters=parameters)


def best_fit(
    values: ArrayLike, families: tuple[Family, ...] = ("normal", "lognormal", "weibull", "gamma")
) -> tuple[Distribution, dict[str, float]]:
    """The family with the least AIC, and the AIC of each that fits these values at all.

    Raises FitImpossible where none does.
    """
    x = numbers(values, method="best_fit", needed=8, must_vary=True)
    fitted: dict[str, tuple[float, Distribution]] = {}
    for family in families:
        try:
            found = fit(x, family)
        except FitImpossible:
            continue
        fitted[family] = (2 * len(found.parameters) - 2 * found.log_likelihood(x), found)
    if not fitted:
        raise FitImpossible(
            f"best_fit cannot be fitted: these values allow none of {', '.join(families)}.",
            action="Choose a distribution that allows them.",
            method="best_fit",
            reason=", ".join(families),
        )
    best = min(fitted, key=lambda name: fitted[name][0])
    return fitted[best][1], {name: aic for name, (aic, _) in fitted.items()}


def box_cox_lambda(values: ArrayLike) -> float:
    """The power of greatest profile likelihood, -5 .. 5; values above 0. Minitab rounds it to halves: `rounded_half`.

    The power does not depend on the unit, so values are taken in that of their own geometric mean (Box and Cox,
    section 3): in metres the powers of a thickness of 1e-9 m would vanish beside the 1 that is subtracted.
    """
    x = numbers(values, method="box_cox", needed=3, must_vary=True)
    positive(float(x.min()), parameter="value")
    logs = relative_logs(x)
    logs -= logs.mean()

    def cost(power: float) -> float:
        # Of (x^power - 1)/power; measured from its largest value, which keeps every power within the machine's.
        powers = power * logs
        top = float(powers.max())
        moved = logs if power == 0 else np.expm1(powers - top) / power
        return top + float(np.log(np.std(moved)))

    found = minimize_scalar(cost, bounds=(-5, 5), method="bounded", options={"xatol": 1e-10})
    return float(found.x)


def box_cox(values: ArrayLike, power: float) -> Floats:
    """(x^power - 1) / power; ln x at 0."""
    x = numbers(values, method="box_cox")
    positive(float(x.min()), parameter="value")
    moved: Floats = np.log(x) if abs(power) < 1e-12 else np.expm1(power * np.log(x)) / power
    return moved


def rounded_half(power: float) -> float:
    return round(2 * power) / 2


def yeo_johnson_lambda(values: ArrayLike) -> float:
    """The power of greatest profile likelihood of Yeo and Johnson's transformation, for values of any sign."""
    x = numbers(values, method="yeo_johnson", needed=3, must_vary=True)
    return float(stats.yeojohnson_normmax(x))


def johnson(
    values: ArrayLike, *, family: Literal["johnson_su", "johnson_sb", "johnson_sl"] | None = None
) -> Distribution:
    """Johnson's system by four percentiles at z = -3s, -s, s, 3s (Slifker and Shapiro), with the s that makes
    the transformed values most normal (largest Anderson-Darling p), over 0.25 .. 1.25.

    family  None: whichever of the three is most normal

    Raises FitImpossible where no s gives that family.
    """
    x = np.sort(numbers(values, method="johnson", needed=20, must_vary=True))
    best: tuple[float, Distribution] | None = None
    for s in np.arange(0.25, 1.2501, 0.01):
        found = _slifker_shapiro(x, float(s))
        if found is None or (family is not None and found.family != family):
            continue
        z = johnson_z(x, found)
        if not np.all(np.isfinite(z)) or np.ptp(z) == 0:
            continue
        p = normality(z).anderson_darling_p
        if best is None or p > best[0]:
            best = (p, found)
    if best is None:
        raise FitImpossible(
            f"johnson cannot be fitted: no percentiles of these values give {family or 'a Johnson curve'}.",
            action="Choose another family, or another distribution.",
            method="johnson",
            reason=str(family or "any"),
        )
    return best[1]


def johnson_z(values: ArrayLike, curve: Distribution) -> Floats:
    """Values in the normal scale of a Johnson curve; outside its support not finite."""
    x = np.asarray(values, np.float64)
    p = curve.parameters
    u = (x - p["xi"]) / p.get("lambda", 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        match curve.family:
            case "johnson_su":
                inner = np.arcsinh(u)
            case "johnson_sb":
                inner = np.log(u / (1 - u))
            case _:
                inner = np.log(u)
    z: Floats = p["gamma"] + p["delta"] * inner
    return z


def _slifker_shapiro(x: Floats, s: float) -> Distribution | None:
    """One attempt; x sorted. None where the percentiles fit none of the curves."""
    at = norm.cdf(np.array([-3 * s, -s, s, 3 * s])) * x.size + 0.5
    ranks = np.arange(1, x.size + 1)
    x1, x2, x3, x4 = np.interp(at, ranks, x)
    m, n, p = float(x4 - x3), float(x2 - x1), float(x3 - x2)
    if min(m, n, p) <= 0:
        return None
    ratio = m * n / p**2
    middle = (x2 + x3) / 2
    if ratio > 1.001:
        delta = 2 * s / np.arccosh((m / p + n / p) / 2)
        gamma = delta * np.arcsinh((n / p - m / p) / (2 * sqrt(ratio - 1)))
        scale = 2 * p * sqrt(ratio - 1) / ((m / p + n / p - 2) * sqrt(m / p + n / p + 2))
        xi = middle + p * (n / p - m / p) / (2 * (m / p + n / p - 2))
        family: Family = "johnson_su"
    elif ratio < 0.999:
        product = (1 + p / m) * (1 + p / n)
        if product <= 4:
            return None
        inverse = p**2 / (m * n)
        delta = s / np.arccosh(sqrt(product) / 2)
        gamma = delta * np.arcsinh((p / n - p / m) * sqrt(product - 4) / (2 * (inverse - 1)))
        scale = p * sqrt((product - 2) ** 2 - 4) / (inverse - 1)
        xi = middle - scale / 2 + p * (p / n - p / m) / (2 * (inverse - 1))
        family = "johnson_sb"
    else:
        if m / p <= 1:
            return None
        delta = 2 * s / log(m / p)
        gamma = delta * log((m / p - 1) / (p * sqrt(m / p)))
        scale = 1.0
        xi = middle - p / 2 * (m / p + 1) / (m / p - 1)
        family = "johnson_sl"
    return Distribution(
        family=family,
        parameters={"gamma": float(gamma), "delta": float(delta), "xi": float(xi), "lambda": float(scale)},
    )


def _gamma_parameters(x: Floats) -> dict[str, float]:
    """Solves ln(shape) - digamma(shape) = ln(mean) - mean of ln x =: gap.

    The left side lies between 1/(2 shape) and 1/shape, so that shape x gap is sought between 1/2 and 1.
    """
    mean = float(x.mean())
    gap = float(np.mean(_above_log(x, mean)))
    scaled = float(brentq(lambda a: _log_less_digamma(a / gap) / gap - 1, 0.4, 1.1, xtol=1e-15))
    return {"shape": scaled / gap, "scale": mean * gap / scaled}


def _gamma_log_likelihood(x: Floats, *, shape: float, scale: float) -> float:
    """About the mean: the plain density of a shape of 1e12 is a difference of numbers of 1e13."""
    if shape < LARGE_SHAPE:
        level = shape * log(shape) - shape - float(gammaln(shape))
    else:
        level = log(shape / (2 * pi)) / 2 - 1 / (12 * shape) + 1 / (360 * shape**3)
    return float(np.sum(level - np.log(x) - shape * _above_log(x, shape * scale)))


def _log_less_digamma(a: float) -> float:
    """ln a - digamma(a); from a = 50 on by its asymptotic series (Abramowitz and Stegun 6.3.18), 1e-16 off there."""
    if a < LARGE_SHAPE:
        return log(a) - float(digamma(a))
    return 1 / (2 * a) + 1 / (12 * a**2) - 1 / (120 * a**4) + 1 / (252 * a**6)


def _above_log(x: Floats, mean: float) -> Floats:
    """r - 1 - ln r of r = x/mean, x above 0; near r = 1 by its series, because there r - 1 and ln r are alike."""
    off = (x - mean) / mean
    is_near = np.abs(off) < 0.01
    small = np.where(is_near, off, 0.0)
    series = sum(((-small) ** power / power for power in range(3, 9)), small**2 / 2)
    above: Floats = np.where(is_near, series, off - np.log(x) + np.log(mean))
    return above


def _folded_parameters(x: Floats) -> dict[str, float]:
    def cost(parameters: Floats) -> float:
        mean, sigma = float(parameters[0]), float(np.exp(parameters[1]))
        return -float(np.sum(np.logaddexp(norm.logpdf(x, mean, sigma), norm.logpdf(x, -mean, sigma))))

    start = np.array([x.mean(), np.log(x.std())])
    found = minimize(
        cost, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000}
    )
    return {"mean": abs(float(found.x[0])), "sigma": float(np.exp(found.x[1]))}


def _anderson_darling_p(a: float) -> float:
    if a >= 0.6:
        return exp(1.2937 - 5.709 * a + 0.0186 * a**2) if a < 10 else 3.7e-24
    if a >= 0.34:
        return exp(0.9177 - 4.279 * a - 1.38 * a**2)
    if a >= 0.2:
        return 1 - exp(-8.318 + 42.796 * a - 59.938 * a**2)
    return 1 - exp(-13.436 + 101.14 * a - 223.73 * a**2)


def _cramer_von_mises_p(w: float) -> float:
    if w < 0.0275:
        return 1 - exp(-13.953 + 775.5 * w - 12542.61 * w**2)
    if w < 0.051:
        return 1 - exp(-5.903 + 179.546 * w - 1515.29 * w**2)
    if w < 0.092:
        return exp(0.886 - 31.62 * w + 10.897 * w**2)
    return exp(1.111 - 34.242 * w + 12.832 * w**2) if w < 1.1 else 7.37e-10


def _lilliefors_p(d: float, n: int) -> float:
    """Dallal and Wilkinson below 0.1; above it Stephens' polynomials of the modified statistic."""
    size, distance = (n, d) if n <= 100 else (100, d * (n / 100) ** 0.49)
    p = exp(
        -7.01256 * distance**2 * (size + 2.78019)
        + 2.99587 * distance * sqrt(size + 2.78019)
        - 0.122119
        + 0.974598 / sqrt(size)
        + 1.67997 / size
    )
    if p <= 0.1:
        return p
    k = (sqrt(n) - 0.01 + 0.85 / sqrt(n)) * d
    bounds: tuple[tuple[float, Callable[[float], float]], ...] = (
        (0.302, lambda _: 1.0),
        (0.5, lambda k: 2.76773 - 19.828315 * k + 80.709644 * k**2 - 138.55152 * k**3 + 81.218052 * k**4),
        (0.9, lambda k: -4.901232 + 40.662806 * k - 97.490286 * k**2 + 94.029866 * k**3 - 32.355711 * k**4),
        (1.31, lambda k: 6.198765 - 19.558097 * k + 23.186922 * k**2 - 12.234627 * k**3 + 2.423045 * k**4),
    )
    return next((formula(k) for limit, formula in bounds if k <= limit), 0.0)


def tail_share(confidence: float) -> float:
    """Either tail of a two-sided interval."""
    return (1 - share(confidence, parameter="confidence")) / 2
