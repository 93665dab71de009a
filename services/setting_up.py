"""Setting a camera up from a page: what the doctor says, pictures of a board made into a scale or a calibration, and
an even surface made into a flat field.

What comes of it are files beside the plant's recipes, under a name with their digest: nothing uses them until a recipe
names them.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from cameras.doctor.judging import Finding
from cameras.producers import Producer
from cameras.recording import png_of
from cameras.settings import CameraSettings, GenicamSettings
from inspection.errors import InspectionError
from inspection.types import Image
from inspection.vision.calibration import (
    Board,
    BoardNotFound,
    Calibration,
    CalibrationRefused,
    Corners,
    EvenScale,
    calibrate,
    scale_of,
)
from inspection.vision.correction import FlatField
from inspection.vision.decoding import decode_image
from inspection.vision.health import health_of
from services.live import LaneNow, LiveState
from services.station.messages import FrameSeen
from station_config import LaneSettings

logger = logging.getLogger(__name__)

MOST_PICTURES: Final = 20
"""Of a board: OpenCV's fit gains nothing from more, and each is kept in memory."""

FRESH: Final = timedelta(seconds=15)
"""A live picture that is older shows what is no more."""

MOST_BLANKS: Final = 32
BLANKS_WITHIN_S: Final = 20.0
DOCTOR_TAKES_S: Final = 60.0
DOCTOR_WATCHES_S: Final = 1.0
"""Of pictures of each camera that is free; one that a lane reads is left alone."""


class CameraUnknown(InspectionError):
    """The lane has no camera of that view. Facts: camera, cameras."""

    code = "SVC-CAMERA-UNKNOWN"


class NoLivePicture(InspectionError):
    """The camera shows nothing new. Facts: camera, seen, needed."""

    code = "SVC-NO-LIVE-PICTURE"


class BenchFull(InspectionError):
    """As many pictures of a board as are of use. Facts: most, there, more."""

    code = "SVC-BENCH-FULL"


class DoctorBusy(InspectionError):
    """It is looking already. Facts: by."""

    code = "SVC-DOCTOR-BUSY"


class DoctorFailed(InspectionError):
    """It did not come to an end. Facts: reason."""

    code = "SVC-DOCTOR-FAILED"


@dataclass(frozen=True, slots=True, order=True)
class CameraAt:
    """A camera by its place: the lane, and where several see a unit the recipe's view; else an empty view."""

    lane: str
    view: str = ""

    def __str__(self) -> str:
        return f"{self.lane}-{self.view}" if self.view else self.lane


def cameras_of(lanes: Sequence[LaneSettings]) -> dict[CameraAt, CameraSettings]:
    """Every camera of a station with its settings, in the order of the lanes."""
    found: dict[CameraAt, CameraSettings] = {}
    for lane in lanes:
        if lane.camera is not None:
            found[CameraAt(lane.name)] = lane.camera
        found |= {CameraAt(lane.name, view): camera for view, camera in lane.cameras.items()}
    return found


# --- live pictures


def newest_of(now: LaneNow | None, camera: CameraAt) -> FrameSeen | None:
    """The newest frame of the camera that has a picture; None where there is none."""
    frame = None if now is None else now.view_frames.get(camera.view) if camera.view else now.frame
    return None if frame is None or not frame.jpeg else frame


def live_picture(live: LiveState, camera: CameraAt, *, at: datetime) -> FrameSeen:
    """Raises NoLivePicture where there is none, or only an old one."""
    frame = newest_of(live.of_lane(camera.lane), camera)
    if frame is None or at - frame.captured_at > FRESH:
        raise _no_picture(camera, seen=0, needed=1)
    return frame


def live_pictures(live: LiveState, camera: CameraAt, count: int) -> tuple[Image, ...]:
    """So many pictures of one size, each of another frame, as they come: what came before the size changed is left out.
    Raises NoLivePicture after BLANKS_WITHIN_S."""
    found: dict[datetime, Image] = {}
    newest: datetime | None = None
    until_s = time.monotonic() + BLANKS_WITHIN_S
    while len(found) < count:
        if time.monotonic() > until_s:
            raise _no_picture(camera, seen=len(found), needed=count)
        frame = newest_of(live.of_lane(camera.lane), camera)
        if frame is None or frame.captured_at == newest:
            time.sleep(0.05)
            continue
        newest = frame.captured_at
        if datetime.now(UTC) - newest <= FRESH:
            picture = decode_image(frame.jpeg)
            if any(one.shape != picture.shape for one in found.values()):
                found.clear()
            found[newest] = picture
    return tuple(found.values())


def _no_picture(camera: CameraAt, *, seen: int, needed: int) -> NoLivePicture:
    return NoLivePicture(
        f"The camera {camera} showed {seen} new pictures, {needed} are needed.",
        action="See on the station's page why it gives none: lost, or nothing triggers it.",
        camera=str(camera),
        seen=seen,
        needed=needed,
    )


