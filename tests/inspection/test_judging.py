from hypothesis import given
from hypothesis import strategies as st

from inspection.judging import judge, judge_defect, judge_unit
from inspection.types import Box, Defect, Limit, Verdict

SCRATCH = [Limit(kind="scratch", measure="length_mm", review_from=2.0, reject_from=5.0)]


def a_scratch(length_mm: float | None, score: float = 0.9) -> Defect:
    return Defect(
        kind="scratch",
        score=score,
        box_px=Box(0, 0, 10, 10),
        box_mm=None if length_mm is None else Box(0, 0, length_mm, 0.1),
        camera="top",
        sequence=0,
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


def test_many_small_defects_refuse_a_unit_that_each_alone_would_not():
    limits = [*SCRATCH, Limit(kind="scratch", measure="count", review_from=None, reject_from=3)]
    few, many = [a_scratch(0.1)] * 2, [a_scratch(0.1)] * 3
    assert judge_unit(few, limits) is Verdict.ACCEPT
    assert judge_unit(many, limits) is Verdict.REJECT
    assert judge(many, limits) is Verdict.ACCEPT


@given(st.lists(st.floats(0, 100)), st.randoms())
def test_the_verdict_does_not_depend_on_the_order_of_the_defects(lengths, random):
    defects = [a_scratch(length) for length in lengths]
    shuffled = random.sample(defects, len(defects))
    assert judge(defects, SCRATCH) is judge(shuffled, SCRATCH)


@given(st.lists(st.floats(0, 100)), st.floats(0, 100))
def test_one_more_defect_never_makes_a_verdict_milder(lengths, more):
    defects = [a_scratch(length) for length in lengths]
    assert judge([*defects, a_scratch(more)], SCRATCH) >= judge(defects, SCRATCH)
