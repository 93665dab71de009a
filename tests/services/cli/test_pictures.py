import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from inspection.types import Verdict
from services.cli.pictures import pictures
from station_config.errors import ConfigInvalid
from tests.builders import a_picture, a_unit, an_inspection
from traceability.images import ImageStore
from traceability.store import TraceStore

STATION = """
name = "s"
code_prefix = "86.999.1"
max_pictures_mb = 10
retention = {{ accepted_days = {days} }}

[[lanes]]
name = "parts"
title = {{ en = "Parts", zh = "零件" }}
recipe = "part-demo"
unit = {{ kind = "part" }}
camera = {{ driver = "drawn_parts", seed = 1, frames_per_s = 1.0 }}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An accepted and a refused unit with a picture each, and a station's file."""
    images = ImageStore(tmp_path / "pictures")
    with TraceStore.open(f"sqlite:///{tmp_path / 'lynceus.db'}") as store:
        for verdict in (Verdict.ACCEPT, Verdict.REJECT):
            shown = (a_picture(sha256=images.put(verdict.name.encode() * 1000)),)
            store.record(
                [an_inspection(unit=a_unit(f"86.1/{verdict.name}"), verdict=verdict, pictures=shown)]
            )
    (tmp_path / "s.toml").write_text(STATION.format(days=1), encoding="utf-8")
    return tmp_path


def asked(folder: Path, command: str, *arguments: str, language: str = "en") -> str:
    call = [command, "--station", str(folder / "s.toml"), *arguments]
    call += ["--database", f"sqlite:///{folder / 'lynceus.db'}", "--pictures", str(folder / "pictures")]
    result = CliRunner(env={"LYNCEUS_LANGUAGE": language}).invoke(pictures, call, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_room_is_told_by_class_with_the_day_it_is_full(folder: Path):
    told = asked(folder, "room")
    assert "0.0 MB of 10.0 MB" in told
    assert "Accepted units: 1 pictures" in told
    assert "waiting for review: 1 pictures" in told
    assert "图像占用" not in told
    assert "待复判：1 张图像" in asked(folder, "room", language="zh")
    answer = json.loads(asked(folder, "room", "--json"))
    assert answer["classes"]["accepted"]["bytes"] == 6000


def test_pruning_gives_up_what_the_stations_rules_say_once(folder: Path):
    assert "1 pictures given up: accepted units, by age." in asked(folder, "prune")
    assert "Nothing to give up." in asked(folder, "prune")
    assert json.loads(asked(folder, "room", "--json"))["classes"]["accepted"]["pictures"] == 0


def test_an_age_of_no_days_is_refused(folder: Path):
    (folder / "s.toml").write_text(STATION.format(days=0), encoding="utf-8")
    with pytest.raises(ConfigInvalid):
        asked(folder, "prune")
