"""Resolving codes for others: Handle's face, GS1's, and ours. What is told here is public."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import unquote

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel

from inspection.errors import InspectionError
from services.api.answers import CodeAnswer
from services.api.serving import Here, Language, Serving
from services.problems import LinkMissing, problem_answer, problems
from traceability.errors import CodeNotParsed, NodeUnreachable, UnitUnknown
from traceability.identifiers import LONGEST, parse
from traceability.identifiers.gs1 import digital_link_faults, primary_keys
from traceability.identifiers.gs1.digital_link import read_digital_link
from traceability.resolution import (
    DEFAULT_LINK,
    VOC,
    Resolved,
    Wanted,
    choose,
    handle_values,
    linkset,
    public_values,
    selected_values,
    wider_of,
)

router = APIRouter(tags=["resolver"])

LINKSET: Final = "application/linkset+json"
CONTEXT: Final = (
    "<{address}/static/linkset-context.jsonld>; "
    'rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
)

_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Link, Content-Type",
    "Vary": "Accept, Accept-Language",
}

# Handle's response codes and the HTTP statuses that go with them.
_FOUND, _FAILED, _NOT_FOUND, _INVALID, _NO_VALUES = 1, 2, 100, 102, 200
_STATUS: Final = {
    _FOUND: HTTPStatus.OK,
    _NO_VALUES: HTTPStatus.OK,
    _FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
    _NOT_FOUND: HTTPStatus.NOT_FOUND,
    _INVALID: HTTPStatus.BAD_REQUEST,
}


class LinkAnswer(BaseModel):
    """A document about the unit. `relation` says of which kind."""

    relation: str
    href: str
    title: str
    media_type: str | None
    languages: list[str]
    is_default: bool


class ResolvedAnswer(BaseModel):
    """What a code leads to. `unit` is the key of its unit; null where only links are registered, or another node
    knows. `elsewhere` is what that node says, in Handle's form; `stale` that it is an old answer,
    the node being away.
    """

    code: CodeAnswer
    unit: CodeAnswer | None
    is_retired: bool
    links: list[LinkAnswer]
    elsewhere: list[dict[str, Any]]
    stale: bool


@router.get(
    "/api/v1/resolve",
    responses=problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def resolve(
    request: Request, here: Here, code: Annotated[str, Query(min_length=1, max_length=LONGEST)]
) -> ResolvedAnswer:
    """Any code, of any scheme and in any spelling."""
    unit = parse(code)
    try:
        resolved = here.resolver.resolve(unit, address=address_of(request, here))
    except UnitUnknown:
        said = here.resolver.elsewhere(unit)
        return ResolvedAnswer(
            code=CodeAnswer.of(unit),
            unit=None,
            is_retired=False,
            links=[],
            elsewhere=public_values(said["values"]),
            stale=said["stale"],
        )
    record = resolved.record
    return ResolvedAnswer(
        code=CodeAnswer.of(unit),
        unit=None if record is None else CodeAnswer.of(record.key),
        is_retired=record is not None and unit in record.retired,
        links=[
            LinkAnswer(
                relation=link.relation,
                href=link.href,
                title=link.title,
                media_type=link.media_type,
                languages=list(link.languages),
                is_default=link.is_default,
            )
            for level in resolved.levels
            for link in level.links
        ],
        elsewhere=[],
        stale=False,
    )


# ------------------------------------------------------------------ Handle


@router.api_route("/api/handles/{handle:path}", methods=["GET", "HEAD"], include_in_schema=False)
def handle(
    request: Request,
    here: Here,
    handle: str,
    index: Annotated[list[int] | None, Query()] = None,
    type: Annotated[list[str] | None, Query(max_length=100)] = None,
    auth: bool = False,
) -> Response:
    """Handle's HTTP JSON face, for codes of every scheme."""
    asked = unquote(raw_path(request).removeprefix("/api/handles/")) if "%2F" in raw_path(request) else handle
    try:
        unit = parse(asked)
        try:
            resolved = here.resolver.resolve(unit, address=address_of(request, here))
            values = handle_values(resolved)
        except UnitUnknown:
            values = here.resolver.elsewhere(unit, anew=auth)["values"]
    except CodeNotParsed as error:
        return _handle_answer(_INVALID, asked, message=str(error))
    except UnitUnknown:
        return _handle_answer(_NOT_FOUND, asked)
    except NodeUnreachable as error:
        return _handle_answer(_FAILED, asked, message=str(error))
    chosen = selected_values(public_values(values), indexes=index or (), types=type or ())
    return _handle_answer(_FOUND if chosen else _NO_VALUES, asked, values=chosen)


def _handle_answer(
    code: int, handle: str, *, values: list[dict[str, Any]] | None = None, message: str | None = None
) -> JSONResponse:
    body: dict[str, Any] = {"responseCode": code, "handle": handle}
    if values is not None:
        body["values"] = values
    if message is not None:
        body["message"] = message
    return JSONResponse(body, status_code=_STATUS[code], headers=_CORS)


# ------------------------------------------------------------------ GS1


