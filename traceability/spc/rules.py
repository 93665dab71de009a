"""Run rules: which points signal, and by which rule, and which points made it so.

One engine with parameters; what the handbooks call rules are rows of a table. All of them look at
z = (value - centre) / sigma of that very point, so that zones follow limits that change from point to point.

Programs differ in what the handbooks leave open. Each such choice is a field of `Reading`; the default is
Nelson's: a point on a limit is not beyond it; a point on the centre line ends a run; in "k of m" the last
point belongs to the pattern; a pattern that goes on keeps signalling; a missing point (NaN) ends every
pattern, because nobody knows what it would have been. "Trend" and "alternating" count points, not increases
(six increases, as Minitab counts, are seven points): their length is part of the rule.

A point that misses a border or the centre line by no more than computing with doubles may have moved it is on it:
0.94 is two sigmas of 0.03 below 1, though (0.94 - 1)/0.03 is a little more.

Sources: L. S. Nelson, The Shewhart Control Chart: Tests for Special Causes, J. Quality Technology 16 (1984)
237-239; Western Electric, Statistical Quality Control Handbook (1956); AIAG, Statistical Process Control,
2nd ed. (2005); ISO 7870-2:2013 = GB/T 17989.2; ISO 8258:1991 = GB/T 4091-2001.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

from traceability.spc.checks import numbers, rounding

Side = Literal["above", "below", "both"]
Kind = Literal["beyond", "run", "trend", "alternating", "most_of", "within", "outside"]
Floats = NDArray[np.float64]
Signs = NDArray[np.int_]


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
    """One row of a handbook's table; made by the functions below.

    points  how many points in a row are looked at
    count   of those, how many must be beyond `sigmas` (most_of)
    sigmas  distance from the centre line
    sides   outside: "both" sides must occur (Nelson), or "either" will do (AIAG, Minitab)
    """

    name: str
    kind: Kind
    points: int
    count: int = 0
    sigmas: float = 0.0
    sides: Literal["both", "either"] = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a rule's text is read where programs differ.

    on_limit           is a point on a zone's border beyond it? "inside" no, "beyond" yes
    on_centre          a point on the centre line "ends" a run, is "left out" of it, or "belongs" to it
    missing            a missing point "ends" every pattern, or is "left out"
    last_must_belong   of "k of m": the last point must be one of the k
    while_it_lasts     a pattern that goes on signals at every point, or only where it is first complete
    """

    on_limit: Literal["inside", "beyond"] = "inside"
    on_centre: Literal["ends", "left out", "belongs"] = "ends"
    missing: Literal["ends", "left out"] = "ends"
    last_must_belong: bool = True
    while_it_lasts: bool = True


NELSONS_READING = Reading()

_Members = Sequence[int]
_Found = Iterator[tuple[int, _Members, Side]]


def beyond(sigmas: float, *, name: str = "beyond_limits") -> Rule:
    """One point beyond so many sigmas."""
    return Rule(name=name, kind="beyond", points=1, sigmas=sigmas)


def run(points: int) -> Rule:
    """So many points in a row on one side of the centre line."""
    return Rule(name=f"run_of_{points}", kind="run", points=points)


def trend(points: int) -> Rule:
    """So many points in a row, each higher, or each lower, than the one before."""
    return Rule(name=f"trend_of_{points}", kind="trend", points=points)


def alternating(points: int) -> Rule:
    """So many points in a row, up and down by turns."""
    return Rule(name=f"alternating_{points}", kind="alternating", points=points)


def most_of(count: int, points: int, sigmas: float) -> Rule:
    """At least `count` of `points` in a row beyond so many sigmas on the same side."""
    name = f"{count}_of_{points}_beyond_{sigmas:g}_sigma"
    return Rule(name=name, kind="most_of", points=points, count=count, sigmas=sigmas)


def within(points: int, sigmas: float) -> Rule:
    """So many points in a row closer to the centre line than so many sigmas: too good to be true."""
    return Rule(name=f"{points}_within_{sigmas:g}_sigma", kind="within", points=points, sigmas=sigmas)


def outside(points: int, sigmas: float, *, sides: Literal["both", "either"] = "both") -> Rule:
    """So many points in a row farther from the centre line than so many sigmas."""
    name = f"{points}_outside_{sigmas:g}_sigma" + ("" if sides == "both" else "_either_side")
    return Rule(name=name, kind="outside", points=points, sigmas=sigmas, sides=sides)


BEYOND_LIMITS = beyond(3)
RUN_OF_9 = run(9)

# Nelson's tests 1 and 2: on a process in control one false alarm in 214 points. All eight give one in 74,
# and on attribute charts, whose points are not normal, the zone tests are not meant to be used.
DEFAULT = (BEYOND_LIMITS, RUN_OF_9)

