import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameras.errors import CameraLost
from cameras.views import SeveralViews
from inspection.identity import IdentifierCode
from inspection.pipeline import PROGRAM_FAILED, VIEW_UNKNOWN, Pipeline, ViewPipelines
from inspection.repeats import RepeatRules
from inspection.strip import StripRules
from inspection.tally import CLOCK_BACKWARDS, FRAME_LOST, OVERRUN, UNACCOUNTED, VIEW_MISSING
from inspection.types import Detections, Frame, Limit, RecipeRef, Stretch, Surface, Verdict
from services.station.lane import LANE_FAILED, MAX_UNITS_PER_HOLE, STOPPED, Lane, ReadyRecipe
from services.station.units import CountedUnits
from tests.services.station.test_intake import Pushes

TEXTURE = np.tile(np.arange(64, dtype=np.uint8) * 3, (32, 1))


class Plays:
    """A camera that gives exposures of these numbers, then ends or fails.

    damaged_first  before the first of them so many came damaged
    """

    def __init__(self, *sequences: int, then: Exception | None = None, damaged_first: int = 0) -> None:
        self._sequences = sequences
        self._then = then
        self._first = sequences[0] - damaged_first if sequences else None
        self.is_open = False

    def __enter__(self):
        self.is_open = True
        return self

    def __exit__(self, *_):
        self.is_open = False

    def frames(self):
        for sequence in self._sequences:
            yield Frame(
                pixels=TEXTURE,
                camera="top",
                sequence=sequence,
                captured_at=datetime(2026, 11, 20, tzinfo=UTC),
                first_sequence=self._first,
            )
        if self._then is not None:
            raise self._then


class FallsSilent(Plays):
    """Gives its exposures, and then nothing more until it is left."""

    def __init__(self, *sequences: int) -> None:
        super().__init__(*sequences)
        self.is_silent = threading.Event()
        self._left = threading.Event()

    def __exit__(self, *_):
        super().__exit__()
        self._left.set()

    def frames(self):
        yield from super().frames()
        self._left.wait(60)


