import sys

import numpy as np
import onnxruntime
import pytest

from models.errors import DetectionFailed, ModelMismatch, ProviderMissing
from models.exchange import TOLERANCE
from models.provider import CPU, OPENVINO
from models.reference import Reference, textured
from models.session import Session
from models.store import ModelStore, ReleasedModel
from tests.models.networks import a_model, answering
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


def test_without_a_word_networks_run_in_onnxruntime_on_the_cpu(monkeypatch):
    monkeypatch.delenv("LYNCEUS_PROVIDER", raising=False)
    assert Session(MODEL).runtime == f"onnxruntime {onnxruntime.__version__}, {CPU}"


def test_all_networks_of_a_computer_run_where_it_says(monkeypatch):
    monkeypatch.setenv("LYNCEUS_PROVIDER", OPENVINO)
    assert Session(MODEL).runtime.startswith("OpenVINO 20")
    assert Session(MODEL, provider=CPU).runtime.startswith("onnxruntime")


def test_a_computer_that_names_what_it_has_not_is_told_what_it_has(monkeypatch):
    monkeypatch.setenv("LYNCEUS_PROVIDER", "openvino")
    with pytest.raises(ProviderMissing) as refusal:
        Session(MODEL)
    assert (refusal.value.facts["provider"], refusal.value.facts["instead"].split(", ")[-1]) == (
        "openvino",
        OPENVINO,
    )


def test_openvino_that_is_not_installed_is_not_silently_replaced(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ProviderMissing, match=rf"{STRIP}.* was to run on {OPENVINO}; here it can on .*{CPU}"):
        Session(MODEL, provider=OPENVINO)


def test_openvino_that_is_there_and_cannot_be_loaded_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "models.in_openvino", None)
    with pytest.raises(ModelMismatch, match="OpenVINO cannot load it"):
        Session(MODEL, provider=OPENVINO)


@pytest.mark.parametrize("name", sorted(ModelStore().versions().keys()))
def test_a_network_of_the_box_answers_alike_in_both_runtimes(name):
    """Floats to the last digits; of those in eight bits what is rounded otherwise may move a score by a tenth."""
    model = ModelStore().find(name)
    image = textured(model.card.input_hw)
    here = Reference(image=image, answers=Session(model, provider=CPU).run_all(image), tolerance=TOLERANCE)
    by = here.differs_by(Session(model, provider=OPENVINO).run_all(image))
    assert by <= (0.1 if name.endswith("-int8") else TOLERANCE)


def test_an_answer_outlives_the_next_run_in_openvino():
    session = Session(MODEL, provider=OPENVINO)
    first = session.run(textured(MODEL.card.input_hw))
    kept = first.copy()
    session.run(np.zeros((1, 3, *MODEL.card.input_hw), np.float32))
    np.testing.assert_array_equal(first, kept)


def test_what_openvino_refuses_at_run_is_a_failed_detection():
    with pytest.raises(DetectionFailed):
        Session(MODEL, provider=OPENVINO).run(np.zeros((1, 3, 8, 8), np.float32))


def test_what_onnxruntime_can_run_and_openvino_cannot_is_refused_there():
    network = answering({"map": np.eye(8)[None, None]}, domain="com.microsoft", operator="Inverse")
    model = a_model(network, ("anomaly",), task="maps")
    Session(model, provider=CPU)
    with pytest.raises(ModelMismatch, match=r"(?s)OpenVINO cannot load it.*Inverse"):
        Session(model, provider=OPENVINO)
