"""Pieces of one defect, cut by the borders of tiles or of frames, made one again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from inspection.protocols import Detector
from inspection.types import Box, Defect, Detections, Image, Mask, Piece, Stretch
from inspection.vision.boxes import overlaps

# Two pieces belong together when they face each other over at least this share of the shorter side. A long
# scratch runs straight on into the next tile; two scratches that merely cross do not face each other.
_FACING = 0.5

# A piece much less sure than its neighbour is a doubt about the same place, not the rest of the defect: joined,
# it would stretch a box that was right.
_COMPARABLE = 0.3

# Two detectors that draw boxes this much alike mean the same defect: the usual bound for a box that is right.
_SAME = 0.5

# How far apart the ends of two pieces may lie, px.
_GAP_PX = 4.0

# How far from the border of a frame a box may end and still count as cut there, and how far apart two pieces may
# lie across it. Networks place the ends of cut defects a few pixels inside the border.
_REACH_PX = 6.0


def join(found: Detections, *, cut: NDArray[np.bool_]) -> Detections:
    """Detections with cut pieces of the same kind, that overlap or touch each other, enclosed in one box.

    cut   (N,): which detections end at the border of a tile; those that do not are left as they are, except
          that a cut piece may join one

    Every given box lies in a returned box of its kind. A whole has the score of its surest piece, and all pixels of
    its pieces' masks; no mask where one of them has none.
    """
    if not cut.any():
        return found
    kind = np.array(found.kind)
    low, high = (pick(found.score[:, None], found.score[None, :]) for pick in (np.minimum, np.maximum))
    together = _touching(found.xyxy) & (low >= _COMPARABLE * high)
    together &= (kind[:, None] == kind[None, :]) & (cut[:, None] | cut[None, :])
    return _made_one(found, _connected(together))


def agreed(found: Sequence[Detections], *, above: float) -> Detections:
    """What several detectors found in one image; what two of them call by the same kind in the same place is one.

    above   overlap, 0..1, above which two boxes of a kind are the same defect: one box then encloses both

    Each detector is taken at its word that two boxes of its own are two defects.
    """
    every = Detections.together(found)
    if sum(len(one) > 0 for one in found) < 2:
        return every
    finder = np.concatenate([np.full(len(one), number) for number, one in enumerate(found)])
    finder = finder[np.argsort(-np.concatenate([one.score for one in found]), kind="stable")]
    kind = np.array(every.kind)
    same = overlaps(every.xyxy, every.xyxy) > above
    same &= (kind[:, None] == kind[None, :]) & (finder[:, None] != finder[None, :])
    return _made_one(every, _connected(same))


class SeveralDetectors:
    """Detectors that look at the same image, one after the other, as one Detector."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._detectors = tuple(detectors)

    def detect(self, image: Image) -> Detections:
        """What any of them found. Raises what one of them raises: what one did not look at was not inspected."""
        return agreed([detector.detect(image) for detector in self._detectors], above=_SAME)


def _made_one(found: Detections, group: NDArray[np.intp]) -> Detections:
    """Each group of detections, named by the lowest index in it, as one. They come surest first, so that one has the
    highest score of its group and order is kept."""
    leaders = np.flatnonzero(group == np.arange(len(group)))
    if len(leaders) == len(found):
        return found
    xyxy = np.empty((len(leaders), 4), np.float32)
    masks: list[Mask | None] = []
    for row, leader in enumerate(leaders):
        members = np.flatnonzero(group == leader)
        xyxy[row, :2] = found.xyxy[members, :2].min(axis=0)
        xyxy[row, 2:] = found.xyxy[members, 2:].max(axis=0)
        known = [mask for member in members if (mask := found.masks[member]) is not None]
        masks.append(Mask.union(known) if len(known) == len(members) else None)
    return Detections(
        looked=found.looked,
        xyxy=xyxy,
        score=found.score[leaders],
        kind=tuple(found.kind[leader] for leader in leaders),
        masks=tuple(masks),
    )


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


