"""Networks that say which pixels: small ones, made here, that find what is bright."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from inspection.vision.boxes import Letterbox
from models.decode import decode_maps
from models.errors import ModelMismatch
from models.maps import MapDetector, MaskDetector
from models.session import Session
from models.store import ModelStore, ReleasedModel
from tests.models.releases import STRIP

SIDE = 64
CARD = ModelStore().find(STRIP).card


def released(task, kinds, nodes, outputs, constants=()):
    graph = helper.make_graph(
        nodes,
        "bright",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(network)
    card = CARD.model_copy(
        update={
            "task": task,
            "kinds": kinds,
            "input_hw": (SIDE, SIDE),
            "tile_px": SIDE,
            "thresholds": dict.fromkeys(kinds, 0.5),
        }
    )
    return ReleasedModel(card=card, network=network.SerializeToString())


def bright(kinds=("anomaly",)):
    """A map of half the input's size: how bright it is there."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("AveragePool", ["grey"], ["map"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    return released("maps", kinds, nodes, [("map", [1, 1, SIDE // 2, SIDE // 2])])


def boxed_bright(box):
    """One box, whatever the picture, and in it the pixels that are bright."""
    x1, y1, x2, y2 = box
    row = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, 0.9, 1.0]
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["grey", "half"], ["masks"]),
        helper.make_node("Identity", ["found"], ["boxes"]),
    ]
    return released(
        "masks",
        ("scratch",),
        nodes,
        [("boxes", [1, 6, 1]), ("masks", [1, 1, SIDE, SIDE])],
        [("half", [0.5]), ("found", np.array(row).reshape(1, 6, 1))],
    )


def lit(hw, top, left, height, width):
    image = np.full(hw, 40, np.uint8)
    image[top : top + height, left : left + width] = 250
    return image


@settings(max_examples=20)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(6, 20), st.integers(6, 20))
def test_what_a_map_shows_comes_out_where_it_is_with_its_pixels(top, left, height, width):
    found = MapDetector(Session(bright())).detect(lit((SIDE, SIDE), top, left, height, width))
    assert found.kind == ("anomaly",)
    np.testing.assert_allclose(found.xyxy[0], (left, top, left + width, top + height), atol=1.5)
    assert found.masks[0].area_px == pytest.approx(height * width, abs=3 * (height + width))


def test_a_map_of_a_larger_picture_is_tiled_and_what_tiles_cut_is_one_again():
    image = lit((SIDE, 200), 30, 20, 8, 150)
    found = MapDetector(Session(bright())).detect(image)
    assert len(found) == 1
    np.testing.assert_allclose(found.xyxy[0], (20, 30, 170, 38), atol=1.5)
    assert found.masks[0].area_px == pytest.approx(150 * 8, rel=0.2)


def test_the_same_picture_at_another_scale_gives_the_same_place():
    """Shown whole and letterboxed: its own pixels, not those of the network's input."""
    image = lit((60, 90), 20, 30, 20, 30)
    found = MapDetector(Session(bright())).detect(image)
    np.testing.assert_allclose(found.xyxy[0], (30, 20, 60, 40), atol=2.5)


def test_an_even_picture_shows_nothing_and_a_lower_score_asked_for_finds_no_less():
    even = np.full((SIDE, SIDE), 100, np.uint8)
    assert len(MapDetector(Session(bright())).detect(even)) == 0
    assert len(MapDetector(Session(bright()), min_score=0.2).detect(even)) == 1


def test_each_kind_has_its_own_map_and_threshold():
    maps = np.zeros((1, 2, SIDE, SIDE), np.float32)
    maps[0, 0, 10:20, 10:20], maps[0, 1, 30:40, 30:40] = 0.6, 0.6
    found = decode_maps(
        maps,
        kinds=("pits", "scale"),
        thresholds=np.array([0.5, 0.7], np.float32),
        fit=Letterbox.fit((SIDE, SIDE), (SIDE, SIDE)),
        input_hw=(SIDE, SIDE),
        image_hw=(SIDE, SIDE),
    )
    assert found.kind == ("pits",)
    assert found.xyxy.tolist() == [[10, 10, 20, 20]]


def test_a_box_has_the_pixels_that_its_mask_says():
    image = lit((SIDE, SIDE), 20, 20, 4, 30)
    found = MaskDetector(Session(boxed_bright((16, 10, 56, 40)))).detect(image)
    assert found.xyxy.tolist() == [[16, 10, 56, 40]]
    assert found.masks[0].area_px == 4 * 30


def test_a_box_of_which_no_pixel_is_known_keeps_its_box():
    found = MaskDetector(Session(boxed_bright((16, 10, 56, 40)))).detect(np.full((SIDE, SIDE), 20, np.uint8))
    assert found.masks == (None,)
    assert len(found) == 1


def test_a_network_that_gives_something_else_than_its_card_says_is_refused():
    maps, masks = bright(), boxed_bright((1, 1, 5, 5))
    for model, task in ((maps, "boxes"), (maps, "masks"), (masks, "maps"), (masks, "boxes")):
        wrong = ReleasedModel(card=model.card.model_copy(update={"task": task}), network=model.network)
        with pytest.raises(ModelMismatch, match=f"for {task}"):
            Session(wrong)
    with pytest.raises(ModelMismatch, match="2 kinds"):
        Session(bright(kinds=("pits", "scale")))
