import itertools
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.identity import IdentifierCode
from inspection.tally import FRAME_LOST, UNACCOUNTED, VIEW_MISSING, UnitTally, judged_again, with_losses
from inspection.types import CodeReading, FrameResult, Grade, InspectionBegun, Limit, RecipeRef, Verdict
from tests.builders import a_defect

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
BEGUN = InspectionBegun(
    id=UUID(int=1),
    unit=IdentifierCode(scheme="plain", raw="C1", canon="C1"),
    station="s",
    lane="strip",
    recipe=RecipeRef(name="r", revision=1, sha256="0" * 64),
    models=(),
    started_at=NOW,
)


def a_result(verdict: Verdict, failure: str | None = None, sequence: int = 0) -> FrameResult:
    return FrameResult(
        camera="top",
        sequence=sequence,
        verdict=verdict,
        defects=(),
        measurements=(),
        timings_ms={},
        failure=failure,
    )


def a_tally(*seen: Verdict, lost: int = 0) -> UnitTally:
    """Of a unit of which these frames were seen, counted from 0, and then so many exposures lost."""
    tally = UnitTally(BEGUN, (), after=-1)
    for sequence, verdict in enumerate(seen):
        tally.due(sequence)
        tally.add(a_result(verdict, "INS-IMAGE-UNFIT" if verdict is Verdict.NOT_INSPECTED else None))
    if lost:
        tally.due(len(seen) - 1 + lost)
        tally.lost(lost, reason=FRAME_LOST)
    return tally


def test_a_unit_all_of_whose_frames_are_good_is_accepted():
    closed = a_tally(Verdict.ACCEPT, Verdict.ACCEPT).close(NOW)
    assert closed.verdict is Verdict.ACCEPT
    assert (closed.triggers, closed.unaccounted) == (2, 0)


def test_a_lost_frame_keeps_a_good_unit_from_being_accepted():
    closed = a_tally(Verdict.ACCEPT, lost=1).close(NOW)
    assert closed.verdict is Verdict.NOT_INSPECTED
    assert closed.failures == {FRAME_LOST: 1}


def test_a_unit_of_which_nothing_was_seen_is_not_inspected():
    assert UnitTally(BEGUN, ()).close(NOW).verdict is Verdict.NOT_INSPECTED


def test_a_frame_that_failed_is_counted_with_its_reason():
    closed = a_tally(Verdict.NOT_INSPECTED).close(NOW)
    assert (closed.frames_inspected, closed.frames_failed) == (0, 1)
    assert closed.failures == {"INS-IMAGE-UNFIT": 1}


def test_what_was_refused_stays_refused_though_another_frame_was_lost():
    assert a_tally(Verdict.REJECT, lost=3).close(NOW).verdict is Verdict.REJECT


def test_a_unit_that_cannot_be_judged_is_not_accepted_and_stays_refused_if_it_was():
    for verdict in (Verdict.ACCEPT, Verdict.REJECT):
        closed = a_tally(verdict, lost=1).close_unjudged(NOW, failure="INS-PROGRAM-FAILED")
        assert closed.verdict is max(verdict, Verdict.NOT_INSPECTED)
        assert closed.failures == {"INS-PROGRAM-FAILED": 1, FRAME_LOST: 1}
        assert (closed.triggers, closed.frames_inspected, closed.unaccounted) == (2, 1, 0)


def test_a_unit_that_was_cut_short_is_not_accepted_and_its_account_is_even():
    tally = a_tally(Verdict.ACCEPT)
    tally.cut_short("CAM-LOST")
    closed = tally.close(NOW)
    assert closed.verdict is Verdict.NOT_INSPECTED
    assert (closed.triggers, closed.frames_lost, closed.unaccounted) == (2, 1, 0)


def test_an_exposure_the_device_counted_and_nobody_answered_for_is_unaccounted():
    tally = a_tally(Verdict.ACCEPT, Verdict.ACCEPT)
    tally.due(3)
    tally.add(a_result(Verdict.ACCEPT))
    closed = tally.close(NOW)
    assert (closed.triggers, closed.frames_inspected, closed.unaccounted) == (4, 3, 1)
    assert closed.verdict is Verdict.NOT_INSPECTED
    assert closed.failures == {UNACCOUNTED: 1}


def test_a_frame_that_no_exposure_explains_withholds_acceptance_too():
    tally = a_tally(Verdict.ACCEPT)
    tally.add(a_result(Verdict.ACCEPT))
    closed = tally.close(NOW)
    assert closed.unaccounted == -1
    assert closed.verdict is Verdict.NOT_INSPECTED


def test_a_unit_answers_for_what_was_counted_since_the_one_before_it():
    tally = UnitTally(BEGUN, (), after=6)
    tally.due(8)
    tally.add(a_result(Verdict.ACCEPT))
    assert tally.close(NOW).unaccounted == 1


A = Grade(
    name="A", limits=(Limit(kinds=frozenset({"pits"}), measure="count", review_from=None, reject_from=1),)
)
PITS_PASS = Limit(kinds=frozenset({"pits"}), measure="score", review_from=None, reject_from=2)


