"""What cannot be right about labels and networks is refused on every way in, by a code that stays, and says in both
languages what to do."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from inspection.errors import InspectionError
from models.anomaly import write
from models.exchange import exported
from models.store import ModelStore
from services.cli import lynceus
from services.cli.model import model
from services.text import LANGUAGES, explain_code
from tests.a_station import an_empty_station, needs_libraries
from tests.models.networks import a_model, answering
from tests.services.signed_in import signed_in
from traceability.accounts import Role

NAME = "from-elsewhere"
KINDS = ("scratch", "pits")
CARD = """
name = "from-elsewhere"
version = "1.0.0"
task = "boxes"
made_on = 2026-11-26
kinds = ["scratch", "pits"]
input_hw = [64, 64]
tile_px = 64
opset = 17
thresholds = { scratch = 0.5, pits = 0.5 }
thresholds_by = "the plant"
suppress_above = 0.5
licence = "Apache-2.0"
origin = "a supplier"
"""


def of(kinds: int) -> dict[str, np.ndarray]:
    return {"output0": np.zeros((1, 4 + kinds, 3), np.float32)}


GOOD_NETWORK = answering(of(2))
NETWORKS = {
    "truncated": GOOD_NETWORK[: len(GOOD_NETWORK) // 2],
    "no network at all": b"not a network",
    "empty": b"",
    "an operator of its own": answering(of(2), domain="com.example.vision"),
    "one channel where the card says three": answering(of(2), channels=1),
    "more kinds than the card names": answering(of(5)),
    "fewer kinds than the card names": answering(of(1)),
    "kinds in another order than the card's": answering(of(2), names=["pits", "scratch"]),
    "another licence than the card's": answering(of(2), licence="AGPL-3.0"),
}


def refused_by_command(models: Path, *arguments: str) -> InspectionError:
    environment = {"LYNCEUS_MODELS": str(models), "COLUMNS": "200"}
    result = CliRunner(env=environment).invoke(lynceus, arguments, standalone_mode=False)
    assert isinstance(result.exception, InspectionError), (result.exception, result.output)
    return result.exception


def says_what_to_do(error: InspectionError) -> None:
    """In both languages, from the texts, with every fact filled in."""
    said = [explain_code(error.code, error.facts, language) for language in LANGUAGES]
    for one in said:
        assert one.what
        assert one.action
        assert "{" not in one.action
    assert said[0].what != said[1].what
    assert said[0].action != said[1].action


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_a_network_that_is_not_what_its_card_says_does_not_come_in_by_command(tmp_path, network):
    (tmp_path / "net.onnx").write_bytes(network)
    (tmp_path / "net.toml").write_text(CARD)
    given = ("model", "import", str(tmp_path / "net.onnx"), "--card", str(tmp_path / "net.toml"))
    error = refused_by_command(tmp_path / "models", *given)
    assert error.code == "MOD-MISMATCH"
    says_what_to_do(error)
    assert not list((tmp_path / "models").glob("*/*/card.toml"))


def test_three_channels_where_the_card_says_one_are_refused_too(tmp_path):
    (tmp_path / "net.onnx").write_bytes(GOOD_NETWORK)
    (tmp_path / "net.toml").write_text(f"{CARD}\n[form]\nchannels = 1\n")
    given = ("model", "import", str(tmp_path / "net.onnx"), "--card", str(tmp_path / "net.toml"))
    error = refused_by_command(tmp_path / "models", *given)
    assert (error.code, "[1, 1, 64, 64]" in str(error)) == ("MOD-MISMATCH", True)


def test_an_altered_byte_of_a_bundle_does_not_come_in_by_command(tmp_path, monkeypatch):
    monkeypatch.setenv("LYNCEUS_MODELS", str(tmp_path / "models"))
    (tmp_path / "net.onnx").write_bytes(GOOD_NETWORK)
    (tmp_path / "net.toml").write_text(CARD)
    given = ["import", str(tmp_path / "net.onnx"), "--card", str(tmp_path / "net.toml")]
    assert CliRunner().invoke(model, given).exit_code == 0
    bundle = tmp_path / "net.lynceus"
    with zipfile.ZipFile(io.BytesIO(exported(ModelStore.of_plant(), NAME))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["model.onnx"] = files["model.onnx"][:-1] + bytes([files["model.onnx"][-1] ^ 1])
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    error = refused_by_command(tmp_path / "models", "model", "import", str(bundle))
    assert error.code == "MOD-ALTERED"
    says_what_to_do(error)


@pytest.fixture
def station(tmp_path, monkeypatch):
    for name in ("MODELS", "DATASETS"):
        monkeypatch.setenv(f"LYNCEUS_{name}", str(tmp_path / name.lower()))
    made = needs_libraries(an_empty_station(tmp_path))
    with made.store:
        yield made


def laid_by_hand(network: bytes) -> Path:
    """A second version, in the plant's folder, that no command has looked at."""
    for version, data in (("1.0.0", GOOD_NETWORK), ("1.1.0", network)):
        made = a_model(data, KINDS)
        card = made.card.model_copy(update={"name": NAME, "version": version})
        folder = write(replace(made, card=card), ModelStore.of_plant().plant)
    return folder


