"""The life of a model, from what operators overruled to a promotion that is taken back, on a lane that runs.

The trainings are real and short: the fit from good pictures (`models/anomaly.py`), which takes seconds.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count

import cv2
import numpy as np
import pytest

from inspection.errors import InspectionError
from inspection.identity import IdentifierCode
from inspection.types import Box, Detections, Frame, ModelRef, PictureRef, Verdict
from models.anomaly import KIND, fit, write
from models.datasets import version_of
from models.errors import DetectionFailed, SetUnfit, VersionTaken
from models.in_force import IN_FORCE, ModelsInForce
from models.labels import LabelledFile, LabelledSet, Truth, read_yolo, write_yolo
from models.store import ModelStore
from services.access import RightMissing
from services.evaluating import evaluate
from services.model_life import (
    LEAST_TIMED,
    LEAST_WATCHED,
    GateClosed,
    GoldSetDiffers,
    ModelLife,
    NoCandidate,
    NoGoldSet,
    NotApproved,
    NothingBefore,
    drifted,
    refuses_more,
    takes_longer,
)
from services.reviewed import reviewed
from services.station.build import build_recipe
from services.station.change_over import Changer
from services.station.change_over import InForce as RecipesInForce
from services.station.engine import Followed
from services.station.lane import Lane
from services.station.pace import Paced, pace_file, pace_of
from services.station.shadow import Shadowed, tallied, tally_file
from services.station.units import CountedUnits
from station_config import load_recipe, load_station
from tests.builders import NOON, a_defect, a_unit, an_inspection
from tests.databases import ENGINES, a_database
from tests.models.drawn_metal import surface, with_hole
from tests.models.networks import a_model, answering
from tests.services.station.test_lane import Keeps, Sees, SeesOneMark
from traceability.accounts import Accounts, Role, note
from traceability.errors import DiskFull
from traceability.images import ImageStore
from traceability.reviews import Decision, Reviews
from traceability.store import TraceStore

NAME = "ground-metal"
STRIP = load_station("demo").lanes[0]
RECIPE = f"""
name = "ground"
revision = 1
product = "plate"
[detector]
model = "{NAME}"
version = "in_force"
[[limits]]
kind = "{KIND}"
measure = "score"
review_from = 0.0
"""


def rough(seed: int) -> np.ndarray:
    """Of another lot: coarser grain, and a smear that is allowed."""
    picture = surface(seed)
    smear = np.zeros(picture.shape, np.float32)
    cv2.ellipse(smear, (128, 90), (60, 22), 20, 0, 360, (1,), -1)
    light = 1 + 0.45 * cv2.GaussianBlur(smear, (0, 0), 3)
    return np.clip(picture * light, 0, 255).astype(np.uint8)


def under_a_failing_lamp(picture: np.ndarray) -> np.ndarray:
    stripes = np.where(np.arange(picture.shape[1]) // 12 % 4 == 0, 0.35, 1.0)
    return np.asarray(picture * stripes, np.uint8)


class Shows:
    """A camera that shows these pictures, one a unit."""

    def __init__(self, pictures) -> None:
        self._pictures = pictures

    def __enter__(self):
        return self

    def __exit__(self, *_): ...

    def frames(self):
        for sequence, pixels in enumerate(self._pictures):
            yield Frame(pixels=pixels, camera="top", sequence=sequence, captured_at=NOON)


class Plant:
    """A lane, its records, its models and its people."""

    def __init__(self, folder, store: TraceStore) -> None:
        self.store = store
        self.folder = folder / "models"
        self.images = ImageStore(folder / "pictures")
        self.life = ModelLife(store, ModelStore(plant=self.folder), pictures_beside=30)
        accounts = Accounts(store)
        self.chen, self.wang, self.li = (
            accounts.add(name=name, title=name, role=role, password_hash=None, by=None, at=NOON)
            for name, role in (("chen", Role.INTEGRATOR), ("wang", Role.ENGINEER), ("li", Role.OPERATOR))
        )
        self.recipe_file = folder / "ground.toml"
        self.recipe_file.write_text(RECIPE, encoding="utf-8")
        self.numbers = count(1)

    def start(self) -> None:
        self.sink = Keeps()
        self.lane = Lane(
            name="strip",
            station="s",
            recipe=build_recipe(self._load()),
            units=lambda: CountedUnits(1, self._mint),
            sinks=[self.sink],
            stop=threading.Event(),
            holds=256,
        )
        self.said = []
        self.changer = Changer(
            {"strip": (STRIP, self.lane)},
            build=lambda recipe, workers: build_recipe(recipe, workers=workers),
            say=self.said.append,
            in_force=RecipesInForce(None),
            load=lambda name: self._load(),
        )
        self.followed = Followed(ModelsInForce(self.folder))

    def _load(self):
        return load_recipe(str(self.recipe_file))

    def _mint(self) -> IdentifierCode:
        code = f"P{next(self.numbers)}"
        return IdentifierCode(scheme="plain", raw=code, canon=code)

    def inspect(self, pictures):
        """What the lane says of them, recorded with their pictures; what was promoted meanwhile is taken up first."""
        if self.followed.have_changed():
            known = len(self.said)
            self.changer.rebuild()
            wait_until(lambda: any(one.condition in ("ready", "refused") for one in self.said[known:]))
        before = len(self.sink.done)
        self.lane.run(Shows(pictures), started=lambda: None)
        kept = []
        for pixels, unit in zip(pictures, self.sink.done[before:], strict=True):
            sha256 = self.images.put(cv2.imencode(".png", pixels)[1].tobytes())
            shown = PictureRef(sha256=sha256, camera="top", sequence=len(kept), width_px=256, height_px=256)
            kept.append(replace(unit, pictures=(shown,)))
        self.store.record(kept)
        assert all(unit.unaccounted == 0 for unit in kept)
        return kept

    def overrule(self, units) -> None:
        for unit in units:
            Reviews(self.store).decide(unit.id, Decision.ACCEPT, by=self.li, at=NOON + timedelta(minutes=5))

    def learn(self, folder, version: str, *, since_unit: int, beside=()) -> None:
        """What people decided about the units from that one on, laid out as a set, and a model fitted from it."""
        now = NOON + timedelta(minutes=10)
        made = reviewed(self.store, self.images, folder, since=NOON, until=now)
        write_yolo(made.labelled, folder / "set")
        learnt = read_yolo(folder / "set")
        good = [
            np.asarray(cv2.imread(str(learnt.file(one)), cv2.IMREAD_GRAYSCALE), np.uint8)
            for one in learnt.pictures
        ]
        assert len(good) == since_unit
        self.release([*good, *beside], version)

    def release(self, good, version: str) -> None:
        made = fit(good, name=NAME, version=version, source="drawn", versions_each=2, steps=200)
        write(made, self.folder)

    def gold(self, folder):
        """Both lots, with and without a hole: never learned from."""
        pictures = []
        (folder / "images").mkdir(parents=True)
        for seed in range(300, 315):
            lots = {"plain": surface(seed), "rough": rough(seed), "hole": with_hole(seed)}
            for lot, pixels in lots.items():
                name = f"images/{lot}_{seed}.png"
                cv2.imwrite(str(folder / name), pixels)
                hole = (Truth(kind=KIND, box_px=Box(70, 166, 90, 186)),) if lot == "hole" else ()
                pictures.append(LabelledFile(name=name, width_px=256, height_px=256, truth=hole))
        return LabelledSet(folder=folder, kinds=(KIND,), pictures=tuple(pictures))

    def judge(self, gold, *, took_ms=(5.0, 5.0)):
        """With what each takes as given: how busy this machine is between the two is not what is judged."""
        stands = self.life.standing(NAME)
        champion, challenger = (
            evaluate(gold, NAME, version, store=self.life.models)
            for version in (stands.in_force, stands.candidate)
        )
        version = version_of(gold)
        return self.life.judge(
            NAME, champion, challenger, took_ms=took_ms, gold=version, by=self.chen, at=NOON
        )

    def lock(self, gold):
        pictures = len(gold.pictures)
        return self.life.lock_gold(NAME, version_of(gold), pictures=pictures, by=self.wang, at=NOON)


def wait_until(true, *, timeout_s: float = 60) -> None:
    until = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def plant(tmp_path, monkeypatch):
    monkeypatch.setenv("LYNCEUS_MODELS", str(tmp_path / "models"))
    with TraceStore.open(f"sqlite:///{tmp_path / 'lynceus.db'}") as store:
        yield Plant(tmp_path, store)


@pytest.mark.timeout(600)
def test_from_thirty_overruled_verdicts_to_a_promotion_that_a_drift_takes_back(plant, tmp_path):
    """The fits take seconds each, and so do some hundreds of pictures."""
    plain = [surface(seed) for seed in range(12)]
    plant.release(plain, "1.0.0")
    gold = plant.gold(tmp_path / "gold")
    assert plant.lock(gold).gold_by == "wang"
    plant.start()

    # A new lot: what is allowed on it is reported, and people overrule it, thirty of them with a hole by mistake.
    mistaken = plant.inspect([with_hole(seed) for seed in range(400, 430)])
    assert {unit.verdict for unit in mistaken} == {Verdict.REVIEW}
    plant.overrule(mistaken)
    plant.learn(tmp_path / "first", "1.1.0", since_unit=30)
    plant.life.propose(NAME, "1.1.0", by=plant.chen, at=NOON)
    blocked = plant.judge(gold)
    assert not blocked.has_passed
    assert "anomaly" in {gate["what"] for gate in blocked.gates if not gate["passed"]}
    with pytest.raises(GateClosed, match="anomaly"):
        plant.life.approve(NAME, by=plant.wang, at=NOON)
    with pytest.raises(GateClosed, match="anomaly"):
        plant.life.promote(NAME, by=plant.chen, at=NOON)

    # The mistakes are left out, and what is allowed is learned from.
    plant.release([*plain, *(rough(seed) for seed in range(500, 512))], "1.2.0")
    plant.life.propose(NAME, "1.2.0", by=plant.chen, at=NOON)
    assert plant.judge(gold).has_passed
    with pytest.raises(GateClosed, match="second person"):
        plant.life.approve(NAME, by=plant.chen, at=NOON)
    with pytest.raises(NotApproved):
        plant.life.promote(NAME, by=plant.chen, at=NOON)
    plant.life.approve(NAME, by=plant.wang, at=NOON)
    with pytest.raises(GateClosed, match="looked on at 0 of"):
        plant.life.promote(NAME, by=plant.chen, at=NOON)

    # It looks on, at the pace it is allowed, while the one in force judges.
    shown = [surface(600 + turn % 20) for turn in range(LEAST_WATCHED)]
    before = plant.inspect(shown)
    while plant.life.beside(NAME)["seen"] < plant.life.pictures_beside:
        plant.inspect(shown)
    assert {ref.version for unit in before for ref in unit.models} == {"1.0.0"}
    plant.life.promote(NAME, by=plant.chen, at=NOON)
    after = plant.inspect(shown)
    assert {ref.version for unit in after for ref in unit.models} == {"1.2.0"}
    assert plant.life.watch(NAME, at=NOON) == ()

    # The lamp fails.
    plant.inspect([under_a_failing_lamp(picture) for picture in shown])
    assert "rejected" in {drift.what for drift in plant.life.watch(NAME, at=NOON)}
    back = plant.inspect(shown[:3])
    assert {ref.version for unit in back for ref in unit.models} == {"1.0.0"}

    steps = [(step.action, step.person) for step in plant.life.steps(NAME)]
    assert steps == [
        ("model.gold_locked", "wang"),
        ("model.proposed", "chen"),
        ("model.blocked", "chen"),
        ("model.proposed", "chen"),
        ("model.passed", "chen"),
        ("model.approved", "wang"),
        ("model.promoted", "chen"),
        ("model.taken_back", None),
    ]
    account = plant.lane.account
    assert account.exposures == account.inspected + account.failed + account.lost
    assert account.lost == account.failed == 0
    assert set(plant.life.models.versions()[NAME]) == {"1.0.0", "1.1.0", "1.2.0"}


def test_who_may_not_configure_proposes_nothing_and_what_is_in_force_is_no_candidate(plant):
    release_untrained(plant, "1.0.0", "1.1.0")
    with pytest.raises(RightMissing):
        plant.life.propose(NAME, "1.1.0", by=plant.li, at=NOON)
    with pytest.raises(GateClosed, match="in force already"):
        plant.life.propose(NAME, "1.0.0", by=plant.chen, at=NOON)
    with pytest.raises(NoCandidate):
        plant.life.approve(NAME, by=plant.wang, at=NOON)
    with pytest.raises(NothingBefore):
        plant.life.take_back(NAME, by=plant.chen, at=NOON, reason="it looks odd")
    assert plant.life.steps(NAME) == ()


def test_a_candidate_is_judged_by_the_locked_set_to_the_last_label_and_by_no_other(plant, tmp_path):
    release_untrained(plant, "1.0.0", "1.1.0")
    plant.life.propose(NAME, "1.1.0", by=plant.chen, at=NOON)
    gold = plant.gold(tmp_path / "gold")
    with pytest.raises(NoGoldSet):
        plant.judge(gold)
    with pytest.raises(RightMissing):
        plant.life.lock_gold(NAME, "0" * 64, pictures=1, by=plant.li, at=NOON)
    plant.lock(gold)
    moved = Truth(kind=KIND, box_px=Box(71, 166, 91, 186))
    relabelled = [replace(one, truth=(moved,) if one.truth else ()) for one in gold.pictures]
    for other in (replace(gold, pictures=gold.pictures[:-1]), replace(gold, pictures=tuple(relabelled))):
        with pytest.raises(GoldSetDiffers):
            plant.judge(other)
    judged = plant.judge(gold)
    assert judged.has_passed
    told = plant.life.steps(NAME)[-1].after
    assert told["gold"] == version_of(gold) == judged.gold
    assert (told["version"], told["in_force"]["version"]) == ("1.1.0", "1.0.0")
    found = [plant.life.models.find(NAME, version).card.sha256 for version in ("1.1.0", "1.0.0")]
    assert [told["sha256"], told["in_force"]["sha256"]] == found


def test_a_gold_set_without_a_good_picture_judges_nobody(plant, tmp_path):
    release_untrained(plant, "1.0.0", "1.1.0")
    gold = plant.gold(tmp_path / "gold")
    defective = replace(gold, pictures=tuple(one for one in gold.pictures if one.truth))
    plant.lock(defective)
    plant.life.propose(NAME, "1.1.0", by=plant.chen, at=NOON)
    with pytest.raises(SetUnfit, match="alarms everywhere"):
        plant.judge(defective)
    assert plant.life.standing(NAME).gates == ()


def test_a_candidate_that_does_not_know_a_kind_any_more_is_blocked_though_the_gold_set_shows_none_of_it(
    plant, tmp_path
):
    release_finding(plant, "1.0.0", "scratch", "crack")
    release_finding(plant, "1.1.0", "scratch")
    (tmp_path / "images").mkdir()
    scratch = Truth(kind="scratch", box_px=Box(10, 10, 20, 20))
    pictures = []
    for name, truth in (("images/bad.png", (scratch,)), ("images/good.png", ())):
        cv2.imwrite(str(tmp_path / name), np.full((64, 64), 128, np.uint8))
        pictures.append(LabelledFile(name=name, width_px=64, height_px=64, truth=truth))
    gold = LabelledSet(folder=tmp_path, kinds=("scratch",), pictures=tuple(pictures))
    plant.lock(gold)
    plant.life.propose(NAME, "1.1.0", by=plant.chen, at=NOON)
    judged = plant.judge(gold)
    assert [gate["what"] for gate in judged.gates if not gate["passed"]] == ["kinds"]
    assert plant.life.steps(NAME)[-1].action == "model.blocked"
    with pytest.raises(GateClosed, match="crack"):
        plant.life.approve(NAME, by=plant.wang, at=NOON)


def test_a_new_gold_set_has_the_candidate_judged_again(plant, tmp_path):
    release_untrained(plant, "1.0.0", "1.1.0")
    gold = plant.gold(tmp_path / "gold")
    plant.lock(gold)
    plant.life.propose(NAME, "1.1.0", by=plant.chen, at=NOON)
    assert plant.judge(gold).has_passed
    plant.life.approve(NAME, by=plant.wang, at=NOON)
    stands = plant.lock(replace(gold, pictures=gold.pictures[:-1]))
    assert (stands.has_passed, stands.approved_by, stands.candidate) == (False, None, "1.1.0")
    with pytest.raises(GateClosed, match="not been judged"):
        plant.life.promote(NAME, by=plant.chen, at=NOON)


@pytest.mark.parametrize(
    ("took_ms", "passes"),
    [((8.0, 10.0), True), ((8.0, 10.1), False), ((0.3, 1.2), True), ((0.3, 1.4), False)],
)
def test_a_candidate_may_take_a_quarter_longer_or_one_millisecond_and_no_more(
    plant, tmp_path, took_ms, passes
):
    release_untrained(plant, "1.0.0", "1.1.0")
    gold = plant.gold(tmp_path / "gold")
    plant.lock(gold)
    plant.life.propose(NAME, "1.1.0", by=plant.chen, at=NOON)
    judged = plant.judge(gold, took_ms=took_ms)
    assert judged.has_passed == passes
    assert [gate["passed"] for gate in judged.gates if gate["what"] == "latency"] == [passes]


def test_a_new_candidate_begins_without_the_gates_and_the_approval_of_the_one_before(plant):
    release_untrained(plant, "1.0.0", "1.1.0", "1.2.0")
    plant.life.propose(NAME, "1.1.0", by=plant.chen, at=NOON)
    plant.life.propose(NAME, "1.2.0", by=plant.chen, at=NOON)
    stands = plant.life.standing(NAME)
    assert (stands.candidate, stands.gates, stands.approved_by) == ("1.2.0", (), None)
    assert ModelsInForce(plant.folder).beside(NAME) == "1.2.0"


def test_a_candidate_that_was_judged_beside_a_model_that_is_taken_back_is_judged_again_and_looks_on(plant):
    release_untrained(plant, "1.0.0", "1.1.0", "1.2.0")
    promote_unwatched(plant, "1.1.0")
    plant.life.propose(NAME, "1.2.0", by=plant.chen, at=NOON)
    passes(plant, "1.2.0")
    assert plant.life.standing(NAME).approved_by == "wang"
    stands = plant.life.take_back(NAME, by=plant.chen, at=NOON, reason="it lets scratches through")
    assert (stands.in_force, stands.candidate, stands.gates, stands.approved_by) == (
        "1.0.0",
        "1.2.0",
        (),
        None,
    )
    assert ModelsInForce(plant.folder).beside(NAME) == "1.2.0"


@pytest.fixture
def upgraded(plant, tmp_path):
    """The plant's own 1.4.0, judged beside the 1.3.0 that came with Lynceus. Gives the folder of the package."""
    package = tmp_path / "package"
    plant.life = ModelLife(plant.store, ModelStore(package, plant.folder), pictures_beside=0)
    release_untrained(plant, "1.3.0", into=package)
    release_untrained(plant, "1.4.0")
    plant.life.propose(NAME, "1.4.0", by=plant.chen, at=NOON)
    passes(plant, "1.4.0")
    return package


