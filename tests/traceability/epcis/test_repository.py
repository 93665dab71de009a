from __future__ import annotations

import copy
import itertools
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.types import Verdict
from tests.builders import NOON, a_defect, a_measurement, an_inspection
from tests.where import vectors
from traceability import tables
from traceability.codes import CodeRegister
from traceability.epcis.documents import events_of_json
from traceability.epcis.events import (
    DECIDED,
    INSPECTED,
    MADE,
    OF_CODES,
    alone,
    code_of_epc,
    document,
    epc_of,
    inspected,
    key_of_epc,
    made_from,
    place_uri,
    query_document,
    station_and_lane,
    with_id,
)
from traceability.epcis.hashing import event_id
from traceability.epcis.queries import MATCHES, Query, fits, items_of, place_of
from traceability.epcis.repository import EpcisRepository
from traceability.epcis.schema import MOST_DEEP, mistakes
from traceability.epcis.sources import own_sources
from traceability.errors import EventsRefused
from traceability.genealogy.cuts import Link, LinkKind
from traceability.genealogy.recording import record
from traceability.holds import DECISIONS, Decision, place, release
from traceability.identifiers import parse
from traceability.store import TraceStore
from traceability.verification import verify

COIL = parse("86.100.12/COIL-1")
SLAB = parse("86.100.12/SLAB-1")
PART = parse("(01)09520123456788(21)A7")
CODES = (
    COIL,
    PART,
    parse("C-17卷"),
    parse("urn:oid:1.2.156.3"),
    parse("ecode:2123445678"),
    parse("ecode:4000016卷>7"),
    parse("VAA0881001/x"),
)
RECEIVED: dict[str, Any] = {
    "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
    "type": "EPCISDocument",
    "schemaVersion": "2.0",
    "creationDate": "2026-11-20T12:00:00Z",
    "epcisBody": {
        "eventList": [
            {
                "type": "ObjectEvent",
                "eventTime": "2026-11-20T11:00:00Z",
                "eventTimeZoneOffset": "+08:00",
                "action": "OBSERVE",
                "bizStep": "receiving",
                "disposition": "in_progress",
                "epcList": ["urn:epc:id:sgtin:9520123.045678.A7"],
            }
        ]
    },
}


@pytest.fixture
def epcis(store: TraceStore) -> EpcisRepository:
    return EpcisRepository(store)


def a_document(**changed: Any) -> dict[str, Any]:
    made = copy.deepcopy(RECEIVED)
    made["epcisBody"]["eventList"][0] |= changed
    return made


def found(epcis: EpcisRepository, **asked: Any) -> list[dict[str, Any]]:
    return epcis.find(Query(**asked), after=None, limit=100)


@pytest.mark.parametrize("code", CODES, ids=str)
def test_the_uri_of_a_unit_in_events_leads_back_to_its_code(code):
    assert code_of_epc(epc_of(code)) == code


def test_an_inspection_is_told_with_what_looked_measured_and_decided():
    seen = an_inspection(
        unit=PART, verdict=Verdict.REJECT, defects=(a_defect(), a_defect()), measurements=(a_measurement(),)
    )
    event = inspected(seen)
    assert mistakes(document([event], at=NOON)) == ()
    assert (event["bizStep"], event["disposition"]) == ("inspecting", "non_conformant")
    (element,) = event["sensorElementList"]
    assert element["sensorReport"][0] == {
        "type": "Count",
        "value": 2,
        "uom": "H87",
        "exception": "ALARM_CONDITION",
    }
    assert element["sensorReport"][1]["uom"] == "MMT"
    assert seen.recipe.sha256 in element["sensorMetadata"]["dataProcessingMethod"]
    assert any(seen.models[0].sha256 in one for one in event["lynceus:model"])


@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_what_was_accepted_is_called_conformant(verdict: Verdict):
    event = inspected(an_inspection(verdict=verdict))
    assert (event["disposition"] == "conformant") == (verdict is Verdict.ACCEPT)


def test_an_event_of_ours_has_the_id_of_what_it_says_wherever_it_is_made():
    seen = an_inspection(unit=PART)
    assert inspected(seen) == inspected(seen)
    assert inspected(seen)["eventID"] != inspected(an_inspection(unit=COIL))["eventID"]
    event = inspected(seen)
    assert with_id(event)["eventID"] == event["eventID"]
    assert mistakes(document([event], at=NOON)) == ()


