from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.pacing import Exposures
from tests.fake_cameras import TurnedClock


def exposures(clock, *, frames_per_s=10.0, buffers=4, left=None):
    return Exposures(frames_per_s=frames_per_s, buffers=buffers, clock=clock, left=left or Event())


@given(frames_per_s=st.floats(0.01, 1000), late=st.lists(st.floats(0, 0.9), max_size=30))
def test_no_delay_adds_up_and_nothing_is_lost_while_the_receiver_keeps_up(frames_per_s, late):
    clock = TurnedClock()
    source = exposures(clock, frames_per_s=frames_per_s)
    began_at = clock.utc()
    for number, share in enumerate(late):
        index, exposed_at = source.next()
        assert index == number
        assert (exposed_at - began_at).total_seconds() == pytest.approx(number / frames_per_s, abs=1e-5)
        clock.turn(share / frames_per_s)


def test_what_waits_within_the_buffers_is_not_lost():
    clock = TurnedClock()
    source = exposures(clock, buffers=4)
    assert source.next()[0] == 0
    clock.turn(0.45)
    began_s = clock.monotonic_s()
    assert [source.next()[0] for _ in range(4)] == [1, 2, 3, 4]
    assert clock.monotonic_s() == began_s


def test_more_than_the_buffers_hold_is_lost_the_oldest_first():
    clock = TurnedClock()
    source = exposures(clock, buffers=4)
    assert source.next()[0] == 0
    clock.turn(2.05)
    assert [source.next()[0] for _ in range(5)] == [17, 18, 19, 20, 21]


def test_leaving_ends_the_waiting():
    left = Event()
    source = exposures(TurnedClock(), left=left)
    assert source.next()[0] == 0
    left.set()
    assert source.next() is None
