from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import numpy as np
import pytest

from inspection.types import RecipeRef, Verdict
from services.api.charts import ChartAnswer
from services.measured_charts import MeasuredChart
from services.text import say
from tests.builders import RECIPE, a_measurement, a_unit, an_inspection
from tests.services.signed_in import signed_in
from traceability.accounts import Role
from traceability.spc.multivariate import mewma_chart, t2_individuals
from traceability.spc.run_length import mewma_arl


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


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("chart", "wanting"), [("mewma", "beside"), ("pre_control", "limits")])
def test_a_chart_that_needs_more_says_what_to_give_in_words(station, client, chart, wanting, language):
    _measured(station, STEADY)
    headers = {"Accept": "text/html", "Accept-Language": language}
    page = client.get(f"/spc/measured?measurement=width&chart={chart}", headers=headers).text
    assert say(f"web.spc.wanting_{wanting}", language) in page
    assert "other measurement" not in page
    assert "specification limits" not in page


def test_what_was_measured_is_listed_with_its_unit(station, client):
    _measured(station, STEADY)
    _measured(station, [1.0], start=100, verdict=Verdict.NOT_INSPECTED)
    assert client.get("/api/v1/spc/measurements").json() == [
        {"name": "width", "title": "Width, mean", "unit": "mm", "values": 10}
    ]


def test_single_values_and_moving_ranges_come_ready_to_be_drawn(station, client):
    _measured(station, [*STEADY, 20.0])
    chart = client.get("/api/v1/spc/measured?measurement=width").json()
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
    chart = client.get("/api/v1/spc/measured?measurement=width").json()
    assert len(chart["stages"]) == 2
    assert chart["location"]["signals"] == []
    centres = [point["centre"] for point in chart["location"]["points"]]
    assert centres[10] - centres[9] == pytest.approx(5)
    assert chart["spread"]["points"][10]["value"] is None


@pytest.mark.parametrize(("language", "said"), [("en", "3 stretches"), ("zh", "共 3 段")])
def test_a_recipe_that_comes_back_is_told_as_often_as_the_chart_begins_its_limits(
    station, client, language, said
):
    _measured(station, STEADY)
    _measured(station, STEADY, start=50, recipe=replace(RECIPE, revision=RECIPE.revision + 1))
    _measured(station, STEADY, start=100)
    drawn = ChartAnswer.model_validate(
        client.get("/api/v1/spc/measured?measurement=width").json()["location"]
    )
    assert (len(drawn.stages), drawn.stretches) == (2, 3)
    page = client.get(
        "/spc/measured?measurement=width", headers={"Accept": "text/html", "Accept-Language": language}
    )
    assert said in page.text


def test_a_point_leads_to_its_unit(station, client):
    _measured(station, STEADY)
    point = client.get("/api/v1/spc/measured?measurement=width").json()["location"]["points"][3]
    shown = client.get(point["url"], follow_redirects=False)
    assert shown.headers["location"].startswith("/trace/86.999.1/P-3#inspection-")


def test_too_few_values_are_refused_with_what_to_do(station, client):
    for values in ([], [1.0]):
        _measured(station, values)
        answer = client.get("/api/v1/spc/measured?measurement=width")
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
    chart = client.get("/api/v1/spc/measured?measurement=width&rules=aiag_vda").json()
    assert chart["spread"]["signals"]
    page = client.get(
        "/spc/measured?rules=aiag_vda", headers={"Accept": "text/html", "Accept-Language": "en"}
    )
    assert page.text.count('class="rule"') == len(chart["spread"]["signals"]) + len(
        chart["location"]["signals"]
    )