@pytest.mark.parametrize(
    ("kind", "type_"),
    [(kind, "TransformationEvent") for kind in LinkKind if kind not in (LinkKind.ASSEMBLE, LinkKind.REPACK)]
    + [(LinkKind.ASSEMBLE, "AssociationEvent"), (LinkKind.REPACK, "AggregationEvent")],
)
def test_what_was_made_of_what_is_told_by_kind(kind: LinkKind, type_: str):
    links = [Link(id=UUID(int=1), parent=SLAB, child=COIL, kind=kind)]
    (event,) = made_from(COIL, links, NOON)
    assert event["type"] == type_
    assert mistakes(document([event], at=NOON)) == ()


def test_a_document_is_taken_in_once_however_often_it_comes(epcis: EpcisRepository):
    first = epcis.capture(RECEIVED, by=None)
    assert (first.has_succeeded, first.events) == (True, 1)
    epcis.capture(a_document(recordTime="2026-11-21T00:00:00Z"), by=None)
    (event,) = found(epcis)
    assert event["eventID"].startswith("ni:///sha-256;")
    assert epcis.event(event["eventID"]) is not None
    assert epcis.captured(first.id) == first


@pytest.mark.parametrize(
    "spoilt",
    [
        {},
        {**RECEIVED, "epcisBody": {}},
        a_document(eventTime="yesterday"),
        a_document(epcList=["no address"]),
        a_document(eventID="ni:///sha-256;" + "0" * 64 + "?ver=CBV2.0"),
        {**RECEIVED, "epcisBody": {"eventList": RECEIVED["epcisBody"]["eventList"] * 1001}},
    ],
)
def test_of_a_document_with_a_mistake_nothing_is_taken_in(epcis: EpcisRepository, spoilt: object):
    with pytest.raises(EventsRefused) as refused:
        epcis.capture(spoilt, by=None)
    job = epcis.captured(UUID(str(refused.value.facts["job"])))
    assert job is not None
    assert not job.has_succeeded
    assert job.mistakes
    assert found(epcis) == []


def test_an_id_of_the_senders_own_is_kept(epcis: EpcisRepository):
    epcis.capture(a_document(eventID="urn:uuid:7"), by=None)
    assert found(epcis)[0]["eventID"] == "urn:uuid:7"


@pytest.mark.parametrize(
    "own", [{}, {"eventID": "urn:uuid:7"}], ids=["by its hash", "by an id of the sender's"]
)
def test_that_an_event_was_declared_to_be_in_error_is_kept_beside_it(
    epcis: EpcisRepository, own: dict[str, str]
):
    epcis.capture(a_document(**own), by=None)
    (event,) = found(epcis)
    assert "errorDeclaration" not in epcis.event(event["eventID"])
    for reason in ("incorrect_data", "did_not_occur", "did_not_occur"):
        declared = {"declarationTime": "2026-11-21T10:00:00Z", "reason": reason}
        epcis.capture(a_document(**own, errorDeclaration=declared), by=None)
    told = found(epcis)
    assert [one.get("errorDeclaration", {}).get("reason") for one in told].count(None) == 1
    assert {one["eventID"] for one in told} == {event["eventID"]}
    assert len(told) == len(found(epcis, event_ids=(event["eventID"],))) == 3
    assert epcis.event(event["eventID"])["errorDeclaration"]["reason"] == "did_not_occur"
    # Of one moment and one id: a page that ends between them loses none.
    (first, *_) = epcis.find(Query(), after=None, limit=1)
    assert epcis.find(Query(), after=place_of(first), limit=100) == told[1:]
    assert verify(epcis._store).findings == ()


def test_an_id_of_the_senders_own_stands_for_one_event_and_another_under_it_is_refused(
    epcis: EpcisRepository,
):
    epcis.capture(a_document(eventID="urn:uuid:7"), by=None)
    with pytest.raises(EventsRefused, match="urn:uuid:7 is the eventID of an event that says something else"):
        epcis.capture(a_document(eventID="urn:uuid:7", disposition="damaged"), by=None)
    twice = a_document(eventID="urn:uuid:8")
    twice["epcisBody"]["eventList"].append({**twice["epcisBody"]["eventList"][0], "disposition": "damaged"})
    with pytest.raises(EventsRefused, match="event 1: urn:uuid:8"):
        epcis.capture(twice, by=None)
    # The same in another spelling is the same.
    epcis.capture(a_document(eventID="urn:uuid:7", eventTime="2026-11-20T19:00:00+08:00"), by=None)
    assert [one["eventID"] for one in found(epcis)] == ["urn:uuid:7"]


