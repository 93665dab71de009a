"""A training beside the lanes: what to learn from, how far it is, what it says, and where its model went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from http import HTTPStatus
from typing import Annotated, get_args

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inspection.errors import InspectionError
from models.anomaly import KIND
from models.datasets import LEAST_LABELLED
from services.access import AccessHere
from services.api.models import LifeHere
from services.api.serving import Here, Language
from services.api.training import DATA_SET, NAME, Integrator, TrainingsHere
from services.datasets import DataSets
from services.model_life import ModelLife
from services.problems import RequestInvalid, status_of
from services.text import Explanation, explain, explain_code
from services.training import Trainings
from services.training_book import Training
from services.training_desk import DeskNotKnown, Gives
from services.web.rendering import page

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

USUAL_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What stands in the forms."""

    since: date
    model: str = ""
    data_set: str | None = None
    gives: Gives = "boxes"
    thorough: bool = False


@router.get("/training")
def training_page(
    request: Request,
    here: Here,
    language: Language,
    access: AccessHere,
    trainings: TrainingsHere,
    life: LifeHere,
    _: Integrator,
) -> Response:
    return _page(request, language, trainings, life, asked=Asked(since=_usual(access)))


@router.post("/training")
def begin(
    request: Request,
    language: Language,
    access: AccessHere,
    trainings: TrainingsHere,
    life: LifeHere,
    caller: Integrator,
    model: Annotated[str, Form(max_length=100, pattern=NAME)],
    since: Annotated[date | None, Form(ge=date(1971, 1, 1), le=date(2199, 1, 1))] = None,
    data_set: Annotated[str | None, Form(pattern=DATA_SET)] = None,
    gives: Annotated[Gives, Form()] = "boxes",
    thorough: Annotated[bool, Form()] = False,
) -> Response:
    """From a data set's labels, or else from good parts: `since` is a day of this place, from its midnight on."""
    if data_set is None and since is None:
        mistake = "either since or data_set"
        raise RequestInvalid(
            f"The request is not valid: {mistake}.", action="Correct the parameters.", mistakes=mistake
        )
    midnight = None if since is None or data_set else datetime.combine(since, time()).astimezone()
    asked = Asked(
        model=model, data_set=data_set, gives=gives, thorough=thorough, since=since or _usual(access)
    )
    try:
        trainings.start(
            model,
            since=midnight,
            data_set=data_set,
            gives=gives,
            thorough=thorough,
            by=caller.person,
            at=access.now(),
        )
    except InspectionError as error:
        return _page(request, language, trainings, life, asked=asked, problem=error)
    return RedirectResponse("/training#state", HTTPStatus.SEE_OTHER)


@router.post("/training/cancel")
def cancel(trainings: TrainingsHere, caller: Integrator) -> Response:
    trainings.cancel(by=caller.person)
    return RedirectResponse("/training#state", HTTPStatus.SEE_OTHER)


@router.get("/training/state")
def state(request: Request, language: Language, trainings: TrainingsHere, _: Integrator) -> Response:
    """The part of the page that follows the training being made."""
    return page(request, "_training.html", now=_shown(trainings.now, language))


def _page(
    request: Request,
    language: str,
    trainings: Trainings,
    life: ModelLife,
    *,
    asked: Asked,
    problem: InspectionError | None = None,
) -> Response:
    lacking = trainings.desk.lacking(wait_s=0)
    no_boxes, not_thorough = lacking.get("boxes"), lacking.get("good_parts")
    now, *past = [_shown(one, language) for one in trainings.all()] or [None]
    return page(
        request,
        "training.html",
        status=HTTPStatus.OK if problem is None else status_of(problem).value,
        names=_names(life, labelled=False),
        labelled_names=_names(life, labelled=True),
        asked=asked,
        pattern=NAME,
        ways=[gives for gives in get_args(Gives) if gives not in lacking],
        sets=DataSets.of_plant().names(),
        no_boxes=None if no_boxes is None else explain(no_boxes, language),
        not_thorough=None if not_thorough is None else explain(not_thorough, language),
        desk_not_known=isinstance(no_boxes, DeskNotKnown),
        least=LEAST_LABELLED,
        cores=trainings.cores.left(),
        lanes=sorted(trainings.cores.running()),
        problem=None if problem is None else explain(problem, language),
        now=now,
        past=past,
    )


def _usual(access: AccessHere) -> date:
    return (access.now() - timedelta(days=USUAL_DAYS)).astimezone().date()


def _names(life: ModelLife, *, labelled: bool) -> list[str]:
    """Of the models that were fitted from good parts; or of those whose next version may learn from labels."""
    found = []
    for name, versions in life.models.versions().items():
        try:
            card = life.models.find(name, versions[-1]).card
        except InspectionError:
            # One that may not be used here is told on the page of the models.
            continue
        is_fitted = card.kinds == (KIND,)
        if card.task in get_args(Gives) and not is_fitted if labelled else is_fitted:
            found.append(name)
    return found


def _shown(training: Training | None, language: str) -> tuple[Training, Explanation | None] | None:
    """With why it has no model, in the reader's language."""
    if training is None:
        return None
    problem = training.problem
    return training, None if problem is None else explain_code(problem.code, problem.facts, language)
