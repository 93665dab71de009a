import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from rich.console import Console

pytest.importorskip("harvesters", reason='pip install "lynceus[gige]"')

from cameras.doctor import judging
from cameras.doctor.facts import Unseen
from cameras.doctor.judging import Severity, judge
from services.cli.camera import camera
from services.cli.camera_doctor import UNREACHABLE, show, status_of
from services.doctor_texts import mend, said
from services.text import LANGUAGES, catalogue
from tests.cameras.doctor.test_judging import CASES, FACTS, all_facts, of_camera
from tests.gige import a_network_of_its_own, built_producer
from tests.promises.test_cameras import our_device

CODES = set(re.findall(r'"([a-z]+(?:-[a-z]+)*)"', Path(judging.__file__).read_text(encoding="utf-8")))


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("LYNCEUS_LANGUAGE", "en")
    built_producer()
    return lambda *arguments: CliRunner().invoke(camera, ["doctor", *arguments], standalone_mode=False)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("facts", [facts for facts, _ in CASES.values()], ids=CASES.keys())
def test_every_finding_has_its_words_and_what_is_wrong_has_a_line_that_mends_it(facts, language):
    for finding in judge(facts):
        assert said(finding, language)
        is_to_be_mended = finding.severity in (Severity.NOTE, Severity.WRONG)
        assert (mend(finding, language) is not None) == is_to_be_mended


@given(all_facts)
def test_whatever_was_seen_it_can_be_said(facts):
    for finding in judge(facts):
        for language in LANGUAGES:
            assert "{" not in said(finding, language)
            if finding.severity in (Severity.NOTE, Severity.WRONG):
                assert mend(finding, language)


def test_the_doctor_has_no_words_it_never_says():
    named = {key.split(".")[1] for key in catalogue("en") if re.fullmatch(r"doctor\.[^.]+\.name", key)}
    assert named <= CODES
    assert named >= UNREACHABLE


def test_the_status_tells_wrong_from_unreachable():
    assert status_of(judge(FACTS)) == 0
    assert status_of(judge(CASES["a slow link"][0])) == 1
    assert status_of(judge(CASES["a camera in use"][0])) == 0
    assert status_of(judge(CASES["no camera at all"][0])) == 3
    assert status_of(judge(replace(FACTS, producer=replace(FACTS.producer, is_there=False)))) == 3


def test_a_camera_that_works_is_said_to_in_lines_the_worst_first(run):
    with our_device():
        # Without pictures: how many come through depends on how busy this machine is.
        examined = run("--seconds", "0")
    assert examined.return_value == 0
    lines = examined.stdout.splitlines()
    assert any("LYN2" in line and line.endswith("[opens]") and line.startswith("✓") for line in lines)
    signs = [line[0] for line in lines if line[0] in "✗?!✓"]
    assert signs == sorted(signs, key="✗?!✓".index)
    assert lines[-1].startswith("Wrong: 0.")


def test_what_one_reason_hid_of_a_camera_is_one_line():
    taken = of_camera(privilege="control", test_packets=Unseen("taken"), opened=Unseen("taken"))
    told = StringIO()
    show(judge(taken), Console(file=told, width=500), "en")
    (line,) = [
        line for line in told.getvalue().splitlines() if "another program controls the camera," in line
    ]
    assert line.startswith(
        "? A  Stream channel (firewall), Opening the camera, Pictures, Pixel format, Exposure"
    )


def test_programs_get_one_document(run):
    with our_device():
        examined = run("--seconds", "0", "--json", "--serial", "LYN2")
    told = {finding["code"]: finding for finding in json.loads(examined.stdout)["findings"]}
    assert told["packet-size"]["about"] == "LYN2"
    assert told["packet-size"]["facts"]["size"] == 1400
    assert told["packet-size"]["severity"] == "ok"
    assert told["packet-size"]["mend"] is None
    assert told["frames"]["severity"] == "unseen"


def test_no_camera_is_a_status_of_its_own_and_the_user_is_told_in_his_language(run, monkeypatch):
    monkeypatch.setenv("LYNCEUS_LANGUAGE", "zh")
    with a_network_of_its_own():
        examined = run("--producer", "no-such-file.cti")
    assert examined.return_value == 3
    assert "文件不存在" in examined.stdout
    assert "有误 2 项" in examined.stdout
