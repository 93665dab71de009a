"""The cameras' pages: how they stand, what the doctor finds, a live picture with aids to focus and light it, the way
from pictures of a board, or of an even surface, to a file that a recipe names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from cameras.doctor.judging import Severity
from inspection.errors import ImageUnreadable, ImageUnsuitable, InspectionError
from inspection.vision.calibration import Board
from inspection.vision.decoding import decode_image
from services.access import AccessHere, Right, Who
from services.api.cameras import (
    CameraAnswer,
    Integrator,
    SettingUpHere,
    View,
    bench_answer,
    camera_answer,
    covered,
    problem_of,
)
from services.api.pictures import MEDIA_TYPES
from services.api.serving import Here, Language, Live, Serving
from services.doctor_texts import mend, said
from services.live import LiveState
from services.problems import PageUnknown, Problem, status_of
from services.setting_up import (
    MOST_BLANKS,
    MOST_PICTURES,
    BenchFull,
    CameraAt,
    NoLivePicture,
    SettingUp,
    SetUpFile,
    blank_of,
    keep_file,
    kept_files,
    live_picture,
    live_pictures,
    producer_of,
)
from services.text import explain_code, say, say_failure
from services.web.rendering import page
from station_config import plant_recipes
from traceability.accounts import Person, note
from traceability.steps import place_of

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Side = Annotated[int, Form(ge=3, le=60)]
Millimetres = Annotated[float, Form(gt=0, le=1000)]


@router.get("/cameras")
def cameras(
    request: Request, here: Here, live: Live, setting_up: SettingUpHere, who: Who, language: Language
) -> Response:
    shown = [camera_answer(live, setting_up, one) for one in setting_up.cameras]
    return page(
        request,
        "cameras.html",
        cameras=shown,
        failed=[_failed(one, language) for one in shown],
        may=who is not None and who.may(Right.CONFIGURE),
        **_doctor(live, setting_up, language),
    )


@router.post("/cameras/doctor")
def call_doctor(setting_up: SettingUpHere, caller: Integrator) -> Response:
    setting_up.doctor.start(producer_of(tuple(setting_up.cameras.values())), by=caller.person.title)
    return RedirectResponse("/cameras#doctor", HTTPStatus.SEE_OTHER)


@router.get("/cameras/doctor")
def doctor(
    request: Request, live: Live, setting_up: SettingUpHere, language: Language, _: Integrator
) -> Response:
    """The part of the page that waits for what the doctor finds; whoever opens it by itself gets the page."""
    if not request.headers.get("hx-request"):
        return RedirectResponse("/cameras#doctor", HTTPStatus.SEE_OTHER)
    return page(request, "_doctor.html", may=True, **_doctor(live, setting_up, language))


@router.get("/cameras/{lane}")
def camera(
    request: Request,
    live: Live,
    setting_up: SettingUpHere,
    who: Who,
    language: Language,
    lane: str,
    view: View = "",
    stored: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    at = setting_up.camera(lane, view)
    return _camera_page(request, live, setting_up, at, language, may=_may(who), stored=stored)


@router.post("/cameras/{lane}/flat-field")
def flat_field(
    request: Request,
    here: Here,
    live: Live,
    setting_up: SettingUpHere,
    access: AccessHere,
    caller: Integrator,
    language: Language,
    lane: str,
    pictures: Annotated[int, Form(ge=1, le=MOST_BLANKS)],
    view: View = "",
    per_column: Annotated[bool, Form()] = False,
) -> Response:
    """Of the next pictures, which show an even surface. Waits for them."""
    at = setting_up.camera(lane, view)
    try:
        blank = blank_of(live_pictures(live, at, pictures), per_column=per_column)
    except (NoLivePicture, ImageUnsuitable) as error:
        problem = problem_of(error, language, f"/cameras/{lane}")
        return _camera_page(request, live, setting_up, at, language, may=True, problem=problem)
    told = {"mean_grey": blank.mean_grey, "evenness": [blank.evenness_before, blank.evenness_after]}
    kept = _keep(here, at, "flat_field", blank.png, told, by=caller.person, now=access.now())
    setting_up.recorded(at, kept.name, blank)
    return RedirectResponse(_address(at, stored=kept.name), HTTPStatus.SEE_OTHER)


@router.get("/cameras/{lane}/calibration")
def calibration(
    request: Request, setting_up: SettingUpHere, _: Integrator, language: Language, lane: str, view: View = ""
) -> Response:
    return _bench_page(request, setting_up, setting_up.camera(lane, view), language)


@router.post("/cameras/{lane}/calibration/board")
def describe_board(
    setting_up: SettingUpHere,
    _: Integrator,
    lane: str,
    kind: Annotated[Literal["checkerboard", "charuco"], Form()],
    columns: Side,
    rows: Side,
    square_mm: Millimetres,
    tolerance: Annotated[float, Form(ge=0, le=0.05)],
    marker_mm: Annotated[float, Form(gt=0, le=1000)] = 1.0,
    view: View = "",
) -> Response:
    at = setting_up.camera(lane, view)
    # Markers lie within the squares.
    marker = min(marker_mm, 0.95 * square_mm) if kind == "charuco" else None
    setting_up.bench(at).describe(
        Board(columns=columns, rows=rows, square_mm=square_mm, marker_mm=marker, tolerance=tolerance)
    )
    return _to_bench(at)


@router.post("/cameras/{lane}/calibration/take")
def take(
    request: Request,
    live: Live,
    setting_up: SettingUpHere,
    _: Integrator,
    language: Language,
    lane: str,
    view: View = "",
) -> Response:
    """The live picture onto the bench."""
    at = setting_up.camera(lane, view)
    try:
        setting_up.bench(at).add(live_picture(live, at, at=datetime.now(UTC)).jpeg)
    except (NoLivePicture, BenchFull) as error:
        return _bench_page(request, setting_up, at, language, error)
    return _to_bench(at)


@router.post("/cameras/{lane}/calibration/upload")
def upload(
    request: Request,
    setting_up: SettingUpHere,
    _: Integrator,
    language: Language,
    lane: str,
    pictures: Annotated[list[UploadFile], File(max_length=MOST_PICTURES)],
    view: View = "",
) -> Response:
    """All of them, or none where one is no picture, which is named."""
    at = setting_up.camera(lane, view)
    sent = [(one.filename or "", one.file.read()) for one in pictures]
    for name, data in sent:
        try:
            decode_image(data)
        except (ImageUnreadable, ImageUnsuitable) as error:
            return _bench_page(request, setting_up, at, language, error, file=name)
    try:
        setting_up.bench(at).add_all([data for _, data in sent])
    except BenchFull as error:
        return _bench_page(request, setting_up, at, language, error)
    return _to_bench(at)


@router.post("/cameras/{lane}/calibration/remove")
def remove(
    setting_up: SettingUpHere,
    _: Integrator,
    lane: str,
    number: Annotated[int, Form(ge=0, le=10**6)],
    view: View = "",
) -> Response:
    """One picture off the bench; all of them for 0."""
    at = setting_up.camera(lane, view)
    if number:
        setting_up.bench(at).remove(number)
    else:
        setting_up.bench(at).clear()
    return _to_bench(at)


@router.get("/cameras/{lane}/calibration/pictures/{number}")
def bench_picture(
    setting_up: SettingUpHere, _: Integrator, lane: str, number: int, view: View = ""
) -> Response:
    found = setting_up.bench(setting_up.camera(lane, view)).picture(number)
    if found is None:
        raise PageUnknown(
            f"There is no picture {number} on the bench.",
            action="Go back to the calibration.",
            path=f"/cameras/{lane}/calibration/pictures/{number}",
        )
    media = next(
        (kind for begins, kind in MEDIA_TYPES.items() if found.data.startswith(begins)), "image/webp"
    )
    return Response(found.data, media_type=media, headers={"Cache-Control": "private, no-store"})


@router.post("/cameras/{lane}/calibration")
def calibrate(
    request: Request,
    here: Here,
    setting_up: SettingUpHere,
    access: AccessHere,
    caller: Integrator,
    language: Language,
    lane: str,
    keep: Annotated[bool, Form()],
    view: View = "",
) -> Response:
    """What the pictures give; with `keep`, the calibration as a file beside the plant's recipes."""
    at = setting_up.camera(lane, view)
    bench = setting_up.bench(at)
    made = bench.made
    if not keep or made is None or made.calibration is None:
        bench.make()
        return _to_bench(at)
    told = {
        "mm_per_px": made.calibration.mm_per_px,
        "scale_uncertainty": made.calibration.scale_uncertainty,
        "reprojection_px": made.calibration.reprojection_px,
    }
    text = made.calibration.to_toml().encode()
    kept = _keep(here, at, "calibration", text, told, by=caller.person, now=access.now())
    return RedirectResponse(_address(at, stored=kept.name) + "#files", HTTPStatus.SEE_OTHER)


