"""Looks at this computer: Python, the producer's file, interfaces, socket buffers, rules. Changes nothing."""

from __future__ import annotations

import array
import os
import platform
import re
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from cameras.doctor.facts import (
    Elf,
    Interface,
    Package,
    Python,
    SearchFolder,
    Seen,
    SocketBuffer,
    Unseen,
)

SEARCH_VARIABLE = "GENICAM_GENTL64_PATH"

PACKAGES = ("harvesters", "genicam")

_ELF_MACHINES = {0x03: "i686", 0x28: "armv7l", 0x3E: "x86_64", 0xB7: "aarch64", 0xF3: "riscv64"}
"""Source: System V ABI, e_machine; the names are those of `uname -m`."""

_ASK_BYTES = 2**30
"""More than any kernel gives: its answer is the most it does give."""

_RTM_GETADDR, _NLM_REQUEST_DUMP, _NLMSG_ERROR, _NLMSG_DONE = 22, 0x301, 2, 3
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_SIOCGIFFLAGS, _SIOCGIFMTU, _SIOCETHTOOL = 0x8913, 0x8921, 0x8946
_ETHTOOL_GSET = 0x01
_IFF_UP, _IFF_LOOPBACK, _IFF_RUNNING = 0x1, 0x8, 0x40
_SO_RCVBUFFORCE = 33
"""Linux: <linux/rtnetlink.h>, <linux/sockios.h>, <linux/ethtool.h>, <asm-generic/socket.h>."""

_TOOL_S = 5.0
_REFUSING = re.compile(r"\b(drop|reject)\b", re.IGNORECASE)


def python_here() -> Python:
    return Python(
        version=sys.version_info[:2],
        system=platform.system(),
        machine=_machine(platform.machine()),
        bits=struct.calcsize("P") * 8,
    )


def packages_here() -> tuple[Package, ...]:
    return tuple(Package(name=name, version=_version(name)) for name in PACKAGES)


def elf_of(head: bytes) -> Elf | None:
    """What the first 20 bytes of a file say of the machine it is for; None where it is no ELF file."""
    if len(head) < 20 or head[:4] != b"\x7fELF" or head[4] not in (1, 2) or head[5] not in (1, 2):
        return None
    (machine,) = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)
    return Elf(bits=32 if head[4] == 1 else 64, machine=_ELF_MACHINES.get(machine, f"0x{machine:X}"))


def search_folders(environment: Mapping[str, str]) -> Seen[tuple[SearchFolder, ...]]:
    """Where GenTL clients look for producers. Unseen where the variable is not set."""
    if (given := environment.get(SEARCH_VARIABLE)) is None:
        return Unseen("not_known")
    return tuple(
        SearchFolder(
            path=entry, producers=len(list(Path(entry).glob("*.cti"))) if Path(entry).is_dir() else None
        )
        for entry in given.split(os.pathsep)
        if entry
    )


def interfaces() -> Seen[tuple[Interface, ...]]:
    """Those of the network namespace this thread is in, by index. Not from /sys: that may show another's."""
    if sys.platform != "linux":
        return Unseen("not_linux")
    addresses = _addresses()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return tuple(
            _interface(any_socket, name, addresses.get(index, ())) for index, name in socket.if_nameindex()
        )


def socket_buffer() -> Seen[SocketBuffer]:
    """Asked of the kernel itself: the setting is not readable everywhere."""
    if sys.platform != "linux":
        return Unseen("not_linux")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ASK_BYTES)
        # The kernel doubles what it gives, for its own book-keeping, and says the doubled number.
        most_bytes = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        try:
            probe.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, most_bytes + 1)
        except PermissionError:
            return SocketBuffer(most_bytes=most_bytes, may_exceed=False)
    return SocketBuffer(most_bytes=most_bytes, may_exceed=True)


