import hashlib
import re

import pytest

from models.errors import ModelAltered, ModelMismatch, ModelMissing, VersionTaken
from models.in_force import IN_FORCE, ModelsInForce
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


@pytest.fixture
def plant(tmp_path):
    """A plant that has promoted its own 8.0.0, beside a package that has 7.0.0."""
    store = ModelStore(tmp_path / "package", tmp_path / "plant")
    a_copy(STRIP, store.folder, version="7.0.0")
    a_copy(STRIP, store.plant, version="8.0.0")
    ModelsInForce(store.plant).promote(STRIP, "8.0.0")
    return store


def test_an_upgrade_that_brings_the_version_in_force_with_other_bytes_stops_it_and_no_other(plant):
    assert plant.find(STRIP, IN_FORCE).card.version == "8.0.0"
    reworded(a_copy(STRIP, plant.folder, version="8.0.0"), "crazing = ", "crazing = 0.9 # ")
    with pytest.raises(VersionTaken) as refusal:
        plant.find(STRIP, IN_FORCE)
    assert refusal.value.facts["model"] == f"{STRIP} 8.0.0"
    assert {str(plant.folder / STRIP / "8.0.0"), str(plant.plant / STRIP / "8.0.0")} == {
        refusal.value.facts["folder"],
        refusal.value.facts["other"],
    }
    assert plant.find(STRIP, "7.0.0").card.version == "7.0.0"


def test_an_upgrade_that_brings_the_very_model_the_plant_has_is_no_fault(plant):
    a_copy(STRIP, plant.folder, version="8.0.0")
    assert plant.find(STRIP, IN_FORCE).card.version == "8.0.0"


def test_a_card_that_an_editor_has_put_a_mark_before_is_read_as_any_other(tmp_path):
    card = a_copy(STRIP, tmp_path) / "card.toml"
    card.write_bytes(b"\xef\xbb\xbf" + card.read_bytes())
    assert ModelStore(tmp_path).find(STRIP).card == ModelStore().find(STRIP).card


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
