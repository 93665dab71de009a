from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from uuid_utils.compat import uuid7

from inspection.types import Verdict
from tests.builders import a_defect, a_unit, an_inspection
from traceability.steps import ProcessStep, record_steps

HOURS, A_HOUR = 12, 30
BEGUN = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS + 1)


@pytest.fixture
def a_hot_afternoon(station):
    """From the sixth hour on another lot, pressed hotter; one in three is refused then, before one in thirty."""
    units = [a_unit(f"86.999.1/P-{number}") for number in range(HOURS * A_HOUR)]
    is_bad = [number % (3 if number >= 6 * A_HOUR else 30) == 1 for number in range(len(units))]
    station.store.record(
        [
            an_inspection(
                unit=unit,
                lane="parts",
                verdict=Verdict.REJECT if bad else Verdict.ACCEPT,
                defects=(a_defect(),) if bad else (),
                finished_at=BEGUN + timedelta(minutes=2 * number),
            )
            for number, (unit, bad) in enumerate(zip(units, is_bad, strict=True))
        ]
    )
    record_steps(
        station.store,
        [
            ProcessStep(
                id=uuid7(),
                kind="press",
                equipment="press 1",
                started_at=BEGUN + timedelta(hours=hour),
                finished_at=BEGUN + timedelta(hours=hour + 1),
                materials=("LOT-B" if hour >= 6 else "LOT-A",),
                parameters={"oil_c": 55.0 + hour % 2 if hour >= 6 else 40.0 + hour % 2},
                units_out=tuple(units[hour * A_HOUR : (hour + 1) * A_HOUR]),
            )
            for hour in range(HOURS)
        ],
    )


def _causes(client):
    answer = client.get("/api/v1/spc/causes", params={"lane": "parts"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_hour_of_the_change_stands_beside_the_lot_that_came_and_the_one_that_went(
    a_hot_afternoon, client
):
    (change,) = _causes(client)["changes"]
    assert datetime.fromisoformat(change["at"]) == BEGUN + timedelta(hours=6)
    assert change["before"] == pytest.approx(1 / 30)
    told = {(one["level"], one["is_begin"], one["hours"]) for one in change["events"]}
    assert {("LOT-B", True, 0), ("LOT-A", False, 0)} <= told


def test_the_tree_splits_at_the_temperature(a_hot_afternoon, client):
    tree = _causes(client)["tree"]
    cold, hot = tree["branches"]
    assert cold["rule"].startswith("oil_c < ")
    assert 41 < float(cold["rule"].split()[-1]) < 55
    assert hot["bad"] / hot["n"] == pytest.approx(1 / 3)


def test_the_strongest_level_is_no_play_of_chance(a_hot_afternoon, client):
    assert _causes(client)["chance_best"] == pytest.approx(1 / 200)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_causes_and_maps_are_written_as_files(a_hot_afternoon, client, language):
    for page in ("causes", "positions"):
        asked = {"lane": "parts", "lang": language, "format": "csv"}
        file = client.get(f"/api/v1/spc/{page}/file", params=asked)
        assert file.content.startswith(b"\xef\xbb\xbf")
        assert client.get(f"/api/v1/spc/{page}/file", params=asked | {"format": "xlsx"}).status_code == 200
    shown = client.get(f"/spc/causes?lane=parts&lang={language}", headers={"Accept": "text/html"})
    assert "oil_c" in shown.text
    assert "LOT-B" in shown.text
