from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.pipeline import PROGRAM_FAILED
from inspection.repeats import RepeatRules
from inspection.strip import MOST_EDGE_POINTS, StripRules, WeldRules
from inspection.tally import FRAME_LOST, IN_SETUP, NOTHING_JUDGED, UNSEEN, UnitTally, judged_again
from inspection.types import (
    Box,
    Defect,
    EdgePoint,
    Frame,
    FrameResult,
    Grade,
    Limit,
    Measurement,
    Stretch,
    Surface,
    Verdict,
)
from tests.builders import an_inspection_begun

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
SURFACE = Surface(name="top", x_mm_per_px=0.5, y_mm_per_px=0.5, x_origin_mm=10.0)
PIXELS = np.zeros((400, 800), np.uint8)
FRAME_MM = 200.0
LONG = Limit(kinds=frozenset({"scratch"}), measure="length_mm", review_from=None, reject_from=150)
LIMIT_OF_SOME = Limit(kinds=frozenset({"scratch"}), measure="length_mm", review_from=None, reject_from=50)
FEW = Limit(kinds=frozenset({"scratch"}), measure="count", review_from=None, reject_from=2)


def a_coil(*limits: Limit, grades=(), **rules) -> UnitTally:
    strip = StripRules(surface=SURFACE, **rules)
    return UnitTally(an_inspection_begun(), limits or (LONG,), after=-1, strip=strip, grades=grades)


def a_scratch(y_from: float, y_to: float, x_mm: float = 100.0, kind: str = "scratch") -> Defect:
    return Defect(
        kind=kind,
        score=0.9,
        box_px=Box(0, 0, 1, 1),
        box_mm=Box(x_mm, y_from, x_mm + 2, y_to),
        camera="top",
        sequence=0,
    )


def sees(tally: UnitTally, sequence: int, *boxes: Defect, **more) -> None:
    """The frame of this count: of each of the coil's defects, what lies in it."""
    tally.due(sequence)
    frame = tally.place(Frame(pixels=PIXELS, camera="top", sequence=sequence, captured_at=NOW))
    top, bottom = frame.y_origin_mm, frame.y_origin_mm + FRAME_MM
    shown = tuple(
        replace(one, sequence=sequence, box_mm=Box(mm.x1, max(mm.y1, top), mm.x2, min(mm.y2, bottom)))
        for one in boxes
        if (mm := one.box_mm).y1 < bottom and mm.y2 > top
    )
    tally.add(
        FrameResult(
            **{
                "camera": "top",
                "sequence": sequence,
                "verdict": Verdict.ACCEPT,
                "defects": shown,
                "measurements": (),
                "timings_ms": {},
                "seen_mm": Box(10, top, 410, bottom),
                **more,
            }
        )
    )


def run(tally: UnitTally, frames: int, *defects: Defect, lost=(), order=None) -> UnitTally:
    for sequence in order or range(frames):
        if sequence in lost:
            tally.due(sequence)
            tally.lost(1, reason=FRAME_LOST)
        else:
            sees(tally, sequence, *defects)
    return tally


def test_a_scratch_over_two_frames_is_one_and_is_judged_by_its_whole_length():
    closed = run(a_coil(LONG, FEW), 3, a_scratch(110, 290)).close(NOW)
    (scratch,) = closed.defects
    assert scratch.length_mm == 180
    assert [piece.sequence for piece in scratch.pieces] == [1]
    # Neither piece alone reaches 150 mm, and two would be too many.
    assert closed.verdict is Verdict.REJECT
    assert run(a_coil(LONG, FEW), 3, a_scratch(130, 270)).close(NOW).verdict is Verdict.ACCEPT


def test_a_coil_begins_at_nought_wherever_the_device_counts():
    tally = UnitTally(an_inspection_begun(), (LONG,), after=700, strip=StripRules(surface=SURFACE))
    tally.due(701)
    assert tally.place(Frame(pixels=PIXELS, camera="top", sequence=701, captured_at=NOW)).y_origin_mm == 0
    tally.due(704)
    assert tally.place(Frame(pixels=PIXELS, camera="top", sequence=704, captured_at=NOW)).y_origin_mm == 600


