"""Control charts and Pareto: computed here, so that page, print and program show the same numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from math import isnan
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel

from services.api.answers import CodeAnswer, VerdictName, verdict_name
from services.api.serving import Here, Language, Serving
from services.problems import problems
from services.text import say
from services.web.rendering import kind_colour, kind_name, subgroup_url
from station_config.catalogue import Catalogue
from traceability import samples
from traceability.samples import KindCount, UnitSeen
from traceability.spc.attributes import CountChart, Method, p_chart
from traceability.spc.rules import NELSON, Side

# What a chart shows when nobody says since when: about as many points as can be told apart.
SHOWN_BY_DEFAULT = {"hour": timedelta(days=3), "shift": timedelta(days=30)}

# A rule's number on the chart: Nelson's, which is what the trade calls them by.
RULE_NUMBER = {rule.name: number for number, rule in enumerate(NELSON, start=1)}

router = APIRouter(prefix="/spc", tags=["statistics"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which units a chart is about, and how they are grouped."""

    by: samples.By
    station: str | None
    lane: str | None
    since: datetime
    until: datetime | None


def selection(
    by: Annotated[samples.By, Query(description="subgroup")] = "hour",
    station: Annotated[str | None, Query(max_length=100)] = None,
    lane: Annotated[str | None, Query(max_length=100)] = None,
    since: Annotated[AwareDatetime | None, Query(description="default: 3 days, or 30 by shift")] = None,
    until: Annotated[AwareDatetime | None, Query(description="default: now")] = None,
) -> Selection:
    end = until or datetime.now(UTC)
    return Selection(
        by=by,
        station=station or None,
        lane=lane or None,
        since=since or end - SHOWN_BY_DEFAULT[by],
        until=until,
    )


Selected = Annotated[Selection, Depends(selection)]


class PointAnswer(BaseModel):
    """One subgroup. `value`, `lower` and `upper` are shares of refused units; None where none was judged.

    `opportunity` counts judged units; `simulated` is how many of all its units come from a demo's history.
    """

    key: str
    label: str
    at: datetime
    count: int
    opportunity: int
    review: int
    not_inspected: int
    simulated: int
    value: float | None
    lower: float | None
    upper: float | None
    url: str


class SignalAnswer(BaseModel):
    """`index` is that of the point which completes the pattern, `members` are all points that make it."""

    rule: str
    number: int
    text: str
    index: int
    key: str
    members: list[int]
    side: Side


class BaselineAnswer(BaseModel):
    """`is_provisional`: estimated from fewer subgroups than limits should be."""

    centre: float
    sigma_z: float
    subgroups: int
    is_frozen: bool
    is_provisional: bool


class DispersionAnswer(BaseModel):
    """Chi-square test of the counts against chance alone."""

    statistic: float
    degrees: int
    p_value: float


class RuleAnswer(BaseModel):
    rule: str
    number: int
    text: str


class ChartAnswer(BaseModel):
    """A p chart of refused units, ready to be drawn: nothing is left to compute."""

    chart: Literal["p"] = "p"
    method: Method
    method_text: str
    by: samples.By
    since: datetime
    baseline: BaselineAnswer
    dispersion: DispersionAnswer | None
    points: list[PointAnswer]
    rules: list[RuleAnswer]
    signals: list[SignalAnswer]

    @property
    def simulated(self) -> int:
        return sum(point.simulated for point in self.points)

    @property
    def units(self) -> int:
        return sum(point.opportunity + point.not_inspected for point in self.points)


class ParetoBarAnswer(BaseModel):
    """Shares are of all defects, 0..1; `units` had at least one of the kind."""

    kind: str
    name: str
    colour: str
    defects: int
    units: int
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
            share=bar.share,
            cumulative_share=bar.cumulative_share,
        )


class ParetoAnswer(BaseModel):
    since: datetime
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
    """p chart of refused units by hour or shift, with three-sigma limits and the run rules' signals."""
    return chart_of(here, language, selected)


@router.get("/pareto", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def pareto(here: Here, language: Language, selected: Selected) -> ParetoAnswer:
    """All defects of the same units by kind, the most frequent first."""
    bars = samples.pareto(
        here.store,
        since=selected.since,
        until=selected.until,
        station=selected.station,
        lane=selected.lane,
    )
    return ParetoAnswer(
        since=selected.since, bars=[ParetoBarAnswer.of(bar, here.catalogue, language) for bar in bars]
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


def chart_of(here: Serving, language: str, selected: Selection) -> ChartAnswer:
    """Raises TooFewSubgroups and TooManySubgroups."""
    chart = p_chart(
        samples.rejected_samples(
            here.store,
            by=selected.by,
            since=selected.since,
            until=selected.until,
            station=selected.station,
            lane=selected.lane,
        )
    )
    return ChartAnswer(
        method=chart.baseline.method,
        method_text=say(f"spc.method.{chart.baseline.method}", language),
        by=selected.by,
        since=selected.since,
        baseline=BaselineAnswer(
            centre=chart.centre,
            sigma_z=chart.baseline.sigma_z,
            subgroups=chart.baseline.subgroups,
            is_frozen=chart.is_frozen,
            is_provisional=chart.baseline.is_provisional,
        ),
        dispersion=None
        if chart.dispersion is None
        else DispersionAnswer(
            statistic=chart.dispersion.statistic,
            degrees=chart.dispersion.degrees,
            p_value=chart.dispersion.p_value,
        ),
        points=[_point(chart, index, selected) for index in range(len(chart.samples))],
        rules=[
            RuleAnswer(rule=rule, number=RULE_NUMBER[rule], text=say(f"spc.rule.{rule}", language))
            for rule in chart.rules
        ],
        signals=[
            SignalAnswer(
                rule=signal.rule,
                number=RULE_NUMBER[signal.rule],
                text=say(f"spc.rule.{signal.rule}", language),
                index=signal.index,
                key=chart.samples[signal.index].key,
                members=list(signal.members),
                side=signal.side,
            )
            for signal in chart.signals
        ],
    )


def _point(chart: CountChart, index: int, selected: Selection) -> PointAnswer:
    sample = chart.samples[index]
    return PointAnswer(
        key=sample.key,
        label=sample.label,
        at=sample.at,
        count=sample.count,
        opportunity=sample.opportunity,
        review=sample.review,
        not_inspected=sample.not_inspected,
        simulated=sample.simulated,
        value=_number(chart.value[index]),
        lower=_number(chart.lower[index]),
        upper=_number(chart.upper[index]),
        url=subgroup_url(sample.key, station=selected.station, lane=selected.lane),
    )


def _number(value: float) -> float | None:
    return None if isnan(value) else float(value)
