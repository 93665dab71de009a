"""The station's wiring: settings to lanes. The only place where the packages meet."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import cv2
import numpy as np

from cameras import open_camera
from cameras.views import SeveralViews
from inspection.joining import SeveralDetectors
from inspection.pipeline import Pipeline, ViewPipelines
from inspection.protocols import Camera, Detector, Sink
from inspection.types import Box, ModelRef
from inspection.vision.correction import FlatField, crop
from inspection.vision.decoding import decode_image
from inspection.vision.edges import StripEdges
from inspection.vision.golden import GoldenPrint
from inspection.vision.welds import WeldFinder
from models import open_detector
from models.in_force import IN_FORCE, ModelsInForce
from models.screens import open_screen, put_before
from models.store import plant_folder
from services.station.budget import WithinBudget
from services.station.cores import workers_of
from services.station.lane import Lane, ReadyRecipe
from services.station.pace import Paced, pace_file
from services.station.shadow import Shadowed, tally_file
from services.station.units import CountedUnits
from station_config import LaneSettings, Recipe, StationSettings, load_recipe
from station_config.errors import ConfigInvalid
from station_config.schema import DetectorSettings, FlatFieldSettings, GoldenDetectorSettings
from traceability.identifiers import Minter, parse


def build_lane(
    station: StationSettings,
    lane: LaneSettings,
    *,
    minter: Minter,
    sinks: Sequence[Sink],
    stop: threading.Event,
) -> Lane:
    """A lane ready to run: its recipe read, its model checked, loaded and warm. Raises CFG- and MOD- errors."""
    recipe = build_recipe(load_recipe(lane.recipe), workers=workers_of(station, lane))
    if set(recipe.views) != set(lane.cameras):
        raise ConfigInvalid(
            f"The lane {lane.name} has the cameras {', '.join(lane.cameras) or 'of one view'}, "
            f"its recipe {lane.recipe} the views {', '.join(recipe.views) or 'of one camera'}.",
            action="Give the lane one camera for each of the recipe's views, by the same names.",
            file=f"stations: {station.name}",
            count=1,
            mistakes=f"  • lanes.{lane.name}.cameras: {', '.join(lane.cameras) or '–'} ≠ "
            f"recipes/{lane.recipe} views: {', '.join(recipe.views) or '–'}",
        )
    return Lane(
        name=lane.name,
        station=station.name,
        recipe=recipe,
        holds=lane.frames_held,
        units=partial(CountedUnits, lane.exposures, partial(minter.mint, lane.unit.kind.upper())),
        sinks=sinks,
        stop=stop,
    )


def open_cameras(lane: LaneSettings) -> Camera:
    """The lane's camera, or its cameras as one; not yet started. Raises as `open_camera`."""
    if lane.camera is not None:
        return open_camera(lane.camera_name, lane.camera)
    return SeveralViews(
        {view: open_camera(view, camera) for view, camera in lane.cameras.items()},
        within_s=lane.views_within_ms / 1000,
        late_s=lane.views_late_ms / 1000,
    )


def build_recipe(recipe: Recipe, *, workers: int = 1) -> ReadyRecipe:
    """A recipe built and warm, for so many workers, each with network sessions of its own. Raises MOD- errors."""
    (pipeline, models), *beside = (build_pipeline(recipe, watched=True) for _ in range(workers))
    settings = recipe.settings
    return ReadyRecipe(
        ref=recipe.ref,
        models=models,
        pipeline=pipeline,
        beside=tuple(one for one, _ in beside),
        grades=settings.graded_by(),
        strip=None if settings.strip is None else settings.strip.rules(settings.surface.surface()),
        views=tuple(view.name for view in settings.views),
    )


def build_pipeline(
    recipe: Recipe,
    *,
    threads: int = 1,
    min_score: float | None = None,
    watched: bool = False,
    versions: Mapping[str, str] | None = None,
) -> tuple[Pipeline | ViewPipelines, tuple[ModelRef, ...]]:
    """What a recipe's frames go through, and the models that look, each once.

    threads    of a network: one where lanes run beside each other, all cores where pictures come in a row
    min_score  stands in for the thresholds of all kinds on the models' cards
    versions   of models by their names, in place of those that the recipe names; of others the recipe's stand
    watched    a detector that does not answer within its budget costs the frame and is given up for another
    """
    open_one = partial(_detector, files=recipe.files, threads=threads, min_score=min_score, watched=watched)
    settings = recipe.settings
    limits = settings.judged_by()
    models: dict[ModelRef, None] = {}
    pipelines: dict[str | None, Pipeline] = {}
    for name, view in settings.seen_by.items():
        opened = [open_one(_of_versions(asked, versions or {})) for asked in view.all_detectors]
        models |= {ref: None for _, refs in opened for ref in refs}
        detectors = [detector for detector, _ in opened]
        surface = view.surface.surface()
        roi_px = None if view.roi_px is None else view.roi_px.box()
        pipelines[name] = Pipeline(
            detector=detectors[0] if len(detectors) == 1 else SeveralDetectors(detectors),
            surface=surface,
            frame_wh_px=view.surface.frame_wh_px(),
            limits=limits,
            flat_field=_flat_field(view.flat_field, recipe.files, roi_px),
            roi_px=roi_px,
            sensor=None if view.sensor is None else view.sensor.sensor(surface, recipe.files),
            health=None if view.health is None else view.health.watch(),
            part=None if view.part is None else view.part.part(recipe.files),
            code=None if view.code is None else view.code.code(parse),
            edges=StripEdges(surface=surface)
            if settings.strip is not None and settings.strip.edges
            else None,
            welds=WeldFinder(surface=surface, longest_mm=settings.strip.welds.longest_mm)
            if settings.strip is not None and settings.strip.welds is not None
            else None,
        )
    if not settings.views:
        return pipelines[None], tuple(models)
    named = {name: pipeline for name, pipeline in pipelines.items() if name is not None}
    return ViewPipelines(views=named, limits=limits), tuple(models)


