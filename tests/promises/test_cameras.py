"""What every camera promises, asked of each of them."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from cameras import open_camera
from cameras.drawn import drawn_parts, drawn_strip
from cameras.isolated import IsolatedCamera
from cameras.pacing import SystemClock
from cameras.recording import Recorder
from cameras.settings import (
    DrawnPartsSettings,
    DrawnStripSettings,
    GenicamSettings,
    GigeSettings,
    ReplaySettings,
    SampleStreamSettings,
)
from cameras.simulator.samples import send
from inspection.protocols import Camera
from inspection.types import Frame
from tests import vendor_drivers
from tests.cameras.gige_client import a_camera, a_free_address
from tests.cameras.test_samples import a_free_port
from tests.fake_cameras import FakeDevice, TurnedClock, exposures
from tests.gige import a_gige_device, a_network_of_its_own, a_simulated_device, built_producer

FRAMES = 12

needs_genicam = pytest.mark.skipif(
    find_spec("harvesters") is None or find_spec("genicam") is None, reason='pip install "lynceus[gige]"'
)

needs_viva = pytest.mark.skipif(find_spec("viva_genicam") is None, reason='pip install "lynceus[gige]"')


# Fewer buffers than frames asked for, so that each is refilled while its frame is still held.
SIMULATED = GenicamSettings(producer="simulated", serial="0", buffers=4, frames_per_s=200)
ARAVIS_DEVICE = GenicamSettings(producer="lynceus", serial="LYN1", buffers=16, width_px=128, height_px=96)
OUR_DEVICE = GenicamSettings(producer="lynceus", serial="LYN2", buffers=16, width_px=320, height_px=240)


def simulated_genicam(_: Path) -> Camera:
    return genicam_in_this_process(SIMULATED)


def isolated_simulated_genicam(_: Path) -> Camera:
    return open_camera("top", SIMULATED)


def fake_genicam(_: Path) -> Camera:
    # By a turned clock it would be silent for too long as soon as its script ends, before anybody can leave it.
    return FakeDevice(script=[*exposures(range(1, 100))]).camera(clock=SystemClock())


def genicam_over_our_producer(_: Path) -> Camera:
    return genicam_in_this_process(ARAVIS_DEVICE)


def isolated_genicam_over_our_producer(_: Path) -> Camera:
    return open_camera("top", ARAVIS_DEVICE)


def genicam_from_our_device(_: Path) -> Camera:
    return genicam_in_this_process(OUR_DEVICE)


def isolated_genicam_from_our_device(_: Path) -> Camera:
    return open_camera("top", OUR_DEVICE)


def genicam_from_vivas_device(_: Path) -> Camera:
    return open_camera("top", GenicamSettings(producer="lynceus", buffers=16))


def genicam_in_this_process(settings: GenicamSettings) -> Camera:
    from cameras.genicam import GenicamCamera

    return GenicamCamera("top", settings)


def isolated_strip(_: Path) -> Camera:
    return IsolatedCamera("top", vendor_drivers.strip, buffers=4)


def isolated_run(folder: Path) -> Camera:
    recorded_run(folder)
    return IsolatedCamera("top", partial(vendor_drivers.replay, folder), buffers=4)


def gige_from_our_device(address: str) -> Camera:
    return open_camera("top", GigeSettings(device=address, frames_per_s=50))


def gige_from_vivas_device_in_this_process(address: str) -> Camera:
    from cameras.gige import GigeCamera

    return GigeCamera("top", GigeSettings(device=address))


def gige_from_aravis_device(_: Path) -> Camera:
    return open_camera("top", GigeSettings(serial="LYN1", width_px=128, height_px=96))


def strip(_: Path) -> Camera:
    # A recording of it is played at these times, too.
    return drawn_strip("top", DrawnStripSettings(seed=5, frames_per_s=20), clock=TurnedClock())


def parts(_: Path) -> Camera:
    return drawn_parts("top", DrawnPartsSettings(seed=5), clock=TurnedClock())


def recorded_run(folder: Path) -> Camera:
    if not folder.exists():
        with Recorder(folder) as recorder, strip(folder) as camera:
            for frame in islice(camera.frames(), FRAMES):
                recorder.write(frame)
    return open_camera("top", ReplaySettings(folder=folder, repeat=True))


def plain_folder(folder: Path) -> Camera:
    recorded_run(folder)
    (folder / "run.jsonl").unlink(missing_ok=True)
    return open_camera("top", ReplaySettings(folder=folder))


def our_device() -> AbstractContextManager[None]:
    return a_simulated_device("--show", "parts", "--frames-per-s", "20", serial="LYN2")


@contextmanager
def our_device_here() -> Iterator[str]:
    address = a_free_address()
    with a_camera(address=address):
        yield address


@contextmanager
def vivas_device() -> Iterator[str]:
    from viva_genicam.testing import FakeGigeCamera

    address = a_free_address()
    with FakeGigeCamera(160, 120, 20, bind_ip=address):
        yield address


@contextmanager
def vivas_device_on_a_network_of_its_own() -> Iterator[None]:
    """In a process of its own, which is on that network whole: threads it started earlier would not be."""
    built_producer()
    lines = (
        "import sys",
        "from viva_genicam.testing import FakeGigeCamera",
        # Not at one address: it would not hear who looks for cameras.
        "with FakeGigeCamera(160, 120, 20, bind_ip='0.0.0.0'):",
        "    print('on', flush=True)",
        "    sys.stdin.read()",
    )
    command = [sys.executable, "-c", "\n".join(lines)]
    with (
        a_network_of_its_own(),
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as device,
    ):
        try:
            assert device.stdout is not None
            assert device.stdout.readline() == "on\n"
            yield
        finally:
            device.kill()


def probe(port: int) -> Camera:
    return open_camera("top", SampleStreamSettings(port=port, sample_hz=100_000, samples_per_frame=1024))


@contextmanager
def a_sending_probe() -> Iterator[int]:
    """Sends noise until nobody asks for it any more."""
    port, is_over = a_free_port(), threading.Event()
    noise = np.random.default_rng(3).integers(-999, 999, 7000).astype(np.int16)

    def work() -> None:
        first = 0
        while not is_over.is_set():
            send(noise, to=("127.0.0.1", port), sample_hz=100_000, first=first)
            first += len(noise)

    sending = threading.Thread(target=work)
    sending.start()
    try:
        yield port
    finally:
        is_over.set()
        sending.join()


DEVICES = {
    probe: a_sending_probe,
    genicam_from_vivas_device: vivas_device_on_a_network_of_its_own,
    genicam_over_our_producer: a_gige_device,
    isolated_genicam_over_our_producer: a_gige_device,
    genicam_from_our_device: our_device,
    isolated_genicam_from_our_device: our_device,
    gige_from_our_device: our_device_here,
    gige_from_vivas_device_in_this_process: vivas_device,
    gige_from_aravis_device: a_gige_device,
}
"""What must be there before the camera can be opened, and where it is."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(simulated_genicam, marks=needs_genicam),
        pytest.param(isolated_simulated_genicam, marks=needs_genicam),
        pytest.param(fake_genicam, marks=needs_genicam),
        pytest.param(genicam_over_our_producer, marks=needs_genicam),
        pytest.param(isolated_genicam_over_our_producer, marks=needs_genicam),
        pytest.param(genicam_from_our_device, marks=needs_genicam),
        pytest.param(isolated_genicam_from_our_device, marks=needs_genicam),
        pytest.param(genicam_from_vivas_device, marks=[needs_genicam, needs_viva]),
        pytest.param(gige_from_our_device, marks=needs_viva),
        pytest.param(gige_from_vivas_device_in_this_process, marks=needs_viva),
        pytest.param(gige_from_aravis_device, marks=needs_viva),
        probe,
        strip,
        parts,
        recorded_run,
        plain_folder,
        isolated_strip,
        isolated_run,
    ],
    ids=lambda make: make.__name__,
)
def make(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Camera]]:
    """Of each camera all is asked of one device, which so must be free again each time."""
    folder = tmp_path_factory.mktemp("recorded") / "run"
    with DEVICES.get(request.param, nullcontext)() as address:
        yield lambda: request.param(address or folder)


