"""What the trainings of a station were asked for, how far they came and what they said: kept as files, so that a
service that ends takes nothing of it along."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

from uuid_utils.compat import uuid7

from inspection.errors import InspectionError
from models.anomaly import PRECISION, PROGRESS
from services.training_desk import Gives

logger = logging.getLogger(__name__)

LINES_KEPT: Final = 200
"""Of a log, shown; its file has all of it."""

KEPT: Final = 50

_STATE, _LOG, _WORK = "training.json", "log.txt", "work"
_TAIL_BYTES: Final = 200_000
_COLOUR: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

Condition = Literal["collecting", "fitting", "waiting", "done", "cancelled", "failed", "interrupted"]
"""waiting: it stands still, since the lanes need its cores. interrupted: the service ended under it."""

RUNNING: Final = frozenset({"collecting", "fitting", "waiting"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a training ended without a model: the code and the facts of an error, as `explain_code` takes them."""

    code: str
    facts: Mapping[str, object]

    @staticmethod
    def of(error: InspectionError) -> Trouble:
        plain = {
            name: value if isinstance(value, str | int | float | None) else str(value)
            for name, value in error.facts.items()
        }
        return Trouble(code=error.code, facts=plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training.

    since      decisions from then on teach it what good parts look like; None where labels teach it
    data_set   of the plant, whose labels teach it; None where good parts do
    gives      boxes or maps; from good parts always a map
    thorough   from good parts, by networks that have seen nothing else
    share      of the work done, 0 to 1
    cores      it runs on
    pictures   that it learns from, or is judged by; None while they are collected
    proposed   whether its model looks on as a candidate: a name's first version is in force at once
    log        the last lines that it said
    curve      epoch and mAP50 by then, on pictures that teach nothing; of a training from labels
    """

    id: str = field(default_factory=lambda: uuid7().hex)
    model: str
    version: str
    by: str
    since: datetime | None = None
    data_set: str | None = None
    gives: Gives = "maps"
    thorough: bool = False
    began_at: datetime
    condition: Condition = "collecting"
    share: float = 0.0
    cores: tuple[int, ...] = ()
    pictures: int | None = None
    proposed: bool = False
    log: tuple[str, ...] = ()
    curve: tuple[tuple[int, float], ...] = ()
    problem: Trouble | None = None
    ended_at: datetime | None = None

    @property
    def is_running(self) -> bool:
        return self.condition in RUNNING


@dataclass(frozen=True, slots=True)
class TrainingBook:
    """A folder for each training: what it was asked for and where it stands, its log, and while it runs its work."""

    folder: Path

    def keep(self, training: Training) -> None:
        """As it stands now. Its share and its log are in the file that its process writes."""
        place = self.folder / training.id
        place.mkdir(parents=True, exist_ok=True)
        new = place / f"{_STATE}.new"
        new.write_text(json.dumps(_as_json(training), ensure_ascii=False), encoding="utf-8")
        new.replace(place / _STATE)

    def log_file(self, training: Training) -> Path:
        return self.folder / training.id / _LOG

    def work(self, training: Training) -> Path:
        """A folder of its own, for its pictures and its model; `over` takes it away."""
        place = self.folder / training.id / _WORK
        place.mkdir(parents=True, exist_ok=True)
        return place

    def over(self, training: Training) -> None:
        shutil.rmtree(self.folder / training.id / _WORK, ignore_errors=True)

    def followed(self, training: Training) -> Training:
        """With the share, the curve and the last lines that its process has told by now."""
        try:
            with self.log_file(training).open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
                # What follows the last end of a line is being written.
                lines = file.read().decode("utf-8", "replace").split("\n")[:-1]
        except FileNotFoundError:
            return training
        told = [line.removeprefix(PROGRESS) for line in lines if line.startswith(PROGRESS)]
        points = [line.removeprefix(PRECISION).split() for line in lines if line.startswith(PRECISION)]
        others = [line for line in lines if not line.startswith((PROGRESS, PRECISION))]
        said = [shown for line in others if (shown := _as_on_a_screen(line))]
        share = 1.0 if training.condition == "done" else float(told[-1]) if told else training.share
        curve = tuple((int(epoch), float(map50)) for epoch, map50 in points)
        return replace(training, share=share, log=tuple(said[-LINES_KEPT:]), curve=curve)

    def all(self) -> tuple[Training, ...]:
        """The newest KEPT, the last first."""
        return tuple(islice(self._found(), KEPT))

    def last(self) -> Training | None:
        """None where there was none yet."""
        return next(self._found(), None)

    def forget(self, training: Training) -> None:
        """One that could not be begun."""
        shutil.rmtree(self.folder / training.id, ignore_errors=True)

    def forget_oldest(self) -> None:
        """But for the newest KEPT."""
        for place in self._places()[KEPT:]:
            shutil.rmtree(place)

    def _found(self) -> Iterator[Training]:
        """The last first. One whose file a power cut emptied, or a later version wrote, hides no other."""
        for place in self._places():
            try:
                yield self.followed(self._read(place))
            except (OSError, ValueError, KeyError, TypeError) as error:
                logger.warning("The training in %s cannot be read: %r", place, error)

    def _places(self) -> list[Path]:
        # Ids of version 7 sort by the time at which they were made.
        return sorted((file.parent for file in self.folder.glob(f"*/{_STATE}")), reverse=True)

    def _read(self, place: Path) -> Training:
        told: dict[str, Any] = json.loads((place / _STATE).read_text(encoding="utf-8"))
        for name in ("since", "began_at", "ended_at"):
            told[name] = None if told[name] is None else datetime.fromisoformat(told[name])
        if told["problem"] is not None:
            told["problem"] = Trouble(**told["problem"])
        # Before there was a choice, labels gave boxes.
        told.setdefault("gives", "maps" if told["data_set"] is None else "boxes")
        return Training(**(told | {"cores": tuple(told["cores"])}))


def _as_on_a_screen(line: str) -> str:
    """Of a line that a tool wrote over and over, in colours, what stands there in the end."""
    return _COLOUR.sub("", line.rstrip().rsplit("\r", 1)[-1]).rstrip()


def _as_json(training: Training) -> dict[str, Any]:
    simple = (
        "id",
        "model",
        "version",
        "by",
        "data_set",
        "gives",
        "thorough",
        "condition",
        "share",
        "pictures",
        "proposed",
    )
    problem = training.problem
    return {
        **{name: getattr(training, name) for name in simple},
        **{
            name: None if (at := getattr(training, name)) is None else at.isoformat()
            for name in ("since", "began_at", "ended_at")
        },
        "cores": list(training.cores),
        "problem": None if problem is None else {"code": problem.code, "facts": dict(problem.facts)},
    }