def test_a_part_stays_where_its_camera_saw_it():
    tally = UnitTally(an_inspection_begun(), (LONG,))
    tally.due(0)
    frame = Frame(pixels=PIXELS, camera="top", sequence=0, captured_at=NOW, y_origin_mm=7.0)
    assert tally.place(frame) is frame
    assert tally.close(NOW).strip is None


def test_what_was_lost_or_not_judged_has_its_place_on_the_map():
    tally = run(a_coil(), 4, lost=[2])
    tally.due(4)
    tally.place(Frame(pixels=PIXELS, camera="top", sequence=4, captured_at=NOW))
    failed = Frame(pixels=PIXELS, camera="top", sequence=4, captured_at=NOW)
    tally.add(FrameResult.not_inspected(failed, failure="INS-IMAGE-UNFIT"))
    strip = tally.close(NOW).strip
    assert strip.length_mm == 1000
    assert strip.unseen == (Stretch(from_mm=400, to_mm=600), Stretch(from_mm=800, to_mm=1000))
    assert (strip.x_from_mm, strip.x_to_mm) == (10, 410)


def a_failed_frame(sequence: int, pixels=PIXELS) -> Frame:
    return Frame(pixels=pixels, camera="top", sequence=sequence, captured_at=NOW)


@pytest.mark.parametrize(
    "broken",
    [{"welds": None}, {"edges": None}, {"measurements": (Measurement(name="w", value="wide", unit="mm"),)}],
    ids=str,
)
def test_of_a_frame_that_a_coil_could_not_take_up_whole_the_stretch_is_not_inspected(broken):
    tally = run(a_coil(), 2)
    with pytest.raises(TypeError):
        sees(tally, 2, a_scratch(410, 420), **broken)
    tally.add(FrameResult.not_inspected(a_failed_frame(2), failure=PROGRAM_FAILED))
    sees(tally, 3, a_scratch(610, 620))
    closed = tally.close(NOW)
    assert closed.strip.unseen == (Stretch(from_mm=400, to_mm=600),)
    assert (closed.triggers, closed.frames_inspected, closed.frames_failed) == (4, 3, 1)
    assert (closed.verdict, closed.failures) == (Verdict.NOT_INSPECTED, {PROGRAM_FAILED: 1})
    # What was found there is known all the same, and what comes after it lies where it lies.
    assert [one.box_mm.y1 for one in closed.defects] == [410, 610]


def test_a_frame_that_cannot_be_placed_leaves_its_length_unseen_and_the_next_in_its_place():
    tally = run(a_coil(), 2)
    tally.due(2)
    frame = a_failed_frame(2, pixels=np.zeros((), np.uint8))
    with pytest.raises(IndexError):
        tally.place(frame)
    tally.add(FrameResult.not_inspected(frame, failure=PROGRAM_FAILED))
    sees(tally, 3, a_scratch(610, 620))
    strip = tally.close(NOW).strip
    assert (strip.length_mm, strip.unseen) == (800, (Stretch(from_mm=400, to_mm=600),))


def test_a_coil_that_cannot_be_judged_is_counted_and_not_accepted():
    tally = run(a_coil(grades=(None,)), 3)
    with pytest.raises(AttributeError):
        tally.close(NOW)
    closed = tally.close_unjudged(NOW, failure=PROGRAM_FAILED)
    assert (closed.verdict, closed.failures) == (Verdict.NOT_INSPECTED, {PROGRAM_FAILED: 1})
    assert (closed.triggers, closed.frames_inspected, closed.unaccounted) == (3, 3, 0)


