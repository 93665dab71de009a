"""EPCIS 2.0 over HTTP: events taken in and found. Source: EPCIS 2.0, 12 (REST bindings)."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from services.access import Caller, Right, needs
from services.api.serving import Here, Moment, Serving
from services.problems import FORMS, EventUnknown, RequestInvalid, problems
from traceability.epcis import queries
from traceability.epcis.events import Event, alone, query_document
from traceability.epcis.queries import MATCHES, Place, place_of, time_of
from traceability.epcis.repository import MOST_EVENTS, Captured
from traceability.epcis.schema import EVENT_TYPES

router = APIRouter(prefix="/epcis", tags=["epcis"])

MOST_BYTES: Final = 4_000_000
MOST_A_PAGE: Final = 1000

VERSIONS: Final = {
    "GS1-EPCIS-Version": "2.0.0",
    "GS1-EPCIS-Min": "2.0.0",
    "GS1-EPCIS-Max": "2.0.0",
    "GS1-CBV-Version": "2.0.0",
    "GS1-CBV-Min": "2.0.0",
    "GS1-CBV-Max": "2.0.0",
    "GS1-EPCIS-Capture-Limit": str(MOST_EVENTS),
    "GS1-EPCIS-Capture-File-Size-Limit": str(MOST_BYTES),
    "GS1-EPCIS-Capture-Error-Behaviour": "rollback",
}

Recorder = Annotated[Caller, Depends(needs(Right.RECORD))]


class CaptureAnswer(BaseModel):
    """What became of a delivery; the names are EPCIS's own."""

    captureID: str  # noqa: N815
    createdAt: datetime  # noqa: N815
    finishedAt: datetime  # noqa: N815
    running: bool
    success: bool
    captureErrorBehaviour: str  # noqa: N815
    errors: list[str]

    @staticmethod
    def of(job: Captured) -> CaptureAnswer:
        return CaptureAnswer(
            captureID=str(job.id),
            createdAt=job.created_at,
            finishedAt=job.finished_at,
            running=False,
            success=job.has_succeeded,
            captureErrorBehaviour="rollback",
            errors=list(job.mistakes),
        )


@router.post(
    "/capture",
    status_code=HTTPStatus.ACCEPTED,
    responses=problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ),
)
async def capture(request: Request, here: Here, caller: Recorder) -> Response:
    """Take in all events of an EPCIS document (JSON-LD), or none. `Location` leads to the job."""
    document = await _document(request)
    job = await run_in_threadpool(here.epcis.capture, document, by=caller.person)
    return Response(
        status_code=HTTPStatus.ACCEPTED, headers={**VERSIONS, "Location": f"/epcis/capture/{job.id}"}
    )


@router.post(
    "/events",
    status_code=HTTPStatus.CREATED,
    responses=problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ),
)
async def capture_event(request: Request, here: Here, caller: Recorder) -> Response:
    """Take in one event with its own `@context`."""
    document = await _document(request)
    await run_in_threadpool(here.epcis.capture, document, by=caller.person)
    return Response(status_code=HTTPStatus.CREATED, headers=VERSIONS)


@router.get("/capture/{id}", responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY))
def capture_job(here: Here, id: UUID) -> CaptureAnswer:
    """What became of a delivery."""
    job = here.epcis.captured(id)
    if job is None:
        raise EventUnknown(f"Nothing was taken in under {id}.", action="Look for events by unit.", id=str(id))
    return CaptureAnswer.of(job)


class Asked:
    """The parameters of a query, as EPCIS names them."""

    def __init__(
        self,
        request: Request,
        event_type: Annotated[list[str] | None, Query(alias="eventType")] = None,
        action: Annotated[list[str] | None, Query(alias="EQ_action")] = None,
        biz_step: Annotated[list[str] | None, Query(alias="EQ_bizStep")] = None,
        disposition: Annotated[list[str] | None, Query(alias="EQ_disposition")] = None,
        read_point: Annotated[list[str] | None, Query(alias="EQ_readPoint")] = None,
        event_id: Annotated[list[str] | None, Query(alias="EQ_eventID")] = None,
        since: Annotated[Moment | None, Query(alias="GE_eventTime")] = None,
        until: Annotated[Moment | None, Query(alias="LT_eventTime")] = None,
        recorded_since: Annotated[Moment | None, Query(alias="GE_recordTime")] = None,
        recorded_until: Annotated[Moment | None, Query(alias="LT_recordTime")] = None,
        per_page: Annotated[int, Query(alias="perPage", ge=1, le=MOST_A_PAGE)] = 30,
        next_page: Annotated[str | None, Query(alias="nextPageToken", max_length=500)] = None,
    ) -> None:
        given = request.query_params
        unknown = sorted(name for name in given if name.startswith(_FAMILIES) and name not in _KNOWN)
        if unknown:
            # To leave a condition out would answer with events that were not asked for.
            raise RequestInvalid(
                f"Not understood: {', '.join(unknown)}.", action="Leave it out.", mistakes=", ".join(unknown)
            )
        matches = {name: tuple(given.getlist(name)) for name in MATCHES if name in given}
        for name, epcs in matches.items():
            _no_patterns(name, epcs)
        self.query = queries.Query(
            kinds=_listed(event_type),
            actions=_listed(action),
            biz_steps=_listed(biz_step),
            dispositions=_listed(disposition),
            read_points=_listed(read_point),
            event_ids=tuple(event_id or ()),
            since=since,
            until=until,
            recorded_since=recorded_since,
            recorded_until=recorded_until,
            matches=matches,
        )
        self.per_page = per_page
        self.after = None if next_page is None else _place(next_page)


