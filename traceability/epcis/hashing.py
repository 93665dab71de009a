"""Event-hash ids: `ni:///sha-256;…?ver=CBV2.0`, the same for an event however it is written.

All that an event says is written out in one fixed order, in one spelling, and hashed; so an event that comes twice is
one, and an id cannot be given to another event. Source: CBV 2.0, 8.9. Where the standard can be read in two ways the
published vectors decide: business transactions, sources and destinations stand behind the sensors, with what is the
user's own; a field in a place that the standard does not know stands there too, behind the names of what it was in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType

from traceability.epcis.documents import CBV, Node
from traceability.identifiers.gs1.digital_link import CANONICAL_STEM, without_names
from traceability.identifiers.gs1.epc import link_of_urn

_Order = Mapping[str, "_Order | None"]
"""Names in their order, and the order within each."""

_EPCS: _Order = {"epc": None}
_QUANTITIES: _Order = {"quantityElement": {"epcClass": None, "quantity": None, "uom": None}}
_PLACE: _Order = {"id": None}

_SENSOR: _Order = {
    "sensorMetadata": dict.fromkeys(
        (
            "time", "startTime", "endTime", "deviceID", "deviceMetadata", "rawData", "dataProcessingMethod",
            "bizRules",
        )
    ),
    "sensorReport": dict.fromkeys(
        (
            "type", "exception", "deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "time",
            "microorganism", "chemicalSubstance", "value", "component", "stringValue", "booleanValue",
            "hexBinaryValue", "uriValue", "minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue",
            "uom", "coordinateReferenceSystem",
        )
    ),
}  # fmt: skip

_EVENT: _Order = MappingProxyType(
    {
        "eventTime": None,
        "eventTimeZoneOffset": None,
        "certificationInfo": None,
        "parentID": None,
        "epcList": _EPCS,
        "inputEPCList": _EPCS,
        "childEPCs": _EPCS,
        "quantityList": _QUANTITIES,
        "childQuantityList": _QUANTITIES,
        "inputQuantityList": _QUANTITIES,
        "outputEPCList": _EPCS,
        "outputQuantityList": _QUANTITIES,
        "action": None,
        "transformationID": None,
        "bizStep": None,
        "disposition": None,
        "persistentDisposition": {"set": None, "unset": None},
        "readPoint": _PLACE,
        "bizLocation": _PLACE,
        "sensorElementList": {"sensorElement": _SENSOR},
    }
)
"""CBV 2.0, 8.9.2."""

_NOT_HASHED = ("recordTime", "eventID", "errorDeclaration")

_OLDER_WORDS = {
    "urn:epcglobal:cbv:bizstep:": "BizStep-",
    "urn:epcglobal:cbv:disp:": "Disp-",
    "urn:epcglobal:cbv:btt:": "BTT-",
    "urn:epcglobal:cbv:sdt:": "SDT-",
    "urn:epcglobal:cbv:er:": "ER-",
}
_TIMES = ("eventTime", "time", "startTime", "endTime")

# CBV 2.0, table 7-1 of the Digital Link standard: what EPC URNs may hold as it is and a path may not.
_TO_BE_ENCODED = "!()*+,:"


def event_id(event: Node) -> str:
    """The id that belongs to what this event says."""
    return f"ni:///sha-256;{sha256(written_out(event).encode()).hexdigest()}?ver=CBV2.0"


def written_out(event: Node) -> str:
    """The text that is hashed."""
    told = [one for one in event.children if one.name not in _NOT_HASHED]
    known, rest = _ordered(told, _EVENT)
    return f"eventType={event.name}" + known + _freely(rest)


def _ordered(nodes: Sequence[Node], order: _Order) -> tuple[str, list[Node]]:
    """What the standard knows of these elements, in its order; and the rest, each inside what it was in."""
    rest = [node for node in nodes if node.name not in order]
    text = ""
    for name, inner in order.items():
        told: list[str] = []
        for node in nodes:
            if node.name == name:
                one, left = _one(node, inner or {})
                told.append(one)
                if left:
                    rest.append(Node(name=name, children=tuple(left)))
        text += "".join(sorted(told))
    return text, rest


def _one(node: Node, order: _Order) -> tuple[str, list[Node]]:
    """An element that the standard knows, with the user's own fields at its end; nothing where nothing is in it."""
    value = canonical_time(node.value) if node.name in _TIMES else canonical_value(node.value)
    own = [one for one in node.children if "/}" in one.name] if len(node.children) > 1 else []
    inner, rest = _ordered([one for one in node.children if one not in own], order)
    inner += _freely(own)
    if not value and not inner:
        return "", rest
    return node.name + (f"={value}" if value else "") + inner, rest


