"""Several characteristics on one chart: Hotelling's T² and the MEWMA.

Characteristics that move together may each look fine while their combination does not. Limits differ by phase:
in the analysis phase points and limits come from the same data, which makes the limit of single observations a
beta quantile. Sources: D. C. Montgomery, Introduction to Statistical Quality Control, 8th ed., chapter 11;
N. D. Tracy, J. C. Young and R. L. Mason, J. Quality Technology 24 (1992) 88-95; C. A. Lowry et al.,
Technometrics 34 (1992) 46-53 (MEWMA).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, chi2, f

from traceability.errors import FitImpossible, SubgroupSizesDiffer
from traceability.spc.checks import enough, numbers, positive, share, within

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Established:
    """Mean vector (p,) and covariance (p, p), from `samples` observations or subgroups of `size`."""

    mean: Floats
    covariance: Floats
    samples: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class T2Chart:
    """T² per point, shape (n,), with one upper limit.

    prediction_limit  the limit for observations to come
    contribution      shape (n, p): how much of T² is gone when this variable is left out
    beyond            0-based
    """

    value: Floats
    upper: float
    prediction_limit: float
    contribution: Floats
    established: Established
    method: str

    @property
    def beyond(self) -> tuple[int, ...]:
        return tuple(int(index) for index in np.flatnonzero(self.value > self.upper))


def t2_individuals(
    values: ArrayLike,
    *,
    confidence: float = 0.9973,
    established: Established | None = None,
    covariance: Literal["sample", "successive"] = "sample",
) -> T2Chart:
    """T² of single observations, shape (n, p).

    established  None: analysis phase, beta limit. Otherwise the control phase, F limit of a new observation
    covariance   sample, or from successive differences (Holmes and Mergen), which a slow drift does not inflate
    """
    share(confidence, parameter="confidence")
    x = _matrix(values, method="t2_individuals")
    p = x.shape[1]
    known = established
    if known is None:
        enough(x.shape[0], method="t2_individuals", needed=p + 2)
        if covariance == "successive":
            steps = np.diff(x, axis=0)
            spread = steps.T @ steps / (2 * len(steps))
        else:
            spread = _covariance(x)
        known = Established(mean=x.mean(axis=0), covariance=spread, samples=x.shape[0], size=1)
    m = known.samples
    prediction = p * (m + 1) * (m - 1) / (m * (m - p)) * float(f.ppf(confidence, p, m - p))
    upper = (m - 1) ** 2 / m * float(beta.ppf(confidence, p / 2, (m - p - 1) / 2))
    return _t2(
        x - known.mean,
        known,
        upper=upper if established is None else prediction,
        prediction=prediction,
        method="beta" if established is None else "f",
    )


def t2_subgroups(
    values: Sequence[ArrayLike], *, confidence: float = 0.9973, established: Established | None = None
) -> T2Chart:
    """T² of means of subgroups, shape (m, n, p): m subgroups of n observations of p variables.

    Raises SubgroupSizesDiffer where the subgroups are not of one size.
    """
    share(confidence, parameter="confidence")
    groups = [_matrix(group, method="t2_subgroups") for group in values]
    enough(len(groups), method="t2_subgroups", needed=1 if established is not None else 2)
    if len({group.shape for group in groups}) > 1:
        sizes = ", ".join(str(size) for size in sorted({group.shape[0] for group in groups}))
        raise SubgroupSizesDiffer(
            f"t2_subgroups wants subgroups of one size; the sizes here are {sizes}.",
            action="Form equal subgroups.",
            method="t2_subgroups",
            sizes=sizes,
        )
    x = np.array(groups)
    n, p = x.shape[1:]
    known = established
    if known is None:
        enough(n, method="t2_subgroups", needed=2)
        within_groups = np.mean([_covariance(group) for group in x], axis=0)
        known = Established(mean=x.mean(axis=(0, 1)), covariance=within_groups, samples=len(x), size=n)
    m = known.samples
    degrees = m * known.size - m - p + 1
    quantile = float(f.ppf(confidence, p, degrees))
    prediction = p * (m + 1) * (known.size - 1) / degrees * quantile
    upper = p * (m - 1) * (known.size - 1) / degrees * quantile
    return _t2(
        (x.mean(axis=1) - known.mean) * np.sqrt(n),
        known,
        upper=upper if established is None else prediction,
        prediction=prediction,
        method="f",
    )


def chi_square_limit(*, variables: int, confidence: float = 0.9973) -> float:
    """The limit of T² where mean and covariance are known."""
    return float(chi2.ppf(confidence, variables))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MewmaChart:
    """`value` T² of the weighted vectors `z`, shapes (n,) and (n, p), against one limit."""

    value: Floats
    z: Floats
    upper: float

    @property
    def beyond(self) -> tuple[int, ...]:
        return tuple(int(index) for index in np.flatnonzero(self.value > self.upper))


def mewma_chart(
    values: ArrayLike,
    *,
    weight: float,
    mean: ArrayLike,
    covariance: ArrayLike,
    h: float,
    limits: Literal["exact", "asymptotic"] = "exact",
) -> MewmaChart:
    """MEWMA of observations or means, shape (n, p), with mean and covariance established before.

    h       limit of T²; `run_length.mewma_h` gives the one for a wanted ARL0
    limits  exact: covariance of each point's own age; asymptotic: of a chart that ran forever
    """
    x = _matrix(values, method="mewma")
    within(weight, parameter="weight", allowed="0 < … <= 1", is_allowed=0 < weight <= 1)
    positive(h, parameter="h")
    off = x - np.asarray(mean, np.float64)
    inverse = _inverse(np.asarray(covariance, np.float64), method="mewma")
    z = np.empty_like(off)
    before = np.zeros(off.shape[1])
    for index, each in enumerate(off):
        before = weight * each + (1 - weight) * before
        z[index] = before
    age = np.arange(1, len(x) + 1)
    shrink = weight / (2 - weight)
    scale = shrink * (1 - (1 - weight) ** (2 * age)) if limits == "exact" else np.full(len(x), shrink)
    return MewmaChart(value=np.einsum("ij,jk,ik->i", z, inverse, z) / scale, z=z, upper=h)


def _t2(off: Floats, known: Established, *, upper: float, prediction: float, method: str) -> T2Chart:
    inverse = _inverse(known.covariance, method="t2")
    value = np.einsum("ij,jk,ik->i", off, inverse, off)
    contribution = (off @ inverse) ** 2 / np.diag(inverse)
    return T2Chart(
        value=value,
        upper=upper,
        prediction_limit=prediction,
        contribution=contribution,
        established=known,
        method=method,
    )


def _covariance(x: Floats) -> Floats:
    """Of observations in rows, shape (p, p). From the first on, so that what does not vary has no variance at all."""
    p = x.shape[1]
    return np.asarray(np.cov(x - x[0], rowvar=False), np.float64).reshape(p, p)


def _inverse(covariance: Floats, *, method: str) -> Floats:
    """Raises FitImpossible where the variables depend on each other, or one does not vary.

    Judged by their correlations: a thickness in metres beside a force in newtons is no dependence.
    """
    covariance = np.atleast_2d(covariance)
    variances = np.diag(covariance)
    is_regular = bool(np.all(variances > 0))
    if is_regular:
        scale = np.sqrt(variances)
        correlation = covariance / scale[:, None] / scale
        is_regular = bool(np.linalg.matrix_rank(correlation, hermitian=True) == len(correlation))
    if not is_regular:
        raise FitImpossible(
            f"{method} cannot be fitted: the covariance matrix is singular.",
            action="Leave out a variable that does not vary or follows from the others.",
            method=method,
            reason="singular covariance",
        )
    inverse: Floats = np.asarray(np.linalg.inv(correlation), np.float64) / scale[:, None] / scale
    return inverse


def _matrix(values: ArrayLike, *, method: str) -> Floats:
    array = np.array(values, np.float64)
    numbers(array, method=method)
    return array.reshape(-1, 1) if array.ndim < 2 else array
