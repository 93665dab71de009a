"""What our producer makes of pictures that come otherwise than our own device sends them."""

import json
import signal
import struct
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from cameras.simulator.protocol import PACKET_ID_MAX, Content, stream_header
from cameras.simulator.scene import Scene, View
from cameras.simulator.stream import StreamChannel
from tests.cameras.gige_client import a_camera, a_scene
from tests.gige import ADDRESS, a_network_of_its_own, built_producer
from tests.where import REPOSITORY

pytest.importorskip("harvesters", reason='pip install "lynceus[gige]"')

SERIAL = "LYN7"
WIDTH, LINES = 1024, 512
IMAGE_WITH_CHUNKS, CHUNKS = 0x0005, 0x0004
"""Payload types of GigE Vision 1: the leader of the second says nothing of the picture."""

PAUSE_S = 2.2
"""Of the client: longer than a device may be silent."""

READER = """
import json, sys
from contextlib import contextmanager
from cameras.genicam import GenicamCamera, connected
from cameras.settings import GenicamSettings


@contextmanager
def held_for_long(name, settings):
    # So that the device does not drop its controller while that one is stopped.
    with connected(name, settings) as acquirer:
        acquirer.remote_device.node_map.GevHeartbeatTimeout.value = 60000
        yield acquirer


settings = {"producer": "lynceus", "silent_after_s": 5, "packet_bytes": 1500} | json.loads(sys.argv[1])
with GenicamCamera("top", GenicamSettings(**settings), connect=held_for_long) as camera:
    for frame in camera.frames():
        greys = len(set(frame.pixels.tobytes()))
        print(json.dumps([frame.sequence, list(frame.pixels.shape), greys, dict(frame.chunks)]), flush=True)
"""

FACTS = ("width", "height", "pixel_format", "delivered_image_height", "payload_type", "image_offset")
BARE_CLIENT = """
import json, sys
from cameras.genicam import connected
from cameras.settings import GenicamSettings
from genicam import gentl

share, count, facts = float(sys.argv[2]), int(sys.argv[3]), sys.argv[4].split(",")


def asked(read):
    try:
        return read()
    except gentl.NotAvailableException:
        return None


with connected("top", GenicamSettings(producer="lynceus", serial=sys.argv[1])) as acquirer, acquirer:
    nodes = acquirer.remote_device.node_map
    nodes.GevSCPSPacketSize.value = 1500
    stream = acquirer.data_streams[0]
    event = acquirer._new_buffer_event_monitor_dict[stream]
    memory = [bytes(int(share * nodes.PayloadSize.value)) for _ in range(3)]
    buffers = [stream.announce_buffer(gentl.BufferToken(one, index)) for index, one in enumerate(memory)]
    for buffer in buffers:
        stream.queue_buffer(buffer)
    stream.start_acquisition(gentl.ACQ_START_FLAGS_LIST.ACQ_START_FLAGS_DEFAULT)
    nodes.AcquisitionStart.execute()
    for _ in range(count):
        event.update_event_data(20000)
        buffer = event.buffer
        told = {"incomplete": not buffer.is_complete(), "too_small": buffer.has_received_larger_payload()}
        told["id"] = asked(lambda: buffer.frame_id)
        told["filled"] = asked(lambda: buffer.size_filled)
        told["known"] = [fact for fact in facts if asked(lambda: getattr(buffer, fact)) is not None]
        print(json.dumps(told), flush=True)
        stream.queue_buffer(buffer)
    try:
        underruns = stream.num_underrun
    except gentl.NotAvailableException:
        underruns = None
    print(json.dumps({"underruns": underruns}), flush=True)
    nodes.AcquisitionStop.execute()
    stream.stop_acquisition(gentl.ACQ_STOP_FLAGS_LIST.ACQ_STOP_FLAGS_DEFAULT)
    stream.flush_buffer_queue(gentl.ACQ_QUEUE_TYPE_LIST.ACQ_QUEUE_ALL_DISCARD)
    for buffer in buffers:
        stream.revoke_buffer(buffer)
"""


