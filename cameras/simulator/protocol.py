"""The packets of GigE Vision: GVCP, which commands a device, and GVSP, which carries its pictures.

Pure: bytes to values and back, both directions of both, so that a test can play the client. Whatever the
bytes, parsing gives a value or raises Malformed. Everything on the wire is big-endian.
Source of the layouts: AIA, GigE Vision 1.2 (16-bit block ids).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

GVCP_PORT = 3956
GVCP_KEY = 0x42
GVCP_HEADER_BYTES = 8
GVCP_DATA_MAX = 536
"""Bytes of memory in one READMEM or WRITEMEM: a GVCP packet is never cut up, so it fits 576 bytes with IP."""

GVSP_HEADER_BYTES = 8
IP_UDP_HEADER_BYTES = 28
"""Counted in a stream channel's packet size, as is the GVSP header."""

DISCOVERY_BYTES = 248
PACKET_ID_MAX = 0xFFFFFF
BLOCK_ID_MAX = 0xFFFF
PAYLOAD_IMAGE = 0x0001
PAYLOAD_WITH_CHUNKS = 0x4000

_FLAG_ACK = 0x01
_ADDRESS = struct.Struct(">I")
_GVCP_COMMAND = struct.Struct(">BBHHH")
_GVCP_ACK = struct.Struct(">HHHH")
_PAIR = struct.Struct(">II")
_FORCE_IP = struct.Struct(">2x6s12x4s12x4s12x4s")
_RESEND = struct.Struct(">HHII")
_ACTION = struct.Struct(">III")
_SCHEDULED_ACTION = struct.Struct(">IIIQ")
_EVENT = struct.Struct(">2xHHHQ")
_GVSP = struct.Struct(">HHI")
_LEADER = struct.Struct(">HHQIIIIIHH")
_TRAILER = struct.Struct(">HHI")
_TRAILER_OF_CHUNKS = struct.Struct(">HHIII")
_CHUNK_END = struct.Struct(">II")


class Status(IntEnum):
    """What a device answers a command with. Source: GigE Vision 1.2, appendix 1."""

    SUCCESS = 0x0000
    NOT_IMPLEMENTED = 0x8001
    INVALID_PARAMETER = 0x8002
    INVALID_ADDRESS = 0x8003
    WRITE_PROTECT = 0x8004
    BAD_ALIGNMENT = 0x8005
    ACCESS_DENIED = 0x8006
    BUSY = 0x8007
    PACKET_UNAVAILABLE = 0x800C
    INVALID_HEADER = 0x800E
    ERROR = 0x8FFF


class Code(IntEnum):
    """What a command asks for; its acknowledgement has the next number."""

    DISCOVERY = 0x0002
    FORCE_IP = 0x0004
    PACKET_RESEND = 0x0040
    READ_REGISTERS = 0x0080
    WRITE_REGISTERS = 0x0082
    READ_MEMORY = 0x0084
    WRITE_MEMORY = 0x0086
    EVENT = 0x00C0
    ACTION = 0x0100


class Content(IntEnum):
    """What a GVSP packet carries."""

    LEADER = 1
    TRAILER = 2
    PAYLOAD = 3


class Malformed(ValueError):
    """Bytes that are no packet of this protocol. `status` is what a device answers, if it can answer."""

    def __init__(self, what: str, status: Status = Status.INVALID_HEADER) -> None:
        super().__init__(what)
        self.status = status


# --- GVCP ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A command's frame. `code` may be one this protocol does not know: a device says so."""

    code: int
    wants_ack: bool
    request_id: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ForceIp:
    """Addresses as they stand on the wire, 6 and 4 bytes."""

    mac: bytes
    address: bytes
    mask: bytes
    gateway: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRegisters:
    addresses: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRegisters:
    values: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMemory:
    address: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteMemory:
    address: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketResend:
    """First and last packet are both wanted."""

    channel: int
    block_id: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """To every device of these keys whose mask has a bit in common with this one, to act at once."""

    device_key: int
    group_key: int
    group_mask: int


Command = (
    Discovery | ForceIp | ReadRegisters | WriteRegisters | ReadMemory | WriteMemory | PacketResend | Action
)

