"""Can this image be judged at all? A dark, a glaring, a blurred or an empty picture shows no defects either.

What holds for every picture is asked of every picture. What depends on camera, lamp and product is measured, recorded
so that charts show it drift, and asked where a recipe says what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import ImageUnfit
from inspection.types import Image, Measurement

MIN_MEAN = 8.0
"""Grey levels. The darkest of 1451 real strip pictures (NEU-DET, Severstal) has a mean of 34."""

MAX_SATURATED = 0.8
"""Share of pixels at 250 and above, where nothing can be seen any more. Bright real strip has up to 0.60."""

MIN_CONTRAST = 1.5
"""Standard deviation in grey levels. Sensor noise alone has less; the smoothest real strip has 6.0."""

SATURATED: Final = 250

_BLOCK_PX: Final = 96
_MOST_BLOCKS: Final = 40
_REACH_PX: Final = 15
"""How far to each side of an edge its two levels are looked for: blur of more than half of that is not measured."""
_EDGE_CONTRAST: Final = 24.0
"""Grey levels between the two sides of an edge. Noise of 5 levels, five pixels averaged, has 12 over 31 places."""
_SHARPEST: Final = 5.0
"""Percentile of edge widths that stands for the picture: some of its edges are soft by nature."""
_FEWEST_EDGES: Final = 20
_COLUMN_SHARE: Final = 64
_DIRT_SHRINK: Final = 8
_DIRT_FORGETS: Final = 1 / 32
_DIRT_SEEN: Final = 32
_DIRT_AROUND: Final = 15


class ImageDark(ImageUnfit):
    """Too little light."""

    code = "INS-IMAGE-DARK"


class ImageBright(ImageUnfit):
    """Too much light everywhere."""

    code = "INS-IMAGE-BRIGHT"


class ImageGlare(ImageUnfit):
    """A place, or too much of the image, is so bright that nothing can be seen there."""

    code = "INS-IMAGE-GLARE"


class ImageEmpty(ImageUnfit):
    """Even grey: the camera sees no surface."""

    code = "INS-IMAGE-EMPTY"


class ImageBlurred(ImageUnfit):
    """Out of focus: no edge is sharp, whichever way it runs."""

    code = "INS-IMAGE-BLURRED"


class ImageMoved(ImageUnfit):
    """Blurred one way only: the product moved while the shutter was open, or lines were not taken in its step."""

    code = "INS-IMAGE-MOVED"


class ImageUneven(ImageUnfit):
    """A part of the lamp is weaker than the rest."""

    code = "INS-IMAGE-UNEVEN"


class LensDirty(ImageUnfit):
    """Something stays in its place in the picture while the product moves on."""

    code = "INS-LENS-DIRTY"


def check_health(image: Image, raw: Image | None = None) -> None:
    """Raise ImageDark, ImageGlare or ImageEmpty, with the value and what is allowed, if no image could be judged so.

    raw  as the camera gave it, of the same shape, where a flat field has evened it out since: clipped white becomes
         grey by that, and a picture without anything on it the lamp's unevenness. None: it is `image`
    """
    greys = [_grey(one) for one in _taken(image, raw)]
    light = [cv2.meanStdDev(grey) for grey in greys]
    mean, deviation = (min(float(one[which][0][0]) for one in light) for which in (0, 1))
    saturated = _saturated_share(_brightest(greys))
    if mean < MIN_MEAN:
        raise _unfit(ImageDark, f"mean {mean:.1f}", f"≥ {MIN_MEAN:g}")
    if saturated > MAX_SATURATED:
        raise _unfit(ImageGlare, f"{saturated:.0%} ≥ {SATURATED}", f"≤ {MAX_SATURATED:.0%}")
    if deviation < MIN_CONTRAST:
        raise _unfit(ImageEmpty, f"σ {deviation:.2f}", f"≥ {MIN_CONTRAST:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is measured of an image's fitness to be judged.

    mean_grey       grey levels; drifts down as a lamp ages
    evenness        0..1, the darkest of 64 strips of columns to the brightest, by their means
    saturated       share of pixels at 250 and above, before the flat field or after it
    glare           share of the image that the largest place at 250 and above fills
    blur_across_px, blur_along_px   width of the sharpest edges that run along, and across: the way from one side's
                    level to the other's at the steepest slope. A lens in focus has 1 to 2.5; a blur of sigma s has
                    2.5 s, a way of n px during exposure n. None: there are too few edges to tell
    dirt            share of the image that stays in its place while the rest changes; None: not looked for, or too few
                    pictures yet
    """

    mean_grey: float
    evenness: float
    saturated: float
    glare: float
    blur_across_px: float | None
    blur_along_px: float | None
    dirt: float | None = None

    def measurements(self) -> tuple[Measurement, ...]:
        """For the record and the charts. Grey levels are in DN, as EMVA 1288 calls them."""
        named = (
            ("image_mean", self.mean_grey, "DN"),
            ("image_evenness", self.evenness, "1"),
            ("image_saturated", self.saturated, "1"),
            ("image_glare", self.glare, "1"),
            ("image_blur_across", self.blur_across_px, "px"),
            ("image_blur_along", self.blur_along_px, "px"),
            ("image_dirt", self.dirt, "1"),
        )
        return tuple(
            Measurement(name=name, value=value, unit=unit) for name, value, unit in named if value is not None
        )


