import json
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

from inspection.types import Inspection, ModelRef, RecipeRef, Verdict
from inspection.vision.drawing import draw_strip_patch
from services.cli.inspect import inspect
from services.cli.replay import replay
from services.ingredients import software_sha256
from tests.a_bucket import S3Server, a_bucket, an_s3_server
from tests.builders import uuid7
from tests.drawn_coil import LINKS, UNITS
from traceability.genealogy.recording import record
from traceability.images import ImageStore
from traceability.store import TraceStore

DATABASE = "sqlite:///var/lynceus.db"


@pytest.fixture(scope="module")
def inspected(tmp_path_factory) -> Path:
    """A folder in which a picture was inspected."""
    folder = tmp_path_factory.mktemp("replay")
    cv2.imwrite(str(folder / "one.png"), draw_strip_patch(2).pixels)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LYNCEUS_LANGUAGE", "en")
        patch.delenv("LYNCEUS_DATABASE_URL", raising=False)
        done = CliRunner().invoke(inspect, ["one.png"], catch_exceptions=False)
        assert done.exit_code == 0
    return folder


@pytest.fixture(autouse=True)
def here(inspected, monkeypatch):
    monkeypatch.chdir(inspected)
    monkeypatch.setenv("LYNCEUS_LANGUAGE", "en")
    monkeypatch.delenv("LYNCEUS_DATABASE_URL", raising=False)


def on_record() -> Inspection:
    with TraceStore.open(DATABASE) as store:
        return store.latest()[-1]


def replayed(inspection: Inspection) -> dict:
    call = [str(inspection.unit), "--inspection", str(inspection.id), "--json"]
    result = CliRunner().invoke(replay, call, standalone_mode=False)
    if result.exception:
        raise result.exception
    said = json.loads(result.stdout)
    assert result.return_value == (0 if said["is_same"] else 1)
    return said


def recorded_otherwise(**overrides: object) -> Inspection:
    """The same inspection, with something else on record."""
    other = replace(on_record(), id=uuid7(), **overrides)
    with TraceStore.open(DATABASE) as store:
        store.record([other])
    return other


def test_an_inspection_is_judged_again_as_it_was():
    said = replayed(on_record())
    assert said["is_same"]
    assert said["again"] == said["recorded"]
    assert (said["frames_again"], said["frames_due"]) == (1, 1)
    assert said["differences"] == []


def test_it_is_judged_by_the_recipe_as_it_was_not_as_it_is(monkeypatch):
    # Of the recipe there is nothing any more but what was kept beside the pictures.
    monkeypatch.setattr("services.replay.load_recipe", lambda name: pytest.fail("the recipe of today"))
    assert replayed(on_record())["is_same"]


def test_a_recipe_that_is_not_the_one_on_record_is_named():
    other = RecipeRef(name="strip-surface", revision=99, sha256="0" * 64)
    said = replayed(recorded_otherwise(recipe=other))
    (difference,) = said["differences"]
    assert difference["what"] == "recipe"
    assert "99" in difference["recorded"]
    assert said["again"] is None


def test_a_model_that_is_not_there_is_named():
    (model,) = on_record().models
    gone = ModelRef(name=model.name, version="99.0.0", sha256="0" * 64)
    (difference,) = replayed(recorded_otherwise(models=(gone,)))["differences"]
    assert difference["what"] == "model"
    assert "99.0.0" in difference["recorded"]


def test_a_model_with_other_bytes_is_named():
    (model,) = on_record().models
    (difference,) = replayed(recorded_otherwise(models=(replace(model, sha256="0" * 64),)))["differences"]
    assert difference["what"] == "model"
    assert model.sha256 in difference["found"]


def test_programs_that_are_not_those_on_record_are_named():
    statement = json.loads(ImageStore(Path("var/pictures")).read(software_sha256()))
    older = ImageStore(Path("var/pictures")).put(json.dumps(statement | {"onnxruntime": "0.1"}).encode())
    said = replayed(recorded_otherwise(software=older))
    (difference,) = said["differences"]
    assert difference["what"] == "software"
    assert (difference["name"], difference["recorded"]) == ("onnxruntime", "0.1")
    assert said["is_same"], "that another program gives the same is worth knowing"


