"""Where a weld crosses the strip: rows that stand out, all the same way, in nearly every part of its width.

A defect stands out somewhere; a weld stands out everywhere between the edges. Every part across the width becomes one
profile along the strip, and what stands out of each profile's own noise is compared between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.types import EdgePoint, Image, Stretch, Surface

PARTS = 24
"""Of the width, each with a profile of its own: narrow enough that a patch fills few of them."""

LEAST_SHARE = 0.9
"""Of the parts in which a row must stand out. A scratch right across strip of 400 mm that stops 40 mm short is none."""

SIGMAS = 4.0
"""How far beyond a part's noise. With 24 parts that must agree, noise alone does so nowhere."""

MIN_CONTRAST = 6.0
"""Grey levels that the mean of a part must differ from its surroundings."""

SKEW_MM = 5.0
"""A weld may lie so much farther along at one edge than at the other, and waver."""

_AROUND_MM = 60.0
"""So far to each side are the surroundings that a row is compared with."""

_BLOCKS = 9
"""Of a quarter of that each, around a row or, at the border of a frame, beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeldFinder:
    """Looks for welds of at most `longest_mm` along the strip. What is longer is another steel, not a seam."""

    surface: Surface
    longest_mm: float

    def find(
        self, image: Image, edges: tuple[EdgePoint, ...], *, left_px: float = 0.0, top_px: float = 0.0
    ) -> tuple[Stretch, ...]:
        """Each weld of the image, mm along the surface from the frame's first row, from the top down; of what touches
        its first or last row, all that may be part of one, however long.

        `image` lies at `left_px, top_px` of the frame; without edges the strip fills all of it.
        """
        x_scale, y_scale = self.surface.x_mm_per_px, self.surface.y_mm_per_px
        assert x_scale is not None, "a recipe with strip gives a scale"
        assert y_scale is not None, "a recipe with strip gives a scale"
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        height, width = grey.shape
        left, right = 0, width
        if edges:
            origin_mm = self.surface.x_origin_mm + left_px * x_scale
            left = int(np.ceil((max(one.left_mm for one in edges) - origin_mm) / x_scale)) + 2
            right = int((min(one.right_mm for one in edges) - origin_mm) / x_scale) - 2
        around = max(3, round(_AROUND_MM / y_scale))
        if right - left < 4 * PARTS or height < max(4, _rows_of_a_block(around)):
            # Too little to tell a weld from: what stands out is judged.
            return ()
        borders = np.linspace(left, right, PARTS + 1).astype(int).tolist()
        # Reduced part by part: resizing by areas to the same took 17 ms of a frame of 4096 px, this 0.5.
        profiles = np.hstack(
            [
                cv2.reduce(grey[:, begins:ends], 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F)
                for begins, ends in pairwise(borders)
            ]
        )
        stands_out = _standing_out(np.asarray(profiles, np.float32), around=around)
        skew = max(1, round(SKEW_MM / y_scale))
        found: list[Stretch] = []
        for sign in (1, -1):
            marked = (stands_out == sign).astype(np.uint8)
            # A weld that lies askew stands out in other rows here than there.
            near = cv2.dilate(marked, np.ones((2 * skew + 1, 1), np.uint8))
            crosses = near.mean(axis=1) >= LEAST_SHARE
            for top, bottom in _runs(crosses):
                rows = np.flatnonzero(marked[top:bottom].any(axis=1))
                begins, ends = top + int(rows[0]), top + int(rows[-1]) + 1
                # Of what a border cuts, nobody sees here how long it is: the surface does, and decides.
                is_cut = begins == 0 or ends == height
                if is_cut or (ends - begins) * y_scale <= self.longest_mm:
                    found.append(
                        Stretch(from_mm=(top_px + begins) * y_scale, to_mm=(top_px + ends) * y_scale)
                    )
        return _one_each(found, gap_mm=SKEW_MM)


def _standing_out(profiles: NDArray[np.float32], *, around: int) -> NDArray[np.int8]:
    """1 where a row of a part is brighter than its surroundings, -1 where it is darker, 0 elsewhere."""
    # Medians, since a mean would be drawn by the weld itself; of blocks of rows, since one for each row took 100 ms.
    block = _rows_of_a_block(around)
    whole = len(profiles) // block * block
    blocks = np.median(profiles[:whole].reshape(-1, block, profiles.shape[1]), axis=1)
    near = min(_BLOCKS, len(blocks))
    first = np.clip(np.arange(len(blocks)) - near // 2, 0, len(blocks) - near)
    background = np.median(blocks[first[:, None] + np.arange(near)], axis=1).astype(np.float32)
    differs = profiles - cv2.resize(background, profiles.shape[::-1], interpolation=cv2.INTER_LINEAR)
    noise = 1.4826 * np.median(np.abs(differs), axis=0)
    least = np.maximum(SIGMAS * noise, MIN_CONTRAST)
    return np.asarray(np.sign(differs) * (np.abs(differs) >= least), np.int8)


def _rows_of_a_block(around: int) -> int:
    return max(1, around // 4)


def _runs(of: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where it is true without a break, half-open."""
    steps = np.flatnonzero(np.diff(np.concatenate([[0], of.astype(np.int8), [0]])))
    return [(int(first), int(end)) for first, end in zip(steps[::2], steps[1::2], strict=True)]


def _one_each(found: list[Stretch], *, gap_mm: float) -> tuple[Stretch, ...]:
    """A seam that is bright beside a dark line is one weld."""
    joined: list[Stretch] = []
    for one in sorted(found, key=lambda one: one.from_mm):
        if joined and one.from_mm - joined[-1].to_mm <= gap_mm:
            last = joined.pop()
            one = Stretch(from_mm=last.from_mm, to_mm=max(last.to_mm, one.to_mm))
        joined.append(one)
    return tuple(joined)
