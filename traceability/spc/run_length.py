"""How long until a chart speaks: average run lengths, and the chart that has a wanted one.

ARL0 is the mean number of points until a false alarm on a process in control, ARL at a shift the mean number
until a shift of so many sigmas is found. Rules that look at zones only are a finite Markov chain and are
computed exactly (C. W. Champ and W. H. Woodall, Technometrics 29 (1987) 393-399). Rules that compare
neighbours (trend, alternating) have no finite chain and are simulated from a seed, with their standard error.
CUSUM and EWMA charts: integral equations by Gauss-Legendre quadrature (S. Knoth, spc for R, uses the same).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log, sqrt
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.signal import lfilter
from scipy.sparse import csr_matrix, identity
from scipy.sparse.linalg import spsolve
from scipy.stats import ncx2, norm, poisson

from traceability.errors import NotRare
from traceability.spc.checks import positive, within
from traceability.spc.rules import Rule

Floats = NDArray[np.float64]

# Standard error of a simulated ARL is about its value over the root of this: 0.8 %.
SERIES = 15_000
_COMPARES_NEIGHBOURS = ("trend", "alternating")
_NODES = 90

LEAST_STEPS: Final = 3
"""Coarser steps would have a CUSUM of rare events made for quite another rate than was asked."""

LEAST_RATE: Final = 1e-5
"""Events per unit. Of what is rarer, steps would be more than a computer wants to hold; time tells more (t chart)."""

LEAST_RATIO: Final = 1.2
"""A rate nearer to the one in control takes thousands of events to tell from it."""

ENOUGH_LEVELS: Final = 24
"""Events that a sum holds at h: 12 for a ratio of LEAST_RATIO and 370 events to a false alarm, 7 for twice the rate."""

MOST_COUNT: Final = 16
"""Events on one unit, of what is rare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLength:
    """`standard_error` is 0 where the value is exact."""

    mean: float
    method: Literal["exact", "simulated"]
    standard_error: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """What the rules ticked cost: the false-alarm meter.

    in_control        run length of one chart on a process in control
    at_one_sigma      run length after a shift of one sigma: what the rules are for
    charts            how many charts are looked at with them
    per_cycle         false alarms to be expected each time every chart gets one point: charts / ARL0
    chance_per_cycle  that at least one of the charts, taken as independent, gives a false alarm in a cycle
    """

    in_control: RunLength
    at_one_sigma: RunLength
    charts: int
    per_cycle: float
    chance_per_cycle: float


def false_alarms(rules: Sequence[Rule], *, charts: int = 1) -> FalseAlarms:
    """The meter for so many charts with these rules."""
    within(charts, parameter="charts", allowed=">= 1", is_allowed=charts >= 1)
    in_control = run_length(rules)
    return FalseAlarms(
        in_control=in_control,
        at_one_sigma=run_length(rules, shift=1),
        charts=charts,
        per_cycle=charts / in_control.mean,
        chance_per_cycle=float(-np.expm1(charts * np.log1p(-1 / in_control.mean))),
    )


def run_length(rules: Sequence[Rule], *, shift: float = 0) -> RunLength:
    """Mean number of points until any of the rules signals, of independent normal points shifted by so many sigmas."""
    within(len(rules), parameter="rules", allowed=">= 1", is_allowed=len(rules) > 0)
    return _run_length(tuple(rules), float(shift))


@lru_cache(maxsize=128)
def _run_length(rules: tuple[Rule, ...], shift: float) -> RunLength:
    if any(rule.kind in _COMPARES_NEIGHBOURS for rule in rules):
        return simulated_run_length(rules, shift=shift)
    return RunLength(mean=_exact(rules, shift), method="exact")


