"""What the pixels of a picture are like, cell by cell: the whole of what a screen sees of it.

Every pixel is read once, as uint8; what follows works on a quarter of them and less. The statistics are relative to
the brightness around, so that they say the same under a lamp that fades, and they are whole numbers, so that
they are the same on every machine.

`_screening.c` does this three times as fast, to the same last bit. Where it could not be built, numpy does it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.types import Image

try:
    from inspection.vision import _screening
except ImportError:
    IS_COMPILED = False
else:
    IS_COMPILED = True

CELL_PX = 32
"""Side of a cell. A network's tile of 200 px is six of them."""

STATISTICS = (
    "fine edges across",
    "fine edges along",
    "brightest fine",
    "darkest fine",
    "coarse edges across",
    "coarse edges along",
    "brightest coarse",
    "darkest coarse",
    "brightest spot",
    "darkest spot",
    "lighter than around",
    "darker than around",
    "brightness",
)
"""Of each block of 16 px. Fine, coarse and spot are means of 2 x 2, 4 x 4 and 8 x 8 px; brightest and darkest are
counted from the mean of the 80 px around, edges are mean steps to the neighbour, and lighter and darker compare the
block's mean with that of the 176 px around."""

DEPTH = 2 * len(STATISTICS)

_BLOCK_PX = 16
_NEAR, _AROUND = 5, 11  # blocks
_DARKEST = 8.0  # grey levels; below it a ratio is noise
# A ratio of 2.5 and more is 255; the root spreads the small ones, where faint defects are.
_PER_ROOT_OF_RATIO = 160.0

Grid = NDArray[np.float32]


def cell_statistics(image: Image) -> Grid:
    """Statistics of the cells of a picture, (rows, columns, DEPTH), whole numbers.

    image   uint8, grey or BGR, of any size. A last cell that is not full is filled up with its own reflection.

    First the sums of the statistics over the four blocks of a cell (0..1020), then their maxima (0..255).
    """
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    filled = _filled_up(np.asarray(grey, np.uint8))
    if not IS_COMPILED:
        return plain_statistics(filled)
    height, width = filled.shape
    result = np.empty((height // CELL_PX, width // CELL_PX, DEPTH), np.float32)
    _screening.cell_statistics(filled, result)
    return result


def plain_statistics(image: Image) -> Grid:
    """As `cell_statistics`, of a grey picture of whole cells, by numpy alone."""
    blocks = _block_statistics(image)
    count, rows, columns = blocks.shape
    total = blocks[:, 0::2] + blocks[:, 1::2]
    largest = np.maximum(blocks[:, 0::2], blocks[:, 1::2])
    result = np.empty((rows // 2, columns // 2, 2 * count), np.float32)
    result[..., :count] = np.moveaxis(total[..., 0::2] + total[..., 1::2], 0, 2)
    result[..., count:] = np.moveaxis(np.maximum(largest[..., 0::2], largest[..., 1::2]), 0, 2)
    return result


def _filled_up(image: Image) -> Image:
    below, right = -image.shape[0] % CELL_PX, -image.shape[1] % CELL_PX
    if not below and not right:
        # What reads it takes rows that lie apart, as those of a region of interest do, but no pixels that do.
        return image if image.strides[1] == 1 else np.ascontiguousarray(image)
    return np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REFLECT_101), np.uint8)


def _block_statistics(image: Image) -> Grid:
    """(STATISTICS, rows, columns), 0..255."""
    fine = _halved(image)
    coarse = _halved(fine)
    spots = _halved(coarse)
    mean = _sums(spots, 2) / np.float32(4)
    near, around = _mean_around(mean, _NEAR), _mean_around(mean, _AROUND)
    ratios = np.empty((len(STATISTICS), *mean.shape), np.float32)
    at = 0
    for picture, side, has_edges in ((fine, 8, True), (coarse, 4, True), (spots, 2, False)):
        if has_edges:
            across, along = _steps(picture)
            ratios[at] = _sums(across, side) / (side * side * near)
            ratios[at + 1] = _sums(along, side) / (side * side * near)
            at += 2
        ratios[at] = (_extremes(picture, side, np.maximum) - near) / near
        ratios[at + 1] = (near - _extremes(picture, side, np.minimum)) / near
        at += 2
    ratios[at] = (mean - around) / around
    ratios[at + 1] = (around - mean) / around
    ratios[at + 2] = np.square(near / 255)
    np.clip(ratios, 0, np.square(255 / _PER_ROOT_OF_RATIO), out=ratios)
    np.sqrt(ratios, out=ratios)
    ratios *= _PER_ROOT_OF_RATIO
    return np.rint(ratios, out=ratios)


def _mean_around(mean: Grid, side: int) -> Grid:
    """Over side x side blocks. The sum is exact, the division is numpy's: the same on every machine."""
    total = cv2.boxFilter(mean, -1, (side, side), normalize=False, borderType=cv2.BORDER_REFLECT)
    mean = np.asarray(total, np.float32) / np.float32(side * side)
    return np.asarray(np.maximum(mean, np.float32(_DARKEST)), np.float32)


def _halved(picture: Image) -> Image:
    """Means of 2 x 2 px. By halves: OpenCV does an exact half ten times as fast as a quarter in one go."""
    height, width = picture.shape
    return np.asarray(cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)


def _steps(picture: Image) -> tuple[Image, Image]:
    """How much each pixel differs from its right and its lower neighbour; 0 where there is none."""
    across, along = np.zeros_like(picture), np.zeros_like(picture)
    cv2.absdiff(picture[:, 1:], picture[:, :-1], across[:, :-1])
    cv2.absdiff(picture[1:], picture[:-1], along[:-1])
    return across, along


def _sums(picture: Image, side: int) -> Grid:
    """Sums over squares of `side` px, exact. Rows first, where numpy adds whole lines at once."""
    height, width = picture.shape
    total = picture.reshape(height // side, side, width).sum(axis=1, dtype=np.uint16)
    while side > 1:
        total = total[:, 0::2] + total[:, 1::2]
        side //= 2
    return np.asarray(total, np.float32)


def _extremes(picture: Image, side: int, larger: np.ufunc) -> Grid:
    """Maxima, or minima, over squares of `side` px."""
    height, width = picture.shape
    most = larger.reduce(picture.reshape(height // side, side, width), axis=1)
    while side > 1:
        most = larger(most[:, 0::2], most[:, 1::2])
        side //= 2
    return np.asarray(most, np.float32)
