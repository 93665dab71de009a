"""What defects go together with: association with effect, number and interval, and points of change.

Everything here says "associated with", never "caused by". With many parameters looked at some will look
associated by chance: `adjusted` keeps the share of such false finds. A difference between machines may be one
between what ran on them (Simpson): `mantel_haenszel` compares within strata.

Sources: R. A. Fisher (1935); N. Mantel and W. Haenszel (1959); J. Robins, N. Breslow and S. Greenland, Biometrics 42
(1986) 311-323; N. E. Breslow and N. E. Day (1980), R. E. Tarone (1985); P. Armitage (1955); Y. Benjamini and
Y. Hochberg (1995), Benjamini and Yekutieli (2001), S. Holm (1979); D. V. Hinkley (1970) for changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, exp, log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import gammaln, xlogy
from scipy.stats import chi2, fisher_exact, nchypergeom_fisher, norm

from traceability.spc.checks import counts, enough, numbers, rounding, share, within

Floats = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoByTwo:
    """[[with defect, without], …] by rows: two machines, two shifts.

    odds_ratio             of the sample, with Wald's interval on the logarithm (0.5 added where a cell is 0)
    fisher_*               conditional odds ratio of greatest likelihood, exact interval, exact two-sided p
    """

    n: int
    odds_ratio: float
    interval: Interval
    fisher_p: float
    fisher_odds_ratio: float
    fisher_interval: Interval
    chi2: float
    chi2_p: float
    chi2_yates: float
    chi2_yates_p: float
    risk_ratio: float
    risk_ratio_interval: Interval
    risk_difference: float


def two_by_two(
    table: ArrayLike, *, confidence: float = 0.95, fisher_bounds: Literal["exact", "r"] = "exact"
) -> TwoByTwo:
    """fisher_bounds  exact, or where the root search of R's fisher.test stops: up to 1.2e-4 of 1/odds ratio off

    Raises CountImpossible for a negative count, TooFewValues where a row or column is empty.
    """
    t = _table(table, method="odds_ratio")
    within(t.size, parameter="table", allowed="2 x 2", is_allowed=t.shape == (2, 2))
    z = float(norm.isf((1 - share(confidence, parameter="confidence")) / 2))
    a, b, c, d = (float(each) for each in t.ravel())
    n = a + b + c + d
    fixed = t + 0.5 if t.min() == 0 else t
    log_odds = float(np.log(fixed[0, 0] * fixed[1, 1] / (fixed[0, 1] * fixed[1, 0])))
    off = z * sqrt(float(np.sum(1 / fixed)))
    exact, bounds = _conditional_odds(t, (1 - confidence) / 2)
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    plain = n * (a * d - b * c) ** 2 / margins
    yates = n * max(abs(a * d - b * c) - n / 2, 0) ** 2 / margins
    first, second = a / (a + b), c / (c + d)
    ratio = first / second if second > 0 else float("inf")
    safe = fixed[0, 0] / (fixed[0].sum()) / (fixed[1, 0] / fixed[1].sum())
    spread = sqrt(1 / fixed[0, 0] - 1 / fixed[0].sum() + 1 / fixed[1, 0] - 1 / fixed[1].sum())
    return TwoByTwo(
        n=int(n),
        odds_ratio=a * d / (b * c) if b * c > 0 else float("inf"),
        interval=(exp(log_odds - off), exp(log_odds + off)),
        fisher_p=float(fisher_exact(t.astype(int)).pvalue),
        fisher_odds_ratio=exact,
        fisher_interval=bounds if fisher_bounds == "exact" else _fisher_bounds_of_r(t, (1 - confidence) / 2),
        chi2=plain,
        chi2_p=float(chi2.sf(plain, 1)),
        chi2_yates=yates,
        chi2_yates_p=float(chi2.sf(yates, 1)),
        risk_ratio=ratio,
        risk_ratio_interval=(safe * exp(-z * spread), safe * exp(z * spread)),
        risk_difference=first - second,
    )


def _conditional_odds(t: Floats, tail: float) -> tuple[float, Interval]:
    """The odds ratio of greatest likelihood given all margins, and its exact bounds.

    scipy.stats.contingency.odds_ratio gives the same (the tests hold it to that), in 45 ms a table of thousands.
    """
    a, row, column, n = (int(each) for each in (t[0, 0], t[0].sum(), t[:, 0].sum(), t.sum()))
    low, high = max(0, row + column - n), min(row, column)
    k = np.arange(low, high + 1)
    ways = (
        -gammaln(k + 1) - gammaln(row - k + 1) - gammaln(column - k + 1) - gammaln(n - row - column + k + 1)
    )

    def chances(log_odds: float) -> Floats:
        weight = ways + k * log_odds
        likely = np.exp(weight - weight.max())
        shares: Floats = likely / likely.sum()
        return shares

    def solved(off: Callable[[Floats], float]) -> float:
        reach = 4.0
        while off(chances(-reach)) * off(chances(reach)) > 0:
            reach *= 2
        return exp(brentq(lambda log_odds: off(chances(log_odds)), -reach, reach, xtol=1e-13, rtol=1e-14))

    def off_tail(chance: float) -> float:
        # On the logarithm, whose root is where the tail itself has it, and which is nearly straight.
        return log(max(chance, 1e-300) / tail)

    at = a - low
    lower = 0.0 if a == low else solved(lambda chance: off_tail(float(chance[at:].sum())))
    upper = float("inf") if a == high else solved(lambda chance: off_tail(float(chance[: at + 1].sum())))
    if a in (low, high):
        return (0.0 if a == low else float("inf")), (lower, upper)
    return solved(lambda chance: float(chance @ k) - a), (lower, upper)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratified:
    """One association over strata. `crude` is that of all strata thrown together: where it differs much from the
    common one, the strata confound it (Simpson). homogeneity_p small: the strata do not share one odds ratio."""

    common_odds_ratio: float
    interval: Interval
    chi2: float
    p: float
    chi2_corrected: float
    p_corrected: float
    crude_odds_ratio: float
    by_stratum: tuple[float, ...]
    homogeneity_chi2: float
    homogeneity_p: float
    tarone_chi2: float
    tarone_p: float


def mantel_haenszel(tables: Sequence[ArrayLike], *, confidence: float = 0.95) -> Stratified:
    """2 x 2 tables, one per stratum: lot, material, shift."""
    enough(len(tables), method="mantel_haenszel", needed=1)
    x = np.array([_table(table, method="mantel_haenszel", may_be_empty=True) for table in tables])
    within(x[0].size, parameter="table", allowed="2 x 2", is_allowed=x.shape[1:] == (2, 2))
    a, b, c, d = x[:, 0, 0], x[:, 0, 1], x[:, 1, 0], x[:, 1, 1]
    n = a + b + c + d
    r, s = a * d / n, b * c / n
    p, q = (a + d) / n, (b + c) / n
    common = float(r.sum() / s.sum())
    spread = float(
        np.sum(p * r) / (2 * r.sum() ** 2)
        + np.sum(p * s + q * r) / (2 * r.sum() * s.sum())
        + np.sum(q * s) / (2 * s.sum() ** 2)
    )
    off = float(norm.isf((1 - confidence) / 2)) * sqrt(spread)
    expected = (a + b) * (a + c) / n
    variance = (a + b) * (c + d) * (a + c) * (b + d) / (n**2 * np.maximum(n - 1, 1))
    gap = abs(float((a - expected).sum()))
    plain = gap**2 / float(variance.sum())
    corrected = max(gap - 0.5, 0) ** 2 / float(variance.sum())
    day, tarone = _breslow_day(x, common)
    total = x.sum(axis=0)
    degrees = max(len(x) - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        each = a * d / (b * c)
    return Stratified(
        common_odds_ratio=common,
        interval=(common * exp(-off), common * exp(off)),
        chi2=plain,
        p=float(chi2.sf(plain, 1)),
        chi2_corrected=corrected,
        p_corrected=float(chi2.sf(corrected, 1)),
        crude_odds_ratio=float(total[0, 0] * total[1, 1] / (total[0, 1] * total[1, 0])),
        by_stratum=tuple(float(one) for one in each),
        homogeneity_chi2=day,
        homogeneity_p=float(chi2.sf(day, degrees)),
        tarone_chi2=tarone,
        tarone_p=float(chi2.sf(tarone, degrees)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Does the share of defects rise or fall along an ordered setting? slope: share per score."""

    chi2: float
    z: float
    p: float
    slope: float


