"""A map of heights, from whatever measured them, to what sticks out of the surface and what is sunk into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import SensorBlind
from inspection.types import Detections, Image, Measurement, Sensed
from inspection.vision.regions import regions

Heights = NDArray[np.float32]
"""(H, W), mm towards the sensor; NaN where nothing is known."""

Level = Literal["none", "plane", "profile"]

_FIT_ROUNDS: Final = 4
_FIT_EVERY: Final = 3
_FIT_KEEPS: Final = 2.5
"""Of the spread, as a standard deviation from the median: what lies farther off is a defect, not the surface."""
_SMOOTH: Final = 3
_AROUND: Final = np.ones((3, 3), np.uint8)
"""The eight neighbours of a place, by which shadows are connected too."""
_LEAST_KNOWN: Final = 0.8
"""Where every fifth place is unknown the sensor is not set up, however small each of them is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """What is looked for: a place that lies off the surface.

    kind         code of the defect catalogue
    from_mm      how far off, at least: above 0 it sticks out, below 0 it is sunk in
    min_area_px  of how many places at least
    """

    kind: str
    from_mm: float
    min_area_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeightRules:
    """What holds for a map of heights.

    level        what the surface is, that defects lie off: "none": height 0; "plane": the plane that most places lie
                 in; "profile": of each column its median, for what has the same cross-section all along its way
    range_mm     heights that are drawn black and white in the picture; does not bound what is found
    """

    deviations: tuple[Deviation, ...]
    level: Level = "plane"
    range_mm: tuple[float, float] = (-1.0, 1.0)

    def sensed(self, heights: Heights) -> Sensed:
        """What lies off the surface. Raises SensorBlind where an unknown place is as large as a defect looked for, and
        TooManyDetections."""
        known = np.isfinite(heights)
        self._check_known(known)
        rough = heights - _surface(heights, self.level)
        off = self._smoothed(rough, known)
        found = Detections.together([self._found(rough, off, known, one) for one in self.deviations])
        low, high = (float(value) for value in np.percentile(off[known], (0.1, 99.9)))
        return Sensed(
            picture=self._picture(off, known),
            found=found,
            measured=(
                Measurement(name="height_low", value=low, unit="mm"),
                Measurement(name="height_high", value=high, unit="mm"),
            ),
        )

    def _check_known(self, known: NDArray[np.bool_]) -> None:
        most = min((one.min_area_px for one in self.deviations), default=1)
        share = float(known.mean())
        if share < _LEAST_KNOWN or (self.level == "profile" and not known.any(axis=0).all()):
            raise _blind(f"{share:.0%}", f"≥ {_LEAST_KNOWN:.0%}")
        _, _, stats, _ = cv2.connectedComponentsWithStats((~known).astype(np.uint8), connectivity=8)
        largest = int(stats[1:, cv2.CC_STAT_AREA].max()) if len(stats) > 1 else 0
        if largest >= most:
            raise _blind(f"{largest} px", f"< {most} px")

    @staticmethod
    def _smoothed(off: Heights, known: NDArray[np.bool_]) -> Heights:
        """The mean of the known places around each: noise of single places is no defect."""
        weight = cv2.blur(known.astype(np.float32), (_SMOOTH, _SMOOTH))
        total = cv2.blur(np.where(known, off, 0).astype(np.float32), (_SMOOTH, _SMOOTH))
        mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
        return np.where(known, mean, 0).astype(np.float32)

    @staticmethod
    def _found(rough: Heights, off: Heights, known: NDArray[np.bool_], one: Deviation) -> Detections:
        """Its score is 0.5 at `from_mm`, and grows with how far off it lies.

        What is not known beside a defect may be more of it: all of that shadow counts, as its rim, and never as less.
        """
        share = off / one.from_mm if known.all() else _share_beside_shadows(rough / one.from_mm, known)
        scores = np.where(share > 0, share / (share + 1), 0).astype(np.float32)
        count, shadow = _shadows(known)
        near_defect = cv2.dilate((known & (scores >= 0.5)).astype(np.uint8), _AROUND) > 0
        is_more = np.bincount(shadow[near_defect & ~known], minlength=count) > 0
        scores[~known] = np.where(is_more[shadow[~known]], np.float32(0.5), np.float32(0))
        return regions(scores, threshold=0.5, kind=one.kind, min_area_px=one.min_area_px)

    def _picture(self, off: Heights, known: NDArray[np.bool_]) -> Image:
        """Grey 1 to 255 over the range; 0 is not known."""
        low, high = self.range_mm
        grey = np.clip(1 + (off - low) / (high - low) * 254, 1, 255)
        return np.where(known, grey, 0).astype(np.uint8)


