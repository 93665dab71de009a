"""Signing in and out, people, keys of programs, and the audit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.access import (
    COOKIE,
    LONGEST_NAME,
    PERSON_NAME,
    AccessHere,
    Caller,
    Right,
    SignedIn,
    access_of,
    keep_session,
    needs,
    session_id,
)
from services.api.paging import NEXT, Paged
from services.problems import problems
from traceability.accounts import AuditEntry, Person, Role, Token

router = APIRouter(tags=["people"])

RoleName = Literal["operator", "engineer", "integrator", "administrator", "auditor"]
RightName = Literal[
    "operate", "bypass", "dispose", "record", "configure", "approve", "administer", "read_audit"
]
Name = Annotated[str, Field(max_length=LONGEST_NAME, pattern=PERSON_NAME)]
Text = Annotated[str, Field(min_length=1, max_length=100)]
Secret = Annotated[str, Field(max_length=1000)]

Administrator = Annotated[Caller, Depends(needs(Right.ADMINISTER))]
AuditReader = Annotated[Caller, Depends(needs(Right.READ_AUDIT))]

NOT_FOR_ALL = problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)

SessionId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

LONGEST_TOKEN_DAYS = 366


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SignIn(_Given):
    """Name and password."""

    name: Text
    password: Secret


class BadgeSignIn(_Given):
    """A badge and its PIN: opens what an operator does."""

    badge: Text
    pin: Secret


class PersonAnswer(BaseModel):
    name: str
    title: str
    role: RoleName
    badge: str | None
    has_pin: bool
    is_active: bool
    created_at: datetime

    @staticmethod
    def of(person: Person) -> PersonAnswer:
        return PersonAnswer.model_validate({**_fields(person), "role": person.role.value})


class SessionAnswer(BaseModel):
    """Who is signed in, and what they may do."""

    name: str
    title: str
    role: RoleName
    rights: list[RightName]

    @staticmethod
    def of(caller: Caller) -> SessionAnswer:
        return SessionAnswer.model_validate(
            {
                "name": caller.person.name,
                "title": caller.person.title,
                "role": caller.person.role.value,
                "rights": sorted(right.value for right in caller.rights),
            }
        )


class NewPerson(_Given):
    name: Name
    title: Text
    role: RoleName
    password: Secret
    badge: Text | None = None
    pin: Secret | None = None


class OpenSessionAnswer(BaseModel):
    """`by_badge`: opened by badge and PIN, for what an operator does. `is_this`: the one that asks."""

    id: str
    opened_at: datetime
    seen_at: datetime
    by_badge: bool
    is_this: bool


class PersonChange(_Given):
    """What is left out stays."""

    title: Text | None = None
    role: RoleName | None = None
    is_active: bool | None = None
    reason: Text | None = None


class NewSecret(_Given):
    """Another password, or another badge and PIN; what is left out stays."""

    password: Secret | None = None
    badge: Text | None = None
    pin: Secret | None = None


class NewToken(_Given):
    """A key with which a program acts in the caller's name."""

    name: Text
    rights: list[RightName]
    days: int = Field(ge=1, le=LONGEST_TOKEN_DAYS)


class TokenAnswer(BaseModel):
    id: UUID
    name: str
    rights: list[RightName]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None

    @staticmethod
    def of(token: Token) -> TokenAnswer:
        return TokenAnswer.model_validate({**_fields(token), "rights": sorted(token.rights)})


class TokenMade(TokenAnswer):
    """`key` is shown this once."""

    key: str


class AuditAnswer(BaseModel):
    id: UUID
    at: datetime
    person: str | None
    role: str | None
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None

    @staticmethod
    def of(entry: AuditEntry) -> AuditAnswer:
        return AuditAnswer.model_validate(_fields(entry))


@router.post(
    "/session",
    status_code=HTTPStatus.CREATED,
    responses=problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.FORBIDDEN),
)
def sign_in(
    request: Request, answer: Response, access: AccessHere, given: SignIn | BadgeSignIn
) -> SessionAnswer:
    """Sign in. The session is in a cookie; programs take a token instead."""
    key = (
        access.sign_in(name=given.name, password=given.password)
        if isinstance(given, SignIn)
        else access.sign_in_by_badge(badge=given.badge, pin=given.pin)
    )
    keep_session(request, answer, key)
    caller = access.caller(session=key, bearer=None, used=False)
    assert caller is not None
    return SessionAnswer.of(caller)


@router.get("/session", responses=problems(HTTPStatus.UNAUTHORIZED))
def session(caller: SignedIn) -> SessionAnswer:
    """Who is signed in."""
    return SessionAnswer.of(caller)


@router.delete(
    "/session",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN),
)
def sign_out(request: Request, answer: Response, access: AccessHere, caller: SignedIn) -> None:
    """Sign out."""
    if key := request.cookies.get(COOKIE):
        access.sign_out(key, caller)
    answer.delete_cookie(COOKIE)