def is_refused_as_a_candidate(station, code: str) -> None:
    """By programs and on the page, in both languages."""
    integrator = signed_in(station.app(), Role.INTEGRATOR)
    for language in LANGUAGES:
        told = integrator.post(
            f"/api/v1/models/{NAME}/propose", json={"version": "1.1.0"}, params={"lang": language}
        )
        assert (told.status_code, told.json()["code"]) == (422, code)
        assert told.json()["action"]
    shown = integrator.post(f"/models/{NAME}/propose", data={"version": "1.1.0"})
    assert (shown.status_code, code in shown.text) == (422, True)
    assert integrator.get(f"/api/v1/models/{NAME}").json()["candidate"] is None


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_a_network_that_is_not_what_its_card_says_is_no_candidate_though_it_lies_there(station, network):
    laid_by_hand(network)
    is_refused_as_a_candidate(station, "MOD-MISMATCH")


def test_a_network_of_which_a_byte_was_altered_is_no_candidate(station):
    file = laid_by_hand(GOOD_NETWORK) / "model.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"\0\0")
    is_refused_as_a_candidate(station, "MOD-ALTERED")


OUTSIDE, UNKNOWN, GOOD_LABEL = "0 0.95 0.5 0.3 0.2\n", "7 0.5 0.5 0.1 0.1\n", "0 0.5 0.5 0.2 0.2\n"
SETS: dict[str, tuple[list[str], str]] = {
    "a label outside of its picture": ([OUTSIDE, ""], "MOD-LABELS-WRONG"),
    "a class that is not there": ([UNKNOWN, ""], "MOD-LABELS-WRONG"),
    "no picture": ([], "MOD-TRAINING-DATA"),
    "no defect": (["", ""], "MOD-SET-UNFIT"),
    "one kind and nothing good": ([GOOD_LABEL, GOOD_LABEL], "MOD-SET-UNFIT"),
}


def a_set(labels: list[str]) -> dict[str, bytes]:
    """Files of a YOLO folder."""
    files = {"classes.txt": b"scratch\npits\n"}
    for number, label in enumerate(labels):
        picture = np.full((80, 120), 40 * number, np.uint8)
        files[f"images/{number}.png"] = cv2.imencode(".png", picture)[1].tobytes()
        files[f"labels/{number}.txt"] = label.encode()
    return files


def laid_out(files: dict[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


BY_COMMAND: dict[str, Callable[[Path], tuple[str, ...]]] = {
    "looked at": lambda folder: ("model", "data", str(folder)),
    "locked as a gold set": lambda folder: (
        *("model", "lock-gold", NAME, "--data", str(folder), "--by", "wang"),
        *("--database", f"sqlite:///{folder.parent / 'trace.sqlite'}"),
    ),
}


@pytest.mark.parametrize("way", BY_COMMAND.values(), ids=BY_COMMAND.keys())
@pytest.mark.parametrize(("labels", "code"), SETS.values(), ids=SETS.keys())
def test_a_set_that_cannot_be_right_is_refused_by_command(tmp_path, labels, code, way):
    error = refused_by_command(tmp_path / "models", *way(laid_out(a_set(labels), tmp_path / "set")))
    assert error.code == code
    says_what_to_do(error)


@pytest.mark.parametrize(("labels", "code"), [one for one in SETS.values() if one[1] != "MOD-SET-UNFIT"])
def test_a_set_that_cannot_be_right_is_refused_as_an_archive_on_the_page(station, labels, code):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in a_set(labels).items():
            archive.writestr(name, data)
    integrator = signed_in(station.app(), Role.INTEGRATOR)
    for language in LANGUAGES:
        sent = integrator.post(
            "/datasets/bring-in",
            params={"lang": language},
            data={"name": "bad"},
            files={"archive": ("a.zip", packed.getvalue(), "application/zip")},
        )
        assert (sent.status_code, code in sent.text) == (422, True)
    assert integrator.get("/api/v1/datasets/bad").status_code == 404


@pytest.mark.parametrize(
    "mark", [{"kind": "scratch", "box": [90, 20, 150, 60]}, {"kind": "rust", "box": [1, 2, 30, 40]}]
)
def test_a_label_that_cannot_be_right_is_refused_of_programs_and_in_the_editor(station, mark):
    integrator = signed_in(station.app(), Role.INTEGRATOR)
    assert integrator.post("/datasets", data={"name": "seam", "kinds": list(KINDS)}).status_code == 303
    picture = a_set([""])["images/0.png"]
    integrator.post("/datasets/seam/pictures", files=[("pictures", ("0.png", picture, "image/png"))])
    (waiting,) = integrator.get("/api/v1/datasets/seam").json()["waiting"]
    for language in LANGUAGES:
        asked = {"picture": waiting, "lang": language}
        told = integrator.put("/api/v1/datasets/seam/labels", params=asked, json={"labels": [mark]})
        assert (told.status_code, told.json()["code"]) == (422, "MOD-LABELS-WRONG")
        assert told.json()["action"]
        shown = integrator.post("/datasets/seam/label", params=asked, data={"labels": json.dumps([mark])})
        assert (shown.status_code, "MOD-LABELS-WRONG" in shown.text) == (422, True)
