from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from inspection.types import Inspection, Measurement, Verdict
from services.cli.spc_reports import spc
from tests.builders import MODEL, an_inspection
from traceability.errors import (
    CapabilityOfTooFew,
    GaugeNotProven,
    NotStable,
    SpecLimitsInvalid,
    TooFewSubgroups,
    ValuesMissing,
)
from traceability.store import TraceStore

# Whole hours before now, so that the default window and one subgroup per hour hold them.
# A whole hour of the local clock, which is not one of UTC everywhere.
HOUR_0 = datetime.now(UTC).astimezone().replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'lynceus.db'}"


def an_hour(hour: int, *, accepted: int, rejected: int, simulated: bool = False) -> list[Inspection]:
    verdicts = [Verdict.ACCEPT] * accepted + [Verdict.REJECT] * rejected
    return [
        an_inspection(
            verdict=verdict,
            finished_at=HOUR_0 + timedelta(hours=hour, minutes=number % 60),
            simulated=simulated,
        )
        for number, verdict in enumerate(verdicts)
    ]


def recorded(database: str, *hours: list[Inspection]) -> None:
    with TraceStore.open(database) as store:
        store.record([inspection for hour in hours for inspection in hour])


def asked(database: str, *arguments: str, language: str = "en", width: int = 120) -> Result:
    environment = {"LYNCEUS_LANGUAGE": language, "COLUMNS": str(width)}
    result = CliRunner(env=environment).invoke(spc, ["p", *arguments, "--database", database])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_chart_tells_each_subgroup_with_its_limits_and_what_signals(database: str):
    steady = [an_hour(hour, accepted=50 - bad, rejected=bad) for hour, bad in enumerate([1, 3] * 10)]
    recorded(database, *steady, an_hour(20, accepted=30, rejected=20))
    told = asked(database, "--by", "hour").output
    assert "rejected units by hour" in told
    assert "40.00" in told
    assert "One point beyond the limits (above)" in told
    assert told.count("✖") == 1


def test_a_chart_is_told_in_chinese(database: str):
    recorded(database, *(an_hour(hour, accepted=48, rejected=2) for hour in range(20)))
    told = asked(database, "--by", "hour", language="zh").output
    assert "p 图：不合格单件（按小时）" in told
    assert "连续 9 点" not in told
    assert "无判异" in told


def test_a_narrow_screen_keeps_every_number(database: str):
    recorded(database, *(an_hour(hour, accepted=48, rejected=2) for hour in range(3)))
    told = asked(database, "--by", "hour", width=80).output
    assert "…" not in told
    assert "0.00–12.31" in told


def test_a_chart_for_programs_is_json(database: str):
    recorded(database, *(an_hour(hour, accepted=45, rejected=5) for hour in range(10)))
    told = json.loads(asked(database, "--by", "hour", "--json").stdout)
    assert told["chart"] == "p"
    assert told["method"] == "p"
    assert told["baseline"]["centre"] == 0.1
    assert [point["count"] for point in told["points"]] == [5] * 10
    assert told["signals"] == []


def test_shifts_are_what_is_shown_unasked(database: str):
    recorded(database, *(an_hour(hour, accepted=5, rejected=1) for hour in range(30)))
    points = json.loads(asked(database, "--json").stdout)["points"]
    assert 4 <= len(points) <= 5
    assert sum(point["opportunity"] for point in points) == 180


def test_made_up_history_is_counted_only_with_a_word_about_it(database: str):
    recorded(
        database,
        *(an_hour(hour, accepted=9, rejected=1) for hour in (0, 1)),
        *(an_hour(hour, accepted=9, rejected=1, simulated=True) for hour in (2, 3)),
    )
    assert "20 of 40 units are SIMULATED" in asked(database, "--by", "hour").output
    measured = asked(database, "--by", "hour", "--measured-only")
    assert "SIMULATED" not in measured.output
    assert "from 2 subgroups" in measured.output


def test_a_chart_may_be_of_one_lane_and_station(database: str):
    recorded(database, *(an_hour(hour, accepted=9, rejected=1) for hour in (0, 1)))
    assert asked(database, "--by", "hour", "--station", "demo", "--lane", "strip").exit_code == 0
    with pytest.raises(TooFewSubgroups):
        asked(database, "--by", "hour", "--lane", "elsewhere")


def test_a_chart_begins_where_it_is_told_on_the_local_clock(database: str):
    recorded(database, *(an_hour(hour, accepted=9, rejected=1) for hour in range(6)))
    since = f"{(HOUR_0 + timedelta(hours=3)).astimezone():%Y-%m-%d %H:%M:%S}"
    points = json.loads(asked(database, "--by", "hour", "--since", since, "--json").stdout)["points"]
    assert len(points) == 3


def test_a_chart_of_nothing_is_refused(database: str):
    with pytest.raises(TooFewSubgroups):
        asked(database)


def test_a_chart_that_is_not_known_is_a_wrong_call(database: str):
    result = CliRunner().invoke(spc, ["nonsense", "--database", database])
    assert result.exit_code == 2


def measured(value: float, hour: int, **overrides: Any) -> Inspection:
    return an_inspection(
        measurements=(Measurement(name="width_mm", value=value, unit="mm"),),
        finished_at=HOUR_0 + timedelta(minutes=10 * hour),
        **overrides,
    )