def test_defects_of_head_and_tail_are_recorded_and_not_judged():
    defects = [a_scratch(0, 190), a_scratch(610, 800, x_mm=300)]
    closed = run(a_coil(head_mm=200, tail_mm=200), 4, *defects).close(NOW)
    assert closed.verdict is Verdict.ACCEPT
    assert len(closed.defects) == 2
    assert (closed.strip.head, closed.strip.tail) == (
        Stretch(from_mm=0, to_mm=200),
        Stretch(from_mm=600, to_mm=800),
    )


@pytest.mark.parametrize(("y_from", "y_to"), [(40, 201), (599, 790)])
def test_a_defect_that_reaches_out_of_head_or_tail_is_judged(y_from, y_to):
    closed = run(a_coil(head_mm=200, tail_mm=200), 4, a_scratch(y_from, y_to)).close(NOW)
    assert closed.verdict is Verdict.REJECT


def test_a_shorter_last_frame_ends_the_coil_where_it_ends_and_excuses_no_more_than_the_tail():
    defect = a_scratch(210, 390)
    tally = run(a_coil(tail_mm=100), 3, defect)
    tally.due(3)
    last = tally.place(Frame(pixels=PIXELS[:80], camera="top", sequence=3, captured_at=NOW))
    assert last.y_origin_mm == 600
    tally.add(
        FrameResult(
            camera="top",
            sequence=3,
            verdict=Verdict.ACCEPT,
            defects=(),
            measurements=(),
            timings_ms={},
            seen_mm=Box(10, 600, 410, 640),
        )
    )
    closed = tally.close(NOW)
    assert (closed.strip.length_mm, closed.strip.tail) == (640, Stretch(from_mm=540, to_mm=640))
    assert closed.strip.unseen == ()
    assert closed.verdict is Verdict.REJECT


@given(st.lists(st.tuples(st.integers(16, 400), st.integers(0, 2)), min_size=1, max_size=10))
def test_frames_follow_on_each_other_whatever_their_lengths_and_lost_ones_leave_room(frames):
    tally = a_coil()
    sequence, end_mm = -1, 0.0
    for rows, lost in frames:
        sequence += 1 + lost
        tally.due(sequence)
        tally.lost(lost, reason=FRAME_LOST)
        frame = tally.place(Frame(pixels=PIXELS[:rows], camera="top", sequence=sequence, captured_at=NOW))
        assert frame.y_origin_mm >= end_mm
        assert (frame.y_origin_mm == end_mm) == (lost == 0)
        end_mm = frame.y_origin_mm + rows * 0.5
        tally.add(FrameResult.not_inspected(frame, failure="INS-IMAGE-UNFIT"))
    assert tally.close(NOW).strip.length_mm == end_mm


def test_a_coil_that_was_cut_short_has_no_tail_to_excuse_its_defects():
    tally = run(a_coil(tail_mm=400), 3, a_scratch(410, 590))
    tally.cut_short("CAM-LOST")
    closed = tally.close(NOW)
    assert closed.strip.tail is None
    assert closed.verdict is Verdict.REJECT


def test_a_coil_that_is_all_head_and_tail_was_not_inspected():
    closed = run(a_coil(head_mm=300, tail_mm=300), 3).close(NOW)
    assert closed.verdict is Verdict.NOT_INSPECTED
    assert closed.failures == {NOTHING_JUDGED: 3}


def test_what_was_not_seen_in_the_head_withholds_the_coil_all_the_same():
    assert run(a_coil(head_mm=200), 3, lost=[0]).close(NOW).verdict is Verdict.NOT_INSPECTED


def test_a_frame_that_counts_for_nothing_keeps_the_coil_from_being_accepted_though_it_shows_defects_of_the_head():
    """It was looked at while somebody worked on the station: its defects are on record, and were not inspected for."""
    tally = a_coil(head_mm=200)
    sees(tally, 0, a_scratch(10, 190), verdict=Verdict.NOT_INSPECTED, failure=IN_SETUP)
    sees(tally, 1)
    closed = tally.close(NOW)
    assert (closed.verdict, closed.failures) == (Verdict.NOT_INSPECTED, {IN_SETUP: 1})
    assert len(closed.defects) == 1
    assert closed.strip.unseen == (Stretch(from_mm=0, to_mm=200),)
    assert judged_again(closed, (LONG,))[0] is Verdict.NOT_INSPECTED


