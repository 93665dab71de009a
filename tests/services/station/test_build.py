import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspection.errors import DetectorFailed, ImageUnsuitable
from inspection.joining import SeveralDetectors
from inspection.types import Detections, Frame, Verdict
from services.station.build import build_pipeline
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
