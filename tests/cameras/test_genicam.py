from __future__ import annotations

import logging
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from cameras.errors import (
    CameraInUse,
    CameraLost,
    CameraNotFound,
    CameraSilent,
    ProducerMissing,
    SettingRefused,
)
from cameras.settings import GenicamSettings
from tests.fake_cameras import (
    COORD3D_A32F,
    MONO12P,
    RGBA8,
    Exposed,
    FakeDevice,
    TurnedClock,
    a_picture,
    exposures,
)

pytest.importorskip("harvesters", reason='pip install "lynceus[gige]"')

from genicam import gentl

from cameras.genicam import GenicamCamera, connected, list_devices
from cameras.producers import producer_file


def simulated(**settings):
    return GenicamCamera("top", GenicamSettings(producer="simulated", **settings))


def frames_until_silent(device):
    frames = []
    with device.camera() as camera:
        source = camera.frames()
        with suppress(CameraSilent):
            while True:
                frames.append(next(source))
    return frames


def test_every_buffer_goes_back_so_the_stream_never_starves():
    device = FakeDevice(script=[*exposures(range(1, 101))], buffers=2)
    frames = frames_until_silent(device)
    assert [frame.sequence for frame in frames] == list(range(1, 101))
    assert device.lost_for_want_of_buffers == 0
    for index, frame in enumerate(frames):
        assert np.array_equal(frame.pixels, a_picture(index))


def test_a_damaged_frame_is_never_given_and_leaves_a_hole():
    device = FakeDevice(script=exposures(range(1, 7), damaged={3, 4}))
    frames = frames_until_silent(device)
    assert [frame.sequence for frame in frames] == [1, 2, 5, 6]


def test_damaged_frames_of_a_device_that_does_not_count_are_holes_too():
    script = exposures([None] * 4)
    script[2] = Exposed(pixels=a_picture(0), frame_id=None, is_damaged=True)
    frames = frames_until_silent(FakeDevice(script=script))
    assert [frame.sequence for frame in frames] == [0, 1, 3]


@pytest.mark.parametrize(("ids", "sequences"), [(range(1, 6), [3, 4, 5]), ([None] * 5, [2, 3, 4])])
def test_frames_that_come_damaged_before_the_first_whole_one_are_lost_too(ids, sequences):
    script = [replace(one, is_damaged=index < 2) for index, one in enumerate(exposures(ids))]
    device = FakeDevice(script=script)
    for frames in (frames_until_silent(device), frames_until_silent(device)):
        assert [frame.sequence for frame in frames] == sequences
        assert {frame.first_sequence for frame in frames} == {sequences[0] - 2}


def test_a_frame_larger_than_its_buffer_is_a_damaged_one():
    script = exposures([1, 2, 3])
    script[1] = Exposed(pixels=a_picture(1), frame_id=2, height_px=60_000)
    device = FakeDevice(script=script, buffers=1)
    frames = frames_until_silent(device)
    assert [frame.sequence for frame in frames] == [1, 3]
    assert device.lost_for_want_of_buffers == 0


def test_the_devices_count_may_wrap_and_nothing_is_lost():
    frames = frames_until_silent(FakeDevice(script=exposures([65534, 65535, 1, 2])))
    assert [frame.sequence for frame in frames] == [65534, 65535, 65536, 65537]


def test_a_count_that_starts_again_is_a_lost_camera():
    device = FakeDevice(script=exposures([500, 501, 3]))
    with device.camera() as camera, pytest.raises(CameraLost, match="from 501 back to 3"):
        list(camera.frames())


def test_a_frame_sent_twice_is_given_once():
    frames = frames_until_silent(FakeDevice(script=exposures([1, 2, 2, 3])))
    assert [frame.sequence for frame in frames] == [1, 2, 3]


