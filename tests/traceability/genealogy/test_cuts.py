"""A place on the strip survives the way to the child and back: laws, and the drawn example of docs/genealogy.md."""

from __future__ import annotations

from dataclasses import replace
from math import hypot

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.types import Box
from traceability.genealogy.cuts import Cut, Face, Region, downwards, upwards


def spans(longest: float) -> st.SearchStrategy[tuple[float, float]]:
    """A stretch of at least a millimetre."""
    return st.tuples(st.floats(0, longest - 1), st.floats(1, longest)).map(
        lambda one: (one[0], max(one[0] + 1, one[1]))
    )


boxes = st.builds(lambda x, y: Box(x[0], y[0], x[1], y[1]), spans(2_000.0), spans(100_000.0))
cuts = st.builds(
    Cut,
    parent_mm=boxes,
    child_mm=boxes,
    is_reversed=st.booleans(),
    is_mirrored=st.booleans(),
    is_turned=st.booleans(),
    is_flipped=st.booleans(),
    sigma_x_mm=st.floats(0, 5),
    sigma_y_mm=st.floats(0, 50),
)
shares = st.tuples(st.floats(0, 1), st.floats(0, 1))


def a_place(box: Box, share: tuple[float, float]) -> tuple[float, float]:
    return box.x1 + share[0] * box.width, box.y1 + share[1] * box.height


# Two stretches of 1 mm and 100 m in one map lose five digits of the fifteen that a double has.
NEAR = 1e-3


@given(cuts, shares)
def test_a_place_survives_the_way_to_the_parent_and_back(cut, share):
    x, y = a_place(cut.child_mm, share)
    assert cut.to_child(*cut.to_parent(x, y)) == pytest.approx((x, y), abs=NEAR)


@given(cuts, shares)
def test_a_place_on_what_was_cut_lies_on_the_parents_rectangle(cut, share):
    x, y = cut.to_parent(*a_place(cut.child_mm, share))
    assert cut.parent_mm.x1 - NEAR <= x <= cut.parent_mm.x2 + NEAR
    assert cut.parent_mm.y1 - NEAR <= y <= cut.parent_mm.y2 + NEAR


@given(cuts, shares, st.sampled_from([None, *Face]))
def test_a_region_carried_up_comes_down_where_it_was_with_the_error_of_both_ways(cut, share, face):
    x, y = a_place(cut.child_mm, share)
    up = upwards(Region(box_mm=Box(x, y, x, y), face=face), cut)
    assert up is not None
    down = downwards(up, cut)
    assert down is not None
    assert (down.box_mm.x1, down.box_mm.y1) == pytest.approx((x, y), abs=NEAR)
    assert down.face == face
    per_x, per_y = cut.parent_per_child
    across, along = (
        hypot(cut.sigma_x_mm, cut.sigma_x_mm) / per_x,
        hypot(cut.sigma_y_mm, cut.sigma_y_mm) / per_y,
    )
    expected = (along, across) if cut.is_turned else (across, along)
    assert (down.sigma_x_mm, down.sigma_y_mm) == pytest.approx(expected)


@st.composite
def chains(draw: st.DrawFn) -> list[Cut]:
    """Cuts one below the other: each takes from inside what the one before it made. Rolled at most fourfold."""
    made: list[Cut] = []
    outer = Box(0.0, 0.0, 1_500.0, 50_000.0)
    for _ in range(draw(st.integers(1, 6))):
        low, high = draw(st.floats(0, 0.4)), draw(st.floats(0.6, 1))
        parent = Box(
            outer.x1 + low * outer.width,
            outer.y1 + low * outer.height,
            outer.x1 + high * outer.width,
            outer.y1 + high * outer.height,
        )
        is_turned = draw(st.booleans())
        across, along = parent.width, parent.height * draw(st.floats(0.5, 4))
        child = Box(0, 0, along, across) if is_turned else Box(0, 0, across, along)
        made.append(
            Cut(
                parent_mm=parent,
                child_mm=child,
                is_reversed=draw(st.booleans()),
                is_mirrored=draw(st.booleans()),
                is_turned=is_turned,
                is_flipped=draw(st.booleans()),
                sigma_x_mm=draw(st.floats(0, 2)),
                sigma_y_mm=draw(st.floats(0, 20)),
            )
        )
        outer = child
    return made


