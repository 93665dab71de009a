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
from traceability.spc.time_weighted import bernoulli_cusum, poisson_cusum

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
@pytest.mark.parametrize("chart", ["p", "np", "u", "c", "g", "t", "bernoulli_cusum", "poisson_cusum"])
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


QUIET, WORSE = [30, 41, 17, 60, 25, 33, 48, 52, 39, 45], [2, 5, 3, 1, 4, 2, 3, 6, 2, 4, 1, 3]
"""Good units before each refused one: one refused in forty, then one in four."""


def test_a_bernoulli_cusum_finds_more_rejects_from_what_each_unit_brings(station, client):
    _rare(station, QUIET + WORSE)
    found = _chart(client, chart="bernoulli_cusum", in_control=2.5)
    cusum = found["cusum"]
    assert (cusum["in_control"], cusum["is_estimated"]) == (0.025, False)
    assert cusum["to_find"] == pytest.approx(0.05, rel=0.03), "twice that, but for the steps of the sum"
    units = [unit for gap in (QUIET + WORSE)[1:] for unit in [0] * gap + [1]]
    plain = bernoulli_cusum(units, p0=0.025, p1=cusum["to_find"], h=cusum["h"], is_reset=True)
    refused = [place for place, unit in enumerate(units) if unit]
    assert _lines(found, "value") == pytest.approx([plain.value[place] for place in refused])
    assert _lines(found, "upper") == pytest.approx([cusum["h"]] * len(refused))
    first = found["signals"][0]
    assert first["index"] == next(i for i, place in enumerate(refused) if place in plain.signals)
    assert (first["rule"], first["number"], first["side"]) == ("decision_interval", 1, "above")
    assert first["members"][0] >= len(QUIET) - 2, "the sum rose from 0 with the last quiet one"


def test_a_poisson_cusum_counts_every_defect_of_a_unit(station, client):
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/D-{number}"),
                lane="parts",
                defects=tuple(a_defect(kind="pits") for _ in range({20: 1, 40: 2, 41: 3}.get(number, 0))),
                finished_at=NOON - timedelta(hours=2) + timedelta(minutes=number),
            )
            for number in range(50)
        ]
    )
    found = _chart(client, chart="poisson_cusum", in_control=2, to_find=10)
    cusum = found["cusum"]
    plain = poisson_cusum([0] * 19 + [2, 3], rate0=0.02, rate1=cusum["to_find"], h=cusum["h"])
    assert _lines(found, "value") == pytest.approx(list(plain.value[-2:]))
    assert found["unit"] == "defects"


def test_a_cusum_of_rare_events_is_set_up_for_one_false_alarm_in_370_of_them_and_says_so(station, client):
    _rare(station, QUIET)
    found = _chart(client, chart="bernoulli_cusum")
    cusum, refused, units = found["cusum"], len(QUIET) - 1, sum(QUIET[1:]) + len(QUIET) - 1
    assert cusum["is_estimated"]
    assert cusum["in_control"] == pytest.approx(refused / units)
    assert cusum["units_in_control"] == pytest.approx(370.4 * units / refused, rel=0.03)
    assert cusum["units_in_control"] >= 370.4 * units / refused
    to_three_digits = float(f"{cusum['units_in_control']:.3g}")
    assert f"once in {to_three_digits:,.0f} units" in cusum["text"]
    assert found["signals"] == []


def test_a_reject_left_out_of_a_cusum_adds_nothing_and_its_good_units_count(station):
    _rare(station, QUIET)
    engineer = signed_in(station.app(), Role.ENGINEER)
    asked = WINDOW | {"chart": "bernoulli_cusum", "in_control": 10, "to_find": 20}
    point = _chart(engineer, **asked)["points"][3]
    made = engineer.post(
        "/api/v1/spc/p/entries",
        params=asked,
        json={"kind": "excluded", "reason": "a trial", "point": point["key"]},
    )
    assert made.status_code == 201
    found = _chart(engineer, **asked)
    assert found["points"][3]["value"] is None
    assert found["points"][4]["value"] is not None
    frozen = engineer.post("/api/v1/spc/p/entries", params=asked, json={"kind": "frozen", "reason": "it"})
    assert frozen.json()["code"] == "SPC-PARAMETER"


def test_each_stage_of_a_cusum_begins_at_0_with_a_rate_of_its_own(station, client):
    _rare(station, QUIET)
    newer = replace(RECIPE, revision=RECIPE.revision + 1)
    later = [9, 8, 12, 11, 10, 9] * 3
    _rare(station, later, start=NOON - timedelta(hours=10), recipe=newer, prefix="S")
    found = _chart(client, chart="bernoulli_cusum", lane="parts")
    assert len(set(_lines(found, "upper"))) == 2
    rate = (len(later) - 1) / (sum(later[1:]) + len(later) - 1)
    assert found["cusum"]["in_control"] == pytest.approx(rate), "what lies before its first began elsewhere"
    assert found["signals"] == []
    as_one = _chart(client, chart="bernoulli_cusum", lane="parts", stages="none", in_control=2.5)
    assert as_one["signals"] != []


@pytest.mark.parametrize(
    "asked",
    [
        {"in_control": 0},
        {"in_control": -1},
        {"in_control": 60},
        {"in_control": 5, "to_find": 5},
        {"in_control": 5, "to_find": 100},
        {"to_find": 1},
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_rates_that_make_no_cusum_are_refused_with_what_is_allowed(station, client, asked, language):
    _rare(station, QUIET)
    for chart in ("bernoulli_cusum", "poisson_cusum"):
        if chart == "poisson_cusum" and asked.get("to_find") == 100:
            continue
        answer = client.get(
            "/api/v1/spc/p",
            params=WINDOW | {"chart": chart, "lang": language, "since": "2026-11-01T00:00:00Z"} | asked,
        )
        code = "SPC-NOT-RARE" if asked.get("in_control") == 60 else "SPC-PARAMETER"
        assert (answer.status_code, answer.json()["code"]) == (422, code), chart