def _of_versions(
    asked: DetectorSettings | GoldenDetectorSettings, versions: Mapping[str, str]
) -> DetectorSettings | GoldenDetectorSettings:
    known = isinstance(asked, DetectorSettings) and asked.model in versions
    return asked.pinned(versions) if known and isinstance(asked, DetectorSettings) else asked


def _detector(
    asked: DetectorSettings | GoldenDetectorSettings,
    *,
    files: Mapping[str, bytes],
    threads: int,
    min_score: float | None,
    watched: bool,
) -> tuple[Detector, tuple[ModelRef, ...]]:
    """A detector, and the models it runs."""
    again: Callable[[], Detector]
    detector: Detector
    refs: tuple[ModelRef, ...]
    if isinstance(asked, GoldenDetectorSettings):
        golden = decode_image(files[asked.golden.file])
        if golden.ndim == 3:
            golden = np.asarray(cv2.cvtColor(golden, cv2.COLOR_BGR2GRAY), np.uint8)
        how = asked.golden.model_dump(exclude={"file", "sha256"})
        again = partial(GoldenPrint, golden=golden, **how)
        detector, refs = again(), ()
    else:
        detector, refs = _network(asked, threads=threads, min_score=min_score, helped=watched)
        # The same versions again, whatever is released meanwhile.
        pinned = asked.pinned({ref.name: ref.version for ref in refs})
        again = partial(_once_more, pinned, threads=threads, min_score=min_score)
    if not watched:
        return detector, refs
    watching = WithinBudget(detector, again=again, budget_ms=asked.budget_ms)
    if isinstance(asked, GoldenDetectorSettings) or asked.version != IN_FORCE:
        return watching, refs
    return _looked_on(watching, asked, refs[0].version), refs


def _looked_on(detector: Detector, asked: DetectorSettings, version: str) -> Detector:
    """With its times taken, and the candidate beside it, where there is one."""
    plant = plant_folder()
    in_force = Paced(detector, pace_file(plant, asked.model, version))
    candidate = ModelsInForce(plant).beside(asked.model)
    if candidate is None:
        return in_force
    opened = asked.model_copy(update={"version": candidate, "screen": None})
    return Shadowed(
        in_force,
        lambda: _network(opened, threads=1, min_score=None)[0],
        tally_file(plant, asked.model, candidate),
    )


def _network(
    asked: DetectorSettings, *, threads: int, min_score: float | None, helped: bool = False
) -> tuple[Detector, tuple[ModelRef, ...]]:
    """A network, and what screens for it. Who asks for other scores wants to see all there is: then nothing does.

    helped  where another core may be idle, it takes every other of the tiles that stand out: a picture with many takes
            half as long
    """
    open_one = partial(open_detector, asked.model, threads=threads, min_score=min_score, looks=asked.looks)
    network = open_one(version=asked.version)
    if asked.screen is None or min_score is not None:
        return network, (network.ref,)
    screen = open_screen(asked.screen.model, version=asked.screen.version, before=network.ref)
    screened = put_before(
        screen,
        network,
        network.ref,
        most_tiles=asked.screen.most_tiles,
        quiet_share=asked.screen.quiet_share,
        beside=open_one(version=network.ref.version) if helped and len(os.sched_getaffinity(0)) > 1 else None,
    )
    return screened, (network.ref, screen.card.ref)


def _once_more(asked: DetectorSettings, *, threads: int, min_score: float | None) -> Detector:
    """In the place of one that hangs."""
    return _network(asked, threads=threads, min_score=min_score, helped=True)[0]


def _flat_field(asked: FlatFieldSettings | None, files: Mapping[str, bytes], roi_px: Box | None) -> FlatField:
    """From a picture of the whole frame; the region of interest is what is corrected."""
    if asked is None:
        return FlatField()
    blank = decode_image(files[asked.file])
    if blank.ndim == 3:
        blank = np.asarray(cv2.cvtColor(blank, cv2.COLOR_BGR2GRAY), np.uint8)
    return FlatField.from_blank(crop(blank, roi_px), per_column=asked.per_column)
