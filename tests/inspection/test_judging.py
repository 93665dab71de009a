from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.judging import grade_of, judge, judge_defect, judge_measurements, judge_unit
from inspection.types import Box, Defect, Grade, Limit, Repeat, Tolerance, Verdict, Zone
from tests.builders import a_measurement

EDGE = Zone(name="edge", edge_within_mm=25)
BODY = Zone(name="body", edge_beyond_mm=25)
SEAL = Zone(name="seal", box_mm=Box(100, 100, 200, 200))


def a_limit(measure: str = "length_mm", **overrides) -> Limit:
    return Limit(
        **{
            "kinds": frozenset({"scratch"}),
            "measure": measure,
            "review_from": None,
            "reject_from": None,
            **overrides,
        }
    )


SCRATCH = [a_limit(review_from=2.0, reject_from=5.0)]
TOLERANT = a_limit(reject_from=1000)


def a_scratch(
    length_mm: float | None,
    score: float = 0.9,
    *,
    x_mm: float = 0.0,
    y_mm: float = 0.0,
    kind: str = "scratch",
    edge_near_mm: float | None = None,
    edge_far_mm: float | None = None,
) -> Defect:
    return Defect(
        kind=kind,
        score=score,
        box_px=Box(0, 0, 10, 10),
        box_mm=None if length_mm is None else Box(x_mm, y_mm, x_mm + length_mm, y_mm + 0.1),
        camera="top",
        sequence=0,
        edge_near_mm=edge_near_mm,
        edge_far_mm=edge_far_mm,
    )


def test_no_defect_is_accepted():
    assert judge([], SCRATCH) is Verdict.ACCEPT


def test_a_defect_just_below_the_limit_passes_and_one_exactly_on_it_does_not():
    assert judge_defect(a_scratch(1.999), SCRATCH) is Verdict.ACCEPT
    assert judge_defect(a_scratch(2.0), SCRATCH) is Verdict.REVIEW
    assert judge_defect(a_scratch(5.0), SCRATCH) is Verdict.REJECT


def test_a_kind_nobody_set_a_limit_for_goes_to_review():
    assert judge_defect(a_scratch(0.1), []) is Verdict.REVIEW


def test_a_limit_in_millimetres_on_a_surface_of_unknown_scale_goes_to_review():
    assert judge_defect(a_scratch(None), SCRATCH) is Verdict.REVIEW


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_a_value_that_is_no_number_goes_to_review_at_least(value):
    assert judge_defect(a_scratch(0.1, score=value), [a_limit("score", review_from=0.5)]) >= Verdict.REVIEW
    assert judge_defect(a_scratch(value), SCRATCH) >= Verdict.REVIEW
    assert (
        judge_unit([a_scratch(value, y_mm=value)], [TOLERANT, a_limit("per_m", reject_from=9)])
        >= Verdict.REVIEW
    )


def test_many_small_defects_refuse_a_unit_that_each_alone_would_not():
    limits = [*SCRATCH, a_limit("count", reject_from=3)]
    few, many = [a_scratch(0.1)] * 2, [a_scratch(0.1)] * 3
    assert judge_unit(few, limits) is Verdict.ACCEPT
    assert judge_unit(many, limits) is Verdict.REJECT
    assert judge(many, limits) is Verdict.ACCEPT


def test_small_defects_are_not_counted_where_only_large_ones_count():
    limits = [TOLERANT, a_limit("count", min_length_mm=1.0, reject_from=2)]
    assert judge_unit([a_scratch(0.5)] * 5, limits) is Verdict.ACCEPT
    assert judge_unit([a_scratch(1.0)] * 2, limits) is Verdict.REJECT


def test_a_size_nobody_knows_is_counted_as_large():
    limits = [a_limit("score", reject_from=2), a_limit("count", min_length_mm=1.0, reject_from=2)]
    assert judge_unit([a_scratch(None)] * 2, limits) is Verdict.REJECT