@given(
    frames=st.lists(
        st.tuples(st.booleans(), st.booleans(), st.sampled_from([10, 160])), min_size=1, max_size=6
    ),
    rules=st.fixed_dictionaries(
        {"head_mm": st.sampled_from([0, 200, 400]), "tail_mm": st.sampled_from([0, 200])}
    ),
    at_welds=st.booleans(),
)
def test_a_coil_of_which_a_frame_was_not_inspected_is_never_accepted_wherever_its_defects_lie(
    frames, rules, at_welds
):
    welds = WeldRules(longest_mm=200, margin_mm=20, most=9)
    tally = a_coil(**rules, welds=welds if at_welds else None)
    for sequence, (is_withheld, is_defective, length_mm) in enumerate(frames):
        top = sequence * FRAME_MM
        withheld = {"verdict": Verdict.NOT_INSPECTED, "failure": IN_SETUP} if is_withheld else {}
        seams = (Stretch(from_mm=top + 10, to_mm=top + 190),) if at_welds else ()
        scratches = [a_scratch(top + 20, top + 20 + length_mm)] if is_defective else []
        sees(tally, sequence, *scratches, welds=seams, **withheld)
    closed = tally.close(NOW)
    assert closed.frames_failed == sum(is_withheld for is_withheld, _, _ in frames)
    assert closed.frames_failed == 0 or closed.verdict >= Verdict.NOT_INSPECTED
    assert judged_again(closed, (LONG,), welds=welds)[0] >= closed.verdict


def test_a_verdict_that_no_defect_explains_stands():
    tally = a_coil(head_mm=200)
    sees(tally, 0, verdict=Verdict.REJECT)
    sees(tally, 1)
    assert tally.close(NOW).verdict is Verdict.REJECT


def test_a_roll_mark_is_known_while_the_coil_runs_and_keeps_it_from_its_grade():
    rules = RepeatRules(shortest_mm=500, longest_mm=2500, across_mm=10, along_mm=5)
    best = Grade(
        name="A",
        limits=(Limit(kinds=frozenset({"scratch"}), measure="repeat_hits", review_from=None, reject_from=1),),
    )
    tally = a_coil(repeats=rules, grades=[best])
    marks = [a_scratch(50 + turn * 777.0, 60 + turn * 777.0) for turn in range(8)]
    known_at = None
    for sequence in range(30):
        sees(tally, sequence, *marks)
        if known_at is None and tally.repeats:
            known_at = sequence
    assert known_at <= 20
    closed = tally.close(NOW)
    (repeat,) = closed.strip.repeats
    assert repeat.hits == 8
    assert repeat.period_mm == pytest.approx(777)
    assert (closed.verdict, closed.grade) == (Verdict.REVIEW, None)


def test_a_mark_on_the_border_of_two_frames_counts_once():
    rules = RepeatRules(shortest_mm=150, longest_mm=250, across_mm=10, along_mm=5)
    tally = run(
        a_coil(repeats=rules), 12, *(a_scratch(195 + turn * 200.0, 205 + turn * 200.0) for turn in range(11))
    )
    (repeat,) = tally.close(NOW).strip.repeats
    assert (repeat.hits, repeat.missed) == (11, 0)


def test_quantities_are_told_by_mean_and_extremes():
    tally = a_coil()
    for sequence, value in enumerate((399.0, 400.0, 402.0)):
        sees(tally, sequence, measurements=(Measurement(name="width", value=value, unit="mm"),))
    told = {one.name: one for one in tally.close(NOW).measurements}
    assert told["width"].value == pytest.approx(400.3333, abs=1e-3)
    assert told["width"].uncertainty == pytest.approx(0.8819, abs=1e-4)
    assert (told["width_min"].value, told["width_max"].value) == (399.0, 402.0)