def simulated_run_length(
    rules: Sequence[Rule], *, shift: float = 0, series: int = SERIES, seed: int = 1
) -> RunLength:
    """The same by simulation of so many series, all at once."""
    random = np.random.default_rng(seed)
    lengths = np.zeros(series)
    alive = np.arange(series)
    memories: list[_Watch] = [_Watch(rule, series) for rule in rules]
    point = 0
    while alive.size:
        point += 1
        z = random.standard_normal(alive.size) + shift
        done = np.zeros(alive.size, bool)
        for memory in memories:
            done |= memory.sees(z)
        lengths[alive[done]] = point
        alive = alive[~done]
        for memory in memories:
            memory.keep(~done)
    return RunLength(
        mean=float(lengths.mean()),
        method="simulated",
        standard_error=float(lengths.std(ddof=1) / sqrt(series)),
    )


def shewhart_arl(*, shift: float = 0, sigmas: float = 3, n: int = 1) -> float:
    """Exact ARL of limits at +-`sigmas` when the mean of subgroups of n moves by `shift` process sigmas."""
    off = shift * sqrt(n)
    return float(1 / (norm.cdf(-sigmas - off) + norm.sf(sigmas - off)))


def autocorrelated_arl(*, phi: float, sigmas: float = 3, shift: float = 0) -> float:
    """ARL of limits at +-`sigmas` true standard deviations of an AR(1) process with coefficient `phi`.

    The shift is of the mean, in the process' own standard deviations. With limits from the moving range, whose
    sigma shrinks by sqrt(1 - phi), give `sigmas` times that root.
    """
    within(phi, parameter="phi", allowed="-1 < … < 1", is_allowed=-1 < phi < 1)
    noise = sqrt(1 - phi**2)
    at, weight = _gauss(-sigmas - shift, sigmas - shift, 160)
    kernel = norm.pdf((at[None, :] - phi * at[:, None]) / noise) / noise * weight
    arl = np.linalg.solve(np.eye(len(at)) - kernel, np.ones(len(at)))
    return float(1 + np.sum(norm.pdf(at) * weight * arl))


def cusum_arl(
    *, k: float, h: float, shift: float = 0, head_start: float = 0, sides: Literal[1, 2] = 2
) -> float:
    """Zero-state ARL of the tabular CUSUM; k, h, head start and shift in sigmas of the plotted value.

    One-sided: the upper one. Two sides by the rule of J. M. Lucas and R. B. Crosier, Technometrics 24 (1982).
    """
    positive(h, parameter="h")
    within(head_start, parameter="head_start", allowed="0 <= … < h", is_allowed=0 <= head_start < h)
    up_zero, up_head = _one_sided_cusum(k, h, shift, head_start)
    if sides == 1:
        return up_head
    down_zero, down_head = _one_sided_cusum(k, h, -shift, head_start)
    return (up_head * down_zero + down_head * up_zero - up_zero * down_zero) / (up_zero + down_zero)


def ewma_arl(*, weight: float, sigmas: float, shift: float = 0) -> float:
    """Zero-state ARL of the two-sided EWMA with asymptotic limits; `weight` is lambda."""
    within(weight, parameter="weight", allowed="0 < … <= 1", is_allowed=0 < weight <= 1)
    half = sigmas * sqrt(weight / (2 - weight))
    at, node_weight = _gauss(-half, half, _NODES)

    def kernel(start: Floats) -> Floats:
        density: Floats = norm.pdf((at[None, :] - (1 - weight) * start[:, None]) / weight - shift)
        return density / weight * node_weight

    arl = np.linalg.solve(np.eye(len(at)) - kernel(at), np.ones(len(at)))
    return float(1 + (kernel(np.zeros(1)) @ arl)[0])


def cusum_h(*, k: float, arl0: float, head_start_share: float = 0, sides: Literal[1, 2] = 2) -> float:
    """The decision interval h that gives the wanted ARL0; a head start is given as a share of h."""
    _wanted(arl0)
    return _inverse(
        lambda h: cusum_arl(k=k, h=h, head_start=head_start_share * h, sides=sides), arl0, 0.05, 40
    )


def ewma_sigmas(*, weight: float, arl0: float) -> float:
    """The width L of EWMA limits that gives the wanted ARL0."""
    _wanted(arl0)
    return _inverse(lambda sigmas: ewma_arl(weight=weight, sigmas=sigmas), arl0, 0.3, 6)


