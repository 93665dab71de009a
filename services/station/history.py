"""Two shifts of history for the demo, so that its chart has something to show from the first minute.

Nothing of it was inspected: units, times and refusals come from a seed, and the pictures of refused units are
drawings with the defects they were drawn with. Every record says `simulated`, and so does every page.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import cv2
import numpy as np
from uuid_utils.compat import uuid7

from inspection.types import Box, Defect, Inspection, PictureRef, Surface, Verdict
from inspection.vision.drawing import Drawing, StripDrawing, draw_part
from station_config import LaneSettings, StationSettings, load_recipe
from traceability.identifiers import Minter
from traceability.images import ImageStore
from traceability.samples import Shifts, shift_at
from traceability.store import TraceStore

TAKT_S: Final = {"coil": 300.0, "part": 45.0}

USUAL_SHARE: Final = 0.06
BAD_HOUR: Final = 11
BAD_SHARE: Final = 0.22
"""In the eleventh of the sixteen hours something went wrong: the chart is to have a signal to follow."""


def simulate_shifts(store: TraceStore, images: ImageStore, station: StationSettings, *, seed: int) -> int:
    """Record two whole shifts before the present one, once. Returns how many inspections were new."""
    if store.latest(simulated=True, limit=1):
        return 0
    end = shift_at(datetime.now(UTC), Shifts()).since
    start = shift_at(end - timedelta(seconds=1), Shifts()).since
    start = shift_at(start - timedelta(seconds=1), Shifts()).since
    minter = Minter(station.code_prefix, started_at=start)
    inspections: list[Inspection] = []
    for number, lane in enumerate(station.lanes):
        random = np.random.default_rng((seed, number))
        inspections += _units(images, station, lane, minter, random, start, end)
    # All at once: half a history would be taken for a whole one at the next start.
    return store.record(inspections)


def _units(
    images: ImageStore,
    station: StationSettings,
    lane: LaneSettings,
    minter: Minter,
    random: np.random.Generator,
    start: datetime,
    end: datetime,
) -> Iterator[Inspection]:
    recipe = load_recipe(lane.recipe)
    surface = recipe.settings.surface.surface()
    takt = timedelta(seconds=TAKT_S[lane.unit.kind])
    at = start
    while (at := at + takt) < end:
        hour = int((at - start) / timedelta(hours=1))
        is_bad = random.random() < (BAD_SHARE if hour == BAD_HOUR else USUAL_SHARE)
        defects: tuple[Defect, ...] = ()
        pictures: tuple[PictureRef, ...] = ()
        if is_bad:
            drawing = _defective(lane, int(random.integers(2**31)))
            defects = _defects(drawing, lane.camera_name, surface)
            pictures = (_picture(drawing, lane.camera_name, images),)
        yield Inspection(
            id=uuid7(),
            unit=minter.mint(f"SIM-{lane.unit.kind.upper()}"),
            station=station.name,
            lane=lane.name,
            recipe=recipe.ref,
            models=(),
            started_at=at - takt / 2,
            finished_at=at,
            verdict=Verdict.REJECT if is_bad else Verdict.ACCEPT,
            defects=defects,
            measurements=(),
            triggers=lane.exposures,
            frames_inspected=lane.exposures,
            frames_failed=0,
            frames_lost=0,
            failures={},
            pictures=pictures,
            simulated=True,
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
