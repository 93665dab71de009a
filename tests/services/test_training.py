"""Trainings begun from the page: beside the lanes, never on their cores, and each ends as a candidate or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from html import unescape
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from inspection.errors import InspectionError
from inspection.types import PictureRef, Verdict
from inspection.vision.drawing import draw_part
from models import open_detector
from models.anomaly import KIND, LEAST_PICTURES
from models.bundle import MANIFEST
from models.provider import OPENVINO
from models.session import Session
from models.store import ModelStore
from services.access import RightMissing
from services.datasets import DataSets, Provenance
from services.model_life import ModelLife
from services.station.cores import Cores, workers_of
from services.training import CannotTrain, NoCoreLeft, TrainingBusy, Trainings, move
from services.training_book import KEPT, Training, TrainingBook
from services.training_desk import DeskMissing, DeskNotKnown, Lesson, TrainingDesk
from station_config import load_catalogue, load_station
from tests.a_station import AStation, an_empty_station, needs_libraries
from tests.builders import NOON, a_defect, an_inspection
from tests.models.drawn_metal import surface
from tests.models.releases import STRIP
from tests.services.signed_in import signed_in
from tests.where import TRAINING_PYTHON
from traceability.accounts import Accounts, Person, Role
from traceability.errors import PicturesNotWritable
from traceability.reviews import Decision, Reviews

NAME = "ground-metal"
CORES = tuple(sorted(os.sched_getaffinity(0)))
YESTERDAY = NOON - timedelta(days=1)


def a_service(station: AStation, workers, running, *, steps: int) -> Trainings:
    made = Trainings(
        station.store,
        station.images,
        Cores(workers, running),
        frozenset(load_catalogue()),
        TrainingBook(station.folder / "trainings"),
        TrainingDesk(None),
        steps=steps,
    )
    made.say_interrupted(at=NOON)
    return made


class Plant:
    def __init__(self, station: AStation) -> None:
        self.station = station
        self.lanes: set[str] = set()
        self.workers = {"strip": len(CORES)}
        self.trainings = self.a_service()
        self.life = ModelLife(station.store, ModelStore.of_plant())
        accounts = Accounts(station.store)
        self.chen, self.wu, self.li = (
            accounts.add(name=name, title=name, role=role, password_hash=None, by=None, at=NOON)
            for name, role in (("chen", Role.INTEGRATOR), ("wu", Role.INTEGRATOR), ("li", Role.OPERATOR))
        )

    def a_service(self) -> Trainings:
        """As it begins, with what the one before has left."""
        return a_service(self.station, self.workers, lambda: frozenset(self.lanes), steps=100)

    def accepted_after_all(self, count: int) -> None:
        """Units that were withheld, of whose pictures a person said that they are good."""
        for seed in range(count):
            sha256 = self.station.images.put(cv2.imencode(".png", surface(seed))[1].tobytes())
            shown = PictureRef(sha256=sha256, camera="top", sequence=1, width_px=256, height_px=256)
            unit = an_inspection(verdict=Verdict.REVIEW, defects=(a_defect(sequence=1),), pictures=(shown,))
            self.station.store.record([unit])
            Reviews(self.station.store).decide(unit.id, Decision.ACCEPT, by=self.li, at=NOON)

    def start(self, name: str = NAME, *, by=None) -> Training:
        return self.trainings.start(name, since=YESTERDAY, by=by or self.chen, at=NOON)

    def ended(self) -> Training:
        return self.when(lambda now: not now.is_running)

    def when(self, true, *, timeout_s: float = 240) -> Training:
        until = time.monotonic() + timeout_s
        while not true(now := self.now):
            assert time.monotonic() < until, now
            time.sleep(0.02)
        return now

    @property
    def now(self) -> Training:
        assert self.trainings.now is not None
        return self.trainings.now

    def steps(self) -> list[str]:
        return [step.action.removeprefix("model.") for step in self.life.steps(NAME)]


@pytest.fixture
def plant(tmp_path, monkeypatch):
    monkeypatch.setenv("LYNCEUS_MODELS", str(tmp_path / "models"))
    station = an_empty_station(tmp_path)
    with station.store:
        made = Plant(station)
        yield made
        made.trainings.close()


def the_fit(*, of: int | None = None) -> list[int]:
    """Process ids of fits that were begun here, or by another process."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            told = (place / "cmdline").read_bytes().split(b"\0")
            parent = int((place / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if b"models.anomaly" in told and parent == (of or os.getpid()):
            found.append(int(place.name))
    return found


@pytest.mark.timeout(600)
def test_what_people_accepted_becomes_a_signed_model_and_the_next_one_a_candidate(plant):
    plant.accepted_after_all(LEAST_PICTURES)
    plant.start()
    first = plant.ended()
    assert (first.condition, first.version, first.proposed) == ("done", "1.0.0", False)
    assert (first.pictures, first.share, first.problem) == (LEAST_PICTURES, 1.0, None)
    assert any(line.endswith(" s") for line in first.log)
    assert (plant.life.models.folder_of(NAME, "1.0.0") / MANIFEST).exists()
    assert plant.life.models.find(NAME).card.kinds == (KIND,)
    plant.start()
    second = plant.ended()
    assert (second.condition, second.version, second.proposed) == ("done", "1.1.0", True)
    stands = plant.life.standing(NAME)
    assert (stands.in_force, stands.candidate, stands.proposed_by) == ("1.0.0", "1.1.0", "chen")
    began_and_ended = ["training_started", "training_ended"]
    assert plant.steps() == [*began_and_ended, *began_and_ended, "proposed"]
    told = plant.life.steps(NAME)[1].after
    assert told["sha256"] == plant.life.models.find(NAME, "1.0.0").card.sha256
    assert told["pictures"] == LEAST_PICTURES


def test_nothing_is_trained_on_the_cores_of_lanes_that_run(plant):
    plant.lanes = {"strip"}
    with pytest.raises(NoCoreLeft, match="strip"):
        plant.start()
    assert plant.trainings.now is None
    assert plant.steps() == []


def test_a_lane_of_which_nobody_told_its_workers_needs_every_core():
    cores = Cores({"strip": 1}, lambda: {"strip", "stranger"})
    assert cores.left() == ()
    assert Cores({"strip": 1}, lambda: {"strip"}).left() == CORES[1:]
    assert Cores({"strip": 1}, frozenset).left() == CORES


def test_a_lane_takes_its_share_of_the_cores_or_as_many_as_it_says():
    station = load_station("demo")
    lane = station.lanes[0]
    assert workers_of(station, lane.model_copy(update={"workers": 3})) == 3
    share = max(1, len(CORES) // len(station.lanes))
    assert workers_of(station, lane.model_copy(update={"workers": None})) == share


@pytest.mark.timeout(600)
def test_a_training_stands_still_while_lanes_need_its_cores_goes_on_after_and_is_cancelled(plant):
    plant.accepted_after_all(30)
    plant.trainings.steps = 100_000
    plant.start()
    plant.when(lambda now: now.condition == "fitting" and bool(the_fit()))
    (process,) = the_fit()
    assert os.getpriority(os.PRIO_PROCESS, process) == 19
    plant.lanes = {"strip"}
    waiting = plant.when(lambda now: now.condition == "waiting")
    assert waiting.cores == ()
    stat = Path(f"/proc/{process}/stat")
    plant.when(lambda now: stat.read_text().rsplit(")", 1)[1].split()[0] == "T")
    with pytest.raises(TrainingBusy, match="chen"):
        plant.start()
    plant.workers["strip"] = len(CORES) - 1
    plant.when(lambda now: now.condition == "fitting")
    assert os.sched_getaffinity(process) == {CORES[-1]}
    plant.trainings.cancel(by=plant.wu)
    assert plant.ended().condition == "cancelled"
    assert the_fit() == []
    assert plant.steps() == ["training_started", "training_cancelled"]
    assert [step.person for step in plant.life.steps(NAME)] == ["chen", "wu"]
    assert NAME not in plant.life.models.versions()


def a_service_that_trains(folder: Path, by: Person) -> None:
    """Main of a process that is going to be killed."""
    station = an_empty_station(folder)
    trainings = a_service(station, {}, frozenset, steps=100_000)
    trainings.start(NAME, since=YESTERDAY, by=by, at=NOON)
    time.sleep(600)


@pytest.mark.timeout(600)
def test_a_training_whose_service_dies_is_said_to_be_interrupted_with_its_log_and_its_process_ends(plant):
    plant.accepted_after_all(LEAST_PICTURES)
    plant.start()
    first = plant.ended()
    service = get_context("spawn").Process(
        target=a_service_that_trains, args=(plant.station.folder, plant.chen), daemon=True
    )
    service.start()
    plant.when(lambda now: now.id != first.id and now.share > 0.001)
    (process,) = the_fit(of=service.pid)
    service.kill()
    service.join()
    again = plant.a_service()
    until = time.monotonic() + 20
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    left = again.now
    assert (left.condition, left.problem.code) == ("interrupted", "MOD-TRAINING-INTERRUPTED")
    assert 0.001 < left.share < 1
    assert again.book.all() == (left, first)
    kept = (again.book.folder / left.id).iterdir()
    assert {path.name for path in kept} == {"training.json", "log.txt"}
    assert plant.steps()[-2:] == ["training_started", "training_interrupted"]
    assert plant.life.steps(NAME)[-1].person is None


@pytest.mark.timeout(600)
def test_a_service_that_ends_in_good_order_says_so_too_and_cancels_in_nobodys_name(plant):
    plant.accepted_after_all(LEAST_PICTURES)
    plant.trainings.steps = 100_000
    plant.start()
    plant.when(lambda now: now.condition == "fitting" and bool(the_fit()))
    plant.trainings.close()
    assert the_fit() == []
    assert (plant.now.condition, plant.steps()[-1]) == ("interrupted", "training_interrupted")
    assert not list(plant.trainings.book.folder.glob("*/work"))


def test_what_a_process_writes_becomes_share_curve_and_log_as_on_a_screen(plant):
    book = plant.trainings.book
    asked = Training(model=NAME, version="1.0.0", by="chen", since=NOON, began_at=NOON, condition="fitting")
    book.keep(asked)
    book.log_file(asked).write_text(
        "\x1b[Kcaching 5%\r\x1b[34mcaching 100%\x1b[0m\nprecision 10 0.250\nepoch 10 of 60\nprogress 0.158\n"
        "precision 20 0.500\nepoch 20 of 60\nprogress 0.317\nprogress 0.4"
    )
    told = book.last()
    assert told.log == ("caching 100%", "epoch 10 of 60", "epoch 20 of 60")
    assert told.curve == ((10, 0.25), (20, 0.5))
    assert told.share == 0.317


def test_a_training_from_labels_that_was_kept_before_there_was_a_choice_gave_boxes(plant):
    book = plant.trainings.book
    for data_set in (None, "flange"):
        asked = Training(model=NAME, version="1.0.0", by="chen", data_set=data_set, began_at=NOON)
        book.keep(asked)
        file = book.folder / asked.id / "training.json"
        file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "gives"}))
    assert [(one.data_set, one.gives) for one in book.all()] == [("flange", "boxes"), (None, "maps")]


