"""Settings written to a device under their standard names, and read back. Knows no camera library.

Names and meanings: GenICam SFNC 2.7, and where two are given the older one second.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from cameras.errors import SettingRefused
from cameras.settings import DeviceSettings

logger = logging.getLogger(__name__)

Value = bool | int | float | str


class NodeRefused(Exception):
    """The device did not take or give a value now; the text is the camera library's own."""


class Nodes(Protocol):
    """The features of a device, by name. `read`, `write` and `execute` raise NodeRefused, also for a feature that
    the device does not have."""

    def has(self, name: str) -> bool:
        """Whether this device has the feature at all; it may still refuse it now."""
        ...

    def read(self, name: str) -> Value:
        """An enumeration as the name of its entry."""
        ...

    def write(self, name: str, value: Value) -> None: ...

    def execute(self, name: str) -> None: ...

    def entries(self, name: str) -> tuple[str, ...]:
        """The names an enumeration takes now; none where the device does not have it."""
        ...

    def offers(self, name: str) -> str:
        """What the feature takes now: `16, 20 … 800` or `Mono8, Mono10`; empty where that is not known."""
        ...

    def whole_numbers(self, name: str) -> range | None:
        """Those that the feature takes now; None where its numbers need not be whole, or where that is not known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a device made of a setting, where that is not what was wanted.

    wanted      as it stands in the settings, in their unit
    found       what it has now, in the unit of the feature; None where it has no such feature, or does not say
    offers      what it takes, as `Nodes.offers`
    is_refused  False: only rounded
    """

    setting: str
    feature: str
    wanted: Value
    found: Value | None
    offers: str
    is_refused: bool

    @property
    def found_and_offered(self) -> str:
        found = "-" if self.found is None else str(self.found)
        return f"{found} ({self.feature}: {self.offers})" if self.offers else f"{found} ({self.feature})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """changes  in the order the settings were written
    chunks   the names of the values that come with each frame from now on"""

    changes: tuple[Change, ...]
    chunks: tuple[str, ...] = ()

    def check(self, camera: str) -> None:
        """Raises SettingRefused, of all that the device refused at once."""
        if refusals := [change for change in self.changes if change.is_refused]:
            raise refused(
                camera,
                ", ".join(change.setting for change in refusals),
                ", ".join(str(change.wanted) for change in refusals),
                found=", ".join(change.found_and_offered for change in refusals),
            )


def refused(camera: str, setting: str, value: object, *, found: object) -> SettingRefused:
    return SettingRefused(
        f"Camera {camera} does not take {setting} = {value}; it has {found}.",
        action=f"Change {setting} in the station's settings to what the camera offers.",
        camera=camera,
        setting=setting,
        value=value,
        found=found,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Feature:
    """A setting and the features it may be; the first that the device has is written.

    only_after  what must be so before the device takes the value, where it has that feature
    """

    setting: str
    names: tuple[str, ...]
    only_after: tuple[tuple[str, Value], ...] = ()


_GEOMETRY = (
    _Feature(setting="device_scan_type", names=("DeviceScanType",)),
    _Feature(setting="binning_x", names=("BinningHorizontal",)),
    _Feature(setting="binning_y", names=("BinningVertical",)),
    _Feature(setting="pixel_format", names=("PixelFormat",)),
    # A size may be as large as its offset leaves room for.
    _Feature(setting="width_px", names=("Width",), only_after=(("OffsetX", 0),)),
    _Feature(setting="height_px", names=("Height",), only_after=(("OffsetY", 0),)),
    _Feature(setting="offset_x_px", names=("OffsetX",)),
    _Feature(setting="offset_y_px", names=("OffsetY",)),
)
_OFFSETS = {"width_px": ("offset_x_px", "OffsetX"), "height_px": ("offset_y_px", "OffsetY")}
_EXPOSURE_AND_LINK = (
    _Feature(
        setting="exposure_us",
        names=("ExposureTime",),
        only_after=(("ExposureMode", "Timed"), ("ExposureAuto", "Off")),
    ),
    _Feature(setting="gain_db", names=("Gain",), only_after=(("GainAuto", "Off"),)),
    _Feature(
        setting="frames_per_s",
        names=("AcquisitionFrameRate",),
        only_after=(("AcquisitionFrameRateEnable", True),),
    ),
    _Feature(
        setting="line_rate_hz",
        names=("AcquisitionLineRate",),
        only_after=(("AcquisitionLineRateEnable", True),),
    ),
    _Feature(setting="ptp", names=("PtpEnable", "GevIEEE1588")),
    _Feature(setting="packet_bytes", names=("GevSCPSPacketSize",)),
    _Feature(setting="packet_delay_us", names=("GevSCPD",)),
    _Feature(
        setting="link_mb_per_s",
        names=("DeviceLinkThroughputLimit",),
        only_after=(("DeviceLinkThroughputLimitMode", "On"),),
    ),
)
"""In the order they are written: the later ones are bounded by the earlier."""

_ROUNDING = 0.02
"""Devices round times and gains to their clock; more than this is another value, not a rounded one."""

_NS_PER_S = 1_000_000_000


def make_idle(nodes: Nodes) -> None:
    """End what another program left running: a device that still streams takes few settings, and starts no second
    time. Of a device that does not, nothing changes."""
    with suppress(NodeRefused):
        nodes.execute("AcquisitionStop")
    with suppress(NodeRefused):
        nodes.write("TLParamsLocked", 0)


def apply_settings(nodes: Nodes, settings: DeviceSettings) -> Applied:
    """Write what is set, then read all of it back. Tries every setting, also after one was refused."""
    writing = _Writing(nodes, settings)
    if settings.user_set is not None and writing.write("user_set", "UserSetSelector", settings.user_set):
        writing.execute("user_set", "UserSetLoad")
    _apply_geometry(writing)
    _apply_trigger(writing)
    _count_triggers(writing)
    for feature in _EXPOSURE_AND_LINK:
        writing.write_feature(feature)
    chunks = _apply_chunks(writing)
    writing.read_all_back()
    return Applied(changes=tuple(writing.changes), chunks=chunks)


def _in_its_unit(nodes: Nodes, settings: DeviceSettings, setting: str) -> Value | None:
    """A setting in the unit and the words of its feature; None where it is not set."""
    value: Value | None = getattr(settings, setting)
    if value is None:
        return None
    match setting:
        case "device_scan_type":
            return {"area": "Areascan", "line": "Linescan"}[str(value)]
        case "link_mb_per_s":
            return round(float(value) * 1_000_000)
        case "packet_delay_us":
            ticks_per_s = _number(nodes, "GevTimestampTickFrequency") or _NS_PER_S
            return round(float(value) * ticks_per_s / 1_000_000)
    return value


@dataclass(slots=True)
class _Writing:
    nodes: Nodes
    settings: DeviceSettings
    changes: list[Change] = field(default_factory=list)
    _took: list[tuple[str, str, Value]] = field(default_factory=list)

    def write_feature(self, feature: _Feature) -> None:
        value = _in_its_unit(self.nodes, self.settings, feature.setting)
        if value is None:
            return
        name = next(filter(self.nodes.has, feature.names), feature.names[0])
        if self._make_so(feature) and self.write(feature.setting, name, value):
            self._took.append((feature.setting, name, value))

    def write(self, setting: str, name: str, value: Value) -> bool:
        """Whether the device took it, as it stands or rounded; noted where not."""
        try:
            self.nodes.write(name, self._on_its_step(setting, name, value))
            is_taken = self._is_taken(setting, value, self.nodes.read(name))
        except NodeRefused as error:
            logger.info("%s = %s is refused: %s", name, value, error)
            # What cannot be set may be so all the same.
            is_taken = _found(self.nodes, name) == value
        if not is_taken:
            self.note(setting, name)
        return is_taken

    def write_back(self, setting: str, name: str, value: Value) -> None:
        """What the device had before, in a setting that is left out."""
        if _found(self.nodes, name) == value:
            return
        try:
            self.nodes.write(name, value)
        except NodeRefused as error:
            logger.info("%s = %s is refused: %s", name, value, error)
        if _found(self.nodes, name) != value:
            # For the whole sensor there is one place only.
            taken = self.nodes.whole_numbers(name)
            is_only_place = taken is not None and taken.start + taken.step >= taken.stop
            self.note(setting, name, wanted=value, is_refused=not is_only_place)

    def execute(self, setting: str, name: str) -> None:
        try:
            self.nodes.execute(name)
        except NodeRefused as error:
            logger.info("%s is refused: %s", name, error)
            self.note(setting, name)

    def read_all_back(self) -> None:
        """What one setting became may have been changed by a later one."""
        for setting, name, value in self._took:
            found = _found(self.nodes, name)
            if found != value:
                is_refused = found is None or not self._is_taken(setting, value, found)
                self.note(setting, name, is_refused=is_refused)

    def note(self, setting: str, name: str, *, wanted: Value | None = None, is_refused: bool = True) -> None:
        self.changes.append(
            Change(
                setting=setting,
                feature=name,
                wanted=getattr(self.settings, setting) if wanted is None else wanted,
                found=_found(self.nodes, name),
                offers=self.nodes.offers(name),
                is_refused=is_refused,
            )
        )

    def _is_rounded(self, setting: str) -> bool:
        """Whether it is a quantity, of which the device has one near by, though its feature may be a whole number."""
        return isinstance(getattr(self.settings, setting), float)

    def _is_taken(self, setting: str, wanted: Value, found: Value) -> bool:
        if self._is_rounded(setting) and isinstance(wanted, int | float) and isinstance(found, int | float):
            return abs(found - wanted) <= _ROUNDING * abs(wanted)
        return found == wanted

    def _on_its_step(self, setting: str, name: str, value: Value) -> Value:
        """A whole number that is made of a quantity, as the device takes it: the next lower one."""
        if not isinstance(value, int) or not self._is_rounded(setting):
            return value
        taken = self.nodes.whole_numbers(name)
        if taken is None or not taken.start <= value < taken.stop:
            return value
        return value - (value - taken.start) % taken.step

    def _make_so(self, feature: _Feature) -> bool:
        try:
            for name, value in feature.only_after:
                if self.nodes.has(name) and self.nodes.read(name) != value:
                    self.nodes.write(name, value)
        except NodeRefused as error:
            logger.info("before %s: %s", feature.setting, error)
            self.note(feature.setting, feature.names[0])
            return False
        return True


def _apply_geometry(writing: _Writing) -> None:
    for feature in _GEOMETRY:
        setting, name = _OFFSETS.get(feature.setting, (feature.setting, ""))
        is_left_out = getattr(writing.settings, setting) is None
        offset = _found(writing.nodes, name) if name and is_left_out else None
        writing.write_feature(feature)
        if offset is not None:
            # It was only taken away to make room for the size.
            writing.write_back(setting, name, offset)


def _apply_trigger(writing: _Writing) -> None:
    nodes, settings = writing.nodes, writing.settings
    if settings.trigger is None:
        return
    selectors = nodes.entries("TriggerSelector")
    # First all off: a trigger left on at another place would hold back every frame.
    for selector in selectors:
        if writing.write("trigger", "TriggerSelector", selector) and nodes.has("TriggerMode"):
            writing.write("trigger", "TriggerMode", "Off")
    if settings.trigger == "free":
        if not selectors and nodes.has("TriggerMode"):
            writing.write("trigger", "TriggerMode", "Off")
        return
    if selectors:
        is_by_line = settings.trigger == "encoder" and "LineStart" in selectors
        writing.write("trigger", "TriggerSelector", "LineStart" if is_by_line else "FrameStart")
    if settings.trigger == "software":
        writing.write("trigger", "TriggerSource", "Software")
    else:
        writing.write("trigger_source", "TriggerSource", settings.trigger_source or "Encoder0")
    if settings.trigger_activation is not None:
        writing.write("trigger_activation", "TriggerActivation", settings.trigger_activation)
    writing.write("trigger", "TriggerMode", "On")


_COUNTED_EDGES = {
    "RisingEdge": "RisingEdge",
    "FallingEdge": "FallingEdge",
    "AnyEdge": "AnyEdge",
    "LevelHigh": "RisingEdge",
    "LevelLow": "FallingEdge",
}
"""Of a signal that triggers, which a counter counts: it has no levels."""


def _count_triggers(writing: _Writing) -> None:
    """The first counter counts the signal itself; where it cannot, the frame triggers that were received, which by
    the standard has those that exposed nothing, too."""
    nodes, settings = writing.nodes, writing.settings
    if not settings.count_triggers:
        return
    counter, *_ = [*nodes.entries("CounterSelector"), None]
    if counter is not None and not writing.write("count_triggers", "CounterSelector", counter):
        return
    is_direct = settings.trigger_source in nodes.entries("CounterEventSource")
    source = settings.trigger_source if is_direct else "FrameTrigger"
    if not writing.write("count_triggers", "CounterEventSource", str(source)):
        return
    if is_direct and nodes.has("CounterEventActivation"):
        edge = _COUNTED_EDGES[settings.trigger_activation or "RisingEdge"]
        writing.write("count_triggers", "CounterEventActivation", edge)
    if nodes.has("CounterReset"):
        # By the standard that starts it, too.
        writing.execute("count_triggers", "CounterReset")
    if counter is not None and counter in nodes.entries("ChunkCounterSelector"):
        writing.write("count_triggers", "ChunkCounterSelector", counter)


def _apply_chunks(writing: _Writing) -> tuple[str, ...]:
    """Every value the device can send is switched on; one that it does not let be switched is left out."""
    nodes, settings = writing.nodes, writing.settings
    if settings.chunks is None or (not settings.chunks and not nodes.has("ChunkModeActive")):
        return ()
    if not writing.write("chunks", "ChunkModeActive", settings.chunks) or not settings.chunks:
        return ()
    # A counter that counts nothing has nothing to tell.
    silent = {"Image"} | ({"CounterValue"} if _found(nodes, "CounterEventSource") == "Off" else set())
    on = tuple(
        name
        for name in nodes.entries("ChunkSelector")
        if name not in silent and nodes.has(f"Chunk{name}") and _is_switched_on(nodes, name)
    )
    for setting, name in settings.needed_chunks:
        if name not in on:
            writing.note(setting, f"Chunk{name}")
    return on


def _is_switched_on(nodes: Nodes, chunk: str) -> bool:
    try:
        nodes.write("ChunkSelector", chunk)
        if nodes.read("ChunkEnable") is not True:
            nodes.write("ChunkEnable", True)
        return nodes.read("ChunkEnable") is True
    except NodeRefused as error:
        logger.info("chunk %s stays off: %s", chunk, error)
        return False


def values_of(nodes: Nodes, names: Iterable[str]) -> dict[str, int | float | str]:
    """What the device says now; what it does not have, or does not say, is left out. A bool is 0 or 1."""
    wanted = tuple(names)
    if any(name.startswith("Ptp") for name in wanted) and nodes.has("PtpDataSetLatch"):
        # The state of its clock is kept at the moment of a latch, and read from there.
        with suppress(NodeRefused):
            nodes.execute("PtpDataSetLatch")
    found = {name: _found(nodes, name) for name in wanted}
    return {
        name: int(value) if isinstance(value, bool) else value
        for name, value in found.items()
        if value is not None
    }


def _found(nodes: Nodes, name: str) -> Value | None:
    try:
        return nodes.read(name)
    except NodeRefused:
        return None


def _number(nodes: Nodes, name: str) -> float | int | None:
    found = _found(nodes, name)
    return found if isinstance(found, int | float) else None
