"""The station's wiring: settings to lanes. The only place where the packages meet."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from inspection.pipeline import Pipeline
from inspection.protocols import Detector, Sink
from inspection.types import ModelRef
from inspection.vision.edges import StripEdges
from models import open_detector
from services.station.budget import WithinBudget
from services.station.lane import Lane, ReadyRecipe
from services.station.units import CountedUnits
from station_config import LaneSettings, Recipe, StationSettings, load_recipe
from traceability.identifiers import Minter


def build_lane(
    station: StationSettings,
    lane: LaneSettings,
    *,
    minter: Minter,
    sinks: Sequence[Sink],
    stop: threading.Event,
) -> Lane:
    """A lane ready to run: its recipe read, its model checked, loaded and warm. Raises CFG- and MOD- errors."""
    return Lane(
        name=lane.name,
        station=station.name,
        recipe=build_recipe(load_recipe(lane.recipe)),
        holds=lane.frames_held,
        units=partial(CountedUnits, lane.unit.frames, partial(minter.mint, lane.unit.kind.upper())),
        sinks=sinks,
        stop=stop,
    )


def build_recipe(recipe: Recipe) -> ReadyRecipe:
    """A recipe built and warm. Raises MOD- errors."""
    pipeline, model = build_pipeline(recipe)
    asked = recipe.settings.detector
    watched = WithinBudget(
        pipeline.detector,
        again=partial(open_detector, asked.model, version=model.version, threads=1),
        budget_ms=asked.budget_ms,
    )
    pipeline = replace(pipeline, detector=watched)
    strip = recipe.settings.strip
    return ReadyRecipe(
        ref=recipe.ref,
        models=(model,),
        pipeline=pipeline,
        grades=recipe.settings.graded_by(),
        strip=None if strip is None else strip.rules(pipeline.surface),
    )


def build_pipeline(
    recipe: Recipe, *, threads: int = 1, min_score: float | None = None
) -> tuple[Pipeline, ModelRef]:
    """What a recipe's frames go through, and the model that looks.

    threads    of the network: one where lanes run beside each other, all cores where pictures come in a row
    min_score  stands in for the model card's thresholds of all kinds
    """
    settings = recipe.settings
    surface = settings.surface.surface()
    opened = open_detector(
        settings.detector.model, version=settings.detector.version, threads=threads, min_score=min_score
    )
    detector: Detector = opened
    return (
        Pipeline(
            detector=detector,
            surface=surface,
            frame_wh_px=settings.surface.frame_wh_px(),
            limits=settings.judged_by(),
            roi_px=None if settings.roi_px is None else settings.roi_px.box(),
            part=None if settings.part is None else settings.part.outline(),
            edges=StripEdges(surface=surface)
            if settings.strip is not None and settings.strip.edges
            else None,
        ),
        opened.ref,
    )
