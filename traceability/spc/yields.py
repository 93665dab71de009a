"""Figures of merit: yields, defects per million, cost of poor quality, suppliers, handling times, and Pareto.

The field gives the same names to different figures, so every one here has its definition beside it as a text key
(`spc.definition.<name>`) that reports print. 直通率 is the rolled throughput yield, the product of the first-pass
yields of the steps; parts that were reworked are never first-pass good.

Sources: M. J. Harry, The Nature of Six Sigma Quality (1988); E. L. Cano et al., Six Sigma with R (2012); F. Garwood,
Biometrika 28 (1936) 437-442 (Poisson limits); E. B. Wilson (1927).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2, norm

from traceability.spc.agreement import exact_share_interval, wilson_interval
from traceability.spc.checks import counts, enough, numbers, positive, share, within

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoBar:
    """One cause. `share` and `cumulative_share` are 0..1 of the total, the latter up to this bar."""

    name: str
    weight: float
    share: float
    cumulative_share: float


def pareto(weights: Mapping[str, float]) -> tuple[ParetoBar, ...]:
    """Causes by weight (a count, or count x cost or area), the heaviest first, ties by name."""
    total = sum(weights.values())
    bars: list[ParetoBar] = []
    so_far = 0.0
    for name, weight in sorted(weights.items(), key=lambda item: (-item[1], item[0])):
        so_far += weight
        bars.append(
            ParetoBar(
                name=name,
                weight=weight,
                share=weight / total if total else 0.0,
                cumulative_share=so_far / total if total else 0.0,
            )
        )
    return tuple(bars)


def vital_few(bars: Sequence[ParetoBar], *, share_of_total: float = 0.8) -> tuple[ParetoBar, ...]:
    """The fewest bars that together make up at least this share."""
    few: list[ParetoBar] = []
    for bar in bars:
        if few and few[-1].cumulative_share >= share_of_total - 1e-12:
            break
        few.append(bar)
    return tuple(few)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a process: units in, good at the first pass, made good by rework, scrapped."""

    name: str
    units_in: int
    first_pass_good: int
    reworked_good: int = 0
    scrapped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessYield:
    """fpy            first-pass good / units in, by step; with exact intervals
    rolled            直通率: product of the first-pass yields
    final             good out of the last step, reworked ones with it / started
    scrap_rate        报废率: scrapped / started
    hidden_factory    final - rolled: what only rework makes good
    """

    fpy: tuple[float, ...]
    fpy_interval: tuple[Interval, ...]
    rolled: float
    final: float
    scrap_rate: float
    rework_rate: tuple[float, ...]
    hidden_factory: float


