"""Pictures from files and recorded runs, each through a pipeline to an inspection. None is passed over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from uuid_utils.compat import uuid7

from cameras.recording import MANIFEST, PICTURES, read_run
from inspection.errors import InspectionError
from inspection.pipeline import Pipeline
from inspection.tally import FRAME_LOST, UnitTally
from inspection.types import (
    Frame,
    FrameResult,
    Image,
    Inspection,
    InspectionBegun,
    ModelRef,
    RecipeRef,
    Verdict,
)
from inspection.vision.decoding import decode_image
from traceability.identifiers import EXAMPLE_PREFIX, Minter, unit_code_of_file

LANE: Final = "files"


class FileUnreadable(InspectionError):
    """The file is not there, or may not be read."""

    code = "SVC-FILE-UNREADABLE"


class FrameMissing(InspectionError):
    """A recorded run counts an exposure it has no picture of."""

    code = "CAM-FRAME-LOST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One picture to inspect, not yet read. The fields after `path` are the recording's, if it has them.

    path  None: the recording counts an exposure here of which there is no picture
    """

    name: str
    path: Path | None
    camera: str = LANE
    sequence: int = 0
    captured_at: datetime | None = None
    y_origin_mm: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What became of one picture; `failure` explains why it was not judged."""

    given: Given
    sha256: str | None
    inspection: Inspection
    result: FrameResult
    failure: InspectionError | None
    image: Image | None
    data: bytes | None


def gather(paths: Iterable[Path]) -> Iterator[Given]:
    """Every picture the paths stand for, in a fixed order. A path that is no folder is always one."""
    for path in paths:
        if not path.is_dir():
            yield Given(name=str(path), path=path)
        elif (path / MANIFEST).exists():
            yield from _of_run(path)
        else:
            for file in sorted(path.rglob("*")):
                if file.suffix.lower() in PICTURES and file.is_file():
                    yield Given(name=str(file), path=file)


def _of_run(folder: Path) -> Iterator[Given]:
    """The frames of a recorded run, and a place for each that its camera counted and nobody has."""
    run = read_run(folder)
    expected = run.frames[0].sequence if run.frames else 0
    for frame in run.frames:
        for sequence in range(expected, frame.sequence):
            yield Given(name=f"{folder}#{sequence}", path=None, camera=frame.camera, sequence=sequence)
        yield Given(
            name=str(folder / frame.file),
            path=folder / frame.file,
            camera=frame.camera,
            sequence=frame.sequence,
            captured_at=frame.captured_at,
            y_origin_mm=frame.y_origin_mm,
        )
        expected = frame.sequence + 1


def inspect_all(
    given: Iterable[Given], pipeline: Pipeline, *, recipe: RecipeRef, model: ModelRef
) -> Iterator[Inspected]:
    """Inspect one after the other; what cannot be read or judged is NOT_INSPECTED, and the rest goes on."""
    minter = Minter(EXAMPLE_PREFIX, started_at=datetime.now(UTC))
    for one in given:
        started_at = datetime.now(UTC)
        data, image, failure = None, None, None
        try:
            data = _read(one)
            image = decode_image(data)
        except InspectionError as error:
            failure = error
        sha256 = None if data is None else hashlib.sha256(data).hexdigest()
        result = _judged(one, image, failure, pipeline, started_at)
        begun = InspectionBegun(
            id=uuid7(),
            unit=minter.mint("FILE") if sha256 is None else unit_code_of_file(sha256),
            station="bench",
            lane=LANE,
            recipe=recipe,
            models=(model,),
            started_at=started_at,
        )
        tally = UnitTally(begun, pipeline.limits)
        tally.due(one.sequence)
        if one.path is None:
            tally.lost(1, reason=result.failure or FRAME_LOST)
        else:
            tally.add(result)
        yield Inspected(
            given=one,
            sha256=sha256,
            inspection=tally.close(datetime.now(UTC)),
            result=result,
            failure=failure,
            image=image,
            data=data,
        )


def _read(one: Given) -> bytes:
    if one.path is None:
        raise FrameMissing(
            f"The recording counts exposure {one.sequence} of camera {one.camera}, but has no picture of it.",
            action="It was lost when the run was recorded; inspect the unit again.",
            camera=one.camera,
            sequence=one.sequence,
        )
    try:
        return one.path.read_bytes()
    except OSError as error:
        raise FileUnreadable(
            f"{one.path} cannot be read: {error.strerror}.",
            action="Check the path and its permissions.",
            file=str(one.path),
            reason=error.strerror,
        ) from error


def _judged(
    one: Given, image: Image | None, failure: InspectionError | None, pipeline: Pipeline, at: datetime
) -> FrameResult:
    if image is not None:
        frame = Frame(
            pixels=image,
            camera=one.camera,
            sequence=one.sequence,
            captured_at=one.captured_at or at,
            y_origin_mm=one.y_origin_mm,
        )
        return pipeline.inspect(frame)
    return FrameResult(
        camera=one.camera,
        sequence=one.sequence,
        verdict=Verdict.NOT_INSPECTED,
        defects=(),
        measurements=(),
        timings_ms={},
        failure="INS-ERROR" if failure is None else failure.code,
    )
