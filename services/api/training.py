"""A training beside the lanes: begun, watched, cancelled."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from services.access import AccessHere, Caller, Right, needs
from services.api.serving import Language, Moment
from services.problems import Problem, problems, status_of
from services.text import explain
from services.training import Condition, Training, Trainings

router = APIRouter(prefix="/training", tags=["models"])

Integrator = Annotated[Caller, Depends(needs(Right.CONFIGURE))]

NAME = r"^[a-z0-9][a-z0-9-]*$"

NOT_FOR_ALL = problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)


class NewTraining(BaseModel):
    """`model`: whose next version is made, or a new name. `since`: what people accepted from then on teaches it."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(pattern=NAME, max_length=100)
    since: Moment


class TrainingAnswer(BaseModel):
    """`condition` is `waiting` while the lanes need its `cores`. `proposed`: its model looks on as a
    candidate; the first version of a name is not proposed, it is in force at once."""

    model: str
    version: str
    by: str
    since: datetime
    began_at: datetime
    ended_at: datetime | None
    condition: Condition
    share: float
    cores: list[int]
    pictures: int | None
    proposed: bool
    log: list[str]
    problem: Problem | None


def trainings_of(request: Request) -> Trainings:
    found: Trainings = request.app.state.trainings
    return found


TrainingsHere = Annotated[Trainings, Depends(trainings_of)]


@router.post("", status_code=HTTPStatus.ACCEPTED, responses=NOT_FOR_ALL | problems(HTTPStatus.CONFLICT))
def begin_training(
    trainings: TrainingsHere, access: AccessHere, language: Language, caller: Integrator, given: NewTraining
) -> TrainingAnswer:
    """Fit a model from the pictures of units that people accepted. One training at a time; `GET` follows it."""
    begun = trainings.start(given.model, since=given.since, by=caller.person, at=access.now())
    return answer_of(begun, language)


@router.get("", responses=NOT_FOR_ALL)
def training_now(trainings: TrainingsHere, language: Language, _: Integrator) -> TrainingAnswer | None:
    """The training being made, or the last one; null before the first."""
    return None if trainings.now is None else answer_of(trainings.now, language)


@router.delete("", status_code=HTTPStatus.NO_CONTENT, responses=NOT_FOR_ALL)
def cancel_training(trainings: TrainingsHere, _: Integrator) -> None:
    """End the training being made, without a model."""
    trainings.cancel()


def answer_of(now: Training, language: str) -> TrainingAnswer:
    problem = None
    if now.problem is not None:
        said = explain(now.problem, language)
        problem = Problem(
            type=f"urn:lynceus:error:{said.code}",
            title=said.what,
            status=status_of(now.problem).value,
            instance="/api/v1/training",
            code=said.code,
            action=said.action,
        )
    simple = ("model", "version", "by", "since", "began_at", "ended_at", "condition", "share", "pictures")
    return TrainingAnswer(
        **{name: getattr(now, name) for name in simple},
        cores=list(now.cores),
        proposed=now.proposed,
        log=list(now.log),
        problem=problem,
    )
