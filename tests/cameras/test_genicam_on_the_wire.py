"""The driver on our simulated device, over GigE Vision, through our producer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from itertools import islice

import cv2
import numpy as np
import pytest

from cameras.errors import (
    AddressRefused,
    CameraInUse,
    CameraLost,
    CameraNotFound,
    CameraSilent,
    SettingRefused,
)
from cameras.gvcp import discover, force_ip
from cameras.settings import GenicamSettings
from cameras.simulator.protocol import Status
from cameras.simulator.registers import CONTROL_AT
from tests.cameras.gige_client import Client
from tests.fake_cameras import a_picture
from tests.gige import a_network_of_its_own, a_simulated_device, a_switched_on_device, built_producer
from tests.where import REPOSITORY

pytest.importorskip("harvesters", reason='pip install "lynceus[gige]"')

from cameras.genicam import GenicamCamera, list_devices

SERIAL = "LYN3"
MM_PER_COUNT = 0.5


@pytest.fixture
def parts():
    with a_simulated_device("--show", "parts", "--frames-per-s", "20", serial=SERIAL):
        yield


def camera(**settings):
    named = {} if "device" in settings else {"serial": SERIAL}
    small = {"width_px": 320, "height_px": 240, "silent_after_s": 60}
    return GenicamCamera("top", GenicamSettings(producer="lynceus", **(named | small | settings)))


def test_a_camera_is_opened_by_its_mac_and_by_its_ip_address(parts):
    (listed,) = list_devices("lynceus")
    assert (listed.serial, listed.address, listed.mac) == (SERIAL, "127.0.0.1", "02:4c:7f:00:00:01")
    for name in (listed.mac.upper().replace(":", "-"), listed.address, listed.serial):
        with camera(device=name) as opened:
            assert len(list(islice(opened.frames(), 2))) == 2
    with pytest.raises(CameraNotFound) as missing, camera(device="10.9.8.7"):
        pass
    assert missing.value.facts == {"camera": "top", "wanted": "10.9.8.7", "found": SERIAL}


def test_a_region_of_the_sensor_is_what_comes(parts):
    with camera(width_px=128, height_px=64, offset_x_px=16, offset_y_px=8) as opened:
        assert next(opened.frames()).pixels.shape == (64, 128)
        assert opened.values(["OffsetX", "OffsetY"]) == {"OffsetX": 16, "OffsetY": 8}
    # And a larger one after it, which the old offset would leave no room for.
    with camera(width_px=400, height_px=400) as opened:
        assert next(opened.frames()).pixels.shape == (400, 400)


def test_a_refusal_says_what_the_device_offers(parts):
    with pytest.raises(SettingRefused) as refusal, camera(pixel_format="Mono14", width_px=322):
        pass
    assert refusal.value.facts["setting"] == "pixel_format, width_px"
    assert "PixelFormat: Mono8" in refusal.value.facts["found"]
    assert "Width: 16, 20 … 400" in refusal.value.facts["found"]


def test_every_software_trigger_gives_a_frame_and_none_comes_unasked(parts):
    with camera(trigger="software", silent_after_s=1.0) as opened, pytest.raises(CameraSilent):
        next(opened.frames())
    with camera(trigger="software") as opened:
        frames = opened.frames()
        sequences = []
        for _ in range(4):
            opened.trigger()
            sequences.append(next(frames).sequence)
    assert sequences == list(range(sequences[0], sequences[0] + 4))
    with camera(trigger="free") as opened:
        assert len(list(islice(opened.frames(), 3))) == 3


def test_a_running_camera_tells_of_itself_and_of_its_link(parts):
    with camera() as opened:
        list(islice(opened.frames(), 3))
        told = opened.values(
            ["DeviceUserID", "GevSCPSPacketSize", "StreamDeliveredFrameCount", "StreamUnderrunCount"]
        )
    assert told["StreamDeliveredFrameCount"] >= 3
    assert told["GevSCPSPacketSize"] > 576
    assert told.keys() >= {"DeviceUserID", "StreamUnderrunCount"}


def test_a_share_of_the_link_is_set_and_kept(parts):
    with camera(link_mb_per_s=40, packet_delay_us=2.0, packet_bytes=1200) as opened:
        assert opened.values(["DeviceLinkThroughputLimit", "GevSCPD", "GevSCPSPacketSize"]) == {
            "DeviceLinkThroughputLimit": 40_000_000,
            "GevSCPD": 2000,
            "GevSCPSPacketSize": 1200,
        }
        next(opened.frames())


def test_frames_of_a_strip_lie_where_the_encoder_was_as_the_truth_says(tmp_path):
    truth = tmp_path / "truth.jsonl"
    options = ("--show", "strip", "--frames-per-s", "10", "--truth", str(truth))
    with (
        a_simulated_device(*options, serial=SERIAL),
        camera(
            width_px=800,
            height_px=100,
            chunks=True,
            mm_per_encoder_count=MM_PER_COUNT,
            exposure_us=50.0,
            device_scan_type="line",
        ) as opened,
    ):
        frames = list(islice(opened.frames(), 8))
    told = {line["block_id"]: line for line in map(json.loads, truth.read_text().splitlines())}
    for frame in frames:
        true = told[frame.sequence]
        assert frame.chunks["FrameID"] == frame.sequence
        assert frame.chunks["EncoderValue"] == true["encoder"]
        assert frame.chunks["Timestamp"] == true["timestamp_ns"] == frame.device_time_ns
        assert frame.chunks["ExposureTime"] == 50.0
        assert frame.y_origin_mm == true["encoder"] * MM_PER_COUNT
        assert frame.pixels.shape == (100, 800)
    assert len({frame.y_origin_mm for frame in frames}) == len(frames)


KILLED = """
import sys
from cameras.genicam import GenicamCamera
from cameras.settings import GenicamSettings
with GenicamCamera("top", GenicamSettings(producer="lynceus", serial=sys.argv[1])) as camera:
    for frame in camera.frames():
        print(frame.sequence, flush=True)
