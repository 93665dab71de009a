"""Between an intake and its lane: several workers look at frames at once, and the lane gets them in their order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from inspection.types import Frame
from services.station.intake import Arrived, Intake

Seen = TypeVar("Seen")

_AHEAD: Final = 4
"""Frames for each worker: with two, the others had nothing to do while one looked at a frame with many defects."""

_END_S: Final = 5.0
"""A worker in the middle of a frame is waited for no longer than this."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Turn(Generic[Seen]):
    """A frame in its order, and what is seen in it once a worker has looked; nobody looks at a dropped one."""

    arrived: Arrived
    seen: Future[Seen]

    @property
    def sequence(self) -> int:
        return self.arrived.sequence

    @property
    def frame(self) -> Frame | None:
        return self.arrived.frame


class Ahead(Generic[Seen]):
    """Gives an intake's frames one by one, in their order, while its workers look at the next ones.

    A worker that is done takes the next frame. No more than four frames for each worker are looked at or wait for the
    lane; the others are the intake's to hold or to drop. With one worker no thread is needed: the lane's own looks.

    look      what is seen in a frame, by which worker (0 .. workers - 1). One worker looks at one frame at a time
    is_over   once true, and for good, frames are given but not looked at: `seen` has no result then
    """

    def __init__(
        self,
        intake: Intake,
        look: Callable[[int, Frame], Seen],
        *,
        workers: int,
        is_over: Callable[[], bool],
    ) -> None:
        self._intake = intake
        self._look = look
        self._is_over = is_over
        self._taking = threading.Lock()
        self._room = threading.Semaphore(_AHEAD * workers)
        self._turns: deque[Turn[Seen] | None] = deque()
        self._changed = threading.Condition()
        self._has_ended = False
        self._failed: BaseException | None = None
        self._workers = [
            threading.Thread(target=self._work, args=(number,), name=f"worker {number}", daemon=True)
            for number in range(workers if workers > 1 else 0)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Once the intake was left: its workers end."""
        self._has_ended = True
        self._room.release(_AHEAD * len(self._workers) or 1)
        for worker in self._workers:
            if worker.ident is not None:
                worker.join(_END_S)

    def turns(self) -> Iterator[Turn[Seen]]:
        """All that comes, dropped frames too, until the frames end. Raises what `Intake.arrivals` does."""
        self._arrivals = self._intake.arrivals()
        for turn in self._looked_at() if self._workers else map(self._asked, self._arrivals):
            self._intake.count(turn.arrived)
            yield turn

    def rest(self) -> Iterator[Arrived]:
        """What came before the camera was left, and was not given yet."""
        given = [turn.arrived for turn in self._turns if turn is not None]
        self._turns.clear()
        for arrived in (*given, *self._intake.rest()):
            self._intake.count(arrived)
            yield arrived

    def _asked(self, arrived: Arrived) -> Turn[Seen]:
        turn: Turn[Seen] = Turn(arrived=arrived, seen=Future())
        self._look_at(turn, 0)
        return turn

    def _looked_at(self) -> Iterator[Turn[Seen]]:
        for worker in self._workers:
            worker.start()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._turns)
                turn = self._turns.popleft()
            if turn is None:
                break
            self._room.release()
            yield turn
        if self._failed is not None:
            raise self._failed

    def _look_at(self, turn: Turn[Seen], worker: int) -> None:
        if turn.frame is None or self._is_over():
            return
        try:
            turn.seen.set_result(self._look(worker, turn.frame))
        except BaseException as error:  # noqa: BLE001 - raised again on the lane's thread
            turn.seen.set_exception(error)

    # --- on the workers' threads

    def _work(self, number: int) -> None:
        while (turn := self._next()) is not None:
            self._look_at(turn, number)

    def _next(self) -> Turn[Seen] | None:
        self._room.acquire()
        # Who holds it takes the next frame and its place in the order.
        with self._taking:
            turn: Turn[Seen] | None = None
            if not self._has_ended:
                try:
                    turn = Turn(arrived=next(self._arrivals), seen=Future())
                except StopIteration:
                    pass
                except BaseException as error:  # noqa: BLE001 - raised again on the lane's thread
                    self._failed = error
            if turn is None:
                if self._has_ended:
                    return None
                self._has_ended = True
            with self._changed:
                self._turns.append(turn)
                self._changed.notify()
        return turn
