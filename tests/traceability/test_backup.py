import errno
import gzip
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, Table, insert, select
from uuid_utils.compat import uuid7

from tests.builders import NOON, a_defect, a_picture, a_unit, an_inspection
from tests.databases import ENGINES, a_database
from traceability import backup, database, tables
from traceability.codes import CodeRegister
from traceability.errors import BackupRefused, DatabaseEmpty, DatabaseNewer, DiskFull
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


class WhileItWrites(ImageStore):
    """Pictures of a station that goes on: each time they were copied into a backup, it does something more."""

    def __init__(self, folder: Path, *goes_on: Callable[[ImageStore], object]) -> None:
        super().__init__(folder)
        self._goes_on = iter(goes_on)

    def copy_into(self, folder: Path) -> int:
        copied = super().copy_into(folder)
        next(self._goes_on, lambda _: None)(self)
        return copied


def test_a_backup_of_a_station_at_work_has_the_pictures_that_its_records_name(plant, tmp_path):
    kept, other = tmp_path / "pictures", tmp_path / "other"
    with TraceStore.open(plant) as store:

        def a_unit_more(images: ImageStore) -> None:
            shown = a_picture(sha256=images.put(b"kept since the pictures were copied"))
            store.record([an_inspection(unit=a_unit("86.1/SINCE"), pictures=(shown,))])

        images = WhileItWrites(kept, a_unit_more)
        backup.make(plant, tmp_path / "kept", images=images, heads=tmp_path / "ledger/heads.jsonl")
    place, back = backup.latest(tmp_path / "kept"), ImageStore(other / "pictures")
    url = f"sqlite:///{other / 'lynceus.db'}"
    backup.restore(place, url, images=back, heads=other / "heads.jsonl")
    with TraceStore.open(url) as after:
        assert after.inspections_of(a_unit("86.1/SINCE"))
        assert verify(after, heads=read_heads(other / "heads.jsonl"), images=back).findings == ()


def test_a_ledger_from_a_backup_of_a_station_at_work_is_signed_again(plant, tmp_path, monkeypatch):
    dumped, other = backup._dump, tmp_path / "other"

    def dump_of_a_station_at_work(engine: Engine, folder: Path) -> dict[str, object]:
        listed = dumped(engine, folder)
        with TraceStore.open(plant) as store:
            store.record([an_inspection(unit=a_unit("86.1/SINCE"))])
            with store.reading() as connection:
                Sealer(tmp_path / "ledger").seal(connection)
        return listed

    monkeypatch.setattr(backup, "_dump", dump_of_a_station_at_work)
    place, url = made(plant, tmp_path), f"sqlite:///{other / 'lynceus.db'}"
    ledger = other / "ledger"
    backup.restore(place, url, images=ImageStore(other / "pictures"), heads=ledger / "heads.jsonl")
    # The key is in no backup: it is kept apart.
    shutil.copy(tmp_path / "ledger/key.pem", ledger / "key.pem")
    with TraceStore.open(url) as after:
        assert verify(after, heads=read_heads(ledger / "heads.jsonl")).findings == ()
        after.record([an_inspection(unit=a_unit("86.1/NEXT"))])
        with after.reading() as connection:
            assert Sealer(ledger).seal(connection)


def test_a_backup_that_is_broken_off_leaves_nothing_behind(plant, tmp_path):
    def disk_fails(images: ImageStore) -> None:
        raise OSError(errno.EIO, "the disk failed")

    failing = WhileItWrites(tmp_path / "pictures", lambda _: None, disk_fails)
    with pytest.raises(BackupRefused, match="the disk failed"):
        backup.make(plant, tmp_path / "kept", images=failing, heads=tmp_path / "ledger/heads.jsonl")
    assert [one.name for one in (tmp_path / "kept").iterdir()] == ["pictures"]


def test_what_a_power_cut_left_of_a_backup_goes_with_a_later_one_and_what_is_being_written_stays(
    plant, tmp_path
):
    left, being_written = (tmp_path / "kept" / f".{uuid7().hex}" for _ in range(2))
    for folder in (left, being_written):
        folder.mkdir(parents=True)
        (folder / "unit.jsonl.gz").touch()
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(left, (two_days_ago, two_days_ago))
    place = made(plant, tmp_path)
    assert {one.name for one in (tmp_path / "kept").iterdir()} == {
        "pictures",
        place.name,
        being_written.name,
    }


