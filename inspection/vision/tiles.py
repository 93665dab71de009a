"""A large image as overlapping tiles, in fixed order, and boxes back from a tile to its image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inspection.types import Detections, Image
from inspection.vision.boxes import Boxes

# How near to a border of its tile a box must come to count as cut there, px of the image. Networks place edges
# of cut defects a few pixels inside the border.
CUT_WITHIN_PX = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A window of an image, px, half-open; at the image's own size and scale."""

    left: int
    top: int
    right: int
    bottom: int

    def of(self, image: Image) -> Image:
        """A view, not a copy."""
        return image[self.top : self.bottom, self.left : self.right]

    def to_image(self, xyxy: Boxes) -> Boxes:
        return xyxy + np.array([self.left, self.top, self.left, self.top], np.float32)

    def placed(self, found: Detections) -> Detections:
        """What was found in the tile, as found in the image."""
        masks = tuple(None if mask is None else mask.moved(self.left, self.top) for mask in found.masks)
        return replace(found, xyxy=self.to_image(found.xyxy), masks=masks)

    def cuts(self, xyxy: Boxes, *, image_hw: tuple[int, int]) -> NDArray[np.bool_]:
        """Which boxes, px of the image, end at a border of this tile that is not one of the image."""
        inner = np.array(
            [self.left > 0, self.top > 0, self.right < image_hw[1], self.bottom < image_hw[0]], np.bool_
        )
        border = np.array([self.left, self.top, self.right, self.bottom], np.float32)
        near = np.abs(xyxy - border) <= CUT_WITHIN_PX
        return np.asarray((near & inner).any(axis=1), np.bool_)


def cut_into_tiles(image_hw: tuple[int, int], *, tile_px: int, overlap: float = 0.25) -> tuple[Tile, ...]:
    """Tiles that cover the image, row by row; neighbours share at least `overlap` of a tile.

    They are spread evenly, the last ones ending at the border, so all have the full size unless the image is
    smaller than one.
    """
    height, width = image_hw
    return tuple(
        Tile(left=left, top=top, right=min(left + tile_px, width), bottom=min(top + tile_px, height))
        for top in _starts(height, tile_px, overlap)
        for left in _starts(width, tile_px, overlap)
    )


def _starts(length: int, tile_px: int, overlap: float) -> list[int]:
    room = length - tile_px
    if room <= 0:
        return [0]
    steps = -(-room // max(int(tile_px * (1 - overlap)), 1))
    return [room * step // steps for step in range(steps + 1)]
