"""Recipes on pages: limits, zones and severities as a form, what that would have made of stored units, and the way of a
change into force."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import FormData

from inspection.errors import InspectionError
from inspection.types import Box, Inspection, PictureRef
from models.store import ModelStore
from services.access import AccessHere, Caller, Right, Who
from services.api.cases import sign
from services.api.recipes import (
    Approver,
    Digest,
    Integrator,
    Name,
    RecipeLifeHere,
    publish_recipe,
    recipe_answer,
    recipes_listed,
)
from services.api.serving import Here, Language, Serving
from services.api.what_if import LONGEST_RECIPE, Comparing, recipe_of_text
from services.problems import RequestInvalid, status_of
from services.recipe_archive import carried
from services.recipe_life import RecipeLife
from services.text import Explanation, explain
from services.web.pages import Pictured, shown_of
from services.web.rendering import page
from services.what_if import Outcome, by_what_was_seen, units_of
from station_config import Recipe
from station_config.editing import Tables, edited, tables_of
from station_config.errors import ConfigSyntax
from station_config.schema import DetectorSettings

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Did = Literal["proposed", "brought_in", "approved", "published"]
"""What the page of a recipe says was just done."""

PREVIEWED: Final = 12
"""Stored units beside the form."""
_LOOKED_THROUGH: Final = 400
SPARE: Final = 2
"""Empty rows at the end of the form's tables, so that rows are added without scripts."""
MEASURES: Final = ("length_mm", "area_mm2", "score", "count", "per_m", "repeat_hits")


async def sent_form(request: Request) -> FormData:
    """As it was sent: the rows of a form's tables come as lists."""
    return await request.form()


