"""The device's own description, GenApi XML, made from the table of its features.

The order of a node's children is the schema's: clients that check the schema refuse any other.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from cameras.simulator.features import (
    CHUNKS,
    EVENTS,
    Boolean,
    Choice,
    Chunk,
    Command,
    Feature,
    Float,
    Integer,
    Text,
    is_kept,
    size_of,
)

VENDOR = "Lynceus"
MODEL = "Simulated GigE camera"
_NAMESPACE = "http://www.genicam.org/GenApi/Version_1_1"
_REGISTER_BITS = 32


def describe(features: list[Feature]) -> bytes:
    """The XML, filled up with line ends to a whole number of 4-byte words."""
    root = ET.Element(
        "RegisterDescription",
        {
            "xmlns": _NAMESPACE,
            "ModelName": "SimulatedGigECamera",
            "VendorName": VENDOR,
            "ToolTip": MODEL,
            "StandardNameSpace": "GEV",
            "SchemaMajorVersion": "1",
            "SchemaMinorVersion": "1",
            "SchemaSubMinorVersion": "0",
            "MajorVersion": "1",
            "MinorVersion": "0",
            "SubMinorVersion": "0",
            "ProductGuid": "8E0B9A52-4F07-4E0F-9D0B-5D1A3B6C7E11",
            "VersionGuid": "8E0B9A52-4F07-4E0F-9D0B-5D1A3B6C7E12",
        },
    )
    _categories(root, features)
    for feature in features:
        _WRITERS[type(feature)](root, feature)
    for chunk in CHUNKS:
        _chunk(root, chunk)
    for name in EVENTS:
        _event(root, name)
    _leaf(root, "Port", "Device")
    ET.indent(root)
    xml: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"
    return xml + b"\n" * (-len(xml) % 4)


def _categories(root: ET.Element, features: list[Feature]) -> None:
    members: dict[str, list[str]] = {}
    for feature in features:
        members.setdefault(feature.category, []).append(feature.name)
    members["ChunkDataControl"] += [chunk.feature for chunk in CHUNKS]
    members["EventControl"] += [f"Event{name}{part}" for name in EVENTS for part in _OF_AN_EVENT]
    top = _node(root, "Category", "Root", "All features")
    for category in members:
        _child(top, "pFeature", category)
    for category, names in members.items():
        node = _node(root, "Category", category, category)
        for name in names:
            _child(node, "pFeature", name)


def _integer(root: ET.Element, feature: Feature) -> None:
    assert isinstance(feature, Integer)
    node = _start(root, "Integer", feature)
    _child(node, "pValue", f"{feature.name}Reg")
    if feature.access != "RO":
        _child(node, "Min", feature.minimum)
        if feature.room is None:
            _child(node, "Max", feature.maximum)
        else:
            _child(node, "pMax", f"{feature.name}Max_")
        _child(node, "Inc", feature.increment)
    if feature.unit:
        _child(node, "Unit", feature.unit)
    if feature.room is not None:
        limit, taken = feature.room
        knife = _leaf(root, "IntSwissKnife", f"{feature.name}Max_")
        _child(knife, "pVariable", limit).set("Name", "LIMIT")
        _child(knife, "pVariable", f"{taken}Reg").set("Name", "TAKEN")
        _child(knife, "Formula", "LIMIT - TAKEN")
    _register(root, feature, feature.bits)


def _float(root: ET.Element, feature: Feature) -> None:
    assert isinstance(feature, Float)
    node = _start(root, "Float", feature)
    _child(node, "pValue", f"{feature.name}Reg")
    _child(node, "Min", feature.minimum)
    _child(node, "Max", feature.maximum)
    _child(node, "Unit", feature.unit)
    register = _leaf(root, "FloatReg", f"{feature.name}Reg")
    _place(register, feature)
    _child(register, "Endianess", "BigEndian")


def _boolean(root: ET.Element, feature: Feature) -> None:
    assert isinstance(feature, Boolean)
    node = _start(root, "Boolean", feature)
    _child(node, "pValue", f"{feature.name}Reg")
    _child(node, "OnValue", 1)
    _child(node, "OffValue", 0)
    _register(root, feature, feature.bits)


def _choice(root: ET.Element, feature: Feature) -> None:
    assert isinstance(feature, Choice)
    node = _start(root, "Enumeration", feature)
    for name, value in feature.entries:
        entry = ET.SubElement(node, "EnumEntry", {"Name": name, "NameSpace": "Standard"})
        _child(entry, "Value", value)
    _child(node, "pValue", f"{feature.name}Reg")
    for selected in feature.selects:
        _child(node, "pSelected", selected)
    _register(root, feature, None)


def _command(root: ET.Element, feature: Feature) -> None:
    assert isinstance(feature, Command)
    node = _start(root, "Command", feature)
    _child(node, "pValue", f"{feature.name}Reg")
    _child(node, "CommandValue", feature.value)
    _register(root, feature, feature.bits)


def _text(root: ET.Element, feature: Feature) -> None:
    node = _start(root, "StringReg", feature)
    _place(node, feature)


_WRITERS = {
    Integer: _integer,
    Float: _float,
    Boolean: _boolean,
    Choice: _choice,
    Command: _command,
    Text: _text,
}


def _chunk(root: ET.Element, chunk: Chunk) -> None:
    kind = "Float" if chunk.is_float else "Integer"
    node = _node(root, kind, chunk.feature, chunk.about)
    _child(node, "pValue", f"{chunk.feature}Reg")
    if chunk.unit:
        _child(node, "Unit", chunk.unit)
    register = _leaf(root, "FloatReg" if chunk.is_float else "IntReg", f"{chunk.feature}Reg")
    _child(register, "Address", "0x0")
    _child(register, "Length", chunk.length)
    _child(register, "AccessMode", "RO")
    _child(register, "pPort", f"{chunk.feature}Port")
    _child(register, "Cachable", "NoCache")
    if not chunk.is_float:
        _child(register, "Sign", "Unsigned")
    _child(register, "Endianess", "BigEndian")
    port = _leaf(root, "Port", f"{chunk.feature}Port")
    _child(port, "ChunkID", f"{chunk.chunk_id:08X}")


_OF_AN_EVENT = {
    "": ("Number of the event", 0x2, 2),
    "FrameID": ("Block id of the picture; 0 for none", 0x6, 2),
    "Timestamp": ("When it happened", 0x8, 8),
}
"""Where in an EVENT command's body: name, address and length."""