def test_the_edges_of_a_long_coil_are_thinned_and_still_reach_from_end_to_end():
    tally = a_coil()
    for sequence in range(1500):
        y = sequence * FRAME_MM + 100
        sees(tally, sequence, edges=(EdgePoint(y_mm=y, left_mm=20, right_mm=380),))
    edges = tally.close(NOW).strip.edges
    assert MOST_EDGE_POINTS / 2 < len(edges) <= MOST_EDGE_POINTS
    steps = np.diff([point.y_mm for point in edges])
    assert (steps == steps[0]).all()
    assert edges[-1].y_mm > 299_000


@given(
    st.lists(
        st.tuples(st.integers(0, 1300), st.integers(1, 500)), max_size=5, unique_by=lambda one: one[0] // 20
    ),
    st.sets(st.integers(0, 7)),
    st.randoms(),
)
def test_neither_verdict_nor_map_depends_on_the_order_in_which_frames_are_judged(scratches, failed, random):
    """Frames are counted in their order; a lane with several workers may have their results in another."""
    strip = [a_scratch(y, y + length, x_mm=20.0 + 40 * at) for at, (y, length) in enumerate(scratches)]
    results = []
    for sequence in range(8):
        top = sequence * FRAME_MM
        shown = tuple(
            replace(
                one, sequence=sequence, box_mm=Box(mm.x1, max(mm.y1, top), mm.x2, min(mm.y2, top + FRAME_MM))
            )
            for one in strip
            if (mm := one.box_mm).y1 < top + FRAME_MM and mm.y2 > top
        )
        frame = Frame(pixels=PIXELS, camera="top", sequence=sequence, captured_at=NOW)
        judged = FrameResult(
            camera="top",
            sequence=sequence,
            verdict=Verdict.ACCEPT,
            defects=shown,
            measurements=(),
            timings_ms={},
            seen_mm=Box(10, top, 410, top + FRAME_MM),
        )
        lost = FrameResult.not_inspected(frame, failure="INS-IMAGE-UNFIT")
        results.append(lost if sequence in failed else judged)

    def closed(results):
        tally = a_coil(LONG, FEW, head_mm=100)
        for sequence in range(8):
            tally.due(sequence)
            tally.place(Frame(pixels=PIXELS, camera="top", sequence=sequence, captured_at=NOW))
        for result in results:
            tally.add(result)
        return tally.close(NOW)

    first, again = closed(results), closed(random.sample(results, 8))
    assert (first.verdict, first.defects, first.strip) == (again.verdict, again.defects, again.strip)
    assert (first.verdict >= Verdict.NOT_INSPECTED) or not failed
    # Judged again by what is on record, under the same limits, it comes out the same.
    assert judged_again(first, (LONG, FEW)) == (first.verdict, first.grade)


ONE_WELD = WeldRules(longest_mm=60, margin_mm=20, most=1)


def sees_welds(tally: UnitTally, *welds: tuple[float, float], defects=()) -> UnitTally:
    """Four frames of a coil with welds from here to there; each frame shows what of them lies in it."""
    for sequence in range(4):
        top, bottom = sequence * FRAME_MM, (sequence + 1) * FRAME_MM
        shown = tuple(
            Stretch(from_mm=max(begins, top), to_mm=min(ends, bottom))
            for begins, ends in welds
            if begins < bottom and ends > top
        )
        sees(tally, sequence, *defects, welds=shown)
    return tally