def test_a_candidate_is_judged_again_where_an_upgrade_has_brought_another_version_into_force(plant, upgraded):
    release_untrained(plant, "1.3.1", into=upgraded)
    stands = plant.life.standing(NAME)
    assert (stands.in_force, stands.candidate, stands.gates, stands.approved_by) == (
        "1.3.1",
        "1.4.0",
        (),
        None,
    )
    with pytest.raises(GateClosed, match="not been judged"):
        plant.life.promote(NAME, by=plant.chen, at=NOON)
    passes(plant, "1.4.0")
    assert plant.life.promote(NAME, by=plant.chen, at=NOON).in_force == "1.4.0"


def test_an_upgrade_that_brings_the_promoted_version_with_other_bytes_does_not_judge_in_its_place(
    plant, upgraded
):
    plant.life.promote(NAME, by=plant.chen, at=NOON)
    release_untrained(plant, "1.4.0", into=upgraded, answer=0.9)
    with pytest.raises(VersionTaken):
        plant.life.models.find(NAME, IN_FORCE)
    plant.life.take_back(NAME, by=plant.chen, at=NOON, reason="there are two of it")
    assert plant.life.models.find(NAME, IN_FORCE).card.version == "1.3.0"


def test_a_network_that_was_changed_after_it_was_judged_is_not_promoted(plant, upgraded):
    shutil.rmtree(plant.folder / NAME / "1.4.0")
    release_untrained(plant, "1.4.0", answer=0.9)
    with pytest.raises(GateClosed, match="Judged was"):
        plant.life.promote(NAME, by=plant.chen, at=NOON)
    assert plant.life.standing(NAME).in_force == "1.3.0"


