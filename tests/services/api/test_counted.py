"""Charts of what is counted, beside the p chart: np, u and c by hour, g and t event by event."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from inspection.types import Verdict
from tests.a_station import hours_of_parts
from tests.builders import RECIPE, a_defect, a_unit, an_inspection
from tests.services.signed_in import signed_in
from traceability.accounts import Role
from traceability.spc.attributes import attribute_chart, g_chart, t_chart

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
REFUSED = [0, 3, 1, 2] * 5 + [12] + [1, 2, 1]
WINDOW = {"since": "2026-11-19T12:00:00Z", "until": "2026-11-20T12:00:00Z"}


@pytest.fixture
def a_day(station):
    hours_of_parts(station, REFUSED, until=NOON, simulated=False)


def _chart(client, **asked):
    answer = client.get("/api/v1/spc/p", params=WINDOW | asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _lines(chart, name):
    return [point[name] for point in chart["points"]]


def test_np_says_what_p_says_in_units(a_day, client):
    p, np = _chart(client), _chart(client, chart="np")
    for name in ("value", "centre", "lower", "upper"):
        assert _lines(np, name) == pytest.approx([20 * value for value in _lines(p, name)]), name
    assert [one["index"] for one in np["signals"]] == [one["index"] for one in p["signals"]] == [20]
    assert np["unit"] == "units"


@pytest.mark.parametrize("kind", ["u", "c"])
def test_defects_are_charted_per_unit_and_per_subgroup(a_day, client, kind):
    found = _chart(client, chart=kind)
    defects = _lines(found, "count")
    assert sum(defects) == sum(
        bar["defects"] for bar in client.get("/api/v1/spc/pareto", params=WINDOW).json()["bars"]
    )
    plain = attribute_chart(
        kind, defects, [20] * len(defects) if kind == "u" else None, limits="laney_if_needed"
    ).chart
    assert _lines(found, "value") == pytest.approx(list(plain.value))
    assert _lines(found, "upper") == pytest.approx(list(plain.upper))
    assert found["method"] == plain.method


def test_a_c_chart_leaves_hours_of_another_size_out_as_gaps(station, a_day, client):
    """Five units more are a quarter of twenty, six are more than that."""
    for number in range(6):
        station.store.record(
            [
                an_inspection(
                    unit=a_unit(f"86.999.1/MORE-{number}"),
                    lane="parts",
                    finished_at=NOON - timedelta(minutes=30 if number < 5 else 20),
                )
            ]
        )
        values = _lines(_chart(client, chart="c"), "value")
        assert (values[-1] is None) == (number == 5)


def _rare(station, gaps, *, start=NOON - timedelta(hours=20), recipe=RECIPE, prefix="R"):
    """Refused parts with so many good ones before each; a part a minute."""
    inspections = []
    for gap in gaps:
        for verdict in [Verdict.ACCEPT] * gap + [Verdict.REJECT]:
            number = len(inspections)
            inspections.append(
                an_inspection(
                    unit=a_unit(f"86.999.1/{prefix}-{number}"),
                    recipe=recipe,
                    lane="parts",
                    verdict=verdict,
                    defects=(a_defect(kind="pits"),) if verdict is Verdict.REJECT and gap % 2 else (),
                    finished_at=start + timedelta(minutes=number),
                )
            )
    # Whom nobody could judge was no chance to refuse.
    inspections.append(
        an_inspection(
            unit=a_unit(f"86.999.1/{prefix}-BLIND"),
            lane="parts",
            verdict=Verdict.NOT_INSPECTED,
            finished_at=start + timedelta(minutes=gaps[0] + 1, seconds=30),
        )
    )
    station.store.record(inspections)


GAPS = [30, 41, 17, 60, 25, 33, 8, 52, 0, 0, 0, 0, 0, 0, 0]


def test_a_g_chart_counts_the_judged_units_between_two_refused_ones(station, client):
    _rare(station, GAPS)
    found = _chart(client, chart="g")
    assert _lines(found, "value") == GAPS[1:]
    plain = g_chart(GAPS[1:])
    assert _lines(found, "centre") == pytest.approx(list(plain.chart.centre))
    assert _lines(found, "upper") == pytest.approx(list(plain.chart.upper))
    zeros = [one["index"] for one in found["signals"] if one["rule"] == "zeros_in_a_row"]
    assert zeros == list(plain.zero_runs)
    assert zeros
    assert [(rule["rule"], rule["number"]) for rule in found["rules"]] == [
        ("beyond_limits", 1),
        ("zeros_in_a_row", 2),
    ]
    assert found["points"][0]["url"].startswith("/inspection/")


def test_a_t_chart_has_the_hours_between_two_refused_ones_with_limits_in_hours(station, client):
    _rare(station, GAPS)
    found = _chart(client, chart="t")
    hours = [(gap + 1) / 60 for gap in GAPS[1:]]
    assert _lines(found, "value") == pytest.approx(hours)
    plain = t_chart(hours).chart
    assert _lines(found, "centre") == pytest.approx([centre**3.6 for centre in plain.centre])
    assert _lines(found, "upper") == pytest.approx([upper**3.6 for upper in plain.upper])
    assert {one["index"] for one in found["signals"]} == {one.index for one in plain.signals}


@pytest.mark.parametrize("chart", ["g", "t"])
def test_what_lies_before_the_first_rare_event_of_a_stage_began_in_the_one_before_and_is_not_judged(
    station, client, chart
):
    _rare(station, [20, 25, 18, 22, 30])
    # The lane stood still for hours before it went on under another recipe.
    newer = replace(RECIPE, revision=RECIPE.revision + 1)
    _rare(station, [200, 3, 5, 2, 4, 6], start=NOON - timedelta(hours=10), recipe=newer, prefix="S")
    found = _chart(client, chart=chart, lane="parts")
    begins = [point["stage"] for point in found["points"]].index(found["points"][-1]["stage"])
    assert begins == 4
    assert found["points"][begins]["value"] is not None
    assert found["points"][begins]["upper"] is None
    assert found["points"][begins + 1]["upper"] is not None
    assert found["signals"] == []


def test_rare_events_may_be_those_of_a_kind_of_defect(station, client):
    _rare(station, GAPS)
    odd = [index for index, gap in enumerate(GAPS) if gap % 2]
    expected = [sum(GAPS[first + 1 : second + 1]) + second - first - 1 for first, second in pairwise(odd)]
    assert _lines(_chart(client, chart="g", kind="pits"), "value") == expected


@pytest.mark.parametrize("asked", [{"stage": "demo-strip 3"}, {"shift": "06:00"}, {"camera": "top"}])
def test_what_is_rare_is_not_cut_into_strata_that_nobody_counts(station, client, asked):
    _rare(station, GAPS)
    answer = client.get("/api/v1/spc/p", params=WINDOW | {"chart": "g"} | asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "SPC-PARAMETER")


def test_too_few_events_are_refused_with_what_to_do(station, client):
    _rare(station, [3])
    answer = client.get("/api/v1/spc/p", params=WINDOW | {"chart": "g"})
    assert (answer.status_code, answer.json()["code"]) == (422, "SPC-TOO-FEW-VALUES")


def test_limits_frozen_on_the_p_chart_hold_on_np_and_those_of_u_are_its_own(station, a_day):
    engineer = signed_in(station.app(), Role.ENGINEER)
    said = {"kind": "frozen", "reason": "as agreed"}
    made = engineer.post("/api/v1/spc/p/entries", params=WINDOW | {"chart": "np"}, json=said)
    assert made.status_code == 201
    assert _chart(engineer)["frozen"]["reason"] == "as agreed"
    assert _chart(engineer, chart="u")["frozen"] is None
    before = _lines(_chart(engineer, chart="u"), "upper")
    made = engineer.post("/api/v1/spc/p/entries", params=WINDOW | {"chart": "u"}, json=said)
    assert made.status_code == 201
    assert _lines(_chart(engineer, chart="u"), "upper") == pytest.approx(before)
    refused = engineer.post("/api/v1/spc/p/entries", params=WINDOW | {"chart": "g"}, json=said)
    assert refused.json()["code"] == "SPC-PARAMETER"


def test_a_rare_event_is_left_out_of_the_limits_by_its_inspection(station):
    _rare(station, GAPS)
    engineer = signed_in(station.app(), Role.ENGINEER)
    point = _chart(engineer, chart="g")["points"][2]
    made = engineer.post(
        "/api/v1/spc/p/entries",
        params=WINDOW | {"chart": "g"},
        json={"kind": "excluded", "reason": "a trial", "point": point["key"]},
    )
    assert made.status_code == 201
    found = _chart(engineer, chart="g")
    kept = [gap for index, gap in enumerate(GAPS[1:]) if index != 2]
    assert _lines(found, "centre")[0] == pytest.approx(sum(kept) / len(kept))
    assert found["points"][2]["excluded"]["reason"] == "a trial"
    nobody = engineer.post(
        "/api/v1/spc/p/entries",
        params=WINDOW | {"chart": "g"},
        json={"kind": "excluded", "reason": "a trial", "point": "20261120T060000Z-20261120T070000Z"},
    )
    assert nobody.status_code == 404


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("chart", ["p", "np", "u", "c", "g", "t"])
def test_the_page_and_files_have_every_chart(station, client, chart, language):
    hours_of_parts(station, [1, 3, 2, 1, 2], until=datetime.now(UTC), simulated=True)
    page = client.get(f"/spc?chart={chart}&lang={language}", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert f"chart={chart}" in page.text
    assert f'<option value="{chart}" selected>' in page.text
    assert page.text.count('data-kind="p"') == 1
    for format in ("csv", "xlsx"):
        file = client.get(f"/api/v1/spc/p/file?chart={chart}&format={format}&lang={language}")
        assert file.status_code == 200
