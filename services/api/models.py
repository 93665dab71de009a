"""The plant's models: their cards, what judges where, and the steps of a model's life."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from inspection.errors import InspectionError
from models.bundle import MANIFEST
from models.card import Measured, ModelCard, TrainingSource
from models.in_force import IN_FORCE
from models.store import ModelStore
from services.access import AccessHere, Caller, Right, needs
from services.api.cases import sign
from services.api.serving import Here, Serving
from services.model_life import ModelLife, Standing
from services.problems import problems
from station_config import load_recipe
from station_config.schema import DetectorSettings
from traceability.accounts import AuditEntry

router = APIRouter(prefix="/models", tags=["models"])

Integrator = Annotated[Caller, Depends(needs(Right.CONFIGURE))]
Approver = Annotated[Caller, Depends(needs(Right.APPROVE))]
Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=100)]

UNKNOWN = problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
REFUSED = UNKNOWN | problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT)


def life_here(here: Here) -> ModelLife:
    return ModelLife(here.store, ModelStore.of_plant())


LifeHere = Annotated[ModelLife, Depends(life_here)]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Proposal(_Given):
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", max_length=40)


class Approval(_Given):
    """`password`: of who approves; with it they sign. `version`: of the candidate that they looked at."""

    password: SecretStr = Field(max_length=1000)
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", max_length=40)


class TakingBack(_Given):
    reason: str = Field(min_length=1, max_length=1000)


class CardAnswer(BaseModel):
    """What a version's card says. `signed`: it came in a bundle. `latency_ms` is that of one run of the network where
    it was released, `float_ms` that of its float twin in the same run."""

    made_on: date
    task: str
    kinds: list[str]
    thresholds: dict[str, float]
    input_hw: tuple[int, int]
    tile_px: int
    opset: int
    sha256: str
    signed: bool
    licence: str
    restrictions: list[str]
    origin: str
    tool: str | None
    tool_licence: str | None
    command: str | None
    data_set: str | None
    sources: list[TrainingSource]
    export_parity: str
    measured: list[Measured]
    latency_ms: float | None
    float_ms: float | None

    @staticmethod
    def of(card: ModelCard, *, signed: bool) -> CardAnswer:
        simple = ("made_on", "task", "thresholds", "input_hw", "tile_px", "opset", "sha256")
        told = ("licence", "origin", "export_parity")
        trained, latency = card.training, card.latency
        return CardAnswer(
            **{name: getattr(card, name) for name in (*simple, *told)},
            kinds=list(card.kinds),
            signed=signed,
            restrictions=list(card.restrictions),
            tool=None if trained is None else trained.tool,
            tool_licence=None if trained is None else trained.tool_licence,
            command=None if trained is None else trained.command,
            data_set=None if trained is None else trained.digest,
            sources=[] if trained is None else list(trained.sources),
            measured=list(card.measured),
            latency_ms=None if latency is None else latency.ms,
            float_ms=None if latency is None else latency.float_ms,
        )


class VersionAnswer(BaseModel):
    """`refused`: the code of why no recipe may use it here; then there is no card."""

    version: str
    in_force: bool
    refused: str | None
    card: CardAnswer | None


class JudgesAnswer(BaseModel):
    """A recipe that a lane may have, and the version that it takes of the model; None where it takes the newest."""

    lane: str
    recipe: str
    asks_for: str | None
    version: str | None


class ModelAnswer(BaseModel):
    """`in_force` is the version that judges where a recipe asks for the one in force; `before` what a taking back
    brings back. `gates` are those of the candidate's last judging, by the set that is locked: `gold` is its version."""

    name: str
    in_force: str | None
    before: str | None
    candidate: str | None
    proposed_by: str | None
    approved_by: str | None
    has_passed: bool
    gates: list[dict[str, Any]]
    gold: str | None
    gold_pictures: int
    gold_by: str | None
    judges: list[JudgesAnswer]
    versions: list[VersionAnswer]

    def card_of(self, version: str | None) -> CardAnswer | None:
        return next((one.card for one in self.versions if one.version == version), None)


class StepAnswer(BaseModel):
    """`by` is None where the station did it itself."""

    at: datetime
    action: str
    by: str | None
    version: str | None
    reason: str | None

    @staticmethod
    def of(step: AuditEntry) -> StepAnswer:
        version = (step.after or {}).get("version")
        return StepAnswer(at=step.at, action=step.action, by=step.person, version=version, reason=step.reason)


class LifeAnswer(ModelAnswer):
    """`beside` is what the candidate said on live pictures; it needs `pictures_beside` of them and no failure."""

    beside: dict[str, Any] | None
    pictures_beside: int
    seen_enough: bool
    steps: list[StepAnswer]


