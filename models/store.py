"""Released models on disk: `<name>/<version>/card.toml` and the network's file beside it.

The bytes that are run are the bytes that were checked: the file is read once, and its SHA-256 compared with the
card's before anything else sees it. What came in a signed bundle is checked against its signature as well, each time.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from models.bundle import MANIFEST, Keys, Policy, check_folder
from models.card import ModelCard, read_card
from models.errors import ModelAltered, ModelMismatch, ModelMissing, VersionTaken
from models.in_force import IN_FORCE, ModelsInForce
from models.reference import Reference

RELEASED = Path(__file__).parent / "released"

_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReleasedModel:
    """A card and the network it speaks of, checked against each other.

    reference   of a bundle: what the network must answer wherever it runs
    """

    card: ModelCard
    network: bytes = field(repr=False)
    reference: Reference | None = field(default=None, repr=False)


def plant_folder() -> Path:
    """Where a plant keeps its own models: LYNCEUS_MODELS, else the folder `var/models` here."""
    return Path(os.environ.get("LYNCEUS_MODELS") or Path("var", "models"))


@dataclass(frozen=True, slots=True)
class ModelStore:
    """The models in a folder; without one, those that come with the package.

    plant   the plant's own models beside these, the keys it trusts and its licence policy, which holds for all
    """

    folder: Path = RELEASED
    plant: Path | None = None

    @classmethod
    def of_plant(cls) -> ModelStore:
        """The models that come with the package and those of the plant."""
        return cls(plant=plant_folder())

    def versions(self) -> dict[str, tuple[str, ...]]:
        """Name -> versions, oldest first; names in alphabetical order."""
        found: dict[str, set[str]] = {}
        for folder in self._folders:
            for card in folder.glob("*/*/card.toml"):
                if _VERSION.fullmatch(card.parent.name):
                    found.setdefault(card.parent.parent.name, set()).add(card.parent.name)
        return {name: tuple(sorted(found[name], key=_as_numbers)) for name in sorted(found)}

    def find(self, name: str, version: str | None = None) -> ReleasedModel:
        """The model of that name and version, or of its latest version; of IN_FORCE, the one promoted last, or while
        none was, the latest that came with the package.

        Raises ModelMissing, ModelAltered when the bytes are not those that were released or signed, ModelMismatch
        when the card cannot be used, SignerUnknown when the key that signed is not trusted any more, LicenceRefused,
        VersionTaken where the package and the plant have two different models of that name and version.
        """
        there = self.versions()
        if version == IN_FORCE:
            version = self.in_force(name)
        chosen = version or next(reversed(there.get(name, ())), None)
        if chosen is None or chosen not in there.get(name, ()):
            raise self._missing(name, version, there)
        folder = self.folder_of(name, chosen)
        card = read_card(folder / "card.toml")
        if (card.name, card.version) != (name, chosen):
            raise ModelMismatch(
                f"The card in {folder} is that of {card.name} {card.version}.",
                action="Install the model again from its release.",
                model=f"{name} {chosen}",
                wrong=f"{card.name} {card.version}",
            )
        if self.plant is not None:
            Policy.read(self.plant).check(card)
        for other in self._folders_of(name, chosen)[1:]:
            # An upgrade may bring a version that the plant has promoted as its own: which of them a record means, and
            # which one a gate has seen, nobody could say.
            if read_card(other / "card.toml") != card:
                raise _two_of(card, folder, other)
        reference = None
        if (folder / MANIFEST).exists():
            reference = check_folder(folder, Keys.read(folder.parent.parent))
        try:
            network = (folder / card.file).read_bytes()
        except FileNotFoundError as error:
            raise self._missing(name, chosen, there) from error
        digest = hashlib.sha256(network).hexdigest()
        if digest != card.sha256:
            raise ModelAltered(
                f"{folder / card.file} has SHA-256 {digest}, its card says {card.sha256}.",
                action="Do not use this file. Install the model again from its release.",
                model=f"{name} {chosen}",
                expected=card.sha256,
                actual=digest,
            )
        return ReleasedModel(card=card, network=network, reference=reference)

    def in_force(self, name: str) -> str | None:
        """The version promoted last; while none was, the latest of the package, or the first that the plant brought in.
        None where there is none at all."""
        promoted = None if self.plant is None else ModelsInForce(self.plant).version(name)
        package = ModelStore(self.folder).versions().get(name, ())[::-1]
        return promoted or next(iter([*package, *self.versions().get(name, ())]), None)

    def folder_of(self, name: str, version: str) -> Path:
        """Where that version lies; the package's own before the plant's. It need not be there."""
        return next(iter(self._folders_of(name, version)), self._folders[-1] / name / version)

    def _folders_of(self, name: str, version: str) -> tuple[Path, ...]:
        folders = [folder / name / version for folder in self._folders]
        return tuple(folder for folder in folders if (folder / "card.toml").exists())

    @property
    def _folders(self) -> tuple[Path, ...]:
        return (self.folder,) if self.plant is None else (self.folder, self.plant)

    def _missing(self, name: str, version: str | None, there: dict[str, tuple[str, ...]]) -> ModelMissing:
        wanted = f"{name} {version}" if version else name
        known = ", ".join(f"{one} {two}" for one, versions in there.items() for two in versions) or "-"
        return ModelMissing(
            f"There is no model {wanted} in {self.folder}. There is: {known}.",
            action="Name one of these, or install the model.",
            model=wanted,
            folder=str(self.folder),
            known=known,
        )


def _two_of(card: ModelCard, folder: Path, other: Path) -> VersionTaken:
    return VersionTaken(
        f"There are two models {card.name} {card.version}: one in {folder}, another one in {other}.",
        action="Take back to the version before, or name another version in the recipe.",
        model=f"{card.name} {card.version}",
        folder=str(folder),
        other=str(other),
        reason="twice",
    )


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