@pytest.mark.parametrize("left", ["", "{", "[]", '{"id": "of a later version"}'])
def test_a_training_that_cannot_be_read_hides_no_other_and_keeps_no_service_from_starting(plant, left):
    book = plant.trainings.book
    readable = Training(model=NAME, version="1.0.0", by="chen", since=NOON, began_at=NOON, condition="failed")
    torn = replace(readable, id=f"f{readable.id[1:]}")
    for one in (readable, torn):
        book.keep(one)
    (book.folder / torn.id / "training.json").write_text(left)
    again = plant.a_service()
    assert again.all() == (readable,)
    assert again.now == readable


def test_a_training_that_cannot_be_written_down_is_not_begun_and_keeps_no_other_from_it(plant):
    # Where the folder would be lies a file: nothing can be written, as on a full disk.
    folder = plant.trainings.book.folder
    folder.write_bytes(b"")
    with pytest.raises(PicturesNotWritable):
        plant.start()
    assert (plant.trainings.now, plant.steps()) == (None, [])
    folder.unlink()
    plant.start()
    assert plant.ended().condition == "failed"
    assert plant.steps() == ["training_started", "training_failed"]


def test_a_training_whose_state_cannot_be_written_any_more_ends_all_the_same(plant):
    begun = plant.start()
    (plant.trainings.book.folder / begun.id / "training.json.new").mkdir(exist_ok=True)
    assert plant.ended().condition == "failed"
    plant.start()
    assert [one.condition for one in (plant.ended(), plant.trainings.all()[0])] == ["failed"] * 2


