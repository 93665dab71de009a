"""Errors to HTTP answers: one table. Programs get RFC 9457 problems, people get a page; both in their language."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import SplitResult, urlencode, urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.routing import Match

from inspection.errors import ImageUnreadable, ImageUnsuitable, InspectionError
from inspection.vision.calibration import CalibrationRefused
from models.errors import (
    BundleUnreadable,
    LabelsWrong,
    LicenceRefused,
    ModelAltered,
    ModelDrifted,
    ModelMismatch,
    ModelMissing,
    ProviderMissing,
    SetUnfit,
    SignerUnknown,
    TrainingDataMissing,
    VersionTaken,
)
from services.access import (
    AccessError,
    AccountLocked,
    FirstRunOver,
    OtherSite,
    RightMissing,
    SecretTooWeak,
    SignInNeeded,
    SignInRefused,
)
from services.datasets import ArchiveUnfit, DataSetUnknown
from services.model_life import GateClosed, GoldSetDiffers, NoCandidate, NoGoldSet, NothingBefore
from services.oidc import OidcNoRole, OidcOff, OidcRefused, OidcUnreachable
from services.recipe_archive import RecipeArchiveUnfit, RecipeModelsMissing, RecipeNotPublished
from services.recipe_life import RecipeGateClosed, RecipeOfAnother, RecipeTextUnknown
from services.setting_up import BenchFull, CameraUnknown, DoctorBusy, DoctorFailed, NoLivePicture
from services.text import catalogue, explain
from services.training import CannotTrain, NoCoreLeft, TrainingBusy
from services.training_desk import DeskMissing, DeskNotKnown
from services.web.language import language_of
from services.web.policy import SECURITY_HEADERS
from services.web.rendering import page
from station_config.errors import ConfigError, ConfigMissing, RecipeNotChosen
from traceability.errors import (
    BlockMissing,
    BlockRefused,
    BucketDenied,
    BucketUnreachable,
    CaseNotReady,
    CaseOver,
    CaseUnknown,
    CodeNotParsed,
    CodeRetired,
    CodeTaken,
    DatabaseNewer,
    DatabaseReadOnly,
    DatabaseUnreachable,
    DiskFull,
    EscapeLeftOut,
    EventsRefused,
    HandlePrefixesInvalid,
    HandoverOwn,
    HandoverTaken,
    HandoverUnknown,
    HeadsUnreadable,
    HoldMissing,
    LastAdministrator,
    LedgerKeyUnreadable,
    LedgerUnwritable,
    LinkCycle,
    LinkOutside,
    LinkRefused,
    NameTaken,
    NodeUnreachable,
    PersonUnknown,
    PictureGivenUp,
    PictureMissing,
    PicturesNotWritable,
    RecordUnknown,
    RecordVoided,
    ReviewStands,
    ReviewUnknown,
    SessionUnknown,
    SpcError,
    StandingStudyUnknown,
    SubgroupUnknown,
    TokenUnknown,
    UnitUnknown,
)

logger = logging.getLogger(__name__)


class ServiceError(InspectionError):
    """Base of what the service itself refuses."""

    code = "SVC-ERROR"


class StaticMissing(ServiceError):
    """The libraries the pages need are not in the package. Facts: files, folder."""

    code = "SVC-STATIC-MISSING"


class FontMissing(ServiceError):
    """No font with Chinese to embed in a PDF. Facts: fonts (where they were looked for)."""

    code = "SVC-FONT-MISSING"


class RequestInvalid(ServiceError):
    """A parameter is not what it should be. Facts: mistakes (all of them, as text)."""

    code = "SVC-REQUEST-INVALID"


class BypassIncomplete(ServiceError):
    """A bypass without a reason or an end. Facts: lane."""

    code = "SVC-BYPASS-INCOMPLETE"


class NoChallenge(ServiceError):
    """The settings of the lane name no challenge. Facts: lane."""

    code = "SVC-NO-CHALLENGE"


class AlarmUnknown(ServiceError):
    """The lane has no such alarm, or not any more. Facts: lane, alarm."""

    code = "SVC-ALARM-UNKNOWN"


class TooManyRequests(ServiceError):
    """One address asks too often. Facts: seconds."""

    code = "SVC-TOO-MANY-REQUESTS"


class RequestTooLarge(ServiceError):
    """More was sent than anything here takes. Facts: most (bytes)."""

    code = "SVC-REQUEST-TOO-LARGE"


class KeyOfAnother(ServiceError):
    """An idempotency key came with another request before. Facts: key."""

    code = "SVC-KEY-OF-ANOTHER"


class KeyInUse(ServiceError):
    """The request of this idempotency key was begun, and is not known to be done. Facts: key."""

    code = "SVC-KEY-IN-USE"


class PageUnknown(ServiceError):
    """Nothing at this address. Facts: path."""

    code = "SVC-PAGE-UNKNOWN"


class MethodRefused(ServiceError):
    """The address exists, but not for this method. Facts: method, path."""

    code = "SVC-METHOD-REFUSED"


class NoStationHere(ServiceError):
    """A plant's server has no station of its own to show."""

    code = "SVC-NO-STATION"