_CODES: dict[type[Command], Code] = {
    Discovery: Code.DISCOVERY,
    ForceIp: Code.FORCE_IP,
    ReadRegisters: Code.READ_REGISTERS,
    WriteRegisters: Code.WRITE_REGISTERS,
    ReadMemory: Code.READ_MEMORY,
    WriteMemory: Code.WRITE_MEMORY,
    PacketResend: Code.PACKET_RESEND,
    Action: Code.ACTION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The answer to a command. `code` is the command's own plus one."""

    status: int
    code: int
    request_id: int
    body: bytes


def pack_command(command: Command, *, request_id: int, wants_ack: bool = True) -> bytes:
    body = _packed(command)
    flags = _FLAG_ACK if wants_ack else 0
    return _GVCP_COMMAND.pack(GVCP_KEY, flags, _CODES[type(command)], len(body), request_id) + body


def parse_header(data: bytes) -> Header:
    """Raises Malformed for what a device leaves unanswered: it cannot know whom or what it would answer."""
    if len(data) < GVCP_HEADER_BYTES:
        raise Malformed(f"{len(data)} bytes are no GVCP header")
    key, flags, code, length, request_id = _GVCP_COMMAND.unpack_from(data)
    if key != GVCP_KEY:
        raise Malformed(f"key 0x{key:02X} instead of 0x{GVCP_KEY:02X}")
    if request_id == 0:
        raise Malformed("request id 0 is not allowed")
    if length != len(data) - GVCP_HEADER_BYTES:
        raise Malformed(f"length {length} said, {len(data) - GVCP_HEADER_BYTES} there")
    return Header(
        code=code,
        wants_ack=bool(flags & _FLAG_ACK),
        request_id=request_id,
        body=bytes(data[GVCP_HEADER_BYTES:]),
    )


def parse_command(header: Header) -> Command:
    """What a header's body asks for. Raises Malformed, with the status to answer."""
    body = header.body
    match header.code:
        case Code.DISCOVERY:
            _need(not body, "a discovery has no body")
            return Discovery()
        case Code.FORCE_IP:
            _need(len(body) == _FORCE_IP.size, "FORCEIP has 56 bytes")
            mac, address, mask, gateway = _FORCE_IP.unpack(body)
            return ForceIp(mac=mac, address=address, mask=mask, gateway=gateway)
        case Code.READ_REGISTERS:
            _need(0 < len(body) <= GVCP_DATA_MAX + 4 and len(body) % 4 == 0, "addresses are 4 bytes each")
            addresses = struct.unpack(f">{len(body) // 4}I", body)
            _need(all(address % 4 == 0 for address in addresses), "alignment", Status.BAD_ALIGNMENT)
            return ReadRegisters(addresses=addresses)
        case Code.WRITE_REGISTERS:
            _need(0 < len(body) <= GVCP_DATA_MAX + 4 and len(body) % 8 == 0, "a write is 8 bytes")
            values = tuple(_PAIR.iter_unpack(body))
            _need(all(address % 4 == 0 for address, _ in values), "alignment", Status.BAD_ALIGNMENT)
            return WriteRegisters(values=values)
        case Code.READ_MEMORY:
            _need(len(body) == _PAIR.size, "READMEM has 8 bytes")
            address, count = _PAIR.unpack(body)
            # The upper half is reserved, and a device does not look at it.
            count &= 0xFFFF
            _need(address % 4 == 0 and count % 4 == 0, "alignment", Status.BAD_ALIGNMENT)
            _need(0 < count <= GVCP_DATA_MAX, "count out of range")
            return ReadMemory(address=address, count=count)
        case Code.WRITE_MEMORY:
            _need(4 < len(body) <= GVCP_DATA_MAX + 4, "WRITEMEM carries data")
            (address,) = _ADDRESS.unpack_from(body)
            _need(address % 4 == 0 and len(body) % 4 == 0, "alignment", Status.BAD_ALIGNMENT)
            return WriteMemory(address=address, data=body[4:])
        case Code.PACKET_RESEND:
            _need(len(body) == _RESEND.size, "PACKETRESEND has 12 bytes")
            channel, block_id, first, last = _RESEND.unpack(body)
            return PacketResend(
                channel=channel, block_id=block_id, first=first & PACKET_ID_MAX, last=last & PACKET_ID_MAX
            )
        case Code.ACTION:
            is_scheduled = len(body) == _SCHEDULED_ACTION.size
            _need(not is_scheduled, "an action at a given time", Status.NOT_IMPLEMENTED)
            _need(len(body) == _ACTION.size, "ACTION has 12 bytes")
            device_key, group_key, group_mask = _ACTION.unpack(body)
            return Action(device_key=device_key, group_key=group_key, group_mask=group_mask)
    raise Malformed(f"command 0x{header.code:04X} is not known", Status.NOT_IMPLEMENTED)


def pack_ack(ack: Ack) -> bytes:
    return _GVCP_ACK.pack(ack.status, ack.code, len(ack.body), ack.request_id) + ack.body


def parse_ack(data: bytes) -> Ack:
    """Raises Malformed."""
    if len(data) < GVCP_HEADER_BYTES:
        raise Malformed(f"{len(data)} bytes are no GVCP header")
    status, code, length, request_id = _GVCP_ACK.unpack_from(data)
    if length != len(data) - GVCP_HEADER_BYTES:
        raise Malformed(f"length {length} said, {len(data) - GVCP_HEADER_BYTES} there")
    return Ack(status=status, code=code, request_id=request_id, body=bytes(data[GVCP_HEADER_BYTES:]))


def _packed(command: Command) -> bytes:
    match command:
        case Discovery():
            return b""
        case ForceIp():
            return _FORCE_IP.pack(command.mac, command.address, command.mask, command.gateway)
        case ReadRegisters(addresses=addresses):
            return struct.pack(f">{len(addresses)}I", *addresses)
        case WriteRegisters(values=values):
            return b"".join(_PAIR.pack(address, value) for address, value in values)
        case ReadMemory(address=address, count=count):
            return _PAIR.pack(address, count)
        case WriteMemory(address=address, data=data):
            return _ADDRESS.pack(address) + data
        case PacketResend():
            return _RESEND.pack(command.channel, command.block_id, command.first, command.last)
        case Action():
            return _ACTION.pack(command.device_key, command.group_key, command.group_mask)


def _need(fits: bool, what: str, status: Status = Status.INVALID_PARAMETER) -> None:
    if not fits:
        raise Malformed(what, status)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMessage:
    """What a device tells its client on the message channel. `block_id` 0 for what is of no picture."""

    event_id: int
    block_id: int
    timestamp: int


def pack_event(event: EventMessage, *, request_id: int) -> bytes:
    """As a command that asks for no answer."""
    body = _EVENT.pack(event.event_id, 0, event.block_id, event.timestamp)
    return _GVCP_COMMAND.pack(GVCP_KEY, 0, Code.EVENT, len(body), request_id) + body


def parse_event(data: bytes) -> EventMessage:
    """Raises Malformed."""
    header = parse_header(data)
    _need(header.code == Code.EVENT and len(header.body) == _EVENT.size, "EVENT has 16 bytes")
    event_id, _, block_id, timestamp = _EVENT.unpack(header.body)
    return EventMessage(event_id=event_id, block_id=block_id, timestamp=timestamp)


# --- GVSP ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """A block's first packet: when it was exposed, and how its pixels lie. `timestamp` in ticks."""

    payload_type: int
    timestamp: int
    pixel_format: int
    width_px: int
    height_px: int
    offset_x_px: int = 0
    offset_y_px: int = 0
    padding_x: int = 0
    padding_y: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trailer:
    """A block's last packet. `chunk_bytes`: picture and chunks together, where the block has chunks."""

    payload_type: int
    height_px: int
    chunk_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPacket:
    """`content` as the header says it, possibly a number no Content has; `data` what follows the header."""

    status: int
    block_id: int
    content: int
    packet_id: int
    data: memoryview


def stream_header(content: int, *, block_id: int, packet_id: int, status: int = Status.SUCCESS) -> bytes:
    return _GVSP.pack(status, block_id, content << 24 | packet_id)


def payload_headers(*, block_id: int, count: int) -> memoryview:
    """The headers of payload packets 1 to `count`, one behind the other: cheaper than one at a time."""
    headers = np.empty((count, 2), ">u4")
    headers[:, 0] = block_id
    headers[:, 1] = np.arange(1, count + 1, dtype=np.uint32) | np.uint32(Content.PAYLOAD << 24)
    return memoryview(headers.tobytes())


def parse_stream_packet(data: bytes | memoryview) -> StreamPacket:
    """Raises Malformed."""
    if len(data) < GVSP_HEADER_BYTES:
        raise Malformed(f"{len(data)} bytes are no GVSP header")
    status, block_id, rest = _GVSP.unpack_from(data)
    return StreamPacket(
        status=status,
        block_id=block_id,
        content=rest >> 24,
        packet_id=rest & PACKET_ID_MAX,
        data=memoryview(data)[GVSP_HEADER_BYTES:],
    )


def pack_leader(leader: Leader) -> bytes:
    return _LEADER.pack(
        0,
        leader.payload_type,
        leader.timestamp,
        leader.pixel_format,
        leader.width_px,
        leader.height_px,
        leader.offset_x_px,
        leader.offset_y_px,
        leader.padding_x,
        leader.padding_y,
    )


def parse_leader(data: bytes | memoryview) -> Leader:
    """Raises Malformed, also for a payload that is no picture."""
    if len(data) < _LEADER.size:
        raise Malformed(f"{len(data)} bytes are no leader")
    _, payload_type, timestamp, pixel_format, width, height, x, y, pad_x, pad_y = _LEADER.unpack_from(data)
    if payload_type & ~PAYLOAD_WITH_CHUNKS != PAYLOAD_IMAGE:
        raise Malformed(f"payload type 0x{payload_type:04X} is no picture")
    return Leader(
        payload_type=payload_type,
        timestamp=timestamp,
        pixel_format=pixel_format,
        width_px=width,
        height_px=height,
        offset_x_px=x,
        offset_y_px=y,
        padding_x=pad_x,
        padding_y=pad_y,
    )


def pack_trailer(trailer: Trailer) -> bytes:
    if trailer.chunk_bytes is None:
        return _TRAILER.pack(0, trailer.payload_type, trailer.height_px)
    return _TRAILER_OF_CHUNKS.pack(0, trailer.payload_type, trailer.height_px, trailer.chunk_bytes, 0)


def parse_trailer(data: bytes | memoryview) -> Trailer:
    """Raises Malformed."""
    if len(data) < _TRAILER.size:
        raise Malformed(f"{len(data)} bytes are no trailer")
    _, payload_type, height = _TRAILER.unpack_from(data)
    if not payload_type & PAYLOAD_WITH_CHUNKS:
        return Trailer(payload_type=payload_type, height_px=height)
    if len(data) < _TRAILER_OF_CHUNKS.size:
        raise Malformed(f"{len(data)} bytes are no trailer of chunks")
    chunk_bytes = _TRAILER_OF_CHUNKS.unpack_from(data)[3]
    return Trailer(payload_type=payload_type, height_px=height, chunk_bytes=chunk_bytes)


def pack_chunk_end(chunk_id: int, *, length: int) -> bytes:
    """What follows a chunk's data: chunks are read from the block's end."""
    return _CHUNK_END.pack(chunk_id, length)


def parse_chunks(data: bytes | memoryview) -> dict[int, bytes]:
    """Every chunk of a block by its id. Raises Malformed where they do not fill it exactly."""
    view = memoryview(data)
    chunks: dict[int, bytes] = {}
    end = len(view)
    while end:
        if end < _CHUNK_END.size:
            raise Malformed(f"{end} bytes before the first chunk")
        chunk_id, length = _CHUNK_END.unpack_from(view, end - _CHUNK_END.size)
        end -= _CHUNK_END.size
        if length > end:
            raise Malformed(f"chunk 0x{chunk_id:08X} of {length} bytes, {end} there")
        chunks[chunk_id] = bytes(view[end - length : end])
        end -= length
    return chunks
