from types import SimpleNamespace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.eight_bits import SMALL, WEIGHT_BITS
from models.provider import CPU
from models.session import Session
from models.training.quantise import decoding_nodes, quantised
from tests.models.networks import SIDE, a_model


def looking_twice() -> bytes:
    """A map of two convolutions, one after the other, with weights of many sizes."""
    weights = np.random.default_rng(3)
    constants = [
        numpy_helper.from_array(weights.normal(size=(8, 3, 3, 3)).astype(np.float32) / 9, "first"),
        numpy_helper.from_array(weights.normal(size=(1, 8, 3, 3)).astype(np.float32) / 9, "second"),
    ]
    nodes = [
        helper.make_node("Conv", ["images", "first"], ["wide"], name="a", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["wide"], ["lit"], name="b"),
        helper.make_node("Conv", ["lit", "second"], ["seen"], name="c", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Sigmoid", ["seen"], ["map"], name="d"),
    ]
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    told = helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 1, SIDE, SIDE])
    graph = helper.make_graph(nodes, "twice", [picture], [told], constants)
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return network.SerializeToString()


def test_weights_take_seven_bits_and_the_file_says_so_and_answers_as_its_float_twin():
    """Two products of seven and eight bits fit into the sixteen in which processors without VNNI add them."""
    pictures = list(np.random.default_rng(4).random((8, 1, 3, SIDE, SIDE), np.float32))
    small = quantised(looking_twice(), pictures)
    read = onnx.load_from_string(small)
    weights = [
        numpy_helper.to_array(one)
        for one in read.graph.initializer
        if one.data_type == TensorProto.INT8 and len(one.dims) == 4
    ]
    assert len(weights) == 2
    assert max(np.abs(one.astype(int)).max() for one in weights) == 64
    assert {one.key: one.value for one in read.metadata_props} == {WEIGHT_BITS: SMALL}
    there, here = (
        Session(a_model(one, ("pits",), task="maps"), provider=CPU).run(pictures[0])
        for one in (looking_twice(), small)
    )
    np.testing.assert_allclose(there, here, atol=0.02)


def node(name, op_type, inputs, outputs):
    return SimpleNamespace(name=name, op_type=op_type, input=inputs, output=outputs)


def test_what_decodes_boxes_and_scores_stays_in_float_and_what_learned_does_not():
    # Two branches as a YOLO head has them: a distribution whose mean is taken, and scores.
    graph = SimpleNamespace(
        node=[
            node("stem", "Conv", ["image", "stem.w"], ["stem"]),
            node("box", "Conv", ["stem", "box.w"], ["box"]),
            node("score", "Conv", ["stem", "score.w"], ["score"]),
            node("softmax", "Softmax", ["box"], ["spread"]),
            node("mean", "Conv", ["spread", "mean.w"], ["sides"]),
            node("sigmoid", "Sigmoid", ["score"], ["scores"]),
            node("concat", "Concat", ["sides", "scores"], ["answer"]),
        ],
        output=[SimpleNamespace(name="answer")],
    )
    learned = np.array([[0.3, -0.1]])
    weights = {"stem.w": learned, "box.w": learned, "score.w": learned, "mean.w": np.arange(16.0)}
    assert sorted(decoding_nodes(graph, weights)) == ["concat", "mean", "sigmoid", "softmax"]