NELSON = (
    BEYOND_LIMITS,
    RUN_OF_9,
    trend(6),
    alternating(14),
    most_of(2, 3, 2),
    most_of(4, 5, 1),
    within(15, 1),
    outside(8, 1),
)

WESTERN_ELECTRIC = (BEYOND_LIMITS, most_of(2, 3, 2), most_of(4, 5, 1), run(8))

PRESETS: Mapping[str, tuple[Rule, ...]] = MappingProxyType(
    {
        "nelson": NELSON,
        "nelson_1_2": DEFAULT,
        "western_electric": WESTERN_ELECTRIC,
        # The table of Minitab's eight tests, whose trend and alternation count steps.
        "minitab": (
            BEYOND_LIMITS,
            RUN_OF_9,
            trend(7),
            alternating(15),
            most_of(2, 3, 2),
            most_of(4, 5, 1),
            within(15, 1),
            outside(8, 1, sides="either"),
        ),
        "aiag_2005": (
            BEYOND_LIMITS,
            run(7),
            trend(6),
            alternating(14),
            most_of(2, 3, 2),
            most_of(4, 5, 1),
            within(15, 1),
            outside(8, 1, sides="either"),
        ),
        # GB/T 4091-2001 = ISO 8258:1991: Nelson's eight, by other names.
        "gb4091": NELSON,
        # ISO 7870-2:2013 = GB/T 17989.2. Its fourth test, any non-random pattern, is left to the eye.
        "iso7870_2": (BEYOND_LIMITS, run(7), trend(7)),
        "juran": (
            BEYOND_LIMITS,
            most_of(2, 3, 2),
            most_of(4, 5, 1),
            RUN_OF_9,
            trend(6),
            outside(8, 1),
        ),
        # At the line every signal needs an action, so that rules are not piled up: limits only.
        "aiag_vda": (BEYOND_LIMITS,),
        # The same manual's analysis chart, looked at afterwards.
        "aiag_vda_analysis": (BEYOND_LIMITS, run(7), trend(7)),
    }
)
"""Rules by the name of the handbook they come from, in its order: a rule's number is its place."""


