"""What networks learn from where nobody has photographed enough defects: families of them, drawn onto good parts."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.training.drawn_defects import FAMILIES, with_defects
from tests.models.drawn_metal import surface

PX = 160


def a_piece(*, whole: bool):
    """The middle of a part, or its right rim, with what lies beyond it."""
    seen = surface(1)[:PX, :PX].astype(np.float32)
    inside = np.ones((PX, PX), np.bool_)
    if not whole:
        inside[:, 120:] = False
    return seen, inside


def drawn(seed: int, *, whole: bool = True):
    seen, inside = a_piece(whole=whole)
    return with_defects(seen, inside, np.random.default_rng(seed))


def test_the_same_seed_draws_the_same_and_leaves_the_piece_it_was_given_alone():
    seen, inside = a_piece(whole=True)
    for seed in range(20):
        one, marks = with_defects(seen, inside, np.random.default_rng(seed))
        other, again = drawn(seed)
        assert np.array_equal(one, other)
        assert marks.keys() == again.keys()
    assert np.array_equal(seen, a_piece(whole=True)[0])


def test_every_family_comes_and_no_piece_has_more_than_two():
    came = [tuple(drawn(seed)[1]) for seed in range(200)]
    assert {family for some in came for family in some} >= {"hole", "crack", "zone", "smear"}
    assert {len(some) for some in came} == {1, 2}
    assert {family for seed in range(200) for family in drawn(seed, whole=False)[1]} == set(FAMILIES)


@pytest.mark.parametrize("whole", [True, False])
def test_nothing_is_changed_far_from_where_a_defect_is_marked(whole):
    before, _ = a_piece(whole=whole)
    for seed in range(100):
        after, marks = drawn(seed, whole=whole)
        marked = np.maximum.reduce(list(marks.values()))
        # Edges are soft: what is changed by little may lie beyond the mark.
        around = cv2.dilate(marked, np.ones((25, 25), np.uint8)) > 0
        assert not (np.abs(after - before)[~around] > 2).any()


def test_a_chip_hangs_on_the_rim_of_the_part():
    _, inside = a_piece(whole=False)
    at_rim = np.zeros(inside.shape, np.bool_)
    at_rim[:, 116:124] = True
    chips = [
        marks["chip"] for seed in range(200) for marks in [drawn(seed, whole=False)[1]] if "chip" in marks
    ]
    assert len(chips) > 10
    # Of a small ragged one the outline may pass its middle by.
    assert np.mean([bool((chip > 0)[at_rim].any()) for chip in chips]) > 0.9
