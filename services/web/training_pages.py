"""A training beside the lanes: what to learn from, how far it is, what it says, and where its model went."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inspection.errors import InspectionError
from models.anomaly import KIND
from services.access import AccessHere
from services.api.models import LifeHere
from services.api.serving import Here, Language
from services.api.training import NAME, Integrator, TrainingsHere
from services.model_life import ModelLife
from services.problems import status_of
from services.text import Explanation, explain
from services.training import Training, Trainings
from services.web.rendering import page

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

USUAL_DAYS = 30


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
    since = (access.now() - timedelta(days=USUAL_DAYS)).astimezone().date()
    return _page(request, language, trainings, life, since=since)


@router.post("/training")
def begin(
    request: Request,
    language: Language,
    access: AccessHere,
    trainings: TrainingsHere,
    life: LifeHere,
    caller: Integrator,
    model: Annotated[str, Form(max_length=100, pattern=NAME)],
    since: Annotated[date, Form(ge=date(1971, 1, 1), le=date(2199, 1, 1))],
) -> Response:
    """`since` is a day of this place, from its midnight on."""
    try:
        midnight = datetime.combine(since, time()).astimezone()
        trainings.start(model, since=midnight, by=caller.person, at=access.now())
    except InspectionError as error:
        return _page(request, language, trainings, life, since=since, model=model, problem=error)
    return RedirectResponse("/training#state", HTTPStatus.SEE_OTHER)


@router.post("/training/cancel")
def cancel(trainings: TrainingsHere, _: Integrator) -> Response:
    trainings.cancel()
    return RedirectResponse("/training#state", HTTPStatus.SEE_OTHER)


@router.get("/training/state")
def state(request: Request, language: Language, trainings: TrainingsHere, _: Integrator) -> Response:
    """The part of the page that follows the training being made."""
    now = trainings.now
    return page(request, "_training.html", now=now, failed=_failed(now, language))


def _page(
    request: Request,
    language: str,
    trainings: Trainings,
    life: ModelLife,
    *,
    since: date,
    model: str = "",
    problem: InspectionError | None = None,
) -> Response:
    now = trainings.now
    return page(
        request,
        "training.html",
        status=HTTPStatus.OK if problem is None else status_of(problem).value,
        names=_names(life),
        model=model,
        since=since.isoformat(),
        pattern=NAME,
        cores=trainings.cores.left(),
        lanes=sorted(trainings.cores.running()),
        problem=None if problem is None else explain(problem, language),
        now=now,
        failed=_failed(now, language),
    )


def _names(life: ModelLife) -> list[str]:
    """Of the models that were fitted from good parts."""
    found = []
    for name, versions in life.models.versions().items():
        try:
            card = life.models.find(name, versions[-1]).card
        except InspectionError:
            # One that may not be used here is told on the page of the models.
            continue
        if card.kinds == (KIND,):
            found.append(name)
    return found


def _failed(now: Training | None, language: str) -> Explanation | None:
    return None if now is None or now.problem is None else explain(now.problem, language)
