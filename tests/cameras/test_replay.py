import logging
from datetime import UTC
from itertools import islice

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cameras.errors import RunUnreadable, SettingRefused
from cameras.recording import MANIFEST
from cameras.replay import ReplayCamera
from cameras.settings import ReplaySettings
from inspection.types import Frame
from tests.cameras.recorded import a_frame, record
from tests.fake_cameras import TurnedClock, a_picture


def replayed(folder, *, clock=None, count=None, **given_settings):
    with ReplayCamera("line 2", ReplaySettings(folder=folder, **given_settings), clock=clock) as camera:
        return list(islice(camera.frames(), count))


def pictures(folder, *names):
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        cv2.imwrite(str(folder / name), a_picture(index))
    return folder


def test_a_run_comes_back_bit_for_bit_under_this_cameras_name(tmp_path):
    colour = np.dstack([a_picture(50), a_picture(51), a_picture(52)])
    grey_in_colour = np.dstack([a_picture(60)] * 3)
    frames = [
        a_frame(4, y_origin_mm=1.25, trigger=2, device_time_ns=17),
        a_frame(5, pixels=colour),
        a_frame(9, pixels=grey_in_colour),
    ]
    back = replayed(record(tmp_path / "run", frames))
    assert [frame.camera for frame in back] == ["line 2"] * 3
    for frame, recorded in zip(back, frames, strict=True):
        assert np.array_equal(frame.pixels, recorded.pixels)
        assert not frame.pixels.flags.writeable
        assert (
            frame.sequence,
            frame.captured_at,
            frame.y_origin_mm,
            frame.trigger,
            frame.device_time_ns,
        ) == (
            recorded.sequence,
            recorded.captured_at,
            recorded.y_origin_mm,
            recorded.trigger,
            recorded.device_time_ns,
        )


def test_a_replay_knows_of_the_exposures_that_were_damaged_before_the_first_whole_frame(tmp_path):
    folder = record(tmp_path / "run", [a_frame(n, first_sequence=1) for n in (3, 4)])
    assert [(frame.first_sequence, frame.sequence) for frame in replayed(folder)] == [(1, 3), (1, 4)]
    # Played again from the start, the camera is still the one that was entered once.
    again = replayed(folder, count=4, repeat=True)
    assert [(frame.first_sequence, frame.sequence) for frame in again[2:]] == [(1, 5), (1, 6)]


def test_a_recording_of_before_damaged_exposures_were_kept_still_plays(tmp_path):
    folder = record(tmp_path / "run", [a_frame(3), a_frame(4)])
    manifest = folder / MANIFEST
    lines = manifest.read_text(encoding="utf-8")
    assert lines.count(',"first_sequence":null') == 2
    manifest.write_text(lines.replace(',"first_sequence":null', ""), encoding="utf-8")
    assert [(frame.first_sequence, frame.sequence) for frame in replayed(folder)] == [(None, 3), (None, 4)]


@pytest.mark.parametrize(
    "shape",
    [(1, 8192), (8, 2048), (8, 2048, 3), (1, 1_200_000), (16, 1_000_000), (16, 1_000_001), (1, 1)],
    ids=str,
)
def test_a_frame_of_any_shape_comes_back_bit_for_bit(tmp_path, shape):
    noise = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    frames = [a_frame(n, pixels=pixels) for n, pixels in enumerate(noise)]
    back = replayed(record(tmp_path / "run", frames))
    assert all(np.array_equal(frame.pixels, pixels) for frame, pixels in zip(back, noise, strict=True))
    assert not any(frame.pixels.flags.writeable for frame in back)


def test_a_probes_frame_that_was_damaged_on_disk_is_a_lost_frame(tmp_path, caplog):
    wave = np.random.default_rng(0).integers(0, 256, (1, 8192), np.uint8)
    folder = record(tmp_path / "run", [a_frame(n, pixels=wave) for n in range(4)])
    whole = (folder / "00000001.npy.gz").read_bytes()
    (folder / "00000001.npy.gz").write_bytes(whole[:4000] + bytes([whole[4000] ^ 1]) + whole[4001:])
    (folder / "00000002.npy.gz").write_bytes(whole[:-9])
    with caplog.at_level(logging.WARNING):
        assert [frame.sequence for frame in replayed(folder)] == [0, 3]
    assert "00000001.npy.gz" in caplog.text
    assert "00000002.npy.gz" in caplog.text


