from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from itertools import islice
from pathlib import Path

import psutil
import pytest

from tests import vendor_drivers
from tests.vendor_drivers import a_frame, vendor
from tests.where import REPOSITORY

if sys.platform != "linux":
    pytest.skip("memfd and eventfd are Linux's: run on Linux", allow_module_level=True)

from cameras import open_camera
from cameras.errors import CameraLost, CameraSilent, MemoryTooSmall, ProducerMissing, SettingRefused
from cameras.isolated import Bounds, IsolatedCamera
from cameras.settings import GenicamSettings
from inspection.tally import with_losses

PATIENCE_S = 60
"""A guard against waiting for ever, not a promise about speed."""

NEVER = Bounds(start_s=3600, still_s=3600)
"""Where an end must be noticed for another reason than that time has passed."""


def isolated(*, buffers=8, bounds=None, **behaviour):
    return IsolatedCamera("top", vendor(**behaviour), buffers=buffers, bounds=bounds)


def its_process():
    (process,) = [child for child in multiprocessing.active_children() if child.name == "camera top"]
    return psutil.Process(process.pid)


def wait_until(reached, what):
    give_up_s = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < give_up_s, what
        time.sleep(0.02)


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def sequences_into(given, camera):
    for frame in camera.frames():
        given.append(frame.sequence)


def given_until_lost(camera):
    """Sequences of the frames that came, and the error that ended them."""
    given = []
    with camera:
        process = its_process()
        with pytest.raises(CameraLost) as lost:
            sequences_into(given, camera)
    assert not process.is_running()
    return given, lost.value


@pytest.mark.parametrize(
    ("dies", "of"), [(vendor_drivers.crashes, "SIGSEGV"), (vendor_drivers.is_killed, "SIGKILL")]
)
def test_a_library_that_crashes_is_a_lost_camera_and_its_whole_frames_still_come(dies, of):
    given, lost = given_until_lost(isolated(then=dies, bounds=NEVER))
    assert given == [0, 1, 2]
    assert of in str(lost.facts["reason"])
    assert lost.facts["camera"] == "top"


@pytest.mark.parametrize(
    "stands_still",
    [vendor_drivers.is_stopped, vendor_drivers.hangs, vendor_drivers.hangs_and_holds_python],
)
def test_a_library_that_stands_still_is_ended_and_its_whole_frames_still_come(stands_still):
    given, lost = given_until_lost(isolated(then=stands_still, bounds=Bounds(still_s=2)))
    assert given == [0, 1, 2]
    assert "stood still for 2 s" in str(lost)


def test_a_library_that_leaks_is_ended_before_it_takes_all_memory():
    given, lost = given_until_lost(
        isolated(then=vendor_drivers.leaks, buffers=64, bounds=Bounds(growth_bytes=100 << 20))
    )
    assert len(given) > 64
    assert "grew by" in str(lost)


def test_a_mistake_in_a_driver_is_a_lost_camera_that_names_it(capfd):
    given, lost = given_until_lost(isolated(then=vendor_drivers.makes_a_mistake))
    assert given == [0, 1, 2]
    assert lost.facts["reason"] == "ZeroDivisionError: by the vendor's zero"
    assert "makes_a_mistake" in capfd.readouterr().err


def test_a_frame_larger_than_the_device_was_set_up_for_is_a_lost_camera():
    given, lost = given_until_lost(isolated(side_px=100))
    assert given == []
    assert "larger" in str(lost)


def test_a_library_that_crashes_while_it_starts_is_a_lost_camera():
    with pytest.raises(CameraLost, match="SIGSEGV"), isolated(entering=vendor_drivers.crashes, bounds=NEVER):
        pass
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("descriptors_left", [0, 4])
def test_a_process_that_cannot_be_started_is_a_lost_camera(descriptors_left):
    camera = isolated()
    with (
        vendor_drivers.room_for_descriptors(descriptors_left),
        pytest.raises(CameraLost, match="Too many open files"),
    ):
        camera.__enter__()
    with camera:
        assert next(camera.frames()).sequence == 0


def test_a_library_that_does_not_come_back_from_its_start_is_ended():
    bounds = Bounds(start_s=3)
    with pytest.raises(CameraLost, match="did not start within 3 s"):
        isolated(entering=vendor_drivers.hangs_and_holds_python, bounds=bounds).__enter__()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("hangs", [vendor_drivers.hangs, vendor_drivers.hangs_and_holds_python])
def test_a_library_that_does_not_come_back_from_its_stop_is_ended(hangs, caplog):
    with caplog.at_level(logging.WARNING), isolated(leaving=hangs) as camera:
        next(camera.frames())
        process = its_process()
    assert not process.is_running()
    assert "did not stop within 1 s" in caplog.text


def test_what_the_driver_says_arrives_whole_after_its_frames():
    with isolated(then=vendor_drivers.is_silent) as camera:
        frames = camera.frames()
        assert [frame.sequence for frame in islice(frames, 3)] == [0, 1, 2]
        with pytest.raises(CameraSilent, match="Camera top sent nothing") as silence:
            next(frames)
        assert silence.value.facts == {"camera": "top", "timeout_s": 2.5, "incomplete": 3}
        assert silence.value.action == "Look at it."


def test_a_setting_that_is_refused_is_said_by_the_camera_that_was_to_be_entered():
    with pytest.raises(SettingRefused) as refusal, isolated(entering=vendor_drivers.refuses):
        pass
    assert refusal.value.facts == {"camera": "top", "setting": "width_px", "value": 640, "found": 320}
    assert multiprocessing.active_children() == []


