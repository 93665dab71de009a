import gzip
import json
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Table, insert, select
from uuid_utils.compat import uuid7

from tests.builders import NOON, a_defect, a_unit, an_inspection
from tests.databases import ENGINES, a_database
from traceability import backup, tables
from traceability.codes import CodeRegister
from traceability.errors import BackupRefused, DatabaseNewer
from traceability.genealogy.cuts import Link, LinkKind
from traceability.genealogy.recording import record
from traceability.images import ImageStore
from traceability.merkle import Sealer, read_heads
from traceability.store import TraceStore
from traceability.verification import verify

ANSWER = {
    "person_id": UUID(int=1),
    "key": "once",
    "request_sha256": "ab" * 32,
    "asked_at": NOON,
    "status": 200,
    "body": b"\x00\xffan answer, as bytes",
}


@pytest.fixture
def plant(database_url: str, tmp_path: Path):
    """A database with records, codes, links, a picture and a signed head; the folder around it."""
    images = ImageStore(tmp_path / "pictures")
    with TraceStore.open(database_url) as store:
        shown = an_inspection(unit=a_unit("86.1/COIL"), defects=(a_defect(),))
        store.record([shown, an_inspection(unit=a_unit("86.1/STRIP"))])
        images.put(b"\x89PNG a picture")
        parent, child = a_unit("86.1/COIL"), a_unit("86.1/STRIP")
        record(store, units=[], links=[Link(id=uuid7(), parent=parent, child=child, kind=LinkKind.SLIT)])
        CodeRegister(store).bind(a_unit("86.1/OTHER"), parent, reason="laser")
        with store.writing() as connection:
            connection.execute(insert(tables.kept_answer), ANSWER)
        with store.reading() as connection:
            Sealer(tmp_path / "ledger").seal(connection)
    return database_url


def rows_of(store: TraceStore, table: Table) -> list[dict[str, object]]:
    with store.reading() as connection:
        rows = connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
        return [dict(row) for row in rows]


def made(url: str, tmp_path: Path) -> Path:
    backup.make(
        url,
        tmp_path / "kept",
        images=ImageStore(tmp_path / "pictures"),
        heads=tmp_path / "ledger/heads.jsonl",
    )
    return backup.latest(tmp_path / "kept")


@pytest.mark.parametrize("into", ENGINES)
def test_what_was_backed_up_is_there_again_and_proven_on_either_engine(plant, into, tmp_path):
    place = made(plant, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with a_database(into, other) as url:
        backup.restore(place, url, images=ImageStore(other / "pictures"), heads=other / "ledger/heads.jsonl")
        with TraceStore.open(plant) as before, TraceStore.open(url) as after:
            assert after.latest() == before.latest()
            code = a_unit("86.1/OTHER")
            assert CodeRegister(after).of(code) == CodeRegister(before).of(code)
            heads = read_heads(other / "ledger/heads.jsonl")
            found = verify(after, heads=heads, images=ImageStore(other / "pictures"))
            assert heads
            assert found.findings == ()
            assert rows_of(after, tables.kept_answer) == rows_of(before, tables.kept_answer) == [ANSWER]
            # What counts by itself goes on behind what is there.
            there = [row["id"] for row in rows_of(after, tables.identifier)]
            after.record([an_inspection(unit=a_unit("86.1/NEXT"))])
            assert [row["id"] for row in rows_of(after, tables.identifier)] == [*there, max(there) + 1]


def test_a_database_with_records_is_not_written_over(plant, tmp_path):
    with pytest.raises(BackupRefused, match="has rows already"):
        backup.restore(made(plant, tmp_path), plant, images=ImageStore(tmp_path / "p"), heads=tmp_path / "h")


def test_a_backup_that_was_altered_is_refused(plant, tmp_path):
    place = made(plant, tmp_path)
    file = place / "inspection.jsonl.gz"
    changed = gzip.decompress(file.read_bytes()).replace(b"ACCEPT", b"REJECT")
    file.write_bytes(gzip.compress(changed))
    with pytest.raises(BackupRefused, match=r"inspection\.jsonl\.gz was altered"):
        backup.check(place)


def test_a_picture_that_was_altered_in_the_backup_is_named(plant, tmp_path):
    place = made(plant, tmp_path)
    (picture,) = (tmp_path / "kept" / "pictures").glob("*/*")
    picture.write_bytes(b"another")
    with pytest.raises(BackupRefused, match=picture.name):
        backup.check(place)


def test_a_backup_of_a_later_version_is_left_alone(plant, tmp_path):
    place = made(plant, tmp_path)
    manifest = json.loads((place / backup.MANIFEST).read_text())
    (place / backup.MANIFEST).write_text(json.dumps(manifest | {"revision": "9999"}))
    with pytest.raises(DatabaseNewer):
        backup.restore(
            place, f"sqlite:///{tmp_path / 'new.db'}", images=ImageStore(tmp_path / "p"), heads=tmp_path / "h"
        )


def test_a_folder_without_a_backup_is_told(tmp_path):
    with pytest.raises(BackupRefused, match="no backup"):
        backup.latest(tmp_path)
