import os
from dataclasses import dataclass

import pytest

from services.station.cores import leave_time

THERE = len(os.sched_getaffinity(0))


@dataclass
class Lane:
    """A lane that has work for so many cores."""

    cores_wanted: int
    is_behind: bool = False


@pytest.mark.parametrize(
    "lanes",
    [
        [],
        # Busy on every core, and nothing waits for long.
        [Lane(THERE)],
        # One that cannot keep up costs the others nothing while there is a core that none of them wants.
        [Lane(THERE - 1, is_behind=True), Lane(0)],
    ],
)
def test_other_work_may_be_begun_while_the_lanes_keep_up_or_leave_a_core(lanes):
    assert leave_time(lanes)


@pytest.mark.parametrize("lanes", [[Lane(THERE, is_behind=True)], [Lane(THERE - 1), Lane(1, is_behind=True)]])
def test_other_work_waits_while_a_lane_is_behind_and_all_cores_are_wanted(lanes):
    assert not leave_time(lanes)
