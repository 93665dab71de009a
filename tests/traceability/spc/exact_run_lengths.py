"""The judge of simulated run lengths: run rules as a chain that also remembers where the last point lay.

Rules that compare neighbours need the last value itself. Each zone is cut into cells of equal chance; two points in
one cell are taken to rise or fall by even chance, which is wrong only for three and more in a row there: the error
falls with the square of the cells, and `exact` takes it out by Richardson's extrapolation from two cuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix
from scipy.stats import norm

from traceability.spc.rules import Rule

_State = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chain:
    """borders  of the zones; steps[zone][way] moves the memories, way 0 down, 1 up; first[zone] is the memory
    after a first point there, -1 where it signals."""

    borders: list[float]
    steps: list[list[csr_matrix]]
    first: list[int]
    size: int


def exact(rules: Sequence[Rule], *, shift: float = 0, cells: int = 8) -> float:
    """Mean number of independent normal points until any of the rules signals."""
    chain = _chain(tuple(rules))
    coarse, fine = (_mean(chain, shift, number) for number in (cells, 2 * cells))
    return fine + (fine - coarse) / 3


def _chain(rules: tuple[Rule, ...]) -> _Chain:
    borders = sorted({0.0} | {side * rule.sigmas for rule in rules if rule.sigmas for side in (-1, 1)})
    edges = [borders[0] - 1, *borders, borders[-1] + 1]
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    nothing: _State = tuple((0,) * (rule.points - 1) if rule.kind == "most_of" else (0, 0) for rule in rules)
    place: dict[_State, int] = {}
    waiting: list[_State] = []

    def number(state: _State | None) -> int:
        if state is None:
            return -1
        if state not in place:
            place[state] = len(place)
            waiting.append(state)
        return place[state]

    first = [number(_after(nothing, rules, z, 0)) for z in middles]
    moves: list[tuple[int, int, int, int]] = []
    while waiting:
        state = waiting.pop()
        here = place[state]
        for zone, z in enumerate(middles):
            for way, step in enumerate((-1, 1)):
                there = number(_after(state, rules, z, step))
                if there >= 0:
                    moves.append((zone, way, here, there))
    table = np.array(moves)
    steps = []
    for zone in range(len(middles)):
        ways = []
        for way in (0, 1):
            chosen = table[(table[:, 0] == zone) & (table[:, 1] == way)]
            ways.append(
                csr_matrix((np.ones(len(chosen)), (chosen[:, 3], chosen[:, 2])), shape=(len(place),) * 2)
            )
        steps.append(ways)
    return _Chain(borders=borders, steps=steps, first=first, size=len(place))


def _after(state: _State, rules: tuple[Rule, ...], z: float, step: int) -> _State | None:
    after = []
    for memory, rule in zip(state, rules, strict=True):
        kept = _kept(memory, rule, z, step)
        if kept is None:
            return None
        after.append(kept)
    return tuple(after)


def _kept(memory: tuple[int, ...], rule: Rule, z: float, step: int) -> tuple[int, ...] | None:
    """What a rule remembers after a point; None where it signals. `step` is 0 for a first point."""
    side, far = (1 if z > 0 else -1), abs(z) > rule.sigmas
    if rule.kind == "beyond":
        return None if far else memory
    if rule.kind == "run":
        length = memory[1] + 1 if memory[0] == side else 1
        return None if length >= rule.points else (side, length)
    if rule.kind in ("trend", "alternating"):
        goes_on = memory[0] == (step if rule.kind == "trend" else -step)
        length = 0 if step == 0 else memory[1] + 1 if goes_on else 1
        return None if length >= rule.points - 1 else (step, length)
    if rule.kind == "most_of":
        window = (*memory, side if far else 0)
        # What can no longer be part of a pattern is forgotten, so that fewer memories differ.
        return None if far and window.count(side) >= rule.count else window[1:]
    if rule.kind == "within":
        length = 0 if far else memory[0] + 1
        return None if length >= rule.points else (length, 0)
    if not far:
        return (0, 0)
    # outside: how many in a row, and on which side all of them were; 0 once both sides occurred.
    length = min(memory[0] + 1, rule.points)
    sided = side if memory[0] == 0 or memory[1] == side else 0
    if rule.sides == "both" and length >= rule.points and sided:
        raise ValueError("a row on one side that long must have been a run")
    return None if length >= rule.points else (length, sided)


def _mean(chain: _Chain, shift: float, cells: int) -> float:
    zones = len(chain.first)
    chance = np.diff(norm.cdf([-np.inf, *(np.array(chain.borders) - shift), np.inf]))
    share = np.repeat(chance / cells, cells)
    now = np.zeros((chain.size, zones * cells))
    for zone, state in enumerate(chain.first):
        if state >= 0:
            now[state, zone * cells : (zone + 1) * cells] += chance[zone] / cells
    total, alive, before = 1.0, float(now.sum()), 0.0
    while True:
        total += alive
        below = np.cumsum(now, axis=1) - now / 2
        above = now.sum(axis=1, keepdims=True) - below
        after = np.zeros_like(now)
        for zone in range(zones):
            part = slice(zone * cells, (zone + 1) * cells)
            # What lay below a cell rises to it.
            after[:, part] = chain.steps[zone][1] @ below[:, part] + chain.steps[zone][0] @ above[:, part]
        now = after * share
        ratio, alive = float(now.sum()) / alive, float(now.sum())
        if alive < 1e-12 or (total > 60 and abs(ratio - before) < 1e-9):
            return total + alive / (1 - ratio)
        before = ratio
