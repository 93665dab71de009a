"""A unit's life, what units have in common, steps and gauges taken in, holds and containment."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import NAMESPACE_URL, UUID, uuid5

from fastapi import APIRouter, Body, Depends, Query
from pydantic import BaseModel, Field, SecretStr, ValidationError
from uuid_utils.compat import uuid7

from services.access import AccessHere, Caller, Right, needs
from services.api.answers import CodeAnswer
from services.api.cases import sign
from services.api.genealogy import (
    FOUND,
    MOST_AT_ONCE,
    TAKEN,
    Code,
    Coordinate,
    Millimetres,
    Reason,
    Recorder,
    RelativeAnswer,
    Said,
    audited,
)
from services.api.once import OnceRoute
from services.api.paging import NEXT, Paged
from services.api.serving import Here, Moment
from services.problems import RequestInvalid, problems
from traceability import holds
from traceability.genealogy.recording import Audit
from traceability.history import Event, Factor, FactorKind, Life, What, common_factors, life
from traceability.holds import Board, Containment, Decision, State
from traceability.identifiers import parse
from traceability.keeping import Kept
from traceability.steps import GaugePoint, GaugeSeries, ProcessStep, measured_at, record_gauges, record_steps
from traceability.verifier import canonical

router = APIRouter(tags=["history"], route_class=OnceRoute)

Disposer = Annotated[Caller, Depends(needs(Right.DISPOSE))]

Word = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[list[Word], Field(max_length=1000, default_factory=list)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Values = Annotated[dict[Word, Finite | Word], Field(max_length=1000, default_factory=dict)]
MOST_POINTS = 200_000
LARGEST_CSV = 20_000_000
"""Characters of one delivery."""


class StepSaid(Said):
    """What was done with units. Without an id it gets one from its words, so that it may come twice."""

    kind: Word
    equipment: Word
    started_at: Moment
    finished_at: Moment
    operator: Annotated[str | None, Field(max_length=200, description="a name; kept as a commitment")] = None
    program: Annotated[str | None, Field(max_length=200)] = None
    units_in: Annotated[list[Code], Field(max_length=MOST_AT_ONCE, default_factory=list)]
    units_out: Annotated[list[Code], Field(max_length=MOST_AT_ONCE, default_factory=list)]
    materials: Words
    tools: Words
    parameters: Values
    environment: Values
    id: UUID | None = None

    def step(self) -> ProcessStep:
        # Not by the operator, whose name must not be found by trying.
        said = self.model_dump(mode="json", exclude={"id", "operator"})
        return ProcessStep(
            id=self.id or uuid5(NAMESPACE_URL, f"urn:lynceus:step:{canonical(said).decode()}"),
            kind=self.kind,
            equipment=self.equipment,
            started_at=self.started_at,
            finished_at=self.finished_at,
            program=self.program,
            units_in=tuple(parse(code) for code in self.units_in),
            units_out=tuple(parse(code) for code in self.units_out),
            materials=tuple(self.materials),
            tools=tuple(self.tools),
            parameters=self.parameters,
            environment=self.environment,
        )


class PointSaid(Said):
    value: Finite
    x_mm: Millimetres | None = None
    y_mm: Millimetres | None = None
    uncertainty: Annotated[float | None, Field(allow_inf_nan=False, ge=0)] = None


class GaugeSaid(Said):
    """What one gauge measured on one unit. Without an id: one series per unit, quantity, gauge and time."""

    unit: Code
    quantity: Word
    unit_of_measure: Annotated[str, Field(max_length=40)]
    gauge: Word
    measured_at: Moment
    points: Annotated[list[PointSaid], Field(min_length=1, max_length=MOST_POINTS)]
    step: UUID | None = None
    id: UUID | None = None

    def series(self) -> GaugeSeries:
        unit = parse(self.unit)
        key = [
            unit.scheme,
            unit.canon,
            self.quantity,
            self.gauge,
            self.measured_at.astimezone(UTC).isoformat(),
        ]
        return GaugeSeries(
            id=self.id or uuid5(NAMESPACE_URL, f"urn:lynceus:gauge:{canonical(key).decode()}"),
            unit=unit,
            quantity=self.quantity,
            unit_of_measure=self.unit_of_measure,
            gauge=self.gauge,
            measured_at=self.measured_at,
            points=tuple(GaugePoint(**point.model_dump()) for point in self.points),
            step=self.step,
        )


class StepsSaid(Said):
    steps: Annotated[list[StepSaid], Field(max_length=MOST_AT_ONCE)]


class GaugesSaid(Said):
    series: Annotated[list[GaugeSaid], Field(max_length=1000)]


class KeptAnswer(BaseModel):
    """How many were new. `contradictions`: ids under which something else is on record; both are kept."""

    new: int
    contradictions: list[UUID]

    @staticmethod
    def of(kept: Kept) -> KeptAnswer:
        return KeptAnswer(new=kept.new, contradictions=list(kept.contradictions))


class MeasuredThereAnswer(BaseModel):
    unit: CodeAnswer
    quantity: str
    unit_of_measure: str
    gauge: str
    measured_at: datetime
    value: float
    uncertainty: float | None
    distance_mm: float


class MeasuredAnswer(BaseModel):
    measured: list[MeasuredThereAnswer]


class EventAnswer(BaseModel):
    """`by`: who put the unit on hold or decided about it, by the name that signs in."""

    at: datetime
    what: What
    id: UUID
    unit: CodeAnswer
    place: str
    fact: str
    by: str | None

    @staticmethod
    def of(event: Event) -> EventAnswer:
        return EventAnswer(
            at=event.at,
            what=event.what,
            id=event.id,
            unit=CodeAnswer.of(event.unit),
            place=event.place,
            fact=event.fact,
            by=event.by,
        )


class ContradictionAnswer(BaseModel):
    """What came a second time under the id of a record and said something else; the first one counts."""

    kind: str
    record: UUID
    said: dict[str, Any]
    received_at: datetime


class LifeAnswer(BaseModel):
    """A unit, all it was made from, all made from it, and what happened to them, in order of time.

    contradictions: about the unit itself.
    """

    unit: RelativeAnswer
    is_held: bool
    ancestors: list[RelativeAnswer]
    descendants: list[RelativeAnswer]
    events: list[EventAnswer]
    contradictions: list[ContradictionAnswer]

    @staticmethod
    def of(found: Life) -> LifeAnswer:
        return LifeAnswer(
            unit=RelativeAnswer.of(found.unit),
            is_held=found.is_held,
            ancestors=[RelativeAnswer.of(one) for one in found.ancestors],
            descendants=[RelativeAnswer.of(one) for one in found.descendants],
            events=[EventAnswer.of(one) for one in found.events],
            contradictions=[
                ContradictionAnswer(
                    kind=one.kind, record=one.record, said=one.said, received_at=one.received_at
                )
                for one in found.contradictions
            ],
        )


class FactorAnswer(BaseModel):
    kind: FactorKind
    value: str
    bad: int
    good: int

    @staticmethod
    def of(factor: Factor) -> FactorAnswer:
        return FactorAnswer(kind=factor.kind, value=factor.value, bad=factor.bad, good=factor.good)


class FactorsAnswer(BaseModel):
    bad: int
    good: int
    factors: list[FactorAnswer]


class HoldSaid(Said):
    units: Annotated[list[Code], Field(min_length=1, max_length=MOST_AT_ONCE)]
    reason: Reason
    containment: UUID | None = None


class ReleaseSaid(Said):
    """`password`: of who decides; with it they sign."""

    unit: Code
    decision: Decision
    reason: Reason
    password: SecretStr = Field(max_length=1000)


class EscapeSaid(Said):
    """`escape`: the inspection that accepted by mistake. `lot`: only what was made from it."""

    escape: UUID
    reason: Reason
    lot: Code | None = None
    since: Moment | None = None


class HeldAnswer(BaseModel):
    """`new`: how many were not on hold before. `open`: how many holds of the plant wait for a decision."""

    new: int
    open: int


class SuspectAnswer(BaseModel):
    unit: CodeAnswer
    state: State


class BoardAnswer(BaseModel):
    """Where a containment stands. `open`: suspects that wait for a decision."""

    id: UUID
    escape: UUID
    reason: str
    opened_at: datetime
    station: str
    since: datetime | None
    until: datetime
    lot: CodeAnswer | None
    counts: dict[State, int]
    open: int
    suspects: list[SuspectAnswer]

    @staticmethod
    def of(board: Board) -> BoardAnswer:
        one = board.containment
        return BoardAnswer(
            id=one.id,
            escape=one.escape,
            reason=one.reason,
            opened_at=one.opened_at,
            station=one.station,
            since=one.since,
            until=one.until,
            lot=None if one.lot is None else CodeAnswer.of(one.lot),
            counts=board.counts,
            open=board.open,
            suspects=[
                SuspectAnswer(unit=CodeAnswer.of(each.unit), state=each.state) for each in board.suspects
            ],
        )


class BoardsAnswer(BaseModel):
    containments: list[BoardAnswer]


@router.post("/steps", responses=TAKEN)
def record_process_steps(here: Here, caller: Recorder, said: StepsSaid) -> KeptAnswer:
    """Keep process steps, all or none. Sending the same again changes nothing."""
    steps = [one.step() for one in said.steps]
    operators = {
        step.id: one.operator for step, one in zip(steps, said.steps, strict=True) if one.operator is not None
    }
    audit = audited(caller, "steps.recorded", "steps", after={"steps": len(steps)})
    return KeptAnswer.of(record_steps(here.store, steps, operators=operators, audit=audit))


@router.post("/gauges", responses=TAKEN)
def record_gauge_series(here: Here, caller: Recorder, said: GaugesSaid) -> KeptAnswer:
    """Keep what gauges of others measured, all or none. Sending the same again changes nothing."""
    audit = audited(caller, "gauges.recorded", "gauges", after={"series": len(said.series)})
    return KeptAnswer.of(record_gauges(here.store, [one.series() for one in said.series], audit=audit))


@router.post("/gauges/csv", responses=TAKEN)
def record_gauge_csv(
    here: Here,
    caller: Recorder,
    text: Annotated[str, Body(media_type="text/csv", max_length=LARGEST_CSV)],
) -> KeptAnswer:
    """The same as CSV: a header, then one point a line; lines of one unit, quantity, gauge and time are one series."""
    said = series_of_csv(text)
    audit = audited(caller, "gauges.recorded", "gauges", after={"series": len(said)})
    return KeptAnswer.of(record_gauges(here.store, [one.series() for one in said], audit=audit))


@router.get("/gauges/{code:path}", responses=FOUND)
def gauges_there(here: Here, code: str, x_mm: Coordinate, y_mm: Coordinate) -> MeasuredAnswer:
    """What gauges say of a place: of each series on the unit and on its ancestors the nearest point."""
    return MeasuredAnswer(
        measured=[
            MeasuredThereAnswer(
                unit=CodeAnswer.of(one.unit),
                **{name: getattr(one, name) for name in MeasuredThereAnswer.model_fields if name != "unit"},
            )
            for one in measured_at(here.store, parse(code), x_mm, y_mm)
        ]
    )


@router.get("/history/{code:path}", responses=FOUND)
def history(here: Here, code: str) -> LifeAnswer:
    """A unit's whole life, up and down."""
    return LifeAnswer.of(life(here.store, parse(code)))


