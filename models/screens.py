"""Released screens on disk: `<name>/<version>/screen.toml`, the card, and the weights beside it.

The weights are JSON: whole numbers, each times `WEIGHT_STEP`. As with networks, the bytes that are used are the
bytes that were checked.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inspection.types import ModelRef
from inspection.vision.cells import CELL_PX, STATISTICS
from inspection.vision.screening import WEIGHT_STEP, Screen, Screened, TilingDetector
from models.card import Count, Sha256, TrainingSource
from models.errors import ModelAltered, ModelMismatch, ModelMissing
from models.store import RELEASED

_VERSION = re.compile(r"\d+\.\d+\.\d+")


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Teacher(_Facts):
    """The network whose findings the screen learned to foresee."""

    name: str
    version: str
    sha256: Sha256


class Kept(_Facts):
    """Of `found` findings of the network, as many lie on a candidate cell."""

    found: Count
    kept: Count


class ScreenCard(_Facts):
    """All that is said about a screen.

    teacher         whose findings it learned from and whose findings set the thresholds
    also            networks whose findings set the thresholds, too: it may stand before these as well
    thresholds      score per kind, from which on a cell is a candidate; the rule is `thresholds_by`
    statistics      what the cells are described by, in the order of the weights
    chosen_on       findings per kind on the pictures that chose the thresholds, and how many were kept
    digest          over the statistics and labels learnt from, in their order
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    file: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    sha256: Sha256
    made_on: date
    kinds: Annotated[tuple[str, ...], Field(min_length=1)]
    cell_px: int
    statistics: tuple[str, ...]
    thresholds: dict[str, float]
    thresholds_by: str
    teacher: Teacher
    also: tuple[Teacher, ...] = ()
    licence: str
    command: str
    seed: int
    digest: Sha256
    sources: tuple[TrainingSource, ...]
    chosen_on: dict[str, Kept]

    @property
    def ref(self) -> ModelRef:
        return ModelRef(name=self.name, version=self.version, sha256=self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReleasedScreen:
    card: ScreenCard
    screen: Screen


def screens_in(folder: Path = RELEASED) -> dict[str, tuple[str, ...]]:
    """Name -> versions, oldest first; names in alphabetical order."""
    found: dict[str, list[str]] = {}
    for card in sorted(folder.glob("*/*/screen.toml")):
        if _VERSION.fullmatch(card.parent.name):
            found.setdefault(card.parent.parent.name, []).append(card.parent.name)
    return {name: tuple(sorted(versions, key=_as_numbers)) for name, versions in found.items()}


def open_screen(
    name: str, *, version: str | None = None, before: ModelRef | None = None, folder: Path = RELEASED
) -> ReleasedScreen:
    """The released screen of that name and version.

    before  without a version: the latest that this network taught, if there is one, else the latest of all

    Raises ModelMissing, ModelAltered when the bytes are not those that were released, ModelMismatch when card
    and weights contradict each other or belong to other statistics than these.
    """
    there = screens_in(folder)
    chosen = version or _latest(name, there.get(name, ()), before, folder)
    if chosen is None or chosen not in there.get(name, ()):
        known = ", ".join(f"{one} {two}" for one, versions in there.items() for two in versions) or "-"
        wanted = f"{name} {version}" if version else name
        raise ModelMissing(
            f"There is no screen {wanted} in {folder}. There is: {known}.",
            action="Name one of these, or install the screen.",
            model=wanted,
            folder=str(folder),
            known=known,
        )
    place = folder / name / chosen
    card = _read_card(place / "screen.toml")
    if (card.name, card.version) != (name, chosen):
        raise _mismatch(f"{name} {chosen}", f"the card is that of {card.name} {card.version}")
    if (card.cell_px, card.statistics) != (CELL_PX, STATISTICS):
        raise _mismatch(f"{name} {chosen}", "it was trained on other statistics than this version computes")
    try:
        weights = (place / card.file).read_bytes()
    except OSError as error:
        raise _mismatch(f"{name} {chosen}", f"{card.file} cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(weights).hexdigest()
    if digest != card.sha256:
        raise ModelAltered(
            f"{place / card.file} has SHA-256 {digest}, its card says {card.sha256}.",
            action="Do not use this file. Install the screen again from its release.",
            model=f"{name} {chosen}",
            expected=card.sha256,
            actual=digest,
        )
    try:
        return ReleasedScreen(card=card, screen=_screen(card, json.loads(weights)))
    except (ValueError, TypeError, KeyError) as error:
        raise _mismatch(f"{name} {chosen}", str(error)) from error


def _latest(name: str, versions: tuple[str, ...], before: ModelRef | None, folder: Path) -> str | None:
    for version in reversed(versions):
        if before is not None and _taught_by(before, _read_card(folder / name / version / "screen.toml")):
            return version
    return next(reversed(versions), None)


def _taught_by(network: ModelRef, card: ScreenCard) -> bool:
    return any(ModelRef(**one.model_dump()) == network for one in (card.teacher, *card.also))


def put_before(
    released: ReleasedScreen,
    detector: TilingDetector,
    ref: ModelRef,
    *,
    most_tiles: int,
    quiet_share: float,
    beside: TilingDetector | None = None,
) -> Screened:
    """The detector, looking only where the screen says (see `Screened`).

    ref     of the detector's network: a screen keeps what its teacher finds, and of no other network is it known
    beside  the same detector once more

    Raises ModelMismatch for another network than the teacher.
    """
    teacher = released.card.teacher
    if not _taught_by(ref, released.card):
        raise _mismatch(
            f"{released.card.name} {released.card.version}",
            f"it was taught by {teacher.name} {teacher.version} and stands before {ref.name} {ref.version}",
        )
    return Screened(released.screen, detector, most_tiles=most_tiles, quiet_share=quiet_share, beside=beside)


def weights_as_json(screen: Screen) -> bytes:
    """The weights as `open_screen` reads them."""
    layers = {"first": screen.first, "second": screen.second, "last": screen.last}
    rows = {
        name: [[round(weight / WEIGHT_STEP) for weight in row] for row in layer.tolist()]
        for name, layer in layers.items()
    }
    return json.dumps(rows, separators=(",", ":")).encode()


def _screen(card: ScreenCard, rows: dict[str, list[list[int]]]) -> Screen:
    def layer(name: str) -> NDArray[np.float64]:
        return np.array(rows[name], np.float64) * WEIGHT_STEP

    return Screen(
        kinds=card.kinds,
        thresholds=np.array([card.thresholds[kind] for kind in card.kinds]),
        first=layer("first"),
        second=layer("second"),
        last=layer("last"),
    )


def _read_card(path: Path) -> ScreenCard:
    try:
        return ScreenCard.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _mismatch(str(path), str(error)) from error
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(step) for step in one['loc']) or 'card'}: {one['msg']}" for one in error.errors()
        )
        raise _mismatch(str(path), wrong) from error


def _mismatch(screen: str, wrong: str) -> ModelMismatch:
    return ModelMismatch(
        f"The screen {screen} cannot be used: {wrong}.",
        action="Install the screen again from its release, or choose another version in the recipe.",
        model=screen,
        wrong=wrong,
    )


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
