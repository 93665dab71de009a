from __future__ import annotations

from datetime import timedelta

import pytest

from inspection.types import Verdict
from tests.builders import (
    NOON,
    a_defect,
    a_measurement,
    a_picture,
    a_unit,
    an_inspection,
    an_inspection_begun,
)
from traceability.errors import UnitUnknown
from traceability.store import TraceStore


def test_an_inspection_comes_back_as_it_was_recorded(store: TraceStore):
    given = an_inspection(
        verdict=Verdict.REJECT,
        defects=(a_defect(), a_defect(kind="pitted_surface", box_mm=None)),
        measurements=(a_measurement(), a_measurement(name="camber", uncertainty=None)),
        pictures=(a_picture(),),
        frames_failed=1,
        frames_lost=2,
        failures={"MOD-FAILED": 1},
    )
    assert store.record([given]) == 1
    assert store.inspection(given.id) == given


def test_recording_twice_changes_nothing(store: TraceStore):
    given = [an_inspection(defects=(a_defect(),)) for _ in range(3)]
    assert store.record(given) == 3
    before = store.latest()
    assert store.record([*given, given[0]]) == 0
    assert store.latest() == before


def test_one_batch_may_hold_the_same_inspection_twice(store: TraceStore):
    given = an_inspection(defects=(a_defect(),))
    assert store.record([given, given]) == 1
    assert store.inspection(given.id) == given


def test_a_unit_is_known_by_its_code_and_its_inspections_are_told_oldest_first(store: TraceStore):
    second = an_inspection(finished_at=NOON + timedelta(hours=1))
    first = an_inspection(finished_at=NOON)
    store.record([second, first, an_inspection(unit=a_unit("another-coil"))])
    assert store.inspections_of(a_unit()) == (first, second)


def test_a_unit_nobody_saw_is_unknown(store: TraceStore):
    with pytest.raises(UnitUnknown):
        store.inspections_of(a_unit("never-seen"))


def test_a_unit_in_hand_is_known_until_it_is_finished(store: TraceStore):
    begun = an_inspection_begun()
    store.begin([begun])
    store.begin([begun])
    assert store.begun() == (begun,)
    store.record([an_inspection(id=begun.id)])
    assert store.begun() == ()


def test_a_late_word_of_a_finished_unit_does_not_put_it_in_hand_again(store: TraceStore):
    begun = an_inspection_begun()
    store.record([an_inspection(id=begun.id)])
    store.begin([begun])
    assert store.begun() == ()
