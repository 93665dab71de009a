"""All frames of one unit, made into one inspection.

The balance is the point: every exposure the unit was due is inspected, failed or lost, and one that was not
inspected keeps the unit from being accepted, whatever the other frames show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from inspection.judging import judge_unit
from inspection.types import (
    Defect,
    FrameResult,
    Inspection,
    InspectionBegun,
    Limit,
    Measurement,
    Verdict,
)


class UnitTally:
    """Collects the frames of the unit in hand until it is closed."""

    def __init__(self, begun: InspectionBegun, limits: Sequence[Limit]) -> None:
        self.begun = begun
        self._limits = tuple(limits)
        self._verdicts: list[Verdict] = []
        self._defects: list[Defect] = []
        self._measurements: list[Measurement] = []
        self._failures: Counter[str] = Counter()
        self._failed = 0
        self._lost = 0

    def add(self, result: FrameResult) -> None:
        """One frame that was seen, judged or not."""
        self._verdicts.append(result.verdict)
        self._defects.extend(result.defects)
        self._measurements.extend(result.measurements)
        if result.failure is not None or result.verdict is Verdict.NOT_INSPECTED:
            self._failed += 1
            self._failures[result.failure or "INS-ERROR"] += 1

    def lost(self, count: int, *, reason: str) -> None:
        """`count` exposures that nobody saw; `reason` is an error code. 0 changes nothing."""
        if count < 0:
            raise ValueError(f"{count} frames cannot be lost")
        if count:
            self._lost += count
            self._failures[reason] += count

    def close(self, finished_at: datetime) -> Inspection:
        """The unit's inspection. One of which a frame was missed, or none was seen, is never accepted."""
        verdicts = [*self._verdicts, judge_unit(self._defects, self._limits)]
        if self._lost or not self._verdicts:
            verdicts.append(Verdict.NOT_INSPECTED)
        begun = self.begun
        return Inspection(
            id=begun.id,
            unit=begun.unit,
            station=begun.station,
            lane=begun.lane,
            recipe=begun.recipe,
            models=begun.models,
            started_at=begun.started_at,
            finished_at=finished_at,
            verdict=Verdict.worst(verdicts),
            defects=tuple(self._defects),
            measurements=tuple(self._measurements),
            frames_inspected=len(self._verdicts) - self._failed,
            frames_failed=self._failed,
            frames_lost=self._lost,
            failures=dict(self._failures),
            pictures=(),
        )
