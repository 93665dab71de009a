"""What a changed recipe would have made of the units on record: asked for, watched, stopped."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from inspection.identity import IdentifierCode
from services.access import Caller, Right, needs
from services.api.answers import CodeAnswer, DefectAnswer, VerdictName, verdict_name
from services.api.serving import Here, Language, Serving
from services.problems import Problem, problems, status_of
from services.text import explain
from services.what_if import MOST_UNITS, Flip, Outcome, Priced, Prices, Progress, WhatIfs
from station_config import Recipe, recipe_beside
from traceability.accounts import note

router = APIRouter(prefix="/what-if", tags=["recipes"])

LONGEST_RECIPE: Final = 100_000
FLIPS_TOLD: Final = 500
"""Of flips so many are told one by one; all are counted."""

Integrator = Annotated[Caller, Depends(needs(Right.CONFIGURE))]

Money = Annotated[float, Query(ge=0, le=1e9, allow_inf_nan=False)]

NOT_FOR_ALL = problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)


class NewWhatIf(BaseModel):
    """`recipe` is the changed recipe's TOML; files that it needs beside it are those of the plant's recipes.

    `look_again`: its detectors look at the kept pictures, of parts; else what was seen of the units then is judged.
    """

    model_config = ConfigDict(extra="forbid")

    recipe: str = Field(min_length=1, max_length=LONGEST_RECIPE)
    units: int = Field(
        default=5000, ge=1, le=MOST_UNITS, description="the newest on record that are looked through"
    )
    look_again: bool = False


class OutcomeAnswer(BaseModel):
    verdict: VerdictName
    grade: str | None

    @staticmethod
    def of(outcome: Outcome) -> OutcomeAnswer:
        return OutcomeAnswer(verdict=verdict_name(outcome[0]), grade=outcome[1])


class ChangeAnswer(BaseModel):
    before: OutcomeAnswer
    after: OutcomeAnswer
    units: int


class FlipAnswer(BaseModel):
    """`defects` are those that the new verdict is about; `pictures` addresses of the unit's kept pictures."""

    inspection: str
    unit: CodeAnswer
    finished_at: datetime
    before: OutcomeAnswer
    after: OutcomeAnswer
    defects: list[DefectAnswer]
    pictures: list[str]


class PricedAnswer(BaseModel):
    """In the money of the prices; less than 0 is saved. `escapes` and `caught` are flips to and from accepted, of units
    that a person decided to be bad; `doubted` flips to accepted that nobody decided about."""

    sum: float
    handling: float
    escapes: int
    caught: int
    doubted: int

    @staticmethod
    def of(priced: Priced) -> PricedAnswer:
        return PricedAnswer(
            sum=priced.sum,
            handling=priced.handling,
            escapes=priced.escapes,
            caught=priced.caught,
            doubted=priced.doubted,
        )


class WhatIfAnswer(BaseModel):
    """`total` is 0 while the units are being read. `units` of `total` were compared, `left_out` lack a picture."""

    recipe: str
    revision: int
    by: str
    since: datetime
    look_again: bool
    is_running: bool
    was_stopped: bool
    total: int
    done: int
    units: int | None
    left_out: int | None
    changes: list[ChangeAnswer]
    flips: list[FlipAnswer]
    priced: PricedAnswer | None
    problem: Problem | None


def what_ifs_of(request: Request) -> WhatIfs:
    found: WhatIfs = request.app.state.what_ifs
    return found


Comparing = Annotated[WhatIfs, Depends(what_ifs_of)]


def compare(
    here: Serving, comparing: WhatIfs, caller: Caller, text: str, *, units: int, look_again: bool
) -> None:
    """Begin a comparison, with a line in the audit. Raises ConfigSyntax, ConfigInvalid, and what `WhatIfs.start`
    does."""
    recipe = recipe_of_text(text)
    comparing.start(recipe, by=caller.person.title, among=units, look_again=look_again)
    with here.store.writing() as connection:
        note(
            connection,
            at=datetime.now(UTC),
            by=caller.person,
            action="what_if.begun",
            subject=f"recipe:{recipe.settings.name}",
            after={"revision": recipe.settings.revision, "units": units, "look_again": look_again},
        )


def recipe_of_text(text: str) -> Recipe:
    """Raises ConfigSyntax, ConfigInvalid."""
    return recipe_beside(text.replace("\r\n", "\n").encode("utf-8"), Path("what-if"))


@router.post("", status_code=HTTPStatus.ACCEPTED, responses=NOT_FOR_ALL | problems(HTTPStatus.CONFLICT))
def begin(
    comparing: Comparing, here: Here, language: Language, caller: Integrator, given: NewWhatIf
) -> WhatIfAnswer:
    """Compare; `GET` says how far it is and what came of it. One comparison at a time."""
    compare(here, comparing, caller, given.recipe, units=given.units, look_again=given.look_again)
    now = comparing.now
    assert now is not None
    return answer_of(now, here, language)


@router.get("", responses=NOT_FOR_ALL)
def last(
    comparing: Comparing,
    here: Here,
    language: Language,
    _: Integrator,
    review: Money = 0.0,
    reject: Money = 0.0,
    escape: Money = 0.0,
) -> WhatIfAnswer | None:
    """The comparison being made, or the last one; null before the first. Priced by what a look by a person, a refused
    unit, and a bad one that passes cost."""
    prices = Prices(review=review, reject=reject, escape=escape)
    return None if comparing.now is None else answer_of(comparing.now, here, language, prices)


@router.delete("", status_code=HTTPStatus.NO_CONTENT, responses=NOT_FOR_ALL)
def stop(comparing: Comparing, _: Integrator) -> None:
    """End the comparison being made; what was compared until then stands."""
    comparing.stop()


NO_PRICES = Prices()


def answer_of(now: Progress, here: Here, language: str, prices: Prices = NO_PRICES) -> WhatIfAnswer:
    answer, problem = now.answer, None
    if now.problem is not None:
        said = explain(now.problem, language)
        problem = Problem(
            type=f"urn:lynceus:error:{said.code}",
            title=said.what,
            status=status_of(now.problem).value,
            instance="/api/v1/what-if",
            code=said.code,
            action=said.action,
        )
    return WhatIfAnswer(
        recipe=now.recipe.settings.name,
        revision=now.recipe.settings.revision,
        by=now.by,
        since=now.since,
        look_again=now.look_again,
        is_running=now.is_running,
        was_stopped=now.was_stopped,
        total=now.total,
        done=now.done,
        units=None if answer is None else answer.units,
        left_out=None if answer is None else answer.left_out,
        changes=[]
        if answer is None
        else [
            ChangeAnswer(before=OutcomeAnswer.of(before), after=OutcomeAnswer.of(after), units=len(flips))
            for before, after, flips in answer.changes()
        ],
        flips=[] if answer is None else [_flip(one, here, language) for one in answer.flips[:FLIPS_TOLD]],
        priced=None if answer is None else PricedAnswer.of(answer.priced(prices)),
        problem=problem,
    )


def _flip(one: Flip, here: Here, language: str) -> FlipAnswer:
    unit: IdentifierCode = one.inspection.unit
    return FlipAnswer(
        inspection=str(one.inspection.id),
        unit=CodeAnswer.of(unit),
        finished_at=one.inspection.finished_at,
        before=OutcomeAnswer.of(one.before),
        after=OutcomeAnswer.of(one.after),
        defects=[DefectAnswer.of(defect, here.catalogue, language) for defect in one.defects],
        pictures=[f"/api/v1/pictures/{picture.sha256}" for picture in one.inspection.pictures],
    )
