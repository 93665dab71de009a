"""The station's cameras as who sets them up needs them: how they stand, what helps to focus and light them, what the
doctor finds, and what pictures of a board give."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from inspection.errors import InspectionError
from inspection.types import Box
from inspection.vision.calibration import Board, Calibration, EvenScale
from inspection.vision.decoding import decode_image
from inspection.vision.setting_up import aids_of
from services.access import Caller, Right, needs
from services.api.serving import Language, Live
from services.doctor_texts import mend, said
from services.live import LaneNow, LiveState
from services.problems import Problem, problems, status_of
from services.setting_up import (
    Bench,
    CameraAt,
    SettingUp,
    SetUpFile,
    Taken,
    Visit,
    kept_files,
    live_picture,
    newest_of,
    producer_of,
)
from services.text import explain
from station_config import plant_recipes

router = APIRouter(prefix="/cameras", tags=["cameras"])

Integrator = Annotated[Caller, Depends(needs(Right.CONFIGURE))]
View = Annotated[str, Query(max_length=40, description="where several cameras see a unit, which of them")]

UNKNOWN = problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
NOT_FOR_ALL = problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def setting_up_of(request: Request) -> SettingUp:
    found: SettingUp = request.app.state.setting_up
    return found


SettingUpHere = Annotated[SettingUp, Depends(setting_up_of)]


class CameraAnswer(BaseModel):
    """`settings` are those that the station's file gives; `failure` the code of what keeps the
    lane from running. `width_px` and `captured_at` are of the newest picture; null before the first."""

    lane: str
    view: str
    device: str
    driver: str
    settings: dict[str, Any]
    condition: str | None
    failure: str | None
    facts: dict[str, str]
    frames: int
    captured_at: datetime | None
    width_px: int | None
    height_px: int | None


class AidsAnswer(BaseModel):
    """Of the newest live picture, which is a JPEG of what is judged.

    sharpness  without a unit: grows with focus while the scene stays the same
    blur_across_px, blur_along_px  width of the sharpest edges, as a recipe's `max_blur_px` asks for it; null: too few
    evenness   the darkest of 64 strips of columns to the brightest
    saturated, dark  shares of pixels at 250 and above, at 5 and below
    histogram  64 counts of pixels, of four grey levels each
    """

    captured_at: datetime
    sequence: int
    mean_grey: float
    evenness: float
    saturated: float
    dark: float
    blur_across_px: float | None
    blur_along_px: float | None
    sharpness: float
    histogram: list[int]


class BoardAnswer(BaseModel):
    kind: Literal["checkerboard", "charuco"]
    columns: int
    rows: int
    square_mm: float
    marker_mm: float | None
    tolerance: float

    @staticmethod
    def of(board: Board) -> BoardAnswer:
        return BoardAnswer(
            kind="charuco" if board.marker_mm else "checkerboard",
            columns=board.columns,
            rows=board.rows,
            square_mm=board.square_mm,
            marker_mm=board.marker_mm,
            tolerance=board.tolerance,
        )


class TakenAnswer(BaseModel):
    """`covered_px` is what the corners enclose; null where too few were found."""

    number: int
    width_px: int
    height_px: int
    corners: int
    covered_px: Annotated[list[float], Field(min_length=4, max_length=4)] | None

    @staticmethod
    def of(taken: Taken) -> TakenAnswer:
        box = covered(taken)
        return TakenAnswer(
            number=taken.number,
            width_px=taken.width_px,
            height_px=taken.height_px,
            corners=0 if taken.corners is None else len(taken.corners.image_px),
            covered_px=None if box is None else [box.x1, box.y1, box.x2, box.y2],
        )


class ScaleAnswer(BaseModel):
    """`uncertainty` is relative, one standard deviation."""

    x_mm_per_px: float
    y_mm_per_px: float
    uncertainty: float

    @staticmethod
    def of(scale: EvenScale) -> ScaleAnswer:
        return ScaleAnswer(
            x_mm_per_px=scale.x_mm_per_px,
            y_mm_per_px=scale.y_mm_per_px,
            uncertainty=scale.scale_uncertainty,
        )


class CalibrationAnswer(BaseModel):
    mm_per_px: float
    tilt_deg: float
    reprojection_px: float
    scale_uncertainty: float
    pictures: int
    distortion: list[float]

    @staticmethod
    def of(made: Calibration) -> CalibrationAnswer:
        return CalibrationAnswer(
            mm_per_px=made.mm_per_px,
            tilt_deg=made.tilt_deg,
            reprojection_px=made.reprojection_px,
            scale_uncertainty=made.scale_uncertainty,
            pictures=made.pictures,
            distortion=list(made.distortion),
        )


class FileAnswer(BaseModel):
    """What a recipe names: `file` and `sha256`."""

    kind: Literal["calibration", "flat_field"]
    file: str
    sha256: str
    made_at: datetime

    @staticmethod
    def of(kept: SetUpFile) -> FileAnswer:
        kind: Literal["calibration", "flat_field"] = (
            "calibration" if kept.kind == "calibration" else "flat_field"
        )
        return FileAnswer(kind=kind, file=kept.name, sha256=kept.sha256, made_at=kept.made_at)


class BenchAnswer(BaseModel):
    """`problem` says why the pictures gave no calibration; a scale may have come of them all the same."""

    board: BoardAnswer
    pictures: list[TakenAnswer]
    calibration: CalibrationAnswer | None
    scale: ScaleAnswer | None
    problem: Problem | None
    files: list[FileAnswer]


class FindingAnswer(BaseModel):
    """As `lynceus camera doctor --json` tells it."""

    code: str
    severity: str
    about: str
    facts: dict[str, Any]
    said: str
    mend: str | None


class VisitAnswer(BaseModel):
    by: str
    since: datetime
    is_running: bool
    findings: list[FindingAnswer]
    problem: Problem | None

    @staticmethod
    def of(visit: Visit, language: str) -> VisitAnswer:
        return VisitAnswer(
            by=visit.by,
            since=visit.since,
            is_running=visit.is_running,
            findings=[
                FindingAnswer(
                    code=one.code,
                    severity=one.severity.name.lower(),
                    about=one.about,
                    facts=dict(one.facts),
                    said=said(one, language),
                    mend=mend(one, language),
                )
                for one in visit.findings
            ],
            problem=problem_of(visit.problem, language, "/api/v1/cameras/doctor"),
        )


@router.get("", responses=problems(HTTPStatus.NOT_FOUND))
def cameras(live: Live, setting_up: SettingUpHere) -> list[CameraAnswer]:
    """Every camera of the station's file, in its order."""
    return [camera_answer(live, setting_up, camera) for camera in setting_up.cameras]


