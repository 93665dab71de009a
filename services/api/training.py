"""A training beside the lanes: begun, watched, cancelled."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.access import AccessHere, Caller, Right, needs
from services.api.serving import Language, Moment
from services.problems import problems
from services.text import explain_code
from services.training import Trainings
from services.training_book import Condition, Training
from services.training_desk import Gives

router = APIRouter(prefix="/training", tags=["models"])

Integrator = Annotated[Caller, Depends(needs(Right.CONFIGURE))]

NAME = r"^[a-z0-9][a-z0-9-]*$"
DATA_SET = r"^[a-z0-9][a-z0-9-]{0,39}$"

NOT_FOR_ALL = problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)

REFUSED = NOT_FOR_ALL | problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


class NewTraining(BaseModel):
    """`model`: whose next version is made, or a new name. One of two teaches it: what people accepted from `since` on
    (it finds what good parts have not), or the labels of a `data_set` (it finds those kinds). `gives`, from labels:
    boxes, or maps that say which pixels. `thorough`, from good parts: by networks that have seen nothing else."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(pattern=NAME, max_length=100)
    since: Moment | None = None
    data_set: str | None = Field(default=None, pattern=DATA_SET)
    gives: Gives = "boxes"
    thorough: bool = False

    @model_validator(mode="after")
    def _one_teaches(self) -> Self:
        if (self.since is None) == (self.data_set is None):
            raise ValueError("either since or data_set")
        if self.thorough and self.since is None:
            raise ValueError("thorough goes with since")
        return self


class TroubleAnswer(BaseModel):
    """Why there is no model, in the reader's language."""

    code: str
    what: str
    action: str


class CurvePoint(BaseModel):
    """How good a training from labels was after an epoch, on pictures of units that teach nothing."""

    epoch: int
    map50: float


class TrainingAnswer(BaseModel):
    """`condition` is `waiting` while the lanes need its `cores`, `interrupted` where the service ended under it.
    `proposed`: its model looks on as a candidate; the first version of a name is not proposed: it is in force at once.
    """

    id: str
    model: str
    version: str
    by: str
    since: datetime | None
    data_set: str | None
    gives: Gives
    thorough: bool
    began_at: datetime
    ended_at: datetime | None
    condition: Condition
    share: float
    cores: list[int]
    pictures: int | None
    proposed: bool
    log: list[str]
    curve: list[CurvePoint]
    problem: TroubleAnswer | None


def trainings_of(request: Request) -> Trainings:
    found: Trainings = request.app.state.trainings
    return found


TrainingsHere = Annotated[Trainings, Depends(trainings_of)]


@router.post("", status_code=HTTPStatus.ACCEPTED, responses=REFUSED)
def begin_training(
    trainings: TrainingsHere, access: AccessHere, language: Language, caller: Integrator, given: NewTraining
) -> TrainingAnswer:
    """Fit a model from pictures of good parts, or train one from labels. One training at a time; `GET` follows it."""
    begun = trainings.start(
        given.model,
        since=given.since,
        data_set=given.data_set,
        gives=given.gives,
        thorough=given.thorough,
        by=caller.person,
        at=access.now(),
    )
    return answer_of(begun, language)


@router.get("", responses=NOT_FOR_ALL)
def training_now(trainings: TrainingsHere, language: Language, _: Integrator) -> TrainingAnswer | None:
    """The training being made, or the last one; null before the first."""
    now = trainings.now
    return None if now is None else answer_of(now, language)


@router.get("/past", responses=NOT_FOR_ALL)
def trainings_past(trainings: TrainingsHere, language: Language, _: Integrator) -> list[TrainingAnswer]:
    """The newest trainings, the last first, whether or not the service ran through since."""
    return [answer_of(one, language) for one in trainings.all()]


@router.delete("", status_code=HTTPStatus.NO_CONTENT, responses=NOT_FOR_ALL)
def cancel_training(trainings: TrainingsHere, caller: Integrator) -> None:
    """End the training being made, without a model."""
    trainings.cancel(by=caller.person)


def answer_of(training: Training, language: str) -> TrainingAnswer:
    asked = ("id", "model", "version", "by", "since", "data_set", "gives", "thorough", "began_at")
    stands = ("ended_at", "condition", "share", "pictures", "proposed")
    problem = training.problem
    said = None if problem is None else explain_code(problem.code, problem.facts, language)
    return TrainingAnswer(
        **{name: getattr(training, name) for name in (*asked, *stands)},
        cores=list(training.cores),
        log=list(training.log),
        curve=[CurvePoint(epoch=epoch, map50=map50) for epoch, map50 in training.curve],
        problem=None if said is None else TroubleAnswer(code=said.code, what=said.what, action=said.action),
    )