def test_a_defect_at_a_weld_is_recorded_and_not_judged_and_one_that_reaches_out_of_it_is():
    at_the_weld, beside_it = a_scratch(285, 330), a_scratch(270, 441, x_mm=200)
    closed = sees_welds(a_coil(LONG, FEW, welds=ONE_WELD), (300, 312), defects=(at_the_weld,)).close(NOW)
    assert closed.strip.welds == (Stretch(from_mm=280, to_mm=332),)
    assert (len(closed.defects), closed.verdict) == (1, Verdict.ACCEPT)
    both = sees_welds(a_coil(LONG, welds=ONE_WELD), (300, 312), defects=(at_the_weld, beside_it)).close(NOW)
    assert both.verdict is Verdict.REJECT


def test_a_weld_that_a_border_cuts_is_one():
    closed = sees_welds(a_coil(welds=ONE_WELD), (395, 406)).close(NOW)
    assert closed.strip.welds == (Stretch(from_mm=375, to_mm=426),)
    assert closed.verdict is Verdict.ACCEPT


def test_more_welds_than_expected_are_looked_at_since_one_may_be_a_defect():
    closed = sees_welds(a_coil(welds=ONE_WELD), (100, 110), (500, 510)).close(NOW)
    assert (len(closed.strip.welds), closed.verdict) == (2, Verdict.REVIEW)
    assert judged_again(closed, (LONG,), welds=ONE_WELD)[0] is Verdict.REVIEW
    assert judged_again(closed, (LONG,), welds=replace(ONE_WELD, most=2))[0] is Verdict.ACCEPT


def test_a_weld_at_an_end_cuts_out_no_more_than_there_is():
    closed = sees_welds(a_coil(welds=ONE_WELD), (5, 15)).close(NOW)
    assert closed.strip.welds == (Stretch(from_mm=0, to_mm=35),)


def test_what_a_border_cuts_in_two_and_is_longer_than_a_weld_is_none_and_its_defect_is_judged():
    across = a_scratch(362, 438)
    closed = sees_welds(a_coil(FEW, LIMIT_OF_SOME, welds=ONE_WELD), (360, 440), defects=(across,)).close(NOW)
    assert closed.strip.welds == ()
    assert closed.verdict is Verdict.REJECT


def test_a_stretch_of_the_coil_that_is_in_no_picture_was_not_inspected():
    """The recipe's region leaves out rows: each frame shows half of its length."""
    tally = a_coil()
    for sequence in range(3):
        top = sequence * FRAME_MM
        sees(tally, sequence, seen_mm=Box(10, top, 410, top + FRAME_MM / 2))
    closed = tally.close(NOW)
    assert len(closed.strip.unseen) == 3
    assert (closed.verdict, closed.failures) == (Verdict.NOT_INSPECTED, {UNSEEN: 3})


@given(st.integers(1, 40), st.integers(2, 30), st.integers(1, 29))
def test_head_and_tail_that_are_all_of_the_coil_leave_nothing_to_judge_whatever_rounding_leaves(
    rows, frames, in_head
):
    surface = replace(SURFACE, y_mm_per_px=0.1)
    length_mm = frames * rows * 0.1
    head_mm = min(in_head / 30, 1) * length_mm
    strip = StripRules(surface=surface, head_mm=head_mm, tail_mm=length_mm - head_mm)
    tally = UnitTally(an_inspection_begun(), (LONG,), after=-1, strip=strip)
    for sequence in range(frames):
        tally.due(sequence)
        pixels = np.zeros((rows, 800), np.uint8)
        frame = tally.place(Frame(pixels=pixels, camera="top", sequence=sequence, captured_at=NOW))
        seen = Box(10, frame.y_origin_mm, 410, frame.y_origin_mm + rows * 0.1)
        tally.add(
            FrameResult(
                camera="top",
                sequence=sequence,
                verdict=Verdict.ACCEPT,
                defects=(),
                measurements=(),
                timings_ms={},
                seen_mm=seen,
            )
        )
    closed = tally.close(NOW)
    assert (closed.verdict, closed.failures) == (Verdict.NOT_INSPECTED, {NOTHING_JUDGED: frames})
