from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from inspection.types import Verdict
from tests.builders import a_defect, a_measurement, a_unit, an_inspection
from tests.services.signed_in import signed_in
from traceability import gauge_studies
from traceability.accounts import Accounts, Role
from traceability.reviews import Decision, Reviews

HOURS, A_HOUR = 8, 20
BEGUN = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS + 1)


@pytest.fixture
def a_shift(station):
    """Eight hours of parts, every tenth refused; half of these a person found good. Verdicts came later and later."""
    parts = [
        an_inspection(
            unit=a_unit(f"86.999.1/P-{number}"),
            lane="parts",
            verdict=Verdict.REJECT if number % 10 == 5 else Verdict.ACCEPT,
            defects=(a_defect(score=0.3 + 0.001 * number),),
            started_at=at,
            finished_at=at + timedelta(seconds=1 + number // A_HOUR),
        )
        for number in range(HOURS * A_HOUR)
        for at in [BEGUN + timedelta(minutes=3 * number)]
    ]
    station.store.record(parts)
    person = Accounts(station.store).add(
        name="Lin", title="Lin", role=Role.ENGINEER, password_hash=None, by=None, at=BEGUN
    )
    reviews = Reviews(station.store)
    for place, part in enumerate(one for one in parts if one.verdict is Verdict.REJECT):
        decision = Decision.ACCEPT if place % 2 else Decision.REJECT
        reviews.decide(part.id, decision, by=person, at=datetime.now(UTC))
    return parts


def _inspector(client, **asked):
    answer = client.get("/api/v1/spc/inspector", params={"lane": "parts"} | asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_latency_scores_and_false_calls_have_charts_of_their_own(a_shift, client):
    own = {one["name"].split("/")[1]: one for one in _inspector(client)["own"]}
    assert [point["value"] for point in own["latency"]["points"]] == [float(hour) for hour in range(1, 9)]
    assert len(own["score_of_passed"]["points"]) == HOURS
    calls = own["false_calls"]["points"]
    assert [(point["count"], point["opportunity"]) for point in calls] == [(1, 2)] * HOURS


def test_scores_that_rose_are_told_as_a_drift(a_shift, client):
    assert _inspector(client)["drift"]["grade"] == "changed"


def test_what_the_inspection_sees_now_takes_reviews_and_an_audit_of_passed_parts(a_shift, station):
    engineer = signed_in(station.app(), Role.ENGINEER)
    assert _inspector(engineer)["now"] is None
    for escapes in (0, 1):
        study = {"kind": "audit", "characteristic": "parts", "readings": {"audited": 36, "escapes": escapes}}
        assert engineer.post("/api/v1/spc/studies", json=study).status_code == 201
    found = _inspector(engineer)
    # 16 rejects, half of them bad; of 144 passed, one bad in 72 audited: two.
    assert found["now"]["sensitivity"] == pytest.approx(8 / 10)
    assert found["now"]["specificity"] == pytest.approx(142 / 150)
    escapes = next(one for one in found["own"] if "/escapes/" in one["name"])
    assert [point["value"] for point in escapes["points"]] == [0, 1 / 36]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_draws_them(a_shift, client, language):
    shown = client.get(f"/spc/inspector?lane=parts&lang={language}", headers={"Accept": "text/html"})
    assert shown.status_code == 200
    assert 'data-part="inspector/latency' in shown.text


LONG_H, CHANGED_H = 30, 15


def _a_lane_that_darkened(station, *, hours_seen):
    """From the fifteenth hour on four in ten are refused instead of one in twenty, and the picture is brighter: in the
    hours in which that was measured."""
    random = np.random.default_rng(6)
    begun = BEGUN - timedelta(hours=LONG_H)
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/L-{hour}-{number}"),
                lane="parts",
                verdict=Verdict.REJECT if number < (8 if is_late else 1) else Verdict.ACCEPT,
                measurements=(
                    a_measurement(
                        name="image_mean", value=random.normal(120 if is_late else 100, 1), unit="DN"
                    ),
                )
                if hour in hours_seen
                else (),
                finished_at=begun + timedelta(hours=hour, minutes=3 * number),
            )
            for hour in range(LONG_H)
            for is_late in [hour >= CHANGED_H]
            for number in range(A_HOUR)
        ]
    )
    return begun


def _moved(client, begun):
    return _inspector(client, since=begun.isoformat(), until=(begun + timedelta(hours=LONG_H)).isoformat())


@pytest.mark.parametrize("silent", [(), (3,), (CHANGED_H,), (0, 7, 20, LONG_H - 1)])
def test_an_hour_without_a_value_keeps_no_series_from_being_a_suspect(station, client, silent):
    begun = _a_lane_that_darkened(station, hours_seen=set(range(LONG_H)) - set(silent))
    found = _moved(client, begun)
    assert found["verdict"] == "inspector"
    suspect = next(one for one in found["movers"] if one["name"] == "image_mean")
    assert suspect["is_suspect"]
    # Where the hour of the change is silent, the next one shows it.
    shown_h = CHANGED_H + (CHANGED_H in silent)
    assert datetime.fromisoformat(suspect["at"]) == begun + timedelta(hours=shown_h)
    assert suspect["hours_after"] == shown_h - CHANGED_H
    assert "image_mean" not in {one["name"] for one in found["not_compared"]}


