"""What a station keeps of a unit is enough to judge it again; what is not as it was is named."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import replace
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from inspection.types import Inspection, ModelRef, RecipeRef
from services.ingredients import software_statement
from services.replay import Replayed, replay
from services.station.build import build_lane, open_cameras
from services.station.messages import RecipeState
from services.station.reporter import Reporter
from station_config import load_station
from tests.services.station.test_accounting import Station
from tests.where import REPOSITORY
from traceability.errors import PictureMissing
from traceability.identifiers import Minter

PARTS = 4
NO_DIGEST = "0" * 64


class Messages(list):
    """In the courier's place: what the engine would send."""

    send = list.append


class EndsAfter:
    """Stops the lane when so many units are done."""

    def __init__(self, units: int, stop: threading.Event) -> None:
        self._left, self._stop = units, stop

    def unit_begun(self, begun):
        pass

    def frame_done(self, inspection, frame, result):
        pass

    def unit_done(self, inspection):
        self._left -= 1
        if not self._left:
            self._stop.set()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Four drawn flanges through the demo's lane, evened out by a flat field, recorded with their exact pixels."""
    folder = tmp_path_factory.mktemp("station")
    _, blank = cv2.imencode(".png", np.full((400, 400), 128, np.uint8))
    (folder / "blank.png").write_bytes(blank.tobytes())
    of_demo = (REPOSITORY / "station_config/recipes/part-demo.toml").read_text(encoding="utf-8")
    named = f'[flat_field]\nfile = "blank.png"\nsha256 = "{hashlib.sha256(blank.tobytes()).hexdigest()}"\n\n'
    recipe = folder / "flat.toml"
    recipe.write_text(of_demo.replace("[detector]", named + "[detector]", 1), encoding="utf-8")

    demo = load_station("demo")
    (parts,) = (lane for lane in demo.lanes if lane.name == "parts")
    quick = parts.camera.model_copy(update={"frames_per_s": 20.0})
    lane_settings = parts.model_copy(update={"recipe": str(recipe), "camera": quick})
    stop, messages = threading.Event(), Messages()
    station = Station(folder)
    with Reporter(messages, keeps_exact=True) as reporter:
        lane = build_lane(
            demo.model_copy(update={"lanes": (lane_settings,)}),
            lane_settings,
            minter=Minter("86.999.1", started_at=datetime.now(UTC)),
            sinks=(reporter, EndsAfter(PARTS, stop)),
            stop=stop,
        )
        lane.run(open_cameras(lane_settings), started=lambda: None)
    chosen = RecipeState(
        lane="parts",
        recipe=str(recipe),
        ref=lane.recipe.ref,
        condition="running",
        at=datetime.now(UTC),
    )
    station.records.commit([chosen, *messages])
    # What the recipe and its file were, the station has kept: those in the folder go.
    recipe.unlink()
    (folder / "blank.png").unlink()
    yield station, hashlib.sha256(blank.tobytes()).hexdigest()
    station.store.close()


@pytest.fixture
def station(run) -> Station:
    return run[0]


@pytest.fixture
def recorded(station: Station) -> Inspection:
    return station.store.latest()[-1]


def what(done: Replayed) -> list[str]:
    return [one.what for one in done.differences]


def test_every_record_of_a_station_is_judged_again_as_it_was(station: Station):
    records = station.store.latest()
    # The lane was stopped within a fifth one: of that nothing was seen.
    assert [one.frames_inspected for one in records].count(1) == PARTS
    for one in records:
        done = replay(station.images, one)
        assert (done.is_same, done.verdict, done.differences) == (True, one.verdict, ())
        assert done.again == done.due == one.frames_inspected


def test_a_picture_that_is_gone_is_named(station: Station, recorded: Inspection):
    sha256 = recorded.pictures[0].sha256
    content = station.images.read(sha256)
    station.images.remove(sha256)
    try:
        done = replay(station.images, recorded)
    finally:
        station.images.put(content)
    assert (what(done), done.verdict, done.is_same) == (["picture"], None, False)
    assert done.differences[0].facts["sha256"] == sha256


def test_a_recipe_that_was_not_kept_is_named(station: Station, recorded: Inspection):
    other = RecipeRef(name=recorded.recipe.name, revision=99, sha256=NO_DIGEST)
    done = replay(station.images, replace(recorded, recipe=other))
    assert (what(done), done.verdict) == (["recipe"], None)
    assert NO_DIGEST in done.differences[0].facts["recorded"]


def test_a_model_with_other_bytes_is_named(station: Station, recorded: Inspection):
    (model,) = recorded.models
    other = ModelRef(name=model.name, version=model.version, sha256=NO_DIGEST)
    done = replay(station.images, replace(recorded, models=(other,)))
    assert (what(done), done.verdict) == (["model"], None)
    assert NO_DIGEST in done.differences[0].facts["recorded"]


def test_a_calibration_that_is_gone_is_named(run, recorded: Inspection):
    station, flat_field = run
    content = station.images.read(flat_field)
    station.images.remove(flat_field)
    try:
        done = replay(station.images, recorded)
    finally:
        station.images.put(content)
    assert (what(done), done.verdict) == (["calibration"], None)


def test_programs_that_are_not_those_on_record_are_named(station: Station, recorded: Inspection):
    older = station.images.put(json.dumps(json.loads(software_statement()) | {"numpy": "1.0"}).encode())
    done = replay(station.images, replace(recorded, software=older))
    assert what(done) == ["software"]
    assert (done.differences[0].facts["name"], done.differences[0].facts["recorded"]) == ("numpy", "1.0")


def test_nothing_of_it_lies_anywhere_but_beside_the_pictures(station: Station, recorded: Inspection):
    for sha256 in (recorded.recipe.sha256, recorded.software, recorded.pictures[0].sha256):
        assert station.images.read(sha256)
    with pytest.raises(PictureMissing):
        station.images.read(NO_DIGEST)
