"""Geometry of boxes: arrays (N, 4) of half-open `x1 y1 x2 y2`, float32, px. Pure numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


def areas(xyxy: Boxes) -> NDArray[np.float32]:
    """Areas, px², shape (N,). A box turned inside out has none."""
    sides = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def intersections(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """What each of `a` shares with each of `b`, px², shape (len(a), len(b))."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(bottom_right - top_left, 0)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def overlaps(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Intersection over union of each of `a` with each of `b`, 0..1, shape (len(a), len(b)).

    Two boxes without area overlap by 0, also with themselves.
    """
    shared = intersections(a, b)
    union = areas(a)[:, None] + areas(b)[None, :] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), np.float32)


def suppress(xyxy: Boxes, score: NDArray[np.float32], *, above: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: which boxes stay, the surest first.

    A box goes when it overlaps one that stays by more than `above`. Equal scores keep their order.
    """
    order = np.argsort(-score, kind="stable")
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        order = rest[overlaps(xyxy[best : best + 1], xyxy[rest])[0] <= above]
    return np.array(kept, np.intp)


def suppress_per_kind(
    xyxy: Boxes, score: NDArray[np.float32], kind: NDArray[np.intp], *, above: float
) -> NDArray[np.intp]:
    """As `suppress`, but only boxes of the same kind compete."""
    if not len(xyxy):
        return np.empty(0, np.intp)
    # Each kind is moved to a place of its own. Float64: far away, float32 would round the boxes.
    reach = float(np.abs(xyxy).max()) + 1
    apart = xyxy.astype(np.float64) + (kind * 2 * reach)[:, None]
    return suppress(apart, score, above=above)


def fuse_per_kind(
    xyxy: Boxes,
    score: NDArray[np.float32],
    kind: NDArray[np.intp],
    look: NDArray[np.intp],
    *,
    above: float,
    looks: int,
) -> tuple[Boxes, NDArray[np.float32], NDArray[np.intp]]:
    """What several looks at one picture say, made one: boxes, scores and kinds, the surest first.

    Weighted boxes fusion (Solovyev, Wang and Gabruseva 2021): the surest first, each box joins the fused box of its
    kind that it overlaps most, if by more than `above`; a fused box is the mean of its own, weighted by their
    scores. Its score is the mean over all `looks` of the surest that each of them has in it, 0 for one that has none.

    look   (N,), from which of the looks a box is, 0 ≤ look < looks
    """
    order = np.argsort(-score, kind="stable")
    fused = np.zeros((len(order), 4), np.float64)
    weight, kinds = np.zeros(len(order)), np.zeros(len(order), np.intp)
    surest = np.zeros((len(order), looks))
    count = 0
    for i in order:
        same = np.flatnonzero(kinds[:count] == kind[i])
        shared = overlaps(xyxy[i : i + 1], np.asarray(fused[same], np.float32))[0]
        joins = int(np.argmax(shared)) if shared.size else -1
        if joins >= 0 and shared[joins] > above:
            at = int(same[joins])
        else:
            at, count = count, count + 1
            kinds[at] = kind[i]
        total = weight[at] + score[i]
        # A box of score 0 has no say, and alone it stays where it is.
        share = score[i] / total if total > 0 else 1.0
        fused[at] += (xyxy[i] - fused[at]) * share
        weight[at] = total
        surest[at, look[i]] = max(surest[at, look[i]], score[i])
    mean = surest[:count].mean(axis=1) if count else np.empty(0)
    best = np.argsort(-mean, kind="stable")
    return (
        np.asarray(fused[:count][best], np.float32),
        np.asarray(mean[best], np.float32),
        np.asarray(kinds[:count][best], np.intp),
    )


def clip(xyxy: Boxes, *, width_px: int, height_px: int) -> Boxes:
    """The parts of the boxes that lie inside the image."""
    limits = np.array([width_px, height_px, width_px, height_px], np.float32)
    return np.clip(xyxy, 0, limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterbox:
    """How an image was scaled and centred on a network's input, and the way back.

    scale        input px per image px, the same in x and y
    left, top    grey margin before the image, input px
    width, height of the scaled image, input px
    """

    scale: float
    left: int
    top: int
    width: int
    height: int

    @classmethod
    def fit(cls, image_hw: tuple[int, int], input_hw: tuple[int, int]) -> Letterbox:
        """The largest scale at which the whole image fits; at least one pixel each way."""
        height, width = image_hw
        scale = min(input_hw[0] / height, input_hw[1] / width)
        scaled_width = min(max(round(width * scale), 1), input_hw[1])
        scaled_height = min(max(round(height * scale), 1), input_hw[0])
        return cls(
            scale=scale,
            left=(input_hw[1] - scaled_width) // 2,
            top=(input_hw[0] - scaled_height) // 2,
            width=scaled_width,
            height=scaled_height,
        )

    def to_input(self, xyxy: Boxes) -> Boxes:
        shift = np.array([self.left, self.top, self.left, self.top], np.float32)
        return np.asarray(xyxy * np.float32(self.scale) + shift, np.float32)

    def to_image(self, xyxy: Boxes) -> Boxes:
        shift = np.array([self.left, self.top, self.left, self.top], np.float32)
        return np.asarray((xyxy - shift) / np.float32(self.scale), np.float32)