@router.get("")
def models(here: Here, life: LifeHere) -> list[ModelAnswer]:
    """Every model a recipe may name, with the cards of all its versions, and where each stands."""
    judges = judges_here(here, life)
    return [
        ModelAnswer(**_told(life, life.standing(name), judges.get(name, [])))
        for name in life.models.versions()
    ]


@router.get("/{name}", responses=UNKNOWN)
def model(here: Here, life: LifeHere, name: Name) -> LifeAnswer:
    """One model: its versions, its candidate, and every step of its life."""
    return life_answer(here, life, name)


@router.post("/{name}/propose", responses=REFUSED)
def propose(
    here: Here, life: LifeHere, access: AccessHere, caller: Integrator, name: Name, given: Proposal
) -> LifeAnswer:
    """A version looks on at live pictures from now on, and judges nothing."""
    life.propose(name, given.version, by=caller.person, at=access.now())
    return life_answer(here, life, name)


@router.post("/{name}/approve", responses=REFUSED | problems(HTTPStatus.TOO_MANY_REQUESTS))
def approve(
    here: Here, life: LifeHere, access: AccessHere, caller: Approver, name: Name, given: Approval
) -> LifeAnswer:
    """The candidate, by another person than who proposed it, signed with their password. Refused where another version
    waits by now."""
    sign(access_of=access, caller=caller, password=given.password.get_secret_value())
    life.approve(name, by=caller.person, at=access.now(), seen=given.version)
    return life_answer(here, life, name)


@router.post("/{name}/promote", responses=REFUSED)
def promote(here: Here, life: LifeHere, access: AccessHere, caller: Integrator, name: Name) -> LifeAnswer:
    """The candidate judges from the next unit on, once its gates, its approval and its live pictures are there."""
    life.promote(name, by=caller.person, at=access.now())
    return life_answer(here, life, name)


@router.post("/{name}/take-back", responses=REFUSED)
def take_model_back(
    here: Here, life: LifeHere, access: AccessHere, caller: Integrator, name: Name, given: TakingBack
) -> LifeAnswer:
    """The version before judges again, from the next unit on."""
    life.take_back(name, by=caller.person, at=access.now(), reason=given.reason)
    return life_answer(here, life, name)


def life_answer(here: Serving, life: ModelLife, name: str) -> LifeAnswer:
    """Raises ModelMissing."""
    if name not in life.models.versions():
        life.models.find(name)
    stands = life.standing(name)
    beside = None if stands.candidate is None else life.beside(name)
    return LifeAnswer(
        **_told(life, stands, judges_here(here, life).get(name, [])),
        beside=beside,
        pictures_beside=life.pictures_beside,
        seen_enough=beside is not None and life.has_seen_enough(beside),
        steps=[StepAnswer.of(step) for step in life.steps(name)],
    )


def judges_here(here: Serving, life: ModelLife) -> Mapping[str, list[JudgesAnswer]]:
    """By the name of the model, the recipes of this station's lanes that it judges in."""
    found: dict[str, list[JudgesAnswer]] = {}
    for lane in here.lane_titles:
        for offer in here.recipes.offers(lane):
            for asked in _networks(offer.recipe):
                version = life.models.in_force(asked.model) if asked.version == IN_FORCE else asked.version
                answer = JudgesAnswer(lane=lane, recipe=offer.recipe, asks_for=asked.version, version=version)
                if answer not in found.setdefault(asked.model, []):
                    found[asked.model].append(answer)
    return found


def _networks(recipe: str) -> Iterator[DetectorSettings]:
    for view in load_recipe(recipe).settings.seen_by.values():
        for asked in view.all_detectors:
            if isinstance(asked, DetectorSettings):
                yield asked


def _told(life: ModelLife, stands: Standing, judges: list[JudgesAnswer]) -> dict[str, Any]:
    simple = ("name", "in_force", "before", "candidate", "proposed_by", "approved_by", "has_passed")
    gold = ("gold", "gold_pictures", "gold_by")
    return {
        **{name: getattr(stands, name) for name in (*simple, *gold)},
        "gates": [dict(gate) for gate in stands.gates],
        "judges": judges,
        "versions": [
            _version(life.models, stands, version) for version in life.models.versions()[stands.name][::-1]
        ],
    }


def _version(store: ModelStore, stands: Standing, version: str) -> VersionAnswer:
    refused, card = None, None
    try:
        found = store.find(stands.name, version).card
    except InspectionError as error:
        refused = error.code
    else:
        signed = (store.folder_of(stands.name, version) / MANIFEST).exists()
        card = CardAnswer.of(found, signed=signed)
    return VersionAnswer(version=version, in_force=version == stands.in_force, refused=refused, card=card)