def test_what_was_taken_in_says_the_same_to_whoever_asks_for_it(epcis: EpcisRepository):
    """Fields of the senders' own too: each document declares what their prefixes mean, and an answer holds events of
    many. So the hashes of the published examples are the same there."""
    files = sorted(vectors("epcis_hash", "tests", "examples").glob("*.jsonld"))
    said = set()
    for file in files:
        # Two have ids that are not those of what they say.
        if file.stem not in ("epcisDocHavingEventWithComment", "epcisQueryDocument"):
            received = json.loads(file.read_text(encoding="utf-8"))
            epcis.capture(received, by=None)
            said |= {event_id(one) for one in events_of_json(received)}
    assert len(said) > 20
    answer = query_document(found(epcis), at=NOON)
    assert mistakes(answer) == ()
    assert {event_id(one) for one in events_of_json(answer)} == said
    assert {event_id(one) for event in found(epcis) for one in events_of_json(alone(event))} == said


def test_of_a_field_that_a_document_calls_a_repositorys_own_nothing_is_kept_and_of_the_standards_none_is(
    epcis: EpcisRepository,
):
    received = a_document(**{"repo:captured": "yesterday", "repo:by": "somebody"})
    received["@context"].append({"repo": "https://repository.example.com/"})
    received["repo:ignoreFields"] = ["repo:captured", "eventTime", "type", "epcList"]
    epcis.capture(received, by=None)
    (event,) = found(epcis)
    assert {"repo:captured", "repo:by"} & event.keys() == {"repo:by"}
    assert event["epcList"] == received["epcisBody"]["eventList"][0]["epcList"]


@pytest.mark.parametrize(
    ("changed", "mistake"),
    [
        ({"epcList": ["urn:x:a\0b"]}, "epcList/0: NUL or half a surrogate pair"),
        ({"ex:said": {"ex:\ud800": 1}}, "ex:said/ex:.*NUL or half a surrogate pair"),
        ({"ex:weight": 10**400}, "ex:weight: a number that no double holds"),
        ({"epcList": [f"urn:x:{'y' * 3000}"]}, "an id of 3006 bytes; 1000 are kept"),
        ({"eventID": f"urn:x:{'卷' * 500}"}, "an id of 1506 bytes"),
    ],
)
def test_what_no_database_keeps_is_a_mistake(epcis: EpcisRepository, changed: dict[str, Any], mistake: str):
    with pytest.raises(EventsRefused, match=mistake) as refused:
        epcis.capture(a_document(**changed), by=None)
    str(refused.value).encode()
    assert found(epcis) == []


def test_events_taken_in_and_our_own_are_found_together_under_any_spelling(
    epcis: EpcisRepository, store: TraceStore
):
    store.record([an_inspection(unit=PART, started_at=NOON, finished_at=NOON), an_inspection(unit=COIL)])
    epcis.capture(RECEIVED, by=None)
    for epc in ("urn:epc:id:sgtin:9520123.045678.A7", "https://e.com/01/09520123456788/21/A7?17=261231"):
        told = found(epcis, matches={"MATCH_epc": (epc,)})
        assert [event["bizStep"] for event in told] == ["receiving", "inspecting"]
    assert mistakes(query_document(told, at=NOON)) == ()
    assert found(epcis, matches={"MATCH_epc": ("urn:epc:id:sgtin:9520123.045678.NONE",)}) == []


def test_events_are_found_under_every_code_of_the_unit(epcis: EpcisRepository, store: TraceStore):
    store.record([an_inspection(unit=PART)])
    CodeRegister(store).bind(parse("C-17"), PART)
    told = found(epcis, matches={"MATCH_anyEPC": (epc_of(parse("C-17")),)})
    assert [event["bizStep"] for event in told] == ["inspecting", "commissioning"]


