from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from inspection.types import RecipeRef, Verdict
from tests.builders import RECIPE, a_measurement, a_unit, an_inspection


def _measured(station, values, *, recipe: RecipeRef = RECIPE, start: int = 0, **given):
    begin = datetime.now(UTC) - timedelta(hours=2)
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/P-{start + number}"),
                recipe=recipe,
                measurements=(replace(a_measurement(), value=value),),
                finished_at=begin + timedelta(seconds=start + number),
                **given,
            )
            for number, value in enumerate(values)
        ]
    )


# Montgomery's viscosity example in another unit would do as well: what is held here is the way from the record.
STEADY = [10.0, 10.2, 9.9, 10.1, 10.0, 9.8, 10.1, 10.2, 9.9, 10.0]


def test_what_was_measured_is_listed_with_its_unit(station, client):
    _measured(station, STEADY)
    _measured(station, [1.0], start=100, verdict=Verdict.NOT_INSPECTED)
    assert client.get("/api/v1/spc/measurements").json() == [
        {"name": "width", "title": "Width, mean", "unit": "mm", "values": 10}
    ]


def test_single_values_and_moving_ranges_come_ready_to_be_drawn(station, client):
    _measured(station, [*STEADY, 20.0])
    chart = client.get("/api/v1/spc/individuals?measurement=width").json()
    assert [point["value"] for point in chart["location"]["points"]] == [*STEADY, 20.0]
    assert chart["spread"]["points"][0]["value"] is None
    assert chart["spread"]["points"][1]["value"] == pytest.approx(0.2)
    (signal,) = [one for one in chart["location"]["signals"] if one["index"] == 10]
    assert (signal["number"], signal["side"]) == (1, "above")
    assert chart["stages"] == ["demo-strip 3, strip 1.0.0"]


def test_a_changed_recipe_begins_a_stage_with_limits_of_its_own(station, client):
    _measured(station, STEADY)
    _measured(
        station,
        [value + 5 for value in STEADY],
        start=50,
        recipe=replace(RECIPE, revision=RECIPE.revision + 1),
    )
    chart = client.get("/api/v1/spc/individuals?measurement=width").json()
    assert len(chart["stages"]) == 2
    assert chart["location"]["signals"] == []
    centres = [point["centre"] for point in chart["location"]["points"]]
    assert centres[10] - centres[9] == pytest.approx(5)
    assert chart["spread"]["points"][10]["value"] is None


def test_a_point_leads_to_its_unit(station, client):
    _measured(station, STEADY)
    point = client.get("/api/v1/spc/individuals?measurement=width").json()["location"]["points"][3]
    shown = client.get(point["url"], follow_redirects=False)
    assert shown.headers["location"].startswith("/trace/86.999.1/P-3#inspection-")


def test_too_few_values_are_refused_with_what_to_do(station, client):
    for values in ([], [1.0]):
        _measured(station, values)
        answer = client.get("/api/v1/spc/individuals?measurement=width")
        assert answer.status_code == 422
        assert answer.json()["code"].startswith("SPC-")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_shows_the_chart_or_says_why_there_is_none(station, client, language):
    headers = {"Accept": "text/html", "Accept-Language": language}
    assert client.get("/spc/measured", headers=headers).status_code == 200
    _measured(station, STEADY)
    shown = client.get("/spc/measured?rules=western_electric", headers=headers)
    assert shown.status_code == 200
    assert shown.text.count('data-kind="measured"') == 2
    assert 'class="rule"' not in shown.text


def test_a_signal_of_the_moving_range_alone_is_listed_too(station, client):
    """One value far off, yet within its limits: only the two ranges beside it are beyond theirs."""
    _measured(station, [10.0, 10.1] * 8 + [9.85, 10.28] + [10.1, 10.0] * 4)
    chart = client.get("/api/v1/spc/individuals?measurement=width&rules=aiag_vda").json()
    assert chart["spread"]["signals"]
    page = client.get(
        "/spc/measured?rules=aiag_vda", headers={"Accept": "text/html", "Accept-Language": "en"}
    )
    assert page.text.count('class="rule"') == len(chart["spread"]["signals"]) + len(
        chart["location"]["signals"]
    )
