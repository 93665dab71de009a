from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from uuid_utils.compat import uuid7

from inspection.types import Verdict
from station_config import load_station
from tests.builders import a_defect, a_unit, an_inspection
from tests.services.signed_in import signed_in
from traceability import holds
from traceability.accounts import Accounts, Role
from traceability.cases import Act, Cases, Source
from traceability.steps import SHIPPED, ProcessStep, record_steps

NOW = datetime.now(UTC)
BEGUN = NOW - timedelta(hours=5)


def _inspected(station, number, verdict, *, lane="parts", minutes=0, **given):
    at = BEGUN + timedelta(minutes=minutes)
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/P-{number}"),
                station="demo",
                lane=lane,
                verdict=verdict,
                started_at=at,
                finished_at=at,
                **given,
            )
        ]
    )


def _figures(client, **asked):
    answer = client.get("/api/v1/spc/merit", params=asked)
    assert answer.status_code == 200, answer.text
    return {(one["figure"], one["place"]): one for one in answer.json()["figures"]}


@pytest.fixture
def ten_parts(station):
    """Ten parts: seven good at once, one good only when it came again, one refused, one that nobody could judge."""
    for number in range(7):
        _inspected(station, number, Verdict.ACCEPT, minutes=number)
    _inspected(station, 7, Verdict.REJECT, minutes=7, defects=(a_defect(), a_defect()))
    _inspected(station, 7, Verdict.ACCEPT, minutes=60)
    _inspected(station, 8, Verdict.REJECT, minutes=8, defects=(a_defect(),))
    _inspected(station, 9, Verdict.NOT_INSPECTED, minutes=9)


def test_a_part_that_was_good_only_when_it_came_again_or_was_not_inspected_is_no_first_pass(
    ten_parts, client
):
    fpy = _figures(client)["first_pass", "demo / parts"]
    assert fpy["value"] == pytest.approx(7 / 10)
    assert fpy["interval"][0] < 0.7 < fpy["interval"][1]


def test_in_no_time_nothing_was_inspected(ten_parts, client):
    asked = {"since": NOW.isoformat(), "until": BEGUN.isoformat()}
    answer = client.get("/api/v1/spc/merit", params=asked)
    assert answer.status_code == 200, answer.text
    assert answer.json()["units"] == 0


def test_a_shift_of_which_no_minute_was_worked_has_no_figures(ten_parts, client):
    worked = {"since": BEGUN.isoformat(), "until": (BEGUN + timedelta(minutes=1)).isoformat()}
    never = f"{(BEGUN - timedelta(hours=12)).astimezone():%H:%M}"
    found = _figures(client, **worked, shift=never)
    assert ("first_pass", "demo / parts") not in found


def test_defects_are_counted_on_what_was_judged(ten_parts, client):
    found = _figures(client, opportunities=4)
    assert found["dpu", "demo / parts"]["value"] == pytest.approx(3 / 10)
    assert found["dpmo", "demo / parts"]["value"] == pytest.approx(3e6 / 40)


def test_coils_with_more_defects_than_there_are_coils_have_figures_and_no_sigma_level(station, client):
    for number in range(2):
        _inspected(station, number, Verdict.REJECT, lane="strip", defects=(a_defect(), a_defect()))
    figures = _figures(client)
    assert figures["dpmo", "demo / strip"]["value"] == pytest.approx(2e6)
    assert figures["sigma_level", "demo / strip"]["value"] is None
    assert client.get("/spc/merit", headers={"Accept": "text/html"}).status_code == 200


def test_the_rolled_yield_is_the_product_of_the_lanes_yields(ten_parts, station, client):
    for number in range(10):
        _inspected(
            station, number, Verdict.ACCEPT if number else Verdict.REJECT, lane="strip", minutes=number
        )
    assert _figures(client)["rolled", ""]["value"] == pytest.approx(0.7 * 0.9)


def test_scrap_is_what_was_decided_about_units_on_hold(ten_parts, station, client):
    unit = a_unit("86.999.1/P-8")
    holds.place(station.store, [unit], ids=[uuid7()], reason="scratched", at=NOW, by=None)
    holds.release(
        station.store,
        unit,
        id=uuid7(),
        decision="scrap",
        reason="too deep",
        at=NOW,
        by=None,
    )
    assert _figures(client, lane="parts")["scrap", ""]["value"] == pytest.approx(1 / 10)


def test_of_what_was_shipped_the_inspected_part_is_counted(ten_parts, station, client):
    _inspected(station, 50, Verdict.ACCEPT, lane="strip")
    units = tuple(a_unit(f"86.999.1/P-{number}") for number in (0, 1, 50))
    step = ProcessStep(
        id=uuid7(), kind=SHIPPED, equipment="dock 1", started_at=BEGUN, finished_at=BEGUN, units_in=units
    )
    record_steps(station.store, [step])
    assert _figures(client, lane="parts")["oqc_sampling", ""]["value"] == pytest.approx(2 / 3)


