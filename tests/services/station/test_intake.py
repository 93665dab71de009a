import threading
from datetime import UTC, datetime
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameras.errors import CameraLost
from cameras.replay import ReplayCamera
from cameras.settings import ReplaySettings
from inspection.types import Frame
from services.station.intake import Arrived, Intake
from tests.cameras.recorded import record

PIXELS = np.tile(np.arange(64, dtype=np.uint8) * 3, (32, 1))


class Pushes:
    """A camera whose frames are all there at once, and then no more until it is left, or until it fails.

    after_first    what is waited for between the first frame and the others
    damaged_first  before the first of them so many came damaged
    """

    def __init__(
        self,
        *sequences: int,
        then: Exception | None = None,
        after_first: threading.Event | None = None,
        damaged_first: int = 0,
    ) -> None:
        self._sequences = sequences
        self._then = then
        self._first = sequences[0] - damaged_first if sequences else None
        self._after_first = after_first
        self.all_given = threading.Event()
        self._left = threading.Event()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._left.set()

    def frames(self):
        for number, sequence in enumerate(self._sequences):
            if number == 1 and self._after_first is not None:
                assert self._after_first.wait(60)
            yield Frame(
                pixels=PIXELS,
                camera="top",
                sequence=sequence,
                captured_at=datetime(2026, 11, 20, tzinfo=UTC),
                first_sequence=self._first,
            )
        self.all_given.set()
        if self._then is not None:
            raise self._then
        self._left.wait(60)


def all_of(camera: Pushes, *, holds: int) -> list[tuple[int, bool]]:
    """What is given to a lane that was busy until all had come: its number, and whether its frame was still there."""
    with Intake(camera, holds=holds) as intake:
        assert camera.all_given.wait(60)
        intake.leave()
        return [(one.sequence, one.frame is not None) for one in intake.arrivals()]


def test_of_more_frames_than_are_held_the_oldest_are_dropped_and_every_one_is_named():
    assert all_of(Pushes(1, 2, 3, 4, 5), holds=2) == [
        (1, False),
        (2, False),
        (3, False),
        (4, True),
        (5, True),
    ]


def test_what_came_before_the_camera_was_left_is_given_all_the_same():
    assert all_of(Pushes(1, 2), holds=4) == [(1, True), (2, True)]


def test_a_camera_that_fails_is_heard_after_its_last_frames():
    lost = CameraLost("gone", action="Check the cable.", camera="top", reason="link")
    with Intake(Pushes(1, 2, then=lost), holds=4) as intake:
        arrivals = intake.arrivals()
        assert [next(arrivals).sequence, next(arrivals).sequence] == [1, 2]
        with pytest.raises(CameraLost):
            next(arrivals)


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=20), st.integers(1, 5))
def test_the_intake_gives_every_frame_once_in_order(sequences, holds):
    camera = Pushes(*sequences)
    with Intake(camera, holds=holds) as intake:
        assert camera.all_given.wait(60)
        intake.leave()
        assert [one.sequence for one in intake.arrivals()] == sequences


def test_a_recorded_run_is_counted_as_it_was_live_also_what_was_damaged_before_its_first_frame(tmp_path):
    def counted(camera, *, frames):
        with Intake(camera, holds=None) as intake:
            for arrived in islice(intake.arrivals(), frames):
                intake.count(arrived)
        return intake.exposures, intake.frames

    with Pushes(5, 6, 8, damaged_first=3) as camera:
        folder = record(tmp_path / "run", islice(camera.frames(), 3))
    live = counted(Pushes(5, 6, 8, damaged_first=3), frames=3)
    assert live == (7, 3)
    assert counted(ReplayCamera("top", ReplaySettings(folder=folder)), frames=3) == live


@given(st.lists(st.integers(0, 40), min_size=1, max_size=20))
def test_what_is_counted_is_what_the_camera_counted(sequences):
    intake = Intake(Pushes(), holds=None)
    for sequence in sequences:
        intake.count(Arrived(sequence=sequence, frame=None, came_s=0.0))
    assert intake.frames == len(sequences)
    if sequences == sorted(set(sequences)):
        assert intake.exposures == sequences[-1] - sequences[0] + 1
