"""Cases: opened from a signal or a complaint, worked on act by act, closed under a signature."""

from __future__ import annotations

from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from services.access import AccessHere, Caller, Right, SignInNeeded, needs
from services.api.once import OnceRoute
from services.api.paging import NEXT, Paged
from services.api.serving import Here
from services.problems import problems
from traceability.cases import Act, Case, Cases, Done, Source

router = APIRouter(prefix="/cases", tags=["cases"], route_class=OnceRoute)

Disposer = Annotated[Caller, Depends(needs(Right.DISPOSE))]

REFUSED = problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)
OF_ONE = REFUSED | problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)

WrittenAct = Literal["assigned", "contained", "cause", "action", "check", "prevention", "note"]
Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Written = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
"""Blanks answer nothing."""


class NewCase(BaseModel):
    """`key` tells what is the same when it comes again: a characteristic of a lane, a customer's part number."""

    model_config = ConfigDict(extra="forbid")

    source: Source
    key: Said
    title: Said
    text: str = Field(default="", max_length=4000)


class NewAct(BaseModel):
    """`owner` goes with `assigned`, `due` with `action`, `effective` with `check`."""

    model_config = ConfigDict(extra="forbid")

    act: WrittenAct
    text: Written
    owner: str | None = Field(default=None, max_length=60)
    due: date | None = None
    effective: bool | None = None


class Closing(BaseModel):
    """`password`: of who closes it; with it they sign."""

    model_config = ConfigDict(extra="forbid")

    password: SecretStr = Field(max_length=1000)
    text: Written


class DoneAnswer(BaseModel):
    id: UUID
    at: datetime
    by: str
    act: Act
    text: str
    owner: str | None
    due: date | None
    effective: bool | None

    @staticmethod
    def of(done: Done) -> DoneAnswer:
        return DoneAnswer.model_validate({name: getattr(done, name) for name in DoneAnswer.model_fields})


class CaseAnswer(BaseModel):
    """`missing`: what has to be answered before it can be closed."""

    id: UUID
    opened_at: datetime
    source: Source
    key: str
    title: str
    is_open: bool
    owner: str | None
    due: date | None
    missing: list[Act]
    acts: list[DoneAnswer]

    @staticmethod
    def of(case: Case) -> CaseAnswer:
        simple = ("id", "opened_at", "source", "key", "title", "is_open", "owner", "due")
        return CaseAnswer(
            **{name: getattr(case, name) for name in simple},
            missing=list(case.missing) if case.is_open else [],
            acts=[DoneAnswer.of(one) for one in case.acts],
        )


@router.get("", responses=NEXT)
def cases(
    here: Here,
    page: Paged,
    search: Annotated[str, Query(max_length=200)] = "",
    is_open: bool | None = None,
) -> list[CaseAnswer]:
    """The newest first. `search` looks in titles, keys and all that was written, actions too."""
    found = Cases(here.store).all(search=search, is_open=is_open, limit=page.limit, before=page.before)
    page.told([one.id for one in found])
    return [CaseAnswer.of(one) for one in found]


@router.get("/{id}", responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY))
def case(here: Here, id: UUID) -> CaseAnswer:
    return CaseAnswer.of(Cases(here.store).of(id))


@router.post("", status_code=HTTPStatus.CREATED, responses=REFUSED)
def open_case(here: Here, access: AccessHere, caller: Disposer, given: NewCase) -> CaseAnswer:
    """A new case. What is open already gets a line that it was seen again, what was closed within 180 days is opened
    again."""
    opened = Cases(here.store).open(
        source=given.source,
        key=given.key,
        title=given.title,
        text=given.text,
        by=caller.person,
        at=access.now(),
    )
    return CaseAnswer.of(opened)


@router.post("/{id}/acts", status_code=HTTPStatus.CREATED, responses=OF_ONE)
def add_act(here: Here, access: AccessHere, caller: Disposer, id: UUID, given: NewAct) -> CaseAnswer:
    """Say whose it is, what contains it, its cause, what is done, whether that helped, or what else is known."""
    done = Cases(here.store).act(
        id,
        Act(given.act),
        given.text,
        by=caller.person,
        at=access.now(),
        owner=given.owner if given.act == "assigned" else None,
        due=given.due if given.act == "action" else None,
        effective=bool(given.effective) if given.act == "check" else None,
    )
    return CaseAnswer.of(done)


@router.post("/{id}/close", responses=OF_ONE | problems(HTTPStatus.TOO_MANY_REQUESTS))
def close(here: Here, access: AccessHere, caller: Disposer, id: UUID, given: Closing) -> CaseAnswer:
    """End it, signed with one's password. Not before its questions are answered and the last check found the action
    effective."""
    sign(access_of=access, caller=caller, password=given.password.get_secret_value())
    return CaseAnswer.of(Cases(here.store).close(id, given.text, by=caller.person, at=access.now()))


def sign(*, access_of: AccessHere, caller: Caller, password: str) -> None:
    """An electronic signature: the person themself, not a program, gives their password once more.

    Raises SignInNeeded, SignInRefused, AccountLocked.
    """
    if caller.token is not None:
        raise SignInNeeded("A key signs nothing.", action="Sign in, then try again.")
    access_of.confirm(caller, password)
