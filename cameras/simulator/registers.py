"""The device's memory as its clients see it, and who of them may write to it."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

from cameras.simulator.features import (
    FEATURES_AT,
    TICKS_PER_S,
    Boolean,
    Choice,
    Command,
    Feature,
    Float,
    Integer,
    Text,
    is_kept,
    size_of,
)
from cameras.simulator.protocol import DISCOVERY_BYTES, Status

DESCRIPTION_AT = 0x100000
CONTROL_AT = 0xA00

Sender = tuple[str, int]
Value = int | float | str

_EXCLUSIVE, _CONTROL = 0x1, 0x2

_CAPABILITY = 1 << 31 | 1 << 30 | 1 << 6 | 1 << 3 | 1 << 2 | 1 << 1 | 1
"""User-defined name, serial number, actions, events, packet resend, WRITEMEM, several registers in one command."""


class Refused(Exception):
    """A read or write the device does not do. `status` is its answer."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a device says of itself in a discovery. Addresses as integers; `mac` has 48 bits."""

    vendor: str
    model: str
    version: str
    about: str
    serial: str
    user_id: str
    mac: int
    address: int
    mask: int


class Registers:
    """Reads and writes, checked against the table of features.

    is_busy  whether features that are locked during acquisition are locked now
    done     called with a feature's name and value after a client wrote it; for commands too. May refuse,
             and then what was written is put back.
    live     by name: values that change by themselves
    """

    def __init__(
        self,
        features: list[Feature],
        *,
        identity: Identity,
        description: bytes,
        is_busy: Callable[[], bool],
        done: Callable[[str, Value], None],
        live: dict[str, Callable[[], Value]],
    ) -> None:
        self._features = {feature.name: feature for feature in features}
        self._at: dict[int, list[Feature]] = {}
        self._kept: list[tuple[int, int]] = []
        end = FEATURES_AT
        for feature in features:
            for index in range(_count(feature, self._features)):
                self._at.setdefault(feature.address + 8 * index, []).append(feature)
                end = max(end, feature.address + 8 * (index + 1))
                if is_kept(feature):
                    self._kept.append((feature.address + 8 * index, size_of(feature)))
        self._size = end
        self._description = description
        self._is_busy = is_busy
        self._done = done
        self._live = live
        self._identity = identity
        self.begin(user_id=identity.user_id)

    def begin(self, *, user_id: str) -> None:
        """As after power-on; of what clients write, a device keeps its name."""
        memory = bytearray(self._size)
        self._fill(memory, user_id)
        self._memory = memory

    def settings(self) -> dict[int, bytes]:
        """What a user set keeps, as `take` takes it."""
        return {address: bytes(self._memory[address : address + size]) for address, size in self._kept}

    def take(self, settings: dict[int, bytes]) -> None:
        for address, raw in settings.items():
            self._memory[address : address + len(raw)] = raw

    def discovery(self) -> bytes:
        return bytes(self._memory[:DISCOVERY_BYTES])

    def read(self, address: int, count: int) -> bytes:
        """Raises Refused where there is no memory."""
        if address + count <= len(self._memory):
            self._refresh(address, count)
            return bytes(self._memory[address : address + count])
        start = address - DESCRIPTION_AT
        if start >= 0 and start + count <= len(self._description):
            return self._description[start : start + count]
        raise Refused(Status.INVALID_ADDRESS)

    def write(self, address: int, data: bytes) -> None:
        """Whole registers only. Raises Refused, and then has written nothing of the register refused."""
        while data:
            features = self._at.get(address)
            if features is None:
                is_there = address < len(self._memory) or 0 <= address - DESCRIPTION_AT < len(
                    self._description
                )
                raise Refused(Status.WRITE_PROTECT if is_there else Status.INVALID_ADDRESS)
            size = size_of(features[0])
            one = data[:size]
            if len(one) < size:
                if not isinstance(features[0], Text):
                    raise Refused(Status.INVALID_PARAMETER)
                one = one.ljust(size, b"\0")
            self._write_register(address, features, one)
            address, data = address + size, data[size:]

    def integer(self, name: str, *, index: int = 0) -> int:
        value = self._value(self._features[name], self._features[name].address + 8 * index)
        assert isinstance(value, int)
        return value

    def number(self, name: str) -> float:
        value = self._value(self._features[name], self._features[name].address)
        assert isinstance(value, float)
        return value

    def choice(self, name: str) -> str:
        feature = self._features[name]
        assert isinstance(feature, Choice)
        return feature.name_of(self.integer(name))

    def text(self, name: str) -> str:
        value = self._value(self._features[name], self._features[name].address)
        assert isinstance(value, str)
        return value

    def put(self, name: str, value: Value) -> None:
        """What the device itself writes: unchecked, and `done` does not hear of it."""
        _put(self._memory, self._features[name], value)

    def _fill(self, memory: bytearray, user_id: str) -> None:
        identity = self._identity
        words = {
            0x000: 1 << 16 | 2,  # GigE Vision 1.2
            0x004: 1 << 31 | 1,  # big-endian, UTF-8
            0x010: 0b101,  # persistent address and link-local
            0x014: 0b101,
            0x600: 1,  # network interfaces
            0x900: 1,  # message channels
            0x904: 1,  # stream channels
            0x908: 1,  # actions
            0x934: _CAPABILITY,
        }
        for address, word in words.items():
            struct.pack_into(">I", memory, address, word)
        url = f"Local:lynceus.xml;{DESCRIPTION_AT:X};{len(self._description):X}".encode()
        memory[0x200 : 0x200 + len(url)] = url
        for feature in self._features.values():
            if isinstance(feature, Integer | Float):
                _put(memory, feature, feature.default)
            elif isinstance(feature, Choice):
                _put(memory, feature, feature.entries[0][1])
        said: dict[str, Value] = {
            "DeviceVendorName": identity.vendor,
            "DeviceModelName": identity.model,
            "DeviceVersion": identity.version,
            "DeviceManufacturerInfo": identity.about,
            "DeviceSerialNumber": identity.serial,
            "DeviceID": identity.serial,
            "DeviceUserID": user_id,
            "GevMACAddress": identity.mac,
            "GevCurrentIPAddress": identity.address,
            "GevCurrentSubnetMask": identity.mask,
            "GevTimestampTickFrequency": TICKS_PER_S,
        }
        for name, value in said.items():
            _put(memory, self._features[name], value)

    def _refresh(self, address: int, count: int) -> None:
        for name, value in self._live.items():
            feature = self._features[name]
            if feature.address < address + count and address < feature.address + size_of(feature):
                self.put(name, value())

    def _write_register(self, address: int, features: list[Feature], raw: bytes) -> None:
        before = bytes(self._memory[address : address + len(raw)])
        changed: list[tuple[Feature, Value]] = []
        for feature in features:
            value = _value_of(feature, raw)
            if isinstance(feature, Command):
                if value == feature.value:
                    changed.append((feature, value))
                continue
            if _bits(feature) is not None and value == _value_of(feature, before):
                continue
            if feature.access == "RO":
                raise Refused(Status.WRITE_PROTECT)
            if feature.is_locked and self._is_busy():
                raise Refused(Status.BUSY)
            self._check(feature, value)
            changed.append((feature, value))
        for feature in features:
            raw = _without_command(feature, raw)
        self._memory[address : address + len(raw)] = raw
        try:
            for feature, value in changed:
                self._done(feature.name, value)
        except Refused:
            self._memory[address : address + len(raw)] = before
            raise

    def _check(self, feature: Feature, value: Value) -> None:
        fits = True
        match feature:
            case Integer(minimum=minimum, increment=increment) if isinstance(value, int):
                fits = minimum <= value <= self._maximum(feature) and (value - minimum) % increment == 0
            case Float(minimum=low, maximum=high) if isinstance(value, float):
                fits = math.isfinite(value) and low <= value <= high
            case Choice(entries=entries):
                fits = value in [entry for _, entry in entries]
            case Boolean():
                fits = value in (0, 1)
        if not fits:
            raise Refused(Status.INVALID_PARAMETER)

    def _maximum(self, feature: Integer) -> int:
        if feature.room is None:
            return feature.maximum
        limit, taken = feature.room
        return self.integer(limit) - self.integer(taken)

    def _value(self, feature: Feature, address: int) -> Value:
        return _value_of(feature, bytes(self._memory[address : address + size_of(feature)]))