def test_a_model_that_is_promoted_while_the_watch_reads_is_not_taken_back_for_the_one_before(plant):
    plant.life = ModelLife(plant.store, plant.life.models, pictures_beside=0)
    release_untrained(plant, "1.0.0", "2.0.0", "3.0.0")
    promote_unwatched(plant, "2.0.0")
    plant.life.propose(NAME, "3.0.0", by=plant.chen, at=NOON)
    passes(plant, "3.0.0")
    plant.store.record(judged_by("1.0.0", Verdict.ACCEPT))
    plant.store.record(judged_by("2.0.0", Verdict.REVIEW))
    records = ReadWhile(plant.store, lambda: plant.life.promote(NAME, by=plant.chen, at=NOON))
    assert ModelLife(records, plant.life.models).watch(NAME, at=NOON) == ()
    assert plant.life.standing(NAME).in_force == "3.0.0"
    assert plant.life.steps(NAME)[-1].action == "model.promoted"


def test_a_model_that_the_watch_finds_wanting_is_taken_back_where_nobody_steps_between(plant):
    release_untrained(plant, "1.0.0", "2.0.0")
    promote_unwatched(plant, "2.0.0")
    plant.store.record(judged_by("1.0.0", Verdict.ACCEPT))
    plant.store.record(judged_by("2.0.0", Verdict.REVIEW))
    assert [drift.what for drift in plant.life.watch(NAME, at=NOON)] == ["rejected"]
    assert plant.life.standing(NAME).in_force == "1.0.0"


