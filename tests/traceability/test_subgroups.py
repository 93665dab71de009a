"""Subgroups of consecutive values are the same whenever they are asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from inspection.types import Verdict
from tests.builders import NOON, RECIPE, a_measurement, a_unit, an_inspection
from traceability.samples import Shifts, measured_values, shift_at
from traceability.store import TraceStore
from traceability.subgroups import from_whole_subgroup, subgroups_of

SHIFT = shift_at(NOON, Shifts()).since
SIZE = 5


def _measured(store: TraceStore, number: int, *, start: int = 0, **given):
    """A unit a second, from the beginning of a shift."""
    store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/P-{start + second}"),
                measurements=(replace(a_measurement(), value=10.0 + second % 7),),
                finished_at=SHIFT + timedelta(seconds=start + second),
                **given,
            )
            for second in range(number)
        ]
    )


def _first_units(store: TraceStore, *, most: int):
    """Of each subgroup the unit it is known by, where so many values are taken."""
    values = measured_values(store, "width", since=SHIFT, most=most)
    whole = from_whole_subgroup(store, values, "width", size=SIZE)
    return [group[0].id for group in subgroups_of(whole, size=SIZE).groups]


@pytest.mark.parametrize("most", [23, 24, 25, 26, 27])
def test_a_shift_cut_by_count_has_the_subgroups_of_the_whole_shift(store: TraceStore, most):
    _measured(store, 48)
    whole = _first_units(store, most=1000)
    cut = _first_units(store, most=most)
    assert len(cut) in (most // SIZE - 1, most // SIZE)
    assert cut == whole[-len(cut) :]


def test_a_new_unit_leaves_all_subgroups_but_the_oldest_and_the_newest_as_they_were(store: TraceStore):
    _measured(store, 47)
    before = _first_units(store, most=25)
    for second in range(SIZE):
        _measured(store, 1, start=47 + second)
        assert set(before[1:]) <= set(_first_units(store, most=25))


def test_the_values_before_a_change_of_recipe_are_no_part_of_a_cut_stages_subgroups(store: TraceStore):
    _measured(store, 13)
    _measured(store, 40, start=13, recipe=replace(RECIPE, revision=2))
    assert set(_first_units(store, most=22)) < set(_first_units(store, most=1000))


def test_units_that_were_not_inspected_and_other_measurements_do_not_move_subgroups(store: TraceStore):
    _measured(store, 11)
    _measured(store, 3, start=11, verdict=Verdict.NOT_INSPECTED)
    store.record([an_inspection(finished_at=SHIFT + timedelta(seconds=14))])
    _measured(store, 30, start=15)
    assert set(_first_units(store, most=22)) < set(_first_units(store, most=1000))


def test_of_no_values_there_is_no_subgroup(store: TraceStore):
    assert from_whole_subgroup(store, (), "width", size=SIZE) == ()
