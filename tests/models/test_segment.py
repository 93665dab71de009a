"""What the map detector of magnetic tiles learns from, and that its file says what the trained network says."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import onnxruntime
import pytest

from models.errors import TrainingDataMissing
from models.training.segment import (
    CELL_PX,
    INPUT_PX,
    KINDS,
    LAYERS,
    TILE_PX,
    Tile,
    as_onnx,
    drawn_for_an_epoch,
    in_one_file,
    read_tiles,
    set_aside,
    view,
    votes,
)
from tests.models.segment_in_torch import as_torch_answered

CELLS = INPUT_PX // CELL_PX


def a_tile(group=1, kind=None, *, hw=(300, 200), outlined=True):
    pixels = np.random.default_rng(group).integers(60, 120, hw).astype(np.uint8)
    mask = np.zeros(hw, np.uint8)
    if kind is not None and outlined:
        mask[100:140, 80:120] = 255
    return Tile(name=f"tile_{group}_{kind}", pixels=pixels, kind=kind, mask=mask, group=group)


def views(tile, others=(), *, pasted=0.0):
    rng = np.random.default_rng(0)
    return [view(tile, others, rng, pasted=pasted) for _ in range(30)]


def test_a_defect_is_marked_where_it_is_shown_and_in_its_kind_alone():
    for shown, cells, kinds in views(a_tile(kind="crack")):
        assert shown.shape == (INPUT_PX, INPUT_PX)
        assert 0 <= shown.min() <= shown.max() <= 1
        assert cells.shape == (len(KINDS), CELLS, CELLS)
        assert cells[KINDS.index("crack")].sum() > 10
        assert cells.sum() == cells[KINDS.index("crack")].sum()
        assert kinds.tolist() == [float(kind == "crack") for kind in KINDS]


def test_a_good_tile_has_nothing_to_be_found():
    assert all(not cells.any() and not kinds.any() for _, cells, kinds in views(a_tile()))


def test_of_a_defect_that_nobody_has_outlined_only_its_kind_is_asked():
    for _, cells, kinds in views(a_tile(kind="uneven", outlined=False)):
        assert (cells[KINDS.index("uneven")] == -1).all()
        assert kinds[KINDS.index("uneven")] == 1
        assert not np.delete(cells, KINDS.index("uneven"), axis=0).any()


def test_a_defect_of_another_tile_is_laid_onto_a_good_one_and_marked_there():
    other = a_tile(2, "blowhole")
    marked = [kinds[KINDS.index("blowhole")] for _, _, kinds in views(a_tile(), [other], pasted=1.0)]
    assert set(marked) == {1.0}
    assert not any(kinds.any() for _, _, kinds in views(a_tile(), [other], pasted=0.0))


def test_of_a_wide_picture_no_more_than_a_tile_is_shown():
    wide = a_tile(kind="crack", hw=(200, 2 * TILE_PX))
    for _, cells, kinds in views(wide):
        # Either the defect is in sight, or nothing is claimed.
        assert (kinds[KINDS.index("crack")] == 1) == (cells.sum() >= 2)


def test_a_tile_that_is_defective_under_any_lamp_is_not_set_aside_and_no_tile_is_on_both_sides():
    tiles = [a_tile(group) for group in range(12) for _ in range(2)] + [a_tile(3, "crack")]
    learned, aside = set_aside(tiles)
    assert len(learned) + len(aside) == len(tiles)
    assert {one.group for one in aside}.isdisjoint({one.group for one in learned})
    assert all(one.kind is None for one in aside)
    assert len({one.group for one in aside}) == 2


def test_an_epoch_shows_as_many_good_tiles_as_defective_ones_and_rare_kinds_more_often():
    tiles = [a_tile(n, "blowhole") for n in range(20)] + [a_tile(n, "fray") for n in range(20, 24)]
    tiles += [a_tile(n) for n in range(24, 200)]
    shown = [tiles[i].kind for i in drawn_for_an_epoch(tiles, np.random.default_rng(0))]
    assert (shown.count("blowhole"), shown.count("fray"), shown.count(None)) == (40, 12, 52)


def test_tiles_are_read_with_their_outlines_by_their_list(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    with (tmp_path / "images.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "image_class", "split", "tile_group"])
        for name, kind, split in (("a", "Crack", "train"), ("b", "Free", "train"), ("c", "Free", "val")):
            rows.writerow([f"{name}.jpg", kind, split, 7])
            cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), np.full((40, 30), 90, np.uint8))
            mask = np.zeros((40, 30), np.uint8)
            mask[10:20, 10:20] = 200 if kind == "Crack" else 0
            cv2.imwrite(str(tmp_path / "masks" / f"{name}.png"), mask)
    found = read_tiles(tmp_path, "train")
    assert [(one.name, one.kind, int((one.mask > 0).sum())) for one in found] == [
        ("a", "crack", 100),
        ("b", None, 0),
    ]
    with pytest.raises(TrainingDataMissing):
        read_tiles(tmp_path / "images", "train")


def test_every_layer_reads_what_was_made_before_it_at_the_size_it_has():
    scale = {"image": 1}
    for layer in LAYERS:
        sizes = {scale[name] // (2 if name == layer.enlarged else 1) for name in layer.sources}
        assert len(sizes) == 1
        scale[layer.name] = sizes.pop() * layer.stride
    assert scale["logits"] == CELL_PX


def test_the_file_answers_as_the_network_did_in_torch():
    learned, picture, wanted = as_torch_answered()
    session = onnxruntime.InferenceSession(as_onnx(learned, opset=17), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": picture})
    assert np.ptp(wanted) > 0.5
    # float32 sums in another order; torch kept its answers as float16 shares of one.
    assert found[0, :, ::4, ::4] == pytest.approx(wanted, abs=1e-3)


def test_a_file_whose_norms_were_forgotten_would_answer_otherwise():
    learned, picture, wanted = as_torch_answered()
    forgotten = {name: one * 0 if name.endswith("running_mean") else one for name, one in learned.items()}
    session = onnxruntime.InferenceSession(as_onnx(forgotten, opset=17), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": picture})
    assert np.abs(found[0, :, ::4, ::4] - wanted).max() > 0.05


def logits_of(file, picture):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": picture})
    return np.log(found / (1 - found))


def test_several_networks_in_one_file_say_the_mean_of_their_logits():
    learned, picture, _ = as_torch_answered()
    other = {**learned, "logits.bias": learned["logits.bias"] + 2}
    files = [as_onnx(one, opset=17) for one in (learned, other, learned)]
    alone, together = logits_of(files[0], picture), logits_of(in_one_file(files), picture)
    # A score near 0 or 1 says little of its logit.
    told = np.abs(alone) < 6
    assert together[told] == pytest.approx(alone[told] + 2 / 3, abs=0.02)


def test_a_network_of_one_map_counts_for_every_kind_and_as_often_as_it_is_to():
    learned, picture, _ = as_torch_answered()
    file = as_onnx(learned, opset=17)
    one_map = as_onnx(learned, opset=17, input_px=256, loudest=True)
    three = in_one_file([file, file, file])
    alone, together = logits_of(file, picture), logits_of(in_one_file([three, one_map], [3, 1]), picture)
    assert together.shape == alone.shape
    loudest = alone.max(axis=1, keepdims=True)
    told = (np.abs(alone) < 6) & (np.abs(loudest) < 6)
    assert told.sum() > 100
    assert together[told] == pytest.approx(((3 * alone + loudest) / 4)[told], abs=0.02)
    assert (votes(file), votes(three)) == (1, 3)
