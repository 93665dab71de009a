from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from inspection.types import Verdict
from services.cli.ledger import ledger
from tests.builders import a_picture, a_unit, an_inspection
from traceability import tables
from traceability.images import ImageStore
from traceability.retention import Rules, prune
from traceability.store import TraceStore
from traceability.verifier import certificate_in, prove_certificate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A database with one inspection and its picture."""
    sha256 = ImageStore(tmp_path / "pictures").put(b"picture")
    with TraceStore.open(f"sqlite:///{tmp_path / 'lynceus.db'}") as store:
        store.record([an_inspection(pictures=(a_picture(sha256=sha256),))])
    return tmp_path


def asked(folder: Path, command: str, *arguments: str, language: str = "en") -> Result:
    places = ["--database", f"sqlite:///{folder / 'lynceus.db'}"]
    if command in ("head", "verify", "certificate"):
        places += ["--ledger", str(folder / "ledger")]
    if command == "verify":
        places += ["--pictures", str(folder / "pictures")]
    if command == "verifier":
        places = []
    result = CliRunner(env={"LYNCEUS_LANGUAGE": language}).invoke(ledger, [command, *arguments, *places])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_what_is_as_it_was_kept_is_said_so(folder: Path):
    head = json.loads(asked(folder, "head").output)
    assert head["size"] == 1
    told = asked(folder, "verify")
    assert told.exit_code == 0
    assert "1 records, 1 pictures, 1 kept heads" in told.output
    assert "All is as it was kept" in told.output
    assert "一切与入账时相符" in asked(folder, "verify", language="zh").output


def test_what_is_not_is_named_in_both_languages_and_ends_with_1(folder: Path):
    asked(folder, "head")
    with TraceStore.open(f"sqlite:///{folder / 'lynceus.db'}") as store, store.writing() as connection:
        connection.execute(update(tables.inspection).values(verdict=Verdict.REVIEW))
    told = asked(folder, "verify")
    assert told.exit_code == 1
    assert "Altered: inspection" in told.output
    assert str(a_unit()) in told.output
    assert "被篡改" in asked(folder, "verify", language="zh").output
    found = json.loads(asked(folder, "verify", "--json").stdout)["findings"]
    assert [one["what"] for one in found] == ["record_altered"]


def test_without_a_kept_head_it_is_said_what_cannot_be_told(folder: Path):
    assert "No head was kept" in asked(folder, "verify").output


@pytest.mark.parametrize("pdf", [(), ("--pdf",)])
def test_a_certificate_is_written_and_proves(folder: Path, pdf: tuple[str, ...]):
    file = folder / "certificate"
    asked(folder, "certificate", str(a_unit()), "--out", str(file), *pdf)
    certificate = certificate_in(file.read_bytes())
    assert prove_certificate(certificate, bytes.fromhex(certificate["head"]["key"]))


def test_the_verifier_is_written_whole(folder: Path):
    compile(asked(folder, "verifier").output, "verifier.py", "exec")


def test_a_name_nobody_has_cannot_be_erased(folder: Path):
    assert asked(folder, "erase", "Li Wei").exit_code == 1


def test_a_ledger_may_begin_with_sm3(tmp_path: Path):
    asked(tmp_path, "begin", "--hash", "sm3")
    with TraceStore.open(f"sqlite:///{tmp_path / 'lynceus.db'}") as store:
        store.record([an_inspection()])
    assert json.loads(asked(tmp_path, "head").output)["algorithm"] == "sm3"


def test_pictures_that_a_rule_gave_up_are_no_finding_and_are_told_with_rule_and_day(folder: Path):
    with TraceStore.open(f"sqlite:///{folder / 'lynceus.db'}") as store:
        at = datetime(2026, 11, 23, 9, tzinfo=UTC)
        prune(store, ImageStore(folder / "pictures"), Rules(max_bytes=0), at=at)
    told = asked(folder, "verify")
    assert told.exit_code == 0
    assert "1 pictures given up on 2026-11-23 by the rule “no room left" in told.output
    assert json.loads(asked(folder, "verify", "--json").output)["given_up"] == [
        {"rule": "room", "day": "2026-11-23", "pictures": 1}
    ]
