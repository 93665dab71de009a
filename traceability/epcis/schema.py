"""Whether an EPCIS 2.0 JSON document is one: its JSON Schema, built from the standard's tables of fields and words.

Formats are checked: a field that the standard does not know must be a name with a prefix, times and addresses must be
such.
Source: EPCIS 2.0, 10.1; CBV 2.0, 7. A test holds it against the schema that GS1 publishes.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from jsonschema import Draft7Validator, FormatChecker
from jsonschema.exceptions import ValidationError, best_match

Schema = dict[str, Any]

MOST_DEEP: Final = 50
"""Levels of objects and lists in a document; the standard's own need 12."""

BIZ_STEPS = """
    accepting arriving assembling collecting commissioning consigning creating_class_instance cycle_counting
    decommissioning departing destroying disassembling dispensing encoding entering_exiting holding inspecting
    installing killing loading other packing picking receiving removing repackaging repairing replacing reserving
    retail_selling sampling sensor_reporting shipping staging_outbound stock_taking stocking storing transporting
    unloading unpacking void_shipping
""".split()  # noqa: SIM905 - words of a vocabulary read better as a text
DISPOSITIONS = """
    active available completeness_inferred completeness_verified conformant container_closed container_open damaged
    destroyed dispensed disposed encoded expired in_progress in_transit inactive mismatch_class mismatch_instance
    mismatch_quantity needs_replacement no_pedigree_match non_conformant non_sellable_other partially_dispensed recalled
    reserved retail_sold returned sellable_accessible sellable_not_accessible stolen unavailable unknown
""".split()  # noqa: SIM905
_TRANSACTIONS = "bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt".split()  # noqa: SIM905
_PARTIES = ["owning_party", "possessing_party", "location"]
_REASONS = ["did_not_occur", "incorrect_data"]
_COMPONENTS = """
    x y z axial_distance azimuth height spherical_radius polar_angle elevation_angle easting northing latitude longitude
    altitude
""".split()  # noqa: SIM905
_ALERTS = ["ALARM_CONDITION", "ERROR_CONDITION"]
_MEASUREMENTS = """
    AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration Altitude AmountOfSubstance
    AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum AngularVelocity Area Capacitance
    Conductance Conductivity Count Density Dimensionless DoseEquivalent DoseEquivalentRate DynamicViscosity
    ElectricCharge ElectricCurrent ElectricCurrentDensity ElectricFieldStrength Energy Exposure Force Frequency
    Illuminance Inductance Irradiance KinematicViscosity Length LinearMomentum Luminance LuminousFlux LuminousIntensity
    MagneticFlux MagneticFluxDensity MagneticVectorPotential Mass MassConcentration MassFlowRate MassPerAreaTime
    MemoryCapacity MolalityOfSolute MolarEnergy MolarMass MolarVolume Power Pressure RadiantFlux RadiantIntensity
    Radioactivity RelativeHumidity Resistance Resistivity SolidAngle SpecificVolume Speed SurfaceDensity SurfaceTension
    Temperature Time Torque Voltage Volume VolumeFlowRate VolumeFraction VolumetricFlux Wavenumber
""".split()  # noqa: SIM905

