"""Event-hash ids against the published vectors; LYNCEUS_VECTORS names a folder with others of the same kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.where import vectors
from traceability.epcis.documents import Node, NoEvents, events_of_json, events_of_xml
from traceability.epcis.hashing import canonical_key, canonical_time, canonical_value, event_id, written_out

DOCUMENT = {
    "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
    "type": "EPCISDocument",
    "schemaVersion": "2.0",
    "creationDate": "2026-11-20T10:00:00Z",
}
EVENT = {
    "type": "ObjectEvent",
    "eventTime": "2026-11-20T10:00:00.000Z",
    "eventTimeZoneOffset": "+08:00",
    "action": "OBSERVE",
    "bizStep": "inspecting",
    "epcList": ["https://id.gs1.org/01/09520123456788/21/A", "https://id.gs1.org/01/09520123456788/21/B"],
    "sensorElementList": [{"sensorReport": [{"type": "Length", "value": 1.5, "uom": "MMT"}]}],
}


def events_of(file: Path) -> tuple[Node, ...]:
    if file.suffix == ".xml":
        return events_of_xml(file.read_bytes())
    return events_of_json(json.loads(file.read_text(encoding="utf-8")))


def documents(folder: str) -> list[Path]:
    found = sorted(vectors("epcis_hash", "tests", folder).iterdir())
    return [file for file in found if file.suffix in (".jsonld", ".json", ".xml")]


def event_of(**changed: object) -> Node:
    (event,) = events_of_json({**DOCUMENT, "epcisBody": {"eventList": [{**EVENT, **changed}]}})
    return event


def test_published_events_have_their_published_ids():
    files = documents("examples")
    assert files
    wrong = {}
    for file in files:
        expected = file.with_suffix(".hashes").read_text(encoding="utf-8").split()
        if (ids := [event_id(event) for event in events_of(file)]) != expected:
            wrong[file.name] = ids
    assert wrong == {}


def test_one_event_written_in_many_ways_has_one_id():
    files = documents("expected_equal")
    assert files
    for file in files:
        events = events_of(file)
        assert len(events) > 1, file.name
        assert len({event_id(event) for event in events}) == 1, file.name


def test_the_order_of_fields_and_list_members_means_nothing():
    other = {key: EVENT[key] for key in reversed(EVENT)}
    other["epcList"] = list(reversed(EVENT["epcList"]))
    assert event_id(event_of()) == event_id(
        events_of_json({**DOCUMENT, "epcisBody": {"eventList": [other]}})[0]
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"eventTime": "2026-11-20T10:00:00.001Z"},
        {"eventTimeZoneOffset": "+01:00"},
        {"action": "ADD"},
        {"bizStep": "repairing"},
        {"epcList": EVENT["epcList"][:1]},
        {"disposition": "conformant"},
        {"sensorElementList": [{"sensorReport": [{"type": "Length", "value": 1.6, "uom": "MMT"}]}]},
        {"example:own": "1"},
    ],
)
def test_an_event_that_says_something_else_has_another_id(changed: dict[str, object]):
    assert event_id(event_of(**changed)) != event_id(event_of())


@pytest.mark.parametrize(
    "changed",
    [
        {"recordTime": "2026-11-21T10:00:00Z"},
        {"eventID": "urn:uuid:0"},
        {"errorDeclaration": {"declarationTime": "2026-11-21T10:00:00Z"}},
        {"eventTime": "2026-11-20T18:00:00+08:00"},
        {"bizStep": "https://ref.gs1.org/cbv/BizStep-inspecting"},
        {"bizStep": "urn:epcglobal:cbv:bizstep:inspecting"},
        {"rdfs:comment": "what a person remarked"},
        {"sensorElementList": [{"sensorReport": [{"type": "Length", "value": 1.50, "uom": "MMT"}]}]},
    ],
)
def test_what_is_about_the_record_or_another_spelling_changes_no_id(changed: dict[str, object]):
    assert event_id(event_of(**changed)) == event_id(event_of())


def test_json_and_xml_write_truth_alike():
    report = {"type": "Dimensionless", "booleanValue": True}
    assert "booleanValue=true" in written_out(event_of(sensorElementList=[{"sensorReport": [report]}]))


@pytest.mark.parametrize(
    ("given_", "canonical"),
    [
        ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00.000Z"),
        ("2026-11-20T10:00:00.9996Z", "2026-11-20T10:00:01.000Z"),
        ("2026-12-31T23:59:59.9995Z", "2027-01-01T00:00:00.000Z"),
        ("2026-11-20T18:00:00.1239+08:00", "2026-11-20T10:00:00.124Z"),
        ("no time", "no time"),
        ("2026-13-40T10:00:00Z", "2026-13-40T10:00:00Z"),
    ],
)
def test_times_are_utc_and_rounded_to_the_millisecond(given_: str, canonical: str):
    assert canonical_time(given_) == canonical


@pytest.mark.parametrize(
    ("given_", "canonical"),
    [
        ("1.50", "1.5"),
        ("+007", "7"),
        ("26.0", "26"),
        ("-0.10", "-0.1"),
        ("1_000", "1_000"),
        ("nan", "nan"),
        (" a ", "a"),
    ],
)
def test_numbers_have_no_idle_zeros(given_: str, canonical: str):
    assert canonical_value(given_) == canonical


@pytest.mark.parametrize(
    ("given_", "canonical"),
    [
        ("https://example.com/gtin/9520123456788/lot/L/ser/A?exp=261231", "/01/09520123456788/21/A"),
        ("https://example.com/x/01/09520123456788/22/V/10/L/", "/01/09520123456788/10/L"),
        ("https://example.com/414/9520123456788/254/a", "/414/9520123456788/254/a"),
        ("urn:epc:id:sgtin:9520123.045678.a(b", "/01/09520123456788/21/a%28b"),
        ("https://example.com/01/123", None),
        ("https://example.com/414/9520123456788/21/a", None),
        ("urn:epc:id:sgtin:9520123.*.*", None),
        ("https://example.com/page", None),
    ],
)
def test_keys_are_constrained_canonical_digital_links(given_: str, canonical: str | None):
    assert canonical_key(given_) == (None if canonical is None else f"https://id.gs1.org{canonical}")


@given(st.text(max_size=60))
def test_what_is_canonical_stays_as_it_is(text: str):
    once = canonical_value(text)
    assert canonical_value(once) == once


@pytest.mark.parametrize(
    "text",
    ["", "<a/>", "not xml", '<!DOCTYPE x [<!ENTITY a "b">]><x><EventList/></x>'],
)
def test_xml_without_events_or_with_entities_is_refused(text: str):
    with pytest.raises(NoEvents):
        events_of_xml(text)


@pytest.mark.parametrize(
    "document", [{}, {"epcisBody": {}}, {"epcisBody": {"eventList": "x"}}, {"epcisBody": []}]
)
def test_json_without_events_is_refused(document: dict[str, object]):
    with pytest.raises(NoEvents):
        events_of_json(document)


def test_small_letters_in_a_time_mean_what_capitals_mean():
    """RFC 3339, 5.6."""
    assert canonical_time("2026-11-20t18:00:00.0004z") == canonical_time("2026-11-20T18:00:00.0004Z")
    assert canonical_time("2026-11-20t18:00:00z") == "2026-11-20T18:00:00.000Z"
    assert event_id(event_of(eventTime="2026-11-20t10:00:00z")) == event_id(event_of())


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59.9996Z", "0001-01-01T00:00:00+10:00"])
def test_a_time_that_leaves_the_calendar_is_left_as_it_is(text: str):
    assert canonical_time(text) == text
