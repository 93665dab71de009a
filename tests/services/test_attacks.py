"""What was tried against the service, and what it does: the table of docs/access.md, where no other test has it."""

from __future__ import annotations

import pytest

from tests.a_station import an_empty_station, needs_libraries
from tests.databases import ENGINES, a_database
from tests.services.signed_in import signed_in
from traceability.accounts import Role

HTML = {"Accept": "text/html"}

INJECTED = ("' OR 1=1 --", '" OR ""="', "'; DROP TABLE account; --", "%", "_", "\\", "\x00", "${7*7}{{7*7}}")
MARKUP = '"><img src=x onerror=alert(1)><script>alert(1)</script>'


@pytest.mark.parametrize("text", INJECTED)
def test_what_is_searched_for_is_text_and_nothing_else(station, text):
    engineer = signed_in(station.app(), Role.ENGINEER)
    engineer.post(
        "/api/v1/cases", json={"source": "other", "key": "k", "title": "An ordinary title", "text": "-"}
    )
    found = engineer.get("/api/v1/cases", params={"search": text})
    assert found.status_code == 422 if text == "\x00" else found.json() == []
    assert engineer.get("/api/v1/units", params={"find": text}).status_code in (200, 422)
    assert engineer.post("/api/v1/session", json={"name": text, "password": text}).status_code in (401, 422)
    assert len(engineer.get("/api/v1/cases").json()) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/trace?code={}",
        "/cases?search={}",
        "/cases?title={}",
        "/review?lane={}",
        "/spc?lane={}",
        "/sign-in?next={}",
    ],
)
def test_markup_that_comes_with_an_address_is_shown_as_text(station, path):
    station.runs()
    operator = signed_in(station.app(), Role.ENGINEER)
    shown = operator.get(path.format(MARKUP), headers=HTML).text
    assert "<img src=x" not in shown
    assert "<script>alert" not in shown


@pytest.mark.parametrize(
    "path",
    [
        "/static/../access.py",
        "/static/%2e%2e/%2e%2e/access.py",
        "/static/..%2f..%2faccess.py",
        "/static//etc/passwd",
        "/api/v1/pictures/..%2f..%2f..%2fetc%2fpasswd",
        "/picture/..%2f..%2fetc%2fpasswd",
        "/api/v1/certificates/../../../etc/passwd",
        "/lanes/..%2f..%2fetc%2fpasswd/panel",
    ],
)
def test_no_address_leads_out_of_what_is_served(station, path):
    answer = signed_in(station.app(), Role.ENGINEER).get(path)
    assert 400 <= answer.status_code < 500
    assert "root:" not in answer.text
    assert "import " not in answer.text


@pytest.fixture(params=ENGINES)
def on_each_database(request, tmp_path):
    with a_database(request.param, tmp_path) as address:
        station = needs_libraries(an_empty_station(tmp_path, database=address))
        with station.store:
            yield station


CSV = "unit,quantity,unit_of_measure,gauge,measured_at,value\nC-1\x00,t,mm,G,2026-11-20T06:00:00Z,1\n"


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/api/v1/cases", {"json": {"source": "other", "key": "k", "title": "half \x00"}}),
        ("/api/v1/cases", {"json": {"source": "other", "key": "k", "title": {"deep": ["\x00"]}}}),
        ("/api/v1/cases", {"content": b'{"source": "other", "key": "k", "title": "half \\ud800 a pair"}'}),
        ("/api/v1/cases", {"content": b'{"source": "other", "key": "\\u0000", "title": "t"'}),
        ("/cases", {"data": {"source": "other", "key": "k", "title": "half \x00"}}),
        ("/api/v1/gauges/csv", {"content": CSV, "headers": {"Content-Type": "text/csv"}}),
        ("/api/v1/people/%00/secret", {"json": {"password": "x"}}),
    ],
)
def test_what_is_no_text_is_refused_whatever_the_database_and_the_form(on_each_database, path, sent):
    engineer = signed_in(on_each_database.app(), Role.ENGINEER)
    given = {"headers": {"Content-Type": "application/json"}, **sent} if "content" in sent else sent
    answer = engineer.post(path, **given) if "/secret" not in path else engineer.put(path, **given)
    assert (answer.status_code, answer.json()["code"]) == (422, "SVC-REQUEST-INVALID")


@pytest.mark.parametrize("title", ["über 带钢 ✓", "\\u0000 is how JSON writes NUL", "\U0001f600"])
def test_what_only_looks_like_it_is_kept_as_it_was_sent(on_each_database, title):
    engineer = signed_in(on_each_database.app(), Role.ENGINEER)
    opened = engineer.post("/api/v1/cases", json={"source": "other", "key": "k", "title": title})
    assert (opened.status_code, opened.json()["title"]) == (201, title)
