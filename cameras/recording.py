"""A recorded run on disk: a folder with the frames and `run.jsonl`, which says what each of them is.

The first line is the header: version, camera, and how it was set. Each further line is one frame, written after its
file; the last one says that the recording was ended. So after a power cut at worst the last line is cut off, what
is before it holds, and it shows that the end is missing.
"""

from __future__ import annotations

import gzip
import io
import logging
import os
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Annotated, Literal, Self, TypeVar

import cv2
import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from cameras.errors import CameraLost, RunUnreadable, RunUnwritable
from cameras.handing import HandOver
from inspection.errors import ImageUnreadable
from inspection.types import Frame, Image
from inspection.vision.decoding import MAX_PIXELS, MIN_SIDE_PX, decode_image

logger = logging.getLogger(__name__)

MANIFEST = "run.jsonl"
PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

ARRAY = ".npy.gz"
"""Of a frame that no reader of pictures takes: a probe's one row of samples, a line scan of few lines."""

PNG_SIDE_PX = 1_000_000
"""Source: PNG_USER_WIDTH_MAX and PNG_USER_HEIGHT_MAX of libpng 1.6, which OpenCV writes with."""

WAITING_BYTES = 256 * 2**20
"""Pixels that may wait for a slow disk. Beyond it frames are lost, and counted, rather than memory."""

_END = b'{"frames":'

_ENCODERS = 2
"""Threads that make files of frames. OpenCV and zlib let Python run meanwhile."""


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


_L = TypeVar("_L", bound=BaseModel)

Number = int | Annotated[float, Field(allow_inf_nan=True)]


