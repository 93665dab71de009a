"""The box detector on strip it was not trained on, and the figures on its card."""

import numpy as np
import pytest

from inspection.vision.drawing import StripDrawing
from models import ModelStore, open_detector
from models.card import ModelCard
from models.evaluation import Judged, misses, precision
from models.training.dataset import Labelled, read_neu
from tests.models.releases import PART, STRIP
from tests.where import shared


@pytest.fixture(scope="module")
def val() -> list[Labelled]:
    return read_neu(shared("data", "neu_det"), "val.txt")


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return ModelStore().find(STRIP).card


def judged(pictures, **how):
    detector = open_detector(STRIP, **how)
    return [
        Judged(
            truth_xyxy=np.array(
                [(d.box_px.x1, d.box_px.y1, d.box_px.x2, d.box_px.y2) for d in one.truth], np.float32
            ).reshape(-1, 4),
            truth_kind=tuple(d.kind for d in one.truth),
            found=detector.detect(one.pixels),
        )
        for one in pictures
    ]


def test_the_precision_on_the_card_is_what_the_file_reaches(val, card):
    said = next(one for one in card.measured if one.on == "NEU-DET val.txt")
    reached = precision(judged(val, min_score=0.001), card.kinds)
    # Another version of onnxruntime or another processor moves scores in the sixth digit, and so some ranks.
    assert reached.map50 == pytest.approx(said.map50, abs=0.003)
    assert reached.map50_95 == pytest.approx(said.map50_95, abs=0.003)
    assert reached.ap50 == pytest.approx({kind: one.ap50 for kind, one in said.kinds.items()}, abs=0.01)


def test_the_escapes_on_the_card_are_those_of_the_file(val, card):
    said = next(one for one in card.measured if one.on == "NEU-DET val.txt")
    counted = misses(judged(val))
    assert (counted.defective, counted.clean) == (said.defective, said.clean)
    assert abs(counted.escapes - said.escapes) <= 1  # a score may stand on its threshold


def test_a_real_picture_is_seen_alike_by_one_core_and_by_two(val):
    one, two = (open_detector(STRIP, threads=threads) for threads in (1, 2))
    for picture in val[::48]:
        found, again = one.detect(picture.pixels), two.detect(picture.pixels)
        assert found.kind == again.kind
        np.testing.assert_allclose(found.xyxy, again.xyxy, atol=0.01)


def test_a_defect_is_found_at_its_place_in_a_frame_of_many_tiles():
    strip = StripDrawing(3)
    detector = open_detector(STRIP)
    hit = drawn = 0
    for index in range(40):
        frame = strip.frame(index)
        found = detector.detect(frame.pixels)
        for defect in frame.truth:
            if defect.kind != "patch":
                continue
            drawn += 1
            box = np.array([[defect.box_px.x1, defect.box_px.y1, defect.box_px.x2, defect.box_px.y2]])
            same = [i for i, kind in enumerate(found.kind) if kind == "patch"]
            middle = (found.xyxy[same, :2] + found.xyxy[same, 2:]) / 2
            hit += bool(((middle > box[:, :2]) & (middle < box[:, 2:])).all(axis=1).any())
    assert drawn >= 2
    assert hit == drawn  # patches are what it finds best


def test_kinds_are_those_the_demo_draws():
    assert set(ModelStore().find(STRIP).card.kinds) == {
        "crazing",
        "inclusion",
        "patch",
        "pits",
        "scale",
        "scratch",
    }
    assert set(ModelStore().find(PART).card.kinds) == {"chip", "crack", "stain"}