@router.get("/common-factors", responses=FOUND)
def factors(
    here: Here,
    bad: Annotated[list[str], Query(min_length=1, max_length=500)],
    good: Annotated[list[str], Query(max_length=500)] = [],  # noqa: B006 - FastAPI copies it
) -> FactorsAnswer:
    """What bad units share, and how many good ones share it too. Counts, not conclusions."""
    found = common_factors(here.store, [parse(code) for code in bad], [parse(code) for code in good])
    return FactorsAnswer(bad=len(bad), good=len(good), factors=[FactorAnswer.of(one) for one in found])


@router.post("/holds", responses=TAKEN)
def hold(here: Here, caller: Disposer, said: HoldSaid) -> HeldAnswer:
    """Put units on hold, all or none; one that is held already stays so."""
    units = [parse(code) for code in said.units]
    new = holds.place(
        here.store,
        units,
        ids=[uuid7() for _ in units],
        reason=said.reason,
        at=datetime.now(UTC),
        by=caller.person.name,
        containment=said.containment,
        audit=audited(caller, "unit.held", "units", after={"units": said.units}, reason=said.reason),
    )
    return HeldAnswer(new=new, open=holds.open_holds(here.store))


@router.post("/holds/release", responses=TAKEN | problems(HTTPStatus.TOO_MANY_REQUESTS))
def release(here: Here, access: AccessHere, caller: Disposer, said: ReleaseSaid) -> HeldAnswer:
    """Decide about a held unit, with the reason, signed with one's password: a program's key signs nothing."""
    sign(access_of=access, caller=caller, password=said.password.get_secret_value())
    holds.release(
        here.store,
        parse(said.unit),
        id=uuid7(),
        decision=said.decision,
        reason=said.reason,
        at=datetime.now(UTC),
        by=caller.person.name,
        audit=audited(
            caller,
            "unit.released",
            f"unit:{said.unit}",
            before={"held": True},
            after={"decision": said.decision},
            reason=said.reason,
        ),
    )
    return HeldAnswer(new=0, open=holds.open_holds(here.store))


