"""Where the two edges of the strip are in the picture, to a fraction of a pixel, block of rows by block of rows.

Every block becomes one profile across, the mean of its rows. An edge is looked for where the profile crosses the middle
between background and strip, from outside in: what lies outside may be bright in places, so the strip must go on from
there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, floor

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import InspectionError
from inspection.types import (
    Box,
    Defect,
    Detections,
    EdgePoint,
    Frame,
    Image,
    Mask,
    Measurement,
    Surface,
)
from inspection.vision.measuring import sigma_of_mean

MIN_CONTRAST = 20.0
"""Grey levels between background and strip. Below it shading across the strip looks like an edge."""

BLOCK_ROWS = 64

_HOLDS_PX = 16
"""The strip goes on for at least this much inside its edge: scale and lamps in the background are narrower."""

_MARGIN_PX = 4
"""So much background must be seen beside the strip."""

_BLURRED_PX = 4
"""The grey of the strip is taken this far inside its edge: nearer, the lens has mixed it with the background."""

_ON_STRIP_PX = 2.0
"""So far inside its edge the lens still mixes the strip with the background. What reaches no farther lies beside it."""

_BLOCKS_TOGETHER = 2.0
"""Blocks that say as much as one alone: each takes the middle one of three neighbours."""

WIDTH = "width"

Profiles = NDArray[np.float32]


class EdgeMissing(InspectionError):
    """An edge of the strip is not in the picture, or does not stand out: what is beyond was not seen."""

    code = "INS-EDGE-MISSING"


@dataclass(frozen=True, slots=True, kw_only=True)
class StripEdges:
    """Looks for both edges of a strip that covers the middle of the picture, brighter or darker than beside it."""

    surface: Surface

    def find(
        self, image: Image, frame: Frame, *, left_px: float = 0.0, top_px: float = 0.0
    ) -> tuple[EdgePoint, ...]:
        """One point per block of rows, from the top down; `image` lies at `left_px, top_px` of the frame.

        A single block whose edge does not stand out takes its two neighbours' word. Raises EdgeMissing where there is
        no such word, or where the strip goes on to the border of the picture: what lies beyond was not seen, and a
        width of 0 is never the answer.
        """
        x_scale, y_scale = self.surface.x_mm_per_px, self.surface.y_mm_per_px
        assert x_scale is not None, "a recipe with edges gives a scale"
        assert y_scale is not None, "a recipe with edges gives a scale"
        height = image.shape[0]
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        borders = np.linspace(0, height, max(1, round(height / BLOCK_ROWS)) + 1).astype(int)
        profiles = np.stack(
            [
                cv2.reduce(grey[top:bottom], 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F)[0]
                for top, bottom in pairwise(borders.tolist())
            ]
        )
        lefts = _steady(*_edges(profiles), side="left")
        rights = _steady(*_edges(profiles[:, ::-1]), side="right")
        width = grey.shape[1]
        middles = (borders[:-1] + borders[1:]) / 2
        return tuple(
            EdgePoint(
                y_mm=frame.y_origin_mm + (top_px + middle) * y_scale,
                left_mm=self.surface.x_origin_mm + (left_px + left) * x_scale,
                right_mm=self.surface.x_origin_mm + (left_px + width - right) * x_scale,
            )
            for middle, left, right in zip(middles.tolist(), lefts.tolist(), rights.tolist(), strict=True)
        )

    def mirrored(self, image: Image, edges: tuple[EdgePoint, ...], *, left_px: float = 0.0) -> Image:
        """A copy in which the strip goes on beyond its edges as its own mirror image.

        To a network what lies beside the strip is a defect: beside drawn strip without any, strip-surface 1.0.0 found
        5 patches in 6 frames, and in the mirrored ones nothing.
        """
        x_scale = self.surface.x_mm_per_px
        assert x_scale is not None, "a recipe with edges gives a scale"
        copy = image.copy()
        width = image.shape[1]
        borders = np.linspace(0, image.shape[0], len(edges) + 1).astype(int)
        for point, (top, bottom) in zip(edges, pairwise(borders.tolist()), strict=True):
            x_origin_mm = self.surface.x_origin_mm + left_px * x_scale
            left = ceil((point.left_mm - x_origin_mm) / x_scale + _ON_STRIP_PX)
            right = width - floor((point.right_mm - x_origin_mm) / x_scale - _ON_STRIP_PX)
            strip = width - left - right
            if strip <= 0:
                continue
            rows = copy[top:bottom]
            if max(left, right) <= strip:
                rows[:, :left] = rows[:, left : 2 * left][:, ::-1]
                rows[:, width - right :] = rows[:, width - 2 * right : width - right][:, ::-1]
            else:
                # What lies beside is wider than the strip, which goes on to and fro then.
                beside = [(0, 0), (left, right), *[(0, 0)] * (image.ndim - 2)]
                rows[:] = np.pad(rows[:, left : width - right], beside, mode="symmetric")
        return copy

    def trimmed(
        self,
        found: Detections,
        edges: tuple[EdgePoint, ...],
        frame: Frame,
        *,
        left_px: float = 0.0,
        top_px: float = 0.0,
    ) -> Detections:
        """Detections in the image that lies at `left_px, top_px` of the frame, their masks without what the mirror
        image adds beyond an edge. One of whose mask nothing is left is judged by its box: a network's masks are
        coarse, and none may be lost for that."""
        masks = tuple(
            None if mask is None else self._on_strip(mask, edges, frame, left_px=left_px, top_px=top_px)
            for mask in found.masks
        )
        return replace(found, masks=masks)

    def _on_strip(
        self, mask: Mask, edges: tuple[EdgePoint, ...], frame: Frame, *, left_px: float, top_px: float
    ) -> Mask | None:
        """The pixels whose middle lies between the edges of their row."""
        surface = self.surface
        assert surface.x_mm_per_px is not None, "a recipe with edges gives a scale"
        assert surface.y_mm_per_px is not None, "a recipe with edges gives a scale"
        height, width = mask.pixels.shape
        rows, columns = top_px + mask.top + np.arange(height), left_px + mask.left + np.arange(width)
        y_mm = frame.y_origin_mm + (rows + 0.5) * surface.y_mm_per_px
        x_mm = surface.x_origin_mm + (columns + 0.5) * surface.x_mm_per_px
        along = [point.y_mm for point in edges]
        left = np.interp(y_mm, along, [point.left_mm for point in edges])
        right = np.interp(y_mm, along, [point.right_mm for point in edges])
        on_strip = mask.pixels & (left[:, None] <= x_mm) & (x_mm <= right[:, None])
        return replace(mask, pixels=on_strip) if on_strip.any() else None

    def placed(self, defects: tuple[Defect, ...], edges: tuple[EdgePoint, ...]) -> tuple[Defect, ...]:
        """Those that lie on the strip, as much of them as does, each with its distances from the edges."""
        x_scale = self.surface.x_mm_per_px
        assert x_scale is not None, "a recipe with edges gives a scale"
        placed = (_on_strip(defect, edges, x_scale) for defect in defects)
        return tuple(
            one for one in placed if one.edge_far_mm is None or one.edge_far_mm > _ON_STRIP_PX * x_scale
        )


def width_of(edges: tuple[EdgePoint, ...]) -> Measurement:
    """The width of the strip in one frame, mm, with the standard uncertainty of its blocks' mean where there are
    several."""
    widths = np.array([point.right_mm - point.left_mm for point in edges])
    width = float(widths.mean())
    error = None if len(widths) < 2 else sigma_of_mean(widths - width, 1, _BLOCKS_TOGETHER)
    return Measurement(name=WIDTH, value=width, unit="mm", uncertainty=error)


def _edges(profiles: Profiles) -> tuple[NDArray[np.float64], NDArray[np.floating], NDArray[np.floating]]:
    """Of each block: where the strip begins, px from the profile's first pixel, NaN where nothing stands out; the grey
    beside it there, or else at the border of the picture; and the strip's own."""
    width = profiles.shape[1]
    if width < 4 * (_MARGIN_PX + _HOLDS_PX):
        nothing = np.full(len(profiles), np.nan)
        return nothing, nothing, nothing
    outside = np.median(profiles[:, :_MARGIN_PX], axis=1)
    strip = np.median(profiles[:, width // 3 : -width // 3 : 4], axis=1)
    coarse = _crossings(profiles, outside, strip)
    # The lamp falls off towards the edges: the strip's own grey just inside, the background's just outside.
    at = np.rint(np.nan_to_num(coarse, nan=width / 2)).astype(np.intp)[:, None]
    inside = np.take_along_axis(profiles, at + _BLURRED_PX + np.arange(_HOLDS_PX), axis=1)
    beside = np.take_along_axis(profiles, np.maximum(at - _BLURRED_PX - 1 - np.arange(_HOLDS_PX), 0), axis=1)
    beside, inside = np.median(beside, axis=1), np.median(inside, axis=1)
    found = np.where(np.isnan(coarse), np.nan, _balanced(profiles, at, beside, inside))
    return found, np.where(np.isnan(found), outside, beside), inside


def _balanced(
    profiles: Profiles, at: NDArray[np.intp], beside: NDArray[np.floating], inside: NDArray[np.floating]
) -> NDArray[np.float64]:
    """The edge that has as much light on its outer side as is missing on its inner one, about each `at`.

    Exact for any lens that blurs to both sides alike, no farther than `_BLURRED_PX`; a straight line through the two
    pixels about the middle grey is wrong by up to 0.03 px, more the sharper the lens.
    """
    outer, inner = beside[:, None], inside[:, None]
    is_found = (np.abs(inner - outer) >= MIN_CONTRAST) & (at >= _BLURRED_PX)
    across = np.take_along_axis(
        profiles, np.where(is_found, at, _BLURRED_PX) + np.arange(-_BLURRED_PX, _BLURRED_PX), axis=1
    )
    share = (across - outer) / np.where(is_found, inner - outer, 1.0)
    return np.where(is_found[:, 0], at[:, 0] + _BLURRED_PX - share.sum(axis=1), np.nan)


def _crossings(
    profiles: Profiles, outside: NDArray[np.floating], strip: NDArray[np.floating]
) -> NDArray[np.float64]:
    contrast = strip - outside
    stands_out = np.abs(contrast) >= MIN_CONTRAST
    # 0 is background, 1 is strip, whichever of them is the brighter; the strip covers the middle.
    half = profiles[:, : profiles.shape[1] // 2]
    share = (half - outside[:, None]) / np.where(stands_out, contrast, 1.0)[:, None]
    goes_on = cv2.blur(share, (_HOLDS_PX, 1), anchor=(0, 0), borderType=cv2.BORDER_REPLICATE) >= 0.5
    is_first = (share >= 0.5) & goes_on
    first = np.argmax(is_first, axis=1)
    rows = np.arange(len(profiles))
    before, after = share[rows, np.maximum(first - 1, 0)], share[rows, first]
    is_found = stands_out & is_first[rows, first] & (first > 0)
    # Greys belong to the middles of pixels.
    step = np.where(is_found, after - before, 1.0)
    return np.where(is_found, first - 0.5 + (0.5 - before) / step, np.nan)


def _steady(
    found: NDArray[np.float64],
    beside: NDArray[np.floating],
    inside: NDArray[np.floating],
    *,
    side: str,
) -> NDArray[np.float64]:
    """Each block's edge as the middle one of three neighbours': a notch or a stain moves one, not the edge.

    What lies beyond an edge is painted over before anybody looks: an edge is guessed for one block between two others,
    never where the strip may have left the picture.
    """
    is_found = ~np.isnan(found)
    known = np.flatnonzero(is_found)
    is_between = np.convolve(np.pad(is_found, 1), [1, 0, 1], mode="valid") == 2
    is_unseen = ~(is_found | is_between)
    if len(known):
        strip, background = np.median(inside[known]), np.median(beside[known])
        # Of a block that shows both, more than half of its rows would go unseen.
        is_unseen |= np.abs(beside - strip) <= np.abs(beside - background)
    if is_unseen.any():
        missing = int(np.count_nonzero(is_unseen | ~is_found))
        raise EdgeMissing(
            f"The {side} edge of the strip does not stand out in {missing} of {len(found)} blocks of rows.",
            action="Check that both edges of the strip and some background are in the picture, and the lamp.",
            side=side,
            missing=missing,
            blocks=len(found),
        )
    edges = np.interp(np.arange(len(found)), known, found[known])
    if len(edges) < 3:
        return edges
    padded = np.concatenate([edges[:1], edges, edges[-1:]])
    return np.asarray(np.median([padded[:-2], padded[1:-1], padded[2:]], axis=0), np.float64)


def _on_strip(defect: Defect, edges: tuple[EdgePoint, ...], x_scale: float) -> Defect:
    box = defect.box_mm
    if box is None:
        return defect
    along = np.array([point.y_mm for point in edges])
    # The blocks it lies in, and those its ends lie between.
    rows = np.array([box.y1, *along[(along > box.y1) & (along < box.y2)], box.y2])
    left = np.interp(rows, along, [point.left_mm for point in edges])
    right = np.interp(rows, along, [point.right_mm for point in edges])
    deepest = np.clip((left + right) / 2, box.x1, box.x2)
    far_mm = float(np.minimum(deepest - left, right - deepest).max())
    # What the mirror image adds beyond an edge is not there.
    cut_left, cut_right = max(0.0, float(left.min()) - box.x1), max(0.0, box.x2 - float(right.max()))
    if far_mm > 0:
        box = Box(box.x1 + cut_left, box.y1, box.x2 - cut_right, box.y2)
        px = defect.box_px
        px = Box(px.x1 + cut_left / x_scale, px.y1, px.x2 - cut_right / x_scale, px.y2)
        defect = replace(defect, box_mm=box, box_px=px)
    near_mm = float(np.minimum(box.x1 - left, right - box.x2).min())
    return replace(defect, edge_near_mm=near_mm, edge_far_mm=far_mm)
