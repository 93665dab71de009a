"""The pages of charts: pick what is charted, see it, decide about it, and follow a point to its units."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Literal, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.access import Caller, Right, SignedIn, Who
from services.api.capability import CapabilityAnswer, NamingName, Wanted, facts, report_of
from services.api.causes import CausesAnswer, causes_of, positions_of
from services.api.charts import ChartAnswer, Preset, Stages
from services.api.inspector import InspectorAnswer, inspector_of
from services.api.measured import (
    Asked,
    IndividualsAnswer,
    Measured,
    decide_individuals,
    individuals_of,
    seen,
)
from services.api.serving import Here, Language, Serving
from services.api.spc import EntrySaid, Selected, Selection, ShiftStart, chart_of, decide_p, selection
from services.api.studies import Reader, StudyAnswer, StudyName, readings_of
from services.problems import status_of
from services.text import Explanation, explain, say
from services.web.rendering import page
from traceability import gauge_studies, samples
from traceability.chart_book import Entry
from traceability.errors import SpcError
from traceability.samples import Shifts

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

# A subgroup of full inspection holds thousands of units; what was withheld comes first.
MOST_UNITS = 500

Period = Literal["1", "3", "7", "30"]
PERIODS: tuple[Period, ...] = ("1", "3", "7", "30")
"""Days a chart looks back."""

Name = Annotated[str, Query(max_length=100)]

CHART_WORDS = (
    "value",
    "upper",
    "lower",
    "centre",
    "limits",
    "review",
    "not_inspected",
    "simulated",
    "signal",
    "open",
    "open_unit",
    "stage",
    "excluded",
    "defects",
    "units",
    "cumulative",
    "pareto_none",
)
"""What the drawn charts say by themselves."""


def chart_texts(language: str, *, value: str = "value") -> dict[str, str]:
    words = {word: say(f"web.spc.{word}", language) for word in CHART_WORDS}
    return words | {"value": say(f"web.spc.{value}", language)}


def station_of(here: Serving, station: str) -> str:
    """Pictures inspected from files lie in the same database and are no part of this station's process."""
    return station or (here.station if here.live is not None else "")


def rights_over_charts(who: Caller | None) -> dict[str, bool]:
    return {
        "may_decide": who is not None and who.may(Right.DISPOSE),
        "may_comment": who is not None and who.may(Right.OPERATE),
    }


def lanes_of(here: Serving) -> list[str]:
    """Those that have been heard of; before any was, those the station is to have."""
    return [known.lane for known in here.lanes()] or list(here.lane_titles)


@router.get("/spc")
def spc(
    request: Request,
    here: Here,
    language: Language,
    who: Who,
    by: samples.By = "hour",
    days: Period = "3",
    lane: Name = "",
    station: Name = "",
    kind: Name = "",
    stage: Annotated[str, Query(max_length=500)] = "",
    shift: ShiftStart = "",
    stages: Stages = "by_change",
    rules: Preset = "nelson_1_2",
) -> Response:
    """The p chart of refused units and the Pareto beside it; every point leads to its subgroup."""
    station = station_of(here, station)
    since = datetime.now(UTC) - timedelta(days=int(days))
    asked: dict[str, object] = {
        "by": by,
        "lane": lane,
        "station": station,
        "kind": kind,
        "stage": stage,
        "shift": shift,
        "stages": stages,
        "rules": rules,
    }
    chart: ChartAnswer | None = None
    problem: Explanation | None = None
    try:
        selected: Selection = selection(
            by=by,
            station=station,
            lane=lane,
            since=since,
            until=None,
            kind=kind,
            stage=stage,
            shift=shift,
            stages=stages,
            rules=rules,
        )
        chart = chart_of(here, language, selected)
    except SpcError as error:
        problem = explain(error, language)
    query = urlencode(asked | {"since": f"{since:%Y-%m-%dT%H:%M:%SZ}"})
    return page(
        request,
        "_spc.html" if request.headers.get("hx-request") else "spc.html",
        asked=asked,
        days=days,
        station_chosen=station,
        lanes=lanes_of(here),
        periods=PERIODS,
        presets=get_args(Preset),
        kinds=samples.kinds_seen(here.store, since=since, station=station or None, lane=lane or None),
        all_stages=samples.stages_seen(here.store, since=since, station=station or None, lane=lane or None),
        shifts=[f"{start:%H:%M}" for start in Shifts().starts],
        chart_texts=chart_texts(language, value="share"),
        query=query,
        enter_url=f"/spc/p/entries?{query}",
        back=f"{request.url.path}?{request.url.query}",
        chart=chart,
        problem=problem,
        **rights_over_charts(who),
    )