def _event(root: ET.Element, name: str) -> None:
    for part, (about, address, length) in _OF_AN_EVENT.items():
        feature = f"Event{name}{part}"
        _child(_node(root, "Integer", feature, about), "pValue", f"{feature}Reg")
        register = _leaf(root, "IntReg", f"{feature}Reg")
        _child(register, "Address", f"0x{address:X}")
        _child(register, "Length", length)
        _child(register, "AccessMode", "RO")
        _child(register, "pPort", f"Event{name}Port")
        _child(register, "Cachable", "NoCache")
        _child(register, "Sign", "Unsigned")
        _child(register, "Endianess", "BigEndian")
    _child(_leaf(root, "Port", f"Event{name}Port"), "EventID", f"{EVENTS[name]:X}")


def _register(root: ET.Element, feature: Feature, bits: tuple[int, int] | None) -> None:
    register = _leaf(root, "IntReg" if bits is None else "MaskedIntReg", f"{feature.name}Reg")
    _place(register, feature)
    if bits is not None:
        lowest, count = bits
        # GenApi counts the bits of a big-endian register from its highest.
        _child(register, "LSB", _REGISTER_BITS - 1 - lowest)
        _child(register, "MSB", _REGISTER_BITS - lowest - count)
    _child(register, "Sign", "Signed" if getattr(feature, "is_signed", False) else "Unsigned")
    _child(register, "Endianess", "BigEndian")


def _place(register: ET.Element, feature: Feature) -> None:
    _child(register, "Address", f"0x{feature.address:X}")
    if feature.per is not None:
        _child(register, "pIndex", f"{feature.per}Reg").set("Offset", "8")
    _child(register, "Length", size_of(feature))
    _child(register, "AccessMode", feature.access)
    _child(register, "pPort", "Device")
    # What shares a register, or changes by itself, is read anew each time.
    shares = getattr(feature, "bits", None) is not None or feature.per is not None
    _child(register, "Cachable", "NoCache" if feature.is_live or shares else "WriteThrough")
    if is_kept(feature):
        _child(register, "pInvalidator", "UserSetLoad")


def _start(root: ET.Element, kind: str, feature: Feature) -> ET.Element:
    node = _node(root, kind, feature.name, feature.about)
    if feature.is_locked:
        _child(node, "pIsLocked", "TLParamsLocked")
    return node


def _node(root: ET.Element, kind: str, name: str, about: str) -> ET.Element:
    node = ET.SubElement(root, kind, {"Name": name, "NameSpace": "Standard"})
    _child(node, "ToolTip", about)
    return node


def _leaf(root: ET.Element, kind: str, name: str) -> ET.Element:
    return ET.SubElement(root, kind, {"Name": name})


def _child(node: ET.Element, tag: str, value: object) -> ET.Element:
    child = ET.SubElement(node, tag)
    child.text = str(value)
    return child