@given(chains(), shares)
def test_a_place_survives_any_chain_of_cuts_and_back(chain, share):
    x, y = a_place(chain[-1].child_mm, share)
    region: Region | None = Region(box_mm=Box(x, y, x, y))
    for cut in reversed(chain):
        assert region is not None
        region = upwards(region, cut)
    for cut in chain:
        assert region is not None
        region = downwards(region, cut)
    assert region is not None
    assert (region.box_mm.x1, region.box_mm.y1) == pytest.approx((x, y), abs=NEAR)


@given(chains(), shares, st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), min_size=6, max_size=6))
def test_a_place_is_found_within_the_stated_uncertainty_when_every_cut_was_off(chain, share, off):
    """Each cut was truly made a few of its standard errors beside where the record has it."""
    x, y = a_place(chain[-1].child_mm, share)
    stated: Region | None = Region(box_mm=Box(x, y, x, y))
    true_x, true_y = x, y
    bound_x = bound_y = 0.0
    for cut, (off_x, off_y) in zip(reversed(chain), off, strict=False):
        assert stated is not None
        stated = upwards(stated, cut)
        true_x, true_y = cut.to_parent(true_x, true_y)
        true_x, true_y = true_x + off_x * cut.sigma_x_mm, true_y + off_y * cut.sigma_y_mm
        per_x, per_y = cut.parent_per_child
        if cut.is_turned:
            bound_x, bound_y = bound_y, bound_x
        # Errors of at most three sigmas each add up to no more than this, whatever their signs.
        bound_x, bound_y = bound_x * per_x + 3 * cut.sigma_x_mm, bound_y * per_y + 3 * cut.sigma_y_mm
    assert stated is not None
    assert abs(stated.box_mm.x1 - true_x) <= bound_x + NEAR
    assert abs(stated.box_mm.y1 - true_y) <= bound_y + NEAR
    # In quadrature is never more than the plain sum, and at least its root-n part.
    n = len(chain)
    assert bound_x / 3 / n**0.5 - NEAR <= stated.sigma_x_mm <= bound_x / 3 + NEAR
    assert bound_y / 3 / n**0.5 - NEAR <= stated.sigma_y_mm <= bound_y / 3 + NEAR


def test_the_uncertainty_is_that_of_many_cuts_truly_off():
    """The stated standard error against the spread of 20 000 drawn ways through two cuts, one of them rolled."""
    import numpy as np

    first = Cut(parent_mm=Box(0, 0, 100, 1000), child_mm=Box(0, 0, 100, 3000), sigma_y_mm=9.0)
    second = Cut(parent_mm=Box(0, 500, 100, 2500), child_mm=Box(0, 0, 100, 2000), sigma_y_mm=12.0)
    region = upwards(Region(box_mm=Box(50, 700, 50, 700)), second)
    assert region is not None
    region = upwards(region, first)
    assert region is not None
    draw = np.random.default_rng(7).normal(size=(2, 20_000))
    on_second = second.to_parent(50, 700)[1] + 12.0 * draw[0]
    on_first = on_second / 3 + 9.0 * draw[1]
    assert region.box_mm.y1 == pytest.approx(400)
    assert region.sigma_y_mm == pytest.approx(hypot(4, 9))
    # Of 20 000 draws the spread is known to 0.5 % (one standard error).
    assert on_first.std() == pytest.approx(region.sigma_y_mm, rel=0.02)


def test_a_reversed_cut_has_its_head_at_the_parents_far_end():
    cut = Cut(parent_mm=Box(0, 1000, 600, 5000), child_mm=Box(0, 0, 600, 4000), is_reversed=True)
    assert cut.to_parent(100, 0) == (100, 5000)
    assert cut.to_parent(100, 4000) == (100, 1000)