class Sees:
    """A detector that finds nothing, or raises what it was given."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def detect(self, image):
        if self._error is not None:
            raise self._error
        return Detections.none()


class SeesOneMark:
    """A detector that finds the same mark at the same place of every frame."""

    def detect(self, image):
        xyxy = np.array([[20, 10, 24, 14]], np.float32)
        return Detections(xyxy=xyxy, score=np.array([0.9], np.float32), kind=("pits",))


class Keeps:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.begun, self.frames, self.done = [], [], []

    def unit_begun(self, begun):
        self.begun.append(begun)

    def frame_done(self, inspection, frame, result):
        self.frames.append((inspection.id, result))

    def unit_done(self, inspection):
        self.done.append(inspection)


class UnreadLabels:
    """Two units, told apart by a label that a lost exposure does not show."""

    def __init__(self, last_of_first: int) -> None:
        self._last = last_of_first

    def unit_of(self, frame):
        name = "A" if frame.sequence <= self._last else "B"
        return IdentifierCode(scheme="plain", raw=name, canon=name)

    def completes_unit(self, frame):
        return False

    def unit_of_lost(self, sequence):
        return None


class Forgets(Lane):
    """A lane with a mistake in it: this frame it passes over."""

    def _inspect(self, frame, tally, arrived):
        if frame.sequence != 1:
            super()._inspect(frame, tally, arrived)


class IgnoresHoles(Lane):
    """Another mistake: what was lost is accounted for nowhere."""

    def _account_for(self, lost, before, units):
        pass


def a_recipe(name: str, *, detector=None, strip=None, workers=1) -> ReadyRecipe:
    pipeline, *beside = (
        Pipeline(
            detector=detector or Sees(),
            surface=Surface(name="top") if strip is None else strip.surface,
            limits=(),
        )
        for _ in range(workers)
    )
    return ReadyRecipe(
        ref=RecipeRef(name=name, revision=1, sha256="0" * 64),
        models=(),
        pipeline=pipeline,
        beside=tuple(beside),
        strip=strip,
    )


def a_lane(
    sink: Keeps,
    *,
    frames_per_unit: int = 1,
    detector=None,
    units=None,
    of=Lane,
    strip=None,
    holds=None,
    workers=1,
) -> Lane:
    numbers = count(1)

    def mint():
        code = f"U{next(numbers)}"
        return IdentifierCode(scheme="plain", raw=code, canon=code)

    return of(
        name="top",
        station="s",
        recipe=a_recipe("r", detector=detector, strip=strip, workers=workers),
        units=units or (lambda: CountedUnits(frames_per_unit, mint)),
        sinks=[sink],
        stop=threading.Event(),
        holds=holds,
    )


def run(camera, **options) -> Keeps:
    sink = Keeps()
    a_lane(sink, **options).run(camera, started=lambda: None)
    return sink


def test_each_part_gets_its_verdict_with_its_own_frame():
    sink = run(Plays(0, 1, 2))
    assert [i.verdict for i in sink.done] == [Verdict.ACCEPT] * 3
    assert len({i.unit for i in sink.done}) == 3


def test_a_trigger_nobody_saw_is_a_part_that_was_not_inspected():
    sink = run(Plays(0, 1, 4))
    assert [i.verdict.name for i in sink.done] == [
        "ACCEPT",
        "ACCEPT",
        "NOT_INSPECTED",
        "NOT_INSPECTED",
        "ACCEPT",
    ]
    assert sink.done[2].failures == {FRAME_LOST: 1}


def test_a_coil_with_a_lost_frame_is_not_accepted_and_its_neighbour_is():
    sink = run(Plays(0, 2, 3, 4, 5), frames_per_unit=3)
    assert [i.verdict.name for i in sink.done] == ["NOT_INSPECTED", "ACCEPT"]
    assert [i.triggers for i in sink.done] == [3, 3]


@pytest.mark.parametrize("workers", [1, 2])
def test_parts_whose_pictures_came_damaged_before_the_first_whole_one_were_not_inspected(workers):
    sink = Keeps()
    lane = a_lane(sink, workers=workers)
    for _ in range(2):
        lane.run(Plays(7, 8, damaged_first=2), started=lambda: None)
    assert told_of(sink.done) == 2 * [*2 * [("NOT_INSPECTED", 1, 0, 1)], *2 * [("ACCEPT", 1, 1, 0)]]
    assert sink.done[0].failures == {FRAME_LOST: 1}
    assert (lane.account.exposures, lane.account.gap) == (8, 0)


def test_a_coil_whose_first_frames_came_damaged_is_not_accepted_and_the_rest_of_it_lies_behind_them():
    rules = StripRules(surface=Surface(name="top", x_mm_per_px=1.0, y_mm_per_px=1.0))
    camera = Plays(*range(9, 13), damaged_first=2)
    coil, whole = run(camera, frames_per_unit=3, strip=rules, detector=SeesOneMark()).done
    assert told_of([coil, whole]) == [("NOT_INSPECTED", 3, 1, 2), ("REVIEW", 3, 3, 0)]
    assert coil.strip.unseen == (Stretch(from_mm=0, to_mm=64),)
    assert [round(defect.box_mm.y1) for defect in coil.defects] == [74]


@pytest.mark.parametrize("damaged", [1, 3 * MAX_UNITS_PER_HOLE])
def test_of_units_told_apart_by_labels_the_first_answers_for_what_came_damaged_before_it(damaged):
    sink = Keeps()
    lane = a_lane(sink, units=lambda: UnreadLabels(last_of_first=1))
    lane.run(Plays(0, 1, 2, damaged_first=damaged), started=lambda: None)
    first, second = sink.done
    assert (first.triggers, first.frames_lost, first.unaccounted) == (damaged + 2, damaged, 0)
    assert (second.frames_inspected, lane.account.gap) == (1, 0)


def test_what_came_damaged_first_is_recorded_though_the_lane_fails_before_it_looks_at_anything():
    sink = Keeps()
    camera = Pushes(7, 8, damaged_first=2)
    lane = a_lane(sink, holds=8)

    def falls_over():
        assert camera.all_given.wait(60)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        lane.run(camera, started=falls_over)
    assert [i.verdict.name for i in sink.done] == ["NOT_INSPECTED"] * 4
    assert [i.failures for i in sink.done[:2]] == [{FRAME_LOST: 1}] * 2
    assert lane.account.gap == 0


def test_a_hole_at_a_seam_that_may_be_eithers_withholds_both():
    sink = run(Plays(0, 1, 3, 4), units=lambda: UnreadLabels(last_of_first=1))
    assert [i.verdict.name for i in sink.done] == ["NOT_INSPECTED", "NOT_INSPECTED"]
    assert sink.done[0].frames_lost == 1


def test_a_coil_in_hand_when_the_camera_dies_is_not_accepted_and_says_why():
    lost = CameraLost("gone", action="Check the cable.", camera="top", reason="link")
    sink, camera = Keeps(), Plays(0, 1, then=lost)
    with pytest.raises(CameraLost):
        a_lane(sink, frames_per_unit=3).run(camera, started=lambda: None)
    assert [i.verdict for i in sink.done] == [Verdict.NOT_INSPECTED]
    assert sink.done[0].failures == {"CAM-LOST": 1}
    assert not camera.is_open


def test_a_camera_that_dies_between_two_parts_costs_no_part():
    lost = CameraLost("gone", action="Check the cable.", camera="top", reason="link")
    sink = Keeps()
    with pytest.raises(CameraLost):
        a_lane(sink).run(Plays(0, 1, then=lost), started=lambda: None)
    assert [i.verdict for i in sink.done] == [Verdict.ACCEPT] * 2


class LosesCount(CountedUnits):
    """A source of units with a mistake of ours in it, which is about no frame."""

    def completes_unit(self, frame):
        raise ZeroDivisionError


@pytest.mark.parametrize("workers", [1, 2])
def test_a_mistake_of_the_program_beside_the_frames_leaves_no_unit_without_a_verdict(workers):
    sink = Keeps()
    code = IdentifierCode(scheme="plain", raw="U1", canon="U1")
    lane = a_lane(sink, workers=workers, units=lambda: LosesCount(1, lambda: code))
    with pytest.raises(ZeroDivisionError):
        lane.run(Plays(0), started=lambda: None)
    (ended,) = sink.done
    assert ended.verdict is Verdict.NOT_INSPECTED
    # One for the rest of the unit.
    assert (ended.frames_inspected, ended.frames_lost, ended.unaccounted) == (1, 1, 0)
    assert ended.failures == {LANE_FAILED: 1}
    assert lane.account.gap == 0


class NamesNobody(CountedUnits):
    """A source of units with a mistake of ours in it: from the second exposure on it names none.

    even_lost  nor for what nobody saw
    """

    def __init__(self, frames, mint, *, even_lost) -> None:
        super().__init__(frames, mint)
        self._even_lost = even_lost

    def unit_of(self, frame):
        if frame.sequence > 0:
            raise ZeroDivisionError
        return super().unit_of(frame)

    def unit_of_lost(self, sequence):
        if self._even_lost:
            raise ZeroDivisionError
        return super().unit_of_lost(sequence)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("even_lost", [False, True])
def test_a_coil_in_hand_as_its_name_is_lost_is_not_accepted_and_answers_for_what_came(even_lost, workers):
    sink, camera = Keeps(), Pushes(0, 1, 3)
    code = IdentifierCode(scheme="plain", raw="U1", canon="U1")
    lane = a_lane(
        sink,
        holds=8,
        workers=workers,
        units=lambda: NamesNobody(9, lambda: code, even_lost=even_lost),
    )

    def started():
        assert camera.all_given.wait(60)

    with pytest.raises(ZeroDivisionError):
        lane.run(camera, started=started)
    (ended,) = sink.done
    # One more for the rest of the coil.
    assert (ended.verdict, ended.frames_inspected, ended.frames_lost) == (Verdict.NOT_INSPECTED, 1, 4)
    assert (ended.unaccounted, lane.account.gap, lane.account.mistakes) == (0, 0, 1)


def test_a_part_that_was_given_no_name_is_a_gap_in_the_account():
    sink = Keeps()
    lane = a_lane(sink, units=lambda: NamesNobody(1, lambda: None, even_lost=True))
    with pytest.raises(ZeroDivisionError):
        lane.run(Plays(1), started=lambda: None)
    assert sink.done == []
    # The accounting charges it to the unit that is closed next.
    assert (lane.account.gap, lane.account.mistakes) == (1, 1)


class FallsOverTold(Keeps):
    """A sink with a mistake of ours in it, which shows on the second unit it is told of, in this step."""

    def __init__(self, step) -> None:
        super().__init__()
        self._step = step

    def unit_begun(self, begun):
        super().unit_begun(begun)
        self._fall("unit_begun")

    def frame_done(self, inspection, frame, result):
        super().frame_done(inspection, frame, result)
        self._fall("frame_done")

    def unit_done(self, inspection):
        super().unit_done(inspection)
        self._fall("unit_done")

    def _fall(self, step):
        if step == self._step and len(self.begun) == 2:
            raise ZeroDivisionError


@pytest.mark.parametrize("step", ["unit_begun", "frame_done", "unit_done"])
def test_a_part_that_somebody_could_not_be_told_of_is_not_accepted_and_the_lane_goes_on(step, caplog):
    broken, well = FallsOverTold(step), Keeps()
    lane = a_lane(well)
    lane.sinks = [broken, well]
    lane.run(Plays(0, 1, 2), started=lambda: None)
    assert [i.verdict.name for i in well.done] == ["ACCEPT", "NOT_INSPECTED", "ACCEPT"]
    assert well.done[1].failures == {PROGRAM_FAILED: 1}
    assert (len(well.begun), len(well.frames)) == (3, 3)
    assert [one.exc_info[0] for one in caplog.records if one.exc_info] == [ZeroDivisionError]
    assert (lane.account.mistakes, lane.account.gap) == (1, 0)


def test_a_refused_part_that_somebody_could_not_be_told_of_stays_refused():
    sink = FallsOverTold("frame_done")
    lane = a_lane(sink, detector=SeesOneMark())
    pits = Limit(kinds=frozenset({"pits"}), measure="score", review_from=None, reject_from=0.5)
    lane.recipe = replace(lane.recipe, pipeline=replace(lane.recipe.pipeline, limits=(pits,)))
    lane.run(Plays(0, 1), started=lambda: None)
    assert [i.verdict.name for i in sink.done] == ["REJECT"] * 2


class FallsOver(Pipeline):
    """A pipeline with a mistake of ours in it, which shows on the frames of these numbers, in this step."""

    ON = (1,)
    IN = "look"

    def look(self, frame):
        self._fall("look", frame)
        return super().look(frame)

    def judged(self, look, frame):
        self._fall("judged", frame)
        return super().judged(look, frame)

    def _fall(self, step, frame):
        if step == self.IN and frame.sequence in self.ON:
            raise ZeroDivisionError(f"frame {frame.sequence}")


class FallsOverJudging(FallsOver):
    IN = "judged"


class FallsOverAlways(FallsOver):
    ON = range(1000)


def falling_over(sink, *, of=FallsOver, workers=1, **options) -> Lane:
    lane = a_lane(sink, workers=workers, **options)
    well = lane.recipe.pipeline
    broken = of(detector=well.detector, surface=well.surface, limits=())
    lane.recipe = replace(lane.recipe, pipeline=broken, beside=(broken,) * (workers - 1))
    return lane


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("of", [FallsOver, FallsOverJudging])
def test_a_mistake_of_the_program_on_a_part_costs_that_part_and_the_next_is_inspected(of, workers, caplog):
    sink = Keeps()
    lane = falling_over(sink, of=of, workers=workers)
    lane.run(Plays(0, 1, 2), started=lambda: None)
    assert [i.verdict.name for i in sink.done] == ["ACCEPT", "NOT_INSPECTED", "ACCEPT"]
    withheld = sink.done[1]
    assert withheld.failures == {PROGRAM_FAILED: 1}
    assert (withheld.frames_failed, withheld.frames_lost, withheld.unaccounted) == (1, 0, 0)
    # The line is told of it as of any other frame, and the log says where the mistake is.
    assert [result.failure for _, result in sink.frames] == [None, PROGRAM_FAILED, None]
    assert [one.exc_info[0] for one in caplog.records if one.exc_info] == [ZeroDivisionError]
    assert (lane.account.mistakes, lane.account.gap) == (1, 0)


@pytest.mark.parametrize("of", [FallsOver, FallsOverJudging])
def test_a_mistake_of_the_program_on_a_frame_of_a_coil_withholds_its_stretch_and_not_the_next_coil(of):
    rules = StripRules(surface=Surface(name="top", x_mm_per_px=1.0, y_mm_per_px=1.0))
    sink = Keeps()
    lane = falling_over(sink, of=of, frames_per_unit=3, strip=rules, detector=SeesOneMark())
    lane.run(Plays(*range(6)), started=lambda: None)
    torn, whole = sink.done
    assert (torn.verdict, torn.failures) == (Verdict.NOT_INSPECTED, {PROGRAM_FAILED: 1})
    assert torn.strip.unseen == (Stretch(from_mm=32, to_mm=64),)
    assert [round(defect.box_mm.y1) for defect in torn.defects] == [10, 74]
    assert (whole.frames_inspected, whole.strip.unseen) == (3, ())
    assert (lane.account.mistakes, lane.account.gap) == (1, 0)


class NamesNothing(SeesOneMark):
    """A detector whose second answer is of no kind that anybody can look up."""

    def __init__(self) -> None:
        self._kinds = iter([("pits",), (["pits"],)])

    def detect(self, image):
        return replace(super().detect(image), kind=next(self._kinds, ("pits",)))


def test_a_mark_that_a_coil_cannot_take_up_costs_its_stretch_and_the_next_frame_is_inspected():
    rules = StripRules(
        surface=Surface(name="top", x_mm_per_px=1.0, y_mm_per_px=1.0),
        repeats=RepeatRules(shortest_mm=20, longest_mm=60, across_mm=5, along_mm=1),
    )
    sink = run(Plays(*range(6)), frames_per_unit=3, detector=NamesNothing(), strip=rules)
    torn, whole = sink.done
    assert (torn.verdict, torn.failures) == (Verdict.NOT_INSPECTED, {PROGRAM_FAILED: 1})
    assert torn.strip.unseen == (Stretch(from_mm=32, to_mm=64),)
    assert (torn.triggers, torn.frames_inspected, torn.frames_failed) == (3, 2, 1)
    assert [result.failure for _, result in sink.frames] == [None, PROGRAM_FAILED, *[None] * 4]
    assert (whole.frames_inspected, whole.strip.unseen) == (3, ())


def test_a_mistake_on_every_frame_accepts_nothing_and_is_counted_each_time():
    sink = Keeps()
    lane = falling_over(sink, of=FallsOverAlways)
    lane.run(Plays(*range(20)), started=lambda: None)
    assert {i.verdict for i in sink.done} == {Verdict.NOT_INSPECTED}
    assert (lane.account.results, lane.account.mistakes, lane.account.gap) == (20, 20, 0)


class FitsNothing:
    """A grade with a mistake of ours in it."""

    limits = None


def test_a_part_that_cannot_be_judged_is_not_accepted_and_the_lane_goes_on(caplog):
    sink = Keeps()
    lane = a_lane(sink)
    lane.recipe = replace(lane.recipe, grades=(FitsNothing(),))
    lane.run(Plays(0, 1), started=lambda: None)
    assert [i.verdict.name for i in sink.done] == ["NOT_INSPECTED"] * 2
    assert [i.failures for i in sink.done] == [{PROGRAM_FAILED: 1}] * 2
    assert (lane.account.mistakes, lane.account.gap) == (2, 0)
    assert all(one.exc_info for one in caplog.records)


def test_a_frame_that_the_lane_passed_over_is_unaccounted_and_its_coil_is_not_accepted():
    sink = run(Plays(0, 1, 2, 3, 4, 5), frames_per_unit=3, of=Forgets)
    assert [(i.unaccounted, i.verdict.name) for i in sink.done] == [(1, "NOT_INSPECTED"), (0, "ACCEPT")]
    assert sink.done[0].failures == {UNACCOUNTED: 1}


@pytest.mark.parametrize("frames_per_unit", [1, 3])
def test_losses_that_the_lane_did_not_count_are_unaccounted(frames_per_unit):
    sink = run(Plays(0, 1, 2, 6, 7, 8), frames_per_unit=frames_per_unit, of=IgnoresHoles)
    assert sum(i.unaccounted for i in sink.done) == 3
    assert all(i.verdict is Verdict.NOT_INSPECTED for i in sink.done if i.unaccounted)


def test_the_frames_of_a_coil_are_one_surface_and_what_repeats_on_it_is_told_with_the_frames():
    rules = StripRules(
        surface=Surface(name="top", x_mm_per_px=1.0, y_mm_per_px=1.0),
        repeats=RepeatRules(shortest_mm=20, longest_mm=60, across_mm=5, along_mm=1),
    )
    sink = run(Plays(*range(100, 112)), frames_per_unit=12, detector=SeesOneMark(), strip=rules)
    (coil,) = sink.done
    assert [round(defect.box_mm.y1) for defect in coil.defects] == [10 + 32 * number for number in range(12)]
    assert coil.strip.length_mm == 12 * 32
    (repeat,) = coil.strip.repeats
    assert (repeat.hits, repeat.period_mm) == (12, pytest.approx(32))
    told = [bool(result.repeats) for _, result in sink.frames]
    assert not told[2]
    assert told[-1]
    assert coil.verdict is Verdict.REVIEW


def test_stopping_the_station_closes_the_coil_in_hand_as_not_inspected():
    sink = Keeps()
    lane = a_lane(sink, frames_per_unit=3)
    sink.frame_done = lambda *_: lane.stop.set()
    lane.run(Plays(0, 1, 2), started=lambda: None)
    assert [(i.verdict.name, i.failures) for i in sink.done] == [("NOT_INSPECTED", {STOPPED: 1})]


def test_a_station_that_is_stopped_while_a_camera_starts_begins_no_unit():
    sink = Keeps()
    lane = a_lane(sink)
    lane.run(Plays(0, 1, 2), started=lane.stop.set)
    assert sink.begun == []


def test_a_silent_camera_does_not_keep_a_station_from_stopping():
    sink, camera = Keeps(), FallsSilent(0)
    lane = a_lane(sink, frames_per_unit=3)
    sink.frame_done = lambda *_: camera.is_silent.set()
    running = threading.Thread(target=lane.run, args=(camera,), kwargs={"started": lambda: None})
    running.start()
    assert camera.is_silent.wait(60)
    lane.stop.set()
    lane.leave()
    running.join(60)
    assert not running.is_alive()
    assert [(i.verdict.name, i.failures) for i in sink.done] == [("NOT_INSPECTED", {STOPPED: 1})]


def test_leaving_a_lane_whose_camera_is_not_open_is_nothing():
    a_lane(Keeps()).leave()


def test_a_device_whose_count_leaps_does_not_make_a_flood_of_units():
    sink = run(Plays(0, MAX_UNITS_PER_HOLE + 10))
    assert len(sink.done) == 3
    assert sink.done[1].frames_lost == MAX_UNITS_PER_HOLE + 9


def seen_around(*, before: int, lost: int, after: int) -> list[int]:
    return [*range(before), *range(before + lost, before + lost + after)]


def told_of(units) -> list[tuple[str, int, int, int]]:
    return [(i.verdict.name, i.triggers, i.frames_inspected, i.frames_lost) for i in units]


def test_of_a_hole_of_more_exposures_than_units_are_told_apart_each_coil_answers_for_its_own():
    sink = run(Plays(*seen_around(before=200, lost=1001, after=799)), frames_per_unit=500)
    assert told_of(sink.done) == [
        ("NOT_INSPECTED", 500, 200, 300),
        ("NOT_INSPECTED", 500, 0, 500),
        ("NOT_INSPECTED", 500, 299, 201),
        ("ACCEPT", 500, 500, 0),
    ]


@pytest.mark.parametrize("lost", [5 * 10**6 + 30, 10**12 + 30])
def test_however_far_a_count_leaps_the_coils_it_began_and_ended_in_answer_for_their_own(lost):
    frames = 100_000
    sink, camera = Keeps(), Plays(*seen_around(before=20, lost=lost, after=3))
    lane = a_lane(sink, frames_per_unit=frames)
    lane.run(camera, started=lambda: None)
    ends_in = (20 + lost) % frames
    assert told_of(sink.done) == [
        ("NOT_INSPECTED", frames, 20, frames - 20),
        ("NOT_INSPECTED", lost - (frames - 20) - ends_in, 0, lost - (frames - 20) - ends_in),
        # One more for the rest of it: the camera ended in it.
        ("NOT_INSPECTED", ends_in + 4, 3, ends_in + 1),
    ]
    assert lane.account.gap == 0


def test_a_defect_after_a_large_hole_lies_on_its_coil_where_it_lay_on_the_strip():
    rules = StripRules(surface=Surface(name="top", x_mm_per_px=1.0, y_mm_per_px=1.0))
    seen = seen_around(before=2, lost=2 * MAX_UNITS_PER_HOLE * 6, after=4)
    sink = run(Plays(*seen), frames_per_unit=6, detector=SeesOneMark(), strip=rules)
    began, lost, ended = sink.done
    assert (began.strip.length_mm, lost.strip.length_mm, ended.strip.length_mm) == (6 * 32, 0, 6 * 32)
    assert [round(defect.box_mm.y1) for defect in began.defects] == [10, 42]
    assert [round(defect.box_mm.y1) for defect in ended.defects] == [
        10 + 32 * number for number in (2, 3, 4, 5)
    ]


def test_a_large_hole_between_units_told_apart_by_labels_withholds_both():
    seen = seen_around(before=2, lost=2 * MAX_UNITS_PER_HOLE, after=2)
    sink = Keeps()
    lane = a_lane(sink, units=lambda: UnreadLabels(last_of_first=1))
    lane.run(Plays(*seen), started=lambda: None)
    assert [i.verdict.name for i in sink.done] == ["NOT_INSPECTED", "NOT_INSPECTED"]
    assert sink.done[0].frames_lost == 2 * MAX_UNITS_PER_HOLE
    assert lane.account.gap == 0


def expected_of(seen: list[int], frames_per_unit: int) -> list[tuple[int, int, int]]:
    """Triggers, frames and losses of each record, the plain way: unit by unit, and those that a hole swallowed, where
    they are too many, as one."""
    frames = Counter(sequence // frames_per_unit for sequence in seen)
    records, before = [], -1
    for index in sorted(frames):
        swallowed = index - before - 1
        triggers = frames_per_unit * (1 if swallowed <= MAX_UNITS_PER_HOLE else swallowed)
        records += [(triggers, 0, triggers)] * (swallowed * frames_per_unit // triggers)
        records.append((frames_per_unit, frames[index], frames_per_unit - frames[index]))
        before = index
    if rest := (seen[-1] + 1) % frames_per_unit:
        # The camera ended in it: one more stands for what the rest would have shown.
        records[-1] = (rest + 1, frames[before], rest + 1 - frames[before])
    return records


HOLES = st.one_of(st.integers(0, 5), st.integers(MAX_UNITS_PER_HOLE - 5, 5 * MAX_UNITS_PER_HOLE))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 20), HOLES), min_size=1, max_size=4),
    st.one_of(st.integers(1, 12), st.integers(13, 4 * MAX_UNITS_PER_HOLE)),
)
def test_whatever_holes_each_unit_answers_for_its_own_exposures_and_one_for_those_swallowed(
    stretches, frames_per_unit
):
    seen, due = [], 0
    for came, lost in stretches:
        seen += range(due, due + came)
        due += came + lost
    sink = Keeps()
    lane = a_lane(sink, frames_per_unit=frames_per_unit)
    lane.run(Plays(*seen), started=lambda: None)
    records = [(i.triggers, i.frames_inspected, i.frames_lost) for i in sink.done]
    assert records == expected_of(seen, frames_per_unit)
    assert all((i.verdict is Verdict.ACCEPT) == (i.frames_lost == 0) for i in sink.done)
    assert all(i.unaccounted == 0 for i in sink.done)
    assert len({i.unit for i in sink.done}) == len(sink.done)
    assert (lane.account.gap, lane.account.exposures) == (0, seen[-1] + 1)


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 7), st.sampled_from([1, 3]))
def test_every_exposure_the_device_counted_is_in_exactly_one_record(arrived, frames_per_unit, workers):
    seen = [number for number, came in enumerate(arrived) if came]
    sink = run(Plays(*seen), frames_per_unit=frames_per_unit, workers=workers)
    assert len(sink.begun) == len(sink.done)
    assert [b.id for b in sink.begun] == [i.id for i in sink.done]
    if not seen:
        return
    # A unit that the end of the frames cut short has one exposure more: the one that withholds it.
    span = seen[-1] - seen[0] + 1
    cut_short = span % frames_per_unit != 0
    assert sum(i.triggers for i in sink.done) == span + cut_short
    assert sum(i.unaccounted for i in sink.done) == 0
    for inspection in sink.done:
        assert (inspection.verdict is Verdict.ACCEPT) == (inspection.frames_inspected == frames_per_unit)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 4), st.booleans())
def test_whatever_a_device_counts_no_exposure_is_left_unaccounted(counts, frames_per_unit, are_labelled):
    units = (lambda: UnreadLabels(last_of_first=4)) if are_labelled else None
    sink = run(Plays(*counts), frames_per_unit=frames_per_unit, units=units)
    assert all(i.unaccounted == 0 for i in sink.done)
    assert sum(i.frames_inspected for i in sink.done) == len(counts)


class ThrowsOn(Sees):
    """A detector of somebody else's, with a mistake that shows on some pictures."""

    def __init__(self, *numbers: int) -> None:
        super().__init__()
        self._numbers = iter(range(1000))
        self._throws = set(numbers)

    def detect(self, image):
        if next(self._numbers) in self._throws:
            raise KeyError("tile 3")
        return super().detect(image)


