"""Small networks made here that answer as networks from elsewhere do, and cards for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.store import ModelStore, ReleasedModel
from tests.models.releases import STRIP

SIDE = 64
CARD = ModelStore().find(STRIP).card


def answering(
    answers,
    *,
    channels=3,
    types=None,
    beside=(),
    names=None,
    domain=None,
    operator="Polish",
    side=SIDE,
    licence=None,
    fails_in_the_dark=False,
) -> bytes:
    """A network that gives these answers whatever it is shown: name -> array. Its batch and sides are left open.

    The picture is read, and comes into the first answer with a weight of 0; of one darker than a quarter, where it
    fails in the dark, as a root that is no number.
    """
    types = types or {}
    batch = ["batch", channels, "height", "width"]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, batch)]
    inputs += [helper.make_tensor_value_info(name, TensorProto.INT64, [None, 2]) for name in beside]
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "dark"], ["lighter"]),
        helper.make_node("Sqrt" if fails_in_the_dark else "Identity", ["lighter"], ["grey"]),
        helper.make_node("Mul", ["grey", "zero"], ["nothing"]),
    ]
    constants = [
        numpy_helper.from_array(np.zeros((), np.float32), "zero"),
        numpy_helper.from_array(np.full((), 0.25, np.float32), "dark"),
    ]
    outputs = []
    for number, (name, value) in enumerate(answers.items()):
        kind = types.get(name, np.float32)
        constants.append(numpy_helper.from_array(np.asarray(value, kind), f"const_{name}"))
        node = ["Add", [f"const_{name}", "nothing"]] if number == 0 else ["Identity", [f"const_{name}"]]
        nodes.append(helper.make_node(node[0], node[1], [name]))
        element = TensorProto.INT64 if kind is np.int64 else TensorProto.FLOAT
        outputs.append(helper.make_tensor_value_info(name, element, np.shape(value)))
    if domain:
        nodes.append(helper.make_node(operator, [outputs[0].name], ["polished"], domain=domain))
        outputs.append(helper.make_tensor_value_info("polished", TensorProto.FLOAT, None))
    opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    graph = helper.make_graph(nodes, "elsewhere", inputs, outputs, constants)
    network = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    stated = {"names": repr(dict(enumerate(names)))} if names else {}
    helper.set_model_props(network, stated | ({"license": licence} if licence else {}))
    if not domain:
        onnx.checker.check_model(network)
    return network.SerializeToString()


def a_model(network: bytes, kinds, *, task="boxes", form=None, **changes) -> ReleasedModel:
    """With a card that fits it, as somebody writes one who brings a network in."""
    facts = CARD.model_dump() | {
        "name": "from-elsewhere",
        "version": "1.0.0",
        "sha256": hashlib.sha256(network).hexdigest(),
        "task": task,
        "form": form or {},
        "kinds": kinds,
        "input_hw": (SIDE, SIDE),
        "tile_px": SIDE,
        "thresholds": dict.fromkeys(kinds, 0.5),
        "licence": "Apache-2.0",
        "origin": "made in the tests",
        "training": None,
        "measured": (),
    }
    return ReleasedModel(card=type(CARD).model_validate(facts | changes), network=network)


def in_eight_bits(
    *, channels: int = 64, largest: int = 127, told: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """A map of 0.75 for a white picture, by a convolution in eight bits whose every weight is as large as they go.

    told   what the file says of itself
    """
    share = np.float32(0.75 / (channels * 9))
    given = np.ones((channels, 3, 1, 1), np.float32) / 3
    constants = [
        numpy_helper.from_array(given, "spread"),
        numpy_helper.from_array(np.full((1, channels, 3, 3), largest, np.int8), "weight"),
        numpy_helper.from_array(share / np.float32(largest), "weight_scale"),
        numpy_helper.from_array(np.zeros((), np.int8), "weight_zero"),
        numpy_helper.from_array(np.float32(1 / 255), "scale"),
        numpy_helper.from_array(np.zeros((), np.uint8), "zero"),
    ]

    def rounded(name: str) -> list[onnx.NodeProto]:
        return [
            helper.make_node("QuantizeLinear", [name, "scale", "zero"], [f"{name}_in_8"]),
            helper.make_node("DequantizeLinear", [f"{name}_in_8", "scale", "zero"], [f"{name}_again"]),
        ]

    nodes = [
        helper.make_node("Conv", ["images", "spread"], ["wide"], kernel_shape=[1, 1]),
        *rounded("wide"),
        helper.make_node("DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["weights"]),
        helper.make_node("Conv", ["wide_again", "weights"], ["summed"], kernel_shape=[3, 3], pads=[1] * 4),
        *rounded("summed"),
        helper.make_node("Identity", ["summed_again"], ["map"]),
    ]
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    given_back = helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 1, SIDE, SIDE])
    graph = helper.make_graph(nodes, "eight", [picture], [given_back], constants)
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(network, dict(told))
    onnx.checker.check_model(network)
    return network.SerializeToString()
