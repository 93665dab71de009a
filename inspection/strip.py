"""The surface of one coil, grown frame by frame: joined defects, edges, repeats, and what nobody saw."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from inspection.joining import SurfaceJoiner
from inspection.repeats import RepeatFinder, RepeatRules
from inspection.types import (
    Defect,
    EdgePoint,
    Frame,
    FrameResult,
    Measurement,
    Repeat,
    Stretch,
    Strip,
    Surface,
    Verdict,
)

MOST_EDGE_POINTS = 256
"""Of a longer strip every second point goes, again and again: a page shows no more, and memory stays bounded."""


ROUNDING_MM = 1e-6
"""Sums of many frames and a box at the end of the last one differ in the last digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeldRules:
    """What a recipe says of welds.

    longest_mm  along the strip: what is longer is another steel, not a seam
    margin_mm   beside a weld, to each side, that is cut out with it
    most        how many a coil is expected to have; one with more goes to review, since what was taken for a weld may
                have been a defect
    """

    longest_mm: float
    margin_mm: float
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StripRules:
    """What a recipe says of strip.

    surface           with its scale, both ways
    head_mm, tail_mm  of the ends, whose defects are recorded and not judged: they are cut off
    repeats           None: not looked for
    welds             None: not looked for
    """

    surface: Surface
    head_mm: float = 0.0
    tail_mm: float = 0.0
    repeats: RepeatRules | None = None
    welds: WeldRules | None = None


class StripSurface:
    """What is known of one coil so far. Frames come in any order; each is placed by its exposure's number."""

    def __init__(self, rules: StripRules) -> None:
        x_scale, y_scale = rules.surface.x_mm_per_px, rules.surface.y_mm_per_px
        assert x_scale is not None, "a recipe with strip gives a scale"
        assert y_scale is not None, "a recipe with strip gives a scale"
        self._rules = rules
        self._y_scale = y_scale
        self._joiner = SurfaceJoiner(x_mm_per_px=x_scale, y_mm_per_px=y_scale)
        self._finder = None if rules.repeats is None else RepeatFinder(rules.repeats)
        self._repeats: tuple[Repeat, ...] = ()
        self._edges: list[EdgePoint] = []
        self._keep_each, self._edges_seen = 1, 0
        self._seen: list[Stretch] = []
        self._welds: list[Stretch] = []
        self._measured: dict[tuple[str, str], _Summary] = defaultdict(_Summary)
        # What was placed last: how many exposures in all, where it ends, how long it is.
        self._placed, self._end_mm, self._frame_mm = 0, 0.0, 0.0
        self._across = rules.surface.x_origin_mm, rules.surface.x_origin_mm

    def place(self, frame: Frame, exposure: int) -> Frame:
        """The frame where it lies on the coil, if it shows this exposure, counted from 0 and lost ones with it.

        Exposures come in their order. A lost one leaves the length of the frame before it unseen, or, before the
        first, of that one: a line scan camera takes as many rows each time, but for a shorter last frame.
        """
        height_mm = frame.pixels.shape[0] * self._y_scale
        placed = replace(frame, y_origin_mm=self._end_of(exposure, height_mm))
        # Together, and last: of a frame that cannot be placed the strip stays as if it had been lost.
        self._end_mm = placed.y_origin_mm + height_mm
        self._frame_mm = height_mm
        self._placed = exposure + 1
        return placed

    def add(self, result: FrameResult) -> None:
        """One frame that was placed, and inspected or not. Where anything of it throws, its stretch was not seen."""
        if result.seen_mm is None:
            return
        stretch = Stretch(from_mm=result.seen_mm.y1, to_mm=result.seen_mm.y2)
        self._tell_finder(self._joiner.add(result.defects, stretch))
        # Those that a border cuts are one; two seams so near to each other are cut out together.
        self._welds = _merged([*self._welds, *result.welds], gap_mm=self._y_scale)
        for point in result.edges:
            self._keep(point)
        for measured in result.measurements:
            self._measured[measured.name, measured.unit].take(measured.value)
        # Last: a stretch counts as seen only with all that was found in it.
        self._across = result.seen_mm.x1, result.seen_mm.x2
        if was_inspected(result):
            self._seen = _merged([*self._seen, stretch], gap_mm=self._y_scale / 2)

    @property
    def repeats(self) -> tuple[Repeat, ...]:
        """Those found so far. A defect counts once the border it may end at has been seen from both sides."""
        return self._repeats

    def finish(self) -> None:
        """No frame will come any more: what ends at the last border ends there."""
        self._tell_finder(self._joiner.finish())

    def defects(self) -> tuple[Defect, ...]:
        """Each once and whole, from the head on."""
        return self._joiner.joined()

    def measurements(self) -> tuple[Measurement, ...]:
        """For each quantity its mean over the frames with the mean's standard error, its least and its greatest."""
        return tuple(
            one
            for (name, unit), summary in self._measured.items()
            for one in summary.as_measurements(name, unit)
        )

    def strip(self, *, exposures: int, has_tail: bool) -> Strip:
        """What was seen of `exposures`. has_tail: the end was seen; else nobody knows which part is the tail."""
        length_mm = self._end_of(exposures, self._frame_mm)
        head_mm = min(self._rules.head_mm, length_mm)
        tail_mm = min(self._rules.tail_mm, length_mm) if has_tail else 0.0
        return Strip(
            length_mm=length_mm,
            x_from_mm=self._across[0],
            x_to_mm=self._across[1],
            head=Stretch(from_mm=0.0, to_mm=head_mm) if head_mm else None,
            tail=Stretch(from_mm=length_mm - tail_mm, to_mm=length_mm) if tail_mm else None,
            unseen=_between(self._seen, length_mm, gap_mm=self._y_scale / 2),
            edges=tuple(sorted(self._edges, key=lambda point: point.y_mm)),
            repeats=self.repeats,
            welds=self._cut_out(length_mm),
        )

    def _cut_out(self, length_mm: float) -> tuple[Stretch, ...]:
        """Welds with what lies beside them. Only here are those whole that a border between frames cuts."""
        rules = self._rules.welds
        if rules is None:
            return ()
        return tuple(
            Stretch(
                from_mm=max(0.0, one.from_mm - rules.margin_mm),
                to_mm=min(length_mm, one.to_mm + rules.margin_mm),
            )
            for one in self._welds
            if one.length_mm <= rules.longest_mm + ROUNDING_MM
        )

    def _end_of(self, exposures: int, frame_mm: float) -> float:
        """Where so many exposures end, of which those after the last placed were lost."""
        return self._end_mm + (exposures - self._placed) * (self._frame_mm or frame_mm)

    def _tell_finder(self, whole: Iterable[Defect]) -> None:
        if self._finder is None:
            return
        for defect in whole:
            self._finder.add(defect)
        self._repeats = self._finder.found

    def _keep(self, point: EdgePoint) -> None:
        if self._edges_seen % self._keep_each == 0:
            self._edges.append(point)
        self._edges_seen += 1
        if len(self._edges) > MOST_EDGE_POINTS:
            self._edges = self._edges[::2]
            self._keep_each *= 2