"""


def test_after_a_client_was_killed_in_mid_stream_the_next_gets_frames(parts):
    command = [sys.executable, "-c", KILLED, SERIAL]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as client:
        for _ in range(3):
            assert client.stdout.readline()
        client.send_signal(signal.SIGKILL)
    assert len(frames_once_it_is_free()) == 3


def frames_once_it_is_free():
    """The device keeps its controller until that one's heartbeat is out."""
    give_up_s = time.monotonic() + 60
    while True:
        try:
            with camera() as opened:
                return list(islice(opened.frames(), 3))
        except CameraInUse:
            assert time.monotonic() < give_up_s
            time.sleep(0.2)


def test_an_address_is_given_only_to_a_camera_nobody_holds(parts):
    (heard,) = discover()
    assert force_ip(heard.mac, heard.address).serial == SERIAL
    with camera(), pytest.raises(AddressRefused) as refusal:
        force_ip(heard.mac, "127.0.0.9")
    assert refusal.value.facts["status"] == "0x8006"


def test_the_clock_the_temperature_and_a_user_set_are_the_devices_own(parts):
    with camera(user_set="Default", ptp=True) as opened:
        next(opened.frames())
        told = opened.values(["PtpEnable", "PtpStatus", "PtpOffsetFromMaster", "DeviceTemperature"])
    assert told.keys() == {"PtpEnable", "PtpStatus", "PtpOffsetFromMaster", "DeviceTemperature"}
    assert told["PtpEnable"] == 1
    assert told["PtpStatus"] in ("Listening", "Uncalibrated", "Slave")
    with camera(ptp=False) as opened:
        assert opened.values(["PtpStatus"]) == {"PtpStatus": "Disabled"}
    with pytest.raises(SettingRefused) as refusal, camera(user_set="UserSet9"):
        pass
    assert "Default" in refusal.value.facts["found"]