def _keep(
    here: Serving,
    camera: CameraAt,
    kind: str,
    data: bytes,
    told: Mapping[str, object],
    *,
    by: Person,
    now: datetime,
) -> SetUpFile:
    """The file, and who made it in the audit."""
    kept = keep_file(plant_recipes(), camera, kind, data)
    subject = f"camera:{place_of(here.station, str(camera))}"
    with here.store.writing() as connection:
        after = {"file": kept.name, "sha256": kept.sha256, **told}
        note(connection, at=now, by=by, action=f"camera.{kind}", subject=subject, after=after)
    return kept


def _camera_page(
    request: Request,
    live: Live,
    setting_up: SettingUp,
    at: CameraAt,
    language: str,
    *,
    may: bool,
    problem: Problem | None = None,
    stored: str = "",
) -> Response:
    shown = camera_answer(live, setting_up, at)
    files = kept_files(plant_recipes(), at)
    return page(
        request,
        "camera.html",
        status=HTTPStatus.OK if problem is None else problem.status,
        camera=shown,
        failed=_failed(shown, language),
        may=may,
        problem=problem,
        files=files,
        stored=next((one for one in files if one.name == stored), None),
        blank=setting_up.blank(at, stored),
        most_blanks=MOST_BLANKS,
        query=_query(at),
    )


