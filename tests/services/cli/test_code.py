from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from services.cli.code import code
from tests.builders import an_inspection
from tests.where import shared
from traceability.errors import BlockMissing, CodeRetired, HandlePrefixesInvalid, UnitUnknown
from traceability.identifiers import parse
from traceability.store import TraceStore


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'lynceus.db'}"


def asked(*arguments: str, language: str = "en", given: str | None = None) -> Result:
    environment = {"LYNCEUS_LANGUAGE": language, "COLUMNS": "110"}
    result = CliRunner(env=environment).invoke(code, arguments, input=given, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result


def test_a_code_is_taken_apart_in_the_readers_language():
    told = asked("parse", "86.100.12/0012", language="zh")
    assert told.return_value == 0
    for word in ("✔ 86.100.12/0012", "工业互联网标识", "行业", "100", "企业"):
        assert word in told.output


def test_the_plant_says_under_which_prefixes_codes_name_an_enterprise(monkeypatch, database: str):
    assert "enterprise" in asked("parse", "86.100.12/x").stdout.lower()
    monkeypatch.setenv("LYNCEUS_HANDLE_PREFIXES", "10")
    assert "enterprise" not in asked("parse", "86.100.12/x").stdout.lower()
    assert "enterprise" in asked("parse", "10.100.12/x").stdout.lower()
    reserved = asked("reserve", "10.100/COIL-", "--count", "3", "--database", database)
    assert "10.100/COIL-: " in reserved.stderr
    assert json.loads(reserved.stdout)["prefix"] == "10.100/COIL-"
    assert asked("mint", "10.100/COIL-", "--database", database).stdout == "10.100/COIL-00000001\n"


def test_a_wrong_list_of_prefixes_is_told(monkeypatch):
    monkeypatch.setenv("LYNCEUS_HANDLE_PREFIXES", "86;88")
    with pytest.raises(HandlePrefixesInvalid):
        asked("parse", "86.100.12/x")


def test_a_wrong_code_is_told_with_every_place_and_what_should_stand_there():
    told = asked("parse", "(01)09520123456789(17)261331")
    assert told.return_value == 2
    assert "Character 18: The check digit is wrong" in told.output
    assert "Expected: 8" in told.output
    assert "Character 25: There is no such month." in told.output


def test_programs_get_the_same_as_json():
    told = asked("parse", "--json", "9520123456788", "--scheme", "gs1")
    assert json.loads(told.output) == {
        "text": "9520123456788",
        "scheme": "gs1",
        "code": "(01)09520123456788",
        "faults": [],
        "notes": [],
        "parts": {"(01) GTIN": "09520123456788"},
    }
    refused = json.loads(asked("parse", "--json", "1.2.156.01").output)
    assert refused["faults"] == [{"position": 9, "reason": "leading_zero", "expected": "1-9"}]
    assert (
        json.loads(asked("parse", "--json", "--lenient", "1.2.156.01").output)["code"] == "urn:oid:1.2.156.1"
    )


def test_a_station_issues_from_the_block_that_the_plant_reserved(tmp_path: Path, database: str):
    plant = f"sqlite:///{tmp_path / 'plant.db'}"
    block = asked(
        "reserve",
        "86.100.12/COIL-",
        "--count",
        "2",
        "--digits",
        "4",
        "--for",
        "slitter-2",
        "--database",
        plant,
    ).output
    told = asked("adopt", "-", "--database", database, given=block).output
    assert "2 codes can be issued here" in told
    issued = asked("mint", "86.100.12/COIL-", "--count", "2", "--database", database).output
    assert issued.split() == ["86.100.12/COIL-0001", "86.100.12/COIL-0002"]
    with pytest.raises(BlockMissing):
        asked("mint", "86.100.12/COIL-", "--database", database)
    with pytest.raises(BlockMissing):
        asked("mint", "86.100.12/COIL-", "--database", plant)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"id": 5}', "not json"])
def test_a_file_that_is_no_block_is_refused(database: str, text: str):
    with pytest.raises(Exception, match="no block that was reserved"):
        asked("adopt", "-", "--database", database, given=text)


def test_codes_are_bound_shown_and_retired(database: str):
    with TraceStore.open(database) as store:
        store.record([an_inspection(unit=parse("C-17"))])
    at = ("--database", database)
    assert "from now on" in asked("bind", "(01)09520123456788(21)A", "C-17", "--reason", "marked", *at).output
    assert "already" in asked("bind", "(01)09520123456788(21)A", "C-17", *at).output
    asked("retire", "C-17", "--reason", "relabelled", *at)
    shown = json.loads(asked("show", "C-17", "--json", *at).output)
    assert shown["key"] == "(01)09520123456788(21)A"
    assert [(one["code"], one["retired"]) for one in shown["codes"]] == [
        ("C-17", True),
        ("(01)09520123456788(21)A", False),
    ]
    assert [one["kind"] for one in shown["events"]] == ["bound", "retired"]
    with pytest.raises(CodeRetired):
        asked("bind", "C-18", "C-17", *at)
    assert "in use again" in asked("retire", "C-17", "--undo", "--reason", "mistake", *at).output
    told = asked("show", "C-17", *at, language="zh").output
    for word in ("主编码", "厂内编号", "恢复", "relabelled"):
        assert word in told


def test_a_unit_is_registered_once(database: str):
    assert "is registered" in asked("register", "C-18", "--database", database).output
    assert "known already" in asked("register", "C-18", "--database", database).output


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_label_is_written(tmp_path: Path, ending: str):
    file = tmp_path / f"label.{ending}"
    assert "mm" in asked("print", "86.100.12/0012", str(file)).output
    assert file.read_bytes()[:4] in (b"\x89PNG", b"<svg", b"%PDF")


def test_a_printed_label_is_read_from_its_picture(tmp_path: Path):
    file = tmp_path / "label.png"
    asked("print", "(01)09520123456788(21)A", str(file), "--kind", "qr")
    told = asked("read", str(file), "--json")
    assert json.loads(told.output)["codes"][0]["code"] == "(01)09520123456788(21)A"


def test_a_label_of_another_format_is_refused(tmp_path: Path):
    with pytest.raises(Exception, match=r"\.png, \.svg, \.pdf"):
        asked("print", "C-17", str(tmp_path / "label.doc"))


def test_a_picture_without_a_code_is_said_so():
    picture = next(shared("data", "neu_det").rglob("*.jpg"))
    told = asked("read", str(picture))
    assert told.return_value == 1
    assert "no code could be read" in told.output


def test_a_link_is_registered_resolved_and_voided(database: str):
    at = ("--database", database)
    item = "(01)09520123456788"
    asked("link", item, "gs1:pip", "https://maker.example/p", "--title", "Product", "--default", *at)
    told = json.loads(asked("resolve", "(01)09520123456788(21)A", *at).output)
    assert told["linkset"][0]["https://ref.gs1.org/voc/pip"] == [
        {"href": "https://maker.example/p", "title": "Product"}
    ]
    assert "1 link" in asked("link", item, "gs1:pip", "https://maker.example/p", "--void", *at).output
    with pytest.raises(UnitUnknown):
        asked("resolve", item, *at)