def was_inspected(result: FrameResult) -> bool:
    """Whether what the frame shows counts. Where it does not, it may have defects all the same: those are recorded."""
    return result.failure is None and result.verdict is not Verdict.NOT_INSPECTED


def is_judged(defect: Defect, strip: Strip) -> bool:
    """Whether any of it lies outside of head, tail and each weld. Where its place is not known, or not on the coil, it
    does."""
    box = defect.box_mm
    if box is None:
        return True
    in_head = strip.head is not None and box.y2 <= strip.head.to_mm
    in_tail = (
        strip.tail is not None and strip.tail.from_mm <= box.y1 <= box.y2 <= strip.tail.to_mm + ROUNDING_MM
    )
    in_weld = any(one.from_mm <= box.y1 <= box.y2 <= one.to_mm for one in strip.welds)
    return not (in_head or in_tail or in_weld)


def judge_welds(strip: Strip, rules: WeldRules | None) -> Verdict:
    """REVIEW for more welds than a coil is expected to have."""
    return Verdict.REVIEW if rules is not None and len(strip.welds) > rules.most else Verdict.ACCEPT


@dataclass(slots=True)
class _Summary:
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    least: float = float("inf")
    greatest: float = float("-inf")

    def take(self, value: float) -> None:
        # Welford, Technometrics 4 (1962): the plain sum of squares has no digits left after a long coil.
        self.count += 1
        step = value - self.mean
        self.mean += step / self.count
        self.squares += step * (value - self.mean)
        self.least, self.greatest = min(self.least, value), max(self.greatest, value)

    def as_measurements(self, name: str, unit: str) -> Iterable[Measurement]:
        error = sqrt(self.squares / (self.count - 1) / self.count) if self.count > 1 else None
        yield Measurement(name=name, value=self.mean, unit=unit, uncertainty=error)
        yield Measurement(name=f"{name}_min", value=self.least, unit=unit)
        yield Measurement(name=f"{name}_max", value=self.greatest, unit=unit)


def _merged(stretches: Sequence[Stretch], *, gap_mm: float) -> list[Stretch]:
    """In order, those that touch made one."""
    merged: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda one: one.from_mm):
        if merged and stretch.from_mm - merged[-1].to_mm <= gap_mm:
            last = merged.pop()
            stretch = Stretch(from_mm=last.from_mm, to_mm=max(last.to_mm, stretch.to_mm))
        merged.append(stretch)
    return merged


def _between(seen: Sequence[Stretch], length_mm: float, *, gap_mm: float) -> tuple[Stretch, ...]:
    """What of 0 to `length_mm` is in none of these."""
    ends = [0.0, *(one.to_mm for one in seen)]
    starts = [*(one.from_mm for one in seen), length_mm]
    return tuple(
        Stretch(from_mm=end, to_mm=start)
        for end, start in zip(ends, starts, strict=True)
        if start - end > gap_mm
    )