def test_what_a_full_disk_keeps_from_being_said_to_be_interrupted_the_next_service_says(plant):
    book = plant.trainings.book
    left = Training(model=NAME, version="1.0.0", by="chen", since=NOON, began_at=NOON, condition="fitting")
    book.keep(left)
    in_the_way = book.folder / left.id / "training.json.new"
    in_the_way.mkdir()
    plant.a_service()
    assert (book.last().condition, plant.steps()) == ("fitting", [])
    in_the_way.rmdir()
    plant.a_service()
    assert (book.last().condition, plant.steps()) == ("interrupted", ["training_interrupted"])


def test_of_many_trainings_the_newest_are_kept(plant):
    book = plant.trainings.book
    made = [
        Training(model=NAME, version=f"1.{number}.0", by="chen", since=NOON, began_at=NOON, condition="done")
        for number in range(KEPT + 2)
    ]
    for one in made:
        book.keep(one)
    book.forget_oldest()
    assert [one.version for one in book.all()] == [one.version for one in made[:1:-1]]


def test_from_too_few_good_parts_nothing_is_trained_and_it_says_how_many_are_needed(plant):
    plant.accepted_after_all(LEAST_PICTURES - 1)
    plant.start()
    ended = plant.ended()
    assert ended.condition == "failed"
    assert ended.problem.code == CannotTrain.code
    assert ended.problem.facts["wrong"] == f"{LEAST_PICTURES - 1} good pictures, at least 10 are needed"
    assert plant.steps() == ["training_started", "training_failed"]
    assert plant.life.steps(NAME)[-1].after["reason"] == "MOD-CANNOT-TRAIN"


def test_where_nobody_decided_anything_the_training_fails_and_the_next_one_may_begin(plant):
    plant.start()
    ended = plant.ended()
    assert (ended.condition, ended.problem.code) == ("failed", "MOD-SET-UNFIT")
    plant.start()