def test_a_detector_that_throws_costs_the_frame_and_the_next_is_inspected():
    sink = run(Plays(0, 1, 2), detector=ThrowsOn(1))
    assert [i.verdict.name for i in sink.done] == ["ACCEPT", "NOT_INSPECTED", "ACCEPT"]
    assert sink.done[1].failures == {"INS-DETECTOR-FAILED": 1}
    # The line is told of it as of any other frame.
    assert [result.failure for _, result in sink.frames] == [None, "INS-DETECTOR-FAILED", None]


class TellsTime(Plays):
    """Gives a frame for each of these (seconds of this computer's clock, nanoseconds of its own)."""

    def __init__(self, *times: tuple[int, int]) -> None:
        super().__init__(*range(len(times)))
        self._times = times

    def frames(self):
        for frame, (second, device_ns) in zip(super().frames(), self._times, strict=True):
            at = frame.captured_at + timedelta(seconds=second)
            yield replace(frame, captured_at=at, device_time_ns=device_ns)


@pytest.mark.parametrize(
    "times", [((10, 1), (11, 2), (5, 3), (6, 4)), ((10, 5), (11, 6), (12, 2), (13, 3))], ids=["ours", "its"]
)
def test_a_clock_that_runs_backwards_costs_the_frame_that_says_so_and_the_next_is_inspected(times):
    sink = run(TellsTime(*times))
    assert [i.verdict.name for i in sink.done] == ["ACCEPT", "ACCEPT", "NOT_INSPECTED", "ACCEPT"]
    assert sink.done[2].failures == {CLOCK_BACKWARDS: 1}
    assert all(i.started_at < i.finished_at for i in sink.done)


