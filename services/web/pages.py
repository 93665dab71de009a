"""The pages. Each shows what the API answers; each step from a point to its picture is an address."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import pairwise
from statistics import median
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from cameras.settings import DeviceSettings, SampleStreamSettings
from inspection.types import Box, Defect, Inspection, PictureRef
from services.alarms import Shown
from services.api.answers import OfferAnswer, ScreenAnswer
from services.api.pictures import Sha256
from services.api.serving import Here, Language, Live, Serving
from services.api.station import Operator, change_over, known_lane, traced
from services.api.units import recorded
from services.live import LaneNow
from services.problems import FrameUnknown, status_of
from services.reasons import Reason
from services.text import Explanation, explain, explain_code, say_failure
from services.web.alarm_texts import explained
from services.web.family_map import cut_map, family_map
from services.web.rendering import code_url, page, picture_url
from services.web.strip_map import StripMap, live_map, pictured, strip_map
from station_config import LaneSettings
from station_config.errors import RecipeNotChosen
from traceability.errors import CodeNotParsed, PictureMissing, UnitUnknown
from traceability.genealogy.tracing import family
from traceability.history import life
from traceability.identifiers import parse
from traceability.retention import Gone, all_given_up
from traceability.store import Counts, TraceStore

STALE_AFTER_S = 15.0
"""A lane that gives no sign of life for so long is no longer believed; where its cameras may rightly be still for
longer, nor is one that says nothing of it `SAYS_SO_WITHIN_S` after that."""

SAYS_SO_WITHIN_S = 10.0

MOST_RELATIVES = 60
"""More boxes would be a thicket: the nearest are drawn, the others are a list."""

MOST_EVENTS = 200


router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """All that the page says about a lane.

    stale_after_s   without a sign of life for so long it is no longer believed
    why             for what its last unit was not accepted, where that is known
    top             the kinds of defects on most refused units of the shift, and on how many
    """

    lane: LaneNow
    stale_after_s: float
    counts: Counts
    shift_begun: datetime
    screen: ScreenAnswer | None
    alarms: tuple[tuple[Shown, Explanation], ...]
    takt_s: float | None
    why: Reason | None
    top: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictured:
    """A stored picture and the defects to draw on it."""

    picture: PictureRef
    defects: tuple[Defect, ...]


@router.get("/")
def station(request: Request, here: Here, language: Language) -> Response:
    live = here.live
    if live is None:
        # A plant's server has no station to show; its charts are its front page.
        return RedirectResponse("/spc", HTTPStatus.SEE_OTHER)
    return page(
        request,
        "station.html",
        panels=[_panel(here, lane, language) for lane in here.lanes()],
        coil_lanes=here.coil_lanes,
        engine_connected=live.engine_connected,
    )


@router.get("/mode")
def mode(request: Request, _: Live) -> Response:
    """What the header of every page says of how the station works, for pages that nothing else keeps true."""
    return page(request, "_mode.html")


@router.get("/lanes/{lane}/panel")
def lane_panel(request: Request, here: Here, live: Live, language: Language, lane: str) -> Response:
    """A lane's part of the page, and the station's mode, which depends on its lanes."""
    now = known_lane(live, lane)
    return page(
        request,
        "lane_panel.html",
        panel=_panel(here, now, language),
        engine_connected=live.engine_connected,
    )


@router.get("/lanes/{lane}/map")
def lane_map(request: Request, here: Here, live: Live, language: Language, lane: str) -> Response:
    """The coil in view as far as it has come; nothing where a lane has no strip."""
    now = known_lane(live, lane)
    return page(
        request,
        "_live_map.html",
        lane=now.lane,
        drawn=live_map(now) if now.lane in here.coil_lanes else None,
        length_mm=0.0 if now.in_hand_seen_mm is None else now.in_hand_seen_mm.y2,
    )


@router.get("/lanes/{lane}/recipe")
def lane_recipe(
    request: Request,
    here: Here,
    live: Live,
    language: Language,
    lane: str,
    order: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The recipes a lane may have. An order that was scanned says which of them is meant."""
    now = known_lane(live, lane)
    meant: str | None = None
    problem: Explanation | None = None
    if order.strip():
        try:
            meant = here.recipes.choose(now.lane, order=order.strip()).recipe
        except RecipeNotChosen as error:
            problem = explain(error, language)
    refused = now.next_recipe
    if problem is None and refused is not None and refused.failure is not None:
        problem = _failure(refused.failure, refused.facts or {}, language)
    return page(
        request,
        "lane_recipe.html",
        lane=now,
        offers=[OfferAnswer.of(one, language) for one in here.recipes.listed(now.lane)],
        order=order,
        meant=meant,
        problem=problem,
    )


