"""A lane's account: what came in, what became of it, and whether both agree. docs/accounting.md has the equation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from inspection.types import Inspection

_FORGETS: Final = 0.9
"""Of the mean of a step's times each frame leaves so much of what was known before: it follows 10 frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneAccount:
    """What one lane has to answer for since its engine started, as counted by three hands.

    The intake, by the camera's numbers alone and knowing nothing of units:
    exposures    what the camera counted, holes included; frames   those that came

    The loop, frame by frame:
    dropped      came and were passed over, since newer ones came before their turn
    passed_over  these and what the end of the station left unseen
    results      given to the sinks
    mistakes     how often our own code threw: on a frame, as a unit was judged or told of, or so that the lane ended.
                 None of that is accepted
    withheld     exposures for which two units answer, or that stand for the unknown rest of a unit that was cut short

    The tallies, unit by unit, as they were closed:
    units, triggers, inspected, failed, lost, unaccounted      in_hand_…  of the unit in view

    gap          by how much the hands differed when last nothing was between two of them, exposures and frames
                 together. Anything but 0 is a fault of ours
    step_ms      each step's mean time over the last frames
    """

    lane: str
    exposures: int = 0
    frames: int = 0
    dropped: int = 0
    passed_over: int = 0
    results: int = 0
    mistakes: int = 0
    withheld: int = 0
    units: int = 0
    triggers: int = 0
    inspected: int = 0
    failed: int = 0
    lost: int = 0
    unaccounted: int = 0
    in_hand_triggers: int = 0
    in_hand_results: int = 0
    gap: int = 0
    step_ms: Mapping[str, float] = field(default_factory=dict)

    def with_result(self, timings_ms: Mapping[str, float]) -> LaneAccount:
        """One result more, and how long its steps took."""
        step_ms = dict(self.step_ms)
        for step, spent in timings_ms.items():
            step_ms[step] = _FORGETS * step_ms.get(step, spent) + (1 - _FORGETS) * spent
        return replace(
            self, results=self.results + 1, in_hand_results=self.in_hand_results + 1, step_ms=step_ms
        )

    def with_mistake(self) -> LaneAccount:
        """Our own code threw once more."""
        return replace(self, mistakes=self.mistakes + 1)

    def with_unit(self, inspection: Inspection) -> LaneAccount:
        """One unit more, as its record says."""
        return replace(
            self,
            units=self.units + 1,
            triggers=self.triggers + inspection.triggers,
            inspected=self.inspected + inspection.frames_inspected,
            failed=self.failed + inspection.frames_failed,
            lost=self.lost + inspection.frames_lost,
            unaccounted=self.unaccounted + abs(inspection.unaccounted),
            in_hand_triggers=0,
            in_hand_results=0,
        )

    @property
    def slowest_step(self) -> str | None:
        """The step that takes longest, but for waiting, which is what the others cause."""
        work = {step: spent for step, spent in self.step_ms.items() if step not in ("wait", "total")}
        return max(work, key=lambda step: work[step]) if work else None

    def balanced(
        self, *, exposures: int, frames: int, in_hand_triggers: int, in_hand_results: int
    ) -> LaneAccount:
        """The account with what the intake and the unit in view say now, when nothing is between two hands:

        exposures + withheld = triggers of the units closed and in view
        frames = passed over + results
        results = inspected + failed of the units closed, and those of the unit in view
        """
        gap = (
            abs(exposures + self.withheld - self.triggers - in_hand_triggers)
            + abs(frames - self.passed_over - self.results)
            + abs(self.results - self.inspected - self.failed - in_hand_results)
        )
        return replace(
            self,
            exposures=exposures,
            frames=frames,
            in_hand_triggers=in_hand_triggers,
            in_hand_results=in_hand_results,
            gap=gap,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What a lane's engine has delivered to the service since it started, as counted where it is taken.

    results  frames, told or given up
    """

    units: int = 0
    triggers: int = 0
    results: int = 0

    def with_results(self, count: int) -> Delivered:
        return replace(self, results=self.results + count)

    def with_unit(self, inspection: Inspection) -> Delivered:
        return replace(self, units=self.units + 1, triggers=self.triggers + inspection.triggers)
