"""A GigE Vision client for tests: it says exactly what it is told to, and counts every packet it gets."""

from __future__ import annotations

import errno
import random
import socket
import struct
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Thread

from cameras.simulator.device import DeviceSettings, SimulatedCamera
from cameras.simulator.features import Choice, Command, Float, Text, features_of, size_of
from cameras.simulator.protocol import (
    GVCP_PORT,
    Content,
    Malformed,
    PacketResend,
    ReadMemory,
    ReadRegisters,
    Status,
    WriteMemory,
    WriteRegisters,
    pack_command,
    parse_ack,
    parse_leader,
    parse_stream_packet,
    parse_trailer,
)
from cameras.simulator.scene import Scene, View

PATIENCE_S = 30.0
"""For what comes at once on an idle machine."""


def a_free_address():
    """An address of this computer where nobody listens for GVCP."""
    while True:
        address = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(2, 254)}"
        if is_free(address):
            return address


def is_free(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, GVCP_PORT))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True


def a_scene(width_px=64, height_px=48, look=None):
    """Quick to draw: picture k is grey level k throughout."""
    import numpy as np

    def plain(index, lines):
        return View(pixels=np.full((height_px, width_px), index % 256, np.uint8))

    return Scene(
        about="plain",
        sensor_wh_px=(width_px, height_px),
        default_wh_px=(width_px, height_px),
        is_line_scan=False,
        look=look or plain,
    )


def a_camera(**changes):
    """Answers only who knows its address, so that tests that list cameras do not find it."""
    facts = {"address": a_free_address(), "interface": None, "scene": a_scene(), "frames_per_s": 50.0}
    return SimulatedCamera(DeviceSettings(**facts | changes))


def until(true, *, patience_s=PATIENCE_S):
    end_s = time.monotonic() + patience_s
    while not (value := true()):
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.005)
    return value


class Client:
    """Speaks GVCP with one device, and takes its stream."""

    def __init__(self, address, *, scene=None):
        scene = scene or a_scene()
        table = features_of(sensor_wh_px=scene.sensor_wh_px, default_wh_px=scene.default_wh_px, fps=10.0)
        self._features = {feature.name: feature for feature in table}
        self._request_id = 0
        self._gvcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._gvcp.bind(("127.0.0.1", 0))
        self._gvcp.connect((address, GVCP_PORT))
        self._gvcp.settimeout(PATIENCE_S)
        self.gvsp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.gvsp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
        self.gvsp.bind(("127.0.0.1", 0))
        self.gvsp.settimeout(0.05)
        # Taken at once: what a busy test leaves in a small socket buffer would be lost.
        self._packets = SimpleQueue()
        self._closing = Event()
        self._receiver = Thread(target=self._receive, daemon=True)
        self._receiver.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._closing.set()
        self._receiver.join()
        self._gvcp.close()
        self.gvsp.close()

    def _receive(self):
        while not self._closing.is_set():
            with suppress(TimeoutError):
                self._packets.put(self.gvsp.recv(65536))

    def send(self, data):
        self._gvcp.send(data)

    def answer(self, timeout_s=PATIENCE_S):
        self._gvcp.settimeout(timeout_s)
        return parse_ack(self._gvcp.recv(2048))

    def ask(self, command, *, timeout_s=PATIENCE_S):
        self._request_id = self._request_id % 65535 + 1
        self.send(pack_command(command, request_id=self._request_id))
        while (ack := self.answer(timeout_s)).request_id != self._request_id:
            pass
        return ack

    def tell(self, command):
        """Without waiting for an answer."""
        self.send(pack_command(command, request_id=1, wants_ack=False))

    def read_word(self, address):
        ack = self.ask(ReadRegisters(addresses=(address,)))
        assert ack.status == Status.SUCCESS, hex(ack.status)
        return int.from_bytes(ack.body)

    def write_word(self, address, value):
        return Status(self.ask(WriteRegisters(values=((address, value),))).status)

    def read(self, name, index=0):
        feature = self._features[name]
        ack = self.ask(ReadMemory(address=feature.address + 8 * index, count=size_of(feature)))
        assert ack.status == Status.SUCCESS, hex(ack.status)
        raw = ack.body[4:]
        if isinstance(feature, Float):
            return struct.unpack(">d", raw)[0]
        if isinstance(feature, Text):
            return raw.rstrip(b"\0").decode()
        bits = getattr(feature, "bits", None)
        value = int.from_bytes(raw)
        if bits:
            value = value >> bits[0] & (1 << bits[1]) - 1
        return feature.name_of(value) if isinstance(feature, Choice) else value

    def write(self, name, value=None, index=0):
        """The status of the answer. Commands need no value."""
        feature = self._features[name]
        size = size_of(feature)
        address = feature.address + 8 * index
        if isinstance(feature, Float):
            raw = struct.pack(">d", value)
        elif isinstance(feature, Text):
            raw = value.encode().ljust(size, b"\0")
        else:
            word = dict(feature.entries).get(value, value) if isinstance(feature, Choice) else value
            if isinstance(feature, Command):
                word = feature.value
            if getattr(feature, "bits", None):
                lowest, count = feature.bits
                before = self.read_word(address)
                word = before & ~(((1 << count) - 1) << lowest) | word << lowest
            raw = word.to_bytes(size)
        return Status(self.ask(WriteMemory(address=address, data=raw)).status)

    def must_write(self, name, value=None, index=0):
        status = self.write(name, value, index)
        assert status is Status.SUCCESS, (name, value, status)

    def take_control(self):
        """And keeps it, however long the test is busy with something else."""
        assert self.write_word(0xA00, 2) is Status.SUCCESS
        self.must_write("GevHeartbeatTimeout", 600_000)

    def aim_here(self):
        self.must_write("GevSCDA", int.from_bytes(socket.inet_aton("127.0.0.1")))
        self.must_write("GevSCPHostPort", self.gvsp.getsockname()[1])

    def start(self):
        self.take_control()
        self.aim_here()
        self.must_write("AcquisitionStart")

    def ask_again(self, block_id, first, last):
        self.tell(PacketResend(channel=0, block_id=block_id, first=first, last=last))

    def packet(self, timeout_s=PATIENCE_S):
        return self._packets.get(timeout=timeout_s)


