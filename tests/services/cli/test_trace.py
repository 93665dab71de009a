from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from inspection.types import Inspection, Verdict
from services.cli.trace import trace
from tests.builders import a_defect, a_measurement, a_picture, a_unit, an_inspection
from tests.drawn_coil import LINKS, UNITS
from traceability.errors import CodeNotParsed, UnitUnknown
from traceability.genealogy.recording import record
from traceability.store import TraceStore

REJECTED = an_inspection(
    id=UUID("01a1f889-1371-7030-be90-abe1fda4a77a"),
    verdict=Verdict.REJECT,
    defects=(a_defect(), a_defect(kind="unheard-of", box_mm=None, camera="bottom")),
    measurements=(a_measurement(),),
    pictures=(a_picture(),),
    frames_inspected=38,
    frames_failed=1,
    frames_lost=1,
    failures={"MOD-FAILED": 1},
)


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'lynceus.db'}"


def recorded(database: str, *inspections: Inspection) -> None:
    with TraceStore.open(database) as store:
        store.record(inspections)


def asked(database: str, *arguments: str, language: str = "en") -> Result:
    environment = {"LYNCEUS_LANGUAGE": language, "COLUMNS": "110"}
    result = CliRunner(env=environment).invoke(trace, [*arguments, "--database", database])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_trace_tells_what_was_seen_by_which_camera_recipe_and_model(database: str):
    recorded(database, REJECTED)
    told = asked(database, str(a_unit())).output
    for fact in (
        "86.999.1/COIL-20261120-101530-0001",
        "station demo, lane Strip",
        "demo-strip, revision 3",
        "3c" * 32,
        "strip 1.0.0",
        "5e" * 32,
        "bottom, top",
        "40 due = 38 inspected + 1 not judged + 1 lost",
        "MOD-FAILED on 1 frame(s)",
        "width = 1250.25 ± 0.05 mm",
        "ab" * 32,
        "Scratch",
        "unheard-of",
        "01a1f889-1371-7030-be90-abe1fda4a77a",
    ):
        assert fact in told


def test_a_trace_is_told_in_chinese(database: str):
    recorded(database, REJECTED)
    told = asked(database, str(a_unit()), language="zh").output
    assert "工位 demo，通道 带钢" in told
    assert "应拍 40 = 已检 38 + 未能判定 1 + 丢失 1" in told
    assert "划痕" in told


@pytest.mark.parametrize(("language", "title"), [("en", "Strip"), ("zh", "带钢")])
def test_a_units_life_calls_lanes_as_people_do_and_those_of_stations_elsewhere_by_their_names(
    database: str, language: str, title: str
):
    recorded(database, an_inspection(), an_inspection(station="line 9", lane="top"))
    told = asked(database, str(a_unit()), "--life", language=language).output
    assert f"demo / {title}  " in told
    assert "line 9 / top  " in told
    assert "station line 9, lane top" in asked(database, str(a_unit())).output


def test_a_unit_without_defects_is_said_to_have_none(database: str):
    recorded(database, an_inspection())
    assert "No defects found." in asked(database, str(a_unit())).output


def test_made_up_history_is_never_passed_off_as_seen(database: str):
    recorded(database, an_inspection(simulated=True))
    assert "SIMULATED" in asked(database, str(a_unit())).output


def test_what_was_written_into_a_record_is_shown_not_obeyed(database: str):
    recorded(database, an_inspection(lane="[red]lane[/red]"))
    assert "[red]lane[/red]" in asked(database, str(a_unit())).output


def test_a_trace_for_programs_is_json(database: str):
    recorded(database, REJECTED)
    told = json.loads(asked(database, str(a_unit()), "--json").stdout)
    assert told["unit"] == {"code": str(a_unit()), "scheme": "handle"}
    assert told["verdict"] == "REJECT"
    (inspection,) = told["inspections"]
    assert inspection["id"] == "01a1f889-1371-7030-be90-abe1fda4a77a"
    assert inspection["frames"] == {
        "triggers": 40,
        "inspected": 38,
        "failed": 1,
        "lost": 1,
        "unaccounted": 0,
    }
    assert inspection["defects"][0]["box_mm"] == [1.0, 2.0, 1.5, 12.0]
    assert inspection["defects"][1]["length_mm"] is None