@router.get("/spc/measured")
def measured_page(
    request: Request,
    here: Here,
    language: Language,
    who: Who,
    measurement: Name = "",
    rules: Preset = "nelson_1_2",
    stages: Stages = "by_change",
    days: Period = "3",
    lane: Name = "",
) -> Response:
    """What was measured, unit by unit: single values, moving ranges, and the stages between them."""
    station = station_of(here, "") or None
    since = datetime.now(UTC) - timedelta(days=int(days))
    names = seen(here, language, since=since, station=station, lane=lane or None)
    chosen = measurement or (names[0].name if names else "")
    chart: IndividualsAnswer | None = None
    problem: Explanation | None = None
    if chosen:
        asked = Measured(
            measurement=chosen, since=since, station=station, lane=lane or None, rules=rules, stages=stages
        )
        try:
            chart = individuals_of(here, language, asked)
        except SpcError as error:
            problem = explain(error, language)
    query = urlencode(
        {
            "measurement": chosen,
            "rules": rules,
            "stages": stages,
            "station": station or "",
            "lane": lane,
            "since": f"{since:%Y-%m-%dT%H:%M:%SZ}",
        }
    )
    return page(
        request,
        "spc_measured.html",
        measurements=names,
        chosen=chosen,
        presets=get_args(Preset),
        preset=rules,
        stages=stages,
        days=days,
        periods=PERIODS,
        lane=lane,
        lanes=lanes_of(here),
        chart=chart,
        problem=problem,
        query=query,
        enter_url=f"/spc/individuals/entries?{query}",
        back=f"{request.url.path}?{request.url.query}",
        chart_texts=chart_texts(language),
        **rights_over_charts(who),
    )


@router.get("/spc/causes")
def causes_page(
    request: Request,
    here: Here,
    language: Language,
    days: Period = "3",
    lane: Name = "",
    kind: Name = "",
) -> Response:
    """What refused units have in common: odds ratios with intervals, adjusted for many looks."""
    station = station_of(here, "") or None
    since = datetime.now(UTC) - timedelta(days=int(days))
    found: CausesAnswer | None = None
    problem: Explanation | None = None
    try:
        found = causes_of(here, station=station, lane=lane or None, kind=kind or None, since=since)
    except SpcError as error:
        problem = explain(error, language)
    return page(
        request,
        "spc_causes.html",
        found=found,
        problem=problem,
        days=days,
        periods=PERIODS,
        lane=lane,
        lanes=lanes_of(here),
        kind=kind,
        kinds=samples.kinds_seen(here.store, since=since, station=station, lane=lane or None),
    )


@router.get("/spc/maps")
def maps_page(
    request: Request,
    here: Here,
    language: Language,
    days: Period = "3",
    lane: Name = "",
    kind: Name = "",
) -> Response:
    """Where defects lie on strip or part, and the rolls whose marks came again."""
    station = station_of(here, "") or None
    lanes = lanes_of(here)
    chosen = lane or (lanes[0] if lanes else "")
    since = datetime.now(UTC) - timedelta(days=int(days))
    found = positions_of(here, language, lane=chosen, station=station, kind=kind or None, since=since)
    query = {"lane": chosen, "station": station or "", "kind": kind, "since": f"{since:%Y-%m-%dT%H:%M:%SZ}"}
    return page(
        request,
        "spc_maps.html",
        found=found,
        most_in_a_cell=max((cell for column in found.heat for cell in column), default=0),
        query=urlencode(query),
        days=days,
        periods=PERIODS,
        lane=chosen,
        lanes=lanes,
        is_strip=chosen in here.coil_lanes,
        kind=kind,
        kinds=samples.kinds_seen(here.store, since=since, station=station, lane=chosen),
        map_texts={word: say(f"web.maps.{word}", language) for word in ("along", "across", "defects")},
    )


@router.get("/spc/inspector")
def inspector_page(
    request: Request, here: Here, language: Language, days: Period = "3", lane: Name = ""
) -> Response:
    """Did the process move, or the inspection? Its own charts, the corrected one, and what it cannot see."""
    lanes = lanes_of(here)
    chosen = lane or (lanes[-1] if lanes else "")
    found: InspectorAnswer | None = None
    problem: Explanation | None = None
    since = datetime.now(UTC) - timedelta(days=int(days))
    try:
        found = inspector_of(here, language, lane=chosen, station=station_of(here, "") or None, since=since)
    except SpcError as error:
        problem = explain(error, language)
    return page(
        request,
        "spc_inspector.html",
        found=found,
        problem=problem,
        days=days,
        periods=PERIODS,
        lane=chosen,
        lanes=lanes,
        chart_texts=chart_texts(language),
        share_texts=chart_texts(language, value="share"),
        most_in_bin=max((one.defects for one in found.blind_zone.bins), default=0)
        if found is not None and found.blind_zone is not None
        else 0,
    )


