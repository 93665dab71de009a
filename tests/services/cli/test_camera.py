import json

import cv2
import pytest
from click.testing import CliRunner

pytest.importorskip("harvesters", reason='pip install "lynceus[gige]"')

from cameras.errors import CameraNotFound, ProducerMissing
from services.cli.camera import camera


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LYNCEUS_LANGUAGE", "en")
    return lambda *arguments: CliRunner().invoke(camera, arguments)


def test_list_shows_each_camera_with_its_serial_number(run):
    listed = run("list")
    assert listed.exit_code == 0
    assert "Serial number" in listed.output
    assert "VikyTL_DEV_green" in listed.output


def test_list_gives_programs_json(run):
    listed = run("list", "--json")
    assert [device["serial"] for device in json.loads(listed.output)] == ["0", "1", "2"]


def test_list_speaks_the_users_language(run, monkeypatch):
    monkeypatch.setenv("LYNCEUS_LANGUAGE", "zh")
    assert "序列号" in run("list").output


def test_snap_saves_a_picture_and_says_where(run, tmp_path):
    taken = run("snap")
    assert taken.exit_code == 0
    assert "snap.png" in taken.output
    assert cv2.imread(str(tmp_path / "snap.png")).shape == (400, 400, 3)


def test_snap_gives_programs_json(run, tmp_path):
    taken = run("snap", "--serial", "2", "--out", str(tmp_path / "two.png"), "--json")
    told = json.loads(taken.output)
    assert (told["serial"], told["width_px"], told["height_px"]) == ("2", 400, 400)
    assert cv2.imread(told["file"]).shape == (400, 400, 3)


def test_a_camera_that_is_not_there_is_an_error_and_saves_nothing(run, tmp_path):
    assert isinstance(run("snap", "--serial", "4711").exception, CameraNotFound)
    assert list(tmp_path.iterdir()) == []


def test_a_producer_that_is_not_there_is_an_error(run):
    assert isinstance(run("list", "--producer", "vendor.cti").exception, ProducerMissing)


@pytest.mark.parametrize(
    ("language", "words", "wrong"),
    [
        ("en", ("02:4c:7f:00:00", "192.168.10.7"), "02:4c:7f:00:00 is no address."),
        ("en", ("02:4c:7f:00:00:01", "192.168.10"), "192.168.10 is no address."),
        ("zh", ("02:4c:7f:00:00:zz", "192.168.10.7"), "02:4c:7f:00:00:zz 不是地址。"),
        ("zh", ("02:4c:7f:00:00:01", "192.168.10.7", "--mask", "24"), "24 不是地址。"),
        ("zh", ("02:4c:7f:00:00:01", "192.168.10.7", "--gateway", "router"), "router 不是地址。"),
    ],
)
def test_what_is_no_address_is_a_wrong_call_said_in_the_users_language(
    run, monkeypatch, language, words, wrong
):
    monkeypatch.setenv("LYNCEUS_LANGUAGE", language)
    refused = run("force-ip", *words)
    assert refused.exit_code == 2
    assert wrong in refused.output
    assert "xpected" not in refused.output, "Python's own words"


@pytest.mark.parametrize("out", ["picture.jpg", "nowhere/picture.png"])
def test_a_place_where_no_picture_can_go_is_a_wrong_call(run, out):
    refused = run("snap", "--out", out)
    assert refused.exit_code == 2
    assert out.split("/")[0] in refused.output
