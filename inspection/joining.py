"""Pieces of one defect, cut by the borders of tiles, made one again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspection.types import Detections

# Two pieces belong together when they face each other over at least this share of the shorter side. A long
# scratch runs straight on into the next tile; two scratches that merely cross do not face each other.
_FACING = 0.5

# A piece much less sure than its neighbour is a doubt about the same place, not the rest of the defect: joined,
# it would stretch a box that was right.
_COMPARABLE = 0.3

# How far apart the ends of two pieces may lie, px.
_GAP_PX = 4.0


def join(found: Detections, *, cut: NDArray[np.bool_]) -> Detections:
    """Detections with cut pieces of the same kind, that overlap or touch each other, enclosed in one box.

    cut   (N,): which detections end at the border of a tile; those that do not are left as they are, except
          that a cut piece may join one

    Every given box lies in a returned box of its kind. A whole has the score of its surest piece.
    """
    if not cut.any():
        return found
    kind = np.array(found.kind)
    low, high = (pick(found.score[:, None], found.score[None, :]) for pick in (np.minimum, np.maximum))
    together = _touching(found.xyxy) & (low >= _COMPARABLE * high)
    together &= (kind[:, None] == kind[None, :]) & (cut[:, None] | cut[None, :])
    group = _connected(together)
    leaders = np.flatnonzero(group == np.arange(len(group)))
    xyxy = np.empty((len(leaders), 4), np.float32)
    for row, leader in enumerate(leaders):
        pieces = found.xyxy[group == leader]
        xyxy[row, :2] = pieces[:, :2].min(axis=0)
        xyxy[row, 2:] = pieces[:, 2:].max(axis=0)
    # Detections come surest first, so the first of a group has its highest score and order is kept.
    return Detections(xyxy=xyxy, score=found.score[leaders], kind=tuple(found.kind[i] for i in leaders))


def _touching(xyxy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N, N): which pairs overlap or nearly touch, and face each other along one axis."""
    low, high = xyxy[:, :2], xyxy[:, 2:]
    shared = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    sides = high - low
    facing = shared >= _FACING * np.minimum(sides[:, None], sides[None])
    return np.asarray((shared >= -_GAP_PX).all(axis=2) & facing.any(axis=2), np.bool_)


def _connected(together: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each of N the lowest index it is connected to, over any number of steps."""
    group = np.arange(len(together))
    linked = together | np.eye(len(together), dtype=np.bool_)
    while True:
        lowest = np.where(linked, group[None, :], len(group)).min(axis=1)
        if np.array_equal(lowest, group):
            return np.asarray(group, np.intp)
        group = lowest
