"""Acceptance sampling: plans of ISO 2859-1 (GB/T 2828.1) and ANSI/ASQ Z1.4, their curves, and plans by design.

The master tables are generated from their structure: along a diagonal of code letter and AQL the acceptance
number is the same, and an arrow leads along the column to the next plan. The few cells that break the structure
are named. Sources: ISO 2859-1:1999 tables 1, 2-A, 2-B and clause 9.3; ANSI/ASQ Z1.4-2003 (reduced inspection, which
ISO has with other numbers, is Z1.4's here); D. C. Montgomery, Introduction to Statistical Quality Control, 8th ed.,
chapters 15 and 16; H. F. Dodge, Annals of Mathematical Statistics 14 (1943) 264-279 (CSP-1); A. Wald, Sequential
Analysis (1947).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, log, log1p, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import binom, hypergeom, nct, norm, poisson

from traceability.errors import NoSuchPlan
from traceability.spc.agreement import exact_share_interval
from traceability.spc.checks import numbers, positive, share, within

Floats = NDArray[np.float64]
Level = Literal["S-1", "S-2", "S-3", "S-4", "I", "II", "III"]
Severity = Literal["normal", "tightened", "reduced"]
Standard = Literal["iso2859", "z1.4"]
Distribution = Literal["binomial", "hypergeometric", "poisson"]

LETTERS = "ABCDEFGHJKLMNPQRS"
AQLS = (
    *(0.010, 0.015, 0.025, 0.040, 0.065, 0.10, 0.15, 0.25, 0.40, 0.65, 1.0, 1.5, 2.5),
    *(4.0, 6.5, 10.0, 15.0, 25.0, 40.0, 65.0, 100.0, 150.0, 250.0, 400.0, 650.0, 1000.0),
)
LEVELS: tuple[Level, ...] = ("S-1", "S-2", "S-3", "S-4", "I", "II", "III")

# Table 1: largest lot of each row, and the code letter by level in the order of LEVELS.
_LOTS = (8, 15, 25, 50, 90, 150, 280, 500, 1200, 3200, 10_000, 35_000, 150_000, 500_000)
_CODES = (
    "AAAAAAB", "AAAAABC", "AABBBCD", "ABBCCDE", "BBCCCEF", "BBCDDFG", "BCDEEGH", "BCDEFHJ",
    "CCEFGJK", "CDEGHKL", "CDFGJLM", "CDFHKMN", "DEGJLNP", "DEGJMPQ", "DEHKNQR",
)  # fmt: skip

_SIZES = (2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500, 800, 1250, 2000, 3150)
_REDUCED_SIZES = (2, 2, 2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500, 800)
_DOUBLE_SIZES = (0, 2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500, 800, 1250, 2000)
_DOUBLE_REDUCED_SIZES = (0, 0, 0, 2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500)

# Acceptance (and where it is not one more, rejection) numbers by diagonal: place of letter + place of AQL.
_NORMAL = {14: 0, 17: 1, 18: 2, 19: 3, 20: 5, 21: 7, 22: 10, 23: 14, 24: 21, 25: 30, 26: 44}
_TIGHTENED = {15: 0, 18: 1, 19: 2, 20: 3, 21: 5, 22: 8, 23: 12, 24: 18, 25: 27, 26: 41}
_REDUCED = {
    **{14: (0, 1), 17: (0, 2), 18: (1, 3), 19: (1, 4), 20: (2, 5), 21: (3, 6)},
    **{22: (5, 8), 23: (7, 10), 24: (10, 13), 25: (14, 17), 26: (21, 24)},
}
# Larger samples than that of letter E never take the last two acceptance numbers.
_LAST_DIAGONAL_FROM_F = 24

# Double plans by the acceptance number of the single plan they match: (Ac1, Re1, Ac2, Re2).
_DOUBLE: Mapping[Standard, Mapping[int, tuple[int, int, int, int]]] = {
    "z1.4": {
        1: (0, 2, 1, 2), 2: (0, 3, 3, 4), 3: (1, 4, 4, 5), 5: (2, 5, 6, 7), 7: (3, 7, 8, 9), 8: (3, 7, 11, 12),
        10: (5, 9, 12, 13), 12: (6, 10, 15, 16), 14: (7, 11, 18, 19), 18: (9, 14, 23, 24), 21: (11, 16, 26, 27),
        27: (15, 20, 34, 35), 30: (17, 22, 37, 38), 41: (23, 29, 52, 53), 44: (25, 31, 56, 57),
    },
    "iso2859": {
        1: (0, 2, 1, 2), 2: (0, 3, 3, 4), 3: (1, 3, 4, 5), 5: (2, 5, 6, 7), 7: (3, 6, 9, 10), 8: (4, 7, 10, 11),
        10: (5, 9, 12, 13), 12: (6, 10, 15, 16), 14: (7, 11, 18, 19), 18: (9, 14, 23, 24), 21: (11, 16, 26, 27),
        27: (15, 20, 34, 35), 30: (17, 22, 37, 38), 41: (23, 29, 52, 53), 44: (25, 31, 56, 57),
    },
}  # fmt: skip

LEAST_SHARE = 1e-9
"""One in 10^9: below it the runs and samples that are asked for are longer than what a plant makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinglePlan:
    """n units, accepted with at most `accept` nonconforming, refused from `reject` on.

    letter        code letter of the lot; `plan_letter` that of the plan, another where an arrow led there
    is_screening  the sample is the whole lot
    """

    letter: str
    plan_letter: str
    n: int
    accept: int
    reject: int
    is_screening: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DoublePlan:
    """Two samples of n; the second is drawn where the first lies between accept_1 and reject_1.

    `single` is to be used where the standard has no double plan (acceptance number 0).
    """

    letter: str
    n: int
    accept_1: int
    reject_1: int
    accept_2: int
    reject_2: int
    single: SinglePlan | None