def cochran_armitage(defects: ArrayLike, n: ArrayLike, *, scores: ArrayLike | None = None) -> Trend:
    """One count of defects and one size per setting; scores 1, 2, 3, … by default."""
    bad, size = counts(defects, n, method="cochran_armitage", needed=2)
    at = (
        np.arange(1, bad.size + 1, dtype=float)
        if scores is None
        else numbers(scores, method="cochran_armitage", must_vary=True)
    )
    within(at.size, parameter="scores", allowed=f"{bad.size} values", is_allowed=at.size == bad.size)
    share_of = float(bad.sum() / size.sum())
    within(share_of, parameter="share", allowed="0 < … < 1", is_allowed=0 < share_of < 1)
    middle = float(np.sum(size * at) / size.sum())
    top = float(np.sum(at * (bad - size * share_of)))
    square = float(np.sum(size * (at - middle) ** 2))
    z = top / sqrt(share_of * (1 - share_of) * square)
    return Trend(chi2=z**2, z=z, p=float(chi2.sf(z**2, 1)), slope=top / square)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Association:
    """Table of machine by kind: mutual information, Cramér's V, tests, and adjusted standardised residuals."""

    n: int
    mutual_bits: float
    mutual_nats: float
    cramers_v: float
    chi2: float
    degrees: int
    p: float
    g: float
    g_p: float
    residuals: Floats


