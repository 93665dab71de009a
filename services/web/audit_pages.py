"""Audits of passed parts: draw them, look at them one by one, and see what follows for escapes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.access import Right, Who
from services.api.audits import DrawAnswer, Looked, NewAudit, look, new_audit
from services.api.choices import lanes_of
from services.api.serving import Here, Language
from services.api.studies import Reader
from services.problems import status_of
from services.text import Explanation, explain
from services.web.rendering import page
from traceability.audits import MOST_DRAWN, draws
from traceability.errors import SpcError

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

USUAL_SIZE = 50


@router.get("/spc/audits")
def audits_page(request: Request, here: Here, who: Who, open: UUID | None = None) -> Response:
    """All draws, the newest first; the one that is open, or the newest that is not finished, with its parts."""
    may_audit = who is not None and who.may(Right.RECORD)
    return _audits_page(request, here, may_audit=may_audit, chosen=open)


@router.post("/spc/audits")
def draw_audit(
    request: Request,
    here: Here,
    language: Language,
    caller: Reader,
    lane: Annotated[str, Form(max_length=100)],
    size: Annotated[int, Form(ge=1, le=MOST_DRAWN)],
    why: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    given = NewAudit.model_construct(lane=lane, size=size, why=why, since=None)
    try:
        made = new_audit(here, caller, given)
    except SpcError as error:
        return _audits_page(
            request, here, may_audit=True, problem=explain(error, language), status=status_of(error).value
        )
    return RedirectResponse(f"/spc/audits?open={made.id}", HTTPStatus.SEE_OTHER)


@router.post("/spc/audits/{id}/looks")
def looked(
    request: Request,
    here: Here,
    language: Language,
    caller: Reader,
    id: UUID,
    part: Annotated[UUID, Form()],
    is_bad: Annotated[bool, Form()],
) -> Response:
    try:
        look(here, caller, id, Looked(inspection=part, is_bad=is_bad))
    except SpcError as error:
        return _audits_page(
            request, here, may_audit=True, problem=explain(error, language), status=status_of(error).value
        )
    return RedirectResponse(f"/spc/audits?open={id}", HTTPStatus.SEE_OTHER)


def _audits_page(
    request: Request,
    here: Here,
    *,
    may_audit: bool,
    chosen: UUID | None = None,
    problem: Explanation | None = None,
    status: int = 200,
) -> Response:
    # Who may not look at the parts is not told of them either: the audit stays blind.
    known = [DrawAnswer.of(one) for one in draws(here.store)]
    unfinished = next((one for one in known if one.left), None)
    return page(
        request,
        "spc_audits.html",
        status=status,
        audits=known,
        shown=next((one for one in known if one.id == chosen), unfinished) if may_audit else None,
        may_audit=may_audit,
        lanes=lanes_of(here),
        most=MOST_DRAWN,
        usual=USUAL_SIZE,
        problem=problem,
    )