def code_letter(lot: int, *, level: Level = "II") -> str:
    """Sample-size code letter of a lot (table 1)."""
    within(lot, parameter="lot", allowed=">= 2", is_allowed=lot >= 2)
    within(len(level), parameter="level", allowed=", ".join(LEVELS), is_allowed=level in LEVELS)
    return _CODES[bisect_left(_LOTS, lot)][LEVELS.index(level)]


def single_plan(lot: int, *, aql: float, level: Level = "II", severity: Severity = "normal") -> SinglePlan:
    """The single plan for a lot, arrows followed.

    Raises ParameterOutOfRange for an AQL the standard does not have, NoSuchPlan where a table has no plan.
    """
    letter = code_letter(lot, level=level)
    place, accept, reject = _cell(LETTERS.index(letter), _column(aql), severity)
    n = (_REDUCED_SIZES if severity == "reduced" else _SIZES)[place]
    return SinglePlan(
        letter=letter,
        plan_letter=LETTERS[place],
        n=min(n, lot),
        accept=accept,
        reject=reject,
        is_screening=n >= lot,
    )


def plan_by_letter(letter: str, *, aql: float, severity: Severity = "normal") -> tuple[int, int, int]:
    """(n, accept, reject) of a code letter, arrows followed."""
    within(ord(letter[:1] or " "), parameter="letter", allowed="A..R", is_allowed=letter in LETTERS[:-1])
    place, accept, reject = _cell(LETTERS.index(letter), _column(aql), severity)
    return (_REDUCED_SIZES if severity == "reduced" else _SIZES)[place], accept, reject