def _shadows(known: NDArray[np.bool_]) -> tuple[int, NDArray[np.int32]]:
    """How many connected places are not known, and one, and the number of its own at each place; 0 is known."""
    count, shadow = cv2.connectedComponents((~known).astype(np.uint8), connectivity=8)
    return count, np.asarray(shadow, np.int32)


def _share_beside_shadows(share: Heights, known: NDArray[np.bool_]) -> Heights:
    """Shares of a deviation, averaged with what is around each, where what is not known averages none away.

    A shadow is taken to lie as far off as the farthest place beside it: so the rim of a defect is no less for a shadow
    in its middle. A known place beside one keeps its own height where that is farther off.
    """
    count, shadow = _shadows(known)
    beside = cv2.dilate(np.where(known, share, -np.inf).astype(np.float32), _AROUND)
    farthest = np.full(count, -np.inf, np.float32)
    np.maximum.at(farthest, shadow[~known], beside[~known])
    filled = np.where(known, share, farthest[shadow]).astype(np.float32)
    averaged = np.asarray(cv2.blur(filled, (_SMOOTH, _SMOOTH)), np.float32)
    at_shadow = cv2.dilate((~known).astype(np.uint8), _AROUND) > 0
    return np.where(at_shadow, np.maximum(averaged, filled), averaged)


def _blind(found: str, allowed: str) -> SensorBlind:
    return SensorBlind(
        f"Not enough of the surface is known: {found}, allowed {allowed}.",
        action="Check the lamp or laser, reflections, the distance to the product and the exposure.",
        found=found,
        allowed=allowed,
    )


def _surface(heights: Heights, level: Level) -> Heights:
    if level == "none":
        return np.zeros_like(heights)
    if level == "profile":
        return np.broadcast_to(np.nanmedian(heights, axis=0, keepdims=True), heights.shape).astype(np.float32)
    return _plane(heights)


def _plane(heights: Heights) -> Heights:
    """The plane that most places lie in: least squares, again and again without what lies off the last one."""
    rows, columns = (np.arange(0, length, _FIT_EVERY) for length in heights.shape)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    z = heights[y, x]
    known = np.isfinite(z)
    x, y, z = x[known].astype(np.float64), y[known].astype(np.float64), z[known].astype(np.float64)
    terms = np.column_stack([x, y, np.ones_like(x)])
    kept = np.ones(len(z), np.bool_)
    plane = np.array([0.0, 0.0, float(np.median(z))])
    for _ in range(_FIT_ROUNDS):
        plane = np.linalg.lstsq(terms[kept], z[kept], rcond=None)[0]
        off = z - terms @ plane
        middle = np.median(off)
        # 1.4826 times the median distance is one standard deviation of what is normal.
        spread = 1.4826 * float(np.median(np.abs(off - middle)))
        kept = np.abs(off - middle) <= max(_FIT_KEEPS * spread, 1e-6)
    height, width = heights.shape
    tilt = plane[0] * np.arange(width)[None, :] + plane[1] * np.arange(height)[:, None] + plane[2]
    return np.asarray(tilt, np.float32)