_URI: Schema = {"type": "string", "format": "uri"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_VERSION: Schema = {"type": "string", "pattern": r"^\d+(\.\d+)*$"}


def _word(words: Iterable[str], foreign: str) -> Schema:
    """A word of the vocabulary, or the address of one of somebody else's; `foreign` says whose it must not be."""
    address = {**_URI, "pattern": f"^(?!{foreign})"}
    return {"anyOf": [{"type": "string", "enum": sorted(words)}, address]}


_NOT_CBV = r"(urn:epcglobal:cbv|https?://ns\.gs1\.org/cbv/)"
_NOT_VOC = r"https?://(www\.)?gs1\.org/voc/"


def _list(of: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": of, **more}


def _object(fields: Mapping[str, Schema], *required: str) -> Schema:
    """Fields of its own beside those with a prefix."""
    return {
        "type": "object",
        "properties": dict(fields),
        "required": list(required),
        "propertyNames": {"anyOf": [{"enum": list(fields)}, _URI]},
    }


def _closed(fields: Mapping[str, Schema], *required: str) -> Schema:
    return {
        "type": "object",
        "properties": dict(fields),
        "required": list(required),
        "additionalProperties": False,
    }


def _needs(field: str, least: int = 1) -> Schema:
    return {"properties": {field: {"minItems": least}}, "required": [field]}


_CONTEXT: Schema = {
    "anyOf": [_URI, {"type": "object"}, _list({"anyOf": [_URI, {"type": "object"}]}, uniqueItems=True)]
}
_QUANTITY = _closed(
    {"epcClass": _URI, "quantity": _NUMBER, "uom": {"type": "string", "pattern": "^[A-Z0-9]{2,3}$"}},
    "epcClass",
)
_PLACE: Schema = {"type": "object", "properties": {"id": _URI}, "required": ["id"]}
_DISPOSITION = _word(DISPOSITIONS, _NOT_CBV)
_SOME_DISPOSITIONS = _list(_DISPOSITION, minItems=1, uniqueItems=True)
_PROCESSING = dict.fromkeys(
    ("deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules"), _URI
)
_SENSOR = _object(
    {
        "sensorMetadata": _object({**dict.fromkeys(("time", "startTime", "endTime"), _TIME), **_PROCESSING}),
        "sensorReport": _list(
            _object(
                {
                    "type": _word(_MEASUREMENTS, _NOT_VOC),
                    "exception": _word(_ALERTS, _NOT_VOC),
                    "component": _word(_COMPONENTS, _NOT_CBV),
                    "time": _TIME,
                    "stringValue": _TEXT,
                    "uom": _TEXT,
                    "booleanValue": {"type": "boolean"},
                    "hexBinaryValue": {"type": "string", "pattern": "^[A-Fa-f0-9]+$"},
                    **_PROCESSING,
                    **dict.fromkeys(
                        ("microorganism", "chemicalSubstance", "coordinateReferenceSystem", "uriValue"), _URI
                    ),
                    **dict.fromkeys(
                        ("value", "minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue"),
                        _NUMBER,
                    ),
                },
                "type",
            ),
            minItems=1,
        ),
    },
    "sensorReport",
)
_COMMON = {
    "@context": _CONTEXT,
    "type": _TEXT,
    "eventTime": _TIME,
    "recordTime": _TIME,
    "eventTimeZoneOffset": {
        "type": "string",
        "pattern": "^[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00)$",
    },
    "eventID": _URI,
    "certificationInfo": {"anyOf": [_list(_URI), _URI]},
    "errorDeclaration": _object(
        {"declarationTime": _TIME, "reason": _word(_REASONS, _NOT_CBV), "correctiveEventIDs": _list(_URI)},
        "declarationTime",
    ),
}
_EVERY_EVENT = {
    "bizStep": _word(BIZ_STEPS, _NOT_CBV),
    "disposition": _DISPOSITION,
    "readPoint": _PLACE,
    "bizLocation": _PLACE,
    "bizTransactionList": _list(
        _closed({"type": _word(_TRANSACTIONS, _NOT_CBV), "bizTransaction": _URI}, "bizTransaction")
    ),
    "sourceList": _list(_closed({"type": _word(_PARTIES, _NOT_CBV), "source": _URI}, "type", "source")),
    "destinationList": _list(
        _closed({"type": _word(_PARTIES, _NOT_CBV), "destination": _URI}, "type", "destination")
    ),
    "sensorElementList": _list(_SENSOR),
}
_PERSISTENT = {
    "persistentDisposition": {
        **_closed({"set": _SOME_DISPOSITIONS, "unset": _SOME_DISPOSITIONS}),
        "anyOf": [{"required": ["set"]}, {"required": ["unset"]}],
    },
    "ilmd": {"type": "object", "propertyNames": _URI},
}
_ACTION = {"action": {"enum": ["OBSERVE", "ADD", "DELETE"]}}
_EPCS = _list(_URI, uniqueItems=True)
_FAMILY = {"parentID": _URI, "childEPCs": _list(_URI), "childQuantityList": _list(_QUANTITY)}
_SOME_CHILDREN: Schema = {
    "anyOf": [
        _needs("childEPCs"),
        _needs("childQuantityList"),
        {"properties": {"action": {"const": "DELETE"}}},
    ]
}


def _event(fields: Mapping[str, Schema], *required: str, also: Schema | None = None) -> Schema:
    event = _object({**_COMMON, **_EVERY_EVENT, **fields}, "eventTime", "eventTimeZoneOffset", *required)
    return {"allOf": [event, also or {}]}


_EVENTS: Mapping[str, Schema] = {
    "ObjectEvent": _event(
        {**_ACTION, **_PERSISTENT, "epcList": _EPCS, "quantityList": _list(_QUANTITY)},
        "action",
        also={
            "anyOf": [
                _needs("epcList", 0),
                _needs("quantityList"),
                {"allOf": [_needs("sensorElementList"), {"required": ["readPoint"]}]},
            ]
        },
    ),
    "AggregationEvent": _event({**_ACTION, **_FAMILY}, "action", also=_SOME_CHILDREN),
    "AssociationEvent": _event({**_ACTION, **_FAMILY}, "action", "parentID", also=_SOME_CHILDREN),
    "TransactionEvent": _event(
        {**_ACTION, "parentID": _URI, "epcList": _list(_URI), "quantityList": _list(_QUANTITY)},
        "action",
        "bizTransactionList",
        also={
            "allOf": [
                _needs("bizTransactionList"),
                {
                    "anyOf": [
                        _needs("epcList", 0),
                        _needs("quantityList"),
                        {"properties": {"action": {"const": "DELETE"}}},
                    ]
                },
            ]
        },
    ),
    "TransformationEvent": _event(
        {
            **_PERSISTENT,
            "transformationID": _URI,
            "inputEPCList": _EPCS,
            "outputEPCList": _EPCS,
            "inputQuantityList": _list(_QUANTITY),
            "outputQuantityList": _list(_QUANTITY),
        },
        also={
            "anyOf": [
                {
                    "allOf": [
                        {"anyOf": [_needs("inputEPCList"), _needs("inputQuantityList")]},
                        {"anyOf": [_needs("outputEPCList"), _needs("outputQuantityList")]},
                    ]
                },
                {
                    "required": ["transformationID"],
                    "anyOf": [
                        _needs(field)
                        for field in (
                            "inputEPCList",
                            "inputQuantityList",
                            "outputEPCList",
                            "outputQuantityList",
                        )
                    ],
                },
            ]
        },
    ),
}
EVENT_TYPES = tuple(_EVENTS)


def _one_of_ours(events: Mapping[str, Schema], *, others: Schema) -> list[Schema]:
    """By their type: so a mistake is told of the event that was meant, not of all that it is not."""
    cases: list[Schema] = [
        {"if": {"properties": {"type": {"const": kind}}}, "then": schema} for kind, schema in events.items()
    ]
    return [*cases, {"if": {"not": {"properties": {"type": {"enum": list(events)}}}}, "then": others}]


_EXTENDED: Schema = {
    "properties": {**_COMMON, "type": _URI},
    "required": ["eventTime", "eventTimeZoneOffset"],
}
_ANY_EVENT: Schema = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": _TEXT},
    "allOf": _one_of_ours(_EVENTS, others=_EXTENDED),
}
_VOCABULARIES = _list(
    {
        "type": "object",
        "properties": {
            "type": _URI,
            "vocabularyElementList": _list(
                {
                    "type": "object",
                    "properties": {
                        "id": _URI,
                        "attributes": _list(
                            {
                                "type": "object",
                                "properties": {
                                    "id": _URI,
                                    "attribute": {"type": ["number", "string", "object"]},
                                },
                                "required": ["id"],
                            }
                        ),
                        "children": _list(_URI),
                    },
                    "required": ["id"],
                }
            ),
        },
        "required": ["type"],
    }
)
_DOCUMENTS: Mapping[str, Schema] = {
    "EPCISDocument": _object(
        {
            "@context": _CONTEXT,
            "id": _URI,
            "type": _TEXT,
            "schemaVersion": _VERSION,
            "creationDate": _TIME,
            **dict.fromkeys(("instanceIdentifier", "sender", "receiver"), _TEXT),
            "epcisHeader": _object(
                {"epcisMasterData": {"type": "object", "properties": {"vocabularyList": _VOCABULARIES}}}
            ),
            "epcisBody": {
                "type": "object",
                "properties": {"eventList": _list(_ANY_EVENT)},
                "required": ["eventList"],
            },
        },
        "@context",
        "schemaVersion",
        "creationDate",
        "epcisBody",
    ),
    "EPCISQueryDocument": _object(
        {
            "@context": _CONTEXT,
            "id": _URI,
            "type": _TEXT,
            "schemaVersion": _VERSION,
            "creationDate": _TIME,
            "epcisBody": _object(
                {
                    "queryResults": _object(
                        {
                            "queryName": _TEXT,
                            "subscriptionID": _TEXT,
                            "resultsBody": _object(
                                {"eventList": _list(_ANY_EVENT), "vocabularyList": _VOCABULARIES}, "eventList"
                            ),
                        },
                        "queryName",
                        "resultsBody",
                    )
                },
                "queryResults",
            ),
        },
        "@context",
        "epcisBody",
    ),
}
_BARE: Mapping[str, Schema] = {
    kind: {"allOf": [schema, {"required": ["@context"]}]} for kind, schema in _EVENTS.items()
}

DOCUMENT_SCHEMA: Schema = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["type"],
    "properties": {"type": _TEXT},
    "allOf": _one_of_ours({**_DOCUMENTS, **_BARE}, others={"allOf": [_EXTENDED, {"required": ["@context"]}]}),
}
"""Of a document, of a query's answer, or of one event with its context."""


