"""Our records as EPCIS 2.0 events, and how events name units. Pure.

An event is made when it is asked for, from the record that it is about; so both always say the same. Places within a
unit have no words in EPCIS: they are in our certificate and API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, unquote

from inspection.identity import IdentifierCode
from inspection.types import Inspection, Measurement, Verdict
from traceability.epcis.documents import events_of_json, own_context
from traceability.epcis.hashing import canonical_key, event_id
from traceability.errors import CodeNotParsed
from traceability.genealogy.cuts import Link, LinkKind
from traceability.identifiers import LONGEST, ecode, gs1, handle, parse, vaa

Event = dict[str, Any]

NAMESPACE: Final = "urn:x-lynceus:"
CONTEXT: Final[list[Any]] = [
    "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
    {"lynceus": NAMESPACE},
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the events of one sort of record say in words of the vocabulary; None: they have none."""

    type: str
    action: str | None = None
    biz_step: str | None = None
    disposition: str | None = None

    def told(self) -> Event:
        told = {
            "type": self.type,
            "action": self.action,
            "bizStep": self.biz_step,
            "disposition": self.disposition,
        }
        return {name: word for name, word in told.items() if word is not None}


DISPOSITIONS: Final[Mapping[Verdict, str]] = {
    Verdict.ACCEPT: "conformant",
    Verdict.REJECT: "non_conformant",
    # Nobody knows yet, or nobody looked: neither is conformant.
    Verdict.REVIEW: "unknown",
    Verdict.NOT_INSPECTED: "unknown",
}

INSPECTED: Final[Mapping[Verdict, Words]] = {
    verdict: Words(type="ObjectEvent", action="OBSERVE", biz_step="inspecting", disposition=disposition)
    for verdict, disposition in DISPOSITIONS.items()
}

_COMMISSIONED: Final = Words(type="ObjectEvent", action="ADD", biz_step="commissioning", disposition="active")
_DECOMMISSIONED: Final = Words(
    type="ObjectEvent", action="DELETE", biz_step="decommissioning", disposition="inactive"
)
OF_CODES: Final[Mapping[str, Words]] = {
    "issued": _COMMISSIONED,
    "registered": _COMMISSIONED,
    "bound": _COMMISSIONED,
    "retired": _DECOMMISSIONED,
}
"""By what was done with the code; of other things that are done with codes no event tells."""

HELD: Final = Words(
    type="ObjectEvent", action="OBSERVE", biz_step="holding", disposition="non_sellable_other"
)

DECIDED: Final[Mapping[str, Words]] = {
    # No step of the vocabulary means a decision.
    decision: Words(type="ObjectEvent", action="OBSERVE", disposition=disposition)
    for decision, disposition in (
        ("use_as_is", "available"),
        ("rework", "in_progress"),
        # To be scrapped; that it was destroyed nobody has said.
        ("scrap", "non_sellable_other"),
    )
}

MADE: Final[Mapping[LinkKind, Words]] = {
    # No word of the vocabulary means rolling, slitting or welding.
    **dict.fromkeys(LinkKind, Words(type="TransformationEvent")),
    LinkKind.REWORK: Words(type="TransformationEvent", biz_step="repairing"),
    # The parent goes on as it was, now inside the child. All else makes something new of it.
    LinkKind.ASSEMBLE: Words(type="AssociationEvent", action="ADD", biz_step="assembling"),
    LinkKind.REPACK: Words(type="AggregationEvent", action="ADD", biz_step="packing"),
}

_QUANTITIES: Final = {
    "mm": ("Length", "MMT"),
    "m": ("Length", "MTR"),
    "mm2": ("Area", "MMK"),
    "mm²": ("Area", "MMK"),
}
"""Units of measure as UN/ECE Recommendation 20 writes them; degrees and others are told as plain numbers."""


def epc_of(code: IdentifierCode) -> str:
    """How events name a unit: GS1's by its canonical Digital Link, others by a URI of their scheme."""
    text = str(code)
    if code.scheme == gs1.SCHEME:
        return gs1.digital_link_of(text, stem="https://id.gs1.org")
    if code.scheme == handle.SCHEME:
        return f"hdl:{quote(text, safe='/:()!*,')}"
    if code.scheme in ("oid", "ecode"):
        return quote(text, safe="/:()!*,")
    return f"{NAMESPACE}{code.scheme}:{quote(text, safe='/:()!*,')}"


_PREFIXES: Final[Mapping[str, str | None]] = {
    "hdl:": None,
    f"{NAMESPACE}plain:": "plain",
    f"{NAMESPACE}vaa:": vaa.SCHEME,
}
"""URIs that hold a code behind them, and its scheme where it does not show it."""


def code_of_epc(epc: str) -> IdentifierCode | None:
    """The other way, in any spelling, EPC URNs and Digital Links of any server too. None where it is no code."""
    prefix = next((one for one in _PREFIXES if epc.startswith(one)), None)
    is_ecode = epc.startswith(ecode.MARK)
    is_told = is_ecode or epc.startswith(("http", "urn:epc:", "urn:oid:"))
    if len(epc) > 4 * LONGEST or (prefix is None and not is_told):
        return None
    # An Ecode of version 4 has any signs. In addresses each scheme has a rule of its own for those.
    text = unquote(epc.removeprefix(prefix or "")) if prefix or is_ecode else epc
    try:
        return parse(text, scheme=None if prefix is None else _PREFIXES[prefix], lenient=True)
    except CodeNotParsed:
        return None


def key_of_epc(epc: str) -> str:
    """One key for all spellings of an EPC, EPC class or pattern."""
    code = code_of_epc(epc)
    return (canonical_key(epc) or epc) if code is None else f"{code.scheme} {code.canon}"


