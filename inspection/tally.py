"""All frames of one unit, made into one inspection.

Two accounts are kept apart and must agree: the exposures the device counted, and what became of each: inspected,
failed or lost. One that was not inspected keeps the unit from being accepted, whatever the other frames show, and
so does one that nobody can say anything about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from inspection.identity import IdentifierCode
from inspection.judging import grade_of, judge, judge_measurements, judge_unit
from inspection.strip import (
    ROUNDING_MM,
    StripRules,
    StripSurface,
    WeldRules,
    is_judged,
    judge_welds,
    was_inspected,
)
from inspection.types import (
    CodeReading,
    Defect,
    Frame,
    FrameResult,
    Grade,
    Inspection,
    InspectionBegun,
    Limit,
    Measurement,
    Repeat,
    Strip,
    Tolerance,
    Verdict,
)

FRAME_LOST = "CAM-FRAME-LOST"
OVERRUN = "INS-OVERRUN"
"""Came in, and newer frames came before its turn."""
CLOCK_BACKWARDS = "INS-CLOCK-BACKWARDS"
"""Taken before the frame before it, by the clock of the camera or of this computer."""
UNACCOUNTED = "INS-UNACCOUNTED"
BYPASSED = "INS-BYPASSED"
"""Let through on somebody's order, without being looked at."""
IN_SETUP = "INS-IN-SETUP"
"""Looked at while somebody worked on the station: what was seen counts for nothing."""
IN_CHALLENGE = "INS-IN-CHALLENGE"
"""Shown on purpose while it was known to be bad, or may have been: whether it was caught is what counts."""
UNPROVEN = "INS-UNPROVEN"
"""Nobody has shown in time that the lane still catches what is bad."""
VIEW_MISSING = "INS-VIEW-MISSING"
"""One of the cameras that see the unit showed nothing of it."""
CODE_NOT_READ = "INS-CODE-NOT-READ"
CODES_CONTRADICT = "INS-CODES-CONTRADICT"
"""Two pictures of one unit show the codes of two."""
NOTHING_JUDGED = "INS-NOTHING-JUDGED"
UNSEEN = "INS-STRETCH-UNSEEN"
"""Head and tail leave nothing of the coil: no defect of it was judged."""


class _HasCount(Protocol):
    @property
    def sequence(self) -> int: ...


_Counted = TypeVar("_Counted", bound=_HasCount)


def with_losses(
    frames: Iterable[_Counted], *, before_first: Callable[[_Counted], int] = lambda _: 0
) -> Iterator[tuple[_Counted, int]]:
    """Each frame with the number of exposures lost just before it: holes in `sequence`, whoever made them.

    before_first  how many are known to be lost before the frame, if it is the first

    A count that goes backwards is a device that began anew; how many it lost is unknown, and one is said,
    since one is enough to withhold acceptance.
    """
    expected: int | None = None
    for frame in frames:
        if expected is None:
            lost = before_first(frame)
        else:
            lost = frame.sequence - expected if frame.sequence >= expected else 1
        expected = frame.sequence + 1
        yield frame, lost


def judged_again(
    inspection: Inspection,
    limits: Sequence[Limit],
    *,
    grades: Sequence[Grade] = (),
    tolerances: Sequence[Tolerance] = (),
    welds: WeldRules | None = None,
    without_code: Verdict | None = None,
) -> tuple[Verdict, str | None]:
    """Verdict and grade that a unit on record would have had under other limits, tolerances of measurements and grades.

    What was seen stays as it was: defects, repeats, head and tail, a code that was not read, and what was not
    inspected.
    """
    strip = inspection.strip
    repeats = () if strip is None else strip.repeats
    judged = [one for one in inspection.defects if strip is None or is_judged(one, strip)]
    verdicts = [
        judge_unit(judged, limits, repeats),
        judge_measurements(inspection.measurements, tolerances),
    ]
    if strip is not None:
        verdicts.append(judge_welds(strip, welds))
    if inspection.code_failure is not None and without_code is not None:
        verdicts.append(without_code)
    # A frame may have failed for the very reason that its code was not read for.
    is_short = inspection.frames_failed or inspection.frames_lost or inspection.unaccounted
    hindered = inspection.failures.keys() - {inspection.code_failure}
    if is_short or hindered or not inspection.frames_inspected:
        verdicts.append(Verdict.NOT_INSPECTED)
    return _graded(verdicts, judged, grades, repeats)