@pytest.fixture
def a_device(monkeypatch):
    """Ours, whose packets a function may change on their way: it gets a packet and gives what is sent instead."""
    built_producer()

    @contextmanager
    def switched_on(on_the_way=lambda packet: [packet], **facts):
        send = StreamChannel._send
        monkeypatch.setattr(
            StreamChannel,
            "_send",
            lambda self, buffers: [send(self, (one,)) for one in on_the_way(b"".join(buffers))],
        )
        small = {"scene": a_scene(640, 480), "frames_per_s": 10.0}
        with (
            a_network_of_its_own(),
            a_camera(address=ADDRESS, interface="lo", serial=SERIAL, **(small | facts)),
        ):
            yield

    return switched_on


def strip(width=WIDTH, lines=LINES):
    """Line scan; every picture of one grey."""

    def look(index, lines):
        return View(pixels=np.full((lines, width), index % 251, np.uint8))

    return Scene(
        about="strip",
        sensor_wh_px=(width, 4096),
        default_wh_px=(width, lines),
        is_line_scan=True,
        look=look,
    )


def parsed(packet):
    """Status, block, content and number of a packet."""
    status, block, rest = struct.unpack(">HHI", packet[:8])
    return status, block, Content(rest >> 24), rest & PACKET_ID_MAX


@contextmanager
def a_client(program, *arguments):
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as client:
        try:
            yield client
        finally:
            client.kill()


def frames_of(client, count):
    lines = [client.stdout.readline() for _ in range(count)]
    assert all(lines), "the client ended"
    return [json.loads(line) for line in lines]


def frames(count, **settings):
    with a_client(READER, json.dumps({"serial": SERIAL} | settings)) as client:
        return frames_of(client, count)


