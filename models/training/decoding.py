"""The way from the network's last layers to boxes, written shorter for onnxruntime on a CPU.

YOLO 8 and 11 say each edge of a box as a distribution over 16 distances. As exported, a softmax over an inner axis and
a convolution take its mean: 0.7 ms of a tile's 5 in int8, more than any layer. The mean of a distribution p ~ exp(x)
is sum(k exp(x_k)) / sum(exp(x_k)): one product with two rows for both sums.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# exp of anything between is far from the ends of a float32, and so are sums of 16. Scores of distances stay below 30.
_MOST = 60.0


def shortened(network: bytes) -> bytes:
    """The ONNX file with the mean of each distribution taken as above: the same but for rounding.

    Raises RuntimeError where the file has not exactly one distribution as it is exported.
    """
    model = onnx.load_from_string(network)
    graph = model.graph
    weights = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    means = [
        node
        for node in graph.node
        if node.op_type == "Conv" and made_by.get(node.input[0], node).op_type == "Softmax"
    ]
    if len(means) != 1:
        raise RuntimeError(f"{len(means)} distributions of distances in the file, not 1")
    mean = means[0]
    softmax = made_by[mean.input[0]]
    transposed = made_by[softmax.input[0]]
    distances = weights[mean.input[1]].ravel()
    after = [node for node in graph.node if mean.output[0] in node.input]
    if (
        transposed.op_type != "Transpose"
        or list(helper.get_node_attr_value(transposed, "perm")) != [0, 2, 1, 3]
        or helper.get_node_attr_value(softmax, "axis") != 1
        or [node.op_type for node in after] != ["Reshape"]
    ):
        raise RuntimeError("the distribution of distances is not taken as it was in this tool's exports")
    # (1, 4, 16, places) as it comes, times (2, 16): weighted sums and sums, (1, 4, 2, places).
    rows = np.stack([distances, np.ones_like(distances)]).astype(np.float32)
    names = [f"{mean.name}/{what}" for what in ("kept", "exp", "rows", "sums", "weighted", "all", "halves")]
    kept, powers, constant, sums, weighted, total, halves = names
    short = [
        helper.make_node("Clip", [transposed.input[0], f"{kept}/least", f"{kept}/most"], [kept], kept),
        helper.make_node("Exp", [kept], [powers], powers),
        helper.make_node("MatMul", [constant, powers], [sums], sums),
        helper.make_node("Split", [sums, halves], [weighted, total], weighted, axis=2),
        helper.make_node("Div", [weighted, total], [mean.output[0]], mean.name),
    ]
    at = list(graph.node).index(transposed)
    for node in (mean, softmax, transposed):
        graph.node.remove(node)
    for node in reversed(short):
        graph.node.insert(at, node)
    graph.initializer.extend(
        [
            numpy_helper.from_array(rows, constant),
            numpy_helper.from_array(np.array([1, 1], np.int64), halves),
            helper.make_tensor(f"{kept}/least", TensorProto.FLOAT, [], [-_MOST]),
            helper.make_tensor(f"{kept}/most", TensorProto.FLOAT, [], [_MOST]),
        ]
    )
    # What is noted of the shapes on the way is not true any more.
    on_the_way = {*names, *transposed.output, *softmax.output, *mean.output}
    for noted in [one for one in graph.value_info if one.name in on_the_way]:
        graph.value_info.remove(noted)
    graph.initializer.remove(next(one for one in graph.initializer if one.name == mean.input[1]))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
