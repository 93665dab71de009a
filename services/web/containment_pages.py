"""The containment board: holds and releases by code, and every containment counted down to nothing open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from uuid_utils.compat import uuid7

from inspection.errors import InspectionError
from inspection.types import Verdict
from services.access import AccessHere, Right, Who
from services.api.cases import sign
from services.api.genealogy import audited
from services.api.history import Disposer, opened_by
from services.api.serving import Here, Language
from services.problems import status_of
from services.text import explain, say
from services.web.rendering import page
from traceability import holds
from traceability.errors import RecordUnknown
from traceability.holds import DECISIONS, Board, Decision, State, Suspect
from traceability.identifiers import parse
from traceability.store import TraceStore

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

MOST_SUSPECTS = 500

Code = Annotated[str, Form(min_length=1, max_length=500)]
Reason = Annotated[str, Form(min_length=1, max_length=1000)]

Did = Literal["held", "held_already", "released", "opened", "all_held"]
Told = dict[str, str]
"""What the board says was done: the address's `done`, with `to` or `count`."""


_FIRST: Final[tuple[State, ...]] = ("shipped", "found", "held", "closed")


def open_first(board: Board) -> list[Suspect]:
    """The suspects as somebody has to see to them: what left the plant first, what is decided last."""
    return sorted(board.suspects, key=lambda one: _FIRST.index(one.state))


@router.get("/containment")
def containment(
    request: Request,
    here: Here,
    who: Who,
    code: Annotated[str, Query(max_length=500)] = "",
    escape: Annotated[str, Query(max_length=500)] = "",
    done: Did | None = None,
    to: Annotated[str, Query(max_length=500)] = "",
    count: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """`code`: a unit to hold or to decide about; `escape`: a unit or an inspection to contain. Both as other pages
    name them. `done`: what was just done here, `to` which unit, or to how many."""
    given = {"code": code, "escape": escape}
    return _board(request, here, who, given=given, done=done, done_to=to, done_count=count)


@router.post("/containment/hold")
def hold(
    request: Request, here: Here, caller: Disposer, language: Language, code: Code, reason: Reason
) -> Response:
    def act() -> Told:
        new = holds.place(
            here.store,
            [parse(code)],
            ids=[uuid7()],
            reason=reason,
            at=datetime.now(UTC),
            by=caller.person.name,
            audit=audited(caller, "unit.held", f"unit:{code}", after={"held": True}, reason=reason),
        )
        return {"done": "held" if new else "held_already", "to": code}

    return _done(request, here, caller, language, act, code=code, reason=reason)


@router.post("/containment/release")
def release(
    request: Request,
    here: Here,
    caller: Disposer,
    access: AccessHere,
    language: Language,
    code: Code,
    decision: Annotated[Decision, Form()],
    reason: Reason,
    password: Annotated[str, Form(max_length=1000)],
) -> Response:
    def act() -> Told:
        sign(access_of=access, caller=caller, password=password)
        holds.release(
            here.store,
            parse(code),
            id=uuid7(),
            decision=decision,
            reason=reason,
            at=datetime.now(UTC),
            by=caller.person.name,
            audit=audited(
                caller,
                "unit.released",
                f"unit:{code}",
                before={"held": True},
                after={"decision": decision},
                reason=reason,
            ),
        )
        return {"done": "released", "to": code}

    return _done(request, here, caller, language, act, release=code, release_reason=reason)


@router.post("/containment/open")
def open_containment(
    request: Request,
    here: Here,
    caller: Disposer,
    language: Language,
    escape: Code,
    reason: Reason,
) -> Response:
    def act() -> Told:
        accepted = _accepted(here.store, escape.strip())
        holds.contain(
            here.store,
            accepted,
            id=uuid7(),
            reason=reason,
            at=datetime.now(UTC),
            by=caller.person.name,
            audit=lambda opened: opened_by(caller, opened),
        )
        return {"done": "opened"}

    return _done(request, here, caller, language, act, escape=escape, escape_reason=reason)


@router.post("/containment/{id}/hold")
def hold_all(request: Request, here: Here, caller: Disposer, language: Language, id: UUID) -> Response:
    """Put every open suspect on hold, shipped ones too: they are to be called back."""

    def act() -> Told:
        board = holds.board(here.store, id)
        units = [one.unit for one in board.suspects if one.state in ("found", "shipped")]
        reason = say("web.containment.contained", language, reason=board.containment.reason)
        new = holds.place(
            here.store,
            units,
            ids=[uuid7() for _ in units],
            reason=reason,
            at=datetime.now(UTC),
            by=caller.person.name,
            containment=id,
            audit=audited(
                caller, "unit.held", f"containment:{id}", after={"units": len(units)}, reason=reason
            ),
        )
        return {"done": "all_held", "count": str(new)}

    return _done(request, here, caller, language, act)


def _accepted(store: TraceStore, escape: str) -> UUID:
    """The inspection that accepted by mistake: by its id, or the last one that accepted the unit of this code."""
    try:
        return UUID(escape)
    except ValueError:
        seen = store.inspections_of(parse(escape))
    for one in reversed(seen):
        if one.verdict is Verdict.ACCEPT:
            return one.id
    raise RecordUnknown(
        f"No inspection accepted {escape}.", action="Take another unit, or the id of a record.", id=escape
    )


def _done(
    request: Request,
    here: Here,
    caller: Disposer,
    language: Language,
    act: Callable[[], Told],
    **given: str,
) -> Response:
    """Back to the board, which says what was done; with what is wrong and what was `given` on it, where something
    is."""
    try:
        told = act()
    except InspectionError as error:
        wrong = {"problem": explain(error, language), "given": given}
        return _board(request, here, caller, status=status_of(error).value, **wrong)
    return RedirectResponse(f"/containment?{urlencode(told)}", HTTPStatus.SEE_OTHER)


def _board(request: Request, here: Here, who: Who, *, status: int = 200, **more: object) -> Response:
    return page(
        request,
        "containment.html",
        status=status,
        boards=holds.boards(here.store),
        open_holds=holds.open_holds(here.store),
        held=holds.waiting(here.store, limit=MOST_SUSPECTS),
        may_dispose=who is not None and who.may(Right.DISPOSE),
        decisions=DECISIONS,
        most=MOST_SUSPECTS,
        open_first=open_first,
        **({"given": {}, "done": None, "done_to": "", "done_count": 0} | more),
    )
