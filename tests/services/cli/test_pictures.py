import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from inspection.types import Verdict
from services.cli.options import open_pictures
from services.cli.pictures import pictures
from station_config.errors import ConfigInvalid
from tests.a_bucket import S3Server, a_bucket
from tests.builders import a_picture, a_unit, an_inspection
from traceability.bucket import Bucket
from traceability.errors import BucketUnreachable
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


@pytest.mark.parametrize(("language", "said"), [("en", "1 pictures that waited"), ("zh", "暂存的 1 张图像")])
def test_what_waits_for_a_bucket_is_told_and_sent_on(tmp_path: Path, monkeypatch, language, said):
    monkeypatch.chdir(tmp_path)
    server = S3Server()
    with a_bucket(server.address) as bucket:
        address = f"s3://{bucket}/line-1"
        server.away()
        kept = open_pictures(address).put(b"a picture")

        def ask(*call: str):
            return CliRunner(env={"LYNCEUS_LANGUAGE": language}).invoke(
                pictures, [*call, "--pictures", address], catch_exceptions=True
            )

        refused = ask("send")
        assert isinstance(refused.exception, BucketUnreachable)
        server.back()
        there = ask("room", "--database", f"sqlite:///{tmp_path / 'lynceus.db'}")
        assert (there.exit_code, "lynceus pictures send" in there.stderr) == (0, True)
        sent = ask("send")
        assert (sent.exit_code, said in sent.output) == (0, True)
        assert Bucket(bucket, "line-1").get(kept) == b"a picture"
    server.away()


def test_a_picture_that_was_spoilt_while_it_waited_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server = S3Server()
    with a_bucket(server.address) as bucket:
        address = f"s3://{bucket}"
        server.away()
        kept = open_pictures(address).put(b"a picture")
        server.back()
        (file,) = (tmp_path / "var" / "spool").rglob(kept)
        file.write_bytes(b"")
        result = CliRunner(env={"LYNCEUS_LANGUAGE": "en"}).invoke(pictures, ["send", "--pictures", address])
        assert result.exit_code == 1
        assert f"Picture {kept} was spoilt" in result.stderr
    server.away()
