"""Reviews of withheld units: the next one to look at, decisions, and taking one back."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from services.access import AccessHere, Caller, Right, needs
from services.api.answers import (
    CodeAnswer,
    DefectAnswer,
    InspectionAnswer,
    MeasurementAnswer,
    PictureAnswer,
    VerdictName,
)
from services.api.once import OnceRoute
from services.api.paging import NEXT, Paged
from services.api.serving import Here, Language, Moment
from services.problems import problems
from traceability.reviews import Decision, Review, Reviews

router = APIRouter(prefix="/reviews", tags=["reviews"], route_class=OnceRoute)

LOOKS_BACK = timedelta(days=7)
"""What was withheld longer ago waits no more: its unit is long somewhere else."""

DecisionName = Literal["accept", "reject", "second_look"]
Operator = Annotated[Caller, Depends(needs(Right.OPERATE))]
Disposer = Annotated[Caller, Depends(needs(Right.DISPOSE))]

NOT_FOR_ALL = problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)


class WithheldAnswer(BaseModel):
    """What a person decides about, from its inspection. Without its times: a unit of this morning among those of the
    last minutes would be told for a repeat."""

    id: UUID
    unit: CodeAnswer
    station: str
    lane: str
    verdict: VerdictName
    defects: list[DefectAnswer]
    measurements: list[MeasurementAnswer]
    failures: dict[str, int]
    pictures: list[PictureAnswer]

    @staticmethod
    def of(answer: InspectionAnswer) -> WithheldAnswer:
        return WithheldAnswer.model_validate(answer.model_dump(include=set(WithheldAnswer.model_fields)))


class TaskAnswer(BaseModel):
    """`waiting` counts all units that wait for this person, this one included."""

    inspection: WithheldAnswer
    waiting: int


class NewReview(BaseModel):
    """`reason` is a kind of defect, or another key of up to 60 letters."""

    model_config = ConfigDict(extra="forbid")

    inspection: UUID
    decision: DecisionName
    reason: str | None = Field(default=None, max_length=60, pattern=r"^[\w.-]+$")


class ReviewAnswer(BaseModel):
    id: UUID
    inspection: UUID
    at: datetime
    by: str
    decision: DecisionName
    reason: str | None
    is_taken_back: bool

    @staticmethod
    def of(review: Review) -> ReviewAnswer:
        return ReviewAnswer.model_validate(
            {name: getattr(review, name) for name in ReviewAnswer.model_fields}
            | {"decision": review.decision.value}
        )


class AgreementAnswer(BaseModel):
    by: str
    repeats: int
    agreed: int


@router.get("/next", responses=NOT_FOR_ALL)
def next_task(
    here: Here,
    access: AccessHere,
    language: Language,
    caller: Operator,
    lane: Annotated[str | None, Query(max_length=100)] = None,
) -> TaskAnswer | None:
    """The unit to look at next; null where none waits."""
    at = access.now()
    task = Reviews(here.store).next_for(
        caller.person, at=at, since=at - LOOKS_BACK, station=here.station if here.live else None, lane=lane
    )
    if task is None:
        return None
    told = InspectionAnswer.of(task.inspection, here.catalogue, language)
    return TaskAnswer(inspection=WithheldAnswer.of(told), waiting=task.waiting)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=NOT_FOR_ALL | problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def decide(here: Here, access: AccessHere, caller: Operator, given: NewReview) -> ReviewAnswer:
    """Confirm or overrule what the system judged, or leave it to another person."""
    review = Reviews(here.store).decide(
        given.inspection,
        Decision(given.decision),
        by=caller.person,
        at=access.now(),
        reason=given.reason,
    )
    return ReviewAnswer.of(review)


@router.delete(
    "/{id}", status_code=HTTPStatus.NO_CONTENT, responses=NOT_FOR_ALL | problems(HTTPStatus.NOT_FOUND)
)
def take_back(here: Here, access: AccessHere, caller: Operator, id: UUID) -> None:
    """Take one's own decision back, within ten seconds."""
    Reviews(here.store).take_back(id, by=caller.person, at=access.now())


@router.get("", responses=NOT_FOR_ALL | NEXT)
def decided(
    here: Here,
    page: Paged,
    access: AccessHere,
    caller: Disposer,
    since: Moment | None = None,
    until: Moment | None = None,
) -> list[ReviewAnswer]:
    """Decisions that stand, the newest first. Default: the last seven days. Not for operators: among these
    they would find a blind repeat."""
    end = until or access.now()
    found = Reviews(here.store).decided(
        since=since or end - LOOKS_BACK, until=end, limit=page.limit, before=page.before
    )
    page.told([one.id for one in found])
    return [ReviewAnswer.of(review) for review in found]


@router.get("/agreement", responses=NOT_FOR_ALL)
def agreement(
    here: Here,
    access: AccessHere,
    caller: Disposer,
    since: Moment | None = None,
) -> list[AgreementAnswer]:
    """How often each reviewer decided a blind repeat as it had been decided before. Default: 30 days."""
    begin = since or access.now() - timedelta(days=30)
    return [
        AgreementAnswer(by=one.by, repeats=one.repeats, agreed=one.agreed)
        for one in Reviews(here.store).agreements(since=begin)
    ]