def association(table: ArrayLike) -> Association:
    """Residuals beyond 2 or 3 are the cells that carry the association."""
    t = _table(table, method="association")
    n = float(t.sum())
    rows, columns = t.sum(axis=1, keepdims=True), t.sum(axis=0, keepdims=True)
    expected = rows * columns / n
    statistic = float(np.sum((t - expected) ** 2 / expected))
    nats = float(np.sum(xlogy(t / n, t / expected)))
    degrees = (t.shape[0] - 1) * (t.shape[1] - 1)
    return Association(
        n=int(n),
        mutual_bits=nats / log(2),
        mutual_nats=nats,
        cramers_v=sqrt(statistic / (n * (min(t.shape) - 1))),
        chi2=statistic,
        degrees=degrees,
        p=float(chi2.sf(statistic, degrees)),
        g=2 * n * nats,
        g_p=float(chi2.sf(2 * n * nats, degrees)),
        residuals=(t - expected) / np.sqrt(expected * (1 - rows / n) * (1 - columns / n)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Permutation:
    """Difference of means, and how often chance makes one as large. is_exact: all arrangements were looked at."""

    difference: float
    p_two_sided: float
    p_greater: float
    p_less: float
    arrangements: int
    is_exact: bool


def permutation_test(
    a: ArrayLike, b: ArrayLike, *, most: int = 50_000, samples: int = 20_000, seed: int = 1
) -> Permutation:
    """Two samples of a process parameter, with and without defects. Sampled p-values are (b + 1)/(n + 1)."""
    x, y = numbers(a, method="permutation_test"), numbers(b, method="permutation_test")
    both = np.concatenate([x, y])
    # From the middle on: sums of values far from 0 would lose the digits by which the values differ.
    off = both - np.median(both)
    observed = float(off[: x.size].mean() - off[x.size :].mean())
    all_ways = comb(both.size, x.size)
    if all_ways <= most:
        chosen = np.array(list(combinations(range(both.size), x.size)))
    else:
        random = np.random.default_rng(seed)
        chosen = np.array([random.permutation(both.size)[: x.size] for _ in range(samples)])
    first = off[chosen].sum(axis=1)
    differences = first / x.size - (off.sum() - first) / y.size
    slack = float(rounding(np.abs(off).max(), np.abs(both).max()))
    more, less = differences >= observed - slack, differences <= observed + slack
    far = np.abs(differences) >= abs(observed) - slack
    is_exact = all_ways <= most
    add = 0 if is_exact else 1
    p_far, p_more, p_less = (
        (float(each.sum()) + add) / (len(differences) + add) for each in (far, more, less)
    )
    return Permutation(
        difference=observed,
        p_two_sided=p_far,
        p_greater=p_more,
        p_less=p_less,
        arrangements=len(differences),
        is_exact=is_exact,
    )


def adjusted(p: ArrayLike, *, method: Literal["bh", "by", "holm", "bonferroni"] = "bh") -> Floats:
    """p-values of many comparisons, adjusted: BH and BY for the share of false finds, Holm for any at all."""
    raw = numbers(p, method="fdr")
    within(float(raw.max()), parameter="p", allowed="0..1", is_allowed=bool(np.all((raw >= 0) & (raw <= 1))))
    n = raw.size
    order = np.argsort(raw, kind="stable")
    rank = np.arange(1, n + 1)
    ascending = raw[order]
    if method == "bonferroni":
        return np.minimum(raw * n, 1)
    if method == "holm":
        stepped = np.maximum.accumulate(ascending * (n - rank + 1))
    else:
        factor = float(np.sum(1 / rank)) if method == "by" else 1.0
        stepped = np.minimum.accumulate((ascending * n * factor / rank)[::-1])[::-1]
    result = np.empty(n)
    result[order] = np.minimum(stepped, 1)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One parameter looked at beside defects: effect, number, interval, p and its adjusted p."""

    name: str
    effect: str
    value: float
    interval: Interval
    n: int
    p: float
    p_adjusted: float

    @property
    def is_shown(self) -> bool:
        return self.p_adjusted <= 0.05


def associated_with(
    has_defect: ArrayLike, categories: Mapping[str, Sequence[str]], *, confidence: float = 0.95
) -> tuple[Finding, ...]:
    """Each level of each category (lot, machine, tool, shift) against all others, with false-discovery control.

    Sorted by adjusted p. Names are "category=level"; the effect is an odds ratio by Fisher.
    """
    bad = numbers(has_defect, method="associated_with", needed=2) > 0
    rows: list[tuple[str, TwoByTwo]] = []
    for category, levels in categories.items():
        within(
            len(levels), parameter=category, allowed=f"{bad.size} values", is_allowed=len(levels) == bad.size
        )
        labels = np.array(levels)
        for level in dict.fromkeys(levels):
            here = labels == level
            table = [
                [int(np.sum(bad & here)), int(np.sum(~bad & here))],
                [int(np.sum(bad & ~here)), int(np.sum(~bad & ~here))],
            ]
            t = np.array(table)
            if min(t.sum(axis=0).min(), t.sum(axis=1).min()) > 0:
                rows.append((f"{category}={level}", two_by_two(table, confidence=confidence)))
    if not rows:
        return ()
    corrected = adjusted([row.fisher_p for _, row in rows])
    found = [
        Finding(
            name=name,
            effect="odds_ratio",
            value=row.fisher_odds_ratio,
            interval=row.fisher_interval,
            n=row.n,
            p=row.fisher_p,
            p_adjusted=float(p),
        )
        for (name, row), p in zip(rows, corrected, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: (one.p_adjusted, one.p, one.name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One level of one category (a lot, a machine, a tool) beside all units that did not meet it.

    bad, units              of those that met it; bad_elsewhere, units_elsewhere of all others
    odds_ratio, interval    Fisher's, exact
    p, p_adjusted           two-sided; adjusted over all levels of all categories (Benjamini and Hochberg)
    within_strata           the same compared within strata only, by Mantel and Haenszel; None where no stratum has both
    """

    category: str
    level: str
    bad: int
    units: int
    bad_elsewhere: int
    units_elsewhere: int
    odds_ratio: float
    interval: Interval
    p: float
    p_adjusted: float
    within_strata: Stratified | None

    @property
    def is_shown(self) -> bool:
        return self.p_adjusted <= 0.05


def associated_with_met(
    units: Sequence[tuple[bool, frozenset[tuple[str, str]]]],
    *,
    strata: Sequence[str] | None = None,
    confidence: float = 0.95,
) -> tuple[Factor, ...]:
    """What bad units met more or less often than good ones, by adjusted p, then by p; a unit may meet several levels.

    units   whether it is bad, and the (category, level) pairs it met
    strata  one label per unit, such as what it was judged under: a difference between strata is then no effect of
            what happens to go with them (Simpson)

    Levels that all or no units met say nothing and are left out. Raises TooFewValues below two units.
    """
    enough(len(units), method="associated_with", needed=2)
    bad = np.array([is_bad for is_bad, _ in units])
    alike: dict[frozenset[tuple[str, str]], list[int]] = {}
    for place, (_, met) in enumerate(units):
        alike.setdefault(met, []).append(place)
    every = sorted(frozenset().union(*alike))
    labels = np.array(strata if strata is not None else [""] * len(units))
    within(labels.size, parameter="strata", allowed=f"{bad.size} labels", is_allowed=labels.size == bad.size)
    stratum = np.unique(labels, return_inverse=True)[1]
    # Per stratum, then bad ones before good ones.
    cell = 2 * stratum + ~bad
    cells = 2 * (int(stratum.max()) + 1)
    of_all = np.bincount(cell, minlength=cells).reshape(-1, 2)
    counted = {met: np.bincount(cell[at], minlength=cells).reshape(-1, 2) for met, at in alike.items()}
    rows: list[tuple[tuple[str, str], NDArray[np.int_], TwoByTwo, Stratified | None]] = []
    for factor in every:
        here = np.sum([of_met for met, of_met in counted.items() if factor in met], axis=0)
        by_stratum = np.stack([here, of_all - here], axis=1)
        table = by_stratum.sum(axis=0)
        if min(table.sum(axis=0).min(), table.sum(axis=1).min()) == 0:
            continue
        usable = [one for one in by_stratum if min(one.sum(axis=0).min(), one.sum(axis=1).min()) > 0]
        adjusted_for = mantel_haenszel(usable, confidence=confidence) if len(usable) > 1 else None
        rows.append((factor, table, two_by_two(table, confidence=confidence), adjusted_for))
    if not rows:
        return ()
    corrected = adjusted([row.fisher_p for _, _, row, _ in rows])
    found = [
        Factor(
            category=category,
            level=level,
            bad=int(table[0, 0]),
            units=int(table[0].sum()),
            bad_elsewhere=int(table[1, 0]),
            units_elsewhere=int(table[1].sum()),
            odds_ratio=row.fisher_odds_ratio,
            interval=row.fisher_interval,
            p=row.fisher_p,
            p_adjusted=float(p),
            within_strata=inside,
        )
        for ((category, level), table, row, inside), p in zip(rows, corrected, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: (one.p_adjusted, one.p, one.category, one.level)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A node of a shallow tree. `rule` is how it was reached; leaves have no `split`."""

    rule: str
    n: int
    defects: int
    split: str | None
    branches: tuple[Branch, ...]


def shallow_tree(
    has_defect: ArrayLike,
    numbers_by_name: Mapping[str, ArrayLike],
    *,
    depth: int = 2,
    least: int = 20,
    alpha: float = 0.01,
) -> Branch:
    """Where defects are dense: binary splits of process parameters by largest likelihood ratio, at most `depth`.

    A split is taken only where its p, times the number of splits tried, stays below alpha.
    """
    bad = numbers(has_defect, method="shallow_tree") > 0
    columns = {
        name: numbers(values, method=f"shallow_tree {name}") for name, values in numbers_by_name.items()
    }
    for name, values in columns.items():
        within(values.size, parameter=name, allowed=f"{bad.size} values", is_allowed=values.size == bad.size)

    def grow(rows: NDArray[np.intp], rule: str, left: int) -> Branch:
        n, defects = rows.size, int(bad[rows].sum())
        best: tuple[float, str, float] | None = None
        tried = 0
        for name, values in columns.items():
            cuts = np.unique(values[rows])
            middles = (cuts[1:] + cuts[:-1]) / 2
            middles = middles[:: max(len(middles) // 32, 1)]
            for cut in middles:
                low = values[rows] < cut
                size = int(low.sum())
                if min(size, n - size) < least:
                    continue
                tried += 1
                ratio = _share_gain(int(bad[rows][low].sum()), size, defects, n)
                if best is None or ratio > best[0]:
                    best = (ratio, name, float(cut))
        if left == 0 or best is None or float(chi2.sf(2 * best[0], 1)) * tried > alpha:
            return Branch(rule=rule, n=n, defects=defects, split=None, branches=())
        _, name, cut = best
        low = columns[name][rows] < cut
        return Branch(
            rule=rule,
            n=n,
            defects=defects,
            split=name,
            branches=(
                grow(rows[low], f"{name} < {cut:g}", left - 1),
                grow(rows[~low], f"{name} >= {cut:g}", left - 1),
            ),
        )

    return grow(np.arange(bad.size), "", depth)


ChangeKind = Literal["poisson", "binomial", "mean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A point of change: the first `before` observations belong to the first level.

    log_likelihood_ratio  of two levels against one; p by permutation of the order, from a seed
    """

    before: int
    level_before: float
    level_after: float
    log_likelihood_ratio: float
    p: float


def change_point(
    values: ArrayLike,
    n: ArrayLike | None = None,
    *,
    kind: ChangeKind = "mean",
    least: int = 1,
    permutations: int = 999,
    seed: int = 1,
) -> Change:
    """The single change of greatest likelihood, of a rate of counts, a share, or a mean (common variance).

    n     sizes or areas behind each count; needed for a share
    """
    x, size = _counted(values, n, kind)
    cut, gain = _best_cut(x, size, kind, least)
    # An arrangement that cuts as well as the one seen counts as such, whatever the order it was summed in.
    slack = 1e-9 * max(gain, 1.0)
    random = np.random.default_rng(seed)
    beaten = 0
    for _ in range(permutations):
        order = random.permutation(x.size)
        beaten += _best_cut(x[order], size[order], kind, least)[1] >= gain - slack
    return Change(
        before=cut,
        level_before=float(x[:cut].sum() / size[:cut].sum()),
        level_after=float(x[cut:].sum() / size[cut:].sum()),
        log_likelihood_ratio=gain,
        p=(beaten + 1) / (permutations + 1),
    )


def change_points(
    values: ArrayLike,
    n: ArrayLike | None = None,
    *,
    kind: ChangeKind = "mean",
    alpha: float = 0.01,
    least: int = 3,
    permutations: int = 499,
) -> tuple[Change, ...]:
    """All changes that stand out at alpha, by splitting again and again; `before` counts from the start."""
    x, size = _counted(values, n, kind)
    found: list[Change] = []

    def split(start: int, stop: int) -> None:
        if stop - start < 2 * least:
            return
        part = change_point(
            x[start:stop], size[start:stop], kind=kind, least=least, permutations=permutations, seed=start + 1
        )
        if part.p > alpha:
            return
        found.append(
            Change(
                before=start + part.before,
                level_before=part.level_before,
                level_after=part.level_after,
                log_likelihood_ratio=part.log_likelihood_ratio,
                p=part.p,
            )
        )
        split(start, start + part.before)
        split(start + part.before, stop)

    split(0, x.size)
    return tuple(sorted(found, key=lambda change: change.before))


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """An event near a change. `lag` is its place less the change's, in points: negative came before."""

    name: str
    at: int
    lag: int


def events_near(
    change: Change, events: Sequence[tuple[int, str]], *, within_points: int
) -> tuple[Suspect, ...]:
    """What changed within so many points of the change; nearest first, of equal ones what came before."""
    near = [
        Suspect(name=name, at=at, lag=at - change.before)
        for at, name in events
        if abs(at - change.before) <= within_points
    ]
    return tuple(sorted(near, key=lambda one: (abs(one.lag), one.lag > 0, one.name)))


def _counted(values: ArrayLike, n: ArrayLike | None, kind: ChangeKind) -> tuple[Floats, Floats]:
    if kind == "mean":
        x = numbers(values, method="change_point", needed=3, must_vary=True)
        return x, np.ones_like(x)
    if kind == "binomial" and n is None:
        numbers((), method="change_point n")
    return counts(values, n, method="change_point", needed=3, whole=kind == "binomial")


def _best_cut(x: Floats, size: Floats, kind: ChangeKind, least: int) -> tuple[int, float]:
    """Number of observations before the best cut, and its log likelihood ratio. Of means it depends neither on
    where the values' scale begins nor on its unit."""
    if kind == "mean":
        # Squares of values far from 0 would lose what the values differ by.
        x = x - np.median(x)
        x = (x - x.mean()) / np.abs(x).max()
    cuts = np.arange(max(least, 1), x.size - max(least, 1) + 1)
    total, whole = x.sum(), size.sum()
    first, area = np.cumsum(x)[cuts - 1], np.cumsum(size)[cuts - 1]
    rest, rest_area = total - first, whole - area
    if kind == "mean":
        all_squares = float(np.sum(x**2))
        between = first**2 / area + rest**2 / rest_area - total**2 / whole
        left = np.maximum(all_squares - between, 1e-12 * all_squares)
        gain = x.size / 2 * np.log(all_squares / left)
    elif kind == "poisson":
        gain = xlogy(first, first / area) + xlogy(rest, rest / rest_area) - float(xlogy(total, total / whole))
    else:

        def part(bad: Floats, of: Floats) -> Floats:
            return np.asarray(xlogy(bad, bad / of) + xlogy(of - bad, (of - bad) / of), np.float64)

        gain = part(first, area) + part(rest, rest_area) - part(np.array([total]), np.array([whole]))
    place = int(np.argmax(gain))
    return int(cuts[place]), float(gain[place])


def _share_gain(bad: int, of: int, all_bad: int, all_of: int) -> float:
    """Log likelihood ratio of two shares against one."""

    def part(k: int, n: int) -> float:
        return float(xlogy(k, k / n) + xlogy(n - k, (n - k) / n))

    return part(bad, of) + part(all_bad - bad, all_of - of) - part(all_bad, all_of)


def _breslow_day(x: Floats, common: float) -> tuple[float, float]:
    """Breslow and Day's statistic of equal odds ratios, and Tarone's correction."""
    statistic, gap, variances = 0.0, 0.0, 0.0
    for table in x:
        row, column, n = float(table[0].sum()), float(table[:, 0].sum()), float(table.sum())
        low, high = max(0.0, row + column - n), min(row, column)
        if high <= low:
            continue

        def off(a: float, row: float = row, column: float = column, n: float = n) -> float:
            return a * (n - row - column + a) - common * (row - a) * (column - a)

        a = float(brentq(off, low, high)) if off(low) * off(high) < 0 else low
        cells = np.array([a, row - a, column - a, n - row - column + a])
        if cells.min() <= 0:
            continue
        variance = 1 / float(np.sum(1 / cells))
        statistic += (float(table[0, 0]) - a) ** 2 / variance
        gap += float(table[0, 0]) - a
        variances += variance
    return statistic, statistic - gap**2 / variances if variances > 0 else statistic


def _fisher_bounds_of_r(t: Floats, tail: float) -> Interval:
    """Bounds of the conditional odds ratio as far as R's search goes: to a quarter power of the machine's epsilon."""
    a, row, column, n = int(t[0, 0]), int(t[0].sum()), int(t[:, 0].sum()), int(t.sum())
    low, high = max(0, row + column - n), min(row, column)
    eps = float(np.finfo(float).eps)

    def found(chance: Callable[[float], float]) -> float:
        if chance(1.0) > tail:
            return _zeroin(lambda odds: chance(max(odds, eps)) - tail, 0.0, 1.0, eps**0.25)
        return 1 / _zeroin(lambda inverse: chance(1 / inverse) - tail, eps, 1.0, eps**0.25)

    def upper(chance: Callable[[float], float]) -> float:
        if chance(1.0) < tail:
            return _zeroin(lambda odds: chance(max(odds, eps)) - tail, 0.0, 1.0, eps**0.25)
        return 1 / _zeroin(lambda inverse: chance(1 / inverse) - tail, eps, 1.0, eps**0.25)

    return (
        0.0 if a == low else found(lambda odds: float(nchypergeom_fisher.sf(a - 1, n, column, row, odds))),
        float("inf")
        if a == high
        else upper(lambda odds: float(nchypergeom_fisher.cdf(a, n, column, row, odds))),
    )


def _zeroin(f: Callable[[float], float], a: float, b: float, tolerance: float) -> float:
    """R. P. Brent's root search (Algorithms for Minimization without Derivatives, 1973, chapter 4), with the
    stopping rule that R has; scipy's stops elsewhere."""
    fa, fb = f(a), f(b)
    c, fc = a, fa
    while True:
        previous = b - a
        if abs(fc) < abs(fb):
            a, b, c = b, c, b
            fa, fb, fc = fb, fc, fb
        least = 2 * float(np.finfo(float).eps) * abs(b) + tolerance / 2
        step = (c - b) / 2
        if abs(step) <= least or fb == 0:
            return b
        if abs(previous) >= least and abs(fa) > abs(fb):
            if a == c:
                p, q = (c - b) * fb / fa, 1 - fb / fa
            else:
                q, r, s = fa / fc, fb / fc, fb / fa
                p, q = s * ((c - b) * q * (q - r) - (b - a) * (r - 1)), (q - 1) * (r - 1) * (s - 1)
            p, q = (p, -q) if p > 0 else (-p, q)
            if p < 0.75 * (c - b) * q - abs(least * q) / 2 and p < abs(previous * q / 2):
                step = p / q
        a, fa = b, fb
        b += step if abs(step) >= least else float(np.copysign(least, step))
        fb = f(b)
        if (fb > 0) == (fc > 0):
            c, fc = a, fa


def _table(table: ArrayLike, *, method: str, may_be_empty: bool = False) -> Floats:
    t = np.atleast_2d(np.asarray(table, np.float64))
    counts(t.ravel(), method=method)
    if not may_be_empty:
        enough(int(min(t.sum(axis=0).min(), t.sum(axis=1).min())), method=method, needed=1)
    enough(min(t.shape), method=method, needed=2)
    return t