def test_the_log_says_why_frames_were_lost(caplog):
    # Of this device's stream two frames found no buffer.
    with FakeDevice(script=exposures([1])).camera() as camera:
        next(camera.frames())
    assert "StreamUnderrunCount" not in caplog.text
    assert "camera top: frames were lost before they came: UnderrunCount 2" in caplog.text


def test_padded_rows_come_out_straight():
    script = [Exposed(pixels=a_picture(0), frame_id=1, padding_bytes=5)]
    frames = frames_until_silent(FakeDevice(script=script))
    assert np.array_equal(frames[0].pixels, a_picture(0))


def test_a_line_scan_image_cut_short_has_only_the_lines_that_came():
    script = [Exposed(pixels=a_picture(0), frame_id=1, delivered_px=10)]
    frames = frames_until_silent(FakeDevice(script=script))
    assert np.array_equal(frames[0].pixels, a_picture(0)[:10])


def test_a_picture_of_a_part_cut_short_is_a_loss():
    script = [
        Exposed(pixels=a_picture(0), frame_id=1),
        Exposed(pixels=a_picture(1), frame_id=2, delivered_px=10),
        Exposed(pixels=a_picture(2), frame_id=3),
    ]
    features = {"Height": 24, "DeviceScanType": "Areascan"}
    frames = frames_until_silent(FakeDevice(script=script, features=features))
    assert [frame.sequence for frame in frames] == [1, 3]


@pytest.mark.parametrize("filled_bytes", [0, 24 * 32 - 1])
def test_a_frame_that_did_not_come_whole_is_a_loss_though_its_library_says_otherwise(filled_bytes):
    script = [
        Exposed(pixels=a_picture(0), frame_id=1),
        Exposed(pixels=a_picture(1), frame_id=2, filled_bytes=filled_bytes),
        Exposed(pixels=a_picture(2), frame_id=3),
    ]
    frames = frames_until_silent(FakeDevice(script=script))
    assert [frame.sequence for frame in frames] == [1, 3]


def test_a_height_left_out_of_the_trailer_is_asked_of_the_device():
    script = [Exposed(pixels=a_picture(0), frame_id=1, height_px=0)]
    frames = frames_until_silent(FakeDevice(script=script, features={"Height": 24}))
    assert np.array_equal(frames[0].pixels, a_picture(0))


def test_colour_comes_out_as_bgr():
    red = np.tile(np.array((255, 0, 0, 255), np.uint8), (16, 16))
    script = [Exposed(pixels=red, frame_id=1, pixel_format=RGBA8)]
    frames = frames_until_silent(FakeDevice(script=script))
    assert frames[0].pixels.shape == (16, 16, 3)
    assert (frames[0].pixels == (0, 0, 255)).all()


def test_a_pixel_format_nobody_reads_is_refused_by_its_code():
    script = [Exposed(pixels=a_picture(0), frame_id=1, pixel_format=COORD3D_A32F)]
    with FakeDevice(script=script).camera() as camera, pytest.raises(SettingRefused) as refusal:
        next(camera.frames())
    assert refusal.value.facts["found"] == "0x012000BD"
    assert "Mono8" in str(refusal.value)


def test_silence_is_an_error_and_says_how_much_came_damaged():
    clock = TurnedClock()
    device = FakeDevice(script=exposures(range(1, 6), damaged={3, 4, 5}))
    with device.camera(clock=clock, silent_after_s=2.0) as camera:
        frames = camera.frames()
        assert [frame.sequence for frame in islice(frames, 2)] == [1, 2]
        began_s = clock.monotonic_s()
        with pytest.raises(CameraSilent) as silence:
            next(frames)
    assert clock.monotonic_s() - began_s == pytest.approx(2.0, abs=0.01)  # a few looks of 0.5 ms
    assert silence.value.facts == {"camera": "top", "timeout_s": 2.0, "incomplete": 3}


