from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from inspection.types import Verdict
from tests.builders import NOON, a_unit, an_inspection
from tests.drawn_coil import LINKS, SEGMENTS, UNITS
from tests.services.signed_in import PASSWORD, signed_in
from traceability.accounts import Role
from traceability.genealogy.recording import record
from traceability.verification import verify

STEP = {
    "kind": "weld",
    "equipment": "WELDER-2",
    "started_at": "2026-11-20T10:00:00Z",
    "finished_at": "2026-11-20T10:05:00Z",
    "operator": "Li Wei",
    "units_in": ["STRIP-A1", "STRIP-B1"],
    "units_out": ["COIL-W"],
    "tools": ["WHEEL-12"],
    "parameters": {"current_A": 11000, "mode": "pulse"},
}
CSV = """unit,quantity,unit_of_measure,gauge,measured_at,y_mm,value
COIL-B,thickness,mm,X-RAY-1,2026-11-20T09:00:00Z,0,2.0
COIL-B,thickness,mm,X-RAY-1,2026-11-20T09:00:00Z,6600,2.07
COIL-B,crown,µm,X-RAY-1,2026-11-20T09:00:00Z,0,31
"""


@pytest.fixture
def plant(station):
    """A station with the drawn coil on record."""
    record(station.store, units=UNITS, links=LINKS)
    return station


@pytest.fixture
def engineer(plant):
    return signed_in(plant.app(), Role.ENGINEER)


def by_csv(client, text: str):
    return client.post("/api/v1/gauges/csv", content=text.encode(), headers={"Content-Type": "text/csv"})


def test_a_step_that_a_unit_went_into_and_came_out_of_is_in_its_life_once(plant, engineer):
    cleaned = {**STEP, "kind": "clean", "units_in": ["COIL-A"], "units_out": ["COIL-A"]}
    engineer.post("/api/v1/steps", json={"steps": [cleaned]})
    (step,) = engineer.get("/api/v1/history/COIL-A").json()["events"]
    assert (step["what"], step["fact"]) == ("step", "clean")


def test_a_life_tells_what_happened_up_and_down_in_order_of_time(plant, engineer):
    plant.store.record([an_inspection(unit=SEGMENTS[2], finished_at=NOON, verdict=Verdict.REJECT)])
    assert engineer.post("/api/v1/steps", json={"steps": [STEP]}).json() == {"new": 1, "contradictions": []}
    assert engineer.post("/api/v1/steps", json={"steps": [STEP]}).json()["new"] == 0
    assert by_csv(engineer, CSV).json() == {"new": 2, "contradictions": []}
    assert by_csv(engineer, CSV).json()["new"] == 0
    assert engineer.post("/api/v1/holds", json={"units": ["SEGMENT-3"], "reason": "NG"}).json() == {
        "new": 1,
        "open": 1,
    }
    life = engineer.get("/api/v1/history/SEGMENT-3").json()
    assert life["is_held"] is True
    assert len(life["ancestors"]) == 6
    told = [(one["what"], one["fact"]) for one in life["events"]]
    assert told[:2] in (
        [("gauge", "crown"), ("gauge", "thickness")],
        [("gauge", "thickness"), ("gauge", "crown")],
    )
    assert told[2:5] == [("step", "weld")] * 3
    assert told[5:] == [("inspection", "REJECT"), ("hold", "NG")]
    assert "Li Wei" not in engineer.get("/api/v1/history/SEGMENT-3").text
    assert verify(plant.store).findings == ()


def test_a_gauge_is_read_at_a_place_of_a_segment(engineer):
    by_csv(engineer, CSV)
    found = engineer.get("/api/v1/gauges/SEGMENT-3", params={"x_mm": 150, "y_mm": 3000}).json()["measured"]
    assert [(one["quantity"], one["value"]) for one in found] == [("crown", 31.0), ("thickness", 2.07)]
    assert found[1]["distance_mm"] == 0


def test_a_contradicting_series_is_kept_and_flagged(engineer):
    by_csv(engineer, CSV)
    answer = by_csv(engineer, CSV.replace("2.07", "2.09")).json()
    assert (answer["new"], len(answer["contradictions"])) == (0, 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\n", "unit"),
        ("unit,value\nC,1\n", "quantity"),
        (CSV.replace("2.07", "thick"), "3: value"),
        (CSV.replace("2.07", "nan"), "3: value"),
        (CSV.replace("6600,2.07", "6600"), "3: 7 columns"),
        (CSV.replace(",value", ",value,colour"), "?colour"),
        (CSV.replace("T09:00:00Z", ""), "measured_at"),
    ],
)
def test_a_csv_that_cannot_be_read_is_refused_with_the_line(engineer, text, told):
    answer = by_csv(engineer, text)
    assert answer.status_code == 422
    assert told in answer.json()["title"]


