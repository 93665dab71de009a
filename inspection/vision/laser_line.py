"""A laser line on a surface that moves past, seen at an angle: profile by profile to a map of its heights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inspection.errors import SensorMisfit
from inspection.types import Image, Sensed
from inspection.vision.heights import HeightRules, Heights

_AROUND: Final = 4
"""Rows to each side of the brightest that belong to the line: a line is 3 to 6 rows wide."""

_RIVAL: Final = 0.6
"""A second bright place this bright against the first may be the line, and the first its reflection."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LaserLine:
    """A Sensor: pictures of the line, one below the other, to heights; one row of the map for each picture.

    line_rows   height of one picture, px
    z_mm_per_px height for one row of a picture, in the middle of it; above 0 if the line climbs, to smaller row
                numbers, where the surface comes nearer
    min_peak    grey levels above the column's darkest quarter; where the line is fainter, or has a rival elsewhere in
                the column, the height is not known
    """

    line_rows: int
    z_mm_per_px: float
    rules: HeightRules
    min_peak: float = 30.0

    def sense(self, raw: Image) -> Sensed:
        """Raises SensorMisfit for a frame that is not whole pictures, SensorBlind."""
        return self.rules.sensed(self.heights(raw))

    def heights(self, raw: Image) -> Heights:
        """Heights above the middle row, mm, (profiles, W). Raises SensorMisfit."""
        if raw.ndim != 2 or raw.shape[0] % self.line_rows:
            raise SensorMisfit(
                f"The frame has {raw.shape}: no whole pictures of {self.line_rows} rows.",
                action="Set line_rows in the recipe to the height of one picture of the line.",
                found=f"{raw.shape}",
                allowed=f"n x {self.line_rows} px",
            )
        rows = line_rows_of(raw.reshape(-1, self.line_rows, raw.shape[1]), min_peak=self.min_peak)
        middle = (self.line_rows - 1) / 2
        return ((middle - rows) * np.float32(self.z_mm_per_px)).astype(np.float32)


def line_rows_of(pictures: NDArray[np.uint8], *, min_peak: float) -> NDArray[np.float32]:
    """Where the line lies in each column of pictures (n, rows, W), as (n, W) rows with a fraction; NaN: not known.

    The centre of gravity of what is brighter than the column's ground, near the brightest row, or the middle of them
    where the camera shows several at its limit.
    """
    count, height, width = pictures.shape
    found = np.empty((count, width), np.float32)
    # One more for where the middle lies between two rows.
    around = np.arange(-_AROUND, _AROUND + 2)
    for number, picture in enumerate(pictures):
        columns = np.ascontiguousarray(picture.T)
        # Of every fourth row: a line leaves at most 3 of 16 of them bright.
        some = np.sort(columns[:, ::4], axis=1)
        ground = some[:, some.shape[1] // 4].astype(np.float32)
        # A line brighter than the camera can say has several brightest rows, and lies in the middle of them.
        first, last = columns.argmax(axis=1), height - 1 - columns[:, ::-1].argmax(axis=1)
        peak, is_even = (first + last) // 2, (first + last) % 2
        below = _AROUND + is_even
        near = np.clip(peak[:, None] + np.minimum(around, below[:, None]), 0, height - 1)
        light = np.maximum(np.take_along_axis(columns, near, axis=1) - ground[:, None], 0)
        between = (near >= first[:, None]) & (near <= last[:, None])
        dimmest = np.where(between, light, np.inf).min(axis=1)
        light[is_even == 0, -1] = 0
        total = light.sum(axis=1)
        rows = (light * near).sum(axis=1) / np.maximum(total, 1)
        height_of_peak = light.max(axis=1)
        np.put_along_axis(columns, near, 0, axis=1)
        rival = columns.max(axis=1) - ground
        is_one = (rival < _RIVAL * height_of_peak) & (dimmest >= _RIVAL * height_of_peak)
        # At the picture's border a part of the line is outside: its centre is not.
        inside = (peak >= _AROUND) & (peak < height - below)
        known = (height_of_peak >= min_peak) & is_one & inside
        found[number] = np.where(known, rows, np.nan)
    return found
