"""Charts of what was measured, with stages where recipe or model changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from math import isfinite
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from numpy import isnan, ptp
from pydantic import BaseModel

from services.access import Caller, SignedIn
from services.api.charts import (
    ChartAnswer,
    ChartKind,
    PointAnswer,
    Preset,
    Stages,
    comments_of,
    frozen_of,
    points_of,
    rules_of,
    signals_of,
    stage_to_freeze,
)
from services.api.once import OnceRoute
from services.api.serving import Here, Language, Moment, OnRecord, Serving
from services.api.spc import (
    NOT_FOR_ALL,
    EntryMade,
    EntrySaid,
    decide,
    file_of,
    inspection_id,
    inspection_url,
    named_numbers,
)
from services.api.units import recorded
from services.chart_files import Format
from services.measured_charts import (
    OF_SEVERAL,
    OF_SUBGROUPS,
    WITH_KEPT_LIMITS,
    Made,
    MeasuredChart,
    NotOnRecord,
    key_of,
    made,
    made_together,
)
from services.problems import problems
from services.text import say
from services.web.rendering import quantity_name
from traceability.chart_book import Book, book_of, chart_name
from traceability.errors import ParameterOutOfRange
from traceability.samples import (
    MOST_SUBGROUPS,
    MeasuredValue,
    Shifts,
    measured_values,
    measurements_seen,
    shift_at,
)
from traceability.spc.charts import ControlChart, PreControl, autocorrelation
from traceability.spc.checks import magnitude
from traceability.subgroups import LARGEST, SMALLEST, from_whole_subgroup, measured_together

router = APIRouter(prefix="/spc", tags=["statistics"], route_class=OnceRoute)

SHOWN_BY_DEFAULT = timedelta(days=3)

FEWEST_FOR_AUTOCORRELATION = 4

USUAL_SIZE = 5

NOTHING_GIVEN = NotOnRecord()


class MeasurementAnswer(BaseModel):
    """`title` is the name in the reader's language where it is one of ours."""

    name: str
    title: str
    unit: str
    values: int


class PreControlAnswer(BaseModel):
    """Values in each zone; `qualified` is the label of the value that completed five greens in a row, from which on
    pairs decide; null before there were five."""

    green: int
    yellow: int
    red: int
    qualified: str | None

    @staticmethod
    def of(found: PreControl | None, points: Sequence[PointAnswer]) -> PreControlAnswer | None:
        if found is None:
            return None
        colours = Counter(zone.split("_")[0] for zone in found.zones)
        return PreControlAnswer(
            green=colours["green"],
            yellow=colours["yellow"],
            red=colours["red"],
            qualified=None if found.qualified_at is None else points[found.qualified_at].label,
        )


class MeasuredAnswer(BaseModel):
    """A chart of a measurement, ready to be drawn: location above, spread below where there is one.

    `pre_control` says where the values lay and when the set-up was good; null for all other charts

    `size`      of the subgroups; 1 for charts of single values
    `left_over` values that filled no whole subgroup
    `lag_1`     where neighbours resemble each other enough to make the limits of single values too narrow
    """

    measurement: MeasurementAnswer
    beside: list[MeasurementAnswer]
    chart: MeasuredChart
    preset: Preset
    size: int
    left_over: int
    location: ChartAnswer
    spread: ChartAnswer | None
    stages: list[str]
    lag_1: float | None
    pre_control: PreControlAnswer | None = None

    @property
    def charts(self) -> list[ChartAnswer]:
        return [self.location] if self.spread is None else [self.location, self.spread]


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
    """Which values a chart is of, which chart it is, and by what rules they are judged.

    size    of subgroups, where the chart has any
    beside  other measurements of the same units, for T² and MEWMA
    """

    measurement: str
    since: datetime
    station: str | None
    lane: str | None
    rules: Preset = "nelson_1_2"
    stages: Stages = "by_change"
    chart: MeasuredChart = "individuals"
    size: int = USUAL_SIZE
    beside: tuple[str, ...] = ()
    given: NotOnRecord = NOTHING_GIVEN

    @property
    def name(self) -> str:
        """Under which what people decide about this chart is kept: of single values one for all their charts."""
        if self.chart in OF_SEVERAL:
            return chart_name(
                "t_squared", "+".join((self.measurement, *self.beside)), self.station, self.lane
            )
        if self.chart in OF_SUBGROUPS:
            return chart_name(f"{self.chart}_{self.size}", self.measurement, self.station, self.lane)
        return chart_name("individuals", self.measurement, self.station, self.lane)


