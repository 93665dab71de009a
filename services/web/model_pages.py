"""The plant's models: what each may do and did, which judges where, and the way of a candidate into force."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inspection.errors import InspectionError
from models.card import Measured
from services.access import AccessHere, Caller, Right, Who
from services.api import models as api
from services.api.cases import sign
from services.api.models import Approver, CardAnswer, Integrator, LifeHere, Name
from services.api.serving import Here, Language, Serving
from services.model_life import ModelLife
from services.problems import status_of
from services.text import explain
from services.web.rendering import page

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Version = Annotated[str, Query(max_length=40)]


@router.get("/models")
def models(request: Request, here: Here, life: LifeHere, who: Who) -> Response:
    may_configure = who is not None and who.may(Right.CONFIGURE)
    return page(request, "models.html", models=api.models(here, life), may_configure=may_configure)


@router.get("/models/{name}")
def model(
    request: Request,
    here: Here,
    life: LifeHere,
    who: Who,
    name: Name,
    version: Version = "",
    beside: Version = "",
) -> Response:
    """One model. `version` and `beside` are the two whose cards are shown side by side."""
    return _page(request, here, life, who, name, version=version, beside=beside)


@router.post("/models/{name}/propose")
def propose(
    request: Request,
    here: Here,
    life: LifeHere,
    access: AccessHere,
    caller: Integrator,
    language: Language,
    name: Name,
    version: Annotated[str, Form(max_length=40, pattern=r"^\d+\.\d+\.\d+$")],
) -> Response:
    def act() -> None:
        life.propose(name, version, by=caller.person, at=access.now())

    return _after(request, here, life, caller, language, name, act)


@router.post("/models/{name}/approve")
def approve(
    request: Request,
    here: Here,
    life: LifeHere,
    access: AccessHere,
    caller: Approver,
    language: Language,
    name: Name,
    password: Annotated[str, Form(max_length=1000)],
    version: Annotated[str, Form(max_length=40, pattern=r"^\d+\.\d+\.\d+$")],
) -> Response:
    """`version` that the page showed: another one that waits by now is not approved unseen."""

    def act() -> None:
        sign(access_of=access, caller=caller, password=password)
        life.approve(name, by=caller.person, at=access.now(), seen=version)

    return _after(request, here, life, caller, language, name, act)


@router.post("/models/{name}/promote")
def promote(
    request: Request,
    here: Here,
    life: LifeHere,
    access: AccessHere,
    caller: Integrator,
    language: Language,
    name: Name,
) -> Response:
    def act() -> None:
        life.promote(name, by=caller.person, at=access.now())

    return _after(request, here, life, caller, language, name, act)


@router.post("/models/{name}/take-back")
def take_back(
    request: Request,
    here: Here,
    life: LifeHere,
    access: AccessHere,
    caller: Integrator,
    language: Language,
    name: Name,
    reason: Annotated[str, Form(min_length=1, max_length=1000)],
) -> Response:
    def act() -> None:
        life.take_back(name, by=caller.person, at=access.now(), reason=reason)

    return _after(request, here, life, caller, language, name, act)


def _after(
    request: Request,
    here: Serving,
    life: ModelLife,
    caller: Caller,
    language: str,
    name: str,
    act: Callable[[], None],
) -> Response:
    """Back to the model; with what is wrong on it, where something is."""
    try:
        act()
    except InspectionError as error:
        told = explain(error, language)
        return _page(request, here, life, caller, name, status=status_of(error).value, problem=told)
    return RedirectResponse(f"/models/{name}", HTTPStatus.SEE_OTHER)


def _page(
    request: Request,
    here: Serving,
    life: ModelLife,
    who: Caller | None,
    name: str,
    *,
    status: int = 200,
    version: str = "",
    beside: str = "",
    **more: object,
) -> Response:
    found = api.life_answer(here, life, name)
    versions = [one.version for one in found.versions]
    chosen = version if version in versions else found.in_force
    others = [one for one in (beside, found.candidate, *versions) if one in versions and one != chosen]
    shown = [one for one in (chosen, *others[:1]) if one is not None]
    cards = [found.card_of(one) for one in shown]
    return page(
        request,
        "model.html",
        status=status,
        **({"problem": None} | more),
        model=found,
        shown=shown,
        cards=cards,
        figures=list(_figures(cards)),
        may_configure=who is not None and who.may(Right.CONFIGURE),
        may_approve=who is not None and who.may(Right.APPROVE),
    )


def _figures(cards: list[CardAnswer | None]) -> Iterator[dict[str, Any]]:
    """Each set that one of the cards was measured on, with what each of them did there; None where it was not."""
    on: dict[str, list[Measured | None]] = {}
    for number, card in enumerate(cards):
        for measured in () if card is None else card.measured:
            on.setdefault(measured.on, [None] * len(cards))[number] = measured
    for name, measured_by in on.items():
        yield {"on": name, "by": measured_by}
