"""Released models on disk: `<name>/<version>/card.toml` and the network's file beside it.

The bytes that are run are the bytes that were checked: the file is read once, and its SHA-256 compared with the
card's before anything else sees it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from models.card import ModelCard, read_card
from models.errors import ModelAltered, ModelMismatch, ModelMissing

RELEASED = Path(__file__).parent / "released"

_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReleasedModel:
    """A card and the network it speaks of, checked against each other."""

    card: ModelCard
    network: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ModelStore:
    """The models in a folder; without one, those that come with the package."""

    folder: Path = RELEASED

    def versions(self) -> dict[str, tuple[str, ...]]:
        """Name -> versions, oldest first; names in alphabetical order."""
        found: dict[str, list[str]] = {}
        for card in sorted(self.folder.glob("*/*/card.toml")):
            if _VERSION.fullmatch(card.parent.name):
                found.setdefault(card.parent.parent.name, []).append(card.parent.name)
        return {name: tuple(sorted(versions, key=_as_numbers)) for name, versions in found.items()}

    def find(self, name: str, version: str | None = None) -> ReleasedModel:
        """The model of that name and version, or of its latest version.

        Raises ModelMissing, ModelAltered when the bytes are not those that were released, ModelMismatch when
        the card cannot be used.
        """
        there = self.versions()
        chosen = version or next(reversed(there.get(name, ())), None)
        if chosen is None or chosen not in there.get(name, ()):
            raise self._missing(name, version, there)
        folder = self.folder / name / chosen
        card = read_card(folder / "card.toml")
        if (card.name, card.version) != (name, chosen):
            raise ModelMismatch(
                f"The card in {folder} is that of {card.name} {card.version}.",
                action="Install the model again from its release.",
                model=f"{name} {chosen}",
                wrong=f"{card.name} {card.version}",
            )
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
        return ReleasedModel(card=card, network=network)

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


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