def test_commissioning_transformation_and_retirement_are_told(epcis: EpcisRepository, store: TraceStore):
    codes = CodeRegister(store)
    codes.register(COIL, reason="rolled")
    record(store, links=[Link(id=UUID(int=1), parent=SLAB, child=COIL, kind=LinkKind.ROLL)])
    codes.retire(COIL, reason="slit")
    told = found(epcis, matches={"MATCH_anyEPC": (epc_of(COIL),)})
    assert sorted(event["type"] for event in told) == ["ObjectEvent", "ObjectEvent", "TransformationEvent"]
    assert {event.get("bizStep") for event in told} == {"commissioning", "decommissioning", None}
    assert [event["type"] for event in found(epcis, matches={"MATCH_inputEPC": (epc_of(SLAB),)})] == [
        "TransformationEvent"
    ]
    assert found(epcis, matches={"MATCH_outputEPC": (epc_of(SLAB),)}) == []


@pytest.mark.parametrize(
    ("decision", "disposition"),
    [("use_as_is", "available"), ("rework", "in_progress"), ("scrap", "non_sellable_other")],
)
def test_a_hold_and_what_was_decided_are_told_without_their_reasons(
    epcis: EpcisRepository, store: TraceStore, decision: Decision, disposition: str
):
    codes = CodeRegister(store)
    codes.register(COIL, reason="rolled")
    codes.register(SLAB, reason="cast")
    place(store, [COIL], ids=[UUID(int=1)], reason="Li Wei saw rust", at=NOON, by="Li Wei")
    held = found(epcis, matches={"MATCH_epc": (epc_of(COIL),)}, biz_steps=("holding",))
    later = NOON + timedelta(hours=1)
    release(store, COIL, id=UUID(int=2), decision=decision, reason="Li Wei wiped it", at=later, by="Li Wei")
    told = found(epcis, since=NOON, until=later + timedelta(seconds=1))
    assert [event["eventID"] for event in told[:1]] == [event["eventID"] for event in held]
    assert [(event["disposition"], event.get("lynceus:decision")) for event in told] == [
        ("non_sellable_other", None),
        (disposition, decision),
    ]
    assert found(epcis, matches={"MATCH_epc": (epc_of(SLAB),)}, biz_steps=("holding",)) == []
    assert mistakes(query_document(told, at=NOON)) == ()
    assert "Li Wei" not in repr(told)


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"biz_steps": ("receiving",)}, 1),
        ({"biz_steps": ("urn:epcglobal:cbv:bizstep:receiving",)}, 1),
        ({"biz_steps": ("inspecting",)}, 1),
        ({"biz_steps": ("shipping",)}, 0),
        ({"dispositions": ("conformant",)}, 1),
        ({"actions": ("OBSERVE",)}, 2),
        ({"kinds": ("AggregationEvent",)}, 0),
        ({"since": NOON}, 1),
        ({"until": NOON}, 1),
        ({"recorded_until": NOON + timedelta(minutes=1)}, 1),
        ({"read_points": ("urn:x-lynceus:station:demo:strip",)}, 1),
    ],
)
def test_conditions_hold_for_both(
    epcis: EpcisRepository, store: TraceStore, asked: dict[str, Any], count: int
):
    store.record([an_inspection(unit=PART, verdict=Verdict.ACCEPT, finished_at=NOON)])
    epcis.capture(RECEIVED, by=None)
    assert len(found(epcis, **asked)) == count


def test_pages_hold_every_event_once_also_those_of_one_moment(epcis: EpcisRepository, store: TraceStore):
    store.record([an_inspection(unit=parse(f"C-{number}"), finished_at=NOON) for number in range(7)])
    store.record(
        [an_inspection(unit=PART, finished_at=NOON + timedelta(seconds=number)) for number in range(5)]
    )
    epcis.capture(RECEIVED, by=None)
    seen: list[str] = []
    after = None
    while True:
        page = epcis.find(Query(), after=after, limit=3)
        seen += [event["eventID"] for event in page[:3]]
        if len(page) <= 3:
            break
        after = place_of(page[2])
    assert len(seen) == len(set(seen)) == 13


def test_a_rare_event_is_found_behind_more_others_than_a_page_holds(
    epcis: EpcisRepository, store: TraceStore
):
    store.record(
        [
            an_inspection(verdict=verdict, finished_at=NOON + timedelta(seconds=second))
            for second, verdict in enumerate([Verdict.ACCEPT] * 32 + [Verdict.REJECT])
        ]
    )
    (event,) = epcis.find(Query(dispositions=("non_conformant",)), after=None, limit=30)
    assert event["lynceus:verdict"] == "REJECT"


