"""Edges to a fraction of a pixel, lines and circles through them, and quantities in mm with their uncertainty.

A gauge is given in the part's own millimetres (x right, y down, the origin wherever the recipe puts it) and laid
over the picture by the part's pose. Edge points are found in the picture as it is and carried to the plane one by
one, so no picture is straightened. A gauge that finds no edge raises EdgeNotFound: there is no number then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError
from inspection.types import Image, Measurement
from inspection.vision.calibration import Plane, Points

EDGE_UNCERTAINTY_PX = 0.005
"""Standard uncertainty of where a whole edge lies, the same for all its points: what does not average out. Diameters
and widths of drawn discs and bars are wrong by less than twice this in the mean (`tests/inspection/vision/
test_measuring.py`). A lamp that shines around an edge adds its own, which only a measured master part shows."""

_SAMPLING_VARIANCE_PX2 = 0.25
"""What a pixel that gathers light over all of its area (1/12) and bilinear sampling (1/6) add to a blur's variance."""

_UNRESOLVED_PX = 0.025
_BLUR_RESOLVES = 6.0
_PX_PER_LEVEL = 1.2, 2.0
"""Found by drawing edges along the pixel rows at every phase: an edge that the lens hardly blurs is drawn towards the
grid by _UNRESOLVED_PX exp(-_BLUR_RESOLVES blur²), and one grey level on all of a scan line moves the edge by
(_PX_PER_LEVEL[0] + _PX_PER_LEVEL[1] blur²) / contrast."""

_BENDS = 1.9
"""Slope that one period of a wave of this rms amplitude and the line's length gives a line of least squares, times
that length: 12 / 2π."""

MIN_FOUND = 0.6
"""Share of a gauge's scan lines that must show the edge, and of the edge points that must lie on the fit."""

MAX_SCATTER_PX = 1.0
"""Standard deviation of edge points about the fit. More is texture, or another shape."""

_STEP_PX = 0.5
_SMOOTHING_PX = 1.0

_MARGIN_PX = 5.0
"""How far around a place is looked at to say that an edge is there: four sigmas of the smoothing, and the neighbour
one pixel off. With nothing beyond the end of a scan line, an edge at it or outside showed up to 3 px farther inside."""

_SCAN_LINES = (24, 120)
_TRIALS = 100