def test_a_candidate_that_was_replaced_while_it_was_read_is_not_promoted(plant):
    class ReadsWhileAnotherIsProposed(ModelStore):
        def find(self, name, version=None):
            found = ModelStore.find(self, name, version)
            plant.life.propose(NAME, "1.2.0", by=plant.chen, at=NOON)
            return found

    release_untrained(plant, "1.0.0", "1.1.0", "1.2.0")
    plant.life.propose(NAME, "1.1.0", by=plant.chen, at=NOON)
    passes(plant, "1.1.0")
    reads = ReadsWhileAnotherIsProposed(plant=plant.folder)
    with pytest.raises(GateClosed, match=r"1\.2\.0 waits by now"):
        ModelLife(plant.store, reads, pictures_beside=0).promote(NAME, by=plant.chen, at=NOON)
    stands = plant.life.standing(NAME)
    assert (stands.in_force, stands.candidate) == ("1.0.0", "1.2.0")


@pytest.mark.parametrize("engine", ENGINES)
def test_of_several_who_take_a_model_back_at_once_one_does_and_the_others_are_told(engine, tmp_path):
    with a_database(engine, tmp_path) as url, TraceStore.open(url) as store:
        plant = Plant(tmp_path, store)
        release_untrained(plant, "1.0.0", "2.0.0")
        promote_unwatched(plant, "2.0.0")
        at_once = threading.Barrier(4)

        def takes_back(number: int) -> str:
            at_once.wait()
            try:
                plant.life.take_back(NAME, by=plant.chen, at=NOON, reason=f"hand {number}")
            except InspectionError as error:
                return error.code
            return "taken back"

        with ThreadPoolExecutor(4) as hands:
            told = sorted(hands.map(takes_back, range(4)))
        assert told[-1] == "taken back"
        assert set(told[:-1]) <= {"MOD-IN-FORCE-CHANGED", "MOD-NOTHING-BEFORE"}
        assert [step.action for step in plant.life.steps(NAME)].count("model.taken_back") == 1
        assert plant.life.standing(NAME).in_force == "1.0.0"