Sent = Annotated[FormData, Depends(sent_form)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A stored unit as a changed recipe would have judged it. `zones` are those that can be drawn, px."""

    inspection: Inspection
    picture: Pictured
    after: Outcome
    zones: tuple[tuple[str, Box], ...]

    @property
    def flips(self) -> bool:
        return self.after != (self.inspection.verdict, self.inspection.grade)


@router.get("/recipes")
def recipes(request: Request, here: Here, life: RecipeLifeHere, who: Who, language: Language) -> Response:
    return _list_page(request, here, life, who, language)


@router.post("/recipes/brought-in")
def bring_in(
    request: Request,
    here: Here,
    life: RecipeLifeHere,
    access: AccessHere,
    caller: Integrator,
    language: Language,
    archive: Annotated[UploadFile, File()],
    reason: Annotated[str, Form(min_length=1, max_length=1000)],
) -> Response:
    """What another station published, as a proposal."""
    try:
        brought = carried(archive.file.read())
        life.bring_in(brought, by=caller.person, at=access.now(), reason=reason)
    except InspectionError as error:
        return _list_page(request, here, life, caller, language, refused=error)
    return RedirectResponse(f"/recipes/{brought.manifest.recipe}?done=brought_in#way", HTTPStatus.SEE_OTHER)


def _list_page(
    request: Request,
    here: Serving,
    life: RecipeLife,
    who: Caller | None,
    language: str,
    *,
    refused: InspectionError | None = None,
) -> Response:
    return page(
        request,
        "recipes.html",
        status=HTTPStatus.OK if refused is None else status_of(refused).value,
        recipes=recipes_listed(here, life, language),
        may_configure=who is not None and who.may(Right.CONFIGURE),
        problem=None if refused is None else explain(refused, language),
    )


@router.get("/recipes/{name}")
def recipe(
    request: Request,
    here: Here,
    life: RecipeLifeHere,
    who: Who,
    language: Language,
    name: Name,
    of: Annotated[str, Query(pattern="^(|proposal)$")] = "",
    done: Did | None = None,
) -> Response:
    """`of=proposal` goes on from the text that waits. `done`: what was just done here."""
    return _page(request, here, life, who, language, name, goes_on=of == "proposal", done=done)


@router.post("/recipes/{name}/preview")
def preview(
    request: Request,
    here: Here,
    life: RecipeLifeHere,
    form: Sent,
    _: Integrator,
    language: Language,
    name: Name,
) -> Response:
    """What the form, as it stands, would have made of the newest stored units."""
    try:
        changed = recipe_of_text(_text_of(form, life, name))
    except InspectionError as error:
        return page(request, "_recipe_preview.html", shown=(), problem=explain(error, language))
    return page(request, "_recipe_preview.html", shown=_shown(here, changed), problem=None)


@router.post("/recipes/{name}/compare")
def compare(
    request: Request,
    here: Here,
    form: Sent,
    life: RecipeLifeHere,
    comparing: Comparing,
    caller: Integrator,
    language: Language,
    name: Name,
) -> Response:
    """The whole comparison, of many units, on the page for that."""
    text = ""
    try:
        text = _text_of(form, life, name)
        comparing.start(recipe_of_text(text), by=caller.person.title, among=5000, look_again=False)
    except InspectionError as error:
        return _page(request, here, life, caller, language, name, text=text, error=error)
    return RedirectResponse("/what-if#result", HTTPStatus.SEE_OTHER)


@router.post("/recipes/{name}/propose")
def propose(
    request: Request,
    here: Here,
    form: Sent,
    life: RecipeLifeHere,
    access: AccessHere,
    caller: Integrator,
    language: Language,
    name: Name,
) -> Response:
    """The form, or the whole text where that was sent."""
    text = ""
    try:
        text = _text_of(form, life, name)
        reason = str(form.get("reason", "")).strip()
        if not 1 <= len(reason) <= 1000:
            raise _invalid("reason: say in 1 to 1000 letters why")
        life.propose(name, text, by=caller.person, at=access.now(), reason=reason)
    except InspectionError as error:
        return _page(request, here, life, caller, language, name, text=text, error=error)
    return RedirectResponse(f"/recipes/{name}?done=proposed#way", HTTPStatus.SEE_OTHER)


@router.post("/recipes/{name}/approve")
def approve(
    request: Request,
    here: Here,
    life: RecipeLifeHere,
    access: AccessHere,
    caller: Approver,
    language: Language,
    name: Name,
    password: Annotated[str, Form(max_length=1000)],
    sha256: Annotated[str, Form(pattern="^[0-9a-f]{64}$")],
) -> Response:
    """`sha256` of the text that the page showed: another one that waits by now is not approved unseen."""

    def act() -> None:
        sign(access_of=access, caller=caller, password=password)
        life.approve(name, sha256, by=caller.person, at=access.now())

    return _acted(request, here, life, caller, language, name, act, "approved")


@router.post("/recipes/{name}/publish")
def publish(
    request: Request,
    here: Here,
    life: RecipeLifeHere,
    access: AccessHere,
    caller: Integrator,
    language: Language,
    name: Name,
    sha256: Annotated[str, Form(pattern="^[0-9a-f]{64}$")],
) -> Response:
    """`sha256` of the text that the page showed: another one that waits by now is not published unseen."""

    def act() -> None:
        life.check_seen(name, sha256)
        publish_recipe(here, life, access, caller, name)

    return _acted(request, here, life, caller, language, name, act, "published")


@router.get("/recipes/{name}/difference/{before}/{after}")
def difference(request: Request, life: RecipeLifeHere, name: Name, before: Digest, after: Digest) -> Response:
    lines = life.difference(name, before, after)
    return page(request, "recipe_difference.html", name=name, lines=lines)


def _acted(
    request: Request,
    here: Serving,
    life: RecipeLife,
    caller: Caller,
    language: str,
    name: str,
    act: Callable[[], None],
    did: Did,
) -> Response:
    try:
        act()
    except InspectionError as error:
        return _page(request, here, life, caller, language, name, error=error)
    return RedirectResponse(f"/recipes/{name}?done={did}#way", HTTPStatus.SEE_OTHER)


def _page(
    request: Request,
    here: Serving,
    life: RecipeLife,
    who: Caller | None,
    language: str,
    name: str,
    *,
    goes_on: bool = False,
    text: str = "",
    error: InspectionError | None = None,
    done: Did | None = None,
) -> Response:
    """`text` is what was sent and refused; else what is in force, or waits."""
    stands = life.standing(name)
    waits = stands.proposal
    # Of a recipe that is new here, and waits, there is nothing else to go on from.
    goes_on = goes_on or stands.in_force is None
    if goes_on and waits is not None:
        begins = life.text_of(name, waits.sha256)
    else:
        begins = "" if stands.in_force is None else stands.in_force.text.decode("utf-8")
    shown = text or begins
    problem: Explanation | None = None if error is None else explain(error, language)
    try:
        tables: Tables | None = tables_of(shown)
    except ConfigSyntax:
        # Sent text that is no TOML: it can be mended as text alone.
        tables = None
    lines = () if waits is None else life.difference(name, waits.base, waits.sha256)
    return page(
        request,
        "recipe.html",
        status=HTTPStatus.OK if error is None else status_of(error).value,
        recipe=recipe_answer(here, name, stands),
        text=shown,
        longest=LONGEST_RECIPE,
        limits=[] if tables is None else [*tables.limits, *[(None, {})] * SPARE],
        zones=[] if tables is None else [*tables.zones.items(), *[("", {})] * SPARE],
        severities=[] if tables is None else [*tables.severities.items(), ("", [])],
        kinds=[] if stands.in_force is None else _kinds(here, stands.in_force),
        measures=MEASURES,
        has_form=stands.in_force is not None and not stands.in_force.settings.views,
        lines=lines,
        may_configure=who is not None and who.may(Right.CONFIGURE),
        may_approve=who is not None and who.may(Right.APPROVE),
        own=who is not None and waits is not None and waits.by == who.person.name,
        problem=problem,
        next_revision=life.next_revision(stands),
        goes_on=goes_on,
        done=done,
    )


def _text_of(form: FormData, life: RecipeLife, name: str) -> str:
    """The text as sent, or the text in force with the form's tables. Raises RequestInvalid, ConfigSyntax."""
    sent = form.get("text")
    if isinstance(sent, str):
        if not 1 <= len(sent) <= LONGEST_RECIPE:
            raise _invalid(f"text: 1 to {LONGEST_RECIPE} letters")
        return sent
    base = form.get("base")
    stands = life.standing(name)
    if isinstance(base, str) and base:
        text = life.text_of(name, base)
    elif stands.in_force is not None:
        text = stands.in_force.text.decode()
    else:
        raise _invalid("text: there is none in force to go on from")
    return edited(text, _tables(form), revision=life.next_revision(stands))


def _tables(form: FormData) -> Tables:
    """The form's rows. A limit about nothing and a zone or severity without a name are left out."""
    limits: list[tuple[int | None, Mapping[str, Any]]] = []
    for row, (place, about) in enumerate(zip(_all(form, "place"), _all(form, "about"), strict=False)):
        if not about:
            continue
        key, _, what = about.partition(":")
        given: dict[str, Any] = {key: what, "measure": _at(form, "measure", row)}
        if where := _at(form, "zone", row):
            given["zone"] = where
        for field in ("min_length_mm", "review_from", "reject_from"):
            given |= _number(form, field, row)
        limits.append((int(place) if place.isdecimal() else None, given))
    zones: dict[str, dict[str, Any]] = {}
    for row, name in enumerate(_all(form, "zone_name")):
        if not name:
            continue
        box = [_number(form, f"zone_{side}", row).get(f"zone_{side}") for side in ("x1", "x2", "y1", "y2")]
        zone: dict[str, Any] = {}
        for side in ("edge_within", "edge_beyond"):
            zone |= _number(form, side, row)
        if any(one is not None for one in box):
            if None in box:
                raise _invalid(f"zones.{name}: a rectangle has x and y, from and to")
            zone |= {"x": box[:2], "y": box[2:]}
        zones[name] = zone
    severities = {
        name: [one for one in form.getlist(f"severity_{row}") if isinstance(one, str)]
        for row, name in enumerate(_all(form, "severity_name"))
        if name
    }
    return Tables(limits=limits, zones=zones, severities=severities)


def _all(form: FormData, name: str) -> Sequence[str]:
    return [one.strip() for one in form.getlist(name) if isinstance(one, str)]


def _at(form: FormData, name: str, row: int) -> str:
    found = _all(form, name)
    if row >= len(found):
        raise _invalid(f"{name}: missing in row {row + 1}")
    return found[row]


def _number(form: FormData, name: str, row: int) -> dict[str, float | int]:
    """The number by its name; nothing where the place is empty. A whole one is written as such."""
    text = _at(form, name, row)
    if not text:
        return {}
    try:
        value = float(text)
    except ValueError as error:
        raise _invalid(f"{name} in row {row + 1}: {text!r} is no number") from error
    return {name: int(value) if value.is_integer() and abs(value) < 1e15 else value}


def _invalid(mistake: str) -> RequestInvalid:
    return RequestInvalid(
        f"The request is not valid: {mistake}.", action="Correct the parameters.", mistakes=mistake
    )


def _kinds(here: Serving, recipe: Recipe) -> list[str]:
    """Of the catalogue those that the recipe's detectors can find, or that it names; all where that is not known."""
    settings = recipe.settings
    named = {limit.kind for limit in settings.limits if limit.kind is not None}
    named |= {kind for kinds in settings.severities.values() for kind in kinds}
    try:
        for view in settings.seen_by.values():
            for asked in view.all_detectors:
                if isinstance(asked, DetectorSettings):
                    named |= set(ModelStore.of_plant().find(asked.model, asked.version).card.kinds)
    except InspectionError:
        return list(here.catalogue)
    return [kind for kind in here.catalogue if kind in named]


def _shown(here: Serving, changed: Recipe) -> list[Shown]:
    """The newest units that the recipe judged and of which a picture is kept; those that flip first."""
    station = here.station if here.live is not None else None
    found = []
    for unit in units_of(here.store, changed, among=_LOOKED_THROUGH, station=station):
        pictured = next(iter(shown_of(unit)), None)
        if pictured is None:
            continue
        after = by_what_was_seen(unit, changed)
        zones = _zones(changed, pictured.picture)
        found.append(Shown(inspection=unit, picture=pictured, after=after, zones=zones))
    return sorted(found, key=lambda one: not one.flips)[:PREVIEWED]


def _zones(recipe: Recipe, picture: PictureRef) -> tuple[tuple[str, Box], ...]:
    """Rectangles of zones in a picture's pixels, as far as its scale is known. Those by the strip's edges are not
    drawn: where the edges lay is not kept with the picture."""
    seen = recipe.settings.seen_by
    surface = (seen.get(picture.camera) or next(iter(seen.values()))).surface
    x_scale, y_scale = surface.x_mm_per_px, surface.y_mm_per_px
    if x_scale is None or y_scale is None:
        return ()
    from_mm = picture.y_origin_mm
    return tuple(
        (
            name,
            Box(
                zone.x[0] / x_scale,
                (zone.y[0] - from_mm) / y_scale,
                zone.x[1] / x_scale,
                (zone.y[1] - from_mm) / y_scale,
            ),
        )
        for name, zone in recipe.settings.zones.items()
        if zone.x is not None and zone.y is not None
    )
