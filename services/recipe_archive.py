"""A recipe on its way to another station: one zip with its text, the files that it needs beside it, and a manifest.

The manifest names the models by their digests, and is signed by the station that published: a byte that was altered on
the way is refused, and whoever approves at the other station sees whose key it was. Nothing in it acts by itself.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inspection.errors import InspectionError
from inspection.types import ModelRef
from models.bundle import packed, zipped
from models.errors import (
    BundleUnreadable,
    LicenceRefused,
    ModelAltered,
    ModelMismatch,
    ModelMissing,
    SignerUnknown,
)
from models.screens import open_screen
from models.store import ModelStore
from station_config import Recipe
from station_config.base import FileSettings
from station_config.schema import DetectorSettings
from traceability.merkle import Sealer

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
RECIPE: Final = "recipe.toml"
BESIDE: Final = "beside/"

MOST_ARCHIVED: Final = 20_000_000
MOST_UNPACKED: Final = 100_000_000
MOST_FILES: Final = 50

Hex: Final = r"^[0-9a-f]{64}$"


class RecipeArchiveUnfit(InspectionError):
    """What was sent is no recipe of another station, or not as it was published there. Facts: wrong."""

    code = "SVC-RECIPE-ARCHIVE-UNFIT"


class RecipeModelsMissing(InspectionError):
    """The recipe needs models that are not here. Facts: recipe, models."""

    code = "SVC-RECIPE-MODELS-MISSING"


class RecipeNotPublished(InspectionError):
    """What is in force was not approved and published here, so that nothing is sent in its name. Facts: recipe."""

    code = "SVC-RECIPE-NOT-PUBLISHED"


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NamedModel(_Told):
    """A network, or the screen before it, that the recipe would run with where it was published."""

    is_screen: bool = False

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=100)
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", max_length=40)
    sha256: str = Field(pattern=Hex)

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.sha256[:12]}…)"


class Manifest(_Told):
    """`files` by their names in the archive, with SHA-256; `key` is the public one of who signed."""

    format: Literal["lynceus-recipe-1"] = "lynceus-recipe-1"
    recipe: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    revision: int = Field(ge=0)
    station: str = Field(min_length=1, max_length=200)
    published_at: datetime
    models: tuple[NamedModel, ...] = Field(max_length=100)
    files: Mapping[Annotated[str, Field(max_length=200)], Annotated[str, Field(pattern=Hex)]]
    key: str = Field(pattern=Hex)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """An archive that was checked. `text` of the recipe as it was published; `beside` its files by name."""

    manifest: Manifest
    text: bytes
    beside: Mapping[str, bytes]

    def beside_it(self, needed: FileSettings) -> bytes:
        """As `recipe_of` asks for it."""
        try:
            return self.beside[needed.file]
        except KeyError:
            raise FileNotFoundError(2, "not in the archive", needed.file) from None


def archive_of(recipe: Recipe, *, station: str, published_at: datetime, sealer: Sealer) -> bytes:
    """The same recipe of the same station gives the same bytes.

    Raises MOD- errors where a model of the recipe is not here as it was released.
    """
    beside = {f"{BESIDE}{name}": data for name, data in sorted(recipe.files.items())}
    files = {RECIPE: recipe.text, **beside}
    manifest = Manifest(
        recipe=recipe.settings.name,
        revision=recipe.settings.revision,
        station=station,
        published_at=published_at,
        models=_models_of(recipe, ModelStore.of_plant()),
        files={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        key=sealer.public_key.hex(),
    )
    told = manifest.model_dump_json(indent=1).encode()
    return packed({MANIFEST: told, SIGNATURE: sealer.sign(told), **files})


def carried(data: bytes) -> Carried:
    """What an archive holds, after its signature and digests were checked. Raises RecipeArchiveUnfit."""
    try:
        files = zipped(io.BytesIO(data), most_files=MOST_FILES, most_bytes=MOST_UNPACKED)
    except ValueError as error:
        raise _unfit(str(error)) from error
    manifest = _manifest(files)
    wanted = {MANIFEST, SIGNATURE, *manifest.files}
    if set(files) != wanted or RECIPE not in manifest.files:
        raise _unfit(f"it holds {', '.join(sorted(files))}; its manifest lists {', '.join(sorted(wanted))}")
    for name, expected in manifest.files.items():
        if hashlib.sha256(files[name]).hexdigest() != expected:
            raise _unfit(f"{name} was altered")
    beside = {name: content for name, content in files.items() if name.startswith(BESIDE)}
    if stray := set(manifest.files) - {RECIPE, *beside}:
        raise _unfit(f"{', '.join(sorted(stray))} belongs to no recipe")
    return Carried(
        manifest=manifest,
        text=files[RECIPE],
        beside={name.removeprefix(BESIDE): content for name, content in beside.items()},
    )


def missing_models(manifest: Manifest, store: ModelStore) -> tuple[NamedModel, ...]:
    """Those that are not here with the same bytes."""
    return tuple(one for one in manifest.models if not _is_here(one, store))


def _is_here(wanted: NamedModel, store: ModelStore) -> bool:
    try:
        if wanted.is_screen:
            return open_screen(wanted.name, version=wanted.version).card.sha256 == wanted.sha256
        return store.find(wanted.name, wanted.version).card.sha256 == wanted.sha256
    except (ModelMissing, ModelAltered, ModelMismatch, SignerUnknown, BundleUnreadable, LicenceRefused):
        # Not there, altered, or not allowed here: it cannot be run, and the answer names it.
        return False


def _models_of(recipe: Recipe, store: ModelStore) -> tuple[NamedModel, ...]:
    named: set[NamedModel] = set()
    for view in recipe.settings.seen_by.values():
        for asked in view.all_detectors:
            if not isinstance(asked, DetectorSettings):
                continue
            card = store.find(asked.model, asked.version).card
            named.add(NamedModel(name=card.name, version=card.version, sha256=card.sha256))
            if asked.screen is not None:
                ref = ModelRef(name=card.name, version=card.version, sha256=card.sha256)
                screen = open_screen(asked.screen.model, version=asked.screen.version, before=ref).card
                named.add(
                    NamedModel(is_screen=True, name=screen.name, version=screen.version, sha256=screen.sha256)
                )
    return tuple(sorted(named, key=str))


def _manifest(files: Mapping[str, bytes]) -> Manifest:
    """Checked against its signature before anything in it is believed."""
    if MANIFEST not in files or SIGNATURE not in files:
        raise _unfit(f"without {MANIFEST} or {SIGNATURE}")
    try:
        manifest = Manifest.model_validate_json(files[MANIFEST])
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(manifest.key))
        key.verify(files[SIGNATURE], files[MANIFEST])
    except ValidationError as error:
        raise _unfit(f"{MANIFEST}: {error.errors()[0]['msg']}") from error
    except (InvalidSignature, ValueError) as error:
        raise _unfit(f"the signature of {MANIFEST} does not fit") from error
    return manifest


def _unfit(wrong: str) -> RecipeArchiveUnfit:
    return RecipeArchiveUnfit(
        f"This is no recipe as a station gives it out: {wrong}.",
        action="Get the file anew from the station that published it.",
        wrong=wrong,
    )
