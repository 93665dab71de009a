from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from inspection.errors import InspectionError
from services.problems import status_of
from traceability.errors import (
    CodeNotParsed,
    DatabaseUnreachable,
    PictureAltered,
    TooFewSubgroups,
    UnitUnknown,
)
from traceability.store import TraceStore

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (CodeNotParsed, 400),
        (UnitUnknown, 404),
        (TooFewSubgroups, 422),
        (DatabaseUnreachable, 503),
        (PictureAltered, 500),
        (InspectionError, 500),
    ],
)
def test_each_family_of_errors_has_its_status(kind, status):
    assert status_of(kind("It is so.", action="Do this.")) == status


def test_a_program_gets_a_problem_with_code_and_action(client):
    answer = client.get("/api/v1/units/C-404")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:lynceus:error:TRC-UNIT-UNKNOWN",
        "title": "Nothing is recorded under C-404.",
        "status": 404,
        "instance": "/api/v1/units/C-404",
        "code": "TRC-UNIT-UNKNOWN",
        "action": "Check the code, also its capitals, or search for a part of it.",
    }


def test_a_problem_speaks_the_language_of_the_request(client):
    answer = client.get("/api/v1/units/C-404", headers={"Accept-Language": "zh-CN,zh;q=0.9"})
    assert answer.headers["content-language"] == "zh"
    assert "C-404" in answer.json()["title"]
    assert answer.json()["title"] != "Nothing is recorded under C-404."


def test_a_person_gets_a_page(client):
    answer = client.get("/picture/nonsense?inspection=1", headers=BROWSER)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")
    assert "SVC-REQUEST-INVALID" in answer.text


def test_an_address_that_is_not_there_is_a_problem_too(client):
    assert client.get("/api/v1/nothing").json()["code"] == "SVC-PAGE-UNKNOWN"
    assert "SVC-PAGE-UNKNOWN" in client.get("/nothing", headers=BROWSER).text


def test_a_method_that_is_not_taken_is_a_problem_that_names_those_that_are(client):
    answer = client.post("/api/v1/station")
    assert (answer.status_code, answer.json()["code"]) == (405, "SVC-METHOD-REFUSED")
    assert answer.headers["allow"] == "GET"


def test_what_a_request_says_is_not_markup_on_the_error_page(client):
    answer = client.get("/%3Cscript%3Ealert(1)%3C/script%3E", headers=BROWSER)
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_a_mistake_of_ours_is_a_page_without_its_inside_and_keeps_the_policy(station):
    broken = replace(station, store=_BrokenStore(station.store))
    client = TestClient(broken.app(), raise_server_exceptions=False)
    answer = client.get("/api/v1/units/C-1")
    assert (answer.status_code, answer.json()["code"]) == (500, "SVC-UNEXPECTED")
    assert "secret" not in answer.text
    assert "content-security-policy" in answer.headers


class _BrokenStore(TraceStore):
    def __init__(self, store: TraceStore) -> None:
        super().__init__(store._engine)

    def inspections_of(self, unit: object) -> Iterator[None]:  # type: ignore[override]
        raise ZeroDivisionError("secret")