def test_who_asks_while_a_taking_back_is_half_done_takes_back_nothing_more(plant):
    """The file says already what judges, the record not yet: the version that judges would be before itself."""
    release_untrained(plant, "1.0.0", "2.0.0")
    promote_unwatched(plant, "2.0.0")
    half_done = replace(plant.life.standing(NAME), in_force="1.0.0")
    plant.life.take_back(NAME, by=plant.chen, at=NOON, reason="hand 1")

    early = [half_done]

    class AskedEarly(ModelLife):
        def standing(self, name):
            return early.pop() if early else ModelLife.standing(self, name)

    second = AskedEarly(plant.store, plant.life.models, pictures_beside=0)
    with pytest.raises(NothingBefore):
        second.take_back(NAME, by=plant.chen, at=NOON, reason="hand 2")
    assert [step.action for step in plant.life.steps(NAME)].count("model.taken_back") == 1


def test_a_promotion_that_the_records_cannot_keep_brings_nothing_into_force(plant):
    release_untrained(plant, "1.0.0", "1.1.0")
    plant.life.propose(NAME, "1.1.0", by=plant.chen, at=NOON)
    passes(plant, "1.1.0")
    full = ModelLife(FullAtTheEnd(plant.store), plant.life.models, pictures_beside=0)
    with pytest.raises(DiskFull):
        full.promote(NAME, by=plant.chen, at=NOON)
    stands = plant.life.standing(NAME)
    assert (stands.in_force, stands.candidate) == ("1.0.0", "1.1.0")
    assert ModelsInForce(plant.folder).beside(NAME) == "1.1.0"
    with pytest.raises(DiskFull):
        full.propose(NAME, "1.1.0", by=plant.chen, at=NOON)
    assert ModelsInForce(plant.folder).beside(NAME) == "1.1.0"


