"""Figures of merit with their definitions and targets, and sampling plans."""

from __future__ import annotations

from datetime import UTC, datetime, time
from http import HTTPStatus
from typing import Annotated, get_args

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from services.access import Right, Who
from services.api.cases import Disposer
from services.api.merit import (
    SHARES,
    FigureName,
    FiguresAnswer,
    Given,
    GivenAnswer,
    Place,
    SupplierSaid,
    TargetSaid,
    decide_target,
    figures_of,
    given_figures,
)
from services.api.sampling import (
    AuditAnswer,
    ContinuousAnswer,
    LevelName,
    PlanAnswer,
    SeverityName,
    SwitchingAnswer,
    ZeroAnswer,
    continuous_sampling,
    passed_audit,
    sampling_plan,
    switched,
    zero_acceptance,
)
from services.api.serving import Here, Language
from services.api.spc import ShiftStart
from services.problems import status_of
from services.text import Explanation, explain
from services.web.rendering import page
from services.web.spc_pages import PERIODS, Look, Looked
from traceability.errors import ParameterOutOfRange, ReadingsUnreadable, SpcError
from traceability.samples import Shifts
from traceability.spc.checks import within
from traceability.spc.sampling import AQLS, LEVELS

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

SUPPLIER_COLUMNS = (
    "name",
    "lots_accepted",
    "lots",
    "defective",
    "units",
    "response_days",
    "closed",
    "opened",
)

MONEY = ("prevention", "appraisal", "internal_failure", "external_failure", "revenue", "response_days")
"""Of the numbers typed, those that need not be whole."""


@router.get("/spc/merit")
def merit_page(
    request: Request,
    look: Look,
    language: Language,
    who: Who,
    shift: ShiftStart = "",
    opportunities: Annotated[int, Query(ge=1, le=10**6)] = 1,
    sigma_shift: Annotated[float, Query(ge=0, le=3)] = 1.5,
) -> Response:
    """What the record says of 直通率, 报废率, DPMO and the others, with definitions and targets."""
    return _merit(
        request, look, language, who=who, shift=shift, opportunities=opportunities, sigma_shift=sigma_shift
    )


@router.post("/spc/merit/given")
def given_page(
    request: Request,
    look: Look,
    language: Language,
    who: Who,
    numbers: Annotated[str, Form(max_length=2000)] = "",
    suppliers: Annotated[str, Form(max_length=50_000)] = "",
) -> Response:
    """The figures of numbers that the record does not hold: lots, costs, suppliers."""
    typed = {"numbers": numbers, "suppliers": suppliers}
    try:
        given = given_figures(language, given_of(numbers, suppliers))
    except SpcError as error:
        return _merit(
            request,
            look,
            language,
            who=who,
            typed=typed,
            problem=explain(error, language),
            status=status_of(error).value,
        )
    return _merit(request, look, language, who=who, typed=typed, given=given)


