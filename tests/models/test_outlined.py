"""What a network of pixels learns from a plant's labels: outlines, boxes, and words about the whole picture."""

from __future__ import annotations

import sys
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest

from inspection.types import Box
from models.errors import SetUnfit
from models.labels import LabelledFile, LabelledSet, Truth
from models.store import ModelStore
from models.training import outlined
from models.training.outlined import (
    LEAST_STEPS,
    Piece,
    drawn_for_an_epoch,
    marks_of,
    pieces_of,
    release_int8,
    train_from_outlines,
    view,
)
from models.training.segment import CELL_PX

KINDS = ("crack", "stain")
SIDE = 128
OUTLINED = Truth(
    kind="stain", box_px=Box(20, 40, 60, 80), outline_px=((20, 40), (60, 40), (60, 80), (20, 80))
)
BOXED = Truth(kind="crack", box_px=Box(10, 10, 40, 30))
SAID_OF_ALL = Truth(kind="crack", box_px=Box(0, 0, SIDE, SIDE))


def a_picture(*truth: Truth, side: int = SIDE) -> LabelledFile:
    return LabelledFile(name="a.png", width_px=side, height_px=side, truth=truth)


def pieces(*truth: Truth, side: int = SIDE, tile_px: int = SIDE) -> list[Piece]:
    pixels = np.random.default_rng(0).integers(60, 120, (side, side)).astype(np.uint8)
    return pieces_of(pixels, a_picture(*truth, side=side), KINDS, tile_px=tile_px)


def views(*truth: Truth):
    (piece,) = pieces(*truth)
    rng = np.random.default_rng(0)
    return [view(piece, rng, input_px=SIDE) for _ in range(30)]


def test_an_outline_says_where_a_defect_is_and_a_box_that_it_is_somewhere_inside():
    crack, stain = marks_of(a_picture(OUTLINED, BOXED), KINDS)
    assert (stain[40:80, 20:60] == 1).all()
    assert not stain[90:].any()
    assert (crack[10:30, 10:40] == -1).all()
    assert np.count_nonzero(crack) == 20 * 30


def test_a_defect_that_is_outlined_inside_of_a_box_is_known_there():
    inside = Truth(kind="stain", box_px=Box(0, 0, SIDE, SIDE))
    (stain,) = marks_of(a_picture(OUTLINED, inside), KINDS)[1:]
    assert (stain[41:79, 21:59] == 1).all()
    assert stain[100, 100] == -1


def test_of_a_picture_cut_into_tiles_only_those_that_show_a_whole_box_are_known_to_show_its_defect():
    shows = [one.shows.tolist() for one in pieces(BOXED, side=256, tile_px=128)]
    assert shows[0] == [1, 0]
    assert [0, 0] in shows
    whole = Truth(kind="crack", box_px=Box(0, 0, 256, 256))
    assert {tuple(one.shows) for one in pieces(whole, side=256, tile_px=128)} == {(-1, 0)}


def test_a_view_shows_the_outlined_pixels_as_cells_of_their_kind_alone():
    for shown, cells, kinds in views(OUTLINED):
        assert shown.shape == (SIDE, SIDE)
        assert 0 <= shown.min() <= shown.max() <= 1
        assert cells.shape == (2, SIDE // CELL_PX, SIDE // CELL_PX)
        assert not cells[0].any()
        assert 40 * 40 * 0.6 < (cells[1] == 1).sum() * CELL_PX**2 < 52 * 52 * 1.3
        assert kinds.tolist() == [0, 1]


def test_of_a_picture_of_which_only_the_kind_is_said_no_cell_is_asked_but_the_kind_is():
    for _, cells, kinds in views(SAID_OF_ALL):
        assert (cells[0][4:-4, 4:-4] == -1).mean() > 0.8
        assert not (cells[0] == 1).any()
        assert not cells[1].any()
        assert kinds.tolist() == [1, 0]


def test_a_good_picture_has_nothing_to_be_found():
    assert all(not cells.any() and not kinds.any() for _, cells, kinds in views())


def test_a_kind_of_which_nobody_says_where_on_large_pictures_teaches_nothing_and_is_refused(tmp_path):
    side = 440
    pictures = []
    for number in range(24):
        pixels = np.random.default_rng(number).integers(60, 120, (side, side)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), pixels)
        said = Truth(kind="crack", box_px=Box(0, 0, side, side))
        pictures.append(replace(a_picture(*(said,) * (number % 2), side=side), name=f"{number}.png"))
    labelled = LabelledSet(folder=tmp_path, kinds=KINDS, pictures=tuple(pictures))
    with pytest.raises(SetUnfit, match="of crack nobody says where, on pictures larger than 416 px"):
        train_from_outlines(labelled, name="a", source="a", version="1.0.0", into=tmp_path, epochs=1)
    assert "torch" not in sys.modules


