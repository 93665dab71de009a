"""Between a camera and its lane: frames are taken as they come, a few are held, and of more the oldest is dropped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

from cameras.handing import HandOver
from inspection.protocols import Camera
from inspection.types import Frame

logger = logging.getLogger(__name__)

_END_S: Final = 5.0
"""A camera that was left ends its frames at once; one that does not is not waited for any longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A frame that came from the camera, in its order.

    frame   None: it was dropped, since newer ones came before its turn; its pixels are gone
    came_s  when it came, on this computer's monotonic clock
    lost_before_first  exposures known to be lost before it, if it is the first
    """

    sequence: int
    frame: Frame | None
    came_s: float
    lost_before_first: int = 0


class Intake:
    """Enters a camera, takes every frame of it on a thread of its own and gives them one by one to the lane.

    So a camera's own buffers stay empty, and what is dropped under load is counted here one by one, the oldest
    first: what is inspected is what lies in front of the line now.

    holds  frames held for a busy lane; None: the camera waits for the lane, as a recording does that is played as
           fast as it can be inspected. Nothing is dropped then, and no thread is needed.

    `exposures` and `frames` count what was given out, from the camera's numbers and one by one: the first hand of
    the lane's account, which knows nothing of units (docs/accounting.md).
    """

    def __init__(self, camera: Camera, *, holds: int | None) -> None:
        self._camera = camera
        self._holds = holds
        self._arrived: HandOver[Arrived] = HandOver()
        self._is_left = False
        self._last: int | None = None
        self.exposures = 0
        self.frames = 0
        self._thread = threading.Thread(target=self._take_all, name="intake", daemon=True)

    def __enter__(self) -> Self:
        self._camera.__enter__()
        if self._holds is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()
        if self._thread.ident is not None:
            self._thread.join(_END_S)
            if self._thread.is_alive():
                logger.warning("A camera that was left goes on; it is not waited for.")

    def leave(self) -> None:
        """Leave the camera, from whichever thread. What is held is still given."""
        self._is_left = True
        self._camera.__exit__(None, None, None)

    @property
    def waiting(self) -> int:
        """How many came that nobody has taken yet, dropped ones among them."""
        return len(self._arrived.waiting)

    def arrivals(self) -> Iterator[Arrived]:
        """All that comes, dropped frames too, until the camera's frames end. Raises what `frames` raises, after what
        came before."""
        return self._straight() if self._holds is None else self._through_the_hold()

    def rest(self) -> Iterator[Arrived]:
        """What came before the camera was left, and was not given yet."""
        while self._arrived.waiting:
            arrived = self._arrived.take()
            if arrived is not None:
                yield arrived

    def _straight(self) -> Iterator[Arrived]:
        for frame in self._camera.frames():
            yield _arrived(frame)
            if self._is_left:
                return

    def _through_the_hold(self) -> Iterator[Arrived]:
        while (arrived := self._arrived.take()) is not None:
            yield arrived
        if self._arrived.failure is not None:
            raise self._arrived.failure

    def count(self, arrived: Arrived) -> None:
        """Count what is given to the lane, in its order."""
        # A count that goes back says of one exposure at least that it was lost, beside the one that came.
        risen = 1 + arrived.lost_before_first if self._last is None else arrived.sequence - self._last
        self.exposures += risen if risen > 0 else 2
        self.frames += 1
        self._last = arrived.sequence

    # --- on the intake's thread

    def _take_all(self) -> None:
        self._arrived.put_all(self._held(self._camera.frames()))

    def _held(self, frames: Iterable[Frame]) -> Iterator[Arrived]:
        """Each as it arrives. Asked for the next one, it has dropped what is too much of those before."""
        assert self._holds is not None
        for frame in frames:
            yield _arrived(frame)
            with self._arrived.changed:
                waiting = self._arrived.waiting
                # Of what is older all was dropped before.
                if len(waiting) > self._holds:
                    at = len(waiting) - self._holds - 1
                    waiting[at] = replace(waiting[at], frame=None)


def _arrived(frame: Frame) -> Arrived:
    return Arrived(
        sequence=frame.sequence,
        frame=frame,
        came_s=time.monotonic(),
        lost_before_first=frame.lost_before,
    )
