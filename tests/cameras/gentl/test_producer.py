"""Our GenTL producer between harvesters and a real GigE Vision device."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

from cameras.errors import CameraInUse, CameraLost, CameraSilent, ProducerMissing, SettingRefused
from cameras.settings import GenicamSettings
from tests.cameras.gige_client import until
from tests.gige import INSTALL, a_gige_device, built_producer
from tests.where import REPOSITORY

pytest.importorskip("harvesters", reason='pip install "lynceus[gige]"')

from cameras.genicam import DeviceInfo, GenicamCamera, connected, list_devices
from cameras.producers import our_producer, producer_file
from services.cli.camera import camera as command

SOURCES = REPOSITORY / "cameras" / "gentl"
GEV_SCPS_PACKET_SIZE = 0x0D04
FRAMES = 200
"""More than the 136 after which the device's 16-bit count wraps."""


@pytest.fixture
def device():
    with a_gige_device() as device:
        yield device


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LYNCEUS_LANGUAGE", "en")
    return lambda *arguments: CliRunner().invoke(command, arguments)


def settings(device, **more):
    small = {"width_px": 128, "height_px": 96, "frames_per_s": 100, "buffers": 64, "silent_after_s": 60}
    return GenicamSettings(producer="lynceus", serial=device.serial, **(small | more))


class Watched:
    """A camera on the device, and what its driver does not show: the producer's own counts and features."""

    def __init__(self, device, *, prepare=lambda nodes: None, **more):
        self._prepare = prepare
        self.camera = GenicamCamera("top", settings(device, **more), connect=self._connect)

    @contextmanager
    def _connect(self, name, given):
        with connected(name, given) as self.acquirer:
            self._prepare(self.acquirer.remote_device.node_map)
            yield self.acquirer

    @property
    def nodes(self):
        return self.acquirer.remote_device.node_map

    def count(self, of):
        return getattr(self.acquirer.data_streams[0].node_map, f"Stream{of}").value


def assert_every_frame_is_accounted_for(watched, source, *, frames=FRAMES):
    """Holes are what the producer counted as lost, no more and no fewer, however busy this machine is."""
    sequences = [next(source).sequence]
    damaged_before = watched.count("IncompleteFrameCount")
    sequences += [frame.sequence for frame in islice(source, frames - 1)]
    assert len(sequences) == frames
    assert sequences == sorted(set(sequences))
    damaged = watched.count("IncompleteFrameCount") - damaged_before
    holes = sequences[-1] - sequences[0] + 1 - frames
    assert damaged <= holes <= damaged + watched.count("UnderrunCount")
    assert watched.count("DeliveredFrameCount") == frames + damaged + damaged_before
    return sequences


def test_it_is_found_where_make_producer_puts_it():
    built = built_producer()
    assert producer_file("lynceus") == built


def test_where_it_is_not_built_the_error_says_what_builds_it(tmp_path):
    with pytest.raises(ProducerMissing) as missing:
        our_producer(tmp_path)
    assert "apt-get install" in missing.value.action
    assert "libaravis-dev" in missing.value.action
    assert "make producer" in missing.value.action