def mistakes(document: object) -> tuple[str, ...]:
    """What is wrong with a document, each with its place; nothing where it is one."""
    unkeepable = _unkeepable(document)
    if unkeepable is not None:
        return (unkeepable,)
    return tuple(
        _told(error) for error in sorted(_validator().iter_errors(document), key=lambda one: str(one.path))
    )


def _unkeepable(document: object) -> str | None:
    """The first thing that readers of JSON let through and that can be neither hashed nor kept.

    Walked without recursion: this is what keeps deeper documents from all that recurses into them.
    """
    left: list[tuple[tuple[str | int, ...], object]] = [((), document)]
    while left:
        path, value = left.pop()
        if len(path) > MOST_DEEP:
            return f"{_shown(path)}: more than {MOST_DEEP} levels deep"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{_shown(path)}: {value} is no number in JSON"
        if isinstance(value, int) and abs(value) > sys.float_info.max:
            return f"{_shown(path)}: a number that no double holds"
        if isinstance(value, str) and _NO_TEXT.search(value):
            return f"{_shown(path)}: NUL or half a surrogate pair, which is no text"
        if isinstance(value, Mapping):
            left += [((*path, name), name) for name in value]
            left += [((*path, name), inner) for name, inner in value.items()]
        elif isinstance(value, list):
            left += [((*path, number), inner) for number, inner in enumerate(value)]
    return None