@router.post("/spc/merit/targets")
def target_page(
    request: Request,
    here: Here,
    caller: Disposer,
    look: Look,
    language: Language,
    who: Who,
    figure: Annotated[FigureName, Form()],
    target: Annotated[str, Form(max_length=30)],
    station: Annotated[str, Form(max_length=100, pattern="^[^/]*$")] = "",
    lane: Annotated[str, Form(max_length=100, pattern="^[^/]*$")] = "",
    shift: Annotated[str, Form(max_length=5, pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$")] = "",
    reason: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Set a target; a share may be typed as percent."""
    try:
        value = _number(target.removesuffix("%"), "target") / (100 if target.endswith("%") else 1)
        said = TargetSaid.model_construct(
            figure=figure, target=value, station=station, lane=lane, shift=shift, reason=reason
        )
        decide_target(here, caller, said)
    except SpcError as error:
        return _merit(
            request,
            look,
            language,
            who=who,
            problem=explain(error, language),
            status=status_of(error).value,
        )
    return RedirectResponse("/spc/merit", HTTPStatus.SEE_OTHER)


def _merit(
    request: Request,
    look: Looked,
    language: str,
    *,
    who: Who,
    shift: str = "",
    opportunities: int = 1,
    sigma_shift: float = 1.5,
    given: GivenAnswer | None = None,
    typed: dict[str, str] | None = None,
    problem: Explanation | None = None,
    status: int = 200,
) -> Response:
    place = Place(
        station=look.station, lane=look.lane or None, shift=time.fromisoformat(shift) if shift else None
    )
    found: FiguresAnswer = figures_of(
        look.here,
        language,
        place,
        since=look.since,
        until=datetime.now(UTC),
        opportunities=opportunities,
        sigma_shift=sigma_shift,
    )
    return page(
        request,
        "spc_merit.html",
        status=status,
        found=found,
        given=given,
        typed=typed or {"numbers": "", "suppliers": ""},
        problem=problem,
        look=look,
        periods=PERIODS,
        shift=shift,
        shifts=[f"{start:%H:%M}" for start in Shifts().starts],
        opportunities=opportunities,
        sigma_shift=sigma_shift,
        figure_names=get_args(FigureName),
        shares=SHARES,
        may_decide=who is not None and who.may(Right.DISPOSE),
    )


def given_of(numbers: str, suppliers: str) -> Given:
    """What was typed: `name = number` lines, and a line each supplier. Raises ReadingsUnreadable."""
    given: dict[str, float | None] = {}
    names = tuple(name for name in Given.model_fields if name not in ("suppliers", "weights"))
    for place, line in enumerate(numbers.splitlines(), start=1):
        if not line.strip():
            continue
        name, _, value = (part.strip() for part in line.partition("="))
        if name not in names:
            raise _unreadable(place, line, names)
        given[name] = _number(value, name)
    listed = []
    for place, line in enumerate(suppliers.splitlines(), start=1):
        cells = [cell.strip() for cell in line.replace("\t", ",").replace("，", ",").split(",")]
        if not line.strip():
            continue
        if len(cells) != len(SUPPLIER_COLUMNS):
            raise _unreadable(place, line, SUPPLIER_COLUMNS)
        counts = [_number(cell, column) for column, cell in zip(SUPPLIER_COLUMNS[1:], cells[1:], strict=True)]
        listed.append(dict(zip(SUPPLIER_COLUMNS, (cells[0], *counts), strict=True)))
    try:
        return Given.model_validate(
            given | {"suppliers": [SupplierSaid.model_validate(one) for one in listed]}
        )
    except ValidationError as error:
        raise _not_allowed(error) from error


def _not_allowed(error: ValidationError) -> ParameterOutOfRange:
    """The first number of those typed that is none of its kind."""
    first = error.errors()[0]
    name, value = str(first["loc"][-1]), str(first["input"])
    is_money = name in MONEY
    return ParameterOutOfRange(
        f"{name} is {value}.",
        action="Correct that number.",
        parameter=name,
        value=value[:60],
        allowed=">= 0" if is_money else "whole",
    )


def _whole(text: str, *, lot: int) -> int:
    """How many were found in a lot. Raises ReadingsUnreadable, ParameterOutOfRange."""
    value = _number(text, "found")
    within(value, parameter="count", allowed=f"0..{lot}", is_allowed=0 <= value <= lot and value.is_integer())
    return int(value)


def _number(text: str, name: str) -> float:
    try:
        return float(text.replace(" ", ""))
    except ValueError as error:
        raise _unreadable(0, text, (name,)) from error


def _unreadable(line: int, text: str, columns: tuple[str, ...]) -> ReadingsUnreadable:
    return ReadingsUnreadable(
        f"Line {line} ({text[:60]!r}) is not {', '.join(columns)}.",
        action="Correct that line.",
        reason="line" if line else "field",
        line=line,
        text=text[:60],
        columns=", ".join(columns),
    )


@router.get("/spc/sampling")
def sampling_page(
    request: Request,
    language: Language,
    lot: Annotated[int, Query(ge=2, le=10**9)] = 1000,
    aql: Annotated[float, Query(gt=0)] = 0.65,
    level: LevelName = "II",
    severity: SeverityName = "normal",
    found: Annotated[str, Query(max_length=2000)] = "",
    share: Annotated[float, Query(gt=0, lt=100, description="percent")] = 1.0,
    clearance: Annotated[int, Query(ge=1, le=10**6)] = 100,
    fraction: Annotated[float, Query(gt=0, lt=100, description="percent")] = 10.0,
    audited: Annotated[int, Query(ge=1, le=10**9)] = 300,
    escapes: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """How many of a lot to look at, and what that lets through."""
    drawn: PlanAnswer | None = None
    switch: SwitchingAnswer | None = None
    least: ZeroAnswer | None = None
    running: ContinuousAnswer | None = None
    again: AuditAnswer | None = None
    problem: Explanation | None = None
    try:
        drawn = sampling_plan(lot=lot, aql=aql, level=level, severity=severity)
        least = zero_acceptance(share=share / 100, lot=lot)
        running = continuous_sampling(clearance=clearance, fraction=fraction / 100, share=share / 100)
        again = passed_audit(audited=audited, escapes=escapes)
        lots = [_whole(cell, lot=lot) for cell in found.replace(",", " ").split()]
        switch = switched(lot=lot, aql=aql, level=level, nonconforming=lots) if lots else None
    except SpcError as error:
        problem = explain(error, language)
    return page(
        request,
        "spc_sampling.html",
        lot=lot,
        aql=aql,
        aqls=AQLS,
        level=level,
        levels=LEVELS,
        severity=severity,
        severities=get_args(SeverityName),
        found=found,
        share=share,
        clearance=clearance,
        fraction=fraction,
        audited=audited,
        escapes=escapes,
        plan=drawn,
        switch=switch,
        zero=least,
        continuous=running,
        audit=again,
        problem=problem,
    )