def _graded(
    verdicts: Sequence[Verdict], judged: Sequence[Defect], grades: Sequence[Grade], repeats: Sequence[Repeat]
) -> tuple[Verdict, str | None]:
    """The worst of the verdicts and the grade of a unit that was inspected in full and not refused.

    One that fits no grade goes to review.
    """
    verdict = Verdict.worst(verdicts)
    if not grades or verdict >= Verdict.NOT_INSPECTED:
        return verdict, None
    grade = grade_of(judged, grades, repeats)
    return (Verdict.worst([verdict, Verdict.REVIEW]), None) if grade is None else (verdict, grade.name)


class UnitTally:
    """Collects the frames of the unit in hand until it is closed.

    after   the last count of the device that an earlier unit answered for; None: the first one counted begins this
    grades  the best first; none: units are not graded
    strip   what holds for a coil's surface; None: its frames are not joined to one
    views   of each of which a frame must have been seen; none: one camera sees the unit
    without_code  what it gets, at the least, where its pictures do not show its code, or not the same one. None: its
            code is not asked for
    """

    def __init__(
        self,
        begun: InspectionBegun,
        limits: Sequence[Limit],
        *,
        after: int | None = None,
        grades: Sequence[Grade] = (),
        strip: StripRules | None = None,
        views: Sequence[str] = (),
        without_code: Verdict | None = None,
    ) -> None:
        self.begun = begun
        self._views = tuple(views)
        self._seen_by: set[str] = set()
        self._without_code = without_code
        self._codes: list[CodeReading] = []
        self._grades = tuple(grades)
        self._due_up_to = after
        self._triggers = 0
        self._limits = tuple(limits)
        self._strip = None if strip is None else StripSurface(strip)
        self._welds = None if strip is None else strip.welds
        self._is_cut_short = False
        self._seen = 0
        self._asked_beside: Verdict | None = None
        self._defects: list[Defect] = []
        self._measurements: list[Measurement] = []
        self._failures: Counter[str] = Counter()
        self._failed = 0
        self._lost = 0

    @property
    def triggers(self) -> int:
        """Exposures due so far."""
        return self._triggers

    @property
    def seen(self) -> int:
        """Frames so far, judged or not."""
        return self._seen

    @property
    def repeats(self) -> tuple[Repeat, ...]:
        """What repeats along the coil in hand, so far."""
        return () if self._strip is None else self._strip.repeats

    def place(self, frame: Frame) -> Frame:
        """The frame, due last, where it lies on the coil; as it is where there is none."""
        return frame if self._strip is None else self._strip.place(frame, self._triggers - 1)

    def due(self, sequence: int) -> None:
        """The device counted up to `sequence` in this unit: whatever it counted since the last is owed an answer.

        A count that does not rise is one exposure more: the device counts anew, or two units answer for a hole.
        """
        risen = 1 if self._due_up_to is None else sequence - self._due_up_to
        self._triggers += max(1, risen)
        self._due_up_to = sequence

    def add(self, result: FrameResult) -> None:
        """One frame that was seen, judged or not. Where anything of it throws, it is not counted: it is to be added
        again as one that was not inspected."""
        if result.verdict > judge(result.defects, self._limits):
            # Not for its defects, then, which are judged when they are whole: it stands by itself.
            self._asked_beside = Verdict.worst([result.verdict, self._asked_beside or Verdict.ACCEPT])
        if self._strip is not None:
            self._strip.add(result)
        else:
            self._defects.extend(result.defects)
            self._measurements.extend(result.measurements)
        self._seen += 1
        self._seen_by.add(result.camera)
        if result.code is not None:
            self._codes.append(result.code)
        if not was_inspected(result):
            self._failed += 1
            self._failures[result.failure or "INS-ERROR"] += 1

    def cut_short(self, reason: str) -> None:
        """The unit ends before its time. What the rest would have shown is unknown: one exposure, due and lost."""
        self._triggers += 1
        self._is_cut_short = True
        self.lost(1, reason=reason)

    def lost(self, count: int, *, reason: str) -> None:
        """`count` exposures that nobody saw; `reason` is an error code. 0 changes nothing."""
        if count < 0:
            raise ValueError(f"{count} frames cannot be lost")
        if count:
            self._lost += count
            self._failures[reason] += count

    def close(self, finished_at: datetime) -> Inspection:
        """The unit's inspection. One of which a frame was missed, or none was seen, is never accepted.

        A grade is given to a unit that was inspected in full and not refused; one that fits no grade goes to review.
        """
        defects, measurements = self._defects, self._measurements
        strip: Strip | None = None
        if self._strip is not None:
            self._strip.finish()
            strip = self._strip.strip(exposures=self._triggers, has_tail=not self._is_cut_short)
            defects, measurements = list(self._strip.defects()), list(self._strip.measurements())
        failures = self._counted_failures()
        judged = defects if strip is None else [one for one in defects if is_judged(one, strip)]
        repeats = () if strip is None else strip.repeats
        verdicts = [judge_unit(judged, self._limits, repeats), self._asked_beside or Verdict.ACCEPT]
        if strip is not None and self._welds is not None:
            verdicts.append(judge_welds(strip, self._welds))
        if strip is not None and strip.unseen and not self._lost and not self._failed:
            failures[UNSEEN] = len(strip.unseen)
            verdicts.append(Verdict.NOT_INSPECTED)
        if strip is not None and self._seen and strip.judged_mm < ROUNDING_MM:
            failures[NOTHING_JUDGED] = self._seen - self._failed
            verdicts.append(Verdict.NOT_INSPECTED)
        missing = [view for view in self._views if view not in self._seen_by]
        if missing:
            failures[VIEW_MISSING] = len(missing)
        # Of a frame that failed the defects may be known, and lie where they are not judged.
        if self._failed or self._lost or self._unaccounted or missing or not self._seen:
            verdicts.append(Verdict.NOT_INSPECTED)
        _, code_failure = self._identified()
        if code_failure is not None and self._without_code is not None:
            verdicts.append(self._without_code)
            if self._without_code is Verdict.NOT_INSPECTED:
                failures.setdefault(code_failure, 1)
        verdict, grade = _graded(verdicts, judged, self._grades, repeats)
        return self._recorded(
            finished_at,
            verdict=verdict,
            grade=grade,
            failures=failures,
            defects=defects,
            measurements=measurements,
            strip=strip,
        )

    def close_unjudged(self, finished_at: datetime, *, failure: str) -> Inspection:
        """As `close`, of one of which that throws: its frames are counted, and it is not accepted. failure: why"""
        failures = self._counted_failures()
        failures[failure] = failures.get(failure, 0) + 1
        return self._recorded(
            finished_at,
            verdict=Verdict.worst([Verdict.NOT_INSPECTED, self._asked_beside or Verdict.ACCEPT]),
            failures=failures,
            defects=self._defects,
            measurements=self._measurements,
        )

    @property
    def _unaccounted(self) -> int:
        return self._triggers - self._seen - self._lost

    def _counted_failures(self) -> dict[str, int]:
        failures = dict(self._failures)
        if self._unaccounted:
            failures[UNACCOUNTED] = abs(self._unaccounted)
        return failures

    def _recorded(
        self,
        finished_at: datetime,
        *,
        verdict: Verdict,
        failures: dict[str, int],
        defects: Sequence[Defect],
        measurements: Sequence[Measurement],
        grade: str | None = None,
        strip: Strip | None = None,
    ) -> Inspection:
        begun = self.begun
        unit, code_failure = self._identified()
        return Inspection(
            id=begun.id,
            unit=unit,
            station=begun.station,
            lane=begun.lane,
            recipe=begun.recipe,
            models=begun.models,
            started_at=begun.started_at,
            finished_at=finished_at,
            verdict=verdict,
            defects=tuple(defects),
            measurements=tuple(measurements),
            triggers=self._triggers,
            frames_inspected=self._seen - self._failed,
            frames_failed=self._failed,
            frames_lost=self._lost,
            failures=failures,
            pictures=(),
            grade=grade,
            strip=strip,
            code_failure=code_failure,
        )

    def _identified(self) -> tuple[IdentifierCode, str | None]:
        """The unit's code: that which its pictures show, or the one that it began with and why it keeps that."""
        if self._without_code is None:
            return self.begun.unit, None
        read = {reading.unit for reading in self._codes if reading.unit is not None}
        if len(read) == 1:
            return next(iter(read)), None
        if read:
            return self.begun.unit, CODES_CONTRADICT
        failures = (reading.failure for reading in self._codes if reading.failure is not None)
        return self.begun.unit, next(failures, CODE_NOT_READ)
