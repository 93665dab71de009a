"""How well detections fit a labelled set: average precision, escapes and overkill. Pure numpy.

Average precision is COCO's: detections of a kind over all pictures, the surest first, each take the free true
box of their picture that they overlap most, if by at least the threshold; precision, made never to rise with
recall, is averaged over 101 recalls 0, 0.01, … 1. mAP50 is its mean over kinds at an overlap of 0.5,
mAP50-95 also over the ten overlaps 0.50, 0.55, … 0.95. Source: Lin et al., Microsoft COCO, 2014, and the
evaluation code published with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspection.types import Detections
from inspection.vision.boxes import overlaps

OVERLAPS = tuple(0.5 + 0.05 * step for step in range(10))
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One picture: what is in it, and what was found. Boxes in the same pixels.

    truth_xyxy float32 (M, 4), truth_kind M codes; M may be 0: a picture without a defect
    """

    truth_xyxy: NDArray[np.float32]
    truth_kind: tuple[str, ...]
    found: Detections


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """`ap50` per kind that occurs; the means are None where no kind does."""

    ap50: dict[str, float]
    map50: float | None
    map50_95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Misses:
    """Counted in pictures.

    escapes    of the `defective` ones: nothing that was asked for was reported
    overkill   of the `clean` ones: something was
    """

    defective: int
    escapes: int
    clean: int
    overkill: int


def precision(pictures: Sequence[Judged], kinds: Sequence[str]) -> Precision:
    """Average precision per kind and in the mean. Needs detections down to low scores, not only at thresholds."""
    occurring = [kind for kind in kinds if any(kind in one.truth_kind for one in pictures)]
    table = np.array([average_precisions(pictures, kind) for kind in occurring]).reshape(-1, len(OVERLAPS))
    return Precision(
        ap50={kind: float(row[0]) for kind, row in zip(occurring, table, strict=True)},
        map50=float(table[:, 0].mean()) if occurring else None,
        map50_95=float(table.mean()) if occurring else None,
    )


def average_precisions(pictures: Sequence[Judged], kind: str) -> NDArray[np.float64]:
    """Average precision of one kind at each of OVERLAPS, shape (10,). All 0 where the kind never occurs."""
    scores, hits = hits_of(pictures, kind)
    true_boxes = sum(one.truth_kind.count(kind) for one in pictures)
    if not len(scores) or not true_boxes:
        return np.zeros(len(OVERLAPS))
    caught = np.cumsum(hits, axis=0)
    recall = caught / true_boxes
    exact = caught / np.arange(1, len(scores) + 1)[:, None]
    exact = np.maximum.accumulate(exact[::-1], axis=0)[::-1]
    result = np.zeros(len(OVERLAPS))
    for column in range(len(OVERLAPS)):
        place = np.searchsorted(recall[:, column], _RECALLS, side="left")
        reached = place < len(scores)
        result[column] = np.where(reached, exact[np.minimum(place, len(scores) - 1), column], 0).mean()
    return result