def test_a_model_of_another_sort_is_not_trained_from_good_parts(plant):
    with pytest.raises(CannotTrain, match="crazing"):
        plant.start(STRIP)
    with pytest.raises(RightMissing):
        plant.start(by=plant.li)
    assert plant.trainings.now is None


@pytest.fixture
def station(tmp_path, monkeypatch):
    monkeypatch.setenv("LYNCEUS_MODELS", str(tmp_path / "models"))
    made = needs_libraries(an_empty_station(tmp_path))
    with made.store:
        yield made


def test_a_training_is_begun_on_the_page_and_followed_there_and_by_programs(station):
    app = station.app()
    integrator = signed_in(app, Role.INTEGRATOR)
    assert integrator.get("/api/v1/training").json() is None
    asked = integrator.get("/training").text
    assert "No lane runs here" in asked
    begun = integrator.post("/training", data={"model": NAME, "since": "2026-11-01"})
    assert (begun.status_code, begun.headers["location"]) == (303, "/training#state")
    while integrator.get("/api/v1/training").json()["condition"] in ("collecting", "fitting"):
        time.sleep(0.02)
    told = integrator.get("/api/v1/training").json()
    assert (told["model"], told["version"], told["condition"]) == (NAME, "1.0.0", "failed")
    assert told["problem"]["code"] == "MOD-SET-UNFIT"
    assert "MOD-SET-UNFIT" in integrator.get("/training/state").text
    assert integrator.get("/api/v1/training/past").json() == [told]
    again = TestClient(station.app(), cookies=integrator.cookies)
    assert again.get("/api/v1/training").json() == told
    assert integrator.delete("/api/v1/training").status_code == 204
    assert integrator.post("/training/cancel").status_code == 303


def test_on_a_station_whose_lanes_need_all_cores_the_page_says_so_and_nothing_begins(station):
    station.runs()
    integrator = signed_in(station.app(), Role.INTEGRATOR)
    asked = integrator.get("/training").text
    assert "need every core" in asked
    refused = integrator.post("/training", data={"model": NAME, "since": "2026-11-01"})
    assert refused.status_code == 409
    assert "MOD-NO-CORE-LEFT" in refused.text
    given = {"model": NAME, "since": "2026-11-01T00:00:00Z"}
    told = integrator.post("/api/v1/training", json=given)
    assert (told.status_code, told.json()["code"]) == (409, "MOD-NO-CORE-LEFT")


@pytest.fixture
def labelled(tmp_path, monkeypatch) -> DataSets:
    """A data set as people label it on the pages: parts of a plant, two of three with defects."""
    monkeypatch.setenv("LYNCEUS_DATASETS", str(tmp_path / "datasets"))
    sets = DataSets.of_plant()
    sets.make("flange", ("chip", "crack", "stain"))
    return sets


