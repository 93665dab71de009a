"""A model carried from where it was trained to where it judges: as it was signed, or not at all."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from models import open_detector
from models.bundle import MANIFEST, SIGNATURE, Keys, own_key, packed, public_hex, reference_of, unpacked
from models.errors import (
    BundleUnreadable,
    LicenceRefused,
    ModelAltered,
    ModelDrifted,
    ModelMismatch,
    SignerUnknown,
    VersionTaken,
)
from models.exchange import bring_in_bundle, bring_in_network, exported
from models.provider import CPU, OPENVINO
from models.reference import Reference
from models.session import Session
from models.store import RELEASED, ModelStore
from tests.models.networks import SIDE, answering
from tests.models.releases import PART, STRIP

CODES = ("scratch", "pits", "patch", "chip", "crack", "stain")

CARD = """
name = "from-elsewhere"
version = "1.0.0"
task = "boxes"
made_on = 2026-11-26
kinds = ["scratch", "pits"]
input_hw = [64, 64]
tile_px = 64
opset = 17
thresholds = {{ scratch = 0.5, pits = 0.5 }}
thresholds_by = "the plant"
severities = {{ scratch = "major" }}
suppress_above = 0.5
licence = "{licence}"
origin = "a supplier"
"""


@pytest.fixture
def here(tmp_path):
    """The models of a plant, beside those of the package."""
    return ModelStore(plant=tmp_path / "here")


@pytest.fixture
def there(tmp_path):
    """Where the model was made: another plant, with another key."""
    return ModelStore(plant=tmp_path / "there")


def a_network():
    table = np.zeros((6, 1), np.float32)
    table[:, 0] = 32, 32, 16, 16, 0.9, 0.1
    return answering({"output0": table[None]})


def delivered(tmp_path, licence="Apache-2.0"):
    network, card = tmp_path / "net.onnx", tmp_path / "net.toml"
    network.write_bytes(a_network())
    card.write_text(CARD.format(licence=licence), encoding="utf-8")
    return network, card


@pytest.fixture
def bundle(there, tmp_path):
    bring_in_network(there, *delivered(tmp_path), codes=CODES)
    file = tmp_path / "from-elsewhere.lynceus"
    file.write_bytes(exported(there, "from-elsewhere"))
    return file


def trusting(store, other):
    Keys.read(store.plant).trust(public_hex(own_key(other.plant)), "supplier")


def repacked(file, change):
    """The bundle with its files changed by somebody who has not its key."""
    with zipfile.ZipFile(file) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    file.write_bytes(packed(files))


def test_a_bundle_from_another_plant_runs_here_once_its_key_is_trusted(here, there, bundle):
    with pytest.raises(SignerUnknown) as refusal:
        bring_in_bundle(here, bundle, codes=CODES)
    assert refusal.value.facts["key"] == public_hex(own_key(there.plant))
    trusting(here, there)
    assert bring_in_bundle(here, bundle, codes=CODES).severities == {"scratch": "major"}
    found = open_detector("from-elsewhere", store=here).detect(np.zeros((SIDE, SIDE), np.uint8))
    assert found.kind == ("scratch",)


def test_a_float_network_released_in_one_runtime_is_taken_where_networks_run_in_the_other(
    there, tmp_path, monkeypatch
):
    monkeypatch.setenv("LYNCEUS_PROVIDER", CPU)
    file = tmp_path / "strip.lynceus"
    file.write_bytes(exported(there, STRIP))
    reference = reference_of(unpacked(file, Keys.read(there.plant)), str(file))
    monkeypatch.setenv("LYNCEUS_PROVIDER", OPENVINO)
    assert Session(replace(ModelStore().find(STRIP), reference=reference)).runtime.startswith(OPENVINO)


def test_the_same_model_is_the_same_file(there, bundle):
    assert exported(there, "from-elsewhere") == bundle.read_bytes()


def test_a_manifest_tells_what_it_is_for(there, bundle):
    with zipfile.ZipFile(bundle) as archive:
        manifest = json.loads(archive.read(MANIFEST))
    assert manifest["opset"] == 17
    assert manifest["runtime"] == ["1.20", "2"]
    assert set(manifest["files"]) == {"card.toml", "model.onnx", "reference.npz"}


def test_a_released_model_states_its_data_set(there, tmp_path):
    file = tmp_path / "part"
    file.write_bytes(exported(there, PART))
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read(MANIFEST))
    assert manifest["data_set"] == ModelStore().find(PART).card.training.digest
    assert manifest["restrictions"] == ["agpl"]


@pytest.mark.parametrize("name", ["model.onnx", "card.toml", "reference.npz", MANIFEST, SIGNATURE])
def test_one_altered_byte_of_any_file_is_refused(here, there, bundle, name):
    def alter(files):
        data = bytearray(files[name])
        data[-5] ^= 1
        files[name] = bytes(data)

    trusting(here, there)
    repacked(bundle, alter)
    with pytest.raises((ModelAltered, BundleUnreadable)):
        bring_in_bundle(here, bundle, codes=CODES)
    assert not list(here.plant.glob("*/*/card.toml"))


def test_a_file_that_nobody_signed_for_is_refused(here, there, bundle):
    trusting(here, there)
    repacked(bundle, lambda files: files.update({"extra.py": b"print()"}))
    with pytest.raises(BundleUnreadable, match=r"extra\.py"):
        bring_in_bundle(here, bundle, codes=CODES)


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/b"])
def test_no_name_in_a_bundle_leads_out_of_its_folder(here, there, bundle, name):
    def lead_out(files):
        manifest = json.loads(files[MANIFEST])
        manifest["files"][name] = "0" * 64
        files[MANIFEST] = json.dumps(manifest).encode()
        files[name] = b""

    trusting(here, there)
    repacked(bundle, lead_out)
    with pytest.raises(BundleUnreadable):
        bring_in_bundle(here, bundle, codes=CODES)


def test_half_a_bundle_is_refused(here, bundle):
    bundle.write_bytes(bundle.read_bytes()[:500])
    with pytest.raises(BundleUnreadable):
        bring_in_bundle(here, bundle, codes=CODES)


def test_a_bundle_whose_packed_data_are_spoilt_is_refused(here, tmp_path):
    data = bytearray(packed({"model.onnx": bytes(range(256)) * 40}))
    start = data.index(b"model.onnx") + len("model.onnx")
    data[start : start + 20] = b"\xff" * 20
    file = tmp_path / "spoilt"
    file.write_bytes(bytes(data))
    with pytest.raises(BundleUnreadable):
        unpacked(file, Keys.read(here.plant))


def test_a_card_altered_after_the_model_was_brought_in_is_refused_when_it_is_loaded(here, there, bundle):
    trusting(here, there)
    bring_in_bundle(here, bundle, codes=CODES)
    card = here.plant / "from-elsewhere" / "1.0.0" / "card.toml"
    card.write_text(card.read_text().replace("scratch = 0.5", "scratch = 0.99"))
    with pytest.raises(ModelAltered):
        here.find("from-elsewhere")


def test_a_key_written_in_groups_is_the_same_key_and_the_list_stays_one_that_can_be_read(here, there, bundle):
    key = public_hex(own_key(there.plant)).upper()
    grouped = " ".join(key[start : start + 4] for start in range(0, len(key), 4))
    Keys.read(here.plant).trust(grouped, "supplier")
    assert Keys.read(here.plant).known == {key.lower(): "supplier"}
    bring_in_bundle(here, bundle, codes=CODES)


def test_a_key_not_trusted_any_more_stops_every_model_it_signed(here, there, bundle):
    trusting(here, there)
    bring_in_bundle(here, bundle, codes=CODES)
    (here.plant / "trusted.toml").write_text("")
    with pytest.raises(SignerUnknown):
        here.find("from-elsewhere")


def test_an_answer_that_drifted_is_refused(there, bundle):
    model = there.find("from-elsewhere")
    drifted = replace(model.reference, answers=tuple(one + 0.01 for one in model.reference.answers))
    with pytest.raises(ModelDrifted) as refusal:
        Session(replace(model, reference=drifted))
    assert refusal.value.facts["allowed"] == "0.002"
    Session(replace(model, reference=replace(drifted, tolerance=0.02)))


def test_a_reference_survives_its_file_and_other_bytes_are_none():
    reference = Reference(image=np.ones((1, 3, 4, 4), np.float32), answers=(np.arange(3.0),), tolerance=0.5)
    again = Reference.from_bytes(reference.to_bytes())
    assert again.differs_by(reference.answers) == 0
    assert again.differs_by((np.arange(4.0),)) == float("inf")
    pickled = io.BytesIO()
    np.savez(pickled, image=np.array([{}], object), tolerance=1)
    for data in (b"", b"PK", pickled.getvalue()):
        with pytest.raises(ValueError, match="no reference run"):
            Reference.from_bytes(data)


def test_the_same_version_with_other_bytes_is_refused_and_the_same_one_again_is_no_fault(there, tmp_path):
    network, card = delivered(tmp_path)
    bring_in_network(there, network, card, codes=CODES)
    bring_in_network(there, network, card, codes=CODES)
    card.write_text(card.read_text() + "min_region_px = 3\n")
    with pytest.raises(VersionTaken):
        bring_in_network(there, network, card, codes=CODES)


def test_a_kind_that_the_catalogue_has_not_is_refused_by_its_name(there, tmp_path):
    with pytest.raises(ModelMismatch, match="no pits"):
        bring_in_network(there, *delivered(tmp_path), codes=["scratch"])


def test_a_name_that_comes_with_the_package_is_taken(there, tmp_path):
    network, card = delivered(tmp_path)
    version = ModelStore().versions()[STRIP][-1]
    text = card.read_text().replace("from-elsewhere", STRIP).replace("1.0.0", version)
    card.write_text(text)
    with pytest.raises(VersionTaken):
        bring_in_network(there, network, card, codes=CODES)


@pytest.mark.parametrize(
    ("licence", "refused"),
    [
        ("AGPL-3.0", "agpl"),
        ("for research and evaluation only", "research_only"),
        ("CC BY-NC 4.0", "non_commercial"),
    ],
)
def test_a_plant_refuses_the_licences_its_policy_names(there, tmp_path, licence, refused):
    bring_in_network(there, *delivered(tmp_path, licence), codes=CODES)
    (there.plant / "policy.toml").write_text(f'refuse = ["{refused}"]')
    with pytest.raises(LicenceRefused, match=refused):
        there.find("from-elsewhere")


def test_the_policy_holds_for_the_models_of_the_package_too(there):
    there.plant.mkdir()
    (there.plant / "policy.toml").write_text('refuse = ["agpl"]')
    with pytest.raises(LicenceRefused, match="agpl"):
        there.find(STRIP)
    assert ModelStore(RELEASED).find(STRIP)


def test_a_policy_that_cannot_be_read_allows_nothing(there):
    there.plant.mkdir()
    (there.plant / "policy.toml").write_text('refuse = ["gpl3000"]')
    with pytest.raises(BundleUnreadable, match="policy"):
        there.find(STRIP)


def test_the_signing_key_is_readable_by_its_owner_alone(there):
    own_key(there.plant)
    assert (there.plant / "signing.pem").stat().st_mode & 0o077 == 0


def test_a_bundle_that_unpacks_to_more_than_a_model_is_refused(here, tmp_path, monkeypatch):
    monkeypatch.setattr("models.bundle.LARGEST_BYTES", 1000)
    file = tmp_path / "bomb"
    file.write_bytes(packed({"model.onnx": bytes(10_000)}))
    with pytest.raises(BundleUnreadable, match="1000 bytes"):
        unpacked(file, Keys.read(here.plant))
