from __future__ import annotations

from datetime import UTC, datetime

import pytest

from inspection.types import Verdict
from tests.a_station import a_part, defects_of
from tests.builders import a_unit, an_inspection
from tests.services.signed_in import signed_in
from traceability import reviews
from traceability.accounts import Accounts, Role


@pytest.fixture
def operator(station):
    return signed_in(station.app(), Role.OPERATOR)


def _withheld(station, code: str = "86.999.1/PART-1"):
    part = a_part(3, defective=True)
    return station.finishes(
        an_inspection(
            unit=a_unit(code),
            lane="parts",
            verdict=Verdict.REJECT,
            defects=defects_of(part, lane="parts"),
            pictures=(station.keeps(part, lane="parts"),),
            finished_at=datetime.now(UTC),
        )
    )


def test_a_program_reviews_what_waits(station, operator):
    unit = _withheld(station)
    task = operator.get("/api/v1/reviews/next").json()
    assert (task["inspection"]["id"], task["waiting"]) == (str(unit.id), 1)
    decided = operator.post(
        "/api/v1/reviews", json={"inspection": str(unit.id), "decision": "reject", "reason": "chip"}
    )
    assert decided.status_code == 201
    assert operator.get("/api/v1/reviews/next").json() is None
    engineer = signed_in(station.app(), Role.ENGINEER)
    (listed,) = engineer.get("/api/v1/reviews").json()
    assert (listed["by"], listed["decision"], listed["reason"]) == ("operator", "reject", "chip")
    assert operator.delete(f"/api/v1/reviews/{listed['id']}").status_code == 204
    assert operator.get("/api/v1/reviews/next").json()["waiting"] == 1


def test_a_decision_about_nothing_or_about_something_decided_is_refused(station, operator):
    unit = _withheld(station)
    given = {"inspection": str(unit.id), "decision": "accept"}
    assert operator.post("/api/v1/reviews", json=given).status_code == 201
    assert operator.post("/api/v1/reviews", json=given).json()["code"] == "TRC-REVIEW-STANDS"
    unknown = given | {"inspection": "01a1f891-eac9-777d-b0a2-f33ba62bc3a3"}
    assert operator.post("/api/v1/reviews", json=unknown).json()["code"] == "TRC-REVIEW-UNKNOWN"
    assert operator.post("/api/v1/reviews", json=given | {"decision": "maybe"}).status_code == 422


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_desk_shows_the_next_unit_and_takes_a_slip_back(station, operator, language):
    unit = _withheld(station)
    headers = {"Accept": "text/html", "Accept-Language": language}
    desk = operator.get("/review", headers=headers)
    assert desk.status_code == 200
    assert "86.999.1/PART-1" in desk.text
    for key in ("F5", "F7", "F8"):
        assert f'data-key="{key}"' in desk.text
    assert 'data-key="F9"' not in desk.text
    decided = operator.post("/review", data={"inspection": str(unit.id), "decision": "accept"})
    after = operator.get(decided.headers["location"], headers=headers)
    assert 'data-key="F9"' in after.text
    assert "86.999.1/PART-1" not in after.text
    done = decided.headers["location"].split("done=")[1]
    assert operator.post(f"/review/{done}/take-back").headers["location"] == "/review"
    assert "86.999.1/PART-1" in operator.get("/review", headers=headers).text


def test_the_desk_says_that_somebody_was_faster_and_goes_on(station, operator):
    first, second = _withheld(station), _withheld(station, "86.999.1/PART-2")
    given = {"inspection": str(first.id), "decision": "accept"}
    operator.post("/review", data=given)
    late = operator.post("/review", data=given, headers={"Accept": "text/html"})
    assert late.status_code == 409
    assert "TRC-REVIEW-STANDS" in late.text
    assert str(second.id) in late.text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_blind_repeat_is_blind_nothing_tells_it_from_a_first_look(station, operator, monkeypatch, language):
    monkeypatch.setattr(reviews, "REPEAT_ONE_IN", 1)
    headers = {"Accept": "text/html", "Accept-Language": language}

    def looks() -> tuple[str, dict]:
        shown = operator.get("/review", headers=headers).text
        # The header tells the time, to the second.
        desk = shown[shown.index("<main") :]
        return desk, operator.get("/api/v1/reviews/next").json()

    unit, other = _withheld(station), _withheld(station, "86.999.1/PART-2")
    first_look = looks()
    assert first_look[1]["inspection"]["id"] == str(unit.id)
    person = Accounts(station.store).secrets_of(name="operator").person
    long_ago = datetime.now(UTC) - 2 * reviews.REPEAT_AFTER
    reviews.Reviews(station.store).decide(unit.id, reviews.Decision.REJECT, by=person, at=long_ago)
    assert looks() == first_look
    for field in ("started_at", "finished_at"):
        assert field not in first_look[1]["inspection"]

    # Nor what is answered to a decision, what the desk says then, and what becomes of a slip.
    given = [{"inspection": str(one.id), "decision": "accept"} for one in (unit, other)]
    repeat, fresh = (operator.post("/api/v1/reviews", json=one) for one in given)
    assert repeat.status_code == fresh.status_code == 201
    assert [{**one.json(), "id": "", "inspection": "", "at": ""} for one in (repeat, fresh)] == [
        {
            "id": "",
            "inspection": "",
            "at": "",
            "by": "operator",
            "decision": "accept",
            "reason": None,
            "is_taken_back": False,
        }
    ] * 2
    assert operator.delete(f"/api/v1/reviews/{fresh.json()['id']}").status_code == 204
    assert operator.delete(f"/api/v1/reviews/{repeat.json()['id']}").status_code == 204
    assert looks() == first_look
    assert operator.get("/api/v1/reviews").status_code == 403


def test_who_may_not_operate_reviews_nothing(station):
    auditor = signed_in(station.app(), Role.AUDITOR)
    assert auditor.get("/api/v1/reviews/next").status_code == 403
    assert auditor.get("/review", headers={"Accept": "text/html"}).status_code == 403