class EdgeNotFound(InspectionError):
    """A gauge does not see the edge it is for, or sees one that is not of its shape."""

    code = "INS-EDGE-NOT-FOUND"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Where the part lies on the plane: its origin, and its turn from the plane's x towards its y."""

    x_mm: float = 0.0
    y_mm: float = 0.0
    angle_deg: float = 0.0

    def to_plane(self, points_mm: Points) -> Points:
        """Points (N, 2) of the part, as points on the plane."""
        c, s = math.cos(math.radians(self.angle_deg)), math.sin(math.radians(self.angle_deg))
        return np.asarray(points_mm @ np.array([[c, s], [-s, c]]) + (self.x_mm, self.y_mm), np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What counts as the edge, along the direction of search.

    brightness    `rising` from dark to bright, `falling`, or `either`
    choice        the `strongest` of a scan line, or the `first` that is strong enough
    min_contrast  grey levels from one side to the other
    """

    brightness: Literal["rising", "falling", "either"] = "either"
    choice: Literal["strongest", "first"] = "strongest"
    min_contrast: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LineGauge:
    """A straight edge expected from `start_mm` to `end_mm`, searched from the left of that way to its right,
    `reach_mm` to each side."""

    start_mm: tuple[float, float]
    end_mm: tuple[float, float]
    reach_mm: float
    edge: Edge = Edge()

    def scan(self, count: int) -> tuple[Points, Points]:
        start, end = np.array(self.start_mm), np.array(self.end_mm)
        along = (end - start) / np.linalg.norm(end - start)
        across = np.array([-along[1], along[0]]) * self.reach_mm
        # Half a step in from the ends, where corners are.
        middle = start + (end - start) * ((np.arange(count) + 0.5) / count)[:, None]
        return middle - across, middle + across

    @property
    def length_mm(self) -> float:
        return math.dist(self.start_mm, self.end_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircleGauge:
    """A round edge, searched from inside to outside, `reach_mm` to each side of the radius.

    from_deg, to_deg   the arc that is looked at, from x towards y; less than 90 degrees hardly hold a radius
    """

    centre_mm: tuple[float, float]
    radius_mm: float
    reach_mm: float
    from_deg: float = 0.0
    to_deg: float = 360.0
    edge: Edge = Edge()

    def scan(self, count: int) -> tuple[Points, Points]:
        share = (np.arange(count) + 0.5) / count
        angle = np.radians(self.from_deg + share * (self.to_deg - self.from_deg))
        out, centre = np.stack([np.cos(angle), np.sin(angle)], axis=1), np.array(self.centre_mm)
        return centre + out * max(self.radius_mm - self.reach_mm, 0.0), centre + out * (
            self.radius_mm + self.reach_mm
        )

    @property
    def length_mm(self) -> float:
        return math.radians(abs(self.to_deg - self.from_deg)) * self.radius_mm


Gauge = LineGauge | CircleGauge
QuantityKind = Literal["diameter", "distance", "angle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One number of the part, from one gauge or two of them, by their names.

    kind   `diameter` of a circle; `distance` of two circles' middles, of a middle from a line, or of two lines (the
           mean of each one's middle from the other); `angle` between two lines, 0 … 90 degrees
    added_uncertainty  standard uncertainty, mm or degrees, that a measured master part showed beyond what is known
                       here: how the lamp shows these edges
    """

    name: str
    kind: QuantityKind
    of: tuple[str, ...]
    added_uncertainty: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Edges:
    """Edge points (N, 2), px, in the order of the scan lines that have one, and the edge's softness there.

    blur_px   standard deviation of the blur (lens, pixel, interpolation), the median over the points
    contrast  grey levels from one side to the other, the median over the points
    within    how many of the points lie on their scan line, and not up to MAX_SCATTER_PX beyond it
    """

    points_px: Points
    blur_px: float
    contrast: float
    within: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """A fitted line. `u_offset_mm` and `u_angle` (radians) are from the scatter of its points alone, the edge's own
    uncertainty `u_edge_mm` apart: it shifts the whole line. `scatter_mm` is that of single points."""

    middle_mm: Points
    direction: Points
    u_offset_mm: float
    u_angle: float
    u_edge_mm: float
    scatter_mm: float

    def offset(self, point_mm: Points) -> float:
        """How far a point lies from the line, mm; its sign says on which side."""
        (dx, dy), (x, y) = self.direction, point_mm - self.middle_mm
        return float(dx * y - dy * x)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Circle:
    """A fitted circle; `covariance` (3, 3) of middle x, middle y and radius, mm², from scatter alone."""

    centre_mm: Points
    radius_mm: float
    covariance: Points
    u_edge_mm: float


def measure(
    image: Image,
    plane: Plane,
    gauges: Mapping[str, Gauge],
    quantities: Sequence[Quantity],
    *,
    pose: Pose | None = None,
) -> tuple[Measurement, ...]:
    """The quantities, in their order: mm or degrees, each with its standard uncertainty (k = 1).

    image  the whole frame of the camera, grey or colour
    pose   where the part lies; None: gauges are given on the plane itself

    Raises CalibrationMisfit, EdgeNotFound; KeyError for a quantity of a gauge that is not there, ValueError for one
    of gauges it cannot be made of.
    """
    plane.check_fits(image)
    grey = np.asarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    fits = {name: fit(grey, plane, gauge, name=name, pose=pose or Pose()) for name, gauge in gauges.items()}
    return tuple(_quantity(one, [fits[name] for name in one.of], plane) for one in quantities)


def fit(grey: Image, plane: Plane, gauge: Gauge, *, name: str, pose: Pose) -> Line | Circle:
    """The gauge's line or circle on the plane. Raises EdgeNotFound, CalibrationMisfit."""
    starts, ends = (plane.to_px(pose.to_plane(side)) for side in gauge.scan(2))
    px_per_mm = float(np.linalg.norm(ends - starts, axis=1).mean()) / (2 * gauge.reach_mm)
    count = int(np.clip(gauge.length_mm * px_per_mm / 2, *_SCAN_LINES))
    starts, ends = (plane.to_px(pose.to_plane(side)) for side in gauge.scan(count))
    edges = find_edges(grey, starts, ends, gauge.edge, name=name)
    if edges.within < MIN_FOUND * count:
        raise _not_found(name, f"{edges.within} / {count}", f"≥ {math.ceil(MIN_FOUND * count)}")
    points = plane.to_mm(edges.points_px)
    mm_per_px = 1 / px_per_mm
    together = _sharing_pixels(gauge.length_mm * px_per_mm / count)
    if isinstance(gauge, LineGauge):
        kept, sigma = _kept(points, _through_two, 2, mm_per_px)
        _check(name, kept, sigma, mm_per_px)
        line = fit_line(points[kept], together=together)
        way = edges.points_px[kept][-1] - edges.points_px[kept][0]
        shift_px = _grid_shift_px(edges, line.scatter_mm * px_per_mm, rows_crossed=float(np.abs(way).min()))
        bend = _BENDS * shift_px / max(float(np.linalg.norm(way)), 1.0)
        return replace(
            line,
            u_angle=math.hypot(line.u_angle, bend),
            u_edge_mm=math.hypot(EDGE_UNCERTAINTY_PX, shift_px) * mm_per_px,
        )
    kept, sigma = _kept(points, _through_three, 3, mm_per_px)
    _check(name, kept, sigma, mm_per_px)
    # A round edge crosses the pixel grid all around: what that does is in the scatter of its points.
    circle = fit_circle(points[kept], u_edge_mm=EDGE_UNCERTAINTY_PX * mm_per_px, together=together)
    # Blur draws a round edge towards its middle, by σ²/2r: the curvature term of a blurred half-plane.
    drawn_in = (edges.blur_px * mm_per_px) ** 2 / (2 * circle.radius_mm)
    return Circle(
        centre_mm=circle.centre_mm,
        radius_mm=circle.radius_mm + drawn_in,
        covariance=circle.covariance,
        u_edge_mm=circle.u_edge_mm,
    )


def find_edges(grey: Image, starts_px: Points, ends_px: Points, edge: Edge, *, name: str = "") -> Edges:
    """The edge on each of the scan lines, starts (N, 2) to ends (N, 2), that has one.

    An edge is where the smoothed brightness changes fastest, to a fraction of a sample by the parabola through the
    logarithm of the gradient: exact for an edge blurred by a Gaussian. A scan line that ends at the picture's border
    has none on its last 5 px. Raises EdgeNotFound for scan lines that leave the picture: what lies outside cannot be
    looked at.
    """
    limits = np.array(grey.shape[::-1]) - 1
    both = np.concatenate([starts_px, ends_px])
    if not ((both >= 0) & (both <= limits)).all():
        low, high = both.min(axis=0), both.max(axis=0)
        raise _not_found(
            name,
            f"x {low[0]:.0f} … {high[0]:.0f}, y {low[1]:.0f} … {high[1]:.0f} px",
            f"x 0 … {limits[0]}, y 0 … {limits[1]} px",
        )
    length = float(np.linalg.norm(ends_px - starts_px, axis=1).mean())
    count = max(int(length / _STEP_PX) + 1, 9)
    step = length / (count - 1)
    # Points up to MAX_SCATTER_PX beyond the reach go into the fit: without those that noise moved outwards, an edge at
    # the end of it would be drawn inwards.
    beyond, scatter = (_MARGIN_PX + MAX_SCATTER_PX) / length, MAX_SCATTER_PX / length
    more = math.ceil(beyond * (count - 1))
    share = np.arange(-more, count + more) / (count - 1)
    at = starts_px[:, None] + (ends_px - starts_px)[:, None] * share[:, None]
    seen = np.clip(at, 0, limits)
    smooth = cv2.GaussianBlur(_sampled(grey, seen), (0, 0), sigmaX=_SMOOTHING_PX / step, sigmaY=1e-3)
    # Beside the picture's border the reach ends sooner: what lies beyond it is made up.
    outside = (at != seen).any(axis=2)
    low = np.maximum(share[outside.argmin(axis=1)] + beyond, 0.0)
    high = np.minimum(share[::-1][outside[:, ::-1].argmin(axis=1)] - beyond, 1.0)
    sought = (share >= low[:, None] - scatter) & (share <= high[:, None] + scatter)
    lines, sample, blur_px, contrast = _peaks(np.gradient(smooth, step, axis=1), sought, step, edge)
    place = (sample - more) / (count - 1)
    return Edges(
        points_px=starts_px[lines] + (ends_px - starts_px)[lines] * place[:, None],
        blur_px=blur_px,
        contrast=contrast,
        within=int(((place >= low[lines]) & (place <= high[lines])).sum()),
    )


def _sampled(grey: Image, at: Points) -> Points:
    """Bilinear; by hand, because OpenCV's own rounds places to 1/32 px."""
    corner = np.minimum(at.astype(np.intp), np.array(grey.shape[::-1]) - 2)
    x, y = corner[..., 0], corner[..., 1]
    right, down = np.moveaxis(at - corner, -1, 0)
    above = grey[y, x] * (1 - right) + grey[y, x + 1] * right
    below = grey[y + 1, x] * (1 - right) + grey[y + 1, x + 1] * right
    return np.asarray(above * (1 - down) + below * down, np.float64)


def _peaks(
    slope: Points, sought: NDArray[np.bool_], step: float, edge: Edge
) -> tuple[NDArray[np.intp], Points, float, float]:
    """The scan lines that have an edge where it is sought, on which sample of each it lies, with a fraction, and of
    all of them the edge's blur, px, and contrast."""
    sign = {"rising": 1, "falling": -1}.get(edge.brightness)
    steep = np.maximum(np.abs(slope) if sign is None else sign * slope, 1e-3)
    # Neighbours one pixel off: nearer ones see the same smoothed noise.
    reach = max(1, round(1 / step))
    before, here, after = steep[:, : -2 * reach], steep[:, reach:-reach], steep[:, 2 * reach :]
    left, middle, right = np.log(before), np.log(here), np.log(after)
    bend = left - 2 * middle + right
    peak = (here >= steep[:, reach - 1 : -reach - 1]) & (
        here > steep[:, reach + 1 : slope.shape[1] - reach + 1]
    )
    peak &= (bend < -1e-6) & sought[:, reach:-reach]
    variance = np.where(peak, (reach * step) ** 2 / np.maximum(-bend, 1e-6), 0.0)
    contrast = here * np.sqrt(2 * np.pi * variance)
    peak &= contrast >= edge.min_contrast
    best = peak.argmax(axis=1) if edge.choice == "first" else np.where(peak, here, -1.0).argmax(axis=1)
    lines = np.flatnonzero(peak.any(axis=1))
    best = best[lines]
    off = 0.5 * reach * (left - right)[lines, best] / bend[lines, best]
    # What the smoothing along the scan line and the difference over two steps added is not the picture's blur.
    own = _SMOOTHING_PX**2 + step**2 / 3
    blur = math.sqrt(max(float(np.median(variance[lines, best])) - own, 0.0)) if len(lines) else 0.0
    level = float(np.median(contrast[lines, best])) if len(lines) else 0.0
    return lines, best + reach + np.clip(off, -reach, reach), blur, level


def _sharing_pixels(spacing_px: float) -> float:
    """By how much the variance of a mean grows because neighbouring scan lines, so far apart, share pixels: the sum of
    the autocorrelation of bilinear samples (a cubic B-spline) over all lags."""
    together, lag = 1.0, 1
    while (apart := lag * spacing_px) < 2:
        spline = (2 - apart) ** 3 / 6 if apart >= 1 else 2 / 3 - apart**2 + apart**3 / 2
        together += 2 * spline / (2 / 3)
        lag += 1
    return together


def _grid_shift_px(edges: Edges, scatter_px: float, *, rows_crossed: float) -> float:
    """Standard uncertainty, px, of where an edge along the pixel grid lies, which all of its points share and their
    scatter does not show: what the lens left too sharp for the pixels, and whole grey levels where no noise blurs them.

    scatter_px    of the points about the line
    rows_crossed  of pixels, or columns, from one end of the line to the other: where there are many, the points differ

    Rounding leaves exp(-2π²s²) of its error under a noise of s grey levels (Widrow and Kollár 2008, chapter 4).
    """
    lens = max(edges.blur_px**2 - _SAMPLING_VARIANCE_PX2, 0.0)
    unresolved = _UNRESOLVED_PX * math.exp(-_BLUR_RESOLVES * lens)
    px_per_level = (_PX_PER_LEVEL[0] + _PX_PER_LEVEL[1] * lens) / max(edges.contrast, 1.0)
    noise = scatter_px / px_per_level
    rounding = px_per_level / math.sqrt(12) * math.exp(-2 * math.pi**2 * noise**2)
    return math.hypot(unresolved, rounding) / max(1.0, rows_crossed / 2)


# --- fits ----------------------------------------------------------------------------------------------


def fit_line(points_mm: Points, *, u_edge_mm: float = 0.0, together: float = 1.0) -> Line:
    """The line of least squares, perpendicular to itself, through points (N, 2) in their order along it.

    together  as of `sigma_of_mean`
    """
    middle = points_mm.mean(axis=0)
    _, sizes, ways = np.linalg.svd(points_mm - middle, full_matrices=False)
    direction = ways[0] * (1 if (points_mm[-1] - points_mm[0]) @ ways[0] >= 0 else -1)
    residual = (points_mm - middle) @ np.array([-direction[1], direction[0]])
    sigma = sigma_of_mean(residual, 2, together)
    return Line(
        middle_mm=middle,
        direction=direction,
        u_offset_mm=sigma,
        u_angle=sigma * math.sqrt(len(points_mm)) / float(sizes[0]),
        u_edge_mm=u_edge_mm,
        scatter_mm=math.sqrt(float(residual @ residual) / max(len(residual) - 2, 1)),
    )


def fit_circle(points_mm: Points, *, u_edge_mm: float = 0.0, together: float = 1.0) -> Circle:
    """The circle of least squares, along its radii, through points (N, 2) in their order around it.

    together  as of `sigma_of_mean`
    """
    values = _through_many(points_mm)
    for _ in range(20):
        residual, slope = _from_circle(points_mm, values)
        step = np.linalg.lstsq(slope, -residual, rcond=None)[0]
        values = values + step
        if np.abs(step).max() < 1e-10 * abs(values[2]):
            break
    residual, slope = _from_circle(points_mm, values)
    sigma = sigma_of_mean(residual, 3, together) * math.sqrt(len(points_mm))
    return Circle(
        centre_mm=values[:2],
        radius_mm=float(values[2]),
        covariance=np.asarray(sigma**2 * np.linalg.pinv(slope.T @ slope), np.float64),
        u_edge_mm=u_edge_mm,
    )


def _from_circle(points: Points, values: Points) -> tuple[Points, Points]:
    away = points - values[:2]
    distance = np.maximum(np.linalg.norm(away, axis=1), 1e-12)
    return distance - values[2], np.column_stack([-away / distance[:, None], -np.ones(len(points))])


def _through_many(points: Points) -> Points:
    """A first circle by linear least squares (Kåsa 1976)."""
    centre = points.mean(axis=0)
    away = points - centre
    system = np.column_stack([2 * away, np.ones(len(points))])
    x, y, rest = np.linalg.lstsq(system, (away**2).sum(axis=1), rcond=None)[0]
    return np.array([x + centre[0], y + centre[1], math.sqrt(max(rest + x * x + y * y, 1e-12))])


def sigma_of_mean(residual: Points, parameters: int, least_together: float) -> float:
    """Standard uncertainty of the residuals' mean. Neighbours share pixels and roughness: where their residuals
    run together, they count as fewer (the sum of the autocorrelation up to its first value below zero, at least what
    the pixels that they share make of it). Of few points it is larger, so that twice of it holds 95 % (GUM, annex G:
    Student's t, to the first order in 1 / degrees of freedom)."""
    n = len(residual)
    variance = float(residual @ residual) / max(n - parameters, 1)
    if variance == 0:
        return 0.0
    together = 1.0
    for lag in range(1, n // 3):
        alike = float(residual[lag:] @ residual[:-lag]) / (variance * n)
        if alike <= 0:
            break
        together += 2 * alike
    together = max(together, least_together)
    freedom = max(n / together - parameters, 2.0)
    return math.sqrt(variance / n * together) * (1 + 1.25 / freedom)


_Through = Callable[[Points, NDArray[np.intp]], Points]


def _kept(
    points: Points, through: _Through, needed: int, mm_per_px: float
) -> tuple[NDArray[np.bool_], float]:
    """Which points belong to the shape that half of them fit best, and their scatter about it, mm.

    Least median of squares over drawn samples (Rousseeuw and Leroy 1987, chapter 5): holds with up to half of
    the points wrong, and asks for no tolerance. Seeded: the same points give the same answer.
    """
    n = len(points)
    residual = through(points, _drawn(n, needed))
    medians = np.median(residual**2, axis=1)
    best = int(np.argmin(medians))
    sigma = 1.4826 * (1 + 5 / max(n - needed, 1)) * math.sqrt(float(medians[best]))
    # Drawn edges without noise agree to hundredths of a pixel: not every such point is an outlier.
    return np.abs(residual[best]) <= 3 * max(sigma, 0.05 * mm_per_px), sigma


@cache
def _drawn(n: int, needed: int) -> NDArray[np.intp]:
    return np.random.default_rng(0).random((_TRIALS, n)).argsort(axis=1)[:, :needed]


def _through_two(points: Points, chosen: NDArray[np.intp]) -> Points:
    """Distances (T, N) of all points from the lines through two of them each."""
    a, b = points[chosen[:, 0]], points[chosen[:, 1]]
    way = (b - a) / np.maximum(np.linalg.norm(b - a, axis=1), 1e-12)[:, None]
    off = points[None] - a[:, None]
    return np.asarray(np.abs(way[:, None, 0] * off[..., 1] - way[:, None, 1] * off[..., 0]), np.float64)


def _through_three(points: Points, chosen: NDArray[np.intp]) -> Points:
    """Distances (T, N) of all points from the circles through three of them each."""
    a, b, c = (points[chosen[:, i]] for i in range(3))
    p, q = b - a, c - a
    twice = 2 * (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0])
    twice = np.where(np.abs(twice) < 1e-12, 1e-12, twice)
    pp, qq = (p**2).sum(axis=1), (q**2).sum(axis=1)
    centre = np.stack([q[:, 1] * pp - p[:, 1] * qq, p[:, 0] * qq - q[:, 0] * pp], axis=1) / twice[:, None]
    radius = np.linalg.norm(centre, axis=1)
    distance = np.linalg.norm(points[None] - (a + centre)[:, None], axis=2)
    return np.asarray(np.abs(distance - radius[:, None]), np.float64)


def _check(name: str, kept: NDArray[np.bool_], sigma: float, mm_per_px: float) -> None:
    if sigma > MAX_SCATTER_PX * mm_per_px:
        raise _not_found(name, f"σ {sigma / mm_per_px:.2f} px", f"≤ {MAX_SCATTER_PX:g} px")
    if kept.sum() < MIN_FOUND * len(kept):
        raise _not_found(name, f"{kept.sum()} / {len(kept)}", f"≥ {math.ceil(MIN_FOUND * len(kept))}")


# --- quantities ----------------------------------------------------------------------------------------


def _quantity(quantity: Quantity, fits: Sequence[Line | Circle], plane: Plane) -> Measurement:
    value, uncertainty, unit = _value(quantity, fits, plane)
    return Measurement(
        name=quantity.name,
        value=value,
        unit=unit,
        uncertainty=math.hypot(uncertainty, quantity.added_uncertainty),
    )


def _value(quantity: Quantity, fits: Sequence[Line | Circle], plane: Plane) -> tuple[float, float, str]:
    """Value, standard uncertainty and unit."""
    match quantity.kind, fits:
        case "diameter", [Circle() as circle]:
            value = 2 * circle.radius_mm
            spread = 2 * math.sqrt(float(circle.covariance[2, 2]))
            return _in_mm(value, spread, 2 * circle.u_edge_mm, plane)
        case "distance", [Circle() as a, Circle() as b]:
            way = b.centre_mm - a.centre_mm
            value = float(np.linalg.norm(way))
            way = way / max(value, 1e-12)
            middles = a.covariance[:2, :2] + b.covariance[:2, :2]
            # An edge that lies wrong all around leaves the middle where it is.
            return _in_mm(value, math.sqrt(float(way @ middles @ way)), 0.0, plane)
        case "distance", [Circle() as circle, Line() as line] | [Line() as line, Circle() as circle]:
            normal = np.array([-line.direction[1], line.direction[0]])
            lever = float((circle.centre_mm - line.middle_mm) @ line.direction)
            spread = math.hypot(line.u_offset_mm, lever * line.u_angle)
            spread = math.hypot(spread, math.sqrt(float(normal @ circle.covariance[:2, :2] @ normal)))
            return _in_mm(abs(line.offset(circle.centre_mm)), spread, line.u_edge_mm, plane)
        case "distance", [Line() as a, Line() as b]:
            value = (abs(a.offset(b.middle_mm)) + abs(b.offset(a.middle_mm))) / 2
            lever = float((b.middle_mm - a.middle_mm) @ a.direction) / 2
            spread = math.hypot(a.u_offset_mm, b.u_offset_mm, lever * a.u_angle, lever * b.u_angle)
            # A lamp that eats into one edge eats into the other: their shifts add up.
            return _in_mm(value, spread, a.u_edge_mm + b.u_edge_mm, plane)
        case "angle", [Line() as a, Line() as b]:
            cross = float(a.direction[0] * b.direction[1] - a.direction[1] * b.direction[0])
            turn = math.atan2(abs(cross), abs(float(a.direction @ b.direction)))
            # A scale that is wrong one way only turns a line by half of it at most.
            u = math.hypot(a.u_angle, b.u_angle, plane.scale_uncertainty / 2)
            return math.degrees(turn), math.degrees(u), "°"
    kinds = ", ".join(type(one).__name__.lower() for one in fits)
    raise ValueError(f"{quantity.name}: there is no {quantity.kind} of {kinds or 'nothing'}")


def _in_mm(value: float, spread: float, edge: float, plane: Plane) -> tuple[float, float, str]:
    return value, math.hypot(spread, edge, value * plane.scale_uncertainty), "mm"


def _not_found(gauge: str, found: str, allowed: str) -> EdgeNotFound:
    return EdgeNotFound(
        f"Gauge {gauge or '-'} does not find its edge: {found}, allowed {allowed}.",
        action="Check that the part lies as usual, is clean, and that lamp and focus are as when this was set up.",
        gauge=gauge or "–",
        found=found,
        allowed=allowed,
    )
