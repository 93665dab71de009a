"""Attribute measurement systems: do inspectors, human or machine, agree with each other and with the truth?

Kappa alone fails a good gauge where defects are rare (Gwet's table 118/5/2/0: kappa -0.02 at 94 % agreement), so
that AC1 and the rates by class stand beside it. Sources: AIAG MSA, 4th ed., chapter III-C; J. Cohen (1960, 1968);
J. L. Fleiss, Psychological Bulletin 76 (1971) 378-382; K. L. Gwet, British J. of Mathematical and Statistical
Psychology 61 (2008) 29-48; A. H. Bowker, J. American Statistical Association 43 (1948) 572-574; ISO 22514-7.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, binom, chi2, norm

from traceability.errors import StudyIncomplete
from traceability.spc.checks import enough, numbers, share, within

Floats = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kappa:
    """Agreement beyond chance, with the standard error of the estimate and the one under no agreement (for z, p)."""

    kappa: float
    agreement: float
    expected: float
    standard_error: float
    z: float
    p: float

    def interval(self, confidence: float = 0.95) -> Interval:
        off = float(norm.isf((1 - confidence) / 2)) * self.standard_error
        return self.kappa - off, self.kappa + off


def cohen_kappa(table: ArrayLike, *, weights: Literal["none", "linear", "quadratic"] = "none") -> Kappa:
    """Two raters, square table of counts (Cohen; weighted: Fleiss, Cohen and Everitt 1969)."""
    n = _square(table, method="cohen_kappa")
    total = n.sum()
    p = n / total
    k = len(p)
    place = np.arange(k)
    gap = np.abs(place[:, None] - place[None, :]) / max(k - 1, 1)
    weight = {"none": np.eye(k), "linear": 1 - gap, "quadratic": 1 - gap**2}[weights]
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed = float(np.sum(weight * p))
    chance = float(np.sum(weight * np.outer(rows, columns)))
    if chance >= 1:
        return Kappa(
            kappa=float("nan"),
            agreement=observed,
            expected=chance,
            standard_error=float("nan"),
            z=float("nan"),
            p=float("nan"),
        )
    kappa = (observed - chance) / (1 - chance)
    by_row, by_column = weight @ columns, rows @ weight
    mean = by_row[:, None] + by_column[None, :]
    spread = float(np.sum(p * (weight - mean * (1 - kappa)) ** 2)) - (kappa - chance * (1 - kappa)) ** 2
    null = float(np.sum(np.outer(rows, columns) * (weight - mean) ** 2)) - chance**2
    error_null = sqrt(max(null, 0) / total) / (1 - chance)
    z = kappa / error_null if error_null > 0 else float("nan")
    return Kappa(
        kappa=kappa,
        agreement=observed,
        expected=chance,
        standard_error=sqrt(max(spread, 0) / total) / (1 - chance),
        z=z,
        p=float(2 * norm.sf(abs(z))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FleissKappa:
    """Several raters. `by_category`: kappa, z and p of each category against all others."""

    kappa: float
    z: float
    p: float
    standard_error: float
    agreement: float
    by_category: tuple[tuple[float, float, float], ...]


def fleiss_kappa(counts: ArrayLike) -> FleissKappa:
    """counts[subject][category]: how many raters chose it; every subject by the same number of raters.

    Raises StudyIncomplete where a subject was rated by another number.
    """
    x = np.atleast_2d(np.asarray(counts, np.float64))
    numbers(x, method="fleiss_kappa")
    subjects = len(x)
    raters = x.sum(axis=1)
    if np.ptp(raters) > 0 or raters[0] < 2:
        wrong = int(np.argmax(raters != raters[0]))
        raise _incomplete("fleiss_kappa", str(wrong + 1), int(raters[wrong]), max(int(raters[0]), 2))
    m = float(raters[0])
    share_of = x.sum(axis=0) / (subjects * m)
    q = 1 - share_of
    agreed = float(np.sum(x * (x - 1)) / (subjects * m * (m - 1)))
    chance = float(share_of @ share_of)
    pq = float(share_of @ q)
    kappa = (agreed - chance) / (1 - chance) if chance < 1 else float("nan")
    if pq > 0:
        spread = pq**2 - float(np.sum(share_of * q * (q - share_of)))
        error = sqrt(2) / (pq * sqrt(subjects * m * (m - 1))) * sqrt(max(spread, 0))
    else:
        error = float("nan")
    error_one = sqrt(2 / (subjects * m * (m - 1)))
    categories = []
    for column, p, not_p in zip(x.T, share_of, q, strict=True):
        if p * not_p == 0:
            categories.append((float("nan"),) * 3)
            continue
        one = 1 - float(np.sum(column * (m - column))) / (subjects * m * (m - 1) * p * not_p)
        categories.append((float(one), float(one) / error_one, float(2 * norm.sf(abs(one) / error_one))))
    z = kappa / error if error > 0 else float("nan")
    return FleissKappa(
        kappa=kappa,
        z=z,
        p=float(2 * norm.sf(abs(z))),
        standard_error=error,
        agreement=agreed,
        by_category=tuple((c[0], c[1], c[2]) for c in categories),
    )


def light_kappa(ratings: Sequence[Sequence[Hashable]]) -> float:
    """Mean of Cohen's kappa over all pairs of raters; ratings[subject][rater]."""
    columns = list(zip(*ratings, strict=True))
    return float(np.mean([cohen_kappa(cross_table(a, b)).kappa for a, b in combinations(columns, 2)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gwet:
    """ac1: agreement beyond chance that does not collapse where one class is rare; pabak: 2 agreement - 1 for two."""

    agreement: float
    kappa: float
    ac1: float
    pabak: float
    standard_error: float


def gwet_ac1(table: ArrayLike) -> Gwet:
    """Two raters, square table of counts."""
    n = _square(table, method="gwet_ac1")
    total, k = n.sum(), len(n)
    p = n / total
    agreed = float(np.trace(p))
    share_of = (p.sum(axis=0) + p.sum(axis=1)) / 2
    chance = float(np.sum(share_of * (1 - share_of)) / (k - 1))
    ac1 = (agreed - chance) / (1 - chance)
    mean = (share_of[:, None] + share_of[None, :]) / 2
    spread = (
        agreed * (1 - agreed)
        - 4 * (1 - ac1) * (float(np.sum(np.diag(p) * (1 - share_of))) / (k - 1) - agreed * chance)
        + 4 * (1 - ac1) ** 2 * (float(np.sum(p * (1 - mean) ** 2)) / (k - 1) ** 2 - chance**2)
    )
    return Gwet(
        agreement=agreed,
        kappa=cohen_kappa(n).kappa,
        ac1=ac1,
        pabak=(k * agreed - 1) / (k - 1),
        standard_error=sqrt(max(spread, 0) / total) / (1 - chance),
    )


def gwet_ac1_raters(counts: ArrayLike) -> float:
    """AC1 of several raters; counts[subject][category]."""
    x = np.atleast_2d(np.asarray(counts, np.float64))
    raters = x.sum(axis=1)
    agreed = float(np.mean(np.sum(x * (x - 1), axis=1) / (raters * (raters - 1))))
    share_of = np.mean(x / raters[:, None], axis=0)
    chance = float(np.sum(share_of * (1 - share_of)) / (x.shape[1] - 1))
    return (agreed - chance) / (1 - chance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Symmetry:
    """Bowker's test: is one inspector stricter than the other?"""

    chi2: float
    degrees: int
    p: float
    critical: float

    @property
    def is_symmetric(self) -> bool:
        return self.chi2 <= self.critical


def bowker(table: ArrayLike, *, alpha: float = 0.05) -> Symmetry:
    """Cells below the diagonal against their mirror images; pairs of zeros count no degree of freedom."""
    n = _square(table, method="bowker")
    pairs = [(n[i, j], n[j, i]) for i, j in combinations(range(len(n)), 2)]
    filled = [(a, b) for a, b in pairs if a + b > 0]
    statistic = float(sum((a - b) ** 2 / (a + b) for a, b in filled))
    degrees = max(len(filled), 1)
    return Symmetry(
        chi2=statistic,
        degrees=degrees,
        p=float(chi2.sf(statistic, degrees)),
        critical=float(chi2.isf(alpha, degrees)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Two model versions on the same parts: of those on which they differ, is one more often right?"""

    only_first: int
    only_second: int
    chi2: float
    chi2_corrected: float
    p: float
    p_corrected: float
    p_exact: float
    difference: float
    interval: Interval
    odds_ratio: float


def mcnemar(table: ArrayLike, *, confidence: float = 0.95) -> McNemar:
    """table [[both right, only first right], [only second right, both wrong]]."""
    n = _square(table, method="mcnemar")
    within(len(n), parameter="table", allowed="2 x 2", is_allowed=len(n) == 2)
    b, c, total = float(n[0, 1]), float(n[1, 0]), float(n.sum())
    differing = b + c
    plain = (b - c) ** 2 / differing if differing else 0.0
    corrected = max(abs(b - c) - 1, 0) ** 2 / differing if differing else 0.0
    difference = (b - c) / total
    off = float(norm.isf((1 - confidence) / 2)) * sqrt(max(differing - (b - c) ** 2 / total, 0)) / total
    return McNemar(
        only_first=int(b),
        only_second=int(c),
        chi2=plain,
        chi2_corrected=corrected,
        p=float(chi2.sf(plain, 1)),
        p_corrected=float(chi2.sf(corrected, 1)),
        p_exact=min(1.0, 2 * float(binom.cdf(min(b, c), differing, 0.5))) if differing else 1.0,
        difference=difference,
        interval=(difference - off, difference + off),
        odds_ratio=b / c if c else float("inf"),
    )


def exact_share_interval(count: float, n: float, *, confidence: float = 0.95) -> Interval:
    """Clopper-Pearson interval of a share."""
    tail = (1 - share(confidence, parameter="confidence")) / 2
    within(n, parameter="n", allowed=">= 1", is_allowed=n >= 1)
    within(count, parameter="count", allowed=f"0..{n:g}", is_allowed=0 <= count <= n)
    low = 0.0 if count == 0 else float(beta.ppf(tail, count, n - count + 1))
    high = 1.0 if count == n else float(beta.isf(tail, count + 1, n - count))
    return low, high


def wilson_interval(count: float, n: float, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a share: sound for small counts, and never outside 0..1."""
    within(n, parameter="n", allowed="> 0", is_allowed=n > 0)
    within(count, parameter="count", allowed=f"0..{n:g}", is_allowed=0 <= count <= n)
    z = float(norm.isf((1 - share(confidence, parameter="confidence")) / 2))
    p = count / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(middle - half, 0.0), min(middle + half, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraiser:
    """One appraiser of an attribute study.

    within            parts rated alike in all trials; matched: alike and right
    effectiveness     matched over parts, with its exact interval
    miss, false_alarm per trial: bad parts called good, good parts called bad; None without a class
    """

    within: int
    matched: int
    effectiveness: float
    effectiveness_interval: Interval
    within_interval: Interval
    miss: float | None
    false_alarm: float | None
    kappa_reference: Kappa
    crosstab_reference: Floats


Grade = Literal["acceptable", "marginal", "unacceptable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeStudy:
    """AIAG's attribute agreement study.

    crosstabs, kappas   by pair of appraisers, equal trials paired
    all_agree           parts on which all trials of all appraisers agree; all_right: and with the reference
    """

    parts: int
    trials: int
    categories: tuple[Hashable, ...]
    appraisers: Mapping[str, Appraiser]
    crosstabs: Mapping[tuple[str, str], Floats]
    kappas: Mapping[tuple[str, str], Kappa]
    all_agree: int
    all_right: int
    system_effectiveness: float
    system_interval: Interval
    fleiss_between: FleissKappa
    confidence: float


def attribute_study(
    ratings: Sequence[Sequence[Sequence[Hashable]]],
    *,
    reference: Sequence[Hashable],
    good: Hashable,
    appraisers: Sequence[str] | None = None,
    confidence: float = 0.95,
) -> AttributeStudy:
    """ratings[part][appraiser][trial] against the reference of each part; `good` is the class of good parts.

    Raises StudyIncomplete where a part lacks a rating or the reference.
    """
    enough(len(ratings), method="attribute_study", needed=2)
    people, trials = len(ratings[0]), len(ratings[0][0]) if ratings[0] else 0
    for place, of_part in enumerate(ratings):
        counted = [len(of_person) for of_person in of_part]
        if len(of_part) != people or any(n != trials for n in counted) or trials == 0:
            raise _incomplete("attribute_study", str(place + 1), sum(counted), max(people * trials, 1))
    if len(reference) != len(ratings):
        raise _incomplete("attribute_study", "reference", len(reference), len(ratings))
    names = list(appraisers) if appraisers is not None else [chr(65 + i) for i in range(people)]
    seen = {rating for of_part in ratings for of_person in of_part for rating in of_person} | set(reference)
    categories = tuple(sorted(seen, key=lambda value: (str(type(value)), value)))
    truth = [value for value in reference for _ in range(trials)]
    per_person = {
        name: [rating for of_part in ratings for rating in of_part[place]] for place, name in enumerate(names)
    }
    n = len(ratings)
    studied = {}
    for place, name in enumerate(names):
        alike = [len(set(of_part[place])) == 1 for of_part in ratings]
        right = [
            same and of_part[place][0] == ref
            for same, of_part, ref in zip(alike, ratings, reference, strict=True)
        ]
        against = cross_table(per_person[name], truth, categories=categories)
        calls = list(zip(per_person[name], truth, strict=True))
        bad, fine = [c for c, ref in calls if ref != good], [c for c, ref in calls if ref == good]
        studied[name] = Appraiser(
            within=sum(alike),
            matched=sum(right),
            effectiveness=sum(right) / n,
            effectiveness_interval=exact_share_interval(sum(right), n, confidence=confidence),
            within_interval=exact_share_interval(sum(alike), n, confidence=confidence),
            miss=sum(call == good for call in bad) / len(bad) if bad else None,
            false_alarm=sum(call != good for call in fine) / len(fine) if fine else None,
            kappa_reference=cohen_kappa(against),
            crosstab_reference=against,
        )
    tables = {
        (a, b): cross_table(per_person[a], per_person[b], categories=categories)
        for a, b in combinations(names, 2)
    }
    agree = [len({rating for person in of_part for rating in person}) == 1 for of_part in ratings]
    all_right = sum(
        a and of_part[0][0] == ref for a, of_part, ref in zip(agree, ratings, reference, strict=True)
    )
    counted_by = [
        [sum(r == c for person in of_part for r in person) for c in categories] for of_part in ratings
    ]
    return AttributeStudy(
        parts=n,
        trials=trials,
        categories=categories,
        appraisers=studied,
        crosstabs=tables,
        kappas={pair: cohen_kappa(table) for pair, table in tables.items()},
        all_agree=sum(agree),
        all_right=all_right,
        system_effectiveness=all_right / n,
        system_interval=exact_share_interval(all_right, n, confidence=confidence),
        fleiss_between=fleiss_kappa(counted_by)
        if people * trials > 1
        else FleissKappa(
            kappa=float("nan"),
            z=float("nan"),
            p=float("nan"),
            standard_error=float("nan"),
            agreement=float("nan"),
            by_category=(),
        ),
        confidence=confidence,
    )


def grade_effectiveness(value: float) -> Grade:
    """AIAG's table: at least 90 %, at least 80 %."""
    return "acceptable" if value >= 0.9 else "marginal" if value >= 0.8 else "unacceptable"


def grade_miss(value: float) -> Grade:
    """AIAG's table: at most 2 %, at most 5 %."""
    return "acceptable" if value <= 0.02 else "marginal" if value <= 0.05 else "unacceptable"


def grade_false_alarm(value: float) -> Grade:
    """AIAG's table: at most 5 %, at most 10 %."""
    return "acceptable" if value <= 0.05 else "marginal" if value <= 0.1 else "unacceptable"


def cross_table(
    first: Sequence[Hashable], second: Sequence[Hashable], *, categories: Sequence[Hashable] | None = None
) -> Floats:
    """Counts of pairs, rows by the first's category."""
    known = list(categories) if categories is not None else sorted({*first, *second}, key=str)
    place = {category: index for index, category in enumerate(known)}
    table = np.zeros((len(known), len(known)))
    for a, b in zip(first, second, strict=True):
        table[place[a], place[b]] += 1
    return table


def _square(table: ArrayLike, *, method: str) -> Floats:
    n = np.atleast_2d(np.asarray(table, np.float64))
    numbers(n, method=method)
    within(
        len(n),
        parameter=f"{method} table",
        allowed="square, from 2 x 2",
        is_allowed=n.shape[0] == n.shape[1] >= 2,
    )
    within(float(n.min()), parameter=f"{method} count", allowed=">= 0", is_allowed=bool(n.min() >= 0))
    enough(int(n.sum()), method=method, needed=1)
    return n


def _incomplete(method: str, cell: str, found: int, needed: int) -> StudyIncomplete:
    return StudyIncomplete(
        f"{method}: {cell} has {found} results where {needed} are needed.",
        action="Repeat the missing measurements.",
        method=method,
        cell=cell,
        found=found,
        needed=needed,
    )
