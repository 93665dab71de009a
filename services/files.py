"""Pictures from files and recorded runs, each through a pipeline to an inspection. None is passed over."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Final

from uuid_utils.compat import uuid7

from cameras.errors import RunUnreadable
from cameras.recording import ARRAY, MANIFEST, PICTURES, RecordedFrame, Run, pixels_of, read_run, unreadable
from inspection.errors import InspectionError, SensorMisfit
from inspection.identity import IdentifierCode
from inspection.pipeline import PROGRAM_FAILED, Pipeline, ViewPipelines
from inspection.tally import FRAME_LOST, VIEW_MISSING, UnitTally
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
from inspection.vision.waveform import Waveform, decode_wav
from traceability.identifiers import EXAMPLE_PREFIX, Minter, unit_code_of_file
from traceability.store import FILES_LANE, FILES_STATION

logger = logging.getLogger(__name__)

WAVEFORM: Final = ".wav"
"""What a recorded waveform is called, beside the pictures."""


class FileUnreadable(InspectionError):
    """The file is not there, or may not be read."""

    code = "SVC-FILE-UNREADABLE"


class FrameMissing(InspectionError):
    """A recorded run counts an exposure it has no picture of."""

    code = "CAM-FRAME-LOST"


class ViewMissing(InspectionError):
    """Of a unit that several cameras see, one of them has no picture."""

    code = VIEW_MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One picture to inspect, not yet read. The fields after `path` are the recording's, if it has them.

    path                    None: the recording counts an exposure here of which there is no picture
    failure                 why it cannot be inspected, where that is known before it is read
    folder, first_sequence  of the recording
    recorded                as what it was recorded
    sample_hz               samples a second, where a probe was recorded
    """

    name: str
    path: Path | None
    failure: InspectionError | None = None
    camera: str = FILES_LANE
    sequence: int = 0
    captured_at: datetime | None = None
    y_origin_mm: float = 0.0
    folder: Path | None = None
    first_sequence: int = 0
    recorded: RecordedFrame | None = None
    sample_hz: float | None = None

    @property
    def view(self) -> str:
        """The folder it is in, or that of the recorded run."""
        return Path(self.name).parent.name if self.folder is None else self.folder.name

    @property
    def place(self) -> tuple[str, str]:
        """What pictures of one unit have in common: the folder their views are in, and the name or number there."""
        if self.folder is None:
            return str(Path(self.name).parent.parent), Path(self.name).stem
        return str(self.folder.parent), f"#{self.sequence - self.first_sequence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What became of one picture, and of the unit it shows; `failure` explains why the picture was not judged."""

    given: Given
    sha256: str | None
    inspection: Inspection
    result: FrameResult
    failure: InspectionError | None
    image: Image | None
    data: bytes | None


def gather(paths: Iterable[Path]) -> Iterator[Given]:
    """Every picture the paths stand for, in a fixed order. A path that is no folder is always one.

    Folders are searched to their depth, in order of names. What cannot be read or looked into has a place, with the
    reason: it may hold pictures. A link to a folder is followed after all else, and no folder is looked into twice.
    """
    for path in paths:
        yield from _of_folder(path) if _is_folder(path) else (Given(name=str(path), path=path),)


def _of_folder(top: Path) -> Iterator[Given]:
    waiting, linked = [top], deque[Path]()
    looked_into: set[tuple[int, int]] = set()
    while waiting or linked:
        path = waiting.pop() if waiting else linked.popleft()
        try:
            found = path.stat()
            if not S_ISDIR(found.st_mode):
                yield from _of_file(path, is_regular=S_ISREG(found.st_mode))
                continue
            if (found.st_dev, found.st_ino) in looked_into:
                continue
            looked_into.add((found.st_dev, found.st_ino))
            inside = sorted(path.iterdir())
        except OSError as error:
            yield Given(name=str(path), path=path, failure=_unreadable(path, error.strerror or str(error)))
            continue
        if path / MANIFEST in inside:
            pictures = [one for one in inside if _is_frame(one) and not _is_folder(one)]
            yield from _of_run(path, beside=pictures)
            inside = sorted(set(inside) - set(pictures))
        links = [one for one in inside if one.is_symlink() and _is_folder(one)]
        linked.extend(links)
        waiting += sorted(set(inside) - set(links), reverse=True)


def _is_folder(path: Path) -> bool:
    try:
        return S_ISDIR(path.stat().st_mode)
    except OSError:
        return False


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES | {WAVEFORM}


def _is_frame(path: Path) -> bool:
    """Whether it may be one of a recorded run's. Elsewhere an array may be anything."""
    return _is_picture(path) or path.name.endswith(ARRAY)