def asked_for(
    measurement: Annotated[str, Query(min_length=1, max_length=100)],
    rules: Preset = "nelson_1_2",
    stages: Stages = "by_change",
    station: Annotated[str | None, Query(max_length=100)] = None,
    lane: Annotated[str | None, Query(max_length=100)] = None,
    since: Annotated[Moment | None, Query(description="default: 3 days")] = None,
    chart: MeasuredChart = "individuals",
    size: Annotated[int, Query(ge=SMALLEST, le=LARGEST, description="of subgroups")] = USUAL_SIZE,
    beside: Annotated[list[str] | None, Query(max_length=20, description="for T² and MEWMA")] = None,
    lower: Annotated[float | None, Query(description="specification limit, for pre_control")] = None,
    upper: Annotated[float | None, Query(description="specification limit, for pre_control")] = None,
    nominals: Annotated[
        str, Query(max_length=2000, description="of recipes, for dnom: part-demo 5=40, part-demo 6=42")
    ] = "",
) -> Measured:
    """Which values a chart is of. Raises ReadingsUnreadable for nominals that are not `recipe=number`, and
    ParameterOutOfRange for one that is no number or beyond all that is measured."""
    of_recipes = named_numbers(nominals, columns="recipe=nominal")
    for nominal in of_recipes.values():
        magnitude(nominal, parameter="nominal")
    return Measured(
        measurement=measurement,
        since=since or datetime.now(UTC) - SHOWN_BY_DEFAULT,
        station=station or None,
        lane=lane or None,
        rules=rules,
        stages=stages,
        chart=chart,
        size=size,
        beside=tuple(dict.fromkeys(one for one in beside or () if one != measurement)),
        given=NotOnRecord(lower=lower, upper=upper, nominals=of_recipes),
    )


Asked = Annotated[Measured, Depends(asked_for)]