def is_labelled(sets: DataSets, count: int) -> None:
    for number in range(count):
        drawing = draw_part(41, number, size_px=128, defective=number % 3 != 0)
        picture = sets.add("flange", f"{number:032x}/a", cv2.imencode(".png", drawing.pixels)[1].tobytes())
        boxes = [(one.kind, one.box_px) for one in drawing.truth]
        given = [{"kind": kind, "box": [box.x1, box.y1, box.x2, box.y2]} for kind, box in boxes]
        sets.label("flange", picture, given)


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not TRAINING_PYTHON.exists(), reason="not there: make .venv-training/ready")
def test_labels_of_a_data_set_become_a_signed_detector_of_their_kinds(plant, labelled, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    # The environment in which it learns has no OpenVINO.
    monkeypatch.setenv("LYNCEUS_PROVIDER", OPENVINO)
    is_labelled(labelled, 24)
    labelled.describe("flange", Provenance(source="line 2", licence="-the plant's"))
    plant.trainings.desk, plant.trainings.epochs = TrainingDesk(TRAINING_PYTHON), 1
    plant.trainings.start("flange-surface", data_set="flange", by=plant.chen, at=NOON)
    made = plant.when(lambda now: not now.is_running, timeout_s=1500)
    assert (made.condition, made.data_set, made.problem) == ("done", "flange", None), made.log
    assert any(line.startswith("epoch 1 of 1: loss ") for line in made.log)
    found = plant.life.models.find("flange-surface", "1.0.0")
    assert Session(found).runtime.startswith(OPENVINO)
    card = found.card
    assert (card.task, card.kinds) == ("boxes", ("chip", "crack", "stain"))
    (source,) = card.training.sources
    assert (source.name, source.licence) == ("flange (line 2)", "-the plant's")
    assert card.restrictions == ("agpl",)
    assert "torch" not in sys.modules


def a_surface(number: int) -> tuple[np.ndarray, list[dict[str, object]]]:
    """One of three is good, one has a dark stain that somebody outlined, one a scratch of which somebody said only that
    the picture shows it."""
    rng = np.random.default_rng(number)
    pixels = cv2.GaussianBlur(rng.integers(90, 170, (128, 128)).astype(np.uint8), (0, 0), 1.2)
    x, y = (int(one) for one in rng.integers(30, 98, 2))
    if number % 3 == 1:
        outline = cv2.ellipse2Poly((x, y), (16, 10), int(rng.integers(180)), 0, 360, 20)
        cv2.fillPoly(pixels, [outline], 60)
        return pixels, [{"kind": "stain", "outline": outline.tolist()}]
    if number % 3 == 2:
        cv2.line(pixels, (x - 24, y - int(rng.integers(20))), (x + 24, y), 245, 2)
        return pixels, [{"kind": "scratch", "box": [0, 0, 128, 128]}]
    return pixels, []


def is_outlined(sets: DataSets, count: int) -> None:
    for number in range(count):
        pixels, labels = a_surface(number)
        picture = sets.add("sheet", f"{number:032x}/a", cv2.imencode(".png", pixels)[1].tobytes())
        sets.label("sheet", picture, labels)


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not TRAINING_PYTHON.exists(), reason="not there: make .venv-training/ready")
def test_outlines_of_a_data_set_become_a_signed_detector_of_their_pixels_then_a_candidate(
    plant, labelled, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    labelled.make("sheet", ("scratch", "stain"))
    is_outlined(labelled, 60)
    # A policy may refuse the tool that learns boxes: nothing of it is in this.
    folder = Path(os.environ["LYNCEUS_MODELS"])
    folder.mkdir(exist_ok=True)
    (folder / "policy.toml").write_text('refuse = ["agpl"]')
    plant.trainings.desk, plant.trainings.epochs = TrainingDesk(TRAINING_PYTHON, limit_s=300), 8
    plant.trainings.desk.check("maps", wait_s=300)
    for number, proposed in (("1.0.0", False), ("1.1.0", True)):
        plant.trainings.start("sheet-pixels", data_set="sheet", gives="maps", by=plant.chen, at=NOON)
        made = plant.when(lambda now: not now.is_running, timeout_s=800)
        assert (made.condition, made.gives, made.version, made.problem) == ("done", "maps", number, None), (
            made.log
        )
        assert made.proposed is proposed
        plant.trainings.epochs = 1
    card = plant.life.models.find("sheet-pixels", "1.0.0").card
    assert (card.task, card.kinds, card.restrictions) == ("maps", ("scratch", "stain"), ())
    assert card.training.sources[0].boxes < card.training.sources[0].images
    assert card.measured[0].auroc > 0.95
    detector = open_detector("sheet-pixels", version="1.0.0", store=plant.life.models)
    for number in range(1000, 1012):
        pixels, labels = a_surface(number)
        found = detector.detect(pixels)
        assert set(found.kind) == {one["kind"] for one in labels}
        if found.kind == ("stain",):
            true = cv2.fillPoly(np.zeros(pixels.shape, np.uint8), [np.array(labels[0]["outline"])], 1) > 0
            (mask,) = found.masks
            shown = np.zeros(true.shape, np.bool_)
            rows, columns = mask.pixels.shape
            shown[mask.top : mask.top + rows, mask.left : mask.left + columns] = mask.pixels
            assert (shown & true).sum() / (shown | true).sum() > 0.5
    assert "torch" not in sys.modules


def test_without_an_environment_to_train_in_the_page_says_what_to_install_and_nothing_begins(
    station, labelled
):
    is_labelled(labelled, 1)
    integrator = signed_in(station.app(), Role.INTEGRATOR)
    asked = integrator.get("/training").text
    assert "MOD-TRAINING-DESK-MISSING" in asked
    assert 'pip install "lynceus[training]==' in unescape(asked)
    assert '"lynceus[training-maps]==' in unescape(asked)
    assert 'name="gives"' not in asked
    refused = integrator.post("/training", data={"model": "flange-surface", "data_set": "flange"})
    assert (refused.status_code, "MOD-TRAINING-DESK-MISSING" in refused.text) == (409, True)
    given = {"model": "flange-surface", "data_set": "flange"}
    told = integrator.post("/api/v1/training", json=given)
    assert (told.status_code, told.json()["code"]) == (409, "MOD-TRAINING-DESK-MISSING")
    assert integrator.get("/api/v1/training").json() is None


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/false"])
def test_an_environment_that_does_not_run_is_refused_by_its_path(python):
    with pytest.raises(DeskMissing, match=python):
        TrainingDesk(Path(python)).check("maps")


def test_an_environment_that_lacks_the_tools_is_refused_by_their_names():
    with pytest.raises(DeskMissing, match=": ultralytics, torch"):
        TrainingDesk(Path(sys.executable)).check("boxes")
    with pytest.raises(DeskMissing, match=": torch"):
        TrainingDesk(Path(sys.executable)).check("maps")


def a_desk(folder: Path, *, says: str) -> Path:
    """An environment of which only the Python is there: a script that notes each time it is asked."""
    python = folder / "desk" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f"#!/bin/sh\necho asked >> {folder}/asked\n{says}\n")
    python.chmod(0o755)
    return python


