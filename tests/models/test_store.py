import hashlib
import re

import pytest

from models.errors import ModelAltered, ModelMismatch, ModelMissing
from models.store import ModelStore
from tests.models.releases import PART, STRIP, a_copy, reworded


def test_the_models_of_the_demo_come_with_the_package():
    assert {STRIP, PART} <= set(ModelStore().versions())


def test_the_latest_version_is_found_by_number_not_by_spelling(tmp_path):
    for version in ("9.0.0", "10.0.0"):
        a_copy(STRIP, tmp_path, version=version)
    assert ModelStore(tmp_path).versions() == {STRIP: ("9.0.0", "10.0.0")}
    assert ModelStore(tmp_path).find(STRIP).card.version == "10.0.0"


def test_an_older_version_can_be_asked_for():
    for version in ModelStore().versions()[STRIP]:
        assert ModelStore().find(STRIP, version).card.ref.version == version


def test_the_reference_names_the_bytes_that_will_run():
    model = ModelStore().find(STRIP)
    assert model.card.ref.sha256 == hashlib.sha256(model.network).hexdigest()


def test_a_missing_model_is_refused_with_those_there_are(tmp_path):
    a_copy(STRIP, tmp_path)
    with pytest.raises(ModelMissing) as refusal:
        ModelStore(tmp_path).find("weld-surface")
    assert refusal.value.facts["model"] == "weld-surface"
    assert STRIP in str(refusal.value.facts["known"])


def test_a_missing_version_is_refused():
    with pytest.raises(ModelMissing, match=r"strip-surface 77\.0\.0"):
        ModelStore().find(STRIP, "77.0.0")


def test_an_empty_or_absent_folder_holds_no_models(tmp_path):
    assert ModelStore(tmp_path).versions() == {}
    with pytest.raises(ModelMissing):
        ModelStore(tmp_path / "absent").find(STRIP)


def test_a_card_without_its_network_is_a_missing_model(tmp_path):
    (a_copy(STRIP, tmp_path) / "model.onnx").unlink()
    with pytest.raises(ModelMissing):
        ModelStore(tmp_path).find(STRIP)


def test_one_altered_byte_is_refused_with_both_digests(tmp_path):
    network = a_copy(STRIP, tmp_path) / "model.onnx"
    data = bytearray(network.read_bytes())
    data[len(data) // 2] ^= 1
    network.write_bytes(data)
    with pytest.raises(ModelAltered) as refusal:
        ModelStore(tmp_path).find(STRIP)
    assert refusal.value.facts["actual"] == hashlib.sha256(data).hexdigest()
    assert refusal.value.facts["expected"] == ModelStore().find(STRIP).card.sha256


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ('task = "boxes"', 'task = "guess"', "task"),
        ("tile_px = ", "tile_pixels = ", "tile_px"),
        ('name = "strip-surface"', 'name = "other-surface"', "other-surface"),
        ("crazing = ", "rust = ", "rust"),
        ('"crazing",', '"pits",', "pits"),
        ("version = ", "version ", "card.toml"),
        ('file = "model.onnx"', 'file = "../../model.onnx"', "file"),
    ],
)
def test_a_card_that_cannot_be_used_is_refused_with_what_is_wrong(tmp_path, before, after, named):
    reworded(a_copy(STRIP, tmp_path), before, after)
    with pytest.raises(ModelMismatch, match=re.escape(named)):
        ModelStore(tmp_path).find(STRIP)