def hits_of(pictures: Sequence[Judged], kind: str) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Scores (D,) of all detections of a kind, falling, and whether each hit, (D, 10), at each of OVERLAPS.

    Equal scores keep the order of the pictures.
    """
    scores: list[NDArray[np.float32]] = []
    hits: list[NDArray[np.bool_]] = []
    for one in pictures:
        chosen = np.array([i for i, code in enumerate(one.found.kind) if code == kind], np.intp)
        true = np.array([i for i, code in enumerate(one.truth_kind) if code == kind], np.intp)
        shared = overlaps(one.found.xyxy[chosen], one.truth_xyxy[true])
        scores.append(one.found.score[chosen])
        hits.append(np.stack([_matched(shared, at_least) for at_least in OVERLAPS], axis=1))
    if not scores:
        return np.empty(0, np.float32), np.empty((0, len(OVERLAPS)), np.bool_)
    score = np.concatenate(scores)
    order = np.argsort(-score, kind="stable")
    return score[order], np.concatenate(hits)[order]


def _matched(shared: NDArray[np.float32], at_least: float) -> NDArray[np.bool_]:
    """Which rows, in their order, get a column of their own that they overlap enough."""
    free = np.ones(shared.shape[1], np.bool_)
    hit = np.zeros(shared.shape[0], np.bool_)
    for row in range(shared.shape[0]):
        if not free.any():
            break
        best = int(np.argmax(np.where(free, shared[row], -1)))
        # A thousandth of a pixel of rounding must not decide whether half is half.
        if shared[row, best] >= at_least - 1e-6:
            free[best] = False
            hit[row] = True
    return hit


def misses(pictures: Sequence[Judged], kind: str | None = None) -> Misses:
    """Escapes and overkill at the thresholds the detections were made with.

    Without a kind: a defective picture escapes when nothing at all is reported on it. With a kind: when
    nothing of that kind is, and every picture without that kind counts as clean.
    """
    defective = [_has(one.truth_kind, kind) for one in pictures]
    reported = [_has(one.found.kind, kind) for one in pictures]
    return Misses(
        defective=sum(defective),
        escapes=sum(bad and not said for bad, said in zip(defective, reported, strict=True)),
        clean=len(pictures) - sum(defective),
        overkill=sum(said and not bad for bad, said in zip(defective, reported, strict=True)),
    )


def auroc(scores: NDArray[np.float64], defective: NDArray[np.bool_]) -> float | None:
    """The share of pairs of a defective and a good picture in which the defective one scores higher; a tie counts half.

    scores (N,), the higher the more suspicious. None without pictures of both sorts.
    """
    if defective.all() or not defective.any():
        return None
    bad, good = scores[defective][:, None], scores[~defective][None, :]
    return float(((bad > good) + 0.5 * (bad == good)).mean())


def _has(codes: Sequence[str], kind: str | None) -> bool:
    return bool(codes) if kind is None else kind in codes


def best_threshold(scores: NDArray[np.float32], hits: NDArray[np.bool_], *, true_boxes: int) -> float:
    """The score at which the harmonic mean of precision and recall (F1) is highest; 1 where nothing hits.

    scores (D,) falling, hits (D,) whether each is right, as `hits_of` gives them for one overlap
    """
    if not len(scores) or not hits.any():
        return 1.0
    caught = np.cumsum(hits)
    f1 = 2 * caught / (np.arange(1, len(scores) + 1) + true_boxes)
    return float(scores[int(np.argmax(f1))])


@dataclass(frozen=True, slots=True, kw_only=True)
class Operating:
    """What a threshold on a unit's highest score does: of the `defective` units `escapes` stay below it, of the
    `clean` ones `overkill` reach it."""

    threshold: float
    escapes: int
    defective: int
    overkill: int
    clean: int

    def cost(self, *, escape: float, overkill: float, defective_share: float) -> float:
        """Of a unit, in the mean, where this share of all units is defective. What there is none of costs nothing."""
        escaping = self.escapes / self.defective if self.defective else 0.0
        refused = self.overkill / self.clean if self.clean else 0.0
        return defective_share * escaping * escape + (1 - defective_share) * refused * overkill


def operating(
    bad: Sequence[float], good: Sequence[float], thresholds: Sequence[float]
) -> tuple[Operating, ...]:
    """Escapes and overkill at each threshold, from the highest scores of defective and of clean units."""
    of_bad, of_good = np.sort(np.asarray(bad, np.float64)), np.sort(np.asarray(good, np.float64))
    return tuple(
        Operating(
            threshold=float(threshold),
            escapes=int(np.searchsorted(of_bad, threshold, side="left")),
            defective=len(of_bad),
            overkill=len(of_good) - int(np.searchsorted(of_good, threshold, side="left")),
            clean=len(of_good),
        )
        for threshold in thresholds
    )


def highest_score(one: Judged) -> float:
    """0 where nothing was found."""
    return float(one.found.score.max()) if len(one.found) else 0.0


FOUND_FROM = 0.1
"""A defect was found where something reported overlaps it by so much: a person sent there sees it."""


def found_defects(one: Judged) -> NDArray[np.bool_]:
    """Of each true defect (M,), whether something of its kind was reported there."""
    shared = overlaps(one.found.xyxy, one.truth_xyxy)
    same = np.array([[mine == theirs for theirs in one.truth_kind] for mine in one.found.kind], np.bool_)
    if not shared.size:
        return np.zeros(len(one.truth_kind), np.bool_)
    return np.asarray(((shared >= FOUND_FROM) & same).any(axis=0), np.bool_)