def _chart(client, **asked):
    answer = client.get("/api/v1/spc/measured", params={"measurement": "width"} | asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("chart", "statistics"),
    [
        ("individuals", ["individual", "moving_range"]),
        ("mean_range", ["mean", "range"]),
        ("mean_deviation", ["mean", "standard_deviation"]),
        ("median", ["median", "range"]),
        ("ewma", ["ewma", None]),
        ("cusum", ["cusum_above", "cusum_below"]),
        ("residuals", ["residual", "moving_range"]),
        ("short_runs", ["individual", "moving_range"]),
        ("dnom", ["deviation", "moving_range"]),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_any_chart_of_the_library_is_drawn_of_what_was_measured(station, client, chart, statistics, language):
    _measured(station, STEADY * 3)
    found = _chart(client, chart=chart, lang=language)
    drawn = [found[part] and found[part]["statistic"] for part in ("location", "spread")]
    assert drawn == statistics
    assert found["location"]["points"][-1]["upper"] > 0
    page = client.get(f"/spc/measured?chart={chart}&lang={language}", headers={"Accept": "text/html"})
    assert page.text.count('data-kind="measured"') == sum(one is not None for one in statistics)
    for format in ("csv", "xlsx"):
        file = client.get(f"/api/v1/spc/measured/file?measurement=width&chart={chart}&format={format}")
        assert file.status_code == 200


@pytest.mark.parametrize(
    ("chart", "unit"),
    [
        ("individuals", "mm"),
        ("residuals", "mm"),
        ("dnom", "mm"),
        ("short_runs", "σ"),
        ("cusum", "σ"),
        ("t_squared", "σ²"),
        ("mewma", "σ²"),
    ],
)
def test_a_chart_says_in_what_its_points_are(station, client, chart, unit):
    _pairs(station, np.random.default_rng(5).normal(10, 1, (40, 2)).tolist())
    found = _chart(client, chart=chart, beside="height")
    assert {found[part]["unit"] for part in ("location", "spread") if found[part]} == {unit}
    page = client.get(
        f"/spc/measured?measurement=width&chart={chart}&lang=en", headers={"Accept": "text/html"}
    )
    assert f"40 units, in {unit}." in page.text


@pytest.mark.parametrize(("simulated", "said"), [(True, 1), (False, 0)])
def test_a_page_with_values_of_a_demos_history_says_so(station, client, simulated, said):
    _measured(station, STEADY, simulated=simulated)
    page = client.get("/spc/measured?lang=en", headers={"Accept": "text/html"})
    assert page.text.count("Contains simulated data: 10 of 10 units") == said


def test_runs_of_two_recipes_share_a_chart_of_deviations_from_their_nominals(station, client):
    newer = replace(RECIPE, revision=RECIPE.revision + 1)
    _measured(station, STEADY)
    _measured(station, [value + 30 for value in STEADY], start=50, recipe=newer)
    own = _chart(client, chart="dnom")["location"]
    assert [point["value"] for point in own["points"]] == pytest.approx(
        [value - 10.02 for value in STEADY] * 2
    )
    assert own["signals"] == []
    assert {point["centre"] for point in own["points"]} == {0}
    given = _chart(client, chart="dnom", nominals=f"{newer.name} {newer.revision}=42")["location"]
    assert given["points"][0]["value"] == pytest.approx(-0.02)
    assert given["points"][10]["value"] == pytest.approx(-2)
    assert given["points"][0]["centre"] == pytest.approx(-0.99)
    answer = client.get("/api/v1/spc/measured?measurement=width&chart=dnom&nominals=demo")
    assert answer.json()["code"] == "SPC-READINGS-UNREADABLE"


def test_pre_control_counts_zones_and_says_when_to_adjust_and_when_to_stop(station, client):
    good, low, high, out = 10.0, 9.2, 10.8, 11.2
    _measured(station, [low, good, good, good, good, good, low, low, low, high, good, low, out])
    found = _chart(client, chart="pre_control", lower=9, upper=11)
    assert found["pre_control"] == {
        "green": 6,
        "yellow": 6,
        "red": 1,
        "qualified": found["location"]["points"][5]["label"],
    }
    assert [(one["index"], one["rule"], one["side"]) for one in found["location"]["signals"]] == [
        (7, "adjust", "below"),
        (9, "stop_variation", "above"),
        (12, "stop_red", "above"),
    ]
    point = found["location"]["points"][0]
    assert (point["lower"], point["centre"], point["upper"]) == (9, 10, 11)
    assert point["zones"] == [9.5, 10.5]


@pytest.mark.parametrize("asked", [{}, {"lower": 9}, {"lower": 11, "upper": 9}])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_pre_control_without_both_limits_is_refused_and_the_page_asks_for_them(
    station, client, asked, language
):
    _measured(station, STEADY)
    params = {"measurement": "width", "chart": "pre_control", "lang": language} | asked
    assert client.get("/api/v1/spc/measured", params=params).json()["code"].startswith("SPC-")
    page = client.get("/spc/measured", params=params, headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert 'name="lower"' in page.text
    assert 'data-kind="measured"' not in page.text


def test_a_point_of_a_subgroup_leads_to_its_units(station, client):
    _measured(station, STEADY)
    found = _chart(client, chart="mean_range", size=4)
    values = [sum(STEADY[start : start + 4]) / 4 for start in (0, 4)]
    assert [point["value"] for point in found["location"]["points"]] == pytest.approx(values)
    assert (found["size"], found["left_over"]) == (4, 2)
    listed = client.get(found["location"]["points"][1]["url"], headers={"Accept": "text/html"})
    assert [f"P-{number}" in listed.text for number in (3, 4, 7, 8)] == [False, True, True, False]


@pytest.mark.parametrize("chart", ["ewma", "cusum"])
def test_a_small_shift_that_single_values_do_not_show_shows_on_a_chart_that_remembers(station, client, chart):
    _measured(station, [*STEADY * 4, *(value + 0.3 for value in STEADY * 2)])
    assert _chart(client, rules="aiag_vda")["location"]["signals"] == []
    # Sums resemble their neighbours by what they are: that is no warning about the values.
    assert _chart(client, chart=chart)["lag_1"] is None
    assert _chart(client, chart=chart)["location"]["signals"]


def _pairs(station, pairs):
    begin = datetime.now(UTC) - timedelta(hours=2)
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/P-{number}"),
                measurements=(
                    replace(a_measurement(), value=one),
                    replace(a_measurement(), name="height", value=other),
                ),
                finished_at=begin + timedelta(seconds=number),
            )
            for number, (one, other) in enumerate(pairs)
        ]
    )