def _of_file(path: Path, *, is_regular: bool) -> Iterator[Given]:
    if _is_picture(path):
        # Reading a pipe would wait for ever.
        failure = None if is_regular else _unreadable(path, "no regular file")
        yield Given(name=str(path), path=path, failure=failure)


def _first_exposure(run: Run) -> int:
    """The number of the first that is known of. It may have come damaged, before the first frame."""
    if not run.frames:
        return 0
    first = run.frames[0]
    return first.sequence if first.first_sequence is None else min(first.first_sequence, first.sequence)


def _of_run(folder: Path, *, beside: Sequence[Path]) -> Iterator[Given]:
    """The frames of a recorded run, and a place for each exposure that it counts and nobody has.

    beside   the pictures in its folder: those that none of its lines names have a place, too
    """
    manifest = folder / MANIFEST
    try:
        run = read_run(folder)
    except RunUnreadable as error:
        for one in (manifest, *beside):
            yield Given(name=str(one), path=one, failure=error)
        return
    first = expected = _first_exposure(run)
    camera = run.frames[0].camera if run.frames else FILES_LANE
    missing = partial(Given, path=None, folder=folder, first_sequence=first)
    sampled = run.settings.get("sample_hz")
    sample_hz = float(sampled) if isinstance(sampled, int | float) else None
    # What was damaged before the first whole frame did not come: no frame that came and was lost made that hole.
    holes = first - run.frames[0].sequence if run.frames else 0
    for frame in run.frames:
        for sequence in range(expected, frame.sequence):
            yield missing(name=f"{folder}#{sequence}", camera=frame.camera, sequence=sequence)
        holes += frame.sequence - expected
        yield Given(
            name=str(folder / frame.file),
            path=folder / frame.file,
            camera=frame.camera,
            sequence=frame.sequence,
            captured_at=frame.captured_at,
            y_origin_mm=frame.y_origin_mm,
            folder=folder,
            first_sequence=first,
            recorded=frame,
            sample_hz=sample_hz,
        )
        expected = frame.sequence + 1
    # A frame that was lost between two others made a hole; for more lost ones than holes there is no place but the end.
    for sequence in range(expected, expected + max(0, (run.lost or 0) - holes)):
        yield missing(name=f"{folder}#{sequence}", camera=camera, sequence=sequence)
    named = {folder / frame.file for frame in run.frames}
    unnamed = [one for one in beside if one not in named]
    for one in unnamed:
        yield Given(name=str(one), path=one, failure=unreadable(one, f"no line of {MANIFEST} names it"))
    if run.is_cut_off and not unnamed:
        yield missing(
            name=f"{folder}#{expected}",
            camera=camera,
            sequence=expected,
            failure=unreadable(manifest, "it ends without its end"),
        )


def one_by_one(given: Iterable[Given]) -> Iterator[tuple[Given, ...]]:
    """Each picture is a unit."""
    return ((one,) for one in given)


def by_view(given: Iterable[Given], views: Sequence[str]) -> Iterator[tuple[Given, ...]]:
    """The pictures of each unit, one of each view, in the order of the first; of what is missing a place.

    The folder a picture is in names its view, and its name there the unit: `top/0001.png` and `side/0001.png` show one.
    In a recorded run, the run's folder names the view, and the place in it the unit. A picture in a folder that is no
    view is a unit of its own, of which all views are missing.
    """
    units: dict[tuple[str, str], dict[str, Given]] = {}
    strays: list[Given] = []
    for one in given:
        view = one.view
        if view not in views or view in units.get(one.place, {}):
            # What goes on record is UTF-8; names of folders need not be.
            strays.append(replace(one, camera=view.encode("utf-8", "backslashreplace").decode("utf-8")))
        else:
            units.setdefault(one.place, {})[view] = replace(one, camera=view)
    for (folder, name), seen in units.items():
        yield tuple(
            seen.get(view) or Given(name=f"{folder}/{view}/{name}", path=None, camera=view) for view in views
        )
    yield from one_by_one(strays)