def test_a_busy_receiver_is_not_taken_for_a_silent_camera():
    clock = TurnedClock()
    with FakeDevice(script=exposures([1, 2])).camera(clock=clock, silent_after_s=2.0) as camera:
        frames = camera.frames()
        next(frames)
        clock.turn(60)
        assert next(frames).sequence == 2


@pytest.mark.parametrize("vendor_error", [gentl.IoException("link gone"), gentl.ErrorException("odd")])
def test_a_broken_link_is_a_lost_camera_that_names_the_cause(vendor_error):
    device = FakeDevice(script=[*exposures([1]), vendor_error])
    with device.camera() as camera:
        frames = camera.frames()
        next(frames)
        with pytest.raises(CameraLost, match=str(vendor_error)) as lost:
            next(frames)
    assert lost.value.__cause__ is vendor_error
    assert device.closed == 1


def test_a_lost_camera_is_told_in_the_producers_own_words():
    wrapped = (
        "GenTL exception: Communication error, read or write to remote device failed. "
        "(Message from the source: CAM-7 (left) at 10.0.0.7 does not answer any more) (ID: -1010)"
    )
    device = FakeDevice(script=[gentl.IoException(wrapped)])
    with device.camera() as camera, pytest.raises(CameraLost) as lost:
        list(camera.frames())
    assert lost.value.facts["reason"] == "CAM-7 (left) at 10.0.0.7 does not answer any more"


def test_a_device_that_cannot_be_stopped_is_still_let_go(caplog):
    device = FakeDevice(script=exposures([1]), fails_to_stop=gentl.IoException("gone"))
    with caplog.at_level(logging.WARNING), device.camera() as camera:
        next(camera.frames())
        assert device.is_grabbing
    assert not device.is_grabbing
    assert device.closed == 1
    assert "did not stop" in caplog.text


def test_a_device_that_refuses_a_setting_is_let_go():
    device = FakeDevice(script=[])
    with pytest.raises(SettingRefused), device.camera(exposure_us=80.0):
        pass
    assert device.closed == 1


def test_a_device_with_several_streams_is_refused_rather_than_half_inspected():
    device = FakeDevice(script=[], streams=2)
    with pytest.raises(SettingRefused, match="data streams"), device.camera():
        pass


def test_settings_reach_the_device_under_their_standard_names():
    device = FakeDevice(
        script=exposures([1]),
        features={"ExposureTime": 0.0, "ExposureAuto": "Continuous", "Width": 0, "PixelFormat": "RGB8"},
    )
    with device.camera(exposure_us=80.0, width_px=640, pixel_format="Mono8"):
        nodes = device.nodes
        assert nodes.ExposureTime.value == 80.0
        assert nodes.ExposureAuto.value == "Off"
        assert nodes.Width.value == 640
        assert nodes.PixelFormat.value == "Mono8"


def test_a_value_rounded_by_the_device_is_taken_another_value_is_refused():
    rounding = FakeDevice(script=[], features={"ExposureTime": lambda us: us - 0.5})
    with rounding.camera(exposure_us=80.0):
        pass
    obstinate = FakeDevice(script=[], features={"ExposureTime": lambda us: 10_000.0})
    with pytest.raises(SettingRefused) as refusal, obstinate.camera(exposure_us=80.0):
        pass
    assert refusal.value.facts == {
        "camera": "top",
        "setting": "exposure_us",
        "value": "80.0",
        "found": "10000.0 (ExposureTime)",
    }


def test_every_setting_a_device_refuses_is_told_at_once():
    device = FakeDevice(script=[], features={"PixelFormat": ("Mono8", "Mono12"), "Width": 640})
    with (
        pytest.raises(SettingRefused) as refusal,
        device.camera(width_px=320, exposure_us=80.0, gain_db=3.0) as camera,
    ):
        pass
    assert refusal.value.facts["setting"] == "exposure_us, gain_db"
    assert refusal.value.facts["found"] == "- (ExposureTime), - (Gain)"
    camera = device.camera(exposure_us=80.0)
    with pytest.raises(SettingRefused), camera:
        pass
    assert [change.setting for change in camera.changes] == ["exposure_us"]


