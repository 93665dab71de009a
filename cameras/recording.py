"""A recorded run on disk: a folder with pictures and `run.jsonl`, which says what each of them is.

The first line is the header, `{"lynceus_run": 1}`; each further line is one frame, written after its picture.
So after a power cut at worst the last line is cut off, and what is before it holds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self, TypeVar

import cv2
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from cameras.errors import RunUnreadable
from inspection.types import Frame, Image

MANIFEST = "run.jsonl"
PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


_L = TypeVar("_L", bound=_Line)


class _Header(_Line):
    lynceus_run: Literal[1]


class RecordedFrame(_Line):
    """A frame as its line says it: `file` inside the run's folder, `channels` 1 for grey and 3 for BGR."""

    file: Annotated[str, Field(min_length=1)]
    camera: str
    sequence: Annotated[int, Field(ge=0)]
    captured_at: AwareDatetime
    device_time_ns: int | None = None
    y_origin_mm: float = 0.0
    trigger: int | None = None
    channels: Literal[1, 3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A recorded run. `is_cut_off`: it ends in the middle of a line, whose frame is not in `frames`."""

    folder: Path
    frames: tuple[RecordedFrame, ...]
    is_cut_off: bool


class Recorder:
    """Writes one camera's frames into a new folder. Raises OSError: no space, no right, already there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written = 0

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        self._manifest = (self._folder / MANIFEST).open("x", encoding="utf-8")
        self._say(_Header(lynceus_run=1))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._manifest:
            self._manifest.flush()
            os.fsync(self._manifest.fileno())

    def write(self, frame: Frame) -> None:
        name = f"{self._written:08d}.png"
        (self._folder / name).write_bytes(png_of(frame.pixels))
        self._say(
            RecordedFrame(
                file=name,
                camera=frame.camera,
                sequence=frame.sequence,
                captured_at=frame.captured_at,
                device_time_ns=frame.device_time_ns,
                y_origin_mm=frame.y_origin_mm,
                trigger=frame.trigger,
                channels=1 if frame.pixels.ndim == 2 else 3,
            )
        )
        self._written += 1

    def _say(self, line: _Line) -> None:
        self._manifest.write(line.model_dump_json() + "\n")
        self._manifest.flush()


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
    _read(_Header, whole[0], manifest, 1)
    frames: list[RecordedFrame] = []
    for number, line in enumerate(whole[1:], start=2):
        frame = _read(RecordedFrame, line, manifest, number)
        if not (folder / frame.file).resolve().is_relative_to(folder.resolve()):
            raise unreadable(manifest, f"line {number}: file {frame.file!r} lies outside the folder")
        if frames and frame.sequence <= frames[-1].sequence:
            raise unreadable(
                manifest, f"line {number}: sequence {frame.sequence} after {frames[-1].sequence}"
            )
        frames.append(frame)
    return Run(folder=folder, frames=tuple(frames), is_cut_off=rest != b"")


def pictures_in(folder: Path) -> tuple[Path, ...]:
    """The pictures of a plain folder, by name. Raises RunUnreadable where it is no folder."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise unreadable(folder, error.strerror or str(error)) from error
    return tuple(entry for entry in entries if entry.suffix.lower() in PICTURES and entry.is_file())


def png_of(pixels: Image) -> bytes:
    """PNG, quickly rather than small: a recording must keep up with its camera."""
    done, png = cv2.imencode(".png", pixels, (cv2.IMWRITE_PNG_COMPRESSION, 1))
    if not done:
        raise ValueError(f"no PNG can be made of {pixels.dtype} {pixels.shape}")
    return png.tobytes()


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
