import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper

from models.training.decoding import shortened

PLACES = 5


def a_head(*, perm=(0, 2, 1, 3), distributions=1):
    """The end of a YOLO head as its tool exports it: each side of a box a distribution over 16 distances."""
    nodes, outputs = [], []
    for n in range(distributions):
        nodes += [
            helper.make_node("Reshape", ["sides", "shape"], [f"apart{n}"]),
            helper.make_node("Transpose", [f"apart{n}"], [f"turned{n}"], perm=perm),
            helper.make_node("Softmax", [f"turned{n}"], [f"spread{n}"], axis=1),
            helper.make_node("Conv", [f"spread{n}", f"mean.w{n}"], [f"mean{n}"], name=f"mean{n}"),
            helper.make_node("Reshape", [f"mean{n}", "flat"], [f"answer{n}"]),
        ]
        outputs.append(helper.make_tensor_value_info(f"answer{n}", TensorProto.FLOAT, [1, 4, PLACES]))
    distances = np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1)
    constants = [
        numpy_helper.from_array(np.array([1, 4, 16, PLACES], np.int64), "shape"),
        numpy_helper.from_array(np.array([1, 4, PLACES], np.int64), "flat"),
        *(numpy_helper.from_array(distances, f"mean.w{n}") for n in range(distributions)),
    ]
    inputs = [helper.make_tensor_value_info("sides", TensorProto.FLOAT, [1, 64, PLACES])]
    noted = [
        helper.make_tensor_value_info(f"mean{n}", TensorProto.FLOAT, [1, 1, 4, PLACES])
        for n in range(distributions)
    ]
    graph = helper.make_graph(nodes, "head", inputs, outputs, constants, value_info=noted)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def run(network, sides):
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    return session.run(None, {"sides": sides})[0]


WRITTEN_SHORT = shortened(a_head())


@given(arrays(np.float32, (1, 64, PLACES), elements=st.floats(-30, 30, width=32)))
def test_a_shorter_way_to_the_boxes_leads_to_the_same_boxes(sides):
    assert np.allclose(run(WRITTEN_SHORT, sides), run(a_head(), sides), atol=1e-4)


@given(arrays(np.float32, (1, 64, PLACES), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_whatever_the_network_says_a_side_lies_among_its_distances(sides):
    answer = run(WRITTEN_SHORT, sides)
    assert (answer >= 0).all()
    assert (answer <= 15 + 1e-5).all()


def test_no_softmax_is_left():
    assert "Softmax" not in {node.op_type for node in onnx.load_from_string(WRITTEN_SHORT).graph.node}


def test_what_is_noted_of_shapes_is_true():
    onnx.shape_inference.infer_shapes(onnx.load_from_string(WRITTEN_SHORT), strict_mode=True)


@pytest.mark.parametrize("head", [a_head(distributions=0), a_head(distributions=2)])
def test_a_file_without_exactly_one_distribution_is_not_rewritten(head):
    with pytest.raises(RuntimeError, match="distributions of distances"):
        shortened(head)


def test_a_distribution_along_another_axis_is_not_rewritten():
    with pytest.raises(RuntimeError, match="as it was in this tool's exports"):
        shortened(a_head(perm=(0, 1, 2, 3)))
