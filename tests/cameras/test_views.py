import threading
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.errors import CameraLost, ViewsOutOfStep
from cameras.views import SeveralViews
from inspection.types import Frame
from tests.builders import NOON

PIXELS = np.zeros((16, 16), np.uint8)


class Sees:
    """A camera that saw these triggers, one a second; its own count begins at `counts_from`. What it saw from
    `damaged_first` up to the first of them came damaged."""

    def __init__(self, *triggers, counts_from=0, late_s=0.0, then=None, damaged_first=None):
        self._triggers = triggers
        self._counts_from = counts_from
        self._late_s = late_s
        self._then = then
        self._first = None if damaged_first is None else counts_from + damaged_first
        self.is_open = False
        self.left = threading.Event()
        self.has_given = threading.Event()

    def __enter__(self):
        self.is_open = True
        self.left.clear()
        return self

    def __exit__(self, *_):
        self.is_open = False
        self.left.set()

    def frames(self):
        for trigger in self._triggers:
            yield Frame(
                pixels=PIXELS,
                camera="serial",
                sequence=self._counts_from + trigger,
                captured_at=NOON + timedelta(seconds=trigger + self._late_s),
                device_time_ns=trigger,
                first_sequence=self._first,
            )
        self.has_given.set()
        if isinstance(self._then, Exception):
            raise self._then
        if self._then == "silence":
            self.left.wait(60)


def views(late_s=30.0, within_s=0.1, **cameras):
    return SeveralViews(cameras, within_s=within_s, late_s=late_s)


def seen(several):
    with several:
        return [(frame.sequence, frame.trigger, frame.camera) for frame in several.frames()]


def test_the_frames_of_a_trigger_come_together_under_the_names_of_their_views():
    several = views(top=Sees(0, 1, counts_from=40), side=Sees(0, 1, counts_from=7, late_s=0.01))
    assert seen(several) == [(0, 0, "top"), (1, 0, "side"), (2, 1, "top"), (3, 1, "side")]


def test_a_view_that_did_not_see_a_trigger_is_a_hole_before_those_that_did():
    """So that the unit is complete with its last frame, and need not wait for the next one."""
    several = views(top=Sees(0, 1, 2), side=Sees(0, 2))
    assert seen(several) == [(0, 0, "top"), (1, 0, "side"), (3, 1, "top"), (4, 2, "top"), (5, 2, "side")]


def test_a_trigger_that_no_view_saw_is_a_hole_of_all_of_them():
    several = views(top=Sees(0, 3), side=Sees(0, 3))
    assert [sequence for sequence, *_ in seen(several)] == [0, 1, 6, 7]