def test_the_light_barrier_triggers_and_an_input_that_is_not_there_is_refused(parts):
    with camera(trigger="line", trigger_source="Line1", trigger_activation="RisingEdge") as opened:
        first, second = islice(opened.frames(), 2)
        assert second.sequence == first.sequence + 1
        assert opened.values(["TriggerMode", "TriggerSource"]) == {
            "TriggerMode": "On",
            "TriggerSource": "Line1",
        }
    with pytest.raises(SettingRefused) as refusal, camera(trigger="encoder"):
        pass
    assert refusal.value.facts["setting"] == "trigger_source"
    assert "Software, Line1" in refusal.value.facts["found"]


def test_a_trigger_that_the_device_missed_is_a_hole_where_its_counter_counts_them(tmp_path):
    truth = tmp_path / "truth.jsonl"
    counted = {"trigger": "line", "trigger_source": "Line1", "chunks": True, "count_triggers": True}
    options = (
        "--show",
        "parts",
        "--frames-per-s",
        "20",
        "--faults",
        "missed@5,long@9",
        "--truth",
        str(truth),
    )
    with a_simulated_device(*options, serial=SERIAL), camera(**counted) as opened:
        frames = list(islice(opened.frames(), 12))
    parts = {}
    for line in map(json.loads, truth.read_text().splitlines()):
        parts.setdefault(line.get("block_id"), line["trigger"])
    seen = [parts[frame.chunks["FrameID"]] for frame in frames]
    assert max(np.diff(seen)) == 2, "parts passed that nobody saw"
    assert np.diff([frame.sequence for frame in frames]).tolist() == np.diff(seen).tolist()
    assert np.diff([frame.trigger for frame in frames]).tolist() == np.diff(seen).tolist()


def test_a_camera_that_comes_back_at_another_address_is_found_by_its_serial_number():
    built_producer()
    with a_network_of_its_own():
        lost = camera()
        with a_switched_on_device("--address", "127.0.0.1", serial=SERIAL):
            lost.__enter__()
            next(lost.frames())
        with pytest.raises(CameraLost):
            list(lost.frames())
        lost.__exit__(None, None, None)
        with a_switched_on_device("--address", "127.0.0.7", serial=SERIAL), lost:
            assert next(lost.frames()).pixels.shape == (240, 320), "set again as it was"
            assert [heard.address for heard in discover()] == ["127.0.0.7"]


def test_a_camera_that_another_host_took_is_lost_then_in_use_then_ours_again():
    options = ("--show", "parts", "--frames-per-s", "20", "--faults", "heartbeat@20")
    with a_simulated_device(*options, serial=SERIAL), Client("127.0.0.1") as thief:
        stolen = threading.Thread(target=take_as_soon_as_it_is_free, args=(thief,))
        with camera(silent_after_s=3) as opened:
            next(opened.frames())
            stolen.start()
            with pytest.raises((CameraLost, CameraSilent)):
                list(opened.frames())
        stolen.join()
        with pytest.raises(CameraInUse), camera():
            pass
        thief.write_word(CONTROL_AT, 0)
        assert len(frames_once_it_is_free()) == 3


def take_as_soon_as_it_is_free(thief):
    give_up_s = time.monotonic() + 60
    while thief.write_word(CONTROL_AT, 2) is not Status.SUCCESS:
        assert time.monotonic() < give_up_s
    # What a host that controls a device does all the time.
    thief.write("GevHeartbeatTimeout", 600_000)


GREY = ("Mono8", "Mono10", "Mono10p", "Mono10Packed", "Mono12", "Mono12p", "Mono12Packed", "Mono16")
COLOUR = ("BayerRG8", "RGB8", "BGR8")


def test_a_picture_comes_as_it_is_in_every_format_the_device_sends(tmp_path):
    picture = a_picture(7, height=48, width=64)
    cv2.imwrite(str(tmp_path / "one.png"), picture)
    with a_simulated_device("--show", str(tmp_path), "--frames-per-s", "20", serial=SERIAL):
        for name in GREY:
            with camera(pixel_format=name, width_px=64, height_px=48) as opened:
                assert np.array_equal(next(opened.frames()).pixels, picture), name
        for name in COLOUR:
            with camera(pixel_format=name, width_px=64, height_px=48) as opened:
                assert next(opened.frames()).pixels.shape == (48, 64, 3), name
