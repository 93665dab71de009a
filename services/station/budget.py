"""A detector that may hang costs one frame, not the lane."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

from inspection.errors import DetectorOvertime, InspectionError
from inspection.protocols import Detector
from inspection.types import Detections, Image

logger = logging.getLogger(__name__)

MOST_HUNG: Final = 4
"""A thread that hangs cannot be ended, and each keeps its network in memory. With so many the detector is given up:
every frame is then NOT_INSPECTED at once, until one of them answers after all or the station is started again. A
computer that was busy for a while answers late and hangs nothing; it must not cost a lane its detector for ever."""


class WithinBudget:
    """A Detector that looks on a thread of its own and is given up for another when it does not answer in time.

    again      makes another detector of the same kind; the one that hangs is left where it hangs
    budget_ms  from being asked to the answer. Handing over takes about 0.05 ms

    `detect` raises DetectorOvertime, and what the detector raises.
    """

    def __init__(self, detector: Detector, *, again: Callable[[], Detector], budget_ms: float) -> None:
        self._detector: Detector | None = detector
        self._again = again
        self._budget_ms = budget_ms
        self._hung: list[_Worker] = []
        self._worker: _Worker | None = None

    def detect(self, image: Image) -> Detections:
        self._hung = [worker for worker in self._hung if not worker.has_answered]
        if len(self._hung) >= MOST_HUNG:
            raise self._overtime(f"hangs on {len(self._hung)} threads and is given up")
        if self._detector is None:
            self._detector = self._again()
        if self._worker is None:
            self._worker = _Worker(self._detector)
            # A recipe that is taken up leaves the one before, and its networks' memory with it.
            weakref.finalize(self, self._worker.leave)
        answer = self._worker.ask(image, self._budget_ms / 1000)
        if answer is None:
            self._worker.leave()
            self._hung.append(self._worker)
            self._worker = self._detector = None
            raise self._overtime("gave no answer")
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _overtime(self, what: str) -> InspectionError:
        return DetectorOvertime(
            f"The detector {what}; it has {self._budget_ms:g} ms.",
            action="The frame counts as not inspected. If this repeats, start the station again and report it.",
            budget_ms=f"{self._budget_ms:g}",
        )


class _Worker:
    """One thread with one detector. Left, it ends with the answer nobody waits for any more."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        # Of queues nothing is Python, unlike of events: the workers of a fast line wait for each other's Python.
        self._asked: SimpleQueue[Image | None] = SimpleQueue()
        self._answers: SimpleQueue[Detections | BaseException] = SimpleQueue()
        threading.Thread(target=self._work, name="detector", daemon=True).start()

    def ask(self, image: Image, timeout_s: float) -> Detections | BaseException | None:
        """The answer, or what was raised; None where neither came in time."""
        self._asked.put(image)
        try:
            return self._answers.get(timeout=timeout_s)
        except Empty:
            return None

    @property
    def has_answered(self) -> bool:
        """Whether there is an answer that came too late."""
        return not self._answers.empty()

    def leave(self) -> None:
        self._asked.put(None)

    def _work(self) -> None:
        while (image := self._asked.get()) is not None:
            try:
                self._answers.put(self._detector.detect(image))
            except BaseException as error:  # noqa: BLE001 - raised again where the answer is waited for
                self._answers.put(error)