def shewhart_sigmas(*, arl0: float) -> float:
    """The width of Shewhart limits that gives the wanted ARL0."""
    _wanted(arl0)
    return float(norm.isf(1 / arl0 / 2))


def mewma_arl(*, weight: float, h: float, variables: int) -> float:
    """In-control ARL of the MEWMA with asymptotic limits: the Markov chain of G. C. Runger and S. S. Prabhu,
    J. Quality Technology 28 (1996), on the distance of the vector from the origin."""
    rings = 200
    radius = sqrt(h * weight / (2 - weight))
    width = 2 * radius / (2 * rings + 1)
    middle = np.arange(rings + 1) * width
    off = ((1 - weight) * middle / weight) ** 2
    edges = (np.arange(rings + 1) + 0.5) * width / weight
    below = ncx2.cdf(edges[None, :] ** 2, variables, np.maximum(off[:, None], 1e-12))
    step = np.diff(below, axis=1, prepend=0)
    return float(np.linalg.solve(np.eye(rings + 1) - step, np.ones(rings + 1))[0])


def mewma_h(*, weight: float, variables: int, arl0: float) -> float:
    """The limit of the MEWMA's T² that gives the wanted ARL0."""
    _wanted(arl0)
    return _inverse(lambda h: mewma_arl(weight=weight, h=h, variables=variables), arl0, 0.5, 60)