@router.get("/sessions", responses=problems(HTTPStatus.UNAUTHORIZED))
def sessions(request: Request, access: AccessHere, caller: SignedIn) -> list[OpenSessionAnswer]:
    """Where the caller is signed in, the newest first."""
    this = session_id(request)
    return [
        OpenSessionAnswer(
            id=one.id,
            opened_at=one.opened_at,
            seen_at=one.seen_at,
            by_badge=one.rights is not None,
            is_this=one.id == this,
        )
        for one in access.open_sessions(caller.person)
    ]


@router.delete(
    "/sessions/{id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=NOT_FOR_ALL | problems(HTTPStatus.NOT_FOUND),
)
def revoke_session(access: AccessHere, caller: SignedIn, id: SessionId) -> None:
    """End one of the caller's sessions, at whatever screen it is."""
    access.accounts.revoke_session(id, by=caller.person, at=access.now())


@router.delete(
    "/people/{name}/sessions",
    status_code=HTTPStatus.NO_CONTENT,
    responses=NOT_FOR_ALL | problems(HTTPStatus.NOT_FOUND),
)
def sign_out_everywhere(
    access: AccessHere, caller: Administrator, name: Annotated[str, Field(max_length=60)]
) -> None:
    """End all sessions of somebody. Their keys of programs go on."""
    access.accounts.sign_out_everywhere(name, by=caller.person, at=access.now())


@router.get("/people", responses=NOT_FOR_ALL)
def people(access: AccessHere, caller: Administrator) -> list[PersonAnswer]:
    """Everybody who has, or had, an account."""
    return [PersonAnswer.of(one) for one in access.accounts.all()]


@router.post("/people", status_code=HTTPStatus.CREATED, responses=NOT_FOR_ALL | problems(HTTPStatus.CONFLICT))
def add_person(access: AccessHere, caller: Administrator, given: NewPerson) -> PersonAnswer:
    """Give somebody an account."""
    return PersonAnswer.of(
        access.accounts.add(
            name=given.name,
            title=given.title,
            role=Role(given.role),
            password_hash=access.hashed_password(given.password),
            pin_hash=None if given.pin is None else access.hashed_pin(given.pin),
            badge=given.badge,
            by=caller.person,
            at=access.now(),
        )
    )


@router.patch("/people/{name}", responses=NOT_FOR_ALL | problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
def change_person(
    access: AccessHere, caller: Administrator, name: Annotated[str, Field(max_length=60)], given: PersonChange
) -> PersonAnswer:
    """Another title or role, or an account closed or opened again. Signs them out where that matters."""
    return PersonAnswer.of(
        access.accounts.change(
            name,
            by=caller.person,
            at=access.now(),
            reason=given.reason,
            title=given.title,
            role=None if given.role is None else Role(given.role),
            is_active=given.is_active,
        )
    )


@router.put(
    "/people/{name}/secret",
    status_code=HTTPStatus.NO_CONTENT,
    responses=NOT_FOR_ALL | problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def set_secret(
    access: AccessHere, caller: Administrator, name: Annotated[str, Field(max_length=60)], given: NewSecret
) -> None:
    """Another password, badge or PIN. Unlocks the account and signs them out everywhere."""
    access.accounts.set_secret(
        name,
        by=caller.person,
        at=access.now(),
        password_hash=None if given.password is None else access.hashed_password(given.password),
        pin_hash=None if given.pin is None else access.hashed_pin(given.pin),
        badge=given.badge,
    )


@router.get("/tokens", responses=problems(HTTPStatus.UNAUTHORIZED))
def tokens(access: AccessHere, caller: SignedIn) -> list[TokenAnswer]:
    """The caller's keys for programs, without the keys."""
    return [TokenAnswer.of(one) for one in access.accounts.tokens_of(caller.person)]


@router.post("/tokens", status_code=HTTPStatus.CREATED, responses=NOT_FOR_ALL)
def add_token(access: AccessHere, caller: SignedIn, given: NewToken) -> TokenMade:
    """A key for a program, with some of the caller's rights."""
    key, token = access.make_token(
        caller,
        name=given.name,
        rights={Right(right) for right in given.rights},
        expires_at=access.now() + timedelta(days=given.days),
    )
    return TokenMade(key=key, **TokenAnswer.of(token).model_dump())


@router.delete(
    "/tokens/{id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=NOT_FOR_ALL | problems(HTTPStatus.NOT_FOUND),
)
def revoke_token(access: AccessHere, caller: SignedIn, id: UUID) -> None:
    """End one of the caller's keys."""
    access.accounts.revoke_token(id, by=caller.person, at=access.now())


@router.get("/audit", responses=NOT_FOR_ALL | NEXT)
def audit(
    request: Request,
    caller: AuditReader,
    page: Paged,
    person: Annotated[str | None, Query(max_length=60)] = None,
    subject: Annotated[str | None, Query(max_length=500)] = None,
) -> list[AuditAnswer]:
    """Who did what, the newest first."""
    accounts = access_of(request).accounts
    found = accounts.audit(limit=page.limit, before=page.before, person=person, subject=subject)
    page.told([one.id for one in found])
    return [AuditAnswer.of(entry) for entry in found]


def _fields(value: Any) -> Mapping[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
