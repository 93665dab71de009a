"""What refused units have in common, and where on their surface defects lie: association, maps, marks of rolls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from math import floor, isfinite, log10, pi
from typing import Annotated, Literal
from uuid import UUID

import numpy as np
from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel

from services.api.serving import Here, Language, Moment, OnRecord
from services.api.spc import downloaded, table_file
from services.chart_files import Format, Table
from services.map_files import as_map_file
from services.problems import problems
from services.text import say
from services.web.rendering import kind_colour, kind_name, lane_name
from traceability.factors import MOST_DEFECTS, Met, counted_since, marked_coils, places, rolls_used, units_met
from traceability.spc.causes import (
    Branch,
    Factor,
    associated_with_met,
    change_points,
    events_near,
    shallow_tree,
)
from traceability.spc.maps import clustering, heat_map, zone_shares

router = APIRouter(prefix="/spc", tags=["statistics"])

LOOKS_BACK = timedelta(days=3)

MOST_SHOWN = 60

ROLL_TOLERANCE = 0.01
"""Relative: strip grows longer behind the roll that marked it."""

LEAST_FOR_CLUSTERING = 10

LEAST_HOURS = 6

MOST_EVENTS = 8

NEARLY_ALL = 0.9
"""Of the units must have a process parameter that the tree looks at."""

SHUFFLES = 199

Name = Annotated[str | None, Query(max_length=100)]
Since = Annotated[Moment | None, Query(description="default: 3 days")]


class FactorAnswer(BaseModel):
    """A level of a category beside all units that did not meet it: associated with, never caused by.

    `odds_ratio` and `interval`  Fisher's, exact, 95 %; None where it is infinite
    `p_adjusted`                 over all levels, by Benjamini and Hochberg: of those shown as `is_shown`, about one in
                                 twenty is chance
    `within_*`                   the same within recipe and model only (Mantel and Haenszel)
    """

    category: str
    level: str
    bad: int
    units: int
    bad_elsewhere: int
    units_elsewhere: int
    odds_ratio: float | None
    interval: tuple[float | None, float | None]
    p: float
    p_adjusted: float
    is_shown: bool
    within_odds_ratio: float | None
    within_interval: tuple[float, float] | None
    within_p: float | None

    @staticmethod
    def of(found: Factor) -> FactorAnswer:
        inside = found.within_strata
        return FactorAnswer(
            category=found.category,
            level=found.level,
            bad=found.bad,
            units=found.units,
            bad_elsewhere=found.bad_elsewhere,
            units_elsewhere=found.units_elsewhere,
            odds_ratio=_finite(found.odds_ratio),
            interval=(_finite(found.interval[0]), _finite(found.interval[1])),
            p=found.p,
            p_adjusted=found.p_adjusted,
            is_shown=found.is_shown,
            within_odds_ratio=None if inside is None else _finite(inside.common_odds_ratio),
            within_interval=None
            if inside is None or not all(isfinite(bound) for bound in inside.interval)
            else inside.interval,
            within_p=None if inside is None else _finite(inside.p),
        )


class EventAnswer(BaseModel):
    """What units began, or ceased, to meet near a change; `hours` after it, negative before."""

    category: str
    level: str
    is_begin: bool
    hours: int


class ChangeAnswer(BaseModel):
    """Where the share of bad units changed: binomial, p by permutation of the hours. Events nearest first."""

    at: datetime
    before: float
    after: float
    p: float
    events: list[EventAnswer]


class BranchAnswer(BaseModel):
    """Where bad units are dense among process parameters. `rule` is how a branch was reached; empty for all units."""

    rule: str
    n: int
    bad: int
    branches: list[BranchAnswer]

    @staticmethod
    def of(branch: Branch) -> BranchAnswer:
        return BranchAnswer(
            rule=branch.rule,
            n=branch.n,
            bad=branch.defects,
            branches=[BranchAnswer.of(one) for one in branch.branches],
        )


class CausesAnswer(BaseModel):
    """The levels of smallest adjusted p, at most 60 of the `looked_at`.

    `tree`        of the process parameters that nearly all units have; None where there are none, or nothing splits
    `chance_best` of 199 shuffles of which units are bad, the share in which some level had as small a p as the first
                  here: a check of all the adjusted p together
    """

    since: datetime
    units: int
    bad: int
    looked_at: int
    factors: list[FactorAnswer]
    changes: list[ChangeAnswer]
    tree: BranchAnswer | None
    chance_best: float | None


class KindAnswer(BaseModel):
    kind: str
    name: str
    colour: str
    defects: int


class ZoneAnswer(BaseModel):
    """A strip of the surface across: share of all defects, and rate per m² over the mean rate."""

    zone: str
    count: int
    share: float
    interval: tuple[float, float]
    relative: float


class MarkAnswer(BaseModel):
    """A mark that came again: the roll of the nearest diameter within 1 %, or None."""

    unit: str
    inspection: UUID
    at: datetime
    kind: str
    name: str
    x_mm: float
    period_mm: float
    period_error_mm: float
    diameter_mm: float
    roll: str | None
    roll_diameter_mm: float | None
    hits: int
    missed: int


Empty = Literal["no_units", "no_defects", "none_of_kind", "no_places"]


class PositionsAnswer(BaseModel):
    """Where defects lie, mm of the unit's own surface: along is y. One entry per defect in each list.

    `kind` is the place in `kinds`; `left_out` says that there are more than the 200 000 shown; `empty` why there is no
    map: no unit was inspected, none had a defect (of the kind asked for), or none of them has a place in mm
    """

    since: datetime
    extent: tuple[float, float, float, float] | None
    x_mm: list[float]
    y_mm: list[float]
    kind: list[int]
    inspection: list[str]
    kinds: list[KindAnswer]
    left_out: bool
    zones: list[ZoneAnswer]
    heat: list[list[int]]
    clustered: float | None
    clustering_p: float | None
    marks: list[MarkAnswer]
    empty: Empty | None
    units: int | None
    """Inspected in that time, where there is no map."""


@router.get("/causes", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def causes(
    here: Here, station: Name = None, lane: Name = None, kind: Name = None, since: Since = None
) -> CausesAnswer:
    """What refused units (or those with a defect of this kind) met more or less often than the others."""
    return causes_of(
        here,
        station=station or None,
        lane=lane or None,
        kind=kind or None,
        since=since or datetime.now(UTC) - LOOKS_BACK,
    )


def causes_of(
    here: OnRecord, *, station: str | None, lane: str | None, kind: str | None, since: datetime
) -> CausesAnswer:
    """Raises TooFewValues where fewer than two units were judged."""
    units = units_met(here.store, since=since, station=station, lane=lane, kind=kind)
    found = associated_with_met(
        [(one.is_bad, one.factors) for one in units], strata=[one.stage for one in units]
    )
    return CausesAnswer(
        since=since,
        units=len(units),
        bad=sum(one.is_bad for one in units),
        looked_at=len(found),
        factors=[FactorAnswer.of(one) for one in found[:MOST_SHOWN]],
        changes=_changes(units),
        tree=_tree(units),
        chance_best=_chance_of_the_best(units),
    )


def _changes(units: Sequence[Met]) -> list[ChangeAnswer]:
    """Hour by hour, with what units began or ceased to meet within two hours of each change."""
    by_hour: dict[datetime, list[Met]] = {}
    for one in units:
        by_hour.setdefault(one.at.replace(minute=0, second=0, microsecond=0), []).append(one)
    hours = sorted(by_hour)
    if len(hours) < LEAST_HOURS:
        return []
    found = change_points(
        [sum(one.is_bad for one in by_hour[hour]) for hour in hours],
        [len(by_hour[hour]) for hour in hours],
        kind="binomial",
        permutations=199,
    )
    seen: dict[tuple[str, str], list[int]] = {}
    for place, hour in enumerate(hours):
        for factor in frozenset().union(*{one.factors for one in by_hour[hour]}):
            seen.setdefault(factor, []).append(place)
    events = [
        (at, f"{moment}/{category}/{level}")
        for (category, level), places_met in sorted(seen.items())
        for moment, at in (("begin", places_met[0]), ("end", places_met[-1] + 1))
        # What was there from the first hour, or still is in the last, neither came nor went.
        if category != "shift" and 0 < at < len(hours)
    ]
    answers = []
    for change in found:
        near = []
        for event in events_near(change, events, within_points=2)[:MOST_EVENTS]:
            moment, category, level = event.name.split("/", 2)
            near.append(
                EventAnswer(category=category, level=level, is_begin=moment == "begin", hours=event.lag)
            )
        answers.append(
            ChangeAnswer(
                at=hours[change.before],
                before=change.level_before,
                after=change.level_after,
                p=change.p,
                events=near,
            )
        )
    return answers


def _tree(units: Sequence[Met]) -> BranchAnswer | None:
    names = [
        name
        for name in sorted({name for one in units for name in one.parameters})
        if sum(name in one.parameters for one in units) >= NEARLY_ALL * len(units)
    ]
    told = [one for one in units if all(name in one.parameters for name in names)]
    if not names or not told:
        return None
    grown = shallow_tree(
        [float(one.is_bad) for one in told], {name: [one.parameters[name] for one in told] for name in names}
    )
    return BranchAnswer.of(grown) if grown.branches else None


def _chance_of_the_best(units: Sequence[Met]) -> float | None:
    """Westfall and Young's question about the strongest level, by the difference of its share to what is expected."""
    bad = np.array([one.is_bad for one in units], np.float64)
    every = sorted(frozenset().union(*{one.factors for one in units}))
    if not 0 < bad.sum() < bad.size or not every:
        return None
    place = {factor: column for column, factor in enumerate(every)}
    alike = {factors: row for row, factors in enumerate(dict.fromkeys(one.factors for one in units))}
    of_alike = np.zeros((len(alike), len(every)))
    for factors, row in alike.items():
        of_alike[row, [place[factor] for factor in factors]] = 1
    met = of_alike[[alike[one.factors] for one in units]]
    sizes = met.sum(axis=0)
    met = met[:, (sizes > 0) & (sizes < bad.size)]
    if not met.shape[1]:
        return None
    sizes = met.sum(axis=0)
    share = bad.mean()
    # Hypergeometric: the spread of the bad ones among those who met a level, were they dealt at random.
    spread = np.sqrt(sizes * share * (1 - share) * (bad.size - sizes) / max(bad.size - 1, 1))

    def best(of: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        return float(np.max(np.abs(of @ met - sizes * share) / spread))

    reached, random = best(bad), np.random.default_rng(1)
    beaten = sum(best(random.permutation(bad)) >= reached - 1e-9 for _ in range(SHUFFLES))
    return (beaten + 1) / (SHUFFLES + 1)


@router.get("/causes/file", response_class=Response, responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def causes_file(
    here: Here,
    language: Language,
    station: Name = None,
    lane: Name = None,
    kind: Name = None,
    since: Since = None,
    format: Format = "pdf",
) -> Response:
    """The same as a file: CSV, XLSX, or PDF for A4."""
    found = causes_of(
        here,
        station=station or None,
        lane=lane or None,
        kind=kind or None,
        since=since or datetime.now(UTC) - LOOKS_BACK,
    )
    return table_file(
        causes_table(found, language), format, "causes", station=here.station, language=language
    )


def causes_table(found: CausesAnswer, language: str) -> Table:
    headings = ("what", "with_it", "without", "odds", "interval", "p", "q", "within")
    return Table(
        title=say("web.spc.causes", language),
        notes=(
            say("web.causes.basis", language, bad=found.bad, units=found.units, looked=found.looked_at),
            say("web.causes.read", language),
        ),
        headings=tuple(say(f"web.causes.{key}", language) for key in headings),
        rows=tuple(
            (
                f"{say(f'web.factor.{one.category}', language)} {one.level}" + (" ◆" if one.is_shown else ""),
                f"{one.bad} / {one.units}",
                f"{one.bad_elsewhere} / {one.units_elsewhere}",
                None if one.odds_ratio is None else round(one.odds_ratio, 3),
                " … ".join("∞" if bound is None else f"{bound:.3g}" for bound in one.interval),
                round(one.p, 5),
                round(one.p_adjusted, 5),
                None if one.within_odds_ratio is None else round(one.within_odds_ratio, 3),
            )
            for one in found.factors
        ),
    )


@router.get("/positions/file", response_class=Response, responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def positions_file(
    here: Here,
    language: Language,
    lane: Annotated[str, Query(min_length=1, max_length=100)],
    station: Name = None,
    kind: Name = None,
    since: Since = None,
    format: Format = "pdf",
) -> Response:
    """The map as a file: CSV with a line for each defect, XLSX with zones, grid and defects, or PDF for A4 with the map
    drawn."""
    found = positions_of(
        here,
        language,
        lane=lane,
        station=station or None,
        kind=kind or None,
        since=since or datetime.now(UTC) - LOOKS_BACK,
    )
    empty = empty_said(
        found,
        language,
        lane=lane_name(here.lane_titles, language, lane),
        kind=kind_name(here.catalogue, language, kind) if kind else None,
    )
    zones = positions_table(found, language, *(empty or ()))
    return downloaded(
        as_map_file(found, zones, format, station=here.station, language=language), format, "maps"
    )


def positions_table(found: PositionsAnswer, language: str, *notes: str) -> Table:
    headings = ("maps.across", "spc.defects", "maps.share", "maps.interval", "maps.relative")
    return Table(
        title=say("web.maps.zones", language),
        notes=(
            say("web.maps.basis", language, defects=len(found.x_mm)),
            *notes,
            *(
                f"{one.roll or '–'}: {one.period_mm:.1f} ± {one.period_error_mm:.1f} mm, {one.name}, {one.unit}"
                for one in found.marks[:MOST_SHOWN]
            ),
        ),
        headings=tuple(say(f"web.{key}", language) for key in headings),
        rows=tuple(
            (
                one.zone,
                one.count,
                round(one.share, 5),
                f"{one.interval[0]:.4f} … {one.interval[1]:.4f}",
                round(one.relative, 4),
            )
            for one in found.zones
        ),
        bar=1,
    )


@router.get("/positions", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def positions(
    here: Here,
    language: Language,
    lane: Annotated[str, Query(min_length=1, max_length=100)],
    station: Name = None,
    kind: Name = None,
    since: Since = None,
) -> PositionsAnswer:
    """Where the defects of a lane's units lie, in zones and in a grid, and the marks that rolls left."""
    return positions_of(
        here,
        language,
        lane=lane,
        station=station or None,
        kind=kind or None,
        since=since or datetime.now(UTC) - LOOKS_BACK,
    )


ZONES = 5
PLACES_SHOWN = 1
"""Decimals of a place in mm, at least; of small parts a thousandth of their shorter side."""
GRID = (24, 12)


def positions_of(
    here: OnRecord, language: str, *, lane: str, station: str | None, kind: str | None, since: datetime
) -> PositionsAnswer:
    found = places(here.store, since=since, station=station, lane=lane, kind=kind, limit=MOST_DEFECTS)
    kinds = sorted({one.kind for one in found})
    number = {name: index for index, name in enumerate(kinds)}
    x = [(one.box_mm.x1 + one.box_mm.x2) / 2 for one in found]
    y = [(one.box_mm.y1 + one.box_mm.y2) / 2 for one in found]
    extent = None
    if found:
        extent = (
            min(0.0, *(one.box_mm.x1 for one in found)),
            min(0.0, *(one.box_mm.y1 for one in found)),
            max(one.box_mm.x2 for one in found),
            max(one.box_mm.y2 for one in found),
        )
    has_area = extent is not None and extent[0] < extent[2] and extent[1] < extent[3]
    zones, heat = [], []
    shown = PLACES_SHOWN
    clustered = clustering_p = None
    if extent is not None and has_area:
        wide = (extent[2] - extent[0]) / ZONES
        shown = max(shown, _decimals(min(extent[2] - extent[0], extent[3] - extent[1]), digits=4))
        named = _decimals(wide, digits=2)
        counted = [0] * ZONES
        for at in x:
            counted[min(ZONES - 1, int((at - extent[0]) / wide))] += 1
        names = [
            f"{extent[0] + n * wide:.{named}f}–{extent[0] + (n + 1) * wide:.{named}f} mm"
            for n in range(ZONES)
        ]
        zones = [
            ZoneAnswer(
                zone=one.zone,
                count=one.count,
                share=one.share,
                interval=one.interval,
                relative=one.relative,
            )
            for one in zone_shares(names, counted, [1.0] * ZONES)
        ]
        heat = (
            heat_map(y, x, extent=(extent[1], extent[0], extent[3], extent[2]), bins=GRID)
            .astype(int)
            .tolist()
        )
        if len(found) >= LEAST_FOR_CLUSTERING:
            test = clustering([*zip(x, y, strict=True)], extent=extent)
            clustered, clustering_p = test.clark_evans, test.clark_evans_p
    counts = {name: sum(one.kind == name for one in found) for name in kinds}
    empty, units = (
        (None, None) if has_area else _why_empty(here, since=since, station=station, lane=lane, kind=kind)
    )
    return PositionsAnswer(
        since=since,
        # Defects that all lie on one line, at 0, are no area to draw on.
        extent=extent if has_area else None,
        # Drawn as fine as anybody sees: 200 000 places of all their digits would be twice as many bytes.
        x_mm=[round(at, shown) for at in x],
        y_mm=[round(at, shown) for at in y],
        kind=[number[one.kind] for one in found],
        inspection=[str(one.inspection) for one in found],
        kinds=[
            KindAnswer(
                kind=name,
                name=kind_name(here.catalogue, language, name),
                colour=kind_colour(here.catalogue, name),
                defects=counts[name],
            )
            for name in kinds
        ],
        left_out=len(found) == MOST_DEFECTS,
        zones=zones,
        heat=heat,
        clustered=clustered,
        clustering_p=clustering_p,
        marks=_marks(here, language, station=station, lane=lane, since=since),
        empty=empty,
        units=units,
    )


def _decimals(length_mm: float, *, digits: int) -> int:
    """With so many, a length is told by that many digits: of 4 mm by four digits, 3."""
    return max(0, digits - 1 - floor(log10(length_mm)))


def _why_empty(
    here: OnRecord, *, since: datetime, station: str | None, lane: str, kind: str | None
) -> tuple[Empty, int]:
    units, defects = counted_since(here.store, since=since, station=station, lane=lane, kind=kind)
    if not units:
        return "no_units", 0
    if defects:
        return "no_places", units
    return ("no_defects" if kind is None else "none_of_kind"), units


def empty_said(
    found: PositionsAnswer, language: str, *, lane: str, kind: str | None = None
) -> tuple[str, str] | None:
    """What there is none of, and what to do; None where there is a map. `lane` and `kind` by the names people read."""
    if found.empty is None:
        return None
    given = {
        "lane": lane,
        "kind": kind,
        "units": f"{found.units or 0:,}",
        "since": f"{found.since.astimezone():%Y-%m-%d %H:%M}",
    }
    return (
        say(f"web.maps.empty.{found.empty}.what", language, **given),
        say(f"web.maps.empty.{found.empty}.action", language, **given),
    )


def _marks(
    here: OnRecord, language: str, *, station: str | None, lane: str, since: datetime
) -> list[MarkAnswer]:
    rolls = rolls_used(here.store, since=since)
    marks = []
    for coil in marked_coils(here.store, since=since, station=station, lane=lane):
        for repeat in coil.strip.repeats:
            diameter = repeat.period_mm / pi
            near = [(abs(size - diameter), roll) for roll, size in rolls.items()]
            off, roll = min(near, default=(0.0, None))
            if roll is not None and off > ROLL_TOLERANCE * rolls[roll]:
                roll = None
            marks.append(
                MarkAnswer(
                    unit=coil.unit,
                    inspection=coil.inspection,
                    at=coil.finished_at,
                    kind=repeat.kind,
                    name=kind_name(here.catalogue, language, repeat.kind),
                    x_mm=repeat.x_mm,
                    period_mm=repeat.period_mm,
                    period_error_mm=repeat.period_error_mm,
                    diameter_mm=diameter,
                    roll=roll,
                    roll_diameter_mm=None if roll is None else rolls[roll],
                    hits=repeat.hits,
                    missed=repeat.missed,
                )
            )
    return marks


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
