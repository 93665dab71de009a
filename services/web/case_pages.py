"""The engineer's desk: today against targets, open cases, charts in signal; and a case as an 8D report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inspection.errors import InspectionError
from inspection.types import Verdict
from services.access import Access, AccessHere, Caller, Right, Who
from services.api.cases import Disposer, Said, Written, WrittenAct, sign
from services.api.charts import SignalAnswer
from services.api.merit import Place, figures_of
from services.api.pictures import room_of
from services.api.serving import Here, Language, Serving
from services.api.spc import Selection, chart_of
from services.problems import status_of
from services.text import explain
from services.web.rendering import page
from traceability.accounts import Role
from traceability.cases import Act, Case, Cases, Source
from traceability.errors import TooFewSubgroups
from traceability.merit import targets

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

BEFORE: Final = timedelta(days=7)
"""Today stands beside as many days before it."""

CHARTED: Final = timedelta(days=3)

SOON_FULL_DAYS: Final = 14
"""Time to buy a disk."""

DISCIPLINES: Final = (
    ("D1", Act.ASSIGNED),
    ("D2", Act.OPENED),
    ("D3", Act.CONTAINED),
    ("D4", Act.CAUSE),
    ("D5", Act.ACTION),
    ("D6", Act.CHECK),
    ("D7", Act.PREVENTION),
    ("D8", Act.CLOSED),
)

SHARE_OF_LANE: Final = "p:"
"""Before a lane's name, the key of a case about its share of rejected units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Of the judged units of a time so many were accepted at once, and so many refused. None where none was judged."""

    units: int
    accepted: float | None
    rejected: float | None

    @staticmethod
    def of(counted: Mapping[Verdict, int]) -> Share:
        units = sum(counted.values())
        judged = units - counted[Verdict.NOT_INSPECTED]
        return Share(
            units=units,
            accepted=counted[Verdict.ACCEPT] / judged if judged else None,
            rejected=counted[Verdict.REJECT] / judged if judged else None,
        )


@router.get("/today")
def today(request: Request, here: Here, access: AccessHere, language: Language) -> Response:
    """Where an engineer begins: how the day goes, what is open, and which charts ask for somebody."""
    now = access.now()
    day_of_now = now.astimezone().date()
    midnight = midnight_of(day_of_now)
    station = here.station if here.live is not None else None
    day = here.store.counts(since=midnight, station=station, simulated=False)
    with_today = here.store.counts(since=midnight_of(day_of_now - BEFORE), station=station, simulated=False)
    merit = None
    if targets(here.store):
        merit = figures_of(here, language, Place(station=station), since=midnight, until=now)
    return page(
        request,
        "today.html",
        today=Share.of(day.units),
        before=Share.of({each: with_today.units[each] - day.units[each] for each in Verdict}),
        days=BEFORE.days,
        merit=merit,
        aimed=[] if merit is None else [one for one in merit.figures if one.target is not None],
        cases=Cases(here.store).all(is_open=True),
        now=now,
        signals=_signals(here, language, now, station),
        room=room_of(here, at=now),
        soon_full_days=SOON_FULL_DAYS,
    )


def midnight_of(day: date) -> datetime:
    """When the day began here. Not the clock of a later hour set to 0: on the days when clocks change that is an hour
    off."""
    return datetime.combine(day, time()).astimezone()