def double_plan(
    lot: int,
    *,
    aql: float,
    level: Level = "II",
    severity: Literal["normal", "tightened"] = "normal",
    standard: Standard = "iso2859",
) -> DoublePlan:
    """The double plan that matches the single one."""
    letter = code_letter(lot, level=level)
    place, accept, _ = _cell(LETTERS.index(letter), _column(aql), severity)
    if accept == 0 or _DOUBLE_SIZES[place] == 0:
        one = single_plan(lot, aql=aql, level=level, severity=severity)
        return DoublePlan(
            letter=letter,
            n=one.n,
            accept_1=one.accept,
            reject_1=one.reject,
            accept_2=one.accept,
            reject_2=one.reject,
            single=one,
        )
    numbers_of = _DOUBLE[standard][accept]
    return DoublePlan(
        letter=letter,
        n=_DOUBLE_SIZES[place],
        accept_1=numbers_of[0],
        reject_1=numbers_of[1],
        accept_2=numbers_of[2],
        reject_2=numbers_of[3],
        single=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LotResult:
    """One lot under the switching rules: the severity used for it, and the switching score after it (None
    outside normal inspection or where it was just left)."""

    severity: Severity
    is_accepted: bool
    score: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Switching:
    """reduced_from  1-based lot after which reduced inspection is permitted; None never
    discontinued_at  1-based lot after which acceptance is to stop (five not accepted under tightened)"""

    lots: tuple[LotResult, ...]
    reduced_from: int | None
    discontinued_at: int | None
    next_severity: Severity
    score: int


def switching(
    nonconforming: ArrayLike,
    *,
    accept_normal: int,
    accept_tightened: int,
    accept_tighter_aql: int | None = None,
    accept_reduced: int | None = None,
    takes_reduced: bool = False,
    begins: Severity = "normal",
) -> Switching:
    """The scheme of ISO 2859-1, 9.3, lot by lot, for one size of lot.

    accept_tighter_aql  acceptance number under the next tighter AQL; for acceptance numbers from 2 on the score
                        gains 3 where the lot passes that too, else falls to 0. Below 2 it gains 2 by acceptance
    takes_reduced       reduced inspection is begun where permitted; it ends with a lot that is not accepted
    """
    found = numbers(nonconforming, method="switching")
    severity = begins
    score, row, failed = 0, 0, 0
    recent: list[bool] = []
    lots: list[LotResult] = []
    permitted = stopped = None
    for number, bad in enumerate(found, start=1):
        limit = {"normal": accept_normal, "tightened": accept_tightened, "reduced": accept_reduced or 0}[
            severity
        ]
        is_accepted = bool(bad <= limit)
        used = severity
        shown: int | None = None
        if severity == "normal":
            if accept_normal >= 2:
                score = score + 3 if accept_tighter_aql is not None and bad <= accept_tighter_aql else 0
            else:
                score = score + 2 if is_accepted else 0
            recent = [*recent[-4:], is_accepted]
            shown = score
            if recent.count(False) >= 2:
                severity, recent, row, failed, score, shown = "tightened", [], 0, 0, 0, None
            elif score >= 30:
                permitted = permitted or number
                if takes_reduced:
                    severity = "reduced"
        elif severity == "tightened":
            row = row + 1 if is_accepted else 0
            failed += not is_accepted
            if row >= 5:
                severity, recent, score = "normal", [], 0
            elif failed >= 5:
                stopped = stopped or number
        elif not is_accepted:
            severity, recent, score = "normal", [], 0
        lots.append(LotResult(severity=used, is_accepted=is_accepted, score=shown))
    return Switching(
        lots=tuple(lots), reduced_from=permitted, discontinued_at=stopped, next_severity=severity, score=score
    )


def acceptance(
    p: ArrayLike, *, n: int, c: int, distribution: Distribution = "binomial", lot: int | None = None
) -> Floats:
    """Operating characteristic: chance of acceptance at each share nonconforming (or defects per unit, Poisson).

    Hypergeometric: lot · p is rounded to whole units.
    """
    shares = numbers(p, method="oc")
    within(n, parameter="n", allowed=">= 1", is_allowed=n >= 1)
    within(c, parameter="c", allowed=f"0..{n}", is_allowed=0 <= c <= n)
    if distribution == "poisson":
        result: Floats = np.asarray(poisson.cdf(c, n * shares), np.float64)
        return result
    within(
        float(shares.max()),
        parameter="p",
        allowed="0..1",
        is_allowed=bool(np.all((shares >= 0) & (shares <= 1))),
    )
    if distribution == "hypergeometric":
        size = within(lot or 0, parameter="lot", allowed=">= n", is_allowed=lot is not None and lot >= n)
        return np.asarray(hypergeom.cdf(c, int(size), np.round(shares * size), n), np.float64)
    return np.asarray(binom.cdf(c, n, shares), np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rectifying:
    """Refused lots are screened and bad units replaced. aoq: outgoing share; ati: units looked at per lot.

    aoql, at_p  the worst outgoing share, and the incoming one it is at
    """

    pa: Floats
    aoq: Floats
    ati: Floats
    aoql: float
    at_p: float


def rectifying(p: ArrayLike, *, n: int, c: int, lot: int) -> Rectifying:
    """AOQ = Pa p (N - n)/N, ATI = n + (1 - Pa)(N - n), by the binomial distribution."""
    within(lot, parameter="lot", allowed=">= n", is_allowed=lot >= n)
    shares = numbers(p, method="rectifying")
    pa = acceptance(shares, n=n, c=c)

    def cost(at: float) -> float:
        return -at * float(binom.cdf(c, n, at)) * (lot - n) / lot

    grid = np.linspace(0, min(5 * (c + 1) / n, 1), 400)
    start = int(np.argmin([cost(float(each)) for each in grid]))
    found = minimize_scalar(
        cost,
        bounds=(float(grid[max(start - 1, 0)]), float(grid[min(start + 1, 399)])),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return Rectifying(
        pa=pa,
        aoq=pa * shares * (lot - n) / lot,
        ati=n + (1 - pa) * (lot - n),
        aoql=-float(found.fun),
        at_p=float(found.x),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DoubleCurve:
    """Chance of acceptance, on the first sample and in all, and mean sample number (no curtailment)."""

    pa: Floats
    pa_first: Floats
    asn: Floats


def double_acceptance(p: ArrayLike, *, n1: int, c1: int, r1: int, n2: int, c2: int) -> DoubleCurve:
    """Operating characteristic of a double plan, by the binomial distribution."""
    shares = numbers(p, method="oc_double")
    within(r1, parameter="r1", allowed="> c1", is_allowed=r1 > c1)
    first = np.asarray(binom.cdf(c1, n1, shares), np.float64)
    second = np.zeros_like(first)
    open_share = np.zeros_like(first)
    for d in range(c1 + 1, r1):
        at = binom.pmf(d, n1, shares)
        open_share += at
        if d <= c2:
            second += at * binom.cdf(c2 - d, n2, shares)
    return DoubleCurve(pa=first + second, pa_first=first, asn=n1 + n2 * open_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignedPlan:
    """The smallest plan with these risks, and the risks it has."""

    n: int
    c: int
    producer_risk: float
    consumer_risk: float


def design_plan(
    *,
    aql: float,
    alpha: float,
    ltpd: float,
    beta: float,
    distribution: Distribution = "binomial",
    lot: int | None = None,
) -> DesignedPlan:
    """Accept lots at the AQL with at least 1 - alpha, lots at the LTPD with at most beta.

    Raises NoSuchPlan where no sample up to the lot (or 100 000) does.
    """
    share(alpha, parameter="alpha")
    share(beta, parameter="beta")
    within(ltpd, parameter="ltpd", allowed="aql < ltpd <= 1", is_allowed=0 < aql < ltpd <= 1)
    largest = lot or 100_000
    c = 0
    n = 1
    while n <= largest:
        consumer = float(acceptance(ltpd, n=n, c=min(c, n), distribution=distribution, lot=lot)[0])
        if consumer > beta:
            n += 1
            continue
        producer = 1 - float(acceptance(aql, n=n, c=min(c, n), distribution=distribution, lot=lot)[0])
        if producer <= alpha:
            return DesignedPlan(n=n, c=c, producer_risk=producer, consumer_risk=consumer)
        c += 1
    asked = f"AQL {aql}, alpha {alpha}, LTPD {ltpd}, beta {beta}"
    raise NoSuchPlan(f"There is no sampling plan for {asked}.", action="Widen the risks.", asked=asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariablesPlan:
    """Accept where (limit - mean)/s >= k, one limit."""

    n: int
    k: float
    producer_risk: float
    consumer_risk: float


def design_variables_plan(
    *, aql: float, alpha: float, ltpd: float, beta: float, is_sigma_known: bool = False
) -> VariablesPlan:
    """The smallest variables plan with these risks, one-sided; exact (non-central t) where sigma is not known.

    Of the k that keep both risks, the one that uses up the producer's.
    """
    within(ltpd, parameter="ltpd", allowed="aql < ltpd < 1", is_allowed=0 < aql < ltpd < 1)
    z_good, z_bad = float(norm.isf(aql)), float(norm.isf(ltpd))
    if is_sigma_known:
        z_alpha, z_beta = float(norm.isf(alpha)), float(norm.isf(beta))
        n = ceil(((z_alpha + z_beta) / (z_good - z_bad)) ** 2)
        k = (z_good * z_beta + z_bad * z_alpha) / (z_alpha + z_beta)
        return VariablesPlan(
            n=n,
            k=k,
            producer_risk=float(norm.cdf((k - z_good) * sqrt(n))),
            consumer_risk=float(norm.sf((k - z_bad) * sqrt(n))),
        )
    for n in range(2, 20_000):
        root = sqrt(n)
        k = float(nct.ppf(alpha, n - 1, z_good * root)) / root
        consumer = float(nct.sf(k * root, n - 1, z_bad * root))
        if consumer <= beta:
            return VariablesPlan(n=n, k=k, producer_risk=alpha, consumer_risk=consumer)
    asked = f"AQL {aql}, alpha {alpha}, LTPD {ltpd}, beta {beta}"
    raise NoSuchPlan(f"There is no sampling plan for {asked}.", action="Widen the risks.", asked=asked)


def zero_acceptance_n(*, p: float, confidence: float = 0.95, lot: int | None = None) -> int:
    """c = 0: the least sample that, if it is all good, shows a share below p with this confidence.

    With a lot it is exact (hypergeometric, floor(lot p) nonconforming units, at least one). Raises ParameterOutOfRange,
    too, for a p below LEAST_SHARE.
    """
    _some_share(p, parameter="p")
    share(confidence, parameter="confidence")
    if lot is None:
        return ceil(log1p(-confidence) / log1p(-p) - 1e-12)
    bad = max(floor(lot * p + 1e-9), 1)
    low, high = 1, lot
    while low < high:
        middle = (low + high) // 2
        if float(hypergeom.pmf(0, lot, bad, middle)) <= 1 - confidence:
            high = middle
        else:
            low = middle + 1
    return low


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialPlan:
    """Wald's test of p1 against p2: after n units accept at or below slope n - accept, refuse at or above
    slope n + reject nonconforming ones."""

    accept: float
    reject: float
    slope: float


def sequential_plan(*, p1: float, alpha: float, p2: float, beta: float) -> SequentialPlan:
    """Item by item. Source: Montgomery, 16.3."""
    within(p2, parameter="p2", allowed="p1 < p2 < 1", is_allowed=0 < p1 < p2 < 1)
    k = log(p2 * (1 - p1) / (p1 * (1 - p2)))
    return SequentialPlan(
        accept=log((1 - alpha) / beta) / k,
        reject=log((1 - beta) / alpha) / k,
        slope=log((1 - p1) / (1 - p2)) / k,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContinuousPlan:
    """CSP-1 at each share nonconforming.

    u, v  mean units passed in a spell of full inspection, and of sampling
    afi   share inspected in the long run; pa share passed under sampling; aoq outgoing share
    """

    u: Floats
    v: Floats
    afi: Floats
    pa: Floats
    aoq: Floats
    aoql: float


def csp1(p: ArrayLike, *, clearance: int, fraction: float) -> ContinuousPlan:
    """Inspect all until `clearance` in a row are good, then a fraction, until one is bad (Dodge)."""
    within(clearance, parameter="clearance", allowed=">= 1", is_allowed=clearance >= 1)
    _some_share(fraction, parameter="fraction")
    shares = numbers(p, method="csp1")
    _some_share(float(shares.min()), parameter="p")
    _some_share(float(shares.max()), parameter="p")

    def outgoing(at: Floats) -> tuple[Floats, Floats, Floats]:
        # Through logarithms: for large p the good run of `clearance` is rarer than the smallest number.
        u = np.expm1(np.minimum(-clearance * np.log1p(-at), 600)) / at
        v = 1 / (fraction * at)
        return u, v, (u + fraction * v) / (u + v)

    u, v, afi = outgoing(shares)
    grid = np.linspace(1e-6, min(20 / clearance, 0.999), 4000)
    aoq = grid * (1 - outgoing(grid)[2])
    at = int(np.argmax(aoq))
    found = minimize_scalar(
        lambda each: -float(each * (1 - outgoing(np.array([each]))[2][0])),
        bounds=(float(grid[max(at - 1, 0)]), float(grid[min(at + 1, len(grid) - 1)])),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return ContinuousPlan(u=u, v=v, afi=afi, pa=v / (u + v), aoq=shares * (1 - afi), aoql=-float(found.fun))


@dataclass(frozen=True, slots=True, kw_only=True)
class EscapeAudit:
    """What an audit of passed parts says: escapes per million passed, with an exact interval."""

    audited: int
    escapes: int
    per_million: float
    interval: tuple[float, float]
    upper: float


def audit_of_passed(*, audited: int, escapes: int, confidence: float = 0.95) -> EscapeAudit:
    """`upper` is the one-sided bound: after n good ones, about 3/n at 95 %."""
    low, high = exact_share_interval(escapes, audited, confidence=confidence)
    upper = (
        exact_share_interval(escapes, audited, confidence=2 * confidence - 1)[1] if confidence > 0.5 else 1.0
    )
    return EscapeAudit(
        audited=audited,
        escapes=escapes,
        per_million=1e6 * escapes / audited,
        interval=(1e6 * low, 1e6 * high),
        upper=1e6 * upper,
    )


def _some_share(value: float, *, parameter: str) -> None:
    within(value, parameter=parameter, allowed=f"{LEAST_SHARE:g} … < 1", is_allowed=LEAST_SHARE <= value < 1)


def _column(aql: float) -> int:
    near = [place for place, known in enumerate(AQLS) if abs(known - aql) < 1e-9]
    within(aql, parameter="aql", allowed=", ".join(f"{known:g}" for known in AQLS), is_allowed=bool(near))
    return near[0]


def _cell(letter: int, column: int, severity: Severity) -> tuple[int, int, int]:
    """Place of the plan's letter, acceptance and rejection number, arrows followed."""
    known = _TIGHTENED if severity == "tightened" else _REDUCED if severity == "reduced" else _NORMAL
    lowest = 1 if severity == "tightened" else 0
    last = len(_REDUCED_SIZES) - 1 if severity == "reduced" else 16 if severity == "tightened" else 15

    def plan(at: int) -> tuple[int, int] | None:
        diagonal = at + column
        is_zero = diagonal == min(known)
        # Letter A has no plan with acceptance number 0 under tightened inspection.
        if at < (lowest if is_zero else 0) or at > last:
            return None
        if at >= 5 and diagonal > _LAST_DIAGONAL_FROM_F:
            return None
        # Letter S is there for one plan only, tightened and with acceptance number 1.
        if at == 16 and diagonal != 18:
            return None
        found = known.get(diagonal)
        return (found, found + 1) if isinstance(found, int) else found

    if severity == "reduced" and letter < 2 and letter + column >= 17:
        asked = f"{LETTERS[letter]}, AQL {AQLS[column]:g}, reduced"
        raise NoSuchPlan(
            f"There is no sampling plan for {asked}.", action="Use normal inspection.", asked=asked
        )
    diagonal = letter + column
    zero = min(known)
    # The arrow between acceptance numbers 0 and 1 that leads up; tightened inspection has only such that lead down.
    is_up = diagonal > max(known) or (letter >= 5 and diagonal > _LAST_DIAGONAL_FROM_F)
    is_up |= severity != "tightened" and diagonal == zero + 1
    for steps in (-1, 1) if is_up else (1, -1):
        at = letter
        while 0 <= at <= last:
            found = plan(at)
            if found is not None:
                return at, found[0], found[1]
            at += steps
    asked = f"{LETTERS[letter]}, AQL {AQLS[column]:g}, {severity}"
    raise NoSuchPlan(f"There is no sampling plan for {asked}.", action="Choose another AQL.", asked=asked)


def oc_points(*, n: int, c: int, points: int = 101) -> tuple[Floats, Floats]:
    """Shares and chances of acceptance for drawing, from 0 to where acceptance is rare."""
    positive(points, parameter="points")
    p = np.linspace(0, min(1.0, 3 * (c + 2) / n), points)
    return p, acceptance(p, n=n, c=c)
