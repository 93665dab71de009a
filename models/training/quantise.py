"""A network's numbers made small: int8 where it multiplies, float where it says what it found.

The head's decoding stays in float: after its last Concat, boxes of 0 to 224 px and scores of 0 to 1 would share one
scale, and every score would round to 0 (mAP50 0.000).
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspection.vision.boxes import Letterbox
from models.boxes import fill_input
from models.card import ModelCard
from models.store import RELEASED, ModelStore
from models.training.dataset import drawn_strip, read_neu


def quantised(network: bytes, pictures: Iterable[NDArray[np.float32]]) -> bytes:
    """The ONNX file with weights and activations in int8, static: onnxruntime's QuantizeLinear / DequantizeLinear.

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
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=decoding_nodes(graph, weights),
        )
        small = onnx.load(str(made))
        # What its tool wrote about the training run: places on the computer where that was.
        del small.metadata_props[:]
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


def release_int8(name: str, *, version: str, neu: Path, into: Path) -> ModelCard:
    """Write `<into>/<name>-int8/<version>/`, the released strip network in int8, and return its card.

    Scales come from pictures that taught the network, thresholds stay those of its card.
    """
    # The training desk has them; a station, whose tests import this file, has not.
    import tomli_w

    from models.training.release import look_at_unlabelled, measure, rounded, strip_exhibit

    model = ModelStore().find(name, version)
    pictures = [*read_neu(neu, "train.txt")[::10], *drawn_strip(range(7200, 7230), clean=True)]
    pictures += drawn_strip(range(7230, 7260), clean=False)
    inputs = np.empty((len(pictures), 3, *model.card.input_hw), np.float32)
    for row, one in zip(inputs, pictures, strict=True):
        height, width = one.pixels.shape
        fill_input(row, one.pixels, Letterbox.fit((height, width), model.card.input_hw))
    network = quantised(model.network, (row[None] for row in inputs))
    card = model.card.model_copy(
        update={
            "name": f"{name}-int8",
            "sha256": hashlib.sha256(network).hexdigest(),
            "made_on": datetime.datetime.now(datetime.UTC).date(),
            "export_parity": f"{name} {version} (SHA-256 {model.card.sha256}) in int8, its decoding in float; "
            "what that costs is in `measured` of both",
        }
    )
    exhibit = strip_exhibit(neu)
    card = card.model_copy(
        update={
            "measured": tuple(measure(card, network, gold) for gold in exhibit.gold),
            "unlabelled": tuple(look_at_unlabelled(card, network, exhibit.unlabelled)),
        }
    )
    folder = into / card.name / card.version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / card.file).write_bytes(network)
    facts = ModelCard.model_validate(card.model_dump()).model_dump(exclude_none=True)
    (folder / "card.toml").write_text(tomli_w.dumps(rounded(facts)), encoding="utf-8")
    return card


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.training.quantise", description=__doc__)
    parser.add_argument("--name", default="strip-surface")
    parser.add_argument("--version", default=None, help="default: the newest")
    parser.add_argument("--neu", type=Path, default=Path(__file__).parents[3] / "shared" / "data" / "neu_det")
    parser.add_argument("--into", type=Path, default=RELEASED)
    asked = parser.parse_args(arguments)
    version = asked.version or ModelStore().versions()[asked.name][-1]
    card = release_int8(asked.name, version=version, neu=asked.neu, into=asked.into)
    sys.stdout.write(f"{card.name} {card.version}: {[(one.on, one.map50) for one in card.measured]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
