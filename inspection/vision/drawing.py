"""Strips and parts with known defects, from a seed: for demonstrations, tests and training checks.

Everything drawn is deterministic in its seed and index. Rolling direction is down the picture (y), as in
the frames of a line-scan camera. Brightnesses are grey levels 0..255; painted defects are given as a share
of the surface's mean brightness, so that they read alike on dark and on bright steel.

The strip is drawn at the scale of NEU-DET (hot-rolled strip, 200 x 200 px pictures, defects of 20 to 180 px),
and its six kinds are meant to look like the six classes there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from inspection.types import Box, Image

STRIP_KINDS = ("crazing", "inclusion", "patch", "pits", "scale", "scratch")
PART_KINDS = ("chip", "crack", "stain")

# Below this share of the mean brightness, paint does not count as visible: about 4 grey levels of 110.
_VISIBLE = 0.04

Field = NDArray[np.float32]
Random = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnDefect:
    """A defect that was painted. `box_px` encloses the paint that can be seen."""

    kind: str
    box_px: Box


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawing:
    """A picture, grey uint8 (height, width), and what was painted into it."""

    pixels: Image
    truth: tuple[DrawnDefect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RollMark:
    """What a dirty roll leaves once a turn, always alike and at one place across; now and then the roll is cleaned.

    period_px  along the strip; need not be a whole number
    rows, of   so many rows with marks, the last ones of each so many
    """

    period_px: float
    rows: int
    of: int
    kind: str = "patch"


class StripDrawing:
    """An endless hot-rolled strip, cut into frames. Steel runs on over the frame borders.

    Frame `index` of height h shows rows index * h to (index + 1) * h. The layers of the texture repeat
    after different numbers of rows, so the sum of them does not repeat within a coil. Each defect lies
    within one frame; their number per frame is Poisson distributed. Only a roll's mark may be cut by a border.

    defects_per_megapixel   1.6 leaves about 60 % of frames of 800 x 400 px without a defect
    margin_px               of dark background at either side, on average: the strip wanders a little; 0: none
    """

    def __init__(
        self,
        seed: int,
        *,
        width_px: int = 800,
        defects_per_megapixel: float = 1.6,
        margin_px: int = 0,
        roll_mark: RollMark | None = None,
    ) -> None:
        rng = np.random.default_rng([seed, 0])
        self._seed = seed
        self._width_px = width_px
        self._rate = defects_per_megapixel
        self._steel = _Steel(
            mean=float(rng.uniform(98, 128)),
            grain=float(rng.uniform(6, 9)),
            grain_along_px=float(rng.uniform(0.5, 0.65)),
            grain_across_px=float(rng.uniform(1.0, 1.3)),
            streaks=float(rng.uniform(3.5, 5.0)),
            mottle=float(rng.uniform(3.0, 5.0)),
            shading=float(rng.uniform(0.06, 0.10)),
        )
        self._layers = _steel_layers(rng, self._steel, width_px, rows=(1021, 1511, 2503, 1801, 3203))
        self._illumination = _illumination(rng, width_px, depth=0.10)
        self._margin_px = margin_px
        self._roll_mark = roll_mark
        if roll_mark is not None:
            self._mark = _a_roll_mark(seed, roll_mark.kind)

    def frame(self, index: int, *, height_px: int = 400) -> Drawing:
        surface = _stretch(self._layers, index * height_px, height_px)
        surface += self._steel.mean
        surface *= self._illumination
        rng = np.random.default_rng([self._seed, 1, index])
        count = int(rng.poisson(self._rate * height_px * self._width_px / 1e6))
        kinds = [STRIP_KINDS[k] for k in rng.integers(0, len(STRIP_KINDS), count)]
        truth = _paint(rng, surface, kinds, self._steel.mean, margin_px=self._margin_px)
        if self._roll_mark is not None:
            truth += self._marked(surface, index * height_px, self._roll_mark)
        if self._margin_px:
            self._lay_on_background(surface, index * height_px, rng)
        return Drawing(pixels=_as_image(surface), truth=truth)

    def _marked(self, surface: Field, first_row: int, mark: RollMark) -> tuple[DrawnDefect, ...]:
        """The marks that show in these rows, or part of them, painted in."""
        height, width = self._mark.shape
        left = round(0.31 * (self._width_px - width))
        drawn = []
        first_turn = int(np.ceil((first_row - height) / mark.period_px))
        for turn in range(max(0, first_turn), int((first_row + len(surface)) / mark.period_px) + 1):
            row = round(turn * mark.period_px)
            top, bottom = max(row, first_row), min(row + height, first_row + len(surface))
            if top >= bottom or row % mark.of < mark.of - mark.rows:
                continue
            surface[top - first_row : bottom - first_row, left : left + width] += (
                self._steel.mean * self._mark[top - row : bottom - row]
            )
            drawn.append(
                DrawnDefect(
                    kind=mark.kind, box_px=Box(left, top - first_row, left + width, bottom - first_row)
                )
            )
        return tuple(drawn)

    def _lay_on_background(self, surface: Field, first_row: int, rng: Random) -> None:
        rows = np.arange(first_row, first_row + len(surface))[:, None]
        # The strip wanders over tens of metres and breathes by a pixel.
        sway = 0.15 * self._margin_px * np.sin(2 * np.pi * rows / 9001) + 0.6 * np.sin(2 * np.pi * rows / 733)
        columns = np.arange(self._width_px)[None, :]
        inside = np.minimum(
            columns + 1 - self._margin_px - sway, self._width_px - self._margin_px + sway - columns
        )
        share = cv2.GaussianBlur(np.clip(inside, 0, 1).astype(np.float32), (0, 0), 0.8)
        background = 17 + 3 * rng.standard_normal(surface.shape, dtype=np.float32)
        surface += (1 - share) * (background - surface)


def _a_roll_mark(seed: int, kind: str) -> Field:
    """The paint of one mark, cut to what can be seen of it."""
    for attempt in range(100):
        paint = _STRIP_PAINTERS[kind](np.random.default_rng([seed, 3, attempt]), 90, 90)
        seen = _visible_box(paint)
        if seen is not None:
            x1, y1, x2, y2 = seen
            return paint[y1:y2, x1:x2]
    raise ValueError(f"{kind} cannot be painted so small")


def draw_strip_patch(seed: int, *, size_px: int = 200, kinds: Sequence[str] | None = None) -> Drawing:
    """One square of strip surface, its texture, brightness and contrast varied widely from seed to seed.

    kinds   what to paint, in this order; empty for clean steel; None for one to three of any kind. What
            finds no free place is left out of picture and truth.
    """
    rng = np.random.default_rng([seed, 2])
    # The grainy, contrasty look of scaled strip, as in NEU's crazing and patches.
    coarse = rng.random() < 0.35
    steel = _Steel(
        mean=float(rng.uniform(60, 200)),
        grain=float(rng.uniform(10, 24) if coarse else rng.uniform(2, 9)),
        grain_along_px=float(rng.uniform(0.5, 1.6)),
        grain_across_px=float(rng.uniform(0.5, 1.6)),
        streaks=float(rng.uniform(0, 9)),
        mottle=float(rng.uniform(0, 9)),
        shading=float(rng.uniform(0, 0.2)),
    )
    layers = _steel_layers(rng, steel, size_px, rows=(size_px,) * 5)
    surface = _stretch(layers, 0, size_px)
    surface += steel.mean
    surface *= _illumination(rng, size_px, depth=float(rng.uniform(0, 0.15)))
    if kinds is None:
        kinds = [STRIP_KINDS[k] for k in rng.integers(0, len(STRIP_KINDS), 1 + rng.binomial(2, 0.3))]
    truth = _paint(rng, surface, kinds, steel.mean)
    return Drawing(pixels=_as_image(surface), truth=truth)


def _field(values: ArrayLike) -> Field:
    return np.asarray(values, np.float32)


# --- steel ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Steel:
    """How a surface looks. Grain, streaks and mottle in grey levels (standard deviation)."""

    mean: float
    grain: float
    grain_along_px: float
    grain_across_px: float
    streaks: float
    mottle: float
    shading: float


def _noise(rng: Random, rows: int, columns: int, *, along_px: float, across_px: float) -> Field:
    """Gaussian noise with zero mean and unit variance, smooth over the given lengths; the last row joins
    the first. Has `rows` rows, rounded up to a whole number of steps of half a smoothing length."""
    step_y, step_x = max(1, int(along_px / 2)), max(1, int(across_px / 2))
    coarse_rows, coarse_columns = max(4, -(-rows // step_y)), -(-columns // step_x) + 4
    white = rng.standard_normal((coarse_rows, coarse_columns), dtype=np.float32)
    margin = 8
    white = np.pad(white, ((margin, margin), (0, 0)), mode="wrap")
    smooth = cv2.GaussianBlur(white, (0, 0), sigmaX=across_px / step_x, sigmaY=along_px / step_y)
    if step_x > 1 or step_y > 1:
        # Whole factors keep pixel centres aligned, so the wrapped rows still join.
        smooth = cv2.resize(smooth, None, fx=step_x, fy=step_y, interpolation=cv2.INTER_CUBIC)
    field = _field(smooth[margin * step_y : (margin + coarse_rows) * step_y, step_x : step_x + columns])
    field -= field.mean()
    field /= max(float(field.std()), 1e-6)
    return np.ascontiguousarray(field)


def _steel_layers(rng: Random, steel: _Steel, width: int, *, rows: Sequence[int]) -> list[Field]:
    """Grain, fine streaks, broad streaks, oxide mottle and slow shading, each in grey levels."""
    grain = _noise(
        rng, rows[0], width, along_px=steel.grain_along_px, across_px=steel.grain_across_px
    ) + 0.35 * _noise(rng, rows[0], width, along_px=2.4, across_px=2.0)
    fine = _noise(rng, rows[1], width, along_px=float(rng.uniform(25, 60)), across_px=1.4)
    broad = _noise(rng, rows[2], width, along_px=float(rng.uniform(120, 260)), across_px=9.0)
    mottle = _noise(
        rng, rows[3], width, along_px=float(rng.uniform(12, 26)), across_px=float(rng.uniform(7, 14))
    )
    shading = _noise(rng, rows[4], width, along_px=160.0, across_px=float(rng.uniform(50, 120)))
    return [
        steel.grain * 0.9 * grain,
        steel.streaks * 0.6 * fine,
        steel.streaks * 0.8 * broad,
        # Oxide darkens in flakes and hardly brightens: bend the bright half down.
        steel.mottle * np.where(mottle > 0, 0.3 * mottle, mottle),
        steel.mean * steel.shading * 0.5 * shading,
    ]


def _stretch(layers: Sequence[Field], first_row: int, rows: int) -> Field:
    """The sum of the layers from a row on; each repeats after its own height."""
    total = np.zeros((rows, layers[0].shape[1]), np.float32)
    for layer in layers:
        period = layer.shape[0]
        done = 0
        while done < rows:
            start = (first_row + done) % period
            count = min(period - start, rows - done)
            total[done : done + count] += layer[start : start + count]
            done += count
    return total


def _illumination(rng: Random, width: int, *, depth: float) -> Field:
    """The lamp across the strip, around 1: brightest somewhere near the middle, falling to the edges."""
    x = np.linspace(-1, 1, width, dtype=np.float32) - np.float32(rng.uniform(-0.4, 0.4))
    profile = 1 + depth * (0.35 - x * x) + 0.15 * depth * np.cos(3 * np.pi * x)
    return _field(profile)[None, :]


def _as_image(surface: Field) -> Image:
    np.clip(surface, 0, 255, out=surface)
    return np.rint(surface).astype(np.uint8)


# --- defects of the strip ------------------------------------------------------------------------------


def _paint(
    rng: Random, surface: Field, kinds: Sequence[str], mean: float, *, margin_px: int = 0
) -> tuple[DrawnDefect, ...]:
    """Paint defects side by side into `surface`, in place, and none nearer to its sides than twice `margin_px`."""
    height, width = surface.shape
    # On coarse grain the same paint would drown: there it is laid on up to twice as thick.
    thickness = mean * float(np.clip(surface.std() / (0.09 * mean), 1, 2))
    drawn: list[DrawnDefect] = []
    for kind in kinds:
        paint = _STRIP_PAINTERS[kind](rng, min(height, 190) - 8, min(width, 190) - 8)
        seen = _visible_box(paint)
        if seen is None:
            continue
        x1, y1, x2, y2 = seen
        paint = paint[y1:y2, x1:x2]
        for _ in range(8):
            left = int(rng.integers(2 * margin_px, width - 2 * margin_px - paint.shape[1] + 1))
            top = int(rng.integers(0, height - paint.shape[0] + 1))
            box = Box(left, top, left + paint.shape[1], top + paint.shape[0])
            if not any(_touch(box, other.box_px) for other in drawn):
                surface[top : top + paint.shape[0], left : left + paint.shape[1]] += thickness * paint
                drawn.append(DrawnDefect(kind=kind, box_px=box))
                break
    return tuple(drawn)


def _visible_box(paint: Field) -> tuple[int, int, int, int] | None:
    visible = np.abs(paint) > _VISIBLE
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    if rows.size < 3 or columns.size < 3:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _touch(a: Box, b: Box) -> bool:
    return a.x1 < b.x2 and b.x1 < a.x2 and a.y1 < b.y2 and b.y1 < a.y2


def _between(rng: Random, low: float, high: float, at_most: int) -> int:
    return int(rng.uniform(min(low, at_most), min(high, at_most)))


def _wander(rng: Random, n: int, step: int) -> Field:
    """n values of a slowly changing random line, about unit variance."""
    knots = rng.standard_normal(n // step + 2)
    return np.interp(np.arange(n), np.arange(knots.size) * step, knots).astype(np.float32)


def _soften(field: Field, *, steepness: float) -> Field:
    """From a height field to a share 0..1: 0.5 where the field is 0."""
    return _field(1 / (1 + np.exp(np.clip(-steepness * field, -30, 30))))


def _spread(height: int, width: int) -> tuple[Field, Field]:
    """Row and column coordinates from -1 to 1, for windows."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return y, x