def inspect_all(
    units: Iterable[tuple[Given, ...]],
    pipeline: Pipeline | ViewPipelines,
    *,
    recipe: RecipeRef,
    models: tuple[ModelRef, ...],
) -> Iterator[tuple[Inspected, ...]]:
    """Inspect one unit after the other; what cannot be read or judged is NOT_INSPECTED, and the rest goes on.

    The pictures of a unit come in their order, each with the unit's inspection.
    """
    minter = Minter(EXAMPLE_PREFIX, started_at=datetime.now(UTC))
    views = tuple(pipeline.views) if isinstance(pipeline, ViewPipelines) else ()
    for unit in units:
        started_at = datetime.now(UTC)
        looked = [(one, *_looked_at(one, pipeline, started_at)) for one in unit]
        digests = [None if data is None else hashlib.sha256(data).hexdigest() for _, data, *_ in looked]
        begun = InspectionBegun(
            id=uuid7(),
            unit=_code_of(digests, minter),
            station=FILES_STATION,
            lane=FILES_LANE,
            recipe=recipe,
            models=models,
            started_at=started_at,
        )
        tally = UnitTally(begun, pipeline.limits, views=views, without_code=pipeline.without_code)
        for number, (one, *_, result) in enumerate(looked):
            tally.due(number)
            if one.path is None:
                tally.lost(1, reason=result.failure or FRAME_LOST)
            else:
                tally.add(result)
        inspection = _closed(tally)
        yield tuple(
            Inspected(
                given=one,
                sha256=sha256,
                inspection=inspection,
                result=result,
                failure=failure,
                image=image,
                data=data,
            )
            for (one, data, image, failure, result), sha256 in zip(looked, digests, strict=True)
        )


def _code_of(digests: Sequence[str | None], minter: Minter) -> IdentifierCode:
    """The code of what these files show: of one file its digest, of several one of theirs."""
    read = [digest for digest in digests if digest is not None]
    if not read:
        return minter.mint("FILE")
    return unit_code_of_file(
        read[0] if len(digests) == 1 else hashlib.sha256("".join(read).encode()).hexdigest()
    )


def _decoded(data: bytes, one: Given, pipeline: Pipeline | ViewPipelines) -> Image:
    """The picture in the bytes, or what a sensor recorded, as a frame's pixels."""
    sample_hz = one.sample_hz
    if one.path is not None and one.path.suffix.lower() == WAVEFORM:
        pixels, sample_hz = decode_wav(data)
    elif one.recorded is None:
        return decode_image(data)
    else:
        pixels = pixels_of(data, one.recorded)
        if not one.recorded.file.endswith(ARRAY):
            return pixels
    own = pipeline.views.get(one.camera) if isinstance(pipeline, ViewPipelines) else pipeline
    sensor = None if own is None else own.sensor
    wanted_hz = sensor.sample_hz if isinstance(sensor, Waveform) else None
    if sample_hz != wanted_hz:
        raise SensorMisfit(
            f"{one.name} has {sample_hz} samples a second, the recipe {wanted_hz}.",
            action="Inspect it with the recipe of the sensor that recorded it.",
            found="? Hz" if sample_hz is None else f"{sample_hz:g} Hz",
            allowed=", ".join(sorted(PICTURES)) if wanted_hz is None else f"{wanted_hz:g} Hz",
        )
    return pixels


def _read(one: Given) -> bytes:
    if one.failure is not None:
        raise one.failure
    if one.path is None and one.folder is None:
        raise ViewMissing(
            f"There is no picture {one.name}.",
            action="Take all pictures of the unit again, or copy the missing one.",
            view=one.camera,
            name=one.name,
        )
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
        raise _unreadable(one.path, error.strerror or str(error)) from error


def _unreadable(path: Path, reason: str) -> FileUnreadable:
    return FileUnreadable(
        f"{path} cannot be read: {reason}.",
        action="Check the path and its permissions.",
        file=str(path),
        reason=reason,
    )


def _looked_at(
    one: Given, pipeline: Pipeline | ViewPipelines, at: datetime
) -> tuple[bytes | None, Image | None, InspectionError | None, FrameResult]:
    """Its bytes and its pixels, as far as they could be had, why it was not judged, and what was seen."""
    data, image, failure = None, None, None
    try:
        data = _read(one)
        image = _decoded(data, one, pipeline)
        frame = Frame(
            pixels=image,
            camera=one.camera,
            sequence=one.sequence,
            captured_at=one.captured_at or at,
            y_origin_mm=one.y_origin_mm,
        )
        return data, image, None, pipeline.inspect(frame)
    except InspectionError as error:
        failure = error
    except Exception:
        # A mistake of ours, or of a library that decodes, costs this picture, not those after it.
        logger.exception("%s: a mistake of the program", one.name)
    result = FrameResult(
        camera=one.camera,
        sequence=one.sequence,
        verdict=Verdict.NOT_INSPECTED,
        defects=(),
        measurements=(),
        timings_ms={},
        failure=PROGRAM_FAILED if failure is None else failure.code,
    )
    return data, image, failure, result


def _closed(tally: UnitTally) -> Inspection:
    try:
        return tally.close(datetime.now(UTC))
    except Exception:
        logger.exception("Unit %s cannot be judged: a mistake of the program", tally.begun.unit)
        return tally.close_unjudged(datetime.now(UTC), failure=PROGRAM_FAILED)
