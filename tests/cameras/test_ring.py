from __future__ import annotations

import multiprocessing
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if sys.platform != "linux":
    pytest.skip("memfd and eventfd are Linux's: run on Linux", allow_module_level=True)

from cameras.ring import FrameTooLarge, MemoryShort, Ring
from inspection.types import Frame
from tests.vendor_drivers import a_frame, room_for_descriptors

LARGEST = 96

shapes = st.sampled_from([(1, 1), (4, 8), (8, 12), (2, 5, 3), (4, 8, 3)])


@st.composite
def frames(draw):
    shape = draw(shapes)
    seed = draw(st.integers(0, 2**32))
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    pixels.setflags(write=False)
    return Frame(
        pixels=pixels,
        camera="top",
        sequence=draw(st.integers(0, 2**63)),
        captured_at=datetime(2026, 11, 20, tzinfo=UTC) + timedelta(microseconds=draw(st.integers(0, 10**9))),
        device_time_ns=draw(st.none() | st.integers(0, 2**63)),
        y_origin_mm=draw(st.floats(0, 1e6)),
        trigger=draw(st.none() | st.integers(0, 2**40)),
    )


def same(one: Frame, other: Frame) -> bool:
    fields = [name for name in Frame.__slots__ if name != "pixels"]
    return np.array_equal(one.pixels, other.pixels) and all(
        getattr(one, name) == getattr(other, name) for name in fields
    )


@settings(deadline=None)
@given(slots=st.integers(1, 4), steps=st.lists(st.none() | frames(), max_size=40))
def test_whatever_the_order_of_writing_and_reading_each_frame_is_given_whole_in_order_or_counted(
    slots, steps
):
    written, taken_in, given_out = [], [], []
    with Ring() as ring:
        ring.reserve(slots, LARGEST)
        for frame in steps:
            if frame is None:
                taken = ring.take()
                assert (taken is None) == (len(given_out) == len(taken_in))
                given_out += [] if taken is None else [taken]
            else:
                was_full = len(taken_in) - len(given_out) == slots
                written.append(frame)
                assert ring.put(frame) is not was_full
                taken_in += [] if was_full else [frame]
        while (taken := ring.take()) is not None:
            given_out.append(taken)
        assert len(given_out) + ring.missed == len(written)
    # After the ring is gone, and its slots were used again: what was given does not change.
    assert len(given_out) == len(taken_in)
    assert all(map(same, given_out, taken_in))


def test_a_frame_that_was_given_is_the_receivers_own_and_read_only():
    with Ring() as ring:
        ring.reserve(1, LARGEST)
        assert ring.put(a_frame(7, side_px=8))
        taken = ring.take()
        assert taken is not None
        assert ring.put(a_frame(8, side_px=8))
        assert (taken.pixels == 7).all()
        assert taken.pixels.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            taken.pixels[0, 0] = 1


def test_a_frame_larger_than_its_slot_is_an_error_and_not_cut():
    with Ring() as ring:
        ring.reserve(2, LARGEST)
        with pytest.raises(FrameTooLarge):
            ring.put(a_frame(0, side_px=100))
        assert ring.take() is None
        assert ring.missed == 0


def test_memory_that_is_not_there_is_refused_before_any_is_taken():
    with Ring() as ring, pytest.raises(MemoryShort) as short:
        ring.reserve(16, 1 << 50)
    assert short.value.needed_bytes >= 16 << 50
    assert 0 < short.value.available_bytes < short.value.needed_bytes


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_ring_leaves_no_descriptor_open():
    before = descriptors()
    with Ring() as ring:
        ring.reserve(2, LARGEST)
        ring.put(a_frame(0, side_px=8))
        ring.take()
    assert descriptors() == before


def test_a_ring_that_cannot_be_made_leaves_no_descriptor_open():
    before = descriptors()
    with room_for_descriptors(1), pytest.raises(OSError, match="Too many open files"):
        Ring()
    assert descriptors() == before


@pytest.mark.parametrize("side_px", [64, 512])
def test_between_two_processes_no_frame_is_torn_and_each_is_given_or_counted(side_px):
    written = 400
    context = multiprocessing.get_context("spawn")
    with Ring() as ring:
        writer = context.Process(target=write_many, args=(ring, written, side_px), daemon=True)
        writer.start()
        given_out = []
        while True:
            has_ended = not writer.is_alive()
            frame = ring.take()
            if frame is not None:
                assert (frame.pixels == frame.sequence % 256).all()
                given_out.append(frame.sequence)
            elif has_ended:
                break
        assert writer.exitcode == 0
        assert given_out
        assert given_out == sorted(set(given_out))
        assert len(given_out) + ring.missed == written


def write_many(ring: Ring, count: int, side_px: int) -> None:
    ring.reserve(3, side_px * side_px)
    for sequence in range(count):
        ring.put(a_frame(sequence, side_px=side_px))