def process_yield(steps: Sequence[Step], *, confidence: float = 0.95) -> ProcessYield:
    """Yields of a chain of steps. Raises CountImpossible where a step accounts for more units than came in."""
    enough(len(steps), method="process_yield", needed=1)
    counts(
        [step.first_pass_good + step.reworked_good + step.scrapped for step in steps],
        [step.units_in for step in steps],
        method="process_yield",
    )
    for name in ("first_pass_good", "reworked_good", "scrapped"):
        counts([getattr(step, name) for step in steps], method="process_yield")
    fpy = tuple(step.first_pass_good / step.units_in for step in steps)
    started, last = steps[0].units_in, steps[-1]
    rolled = float(np.prod(fpy))
    final = (last.first_pass_good + last.reworked_good) / started
    return ProcessYield(
        fpy=fpy,
        fpy_interval=tuple(
            exact_share_interval(step.first_pass_good, step.units_in, confidence=confidence) for step in steps
        ),
        rolled=rolled,
        final=final,
        scrap_rate=sum(step.scrapped for step in steps) / started,
        rework_rate=tuple(step.reworked_good / step.units_in for step in steps),
        hidden_factory=final - rolled,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DefectiveYield:
    """Yields from defects and reworks by step, all of the same units (Cano et al.).

    final_yield      1 - all defects / units
    first_time       1 - (all defects + all reworks) / units
    rolled           product over steps of 1 - (defects + reworks) / units
    """

    defects: int
    final_yield: float
    first_time: float
    rolled: float
    dpmo: float


def defective_yield(defects: ArrayLike, rework: ArrayLike, *, units: int) -> DefectiveYield:
    """One unit with a defect in each count; `units` went through every step."""
    bad, _ = counts(defects, float(units), method="defective_yield")
    again, _ = counts(rework, float(units), method="defective_yield")
    lost = (bad + again) / units
    return DefectiveYield(
        defects=int(bad.sum()),
        final_yield=1 - float(bad.sum()) / units,
        first_time=1 - float((bad + again).sum()) / units,
        rolled=float(np.prod(1 - lost)),
        dpmo=1e6 * float(bad.sum()) / units,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DefectRate:
    """Defects per unit and per million opportunities, with exact Poisson interval, and the sigma level.

    sigma_level  None where there are more defects than opportunities: then no share of them is good
    """

    dpu: float
    dpu_interval: Interval
    dpmo: float
    dpmo_interval: Interval
    fpy: float | None
    fpy_interval: Interval | None
    sigma_level: float | None


def defect_rate(
    *,
    defects: int,
    units: int,
    opportunities: int = 1,
    defective: int | None = None,
    shift: float = 1.5,
    confidence: float = 0.95,
) -> DefectRate:
    """`defective` units, where counted, give the first-pass yield; `shift` of the sigma level can be set to 0."""
    counts([defects], method="dpmo")
    positive(units, parameter="units")
    positive(opportunities, parameter="opportunities")
    low, high = poisson_interval(defects, confidence=confidence)
    dpmo = 1e6 * defects / (units * opportunities)
    yield_interval = None
    if defective is not None:
        counts([defective], [units], method="dpmo")
        low_yield, high_yield = exact_share_interval(units - defective, units, confidence=confidence)
        yield_interval = (low_yield, high_yield)
    return DefectRate(
        dpu=defects / units,
        dpu_interval=(low / units, high / units),
        dpmo=dpmo,
        dpmo_interval=(1e6 * low / (units * opportunities), 1e6 * high / (units * opportunities)),
        fpy=None if defective is None else 1 - defective / units,
        fpy_interval=yield_interval,
        sigma_level=sigma_level(dpmo, shift=shift) if dpmo <= 1e6 else None,
    )


def sigma_level(dpmo: float, *, shift: float = 1.5) -> float:
    """z of the good share plus the shift; infinite without defects. One tail."""
    within(dpmo, parameter="dpmo", allowed="0..10^6", is_allowed=0 <= dpmo <= 1e6)
    return float(norm.isf(dpmo / 1e6)) + shift


def dpmo_of_sigma(level: float, *, shift: float = 1.5) -> float:
    """The other way round."""
    return 1e6 * float(norm.sf(level - shift))


def poisson_interval(count: float, *, confidence: float = 0.95) -> Interval:
    """Garwood's exact interval of a Poisson mean."""
    tail = (1 - share(confidence, parameter="confidence")) / 2
    low = 0.0 if count == 0 else float(chi2.ppf(tail, 2 * count)) / 2
    return low, float(chi2.isf(tail, 2 * count + 2)) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share with Wilson's interval and its target, where it has one."""

    name: str
    count: int
    of: int
    value: float
    interval: Interval
    target: float | None = None

    @property
    def is_met(self) -> bool | None:
        return None if self.target is None else self.value >= self.target


RateName = Literal[
    "incoming_lot_acceptance",
    "oqc_sampling",
    "oqc_lot_acceptance",
    "scrap",
    "first_pass",
    "corrective_action_closure",
]


def rate(
    name: RateName,
    *,
    count: int,
    of: int,
    target: float | None = None,
    confidence: float = 0.95,
) -> Rate:
    """A share of units, lots or cases.

    进料批合格率 lots accepted / lots received; OQC抽检率 units inspected / units shipped; OQC抽检批合格率 lots accepted
    / lots inspected; 报废率 scrapped / started; FPY; 不符合项改善完成率 closed / opened.
    """
    counts([count], [of], method=name)
    return Rate(
        name=name,
        count=count,
        of=of,
        value=count / of,
        interval=wilson_interval(count, of, confidence=confidence),
        target=target,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityCost:
    """质量成本: what conformance costs (prevention, appraisal) and what non-conformance does (不良成本, COPQ)."""

    prevention: float
    appraisal: float
    internal_failure: float
    external_failure: float
    revenue: float | None = None

    def __post_init__(self) -> None:
        for name in ("prevention", "appraisal", "internal_failure", "external_failure"):
            value = getattr(self, name)
            within(value, parameter=name, allowed=">= 0", is_allowed=value >= 0)

    @property
    def poor_quality(self) -> float:
        return self.internal_failure + self.external_failure

    @property
    def total(self) -> float:
        return self.prevention + self.appraisal + self.poor_quality

    @property
    def poor_quality_share(self) -> float | None:
        """质量不良成本率: of revenue."""
        return None if not self.revenue else self.poor_quality / self.revenue


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplierScore:
    """0..100 with its interval; `parts` the weighted part of each criterion, which add up to it.

    The interval comes from that of the lot acceptance: two lots do not rank a supplier.
    """

    score: float
    interval: Interval
    parts: Mapping[str, float]
    lot_acceptance: Rate
    ppm: float


def supplier_score(
    *,
    lots_accepted: int,
    lots: int,
    defective: int,
    units: int,
    response_days: float,
    closed: int,
    opened: int,
    weights: Mapping[str, float] | None = None,
    ppm_worst: float = 10_000,
    days_worst: float = 30,
    confidence: float = 0.95,
) -> SupplierScore:
    """供应商质量评分 from lots accepted, ppm, days to respond, and 8D closed of opened; weights are editable.

    ppm and days score 100 at 0 and fall in a line to 0 at their worst.
    """
    chosen = dict(weights or {"lot_acceptance": 0.4, "ppm": 0.3, "response": 0.15, "closure": 0.15})
    total = sum(chosen.values())
    positive(total, parameter="weights")
    acceptance = rate("incoming_lot_acceptance", count=lots_accepted, of=lots, confidence=confidence)
    counts([defective], [units], method="supplier_score")
    ppm = 1e6 * defective / units
    closure = 1.0 if opened == 0 else rate("corrective_action_closure", count=closed, of=opened).value
    achieved = {
        "lot_acceptance": acceptance.value,
        "ppm": max(0.0, 1 - ppm / ppm_worst),
        "response": max(0.0, 1 - response_days / days_worst),
        "closure": closure,
    }
    parts = {name: 100 * chosen.get(name, 0) / total * value for name, value in achieved.items()}
    rest = sum(value for name, value in parts.items() if name != "lot_acceptance")
    weight = 100 * chosen.get("lot_acceptance", 0) / total
    return SupplierScore(
        score=sum(parts.values()),
        interval=(rest + weight * acceptance.interval[0], rest + weight * acceptance.interval[1]),
        parts=parts,
        lot_acceptance=acceptance,
        ppm=ppm,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlingTime:
    """异常处理时间, hours from call to closure. `open` ones are counted, not timed."""

    closed: int
    open: int
    mean: float
    median: float
    p90: float
    interval: Interval
    within_target: float | None


def handling_time(
    hours: ArrayLike, *, still_open: int = 0, target_hours: float | None = None, confidence: float = 0.95
) -> HandlingTime:
    """Interval of the mean on the logarithm: handling times are skewed. One closed case has no interval (NaN)."""
    x = numbers(hours, method="handling_time")
    within(float(x.min()), parameter="hours", allowed=">= 0", is_allowed=bool(x.min() >= 0))
    logs = np.log(np.maximum(x, 1e-3))
    z = float(norm.isf((1 - confidence) / 2))
    if x.size > 1:
        variance = float(logs.var(ddof=1))
        # Cox's interval of a lognormal mean.
        middle = float(logs.mean()) + variance / 2
        off = z * sqrt(variance / x.size + variance**2 / (2 * (x.size - 1)))
        interval = (exp(middle - off), exp(middle + off))
    else:
        interval = (float("nan"), float("nan"))
    return HandlingTime(
        closed=x.size,
        open=still_open,
        mean=float(x.mean()),
        median=float(np.median(x)),
        p90=float(np.quantile(x, 0.9)),
        interval=interval,
        within_target=None if target_hours is None else float(np.mean(x <= target_hours)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a figure should reach, for a plant or for part of it; None stands for every one."""

    figure: str
    value: float
    plant: str | None = None
    line: str | None = None
    station: str | None = None
    shift: str | None = None


def target_of(
    targets: Sequence[Target], figure: str, *, plant: str, line: str, station: str, shift: str
) -> Target | None:
    """The most specific target that holds here: shift before station before line before plant."""
    place = {"plant": plant, "line": line, "station": station, "shift": shift}
    holding = [
        target
        for target in targets
        if target.figure == figure
        and all(getattr(target, name) in (None, value) for name, value in place.items())
    ]
    return max(
        holding,
        key=lambda target: tuple(
            getattr(target, name) is not None for name in ("shift", "station", "line", "plant")
        ),
        default=None,
    )
