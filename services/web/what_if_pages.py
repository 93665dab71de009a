"""What a changed recipe would have made of the units on record: the recipe's text, how far, and what would flip."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inspection.errors import InspectionError
from inspection.types import PictureRef
from services.api.serving import Here, Language
from services.api.what_if import LONGEST_RECIPE, NO_PRICES, Comparing, Integrator, Money, compare
from services.problems import status_of
from services.text import Explanation, explain
from services.web.pages import Pictured
from services.web.rendering import page
from services.what_if import MOST_UNITS, Flip, Prices, Progress, WhatIfs
from station_config import load_recipe

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

SHOWN: int = 24
"""Of flips of one sort so many are shown as pictures; the API tells more."""


@router.get("/what-if")
def what_if_page(
    request: Request,
    here: Here,
    language: Language,
    comparing: Comparing,
    _: Integrator,
    recipe: Annotated[str, Query(max_length=100)] = "",
    review: Money = 0.0,
    reject: Money = 0.0,
    escape: Money = 0.0,
) -> Response:
    """The text of the recipe that was compared last, or of one of the lanes', to be changed."""
    now = comparing.now
    if recipe in _names(here):
        text = load_recipe(recipe).text.decode("utf-8")
    elif now is not None:
        text = now.recipe.text.decode("utf-8")
    else:
        names = _names(here)
        text = load_recipe(names[0]).text.decode("utf-8") if names else ""
    prices = Prices(review=review, reject=reject, escape=escape)
    return _page(request, here, language, comparing, text=text, prices=prices)


@router.post("/what-if")
def begin(
    request: Request,
    here: Here,
    language: Language,
    comparing: Comparing,
    caller: Integrator,
    text: Annotated[str, Form(min_length=1, max_length=LONGEST_RECIPE)],
    units: Annotated[int, Form(ge=1, le=MOST_UNITS)] = 5000,
    look_again: Annotated[bool, Form()] = False,
) -> Response:
    try:
        compare(here, comparing, caller, text, units=units, look_again=look_again)
    except InspectionError as error:
        return _page(
            request, here, language, comparing, text=text, units=units, look_again=look_again, problem=error
        )
    return RedirectResponse("/what-if#result", HTTPStatus.SEE_OTHER)


@router.post("/what-if/stop")
def stop(comparing: Comparing, _: Integrator) -> Response:
    comparing.stop()
    return RedirectResponse("/what-if#result", HTTPStatus.SEE_OTHER)


@router.get("/what-if/result")
def result(request: Request, language: Language, comparing: Comparing, _: Integrator) -> Response:
    """The part of the page that follows the comparison being made."""
    now = comparing.now
    return page(
        request,
        "_what_if.html",
        now=now,
        prices=NO_PRICES,
        failed=_failed(now, language),
        shown=_shown,
        most=SHOWN,
    )


def _names(here: Here) -> list[str]:
    """The recipes that the station's lanes may have."""
    return list(
        dict.fromkeys(offer.recipe for lane in here.lane_titles for offer in here.recipes.offers(lane))
    )


def _page(
    request: Request,
    here: Here,
    language: str,
    comparing: WhatIfs,
    *,
    text: str,
    units: int | None = None,
    look_again: bool | None = None,
    problem: InspectionError | None = None,
    prices: Prices = NO_PRICES,
) -> Response:
    now = comparing.now
    return page(
        request,
        "what_if.html",
        status=HTTPStatus.OK if problem is None else status_of(problem).value,
        text=text,
        recipes=_names(here),
        units=units or 5000,
        most_units=MOST_UNITS,
        longest=LONGEST_RECIPE,
        look_again=look_again if look_again is not None else now is not None and now.look_again,
        problem=None if problem is None else explain(problem, language),
        now=now,
        prices=prices,
        failed=_failed(now, language),
        shown=_shown,
        most=SHOWN,
    )


def _failed(now: Progress | None, language: str) -> Explanation | None:
    return None if now is None or now.problem is None else explain(now.problem, language)


def _shown(flip: Flip) -> Pictured | None:
    """The picture that says most of why: the one with the surest defect; None where none is kept."""
    pictures = flip.inspection.pictures
    defects = (*flip.defects, *flip.inspection.defects)
    picture: PictureRef | None = next(
        (
            one
            for defect in sorted(defects, key=lambda defect: -defect.score)
            for one in pictures
            if defect.box_in(one.camera, one.sequence) is not None
        ),
        pictures[0] if pictures else None,
    )
    if picture is None:
        return None
    own = tuple(
        one for one in flip.defects if (one.camera, one.sequence) == (picture.camera, picture.sequence)
    )
    return Pictured(picture=picture, defects=own)
