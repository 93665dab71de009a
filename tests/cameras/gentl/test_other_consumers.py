"""Our GenTL producer under clients other than harvesters, and its numbers beside the standard's own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from cameras.simulator.features import features_of
from tests.gige import INSTALL, a_network_of_its_own, built_producer
from tests.where import REPOSITORY

gentl = pytest.importorskip("genicam.gentl", reason='pip install "lynceus[gige]"')

HEADER = REPOSITORY / "cameras" / "gentl" / "gentl.h"
SOURCE = REPOSITORY / "tests" / "cameras" / "gentl" / "consumer.c"
WIDTH, HEIGHT = 64, 48
LEVELS = (10, 20, 30)
FRAMES = 6


@pytest.fixture
def device(tmp_path):
    """Ours, showing pictures of one grey each, so that a client can tell whether a frame is whole and which it is."""
    built_producer()
    folder = tmp_path / "pictures"
    folder.mkdir()
    for level in LEVELS:
        cv2.imwrite(str(folder / f"{level}.png"), np.full((HEIGHT, WIDTH), level, np.uint8))
    command = [sys.executable, "-c", "from services.cli import main; main()", "camera", "simulate"]
    options = ["--serial", "LYN3", "--show", str(folder), "--frames-per-s", "20"]
    with (
        a_network_of_its_own(),
        subprocess.Popen([*command, *options], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as running,
    ):
        try:
            assert "LYN3" in running.stdout.readline()
            yield "LYN3"
        finally:
            running.kill()


def assert_right(frames):
    """Frames as (frame id, width, height, grey): all of this device, in order, each the picture of its id."""
    assert len(frames) == FRAMES
    ids = [number for number, *_ in frames]
    assert ids == sorted(set(ids))
    # The device exposes until it is told to stop, so that another round begins with any of its pictures.
    begins = LEVELS.index(frames[0][3]) - (ids[0] - 1)
    for number, width, height, grey in frames:
        assert (width, height) == (WIDTH, HEIGHT)
        assert grey == LEVELS[(begins + number - 1) % len(LEVELS)]


# --- a client in C, written from the standard ----------------------------------------------------------


@pytest.fixture(scope="module")
def consumer(tmp_path_factory):
    built_producer()
    program = tmp_path_factory.mktemp("consumer") / "consumer"
    strict = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined"]
    build = ["cc", *strict, "-fno-sanitize-recover=all", "-o", str(program), str(SOURCE), "-ldl"]
    subprocess.run(build, check=True, capture_output=True, timeout=240)
    return program


@pytest.mark.parametrize(
    "watcher",
    [
        pytest.param([], id="plain"),
        pytest.param(["valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full"], id="valgrind"),
    ],
)
def test_a_client_that_knows_only_the_standard_gets_every_frame_twice_over(device, consumer, watcher):
    if watcher and shutil.which(watcher[0]) is None:
        pytest.skip(f"{watcher[0]} is missing: {INSTALL}")
    table = features_of(sensor_wh_px=(WIDTH, HEIGHT), default_wh_px=(WIDTH, HEIGHT), fps=20.0)
    at = {feature.name: str(feature.address) for feature in table}
    done = subprocess.run(
        [
            *watcher,
            str(consumer),
            str(built_producer()),
            device,
            at["AcquisitionStart"],
            at["AcquisitionStop"],
            at["PayloadSize"],
            str(FRAMES),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rounds = {0: [], 1: []}
    for line in done.stdout.splitlines():
        number, frame_id, width, height, first, last, is_plain = map(int, line.split())
        assert is_plain
        assert first == last
        rounds[number].append((frame_id, width, height, first))
    for frames in rounds.values():
        assert_right(frames)
    number, *_, grey = rounds[0][0]
    assert grey == LEVELS[(number - 1) % len(LEVELS)]


# --- genicam's own binding, without harvesters ---------------------------------------------------------

DIRECT = """
import sys, time
from genicam import genapi, gentl

