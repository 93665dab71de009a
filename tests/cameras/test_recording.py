import itertools
import json
import subprocess
import sys
from contextlib import suppress
from threading import Event

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.errors import CameraLost, RunUnreadable, RunUnwritable
from cameras.recording import MANIFEST, BackgroundRecorder, Recorder, pictures_in, read_run, unwritable
from tests.cameras.recorded import a_frame, record
from tests.fake_cameras import a_picture
from tests.where import REPOSITORY


def test_a_run_says_what_was_recorded(tmp_path):
    frames = [a_frame(3, y_origin_mm=12.5, trigger=7, device_time_ns=99), a_frame(5)]
    run = read_run(record(tmp_path / "run", frames))
    assert not run.is_cut_off
    assert [frame.sequence for frame in run.frames] == [3, 5]
    first = run.frames[0]
    assert (first.camera, first.y_origin_mm, first.trigger, first.device_time_ns) == ("top", 12.5, 7, 99)
    assert first.captured_at == frames[0].captured_at


def test_a_line_that_was_never_finished_is_reported_and_the_rest_holds(tmp_path):
    folder = record(tmp_path / "run", [a_frame(0), a_frame(1)])
    whole = (folder / MANIFEST).read_bytes()
    header, *frames, _ = whole.splitlines(keepends=True)
    assert not read_run(folder).is_cut_off
    for cut in range(1, len(whole) - len(header) + 1):
        (folder / MANIFEST).write_bytes(whole[:-cut])
        run = read_run(folder)
        left = len(whole) - cut - len(header)
        assert len(run.frames) == (left >= len(frames[0])) + (left >= len(frames[0]) + len(frames[1]))
        # Also at the end of a line: its own end is missing.
        assert run.is_cut_off


def test_a_run_of_the_first_version_is_still_played(tmp_path):
    (tmp_path / MANIFEST).write_text(f"{HEADER}\n{line()}\n", encoding="utf-8")
    run = read_run(tmp_path)
    assert ([frame.sequence for frame in run.frames], run.is_cut_off, run.lost) == ([1], False, None)
    assert (run.settings, run.device, run.frames[0].chunks) == ({}, {}, {})


def test_a_run_says_how_its_camera_was_set(tmp_path):
    settings = {"driver": "genicam", "producer": "lynceus", "exposure_us": 80.0}
    device = {"ExposureTime": 80.5, "PixelFormat": "Mono8", "Width": 800}
    with Recorder(tmp_path / "run", settings=settings, device=device) as recorder:
        recorder.write(a_frame(0))
        recorder.lost = 3
    run = read_run(tmp_path / "run")
    assert (run.settings, run.device, run.lost) == (settings, device, 3)


HEADER = '{"lynceus_run": 1}'
FRAME = {
    "file": "a.png",
    "camera": "top",
    "sequence": 1,
    "captured_at": "2026-11-20T08:00:00Z",
    "channels": 1,
}


def line(**changes):
    return json.dumps(FRAME | changes)


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ([], "line 1"),
        (['{"lynceus_run": 3}'], "line 1: lynceus_run"),
        (['{"lynceus_run": 1, "settings": {}}'], "line 1: settings"),
        (['{"lynceus_run": 2, "camera": "top"}'], "line 1: camera"),
        (['{"lynceus_run": 2}', '{"frames":1,"lost":0}'], "1 frames said, 0 there"),
        (['{"lynceus_run": 2}', '{"frames":0,"lost":-1}'], "line 2: lost"),
        (['{"lynceus_run": 2}', '{"frames":0,"lost":0}', '{"frames":0,"lost":0}'], "line 2"),
        (["not json"], "line 1"),
        ([HEADER, "{", line()], "line 2"),
        ([HEADER, line(), line(sequence=2, captured_at="2026-11-20T08:00:00")], "line 3: captured_at"),
        ([HEADER, line(sequence=-1)], "line 2: sequence"),
        ([HEADER, line(colour="red")], "line 2: colour"),
        ([HEADER, line(), line()], "line 3: sequence 1 after 1"),
        ([HEADER, line(file="../other/a.png")], "outside the folder"),
        ([HEADER, line(file="/etc/passwd")], "outside the folder"),
        ([HEADER, "\udcff"], "line 2"),
    ],
)
def test_a_broken_manifest_is_refused_with_the_line(tmp_path, lines, named):
    text = "".join(f"{text}\n" for text in lines)
    (tmp_path / MANIFEST).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(RunUnreadable, match=named) as broken:
        read_run(tmp_path)
    assert broken.value.facts["file"] == str(tmp_path / MANIFEST)


