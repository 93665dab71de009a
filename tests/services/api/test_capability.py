"""The gates of a capability report."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from services.measured_charts import MeasuredChart
from tests.builders import a_measurement, a_unit, an_inspection


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
