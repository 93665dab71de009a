"""What is given: every picture the paths may hold has a place, with the reason where it cannot be inspected."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from cameras.recording import MANIFEST, Recorder
from inspection.types import Frame
from services.files import Given, by_view, gather
from tests.builders import NOON

PIXELS = np.zeros((20, 20), np.uint8)
HEADER = '{"lynceus_run":2,"settings":{},"device":{}}\n'


def a_picture(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(cv2.imencode(".png", PIXELS)[1].tobytes())
    return file


def a_run(folder: Path, *sequences: int, lost: int = 0, first: int | None = None) -> Path:
    with Recorder(folder) as recorder:
        for sequence in sequences:
            frame = Frame(
                pixels=PIXELS, camera="top", sequence=sequence, captured_at=NOON, first_sequence=first
            )
            recorder.write(frame)
        recorder.lost = lost
    return folder


def told(*paths: Path) -> list[tuple[str, str | None]]:
    """Names, and codes of why it cannot be inspected; "lost" for an exposure without a picture."""

    def why(one: Given) -> str | None:
        if one.failure is not None:
            return one.failure.code
        return "lost" if one.path is None else None

    return [(one.name, why(one)) for one in gather(paths)]


def test_a_link_that_leads_nowhere_has_a_place(tmp_path):
    a_picture(tmp_path / "a.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "not_mounted").symlink_to(tmp_path / "gone")
    assert told(tmp_path) == [
        (str(tmp_path / "a.png"), None),
        (str(tmp_path / "broken.png"), "SVC-FILE-UNREADABLE"),
        (str(tmp_path / "not_mounted"), "SVC-FILE-UNREADABLE"),
    ]


def test_a_linked_folder_is_followed_once_after_all_else_and_none_goes_round(tmp_path):
    elsewhere = a_picture(tmp_path / "elsewhere" / "far.png").parent
    given = a_picture(tmp_path / "given" / "b" / "near.png").parent.parent
    (given / "a_link").symlink_to(elsewhere)
    (given / "c_same").symlink_to(given / "b")
    (given / "b" / "round").symlink_to(given)
    assert told(given) == [(str(given / "b" / "near.png"), None), (str(given / "a_link" / "far.png"), None)]


def test_folders_are_searched_in_order_of_names_whatever_their_depth(tmp_path):
    for name in ("b.png", "a/z.png", "a.png", "c/d/e.png", "notes.txt"):
        a_picture(tmp_path / name)
    expected = [str(tmp_path / name) for name in ("a/z.png", "a.png", "b.png", "c/d/e.png")]
    assert [name for name, _ in told(tmp_path)] == expected


def test_a_pipe_named_like_a_picture_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert told(tmp_path) == [(str(tmp_path / "pipe.png"), "SVC-FILE-UNREADABLE")]


@pytest.fixture
def locked() -> Iterator[Path]:
    """A folder that nobody may look into, not even who runs the tests as root."""
    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)
    folder = a_picture(top / "locked" / "b.png").parent
    folder.chmod(0)
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(me)
    folder.chmod(0o700)
    shutil.rmtree(top)


def test_a_folder_that_may_not_be_looked_into_has_a_place(locked):
    assert told(locked.parent) == [(str(locked), "SVC-FILE-UNREADABLE")]
    # What cannot even be asked whether it is a folder counts as well.
    assert told(locked / "b.png") == [(str(locked / "b.png"), None)]


def test_a_recorded_run_inside_of_a_folder_counts_what_it_counts_by_itself(tmp_path):
    run = a_run(tmp_path / "runs" / "top", 1, 3)
    assert told(tmp_path / "runs") == told(run)
    assert [why for _, why in told(run)] == [None, "lost", None]


def test_frames_that_were_lost_while_recording_have_a_place_beside_the_holes(tmp_path):
    run = a_run(tmp_path / "top", 1, 3, lost=5)
    assert [(name.rpartition("#")[2], why) for name, why in told(run) if why] == [
        (str(sequence), "lost") for sequence in (2, 4, 5, 6, 7)
    ]
    # Each of these lost ones made the hole that is counted.
    assert len(told(a_run(tmp_path / "side", 1, 3, lost=1))) == 3


def test_exposures_damaged_before_the_first_whole_frame_of_a_run_have_a_place(tmp_path):
    run = a_run(tmp_path / "top", 3, 4, first=1)
    assert [(name.rpartition("#")[2], why) for name, why in told(run) if why] == [
        ("1", "lost"),
        ("2", "lost"),
    ]
    # None of them came, so none of them is among those that came and were not written.
    assert [why for _, why in told(a_run(tmp_path / "side", 3, 4, first=1, lost=2))] == [
        "lost",
        "lost",
        None,
        None,
        "lost",
        "lost",
    ]


def test_a_view_whose_first_exposure_was_damaged_pairs_with_the_others_from_its_second_on(tmp_path):
    top, side = a_run(tmp_path / "top", 2, 3, first=1), a_run(tmp_path / "side", 11, 12, 13)
    units = list(by_view(gather([top, side]), ["top", "side"]))
    assert [tuple(one.sequence for one in unit) for unit in units] == [(1, 11), (2, 12), (3, 13)]
    assert units[0][0].path is None


def test_a_run_of_which_every_frame_was_lost_is_not_empty(tmp_path):
    assert [why for _, why in told(a_run(tmp_path / "top", lost=2))] == ["lost", "lost"]


def test_the_picture_whose_line_was_cut_off_has_a_place(tmp_path):
    run = a_run(tmp_path / "top", 1, 3)
    lines = (run / MANIFEST).read_text().splitlines()
    (run / MANIFEST).write_text("\n".join(lines[:2]) + "\n" + lines[2][:40])
    assert [why for _, why in told(run)] == [None, "CAM-RUN-UNREADABLE"]
    assert told(run)[1][0] == str(run / "00000001.png")


def test_a_run_without_its_end_has_a_place_for_what_may_be_missing(tmp_path):
    run = a_run(tmp_path / "top", 1, 2)
    lines = (run / MANIFEST).read_text().splitlines()
    (run / MANIFEST).write_text("\n".join(lines[:3]) + "\n")
    assert told(run)[2] == (f"{run}#3", "CAM-RUN-UNREADABLE")


def test_a_picture_that_no_line_of_a_run_names_has_a_place(tmp_path):
    run = a_run(tmp_path / "top", 1)
    stray = a_picture(run / "stray.png")
    assert told(run)[1] == (str(stray), "CAM-RUN-UNREADABLE")


def test_an_array_that_no_line_of_a_run_names_has_a_place_and_elsewhere_it_may_be_anything(tmp_path):
    run = a_run(tmp_path / "top", 1)
    stray = run / "00000001.npy.gz"
    stray.write_bytes(b"")
    (tmp_path / "weights.npy.gz").write_bytes(b"")
    assert told(tmp_path)[1:] == [(str(stray), "CAM-RUN-UNREADABLE")]


def test_of_a_damaged_run_every_picture_has_a_place_and_the_others_are_given(tmp_path):
    run = a_run(tmp_path / "a", 1, 2)
    (run / MANIFEST).write_text(HEADER + "{\n")
    a_picture(tmp_path / "b.png")
    assert [why for _, why in told(tmp_path)] == ["CAM-RUN-UNREADABLE"] * 3 + [None]


def test_what_one_view_lost_at_its_end_pairs_with_no_other_frame_of_that_view(tmp_path):
    top, side = a_run(tmp_path / "top", 1, 2, lost=1), a_run(tmp_path / "side", 11, 12, 13)
    units = list(by_view(gather([top, side]), ["top", "side"]))
    assert [tuple(one.sequence for one in unit) for unit in units] == [(1, 11), (2, 12), (3, 13)]
    assert units[2][0].path is None