def test_a_lane_that_is_too_slow_records_each_part_it_passed_over_as_not_inspected():
    looked_at = threading.Event()
    camera = Pushes(0, 1, 2, 3, 4, 5, after_first=looked_at)
    sink = Keeps()
    lane = a_lane(sink, detector=Waits(camera.all_given, looked_at), holds=2)
    sink.unit_done = lambda inspection: (
        sink.done.append(inspection),
        len(sink.done) == 6 and (lane.stop.set(), lane.leave()),
    )
    lane.run(camera, started=lambda: None)
    # The first was in hand while all the others came.
    assert [i.verdict.name for i in sink.done] == ["ACCEPT", *["NOT_INSPECTED"] * 3, "ACCEPT", "ACCEPT"]
    assert [i.failures for i in sink.done[1:4]] == [{OVERRUN: 1}] * 3
    account = lane.account
    assert (account.exposures, account.dropped, account.results, account.gap) == (6, 3, 3, 0)
    assert account.slowest_step in ("correct", "check", "detect", "judge")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_lane_is_behind_while_more_frames_wait_than_it_has_workers(workers):
    # One in each worker's hands, and one more than that wait.
    frames = 2 * workers + 1
    go_on, begun, camera, sink = threading.Event(), threading.Event(), Pushes(*range(frames)), Keeps()
    lane = a_lane(sink, detector=Waits(go_on, begun), holds=frames, workers=workers)
    assert not lane.is_behind
    thread = threading.Thread(target=lane.run, args=(camera,), kwargs={"started": lambda: None})
    thread.start()
    try:
        assert camera.all_given.wait(60)
        assert begun.wait(60)
        assert lane.is_behind
        go_on.set()
        assert until(lambda: len(sink.done) == frames)
        assert not lane.is_behind
    finally:
        go_on.set()
        lane.stop.set()
        lane.leave()
        thread.join(60)