def _no_patterns(name: str, epcs: Iterable[str]) -> None:
    """Raises RequestInvalid: taken for the name of one unit, a pattern would be answered with no events."""
    pattern = next((epc for epc in epcs if epc.startswith(_PATTERN)), None)
    if pattern is not None and not name.endswith("Class"):
        mistake = f"{name}={pattern}: patterns of EPCs are understood as classes only"
        raise RequestInvalid(
            f"Not understood: {mistake}.",
            action="Name single units, or ask for the class with MATCH_anyEPCClass.",
            mistakes=mistake,
        )


_PATTERN: Final = "urn:epc:idpat:"
_FAMILIES: Final = (
    "EQ_", "NE_", "GE_", "GT_", "LE_", "LT_", "MATCH_", "EXISTS_", "HASATTR_", "WD_", "EQATTR_", "order",
    "eventCountLimit", "maxEventCount",
)  # fmt: skip
_KNOWN: Final = {
    "EQ_action", "EQ_bizStep", "EQ_disposition", "EQ_readPoint", "EQ_eventID", "GE_eventTime", "LT_eventTime",
    "GE_recordTime", "LT_recordTime", *MATCHES,
}  # fmt: skip


_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    **problems(HTTPStatus.UNPROCESSABLE_ENTITY),
    HTTPStatus.OK.value: {"content": {"application/ld+json": {}}},
}


class _LinkedData(JSONResponse):
    media_type = "application/ld+json"


@router.get("/events", responses=_ANSWERS, response_class=_LinkedData)
def epcis_events(request: Request, here: Here, asked: Annotated[Asked, Depends()]) -> Response:
    """Events, oldest first: those taken in, and those of our own records."""
    return _found(request, here, asked.query, asked)


@router.get("/eventTypes/{kind}/events", responses=_ANSWERS, response_class=_LinkedData)
def epcis_events_of_kind(
    request: Request, here: Here, kind: str, asked: Annotated[Asked, Depends()]
) -> Response:
    """The same of one kind."""
    if kind not in EVENT_TYPES:
        kinds = ", ".join(EVENT_TYPES)
        raise RequestInvalid(f"{kind} is none of {kinds}.", action="Choose one.", mistakes=f"{kind}: {kinds}")
    return _found(request, here, replace(asked.query, kinds=(kind,)), asked)


@router.get("/events/{id:path}", responses=problems(HTTPStatus.NOT_FOUND))
def epcis_event(here: Here, id: str) -> dict[str, Any]:
    """One event that was taken in, by its id; where it was declared to be in error, with the last declaration. Those of
    our own records are found by unit or time."""
    found = here.epcis.event(id)
    if found is None:
        raise EventUnknown(f"Nothing was taken in under {id}.", action="Look for events by unit.", id=id)
    return alone(found)


def _found(request: Request, here: Serving, query: queries.Query, asked: Asked) -> Response:
    found = here.epcis.find(query, after=asked.after, limit=asked.per_page)
    page = found[: asked.per_page]
    headers = dict(VERSIONS)
    if len(found) > len(page):
        following = request.url.include_query_params(nextPageToken=_token(page[-1]), perPage=asked.per_page)
        headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return _LinkedData(query_document(page, at=datetime.now(UTC)), headers=headers)


async def _document(request: Request) -> object:
    """The body as JSON, all numbers finite. Raises RequestInvalid where it is too long or none."""
    if request.headers.get("content-type", "").startswith(FORMS):
        # What sends files by itself, such as curl, calls them a form, and as such it has been read by now.
        raise _invalid("a form; send JSON as application/ld+json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise _invalid(f"more than {MOST_BYTES} bytes")
    try:
        return json.loads(bytes(body), parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"no JSON: {error}") from error


def _finite(number: str) -> float:
    """Python reads `NaN` and `1e999` where JSON has no such number, and could not write them into an answer."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is no number in JSON")
    return value


def _invalid(mistake: str) -> RequestInvalid:
    return RequestInvalid(f"The request is not valid: {mistake}", action="Correct it.", mistakes=mistake)


def _listed(given: list[str] | None) -> tuple[str, ...]:
    """Values come repeated, or with commas between them."""
    return tuple(one for value in given or () for one in value.split(",") if one)


def _token(event: Event) -> str:
    at, id_ = place_of(event)
    return base64.urlsafe_b64encode(f"{at.isoformat()} {id_}".encode()).decode()


def _place(token: str) -> Place:
    try:
        at, _, id_ = base64.urlsafe_b64decode(token.encode()).decode().partition(" ")
        return time_of(at), id_
    except (ValueError, OverflowError) as error:
        raise _invalid("nextPageToken is none of ours") from error
