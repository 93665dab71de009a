"""A training beside the lanes: a process of its own, on cores that no running lane needs, whose model is proposed.

What people accepted teaches it what good parts look like (`models/anomaly.py`; thoroughly, at the training desk,
`models/training/good_only.py`), or a data set of the plant what defects look like (there, `labelled.py` and
`outlined.py`). The process has the least share of
the processor; where the lanes come to need its cores it stands still, and goes on when they are free again.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from inspection.errors import InspectionError
from models.anomaly import KIND, LEAST_PICTURES
from models.bundle import Policy
from models.card import restricted
from models.datasets import to_train_from
from models.exchange import bring_in_network
from models.labels import write_yolo
from models.provider import CPU
from models.store import ModelStore
from services.datasets import DataSets
from services.model_life import ModelLife
from services.reviewed import reviewed
from services.station.cores import Cores
from services.training_book import Training, TrainingBook, Trouble
from services.training_desk import Gives, TrainingDesk
from traceability.accounts import Person
from traceability.errors import DiskFull
from traceability.images import ImageStore
from traceability.shelf import refusal
from traceability.store import TraceStore

logger = logging.getLogger(__name__)

_LOOK_S: Final = 0.5
_NICENESS: Final = 19


class TrainingBusy(InspectionError):
    """Another training is being made. Facts: by, model."""

    code = "MOD-TRAINING-BUSY"


class NoCoreLeft(InspectionError):
    """The lanes that run need every core. Facts: lanes, cores."""

    code = "MOD-NO-CORE-LEFT"


class CannotTrain(InspectionError):
    """That model cannot be trained in that way, or not from these pictures. Facts: model, wrong."""

    code = "MOD-CANNOT-TRAIN"


class TrainingFailed(InspectionError):
    """The training ended without a model. Facts: model, reason."""

    code = "MOD-TRAINING-FAILED"


class TrainingInterrupted(InspectionError):
    """The service ended under the training. Facts: model."""

    code = "MOD-TRAINING-INTERRUPTED"


End = Literal["ended", "cancelled", "failed", "interrupted"]


@dataclass(slots=True)
class Trainings:
    """Makes one training at a time. Safe to use from any thread.

    codes   of the defect catalogue
    book    of all trainings; no other service writes into it
    desk    where networks learn from labels, or thoroughly from good parts
    steps   of a fit from good parts; None: as many as it takes by itself
    epochs  of a training from labels; None: as many as it takes by itself
    """

    store: TraceStore
    images: ImageStore
    cores: Cores
    codes: Collection[str]
    book: TrainingBook
    desk: TrainingDesk
    steps: int | None = None
    epochs: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _now: Training | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _cancelled_by: Person | None = None
    _thread: threading.Thread | None = None
    _closing: bool = False

    @property
    def now(self) -> Training | None:
        """The one being made, or the last; None: none was asked for yet."""
        last = self.book.last()
        return None if last is None else self._as_it_stands(last)

    def all(self) -> tuple[Training, ...]:
        """The newest, the last first."""
        return tuple(self._as_it_stands(one) for one in self.book.all())

    def _as_it_stands(self, kept: Training) -> Training:
        """Of the one of this service as it is known here: a full disk may have kept its file from saying so."""
        now = self._now
        return kept if now is None or now.id != kept.id else self.book.followed(now)

    def say_interrupted(self, *, at: datetime) -> None:
        """Of trainings that an earlier service left in the making: end what still runs of them, and say so. Once,
        before the first is begun here. On a full disk the next service says it."""
        life = ModelLife(self.store, ModelStore.of_plant())
        self.book.forget_oldest()
        for left in self.book.all():
            if left.is_running:
                try:
                    _end_strays(self.book.work(left))
                    self.book.over(left)
                    self.book.keep(_interrupted(left, at))
                    life.note_training(left.model, "interrupted", {"version": left.version}, by=None, at=at)
                except (OSError, DiskFull):
                    logger.exception("That the training %s was interrupted could not be recorded", left.id)

    def start(
        self,
        model: str,
        *,
        since: datetime | None = None,
        data_set: str | None = None,
        gives: Gives = "boxes",
        thorough: bool = False,
        by: Person,
        at: datetime,
    ) -> Training:
        """Begin, with one of the two to learn from. The version is the next after the newest of that name.

        gives     of a data set's labels; good parts teach a map
        thorough  from good parts: by networks that have seen nothing else, at the desk

        Raises TrainingBusy, NoCoreLeft, CannotTrain, RightMissing, DiskFull, PicturesNotWritable; at the desk
        DeskMissing and DeskNotKnown, and from a data set DataSetUnknown and LabelsWrong as well.
        """
        models = ModelStore.of_plant()
        if data_set is not None:
            self.desk.check(gives)
            self._check_labels(model, data_set, models, gives=gives)
        elif thorough:
            self.desk.check("good_parts")
        life = ModelLife(self.store, models)
        with self._lock:
            now = self._now
            if now is not None and now.is_running:
                raise TrainingBusy(
                    f"{now.by} is training {now.model}.",
                    action="Wait until it is done, or cancel it.",
                    by=now.by,
                    model=now.model,
                )
            cores = self._cores_left()
            version = _next_version(models, model, gives=None if data_set is None else gives)
            begun = Training(
                model=model,
                version=version,
                by=by.name,
                since=since,
                data_set=data_set,
                gives="maps" if data_set is None else gives,
                thorough=data_set is None and thorough,
                began_at=at,
                cores=cores,
            )
            self._keep_begun(begun, life, by)
            # From here on it is being made: what could not be kept keeps no other from being begun.
            self._stop, self._cancelled_by, self._now = threading.Event(), None, begun
            self._thread = threading.Thread(
                target=self._work, args=(begun, life, by, self._stop), name="training", daemon=True
            )
            self._thread.start()
            return begun

    def _keep_begun(self, begun: Training, life: ModelLife, by: Person) -> None:
        """In the book and in the audit, or in neither. Raises DiskFull, PicturesNotWritable."""
        told = {"version": begun.version, "cores": begun.cores}
        try:
            self.book.keep(begun)
            life.note_training(begun.model, "started", told, by=by, at=begun.began_at)
        except BaseException as error:
            self.book.forget(begun)
            if isinstance(error, OSError):
                raise refusal(error, self.book.folder) from error
            raise

    def cancel(self, *, by: Person) -> None:
        """End the one being made, without a model. In the audit it is who cancelled it, not who began it."""
        with self._lock:
            self._cancelled_by = self._cancelled_by or by
        self._stop.set()

    def close(self) -> None:
        """The service ends: so does the one being made, and its process is gone after this."""
        self._closing = True
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.desk.close()

    def _cores_left(self) -> tuple[int, ...]:
        cores = self.cores.left()
        if not cores:
            lanes = ", ".join(sorted(self.cores.running()))
            raise NoCoreLeft(
                f"The running lanes ({lanes}) need every core of this machine.",
                action="Stop them, or give them fewer workers in the station's settings, then train.",
                lanes=lanes,
                cores=len(os.sched_getaffinity(0)),
            )
        return cores

    def _check_labels(self, model: str, data_set: str, models: ModelStore, *, gives: Gives) -> None:
        """What would only show when all is learnt. Raises CannotTrain, DataSetUnknown, LabelsWrong."""
        found = DataSets.of_plant().find(data_set)
        labelled, licence = found.labelled, found.provenance.licence
        refused = () if models.plant is None else Policy.read(models.plant).refuse
        wrong = None
        if labelled is None:
            wrong = f"nothing of {data_set} is labelled"
        elif unknown := sorted(set(labelled.kinds) - set(self.codes)):
            wrong = f"the catalogue of defects has no {', '.join(unknown)}"
        elif gives == "boxes" and "agpl" in refused:
            wrong = "the plant's licence policy refuses agpl, the licence of the tool that learns boxes"
        elif licence and (against := [one for one in restricted(licence) if one in refused]):
            wrong = f"the plant's licence policy refuses {', '.join(against)}: {data_set} is under {licence}"
        if wrong is not None:
            raise _cannot(model, wrong)

    def _work(self, training: Training, life: ModelLife, by: Person, stop: threading.Event) -> None:
        # Collecting pictures, too, is nothing that a lane should wait for.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        told: dict[str, Any] = {"version": training.version}
        problem: InspectionError | None = None
        ended: End = "ended"
        try:
            work = self.book.work(training)
            command = (
                self._from_labels(training, work) if training.data_set else self._from_good(training, work)
            )
            if not self._ran(training, command, stop):
                ended = "interrupted" if self._closing else "cancelled"
            else:
                made = work / "made" / training.model / training.version
                card = bring_in_network(
                    life.models, made / "model.onnx", made / "card.toml", codes=self.codes
                )
                told |= {"sha256": card.sha256, "pictures": self._pictures()}
        except InspectionError as error:
            ended, problem = "failed", error
            told |= {"reason": error.code}
        except Exception as error:
            logger.exception("A training failed")
            ended, problem = "failed", _failed(training, f"{type(error).__name__}: {error}")
            told |= {"reason": f"{type(error).__name__}: {error}"}
        finally:
            self.book.over(training)
        at = datetime.now(UTC)
        try:
            proposed = self._recorded(life, training, ended, told, by=by, at=at)
        except Exception as error:
            logger.exception("The end of a training could not be recorded")
            ended, proposed = "failed", False
            problem = _failed(training, f"{type(error).__name__}: {error}")
        if ended == "interrupted":
            problem = _interruption(training)
        self._change(
            condition="done" if ended == "ended" else ended,
            problem=None if problem is None else Trouble.of(problem),
            proposed=proposed,
            ended_at=at,
        )

    def _recorded(
        self,
        life: ModelLife,
        training: Training,
        ended: End,
        told: dict[str, Any],
        *,
        by: Person,
        at: datetime,
    ) -> bool:
        """The end in the audit, and whether its model was proposed."""
        who = {"interrupted": None, "cancelled": self._cancelled_by}.get(ended, by)
        life.note_training(training.model, ended, told, by=who, at=at)
        if ended != "ended" or life.models.in_force(training.model) == training.version:
            return False
        life.propose(training.model, training.version, by=by, at=at)
        return True

    def _from_good(self, training: Training, folder: Path) -> list[str | Path]:
        """What fits it into `folder`/made. Raises SetUnfit, CannotTrain, DeskMissing."""
        assert training.since is not None
        made = reviewed(
            self.store, self.images, folder / "set", since=training.since, until=datetime.now(UTC)
        )
        good = [one.name for one in made.labelled.pictures if not one.truth]
        self._change(pictures=len(good), condition="fitting")
        if len(good) < LEAST_PICTURES:
            raise _cannot(training.model, f"{len(good)} good pictures, at least {LEAST_PICTURES} are needed")
        listed = folder / "good.txt"
        listed.write_text("\n".join(good), encoding="utf-8")
        asked: list[str | Path] = [
            *("--good", folder / "set", "--list", listed),
            *("--name", training.model, "--version", training.version, "--into", folder / "made"),
            *(() if self.steps is None else ("--steps", str(self.steps))),
            "--progress",
        ]
        if training.thorough:
            return self.desk.command("good_parts", asked)
        return [sys.executable, "-m", "models.anomaly", *asked]

    def _from_labels(self, training: Training, folder: Path) -> list[str | Path]:
        """What trains it into `folder`/made. Raises SetUnfit, LabelsWrong, DeskMissing."""
        assert training.data_set is not None
        found = DataSets.of_plant().find(training.data_set)
        labelled, said = found.labelled, found.provenance
        if labelled is None:
            raise _cannot(training.model, f"nothing of {training.data_set} is labelled")
        learn, judge = to_train_from(labelled)
        # As it is now: who labels on meanwhile changes no training.
        write_yolo(labelled, folder / "set")
        self._change(pictures=len(learn.pictures) + len(judge.pictures), condition="fitting")
        return self.desk.command(
            training.gives,
            [
                *("--data", folder / "set"),
                # With =: a licence may begin with a dash.
                f"--set={found.as_source}",
                *((f"--licence={said.licence}",) if said.licence else ()),
                *(("--work", folder / "run") if training.gives == "boxes" else ()),
                *("--name", training.model, "--version", training.version, "--into", folder / "made"),
                *(() if self.epochs is None else ("--epochs", str(self.epochs))),
            ],
        )

    def _ran(self, training: Training, command: list[str | Path], stop: threading.Event) -> bool:
        """To its end, beside the lanes; False where it was stopped. Raises TrainingFailed."""
        # Its libraries count their threads from this. Lines come when they are said, not when some pages are full.
        few = {name: str(len(training.cores)) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        # Into a file: what was said by then is there, even where this service is not.
        with self.book.log_file(training).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - interpreters and modules of ours, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # The desk need not have what this computer's networks run in; what is brought in is run there then.
                env=os.environ | few | {"PYTHONUNBUFFERED": "1", "LYNCEUS_PROVIDER": CPU},
            )
        try:
            # Before it has loaded anything: the threads that it begins have it from here.
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
            os.sched_setaffinity(process.pid, training.cores)
            while process.poll() is None and not stop.wait(_LOOK_S):
                self._give_way(process)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        if stop.is_set():
            return False
        if process.returncode != 0:
            raise _failed(training, (self.book.followed(training).log or ("-",))[-1])
        return True

    def _give_way(self, process: subprocess.Popen[bytes]) -> None:
        """Stand still while the lanes need its cores; go on where they leave some, on those."""
        cores = self.cores.left()
        if self._now is None or cores == self._now.cores:
            return
        if not cores:
            process.send_signal(signal.SIGSTOP)
            self._change(condition="waiting", cores=())
            return
        move(process.pid, cores)
        process.send_signal(signal.SIGCONT)
        self._change(condition="fitting", cores=cores)

    def _pictures(self) -> int | None:
        return None if self._now is None else self._now.pictures

    def _change(self, **changes: Any) -> None:
        with self._lock:
            if self._now is not None:
                self._now = replace(self._now, **changes)
                try:
                    self.book.keep(self._now)
                except OSError:
                    # A full disk ends no training; what its file says is old, `now` is not.
                    logger.exception("How the training %s stands could not be written", self._now.id)


def move(process: int, cores: Collection[int]) -> None:
    """All threads of a process onto those cores. One that ends meanwhile is no mistake."""
    for thread in Path(f"/proc/{process}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), cores)


def _next_version(models: ModelStore, name: str, *, gives: Gives | None) -> str:
    """Raises CannotTrain where models of that name are of another sort. gives: None from good parts."""
    there = models.versions().get(name, ())
    if not there:
        return "1.0.0"
    card = models.find(name, there[-1]).card
    if gives is not None and card.task != gives:
        raise _cannot(name, f"{name} {there[-1]} gives {card.task}, asked for are {gives}")
    if gives is not None and card.kinds == (KIND,):
        raise _cannot(name, f"{name} {there[-1]} was fitted from good parts and finds {KIND}")
    if gives is None and card.kinds != (KIND,):
        found = ", ".join(card.kinds)
        raise _cannot(name, f"{name} {there[-1]} finds {found}; what is fitted from good parts finds {KIND}")
    major, minor, _ = (int(part) for part in there[-1].split("."))
    return f"{major}.{minor + 1}.0"


def _cannot(model: str, wrong: str) -> CannotTrain:
    return CannotTrain(
        f"{model} cannot be trained: {wrong}.",
        action="Choose another name or other pictures, or review and label more of them.",
        model=model,
        wrong=wrong,
    )


def _failed(training: Training, reason: str) -> TrainingFailed:
    return TrainingFailed(
        f"The training of {training.model} ended without a model: {reason}.",
        action="Read its log; report it with the log of the service.",
        model=training.model,
        reason=reason,
    )


def _interruption(training: Training) -> TrainingInterrupted:
    return TrainingInterrupted(
        f"The service ended while {training.model} was being trained.",
        action="Begin the training again. Its log says how far it was.",
        model=training.model,
    )


def _interrupted(training: Training, at: datetime) -> Training:
    return replace(
        training, condition="interrupted", cores=(), problem=Trouble.of(_interruption(training)), ended_at=at
    )


def _end_strays(work: Path) -> None:
    """Processes that were begun to work in that folder and outlived their service."""
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(part.startswith(bytes(work)) for part in (place / "cmdline").read_bytes().split(b"\0")):
                os.kill(int(place.name), signal.SIGKILL)
