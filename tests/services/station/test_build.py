import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspection.errors import DetectorFailed, ImageUnsuitable
from inspection.joining import SeveralDetectors
from inspection.types import Detections, Frame, Verdict
from models.errors import ModelMismatch
from models.screens import open_screen
from services.station.build import build_pipeline, build_recipe
from station_config import load_recipe
from tests.builders import NOON

WIDE, HIGH = 160, 120


def a_print() -> np.ndarray:
    """Dark bars of two directions on light ground."""
    image = np.full((HIGH, WIDE), 180, np.uint8)
    for x in range(30, 130, 20):
        image[30:90, x : x + 8] = 60
    image[20:26, 24:136] = 60
    return image


LAMP = np.linspace(0.5, 1.0, WIDE)[None, :]
"""It lights the right side twice as much as the left."""


def under_the_lamp(image: np.ndarray) -> np.ndarray:
    return np.rint(image * LAMP).astype(np.uint8)


def named(folder: Path, name: str, image: np.ndarray) -> str:
    data = cv2.imencode(".png", image)[1].tobytes()
    (folder / name).write_bytes(data)
    return f'file = "{name}", sha256 = "{hashlib.sha256(data).hexdigest()}"'


def verdict(folder: Path, image: np.ndarray, *, flat_field: np.ndarray | None) -> Verdict:
    golden = named(folder, "golden.png", np.rint(a_print() * 0.75).astype(np.uint8))
    text = f"""
name = "print"
revision = 1
product = "label"
{"" if flat_field is None else f"flat_field = {{ {named(folder, 'blank.png', flat_field)} }}"}
[[detectors]]
golden = {{ {golden}, min_contrast = 40 }}
[[limits]]
kind = "print_missing"
measure = "score"
reject_from = 0.0
[[limits]]
kind = "print_extra"
measure = "score"
reject_from = 0.0
"""
    file = folder / "print.toml"
    file.write_text(text, encoding="utf-8")
    pipeline, models = build_pipeline(load_recipe(str(file)))
    assert models == ()
    return pipeline.inspect(Frame(pixels=image, camera="top", sequence=0, captured_at=NOON)).verdict


def test_a_flat_field_set_in_a_recipe_evens_the_lamp_out_and_leaves_the_defects(tmp_path):
    blank = under_the_lamp(np.full((HIGH, WIDE), 200, np.uint8))
    flawless, gap = a_print(), a_print()
    gap[55:65, 110:118] = 180
    assert verdict(tmp_path, under_the_lamp(flawless), flat_field=None) is Verdict.REJECT
    assert verdict(tmp_path, under_the_lamp(flawless), flat_field=blank) is Verdict.ACCEPT
    assert verdict(tmp_path, under_the_lamp(gap), flat_field=blank) is Verdict.REJECT


def test_a_flat_field_of_another_camera_leaves_the_frame_uninspected(tmp_path):
    blank = np.full((HIGH, WIDE + 1), 150, np.uint8)
    assert verdict(tmp_path, a_print(), flat_field=blank) is Verdict.NOT_INSPECTED


@pytest.mark.parametrize("level", [10, 254])
def test_a_blank_picture_that_says_nothing_of_the_lamp_is_refused(tmp_path, level):
    with pytest.raises(ImageUnsuitable):
        verdict(tmp_path, a_print(), flat_field=np.full((HIGH, WIDE), level, np.uint8))


class FindsNothing:
    def detect(self, image):
        return Detections.none()


class Fails:
    def detect(self, image):
        raise DetectorFailed("broken", action="-", reason="broken")


def test_one_of_several_detectors_that_fails_leaves_the_picture_uninspected():
    with pytest.raises(DetectorFailed):
        SeveralDetectors([FindsNothing(), Fails()]).detect(a_print())


SCREENED = """
name = "strip"
revision = 1
product = "strip"
[detector]
model = "strip-surface"
version = "{version}"
[detector.screen]
model = "strip-screen"
most_tiles = {most_tiles}
[[limits]]
kind = "scratch"
measure = "score"
reject_from = 0.5
"""


def screened(folder: Path, *, most_tiles: int = 10, version: str | None = None):
    teacher = open_screen("strip-screen").card.teacher
    file = folder / "strip.toml"
    file.write_text(
        SCREENED.format(version=version or teacher.version, most_tiles=most_tiles), encoding="utf-8"
    )
    return load_recipe(str(file))


def strip_with_a_dark_spot() -> np.ndarray:
    image = np.random.default_rng(5).normal(115, 5, (400, 800)).clip(0, 255).astype(np.uint8)
    image[160:190, 400:430] = 30
    return image


def of_strip(pipeline, image: np.ndarray):
    return pipeline.inspect(Frame(pixels=image, camera="top", sequence=1, captured_at=NOON))


def test_a_recipe_with_a_screen_says_how_much_the_network_saw_and_both_are_on_record(tmp_path):
    pipeline, models = build_pipeline(screened(tmp_path))
    looked = of_strip(pipeline, strip_with_a_dark_spot()).looked
    assert 0 < looked.sent < looked.tiles
    assert [model.name for model in models] == ["strip-surface", "strip-screen"]


def test_a_frame_on_which_more_stands_out_than_the_recipe_allows_is_not_inspected(tmp_path):
    pipeline, _ = build_pipeline(screened(tmp_path, most_tiles=1))
    image = strip_with_a_dark_spot()
    image[:, ::50] = 20
    result = of_strip(pipeline, image)
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, "INS-SCREEN-OVERRUN")


def test_who_asks_for_other_scores_sees_everything(tmp_path):
    pipeline, models = build_pipeline(screened(tmp_path), min_score=0.5)
    assert of_strip(pipeline, strip_with_a_dark_spot()).looked is None
    assert [model.name for model in models] == ["strip-surface"]


def test_a_screen_is_refused_before_a_network_that_did_not_teach_it(tmp_path):
    recipe = screened(tmp_path)
    asked = recipe.settings.detector.model_copy(update={"model": "part-surface", "version": None})
    other = replace(recipe, settings=recipe.settings.model_copy(update={"detector": asked}))
    with pytest.raises(ModelMismatch, match="taught by"):
        build_pipeline(other)


def test_each_worker_of_a_lane_has_a_network_of_its_own(tmp_path):
    ready = build_recipe(screened(tmp_path), workers=3)
    detectors = {id(one.detector) for one in (ready.pipeline, *ready.beside)}
    assert len(detectors) == 3