def test_another_verdict_than_on_record_is_told():
    was = on_record().verdict
    other = Verdict.ACCEPT if was is not Verdict.ACCEPT else Verdict.REJECT
    said = replayed(recorded_otherwise(verdict=other, defects=()))
    assert not said["is_same"]
    assert (said["recorded"], said["again"]) == (other.name, was.name)
    assert said["differences"] == []
    assert said["unlike"]


def test_a_picture_made_for_people_is_not_taken_for_what_was_judged():
    (picture,) = on_record().pictures
    said = replayed(recorded_otherwise(pictures=(replace(picture, is_exact=False),)))
    assert [one["what"] for one in said["differences"]] == ["picture_inexact"]
    assert said["again"] is None


def test_a_picture_that_is_gone_is_named():
    (picture,) = on_record().pictures
    said = replayed(recorded_otherwise(pictures=(replace(picture, sha256="0" * 64),)))
    assert [one["what"] for one in said["differences"]] == ["picture"]


def test_what_was_made_up_for_the_demonstration_is_not_judged():
    said = replayed(recorded_otherwise(simulated=True))
    assert [one["what"] for one in said["differences"]] == ["simulated"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_is_told_in_words(language: str, monkeypatch):
    monkeypatch.setenv("LYNCEUS_LANGUAGE", language)
    unit = on_record()
    result = CliRunner().invoke(replay, [str(unit.unit), "--inspection", str(unit.id)], standalone_mode=False)
    assert result.stdout
    assert result.exception is None


MARKED = """
name = "marked"
revision = 1
product = "marked patch"
[detector]
model = "strip-surface"
version = "1.0.0"
[code]
kinds = ["datamatrix"]
[[limits]]
kind = "scratch"
measure = "score"
review_from = 1
"""


def test_a_part_whose_code_was_not_read_is_judged_again_as_it_was(tmp_path):
    recipe = tmp_path / "marked.toml"
    recipe.write_text(MARKED, encoding="utf-8")
    cv2.imwrite("unmarked.png", draw_strip_patch(5).pixels)
    CliRunner().invoke(inspect, ["unmarked.png", "--recipe", str(recipe)], catch_exceptions=False)
    with TraceStore.open(DATABASE) as store:
        (seen,) = [one for one in store.latest() if one.recipe.name == "marked"]
    assert (seen.verdict, seen.code_failure) == (Verdict.NOT_INSPECTED, "INS-CODE-NOT-READ")
    said = replayed(seen)
    assert said["is_same"]
    assert said["again"] == "NOT_INSPECTED"


def test_what_was_inspected_into_a_bucket_is_judged_again_from_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("one.png", draw_strip_patch(7).pixels)
    with an_s3_server() as server, a_bucket(server) as bucket:
        monkeypatch.setenv("LYNCEUS_PICTURES", f"s3://{bucket}/line-1")
        CliRunner().invoke(inspect, ["one.png"], catch_exceptions=False)
        said = replayed(on_record())
        assert said["is_same"]
        assert said["differences"] == []
        images = ImageStore.open(f"s3://{bucket}/line-1", spool=tmp_path / "spool")
        images.remove(on_record().pictures[0].sha256)
        (difference,) = replayed(on_record())["differences"]
        assert difference["what"] == "picture"
    assert not Path("var/pictures").exists()


def test_what_was_inspected_while_the_bucket_was_away_is_judged_again_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("one.png", draw_strip_patch(7).pixels)
    server = S3Server()
    with a_bucket(server.address) as bucket:
        server.away()
        monkeypatch.setenv("LYNCEUS_PICTURES", f"s3://{bucket}/line-1")
        done = CliRunner(env={"LYNCEUS_LANGUAGE": "en"}).invoke(inspect, ["one.png"], catch_exceptions=False)
        assert "wait here for their bucket" in done.stderr
        said = replayed(on_record())
        assert (said["is_same"], said["differences"]) == (True, [])


def test_of_a_unit_that_nobody_inspected_there_is_nothing_to_judge_again():
    with TraceStore.open(DATABASE) as store:
        record(store, units=UNITS, links=LINKS)
    result = CliRunner().invoke(replay, ["STRIP-A1"])
    assert result.exit_code == 2
    assert "No inspection of it is on record." in result.output
