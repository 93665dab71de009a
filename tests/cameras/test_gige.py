"""The pip-only GigE Vision client, before our device, which can be made to fail, and before Aravis'."""

import json
import subprocess
import sys
import threading
from itertools import islice

import numpy as np
import pytest

from cameras.errors import CameraInUse, CameraLost, CameraNotFound, CameraSilent, SettingRefused
from cameras.settings import GigeSettings
from cameras.simulator.faults import Kind, parse_faults
from tests.cameras.gige_client import PATIENCE_S, a_camera, a_free_address, until
from tests.gige import a_gige_device, a_network_of_its_own
from tests.where import REPOSITORY

pytest.importorskip("viva_genicam", reason='pip install "lynceus[gige]"')

from cameras.gige import GigeCamera

SAYS_WHAT_IT_SEES = """
import json, sys
from itertools import islice
from cameras.gige import GigeCamera
from cameras.settings import GigeSettings
with GigeCamera("top", GigeSettings.model_validate_json(sys.argv[1])) as camera:
    frames = list(islice(camera.frames(), 5))
print(json.dumps([[frame.sequence, *frame.pixels.shape] for frame in frames]))
"""


@pytest.fixture
def address():
    return a_free_address()


def gige(device=None, **settings):
    return GigeCamera("top", GigeSettings(device=device, silent_after_s=PATIENCE_S, **settings))


