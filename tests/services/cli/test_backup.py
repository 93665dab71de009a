"""The drill of docs/database.md, by command: back up, look at it, restore elsewhere, verify."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from inspection.types import Verdict
from services.cli.backup import backup
from services.cli.ledger import ledger
from tests.builders import a_picture, an_inspection
from tests.databases import ENGINES, a_database
from traceability import tables
from traceability.errors import BackupRefused
from traceability.images import ImageStore
from traceability.store import TraceStore


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with a_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def plant(database_url: str, tmp_path: Path) -> list[str]:
    """Options that name a plant's database, pictures and ledger, in which one inspection is under a signed head."""
    sha256 = ImageStore(tmp_path / "pictures").put(b"picture")
    with TraceStore.open(database_url) as store:
        store.record([an_inspection(pictures=(a_picture(sha256=sha256),))])
    called(ledger, "head", "--database", database_url, "--ledger", str(tmp_path / "ledger"))
    return places(database_url, tmp_path)


def places(url: str, folder: Path) -> list[str]:
    pictures, heads = str(folder / "pictures"), str(folder / "ledger")
    return ["--database", url, "--pictures", pictures, "--ledger", heads]


def called(command, *arguments: str, language: str = "en") -> Result:
    result = CliRunner(env={"LYNCEUS_LANGUAGE": language}).invoke(command, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize("into", ENGINES)
def test_the_drill_brings_all_of_it_back_on_either_engine_and_says_so(plant, into, tmp_path):
    kept, other = tmp_path / "kept", tmp_path / "other"
    other.mkdir()
    assert "1 pictures" in called(backup, "make", str(kept), *plant).output
    assert "is as it was made" in called(backup, "check", str(kept)).output
    assert "与制作时一致" in called(backup, "check", str(kept), language="zh").output
    with a_database(into, other) as url:
        restored = called(backup, "restore", str(kept), *places(url, other))
        assert "All is as it was kept" in restored.output
        assert restored.exit_code == 0
        again = called(ledger, "verify", *places(url, other))
        assert (again.exit_code, "1 records, 1 pictures, 1 kept heads" in again.output) == (0, True)
        # A drill is done twice: what is there is not written over.
        with pytest.raises(BackupRefused, match="has rows already"):
            called(backup, "restore", str(kept), *places(url, other))


def test_a_backup_of_a_database_that_was_tampered_with_is_restored_and_ends_with_1(
    plant, database_url, tmp_path
):
    with TraceStore.open(database_url) as store, store.writing() as connection:
        connection.execute(update(tables.inspection).values(verdict=Verdict.REVIEW))
    called(backup, "make", str(tmp_path / "kept"), *plant)
    other = tmp_path / "other"
    told = called(
        backup, "restore", str(tmp_path / "kept"), *places(f"sqlite:///{other / 'lynceus.db'}", other)
    )
    assert told.exit_code == 1
    assert "Altered: inspection" in told.output


def test_an_older_backup_beside_newer_heads_is_missing_what_came_since(plant, database_url, tmp_path):
    """The disk broke, the ledger's folder did not: its heads know of a record that the backup has not."""
    called(backup, "make", str(tmp_path / "kept"), *plant)
    with TraceStore.open(database_url) as store:
        store.record([an_inspection()])
    called(ledger, "head", *plant[:2], *plant[4:])
    rescued = f"sqlite:///{tmp_path / 'rescued.db'}"
    told = called(backup, "restore", str(tmp_path / "kept"), "--database", rescued, *plant[2:])
    assert told.exit_code == 1
    assert "2 records" in told.output


def test_a_backup_whose_rows_were_altered_is_refused_before_anything_is_written(plant, tmp_path):
    called(backup, "make", str(tmp_path / "kept"), *plant)
    (file,) = (tmp_path / "kept").glob("*/inspection.jsonl.gz")
    said = gzip.decompress(file.read_bytes())
    altered = said.replace(b'"ACCEPT"', b'"REJECT"')
    assert altered != said
    file.write_bytes(gzip.compress(altered))
    other = tmp_path / "other"
    for command in (
        ("check", str(tmp_path / "kept")),
        ("restore", str(tmp_path / "kept"), *places(f"sqlite:///{other / 'lynceus.db'}", other)),
    ):
        with pytest.raises(BackupRefused, match=r"inspection\.jsonl\.gz was altered"):
            called(backup, *command)
