"""What was tried against the service, and what it does: the table of docs/access.md, where no other test has it."""

from __future__ import annotations

import pytest

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
