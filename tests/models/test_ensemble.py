"""Several networks in one file: each answers as it does alone, and what they say becomes one."""

import cv2
import numpy as np
import onnx
import pytest

from models.card import ModelCard
from models.errors import ModelMismatch
from models.session import Session
from models.store import ModelStore
from models.training.ensemble import ensemble
from tests.models.networks import SIDE, a_model, answering
from tests.models.releases import STRIP
from tests.models.test_heads import FOUND, KINDS, opened, rows

MARGIN = 114 / 255


@pytest.fixture(scope="module")
def members():
    return [ModelStore().find(STRIP, version) for version in ("1.1.0", "1.2.0")]


@pytest.fixture(scope="module")
def together(members):
    network = ensemble([one.network for one in members], shares=(1.0, 0.875))
    card = members[-1].card
    facts = {"fuse_above": 0.45, "input_hw": card.input_hw, "licence": "AGPL-3.0"}
    return Session(a_model(network, card.kinds, form={"opinions": 4}, **facts))


@pytest.fixture(scope="module")
def surface():
    rng = np.random.default_rng(3)
    grain = cv2.GaussianBlur(rng.normal(0.5, 0.3, (224, 224)).astype(np.float32), (0, 0), 2)
    grain[60:150, 100:108] += 0.3
    return np.clip(np.stack([grain] * 3), 0, 1)[None]


def test_each_network_answers_as_it_does_alone(members, together, surface):
    said = together.run(surface)
    assert len(said) == 4
    for member, answer in zip(members, said[:2], strict=True):
        np.testing.assert_allclose(answer, Session(member).run(surface)[0], atol=2e-3)


def test_what_it_says_of_the_shrunk_surface_lies_where_the_surface_is(members, together, surface):
    """Shrunk by hand to 196 of 224 px, with 14 px of grey around, and boxes enlarged by hand."""
    small = cv2.resize(surface[0].transpose(1, 2, 0), (196, 196), interpolation=cv2.INTER_LINEAR)
    shown = np.full_like(surface, MARGIN)
    shown[0, :, 14:-14, 14:-14] = small.transpose(2, 0, 1)
    for member, answer in zip(members, together.run(surface)[2:], strict=True):
        alone = Session(member).run(shown)[0]
        alone[:2] = (alone[:2] - 14) * 224 / 196
        alone[2:4] *= 224 / 196
        np.testing.assert_allclose(answer[:4], alone[:4], atol=0.05)
        np.testing.assert_allclose(answer[4:], alone[4:], atol=2e-3)


def test_networks_of_other_kinds_are_no_ensemble(members):
    other = onnx.load_from_string(members[1].network)
    onnx.helper.set_model_props(other, {"names": "{0: 'pits'}"})
    with pytest.raises(ValueError, match="pits"):
        ensemble([members[0].network, other.SerializeToString()])


def test_two_opinions_of_one_place_are_one_detection_with_their_mean_score():
    """The second opinion sees the first's scratch half as surely, and its patch not at all."""
    second = rows()
    second[4:] *= 0.5
    second[4 + KINDS.index("patch")] = 0
    network = answering({"output0": np.stack([rows(), second])}, names=KINDS)
    model = a_model(network, KINDS, form={"opinions": 2}, fuse_above=0.45)
    found = opened(model).detect(np.full((SIDE, SIDE), 90, np.uint8))
    said = dict(zip(found.kind, found.score.tolist(), strict=True))
    assert said["scratch"] == pytest.approx((0.9 + 0.45) / 2)
    assert said.get("patch", 0.3) == pytest.approx(0.6 / 2)
    np.testing.assert_allclose(found.xyxy[0], FOUND[0][2:], atol=1e-3)


def test_a_card_that_tells_of_other_opinions_than_the_file_gives_is_refused():
    network = answering({"output0": np.stack([rows(), rows()])}, names=KINDS)
    with pytest.raises(ModelMismatch, match="3 kinds"):
        Session(a_model(network, KINDS, form={"opinions": 3}, fuse_above=0.45))


def test_opinions_need_a_way_to_become_one(members):
    facts = members[0].card.model_dump()
    with pytest.raises(ValueError, match="2 opinions"):
        ModelCard.model_validate(facts | {"form": {"opinions": 2}, "fuse_above": None})
    with pytest.raises(ValueError, match="yolo8"):
        ModelCard.model_validate(facts | {"form": {"opinions": 2, "head": "detr"}, "fuse_above": 0.45})
