from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from tests.builders import NOON, a_unit, an_inspection
from tests.databases import a_database
from tests.where import REPOSITORY
from traceability import tables
from traceability.database import open_engine, ours, reading, writing
from traceability.errors import DatabaseNewer, DatabaseReadOnly, DatabaseUnreachable, DiskFull
from traceability.store import TraceStore

# As the tests come to their tables, and as the program does it.
AS_MADE = pytest.mark.parametrize(
    "revision", ["head", ScriptDirectory(str(REPOSITORY / "traceability" / "migrations")).get_current_head()]
)


@AS_MADE
def test_the_migrations_make_the_tables_that_the_program_expects(database_url: str, revision: str):
    engine = open_engine(database_url, revision=revision)
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
    engine.dispose()


@AS_MADE
def test_the_migrations_make_every_index_under_its_name(database_url: str, revision: str):
    engine = open_engine(database_url, revision=revision)
    with reading(engine) as connection:
        found = inspect(connection)
        for table in tables.metadata.sorted_tables:
            # PostgreSQL names the index of a constraint, too; those that are made by themselves may be unique.
            made = {
                index["name"]
                for index in found.get_indexes(table.name)
                if "duplicates_constraint" not in index
            }
            assert made == {index.name for index in table.indexes}
    engine.dispose()


def test_opening_again_keeps_what_was_recorded(database_url: str):
    given = an_inspection()
    with TraceStore.open(database_url) as store:
        store.record([given])
    with TraceStore.open(database_url) as store:
        assert store.latest() == (given,)


def _open_and_record(url: str, unit: str) -> int:
    with TraceStore.open(url) as store:
        return store.record([an_inspection(unit=a_unit(unit))])


def test_processes_that_open_a_new_database_at_once_all_find_it_ready(database_url: str):
    # Spawned, as a station's processes are: a fork would share the parent's connections.
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        units = [f"86.1/{number}" for number in range(3)]
        assert pool.starmap(_open_and_record, [(database_url, unit) for unit in units]) == [1, 1, 1]
    with TraceStore.open(database_url) as store:
        assert len(store.latest()) == 3


def test_who_reads_sees_everything_as_of_one_moment_though_others_write(database_url: str):
    with TraceStore.open(database_url) as reader, TraceStore.open(database_url) as writer:
        counted = select(func.count()).select_from(tables.inspection)
        with reader.reading() as connection:
            assert connection.execute(counted).scalar_one() == 0
            writer.record([an_inspection()])
            assert connection.execute(counted).scalar_one() == 0
        with reader.reading() as connection:
            assert connection.execute(counted).scalar_one() == 1


def test_a_connection_that_the_server_closed_is_replaced_before_it_is_used(tmp_path: Path):
    with (
        a_database("postgresql", tmp_path) as url,
        TraceStore.open(url) as store,
        TraceStore.open(url) as other,
    ):
        with store.reading() as connection:
            resting = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with other.reading() as connection:
            # Waits until it is gone, 10 s at most.
            ended = text("SELECT pg_terminate_backend(:pid, 10000)")
            assert connection.execute(ended, {"pid": resting}).scalar_one()
        with store.reading() as connection:
            assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != resting


def test_a_database_of_a_later_version_is_left_alone(database_url: str):
    engine = open_engine(database_url)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(DatabaseNewer) as refused:
        TraceStore.open(database_url)
    assert refused.value.facts["revision"] == "9999"


def test_sqlite_keeps_its_links_and_writes_ahead(tmp_path: Path):
    engine = open_engine(f"sqlite:///{tmp_path / 'lynceus.db'}")
    with reading(engine) as connection:
        pragmas = [
            connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "foreign_keys")
        ]
    engine.dispose()
    assert pragmas == ["wal", 1]


def test_the_folder_of_a_new_database_is_made(tmp_path: Path):
    with TraceStore.open(f"sqlite:///{tmp_path / 'var' / 'deep' / 'lynceus.db'}") as store:
        assert store.latest() == ()


