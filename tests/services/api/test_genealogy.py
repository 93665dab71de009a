from __future__ import annotations

import pytest

from tests.drawn_coil import LINKS, UNITS
from tests.services.signed_in import signed_in
from traceability.accounts import Role
from traceability.genealogy.recording import record


@pytest.fixture
def client(station):
    """Somebody who may state what the plant knows."""
    return signed_in(station.app(), Role.INTEGRATOR)


SLIT = {
    "parent": "C-1",
    "child": "S-1",
    "kind": "slit",
    "cuts": [{"parent_mm": [0, 0, 600, 5000], "child_mm": [0, 0, 600, 5000], "is_reversed": True}],
}


def test_a_delivery_is_kept_and_found_again(client):
    sent = {"units": [{"unit": "C-1", "kind": "coil", "length_mm": 5000}], "links": [SLIT]}
    assert client.post("/api/v1/genealogy", json=sent).json() == {
        "units": 1,
        "links": 1,
        "contradictions": [],
    }
    assert client.post("/api/v1/genealogy", json=sent).json() == {
        "units": 0,
        "links": 0,
        "contradictions": [],
    }
    found = client.get("/api/v1/genealogy/S-1").json()
    assert [one["unit"]["code"] for one in found["relatives"]] == ["C-1", "S-1"]
    assert found["links"][0]["cuts"][0]["is_reversed"] is True
    places = client.get("/api/v1/places/S-1", params={"x_mm": 10, "y_mm": 100}).json()["places"]
    assert places[0]["regions"][0]["box_mm"] == [10, 4900, 10, 4900]


def test_another_length_is_answered_as_a_contradiction(client):
    unit = {"unit": "C-1", "kind": "coil", "length_mm": 5000}
    client.post("/api/v1/genealogy", json={"units": [unit]})
    answer = client.post("/api/v1/genealogy", json={"units": [{**unit, "length_mm": 4000}]}).json()
    assert answer["units"] == 0
    assert len(answer["contradictions"]) == 1


def test_a_link_outside_its_parent_is_refused_with_the_numbers(client):
    sent = {"units": [{"unit": "C-1", "kind": "coil", "length_mm": 4000}], "links": [SLIT]}
    for language, word in (("en", "cuts 0.0 … 5000.0 mm of C-1"), ("zh", "取用 C-1 的 0.0 … 5000.0 mm")):
        answer = client.post("/api/v1/genealogy", json=sent, headers={"Accept-Language": language})
        assert (answer.status_code, answer.json()["code"]) == (422, "TRC-LINK-OUTSIDE")
        assert word in answer.json()["title"]
    assert client.get("/api/v1/genealogy/C-1").status_code == 404


def test_a_circle_is_a_conflict(client):
    client.post("/api/v1/genealogy", json={"links": [SLIT]})
    back = {"parent": "S-1", "child": "C-1", "kind": "rework"}
    answer = client.post("/api/v1/genealogy", json={"links": [back]})
    assert (answer.status_code, answer.json()["code"]) == (409, "TRC-LINK-CYCLE")


def test_a_voided_link_leads_nowhere(client):
    client.post("/api/v1/genealogy", json={"links": [SLIT]})
    (link,) = client.get("/api/v1/genealogy/S-1").json()["links"]
    gone = client.post("/api/v1/genealogy/void", json={"link": link["id"], "reason": "another coil"})
    assert gone.status_code == 204
    assert client.get("/api/v1/ancestors/S-1").json() == {"relatives": []}
    unknown = {"link": "01a1f891-eac9-777d-b0a2-f33ba62bc3a3", "reason": "?"}
    assert client.post("/api/v1/genealogy/void", json=unknown).json()["code"] == "TRC-RECORD-UNKNOWN"


def test_what_was_voided_by_mistake_is_sent_again_and_counts(client):
    sent = {"units": [{"unit": "C-1", "kind": "coil", "length_mm": 5000}], "links": [SLIT]}
    client.post("/api/v1/genealogy", json=sent)
    (link,) = client.get("/api/v1/genealogy/C-1").json()["links"]
    wrong = client.post("/api/v1/genealogy", json={"units": [{**sent["units"][0], "length_mm": 1}]}).json()
    for voided in ({"link": link["id"]}, {"form": wrong["contradictions"][0]}):
        gone = client.post("/api/v1/genealogy/void", json={**voided, "reason": "meant another one"})
        assert gone.status_code == 204
    again = client.post("/api/v1/genealogy", json=sent).json()
    assert again == {"units": 1, "links": 1, "contradictions": []}
    (strip,) = client.get("/api/v1/descendants/C-1").json()["relatives"]
    assert strip["unit"]["code"] == "S-1"
    (coil,) = client.get("/api/v1/ancestors/S-1").json()["relatives"]
    assert (coil["unit"]["code"], coil["length_mm"]) == ("C-1", 5000)


def test_a_voided_link_that_comes_under_its_own_id_is_refused(client):
    sent = {"links": [{**SLIT, "id": "01a1f891-eac9-777d-b0a2-f33ba62bc3a3"}]}
    client.post("/api/v1/genealogy", json=sent)
    client.post("/api/v1/genealogy/void", json={"link": sent["links"][0]["id"], "reason": "another coil"})
    for language, word in (("en", "was voided and counts no more"), ("zh", "已作废")):
        answer = client.post("/api/v1/genealogy", json=sent, headers={"Accept-Language": language})
        assert (answer.status_code, answer.json()["code"]) == (409, "TRC-RECORD-VOIDED")
        assert word in answer.json()["title"]


def test_what_cannot_be_understood_is_refused_and_nothing_of_it_is_kept(client):
    good = {"unit": "C-1", "kind": "coil"}
    for wrong in (
        {"units": [good, {"unit": "C-2", "kind": "bale"}]},
        {"units": [{**good, "lenght_mm": 5}]},
        {"units": [{**good, "length_mm": -1}]},
        {"links": [{**SLIT, "cuts": [{"parent_mm": [0, 0, 0, 1], "child_mm": [0, 0, 1, 1]}]}]},
        {"units": [good] * 10_001},
    ):
        assert client.post("/api/v1/genealogy", json=wrong).status_code == 422
    assert (
        client.post("/api/v1/genealogy", json={"units": [good, {**good, "unit": "86./x"}]}).status_code == 400
    )
    assert client.post("/api/v1/genealogy/void", json={"reason": "nothing"}).status_code == 422
    assert client.get("/api/v1/units", params={"find": "C-"}).json() == {"codes": []}


def test_what_was_made_from_a_place_is_told_by_probability(station, client):
    record(station.store, units=UNITS, links=LINKS)
    box = {"x1_mm": 200, "y1_mm": 6700, "x2_mm": 100, "y2_mm": 6500}
    places = client.get("/api/v1/at-risk/COIL-B", params=box).json()["places"]
    assert [(one["unit"]["code"], one["probability"]) for one in places] == [
        ("COIL-W", 1.0),
        ("SEGMENT-3", 1.0),
        ("STRIP-B1", 1.0),
    ]
    assert len(client.get("/api/v1/descendants/COIL-B").json()["relatives"]) == 6


def test_nobody_states_a_genealogy_without_the_right_to(station):
    from fastapi.testclient import TestClient

    nobody = TestClient(station.app())
    assert nobody.post("/api/v1/genealogy", json={"links": [SLIT]}).status_code == 401
    operator = signed_in(station.app(), Role.OPERATOR)
    assert operator.post("/api/v1/genealogy", json={"links": [SLIT]}).status_code == 403
    assert operator.get("/api/v1/genealogy/C-1").status_code == 404