def test_a_candidate_that_fails_costs_nothing_and_is_counted(tmp_path):
    def broken():
        raise OSError("no such file")

    detector = Shadowed(SeesOneMark(), broken, tally_file(tmp_path, NAME, "1.1.0"))
    assert detector.detect(surface(1)).kind == ("pits",)
    wait_until(lambda: tallied(tmp_path, NAME, "1.1.0")["failed"] == 1)
    assert tallied(tmp_path, NAME, "1.1.0")["seen"] == 0


def test_what_a_candidate_says_is_counted_beside_what_was_reported(tmp_path):
    file = tally_file(tmp_path, NAME, "1.1.0")
    detector = Shadowed(SeesOneMark(), Sees, file)
    detector.detect(surface(1))
    wait_until(lambda: tallied(tmp_path, NAME, "1.1.0")["only_in_force"] == 1)
    assert tallied(tmp_path, NAME, "1.1.0")["kinds"]["pits"]["only_in_force"] == 1


def test_a_full_disk_does_not_end_the_looking_on_and_what_was_counted_is_written_when_there_is_room(
    tmp_path,
):
    looks = Counts()
    detector = Shadowed(SeesOneMark(), lambda: looks, tally_file(tmp_path, NAME, "1.1.0"))
    # Where the folder would be lies a file: nothing can be written, as on a full disk.
    (tmp_path / "beside").write_bytes(b"")
    detector.detect(surface(1))
    wait_until(lambda: looks.count == 1)
    (tmp_path / "beside").unlink()

    def both_are_counted() -> bool:
        detector.detect(surface(1))
        return tallied(tmp_path, NAME, "1.1.0")["seen"] >= 2

    wait_until(both_are_counted, timeout_s=20)


