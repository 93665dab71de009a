from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.a_station import hours_of_parts

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
REFUSED = [0, 3, 1, 2] * 5 + [12] + [1, 2, 1]
WINDOW = {"since": "2026-11-19T12:00:00Z", "until": "2026-11-20T12:00:00Z"}


@pytest.fixture
def a_day(station):
    """A day of parts, few refused but for one hour in which more than half were."""
    hours_of_parts(station, REFUSED, until=NOON, simulated=False)


def test_the_chart_has_a_point_for_every_hour_and_signals_the_bad_one(a_day, client):
    chart = client.get("/api/v1/spc/p", params=WINDOW).json()
    assert [point["count"] for point in chart["points"]] == REFUSED
    assert chart["points"][20]["value"] == pytest.approx(12 / 20)
    (signal,) = chart["signals"]
    assert (signal["index"], signal["rule"], signal["number"]) == (20, "beyond_limits", 1)
    assert signal["key"] == chart["points"][20]["key"]
    assert not chart["baseline"]["is_provisional"]


def test_rules_and_method_are_said_in_the_readers_language(a_day, client):
    says = [
        client.get("/api/v1/spc/p", params=WINDOW | {"lang": language}).json()["rules"][0]["text"]
        for language in ("zh", "en")
    ]
    assert says[0] != says[1]


def test_a_points_key_leads_to_its_units_the_refused_first(a_day, client):
    chart = client.get("/api/v1/spc/p", params=WINDOW).json()
    point = chart["points"][20]
    units = client.get(f"/api/v1/spc/subgroups/{point['key']}").json()["units"]
    assert len(units) == 20
    assert [one["verdict"] for one in units] == ["REJECT"] * 12 + ["ACCEPT"] * 8
    assert client.get(f"/api/v1/units/{units[0]['unit']['code']}").json()["verdict"] == "REJECT"
    assert client.get(f"/api/v1/pictures/{units[0]['picture']}").status_code == 200


def test_a_chart_of_one_lane_holds_that_lane_only(a_day, client):
    assert client.get("/api/v1/spc/p", params=WINDOW | {"lane": "parts"}).status_code == 200
    other = client.get("/api/v1/spc/p", params=WINDOW | {"lane": "strip"})
    assert other.json()["code"] == "SPC-TOO-FEW"


def test_the_lane_of_a_chart_goes_along_to_its_subgroups(a_day, client):
    chart = client.get("/api/v1/spc/p", params=WINDOW | {"lane": "parts"}).json()
    assert chart["points"][0]["url"].endswith("?lane=parts")


def test_what_is_simulated_is_counted_point_by_point(station, client):
    hours_of_parts(station, [1, 1], until=NOON, simulated=True)
    hours_of_parts(station, [2], until=NOON + timedelta(hours=1), simulated=False)
    points = client.get("/api/v1/spc/p", params=WINDOW | {"until": "2026-11-20T13:00:00Z"}).json()["points"]
    assert [(point["opportunity"], point["simulated"]) for point in points] == [(20, 20), (20, 20), (20, 0)]


def test_the_pareto_counts_defects_by_kind_and_names_them(a_day, client):
    bars = client.get("/api/v1/spc/pareto", params=WINDOW).json()["bars"]
    assert sum(bar["share"] for bar in bars) == pytest.approx(1)
    assert bars[-1]["cumulative_share"] == pytest.approx(1)
    assert bars[0]["units"] == sum(REFUSED)
    assert bars[0]["name"] != bars[0]["kind"]


def test_a_century_of_hours_is_refused_before_it_is_counted(client):
    answer = client.get("/api/v1/spc/p", params={"since": "1926-11-20T00:00:00Z"})
    assert (answer.status_code, answer.json()["code"]) == (422, "SPC-TOO-MANY")
