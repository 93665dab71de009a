from click.testing import CliRunner

from services.cli.demo import demo, remove_traces


def test_cleaning_takes_away_what_the_demo_made_and_nothing_else(tmp_path):
    for name in ("lynceus.db", "lynceus.db-wal", "mine.txt"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / "pictures" / "ab").mkdir(parents=True)
    assert remove_traces(tmp_path) == ["lynceus.db", "lynceus.db-wal", "pictures"]
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_cleaning_follows_no_link_out_of_the_folder(tmp_path):
    elsewhere, var = tmp_path / "elsewhere", tmp_path / "var"
    elsewhere.mkdir()
    (elsewhere / "kept.jpg").write_text("x", encoding="utf-8")
    var.mkdir()
    (var / "pictures").symlink_to(elsewhere)
    remove_traces(var)
    assert (elsewhere / "kept.jpg").exists()
    assert not var.exists()


def test_cleaning_where_nothing_is_left_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(demo, ["--clean"], standalone_mode=False)
    assert result.exception is None
    assert "–" in result.stdout
