"""The engine's write-ahead log: which units it has begun and how it decided, on this disk before anybody hears of it.

What the engine has not delivered yet lies in its memory, and a kill takes it along: verdicts, too, that the line has
acted on. Their records come from here then: the service reads what an engine before has left behind when the next one
comes. The log outlives the process, not a power cut: it is not flushed to the medium, which takes longer than a part
has on its way to the gate.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from uuid import UUID, uuid4

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from inspection.types import Frame, FrameResult, Inspection, InspectionBegun
from services.ingredients import software_sha256

logger = logging.getLogger(__name__)

ENDING: Final = ".log"

SPOILT: Final = ".spoilt"
"""What a log of which a line cannot be read is called from then on."""

_REWRITTEN: Final = ".new"

# In a row of one, since a plain dataclass takes no settings: a value that is no number stays what it is.
_PLAIN: Final = ConfigDict(ser_json_inf_nan="constants")
_BEGUN: Final = TypeAdapter(tuple[InspectionBegun], config=_PLAIN)
_DECIDED: Final = TypeAdapter(tuple[Inspection], config=_PLAIN)


class WriteAheadLog:
    """A Sink, the first of its lane; one for all lanes of an engine. Entering makes the log, leaving removes it where
    all of it was delivered.

    folder         of the logs of all engines of this station, which is made
    rewrite_bytes  a larger log is written anew as soon as half as much is still to be delivered, with that alone. Its
                   lanes wait for that, some milliseconds
    """

    def __init__(self, folder: Path, *, rewrite_bytes: int = 4_000_000) -> None:
        self._file = folder / f"{uuid4()}{ENDING}"
        self._rewrite_bytes = rewrite_bytes
        self._rewrite_from = rewrite_bytes
        self._lock = threading.Lock()
        self._size = 0
        # Where the lines lie of what was not delivered yet, offset and length, and how long they are together.
        self._lines: dict[UUID, list[tuple[int, int]]] = {}
        self._left = 0
        self._is_failing = False

    @property
    def name(self) -> str:
        return self._file.name

    def __enter__(self) -> Self:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = _made(self._file)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            os.close(self._descriptor)
            if not self._lines:
                self._file.unlink()

    def unit_begun(self, begun: InspectionBegun) -> None:
        self._append(begun.id, lambda: _BEGUN.dump_json((begun,)))

    def frame_done(self, inspection: InspectionBegun, frame: Frame, result: FrameResult) -> None:
        """Of a frame nothing is written: of a unit that a kill cuts short, some was not inspected in any case."""

    def unit_done(self, inspection: Inspection) -> None:
        said = replace(inspection, software=software_sha256())
        self._append(inspection.id, lambda: _DECIDED.dump_json((said,)))

    def delivered(self, inspection: UUID) -> None:
        """It is on record: nothing of it is needed here any more."""
        with self._lock:
            self._left -= sum(length for _, length in self._lines.pop(inspection, ()))
            if self._size > self._rewrite_from and self._left <= self._rewrite_bytes / 2:
                self._rewrite()

    def _append(self, inspection: UUID, say: Callable[[], bytes]) -> None:
        with self._lock:
            try:
                line = say() + b"\n"
                _write(self._descriptor, line, at=self._size)
            except (OSError, PydanticSerializationError) as error:
                # The lanes go on, as they do where the database is away: then only a kill loses it. What was written of
                # the line has no end, and the next one is written over it.
                if not self._is_failing:
                    logger.error("%s cannot be written: %s", self._file, error)
                self._is_failing = True
                return
            self._is_failing = False
            self._lines.setdefault(inspection, []).append((self._size, len(line)))
            self._size += len(line)
            self._left += len(line)

    def _rewrite(self) -> None:
        """In a file beside it, which then takes its place: a kill in between leaves one of the two whole."""
        beside = self._file.with_suffix(_REWRITTEN)
        size = 0
        lines: dict[UUID, list[tuple[int, int]]] = {}
        try:
            descriptor = _made(beside)
        except OSError as error:
            self._grows(error)
            return
        try:
            for inspection, places in self._lines.items():
                for offset, length in places:
                    _write(descriptor, os.pread(self._descriptor, length, offset), at=size)
                    lines.setdefault(inspection, []).append((size, length))
                    size += length
            beside.replace(self._file)
        except OSError as error:
            os.close(descriptor)
            # What it has taken of a full disk is room for the lines to come.
            with suppress(OSError):
                beside.unlink()
            self._grows(error)
            return
        os.close(self._descriptor)
        self._descriptor, self._lines, self._size, self._left = descriptor, lines, size, size
        self._rewrite_from = self._rewrite_bytes

    def _grows(self, error: OSError) -> None:
        """Tried again when it has grown by as much again, not at each delivery until then."""
        logger.error("%s cannot be written anew and grows: %s", self._file, error)
        self._rewrite_from = self._size + self._rewrite_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """What the log of an engine that has ended holds, in its order. Some of it may be on record.

    begun    units that it had in hand, or never decided
    decided  as it decided, without the pictures
    spoilt   lines that cannot be read, or all of it
    """

    begun: tuple[InspectionBegun, ...]
    decided: tuple[Inspection, ...]
    spoilt: int


def logs_left(folder: Path, *, but: str) -> tuple[Path, ...]:
    """The logs of engines that have ended. `but` is the name of the living one's."""
    return tuple(file for file in sorted(folder.glob(f"*{ENDING}")) if file.name != but)


def left_behind(log: Path) -> LeftBehind:
    """What can be read of it; the rest is said in our own log."""
    begun: dict[UUID, InspectionBegun] = {}
    decided: dict[UUID, Inspection] = {}
    spoilt = 0
    try:
        for line in _lines_of(log):
            try:
                # An inspection holds all that its beginning does, and more.
                if b'"verdict":' in line:
                    (inspection,) = _DECIDED.validate_json(line)
                    decided[inspection.id] = inspection
                else:
                    (unit,) = _BEGUN.validate_json(line)
                    begun[unit.id] = unit
            except ValidationError as error:
                spoilt += 1
                logger.error("A line of %s cannot be read: %s", log, error)
    except OSError as error:
        spoilt += 1
        logger.error("%s cannot be read to its end: %s", log, error)
    in_hand = tuple(unit for unit in begun.values() if unit.id not in decided)
    return LeftBehind(begun=in_hand, decided=tuple(decided.values()), spoilt=spoilt)


def done_with(log: Path, left: LeftBehind) -> None:
    """All of it is on record. A log that is spoilt is put aside for people to look at."""
    try:
        log.with_suffix(_REWRITTEN).unlink(missing_ok=True)
        if left.spoilt:
            log.rename(log.with_suffix(SPOILT))
        else:
            log.unlink()
    except OSError as error:
        # It is read again when the next engine comes, and then it is all on record.
        logger.error("%s cannot be removed: %s", log, error)


def _lines_of(log: Path) -> Iterator[bytes]:
    """Without what a kill cut off: of that nobody was told."""
    with log.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield line


def _made(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


def _write(descriptor: int, line: bytes, *, at: int) -> None:
    """All of it. A disk that is full takes some and refuses the rest."""
    left = memoryview(line)
    while left:
        written = os.pwrite(descriptor, left, at)
        left, at = left[written:], at + written
