from types import SimpleNamespace

import numpy as np

from models.training.quantise import decoding_nodes


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
