"""Looks at cameras over the network, with GigE Vision's own packets and no camera library.

A device that another program controls is only read. One that is free is controlled for a moment, to send test
packets, and is left as it was.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv4Interface
from typing import Literal

from cameras.doctor.facts import Answers, Heard, Interface, Seen, TriedPackets, Unseen
from cameras.gvcp import announcements
from cameras.simulator.protocol import (
    GVCP_PORT,
    IP_UDP_HEADER_BYTES,
    Ack,
    Command,
    Malformed,
    ReadRegisters,
    Status,
    WriteRegisters,
    pack_command,
    parse_ack,
)

HEARTBEAT_AT, CONTROL_AT = 0x938, 0xA00
HOST_PORT_AT, PACKET_SIZE_AT, HOST_ADDRESS_AT = 0xD00, 0xD04, 0xD18
"""Bootstrap registers. Source: AIA, GigE Vision 1.2."""

_DISCOVERY_S = 1.0
"""A device may take a second to answer a broadcast: so long Aravis waits too."""

_ANSWER_S = 0.5
_TRIES = 3
_TEST_PACKET_S = 0.25

_CONTROL = 0x2
_FIRE, _DO_NOT_FRAGMENT = 1 << 31, 1 << 30

_SIZES = (16384, 9000, 8000, 4000, 1500, 1492, 1400, 1200, 576)
"""Tried from the largest: what jumbo frames, plain Ethernet and tunnels carry. 576 every IPv4 path carries."""


def hear_devices() -> tuple[Heard, ...]:
    """Every device that answers a broadcast on any network, also one of another subnet. Takes a second."""
    return tuple(
        sorted(
            (
                Heard(
                    interface=one.interface,
                    mac=one.mac,
                    address=_with_mask(one.address, one.mask),
                    serial=one.serial,
                    user_id=one.user_name,
                    vendor=one.vendor,
                    model=one.model,
                )
                for one in announcements(seconds=_DISCOVERY_S)
            ),
            key=lambda heard: (heard.interface, heard.mac, heard.address, heard.serial),
        )
    )


def question(device: Heard, interfaces: Iterable[Interface]) -> Answers:
    """What a device tells without being controlled; and, if it is free, the test packets that arrive."""
    there = tuple(interfaces)
    most = max((interface.mtu for interface in there if interface.name == device.interface), default=0)
    nothing = Unseen("no_answer")
    try:
        gvcp = _Gvcp(device.address.ip)
    except OSError:
        return Answers(
            route=Unseen("no_route"),
            privilege=nothing,
            packet_size=nothing,
            heartbeat_ms=nothing,
            test_packets=nothing,
        )
    with gvcp:
        privilege = _privilege(gvcp.read(CONTROL_AT))
        is_there = privilege != nothing
        size = gvcp.read(PACKET_SIZE_AT) if is_there else nothing
        tested: Seen[TriedPackets] = Unseen("taken")
        if isinstance(privilege, Unseen):
            tested = privilege
        elif privilege == "open":
            tested = _test_packets(gvcp, most=most)
        return Answers(
            route=_route(gvcp.own_address, there),
            privilege=privilege,
            packet_size=size if isinstance(size, Unseen) else size & 0xFFFF,
            heartbeat_ms=gvcp.read(HEARTBEAT_AT) if is_there else nothing,
            test_packets=tested,
        )


def _with_mask(address: str, mask: str) -> IPv4Interface:
    """A mask with holes, which no network has, counts by its ones."""
    return IPv4Interface((IPv4Address(address), int(IPv4Address(mask)).bit_count()))


def _privilege(found: Seen[int]) -> Seen[Literal["open", "control", "exclusive"]]:
    match found:
        case Unseen(why="taken"):
            # It is not even read: that is what exclusive access means.
            return "exclusive"
        case Unseen():
            return found
    return "exclusive" if found & 0x1 else "control" if found & _CONTROL else "open"


def _route(own: IPv4Address, interfaces: Iterable[Interface]) -> Seen[tuple[str, IPv4Address]]:
    for interface in interfaces:
        is_own = any(network.ip == own for network in interface.networks)
        if is_own or (interface.is_loopback and own.is_loopback):
            return interface.name, own
    return Unseen("not_known")


def _test_packets(gvcp: _Gvcp, *, most: int) -> Seen[TriedPackets]:
    sizes = tuple(size for size in _SIZES if size <= most)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stream:
        stream.bind((str(gvcp.own_address), 0))
        with _in_control(gvcp) as is_ours:
            if not is_ours:
                return Unseen("taken")
            before = {
                address: gvcp.read(address) for address in (PACKET_SIZE_AT, HOST_ADDRESS_AT, HOST_PORT_AT)
            }
            try:
                gvcp.write(HOST_ADDRESS_AT, int(gvcp.own_address))
                gvcp.write(HOST_PORT_AT, stream.getsockname()[1])
                largest = next(filter(None, (_arrives(gvcp, stream, size) for size in sizes)), None)
            finally:
                for address, value in before.items():
                    if not isinstance(value, Unseen):
                        gvcp.write(address, value & ~_FIRE)
    return TriedPackets(largest=largest, tried=sizes)


def _arrives(gvcp: _Gvcp, stream: socket.socket, size: int) -> int | None:
    """The size of the test packet that came, which a device may have rounded; None where none did."""
    # First by itself: a device that fires before it has heard of not cutting up would send it in pieces.
    gvcp.write(PACKET_SIZE_AT, _DO_NOT_FRAGMENT | size)
    for _ in range(2):
        if gvcp.write(PACKET_SIZE_AT, _FIRE | _DO_NOT_FRAGMENT | size) != Status.SUCCESS:
            return None
        stream.settimeout(_TEST_PACKET_S)
        with suppress(OSError):
            came = len(stream.recv(65536)) + IP_UDP_HEADER_BYTES
            # One that was late belongs to the size before.
            if came <= size:
                return came
    return None


@contextmanager
def _in_control(gvcp: _Gvcp) -> Iterator[bool]:
    """Whether the device let us. Given back whatever happens; it would fall back by itself after its heartbeat."""
    if gvcp.write(CONTROL_AT, _CONTROL) != Status.SUCCESS:
        yield False
        return
    try:
        yield True
    finally:
        gvcp.write(CONTROL_AT, 0)


class _Gvcp:
    """One device, asked and answering. Raises OSError where there is no way to it."""

    def __init__(self, address: IPv4Address) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.connect((str(address), GVCP_PORT))
        except OSError:
            self._socket.close()
            raise
        self.own_address = IPv4Address(self._socket.getsockname()[0])
        self._request_id = 0

    def __enter__(self) -> _Gvcp:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def read(self, address: int) -> Seen[int]:
        ack = self._ask(ReadRegisters(addresses=(address,)))
        if ack is None:
            return Unseen("no_answer")
        if ack.status == Status.ACCESS_DENIED:
            return Unseen("taken")
        if ack.status != Status.SUCCESS or len(ack.body) != struct.calcsize(">I"):
            return Unseen("no_feature")
        return int.from_bytes(ack.body)

    def write(self, address: int, value: int) -> int | None:
        """The status of the answer; None where there is none."""
        ack = self._ask(WriteRegisters(values=((address, value),)))
        return None if ack is None else ack.status

    def _ask(self, command: Command) -> Ack | None:
        self._request_id = self._request_id % 0xFFFF + 1
        packet = pack_command(command, request_id=self._request_id)
        for _ in range(_TRIES):
            end_s = time.monotonic() + _ANSWER_S
            with suppress(OSError):
                self._socket.send(packet)
                while (left_s := end_s - time.monotonic()) > 0:
                    self._socket.settimeout(left_s)
                    with suppress(Malformed):
                        ack = parse_ack(self._socket.recv(2048))
                        if ack.request_id == self._request_id:
                            return ack
        return None
