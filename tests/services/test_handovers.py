"""A shift is handed over with all that stands, and taken over by somebody else, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from fastapi.testclient import TestClient

from inspection.types import Verdict
from services.api.handovers import SheetAnswer
from services.station.messages import LaneState
from tests.a_station import a_part, an_empty_station, defects_of, needs_libraries
from tests.builders import a_unit, an_inspection
from tests.services.signed_in import PASSWORD, adds, with_quick_passwords
from traceability.accounts import Accounts, Role
from traceability.handovers import Handovers
from traceability.samples import Shifts, shift_at
from traceability.verifier import canonical

HTML = {"Accept": "text/html"}


@pytest.fixture
def station(tmp_path):
    """Of the shift: three parts refused, one accepted, one not inspected; a camera is lost."""
    made = needs_libraries(an_empty_station(tmp_path))
    made.runs()
    part = a_part(3, defective=True)
    found = defects_of(part, lane="parts")
    # Right after the shift began, so that none of it is of the one before.
    now = max(datetime.now(UTC), shift_at(datetime.now(UTC), Shifts()).since + timedelta(seconds=1))
    for number, (verdict, defects) in enumerate(
        [
            (Verdict.REJECT, found[:1]),
            (Verdict.REJECT, found[:1]),
            (Verdict.REJECT, found[:1]),
            (Verdict.ACCEPT, ()),
            (Verdict.NOT_INSPECTED, found[:1]),
        ]
    ):
        made.finishes(
            an_inspection(
                unit=a_unit(f"86.999.1/SHIFT-{number}"),
                lane="parts",
                verdict=verdict,
                defects=defects,
                pictures=(made.keeps(part, lane="parts"),),
                finished_at=now,
            )
        )
    made.live.lane(
        LaneState(
            lane="strip",
            camera="SIM-1",
            driver="gige",
            condition="lost",
            at=now,
            failure="CAM-LOST",
            facts={},
        )
    )
    with made.store:
        yield made


@pytest.fixture
def shifts(station):
    """Clients of the early shift's operator and of the late shift's, and of somebody who may only read."""
    app = station.app()
    access = with_quick_passwords(app)

    def client(name: str, role: Role) -> TestClient:
        adds(access, role, name=name)
        made = TestClient(app, follow_redirects=False)
        assert made.post("/api/v1/session", json={"name": name, "password": PASSWORD}).status_code == 201
        return made

    return client("early", Role.OPERATOR), client("late", Role.OPERATOR), client("reads", Role.AUDITOR)


def test_the_sheet_says_what_became_of_the_shift_and_what_stands(shifts):
    early, _, _ = shifts
    sheet = early.get("/api/v1/handovers/sheet").json()
    parts = next(lane for lane in sheet["lanes"] if lane["lane"] == "parts")
    assert parts["units"] == {"ACCEPT": 1, "REVIEW": 0, "NOT_INSPECTED": 1, "REJECT": 3}
    outcomes = ("frames_inspected", "frames_failed", "frames_lost", "unaccounted")
    assert parts["triggers"] == sum(parts[name] for name in outcomes)
    # What was not inspected is no reason for which a unit was refused.
    assert [one["units"] for one in parts["refused_for"]] == [3]
    assert [(one["lane"], one["code"]) for one in sheet["alarms"]] == [("strip", "CAM-LOST")]


def test_a_shift_is_taken_over_by_somebody_else_and_once(station, shifts):
    early, late, reads = shifts
    assert reads.post("/api/v1/handovers", json={"text": ""}).status_code == 403
    made = early.post("/api/v1/handovers", json={"text": "the nozzle drips"}).json()
    assert (made["by"], made["taken"]) == ("early", None)
    path = f"/api/v1/handovers/{made['id']}/take"
    own = early.post(path, json={"text": ""})
    assert (own.status_code, own.json()["code"]) == (409, "TRC-HANDOVER-OWN")
    assert late.post(path, json={"text": "seen"}).json()["taken"]["by"] == "late"
    again = late.post(path, json={"text": ""})
    assert (again.status_code, again.json()["code"]) == (409, "TRC-HANDOVER-TAKEN")
    assert late.get("/api/v1/handovers").json()[0]["taken"]["text"] == "seen"
    acts = {one.action: one for one in Accounts(station.store).audit(limit=10)}
    (kept,) = Handovers(station.store).all()
    assert acts["shift.taken_over"].subject == f"handover:{kept.id}"
    assert acts["shift.handed_over"].after == {
        "text": "the nozzle drips",
        "sheet_sha256": sha256(canonical(kept.sheet)).hexdigest(),
    }


def test_a_sheet_stays_as_it_was_when_the_shift_goes_on(station, shifts):
    early, _, _ = shifts
    made = early.post("/api/v1/handovers", json={}).json()
    station.finishes(an_inspection(unit=a_unit("86.999.1/LATER"), lane="parts", verdict=Verdict.REJECT))
    assert early.get(f"/api/v1/handovers/{made['id']}").json()["sheet"] == made["sheet"]
    assert SheetAnswer.model_validate(made["sheet"]).at <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("language", "shift", "taken"),
    [("en", "Shift since", "Taken over by operator (late)"), ("zh", "班次自", "operator (late) 于")],
)
def test_the_page_hands_over_and_only_somebody_else_finds_the_button_to_take_over(
    shifts, language, shift, taken
):
    early, late, reads = shifts
    headers = HTML | {"Accept-Language": language}
    assert (
        early.post("/handover", data={"text": "<b>drips</b>"}, headers=headers).headers["location"]
        == "/handover"
    )
    button = "/take"
    assert button not in early.get("/handover", headers=headers).text
    assert button not in reads.get("/handover", headers=headers).text
    page = late.get("/handover", headers=headers).text
    assert button in page
    assert "&lt;b&gt;drips" in page
    (made,) = late.get("/api/v1/handovers").json()
    own = early.post(f"/handover/{made['id']}/take", headers=headers)
    assert own.status_code == 409
    assert "TRC-HANDOVER-OWN" in own.text
    assert late.post(f"/handover/{made['id']}/take", data={"text": "ok"}, headers=headers).status_code == 303
    assert button not in late.get("/handover", headers=headers).text
    kept = late.get(f"/handover/{made['id']}", headers=headers).text
    said = [kept.index(word) for word in (shift, "early", "&lt;b&gt;drips", taken, ">ok<", "<table")]
    assert said == sorted(said), "what both said stands together, above what it is about"


def test_what_was_written_comes_back_where_somebody_else_was_quicker(shifts):
    early, late, _ = shifts
    early.post("/handover", data={"text": "the nozzle drips"})
    (made,) = late.get("/api/v1/handovers").json()
    path = f"/handover/{made['id']}/take"
    own = early.post(path, data={"text": "nozzle <changed>"}, headers=HTML)
    assert "nozzle &lt;changed&gt;</textarea>" in own.text
    late.post(path, data={"text": "seen"})
    again = late.post(path, data={"text": "nozzle <changed>"}, headers=HTML)
    assert "TRC-HANDOVER-TAKEN" in again.text
    assert "nozzle &lt;changed&gt;</textarea>" in again.text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_station_names_what_units_are_refused_for_and_shows_the_last_twenty(station, shifts, language):
    early, _, _ = shifts
    for number in range(30):
        station.finishes(an_inspection(unit=a_unit(f"86.999.1/MORE-{number}"), lane="parts"))
    page = early.get("/", headers=HTML | {"Accept-Language": language}).text
    assert "counter-top" in page
    assert page.count('id="inspection-') == 20
