"""What stands in for a camera in tests: a clock that is turned by waiting, and a device that keeps its memory.

The device behaves at harvesters' surface like one behind a GenTL producer, and is unkind in the ways real ones
are: it refills its buffers, pads its rows, loses frames while no buffer is queued, says "not available".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from cameras.features import NodeRefused, Value
from cameras.pacing import Clock
from cameras.settings import GenicamSettings
from inspection.types import Image

if TYPE_CHECKING:
    from cameras.genicam import GenicamCamera

MONO8 = 0x01080001
RGBA8 = 0x02200016
COORD3D_A32F = 0x012000BD
MONO12P = 0x010C0047


class TurnedClock:
    """Time passes by waiting, and by `turn`. Nothing else takes any."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def monotonic_s(self) -> float:
        return self._now_s

    def utc(self) -> datetime:
        return datetime(2026, 11, 20, 8, 0, tzinfo=UTC) + timedelta(seconds=self._now_s)

    def wait(self, seconds: float, *, unless: Event) -> None:
        if not unless.is_set():
            self._now_s += seconds

    def turn(self, seconds: float) -> None:
        self._now_s += seconds


@dataclass(frozen=True, kw_only=True)
class Exposed:
    """One exposure. `frame_id` None: this device does not count."""

    pixels: Image
    frame_id: int | None
    is_damaged: bool = False
    padding_bytes: int = 0
    pixel_format: int = MONO8
    height_px: int | None = None
    delivered_px: int | None = None
    chunks: dict[str, int | float] = field(default_factory=dict)
    has_torn_chunks: bool = False
    filled_bytes: int | None = None


def exposures(ids: Iterable[int | None], *, damaged: Iterable[int] = ()) -> list[Exposed]:
    """Frames that all look different."""
    spoilt = set(damaged)
    return [
        Exposed(pixels=a_picture(index), frame_id=number, is_damaged=number in spoilt)
        for index, number in enumerate(ids)
    ]


def a_picture(index: int, *, height: int = 24, width: int = 32) -> Image:
    return np.random.default_rng(index).integers(0, 256, (height, width), np.uint8)


@dataclass(kw_only=True)
class FakeDevice:
    """A device that makes `script`, one exposure for each look, an exception where the script holds one.

    When the script ends it is silent.
    """

    script: list[Exposed | Exception]
    buffers: int = 3
    streams: int = 1
    features: dict[str, object] = field(default_factory=dict)
    fails_to_stop: Exception | None = None
    opened: int = 0
    closed: int = 0
    is_grabbing: bool = False
    lost_for_want_of_buffers: int = 0
    nodes: FakeNodes = field(init=False)

    def camera(self, *, clock: Clock | None = None, **settings: Any) -> GenicamCamera:
        from cameras.genicam import GenicamCamera

        made = GenicamSettings(producer="simulated", **settings)
        return GenicamCamera("top", made, connect=self.connect, clock=clock or TurnedClock())

    @contextmanager
    def connect(self, camera: str, settings: GenicamSettings) -> Iterator[FakeAcquirer]:
        self.opened += 1
        try:
            acquirer = FakeAcquirer(self)
            self.nodes = acquirer.remote_device.node_map
            yield acquirer
        finally:
            self.closed += 1


