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
    withheld     exposures for which two units answer, or that stand for the unknown rest of a unit that was cut short

    The tallies, unit by unit, as they were closed:
    units, triggers, inspected, failed, lost, unaccounted      in_hand_…  of the unit in view

    step_ms      each step's mean time over the last frames
    """

    lane: str
    exposures: int = 0
    frames: int = 0
    dropped: int = 0
    passed_over: int = 0
    results: int = 0
    withheld: int = 0
    units: int = 0
    triggers: int = 0
    inspected: int = 0
    failed: int = 0
    lost: int = 0
    unaccounted: int = 0
    in_hand_triggers: int = 0
    in_hand_results: int = 0
    step_ms: Mapping[str, float] = field(default_factory=dict)

    def with_result(self, timings_ms: Mapping[str, float]) -> LaneAccount:
        """One result more, and how long its steps took."""
        step_ms = dict(self.step_ms)
        for step, spent in timings_ms.items():
            step_ms[step] = _FORGETS * step_ms.get(step, spent) + (1 - _FORGETS) * spent
        return replace(self, results=self.results + 1, step_ms=step_ms)

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
        work = {step: spent for step, spent in self.step_ms.items() if step != "wait"}
        return max(work, key=lambda step: work[step]) if work else None

    @property
    def gap(self) -> int:
        """By how much the three hands differ, in exposures and frames together. Anything but 0 is a fault of ours.

        exposures + withheld = triggers of the units closed and in hand
        frames = passed over + results
        results = inspected + failed of the units closed, and those of the unit in hand
        """
        return (
            abs(self.exposures + self.withheld - self.triggers - self.in_hand_triggers)
            + abs(self.frames - self.passed_over - self.results)
            + abs(self.results - self.inspected - self.failed - self.in_hand_results)
        )
