"""Two shifts of history for the demo, so that its charts have something to show from the first minute.

Nothing of it was inspected: units, times and refusals come from a seed, and the pictures of refused units are
drawings with the defects they were drawn with. Every record says `simulated`, and so does every page.

Four things happened in it, for a quality engineer to find (docs/statistics.md says how):

* the strip grew wider in the tenth hour: the process moved;
* another model judged the parts from the seventh hour on, more sensitive and less specific: only the inspection moved;
* a roll of the mill had a mark for an hour and a half;
* one of eight lots of blanks, which came in by turns, was bad.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import pi
from typing import Final

import cv2
import numpy as np
from uuid_utils.compat import uuid7

from inspection.types import (
    Box,
    Defect,
    Inspection,
    Measurement,
    ModelRef,
    PictureRef,
    Repeat,
    Strip,
    Surface,
    Verdict,
)
from inspection.vision.drawing import Drawing, StripDrawing, draw_part
from station_config import LaneSettings, Recipe, StationSettings, load_recipe
from station_config.schema import DetectorSettings
from traceability import gauge_studies
from traceability.identifiers import Minter
from traceability.images import ImageStore
from traceability.samples import Shifts, shift_at
from traceability.steps import ProcessStep, record_steps
from traceability.store import TraceStore

TAKT_S: Final = {"coil": 300.0, "part": 30.0}

HOUR: Final = timedelta(hours=1)

WIDTH_MM: Final = (398.0, 0.12)
SHIFT_HOUR: Final = 9
SHIFT_MM: Final = 0.35

OLD_MODEL, NEW_MODEL = "1.0.0", "1.1.0-trial"
MODEL_HOUR: Final = 6
RATES: Final = {OLD_MODEL: (0.92, 0.99), NEW_MODEL: (0.97, 0.85)}
"""Sensitivity and specificity of each."""
PROVEN_ON: Final = (100, 400)
"""Bad and good parts of the audit behind them."""

SEEN_HALF_MM: Final = 1.2
"""Of defects of this size every other one is found."""

USUAL_SHARE: Final = 0.015
BAD_SHARE: Final = 0.20
LOTS: Final = tuple(f"BLANKS-26-{number}" for number in range(401, 409))
BAD_LOT: Final = LOTS[6]

STRIP_SHARE: Final = 0.06
MARK_HOURS: Final = (3.0, 4.5)
ROLLS: Final = {"WR-117": 100.0, "WR-118": 112.0, "BR-031": 240.0}
MARKED_ROLL: Final = "WR-117"
MARK_X_MM: Final = 130.0

DRAWN: Final = 32
"""So many pictures of refused units are drawn for each lane, and used in turn."""


def simulate_shifts(store: TraceStore, images: ImageStore, station: StationSettings, *, seed: int) -> int:
    """Record two whole shifts before the present one, once. Returns how many inspections were new."""
    if store.latest(simulated=True, limit=1):
        return 0
    end = shift_at(datetime.now(UTC), Shifts()).since
    start = shift_at(end - timedelta(seconds=1), Shifts()).since
    start = shift_at(start - timedelta(seconds=1), Shifts()).since
    minter = Minter(station.code_prefix, started_at=start)
    inspections: list[Inspection] = []
    steps: list[ProcessStep] = []
    for number, lane in enumerate(station.lanes):
        made = _Lane(
            station=station.name,
            lane=lane,
            images=images,
            minter=minter,
            random=np.random.default_rng((seed, number)),
            recipe=load_recipe(lane.recipe),
            start=start,
            end=end,
        )
        of_lane = list(made.coils() if lane.unit.kind == "coil" else made.parts())
        inspections += of_lane
        steps += made.steps
    _studies(store, station, start)
    record_steps(store, steps)
    # All at once: half a history would be taken for a whole one at the next start.
    return store.record(inspections)


def _studies(store: TraceStore, station: StationSettings, at: datetime) -> None:
    """What both models of the parts' lanes were proven to see, before they were used."""
    bad, good = PROVEN_ON
    for lane in station.lanes:
        if lane.unit.kind != "part":
            continue
        name, _ = _model_of(load_recipe(lane.recipe))
        for version, (sensitivity, specificity) in RATES.items():
            gauge_studies.record(
                store,
                kind="accuracy",
                characteristic=lane.name,
                model=f"{name} {version}",
                readings={
                    "bad_parts": bad,
                    "bad_rejected": round(bad * sensitivity),
                    "good_parts": good,
                    "good_passed": round(good * specificity),
                },
                at=at,
                by=None,
                simulated=True,
            )
        random = np.random.default_rng(len(name))
        sizes = np.round(np.geomspace(0.4, 8.0, PROVEN_ON[0]), 2)
        gauge_studies.record(
            store,
            kind="hit_miss",
            characteristic=lane.name,
            model=f"{name} {NEW_MODEL}",
            readings={
                "size": sizes.tolist(),
                "hit": (random.random(sizes.size) < 1 / (1 + (SEEN_HALF_MM / sizes) ** 4))
                .astype(int)
                .tolist(),
            },
            at=at,
            by=None,
            simulated=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lane:
    station: str
    lane: LaneSettings
    images: ImageStore
    minter: Minter
    random: np.random.Generator
    recipe: Recipe
    start: datetime
    end: datetime
    steps: list[ProcessStep] = field(default_factory=list)

    def _times(self) -> Iterator[tuple[datetime, float]]:
        """When each unit was finished, and how many hours after the start."""
        takt = timedelta(seconds=TAKT_S[self.lane.unit.kind])
        at = self.start
        while (at := at + takt) < self.end:
            yield at, (at - self.start) / HOUR

    def _drawings(self) -> list[tuple[Drawing, PictureRef]]:
        drawn = [_defective(self.lane, int(self.random.integers(2**31))) for _ in range(DRAWN)]
        return [(one, _picture(one, self.lane.camera_name, self.images)) for one in drawn]

    def parts(self) -> Iterator[Inspection]:
        drawings = self._drawings()
        recipe = self.recipe
        surface = recipe.settings.surface.surface()
        pressed: dict[tuple[int, str], list[Inspection]] = {}
        for number, (at, hour) in enumerate(self._times()):
            version = NEW_MODEL if hour >= MODEL_HOUR else OLD_MODEL
            lot = LOTS[number % len(LOTS)]
            is_bad = self.random.random() < (BAD_SHARE if lot == BAD_LOT else USUAL_SHARE)
            sensitivity, specificity = RATES[version]
            is_refused = self.random.random() < (sensitivity if is_bad else 1 - specificity)
            seen = self._inspection(
                at,
                models=(_model(_model_of(recipe)[0], version),),
                drawn=drawings[number % DRAWN] if is_refused else None,
                surface=surface,
                measurements=(
                    _measured("outer diameter", self.random.normal(84.02, 0.04)),
                    _measured("bore", self.random.normal(22.99, 0.025)),
                    *self._picture_health(86.0, 2.3),
                ),
            )
            pressed.setdefault((int(hour), lot), []).append(seen)
            yield seen
        for (_, lot), units in sorted(pressed.items()):
            self.steps.append(
                ProcessStep(
                    id=uuid7(),
                    kind="press",
                    equipment="press 2",
                    started_at=units[0].started_at,
                    finished_at=units[-1].finished_at,
                    materials=(lot,),
                    units_out=tuple(one.unit for one in units),
                )
            )

    def coils(self) -> Iterator[Inspection]:
        drawings = self._drawings()
        recipe = self.recipe
        surface = recipe.settings.surface.surface()
        frame_mm = drawings[0][0].pixels.shape[0] * (surface.y_mm_per_px or 1.0)
        rolled: dict[int, list[Inspection]] = {}
        for number, (at, hour) in enumerate(self._times()):
            is_marked = MARK_HOURS[0] <= hour < MARK_HOURS[1]
            marks = self._marks(frame_mm, surface) if is_marked else ()
            is_refused = bool(marks) or self.random.random() < STRIP_SHARE
            width = self.random.normal(*WIDTH_MM) + (SHIFT_MM if hour >= SHIFT_HOUR else 0.0)
            seen = self._inspection(
                at,
                models=(_model(*_model_of(recipe)),),
                drawn=drawings[number % DRAWN] if is_refused else None,
                surface=surface,
                measurements=(_measured("width", width), *self._picture_health(128.0, 1.9)),
                marks=marks,
                strip=Strip(
                    length_mm=self.lane.exposures * frame_mm,
                    x_from_mm=0.0,
                    x_to_mm=drawings[0][0].pixels.shape[1] * (surface.x_mm_per_px or 1.0),
                    head=None,
                    tail=None,
                    unseen=(),
                    edges=(),
                    repeats=_repeats(marks),
                ),
            )
            rolled.setdefault(int(hour), []).append(seen)
            yield seen
        for units in rolled.values():
            self.steps.append(
                ProcessStep(
                    id=uuid7(),
                    kind="roll",
                    equipment="mill stand 6",
                    started_at=units[0].started_at,
                    finished_at=units[-1].finished_at,
                    tools=tuple(ROLLS),
                    parameters={f"diameter_mm {roll}": size for roll, size in ROLLS.items()},
                    units_out=tuple(one.unit for one in units),
                )
            )

    def _picture_health(self, mean: float, blur_px: float) -> tuple[Measurement, ...]:
        return (
            Measurement(name="image_mean", value=round(self.random.normal(mean, 0.8), 2), unit="DN"),
            Measurement(
                name="image_blur_across", value=round(self.random.normal(blur_px, 0.06), 3), unit="px"
            ),
        )

    def _marks(self, frame_mm: float, surface: Surface) -> tuple[Defect, ...]:
        """One a turn of the roll, from the second frame on: the first frame's picture does not show one."""
        period = pi * ROLLS[MARKED_ROLL]
        x_scale, y_scale = surface.x_mm_per_px or 1.0, surface.y_mm_per_px or 1.0
        y = frame_mm + self.random.uniform(0, period)
        found = []
        while y < (self.lane.exposures - 0.1) * frame_mm:
            x, near = MARK_X_MM + self.random.normal(0, 0.4), y + self.random.normal(0, 0.4)
            frame = int(near // frame_mm)
            top = min(near - frame * frame_mm, frame_mm - 4.0)
            found.append(
                Defect(
                    kind="pits",
                    score=0.9,
                    box_px=Box((x - 2) / x_scale, top / y_scale, (x + 2) / x_scale, (top + 4) / y_scale),
                    box_mm=Box(x - 2, near, x + 2, near + 4),
                    camera=self.lane.camera_name,
                    sequence=frame,
                )
            )
            y += period
        return tuple(found)

    def _inspection(
        self,
        at: datetime,
        *,
        models: tuple[ModelRef, ...],
        drawn: tuple[Drawing, PictureRef] | None,
        surface: Surface,
        measurements: tuple[Measurement, ...],
        marks: tuple[Defect, ...] = (),
        strip: Strip | None = None,
    ) -> Inspection:
        lane = self.lane
        return Inspection(
            id=uuid7(),
            unit=self.minter.mint(f"SIM-{lane.unit.kind.upper()}"),
            station=self.station,
            lane=lane.name,
            recipe=self.recipe.ref,
            models=models,
            started_at=at - timedelta(seconds=TAKT_S[lane.unit.kind]) / 2,
            finished_at=at,
            verdict=Verdict.ACCEPT if drawn is None else Verdict.REJECT,
            defects=() if drawn is None else _defects(drawn[0], lane.camera_name, surface) + marks,
            measurements=measurements,
            triggers=lane.exposures,
            frames_inspected=lane.exposures,
            frames_failed=0,
            frames_lost=0,
            failures={},
            pictures=() if drawn is None else (drawn[1],),
            simulated=True,
            strip=strip,
        )


def _model_of(recipe: Recipe) -> tuple[str, str]:
    """Name and version of the model that a recipe's lane looks with; of one without, made-up ones."""
    detector = recipe.settings.detector
    if isinstance(detector, DetectorSettings):
        return detector.model, detector.version or OLD_MODEL
    return recipe.settings.name, OLD_MODEL


def _model(name: str, version: str) -> ModelRef:
    # A digest that belongs to no file: nothing of this was looked at by a model.
    return ModelRef(
        name=name, version=version, sha256=sha256(f"simulated {name} {version}".encode()).hexdigest()
    )


def _measured(name: str, value: float) -> Measurement:
    return Measurement(name=name, value=round(float(value), 3), unit="mm")


def _repeats(marks: tuple[Defect, ...]) -> tuple[Repeat, ...]:
    places = [mark.box_mm.y1 for mark in marks if mark.box_mm is not None]
    if len(places) < 2:
        return ()
    steps = np.diff(places)
    return (
        Repeat(
            kind=marks[0].kind,
            x_mm=MARK_X_MM,
            period_mm=round(float(steps.mean()), 2),
            period_error_mm=round(float(steps.std(ddof=1) / len(steps) ** 0.5), 2) if len(steps) > 1 else 0.5,
            first_mm=places[0],
            last_mm=places[-1],
            hits=len(places),
            missed=0,
            chance=1e-6,
        ),
    )


def _defective(lane: LaneSettings, seed: int) -> Drawing:
    if lane.unit.kind == "part":
        return draw_part(seed, 0, defective=True)
    strip = StripDrawing(seed, defects_per_megapixel=6.0)
    frames = (strip.frame(index) for index in range(1000))
    return next(drawing for drawing in frames if drawing.truth)


def _defects(drawing: Drawing, camera: str, surface: Surface) -> tuple[Defect, ...]:
    x_scale, y_scale = surface.x_mm_per_px, surface.y_mm_per_px
    return tuple(
        Defect(
            kind=drawn.kind,
            score=1.0,
            box_px=drawn.box_px,
            box_mm=None
            if x_scale is None or y_scale is None
            else Box(
                drawn.box_px.x1 * x_scale,
                drawn.box_px.y1 * y_scale,
                drawn.box_px.x2 * x_scale,
                drawn.box_px.y2 * y_scale,
            ),
            camera=camera,
            sequence=0,
        )
        for drawn in drawing.truth
    )


def _picture(drawing: Drawing, camera: str, images: ImageStore) -> PictureRef:
    height, width = drawing.pixels.shape[:2]
    jpeg = cv2.imencode(".jpg", drawing.pixels, (cv2.IMWRITE_JPEG_QUALITY, 88))[1].tobytes()
    return PictureRef(sha256=images.put(jpeg), camera=camera, sequence=0, width_px=width, height_px=height)