# --- a board on the bench


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A picture of a board, with the corners found in it, or why there are none."""

    number: int
    data: bytes
    width_px: int
    height_px: int
    corners: Corners | None
    problem: InspectionError | None

    def image(self) -> Image:
        return decode_image(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What the pictures gave: a calibration of the lens, or of one picture the scale alone, or why neither."""

    calibration: Calibration | None = None
    scale: EvenScale | None = None
    problem: InspectionError | None = None


DEFAULT_BOARD: Final = Board(columns=12, rows=9, square_mm=10.0)


@dataclass(slots=True)
class Bench:
    """The board and the pictures of one camera. Safe to use from any thread."""

    board: Board = DEFAULT_BOARD
    taken: tuple[Taken, ...] = ()
    made: Made | None = None
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def describe(self, board: Board) -> None:
        """Another board: its corners are looked for anew in all pictures."""
        with self._lock:
            self.board, self.made = board, None
            self.taken = tuple(_looked_at(one.number, one.data, board) for one in self.taken)

    def add(self, data: bytes) -> Taken:
        """Raises BenchFull, ImageUnreadable, ImageUnsuitable."""
        return self.add_all([data])[0]

    def add_all(self, pictures: Sequence[bytes]) -> tuple[Taken, ...]:
        """All of them or, where one is refused, none: who sends them again must not find the first ones there twice.

        Raises BenchFull, ImageUnreadable, ImageUnsuitable.
        """
        with self._lock:
            if len(self.taken) + len(pictures) > MOST_PICTURES:
                raise BenchFull(
                    f"There are {len(self.taken)} pictures, {len(pictures)} more are too many: "
                    f"{MOST_PICTURES} are of use.",
                    action="Take out those that show least.",
                    most=MOST_PICTURES,
                    there=len(self.taken),
                    more=len(pictures),
                )
            found = tuple(
                _looked_at(number, data, self.board) for number, data in enumerate(pictures, self._count + 1)
            )
            self._count += len(found)
            self.taken, self.made = (*self.taken, *found), None
            return found

    def remove(self, number: int) -> None:
        with self._lock:
            self.taken, self.made = tuple(one for one in self.taken if one.number != number), None

    def clear(self) -> None:
        with self._lock:
            self.taken, self.made, self._count = (), None, 0

    def picture(self, number: int) -> Taken | None:
        return next((one for one in self.taken if one.number == number), None)

    def make(self) -> Made:
        """The lens from all pictures that show the board; the scale from the first of them, where it is one number."""
        with self._lock:
            good = [one for one in self.taken if one.corners is not None]
            calibration = scale = problem = None
            try:
                calibration = calibrate([one.image() for one in good], self.board)
            except (CalibrationRefused, BoardNotFound) as error:
                problem = error
            for one in good[:1]:
                assert one.corners is not None
                try:
                    scale = scale_of(one.corners, tolerance=self.board.tolerance)
                except CalibrationRefused as error:
                    problem = problem or error
            self.made = Made(calibration=calibration, scale=scale, problem=problem)
            return self.made


def _looked_at(number: int, data: bytes, board: Board) -> Taken:
    image = decode_image(data)
    corners, problem = None, None
    try:
        corners = board.find(image, picture=number)
    except BoardNotFound as error:
        problem = error
    height, width = image.shape[:2]
    return Taken(number=number, data=data, width_px=width, height_px=height, corners=corners, problem=problem)


# --- an even surface


@dataclass(frozen=True, slots=True, kw_only=True)
class Blank:
    """The mean of several pictures of an even surface, as PNG, and how even it is before and after its own gain."""

    png: bytes
    pictures: int
    mean_grey: float
    evenness_before: float
    evenness_after: float


def blank_of(pictures: Sequence[Image], *, per_column: bool) -> Blank:
    """Of pictures of one size. Raises ImageUnsuitable where they say nothing of the lamp."""
    grey = [
        np.asarray(one if one.ndim == 2 else cv2.cvtColor(one, cv2.COLOR_BGR2GRAY), np.uint8)
        for one in pictures
    ]
    mean = np.rint(np.mean(np.stack(grey), axis=0)).astype(np.uint8)
    corrected = FlatField.from_blank(mean, per_column=per_column).correct(mean)
    return Blank(
        png=png_of(mean),
        pictures=len(pictures),
        mean_grey=float(mean.mean()),
        evenness_before=health_of(mean).evenness,
        evenness_after=health_of(corrected).evenness,
    )


# --- files beside the plant's recipes


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUpFile:
    """A file for a recipe to name. `kind` is calibration or flat_field."""

    kind: str
    name: str
    sha256: str
    made_at: datetime


SUFFIXES: Final = {"calibration": ".calibration", "flat_field": ".flat.png"}


def keep_file(folder: Path, camera: CameraAt, kind: str, data: bytes) -> SetUpFile:
    """Under the camera's name and the beginning of its digest; the same bytes once."""
    digest = hashlib.sha256(data).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{camera}-{digest[:8]}{SUFFIXES[kind]}"
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(data)
    new.replace(file)
    return _set_up(file, kind)