class Control:
    """Who may write: the one client that took control, until it gives it back or is silent too long."""

    def __init__(self) -> None:
        self.holder: Sender | None = None
        self.privilege = 0
        self._heard_s = 0.0

    def heard(self, sender: Sender, *, now_s: float) -> None:
        """Every command of its controller keeps it."""
        if sender == self.holder:
            self._heard_s = now_s

    def is_silent(self, *, now_s: float, timeout_s: float) -> bool:
        return self.holder is not None and now_s - self._heard_s > timeout_s

    def request(self, sender: Sender, privilege: int, *, now_s: float) -> None:
        """Raises Refused where another client has it."""
        if self.holder not in (None, sender):
            raise Refused(Status.ACCESS_DENIED)
        wanted = privilege & (_EXCLUSIVE | _CONTROL)
        self.privilege = wanted
        self.holder = sender if wanted else None
        self._heard_s = now_s

    def drop(self) -> None:
        self.holder, self.privilege = None, 0

    def check_write(self, sender: Sender) -> None:
        if sender != self.holder:
            raise Refused(Status.ACCESS_DENIED)

    def check_read(self, sender: Sender) -> None:
        if self.privilege & _EXCLUSIVE and sender != self.holder:
            raise Refused(Status.ACCESS_DENIED)


def _count(feature: Feature, features: dict[str, Feature]) -> int:
    if feature.per is None:
        return 1
    selector = features[feature.per]
    assert isinstance(selector, Choice)
    return len(selector.entries)


def _bits(feature: Feature) -> tuple[int, int] | None:
    return feature.bits if isinstance(feature, Integer | Boolean | Command) else None


def _value_of(feature: Feature, raw: bytes) -> Value:
    if isinstance(feature, Float):
        value: float = struct.unpack(">d", raw)[0]
        return value
    if isinstance(feature, Text):
        return raw.split(b"\0", 1)[0].decode(errors="replace")
    word = int.from_bytes(raw)
    if (bits := _bits(feature)) is not None:
        lowest, count = bits
        return word >> lowest & (1 << count) - 1
    return word


def _bytes_of(feature: Feature, value: Value, before: bytes) -> bytes:
    size = size_of(feature)
    if isinstance(feature, Float):
        return struct.pack(">d", value)
    if isinstance(value, str):
        return value.encode()[:size].ljust(size, b"\0")
    word = int(value)
    if (bits := _bits(feature)) is not None:
        lowest, count = bits
        mask = (1 << count) - 1
        word = int.from_bytes(before) & ~(mask << lowest) | (word & mask) << lowest
    return word.to_bytes(size, signed=word < 0)


def _put(memory: bytearray, feature: Feature, value: Value) -> None:
    place = slice(feature.address, feature.address + size_of(feature))
    memory[place] = _bytes_of(feature, value, bytes(memory[place]))


def _without_command(feature: Feature, raw: bytes) -> bytes:
    """A command is done once and not kept."""
    return _bytes_of(feature, 0, raw) if isinstance(feature, Command) else raw
