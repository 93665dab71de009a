from __future__ import annotations

from datetime import timedelta

import pytest
from uuid_utils.compat import uuid7

from inspection.types import Verdict
from tests.builders import NOON, a_unit, an_inspection
from traceability.factors import units_met
from traceability.steps import ProcessStep, record_steps
from traceability.store import TraceStore

PART = a_unit("86.999.1/P-1")
AN_HOUR = timedelta(hours=1)


@pytest.fixture
def a_refused_part(store: TraceStore):
    store.record(
        [
            an_inspection(
                unit=PART,
                verdict=Verdict.REJECT,
                started_at=NOON - timedelta(seconds=1),
                finished_at=NOON,
            )
        ]
    )


def _step(equipment: str, *, begun_h: float, units_in=(), units_out=(PART,)):
    begun = NOON + begun_h * AN_HOUR
    return ProcessStep(
        id=uuid7(),
        kind="press",
        equipment=equipment,
        started_at=begun,
        finished_at=begun + AN_HOUR,
        units_in=units_in,
        units_out=units_out,
        parameters={f"oil_c {equipment}": 40.0},
    )


def _equipment_met(store: TraceStore) -> set[str]:
    (met,) = units_met(store, since=NOON - AN_HOUR)
    equipment = {level for category, level in met.factors if category == "equipment"}
    assert {name.removeprefix("oil_c ") for name in met.parameters} == equipment
    return equipment


def test_a_unit_met_the_steps_it_came_out_of_also_that_in_whose_hour_it_was_inspected(
    store: TraceStore, a_refused_part
):
    record_steps(store, [_step("press 1", begun_h=-3), _step("press 2", begun_h=-0.5)])
    assert _equipment_met(store) == {"press 1", "press 2"}


def test_rework_after_the_inspection_is_no_cause_of_its_verdict(store: TraceStore, a_refused_part):
    rework = _step("rework 1", begun_h=1, units_in=(PART,))
    record_steps(store, [_step("press 1", begun_h=-3), rework])
    assert _equipment_met(store) == {"press 1"}


def test_a_step_that_a_unit_only_went_into_is_none_it_came_out_of(store: TraceStore, a_refused_part):
    record_steps(
        store,
        [_step("press 1", begun_h=-3), _step("dock 2", begun_h=-2, units_in=(PART,), units_out=())],
    )
    assert _equipment_met(store) == {"press 1"}