def test_a_database_that_may_only_be_read_can_be_read(tmp_path: Path):
    file = tmp_path / "lynceus.db"
    given = an_inspection()
    with TraceStore.open(f"sqlite:///{file}") as store:
        store.record([given])
    with TraceStore.open(f"sqlite:///file:{file}?mode=ro&uri=true") as store:
        assert store.latest() == (given,)
        with pytest.raises(DatabaseReadOnly):
            store.record([an_inspection()])


def test_tables_cannot_be_made_where_nothing_may_be_written(tmp_path: Path):
    file = tmp_path / "lynceus.db"
    file.touch()
    with pytest.raises(DatabaseReadOnly):
        TraceStore.open(f"sqlite:///file:{file}?mode=ro&uri=true")


def test_a_place_where_no_folder_can_be_made_is_read_only():
    # Not even the administrator makes folders in the kernel's own tree.
    with pytest.raises(DatabaseReadOnly):
        TraceStore.open("sqlite:////sys/lynceus/lynceus.db")


def test_a_full_disk_is_told_and_what_was_recorded_stays(tmp_path: Path):
    with TraceStore.open(f"sqlite:///{tmp_path / 'lynceus.db'}") as store:
        first = an_inspection()
        store.record([first])
        with reading(store._engine) as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        with pytest.raises(DiskFull):
            store.record([an_inspection(unit=a_unit(f"86.1/{number}")) for number in range(2000)])
        assert store.latest() == (first,)


def test_a_file_that_is_no_database_is_told(tmp_path: Path):
    file = tmp_path / "lynceus.db"
    file.write_text("a letter to the plant manager, of some length, and certainly no database" * 50)
    with pytest.raises(DatabaseUnreachable, match="not a database"):
        TraceStore.open(f"sqlite:///{file}")


def test_a_path_that_leads_through_a_file_is_told(tmp_path: Path):
    (tmp_path / "var").touch()
    with pytest.raises(DatabaseUnreachable):
        TraceStore.open(f"sqlite:///{tmp_path / 'var' / 'lynceus.db'}")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://plant/lynceus", "no address"])
def test_an_address_that_names_no_database_of_ours_is_told(url: str):
    with pytest.raises(DatabaseUnreachable):
        TraceStore.open(url)


def test_a_server_that_does_not_answer_is_told_without_its_password():
    # Port 1 is reserved and closed everywhere.
    with pytest.raises(DatabaseUnreachable) as refused:
        TraceStore.open("postgresql://lynceus:secret@127.0.0.1:1/lynceus")
    assert "secret" not in str(refused.value)
    assert "secret" not in str(refused.value.facts)
    assert "127.0.0.1" in str(refused.value)


def test_a_server_that_takes_too_long_is_one_that_does_not_answer():
    psycopg = pytest.importorskip("psycopg", reason="not there: pip install 'lynceus[plant]'")
    with pytest.raises(DatabaseUnreachable), ours("plant"):
        raise DBAPIError.instance("", {}, psycopg.errors.ConnectionTimeout("timeout expired"), psycopg.Error)


def test_a_mistake_in_a_statement_is_not_called_unreachable(database_url: str):
    engine = open_engine(database_url)
    with pytest.raises(DBAPIError), reading(engine) as connection:
        connection.execute(text("SELECT nonsense"))
    engine.dispose()


def test_an_error_on_the_way_leaves_nothing_half_written(database_url: str):
    class Accident(Exception):
        pass

    engine = open_engine(database_url)

    def add_a_unit_and_have_an_accident() -> None:
        with writing(engine) as connection:
            connection.execute(tables.unit.insert(), {"id": an_inspection().id, "created_at": NOON})
            raise Accident

    with pytest.raises(Accident):
        add_a_unit_and_have_an_accident()
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(tables.unit)).scalar_one() == 0
    engine.dispose()


def test_what_refers_to_nothing_is_refused(database_url: str):
    engine = open_engine(database_url)
    with pytest.raises(IntegrityError), writing(engine) as connection:
        connection.execute(
            tables.identifier.insert(),
            {"unit_id": an_inspection().id, "scheme": "plain", "canon": "C-1"},
        )
    engine.dispose()