class _Version(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    lynceus_run: Literal[1, 2]


class _HeaderOf1(_Line):
    lynceus_run: Literal[1]


class _Header(_Line):
    lynceus_run: Literal[2]
    settings: dict[str, JsonValue] = {}
    device: dict[str, Number | str] = {}


class _End(_Line):
    """`lost` frames came and were not written."""

    frames: Annotated[int, Field(ge=0)]
    lost: Annotated[int, Field(ge=0)]


class RecordedFrame(_Line):
    """A frame as its line says it: `file` inside the run's folder, `channels` 1 for grey and 3 for BGR.

    first_sequence  as of Frame; older recordings do not have it
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants")

    file: Annotated[str, Field(min_length=1)]
    camera: str
    sequence: Annotated[int, Field(ge=0)]
    captured_at: AwareDatetime
    device_time_ns: int | None = None
    y_origin_mm: float = 0.0
    trigger: int | None = None
    chunks: dict[str, Number] = {}
    first_sequence: Annotated[int, Field(ge=0)] | None = None
    channels: Literal[1, 3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A recorded run.

    settings    the camera's table in the station's file; empty where it was not recorded
    device      what the device had, by standard name, when the recording began
    lost        frames that came and were not written; None where nobody said
    is_cut_off  it ends in the middle of a line, whose frame is not in `frames`, or without its end
    """

    folder: Path
    frames: tuple[RecordedFrame, ...]
    is_cut_off: bool
    settings: Mapping[str, JsonValue] = field(default_factory=dict)
    device: Mapping[str, int | float | str] = field(default_factory=dict)
    lost: int | None = None


class Recorder:
    """Writes one camera's frames into a new folder.

    settings, device  as of Run
    lost              frames that the caller could not have written: to be set before leaving

    Raises RunUnwritable: no space, no right, already there. What was written before can be played.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, JsonValue] | None = None,
        device: Mapping[str, int | float | str] | None = None,
    ) -> None:
        self._folder = folder
        self._header = _Header(lynceus_run=2, settings=dict(settings or {}), device=dict(device or {}))
        self.written = 0
        self.lost = 0

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True)
            self._manifest = os.open(self._folder / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except OSError as error:
            raise unwritable(self._folder, error, written=0) from error
        self._manifest_bytes = 0
        self._failure: RunUnwritable | None = None
        try:
            self._say(self._header)
        except OSError as error:
            os.close(self._manifest)
            raise unwritable(self._folder, error, written=0) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._failure is None:
                self._say(_End(frames=self.written, lost=self.lost))
                os.fsync(self._manifest)
        except OSError as unwritten:
            raise unwritable(self._folder, unwritten, written=self.written) from unwritten
        finally:
            os.close(self._manifest)

    def write(self, frame: Frame) -> None:
        self.write_file(frame, file_of(frame.pixels))

    def write_file(self, frame: Frame, data: bytes) -> None:
        """`data` is what `file_of` makes of the frame's pixels, wherever that was done."""
        if self._failure is not None:
            raise self._failure
        name = f"{self.written:08d}{'.png' if _is_picture(frame.pixels) else ARRAY}"
        picture = self._folder / name
        try:
            picture.write_bytes(data)
            self._say(_recorded(frame, name))
        except OSError as error:
            self._failure = unwritable(self._folder, error, written=self.written)
            with suppress(OSError):
                # Half a picture is none, and its space may be what the log needs.
                picture.unlink()
            raise self._failure from error
        self.written += 1

    def _say(self, line: _Line) -> None:
        """A whole line or none of it: a full disk leaves no half one behind."""
        said = line.model_dump_json().encode() + b"\n"
        left = memoryview(said)
        try:
            while left:
                left = left[os.write(self._manifest, left) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._manifest, self._manifest_bytes)
                os.lseek(self._manifest, 0, os.SEEK_END)
            raise
        self._manifest_bytes += len(said)

    def unwritable(self, error: Exception) -> RunUnwritable:
        """That the recording ends here because of this."""
        failure = unwritable(self._folder, error, written=self.written)
        failure.__cause__ = error
        return failure


class BackgroundRecorder:
    """A recorder that never keeps its camera waiting: frames wait in memory, and a thread writes them.

    When more than `waiting_bytes` of pixels wait, a frame is not written and counts as lost: a hole in `sequence`.
    Leaving writes what waits, and raises RunUnwritable where not all of that could be done, whatever the reason.
    """

    def __init__(self, recorder: Recorder, *, waiting_bytes: int = WAITING_BYTES) -> None:
        self._recorder = recorder
        self._waiting_bytes = waiting_bytes
        self._queue: HandOver[tuple[Frame, Future[bytes]]] = HandOver()
        self._queued_bytes = 0
        self._unwritten_last: Frame | None = None
        self._last: int | None = None
        self._failure: RunUnwritable | None = None
        self.lost = 0

    def __enter__(self) -> Self:
        self._recorder.__enter__()
        self._encoders = ThreadPoolExecutor(_ENCODERS, thread_name_prefix="files")
        self._writer = Thread(target=self._write_all, name="recording", daemon=True)
        self._writer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._queue.end()
        self._writer.join()
        self._encoders.shutdown(cancel_futures=True)
        if self._failure is None and self._unwritten_last is not None:
            # Were the last of all left out, no hole would show that anything was lost.
            with suppress(RunUnwritable):
                self._recorder.write(self._unwritten_last)
                self.lost -= 1
        self._recorder.lost = self.lost
        self._recorder.__exit__(kind, error, trace)
        if self._failure is not None and error is None:
            raise self._failure

    @property
    def written(self) -> int:
        return self._recorder.written

    def take(self, frame: Frame) -> bool:
        """Whether there was room for it.

        Raises RunUnwritable once the disk has failed, and CameraLost for a frame that is not after the one before it: a
        run has one count, and how many are missing nobody knows.
        """
        with self._queue.changed:
            if self._failure is not None:
                self.lost += 1
                raise self._failure
            if self._last is not None and frame.sequence <= self._last:
                self.lost += 1
                raise _began_anew(frame, last=self._last)
            self._last = frame.sequence
            if self._queue.waiting and self._queued_bytes + frame.pixels.nbytes > self._waiting_bytes:
                self.lost += 1
                self._unwritten_last = frame
                return False
            self._unwritten_last = None
            self._queue.put((frame, self._encoders.submit(file_of, frame.pixels)))
            self._queued_bytes += frame.pixels.nbytes
            return True

    def _write_all(self) -> None:
        for frame, data in self._waiting():
            try:
                self._recorder.write_file(frame, data.result())
            except RunUnwritable as error:
                self._fail(error)
                return
            except Exception as error:
                # Raised where frames come in, and at the end, as what a disk refuses; what it was stands in the log.
                logger.exception("Frame %s of %s cannot be made a file", frame.sequence, frame.camera)
                self._fail(self._recorder.unwritable(error))
                return
            with self._queue.changed:
                self._queue.waiting.popleft()
                self._queued_bytes -= frame.pixels.nbytes

    def _fail(self, failure: RunUnwritable) -> None:
        with self._queue.changed:
            self._failure = failure
            self.lost += len(self._queue.waiting)
            self._queue.waiting.clear()

    def _waiting(self) -> Iterator[tuple[Frame, Future[bytes]]]:
        """The oldest that waits, until the end. It stays in the queue, and in its bytes, until it is written."""
        while True:
            with self._queue.changed:
                self._queue.wait()
                if not self._queue.waiting:
                    return
                oldest = self._queue.waiting[0]
            yield oldest


def read_run(folder: Path) -> Run:
    """The manifest of a recorded run. Raises RunUnreadable, with file and line."""
    manifest = folder / MANIFEST
    try:
        lines = manifest.read_bytes().split(b"\n")
    except OSError as error:
        raise unreadable(manifest, error.strerror or str(error)) from error
    # What follows the last line end is nothing, or a line that was never finished.
    *whole, rest = lines
    if not whole:
        raise unreadable(manifest, "line 1: no header")
    header: _Header | None = None
    if _read(_Version, whole[0], manifest, 1).lynceus_run == 2:
        header = _read(_Header, whole[0], manifest, 1)
    else:
        _read(_HeaderOf1, whole[0], manifest, 1)
    ends = header is not None and len(whole) > 1 and whole[-1].startswith(_END)
    end = _read(_End, whole[-1], manifest, len(whole)) if ends else None
    frames: list[RecordedFrame] = []
    for number, line in enumerate(whole[1 : len(whole) - ends], start=2):
        frame = _read(RecordedFrame, line, manifest, number)
        if not (folder / frame.file).resolve().is_relative_to(folder.resolve()):
            raise unreadable(manifest, f"line {number}: file {frame.file!r} lies outside the folder")
        if frames and frame.sequence <= frames[-1].sequence:
            raise unreadable(
                manifest, f"line {number}: sequence {frame.sequence} after {frames[-1].sequence}"
            )
        frames.append(frame)
    if end is not None and end.frames != len(frames):
        raise unreadable(manifest, f"line {len(whole)}: {end.frames} frames said, {len(frames)} there")
    return Run(
        folder=folder,
        frames=tuple(frames),
        is_cut_off=rest != b"" or (header is not None and end is None),
        settings={} if header is None else header.settings,
        device={} if header is None else header.device,
        lost=None if end is None else end.lost,
    )


def pictures_in(folder: Path) -> tuple[Path, ...]:
    """The pictures of a plain folder, by name. Raises RunUnreadable where it is no folder."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise unreadable(folder, error.strerror or str(error)) from error
    return tuple(entry for entry in entries if entry.suffix.lower() in PICTURES and entry.is_file())


def file_of(pixels: Image) -> bytes:
    """What a frame is kept as: PNG or, where that could not be read back as a picture, the array itself.

    Raises ValueError for what is none of 8 bits.
    """
    if _is_picture(pixels):
        return png_of(pixels)
    if pixels.dtype != np.uint8:
        raise ValueError(f"no file can be made of {pixels.dtype} {pixels.shape}")
    array = io.BytesIO()
    np.save(array, pixels, allow_pickle=False)
    # For its checksum, above all.
    return gzip.compress(array.getvalue(), compresslevel=1)


def pixels_of(data: bytes, recorded: RecordedFrame | None) -> Image:
    """A frame as it was recorded; of a picture that no run tells of, as it is. Read-only.

    Raises ImageUnreadable and ImageUnsuitable.
    """
    is_array = recorded is not None and recorded.file.endswith(ARRAY)
    pixels = _array_of(data) if is_array else decode_image(data)
    if recorded is not None and recorded.channels == 3 and pixels.ndim == 2:
        # A colour frame that happens to be grey decodes to one channel; what was recorded had three.
        pixels = np.repeat(pixels[..., np.newaxis], 3, axis=2)
    pixels.setflags(write=False)
    return pixels


def _array_of(data: bytes) -> Image:
    try:
        pixels = np.load(io.BytesIO(gzip.decompress(data)), allow_pickle=False)
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
            raise ValueError(f"an array of {pixels.dtype} {pixels.shape}")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ImageUnreadable(
            f"The file is no complete frame ({len(data)} bytes: {error}).",
            action="Copy it again from its source.",
            bytes=len(data),
            why=str(error),
        ) from error
    return np.asarray(pixels)


def _is_picture(pixels: Image) -> bool:
    """Whether `decode_image` gives back the PNG that OpenCV makes of it."""
    height, width = pixels.shape[:2]
    is_in_bounds = min(height, width) >= MIN_SIDE_PX and max(height, width) <= PNG_SIDE_PX
    return pixels.dtype == np.uint8 and is_in_bounds and height * width <= MAX_PIXELS


def png_of(pixels: Image) -> bytes:
    """PNG, quickly rather than small: a recording must keep up with its camera.

    No compression level is given: with one, OpenCV leaves its fast strategy (benchmarks/cameras/recording.py:
    48 MB/s instead of 115, and larger).
    """
    done, png = cv2.imencode(".png", pixels)
    if not done:
        raise ValueError(f"no PNG can be made of {pixels.dtype} {pixels.shape}")
    return png.tobytes()


def unwritable(folder: Path, error: Exception, *, written: int) -> RunUnwritable:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return RunUnwritable(
        f"The recording {folder} cannot be written: {reason}. {written} frames are in it.",
        action="Free the disk, or give a new folder on another one.",
        folder=str(folder),
        reason=reason,
        written=written,
    )


def _began_anew(frame: Frame, *, last: int) -> CameraLost:
    reason = f"its frame count went from {last} back to {frame.sequence}"
    return CameraLost(
        f"Camera {frame.camera} was lost: {reason}.",
        action="Check power and cable; record on into a new folder.",
        camera=frame.camera,
        reason=reason,
    )


def _recorded(frame: Frame, file: str) -> RecordedFrame:
    return RecordedFrame(
        file=file,
        camera=frame.camera,
        sequence=frame.sequence,
        captured_at=frame.captured_at,
        device_time_ns=frame.device_time_ns,
        y_origin_mm=frame.y_origin_mm,
        trigger=frame.trigger,
        chunks=dict(frame.chunks),
        first_sequence=frame.first_sequence,
        channels=1 if frame.pixels.ndim == 2 else 3,
    )


def unreadable(file: Path, reason: str) -> RunUnreadable:
    return RunUnreadable(
        f"{file} cannot be played: {reason}.",
        action="Copy the recording again from its source, or take the named file out.",
        file=str(file),
        reason=reason,
    )


def _read(kind: type[_L], line: bytes, manifest: Path, number: int) -> _L:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(key) for key in first["loc"])
        raise unreadable(manifest, f"line {number}: {where or 'JSON'}: {first['msg']}") from error
