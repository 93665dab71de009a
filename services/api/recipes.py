"""The recipes of a station's lanes and the way of a change into force: proposed, approved, published."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from services.access import AccessHere, Caller, Right, needs
from services.api.answers import UnreadAnswer
from services.api.cases import sign
from services.api.serving import Here, Language, Serving
from services.api.what_if import LONGEST_RECIPE
from services.problems import problems
from services.recipe_archive import MOST_ARCHIVED, carried
from services.recipe_life import Origin, Proposal, RecipeLife, Standing
from station_config.errors import ConfigError

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
    """`password`: of who approves; with it they sign. `sha256`: of the text that they saw."""

    password: SecretStr = Field(max_length=1000)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class OriginAnswer(BaseModel):
    """The station that had published it, its revision and text there, and the public key that signed."""

    station: str
    revision: int
    sha256: str
    key: str

    @staticmethod
    def of(one: Origin) -> OriginAnswer:
        return OriginAnswer(station=one.station, revision=one.revision, sha256=one.sha256, key=one.key)


class ProposalAnswer(BaseModel):
    """`base` is the digest of the text it was made from, empty where the recipe is new here; `origin` null where it was
    made here."""

    revision: int
    sha256: str
    base: str
    by: str | None
    at: datetime
    reason: str | None
    approved_by: str | None
    origin: OriginAnswer | None

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
            origin=None if one.origin is None else OriginAnswer.of(one.origin),
        )


class PublishedAnswer(BaseModel):
    revision: int
    sha256: str
    by: str | None
    at: datetime


class RecipeNowAnswer(BaseModel):
    """`product`, `revision`, `sha256` and `text` of what lanes read now, null where the recipe came from another
    station and waits, or its file cannot be read, which `unread` is about; `lanes` those that may have it. `history`,
    newest first, is of what was published here; `may_leave` where that is in force, so that it can be given to another
    station."""

    name: str
    product: str | None
    revision: int | None
    sha256: str | None
    text: str | None
    lanes: list[str]
    proposal: ProposalAnswer | None
    history: list[PublishedAnswer]
    may_leave: bool
    unread: UnreadAnswer | None


class DifferenceAnswer(BaseModel):
    """Lines as `diff -u` has them, without its head."""

    lines: list[str]


@router.get("", responses=UNKNOWN)
def recipes_here(here: Here, life: RecipeLifeHere, language: Language) -> list[RecipeNowAnswer]:
    """Every recipe that a lane of this station may have, and those that came from other stations; of one whose file
    cannot be read `unread` says why."""
    return recipes_listed(here, life, language)


@router.post("/brought-in", responses=REFUSED)
def bring_recipe_in(
    here: Here,
    life: RecipeLifeHere,
    access: AccessHere,
    caller: Integrator,
    reason: Annotated[str, Query(min_length=1, max_length=1000)],
    archive: Annotated[bytes, Body(media_type="application/zip", max_length=MOST_ARCHIVED)],
) -> RecipeNowAnswer:
    """A recipe that another station published, as a proposal: for a second person to approve, and never active by
    itself. Refused where a byte was altered, or a model it needs is not here."""
    brought = carried(archive)
    stands = life.bring_in(brought, by=caller.person, at=access.now(), reason=reason)
    return recipe_answer(here, brought.manifest.recipe, stands)


@router.get("/{name}", responses=UNKNOWN)
def recipe_here(here: Here, life: RecipeLifeHere, name: Name) -> RecipeNowAnswer:
    """One recipe: what is in force, what waits, what was before."""
    return recipe_answer(here, name, life.standing(name))


@router.get(
    "/{name}/file",
    response_class=Response,
    responses={
        200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
        **UNKNOWN,
        **problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT),
    },
)
def recipe_file(here: Here, life: RecipeLifeHere, _: Integrator, name: Name) -> Response:
    """What is in force, for another station: the text, the files it needs and its models by their digests, signed with
    the station's key. Only of what was approved and published here."""
    return Response(
        life.archive(name, station=here.station, sealer=here.sealer),
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}.recipe.zip"'},
    )


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
    """The text of that digest, by another person than who proposed it, signed with their password. Refused where
    another one waits by now."""
    sign(access_of=access, caller=caller, password=given.password.get_secret_value())
    return recipe_answer(here, name, life.approve(name, given.sha256, by=caller.person, at=access.now()))


@router.post("/{name}/publish", responses=REFUSED)
def publish(
    here: Here, life: RecipeLifeHere, access: AccessHere, caller: Integrator, name: Name
) -> RecipeNowAnswer:
    """Into force: lanes that run the recipe take it up with their next unit."""
    stands = publish_recipe(here, life, access, caller, name)
    return recipe_answer(here, name, stands)


def names_here(here: Serving, life: RecipeLife) -> list[str]:
    """The recipes that the station's lanes may have, each once, and then those that came from other stations."""
    of_lanes = (name for lane in here.lane_titles for name in here.recipes.names(lane))
    return list(dict.fromkeys([*of_lanes, *life.names()]))


def recipes_listed(here: Serving, life: RecipeLife, language: str) -> list[RecipeNowAnswer]:
    """All of them: one that cannot be read is neither left out, nor does it take the others with it."""
    listed = []
    for name in names_here(here, life):
        try:
            listed.append(recipe_answer(here, name, life.standing(name)))
        except ConfigError as error:
            unread = UnreadAnswer.of(error, language)
            listed.append(recipe_answer(here, name, life.on_record(name), unread=unread))
    return listed


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


def recipe_answer(
    here: Serving, name: str, stands: Standing, *, unread: UnreadAnswer | None = None
) -> RecipeNowAnswer:
    current = stands.in_force
    return RecipeNowAnswer(
        name=name,
        product=None if current is None else current.settings.product,
        revision=None if current is None else current.settings.revision,
        sha256=None if current is None else current.ref.sha256,
        text=None if current is None else current.text.decode("utf-8"),
        may_leave=stands.published_now is not None,
        unread=unread,
        lanes=[lane for lane in here.lane_titles if name in here.recipes.names(lane)],
        proposal=None if stands.proposal is None else ProposalAnswer.of(stands.proposal),
        history=[
            PublishedAnswer(revision=one.revision, sha256=one.sha256, by=one.by, at=one.at)
            for one in stands.history
        ],
    )
