"""Judge a stored inspection again from what its record names, or name what is not as it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from inspection.errors import InspectionError
from inspection.pipeline import Pipeline, ViewPipelines
from inspection.tally import FRAME_LOST, UnitTally
from inspection.types import (
    Box,
    Defect,
    Frame,
    FrameResult,
    Inspection,
    InspectionBegun,
    ModelRef,
    PictureRef,
    RecipeRef,
    Verdict,
)
from inspection.vision.decoding import decode_image
from services.ingredients import software_differs
from services.station.build import build_pipeline
from station_config import Recipe, load_recipe
from station_config.base import FileSettings
from station_config.loading import recipe_of
from traceability.images import ImageStore
from traceability.store import FILES_LANE

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""No clock reaches a verdict of a single frame."""

SAME_PX: Final = 0.5
SAME_SCORE: Final = 0.01
"""Two processors add in another order: a box or a score may differ by this much and be the same defect."""

What = Literal["simulated", "recipe", "calibration", "model", "picture", "picture_inexact", "software"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An ingredient that is not what the record names. `facts` say which, as `replay.<what>` of the texts asks."""

    what: What
    facts: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became of it.

    due      frames of the unit, those lost left out
    again    frames that were judged again from their very pixels
    unlike   of those, by camera and sequence, where other defects were found, or the frame was judged when it was not
    verdict  of the unit, judged again; None where not all of its frames could be
    """

    inspection: Inspection
    due: int
    again: int
    unlike: tuple[tuple[str, int], ...]
    verdict: Verdict | None
    differences: tuple[Difference, ...]

    @property
    def is_same(self) -> bool:
        """All was judged again, and came out as it is on record."""
        return self.verdict is self.inspection.verdict and not self.unlike


def replay(images: ImageStore, inspection: Inspection, *, recipe_file: str | None = None) -> Replayed:
    """Judge it again.

    images       has its pictures, and its recipe and files as they were
    recipe_file  where the recipe is, if it was not kept there
    """
    differences: list[Difference] = []
    verdict: Verdict | None = None
    again: list[FrameResult] = []
    if inspection.simulated:
        differences.append(Difference(what="simulated", facts={}))
    else:
        recipe = _recipe(images, inspection, recipe_file, differences)
        pipeline = None if recipe is None else _pipeline(recipe, inspection, differences)
        pictures = _pictures(images, inspection, differences)
        _software(images, inspection, differences)
        if recipe is not None and pipeline is not None:
            again = [_judged(pipeline, picture, data) for picture, data in pictures]
            if len(again) == _due(inspection):
                verdict = _unit(recipe, pipeline, inspection, again)
    return Replayed(
        inspection=inspection,
        due=_due(inspection),
        again=len(again),
        unlike=tuple((one.camera, one.sequence) for one in again if not _is_like(one, inspection)),
        verdict=verdict,
        differences=tuple(differences),
    )


def _due(inspection: Inspection) -> int:
    return inspection.frames_inspected + inspection.frames_failed


def kept_recipe(images: ImageStore, ref: RecipeRef, text: bytes) -> Recipe:
    """The recipe that a record names, of which the text and what it needs are kept beside the pictures.

    Raises ConfigSyntax, ConfigInvalid.
    """

    def kept(needed: FileSettings) -> bytes:
        try:
            return images.read(needed.sha256)
        except InspectionError as error:
            raise FileNotFoundError(2, error.what) from error

    return recipe_of(text, Path(f"{ref.name}.toml"), beside=kept)


def _recipe(
    images: ImageStore, inspection: Inspection, file: str | None, differences: list[Difference]
) -> Recipe | None:
    wanted, found = inspection.recipe, "-"
    try:
        text = images.read(wanted.sha256)
    except InspectionError:
        pass
    else:
        try:
            return kept_recipe(images, wanted, text)
        except InspectionError as error:
            differences.append(Difference(what="calibration", facts={"reason": error.what}))
            return None
    try:
        recipe = load_recipe(file or wanted.name)
        if recipe.ref.sha256 == wanted.sha256:
            return recipe
        found = f"{recipe.ref.name} {recipe.ref.revision}, {recipe.ref.sha256}"
    except InspectionError as error:
        found = error.what
    facts = {"name": wanted.name, "recorded": f"{wanted.revision}, {wanted.sha256}", "found": found}
    differences.append(Difference(what="recipe", facts=facts))
    return None


def _pipeline(
    recipe: Recipe, inspection: Inspection, differences: list[Difference]
) -> Pipeline | ViewPipelines | None:
    versions = {model.name: model.version for model in inspection.models}
    try:
        pipeline, models = build_pipeline(recipe, versions=versions)
    except InspectionError as error:
        facts = {"recorded": _named(inspection.models), "found": error.what}
        differences.append(Difference(what="model", facts=facts))
        return None
    if set(models) == set(inspection.models):
        return pipeline
    facts = {
        "recorded": _named(set(inspection.models) - set(models)),
        "found": _named(set(models) - set(inspection.models)),
    }
    differences.append(Difference(what="model", facts=facts))
    return None


def _named(models: Iterable[ModelRef]) -> str:
    return "; ".join(sorted(f"{one.name} {one.version}, {one.sha256}" for one in models)) or "-"


def _pictures(
    images: ImageStore, inspection: Inspection, differences: list[Difference]
) -> list[tuple[PictureRef, bytes]]:
    """Those that have the very pixels that were judged."""
    kept: list[tuple[PictureRef, bytes]] = []
    for picture in inspection.pictures:
        where = {"camera": picture.camera, "sequence": str(picture.sequence), "sha256": picture.sha256}
        if not picture.is_exact:
            differences.append(Difference(what="picture_inexact", facts=where))
            continue
        try:
            kept.append((picture, images.read(picture.sha256)))
        except InspectionError as error:
            differences.append(Difference(what="picture", facts={**where, "reason": error.what}))
    return kept


def _software(images: ImageStore, inspection: Inspection, differences: list[Difference]) -> None:
    if inspection.software is None:
        facts = {"name": "-", "recorded": "-", "found": "-"}
        differences.append(Difference(what="software", facts=facts))
        return
    try:
        statement = images.read(inspection.software)
    except InspectionError:
        facts = {"name": "SHA-256", "recorded": inspection.software, "found": "-"}
        differences.append(Difference(what="software", facts=facts))
        return
    for name, (then, now) in software_differs(statement).items():
        facts = {"name": name, "recorded": then, "found": now}
        differences.append(Difference(what="software", facts=facts))


def _judged(pipeline: Pipeline | ViewPipelines, picture: PictureRef, data: bytes) -> FrameResult:
    return pipeline.inspect(
        Frame(
            pixels=decode_image(data),
            camera=picture.camera,
            sequence=picture.sequence,
            captured_at=_EPOCH,
            y_origin_mm=picture.y_origin_mm,
        )
    )


def _unit(
    recipe: Recipe, pipeline: Pipeline | ViewPipelines, inspection: Inspection, again: Sequence[FrameResult]
) -> Verdict:
    """All frames of the unit made into one again, as the station does it, or the command for pictures in files."""
    settings = recipe.settings
    is_of_files = inspection.lane == FILES_LANE
    tally = UnitTally(
        InspectionBegun(
            id=inspection.id,
            unit=inspection.unit,
            station=inspection.station,
            lane=inspection.lane,
            recipe=inspection.recipe,
            models=inspection.models,
            started_at=inspection.started_at,
        ),
        pipeline.limits,
        grades=() if is_of_files else settings.graded_by(),
        strip=None
        if is_of_files or settings.strip is None
        else settings.strip.rules(settings.surface.surface()),
        views=tuple(view.name for view in settings.views),
        without_code=pipeline.without_code,
    )
    for number, one in enumerate(again):
        tally.due(number)
        tally.add(one)
    for number in range(inspection.frames_lost):
        tally.due(len(again) + number)
        tally.lost(1, reason=FRAME_LOST)
    return tally.close(inspection.finished_at).verdict


def _is_like(again: FrameResult, inspection: Inspection) -> bool:
    """Whether the frame shows the defects that are on record for it, and was judged if it was judged then."""
    recorded = [
        (one, box)
        for one in inspection.defects
        if (box := one.box_in(again.camera, again.sequence)) is not None
    ]
    if again.failure is not None:
        return again.failure in inspection.failures
    if len(recorded) != len(again.defects):
        return False
    left = list(again.defects)
    for defect, box in recorded:
        match = next((one for one in left if _same(one, defect, box, again.sequence)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _same(again: Defect, recorded: Defect, box: Box, sequence: int) -> bool:
    sides = ("x1", "y1", "x2", "y2")
    return (
        again.kind == recorded.kind
        and all(abs(getattr(again.box_px, side) - getattr(box, side)) <= SAME_PX for side in sides)
        # Of what several frames show, the score is that of the frame that shows it most surely.
        and (sequence != recorded.sequence or abs(again.score - recorded.score) <= SAME_SCORE)
    )
