"""One frame's journey: correct, check, detect, locate, judge. This file is the whole of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TypeVar

import numpy as np

from inspection.errors import DetectionsInvalid, DetectorFailed, ImageUnsuitable, InspectionError
from inspection.judging import judge, judge_measurements
from inspection.protocols import Detector, Sensor
from inspection.types import (
    Box,
    CodeReading,
    Detections,
    EdgePoint,
    Frame,
    FrameResult,
    Image,
    Limit,
    Measurement,
    Stretch,
    Surface,
    Verdict,
)
from inspection.vision.codes import UnitCode
from inspection.vision.correction import FlatField, crop
from inspection.vision.edges import StripEdges, width_of
from inspection.vision.health import HealthWatch, check_health
from inspection.vision.locating import locate, seen_in
from inspection.vision.outline import PartOutline
from inspection.vision.part import GaugedPart
from inspection.vision.welds import WeldFinder

logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

VIEW_UNKNOWN = "INS-VIEW-UNKNOWN"
"""The recipe does not say how the frames of this camera are looked at."""

PROGRAM_FAILED = "INS-PROGRAM-FAILED"
"""Our own code threw what is no refusal of ours: a mistake of the program."""

MISTAKE = "Frame %s of %s: a mistake of the program"
"""What is logged of it, with its trace: the number and the camera of the frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """All that one camera's frames go through, in order. Remembers nothing between frames, but for dirt on the lens.

    roi_px  region of interest in pixels of the frame; None is all of it
    frame_wh_px  the only size of frame that surface, region and flat field are true for, its height None where the
            last frame of a coil may be shorter; None: any
    part    what a part looks like from here, so that an empty fixture is not a good part, and what is measured on
            it; None for strip
    edges   finds the edges of strip, so that what lies beside it is not taken for it; None: not looked for
    sensor  makes a picture of what is none, and finds what only it shows; None: frames are pictures
    health  measures how fit images are to be judged, and refuses those that are not; None: only what none may be
    code    reads the unit's code in the frame as it came; None: it is not in these pictures
    """

    detector: Detector
    surface: Surface
    limits: tuple[Limit, ...]
    flat_field: FlatField = field(default_factory=FlatField)
    roi_px: Box | None = None
    part: PartOutline | GaugedPart | None = None
    edges: StripEdges | None = None
    frame_wh_px: tuple[int, int | None] | None = None
    health: HealthWatch | None = None
    sensor: Sensor | None = None
    welds: WeldFinder | None = None
    code: UnitCode | None = None

    @property
    def without_code(self) -> Verdict | None:
        """What a unit gets, at the least, whose code is not known from its pictures; None: it is not asked for."""
        return None if self.code is None else self.code.unread

    def inspect(self, frame: Frame) -> FrameResult:
        """Judge one frame. Whatever keeps it from being judged leaves it NOT_INSPECTED, with the reason."""
        return self.judged(self.look(frame), frame)

    def look(self, frame: Frame) -> Look:
        """All that takes time, and nothing that depends on where the frame lies on the surface."""
        laps = Laps()
        code: CodeReading | None = None
        edges: tuple[EdgePoint, ...] = ()
        measured: tuple[Measurement, ...] = ()
        welds: tuple[Stretch, ...] = ()
        left, top = (self.roi_px.x1, self.roi_px.y1) if self.roi_px else (0.0, 0.0)
        failure: str | None = None
        try:
            check_kind(frame.pixels, self.frame_wh_px)
            if self.sensor is not None:
                return self._sensed(self.sensor, frame, laps)
            if self.code is not None:
                # First, so that a unit is known by its own code even where nothing of it can be judged.
                code = self.code.read(frame.pixels)
                laps.mark("code")
            raw = crop(frame.pixels, self.roi_px)
            image = self.flat_field.correct(raw)
            laps.mark("correct")
            check_health(image, raw)
            if self.health is not None:
                health = self.health.look(image, raw)
                measured = health.measurements()
                self.health.limits.check(health)
            if isinstance(self.part, PartOutline):
                self.part.check(image)
            if self.edges is not None:
                edges = self.edges.find(image, frame, left_px=left, top_px=top)
            if self.welds is not None:
                welds = self.welds.find(image, edges, left_px=left, top_px=top)
            if self.edges is not None:
                image = self.edges.mirrored(image, edges, left_px=left)
            laps.mark("check")
            if isinstance(self.part, GaugedPart):
                measured += self.part.measure(image, self.surface)
                laps.mark("measure")
            found = detections_of(self.detector, image)
            if self.edges is not None:
                found = self.edges.trimmed(found, edges, frame, left_px=left, top_px=top)
            laps.mark("detect")
        except InspectionError as error:
            failure = error.code
        except Exception:
            # A mistake of ours costs this frame, not the lane.
            logger.exception(MISTAKE, frame.sequence, frame.camera)
            failure = PROGRAM_FAILED
        if failure is not None:
            return Look(failure=failure, timings_ms=laps.ms, measured=measured, code=code)
        return Look(
            found=found,
            seen_hw=(image.shape[0], image.shape[1]),
            y_origin_mm=frame.y_origin_mm,
            edges=edges,
            welds=welds,
            measured=measured,
            timings_ms=laps.ms,
            code=code,
        )

    def _sensed(self, sensor: Sensor, frame: Frame, laps: Laps) -> Look:
        """As `look`, of what is no picture: the detector looks at what the sensor makes of it."""
        sensed = _asked(sensor.sense, frame.pixels)
        check_finite(sensed.found)
        laps.mark("sense")
        found = detections_of(self.detector, sensed.picture)
        laps.mark("detect")
        return Look(
            found=Detections.together([sensed.found, found]),
            seen_hw=(sensed.picture.shape[0], sensed.picture.shape[1]),
            y_origin_mm=frame.y_origin_mm,
            measured=sensed.measured,
            picture=sensed.picture,
            timings_ms=laps.ms,
        )

    def judged(self, look: Look, frame: Frame) -> FrameResult:
        """What was seen in a frame, at the frame's place on the surface and by the limits."""
        failure = look.failure
        if failure is None:
            try:
                return self._by_limits(look, frame)
            except Exception:
                logger.exception(MISTAKE, frame.sequence, frame.camera)
                failure = PROGRAM_FAILED
        return FrameResult.not_inspected(
            frame,
            failure=failure,
            timings_ms=look.timings_ms,
            measurements=look.measured,
            code=look.code,
        )

    def _by_limits(self, look: Look, frame: Frame) -> FrameResult:
        laps = Laps(look.timings_ms)
        edges = look.edges_at(frame.y_origin_mm)
        defects = locate(look.found, frame, self.surface, roi_px=self.roi_px)
        if self.edges is not None:
            defects = self.edges.placed(defects, edges)
        verdict = judge(defects, self.limits)
        measured = look.measured
        if isinstance(self.part, GaugedPart):
            verdict = max(verdict, judge_measurements(measured, self.part.tolerances))
        laps.mark("judge")
        return FrameResult(
            camera=frame.camera,
            sequence=frame.sequence,
            verdict=verdict,
            defects=defects,
            measurements=(*measured, width_of(edges)) if edges else measured,
            timings_ms=laps.ms,
            seen_mm=seen_in(look.seen_hw, frame, self.surface, roi_px=self.roi_px),
            edges=edges,
            welds=look.welds_at(frame.y_origin_mm),
            looked=look.found.looked,
            picture=look.picture,
            code=look.code,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewPipelines:
    """The pipelines of several cameras that see the same unit, by the name of the view, which their frames carry."""

    views: Mapping[str, Pipeline]
    limits: tuple[Limit, ...]

    @property
    def without_code(self) -> Verdict | None:
        """As of `Pipeline`, the strictest of the views that read it."""
        asked = [verdict for one in self.views.values() if (verdict := one.without_code) is not None]
        return max(asked, default=None)

    def inspect(self, frame: Frame) -> FrameResult:
        """Judge one frame of one view; of a view that the recipe does not name it is NOT_INSPECTED."""
        return self.judged(self.look(frame), frame)

    def look(self, frame: Frame) -> Look:
        """As `Pipeline.look`, of the frame's view."""
        pipeline = self.views.get(frame.camera)
        return Look(failure=VIEW_UNKNOWN, timings_ms={}) if pipeline is None else pipeline.look(frame)

    def judged(self, look: Look, frame: Frame) -> FrameResult:
        """As `Pipeline.judged`, of the frame's view."""
        pipeline = self.views.get(frame.camera)
        if pipeline is None:
            return FrameResult.not_inspected(frame, failure=VIEW_UNKNOWN)
        result = pipeline.judged(look, frame)
        # A unit has each of them once for each view: whose they are, their name says.
        measured = tuple(replace(one, name=f"{frame.camera}.{one.name}") for one in result.measurements)
        return replace(result, measurements=measured)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What was seen in a frame, wherever on the surface it may lie.

    seen_hw      px of the region of interest
    y_origin_mm  for which the edges are right; welds are from the frame's first row
    failure      error code of what kept it from being seen; the rest, but for code and measurements, says nothing then
    """

    timings_ms: dict[str, float]
    failure: str | None = None
    found: Detections = field(default_factory=Detections.none)
    seen_hw: tuple[int, int] = (0, 0)
    y_origin_mm: float = 0.0
    edges: tuple[EdgePoint, ...] = ()
    welds: tuple[Stretch, ...] = ()
    measured: tuple[Measurement, ...] = ()
    picture: Image | None = None
    code: CodeReading | None = None

    def edges_at(self, y_origin_mm: float) -> tuple[EdgePoint, ...]:
        moved_mm = y_origin_mm - self.y_origin_mm
        return tuple(replace(one, y_mm=one.y_mm + moved_mm) for one in self.edges) if moved_mm else self.edges

    def welds_at(self, y_origin_mm: float) -> tuple[Stretch, ...]:
        return tuple(
            Stretch(from_mm=y_origin_mm + one.from_mm, to_mm=y_origin_mm + one.to_mm) for one in self.welds
        )


def check_kind(pixels: Image, frame_wh_px: tuple[int, int | None] | None) -> None:
    """Raise ImageUnsuitable for what is no picture, or not one of the size that the recipe is for."""
    is_image = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if pixels.dtype != np.uint8 or not is_image or pixels.size == 0:
        raise _unsuitable("kind", f"{pixels.dtype} {pixels.shape}", "uint8 (h, w) or (h, w, 3)")
    if frame_wh_px is not None:
        height, width = pixels.shape[:2]
        asked = frame_wh_px[0], frame_wh_px[1] or height
        if (width, height) != asked:
            raise _unsuitable("size", f"{width} x {height} px", f"{asked[0]} x {frame_wh_px[1] or '…'} px")


def _unsuitable(reason: str, found: str, allowed: str) -> ImageUnsuitable:
    return ImageUnsuitable(
        f"The frame does not suit the recipe ({reason}): {found}, allowed {allowed}.",
        action="Set the camera as the recipe says, or calibrate again and change the recipe.",
        reason=reason,
        found=found,
        allowed=allowed,
    )


def detections_of(detector: Detector, image: Image) -> Detections:
    """What the detector finds. Raises DetectionsInvalid, DetectorFailed, and what of ours the detector raises."""
    found = _asked(detector.detect, image)
    if not isinstance(found, Detections):
        raise DetectorFailed(
            f"The detector answered with {type(found).__name__}.",
            action="The frame counts as not inspected. Report it: this detector is not made for this program.",
            reason=f"answer {type(found).__name__}",
        )
    check_finite(found)
    return found


def _asked(plugged_in: Callable[[Image], _Answer], image: Image) -> _Answer:
    """The answer of what others plug in, a detector or a sensor. Whatever it throws costs this frame, not the lane."""
    try:
        return plugged_in(image)
    except InspectionError:
        raise
    except Exception as error:
        logger.exception("A detector or sensor failed on a frame")
        raise DetectorFailed(
            f"The detector failed: {type(error).__name__}: {error}",
            action="The frame counts as not inspected. If this repeats, report it with the log.",
            reason=f"{type(error).__name__}: {error}",
        ) from error


def check_finite(found: Detections) -> None:
    """Raise DetectionsInvalid where a box or a score is no number: compared with a limit, it would pass."""
    sound = np.isfinite(found.xyxy).all(axis=1) & np.isfinite(found.score)
    if not sound.all():
        raise DetectionsInvalid(
            f"{np.count_nonzero(~sound)} of {len(found)} detections have no finite box or score.",
            action="The frame counts as not inspected. If this repeats, install the model again from its release.",
            invalid=int(np.count_nonzero(~sound)),
            found=len(found),
        )


class Laps:
    """Milliseconds per step, in the order they were taken."""

    def __init__(self, before: Mapping[str, float] | None = None) -> None:
        self.ms: dict[str, float] = dict(before or {})
        self._last = perf_counter()

    def mark(self, step: str) -> None:
        now = perf_counter()
        self.ms[step] = round((now - self._last) * 1000, 3)
        self._last = now
