"""The environment in which networks learn: the station's settings name its Python, nobody on a
page does. Its tools (ultralytics, AGPL-3.0; torch) are run there as processes and never imported here."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

from inspection.errors import InspectionError

Gives = Literal["boxes", "maps"]
"""What a network that learns from labels says of a defect: where its box is, or which pixels it has."""

Lesson = Gives | Literal["good_parts"]
"""What is learnt there: from labels what they teach to give, or from good parts what defects are not."""

_TRAINED_BY: Final[dict[Lesson, str]] = {
    "boxes": "models.training.labelled",
    "maps": "models.training.outlined",
    "good_parts": "models.training.good_only",
}

_TOOLS: Final[dict[Lesson, tuple[str, ...]]] = {
    "boxes": ("lynceus", "ultralytics", "torch"),
    "maps": ("lynceus", "torch"),
    "good_parts": ("lynceus", "torch"),
}
"""What has to be installed there. Who may not have ultralytics learns maps."""

LIMIT_S: Final = 20.0
"""For its answer: it reads the names of what is installed, and imports none of it."""

WAITED_S: Final = 5.0
"""By whoever begins a training, for an answer that is on its way."""

_AGAIN_S: Final = 60.0
"""After which one in which nothing can be learnt is asked again, though none of its files say that it changed."""

_ASK: Final = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        found[name] = None
print(json.dumps(found))
"""


class DeskMissing(InspectionError):
    """There is no environment to learn that in, or not one that is complete. Facts: missing, version."""

    code = "MOD-TRAINING-DESK-MISSING"


class DeskNotKnown(InspectionError):
    """The environment has not said yet what is installed in it. Facts: python, limit_s."""

    code = "MOD-TRAINING-DESK-NOT-KNOWN"


class _NoAnswer(Exception):
    """Why that Python said nothing that can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """
    of      what its files were like: others are asked anew
    answer  for each, what is missing to learn it; empty for nothing
    """

    of: tuple[tuple[str, int, int], ...]
    answer: Future[dict[Lesson, str]]
    at_s: float


class TrainingDesk:
    """Asks its Python once, beside whoever wants to know, and again where its files change. Safe to use from any
    thread.

    python    None: the settings name none
    limit_s   in which it answers, or counts as missing
    """

    def __init__(self, python: Path | None, *, limit_s: float = LIMIT_S) -> None:
        self.python = python
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._asked: _Asked | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def lacking(self, *, wait_s: float = WAITED_S) -> dict[Lesson, DeskMissing | DeskNotKnown]:
        """Why one or the other cannot be learnt, by one answer, as far as is known; 0 s: without waiting."""
        if self.python is None:
            return {lesson: _missing("[training]") for lesson in _TOOLS}
        try:
            missing = self._answer(self.python).result(timeout=wait_s)
        except TimeoutError:
            return {lesson: self._not_known(self.python) for lesson in _TOOLS}
        return {lesson: _missing(missing[lesson]) for lesson in _TOOLS if missing[lesson]}

    def check(self, lesson: Lesson, *, wait_s: float = WAITED_S) -> None:
        """Whether that can be learnt there. Raises DeskMissing, DeskNotKnown."""
        error = self.lacking(wait_s=wait_s).get(lesson)
        if error is not None:
            raise error

    def _not_known(self, python: Path) -> DeskNotKnown:
        return DeskNotKnown(
            f"{python} has not said yet what is installed in it.",
            action=f"Wait up to {self._limit_s:g} s, then try again.",
            python=str(python),
            limit_s=f"{self._limit_s:g}",
        )

    def command(self, lesson: Lesson, arguments: Sequence[str | Path]) -> list[str | Path]:
        """Of a training. Raises DeskMissing."""
        if self.python is None:
            raise _missing("[training]")
        return [self.python, "-m", _TRAINED_BY[lesson], *arguments]

    def close(self) -> None:
        """The service ends: what is asked of it answers nobody."""
        self._closed = True
        if self._process is not None:
            self._process.kill()

    def _answer(self, python: Path) -> Future[dict[Lesson, str]]:
        now, files = time.monotonic(), _files_of(python)
        with self._lock:
            asked = self._asked
            if asked is not None and asked.of == files:
                done = asked.answer.done()
                if not done or not all(asked.answer.result().values()) or now - asked.at_s < _AGAIN_S:
                    return asked.answer
            answer: Future[dict[Lesson, str]] = Future()
            self._asked = _Asked(of=files, answer=answer, at_s=now)

        def ask() -> None:
            try:
                answer.set_result(self._lacking(python))
            except BaseException as error:
                # Else whoever waits would wait for good.
                answer.set_result(dict.fromkeys(_TOOLS, f"{python} ({type(error).__name__}: {error})"))
                raise

        threading.Thread(target=ask, name="desk", daemon=True).start()
        return answer

    def _lacking(self, python: Path) -> dict[Lesson, str]:
        try:
            found = self._found(python)
        except _NoAnswer as error:
            return dict.fromkeys(_TOOLS, f"{python} ({error})")
        return {lesson: _missing_of(tools, found, python) for lesson, tools in _TOOLS.items()}

    def _found(self, python: Path) -> dict[str, str | None]:
        """What is installed there, in which version. Raises _NoAnswer."""
        asked = sorted({name for tools in _TOOLS.values() for name in tools})
        try:
            process = subprocess.Popen(  # noqa: S603 - the interpreter that the settings name, no shell
                [python, "-c", _ASK, *asked], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise _NoAnswer(str(error)) from error
        self._process = process
        if self._closed:
            # It ended while this one began.
            process.kill()
        with process:
            try:
                told, _ = process.communicate(timeout=self._limit_s)
                found = json.loads(told)
            except subprocess.TimeoutExpired as error:
                raise _NoAnswer(f"no answer in {self._limit_s:g} s") from error
            except ValueError as error:
                raise _NoAnswer(f"{error}, exit status {process.returncode}") from error
            finally:
                process.kill()
        if not isinstance(found, dict):
            raise _NoAnswer(str(found))
        return found


def _files_of(python: Path) -> tuple[tuple[str, int, int], ...]:
    """The interpreter, and the folders into which pip installs beside it: both change when something is installed."""
    found = []
    for place in (python, *sorted(python.parent.parent.glob("lib/python*/site-packages"))):
        try:
            stat = place.stat()
        except OSError:
            # Asking it says so.
            continue
        found.append((str(place), stat.st_ino, stat.st_mtime_ns))
    return tuple(found)


def _missing_of(tools: Sequence[str], found: Mapping[str, str | None], python: Path) -> str:
    if absent := [name for name in tools if found.get(name) is None]:
        return f"{python}: {', '.join(absent)}"
    if found["lynceus"] != version("lynceus"):
        return f"{python}: lynceus {version('lynceus')} ({found['lynceus']})"
    return ""


def _missing(missing: str) -> DeskMissing:
    return DeskMissing(
        f"That cannot be learnt here, for want of {missing}.",
        action="Make an environment with the extra `training`, or `training-maps` without boxes, and name its "
        "Python in the station's settings.",
        missing=missing,
        version=version("lynceus"),
    )
