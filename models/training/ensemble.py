"""Several box networks in one ONNX file, each shown its input at several sizes.

Networks trained apart err in different places, and so does one that is shown a surface a tenth smaller. What all of
them say, fused (`fuse_above` of the card), is better than what any of them says; it costs one run of each for each
size. The file takes one input and answers once for each, along the first axis (`opinions` of the card's form).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

SHARES = (1.0, 0.9)
"""Of the input's sides: how much of them the surface fills."""

_MARGIN = 114 / 255
_INPUT, _OPINIONS = "images", "opinions"


def ensemble(networks: Sequence[bytes], *, shares: Sequence[float] = SHARES) -> bytes:
    """One file that answers as each of the networks does, at each of the sizes: (networks · shares, 4 + K, N).

    networks   with the same input (1, C, height, width), 0..1, the same boxes and scores (1, 4 + K, N) in px of it, and
               the same opset and metadata
    shares     0 < share ≤ 1. Boxes are placed on the input as it was given; around what is shrunk is a grey margin

    Raises ValueError for networks that differ in one of these.
    """
    members = [onnx.load_from_string(one) for one in networks]
    said = {_said_of(one) for one in members}
    if len(said) != 1:
        raise ValueError(f"no ensemble of networks that differ in what they take or give: {sorted(said)}")
    shape, answer = (_sides(one) for one in (members[0].graph.input[0], members[0].graph.output[0]))
    nodes: list[NodeProto] = []
    constants = [one for number, member in enumerate(members) for one in _weights(member, number)]
    opinions = []
    for share in shares:
        shown = _Shown(share, shape)
        nodes += shown.nodes
        constants += shown.constants(rows=answer[1])
        for number, member in enumerate(members):
            graph = member.graph
            names = {graph.input[0].name: shown.name, graph.output[0].name: f"{shown.name}/{number}/said"}
            nodes += _nodes(graph, number, shown.name, names)
            opinions.append(f"{shown.name}/{number}/placed")
            nodes += shown.placed(f"{shown.name}/{number}/said", opinions[-1])
    nodes.append(helper.make_node("Concat", opinions, [_OPINIONS], axis=0))
    made = helper.make_model(
        helper.make_graph(
            nodes,
            "ensemble",
            [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(_OPINIONS, TensorProto.FLOAT, [len(opinions), *answer[1:]])],
            constants,
        ),
        opset_imports=members[0].opset_import,
        ir_version=members[0].ir_version,
    )
    helper.set_model_props(made, {one.key: one.value for one in members[0].metadata_props})
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


class _Shown:
    """The input at one size: a node's name, how it comes about, and how boxes come back from it."""

    def __init__(self, share: float, shape: Sequence[int]) -> None:
        self.name = f"shown_{share:g}"
        _, channels, height, width = shape
        # The same on both sides, in whole pixels.
        self._margins = round(height * (1 - share) / 2), round(width * (1 - share) / 2)
        down, along = self._margins
        self._inner = height - 2 * down, width - 2 * along
        self._larger = height / self._inner[0], width / self._inner[1]
        self._sizes = np.array([1, channels, *self._inner], np.int64)
        self.nodes = [
            helper.make_node(
                "Resize",
                [_INPUT, "", "", f"{self.name}/size"],
                [f"{self.name}/small"],
                mode="linear",
                coordinate_transformation_mode="half_pixel",
            ),
            helper.make_node(
                "Pad", [f"{self.name}/small", f"{self.name}/pads", f"{self.name}/grey"], [self.name]
            ),
        ]

    def constants(self, *, rows: int) -> list[TensorProto]:
        down, along = self._margins
        taller, wider = self._larger
        moved, larger = np.zeros((1, rows, 1), np.float32), np.ones((1, rows, 1), np.float32)
        moved[0, :2, 0] = along, down
        larger[0, :4, 0] = wider, taller, wider, taller
        made: dict[str, NDArray[np.generic]] = {
            "size": self._sizes,
            "pads": np.array([0, 0, down, along] * 2, np.int64),
            "grey": np.array(_MARGIN, np.float32),
            "moved": moved,
            "larger": larger,
        }
        return [numpy_helper.from_array(value, f"{self.name}/{what}") for what, value in made.items()]

    def placed(self, said: str, into: str) -> list[NodeProto]:
        return [
            helper.make_node("Sub", [said, f"{self.name}/moved"], [f"{into}/moved"]),
            helper.make_node("Mul", [f"{into}/moved", f"{self.name}/larger"], [into]),
        ]


def _nodes(graph: GraphProto, number: int, at: str, names: dict[str, str]) -> Iterator[NodeProto]:
    """A network's nodes once more, for this size; what it has learned is kept once for all sizes."""
    kept = {one.name for one in graph.initializer}
    for node in graph.node:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.name = f"{at}/{number}/{node.name}"
        for ends in (copy.input, copy.output):
            for place, name in enumerate(ends):
                if name in kept:
                    ends[place] = f"{number}/{name}"
                elif name:
                    ends[place] = names.get(name, f"{at}/{number}/{name}")
        yield copy


def _weights(member: ModelProto, number: int) -> Iterator[TensorProto]:
    for weight in member.graph.initializer:
        copy = TensorProto()
        copy.CopyFrom(weight)
        copy.name = f"{number}/{weight.name}"
        yield copy


def _said_of(model: ModelProto) -> str:
    """What networks of an ensemble have in common, in words."""
    graph = model.graph
    sides = [str(_sides(one)) for one in (*graph.input, *graph.output)]
    opsets = [f"opset {one.domain}{one.version}" for one in model.opset_import]
    told = [f"{one.key}: {one.value}" for one in model.metadata_props]
    return "; ".join([*sides, *opsets, *sorted(told)])


def _sides(value: onnx.ValueInfoProto) -> list[int]:
    return [side.dim_value for side in value.type.tensor_type.shape.dim]
