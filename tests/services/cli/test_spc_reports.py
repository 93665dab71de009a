from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from uuid_utils.compat import uuid7

from inspection.types import Verdict
from services.access import RightMissing
from services.cli.spc_reports import spc
from services.text import say
from tests.builders import a_defect, a_measurement, a_unit, an_inspection
from traceability import gauge_studies
from traceability.accounts import Accounts, Role
from traceability.errors import NoVariation, ParameterOutOfRange
from traceability.steps import ProcessStep, record_steps
from traceability.store import TraceStore

HOURS, A_HOUR = 8, 20


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Eight hours of parts from two lots by turns; of the second every other part is refused."""
    url = f"sqlite:///{tmp_path / 'lynceus.db'}"
    start = datetime.now(UTC) - timedelta(hours=HOURS + 1)
    units = [a_unit(f"86.999.1/P-{number}") for number in range(HOURS * A_HOUR)]
    with TraceStore.open(url) as store:
        store.record(
            [
                an_inspection(
                    unit=unit,
                    lane="parts",
                    verdict=Verdict.REJECT if number % 4 == 1 else Verdict.ACCEPT,
                    defects=(a_defect(),) if number % 4 == 1 else (),
                    finished_at=start + timedelta(minutes=3 * number),
                )
                for number, unit in enumerate(units)
            ]
        )
        record_steps(
            store,
            [
                ProcessStep(
                    id=uuid7(),
                    kind="press",
                    equipment="press 1",
                    started_at=start,
                    finished_at=start + timedelta(hours=HOURS),
                    materials=(lot,),
                    units_out=tuple(units[first::2]),
                )
                for first, lot in enumerate(("LOT-A", "LOT-B"))
            ],
        )
        gauge_studies.record(
            store,
            kind="accuracy",
            characteristic="parts",
            model="strip 1.0.0",
            readings={"bad_parts": 40, "bad_rejected": 38, "good_parts": 40, "good_passed": 39},
            at=start,
            by=None,
        )
    return url


def asked(database: str, *arguments: str, language: str = "en"):
    environment = {"LYNCEUS_LANGUAGE": language, "COLUMNS": "140"}
    result = CliRunner(env=environment).invoke(spc, [*arguments, "--database", database])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_the_lot_of_the_bad_parts_stands_out(database):
    found = json.loads(asked(database, "causes", "--lane", "parts", "--json").stdout)
    assert {one["level"] for one in found["factors"] if one["is_shown"]} == {"LOT-A", "LOT-B"}
    assert "LOT-B" in asked(database, "causes", "--lane", "parts", language="zh").stdout


def test_an_inspection_and_a_process_that_stay_as_they_are_are_told_apart_from_nothing(database):
    found = json.loads(asked(database, "inspector", "--lane", "parts", "--json").stdout)
    assert (found["verdict"], found["refusal"]) == ("nothing", None)
    assert len(found["corrected"]["points"]) == len(found["plain"]["points"])


def test_where_defects_lie_is_asked_of_one_lane(database):
    assert asked(database, "maps").exit_code == 2
    assert asked(database, "maps", "--lane", "parts").exit_code == 0


def test_studies_are_listed_with_their_figures(database):
    (study,) = json.loads(asked(database, "studies", "--json").stdout)
    assert {one["key"]: one["value"] for one in study["figures"]}["sensitivity"] == 0.95


def test_a_chart_is_written_as_the_file_its_name_ends_in(database, tmp_path):
    target = tmp_path / "chart.csv"
    assert asked(database, "file", str(target), "--lane", "parts").exit_code == 0
    assert target.read_bytes().startswith(b"\xef\xbb\xbf")
    assert asked(database, "file", str(tmp_path / "chart.doc")).exit_code == 2


def test_the_pareto_is_told_by_count_and_by_costs(database):
    by_count = json.loads(asked(database, "pareto", "--json").output)
    assert by_count["bars"][0]["defects"] == HOURS * A_HOUR // 4
    by_cost = json.loads(
        asked(database, "pareto", "--weigh", "cost", "--costs", "scratch=2.5", "--json").output
    )
    assert by_cost["bars"][0]["weight"] == HOURS * A_HOUR // 4 * 2.5
    assert "100.0%" in asked(database, "pareto").output


def test_all_charts_of_counts_are_told_and_made_a_file(database, tmp_path):
    for chart in ("p", "np", "u", "c", "g", "bernoulli_cusum"):
        found = json.loads(asked(database, "counts", "--chart", chart, "--json").stdout)
        assert found["chart"] == chart
        told = asked(database, "counts", "--chart", chart, language="zh")
        assert say(f"spc.title.{chart}", "zh") in told.stdout
        target = tmp_path / f"{chart}.csv"
        assert asked(database, "file", str(target), "--counted", chart).exit_code == 0
        assert target.stat().st_size > 100
    every_other = json.loads(asked(database, "counts", "--chart", "g", "--json").stdout)
    assert {point["value"] for point in every_other["points"]} == {3}
    # They come as regularly as no rare event does.
    arguments = ["counts", "--chart", "t", "--database", database]
    with pytest.raises(NoVariation):
        CliRunner().invoke(spc, arguments, catch_exceptions=False)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_change_of_optics_is_said_and_listed_and_not_by_anybody(database, language):
    with TraceStore.open(database) as store:
        for name, role in (("lin", Role.ENGINEER), ("otto", Role.OPERATOR)):
            Accounts(store).add(
                name=name, title=name, role=role, password_hash=None, by=None, at=datetime.now(UTC)
            )
    said = ("change", "lens", "50 mm for 35 mm", "--station", "demo", "--lane", "parts", "--by")
    assert "demo parts: lens " in asked(database, *said, "lin", language=language).stdout
    (found,) = json.loads(asked(database, "changes", "--json").stdout)
    assert (found["part"], found["lane"], found["what"]) == ("lens", "parts", "50 mm for 35 mm")
    assert "50 mm for 35 mm" in asked(database, "changes", "--lane", "parts", language=language).stdout
    with pytest.raises(RightMissing):
        CliRunner().invoke(spc, [*said, "otto", "--database", database], catch_exceptions=False)
    with pytest.raises(ParameterOutOfRange):
        CliRunner().invoke(
            spc, [*said, "lin", "--at", "2999-01-01", "--database", database], catch_exceptions=False
        )
    assert len(json.loads(asked(database, "changes", "--json").stdout)) == 1


def test_a_study_of_a_golden_part_is_made_at_a_command(database):
    with TraceStore.open(database) as store:
        store.record(
            [
                an_inspection(
                    unit=a_unit("86.999.1/GOLD"),
                    measurements=(a_measurement(name="width", value=10 + 0.01 * number),),
                    finished_at=datetime.now(UTC) - timedelta(hours=number),
                )
                for number in range(10)
            ]
        )
    said = ("study", "bias", "width", "86.999.1/GOLD", "--reference", "10.0")
    made = json.loads(asked(database, *said, "--json").stdout)
    assert {one["key"]: one["value"] for one in made["figures"]}["bias"] == pytest.approx(0.045)
    assert "width" in asked(database, *said, language="zh").stdout


@pytest.mark.parametrize(
    ("language", "named"), [("en", "First-pass yield: Parts"), ("zh", "一次合格率 FPY：零件")]
)
def test_figures_of_merit_are_told_by_the_names_that_people_give_lanes(database, language, named):
    told = asked(database, "merit", "--lane", "parts", language=language).stdout
    assert named in told
    assert "demo / parts" not in told
    assert "250,000" in told, "DPMO as a number of units, as on the page"


def test_a_lane_of_a_station_that_is_not_set_up_here_goes_by_its_name_on_record(tmp_path):
    url = f"sqlite:///{tmp_path / 'lynceus.db'}"
    with TraceStore.open(url) as store:
        store.record([an_inspection(station="line 9", lane="top")])
    assert "line 9 / top" in asked(url, "merit", "--since", "2020-01-01").stdout