def kept_files(folder: Path, camera: CameraAt) -> tuple[SetUpFile, ...]:
    """All that were made for the camera, newest first."""
    found = [
        _set_up(file, kind)
        for kind, suffix in SUFFIXES.items()
        for file in folder.glob(f"{camera}-????????{suffix}")
    ]
    return tuple(sorted(found, key=lambda one: (one.made_at, one.name), reverse=True))


def _set_up(file: Path, kind: str) -> SetUpFile:
    return SetUpFile(
        kind=kind,
        name=file.name,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        made_at=datetime.fromtimestamp(file.stat().st_mtime, UTC),
    )


# --- the doctor


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One look of the doctor's, being made or made."""

    by: str
    since: datetime
    is_running: bool = True
    findings: tuple[Finding, ...] = ()
    problem: InspectionError | None = None


def producer_of(cameras: Sequence[CameraSettings]) -> Producer:
    """Through which the doctor opens cameras: as the first of the station's that has one, else our own."""
    return next((one.producer for one in cameras if isinstance(one, GenicamSettings)), "lynceus")


def look_apart(producer: Producer) -> tuple[Finding, ...]:
    """The doctor's findings, from a process of its own: what a vendor's library does ends with that.

    Raises DoctorFailed after DOCTOR_TAKES_S.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_look, args=(producer, theirs), name="doctor", daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(DOCTOR_TAKES_S):
            raise _failed(f"no answer within {DOCTOR_TAKES_S:g} s")
        found: tuple[Finding, ...] = ours.recv()
        return found
    except EOFError as error:
        raise _failed("its process ended") from error
    finally:
        ours.close()
        process.kill()
        process.join()


def _look(producer: Producer, to: Connection) -> None:
    # Imported where it is needed: what it imports may not be installed where no camera is.
    from cameras.doctor.judging import judge
    from cameras.doctor.looking import look

    to.send(judge(look(producer, wanted=None, seconds=DOCTOR_WATCHES_S)))


def _failed(reason: str) -> DoctorFailed:
    return DoctorFailed(
        f"The camera doctor gave no answer: {reason}.",
        action="Ask from a terminal, which shows more: lynceus camera doctor.",
        reason=reason,
    )


@dataclass(slots=True)
class Doctor:
    """Looks once at a time, on a thread of its own, and keeps the last findings. Safe to use from any thread."""

    look: Callable[[Producer], tuple[Finding, ...]] = look_apart
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _now: Visit | None = None

    @property
    def now(self) -> Visit | None:
        return self._now

    def start(self, producer: Producer, *, by: str) -> None:
        """Raises DoctorBusy."""
        with self._lock:
            if self._now is not None and self._now.is_running:
                raise DoctorBusy(
                    f"The doctor is looking already, for {self._now.by}.",
                    action="Wait for what it finds.",
                    by=self._now.by,
                )
            self._now = Visit(by=by, since=datetime.now(UTC))
        threading.Thread(target=self._work, args=(producer,), name="doctor", daemon=True).start()

    def _work(self, producer: Producer) -> None:
        try:
            self._change(findings=self.look(producer), is_running=False)
        except InspectionError as error:
            self._change(problem=error, is_running=False)
        except Exception as error:
            logger.exception("The doctor failed")
            self._change(problem=_failed(f"{type(error).__name__}: {error}"), is_running=False)

    def _change(self, **changes: Any) -> None:
        with self._lock:
            if self._now is not None:
                self._now = replace(self._now, **changes)


@dataclass(slots=True)
class SettingUp:
    """All that is being set up at a station: its cameras, what lies on each one's bench, and the doctor."""

    cameras: dict[CameraAt, CameraSettings]
    doctor: Doctor = field(default_factory=Doctor)
    _benches: dict[CameraAt, Bench] = field(default_factory=dict)
    _blanks: dict[CameraAt, tuple[str, Blank]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def camera(self, lane: str, view: str = "") -> CameraAt:
        """Raises CameraUnknown."""
        asked = CameraAt(lane, view)
        if asked not in self.cameras:
            there = ", ".join(str(one) for one in self.cameras) or "–"
            raise CameraUnknown(
                f"There is no camera {asked} here; there are: {there}.",
                action="Choose one of these.",
                camera=str(asked),
                cameras=there,
            )
        return asked

    def bench(self, camera: CameraAt) -> Bench:
        with self._lock:
            return self._benches.setdefault(camera, Bench())

    def recorded(self, camera: CameraAt, file: str, blank: Blank) -> None:
        """The flat field that was just kept as `file`."""
        with self._lock:
            self._blanks[camera] = (file, blank)

    def blank(self, camera: CameraAt, file: str) -> Blank | None:
        """What `file` was made of, where it is the last one recorded since the service began; else None."""
        name, blank = self._blanks.get(camera, ("", None))
        return blank if name == file else None
