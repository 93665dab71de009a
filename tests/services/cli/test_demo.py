from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli.demo import demo, remove_traces
from services.station.place import ENGINE_LOGS
from services.station.write_ahead import WriteAheadLog, logs_left
from tests.builders import an_inspection, an_inspection_begun
from traceability.merkle import Head, Sealer
from traceability.store import TraceStore


def test_cleaning_takes_away_what_the_demo_made_and_nothing_else(tmp_path):
    for name in ("lynceus.db", "lynceus.db-wal", "mine.txt"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / "pictures" / "ab").mkdir(parents=True)
    assert remove_traces(tmp_path, heads_too=True) == ["lynceus.db", "lynceus.db-wal", "pictures"]
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_cleaning_follows_no_link_out_of_the_folder(tmp_path):
    elsewhere, var = tmp_path / "elsewhere", tmp_path / "var"
    elsewhere.mkdir()
    (elsewhere / "kept.jpg").write_text("x", encoding="utf-8")
    var.mkdir()
    (var / "pictures").symlink_to(elsewhere)
    remove_traces(var, heads_too=True)
    assert (elsewhere / "kept.jpg").exists()
    assert not var.exists()


def test_cleaning_leaves_heads_that_lie_elsewhere_behind_a_link(tmp_path):
    ledger, var = tmp_path / "other-disk", tmp_path / "var"
    for folder in (ledger, var):
        folder.mkdir()
    (ledger / "heads.jsonl").touch()
    (var / "ledger").symlink_to(ledger)
    assert remove_traces(var, heads_too=True) == []
    assert (ledger / "heads.jsonl").exists()


def test_cleaning_where_nothing_is_left_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(demo, ["--clean"], standalone_mode=False)
    assert result.exception is None
    assert "–" in result.stdout


def recorded_and_signed(var: Path, database: str, *, records: int) -> Head | None:
    with TraceStore.open(database) as store:
        store.record([an_inspection() for _ in range(records)])
        with store.reading() as connection:
            return Sealer(var / "ledger").seal(connection)


@pytest.fixture
def var(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LYNCEUS_DATABASE_URL", raising=False)
    return Path("var")


def cleaned() -> None:
    assert CliRunner().invoke(demo, ["--clean"], standalone_mode=False).exception is None


def test_after_cleaning_the_ledger_begins_anew_and_is_signed_with_the_same_key(var):
    before = recorded_and_signed(var, f"sqlite:///{var}/lynceus.db", records=3)
    cleaned()
    after = recorded_and_signed(var, f"sqlite:///{var}/lynceus.db", records=1)
    assert (before["size"], after["size"]) == (3, 1)
    assert (before["key"], before["origin"] == after["origin"]) == (after["key"], False)


def test_cleaning_leaves_the_heads_of_a_database_that_is_elsewhere(var, monkeypatch, tmp_path):
    elsewhere = f"sqlite:///{tmp_path / 'plant.db'}"
    monkeypatch.setenv("LYNCEUS_DATABASE_URL", elsewhere)
    first = recorded_and_signed(var, elsewhere, records=1)
    cleaned()
    recorded_and_signed(var, elsewhere, records=1)
    assert Sealer(var / "ledger").heads()[0] == first


def test_cleaning_takes_away_what_a_demo_that_was_killed_had_yet_to_deliver_and_no_other_stations(var):
    for station in ("demo", "line-2"):
        WriteAheadLog(var / ENGINE_LOGS / station).__enter__().unit_begun(an_inspection_begun())
    cleaned()
    assert not [*logs_left(var / ENGINE_LOGS / "demo", but="")]
    assert len([*logs_left(var / ENGINE_LOGS / "line-2", but="")]) == 1
