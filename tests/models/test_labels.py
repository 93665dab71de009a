"""Labels go into every format and come back the same; what cannot be right is refused with its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspection.types import Box
from models.errors import LabelsWrong, TrainingDataMissing
from models.labels import (
    LabelledFile,
    LabelledSet,
    Truth,
    read_class_folders,
    read_coco,
    read_voc,
    read_yolo,
    write_class_folders,
    write_coco,
    write_voc,
    write_yolo,
)
from tests.where import shared

WIDTH, HEIGHT = 120, 80
KINDS = ("scratch", "pits", "crack")


def truths(whole_px):
    side = st.integers if whole_px else lambda low, high: st.floats(low, high, width=32)

    @st.composite
    def one(draw):
        x1, y1 = draw(side(0, WIDTH - 10)), draw(side(0, HEIGHT - 10))
        x2, y2 = draw(side(int(x1) + 5, WIDTH)), draw(side(int(y1) + 5, HEIGHT))
        box = Box(x1, y1, x2, y2)
        outline = ((x1, y1), (x2, y1), (x2, y2), (x1, y2)) if not whole_px and draw(st.booleans()) else ()
        return Truth(kind=draw(st.sampled_from(KINDS)), box_px=box, outline_px=outline)

    return st.lists(st.lists(one(), max_size=4), min_size=1, max_size=4)


def a_set(folder: Path, given_truths) -> LabelledSet:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    pictures = []
    for number, truth in enumerate(given_truths):
        name = f"images/{number:03}.png"
        cv2.imwrite(str(folder / name), np.full((HEIGHT, WIDTH), number, np.uint8))
        pictures.append(LabelledFile(name=name, width_px=WIDTH, height_px=HEIGHT, truth=tuple(truth)))
    return LabelledSet(folder=folder, kinds=KINDS, pictures=tuple(pictures))


def same(one: LabelledSet, other: LabelledSet, *, outlines: bool = True, within_px: float = 1e-3) -> None:
    assert len(one.pictures) == len(other.pictures)
    for mine, theirs in zip(one.pictures, other.pictures, strict=True):
        assert (mine.width_px, mine.height_px) == (theirs.width_px, theirs.height_px)
        assert [t.kind for t in mine.truth] == [t.kind for t in theirs.truth]
        for a, b in zip(mine.truth, theirs.truth, strict=True):
            assert (a.box_px.x1, a.box_px.y1, a.box_px.x2, a.box_px.y2) == pytest.approx(
                (b.box_px.x1, b.box_px.y1, b.box_px.x2, b.box_px.y2), abs=within_px
            )
            if outlines:
                assert np.array(a.outline_px) == pytest.approx(np.array(b.outline_px), abs=within_px)


SEVERAL = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SEVERAL
@given(truths(whole_px=False))
def test_yolo_boxes_and_outlines_come_back_the_same_with_pictures_without_a_defect(tmp_path_factory, told):
    folder = tmp_path_factory.mktemp("set")
    before = a_set(folder / "in", told)
    write_yolo(before, folder / "out")
    after = read_yolo(folder / "out")
    assert after.kinds == KINDS
    same(before, after)


@SEVERAL
@given(truths(whole_px=False))
def test_coco_comes_back_the_same(tmp_path_factory, told):
    folder = tmp_path_factory.mktemp("set")
    before = a_set(folder, told)
    write_coco(before, folder / "coco.json")
    same(before, read_coco(folder / "coco.json", folder))


@SEVERAL
@given(truths(whole_px=True))
def test_voc_comes_back_the_same_in_whole_px(tmp_path_factory, told):
    folder = tmp_path_factory.mktemp("set")
    before = a_set(folder / "in", told)
    write_voc(before, folder / "out")
    same(before, read_voc(folder / "out"), outlines=False, within_px=0)


def test_class_folders_come_back_the_same_with_good_ones(tmp_path):
    whole = Truth(kind="crack", box_px=Box(0, 0, WIDTH, HEIGHT))
    before = a_set(tmp_path / "in", [[whole], [], [whole]])
    write_class_folders(before, tmp_path / "out")
    after = read_class_folders(tmp_path / "out")
    assert {one.name: one.kinds for one in after.pictures} == {
        "crack/000.png": ("crack",),
        "crack/002.png": ("crack",),
        "good/001.png": (),
    }


def test_a_picture_with_two_kinds_has_no_class_folder(tmp_path):
    two = [Truth(kind="crack", box_px=Box(0, 0, 5, 5)), Truth(kind="pits", box_px=Box(9, 9, 19, 19))]
    with pytest.raises(LabelsWrong, match="crack, pits"):
        write_class_folders(a_set(tmp_path, [two]), tmp_path / "out")


def yolo_with(folder, label):
    written = a_set(folder / "in", [[], []])
    write_yolo(written, folder / "out")
    (folder / "out" / "labels" / "001.txt").write_text(label)
    return folder / "out"


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("0 0.95 0.5 0.3 0.2", "outside of the picture of 120 x 80 px"),
        ("7 0.5 0.5 0.1 0.1", "class 7 of 3"),
        ("-1 0.5 0.5 0.1 0.1", "neither a box nor an outline"),
        ("0 0.5 0.5 0.1", "neither a box nor an outline"),
        ("scratch 0.5 0.5 0.1 0.1", "no numbers"),
        ("0 0.5 0.5 0 0.1", "no area"),
        ("0 nan 0.5 0.1 0.1", "outside"),
    ],
)
def test_a_label_that_cannot_be_right_is_refused_with_its_line(tmp_path, label, told):
    with pytest.raises(LabelsWrong, match=told) as refusal:
        read_yolo(yolo_with(tmp_path, f"0 0.5 0.5 0.1 0.1\n{label}\n"))
    assert "001.txt, 2:" in str(refusal.value.facts["mistakes"])


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(LabelsWrong) as refusal:
        read_yolo(yolo_with(tmp_path, "9 0.5 0.5 0.1 0.1\n0 2 2 1 1\n"))
    assert refusal.value.facts["count"] == 2


def test_what_rounding_put_over_the_border_is_cut_there(tmp_path):
    found = read_yolo(yolo_with(tmp_path, "0 0.95 0.5 0.105 0.2\n"))
    assert found.pictures[1].truth[0].box_px.x2 == WIDTH


def test_a_class_that_the_categories_have_not_is_refused(tmp_path):
    write_coco(a_set(tmp_path, [[Truth(kind="pits", box_px=Box(1, 1, 9, 9))]]), tmp_path / "coco.json")
    told = json.loads((tmp_path / "coco.json").read_text())
    told["categories"] = told["categories"][:1]
    (tmp_path / "coco.json").write_text(json.dumps(told))
    with pytest.raises(LabelsWrong, match="not among the categories"):
        read_coco(tmp_path / "coco.json", tmp_path)


@pytest.mark.parametrize(
    "name", ["../elsewhere.png", "{}/elsewhere.png", "a/../../elsewhere.png", "..\\elsewhere.png", "a\0.png"]
)
def test_a_coco_table_that_leads_out_of_its_folder_is_refused(tmp_path, name):
    inside = tmp_path / "set"
    inside.mkdir()
    write_coco(a_set(inside, [[Truth(kind="pits", box_px=Box(1, 1, 9, 9))]]), inside / "coco.json")
    (picture,) = inside.rglob("*.png")
    (tmp_path / "elsewhere.png").write_bytes(picture.read_bytes())
    told = json.loads((inside / "coco.json").read_text())
    told["images"][0]["file_name"] = name.format(tmp_path)
    (inside / "coco.json").write_text(json.dumps(told))
    with pytest.raises(LabelsWrong, match="leads out"):
        read_coco(inside / "coco.json", inside)


def test_a_class_of_two_words_stays_one_class(tmp_path):
    truth = [[Truth(kind="oil-stain", box_px=Box(1, 1, 9, 9)), Truth(kind="pits", box_px=Box(2, 2, 8, 8))]]
    made = replace(a_set(tmp_path, truth), kinds=("oil-stain", "pits"))
    write_coco(made, tmp_path / "coco.json")
    told = json.loads((tmp_path / "coco.json").read_text())
    for one in told["categories"]:
        one["name"] = one["name"].replace("oil-stain", "Oil stain")
    (tmp_path / "coco.json").write_text(json.dumps(told))
    read = read_coco(tmp_path / "coco.json", tmp_path)
    write_yolo(read, tmp_path / "yolo")
    (picture,) = read_yolo(tmp_path / "yolo").pictures
    assert [one.kind for one in picture.truth] == ["oil-stain", "pits"]


def test_an_empty_folder_is_no_set(tmp_path):
    for read in (read_voc, read_class_folders):
        with pytest.raises(TrainingDataMissing):
            read(tmp_path)
    (tmp_path / "classes.txt").write_text("pits\n")
    with pytest.raises(TrainingDataMissing):
        read_yolo(tmp_path)


def test_a_picture_cut_short_is_named(tmp_path):
    folder = yolo_with(tmp_path, "")
    (folder / "images" / "000.png").write_bytes(b"\x89PNG")
    with pytest.raises(LabelsWrong, match=r"000\.png"):
        read_yolo(folder)


def test_a_list_may_not_lead_out_of_its_folder(tmp_path):
    folder = yolo_with(tmp_path, "")
    (folder / "some.txt").write_text("../in/images/000.png\n")
    with pytest.raises(LabelsWrong, match="outside"):
        read_yolo(folder, folder / "some.txt")


def test_labels_with_a_document_type_are_not_read(tmp_path):
    write_voc(a_set(tmp_path / "in", [[]]), tmp_path / "out")
    (tmp_path / "out" / "Annotations" / "000.xml").write_text('<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>')
    with pytest.raises(LabelsWrong, match="document types"):
        read_voc(tmp_path / "out")


def test_the_strip_set_says_the_same_in_yolo_and_in_voc():
    """The public set came as VOC; our copy has both."""
    folder = shared("data/neu_det")
    found = read_yolo(folder, folder / "val.txt")
    assert len(found.pictures) == 288
    assert found.kinds == ("crazing", "inclusion", "patch", "pits", "scale", "scratch")
