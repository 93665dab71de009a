from __future__ import annotations

import sys
import threading
import time

import pytest

from cameras.errors import CameraInUse, CameraLost, CameraNotFound
from inspection.types import Verdict
from services.station.engine import CAMERA_RETRY_S, STILL_OURS_S, keep_running
from services.station.lane import LANE_FAILED, Lane
from services.station.messages import LaneState
from tests import vendor_drivers
from tests.services.station.test_lane import Keeps, Plays, a_lane
from tests.vendor_drivers import vendor


class NotesWaits(threading.Event):
    """Told to wait, it notes for how long and goes on at once."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits_s.append(timeout)
        return self.is_set()


class TakesLong(Plays):
    """Gives its exposures only after a while."""

    def frames(self):
        time.sleep(CAMERA_RETRY_S + 0.1)
        yield from super().frames()


def lost(reason: str) -> CameraLost:
    return CameraLost("gone", action="Check the cable.", camera="top", reason=reason)


def not_there() -> CameraNotFound:
    return CameraNotFound("none", action="Check the cable.", camera="top", wanted="1", found="-")


def keep(
    sink: Keeps,
    *cameras,
    frames_per_unit: int = 1,
    said: list[LaneState] | None = None,
    still_ours_s: float = STILL_OURS_S,
    **options,
) -> tuple[list[LaneState], NotesWaits]:
    """What is said of a lane that opens these cameras one after the other; an error is one that does not open.

    said  is filled while it runs
    """
    lane = a_lane(sink, frames_per_unit=frames_per_unit, **options)
    lane.stop = NotesWaits()
    remaining = list(cameras)

    def open_next():
        camera = remaining.pop(0)
        if isinstance(camera, Exception):
            raise camera
        return camera

    said = [] if said is None else said
    keep_running(lane, open_next, camera="top", driver="replay", say=said.append, still_ours_s=still_ours_s)
    return said, lane.stop


def conditions(said: list[LaneState]) -> list[str]:
    return [state.condition for state in said]


def test_a_lane_carries_on_by_itself_when_its_camera_comes_back():
    sink = Keeps()
    said, _ = keep(sink, Plays(7, 8, then=lost("cable")), Plays(0, 1, 2), frames_per_unit=3)
    assert conditions(said) == ["starting", "running", "lost", "running", "stopped"]
    assert (said[2].failure, said[2].facts) == ("CAM-LOST", {"camera": "top", "reason": "cable"})
    assert [i.verdict for i in sink.done] == [Verdict.NOT_INSPECTED, Verdict.ACCEPT]
    assert sink.done[0].failures == {"CAM-LOST": 1}


def test_a_lost_camera_stays_lost_with_the_newest_reason_until_it_runs():
    said, _ = keep(Keeps(), Plays(0, then=lost("cable")), not_there(), not_there(), Plays(0))
    assert conditions(said) == ["starting", "running", "lost", "lost", "lost", "running", "stopped"]
    assert [state.failure for state in said[2:5]] == ["CAM-LOST", "CAM-NOT-FOUND", "CAM-NOT-FOUND"]
    assert said[5].failure is None


def in_use(camera: str = "top") -> CameraInUse:
    return CameraInUse("held", action="Close the viewer.", camera=camera, wanted="1")


def failures(said: list[LaneState]) -> list[str | None]:
    return [state.failure for state in said if state.condition == "lost"]


def test_a_camera_that_our_own_killed_process_could_not_give_back_is_lost_and_not_in_use():
    killed = lost("its process was ended by SIGKILL")
    said, _ = keep(Keeps(), Plays(0, then=killed), not_there(), in_use(), Plays(0))
    assert failures(said) == ["CAM-LOST", "CAM-NOT-FOUND", "CAM-LOST"]
    assert said[-3].facts == {"camera": "top", "reason": "its process was ended by SIGKILL"}


def test_a_camera_that_somebody_else_holds_is_in_use():
    said, _ = keep(Keeps(), in_use(), Plays(0, then=lost("cable")), in_use("side"), Plays(0))
    assert failures(said) == ["CAM-IN-USE", "CAM-LOST", "CAM-IN-USE"]
    # Nothing of ours holds it so long after it was lost.
    said, _ = keep(Keeps(), Plays(0, then=lost("cable")), in_use(), Plays(0), still_ours_s=0)
    assert failures(said) == ["CAM-LOST", "CAM-IN-USE"]


class TakesLongToLeave(Plays):
    """Notes what was said of it when it was left, which a camera whose link broke needs a second for."""

    def __init__(self, *sequences, then, said) -> None:
        super().__init__(*sequences, then=then)
        self._said = said
        self.known_when_left: list[str] = []

    def __exit__(self, kind, error, trace):
        self.known_when_left = self._said()
        super().__exit__(kind, error, trace)


def test_the_gate_and_the_page_know_of_a_lost_camera_before_it_is_left():
    sink, said = Keeps(), []
    dying = TakesLongToLeave(
        7, 8, then=lost("cable"), said=lambda: [*(i.verdict.name for i in sink.done), *conditions(said)]
    )
    keep(sink, dying, Plays(0, 1, 2), frames_per_unit=3, said=said)
    assert dying.known_when_left == ["NOT_INSPECTED", "starting", "running", "lost"]


def test_a_camera_that_ran_is_opened_again_at_once_and_one_that_did_not_after_a_while():
    _, stop = keep(Keeps(), TakesLong(0, then=lost("cable")), not_there(), Plays(0))
    at_once, after_a_while = stop.waits_s
    assert at_once <= 0
    assert 0 < after_a_while <= CAMERA_RETRY_S


class FallsOverOnce(Lane):
    """A lane with a mistake of ours in it, which shows on its first frame of all."""

    def _due(self, sequence, unit):
        if self.account.mistakes == 0:
            raise ZeroDivisionError
        return super()._due(sequence, unit)


def test_a_lane_that_ends_on_a_mistake_of_ours_says_so_and_begins_again_after_a_while():
    sink = Keeps()
    said, stop = keep(sink, Plays(0), Plays(0, 1), of=FallsOverOnce)
    assert conditions(said) == ["starting", "running", "stopped", "running", "stopped"]
    assert [state.failure for state in said] == [None, None, LANE_FAILED, None, None]
    (waited_s,) = stop.waits_s
    assert 0 < waited_s <= CAMERA_RETRY_S
    # What it had in hand is on record, too.
    assert [i.verdict.name for i in sink.done] == ["NOT_INSPECTED", "ACCEPT", "ACCEPT"]
    assert sink.done[0].failures == {LANE_FAILED: 2}


@pytest.mark.skipif(sys.platform != "linux", reason="memfd and eventfd are Linux's: run on Linux")
def test_a_vendors_library_that_crashes_costs_the_unit_in_hand_and_nothing_else():
    from cameras.isolated import IsolatedCamera

    crashing = vendor(sequences=range(4), then=vendor_drivers.crashes, side_px=64, frame_bytes=64 * 64)
    well = vendor(sequences=range(6), ends=True, side_px=64, frame_bytes=64 * 64)
    sink = Keeps()
    said, _ = keep(
        sink,
        IsolatedCamera("top", crashing, buffers=8),
        IsolatedCamera("top", well, buffers=8),
        frames_per_unit=3,
    )
    assert conditions(said) == ["starting", "running", "lost", "running", "stopped"]
    assert "SIGSEGV" in said[2].facts["reason"]
    # The picture of one grey value is no picture of a part: what counts here is who saw how many.
    assert [(i.triggers, i.frames_lost) for i in sink.done] == [(3, 0), (2, 1), (3, 0), (3, 0)]
    assert sink.done[1].failures["CAM-LOST"] == 1