def _bench_page(
    request: Request,
    setting_up: SettingUp,
    at: CameraAt,
    language: str,
    error: InspectionError | None = None,
    *,
    file: str | None = None,
) -> Response:
    """`file`: the one among several for which `error` kept all of them off the bench."""
    bench = setting_up.bench(at)
    return page(
        request,
        "camera_calibration.html",
        status=HTTPStatus.OK if error is None else status_of(error).value,
        camera=at,
        bench=bench_answer(bench, at, language),
        taken=[
            (one, covered(one), problem_of(one.problem, language, "/cameras"))
            for one in sorted(bench.taken, key=lambda one: one.number)
        ],
        problem=problem_of(error, language, "/cameras"),
        file=file,
        most=MOST_PICTURES,
        query=_query(at),
    )


def _doctor(live: LiveState, setting_up: SettingUp, language: str) -> dict[str, Any]:
    now = setting_up.doctor.now
    # Of a camera that a lane here reads nothing can be looked at, which is as it should be: one line says so.
    ours = {
        camera for lane in live.lanes() if lane.condition == "running" for camera in lane.camera.split(", ")
    }
    findings = [
        one
        for one in (() if now is None else now.findings)
        if one.about not in ours or one.severity is not Severity.UNSEEN
    ]
    return {
        "visit": now,
        "visit_problem": None if now is None else problem_of(now.problem, language, "/cameras"),
        "findings": [
            (one, say("web.cameras.read_by_lane", language), None)
            if one.about in ours and (one.code, one.severity) == ("control", Severity.NOTE)
            else (one, said(one, language), mend(one, language))
            for one in findings
        ],
    }


def _failed(camera: CameraAnswer, language: str) -> str | None:
    """Why the lane does not run, and what to do, in the reader's words."""
    if camera.failure is None:
        return None
    try:
        told = explain_code(camera.failure, camera.facts, language)
    except KeyError:
        return say_failure(camera.failure, language)
    return f"{told.what} {told.action}"


def _may(who: Who) -> bool:
    return who is not None and who.may(Right.CONFIGURE)


def _query(at: CameraAt) -> str:
    return f"?{urlencode({'view': at.view})}" if at.view else ""


def _address(at: CameraAt, **more: str) -> str:
    asked = {**({"view": at.view} if at.view else {}), **more}
    return f"/cameras/{quote(at.lane)}" + (f"?{urlencode(asked)}" if asked else "")


def _to_bench(at: CameraAt) -> Response:
    return RedirectResponse(f"/cameras/{quote(at.lane)}/calibration{_query(at)}", HTTPStatus.SEE_OTHER)
