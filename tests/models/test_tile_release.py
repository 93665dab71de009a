"""The released map detectors of real parts: what they learned from, and how their int8 twins stand beside them."""

from __future__ import annotations

import numpy as np
import pytest

from models import open_detector
from models.evaluation import auroc
from models.store import ModelStore
from models.training.release_tile import NAME, digest_of
from models.training.segment import read_tiles, set_aside
from tests.where import shared


@pytest.fixture(scope="module")
def tiles():
    return shared("data", "magnetic_tile")


def test_the_card_names_the_pictures_that_taught_it(tiles):
    learned, _ = set_aside(read_tiles(tiles, "train"))
    training = ModelStore().find(NAME).card.training
    assert training.digest == digest_of(learned)
    assert training.sources[0].images == len(learned)


@pytest.mark.parametrize("name", [NAME, "ball-screw"])
def test_int8_tells_pictures_as_well_as_its_float_twin_in_less_time(name):
    plain, small = (ModelStore().find(one).card for one in (name, f"{name}-int8"))
    assert small.measured[0].auroc >= plain.measured[0].auroc - 0.01
    assert small.latency.float_ms >= 1.6 * small.latency.ms


def test_how_well_it_tells_tiles_that_taught_nothing_is_what_its_card_says(tiles):
    name = f"{NAME}-int8"
    detector = open_detector(name, min_score=1e-6)
    judged = read_tiles(tiles, "val")
    surest = np.array([detector.detect(one.pixels).score.max(initial=0) for one in judged])
    told = auroc(surest, np.array([one.kind is not None for one in judged]))
    assert told > 0.96
    # Whole numbers are added alike everywhere, the float ones around them are not.
    assert told == pytest.approx(ModelStore().find(name).card.measured[0].auroc, abs=0.005)


def test_no_tool_of_agpl_had_a_hand_in_it():
    assert "agpl" not in ModelStore().find(NAME).card.restrictions


@pytest.mark.parametrize("name", [NAME, f"{NAME}-int8"])
def test_an_uneven_tile_that_taught_nothing_is_reported_where_it_is_uneven(tiles, name):
    uneven = next(one for one in read_tiles(tiles, "val") if one.kind == "uneven" and one.mask.any())
    found = open_detector(name).detect(uneven.pixels)
    surest = found.xyxy[found.kind.index("uneven")]
    rows, columns = uneven.mask.nonzero()
    assert surest[0] < columns.max()
    assert surest[2] > columns.min()
    assert surest[1] < rows.max()
    assert surest[3] > rows.min()


def test_what_was_fitted_from_good_tiles_alone_tells_frayed_ones_it_never_saw(tiles):
    """Of all kinds it tells this one best, and cracks least: its card and docs/training.md say how well."""
    detector = open_detector("magnetic-tile-good", min_score=1e-6)
    judged = [one for one in read_tiles(tiles, "val") if one.kind in (None, "fray")]
    surest = np.array([detector.detect(one.pixels).score.max(initial=0) for one in judged])
    assert auroc(surest, np.array([one.kind is not None for one in judged])) > 0.9