def signals(
    z: Sequence[float] | Floats,
    rules: Sequence[Rule],
    *,
    reading: Reading = NELSONS_READING,
    stages: Sequence[object] | None = None,
    slack: Floats | None = None,
) -> tuple[Signal, ...]:
    """All signals in the order of their points, then of `rules`. NaN in z stands for a missing point.

    stages  one label per point; no pattern reaches across a change of label
    slack   shape (n,), in sigmas: how far rounding may have moved each point. None: z itself was rounded
    """
    values = _on_borders(z, [rule.sigmas for rule in rules], slack)
    found = [
        (int(places[index]), order, tuple(int(places[member]) for member in members), side)
        for places in _stretches(values, reading, stages)
        for order, rule in enumerate(rules)
        for index, members, side in _found(values[places], rule, reading)
    ]
    return tuple(
        Signal(rule=rules[order].name, index=index, members=members, side=side)
        for index, order, members, side in sorted(found)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MiddleThird:
    """How many points lie in the middle third of the limits, where about two thirds (0.683) belong.

    p_few, p_many  chance of so few, or so many, on a process in control (binomial)
    """

    inside: int
    points: int
    p_few: float
    p_many: float


def middle_third(z: Sequence[float] | Floats) -> MiddleThird:
    """Are points too rarely, or too often, near the centre line? AIAG-VDA SPC (2026) and AIAG SPC (2005).

    For a whole chart, looked at afterwards; z in sigmas of limits at 3.
    """
    values = _on_borders(numbers(z, method="middle_third"), [1.0])
    share = float(2 * norm.cdf(1) - 1)
    inside = int(np.sum(np.abs(values) < 1))
    return MiddleThird(
        inside=inside,
        points=values.size,
        p_few=float(binom.cdf(inside, values.size, share)),
        p_many=float(binom.sf(inside - 1, values.size, share)),
    )


def _on_borders(z: Sequence[float] | Floats, borders: Sequence[float], slack: Floats | None = None) -> Floats:
    """The points, those that only rounding keeps off a border or the centre line set on it."""
    moved = np.array(z, np.float64)
    allowed = rounding(1) if slack is None else slack
    for border in {0.0, *borders}:
        for line in (-border, border):
            moved[np.abs(moved - line) <= allowed] = line
    return moved


def _beyond(z: Floats, rule: Rule, reading: Reading) -> _Found:
    for index in np.flatnonzero(_exceeds(np.abs(z), rule.sigmas, reading)):
        yield int(index), [int(index)], _side(z[index])


def _run(z: Floats, rule: Rule, reading: Reading) -> _Found:
    signs = np.sign(z).astype(np.int_)
    places = np.arange(len(z))
    if reading.on_centre == "left out":
        places = np.flatnonzero(signs)
        signs = signs[places]
    elif reading.on_centre == "belongs":
        held = np.maximum.accumulate(np.where(signs != 0, np.arange(len(signs)), -1))
        signs = np.where(held >= 0, signs[np.maximum(held, 0)], 0)
    for last in np.flatnonzero(_lengths(signs) >= rule.points):
        members = places[last - rule.points + 1 : last + 1]
        yield int(places[last]), members.tolist(), _side(signs[last])


def _trend(z: Floats, rule: Rule, _: Reading) -> _Found:
    steps = _steps(z)
    for last in np.flatnonzero(_lengths(steps) >= rule.points - 1):
        yield int(last) + 1, range(int(last) + 2 - rule.points, int(last) + 2), _side(steps[last])


def _alternating(z: Floats, rule: Rule, _: Reading) -> _Found:
    steps = _steps(z)
    turned = np.where(np.arange(len(steps)) % 2 == 0, steps, -steps)
    for last in np.flatnonzero(_lengths(turned) >= rule.points - 1):
        yield int(last) + 1, range(int(last) + 2 - rule.points, int(last) + 2), "both"


def _most_of(z: Floats, rule: Rule, reading: Reading) -> _Found:
    for sign in (-1, 1):
        far = _exceeds(z * sign, rule.sigmas, reading)
        so_far = np.concatenate(([0], np.cumsum(far)))
        ends = np.arange(1, len(z) + 1)
        enough = so_far[ends] - so_far[np.maximum(ends - rule.points, 0)] >= rule.count
        for last in np.flatnonzero(enough & far if reading.last_must_belong else enough):
            window = range(max(0, int(last) - rule.points + 1), int(last) + 1)
            yield int(last), [index for index in window if far[index]], _side(sign)


def _within(z: Floats, rule: Rule, reading: Reading) -> _Found:
    near = ~_exceeds(np.abs(z), rule.sigmas, Reading(on_limit="beyond"))
    for last in np.flatnonzero(_lengths(near.astype(np.int_)) >= rule.points):
        yield int(last), range(int(last) - rule.points + 1, int(last) + 1), "both"


def _outside(z: Floats, rule: Rule, reading: Reading) -> _Found:
    far = _exceeds(np.abs(z), rule.sigmas, reading)
    for last in np.flatnonzero(_lengths(far.astype(np.int_)) >= rule.points):
        window = range(int(last) - rule.points + 1, int(last) + 1)
        some = z[window.start : window.stop]
        if some.min() < 0 < some.max():
            yield int(last), window, "both"
        elif rule.sides == "either":
            yield int(last), window, _side(some[0])


_PATTERNS: Mapping[Kind, Callable[[Floats, Rule, Reading], _Found]] = {
    "beyond": _beyond,
    "run": _run,
    "trend": _trend,
    "alternating": _alternating,
    "most_of": _most_of,
    "within": _within,
    "outside": _outside,
}


def _found(z: Floats, rule: Rule, reading: Reading) -> _Found:
    """Completions in the order of their points, thinned to the first of each where the reading says so."""
    completions = sorted(_PATTERNS[rule.kind](z, rule, reading), key=lambda found: found[0])
    before: dict[Side, int] = {}
    for index, members, side in completions:
        goes_on = before.get(side) == index - 1
        before[side] = index
        if reading.while_it_lasts or not goes_on:
            yield index, members, side


def _stretches(z: Floats, reading: Reading, stages: Sequence[object] | None) -> Iterator[NDArray[np.intp]]:
    """The places of points that stand in one row: of one stage, and without a gap unless gaps are left out."""
    present = ~np.isnan(z)
    ends = np.zeros(len(z), bool)
    if stages is not None:
        ends[1:] = [now != before for before, now in pairwise(stages)]
    if reading.missing == "ends":
        ends |= ~present
    for group in np.split(np.arange(len(z)), np.flatnonzero(ends)):
        if (places := group[present[group]]).size:
            yield places


def _exceeds(distance: Floats, sigmas: float, reading: Reading) -> NDArray[np.bool_]:
    return distance > sigmas if reading.on_limit == "inside" else distance >= sigmas


def _lengths(codes: Signs) -> Signs:
    """At each place, how many equal codes in a row end there; 0 where the code is 0."""
    if not len(codes):
        return codes
    starts = np.flatnonzero(np.concatenate(([True], codes[1:] != codes[:-1])))
    begun = np.repeat(starts, np.diff(np.append(starts, len(codes))))
    return np.where(codes != 0, np.arange(len(codes)) - begun + 1, 0)


def _steps(z: Floats) -> Signs:
    """Up 1, down -1, level 0. Not by differences: two points infinitely far off have none."""
    return (z[1:] > z[:-1]).astype(np.int_) - (z[1:] < z[:-1]).astype(np.int_)


def _side(value: float | int) -> Side:
    return "above" if value > 0 else "below"
