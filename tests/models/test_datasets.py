"""A set is known by what is in it; what is in it twice, or on both sides of a split, is found."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from inspection.types import Box
from inspection.vision.drawing import draw_strip_patch
from models.datasets import balance, check_fit, examined, split, to_train_from, twice, unit_of, version_of
from models.errors import SetUnfit
from models.labels import LabelledFile, LabelledSet, Truth

SCRATCH = Truth(kind="scratch", box_px=Box(3, 4, 50, 60))
PITS = Truth(kind="pits", box_px=Box(9, 9, 30, 30))


def a_set(folder, pictures, truths=None):
    """Pictures by name."""
    folder.mkdir(exist_ok=True)
    told = []
    for number, (name, pixels) in enumerate(pictures.items()):
        cv2.imwrite(str(folder / name), pixels)
        truth = (SCRATCH,) if truths is None else truths[number]
        height, width = pixels.shape
        told.append(LabelledFile(name=name, width_px=width, height_px=height, truth=truth))
    return LabelledSet(folder=folder, kinds=("scratch", "pits"), pictures=tuple(told))


def strips(*seeds):
    return {f"{seed}.png": draw_strip_patch(seed).pixels for seed in seeds}


def test_a_version_is_of_what_is_in_the_set_not_of_names_or_order(tmp_path):
    one = a_set(tmp_path / "a", strips(1, 2, 3))
    renamed = a_set(
        tmp_path / "b", {f"x{name}": pixels for name, pixels in reversed(strips(1, 2, 3).items())}
    )
    assert version_of(one) == version_of(renamed)
    moved = replace(one.pictures[0], truth=(replace(SCRATCH, box_px=Box(3, 4, 51, 60)),))
    assert version_of(replace(one, pictures=(moved, *one.pictures[1:]))) != version_of(one)
    assert version_of(a_set(tmp_path / "c", strips(1, 2, 4))) != version_of(one)


def test_the_balance_counts_pictures_defects_and_good_ones(tmp_path):
    told = balance(a_set(tmp_path, strips(1, 2, 3), [(SCRATCH, SCRATCH), (), (SCRATCH, PITS)]))
    assert (told["pictures"], told["good"]) == (3, 1)
    assert told["kinds"]["scratch"] == {"pictures": 2, "defects": 3}
    assert told["kinds"]["pits"] == {"pictures": 1, "defects": 1}


@pytest.mark.parametrize(("truths", "wrong"), [([(), ()], "no picture"), ([(PITS,), (PITS,)], "pits")])
def test_a_set_that_teaches_nothing_is_refused(tmp_path, truths, wrong):
    with pytest.raises(SetUnfit, match=wrong):
        check_fit(a_set(tmp_path, strips(1, 2), truths))


def test_one_kind_and_good_ones_are_enough(tmp_path):
    check_fit(a_set(tmp_path, strips(1, 2), [(PITS,), ()]))


@pytest.mark.parametrize(
    "changed",
    [
        lambda pixels: pixels[:, ::-1],
        lambda pixels: np.rot90(pixels),
        lambda pixels: cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        lambda pixels: cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 0),
    ],
    ids=["mirrored", "turned", "halved", "compressed"],
)
def test_the_same_steel_on_both_sides_of_a_split_is_a_leak(tmp_path, changed):
    learn = a_set(tmp_path / "learn", strips(1, 2, 3, 4))
    judge = a_set(
        tmp_path / "judge", {**strips(5, 6), "again.png": np.ascontiguousarray(changed(strips(3)["3.png"]))}
    )
    assert [(pair.one, pair.other) for pair in twice(learn, judge)] == [("3.png", "again.png")]


def test_in_a_set_each_pair_is_told_once_and_no_picture_with_itself(tmp_path):
    found = twice(a_set(tmp_path, {**strips(1, 2), "copy.png": strips(1)["1.png"]}))
    assert [(pair.one, pair.other, pair.bits) for pair in found] == [("1.png", "copy.png", 0)]


def test_a_group_is_never_on_both_sides_and_a_picture_added_moves_no_other(tmp_path):
    blank = np.zeros((70, 70), np.uint8)
    whole = a_set(tmp_path, {f"coil{n % 40}_{n}.png": blank for n in range(200)})

    def coil(one):
        return one.name.split("_")[0]

    learn, judge = split(whole, coil, share=0.25)
    assert not {coil(one) for one in learn.pictures} & {coil(one) for one in judge.pictures}
    assert len(learn.pictures) + len(judge.pictures) == 200
    assert 0.05 < len(judge.pictures) / 200 < 0.5
    fewer = replace(whole, pictures=whole.pictures[:-20])
    assert {one.name for one in split(fewer, coil, share=0.25)[1].pictures} <= {
        one.name for one in judge.pictures
    }


def test_one_group_cannot_be_split(tmp_path):
    with pytest.raises(SetUnfit, match="1 groups"):
        split(a_set(tmp_path, strips(1, 2)), lambda one: "coil", share=0.5)


def units_of(count, folder, truths):
    """A picture each of as many units, filed as the review queue files them."""
    (folder / "images").mkdir(parents=True)
    told = []
    for number in range(count):
        name = f"images/{number:032x}/a.png"
        (folder / name).parent.mkdir()
        cv2.imwrite(str(folder / name), draw_strip_patch(number).pixels)
        told.append(LabelledFile(name=name, width_px=200, height_px=200, truth=truths[number % len(truths)]))
    return LabelledSet(folder=folder, kinds=("scratch", "pits"), pictures=tuple(told))


def test_what_judges_is_of_other_units_than_what_teaches_and_each_kind_is_on_both_sides(tmp_path):
    whole = units_of(30, tmp_path, [(SCRATCH,), (PITS,), ()])
    learn, judge = to_train_from(whole)
    assert not {unit_of(one) for one in learn.pictures} & {unit_of(one) for one in judge.pictures}
    assert len(learn.pictures) + len(judge.pictures) == 30
    for side in (learn, judge):
        assert {kind for one in side.pictures for kind in one.kinds} == {"scratch", "pits"}
    assert to_train_from(whole) == (learn, judge)


def test_a_picture_that_taught_does_not_judge_under_another_name(tmp_path):
    whole = units_of(30, tmp_path, [(SCRATCH,), (PITS,), ()])
    for one in whole.pictures[3:6]:
        whole.file(one).write_bytes(whole.file(whole.pictures[0]).read_bytes())
    learn, judge = to_train_from(whole)
    shown = [{whole.file(one).read_bytes() for one in side.pictures} for side in (learn, judge)]
    assert not shown[0] & shown[1]


def test_a_picture_that_judges_and_looks_like_one_that_teaches_is_a_leak_and_all_else_is_only_twice(tmp_path):
    whole = units_of(30, tmp_path, [(SCRATCH,), (PITS,), ()])
    learn, judge = to_train_from(whole)
    taught, also, judged = learn.pictures[0], learn.pictures[1], judge.pictures[0]
    pixels = cv2.imread(str(whole.file(taught)), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(whole.file(judged)), pixels[:, ::-1])
    cv2.imwrite(str(whole.file(also)), np.rot90(pixels))
    found = examined(whole, most=30)
    assert found.lists == (learn, judge)
    assert {frozenset({one.one, one.other}) for one in found.leaks} == {
        frozenset({taught.name, judged.name}),
        frozenset({also.name, judged.name}),
    }
    assert [{one.one, one.other} for one in found.repeated] == [{taught.name, also.name}]


def test_of_a_set_that_cannot_be_parted_it_is_said_why_and_what_is_in_it_twice(tmp_path):
    whole = a_set(tmp_path, {"a.png": draw_strip_patch(1).pixels, "b.png": draw_strip_patch(1).pixels[::-1]})
    found = examined(whole, most=2)
    assert isinstance(found.lists, SetUnfit)
    assert (found.leaks, len(found.repeated), found.compared) == ((), 1, 2)
    assert not examined(whole, most=1).repeated


@pytest.mark.parametrize(
    ("count", "truths", "wrong"),
    [
        (19, [(SCRATCH,), ()], "19 labelled pictures, at least 20"),
        (20, [(SCRATCH,)] * 19 + [(PITS,)], "pits on one unit alone"),
        (20, [(SCRATCH,)], "every picture shows scratch"),
        (20, [()], "no picture has a defect"),
    ],
)
def test_a_set_that_cannot_both_teach_and_judge_is_refused_with_what_is_missing(
    tmp_path, count, truths, wrong
):
    with pytest.raises(SetUnfit, match=wrong):
        to_train_from(units_of(count, tmp_path, truths))
