"""One camera's loop: from frames to units, each closed with every exposure accounted for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils

from inspection.errors import InspectionError
from inspection.identity import IdentifierCode
from inspection.pipeline import Pipeline
from inspection.protocols import Camera, Sink, UnitSource
from inspection.strip import StripRules
from inspection.tally import FRAME_LOST, UnitTally, with_losses
from inspection.types import Frame, FrameResult, Grade, InspectionBegun, ModelRef, RecipeRef

STOPPED = "SVC-STATION-STOPPED"
CAMERA_ENDED = "CAM-LOST"
LANE_FAILED = "SVC-LANE-FAILED"

MAX_UNITS_PER_HOLE = 1000
"""A larger jump of the device's count is recorded as one unit that lost all of it, not as a flood of units."""


@dataclass(slots=True, kw_only=True)
class Lane:
    """Inspects what one camera sees, unit by unit, until told to stop or the camera is lost.

    units  makes a source of units for each run: a camera that comes back counts anew, and so do its units
    sinks  told of every unit and frame, in order, on this thread; the reject gate comes first
    """

    name: str
    station: str
    recipe: RecipeRef
    models: tuple[ModelRef, ...]
    pipeline: Pipeline
    units: Callable[[], UnitSource]
    sinks: Sequence[Sink]
    stop: threading.Event
    grades: tuple[Grade, ...] = ()
    strip: StripRules | None = None
    _tally: UnitTally | None = field(default=None, init=False)
    _answered_to: int | None = field(default=None, init=False)
    _camera: Camera | None = field(default=None, init=False)

    def run(self, camera: Camera, *, started: Callable[[], None]) -> None:
        """Inspect until stopped or until the frames end. Closes the unit in hand whatever happens.

        started  called once the camera runs
        """
        units = self.units()
        self._answered_to = None
        why_ended = CAMERA_ENDED
        try:
            with camera:
                self._camera = camera
                started()
                # Told to stop while the camera started, when nobody could leave it yet.
                if not self.stop.is_set():
                    self._inspect_all(camera, units)
            if self.stop.is_set():
                why_ended = STOPPED
        except InspectionError as error:
            why_ended = error.code
            raise
        except Exception:
            why_ended = LANE_FAILED
            raise
        finally:
            self._camera = None
            if self._tally is not None:
                self._tally.cut_short(why_ended)
                self._finish()

    def leave(self) -> None:
        """End the frames of a camera that may be silent, so that `run` returns. Once `stop` is set, from another
        thread."""
        camera = self._camera
        if camera is not None:
            camera.__exit__(None, None, None)

    def _inspect_all(self, camera: Camera, units: UnitSource) -> None:
        for frame, lost in with_losses(camera.frames()):
            self._account_for(lost, frame, units)
            tally = self._due(frame.sequence, units.unit_of(frame))
            self._inspect(frame, tally)
            if units.completes_unit(frame):
                self._finish()
            if self.stop.is_set():
                return

    def _inspect(self, frame: Frame, tally: UnitTally) -> None:
        frame = tally.place(frame)
        try:
            result = self.pipeline.inspect(frame)
        except Exception:
            tally.add(FrameResult.not_inspected(frame, failure=LANE_FAILED))
            raise
        tally.add(result)
        if tally.repeats:
            result = replace(result, repeats=tally.repeats)
        for sink in self.sinks:
            sink.frame_done(tally.begun, frame, result)

    def _account_for(self, lost: int, frame: Frame, units: UnitSource) -> None:
        if lost > MAX_UNITS_PER_HOLE:
            unit = units.unit_of_lost(frame.sequence - 1) or units.unit_of(frame)
            self._due(frame.sequence - 1, unit).lost(lost, reason=FRAME_LOST)
            return
        for sequence in range(frame.sequence - lost, frame.sequence):
            unit_of_lost = units.unit_of_lost(sequence)
            if unit_of_lost is not None:
                self._due(sequence, unit_of_lost).lost(1, reason=FRAME_LOST)
                continue
            # The hole may belong to either unit: withhold both.
            if self._tally is not None:
                self._due(sequence, self._tally.begun.unit).lost(1, reason=FRAME_LOST)
            following = units.unit_of(frame)
            if self._tally is None or self._tally.begun.unit != following:
                self._due(sequence, following).lost(1, reason=FRAME_LOST)

    def _due(self, sequence: int, unit: IdentifierCode) -> UnitTally:
        """The tally of `unit`, which owes an answer for whatever the device counted up to `sequence`.

        The device's count alone says what is due: a frame that this lane forgot is due all the same.
        """
        tally = self._tally_of(unit)
        tally.due(sequence)
        self._answered_to = sequence
        return tally

    def _tally_of(self, unit: IdentifierCode) -> UnitTally:
        """The tally of `unit`, which comes into view if it is not the one in hand."""
        if self._tally is not None and self._tally.begun.unit == unit:
            return self._tally
        self._finish()
        begun = InspectionBegun(
            id=UUID(bytes=uuid_utils.uuid7().bytes),
            unit=unit,
            station=self.station,
            lane=self.name,
            recipe=self.recipe,
            models=self.models,
            started_at=datetime.now(UTC),
        )
        self._tally = UnitTally(
            begun,
            self.pipeline.limits,
            after=self._answered_to,
            grades=self.grades,
            strip=self.strip,
        )
        for sink in self.sinks:
            sink.unit_begun(begun)
        return self._tally

    def _finish(self) -> None:
        if self._tally is None:
            return
        tally, self._tally = self._tally, None
        inspection = tally.close(datetime.now(UTC))
        for sink in self.sinks:
            sink.unit_done(inspection)