def seen_where_nothing_else_is(**settings):
    """In a process of its own: the library's threads stay in the network where it was first used."""
    given = json.dumps({"driver": "gige", **settings})
    done = subprocess.run(
        [sys.executable, "-c", SAYS_WHAT_IT_SEES, given],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_frame_is_given_once_in_order_with_the_pixels_it_had(address):
    # Resend is on: what is lost on the way, late, doubled or in the wrong order costs nothing.
    faults = parse_faults("lost@2,corrupt@4,late@6,doubled@8,reordered@10")
    with a_camera(address=address, faults=faults, frames_per_s=20) as device, gige(address) as camera:
        frames = list(islice(camera.frames(), 16))
        assert device.counts()["fault_lost"] == 1
    assert [frame.sequence for frame in frames] == list(range(1, 17))
    for frame in frames:
        # Picture k is grey level k throughout.
        assert (frame.pixels == frame.pixels[0, 0]).all()
    levels = [int(frame.pixels[0, 0]) for frame in frames]
    assert levels == sorted(set(levels))


@pytest.mark.parametrize("fault", ["incomplete", "size"])
def test_a_frame_that_is_not_whole_is_never_given_and_leaves_a_hole(address, fault):
    with (
        a_camera(address=address, faults=parse_faults(f"{fault}@3"), frames_per_s=20),
        gige(address) as camera,
    ):
        frames = list(islice(camera.frames(), 8))
    assert [frame.sequence for frame in frames] == [1, 2, 3, 5, 6, 7, 8, 9]


def test_frames_that_come_damaged_before_the_first_whole_one_are_lost_too(address):
    with (
        a_camera(address=address, faults=parse_faults("incomplete@0,incomplete@1"), frames_per_s=20),
        gige(address) as camera,
    ):
        frames = list(islice(camera.frames(), 2))
    assert [(frame.first_sequence, frame.sequence) for frame in frames] == [(1, 3), (1, 4)]


def test_the_devices_count_may_wrap_and_nothing_is_lost(address):
    with a_camera(address=address, first_block_id=65533, frames_per_s=20), gige(address) as camera:
        frames = list(islice(camera.frames(), 6))
    assert [frame.sequence for frame in frames] == list(range(65533, 65539))


def test_frames_a_busy_lane_had_no_room_for_are_a_hole(address):
    with a_camera(address=address, frames_per_s=100) as device, gige(address, buffers=4) as camera:
        frames = camera.frames()
        first = next(frames).sequence
        until(lambda: device.counts()["sent"] > first + 20)
        until(lambda: next(frames).sequence > first + 5)


def test_a_line_scan_frame_knows_its_place_on_the_strip(address):
    with a_camera(address=address, frames_per_s=20), gige(address, mm_per_line=0.5) as camera:
        places_mm = [frame.y_origin_mm for frame in islice(camera.frames(), 3)]
    assert places_mm == [0, 48 * 0.5, 2 * 48 * 0.5]


def test_a_line_scan_frame_is_placed_by_the_encoder_count_that_came_with_it(address):
    with (
        a_camera(address=address, frames_per_s=20),
        gige(address, chunks=True, mm_per_encoder_count=0.5) as camera,
    ):
        frames = list(islice(camera.frames(), 3))
    for frame in frames:
        assert frame.chunks["EncoderValue"] * 0.5 == frame.y_origin_mm
        assert frame.chunks["FrameID"] == frame.sequence
        assert frame.chunks["ExposureTime"] == 1000.0
    assert frames[0].y_origin_mm < frames[1].y_origin_mm < frames[2].y_origin_mm


def test_a_trigger_that_the_device_missed_is_a_hole_where_its_counter_counts_them(address):
    counted = {"trigger": "line", "trigger_source": "Line1", "chunks": True, "count_triggers": True}
    with (
        a_camera(address=address, faults=parse_faults("missed@3,long@6"), frames_per_s=20),
        gige(address, **counted) as camera,
    ):
        frames = list(islice(camera.frames(), 8))
    # Picture k is grey level k throughout, but for the one that was exposed too long.
    parts = [int(frame.pixels[0, 0]) for frame in frames]
    assert parts[3] - parts[2] == 2
    assert np.diff([frame.sequence for frame in frames]).tolist() == [1, 1, 2, 1, 1, 2, 1]
    assert np.diff([frame.chunks["FrameID"] for frame in frames]).tolist() == [1] * 7


def test_the_devices_time_is_in_nanoseconds(address):
    with a_camera(address=address, frames_per_s=10), gige(address) as camera:
        times = [frame.device_time_ns for frame in islice(camera.frames(), 5)]
    assert np.diff(times) == pytest.approx(100_000_000, rel=0.01)  # a trigger each 0.1 s by the line's clock


def test_settings_reach_the_device_and_are_read_back(address):
    with a_camera(address=address) as device:
        settings = {
            "width_px": 32,
            "height_px": 16,
            "exposure_us": 2000.0,
            "gain_db": 6.0,
            "frames_per_s": 20,
        }
        with gige(
            address, pixel_format="Mono8", trigger="line", trigger_source="Line1", **settings
        ) as camera:
            frames = list(islice(camera.frames(), 3))
        assert device.counts()["triggers"] >= 3
    assert frames[0].pixels.shape == (16, 32)


@pytest.mark.parametrize(
    ("setting", "value", "found"),
    [
        ("width_px", 6500, "64 (Width: 16, 20 … 64)"),
        ("width_px", 33, "64 (Width: 16, 20 … 64)"),
        ("gain_db", 60.0, "0.0 (Gain: 0 … 24)"),
        ("line_rate_hz", 1000.0, "- (AcquisitionLineRate)"),
    ],
)
def test_a_value_the_device_does_not_take_is_refused_with_the_one_it_has(address, setting, value, found):
    with a_camera(address=address):
        with pytest.raises(SettingRefused) as refusal, gige(address, **{setting: value}):
            pass
        # And the device is let go: the next can have it.
        with gige(address):
            pass
    facts = refusal.value.facts
    assert (facts["setting"], facts["value"], facts["found"]) == (setting, str(value), found)


def test_an_address_where_nobody_answers_is_a_camera_that_is_not_there(address):
    with pytest.raises(CameraNotFound) as missing, gige(address):
        pass
    assert missing.value.facts == {"camera": "top", "wanted": address, "found": "-"}


def test_a_camera_is_found_on_any_network_by_any_of_its_names(address):
    with a_camera(address=address, interface="lo", serial="FOUND-ME") as device:
        mac = f"02-4C-{'-'.join(f'{int(part):02X}' for part in address.split('.'))}"
        for name in ({"serial": "FOUND-ME"}, {"device": "FOUND-ME"}, {"device": mac}, {"device": address}):
            with gige(**name) as camera:
                next(camera.frames())
        assert device.counts()["blocks"] >= 4


def test_another_camera_is_not_taken_for_the_one_wanted(address):
    with (
        a_camera(address=address, interface="lo", serial="OTHER"),
        pytest.raises(CameraNotFound) as missing,
        gige(serial="WANTED"),
    ):
        pass
    assert "OTHER" in missing.value.facts["found"]


def test_a_camera_that_is_open_elsewhere_says_so(address):
    with a_camera(address=address, serial="ONE"), gige(address) as camera:
        with pytest.raises(CameraInUse) as refusal, gige(address):
            pass
        assert refusal.value.facts["wanted"] == "ONE"
        assert next(camera.frames()).sequence > 0


def test_two_cameras_open_at_once_do_not_disturb_each_other(address):
    other = a_free_address()
    seen = {}

    def look(at):
        with gige(at) as camera:
            seen[at] = [frame.sequence for frame in islice(camera.frames(), 5)]

    with a_camera(address=address), a_camera(address=other):
        lanes = [threading.Thread(target=look, args=(at,)) for at in (address, other)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join(PATIENCE_S)
    assert seen == {address: [1, 2, 3, 4, 5], other: [1, 2, 3, 4, 5]}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(Kind.LINK, "does not answer"), (Kind.REBOOT, "."), (Kind.HEARTBEAT, "no longer knows that it is ours")],
)
def test_a_device_that_is_gone_or_no_longer_ours_is_a_lost_camera(address, fault, reason):
    with a_camera(address=address) as device, gige(address) as camera:
        frames = camera.frames()
        next(frames)
        device.demand(fault, seconds=PATIENCE_S)
        with pytest.raises(CameraLost, match=reason):
            list(frames)