def _scratch(rng: Random, max_height: int, max_width: int) -> Field:
    """One to four parallel grooves that shine, mostly along the rolling direction; some lie across."""
    length = _between(rng, 45, 185, min(max_height, max_width))
    slope = float(rng.normal(0, 0.02) if rng.random() < 0.85 else rng.uniform(-0.35, 0.35))
    strands = 1 + int(rng.binomial(4, 0.25))
    spacing = rng.uniform(3, 7)
    room = int(strands * spacing + abs(slope) * length) + 16
    y, x = np.arange(length, dtype=np.float32), np.arange(room, dtype=np.float32)
    lean = slope * (y - (length if slope < 0 else 0))
    peak = rng.uniform(0.3, 1.1) if rng.random() < 0.9 else -rng.uniform(0.25, 0.4)
    paint = np.zeros((length, room), np.float32)
    for strand in range(strands):
        first, last = sorted(rng.uniform(0, 1, 2)) if strand else (0.0, 1.0)
        taper = np.clip(np.minimum(y - first * length, last * length - y) / 6, 0, 1)
        bright = np.clip(0.75 + 0.35 * _wander(rng, length, 7), 0.15, 1.4) * taper
        centre = 8 + strand * spacing + lean + 0.4 * _wander(rng, length, 25)
        broad = rng.uniform(0.9, 2.2)
        offset = x[None, :] - centre[:, None]
        groove = np.exp(-((offset / broad) ** 2))
        shadow = np.exp(-(((offset - 2.2 * broad) / broad) ** 2))
        paint += (peak * bright)[:, None] * (groove - 0.15 * shadow)
    return np.ascontiguousarray(paint.T) if rng.random() < 0.2 else paint


