"""The pages of charts: pick what is charted, see it, decide about it, and follow a point to its units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inspection.errors import InspectionError
from services.access import Caller, Right, SignedIn, Who
from services.api.capability import (
    CapabilityAnswer,
    Limit,
    NamingName,
    Shape,
    Wanted,
    facts,
    few_said,
    report_of,
)
from services.api.cases import Disposer
from services.api.causes import CausesAnswer, causes_of, empty_said, positions_of
from services.api.changes import ChangeSaid, change_said
from services.api.charts import ChartAnswer, Preset, Stages
from services.api.choices import check_camera, check_kind, check_lane, lanes_of
from services.api.inspector import InspectorAnswer, inspector_of, is_inspectors
from services.api.measured import (
    USUAL_SIZE,
    Asked,
    Measured,
    MeasuredAnswer,
    MeasurementAnswer,
    asked_for,
    decide_measured,
    measured_of,
    seen,
)
from services.api.serving import Here, Language, Live, Serving
from services.api.spc import (
    COUNTED,
    RARE,
    CountedChart,
    EntrySaid,
    Rate,
    Selected,
    Selection,
    ShiftStart,
    chart_of,
    decide_p,
    inspection_id,
    inspection_url,
    selection,
    weighing,
)
from services.api.standing_studies import StandingSaid, answer_of, ordered
from services.api.studies import FromRecordSaid, Reader, StudyAnswer, readings_of, study_from_record
from services.measured_charts import CHARTS, OF_SEVERAL, OF_SUBGROUPS, WITH_KEPT_LIMITS, MeasuredChart
from services.problems import status_of
from services.rare_charts import EventCusumChart
from services.text import Explanation, explain, say
from services.web.language import language_of
from services.web.rendering import kind_name, lane_name, page, subgroup_url
from traceability import gauge_studies, golden_parts, samples, standing_studies
from traceability.changes import Part, changes
from traceability.chart_book import Book, ChartEntry, Entry, book_of
from traceability.errors import ChoiceUnknown, ParameterOutOfRange, SpcError
from traceability.gauge_studies import StudyKind
from traceability.golden_parts import FromRecord
from traceability.samples import Shifts
from traceability.subgroups import LARGEST, SMALLEST

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

# A subgroup of full inspection holds thousands of units; what was withheld comes first.
MOST_UNITS = 500

# Of more than this many measurements together a T² says little to anybody.
USUAL_BESIDE = 4

USUAL_RUNS = 50
"""Values of a study that the service makes by itself: what a type 1 study takes (VDA 5; AIAG asks for 25 and more)."""

Period = Literal["1", "3", "7", "30"]
FIRST_YEAR = 2000

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
WEIGHTS: tuple[samples.Weigh, ...] = get_args(samples.Weigh)
"""What the drawn charts say by themselves."""


def chart_texts(language: str, *, value: str = "value") -> dict[str, str]:
    words = {word: say(f"web.spc.{word}", language) for word in CHART_WORDS}
    words |= {word: say(f"web.pareto.{word}", language) for word in WEIGHTS}
    return words | {"value": say(f"web.spc.{value}", language)}


def station_of(here: Serving, station: str) -> str:
    """Pictures inspected from files lie in the same database and are no part of this station's process."""
    return station or (here.station if here.live is not None else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What nearly every page about charts asks for first: which lane, and how many days back."""

    here: Serving
    days: Period
    lane: str
    since: datetime

    @property
    def station(self) -> str | None:
        return station_of(self.here, "") or None

    @property
    def asked(self) -> dict[str, str]:
        """For the address of what the page draws from: `since` as it was, so that page and file show the same."""
        return {
            "lane": self.lane,
            "station": self.station or "",
            "since": f"{self.since:%Y-%m-%dT%H:%M:%SZ}",
        }

    @property
    def lanes(self) -> list[str]:
        return lanes_of(self.here)

    def of_one_lane(self, *, first: bool = False) -> Looked:
        """With the last of the station's lanes, or its first, where none was asked for."""
        lane = self.lane or (self.lanes[0 if first else -1] if self.lanes else "")
        return replace(self, lane=lane)

    def measurements(self, language: str) -> list[MeasurementAnswer]:
        return seen(self.here, language, since=self.since, station=self.station, lane=self.lane or None)

    def kinds(self) -> tuple[str, ...]:
        return samples.kinds_seen(
            self.here.store, since=self.since, station=self.station, lane=self.lane or None
        )


def looked(here: Here, language: Language, days: Period = "3", lane: Name = "") -> Looked:
    """Raises ChoiceUnknown for a lane that nobody has heard of."""
    check_lane(here, language, lane)
    return Looked(here=here, days=days, lane=lane, since=datetime.now(UTC) - timedelta(days=int(days)))


Look = Annotated[Looked, Depends(looked)]


def rights_over_charts(who: Caller | None) -> dict[str, bool]:
    return {
        "may_decide": who is not None and who.may(Right.DISPOSE),
        "may_comment": who is not None and who.may(Right.OPERATE),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A point left out of the limits, where there is no chart to show it on."""

    key: str
    label: str
    url: str
    excluded: ChartEntry


def left_out_of(book: Book, *, since: datetime, station: str | None, lane: str | None) -> list[LeftOut]:
    """The subgroups left out, the oldest first. So many may be left out that nothing is left to estimate limits from:
    only from here can they then be taken in again."""
    windows = {key: samples.window_of(key) for key in book.excluded}
    return [
        LeftOut(
            key=key,
            label=f"{window.since.astimezone():%Y-%m-%d %H:%M}",
            url=subgroup_url(key, station=station, lane=lane),
            excluded=book.excluded[key],
        )
        for key, window in sorted(windows.items())
        if window.since >= since
    ]


def units_left_out_of(here: Serving, book: Book, *, since: datetime) -> list[LeftOut]:
    """The same of points that are known by their first unit."""
    units = samples.units_named(here.store, [inspection_id(key) for key in book.excluded])
    return [
        LeftOut(
            key=str(one.id),
            label=f"{one.finished_at.astimezone():%Y-%m-%d %H:%M:%S}",
            url=inspection_url(one.id),
            excluded=book.excluded[str(one.id)],
        )
        for one in sorted(units, key=lambda one: one.finished_at)
        if one.finished_at >= since
    ]


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
    camera: Name = "",
    stages: Stages = "by_change",
    rules: Preset = "nelson_1_2",
    chart: CountedChart = "p",
    weigh: samples.Weigh = "count",
    costs: Annotated[str, Query(max_length=2000)] = "",
    in_control: Rate = None,
    to_find: Rate = None,
) -> Response:
    """The chart of what is counted and the Pareto beside it; every point leads to its subgroup, or to its unit."""
    station = station_of(here, station)
    since = datetime.now(UTC) - timedelta(days=int(days))
    if chart in RARE:
        # Chosen for the chart shown before; one of rare events knows none of them, and the page asks for none.
        stage, shift, camera = "", "", ""
    asked: dict[str, object] = {
        "by": by,
        "lane": lane,
        "station": station,
        "kind": kind,
        "stage": stage,
        "shift": shift,
        "camera": camera,
        "stages": stages,
        "rules": rules,
        "chart": chart,
        "weigh": weigh,
        "costs": costs,
        "in_control": "" if in_control is None else in_control,
        "to_find": "" if to_find is None else to_find,
    }
    found: ChartAnswer | None = None
    problem: Explanation | None = None
    left_out: list[LeftOut] = []
    cameras = samples.cameras_seen(here.store, since=since, station=station or None, lane=lane or None)
    try:
        check_lane(here, language, lane)
        check_kind(here, language, kind)
        check_camera(here, language, camera)
        selected: Selection = selection(
            by=by,
            station=station,
            lane=lane,
            since=since,
            until=None,
            kind=kind,
            stage=stage,
            shift=shift,
            camera=camera,
            stages=stages,
            rules=rules,
            chart=chart,
            in_control=in_control,
            to_find=to_find,
        )
        weighing(weigh, costs)
        book = book_of(here.store, selected.name)
        left_out = (
            units_left_out_of(here, book, since=since)
            if chart in RARE
            else left_out_of(book, since=since, station=station or None, lane=lane or None)
        )
        found = chart_of(here, language, selected)
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
        counted_charts=COUNTED,
        is_rare=chart in RARE,
        is_cusum=chart in get_args(EventCusumChart),
        is_swapped="hx-request" in request.headers,
        kinds=samples.kinds_seen(here.store, since=since, station=station or None, lane=lane or None),
        all_stages=samples.stages_seen(here.store, since=since, station=station or None, lane=lane or None),
        # One that saw no defect in this time has a chart, too.
        cameras=sorted({*cameras, camera} - {""}),
        weights=WEIGHTS,
        shifts=[f"{start:%H:%M}" for start in Shifts().starts],
        chart_texts=chart_texts(language, value="share" if chart == "p" else "value"),
        query=query,
        enter_url=f"/spc/p/entries?{query}",
        back=f"{request.url.path}?{request.url.query}",
        chart=found,
        problem=problem,
        left_out=left_out,
        may_freeze=chart not in RARE,
        **rights_over_charts(who),
    )


@router.get("/spc/measured")
def measured_page(
    request: Request,
    look: Look,
    language: Language,
    who: Who,
    measurement: Name = "",
    chart: MeasuredChart = "individuals",
    size: Annotated[int, Query(ge=SMALLEST, le=LARGEST)] = USUAL_SIZE,
    beside: Annotated[list[str] | None, Query(max_length=20)] = None,
    rules: Preset = "nelson_1_2",
    stages: Stages = "by_change",
    lower: Limit = None,
    upper: Limit = None,
    nominals: Annotated[str, Query(max_length=2000)] = "",
) -> Response:
    """What was measured: single values, subgroups, charts that remember, or several measurements together."""
    names = look.measurements(language)
    chosen = measurement or (names[0].name if names else "")
    others = [one for one in names if one.name != chosen]
    with_it = tuple(one for one in beside or () if one != chosen)
    if chart in OF_SEVERAL and not with_it:
        with_it = tuple(one.name for one in others if not is_inspectors(one.name))[:USUAL_BESIDE]
    found: MeasuredAnswer | None = None
    problem: Explanation | None = None
    left_out: list[LeftOut] = []
    if chosen:
        try:
            asked = asked_for(
                chosen,
                since=look.since,
                station=look.station,
                lane=look.lane or None,
                rules=rules,
                stages=stages,
                chart=chart,
                size=size,
                beside=list(with_it),
                lower=lower,
                upper=upper,
                nominals=nominals,
            )
            left_out = units_left_out_of(look.here, book_of(look.here.store, asked.name), since=look.since)
            found = measured_of(look.here, language, asked)
        except SpcError as error:
            problem = explain(error, language)
    given = {"lower": lower, "upper": upper, "nominals": nominals or None}
    query = urlencode(
        {"measurement": chosen, "rules": rules, "stages": stages, "chart": chart, "size": size}
        | {"beside": with_it}
        | {name: value for name, value in given.items() if value is not None}
        | look.asked,
        doseq=True,
    )
    return page(
        request,
        "spc_measured.html",
        measurements=names,
        others=others,
        chosen=chosen,
        with_it=with_it,
        charts=CHARTS,
        kind_of_chart=chart,
        has_subgroups=chart in OF_SUBGROUPS,
        is_of_several=chart in OF_SEVERAL,
        given=given,
        may_freeze=chart in WITH_KEPT_LIMITS,
        size=size,
        presets=get_args(Preset),
        preset=rules,
        stages=stages,
        found=found,
        problem=problem,
        left_out=left_out,
        wanting="beside"
        if chosen and chart in OF_SEVERAL and not with_it
        else "limits"
        if chosen and chart == "pre_control" and None in (lower, upper)
        else None,
        query=query,
        enter_url=f"/spc/measured/entries?{query}",
        back=f"{request.url.path}?{request.url.query}",
        chart_texts=chart_texts(language)
        | (
            {side: say(f"web.capability.{side}", language) for side in ("lower", "upper")}
            if chart == "pre_control"
            else {}
        ),
        look=look,
        periods=PERIODS,
        **rights_over_charts(who),
    )


@router.get("/spc/units")
def units_page(
    request: Request, here: Here, id: Annotated[list[UUID], Query(min_length=1, max_length=LARGEST)]
) -> Response:
    """The units of one subgroup of consecutive ones, what was withheld most first."""
    units = samples.units_named(here.store, id)
    times = [one.finished_at for one in units] or [datetime.now(UTC)]
    return page(
        request,
        "subgroup.html",
        window=samples.Window(since=min(times), until=max(times)),
        units=units,
        lane="",
        back="/spc/measured",
        most_units=MOST_UNITS,
    )


@router.get("/spc/causes")
def causes_page(request: Request, look: Look, language: Language, kind: Name = "") -> Response:
    """What refused units have in common: odds ratios with intervals, adjusted for many looks."""
    found: CausesAnswer | None = None
    problem: Explanation | None = None
    try:
        check_kind(look.here, language, kind)
        found = causes_of(
            look.here, station=look.station, lane=look.lane or None, kind=kind or None, since=look.since
        )
    except SpcError as error:
        problem = explain(error, language)
    return page(
        request,
        "spc_causes.html",
        found=found,
        query=urlencode(look.asked | {"kind": kind}),
        problem=problem,
        kind=kind,
        kinds=look.kinds(),
        look=look,
        periods=PERIODS,
    )


@router.get("/spc/maps")
def maps_page(request: Request, look: Look, language: Language, kind: Name = "") -> Response:
    """Where defects lie on strip or part, and the rolls whose marks came again."""
    check_kind(look.here, language, kind)
    look = look.of_one_lane(first=True)
    found = positions_of(
        look.here, language, lane=look.lane, station=look.station, kind=kind or None, since=look.since
    )
    return page(
        request,
        "spc_maps.html",
        found=found,
        empty=empty_said(
            found,
            language,
            lane=lane_name(look.here.lane_titles, language, look.lane),
            kind=kind_name(look.here.catalogue, language, kind),
        ),
        most_in_a_cell=max((cell for column in found.heat for cell in column), default=0),
        query=urlencode(look.asked | {"kind": kind}),
        is_strip=look.lane in look.here.coil_lanes,
        kind=kind,
        kinds=look.kinds(),
        map_texts={word: say(f"web.maps.{word}", language) for word in ("along", "across", "defects")},
        look=look,
        periods=PERIODS,
    )


@router.get("/spc/inspector")
def inspector_page(request: Request, look: Look, language: Language, who: Who) -> Response:
    """Did the process move, or the inspection? Its own charts, the corrected one, and what it cannot see."""
    return _inspector_page(request, look.of_one_lane(), language, who)


@router.post("/spc/changes")
def say_change(
    request: Request,
    look: Look,
    language: Language,
    caller: Disposer,
    part: Annotated[Part, Form()],
    changed_lane: Annotated[str, Form(max_length=100, pattern="^[^/]*$")],
    what: Annotated[str, Form(max_length=1000)] = "",
    at: Annotated[str, Form(max_length=30)] = "",
) -> Response:
    """A camera, a lamp or a lens was changed; a time without a zone, as a form sends it, is the plant's own."""
    try:
        check_lane(look.here, language, changed_lane)
        moment = moment_of(at) if at else None
        said = ChangeSaid.model_construct(part=part, lane=changed_lane, what=what, at=moment)
        change_said(look.here, caller, said)
    except SpcError as error:
        shown = replace(
            look, lane=look.lane if isinstance(error, ChoiceUnknown) else changed_lane
        ).of_one_lane()
        told = explain(error, language)
        return _inspector_page(request, shown, language, caller, wrong=told, status=status_of(error).value)
    return RedirectResponse(f"/spc/inspector?{urlencode({'lane': changed_lane})}", HTTPStatus.SEE_OTHER)


def moment_of(typed: str) -> datetime:
    """A time as a form sends it, without a zone the plant's own. Raises ParameterOutOfRange for what is none, or lies
    before FIRST_YEAR."""
    try:
        moment = datetime.fromisoformat(typed)
        if moment.year < FIRST_YEAR:
            raise ValueError(typed)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ParameterOutOfRange(
            f"{typed!r} is no time of a change.",
            action="Give date and time of the change, from the year 2000 on.",
            parameter="changed_at",
            value=typed,
            allowed="2000-01-01T00:00 …",
        ) from error


def _inspector_page(
    request: Request,
    look: Looked,
    language: str,
    who: Caller | None,
    *,
    wrong: Explanation | None = None,
    status: int = 200,
) -> Response:
    found: InspectorAnswer | None = None
    problem: Explanation | None = None
    try:
        found = inspector_of(look.here, language, lane=look.lane, station=look.station, since=look.since)
    except SpcError as error:
        problem = explain(error, language)
    return page(
        request,
        "spc_inspector.html",
        status=status,
        found=found,
        problem=problem,
        wrong=wrong,
        changes=changes(look.here.store, station=look.station, lane=look.lane or None)[::-1],
        parts=get_args(Part),
        may_say_change=who is not None and who.may(Right.DISPOSE),
        chart_texts=chart_texts(language),
        share_texts=chart_texts(language, value="share"),
        most_in_bin=max((one.defects for one in found.blind_zone.bins), default=0)
        if found is not None and found.blind_zone is not None
        else 0,
        look=look,
        periods=PERIODS,
    )


@router.get("/spc/capability")
def capability_page(
    request: Request, look: Look, language: Language, wanted: Wanted, measurement: Name = ""
) -> Response:
    """A capability report, or the gate that it does not pass."""
    names = look.measurements(language)
    chosen = measurement or (names[0].name if names else "")
    asked = Measured(measurement=chosen, since=look.since, station=look.station, lane=look.lane or None)
    report: CapabilityAnswer | None = None
    problem: Explanation | None = None
    # Without a limit nothing was asked yet.
    if chosen and (wanted.lower is not None or wanted.upper is not None):
        try:
            report = report_of(look.here, language, asked, wanted)
        except SpcError as error:
            problem = explain(error, language)
    return page(
        request,
        "spc_capability.html",
        report=report,
        facts=() if report is None else facts(report, language),
        few=None if report is None else few_said(report, language),
        most_in_bar=0 if report is None else max(bar.values for bar in report.histogram),
        problem=problem,
        wanted=wanted,
        namings=get_args(NamingName),
        shapes=get_args(Shape),
        measurements=names,
        chosen=chosen,
        query=urlencode({"measurement": chosen} | look.asked | wanted.model_dump(exclude_none=True)),
        chart_texts=chart_texts(language),
        look=look,
        periods=PERIODS,
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
    kind: Annotated[StudyKind, Form()],
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


def _of_golden_parts(
    kind: Annotated[FromRecord, Form()],
    characteristic: Annotated[str, Form(max_length=100)],
    parts: Annotated[str, Form(max_length=20_000)] = "",
    lane: Annotated[str, Form(max_length=100)] = "",
    tolerance: Annotated[Limit, Form()] = None,
    reference: Annotated[Limit, Form()] = None,
) -> dict[str, Any]:
    """What both forms of golden parts ask for."""
    return {
        "kind": kind,
        "characteristic": characteristic.strip(),
        "parts": parts.split(),
        "lane": lane,
        "tolerance": tolerance,
        "reference": reference,
    }


OfGoldenParts = Annotated[dict[str, Any], Depends(_of_golden_parts)]


@router.post("/spc/studies/from-record")
def add_study_from_record(
    request: Request,
    here: Here,
    language: Language,
    caller: Reader,
    given: OfGoldenParts,
) -> Response:
    """Make a study of what the lanes measured on golden parts."""
    said = FromRecordSaid.model_construct(**given)
    try:
        study_from_record(here.store, said, by=caller.person)
    except InspectionError as error:
        problem = explain(error, language)
        return _studies_page(request, here, caller, status=status_of(error).value, problem=problem)
    return RedirectResponse("/spc/studies", HTTPStatus.SEE_OTHER)


@router.post("/spc/studies/standing")
def order_study(
    request: Request,
    here: Here,
    _: Live,
    language: Language,
    caller: Reader,
    given: OfGoldenParts,
    runs: Annotated[int, Form()] = USUAL_RUNS,
    why: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Let the service make it by itself, of each so many new values."""
    said = StandingSaid.model_construct(**given, runs=runs, why=why)
    try:
        ordered(here, caller, said)
    except InspectionError as error:
        problem = explain(error, language)
        return _studies_page(request, here, caller, status=status_of(error).value, problem=problem)
    return RedirectResponse("/spc/studies", HTTPStatus.SEE_OTHER)


@router.post("/spc/studies/standing/{id}/end")
def end_study(
    request: Request,
    here: Here,
    language: Language,
    caller: Reader,
    id: UUID,
    why: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    try:
        standing_studies.end(here.store, id, why=why, by=caller.person, at=datetime.now(UTC))
    except SpcError as error:
        problem = explain(error, language)
        return _studies_page(request, here, caller, status=status_of(error).value, problem=problem)
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
        standing=[
            answer_of(here, one, language_of(request)) for one in standing_studies.standing(here.store)
        ],
        usual_runs=USUAL_RUNS,
        least_runs=standing_studies.LEAST_RUNS,
        most_runs=standing_studies.MOST_RUNS,
        may_order=here.live is not None,
        kinds=get_args(StudyKind),
        from_record=golden_parts.KINDS,
        lanes=lanes_of(here),
        judged=gauge_studies.JUDGED,
        may_record=who is not None and who.may(Right.RECORD),
        problem=problem,
        typed=typed,
    )


@router.post("/spc/p/entries")
def enter_p(
    here: Here,
    caller: SignedIn,
    selected: Selected,
    kind_of: Annotated[Entry, Form()],
    reason: Annotated[str, Form(max_length=1000)] = "",
    point: Annotated[str, Form(max_length=100)] = "",
    back: Annotated[str, Form(max_length=2000)] = "/spc",
) -> Response:
    decide_p(here, caller, selected, _said(kind_of, reason, point))
    return _back(back)


@router.post("/spc/measured/entries")
def enter_measured(
    here: Here,
    caller: SignedIn,
    asked: Asked,
    kind_of: Annotated[Entry, Form()],
    reason: Annotated[str, Form(max_length=1000)] = "",
    point: Annotated[str, Form(max_length=100)] = "",
    back: Annotated[str, Form(max_length=2000)] = "/spc/measured",
) -> Response:
    decide_measured(here, caller, asked, _said(kind_of, reason, point))
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
        back="/spc" + (f"?{urlencode({'lane': lane})}" if lane else ""),
        most_units=MOST_UNITS,
    )