def opened_by(caller: Caller, opened: Containment) -> Audit:
    """The line of the audit about a containment."""
    return audited(
        caller,
        "containment.opened",
        f"inspection:{opened.escape}",
        after={"suspects": len(opened.suspects), "lot": None if opened.lot is None else str(opened.lot)},
        reason=opened.reason,
    )


@router.post("/containments", responses=TAKEN)
def contain(here: Here, caller: Disposer, said: EscapeSaid) -> BoardAnswer:
    """Name every suspect of a confirmed escape."""
    found = holds.contain(
        here.store,
        said.escape,
        id=uuid7(),
        reason=said.reason,
        at=datetime.now(UTC),
        by=caller.person.name,
        lot=None if said.lot is None else parse(said.lot),
        since=said.since,
        audit=lambda opened: opened_by(caller, opened),
    )
    return BoardAnswer.of(found)


@router.get("/containments", responses=NEXT)
def containments(here: Here, page: Paged) -> BoardsAnswer:
    """Containments, the newest first."""
    found = holds.boards(here.store, limit=page.limit, before=page.before)
    page.told([one.containment.id for one in found])
    return BoardsAnswer(containments=[BoardAnswer.of(one) for one in found])


@router.get("/containments/{id}", responses=FOUND)
def containment(here: Here, id: UUID) -> BoardAnswer:
    """Where a containment stands now."""
    return BoardAnswer.of(holds.board(here.store, id))


