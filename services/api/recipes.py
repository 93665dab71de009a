"""The recipes of a station's lanes and the way of a change into force: proposed, approved, published."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from services.access import AccessHere, Caller, Right, needs
from services.api.cases import sign
from services.api.serving import Here, Serving
from services.api.what_if import LONGEST_RECIPE
from services.problems import problems
from services.recipe_life import Proposal, RecipeLife, Standing

router = APIRouter(prefix="/recipes", tags=["recipes"])

Integrator = Annotated[Caller, Depends(needs(Right.CONFIGURE))]
Approver = Annotated[Caller, Depends(needs(Right.APPROVE))]
Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]

UNKNOWN = problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
REFUSED = UNKNOWN | problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT)


def recipe_life_here(here: Here) -> RecipeLife:
    return RecipeLife(here.store)


RecipeLifeHere = Annotated[RecipeLife, Depends(recipe_life_here)]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewRevision(_Given):
    """`text` is the whole recipe, TOML; its revision becomes the next one. `reason` goes into the audit."""

    text: str = Field(min_length=1, max_length=LONGEST_RECIPE)
    reason: str = Field(min_length=1, max_length=1000)


class Signature(_Given):
    """`password`: of who approves; with it they sign."""

    password: SecretStr = Field(max_length=1000)


class ProposalAnswer(BaseModel):
    """`base` is the digest of the text it was made from."""

    revision: int
    sha256: str
    base: str
    by: str | None
    at: datetime
    reason: str | None
    approved_by: str | None

    @staticmethod
    def of(one: Proposal) -> ProposalAnswer:
        return ProposalAnswer(
            revision=one.revision,
            sha256=one.sha256,
            base=one.base,
            by=one.by,
            at=one.at,
            reason=one.reason,
            approved_by=one.approved_by,
        )


class PublishedAnswer(BaseModel):
    revision: int
    sha256: str
    by: str | None
    at: datetime


class RecipeNowAnswer(BaseModel):
    """`revision` and `sha256` of what lanes read now; `lanes` those that may have it. `history`, newest first, is of
    what was published here."""

    name: str
    product: str
    revision: int
    sha256: str
    text: str
    lanes: list[str]
    proposal: ProposalAnswer | None
    history: list[PublishedAnswer]


class DifferenceAnswer(BaseModel):
    """Lines as `diff -u` has them, without its head."""

    lines: list[str]


@router.get("", responses=UNKNOWN)
def recipes_here(here: Here, life: RecipeLifeHere) -> list[RecipeNowAnswer]:
    """Every recipe that a lane of this station may have."""
    return [recipe_answer(here, name, life.standing(name)) for name in names_here(here)]


@router.get("/{name}", responses=UNKNOWN)
def recipe_here(here: Here, life: RecipeLifeHere, name: Name) -> RecipeNowAnswer:
    """One recipe: what is in force, what waits, what was before."""
    return recipe_answer(here, name, life.standing(name))


@router.get("/{name}/difference/{before}/{after}", responses=UNKNOWN | problems(HTTPStatus.CONFLICT))
def recipe_difference(life: RecipeLifeHere, name: Name, before: Digest, after: Digest) -> DifferenceAnswer:
    """What changed between two texts of a recipe, by their SHA-256."""
    return DifferenceAnswer(lines=list(life.difference(name, before, after)))


@router.post("/{name}/propose", responses=REFUSED)
def propose_recipe(
    here: Here, life: RecipeLifeHere, access: AccessHere, caller: Integrator, name: Name, given: NewRevision
) -> RecipeNowAnswer:
    """The next revision, for a second person to approve. One that waited until then waits no more."""
    stands = life.propose(name, given.text, by=caller.person, at=access.now(), reason=given.reason)
    return recipe_answer(here, name, stands)


@router.post("/{name}/approve", responses=REFUSED | problems(HTTPStatus.TOO_MANY_REQUESTS))
def approve_recipe(
    here: Here, life: RecipeLifeHere, access: AccessHere, caller: Approver, name: Name, given: Signature
) -> RecipeNowAnswer:
    """By another person than who proposed it, signed with their password."""
    sign(access_of=access, caller=caller, password=given.password.get_secret_value())
    return recipe_answer(here, name, life.approve(name, by=caller.person, at=access.now()))


@router.post("/{name}/publish", responses=REFUSED)
def publish(
    here: Here, life: RecipeLifeHere, access: AccessHere, caller: Integrator, name: Name
) -> RecipeNowAnswer:
    """Into force: lanes that run the recipe take it up with their next unit."""
    stands = publish_recipe(here, life, access, caller, name)
    return recipe_answer(here, name, stands)


def names_here(here: Serving) -> list[str]:
    """The recipes that the station's lanes may have, each once."""
    return list(
        dict.fromkeys(offer.recipe for lane in here.lane_titles for offer in here.recipes.offers(lane))
    )


def publish_recipe(
    here: Serving, life: RecipeLife, access: AccessHere, caller: Caller, name: str
) -> Standing:
    """Publish, and ask the engine to build it for every lane that has it now."""
    stands = life.publish(name, by=caller.person, at=access.now())
    for now in here.lanes():
        used = None if now.recipe is None else now.recipe.recipe
        for offer in here.recipes.offers(now.lane):
            if offer.recipe == name == used:
                here.recipes.change(now.lane, offer)
    return stands


def recipe_answer(here: Serving, name: str, stands: Standing) -> RecipeNowAnswer:
    settings = stands.in_force.settings
    return RecipeNowAnswer(
        name=name,
        product=settings.product,
        revision=settings.revision,
        sha256=stands.in_force.ref.sha256,
        text=stands.in_force.text.decode("utf-8"),
        lanes=[
            lane
            for lane in here.lane_titles
            if any(offer.recipe == name for offer in here.recipes.offers(lane))
        ],
        proposal=None if stands.proposal is None else ProposalAnswer.of(stands.proposal),
        history=[
            PublishedAnswer(revision=one.revision, sha256=one.sha256, by=one.by, at=one.at)
            for one in stands.history
        ],
    )
