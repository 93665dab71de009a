"""GigE Vision devices as they announce themselves, whatever their address: without a producer, on every network.

On Linux; elsewhere no device is heard. Source of the layouts: AIA, GigE Vision 1.2.
"""

from __future__ import annotations

import math
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from cameras.errors import AddressRefused, CameraNotFound
from cameras.simulator.protocol import (
    DISCOVERY_BYTES,
    GVCP_PORT,
    Ack,
    Code,
    Command,
    Discovery,
    ForceIp,
    Malformed,
    Status,
    pack_command,
    parse_ack,
)

_ANSWER_BY_BROADCAST = 0x10
"""Flag of a command: a device of another subnet could not answer us alone."""

_SO_BINDTODEVICE = 25
_SIOCGIFADDR = 0x8915
_SIOCGIFNETMASK = 0x891B
"""Linux, <asm-generic/socket.h> and <linux/sockios.h>."""

_EVERYONE = "255.255.255.255"
_LISTEN_S = 1.0
_REPEAT_S = 0.2
"""A device answers within a second, most within milliseconds; a question may get lost, so it is asked again."""

_OBEYS_WITHIN_S = 6.0
"""So long a device may take to begin anew at its new address, and a busy one to be heard at all."""

_SAYS_SO_WITHIN_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What a device says of itself. `mac` as 02:4c:7f:00:00:01. `interface` is ours, over which it was heard."""

    interface: str
    mac: str
    address: str
    mask: str
    serial: str
    vendor: str
    model: str
    user_name: str


def discover(*, seconds: float = _LISTEN_S) -> tuple[Announced, ...]:
    """Every device that answers a broadcast on any network of this computer, by MAC address. Disturbs none."""
    heard: dict[str, Announced] = {}
    for device in announcements(seconds=seconds):
        heard.setdefault(device.mac, device)
    return tuple(heard[mac] for mac in sorted(heard))


def announcements(*, seconds: float = _LISTEN_S) -> tuple[Announced, ...]:
    """Every different answer to a broadcast, in the order they came: a device on two networks of ours gives two."""
    heard: dict[Announced, None] = {}
    with _Broadcast() as broadcast:
        for interface, ack in broadcast.answers(Discovery(), seconds=seconds):
            if ack.code == Code.DISCOVERY + 1 and ack.status == Status.SUCCESS:
                with suppress(Malformed):
                    heard[parse_announcement(ack.body, interface=interface)] = None
    return tuple(heard)


def force_ip(mac: str, address: str, *, mask: str = "255.255.255.0", gateway: str = "0.0.0.0") -> Announced:  # noqa: S104
    """Give a device an address until it is switched off, also one that no producer reaches. Takes some seconds.

    mac  with : or - between the bytes, in upper or lower case
    gateway  0.0.0.0: none

    Raises CameraNotFound where no such device is heard, AddressRefused where it has another address afterwards,
    and ValueError for what is no address.
    """
    wanted = normal_mac(mac)
    command = ForceIp(
        mac=bytes.fromhex(wanted.replace(":", "")),
        address=IPv4Address(address).packed,
        mask=IPv4Address(mask).packed,
        gateway=IPv4Address(gateway).packed,
    )
    there = discover()
    end_s = time.monotonic() + _OBEYS_WITHIN_S
    while wanted not in (device.mac for device in there) and time.monotonic() < end_s:
        there = discover()
    if wanted not in (device.mac for device in there):
        raise CameraNotFound(
            f"No camera with MAC address {wanted} answers; found {_named(there)}.",
            action="Check power, cable and network of the camera, and its MAC address.",
            camera=wanted,
            wanted=wanted,
            found=_named(there),
        )
    refusal: int = Status.SUCCESS
    with _Broadcast() as broadcast:
        # Once: a device begins anew at each.
        for _, ack in broadcast.answers(command, seconds=_SAYS_SO_WITHIN_S, repeat_s=math.inf):
            if ack.code == Code.FORCE_IP + 1:
                refusal = ack.status
                break
    now = _at_its_address(wanted, str(IPv4Address(address)), give_up_s=0 if refusal else _OBEYS_WITHIN_S)
    if now is None or now.address != str(IPv4Address(address)):
        found = "-" if now is None else now.address
        reason = f"0x{refusal:04X}" if refusal else "-"
        raise AddressRefused(
            f"Camera {wanted} does not take address {address}: it has {found} and answered {reason}.",
            action="Close the program that holds the camera, check that the address is free, and try again.",
            mac=wanted,
            address=address,
            found=found,
            status=reason,
        )
    return now


def normal_mac(text: str) -> str:
    """As 02:4c:7f:00:00:01. Raises ValueError for what is no MAC address."""
    parts = text.lower().replace("-", ":").split(":")
    if len(parts) != 6 or not all(len(part) == 2 for part in parts):
        raise ValueError(f"{text} is no MAC address, as 02:4c:7f:00:00:01")
    bytes.fromhex("".join(parts))
    return ":".join(parts)


def parse_announcement(body: bytes, *, interface: str) -> Announced:
    """Raises Malformed."""
    if len(body) < DISCOVERY_BYTES:
        raise Malformed(f"{len(body)} bytes are no announcement")
    return Announced(
        interface=interface,
        mac=body[0x0A:0x10].hex(":"),
        address=str(IPv4Address(body[0x24:0x28])),
        mask=str(IPv4Address(body[0x34:0x38])),
        vendor=_text(body[0x48:0x68]),
        model=_text(body[0x68:0x88]),
        serial=_text(body[0xD8:0xE8]),
        user_name=_text(body[0xE8:0xF8]),
    )


def _at_its_address(mac: str, address: str, *, give_up_s: float) -> Announced | None:
    """The device as it announces itself now: as soon as it has the address, or when it has had time enough."""
    end_s = time.monotonic() + give_up_s
    while True:
        now = next((device for device in discover() if device.mac == mac), None)
        if (now is not None and now.address == address) or time.monotonic() > end_s:
            return now


class _Broadcast:
    """A socket on each network. A network that cannot send is left out: cables are pulled."""

    def __enter__(self) -> _Broadcast:
        self._open = ExitStack()
        self._selector = self._open.enter_context(selectors.DefaultSelector())
        for _, interface in socket.if_nameindex() if sys.platform == "linux" else ():
            with suppress(OSError):
                listening = self._open.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                listening.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, interface.encode())
                # Not to an address of ours: an answer by broadcast would not be for it.
                listening.bind(("", 0))
                listening.setblocking(False)
                self._selector.register(listening, selectors.EVENT_READ, interface)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def answers(
        self, command: Command, *, seconds: float, repeat_s: float = _REPEAT_S
    ) -> Iterator[tuple[str, Ack]]:
        """Interface and answer, of all that come."""
        packet = bytearray(pack_command(command, request_id=1))
        packet[1] |= _ANSWER_BY_BROADCAST
        end_s = time.monotonic() + seconds
        ask_s = time.monotonic()
        while (now_s := time.monotonic()) < end_s and self._selector.get_map():
            if now_s >= ask_s:
                self._send(packet)
                ask_s = now_s + repeat_s
            for key, _ in self._selector.select(min(ask_s, end_s) - now_s):
                assert isinstance(key.fileobj, socket.socket)
                with suppress(OSError, Malformed):
                    yield key.data, parse_ack(key.fileobj.recv(2048))

    def _send(self, packet: bytearray) -> None:
        for key in self._selector.get_map().values():
            assert isinstance(key.fileobj, socket.socket)
            for address in {_EVERYONE, _broadcast_address(key.fileobj, key.data)}:
                with suppress(OSError):
                    key.fileobj.sendto(packet, (address, GVCP_PORT))


def _broadcast_address(any_socket: socket.socket, interface: str) -> str:
    """Of the interface's own network, where it has one. Computed: the loopback states none."""
    import fcntl

    try:
        address, mask = (
            IPv4Address(fcntl.ioctl(any_socket, what, interface.encode().ljust(40, b"\0"))[20:24])
            for what in (_SIOCGIFADDR, _SIOCGIFNETMASK)
        )
    except OSError:
        return _EVERYONE
    return str(IPv4Network((int(address), str(mask)), strict=False).broadcast_address)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode(errors="replace").strip()


def _named(devices: tuple[Announced, ...]) -> str:
    return ", ".join(f"{device.mac} ({device.serial}, {device.address})" for device in devices) or "-"