def test_a_lane_whose_camera_waits_for_it_is_never_behind():
    said = []
    lane = a_lane(Keeps())
    lane.recipe.pipeline.detector.detect = lambda image: said.append(lane.is_behind) or Detections.none()
    lane.run(Plays(0, 1, 2, 3), started=lambda: None)
    assert said == [False] * 4


def until(is_so) -> bool:
    end_s = time.monotonic() + 60
    while not is_so() and time.monotonic() < end_s:
        time.sleep(0.01)
    return is_so()


class Waits(Sees):
    """A detector that is slow enough for everything else to come meanwhile."""

    def __init__(self, until: threading.Event, begun: threading.Event | None = None) -> None:
        super().__init__()
        self._until = until
        self._begun = begun or threading.Event()

    def detect(self, image):
        self._begun.set()
        assert self._until.wait(60)
        return super().detect(image)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_last_exposures_before_a_stop_are_recorded_as_not_inspected(workers):
    camera = Pushes(0, 1, 2, 3)
    sink = Keeps()
    lane = a_lane(sink, detector=Waits(camera.all_given), holds=8, workers=workers)
    sink.frame_done = lambda *_: lane.stop.set()
    lane.run(camera, started=lambda: None)
    assert [i.verdict.name for i in sink.done] == ["ACCEPT", *["NOT_INSPECTED"] * 3]
    assert [i.failures for i in sink.done[1:]] == [{STOPPED: 1}] * 3
    assert lane.account.gap == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_frames_that_wait_when_a_lane_falls_over_are_recorded_too(workers):
    camera = Pushes(0, 1, 2, 5)
    sink = Keeps()
    lane = a_lane(sink, holds=8, workers=workers)
    well = lane.units

    def falls_over(*_):
        assert camera.all_given.wait(60)
        raise ZeroDivisionError

    def falling_over():
        units = well()
        units.completes_unit = falls_over
        return units

    lane.units = falling_over
    with pytest.raises(ZeroDivisionError):
        lane.run(camera, started=lambda: None)
    # And one each for what the failure left of the first, and for the rest of the last.
    assert sum(i.triggers for i in sink.done) == 6 + 2
    assert [i.verdict.name for i in sink.done] == ["NOT_INSPECTED"] * 6
    assert lane.account.gap == 0


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=30),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from([1, 3]),
)
def test_a_lanes_account_balances_whatever_a_device_counts(counts, frames_per_unit, are_labelled, workers):
    units = (lambda: UnreadLabels(last_of_first=4)) if are_labelled else None
    sink = Keeps()
    lane = a_lane(sink, frames_per_unit=frames_per_unit, units=units, workers=workers)
    lane.run(Plays(*counts), started=lambda: None)
    lane.run(Plays(*counts), started=lambda: None)
    account = lane.account
    assert account.gap == 0
    assert account.frames == 2 * len(counts)
    assert account.units == len(sink.done)
    assert account.triggers == sum(i.triggers for i in sink.done) == account.exposures + account.withheld