def a_graded_tally(*defects, failure: str | None = None) -> UnitTally:
    tally = UnitTally(BEGUN, (PITS_PASS,), after=-1, grades=(A,))
    tally.due(0)
    verdict = Verdict.ACCEPT if failure is None else Verdict.NOT_INSPECTED
    tally.add(replace(a_result(verdict, failure), defects=defects))
    return tally


def test_a_unit_inspected_in_full_has_its_grade():
    closed = a_graded_tally().close(NOW)
    assert (closed.verdict, closed.grade) == (Verdict.ACCEPT, "A")


def test_a_unit_that_fits_no_grade_goes_to_review():
    closed = a_graded_tally(a_defect(kind="pits")).close(NOW)
    assert (closed.verdict, closed.grade) == (Verdict.REVIEW, None)


def test_a_unit_that_was_not_inspected_in_full_has_no_grade():
    closed = a_graded_tally(failure="INS-IMAGE-UNFIT").close(NOW)
    assert (closed.verdict, closed.grade) == (Verdict.NOT_INSPECTED, None)


def test_a_unit_that_is_refused_has_no_grade():
    tally = a_graded_tally()
    tally.due(1)
    tally.add(a_result(Verdict.REJECT, sequence=1))
    assert tally.close(NOW).grade is None


def test_frames_cannot_be_found_again():
    with pytest.raises(ValueError, match="cannot be lost"):
        UnitTally(BEGUN, ()).lost(-1, reason="x")


@given(st.lists(st.sampled_from(Verdict), max_size=6), st.integers(0, 3))
def test_every_trigger_is_accounted_for_in_any_order_of_frames(verdicts, lost):
    first = a_tally(*verdicts, lost=lost).close(NOW)
    assert first.frames_inspected + first.frames_failed == len(verdicts)
    assert first.frames_lost == lost
    assert (first.triggers, first.unaccounted) == (len(verdicts) + lost, 0)
    assert sum(first.failures.values()) == first.frames_failed + lost
    for order in itertools.islice(itertools.permutations(verdicts), 10):
        assert a_tally(*order, lost=lost).close(NOW).verdict is first.verdict
    if lost or Verdict.NOT_INSPECTED in verdicts or not verdicts:
        assert first.verdict is not Verdict.ACCEPT


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_frames_seen_and_frames_lost_add_up_to_what_the_device_counted(arrived):
    results = [a_result(Verdict.ACCEPT, sequence=i) for i, came in enumerate(arrived) if came]
    counted = list(with_losses(results))
    assert len(counted) == sum(arrived)
    if counted:
        span = results[-1].sequence - results[0].sequence + 1
        assert len(counted) + sum(lost for _, lost in counted) == span


def test_a_device_that_counts_anew_has_lost_at_least_one_frame():
    results = [a_result(Verdict.ACCEPT, sequence=count) for count in (5, 0, 1)]
    assert [lost for _, lost in with_losses(results)] == [0, 1, 0]


def test_a_unit_of_which_one_camera_showed_nothing_is_not_inspected():
    tally = UnitTally(BEGUN, (), after=-1, views=("top", "side"))
    tally.due(0)
    tally.add(a_result(Verdict.ACCEPT))
    inspection = tally.close(NOW)
    assert (inspection.verdict, inspection.failures) == (Verdict.NOT_INSPECTED, {VIEW_MISSING: 1})


@given(st.permutations(["top", "side"]), st.sampled_from(Verdict), st.sampled_from(Verdict))
def test_several_views_give_one_verdict_whatever_their_order(order, top, side):
    verdicts = {"top": top, "side": side}
    tally = UnitTally(BEGUN, (), after=-1, views=("top", "side"))
    for sequence, view in enumerate(order):
        tally.due(sequence)
        tally.add(replace(a_result(verdicts[view], sequence=sequence), camera=view))
    assert tally.close(NOW).verdict is max(top, side)


@pytest.mark.parametrize("without_code", [None, Verdict.REVIEW, Verdict.NOT_INSPECTED])
def test_a_frame_that_failed_for_what_its_code_was_not_read_for_withholds_the_unit_when_it_is_judged_again(
    without_code,
):
    """A picture too small for the recipe is one for both, and the code is excused, not the picture."""
    tally = UnitTally(BEGUN, (), after=-1, without_code=without_code or Verdict.REVIEW)
    tally.due(0)
    misfit = a_result(Verdict.NOT_INSPECTED, "INS-IMAGE-UNSUITABLE")
    tally.add(replace(misfit, code=CodeReading(failure="INS-IMAGE-UNSUITABLE")))
    tally.due(1)
    tally.add(a_result(Verdict.ACCEPT, sequence=1))
    closed = tally.close(NOW)
    assert (closed.verdict, closed.code_failure) == (Verdict.NOT_INSPECTED, "INS-IMAGE-UNSUITABLE")
    assert judged_again(closed, (), without_code=without_code)[0] is Verdict.NOT_INSPECTED