def test_what_a_device_rounded_is_kept_to_be_seen():
    device = FakeDevice(script=[], features={"ExposureTime": lambda us: us - 0.5})
    with device.camera(exposure_us=80.0) as camera:
        (change,) = camera.changes
    assert (change.setting, change.wanted, change.found, change.is_refused) == (
        "exposure_us",
        80.0,
        79.5,
        False,
    )


def test_a_device_left_streaming_is_stopped_before_anything_is_set():
    device = FakeDevice(script=exposures([1]), features={"AcquisitionStop": 0, "TLParamsLocked": 1})
    with device.camera():
        assert device.nodes.AcquisitionStop.executed == 1
        assert device.nodes.TLParamsLocked.value == 0


def with_chunks(script, **more):
    features = {"ChunkModeActive": False, "ChunkEnable": False} | more
    names = {name for exposed in script for name in exposed.chunks}
    features |= {"ChunkSelector": tuple(sorted(names))} | {f"Chunk{name}": None for name in names}
    return FakeDevice(script=script, features=features)


def exposed_at(*counts):
    return [
        Exposed(pixels=a_picture(0), frame_id=number, chunks={} if count is None else {"EncoderValue": count})
        for number, count in enumerate(counts, start=1)
    ]


def test_what_came_with_a_frame_is_in_it_and_nothing_of_another_frame():
    script = [
        Exposed(pixels=a_picture(0), frame_id=1, chunks={"ExposureTime": 80.5, "CounterValue": 17}),
        Exposed(pixels=a_picture(1), frame_id=2, chunks={"ExposureTime": 81.5}),
    ]
    device = with_chunks(script)
    frames = []
    with device.camera(chunks=True) as camera, suppress(CameraSilent):
        frames.extend(islice(camera.frames(), 2))
    assert [frame.chunks for frame in frames] == [
        {"ExposureTime": 80.5, "CounterValue": 17},
        {"ExposureTime": 81.5},
    ]
    assert [frame.trigger for frame in frames] == [17, None]


def test_a_frame_lies_where_the_encoder_was_and_one_without_its_count_is_a_hole():
    device = with_chunks(exposed_at(1000, None, 1400))
    with device.camera(chunks=True, mm_per_encoder_count=0.25) as camera:
        frames = list(islice(camera.frames(), 2))
    assert [(frame.sequence, frame.y_origin_mm) for frame in frames] == [(1, 250.0), (3, 350.0)]


def counting(*counts):
    """A device on its input Line1; the values of its counter, one with each frame, None where that is missing."""
    script = [
        replace(exposed, chunks={} if count is None else {"CounterValue": count})
        for exposed, count in zip(exposures(range(1, len(counts) + 1)), counts, strict=True)
    ]
    device = with_chunks(script)
    device.features |= {
        "TriggerSource": "Line1",
        "TriggerMode": "On",
        "CounterEventSource": "Line1",
    }
    return device


COUNTED = {"trigger": "line", "trigger_source": "Line1", "chunks": True, "count_triggers": True}


def test_a_trigger_that_exposed_nothing_is_a_hole_where_triggers_are_counted():
    with counting(20, 21, 23, 24).camera(**COUNTED) as camera:
        frames = list(islice(camera.frames(), 4))
    assert [(frame.sequence, frame.trigger) for frame in frames] == [(1, 20), (2, 21), (4, 23), (5, 24)]


def test_a_frame_without_its_trigger_count_is_a_hole_where_triggers_are_counted():
    with counting(20, None, 22).camera(**COUNTED) as camera:
        assert [frame.sequence for frame in islice(camera.frames(), 2)] == [1, 3]


def test_a_trigger_counter_that_stands_still_is_a_lost_camera():
    with counting(20, 20, 20).camera(**COUNTED) as camera, pytest.raises(CameraLost, match="trigger counter"):
        list(camera.frames())