def _inclusion(rng: Random, max_height: int, max_width: int) -> Field:
    """A dark smear drawn out along the rolling direction, with streaky, torn edges."""
    height, width = _between(rng, 55, 185, max_height), _between(rng, 16, 48, max_width)
    y, x = _spread(height, width)
    x = x + 0.25 * _wander(rng, height, 40)[:, None] * (1 - x * x)
    torn = _noise(rng, height, width, along_px=20, across_px=2.6)[:height]
    inside = 1.5 * (1 - x * x - y * y) - 0.5 + 0.65 * torn
    return -np.float32(rng.uniform(0.16, 0.42)) * _soften(inside, steepness=4) * (1 - y**6) * (1 - x**4)


def _patch(rng: Random, max_height: int, max_width: int) -> Field:
    """A dark island with a ragged shore."""
    height, width = _between(rng, 40, 125, max_height), _between(rng, 38, 110, max_width)
    y, x = _spread(height, width)
    shore = _noise(rng, height, width, along_px=9, across_px=8)[:height]
    ragged = _noise(rng, height, width, along_px=2.2, across_px=2.2)[:height]
    inside = 1.5 * (1 - x * x - y * y) - 0.35 + 0.4 * shore + 0.12 * ragged
    island = _soften(inside, steepness=9) * (1 - y**8) * (1 - x**8)
    return -np.float32(rng.uniform(0.3, 0.62)) * island * (1 + 0.12 * ragged)


