from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspection.types import Inspection, Verdict
from services.cli.spc import spc
from tests.builders import an_inspection
from traceability.errors import TooFewSubgroups
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
