"""The sink that tells the service: takes frames off the lane's hands, and makes pictures where the lanes leave time."""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self
from uuid import UUID

import cv2

from cameras.recording import png_of
from inspection.types import Frame, FrameResult, Image, Inspection, InspectionBegun, PictureRef, Verdict
from inspection.vision.decoding import MIN_SIDE_PX
from services.ingredients import software_sha256
from services.station.link import GATHER_S, Courier
from services.station.messages import FrameSeen, Message

logger = logging.getLogger(__name__)

JPEG_QUALITY: Final = 88

FRAMES_WAITING: Final = 32
"""More than this behind, frames are reported without their picture: results must not wait for JPEG."""

_LOOK_S: Final = 0.02
"""So often is it asked whether that many are waiting, while a picture is put off or being made."""

PUT_OFF_S: Final = 0.25
"""While its lane is behind, a picture is begun no sooner: above 130 frames a second so many wait by then that it is
given up, and no work is wasted. No later, either: the result waits for it."""

LIVE_EVERY_S: Final = 0.1
"""A frame that is not kept is made a picture for the live view no more often: 6 ms of a core for 4096 x 1024 px."""

_NICENESS: Final = 10
"""Where the system knows no niceness of a thread, telling takes more."""

Job = InspectionBegun | tuple[InspectionBegun, Frame, FrameResult] | Inspection | None


class Reporter:
    """A Sink. Keeps a picture of every frame that is not accepted or whose code was not read, and of each unit's first.

    keeps_exact  the very pixels that were judged, not a JPEG of them
    clock        seconds, for the live view
    keeps_up     whether the lane keeps up with its camera at this moment
    """

    def __init__(
        self,
        courier: Courier,
        *,
        keeps_exact: bool = False,
        clock: Callable[[], float] = time.monotonic,
        keeps_up: Callable[[], bool] = lambda: True,
    ) -> None:
        self._courier = courier
        self._keeps_exact = keeps_exact
        self._clock = clock
        self._keeps_up = keeps_up
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._pictures: dict[UUID, list[PictureRef]] = {}
        self._next_live_s = 0.0
        self._maker = _PictureMaker()
        self._thread = threading.Thread(target=self._work, name="reporter", daemon=True)

    def __enter__(self) -> Self:
        self._maker.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._jobs.put(None)
        self._thread.join()
        self._maker.leave()

    def unit_begun(self, begun: InspectionBegun) -> None:
        self._jobs.put(begun)

    def frame_done(self, inspection: InspectionBegun, frame: Frame, result: FrameResult) -> None:
        self._jobs.put((inspection, frame, result))

    def unit_done(self, inspection: Inspection) -> None:
        self._jobs.put(inspection)

    def _work(self) -> None:
        with suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while (job := self._jobs.get()) is not None:
            try:
                self._courier.send(self._message(job))
            except Exception:
                # Of a frame the service withholds the unit for it; of a unit it says that its record is late.
                logger.exception("The service could not be told: a mistake of the program")
            if self._jobs.empty():
                time.sleep(GATHER_S)

    def _message(
        self, job: InspectionBegun | tuple[InspectionBegun, Frame, FrameResult] | Inspection
    ) -> Message:
        if isinstance(job, InspectionBegun):
            self._pictures[job.id] = []
            return job
        if isinstance(job, Inspection):
            return replace(job, pictures=tuple(self._pictures.pop(job.id)), software=software_sha256())
        begun, frame, result = job
        shown = frame.pixels if result.picture is None else result.picture
        height, width = (*shown.shape, 0, 0)[:2]
        picture = _NONE
        pictures = self._pictures[begun.id]
        is_code_unread = result.code is not None and result.code.failure is not None
        is_kept = result.verdict is not Verdict.ACCEPT or is_code_unread or not pictures
        if self._jobs.qsize() <= FRAMES_WAITING and (is_kept or self._clock() >= self._next_live_s):
            self._next_live_s = self._clock() + LIVE_EVERY_S
            # Of what a sensor made a picture of, the frame itself is no picture.
            is_exact = self._keeps_exact and is_kept and result.picture is None
            try:
                picture = self._made(lambda: _picture_of(shown, is_kept=is_kept, is_exact=is_exact))
            except Exception:
                # The result and the record go on without it: the line is acting on the verdict.
                logger.exception("No picture can be made of frame %s of %s", frame.sequence, frame.camera)
            if picture.sha256 is not None:
                pictures.append(
                    PictureRef(
                        sha256=picture.sha256,
                        camera=frame.camera,
                        sequence=frame.sequence,
                        width_px=width,
                        height_px=height,
                        y_origin_mm=frame.y_origin_mm,
                        is_exact=bool(picture.exact),
                    )
                )
        return FrameSeen(
            inspection_id=begun.id,
            lane=begun.lane,
            captured_at=frame.captured_at,
            result=replace(result, picture=None),
            jpeg=picture.jpeg,
            width_px=width,
            height_px=height,
            exact=picture.exact,
            sha256=picture.sha256,
        )

    def _made(self, make: Callable[[], _Picture]) -> _Picture:
        """The picture; none of it when more frames than may came to wait before it was made."""
        until_s = time.monotonic() + PUT_OFF_S
        while not self._keeps_up() and time.monotonic() < until_s:
            if self._jobs.qsize() > FRAMES_WAITING:
                return _NONE
            time.sleep(_LOOK_S)
        asked = self._maker.asked(make)
        while not wait([asked], timeout=_LOOK_S).done:
            if self._jobs.qsize() > FRAMES_WAITING:
                asked.cancel()
                return _NONE
        return asked.result()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """What is shown and, where it is kept, by which digest. Nothing of what is no picture."""

    jpeg: bytes = b""
    exact: bytes = b""
    sha256: str | None = None


_NONE: Final = _Picture()


class _PictureMaker:
    """Makes pictures on a thread that runs only while no other wants the core: a JPEG of a frame takes more of it than
    the inspection does. Where the system knows no such threads, it runs like any other."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[tuple[Future[_Picture], Callable[[], _Picture]] | None]
        self._asked = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="pictures", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def asked(self, make: Callable[[], _Picture]) -> Future[_Picture]:
        made: Future[_Picture] = Future()
        self._asked.put((made, make))
        return made

    def leave(self) -> None:
        self._asked.put(None)

    def _work(self) -> None:
        with suppress(OSError, AttributeError):
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
        while (asked := self._asked.get()) is not None:
            made, make = asked
            if not made.set_running_or_notify_cancel():
                continue
            try:
                made.set_result(make())
            except BaseException as error:  # noqa: BLE001 - raised again where the picture is waited for
                made.set_exception(error)


def _picture_of(shown: Image, *, is_kept: bool, is_exact: bool) -> _Picture:
    jpeg = _jpeg_of(shown)
    exact = png_of(shown) if jpeg and is_exact else b""
    sha256 = hashlib.sha256(exact or jpeg).hexdigest() if jpeg and is_kept else None
    return _Picture(jpeg=jpeg, exact=exact, sha256=sha256)


def _jpeg_of(shown: Image) -> bytes:
    """Empty for what is no picture. Raises where none can be made."""
    if min(shown.shape[:2], default=0) < MIN_SIDE_PX:
        # As a waveform is, of which no spectrogram could be made.
        return b""
    is_made, jpeg = cv2.imencode(".jpg", shown, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    if not is_made:
        # A side of more than 65 500 px, which a laser line's frame or a spectrogram may have.
        raise ValueError(f"no JPEG can be made of an array of shape {shown.shape}")
    return jpeg.tobytes()