def units(count, *, rejected, score):
    return [
        an_inspection(unit=a_unit(), verdict=Verdict.REVIEW, defects=(replace(a_defect(), score=score),))
        if number < rejected
        else an_inspection()
        for number in range(count)
    ]


def test_units_that_are_as_before_are_no_drift_and_many_more_refused_are():
    assert drifted(units(100, rejected=3, score=0.6), units(100, rejected=5, score=0.6)) == ()
    found = drifted(units(100, rejected=3, score=0.6), units(100, rejected=40, score=0.6))
    assert {one.what for one in found} == {"rejected", "scores"}


def test_scores_that_fall_are_a_drift_though_as_many_are_refused():
    found = drifted(units(100, rejected=60, score=0.9), units(100, rejected=60, score=0.55))
    assert {one.what for one in found} == {"scores"}


def test_a_model_that_refuses_more_than_the_one_before_is_told_from_one_that_refuses_less():
    few, many = units(100, rejected=3, score=0.6), units(100, rejected=40, score=0.6)
    assert [one.what for one in refuses_more(few, many)] == ["rejected"]
    assert refuses_more(many, few) == ()


def test_a_model_that_takes_longer_on_the_line_than_the_one_before_is_taken_back(plant):
    release_untrained(plant, "1.0.0", "1.1.0")
    promote_unwatched(plant, "1.1.0")
    for version, pause_s in (("1.0.0", 0.001), ("1.1.0", 0.004)):
        paced = Paced(Takes(pause_s), pace_file(plant.folder, NAME, version), every_s=0.05)
        for _ in range(LEAST_TIMED):
            paced.detect(surface(1))
        wait_until(
            lambda version=version: len(pace_of(plant.folder, NAME, version).get("256x256", ())) >= 200
        )
    (drift,) = plant.life.watch(NAME, at=NOON)
    assert drift.what == "latency"
    assert drift.after > 1.5 * drift.before
    stands = plant.life.standing(NAME)
    assert (stands.in_force, stands.before) == ("1.0.0", None)
    assert "latency" in plant.life.steps(NAME)[-1].reason


def test_a_model_that_takes_as_long_as_the_one_before_stays_however_busy_the_machine_was_now_and_then():
    even = [10.0 + 0.01 * (n % 7) for n in range(LEAST_TIMED)]
    busy = [time if n % 2 else 4 * time for n, time in enumerate(even)]
    assert takes_longer({"400x800": even}, {"400x800": busy}) == ()
    assert takes_longer({"400x800": even}, {"400x800": [2 * time for time in even[1:]]}) == ()
    assert takes_longer({"400x800": even}, {"200x200": [2 * time for time in even]}) == ()
    assert [
        one.what for one in takes_longer({"400x800": even}, {"400x800": [2 * time for time in even]})
    ] == ["latency"]


def test_a_picture_that_the_detector_fails_on_is_timed_too(tmp_path):
    class Fails:
        def detect(self, image):
            raise DetectionFailed("gave up", action="restart")

    paced = Paced(Fails(), pace_file(tmp_path, NAME, "1.0.0"), every_s=0.02)
    with pytest.raises(DetectionFailed):
        paced.detect(surface(1))
    wait_until(lambda: len(pace_of(tmp_path, NAME, "1.0.0").get("256x256", ())) == 1)