@dataclass
class Received:
    """What came of one block: how often each packet, in which order, and their bytes."""

    block_id: int
    packets: Counter = field(default_factory=Counter)
    order: list = field(default_factory=list)
    asked_for: list = field(default_factory=list)
    noise: int = 0
    refused: int = 0
    pieces: dict = field(default_factory=dict)
    leader: object = None
    trailer: object = None
    last: int | None = None

    @property
    def missing(self):
        if self.last is None:
            return None
        return [packet for packet in range(self.last + 1) if not self.packets[packet]]

    @property
    def is_whole(self):
        return self.last is not None and self.leader is not None and not self.missing

    @property
    def payload(self):
        return b"".join(self.pieces[packet] for packet in sorted(self.pieces))


def sort_packet(data, blocks):
    """Puts a packet where it belongs; what belongs nowhere is counted as noise of its block."""
    packet = parse_stream_packet(data)
    block = blocks.setdefault(packet.block_id, Received(packet.block_id))
    if packet.status == Status.ERROR:
        block.noise += 1
        return block
    if packet.status != Status.SUCCESS:
        block.refused += 1
        return block
    try:
        if packet.content == Content.LEADER:
            block.leader = parse_leader(packet.data)
        elif packet.content == Content.TRAILER:
            block.trailer = parse_trailer(packet.data)
            block.last = packet.packet_id
        else:
            block.pieces[packet.packet_id] = bytes(packet.data)
    except Malformed:
        block.noise += 1
        return block
    block.packets[packet.packet_id] += 1
    block.order.append(packet.packet_id)
    return block


def take(client, *, whole=None, ended=None, ask_again=False):
    """Blocks by id, until so many are whole, or so many had their last packet and nothing more came.

    ask_again  for what a block misses when its trailer comes
    """
    blocks, done = {}, set()
    end_s = time.monotonic() + PATIENCE_S
    while len(done) < (whole or ended):
        assert time.monotonic() < end_s, f"waited in vain; {len(blocks)} blocks came"
        block = sort_packet(client.packet(), blocks)
        if block.last is None:
            continue
        if ended or block.is_whole:
            done.add(block.block_id)
        if ask_again and not block.asked_for:
            block.asked_for = block.missing
            for packet_id in block.missing:
                client.ask_again(block.block_id, packet_id, packet_id)
    return drained(client, blocks) if ended else blocks


def drained(client, blocks, quiet_s=0.2):
    """What still comes, until nothing does for a while."""
    while True:
        try:
            sort_packet(client.packet(quiet_s), blocks)
        except Empty:
            return blocks


@contextmanager
def a_camera_and_client(**changes):
    scene = changes.get("scene") or a_scene()
    settings = changes | {"address": changes.get("address") or a_free_address(), "scene": scene}
    with a_camera(**settings) as camera, Client(settings["address"], scene=scene) as client:
        yield camera, client
