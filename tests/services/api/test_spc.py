from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from inspection.types import Box
from services.text import say
from tests.a_station import hours_of_parts
from tests.builders import RECIPE, a_defect, a_unit, an_inspection

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


def _by_kind(station):
    """Two kinds of defects on two cameras, of two recipes: three small scratches, one large pit."""
    newer = replace(RECIPE, revision=RECIPE.revision + 1)
    seen = [
        ("scratch", "left", 1.0, RECIPE),
        ("scratch", "left", 1.0, newer),
        ("scratch", "right", 1.0, newer),
        ("pits", "right", 10.0, newer),
        (None, "", 0.0, RECIPE),
        (None, "", 0.0, newer),
    ]
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/P-{number}"),
                lane="parts",
                recipe=recipe,
                defects=()
                if kind is None
                else (a_defect(kind=kind, camera=camera, box_mm=Box(0, 0, side, side)),),
                finished_at=NOON - timedelta(minutes=60 * (number % 2) + 30),
            )
            for number, (kind, camera, side, recipe) in enumerate(seen)
        ]
    )
    return f"{newer.name} {newer.revision}, strip 1.0.0"


@pytest.mark.parametrize(
    ("asked", "order"),
    [
        ({}, {"scratch": 3.0, "pits": 1.0}),
        ({"weigh": "area"}, {"pits": 100.0, "scratch": 3.0}),
        ({"weigh": "cost", "costs": "scratch=2, pits=9"}, {"pits": 9.0, "scratch": 6.0}),
    ],
)
def test_a_pareto_goes_by_count_by_area_or_by_cost(station, client, asked, order):
    _by_kind(station)
    bars = client.get("/api/v1/spc/pareto", params=WINDOW | asked).json()["bars"]
    assert {bar["kind"]: bar["weight"] for bar in bars} == order
    assert [bar["kind"] for bar in bars] == list(order)
    file = client.get("/api/v1/spc/pareto/file", params=WINDOW | asked | {"format": "csv"})
    assert file.content.startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize("weigh", ["count", "area"])
@pytest.mark.parametrize(
    ("stratum", "defects"),
    [
        ({}, {"scratch": 3, "pits": 1, "crack": 1}),
        ({"kind": "scratch"}, {"scratch": 3}),
        ({"camera": "right"}, {"scratch": 1, "pits": 1}),
        ({"stage": True}, {"scratch": 2, "pits": 1}),
        ({"stage": True, "kind": "scratch", "camera": "left"}, {"scratch": 1}),
        ({"stage": "part-demo 77"}, {}),
        ({"shift": "06:00"}, {"scratch": 3, "pits": 1}),
        ({"shift": "22:00"}, {"crack": 1}),
        ({"shift": "22:00", "stage": True}, {}),
        ({"shift": "07:30"}, {}),
    ],
)
def test_a_pareto_is_of_the_same_units_and_defects_as_the_chart_beside_it(
    station, client, stratum, defects, weigh
):
    newer = _by_kind(station)
    local_night = NOON.astimezone().replace(hour=23) - timedelta(days=1)
    station.store.record(
        [
            an_inspection(
                lane="parts", defects=(a_defect(kind="crack", camera="left"),), finished_at=local_night
            )
        ]
    )
    asked = {"weigh": weigh} | {name: newer if value is True else value for name, value in stratum.items()}
    bars = client.get("/api/v1/spc/pareto", params=WINDOW | {"lane": "parts"} | asked).json()["bars"]
    assert {bar["kind"]: bar["defects"] for bar in bars} == defects
    assert {bar["kind"]: bar["units"] for bar in bars} == defects


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_decimal_comma_in_costs_or_nominals_is_refused_in_words(client, language):
    for path, asked in (
        ("pareto", {"costs": "scratch=3,5"}),
        ("measured", {"measurement": "width", "chart": "dnom", "nominals": "part-demo 5=40,2"}),
    ):
        answer = client.get(f"/api/v1/spc/{path}", params=asked | {"lang": language})
        assert (answer.status_code, answer.json()["code"]) == (422, "SPC-READINGS-UNREADABLE")
        assert answer.json()["action"] == say("error.SPC-READINGS-UNREADABLE.named.action", language)


def test_costs_that_are_no_numbers_are_refused(client):
    answer = client.get("/api/v1/spc/pareto", params=WINDOW | {"costs": "scratch: three"})
    assert answer.json()["code"] == "SPC-READINGS-UNREADABLE"
    for cost in ("-3", "nan", "inf"):
        answer = client.get("/api/v1/spc/pareto", params=WINDOW | {"costs": f"scratch={cost}"})
        assert answer.json()["code"] == "SPC-PARAMETER", cost


@pytest.mark.parametrize(
    ("stratum", "count", "judged"),
    [
        ({"camera": "left"}, 2, 6),
        ({"camera": "right", "kind": "scratch"}, 1, 6),
        ({"kind": "scratch", "stage": True}, 2, 4),
    ],
)
def test_units_are_counted_by_camera_and_by_kind_and_recipe_together(station, client, stratum, count, judged):
    newer = _by_kind(station)
    asked = {name: newer if value is True else value for name, value in stratum.items()}
    chart = client.get("/api/v1/spc/p", params=WINDOW | {"lane": "parts"} | asked).json()
    assert sum(point["count"] for point in chart["points"]) == count
    assert sum(point["opportunity"] for point in chart["points"]) == judged
