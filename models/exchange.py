"""Bringing models into a plant and taking them out: nothing is kept here that was not run here first."""

from __future__ import annotations

import codecs
import hashlib
import tomllib
from collections.abc import Collection
from pathlib import Path

import numpy as np

from inspection.types import Image
from inspection.vision.boxes import Letterbox
from models.boxes import fill_input
from models.bundle import CARD, Keys, Policy, install, own_key, packed, reference_of, signed, unpacked
from models.card import ModelCard, parse_card
from models.errors import ModelMismatch, VersionTaken
from models.reference import Reference, textured
from models.session import Session
from models.store import ModelStore, ReleasedModel, plant_folder

# Float networks answered alike to 1e-5 on every machine tried; a changed weight shows in hundredths.
TOLERANCE = 2e-3

_NETWORK = "model.onnx"


def exported(
    store: ModelStore,
    name: str,
    version: str | None = None,
    *,
    picture: Image | None = None,
    tolerance: float = TOLERANCE,
) -> bytes:
    """A released model as a bundle, signed with the plant's key.

    picture     what the reference run is of: uint8, grey or BGR; without one, a texture of every scale
    tolerance   of the reference run, see `Reference`

    Raises as `ModelStore.find` and `Session`.
    """
    model = store.find(name, version)
    card_file = (store.folder_of(model.card.name, model.card.version) / CARD).read_bytes()
    reference = _reference(model, picture, tolerance)
    return packed(signed(card_file, model.card, model.network, reference, own_key(_plant(store))))


def bring_in_bundle(store: ModelStore, file: Path, *, codes: Collection[str]) -> ModelCard:
    """A bundle into the plant's folder, after signature, digests, policy, kinds and the reference run were checked.

    codes   of the plant's catalogue of defects

    Raises BundleUnreadable, SignerUnknown, ModelAltered, LicenceRefused, ModelMismatch, ModelDrifted, VersionTaken.
    """
    files = unpacked(file, Keys.read(_plant(store)))
    card = parse_card(files[CARD], f"{file}: {CARD}")
    if card.file not in files:
        raise _mismatch(card, f"the bundle has no {card.file}")
    _check(store, card, files[card.file], codes)
    model = ReleasedModel(card=card, network=files[card.file], reference=reference_of(files, str(file)))
    Session(model)
    install(files, _plant(store))
    return card


def bring_in_network(
    store: ModelStore,
    network_file: Path,
    card_file: Path,
    *,
    codes: Collection[str],
    picture: Image | None = None,
) -> ModelCard:
    """An ONNX file from elsewhere, with a card that says what it eats, gives and knows.

    The card need not state `file` and `sha256`. The plant signs what it ran here.
    Raises as `bring_in_bundle`.
    """
    try:
        network, written = network_file.read_bytes(), card_file.read_bytes()
    except OSError as error:
        raise ModelMismatch(
            f"{error.filename} cannot be read: {error.strerror}.",
            action="Name the ONNX file and its card.",
            model=str(error.filename),
            wrong=str(error.strerror),
        ) from error
    written = _with_facts(written, network)
    card = parse_card(written, str(card_file))
    _check(store, card, network, codes)
    reference = _reference(ReleasedModel(card=card, network=network), picture, TOLERANCE)
    install(signed(written, card, network, reference, own_key(_plant(store))), _plant(store))
    return card


def _with_facts(card: bytes, network: bytes) -> bytes:
    """The card with what can be read from the file, where it does not say it itself."""
    card = card.removeprefix(codecs.BOM_UTF8)
    try:
        stated = tomllib.loads(card.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return card
    facts = {"file": _NETWORK, "sha256": hashlib.sha256(network).hexdigest()}
    lines = "".join(f'{name} = "{value}"\n' for name, value in facts.items() if name not in stated)
    return lines.encode() + card


def _check(store: ModelStore, card: ModelCard, network: bytes, codes: Collection[str]) -> None:
    if hashlib.sha256(network).hexdigest() != card.sha256:
        raise _mismatch(card, f"{card.file} is another file than its card says")
    Policy.read(_plant(store)).check(card)
    if unknown := [kind for kind in card.kinds if kind not in codes]:
        raise _mismatch(
            card, f"the catalogue of defects has no {', '.join(unknown)} (it has {', '.join(sorted(codes))})"
        )
    there = store.folder_of(card.name, card.version)
    if store.plant is not None and there.is_relative_to(store.folder) and there.exists():
        raise VersionTaken(
            f"{card.name} {card.version} comes with Lynceus itself.",
            action="Give the model another name or version.",
            model=f"{card.name} {card.version}",
            folder=str(store.folder),
        )


def _reference(model: ReleasedModel, picture: Image | None, tolerance: float) -> Reference:
    """Of a fresh run, on what it will run on."""
    image = textured(model.card.input_hw)
    if picture is not None:
        fit = Letterbox.fit((picture.shape[0], picture.shape[1]), model.card.input_hw)
        fill_input(image[0], picture, fit)
    # The grey levels that a camera has.
    image = np.round(image * 255).astype(np.float32) / np.float32(255)
    answers = Session(model).run_all(image)
    return Reference(image=image, answers=answers, tolerance=tolerance)


def _plant(store: ModelStore) -> Path:
    return store.plant or plant_folder()


def _mismatch(card: ModelCard, wrong: str) -> ModelMismatch:
    return ModelMismatch(
        f"The model {card.name} {card.version} cannot be used: {wrong}.",
        action="Mend the card, or get a network that fits it.",
        model=f"{card.name} {card.version}",
        wrong=wrong,
    )