def test_a_device_that_is_switched_off_is_lost_and_found_again_when_it_is_on(address):
    camera = gige(address)
    with a_camera(address=address):
        camera.__enter__()
        next(camera.frames())
    with pytest.raises(CameraLost):
        list(camera.frames())
    camera.__exit__(None, None, None)
    with a_camera(address=address), camera:
        assert next(camera.frames()).sequence == 1


def test_a_device_that_a_killed_program_left_running_is_opened_and_set(address):
    holds = "import sys, time; exec(sys.argv[2]); print(next(camera.frames()).sequence, flush=True); time.sleep(600)"
    opens = (
        "from cameras.gige import GigeCamera; from cameras.settings import GigeSettings;"
        "camera = GigeCamera('top', GigeSettings(device=sys.argv[1])); camera.__enter__()"
    )
    with a_camera(address=address) as device:
        other = subprocess.Popen(
            [sys.executable, "-c", holds, address, opens], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        try:
            assert other.stdout.readline() == "1\n"
        finally:
            other.kill()
            other.wait()
            other.stdout.close()
        until(lambda: device.counts()["heartbeats_lost"] == 1)
        with gige(address, height_px=16) as camera:
            assert next(camera.frames()).pixels.shape == (16, 64)


def test_frames_that_came_before_the_loss_are_still_given(address):
    with a_camera(address=address, frames_per_s=20) as device, gige(address) as camera:
        until(lambda: device.counts()["sent"] >= 5)
        device.demand(Kind.HEARTBEAT)
        until(lambda: device.counts()["fault_heartbeat"] == 1)
        given = []

        def look():
            for frame in camera.frames():
                given.append(frame.sequence)

        with pytest.raises(CameraLost):
            look()
    assert given[:5] == [1, 2, 3, 4, 5]


def test_a_trigger_that_never_comes_is_silence_and_the_camera_is_still_there(address):
    settings = GigeSettings(device=address, trigger="software", silent_after_s=1.0)
    with a_camera(address=address), GigeCamera("top", settings) as camera:
        for _ in range(2):
            with pytest.raises(CameraSilent) as silence:
                next(camera.frames())
            assert silence.value.facts == {"camera": "top", "timeout_s": 1.0, "incomplete": 0}


def test_each_software_trigger_takes_a_frame(address):
    with a_camera(address=address) as device, gige(address, trigger="software") as camera:
        for count in (1, 2, 3):
            camera.trigger()
            assert next(camera.frames()).sequence == count
        assert device.counts()["triggers"] == 3


def test_silence_says_how_much_came_damaged(address):
    settings = GigeSettings(device=address, silent_after_s=2.0)
    with (
        a_camera(address=address, faults=parse_faults("incomplete=1")),
        GigeCamera("top", settings) as camera,
        pytest.raises(CameraSilent) as silence,
    ):
        next(camera.frames())
    assert silence.value.facts["incomplete"] > 0


def test_leaving_from_another_thread_ends_the_frames(address):
    seen, received = [], threading.Event()

    def receive():
        for frame in camera.frames():
            seen.append(frame)
            received.set()

    with a_camera(address=address):
        with gige(address) as camera:
            receiver = threading.Thread(target=receive)
            receiver.start()
            assert received.wait(PATIENCE_S)
        receiver.join(PATIENCE_S)
    assert not receiver.is_alive()
    assert seen


def test_aravis_device_is_found_by_its_serial_number_and_its_wrap_is_counted():
    with a_gige_device():
        seen = seen_where_nothing_else_is(serial="LYN1", width_px=128, height_px=96)
    # Its ids begin at 65400 (tests/gige.py).
    assert [frame[1:] for frame in seen] == [[96, 128]] * 5
    assert [frame[0] for frame in seen] == list(range(seen[0][0], seen[0][0] + 5))


def test_without_an_address_the_camera_is_looked_for():
    with a_network_of_its_own(), a_camera(address="127.0.0.1", serial="HERE"):
        assert [frame[0] for frame in seen_where_nothing_else_is(serial="HERE")] == [1, 2, 3, 4, 5]