def of_code(code: IdentifierCode, done: str, at: datetime) -> Event:
    """A code was given to a unit, or given up; `done` is one of OF_CODES."""
    return _complete({**OF_CODES[done].told(), "eventTime": _time(at), "epcList": [epc_of(code)]})


def put_on_hold(code: IdentifierCode, at: datetime) -> Event:
    """Nobody may use or ship a unit. The reason is free text, and may name people: it stays here."""
    return _complete({**HELD.told(), "eventTime": _time(at), "epcList": [epc_of(code)]})


def released(code: IdentifierCode, decision: str, at: datetime) -> Event:
    """What was decided about a unit on hold: `use_as_is`, `rework` or `scrap`."""
    return _complete(
        {
            **DECIDED[decision].told(),
            "eventTime": _time(at),
            "epcList": [epc_of(code)],
            "lynceus:decision": decision,
        }
    )


def inspected(inspection: Inspection) -> Event:
    """A station looked at a unit: what it measured and counted, under which recipe and models, and what it decided."""
    recipe = inspection.recipe
    method = f"{NAMESPACE}recipe:{quote(recipe.name, safe='')}:{recipe.revision}:{recipe.sha256}"
    reports: list[Event] = [_count(inspection), *(_measured(one) for one in inspection.measurements)]
    cameras = sorted({one.camera for one in inspection.defects} | {one.camera for one in inspection.pictures})
    metadata: Event = {
        "startTime": _time(inspection.started_at),
        "endTime": _time(inspection.finished_at),
        "dataProcessingMethod": method,
    }
    if len(cameras) == 1:
        metadata["deviceID"] = (
            f"{NAMESPACE}camera:{quote(inspection.station, safe='')}:{quote(cameras[0], safe='')}"
        )
    return _complete(
        {
            **INSPECTED[inspection.verdict].told(),
            "eventTime": _time(inspection.finished_at),
            "epcList": [epc_of(inspection.unit)],
            "readPoint": {"id": place_uri(inspection.station, inspection.lane)},
            "sensorElementList": [{"sensorMetadata": metadata, "sensorReport": reports}],
            "lynceus:inspection": str(inspection.id),
            "lynceus:verdict": inspection.verdict.name,
            "lynceus:simulated": str(inspection.simulated).lower(),
            "lynceus:frames": {
                "lynceus:triggers": inspection.triggers,
                "lynceus:inspected": inspection.frames_inspected,
                "lynceus:failed": inspection.frames_failed,
                "lynceus:lost": inspection.frames_lost,
            },
            "lynceus:model": [f"{one.name} {one.version} {one.sha256}" for one in inspection.models],
            "lynceus:picture": [one.sha256 for one in inspection.pictures],
        }
    )


def made_from(child: IdentifierCode, links: Sequence[Link], at: datetime) -> tuple[Event, ...]:
    """What a unit was made of, or what was put together in it."""
    events = []
    for kind in sorted({link.kind for link in links}):
        parents = sorted({epc_of(link.parent) for link in links if link.kind is kind})
        told = {**MADE[kind].told(), "eventTime": _time(at), "lynceus:process": kind.value}
        if told["type"] == "TransformationEvent":
            told |= {"inputEPCList": parents, "outputEPCList": [epc_of(child)]}
        else:
            told |= {"parentID": epc_of(child), "childEPCs": parents}
        events.append(_complete(told))
    return tuple(events)


def place_uri(station: str, lane: str) -> str:
    return f"{NAMESPACE}station:{quote(station, safe='')}:{quote(lane, safe='')}"


def station_and_lane(uri: str) -> tuple[str, str] | None:
    """The other way; None where it is no place of ours."""
    found = re.fullmatch(f"{NAMESPACE}station:([^:]*):([^:]*)", uri)
    if found is None:
        return None
    station, lane = (unquote(one) for one in found.groups())
    return (station, lane) if place_uri(station, lane) == uri else None


def document(events: Sequence[Event], *, at: datetime) -> Event:
    """An EPCIS document of these events."""
    return {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": _time(at),
        "epcisBody": {"eventList": list(events)},
    }


def query_document(events: Sequence[Event], *, at: datetime) -> Event:
    """The answer to a query."""
    return {
        "@context": CONTEXT,
        "type": "EPCISQueryDocument",
        "schemaVersion": "2.0",
        "creationDate": _time(at),
        "epcisBody": {
            "queryResults": {"queryName": "SimpleEventQuery", "resultsBody": {"eventList": list(events)}}
        },
    }


def alone(event: Mapping[str, Any]) -> Event:
    """An event as a document of its own."""
    return {**event, "@context": [*CONTEXT, *own_context(event)]}


def with_id(event: Mapping[str, Any]) -> Event:
    """An event with the id that belongs to what it says. It stands alone (`documents.whole_events`), or has no names
    but the standard's and ours."""
    (node,) = events_of_json({"@context": CONTEXT, "epcisBody": {"eventList": [event]}})
    return {**event, "eventID": event_id(node)}


def _complete(event: Event) -> Event:
    return with_id({**event, "eventTimeZoneOffset": "+00:00"})


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def _count(inspection: Inspection) -> Event:
    report: Event = {"type": "Count", "value": len(inspection.defects), "uom": "H87"}
    if inspection.verdict is Verdict.REJECT:
        report["exception"] = "ALARM_CONDITION"
    return report


def _measured(measurement: Measurement) -> Event:
    type_, unit = _QUANTITIES.get(measurement.unit, ("Dimensionless", None))
    report: Event = {"type": type_, "value": measurement.value, "lynceus:name": measurement.name}
    if unit is not None:
        report["uom"] = unit
    if measurement.uncertainty is not None:
        report["sDev"] = measurement.uncertainty
    return report