def test_what_was_counted_and_timed_for_versions_that_are_past_is_not_kept_for_ever(plant):
    release_untrained(plant, "1.0.0", "1.1.0", "1.2.0")
    kept = [plant.folder / "beside" / f"{NAME}-1.1.0", plant.folder / "pace" / f"{NAME}-0.9.0"]
    kept += [plant.folder / "pace" / f"{NAME}-1.0.0", plant.folder / "beside" / f"{NAME}-rough-1.1.0"]
    for folder in kept:
        folder.mkdir(parents=True)
        (folder / "one.json").write_text("{}")
    plant.life.propose(NAME, "1.1.0", by=plant.chen, at=NOON)
    assert [folder.exists() for folder in kept] == [True, False, True, True]
    plant.life.propose(NAME, "1.2.0", by=plant.chen, at=NOON)
    assert [folder.exists() for folder in kept] == [False, False, True, True]


def test_each_start_of_a_worker_begins_a_file_of_times_and_those_not_read_any_more_go(plant):
    for number in range(40):
        file = pace_file(plant.folder, NAME, "1.0.0")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'{{"256x256": [{number}.0]}}')
        os.utime(file, (number, number))
    assert len(list(file.parent.glob("*.json"))) <= 17
    assert pace_of(plant.folder, NAME, "1.0.0")["256x256"][-1] == 39.0


def test_of_a_few_units_nothing_is_said():
    few = units(LEAST_WATCHED - 1, rejected=LEAST_WATCHED - 1, score=0.9)
    assert drifted(units(100, rejected=0, score=0.6), few) == ()


class Counts(Sees):
    """A detector that counts what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def detect(self, image):
        self.count += 1
        return super().detect(image)


class ReadWhile:
    """The records of a plant, while whose last units are read somebody does something."""

    def __init__(self, store: TraceStore, does) -> None:
        self._store = store
        self._does = does

    def __getattr__(self, name):
        return getattr(self._store, name)

    def latest(self, **asked):
        found = self._store.latest(**asked)
        self._does()
        return found


class FullAtTheEnd:
    """The records of a plant whose disk has no room left when a transaction is to be kept."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    @contextmanager
    def writing(self):
        with self._store.writing() as connection:
            yield connection
            raise DiskFull("No room left.", action="Free space.", place="here")


class Takes:
    """A detector that finds nothing and takes its time."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s

    def detect(self, image):
        time.sleep(self._pause_s)
        return Detections.none()


def passes(plant, version: str) -> None:
    """The candidate is judged beside what is in force by now, and approved, as the audit tells it."""
    with plant.store.writing() as connection:
        models = plant.life.models
        after = {
            "version": version,
            "sha256": models.find(NAME, version).card.sha256,
            "in_force": {"version": models.in_force(NAME)},
            "gates": [{"what": "all", "passed": True}],
        }
        note(connection, at=NOON, by=plant.chen, action="model.passed", subject=f"model:{NAME}", after=after)
    plant.life.approve(NAME, by=plant.wang, at=NOON)


def promote_unwatched(plant, version: str) -> None:
    """As the audit tells it, without the way there."""
    with plant.store.writing() as connection:
        after = {"version": version, "before": "1.0.0"}
        note(
            connection, at=NOON, by=plant.chen, action="model.promoted", subject=f"model:{NAME}", after=after
        )
    ModelsInForce(plant.folder).promote(NAME, version)


def judged_by(version: str, verdict: Verdict):
    """Enough units for the watch, of the line."""
    ref = ModelRef(name=NAME, version=version, sha256="0" * 64)
    return [
        an_inspection(unit=a_unit(f"86.999.1/{version}-{n}"), verdict=verdict, models=(ref,), simulated=False)
        for n in range(2 * LEAST_WATCHED)
    ]


def release_untrained(plant, *versions: str, into=None, answer: float = 0.0) -> None:
    for version in versions:
        made = a_model(answering({"map": np.full((1, 1, 8, 8), answer)}), (KIND,), task="maps")
        card = made.card.model_copy(update={"name": NAME, "version": version})
        write(replace(made, card=card), into or plant.folder)


def release_finding(plant, version: str, *kinds: str) -> None:
    """A network that finds the first of its kinds on every picture, at one place."""
    table = np.zeros((4 + len(kinds), 1), np.float32)
    table[:5, 0] = 15, 15, 10, 10, 0.9
    made = a_model(answering({"output0": table[None]}), kinds)
    card = made.card.model_copy(update={"name": NAME, "version": version})
    write(replace(made, card=card), plant.folder)