class SurfaceJoiner:
    """Joins the defects of one camera's frames of one strip over the borders between frames.

    x_mm_per_px, y_mm_per_px  the scale of the surface: reach is a matter of pixels

    Pieces of a kind that end at the same border from both sides, within reach of each other, are one defect. Frames
    may come in any order. Besides the defects, only what ends at a border whose other side has not come is kept.
    """

    def __init__(self, *, x_mm_per_px: float, y_mm_per_px: float) -> None:
        self._reach_x_mm = _REACH_PX * x_mm_per_px
        self._reach_y_mm = _REACH_PX * y_mm_per_px
        self._half_row_mm = y_mm_per_px / 2
        self._all: list[_Whole] = []
        self._open: list[_Whole] = []
        self._waiting: list[_Border] = []

    def add(self, defects: Sequence[Defect], stretch: Stretch) -> tuple[Defect, ...]:
        """The defects of one inspected frame that shows this stretch. Those without millimetres stay as they are.

        Returns the defects to which nothing more can come now, from the head on.
        """
        upper, lower = _Border(stretch.from_mm, comes_after=True), _Border(stretch.to_mm, comes_after=False)
        for defect in defects:
            whole = _Whole([defect])
            self._all.append(whole)
            box = defect.box_mm
            if box is not None and box.y1 - stretch.from_mm <= self._reach_y_mm:
                upper.ending.append((whole, box))
            if box is not None and stretch.to_mm - box.y2 <= self._reach_y_mm:
                lower.ending.append((whole, box))
            self._open.append(whole)
        for border in (upper, lower):
            self._meet(border)
        return self._settle()

    def finish(self) -> tuple[Defect, ...]:
        """No other frame will come: returns the defects that were still waiting at a border."""
        self._waiting.clear()
        return self._settle()

    def joined(self) -> tuple[Defect, ...]:
        """All defects so far, each once, from the head on."""
        wholes = [whole.as_defect() for whole in self._all if whole.part_of is None]
        return tuple(sorted(wholes, key=_place))

    def _settle(self) -> tuple[Defect, ...]:
        waiting = {id(whole.root) for border in self._waiting for whole, _ in border.ending}
        settled = [whole for whole in self._open if whole.part_of is None and id(whole) not in waiting]
        self._open = [whole for whole in self._open if whole.part_of is None and id(whole) in waiting]
        return tuple(sorted((whole.as_defect() for whole in settled), key=_place))

    def _meet(self, border: _Border) -> None:
        other = next((one for one in self._waiting if self._is_same(one, border)), None)
        if other is None:
            self._waiting.append(border)
            return
        self._waiting.remove(other)
        for one, one_box in border.ending:
            for two, two_box in other.ending:
                gap_mm = max(one_box.x1, two_box.x1) - min(one_box.x2, two_box.x2)
                if one.kind == two.kind and gap_mm <= self._reach_x_mm:
                    one.join(two)

    def _is_same(self, one: _Border, two: _Border) -> bool:
        return one.comes_after is not two.comes_after and abs(one.y_mm - two.y_mm) <= self._half_row_mm


@dataclass(slots=True, eq=False)
class _Border:
    """One side of a border between frames, and what ends there."""

    y_mm: float
    comes_after: bool
    ending: list[tuple[_Whole, Box]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Whole:
    """Pieces known to be one defect; one that was joined to another refers to it."""

    pieces: list[Defect]
    part_of: _Whole | None = None

    @property
    def kind(self) -> str:
        return self.pieces[0].kind

    def join(self, other: _Whole) -> None:
        # The fewer pieces to the more: an endless scratch grows by one with every frame.
        one, two = sorted((self.root, other.root), key=lambda whole: -len(whole.pieces))
        if one is not two:
            one.pieces += two.pieces
            two.part_of = one

    def as_defect(self) -> Defect:
        if len(self.pieces) == 1:
            return self.pieces[0]
        surest, *rest = sorted(self.pieces, key=lambda piece: (-piece.score, *_place(piece)))
        boxes = [piece.box_mm for piece in self.pieces if piece.box_mm is not None]
        nears = [piece.edge_near_mm for piece in self.pieces]
        fars = [piece.edge_far_mm for piece in self.pieces]
        areas = [piece.mask_area_mm2 for piece in self.pieces]
        return replace(
            surest,
            box_mm=Box(
                min(box.x1 for box in boxes),
                min(box.y1 for box in boxes),
                max(box.x2 for box in boxes),
                max(box.y2 for box in boxes),
            ),
            edge_near_mm=None if None in nears else min(near for near in nears if near is not None),
            edge_far_mm=None if None in fars else max(far for far in fars if far is not None),
            mask_area_mm2=None if None in areas else sum(area for area in areas if area is not None),
            pieces=tuple(
                Piece(sequence=piece.sequence, box_px=piece.box_px) for piece in sorted(rest, key=_place)
            ),
        )

    @property
    def root(self) -> _Whole:
        root = self
        while root.part_of is not None:
            root = root.part_of
        return root


def _place(defect: Defect) -> tuple[float, ...]:
    """An order that does not depend on how the defects came."""
    box = defect.box_mm or defect.box_px
    px = defect.box_px
    return (
        float(defect.box_mm is None),
        box.y1,
        box.x1,
        box.y2,
        box.x2,
        defect.sequence,
        px.y1,
        px.x1,
        -defect.score,
    )
