import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameras.errors import CameraLost
from services.station.ahead import Ahead
from services.station.intake import Intake
from tests.services.station.test_lane import Plays


def looked_at(camera, look, *, workers):
    with (
        Intake(camera, holds=None) as intake,
        Ahead(intake, look, workers=workers, is_over=lambda: False) as ahead,
    ):
        return [(turn.sequence, turn.seen.result(60)) for turn in ahead.turns()]


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(1, 5))
def test_frames_come_in_their_order_each_with_what_was_seen_in_it(count, workers):
    seen = looked_at(Plays(*range(count)), lambda worker, frame: frame.sequence * 2, workers=workers)
    assert seen == [(number, number * 2) for number in range(count)]


def test_frames_are_looked_at_at_the_same_time_and_the_slow_one_is_waited_for():
    others = threading.Barrier(2, timeout=60)

    def look(worker, frame):
        # The first two wait for each other: one after the other, they would wait for ever.
        if frame.sequence < 2:
            others.wait()
        return worker

    seen = looked_at(Plays(*range(6)), look, workers=2)
    assert [sequence for sequence, _ in seen] == list(range(6))
    assert {worker for _, worker in seen[:2]} == {0, 1}


def test_no_worker_looks_at_two_frames_at_once():
    busy = [threading.Lock() for _ in range(3)]
    others = threading.Event()

    def look(worker, frame):
        assert busy[worker].acquire(blocking=False)
        others.wait(0.001)
        busy[worker].release()
        return frame.sequence

    assert len(looked_at(Plays(*range(60)), look, workers=3)) == 60


@pytest.mark.parametrize("workers", [1, 3])
def test_what_a_worker_raises_is_raised_for_its_frame_and_the_next_is_looked_at(workers):
    def look(worker, frame):
        if frame.sequence == 1:
            raise KeyError("tile 3")
        return frame.sequence

    with (
        Intake(Plays(0, 1, 2), holds=None) as intake,
        Ahead(intake, look, workers=workers, is_over=lambda: False) as ahead,
    ):
        first, second, third = ahead.turns()
        assert (first.seen.result(60), third.seen.result(60)) == (0, 2)
        with pytest.raises(KeyError):
            second.seen.result(60)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_camera_that_fails_is_heard_after_its_last_frames(workers):
    lost = CameraLost("gone", action="Check the cable.", camera="top", reason="link")
    given = []
    with (
        Intake(Plays(0, 1, then=lost), holds=None) as intake,
        Ahead(intake, lambda worker, frame: 0, workers=workers, is_over=lambda: False) as ahead,
        pytest.raises(CameraLost),
    ):
        given += (turn.sequence for turn in ahead.turns())
    assert given == [0, 1]


def test_no_more_frames_are_taken_than_four_for_each_worker_while_the_lane_is_busy():
    taken = []

    class Counts(Plays):
        def frames(self):
            for frame in super().frames():
                taken.append(frame.sequence)
                yield frame

    with (
        Intake(Counts(*range(40)), holds=None) as intake,
        Ahead(intake, lambda worker, frame: 0, workers=2, is_over=lambda: False) as ahead,
    ):
        turns = ahead.turns()
        next(turns).seen.result(60)
        # The one given to the lane, and eight that wait for it.
        assert len(taken) <= 9
        assert [turn.sequence for turn in turns] == list(range(1, 40))


def test_what_was_taken_and_not_given_is_the_rest():
    with Intake(Plays(*range(4)), holds=None) as intake:
        with Ahead(intake, lambda worker, frame: 0, workers=2, is_over=lambda: False) as ahead:
            turns = ahead.turns()
            given = [next(turns).sequence]
        given += (one.sequence for one in ahead.rest())
    assert given == list(range(len(given)))
