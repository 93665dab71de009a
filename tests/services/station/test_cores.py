import os
from dataclasses import dataclass

from services.station.cores import leave_a_core


@dataclass
class Wants:
    """A lane that has work for so many cores."""

    cores_wanted: int


def test_a_core_is_left_while_the_lanes_together_want_fewer_than_there_are():
    there = len(os.sched_getaffinity(0))
    assert leave_a_core([])
    assert leave_a_core([Wants(there - 1), Wants(0)])
    assert not leave_a_core([Wants(there - 1), Wants(1)])
    assert not leave_a_core([Wants(there), Wants(there)])
