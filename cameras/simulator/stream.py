"""The stream channel: blocks cut into GVSP packets, sent, and kept for a while to be sent again."""

from __future__ import annotations

import logging
import socket
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Event, Lock

from cameras.simulator.faults import Fault, Kind
from cameras.simulator.protocol import (
    GVSP_HEADER_BYTES,
    IP_UDP_HEADER_BYTES,
    PACKET_ID_MAX,
    Content,
    PacketResend,
    Status,
    payload_headers,
    stream_header,
)

logger = logging.getLogger(__name__)

KEPT_BYTES = 64 * 2**20
KEPT_BLOCKS = 64
"""What can be asked for again: the newest blocks, whichever of the two is reached first."""

LATE_S = 0.005
_PAUSE_NS = 1_000_000
"""Pauses shorter than this are saved up: no sleep is as short as a packet."""

_A_WHILE, _NOISE_PACKET = -1, -2
_NOISE = bytes(range(7, 250, 3))
_IP_MTU_DISCOVER, _IP_PMTUDISC_DO, _IP_PMTUDISC_DONT = 10, 2, 0
"""Linux, <linux/in.h>; Python's socket has no names for them."""

Buffers = tuple[bytes | memoryview, ...]


def packet_count(payload_bytes: int, packet_size: int) -> int:
    """Payload packets of a block, without leader and trailer."""
    return -(-payload_bytes // _step(packet_size))


def _step(packet_size: int) -> int:
    return packet_size - IP_UDP_HEADER_BYTES - GVSP_HEADER_BYTES


class Block:
    """One picture on the wire: packet 0 is the leader, then the payload, then the trailer.

    payload      memory that nobody writes to any more; the pieces follow each other
    packet_size  as the register has it: with all headers
    ends_early   half of the packets never existed, whatever the leader says; there must be two
    """

    def __init__(
        self,
        *,
        block_id: int,
        leader: bytes,
        payload: tuple[memoryview, ...],
        trailer: bytes,
        packet_size: int,
        ends_early: bool = False,
    ) -> None:
        self.block_id = block_id
        self.packet_size = packet_size
        self.size = sum(len(piece) for piece in payload)
        self._step = _step(packet_size)
        self.count = packet_count(self.size, packet_size)
        if ends_early:
            self.count //= 2
        self.last = self.count + 1
        self.gone = range(0)
        self._payload = payload
        self._headers = payload_headers(block_id=block_id, count=self.count)
        self._leader = stream_header(Content.LEADER, block_id=block_id, packet_id=0) + leader
        self._trailer = stream_header(Content.TRAILER, block_id=block_id, packet_id=self.last) + trailer

    def packet(self, packet_id: int) -> Buffers:
        """Its header and its pixels, which are not copied."""
        if packet_id == 0:
            return (self._leader,)
        if packet_id == self.last:
            return (self._trailer,)
        at = GVSP_HEADER_BYTES * (packet_id - 1)
        header = self._headers[at : at + GVSP_HEADER_BYTES]
        start = self._step * (packet_id - 1)
        if start + self._step <= len(self._payload[0]):
            # Nearly all of them, and what a packet costs here bounds how fast pictures go out.
            return (header, self._payload[0][start : start + self._step])
        return (header, *self._pieces(start, min(start + self._step, self.size)))

    def _pieces(self, start: int, end: int) -> Iterator[memoryview]:
        for piece in self._payload:
            if start < len(piece) and end > 0:
                yield piece[max(start, 0) : end]
            start, end = start - len(piece), end - len(piece)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast packets follow each other: `delay_ns` between them, beside what the link takes for each.

    Without the link's own time a picture would come as one burst, which no real link can bring and no
    receiver's buffer holds.
    """

    delay_ns: int
    bytes_per_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resent:
    sent: int
    unavailable: int


class StreamChannel:
    """Sends to one place at a time. Raises OSError where it cannot bind to `address`."""

    def __init__(self, address: str) -> None:
        self._socket = sender_at(address)
        self._lock = Lock()
        self._target: tuple[str, int] | None = None
        self._kept: OrderedDict[int, Block] = OrderedDict()
        self._kept_bytes = 0

    def close(self) -> None:
        self._socket.close()

    def move(self, address: str) -> None:
        """Send from another address; for a channel that is aimed nowhere."""
        before, self._socket = self._socket, sender_at(address)
        before.close()

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    def aim(self, host: str, port: int) -> None:
        """Send there from now on; port 0 is nowhere."""
        if port == 0:
            self._target = None
            return
        if (host, port) != self._target:
            self._socket.connect((host, port))
            self._target = (host, port)

    def do_not_fragment(self, wanted: bool) -> None:
        self._socket.setsockopt(
            socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO if wanted else _IP_PMTUDISC_DONT
        )

    def test_packet(self, packet_size: int) -> None:
        """One packet of this size, of block 0, which no picture has."""
        header = stream_header(Content.PAYLOAD, block_id=0, packet_id=0)
        self._send((header, bytes(packet_size - IP_UDP_HEADER_BYTES - len(header))))

    def send(self, block: Block, *, pace: Pace, fault: Fault | None, unless: Event) -> bool:
        """The whole block, as the fault has it. False where nobody is to get it."""
        if fault is not None and fault.kind is Kind.INCOMPLETE:
            block.gone = range(1 + int(fault.place * block.count), block.last)
        self._keep(block)
        if self._target is None:
            return False
        due_ns = time.monotonic_ns()
        packet_ns = pace.delay_ns + block.packet_size * 1_000_000_000 // pace.bytes_per_s
        for packet_id in _order(block, fault):
            if packet_id == _A_WHILE:
                unless.wait(LATE_S)
            elif packet_id == _NOISE_PACKET:
                # Marked as an error: libaravis 0.8.26 takes an unmarked one for the picture's first packet.
                header = stream_header(
                    Content.PAYLOAD, block_id=block.block_id, packet_id=PACKET_ID_MAX, status=Status.ERROR
                )
                self._send((header, _NOISE))
            else:
                self._send(block.packet(packet_id))
            due_ns += packet_ns
            ahead_ns = due_ns - time.monotonic_ns()
            if ahead_ns > _PAUSE_NS:
                # Counted from the first packet on, so that a sleep that was too long is made up for.
                unless.wait(ahead_ns / 1e9)
        return True

    def resend(self, wanted: PacketResend) -> Resent:
        """What is still there of a block; for what is not, a packet that says so."""
        with self._lock:
            block = self._kept.get(wanted.block_id)
        last = wanted.last if block is None else min(wanted.last, block.last)
        sent = unavailable = 0
        if block is None or wanted.first > block.last:
            last = wanted.first
        for packet_id in range(wanted.first, last + 1):
            if block is not None and packet_id <= block.last and packet_id not in block.gone:
                self._send(block.packet(packet_id))
                sent += 1
            else:
                refusal = stream_header(
                    Content.PAYLOAD,
                    block_id=wanted.block_id,
                    packet_id=packet_id,
                    status=Status.PACKET_UNAVAILABLE,
                )
                self._send((refusal,))
                unavailable += 1
        return Resent(sent=sent, unavailable=unavailable)

    def forget(self) -> None:
        """Nothing sent so far can be had again."""
        with self._lock:
            self._kept.clear()
            self._kept_bytes = 0

    def _keep(self, block: Block) -> None:
        with self._lock:
            before = self._kept.pop(block.block_id, None)
            self._kept[block.block_id] = block
            self._kept_bytes += block.size - (before.size if before else 0)
            while len(self._kept) > KEPT_BLOCKS or (self._kept_bytes > KEPT_BYTES and len(self._kept) > 1):
                self._kept_bytes -= self._kept.popitem(last=False)[1].size

    def _send(self, buffers: Buffers) -> None:
        for _ in range(2):
            try:
                self._socket.sendmsg(buffers)
            except ConnectionRefusedError:
                # Says that nobody listened to an earlier packet, and takes this one with it: once more.
                continue
            except OSError as error:
                # Too large for the path, or no route: as with a real device, the packet does not arrive.
                logger.debug("a packet could not be sent: %s", error)
            return


def sender_at(address: str) -> socket.socket:
    """Of packets that come from there. Raises OSError where this computer has no such address."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        sender.bind((address, 0))
    except OSError:
        sender.close()
        raise
    return sender


def _order(block: Block, fault: Fault | None) -> Sequence[int]:
    """Packet ids in the order of sending, with _A_WHILE for a pause and _NOISE_PACKET for noise."""
    whole = range(block.last + 1)
    if fault is None:
        return whole
    hit = 1 + min(block.count - 1, int(fault.place * block.count))
    order = list(whole)
    match fault.kind:
        case Kind.LOST:
            order.remove(hit)
        case Kind.CORRUPT:
            order[hit] = _NOISE_PACKET
        case Kind.LATE:
            order.remove(hit)
            order += [_A_WHILE, hit]
        case Kind.DOUBLED:
            order.insert(hit, hit)
        case Kind.REORDERED:
            other = hit + 1 if hit < block.count else hit - 1
            order[hit], order[other] = order[other], order[hit]
        case Kind.INCOMPLETE:
            order = [packet_id for packet_id in order if packet_id not in block.gone]
    return order
