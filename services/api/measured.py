"""Charts of what was measured: single values and moving ranges, with stages where recipe or model changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from numpy import isnan, ptp
from pydantic import BaseModel

from services.access import Caller, SignedIn
from services.api.charts import (
    ChartAnswer,
    Preset,
    Stages,
    comments_of,
    exclusions,
    frozen_of,
    point_of,
    rules_of,
    signals_of,
    with_frozen,
)
from services.api.once import OnceRoute
from services.api.serving import Here, Language, Moment, OnRecord, Serving
from services.api.spc import NOT_FOR_ALL, EntryMade, EntrySaid, decide, file_of
from services.api.units import recorded
from services.chart_files import Format
from services.problems import problems
from services.text import say
from services.web.rendering import quantity_name
from traceability.chart_book import Book, book_of, chart_name
from traceability.errors import SubgroupUnknown
from traceability.samples import MeasuredValue, measured_values, measurements_seen
from traceability.spc.charts import ChartPair, ControlChart, Limits, autocorrelation, individuals_chart
from traceability.spc.rules import PRESETS

router = APIRouter(prefix="/spc", tags=["statistics"], route_class=OnceRoute)

SHOWN_BY_DEFAULT = timedelta(days=3)

FEWEST_FOR_AUTOCORRELATION = 4


class MeasurementAnswer(BaseModel):
    """`title` is the name in the reader's language where it is one of ours."""

    name: str
    title: str
    unit: str
    values: int


class IndividualsAnswer(BaseModel):
    """Single values above, moving ranges below; ready to be drawn. `lag_1` where neighbours resemble each other
    enough to make the limits too narrow."""

    measurement: MeasurementAnswer
    preset: Preset
    location: ChartAnswer
    spread: ChartAnswer
    stages: list[str]
    lag_1: float | None


