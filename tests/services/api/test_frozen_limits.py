"""Frozen limits judge the stage they were frozen in, and a chart says the limits it draws."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from inspection.types import Verdict
from services.text import say
from tests.builders import RECIPE, a_defect, a_measurement, a_unit, an_inspection
from tests.services.signed_in import signed_in
from traceability.accounts import Role

START = datetime(2026, 11, 20, 0, tzinfo=UTC)
FEW = [(1, refused) for refused in (5, 6, 5, 4)]
MANY = [(2, refused) for refused in (30, 32, 29, 31)]


@pytest.fixture
def engineer(station):
    return signed_in(station.app(), Role.ENGINEER)


def _hours(station, counted, *, start: int = 0):
    """An hour each of a hundred parts: the revision of their recipe, and how many were refused."""
    for hour, (revision, refused) in enumerate(counted, start=start):
        station.store.record(
            [
                an_inspection(
                    unit=a_unit(f"86.999.1/P-{hour}-{number}"),
                    lane="parts",
                    recipe=replace(RECIPE, revision=revision),
                    verdict=Verdict.REJECT if number < refused else Verdict.ACCEPT,
                    defects=(a_defect(),) if number < refused else (),
                    finished_at=START + timedelta(hours=hour, seconds=36 * number),
                )
                for number in range(100)
            ]
        )


def _asked(**more):
    return {
        "since": START.isoformat(),
        "until": (START + timedelta(hours=48)).isoformat(),
        "lane": "parts",
    } | more


def _chart(client, **more):
    return client.get("/api/v1/spc/p", params=_asked(**more)).json()


def _freeze(client, **more):
    said = {"kind": "frozen", "reason": "as agreed"}
    return client.post("/api/v1/spc/p/entries", params=_asked(**more), json=said)


def _lines(chart):
    return [(point["centre"], point["lower"], point["upper"]) for point in chart["points"]]


def test_limits_frozen_after_a_recipe_came_back_are_those_of_that_recipe(station, engineer):
    _hours(station, FEW + MANY + FEW)
    before = _chart(engineer)
    assert _freeze(engineer).status_code == 201
    after = _chart(engineer)
    assert after["frozen"]["stage"] == after["points"][-1]["stage"]
    assert _lines(after)[4:8] == _lines(before)[4:8]
    assert after["signals"] == []


def test_a_stage_with_one_point_has_no_limits_to_freeze(station, engineer):
    _hours(station, [*FEW, MANY[0]])
    refused = _freeze(engineer)
    assert (refused.status_code, refused.json()["code"]) == (422, "SPC-STAGE-WITHOUT-LIMITS")
    assert _chart(engineer)["points"][-1]["stage"] in refused.json()["title"]
    assert _chart(engineer)["frozen"] is None


def test_two_stages_of_one_point_each_have_no_limits_to_freeze(station, engineer):
    _hours(station, [FEW[0], MANY[0]])
    assert _freeze(engineer).json()["code"] == "SPC-STAGE-WITHOUT-LIMITS"


def test_single_values_of_a_stage_with_one_unit_have_no_limits_to_freeze(station, engineer):
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/Q-{number}"),
                recipe=replace(RECIPE, revision=1 if number < 10 else 2),
                measurements=(replace(a_measurement(), value=10 + number % 3),),
                finished_at=START + timedelta(seconds=number),
            )
            for number in range(11)
        ]
    )
    refused = engineer.post(
        "/api/v1/spc/measured/entries",
        params={"measurement": "width", "since": START.isoformat()},
        json={"kind": "frozen", "reason": "as agreed"},
    )
    assert refused.json()["code"] == "SPC-STAGE-WITHOUT-LIMITS"


@pytest.mark.parametrize("stages", ["by_change", "none"])
def test_a_chart_says_the_frozen_limits_its_points_are_judged_by(station, engineer, stages):
    _hours(station, FEW * 5)
    assert _freeze(engineer).status_code == 201
    _hours(station, [(1, 20)] * 20, start=20)
    chart = _chart(engineer, stages=stages)
    assert chart["baseline"] == {
        "centre": pytest.approx(0.05),
        "sigma_z": 1,
        "subgroups": 20,
        "is_frozen": True,
        "is_provisional": False,
    }
    assert {point["centre"] for point in chart["points"]} == {chart["baseline"]["centre"]}


def test_after_a_change_of_recipe_a_chart_says_the_limits_of_the_new_one(station, engineer):
    _hours(station, FEW * 2)
    _freeze(engineer)
    _hours(station, MANY, start=8)
    chart = _chart(engineer)
    assert (chart["baseline"]["is_frozen"], chart["baseline"]["centre"]) == (False, pytest.approx(0.305))
    assert chart["points"][-1]["centre"] == chart["baseline"]["centre"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_limits_frozen_without_stages_hold_for_all_and_the_file_says_so(station, engineer, language):
    _hours(station, FEW * 2)
    _freeze(engineer, stages="none")
    _hours(station, MANY, start=8)
    chart = _chart(engineer)
    assert len(chart["stages"]) == 2
    assert {round(point["centre"], 3) for point in chart["points"]} == {0.05}
    assert chart["baseline"]["is_frozen"]
    file = engineer.get("/api/v1/spc/p/file", params=_asked(format="xlsx", lang=language))
    assert say("web.book.all_stages", language) in _texts_of(file.content)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_file_says_which_stage_the_frozen_limits_hold_for(station, engineer, language):
    _hours(station, FEW * 2)
    _freeze(engineer)
    _hours(station, MANY, start=8)
    stage = _chart(engineer)["stages"][0]
    file = engineer.get("/api/v1/spc/p/file", params=_asked(format="xlsx", lang=language))
    assert say("web.book.other_stage", language, stage=stage) in _texts_of(file.content)


def test_no_run_against_frozen_limits_reaches_across_a_change_of_recipe(station, engineer):
    _hours(station, FEW * 2)
    _freeze(engineer)
    _hours(station, [(2, 9)] * 8 + [(1, 6)] * 3, start=8)
    chart = _chart(engineer)
    assert chart["signals"] == []
    assert _chart(engineer, stages="none")["signals"]


def _texts_of(workbook: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(workbook)) as book:
        return book.read("xl/sharedStrings.xml").decode()