def some_frames(camera: Camera, count: int = FRAMES) -> list[Frame]:
    return list(islice(camera.frames(), count))


def test_frames_come_in_order_under_the_name_of_the_camera(make):
    with make() as camera:
        frames = some_frames(camera)
    assert len(frames) == FRAMES
    assert all(frame.camera == "top" for frame in frames)
    sequences = [frame.sequence for frame in frames]
    assert sequences == sorted(set(sequences))
    assert min(sequences) >= 0


def test_pixels_never_change_once_given_whatever_comes_after(make):
    with make() as camera:
        given = [(frame, digest(frame)) for frame in some_frames(camera)]
        assert len({before for _, before in given}) > 1
        for frame, before in given:
            assert digest(frame) == before
    for frame, before in given:
        assert digest(frame) == before


def test_pixels_are_the_receivers_own_and_nobody_can_write_to_them(make):
    with make() as camera:
        for frame in some_frames(camera):
            assert frame.pixels.dtype == np.uint8
            assert frame.pixels.ndim == 2 or frame.pixels.shape[2:] == (3,)
            assert frame.pixels.flags.c_contiguous
            assert not frame.pixels.flags.writeable
            with pytest.raises(ValueError, match="read-only"):
                frame.pixels[0, 0] = 0


def test_frames_know_when_they_were_taken_in_utc(make):
    with make() as camera:
        times = [frame.captured_at for frame in some_frames(camera)]
    assert all(time.utcoffset() == timedelta(0) for time in times)
    assert times == sorted(times)


def test_leaving_frees_the_device_for_the_next(make):
    camera = make()
    for _ in range(2):
        with camera:
            assert len(some_frames(camera, 3)) == 3
    with make() as another:
        assert len(some_frames(another, 3)) == 3


def test_a_receiver_that_stops_half_way_can_go_on(make):
    with make() as camera:
        before = some_frames(camera, 3)
        after = some_frames(camera, 3)
    assert after[0].sequence > before[-1].sequence


def test_frames_end_when_the_camera_is_left(make):
    with make() as camera:
        frames = camera.frames()
        next(frames)
    assert next(frames, None) is None


def test_leaving_from_another_thread_ends_the_frames(make):
    received = threading.Event()
    camera = make()

    def receive():
        for _ in camera.frames():
            received.set()

    with camera:
        receiver = threading.Thread(target=receive)
        receiver.start()
        assert received.wait(60)
    receiver.join(60)
    assert not receiver.is_alive()


def test_ctrl_c_still_reaches_the_program(make):
    before = signal.getsignal(signal.SIGINT)
    with make() as camera:
        some_frames(camera, 2)
        assert signal.getsignal(signal.SIGINT) is before
    assert signal.getsignal(signal.SIGINT) is before


def digest(frame: Frame) -> str:
    return hashlib.sha256(frame.pixels.tobytes()).hexdigest()
