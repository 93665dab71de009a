import itertools
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.identity import IdentifierCode
from inspection.tally import UnitTally
from inspection.types import FrameResult, InspectionBegun, RecipeRef, Verdict

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


def a_result(verdict: Verdict, failure: str | None = None) -> FrameResult:
    return FrameResult(
        camera="top", sequence=0, verdict=verdict, defects=(), measurements=(), timings_ms={}, failure=failure
    )


def test_a_unit_all_of_whose_frames_are_good_is_accepted():
    tally = UnitTally(BEGUN, ())
    tally.add(a_result(Verdict.ACCEPT))
    assert tally.close(NOW).verdict is Verdict.ACCEPT


def test_a_lost_frame_keeps_a_good_unit_from_being_accepted():
    tally = UnitTally(BEGUN, ())
    tally.add(a_result(Verdict.ACCEPT))
    tally.lost(1, reason="CAM-FRAME-LOST")
    closed = tally.close(NOW)
    assert closed.verdict is Verdict.NOT_INSPECTED
    assert closed.failures == {"CAM-FRAME-LOST": 1}


def test_a_unit_of_which_nothing_was_seen_is_not_inspected():
    assert UnitTally(BEGUN, ()).close(NOW).verdict is Verdict.NOT_INSPECTED


def test_a_frame_that_failed_is_counted_with_its_reason():
    tally = UnitTally(BEGUN, ())
    tally.add(a_result(Verdict.NOT_INSPECTED, failure="INS-IMAGE-UNFIT"))
    closed = tally.close(NOW)
    assert (closed.frames_inspected, closed.frames_failed) == (0, 1)
    assert closed.failures == {"INS-IMAGE-UNFIT": 1}


def test_what_was_refused_stays_refused_though_another_frame_was_lost():
    tally = UnitTally(BEGUN, ())
    tally.add(a_result(Verdict.REJECT))
    tally.lost(3, reason="CAM-FRAME-LOST")
    assert tally.close(NOW).verdict is Verdict.REJECT


def test_frames_cannot_be_found_again():
    with pytest.raises(ValueError, match="cannot be lost"):
        UnitTally(BEGUN, ()).lost(-1, reason="x")


@given(st.lists(st.sampled_from(Verdict), max_size=6), st.integers(0, 3))
def test_every_trigger_is_accounted_for_in_any_order_of_frames(verdicts, lost):
    def closed(order):
        tally = UnitTally(BEGUN, ())
        for verdict in order:
            tally.add(a_result(verdict, "X" if verdict is Verdict.NOT_INSPECTED else None))
        tally.lost(lost, reason="CAM-FRAME-LOST")
        return tally.close(NOW)

    first = closed(verdicts)
    assert first.triggers == len(verdicts) + lost
    assert sum(first.failures.values()) == first.frames_failed + first.frames_lost
    for order in itertools.islice(itertools.permutations(verdicts), 10):
        assert closed(order).verdict is first.verdict
    if lost or Verdict.NOT_INSPECTED in verdicts or not verdicts:
        assert first.verdict is not Verdict.ACCEPT