def test_a_code_nobody_recorded_is_refused_and_similar_ones_are_shown(database: str):
    recorded(database, an_inspection(unit=a_unit("86.1/COIL-17")))
    runner = CliRunner(env={"LYNCEUS_LANGUAGE": "en"})
    result = runner.invoke(trace, ["coil-1", "--database", database])
    assert isinstance(result.exception, UnitUnknown)
    assert "86.1/COIL-17" in result.stderr


def test_a_code_that_cannot_be_read_is_refused(database: str):
    with pytest.raises(CodeNotParsed):
        asked(database, "86.1/")


def test_the_way_up_and_down_is_one_unit_a_line(database: str):
    with TraceStore.open(database) as store:
        record(store, units=UNITS, links=LINKS)
    up = asked(database, "SEGMENT-3", "--up").output.splitlines()
    assert up[0].split() == ["COIL-A", "coil"]
    assert len(up) == 6
    down = json.loads(asked(database, "COIL-B", "--down", "--json").output)
    assert [one["unit"]["code"] for one in down["relatives"]][:2] == ["COIL-W", "SEGMENT-1"]


def test_a_place_is_told_with_its_uncertainty_and_in_both_languages(database: str):
    with TraceStore.open(database) as store:
        record(store, units=UNITS, links=LINKS)
    told = asked(database, "SEGMENT-3", "--at", "150,3000").output
    assert "100.0%  COIL-B  coil  x 150.0 ± 0 mm, y 6600.0 ± 5 mm" in told
    assert "100.0%  HEAT-7  heat  somewhere on it" in told
    assert "炉次" in asked(database, "SEGMENT-3", "--at", "150,3000", language="zh").output
    risk = asked(database, "COIL-B", "--box", "100,6500,200,6700").output
    assert "SEGMENT-3  segment  x 100.0…200.0 ± 0 mm, y 2900.0…3100.0 ± 5 mm" in risk


@pytest.mark.parametrize("box", ["200,4500,100,3500", "100,4500,200,3500", "200,3500,100,4500"])
def test_what_may_hold_some_of_a_box_is_told_from_whichever_corners_it_is_named_by(database: str, box: str):
    with TraceStore.open(database) as store:
        record(store, units=UNITS, links=LINKS)
    told = asked(database, "COIL-A", "--box", box).output
    assert "SEGMENT-1" in told
    assert "SEGMENT-2" in told
    assert told == asked(database, "COIL-A", "--box", "100,3500,200,4500").output


@pytest.mark.parametrize(
    ("language", "words"), [("en", "No inspection of it is on record."), ("zh", "没有它的检测记录。")]
)
def test_a_unit_that_is_known_by_its_genealogy_alone_is_told_with_its_kin_and_as_not_inspected(
    database: str, language: str, words: str
):
    with TraceStore.open(database) as store:
        record(store, units=UNITS, links=LINKS)
    told = asked(database, "STRIP-A1", language=language)
    assert told.exit_code == 0
    head, kin, not_inspected = told.stdout.splitlines()
    assert head.startswith("STRIP-A1")
    assert "2" in kin
    assert "5" in kin
    assert not_inspected == words
    assert told.stderr == ""


def test_a_program_is_told_that_a_unit_known_by_its_genealogy_alone_has_no_verdict(database: str):
    with TraceStore.open(database) as store:
        record(store, units=UNITS, links=LINKS)
    told = json.loads(asked(database, "STRIP-A1", "--json").stdout)
    assert (told["unit"]["code"], told["verdict"], told["inspections"]) == ("STRIP-A1", None, [])


def test_a_place_that_is_no_pair_of_numbers_is_called_wrongly(database: str):
    result = asked(database, "SEGMENT-3", "--at", "150,tail")
    assert result.exit_code == 2
    assert "150,tail" in result.output
