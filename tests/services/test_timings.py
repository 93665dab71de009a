from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.live import LiveState
from services.timings import FRAMES_KEPT, SLOWEST_KEPT, Histogram, Timings
from tests.a_station import a_frame_seen, a_strip, begun_now

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
BEGUN = begun_now(lane="strip", code="COIL-1")
SEEN = a_frame_seen(a_strip(), BEGUN)


def a_frame(sequence: int, total_ms: float, **steps_ms: float):
    timings_ms = {**steps_ms, "total": total_ms}
    return replace(SEEN, result=replace(SEEN.result, sequence=sequence, timings_ms=timings_ms))


@pytest.fixture
def clock():
    class Clock:
        now_s = 1000.0

    return Clock()


@pytest.fixture
def timings(clock) -> Timings:
    return Timings(monotonic_s=lambda: clock.now_s)


def take(timings: Timings, *frames) -> None:
    for frame in frames:
        timings.add(frame, unit="COIL-1", recorded_at=NOW)


@given(st.lists(st.floats(0.01, 50_000), min_size=1, max_size=300))
def test_a_quantile_is_never_too_low_and_at_most_5_percent_too_high(times_ms):
    histogram = Histogram()
    for spent_ms in times_ms:
        histogram.add(spent_ms, 0.0)
    found = histogram.quantiles("start", 0.0)
    ordered = sorted(times_ms)
    for share, quantile in ((0.5, found.p50_ms), (0.95, found.p95_ms), (0.99, found.p99_ms)):
        true = ordered[ceil(share * len(ordered)) - 1]
        assert true * (1 - 1e-9) <= quantile <= true * 1.05 * (1 + 1e-9)
    assert (found.count, found.max_ms) == (len(times_ms), max(times_ms))


@pytest.mark.parametrize("spent_ms", [0.0, -1.0, 1e9])
def test_a_time_out_of_all_bounds_is_counted_all_the_same(spent_ms):
    histogram = Histogram()
    histogram.add(spent_ms, 0.0)
    assert histogram.quantiles("start", 0.0).count == 1


def test_the_last_minute_forgets_and_the_time_since_the_start_does_not(timings, clock):
    take(timings, a_frame(1, 500.0))
    clock.now_s += 30
    take(timings, a_frame(2, 10.0))
    (total,) = timings.steps("strip")
    assert (total.minute.count, total.minute.max_ms) == (2, 500.0)
    clock.now_s += 40
    (total,) = timings.steps("strip")
    assert (total.minute.count, total.minute.max_ms) == (1, 10.0)
    assert (total.start.count, total.start.max_ms) == (2, 500.0)
    clock.now_s += 3600
    (total,) = timings.steps("strip")
    assert (total.minute.count, total.minute.p99_ms) == (0, 0.0)


def test_the_slowest_frames_are_kept_with_their_steps_long_after_the_newest_have_gone(timings):
    take(timings, a_frame(0, 900.0, wait=850.0, detect=50.0))
    take(timings, *(a_frame(number, 5.0 + number / 1e4) for number in range(1, FRAMES_KEPT + 100)))
    slowest = timings.slowest("strip")
    assert len(slowest) == SLOWEST_KEPT
    assert (slowest[0].sequence, slowest[0].timings_ms["wait"], slowest[0].unit) == (0, 850.0, "COIL-1")
    assert timings.frame("strip", 0) == slowest[0]
    assert timings.frame("strip", 1) is None
    assert timings.frame("strip", FRAMES_KEPT + 99) is timings.newest("strip")
    assert timings.frame("parts", 0) is None


def test_quantiles_of_both_windows_are_among_the_metrics():
    live = LiveState()
    live.begun(BEGUN)
    live.frame(a_frame(7, 12.0, detect=10.0))
    lines = live.metrics.exposition().decode().splitlines()
    for window in ("start", "minute"):
        assert f'step_ms_quantile{{lane="strip",quantile="1",step="total",window="{window}"}} 12.0' in lines
    assert live.timings.frame("strip", 7).unit == "COIL-1"