@router.get("/measurements", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def measurements(
    here: Here,
    language: Language,
    station: Annotated[str | None, Query(max_length=100)] = None,
    lane: Annotated[str | None, Query(max_length=100)] = None,
    since: Annotated[Moment | None, Query(description="default: 3 days")] = None,
) -> list[MeasurementAnswer]:
    """What was measured, by name."""
    begin = since or datetime.now(UTC) - SHOWN_BY_DEFAULT
    return seen(here, language, since=begin, station=station or None, lane=lane or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Which values a chart is of, and by what rules they are judged."""

    measurement: str
    since: datetime
    station: str | None
    lane: str | None
    rules: Preset = "nelson_1_2"
    stages: Stages = "by_change"

    @property
    def name(self) -> str:
        """Under which what people decide about this chart is kept."""
        return chart_name("individuals", self.measurement, self.station, self.lane)


def asked_for(
    measurement: Annotated[str, Query(min_length=1, max_length=100)],
    rules: Preset = "nelson_1_2",
    stages: Stages = "by_change",
    station: Annotated[str | None, Query(max_length=100)] = None,
    lane: Annotated[str | None, Query(max_length=100)] = None,
    since: Annotated[Moment | None, Query(description="default: 3 days")] = None,
) -> Measured:
    """Which values a chart is of."""
    return Measured(
        measurement=measurement,
        since=since or datetime.now(UTC) - SHOWN_BY_DEFAULT,
        station=station or None,
        lane=lane or None,
        rules=rules,
        stages=stages,
    )


Asked = Annotated[Measured, Depends(asked_for)]


@router.get("/individuals", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def individuals(here: Here, language: Language, asked: Asked) -> IndividualsAnswer:
    """Single values and moving ranges of the newest units, at most 2500."""
    return individuals_of(here, language, asked)


@router.get("/individuals/file", response_class=Response, responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def individuals_file(here: Here, language: Language, asked: Asked, format: Format = "pdf") -> Response:
    """Both charts as a file: CSV, XLSX, or PDF for A4."""
    found = individuals_of(here, language, asked)
    return file_of(
        [found.location, found.spread], format, "individuals", station=here.station, language=language
    )


@router.post("/individuals/entries", status_code=HTTPStatus.CREATED, responses=NOT_FOR_ALL)
def enter_individuals(here: Here, caller: SignedIn, asked: Asked, said: EntrySaid) -> EntryMade:
    """Leave a unit out of the limits of this chart, take it in again, comment, freeze its limits or release them."""
    return EntryMade(id=decide_individuals(here, caller, asked, said))


def decide_individuals(here: Serving, caller: Caller, asked: Measured, said: EntrySaid) -> UUID:
    """Raises RightMissing, InspectionUnknown, and what drawing the chart raises."""
    if said.point is not None:
        recorded(here, inspection_id(said.point))
    return decide(here, caller, asked.name, said, limits=lambda: limits_to_freeze(here, asked))


def inspection_id(point: str) -> UUID:
    """The inspection that a point's key names. Raises SubgroupUnknown."""
    try:
        return UUID(point)
    except ValueError as error:
        raise SubgroupUnknown(
            f"{point!r} names no point.", action="Open the chart again and choose the point there.", key=point
        ) from error


def seen(
    here: OnRecord, language: str, *, since: datetime, station: str | None, lane: str | None
) -> list[MeasurementAnswer]:
    return [
        MeasurementAnswer(
            name=one.name, title=quantity_name(language, one.name), unit=one.unit, values=one.values
        )
        for one in measurements_seen(here.store, since=since, station=station, lane=lane)
    ]


def individuals_of(here: OnRecord, language: str, asked: Measured) -> IndividualsAnswer:
    """Raises SpcError where there are too few values for a chart."""
    values = measured_values(
        here.store, asked.measurement, since=asked.since, station=asked.station, lane=asked.lane
    )
    numbers = [one.value for one in values]
    book = book_of(here.store, asked.name)
    rules = PRESETS[asked.rules]
    stages = [one.stage for one in values] if asked.stages == "by_change" else None
    pair = individuals_chart(
        numbers, stages=stages, excluded=exclusions(book, [str(one.id) for one in values]), rules=rules
    )
    assert pair.spread is not None

    def against(kept: Mapping[str, Any]) -> ChartPair:
        held = {name: value for name, value in kept.items() if name != "stage"}
        return individuals_chart(numbers, stages=stages, limits=Limits.of(held), rules=rules)

    def kept_spread(kept: Mapping[str, Any]) -> ControlChart:
        spread = against(kept).spread
        assert spread is not None
        return spread

    location = with_frozen(pair.location, lambda kept: against(kept).location, book.frozen)
    spread = with_frozen(pair.spread, kept_spread, book.frozen)
    # About each stage's own centre: a step between stages is no likeness of neighbours.
    off_centre = pair.location.value - pair.location.centre
    off_centre = off_centre[~isnan(off_centre)]
    is_enough = off_centre.size >= FEWEST_FOR_AUTOCORRELATION and bool(ptp(off_centre) > 0)
    near = autocorrelation(off_centre) if is_enough else None
    title, unit = quantity_name(language, asked.measurement), values[0].unit
    return IndividualsAnswer(
        measurement=MeasurementAnswer(name=asked.measurement, title=title, unit=unit, values=len(values)),
        preset=asked.rules,
        location=_answer(location, "individuals", values, book, asked, title, language),
        spread=_answer(
            spread, "moving_range", values, book, asked, say("web.spc.moving", language), language
        ),
        stages=list(dict.fromkeys(stages or ())),
        lag_1=near.lag_1 if near is not None and near.is_shown else None,
    )


def limits_to_freeze(here: OnRecord, asked: Measured) -> dict[str, Any]:
    """The limits of the newest stage as they are now, to be kept. Raises as `individuals_of` does."""
    values = measured_values(
        here.store, asked.measurement, since=asked.since, station=asked.station, lane=asked.lane
    )
    stages = [one.stage for one in values] if asked.stages == "by_change" else None
    book = book_of(here.store, asked.name)
    pair = individuals_chart(
        [one.value for one in values],
        stages=stages,
        excluded=exclusions(book, [str(one.id) for one in values]),
    )
    return pair.limits.as_dict() | {"stage": stages[-1] if stages else ""}


def inspection_url(id: UUID) -> str:
    return f"/inspection/{id}"


def _answer(
    chart: ControlChart,
    kind: Literal["individuals", "moving_range"],
    values: tuple[MeasuredValue, ...],
    book: Book,
    asked: Measured,
    title: str,
    language: str,
) -> ChartAnswer:
    points = [
        point_of(
            chart,
            index,
            book,
            key=str(one.id),
            label=f"{one.at.astimezone():%Y-%m-%d %H:%M:%S}",
            at=one.at,
            stage=one.stage,
            simulated=int(one.simulated),
            url=inspection_url(one.id),
        )
        for index, one in enumerate(values)
    ]
    return ChartAnswer(
        chart=kind,
        name=asked.name,
        title=title,
        unit=values[0].unit,
        statistic=chart.statistic,
        method=chart.method,
        method_text=say(f"spc.method.{chart.method}", language),
        since=asked.since,
        points=points,
        rules=rules_of(chart, asked.rules, language),
        signals=signals_of(chart, points, asked.rules, language),
        stages=list(dict.fromkeys(chart.stage)),
        frozen=frozen_of(book),
        comments=comments_of(book),
    )
