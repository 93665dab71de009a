"""Pages of who may do what: signing in, the first run, people, one's own account, the audit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inspection.errors import InspectionError
from services.access import (
    COOKIE,
    LONGEST_NAME,
    PERSON_NAME,
    Access,
    AccessHere,
    Caller,
    Right,
    SignedIn,
    Who,
    keep_session,
    session_id,
)
from services.api.accounts import LONGEST_TOKEN_DAYS, Administrator, AuditReader, SessionId
from services.api.serving import Here, Language
from services.oidc import BACK as OIDC_BACK
from services.oidc import COOKIE as OIDC_COOKIE
from services.oidc import LONGEST_S, Oidc, OidcOff
from services.problems import status_of
from services.text import explain
from services.web.audit_words import AuditWords
from services.web.language import keep_choice
from services.web.rendering import page, people
from traceability.accounts import Role
from traceability.people import names

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

ENTRIES_AT_ONCE = 100

Short = Annotated[str, Form(max_length=100)]
Name = Annotated[str, Form(max_length=LONGEST_NAME, pattern=PERSON_NAME)]
Secret = Annotated[str, Form(max_length=1000)]

Did = Literal["added", "saved", "unchanged", "sessions_ended"]
Told = dict[str, str]
"""What the page of people says was done: the address's `done`, with `to` and `count`."""


@router.get("/sign-in")
def sign_in_page(
    request: Request, access: AccessHere, who: Who, next: Annotated[str, Query(max_length=2000)] = "/"
) -> Response:
    """Name and password, or badge and PIN."""
    if access.is_first_run():
        first = RedirectResponse("/first-run", HTTPStatus.SEE_OTHER)
        keep_choice(request, first)
        return first
    if who is not None:
        return RedirectResponse(_ours(next), HTTPStatus.SEE_OTHER)
    return page(
        request,
        "sign_in.html",
        next=_ours(next),
        nobody=access.accounts.none_yet(),
        provider=_provider_title(request),
    )


