"""The gates of a capability report."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from pypdf import PdfReader

from services.measured_charts import MeasuredChart
from tests.builders import a_measurement, a_unit, an_inspection
from traceability.store import FILES_LANE, FILES_STATION


@pytest.mark.parametrize("chart", get_args(MeasuredChart))
def test_no_choice_of_chart_opens_the_gate_of_stability(station, client, chart):
    """Pre-control signals nothing where all values are near the middle of their limits, wherever they drift."""
    begin = datetime.now(UTC) - timedelta(hours=1)
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/P-{number}"),
                measurements=(
                    replace(a_measurement(), value=(10 if number < 100 else 10.5) + 0.01 * (number % 7)),
                ),
                finished_at=begin + timedelta(seconds=number),
            )
            for number in range(200)
        ]
    )
    asked = {"measurement": "width", "lower": 9, "upper": 11.5, "without_gauge": "none yet", "chart": chart}
    answer = client.get("/api/v1/spc/capability", params=asked | {"naming": "aiag_2005"})
    assert (answer.status_code, answer.json()["code"]) == (422, "SPC-NOT-STABLE")


def test_what_was_inspected_from_files_is_no_production_and_counts_where_it_is_asked_for(station, client):
    begin = datetime.now(UTC) - timedelta(hours=1)
    for on, values in ((("demo", "parts"), 25), ((FILES_STATION, FILES_LANE), 30)):
        station.store.record(
            [
                an_inspection(
                    unit=a_unit(f"86.999.1/{on[1]}-{number}"),
                    station=on[0],
                    lane=on[1],
                    measurements=(replace(a_measurement(), value=10 + 0.01 * (number * 7 % 11)),),
                    finished_at=begin + timedelta(seconds=number),
                )
                for number in range(values)
            ]
        )
    asked = {
        "measurement": "width",
        "lower": 9,
        "upper": 11.5,
        "without_gauge": "none yet",
        "although_unstable": "made up",
    }

    def values(**of: str) -> int:
        return client.get("/api/v1/spc/capability", params=asked | of).json()["n"]

    assert values() == 25
    assert values(lane=FILES_LANE) == values(station=FILES_STATION) == 30
    (measured,) = client.get("/api/v1/spc/measurements").json()
    assert measured["values"] == 25


@pytest.mark.parametrize(("reason", "pages"), [("made up", 1), ("试生产，尚待工艺部门批准，" * 38, 2)])
def test_however_long_the_reasons_are_nothing_of_a_printed_report_lies_beyond_the_paper(
    station, client, reason, pages
):
    begin = datetime.now(UTC) - timedelta(hours=1)
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/P-{number}"),
                measurements=(
                    replace(a_measurement(), value=(10 if number < 60 else 10.5) + 0.01 * (number % 7)),
                ),
                finished_at=begin + timedelta(seconds=number),
            )
            for number in range(120)
        ]
    )
    asked = {"measurement": "width", "lower": 9, "upper": 11.5, "target": 10.25}
    asked |= {"without_gauge": reason, "although_unstable": reason, "shape": "johnson"}
    answer = client.get("/api/v1/spc/capability/file", params=asked)
    assert answer.status_code == 200, answer.text
    read = PdfReader(io.BytesIO(answer.content))
    lines: list[tuple[float, str]] = []
    for page in read.pages:
        page.extract_text(visitor_text=lambda text, cm, tm, *_: lines.append((tm[5], text.strip())))
    assert min(height_pt for height_pt, text in lines if text) > 0
    assert len(read.pages) == pages
