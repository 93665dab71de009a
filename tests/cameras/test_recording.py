import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.errors import RunUnreadable
from cameras.recording import MANIFEST, Recorder, pictures_in, read_run
from tests.cameras.recorded import a_frame, record


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
    for cut in range(1, len(whole.splitlines()[-1]) + 1):
        (folder / MANIFEST).write_bytes(whole[:-cut])
        run = read_run(folder)
        assert [frame.sequence for frame in run.frames] == [0]
        # Exactly at a line end nothing shows that there was to be more.
        assert run.is_cut_off == (whole[-cut - 1 : -cut] != b"\n")


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
        (['{"lynceus_run": 2}'], "line 1"),
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
    with pytest.raises(FileExistsError), Recorder(tmp_path / "run"):
        pass


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
