"""Defects drawn onto a piece of a good part, in five families, each with where it is:

    hole    a dark speck, sometimes with a bright rim on one side
    crack   a dark line that bends, half of them from the border of the piece
    zone    where what the surface has along its grain is stronger or weaker, to one side of a line or in a band
    chip    a dark or bright patch without grain that hangs on the rim of the part
    smear   a patch in which the grain is all but gone

The networks of `good_only` are asked for nothing else. Lengths are px of the piece, grey levels are 0 to 255. The same
generator, the same defects.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.types import Image
from models.blemishes import blob, faded

Field = NDArray[np.float32]
Inside = NDArray[np.bool_]

_Family = Callable[[Field, Inside, np.random.Generator], tuple[Field, Image]]

_TWO = 0.3
"""Share of the pieces that get two defects instead of one."""


def with_defects(seen: Field, inside: Inside, rng: np.random.Generator) -> tuple[Field, dict[str, Image]]:
    """A copy with one or two defects, and for each family that was drawn a mask, 255 where it is.

    inside   where the piece shows the part and not what lies around it
    """
    marks: dict[str, Image] = {}
    for _ in range(2 if rng.random() < _TWO else 1):
        family = FAMILIES[int(rng.choice(len(FAMILIES), p=_SHARES))]
        seen, mask = _DRAW[family](seen, inside, rng)
        marks[family] = np.maximum(marks[family], mask) if family in marks else mask
    return np.asarray(seen, np.float32), marks


def _hole(seen: Field, inside: Inside, rng: np.random.Generator) -> tuple[Field, Image]:
    mask = blob(seen.shape, rng, radius=_between(rng, 2.2, 8), stretch=rng.uniform(1, 2.3))
    around = _smooth(seen, 6)
    within = around * rng.uniform(0.3, 0.75) + rng.normal(0, rng.uniform(0, 5), seen.shape)
    drawn = faded(seen, within, mask, rng.uniform(0.6, 1.4))
    if rng.random() < 0.35:
        along, down = rng.integers(-2, 3, 2)
        move = np.array([[1, 0, along], [0, 1, down]], np.float32)
        rim = np.asarray(cv2.subtract(cv2.warpAffine(mask, move, mask.shape[::-1]), mask), np.uint8)
        drawn = faded(drawn, around * rng.uniform(1.15, 1.7), rim, 0.8)
    return drawn, mask


def _crack(seen: Field, inside: Inside, rng: np.random.Generator) -> tuple[Field, Image]:
    """Marked a pixel wider than it is: what is thinner than a cell would cover too little of it to be asked for."""
    steps, stride = int(rng.uniform(8, 40)), rng.uniform(2.5, 5)
    bends = np.cumsum(rng.normal(0, rng.uniform(0.005, 0.05), steps)) + rng.normal(0, 0.04)
    ways = rng.uniform(0, 2 * np.pi) + np.cumsum(bends + rng.normal(0, rng.uniform(0.05, 0.3), steps))
    height, width = seen.shape
    start = rng.uniform(0, 1, 2) * (width, height)
    if rng.random() < 0.5:
        side = int(rng.integers(4))
        start[side % 2] = (0, 0, width, height)[side]
        inward = math.atan2(height / 2 - start[1], width / 2 - start[0])
        ways += inward + rng.normal(0, 0.6) - ways[0]
    points = start + np.cumsum(stride * np.stack([np.cos(ways), np.sin(ways)], axis=1), axis=0)
    mask = np.zeros(seen.shape, np.uint8)
    thick = int(rng.choice([1, 1, 2, 2, 3, 4]))
    cv2.polylines(mask, [points.round().astype(np.int32)], False, (255,), thick, lineType=cv2.LINE_AA)
    wider = np.asarray(cv2.dilate(mask, np.ones((3, 3), np.uint8)), np.uint8)
    return faded(seen, seen * rng.uniform(0.25, 0.7), mask, 0.6), wider


def _zone(seen: Field, inside: Inside, rng: np.random.Generator) -> tuple[Field, Image]:
    mask = _to_one_side(seen.shape, rng) if rng.random() < 0.7 else _band(seen.shape, rng)
    even = _smooth(seen, 8)
    is_stronger = rng.random() < 0.6
    gain = rng.uniform(1.12, 1.6) if is_stronger else rng.uniform(0.6, 0.88)
    contrast = rng.uniform(1.1, 2.2) if is_stronger else rng.uniform(0.3, 0.8)
    within = even * gain + (seen - even) * contrast
    if is_stronger and rng.random() < 0.5:
        # Streaks along the columns, the few strong ones.
        streaks = (np.clip(rng.standard_normal(seen.shape[1]), 0, None) ** 2).astype(np.float32)
        streaks = cv2.GaussianBlur(streaks[None], (0, 0), rng.uniform(0.6, 1.5))[0]
        broken = 0.7 + 0.3 * _smooth(rng.random(seen.shape).astype(np.float32), 5)
        within = within + streaks * rng.uniform(5, 25) * broken
    return faded(seen, within, mask, rng.uniform(0.8, 2.5)), mask


def _to_one_side(shape: tuple[int, ...], rng: np.random.Generator) -> Image:
    """Of a line that wavers, mostly across the columns."""
    along = np.linspace(-0.1, 1.1, 9)
    across = rng.uniform(0.06, 0.5) + np.cumsum(rng.normal(0, 0.012, 9)) + rng.normal(0, 0.15) * along
    corners = np.concatenate([np.stack([along, across], axis=1), [[1.1, -0.2], [-0.1, -0.2]]])
    if rng.random() < 0.15:
        corners = corners[:, ::-1]
    if rng.random() < 0.5:
        corners = 1 - corners
    return _filled(shape, np.asarray(corners * shape[::-1], np.float64))


def _band(shape: tuple[int, ...], rng: np.random.Generator) -> Image:
    height, width = shape
    middle = rng.uniform(0.1, 0.9, 2) * (width, height)
    sides = rng.uniform(0.3, 1.2) * width, rng.uniform(0.15, 0.5) * height
    corners = np.asarray(cv2.boxPoints((tuple(middle.tolist()), sides, float(rng.normal(0, 8)))), np.float64)
    rounded = cv2.GaussianBlur(_filled(shape, corners), (0, 0), 12)
    return np.where(rounded > 127, 255, 0).astype(np.uint8)


def _chip(seen: Field, inside: Inside, rng: np.random.Generator) -> tuple[Field, Image]:
    """Where the piece shows no rim of the part, a smear instead."""
    core = cv2.erode(
        inside.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=(1,)
    )
    down, along = np.nonzero(inside & (core == 0))
    if not len(down):
        return _smear(seen, inside, rng)
    place = int(rng.integers(len(down)))
    middle = np.array([along[place], down[place]], np.float64)
    mask = blob(
        seen.shape, rng, radius=_between(rng, 4, 34), stretch=rng.uniform(1, 2.5), rough=0.3, middle=middle
    )
    around = _smooth(seen, 6)
    waves = _smooth(rng.standard_normal(seen.shape).astype(np.float32), rng.uniform(2, 8))
    waves = waves / max(float(waves.std()), 1e-6)
    gain = rng.uniform(0.35, 0.8) if rng.random() < 0.75 else rng.uniform(1.1, 1.5)
    within = around * gain + waves * rng.uniform(2, 10) + rng.normal(0, rng.uniform(0, 3), seen.shape)
    drawn = faded(seen, within, mask, rng.uniform(0.7, 1.5))
    if rng.random() < 0.5:
        edge = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)), np.uint8)
        gain = rng.uniform(0.3, 0.7) if rng.random() < 0.6 else rng.uniform(1.2, 1.6)
        drawn = faded(drawn, around * gain, edge, 0.7)
    return drawn, mask


def _smear(seen: Field, inside: Inside, rng: np.random.Generator) -> tuple[Field, Image]:
    mask = blob(seen.shape, rng, radius=rng.uniform(15, 80), stretch=rng.uniform(1, 2.5), rough=0.25)
    even = _smooth(seen, rng.uniform(5, 12))
    within = even * rng.uniform(0.55, 0.92) + rng.normal(0, rng.uniform(1, 4), seen.shape)
    within = within + (seen - even) * rng.uniform(0, 0.3)
    return faded(seen, within, mask, rng.uniform(1, 2.5)), mask


_DRAW: dict[str, _Family] = {"hole": _hole, "crack": _crack, "zone": _zone, "chip": _chip, "smear": _smear}
FAMILIES = tuple(_DRAW)
_SHARES = (0.28, 0.27, 0.22, 0.15, 0.08)


def _between(rng: np.random.Generator, least: float, most: float) -> float:
    """Small ones as often as large ones."""
    return float(np.exp(rng.uniform(math.log(least), math.log(most))))


def _filled(shape: tuple[int, ...], corners: NDArray[np.float64]) -> Image:
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [corners.round().astype(np.int32)], (255,))
    return mask


def _smooth(seen: Field, sigma_px: float) -> Field:
    return np.asarray(cv2.GaussianBlur(seen, (0, 0), sigma_px), np.float32)