def _pits(rng: Random, max_height: int, max_width: int) -> Field:
    """A field of small round holes, denser in its middle."""
    height, width = _between(rng, 60, 185, max_height), _between(rng, 45, 180, max_width)
    count = int(height * width * rng.uniform(0.003, 0.009))
    typical = rng.uniform(1.1, 2.2)
    mask = np.zeros((height, width), np.uint8)
    centres = rng.beta(1.2, 1.2, (count, 2)) * (width, height)
    for (x, y), size in zip(centres, typical * rng.lognormal(0, 0.35, count), strict=True):
        _dot(mask, x, y, along=size * rng.uniform(0.9, 1.5), across=size, tilt_degrees=90, value=255)
    return -np.float32(rng.uniform(0.2, 0.42)) * _as_share(mask, blur_px=0.7)


def _scale(rng: Random, max_height: int, max_width: int) -> Field:
    """Flecks of oxide pressed in by the roll: short, flat, dark, most of them lying across the strip."""
    height, width = _between(rng, 40, 115, max_height), _between(rng, 48, 125, max_width)
    count = int(height * width * rng.uniform(0.003, 0.007))
    mask = np.zeros((height, width), np.uint8)
    lie = rng.normal(0, 8)
    centres = rng.beta(1.4, 1.4, (count, 2)) * (width, height)
    for x, y in centres:
        length = rng.uniform(2.5, 7.5)
        tilt = lie + rng.normal(0, 12)
        value = int(rng.uniform(120, 255))
        _dot(mask, x, y, along=length, across=rng.uniform(0.9, 2.2), tilt_degrees=tilt, value=value)
    dark = _as_share(mask, blur_px=0.8)
    rim = np.roll(dark, 2, axis=0)
    return np.float32(rng.uniform(0.25, 0.5)) * (0.25 * rim - dark)