_NO_TEXT: Final = re.compile("[\x00\ud800-\udfff]")


def _shown(path: Sequence[str | int]) -> str:
    return "/".join(map(str, path)).encode("utf-8", "backslashreplace").decode()


def _told(error: ValidationError) -> str:
    """The mistake that matters, of all that a choice between kinds reports."""
    inner = best_match([error]) if error.context else error
    assert isinstance(inner, ValidationError)
    place = "/".join(str(step) for step in inner.absolute_path) or "."
    return f"{place}: {inner.message[:300]}"


@cache
def _validator() -> Draft7Validator:
    return Draft7Validator(DOCUMENT_SCHEMA, format_checker=_formats())


def _formats() -> FormatChecker:
    checker = FormatChecker(formats=())
    checker.checks("uri")(lambda value: not isinstance(value, str) or is_uri(value))
    checker.checks("date-time")(lambda value: not isinstance(value, str) or is_time(value))
    return checker


def is_uri(text: str) -> bool:
    """With a scheme, and nothing that an address cannot hold; names with a prefix look the same."""
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>{}|\\^`]+", text) is not None


def is_time(text: str) -> bool:
    """RFC 3339, and not in the first or last day of the calendar: in UTC, or in the zone of whoever reads it, such a
    time may be in a year that databases and Python do not have."""
    form = r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})"
    if re.fullmatch(form, text, re.ASCII) is None:
        return False
    try:
        at = datetime.fromisoformat(re.sub(r"\.\d+", "", text.upper().replace("Z", "+00:00")))
        day = timedelta(days=1)
        return at.astimezone(UTC) - day < at.astimezone(UTC) + day
    except (ValueError, OverflowError):
        return False
