"""Charts of what was measured: single values and moving ranges, with stages where recipe or model changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from math import isnan
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel

from services.api.serving import Here, Language, Serving
from services.api.spc import RuleAnswer
from services.problems import problems
from services.text import say
from services.web.rendering import quantity_name
from traceability.samples import MeasuredValue, measured_values, measurements_seen
from traceability.spc.charts import ControlChart, autocorrelation, individuals_chart
from traceability.spc.rules import PRESETS, Side

router = APIRouter(prefix="/spc", tags=["statistics"])

SHOWN_BY_DEFAULT = timedelta(days=3)

FEWEST_FOR_AUTOCORRELATION = 4

Preset = Literal[
    "aiag_2005",
    "aiag_vda",
    "aiag_vda_analysis",
    "gb4091",
    "iso7870_2",
    "juran",
    "minitab",
    "nelson",
    "nelson_1_2",
    "western_electric",
]


class MeasurementAnswer(BaseModel):
    """`title` is the name in the reader's language where it is one of ours."""

    name: str
    title: str
    unit: str
    values: int


class MeasuredPoint(BaseModel):
    """One unit. `value` is None where the chart has none, as the first moving range of a stage."""

    at: datetime
    label: str
    value: float | None
    centre: float | None
    lower: float | None
    upper: float | None
    stage: str
    simulated: bool
    url: str


class MeasuredSignal(BaseModel):
    """`index` is that of the point which completes the pattern, `members` are all points that make it."""

    rule: str
    number: int
    text: str
    index: int
    members: list[int]
    side: Side


class MeasuredChart(BaseModel):
    statistic: str
    points: list[MeasuredPoint]
    rules: list[RuleAnswer]
    signals: list[MeasuredSignal]


class IndividualsAnswer(BaseModel):
    """Single values above, moving ranges below; ready to be drawn. `lag_1` where neighbours resemble each other
    enough to make the limits too narrow."""

    measurement: MeasurementAnswer
    preset: Preset
    method: str
    location: MeasuredChart
    spread: MeasuredChart
    stages: list[str]
    lag_1: float | None


@router.get("/measurements", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def measurements(
    here: Here,
    language: Language,
    station: Annotated[str | None, Query(max_length=100)] = None,
    lane: Annotated[str | None, Query(max_length=100)] = None,
    since: Annotated[AwareDatetime | None, Query(description="default: 3 days")] = None,
) -> list[MeasurementAnswer]:
    """What was measured, by name."""
    begin = since or datetime.now(UTC) - SHOWN_BY_DEFAULT
    return seen(here, language, since=begin, station=station or None, lane=lane or None)


@router.get("/individuals", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def individuals(
    here: Here,
    language: Language,
    measurement: Annotated[str, Query(min_length=1, max_length=100)],
    rules: Preset = "nelson_1_2",
    station: Annotated[str | None, Query(max_length=100)] = None,
    lane: Annotated[str | None, Query(max_length=100)] = None,
    since: Annotated[AwareDatetime | None, Query(description="default: 3 days")] = None,
) -> IndividualsAnswer:
    """Single values and moving ranges of the newest units, at most 2500."""
    begin = since or datetime.now(UTC) - SHOWN_BY_DEFAULT
    return individuals_of(
        here, language, measurement, preset=rules, since=begin, station=station or None, lane=lane or None
    )


def seen(
    here: Serving, language: str, *, since: datetime, station: str | None, lane: str | None
) -> list[MeasurementAnswer]:
    return [
        MeasurementAnswer(
            name=one.name, title=quantity_name(language, one.name), unit=one.unit, values=one.values
        )
        for one in measurements_seen(here.store, since=since, station=station, lane=lane)
    ]


def individuals_of(
    here: Serving,
    language: str,
    measurement: str,
    *,
    preset: Preset,
    since: datetime,
    station: str | None,
    lane: str | None,
) -> IndividualsAnswer:
    """Raises SpcError where there are too few values for a chart."""
    values = measured_values(here.store, measurement, since=since, station=station, lane=lane)
    stages = [one.stage for one in values]
    pair = individuals_chart([one.value for one in values], stages=stages, rules=PRESETS[preset])
    assert pair.spread is not None
    # About each stage's own centre: a step between stages is no likeness of neighbours.
    off_centre = pair.location.value - pair.location.centre
    near = autocorrelation(off_centre) if len(values) >= FEWEST_FOR_AUTOCORRELATION else None
    return IndividualsAnswer(
        measurement=MeasurementAnswer(
            name=measurement,
            title=quantity_name(language, measurement),
            unit=values[0].unit,
            values=len(values),
        ),
        preset=preset,
        method=pair.location.method,
        location=_chart(pair.location, values, preset, language),
        spread=_chart(pair.spread, values, preset, language),
        stages=list(dict.fromkeys(stages)),
        lag_1=near.lag_1 if near is not None and near.is_shown else None,
    )


def inspection_url(id: UUID) -> str:
    return f"/inspection/{id}"


def _chart(
    chart: ControlChart, values: tuple[MeasuredValue, ...], preset: Preset, language: str
) -> MeasuredChart:
    number = {rule.name: place for place, rule in enumerate(PRESETS[preset], start=1)}
    return MeasuredChart(
        statistic=chart.statistic,
        points=[
            MeasuredPoint(
                at=one.at,
                label=f"{one.at.astimezone():%Y-%m-%d %H:%M:%S}",
                value=_number(chart.value[index]),
                centre=_number(chart.centre[index]),
                lower=_number(chart.lower[index]),
                upper=_number(chart.upper[index]),
                stage=one.stage,
                simulated=one.simulated,
                url=inspection_url(one.id),
            )
            for index, one in enumerate(values)
        ],
        rules=[
            RuleAnswer(rule=rule, number=number[rule], text=say(f"spc.rule.{rule}", language))
            for rule in chart.rules
        ],
        signals=[
            MeasuredSignal(
                rule=signal.rule,
                number=number[signal.rule],
                text=say(f"spc.rule.{signal.rule}", language),
                index=signal.index,
                members=list(signal.members),
                side=signal.side,
            )
            for signal in chart.signals
        ],
    )


def _number(value: float) -> float | None:
    return None if isnan(value) else float(value)