def test_kinds_of_one_severity_are_counted_together():
    both = frozenset({"scratch", "pits"})
    limits = [a_limit(kinds=both, reject_from=1000), a_limit("count", kinds=both, reject_from=2)]
    assert judge_unit([a_scratch(1), a_scratch(1, kind="pits")], limits) is Verdict.REJECT


def test_defects_are_dense_where_one_metre_shows_many_whatever_the_length_of_the_strip():
    limits = [TOLERANT, a_limit("per_m", reject_from=3)]
    spread = [a_scratch(1, y_mm=y) for y in (0, 600, 1200, 1800, 2400)]
    crowd = [a_scratch(1, y_mm=y) for y in (50_000, 50_400, 50_999)]
    assert judge_unit(spread, limits) is Verdict.ACCEPT
    assert judge_unit([*spread, *crowd], limits) is Verdict.REJECT


def test_density_on_a_surface_of_unknown_scale_goes_to_review():
    limits = [a_limit("score", reject_from=2), a_limit("per_m", reject_from=3)]
    assert judge_unit([a_scratch(None)], limits) is Verdict.REVIEW
    assert judge_unit([a_scratch(None)] * 3, limits) is Verdict.REJECT
    assert judge_unit([], limits) is Verdict.ACCEPT


def test_a_limit_for_the_edge_speaks_only_of_defects_that_reach_it():
    limits = [TOLERANT, a_limit(zone=EDGE, reject_from=2)]
    inside = a_scratch(10, edge_near_mm=25.1, edge_far_mm=35.1)
    across = a_scratch(10, edge_near_mm=25, edge_far_mm=35)
    assert judge_defect(inside, limits) is Verdict.ACCEPT
    assert judge_defect(across, limits) is Verdict.REJECT


def test_a_limit_for_the_body_speaks_of_what_reaches_into_it():
    limits = [TOLERANT, a_limit(zone=BODY, reject_from=2)]
    assert judge_defect(a_scratch(10, edge_near_mm=3, edge_far_mm=13), limits) is Verdict.ACCEPT
    assert judge_defect(a_scratch(10, edge_near_mm=20, edge_far_mm=30), limits) is Verdict.REJECT


def test_a_defect_whose_distance_from_the_edge_is_unknown_goes_to_review_where_that_matters():
    limits = [TOLERANT, a_limit(zone=EDGE, reject_from=50)]
    assert judge_defect(a_scratch(10), limits) is Verdict.REVIEW
    assert judge_defect(a_scratch(60), limits) is Verdict.REJECT


def test_a_rectangle_of_the_surface_has_limits_of_its_own():
    limits = [TOLERANT, a_limit(zone=SEAL, reject_from=1)]
    assert judge_defect(a_scratch(10, x_mm=80, y_mm=150), limits) is Verdict.ACCEPT
    assert judge_defect(a_scratch(21, x_mm=80, y_mm=150), limits) is Verdict.REJECT


def test_limits_for_a_zone_alone_let_nothing_pass():
    limits = [a_limit(zone=EDGE, reject_from=50)]
    assert judge_defect(a_scratch(1, edge_near_mm=100, edge_far_mm=101), limits) is Verdict.REVIEW
    assert judge_defect(a_scratch(1, edge_near_mm=1, edge_far_mm=2), limits) is Verdict.REVIEW


def a_repeat(hits: int = 8, kind: str = "scratch") -> Repeat:
    return Repeat(
        kind=kind,
        x_mm=100,
        period_mm=1885,
        period_error_mm=0.5,
        first_mm=0,
        last_mm=1885.0 * hits,
        hits=hits,
        missed=0,
        chance=1e-6,
    )


def test_a_mark_that_comes_again_refuses_a_unit_from_so_many_times_on():
    limits = [TOLERANT, a_limit("repeat_hits", review_from=1, reject_from=9)]
    assert judge_unit([], limits, [a_repeat(8)]) is Verdict.REVIEW
    assert judge_unit([], limits, [a_repeat(8), a_repeat(9)]) is Verdict.REJECT


def test_a_repeat_nobody_set_a_limit_for_goes_to_review():
    assert judge_unit([], [TOLERANT], [a_repeat()]) is Verdict.REVIEW


