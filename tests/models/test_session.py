import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from inspection.errors import DetectionsInvalid, TooManyDetections
from models.anomaly import write
from models.boxes import BoxDetector
from models.decode import MOST
from models.eight_bits import eight_bits_overflow
from models.errors import DetectionFailed, ModelDrifted, ModelMismatch, ProviderMissing
from models.exchange import TOLERANCE
from models.labels import read_yolo
from models.maps import MapDetector
from models.provider import CPU, OPENVINO
from models.reference import textured
from models.session import Session
from models.store import ModelStore, ReleasedModel
from services.evaluating import evaluate
from tests.models.networks import SIDE, a_model, answering
from tests.models.releases import STRIP

MODEL = ModelStore().find(STRIP)
CPUINFO = Path("/proc/cpuinfo")
HAS_VNNI = CPUINFO.exists() and "vnni" in CPUINFO.read_text()


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
    """Floats to the last digits; of those in eight bits what is rounded otherwise may move a score by a tenth. Where
    the processor lets eight bits overflow in OpenVINO, a network that shows it is refused there."""
    model = ModelStore().find(name)
    image = textured(model.card.input_hw)
    here = _in_shares(model, Session(model, provider=CPU).run_all(image))
    is_small = name.endswith("-int8")
    try:
        session = Session(model, provider=OPENVINO)
    except ModelDrifted:
        session = None
    if session is None:
        assert is_small
        assert eight_bits_overflow()
    else:
        for ours, theirs in zip(_in_shares(model, session.run_all(image)), here, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=0.1 if is_small else TOLERANCE)


def _in_shares(model, answers):
    """Places as shares of the input's side, as scores are shares of 1."""
    first, *others = answers
    if model.card.task == "boxes":
        first = np.concatenate([first[:, :4] / max(model.card.input_hw), first[:, 4:]], axis=1)
    return [first, *others]


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


@pytest.mark.parametrize(("detector", "task"), [(BoxDetector, "boxes"), (MapDetector, "maps")])
def test_a_picture_to_which_the_network_answers_with_no_numbers_is_not_one_without_defects(detector, task):
    """By its warm-up it is a good one. Compared with a threshold, what is no number would be no defect."""
    answer = np.zeros((1, 5, 8) if task == "boxes" else (1, 1, 16, 16), np.float32)
    model = a_model(answering({"out": answer}, fails_in_the_dark=True), ("pits",), task=task)
    looks = detector(Session(model))
    assert len(looks.detect(np.full((SIDE, SIDE), 128, np.uint8))) == 0
    with pytest.raises(DetectionsInvalid):
        looks.detect(np.zeros((SIDE, SIDE), np.uint8))


def crowded(count: int, score: float) -> np.ndarray:
    """An answer with so many boxes that do not touch, all of them as sure."""
    answer = np.zeros((1, 5, count), np.float32)
    answer[0, 0], answer[0, 1] = 3 * (np.arange(count) % 21) + 1, 3 * (np.arange(count) // 21) + 1
    answer[0, 2:4], answer[0, 4] = 1, score
    return answer


def test_where_more_stands_out_than_is_kept_nothing_is_judged_however_closely_one_looks():
    model = a_model(answering({"out": crowded(MOST + 20, 0.6)}), ("pits",))
    picture = np.full((SIDE, SIDE), 128, np.uint8)
    for min_score in (None, 0.001):
        with pytest.raises(TooManyDetections):
            BoxDetector(Session(model), min_score=min_score).detect(picture)
    assert len(BoxDetector(Session(model), min_score=0.001, for_figures=True).detect(picture)) == MOST


def test_an_evaluation_counts_such_a_picture_as_reported_and_goes_on(tmp_path):
    model = a_model(answering({"out": crowded(MOST + 20, 0.6)}), ("pits",))
    write(model, tmp_path / "models")
    (tmp_path / "set" / "images").mkdir(parents=True)
    (tmp_path / "set" / "classes.txt").write_text("pits\n")
    cv2.imwrite(str(tmp_path / "set" / "images" / "1.png"), np.full((SIDE, SIDE), 128, np.uint8))
    store = ModelStore(tmp_path / "models")
    (seen,) = evaluate(read_yolo(tmp_path / "set"), model.card.name, store=store).seen
    assert len(seen.judged.found) == MOST
