"""The card of a released model: what it eats, what it finds, what it was trained on and how well it did."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inspection.types import ModelRef
from models.errors import ModelMismatch
from models.heads import NetworkForm, Task

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


FUSED_ABOVE = 0.45
"""Overlap above which what several looks find is one, where a card does not say: of 0.4 to 0.6 the best for
strip-surface 1.1.0 on the list that chose it."""

Restriction = Literal["agpl", "no_licence", "non_commercial", "research_only", "share_alike"]

# Words of licences -> what they restrict.
_RESTRICTED: dict[Restriction, tuple[str, ...]] = {
    "agpl": ("agpl",),
    "no_licence": ("none given", "no licence", "no license", "unknown"),
    "non_commercial": ("by-nc", "non-commercial", "noncommercial"),
    "research_only": ("research",),
    "share_alike": ("by-sa", "share-alike", "sharealike"),
}


def restricted(licence: str) -> tuple[Restriction, ...]:
    """What the words of a licence restrict."""
    told = licence.lower()
    return tuple(name for name, words in _RESTRICTED.items() if any(word in told for word in words))


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainingSource(_Facts):
    """Where pictures learnt from came from, and under which licence."""

    name: str
    licence: str
    images: Count
    boxes: Count


class Training(_Facts):
    """How the model came about.

    digest           over all pictures and labels learnt from, in their order
    interrupted      the run was stopped and continued: same set and plan, another order of pictures
    by_its_own_tool  what the training tool's own evaluation says, beside ours in `measured`
    """

    tool: str
    tool_licence: str
    network: str
    command: str
    seed: int
    epochs: Annotated[int, Field(ge=1)]
    interrupted: bool
    digest: Sha256
    chosen_by: str
    by_its_own_tool: str
    sources: Annotated[tuple[TrainingSource, ...], Field(min_length=1)]


class KindMeasured(_Facts):
    """One kind, at its threshold except for `ap50`.

    boxes, images   how many there are to be found, and on how many pictures
    escapes         of those pictures: on how many nothing of this kind was reported
    overkill        of all other pictures: on how many this kind was reported
    """

    ap50: Share
    boxes: Count
    images: Count
    escapes: Count
    overkill: Count


class Measured(_Facts):
    """A labelled set and how the released file did on it, run as a station runs it.

    map50, map50_95   mean over kinds of the 101-point average precision (COCO); None where there is no defect
    defective         pictures with a defect; `escapes` of them had nothing reported at all
    clean             pictures without; on `overkill` of them something was reported
    auroc             how often a picture with a defect has a higher highest score than one without; None without both
    """

    on: str
    images: Count
    map50: Share | None = None
    map50_95: Share | None = None
    auroc: Share | None = None
    defective: Count
    escapes: Count
    clean: Count
    overkill: Count
    kinds: dict[str, KindMeasured] = {}
    note: str = ""


class Unlabelled(_Facts):
    """Pictures nobody has labelled: how much of them alarms says nothing yet about right or wrong."""

    on: str
    images: Count
    tiles: Count
    tiles_alarmed: Count
    note: str


class Latency(_Facts):
    """What one run of the network takes, median, ms of processor time; that of its float twin was taken in turn
    with it. Only their ratio says something about another machine."""

    on: str
    ms: Annotated[float, Field(gt=0)]
    float_ms: Annotated[float, Field(gt=0)] | None = None


class ModelCard(_Facts):
    """All that is said about a model.

    task            what the network gives: boxes; a map of scores for each kind (anomalies, segmentation); boxes with
                    masks; scores of the whole picture for each kind
    form            how it differs from the networks trained here; left out, not at all
    kinds           catalogue codes in the order of the network's classes
    input_hw        px of the network's input
    tile_px         how many px of the picture one input shows; larger pictures are cut into tiles of this side
    severities      kind -> how grave it is, in the plant's words; left out, the recipe alone says it
    thresholds      score per kind from which on a detection counts; the rule is `thresholds_by`
    suppress_above  overlap above which the less sure of two boxes of one kind goes
    looks           how often each tile is looked at: as it is, mirrored (2), and both of these upside down too (4)
    fuse_above      overlap above which boxes of one kind become one, their mean; None: they are not fused
    min_region_px   of maps: how many px of the picture a piece has at least
    training        None for a network trained elsewhere: then `origin` says where it comes from
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    task: Task
    form: NetworkForm = NetworkForm()
    file: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    sha256: Sha256
    made_on: date
    kinds: Annotated[tuple[str, ...], Field(min_length=1)]
    input_hw: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    tile_px: Annotated[int, Field(ge=32)]
    opset: int
    thresholds: dict[str, Share]
    thresholds_by: str
    severities: dict[str, str] = {}
    suppress_above: Share
    looks: Literal[1, 2, 4] = 1
    fuse_above: Share | None = None
    min_region_px: Annotated[int, Field(ge=1)] = 1
    licence: str
    export_parity: str = ""
    origin: str = ""
    training: Training | None = None
    measured: tuple[Measured, ...] = ()
    unlabelled: tuple[Unlabelled, ...] = ()
    latency: Latency | None = None

    @model_validator(mode="after")
    def _thresholds_are_those_of_the_kinds(self) -> ModelCard:
        if len(set(self.kinds)) != len(self.kinds):
            raise ValueError(f"a kind is listed twice: {', '.join(self.kinds)}")
        if self.looks > 1 and self.fuse_above is None:
            raise ValueError(f"{self.looks} looks, and no fuse_above to make them one")
        if self.form.opinions > 1 and (self.task != "boxes" or self.fuse_above is None):
            raise ValueError(f"{self.form.opinions} opinions, and no boxes that fuse_above makes one")
        if self.task != "boxes" and self.looks > 1:
            raise ValueError(f"{self.looks} looks are for boxes, not for {self.task}")
        if self.training is None and not self.origin:
            raise ValueError("neither training nor origin says where the network comes from")
        if self.form.classes and len(self.form.classes) != len(self.kinds):
            raise ValueError(f"{len(self.form.classes)} classes of the network for {len(self.kinds)} kinds")
        if stranger := set(self.severities) - set(self.kinds):
            raise ValueError(f"severities of {', '.join(sorted(stranger))}, which are no kinds of it")
        if set(self.thresholds) != set(self.kinds):
            raise ValueError(
                f"thresholds for {', '.join(sorted(self.thresholds))}, kinds {', '.join(sorted(self.kinds))}"
            )
        return self

    def with_looks(self, looks: Literal[1, 2, 4]) -> ModelCard:
        """The same network, looking so often at each tile. Raises ModelMismatch where its task allows but one."""
        try:
            fused = FUSED_ABOVE if self.fuse_above is None else self.fuse_above
            return ModelCard.model_validate(
                self.model_dump() | {"looks": looks, "fuse_above": fused if looks > 1 else self.fuse_above}
            )
        except ValidationError as error:
            raise ModelMismatch(
                f"The model {self.name} {self.version} cannot look {looks} times: {error.errors()[0]['msg']}.",
                action="Leave out looks in the recipe: they are for networks that give boxes.",
                model=f"{self.name} {self.version}",
                wrong=f"looks = {looks}",
            ) from error

    @property
    def restrictions(self) -> tuple[Restriction, ...]:
        """What a plant's licence policy may object to, read from all the licences the card names."""
        licences = [self.licence]
        if self.training is not None:
            licences += [one.licence for one in self.training.sources]
        found = set(restricted(" ".join(licences)))
        if self.training is not None and "agpl" in restricted(self.training.tool_licence):
            found.add("agpl")
        return tuple(sorted(found))

    @property
    def ref(self) -> ModelRef:
        return ModelRef(name=self.name, version=self.version, sha256=self.sha256)


def read_card(path: Path) -> ModelCard:
    """The card at `path`. Raises ModelMismatch with everything that is wrong with it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _bad_card(str(path), error.strerror or str(error)) from error
    return parse_card(data, str(path))


def parse_card(data: bytes, place: str) -> ModelCard:
    """The card in a TOML file that lay at `place`. Raises ModelMismatch with everything that is wrong with it."""
    try:
        # Editors on Windows put a mark before the text, which TOML does not know.
        return ModelCard.model_validate(tomllib.loads(data.decode("utf-8-sig")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _bad_card(place, str(error)) from error
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(step) for step in one['loc']) or 'card'}: {one['msg']}" for one in error.errors()
        )
        raise _bad_card(place, wrong) from error


def _bad_card(path: str, wrong: str) -> ModelMismatch:
    return ModelMismatch(
        f"The model card {path} cannot be used: {wrong}.",
        action="Install the model again from its release.",
        model=path,
        wrong=wrong,
    )
