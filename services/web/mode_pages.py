"""How a lane works, shown and changed: run, setup, bypass."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inspection.errors import InspectionError
from services.access import Caller, Who, signed_in
from services.api.modes import LONGEST_BYPASS, ModeAsked, ask_mode, may_change
from services.api.serving import Here, Language, Live
from services.api.station import known_lane
from services.live import LaneNow
from services.problems import status_of
from services.station.messages import Mode
from services.text import explain
from services.web.rendering import page

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

MINUTES = (15, 30, 60, 120, 240, 480)


@router.get("/lanes/{lane}/mode")
def lane_mode(request: Request, live: Live, who: Who, lane: str) -> Response:
    return _shown(request, known_lane(live, lane), who)


@router.post("/lanes/{lane}/mode")
def change_lane_mode(
    request: Request,
    here: Here,
    live: Live,
    caller: Annotated[Caller, Depends(signed_in)],
    language: Language,
    lane: str,
    mode: Annotated[Mode, Form()],
    reason: Annotated[str, Form(max_length=1000)] = "",
    minutes: Annotated[int | None, Form(ge=1, le=int(LONGEST_BYPASS.total_seconds() // 60))] = None,
) -> Response:
    now = known_lane(live, lane)
    try:
        ask_mode(here, now, ModeAsked(mode=mode, reason=reason, minutes=minutes), caller)
    except InspectionError as error:
        return _shown(
            request,
            now,
            caller,
            status=status_of(error).value,
            problem=explain(error, language),
            reason=reason,
            **({"chosen": minutes} if minutes in MINUTES else {}),
        )
    return RedirectResponse("/", HTTPStatus.SEE_OTHER)


def _shown(
    request: Request, now: LaneNow, who: Caller | None, *, status: int = 200, **more: object
) -> Response:
    return page(
        request,
        "lane_mode.html",
        status=status,
        **({"problem": None, "reason": "", "chosen": 30} | more),
        lane=now,
        mode="unknown" if now.mode is None else now.mode.mode,
        may=may_change(who),
        minutes=MINUTES,
    )