def firewall() -> Seen[tuple[str, ...]]:
    """The rules that drop or reject, as nft or iptables write them."""
    tools = [
        [path, *words]
        for name, *words in (("nft", "list", "ruleset"), ("iptables-save",))
        if (path := shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"))
    ]
    if not tools:
        return Unseen("no_tool")
    rules: list[str] = []
    is_seen = False
    for command in tools:
        try:
            done = subprocess.run(  # noqa: S603 - a fixed command, no shell
                command, capture_output=True, timeout=_TOOL_S, check=False, text=True, errors="replace"
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        is_seen = is_seen or done.returncode == 0
        rules += refusing_rules(done.stdout)
    return tuple(rules) if is_seen else Unseen("no_right")


def refusing_rules(listed: str) -> Iterator[str]:
    """Lines of a rule set that let something not through."""
    for line in listed.splitlines():
        if _REFUSING.search(line) and not line.lstrip().startswith("#"):
            yield line.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _machine(name: str) -> str:
    """One name for one machine: Windows and macOS have others."""
    return {"AMD64": "x86_64", "arm64": "aarch64", "ARM64": "aarch64"}.get(name, name)


def _interface(any_socket: socket.socket, name: str, networks: tuple[IPv4Interface, ...]) -> Interface:
    flags = _asked(any_socket, name, _SIOCGIFFLAGS, "H") or 0
    is_loopback = bool(flags & _IFF_LOOPBACK)
    return Interface(
        name=name,
        networks=networks,
        is_up=bool(flags & _IFF_UP),
        has_carrier=bool(flags & _IFF_RUNNING),
        is_loopback=is_loopback,
        mtu=_asked(any_socket, name, _SIOCGIFMTU, "i") or 0,
        speed_mbps=None if is_loopback else _speed(any_socket, name),
        rp_filter=max(_rp_filter("all"), _rp_filter(name)),
    )


def _asked(any_socket: socket.socket, name: str, request: int, kind: str) -> int | None:
    from fcntl import ioctl

    try:
        answer = ioctl(any_socket, request, struct.pack("16s24x", name.encode()))
    except OSError:
        return None
    (value,) = struct.unpack_from(f"={kind}", answer, 16)
    return int(value)


def _speed(any_socket: socket.socket, name: str) -> int | None:
    """Megabits a second; None where the link has no cable, or no speed."""
    from fcntl import ioctl

    asked = array.array("B", struct.pack("=I40x", _ETHTOOL_GSET))
    try:
        ioctl(any_socket, _SIOCETHTOOL, struct.pack("16sP16x", name.encode(), asked.buffer_info()[0]))
    except OSError:
        return None
    low, high = struct.unpack_from("=H", asked, 12)[0], struct.unpack_from("=H", asked, 28)[0]
    speed = high << 16 | low
    return None if speed in (0, 0xFFFF, 0xFFFFFFFF) else speed


def _rp_filter(name: str) -> int:
    """The stricter of an interface's own and of all: the kernel takes the maximum."""
    try:
        return int(Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _addresses() -> dict[int, tuple[IPv4Interface, ...]]:
    """IPv4 addresses by the index of their interface, from the kernel. Source: rtnetlink(7)."""
    found: dict[int, tuple[IPv4Interface, ...]] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.bind((0, 0))
        kernel.send(struct.pack("=IHHIIBxxxI", 24, _RTM_GETADDR, _NLM_REQUEST_DUMP, 1, 0, socket.AF_INET, 0))
        kernel.settimeout(_TOOL_S)
        while True:
            data = kernel.recv(65536)
            at = 0
            while at + 16 <= len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind in (_NLMSG_DONE, _NLMSG_ERROR) or length < 16:
                    return found
                index, address = _address(data[at + 16 : at + length])
                found[index] = (*found.get(index, ()), address)
                at += (length + 3) & ~3


def _address(message: bytes) -> tuple[int, IPv4Interface]:
    prefix = message[1]
    (index,) = struct.unpack_from("=I", message, 4)
    attributes: dict[int, bytes] = {}
    at = 8
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if length < 4:
            break
        attributes[kind] = message[at + 4 : at + length]
        at += (length + 3) & ~3
    # Of a point-to-point link, the address is the other end's, and the local one our own.
    own = attributes.get(_IFA_LOCAL) or attributes[_IFA_ADDRESS]
    return index, IPv4Interface((IPv4Address(own), prefix))