def test_a_run_is_played_at_the_pace_of_its_recording(tmp_path):
    folder = record(tmp_path / "run", [a_frame(0), a_frame(1), a_frame(5)])
    clock = TurnedClock()
    with ReplayCamera("top", ReplaySettings(folder=folder, pace="recorded"), clock=clock) as camera:
        came_s = [clock.monotonic_s() for _ in camera.frames()]
    assert came_s == [0.0, 1.0, 5.0]


def test_played_fast_it_waits_for_nothing(tmp_path):
    clock = TurnedClock()
    folder = record(tmp_path / "run", [a_frame(0), a_frame(100)])
    assert len(replayed(folder, clock=clock)) == 2
    assert clock.monotonic_s() == 0


def test_a_late_receiver_loses_nothing(tmp_path):
    clock = TurnedClock()
    folder = record(tmp_path / "run", [a_frame(n) for n in range(4)])
    with ReplayCamera("top", ReplaySettings(folder=folder, pace="recorded"), clock=clock) as camera:
        frames = camera.frames()
        next(frames)
        clock.turn(60)
        assert [frame.sequence for frame in frames] == [1, 2, 3]


def test_played_again_count_place_and_time_go_on_without_a_seam(tmp_path):
    frames = [a_frame(n, y_origin_mm=n * 50.0, trigger=n) for n in range(10, 13)]
    back = replayed(record(tmp_path / "run", frames), repeat=True, count=7)
    assert [frame.sequence for frame in back] == list(range(10, 17))
    assert [frame.trigger for frame in back] == list(range(10, 17))
    assert [frame.y_origin_mm for frame in back] == [n * 50.0 for n in range(10, 17)]
    assert [frame.captured_at for frame in back] == [a_frame(n).captured_at for n in range(10, 17)]


def test_losses_of_the_recording_are_losses_of_the_replay(tmp_path):
    back = replayed(record(tmp_path / "run", [a_frame(n) for n in (1, 2, 6)]), repeat=True, count=6)
    assert [frame.sequence for frame in back] == [1, 2, 6, 7, 8, 12]


def test_a_folder_is_played_by_name_and_goes_on_counting(tmp_path):
    folder = pictures(tmp_path, "a.png", "b.png", "c.png")
    back = replayed(folder, repeat=True, count=5)
    assert [frame.sequence for frame in back] == [0, 1, 2, 3, 4]
    assert np.array_equal(back[4].pixels, a_picture(1))


