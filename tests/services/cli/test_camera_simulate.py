import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.cameras.gige_client import PATIENCE_S, Client, a_free_address, a_scene, take
from tests.where import REPOSITORY


@contextmanager
def simulate(*words, language="en"):
    """`lynceus camera simulate`, on; killed if it does not end."""
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("lynceus")), "camera", "simulate", *words],
        env={**os.environ, "LYNCEUS_LANGUAGE": language, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def refused(*words):
    with simulate(*words) as process:
        _, said = process.communicate(timeout=PATIENCE_S)
    return process.returncode, said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_when_it_is_on_and_ends_when_asked(number):
    address = a_free_address()
    with simulate("--address", address, "--serial", "S-17") as process:
        assert process.stdout.readline() == (
            f"Camera S-17 is on at {address}, showing strip. Ctrl-C switches it off.\n"
        )
        process.send_signal(number)
        said, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, "")
    assert said == "Pictures: 0, sent: 0. Triggers: 0, missed: 0.\n"


def test_it_speaks_the_users_language():
    with simulate("--address", a_free_address(), language="zh") as process:
        assert "已在" in process.stdout.readline()


def test_it_shows_a_folder_and_writes_down_what_is_true(tmp_path):
    folder, truth = tmp_path / "pictures", tmp_path / "truth.jsonl"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.full((48, 64), 77, np.uint8))
    address = a_free_address()
    words = ("--show", str(folder), "--truth", str(truth), "--faults", "lost@1", "--frames-per-s", "50")
    with simulate("--address", address, *words) as process:
        process.stdout.readline()
        with Client(address, scene=a_scene()) as client:
            client.start()
            blocks = take(client, whole=2)
            client.must_write("AcquisitionStop")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert blocks[1].payload == bytes([77]) * 64 * 48
    assert not blocks[2].is_whole
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    assert [line["fault"] for line in lines[:3]] == [None, "lost", None]
    assert lines[0]["file"] == "a.png"


@pytest.mark.parametrize(
    ("words", "wh_px"),
    [
        (("--size", "128x96"), (128, 96)),
        (("--size", "128x128", "--show", "parts", "--prepared", "2"), (128, 128)),
    ],
)
def test_what_is_drawn_has_the_size_that_was_asked_for(words, wh_px):
    address = a_free_address()
    with simulate("--address", address, "--frames-per-s", "20", *words) as process:
        process.stdout.readline()
        with Client(address, scene=a_scene(*wh_px)) as client:
            assert (client.read("Width"), client.read("Height")) == wh_px
            client.start()
            blocks = take(client, whole=3)
    payloads = [blocks[block_id].payload for block_id in (1, 2, 3)]
    assert all(len(payload) == wh_px[0] * wh_px[1] for payload in payloads)
    assert payloads[0] != payloads[1]
    if "--prepared" in words:
        assert payloads[0] == payloads[2]


@pytest.mark.parametrize("size", ["64", "64x", "x64", "63x64", "66x64", "16388x64", "64x8", "-64x64", "64x²"])
def test_a_size_that_cannot_be_drawn_is_refused_with_those_that_can(size):
    status, said = refused("--size", size)
    assert status == 2
    assert "2048x1024" in said


@pytest.mark.parametrize("show", ["parts", "."])
def test_a_part_lies_in_a_square_and_a_folder_has_its_own_size(show):
    assert refused("--size", "128x64", "--show", show)[0] == 2


def test_faults_that_are_not_understood_are_refused_with_the_kinds_there_are():
    status, said = refused("--address", a_free_address(), "--faults", "lots=1")
    assert status == 1
    assert "CAM-FAULTS-UNREADABLE" in said
    assert "reordered" in said


def test_an_address_of_another_computer_is_refused_with_what_to_do():
    status, said = refused("--address", "192.0.2.77")
    assert status == 1
    assert "CAM-ADDRESS-UNUSABLE" in said
    assert "127.0.0.2" in said


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    status, said = refused("--show", str(tmp_path / "missing"))
    assert status == 1
    assert "CAM-RUN-UNREADABLE" in said


def test_a_file_of_truth_that_cannot_be_written_is_refused(tmp_path):
    status, said = refused("--address", a_free_address(), "--truth", str(tmp_path / "missing" / "truth"))
    assert status == 1
    assert "missing" in said