@router.get("/.well-known/gs1resolver")
def description(request: Request, here: Here) -> JSONResponse:
    """What this resolver is and what it resolves."""
    address = address_of(request, here)
    return JSONResponse(
        {
            "name": "Lynceus",
            "resolverRoot": address,
            "supportedPrimaryKeys": list(primary_keys()),
            "supportedLinkType": [{"namespace": VOC, "prefix": "gs1:"}],
            "supportedContextValuesEnumerated": [],
            "linkTypeDefaultCanBeLinkset": False,
            "linksetContext": f"{address}/static/linkset-context.jsonld",
        },
        headers=_CORS,
    )


def digital_link(
    request: Request,
    here: Here,
    language: Language,
    link_type: Annotated[str | None, Query(alias="linkType", max_length=200)] = None,
    context: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """A GS1 Digital Link: its set of links, or a redirection to the one that fits best."""
    address = address_of(request, here)
    # The path as it was sent: an escaped slash is part of a value.
    uri = address + raw_path(request).rstrip("/")
    faults = digital_link_faults(uri)
    if faults:
        parse(uri)  # raises the refusal with its place
    elements = read_digital_link(uri).elements
    wider = wider_of(elements)
    try:
        resolved = here.resolver.resolve(parse(uri), address=address, wider=wider)
    except UnitUnknown as error:
        return _refused(request, error)
    if link_type in ("linkset", "all") or (link_type is None and prefers_linkset(request)):
        return JSONResponse(linkset(resolved), media_type=LINKSET, headers=_link_headers(address, uri))
    return _redirected(request, resolved, link_type, context, _link_headers(address, uri))


def _redirected(
    request: Request,
    resolved: Resolved,
    link_type: str | None,
    context: str | None,
    headers: Mapping[str, str],
) -> Response:
    relation = None if link_type is None else _relation(link_type)
    wanted = Wanted(
        languages=_weighed(request.headers.get("accept-language", "")),
        media_types=_weighed(request.headers.get("accept", "")),
        context=context,
    )
    link = choose(resolved, relation=relation, wanted=wanted)
    if link is None:
        error = LinkMissing(
            f"{resolved.code} has no link of the kind {link_type}.",
            action="Ask with linkType=linkset for those it has.",
            unit=str(resolved.code),
            relation=str(link_type),
        )
        return _refused(request, error)
    passed_on = request.url.query
    target = link.href + (("&" if "?" in link.href else "?") + passed_on if passed_on else "")
    return RedirectResponse(target, HTTPStatus.TEMPORARY_REDIRECT, headers=dict(headers))


def _refused(request: Request, error: InspectionError) -> Response:
    answer = problem_answer(request, error)
    answer.headers.update(_CORS)
    return answer


def _options() -> Response:
    return Response(
        status_code=HTTPStatus.NO_CONTENT,
        headers={
            **_CORS,
            "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
            "Access-Control-Allow-Headers": "Accept, Accept-Language",
            "Allow": "GET, HEAD, OPTIONS",
        },
    )


for _key in primary_keys():
    router.add_api_route(
        f"/{_key}/{{rest:path}}",
        digital_link,
        methods=["GET", "HEAD"],
        name=f"digital_link_{_key}",
        include_in_schema=False,
    )
    router.add_api_route(
        f"/{_key}/{{rest:path}}",
        _options,
        methods=["OPTIONS"],
        name=f"digital_link_options_{_key}",
        include_in_schema=False,
    )


# ------------------------------------------------------------------ requests


def address_of(request: Request, here: Serving) -> str:
    """Under which the asker reaches us: as the plant says, else as the request came."""
    return here.resolver_address or str(request.base_url).rstrip("/")


def raw_path(request: Request) -> str:
    raw = request.scope.get("raw_path") or request.url.path.encode()
    return bytes(raw).decode("ascii", "replace").partition("?")[0]


def _link_headers(address: str, uri: str) -> dict[str, str]:
    told = [
        f'<{uri}?linkType=linkset>; rel="linkset"; type="{LINKSET}"',
        CONTEXT.format(address=address),
        f'<{uri}>; rel="owl:sameAs"',
    ]
    return {**_CORS, "Link": ", ".join(told)}


def _relation(link_type: str) -> str:
    """`gs1:pip` and the older address of the vocabulary stand for the present one."""
    for prefix in ("gs1:", "https://gs1.org/voc/", "https://www.gs1.org/voc/", "http://gs1.org/voc/"):
        if link_type.startswith(prefix):
            return VOC + link_type.removeprefix(prefix)
    return DEFAULT_LINK if link_type == "defaultLink" else link_type


def prefers_linkset(request: Request) -> bool:
    weighed = _weighed(request.headers.get("accept", ""))
    return LINKSET in weighed and not any(
        weighed.index(other) < weighed.index(LINKSET) for other in ("text/html", "*/*") if other in weighed
    )


def _weighed(header: str) -> list[str]:
    """What a header names, the dearest first; what it refuses is left out."""
    weighed: list[tuple[float, int, str]] = []
    for place, entry in enumerate(header.split(",")):
        name, *parameters = (part.strip() for part in entry.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter.removeprefix("q="))
                except ValueError:
                    weight = 0.0
        if name and weight > 0:
            weighed.append((-weight, place, name))
    return [name for _, _, name in sorted(weighed)]