def test_a_file_that_is_no_picture_is_a_lost_frame_with_its_name_in_the_log(tmp_path, caplog):
    folder = pictures(tmp_path, "a.png", "b.png", "c.png", "d.png")
    half = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(half[: len(half) // 2])
    cv2.imwrite(str(folder / "c.png"), np.zeros((32, 32), np.uint16))
    with caplog.at_level(logging.WARNING):
        assert [frame.sequence for frame in replayed(folder)] == [0, 3]
    assert "b.png" in caplog.text
    assert "c.png" in caplog.text


def test_a_missing_picture_of_a_run_is_a_lost_frame(tmp_path):
    folder = record(tmp_path / "run", [a_frame(n) for n in range(3)])
    (folder / "00000001.png").unlink()
    assert [frame.sequence for frame in replayed(folder)] == [0, 2]


def test_a_last_file_that_is_no_picture_is_not_passed_over(tmp_path):
    folder = pictures(tmp_path, "a.png", "b.png")
    (folder / "c.png").write_bytes(b"")
    with ReplayCamera("top", ReplaySettings(folder=folder)) as camera:
        frames = camera.frames()
        assert [frame.sequence for frame in islice(frames, 2)] == [0, 1]
        with pytest.raises(RunUnreadable, match=r"c\.png"):
            next(frames)


def test_repeated_the_last_files_loss_shows_at_the_seam(tmp_path):
    folder = pictures(tmp_path, "a.png", "b.png")
    (folder / "c.png").write_bytes(b"")
    assert [frame.sequence for frame in replayed(folder, repeat=True, count=4)] == [0, 1, 3, 4]


@pytest.mark.parametrize("repeat", [False, True])
def test_a_first_file_that_is_no_picture_is_refused_before_any_frame(tmp_path, repeat):
    folder = pictures(tmp_path, "b.png")
    (folder / "a.png").write_bytes(b"no picture")
    with pytest.raises(RunUnreadable, match=r"a\.png"):
        replayed(folder, repeat=repeat, count=1)


def test_an_empty_folder_or_none_is_refused(tmp_path):
    with pytest.raises(RunUnreadable, match="no pictures"):
        replayed(tmp_path)
    with pytest.raises(RunUnreadable):
        replayed(tmp_path / "nowhere")
    with pytest.raises(RunUnreadable, match="no frames"):
        replayed(record(tmp_path / "run", []))


def test_a_plain_folder_has_no_pace_of_its_own(tmp_path):
    with pytest.raises(SettingRefused, match="plain folder"):
        replayed(pictures(tmp_path, "a.png"), pace="recorded")


def test_a_broken_manifest_is_refused_and_not_played_as_a_plain_folder(tmp_path):
    folder = record(tmp_path / "run", [a_frame(0)])
    (folder / MANIFEST).write_text("{}\n", encoding="utf-8")
    with pytest.raises(RunUnreadable, match="line 1"):
        replayed(folder)


def test_a_recording_cut_off_is_played_and_said_so(tmp_path, caplog):
    folder = record(tmp_path / "run", [a_frame(0), a_frame(1)])
    *lines, _ = (folder / MANIFEST).read_bytes().splitlines(keepends=True)
    (folder / MANIFEST).write_bytes(b"".join(lines)[:-9])
    with caplog.at_level(logging.WARNING):
        assert len(replayed(folder)) == 1
    assert "cut off" in caplog.text


@st.composite
def runs(draw):
    """Frames as any camera may give them: grey or colour, with holes, with whatever it said of them."""
    sequences = draw(st.lists(st.integers(0, 2**63), min_size=1, max_size=4, unique=True).map(sorted))
    numbers = st.integers(-(2**63), 2**64) | st.floats()
    return [
        Frame(
            pixels=draw(
                arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24)))
                | arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24), st.just(3)))
            ),
            camera=draw(st.text(max_size=5)),
            sequence=sequence,
            captured_at=draw(st.datetimes(timezones=st.just(UTC))),
            device_time_ns=draw(st.none() | st.integers(0, 2**64)),
            y_origin_mm=draw(st.floats(allow_nan=False, allow_infinity=False)),
            trigger=draw(st.none() | st.integers(0, 2**63)),
            chunks=draw(st.dictionaries(st.text(max_size=5), numbers, max_size=3)),
        )
        for sequence in sequences
    ]


def facts(frame):
    """All but pixels and name, so that a number that is none equals itself."""
    said = [(name, type(value), repr(value)) for name, value in sorted(frame.chunks.items())]
    placed = (frame.sequence, frame.captured_at, repr(frame.y_origin_mm), frame.trigger)
    return (*placed, frame.device_time_ns, said)


@settings(max_examples=50, deadline=None)
@given(runs())
@example([a_frame(0, y_origin_mm=-1.7e308), a_frame(1, y_origin_mm=1.7e308)])
@example([a_frame(0, y_origin_mm=-0.0)])
def test_whatever_was_recorded_comes_back_bit_for_bit(tmp_path_factory, frames):
    back = replayed(record(tmp_path_factory.mktemp("law") / "run", frames))
    assert [facts(frame) for frame in back] == [facts(frame) for frame in frames]
    for frame, recorded in zip(back, frames, strict=True):
        assert frame.pixels.dtype == np.uint8
        assert np.array_equal(frame.pixels, recorded.pixels)


def test_played_again_no_frame_says_what_the_device_said_of_another(tmp_path):
    frames = [a_frame(n, chunks={"FrameID": n}) for n in range(2)]
    back = replayed(record(tmp_path / "run", frames), repeat=True, count=4)
    assert [dict(frame.chunks) for frame in back] == [{"FrameID": 0}, {"FrameID": 1}, {}, {}]
