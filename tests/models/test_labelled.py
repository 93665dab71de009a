"""What a plant's labels teach: every defect that was marked, and of no bit of one that there is nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from inspection.types import Box
from inspection.vision.drawing import DrawnDefect
from models.errors import SetUnfit
from models.labels import LabelledFile, LabelledSet, Truth
from models.training.dataset import Labelled
from models.training.labelled import make_labelled_set, pieces_of

SIDE = 300


def boxes(side_px: int, tile_px: int, *marked: Box) -> dict[str, list[Box]]:
    """Of the pieces of a picture with defects at these places, by their names."""
    truth = tuple(DrawnDefect(kind="scratch", box_px=one) for one in marked)
    pixels = np.full((side_px, side_px), 128, np.uint8)
    pieces = pieces_of(Labelled(name="p", pixels=pixels, truth=truth), tile_px)
    return {one.name: [defect.box_px for defect in one.truth] for one in pieces}


@pytest.mark.parametrize("box", [Box(100, 20, 104, 220), Box(100, 20, 101, 220), Box(50, 50, 53, 53)])
def test_a_defect_is_taught_however_thin_or_small_it_was_marked(box):
    assert boxes(SIDE, SIDE, box) == {"p_0": [box]}


# 600 px are looked at in nine tiles of 300, each half over the next: 0, 1, 2 above, then 3, 4, 5, and 6, 7, 8.
EMPTY = {f"p_{number}": [] for number in range(9)}


def without(*numbers: int) -> dict[str, list[Box]]:
    return {name: there for name, there in EMPTY.items() if name not in {f"p_{one}" for one in numbers}}


def test_of_a_thin_defect_those_tiles_teach_that_show_it_whole_and_those_that_cut_it_nothing():
    found = boxes(2 * SIDE, SIDE, Box(310, 320, 313, 500))
    assert found == without(4, 5) | {"p_7": [Box(160, 20, 163, 200)], "p_8": [Box(10, 20, 13, 200)]}


def test_a_tile_with_only_a_bit_of_a_defect_teaches_neither_that_nor_that_there_is_nothing():
    """Of its 100 px across, 3 are on the left tile, and 97 on the right one."""
    found = boxes(2 * SIDE, SIDE, Box(297, 20, 397, 60))
    assert found == without(0) | {"p_1": [Box(147, 20, 247, 60)], "p_2": [Box(0, 20, 97, 60)]}


def a_set(folder: Path, side_px: int, *marked: Box) -> LabelledSet:
    """A picture for each mark, and a good one."""
    pictures = []
    (folder / "images").mkdir(parents=True)
    for number, truth in enumerate([*([one] for one in marked), []]):
        name = f"images/{number}.png"
        cv2.imwrite(str(folder / name), np.full((side_px, side_px), 128, np.uint8))
        marks = tuple(Truth(kind="scratch", box_px=one) for one in truth)
        pictures.append(LabelledFile(name=name, width_px=side_px, height_px=side_px, truth=marks))
    return LabelledSet(folder=folder, kinds=("scratch",), pictures=tuple(pictures))


def laid_out(labelled: LabelledSet, folder: Path):
    return make_labelled_set(labelled, labelled, folder, tile_px=SIDE, source="s", licence="l")


def test_what_is_laid_out_to_learn_from_and_to_choose_by_calls_no_tile_good_on_which_a_defect_is(tmp_path):
    labelled = a_set(tmp_path / "set", 2 * SIDE, Box(297, 20, 397, 60))
    laid_out(labelled, tmp_path / "made")
    for part in ("train", "val"):
        labels = {file.stem: file.read_text() for file in (tmp_path / "made" / "labels" / part).iterdir()}
        assert "00000_0" not in labels
        assert labels["00000_1"].startswith("0 ")


def test_a_kind_of_which_no_tile_shows_enough_is_not_claimed_to_be_learnt(tmp_path):
    """A box over the whole picture of 3 x 3 tiles: no tile shows a quarter of it."""
    labelled = a_set(tmp_path / "set", 3 * SIDE, Box(0, 0, 3 * SIDE, 3 * SIDE))
    with pytest.raises(SetUnfit, match="of scratch no piece of 300 px shows enough"):
        laid_out(labelled, tmp_path / "made")
