from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.types import Box, Piece, Stretch
from services.web.strip_map import LEAST_MARK, MOST_MARKS, pictured, strip_map
from tests.builders import a_defect, a_strip_map


def drawn(strip, *defects):
    return strip_map(strip, defects, href=lambda number, defect: f"#{number}")


@given(
    st.floats(1, 2_000_000),
    st.lists(st.tuples(st.floats(-1, 2), st.floats(-1, 2), st.floats(0, 2), st.floats(0, 2)), max_size=8),
)
def test_every_defect_is_drawn_where_it_lies_and_large_enough_to_be_seen(length_mm, places):
    strip = a_strip_map(length_mm=length_mm, head=None, tail=None, unseen=(), edges=(), repeats=())
    defects = [
        a_defect(box_mm=Box(400 * x, length_mm * y, 400 * (x + wide), length_mm * (y + long)))
        for x, y, wide, long in places
    ]
    shown = drawn(strip, *defects)
    assert [mark.number for mark in shown.marks] == list(range(1, len(defects) + 1))
    view = shown.view
    for mark, (x, y, wide, long) in zip(shown.marks, places, strict=True):
        area = mark.area
        assert area.width >= LEAST_MARK
        assert area.height >= LEAST_MARK
        middle = (min(max(y, 0), 1) + min(max(y + long, 0), 1)) / 2
        assert area.x + area.width / 2 == pytest.approx(view.x + middle * view.width, abs=0.02)
        across = (min(max(x, 0), 1) + min(max(x + wide, 0), 1)) / 2
        assert area.y + area.height / 2 == pytest.approx(view.y + across * view.height, abs=0.02)


def test_head_tail_and_what_nobody_saw_have_their_places():
    shown = drawn(a_strip_map())
    scale = shown.view.width / 60_000
    assert shown.head.width == pytest.approx(500 * scale, abs=0.02)
    assert shown.tail.x + shown.tail.width == pytest.approx(shown.view.x + shown.view.width, abs=0.02)
    (unseen,) = shown.unseen
    assert unseen.x == pytest.approx(shown.view.x + 20_000 * scale, abs=0.02)


def test_the_strip_is_drawn_between_its_edges_from_end_to_end():
    shown = drawn(a_strip_map())
    points = [tuple(map(float, point.split(","))) for point in shown.outline.split()]
    assert len(points) == 2 * (4 + 2)
    assert {points[0][0], points[-1][0]} == {shown.view.x}
    assert points[5][0] == shown.view.x + shown.view.width
    assert min(y for _, y in points) > shown.view.y


def test_a_repeat_has_a_place_for_every_turn_found_or_missed():
    (line,) = drawn(a_strip_map()).lines
    assert len(line.turns) == 10
    assert line.turns[0] == line.x_from
    assert line.turns[-1] == pytest.approx(line.x_to, abs=0.02)


def test_of_too_many_defects_the_largest_are_drawn_and_the_rest_counted():
    small = [a_defect(box_mm=Box(0, number, 1, number + 1)) for number in range(MOST_MARKS)]
    large = [a_defect(box_mm=Box(0, 50_000, 100, 50_100)) for _ in range(5)]
    shown = drawn(a_strip_map(), *small, *large)
    assert len(shown.marks) == MOST_MARKS
    assert shown.not_drawn == 5
    assert {mark.number for mark in shown.marks} >= set(range(MOST_MARKS + 1, MOST_MARKS + 6))


def test_a_defect_in_the_head_is_drawn_as_not_judged():
    inside, across = a_defect(box_mm=Box(0, 10, 5, 400)), a_defect(box_mm=Box(0, 10, 5, 501))
    assert [mark.is_judged for mark in drawn(a_strip_map(), inside, across).marks] == [False, True]


@pytest.mark.parametrize(
    ("length_mm", "ticks", "in_metres"),
    [
        (2400, ["0", "0.5", "1", "1.5", "2"], True),
        (1500, ["0", "200", "400", "600", "800", "1000", "1200", "1400"], False),
        (1_000_000, ["0", "100", "200", "300", "400", "500", "600", "700", "800", "900", "1000"], True),
    ],
)
def test_lengths_are_marked_at_round_values(length_mm, ticks, in_metres):
    strip = a_strip_map(length_mm=float(length_mm), edges=(), unseen=(), head=None, tail=None, repeats=())
    shown = drawn(strip)
    assert [tick.text for tick in shown.along] == ticks
    assert shown.along_in_metres is in_metres


def test_a_coil_of_which_nothing_was_placed_has_no_map():
    assert drawn(a_strip_map(length_mm=0.0)) is None


def test_a_defect_leads_to_the_picture_that_shows_most_of_it():
    defect = a_defect(sequence=7, pieces=(Piece(sequence=8, box_px=Box(0, 0, 1, 1)),))
    assert pictured(defect, {("top", 7): "seven", ("top", 8): "eight"}) == "seven"
    assert pictured(defect, {("top", 8): "eight"}) == "eight"
    assert pictured(defect, {("top", 9): "nine", ("side", 7): "other"}) is None
    assert pictured(replace(defect, camera="side"), {("top", 7): "seven"}) is None


def test_a_stretch_too_short_to_see_is_drawn_all_the_same():
    (unseen,) = drawn(a_strip_map(unseen=(Stretch(from_mm=100, to_mm=101),))).unseen
    assert unseen.width >= 1