def bernoulli_cusum_length(*, p: float, p0: float, p1: float, h: float) -> float:
    """Mean number of units until the Bernoulli CUSUM with reference from p0 and p1 reaches h, at true share p.

    By Markov chain on steps of 1/m, with m the whole number nearest to the inverse of the reference value
    (M. R. Reynolds and Z. G. Stoumbos, J. Quality Technology 31 (1999) 87-108).
    """
    steps = max(round(1 / bernoulli_reference(p0=p0, p1=p1)), 1)
    states = max(round(h * steps), 1)
    return float(event_cusum_lengths((1 - p, p), steps=steps, states=states)[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDesign:
    """A CUSUM of what is rare, unit by unit, that gives a false alarm as rarely as was asked.

    in_control  events per unit while nothing has changed
    to_find     events per unit for which the reference value is just 1/steps: near the rate asked for
    steps       what each unit takes is 1/steps, so that all sums are whole numbers of it
    h           a sum of h or more is a signal
    units_in_control, units_to_find  mean number of units until it signals, from a sum of 0, at the two rates
    """

    in_control: float
    to_find: float
    steps: int
    h: float
    units_in_control: float
    units_to_find: float


def bernoulli_design(*, p0: float, p1: float, arl0: float) -> EventDesign:
    """Of units that are good or not: p0 and p1 as shares, arl0 in units. Raises NotRare, ParameterOutOfRange."""
    return _event_design(
        p0,
        p1,
        arl0,
        reference=lambda low, high: bernoulli_reference(p0=low, p1=high),
        chances=lambda p: (1 - p, p),
        most=1.0,
    )


def poisson_design(*, rate0: float, rate1: float, arl0: float) -> EventDesign:
    """Of counts of each unit: rates in events per unit, arl0 in units. Raises NotRare, ParameterOutOfRange."""
    return _event_design(
        rate0,
        rate1,
        arl0,
        reference=poisson_reference,
        # Counts beyond these are less than a rounding error of what the others weigh.
        chances=lambda rate: tuple(float(chance) for chance in poisson.pmf(np.arange(MOST_COUNT), rate)),
        most=float(MOST_COUNT),
    )


def _event_design(
    rate0: float,
    rate1: float,
    arl0: float,
    *,
    reference: Callable[[float, float], float],
    chances: Callable[[float], Sequence[float]],
    most: float,
) -> EventDesign:
    within(
        _in_100(rate0),
        parameter="in_control",
        allowed=f">= {_in_100(LEAST_RATE):g}",
        is_allowed=rate0 >= LEAST_RATE,
    )
    rarest = _highest(lambda rate: reference(rate, 2 * rate), low=LEAST_RATE, high=most / 2)
    if rate0 > rarest:
        raise NotRare(
            f"In control {_in_100(rate0):.3g} events in 100 units are not rare: at most {_in_100(rarest):.3g} are.",
            action="Use a p or u chart, or chart one kind of defect.",
            rate=f"{_in_100(rate0):.3g}",
            most=f"{_in_100(rarest):.3g}",
        )
    nearest = LEAST_RATIO * rate0
    farthest = _highest(lambda rate: reference(rate0, rate), low=nearest, high=most)
    within(
        _in_100(rate1),
        parameter="to_find",
        allowed=f"{_in_100(nearest):.3g} … {_in_100(farthest):.3g}",
        is_allowed=nearest * (1 - 1e-12) <= rate1 <= farthest,
    )
    steps = round(1 / reference(rate0, rate1))
    found = float(brentq(lambda high: reference(rate0, high) - 1 / steps, rate0 * (1 + 1e-9), most - 1e-9))
    levels = ENOUGH_LEVELS if rate1 < 2 * rate0 else ENOUGH_LEVELS // 2
    lengths = event_cusum_lengths(chances(rate0), steps=steps, states=levels * steps)
    # The first that is long enough: far beyond it, the lengths of rates far apart have lost all their digits.
    reached = np.flatnonzero(lengths >= arl0)
    within(arl0, parameter="arl0", allowed=f"<= {lengths.max():.3g}", is_allowed=bool(reached.size))
    states = int(reached[0]) + 1
    return EventDesign(
        in_control=rate0,
        to_find=found,
        steps=steps,
        h=states / steps,
        units_in_control=float(lengths[states - 1]),
        units_to_find=float(event_cusum_lengths(chances(found), steps=steps, states=states)[-1]),
    )


def _highest(reference: Callable[[float], float], *, low: float, high: float) -> float:
    """The highest rate whose reference value is not too coarse; `high` itself is no rate any more."""
    coarsest, top = 1 / (LEAST_STEPS - 0.5), high * (1 - 1e-9)
    if reference(top) <= coarsest:
        return top
    return float(brentq(lambda rate: reference(rate) - coarsest, low, top))


def _in_100(rate: float) -> float:
    """As rates are asked for: events in 100 units."""
    return 100 * rate


def event_cusum_lengths(chances: Sequence[float], *, steps: int, states: int) -> Floats:
    """Mean number of units until a sum that begins at 0 reaches 1/steps, 2/steps, … states/steps, shape (states,).

    chances  of 0, 1, 2, … events on a unit; each unit takes one step, an event adds `steps` of them

    The sum falls by single steps only. Counted down from the signal, the length at each place therefore follows
    from those above it; what is not known is the one length next to the signal, and the place 0, where the sum
    does not fall, settles it. That is the chain of Reynolds and Stoumbos, solved without its matrix.
    """
    no_event = chances[0]
    # By distance from the signal: length = known + times * (the one unknown length); both 0 beyond the signal.
    known, times = np.zeros(states + 1), np.zeros(states + 1)
    times[1] = 1.0
    ahead = max(steps - 1, 1)
    for first in range(1, states, ahead):
        last = np.arange(first, min(first + ahead, states))
        for lengths, unit in ((known, 1.0), (times, 0.0)):
            given = -unit - _after_events(lengths, last, chances, steps)
            start = np.array([lengths[first] / no_event])
            lengths[last + 1] = lfilter([1 / no_event], [1, -1 / no_event], given, zi=start)[0]
    place = np.arange(1, states + 1)
    stays, weight = (
        (1 - no_event) * lengths[place] - _after_events(lengths, place, chances, steps)
        for lengths in (known, times)
    )
    return np.asarray(known[place] + (1 - stays) / weight * times[place])


def _after_events(lengths: Floats, place: NDArray[np.int_], chances: Sequence[float], steps: int) -> Floats:
    """What is still to come after a unit with events, weighted by its chance; nothing after a signal."""
    total = np.zeros(place.size)
    for count, chance in enumerate(chances[1:], start=1):
        after = place - (count * steps - 1)
        short = after > 0
        if not short.any():
            break
        total[short] += chance * lengths[after[short]]
    return total


def poisson_reference(rate0: float, rate1: float) -> float:
    """What each unit takes from the Poisson CUSUM: (rate1 - rate0) / ln(rate1/rate0), per unit of opportunity."""
    return (rate1 - rate0) / log(rate1 / rate0)


def bernoulli_reference(*, p0: float, p1: float) -> float:
    """What each unit takes from the Bernoulli CUSUM: -ln((1-p1)/(1-p0)) / ln(p1(1-p0) / (p0(1-p1)))."""
    within(p0, parameter="p0", allowed="0 < p0 < p1 < 1", is_allowed=0 < p0 < p1 < 1)
    return float(-log((1 - p1) / (1 - p0)) / log(p1 * (1 - p0) / (p0 * (1 - p1))))


def _one_sided_cusum(k: float, h: float, shift: float, head_start: float) -> tuple[float, float]:
    """ARL from 0 and from the head start. The state 0 has weight of its own: the sum is cut off there."""
    at, weight = _gauss(0, h, _NODES)
    starts = np.concatenate(([0.0], at))

    def kernel(start: Floats) -> Floats:
        to_zero = norm.cdf(k - start - shift)[:, None]
        return np.hstack([to_zero, norm.pdf(at[None, :] + k - start[:, None] - shift) * weight])

    arl = np.linalg.solve(np.eye(len(starts)) - kernel(starts), np.ones(len(starts)))
    return float(arl[0]), float(1 + (kernel(np.array([head_start])) @ arl)[0])


def _inverse(arl_at: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    def off(limit: float) -> float:
        arl = arl_at(limit)
        # Far out the equations lose their last digits: such a limit is beyond any that is wanted.
        return log(arl / wanted) if 0 < arl < 1e12 else 50.0

    return float(brentq(off, low, high, xtol=1e-10))


def _wanted(arl0: float) -> None:
    within(arl0, parameter="arl0", allowed="1 < … <= 10^7", is_allowed=1 < arl0 <= 1e7)


def _gauss(low: float, high: float, nodes: int) -> tuple[Floats, Floats]:
    at, weight = np.polynomial.legendre.leggauss(nodes)
    return (high - low) / 2 * at + (high + low) / 2, (high - low) / 2 * weight


_State = tuple[tuple[int, ...], ...]


def _exact(rules: tuple[Rule, ...], shift: float) -> float:
    """The finite chain of all that these rules remember, found by walking from nothing remembered."""
    borders = sorted({0.0} | {side * rule.sigmas for rule in rules for side in (-1, 1)})
    edges = np.array([-np.inf, *borders, np.inf])
    chance = np.diff(norm.cdf(edges - shift))
    inner = np.clip(edges, borders[0] - 1, borders[-1] + 1)
    points = (inner[1:] + inner[:-1]) / 2
    start: _State = tuple(_nothing(rule) for rule in rules)
    place = {start: 0}
    waiting = [start]
    rows: list[int] = []
    columns: list[int] = []
    weights: list[float] = []
    while waiting:
        state = waiting.pop()
        for z, probability in zip(points, chance, strict=True):
            after = _after(state, rules, float(z))
            if after is None:
                continue
            if after not in place:
                place[after] = len(place)
                waiting.append(after)
            rows.append(place[state])
            columns.append(place[after])
            weights.append(float(probability))
    size = len(place)
    step = csr_matrix((weights, (rows, columns)), shape=(size, size))
    arl = spsolve((identity(size, format="csr") - step).tocsc(), np.ones(size))
    return float(np.atleast_1d(arl)[0])


def _nothing(rule: Rule) -> tuple[int, ...]:
    return (0,) * (rule.points - 1) if rule.kind == "most_of" else (0, 0)


def _after(state: Iterable[tuple[int, ...]], rules: Iterable[Rule], z: float) -> _State | None:
    """What is remembered after this point; None where a rule signals."""
    after: list[tuple[int, ...]] = []
    for memory, rule in zip(state, rules, strict=True):
        kept = _remember(memory, rule, z)
        if kept is None:
            return None
        after.append(kept)
    return tuple(after)


def _remember(memory: tuple[int, ...], rule: Rule, z: float) -> tuple[int, ...] | None:
    side = 1 if z > 0 else -1
    far = abs(z) > rule.sigmas
    match rule.kind:
        case "beyond":
            return None if far else memory
        case "most_of":
            window = (*memory, side if far else 0)
            return None if far and window.count(side) >= rule.count else window[1:]
        case "within":
            near = 0 if far else memory[0] + 1
            return None if near >= rule.points else (near, 0)
        case "run":
            on_side = memory[0] + side if memory[0] * side > 0 else side
            return None if abs(on_side) >= rule.points else (on_side, 0)
        case _:
            # outside: how many in a row are far out, and how many of the last on the side of the last.
            if not far:
                return (0, 0)
            count = memory[0] + 1
            on_side = memory[1] + side if memory[1] * side > 0 else side
            full = count >= rule.points
            if full and (rule.sides == "either" or abs(on_side) < rule.points):
                return None
            return (min(count, rule.points), max(-rule.points, min(on_side, rule.points)))


class _Watch:
    """One rule watching many series at once; `sees` their next points, and `keep`s those that go on."""

    def __init__(self, rule: Rule, series: int) -> None:
        self.rule = rule
        self.before = np.full(series, np.nan)
        self.sign = np.zeros(series, np.int8)
        self.length = np.zeros(series, np.int32)
        self.far = np.zeros(series, np.int32)
        self.history = np.zeros((2, series), np.int32)
        window = np.arange(2**rule.points if rule.kind == "most_of" else 1)
        self.ones = np.array([int(value).bit_count() for value in window])

    def keep(self, which: NDArray[np.bool_]) -> None:
        self.before, self.sign, self.length = self.before[which], self.sign[which], self.length[which]
        self.far, self.history = self.far[which], self.history[:, which]

    def sees(self, z: Floats) -> NDArray[np.bool_]:
        rule = self.rule
        far = np.abs(z) > rule.sigmas
        match rule.kind:
            case "beyond":
                return far
            case "within":
                self.length = np.where(far, 0, self.length + 1)
                return np.asarray(self.length >= rule.points)
            case "most_of":
                return self._most_of(z)
            case "run":
                self._grow(np.sign(z).astype(np.int8), same=1)
                return np.asarray(self.length >= rule.points)
            case "outside":
                self.far = np.where(far, self.far + 1, 0)
                self._grow(np.sign(z).astype(np.int8), same=1)
                full = self.far >= rule.points
                return full if rule.sides == "either" else full & (self.length < rule.points)
            case _:
                with np.errstate(invalid="ignore"):
                    step = np.nan_to_num(np.sign(z - self.before)).astype(np.int8)
                self.before = z
                self._grow(step, same=1 if rule.kind == "trend" else -1)
                return np.asarray(self.length >= rule.points - 1)

    def _grow(self, sign: NDArray[np.int8], *, same: int) -> None:
        """Length of the row of equal signs (same = 1), or of alternating ones (-1)."""
        goes_on = (sign == same * self.sign) & (sign != 0)
        self.length = np.where(goes_on, self.length + 1, (sign != 0).astype(np.int32))
        self.sign = sign

    def _most_of(self, z: Floats) -> NDArray[np.bool_]:
        done = np.zeros(z.shape, bool)
        for row, sign in enumerate((1, -1)):
            far = sign * z > self.rule.sigmas
            self.history[row] = (self.history[row] * 2 + far) % 2**self.rule.points
            done |= far & (self.ones[self.history[row]] >= self.rule.count)
        return done