def asked(folder: Path) -> int:
    return len((folder / "asked").read_text().splitlines())


def says_that_it_has(**found: str) -> str:
    return f"echo '{json.dumps({'lynceus': version('lynceus'), **found})}'"


SAYS_ALL_THERE = says_that_it_has(ultralytics="8", torch="2")
SAYS_TORCH_ALONE = says_that_it_has(torch="2")


def test_where_torch_alone_is_installed_maps_can_be_learnt_and_boxes_not(tmp_path):
    desk = TrainingDesk(a_desk(tmp_path, says=SAYS_TORCH_ALONE))
    desk.check("maps", wait_s=30)
    with pytest.raises(DeskMissing, match=r": ultralytics\."):
        desk.check("boxes", wait_s=30)
    assert asked(tmp_path) == 1


def test_where_torch_alone_is_installed_the_page_offers_maps_and_says_what_boxes_lack(
    station, labelled, tmp_path
):
    app = station.app()
    app.state.trainings.desk = TrainingDesk(a_desk(tmp_path, says=SAYS_TORCH_ALONE))
    app.state.trainings.desk.check("maps", wait_s=30)
    is_labelled(labelled, 6)
    integrator = signed_in(app, Role.INTEGRATOR)
    page = integrator.get("/training").text
    assert '<option value="maps"' in page
    assert '<option value="boxes"' not in page
    assert "Boxes cannot be learnt here" in page
    assert "bin/python: ultralytics." in page
    given = {"model": "flange-surface", "data_set": "flange"}
    refused = integrator.post("/api/v1/training", json=given)
    assert (refused.status_code, refused.json()["code"]) == (409, "MOD-TRAINING-DESK-MISSING")
    assert integrator.post("/api/v1/training", json=given | {"gives": "maps"}).status_code == 202


def test_an_environment_that_hangs_keeps_nobody_waiting_and_is_refused_once_its_time_is_over(tmp_path):
    desk = TrainingDesk(a_desk(tmp_path, says="exec sleep 60"), limit_s=1.5)
    began = time.monotonic()
    with pytest.raises(DeskNotKnown, match="has not said yet"):
        desk.check("boxes", wait_s=0)
    assert time.monotonic() - began < 1
    with pytest.raises(DeskMissing, match=r"no answer in 1\.5 s"):
        desk.check("boxes", wait_s=30)
    with pytest.raises(DeskMissing, match=r"no answer in 1\.5 s"):
        desk.check("maps", wait_s=0)
    assert asked(tmp_path) == 1