class FakeAcquirer:
    """The part of harvesters' ImageAcquirer that a driver uses."""

    Events = SimpleNamespace(INCOMPLETE_BUFFER="incomplete")

    def __init__(self, device: FakeDevice) -> None:
        self._device = device
        self._script = list(device.script)
        self._memory = [bytearray(1 << 16) for _ in range(device.buffers)]
        self._chunks: dict[int, dict[str, int | float]] = {}
        self._chunk_adapter = self
        self._free = list(self._memory)
        self._on_incomplete: Any = None
        self.num_buffers = 3
        self.timeout_period_on_update_event_data_call = 1
        self.remote_device = SimpleNamespace(node_map=FakeNodes(device.features))
        self.data_streams = [FakeStream(device) for _ in range(device.streams)]
        self.is_alive = True

    def add_callback(self, event: str, callback: object) -> None:
        assert event == self.Events.INCOMPLETE_BUFFER
        self._on_incomplete = callback

    def start(self) -> None:
        self._device.is_grabbing = True

    def stop(self) -> None:
        if self._device.fails_to_stop is not None:
            raise self._device.fails_to_stop
        self._device.is_grabbing = False

    def __enter__(self) -> FakeAcquirer:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_alive = False

    def attach_buffer(self, memory: bytearray, size: int) -> None:
        """What came with this frame is to be read from the node map; a value of another frame is not."""
        nodes = self.remote_device.node_map
        if size == 0:
            from genicam import genapi

            raise genapi.RuntimeException("Invalid layout of buffer attached to chunk parser!")
        for name in nodes.get_node("ChunkSelector").symbolics:
            nodes.get_node(f"Chunk{name}").value = self._chunks[id(memory)].get(name)

    def queue_buffer(self, buffer: FakeBuffer) -> None:
        self._free.append(buffer.memory)

    def try_fetch(self, *, timeout: float, is_raw: bool) -> FakeBuffer | None:
        assert self.is_alive
        assert is_raw
        assert self.timeout_period_on_update_event_data_call == 0
        while self._script:
            exposed = self._script.pop(0)
            if isinstance(exposed, Exception):
                raise exposed
            if not self._free:
                self._device.lost_for_want_of_buffers += 1
                continue
            if exposed.is_damaged:
                self._on_incomplete.emit(self)
                return None
            memory = self._free.pop(0)
            _fill(memory, exposed)
            self._chunks[id(memory)] = exposed.chunks
            return FakeBuffer(exposed, memory, self)
        return None


@dataclass
class FakeStream:
    device: FakeDevice

    @property
    def node_map(self) -> FakeNodes:
        return FakeNodes({"StreamUnderrunCount": 2})

    def is_grabbing(self) -> bool:
        return self.device.is_grabbing

    def stop_acquisition(self, flags: object) -> None:
        self.device.is_grabbing = False


class FakeBuffer:
    """As genicam.gentl.Buffer: asking for what the device does not say raises NotAvailableException."""

    def __init__(self, exposed: Exposed, memory: bytearray, parent: FakeAcquirer) -> None:
        self._exposed = exposed
        self.memory = memory
        self.parent = parent

    @property
    def payload_type(self) -> int:
        return 1

    @property
    def tl_type(self) -> str:
        return "GEV"

    @property
    def delivered_chunk_payload_size(self) -> int:
        return 0 if self._exposed.has_torn_chunks else len(self.memory)

    @property
    def size_filled(self) -> int:
        filled = self._exposed.filled_bytes
        return self.delivered_chunk_payload_size if filled is None else filled

    @property
    def raw_buffer(self) -> bytearray:
        return self.memory

    @property
    def frame_id(self) -> int:
        return _or_not_available(self._exposed.frame_id)

    @property
    def timestamp_ns(self) -> int:
        return _or_not_available(None)

    @property
    def width(self) -> int:
        channels = 4 if self._exposed.pixel_format == RGBA8 else 1
        return self._exposed.pixels.shape[1] // channels

    @property
    def height(self) -> int:
        return self._exposed.pixels.shape[0] if self._exposed.height_px is None else self._exposed.height_px

    @property
    def delivered_image_height(self) -> int:
        return _or_not_available(self._exposed.delivered_px)

    @property
    def pixel_format(self) -> int:
        return self._exposed.pixel_format

    @property
    def padding_x(self) -> int:
        return self._exposed.padding_bytes


class FakeNodes:
    """As a node map of genicam's, whose values are `features`. A function there is called with what is written and
    gives what the device makes of it; a tuple holds the entries of an enumeration."""

    def __init__(self, features: dict[str, object]) -> None:
        self._nodes = {
            name: FakeEnumeration(*value) if isinstance(value, tuple) else FakeNode(value)
            for name, value in features.items()
        }

    def has_node(self, name: str) -> bool:
        return name in self._nodes

    def get_node(self, name: str) -> FakeNode:
        return self._nodes[name]

    def __getattr__(self, name: str) -> FakeNode:
        try:
            return self.__dict__["_nodes"][name]
        except KeyError:
            raise AttributeError(name) from None


class FakeNode:
    def __init__(self, value: object) -> None:
        self._takes: Callable[[object], object] = value if callable(value) else lambda written: written
        self._value = None if callable(value) else value
        self.executed = 0

    def get_access_mode(self) -> int:
        return 4  # genapi's RW

    def execute(self) -> None:
        self.executed += 1

    @property
    def value(self) -> object:
        return self._value

    @value.setter
    def value(self, written: object) -> None:
        self._value = self._takes(written)


class FakeEnumeration(FakeNode):
    def __init__(self, *symbolics: str) -> None:
        super().__init__(symbolics[0])
        self.symbolics = symbolics

    @property
    def entries(self) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(symbolic=name, get_access_mode=self.get_access_mode) for name in self.symbolics
        ]


