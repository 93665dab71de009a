"""The released map detector of magnetic tiles: what it learned from, and how its int8 twin stands beside it."""

from __future__ import annotations

import pytest

from models import open_detector
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


def test_int8_tells_tiles_as_well_as_its_float_twin_in_less_time():
    plain, small = (ModelStore().find(name).card for name in (NAME, f"{NAME}-int8"))
    assert small.measured[0].auroc >= plain.measured[0].auroc - 0.01
    assert small.latency.float_ms >= 1.6 * small.latency.ms


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
