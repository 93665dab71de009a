"""Pieces of parts as a network that learns is shown them."""

from __future__ import annotations

import numpy as np
import pytest

from models.training import pieces
from models.training.segment import CELL_PX
from tests.models.drawn_metal import surface

CELLS = pieces.PIECE_PX // CELL_PX


@pytest.mark.parametrize("hw", [(256, 256), (90, 300), (110, 100), (400, 630)])
def test_a_piece_has_its_size_and_shows_the_part_whatever_the_size_of_the_part(hw):
    rng = np.random.default_rng(0)
    part = np.resize(surface(1), hw)
    for _ in range(60):
        seen, inside = pieces.cut(part, rng)
        assert seen.shape == inside.shape == (pieces.PIECE_PX, pieces.PIECE_PX)
        assert inside.mean() > 0.05


def test_a_rim_is_shown_more_often_than_by_chance():
    rng = np.random.default_rng(0)
    part = np.full((600, 600), 90, np.uint8)
    # A piece is a third of the part: that it shows a rim by chance is rare.
    assert np.mean([not pieces.cut(part, rng)[1].all() for _ in range(200)]) > 0.2


def asked(mark, *, inside=None):
    shape = (pieces.PIECE_PX, pieces.PIECE_PX)
    inside = np.ones(shape, np.bool_) if inside is None else inside
    seen = np.full(shape, 90, np.float32)
    return pieces.view(seen, inside, {"hole": mark}, ("crack", "hole"), np.random.default_rng(0))


def test_a_defect_is_asked_for_where_it_covers_a_cell_and_nothing_is_where_it_only_touches_one():
    mark = np.zeros((pieces.PIECE_PX, pieces.PIECE_PX), np.uint8)
    mark[40:48, 40:49] = 255
    shown, cells, kinds = asked(mark)
    assert (shown.dtype, shown.shape, cells.shape) == (np.float32, mark.shape, (2, CELLS, CELLS))
    assert (cells[1, 10:12, 10:12] == 1).all()
    # A quarter of a cell is asked for, a pixel of sixteen is not.
    assert (cells[1, 10:12, 12] == 1).all()
    mark[40:48, 48] = 0
    mark[40, 48] = 255
    assert asked(mark)[1][1, 10, 12] == -1
    assert not cells[0].any()
    assert kinds.tolist() == [0, 1]


def test_beside_the_part_there_is_grey_and_no_defect():
    mark = np.full((pieces.PIECE_PX, pieces.PIECE_PX), 255, np.uint8)
    inside = np.zeros(mark.shape, np.bool_)
    inside[:80] = True
    shown, cells, _ = asked(mark, inside=inside)
    assert shown[80:] == pytest.approx(114 / 255)
    assert (cells[1, :20] == 1).all()
    assert not cells[1, 20:].any()


def test_of_a_defect_that_is_only_just_in_sight_nobody_can_say_whether_it_is_shown():
    mark = np.zeros((pieces.PIECE_PX, pieces.PIECE_PX), np.uint8)
    mark[:4, :4] = 255
    assert asked(mark)[2].tolist() == [0, -1]
