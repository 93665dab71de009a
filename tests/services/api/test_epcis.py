from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from inspection.types import Verdict
from tests.builders import an_inspection
from tests.services.signed_in import signed_in
from tests.traceability.epcis.test_repository import PART, RECEIVED, a_document
from traceability.accounts import Role
from traceability.epcis.events import epc_of


@pytest.fixture
def integrator(station) -> TestClient:
    return signed_in(station.app(), Role.INTEGRATOR)


def test_a_document_is_taken_in_and_its_job_says_so(integrator, client):
    answer = integrator.post("/epcis/capture", json=RECEIVED)
    assert (answer.status_code, answer.headers["GS1-EPCIS-Version"]) == (202, "2.0.0")
    job = client.get(answer.headers["location"]).json()
    assert (job["success"], job["running"], job["errors"]) == (True, False, [])
    told = client.get("/epcis/events").json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    assert client.get(f"/epcis/events/{quote(told[0]['eventID'], safe='')}").json()["bizStep"] == "receiving"


def test_nothing_is_taken_in_from_whoever_has_no_right(client, station):
    assert client.post("/epcis/capture", json=RECEIVED).json()["code"] == "SVC-SIGN-IN-NEEDED"
    operator = signed_in(station.app(), Role.OPERATOR)
    assert operator.post("/epcis/capture", json=RECEIVED).json()["code"] == "SVC-RIGHT-MISSING"
    assert client.get("/epcis/events").json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"] == []


def test_a_mistake_is_told_with_its_place(integrator):
    answer = integrator.post("/epcis/capture", json=a_document(eventTime="yesterday"))
    assert (answer.status_code, answer.json()["code"]) == (400, "TRC-EVENTS-REFUSED")
    assert "epcisBody/eventList/0/eventTime" in answer.json()["title"]


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"x" * 4_000_001])
def test_a_body_that_is_no_document_is_refused(integrator, body):
    assert integrator.post("/epcis/capture", content=body).status_code in (400, 422)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "-1e999"])
def test_a_number_that_json_does_not_have_is_refused_and_spoils_no_later_answer(integrator, client, number):
    body = json.dumps(a_document(**{"ex:weight": 7})).replace('"ex:weight": 7', f'"ex:weight": {number}')
    answer = integrator.post("/epcis/capture", content=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "SVC-REQUEST-INVALID")
    assert client.get("/epcis/events").status_code == 200


@pytest.mark.parametrize("kind", [None, "application/ld+json", "application/json", "text/plain"])
def test_a_document_is_taken_in_whatever_its_sender_calls_it(integrator, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    answer = integrator.post("/epcis/capture", content=json.dumps(RECEIVED), headers=headers)
    assert answer.status_code == 202


@pytest.mark.parametrize("address", ["/epcis/capture", "/epcis/events"])
def test_a_document_that_is_sent_as_a_form_is_refused_with_what_to_call_it(integrator, address):
    """As programs do that are not told otherwise: by then it has been read as one."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = integrator.post(address, content=json.dumps(RECEIVED), headers=headers)
    assert (answer.status_code, "application/ld+json" in answer.json()["title"]) == (422, True)


@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream"])
@pytest.mark.parametrize("epc", ["urn:x:\0", "urn:x:\ud800"])
def test_what_is_no_text_is_refused_whatever_its_sender_calls_it(integrator, kind, epc):
    body = json.dumps(a_document(epcList=[epc]))
    answer = integrator.post("/epcis/capture", content=body, headers={"Content-Type": kind})
    assert answer.status_code in (400, 422)


def test_what_is_nested_too_deep_to_be_kept_is_refused(integrator):
    body = json.dumps(a_document(**{"ex:in": 7})).replace('"ex:in": 7', f'"ex:in": {"[" * 400}{"]" * 400}')
    answer = integrator.post("/epcis/capture", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "TRC-EVENTS-REFUSED")


def test_one_event_is_taken_in_with_its_context(integrator, client):
    event = {"@context": RECEIVED["@context"], **RECEIVED["epcisBody"]["eventList"][0]}
    assert integrator.post("/epcis/events", json=event).status_code == 201
    assert (
        client.get("/epcis/eventTypes/ObjectEvent/events?EQ_bizStep=receiving").text.count("receiving") == 1
    )


def test_one_event_is_answered_with_what_its_sender_said_of_the_prefixes(integrator, client):
    (event,) = RECEIVED["epcisBody"]["eventList"]
    names = {"mill": "https://mill.example.com/"}
    given = {"@context": [*RECEIVED["@context"], names], **event, "eventID": "urn:uuid:7", "mill:heat": "H-7"}
    assert integrator.post("/epcis/events", json=given).status_code == 201
    told = client.get("/epcis/events/urn:uuid:7").json()
    assert (names in told["@context"], told["mill:heat"]) == (True, "H-7")


def test_pages_follow_one_another_by_their_links(station, client):
    for _ in range(3):
        station.finishes(an_inspection(unit=PART, verdict=Verdict.ACCEPT))
    url, seen = f"/epcis/events?perPage=2&MATCH_anyEPC={epc_of(PART)}", []
    while url:
        answer = client.get(url)
        seen += answer.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        url = answer.links["next"]["url"] if "next" in answer.links else ""
    assert len({event["eventID"] for event in seen}) == len(seen) == 3


@pytest.mark.parametrize(
    "query",
    [
        "EQ_nothing=1",
        "orderBy=x",
        "eventCountLimit=1",
        "maxEventCount=1",
        "nextPageToken=x",
        "nextPageToken=MDAwMS0wMS0wMVQwMDowMDowMCsxMDowMCB4",
        "perPage=0",
        "GE_eventTime=today",
        "EXISTS_ilmd=",
    ],
)
def test_a_condition_that_is_not_understood_is_refused_and_not_left_out(client, query):
    assert client.get(f"/epcis/events?{query}").status_code == 422


def test_a_rare_event_behind_a_page_of_others_is_found_by_its_disposition(station, client):
    for _ in range(32):
        station.finishes(an_inspection(unit=PART, verdict=Verdict.ACCEPT))
    station.finishes(an_inspection(unit=PART, verdict=Verdict.REJECT))
    answer = client.get("/epcis/events?EQ_disposition=non_conformant").json()
    assert len(answer["epcisBody"]["queryResults"]["resultsBody"]["eventList"]) == 1


@pytest.mark.parametrize(
    "parameter", ["MATCH_epc", "MATCH_parentID", "MATCH_inputEPC", "MATCH_outputEPC", "MATCH_anyEPC"]
)
def test_a_pattern_where_one_unit_is_asked_for_is_refused_and_not_answered_with_nothing(client, parameter):
    answer = client.get(f"/epcis/events?{parameter}=urn:epc:idpat:sgtin:9520123.045678.*")
    assert (answer.status_code, answer.json()["code"]) == (422, "SVC-REQUEST-INVALID")
    assert "pattern" in answer.json()["title"]


@pytest.mark.parametrize(
    "parameter", ["MATCH_epcClass", "MATCH_inputEPCClass", "MATCH_outputEPCClass", "MATCH_anyEPCClass"]
)
def test_a_pattern_is_a_class(client, parameter):
    assert client.get(f"/epcis/events?{parameter}=urn:epc:idpat:sgtin:9520123.045678.*").status_code == 200


@pytest.mark.parametrize(
    "path", ["/epcis/events/urn:uuid:0", "/epcis/capture/01a1f891-eac9-777d-b0a2-f33ba62bc3a3"]
)
def test_what_was_never_taken_in_is_not_found(client, path):
    assert client.get(path).json()["code"] == "SVC-EVENT-UNKNOWN"
