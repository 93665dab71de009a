import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing
from itertools import islice

import numpy as np
import pytest
from click.testing import CliRunner

from cameras.drawn import drawn_parts
from cameras.errors import CameraLost, CameraNotFound, RunUnwritable
from cameras.recording import MANIFEST, read_run
from cameras.replay import ReplayCamera
from cameras.settings import DrawnPartsSettings, ReplaySettings
from cameras.simulator.samples import send
from services.cli.camera import camera
from services.cli.camera_record import Account
from tests.cables import cables_can_be_laid
from tests.cameras.recorded import a_frame
from tests.fake_cameras import TurnedClock
from tests.gige import built_producer
from tests.promises.test_cameras import needs_genicam, our_device
from tests.where import REPOSITORY

STATION = """
name = "bench"
code_prefix = "86.999.1"

[[lanes]]
name = "parts"
title = { en = "Parts", zh = "零件" }
recipe = "part-demo"
unit = { kind = "part" }
camera = { driver = "drawn_parts", seed = 11, size_px = 200, frames_per_s = 50, buffers = 256 }
"""


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("LYNCEUS_LANGUAGE", "en")
    return lambda *arguments: CliRunner().invoke(
        camera, ["record", *map(str, arguments)], standalone_mode=False
    )


@pytest.fixture
def station(tmp_path):
    file = tmp_path / "bench.toml"
    file.write_text(STATION, encoding="utf-8")
    return file


def test_a_lanes_camera_is_recorded_with_its_settings_and_plays_back_the_same(run, station, tmp_path):
    done = run("--station", station, "--out", tmp_path / "run", "--frames", 8)
    assert done.return_value == 0
    assert "Pictures recorded: 8" in done.stdout
    recorded = read_run(tmp_path / "run")
    assert recorded.settings["driver"] == "drawn_parts"
    assert recorded.settings["seed"] == 11
    assert (recorded.lost, recorded.is_cut_off) == (0, False)
    again = DrawnPartsSettings(seed=11, size_px=200, frames_per_s=50)
    with (
        ReplayCamera("top", ReplaySettings(folder=tmp_path / "run")) as replayed,
        drawn_parts("top", again, clock=TurnedClock()) as drawn,
    ):
        played = list(replayed.frames())
        # By sequence: this machine may have been too busy for some.
        made = {frame.sequence: frame for frame in islice(drawn.frames(), played[-1].sequence + 1)}
    assert len(played) == 8
    assert all(np.array_equal(frame.pixels, made[frame.sequence].pixels) for frame in played)


def test_programs_get_the_account_as_json(run, station, tmp_path):
    done = run("--station", station, "--lane", "parts", "--out", tmp_path / "run", "--frames", 2, "--json")
    told = json.loads(done.stdout)
    assert (told["frames"], told["lost_here"], told["folder"]) == (2, 0, str(tmp_path / "run"))


def test_exposures_that_came_damaged_before_the_first_frame_are_missing_in_a_recording():
    account = Account()
    for sequence in (3, 4, 6):
        account.add(a_frame(sequence, first_sequence=1))
    assert (account.frames, account.holes) == (3, 3)


def test_seconds_end_a_recording(run, station, tmp_path):
    assert run("--station", station, "--out", tmp_path / "run", "--seconds", 0.2).exception is None
    assert read_run(tmp_path / "run").frames


@needs_genicam
def test_a_devices_settings_are_read_back_into_the_run(run, tmp_path):
    built_producer()
    with our_device():
        done = run("--producer", "lynceus", "--serial", "LYN2", "--out", tmp_path / "run", "--frames", 3)
    assert done.exception is None
    recorded = read_run(tmp_path / "run")
    assert recorded.settings == {
        "driver": "genicam",
        "producer": "lynceus",
        "serial": "LYN2",
        "buffers": 16,
        "silent_after_s": 5.0,
        "count_triggers": False,
    }
    assert recorded.device["DeviceSerialNumber"] == "LYN2"
    assert recorded.device["PixelFormat"] == "Mono8"
    assert recorded.device["ExposureTime"] == 1000.0
    assert [frame.camera for frame in recorded.frames] == ["LYN2"] * 3
    assert all(frame.device_time_ns is not None for frame in recorded.frames)