def test_a_link_out_of_the_folder_is_outside(tmp_path):
    (tmp_path / "secret.png").touch()
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "a.png").symlink_to(tmp_path / "secret.png")
    (folder / MANIFEST).write_text(f"{HEADER}\n{line()}\n", encoding="utf-8")
    with pytest.raises(RunUnreadable, match="outside"):
        read_run(folder)


@given(st.binary(max_size=200))
def test_whatever_a_manifest_holds_it_is_read_or_refused(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("run")
    (folder / MANIFEST).write_bytes(content)
    with suppress(RunUnreadable):
        read_run(folder)


def test_a_recorder_never_writes_over_a_recording(tmp_path):
    record(tmp_path / "run", [a_frame(0)])
    with pytest.raises(RunUnwritable, match="File exists"), Recorder(tmp_path / "run"):
        pass
    assert len(read_run(tmp_path / "run").frames) == 1


def test_what_a_full_disk_holds_can_be_played(tmp_path):
    """The kernel refuses a file beyond a size, as a full disk does: in the middle of a line, or of a picture."""
    whole = len((record(tmp_path / "whole", [a_frame(n) for n in range(4)]) / MANIFEST).read_bytes())
    for room in (whole - 10, whole - 200, 300):
        folder = tmp_path / f"room-{room}"
        code = (
            "import resource, sys; from pathlib import Path; from tests.cameras.recorded import a_frame, record;"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}));"
            f"record(Path({str(folder)!r}), [a_frame(n) for n in range(4)])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        assert "RunUnwritable" in done.stderr
        assert "File too large" in done.stderr
        run = read_run(folder)
        assert run.is_cut_off
        assert len(list(folder.glob("*.png"))) == len(run.frames) < 5
        assert [frame.sequence for frame in run.frames] == list(range(len(run.frames)))


def test_a_picture_too_large_for_the_disk_leaves_no_half_one_behind(tmp_path):
    large = a_picture(0, height=400, width=400)
    code = (
        "import resource; from pathlib import Path; from tests.fake_cameras import a_picture;"
        "from tests.cameras.recorded import a_frame, record;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
        f"record(Path({str(tmp_path / 'run')!r}), [a_frame(0), a_frame(1, pixels=a_picture(0, height=400, width=400))])"
    )
    assert large.nbytes > 50_000
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert "1 frames are in it" in done.stderr
    assert [path.name for path in (tmp_path / "run").glob("*.png")] == ["00000000.png"]
    assert len(read_run(tmp_path / "run").frames) == 1


# --- in the background ---------------------------------------------------------------------------------


class SlowDisk(Recorder):
    """Writes when it is let, and fails at the frame it is told to fail at."""

    def __init__(self, folder, *, fails_at=None):
        super().__init__(folder)
        self.goes_on = Event()
        self._fails_at = fails_at

    def write_file(self, frame, data):
        self.goes_on.wait()
        if frame.sequence == self._fails_at:
            self._failure = unwritable(
                self._folder, OSError(28, "No space left on device"), written=self.written
            )
        super().write_file(frame, data)


def test_what_comes_faster_than_it_is_written_waits_and_is_all_there(tmp_path):
    disk = SlowDisk(tmp_path / "run")
    with BackgroundRecorder(disk) as recorder:
        assert all(recorder.take(a_frame(n)) for n in range(20))
        disk.goes_on.set()
    assert (recorder.written, recorder.lost) == (20, 0)
    assert [frame.sequence for frame in read_run(tmp_path / "run").frames] == list(range(20))


