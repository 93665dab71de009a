"""A camera, a lamp or a lens that was changed begins a stage, as a recipe does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.a_station import STATION, hours_of_parts
from tests.builders import a_measurement, a_unit, an_inspection
from tests.services.signed_in import signed_in
from traceability.accounts import Accounts, Role

UNITS = 60


@pytest.fixture
def engineer(station) -> TestClient:
    return signed_in(station.app(), Role.ENGINEER)


def _measured_before_and_after(station, *, at: datetime) -> None:
    """A minute apart, as many after as before; half a millimetre more is seen after."""
    values = np.random.default_rng(5).normal(0, 0.05, 2 * UNITS) + np.repeat([400.0, 400.5], UNITS)
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/C-{number}"),
                station=STATION,
                lane="strip",
                measurements=(a_measurement(name="width", value=float(value)),),
                finished_at=at + timedelta(minutes=number - UNITS, seconds=1),
            )
            for number, value in enumerate(values)
        ]
    )


def _said(client, at: datetime, *, lane="strip", part="lens", what="50 mm for 35 mm, new batch"):
    return client.post(
        "/api/v1/spc/changes", json={"part": part, "lane": lane, "what": what, "at": at.isoformat()}
    )


def test_limits_of_measurements_start_anew_where_the_lens_was_changed(station, engineer):
    at = datetime.now(UTC) - timedelta(hours=3)
    _measured_before_and_after(station, at=at)
    address = "/api/v1/spc/measured?measurement=width&lane=strip"
    assert len(engineer.get(address).json()["location"]["signals"]) > 20
    assert _said(engineer, at).status_code == 201
    chart = engineer.get(address).json()
    assert len(chart["stages"]) == 2
    assert chart["stages"][1].endswith(f"lens {at.astimezone():%Y-%m-%d %H:%M}")
    centres = {round(point["centre"], 1) for point in chart["location"]["points"]}
    assert centres == {400.0, 400.5}
    assert len(chart["location"]["signals"]) < 5


def test_the_chart_of_rejects_has_a_stage_from_the_first_hour_after_and_another_lane_has_none(
    station, engineer
):
    hours_of_parts(station, [1] * 8 + [9] * 8, until=datetime.now(UTC), simulated=False)
    begins = [
        datetime.fromisoformat(point["at"])
        for point in engineer.get("/api/v1/spc/p?lane=parts").json()["points"]
    ]
    _said(engineer, begins[8], lane="parts", part="lamp", what="the left bar light")
    _said(engineer, begins[4], lane="strip")
    chart = engineer.get("/api/v1/spc/p?lane=parts").json()
    assert [point["stage"].partition(", lamp ")[1] != "" for point in chart["points"]] == [False] * 8 + [
        True
    ] * 8
    assert chart["signals"] == []
    assert len(chart["stages"]) == 2


def test_changes_are_told_in_their_order_with_who_said_them_and_stand_in_the_audit(station, engineer):
    now = datetime.now(UTC)
    _said(engineer, now - timedelta(hours=1), part="camera", what="spare camera")
    _said(engineer, now - timedelta(hours=2))
    told = engineer.get("/api/v1/spc/changes?lane=strip").json()
    assert [one["part"] for one in told] == ["lens", "camera"]
    assert told[0]["person"] == "engineer"
    assert engineer.get("/api/v1/spc/changes?lane=parts").json() == []
    assert "chart.changed" in [one.action for one in Accounts(station.store).audit(limit=20)]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"what": ""}, 422),
        ({"part": "conveyor"}, 422),
        ({"at": datetime.now(UTC) + timedelta(days=1)}, 422),
    ],
)
def test_a_change_that_is_to_come_or_of_nothing_is_refused(engineer, said, status):
    answer = _said(engineer, **({"at": datetime.now(UTC)} | said))
    assert answer.status_code == status
    assert engineer.get("/api/v1/spc/changes").json() == []


def test_an_operator_cannot_say_so_and_the_page_shows_an_engineer_the_form(station, engineer):
    operator = signed_in(station.app(), Role.OPERATOR)
    assert _said(operator, datetime.now(UTC)).status_code == 403
    page = {"Accept": "text/html"}
    assert 'action="/spc/changes"' in engineer.get("/spc/inspector?lane=strip", headers=page).text
    assert 'action="/spc/changes"' not in operator.get("/spc/inspector?lane=strip", headers=page).text
    form = {"part": "camera", "changed_lane": "strip", "what": "serial 24 for 17", "at": ""}
    assert engineer.post("/spc/changes", data=form, headers=page).status_code == 303
    assert "serial 24 for 17" in engineer.get("/spc/inspector?lane=strip", headers=page).text
    refused = engineer.post("/spc/changes", data=form | {"what": " "}, headers=page)
    assert refused.status_code == 422
    assert "SPC-PARAMETER" in refused.text
