import numpy as np
import pytest

from models.errors import DetectionFailed, ModelMismatch
from models.session import Session
from models.store import ModelStore, ReleasedModel
from tests.models.releases import STRIP

MODEL = ModelStore().find(STRIP)


def with_card(**changes):
    return ReleasedModel(card=MODEL.card.model_copy(update=changes), network=MODEL.network)


def test_it_answers_with_a_row_per_coordinate_and_kind():
    answer = Session(MODEL).run(np.zeros((1, 3, *MODEL.card.input_hw), np.float32))
    assert answer.shape[:2] == (1, 4 + len(MODEL.card.kinds))


def test_a_network_for_other_kinds_than_its_card_says_is_refused():
    with pytest.raises(ModelMismatch, match="5 kinds"):
        Session(with_card(kinds=MODEL.card.kinds[:5]))


def test_a_network_of_another_size_than_its_card_says_is_refused():
    with pytest.raises(ModelMismatch, match="640"):
        Session(with_card(input_hw=(640, 640)))


def test_bytes_that_are_no_network_are_refused():
    with pytest.raises(ModelMismatch, match="cannot load"):
        Session(ReleasedModel(card=MODEL.card, network=b"not a network"))


def test_what_onnxruntime_refuses_at_run_is_a_failed_detection():
    session = Session(MODEL)
    with pytest.raises(DetectionFailed) as failure:
        session.run(np.zeros((1, 3, 8, 8), np.float32))
    assert failure.value.facts["model"] == f"{STRIP} {MODEL.card.version}"
