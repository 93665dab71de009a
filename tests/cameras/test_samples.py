"""Samples of a probe over the network: whole stretches, none made up, and drawn flaws found through the wire."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameras import open_camera
from cameras.errors import CameraLost, CameraSilent, SettingRefused
from cameras.samples import MOST_SAMPLES, Datagram, SampleStream, _Stretches
from cameras.settings import SampleStreamSettings
from cameras.simulator.samples import send
from inspection.types import Verdict
from inspection.vision.drawn_sensors import SAMPLE_HZ, draw_waveform
from inspection.vision.waveform import samples_of
from services.station.build import build_pipeline
from station_config import load_recipe
from tests.builders import NOON


def a_free_port() -> int:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asking:
        asking.bind(("127.0.0.1", 0))
        return int(asking.getsockname()[1])


def a_stream(port: int, **overrides) -> SampleStream:
    given = {
        "port": port,
        "sample_hz": 100_000,
        "samples_per_frame": 2048,
        "silent_after_s": 0.3,
        **overrides,
    }
    camera = open_camera("probe", SampleStreamSettings(**given))
    assert isinstance(camera, SampleStream)
    return camera


def received(port: int, samples: np.ndarray, *, frames: int, sent: dict | None = None, **overrides):
    with a_stream(port, **overrides) as camera:
        how = {"to": ("127.0.0.1", port), "sample_hz": 100_000, **(sent or {})}
        sending = threading.Thread(target=send, args=(samples,), kwargs=how)
        sending.start()
        try:
            return list(islice(camera.frames(), frames))
        finally:
            sending.join()


COUNTED = np.arange(30_000).astype(np.int16)


def test_stretches_come_whole_and_numbered_from_when_the_probe_was_switched_on():
    frames = received(a_free_port(), COUNTED, frames=9, sent={"first": 5000}, mm_per_sample=0.01)
    # The first sample is the 5000th, so the first stretch that can be whole is the third, from the 6144th on.
    assert [frame.sequence for frame in frames] == list(range(3, 12))
    assert frames[0].y_origin_mm == pytest.approx(3 * 20.48)
    given = np.concatenate([samples_of(frame.pixels) for frame in frames]) * 32768
    assert (given == COUNTED[1144 : 1144 + 9 * 2048]).all()


def test_a_lost_datagram_is_a_hole_in_the_count_and_nothing_is_made_up():
    frames = received(a_free_port(), COUNTED, frames=8, sent={"lost": {7}})
    # Samples 4900 to 5599 lie in the stretch that begins with the 4096th.
    assert [frame.sequence for frame in frames] == [0, 1, 3, 4, 5, 6, 7, 8]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_datagrams_that_overtake_each_other_change_nothing(data):
    size = 1000
    pieces = [
        Datagram(sample_hz=1, first=start, samples=COUNTED[start : start + 300])
        for start in range(0, 6000, 300)
    ]
    for at in range(0, len(pieces) - 1, 2):
        if data.draw(st.booleans()):
            pieces[at], pieces[at + 1] = pieces[at + 1], pieces[at]
    stretches = _Stretches(size)
    # A first datagram that was overtaken was before anything that can be whole.
    skipped = -(-pieces[0].first // size)
    made = [one for piece in pieces for one in stretches.take(piece, NOON)]
    assert [number for number, _ in made] == list(range(skipped, 6))
    assert all((one.samples == COUNTED[number * size : (number + 1) * size]).all() for number, one in made)


def test_a_probe_that_was_switched_off_and_on_counts_anew():
    stretches = _Stretches(1000)
    before = [*stretches.take(Datagram(sample_hz=1, first=50_000, samples=COUNTED[:700]), NOON)]
    before += stretches.take(Datagram(sample_hz=1, first=50_700, samples=COUNTED[:700]), NOON)
    after = [*stretches.take(Datagram(sample_hz=1, first=0, samples=COUNTED[:700]), NOON)]
    after += stretches.take(Datagram(sample_hz=1, first=700, samples=COUNTED[:700]), NOON)
    assert [number for number, _ in (*before, *after)] == [50, 0]


def numbers_of(stretches, *, begins, ends, datagram=500):
    """Of the frames that a stream of these samples gives."""
    pieces = (
        Datagram(sample_hz=1, first=first, samples=np.zeros(datagram, np.int16))
        for first in range(begins, ends, datagram)
    )
    return [number for piece in pieces for number, _ in stretches.take(piece, NOON)]


def test_after_a_break_longer_than_a_frame_frames_come_again_and_the_break_is_a_hole():
    stretches = _Stretches(10_000)
    assert numbers_of(stretches, begins=0, ends=35_000) == [0, 1, 2]
    assert numbers_of(stretches, begins=85_000, ends=150_000) == [9, 10, 11, 12, 13, 14]
    assert not stretches.open, "what will never be whole is not held"


def test_of_frames_shorter_than_a_datagram_a_lost_datagram_costs_those_it_was_part_of():
    stretches = _Stretches(256)
    assert numbers_of(stretches, begins=0, ends=7000, datagram=700) == [*range(27)]
    # Samples 7000 to 7699 lie in the frames 27 to 30.
    assert numbers_of(stretches, begins=7700, ends=9800, datagram=700) == [*range(31, 38)]


def test_samples_that_leap_farther_than_can_have_been_are_a_device_that_is_lost():
    port = a_free_port()
    with a_stream(port) as camera:
        for first in (0, 2048 * 2**31):
            send(COUNTED[:4200], to=("127.0.0.1", port), sample_hz=100_000, first=first)
        frames = camera.frames()
        assert [frame.sequence for frame in islice(frames, 2)] == [0, 1]
        with pytest.raises(CameraLost, match="leapt to 4398046511104"):
            next(frames)


def test_a_stream_of_which_no_frame_gets_whole_is_said_to_be_silent_while_it_comes():
    port = a_free_port()
    with a_stream(port) as camera:
        how = {"to": ("127.0.0.1", port), "sample_hz": 100_000, "lost": range(0, 400, 2)}
        sending = threading.Thread(target=send, args=(np.zeros(200_000, np.int16),), kwargs=how)
        sending.start()
        with pytest.raises(CameraSilent) as silent:
            next(camera.frames())
        assert sending.is_alive()
        assert silent.value.facts["incomplete"] > 5
        sending.join()


def test_a_frame_that_takes_longer_than_silence_may_last_is_waited_for():
    (frame,) = received(a_free_port(), COUNTED, frames=1, silent_after_s=0.1, samples_per_frame=28_000)
    assert frame.sequence == 0


def test_a_silent_probe_is_said_to_be_silent():
    with a_stream(a_free_port()) as camera, pytest.raises(CameraSilent):
        next(camera.frames())


def test_another_sample_rate_than_was_set_is_refused():
    with pytest.raises(SettingRefused) as refused:
        received(a_free_port(), COUNTED, frames=1, sent={"sample_hz": 48_000})
    assert (refused.value.facts["setting"], refused.value.facts["found"]) == ("sample_hz", 48_000)


def test_what_comes_from_elsewhere_is_left_alone():
    with pytest.raises(CameraSilent):
        received(a_free_port(), COUNTED, frames=1, sender="192.0.2.7")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda data: b"LYS1" + data))
def test_no_bytes_are_taken_for_samples_that_are_none(data):
    datagram = Datagram.of(data)
    assert datagram is None or datagram.to_bytes() == data
    assert Datagram.of(Datagram(sample_hz=1, first=0, samples=COUNTED[: MOST_SAMPLES + 1]).to_bytes()) is None


def test_a_port_that_another_program_has_is_refused():
    port = a_free_port()
    with a_stream(port), pytest.raises(SettingRefused), a_stream(port):
        pass


def test_drawn_flaws_are_found_through_the_wire_by_the_recipe_that_finds_them_in_files():
    size = 51_200
    flaws = [(20_000, 0.05), (3 * size + 30_000, 0.05)]
    drawn = draw_waveform(4, samples=4 * size, flaws=flaws)
    samples = np.frombuffer(drawn.raw.tobytes(), "<i2").astype(np.int16)
    pipeline, _ = build_pipeline(load_recipe("sensor-waveform"))
    frames = received(
        a_free_port(),
        samples,
        frames=4,
        sent={"sample_hz": round(SAMPLE_HZ), "faster": 8.0},
        sample_hz=round(SAMPLE_HZ),
        samples_per_frame=size,
        mm_per_sample=0.01,
        silent_after_s=10.0,
    )
    results = [pipeline.inspect(frame) for frame in frames]
    assert [result.verdict > Verdict.ACCEPT for result in results] == [True, False, False, True]
    (found,) = results[3].defects
    assert found.box_mm is not None
    # 3 x 512 mm of the bar, and 300 mm into the fourth stretch; windows of 5.12 mm.
    assert found.box_mm.y1 == pytest.approx(3 * 512 + 300, abs=10)
