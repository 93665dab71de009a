"""A candidate that looks on: it is shown some of what the model in force sees, and judges nothing.

It has a thread of its own with the least share of the processor, takes a picture only when it is done with the last
one, and then rests, so that it works a share of the time only. What it says is counted beside what was reported; if it
fails, that is counted, too, and nobody else notices.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any, Final
from uuid import uuid4

import numpy as np

from inspection.protocols import Detector
from inspection.types import Detections, Image

logger = logging.getLogger(__name__)

WORKS_AT_MOST: Final = 0.25
"""Of the time of one core."""

_LATENCIES_KEPT: Final = 200


class Shadowed:
    """A Detector: the answers are those of the model in force, always.

    candidate  opened on the thread that uses it; may fail
    file       where what was counted is kept, for `tallied`
    """

    def __init__(self, in_force: Detector, candidate: Callable[[], Detector], file: Path) -> None:
        self._in_force = in_force
        self._onlooker = _Onlooker(candidate, file)
        # With the recipe that had it goes the thread, too.
        weakref.finalize(self, self._onlooker.left.set)

    def detect(self, image: Image) -> Detections:
        found = self._in_force.detect(image)
        self._onlooker.show(image, frozenset(found.kind))
        return found


class _Onlooker:
    def __init__(self, candidate: Callable[[], Detector], file: Path) -> None:
        self.left = threading.Event()
        self._open = candidate
        self._file = file
        self._shown: Queue[tuple[Image, frozenset[str]]] = Queue(maxsize=1)
        self._counted: Counter[str] = Counter()
        self._ms: list[float] = []
        self._is_saved = True
        threading.Thread(target=self._look_on, name="candidate", daemon=True).start()

    def show(self, image: Image, reported: frozenset[str]) -> None:
        try:
            self._shown.put_nowait((image, reported))
        except Full:
            self._counted["passed_over"] += 1

    def _look_on(self) -> None:
        # Of Linux: of this thread alone.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        candidate: Detector | None = None
        while not self.left.is_set():
            try:
                image, reported = self._shown.get(timeout=1.0)
            except Empty:
                continue
            began_s = time.perf_counter()
            try:
                candidate = candidate or self._open()
                kinds = frozenset(candidate.detect(image).kind)
            except Exception:
                logger.exception("The candidate failed on a picture; what is in force goes on")
                self._counted["failed"] += 1
            else:
                self._ms = [*self._ms[1 - _LATENCIES_KEPT :], (time.perf_counter() - began_s) * 1e3]
                self._counted[_key(bool(reported), bool(kinds))] += 1
                for kind in reported | kinds:
                    self._counted[f"{kind}:{_key(kind in reported, kind in kinds)}"] += 1
            took_s = time.perf_counter() - began_s
            self._save()
            self.left.wait(took_s * (1 / WORKS_AT_MOST - 1))

    def _save(self) -> None:
        new = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps({"counted": self._counted, "ms": self._ms}), encoding="utf-8")
            new.replace(self._file)
        except OSError:
            # A full disk does not end the looking on: what was counted is written when there is room. Said once, not
            # after every picture.
            if self._is_saved:
                logger.warning("What the candidate says cannot be written to %s", self._file, exc_info=True)
            self._is_saved = False
        else:
            self._is_saved = True


def _key(in_force: bool, candidate: bool) -> str:
    return f"{in_force:d}{candidate:d}"


def tally_file(plant: Path, name: str, version: str) -> Path:
    """A new file for one detector's count: each worker of each lane has its own."""
    return _folder(plant, name, version) / f"{uuid4().hex}.json"


def tallied(plant: Path, name: str, version: str) -> dict[str, Any]:
    """What a candidate said beside the model in force, of all lanes, since it began to look on.

    seen         pictures both have looked at; `failed` of more the candidate gave no answer
    passed_over  pictures it was not shown, for want of time
    both, neither, only_in_force, only_candidate   pictures on which something was reported, of those seen
    kinds        the same by kind, of pictures on which either reported it
    ms           95th percentile of a look, in the time it was given; None where there was none
    """
    counted: Counter[str] = Counter()
    ms: list[float] = []
    for file in sorted(_folder(plant, name, version).glob("*.json")):
        kept = json.loads(file.read_text(encoding="utf-8"))
        counted.update(kept["counted"])
        ms += kept["ms"]
    whole = _split(counted, "")
    kinds = sorted({key.split(":")[0] for key in counted if ":" in key})
    return {
        "seen": sum(whole.values()),
        "failed": counted["failed"],
        "passed_over": counted["passed_over"],
        **whole,
        "kinds": {kind: _split(counted, f"{kind}:") for kind in kinds},
        "ms": float(np.percentile(ms, 95)) if ms else None,
    }


def forget_beside(plant: Path, name: str, *, besides: Collection[str | None]) -> None:
    """Of a model, what was counted for other versions than these. A worker that still has one begins its file anew."""
    for version in versions_kept(plant / "beside", name):
        if version not in besides:
            shutil.rmtree(_folder(plant, name, version), ignore_errors=True)


def versions_kept(folder: Path, name: str) -> tuple[str, ...]:
    """Of a folder that has one folder for each version of each model, the versions of this one."""
    found = (one.name.rsplit("-", 1) for one in folder.glob(f"{name}-*.*.*") if one.is_dir())
    return tuple(sorted(version for model, version in found if model == name))


def _folder(plant: Path, name: str, version: str) -> Path:
    return plant / "beside" / f"{name}-{version}"


def _split(counted: Counter[str], prefix: str) -> dict[str, int]:
    names = {"both": "11", "only_in_force": "10", "only_candidate": "01", "neither": "00"}
    return {name: counted[f"{prefix}{key}"] for name, key in names.items()}
