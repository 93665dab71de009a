"""A training beside the lanes: a process of its own, on cores that no running lane needs, whose model is proposed.

What people accepted teaches it what good parts look like (`models/anomaly.py`). The process has the least share of the
processor; where the lanes come to need its cores it stands still, and goes on when they are free again.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from inspection.errors import InspectionError
from models.anomaly import KIND, LEAST_PICTURES, PROGRESS, STEPS
from models.exchange import bring_in_network
from models.store import ModelStore
from services.model_life import ModelLife
from services.reviewed import reviewed
from services.station.cores import Cores
from traceability.accounts import Person
from traceability.images import ImageStore
from traceability.store import TraceStore

logger = logging.getLogger(__name__)

LINES_KEPT: Final = 200

_LOOK_S: Final = 0.5
_NICENESS: Final = 19


class TrainingBusy(InspectionError):
    """Another training is being made. Facts: by, model."""

    code = "MOD-TRAINING-BUSY"


class NoCoreLeft(InspectionError):
    """The lanes that run need every core. Facts: lanes, cores."""

    code = "MOD-NO-CORE-LEFT"


class CannotTrain(InspectionError):
    """That model cannot be fitted from good parts, or not from these. Facts: model, wrong."""

    code = "MOD-CANNOT-TRAIN"


class TrainingFailed(InspectionError):
    """The training ended without a model. Facts: model, reason."""

    code = "MOD-TRAINING-FAILED"


Condition = Literal["collecting", "fitting", "waiting", "done", "cancelled", "failed"]
"""waiting: it stands still, since the lanes need its cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training.

    since      decisions from then on teach it
    share      of the work done, 0 to 1
    cores      it runs on
    pictures   good ones that it learns from; None while they are collected
    proposed   whether its model looks on as a candidate: a name's first version is in force at once
    log        the last lines that it said
    """

    model: str
    version: str
    by: str
    since: datetime
    began_at: datetime
    condition: Condition = "collecting"
    share: float = 0.0
    cores: tuple[int, ...] = ()
    pictures: int | None = None
    proposed: bool = False
    log: tuple[str, ...] = ()
    problem: InspectionError | None = None
    ended_at: datetime | None = None

    @property
    def is_running(self) -> bool:
        return self.condition in ("collecting", "fitting", "waiting")


@dataclass(slots=True)
class Trainings:
    """Makes one training at a time, and keeps the last. Safe to use from any thread.

    codes   of the defect catalogue
    steps   of a fit
    """

    store: TraceStore
    images: ImageStore
    cores: Cores
    codes: Collection[str]
    steps: int = STEPS
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _now: Training | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def now(self) -> Training | None:
        """The one being made, or the last; None: none was asked for yet."""
        return self._now

    def start(self, model: str, *, since: datetime, by: Person, at: datetime) -> Training:
        """Begin. The version is the next after the newest of that name.

        Raises TrainingBusy, NoCoreLeft, CannotTrain, RightMissing.
        """
        models = ModelStore.of_plant()
        life = ModelLife(self.store, models)
        with self._lock:
            now = self._now
            if now is not None and now.is_running:
                raise TrainingBusy(
                    f"{now.by} is training {now.model} ({now.share:.0%}).",
                    action="Wait until it is done, or cancel it.",
                    by=now.by,
                    model=now.model,
                )
            cores = self._cores_left()
            version = _next_version(models, model)
            life.note_training(model, "started", {"version": version, "cores": cores}, by=by, at=at)
            self._stop = threading.Event()
            self._now = Training(
                model=model, version=version, by=by.name, since=since, began_at=at, cores=cores
            )
            self._thread = threading.Thread(
                target=self._work, args=(self._now, life, by, self._stop), name="training", daemon=True
            )
            self._thread.start()
            return self._now

    def cancel(self) -> None:
        """End the one being made, without a model."""
        self._stop.set()

    def close(self) -> None:
        """Cancel, and wait until its process is gone."""
        self.cancel()
        if self._thread is not None:
            self._thread.join()

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

    def _work(self, training: Training, life: ModelLife, by: Person, stop: threading.Event) -> None:
        # Collecting pictures, too, is nothing that a lane should wait for.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        ended: Literal["ended", "cancelled", "failed"] = "ended"
        told: dict[str, Any] = {"version": training.version}
        try:
            with tempfile.TemporaryDirectory(prefix="lynceus-training-") as folder:
                made = self._fitted(training, Path(folder), stop)
                if made is None:
                    ended = "cancelled"
                else:
                    card = bring_in_network(
                        life.models, made / "model.onnx", made / "card.toml", codes=self.codes
                    )
                    told |= {"sha256": card.sha256, "pictures": self._pictures()}
        except InspectionError as error:
            ended = "failed"
            told |= {"reason": error.code}
            self._change(problem=error)
        except Exception as error:
            logger.exception("A training failed")
            ended = "failed"
            told |= {"reason": f"{type(error).__name__}: {error}"}
            self._change(problem=_failed(training, f"{type(error).__name__}: {error}"))
        try:
            proposed = self._recorded(life, training, ended, told, by=by)
        except Exception as error:
            logger.exception("The end of a training could not be recorded")
            self._change(problem=_failed(training, f"{type(error).__name__}: {error}"))
            ended, proposed = "failed", False
        condition = {"ended": "done"}.get(ended, ended)
        share = 1.0 if ended == "ended" else self._share()
        self._change(condition=condition, proposed=proposed, share=share, ended_at=datetime.now(UTC))

    def _recorded(
        self,
        life: ModelLife,
        training: Training,
        ended: Literal["ended", "cancelled", "failed"],
        told: dict[str, Any],
        *,
        by: Person,
    ) -> bool:
        """The end in the audit, and whether its model was proposed."""
        at = datetime.now(UTC)
        life.note_training(training.model, ended, told, by=by, at=at)
        if ended != "ended" or life.models.in_force(training.model) == training.version:
            return False
        life.propose(training.model, training.version, by=by, at=at)
        return True

    def _fitted(self, training: Training, folder: Path, stop: threading.Event) -> Path | None:
        """Where the fitted model lies; None where it was cancelled."""
        made = reviewed(
            self.store, self.images, folder / "set", since=training.since, until=datetime.now(UTC)
        )
        good = [one.name for one in made.labelled.pictures if not one.truth]
        self._change(pictures=len(good), condition="fitting")
        if len(good) < LEAST_PICTURES:
            wrong = f"{len(good)} good pictures, at least {LEAST_PICTURES} are needed"
            raise CannotTrain(
                f"{training.model} cannot be trained: {wrong}.",
                action="Choose an earlier day, or accept more good units in the reviews.",
                model=training.model,
                wrong=wrong,
            )
        listed = folder / "good.txt"
        listed.write_text("\n".join(good), encoding="utf-8")
        # Its libraries count their threads from this.
        few = {name: str(len(training.cores)) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
            [
                *(sys.executable, "-m", "models.anomaly", "--good", folder / "set", "--list", listed),
                *("--name", training.model, "--version", training.version, "--into", folder / "made"),
                *("--steps", str(self.steps), "--progress"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | few,
        )
        # Before it has loaded anything: the threads that it begins have it from here.
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
        os.sched_setaffinity(process.pid, training.cores)
        reader = threading.Thread(target=self._listen, args=(process,), name="training log", daemon=True)
        reader.start()
        try:
            while process.poll() is None and not stop.wait(_LOOK_S):
                self._give_way(process)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            reader.join()
        if stop.is_set():
            return None
        if process.returncode != 0:
            raise _failed(training, (self._log() or ("-",))[-1])
        return folder / "made" / training.model / training.version

    def _give_way(self, process: subprocess.Popen[str]) -> None:
        """Stand still while the lanes need its cores; go on where they leave some, on those."""
        cores = self.cores.left()
        if not cores:
            process.send_signal(signal.SIGSTOP)
            self._change(condition="waiting", cores=())
            return
        if self._now is not None and cores != self._now.cores:
            for thread in Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cores)
            process.send_signal(signal.SIGCONT)
            self._change(condition="fitting", cores=cores)

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if line.startswith(PROGRESS):
                    self._change(share=float(line.removeprefix(PROGRESS)))
                elif line.strip():
                    self._change(log=(*self._log(), line.rstrip())[-LINES_KEPT:])

    def _log(self) -> tuple[str, ...]:
        return () if self._now is None else self._now.log

    def _share(self) -> float:
        return 0.0 if self._now is None else self._now.share

    def _pictures(self) -> int | None:
        return None if self._now is None else self._now.pictures

    def _change(self, **changes: Any) -> None:
        with self._lock:
            if self._now is not None:
                self._now = replace(self._now, **changes)


def _next_version(models: ModelStore, name: str) -> str:
    """Raises CannotTrain where models of that name are of another sort."""
    there = models.versions().get(name, ())
    if not there:
        return "1.0.0"
    kinds = models.find(name, there[-1]).card.kinds
    if kinds != (KIND,):
        wrong = f"{name} {there[-1]} finds {', '.join(kinds)}; what is fitted from good parts finds {KIND}"
        raise CannotTrain(
            f"{name} cannot be trained: {wrong}.",
            action="Choose another name.",
            model=name,
            wrong=wrong,
        )
    major, minor, _ = (int(part) for part in there[-1].split("."))
    return f"{major}.{minor + 1}.0"


def _failed(training: Training, reason: str) -> TrainingFailed:
    return TrainingFailed(
        f"The training of {training.model} ended without a model: {reason}.",
        action="Read its log; report it with the log of the service.",
        model=training.model,
        reason=reason,
    )