file, serial, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
producer = gentl.GenTLProducer.create_producer()
producer.open(file)
system = producer.create_system()
system.open()
system.update_interface_info_list(1000)
interface = system.interface_info_list[0].create_interface()
interface.open()
interface.update_device_info_list(1000)
info = next(info for info in interface.device_info_list if info.serial_number == serial)
device = info.create_device()
device.open(gentl.DEVICE_ACCESS_FLAGS_LIST.DEVICE_ACCESS_CONTROL)
port = device.remote_port
url = port.url_info_list[0]
size, xml = port.read(url.file_register_address, url.file_size)
nodes = genapi.NodeMap()
nodes.load_xml_from_string(xml.decode())


class Remote(genapi.AbstractPort):
    def read(self, address, length):
        return port.read(address, length)[1]

    def write(self, address, value):
        port.write(address, value)

    def is_open(self):
        return True

    def get_access_mode(self):
        return genapi.EAccessMode.RW


remote = Remote()
nodes.connect(remote, port.name)
stream = device.create_data_stream()
stream.open(device.data_stream_ids[0])
event = gentl.EventManagerNewBuffer(stream.register_event(gentl.EVENT_TYPE_LIST.EVENT_NEW_BUFFER))
memory = [bytes(nodes.PayloadSize.value) for _ in range(8)]
buffers = [stream.announce_buffer(gentl.BufferToken(one, index)) for index, one in enumerate(memory)]
for buffer in buffers:
    stream.queue_buffer(buffer)
stream.start_acquisition(gentl.ACQ_START_FLAGS_LIST.ACQ_START_FLAGS_DEFAULT)
nodes.AcquisitionStart.execute()
while count:
    event.update_event_data(60000)
    buffer = event.buffer
    if buffer.is_complete():
        pixels = buffer.raw_buffer[: buffer.size_filled]
        assert len(set(pixels)) == 1, "not of one grey"
        print(buffer.frame_id, buffer.width, buffer.height, pixels[0], flush=True)
        count -= 1
    stream.queue_buffer(buffer)
nodes.AcquisitionStop.execute()
stream.stop_acquisition(gentl.ACQ_STOP_FLAGS_LIST.ACQ_STOP_FLAGS_DEFAULT)
event.unregister_event()
stream.flush_buffer_queue(gentl.ACQ_QUEUE_TYPE_LIST.ACQ_QUEUE_ALL_DISCARD)
for buffer in buffers:
    stream.revoke_buffer(buffer)
stream.close()
device.close()
interface.close()
system.close()
producer.close()
"""


def test_the_binding_under_harvesters_used_by_itself_gets_every_frame(device):
    done = subprocess.run(
        [sys.executable, "-c", DIRECT, str(built_producer()), device, str(FRAMES)],
        check=False,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert_right([tuple(map(int, line.split())) for line in done.stdout.splitlines()])


# --- the numbers ---------------------------------------------------------------------------------------


def ours():
    """Every enumerator of the producer's header with its value, counted as C counts."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(encoding="utf-8"), flags=re.DOTALL)
    values = {}
    for body in re.findall(r"enum \{(.*?)\}", text, flags=re.DOTALL):
        following = 0
        for entry in filter(None, map(str.strip, body.split(","))):
            name, _, value = map(str.strip, entry.partition("="))
            values[name] = int(value, 0) if value else following
            following = values[name] + 1
    return values


def the_standards():
    """The same names as the GenICam committee's own binding has them, which is built from the standard's header."""
    return {
        name: int(member)
        for kind in vars(gentl).values()
        if hasattr(kind, "__members__")
        for name, member in kind.__members__.items()
    }


def test_every_number_of_our_header_is_the_standards():
    own, standard = ours(), the_standards()
    shared = own.keys() & standard.keys()
    assert len(shared) > 100
    assert {name: own[name] for name in shared} == {name: standard[name] for name in shared}


def test_our_header_has_no_name_that_the_standard_has_not():
    assert sorted(ours().keys() - the_standards().keys()) == []