@router.post("/sign-in")
def sign_in(
    request: Request,
    access: AccessHere,
    language: Language,
    name: Short,
    password: Secret,
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    return _signed_in(
        request, language, next, lambda: access.sign_in(name=name.strip(), password=password), name=name
    )


@router.post("/sign-in/badge")
def sign_in_by_badge(
    request: Request,
    access: AccessHere,
    language: Language,
    badge: Short,
    pin: Secret,
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    return _signed_in(
        request, language, next, lambda: access.sign_in_by_badge(badge=badge.strip(), pin=pin), name=""
    )


@router.get("/sign-in/oidc")
def sign_in_at_provider(
    request: Request, language: Language, next: Annotated[str, Query(max_length=2000)] = "/"
) -> Response:
    """To the plant's identity provider."""
    provider = _provider_of(request)
    try:
        url, state = provider.begin(next=_ours(next))
    except InspectionError as error:
        return _not_signed_in(request, language, next, error, name="")
    answer = RedirectResponse(url, HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        OIDC_COOKIE,
        state,
        max_age=int(LONGEST_S),
        path=OIDC_BACK,
        httponly=True,
        # The way back is a navigation that another site begins: a strict cookie would not come along.
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


@router.get(OIDC_BACK)
def back_from_provider(
    request: Request,
    access: AccessHere,
    language: Language,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
) -> Response:
    """And back from it, with a code that only this service can use."""
    provider = _provider_of(request)
    try:
        kept = request.cookies.get(OIDC_COOKIE, "")
        who, next = provider.finish(state=state, kept_state=kept, code=code)
        key = access.sign_in_from_provider(subject=who.subject, name=who.name, title=who.title, role=who.role)
    except InspectionError as error:
        answer = _not_signed_in(request, language, "/", error, name="")
    else:
        answer = RedirectResponse(_ours(next), HTTPStatus.SEE_OTHER)
        keep_session(request, answer, key)
    answer.delete_cookie(OIDC_COOKIE, path=OIDC_BACK)
    return answer


def _provider_of(request: Request) -> Oidc:
    provider: Oidc | None = request.app.state.oidc
    if provider is None:
        raise OidcOff(
            "This station has no identity provider.", action="Sign in by name and password, or by badge."
        )
    return provider


@router.post("/sign-out")
def sign_out(request: Request, access: AccessHere, who: Who) -> Response:
    answer = RedirectResponse("/", HTTPStatus.SEE_OTHER)
    key = request.cookies.get(COOKIE)
    if who is not None and key is not None:
        access.sign_out(key, who)
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/first-run")
def first_run_page(request: Request, access: AccessHere) -> Response:
    """The first administrator makes themself, with the code that lies on the station's disk."""
    if not access.is_first_run():
        return RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    return page(request, "first_run.html", given={})


@router.post("/first-run")
def first_run(
    request: Request,
    access: AccessHere,
    language: Language,
    code: Short,
    name: Name,
    password: Secret,
    title: Short = "",
) -> Response:
    try:
        access.add_first(code=code.strip(), name=name, title=title.strip() or name, password=password)
    except InspectionError as error:
        return page(
            request,
            "first_run.html",
            status=status_of(error).value,
            problem=explain(error, language),
            given={"code": code, "name": name, "title": title},
        )
    return _signed_in(
        request, language, "/people", lambda: access.sign_in(name=name, password=password), name=name
    )


@router.get("/people")
def people_page(
    request: Request,
    access: AccessHere,
    caller: Administrator,
    done: Did | None = None,
    to: Annotated[str, Query(max_length=60)] = "",
    count: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """Everybody, and a form for one more. `done`: what was just done here, `to` whom."""
    return _people(request, access, done=done, done_to=to, done_count=count)


@router.post("/people")
def add_person(
    request: Request,
    access: AccessHere,
    caller: Administrator,
    language: Language,
    name: Name,
    role: Annotated[Role, Form()],
    password: Secret,
    title: Short = "",
    badge: Short = "",
    pin: Secret = "",
) -> Response:
    def add() -> Told:
        access.accounts.add(
            name=name,
            title=title.strip() or name,
            role=role,
            password_hash=access.hashed_password(password),
            pin_hash=access.hashed_pin(pin) if pin else None,
            badge=badge.strip() or None,
            by=caller.person,
            at=access.now(),
        )
        return {"done": "added", "to": name}

    given = {"name": name, "title": title, "role": role, "badge": badge}
    return _people_after(request, access, language, add, given)


@router.post("/people/{name}")
def change_person(
    request: Request,
    access: AccessHere,
    caller: Administrator,
    language: Language,
    name: str,
    role: Annotated[Role, Form()],
    is_active: Annotated[bool, Form()] = False,
    password: Secret = "",
) -> Response:
    def change() -> Told:
        before = access.accounts.named(name)
        if password:
            hashed = access.hashed_password(password)
            access.accounts.set_secret(name, by=caller.person, at=access.now(), password_hash=hashed)
        after = access.accounts.change(
            name, by=caller.person, at=access.now(), role=role, is_active=is_active
        )
        return {"done": "saved" if password or after != before else "unchanged", "to": name}

    return _people_after(request, access, language, change, {})


@router.post("/people/{name}/sign-out")
def sign_out_everywhere(
    request: Request, access: AccessHere, caller: Administrator, language: Language, name: str
) -> Response:
    def end() -> Told:
        ended = access.accounts.sign_out_everywhere(name, by=caller.person, at=access.now())
        return {"done": "sessions_ended", "to": name, "count": str(ended)}

    return _people_after(request, access, language, end, {})


@router.post("/account/sessions/{id}/revoke")
def revoke_session(
    request: Request, access: AccessHere, caller: SignedIn, language: Language, id: SessionId
) -> Response:
    try:
        access.accounts.revoke_session(id, by=caller.person, at=access.now())
    except InspectionError as error:
        return _account(request, access, caller, problem=error, language=language)
    return RedirectResponse("/account", HTTPStatus.SEE_OTHER)


@router.get("/account")
def account_page(request: Request, access: AccessHere, caller: SignedIn) -> Response:
    """One's own rights, password and keys for programs."""
    return _account(request, access, caller)


@router.post("/account/password")
def change_password(
    request: Request, access: AccessHere, caller: SignedIn, language: Language, current: Secret, new: Secret
) -> Response:
    try:
        access.change_own_password(caller, current=current, new=new)
        key = access.sign_in(name=caller.person.name, password=new)
    except InspectionError as error:
        return _account(request, access, caller, problem=error, language=language)
    answer = RedirectResponse("/account?done=password", HTTPStatus.SEE_OTHER)
    keep_session(request, answer, key)
    return answer


@router.post("/account/tokens")
def add_token(
    request: Request,
    access: AccessHere,
    caller: SignedIn,
    language: Language,
    name: Short,
    days: Annotated[int, Form(ge=1, le=LONGEST_TOKEN_DAYS)],
    rights: Annotated[list[Right], Form()] = [],  # noqa: B006 - FastAPI reads the default and never changes it
) -> Response:
    try:
        key, _ = access.make_token(
            caller, name=name, rights=set(rights), expires_at=access.now() + timedelta(days=days)
        )
    except InspectionError as error:
        return _account(request, access, caller, problem=error, language=language)
    return _account(request, access, caller, key=key)


@router.post("/account/tokens/{id}/revoke")
def revoke_token(access: AccessHere, caller: SignedIn, id: UUID) -> Response:
    access.accounts.revoke_token(id, by=caller.person, at=access.now())
    return RedirectResponse("/account", HTTPStatus.SEE_OTHER)


@router.get("/audit")
def audit_page(
    request: Request,
    here: Here,
    access: AccessHere,
    language: Language,
    caller: AuditReader,
    before: UUID | None = None,
    person: Annotated[str, Query(max_length=60)] = "",
) -> Response:
    """Who did what, the newest first."""
    entries = access.accounts.audit(limit=ENTRIES_AT_ONCE, before=before, person=person or None)
    owners = {one.after["owner"] for one in entries if one.after and one.after.get("owner")}
    with here.store.reading() as connection:
        named = names(connection, owners)
    return page(
        request,
        "audit.html",
        entries=entries,
        words=AuditWords(
            language=language,
            station=here.station,
            lanes=here.lane_titles,
            accounts={str(one.id): one.name for one in access.accounts.all()},
            owners=named,
            person=people(request, language),
        ),
        person=person,
        older=entries[-1].id if len(entries) == ENTRIES_AT_ONCE else None,
    )


def _signed_in(
    request: Request, language: str, next: str, open_session: Callable[[], str], *, name: str
) -> Response:
    try:
        key = open_session()
    except InspectionError as error:
        return _not_signed_in(request, language, next, error, name=name)
    answer = RedirectResponse(_ours(next), HTTPStatus.SEE_OTHER)
    keep_session(request, answer, key)
    return answer


def _not_signed_in(
    request: Request, language: str, next: str, error: InspectionError, *, name: str
) -> Response:
    return page(
        request,
        "sign_in.html",
        status=status_of(error).value,
        problem=explain(error, language),
        next=_ours(next),
        nobody=False,
        name=name,
        provider=_provider_title(request),
    )


def _provider_title(request: Request) -> str | None:
    provider: Oidc | None = request.app.state.oidc
    return None if provider is None else provider.title


def _people_after(
    request: Request, access: Access, language: str, act: Callable[[], Told], given: dict[str, Any]
) -> Response:
    """Back to everybody, with what was done; or with what is wrong, and what was `given`."""
    try:
        told = act()
    except InspectionError as error:
        wrong = explain(error, language)
        return _people(request, access, status=status_of(error).value, problem=wrong, given=given)
    return RedirectResponse(f"/people?{urlencode(told)}", HTTPStatus.SEE_OTHER)


def _people(request: Request, access: Access, *, status: int = 200, **more: object) -> Response:
    return page(
        request,
        "people.html",
        status=status,
        people=access.accounts.all(),
        roles=list(Role),
        **({"given": {}, "done": None, "done_to": "", "done_count": 0} | more),
    )


def _account(
    request: Request,
    access: AccessHere,
    caller: Caller,
    *,
    problem: InspectionError | None = None,
    language: str = "",
    key: str | None = None,
) -> Response:
    return page(
        request,
        "account.html",
        status=200 if problem is None else status_of(problem).value,
        **({} if problem is None else {"problem": explain(problem, language)}),
        caller=caller,
        rights=sorted(caller.rights),
        tokens=access.accounts.tokens_of(caller.person),
        sessions=access.open_sessions(caller.person),
        this_session=session_id(request),
        now=access.now(),
        key=key,
        done=request.query_params.get("done"),
        longest_days=LONGEST_TOKEN_DAYS,
    )


def _ours(next: str) -> str:
    """An address of this service, whatever was asked for: nobody is sent to another site."""
    is_ours = next.startswith("/") and not next.startswith(("//", "/\\"))
    return next if is_ours and not any(ord(letter) < 0x20 for letter in next) else "/"