@given(st.sets(st.integers(1, 12)), st.sets(st.integers(1, 12)), st.integers(0, 1000))
def test_every_trigger_owes_one_exposure_of_each_view(top, side, counts_from):
    several = views(top=Sees(0, *sorted(top), 13, counts_from=counts_from), side=Sees(0, *sorted(side), 13))
    frames = seen(several)
    assert frames[-1][0] == 2 * 14 - 1
    assert {(trigger, camera) for _, trigger, camera in frames} == {
        *((trigger, "top") for trigger in {0, 13} | top),
        *((trigger, "side") for trigger in {0, 13} | side),
    }
    assert all(sequence // 2 == trigger for sequence, trigger, _ in frames)
    assert [sequence for sequence, *_ in frames] == sorted({sequence for sequence, *_ in frames})


def test_what_one_camera_saw_before_the_others_ran_is_before_the_start():
    several = views(top=Sees(0, 1, 2, 3), side=Sees(2, 3))
    assert seen(several) == [(0, 0, "top"), (1, 0, "side"), (2, 1, "top"), (3, 1, "side")]


def test_triggers_that_one_camera_saw_damaged_before_its_first_whole_frame_are_lost_of_all_views():
    several = views(top=Sees(2, 3, counts_from=40, damaged_first=0), side=Sees(0, 1, 2, 3))
    assert seen(several) == [(4, 2, "top"), (5, 2, "side"), (6, 3, "top"), (7, 3, "side")]
    with several:
        assert {frame.first_sequence for frame in several.frames()} == {0}


def test_triggers_that_one_camera_saw_damaged_before_the_others_ran_are_before_the_start():
    several = views(top=Sees(2, 3, counts_from=40, damaged_first=0), side=Sees(1, 2, 3))
    assert seen(several) == [(2, 1, "top"), (3, 1, "side"), (4, 2, "top"), (5, 2, "side")]


def test_frames_of_one_count_taken_at_different_times_are_not_paired():
    """The second camera missed a trigger that it did not count: all that follows would be of the wrong unit."""

    class MissesOne(Sees):
        def frames(self):
            for frame in super().frames():
                index = frame.sequence
                late = timedelta(seconds=1 if index else 0)
                yield Frame(
                    pixels=PIXELS, camera="serial", sequence=index, captured_at=frame.captured_at + late
                )

    with pytest.raises(ViewsOutOfStep):
        seen(views(top=Sees(0, 1, 2), side=MissesOne(0, 1)))


def test_triggers_that_follow_each_other_too_closely_to_be_told_apart_are_refused():
    with pytest.raises(ViewsOutOfStep, match="two triggers"):
        seen(views(top=Sees(0, 1, 2), side=Sees(0, 1, 2), within_s=0.8))


def test_a_view_that_stays_silent_is_waited_for_no_longer_than_allowed():
    side = Sees(0, then="silence")
    several = views(top=Sees(0, 1, then="silence"), side=side, late_s=0.05)
    with several:
        frames = several.frames()
        got = [next(frames).camera for _ in range(3)]
        assert got == ["top", "side", "top"]
        several.__exit__(None, None, None)
        assert list(frames) == []


def test_a_frame_that_comes_after_its_trigger_was_given_up_ends_the_pairing():
    given_up = threading.Event()

    class Late(Sees):
        def frames(self):
            frames = super().frames()
            yield next(frames)
            given_up.wait(60)
            yield from frames

    several = views(top=Sees(0, 1, then="silence"), side=Late(0, 1, then="silence"), late_s=0.05)
    with several:
        frames = several.frames()
        assert [next(frames).camera for _ in range(3)] == ["top", "side", "top"]
        given_up.set()
        with pytest.raises(ViewsOutOfStep):
            next(frames)


def test_a_lost_camera_loses_all_views():
    lost = CameraLost("gone", action="-", camera="side", reason="cable")
    several = views(top=Sees(0, 1, then="silence"), side=Sees(0, then=lost))
    with several, pytest.raises(CameraLost):
        list(several.frames())


def test_what_all_views_had_seen_before_one_was_lost_is_still_given_and_then_the_loss_is_told():
    """A part that was seen whole has its record, and one of which a view is missing has it as well."""

    class IsLostWhenTold(Sees):
        def frames(self):
            yield from super().frames()
            assert told.wait(60)
            raise CameraLost("gone", action="-", camera="side", reason="cable")

    told = threading.Event()
    top, side = Sees(0, 1, 2, 3, then="silence"), IsLostWhenTold(0, 1, 2)
    several = views(top=top, side=side)
    given = []

    def take_all():
        for frame in several.frames():
            given.append((frame.sequence, frame.trigger, frame.camera))
            assert top.has_given.wait(60)
            assert side.has_given.wait(60)
            told.set()

    with several, pytest.raises(CameraLost):
        take_all()
    assert given == [
        *((0, 0, "top"), (1, 0, "side"), (2, 1, "top"), (3, 1, "side"), (4, 2, "top"), (5, 2, "side")),
        (7, 3, "top"),
    ]


def test_a_camera_that_does_not_start_lets_the_others_go():
    class Refuses(Sees):
        def __enter__(self):
            raise CameraLost("no", action="-", camera="side", reason="power")

    top = Sees(0)
    with pytest.raises(CameraLost):
        views(top=top, side=Refuses()).__enter__()
    assert not top.is_open


def test_no_device_clock_is_compared_with_another():
    with views(top=Sees(0), side=Sees(0)) as several:
        assert [frame.device_time_ns for frame in several.frames()] == [None, None]
