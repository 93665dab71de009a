"""Plays a recorded run, or a folder of pictures, as if it were a camera."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Self

from cameras.errors import RunUnreadable, SettingRefused
from cameras.pacing import Clock, SystemClock
from cameras.recording import MANIFEST, RecordedFrame, pictures_in, pixels_of, read_run, unreadable
from cameras.settings import ReplaySettings
from inspection.errors import ImageUnreadable, ImageUnsuitable
from inspection.types import Frame, Image

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exposure:
    """A picture to be played. `recorded` is None in a plain folder, where only the order is known."""

    path: Path
    sequence: int
    recorded: RecordedFrame | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """What a whole recording adds to its counts and places when it is played again from the start."""

    sequence: int
    y_mm: float = 0.0
    triggers: int = 0
    time: timedelta = timedelta(0)


class ReplayCamera:
    """Gives what a recording holds, bit for bit, under the name this camera has here.

    A file that is no picture gives no frame and leaves a hole in `sequence`, as a lost frame does. At the
    ends of a recording no hole would show: there it is RunUnreadable, at the start before the first frame, at
    the end after the last. A late receiver loses nothing: files wait. A plain folder's pictures count as
    captured when they are read. Entering raises RunUnreadable, and SettingRefused where there is no such pace.
    """

    def __init__(self, name: str, settings: ReplaySettings, *, clock: Clock | None = None) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock or SystemClock()
        self._left = Event()

    def __enter__(self) -> Self:
        folder = self._settings.folder.expanduser()
        exposures = _run(folder) if (folder / MANIFEST).exists() else _plain(folder)
        if self._settings.pace == "recorded" and exposures[0].recorded is None:
            raise SettingRefused(
                f"Camera {self._name}: {folder} is a plain folder and has no times to play at.",
                action='Set pace = "fast", or give a recorded run.',
                camera=self._name,
                setting="pace",
                value="recorded",
                found="fast",
            )
        self._left = Event()
        self._playing = self._play(exposures)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()

    def frames(self) -> Iterator[Frame]:
        # Not `yield from`: that would end the playing when a receiver stops half-way, and it may come back.
        for frame in self._playing:  # noqa: UP028
            yield frame

    def _play(self, exposures: Sequence[_Exposure]) -> Iterator[Frame]:
        started_s = self._clock.monotonic_s()
        each_round = _round(exposures)
        rounds = 0
        has_played = False
        while True:
            unseen: _Exposure | None = None
            for exposure in exposures:
                pixels = _pixels(exposure)
                if pixels is None:
                    if not has_played:
                        raise _unseen_at_an_end(exposure)
                    unseen = exposure
                    continue
                frame = self._frame(exposure, pixels, each_round, rounds)
                if self._settings.pace == "recorded":
                    self._wait_until(started_s + (frame.captured_at - _start(exposures)).total_seconds())
                if self._left.is_set():
                    return
                unseen, has_played = None, True
                yield frame
            if not self._settings.repeat:
                if unseen is not None:
                    raise _unseen_at_an_end(unseen)
                return
            rounds += 1

    def _frame(self, exposure: _Exposure, pixels: Image, each_round: _Round, rounds: int) -> Frame:
        sequence = exposure.sequence + rounds * each_round.sequence
        recorded = exposure.recorded
        if recorded is None:
            return Frame(pixels=pixels, camera=self._name, sequence=sequence, captured_at=self._clock.utc())
        if rounds == 0:
            return Frame(
                pixels=pixels,
                camera=self._name,
                sequence=sequence,
                captured_at=recorded.captured_at,
                device_time_ns=recorded.device_time_ns,
                y_origin_mm=recorded.y_origin_mm,
                trigger=recorded.trigger,
                chunks=recorded.chunks,
                first_sequence=recorded.first_sequence,
            )
        # Without what the device said of an exposure, its own counts and times: that is of that exposure alone.
        return Frame(
            pixels=pixels,
            camera=self._name,
            sequence=sequence,
            captured_at=recorded.captured_at + rounds * each_round.time,
            y_origin_mm=recorded.y_origin_mm + rounds * each_round.y_mm,
            trigger=None if recorded.trigger is None else recorded.trigger + rounds * each_round.triggers,
            first_sequence=recorded.first_sequence,
        )

    def _wait_until(self, due_s: float) -> None:
        while not self._left.is_set() and (ahead_s := due_s - self._clock.monotonic_s()) > 0:
            self._clock.wait(ahead_s, unless=self._left)


def _run(folder: Path) -> tuple[_Exposure, ...]:
    run = read_run(folder)
    if run.is_cut_off:
        logger.warning("%s has no end: its recording was cut off", folder / MANIFEST)
    if not run.frames:
        raise unreadable(folder / MANIFEST, "no frames")
    return tuple(
        _Exposure(path=folder / frame.file, sequence=frame.sequence, recorded=frame) for frame in run.frames
    )


def _plain(folder: Path) -> tuple[_Exposure, ...]:
    pictures = pictures_in(folder)
    if not pictures:
        raise unreadable(folder, "no pictures")
    return tuple(_Exposure(path=path, sequence=index, recorded=None) for index, path in enumerate(pictures))


def _round(exposures: Sequence[_Exposure]) -> _Round:
    """The seam between two rounds is one exposure long, like the mean of those inside."""
    first, last = exposures[0], exposures[-1]
    between = last.sequence - first.sequence
    if first.recorded is None or last.recorded is None:
        return _Round(sequence=between + 1)
    seam = 1 + 1 / between if between else 1.0
    return _Round(
        sequence=between + 1,
        y_mm=(last.recorded.y_origin_mm - first.recorded.y_origin_mm) * seam,
        triggers=(last.recorded.trigger or 0) - (first.recorded.trigger or 0) + 1,
        time=(last.recorded.captured_at - first.recorded.captured_at) * seam,
    )


def _start(exposures: Sequence[_Exposure]) -> datetime:
    recorded = exposures[0].recorded
    if recorded is None:
        raise ValueError("a plain folder has no times")
    return recorded.captured_at


def _pixels(exposure: _Exposure) -> Image | None:
    """The picture, or None where the file holds none; why not goes to the log, with the file's name."""
    try:
        return pixels_of(exposure.path.read_bytes(), exposure.recorded)
    except (OSError, ImageUnreadable, ImageUnsuitable) as error:
        logger.warning("%s gives no frame and counts as lost: %s", exposure.path, error)
        return None


def _unseen_at_an_end(exposure: _Exposure) -> RunUnreadable:
    return unreadable(
        exposure.path, "this picture at an end of the recording is none, and its loss would not show"
    )