def told_of(database: str, *arguments: str, language: str = "en") -> Result:
    environment = {"LYNCEUS_LANGUAGE": language, "COLUMNS": "140"}
    result = CliRunner(env=environment).invoke(spc, [*arguments, "--database", database])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def widths(shift: float = 0.0) -> list[float]:
    return [10 + 0.01 * ((7 * place) % 11) + shift for place in range(30)]


def test_a_new_model_begins_a_stage_of_the_chart_of_single_values_by_itself(database: str):
    newer = replace(MODEL, version="9.9.9")
    before = [measured(value, place) for place, value in enumerate(widths())]
    after = [measured(value, 30 + place, models=(newer,)) for place, value in enumerate(widths(5))]
    recorded(database, before, after)
    told = told_of(database, "measured", "width_mm").output
    assert MODEL.version in told
    assert "9.9.9" in told
    assert "No signals" in told


def test_a_chart_of_single_values_is_json_for_programs(database: str):
    recorded(database, [measured(value, place) for place, value in enumerate([*widths(), 12.0])])
    chart = json.loads(told_of(database, "measured", "width_mm", "--json").output)
    assert chart["location"]["signals"][-1]["index"] == 30
    assert chart["measurement"]["values"] == len(chart["spread"]["points"]) == 31


def test_a_unit_that_was_not_inspected_gives_no_measured_value(database: str):
    blind = measured(99.0, 31, verdict=Verdict.NOT_INSPECTED)
    recorded(database, [measured(value, place) for place, value in enumerate(widths())], [blind])
    chart = json.loads(told_of(database, "measured", "width_mm", "--json").output)
    assert chart["measurement"]["values"] == 30


def test_a_measurement_nobody_made_has_no_chart(database: str):
    recorded(database, [measured(10.0, 0)])
    with pytest.raises(ValuesMissing):
        told_of(database, "measured", "height_mm")


def test_capability_is_not_reported_without_a_gauge_study_or_a_reason(database: str):
    recorded(database, [measured(value, place) for place, value in enumerate(widths())])
    limits = ("--lower", "9.9", "--upper", "10.2")
    with pytest.raises(GaugeNotProven):
        told_of(database, "capability", "width_mm", *limits)
    told = told_of(database, "capability", "width_mm", *limits, "--without-gauge-study", "first trial").output
    assert "Reported although: first trial" in told
    assert "Only 30 values: " in " ".join(told.split())
    assert "Cpk" in told


@pytest.mark.parametrize(("naming", "index"), [("aiag_2005", "Cpk"), ("aiag_vda_2026", "Ppk")])
def test_an_unstable_process_has_no_c_index_by_any_name(database: str, naming: str, index: str):
    recorded(database, [measured(value, place) for place, value in enumerate([*widths(), *widths(0.5)])])
    arguments = (
        "capability",
        "width_mm",
        "--upper",
        "12",
        "--naming",
        naming,
        "--without-gauge-study",
        "trial",
    )
    if index.startswith("C"):
        with pytest.raises(NotStable):
            told_of(database, *arguments)
        arguments += ("--although-unstable", "customer asks")
    report = json.loads(told_of(database, *arguments, "--json").output)
    assert index in [one["name"] for one in report["indices"]]
    assert report["signals"] > 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_capability_by_another_shape_says_which_and_has_no_index_from_within(database: str, language: str):
    skewed = [0.01 * 1.12**place for place in range(30)]
    order = [skewed[7 * place % 30] for place in range(30)]
    recorded(database, [measured(value, place) for place, value in enumerate(order)])
    arguments = ("capability", "width_mm", "--upper", "0.9", "--shape", "lognormal")
    arguments += ("--without-gauge-study", "trial", "--although-unstable", "trial", "--naming", "aiag_2005")
    report = json.loads(told_of(database, *arguments, "--json").output)
    assert report["shape"]["family"] == "lognormal"
    assert [one["name"] for one in report["indices"]] == ["Ppk"]
    low, median, high = (report["shape"][name] for name in ("low", "median", "high"))
    assert low < median < high
    # By percentiles (ISO 22514-2): from the middle to the limit, over from the middle to X99.865 %.
    assert report["indices"][0]["value"] == pytest.approx((0.9 - median) / (high - median))
    told = told_of(database, *arguments, language=language).output
    assert f"{median:.5g}" in told


def test_capability_of_a_handful_of_values_is_no_capability(database: str):
    recorded(database, [measured(value, place) for place, value in enumerate(widths()[:5])])
    with pytest.raises(CapabilityOfTooFew):
        told_of(database, "capability", "width_mm", "--upper", "12", "--without-gauge-study", "trial")


def test_limits_that_enclose_nothing_are_refused_before_anything_is_read(database: str):
    with pytest.raises(SpecLimitsInvalid):
        told_of(database, "capability", "width_mm", "--lower", "3", "--upper", "2")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_meter_says_what_rules_cost(language: str):
    environment = {"LYNCEUS_LANGUAGE": language, "COLUMNS": "140"}
    told = CliRunner(env=environment).invoke(spc, ["alarms", "--charts", "200"])
    assert told.exit_code == 0
    assert "91.8" in told.output
    assert "200" in told.output
    as_json = json.loads(CliRunner().invoke(spc, ["alarms", "--json"]).output)
    assert as_json["aiag_vda"]["arl0"] == pytest.approx(370.4, abs=0.1)