@router.get("/measured", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def measured(here: Here, language: Language, asked: Asked) -> MeasuredAnswer:
    """Single values, subgroups of consecutive units, EWMA, CUSUM, residuals, short runs, T², MEWMA, or pre-control: at
    most 2500 points."""
    return measured_of(here, language, asked)


@router.get("/measured/file", response_class=Response, responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def measured_file(here: Here, language: Language, asked: Asked, format: Format = "pdf") -> Response:
    """The same as a file: CSV, XLSX, or PDF for A4."""
    found = measured_of(here, language, asked)
    return file_of(found.charts, format, asked.chart, station=here.station, language=language)


@router.post("/measured/entries", status_code=HTTPStatus.CREATED, responses=NOT_FOR_ALL)
def enter_measured(here: Here, caller: SignedIn, asked: Asked, said: EntrySaid) -> EntryMade:
    """Leave a point out of the limits of this chart, take it in again, comment, freeze its limits or release them."""
    return EntryMade(id=decide_measured(here, caller, asked, said))


def decide_measured(here: Serving, caller: Caller, asked: Measured, said: EntrySaid) -> UUID:
    """Raises RightMissing, InspectionUnknown, and what drawing the chart raises."""
    if said.point is not None:
        recorded(here, inspection_id(said.point))
    return decide(here, caller, asked.name, said, limits=lambda: limits_to_freeze(here, asked))


def seen(
    here: OnRecord, language: str, *, since: datetime, station: str | None, lane: str | None
) -> list[MeasurementAnswer]:
    return [
        MeasurementAnswer(
            name=one.name, title=quantity_name(language, one.name), unit=one.unit, values=one.values
        )
        for one in measurements_seen(here.store, since=since, station=station, lane=lane)
    ]


def measured_of(here: OnRecord, language: str, asked: Measured) -> MeasuredAnswer:
    """Raises SpcError where there are too few values for a chart."""
    book = book_of(here.store, asked.name)
    drawn = _made(here, asked, book)
    first = drawn.points[0][0]
    titles = [quantity_name(language, name) for name in (asked.measurement, *asked.beside)]
    of_values: Mapping[str, ChartKind] = {"short_runs": "z", "pre_control": "pre_control"}
    kind = of_values.get(asked.chart) or _KINDS[drawn.location.statistic]
    in_sigmas = {
        "short_runs": "sigmas",
        "cusum": "sigmas",
        "t_squared": "squared_sigmas",
        "mewma": "squared_sigmas",
    }
    own = in_sigmas.get(asked.chart)
    unit = first.unit if own is None else say(f"web.spc.{own}", language)
    location = _answer(
        drawn.location,
        kind,
        drawn,
        book,
        asked,
        " + ".join(titles) if asked.chart in OF_SEVERAL else titles[0],
        language,
        unit=unit,
        titles=titles,
    )
    return MeasuredAnswer(
        measurement=MeasurementAnswer(
            name=asked.measurement,
            title=titles[0],
            unit=first.unit,
            values=sum(len(point) for point in drawn.points),
        ),
        beside=[
            MeasurementAnswer(name=name, title=title, unit="", values=len(drawn.points))
            for name, title in zip(asked.beside, titles[1:], strict=True)
        ],
        chart=asked.chart,
        preset=asked.rules,
        size=len(drawn.points[0]),
        left_over=drawn.left_over,
        location=location,
        spread=None
        if drawn.spread is None
        else _answer(
            drawn.spread,
            _KINDS[drawn.spread.statistic],
            drawn,
            book,
            asked,
            say(f"web.statistic.{drawn.spread.statistic}", language),
            language,
            unit=unit,
        ),
        stages=list(dict.fromkeys(drawn.location.stage)),
        lag_1=_resemblance(drawn.location) if asked.chart == "individuals" else None,
        pre_control=PreControlAnswer.of(drawn.zones, location.points),
    )


_KINDS: Mapping[str, ChartKind] = {
    "individual": "individuals",
    "moving_range": "moving_range",
    "mean": "mean",
    "median": "median",
    "range": "range",
    "standard_deviation": "standard_deviation",
    "ewma": "ewma",
    "cusum_above": "cusum_above",
    "cusum_below": "cusum_below",
    "residual": "residual",
    "deviation": "deviation",
    "t_squared": "t_squared",
    "mewma": "mewma",
}
"""Of a chart's statistic, what kind of chart it is."""


def _made(here: OnRecord, asked: Measured, book: Book) -> Made:
    by_stage = asked.stages == "by_change"
    if asked.chart == "t_squared" or asked.chart == "mewma":
        units = measured_together(
            here.store,
            (asked.measurement, *asked.beside),
            since=asked.since,
            station=asked.station,
            lane=asked.lane,
        )
        return made_together(units, chart=asked.chart, by_stage=by_stage, book=book)
    is_of_subgroups = asked.chart in OF_SUBGROUPS
    values = measured_values(
        here.store,
        asked.measurement,
        # A shift that is seen in part only would be cut into other subgroups than the whole one.
        since=shift_at(asked.since, Shifts()).since if is_of_subgroups else asked.since,
        station=asked.station,
        lane=asked.lane,
        most=MOST_SUBGROUPS * (asked.size if is_of_subgroups else 1),
    )
    if is_of_subgroups:
        values = from_whole_subgroup(
            here.store, values, asked.measurement, size=asked.size, station=asked.station, lane=asked.lane
        )
    return made(
        values,
        chart=asked.chart,
        size=asked.size,
        preset=asked.rules,
        by_stage=by_stage,
        book=book,
        given=asked.given,
    )


def _resemblance(location: ControlChart) -> float | None:
    """About each stage's own centre: a step between stages is no likeness of neighbours."""
    off_centre = location.value - location.centre
    off_centre = off_centre[~isnan(off_centre)]
    if off_centre.size < FEWEST_FOR_AUTOCORRELATION or not ptp(off_centre) > 0:
        return None
    near = autocorrelation(off_centre)
    return near.lag_1 if near.is_shown else None


def limits_to_freeze(here: OnRecord, asked: Measured) -> dict[str, Any]:
    """The limits of the stage in progress as they are now, to be kept. Raises as `measured_of` does,
    StageWithoutLimits, and ParameterOutOfRange for a chart that has none to keep."""
    drawn = _made(here, asked, book_of(here.store, asked.name))
    if drawn.limits is None:
        raise ParameterOutOfRange(
            f"The limits of a chart {asked.chart} are fitted to the values shown and cannot be frozen.",
            action="Freeze the limits of the single values.",
            parameter="chart",
            value=asked.chart,
            allowed=", ".join(WITH_KEPT_LIMITS),
        )
    return drawn.limits.as_dict() | {"stage": stage_to_freeze(drawn.location, drawn.limits_stage)}


def point_url(point: Sequence[MeasuredValue]) -> str:
    """Where a point leads: to its unit, or to the list of its units."""
    if len(point) == 1:
        return inspection_url(point[0].id)
    return "/spc/units?" + urlencode([("id", str(one.id)) for one in point])


def _answer(
    chart: ControlChart,
    kind: ChartKind,
    drawn: Made,
    book: Book,
    asked: Measured,
    title: str,
    language: str,
    *,
    unit: str,
    titles: Sequence[str] = (),
) -> ChartAnswer:
    point_at = points_of(chart, book)
    points = [
        point_at(
            index,
            key=key_of(point),
            label=f"{point[0].at.astimezone():%Y-%m-%d %H:%M:%S}",
            at=point[0].at,
            stage=point[0].stage,
            simulated=sum(one.simulated for one in point),
            url=point_url(point),
            shares=_shares(drawn, index, titles),
        )
        for index, point in enumerate(drawn.points)
    ]
    if drawn.zones is not None:
        points = [point.model_copy(update={"zones": list(drawn.zones.lines)}) for point in points]
    return ChartAnswer(
        chart=kind,
        name=asked.name,
        title=title,
        unit=unit,
        statistic=chart.statistic,
        method=chart.method,
        method_text=say(f"spc.method.{chart.method}", language),
        since=asked.since,
        points=points,
        rules=rules_of(chart, asked.rules, language),
        signals=signals_of(chart, points, asked.rules, language),
        stages=list(dict.fromkeys(chart.stage)),
        size=len(drawn.points[0]),
        frozen=frozen_of(book),
        comments=comments_of(book),
    )


def _shares(drawn: Made, index: int, titles: Sequence[str]) -> dict[str, float] | None:
    if not (drawn.shares and titles):
        return None
    parts = {
        title: float(part[index])
        for title, part in zip(titles, drawn.shares, strict=True)
        if isfinite(part[index])
    }
    return dict(sorted(parts.items(), key=lambda one: -one[1]))
