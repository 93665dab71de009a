"""Templates to pages: texts by key, times and numbers as the reader writes them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, partial
from http import HTTPStatus
from importlib.resources import as_file, files
from pathlib import Path
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.datastructures import URL

from inspection.errors import InspectionError
from inspection.identity import IdentifierCode
from inspection.types import Inspection, Verdict
from services.access import Caller, Right, access_of, caller_of
from services.live import station_mode
from services.text import LANGUAGES, catalogue, say, say_failure
from services.web.language import PARAMETER, keep_choice, language_of
from station_config import Catalogue, Title
from traceability.identifiers import gs1
from traceability.identifiers.gs1.elements import bracketed

SECTIONS = (
    ("station", "/", None),
    ("today", "/today", Right.DISPOSE),
    ("review", "/review", Right.OPERATE),
    ("alarms", "/alarms", None),
    ("handover", "/handover", Right.OPERATE),
    ("trace", "/trace", None),
    ("containment", "/containment", None),
    ("spc", "/spc", None),
    ("cases", "/cases", None),
    ("set_up", "/recipes", Right.APPROVE),
    ("people", "/people", Right.ADMINISTER),
    ("audit", "/audit", Right.READ_AUDIT),
)
"""The pages in the header: name, address, and the right without which one is not shown."""

SET_UP_SECTIONS = (
    ("recipes", "/recipes", Right.APPROVE),
    ("what_if", "/what-if", Right.CONFIGURE),
    ("cameras", "/cameras", Right.CONFIGURE),
    ("datasets", "/datasets", Right.CONFIGURE),
    ("training", "/training", Right.CONFIGURE),
    ("models", "/models", Right.APPROVE),
    ("system", "/system", Right.CONFIGURE),
)
"""The pages of who sets stations up, below the header."""

SPC_SECTIONS = (
    ("rejected", "/spc"),
    ("measured", "/spc/measured"),
    ("capability", "/spc/capability"),
    ("causes", "/spc/causes"),
    ("maps", "/spc/maps"),
    ("inspector", "/spc/inspector"),
    ("studies", "/spc/studies"),
    ("audits", "/spc/audits"),
    ("merit", "/spc/merit"),
    ("sampling", "/spc/sampling"),
)
"""The pages about charts."""

UNKNOWN_KIND_COLOUR = "#6E7681"

_COMMITMENT = re.compile("[0-9a-f]{64}")


def page(request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """A whole page, or the part of one that htmx asked for: the template decides."""
    language = language_of(request)
    serving = request.app.state.serving
    values |= {
        "t": partial(_say, language),
        "language": language,
        "languages": [(other, _in_language(request, other)) for other in LANGUAGES],
        "station": serving.station,
        "kind_name": partial(kind_name, serving.catalogue, language),
        "kind_colour": partial(kind_colour, serving.catalogue),
        "kind_is_critical": partial(kind_is_critical, serving.catalogue),
        "quantity_name": partial(quantity_name, language),
        "lane_name": partial(lane_name, serving.lane_titles, language),
        "step_name": partial(step_name, language),
        "action_name": partial(action_name, language),
        "failure_name": partial(_failure_name, language),
        "person_name": people(request, language),
        "when": partial(when, language),
        "when_minutes": partial(when_minutes, language),
        # Names of their own: pages have a mode or a now that is of a lane, or of a training.
        "header_mode": None if serving.live is None else station_mode(serving.live),
        "header_now": datetime.now().astimezone(),
        "path": request.url.path,
        "is_refused": status >= HTTPStatus.BAD_REQUEST,
        "who": _who(request),
    }
    html = environment().get_template(template).render(values)
    answer = HTMLResponse(html, status_code=status, headers={"Content-Language": language})
    answer.headers["Vary"] = "Accept-Language, Cookie, HX-Request"
    keep_choice(request, answer)
    return answer


@cache
def environment() -> Environment:
    loaded = Environment(
        loader=PackageLoader("services.web"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for in_template in (number, percent, breakable, code_url, certificate_url, clock, clock_minutes):
        loaded.filters[in_template.__name__] = in_template
    loaded.globals.update(
        Verdict=Verdict,
        picture_url=picture_url,
        sections=sections,
        set_up_sections=set_up_sections,
        spc_sections=SPC_SECTIONS,
    )
    return loaded


@cache
def static_folder() -> Path:
    """Where the static files lie. The package is installed as files, never inside an archive."""
    with as_file(files("services.web").joinpath("static")) as folder:
        return folder


def when(language: str, at: datetime) -> str:
    """Date and time to the second, in the zone of this computer: the plant's own clock."""
    local = at.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}" if language == "zh" else f"{local.day} {local:%b %Y, %H:%M:%S}"


def when_minutes(language: str, at: datetime) -> str:
    return when(language, at)[: -len(":00")]


def clock(at: datetime) -> str:
    return f"{at.astimezone():%H:%M:%S}"


