"""Control charts and Pareto: computed here, so that page, print and program show the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from http import HTTPStatus
from math import isfinite
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from numpy import flatnonzero
from numpy import isfinite as are_finite
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.access import Caller, Right, SignedIn, check_right
from services.api.answers import CodeAnswer, VerdictName, verdict_name
from services.api.charts import (
    BaselineAnswer,
    ChartAnswer,
    DispersionAnswer,
    EventCusumAnswer,
    PointAnswer,
    Preset,
    Stages,
    comments_of,
    exclusions,
    frozen_of,
    held_by,
    points_of,
    rules_of,
    signals_of,
    stage_to_freeze,
    with_frozen,
)
from services.api.once import OnceRoute
from services.api.serving import Here, Language, Moment, OnRecord, Serving
from services.api.units import recorded
from services.chart_files import MEDIA_TYPES, Format, Table, as_file, table_as_file
from services.problems import problems
from services.rare_charts import RareChart, Rates, event_cusum, plotted, rare_chart
from services.text import say
from services.web.rendering import kind_colour, kind_name, subgroup_url
from station_config.catalogue import Catalogue
from traceability import samples
from traceability.chart_book import Book, Entry, book_of, chart_name, enter
from traceability.errors import ParameterOutOfRange, ReadingsUnreadable, SubgroupUnknown
from traceability.rare_events import rare_events
from traceability.samples import KindCount, UnitSeen
from traceability.spc.attributes import Baseline, CountChart, CountKind, CountSample, count_chart
from traceability.spc.charts import ControlChart
from traceability.spc.checks import within
from traceability.spc.rules import PRESETS
from traceability.spc.run_length import EventDesign

# What a chart shows when nobody says since when: about as many points as can be told apart.
SHOWN_BY_DEFAULT = {"hour": timedelta(days=3), "shift": timedelta(days=30)}

ALL_UNITS = samples.Stratum()

CountedChart = Literal["p", "np", "u", "c", "g", "t", "bernoulli_cusum", "poisson_cusum"]
"""Share and number of refused units, defects per unit and per subgroup; units and hours between two refused units;
CUSUM of refused units, and of defects, unit by unit."""

COUNTED: tuple[CountedChart, ...] = get_args(CountedChart)
RARE: tuple[RareChart, ...] = get_args(RareChart)
OF_DEFECTS = ("u", "c", "poisson_cusum")

UNITS_OF_A_RATE = 100
"""Rates are asked for, and said, per so many units: of refused units that is per cent."""

Rate = Annotated[
    Annotated[float, Field(allow_inf_nan=False)] | None,
    # A form sends a field that was left empty as an empty text.
    BeforeValidator(lambda given: None if given == "" else given),
]

router = APIRouter(prefix="/spc", tags=["statistics"], route_class=OnceRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which units a chart is about, how they are grouped, and by what rules they are judged."""

    by: samples.By
    station: str | None
    lane: str | None
    since: datetime
    until: datetime | None
    stratum: samples.Stratum = ALL_UNITS
    stages: Stages = "by_change"
    rules: Preset = "nelson_1_2"
    chart: CountedChart = "p"
    rates: Rates = field(default_factory=Rates)

    @property
    def name(self) -> str:
        """Under which what people decide about this chart is kept: of p and np, which have the same limits, one."""
        if self.chart in RARE:
            return chart_name(self.chart, self.station, self.lane, self.stratum.kind)
        shift = None if self.stratum.shift is None else f"{self.stratum.shift:%H:%M}"
        parts = [self.by, self.station, self.lane, self.stratum.kind, self.stratum.stage, shift]
        # Last, and only where there is one: charts without keep the name they always had.
        camera = [] if self.stratum.camera is None else [self.stratum.camera]
        return chart_name("p" if self.chart == "np" else self.chart, *parts, *camera)


ShiftStart = Annotated[str, Query(pattern=r"^([01]\d:[0-5]\d)|(2[0-3]:[0-5]\d)$|^$", max_length=5)]


