"""The review desk: one withheld unit after the other, decided by keys."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inspection.errors import InspectionError
from services.access import AccessHere
from services.api.reviews import LOOKS_BACK, Operator
from services.api.serving import Here, Language
from services.problems import status_of
from services.text import explain
from services.web.pages import shown_of
from services.web.rendering import page
from traceability.reviews import TAKE_BACK, Decision, Reviews

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

MOST_REASONS = 9
"""As many as there are number keys."""


@router.get("/review")
def review_page(
    request: Request,
    here: Here,
    access: AccessHere,
    caller: Operator,
    lane: Annotated[str, Query(max_length=100)] = "",
    done: UUID | None = None,
) -> Response:
    """The next unit that waits, and a moment to take the last decision back."""
    return _desk(request, here, access, caller, lane=lane, done=done)


@router.post("/review")
def decide(
    request: Request,
    here: Here,
    access: AccessHere,
    caller: Operator,
    language: Language,
    inspection: Annotated[UUID, Form()],
    decision: Annotated[Decision, Form()],
    reason: Annotated[str, Form(max_length=60, pattern=r"^[\w.-]*$")] = "",
    lane: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    try:
        review = Reviews(here.store).decide(
            inspection, decision, by=caller.person, at=access.now(), reason=reason or None
        )
    except InspectionError as error:
        return _desk(request, here, access, caller, lane=lane, done=None, problem=error, language=language)
    return _back_to_desk(lane, done=review.id)


@router.post("/review/{id}/take-back")
def take_back(
    request: Request,
    here: Here,
    access: AccessHere,
    caller: Operator,
    language: Language,
    id: UUID,
    lane: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    try:
        Reviews(here.store).take_back(id, by=caller.person, at=access.now())
    except InspectionError as error:
        return _desk(request, here, access, caller, lane=lane, done=None, problem=error, language=language)
    return _back_to_desk(lane, done=None)


def _back_to_desk(lane: str, *, done: UUID | None) -> Response:
    said = {name: str(value) for name, value in (("lane", lane), ("done", done)) if value}
    return RedirectResponse("/review" + (f"?{urlencode(said)}" if said else ""), HTTPStatus.SEE_OTHER)


def _desk(
    request: Request,
    here: Here,
    access: AccessHere,
    caller: Operator,
    *,
    lane: str,
    done: UUID | None,
    problem: InspectionError | None = None,
    language: str = "",
) -> Response:
    at = access.now()
    station = None if here.live is None else here.station
    reviews = Reviews(here.store)
    task = reviews.next_for(caller.person, at=at, since=at - LOOKS_BACK, station=station, lane=lane or None)
    last = None if done is None else reviews.own(done, by=caller.person)
    left_s = 0.0 if last is None else (last.at + TAKE_BACK - at).total_seconds()
    found = () if task is None else tuple(defect.kind for defect in task.inspection.defects)
    # What was found comes first: most often that is the reason.
    kinds = list(dict.fromkeys([*found, *here.catalogue]))[:MOST_REASONS]
    return page(
        request,
        "review.html",
        status=200 if problem is None else status_of(problem).value,
        **({} if problem is None else {"problem": explain(problem, language)}),
        task=task,
        # The person has seconds: what there is to judge stands on top.
        shown=() if task is None else sorted(shown_of(task.inspection), key=lambda one: not one.defects),
        kinds=kinds,
        lane=lane,
        last=last if left_s > 0 else None,
        left_s=left_s,
    )