def clock_minutes(at: datetime) -> str:
    return f"{at.astimezone():%H:%M}"


def number(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}"


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}%"


def breakable(unit: IdentifierCode) -> Markup:
    """A code that may go on in the next line behind its first slash, and before an identifier of GS1."""
    text = str(unit)
    if unit.scheme == gs1.SCHEME:
        parts = [bracketed([one]) for one in gs1.canonical_elements(text)]
    else:
        *prefix, rest = text.partition("/")
        parts = ["".join(prefix), rest] if rest else [text]
    return Markup("").join(Markup('<span class="code-part">{}</span>').format(part) for part in parts)


def code_url(unit: IdentifierCode) -> str:
    return f"/trace/{quote(str(unit), safe='/')}"


def certificate_url(unit: IdentifierCode, format: str) -> str:
    return f"/api/v1/certificates/{quote(str(unit), safe='/')}?format={format}"


def picture_url(inspection: Inspection, sha256: str) -> str:
    return f"/picture/{sha256}?inspection={inspection.id}"


def subgroup_url(key: str, *, station: str | None, lane: str | None) -> str:
    chosen = {name: value for name, value in (("station", station), ("lane", lane)) if value}
    return f"/spc/subgroup/{quote(key)}" + (f"?{urlencode(chosen)}" if chosen else "")


def kind_name(catalogue: Catalogue, language: str, kind: str) -> str:
    """A kind of defect by its name; by its code where a plant has dropped it from its catalogue."""
    known = catalogue.get(kind)
    return kind if known is None else known.name(language)


def quantity_name(language: str, name: str) -> str:
    """A quantity of ours by its name; one that a recipe named, as it is called there. Of several views with the view's
    name before it."""
    view, dot, own = name.partition(".")
    known = catalogue(language).get(f"web.quantity.{own if dot else name}")
    if known is None:
        return name
    return f"{view}: {known}" if dot else known


def step_name(language: str, step: str) -> str:
    """A step of a frame's way by its name; one of which this version knows nothing by its word in the records."""
    return catalogue(language).get(f"web.step.{step}", step)


def action_name(language: str, action: str) -> str:
    """What somebody did, in words; the key itself where a later version did it."""
    return catalogue(language).get(f"web.action.{action}", action)


def sections(who: Caller | None) -> list[tuple[str, str]]:
    """Name and address of the pages in the header that `who` may see."""
    return [
        (name, url) for name, url, right in SECTIONS if right is None or (who is not None and who.may(right))
    ]


def set_up_sections(who: Caller | None, path: str) -> list[tuple[str, str]]:
    """The same of the pages of setting up, where `path` is one of them."""
    if not any(path == url or path.startswith(f"{url}/") for _, url, _ in SET_UP_SECTIONS):
        return []
    return [(name, url) for name, url, right in SET_UP_SECTIONS if who is not None and who.may(right)]


def people(request: Request, language: str) -> Callable[[str | None], str]:
    """What people call somebody whom a record names, a dash for nobody; read when a page asks for the first one.

    Where two are called the same, the name that signs in tells them apart. Who has no account is named as the record
    does; of an erased name the record has a commitment, which tells nobody anything.
    """

    @cache
    def titles() -> Mapping[str, str]:
        known = access_of(request).accounts.all()
        called = Counter(one.title for one in known)
        return {
            one.name: one.title if called[one.title] == 1 else f"{one.title} ({one.name})" for one in known
        }

    def called(name: str | None) -> str:
        if name is None:
            return "–"
        return say("web.people.erased", language) if _COMMITMENT.fullmatch(name) else titles().get(name, name)

    return called


def lane_name(titles: Mapping[str, Title], language: str, lane: str) -> str:
    """A lane by its title; by its name where this station has none for it."""
    return titles[lane].in_language(language) if lane in titles else lane


def kind_colour(catalogue: Catalogue, kind: str) -> str:
    known = catalogue.get(kind)
    return UNKNOWN_KIND_COLOUR if known is None else known.colour


def kind_is_critical(catalogue: Catalogue, kind: str) -> bool:
    known = catalogue.get(kind)
    return known is not None and known.critical


def _who(request: Request) -> Caller | None:
    try:
        return caller_of(request)
    except InspectionError:
        # The database is away: the page says so, or needs it for nothing; it must come all the same.
        return None


def _failure_name(language: str, code: str) -> str:
    return say_failure(code, language)


def _say(language: str, key: str, **facts: object) -> str:
    return say(key, language, **facts)


def _in_language(request: Request, language: str) -> str:
    """The same address in another language; of an answer to a form, the page where the form stood."""
    url = request.url
    if request.method != "GET":
        # Of our own pages alone browsers tell the whole address (Referrer-Policy).
        came_from = URL(request.headers.get("referer", ""))
        url = came_from if came_from.netloc == url.netloc else URL("/")
    url = url.include_query_params(**{PARAMETER: language})
    return f"{url.path}?{url.query}"