@pytest.mark.parametrize("good", [0, 1, 500])
def test_an_epoch_has_enough_of_a_small_set_and_as_many_good_pieces_as_defective(good):
    (bad,), (even,) = pieces(OUTLINED), pieces()
    order = drawn_for_an_epoch([bad] * 7 + [even] * good, np.random.default_rng(0))
    assert len(order) >= LEAST_STEPS * 16
    defective = sum(number < 7 for number in order)
    assert defective * min(good, 7) == (len(order) - defective) * 7


def pitted_and_good(folder) -> LabelledSet:
    """Pieces of a spindle in the box's own detector's size, every other one with a dark pit."""
    pictures, side = [], 400
    for number in range(24):
        rng = np.random.default_rng(number)
        pixels = np.clip(rng.normal(150, 6, (side, side)), 0, 255).astype(np.uint8)
        truth = ()
        if number % 2:
            x, y = rng.integers(80, 320, 2).tolist()
            cv2.circle(pixels, (x, y), 30, 35, cv2.FILLED)
            corners = ((x - 30, y - 30), (x + 30, y - 30), (x + 30, y + 30), (x - 30, y + 30))
            truth = (Truth(kind="pits", box_px=Box(x - 30, y - 30, x + 30, y + 30), outline_px=corners),)
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
        pictures.append(replace(a_picture(*truth, side=side), name=f"{number}.png"))
    return LabelledSet(folder=folder, kinds=("pits",), pictures=tuple(pictures))


def test_the_int8_twin_of_a_model_says_what_it_costs_and_how_fast_it_is(tmp_path):
    released = ModelStore().find("ball-screw")
    release_int8(released, pitted_and_good(tmp_path), into=tmp_path / "made")
    twin = ModelStore(tmp_path / "made").find("ball-screw-int8", released.card.version)
    assert (twin.card.kinds, twin.card.input_hw) == (released.card.kinds, released.card.input_hw)
    assert len(twin.network) < 0.4 * len(released.network)
    assert twin.card.measured[0].auroc >= 0.99
    assert twin.card.latency.float_ms > twin.card.latency.ms
    assert "AUROC" in twin.card.export_parity


def test_an_int8_twin_that_costs_too_much_is_not_released(tmp_path, monkeypatch):
    """As where a network's numbers do not bear it: this one answers as if it had learned nothing."""
    released = ModelStore().find("ball-screw")
    deaf = onnx.load_from_string(released.network)
    for one in deaf.graph.initializer:
        if one.name.endswith(".weight"):
            one.CopyFrom(onnx.numpy_helper.from_array(np.zeros(tuple(one.dims), np.float32), one.name))
    monkeypatch.setattr(outlined, "quantised", lambda network, inputs: deaf.SerializeToString())
    with pytest.raises(RuntimeError, match=r"int8 costs 0\.5\d* of AUROC, allowed 0\.01"):
        release_int8(released, pitted_and_good(tmp_path), into=tmp_path / "made")
    assert not (tmp_path / "made").exists()