def selection(
    by: Annotated[samples.By, Query(description="subgroup")] = "hour",
    station: Annotated[str | None, Query(max_length=100)] = None,
    lane: Annotated[str | None, Query(max_length=100)] = None,
    since: Annotated[Moment | None, Query(description="default: 3 days, or 30 by shift")] = None,
    until: Annotated[Moment | None, Query(description="default: now")] = None,
    kind: Annotated[str | None, Query(max_length=100, description="count units with this defect")] = None,
    stage: Annotated[str | None, Query(max_length=500, description="recipe and models")] = None,
    shift: Annotated[ShiftStart, Query(description="local start of the shift, such as 06:00")] = "",
    camera: Annotated[
        str | None, Query(max_length=100, description="count units with a defect it saw")
    ] = None,
    stages: Annotated[
        Stages, Query(description="do limits start anew with recipe and models?")
    ] = "by_change",
    rules: Preset = "nelson_1_2",
    chart: Annotated[
        CountedChart,
        Query(
            description="p, np: refused units; u, c: defects; g, t: units, hours between refused units; "
            "bernoulli_cusum, poisson_cusum: refused units, defects unit by unit"
        ),
    ] = "p",
    in_control: Annotated[
        Rate, Query(description="of a CUSUM: usual events per 100 units; default: as shown")
    ] = None,
    to_find: Annotated[
        Rate, Query(description="events per 100 units to be found; default: twice that")
    ] = None,
) -> Selection:
    """Which units a chart is about."""
    end = until or datetime.now(UTC)
    return Selection(
        by=by,
        station=station or None,
        lane=lane or None,
        since=since or end - SHOWN_BY_DEFAULT[by],
        until=until,
        stratum=samples.Stratum(
            kind=kind or None,
            stage=stage or None,
            shift=time.fromisoformat(shift) if shift else None,
            camera=camera or None,
        ),
        stages=stages,
        rules=rules,
        chart=chart,
        rates=rates_of(in_control, to_find),
    )


def rates_of(in_control: float | None, to_find: float | None) -> Rates:
    """Of events per UNITS_OF_A_RATE units."""
    of_one = (None if rate is None else rate / UNITS_OF_A_RATE for rate in (in_control, to_find))
    return Rates(in_control=next(of_one), to_find=next(of_one))


