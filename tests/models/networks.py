"""Small networks made here that answer as networks from elsewhere do, and cards for them."""

from __future__ import annotations

import hashlib

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
) -> bytes:
    """A network that gives these answers whatever it is shown: name -> array. Its batch and sides are left open.

    The picture is read, and comes into the first answer with a weight of 0.
    """
    types = types or {}
    batch = ["batch", channels, "height", "width"]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, batch)]
    inputs += [helper.make_tensor_value_info(name, TensorProto.INT64, [None, 2]) for name in beside]
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["grey"], keepdims=0),
        helper.make_node("Mul", ["grey", "zero"], ["nothing"]),
    ]
    constants = [numpy_helper.from_array(np.zeros((), np.float32), "zero")]
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