def test_it_compiles_without_a_warning(tmp_path):
    built_producer()
    command = ["make", f"BUILD={tmp_path}", "CFLAGS=-O2 -Werror -D_FORTIFY_SOURCE=2"]
    done = subprocess.run(command, cwd=SOURCES, check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_it_lists_a_device_by_its_serial_number(device):
    assert list_devices("lynceus") == (
        DeviceInfo(
            serial="LYN1",
            vendor="Aravis",
            model="Fake",
            name="Aravis-Fake-LYN1",
            transport="GEV",
            address="127.0.0.1",
            mac="00:00:00:00:00:00",
        ),
    )


def test_the_commands_list_and_snap_reach_a_device_through_it(device, run, tmp_path):
    listed = run("list", "--producer", "lynceus", "--json")
    assert [found["serial"] for found in json.loads(listed.output)] == ["LYN1"]
    taken = run("snap", "--producer", "lynceus", "--serial", "LYN1", "--json")
    told = json.loads(taken.output)
    assert cv2.imread(str(tmp_path / "snap.png")).shape[:2] == (told["height_px"], told["width_px"])


def test_every_frame_is_accounted_for_across_the_wrap_of_the_devices_count(device):
    watched = Watched(device)
    with watched.camera as camera:
        sequences = assert_every_frame_is_accounted_for(watched, camera.frames())
    assert sequences[0] <= 65535 < sequences[-1]


def test_frames_with_packets_lost_on_the_way_are_holes_and_counted():
    with a_gige_device(lost_per_thousand=20) as device:
        watched = Watched(device)
        with watched.camera as camera:
            assert_every_frame_is_accounted_for(watched, camera.frames())
            assert watched.count("IncompleteFrameCount") > 0
            assert watched.count("MissingPacketCount") > 0


def test_settings_reach_the_device_and_are_read_back(device):
    watched = Watched(device, width_px=320, height_px=200, frames_per_s=40.0, pixel_format="Mono8")
    with watched.camera as camera:
        assert next(camera.frames()).pixels.shape == (200, 320)
        assert watched.nodes.AcquisitionFrameRate.value == pytest.approx(40.0, rel=0.02)
        assert (watched.nodes.Width.value, watched.nodes.Height.value) == (320, 200)
    with pytest.raises(SettingRefused, match="width_px"), Watched(device, width_px=4096).camera:
        pass


def test_colours_come_as_the_device_sends_them(device):
    with Watched(device, pixel_format="RGB8").camera as camera:
        assert next(camera.frames()).pixels.shape == (96, 128, 3)


def test_every_software_trigger_gives_one_frame_and_none_comes_unasked(device):
    def wait_for_software(nodes):
        nodes.TriggerSelector.value = "FrameStart"
        nodes.TriggerMode.value = "On"
        nodes.TriggerSource.value = "Software"

    watched = Watched(device, prepare=wait_for_software, silent_after_s=3.0)
    with watched.camera as camera:
        with pytest.raises(CameraSilent):
            next(camera.frames())
        for _ in range(5):
            watched.nodes.TriggerSoftware.execute()
            next(camera.frames())
        assert watched.count("DeliveredFrameCount") == 5


def test_a_device_that_dies_is_a_lost_camera_and_is_found_again_by_the_same_process(device):
    watched = Watched(device)
    with watched.camera as camera:
        frames = camera.frames()
        next(frames)
        assert watched.acquirer.device.node_map.DeviceLinkLost.value == 0
        device.kill()
        with pytest.raises(CameraLost, match="does not answer any more"):
            list(frames)
        assert watched.acquirer.device.node_map.DeviceLinkLost.value == 1
    device.start()
    # It listens before it answers; a lane tries again every two seconds.
    until(lambda: [one.serial for one in list_devices("lynceus")] == [device.serial])
    again = Watched(device)
    with again.camera as camera:
        assert_every_frame_is_accounted_for(again, camera.frames(), frames=20)


def test_a_device_that_this_program_holds_already_is_in_use(device):
    with Watched(device).camera, pytest.raises(CameraInUse), Watched(device).camera:
        pass


def test_a_device_that_another_program_holds_is_in_use(device):
    holder = """
import sys
from cameras.genicam import GenicamCamera
from cameras.settings import GenicamSettings
with GenicamCamera("top", GenicamSettings(producer="lynceus", serial=sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
    program = [sys.executable, "-c", holder, device.serial]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(CameraInUse), Watched(device).camera:
            pass
        other.communicate(timeout=60)
    with Watched(device).camera as camera:
        next(camera.frames())


def test_the_packet_size_that_is_asked_for_is_the_one_the_device_sends(device, monkeypatch):
    monkeypatch.setenv("LYNCEUS_GENTL_PACKET_SIZE", "8000")
    watched = Watched(device)
    with watched.camera as camera:
        _, register = watched.acquirer.remote_device.port.read(GEV_SCPS_PACKET_SIZE, 4)
        assert int.from_bytes(register, "big") & 0xFFFF == 8000
        assert_every_frame_is_accounted_for(watched, camera.frames(), frames=20)


needs_rights = pytest.mark.skipif(os.geteuid() != 0, reason="only root may: run as root")


def buffers_of_udp_sockets():
    """Bytes that the kernel keeps for each UDP socket of this process."""
    sizes = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(descriptor.name))) as one:
            if (one.family, one.type) == (socket.AF_INET, socket.SOCK_DGRAM):
                # The kernel says the double of what was asked for (socket(7)).
                sizes.add(one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2)
    return sizes


@needs_rights
@pytest.mark.parametrize(
    ("side_px", "wanted_bytes"), [(128, 16 * 2**20), (2048, 16 * 2048 * 2048)], ids=["small", "large"]
)
def test_the_kernel_keeps_sixteen_frames_for_a_receiver_that_is_kept_waiting(device, side_px, wanted_bytes):
    watched = Watched(device, width_px=side_px, height_px=side_px, frames_per_s=10, buffers=16)
    with watched.camera as camera:
        next(camera.frames())
        assert wanted_bytes in buffers_of_udp_sockets()


def test_an_option_that_cannot_be_is_refused_by_its_name(monkeypatch):
    built_producer()
    monkeypatch.setenv("LYNCEUS_GENTL_PACKET_SIZE", "jumbo")
    with pytest.raises(ProducerMissing, match="LYNCEUS_GENTL_PACKET_SIZE=jumbo: allowed are"):
        list_devices("lynceus")


watched_by = pytest.mark.parametrize(
    ("watcher", "flags"),
    [
        pytest.param([], ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"], id="sanitizers"),
        pytest.param(["valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full"], [], id="valgrind"),
    ],
)
# An allocation that cannot be is one of the things tried.
SANITIZED = {**os.environ, "ASAN_OPTIONS": "allocator_may_return_null=1:detect_leaks=1"}


@watched_by
def test_no_misuse_makes_it_crash_leak_or_touch_memory_that_is_not_its_own(device, tmp_path, watcher, flags):
    program = built_client(tmp_path, watcher, flags)
    done = subprocess.run(
        [*watcher, str(program), device.serial],
        env=SANITIZED,
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "nothing broke\n"


@watched_by
def test_a_device_lost_in_mid_stream_breaks_nothing_and_leaks_nothing(device, tmp_path, watcher, flags):
    command = [*watcher, str(built_client(tmp_path, watcher, flags)), device.serial, "lost"]
    ours_knows_first = {**SANITIZED, "LYNCEUS_GENTL_LOST_AFTER_MS": "auto"}
    with subprocess.Popen(
        command, env=ours_knows_first, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout.readline() == "frames come\n"
        device.kill()
        said, complaints = client.communicate(timeout=120)
    assert client.returncode == 0, complaints
    assert said == "nothing broke\n"


def built_client(folder: Path, watcher: list[str], flags: list[str]) -> Path:
    """The client that misuses the producer, in one program with it. Skips where there is no such watcher."""
    if watcher and shutil.which(watcher[0]) is None:
        pytest.skip(f"{watcher[0]} is missing: {INSTALL}")
    aravis = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "aravis-0.8"], check=True, capture_output=True, text=True
    ).stdout.split()
    headers = [flag.replace("-I", "-isystem", 1) for flag in aravis if flag.startswith("-I")]
    libraries = [flag for flag in aravis if not flag.startswith("-I")]
    strict = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    sources = [str(Path(__file__).with_name("abuse.c")), *map(str, sorted(SOURCES.glob("*.c")))]
    program = folder / "abuse"
    command = ["cc", *strict, *flags, *headers, f"-I{SOURCES}", "-o", str(program), *sources, *libraries]
    subprocess.run(command, check=True, capture_output=True, timeout=240)
    return program
