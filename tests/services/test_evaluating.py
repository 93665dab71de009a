"""Two models on the same pictures: better, worse, or not to be told apart."""

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspection.errors import TooManyDetections
from inspection.types import Box, Detections
from models import open_detector
from models.anomaly import KIND, write
from models.evaluation import Judged
from models.labels import LabelledFile, LabelledSet, Truth
from models.store import ModelStore
from services.evaluating import Evaluated, Seen, compare, pace_in_turn
from tests.models.networks import a_model, answering

A = (0, 0, 20, 20)


def evaluated(right, *, kind="pits", unit=lambda name: name):
    """A model that finds the one defect of each picture, or does not; None: a clean picture it says nothing of."""
    seen = []
    for number, is_found in enumerate(right):
        truth = () if is_found is None else (Truth(kind=kind, box_px=Box(*A)),)
        picture = LabelledFile(name=f"unit{number // 2}_{number}.png", width_px=90, height_px=90, truth=truth)
        boxes = [A] if is_found else []
        judged = Judged(
            truth_xyxy=np.array([A] if truth else [], np.float32).reshape(-1, 4),
            truth_kind=tuple(one.kind for one in truth),
            found=Detections(
                xyxy=np.array(boxes, np.float32).reshape(-1, 4),
                score=np.full(len(boxes), 0.8, np.float32),
                kind=(kind,) * len(boxes),
            ),
        )
        seen.append(Seen(picture=picture, all=judged, judged=judged, ms=1.0))
    return Evaluated(model={}, kinds=(kind,), thresholds={}, seen=tuple(seen), unit_of=unit)


def gates(champion, challenger):
    return {gate.what: gate for gate in compare(evaluated(champion), evaluated(challenger))}


def test_a_challenger_that_misses_six_more_defects_is_worse():
    """Exact: 2 * 0.5 ** 6 = 0.031."""
    gate = gates([True] * 10, [True] * 4 + [False] * 6)["pits"]
    assert (gate.both, gate.only_champion, gate.only_challenger) == (4, 6, 0)
    assert gate.p == pytest.approx(2 * 0.5**6)
    assert not gate.passed()


def test_three_more_misses_may_be_chance():
    assert gates([True] * 10, [True] * 7 + [False] * 3)["pits"].passed()


def test_a_challenger_that_finds_more_passes_however_sure_it_is():
    gate = gates([False] * 9, [True] * 9)["pits"]
    assert gate.p < 0.05
    assert gate.passed()


def test_clean_pictures_are_a_gate_of_their_own():
    assert set(gates([True, None], [True, None])) == {"all", "clean", "pits"}


def test_models_that_saw_different_pictures_are_not_compared():
    with pytest.raises(ValueError, match=r"shorter|longer|different"):
        compare(evaluated([True]), evaluated([True, True]))


def test_a_unit_escapes_only_when_none_of_its_pictures_shows_it():
    pattern = re.compile(r"(unit\d+)_")
    one = evaluated([True, False, None, None], unit=lambda name: pattern.search(Path(name).name).group(1))
    bad, good = one.units()
    assert bad == {"unit0": pytest.approx(0.8)}
    assert good == {"unit1": 0.0}
    assert [point.escapes for point in one.curve() if point.threshold in (0.5, 0.9)] == [0, 1]


def test_a_network_that_answers_with_65_000_times_as_much_is_timed_as_slower(tmp_path):
    for version, side in (("1.0.0", 8), ("2.0.0", 2048)):
        made = a_model(answering({"map": np.zeros((1, 1, side, side))}), (KIND,), task="maps")
        card = made.card.model_copy(update={"name": "maps", "version": version})
        write(replace(made, card=card), tmp_path / "models")
    assert cv2.imwrite(str(tmp_path / "1.png"), np.zeros((64, 64), np.uint8))
    only = LabelledFile(name="1.png", width_px=64, height_px=64, truth=())
    gold = LabelledSet(folder=tmp_path, kinds=(KIND,), pictures=(only,))

    store = ModelStore(tmp_path / "models")
    small_ms, large_ms = pace_in_turn(gold, "maps", ("1.0.0", "2.0.0"), store=store)
    assert 0 < 2 * small_ms < large_ms


def test_a_picture_with_more_places_than_a_station_takes_is_timed_like_any_other(tmp_path):
    """Of 400 places apart from each other a detector keeps none, and says so."""
    across, down = np.meshgrid(np.arange(20) * 3 + 2.0, np.arange(20) * 3 + 2.0)
    places = np.stack([across.ravel(), down.ravel(), *np.full((2, 400), 2.0), np.full(400, 0.9)])
    made = a_model(answering({"output0": places[None].astype(np.float32)}), ("scratch",))
    card = made.card.model_copy(update={"name": "alarms", "version": "1.0.0"})
    write(replace(made, card=card), tmp_path / "models")
    assert cv2.imwrite(str(tmp_path / "1.png"), np.full((64, 64), 128, np.uint8))
    only = LabelledFile(name="1.png", width_px=64, height_px=64, truth=())
    gold = LabelledSet(folder=tmp_path, kinds=("scratch",), pictures=(only,))

    store = ModelStore(tmp_path / "models")
    with pytest.raises(TooManyDetections):
        open_detector("alarms", store=store).detect(np.full((64, 64), 128, np.uint8))
    (ms,) = pace_in_turn(gold, "alarms", ("1.0.0",), store=store)
    assert ms > 0