class LaneUnknown(ServiceError):
    """The station has no such lane. Facts: lane, lanes."""

    code = "SVC-LANE-UNKNOWN"


class FrameUnknown(ServiceError):
    """No trace of that frame is kept. Facts: lane, sequence, kept."""

    code = "SVC-FRAME-UNKNOWN"


class InspectionUnknown(ServiceError):
    """No inspection of that id is recorded. Facts: id."""

    code = "SVC-INSPECTION-UNKNOWN"


class EventUnknown(ServiceError):
    """No EPCIS event, or capture job, of that id was taken in. Facts: id."""

    code = "SVC-EVENT-UNKNOWN"


class LinkMissing(ServiceError):
    """The unit has no link of the kind asked for. Facts: unit, relation."""

    code = "SVC-LINK-MISSING"


class Unexpected(ServiceError):
    """A mistake of ours. Facts: none; the log has the trace."""

    code = "SVC-UNEXPECTED"


# The first family that fits decides; what is not listed is a fault of the server.
STATUS: tuple[tuple[type[InspectionError], HTTPStatus], ...] = (
    (CodeNotParsed, HTTPStatus.BAD_REQUEST),
    (UnitUnknown, HTTPStatus.NOT_FOUND),
    (HandlePrefixesInvalid, HTTPStatus.SERVICE_UNAVAILABLE),
    (CodeTaken, HTTPStatus.CONFLICT),
    (VersionTaken, HTTPStatus.CONFLICT),
    (RecordVoided, HTTPStatus.CONFLICT),
    (CodeRetired, HTTPStatus.CONFLICT),
    (BlockMissing, HTTPStatus.CONFLICT),
    (BlockRefused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (LinkRefused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (LinkMissing, HTTPStatus.NOT_FOUND),
    (EventsRefused, HTTPStatus.BAD_REQUEST),
    (EventUnknown, HTTPStatus.NOT_FOUND),
    (NodeUnreachable, HTTPStatus.SERVICE_UNAVAILABLE),
    (RecordUnknown, HTTPStatus.NOT_FOUND),
    (LinkOutside, HTTPStatus.UNPROCESSABLE_ENTITY),
    (LinkCycle, HTTPStatus.CONFLICT),
    (HoldMissing, HTTPStatus.CONFLICT),
    (EscapeLeftOut, HTTPStatus.UNPROCESSABLE_ENTITY),
    (LedgerKeyUnreadable, HTTPStatus.SERVICE_UNAVAILABLE),
    (LedgerUnwritable, HTTPStatus.SERVICE_UNAVAILABLE),
    (HeadsUnreadable, HTTPStatus.SERVICE_UNAVAILABLE),
    (PictureMissing, HTTPStatus.NOT_FOUND),
    (PictureGivenUp, HTTPStatus.GONE),
    (SubgroupUnknown, HTTPStatus.NOT_FOUND),
    (StandingStudyUnknown, HTTPStatus.NOT_FOUND),
    (SpcError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DatabaseUnreachable, HTTPStatus.SERVICE_UNAVAILABLE),
    (DatabaseReadOnly, HTTPStatus.SERVICE_UNAVAILABLE),
    (DatabaseNewer, HTTPStatus.SERVICE_UNAVAILABLE),
    (PicturesNotWritable, HTTPStatus.SERVICE_UNAVAILABLE),
    (BucketDenied, HTTPStatus.SERVICE_UNAVAILABLE),
    (BucketUnreachable, HTTPStatus.SERVICE_UNAVAILABLE),
    (DiskFull, HTTPStatus.INSUFFICIENT_STORAGE),
    (RequestInvalid, HTTPStatus.UNPROCESSABLE_ENTITY),
    (BypassIncomplete, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NoChallenge, HTTPStatus.UNPROCESSABLE_ENTITY),
    (AlarmUnknown, HTTPStatus.NOT_FOUND),
    (TooManyRequests, HTTPStatus.TOO_MANY_REQUESTS),
    (KeyOfAnother, HTTPStatus.UNPROCESSABLE_ENTITY),
    (KeyInUse, HTTPStatus.CONFLICT),
    (RequestTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (PageUnknown, HTTPStatus.NOT_FOUND),
    (MethodRefused, HTTPStatus.METHOD_NOT_ALLOWED),
    (FontMissing, HTTPStatus.SERVICE_UNAVAILABLE),
    (NoStationHere, HTTPStatus.NOT_FOUND),
    (LaneUnknown, HTTPStatus.NOT_FOUND),
    (InspectionUnknown, HTTPStatus.NOT_FOUND),
    (FrameUnknown, HTTPStatus.NOT_FOUND),
    (SignInNeeded, HTTPStatus.UNAUTHORIZED),
    (SignInRefused, HTTPStatus.UNAUTHORIZED),
    (OidcOff, HTTPStatus.NOT_FOUND),
    (OidcUnreachable, HTTPStatus.SERVICE_UNAVAILABLE),
    (OidcRefused, HTTPStatus.UNAUTHORIZED),
    (OidcNoRole, HTTPStatus.FORBIDDEN),
    (AccountLocked, HTTPStatus.TOO_MANY_REQUESTS),
    (RightMissing, HTTPStatus.FORBIDDEN),
    (OtherSite, HTTPStatus.FORBIDDEN),
    (FirstRunOver, HTTPStatus.FORBIDDEN),
    (SecretTooWeak, HTTPStatus.UNPROCESSABLE_ENTITY),
    (AccessError, HTTPStatus.FORBIDDEN),
    (PersonUnknown, HTTPStatus.NOT_FOUND),
    (TokenUnknown, HTTPStatus.NOT_FOUND),
    (NameTaken, HTTPStatus.CONFLICT),
    (ReviewStands, HTTPStatus.CONFLICT),
    (ReviewUnknown, HTTPStatus.NOT_FOUND),
    (LastAdministrator, HTTPStatus.CONFLICT),
    (CaseUnknown, HTTPStatus.NOT_FOUND),
    (CaseOver, HTTPStatus.CONFLICT),
    (HandoverUnknown, HTTPStatus.NOT_FOUND),
    (SessionUnknown, HTTPStatus.NOT_FOUND),
    (HandoverTaken, HTTPStatus.CONFLICT),
    (HandoverOwn, HTTPStatus.CONFLICT),
    (CaseNotReady, HTTPStatus.CONFLICT),
    (RecipeNotChosen, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ConfigMissing, HTTPStatus.NOT_FOUND),
    (RecipeOfAnother, HTTPStatus.UNPROCESSABLE_ENTITY),
    (RecipeGateClosed, HTTPStatus.CONFLICT),
    (RecipeArchiveUnfit, HTTPStatus.UNPROCESSABLE_ENTITY),
    (RecipeModelsMissing, HTTPStatus.CONFLICT),
    (RecipeNotPublished, HTTPStatus.CONFLICT),
    (RecipeTextUnknown, HTTPStatus.NOT_FOUND),
    (ConfigError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DataSetUnknown, HTTPStatus.NOT_FOUND),
    (ArchiveUnfit, HTTPStatus.UNPROCESSABLE_ENTITY),
    (LabelsWrong, HTTPStatus.UNPROCESSABLE_ENTITY),
    (SetUnfit, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TrainingDataMissing, HTTPStatus.UNPROCESSABLE_ENTITY),
    (CameraUnknown, HTTPStatus.NOT_FOUND),
    (NoLivePicture, HTTPStatus.CONFLICT),
    (BenchFull, HTTPStatus.CONFLICT),
    (DoctorBusy, HTTPStatus.CONFLICT),
    (DoctorFailed, HTTPStatus.SERVICE_UNAVAILABLE),
    (CalibrationRefused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ImageUnreadable, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ImageUnsuitable, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ModelMissing, HTTPStatus.NOT_FOUND),
    (GateClosed, HTTPStatus.CONFLICT),
    (NoCandidate, HTTPStatus.CONFLICT),
    (NothingBefore, HTTPStatus.CONFLICT),
    (NoGoldSet, HTTPStatus.CONFLICT),
    (GoldSetDiffers, HTTPStatus.CONFLICT),
    (TrainingBusy, HTTPStatus.CONFLICT),
    (NoCoreLeft, HTTPStatus.CONFLICT),
    (CannotTrain, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DeskMissing, HTTPStatus.CONFLICT),
    (DeskNotKnown, HTTPStatus.CONFLICT),
    (ModelAltered, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ModelMismatch, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ModelDrifted, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ProviderMissing, HTTPStatus.UNPROCESSABLE_ENTITY),
    (SignerUnknown, HTTPStatus.UNPROCESSABLE_ENTITY),
    (BundleUnreadable, HTTPStatus.UNPROCESSABLE_ENTITY),
    (LicenceRefused, HTTPStatus.UNPROCESSABLE_ENTITY),
)


class Problem(BaseModel):
    """RFC 9457, with our stable code and what to do. `title` and `action` are in the reader's language."""

    type: str
    title: str
    status: int
    instance: str
    code: str
    action: str


async def text_only(connection: HTTPConnection) -> None:
    """A dependency of every route: what is sent is text that every database and every file takes. Neither NUL, which
    PostgreSQL refuses, nor half of a surrogate pair, which is no character and cannot be written as UTF-8.

    Raises RequestInvalid.
    """
    if "\x00" in connection.url.path or b"%00" in connection.scope["query_string"]:
        raise _not_text("the address")
    if not isinstance(connection, Request):
        return
    kind = connection.headers.get("content-type", "")
    if kind.startswith(FORMS):
        fields = await connection.form()
        if not all(_is_text(name) and _is_text(value) for name, value in fields.multi_items()):
            raise _not_text("the form")
    elif kind.startswith("text/") and b"\x00" in await connection.body():
        raise _not_text("what was sent")
    # JSON writes both as an escape: what holds none is not looked through.
    elif "json" in kind and b"\\u" in await connection.body():
        try:
            given = await connection.json()
        except (ValueError, RecursionError):
            return  # whoever wants it as JSON says so
        if not _is_text(given):
            raise _not_text("the JSON")


FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


def _is_text(value: object) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if any(letter == "\x00" or "\ud800" <= letter <= "\udfff" for letter in one):
                return False
        elif isinstance(one, Mapping):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
    return True


def _not_text(where: str) -> RequestInvalid:
    mistakes = f"{where} holds NUL or half a surrogate pair, which is no text"
    return RequestInvalid(
        f"The request is not valid: {mistakes}", action="Correct the parameters.", mistakes=mistakes
    )


def status_of(error: InspectionError) -> HTTPStatus:
    for family, status in STATUS:
        if isinstance(error, family):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with a problem of these statuses."""
    return {status.value: {"model": Problem, "description": status.phrase} for status in statuses}


def answer_errors(app: FastAPI) -> None:
    """Give every refusal, ours or the framework's, the same two faces."""
    app.add_exception_handler(InspectionError, _inspection_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _unexpected)


def problem_answer(
    request: Request, error: InspectionError, headers: Mapping[str, str] | None = None
) -> Response:
    """What a refusal is answered with, in the asker's language and form."""
    language = language_of(request)
    status = status_of(error)
    shown = explain(error, language)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%s %s: %s %s", request.method, request.url.path, error.code, error)
    if _wants_a_page(request):
        if isinstance(error, SignInNeeded):
            return sign_in_first(request)
        answer = page(request, "problem.html", status=status.value, problem=shown)
        answer.headers.update(headers or {})
        return answer
    problem = Problem(
        type=f"urn:lynceus:error:{shown.code}",
        title=shown.what,
        status=status.value,
        instance=request.url.path,
        code=shown.code,
        action=shown.action,
    )
    return JSONResponse(
        problem.model_dump(),
        status_code=status.value,
        headers={"Content-Language": language, **(headers or {})},
        media_type="application/problem+json",
    )


def sign_in_first(request: Request) -> Response:
    """To the sign-in page, and from there back to where the reader wanted to go; who sent a form, to where it stood."""
    back = urlsplit(str(request.url)) if request.method == "GET" else _page_of_the_form(request)
    to = back.path + (f"?{back.query}" if back.query else "")
    return RedirectResponse(f"/sign-in?{urlencode({'next': to})}", HTTPStatus.SEE_OTHER)


def _page_of_the_form(request: Request) -> SplitResult:
    start = urlsplit("/")
    try:
        # Of our own pages alone browsers tell the whole address (Referrer-Policy).
        page_of_it = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return start
    # Not what only takes forms: its answer may hold one, too, and nobody comes back to that.
    asked = {"type": "http", "method": "GET", "path": page_of_it.path}
    is_page = any(route.matches(asked)[0] is Match.FULL for route in request.app.routes)
    return page_of_it if is_page and page_of_it.netloc == request.url.netloc else start


def _wants_a_page(request: Request) -> bool:
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def _inspection_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, InspectionError)
    return problem_answer(request, error)


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    language = language_of(request)
    mistakes = "; ".join(
        f"{'.'.join(str(part) for part in mistake['loc'][1:])}: {_mistake_said(mistake, language)}"
        for mistake in error.errors()
    )
    return problem_answer(
        request,
        RequestInvalid(
            f"The request is not valid: {mistakes}", action="Correct the parameters.", mistakes=mistakes
        ),
    )


def _mistake_said(mistake: Mapping[str, Any], language: str) -> str:
    """In the reader's language where we have words for it, else in the framework's English."""
    said = catalogue(language).get(f"mistake.{mistake['type']}")
    try:
        facts = dict(mistake.get("ctx", {}))
        if isinstance(expected := facts.get("expected"), str):
            # The framework says "'a', 'b' or 'c'", in English whatever the language.
            facts["expected"] = expected.replace(" or ", ", ")
        return str(mistake["msg"]) if said is None else said.format(**facts)
    except (KeyError, IndexError):
        return str(mistake["msg"])


def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == HTTPStatus.NOT_FOUND:
        return problem_answer(
            request, PageUnknown(f"Nothing is at {path}.", action="Check the address.", path=path)
        )
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        refused = MethodRefused(
            f"{path} does not take {request.method}.",
            action="See /openapi.json for what it takes.",
            method=request.method,
            path=path,
        )
        return problem_answer(request, refused, error.headers)
    return problem_answer(
        request,
        RequestInvalid(str(error.detail), action="Correct the request.", mistakes=str(error.detail)),
        error.headers,
    )


def _unexpected(request: Request, error: Exception) -> Response:
    # The server logs the trace by itself. This answer is made outside the layer that adds the headers.
    answer = problem_answer(request, Unexpected(f"{type(error).__name__}: {error}", action="See the log."))
    answer.headers.update(SECURITY_HEADERS)
    return answer
