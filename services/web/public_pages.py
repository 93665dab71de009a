"""The page of a unit that anybody may see who scans its label: masked. Programs get the links instead."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import unquote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from inspection.errors import InspectionError
from services.access import Who
from services.api.resolver import LINKSET, address_of, prefers_linkset, raw_path
from services.api.serving import Here, Language
from services.problems import status_of
from services.text import explain
from services.web.rendering import code_url, page
from traceability.errors import CodeNotParsed, NodeUnreachable, UnitUnknown
from traceability.identifiers import RESOLVER_PATH, parse
from traceability.resolution import Link, Resolved, linkset, public_values

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get(f"{RESOLVER_PATH}{{code:path}}")
def public_unit(request: Request, here: Here, language: Language, who: Who, code: str) -> Response:
    """What is public of a unit; or its links, for whoever prefers those. Who is signed in is led to the full page."""
    # An escaped slash is part of the code, as every other character is.
    asked = unquote(raw_path(request)).removeprefix(RESOLVER_PATH)
    try:
        unit = parse(asked)
        resolved = here.resolver.resolve(unit, address=address_of(request, here))
    except UnitUnknown as error:
        return _from_elsewhere(request, here, language, asked, error)
    except CodeNotParsed as error:
        return _missing(request, language, asked, error)
    if prefers_linkset(request):
        return JSONResponse(
            linkset(resolved), media_type=LINKSET, headers={"Access-Control-Allow-Origin": "*"}
        )
    if who is not None:
        return RedirectResponse(code_url(unit), HTTPStatus.SEE_OTHER)
    try:
        inspections = here.store.inspections_of(unit if resolved.record is None else resolved.record.key)
    except UnitUnknown:
        inspections = ()
    return page(
        request,
        "public_unit.html",
        asked=str(unit),
        unit=unit,
        scheme=unit.scheme,
        is_retired=resolved.record is not None and unit in resolved.record.retired,
        newest=inspections[-1] if inspections else None,
        times=len(inspections),
        registered=_registered(resolved, address_of(request, here)),
        elsewhere=(),
        stale=False,
        problem=None,
    )


def _registered(resolved: Resolved, address: str) -> list[Link]:
    """What somebody registered for the unit: our own links are this page and what programs ask for."""
    links = [link for level in resolved.levels for link in level.links]
    return [link for link in links if not link.href.startswith(f"{address}/")]


def _from_elsewhere(
    request: Request, here: Here, language: str, asked: str, error: InspectionError
) -> Response:
    try:
        said = here.resolver.elsewhere(parse(asked))
    except UnitUnknown:
        return _missing(request, language, asked, error)
    except NodeUnreachable as away:
        return _missing(request, language, asked, away)
    values = [
        (str(value.get("type")), str(value["data"]["value"]))
        for value in public_values(said["values"])
        if isinstance(value.get("data"), dict) and isinstance(value["data"].get("value"), str)
    ]
    return page(
        request,
        "public_unit.html",
        asked=asked,
        unit=None,
        scheme="handle",
        is_retired=False,
        newest=None,
        times=0,
        registered=(),
        elsewhere=values,
        stale=said["stale"],
        problem=None,
    )


def _missing(request: Request, language: str, asked: str, error: InspectionError) -> Response:
    return page(
        request,
        "public_unit.html",
        status=status_of(error).value,
        asked=asked,
        unit=None,
        scheme=None,
        is_retired=False,
        newest=None,
        times=0,
        registered=(),
        elsewhere=(),
        stale=False,
        problem=explain(error, language),
    )