@pytest.mark.parametrize("mistaken", [Forgets, IgnoresHoles])
def test_an_account_that_does_not_balance_says_so(mistaken):
    sink = Keeps()
    lane = a_lane(sink, frames_per_unit=3, of=mistaken)
    lane.run(Plays(0, 1, 2, 6, 7, 8), started=lambda: None)
    assert lane.account.gap + lane.account.unaccounted > 0


class ChargesNobody(Lane):
    """A lane with yet another mistake: of a hole it tells the tally and not the one it belongs to."""

    def _due(self, sequence, unit):
        tally = super()._due(sequence, unit)
        if sequence == 1:
            tally._triggers -= 1
            tally.lost = lambda count, *, reason: None
        return tally


def test_a_hole_that_no_unit_answers_for_is_a_gap_in_the_account_though_every_unit_balances():
    sink = Keeps()
    lane = a_lane(sink, frames_per_unit=3, of=ChargesNobody)
    lane.run(Plays(0, 2), started=lambda: None)
    assert [i.unaccounted for i in sink.done] == [0]
    assert lane.account.gap == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_another_recipe_is_taken_up_with_the_next_unit_and_costs_no_frame(workers):
    sink = Keeps()
    lane = a_lane(sink, frames_per_unit=3, workers=workers)
    other = a_recipe("other", detector=SeesOneMark(), workers=workers)
    taken_up = []
    sink.frame_done = lambda begun, frame, result: (
        sink.frames.append((begun.id, result)),
        frame.sequence == 1 and lane.change_to(other, taken_up=lambda: taken_up.append(len(sink.frames))),
    )
    lane.run(Plays(*range(9)), started=lambda: None)
    assert [i.recipe.name for i in sink.done] == ["r", "other", "other"]
    assert [i.frames_inspected for i in sink.done] == [3, 3, 3]
    # What was looked at before the unit began is looked at again, by its recipe.
    assert [len(result.defects) for _, result in sink.frames] == [0, 0, 0, *[1] * 6]
    assert taken_up == [3]
    assert lane.account.gap == 0