def test_a_received_event_is_found_behind_more_that_name_its_class_as_something_else(
    epcis: EpcisRepository, store: TraceStore
):
    """They were kept under one role by earlier versions, so only the events tell them apart."""
    for minute in range(9):
        epcis.capture(a_transformation(minute, inputs=LOT, outputs=OTHER_LOT), by=None)
    epcis.capture(a_transformation(9, inputs=OTHER_LOT, outputs=LOT), by=None)
    with store.writing() as connection:
        connection.execute(tables.epcis_item.update().values(role="class"))
    (event,) = epcis.find(Query(matches={"MATCH_outputEPCClass": (LOT,)}), after=None, limit=2)
    assert event["eventTime"] == "2026-11-20T11:09:00Z"


LOT = "urn:epc:class:lgtin:9520123.045678.L"
OTHER_LOT = "urn:epc:class:lgtin:9520123.045678.M"


def a_transformation(minute: int, *, inputs: str, outputs: str) -> dict[str, Any]:
    made = copy.deepcopy(RECEIVED)
    made["epcisBody"]["eventList"] = [
        {
            "type": "TransformationEvent",
            "eventTime": f"2026-11-20T11:{minute:02}:00Z",
            "eventTimeZoneOffset": "+08:00",
            "inputQuantityList": [{"epcClass": inputs}],
            "outputQuantityList": [{"epcClass": outputs}],
        }
    ]
    return made


@pytest.mark.parametrize(
    ("parameter", "count"),
    [
        ("MATCH_epcClass", 0),
        ("MATCH_inputEPCClass", 1),
        ("MATCH_outputEPCClass", 0),
        ("MATCH_anyEPCClass", 1),
    ],
)
def test_a_class_is_found_as_what_it_took_part(epcis: EpcisRepository, parameter: str, count: int):
    epcis.capture(a_transformation(0, inputs=LOT, outputs=OTHER_LOT), by=None)
    assert len(found(epcis, matches={parameter: (LOT,)})) == count


def a_history(store: TraceStore) -> None:
    """Of every sort of record one that events tell of, and of every verdict an inspection."""
    codes = CodeRegister(store)
    for code in (COIL, SLAB, PART):
        codes.register(code, reason="made")
    kinds = (LinkKind.ROLL, LinkKind.REWORK, LinkKind.ASSEMBLE, LinkKind.REPACK)
    links = [
        Link(id=UUID(int=number), parent=SLAB, child=parse(f"86.100.12/{kind}"), kind=kind)
        for number, kind in enumerate(kinds, 1)
    ]
    record(store, links=links)
    store.record(
        [
            an_inspection(unit=COIL, verdict=verdict, lane=lane, finished_at=NOON + timedelta(seconds=number))
            for number, (verdict, lane) in enumerate(itertools.product(Verdict, ("strip", "卷:1")))
        ]
    )
    for number, decision in enumerate(DECISIONS):
        at = NOON + timedelta(minutes=number)
        place(store, [COIL], ids=[UUID(int=10 + number)], reason="rust", at=at, by="Li Wei")
        release(store, COIL, id=UUID(int=20 + number), decision=decision, reason="seen", at=at, by="Li Wei")
    codes.retire(PART, reason="shipped")


ALL_WORDS = [*INSPECTED.values(), *OF_CODES.values(), *DECIDED.values(), *MADE.values()]
QUESTIONS: list[dict[str, Any]] = [
    *({"kinds": (kind,)} for kind in sorted({words.type for words in ALL_WORDS})),
    *({"actions": (action,)} for action in ("OBSERVE", "ADD", "DELETE")),
    *(
        {"biz_steps": (step,)}
        for step in ("holding", "packing", *sorted({w.biz_step for w in ALL_WORDS} - {None}))
    ),
    *({"dispositions": (one,)} for one in sorted({w.disposition for w in ALL_WORDS} - {None})),
    *({"read_points": (place_uri("demo", lane),)} for lane in ("strip", "卷:1", "nowhere")),
    {"read_points": ("urn:x-lynceus:station:demo",)},
    *({"matches": {parameter: (epc_of(unit),)}} for parameter in MATCHES for unit in (COIL, SLAB, PART)),
    {"dispositions": ("unknown",), "read_points": (place_uri("demo", "strip"),)},
    {"dispositions": ("conformant",), "biz_steps": ("holding",)},
]