def test_a_closed_case_has_a_handling_time_and_an_open_one_is_counted(ten_parts, station, client):
    cases = Cases(station.store)
    person = Accounts(station.store).add(
        name="Lin", title="Lin", role=Role.ENGINEER, password_hash=None, by=None, at=BEGUN
    )
    start = NOW - timedelta(hours=4)
    done = cases.open(source=Source.OTHER, key="a", title="scratch", text="", by=person, at=start)
    for act, more in (
        (Act.CAUSE, {}),
        (Act.ACTION, {}),
        (Act.CHECK, {"effective": True}),
    ):
        cases.act(done.id, act, "…", by=person, at=start + timedelta(hours=1), **more)
    cases.act(done.id, Act.ASSIGNED, "…", owner="Lin", by=person, at=start + timedelta(hours=1))
    cases.close(done.id, "ended", by=person, at=start + timedelta(hours=3))
    cases.open(source=Source.OTHER, key="b", title="dent", text="", by=person, at=start)
    found = _figures(client)
    assert found["handling_time", ""]["value"] == pytest.approx(3)
    assert found["corrective_action_closure", ""]["value"] == pytest.approx(1 / 2)


def test_the_narrowest_target_holds_and_stands_beside_the_figure_with_its_definition(ten_parts, station):
    engineer = signed_in(station.app(), Role.ENGINEER)
    for target, place in ((0.9, {}), (0.6, {"lane": "parts"})):
        said = {"figure": "first_pass", "target": target, "reason": "plan of the year"} | place
        assert engineer.post("/api/v1/spc/merit/targets", json=said).status_code == 201
    fpy = _figures(engineer)["first_pass", "demo / parts"]
    assert (fpy["target"], fpy["is_met"]) == (0.6, True)
    assert "Reworked" in fpy["definition"]
    too_much = {"figure": "first_pass", "target": 98, "reason": "typed as percent"}
    assert engineer.post("/api/v1/spc/merit/targets", json=too_much).json()["code"] == "SPC-PARAMETER"


def test_an_operator_sets_no_targets(station):
    said = {"figure": "first_pass", "target": 0.9, "reason": "why not"}
    operator = signed_in(station.app(), Role.OPERATOR)
    assert operator.post("/api/v1/spc/merit/targets", json=said).status_code == 403


def test_two_lots_do_not_rank_a_supplier(client):
    def supplier(name, accepted, lots):
        counts = {"defective": 0, "units": 1000, "response_days": 2, "closed": 1, "opened": 1}
        return {"name": name, "lots_accepted": accepted, "lots": lots} | counts

    many = [supplier("steady", 200, 200), supplier("poor", 100, 200), supplier("new", 2, 2)]
    found = client.post("/api/v1/spc/merit/given", json={"suppliers": many}).json()["suppliers"]
    places = {one["name"]: (one["rank_from"], one["rank_to"]) for one in found}
    assert places["poor"][0] > places["steady"][1] or places["poor"][0] == 2
    assert places["new"] == (1, 3)


def test_lots_and_costs_that_are_given_are_counted_with_their_definition(client):
    given = {"incoming_accepted": 48, "incoming_lots": 50, "internal_failure": 60, "revenue": 1000}
    found = client.post("/api/v1/spc/merit/given", json=given).json()["figures"]
    values = {one["figure"]: one["value"] for one in found}
    assert values == {"incoming_lot_acceptance": 0.96, "poor_quality": 60, "poor_quality_share": 0.06}
    wrong = client.post("/api/v1/spc/merit/given", json={"incoming_accepted": 51, "incoming_lots": 50})
    assert wrong.json()["code"] == "SPC-COUNT-IMPOSSIBLE"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_shows_figures_and_reads_what_is_typed(ten_parts, client, language):
    asked = {"lang": language}
    headers = {"Accept": "text/html"}
    page = client.get("/spc/merit", params=asked, headers=headers).text
    assert "70.00%" in page
    # By the lane's name, not by what stands in addresses.
    assert load_station("demo").lanes[1].title.in_language(language) + "</span>" in page
    assert "demo / parts" not in page
    typed = {
        "numbers": "incoming_accepted = 48\nincoming_lots = 50",
        "suppliers": "A, 48, 50, 3, 4000, 3, 4, 5",
    }
    shown = client.post("/spc/merit/given", params=asked, data=typed, headers=headers)
    assert "96.00%" in shown.text
    assert 'class="table table-suppliers"' in shown.text
    wrong = client.post("/spc/merit/given", params=asked, data={"numbers": "lots: 50"}, headers=headers)
    assert (wrong.status_code, "SPC-READINGS-UNREADABLE" in wrong.text) == (422, True)