@needs_genicam
def test_what_a_device_said_of_each_exposure_comes_back_with_it(run, station, tmp_path):
    built_producer()
    of_device = 'camera = { driver = "genicam", producer = "lynceus", serial = "LYN2", chunks = true }'
    station.write_text(re.sub(r"camera = .*", of_device, STATION), encoding="utf-8")
    with our_device():
        done = run("--station", station, "--out", tmp_path / "run", "--frames", 3)
    assert done.exception is None
    recorded = read_run(tmp_path / "run")
    with ReplayCamera("top", ReplaySettings(folder=tmp_path / "run")) as replayed:
        played = list(replayed.frames())
    for frame, line in zip(played, recorded.frames, strict=True):
        assert frame.chunks == line.chunks
        assert frame.chunks["ExposureTime"] == 1000.0
        assert frame.chunks["Timestamp"] == frame.device_time_ns
        assert frame.chunks["FrameID"] == frame.sequence


@needs_genicam
def test_a_camera_that_is_not_there_leaves_no_folder(run, tmp_path):
    assert isinstance(run("--serial", "4711", "--out", tmp_path / "run").exception, CameraNotFound)
    assert not (tmp_path / "run").exists()


def test_a_recording_is_never_written_over(run, station, tmp_path):
    run("--station", station, "--out", tmp_path / "run", "--frames", 1)
    before = (tmp_path / "run" / MANIFEST).read_bytes()
    again = run("--station", station, "--out", tmp_path / "run", "--frames", 1)
    assert isinstance(again.exception, RunUnwritable)
    assert (tmp_path / "run" / MANIFEST).read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--lane", "parts"), "--station"),
        (("--station", "demo", "--serial", "7"), "--producer"),
        (("--station", "demo"), "strip, parts"),
        (("--station", "demo", "--lane", "roof"), "strip, parts"),
    ],
)
def test_a_camera_named_twice_or_not_at_all_is_a_wrong_call(run, tmp_path, words, said):
    refused = run(*words, "--out", tmp_path / "run")
    assert said in refused.exception.format_message()
    assert refused.exception.exit_code == 2


class Probe(threading.Thread):
    """A front end that is switched off and on again after each frame or two of a thousand samples."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self._to = ("127.0.0.1", port)
        self.is_off = threading.Event()

    def run(self):
        while not self.is_off.is_set():
            for first in (500_000, 0):
                send(np.zeros(2000, np.int16), to=self._to, sample_hz=100_000, first=first)


def test_a_probe_switched_off_and_on_ends_the_recording_and_what_came_until_then_can_be_played(
    run, station, tmp_path
):
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asking:
        asking.bind(("127.0.0.1", 0))
        port = asking.getsockname()[1]
    of_probe = (
        f'camera = {{ driver = "samples", port = {port}, sample_hz = 100_000, samples_per_frame = 1000 }}'
    )
    station.write_text(re.sub(r"camera = .*", of_probe, STATION), encoding="utf-8")
    probe = Probe(port)
    probe.start()
    try:
        done = run("--station", station, "--out", tmp_path / "run", "--frames", 100, "--json")
    finally:
        probe.is_off.set()
        probe.join()
    assert isinstance(done.exception, CameraLost)
    assert json.loads(done.stdout)["lost_before"] >= 0
    recorded = read_run(tmp_path / "run")
    assert recorded.lost == 1
    with ReplayCamera("probe", ReplaySettings(folder=tmp_path / "run")) as replayed:
        played = [frame.sequence for frame in replayed.frames()]
    assert played
    assert played == [frame.sequence for frame in recorded.frames]


def recording(station, folder, *before):
    """`lynceus camera record` without an end, in a process of its own."""
    code = "from services.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "camera",
        "record",
        "--station",
        str(station),
        "--out",
        str(folder),
    ]
    return subprocess.Popen(
        [*before, *command],
        env={**os.environ, "LYNCEUS_LANGUAGE": "en", "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_a_recording_as_it_should_be_ended(station, tmp_path):
    with recording(station, tmp_path / "run") as process:
        assert "Recording camera" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode in (0, 1), errors) == (True, "")
    recorded = read_run(tmp_path / "run")
    assert not recorded.is_cut_off
    assert f"Pictures recorded: {len(recorded.frames)}" in said


def test_a_full_disk_ends_the_recording_with_what_to_do_and_what_it_holds_can_be_played(station, tmp_path):
    with cables_can_be_laid():
        pass  # a skip where there is no root
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    script = (
        f'mount -t tmpfs -o size=400k none {disk} && "$@"; status=$?; cp -r {disk}/run {copy}; exit $status'
    )
    with recording(station, disk / "run", "unshare", "-m", "sh", "-c", script, "sh") as process:
        said, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "CAM-RUN-UNWRITABLE" in errors
    assert "No space left on device" in errors
    recorded = read_run(copy)
    assert recorded.is_cut_off
    assert recorded.frames
    assert f"Pictures recorded: {len(recorded.frames)}" in said
    with ReplayCamera("top", ReplaySettings(folder=copy)) as replayed:
        assert len(list(replayed.frames())) == len(recorded.frames)
