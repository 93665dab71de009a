import json

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.store import RELEASED, ModelStore
from models.training.dataset import Labelled, write_set
from models.training.release import lowered, quiet_from, training_of, write
from models.training.train import Plan, without_traces
from tests.models.networks import a_model, answering

scores = st.floats(0, 1)


@given(
    arrays(np.float64, (8, 3), elements=scores),
    arrays(np.float64, (20, 3), elements=scores),
    st.sampled_from([0.0, 0.05, 0.2]),
)
def test_no_more_clean_pictures_alarm_than_allowed_and_fewer_defective_ones_escape_than_with_none(
    defective, clean, share
):
    thresholds = quiet_from(defective, clean, share=share)
    assert (clean >= thresholds).any(axis=1).sum() <= share * len(clean)
    strictest = quiet_from(defective, clean, share=0.0)
    escaped, escaped_then = ((defective < one).all(axis=1).sum() for one in (thresholds, strictest))
    assert escaped <= escaped_then


def test_the_clean_picture_that_is_let_through_is_the_one_that_costs_most_escapes():
    clean = np.array([[0.9, 0.1], [0.2, 0.8]])
    # The first kind's loud clean picture hides two defective ones, the second kind's only one.
    defective = np.array([[0.5, 0.0], [0.6, 0.0], [0.0, 0.5]])
    thresholds = quiet_from(defective, clean, share=0.5)
    assert (defective >= thresholds).any(axis=1).tolist() == [True, True, False]


def test_clean_pictures_are_let_through_several_at_once_where_one_alone_would_catch_nothing():
    """Of pits nothing lies between the two loudest clean pictures and four defective ones below both; of scratches one
    clean picture hides one."""
    clean = np.array([[0.9, 0.1], [0.8, 0.1], [0.1, 0.7], *[[0.1, 0.1]] * 7])
    defective = np.array([[0.5, 0.0]] * 4 + [[0.0, 0.6]])
    thresholds = quiet_from(defective, clean, share=0.2)
    assert (defective >= thresholds).any(axis=1).tolist() == [True] * 4 + [False]
    assert (clean >= thresholds).any(axis=1).tolist() == [True, True] + [False] * 8


def test_of_a_few_dozen_good_pictures_one_may_alarm_rather_than_set_the_threshold_alone():
    """48 good ones, of which 1.5 % are none: with the loudest at 0.97 nine defective ones of ten would escape."""
    clean = np.array([[0.97], [0.3], *[[0.1]] * 46])
    defective = np.array([[0.6]] * 9 + [[0.99]])
    threshold = lowered(np.array([0.5]), defective, clean)
    assert threshold == pytest.approx([0.5])


def noted(network: bytes) -> bytes:
    """As a training tool leaves it: it says where it was made."""
    model = onnx.load_from_string(network)
    told = {"description": "trained on /desk/runs/data.yaml", "names": "{0: 'pits'}", "license": "AGPL-3.0"}
    onnx.helper.set_model_props(model, told)
    model.graph.node[0].doc_string = "/desk/tool.py"
    return bytes(model.SerializeToString())


def test_a_network_keeps_its_classes_and_its_licence_and_says_nothing_of_the_desk_it_was_made_at():
    network = answering({"boxes": np.zeros((1, 5, 8))})
    tidy = without_traces(noted(network))
    model = onnx.load_from_string(tidy)
    assert {one.key: one.value for one in model.metadata_props} == {
        "names": "{0: 'pits'}",
        "license": "AGPL-3.0",
    }
    assert b"/desk" not in tidy
    assert model.graph == onnx.load_from_string(network).graph
    assert without_traces(tidy) == tidy


def test_nothing_is_released_that_says_where_it_was_made(tmp_path):
    model = a_model(noted(answering({"boxes": np.zeros((1, 5, 8))})), ("pits",))
    with pytest.raises(RuntimeError, match="where or when"):
        write(model.card, model.network, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_network_in_the_package_says_where_it_was_made():
    files = sorted(RELEASED.glob("*/*/*.onnx"))
    assert files
    assert [file for file in files if without_traces(file.read_bytes()) != file.read_bytes()] == []


def test_every_network_in_the_package_is_the_one_its_card_names():
    for name, versions in ModelStore().versions().items():
        for version in versions:
            assert ModelStore().find(name, version).card.version == version


@pytest.mark.parametrize("resumed", [True, False])
def test_a_card_says_after_how_many_epochs_its_training_ended_and_whether_it_was_stopped_and_went_on(
    tmp_path, resumed
):
    """From a plant's labels too, whose card once said that none ever was."""
    (tmp_path / "run.json").write_text(
        json.dumps({"seconds": 9, "epochs": 2, "resumed": resumed, "threads": 2})
    )
    piece = Labelled(name="a", pixels=np.zeros((32, 32), np.uint8), truth=())
    made = write_set(tmp_path / "data", ["pits"], [("flange", "the plant's", [piece])], choose_by=[piece])
    told = training_of(
        Plan(input_px=32, epochs=3, seed=0),
        made,
        run=tmp_path,
        command="-",
        chosen_by="-",
        by_its_own_tool="-",
        tool_version="8",
    )
    assert (told.interrupted, told.epochs) == (resumed, 2)
    assert (told.sources[0].name, told.sources[0].licence) == ("flange", "the plant's")