def test_what_bad_units_share_is_counted_beside_good_ones(plant, engineer):
    """All four come from the welded coil; only 3 and 4 hold any of what is behind the weld."""
    plant.store.record([an_inspection(unit=one, finished_at=NOON) for one in SEGMENTS])
    engineer.post("/api/v1/steps", json={"steps": [{**STEP, "units_in": [], "units_out": ["STRIP-B1"]}]})
    asked = {"bad": ["SEGMENT-3", "SEGMENT-4"], "good": ["SEGMENT-1", "SEGMENT-2"]}
    found = engineer.get("/api/v1/common-factors", params=asked).json()
    assert (found["bad"], found["good"]) == (2, 2)
    first = found["factors"][0]
    assert (first["bad"], first["good"]) == (2, 0)
    only_bad = {
        (one["kind"], one["value"]) for one in found["factors"] if (one["bad"], one["good"]) == (2, 0)
    }
    assert {("made_from", "COIL-B"), ("equipment", "WELDER-2"), ("tool", "WHEEL-12")} <= only_bad
    assert {"kind": "made_from", "value": "HEAT-7", "bad": 2, "good": 2} in found["factors"]


def test_a_containment_is_opened_held_and_counted_down(plant, engineer):
    escape = an_inspection(unit=a_unit("P-1"), finished_at=NOON)
    plant.store.record([escape, an_inspection(unit=a_unit("P-2"), finished_at=NOON + timedelta(hours=1))])
    opened = engineer.post(
        "/api/v1/containments", json={"escape": str(escape.id), "reason": "customer"}
    ).json()
    assert opened["counts"] == {"found": 2, "held": 0, "shipped": 0, "closed": 0}
    sent = {"units": ["P-1", "P-2"], "reason": "contained", "containment": opened["id"]}
    assert engineer.post("/api/v1/holds", json=sent).json()["new"] == 2
    for left, unit in ((1, "P-1"), (0, "P-2")):
        answer = {"unit": unit, "decision": "scrap", "reason": "cracked", "password": PASSWORD}
        assert engineer.post("/api/v1/holds/release", json=answer).json()["open"] == left
    assert engineer.get(f"/api/v1/containments/{opened['id']}").json()["open"] == 0
    assert len(engineer.get("/api/v1/containments").json()["containments"]) == 1
    again = engineer.post(
        "/api/v1/holds/release",
        json={"unit": "P-1", "decision": "scrap", "reason": "?", "password": PASSWORD},
    )
    assert (again.status_code, again.json()["code"]) == (409, "TRC-HOLD-MISSING")


def test_a_held_unit_is_decided_about_by_a_person_who_signs_and_not_by_a_key(plant, engineer):
    engineer.post("/api/v1/holds", json={"units": ["COIL-A"], "reason": "NG"})
    decided = {"unit": "COIL-A", "decision": "use_as_is", "reason": "within the concession"}
    url = "/api/v1/holds/release"
    assert engineer.post(url, json=decided).status_code == 422
    wrong = engineer.post(url, json=decided | {"password": "guessed wrongly"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "SVC-SIGN-IN-REFUSED")
    key = engineer.post("/api/v1/tokens", json={"name": "mes", "rights": ["dispose"], "days": 1}).json()[
        "key"
    ]
    program = TestClient(engineer.app, headers={"Authorization": f"Bearer {key}"})
    by_key = program.post(url, json=decided | {"password": PASSWORD})
    assert (by_key.status_code, by_key.json()["code"]) == (401, "SVC-SIGN-IN-NEEDED")
    assert engineer.post(url, json=decided | {"password": PASSWORD}).json()["open"] == 0


def test_who_held_and_released_is_in_the_audit_and_operators_may_do_neither(plant, engineer):
    engineer.post("/api/v1/holds", json={"units": ["COIL-A"], "reason": "NG"})
    auditor = signed_in(plant.app(), Role.AUDITOR)
    actions = [one["action"] for one in auditor.get("/api/v1/audit").json()]
    assert "unit.held" in actions
    operator = signed_in(plant.app(), Role.OPERATOR)
    assert operator.post("/api/v1/holds", json={"units": ["COIL-A"], "reason": "NG"}).status_code == 403
    assert operator.post("/api/v1/steps", json={"steps": [STEP]}).status_code == 403