def _freely(nodes: Iterable[Node]) -> str:
    """Elements that are the user's own, lists of pairs, and what stands where the standard has no place for it."""
    return "".join(sorted(_free(node) for node in nodes))


def _free(node: Node) -> str:
    if node.is_pair:
        return "".join(_free(one) for one in node.children)
    value = canonical_value(node.value)
    return node.name + (f"={value}" if value else "") + _freely(node.children)


def canonical_time(text: str) -> str:
    """UTC, to the millisecond; RFC 3339 lets `t` and `z` be small. What is no time is left as it is."""
    form = r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:[.,](\d+))?(Z|[+-]\d{2}:?\d{2})"
    found = re.fullmatch(form, text.upper())
    if found is None:
        return text
    whole, fraction, zone = found.groups()
    # Half a millisecond counts up.
    rounded = timedelta(milliseconds=(int((fraction or "0").ljust(4, "0")[:4]) + 5) // 10)
    try:
        at = datetime.fromisoformat(whole + ("+00:00" if zone == "Z" else zone)).astimezone(UTC) + rounded
    except (ValueError, OverflowError):
        return text
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def canonical_value(text: str) -> str:
    """Vocabulary as web addresses, numbers without idle zeros, GS1's keys as constrained canonical Digital Links."""
    text = text.strip()
    for older, word in _OLDER_WORDS.items():
        if text.startswith(older):
            return f"{CBV}{word}{text.removeprefix(older)}"
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        number = float(text)
        return str(int(number)) if number.is_integer() else str(number)
    return canonical_key(text) or text


def canonical_key(text: str) -> str | None:
    """The constrained canonical Digital Link of an EPC or a Digital Link; None where it is neither.

    Only rewritten: whether a check digit is right is not for whoever hashes to say.
    """
    if text.startswith("urn:epc:"):
        link = link_of_urn(text)
        if link is None:
            return None
        path = link.removeprefix(CANONICAL_STEM)
        return CANONICAL_STEM + "".join(f"%{ord(one):02X}" if one in _TO_BE_ENCODED else one for one in path)
    return _constrained(text)


_KEYS = {
    "00": r"\d{18}",
    "01": r"\d{8}|\d{12,14}",
    "253": r"\d{13}[^/]{0,17}",
    "255": r"\d{13}\d{0,12}",
    "401": r"\d{4}[^/]{0,26}",
    "402": r"\d{17}",
    "414": r"\d{13}",
    "417": r"\d{13}",
    "8003": r"\d{14}[^/]{0,16}",
    "8004": r"\d{4}[^/]{0,26}",
    "8006": r"\d{18}",
    "8010": r"\d{4}[^/]{0,26}",
    "8017": r"\d{18}",
    "8018": r"\d{18}",
}
_NARROWED = {"01": ("21", "235", "10"), "8006": ("21", "10"), "414": ("254",), "8010": ("8011",)}
_DROPPED = {"01": ("22",), "8006": ("22",)}


def _constrained(link: str) -> str | None:
    """Canonical server, the key, and of its qualifiers the one that narrows it most."""
    found = re.fullmatch(r"https?://[^/?#]+\.[^/?#]*(/[^?#]*?)/?(?:\?[^#]*)?(?:#.*)?", link)
    if found is None:
        return None
    pieces = without_names(found[1]).split("/")[1:]
    for place in range(len(pieces) - 2, -1, -2):
        key = pieces[place]
        if key in _KEYS:
            value = pieces[place + 1]
            if re.fullmatch(_KEYS[key], value) is None:
                return None
            return _narrowed(
                key, value, dict(zip(pieces[place + 2 :: 2], pieces[place + 3 :: 2], strict=True))
            )
    return None


def _narrowed(key: str, value: str, qualifiers: Mapping[str, str]) -> str | None:
    allowed = (*_NARROWED.get(key, ()), *_DROPPED.get(key, ()))
    if not set(qualifiers) <= set(allowed):
        return None
    if key == "01":
        value = value.zfill(14)
    chosen = next((ai for ai in _NARROWED.get(key, ()) if ai in qualifiers), None)
    return f"{CANONICAL_STEM}/{key}/{value}" + (f"/{chosen}/{qualifiers[chosen]}" if chosen else "")