COLUMNS = {
    "unit": True,
    "quantity": True,
    "unit_of_measure": True,
    "gauge": True,
    "measured_at": True,
    "value": True,
    "x_mm": False,
    "y_mm": False,
    "uncertainty": False,
}
"""Of a CSV; whether they must be there."""


def series_of_csv(text: str) -> list[GaugeSaid]:
    """Raises RequestInvalid with the line of each mistake, up to ten."""
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    mistakes: list[str] = []
    points: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    try:
        names = [name.strip() for name in rows.fieldnames or ()]
        missing = [name for name, is_needed in COLUMNS.items() if is_needed and name not in names]
        unknown = [name for name in names if name not in COLUMNS]
        if missing or unknown:
            raise _invalid([f"1: {', '.join([*missing, *(f'?{name}' for name in unknown)])}"])
        rows.fieldnames = names
        for row in rows:
            if None in row or None in row.values():
                mistakes.append(f"{rows.line_num}: {len(names)} columns")
                continue
            key = tuple(
                row[name].strip() for name in ("unit", "quantity", "unit_of_measure", "gauge", "measured_at")
            )
            values = {
                name: row[name].strip()
                for name in ("value", "x_mm", "y_mm", "uncertainty")
                if name in row and row[name].strip()
            }
            try:
                points.setdefault(key, []).append(PointSaid.model_validate(values).model_dump())
            except ValidationError as error:
                mistakes += [f"{rows.line_num}: {one['loc'][0]}: {one['msg']}" for one in error.errors()]
    except csv.Error as error:
        mistakes.append(f"{rows.line_num}: {error}")
    said: list[GaugeSaid] = []
    for key, some in points.items():
        try:
            said.append(
                GaugeSaid.model_validate(
                    dict(
                        zip(("unit", "quantity", "unit_of_measure", "gauge", "measured_at"), key, strict=True)
                    )
                    | {"points": some}
                )
            )
        except ValidationError as error:
            mistakes += [f"{', '.join(key)}: {one['loc'][0]}: {one['msg']}" for one in error.errors()]
    if mistakes:
        raise _invalid(mistakes[:10])
    return said


def _invalid(mistakes: list[str]) -> RequestInvalid:
    text = "; ".join(mistakes)
    return RequestInvalid(f"The request is not valid: {text}", action="Correct the lines.", mistakes=text)
