"""Figures of merit count units, on both engines: a unit that has several codes is one."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from uuid_utils.compat import uuid7

from inspection.types import Verdict
from tests.builders import NOON, a_unit, an_inspection
from traceability import merit
from traceability.codes import CodeRegister
from traceability.holds import place, release
from traceability.steps import SHIPPED, ProcessStep, record_steps
from traceability.store import TraceStore

PART, LABEL, OTHER = a_unit("PART"), a_unit("LABEL"), a_unit("OTHER")


@pytest.fixture
def refused(store: TraceStore) -> TraceStore:
    """A part that was refused and got a label, and another one that was accepted."""
    seen = {"started_at": NOON, "finished_at": NOON}
    store.record(
        [an_inspection(unit=PART, verdict=Verdict.REJECT, **seen), an_inspection(unit=OTHER, **seen)]
    )
    CodeRegister(store).bind(LABEL, PART, reason="labelled")
    return store


def counted(store: TraceStore, **place: str) -> merit.Counted:
    return merit.counted(store, since=NOON, until=NOON + timedelta(hours=5), **place)


def test_a_unit_that_comes_again_under_another_of_its_codes_is_no_first_pass(refused: TraceStore):
    later = NOON + timedelta(hours=1)
    refused.record([an_inspection(unit=LABEL, started_at=later, finished_at=later)])
    (lane,) = counted(refused).steps
    assert lane.first_passes == Counter({Verdict.REJECT: 1, Verdict.ACCEPT: 1})
    assert lane.judged == 3


def test_a_unit_scrapped_and_shipped_under_another_of_its_codes_was_inspected_all_the_same(
    refused: TraceStore,
):
    place(refused, [LABEL], ids=[uuid7()], reason="scratched", at=NOON, by=None)
    release(refused, LABEL, id=uuid7(), decision="scrap", reason="too deep", at=NOON, by=None)
    gone = ProcessStep(
        id=uuid7(),
        kind=SHIPPED,
        equipment="dock 1",
        started_at=NOON,
        finished_at=NOON,
        units_in=(LABEL, a_unit("NEVER-SEEN")),
    )
    record_steps(refused, [gone])
    there, elsewhere = counted(refused, lane="strip"), counted(refused, lane="parts")
    assert (there.scrapped, there.shipped, there.shipped_inspected) == (1, 2, 1)
    assert (elsewhere.scrapped, elsewhere.shipped, elsewhere.shipped_inspected) == (0, 2, 0)
