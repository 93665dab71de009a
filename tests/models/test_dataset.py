import csv
from pathlib import Path

import numpy as np
import pytest

from inspection.vision.drawing import PART_KINDS, STRIP_KINDS
from models.errors import TrainingDataMissing
from models.store import ModelStore
from models.training.dataset import (
    TrainingSet,
    drawn_parts,
    drawn_strip,
    make_part_set,
    piece_of,
    read_neu,
    read_spindles,
    read_tiles,
)
from models.training.train import make_set
from tests.models.part_set import KEPT, gist
from tests.models.releases import PART, STRIP
from tests.where import shared


def test_absent_training_data_is_said_with_its_path(tmp_path):
    with pytest.raises(TrainingDataMissing) as refusal:
        read_neu(tmp_path / "neu", "train.txt")
    assert str(tmp_path) in str(refusal.value.facts["path"])


@pytest.mark.parametrize(("plan", "version"), [("strip", "1.2.0"), ("strip-quiet-11", "1.3.0")])
def test_the_strip_model_learnt_from_the_set_its_card_names(tmp_path, plan, version):
    made = make_set(plan, neu=shared("data", "neu_det"), folder=tmp_path)
    training = ModelStore().find(STRIP, version).card.training
    assert made.digest == training.digest
    assert [one.images for one in made.sources] == [one.images for one in training.sources]


def test_the_part_model_learnt_from_the_set_its_card_names(tmp_path):
    made, card = make_part_set(tmp_path), ModelStore().find(PART).card
    if made.digest == card.training.digest:
        return
    # Another processor than it was released on.
    kept, here = np.load(KEPT), gist(tmp_path)
    assert np.abs(here["means"].astype(int) - kept["means"]).max() <= 1
    np.testing.assert_allclose(here["labels"], kept["labels"], atol=0.01)
    assert [one.images for one in made.sources] == [one.images for one in card.training.sources]


def test_no_steel_that_chooses_is_learnt_from():
    neu = shared("data", "neu_det")
    groups = {}
    for line in (neu / "images.csv").read_text(encoding="utf-8").splitlines()[1:]:
        name, _, _, group, *_ = line.split(",")
        groups[name.removesuffix(".jpg")] = group
    learnt = {groups[one.name] for one in read_neu(neu, "train.txt")}
    chosen = {groups[one.name] for one in read_neu(neu, "val.txt")}
    assert learnt
    assert chosen
    assert not learnt & chosen


def test_no_magnetic_tile_and_no_place_of_a_spindle_that_chooses_is_learnt_from():
    for folder, read, column in (
        ("magnetic_tile", read_tiles, "tile_group"),
        ("bsdata", read_spindles, "group"),
    ):
        data = shared("data", folder)
        with (data / "images.csv").open(encoding="utf-8", newline="") as file:
            groups = {Path(row["file"]).stem: row[column] for row in csv.DictReader(file)}
        learnt = {groups[one.name] for one in read(data, "train.txt")}
        chosen = {groups[one.name] for one in read(data, "val.txt")}
        assert learnt
        assert chosen
        assert not learnt & chosen


def test_a_piece_of_a_spindle_shows_a_pit_or_none_as_asked():
    pitted = even = 0
    for one in read_spindles(shared("data", "bsdata"), "val.txt")[:12]:
        with_pit, without = piece_of(one, pitted=True), piece_of(one, pitted=False)
        if with_pit is not None:
            pitted += 1
            assert with_pit.truth
            assert all(0 <= d.box_px.x1 < d.box_px.x2 <= 400 for d in with_pit.truth)
        if without is not None:
            even += 1
            assert not without.truth
            assert without.pixels.shape == (400, 400)
    assert pitted > 6
    assert even > 6


def test_their_classes_become_kinds_of_our_catalogue():
    kinds = {d.kind for one in read_neu(shared("data", "neu_det"), "val.txt") for d in one.truth}
    assert kinds == set(STRIP_KINDS)


def test_clean_patches_have_no_truth_and_drawn_ones_have_theirs_inside():
    assert all(not one.truth for one in drawn_strip(range(8), clean=True))
    some = list(drawn_strip(range(60), clean=False))
    assert sum(bool(one.truth) for one in some) > 50
    for one in some:
        assert one.pixels.shape == (200, 200)
        for defect in one.truth:
            box = defect.box_px
            assert 0 <= box.x1 < box.x2 <= 200
            assert 0 <= box.y1 < box.y2 <= 200


def test_the_asked_share_of_parts_is_defective():
    parts = list(drawn_parts(1, range(30), defective_share=2 / 3))
    assert sum(bool(one.truth) for one in parts) == 20


def test_a_set_is_written_as_pictures_labels_and_a_description(tmp_path):
    made = make_part_set(tmp_path, images=6, choose_by=3)
    assert TrainingSet.load(tmp_path) == made
    assert made.kinds == PART_KINDS
    assert len(list((tmp_path / "images" / "train").glob("*.png"))) == 6
    assert len(list((tmp_path / "labels" / "val").glob("*.txt"))) == 3
    rows = np.loadtxt(tmp_path / "labels" / "train" / "part_0.txt", ndmin=2)
    assert ((rows[:, 1:] > 0) & (rows[:, 1:] < 1)).all()


def test_the_same_seeds_give_the_same_digest_and_others_another(tmp_path):
    first = make_part_set(tmp_path / "a", images=4, choose_by=1).digest
    assert make_part_set(tmp_path / "b", images=4, choose_by=1).digest == first
    assert make_part_set(tmp_path / "c", images=5, choose_by=1).digest != first
