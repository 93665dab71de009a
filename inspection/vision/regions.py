"""A map of scores, one for each place of an image, to detections with masks: what stands out, piece by piece."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import too_many
from inspection.types import Detections, Mask

MOST_REGIONS: Final = 300
"""More pieces than this of one kind in one image are noise."""

_OUTLINE_POINTS: Final = 48


def regions(
    scores: NDArray[np.float32],
    *,
    threshold: float,
    kind: str,
    min_area_px: int = 1,
    reach_px: int = 0,
    judged_from: float | None = None,
) -> Detections:
    """The connected pieces of the map where the score reaches `threshold`.

    scores        (H, W), 0..1, one per pixel of the image; what is no number makes its piece one without a number,
                  which the pipeline refuses
    min_area_px   smaller pieces are left out
    reach_px      pieces no farther apart than this belong together: crumbs of one defect lie close
    judged_from   a piece that reaches this score may decide; as `threshold` if not given

    A piece's score is the highest in it; its mask are the pixels that reach the threshold. Of more than MOST_REGIONS
    the surest are kept; raises TooManyDetections where one of the others may decide.
    """
    unknown = ~np.isfinite(scores)
    stands_out = ((scores >= threshold) | unknown).astype(np.uint8)
    grown = stands_out
    if reach_px:
        # Each grows by half of the way, rounded up.
        half = -(-reach_px // 2)
        side = 2 * half + 1
        grown = np.asarray(cv2.dilate(stands_out, np.ones((side, side), np.uint8)), np.uint8)
    count, label, boxes, _ = cv2.connectedComponentsWithStats(grown, connectivity=8)
    found: list[tuple[float, Mask]] = []
    for number in range(1, count):
        left, top, width, height = (int(side) for side in boxes[number][:4])
        window = np.s_[top : top + height, left : left + width]
        inside = (label[window] == number) & (stands_out[window] > 0)
        if np.count_nonzero(inside) >= min_area_px:
            found.append((float(scores[window][inside].max()), _tight(inside, left, top)))
    # What is no number comes first: it must not be among those that are left out.
    found.sort(key=lambda one: (not np.isnan(one[0]), -one[0], one[1].top, one[1].left))
    decides = threshold if judged_from is None else judged_from
    if any(score >= decides for score, _ in found[MOST_REGIONS:]):
        raise too_many(MOST_REGIONS)
    found = found[:MOST_REGIONS]
    return Detections(
        xyxy=np.array([_box(mask) for _, mask in found], np.float32).reshape(-1, 4),
        score=np.array([score for score, _ in found], np.float32),
        kind=(kind,) * len(found),
        masks=tuple(mask for _, mask in found),
    )


def outline(mask: Mask) -> tuple[tuple[float, float], ...]:
    """Corners of the line around the largest piece of a mask, px of the image, simplified to what a page can show."""
    padded = np.pad(mask.pixels.astype(np.uint8), 1)
    rings, _ = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not rings:
        return ()
    ring = np.asarray(max(rings, key=cv2.contourArea))
    step = 0.5
    while len(ring) > _OUTLINE_POINTS:
        ring = np.asarray(cv2.approxPolyDP(ring, step, True))
        step *= 2
    # The middle of a pixel lies half a pixel inside of it; the padding is a whole one.
    return tuple((mask.left + x - 0.5, mask.top + y - 0.5) for x, y in ring[:, 0].astype(float).tolist())


def _tight(inside: NDArray[np.bool_], left: int, top: int) -> Mask:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    pixels = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Mask(left=left + int(columns[0]), top=top + int(rows[0]), pixels=pixels)


def _box(mask: Mask) -> tuple[int, int, int, int]:
    height, width = mask.pixels.shape
    return mask.left, mask.top, mask.left + width, mask.top + height