@dataclass(kw_only=True)
class Choice:
    """An enumeration. `per` a selector: a value to each of the selector's entries."""

    entries: tuple[str, ...]
    value: str = ""
    per: str | None = None
    values: dict[Value, Value] = field(default_factory=dict)

    def takes(self, written: Value) -> Value:
        if written not in self.entries:
            raise NodeRefused(f"{written} is none of {self.entries}")
        return written

    @property
    def offers(self) -> str:
        return ", ".join(self.entries)


@dataclass(kw_only=True)
class Number:
    """`locked_by` another feature: not written while that is true. `room_of` another: its value is taken off the
    highest. `rounds_to`: what it is written it makes a multiple of this. `step`: as a node map, it refuses what is no
    multiple of this from the lowest on."""

    value: Value
    lowest: float = 0
    highest: float = 1e12
    rounds_to: float | None = None
    step: int | None = None
    locked_by: str | None = None
    room_of: str | None = None
    per: str | None = None
    values: dict[Value, Value] = field(default_factory=dict)

    def takes(self, written: Value) -> Value:
        if not isinstance(written, bool | int | float) or not self.lowest <= written <= self.highest:
            raise NodeRefused(f"{written} is not in {self.offers}")
        if self.step and (written - self.lowest) % self.step:
            raise NodeRefused(f"{written} is on no step of {self.step} from {self.lowest:g} on")
        if self.rounds_to:
            return type(written)(round(written / self.rounds_to) * self.rounds_to)
        return written

    @property
    def offers(self) -> str:
        return f"{self.lowest:g} … {self.highest:g}"


@dataclass(kw_only=True)
class Deed:
    """A command."""

    do: Callable[[FakeFeatures], None] = lambda _: None
    done: int = 0


class FakeFeatures:
    """A device by its features, as `cameras.features.Nodes`."""

    def __init__(self, **features: Choice | Number | Deed) -> None:
        self.features = features
        self.written: list[tuple[str, Value]] = []

    def has(self, name: str) -> bool:
        return name in self.features

    def read(self, name: str) -> Value:
        feature = self._of(name)
        if feature.per is not None:
            return feature.values.get(self.read(feature.per), feature.value)
        return feature.value

    def write(self, name: str, value: Value) -> None:
        feature = self._of(name)
        if isinstance(feature, Number):
            if feature.locked_by is not None and self.read(feature.locked_by) not in (0, "Off", False):
                raise NodeRefused(f"{feature.locked_by} locks {name}")
            room = self.read(feature.room_of) if feature.room_of else 0
            if isinstance(value, int) and isinstance(room, int) and value > feature.highest - room:
                raise NodeRefused(f"{feature.room_of} leaves no room")
        taken = feature.takes(value)
        self.written.append((name, taken))
        if feature.per is not None:
            feature.values[self.read(feature.per)] = taken
        else:
            feature.value = taken  # type: ignore[assignment]

    def execute(self, name: str) -> None:
        deed = self.features.get(name)
        if not isinstance(deed, Deed):
            raise NodeRefused(f"there is no command {name}")
        deed.done += 1
        deed.do(self)

    def entries(self, name: str) -> tuple[str, ...]:
        feature = self.features.get(name)
        return feature.entries if isinstance(feature, Choice) else ()

    def offers(self, name: str) -> str:
        feature = self.features.get(name)
        return feature.offers if isinstance(feature, Choice | Number) else ""

    def whole_numbers(self, name: str) -> range | None:
        feature = self.features.get(name)
        if not isinstance(feature, Number) or not isinstance(feature.value, int):
            return None
        room = self.read(feature.room_of) if feature.room_of else 0
        return range(int(feature.lowest), int(feature.highest) - int(room) + 1, feature.step or 1)

    def _of(self, name: str) -> Choice | Number:
        feature = self.features.get(name)
        if not isinstance(feature, Choice | Number):
            raise NodeRefused(f"there is no {name}")
        return feature


def _fill(memory: bytearray, exposed: Exposed) -> None:
    rows = np.pad(exposed.pixels, ((0, 0), (0, exposed.padding_bytes)), constant_values=0xAA)
    memory[: rows.size] = rows.tobytes()


def _or_not_available(value: int | None) -> int:
    from genicam import gentl

    if value is None:
        raise gentl.NotAvailableException("the device does not say")
    return value