@router.get("/doctor", responses=NOT_FOR_ALL)
def doctor(setting_up: SettingUpHere, language: Language, _: Integrator) -> VisitAnswer | None:
    """What the camera doctor found, or how it stands; null before it was asked."""
    now = setting_up.doctor.now
    return None if now is None else VisitAnswer.of(now, language)


@router.post(
    "/doctor", status_code=HTTPStatus.ACCEPTED, responses=NOT_FOR_ALL | problems(HTTPStatus.CONFLICT)
)
def call_doctor(setting_up: SettingUpHere, language: Language, caller: Integrator) -> VisitAnswer:
    """Let it look at this computer, its networks, and each camera that no lane reads. Some seconds."""
    setting_up.doctor.start(producer_of(tuple(setting_up.cameras.values())), by=caller.person.title)
    now = setting_up.doctor.now
    assert now is not None
    return VisitAnswer.of(now, language)


@router.get("/{lane}/aids", responses=UNKNOWN | problems(HTTPStatus.CONFLICT))
def aids(live: Live, setting_up: SettingUpHere, lane: str, view: View = "") -> AidsAnswer:
    """Focus and light of the newest live picture."""
    frame = live_picture(live, setting_up.camera(lane, view), at=datetime.now(UTC))
    found = aids_of(decode_image(frame.jpeg))
    return AidsAnswer(
        captured_at=frame.captured_at,
        sequence=frame.result.sequence,
        mean_grey=found.health.mean_grey,
        evenness=found.health.evenness,
        saturated=found.health.saturated,
        dark=found.dark,
        blur_across_px=found.health.blur_across_px,
        blur_along_px=found.health.blur_along_px,
        sharpness=found.sharpness,
        histogram=list(found.histogram),
    )


@router.get("/{lane}/bench", responses=UNKNOWN | NOT_FOR_ALL)
def bench(
    setting_up: SettingUpHere, language: Language, _: Integrator, lane: str, view: View = ""
) -> BenchAnswer:
    """The pictures of a board that lie on a camera's bench, what they gave, and the files made for the camera."""
    camera = setting_up.camera(lane, view)
    return bench_answer(setting_up.bench(camera), camera, language)


def camera_answer(live: LiveState, setting_up: SettingUp, camera: CameraAt) -> CameraAnswer:
    settings = setting_up.cameras[camera]
    now = live.of_lane(camera.lane) or LaneNow(lane=camera.lane)
    newest = newest_of(now, camera)
    given = settings.model_dump(mode="json", exclude_unset=True, exclude={"driver"})
    device = next((str(given[key]) for key in ("serial", "device", "folder") if given.get(key)), "")
    facts: Mapping[str, object] = now.facts or {}
    return CameraAnswer(
        lane=camera.lane,
        view=camera.view,
        device=device,
        driver=settings.driver,
        settings=given,
        condition=now.condition,
        failure=now.failure,
        facts={name: str(fact) for name, fact in facts.items()},
        frames=now.frames,
        captured_at=None if newest is None else newest.captured_at,
        width_px=None if newest is None else newest.width_px,
        height_px=None if newest is None else newest.height_px,
    )


def bench_answer(bench: Bench, camera: CameraAt, language: str) -> BenchAnswer:
    made = bench.made
    calibration = None if made is None else made.calibration
    scale = None if made is None else made.scale
    return BenchAnswer(
        board=BoardAnswer.of(bench.board),
        pictures=[TakenAnswer.of(one) for one in bench.taken],
        calibration=None if calibration is None else CalibrationAnswer.of(calibration),
        scale=None if scale is None else ScaleAnswer.of(scale),
        problem=None
        if made is None
        else problem_of(made.problem, language, f"/api/v1/cameras/{camera.lane}/bench"),
        files=[FileAnswer.of(one) for one in kept_files(plant_recipes(), camera)],
    )


def covered(taken: Taken) -> Box | None:
    """What the corners in a picture enclose, px."""
    if taken.corners is None:
        return None
    (x1, y1), (x2, y2) = taken.corners.image_px.min(axis=0), taken.corners.image_px.max(axis=0)
    return Box(float(x1), float(y1), float(x2), float(y2))


def problem_of(error: InspectionError | None, language: str, instance: str) -> Problem | None:
    if error is None:
        return None
    told = explain(error, language)
    return Problem(
        type=f"urn:lynceus:error:{told.code}",
        title=told.what,
        status=status_of(error).value,
        instance=instance,
        code=told.code,
        action=told.action,
    )