def test_a_limit_on_repeats_lets_no_defect_pass():
    assert judge_defect(a_scratch(1), [a_limit("repeat_hits", reject_from=5)]) is Verdict.REVIEW


def test_a_grade_may_allow_no_repeat():
    a = Grade(name="A", limits=(a_limit("repeat_hits", reject_from=1),))
    assert grade_of([], [a]) is a
    assert grade_of([], [a], [a_repeat()]) is None


# --- laws

lengths = st.one_of(st.none(), st.floats(0, 100))
bounds = st.one_of(st.none(), st.floats(0, 100))


@st.composite
def any_defect(draw):
    near = draw(st.one_of(st.none(), st.floats(-10, 200)))
    return a_scratch(
        draw(lengths),
        draw(st.floats(0, 1)),
        x_mm=draw(st.floats(0, 300)),
        y_mm=draw(st.floats(0, 5000)),
        kind=draw(st.sampled_from(["scratch", "pits", "new"])),
        edge_near_mm=near,
        edge_far_mm=None if near is None else near + draw(st.floats(0, 100)),
    )


@st.composite
def any_limit(draw):
    return a_limit(
        draw(st.sampled_from(["score", "length_mm", "area_mm2", "count", "per_m"])),
        kinds=frozenset(draw(st.sets(st.sampled_from(["scratch", "pits"]), min_size=1))),
        review_from=draw(bounds),
        reject_from=draw(bounds),
        zone=draw(st.sampled_from([None, EDGE, BODY, SEAL])),
        min_length_mm=draw(bounds),
    )


some_defects = st.lists(any_defect(), max_size=8)
some_limits = st.lists(any_limit(), max_size=6)
some_grades = st.lists(some_limits.map(lambda limits: Grade(name="A", limits=tuple(limits))), max_size=3)


def rank(defects, grades) -> int:
    """Which of the grades a unit has, counted from the best; one more than there are where none fits."""
    found = grade_of(defects, grades)
    return len(grades) if found is None else next(i for i, grade in enumerate(grades) if grade is found)


def grown(defect: Defect, by_mm: float) -> Defect:
    """The same defect, but larger on every side, as far as its size is known."""
    box, near, far = defect.box_mm, defect.edge_near_mm, defect.edge_far_mm
    return replace(
        defect,
        box_mm=None if box is None else Box(box.x1 - by_mm, box.y1 - by_mm, box.x2 + by_mm, box.y2 + by_mm),
        edge_near_mm=None if near is None else near - by_mm,
        edge_far_mm=None if far is None else far + by_mm,
    )


@given(some_defects, some_limits, some_grades, st.randoms())
def test_neither_verdict_nor_grade_depends_on_the_order_of_the_defects(defects, limits, grades, random):
    shuffled = random.sample(defects, len(defects))
    assert judge_unit(defects, limits) is judge_unit(shuffled, limits)
    assert rank(defects, grades) == rank(shuffled, grades)


@given(some_defects, any_defect(), some_limits, some_grades)
def test_one_more_defect_never_makes_a_verdict_milder_or_a_grade_better(defects, more, limits, grades):
    assert judge_unit([*defects, more], limits) >= judge_unit(defects, limits)
    assert rank([*defects, more], grades) >= rank(defects, grades)


@given(some_defects, some_limits, some_grades, st.floats(0, 50), st.data())
def test_a_larger_defect_never_makes_a_verdict_milder_or_a_grade_better(defects, limits, grades, by_mm, data):
    if not defects:
        return
    at = data.draw(st.integers(0, len(defects) - 1))
    larger = [*defects[:at], grown(defects[at], by_mm), *defects[at + 1 :]]
    assert judge_unit(larger, limits) >= judge_unit(defects, limits)
    assert rank(larger, grades) >= rank(defects, grades)


@given(some_defects, some_limits, any_limit())
def test_one_more_special_limit_never_makes_a_verdict_milder(defects, limits, more):
    # A general limit may: it says for the first time that a kind may pass.
    special = more if not more.is_general else replace(more, zone=EDGE)
    assert judge_unit(defects, [*limits, special]) >= judge_unit(defects, limits)