@router.get("/lanes/{lane}/timings")
def lane_timings(
    request: Request,
    live: Live,
    language: Language,
    lane: str,
    frame: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
) -> Response:
    """How long the steps of a lane's frames take, its slowest frames, and the trace of one of them."""
    now = known_lane(live, lane)
    trace, problem = None if frame is not None else live.timings.newest(now.lane), None
    if frame is not None:
        try:
            trace = traced(live, now.lane, frame)
        except FrameUnknown as error:
            problem = explain(error, language)
    return page(
        request,
        "lane_timings.html",
        lane=now,
        steps=live.timings.steps(now.lane),
        slowest=live.timings.slowest(now.lane),
        trace=trace,
        frame=frame,
        problem=problem,
    )


@router.post("/lanes/{lane}/recipe")
def change_lane_recipe(
    here: Here, live: Live, caller: Operator, lane: str, recipe: Annotated[str, Query(max_length=100)]
) -> Response:
    """Change over with the next unit, and back to the station."""
    now = known_lane(live, lane)
    change_over(here, now, here.recipes.choose(now.lane, recipe=recipe), caller)
    return RedirectResponse("/", HTTPStatus.SEE_OTHER)


@router.get("/trace")
def trace_search(
    request: Request, here: Here, language: Language, code: Annotated[str, Query(max_length=500)] = ""
) -> Response:
    """The search box, and what it finds; a code typed or scanned whole leads straight to its unit."""
    sought = code.strip()
    found = here.store.find(sought) if sought else ()
    if request.headers.get("hx-request"):
        return page(request, "_found.html", sought=sought, found=found)
    if sought:
        try:
            unit = parse(sought)
            inspections = here.store.inspections_of(unit)
            return RedirectResponse(
                code_url(inspections[0].unit if inspections else unit), HTTPStatus.SEE_OTHER
            )
        except (CodeNotParsed, UnitUnknown):
            pass  # a part of a code, then: what holds it is listed
    return page(request, "trace_search.html", sought=sought, found=found, latest=here.store.latest(limit=12))


@router.get("/trace/{code:path}")
def trace(request: Request, here: Here, language: Language, code: str) -> Response:
    """A unit: its family, what was seen, by which camera, model and recipe, with its pictures, and what happened."""
    try:
        unit = parse(code)
        told = life(here.store, unit)
    except (CodeNotParsed, UnitUnknown) as error:
        return page(
            request,
            "trace_search.html",
            status=status_of(error).value,
            sought=code,
            found=here.store.find(code),
            latest=(),
            problem=explain(error, language),
        )
    inspections = here.store.inspections_of(unit)
    kin = family(here.store, unit, most=MOST_RELATIVES)
    newest = inspections[-1] if inspections else None
    return page(
        request,
        "trace.html",
        unit=told.unit.unit if newest is None else newest.unit,
        inspections=inspections[::-1],
        shown={inspection.id: shown_of(inspection) for inspection in inspections},
        gone=gone_of(here.store, [one for inspection in inspections for one in inspection.pictures]),
        maps={inspection.id: _map(inspection) for inspection in inspections},
        failures={
            code: say_failure(code, language)
            for one in inspections
            for code in (*one.failures, one.code_failure)
            if code is not None
        },
        is_held=told.is_held,
        graph=family_map(kin, told.unit, relatives=len(told.ancestors) + len(told.descendants)),
        cuts=cut_map(told.unit, kin, () if newest is None else newest.defects),
        contradictions=told.contradictions,
        events=told.events[-MOST_EVENTS:],
        events_left_out=max(0, len(told.events) - MOST_EVENTS),
    )