@router.get("/spc/capability")
def capability_page(
    request: Request,
    here: Here,
    language: Language,
    wanted: Wanted,
    measurement: Name = "",
    days: Period = "3",
    lane: Name = "",
) -> Response:
    """A capability report, or the gate that it does not pass."""
    station = station_of(here, "") or None
    since = datetime.now(UTC) - timedelta(days=int(days))
    names = seen(here, language, since=since, station=station, lane=lane or None)
    chosen = measurement or (names[0].name if names else "")
    asked = Measured(measurement=chosen, since=since, station=station, lane=lane or None)
    report: CapabilityAnswer | None = None
    problem: Explanation | None = None
    # Without a limit nothing was asked yet.
    if chosen and (wanted.lower is not None or wanted.upper is not None):
        try:
            report = report_of(here, language, asked, wanted)
        except SpcError as error:
            problem = explain(error, language)
    query = {
        "measurement": chosen,
        "lane": lane,
        "station": station or "",
        "since": f"{since:%Y-%m-%dT%H:%M:%SZ}",
    } | wanted.model_dump(exclude_none=True)
    return page(
        request,
        "spc_capability.html",
        report=report,
        facts=() if report is None else facts(report, language),
        most_in_bar=0 if report is None else max(bar.values for bar in report.histogram),
        problem=problem,
        wanted=wanted,
        namings=get_args(NamingName),
        measurements=names,
        chosen=chosen,
        days=days,
        periods=PERIODS,
        lane=lane,
        lanes=lanes_of(here),
        query=urlencode(query),
        chart_texts=chart_texts(language),
    )


@router.get("/spc/studies")
def studies_page(request: Request, here: Here, language: Language, who: Who) -> Response:
    """Studies of gauges, the newest first."""
    return _studies_page(request, here, who)


@router.post("/spc/studies")
def add_study(
    request: Request,
    here: Here,
    language: Language,
    caller: Reader,
    kind: Annotated[StudyName, Form()],
    characteristic: Annotated[str, Form(max_length=100)],
    model: Annotated[str, Form(max_length=200)] = "",
    readings: Annotated[str, Form(max_length=200_000)] = "",
    tolerance: Annotated[str, Form(max_length=30)] = "",
    reference: Annotated[str, Form(max_length=30)] = "",
) -> Response:
    """Keep a study whose readings were typed or pasted, one line each; with what is wrong in it, where something is."""
    try:
        given = readings_of(kind, readings, tolerance=tolerance, reference=reference)
        gauge_studies.record(
            here.store,
            kind=kind,
            characteristic=characteristic.strip(),
            model=model.strip(),
            readings=given,
            at=datetime.now(UTC),
            by=caller.person,
        )
    except SpcError as error:
        return _studies_page(
            request,
            here,
            caller,
            status=status_of(error).value,
            problem=explain(error, language),
            typed=readings,
        )
    return RedirectResponse("/spc/studies", HTTPStatus.SEE_OTHER)


def _studies_page(
    request: Request,
    here: Serving,
    who: Caller | None,
    *,
    status: int = 200,
    problem: Explanation | None = None,
    typed: str = "",
) -> Response:
    return page(
        request,
        "spc_studies.html",
        status=status,
        studies=[StudyAnswer.of(one) for one in gauge_studies.studies(here.store)],
        kinds=get_args(StudyName),
        may_record=who is not None and who.may(Right.RECORD),
        problem=problem,
        typed=typed,
    )


@router.post("/spc/p/entries")
def enter_p(
    here: Here,
    caller: SignedIn,
    language: Language,
    selected: Selected,
    kind_of: Annotated[Entry, Form()],
    reason: Annotated[str, Form(max_length=1000)] = "",
    point: Annotated[str, Form(max_length=100)] = "",
    back: Annotated[str, Form(max_length=2000)] = "/spc",
) -> Response:
    decide_p(here, caller, language, selected, _said(kind_of, reason, point))
    return _back(back)


@router.post("/spc/individuals/entries")
def enter_individuals(
    here: Here,
    caller: SignedIn,
    asked: Asked,
    kind_of: Annotated[Entry, Form()],
    reason: Annotated[str, Form(max_length=1000)] = "",
    point: Annotated[str, Form(max_length=100)] = "",
    back: Annotated[str, Form(max_length=2000)] = "/spc/measured",
) -> Response:
    decide_individuals(here, caller, asked, _said(kind_of, reason, point))
    return _back(back)


def _said(kind: Entry, reason: str, point: str) -> EntrySaid:
    # Checked where it is decided: an empty reason is refused there in words.
    return EntrySaid.model_construct(kind=kind, reason=reason, point=point or None)


def _back(back: str) -> Response:
    # An address of ours, whoever wrote the form.
    return RedirectResponse(back if back.startswith("/spc") else "/spc", HTTPStatus.SEE_OTHER)


@router.get("/spc/subgroup/{key}")
def subgroup(
    request: Request,
    here: Here,
    key: str,
    lane: Name = "",
    station: Name = "",
) -> Response:
    """The units behind one point, what was withheld most first."""
    return page(
        request,
        "subgroup.html",
        window=samples.window_of(key),
        units=samples.units_of_subgroup(
            here.store, key, station=station or None, lane=lane or None, limit=MOST_UNITS
        ),
        lane=lane,
        most_units=MOST_UNITS,
    )
