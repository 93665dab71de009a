"""Figures of merit: yields, defects per million, scrap, handling times from the record; lots, costs and suppliers from
numbers that are given. Each with its interval, its definition, and its target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from http import HTTPStatus
from math import isfinite, prod
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from inspection.types import Verdict
from services.access import Caller
from services.api.cases import Disposer
from services.api.once import OnceRoute
from services.api.serving import Here, Language, Moment, OnRecord, Serving
from services.api.spc import NOT_FOR_ALL, EntryMade, ShiftStart
from services.problems import problems
from services.text import say
from traceability.chart_book import Entry, chart_name, enter
from traceability.merit import TARGETS, Counted, StepCount, counted
from traceability.spc.agreement import wilson_interval
from traceability.spc.checks import within
from traceability.spc.yields import (
    QualityCost,
    Target,
    defect_rate,
    handling_time,
    rate,
    supplier_score,
    target_of,
)

router = APIRouter(prefix="/spc", tags=["statistics"], route_class=OnceRoute)

LOOKS_BACK = timedelta(days=3)

FigureName = Literal[
    "first_pass",
    "rolled",
    "scrap",
    "rework",
    "dpu",
    "dpmo",
    "sigma_level",
    "oqc_sampling",
    "handling_time",
    "corrective_action_closure",
    "incoming_lot_acceptance",
    "oqc_lot_acceptance",
    "poor_quality",
    "poor_quality_share",
]

LESS_IS_BETTER = ("scrap", "rework", "dpu", "dpmo", "handling_time", "poor_quality", "poor_quality_share")
SHARES = (
    "first_pass",
    "rolled",
    "scrap",
    "rework",
    "oqc_sampling",
    "corrective_action_closure",
    "incoming_lot_acceptance",
    "oqc_lot_acceptance",
    "poor_quality_share",
)


class MeritAnswer(BaseModel):
    """One figure. `unit` is empty for a share, 0..1; `basis` what it was counted from, in the reader's language.

    `station`, `lane`  of one lane: which; both empty for a figure of all that was asked about
    `place`     both, as they are called in the record
    `value`     None where there is nothing to count it from
    `interval`  95 %
    `is_met`    None without a target
    """

    figure: FigureName
    name: str
    station: str
    lane: str
    place: str
    value: float | None
    interval: tuple[float, float] | None
    unit: str
    basis: str
    definition: str
    target: float | None
    is_met: bool | None


class FiguresAnswer(BaseModel):
    """`simulated` of the `units` inspected come from a demo's history."""

    since: datetime
    until: datetime
    units: int
    simulated: int
    figures: list[MeritAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What part of the plant figures are of."""

    station: str | None = None
    lane: str | None = None
    shift: time | None = None


@router.get("/merit", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def merit(
    here: Here,
    language: Language,
    station: Annotated[str | None, Query(max_length=100)] = None,
    lane: Annotated[str | None, Query(max_length=100)] = None,
    shift: Annotated[ShiftStart, Query(description="local start of the shift, such as 06:00")] = "",
    since: Annotated[Moment | None, Query(description="default: 3 days")] = None,
    until: Annotated[Moment | None, Query(description="default: now")] = None,
    opportunities: Annotated[int, Query(ge=1, le=10**6, description="for a defect, in a unit")] = 1,
    sigma_shift: Annotated[float, Query(ge=0, le=3, description="of the sigma level")] = 1.5,
) -> FiguresAnswer:
    """直通率, 报废率, DPU, DPMO and the others that follow from the record."""
    end = until or datetime.now(UTC)
    return figures_of(
        here,
        language,
        Place(station=station or None, lane=lane or None, shift=time.fromisoformat(shift) if shift else None),
        since=since or end - LOOKS_BACK,
        until=end,
        opportunities=opportunities,
        sigma_shift=sigma_shift,
    )


def figures_of(
    here: OnRecord,
    language: str,
    place: Place,
    *,
    since: datetime,
    until: datetime,
    opportunities: int = 1,
    sigma_shift: float = 1.5,
) -> FiguresAnswer:
    found = counted(
        here.store, since=since, until=until, station=place.station, lane=place.lane, shift=place.shift
    )
    return FiguresAnswer(
        since=since,
        until=until,
        units=sum(step.units for step in found.steps),
        simulated=sum(step.simulated for step in found.steps),
        figures=list(_figures(found, place, language, opportunities=opportunities, sigma_shift=sigma_shift)),
    )


def _figures(
    found: Counted, place: Place, language: str, *, opportunities: int, sigma_shift: float
) -> Iterator[MeritAnswer]:
    def figure(
        name: FigureName,
        value: float | None,
        interval: tuple[float, float] | None,
        *,
        of: StepCount | None = None,
        unit: str = "",
        **basis: object,
    ) -> MeritAnswer:
        where = Place(
            station=of.station if of else place.station, lane=of.lane if of else place.lane, shift=place.shift
        )
        return answered(
            name,
            value,
            interval,
            language,
            of=of,
            unit=unit,
            target=_target(found.targets, name, where),
            basis=say(
                f"web.merit.basis.{name}",
                language,
                **{key: f"{fact:,}" if isinstance(fact, int) else fact for key, fact in basis.items()},
            ),
        )

    passes: list[float] = []
    for step in found.steps:
        if not step.units:
            continue
        good = step.first_passes[Verdict.ACCEPT]
        one = rate("first_pass", count=good, of=step.units)
        passes.append(one.value)
        yield figure("first_pass", one.value, one.interval, of=step, count=good, of_all=step.units)
    yield figure("rolled", prod(passes) if passes else None, None, steps=len(passes))
    for step in found.steps:
        if step.judged:
            rates = defect_rate(
                defects=step.defects, units=step.judged, opportunities=opportunities, shift=sigma_shift
            )
            facts = {"defects": step.defects, "units": step.judged, "opportunities": opportunities}
            yield figure("dpu", rates.dpu, rates.dpu_interval, of=step, unit="–", **facts)
            yield figure("dpmo", rates.dpmo, rates.dpmo_interval, of=step, unit="–", **facts)
            level = rates.sigma_level
            finite = level if level is not None and isfinite(level) else None
            yield figure("sigma_level", finite, None, of=step, unit="σ", shift=f"{sigma_shift:g}", **facts)
    units = max((step.units for step in found.steps), default=0)
    for name, count in (("scrap", found.scrapped), ("rework", found.reworked)):
        is_sound = units > 0 and count <= units
        yield figure(
            "scrap" if name == "scrap" else "rework",
            count / units if is_sound else None,
            wilson_interval(count, units) if is_sound else None,
            count=count,
            of_all=units,
        )
    shares: tuple[tuple[FigureName, int, int], ...] = (
        ("oqc_sampling", found.shipped_inspected, found.shipped),
        ("corrective_action_closure", found.handled.closed_of_opened, found.handled.opened),
    )
    for share, count, of_all in shares:
        yield figure(
            share,
            count / of_all if of_all else None,
            wilson_interval(count, of_all) if of_all else None,
            count=count,
            of_all=of_all,
        )
    hours = (
        handling_time(found.handled.hours, still_open=found.handled.still_open)
        if found.handled.hours
        else None
    )
    yield figure(
        "handling_time",
        None if hours is None else hours.mean,
        None if hours is None or not isfinite(hours.interval[0]) else hours.interval,
        unit="h",
        closed=len(found.handled.hours),
        open=found.handled.still_open,
        median="–" if hours is None else f"{hours.median:.1f}",
    )


def answered(
    name: FigureName,
    value: float | None,
    interval: tuple[float, float] | None,
    language: str,
    *,
    basis: str,
    of: StepCount | None = None,
    unit: str = "",
    target: float | None = None,
) -> MeritAnswer:
    met = None
    if target is not None and value is not None:
        met = value <= target if name in LESS_IS_BETTER else value >= target
    return MeritAnswer(
        figure=name,
        name=say(f"web.merit.name.{name}", language),
        station="" if of is None else of.station,
        lane="" if of is None else of.lane,
        place="" if of is None else f"{of.station} / {of.lane}",
        value=value,
        interval=interval,
        unit=unit,
        basis=basis,
        definition=say(f"spc.definition.{name}", language),
        target=target,
        is_met=met,
    )


def _target(targets: Sequence[Target], figure: str, place: Place) -> float | None:
    shift = "" if place.shift is None else f"{place.shift:%H:%M}"
    holds = target_of(
        targets, figure, plant="", line=place.lane or "", station=place.station or "", shift=shift
    )
    return None if holds is None else holds.value


# ------------------------------------------------------------------ targets


class TargetSaid(BaseModel):
    """What a figure should reach; `station`, `lane` and `shift` left out hold for every one."""

    model_config = ConfigDict(extra="forbid")

    figure: FigureName
    target: float = Field(allow_inf_nan=False, ge=0)
    station: str = Field(default="", max_length=100, pattern="^[^/]*$")
    lane: str = Field(default="", max_length=100, pattern="^[^/]*$")
    shift: str = Field(default="", pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$")
    reason: str = Field(min_length=1, max_length=1000)


@router.post("/merit/targets", status_code=HTTPStatus.CREATED, responses=NOT_FOR_ALL)
def set_target(here: Here, caller: Disposer, said: TargetSaid) -> EntryMade:
    """Set a target, with a reason; it holds until a newer one about the same place."""
    return EntryMade(id=decide_target(here, caller, said))


def decide_target(here: Serving, caller: Caller, said: TargetSaid) -> UUID:
    """Raises ParameterOutOfRange for a share above 1."""
    if said.figure in SHARES:
        within(said.target, parameter="target", allowed="0..1", is_allowed=said.target <= 1)
    return enter(
        here.store,
        chart_name(TARGETS, said.figure, *(part or None for part in (said.station, said.lane, said.shift))),
        Entry.TARGET,
        reason=said.reason,
        value={"target": said.target},
        by=caller.person,
        at=datetime.now(UTC),
    )


# ------------------------------------------------------------------ from numbers that are given

Count = Annotated[int, Field(ge=0, le=10**9)]
Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class SupplierSaid(BaseModel):
    """A supplier in a period: lots, units, mean days until an answer, and 8D reports closed of those opened."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    lots_accepted: Count
    lots: Count
    defective: Count
    units: Count
    response_days: Money
    closed: Count
    opened: Count


class Given(BaseModel):
    """What the record does not hold; each part may be left out.

    `weights` of the supplier score: lot_acceptance, ppm, response, closure
    """

    model_config = ConfigDict(extra="forbid")

    incoming_accepted: Count | None = None
    incoming_lots: Count | None = None
    oqc_accepted: Count | None = None
    oqc_lots: Count | None = None
    prevention: Money = 0
    appraisal: Money = 0
    internal_failure: Money = 0
    external_failure: Money = 0
    revenue: Money | None = None
    suppliers: Annotated[list[SupplierSaid], Field(max_length=500)] = []
    weights: dict[Literal["lot_acceptance", "ppm", "response", "closure"], Money] | None = None


class SupplierAnswer(BaseModel):
    """`rank_from`..`rank_to`: the places it may have, its interval considered; two lots do not rank a supplier."""

    name: str
    score: float
    interval: tuple[float, float]
    parts: dict[str, float]
    ppm: float
    rank_from: int
    rank_to: int


class GivenAnswer(BaseModel):
    figures: list[MeritAnswer]
    suppliers: list[SupplierAnswer]
    supplier_definition: str


@router.post("/merit/given", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def merit_of_given(language: Language, given: Given) -> GivenAnswer:
    """进料批合格率, OQC抽检批合格率, COPQ and supplier scores of the numbers given. Nothing is kept."""
    return given_figures(language, given)


def given_figures(language: str, given: Given) -> GivenAnswer:
    """Raises CountImpossible, ParameterOutOfRange."""
    figures: list[MeritAnswer] = []
    lots: tuple[
        tuple[Literal["incoming_lot_acceptance", "oqc_lot_acceptance"], int | None, int | None], ...
    ] = (
        ("incoming_lot_acceptance", given.incoming_accepted, given.incoming_lots),
        ("oqc_lot_acceptance", given.oqc_accepted, given.oqc_lots),
    )
    for name, count, of_all in lots:
        if count is not None and of_all is not None:
            one = rate(name, count=count, of=of_all)
            basis = say("web.merit.basis.lots", language, count=f"{count:,}", of_all=f"{of_all:,}")
            figures.append(answered(name, one.value, one.interval, language, basis=basis))
    cost = QualityCost(
        prevention=given.prevention,
        appraisal=given.appraisal,
        internal_failure=given.internal_failure,
        external_failure=given.external_failure,
        revenue=given.revenue,
    )
    if cost.total:
        basis = say("web.merit.basis.cost", language, total=f"{cost.total:,.0f}")
        figures.append(answered("poor_quality", cost.poor_quality, None, language, basis=basis, unit="¥"))
        if cost.poor_quality_share is not None:
            figures.append(
                answered("poor_quality_share", cost.poor_quality_share, None, language, basis=basis)
            )
    return GivenAnswer(
        figures=figures,
        suppliers=_suppliers(given),
        supplier_definition=say("spc.definition.supplier_score", language),
    )


def _suppliers(given: Given) -> list[SupplierAnswer]:
    weights = None if given.weights is None else {str(name): value for name, value in given.weights.items()}
    scored = [
        (
            one.name,
            supplier_score(
                lots_accepted=one.lots_accepted,
                lots=one.lots,
                defective=one.defective,
                units=one.units,
                response_days=one.response_days,
                closed=one.closed,
                opened=one.opened,
                weights=weights,
            ),
        )
        for one in given.suppliers
    ]
    return [
        SupplierAnswer(
            name=name,
            score=score.score,
            interval=score.interval,
            parts=dict(score.parts),
            ppm=score.ppm,
            rank_from=1 + sum(other.interval[0] > score.interval[1] for _, other in scored),
            rank_to=len(scored) - sum(other.interval[1] < score.interval[0] for _, other in scored),
        )
        for name, score in sorted(scored, key=lambda one: (-one[1].score, one[0]))
    ]
