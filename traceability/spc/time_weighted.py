"""Charts that remember: EWMA and CUSUM of measured values, Bernoulli and Poisson CUSUM unit by unit.

They find small shifts soon, and need no subgroups where every unit is inspected. Designed by the run length
wanted (`run_length`). Sources: D. C. Montgomery, Introduction to Statistical Quality Control, 8th ed., chapter 9;
J. M. Lucas and R. B. Crosier, Technometrics 24 (1982) 199-205 (head start); M. R. Reynolds and Z. G. Stoumbos,
J. Quality Technology 31 (1999) 87-108 (Bernoulli); J. M. Lucas, Technometrics 27 (1985) 129-144 (Poisson).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from traceability.spc.charts import ControlChart, make_chart
from traceability.spc.checks import counts, numbers, positive, rounding, within
from traceability.spc.rules import BEYOND_LIMITS
from traceability.spc.run_length import bernoulli_reference, poisson_reference

Floats = NDArray[np.float64]


def ewma_chart(
    values: ArrayLike,
    *,
    weight: float,
    target: float,
    sigma: ArrayLike,
    sigmas: float = 3,
    limits: Literal["exact", "asymptotic"] = "exact",
    start: float | None = None,
) -> ControlChart:
    """EWMA of single values or subgroup means, shape (n,).

    weight  lambda, 0 < weight <= 1
    sigma   of one plotted value: of a mean of n, sigma within / sqrt(n); one, or one per point
    limits  exact: of each point's own age; asymptotic: of a chart that ran forever
    start   what the chart remembers before the first point; the target by default
    """
    x = numbers(values, method="ewma")
    within(weight, parameter="weight", allowed="0 < … <= 1", is_allowed=0 < weight <= 1)
    spread = np.broadcast_to(numbers(sigma, method="ewma"), x.shape)
    positive(float(spread.min()), parameter="sigma")
    ewma = np.empty(x.size)
    before = target if start is None else start
    variance = 0.0
    off = np.empty(x.size)
    for index, value in enumerate(x):
        before = weight * value + (1 - weight) * before
        variance = (weight * spread[index]) ** 2 + (1 - weight) ** 2 * variance
        ewma[index], off[index] = before, sqrt(variance)
    if limits == "asymptotic":
        off = spread * sqrt(weight / (2 - weight))
    return make_chart(
        statistic="ewma",
        value=ewma,
        centre=target,
        sigma=off,
        sigmas=sigmas,
        method="ewma",
        conventions=(f"lambda:{weight:g}", f"sigmas:{sigmas:g}", f"limits:{limits}"),
        rules=(BEYOND_LIMITS,),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shift:
    """What a CUSUM says at its first signal: 0-based point, how long the sum was off 0, when, and by how much.

    last_in_control  0-based, the last point before the shift; -1: it was there from the start
    new_mean         in the unit of the values
    """

    index: int
    side: Literal["above", "below"]
    periods: int
    last_in_control: int
    new_mean: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cusum:
    """Tabular CUSUM. Both sums are positive numbers, in the unit of h; shape (n,).

    periods_above, periods_below  N+ and N-: for how many points in a row the sum has been off 0
    signals_above, signals_below  0-based points with a sum beyond h
    """

    above: Floats
    below: Floats
    periods_above: NDArray[np.int_]
    periods_below: NDArray[np.int_]
    h: float
    k: float
    signals_above: tuple[int, ...]
    signals_below: tuple[int, ...]
    shift: Shift | None

    @property
    def signals(self) -> tuple[int, ...]:
        return tuple(sorted({*self.signals_above, *self.signals_below}))


def cusum_chart(
    values: ArrayLike,
    *,
    target: float,
    k: float,
    h: float,
    sigma: float = 1,
    head_start: float = 0,
    is_reset: bool = False,
) -> Cusum:
    """Two-sided tabular CUSUM of single values or subgroup means.

    k, h        reference value and decision interval, in `sigma`; with sigma = 1 in the unit of the values
    head_start  of both sums, in sigma: h/2 is Lucas and Crosier's fast initial response
    is_reset    start again (with the head start) after a signal; otherwise the sums go on
    """
    x = numbers(values, method="cusum")
    positive(sigma, parameter="sigma")
    positive(h, parameter="h")
    within(k, parameter="k", allowed=">= 0", is_allowed=k >= 0)
    z = (x - target) / sigma
    # Every step adds what was lost in subtracting the target, in sigmas.
    off = float(rounding(0, np.abs(x).max(), target)) / sigma
    above, periods_above, ups = _sums(z - k, head_start, h=h, is_reset=is_reset, off_per_step=off)
    below, periods_below, downs = _sums(-z - k, head_start, h=h, is_reset=is_reset, off_per_step=off)
    shift = None
    if ups or downs:
        first = min((*ups, *downs))
        is_up = first in ups
        sums, periods = (above, periods_above) if is_up else (below, periods_below)
        count = int(periods[first])
        size = k + float(sums[first]) / count
        shift = Shift(
            index=first,
            side="above" if is_up else "below",
            periods=count,
            last_in_control=first - count,
            new_mean=target + sigma * (size if is_up else -size),
        )
    return Cusum(
        above=above,
        below=below,
        periods_above=periods_above,
        periods_below=periods_below,
        h=h,
        k=k,
        signals_above=ups,
        signals_below=downs,
        shift=shift,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventCusum:
    """CUSUM of units or of counts. `reference` is taken at each step; `per_event` is what one event adds."""

    value: Floats
    reference: float
    per_event: float
    h: float
    signals: tuple[int, ...]

    @property
    def last_zero(self) -> int | None:
        """0-based, the last point at 0 before the first signal: where the change is likely to have begun."""
        if not self.signals:
            return None
        zeros = np.flatnonzero(self.value[: self.signals[0]] == 0)
        return int(zeros[-1]) if zeros.size else -1


def bernoulli_cusum(
    defective: ArrayLike,
    *,
    p0: float,
    p1: float,
    h: float,
    scale: Literal["units", "log_likelihood"] = "units",
    head_start: float = 0,
    is_reset: bool = False,
) -> EventCusum:
    """Unit by unit, 1 for a refused one: no subgroups needed where everything is inspected.

    p0, p1  share refused in control, and the one to be found; p1 may be lower, to see an improvement
    scale   units: a refused unit adds 1 - gamma, a good one takes gamma; log_likelihood: both times
            ln(p1 (1-p0) / (p0 (1-p1))), Wald's scale
    h       a signal is a sum at or beyond h, in the scale chosen
    """
    x, _ = counts(
        defective, np.ones_like(numbers(defective, method="bernoulli_cusum")), method="bernoulli_cusum"
    )
    positive(h, parameter="h")
    low, high = sorted((p0, p1))
    reference = bernoulli_reference(p0=low, p1=high)
    weight = log(high * (1 - low) / (low * (1 - high))) if scale == "log_likelihood" else 1.0
    step = weight * (x - reference) * (1 if p1 > p0 else -1)
    return _event_cusum(step, h, head_start, is_reset, reference * weight, weight)


def poisson_cusum(
    count: ArrayLike,
    *,
    rate0: float,
    rate1: float,
    h: float,
    opportunity: ArrayLike = 1.0,
    head_start: float = 0,
    is_reset: bool = False,
) -> EventCusum:
    """Counts in areas or lengths of opportunity: each adds its count less reference times opportunity.

    The reference is (rate1 - rate0) / ln(rate1/rate0), per unit of opportunity. A signal is a sum at or beyond h.
    """
    positive(rate0, parameter="rate0")
    positive(rate1, parameter="rate1")
    within(rate1, parameter="rate1", allowed="another than rate0", is_allowed=rate1 != rate0)
    x, area = counts(count, opportunity, method="poisson_cusum", whole=False)
    positive(h, parameter="h")
    reference = poisson_reference(rate0, rate1)
    step = (x - reference * area) * (1 if rate1 > rate0 else -1)
    return _event_cusum(step, h, head_start, is_reset, reference, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RareEventCusum:
    """CUSUM at the units with events, shape (n,).

    since    0-based, at each point: the one with which the sum last rose from 0
    signals  0-based points with a sum of h or more
    """

    value: Floats
    since: NDArray[np.int_]
    h: float
    signals: tuple[int, ...]


def rare_event_cusum(between: ArrayLike, count: ArrayLike = 1.0, *, steps: int, h: float) -> RareEventCusum:
    """Bernoulli or Poisson CUSUM of what is rare, as `run_length.EventDesign` sets it up, at the units with events:
    there alone it rises. The units between take 1/steps each.

    between  units without an event before each of those with one
    count    events on each unit: one of a Bernoulli CUSUM

    After a signal the sum begins at 0 again, as after the cause was found: a change that lasts signals again and
    again. Sums are whole numbers of steps, so that one that just reaches h is told from one that just does not.
    """
    good, _ = counts(between, method="rare_event_cusum")
    events, _ = counts(np.broadcast_to(count, good.shape), method="rare_event_cusum")
    positive(steps, parameter="steps")
    positive(h, parameter="h")
    sums, since = np.empty(good.size, np.int_), np.empty(good.size, np.int_)
    total, begun, top = 0, 0, round(h * steps)
    for index, (before, found) in enumerate(zip(good.astype(int), events.astype(int), strict=True)):
        left = 0 if total >= top else total - int(before)
        if left <= 0:
            left, begun = 0, index
        total = max(0, left + int(found) * steps - 1)
        sums[index], since[index] = total, begun
    return RareEventCusum(
        value=sums / steps,
        since=since,
        h=h,
        signals=tuple(int(index) for index in np.flatnonzero(sums >= top)),
    )


def _event_cusum(
    step: Floats, h: float, head_start: float, is_reset: bool, reference: float, per_event: float
) -> EventCusum:
    value, _, found = _sums(step, head_start, h=h, is_reset=is_reset, is_signal_at_h=True)
    return EventCusum(value=value, reference=reference, per_event=per_event, h=h, signals=found)


def _sums(
    step: Floats,
    head_start: float,
    *,
    h: float,
    is_reset: bool,
    is_signal_at_h: bool = False,
    off_per_step: float = 0.0,
) -> tuple[Floats, NDArray[np.int_], tuple[int, ...]]:
    """Sums, for how many steps each has been off 0, and the 0-based places of signals.

    off_per_step  what rounding may add at each step. A sum that only rounding keeps off 0, or off h, is on it
    """
    sums, periods, found = np.empty(step.size), np.zeros(step.size, np.int_), []
    total, count, is_signal = head_start, 0, False
    off_at_first = float(rounding(h))
    for index, each in enumerate(step.tolist()):
        if is_signal and is_reset:
            total, count = head_start, 0
        total, count = total + each, count + 1
        slack = off_at_first + count * off_per_step
        if total <= slack:
            total, count = 0.0, 0
        is_signal = total >= h - slack if is_signal_at_h else total > h + slack
        sums[index], periods[index] = total, count
        if is_signal:
            found.append(index)
    return sums, periods, tuple(found)
