import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspection.errors import DetectorFailed, ImageUnsuitable
from inspection.joining import SeveralDetectors
from inspection.types import Detections, Frame, Verdict
from inspection.vision.calibration import Calibration
from inspection.vision.drawing import StripDrawing
from models.errors import ModelMismatch
from models.screens import open_screen
from services.station.build import build_pipeline, build_recipe
from station_config import load_recipe
from station_config.errors import ConfigInvalid
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
    image = StripDrawing(77, defects_per_megapixel=0).frame(0).pixels.copy()
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


def a_plate(x: int = 40, y: int = 30) -> np.ndarray:
    """Of 80 x 50 px with its left upper corner there, two round marks and a bar on it; 0.5 mm for each px."""
    image = np.full((120, 180), 40, np.uint8)
    image[y : y + 50, x : x + 80] = 150
    for mark in ((12, 12), (68, 38)):
        cv2.circle(image, (x + mark[0], y + mark[1]), 5, 20, -1)
    image[y + 30 : y + 40, x + 15 : x + 30] = 220
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.8), np.uint8)


MEASURED = """
[[limits]]
kind = "scratch"
measure = "score"
reject_from = 0.5
[part.gauges.left]
shape = "line"
start_mm = [-20, 5]
end_mm = [-20, -5]
reach_mm = 2
[part.gauges.right]
shape = "line"
start_mm = [20, -5]
end_mm = [20, 5]
reach_mm = 2
[[part.measurements]]
name = "length"
kind = "distance"
of = ["left", "right"]
lower = 39.5
upper = 40.5
"""
SCALE = "surface = { x_mm_per_px = 0.5, y_mm_per_px = 0.5 }"


def looked_at(folder: Path, image: np.ndarray, keys: str):
    """What a recipe with these keys of [part] says of a picture."""
    golden = named(folder, "anything.png", a_plate())
    text = f"""
name = "plate"
revision = 1
product = "plate"
detector = {{ golden = {{ {golden}, min_contrast = 255 }} }}
{keys}
"""
    file = folder / "plate.toml"
    file.write_text(text, encoding="utf-8")
    pipeline, _ = build_pipeline(load_recipe(str(file)))
    pipeline = replace(pipeline, detector=FindsNothing())
    return pipeline.inspect(Frame(pixels=image, camera="top", sequence=0, captured_at=NOON))


def by_template(folder: Path) -> str:
    area = "area_px = { x = 44, y = 34, width = 72, height = 42 }, origin_px = [79.5, 54.5], max_turn_deg = 3"
    return f"{SCALE}\n[part]\nscale_uncertainty = 0\ntemplate = {{ {named(folder, 'good.png', a_plate())}, {area} }}"


def by_marks(folder: Path) -> str:
    mark = named(folder, "mark.png", a_plate()[33:52, 43:62])
    return (
        f"{SCALE}\n[part]\nscale_uncertainty = 0\nfiducials = {{ {mark}, at_mm = [[-13.75, -6.25], [14.25, 6.75]], "
        "place_mm = [39.75, 27.25], search_mm = 8, max_error_mm = 0.3 }"
    )


@pytest.mark.parametrize("found_by", [by_template, by_marks])
def test_a_part_is_found_by_its_picture_or_its_marks_and_measured_wherever_it_lies(tmp_path, found_by):
    for x, y in ((40, 30), (47, 25), (36, 34)):
        result = looked_at(tmp_path, a_plate(x, y), found_by(tmp_path) + MEASURED)
        assert result.verdict is Verdict.ACCEPT, result.failure
        (length,) = result.measurements
        assert length.value == pytest.approx(40, abs=0.05)


@pytest.mark.parametrize("found_by", [by_template, by_marks])
def test_an_empty_fixture_is_no_good_part_however_it_is_found(tmp_path, found_by):
    empty = np.random.default_rng(1).normal(60, 6, (120, 180)).clip(0, 255).astype(np.uint8)
    result = looked_at(tmp_path, empty, found_by(tmp_path) + MEASURED)
    assert (result.verdict, result.failure) == (Verdict.NOT_INSPECTED, "INS-PART-NOT-FOUND")


def a_calibration(folder: Path, **changes) -> str:
    """A camera that looks straight on, 0.5 mm a px, its lens without distortion."""
    calibration = Calibration(
        **{
            "width_px": 180,
            "height_px": 120,
            "covered_px": (0.0, 0.0, 179.0, 119.0),
            "fx": 1000.0,
            "fy": 1000.0,
            "cx": 0.0,
            "cy": 0.0,
            "distortion": (0.0,) * 5,
            "rotation": (0.0, 0.0, 0.0),
            "place_mm": (0.0, 0.0, 500.0),
            "reprojection_px": 0.1,
            "scale_uncertainty": 0.001,
            "pictures": 8,
            **changes,
        }
    )
    data = calibration.to_toml().encode()
    (folder / "camera.toml").write_bytes(data)
    return f'calibration = {{ file = "camera.toml", sha256 = "{hashlib.sha256(data).hexdigest()}" }}'


def test_a_recipe_may_measure_by_the_cameras_calibration_and_refuses_frames_of_another(tmp_path):
    keys = by_template(tmp_path).replace(SCALE, "").replace("scale_uncertainty = 0", "CALIBRATION")
    result = looked_at(tmp_path, a_plate(), keys.replace("CALIBRATION", a_calibration(tmp_path)) + MEASURED)
    (length,) = result.measurements
    assert length.value == pytest.approx(40, abs=0.05)
    assert length.uncertainty >= 0.04
    other = keys.replace("CALIBRATION", a_calibration(tmp_path, width_px=200)) + MEASURED
    assert looked_at(tmp_path, a_plate(), other).failure == "INS-CALIBRATION-MISFIT"


@pytest.mark.parametrize(
    "keys",
    [
        "[part]\nmin_share = 0.1",
        "[part]\nscale_uncertainty = 0",
        "[part]\nmin_share = 0.1\nmax_share = 0.5\nTEMPLATE",
        "roi_px = { x = 0, y = 0, width = 50, height = 50 }\n[part]\nmin_share = 0.1\nmax_share = 0.5\nCALIBRATION",
    ],
)
def test_a_part_that_is_found_in_no_way_or_in_two_is_refused(tmp_path, keys):
    template = by_template(tmp_path).splitlines()[-1]
    keys = keys.replace("TEMPLATE", template).replace("CALIBRATION", a_calibration(tmp_path))
    with pytest.raises(ConfigInvalid):
        looked_at(tmp_path, a_plate(), keys + MEASURED.split("[part.gauges")[0])


def test_the_recipe_for_line_rate_has_a_screen_that_belongs_to_its_network():
    pipeline, models = build_pipeline(load_recipe("strip-line-rate"))
    assert [model.name for model in models] == ["strip-surface-int8", "strip-screen"]
    found = of_strip(pipeline, strip_with_a_dark_spot())
    assert found.failure is None
    assert found.looked.sent < found.looked.tiles
