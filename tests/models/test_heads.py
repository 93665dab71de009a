"""Networks of other families, brought in by a card: each says the same of the same picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import _METHODS
from models.errors import ModelMismatch, ProviderMissing
from models.heads import NetworkForm
from models.provider import CPU, OPENVINO
from models.session import Session
from tests.models.networks import SIDE, a_model, answering

KINDS = ("scratch", "pits", "patch")
# One scratch of 0.9 and one patch of 0.6, as (kind, score, x1, y1, x2, y2); nothing else reaches a half.
FOUND = [("scratch", 0.9, 8, 16, 24, 56), ("patch", 0.6, 40, 8, 56, 20)]
LOGIT = {0.9: 2.1972246, 0.6: 0.4054651, 0.0: -20.0}


def rows(*, scores=lambda value: value, size=1.0):
    """(4 + K, N): two boxes that are there and a third that is sure of nothing."""
    table = np.zeros((4 + len(KINDS), 3), np.float32)
    table[4:] = scores(0.0)
    for column, (kind, score, x1, y1, x2, y2) in enumerate(FOUND):
        table[:4, column] = np.array([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]) / size
        table[4 + KINDS.index(kind), column] = scores(score)
    table[:4, 2] = np.array([32, 32, 10, 10]) / size
    return table


def in_order(padding=0):
    """Boxes (N, 4) x1 y1 x2 y2, scores (N,) and labels (N,), the surest first, padded."""
    boxes = np.array([one[2:] for one in FOUND] + [(0, 0, 0, 0)] * padding, np.float32)
    scores = np.array([one[1] for one in FOUND] + [0] * padding, np.float32)
    labels = np.array([KINDS.index(one[0]) for one in FOUND] + [0] * padding)
    return boxes, scores, labels


def yolo8():
    return answering({"output0": rows()[None]}, names=KINDS), {}


def yolo5():
    table = np.insert(rows(), 4, 0.5, axis=0)
    table[5:] *= 2
    return answering({"output": table.T[None]}), {"head": "yolo5"}


def yolo26():
    boxes, scores, labels = in_order(padding=5)
    found = np.concatenate([boxes, scores[:, None], labels[:, None]], axis=1)
    return answering({"output0": found[None]}), {"head": "end_to_end"}


def detr_of_one_answer():
    return answering({"output0": rows(size=SIDE).T[None]}), {"head": "detr"}


def detr_of_logits_and_boxes():
    table = rows(scores=LOGIT.__getitem__, size=SIDE).T[None]
    answers = {"logits": table[:, :, 4:], "pred_boxes": table[:, :, :4]}
    return answering(answers), {"head": "detr", "scores": "sigmoid"}


def d_fine_as_its_authors_export_it():
    boxes, scores, labels = in_order(padding=4)
    answers = {"boxes": boxes[None], "labels": labels[None], "scores": scores[None]}
    types = {"labels": np.int64}
    network = answering(answers, types=types, beside=["orig_target_sizes"])
    return network, {"head": "detr_deployed"}


FAMILIES = [
    yolo8,
    yolo5,
    yolo26,
    detr_of_one_answer,
    detr_of_logits_and_boxes,
    d_fine_as_its_authors_export_it,
]


def opened(model):
    return _METHODS[model.card.task](model, 1, None, False)


@pytest.mark.parametrize("provider", [CPU, OPENVINO])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_detector_of_each_family_finds_the_same_by_its_card_alone(family, provider, monkeypatch):
    monkeypatch.setenv("LYNCEUS_PROVIDER", provider)
    network, form = family()
    found = opened(a_model(network, KINDS, form=form)).detect(np.full((SIDE, SIDE), 90, np.uint8))
    assert found.kind == ("scratch", "patch")
    assert found.score == pytest.approx([0.9, 0.6], abs=1e-5)
    np.testing.assert_allclose(found.xyxy, [one[2:] for one in FOUND], atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_card_that_leaves_out_a_class_is_refused(family):
    network, form = family()
    # Of some families nothing in an answer says how many classes there are, until one is reported.
    fewer = KINDS[:1] if family in (yolo26, d_fine_as_its_authors_export_it) else KINDS[:2]
    with pytest.raises(ModelMismatch, match=f"{len(fewer)} kinds"):
        Session(a_model(network, fewer, form=form))


def test_a_network_that_names_its_classes_is_believed_before_its_card():
    network, form = yolo8()
    with pytest.raises(ModelMismatch, match="scratch, pits, patch"):
        Session(a_model(network, ("pits", "scratch", "patch"), form=form))


def test_the_names_of_elsewhere_are_stated_where_the_plant_has_other_codes():
    network = answering({"output0": rows()[None]}, names=["Kratzer", "Narben", "Fleck"])
    with pytest.raises(ModelMismatch, match="Kratzer"):
        Session(a_model(network, KINDS))
    Session(a_model(network, KINDS, form={"classes": ("Kratzer", "Narben", "Fleck")}))


def test_a_network_that_states_its_licence_is_believed_before_its_card():
    answer = answering(
        {"map": np.zeros((1, 1, 8, 8))}, licence="AGPL-3.0 License (https://ultralytics.com/license)"
    )
    with pytest.raises(ModelMismatch, match=r"AGPL-3\.0.*agpl"):
        Session(a_model(answer, ("anomaly",), task="maps", licence="Apache-2.0"))
    Session(a_model(answer, ("anomaly",), task="maps", licence="AGPL-3.0"))


def test_a_classifier_reports_the_whole_picture_and_nothing_for_good():
    """Logits of good, scratch and pits."""
    network = answering({"probabilities": np.array([[0.0, 3.0, 1.0]])})
    model = a_model(
        network, ("scratch", "pits"), task="classes", form={"scores": "softmax", "no_defect": (0,)}
    )
    found = opened(model).detect(np.zeros((40, 60), np.uint8))
    assert found.kind == ("scratch",)
    assert found.score[0] == pytest.approx(np.exp(3) / (1 + np.exp(3) + np.exp(1)))
    np.testing.assert_allclose(found.xyxy, [[0, 0, 60, 40]], atol=0.5)


def test_a_map_of_distances_becomes_scores_by_the_range_its_card_states():
    distances = np.full((1, 1, 16, 16), 2.0)
    distances[..., 4:8, 4:8] = 9.0
    network = answering({"pred_score": np.array([[9.0]]), "anomaly_map": distances})
    model = a_model(network, ("anomaly",), task="maps", form={"score_range": (2.0, 10.0)})
    found = opened(model).detect(np.zeros((SIDE, SIDE), np.uint8))
    assert len(found) == 1
    assert found.score[0] == pytest.approx(7 / 8, abs=1e-5)
    assert found.xyxy[0] == pytest.approx([16, 16, 32, 32], abs=3)


def test_a_network_for_grey_is_refused_for_colour_and_the_other_way_round():
    grey = answering({"output0": rows()[None]}, channels=1)
    colour = answering({"output0": rows()[None]})
    with pytest.raises(ModelMismatch, match=r"says \[1, 3"):
        Session(a_model(grey, KINDS))
    with pytest.raises(ModelMismatch):
        Session(a_model(colour, KINDS, form={"channels": 1}))
    Session(a_model(grey, KINDS, form={"channels": 1}))


def test_a_truncated_network_is_refused():
    network, form = yolo8()
    with pytest.raises(ModelMismatch, match="cannot load"):
        Session(a_model(network[: len(network) // 2], KINDS, form=form))


def test_a_network_with_an_operator_of_its_own_is_refused_by_its_name():
    network = answering({"output0": rows()[None]}, domain="com.example.vision")
    with pytest.raises(ModelMismatch, match="Polish"):
        Session(a_model(network, KINDS))


def test_a_device_that_is_not_there_is_not_silently_replaced_by_the_cpu():
    network, form = yolo8()
    with pytest.raises(ProviderMissing, match="TensorrtExecutionProvider"):
        Session(a_model(network, KINDS, form=form), provider="TensorrtExecutionProvider")


def test_pictures_are_prepared_as_the_card_says():
    form = NetworkForm(colours="bgr", white=255, mean=(0.1, 0.2, 0.3), std=(0.5, 0.5, 0.25))
    picture = np.zeros((1, 3, 1, 1), np.float32)
    picture[0, :, 0, 0] = 0.3, 0.6, 0.9
    made = form.prepared(picture)[0, :, 0, 0]
    assert made == pytest.approx([(0.9 - 0.1) / 0.5 * 255, (0.6 - 0.2) / 0.5 * 255, 0.0], abs=1e-3)


@given(st.floats(0, 1))
def test_an_even_grey_stays_the_same_grey_in_one_channel(grey):
    picture = np.full((1, 3, 4, 4), grey, np.float32)
    assert NetworkForm(channels=1).prepared(picture) == pytest.approx(np.full((1, 1, 4, 4), grey), abs=1e-6)


def test_ours_are_shown_to_the_network_without_a_copy():
    picture = np.zeros((1, 3, 8, 8), np.float32)
    assert np.shares_memory(NetworkForm().prepared(picture), picture)
