"""Run rules: which points signal, by which rule, and which points made it so.

One engine with parameters; what the handbooks call rules are rows of a table. All of them look at
z = (value - centre) / sigma of that very point, so that zones follow limits that change from point to point.

Conventions, where programs differ: a point on a limit is not beyond it; a point on the centre line ends a
run; "trend" and "alternating" count points, not increases (six increases, as Minitab counts, are seven
points); in "k of m" the last point belongs to the pattern; a pattern that goes on keeps signalling; a missing
point (NaN) ends every pattern, because nobody knows what it would have been.

Sources: L. S. Nelson, The Shewhart Control Chart: Tests for Special Causes, J. Quality Technology 16 (1984)
237-239; Western Electric, Statistical Quality Control Handbook (1956).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Side = Literal["above", "below", "both"]
Floats = NDArray[np.float64]

# Given the z of one unbroken stretch: (index of the point that completes a pattern, its members, side).
_Pattern = Callable[[Floats], Iterator[tuple[int, range | list[int], Side]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A point at which a pattern is complete.

    rule     name of the rule; its text for people is `spc.rule.<rule>`
    index    0-based, of the point that completes the pattern
    members  0-based, all points that make it, `index` the last
    """

    rule: str
    index: int
    members: tuple[int, ...]
    side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    name: str
    pattern: _Pattern


def signals(z: Sequence[float] | Floats, rules: Sequence[Rule]) -> tuple[Signal, ...]:
    """All signals in the order of their points, then of `rules`. NaN in z stands for a missing point."""
    values = np.asarray(z, np.float64)
    found = [
        (start + index, order, tuple(start + member for member in members), side)
        for start, stretch in _unbroken(values)
        for order, rule in enumerate(rules)
        for index, members, side in rule.pattern(stretch)
    ]
    return tuple(
        Signal(rule=rules[order].name, index=index, members=members, side=side)
        for index, order, members, side in sorted(found)
    )


def beyond(sigmas: float) -> _Pattern:
    """One point beyond so many sigmas."""

    def pattern(z: Floats) -> Iterator[tuple[int, range | list[int], Side]]:
        for index in np.flatnonzero(np.abs(z) > sigmas):
            yield int(index), [int(index)], _side(z[index])

    return pattern


def run(points: int) -> _Pattern:
    """So many points in a row on one side of the centre line."""

    def pattern(z: Floats) -> Iterator[tuple[int, range | list[int], Side]]:
        signs = np.sign(z)
        for window in _windows(z, points):
            if signs[window.start] != 0 and np.all(signs[window.start : window.stop] == signs[window.start]):
                yield window[-1], window, _side(z[window.start])

    return pattern


def trend(points: int) -> _Pattern:
    """So many points in a row, each higher, or each lower, than the one before."""

    def pattern(z: Floats) -> Iterator[tuple[int, range | list[int], Side]]:
        steps = _steps(z)
        for window in _windows(z, points):
            within = steps[window.start : window.stop - 1]
            if within[0] != 0 and np.all(within == within[0]):
                yield window[-1], window, _side(within[0])

    return pattern


def alternating(points: int) -> _Pattern:
    """So many points in a row, up and down by turns."""

    def pattern(z: Floats) -> Iterator[tuple[int, range | list[int], Side]]:
        steps = _steps(z)
        for window in _windows(z, points):
            within = steps[window.start : window.stop - 1]
            if np.all(within != 0) and np.all(within[1:] == -within[:-1]):
                yield window[-1], window, "both"

    return pattern


def most_of(count: int, points: int, sigmas: float) -> _Pattern:
    """At least `count` of `points` in a row beyond so many sigmas on the same side, the last one included."""

    def pattern(z: Floats) -> Iterator[tuple[int, range | list[int], Side]]:
        for last in np.flatnonzero(np.abs(z) > sigmas):
            side = np.sign(z[last])
            window = range(max(0, int(last) - points + 1), int(last) + 1)
            members = [index for index in window if z[index] * side > sigmas]
            if len(members) >= count:
                yield int(last), members, _side(side)

    return pattern


def within(points: int, sigmas: float) -> _Pattern:
    """So many points in a row closer to the centre line than so many sigmas: too good to be true."""

    def pattern(z: Floats) -> Iterator[tuple[int, range | list[int], Side]]:
        for window in _windows(z, points):
            if np.all(np.abs(z[window.start : window.stop]) < sigmas):
                yield window[-1], window, "both"

    return pattern


def outside_on_both_sides(points: int, sigmas: float) -> _Pattern:
    """So many points in a row farther from the centre line than so many sigmas, some above, some below."""

    def pattern(z: Floats) -> Iterator[tuple[int, range | list[int], Side]]:
        for window in _windows(z, points):
            some = z[window.start : window.stop]
            if np.all(np.abs(some) > sigmas) and some.min() < 0 < some.max():
                yield window[-1], window, "both"

    return pattern


BEYOND_LIMITS = Rule(name="beyond_limits", pattern=beyond(3))
RUN_OF_9 = Rule(name="run_of_9", pattern=run(9))

# Nelson's tests 1 and 2: on a process in control one false alarm in 214 points. All eight give one in 74,
# and on attribute charts, whose points are not normal, the zone tests are not meant to be used.
DEFAULT = (BEYOND_LIMITS, RUN_OF_9)

NELSON = (
    BEYOND_LIMITS,
    RUN_OF_9,
    Rule(name="trend_of_6", pattern=trend(6)),
    Rule(name="alternating_14", pattern=alternating(14)),
    Rule(name="2_of_3_beyond_2_sigma", pattern=most_of(2, 3, 2)),
    Rule(name="4_of_5_beyond_1_sigma", pattern=most_of(4, 5, 1)),
    Rule(name="15_within_1_sigma", pattern=within(15, 1)),
    Rule(name="8_outside_1_sigma", pattern=outside_on_both_sides(8, 1)),
)


def _unbroken(z: Floats) -> Iterator[tuple[int, Floats]]:
    """Stretches without a missing point, with where each begins."""
    present = np.concatenate(([False], ~np.isnan(z), [False]))
    edges = np.flatnonzero(present[1:] != present[:-1])
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield int(start), z[start:stop]


def _steps(z: Floats) -> NDArray[np.int_]:
    """Up 1, down -1, level 0. Not by differences: two points infinitely far off have none."""
    return (z[1:] > z[:-1]).astype(np.int_) - (z[1:] < z[:-1]).astype(np.int_)


def _windows(z: Floats, points: int) -> Iterator[range]:
    for stop in range(points, len(z) + 1):
        yield range(stop - points, stop)


def _side(value: float) -> Side:
    return "above" if value > 0 else "below"