@router.get("/cases")
def cases(
    request: Request,
    here: Here,
    access: AccessHere,
    who: Who,
    search: Annotated[str, Query(max_length=200)] = "",
    source: Source = Source.OTHER,
    key: Annotated[str, Query(max_length=200)] = "",
    title: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """All cases, found by what was written about them; and the form for another, filled in where one comes from."""
    return page(
        request,
        "cases.html",
        cases=Cases(here.store).all(search=search.strip()),
        search=search,
        now=access.now(),
        may_dispose=who is not None and who.may(Right.DISPOSE),
        sources=list(Source),
        given={"source": source, "key": key, "title": title},
    )


@router.post("/cases")
def open_case(
    here: Here,
    access: AccessHere,
    caller: Disposer,
    source: Annotated[Source, Form()],
    key: Annotated[Said, Form()],
    title: Annotated[Said, Form()],
    text: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    opened = Cases(here.store).open(
        source=source, key=key, title=title, text=text, by=caller.person, at=access.now()
    )
    return RedirectResponse(f"/cases/{opened.id}", HTTPStatus.SEE_OTHER)


@router.get("/cases/{id}")
def case(request: Request, here: Here, access: AccessHere, who: Who, id: UUID) -> Response:
    """A case, as an 8D report that prints."""
    return _case(request, access, who, Cases(here.store).of(id))


@router.post("/cases/{id}/acts")
def add_act(
    request: Request,
    here: Here,
    access: AccessHere,
    caller: Disposer,
    language: Language,
    id: UUID,
    act: Annotated[WrittenAct, Form()],
    text: Annotated[str, Form(max_length=4000)] = "",
    owner: Annotated[str, Form(max_length=60)] = "",
    due: Annotated[date | None, Form(ge=date(1971, 1, 1), le=date(2199, 1, 1))] = None,
    effective: Annotated[bool, Form()] = False,
) -> Response:
    """Each act says something; only an owner may stand without helpers."""
    if act != "assigned" and not text.strip():
        raise RequestValidationError([{"type": "missing", "loc": ("body", "text"), "msg": "is missing"}])

    def add() -> None:
        Cases(here.store).act(
            id,
            Act(act),
            text,
            by=caller.person,
            at=access.now(),
            owner=owner if act == "assigned" else None,
            due=due if act == "action" else None,
            effective=effective if act == "check" else None,
        )

    return _after(request, here, access, caller, language, id, add, said={act: text})


@router.post("/cases/{id}/close")
def close(
    request: Request,
    here: Here,
    access: AccessHere,
    caller: Disposer,
    language: Language,
    id: UUID,
    text: Annotated[Written, Form()],
    password: Annotated[str, Form(max_length=1000)],
) -> Response:
    def end() -> None:
        sign(access_of=access, caller=caller, password=password)
        Cases(here.store).close(id, text, by=caller.person, at=access.now())

    return _after(request, here, access, caller, language, id, end, said={Act.CLOSED: text})


def _after(
    request: Request,
    here: Serving,
    access: Access,
    caller: Caller,
    language: str,
    id: UUID,
    act: Callable[[], None],
    *,
    said: Mapping[str, str],
) -> Response:
    """Back to the case; with what is wrong and what was written on it, where something is."""
    try:
        act()
    except InspectionError as error:
        found = Cases(here.store).of(id)
        told = explain(error, language)
        return _case(request, access, caller, found, status=status_of(error).value, problem=told, said=said)
    return RedirectResponse(f"/cases/{id}", HTTPStatus.SEE_OTHER)


def _case(
    request: Request, access: Access, who: Caller | None, found: Case, *, status: int = 200, **more: object
) -> Response:
    return page(
        request,
        "case.html",
        status=status,
        **({"problem": None, "said": {}} | more),
        case=found,
        charted=_lane_of(found),
        now=access.now(),
        disciplines=DISCIPLINES,
        may_dispose=who is not None and who.may(Right.DISPOSE),
        owners=[one.name for one in access.accounts.all() if one.is_active and one.role is not Role.AUDITOR],
    )


def _lane_of(found: Case) -> str | None:
    """The lane whose p chart the case is about."""
    is_charted = found.source is Source.SIGNAL and found.key.startswith(SHARE_OF_LANE)
    return found.key.removeprefix(SHARE_OF_LANE) if is_charted else None


def _signals(
    here: Serving, language: str, now: datetime, station: str | None
) -> list[tuple[str, list[tuple[SignalAnswer, datetime]]]]:
    """The lanes whose p chart of the last days signals, each signal with when its subgroup was."""
    found = []
    for lane in here.lanes():
        selected = Selection(by="hour", station=station, lane=lane.lane, since=now - CHARTED, until=None)
        try:
            chart = chart_of(here, language, selected)
        except TooFewSubgroups:
            continue
        if chart.signals:
            signals = [(signal, chart.points[signal.index].at) for signal in chart.signals]
            found.append((lane.lane, signals))
    return found