@pytest.mark.parametrize("seen", [range(5), range(CHANGED_H + 1), range(CHANGED_H - 1, LONG_H)])
def test_a_series_with_too_few_hours_on_one_side_is_named_and_no_mover(station, client, seen):
    found = _moved(client, _a_lane_that_darkened(station, hours_seen=set(seen)))
    assert found["verdict"] == "unknown"
    assert "image_mean" not in {one["name"] for one in found["movers"]}
    (silent,) = [one for one in found["not_compared"] if one["name"] == "image_mean"]
    assert (silent["hours"], silent["is_inspector"]) == (len(seen), True)


def _proven(station, *, at):
    gauge_studies.record(
        station.store,
        kind="accuracy",
        characteristic="parts",
        model="strip 1.0.0",
        readings={"bad_parts": 40, "bad_rejected": 38, "good_parts": 40, "good_passed": 39},
        at=at,
        by=None,
    )


def test_a_new_lens_ages_the_proof_until_it_is_proven_again(a_shift, station):
    engineer = signed_in(station.app(), Role.ENGINEER)
    _proven(station, at=BEGUN - timedelta(days=1))
    assert _inspector(engineer)["corrected"] is not None
    changed_at = BEGUN + timedelta(hours=4)
    said = {"part": "lens", "lane": "parts", "what": "cleaned, refocused", "at": changed_at.isoformat()}
    assert engineer.post("/api/v1/spc/changes", json=said).status_code == 201
    stale = _inspector(engineer)
    assert (stale["corrected"], stale["refusal"]["code"]) == (None, "SPC-PROOF-STALE")
    assert f"lens {changed_at.astimezone():%Y-%m-%d %H:%M}" in stale["refusal"]["what"]
    # Each hour by the proof of the optics it was seen through.
    _proven(station, at=BEGUN + timedelta(hours=6))
    assert _inspector(engineer)["corrected"] is not None


def test_a_proof_holds_however_many_audits_came_after_it(a_shift, station):
    _proven(station, at=BEGUN - timedelta(days=1))
    for _ in range(200):
        gauge_studies.record(
            station.store,
            kind="audit",
            characteristic="parts",
            model="",
            readings={"audited": 50, "escapes": 0},
            at=BEGUN,
            by=None,
        )
    assert _inspector(signed_in(station.app(), Role.ENGINEER))["corrected_by"] == "proofs"


def test_a_change_of_another_lane_ages_nothing(a_shift, station):
    engineer = signed_in(station.app(), Role.ENGINEER)
    _proven(station, at=BEGUN - timedelta(days=1))
    said = {
        "part": "lamp",
        "lane": "strip",
        "what": "new lamp",
        "at": (BEGUN + timedelta(hours=1)).isoformat(),
    }
    assert engineer.post("/api/v1/spc/changes", json=said).status_code == 201
    assert _inspector(engineer)["corrected"] is not None


def test_without_a_proof_the_chart_is_corrected_by_what_reviews_and_audits_say_now(station):
    """Forty rejects reviewed, eight of them good; of 360 passed, 36 audited, one bad."""
    parts = [
        an_inspection(
            unit=a_unit(f"86.999.1/P-{number}"),
            lane="parts",
            verdict=Verdict.REJECT if number % 10 == 5 else Verdict.ACCEPT,
            finished_at=BEGUN + timedelta(minutes=number + 1),
        )
        for number in range(400)
    ]
    station.store.record(parts)
    engineer = signed_in(station.app(), Role.ENGINEER)
    assert _inspector(engineer)["corrected"] is None
    person = Accounts(station.store).add(
        name="Lin", title="Lin", role=Role.ENGINEER, password_hash=None, by=None, at=BEGUN
    )
    for place, part in enumerate(one for one in parts if one.verdict is Verdict.REJECT):
        decision = Decision.REJECT if place % 5 else Decision.ACCEPT
        Reviews(station.store).decide(part.id, decision, by=person, at=datetime.now(UTC))
    audit = {"kind": "audit", "characteristic": "parts", "readings": {"audited": 36, "escapes": 1}}
    assert engineer.post("/api/v1/spc/studies", json=audit).status_code == 201
    found = _inspector(engineer)
    assert (found["corrected_by"], found["refusal"]["code"]) == ("now", "SPC-PROOF-STALE")
    # 32 bad of 40 rejects, 10 bad of 360 passed: what the rates say of all units is what was found in them.
    centre = found["corrected"]["points"][0]["centre"]
    assert centre == pytest.approx(42 / 400, rel=1e-6)
    page = engineer.get("/spc/inspector?lane=parts", headers={"Accept": "text/html", "Accept-Language": "en"})
    assert "since no accuracy study holds" in page.text