def test_a_combination_that_neither_measurement_shows_alone_shows_on_t_squared(station, client):
    pairs = [(value, value + 5 + 0.01 * (number % 3)) for number, value in enumerate(STEADY * 3)]
    pairs[20] = (10.2, 14.8)
    _pairs(station, pairs)
    assert _chart(client)["location"]["signals"] == []
    found = _chart(client, chart="t_squared", beside="height")
    assert [one["index"] for one in found["location"]["signals"]] == [20]
    assert set(found["location"]["points"][20]["shares"]) == {"Width, mean", "height"}
    alone = client.get("/api/v1/spc/measured?measurement=width&chart=t_squared")
    assert alone.json()["code"] == "SPC-PARAMETER"


def test_a_lasting_shift_of_two_measurements_at_once_shows_on_mewma(station, client):
    """Half a sigma in each, in the direction in which they do not usually move together."""
    drawn = np.random.default_rng(5).multivariate_normal([10, 15], [[1, 0.8], [0.8, 1]], 120)
    drawn[80:] += (0.6, -0.6)
    _pairs(station, drawn.tolist())
    found = _chart(client, chart="mewma", beside="height")["location"]
    known = t2_individuals(drawn).established
    expected = mewma_chart(
        drawn, weight=0.2, mean=known.mean, covariance=known.covariance, h=found["points"][0]["upper"]
    )
    assert [point["value"] for point in found["points"]] == pytest.approx(list(expected.value))
    assert mewma_arl(weight=0.2, h=found["points"][0]["upper"], variables=2) == pytest.approx(370.4, rel=1e-6)
    assert found["signals"]
    assert not _chart(client, chart="t_squared", beside="height")["location"]["signals"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_draws_mewma_and_makes_files_of_it(station, client, language):
    _pairs(station, np.random.default_rng(5).normal(10, 1, (40, 2)).tolist())
    page = client.get(f"/spc/measured?chart=mewma&lang={language}", headers={"Accept": "text/html"})
    assert page.text.count('data-kind="measured"') == 1
    for format in ("csv", "xlsx"):
        asked = f"measurement=width&beside=height&chart=mewma&format={format}&lang={language}"
        assert client.get(f"/api/v1/spc/measured/file?{asked}").status_code == 200


def test_limits_that_were_fitted_to_the_values_shown_cannot_be_frozen(station):
    _measured(station, STEADY * 3)
    said = {"kind": "frozen", "reason": "as agreed"}
    engineer = signed_in(station.app(), Role.ENGINEER)
    refused = engineer.post("/api/v1/spc/measured/entries?measurement=width&chart=residuals", json=said)
    assert refused.json()["code"] == "SPC-PARAMETER"
    made = engineer.post("/api/v1/spc/measured/entries?measurement=width&chart=mean_range", json=said)
    assert made.status_code == 201
    assert engineer.get("/api/v1/spc/measured?measurement=width&chart=mean_range").json()["location"][
        "frozen"
    ]


@pytest.mark.parametrize(
    "chart", [one for one in get_args(MeasuredChart) if one not in ("t_squared", "mewma", "pre_control")]
)
def test_of_values_that_do_not_differ_no_chart_is_drawn(station, client, chart):
    """A sensor that is stuck, on one lane, where a stage without limits of its own is else shown without."""
    _measured(station, [5.0] * 40)
    asked = {"measurement": "width", "lane": "strip", "chart": chart}
    answer = client.get("/api/v1/spc/measured", params=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "SPC-NO-VARIATION")


@pytest.mark.parametrize("chart", ["residuals", "t_squared", "mewma", "mean_range"])
def test_of_one_unit_no_chart_without_limits_is_drawn(station, client, chart):
    _measured(station, [5.0])
    asked = {"measurement": "width", "lane": "strip", "chart": chart, "beside": ["length"]}
    answer = client.get("/api/v1/spc/measured", params=asked)
    assert answer.status_code == 422
    assert answer.json()["code"] in ("SPC-TOO-FEW-VALUES", "SPC-NO-VALUES")


@pytest.mark.parametrize(("chart", "units"), [("individuals", 20), ("mean_range", 20)])
def test_a_file_counts_the_units_behind_its_points(station, client, chart, units):
    _measured(station, STEADY * 2, simulated=True)
    asked = {"measurement": "width", "chart": chart}
    location = client.get("/api/v1/spc/measured", params=asked).json()["location"]
    found = ChartAnswer.model_validate(location)
    assert (found.units, found.simulated) == (units, units)


def test_of_single_values_with_too_few_left_the_page_lets_them_be_taken_in_again(station):
    _measured(station, STEADY[:3])
    engineer = signed_in(station.app(), Role.ENGINEER)
    asked = {"measurement": "width", "stages": "none", "station": "demo"}
    points = engineer.get("/api/v1/spc/measured", params=asked).json()["location"]["points"][1:]
    for point in points:
        said = {"kind": "excluded", "reason": "trial run", "point": point["key"]}
        assert engineer.post("/api/v1/spc/measured/entries", params=asked, json=said).status_code == 201
    assert engineer.get("/api/v1/spc/measured", params=asked).status_code == 422
    page = engineer.get("/spc/measured?measurement=width&stages=none", headers={"Accept": "text/html"}).text
    for point in points:
        assert f'name="point" value="{point["key"]}"' in page
