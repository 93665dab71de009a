from datetime import UTC, datetime
from itertools import count

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspection.identity import IdentifierCode
from inspection.types import Frame
from services.station.units import CountedUnits


def a_frame(sequence: int) -> Frame:
    return Frame(
        pixels=np.zeros((1, 1), np.uint8),
        camera="c",
        sequence=sequence,
        captured_at=datetime(2026, 11, 20, tzinfo=UTC),
    )


def units_of(frames_per_unit: int) -> CountedUnits:
    numbers = count(1)

    def mint() -> IdentifierCode:
        code = f"U{next(numbers)}"
        return IdentifierCode(scheme="plain", raw=code, canon=code)

    return CountedUnits(frames_per_unit, mint)


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 40))
def test_so_many_exposures_from_the_first_one_on_are_one_unit(first, frames_per_unit, exposures):
    units = units_of(frames_per_unit)
    codes = [str(units.unit_of(a_frame(first + number))) for number in range(exposures)]
    assert codes == [f"U{number // frames_per_unit + 1}" for number in range(exposures)]


@given(st.integers(1, 9), st.lists(st.booleans(), min_size=1, max_size=40))
def test_a_lost_exposure_belongs_to_the_unit_a_seen_one_would_belong_to(frames_per_unit, arrived):
    seen, some_lost = units_of(frames_per_unit), units_of(frames_per_unit)
    for number, came in enumerate(arrived):
        expected = seen.unit_of(a_frame(number))
        asked = some_lost.unit_of(a_frame(number)) if came else some_lost.unit_of_lost(number)
        assert asked == expected


def test_the_last_exposure_of_a_unit_completes_it():
    units = units_of(3)
    assert [units.completes_unit(a_frame(number)) for number in range(7)] == [False, False, True] * 2 + [
        False
    ]


def test_a_device_that_counts_anew_begins_a_new_unit():
    units = units_of(3)
    before = units.unit_of(a_frame(5))
    assert units.unit_of(a_frame(0)) != before