@pytest.mark.parametrize(
    ("asked", "searched"),
    [
        ({}, 5),
        ({"biz_steps": ("receiving",)}, 0),
        ({"biz_steps": ("inspecting",)}, 1),
        ({"kinds": ("AggregationEvent",)}, 1),
        ({"actions": ("DELETE",)}, 1),
        ({"dispositions": ("non_sellable_other",)}, 2),
        ({"read_points": (place_uri("demo", "strip"),)}, 1),
        ({"read_points": ("urn:x:elsewhere",)}, 0),
        ({"matches": {"MATCH_parentID": (epc_of(SLAB),)}}, 1),
        ({"matches": {"MATCH_epcClass": (epc_of(SLAB),)}}, 0),
    ],
)
def test_records_that_never_say_what_is_asked_are_not_searched(asked: dict[str, Any], searched: int):
    assert len(own_sources(Query(**asked), None)) == searched


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ({"dispositions": ("non_conformant",)}, 2),
        ({"dispositions": ("unknown",), "read_points": (place_uri("demo", "strip"),)}, 2),
        ({"biz_steps": ("decommissioning",)}, 1),
        ({"kinds": ("AssociationEvent",)}, 1),
        ({"dispositions": ("in_progress",)}, 1),
    ],
)
def test_the_database_hands_out_only_rows_of_what_is_asked(
    store: TraceStore, asked: dict[str, Any], rows: int
):
    a_history(store)
    (source,) = own_sources(Query(**asked), None)
    with store.reading() as connection:
        assert len(connection.execute(source.rows).all()) == rows


def test_no_question_loses_an_event_that_is_found_without_it(epcis: EpcisRepository, store: TraceStore):
    """The database is asked for less than all; what it leaves out must be what nobody asked for."""
    a_history(store)
    everything = found(epcis)
    assert len(everything) > 20
    for asked in QUESTIONS:
        query = Query(**asked)
        expected = [event["eventID"] for event in everything if fits(event, query)]
        assert [event["eventID"] for event in found(epcis, **asked)] == expected, asked


@given(st.text(), st.text())
def test_a_read_point_leads_back_to_station_and_lane(station: str, lane: str):
    assert station_and_lane(place_uri(station, lane)) == (station, lane)


@pytest.mark.parametrize(
    "uri", ["urn:x-lynceus:station:demo", "urn:x-lynceus:station:d%65mo:strip", "urn:x:y"]
)
def test_what_is_no_read_point_of_ours_has_no_station(uri: str):
    assert station_and_lane(uri) is None


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59.9996Z", "9999-12-31T23:59:59-14:00"]
)
def test_a_time_that_leaves_the_calendar_in_utc_is_a_mistake(epcis: EpcisRepository, at: str):
    with pytest.raises(EventsRefused, match="eventList/0/eventTime"):
        epcis.capture(a_document(eventTime=at), by=None)


def nested(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"ex:in": inner}
    return inner


def test_a_document_that_is_nested_too_deep_is_a_mistake_and_one_at_the_limit_is_kept(epcis: EpcisRepository):
    with pytest.raises(EventsRefused, match="levels deep"):
        epcis.capture(a_document(**{"ex:in": nested(400)}), by=None)
    in_the_document = len(("epcisBody", "eventList", 0, "ex:in"))
    epcis.capture(a_document(**{"ex:in": nested(MOST_DEEP - in_the_document)}), by=None)
    (event,) = found(epcis)
    assert "ex:in" in event


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_have_is_a_mistake(epcis: EpcisRepository, number: float):
    with pytest.raises(EventsRefused, match="no number"):
        epcis.capture(a_document(**{"ex:weight": number}), by=None)


def test_one_key_stands_for_all_spellings_of_an_epc():
    assert key_of_epc("urn:epc:id:sgtin:9520123.045678.A7") == key_of_epc(
        "https://x.com/gtin/9520123456788/ser/A7"
    )
    assert key_of_epc("urn:epc:id:sgln:1.2") == "urn:epc:id:sgln:1.2"
    assert items_of({"quantityList": [{"epcClass": "urn:epc:class:lgtin:9520123.045678.L"}]}) == {
        ("class", "gs1 (01)09520123456788(10)L")
    }