@given(any_defect(), some_limits)
def test_what_no_general_limit_covers_never_passes(defect, limits):
    if not any(limit.is_general and defect.kind in limit.kinds for limit in limits):
        assert judge_defect(defect, limits) >= Verdict.REVIEW


def test_a_unit_has_the_best_grade_whose_limits_it_stays_below():
    a = Grade(name="A", limits=(a_limit("count", reject_from=1),))
    b = Grade(name="B", limits=(a_limit(reject_from=5), a_limit("count", reject_from=3)))
    assert grade_of([], [a, b]) is a
    assert grade_of([a_scratch(4)], [a, b]) is b
    assert grade_of([a_scratch(6)], [a, b]) is None
    assert grade_of([a_scratch(None)], [a, b]) is None


# --- measurements --------------------------------------------------------------------------------------

WIDTH = Tolerance(name="width", lower=10.0, upper=20.0)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (15.0, Verdict.ACCEPT),
        (10.2, Verdict.ACCEPT),
        (10.1, Verdict.REVIEW),
        (9.9, Verdict.REVIEW),
        (9.7, Verdict.REJECT),
        (19.8, Verdict.ACCEPT),
        (20.1, Verdict.REVIEW),
        (20.3, Verdict.REJECT),
        (nan, Verdict.REVIEW),
        (inf, Verdict.REVIEW),
    ],
)
def test_a_size_near_its_limit_by_less_than_it_is_known_goes_to_review(value, verdict):
    assert judge_measurements([a_measurement(value=value, uncertainty=0.1)], [WIDTH]) is verdict


def test_a_size_that_was_not_measured_goes_to_review():
    assert judge_measurements([a_measurement(name="length")], [WIDTH]) is Verdict.REVIEW
    assert judge_measurements([], []) is Verdict.ACCEPT


def test_a_size_of_unknown_uncertainty_that_is_no_number_goes_to_review():
    assert judge_measurements([a_measurement(value=15.0, uncertainty=nan)], [WIDTH]) is Verdict.REVIEW
    assert judge_measurements([a_measurement(value=15.0, uncertainty=None)], [WIDTH]) is Verdict.ACCEPT


@settings(deadline=None)
@given(st.floats(0, 30), st.floats(0, 3), st.floats(0, 3))
def test_less_certainty_never_accepts_or_refuses_what_more_did_not(value, uncertainty, more):
    sure = judge_measurements([a_measurement(value=value, uncertainty=uncertainty)], [WIDTH])
    unsure = judge_measurements([a_measurement(value=value, uncertainty=uncertainty + more)], [WIDTH])
    assert unsure in (sure, Verdict.REVIEW)


@settings(deadline=None)
@given(st.floats(0, 30), st.floats(0, 2), st.floats(0, 5))
def test_a_narrower_tolerance_is_never_milder(value, uncertainty, by):
    narrow = Tolerance(name="width", lower=10.0 + by / 2, upper=20.0 - by / 2)
    measured = [a_measurement(value=value, uncertainty=uncertainty)]
    assert judge_measurements(measured, [narrow]) >= judge_measurements(measured, [WIDTH])


def test_a_limit_for_one_view_says_nothing_about_what_another_shows():
    """So there it has no limit, and goes to review."""
    tolerant = a_limit(reject_from=100.0, view="top")
    defect = a_scratch(10)
    assert judge_defect(replace(defect, camera="top"), [tolerant]) is Verdict.ACCEPT
    assert judge_defect(replace(defect, camera="side"), [tolerant]) is Verdict.REVIEW


def test_a_count_for_one_view_counts_what_that_view_shows():
    count = a_limit("count", reject_from=2, view="top")
    seen = [replace(a_scratch(1), camera=view) for view in ("top", "side")]
    assert judge_unit(seen, [TOLERANT, count]) is Verdict.ACCEPT
    assert judge_unit([seen[0], seen[0]], [TOLERANT, count]) is Verdict.REJECT