def test_a_producer_that_is_missing_is_said_by_the_camera_that_was_to_be_entered(tmp_path):
    pytest.importorskip("harvesters", reason='pip install "lynceus[gige]"')
    path = tmp_path / "vendor.cti"
    with pytest.raises(ProducerMissing) as missing, open_camera("top", GenicamSettings(producer=path)):
        pass
    assert missing.value.facts["producer"] == str(path)


def test_memory_that_is_not_there_is_refused_at_the_start_with_how_much_is_needed():
    with pytest.raises(MemoryTooSmall) as short, isolated(frame_bytes=1 << 50, buffers=16):
        pass
    assert short.value.facts["frame_bytes"] == 1 << 50
    assert short.value.facts["needed_mb"] >= (16 << 50) // 10**6
    assert 0 < short.value.facts["available_mb"] < short.value.facts["needed_mb"]
    assert multiprocessing.active_children() == []


def test_frames_a_slow_receiver_left_no_room_for_are_holes_of_exactly_their_number(tmp_path, caplog):
    made, go_on = tmp_path / "made", tmp_path / "go on"
    then = partial(vendor_drivers.says_and_waits, made, go_on)
    with isolated(sequences=range(50), then=then, buffers=4, bounds=NEVER) as camera:
        wait_until(made.exists, "50 frames")
        frames = with_losses(camera.frames())
        given = list(islice(frames, 4))
        go_on.touch()
        given += islice(frames, 3)
        with caplog.at_level(logging.WARNING):
            camera.__exit__(None, None, None)
    assert [frame.sequence for frame, _ in given] == [0, 1, 2, 3, 50, 51, 52]
    assert [lost for _, lost in given] == [0, 0, 0, 0, 46, 0, 0]
    assert all((frame.pixels == frame.sequence).all() for frame, _ in given)
    assert "46 frames found the lane too slow" in caplog.text


def test_frames_end_where_the_source_ends():
    with isolated(ends=True) as camera:
        assert [frame.sequence for frame in camera.frames()] == [0, 1, 2]


def test_an_end_that_hides_lost_frames_is_a_lost_camera(tmp_path):
    made = tmp_path / "made"
    given = []
    with isolated(
        sequences=range(50), then=partial(vendor_drivers.says, made), buffers=4, ends=True
    ) as camera:
        wait_until(made.exists, "50 frames")
        with pytest.raises(CameraLost, match="too slow for its last frames"):
            sequences_into(given, camera)
    assert given == [0, 1, 2, 3]


def test_leaving_from_another_thread_ends_the_frames():
    camera = isolated()
    given = []

    def receive():
        given.extend(frame.sequence for frame in camera.frames())

    with camera:
        receiver = threading.Thread(target=receive)
        receiver.start()
        wait_until(lambda: len(given) == 3, "three frames")
    receiver.join(PATIENCE_S)
    assert not receiver.is_alive()
    assert given == [0, 1, 2]


def test_a_receiver_that_was_away_does_not_take_it_for_a_standstill():
    with isolated(bounds=Bounds(still_s=2)) as camera:
        frames = camera.frames()
        next(frames)
        os.kill(its_process().pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(its_process().pid, signal.SIGCONT)
        assert [frame.sequence for frame in islice(frames, 2)] == [1, 2]


def test_opening_again_and_again_leaves_neither_process_nor_descriptor_nor_name():
    names = sorted(Path("/dev/shm").iterdir())
    with isolated() as camera:
        list(islice(camera.frames(), 3))
    before = descriptors()
    for _ in range(3):
        with isolated() as camera:
            list(islice(camera.frames(), 3))
    assert descriptors() == before
    assert multiprocessing.active_children() == []
    assert sorted(Path("/dev/shm").iterdir()) == names


PROGRAM = """
import multiprocessing, sys
from cameras.isolated import Bounds, IsolatedCamera
from tests import vendor_drivers
from tests.vendor_drivers import vendor
driver = vendor(then=getattr(vendor_drivers, sys.argv[1]))
bounds = Bounds(still_s=float(sys.argv[2]), stop_s=60)
with IsolatedCamera("top", driver, buffers=4, bounds=bounds) as camera:
    frames = camera.frames()
    for _ in range(3):
        next(frames)
    print(multiprocessing.active_children()[0].pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def program(tmp_path):
    def start(then, *, still_s=60.0):
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, then, str(still_s)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.mark.parametrize("then", ["nothing", "hangs", "hangs_and_holds_python"])
def test_the_cameras_process_ends_with_the_program_however_that_ends(program, then):
    with program(then, still_s=0.5) as running:
        camera = psutil.Process(int(running.stdout.readline()))
        assert camera.is_running()
        running.kill()
    wait_until(lambda: not camera.is_running(), "the camera's process to end")


def test_a_program_that_ends_in_order_says_nothing_of_what_was_left_behind(program):
    with program("nothing") as running:
        camera = psutil.Process(int(running.stdout.readline()))
        _, said = running.communicate("")
        assert running.returncode == 0
    assert said == ""
    assert not camera.is_running()


def test_ctrl_c_is_the_programs_own(program):
    with program("nothing") as running:
        camera = psutil.Process(int(running.stdout.readline()))
        camera.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert camera.is_running()
        running.communicate("")
        assert running.returncode == 0


def test_a_frame_of_a_driver_arrives_as_it_was():
    with isolated() as camera:
        frame = next(camera.frames())
    assert (frame.pixels == a_frame(0).pixels).all()
    assert frame.captured_at.utcoffset().total_seconds() == 0