def test_a_mirrored_slit_has_its_operator_side_at_the_parents_drive_side():
    cut = Cut(parent_mm=Box(600, 0, 1200, 5000), child_mm=Box(0, 0, 600, 5000), is_mirrored=True)
    assert cut.to_parent(0, 10) == (1200, 10)
    assert cut.to_parent(600, 10) == (600, 10)


def test_rolling_to_half_the_thickness_makes_two_millimetres_of_one():
    cut = Cut(parent_mm=Box(0, 0, 1200, 5000), child_mm=Box(0, 0, 1200, 10_000))
    assert cut.to_parent(300, 8000) == (300, 4000)
    assert cut.parent_per_child == (1, 0.5)


def test_a_turned_blank_lies_with_its_length_across_the_strip():
    cut = Cut(parent_mm=Box(0, 2000, 1000, 2400), child_mm=Box(0, 0, 400, 1000), is_turned=True)
    assert cut.to_parent(100, 900) == (900, 2100)
    assert cut.to_child(900, 2100) == (100, 900)


def test_a_cut_turned_over_shows_the_other_face():
    cut = Cut(parent_mm=Box(0, 0, 10, 10), child_mm=Box(0, 0, 10, 10), is_flipped=True)
    up = upwards(Region(box_mm=Box(1, 1, 2, 2), face=Face.TOP), cut)
    assert up is not None
    assert up.face is Face.BOTTOM


def test_a_defect_on_the_knife_is_on_both_sides_and_one_beside_it_on_one():
    left = Cut(parent_mm=Box(0, 0, 600, 1000), child_mm=Box(0, 0, 600, 1000))
    right = Cut(parent_mm=Box(600, 0, 1200, 1000), child_mm=Box(0, 0, 600, 1000))
    across = Region(box_mm=Box(590, 10, 610, 20))
    beside = Region(box_mm=Box(590, 10, 600, 20))
    assert [downwards(across, cut) is None for cut in (left, right)] == [False, False]
    assert [downwards(beside, cut) is None for cut in (left, right)] == [False, True]


def test_what_was_cropped_is_on_no_child():
    cut = Cut(parent_mm=Box(0, 500, 600, 1000), child_mm=Box(0, 0, 600, 500))
    assert downwards(Region(box_mm=Box(0, 100, 600, 400)), cut) is None


def test_a_defect_near_a_cut_is_at_risk_by_how_sure_the_cut_is():
    """3 mm before the cut with 5 mm of standard error, the defect lies beyond it with probability Φ(-0.6) = 0.274."""
    cut = Cut(parent_mm=Box(0, 1000, 600, 9000), child_mm=Box(0, 0, 600, 8000), sigma_y_mm=5.0)
    found = downwards(Region(box_mm=Box(100, 990, 101, 997)), cut)
    assert found is not None
    assert found.probability == pytest.approx(0.2743, abs=1e-4)  # of the table of the normal distribution


def test_a_grandchild_is_never_at_more_risk_than_its_parent():
    cut = Cut(parent_mm=Box(0, 1000, 600, 9000), child_mm=Box(0, 0, 600, 8000), sigma_y_mm=5.0)
    child = downwards(Region(box_mm=Box(100, 990, 101, 997)), cut)
    assert child is not None
    whole = Cut(parent_mm=Box(0, 0, 600, 8000), child_mm=Box(0, 0, 600, 8000))
    grandchild = downwards(child, whole)
    assert grandchild is not None
    assert grandchild.probability <= child.probability


@pytest.mark.parametrize("box", [Box(0, 0, 0, 10), Box(5, 0, 1, 10), Box(0, 0, float("nan"), 10)])
def test_a_cut_without_an_area_is_a_mistake_of_the_caller(box):
    with pytest.raises(ValueError, match="cut needs"):
        Cut(parent_mm=box, child_mm=Box(0, 0, 1, 1))


def test_an_error_that_is_none_is_a_mistake_of_the_caller():
    good = Cut(parent_mm=Box(0, 0, 1, 1), child_mm=Box(0, 0, 1, 1))
    with pytest.raises(ValueError, match="standard errors"):
        replace(good, sigma_x_mm=-1.0)
