"""Blemishes drawn onto pictures of good parts: what a fit from good parts only learns to tell them from.

Six families, of random size, place and strength: dark or bright specks, cracks, foreign texture, zones of another
brightness, and roughness. None is meant to look like a certain defect; together they change a surface in the ways that
defects do. Same seed, same picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.types import Image

Mask = NDArray[np.bool_]
_Field = NDArray[np.float32]

_Family = Callable[[_Field, Sequence[Image], np.random.Generator], tuple[_Field, Image]]

_DARK_SHARE = 0.8
"""Of specks and cracks; the rest are bright."""


def blemished(good: Image, others: Sequence[Image], rng: np.random.Generator) -> tuple[Image, Mask]:
    """A copy of a grey picture with one to three blemishes, and where they are.

    others   pictures of good parts, which lend foreign texture
    """
    drawn = [_FAMILIES[int(rng.integers(len(_FAMILIES)))] for _ in range(int(rng.integers(1, 4)))]
    seen = good.astype(np.float32)
    where = np.zeros(good.shape, np.uint8)
    for draw in drawn:
        seen, mask = draw(seen, others, rng)
        where = np.maximum(where, mask)
    return np.clip(seen, 0, 255).astype(np.uint8), np.asarray(where > 100, np.bool_)


def _speck(seen: _Field, others: Sequence[Image], rng: np.random.Generator) -> tuple[_Field, Image]:
    mask = blob(seen.shape, rng, radius=rng.uniform(3, 11), stretch=rng.uniform(1, 2.5))
    return faded(seen, seen * _gain(rng), mask, rng.uniform(0.6, 1.5)), mask


def _crack(seen: _Field, others: Sequence[Image], rng: np.random.Generator) -> tuple[_Field, Image]:
    steps = int(rng.uniform(4, 24))
    ways = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.25, steps))
    start = rng.uniform(0, 1, 2) * seen.shape[::-1]
    points = start + np.cumsum(5 * np.stack([np.cos(ways), np.sin(ways)], axis=1), axis=0)
    mask = np.zeros(seen.shape, np.uint8)
    cv2.polylines(
        mask, [points.round().astype(np.int32)], False, (255,), int(rng.integers(1, 5)), lineType=cv2.LINE_AA
    )
    return faded(seen, seen * _gain(rng), mask, 0.8), mask


def _foreign(seen: _Field, others: Sequence[Image], rng: np.random.Generator) -> tuple[_Field, Image]:
    mask = blob(seen.shape, rng, radius=rng.uniform(8, 40), stretch=rng.uniform(1, 2))
    lent = np.rot90(others[int(rng.integers(len(others)))], int(rng.integers(1, 4)))
    texture = cv2.resize(np.ascontiguousarray(lent), seen.shape[::-1]).astype(np.float32)
    texture = texture * rng.uniform(0.4, 1.5) + rng.normal(0, 8, seen.shape).astype(np.float32)
    return faded(seen, np.asarray(texture, np.float32), mask, 1.0), mask


def _zone(seen: _Field, others: Sequence[Image], rng: np.random.Generator) -> tuple[_Field, Image]:
    if rng.random() < 0.5:
        mask = blob(seen.shape, rng, radius=rng.uniform(25, 90), stretch=rng.uniform(1, 2.5), rough=0.15)
    else:
        middle = rng.uniform(0, 1, 2) * seen.shape[::-1]
        sides = rng.uniform(30, 200, 2)
        corners = cv2.boxPoints((tuple(middle.tolist()), tuple(sides.tolist()), float(rng.normal(0, 8))))
        mask = np.zeros(seen.shape, np.uint8)
        cv2.fillPoly(mask, [corners.round().astype(np.int32)], (255,))
    smooth = cv2.GaussianBlur(seen, (0, 0), 4)
    gain = rng.uniform(0.55, 0.85) if rng.random() < 0.5 else rng.uniform(1.18, 1.7)
    changed = smooth * gain + (seen - smooth) * rng.uniform(0.3, 1.6)
    return faded(seen, np.asarray(changed, np.float32), mask, rng.uniform(1, 3)), mask


def _rough(seen: _Field, others: Sequence[Image], rng: np.random.Generator) -> tuple[_Field, Image]:
    mask = blob(seen.shape, rng, radius=rng.uniform(8, 30), stretch=rng.uniform(1, 3))
    grain = cv2.GaussianBlur(rng.standard_normal(seen.shape).astype(np.float32), (0, 0), rng.uniform(0.7, 2))
    strength = max(float(seen.std()), 6.0) * rng.uniform(0.6, 1.6) / max(float(grain.std()), 1e-6)
    return faded(seen, np.asarray(seen + grain * strength, np.float32), mask, 1.5), mask


# Specks twice: the commonest defect of all surfaces.
_FAMILIES = (_speck, _speck, _crack, _foreign, _zone, _rough)


def _gain(rng: np.random.Generator) -> np.float32:
    return np.float32(rng.uniform(0.25, 0.75) if rng.random() < _DARK_SHARE else rng.uniform(1.3, 1.9))


def blob(
    shape: tuple[int, ...],
    rng: np.random.Generator,
    *,
    radius: float,
    stretch: float,
    rough: float = 0.35,
    middle: NDArray[np.float64] | None = None,
) -> Image:
    """255 within a rounded outline, around `middle` (x, y, px) or somewhere in the picture."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    reach = radius * np.clip(1 + rough * rng.standard_normal(24), 0.4, 1.8)
    reach = (reach + np.roll(reach, 1) + np.roll(reach, -1)) / 3
    along, across = reach * np.cos(angle) * stretch, reach * np.sin(angle)
    turn = rng.uniform(0, np.pi)
    if middle is None:
        middle = rng.uniform(0, 1, 2) * shape[::-1]
    x = along * np.cos(turn) - across * np.sin(turn) + middle[0]
    y = along * np.sin(turn) + across * np.cos(turn) + middle[1]
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.stack([x, y], axis=1).round().astype(np.int32)], (255,))
    return mask


def faded(seen: _Field, changed: NDArray[np.floating], mask: Image, softness_px: float) -> _Field:
    """`changed` where the mask is, with a soft border."""
    share = cv2.GaussianBlur(mask, (0, 0), float(softness_px)).astype(np.float32) / 255
    return np.asarray(seen * (1 - share) + changed * share, np.float32)