def test_what_does_not_fit_into_memory_is_lost_and_every_loss_shows_as_a_hole(tmp_path):
    disk = SlowDisk(tmp_path / "run")
    frame_bytes = a_frame(0).pixels.nbytes
    with BackgroundRecorder(disk, waiting_bytes=3 * frame_bytes) as recorder:
        had_room = [recorder.take(a_frame(n)) for n in range(10)]
        disk.goes_on.set()
    assert had_room == [True] * 3 + [False] * 7
    run = read_run(tmp_path / "run")
    # The last that came is there, so that the frames before it are seen to be missing.
    assert [frame.sequence for frame in run.frames] == [0, 1, 2, 9]
    assert (recorder.lost, run.lost) == (6, 6)


def test_a_disk_that_fails_ends_the_recording_and_what_waited_is_counted(tmp_path):
    disk = SlowDisk(tmp_path / "run", fails_at=2)
    recorder = BackgroundRecorder(disk)

    def six_frames():
        with recorder:
            for n in range(6):
                recorder.take(a_frame(n))
            disk.goes_on.set()

    with pytest.raises(RunUnwritable, match="No space left"):
        six_frames()
    assert (recorder.written, recorder.lost) == (2, 4)
    run = read_run(tmp_path / "run")
    assert run.is_cut_off
    assert [frame.sequence for frame in run.frames] == [0, 1]


class NeverEncodes(Recorder):
    """Fails at the frame it is told to fail at, and not for want of a disk."""

    def write_file(self, frame, data):
        if frame.sequence == 1:
            raise MemoryError
        super().write_file(frame, data)


def test_whatever_ends_the_writing_ends_the_recording_and_what_waited_is_counted(tmp_path):
    recorder = BackgroundRecorder(NeverEncodes(tmp_path / "run"))

    def frames():
        with recorder:
            for n in range(4):
                # The writer may have ended before the last of them came.
                with suppress(RunUnwritable):
                    recorder.take(a_frame(n))

    with pytest.raises(RunUnwritable) as ended:
        frames()
    assert ended.value.facts["reason"] == "MemoryError"
    assert (recorder.written, recorder.lost) == (1, 3)
    assert read_run(tmp_path / "run").lost == 3


def test_a_device_that_counts_anew_ends_the_recording_and_what_it_holds_can_be_played(tmp_path):
    recorder = BackgroundRecorder(Recorder(tmp_path / "run"))

    def frames():
        with recorder:
            for n in (500, 501, 0, 1):
                recorder.take(a_frame(n))

    with pytest.raises(CameraLost, match="from 501 back to 0"):
        frames()
    run = read_run(tmp_path / "run")
    assert [frame.sequence for frame in run.frames] == [500, 501]
    assert (run.lost, run.is_cut_off) == (1, False)


def test_a_camera_is_told_when_the_disk_has_failed(tmp_path):
    disk = SlowDisk(tmp_path / "run", fails_at=0)
    disk.goes_on.set()

    def until_told():
        for n in itertools.count():
            recorder.take(a_frame(n))

    with pytest.raises(RunUnwritable), BackgroundRecorder(disk) as recorder:
        until_told()


def test_pictures_of_a_folder_come_by_name_and_other_files_do_not(tmp_path):
    for name in ("b.PNG", "a.jpg", "notes.txt", "c.tiff"):
        (tmp_path / name).touch()
    (tmp_path / "d.png").mkdir()
    assert [path.name for path in pictures_in(tmp_path)] == ["a.jpg", "b.PNG", "c.tiff"]


def test_a_folder_that_is_not_there_says_so(tmp_path):
    with pytest.raises(RunUnreadable, match="No such file"):
        pictures_in(tmp_path / "nowhere")


def test_grey_and_colour_are_kept_without_loss(tmp_path):
    colour = np.dstack([a_frame(0).pixels] * 3)
    run = read_run(record(tmp_path / "run", [a_frame(0), a_frame(1, pixels=colour)]))
    assert [frame.channels for frame in run.frames] == [1, 3]
