"""The list of alarms, and what people do about them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.access import AccessHere, Right, Who
from services.api.alarms import MOST_MINUTES, Code, acknowledge_alarm, shelve_alarm
from services.api.serving import Here, Language, Live
from services.api.station import Operator
from services.web.alarm_texts import explained, said_by_driver
from services.web.rendering import page

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

MINUTES = (15, 60, 240, 480)


@router.get("/alarms")
def alarms(
    request: Request, here: Here, live: Live, access: AccessHere, who: Who, language: Language
) -> Response:
    shown = live.board.shown(access.now())
    return page(
        request,
        "alarms.html",
        alarms=[
            (one, explained(one.alarm, language, here.lane_titles), said_by_driver(one.alarm, language))
            for one in shown
        ],
        may_operate=who is not None and who.may(Right.OPERATE),
        minutes=MINUTES,
    )


@router.post("/lanes/{lane}/alarms/{code}/acknowledge")
def acknowledge(
    here: Here,
    live: Live,
    access: AccessHere,
    caller: Operator,
    lane: str,
    code: Code,
    back: Annotated[bool, Form()] = False,
) -> Response:
    acknowledge_alarm(here, live, caller, access.now(), lane=lane, code=code)
    return RedirectResponse("/alarms" if back else "/", HTTPStatus.SEE_OTHER)


@router.post("/lanes/{lane}/alarms/{code}/shelve")
def shelve(
    here: Here,
    live: Live,
    access: AccessHere,
    caller: Operator,
    lane: str,
    code: Code,
    minutes: Annotated[int, Form(ge=1, le=MOST_MINUTES)],
) -> Response:
    shelve_alarm(here, live, caller, access.now(), lane=lane, code=code, minutes=minutes)
    return RedirectResponse("/alarms", HTTPStatus.SEE_OTHER)
