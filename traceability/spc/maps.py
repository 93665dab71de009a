"""Where defects are: share by zone, maps, clustering, and marks that come once a turn of a roll.

A raw share misleads where zones differ in size, so that the rate per area stands beside it. Sources: E. B. Wilson
(1927); P. J. Clark and F. C. Evans, Ecology 35 (1954) 445-453; P. J. Diggle, Statistical Analysis of Spatial Point
Patterns (2003); K. V. Mardia and P. E. Jupp, Directional Statistics (2000), section 6.3 (Rayleigh).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree
from scipy.stats import chi2, norm

from traceability.spc.agreement import wilson_interval
from traceability.spc.checks import counts, numbers, positive, within
from traceability.spc.yields import poisson_interval

Floats = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneShare:
    """各部位缺陷出现频次比例 of one zone.

    share     of all defects, Wilson's interval; rate per unit of area, exact interval
    relative  rate over the mean rate: 1 is what an even surface would have
    """

    zone: str
    count: int
    share: float
    interval: Interval
    rate: float
    rate_interval: Interval
    relative: float


def zone_shares(
    zones: Sequence[str], count: ArrayLike, area: ArrayLike, *, confidence: float = 0.95
) -> tuple[ZoneShare, ...]:
    """One count and one inspected area per zone, in the order given."""
    found, size = counts(count, area, method="zone_share", whole=False)
    within(len(zones), parameter="zones", allowed=f"{found.size} names", is_allowed=len(zones) == found.size)
    total, whole = float(found.sum()), float(size.sum())
    positive(total, parameter="defects")
    return tuple(
        ZoneShare(
            zone=zone,
            count=int(k),
            share=float(k) / total,
            interval=wilson_interval(float(k), total, confidence=confidence),
            rate=float(k / a),
            rate_interval=(
                poisson_interval(float(k), confidence=confidence)[0] / float(a),
                poisson_interval(float(k), confidence=confidence)[1] / float(a),
            ),
            relative=float(k / a) / (total / whole),
        )
        for zone, k, a in zip(zones, found, size, strict=True)
    )


def heat_map(
    x: ArrayLike, y: ArrayLike, *, extent: tuple[float, float, float, float], bins: tuple[int, int]
) -> Floats:
    """Counts in a grid, shape bins, indexed [x][y]; extent x1, y1, x2, y2. Points outside are not counted."""
    across, along = numbers(x, method="heat_map"), numbers(y, method="heat_map")
    grid, _, _ = np.histogram2d(
        across, along, bins=bins, range=[[extent[0], extent[2]], [extent[1], extent[3]]]
    )
    return np.asarray(grid, np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clustering:
    """Are positions random (complete spatial randomness)?

    quadrats          counts [x][y]; chi2 against equal ones, two-sided questions in `vmr`: above 1 clustered
    clark_evans       mean distance to the nearest over that of random points, no edge correction; below 1 clustered
    """

    n: int
    quadrats: NDArray[np.int_]
    chi2: float
    degrees: int
    p: float
    vmr: float
    clark_evans: float
    clark_evans_z: float
    clark_evans_p: float


def clustering(
    points: ArrayLike, *, grid: int = 4, extent: tuple[float, float, float, float] = (0, 0, 1, 1)
) -> Clustering:
    """Positions, shape (n, 2), within the extent x1, y1, x2, y2."""
    p = np.atleast_2d(np.asarray(points, np.float64))
    numbers(p, method="clustering", needed=4)
    within(grid, parameter="grid", allowed=">= 2", is_allowed=grid >= 2)
    x1, y1, x2, y2 = extent
    within(x2 - x1, parameter="extent", allowed="x1 < x2, y1 < y2", is_allowed=x1 < x2 and y1 < y2)
    n = len(p)
    table = heat_map(p[:, 0], p[:, 1], extent=extent, bins=(grid, grid))
    expected = table.sum() / table.size
    statistic = float(np.sum((table - expected) ** 2) / expected)
    degrees = table.size - 1
    nearest, _ = cKDTree(p).query(p, k=2)
    density = n / ((x2 - x1) * (y2 - y1))
    random_mean = 1 / (2 * sqrt(density))
    mean = float(nearest[:, 1].mean())
    z = (mean - random_mean) / (0.26136 / sqrt(n * density))
    return Clustering(
        n=n,
        quadrats=table.astype(np.int_),
        chi2=statistic,
        degrees=degrees,
        p=float(chi2.sf(statistic, degrees)),
        vmr=float(table.var(ddof=1) / table.mean()),
        clark_evans=mean / random_mean,
        clark_evans_z=z,
        clark_evans_p=float(2 * norm.sf(abs(z))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicMark:
    """A mark that comes once a turn of a roll.

    period      the fundamental, in the unit of the places; diameter = period / pi, in the same unit
    strength    mean resultant length, 0..1; power n strength²
    p           chance of such a power at any of the periods looked at, of places at random
    roll        name of the nearest roll within its tolerance, or None
    """

    period: float
    diameter: float
    strength: float
    power: float
    p: float
    phase: float
    hits: int
    roll: str | None


def periodic_mark(
    places: ArrayLike,
    *,
    shortest: float,
    longest: float,
    rolls: Mapping[str, float] | None = None,
    tolerance: float = 0.01,
) -> PeriodicMark:
    """The period at which places along the strip agree best (Rayleigh), the fundamental of its overtones.

    Fractions of a period T (T/2, T/3, …) agree as well as T itself, so that the longest period is taken which has
    almost the power of the best. rolls: name to diameter; tolerance relative, because strip grows longer.

    Raises ParameterOutOfRange where the periods do not fit between neighbours and the length.
    """
    y = np.sort(numbers(places, method="periodic_mark", needed=4, must_vary=True))
    length = float(np.ptp(y))
    within(
        shortest,
        parameter="shortest",
        allowed=f"0 < … < longest <= {length:g}",
        is_allowed=0 < shortest < longest,
    )
    # Half the width of a peak is 1/(2 length) in frequency: eight steps per peak lose nothing.
    steps = max(int(8 * length * (1 / shortest - 1 / longest)), 64)
    frequency = np.linspace(1 / longest, 1 / shortest, min(steps, 400_000))
    power = _power(y, frequency)
    best = float(power.max())
    candidates = frequency[power >= 0.8 * best]
    # Neighbouring candidates belong to one peak: the first peak is the longest period.
    first = candidates[candidates <= candidates[0] + 0.5 / length]
    near = np.linspace(first[0] - 0.6 / length, first[-1] + 0.6 / length, 4001)
    fine = _power(y, near[near > 0])
    chosen = float(near[near > 0][int(np.argmax(fine))])
    period = 1 / chosen
    strength = sqrt(float(fine.max()) / y.size)
    phase = float(np.angle(np.sum(np.exp(2j * pi * y * chosen))) / (2 * pi)) % 1 * period
    off = np.abs((y - phase + period / 2) % period - period / 2)
    tried = max(length * (1 / shortest - 1 / longest), 1)
    diameter = period / pi
    near_rolls = {
        name: abs(diameter - size) / size
        for name, size in (rolls or {}).items()
        if abs(diameter - size) <= tolerance * size
    }
    return PeriodicMark(
        period=period,
        diameter=diameter,
        strength=strength,
        power=float(fine.max()),
        p=min(1.0, tried * exp(-min(float(fine.max()), 700))),
        phase=phase,
        hits=int(np.sum(off <= period * 0.05)),
        roll=min(near_rolls, key=lambda name: near_rolls[name]) if near_rolls else None,
    )


def _power(y: Floats, frequency: Floats) -> Floats:
    """n times the squared mean resultant length at each frequency, in pieces that fit the memory."""
    result = np.empty(frequency.size)
    piece = max(1, 2_000_000 // y.size)
    for start in range(0, frequency.size, piece):
        part = np.exp(2j * pi * np.outer(frequency[start : start + piece], y)).sum(axis=1)
        result[start : start + piece] = np.abs(part) ** 2 / y.size
    return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StripBins:
    """Defects of a long strip in bins for drawing: counts by length, width and kind; edges in millimetres."""

    length_edges: Floats
    width_edges: Floats
    kinds: tuple[str, ...]
    counts: NDArray[np.int_]


def strip_bins(
    length_mm: ArrayLike,
    width_mm: ArrayLike,
    kinds: Sequence[str],
    *,
    bins: tuple[int, int],
    extent_mm: tuple[float, float],
) -> StripBins:
    """extent_mm: length and width of the strip. counts has shape (kinds, bins along, bins across)."""
    along, across = numbers(length_mm, method="strip_bins"), numbers(width_mm, method="strip_bins")
    within(len(kinds), parameter="kinds", allowed=f"{along.size} names", is_allowed=len(kinds) == along.size)
    names = tuple(sorted(set(kinds)))
    labels = np.array(kinds)
    edges = [np.linspace(0, extent_mm[axis], bins[axis] + 1) for axis in (0, 1)]
    table = np.stack(
        [np.histogram2d(along[labels == name], across[labels == name], bins=edges)[0] for name in names]
    )
    return StripBins(length_edges=edges[0], width_edges=edges[1], kinds=names, counts=table.astype(np.int_))