def health_of(image: Image, raw: Image | None = None) -> Health:
    """Measure an image, but for dirt, of which one image says nothing. `raw` as for `check_health`."""
    grey = _grey(image)
    across, along = _blur_px(grey)
    brightest = _brightest([_grey(one) for one in _taken(image, raw)])
    saturated = _saturated_share(brightest)
    return Health(
        mean_grey=float(cv2.mean(grey)[0]),
        evenness=_evenness(grey),
        saturated=saturated,
        glare=_glare_share(brightest) if saturated else 0.0,
        blur_across_px=across,
        blur_along_px=along,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLimits:
    """What a recipe allows. None: measured and recorded, not asked.

    max_blur_px     for the sharper of the two directions; where no edge can be measured, it is not known to be sharp
    max_motion_px   for the less sharp of the two, beyond the sharper one; the surface must have edges both ways
    max_dirt        needs a surface that looks different in each picture: of parts that lie alike their own marks stay
    """

    min_mean: float | None = None
    max_mean: float | None = None
    min_evenness: float | None = None
    max_saturated: float | None = None
    max_glare: float | None = None
    max_blur_px: float | None = None
    max_motion_px: float | None = None
    max_dirt: float | None = None

    def check(self, health: Health) -> None:
        """Raise the ImageUnfit that says why the image cannot be judged, if it cannot."""
        for unfit, value, least, most in (
            (ImageDark, health.mean_grey, self.min_mean, None),
            (ImageBright, health.mean_grey, None, self.max_mean),
            (ImageGlare, health.saturated, None, self.max_saturated),
            (ImageGlare, health.glare, None, self.max_glare),
            (ImageUneven, health.evenness, self.min_evenness, None),
            (LensDirty, health.dirt, None, self.max_dirt),
        ):
            if value is not None and least is not None and not value >= least:
                raise _unfit(unfit, f"{value:.3g}", f"≥ {least:g}")
            if value is not None and most is not None and not value <= most:
                raise _unfit(unfit, f"{value:.3g}", f"≤ {most:g}")
        self._check_blur(health)

    def _check_blur(self, health: Health) -> None:
        if self.max_blur_px is None and self.max_motion_px is None:
            return
        known = [blur for blur in (health.blur_across_px, health.blur_along_px) if blur is not None]
        if self.max_blur_px is not None and (not known or min(known) > self.max_blur_px):
            found = f"{min(known):.1f} px" if known else "0 edges"
            raise _unfit(ImageBlurred, found, f"≤ {self.max_blur_px:g} px")
        if self.max_motion_px is not None and (
            len(known) < 2 or max(known) - min(known) > self.max_motion_px
        ):
            # What moved far has no edges left that way.
            found = f"{max(known) - min(known):.1f} px" if len(known) == 2 else "0 edges"
            raise _unfit(ImageMoved, found, f"≤ {self.max_motion_px:g} px")


class HealthWatch:
    """Measures and checks the images of one camera, one after the other.

    Remembers, for dirt alone, what the last images had in common (an exponential mean over some 32 of them): so
    that value, and its limit, depend on the images before. All others do not.
    """

    def __init__(self, limits: HealthLimits) -> None:
        self.limits = limits
        self._common: NDArray[np.float32] | None = None
        self._seen = 0

    def look(self, image: Image, raw: Image | None = None) -> Health:
        """Measure it; whether it is fit, `limits.check` says. `raw` as for `check_health`."""
        health = health_of(image, raw)
        return health if self.limits.max_dirt is None else replace(health, dirt=self._dirt(_grey(image)))

    def _dirt(self, grey: Image) -> float | None:
        height, width = grey.shape
        size = (max(1, width // _DIRT_SHRINK), max(1, height // _DIRT_SHRINK))
        small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)
        if self._common is None or self._common.shape != small.shape:
            self._common, self._seen = small.copy(), 1
            return None
        self._seen += 1
        # A plain mean first, so that the first images do not weigh more than those after them.
        weight = max(1 / self._seen, _DIRT_FORGETS)
        self._common += np.float32(weight) * (small - self._common)
        return None if self._seen < _DIRT_SEEN else dirt_share(self._common)


def dirt_share(common: NDArray[np.float32]) -> float:
    """Share of places that are darker or brighter than around them by more than a tenth, and by what chance leaves.

    common  mean of many images of a moving surface, float32: whatever is still there is not on the surface
    """
    side = min(_DIRT_AROUND, *(2 * (length // 2) - 1 for length in common.shape))
    if side < 3:
        return 0.0
    around = np.asarray(cv2.medianBlur(np.clip(common, 0, 255).astype(np.uint8), side), np.float32)
    off = common - around
    # Of what is even, 1.48 times the median distance is one standard deviation.
    noise = 1.4826 * float(np.median(np.abs(off - np.median(off))))
    bound = np.maximum(0.1 * around, max(5 * noise, 2.0))
    return float((np.abs(off) > bound).mean())


def _grey(image: Image) -> Image:
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def _taken(image: Image, raw: Image | None) -> tuple[Image, ...]:
    """What is asked: without a flat field one picture, and no further look at all its pixels."""
    return (image,) if raw is None or raw is image else (image, raw)


def _brightest(greys: Sequence[Image]) -> Image:
    """Of each place the brightest: what is clipped in any of them shows nothing in the others."""
    first, *others = greys
    for other in others:
        first = np.asarray(cv2.max(first, other), np.uint8)
    return first


def _saturated_share(grey: Image) -> float:
    # Most pictures have no such pixel, and that is seen in a third of the time.
    if grey.max() < SATURATED:
        return 0.0
    _, clipped = cv2.threshold(grey, SATURATED - 1, 255, cv2.THRESH_BINARY)
    return cv2.countNonZero(clipped) / grey.size


def _glare_share(grey: Image) -> float:
    """At a quarter of the size: glare is a place, not a speck."""
    size = (max(1, grey.shape[1] // 4), max(1, grey.shape[0] // 4))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    _, clipped = cv2.threshold(small, SATURATED - 1, 255, cv2.THRESH_BINARY)
    if not cv2.countNonZero(clipped):
        return 0.0
    _, _, stats, _ = cv2.connectedComponentsWithStats(clipped)
    return float(stats[1:, cv2.CC_STAT_AREA].max()) / clipped.size


def _evenness(grey: Image) -> float:
    columns = cv2.reduce(grey, 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F)[0]
    levels = [float(part.mean()) for part in np.array_split(columns, min(_COLUMN_SHARE, len(columns)))]
    return min(levels) / max(levels) if max(levels) > 0 else 0.0


def _blur_px(grey: Image) -> tuple[float | None, float | None]:
    """Widths of the sharpest edges, across (they run along the rows' direction of travel) and along."""
    widths: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = ([], [])
    for block in _blocks(grey):
        for way, turned in enumerate((block, np.ascontiguousarray(block.T))):
            widths[way].append(_edge_widths(turned))
    across, along = (_sharpest(np.concatenate(found)) if found else None for found in widths)
    return across, along


def _blocks(grey: Image) -> Iterator[Image]:
    """Blocks spread evenly over the image: all of a small one, of a large one as many as there is time for."""
    rows = max(1, grey.shape[0] // _BLOCK_PX)
    columns = max(1, grey.shape[1] // _BLOCK_PX)
    every = max(1, -(-rows * columns // _MOST_BLOCKS))
    for number in range(0, rows * columns, every):
        top, left = (number // columns) * _BLOCK_PX, (number % columns) * _BLOCK_PX
        yield grey[top : top + _BLOCK_PX, left : left + _BLOCK_PX]


def _edge_widths(block: Image) -> NDArray[np.float32]:
    """For each edge across the rows of a block: the way from level to level at its steepest slope, px."""
    if block.shape[1] <= 2:
        return np.empty(0, np.float32)
    # Five rows averaged: noise has slopes, too.
    smooth = cv2.blur(block.astype(np.float32), (1, 5))
    slope = np.abs(np.diff(smooth, axis=1))
    window = np.ones((1, 2 * _REACH_PX + 1), np.uint8)
    span = np.asarray(cv2.dilate(smooth, window) - cv2.erode(smooth, window), np.float32)[:, :-1]
    steepest = slope >= cv2.dilate(slope, np.ones((1, 5), np.uint8))
    is_edge = steepest & (span >= _EDGE_CONTRAST) & (slope > 0)
    return np.asarray(span[is_edge] / slope[is_edge], np.float32)


def _sharpest(widths: NDArray[np.float32]) -> float | None:
    return None if len(widths) < _FEWEST_EDGES else float(np.percentile(widths, _SHARPEST))


def _unfit(kind: type[ImageUnfit], found: str, allowed: str) -> ImageUnfit:
    action = _ACTIONS[kind]
    return kind(
        f"The image cannot be judged ({kind.code}): {found}, allowed {allowed}.",
        action=action,
        found=found,
        allowed=allowed,
    )


_ACTIONS: Final[dict[type[ImageUnfit], str]] = {
    ImageDark: "Check the lamp, the lens cap and the exposure.",
    ImageBright: "Lower the exposure, or dim the lamp.",
    ImageGlare: "Lower the exposure, or move the lamp.",
    ImageEmpty: "Check that the camera sees the surface, in focus.",
    ImageBlurred: "Focus the lens; check that the product lies at its height.",
    ImageMoved: "Shorten the exposure; check the encoder or the trigger.",
    ImageUneven: "Clean the lamp; replace it where a part of it stays dark; take a new blank picture.",
    LensDirty: "Clean the lens and its window.",
}
