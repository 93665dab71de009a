"""Requests sent again, and lists in pages: what a program relies on that loses its connection, or asks for much."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from services.api.once import REPLAYED
from services.problems import KeyInUse
from tests.a_station import an_empty_station, hours_of_parts, needs_libraries
from tests.databases import ENGINES, a_database
from tests.services.signed_in import adds, signed_in, with_quick_passwords
from traceability.accounts import Role
from traceability.once import KEPT_FOR, Once

CASE = {"source": "complaint", "key": "4711", "title": "Scratches", "text": "Ten of a hundred."}


@pytest.fixture(params=ENGINES)
def stored(request, tmp_path):
    with a_database(request.param, tmp_path) as address:
        made = needs_libraries(an_empty_station(tmp_path, database=address))
        with made.store:
            yield made


@pytest.fixture
def engineer(stored) -> TestClient:
    return signed_in(stored.app(), Role.ENGINEER)


def _posts(client: TestClient, key: str, given: object, path: str = "/api/v1/cases"):
    return client.post(path, json=given, headers={"Idempotency-Key": key})


def test_a_request_sent_again_with_its_key_is_done_once_and_answered_alike(engineer):
    first = _posts(engineer, "a-key", CASE)
    again = _posts(engineer, "a-key", CASE)
    assert (first.status_code, REPLAYED in first.headers) == (201, False)
    assert (again.status_code, again.headers[REPLAYED], again.json()) == (201, "true", first.json())
    [case] = engineer.get("/api/v1/cases").json()
    assert [act["act"] for act in case["acts"]] == ["opened"]


def test_without_a_key_or_with_another_each_request_is_done(engineer):
    for key in ("one", "two"):
        assert _posts(engineer, key, CASE).status_code == 201
    assert engineer.post("/api/v1/cases", json=CASE).status_code == 201
    [case] = engineer.get("/api/v1/cases").json()
    assert [act["act"] for act in case["acts"]] == ["opened", "seen_again", "seen_again"]


def test_a_key_that_came_with_another_request_is_refused(engineer):
    _posts(engineer, "a-key", CASE)
    refused = _posts(engineer, "a-key", CASE | {"title": "Dents"})
    assert (refused.status_code, refused.json()["code"]) == (422, "SVC-KEY-OF-ANOTHER")


def test_what_was_refused_may_be_sent_again_corrected_with_the_same_key(engineer):
    assert _posts(engineer, "a-key", {"source": "complaint"}).status_code == 422
    assert _posts(engineer, "a-key", {"kind": "x"}, f"/api/v1/cases/{uuid4()}/acts").status_code == 422
    assert _posts(engineer, "a-key", CASE).status_code == 201


def test_a_body_that_is_no_text_leaves_its_key_free(engineer):
    headers = {"Idempotency-Key": "a-key", "Content-Type": "application/json"}
    for _ in range(2):
        answer = engineer.post("/api/v1/cases", content=b'{"title": "\xff"}', headers=headers)
        assert answer.status_code == 422
    assert _posts(engineer, "a-key", CASE).status_code == 201


def _program(engineer: TestClient, *rights: str) -> TestClient:
    """One that asks for the engineer, with these rights."""
    given = {"name": "MES", "rights": list(rights), "days": 1}
    key = engineer.post("/api/v1/tokens", json=given).json()["key"]
    return TestClient(engineer.app, headers={"Authorization": f"Bearer {key}"})


def test_a_kept_answer_is_given_only_to_who_may_do_what_was_done(engineer):
    assert _posts(engineer, "a-key", CASE).status_code == 201
    narrow = _posts(_program(engineer), "a-key", CASE)
    assert (narrow.status_code, narrow.json()["code"]) == (403, "SVC-RIGHT-MISSING")
    may = _posts(_program(engineer, "dispose"), "a-key", CASE)
    assert (may.status_code, may.headers[REPLAYED]) == (201, "true")


def test_a_kept_answer_of_a_route_that_looks_at_the_rights_itself_is_for_the_same_rights(engineer):
    path, said = "/api/v1/spc/p/entries?lane=parts", {"kind": "comment", "reason": "new lamp"}
    assert _posts(engineer, "a-key", said, path).status_code == 201
    narrow = _posts(_program(engineer), "a-key", said, path)
    assert (narrow.status_code, narrow.json()["code"]) == (422, "SVC-KEY-OF-ANOTHER")
    assert _posts(engineer, "a-key", said, path).headers[REPLAYED] == "true"


@pytest.mark.parametrize("key", ["with space", "x" * 201, "ü"])
def test_a_key_that_cannot_be_one_is_refused(engineer, key):
    answer = engineer.post("/api/v1/cases", json=CASE, headers={"Idempotency-Key": key.encode("latin-1")})
    assert answer.status_code == 422
    assert engineer.get("/api/v1/cases").json() == []


def test_a_request_of_which_nobody_knows_whether_it_was_done_is_not_done_again(stored, engineer):
    """As where the service ended in the middle of it."""
    first = _posts(engineer, "a-key", CASE)
    with stored.store.writing() as connection:
        connection.exec_driver_sql("UPDATE kept_answer SET status = NULL, body = NULL")
    again = _posts(engineer, "a-key", CASE)
    assert (first.status_code, again.status_code, again.json()["code"]) == (201, 409, KeyInUse.code)


def test_the_key_of_one_person_is_not_that_of_another(stored):
    app = stored.app()
    access = with_quick_passwords(app)
    once, at = Once(stored.store), datetime.now(UTC)
    for name in ("one", "two"):
        person = adds(access, Role.ENGINEER, name=name)
        assert once.begin(person.id, "a-key", request_sha256="0" * 64, at=at) is None


def test_a_key_is_forgotten_after_a_day(stored):
    person, once, at = uuid4(), Once(stored.store), datetime.now(UTC)
    assert once.begin(person, "a-key", request_sha256="0" * 64, at=at) is None
    once.done(person, "a-key", status=201, body=b"{}")
    late = at + KEPT_FOR - timedelta(seconds=1)
    assert once.begin(person, "a-key", request_sha256="0" * 64, at=late).body == b"{}"
    assert once.begin(person, "a-key", request_sha256="0" * 64, at=late + timedelta(seconds=2)) is None


# ---------------------------------------------------------------------- pages of lists


def _all_pages(client: TestClient, path: str, *, limit: int) -> list[list[dict]]:
    pages, link = [], f"{path}{'&' if '?' in path else '?'}limit={limit}"
    while link:
        answer = client.get(link)
        assert answer.status_code == 200
        found = answer.json()
        pages.append(found["containments"] if isinstance(found, dict) else found)
        link = answer.links.get("next", {}).get("url")
    return pages


def _opens(client: TestClient, title: str) -> None:
    client.post("/api/v1/cases", json=CASE | {"key": title, "title": title})


def test_the_pages_of_a_list_hold_each_entry_once_in_the_order_of_the_whole(stored, engineer):
    hours_of_parts(stored, [1, 3], until=datetime.now(UTC), simulated=False)
    for number in range(7):
        _opens(engineer, f"case {number}")
    refused = engineer.get("/api/v1/inspections?verdict=REJECT").json()
    for one in refused[:3]:
        said = {"escape": one["id"], "reason": "a complaint"}
        assert engineer.post("/api/v1/containments", json=said).status_code == 200
    for path in (
        "/api/v1/inspections",
        "/api/v1/inspections?lane=parts&verdict=REJECT&verdict=REVIEW",
        "/api/v1/cases",
        "/api/v1/cases?is_open=true",
        "/api/v1/containments",
    ):
        whole = _all_pages(engineer, path, limit=500)
        paged = _all_pages(engineer, path, limit=3)
        assert [one["id"] for page in paged for one in page] == [one["id"] for one in whole[0]]
        assert len(whole[0]) >= 3
        assert all(len(page) == 3 for page in paged[:-1])


def test_inspections_are_found_by_lane_verdict_and_time(stored, engineer):
    hours_of_parts(stored, [1, 3], until=datetime.now(UTC), simulated=False)
    found = engineer.get("/api/v1/inspections?verdict=REJECT&limit=500").json()
    assert [one["verdict"] for one in found] == ["REJECT"] * 4
    assert engineer.get("/api/v1/inspections?lane=strip").json() == []
    last = max(one["finished_at"] for one in found)
    assert len(engineer.get("/api/v1/inspections", params={"verdict": "REJECT", "since": last}).json()) == 1
    assert len(engineer.get("/api/v1/inspections", params={"verdict": "REJECT", "until": last}).json()) == 3


def test_open_cases_are_all_found_however_many_were_closed_since(engineer, stored):
    """The list was cut first and filtered then: five hundred closed cases hid every open one before them."""
    for number in range(4):
        _opens(engineer, f"case {number}")
    assert len(engineer.get("/api/v1/cases?is_open=true&limit=2").json()) == 2
    assert engineer.get("/api/v1/cases?is_open=false").json() == []