def test_an_environment_is_asked_once_and_again_when_something_is_installed_in_it(tmp_path):
    desk = TrainingDesk(a_desk(tmp_path, says=SAYS_ALL_THERE))
    for _ in range(3):
        desk.check("boxes", wait_s=30)
    assert asked(tmp_path) == 1
    (tmp_path / "desk" / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    a_desk(tmp_path, says="echo '{}'")
    with pytest.raises(DeskMissing, match="lynceus, ultralytics, torch"):
        desk.check("boxes", wait_s=30)
    (tmp_path / "desk" / "lib" / "python3.11" / "site-packages" / "torch").mkdir()
    with pytest.raises(DeskMissing):
        desk.check("boxes", wait_s=30)
    assert asked(tmp_path) == 3


def test_of_an_environment_that_hangs_no_process_outlives_the_service(tmp_path):
    desk = TrainingDesk(a_desk(tmp_path, says=f"echo $$ > {tmp_path}/pid; exec sleep 60"), limit_s=60)
    with pytest.raises(DeskNotKnown):
        desk.check("boxes", wait_s=0)
    until = time.monotonic() + 30
    while not (tmp_path / "pid").exists() or not (told := (tmp_path / "pid").read_text()):
        assert time.monotonic() < until
        time.sleep(0.02)
    desk.close()
    with pytest.raises(DeskMissing):
        desk.check("boxes", wait_s=30)
    assert not Path(f"/proc/{told.strip()}").exists()


@pytest.mark.parametrize("says", ["echo '[]'", "echo nonsense", "exit 3"])
def test_an_environment_that_answers_something_else_is_refused(tmp_path, says):
    python = a_desk(tmp_path, says=says)
    with pytest.raises(DeskMissing, match=str(python)):
        TrainingDesk(python).check("boxes", wait_s=30)


def test_while_the_environment_has_not_answered_the_page_says_so_and_follows(station, tmp_path):
    app = station.app()
    go = tmp_path / "go"
    waits = f"while [ ! -e {go} ]; do sleep 0.05; done; {SAYS_ALL_THERE}"
    app.state.trainings.desk = TrainingDesk(a_desk(tmp_path, says=waits))
    integrator = signed_in(app, Role.INTEGRATOR)
    waiting = integrator.get("/training").text
    assert "MOD-TRAINING-DESK-NOT-KNOWN" in waiting
    assert 'hx-select="#from-labels"' in waiting
    assert "is being asked and has 20 s" in waiting
    go.touch()
    until = time.monotonic() + 30
    while "MOD-TRAINING-DESK" in (known := integrator.get("/training").text):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert 'hx-select="#from-labels"' not in known
    assert asked(tmp_path) == 1


class ReadyDesk(TrainingDesk):
    """Complete, though nothing is ever run in it."""

    def lacking(self, *, wait_s: float = 0) -> dict[Lesson, DeskMissing | DeskNotKnown]:
        return {}


READY = ReadyDesk(Path(sys.executable))


def test_from_a_data_set_with_nothing_labelled_or_of_kinds_that_the_plant_has_not_nothing_begins(
    plant, labelled
):
    plant.trainings.desk = READY
    for name, wrong in (("flange", "nothing of flange is labelled"), ("nowhere", "nowhere")):
        with pytest.raises(InspectionError, match=wrong):
            plant.trainings.start("flange-surface", data_set=name, by=plant.chen, at=NOON)
    is_labelled(labelled, 1)
    plant.trainings.codes = frozenset({"chip"})
    with pytest.raises(CannotTrain, match="no crack, stain"):
        plant.trainings.start("flange-surface", data_set="flange", by=plant.chen, at=NOON)
    assert plant.trainings.now is None


class DrowsyDesk(ReadyDesk):
    """What it runs learns nothing, and takes its time."""

    def command(self, lesson: Lesson, asked: Sequence[str | Path]) -> list[str | Path]:
        return [sys.executable, "-c", "import time; time.sleep(600)", "drowsy"]

    def at_work(self) -> bool:
        lines = (place.read_bytes() for place in Path("/proc/self/task").glob("*/children"))
        children = [child.decode() for line in lines for child in line.split()]
        return any(b"drowsy" in Path("/proc", child, "cmdline").read_bytes() for child in children)


def test_a_training_that_gets_no_core_fails_and_its_process_does_not_run_on_where_it_may_not(plant, labelled):
    class Gone(Cores):
        """A core that was taken from this machine since it was counted."""

        def left(self) -> tuple[int, ...]:
            return (8000,)

    is_labelled(labelled, 24)
    plant.trainings.cores, plant.trainings.desk = Gone({}, frozenset), DrowsyDesk(Path(sys.executable))
    plant.trainings.start("flange-surface", data_set="flange", by=plant.chen, at=NOON)
    ended = plant.ended()
    assert (ended.condition, ended.problem.code) == ("failed", "MOD-TRAINING-FAILED")
    assert not plant.trainings.desk.at_work()


def test_a_process_whose_threads_come_and_go_is_moved_to_other_cores_and_goes_on():
    """As pools of threads do: some are gone between being listed and being moved."""
    busy = (
        "import threading, time\n"
        "while True:\n"
        "    some = [threading.Thread(target=time.sleep, args=(0.002,)) for _ in range(8)]\n"
        "    [one.start() for one in some]; [one.join() for one in some]\n"
    )
    with subprocess.Popen([sys.executable, "-c", busy]) as process:
        try:
            until = time.monotonic() + 2
            while time.monotonic() < until:
                move(process.pid, CORES[-1:])
            assert os.sched_getaffinity(process.pid) == {CORES[-1]}
        finally:
            process.kill()


def test_a_policy_that_refuses_the_training_tool_is_heard_before_anything_is_learnt(plant, labelled):
    plant.trainings.desk = READY
    is_labelled(labelled, 1)
    folder = Path(os.environ["LYNCEUS_MODELS"])
    folder.mkdir(exist_ok=True)
    (folder / "policy.toml").write_text('refuse = ["agpl"]')
    with pytest.raises(CannotTrain, match="agpl"):
        plant.trainings.start("flange-surface", data_set="flange", by=plant.chen, at=NOON)
    assert plant.trainings.now is None


def test_a_set_whose_licence_the_policy_refuses_teaches_nothing(plant, labelled):
    is_labelled(labelled, 24)
    labelled.describe("flange", Provenance(source="a mirror", licence="CC BY-NC 4.0"))
    folder = Path(os.environ["LYNCEUS_MODELS"])
    folder.mkdir(exist_ok=True)
    (folder / "policy.toml").write_text('refuse = ["non_commercial"]')
    plant.trainings.desk = READY
    with pytest.raises(CannotTrain, match="non_commercial: flange is under CC BY-NC"):
        plant.trainings.start("flange-pixels", data_set="flange", gives="maps", by=plant.chen, at=NOON)


@pytest.mark.parametrize(("name", "gives"), [("magnetic-tile", "boxes"), (STRIP, "maps")])
def test_a_model_that_gives_maps_is_not_trained_to_give_boxes_nor_the_other_way_round(
    plant, labelled, name, gives
):
    plant.trainings.desk = READY
    is_labelled(labelled, 1)
    with pytest.raises(CannotTrain, match=f"asked for are {gives}"):
        plant.trainings.start(name, data_set="flange", gives=gives, by=plant.chen, at=NOON)


def test_of_a_data_set_too_small_to_train_from_the_training_says_how_many_are_needed(plant, labelled):
    plant.trainings.desk = READY
    is_labelled(labelled, 6)
    plant.trainings.start("flange-surface", data_set="flange", by=plant.chen, at=NOON)
    ended = plant.ended()
    assert (ended.condition, ended.problem.code) == ("failed", "MOD-SET-UNFIT")
    assert ended.problem.facts["wrong"] == "6 labelled pictures, at least 20 are needed"


def test_which_pixels_are_to_be_found_is_chosen_on_the_page_and_told_to_programs(station, labelled):
    app = station.app()
    app.state.trainings.desk = READY
    is_labelled(labelled, 6)
    integrator = signed_in(app, Role.INTEGRATOR)
    asked = {"model": "flange-pixels", "data_set": "flange", "gives": "maps"}
    assert integrator.post("/training", data=asked).status_code == 303
    while (told := integrator.get("/api/v1/training").json())["ended_at"] is None:
        time.sleep(0.02)
    assert (told["gives"], told["problem"]["code"]) == ("maps", "MOD-SET-UNFIT")
    assert "from flange · pixels" in integrator.get("/training").text
    for given in (asked | {"gives": "circles"}, asked | {"data_set": None, "gives": "circles"}):
        assert integrator.post("/api/v1/training", json=given).status_code == 422


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not TRAINING_PYTHON.exists(), reason="not there: make .venv-training/ready")
def test_good_parts_teach_networks_of_their_own_too_which_no_other_licence_restricts(plant, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    # The quick way rests on a network that such a plant may not use.
    folder = Path(os.environ["LYNCEUS_MODELS"])
    folder.mkdir(exist_ok=True)
    (folder / "policy.toml").write_text('refuse = ["no_licence", "research_only"]')
    plant.accepted_after_all(LEAST_PICTURES)
    plant.start()
    assert plant.ended().problem.code == "MOD-LICENCE-REFUSED"
    plant.trainings.desk, plant.trainings.steps = TrainingDesk(TRAINING_PYTHON, limit_s=300), 20
    plant.trainings.desk.check("good_parts", wait_s=300)
    plant.trainings.start(NAME, since=YESTERDAY, thorough=True, by=plant.chen, at=NOON)
    shares = set()
    while (now := plant.now).is_running:
        shares.add(now.share)
        time.sleep(0.02)
    assert (now.condition, now.thorough, now.pictures, now.problem) == ("done", True, LEAST_PICTURES, None), (
        now.log
    )
    assert any(0 < share < 1 for share in shares)
    card = plant.life.models.find(NAME, "1.0.0").card
    assert (card.task, card.kinds, card.restrictions) == ("maps", (KIND,), ())
    assert "torch" not in sys.modules


def test_without_torch_good_parts_are_learnt_quickly_and_the_page_says_what_thoroughly_lacks(
    station, tmp_path
):
    app = station.app()
    app.state.trainings.desk = TrainingDesk(a_desk(tmp_path, says=says_that_it_has()))
    with pytest.raises(DeskMissing, match=": torch"):
        app.state.trainings.desk.check("good_parts", wait_s=30)
    integrator = signed_in(app, Role.INTEGRATOR)
    page = integrator.get("/training").text
    assert 'name="thorough"' not in page
    assert "It cannot be learnt thoroughly here, only quickly." in page
    given = {"model": NAME, "since": "2026-11-01T00:00:00Z", "thorough": True}
    told = integrator.post("/api/v1/training", json=given)
    assert (told.status_code, told.json()["code"]) == (409, "MOD-TRAINING-DESK-MISSING")
    assert integrator.get("/api/v1/training").json() is None


def test_thoroughly_is_chosen_on_the_page_and_told_to_programs_and_goes_with_good_parts_alone(station):
    app = station.app()
    app.state.trainings.desk = READY
    integrator = signed_in(app, Role.INTEGRATOR)
    assert 'name="thorough"' in integrator.get("/training").text
    asked = {"model": NAME, "since": "2026-11-01", "thorough": "true"}
    assert integrator.post("/training", data=asked).status_code == 303
    while (told := integrator.get("/api/v1/training").json())["ended_at"] is None:
        time.sleep(0.02)
    assert (told["thorough"], told["problem"]["code"]) == (True, "MOD-SET-UNFIT")
    assert "· thoroughly" in integrator.get("/training").text
    given = {"model": NAME, "data_set": "flange", "thorough": True}
    assert integrator.post("/api/v1/training", json=given).status_code == 422