def test_a_picture_of_which_a_power_cut_left_half_keeps_no_backup_from_being_used_and_goes_a_day_later(
    plant, tmp_path
):
    place, other = made(plant, tmp_path), tmp_path / "other"
    (picture,) = (tmp_path / "kept" / "pictures").glob("*/*")
    left, being_written = (picture.with_name(f".{uuid7().hex}.part") for _ in range(2))
    for file in (left, being_written):
        file.write_bytes(b"half")
    backup.check(place)
    images = ImageStore(other / "pictures")
    backup.restore(place, f"sqlite:///{other / 'lynceus.db'}", images=images, heads=other / "heads.jsonl")
    assert [*images.sizes()] == [picture.name]
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(left, (two_days_ago, two_days_ago))
    made(plant, tmp_path)
    assert {*picture.parent.iterdir()} == {picture, being_written}


def test_a_backup_of_what_is_no_database_is_refused_and_none_is_made(tmp_path):
    """As in a task of every night that begins in another folder: the backup of nothing would be the newest."""
    nowhere, empty = tmp_path / "elsewhere" / "lynceus.db", tmp_path / "empty.db"
    TraceStore.open(f"sqlite:///{empty}").close()
    for file in (nowhere, empty):
        with pytest.raises(DatabaseEmpty, match=file.name):
            made(f"sqlite:///{file}", tmp_path)
    assert not nowhere.parent.exists()
    assert not (tmp_path / "kept").exists()


class Filling(ImageStore):
    """Pictures on a disk that has no room for the next one until somebody has made some."""

    is_full = True

    def put(self, picture: bytes) -> str:
        if self.is_full:
            raise DiskFull("No room left.", action="Free space.", place="pictures")
        return super().put(picture)


@pytest.mark.parametrize("into", ENGINES)
def test_a_restore_that_a_full_disk_broke_off_is_done_again(plant, into, tmp_path):
    place, other = made(plant, tmp_path), tmp_path / "other"
    other.mkdir()
    images, heads = Filling(other / "pictures"), other / "ledger" / "heads.jsonl"
    with a_database(into, other) as url:
        with pytest.raises(DiskFull):
            backup.restore(place, url, images=images, heads=heads)
        images.is_full = False
        backup.restore(place, url, images=images, heads=heads)
        with TraceStore.open(url) as after:
            assert verify(after, heads=read_heads(heads), images=images).findings == ()
        assert read_heads(heads)


def test_no_heads_are_put_beside_a_database_that_got_no_rows(plant, tmp_path, monkeypatch):
    place, other = made(plant, tmp_path), tmp_path / "other"
    heads, load = other / "ledger" / "heads.jsonl", backup._load

    def no_room(*_: object) -> None:
        raise DiskFull("No room left.", action="Free space.", place="database")

    def restored() -> None:
        images = ImageStore(other / "pictures")
        backup.restore(place, f"sqlite:///{other / 'lynceus.db'}", images=images, heads=heads)

    monkeypatch.setattr(backup, "_load", no_room)
    with pytest.raises(DiskFull):
        restored()
    assert [*heads.parent.iterdir()] == []
    monkeypatch.setattr(backup, "_load", load)
    restored()
    assert [*heads.parent.iterdir()] == [heads]


def test_a_backup_of_an_older_version_is_refused_where_the_tables_of_this_one_are_made_already(tmp_path):
    images, url = ImageStore(tmp_path / "pictures"), f"sqlite:///{tmp_path / 'new.db'}"
    old = database.open_engine(f"sqlite:///{tmp_path / 'old.db'}", revision="0020")
    (tmp_path / "kept").mkdir()
    place = tmp_path / "kept" / "20260101-000000-000000"
    place.mkdir()
    listed = backup._dump(old, place)
    old.dispose()
    manifest = {"format": backup.FORMAT, "made_at": NOON.isoformat(), "pictures": 0, **listed}
    (place / backup.MANIFEST).write_text(json.dumps(manifest))
    TraceStore.open(url).close()
    with pytest.raises(BackupRefused, match="of tables 0020, and the database has"):
        backup.restore(place, url, images=images, heads=tmp_path / "heads.jsonl")
    # A database without tables takes it, and is brought up to date.
    fresh = f"sqlite:///{tmp_path / 'fresh.db'}"
    assert backup.restore(place, fresh, images=images, heads=tmp_path / "heads.jsonl").revision == "0020"


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


def test_a_picture_of_the_backup_that_cannot_be_read_is_named(plant, tmp_path):
    place = made(plant, tmp_path)
    (picture,) = (tmp_path / "kept" / "pictures").glob("*/*")
    picture.unlink()
    picture.mkdir()
    with pytest.raises(BackupRefused, match=f"{picture.name}: Is a directory"):
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
