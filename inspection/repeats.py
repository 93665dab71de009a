"""Defects that come again and again along a strip: what a mark on a roll leaves, told from chance.

A roll that has picked up something marks the strip once a turn: one kind, one place across, one period along, some
of the marks too faint to be found. The question is asked anew with every defect, and only of what came before it:
of all earlier defects of its kind at its place across, how many lie at whole periods before it? Every period is tried
that an earlier defect suggests, at one to eight turns' distance.

Were the defects at random places, each of the others would lie on such a lattice with probability q, the share of the
length that the lattice covers, so their number is binomial. The chance of that number or more, times the number of
lattices tried, bounds the chance of a false alarm at this defect. The n-th defect of a coil may spend 1/(n(n+1)) of
what a whole coil may: these shares add up to one, however long the coil.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from inspection.types import Defect, Repeat

FALSE_ALARMS_PER_COIL = 0.01
"""At most this share of coils with defects at random places show a repeat."""

_MOST_TURNS_APART = 8
"""A mark that was missed so often in a row begins anew."""

_REMEMBERED = 48
"""Defects of a kind at one place across that a new one is compared with. Bounds memory and time."""

_LEAST_HITS = 4
"""Three at equal distances are what people see in any pattern; the statistic would need a short strip to agree."""

_MOST_MISSED = 16
"""After so many turns without a mark the roll was cleaned or changed: what then comes is another repeat."""

Places = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatRules:
    """Which repeats are looked for.

    shortest_mm, longest_mm  the period: circumferences of the rolls, as long as the strip has become since
    across_mm                how far apart two marks of one roll may be found across the strip
    along_mm                 how far from its place along the strip
    """

    shortest_mm: float
    longest_mm: float
    across_mm: float
    along_mm: float


class RepeatFinder:
    """Told of one coil's defects, each once, in the order of their places; says which repeats they show so far."""

    def __init__(self, rules: RepeatRules) -> None:
        self._rules = rules
        self._before: dict[str, deque[tuple[float, float]]] = defaultdict(
            lambda: deque(maxlen=4 * _REMEMBERED)
        )
        self._followed: list[_Followed] = []
        self._told = 0

    def add(self, defect: Defect) -> None:
        """One more defect. Those without millimetres say nothing."""
        if defect.box_mm is None:
            return
        box = defect.box_mm
        x_mm, y_mm = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
        self._told += 1
        takers = [one for one in self._followed if one.takes(defect.kind, x_mm, y_mm, self._rules)]
        earlier = self._before[defect.kind]
        if not takers:
            near = [y for x, y in earlier if abs(x - x_mm) <= self._rules.across_mm][-_REMEMBERED:]
            allowed = FALSE_ALARMS_PER_COIL / (self._told * (self._told + 1))
            found = _lattice(np.array(near, np.float64), y_mm, self._rules, allowed=allowed)
            if found is not None:
                new = _Followed(defect.kind, x_mm, found)
                # What was taken for every second mark, or for another turn of the same roll, is this one.
                self._followed = [one for one in self._followed if not new.explains(one, self._rules)]
                self._followed.append(new)
        earlier.append((x_mm, y_mm))

    @property
    def found(self) -> tuple[Repeat, ...]:
        """By period, then by place across."""
        return tuple(
            sorted((one.as_repeat() for one in self._followed), key=lambda one: (one.period_mm, one.x_mm))
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Lattice:
    """Places that lie at whole periods from each other. `turns` counts from the first, which is 0."""

    places: Places
    turns: NDArray[np.int64]
    period_mm: float
    chance: float


def _lattice(before: Places, now: float, rules: RepeatRules, *, allowed: float) -> _Lattice | None:
    """The lattice that ends at `now` and is hit least by chance; None where none is below `allowed`."""
    before = np.sort(before[before < now])
    if len(before) + 1 < _LEAST_HITS:
        return None
    apart = np.arange(1, _MOST_TURNS_APART + 1)
    periods = (now - before)[:, None] / apart[None, :]
    anchor, turns_apart = np.nonzero((periods >= rules.shortest_mm) & (periods <= rules.longest_mm))
    if len(anchor) == 0:
        return None
    period = periods[anchor, turns_apart]
    turns = np.rint((now - before)[None, :] / period[:, None]).astype(np.int64)
    off = np.abs((now - before)[None, :] - turns * period[:, None])
    on = (off <= rules.along_mm) & (turns >= 1)
    # Several defects at one place of the lattice are one mark: counted singly, any cluster would look periodic.
    again = on[:, 1:] & on[:, :-1] & (turns[:, 1:] == turns[:, :-1])
    marks = np.count_nonzero(on, axis=1) - np.count_nonzero(again, axis=1)
    # The first place bounds the stretch and the anchor made the lattice: neither is evidence, unless it is both.
    oldest_is_spent = (anchor != 0) & on[:, 0]
    evidence = marks - 1 - oldest_is_spent
    others = len(before) - 1 - (anchor != 0)
    span = now - before[0]
    covered = 2 * rules.along_mm * (np.floor((span + rules.along_mm) / period) + 1)
    share = np.minimum(1.0, covered / max(span, 1e-9))
    chance = binom.sf(evidence - 1, np.maximum(others, 0), share) * len(period)
    best = int(np.argmin(chance))
    if chance[best] > allowed or marks[best] + 1 < _LEAST_HITS:
        return None
    kept = _one_per_turn(turns[best], off[best], on[best])
    places = np.append(before[kept], now)
    counted = np.append(turns[best][kept], 0)
    if np.gcd.reduce(counted) > 1:
        # Only every second turn or fewer: the true period is longer than any that is looked for.
        return None
    return _Lattice(
        places=places,
        turns=counted.max() - counted,
        period_mm=float(period[best]),
        chance=float(min(1.0, chance[best] / allowed * FALSE_ALARMS_PER_COIL)),
    )


def _one_per_turn(turns: NDArray[np.int64], off: Places, on: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each turn that was hit, the place nearest to where it should be, from the first on."""
    nearest: dict[int, int] = {}
    for index in np.flatnonzero(on):
        turn = int(turns[index])
        if turn not in nearest or off[index] < off[nearest[turn]]:
            nearest[turn] = int(index)
    return np.array(sorted(nearest.values()), np.intp)


class _Followed:
    """A repeat that was found, and what has come to it since: a line through place over turn, in sums."""

    def __init__(self, kind: str, x_mm: float, found: _Lattice) -> None:
        self._kind = kind
        self._x_mm = x_mm
        self._chance = found.chance
        self._guess_mm = found.period_mm
        self._first_mm = float(found.places[0])
        self._n = self._t = self._tt = self._y = self._ty = self._yy = 0.0
        self._last_mm, self._last_turn = self._first_mm, 0
        for place, turn in zip(found.places.tolist(), found.turns.tolist(), strict=True):
            self._count(place, turn)

    def takes(self, kind: str, x_mm: float, y_mm: float, rules: RepeatRules) -> bool:
        """Whether this defect is another mark of the same roll; then it is counted."""
        if kind != self._kind or abs(x_mm - self._x_mm) > rules.across_mm:
            return False
        period_mm = self._period_mm
        turns = round((y_mm - self._last_mm) / period_mm)
        if turns > _MOST_MISSED or abs(y_mm - self._last_mm - turns * period_mm) > rules.along_mm:
            return False
        if turns > 0:
            self._count(y_mm, self._last_turn + turns)
        return True

    def explains(self, other: _Followed, rules: RepeatRules) -> bool:
        """Whether the last mark of another repeat at the same place across lies on this one's lattice."""
        if other._kind != self._kind or abs(other._x_mm - self._x_mm) > rules.across_mm:
            return False
        if other._n > self._n:
            # Marks that were counted are not forgotten for fewer.
            return False
        back_mm = self._last_mm - other._last_mm
        return abs(back_mm - round(back_mm / self._period_mm) * self._period_mm) <= rules.along_mm

    def as_repeat(self) -> Repeat:
        hits = round(self._n)
        return Repeat(
            kind=self._kind,
            x_mm=self._x_mm,
            period_mm=self._period_mm,
            period_error_mm=self._period_error_mm,
            first_mm=self._first_mm,
            last_mm=self._last_mm,
            hits=hits,
            missed=self._last_turn + 1 - hits,
            chance=self._chance,
        )

    def _count(self, place_mm: float, turn: int) -> None:
        # From the first place on: squares of kilometres in millimetres would leave no digits for the rest.
        y = place_mm - self._first_mm
        self._n += 1
        self._t += turn
        self._tt += turn * turn
        self._y += y
        self._ty += turn * y
        self._yy += y * y
        self._last_mm, self._last_turn = place_mm, turn

    @property
    def _spread(self) -> float:
        return self._tt - self._t * self._t / self._n

    @property
    def _period_mm(self) -> float:
        return (self._ty - self._t * self._y / self._n) / self._spread

    @property
    def _period_error_mm(self) -> float:
        """One standard error of the slope of a line through n points, from what is left of them."""
        left = self._yy - self._y * self._y / self._n - self._period_mm**2 * self._spread
        return sqrt(max(left, 0.0) / max(self._n - 2, 1) / self._spread)