def _crazing(rng: Random, max_height: int, max_width: int) -> Field:
    """A net of fine dark cracks, most of them running across the strip."""
    height, width = _between(rng, 45, 150, max_height), _between(rng, 70, 185, max_width)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(max(3, int(height * rng.uniform(0.10, 0.20)))):
        steps = int(rng.integers(6, 6 + width // 8))
        start = np.array([rng.uniform(0, width * 0.7), rng.uniform(3, height - 3)])
        path = start + np.cumsum(rng.normal((4.5, 0), (2, 3.4), (steps, 2)), axis=0)
        _line(mask, path, value=int(rng.uniform(150, 255)))
        for _ in range(int(rng.integers(0, 4))):
            fork = path[int(rng.integers(0, steps))]
            branch = fork + np.cumsum(rng.normal((2, rng.choice((-4, 4))), 2.0, (4, 2)), axis=0)
            _line(mask, branch, value=int(rng.uniform(120, 220)))
    fade = _noise(rng, height, width, along_px=18, across_px=24)[:height]
    net = np.minimum(_as_share(mask, blur_px=0.6) * 1.2, 1)
    return _field(-np.float32(rng.uniform(0.3, 0.55)) * net * np.clip(0.75 + 0.35 * fade, 0.1, 1))


def _dot(
    mask: Image, x: float, y: float, *, along: float, across: float, tilt_degrees: float, value: int
) -> None:
    """A filled ellipse at a sub-pixel place; half axes in px, tilt from the x axis."""
    centre = (round(x * 16), round(y * 16))
    axes = (round(along * 16), round(across * 16))
    cv2.ellipse(mask, centre, axes, tilt_degrees, 0, 360, value, cv2.FILLED, cv2.LINE_AA, shift=4)


def _line(mask: Image, path: NDArray[np.float64], *, value: int, thickness: int = 1) -> None:
    points = np.rint(path * 16).astype(np.int32)[:, None, :]
    cv2.polylines(mask, [points], False, value, thickness, cv2.LINE_AA, shift=4)


def _as_share(mask: Image, *, blur_px: float) -> Field:
    return _field(cv2.GaussianBlur(mask, (0, 0), blur_px)) / np.float32(255)


_STRIP_PAINTERS: dict[str, Callable[[Random, int, int], Field]] = {
    "crazing": _crazing,
    "inclusion": _inclusion,
    "patch": _patch,
    "pits": _pits,
    "scale": _scale,
    "scratch": _scratch,
}


# --- parts ---------------------------------------------------------------------------------------------


def draw_part(seed: int, index: int, *, size_px: int = 400, defective: bool | None = None) -> Drawing:
    """A turned flange with a bore and six bolt holes, lying a little differently each time.

    defective   False for a good part, True for one or two defects, None for the mix of the line: 85 % good
    """
    rng = np.random.default_rng([seed, 3, index])
    flange = _Flange.lying_about(rng, size_px)
    surface = _draw_flange(rng, flange, size_px)
    if defective is None:
        defective = bool(rng.random() >= 0.85)
    truth: list[DrawnDefect] = []
    if defective:
        chosen = rng.permutation(len(PART_KINDS))[: 2 if rng.random() < 0.15 else 1]
        for kind in (PART_KINDS[k] for k in chosen):
            before = surface.copy()
            _PART_PAINTERS[kind](rng, flange, surface)
            seen = _visible_box((surface - before) / np.float32(110))
            if seen is not None:
                truth.append(DrawnDefect(kind=kind, box_px=Box(*seen)))
    surface += _sensor_noise(rng, size_px)
    return Drawing(pixels=_as_image(surface), truth=tuple(truth))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flange:
    """Where the part lies and what it measures, px."""

    x: float
    y: float
    turn: float
    radius: float
    bore: float
    step: float
    pitch: float
    hole: float

    @classmethod
    def lying_about(cls, rng: Random, size_px: int) -> _Flange:
        scale = size_px / 400
        return cls(
            x=size_px / 2 + scale * float(rng.uniform(-8, 8)),
            y=size_px / 2 + scale * float(rng.uniform(-8, 8)),
            turn=float(rng.uniform(0, 2 * np.pi)),
            radius=scale * 168,
            bore=scale * 46,
            step=scale * 82,
            pitch=scale * 126,
            hole=scale * 13.5,
        )

    def holes(self) -> list[tuple[float, float]]:
        angles = self.turn + np.arange(6) * np.pi / 3
        return [
            (self.x + self.pitch * float(np.cos(a)), self.y + self.pitch * float(np.sin(a))) for a in angles
        ]

    def at(self, distance: float, angle: float) -> tuple[float, float]:
        return self.x + distance * float(np.cos(angle)), self.y + distance * float(np.sin(angle))


@lru_cache(maxsize=4)
def _noise_bank(size_px: int) -> Field:
    rng = np.random.default_rng([7, size_px])
    return rng.standard_normal((2 * size_px, 2 * size_px), dtype=np.float32)


def _sensor_noise(rng: Random, size_px: int) -> Field:
    """Noise of the camera, cut from a bank made once: drawing it anew costs 2 ms a picture."""
    top, left = rng.integers(0, size_px, 2)
    return 1.8 * _noise_bank(size_px)[top : top + size_px, left : left + size_px]


def _draw_flange(rng: Random, flange: _Flange, size_px: int) -> Field:
    axis = np.arange(size_px, dtype=np.float32)
    dx, dy = np.meshgrid(axis - np.float32(flange.x), axis - np.float32(flange.y))
    distance = _field(cv2.magnitude(dx, dy))
    light = float(rng.uniform(-0.9, -0.6))  # the lamp stands up and to the left, with some play
    toward_lamp = (dx * np.float32(np.cos(light * np.pi)) + dy * np.float32(np.sin(light * np.pi))) / (
        distance + 1
    )
    # Turned grooves reflect in a bow tie: bright where they lie across the light (Ward's anisotropic lobe).
    lobe = toward_lamp * toward_lamp
    face = 118 + 62 * lobe * lobe
    face += _tool_marks(rng, size_px)[np.minimum((distance * 4).astype(np.int32), size_px * 4 - 1)]
    raised = _inside(distance, flange.step)
    face += 10 * raised
    face += 70 * toward_lamp * _ring(distance, flange.step, 2.5)
    face += (35 + 55 * toward_lamp) * _ring(distance, flange.radius - 4, 3.0)
    face += (20 - 60 * toward_lamp) * _ring(distance, flange.bore + 3, 2.5)
    background = _bench(rng, size_px)
    shadow = cv2.GaussianBlur(_inside(distance, flange.radius + 4), (0, 0), 5)
    background *= 1 - 0.55 * np.roll(shadow, (5, 6), axis=(0, 1))
    metal = _inside(distance, flange.radius) * (1 - _inside(distance, flange.bore))
    for x, y in flange.holes():
        _drill(face, metal, x, y, flange.hole)
    surface: Field = background + metal * (face - background)
    return surface


def _inside(distance: Field, radius: float) -> Field:
    """1 within the circle, 0 outside, the rim shared over one pixel."""
    return _field(np.clip(np.float32(radius + 0.5) - distance, 0, 1))


def _ring(distance: Field, radius: float, half_width: float) -> Field:
    return _field(np.clip(1 - np.abs(distance - np.float32(radius)) / np.float32(half_width), 0, 1))


def _tool_marks(rng: Random, size_px: int) -> Field:
    """Grey levels by distance from the axis, in quarter pixels: the feed of the tool and its chatter."""
    quarter = np.arange(size_px * 4, dtype=np.float32) / 4
    feed_px = rng.uniform(3.2, 4.4)
    marks = 4.5 * np.sin(2 * np.pi * quarter / feed_px) + 4 * _wander(rng, quarter.size, 6)
    return (marks + 4 * _wander(rng, quarter.size, 60)).astype(np.float32)


def _bench(rng: Random, size_px: int) -> Field:
    cloth = _noise(rng, size_px, size_px, along_px=30, across_px=30)[:size_px]
    return 34 + 3 * cloth


def _drill(face: Field, metal: Field, x: float, y: float, radius: float) -> None:
    """Cut a bolt hole with its chamfer, touching only the pixels around it."""
    reach = int(radius) + 6
    rows = slice(max(int(y) - reach, 0), int(y) + reach + 1)
    columns = slice(max(int(x) - reach, 0), int(x) + reach + 1)
    gy, gx = np.mgrid[rows, columns].astype(np.float32)
    gx, gy = gx[: face.shape[0]] - np.float32(x), gy[: face.shape[0]] - np.float32(y)
    distance = _field(cv2.magnitude(gx, gy))
    up_left = -(gx + gy) / (distance + 1)
    face[rows, columns] += (15 - 38 * up_left) * _ring(distance, radius + 1.5, 2.5)
    metal[rows, columns] *= 1 - _inside(distance, radius)


def _chip(rng: Random, flange: _Flange, surface: Field) -> None:
    """Material broken off an edge: a bright, rough fracture with the bench showing where it went through."""
    at_rim = rng.random() < 0.7
    size = flange.radius / 168 * rng.uniform(11, 26)
    edge = flange.radius if at_rim else flange.bore
    angle = rng.uniform(0, 2 * np.pi)
    x, y = flange.at(edge + (-0.25 if at_rim else 0.25) * size, angle)
    spokes = np.linspace(0, 2 * np.pi, 11)[:-1]
    reach = size * rng.uniform(0.55, 1.15, 10)
    outline = np.stack([x + reach * np.cos(spokes), y + reach * np.sin(spokes)], axis=1)
    mask = np.zeros(surface.shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    bottom = flange.radius if at_rim else flange.bore
    gy, gx = np.ogrid[: surface.shape[0], : surface.shape[1]]
    from_axis = np.hypot(gx - flange.x, gy - flange.y).astype(np.float32)
    on_metal = _inside(from_axis, bottom) if at_rim else 1 - _inside(from_axis, bottom)
    share = _as_share(mask, blur_px=0.6) * on_metal
    deep = np.clip(((from_axis - bottom) if at_rim else (bottom - from_axis)) / np.float32(size) + 0.55, 0, 1)
    facets = _noise(rng, 64, 64, along_px=3, across_px=3)[:64, :64]
    rough = cv2.resize(facets, surface.shape[::-1], interpolation=cv2.INTER_NEAREST)
    fracture = (1 - deep) * (150 + 38 * rough) + deep * (42 + 10 * rough)
    surface += share * (fracture - surface)


def _crack(rng: Random, flange: _Flange, surface: Field) -> None:
    """A fine dark line that runs out from the bore or a bolt hole, with one bright lip."""
    scale = flange.radius / 168
    if rng.random() < 0.5:
        heading = float(rng.uniform(0, 2 * np.pi))
        start = np.array(flange.at(flange.bore + 3, heading))
    else:
        hole = int(rng.integers(0, 6))
        # Sideways, where the web between two holes carries the load; not out to the near rim.
        heading = flange.turn + hole * np.pi / 3 + float(rng.choice((-1, 1)) * rng.uniform(0.4, 0.8)) * np.pi
        way = np.array([np.cos(heading), np.sin(heading)])
        start = np.array(flange.holes()[hole]) + flange.hole * way
    steps = int(rng.integers(9, 18))
    turns = heading + np.cumsum(rng.normal(0, 0.28, steps)) * 0.6
    stride = scale * rng.uniform(3.5, 5.5, steps)
    path = start + np.cumsum(np.stack([np.cos(turns), np.sin(turns)], axis=1) * stride[:, None], axis=0)
    path = np.vstack([start, path])
    reach = np.hypot(path[:, 0] - flange.x, path[:, 1] - flange.y)
    path = path[(reach < flange.radius - 8) & (reach > flange.bore)]
    mask = np.zeros(surface.shape, np.uint8)
    _line(mask, path, value=255, thickness=int(rng.integers(1, 3)))
    dark = np.minimum(_as_share(mask, blur_px=0.6) * 1.25, 1)
    lip = np.roll(dark, (1, 1), axis=(0, 1))
    surface += 0.22 * lip * (235 - surface)
    surface += dark * rng.uniform(0.65, 0.85) * (24 - surface)


def _stain(rng: Random, flange: _Flange, surface: Field) -> None:
    """A dried drop of coolant: a faint dark blot, darker at its rim."""
    scale = flange.radius / 168
    size = int(scale * rng.uniform(30, 78))
    angle = rng.uniform(0, 2 * np.pi)
    x, y = flange.at(scale * rng.uniform(80, 130), angle)
    rows, columns = _spread(size, size)
    blot = _noise(rng, size, size, along_px=size / 6, across_px=size / 6)[:size]
    # Below zero all along its window's border, so that no stain ends in a straight edge.
    inside = _field(1.7 * (1 - rows * rows - columns * columns) - 0.7 + 0.35 * np.tanh(blot))
    body = _soften(inside, steepness=9)
    rim = np.exp(-((inside / 0.22) ** 2)) * (body > 0.02)
    depth = rng.uniform(0.16, 0.34) * body + rng.uniform(0.1, 0.22) * rim
    left, top = int(x) - size // 2, int(y) - size // 2
    region = surface[max(top, 0) : top + size, max(left, 0) : left + size]
    depth = depth[max(-top, 0) :, max(-left, 0) :][: region.shape[0], : region.shape[1]]
    # On metal only: over the bench or a hole the drop has nothing to dry on.
    region -= depth.astype(np.float32) * region * (region > 70)


_PART_PAINTERS: dict[str, Callable[[Random, _Flange, Field], None]] = {
    "chip": _chip,
    "crack": _crack,
    "stain": _stain,
}
