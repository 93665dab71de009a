"""How long a model in force takes for a picture, kept for whoever compares it with the version before.

On the inspecting thread two numbers are remembered; a thread of its own writes them down.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
import weakref
from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

from inspection.protocols import Detector
from inspection.types import Detections, Image
from services.station.shadow import versions_kept

logger = logging.getLogger(__name__)

KEPT: Final = 400
"""So many of the last times of each size of picture."""

WRITTEN_EVERY_S: Final = 5.0

_FILES_READ: Final = 16
"""Of a version, the newest: each start of a lane's worker has begun one."""

Times = Mapping[str, Sequence[float]]
"""Size of the picture, such as 400x800 px (height, width) -> ms, oldest first."""


class Paced:
    """A Detector: the answers of another one, and how long it took for them, failed or not.

    file  where the times are kept, for `pace_of`
    """

    def __init__(self, detector: Detector, file: Path, *, every_s: float = WRITTEN_EVERY_S) -> None:
        self._detector = detector
        self._book = _Book(file, every_s)
        # With the recipe that had it goes the thread, too.
        weakref.finalize(self, self._book.left.set)

    def detect(self, image: Image) -> Detections:
        began_s = time.perf_counter()
        try:
            return self._detector.detect(image)
        finally:
            ms = (time.perf_counter() - began_s) * 1e3
            self._book.add(f"{image.shape[0]}x{image.shape[1]}", ms)


class _Book:
    def __init__(self, file: Path, every_s: float) -> None:
        self.left = threading.Event()
        self._file = file
        self._every_s = every_s
        self._times: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._lock = threading.Lock()
        self._is_new = False
        threading.Thread(target=self._write, name="pace", daemon=True).start()

    def add(self, size: str, ms: float) -> None:
        with self._lock:
            self._times[size].append(ms)
            self._is_new = True

    def _write(self) -> None:
        while not self.left.wait(self._every_s):
            with self._lock:
                told = {size: list(times) for size, times in self._times.items()} if self._is_new else None
                self._is_new = False
            if told is None:
                continue
            new = self._file.with_suffix(".new")
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                new.write_text(json.dumps(told), encoding="utf-8")
                new.replace(self._file)
            except OSError:
                # A full disk costs the lane nothing; the next times are written when there is room.
                logger.warning("How long the model takes cannot be written to %s", self._file, exc_info=True)


def pace_file(plant: Path, name: str, version: str) -> Path:
    """A new file for one detector's times: each worker of each lane has its own. Of the old ones, those go that are not
    read any more."""
    folder = _folder(plant, name, version)
    for old in _oldest_first(folder)[:-_FILES_READ]:
        old.unlink(missing_ok=True)
    return folder / f"{uuid4().hex}.json"


def pace_of(plant: Path, name: str, version: str) -> Times:
    """The last times of a version, of all lanes; none where it never judged here."""
    files = _oldest_first(_folder(plant, name, version))
    found: defaultdict[str, list[float]] = defaultdict(list)
    for file in files[-_FILES_READ:]:
        for size, times in json.loads(file.read_text(encoding="utf-8")).items():
            found[size] += times
    return {size: times[-KEPT:] for size, times in found.items()}


def forget_pace(plant: Path, name: str, *, besides: Collection[str | None]) -> None:
    """Of a model, the times of other versions than these."""
    for version in versions_kept(plant / "pace", name):
        if version not in besides:
            shutil.rmtree(_folder(plant, name, version), ignore_errors=True)


def _oldest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)


def _folder(plant: Path, name: str, version: str) -> Path:
    return plant / "pace" / f"{name}-{version}"
