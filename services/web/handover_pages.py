"""The shift's sheet: handed over by one shift, taken over by the next."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inspection.errors import InspectionError
from services.access import Access, AccessHere, Caller, Right, Who
from services.api.handovers import LONGEST, HandoverAnswer, hand_over_now, sheet_of
from services.api.serving import Here, Language, Live, Serving
from services.api.station import Operator
from services.live import LiveState
from services.problems import status_of
from services.text import explain
from services.web.rendering import page
from traceability.handovers import Handovers

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

EARLIER: Final = 20

Text = Annotated[str, Form(max_length=LONGEST)]


@router.get("/handover")
def handover_page(request: Request, here: Here, live: Live, access: AccessHere, who: Who) -> Response:
    """What nobody has taken over yet, the shift at hand, and the shifts before."""
    return _desk(request, here, live, access, who)


@router.get("/handover/{id}")
def one_handover(request: Request, here: Here, who: Who, id: UUID) -> Response:
    """A sheet by itself, as it prints."""
    found = HandoverAnswer.of(Handovers(here.store).of(id))
    return page(request, "handover_sheet.html", handover=found)


@router.post("/handover")
def hand_over(
    request: Request,
    here: Here,
    live: Live,
    access: AccessHere,
    caller: Operator,
    language: Language,
    text: Text = "",
) -> Response:
    return _after(
        request,
        here,
        live,
        access,
        caller,
        language,
        lambda: hand_over_now(here, live, access.now(), caller, text.strip()),
        text=text,
    )


@router.post("/handover/{id}/take")
def take_over(
    request: Request,
    here: Here,
    live: Live,
    access: AccessHere,
    caller: Operator,
    language: Language,
    id: UUID,
    text: Text = "",
) -> Response:
    return _after(
        request,
        here,
        live,
        access,
        caller,
        language,
        lambda: Handovers(here.store).take_over(id, text=text.strip(), by=caller.person, at=access.now()),
        answer=text,
    )


def _after(
    request: Request,
    here: Serving,
    live: LiveState,
    access: Access,
    caller: Caller,
    language: str,
    act: Callable[[], object],
    **written: str,
) -> Response:
    """Back to the page; where something is wrong, with that on it and with what was `written`."""
    try:
        act()
    except InspectionError as error:
        status = status_of(error).value
        problem = explain(error, language)
        return _desk(request, here, live, access, caller, status=status, problem=problem, **written)
    return RedirectResponse("/handover", HTTPStatus.SEE_OTHER)


def _desk(
    request: Request,
    here: Serving,
    live: LiveState,
    access: Access,
    who: Caller | None,
    *,
    status: int = 200,
    **more: object,
) -> Response:
    found = [HandoverAnswer.of(one) for one in Handovers(here.store).all(station=here.station, limit=EARLIER)]
    return page(
        request,
        "handover.html",
        status=status,
        **({"problem": None, "text": "", "answer": ""} | more),
        sheet=sheet_of(here, live, access.now()),
        # The newest alone: who hands a shift over twice has said it better the second time.
        waiting=found[0] if found and found[0].taken is None else None,
        earlier=found,
        may_operate=who is not None and who.may(Right.OPERATE),
        name=None if who is None else who.person.name,
    )
