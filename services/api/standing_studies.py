"""Studies of golden parts that the service makes by itself: ordered, ended, and how far each is."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.access import Caller
from services.api.once import OnceRoute
from services.api.serving import Here, Language, Live, Serving
from services.api.studies import NOT_FOR_ALL, Reader
from services.problems import problems
from services.text import explain
from traceability import standing_studies
from traceability.golden_parts import FromRecord
from traceability.identifiers import parse
from traceability.standing_studies import LEAST_RUNS, MOST_RUNS, StandingStudy, progress

router = APIRouter(prefix="/spc", tags=["statistics"], route_class=OnceRoute)


class StandingSaid(BaseModel):
    """Make a study whenever `runs` new values of the golden `parts`, by their codes, are on record."""

    model_config = ConfigDict(extra="forbid")

    kind: FromRecord
    characteristic: str = Field(min_length=1, max_length=100)
    parts: Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]], Field(min_length=1)]
    lane: str | None = Field(default=None, max_length=100, pattern="^[^/]*$")
    reference: Annotated[float, Field(allow_inf_nan=False)] | None = None
    tolerance: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    runs: int = Field(ge=LEAST_RUNS, le=MOST_RUNS)
    why: str = Field(min_length=1, max_length=1000)


class EndSaid(BaseModel):
    model_config = ConfigDict(extra="forbid")

    why: str = Field(min_length=1, max_length=1000)


class StandingAnswer(BaseModel):
    """`values`: new ones on record, of the `runs` that a study takes. `refused`: why there are enough, and no study."""

    id: UUID
    kind: FromRecord
    characteristic: str
    parts: list[str]
    station: str
    lane: str | None
    reference: float | None
    tolerance: float | None
    runs: int
    why: str
    at: datetime
    person: str
    values: int
    refused: str | None


def answer_of(here: Serving, standing: StandingStudy, language: str) -> StandingAnswer:
    found = progress(here.store, standing, at=datetime.now(UTC))
    told = None if found.refused is None else explain(found.refused, language)
    return StandingAnswer(
        id=standing.id,
        kind=standing.kind,
        characteristic=standing.characteristic,
        parts=[str(part) for part in standing.parts],
        station=standing.station,
        lane=standing.lane,
        reference=standing.reference,
        tolerance=standing.tolerance,
        runs=standing.runs,
        why=standing.why,
        at=standing.at,
        person=standing.person,
        values=len(found.values),
        refused=None if told is None else f"{told.what} {told.action}",
    )


@router.get("/studies/standing", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def standing_studies_ordered(here: Here, language: Language) -> list[StandingAnswer]:
    """The orders that stand, and how far each is to its next study."""
    return [answer_of(here, one, language) for one in standing_studies.standing(here.store)]


@router.post(
    "/studies/standing",
    status_code=HTTPStatus.CREATED,
    responses=NOT_FOR_ALL | problems(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
)
def order_standing_study(
    here: Here, _: Live, language: Language, caller: Reader, said: StandingSaid
) -> StandingAnswer:
    """Let the station's service make a study of golden parts by itself. An order of the same kind, of the same
    characteristic and lane, takes the place of the one before."""
    return answer_of(here, ordered(here, caller, said), language)


def ordered(here: Serving, caller: Caller, said: StandingSaid) -> StandingStudy:
    """Raises CodeNotParsed, and ParameterOutOfRange for what no study can be made of."""
    return standing_studies.order(
        here.store,
        kind=said.kind,
        characteristic=said.characteristic,
        parts=[parse(code) for code in said.parts],
        station=here.station,
        lane=said.lane or None,
        reference=said.reference,
        tolerance=said.tolerance,
        runs=said.runs,
        why=said.why,
        by=caller.person,
        at=datetime.now(UTC),
    )


@router.post(
    "/studies/standing/{id}/end",
    status_code=HTTPStatus.NO_CONTENT,
    responses=NOT_FOR_ALL | problems(HTTPStatus.NOT_FOUND),
)
def end_standing_study(here: Here, caller: Reader, id: UUID, said: EndSaid) -> None:
    """Make no more of them; those that were made stay."""
    standing_studies.end(here.store, id, why=said.why, by=caller.person, at=datetime.now(UTC))
