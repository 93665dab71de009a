"""The inspector is a gauge: what its sensitivity and specificity make of the rejects that are seen.

A chart of rejects moves when the process moves and when the inspection does. With both rates known, the true share
is (rejects + Sp - 1)/(Se + Sp - 1), which takes a change of model, lamp or lens out of the chart. It says nothing
where fewer are rejected than good parts alone would be (it is cut at 0, and says so), and nothing where the proof of
Se and Sp is stale, which is refused.

Sources: W. J. Rogan and B. Gladen, American J. of Epidemiology 107 (1978) 71-76; Z. Lang and J. Reiczigel, Preventive
Veterinary Medicine 113 (2014) 13-22 (interval with estimated Se and Sp); C. B. Begg and R. A. Greenes, Biometrics 39
(1983) 207-215 (verification bias); JCGM 106:2012.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from scipy.stats import norm

from traceability.errors import InspectorBlind, ProofStale
from traceability.spc.agreement import exact_share_interval, wilson_interval
from traceability.spc.causes import Change, change_point
from traceability.spc.charts import ControlChart, make_chart, stage_labels
from traceability.spc.checks import counts, numbers, positive, share, within
from traceability.spc.rules import DEFAULT, Rule

Floats = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueShare:
    """Share truly defective behind the share rejected.

    value          kept within 0..1; untruncated as computed; is_truncated says that it was cut
    interval       by the method named: wilson (Se, Sp taken as known) or lang_reiczigel (as estimated)
    """

    apparent: float
    value: float
    untruncated: float
    is_truncated: bool
    standard_error: float
    wald_interval: Interval
    interval: Interval
    interval_method: Literal["wilson", "lang_reiczigel"]


def true_share(
    rejected: int,
    n: int,
    *,
    sensitivity: float,
    specificity: float,
    proof: tuple[int, int] | None = None,
    confidence: float = 0.95,
) -> TrueShare:
    """Rogan and Gladen's estimate.

    proof  numbers of bad and of good parts that sensitivity and specificity were proven on. None: both are taken
           as known, which makes the interval too narrow (measured elsewhere: 0.61 coverage instead of 0.95)

    Raises InspectorBlind where Se + Sp <= 1, CountImpossible.
    """
    counts([rejected], [n], method="rogan_gladen")
    youden = _youden(sensitivity, specificity)
    apparent = rejected / n
    raw = (apparent + specificity - 1) / youden
    error = sqrt(apparent * (1 - apparent) / n) / youden
    z = float(norm.isf((1 - share(confidence, parameter="confidence")) / 2))
    if proof is None:
        low, high = (
            (bound + specificity - 1) / youden
            for bound in wilson_interval(rejected, n, confidence=confidence)
        )
    else:
        low, high = _lang_reiczigel(apparent, n, sensitivity, specificity, proof, z)
    return TrueShare(
        apparent=apparent,
        value=min(max(raw, 0.0), 1.0),
        untruncated=raw,
        is_truncated=not 0 <= raw <= 1,
        standard_error=error,
        wald_interval=(_cut(raw - z * error), _cut(raw + z * error)),
        interval=(_cut(low), _cut(high)),
        interval_method="wilson" if proof is None else "lang_reiczigel",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What sensitivity and specificity were proven on: audited bad and good parts, when, and under which model."""

    sensitivity: float
    specificity: float
    bad_parts: int
    good_parts: int
    proven_at: datetime
    model: str


def why_stale(
    proof: Proof,
    *,
    at: datetime,
    model: str,
    optics: Sequence[tuple[datetime, str]] = (),
    most_days: float = 90,
    least_parts: int = 30,
) -> str | None:
    """What keeps a proof from holding at a moment, or None: it is of another model, too old, or of too few parts, or
    camera, lamp or lens changed between the two.

    optics  when they changed, and what each change is called
    """
    early, late = sorted((at, proof.proven_at))
    changed = [name for moment, name in optics if early < moment <= late]
    fewest = min(proof.bad_parts, proof.good_parts)
    if proof.model != model:
        return f"{proof.model} ≠ {model}"
    if at - proof.proven_at > timedelta(days=most_days):
        return f"{proof.proven_at:%Y-%m-%d}, > {most_days:g} d"
    if fewest < least_parts:
        return f"n = {fewest} < {least_parts}"
    return changed[-1] if changed else None


