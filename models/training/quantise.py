"""A network's numbers made small: int8 where it multiplies, float where it says what it found.

The head's decoding stays in float: after its last Concat, boxes of 0 to 224 px and scores of 0 to 1 would share one
scale, and every score would round to 0 (mAP50 0.000).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.eight_bits import SMALL, WEIGHT_BITS


def quantised(network: bytes, pictures: Iterable[NDArray[np.float32]]) -> bytes:
    """The ONNX file with weights and activations in int8, static: onnxruntime's QuantizeLinear / DequantizeLinear.

    Weights take seven of the eight bits, so that no sum overflows on processors without VNNI either.

    pictures   what the network eats, each (1, 3, height, width) 0..1: real ones, of all kinds. Their least and
               greatest activations become the scales
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self._inputs = iter([{name: one} for one in pictures])

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(self._inputs, None)

    with tempfile.TemporaryDirectory() as folder:
        given, prepared, made = (Path(folder) / name for name in ("given.onnx", "prepared.onnx", "int8.onnx"))
        given.write_bytes(network)
        quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(str(prepared)).graph
        weights = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
        quantize_static(
            str(prepared),
            str(made),
            Reader(graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=decoding_nodes(graph, weights),
        )
        small = onnx.load(str(made))
        # What its tool wrote about the training run: places on the computer where that was.
        del small.metadata_props[:]
        small.metadata_props.add(key=WEIGHT_BITS, value=SMALL)
        return bytes(small.SerializeToString())


def decoding_nodes(graph: Any, weights: Mapping[str, NDArray[Any]]) -> list[str]:
    """Names of the nodes between the last convolutions and the answer.

    weights   the graph's constants by name. A convolution with the weights 0, 1, 2, … learned nothing: it takes the
              mean of a box's distribution, and is decoding
    """
    made_by = {name: node for node in graph.node for name in node.output}

    def learned(node: Any) -> bool:
        if node.op_type != "Conv":
            return False
        values = weights[node.input[1]].ravel()
        return not np.array_equal(values, np.arange(len(values)))

    decoding: list[str] = []
    waiting = [one.name for one in graph.output]
    while waiting:
        node = made_by.get(waiting.pop())
        if node is not None and not learned(node) and node.name not in decoding:
            decoding.append(node.name)
            waiting += node.input
    return decoding