Selected = Annotated[Selection, Depends(selection)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """What the bars of a Pareto are as long as; `costs` of one defect, by the code of its kind."""

    by: samples.Weigh = "count"
    costs: Mapping[str, float] = field(default_factory=dict)


def weighing(
    weigh: samples.Weigh = "count",
    costs: Annotated[str, Query(max_length=2000, description="of a defect: scratch=3.5, dent=2")] = "",
) -> Weighing:
    """Raises ReadingsUnreadable for costs that are not `kind=number`, ParameterOutOfRange for one below 0."""
    of_kind = named_numbers(costs, columns="kind=cost")
    for cost in of_kind.values():
        within(cost, parameter="cost", allowed="0 or more", is_allowed=isfinite(cost) and cost >= 0)
    return Weighing(by=weigh, costs=of_kind)


def named_numbers(text: str, *, columns: str) -> dict[str, float]:
    """Of `scratch=3.5, dent=2` each number by its name. Raises ReadingsUnreadable, which says what `columns` are
    wanted."""
    found: dict[str, float] = {}
    for part in text.replace("，", ",").replace(";", ",").split(","):
        if not part.strip():
            continue
        name, _, number = part.rpartition("=")
        try:
            # After a decimal comma, as in scratch=3,5, stands a number of nothing.
            if not name.strip():
                raise ValueError(part)
            found[name.strip()] = float(number)
        except ValueError as error:
            raise ReadingsUnreadable(
                f"{part[:60]!r} is not {columns}.",
                action="Write name=number with a point before the decimals, parted by commas: scratch=3.5, dent=2.",
                line=1,
                reason="named",
                text=part[:60],
                columns=columns,
            ) from error
    return found


Weighed = Annotated[Weighing, Depends(weighing)]


class ParetoBarAnswer(BaseModel):
    """Shares are of the whole weight, 0..1; `units` had at least one of the kind."""

    kind: str
    name: str
    colour: str
    defects: int
    units: int
    weight: float
    share: float
    cumulative_share: float

    @staticmethod
    def of(bar: KindCount, catalogue: Catalogue, language: str) -> ParetoBarAnswer:
        return ParetoBarAnswer(
            kind=bar.kind,
            name=kind_name(catalogue, language, bar.kind),
            colour=kind_colour(catalogue, bar.kind),
            defects=bar.defects,
            units=bar.units,
            weight=bar.weight,
            share=bar.share,
            cumulative_share=bar.cumulative_share,
        )


class ParetoAnswer(BaseModel):
    """`weigh`: what the bars are as long as; area in mm²."""

    since: datetime
    weigh: samples.Weigh
    bars: list[ParetoBarAnswer]


class UnitSeenAnswer(BaseModel):
    inspection: str
    unit: CodeAnswer
    station: str
    lane: str
    finished_at: datetime
    verdict: VerdictName
    defects: int
    picture: str | None
    simulated: bool

    @staticmethod
    def of(seen: UnitSeen) -> UnitSeenAnswer:
        return UnitSeenAnswer(
            inspection=str(seen.id),
            unit=CodeAnswer.of(seen.unit),
            station=seen.station,
            lane=seen.lane,
            finished_at=seen.finished_at,
            verdict=verdict_name(seen.verdict),
            defects=seen.defects,
            picture=seen.picture,
            simulated=seen.simulated,
        )


class SubgroupAnswer(BaseModel):
    """What was withheld most comes first; `units` holds at most 500."""

    key: str
    since: datetime
    until: datetime
    units: list[UnitSeenAnswer]


@router.get("/p", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def p(here: Here, language: Language, selected: Selected) -> ChartAnswer:
    """Chart of what is counted by hour or shift, with three-sigma limits and the run rules' signals: the p chart of
    refused units, or another; and of what is rare, event by event."""
    return chart_of(here, language, selected)


@router.get("/pareto", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def pareto(here: Here, language: Language, selected: Selected, weighed: Weighed) -> ParetoAnswer:
    """All defects of the same units by kind, the heaviest first; of the kind and camera alone that are asked for."""
    return pareto_of(here, language, selected, weighed)


@router.get("/pareto/file", response_class=Response, responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def pareto_file(
    here: Here, language: Language, selected: Selected, weighed: Weighed, format: Format = "pdf"
) -> Response:
    """The same as a file: CSV, XLSX, or PDF for A4."""
    return table_file(
        pareto_table(pareto_of(here, language, selected, weighed), language),
        format,
        "pareto",
        station=here.station,
        language=language,
    )


def pareto_of(here: OnRecord, language: str, selected: Selection, weighed: Weighing) -> ParetoAnswer:
    bars = samples.pareto(
        here.store,
        since=selected.since,
        until=selected.until,
        station=selected.station,
        lane=selected.lane,
        weigh=weighed.by,
        costs=weighed.costs,
        stratum=selected.stratum,
    )
    return ParetoAnswer(
        since=selected.since,
        weigh=weighed.by,
        bars=[ParetoBarAnswer.of(bar, here.catalogue, language) for bar in bars],
    )


def pareto_table(found: ParetoAnswer, language: str) -> Table:
    def told(key: str) -> str:
        return say(f"web.pareto.{key}", language)

    return Table(
        title=f"{say('web.spc.pareto', language)}, {told(found.weigh)}",
        notes=(say("web.pareto.since", language, at=f"{found.since.astimezone():%Y-%m-%d %H:%M}"),),
        headings=tuple(told(key) for key in ("kind", "defects", "units", found.weigh, "share", "cumulative")),
        rows=tuple(
            (
                bar.name,
                bar.defects,
                bar.units,
                round(bar.weight, 3),
                round(bar.share, 5),
                round(bar.cumulative_share, 5),
            )
            for bar in found.bars
        ),
        bar=3,
    )


@router.get("/subgroups/{key}", responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY))
def subgroup(
    here: Here,
    key: str,
    station: Annotated[str | None, Query(max_length=100)] = None,
    lane: Annotated[str | None, Query(max_length=100)] = None,
) -> SubgroupAnswer:
    """The units behind one point of a chart."""
    window = samples.window_of(key)
    units = samples.units_of_subgroup(here.store, key, station=station or None, lane=lane or None)
    return SubgroupAnswer(
        key=key, since=window.since, until=window.until, units=[UnitSeenAnswer.of(seen) for seen in units]
    )


@router.get("/p/file", response_class=Response, responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def p_file(here: Here, language: Language, selected: Selected, format: Format = "pdf") -> Response:
    """The same chart as a file: CSV, XLSX, or PDF for A4."""
    chart = chart_of(here, language, selected)
    return file_of([chart], format, selected.chart, station=here.station, language=language)


def file_of(
    charts: Sequence[ChartAnswer], format: Format, name: str, *, station: str, language: str
) -> Response:
    """Raises FontMissing for a PDF."""
    return downloaded(as_file(charts, format, station=station, language=language), format, name)


def table_file(table: Table, format: Format, name: str, *, station: str, language: str) -> Response:
    """Raises FontMissing for a PDF."""
    return downloaded(table_as_file(table, format, station=station, language=language), format, name)


def downloaded(made: bytes, format: Format, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="lynceus-{name}.{format}"'}
    return Response(made, media_type=MEDIA_TYPES[format], headers=headers)


class EntrySaid(BaseModel):
    """A decision about a chart. `point` is a point's key: needed to leave one out or take it in again."""

    model_config = ConfigDict(extra="forbid")

    kind: Entry
    reason: str = Field(min_length=1, max_length=1000)
    point: str | None = Field(default=None, max_length=100)


class EntryMade(BaseModel):
    id: UUID


NOT_FOR_ALL = problems(
    HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY
)


@router.post("/p/entries", status_code=HTTPStatus.CREATED, responses=NOT_FOR_ALL)
def enter_p(here: Here, caller: SignedIn, selected: Selected, said: EntrySaid) -> EntryMade:
    """Leave a point out of the limits of this chart, take it in again, comment, freeze its limits or release them."""
    return EntryMade(id=decide_p(here, caller, selected, said))


def decide_p(here: Serving, caller: Caller, selected: Selection, said: EntrySaid) -> UUID:
    """Raises RightMissing, SubgroupUnknown, InspectionUnknown, and what drawing the chart raises."""
    if said.point is not None and selected.chart in RARE:
        recorded(here, inspection_id(said.point))
    elif said.point is not None:
        samples.window_of(said.point)
    return decide(here, caller, selected.name, said, limits=lambda: limits_to_freeze(here, selected))


def decide(
    here: Serving, caller: Caller, name: str, said: EntrySaid, *, limits: Callable[[], Mapping[str, Any]]
) -> UUID:
    """Commenting is for whoever operates the line; what changes limits for those who dispose of its quality.

    limits  those to freeze, where that is asked
    """
    elsewhere = (
        Entry.TARGET,
        Entry.CHANGED,
        Entry.DRAWN,
        Entry.LOOKED_AT,
        Entry.ORDERED,
        Entry.ENDED,
    )
    within(
        0,
        parameter="kind",
        allowed=", ".join(one for one in Entry if one not in elsewhere),
        is_allowed=said.kind not in elsewhere,
    )
    check_right(caller, Right.OPERATE if said.kind is Entry.COMMENT else Right.DISPOSE)
    is_about_point = said.kind in (Entry.EXCLUDED, Entry.INCLUDED)
    within(
        0 if said.point is None else 1,
        parameter="point",
        allowed="the key of a point",
        is_allowed=said.point is not None or not is_about_point,
    )
    return enter(
        here.store,
        name,
        said.kind,
        reason=said.reason,
        point=said.point,
        value=limits() if said.kind is Entry.FROZEN else None,
        by=caller.person,
        at=datetime.now(UTC),
    )


def inspection_id(point: str) -> UUID:
    """The inspection that a point's key names. Raises SubgroupUnknown."""
    try:
        return UUID(point)
    except ValueError as error:
        raise SubgroupUnknown(
            f"{point!r} names no point.", action="Open the chart again and choose the point there.", key=point
        ) from error


def inspection_url(id: UUID) -> str:
    return f"/inspection/{id}"


def chart_of(here: OnRecord, language: str, selected: Selection) -> ChartAnswer:
    """Raises TooFewSubgroups, TooManySubgroups; of rare events TooFewValues, NoVariation, ParameterOutOfRange."""
    kind = selected.chart
    if kind == "g" or kind == "t" or kind == "bernoulli_cusum" or kind == "poisson_cusum":
        return _rare_chart_of(here, language, selected, kind)
    book = book_of(here.store, selected.name)
    counted, own = _own_chart(here, selected, kind, book)

    def kept(value: Mapping[str, Any]) -> ControlChart:
        return count_chart(
            counted,
            kind=own.baseline.kind,
            baseline=_kept_baseline(own, value),
            by_stage=bool(own.chart.stage),
            excluded=own.chart.excluded,
            rules=PRESETS[selected.rules],
        ).chart

    chart = with_frozen(own.chart, kept, book.frozen)
    baseline, is_frozen = _newest_baseline(own, chart, book)
    if is_frozen:
        chart = replace(chart, method=baseline.method)
    point_at = points_of(chart, book)
    points = [
        point_at(
            index,
            key=sample.key,
            label=sample.label,
            at=sample.at,
            stage=sample.stage,
            simulated=sample.simulated,
            url=subgroup_url(sample.key, station=selected.station, lane=selected.lane),
            count=sample.count,
            opportunity=sample.opportunity,
            review=sample.review,
            not_inspected=sample.not_inspected,
        )
        for index, sample in enumerate(counted)
    ]
    return _answer(
        here,
        language,
        selected,
        chart,
        points,
        book,
        by=selected.by,
        baseline=BaselineAnswer(
            centre=baseline.centre,
            sigma_z=baseline.sigma_z,
            subgroups=baseline.subgroups,
            is_frozen=is_frozen,
            is_provisional=baseline.is_provisional,
        ),
        dispersion=DispersionAnswer.of(own.dispersion),
    )


def _own_chart(
    here: OnRecord, selected: Selection, kind: CountKind, book: Book
) -> tuple[Sequence[CountSample], CountChart]:
    """What was counted, and its chart against limits of its own."""
    counted = samples.count_samples(
        here.store,
        by=selected.by,
        since=selected.since,
        until=selected.until,
        station=selected.station,
        lane=selected.lane,
        stratum=selected.stratum,
        counting="defects" if selected.chart in OF_DEFECTS else "units",
    )
    return counted, count_chart(
        counted,
        kind=kind,
        # Of several lanes the one with most units would set the stage, and the others' changes be missed.
        by_stage=selected.stages == "by_change" and selected.lane is not None,
        excluded=exclusions(book, [sample.key for sample in counted]),
        rules=PRESETS[selected.rules],
    )


def _kept_baseline(own: CountChart, value: Mapping[str, Any]) -> Baseline:
    return replace(
        own.baseline, centre=value["centre"], sigma_z=value["sigma_z"], subgroups=value["subgroups"]
    )


def _newest_baseline(own: CountChart, chart: ControlChart, book: Book) -> tuple[Baseline, bool]:
    """What the newest point that has limits is judged by, and whether that was frozen."""
    limited = flatnonzero(are_finite(chart.upper))
    if (
        book.frozen is None
        or book.frozen.value is None
        or not held_by(own.chart, book.frozen)[limited[-1:]].any()
    ):
        return own.baseline, False
    return _kept_baseline(own, book.frozen.value), True


def _rare_chart_of(here: OnRecord, language: str, selected: Selection, kind: RareChart) -> ChartAnswer:
    of_it = selected.stratum
    for name, said in (("stage", of_it.stage), ("shift", of_it.shift), ("camera", of_it.camera)):
        if said is not None:
            raise ParameterOutOfRange(
                f"{name} is {said}; a {kind} chart is of none.",
                action="Leave it out.",
                parameter=name,
                value=str(said),
                allowed="–",
            )
    found = rare_events(
        here.store,
        since=selected.since,
        until=selected.until,
        station=selected.station,
        lane=selected.lane,
        kind=selected.stratum.kind,
        counting="defects" if kind in OF_DEFECTS else "units",
    )
    book = book_of(here.store, selected.name)
    by_stage = selected.stages == "by_change" and selected.lane is not None
    events = found if kind != "t" else plotted(found)
    more: dict[str, Any] = {}
    if kind == "bernoulli_cusum" or kind == "poisson_cusum":
        chart, design = event_cusum(events, chart=kind, by_stage=by_stage, book=book, rates=selected.rates)
        more["cusum"] = _set_up(
            design, kind, is_estimated=selected.rates.in_control is None, language=language
        )
    else:
        chart = rare_chart(events, chart=kind, by_stage=by_stage, book=book)
    point_at = points_of(chart, book)
    points = [
        point_at(
            index,
            key=str(event.id),
            label=f"{event.at.astimezone():%Y-%m-%d %H:%M:%S}",
            at=event.at,
            stage=event.stage,
            simulated=int(event.simulated),
            url=inspection_url(event.id),
        )
        for index, event in enumerate(events)
    ]
    return _answer(here, language, selected, chart, points, book, **more)


def _set_up(design: EventDesign, kind: str, *, is_estimated: bool, language: str) -> EventCusumAnswer:
    def rate(events: float) -> str:
        return say(f"spc.event_rate.{kind}", language, rate=f"{UNITS_OF_A_RATE * events:.3g}")

    return EventCusumAnswer(
        in_control=design.in_control,
        is_estimated=is_estimated,
        to_find=design.to_find,
        h=design.h,
        units_in_control=design.units_in_control,
        units_to_find=design.units_to_find,
        text=say(
            "spc.event_cusum.estimated" if is_estimated else "spc.event_cusum.given",
            language,
            in_control=rate(design.in_control),
            to_find=rate(design.to_find),
            false_alarm=_rounded(design.units_in_control),
            found=_rounded(design.units_to_find),
            h=f"{design.h:.3g}",
        ),
    )


def _rounded(units: float) -> str:
    """To three digits: a mean of lengths that scatter as widely as it is long."""
    return f"{float(f'{units:.3g}'):,.0f}"


def _answer(
    here: OnRecord,
    language: str,
    selected: Selection,
    chart: ControlChart,
    points: list[PointAnswer],
    book: Book,
    **of_counts: Any,
) -> ChartAnswer:
    kind = selected.stratum.kind
    name = "all" if kind is None else kind_name(here.catalogue, language, kind)
    of_kind = "" if kind is None else "_kind"
    return ChartAnswer(
        chart=selected.chart,
        name=selected.name,
        title=say(f"spc.title.{selected.chart}{of_kind}", language, kind=name),
        unit=say(f"web.counted_unit.{selected.chart}", language) if selected.chart != "p" else "",
        statistic=chart.statistic,
        method=chart.method,
        method_text=say(f"spc.method.{chart.method}", language),
        since=selected.since,
        points=points,
        rules=rules_of(chart, selected.rules, language),
        signals=signals_of(chart, points, selected.rules, language),
        stages=list(dict.fromkeys(chart.stage)),
        frozen=frozen_of(book),
        comments=comments_of(book),
        **of_counts,
    )


def limits_to_freeze(here: OnRecord, selected: Selection) -> dict[str, Any]:
    """The limits of the stage in progress as they are now, to be kept. Raises as `chart_of` does, StageWithoutLimits,
    and ParameterOutOfRange for a chart that has none to keep."""
    kind = selected.chart
    if kind == "g" or kind == "t" or kind == "bernoulli_cusum" or kind == "poisson_cusum":
        allowed = ", ".join(one for one in COUNTED if one not in RARE)
        raise ParameterOutOfRange(
            f"Limits of a {kind} chart cannot be frozen.",
            action="Freeze those of another chart of counts.",
            parameter="chart",
            value=kind,
            allowed=allowed,
        )
    _, own = _own_chart(here, selected, kind, book_of(here.store, selected.name))
    return {
        "centre": own.baseline.centre,
        "sigma_z": own.baseline.sigma_z,
        "subgroups": own.baseline.subgroups,
        "stage": stage_to_freeze(own.chart, own.baseline_stage),
    }