def require_fresh(
    proof: Proof,
    *,
    at: datetime,
    model: str,
    optics: Sequence[tuple[datetime, str]] = (),
    most_days: float = 90,
    least_parts: int = 30,
) -> None:
    """Raises ProofStale where `why_stale` has a reason."""
    reason = why_stale(proof, at=at, model=model, optics=optics, most_days=most_days, least_parts=least_parts)
    if reason is not None:
        raise ProofStale(
            f"The inspection's sensitivity and specificity are not proven for these lots: {reason}.",
            action="Review rejects and audit passed parts under the present model.",
            reason=reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CorrectedChart:
    """The p chart of true shares beside the plain one of rejects. truncated: 0-based lots cut at 0 or 1."""

    chart: ControlChart
    plain: ControlChart
    apparent: Floats
    truncated: tuple[int, ...]


def corrected_chart(
    rejected: ArrayLike,
    n: ArrayLike,
    *,
    sensitivity: ArrayLike,
    specificity: ArrayLike,
    centre: float | None = None,
    sigmas: float = 3,
    stages: Sequence[str] | None = None,
    rules: Sequence[Rule] = DEFAULT,
) -> CorrectedChart:
    """One count, size, Se and Sp per lot (Se and Sp: or one for all); they change with the model.

    The centre is the share whose expected rejects, over all lots, are those seen. Limits at each lot's own Se, Sp
    and n; stages are shown but do not start the limits anew: that is the point of the correction. Points are plotted
    untruncated, so that the rules see them; negative ones are named in `truncated`.
    """
    k, size = counts(rejected, n, method="corrected_p", needed=2)
    se, sp = (
        np.broadcast_to(numbers(each, method="corrected_p"), k.shape) for each in (sensitivity, specificity)
    )
    for s, t in zip(se, sp, strict=True):
        _youden(float(s), float(t))
    gain = se + sp - 1
    apparent = k / size
    true = (apparent + sp - 1) / gain
    level = float((k.sum() - np.sum(size * (1 - sp))) / np.sum(size * gain)) if centre is None else centre
    level = _cut(level)
    expected = level * se + (1 - level) * (1 - sp)
    plain_centre = float(k.sum() / size.sum())
    return CorrectedChart(
        chart=make_chart(
            statistic="true_share",
            value=true,
            centre=level,
            sigma=np.sqrt(expected * (1 - expected) / size) / gain,
            sigmas=sigmas,
            method="rogan_gladen",
            conventions=(f"sigmas:{sigmas:g}", "points:untruncated"),
            stage=stage_labels(stages, k.size, method="corrected_p"),
            rules=rules,
        ),
        plain=make_chart(
            statistic="share",
            value=apparent,
            centre=plain_centre,
            sigma=np.sqrt(plain_centre * (1 - plain_centre) / size),
            sigmas=sigmas,
            floor=0,
            ceiling=1,
            method="p",
            rules=rules,
        ),
        apparent=apparent,
        truncated=tuple(int(i) for i in np.flatnonzero((true < 0) | (true > 1))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Sensitivity and specificity from review of rejects and blind audit of passed parts, without the bias that
    comes from looking at rejects more often (Begg and Greenes)."""

    sensitivity: float
    sensitivity_interval: Interval
    specificity: float
    specificity_interval: Interval
    share_defective: float
    false_call_rate: float
    escape_rate: float


def accuracy_from_review(
    *,
    rejected: int,
    passed: int,
    reviewed: int,
    reviewed_bad: int,
    audited: int,
    audited_bad: int,
    confidence: float = 0.95,
) -> Accuracy:
    """All rejected and passed units; of those, how many were reviewed or audited at random, and found bad.

    Where no audited part was bad, half a part is assumed for the interval, so that it is not called proven perfect.
    """
    counts([reviewed_bad, audited_bad], [reviewed, audited], method="verification_bias")
    counts([reviewed, audited], [rejected, passed], method="verification_bias")
    z = float(norm.isf((1 - share(confidence, parameter="confidence")) / 2))
    bad_of_rejected, bad_of_passed = reviewed_bad / reviewed, audited_bad / audited
    caught, escaped = rejected * bad_of_rejected, passed * bad_of_passed
    good_rejected, good_passed = rejected - caught, passed - escaped
    total = rejected + passed

    p1 = (reviewed_bad + 0.5) / (reviewed + 1) if reviewed_bad in (0, reviewed) else bad_of_rejected
    p0 = (audited_bad + 0.5) / (audited + 1) if audited_bad in (0, audited) else bad_of_passed
    base = total / (rejected * passed)

    def interval(middle: float, first: float, second: float) -> Interval:
        off = z * sqrt(base + (1 - first) / (reviewed * first) + (1 - second) / (audited * second))
        return float(expit(middle - off)), float(expit(middle + off))

    return Accuracy(
        sensitivity=caught / (caught + escaped) if caught + escaped > 0 else float("nan"),
        sensitivity_interval=interval(log(rejected * p1 / (passed * p0)), p1, p0),
        specificity=good_passed / (good_passed + good_rejected)
        if good_passed + good_rejected > 0
        else float("nan"),
        specificity_interval=interval(log(passed * (1 - p0) / (rejected * (1 - p1))), 1 - p1, 1 - p0),
        share_defective=(caught + escaped) / total,
        false_call_rate=1 - bad_of_rejected,
        escape_rate=bad_of_passed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an inspection does at a given share of defects.

    ppv, npv        chance that a rejected part is bad, a passed one good
    escape_ppm      bad parts per million shipped (passed)
    overkill_rate   good parts rejected, of all parts
    escape_share    bad parts passed, of all parts
    """

    sensitivity: float
    specificity: float
    reject_rate: float
    ppv: float
    npv: float
    escape_ppm: float
    overkill_rate: float
    escape_share: float


def outcome(*, share_defective: float, sensitivity: float, specificity: float) -> Outcome:
    """Bayes' rule. Raises ParameterOutOfRange outside 0..1."""
    p = share(share_defective, parameter="share_defective", ends=True)
    se, sp = (
        share(sensitivity, parameter="sensitivity", ends=True),
        share(specificity, parameter="specificity", ends=True),
    )
    rejected = p * se + (1 - p) * (1 - sp)
    passed = 1 - rejected
    return Outcome(
        sensitivity=se,
        specificity=sp,
        reject_rate=rejected,
        ppv=p * se / rejected if rejected > 0 else float("nan"),
        npv=(1 - p) * sp / passed if passed > 0 else float("nan"),
        escape_ppm=1e6 * p * (1 - se) / passed if passed > 0 else float("nan"),
        overkill_rate=(1 - p) * (1 - sp),
        escape_share=p * (1 - se),
    )


def with_review(first: Outcome, *, share_defective: float, sensitivity: float, specificity: float) -> Outcome:
    """Every reject is looked at by a person, who sends good ones on: both stages as one inspection."""
    return outcome(
        share_defective=share_defective,
        sensitivity=first.sensitivity * sensitivity,
        specificity=first.specificity + (1 - first.specificity) * specificity,
    )


def parts_for_interval(rate: float, *, half_width: float, confidence: float = 0.95) -> int:
    """How many parts of a class prove a rate to within +- half_width (exact interval, the larger side)."""
    share(rate, parameter="rate", ends=True)
    positive(half_width, parameter="half_width")
    n = 5
    while True:
        low, high = exact_share_interval(round(rate * n), n, confidence=confidence)
        if max(high - rate, rate - low) <= half_width or n > 1_000_000:
            return n
        n += max(n // 100, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Population stability index of scores against those of the reference period: below 0.1 steady, above 0.25
    changed (S. Siddiqi, Credit Risk Scorecards, 2006)."""

    psi: float
    grade: Literal["steady", "moving", "changed"]


def score_drift(reference: ArrayLike, present: ArrayLike, *, bins: int = 10) -> Drift:
    """Bins at the quantiles of the reference; empty ones count as half a value."""
    old = numbers(reference, method="psi", needed=bins, must_vary=True)
    new = numbers(present, method="psi", needed=2)
    edges = np.unique(np.quantile(old, np.linspace(0, 1, bins + 1)[1:-1]))
    a = np.bincount(np.searchsorted(edges, old, side="right"), minlength=edges.size + 1)
    b = np.bincount(np.searchsorted(edges, new, side="right"), minlength=edges.size + 1)
    psi = stability_index(np.maximum(a, 0.5), np.maximum(b, 0.5))
    return Drift(psi=psi, grade="steady" if psi < 0.1 else "moving" if psi < 0.25 else "changed")


def stability_index(reference: ArrayLike, present: ArrayLike) -> float:
    """Sum of (q - p) ln(q / p) over bins; counts or shares per bin, none of them 0."""
    old, new = numbers(reference, method="psi", needed=2), numbers(present, method="psi", needed=2)
    within(new.size, parameter="bins", allowed=str(old.size), is_allowed=new.size == old.size)
    positive(float(min(old.min(), new.min())), parameter="share of a bin")
    p, q = old / old.sum(), new / new.sum()
    return float(np.sum((q - p) * np.log(q / p)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """One series beside the rejects: where it changed, how far from the change of rejects, how surely."""

    name: str
    is_inspector: bool
    change: Change
    lag: int

    @property
    def is_shown(self) -> bool:
        return self.change.p <= 0.01


def who_moved(
    rejects: Change,
    inspector: Mapping[str, ArrayLike],
    process: Mapping[str, ArrayLike],
    *,
    within_points: int = 5,
) -> tuple[Mover, ...]:
    """Did the process move, or the inspector? Series on one time axis (golden part, focus, brightness, score; and
    process parameters), those that changed surely and near the change of rejects first.

    A ranking of suspects, not a verdict: what moved together is associated, no more.
    """
    movers = []
    for is_inspector, group in ((True, inspector), (False, process)):
        for name, values in group.items():
            x = numbers(values, method=name, needed=3)
            if np.all(x == x[0]):
                continue
            change = change_point(x, kind="mean", least=2, permutations=199)
            movers.append(
                Mover(name=name, is_inspector=is_inspector, change=change, lag=change.before - rejects.before)
            )
    return tuple(
        sorted(
            movers,
            key=lambda one: (
                not (one.is_shown and abs(one.lag) <= within_points),
                one.change.p,
                abs(one.lag),
                one.name,
            ),
        )
    )


def _lang_reiczigel(
    apparent: float, n: int, se: float, sp: float, proof: tuple[int, int], z: float
) -> Interval:
    bad, good = proof
    within(min(bad, good), parameter="proof", allowed=">= 1", is_allowed=min(bad, good) >= 1)
    size, level = n + z**2, (n * apparent + z**2 / 2) / (n + z**2)
    se_size, se_level = bad + 2, (bad * se + 1) / (bad + 2)
    sp_size, sp_level = good + 2, (good * sp + 1) / (good + 2)
    gain = se_level + sp_level - 1
    p = (level + sp_level - 1) / gain
    se_spread, sp_spread = se_level * (1 - se_level) / se_size, sp_level * (1 - sp_level) / sp_size
    shift = 2 * z**2 * (p * se_spread - (1 - p) * sp_spread)
    off = z * sqrt(level * (1 - level) / size + p**2 * se_spread + (1 - p) ** 2 * sp_spread) / gain
    return p + shift - off, p + shift + off


def _youden(sensitivity: float, specificity: float) -> float:
    share(sensitivity, parameter="sensitivity", ends=True)
    share(specificity, parameter="specificity", ends=True)
    if sensitivity + specificity <= 1:
        raise InspectorBlind(
            f"With sensitivity {sensitivity:g} and specificity {specificity:g} a reject says nothing about a defect.",
            action="Check the audit: are good and bad exchanged?",
            sensitivity=sensitivity,
            specificity=specificity,
        )
    return sensitivity + specificity - 1


def _cut(value: float) -> float:
    return min(max(value, 0.0), 1.0)