class Triggered(Plays):
    """A camera of a part, one trigger a second."""

    def frames(self):
        for frame in super().frames():
            after = timedelta(seconds=frame.sequence - self._sequences[0])
            yield replace(frame, captured_at=frame.captured_at + after)


def run_views(top, side, **options) -> Keeps:
    sink = Keeps()
    lane = a_lane(sink, frames_per_unit=2, **options)
    pipeline = lane.recipe.pipeline
    lane.recipe = replace(
        lane.recipe,
        pipeline=ViewPipelines(views={"top": pipeline, "side": pipeline}, limits=()),
        views=("top", "side"),
    )
    lane.run(SeveralViews({"top": top, "side": side}, within_s=0.1, late_s=60), started=lambda: None)
    assert lane.account.gap == 0
    return sink


def test_two_cameras_give_a_part_one_verdict():
    sink = run_views(Triggered(5, 6), Triggered(90, 91))
    assert [(i.verdict, i.triggers, i.frames_inspected) for i in sink.done] == [(Verdict.ACCEPT, 2, 2)] * 2
    assert [result.camera for _, result in sink.frames] == ["top", "side"] * 2


def test_a_part_that_one_camera_missed_is_not_inspected_and_its_neighbours_are():
    sink = run_views(Triggered(0, 1, 2), Triggered(0, 2))
    assert [i.verdict.name for i in sink.done] == ["ACCEPT", "NOT_INSPECTED", "ACCEPT"]
    missed = sink.done[1]
    assert (missed.triggers, missed.frames_inspected, missed.frames_lost) == (2, 1, 1)
    assert missed.failures == {FRAME_LOST: 1, VIEW_MISSING: 1}


def test_a_trigger_that_no_camera_saw_is_a_part_too():
    sink = run_views(Triggered(0, 2), Triggered(0, 2))
    assert [(i.verdict.name, i.triggers) for i in sink.done] == [
        ("ACCEPT", 2),
        ("NOT_INSPECTED", 2),
        ("ACCEPT", 2),
    ]


def test_a_frame_of_a_camera_that_the_recipe_does_not_name_is_not_inspected():
    pipeline = ViewPipelines(views={}, limits=())
    (frame,) = Plays(0).frames()
    assert pipeline.inspect(frame).failure == VIEW_UNKNOWN