def test_a_frame_whose_values_cannot_be_read_is_a_damaged_one():
    script = exposed_at(1000, 1200, 1400)
    script[1] = replace(script[1], has_torn_chunks=True)
    with with_chunks(script).camera(chunks=True) as camera:
        assert [frame.sequence for frame in islice(camera.frames(), 2)] == [1, 3]


def test_a_strip_that_runs_the_other_way_counts_down():
    with with_chunks(exposed_at(100)).camera(chunks=True, mm_per_encoder_count=-0.5) as camera:
        assert next(camera.frames()).y_origin_mm == -50.0


def test_without_an_encoder_the_lines_tell_the_place_lost_ones_too():
    device = FakeDevice(script=exposures(range(5, 9), damaged={6, 7}), features={"Height": 24})
    with device.camera(mm_per_line=0.5) as camera:
        frames = list(islice(camera.frames(), 2))
    assert [(frame.sequence, frame.y_origin_mm) for frame in frames] == [(5, 0.0), (8, 36.0)]


def test_a_software_trigger_reaches_the_device_and_a_device_without_one_refuses():
    device = FakeDevice(script=[], features={"TriggerSoftware": 0})
    with device.camera() as camera:
        camera.trigger()
        assert device.nodes.TriggerSoftware.executed == 1
    camera.trigger()
    assert device.nodes.TriggerSoftware.executed == 1
    with FakeDevice(script=[]).camera() as camera, pytest.raises(SettingRefused):
        camera.trigger()


def test_a_running_device_says_what_it_is_asked_and_a_left_one_nothing():
    device = FakeDevice(script=[], features={"DeviceTemperature": 41.5})
    with device.camera() as camera:
        asked = ["DeviceTemperature", "StreamUnderrunCount", "PtpStatus"]
        assert camera.values(asked) == {"DeviceTemperature": 41.5, "StreamUnderrunCount": 2}
    assert camera.values(asked) == {}


def test_packed_lines_that_share_a_byte_are_refused_with_the_widths_that_do_not():
    script = [Exposed(pixels=a_picture(0, width=33), frame_id=1, pixel_format=MONO12P)]
    with FakeDevice(script=script).camera() as camera, pytest.raises(SettingRefused) as refusal:
        next(camera.frames())
    assert refusal.value.facts["found"] == "Mono12p: 2, 4 …"


def test_leaving_from_another_thread_ends_the_frames():
    script = exposures([1])
    received = threading.Event()
    seen = []

    # The real clock: the receiving thread waits for a frame that never comes.
    camera = GenicamCamera(
        "top",
        GenicamSettings(producer="simulated", silent_after_s=60),
        connect=FakeDevice(script=script).connect,
    )

    def receive():
        for frame in camera.frames():
            seen.append(frame)
            received.set()

    with camera:
        receiver = threading.Thread(target=receive)
        receiver.start()
        assert received.wait(60)
    receiver.join(60)
    assert not receiver.is_alive()
    assert len(seen) == 1


def test_the_simulated_producer_lists_its_three_devices():
    assert [device.serial for device in list_devices("simulated")] == ["0", "1", "2"]
    assert {device.model for device in list_devices("simulated")} == {"Viky"}


def test_looking_for_devices_does_not_disturb_a_running_one():
    with simulated(serial="0", frames_per_s=50) as camera:
        frames = camera.frames()
        before = next(frames).sequence
        assert len(list_devices("simulated")) == 3
        assert next(frames).sequence > before


def test_two_devices_of_one_producer_run_side_by_side():
    with simulated(serial="0") as first:
        with simulated(serial="1") as second:
            assert next(second.frames()).sequence >= 0
        # The second one's leaving must not unload the first one's producer.
        assert len(list(islice(first.frames(), 3))) == 3