def buffers(count, *, share_of_payload=1.0):
    """What a client is told of so many buffers, and of the stream after them. It ends well, and prints no complaint."""
    done = subprocess.run(
        [sys.executable, "-c", BARE_CLIENT, SERIAL, str(share_of_payload), str(count), ",".join(FACTS)],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    *told, of_stream = map(json.loads, done.stdout.splitlines())
    return told, of_stream


@pytest.mark.parametrize("payload_type", [IMAGE_WITH_CHUNKS, CHUNKS])
def test_chunks_are_read_in_both_older_ways_to_send_them(a_device, payload_type):
    def as_older_cameras_do(packet):
        _, _, content, _ = parsed(packet)
        if content in (Content.LEADER, Content.TRAILER):
            packet = packet[:10] + struct.pack(">H", payload_type) + packet[12:]
        return [packet]

    with a_device(as_older_cameras_do):
        for sequence, shape, greys, chunks in frames(3, chunks=True):
            assert shape == [480, 640]
            assert greys == 1
            assert chunks["FrameID"] == sequence


def stray(packet):
    """After the tenth packet of the fourth picture comes one that none has."""
    return [packet, stream_header(Content.PAYLOAD, block_id=4, packet_id=PACKET_ID_MAX) + bytes(80)]


def cut(packet):
    return [packet[:1000]]


@pytest.mark.parametrize("damage", [stray, cut])
def test_a_strip_with_lines_missing_inside_is_a_hole(a_device, damage):
    def damaged_once(packet):
        is_hit = parsed(packet) == (0, 4, Content.PAYLOAD, 10)
        return damage(packet) if is_hit else [packet]

    with a_device(damaged_once, scene=strip()):
        found = frames(6, chunks=False, buffers=4)
    assert [shape for _, shape, _, _ in found] == [[LINES, WIDTH]] * 6
    assert [greys for _, _, greys, _ in found] == [1] * 6
    assert [sequence for sequence, *_ in found] == [1, 2, 3, 5, 6, 7]


def test_a_strip_that_ends_early_with_a_line_is_given_as_far_as_it_came(a_device):
    # In packets of one line each, a picture has as many as lines; the last eighth of the fourth is not sent.
    lines = LINES - LINES // 8

    def ended_early(packet):
        _, block, content, number = parsed(packet)
        if block != 4 or content is Content.LEADER or number <= lines:
            return [packet]
        if content is Content.TRAILER:
            header = stream_header(Content.TRAILER, block_id=4, packet_id=lines + 1)
            return [header + packet[8:12] + struct.pack(">I", lines) + packet[16:]]
        return []

    with a_device(ended_early, scene=strip()):
        found = frames(6, chunks=False, buffers=4, packet_bytes=WIDTH + 36)
    assert [(sequence, *shape) for sequence, shape, _, _ in found] == [
        (number, lines if number == 4 else LINES, WIDTH) for number in range(1, 7)
    ]
    assert [greys for _, _, greys, _ in found] == [1] * 6


@pytest.mark.parametrize(
    ("payload_type", "given_lines"), [(0x4001, 400), (IMAGE_WITH_CHUNKS, 400), (CHUNKS, None)]
)
def test_chunks_behind_a_strip_that_ended_early_are_not_taken_for_lines(a_device, payload_type, given_lines):
    # 10 lines to a packet, then one of chunks, which would make more than a line. A leader that does not say how many
    # lines there are leaves a hole.
    width, lines = 64, 500

    def ended_early(packet):
        _, block, content, number = parsed(packet)
        if content in (Content.LEADER, Content.TRAILER):
            packet = packet[:10] + struct.pack(">H", payload_type) + packet[12:]
        if block != 4 or number <= 40:
            return [packet]
        if number <= 50:
            return []
        header = stream_header(content, block_id=4, packet_id=number - 10)
        body = packet[8:]
        if content is Content.PAYLOAD:
            body = body[:4] + struct.pack(">I", 400 * width) + body[8:]
        return [header + body]

    with a_device(ended_early, scene=strip(width, lines)):
        found = frames(6, chunks=True, buffers=4, packet_bytes=640 + 36)
    whole = {sequence: shape for sequence, shape, _, _ in found if sequence != 4}
    assert all(shape == [lines, width] for shape in whole.values())
    assert [shape[0] for sequence, shape, _, _ in found if sequence == 4] == [given_lines] * (
        given_lines is not None
    )
    assert all(greys == 1 and chunks["FrameID"] == sequence for sequence, _, greys, chunks in found)


def test_a_camera_is_not_lost_because_this_computer_paused(a_device):
    with a_device(), a_client(READER, json.dumps({"serial": SERIAL, "silent_after_s": 30})) as client:
        last = frames_of(client, 3)[-1][0]
        for _ in range(3):
            client.send_signal(signal.SIGSTOP)
            time.sleep(PAUSE_S)
            client.send_signal(signal.SIGCONT)
            after = [sequence for sequence, *_ in frames_of(client, int(10 * PAUSE_S) + 10)]
            assert after == sorted(set(after))
            assert after[0] > last
            last = after[-1]


def test_a_picture_larger_than_its_buffer_is_incomplete_and_says_why(a_device):
    with a_device():
        told, _ = buffers(3, share_of_payload=0.5)
    assert [(one["incomplete"], one["too_small"]) for one in told] == [(True, True)] * 3


def test_of_an_incomplete_picture_nothing_is_told_that_may_be_another_ones(a_device):
    def worn(packet):
        """Of the fifth the beginning never comes, of the sixth three packets."""
        status, block, content, number = parsed(packet)
        is_gone = (block == 5 and content is Content.LEADER) or (block == 6 and number in (7, 8, 9))
        return [] if is_gone and status == 0 else [packet]

    with a_device(worn):
        told, of_stream = buffers(8)
    whole = [one for one in told if not one["incomplete"]]
    assert [one["id"] for one in whole] == [1, 2, 3, 4, 7, 8]
    assert all(one["known"] == list(FACTS) for one in whole)
    without_beginning, with_gaps = [one for one in told if one["incomplete"]]
    assert without_beginning == {
        "incomplete": True,
        "too_small": False,
        "id": None,
        "filled": None,
        "known": [],
    }
    assert (with_gaps["id"], with_gaps["known"]) == (6, [])
    assert of_stream == {"underruns": None}
