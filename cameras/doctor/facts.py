"""What the doctor can know. What could not be looked at is an `Unseen` with its reason, never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from typing import Literal, TypeAlias, TypeVar

Why = Literal[
    "not_linux",
    "not_known",
    "no_right",
    "no_tool",
    "no_answer",
    "no_route",
    "no_library",
    "not_listed",
    "taken",
    "not_asked",
    "not_opened",
    "no_frames",
    "no_feature",
]
"""Keys of the texts `doctor.why.…`."""


@dataclass(frozen=True, slots=True)
class Unseen:
    why: Why


T = TypeVar("T")
Seen: TypeAlias = T | Unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A Python package the drivers need. `version` None: it is not installed."""

    name: str
    version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """This interpreter. `machine` as the kernel names it, `bits` of a pointer."""

    version: tuple[int, int]
    system: str
    machine: str
    bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """The head of a program file. `machine` as the kernel names it, or its number where we have no name."""

    bits: int
    machine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerFile:
    """`elf` None: the file is there and is no ELF file. `failure`: why the producer cannot be used, in its words."""

    path: str
    is_ours: bool
    is_there: bool
    elf: Elf | None
    failure: Seen[str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFolder:
    """An entry of GENICAM_GENTL64_PATH. `producers` None: there is no such folder."""

    path: str
    producers: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """`speed_mbps` None: a link that has none, as the loopback. `rp_filter` as in the kernel: 1 is strict."""

    name: str
    networks: tuple[IPv4Interface, ...]
    is_up: bool
    has_carrier: bool
    is_loopback: bool
    mtu: int
    speed_mbps: int | None
    rp_filter: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A GigE Vision device that answered a discovery which left by `interface`."""

    interface: str
    mac: str
    address: IPv4Interface
    serial: str
    user_id: str
    vendor: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedPackets:
    """`largest` packet that arrived, IP and UDP header with it; None where none of those `tried` did."""

    largest: int | None
    tried: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a device says in its registers, to anybody who asks.

    route      interface and own address by which packets to it leave
    privilege  open, control, exclusive: who else may write
    """

    route: Seen[tuple[str, IPv4Address]]
    privilege: Seen[Literal["open", "control", "exclusive"]]
    packet_size: Seen[int]
    heartbeat_ms: Seen[int]
    test_packets: Seen[TriedPackets]


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """Some seconds of pictures. `lost` are holes in the device's count; `resent` packets asked for again."""

    seconds: float
    frames: int
    lost: int
    incomplete: Seen[int]
    resent: Seen[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A device behind a producer. `failure`: code and words of the error it was opened or streamed with."""

    features: Mapping[str, int | float | str]
    is_format_understood: Seen[bool]
    streamed: Seen[Streamed]
    failure: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFacts:
    """One camera, found on the wire, by the producer, or both. What was not heard was not asked."""

    serial: str
    heard: Heard | None
    answers: Answers | None
    opened: Seen[Opened]


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketBuffer:
    """What the kernel gives a receiving socket that asks for more than there is. `may_exceed`: this program has
    the right to go beyond `most_bytes`, which others have not."""

    most_bytes: int
    may_exceed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of it. `firewall`: the rules that drop or reject something, as they are written."""

    python: Python
    packages: tuple[Package, ...]
    producer: ProducerFile
    search: Seen[tuple[SearchFolder, ...]]
    interfaces: Seen[tuple[Interface, ...]]
    socket_buffer: Seen[SocketBuffer]
    firewall: Seen[tuple[str, ...]]
    wanted: str | None
    heard: tuple[Heard, ...] = ()
    cameras: tuple[CameraFacts, ...] = field(default=())
