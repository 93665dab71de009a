"""What can be set and read on the device: one table, from which its registers and its description are made.

Names and meanings: GenICam SFNC 2.7. Addresses below FEATURES_AT are GigE Vision's bootstrap registers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from cameras.simulator.pixels import PIXEL_FORMATS
from cameras.simulator.ptp import STATES

FEATURES_AT = 0xA000
"""The first address that GigE Vision leaves to the manufacturer."""

USER_SETS = ("Default", "UserSet1", "UserSet2")
"""The first is the maker's, and cannot be overwritten."""

_IN_USER_SETS = frozenset(
    {
        "ImageFormatControl",
        "AcquisitionControl",
        "AnalogControl",
        "ChunkDataControl",
        "CounterAndTimerControl",
    }
)
SIZE_STEP_PX = 4
SIZE_MIN_PX = 16
SOFTWARE_TRIGGER, LINE_TRIGGER, ACTION_TRIGGER = "Software", "Line1", "Action1"
TICKS_PER_S = 1_000_000_000

Access = Literal["RO", "RW", "WO"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What all kinds have. `address` 0 is given one behind the others.

    is_locked   cannot be changed while pictures are being sent
    is_live     changes by itself, or with another feature
    per         the enumeration that selects which one is meant: one register to each of its entries
    """

    name: str
    category: str
    about: str
    address: int = 0
    access: Access = "RW"
    is_locked: bool = False
    is_live: bool = False
    per: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer(Feature):
    """`bits` (lowest, count) where the feature is part of its register; `room` where its maximum is one
    feature less another."""

    default: int = 0
    minimum: int = 0
    maximum: int = 0xFFFFFFFF
    increment: int = 1
    unit: str = ""
    length: int = 4
    bits: tuple[int, int] | None = None
    room: tuple[str, str] | None = None
    is_signed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Float(Feature):
    default: float
    minimum: float
    maximum: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Boolean(Feature):
    bits: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Feature):
    """An enumeration; the first entry is the default. `selects` are the features it is the selector of."""

    entries: tuple[tuple[str, int], ...]
    selects: tuple[str, ...] = ()

    def name_of(self, value: int) -> str:
        return next(name for name, entry in self.entries if entry == value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Feature):
    """Executed by writing `value`."""

    value: int = 1
    bits: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Feature):
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A value that travels with each picture, when it is switched on. `length` in bytes."""

    name: str
    feature: str
    chunk_id: int
    length: int
    is_float: bool
    unit: str
    about: str


CHUNKS = (
    Chunk(
        name="FrameID",
        feature="ChunkFrameID",
        chunk_id=0x4C590001,
        length=8,
        is_float=False,
        unit="",
        about="Count of the exposure: as the block id, but never wrapping.",
    ),
    Chunk(
        name="Timestamp",
        feature="ChunkTimestamp",
        chunk_id=0x4C590002,
        length=8,
        is_float=False,
        unit="ns",
        about="When the exposure began.",
    ),
    Chunk(
        name="ExposureTime",
        feature="ChunkExposureTime",
        chunk_id=0x4C590003,
        length=8,
        is_float=True,
        unit="us",
        about="How long the exposure was.",
    ),
    Chunk(
        name="EncoderValue",
        feature="ChunkEncoderValue",
        chunk_id=0x4C590004,
        length=8,
        is_float=False,
        unit="counts",
        about="The line's encoder when the exposure began; of a line scan, at its first line.",
    ),
    Chunk(
        name="LineStatusAll",
        feature="ChunkLineStatusAll",
        chunk_id=0x4C590005,
        length=4,
        is_float=False,
        unit="",
        about="The inputs when the exposure began: bit 0 is Line1.",
    ),
    Chunk(
        name="CounterValue",
        feature="ChunkCounterValue",
        chunk_id=0x4C590006,
        length=8,
        is_float=False,
        unit="",
        about="The counter when the exposure began, its own trigger counted.",
    ),
)
IMAGE_CHUNK_ID = 0x4C590000


EVENTS = {"ExposureEnd": 0x9001, "FrameTriggerMissed": 0x9002}
"""By number: from 0x9000 on they are the maker's."""


def features_of(
    *, sensor_wh_px: tuple[int, int], default_wh_px: tuple[int, int], fps: float, is_line_scan: bool = False
) -> list[Feature]:
    """The table of one device.

    sensor_wh_px   the widest and highest picture it can send
    default_wh_px  what it sends until it is told otherwise
    """
    (sensor_w, sensor_h), (width, height) = sensor_wh_px, default_wh_px
    table: list[Feature] = [
        *_device(is_line_scan),
        *_image(sensor_w, sensor_h, width, height),
        *_acquisition(fps),
        *_counter(),
        *_chunks(),
        *_user_sets(),
        *_action(),
        *_events(),
        *_ptp(),
        *_transport(),
    ]
    return _with_addresses(table)


def _device(is_line_scan: bool) -> list[Feature]:
    return [
        Choice(
            name="DeviceScanType",
            category="DeviceControl",
            about="Whether the sensor is a line or a field of pixels",
            access="RO",
            entries=(("Linescan", 1),) if is_line_scan else (("Areascan", 0),),
        ),
        Text(
            name="DeviceVendorName",
            category="DeviceControl",
            about="Maker",
            address=0x48,
            access="RO",
            length=32,
        ),
        Text(
            name="DeviceModelName",
            category="DeviceControl",
            about="Model",
            address=0x68,
            access="RO",
            length=32,
        ),
        Text(
            name="DeviceVersion",
            category="DeviceControl",
            about="Version",
            address=0x88,
            access="RO",
            length=32,
        ),
        Text(
            name="DeviceManufacturerInfo",
            category="DeviceControl",
            about="What it shows",
            address=0xA8,
            access="RO",
            length=48,
        ),
        Text(
            name="DeviceSerialNumber",
            category="DeviceControl",
            about="Serial number",
            address=0xD8,
            access="RO",
            length=16,
        ),
        Text(
            name="DeviceID",
            category="DeviceControl",
            about="Serial number, under its older name",
            address=0xD8,
            access="RO",
            length=16,
        ),
        Text(
            name="DeviceUserID",
            category="DeviceControl",
            about="Name given by the user",
            address=0xE8,
            length=16,
        ),
        Integer(
            name="DeviceLinkThroughputLimit",
            category="DeviceControl",
            about="Bytes a second on the wire; at first those of a gigabit link",
            default=125_000_000,
            minimum=1_000_000,
            maximum=1_250_000_000,
            unit="Bps",
        ),
        Float(
            name="DeviceTemperature",
            category="DeviceControl",
            about="Inside, rising as it warms up",
            access="RO",
            is_live=True,
            default=30.0,
            minimum=-40.0,
            maximum=125.0,
            unit="C",
        ),
        Command(name="DeviceReset", category="DeviceControl", about="Starts the device again", access="WO"),
    ]


def _image(sensor_w: int, sensor_h: int, width: int, height: int) -> list[Feature]:
    return [
        _limit("SensorWidth", "Pixels in a line", sensor_w),
        _limit("SensorHeight", "Most lines of a picture", sensor_h),
        _limit("WidthMax", "Widest picture", sensor_w),
        _limit("HeightMax", "Highest picture", sensor_h),
        _part("Width", "Width of the picture", sensor_w, other="OffsetX", default=width, step=SIZE_STEP_PX),
        _part("Height", "Lines that make a picture", sensor_h, other="OffsetY", default=height),
        _part("OffsetX", "First column of the picture", sensor_w, other="Width", step=SIZE_STEP_PX),
        _part("OffsetY", "First row of the picture", sensor_h, other="Height"),
        Choice(
            name="PixelFormat",
            category="ImageFormatControl",
            about="How a pixel lies in memory",
            is_locked=True,
            entries=tuple((form.name, form.code) for form in PIXEL_FORMATS),
        ),
    ]


def _limit(name: str, about: str, value: int) -> Integer:
    return Integer(name=name, category="ImageFormatControl", about=about, access="RO", default=value)


def _part(name: str, about: str, most: int, *, other: str, default: int = 0, step: int = 1) -> Integer:
    """A size or an offset: together with the `other`, at most what the sensor has."""
    is_size = default > 0
    return Integer(
        name=name,
        category="ImageFormatControl",
        about=about,
        is_locked=True,
        default=default,
        minimum=SIZE_MIN_PX if is_size else 0,
        maximum=most if is_size else most - SIZE_MIN_PX,
        increment=step,
        unit="px",
        room=("WidthMax" if "Width" in (name, other) else "HeightMax", other),
    )


def _acquisition(fps: float) -> list[Feature]:
    here = "AcquisitionControl"
    return [
        Choice(
            name="AcquisitionMode",
            category=here,
            about="How many pictures a start gives",
            is_locked=True,
            entries=(("Continuous", 0), ("SingleFrame", 1), ("MultiFrame", 2)),
        ),
        Integer(
            name="AcquisitionFrameCount",
            category=here,
            about="Pictures of a start in the mode MultiFrame",
            is_locked=True,
            default=1,
            minimum=1,
            maximum=65535,
        ),
        Command(name="AcquisitionStart", category=here, about="Starts sending pictures", access="WO"),
        Command(name="AcquisitionStop", category=here, about="Stops sending pictures", access="WO"),
        Float(
            name="AcquisitionFrameRate",
            category=here,
            about="Pictures a second. Of a line scan: how fast the strip runs",
            default=fps,
            minimum=0.1,
            maximum=1000.0,
            unit="Hz",
        ),
        Float(
            name="ExposureTime",
            category=here,
            about="Exposure time. Triggers that come within it are missed",
            default=1000.0,
            minimum=10.0,
            maximum=10_000_000.0,
            unit="us",
        ),
        Choice(
            name="TriggerSelector",
            category=here,
            about="What a trigger starts",
            entries=(("FrameStart", 0),),
            selects=("TriggerMode", "TriggerSource", "TriggerActivation", "TriggerSoftware"),
        ),
        Choice(
            name="TriggerMode",
            category=here,
            about="Whether each picture waits for a trigger",
            is_locked=True,
            entries=(("Off", 0), ("On", 1)),
        ),
        Choice(
            name="TriggerSource",
            category=here,
            about="Software, the line's light barrier, or an action command of the network",
            is_locked=True,
            entries=((SOFTWARE_TRIGGER, 0), (LINE_TRIGGER, 1), (ACTION_TRIGGER, 2)),
        ),
        Choice(
            name="TriggerActivation", category=here, about="Edge of the signal", entries=(("RisingEdge", 0),)
        ),
        Command(name="TriggerSoftware", category=here, about="One trigger", access="WO"),
        Float(
            name="Gain",
            category="AnalogControl",
            about="Gain",
            default=0.0,
            minimum=0.0,
            maximum=24.0,
            unit="dB",
        ),
        Integer(
            name="LineStatusAll",
            category="DigitalIOControl",
            about="The inputs now: bit 0 is Line1, the light barrier",
            access="RO",
            is_live=True,
        ),
        Integer(
            name="EncoderValue",
            category="EncoderControl",
            about="The line's encoder now",
            access="RO",
            is_live=True,
            length=8,
            maximum=2**63 - 1,
            unit="counts",
        ),
    ]


def _counter() -> list[Feature]:
    here = "CounterAndTimerControl"
    return [
        Choice(
            name="CounterSelector",
            category=here,
            about="Which counter is meant",
            entries=(("Counter0", 0),),
            selects=("CounterEventSource", "CounterEventActivation", "CounterReset", "CounterValue"),
        ),
        Choice(
            name="CounterEventSource",
            category=here,
            about="What is counted: nothing, or the signal of the light barrier",
            entries=(("Off", 0), (LINE_TRIGGER, 1)),
        ),
        Choice(
            name="CounterEventActivation",
            category=here,
            about="Edge of the signal",
            entries=(("RisingEdge", 0),),
        ),
        Command(name="CounterReset", category=here, about="Sets the counter to 0", access="WO"),
        Integer(
            name="CounterValue",
            category=here,
            about="The counter now",
            access="RO",
            is_live=True,
            length=8,
            maximum=2**63 - 1,
        ),
    ]


def _chunks() -> list[Feature]:
    here = "ChunkDataControl"
    return [
        Boolean(
            name="ChunkModeActive",
            category=here,
            about="Whether values travel with each picture",
            is_locked=True,
        ),
        Choice(
            name="ChunkSelector",
            category=here,
            about="Which value is meant",
            entries=tuple((chunk.name, index) for index, chunk in enumerate(CHUNKS)),
            selects=("ChunkEnable",),
        ),
        Boolean(
            name="ChunkEnable",
            category=here,
            about="Whether the selected value travels with each picture",
            is_locked=True,
            per="ChunkSelector",
        ),
    ]


def _user_sets() -> list[Feature]:
    here = "UserSetControl"
    sets = tuple((name, index) for index, name in enumerate(USER_SETS))
    return [
        Choice(
            name="UserSetSelector",
            category=here,
            about="Which set of settings is meant",
            entries=sets,
            selects=("UserSetLoad", "UserSetSave"),
        ),
        Command(name="UserSetLoad", category=here, about="Sets everything as the set has it", access="WO"),
        Command(name="UserSetSave", category=here, about="Keeps the settings in the set", access="WO"),
        Choice(
            name="UserSetDefault",
            category=here,
            about="The set it has after a restart",
            entries=sets,
        ),
    ]


def _action() -> list[Feature]:
    return [
        Integer(name=name, category="ActionControl", about=about, address=address)
        for name, about, address in (
            ("ActionDeviceKey", "Key of the devices that act together", 0x90C),
            ("ActionGroupKey", "Key of the group that acts together", 0x9800),
            ("ActionGroupMask", "The action is meant where it has one of these bits; 0 for never", 0x9804),
        )
    ]


def _events() -> list[Feature]:
    here = "EventControl"
    return [
        Choice(
            name="EventSelector",
            category=here,
            about="Which event is meant",
            entries=tuple((name, index) for index, name in enumerate(EVENTS)),
            selects=("EventNotification",),
        ),
        Choice(
            name="EventNotification",
            category=here,
            about="Whether the selected event is told on the message channel",
            per="EventSelector",
            entries=(("Off", 0), ("On", 1)),
        ),
        Integer(
            name="GevMCPHostPort",
            category="TransportLayerControl",
            about="Port that events go to; 0 for none",
            address=0xB00,
            bits=(0, 16),
            maximum=65535,
        ),
        Integer(
            name="GevMCDA", category="TransportLayerControl", about="Address that events go to", address=0xB10
        ),
        Integer(
            name="GevMCTT",
            category="TransportLayerControl",
            about="Wait for an answer to an event: none is asked for",
            address=0xB14,
            access="RO",
            unit="ms",
        ),
    ]


def _ptp() -> list[Feature]:
    here = "PtpControl"
    return [
        Boolean(name="PtpEnable", category=here, about="Whether its clock follows the network's"),
        Command(
            name="PtpDataSetLatch",
            category=here,
            about="Keeps the state of now, for the others to be read",
            access="WO",
        ),
        Choice(
            name="PtpStatus",
            category=here,
            about="State, when it was kept",
            access="RO",
            is_live=True,
            entries=(
                ("Disabled", STATES["Disabled"]),
                *(each for each in STATES.items() if each[0] != "Disabled"),
            ),
        ),
        Integer(
            name="PtpOffsetFromMaster",
            category=here,
            about="How far its clock was ahead of the master's, when it was kept",
            access="RO",
            is_live=True,
            length=8,
            is_signed=True,
            unit="ns",
        ),
    ]


def _transport() -> list[Feature]:
    here = "TransportLayerControl"
    return [
        Integer(
            name="PayloadSize",
            category=here,
            about="Bytes of a picture with its chunks",
            access="RO",
            is_live=True,
            unit="B",
        ),
        Integer(
            name="GevMACAddress",
            category=here,
            about="MAC address",
            address=0x08,
            access="RO",
            length=8,
            maximum=2**48 - 1,
        ),
        Integer(name="GevCurrentIPAddress", category=here, about="Address", address=0x24, access="RO"),
        Integer(name="GevCurrentSubnetMask", category=here, about="Subnet mask", address=0x34, access="RO"),
        Integer(name="GevCurrentDefaultGateway", category=here, about="Gateway", address=0x44, access="RO"),
        Integer(
            name="GevHeartbeatTimeout",
            category=here,
            about="So long without a word from its controller, and the device is free",
            address=0x938,
            default=3000,
            minimum=500,
            maximum=600_000,
            unit="ms",
        ),
        Integer(
            name="GevTimestampTickFrequency",
            category=here,
            about="Ticks a second",
            address=0x93C,
            access="RO",
            length=8,
            maximum=2**63 - 1,
            unit="Hz",
        ),
        Command(
            name="GevTimestampControlLatch",
            category=here,
            about="Keeps the time of now",
            address=0x944,
            access="WO",
            value=2,
        ),
        Command(
            name="GevTimestampControlReset",
            category=here,
            about="Sets the time to 0",
            address=0x944,
            access="WO",
            value=1,
        ),
        Integer(
            name="GevTimestampValue",
            category=here,
            about="The time that was kept",
            address=0x948,
            access="RO",
            is_live=True,
            length=8,
            maximum=2**63 - 1,
            unit="ns",
        ),
        Choice(
            name="GevCCP",
            category=here,
            about="Who may write",
            address=0xA00,
            entries=(
                ("OpenAccess", 0),
                ("ExclusiveAccess", 1),
                ("ControlAccess", 2),
                ("ExclusiveControlAccess", 3),
            ),
            is_live=True,
        ),
        Integer(
            name="GevSCPHostPort",
            category=here,
            about="Port that pictures go to; 0 for none",
            address=0xD00,
            bits=(0, 16),
            maximum=65535,
        ),
        Integer(
            name="GevSCPSPacketSize",
            category=here,
            about="Bytes of a packet, IP and UDP with it",
            address=0xD04,
            bits=(0, 16),
            default=1400,
            minimum=256,
            maximum=16384,
            increment=4,
            unit="B",
        ),
        Command(
            name="GevSCPSFireTestPacket",
            category=here,
            about="Sends one packet of this size",
            address=0xD04,
            bits=(31, 1),
            access="RW",
        ),
        Boolean(
            name="GevSCPSDoNotFragment",
            category=here,
            about="Packets are not cut up on their way",
            address=0xD04,
            bits=(30, 1),
        ),
        Integer(
            name="GevSCPD",
            category=here,
            about="Pause between two packets",
            address=0xD08,
            maximum=10_000_000,
            unit="ns",
        ),
        Integer(name="GevSCDA", category=here, about="Address that pictures go to", address=0xD18),
        Integer(
            name="TLParamsLocked",
            category=here,
            about="Set by the client while it takes pictures",
            maximum=1,
        ),
    ]


def is_kept(feature: Feature) -> bool:
    """Whether a user set has it."""
    is_setting = not isinstance(feature, Command) and feature.access == "RW"
    return is_setting and feature.category in _IN_USER_SETS


def size_of(feature: Feature) -> int:
    """Bytes of its register."""
    match feature:
        case Integer(length=length) | Text(length=length):
            return length
        case Float():
            return 8
    return 4


def _with_addresses(table: list[Feature]) -> list[Feature]:
    choices = {feature.name: feature for feature in table if isinstance(feature, Choice)}
    placed: list[Feature] = []
    free = FEATURES_AT
    for feature in table:
        if feature.address:
            placed.append(feature)
            continue
        placed.append(replace(feature, address=free))
        count = len(choices[feature.per].entries) if feature.per else 1
        free += 8 * count
    return placed