def test_a_device_in_use_says_so():
    with simulated(serial="0"), pytest.raises(CameraInUse), simulated(serial="0"):
        pass
    with simulated(serial="0") as camera:
        next(camera.frames())


def test_a_serial_number_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(CameraNotFound) as missing, simulated(serial="4711"):
        pass
    assert missing.value.facts == {"camera": "top", "wanted": "4711", "found": "0, 1, 2"}


def test_without_a_serial_number_there_must_be_exactly_one_device():
    with pytest.raises(CameraNotFound, match="found 0, 1, 2"), simulated():
        pass


def test_settings_are_applied_to_a_device_through_its_real_node_map():
    with simulated(serial="1", pixel_format="Mono8", width_px=403, height_px=300) as camera:
        assert next(camera.frames()).pixels.shape == (300, 403)
    with (
        pytest.raises(SettingRefused, match=r"exposure_us = 80.0; it has - \(ExposureTime\)"),
        simulated(serial="1", exposure_us=80.0),
    ):
        pass
    with pytest.raises(SettingRefused, match="width_px"), simulated(serial="1", width_px=2048):
        pass


@pytest.mark.parametrize("serial", ["0", "1", "2"])
@pytest.mark.parametrize("pixel_format", ["Mono8", "RGBa8"])
def test_a_camera_that_is_open_knows_how_large_its_frames_are(serial, pixel_format):
    with simulated(serial=serial, pixel_format=pixel_format, width_px=400, height_px=300) as camera:
        assert next(camera.frames()).pixels.nbytes == camera.frame_bytes


def test_of_a_multi_part_frame_the_picture_is_taken():
    with simulated(serial="2", pixel_format="Mono8") as camera:
        whole = next(camera.frames())

    @contextmanager
    def with_depth(name, settings):
        with connected(name, settings) as acquirer:
            nodes = acquirer.remote_device.node_map
            nodes.ComponentSelector.value = "Range"
            nodes.ComponentEnable.value = True
            nodes.ComponentSelector.value = "Intensity"
            yield acquirer

    settings = GenicamSettings(producer="simulated", serial="2", pixel_format="Mono8")
    with GenicamCamera("top", settings, connect=with_depth) as camera:
        frame = next(camera.frames())
    assert frame.pixels.shape == whole.pixels.shape == (400, 400)
    assert frame.pixels.max() > frame.pixels.min()


def test_the_devices_colours_are_the_right_way_round():
    with simulated(serial="0") as camera:  # VikyTL_DEV_red: a red ball on white
        pixels = next(camera.frames()).pixels
    ball = pixels[(pixels != 255).any(axis=2)]
    assert len(ball) > 0
    assert (ball[:, 2] > ball[:, 0]).all()


def test_frames_a_busy_receiver_had_no_buffer_for_are_holes():
    with simulated(serial="0", buffers=4, frames_per_s=200) as camera:
        frames = camera.frames()
        first = next(frames).sequence
        # Until the device has made more than its buffers hold, however slow this machine is.
        while next(frames).sequence == first + 1:
            first += 1
            threading.Event().wait(0.1)


@pytest.mark.parametrize("content", [None, b"no library"])
def test_a_producer_that_is_not_there_or_not_one_is_missing(tmp_path, content):
    path = tmp_path / "vendor.cti"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProducerMissing) as missing:
        list_devices(path)
    assert missing.value.facts["producer"] == str(path)
    with pytest.raises(ProducerMissing), GenicamCamera("top", GenicamSettings(producer=path)):
        pass


def test_the_simulated_producer_is_found_beside_genicam():
    assert producer_file("simulated").name == "viky.cti"


def test_without_harvesters_the_error_says_what_to_install():
    program = """
import sys
sys.modules["harvesters"] = None
from cameras.errors import ProducerMissing
try:
    import cameras.genicam
except ProducerMissing as error:
    print(error.action)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert 'pip install "lynceus[gige]"' in done.stdout