@router.get("/picture/{sha256}")
def picture(request: Request, here: Here, sha256: Sha256, inspection: UUID) -> Response:
    """One picture at full size, with its boxes."""
    seen = recorded(here, inspection)
    for shown in shown_of(seen):
        if shown.picture.sha256 == sha256:
            gone = gone_of(here.store, [shown.picture])
            return page(request, "picture.html", inspection=seen, shown=shown, gone=gone)
    raise PictureMissing(
        f"Inspection {inspection} has no picture {sha256}.",
        action="Open the unit and choose the picture there.",
        sha256=sha256,
    )


@router.get("/inspection/{id}")
def inspection(here: Here, id: UUID) -> Response:
    """Where an inspection is shown: among all that is known of its unit."""
    return RedirectResponse(f"{code_url(recorded(here, id).unit)}#inspection-{id}", HTTPStatus.SEE_OTHER)


def _panel(here: Serving, lane: LaneNow, language: str) -> Panel:
    begun, counts = here.shift_counts.of_lane(lane.lane)
    screen = None if lane.looked is None else ScreenAnswer.of(lane.looked)
    shown = () if here.live is None else here.live.board.shown(datetime.now(UTC), lane=lane.lane)
    alarms = tuple(
        (one, explained(one.alarm, language, here.lane_titles)) for one in shown if one.state != "shelved"
    )
    settings = next((one for one in here.recipes.lanes if one.name == lane.lane), None)
    return Panel(
        lane=lane,
        stale_after_s=STALE_AFTER_S if settings is None else stale_after_s(settings),
        counts=counts,
        shift_begun=begun,
        alarms=alarms,
        screen=screen,
        takt_s=takt_s(lane.recent),
        why=None if lane.last is None else here.reasons.of(lane.last),
        top=here.shift_counts.refused_for(lane.lane, since=begun),
    )


def takt_s(recent: Sequence[Inspection]) -> float | None:
    """The median time from one unit's end to the next, of the newest; None of fewer than three."""
    ends = [one.finished_at for one in recent]
    gaps = [(later - earlier).total_seconds() for later, earlier in pairwise(ends)]
    return median(gaps) if len(gaps) > 1 else None


def stale_after_s(lane: LaneSettings) -> float:
    """How long a lane may be still before it is no longer believed."""
    silent = [
        one.silent_after_s
        for one in lane.all_cameras
        if isinstance(one, DeviceSettings | SampleStreamSettings)
    ]
    return max([STALE_AFTER_S, *(one + SAYS_SO_WITHIN_S for one in silent)])


def _failure(code: str, facts: Mapping[str, object], language: str) -> Explanation:
    """A failure of which only the code was kept may lack the facts its text names: then a few words must do."""
    try:
        return explain_code(code, facts, language)
    except KeyError:
        return Explanation(code=code, what=say_failure(code, language), action="")


def shown_of(inspection: Inspection) -> tuple[Pictured, ...]:
    return tuple(
        Pictured(
            picture=picture,
            defects=tuple(
                _in(picture, defect, box)
                for defect in inspection.defects
                if (box := defect.box_in(picture.camera, picture.sequence)) is not None
            ),
        )
        for picture in inspection.pictures
    )


def gone_of(store: TraceStore, pictures: Sequence[PictureRef]) -> defaultdict[str, Gone | None]:
    """By digest, which rule gave a picture up, and when; None where none did."""
    with store.reading() as connection:
        return defaultdict(lambda: None, all_given_up(connection, [one.sha256 for one in pictures]))


def _in(picture: PictureRef, defect: Defect, box_px: Box) -> Defect:
    """The defect as this picture shows it. The line around it is that of the frame that shows it most surely."""
    is_its_own = picture.sequence == defect.sequence
    return replace(defect, box_px=box_px, outline_px=defect.outline_px if is_its_own else ())


def _map(inspection: Inspection) -> StripMap | None:
    """A defect on it leads to its picture, and where none was kept to its row in the table."""
    if inspection.strip is None:
        return None
    urls = {(one.camera, one.sequence): picture_url(inspection, one.sha256) for one in inspection.pictures}
    return strip_map(
        inspection.strip,
        inspection.defects,
        href=lambda number, defect: pictured(defect, urls) or f"#defect-{inspection.id}-{number}",
    )
